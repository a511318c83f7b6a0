//! Direct preference optimisation: the better answer is to gain on the worse one, measured from a reference.

use super::classification::{constant, softplus};
use crate::error::{Error, Result};
use burn::tensor::{Int, Tensor, TensorData};
use lorakeet_i18n::messages::metrics as msg;

/// DPO (Rafailov et al., 2023) with conservative smoothing (Mitchell, 2023), from log-probabilities of whole answers \[N\].
///
/// z = β·((pc − pr) − (rc − rr)), p of the policy and r of the reference, c of the chosen and r of the rejected answer;
/// scale · Σ −(1 − e)·log σ(z) − e·log σ(−z). The mean is obtained with a scale of 1 / N.
///
/// # Errors
/// Not as many numbers of each kind.
pub fn dpo(
    policy: [Tensor<1>; 2],
    reference: [&[f32]; 2],
    beta: f64,
    label_smoothing: f64,
    scale: f64,
) -> Result<Tensor<1>> {
    let [chosen, rejected] = policy;
    let rows = chosen.dims()[0];
    let lengths = [rejected.dims()[0], reference[0].len(), reference[1].len()];
    if let Some(found) = lengths.into_iter().find(|length| *length != rows) {
        return Err(Error::data(msg::AnswersAgainstNumbers { rows, found }));
    }
    let of_reference = reference[0]
        .iter()
        .zip(reference[1])
        .map(|(chosen, rejected)| chosen - rejected);
    let of_reference = constant(of_reference.collect(), [rows], &chosen.device());
    let z = (chosen - rejected - of_reference) * beta;
    let right = softplus(z.clone().neg()) * ((1.0 - label_smoothing) * scale);
    Ok((right + softplus(z) * (label_smoothing * scale)).sum())
}

/// The log-probability of each row's answer → \[B, 1\]: Σ over t of log p(label\[t + 1\] | hidden\[t\]) where that label is not
/// −100; 0 of a row without any.
///
/// `hidden` is \[B·T, C\], `labels` B rows of T = `tokens`; `loss_of` gives the summed cross-entropy \[1\] of hidden states \[n, C\]
/// and their targets \[n\], so that logits are held a row's answer at a time at most.
pub fn answer_log_probabilities(
    hidden: &Tensor<2>,
    labels: &[i32],
    tokens: usize,
    loss_of: impl Fn(Tensor<2>, Tensor<1>) -> Tensor<1>,
) -> Tensor<2> {
    let device = hidden.device();
    let mut sums = Vec::new();
    for (row, labels) in labels.chunks(tokens).enumerate() {
        // A row's first label has no token in front of it.
        let counted = labels.iter().enumerate().skip(1).filter(|(_, label)| **label >= 0);
        let (places, targets): (Vec<i32>, Vec<f32>) = counted
            .map(|(t, &label)| ((row * tokens + t - 1) as i32, label as f32))
            .unzip();
        if places.is_empty() {
            sums.push(Tensor::zeros([1], &device));
            continue;
        }
        let count = places.len();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &device);
        let targets = Tensor::from_data(TensorData::new(targets, [count]), &device);
        sums.push(loss_of(hidden.clone().select(0, places), targets).neg());
    }
    let rows = sums.len();
    Tensor::cat(sums, 0).reshape([rows, 1])
}
