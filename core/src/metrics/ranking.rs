//! How near the top the relevant items of a list come.

use super::{mean, share};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::metrics as msg;
use std::cmp::Ordering;

/// One query's items: how they were scored, and how relevant they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The grades in the order of scores, best first.
    ranked: Vec<f64>,
    /// How many neighbours of `ranked` share a score, in order.
    ties: Vec<usize>,
}

/// What an item of a grade is worth in [`Query::ndcg`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gain {
    /// The grade (Järvelin and Kekäläinen, 2002).
    Linear,
    /// 2^grade − 1 (Burges et al., 2005).
    Exponential,
}

/// What becomes of items with equal scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    /// The one that stands first in the list stays first.
    ByPlace,
    /// Each has the mean gain of them all (McSherry and Najork, 2008), as in scikit-learn.
    Averaged,
}

impl Query {
    /// Items with these scores and grades; a grade above 0 is relevant. A score that is no number ranks last.
    ///
    /// # Errors
    /// Not as many scores as grades, or a grade that is negative or not finite.
    pub fn new(scores: &[f64], grades: &[f64]) -> Result<Self> {
        if scores.len() != grades.len() {
            let (scores, items) = (scores.len(), grades.len());
            return Err(Error::data(msg::ScoresForItems { scores, items }));
        }
        if let Some(got) = grades.iter().find(|grade| !(grade.is_finite() && **grade >= 0.0)) {
            return Err(Error::data(msg::GradeInvalid { got }));
        }
        let score = |item: usize| {
            if scores[item].is_nan() {
                f64::NEG_INFINITY
            } else {
                scores[item]
            }
        };
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| score(*b).partial_cmp(&score(*a)).unwrap_or(Ordering::Equal));
        Ok(Self {
            ranked: order.iter().map(|item| grades[*item]).collect(),
            ties: order
                .chunk_by(|a, b| score(*a) == score(*b))
                .map(<[usize]>::len)
                .collect(),
        })
    }

    /// 1 / rank of the first relevant item; 0 where there is none.
    pub fn reciprocal_rank(&self) -> f64 {
        let first = self.ranked.iter().position(|grade| *grade > 0.0);
        first.map_or(0.0, |place| 1.0 / (place as f64 + 1.0))
    }

    /// The mean, over relevant items, of the share of relevant ones down to each; 0 where there is none.
    pub fn average_precision(&self) -> f64 {
        let (mut found, mut sum) = (0.0, 0.0);
        for (place, _) in self.ranked.iter().enumerate().filter(|(_, grade)| **grade > 0.0) {
            found += 1.0;
            sum += found / (place as f64 + 1.0);
        }
        share(sum, found)
    }

    /// The share of relevant items that are among the first k; 0 where there is none.
    pub fn recall(&self, k: usize) -> f64 {
        let relevant = |grades: &[f64]| grades.iter().filter(|grade| **grade > 0.0).count() as f64;
        share(
            relevant(&self.ranked[..k.min(self.ranked.len())]),
            relevant(&self.ranked),
        )
    }

    /// NDCG@k: Σ over the first k of gain / log₂(rank + 1), over the same of the best order; 0 where nothing has a gain.
    pub fn ndcg(&self, k: usize, gain: Gain, ties: Ties) -> f64 {
        let gain = |grade: &f64| match gain {
            Gain::Linear => *grade,
            Gain::Exponential => grade.exp2() - 1.0,
        };
        let mut gains: Vec<f64> = self.ranked.iter().map(gain).collect();
        let mut best = gains.clone();
        best.sort_by(|a, b| b.total_cmp(a));
        if ties == Ties::Averaged {
            let mut rest = gains.as_mut_slice();
            for length in &self.ties {
                let (tied, after) = rest.split_at_mut(*length);
                let each = mean(tied.iter().copied());
                tied.fill(each);
                rest = after;
            }
        }
        let discounted = |gains: &[f64]| -> f64 {
            let first = gains.iter().take(k).enumerate();
            first.map(|(place, gain)| gain / (place as f64 + 2.0).log2()).sum()
        };
        share(discounted(&gains), discounted(&best))
    }
}

/// The mean of a score over queries, those without a relevant item included; NaN of none. MRR is the mean of
/// [`Query::reciprocal_rank`], MAP that of [`Query::average_precision`].
pub fn over_queries(queries: &[Query], score: impl Fn(&Query) -> f64) -> f64 {
    mean(queries.iter().map(score))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_the_relevant_items_among_the_first() {
        let query = Query::new(&[0.9, 0.1, 0.8, 0.5, f64::NAN], &[1.0, 1.0, 0.0, 2.0, 1.0]).expect("grades");
        let found: Vec<f64> = (0..7).map(|k| query.recall(k)).collect();
        assert_eq!(found, [0.0, 0.25, 0.25, 0.5, 0.75, 1.0, 1.0]);
        let nothing = Query::new(&[1.0], &[0.0]).expect("grades");
        assert_eq!(nothing.recall(1), 0.0);
    }
}
