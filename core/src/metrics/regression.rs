//! Numbers against numbers: errors, and how far one goes with the other.

use super::{check_rows, mean};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::metrics as msg;
use std::cmp::Ordering;

/// Mean (x − y)².
///
/// # Errors
/// No rows, or not as many answers as rows.
pub fn mse(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    check_rows(truth.len(), predicted.len())?;
    Ok(mean(errors(truth, predicted).map(|error| error * error)))
}

/// √ of [`mse`], in the unit of the numbers.
///
/// # Errors
/// As [`mse`].
pub fn rmse(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    mse(truth, predicted).map(f64::sqrt)
}

/// Mean |x − y|.
///
/// # Errors
/// As [`mse`].
pub fn mae(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    check_rows(truth.len(), predicted.len())?;
    Ok(mean(errors(truth, predicted).map(f64::abs)))
}

/// R² = 1 − Σ(x − y)² / Σ(y − ȳ)²: the share of the truth's variance that is explained; below 0 where the mean would be
/// better. Where the truth is constant 1 if all is exact, else 0; NaN of one row.
///
/// # Errors
/// As [`mse`].
pub fn r2(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    check_rows(truth.len(), predicted.len())?;
    if truth.len() < 2 {
        return Ok(f64::NAN);
    }
    let middle = mean(truth.iter().copied());
    let left: f64 = errors(truth, predicted).map(|error| error * error).sum();
    let total: f64 = truth.iter().map(|value| (value - middle).powi(2)).sum();
    Ok(match (left == 0.0, total == 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => 1.0 - left / total,
    })
}

/// Pearson's correlation, from −1 to 1; NaN where either side is constant.
///
/// # Errors
/// Fewer than two rows, or not as many answers as rows.
pub fn pearson(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    check_rows(truth.len(), predicted.len())?;
    if truth.len() < 2 {
        return Err(Error::data(msg::CorrelationOfOneRow));
    }
    Ok(correlation(truth, predicted))
}

/// Spearman's correlation: Pearson's of ranks, ties having the mean of theirs. NaN of fewer than two rows, and where either
/// side is constant.
///
/// # Errors
/// Not as many answers as rows.
pub fn spearman(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    if truth.len() == predicted.len() && truth.len() < 2 {
        return Ok(f64::NAN);
    }
    check_rows(truth.len(), predicted.len())?;
    if truth.iter().chain(predicted).any(|value| value.is_nan()) {
        return Ok(f64::NAN);
    }
    Ok(correlation(&ranks(truth), &ranks(predicted)))
}

/// Kendall's τ-b: (concordant − discordant) / √((pairs − ties in x)·(pairs − ties in y)). NaN as [`spearman`]'s. Its time
/// grows with the square of the rows.
///
/// # Errors
/// Not as many answers as rows.
pub fn kendall_tau_b(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    if truth.len() == predicted.len() && truth.len() < 2 {
        return Ok(f64::NAN);
    }
    check_rows(truth.len(), predicted.len())?;
    if truth.iter().chain(predicted).any(|value| value.is_nan()) {
        return Ok(f64::NAN);
    }
    let (mut agreement, mut of_truth, mut of_answers) = (0.0, 0.0, 0.0);
    let direction = |a: f64, b: f64| f64::from(i8::from(a > b)) - f64::from(i8::from(a < b));
    for i in 0..truth.len() {
        for j in 0..i {
            let (right, answer) = (direction(truth[i], truth[j]), direction(predicted[i], predicted[j]));
            agreement += right * answer;
            of_truth += right.abs();
            of_answers += answer.abs();
        }
    }
    // 0 / 0 is NaN, which is what a constant has.
    Ok(agreement / (of_truth * of_answers).sqrt())
}

fn errors<'a>(truth: &'a [f64], predicted: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    predicted.iter().zip(truth).map(|(answer, right)| answer - right)
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    // Asked of the values: their mean is rounded, and what is left of a constant need not be 0.
    let is_constant = |values: &[f64]| values.iter().all(|value| *value == values[0]);
    if is_constant(a) || is_constant(b) {
        return f64::NAN;
    }
    let centred = |values: &[f64]| -> Vec<f64> {
        let middle = mean(values.iter().copied());
        values.iter().map(|value| value - middle).collect()
    };
    let (a, b) = (centred(a), centred(b));
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    // Roots before the product, which could overflow.
    (dot(&a, &b) / (dot(&a, &a).sqrt() * dot(&b, &b).sqrt())).clamp(-1.0, 1.0)
}

/// Ranks from 1; ties have the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].partial_cmp(&values[*b]).unwrap_or(Ordering::Equal));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|place| ranks[*place] = rank);
        before += tied.len();
    }
    ranks
}
