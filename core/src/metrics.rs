//! How good a model's answers are, by task: plain numbers in, plain numbers out, in f64.
//!
//! Behind training, in front of the report: [`bootstrap`] (is one scoring better than another on the same rows, or by chance),
//! [`classification`], [`multi_label`], [`confidence`] (calibration, ROC, precision
//! and recall), [`regression`], [`ranking`], [`text`] (perplexity, ROUGE-L, chrF), [`preference`]; [`answers`] and
//! [`generation`] have them by name; [`slices`] has them of parts of the rows. [`threshold`] and [`sign_test`] are what front
//! ends compute themselves, and all that is there without the feature `files`. Values agree with scikit-learn's and scipy's,
//! whose rules for degenerate input they follow: nothing to score is an error, and NaN says that a metric has no value for this
//! data (the correlation with a constant). Who shows a NaN writes `–`.

#[cfg(feature = "files")]
pub mod answers;
#[cfg(feature = "files")]
pub mod bootstrap;
#[cfg(feature = "files")]
pub mod classification;
#[cfg(feature = "files")]
pub mod confidence;
#[cfg(feature = "files")]
pub mod generation;
#[cfg(feature = "files")]
pub mod multi_label;
#[cfg(feature = "files")]
pub mod preference;
#[cfg(feature = "files")]
pub mod ranking;
#[cfg(feature = "files")]
pub mod regression;
pub mod sign_test;
#[cfg(feature = "files")]
pub mod slices;
#[cfg(feature = "files")]
pub mod text;
pub mod threshold;

#[cfg(feature = "files")]
use crate::error::{Error, Result};
#[cfg(feature = "files")]
use lorakeet_i18n::messages::metrics as msg;

/// Refuses nothing to score, and answers that are not one a row.
#[cfg(feature = "files")]
fn check_rows(truth: usize, predicted: usize) -> Result<()> {
    if truth != predicted {
        let (answers, rows) = (predicted, truth);
        return Err(Error::data(msg::AnswersForRows { answers, rows }));
    }
    if truth == 0 {
        return Err(Error::data(msg::NoRowsToScore).remedy(msg::SetValSize));
    }
    Ok(())
}

/// part / whole, and 0 where the whole is 0, as scikit-learn's `zero_division=0` has it.
fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// 2·p·r / (p + r) of a precision and a recall; 0 where both are.
fn harmonic(precision: f64, recall: f64) -> f64 {
    share(2.0 * precision * recall, precision + recall)
}

/// The mean; NaN of nothing.
#[cfg(feature = "files")]
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    sum / count
}
