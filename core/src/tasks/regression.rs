//! Numbers for a row.

use super::baselines::{Probed, column, try_baseline};
use super::predictions::labels_of_rows;
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

pub(crate) struct Regression;

impl Rules for Regression {
    const LABELS: Option<LabelKind> = Some(LabelKind::Numbers);
    const PROBLEM: Option<Problem> = Some(Problem::Regression);

    fn compared<'b>(_loss: &WeightedSum, outputs: Tensor<2>, batch: &'b Batch) -> Result<Compared<'b>> {
        let [rows, width] = outputs.dims();
        Ok(Compared::Numbers {
            predicted: outputs.reshape([rows * width]),
            targets: (&batch.row_labels).into(),
        })
    }

    fn answers(spec: &TaskSpec, examples: &[Example], outputs: &[f32], width: usize) -> Option<Predictions> {
        let unscaled = |(i, value): (usize, f32)| spec.scaling.unscaled(i % width, f64::from(value));
        Some(Predictions::Numbers {
            targets: width,
            truth: labels_of_rows(examples).enumerate().map(unscaled).collect(),
            predicted: outputs.iter().copied().enumerate().map(unscaled).collect(),
        })
    }

    async fn baselines(probed: Probed<'_>, emit: &mut Emit<'_>) -> Result<Vec<(BaselineKind, Predictions)>> {
        let Some(features) = probed.features(emit).await? else {
            return Ok(Vec::new());
        };
        let (spec, width, held_out, all) = (
            probed.spec,
            probed.width,
            probed.held_out_labels(),
            probed.train_labels(),
        );
        let unscaled = |(i, value): (usize, f64)| spec.scaling.unscaled(i % width, value);
        let numbers = |predicted: Vec<f64>| Predictions::Numbers {
            targets: width,
            truth: held_out
                .iter()
                .map(|&v| f64::from(v))
                .enumerate()
                .map(unscaled)
                .collect(),
            predicted: predicted.into_iter().enumerate().map(unscaled).collect(),
        };
        let mut means = Vec::with_capacity(width);
        for target in 0..width {
            means.push(mean(&column(&all, target, width))?);
        }
        let mut found = Vec::new();
        if spec.is_forecast() && width == 1 {
            // Rows are consecutive windows, so the last input of a row is the target of the row before.
            let before = all.last().into_iter().chain(&held_out).take(held_out.len());
            let before = before.map(|&value| f64::from(value));
            found.push((BaselineKind::LastValue, numbers(before.collect())));
        }
        found.push((
            BaselineKind::TrainingMean,
            numbers(means.repeat(held_out.len() / width)),
        ));
        let answered = probed.probed_numbers(&features).map(numbers);
        found.extend(try_baseline(BaselineKind::LinearProbe, answered, emit));
        Ok(found)
    }

    fn label(_spec: &TaskSpec, target: &Target) -> Vec<String> {
        super::predictions::numbers_of(target)
    }
}
