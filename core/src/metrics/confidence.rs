//! What a model's own certainty is worth: ROC-AUC, average precision, calibration.

use super::{check_rows, mean};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::metrics as msg;
use std::cmp::Ordering;

/// The chance that a row that is positive scores above one that is not, ties counting one half: the area under the ROC
/// curve, by Mann and Whitney's statistic. NaN where all rows are of one kind.
///
/// # Errors
/// No rows, not as many scores as rows, or a score that is no number.
pub fn roc_auc(truth: &[bool], scores: &[f64]) -> Result<f64> {
    let (mut positive, mut negative, mut area) = (0.0, 0.0, 0.0);
    for tied in thresholds(truth, scores)? {
        let (above, here) = (positive, tied.positive);
        area += tied.negative * (above + here / 2.0);
        positive += tied.positive;
        negative += tied.negative;
    }
    Ok(if positive * negative == 0.0 {
        f64::NAN
    } else {
        area / (positive * negative)
    })
}

/// Σ over thresholds, from the highest score down, of (recall − recall before)·precision; equal scores are one threshold.
/// 0 where no row is positive.
///
/// # Errors
/// No rows, not as many scores as rows, or a score that is no number.
pub fn average_precision(truth: &[bool], scores: &[f64]) -> Result<f64> {
    let all = truth.iter().filter(|positive| **positive).count() as f64;
    let (mut positive, mut found, mut area) = (0.0, 0.0, 0.0);
    for tied in thresholds(truth, scores)? {
        positive += tied.positive;
        found += tied.positive + tied.negative;
        // Without positive rows every step is 0.
        area += tied.positive / all.max(1.0) * (positive / found);
    }
    Ok(area)
}

/// How many rows of each kind share a score.
struct Tied {
    positive: f64,
    negative: f64,
}

/// The distinct scores, from the highest down.
fn thresholds(truth: &[bool], scores: &[f64]) -> Result<Vec<Tied>> {
    check_rows(truth.len(), scores.len())?;
    if let Some(row) = scores.iter().position(|score| score.is_nan()) {
        return Err(Error::data(msg::ScoreNotANumber).row(row + 1));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].partial_cmp(&scores[*a]).unwrap_or(Ordering::Equal));
    let count = |rows: &[usize], kind: bool| rows.iter().filter(|row| truth[**row] == kind).count() as f64;
    let tied = order.chunk_by(|a, b| scores[*a] == scores[*b]);
    Ok(tied
        .map(|rows| Tied {
            positive: count(rows, true),
            negative: count(rows, false),
        })
        .collect())
}

/// Whether answers that a model is c certain of are right c of the time (Guo et al., 2017).
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Equal parts of 0 to 1, in order.
    pub bins: Vec<Bin>,
}

/// The answers whose certainty is above `from` and at most `to`; the first bin has 0 as well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Lower end.
    pub from: f64,
    /// Upper end.
    pub to: f64,
    /// How many answers.
    pub count: usize,
    /// Their mean certainty; NaN where there are none.
    pub confidence: f64,
    /// The share of them that is right; NaN where there are none.
    pub accuracy: f64,
}

impl Calibration {
    /// Sorts answers by the probability that the model gave to them.
    ///
    /// # Errors
    /// No rows, not as many probabilities as rows, one outside of 0 to 1, or no bins.
    pub fn new(right: &[bool], confidences: &[f64], bins: usize) -> Result<Self> {
        check_rows(right.len(), confidences.len())?;
        if bins == 0 {
            return Err(Error::config(msg::NoBins));
        }
        if let Some(row) = confidences.iter().position(|c| !(0.0..=1.0).contains(c)) {
            return Err(Error::data(msg::NotAProbability { got: confidences[row] }).row(row + 1));
        }
        let end = |bin: usize| bin as f64 / bins as f64;
        let mut sorted: Vec<Vec<(f64, bool)>> = vec![Vec::new(); bins];
        for (confidence, right) in confidences.iter().zip(right) {
            let mut bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
            // The product may have been rounded over an end.
            if bin > 0 && *confidence <= end(bin) {
                bin -= 1;
            } else if bin + 1 < bins && *confidence > end(bin + 1) {
                bin += 1;
            }
            sorted[bin].push((*confidence, *right));
        }
        let bins = sorted.into_iter().enumerate().map(|(bin, answers)| Bin {
            from: end(bin),
            to: end(bin + 1),
            count: answers.len(),
            confidence: mean(answers.iter().map(|(confidence, _)| *confidence)),
            accuracy: mean(answers.iter().map(|(_, right)| f64::from(u8::from(*right)))),
        });
        Ok(Self { bins: bins.collect() })
    }

    /// Expected calibration error: Σ over bins of count / rows · |accuracy − confidence|, from 0 to 1.
    pub fn ece(&self) -> f64 {
        let rows: usize = self.bins.iter().map(|bin| bin.count).sum();
        let gaps = self
            .filled()
            .map(|bin| bin.count as f64 * (bin.accuracy - bin.confidence).abs());
        gaps.sum::<f64>() / rows as f64
    }

    /// The largest |accuracy − confidence| of a bin.
    pub fn largest_gap(&self) -> f64 {
        let gaps = self.filled().map(|bin| (bin.accuracy - bin.confidence).abs());
        gaps.fold(0.0, f64::max)
    }

    fn filled(&self) -> impl Iterator<Item = &Bin> {
        self.bins.iter().filter(|bin| bin.count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_compares_certainty_and_accuracy_bin_by_bin() {
        let right = [true, false, true, true, false];
        let calibration = Calibration::new(&right, &[0.9, 0.8, 0.55, 0.5, 0.0], 5).expect("probabilities");
        let counts: Vec<usize> = calibration.bins.iter().map(|bin| bin.count).collect();
        // 0.8 is the end of the fourth bin and belongs to it, as 0 does to the first.
        assert_eq!(counts, [1, 0, 2, 1, 1]);
        let wanted = (0.0 + 2.0 * (1.0 - 0.525) + 0.8 + (1.0 - 0.9)) / 5.0;
        assert!((calibration.ece() - wanted).abs() < 1e-12);
        assert!((calibration.largest_gap() - 0.8).abs() < 1e-12);
        assert!(calibration.bins[1].accuracy.is_nan());
    }

    #[test]
    fn every_end_of_a_bin_belongs_to_the_bin_below() {
        for bins in 1..60 {
            for end in 1..=bins {
                let confidence = f64::from(end) / f64::from(bins);
                let calibration = Calibration::new(&[true], &[confidence], bins as usize).expect("a probability");
                let filled = calibration.bins.iter().position(|bin| bin.count == 1);
                assert_eq!(filled, Some(end as usize - 1), "{end} of {bins}");
            }
        }
    }

    #[test]
    fn certain_and_right_is_calibrated() {
        let calibration = Calibration::new(&[true; 4], &[1.0; 4], 10).expect("probabilities");
        assert_eq!((calibration.ece(), calibration.largest_gap()), (0.0, 0.0));
    }
}
