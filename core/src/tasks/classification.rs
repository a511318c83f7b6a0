//! One class of several for a row.

use super::baselines::{Probed, column_of_classes, try_baseline};
use super::predictions::{labels_of_rows, largest, softmax};
use super::{Rules, TaskSpec};
use crate::baseline::constant::majority_class;
use crate::baseline::probe::NearestCentroid;
use crate::data::{Batch, Example, LabelKind, Target};
use crate::error::Result;
use crate::head_spec::Problem;
use crate::host::Emit;
use crate::loss::{Compared, WeightedSum};
use crate::metrics::answers::Predictions;
use crate::protocol::BaselineKind;
use burn::tensor::Tensor;

pub(crate) struct Classification;

impl Rules for Classification {
    const LABELS: Option<LabelKind> = Some(LabelKind::Class);
    const PROBLEM: Option<Problem> = Some(Problem::SingleLabel);

    fn class_of(example: &Example) -> Option<usize> {
        Some(match &example.target {
            Target::Row(labels) => labels.first().map_or(0, |class| *class as usize),
            _ => 0,
        })
    }

    fn compared<'b>(_loss: &WeightedSum, outputs: Tensor<2>, batch: &'b Batch) -> Result<Compared<'b>> {
        Ok(Compared::Classes {
            logits: outputs,
            labels: batch.row_labels.iter().map(|&class| class as i32).collect(),
        })
    }

    fn answers(_spec: &TaskSpec, examples: &[Example], outputs: &[f32], width: usize) -> Option<Predictions> {
        let probabilities = softmax(outputs, width);
        Some(Predictions::Classes {
            classes: width,
            truth: labels_of_rows(examples).map(|class| class as usize).collect(),
            predicted: probabilities.chunks(width).map(largest).collect(),
            probabilities,
        })
    }

    async fn baselines(probed: Probed<'_>, emit: &mut Emit<'_>) -> Result<Vec<(BaselineKind, Predictions)>> {
        let Some(features) = probed.features(emit).await? else {
            return Ok(Vec::new());
        };
        let width = probed.width;
        let truth = column_of_classes(&probed.held_out_labels());
        let classes = |predicted: Vec<usize>| Predictions::Classes {
            classes: width,
            truth: truth.clone(),
            predicted,
            probabilities: Vec::new(),
        };
        let most = majority_class(&column_of_classes(&probed.train_labels()))?;
        let mut found = vec![(BaselineKind::MajorityClass, classes(vec![most; truth.len()]))];
        let train = column_of_classes(&probed.probe_labels());
        let nearest = NearestCentroid::fit(&features.train, &train).and_then(|fit| fit.predict(&features.held_out));
        found.extend(try_baseline(BaselineKind::NearestCentroid, nearest.map(classes), emit));
        let probe = probed.probed_classes(&features, &train);
        found.extend(try_baseline(BaselineKind::LinearProbe, probe.map(classes), emit));
        Ok(found)
    }
}
