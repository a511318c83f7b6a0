//! The whole curve of a run in few points, as it is kept beside the run's record and shown beside other runs'.

use super::{EvalInfo, Metric, StepInfo, number};
use serde::{Deserialize, Serialize};

/// Points of the training loss, and scores, that a curve has at most.
const MOST_POINTS: usize = 480;

/// The training loss and the scores of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunCurve {
    /// The training loss, in the order of the steps.
    pub points: Vec<CurvePoint>,
    /// The scores of the held-out rows, in the order of the steps; that before the first step is at 0.
    pub evals: Vec<CurveEval>,
    /// How many reports make a point; 0 and 1 are one.
    #[serde(default)]
    pub reports_a_point: usize,
}

/// The mean training loss of one report, or of several that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The step of the last of them.
    pub step: usize,
    /// Their mean loss.
    #[serde(with = "number")]
    pub loss: f64,
    /// Tokens seen by then; 0 where that was not kept.
    pub tokens: u64,
    /// Seconds since the run began by then, without those in which it did not run; 0 where that was not kept.
    #[serde(with = "number")]
    pub seconds: f64,
    /// How many reports they are.
    pub reports: usize,
}

/// A score of the held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveEval {
    /// Optimizer steps done.
    pub step: usize,
    /// Tokens seen by then; 0 where that was not kept.
    pub tokens: u64,
    /// Seconds since the run began by then; 0 where that was not kept.
    #[serde(with = "number")]
    pub seconds: f64,
    /// The loss.
    #[serde(with = "number")]
    pub loss: f64,
    /// The task's metrics.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

/// What a curve is drawn over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CurveAxis {
    /// Optimizer steps.
    #[default]
    Step,
    /// Tokens seen.
    Tokens,
    /// Seconds of training.
    Seconds,
}

impl CurveAxis {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Step, Self::Tokens, Self::Seconds];

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Tokens => "tokens",
            Self::Seconds => "time",
        }
    }

    /// Where something is on it; none where that was not kept.
    fn place(self, step: usize, tokens: u64, seconds: f64) -> Option<f64> {
        match self {
            Self::Step => Some(step as f64),
            Self::Tokens => (step == 0 || tokens > 0).then_some(tokens as f64),
            Self::Seconds => (step == 0 || seconds > 0.0).then_some(seconds),
        }
    }
}

impl CurvePoint {
    /// Both as one.
    fn joined(&self, next: &Self) -> Self {
        let reports = self.reports + next.reports;
        let sum = self.loss * self.reports as f64 + next.loss * next.reports as f64;
        Self {
            loss: sum / reports.max(1) as f64,
            reports,
            ..*next
        }
    }
}

impl CurveEval {
    /// The value of a metric, `loss` among them.
    pub fn value(&self, metric: &str) -> Option<f64> {
        match metric {
            "loss" => Some(self.loss),
            "perplexity" => Some(self.loss.exp()),
            _ => {
                let found = self.metrics.iter().find(|known| known.name == metric);
                found.map(|metric| metric.value)
            }
        }
    }
}

impl RunCurve {
    /// The curve of a run of which only its reports are known.
    pub fn of_reports(steps: &[StepInfo], evals: &[EvalInfo]) -> Self {
        let mut curve = Self::default();
        for step in steps {
            curve.add_step(step);
        }
        for eval in evals {
            let upto = steps.partition_point(|step| step.step <= eval.step);
            let before = upto.checked_sub(1).map(|place| &steps[place]);
            let (tokens, seconds) = before.map_or((0, 0.0), |step| (step.num_input_tokens_seen, step.seconds));
            curve.add_eval(eval, tokens, seconds);
        }
        curve
    }

    /// The curve as reports of a run; what was not kept of them is not a number, or 0.
    pub fn reports(&self) -> (Vec<StepInfo>, Vec<EvalInfo>) {
        let steps = self.points.iter().map(|point| StepInfo {
            step: point.step,
            epoch: f64::NAN,
            loss: point.loss,
            learning_rate: f64::NAN,
            grad_norm: f64::NAN,
            tokens_per_second: f64::NAN,
            num_input_tokens_seen: point.tokens,
            eta_seconds: f64::NAN,
            seconds: if point.seconds > 0.0 { point.seconds } else { f64::NAN },
            device_bytes: None,
        });
        let evals = self.evals.iter().map(|eval| EvalInfo {
            step: eval.step,
            loss: eval.loss,
            perplexity: eval.loss.exp(),
            tokens: 0,
            metrics: eval.metrics.clone(),
        });
        (steps.collect(), evals.collect())
    }

    /// Adds what a step reported. A loss that is no number has no place in a curve.
    pub fn add_step(&mut self, step: &StepInfo) {
        if !step.loss.is_finite() {
            return;
        }
        let point = CurvePoint {
            step: step.step,
            loss: step.loss,
            tokens: step.num_input_tokens_seen,
            seconds: kept(step.seconds),
            reports: 1,
        };
        match self.points.last_mut() {
            Some(last) if last.reports < self.reports_a_point => *last = last.joined(&point),
            _ => self.points.push(point),
        }
        if self.points.len() > MOST_POINTS {
            let pairs = self.points.chunks(2);
            let pairs = pairs.map(|pair| match pair {
                [one, next] => one.joined(next),
                pair => pair[0],
            });
            self.points = pairs.collect();
            self.reports_a_point = 2 * self.reports_a_point.max(1);
        }
    }

    /// Adds a score, in place of one of the same step. Where there are too many, every other one of the earlier ones goes.
    pub fn add_eval(&mut self, eval: &EvalInfo, tokens: u64, seconds: f64) {
        self.evals.retain(|known| known.step != eval.step);
        self.evals.push(CurveEval {
            step: eval.step,
            tokens,
            seconds: kept(seconds),
            loss: eval.loss,
            metrics: eval.metrics.clone(),
        });
        if self.evals.len() > MOST_POINTS {
            let evals = std::mem::take(&mut self.evals).into_iter().enumerate();
            self.evals = evals
                .filter(|(place, _)| place.is_multiple_of(2))
                .map(|(_, eval)| eval)
                .collect();
        }
    }

    /// Forgets what came after a step; all of it where the run starts anew.
    pub fn cut(&mut self, step: Option<usize>) {
        let Some(last) = step else {
            *self = Self::default();
            return;
        };
        self.points.retain(|point| point.step <= last);
        self.evals.retain(|eval| eval.step <= last);
    }

    /// Whether nothing was reported.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.evals.is_empty()
    }

    /// The seconds that it covers.
    pub fn seconds(&self) -> f64 {
        let of_points = self.points.last().map_or(0.0, |point| point.seconds);
        self.evals.last().map_or(0.0, |eval| eval.seconds).max(of_points)
    }

    /// The training loss over an axis.
    pub fn training(&self, axis: CurveAxis) -> Vec<(f64, f64)> {
        let points = self.points.iter();
        points
            .filter_map(|point| Some((axis.place(point.step, point.tokens, point.seconds)?, point.loss)))
            .collect()
    }

    /// The scores of a metric over an axis.
    pub fn scores(&self, metric: &str, axis: CurveAxis) -> Vec<(f64, f64)> {
        let evals = self.evals.iter();
        let points =
            evals.filter_map(|eval| Some((axis.place(eval.step, eval.tokens, eval.seconds)?, eval.value(metric)?)));
        points.filter(|point| point.1.is_finite()).collect()
    }

    /// The best score of a metric after the first step, and the step of it.
    pub fn best(&self, metric: &str) -> Option<(usize, f64)> {
        let scores = self.evals.iter().filter(|eval| eval.step > 0);
        let scores = scores.filter_map(|eval| Some((eval.step, eval.value(metric)?)));
        scores
            .filter(|score| score.1.is_finite())
            .fold(None, |best, next| better_score(metric, best, Some(next)))
    }

    /// The score of a metric at a step.
    pub fn value_at(&self, step: usize, metric: &str) -> Option<f64> {
        let eval = self.evals.iter().find(|eval| eval.step == step)?;
        eval.value(metric).filter(|value| value.is_finite())
    }

    /// The training loss in so many points at most.
    pub fn sparkline(&self, most: usize) -> Vec<f32> {
        let bucket = self.points.len().div_ceil(most.max(1)).max(1);
        let mean = |points: &[CurvePoint]| {
            let sum: f64 = points.iter().map(|point| point.loss).sum();
            (sum / points.len() as f64) as f32
        };
        self.points.chunks(bucket).map(mean).collect()
    }
}

/// Seconds as a curve has them.
fn kept(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds } else { 0.0 }
}

/// Of two scores of a metric, with the steps that they are of, the better one; of equal ones the first.
pub fn better_score(metric: &str, one: Option<(usize, f64)>, next: Option<(usize, f64)>) -> Option<(usize, f64)> {
    let (Some(known), Some(new)) = (one, next) else {
        return one.or(next);
    };
    let is_better = match crate::task::is_lower_better(metric) {
        true => new.1 < known.1,
        false => new.1 > known.1,
    };
    Some(if is_better { new } else { known })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize, loss: f64) -> StepInfo {
        StepInfo {
            step,
            epoch: 0.0,
            loss,
            learning_rate: 0.0,
            grad_norm: 0.0,
            tokens_per_second: 0.0,
            num_input_tokens_seen: 10 * step as u64,
            eta_seconds: 0.0,
            seconds: step as f64 / 2.0,
            device_bytes: None,
        }
    }

    fn eval(step: usize, loss: f64, accuracy: f64) -> EvalInfo {
        EvalInfo {
            step,
            loss,
            perplexity: loss.exp(),
            tokens: 1,
            metrics: vec![Metric {
                name: "accuracy".into(),
                value: accuracy,
            }],
        }
    }

    #[test]
    fn a_long_run_keeps_few_points_and_its_mean() {
        for steps in [1, 7, MOST_POINTS, MOST_POINTS + 1, 1111, 5000] {
            let mut curve = RunCurve::default();
            for number in 1..=steps {
                curve.add_step(&step(number, number as f64));
                curve.add_eval(&eval(number, 1.0, 0.5), 10 * number as u64, number as f64 / 2.0);
            }
            assert!(curve.points.len() <= MOST_POINTS && curve.evals.len() <= MOST_POINTS);
            let reports: usize = curve.points.iter().map(|point| point.reports).sum();
            let sum: f64 = curve.points.iter().map(|point| point.loss * point.reports as f64).sum();
            assert_eq!(reports, steps);
            let wanted = (steps * (steps + 1) / 2) as f64;
            assert!((sum - wanted).abs() < 1e-6 * wanted, "{sum} for {wanted}");
            let last = curve.points.last().expect("a point");
            assert_eq!(
                (last.step, last.tokens, last.seconds),
                (steps, 10 * steps as u64, steps as f64 / 2.0)
            );
            assert!(curve.sparkline(60).len() <= 60);
        }
    }

    #[test]
    fn what_came_after_a_checkpoint_is_forgotten_and_what_is_no_number_left_out() {
        let mut curve = RunCurve::default();
        for number in 1..=6 {
            curve.add_step(&step(number, if number == 3 { f64::NAN } else { 1.0 }));
            curve.add_eval(&eval(number, 1.0, 0.5), 0, 1.0);
        }
        assert_eq!(curve.points.len(), 5);
        curve.cut(Some(4));
        let steps: Vec<usize> = curve.points.iter().map(|point| point.step).collect();
        assert_eq!((steps, curve.evals.len()), (vec![1, 2, 4], 4));
        curve.cut(None);
        assert!(curve.is_empty());
    }

    #[test]
    fn a_curve_of_reports_has_their_places_and_gives_them_back() {
        let unknown = StepInfo {
            seconds: f64::NAN,
            ..step(6, 1.0)
        };
        let steps = [step(2, 3.0), step(4, 2.0), unknown];
        let curve = RunCurve::of_reports(&steps, &[eval(0, 4.0, 0.0), eval(5, 2.5, 0.5)]);
        assert_eq!(curve.training(CurveAxis::Seconds), [(1.0, 3.0), (2.0, 2.0)]);
        assert_eq!(curve.scores("loss", CurveAxis::Tokens), [(0.0, 4.0), (40.0, 2.5)]);
        assert_eq!(curve.scores("loss", CurveAxis::Seconds), [(0.0, 4.0), (2.0, 2.5)]);
        let back: Vec<f64> = curve.reports().0.iter().map(|step| step.seconds).collect();
        assert_eq!(back[..2], [1.0, 2.0]);
        assert!(back[2].is_nan());
    }

    #[test]
    fn the_best_score_is_the_highest_or_the_lowest_and_not_the_one_before_training() {
        let mut curve = RunCurve::default();
        for (step, loss, accuracy) in [(0, 0.1, 0.99), (2, 3.0, 0.5), (4, 2.0, f64::NAN), (6, 2.5, 0.75)] {
            curve.add_eval(&eval(step, loss, accuracy), 0, 0.0);
        }
        assert_eq!(curve.best("loss"), Some((4, 2.0)));
        assert_eq!(curve.best("accuracy"), Some((6, 0.75)));
        assert_eq!(curve.best("f1"), None);
        assert_eq!(
            curve.scores("accuracy", CurveAxis::Step),
            [(0.0, 0.99), (2.0, 0.5), (6.0, 0.75)]
        );
        // Where tokens were not kept there is no place for them.
        assert_eq!(curve.scores("accuracy", CurveAxis::Tokens), [(0.0, 0.99)]);
    }

    #[test]
    fn of_two_scores_the_better_one_is_kept_and_of_equal_ones_the_first() {
        let (low, high) = (Some((1, 0.5)), Some((2, 0.75)));
        for (metric, best) in [("loss", low), ("accuracy", high)] {
            assert_eq!(better_score(metric, low, high), best);
            assert_eq!(better_score(metric, high, low), best);
            assert_eq!(better_score(metric, low, Some((3, 0.5))), low);
            assert_eq!(better_score(metric, None, high), high);
        }
        assert_eq!(better_score("loss", None, None), None);
    }
}
