//! Direct preference optimisation: the better answer is to gain on the worse one, measured from a reference.

use super::IGNORE_INDEX;
use super::classification::{constant, log_softmax, softplus};
use crate::error::{Error, Result};
use burn::tensor::Tensor;

/// DPO (Rafailov et al., 2023) with conservative smoothing (Mitchell, 2023), from log-probabilities of whole answers \[N\].
///
/// z = β·((pc − pr) − (rc − rr)), p of the policy and r of the reference, c of the chosen and r of the rejected answer;
/// scale · Σ −(1 − e)·log σ(z) − e·log σ(−z). The mean is had with a scale of 1 / N.
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
        return Err(Error::data(format!("{rows} chosen answers against {found} numbers")));
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

/// The log-probability of each row's answer: logits \[B, T, V\], labels B·T → \[B\].
///
/// Σ over t of log softmax(logits\[t\])\[label\[t + 1\]\] where that label is not −100. It holds all logits at once: for
/// tests and small vocabularies.
///
/// # Errors
/// Not as many labels as tokens, or a label that is not in the vocabulary.
pub fn answer_log_probabilities(logits: Tensor<3>, labels: &[i32]) -> Result<Tensor<1>> {
    let [rows, tokens, vocabulary] = logits.dims();
    if labels.len() != rows * tokens {
        return Err(Error::data(format!(
            "{} labels for {rows} rows of {tokens} tokens",
            labels.len()
        )));
    }
    let mut chosen = vec![0.0; rows * tokens * vocabulary];
    for (at, label) in labels.iter().enumerate() {
        // A row's first label has no token in front of it.
        if *label == IGNORE_INDEX || at % tokens == 0 {
            continue;
        }
        let place = usize::try_from(*label)
            .ok()
            .filter(|label| *label < vocabulary)
            .ok_or_else(|| {
                Error::data(format!("label {label}, and the vocabulary has {vocabulary} tokens")).row(at / tokens + 1)
            })?;
        chosen[(at - 1) * vocabulary + place] = 1.0;
    }
    let chosen = constant(chosen, [rows * tokens, vocabulary], &logits.device());
    let log_p = log_softmax(logits.reshape([rows * tokens, vocabulary])) * chosen;
    Ok(log_p.reshape([rows, tokens * vocabulary]).sum_dim(1).reshape([rows]))
}
