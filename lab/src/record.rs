//! One run of a lesson as the lab sees it: what it measured, its curves, its texts and its pictures.

use crate::curves::{Line, thinned};
use crate::events::{Heard, Report, Sample};
use lorakeet_core::error::Kind;
use lorakeet_core::lesson::{Measured, RunResults};
use lorakeet_core::protocol::{Baseline, Picture, PictureKind};

/// Points of a curve at most.
const POINTS: usize = 240;

/// A run under way or over.
#[derive(Default)]
pub struct RunRecord {
    /// What it measured.
    pub results: RunResults,
    /// Training losses.
    pub losses: Line,
    /// Losses on the validation rows.
    pub eval_losses: Line,
    /// Steps planned.
    pub max_steps: usize,
    /// The beginning continued, oldest first.
    pub samples: Vec<Sample>,
    /// Scores that need no training.
    pub baselines: Vec<Baseline>,
    /// What it comes to.
    pub report: Option<Report>,
    /// Its newest pictures, one of each kind, with their steps.
    pub pictures: Vec<(Option<usize>, Picture)>,
    /// What the engine remarked.
    pub notes: Vec<String>,
}

impl RunRecord {
    /// Takes what the engine said of this run; `said` is the engine's wording where there is one.
    pub fn take(&mut self, heard: Heard, said: Option<String>) {
        match heard {
            Heard::Measured(event) => self.measure(event),
            Heard::Sample(sample) => self.samples.push(sample),
            Heard::Report(report) => self.report = Some(report),
            Heard::Picture(step, picture) => {
                let kind = PictureKind::from(&picture);
                self.pictures.retain(|(_, known)| PictureKind::from(known) != kind);
                self.pictures.push((step, picture));
            }
            Heard::Warning => self.notes.extend(said),
            _ => {}
        }
    }

    fn measure(&mut self, measured: Measured) {
        self.results.take(&measured);
        match measured {
            Measured::Started(info) => self.max_steps = info.max_steps,
            Measured::Step(step) if step.loss.is_finite() => self.losses.push((step.step as f64, step.loss)),
            Measured::Eval(eval) if eval.loss.is_finite() => self.eval_losses.push((eval.step as f64, eval.loss)),
            Measured::Baseline(scores) => self.baselines = scores,
            _ => {}
        }
    }

    /// The run ended in an error; whether that is a result and no fault: it diverged, which `said` tells.
    pub fn fail(&mut self, kind: Kind, said: &str) -> bool {
        self.results.take(&Measured::Failed(kind));
        let is_result = self.results.is_diverged();
        if is_result && !said.is_empty() {
            self.notes.push(said.to_owned());
        }
        is_result
    }

    /// Training losses, each the mean of its neighbours where there are many.
    pub fn loss_curve(&self) -> Line {
        thinned(&self.losses, POINTS)
    }

    /// The newest step, and the loss there.
    pub fn newest(&self) -> (usize, f64) {
        self.losses
            .last()
            .map_or((0, f64::NAN), |point| (point.0 as usize, point.1))
    }

    /// Whether the loss falls: the newest steps beside those before.
    pub fn falls(&self) -> bool {
        let count = (self.losses.len() / 4).max(1);
        let mean = |points: &[(f64, f64)]| points.iter().map(|point| point.1).sum::<f64>() / points.len().max(1) as f64;
        let (early, late) = self.losses.split_at(self.losses.len().saturating_sub(count));
        !early.is_empty() && mean(late) < mean(&early[early.len().saturating_sub(count)..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_core::protocol::EvalInfo;

    fn eval(step: usize, loss: f64) -> Heard {
        Heard::Measured(Measured::Eval(EvalInfo {
            step,
            loss,
            perplexity: loss.exp(),
            tokens: 1,
            metrics: Vec::new(),
        }))
    }

    #[test]
    fn a_run_keeps_its_curves_and_the_newest_picture_of_a_kind() {
        let mut run = RunRecord::default();
        run.take(eval(0, 4.0), None);
        run.take(eval(10, 3.0), None);
        assert_eq!(run.eval_losses, [(0.0, 4.0), (10.0, 3.0)]);
        for step in [0, 10] {
            let picture = Picture::Tokens { tokens: Vec::new() };
            run.take(Heard::Picture(Some(step), picture), None);
        }
        assert_eq!(run.pictures.len(), 1);
        assert_eq!(run.pictures[0].0, Some(10));
    }

    #[test]
    fn a_run_that_diverged_is_a_result_and_a_lost_device_is_not() {
        let mut run = RunRecord::default();
        assert!(!run.fail(Kind::Device, "The device was lost."));
        assert!(run.notes.is_empty());
        assert!(run.fail(Kind::Diverged, "The loss is not a number."));
        assert_eq!(run.notes, ["The loss is not a number."]);
    }

    #[test]
    fn a_falling_loss_is_told_from_a_rising_one() {
        let mut run = RunRecord {
            losses: (0..20)
                .map(|step| (f64::from(step), 4.0 - 0.1 * f64::from(step)))
                .collect(),
            ..RunRecord::default()
        };
        assert!(run.falls());
        run.losses.iter_mut().for_each(|point| point.1 = -point.1);
        assert!(!run.falls());
    }
}
