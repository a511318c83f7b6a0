//! The learning-rate range test: the rate grows from step to step of a run's own rows, model and optimizer, until the loss explodes;
//! what the loss did on the way suggests a rate (Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv 1506.01186;
//! fastai's `lr_find`). The steps are those of a run ([`super::step`]); the weights are put back in the end.
//!
//! It sees some hundred steps from the run's start, so it tells the order of magnitude that the start bears, not the best rate of
//! the whole run.

use super::optim::AdamW;
use super::step::{StepSettings, train_step};
use crate::config::RunConfig;
use crate::data::{self, Batch, Cursor, Example};
use crate::device;
use crate::error::{Error, Kind, Result};
use crate::host::Emit;
use crate::models::{Model, read_all};
use crate::protocol::{Event, StepInfo};
pub use crate::protocol::{RatePoint, RateSearch, SearchEnd};
use crate::tasks::{Objective, collate};
use burn::tensor::{Tensor, TensorData};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::tuning as msg;

/// β of the smoothed loss: enough against the noise of small batches, and the curve lags by four steps only.
const SMOOTHING: f64 = 0.8;
/// The search ends where the smoothed loss is above so many times its lowest value, as fastai's.
const EXPLODED: f64 = 4.0;
/// The highest rate that a run takes.
const HIGHEST: f64 = 1.0;
/// Steps of a search: fewer tell nothing.
const FEWEST_STEPS: usize = 20;
const MOST_STEPS: usize = 10_000;
/// The part of the steps, and the fewest, whose rates are taken to be too low to change the loss: its level before it falls.
const LEVEL_SHARE: usize = 5;
const LEVEL_STEPS: usize = 5;
/// The part of the level by which the loss has to fall for a suggestion.
const LEAST_FALL: f64 = 0.02;
/// The fall begins where the loss is below its level by this part of the whole fall.
const ONSET: f64 = 0.1;

/// The rates of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateRange {
    /// The rate of the first step, above 0.
    pub from: f64,
    /// The rate of the last step, at most 1.
    pub to: f64,
    /// Optimizer steps, from 20 to 10,000.
    pub steps: usize,
}

impl Default for RateRange {
    /// From 10⁻⁷ to 1 in 100 steps.
    fn default() -> Self {
        Self {
            from: 1e-7,
            to: HIGHEST,
            steps: 100,
        }
    }
}

impl RateRange {
    /// Whether there is anything to search.
    ///
    /// # Errors
    /// Rates that are none or do not grow, or too few or too many steps.
    pub fn check(&self) -> Result<()> {
        let (from, to, steps) = (self.from, self.to, self.steps);
        if !(from > 0.0 && from < to && to <= HIGHEST) {
            let [from, to] = [from, to].map(|rate| format!("{rate:e}"));
            return Err(Error::config(msg::RatesMustGrow { from, to }).field("from"));
        }
        if !(FEWEST_STEPS..=MOST_STEPS).contains(&steps) {
            let (fewest, most) = (FEWEST_STEPS, MOST_STEPS);
            return Err(Error::config(msg::SearchSteps { fewest, most, steps }).field("steps"));
        }
        Ok(())
    }

    /// The rate of step s, from 0, of S: from · (to / from)^(s / (S − 1)).
    pub fn rate(&self, step: usize) -> f64 {
        let part = step as f64 / self.steps.saturating_sub(1).max(1) as f64;
        self.from * (self.to / self.from).powf(part)
    }
}

impl RateSearch {
    /// What these steps suggest.
    ///
    /// The loss has fallen clearly where its lowest smoothed value is below its level (the mean loss of the first fifth of the
    /// steps) by 2% of the level, and by the standard deviation of the losses that the level was made from. The fastest fall is
    /// looked for between the onset of the fall and the minimum, so that noise in front of it is not taken for one.
    pub fn of(points: Vec<RatePoint>, end: SearchEnd) -> Self {
        let (steepest, tenth_of_minimum) = suggestions(&points).unzip();
        let (recommended, reason) = match (steepest, tenth_of_minimum) {
            (Some(steepest), Some(tenth)) => {
                let rate = two_digits(steepest.min(tenth));
                let [shown, other] = [rate, two_digits(steepest.max(tenth))].map(|rate| format!("{rate:e}"));
                let reason: Message = match steepest <= tenth {
                    true => msg::SteepestIsLower { rate: shown, other }.into(),
                    false => msg::TenthIsLower { rate: shown, other }.into(),
                };
                (Some(rate), reason)
            }
            _ => (None, msg::LossDidNotFall.into()),
        };
        Self {
            points,
            end,
            steepest,
            tenth_of_minimum,
            recommended,
            reason,
        }
    }
}

/// The rate of the fastest fall, and a tenth of that of the minimum.
fn suggestions(points: &[RatePoint]) -> Option<(f64, f64)> {
    let first = points.get(..(points.len() / LEVEL_SHARE).max(LEVEL_STEPS))?;
    let count = first.len() as f64;
    let level = first.iter().map(|point| point.loss).sum::<f64>() / count;
    let variance = first.iter().map(|point| (point.loss - level).powi(2)).sum::<f64>() / count;
    let order = |a: &usize, b: &usize| points[*a].smoothed.total_cmp(&points[*b].smoothed);
    let lowest = (0..points.len()).min_by(order)?;
    let fall = level - points[lowest].smoothed;
    if lowest < 2 || fall <= LEAST_FALL * level.abs() || fall <= variance.sqrt() {
        return None;
    }
    let is_before = |i: &usize| points[*i].smoothed >= level - ONSET * fall;
    let onset = (0..lowest).rev().find(is_before).unwrap_or(0).max(1);
    // Rates are equally far apart in their logarithms, so differences are in the order of slopes.
    let slope = |i: usize| points[i + 1].smoothed - points[i - 1].smoothed;
    let steepest = (onset..lowest).min_by(|&a, &b| slope(a).total_cmp(&slope(b)))?;
    Some((points[steepest].learning_rate, points[lowest].learning_rate / 10.0))
}

fn two_digits(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().unwrap_or(rate)
}

/// Searches over `range` on the rows `train`, in the order and in the batches of the run `config`, from the weights that `model`
/// has; it has the same ones afterwards. Each step is told as [`Event::Step`]. The outcome is a function of settings, model and
/// rows.
///
/// # Errors
/// [`Kind::Diverged`] where the first step's loss is no number, [`Kind::Stopped`], a failed device, labels that do not fit the
/// head, a range that is none.
pub(crate) async fn find_rate(
    config: &RunConfig,
    range: &RateRange,
    (model, objective, train): (&mut Model, &Objective, &[Example]),
    emit: &mut Emit<'_>,
) -> Result<RateSearch> {
    range.check()?;
    let parameters = model.parameters.iter();
    let before = read_all(parameters.map(|parameter| parameter.value.clone())).await?;
    let outcome = search(config, range, (&mut *model, objective, train), emit).await;
    let device = model.device().clone();
    for (i, values) in before.into_iter().enumerate() {
        let length = values.len();
        let value = Tensor::from_data(TensorData::new(values, [length]), &device);
        model.parameters.set(i, value);
    }
    outcome
}

async fn search(
    config: &RunConfig,
    range: &RateRange,
    (model, objective, train): (&mut Model, &Objective, &[Example]),
    emit: &mut Emit<'_>,
) -> Result<RateSearch> {
    let mut optimizer = AdamW::new(&model.parameters, config);
    let seed = config.data_seed.unwrap_or(config.seed);
    let drops = config.lora_dropout > 0.0 || model.dropout() > 0.0;
    let steps_per_epoch = config.plan(train.len()).steps_per_epoch;
    let (mut cursor, mut order) = (Cursor::default(), Vec::new());
    let mut rows_at_a_time = config.per_device_train_batch_size;
    let (mut points, mut average, mut lowest, mut tokens) = (Vec::new(), 0.0_f64, f64::INFINITY, 0_u64);
    for step in 1..=range.steps {
        emit.yield_or_stop(msg::SearchStopped).await?;
        if order.is_empty() || cursor.position == 0 {
            order = data::order(train.len(), seed, cursor.epoch);
        }
        let batch_rows = config.per_device_train_batch_size;
        let rows = cursor.take_step(&order, batch_rows, config.gradient_accumulation_steps);
        let settings = StepSettings {
            step,
            learning_rate: range.rate(step - 1),
            max_grad_norm: config.max_grad_norm,
            dropout_seed: drops.then_some(config.seed),
            gradient_checkpointing: config.gradient_checkpointing,
        };
        let result = loop {
            let batches = batches(&rows, rows_at_a_time, train, model);
            let updates = optimizer.steps();
            let taken = train_step(model, &mut optimizer, objective, &batches, settings, &emit.host).await;
            match taken {
                // As in a run: the same step with fewer rows at a time.
                Err(error)
                    if error.kind == Kind::OutOfMemory
                        && optimizer.steps() == updates
                        && rows_at_a_time > 1
                        && !objective.loss.compares_batch() =>
                {
                    drop(batches);
                    device::recover(model.device());
                    rows_at_a_time = rows_at_a_time.div_ceil(2);
                }
                Err(error) if error.kind == Kind::Diverged && !points.is_empty() => {
                    return Ok(RateSearch::of(points, SearchEnd::NotFinite));
                }
                taken => {
                    tokens += batches.iter().map(|batch| batch.input_tokens as u64).sum::<u64>();
                    break taken?;
                }
            }
        };
        average = SMOOTHING * average + (1.0 - SMOOTHING) * result.loss;
        let smoothed = average / (1.0 - SMOOTHING.powi(step as i32));
        points.push(RatePoint {
            step,
            learning_rate: settings.learning_rate,
            loss: result.loss,
            smoothed,
        });
        emit.event(Event::Step(StepInfo {
            step,
            epoch: step as f64 / steps_per_epoch as f64,
            loss: result.loss,
            learning_rate: settings.learning_rate,
            grad_norm: result.grad_norm,
            tokens_per_second: f64::NAN,
            num_input_tokens_seen: tokens,
            eta_seconds: f64::NAN,
            seconds: f64::NAN,
            device_bytes: device::memory_bytes(model.device()),
        }));
        lowest = smoothed.min(lowest);
        if lowest > 0.0 && smoothed > EXPLODED * lowest {
            return Ok(RateSearch::of(points, SearchEnd::Exploded));
        }
    }
    Ok(RateSearch::of(points, SearchEnd::Range))
}

/// Micro-batches of these rows, so many rows at a time.
fn batches(rows: &[Vec<usize>], rows_at_a_time: usize, train: &[Example], model: &Model) -> Vec<Batch> {
    let parts = rows.iter().flat_map(|rows| rows.chunks(rows_at_a_time.max(1)));
    let batch = |part: &[usize]| {
        let examples: Vec<&Example> = part.iter().map(|&row| &train[row]).collect();
        collate(&examples, model)
    };
    parts.map(batch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of a loss that depends on log10(rate) alone.
    fn points(loss: impl Fn(f64) -> f64) -> Vec<RatePoint> {
        let range = RateRange::default();
        let point = |step: usize| {
            let learning_rate = range.rate(step);
            let loss = loss(learning_rate.log10());
            RatePoint {
                step: step + 1,
                learning_rate,
                loss,
                smoothed: loss,
            }
        };
        (0..range.steps).map(point).collect()
    }

    #[test]
    fn rates_grow_by_one_factor_from_the_first_to_the_last() {
        let range = RateRange::default();
        assert_eq!(range.rate(0), 1e-7);
        assert!((range.rate(99) - 1.0).abs() < 1e-12);
        let factor = range.rate(1) / range.rate(0);
        for step in 1..99 {
            let next = range.rate(step + 1) / range.rate(step);
            assert!((next / factor - 1.0).abs() < 1e-9, "step {step}");
        }
    }

    #[test]
    fn a_range_that_is_none_is_refused() {
        let usual = RateRange::default();
        assert!(usual.check().is_ok());
        for (range, field) in [
            (RateRange { from: 0.0, ..usual }, "from"),
            (
                RateRange {
                    from: f64::NAN,
                    ..usual
                },
                "from",
            ),
            (
                RateRange {
                    from: 1e-2,
                    to: 1e-3,
                    ..usual
                },
                "from",
            ),
            (RateRange { to: 2.0, ..usual }, "from"),
            (RateRange { steps: 3, ..usual }, "steps"),
        ] {
            let error = range.check().expect_err("it is none");
            assert_eq!(error.field_name(), Some(field), "{error}");
        }
    }

    #[test]
    fn the_fastest_fall_and_the_minimum_are_found() {
        // Flat up to 1e-5, down to 1e-2 with the steepest place at 1e-3.5, up behind it.
        let curve = |x: f64| 3.0 - 2.0 / (1.0 + (-4.0 * (x + 3.5)).exp()) + (x + 1.5).max(0.0).powi(2);
        let found = RateSearch::of(points(curve), SearchEnd::Range);
        let (steepest, tenth) = (
            found.steepest.expect("it falls"),
            found.tenth_of_minimum.expect("it falls"),
        );
        assert!((steepest.log10() + 3.5).abs() < 0.1, "{steepest}");
        assert!((-3.2..-2.2).contains(&tenth.log10()), "{tenth}");
        assert_eq!(found.recommended, Some(two_digits(steepest.min(tenth))));
        assert_eq!(found.reason.key(), "tuning.SteepestIsLower");
    }

    #[test]
    fn nothing_is_recommended_where_the_loss_does_not_fall_clearly() {
        let flat = RateSearch::of(points(|_| 3.0), SearchEnd::Range);
        assert_eq!((flat.recommended, flat.reason.key()), (None, "tuning.LossDidNotFall"));
        let rising = RateSearch::of(points(|x| 3.0 + (x + 4.0).max(0.0)), SearchEnd::Exploded);
        assert_eq!(rising.recommended, None);
        // As large as the noise.
        let mut noise = points(|x| 3.0 + 0.5 * (x * 41.0).sin());
        for point in &mut noise {
            point.smoothed = 3.0 + (point.loss - 3.0) / 3.0;
        }
        assert_eq!(RateSearch::of(noise, SearchEnd::Range).recommended, None);
        assert_eq!(RateSearch::of(Vec::new(), SearchEnd::NotFinite).recommended, None);
    }
}
