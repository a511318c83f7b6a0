//! What a run measured, gathered from its events one by one.

use super::condition::{At, BASELINE};
use crate::error::Kind;
use crate::protocol::{Baseline, EvalInfo, Event, Metric, ModelInfo, RunInfo, RunSummary, StepInfo};
use crate::task::is_lower_better;
use std::collections::BTreeMap;

/// What runs measured, by the name of the run.
pub type Results = BTreeMap<String, RunResults>;

/// What one run measured so far.
///
/// It has to hear of the model, too, if `base_bytes` is wanted: where a model stays loaded for the next run, hand its
/// [`Measured::Model`] over again.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunResults {
    base_bytes: Option<u64>,
    trainable_parameters: Option<u64>,
    /// Of the reported steps.
    losses: Vec<f64>,
    steps: usize,
    evals: Vec<EvalInfo>,
    /// Which of them scored the weights that the run ended with.
    last: Option<usize>,
    baselines: Vec<Baseline>,
    seconds: Option<f64>,
    ending: Ending,
}

/// What of an [`Event`] measures a run. A program that reads these alone, as the lab's page does, is smaller by all the others.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// [`Event::Model`].
    Model(ModelInfo),
    /// [`Event::Started`].
    Started(RunInfo),
    /// [`Event::Step`].
    Step(StepInfo),
    /// [`Event::Eval`].
    Eval(EvalInfo),
    /// [`Event::Baseline`].
    Baseline(Vec<Baseline>),
    /// [`Event::Done`].
    Done(RunSummary),
    /// [`Event::Failed`].
    Failed(Kind),
}

impl Measured {
    /// What an event measures; none of most.
    pub fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Model(model) => Self::Model(model.clone()),
            Event::Started(info) => Self::Started(info.clone()),
            Event::Step(step) => Self::Step(step.clone()),
            Event::Eval(eval) => Self::Eval(eval.clone()),
            Event::Baseline { scores } => Self::Baseline(scores.clone()),
            Event::Done(summary) => Self::Done(summary.clone()),
            Event::Failed(error) => Self::Failed(error.kind),
            _ => return None,
        })
    }
}

/// Whether a run is over, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Ending {
    #[default]
    UnderWay,
    Done,
    Diverged,
    /// By something that says nothing of the run: a device that was lost, a stop while the model was read.
    BrokeOff,
}

impl<'a> FromIterator<&'a Event> for RunResults {
    fn from_iter<I: IntoIterator<Item = &'a Event>>(events: I) -> Self {
        let mut results = Self::default();
        let measured = events.into_iter().filter_map(Measured::of);
        measured.for_each(|measured| results.take(&measured));
        results
    }
}

impl RunResults {
    /// Takes what the run measured next.
    pub fn take(&mut self, measured: &Measured) {
        match measured {
            Measured::Model(model) => self.base_bytes = Some(model.weight_bytes),
            Measured::Started(info) => {
                *self = Self {
                    base_bytes: self.base_bytes,
                    trainable_parameters: Some(info.trainable_parameters),
                    ..Self::default()
                }
            }
            Measured::Step(step) => {
                self.steps = step.step;
                self.losses.push(step.loss);
            }
            Measured::Eval(eval) => {
                self.evals.push(eval.clone());
                self.last = Some(self.evals.len() - 1);
            }
            Measured::Baseline(scores) => self.baselines.extend(scores.iter().cloned()),
            Measured::Done(summary) => {
                (self.steps, self.seconds) = (summary.steps, Some(summary.seconds));
                if let Some(loss) = summary.eval_loss_after {
                    self.last = self.nearest_eval(loss);
                }
                let losses = self.losses.iter().chain(&summary.eval_loss_after);
                self.ending = match losses.copied().all(f64::is_finite) {
                    true => Ending::Done,
                    false => Ending::Diverged,
                };
            }
            Measured::Failed(kind) => {
                self.ending = match kind {
                    Kind::Diverged => Ending::Diverged,
                    _ => Ending::BrokeOff,
                }
            }
        }
    }

    /// Whether the run is over, be it that it broke off.
    pub fn is_over(&self) -> bool {
        self.ending != Ending::UnderWay
    }

    /// Whether its loss ceased to be a number.
    pub fn is_diverged(&self) -> bool {
        self.ending == Ending::Diverged
    }

    /// A value by its name; none where it was not measured, and at the end of a run that is under way or broke off.
    ///
    /// `loss` is the training loss: of the first step, the least of all, or the mean of the last fifth of the steps. At
    /// the end of a run that diverged, all losses and the perplexity are infinite.
    pub fn value(&self, name: &str, at: At) -> Option<f64> {
        let is_known = at != At::End || matches!(self.ending, Ending::Done | Ending::Diverged);
        let value = match name {
            "trainable_parameters" => self.trainable_parameters.map(|count| count as f64),
            "base_bytes" => self.base_bytes.map(|bytes| bytes as f64),
            _ if name.starts_with(BASELINE) => self.of_baseline(&name[BASELINE.len()..]),
            _ if !is_known => None,
            "diverged" => Some(f64::from(u8::from(self.is_diverged()))),
            "steps" => Some(self.steps as f64),
            "seconds" => self.seconds,
            "loss" | "eval_loss" | "perplexity" if at == At::End && self.is_diverged() => Some(f64::INFINITY),
            "loss" => self.training_loss(at),
            _ => self.score(name, at),
        };
        value.filter(|value| !value.is_nan())
    }

    fn training_loss(&self, at: At) -> Option<f64> {
        match at {
            At::Start => self.losses.first().copied(),
            At::Best => self
                .losses
                .iter()
                .copied()
                .filter(|loss| !loss.is_nan())
                .reduce(f64::min),
            At::End => {
                let count = self.losses.len().div_ceil(5);
                let last = &self.losses[self.losses.len() - count..];
                (count > 0).then(|| last.iter().sum::<f64>() / count as f64)
            }
        }
    }

    /// A metric of the validation rows.
    fn score(&self, name: &str, at: At) -> Option<f64> {
        match at {
            At::Start => of_eval(self.evals.first()?, name),
            At::End => of_eval(self.evals.get(self.last?)?, name),
            At::Best => {
                let values = self.evals.iter().filter_map(|eval| of_eval(eval, name));
                let values = values.filter(|value| !value.is_nan());
                values.reduce(match name == "eval_loss" || is_lower_better(name) {
                    true => f64::min,
                    false => f64::max,
                })
            }
        }
    }

    /// `KIND.METRIC`
    fn of_baseline(&self, of: &str) -> Option<f64> {
        let (kind, metric) = of.split_once('.')?;
        let baseline = self
            .baselines
            .iter()
            .rev()
            .find(|baseline| baseline.kind.name() == kind)?;
        Metric::value_of(&baseline.metrics, metric)
    }

    /// The latest score whose loss is nearest to that with which the run ended: best weights that were loaded at the
    /// end are not scored anew.
    fn nearest_eval(&self, loss: f64) -> Option<usize> {
        let distance = |place: &usize| (self.evals[*place].loss - loss).abs();
        let places = (0..self.evals.len()).rev();
        places.min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }
}

fn of_eval(eval: &EvalInfo, name: &str) -> Option<f64> {
    match name {
        "eval_loss" => Some(eval.loss),
        "perplexity" => Some(eval.perplexity),
        _ => Metric::value_of(&eval.metrics, name),
    }
}
