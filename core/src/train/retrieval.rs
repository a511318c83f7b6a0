//! What a bi-encoder is scored on: every held-out query against every held-out document.

use crate::baseline::lexical::Bm25;
use crate::data::{Aim, Example};
use crate::metrics::answers::Answers;
use std::collections::{BTreeSet, HashMap};

/// The distinct documents of the held-out examples, and which of them belong to each query.
pub(crate) struct Corpus<'a> {
    documents: Vec<&'a str>,
    queries: Vec<Query<'a>>,
    /// The texts of all examples in the order of a batch's rows: `Ok` queries, `Err` documents.
    rows: Vec<Result<usize, usize>>,
}

struct Query<'a> {
    /// Where it stands in the file.
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
            corpus.rows.push(Ok(place));
            for (text, document) in documents.iter().zip(&example.others) {
                let Some(&number) = known.get(text.as_str()) else {
                    continue;
                };
                corpus.rows.push(Err(number));
                if let Aim::Row(grades) = &document.aim
                    && let Some(grade) = grades.first().filter(|grade| **grade > 0.0)
                {
                    corpus.queries[place].grades.insert(number, f64::from(*grade));
                }
            }
        }
        corpus
    }

    /// Cosines of the vectors of all rows, `width` numbers each.
    pub(crate) fn by_vectors(&self, vectors: &[f32], width: usize) -> Answers {
        let mut of_queries: Vec<&[f32]> = vec![&[]; self.queries.len()];
        let mut of_documents: Vec<&[f32]> = vec![&[]; self.documents.len()];
        for (row, vector) in self.rows.iter().zip(vectors.chunks(width)) {
            match row {
                Ok(query) => of_queries[*query] = vector,
                Err(document) => of_documents[*document] = vector,
            }
        }
        self.answers(|query| {
            let cosines = of_documents.iter().map(|document| cosine(of_queries[query], document));
            cosines.collect()
        })
    }

    /// BM25's scores.
    pub(crate) fn by_words(&self) -> Answers {
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

    fn answers(&self, scores: impl Fn(usize) -> Vec<f64>) -> Answers {
        let of = |(place, query): (usize, &Query)| {
            let grade = |document: usize| query.grades.get(&document).copied().unwrap_or(0.0);
            (scores(place), (0..self.documents.len()).map(grade).collect())
        };
        Answers::Lists(self.queries.iter().enumerate().map(of).collect())
    }
}

/// cos(a, b); of a vector of zeros 0.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12)
}
