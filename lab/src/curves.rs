//! A run's numbers as curves: what the charts draw, computed without a browser; `shown` has the part that is zoomed into.

mod shown;

pub use shown::{COLUMNS, Measure, Window, clipped, extremes, log_axis, log_label, logarithms, smoothed};

use lorakeet_core::protocol::{EvalInfo, StepInfo};

/// Points that a line keeps at most; longer runs are averaged in buckets.
pub const POINTS: usize = 480;

/// Everything that a run has reported so far.
#[derive(Debug, Default, Clone)]
pub struct Curves {
    /// One entry an optimizer step.
    pub steps: Vec<StepInfo>,
    /// One entry a score of the validation split.
    pub evals: Vec<EvalInfo>,
    /// Steps planned.
    pub max_steps: usize,
}

/// A line in the plane of (step, value).
pub type Line = Vec<(f64, f64)>;

impl Curves {
    /// The training loss as reported.
    pub fn loss(&self) -> Line {
        self.line(|step| step.loss)
    }
    /// One number of each step; what is not finite is left out.
    pub fn line(&self, value: impl Fn(&StepInfo) -> f64) -> Line {
        let points = self.steps.iter().map(|step| (step.step as f64, value(step)));
        thinned(&points.filter(|point| point.1.is_finite()).collect::<Line>(), POINTS)
    }
    /// The validation loss.
    pub fn eval_loss(&self) -> Line {
        let points = self.evals.iter().map(|eval| (eval.step as f64, eval.loss));
        points.filter(|point| point.1.is_finite()).collect()
    }
}

/// At most `limit` points: neighbours are replaced by their mean.
pub fn thinned(line: &[(f64, f64)], limit: usize) -> Line {
    if line.len() <= limit {
        return line.to_vec();
    }
    let bucket = line.len().div_ceil(limit);
    let mean = |points: &[(f64, f64)]| {
        let n = points.len() as f64;
        let sum = points
            .iter()
            .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / n, sum.1 / n)
    };
    line.chunks(bucket).map(mean).collect()
}

/// A range and its round tick marks.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Low end.
    pub low: f64,
    /// High end, above `low`.
    pub high: f64,
    /// Where the marks are.
    pub ticks: Vec<f64>,
    /// Decimals that tell the marks apart.
    pub decimals: usize,
}

impl Axis {
    /// An axis that holds the values and ends at marks of 1, 2 or 5 times a power of ten, so that it seldom moves.
    pub fn around(values: impl Iterator<Item = f64>, marks: usize) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let (low, high) = if high - low < 1e-9 {
            (low - 0.05, high + 0.05)
        } else {
            (low, high)
        };
        let step = round_step((high - low) / marks.max(1) as f64);
        let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        Self {
            low: first as f64 * step,
            high: last as f64 * step,
            ticks: (first..=last).map(|index| index as f64 * step).collect(),
            decimals: (-step.log10().floor()).max(0.0) as usize,
        }
    }
    /// An axis of steps from 0 to `high` exactly, with round marks inside.
    pub fn steps(high: usize, marks: usize) -> Self {
        let high = high.max(1) as f64;
        let step = round_step(high / marks.max(1) as f64).max(1.0);
        let ticks = (0..)
            .map(|index| f64::from(index) * step)
            .take_while(|tick| *tick <= high)
            .collect();
        Self {
            low: 0.0,
            high,
            ticks,
            decimals: 0,
        }
    }
    /// An axis from `low` to `high` exactly, with round marks inside that lie `least` or more apart.
    pub fn between(low: f64, high: f64, marks: usize, least: f64) -> Self {
        let step = round_step((high - low) / marks.max(1) as f64).max(least);
        let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        Self {
            low,
            high,
            ticks: (first..=last).map(|index| index as f64 * step).collect(),
            decimals: (-step.log10().floor()).max(0.0) as usize,
        }
    }
    /// Where a value lies between the ends, 0 to 1.
    pub fn place(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

fn round_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let rest = raw / power;
    power
        * [1.0, 2.0, 5.0]
            .into_iter()
            .find(|step| rest <= *step + 1e-9)
            .unwrap_or(10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn step(step: usize, loss: f64) -> StepInfo {
        StepInfo {
            step,
            epoch: 0.0,
            loss,
            learning_rate: 0.0,
            grad_norm: 0.0,
            tokens_per_second: 0.0,
            num_input_tokens_seen: 0,
            eta_seconds: 0.0,
            seconds: 0.0,
            device_bytes: None,
        }
    }

    #[test]
    fn a_long_run_keeps_few_points_and_its_mean() {
        let steps = (1..=2000).map(|n| step(n, n as f64)).collect();
        let line = Curves {
            steps,
            ..Curves::default()
        }
        .loss();
        assert!(line.len() <= POINTS, "{} points", line.len());
        let first = line[0];
        assert_eq!(first, (3.0, 3.0));
    }

    #[test]
    fn a_loss_that_is_not_a_number_is_left_out() {
        let curves = Curves {
            steps: vec![step(1, 2.0), step(2, f64::NAN), step(3, 1.0)],
            ..Curves::default()
        };
        assert_eq!(curves.loss(), vec![(1.0, 2.0), (3.0, 1.0)]);
    }

    #[test]
    fn an_axis_ends_at_round_marks_around_its_values() {
        let axis = Axis::around([2.13, 4.87].into_iter(), 4);
        assert_eq!((axis.low, axis.high), (2.0, 5.0));
        assert_eq!(axis.ticks, vec![2.0, 3.0, 4.0, 5.0]);
        let flat = Axis::around([1.0, 1.0].into_iter(), 4);
        assert!(flat.low < 1.0 && flat.high > 1.0);
    }

    #[test]
    fn an_axis_of_steps_ends_at_the_last_step() {
        let axis = Axis::steps(30, 4);
        assert_eq!(axis.high, 30.0);
        assert_eq!(axis.ticks, vec![0.0, 10.0, 20.0, 30.0]);
    }
}
