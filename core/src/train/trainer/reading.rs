//! When the numbers of steps are read: each step's before its update, or those of several steps at once where an answer takes the
//! device long (browsers may take a tenth of a second for it). What is read is counted and reported, step by step.

use super::Trainer;
use crate::config::DivergenceAction;
use crate::data::Batch;
use crate::device;
use crate::error::Result;
use crate::host::Emit;
use crate::protocol::{Event, StepInfo};
use crate::train::step::Found;
use crate::train::turn::measure_latency;
use lorakeet_shaders::Tier;

/// Steps whose numbers are read at once, at most.
const MOST_STEPS_A_READ: usize = 16;
/// The share of a step's work that an answer may take.
const SHARE_OF_WORK: f64 = 0.05;
/// An answer is long from this share of a step's time on, or so many milliseconds.
const LONG_SHARE: f64 = 0.25;
const LONG_MS: f64 = 20.0;
/// Steps whose time is measured before that is decided.
const MEASURED: usize = 4;

/// A step that was asked for, beside its numbers.
pub(super) struct Asked {
    pub(super) step: usize,
    pub(super) learning_rate: f64,
    pub(super) tokens: usize,
    /// Until its numbers were there, or the next step was asked for.
    pub(super) seconds: f64,
}

/// The most tokens of one of the micro-batches, padding counted.
pub(super) fn largest(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.rows * batch.tokens).max().unwrap_or(0)
}

impl Trainer<'_> {
    /// Decides how many steps are read at once, from what an answer and the steps so far took.
    pub(super) async fn choose_steps_a_read(&mut self, emit: &Emit<'_>) -> Result<()> {
        let model = &self.model.model;
        // A run that is ended by what is read ends where it is known; the path of two weights has a point each step.
        if self.config.divergence == DivergenceAction::Stop || model.parameters.weights() == 2 {
            return Ok(());
        }
        if let Some(steps) = device::steps_a_read() {
            self.steps_a_read = steps;
            return Ok(());
        }
        // Passes by layers wait in their midst, and what computes on the processor answers at once, if it is not busy.
        let is_gpu = device::is_gpu(model.device()) && device::tier() != Tier::Software;
        let is_settled = self.steps_a_read > 1 || self.throughput.steps() < MEASURED;
        if !is_gpu || self.config.gradient_checkpointing || is_settled {
            return Ok(());
        }
        let latency_ms = match device::latency_ms() {
            Some(latency_ms) => latency_ms,
            None => measure_latency(model.device(), &emit.host).await?,
        };
        self.steps_a_read = steps_a_read(latency_ms, 1000.0 * self.throughput.eta_seconds(1));
        Ok(())
    }

    /// Whether the numbers of `step` over these rows are read with those of later steps. They are not where something is due after
    /// it, and where a micro-batch is larger than those that are known to fit: what does not fit is taken again in halves, from
    /// weights that are known.
    ///
    /// # Errors
    /// Of steps that have to be read before it.
    pub(super) async fn defers(&mut self, step: usize, rows: &[Vec<usize>], emit: &mut Emit<'_>) -> Result<bool> {
        if self.steps_a_read <= 1 {
            return Ok(false);
        }
        if largest(&self.batches(rows)) > self.fits {
            self.try_read_unread(emit).await?;
            return Ok(false);
        }
        let is_due = step >= self.plan.max_steps
            || self.config.evaluates_at(step, &self.plan)
            || self.config.saves_at(step, &self.plan)
            || self.samples_at(step);
        Ok(!is_due && self.asked.len() + 1 < self.steps_a_read)
    }

    /// Reads what was not read yet. Where that fails, what was learnt before is saved, as after a step.
    pub(super) async fn read_unread(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        let outcome = self.try_read_unread(emit).await;
        if outcome.is_err() {
            self.save_result().await?;
        }
        outcome
    }

    async fn try_read_unread(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        if self.asked.is_empty() {
            return Ok(());
        }
        let started_ms = (emit.host.now_ms)();
        let found = self.unread.read().await?;
        let seconds = ((emit.host.now_ms)() - started_ms) / 1000.0;
        if let Some(last) = self.asked.last_mut() {
            last.seconds += seconds;
        }
        let compiles = self.compiling.step_is_read(emit);
        self.count(found, compiles, emit).await
    }

    /// Counts and reports the steps that were asked for, by what was read of them.
    ///
    /// # Errors
    /// One of them was none, or the run goes wrong and is to end by it.
    pub(super) async fn count(&mut self, found: Found, compiles: bool, emit: &mut Emit<'_>) -> Result<()> {
        let asked = std::mem::take(&mut self.asked);
        self.progress.seconds = self.seconds(emit);
        // Nobody knows when which of them was done.
        let seconds = asked.iter().map(|step| step.seconds).sum::<f64>() / asked.len().max(1) as f64;
        let mut asked = asked.into_iter();
        for (result, step) in found.taken.into_iter().zip(asked.by_ref()) {
            let (number, tokens) = (step.step, step.tokens as u64);
            match compiles {
                true => self.throughput.add_compiling(seconds, tokens),
                false => self.throughput.add(seconds, tokens),
            }
            let progress = &mut self.progress;
            progress.step = number;
            progress.loss_sum += result.loss;
            progress.tokens_seen += tokens;
            progress.since_last_log.0 += result.loss;
            progress.since_last_log.1 += 1;
            if self.config.logs_at(number, &self.plan) {
                let (sum, count) = std::mem::take(&mut progress.since_last_log);
                let epoch = number as f64 / self.plan.steps_per_epoch as f64;
                let info = StepInfo {
                    step: number,
                    epoch,
                    loss: sum / count as f64,
                    learning_rate: step.learning_rate,
                    grad_norm: result.grad_norm,
                    tokens_per_second: self.throughput.tokens_per_second(),
                    num_input_tokens_seen: progress.tokens_seen,
                    eta_seconds: self.throughput.eta_seconds(self.plan.max_steps - number),
                    seconds: progress.seconds,
                    device_bytes: device::memory_bytes(self.model.model.device()),
                };
                let numbers = [
                    ("loss", info.loss),
                    ("learning_rate", info.learning_rate),
                    ("grad_norm", info.grad_norm),
                ];
                progress.log(epoch, &numbers);
                if let Some(record) = &self.record {
                    record.add_step(&info);
                }
                emit.event(Event::Step(info));
            }
            self.look_out(number, result, emit).await?;
        }
        match found.error {
            None => Ok(()),
            Some(error) => {
                let number = asked.next().map_or(self.progress.step + 1, |step| step.step);
                Err(self.explained(error, number, emit).await)
            }
        }
    }
}

/// Steps whose numbers are read at once where an answer takes so long, and a step that waits for one.
fn steps_a_read(latency_ms: f64, step_ms: f64) -> usize {
    let is_long = latency_ms > LONG_MS || latency_ms > LONG_SHARE * step_ms;
    // A clock that stands still tells nothing.
    if !is_long || step_ms <= 0.0 {
        return 1;
    }
    let work_ms = (step_ms - latency_ms).max(1e-3);
    let steps = (latency_ms / (SHARE_OF_WORK * work_ms)).ceil();
    steps.clamp(1.0, MOST_STEPS_A_READ as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_steps_are_read_at_once_as_make_up_for_the_answer() {
        // An answer of a tenth of a second: after short steps, long ones and very long ones.
        assert_eq!(steps_a_read(100.0, 110.0), MOST_STEPS_A_READ);
        assert_eq!(steps_a_read(100.0, 500.0), 5);
        assert_eq!(steps_a_read(100.0, 5000.0), 1);
        // Short ones, of which a step has plenty.
        assert_eq!(steps_a_read(0.5, 50.0), 1);
        assert_eq!(steps_a_read(0.5, 1.5), 10);
        assert_eq!(steps_a_read(0.0, 0.0), 1);
        assert_eq!(steps_a_read(100.0, 0.0), 1, "the clock stands still");
    }
}
