//! Where a classifier's probabilities are cut: how many answers are right at a threshold, what the wrong ones cost, and which
//! threshold costs least.

use super::{harmonic, share};
use crate::protocol::DecisionKind;

/// What a threshold makes of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// At or above it, and rightly.
    pub true_positives: u64,
    /// At or above it, and wrongly.
    pub false_positives: u64,
    /// Below it, and wrongly.
    pub false_negatives: u64,
    /// Below it, and rightly.
    pub true_negatives: u64,
}

/// What mistakes cost, in a unit of the person's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// A false positive; where answers can be refused, a wrong answer.
    pub false_positive: f64,
    /// A false negative; where answers can be refused, a row without an answer.
    pub false_negative: f64,
}

impl Counts {
    /// The counts of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            true_positives: self.true_positives + other.true_positives,
            false_positives: self.false_positives + other.false_positives,
            false_negatives: self.false_negatives + other.false_negatives,
            true_negatives: self.true_negatives + other.true_negatives,
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.true_positives + self.false_positives + self.false_negatives + self.true_negatives
    }

    /// The share of the rows at or above the threshold that is there rightly; 0 where there are none. Where answers can be
    /// refused it is the accuracy of those that are given.
    pub fn precision(&self) -> f64 {
        share(
            self.true_positives as f64,
            (self.true_positives + self.false_positives) as f64,
        )
    }

    /// The share of the rows that belong above the threshold that is there; 0 where there are none.
    pub fn recall(&self) -> f64 {
        share(
            self.true_positives as f64,
            (self.true_positives + self.false_negatives) as f64,
        )
    }

    /// The harmonic mean of both.
    pub fn f1(&self) -> f64 {
        harmonic(self.precision(), self.recall())
    }

    /// The share of the rows at or above the threshold.
    pub fn coverage(&self) -> f64 {
        share((self.true_positives + self.false_positives) as f64, self.rows() as f64)
    }

    /// What a row costs in the mean.
    pub fn cost(&self, kind: DecisionKind, costs: Costs) -> f64 {
        let missed = match kind {
            // Whoever gets no answer has to be answered in another way, whatever the model would have said.
            DecisionKind::Reject => self.false_negatives + self.true_negatives,
            DecisionKind::Binary | DecisionKind::Labels => self.false_negatives,
        };
        let sum = self.false_positives as f64 * costs.false_positive + missed as f64 * costs.false_negative;
        share(sum, self.rows() as f64)
    }
}

/// Rows by their probabilities, so that the counts of any threshold are found at once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cuts {
    /// From the highest down.
    probabilities: Vec<f64>,
    /// How many rows up to each of them, itself included, are positive.
    positives: Vec<u64>,
}

impl Cuts {
    /// Rows as whether they are positive, and with which probability.
    pub fn new(rows: impl Iterator<Item = (bool, f64)>) -> Self {
        let mut rows: Vec<(bool, f64)> = rows.collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut found = 0;
        let positives = rows.iter().map(|(is_positive, _)| {
            found += u64::from(*is_positive);
            found
        });
        Self {
            positives: positives.collect(),
            probabilities: rows.into_iter().map(|(_, probability)| probability).collect(),
        }
    }

    /// The counts where a row is answered from `threshold` on.
    pub fn at(&self, threshold: f64) -> Counts {
        self.first(
            self.probabilities
                .partition_point(|probability| *probability >= threshold),
        )
    }

    /// The counts where the first `answered` rows are.
    fn first(&self, answered: usize) -> Counts {
        let all = self.positives.last().copied().unwrap_or_default();
        let hits = answered.checked_sub(1).map_or(0, |last| self.positives[last]);
        let answered = answered as u64;
        Counts {
            true_positives: hits,
            false_positives: answered - hits,
            false_negatives: all - hits,
            true_negatives: self.probabilities.len() as u64 - answered - (all - hits),
        }
    }

    /// The threshold from 0 to 1 at which a row costs least; of several, the one nearest to one half. None without rows.
    pub fn cheapest(&self, kind: DecisionKind, costs: Costs) -> Option<f64> {
        let rows = self.probabilities.len();
        if rows == 0 {
            return None;
        }
        let cut = |answered: usize| {
            let low = self.probabilities.get(answered).copied();
            let high = answered.checked_sub(1).map_or(1.0, |last| self.probabilities[last]);
            match low {
                None => Some(0.0),
                // Rows of one probability are answered together, and those that are certain always.
                Some(low) if low >= high => None,
                Some(low) => Some(between(low, high)),
            }
        };
        let costed = |answered: usize| Some((self.first(answered).cost(kind, costs), cut(answered)?));
        let far = |threshold: f64| (threshold - 0.5).abs();
        let best = (0..=rows).filter_map(costed).min_by(|a, b| {
            let by_cost = a.0.total_cmp(&b.0);
            by_cost.then_with(|| far(a.1).total_cmp(&far(b.1)))
        });
        best.map(|(_, threshold)| threshold)
    }
}

/// A number above `low` and at most `high`, in the middle where that can be written with few decimals.
fn between(low: f64, high: f64) -> f64 {
    let middle = low + (high - low) / 2.0;
    let rounded = (2..=9).map(|decimals| {
        let unit = 10f64.powi(decimals);
        (middle * unit).round() / unit
    });
    let mut fitting = rounded.filter(|value| *value > low && *value <= high);
    fitting.next().unwrap_or(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five rows: 0.9 and 0.6 are positive, and 0.4; 0.7 and 0.2 are not.
    fn cuts() -> Cuts {
        let rows = [(true, 0.9), (false, 0.7), (true, 0.6), (true, 0.4), (false, 0.2)];
        Cuts::new(rows.into_iter())
    }

    fn counts(numbers: [u64; 4]) -> Counts {
        Counts {
            true_positives: numbers[0],
            false_positives: numbers[1],
            false_negatives: numbers[2],
            true_negatives: numbers[3],
        }
    }

    #[test]
    fn a_threshold_splits_the_rows_as_counting_does() {
        let cuts = cuts();
        assert_eq!(cuts.at(0.5), counts([2, 1, 1, 1]));
        // A row that lies on the threshold is above it.
        assert_eq!(cuts.at(0.9), counts([1, 0, 2, 2]));
        assert_eq!(cuts.at(0.0), counts([3, 2, 0, 0]));
        assert_eq!(cuts.at(1.0), counts([0, 0, 3, 2]));
        let half = cuts.at(0.5);
        assert_eq!((half.precision(), half.recall()), (2.0 / 3.0, 2.0 / 3.0));
        assert!((half.f1() - 2.0 / 3.0).abs() < 1e-15 && half.coverage() == 0.6);
        assert_eq!(cuts.at(1.0).precision(), 0.0, "of nothing");
    }

    #[test]
    fn a_cost_counts_the_mistakes_and_of_refusals_every_row_without_an_answer() {
        let costs = Costs {
            false_positive: 1.0,
            false_negative: 5.0,
        };
        let half = cuts().at(0.5);
        assert_eq!(half.cost(DecisionKind::Binary, costs), 6.0 / 5.0);
        assert_eq!(half.cost(DecisionKind::Reject, costs), 11.0 / 5.0);
    }

    #[test]
    fn the_cheapest_threshold_follows_the_costs() {
        let best = |false_positive, false_negative| {
            let costs = Costs {
                false_positive,
                false_negative,
            };
            cuts().cheapest(DecisionKind::Binary, costs).expect("rows")
        };
        // A miss is dear: everything positive is found, at the cost of one false alarm, between 0.2 and 0.4.
        assert_eq!(best(1.0, 5.0), 0.3);
        // A false alarm is dear: the one certain row alone, between 0.7 and 0.9.
        assert_eq!(best(5.0, 1.0), 0.8);
        assert_eq!(
            Cuts::default().cheapest(
                DecisionKind::Binary,
                Costs {
                    false_positive: 1.0,
                    false_negative: 1.0
                }
            ),
            None
        );
    }

    #[test]
    fn rows_of_one_probability_are_never_parted() {
        let cuts = Cuts::new([(true, 0.5), (false, 0.5), (false, 0.5)].into_iter());
        let costs = Costs {
            false_positive: 1.0,
            false_negative: 1.0,
        };
        let threshold = cuts.cheapest(DecisionKind::Binary, costs).expect("rows");
        assert_eq!((threshold, cuts.at(threshold)), (0.75, counts([0, 0, 1, 2])));
    }

    #[test]
    fn a_threshold_between_neighbours_parts_them() {
        for (low, high) in [(0.2, 0.4), (0.123456, 0.123457), (0.5, 0.5 + f64::EPSILON)] {
            let threshold = between(low, high);
            assert!(low < threshold && threshold <= high, "{low} {threshold} {high}");
        }
    }
}
