//! Where the runs of a sweep stand beside each other.

use crate::task::is_lower_better;
use std::cmp::Ordering;

/// How far a run has come and how good it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    /// Whether it is finished.
    pub is_finished: bool,
    /// The steps that it has done.
    pub step: usize,
    /// The metric that judges it, and its value.
    pub score: Option<(String, f64)>,
    /// Its newest held-out loss.
    pub loss: Option<f64>,
}

/// The number, or what comes behind all of them where it is none: of a run that diverged, or of an answer without a score.
pub(super) fn or_last(value: f64) -> f64 {
    if value.is_nan() { f64::INFINITY } else { value }
}

impl Standing {
    /// The better one first: finished runs by their metric and then by their loss, behind them those that came farther, behind
    /// those what has not begun.
    pub fn compare(one: Option<&Self>, other: Option<&Self>) -> Ordering {
        let key = |standing: Option<&Self>| -> (bool, usize, f64, f64) {
            let Some(standing) = standing else {
                return (true, usize::MAX, f64::INFINITY, f64::INFINITY);
            };
            let metric = match &standing.score {
                Some((metric, value)) if is_lower_better(metric) => or_last(*value),
                Some((_, value)) => or_last(-value),
                None => f64::INFINITY,
            };
            let farther = match standing.is_finished {
                true => 0,
                false => usize::MAX - standing.step,
            };
            let loss = standing.loss.map_or(f64::INFINITY, or_last);
            (!standing.is_finished, farther, metric, loss)
        };
        let (a, b) = (key(one), key(other));
        let order = (a.0, a.1).cmp(&(b.0, b.1));
        order.then(a.2.total_cmp(&b.2)).then(a.3.total_cmp(&b.3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_runs_come_first_by_their_metric_and_then_those_that_came_farther() {
        let of = |is_finished, step, score: Option<(&str, f64)>, loss| {
            Some(Standing {
                is_finished,
                step,
                score: score.map(|(metric, value)| (metric.to_owned(), value)),
                loss: Some(loss),
            })
        };
        let mut all = [
            None,
            of(false, 2, None, 0.1),
            of(true, 8, Some(("accuracy", 0.7)), 0.4),
            of(false, 4, None, 0.9),
            of(true, 8, Some(("accuracy", 0.9)), 0.6),
            of(true, 8, Some(("accuracy", 0.9)), 0.5),
        ];
        let order = |all: &[Option<Standing>]| -> Vec<Option<f64>> {
            let losses = all.iter().map(|one| one.as_ref().and_then(|one| one.loss));
            losses.collect()
        };
        all.sort_by(|a, b| Standing::compare(a.as_ref(), b.as_ref()));
        assert_eq!(
            order(&all),
            [Some(0.5), Some(0.6), Some(0.4), Some(0.9), Some(0.1), None]
        );
        // What is no number is no good score, whatever its sign.
        for none in [f64::NAN, -f64::NAN] {
            let mut all = [
                of(true, 8, Some(("spearman", none)), 0.1),
                of(true, 8, Some(("spearman", -0.5)), 0.2),
                of(true, 8, None, none),
                of(true, 8, None, 0.3),
            ];
            all.sort_by(|a, b| Standing::compare(a.as_ref(), b.as_ref()));
            assert_eq!(order(&all[..3]), [Some(0.2), Some(0.1), Some(0.3)]);
        }
        // Of an error the lower one is the better.
        let mut all = [
            of(true, 8, Some(("rmse", 2.0)), 0.1),
            of(true, 8, Some(("rmse", 1.0)), 0.2),
        ];
        all.sort_by(|a, b| Standing::compare(a.as_ref(), b.as_ref()));
        assert_eq!(order(&all), [Some(0.2), Some(0.1)]);
    }
}
