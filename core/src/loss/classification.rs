//! Losses of heads with one output a class or a label: cross-entropy, focal, binary cross-entropy, and the errors of
//! probabilities.
//!
//! Whatever is known before the forward pass (labels, weights, smoothing, what is ignored, the scale) is one matrix of
//! coefficients, made on the host in f64; the device computes log-probabilities and one product.

use super::IGNORE_INDEX;
use super::regression::{Penalty, penalty};
use crate::error::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData, activation::sigmoid};
use lorakeet_i18n::messages::metrics as msg;

/// Low enough that its exponential is 0, and far enough from f32's end to be multiplied.
const NEVER: f32 = -1e30;

/// How many rows of `labels` count: those that are not −100.
pub fn counted(labels: &[i32]) -> f64 {
    labels.iter().filter(|label| **label != IGNORE_INDEX).count() as f64
}

/// What cross-entropy with class weights is divided by: Σ w\[yᵢ\] over the rows that count, as torch has it.
pub fn weight_of(labels: &[i32], class_weights: &[f64]) -> f64 {
    let known = labels.iter().filter(|label| **label != IGNORE_INDEX);
    known.map(|label| weight(class_weights, *label as usize)).sum()
}

/// Cross-entropy of logits \[N, C\] and one class a row, −100 for rows that do not count.
///
/// scale · Σᵢ ((1 − e)·w\[yᵢ\]·(−log pᵢ\[yᵢ\]) + e/C·Σ_c w\[c\]·(−log pᵢ\[c\])), p = softmax(logits), e the label smoothing
/// (Szegedy et al., 2016), w the class weights (empty: all 1). The mean of torch and of transformers' label smoother is
/// obtained with scale = 1 / [`weight_of`]; without weights that is one over the rows that count.
///
/// # Errors
/// A label that is no class, or weights of another number than classes.
pub fn cross_entropy(
    logits: Tensor<2>,
    labels: &[i32],
    class_weights: &[f64],
    label_smoothing: f64,
    scale: f64,
) -> Result<Tensor<1>> {
    let [rows, classes] = logits.dims();
    check_labels(labels, rows, classes)?;
    check_list("class_weights", class_weights, classes)?;
    let spread = label_smoothing / classes as f64;
    let mut coefficients = vec![0.0; rows * classes];
    for (row, label) in coefficients.chunks_mut(classes.max(1)).zip(labels) {
        if *label == IGNORE_INDEX {
            continue;
        }
        for (class, coefficient) in row.iter_mut().enumerate() {
            let of_label = if class == *label as usize {
                1.0 - label_smoothing
            } else {
                0.0
            };
            *coefficient = (scale * weight(class_weights, class) * (of_label + spread)) as f32;
        }
    }
    let coefficients = constant(coefficients, [rows, classes], &logits.device());
    Ok((log_softmax(logits) * coefficients).sum().neg())
}

/// Focal loss (Lin et al., 2017) of logits \[N, C\] and one class a row, −100 for rows that do not count.
///
/// scale · Σᵢ α\[yᵢ\]·(1 − pᵢ)^γ·(−log pᵢ), pᵢ = softmax(logits)\[yᵢ\], α one weight a class (empty: all 1). The mean is had
/// with scale = 1 / [`counted`], whatever α is. p is σ of the log odds, xᵧ − log Σ exp(x) of the other classes.
///
/// # Errors
/// A label that is no class, or weights of another number than classes.
pub fn focal(logits: Tensor<2>, labels: &[i32], alpha: &[f64], gamma: f64, scale: f64) -> Result<Tensor<1>> {
    let [rows, classes] = logits.dims();
    check_labels(labels, rows, classes)?;
    check_list("alpha", alpha, classes)?;
    let device = logits.device();
    let (chosen, mask) = one_hot(labels, rows, classes);
    let scales = labels.iter().zip(&mask).map(|(label, mask)| match *mask {
        0.0 => 0.0,
        _ => (scale * weight(alpha, *label as usize)) as f32,
    });
    let scales = constant(scales.collect(), [rows, 1], &device);
    let never = constant(
        chosen.iter().map(|chosen| chosen * NEVER).collect(),
        [rows, classes],
        &device,
    );
    let chosen = constant(chosen, [rows, classes], &device);
    // Shifted first: near the row's maximum, where it matters, numbers are small and exact.
    let shifted = logits.clone() - logits.max_dim(1).detach();
    let odds = (shifted.clone() * chosen).sum_dim(1) - log_sum_exp(shifted + never);
    Ok((focal_term(odds, gamma) * scales).sum())
}

/// Focal loss of independent labels: logits and targets \[N, C\], each target 0 or 1.
///
/// scale · Σ α_t·(1 − p_t)^γ·(−log p_t), where for a label that applies p_t = σ(x) and α_t = α, else p_t = 1 − σ(x) and
/// α_t = 1 − α. `alpha` is one number for all labels or one each; empty: α_t = 1. The mean is obtained with a scale of
/// 1 / (N·C).
///
/// # Errors
/// Targets of another number than logits or other than 0 and 1; `alpha` of another number than labels.
pub fn focal_of_labels(logits: Tensor<2>, targets: &[f32], alpha: &[f64], gamma: f64, scale: f64) -> Result<Tensor<1>> {
    let [rows, labels] = logits.dims();
    check_targets(targets, rows, labels)?;
    let alpha = for_each("alpha", alpha, labels)?;
    if let Some(at) = targets.iter().position(|target| *target != 0.0 && *target != 1.0) {
        return Err(Error::data(msg::FocalTarget { got: targets[at] }).row(at / labels + 1));
    }
    let device = logits.device();
    let scales = targets.iter().enumerate().map(|(i, target)| {
        let alpha = alpha
            .get(i % labels)
            .map_or(1.0, |alpha| if *target == 1.0 { *alpha } else { 1.0 - alpha });
        (scale * alpha) as f32
    });
    let scales = constant(scales.collect(), [rows, labels], &device);
    let signs = constant(
        targets.iter().map(|target| 2.0 * target - 1.0).collect(),
        [rows, labels],
        &device,
    );
    Ok((focal_term(logits * signs, gamma) * scales).sum())
}

/// (1 − p)^γ·(−log p) with p = σ(log odds). (1 − p)^γ is exp(−γ·softplus(log odds)), so that value and gradient are finite,
/// and nothing is lost by subtraction, for every p and γ.
fn focal_term(odds: Tensor<2>, gamma: f64) -> Tensor<2> {
    (softplus(odds.clone()) * -gamma).exp() * softplus(odds.neg())
}

/// Binary cross-entropy of independent labels: logits and targets \[N, C\], each target from 0 to 1.
///
/// scale · Σ (w_c·t·(−log σ(x)) + (1 − t)·(−log(1 − σ(x)))), w the weights of labels that apply: one for all or one each;
/// empty: 1. The mean is obtained with a scale of 1 / (N·C).
///
/// # Errors
/// Targets of another number than logits, or outside of 0 to 1; weights of another number than labels.
pub fn bce(logits: Tensor<2>, targets: &[f32], pos_weight: &[f64], scale: f64) -> Result<Tensor<1>> {
    let [rows, labels] = logits.dims();
    check_targets(targets, rows, labels)?;
    let weights = for_each("pos_weight", pos_weight, labels)?;
    let device = logits.device();
    let applying = targets.iter().enumerate().map(|(i, target)| {
        let weight = weights.get(i % labels).unwrap_or(&1.0);
        (scale * weight * f64::from(*target)) as f32
    });
    let applying = constant(applying.collect(), [rows, labels], &device);
    let others = targets.iter().map(|target| (scale * (1.0 - f64::from(*target))) as f32);
    let others = constant(others.collect(), [rows, labels], &device);
    Ok((softplus(logits.clone().neg()) * applying + softplus(logits) * others).sum())
}

/// The error of probabilities: scale · Σ ρ(softmax(logits) − onehot(y)) over rows that count and all classes, ρ the
/// penalty. With ρ = e² this is the score of Brier (1950), over C. The mean is obtained with scale = 1 / (C·[`counted`]).
///
/// # Errors
/// A label that is no class.
pub fn error_of_classes(logits: Tensor<2>, labels: &[i32], rho: Penalty, scale: f64) -> Result<Tensor<1>> {
    let [rows, classes] = logits.dims();
    check_labels(labels, rows, classes)?;
    let device = logits.device();
    let (chosen, mask) = one_hot(labels, rows, classes);
    let chosen = constant(chosen, [rows, classes], &device);
    let scales = constant(
        mask.iter().map(|mask| mask * scale as f32).collect(),
        [rows, 1],
        &device,
    );
    Ok((penalty(log_softmax(logits).exp() - chosen, rho) * scales).sum())
}

/// The error of independent probabilities: scale · Σ ρ(σ(logits) − t), ρ the penalty. The mean is obtained with a scale of
/// 1 / (N·C).
///
/// # Errors
/// Targets of another number than logits, or outside of 0 to 1.
pub fn error_of_labels(logits: Tensor<2>, targets: &[f32], rho: Penalty, scale: f64) -> Result<Tensor<1>> {
    let [rows, labels] = logits.dims();
    check_targets(targets, rows, labels)?;
    let targets = constant(targets.to_vec(), [rows, labels], &logits.device());
    Ok(penalty(sigmoid(logits) - targets, rho).sum() * scale)
}

/// log Σ_c exp(x_c) of each row: \[N, C\] → \[N, 1\].
///
/// The maximum is subtracted without a gradient, which it does not change: it cancels.
pub(super) fn log_sum_exp(x: Tensor<2>) -> Tensor<2> {
    let most = x.clone().max_dim(1).detach();
    (x - most.clone()).exp().sum_dim(1).log() + most
}

/// log softmax of each row.
pub(super) fn log_softmax(x: Tensor<2>) -> Tensor<2> {
    let shifted = x.clone() - x.max_dim(1).detach();
    shifted.clone() - log_sum_exp(shifted)
}

/// log(1 + exp(x)), whose gradient is σ(x) everywhere: at 0 it is 1/2, so that a head of zeros learns.
pub(super) fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let most = x.clone().clamp_min(0.0).detach();
    (most.clone().neg().exp() + (x - most.clone()).exp()).log() + most
}

/// A tensor that is no parameter, where `device` is.
pub(super) fn constant<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// \[N, C\] with a 1 at each row's label, and \[N\] with a 1 where the row counts.
fn one_hot(labels: &[i32], rows: usize, classes: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut chosen, mut mask) = (vec![0.0; rows * classes], vec![0.0; rows]);
    for (row, label) in labels.iter().enumerate().filter(|(_, label)| **label != IGNORE_INDEX) {
        chosen[row * classes + *label as usize] = 1.0;
        mask[row] = 1.0;
    }
    (chosen, mask)
}

/// The weight of a class; 1 where there are none.
fn weight(weights: &[f64], class: usize) -> f64 {
    weights.get(class).copied().unwrap_or(1.0)
}

/// One number for all, as one for each of `labels`; nothing stays nothing.
fn for_each(name: &str, list: &[f64], labels: usize) -> Result<Vec<f64>> {
    if let [one] = list {
        return Ok(vec![*one; labels]);
    }
    check_list(name, list, labels)?;
    Ok(list.to_vec())
}

fn check_list(name: &str, list: &[f64], outputs: usize) -> Result<()> {
    if list.is_empty() || list.len() == outputs {
        return Ok(());
    }
    let found = list.len();
    Err(Error::config(msg::ListLength { name, found, outputs }).field("loss"))
}

fn check_labels(labels: &[i32], rows: usize, classes: usize) -> Result<()> {
    if labels.len() != rows {
        let labels = labels.len();
        return Err(Error::data(msg::LabelsForRows { labels, rows }));
    }
    let is_wrong =
        |label: &i32| *label != IGNORE_INDEX && usize::try_from(*label).map_or(true, |label| label >= classes);
    match labels.iter().position(is_wrong) {
        Some(row) => {
            let label = labels[row];
            Err(Error::data(msg::LabelOutside { label, classes }).row(row + 1))
        }
        None => Ok(()),
    }
}

fn check_targets(targets: &[f32], rows: usize, labels: usize) -> Result<()> {
    if targets.len() != rows * labels {
        let targets = targets.len();
        return Err(Error::data(msg::TargetsForLabels { targets, rows, labels }));
    }
    match targets.iter().position(|target| !(0.0..=1.0).contains(target)) {
        Some(at) => Err(Error::data(msg::TargetNotShare { got: targets[at] }).row(at / labels + 1)),
        None => Ok(()),
    }
}
