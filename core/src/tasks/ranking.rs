//! A score for a pair of query and document, read together (cross-encoder).

use super::baselines::Probed;
use super::objective::member;
use super::predictions::{lists, numbers_of};
use super::{Rows, Rules, TaskSpec};
use crate::baseline::lexical::Bm25;
use crate::data::{self, Batch, Dataset, Example, Target};
use crate::error::Result;
use crate::head_spec::Problem;
use crate::host::Emit;
use crate::loss::{Compared, WeightedSum, ranking::Lists};
use crate::metrics::answers::Predictions;
use crate::protocol::{BaselineKind, Stage};
use burn::tensor::Tensor;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;
use serde_json::{Value, json};

pub(crate) struct Ranking;

impl Rules for Ranking {
    const PROBLEM: Option<Problem> = Some(Problem::Regression);

    fn ask() -> Message {
        msg::WriteQuery.into()
    }

    async fn examples(_spec: &TaskSpec, rows: &Rows<'_>, emit: &mut Emit<'_>) -> Result<Vec<Example>> {
        let mut ranked = rows.dataset.ranked()?;
        emit.warn_all(std::mem::take(&mut ranked.notes));
        ranked.queries.truncate(rows.most);
        let turns = &mut emit.turns(Stage::Tokenize);
        data::ranking_examples(&ranked, rows.model.tokenizer()?, rows.cutoff(), turns).await
    }

    fn knows_answers(_spec: &TaskSpec, _dataset: &Dataset) -> bool {
        true
    }

    fn compared<'b>(_loss: &WeightedSum, outputs: Tensor<2>, batch: &'b Batch) -> Result<Compared<'b>> {
        let [rows, _] = outputs.dims();
        let lists: Vec<usize> = (0..rows).map(|row| member(batch, row).0).collect();
        Ok(Compared::Scores {
            scores: outputs.reshape([rows]),
            lists: Lists::new(batch.row_labels.clone(), &lists)?,
        })
    }

    fn answers(_spec: &TaskSpec, examples: &[Example], outputs: &[f32], _width: usize) -> Option<Predictions> {
        let mut scores = outputs.iter().map(|&score| f64::from(score));
        let lists = lists(examples, |texts| scores.by_ref().take(texts).collect());
        Some(Predictions::Lists(lists))
    }

    async fn baselines(probed: Probed<'_>, _emit: &mut Emit<'_>) -> Result<Vec<(BaselineKind, Predictions)>> {
        let documents = probed.held_out.iter().flat_map(|example| example.texts.iter().skip(1));
        let words = Bm25::new(&documents.map(String::as_str).collect::<Vec<_>>());
        let mut start = 0;
        let of = |example: &Example| {
            let scores = words.scores(example.texts.first().map_or("", String::as_str));
            let count = example.others.len() + 1;
            start += count;
            scores[start - count..start].to_vec()
        };
        let mut scores = probed.held_out.iter().map(of).collect::<Vec<_>>().into_iter();
        let answered = lists(probed.held_out, |_| scores.next().unwrap_or_default());
        Ok(vec![(BaselineKind::Bm25, Predictions::Lists(answered))])
    }

    fn label(_spec: &TaskSpec, target: &Target) -> Vec<String> {
        numbers_of(target)
    }

    fn documents(examples: &[Example]) -> Vec<String> {
        let documents = examples.iter().flat_map(|example| example.texts.iter().skip(1));
        documents.cloned().collect()
    }

    fn typed(texts: &[&String]) -> Vec<Value> {
        let Some((query, documents)) = texts.split_first() else {
            return Vec::new();
        };
        let row = |text| json!({ "query": query, "document": text, "grade": 0 });
        documents.iter().map(row).collect()
    }
}
