//! A vector for a text, near to the vectors of texts that belong to it or are like it (bi-encoder). Runs on queries are
//! scored on every held-out query against every held-out document, runs on pairs by the cosine of each.

use super::baselines::Probed;
use super::objective::{rows_of, texts};
use super::{Rows, Rules, TaskSpec};
use crate::baseline::lexical::Bm25;
use crate::data::{self, Batch, Dataset, Example, Target};
use crate::device::{Pass, make_room};
use crate::error::Result;
use crate::host::Emit;
use crate::loss::contrastive::cosines_of_pairs;
use crate::loss::{Compared, Loss, Term, WeightedSum};
use crate::metrics::answers::{ALIKE, Predictions};
use crate::models::{Leaves, Model, Waits, read};
use crate::protocol::{BaselineKind, Stage};
use burn::tensor::Tensor;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};

pub(crate) struct Embedding;

impl Rules for Embedding {
    const KEEPS_ROWS_TOGETHER: bool = true;

    fn metrics(loss: &WeightedSum) -> Option<&'static [&'static str]> {
        loss.is_of_numbers().then_some(ALIKE)
    }

    fn ask() -> Message {
        msg::WriteQuery.into()
    }

    async fn examples(spec: &TaskSpec, rows: &Rows<'_>, emit: &mut Emit<'_>) -> Result<Vec<Example>> {
        let (tokenizer, cutoff) = (rows.model.tokenizer()?, rows.cutoff());
        if spec.objective.loss.is_of_numbers() {
            let labelled = rows.dataset.labelled(&spec.columns)?;
            emit.warn_all(labelled.notes.clone());
            let turns = &mut emit.turns(Stage::Tokenize);
            return data::similarity_examples(&labelled, tokenizer, cutoff, rows.most, turns).await;
        }
        let mut ranked = rows.dataset.ranked()?;
        emit.warn_all(std::mem::take(&mut ranked.notes));
        let turns = &mut emit.turns(Stage::Tokenize);
        data::embedding_examples(&ranked, tokenizer, cutoff, rows.most, turns).await
    }

    fn knows_answers(_spec: &TaskSpec, _dataset: &Dataset) -> bool {
        true
    }

    fn outputs(model: &Model, leaves: &Leaves, batch: &Batch, seed: Option<u64>) -> Option<Tensor<2>> {
        Some(model.vectors(leaves, batch, true, seed))
    }

    fn width(_model: &Model) -> usize {
        1
    }

    fn compared<'b>(loss: &WeightedSum, outputs: Tensor<2>, batch: &'b Batch) -> Result<Compared<'b>> {
        if loss.is_of_numbers() {
            let [first, second] = [0, 1].map(|place| texts(batch, |text| text == place));
            return Ok(Compared::Numbers {
                predicted: cosines_of_pairs(rows_of(&outputs, &first), rows_of(&outputs, &second))?,
                targets: first.iter().map(|&row| batch.row_labels[row]).collect(),
            });
        }
        // A triplet has one negative, in-batch losses take all there are.
        let one = |term: &Term| matches!(term.loss, Loss::Triplet { .. });
        let last = if loss.terms().iter().any(one) { 2 } else { usize::MAX };
        let negatives = texts(batch, |text| text > 1 && text <= last);
        Ok(Compared::Vectors {
            queries: rows_of(&outputs, &texts(batch, |text| text == 0)),
            documents: rows_of(&outputs, &texts(batch, |text| text == 1)),
            negatives: (!negatives.is_empty()).then(|| rows_of(&outputs, &negatives)),
        })
    }

    fn answers(spec: &TaskSpec, examples: &[Example], outputs: &[f32], width: usize) -> Option<Predictions> {
        Some(of_vectors(&spec.objective.loss, examples, outputs, width))
    }

    async fn baselines(probed: Probed<'_>, emit: &mut Emit<'_>) -> Result<Vec<(BaselineKind, Predictions)>> {
        let (model, loss) = (probed.model, &probed.spec.objective.loss);
        let leaves = model.parameters.plain();
        let (mut values, mut width) = (Vec::new(), 1);
        let mut waits = Waits::new(&emit.host);
        for batch in probed.batches {
            if emit.control.is_stopped() {
                return Ok(Vec::new());
            }
            make_room(model.device(), Pass::over(batch, false));
            let leaves = model.through_layers(&leaves, batch, false, &mut waits).await?;
            let vectors = model.vectors(&leaves, batch, false, None);
            width = vectors.dims()[1];
            values.extend(read(vectors.reshape([batch.rows * width])).await?);
            (emit.host.yield_now)().await;
        }
        let untouched = (
            BaselineKind::BaseModel,
            of_vectors(loss, probed.held_out, &values, width),
        );
        // BM25 ranks documents; it does not score the similarity of a pair.
        Ok(match loss.is_of_numbers() {
            true => vec![untouched],
            false => vec![(BaselineKind::Bm25, Corpus::of(probed.held_out).by_words()), untouched],
        })
    }

    fn label(_spec: &TaskSpec, _target: &Target) -> Vec<String> {
        Vec::new()
    }

    fn documents(examples: &[Example]) -> Vec<String> {
        let corpus = Corpus::of(examples);
        corpus.documents().iter().map(ToString::to_string).collect()
    }

    fn typed(texts: &[&String]) -> Vec<Value> {
        let Some((query, documents)) = texts.split_first() else {
            return Vec::new();
        };
        let row = |text| json!({ "query": query, "positive": text });
        documents.iter().map(row).collect()
    }
}

/// The predictions of the vectors of all texts, `width` numbers each: cosines of pairs, or the order of documents.
fn of_vectors(loss: &WeightedSum, examples: &[Example], vectors: &[f32], width: usize) -> Predictions {
    if !loss.is_of_numbers() {
        return Corpus::of(examples).by_vectors(vectors, width);
    }
    let truth = examples.iter().filter_map(|example| match &example.target {
        Target::Row(likeness) => likeness.first().map(|&value| f64::from(value)),
        _ => None,
    });
    let pairs = vectors.chunks_exact(2 * width).map(|pair| pair.split_at(width));
    Predictions::Numbers {
        targets: 1,
        truth: truth.collect(),
        predicted: pairs.map(|(first, second)| cosine(first, second)).collect(),
    }
}

/// The distinct documents of the held-out examples, and which of them belong to each query.
pub(crate) struct Corpus<'a> {
    documents: Vec<&'a str>,
    queries: Vec<Query<'a>>,
    /// The texts of all examples in the order of a batch's rows.
    rows: Vec<Text>,
}

/// A text, by its number.
enum Text {
    Query(usize),
    Document(usize),
}

struct Query<'a> {
    /// Its row in the file.
    row: usize,
    text: &'a str,
    /// By document; those that are not here do not belong to it.
    grades: HashMap<usize, f64>,
}

impl<'a> Corpus<'a> {
    pub(crate) fn of(examples: &'a [Example]) -> Self {
        let mut corpus = Self {
            documents: Vec::new(),
            queries: Vec::new(),
            rows: Vec::new(),
        };
        // In the order of their letters: in that of their grades, ties would be broken in favour of what is right.
        let all = examples.iter().flat_map(|example| example.texts.iter().skip(1));
        let all: BTreeSet<&str> = all.map(String::as_str).collect();
        corpus.documents = all.into_iter().collect();
        let numbered = corpus.documents.iter().enumerate();
        let known: HashMap<&str, usize> = numbered.map(|(number, text)| (*text, number)).collect();
        let mut asked = HashMap::new();
        for example in examples {
            let Some((query, documents)) = example.texts.split_first() else {
                continue;
            };
            let place = *asked.entry(query.as_str()).or_insert(corpus.queries.len());
            if place == corpus.queries.len() {
                corpus.queries.push(Query {
                    row: example.row,
                    text: query,
                    grades: HashMap::new(),
                });
            }
            corpus.rows.push(Text::Query(place));
            for (text, document) in documents.iter().zip(&example.others) {
                let Some(&number) = known.get(text.as_str()) else {
                    continue;
                };
                corpus.rows.push(Text::Document(number));
                if let Target::Row(grades) = &document.target
                    && let Some(grade) = grades.first().filter(|grade| **grade > 0.0)
                {
                    corpus.queries[place].grades.insert(number, f64::from(*grade));
                }
            }
        }
        corpus
    }

    /// Cosines of the vectors of all rows, `width` numbers each.
    fn by_vectors(&self, vectors: &[f32], width: usize) -> Predictions {
        let mut of_queries: Vec<&[f32]> = vec![&[]; self.queries.len()];
        let mut of_documents: Vec<&[f32]> = vec![&[]; self.documents.len()];
        for (row, vector) in self.rows.iter().zip(vectors.chunks(width)) {
            match row {
                Text::Query(query) => of_queries[*query] = vector,
                Text::Document(document) => of_documents[*document] = vector,
            }
        }
        self.answers(|query| {
            let cosines = of_documents.iter().map(|document| cosine(of_queries[query], document));
            cosines.collect()
        })
    }

    /// BM25's scores.
    fn by_words(&self) -> Predictions {
        let words = Bm25::new(&self.documents);
        self.answers(|query| words.scores(self.queries[query].text))
    }

    /// The queries' rows and texts.
    pub(crate) fn queries(&self) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        self.queries.iter().map(|query| (query.row, query.text))
    }

    /// The documents.
    pub(crate) fn documents(&self) -> &[&'a str] {
        &self.documents
    }

    fn answers(&self, scores: impl Fn(usize) -> Vec<f64>) -> Predictions {
        let of = |(place, query): (usize, &Query)| {
            let grade = |document: usize| query.grades.get(&document).copied().unwrap_or(0.0);
            (scores(place), (0..self.documents.len()).map(grade).collect())
        };
        Predictions::Lists(self.queries.iter().enumerate().map(of).collect())
    }
}

/// cos(a, b); of a vector of zeros 0.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12)
}
