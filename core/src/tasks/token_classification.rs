//! One class of several for each word.

use super::baselines::{Probed, column_of_classes};
use super::predictions::{largest, softmax};
use super::{Rows, Rules, TaskSpec};
use crate::baseline::constant::majority_class;
use crate::data::{self, Batch, Dataset, Example, LabelKind, Target};
use crate::error::{Error, Result};
use crate::head_spec::HeadKind;
use crate::host::Emit;
use crate::loss::{Compared, WeightedSum};
use crate::metrics::answers::Predictions;
use crate::protocol::{BaselineKind, Stage};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::run as msg;
use serde_json::{Value, json};

pub(crate) struct TokenClassification;

impl Rules for TokenClassification {
    const LABELS: Option<LabelKind> = Some(LabelKind::Tags);
    const OF_TOKENS: bool = true;
    const HEAD: HeadKind = HeadKind::TokenClassification;

    async fn examples(spec: &TaskSpec, rows: &Rows<'_>, emit: &mut Emit<'_>) -> Result<Vec<Example>> {
        let mut tagged = rows.dataset.tagged(&spec.columns)?;
        tagged.rows.truncate(rows.most);
        if !rows.optional {
            tagged.column_of_classes()?;
        }
        let answer = spec.answer.as_ref().ok_or_else(|| Error::internal(msg::NoClasses))?;
        let mut notes = std::mem::take(&mut tagged.notes);
        let reader = (rows.model.tokenizer()?, rows.cutoff());
        let turns = &mut emit.turns(Stage::Tokenize);
        let examples =
            data::token_classification_examples(&tagged, answer, reader, rows.optional, &mut notes, turns).await?;
        emit.warn_all(notes);
        Ok(examples)
    }

    fn knows_answers(spec: &TaskSpec, dataset: &Dataset) -> bool {
        dataset.has_tags() || !spec.columns.labels.is_empty()
    }

    fn compared<'b>(_loss: &WeightedSum, outputs: Tensor<2>, batch: &'b Batch) -> Result<Compared<'b>> {
        Ok(Compared::Classes {
            logits: outputs,
            labels: (&batch.labels).into(),
        })
    }

    fn answers(_spec: &TaskSpec, examples: &[Example], outputs: &[f32], width: usize) -> Option<Predictions> {
        let probabilities = softmax(outputs, width);
        let truth = examples.iter().flat_map(|example| match &example.target {
            Target::Tokens(labels) => labels.as_slice(),
            _ => &[],
        });
        let truth = truth.filter(|&&label| label >= 0).map(|&class| class as usize);
        Some(Predictions::Classes {
            classes: width,
            truth: truth.collect(),
            predicted: probabilities.chunks(width).map(largest).collect(),
            probabilities,
        })
    }

    async fn baselines(probed: Probed<'_>, _emit: &mut Emit<'_>) -> Result<Vec<(BaselineKind, Predictions)>> {
        let truth = column_of_classes(&probed.held_out_labels());
        let most = majority_class(&column_of_classes(&probed.train_labels()))?;
        let answers = Predictions::Classes {
            classes: probed.width,
            predicted: vec![most; truth.len()],
            truth,
            probabilities: Vec::new(),
        };
        Ok(vec![(BaselineKind::MajorityClass, answers)])
    }

    fn typed(texts: &[&String]) -> Vec<Value> {
        let words = |text: &&String| json!({ "tokens": text.split_whitespace().collect::<Vec<_>>() });
        texts.first().map(words).into_iter().collect()
    }
}
