//! Whether one scoring is better than another on the same rows, or whether that is chance.

use crate::error::{Error, Result};
pub use crate::protocol::{Comparison, Verdict};
use crate::random::Generator;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::metrics as msg;
use serde::{Deserialize, Serialize};

/// The paired bootstrap (Efron and Tibshirani, 1993; for text, Koehn, 2004): rows are drawn again with replacement, the same
/// rows for both scorings, and the difference of the scores is looked at over many such draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How many draws; 2,000 settle two digits of an interval.
    pub resamples: usize,
    /// The share of draws inside the interval, such as 0.95.
    pub confidence: f64,
    /// The run's seed.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            resamples: 2000,
            confidence: 0.95,
            seed: 0,
        }
    }
}

/// Below this many rows the bootstrap's interval is too narrow to decide anything.
pub const FEWEST_ROWS: usize = 10;

/// Whether a higher score is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// As accuracy.
    HigherIsBetter,
    /// As a loss.
    LowerIsBetter,
}

impl Bootstrap {
    /// Compares scores that are means over rows: `before[i]` and `after[i]` are of the same row.
    ///
    /// # Errors
    /// No rows, not as many of one as of the other, one that is not finite, or settings without sense.
    pub fn compare(&self, before: &[f64], after: &[f64]) -> Result<Comparison> {
        if before.len() != after.len() {
            let (before, after) = (before.len(), after.len());
            return Err(Error::data(msg::ScoresAgainst { before, after }));
        }
        if let Some(row) = (0..before.len()).find(|row| !(before[*row].is_finite() && after[*row].is_finite())) {
            return Err(Error::data(msg::ScoreNotFinite).row(row + 1));
        }
        let mean =
            |scores: &[f64], rows: &[usize]| rows.iter().map(|row| scores[*row]).sum::<f64>() / rows.len() as f64;
        self.compare_by(before.len(), |rows| (mean(before, rows), mean(after, rows)))
    }

    /// Compares scores that are no means, such as a macro F1: `scores` gives both for the rows it is shown, of `rows`.
    ///
    /// Draws for which a score is no number (the correlation of a constant) are left out.
    ///
    /// # Errors
    /// No rows, no score for all rows or for most draws, or settings without sense.
    pub fn compare_by(&self, rows: usize, scores: impl Fn(&[usize]) -> (f64, f64)) -> Result<Comparison> {
        if rows == 0 {
            return Err(Error::data(msg::NoRowsToCompare).remedy(msg::SetValSize));
        }
        if self.resamples == 0 || !(self.confidence > 0.0 && self.confidence < 1.0) {
            let (draws, confidence) = (self.resamples, self.confidence);
            return Err(Error::config(msg::DrawsAndConfidence { draws, confidence }));
        }
        let all: Vec<usize> = (0..rows).collect();
        let (before, after) = scores(&all);
        let mut generator = Generator::new(self.seed, "bootstrap");
        let mut drawn = all;
        let mut differences = Vec::with_capacity(self.resamples);
        for _ in 0..self.resamples {
            drawn.iter_mut().for_each(|row| *row = generator.below(rows));
            let (before, after) = scores(&drawn);
            differences.extend(Some(after - before).filter(|difference| difference.is_finite()));
        }
        if !(before.is_finite() && after.is_finite()) || 2 * differences.len() <= self.resamples {
            return Err(Error::data(msg::ScoreWithoutValue).remedy(msg::MoreRowsOrOtherMetric));
        }
        differences.sort_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        Ok(Comparison {
            before,
            after,
            difference: after - before,
            low: quantile(&differences, tail),
            high: quantile(&differences, 1.0 - tail),
            confidence: self.confidence,
            rows,
        })
    }
}

/// The value below which `share` of the sorted values lie, between neighbours in proportion.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

impl Comparison {
    /// What it comes to.
    pub fn verdict(&self, direction: Direction) -> Verdict {
        if self.rows < FEWEST_ROWS {
            return Verdict::NotDistinguishable;
        }
        match (self.low > 0.0, self.high < 0.0, direction) {
            (true, _, Direction::HigherIsBetter) | (_, true, Direction::LowerIsBetter) => Verdict::Better,
            (true, _, Direction::LowerIsBetter) | (_, true, Direction::HigherIsBetter) => Verdict::Worse,
            (false, false, _) => Verdict::NotDistinguishable,
        }
    }

    /// Both scores of `metric`, such as `accuracy`, and the interval of their difference, as a sentence.
    pub fn sentence(&self, metric: &str, direction: Direction) -> Message {
        let scores = msg::ScoresAre {
            metric,
            after: format!("{:.4}", self.after),
            before: format!("{:.4}", self.before),
        };
        if self.rows < FEWEST_ROWS {
            let (rows, needed) = (self.rows, FEWEST_ROWS);
            return msg::TooFewRows { scores, rows, needed }.into();
        }
        let interval = msg::Interval {
            difference: format!("{:+.4}", self.difference),
            // 1 − 0.95 is not 0.05 to the last bit.
            confidence: (self.confidence * 1e4).round() / 100.0,
            low: format!("{:+.4}", self.low),
            high: format!("{:+.4}", self.high),
            rows: self.rows,
        };
        match self.verdict(direction) {
            Verdict::NotDistinguishable => msg::MayBeChance { scores, interval }.into(),
            Verdict::Better | Verdict::Worse => msg::Significant { scores, interval }.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Direction = Direction::HigherIsBetter;
    const DOWN: Direction = Direction::LowerIsBetter;

    /// `count` rows, the first `right` of them right.
    fn hits(right: usize, count: usize) -> Vec<f64> {
        (0..count).map(|row| f64::from(u8::from(row < right))).collect()
    }

    #[test]
    fn a_clear_gain_is_better_and_its_interval_is_the_binomials() {
        let comparison = Bootstrap::default()
            .compare(&hits(50, 100), &hits(80, 100))
            .expect("scores");
        assert_eq!((comparison.before, comparison.after, comparison.rows), (0.5, 0.8, 100));
        // 30 of 100 rows changed: 0.3 ± 1.96·√(0.3·0.7/100) = 0.21 to 0.39.
        assert!(
            (comparison.low - 0.21).abs() < 0.015 && (comparison.high - 0.39).abs() < 0.015,
            "{comparison:?}"
        );
        assert_eq!(
            (comparison.verdict(UP), comparison.verdict(DOWN)),
            (Verdict::Better, Verdict::Worse)
        );
        let sentence = comparison.sentence("accuracy", UP).english();
        let start = "accuracy 0.8000 against 0.5000: the difference is +0.3000, and with 95% confidence between +0.2";
        assert!(sentence.starts_with(start), "{sentence}");
    }

    #[test]
    fn pairing_tells_what_the_means_alone_would_not() {
        // Rows differ a lot, but every row gains a little.
        let before: Vec<f64> = (0..20).map(f64::from).collect();
        let after: Vec<f64> = before
            .iter()
            .enumerate()
            .map(|(i, score)| score - 0.1 - 0.01 * (i % 3) as f64)
            .collect();
        let comparison = Bootstrap::default().compare(&before, &after).expect("scores");
        assert_eq!(comparison.verdict(DOWN), Verdict::Better);
        assert!(comparison.high < -0.1 && comparison.low > -0.12, "{comparison:?}");
    }

    #[test]
    fn a_few_rows_more_are_not_distinguishable_from_chance() {
        let comparison = Bootstrap::default()
            .compare(&hits(50, 100), &hits(51, 100))
            .expect("scores");
        assert_eq!(comparison.verdict(UP), Verdict::NotDistinguishable);
        let sentence = comparison.sentence("accuracy", UP).english();
        assert!(sentence.ends_with("so it may be chance."));
        let same = Bootstrap::default()
            .compare(&hits(5, 10), &hits(5, 10))
            .expect("scores");
        assert_eq!(
            (same.low, same.high, same.verdict(UP)),
            (0.0, 0.0, Verdict::NotDistinguishable)
        );
    }

    #[test]
    fn nine_rows_decide_nothing() {
        let comparison = Bootstrap::default().compare(&[0.0; 9], &[1.0; 9]).expect("scores");
        assert_eq!(comparison.verdict(UP), Verdict::NotDistinguishable);
        let sentence = comparison.sentence("accuracy", UP).english();
        assert!(sentence.contains("9 rows are too few"));
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let (before, after) = (hits(30, 80), hits(40, 80));
        let of = |seed| {
            Bootstrap {
                seed,
                ..Bootstrap::default()
            }
            .compare(&before, &after)
            .expect("scores")
        };
        assert_eq!(of(3), of(3));
        assert_eq!(of(3).difference, of(4).difference);
    }

    #[test]
    fn a_score_that_is_no_mean_is_compared_by_its_own_rule() {
        let bootstrap = Bootstrap::default();
        let (a, b) = (hits(10, 40), hits(30, 40));
        let by_rule = bootstrap.compare_by(40, |rows| {
            let sum = |scores: &[f64]| rows.iter().map(|row| scores[*row]).sum::<f64>() / rows.len() as f64;
            (sum(&a), sum(&b))
        });
        assert_eq!(by_rule, bootstrap.compare(&a, &b));
        assert!(bootstrap.compare_by(40, |_| (f64::NAN, 1.0)).is_err());
    }

    #[test]
    fn input_that_cannot_be_compared_is_refused() {
        let bootstrap = Bootstrap::default();
        assert!(bootstrap.compare(&[], &[]).is_err());
        assert!(bootstrap.compare(&[1.0], &[]).is_err());
        assert!(bootstrap.compare(&[1.0], &[f64::NAN]).is_err());
        for (resamples, confidence) in [(0, 0.95), (10, 1.0), (10, f64::NAN)] {
            let bootstrap = Bootstrap {
                resamples,
                confidence,
                seed: 0,
            };
            assert!(bootstrap.compare(&[1.0], &[1.0]).is_err());
        }
    }
}
