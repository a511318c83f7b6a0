//! Losses of heads that give a number: squared, absolute, and Huber's in two scalings.

use super::classification::constant;
use crate::error::{Error, Result};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::metrics as msg;

/// What an error e = predicted − target costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Penalty {
    /// e².
    Square,
    /// |e|; its gradient is 0 where e is 0.
    Magnitude,
    /// e²/2 where |e| < δ, else δ·(|e| − δ/2) (Huber, 1964).
    Huber(f64),
    /// Huber's with δ = β, over β: e²/(2β) where |e| < β, else |e| − β/2 (Girshick, 2015).
    SmoothL1(f64),
}

/// scale · Σᵢ ρ(predictedᵢ − targetᵢ), both \[N\]. The mean is obtained with a scale of 1 / N.
///
/// # Errors
/// Targets of another number than predictions, or not finite.
pub fn regression(predicted: Tensor<1>, targets: &[f32], rho: Penalty, scale: f64) -> Result<Tensor<1>> {
    let [rows] = predicted.dims();
    if targets.len() != rows {
        let targets = targets.len();
        return Err(Error::data(msg::TargetsForRows { targets, rows }));
    }
    if let Some(row) = targets.iter().position(|target| !target.is_finite()) {
        return Err(Error::data(msg::TargetNotFinite { got: targets[row] }).row(row + 1));
    }
    let targets = constant(targets.to_vec(), [rows], &predicted.device());
    Ok(penalty(predicted - targets, rho).sum() * scale)
}

/// ρ of each error.
pub(super) fn penalty<const D: usize>(error: Tensor<D>, rho: Penalty) -> Tensor<D> {
    match rho {
        Penalty::Square => error.clone() * error,
        Penalty::Magnitude => error.abs(),
        Penalty::Huber(delta) => huber(error, delta),
        Penalty::SmoothL1(beta) => huber(error, beta) / beta,
    }
}

/// c·(e − c/2) with c = e, but at most δ and at least −δ: both branches in one, and with c a constant the gradient is c,
/// as it should be.
fn huber<const D: usize>(error: Tensor<D>, delta: f64) -> Tensor<D> {
    let c = error.clone().clamp(-delta, delta).detach();
    c.clone() * (error - c / 2.0)
}
