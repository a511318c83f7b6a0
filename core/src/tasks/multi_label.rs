//! Any number of labels for a row.

use super::baselines::{Probed, column, try_baseline};
use super::predictions::{labels_of_rows, sigmoid};
use super::{Rules, TaskSpec};
use crate::baseline::constant::mean;
use crate::data::{Batch, Example, LabelKind, Target};
use crate::error::Result;
use crate::head_spec::Problem;
use crate::host::Emit;
use crate::loss::{Compared, WeightedSum};
use crate::metrics::answers::Predictions;
use crate::protocol::BaselineKind;
use burn::tensor::Tensor;

pub(crate) struct MultiLabel;

impl Rules for MultiLabel {
    const LABELS: Option<LabelKind> = Some(LabelKind::Labels);
    const PROBLEM: Option<Problem> = Some(Problem::MultiLabel);

    /// The first label that applies; one more for rows without any.
    fn class_of(example: &Example) -> Option<usize> {
        Some(match &example.target {
            Target::Row(labels) => labels.iter().position(|flag| *flag > 0.5).unwrap_or(labels.len()),
            _ => 0,
        })
    }

    fn compared<'b>(_loss: &WeightedSum, outputs: Tensor<2>, batch: &'b Batch) -> Result<Compared<'b>> {
        Ok(Compared::Labels {
            logits: outputs,
            targets: (&batch.row_labels).into(),
        })
    }

    fn answers(_spec: &TaskSpec, examples: &[Example], outputs: &[f32], width: usize) -> Option<Predictions> {
        let probabilities: Vec<f64> = outputs.iter().map(|&logit| sigmoid(logit)).collect();
        Some(Predictions::Labels {
            labels: width,
            truth: labels_of_rows(examples).map(|flag| flag > 0.5).collect(),
            predicted: probabilities.iter().map(|p| *p > 0.5).collect(),
            probabilities,
        })
    }

    async fn baselines(probed: Probed<'_>, emit: &mut Emit<'_>) -> Result<Vec<(BaselineKind, Predictions)>> {
        let Some(features) = probed.features(emit).await? else {
            return Ok(Vec::new());
        };
        let (width, held_out, all) = (probed.width, probed.held_out_labels(), probed.train_labels());
        let flags = |predicted: Vec<bool>| Predictions::Labels {
            labels: width,
            truth: held_out.iter().map(|&flag| flag > 0.5).collect(),
            predicted,
            probabilities: Vec::new(),
        };
        let mut often = Vec::with_capacity(width);
        for label in 0..width {
            often.push(mean(&column(&all, label, width))? > 0.5);
        }
        let mut found = vec![(BaselineKind::UsualLabels, flags(often.repeat(held_out.len() / width)))];
        let answered = probed.probed_shares(&features);
        let answered = answered.map(|shares| flags(shares.iter().map(|share| *share > 0.5).collect()));
        found.extend(try_baseline(BaselineKind::LinearProbe, answered, emit));
        Ok(found)
    }
}
