//! The next step of a run under way: which rows, taken again in smaller parts where the device's memory is full, and looked at for
//! signs that the run goes wrong.

use super::Trainer;
use super::reading::{Asked, largest};
use crate::config::{DivergenceAction, FinetuningType};
use crate::data::{self, Batch, Cursor, Example};
use crate::device;
use crate::error::{Error, Kind, Result};
use crate::host::Emit;
use crate::protocol::{Divergence, Event, Sign};
use crate::tasks::collate;
use crate::train::checkpoint;
use crate::train::step::{Found, StepResult, StepSettings, step_in_turns};
use crate::train::turn::Turn;
use crate::train::watchdog::Alarm;
use lorakeet_i18n::messages::run as msg;
use lorakeet_i18n::{Field, Message};

/// Rows that a message names; the event has all of them.
const SHOWN_ROWS: usize = 16;

/// What part of a learning rate is the next to try.
const LOWER: f64 = 1.0 / 3.0;

/// A step that was asked for: what was read of steps, over how many tokens it goes, how long it was held meanwhile, and whether it
/// waited for kernels.
struct Taken {
    found: Found,
    tokens: usize,
    held_ms: f64,
    compiles: bool,
}

impl Trainer<'_> {
    /// One optimizer step, counted and reported; `false` where a stop ended it before it was one, and where its numbers are read
    /// with those of steps to come. One that fails changes nothing, and what was learnt before it is saved.
    pub(crate) async fn step(&mut self, emit: &mut Emit<'_>) -> Result<bool> {
        let outcome = self.try_step(emit).await;
        if outcome.is_err() {
            self.save_result().await?;
        }
        outcome
    }

    async fn try_step(&mut self, emit: &mut Emit<'_>) -> Result<bool> {
        self.choose_steps_a_read(emit).await?;
        let step = self.progress.step + self.asked.len() + 1;
        let cursor = self.cursor;
        let rows = self.next_rows();
        self.unread.defers = self.defers(step, &rows, emit).await?;
        let is_drawn = self.samples_at(step) || step == self.plan.max_steps;
        self.unread.wants_norms = self.shows_gradients.get() && is_drawn;
        let started_ms = (emit.host.now_ms)();
        let settings = self.settings(step);
        let taken = self.take(&rows, settings, emit).await;
        let Taken {
            found,
            tokens,
            held_ms,
            compiles,
        } = match taken {
            Ok(Some(taken)) => taken,
            Ok(None) => {
                self.cursor = cursor;
                return Ok(false);
            }
            Err(error) => {
                self.cursor = cursor;
                return Err(self.explained(error, step, emit).await);
            }
        };
        if !self.unread.defers && found.error.is_none() {
            self.path.add(&self.model.model).await?;
        }
        self.asked.push(Asked {
            step,
            learning_rate: settings.learning_rate,
            tokens,
            seconds: ((emit.host.now_ms)() - started_ms - held_ms) / 1000.0,
        });
        if self.unread.defers {
            return Ok(false);
        }
        let counted = self.count(found, compiles, emit).await;
        if counted.is_err() {
            self.cursor = cursor;
        }
        counted.map(|()| true)
    }

    /// What `step` is taken with.
    pub(super) fn settings(&self, step: usize) -> StepSettings {
        let drops = self.config.lora_dropout > 0.0 || self.model.model.dropout() > 0.0;
        StepSettings {
            step,
            learning_rate: self.schedule.learning_rate(step - 1),
            max_grad_norm: self.config.max_grad_norm,
            dropout_seed: drops.then_some(self.config.seed),
            gradient_checkpointing: self.config.gradient_checkpointing,
        }
    }

    /// The rows of the next step's micro-batches: as many micro-batches as accumulate, fewer where the epoch ends.
    fn next_rows(&mut self) -> Vec<Vec<usize>> {
        let Cursor { epoch, position } = self.cursor;
        if self.order.is_empty() || position == 0 {
            self.order = self.order_of(epoch);
        }
        let (rows, batches) = (
            self.config.per_device_train_batch_size,
            self.config.gradient_accumulation_steps,
        );
        self.cursor.take_step(&self.order, rows, batches)
    }

    pub(super) fn order_of(&self, epoch: usize) -> Vec<usize> {
        let seed = self.config.data_seed.unwrap_or(self.config.seed);
        data::order(self.train.len(), seed, epoch)
    }

    /// Takes the step over these rows. Where the device's memory is full, it is taken again from the same state, with the rows of
    /// each micro-batch in halves: their sum is the same, and no row comes twice or not at all. `None` where a stop ended it.
    async fn take(
        &mut self,
        rows: &[Vec<usize>],
        settings: StepSettings,
        emit: &mut Emit<'_>,
    ) -> Result<Option<Taken>> {
        loop {
            let batches = self.batches(rows);
            let tokens = batches.iter().map(|batch| batch.input_tokens).sum();
            let updates = self.optimizer.steps();
            let mut turn = Turn::of_run(emit, settings.step - 1, &mut self.compiling);
            let taken = step_in_turns(
                &mut self.model.model,
                &mut self.optimizer,
                &self.spec.objective,
                &batches,
                settings,
                &mut self.unread,
                &mut turn,
            )
            .await;
            let (held_ms, compiles) = (turn.held_ms, turn.compiles);
            match taken {
                Ok(found) => {
                    if !self.unread.defers {
                        self.fits = self.fits.max(largest(&batches));
                    }
                    return Ok(found.map(|found| Taken {
                        found,
                        tokens,
                        held_ms,
                        compiles,
                    }));
                }
                // Weights whose update was under way are not those from before the step, nor are they where the steps before it
                // were not read.
                Err(error)
                    if error.kind == Kind::OutOfMemory
                        && self.optimizer.steps() == updates
                        && self.asked.is_empty() =>
                {
                    drop(batches);
                    self.halve(error, settings.step, rows, emit)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Micro-batches of these rows, each in parts where the device takes fewer at a time.
    pub(super) fn batches(&self, rows: &[Vec<usize>]) -> Vec<Batch> {
        let parts = rows.iter().flat_map(|rows| rows.chunks(self.rows_at_a_time.max(1)));
        let batch = |part: &[usize]| {
            let examples: Vec<&Example> = part.iter().map(|&i| &self.train[i]).collect();
            collate(&examples, &self.model.model)
        };
        parts.map(batch).collect()
    }

    /// Has half as many rows go through the model at a time.
    ///
    /// # Errors
    /// `error`, with another way out: it is one row already, or the loss compares the rows of a batch with each other, so that
    /// halves would learn something else.
    fn halve(&mut self, error: Error, step: usize, rows: &[Vec<usize>], emit: &mut Emit<'_>) -> Result<()> {
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let now = self.rows_at_a_time.min(longest);
        let loss = &self.spec.objective.loss;
        if loss.compares_batch() {
            let loss = loss.to_string();
            return Err(error.remedy(msg::BatchIsCompared { loss }));
        }
        if now <= 1 {
            return Err(error.remedy(msg::OneRowDoesNotFit));
        }
        device::recover(self.model.model.device());
        self.rows_at_a_time = now.div_ceil(2);
        let batch = self.config.per_device_train_batch_size.min(longest);
        let rows = self.rows_at_a_time;
        let batches = self.config.gradient_accumulation_steps * batch.div_ceil(rows);
        emit.event(Event::Halved { step, rows, batches });
        emit.warn(msg::MemoryHalved { step, rows, batches });
        Ok(())
    }

    /// Looks for signs that the run goes wrong.
    ///
    /// # Errors
    /// It does, and is to end by it.
    pub(super) async fn look_out(&mut self, step: usize, result: StepResult, emit: &mut Emit<'_>) -> Result<()> {
        let before = self.progress.eval_loss_before;
        let alarm = self
            .progress
            .watchdog
            .see(step, (result.loss, result.grad_norm), before);
        let Some(alarm) = alarm.filter(|_| self.config.divergence != DivergenceAction::Off) else {
            return Ok(());
        };
        let ends_run = self.config.divergence == DivergenceAction::Stop;
        let divergence = self.divergence(alarm.sign, (step, alarm.since), ends_run).await;
        self.good = self.good.or(divergence.checkpoint);
        let error = Error::new(Kind::Diverged, worded(&alarm, &divergence)).remedy(self.way_out(&divergence));
        emit.event(Event::Diverging(divergence));
        match ends_run {
            true => Err(error),
            false => {
                emit.warn(error.message());
                Ok(())
            }
        }
    }

    /// An error of a step: one whose numbers are none names its rows and what to go back to.
    pub(super) async fn explained(&self, error: Error, step: usize, emit: &mut Emit<'_>) -> Error {
        if error.kind != Kind::Diverged {
            return error;
        }
        let divergence = self.divergence(Sign::NotFinite, (step, step), true).await;
        let (what, rows) = (error.what.clone(), shown(&divergence.rows));
        let error = Error {
            what: msg::WithRows { what, rows }.into(),
            ..error
        };
        let error = error.remedy(self.way_out(&divergence));
        emit.event(Event::Diverging(divergence));
        error
    }

    /// What is known of a run that goes wrong.
    async fn divergence(&self, sign: Sign, (step, since): (usize, usize), ends_run: bool) -> Divergence {
        let saved = match &self.sink {
            Some(sink) => checkpoint::steps(sink.as_ref()).await.unwrap_or_default(),
            None => Vec::new(),
        };
        Divergence {
            sign,
            step,
            since,
            rows: self.rows_of(since),
            checkpoint: saved.into_iter().find(|saved| *saved < since),
            learning_rate: lower(self.config.learning_rate),
            ends_run,
        }
    }

    /// The numbers of a step's rows in the data.
    fn rows_of(&self, step: usize) -> Vec<usize> {
        let steps_per_epoch = self.plan.steps_per_epoch;
        let rows = self.config.per_device_train_batch_size * self.config.gradient_accumulation_steps;
        let order = self.order_of(step.saturating_sub(1) / steps_per_epoch);
        let first = step.saturating_sub(1) % steps_per_epoch * rows;
        let rows = order.iter().skip(first).take(rows);
        rows.flat_map(|&i| self.train[i].row_numbers()).collect()
    }

    /// What to try: a lower rate, from the newest checkpoint that is still good, where there is one that has a path.
    fn way_out(&self, divergence: &Divergence) -> Message {
        let learning_rate = format!("{:e}", divergence.learning_rate);
        if divergence.sign == Sign::GradientVanished {
            return msg::NothingIsLearnt { learning_rate }.into();
        }
        let knob = match self.config.finetuning_type {
            FinetuningType::Lora => "adapter_name_or_path",
            FinetuningType::Full => "model_name_or_path",
        };
        match divergence.checkpoint {
            Some(step) if self.save_interval_ms.is_some() => msg::GoBackInPlace { step, learning_rate }.into(),
            Some(step) => {
                let checkpoint = format!("{}/{}", self.config.output_dir, checkpoint::folder(step));
                msg::GoBackTo {
                    knob,
                    checkpoint,
                    learning_rate,
                }
                .into()
            }
            None => msg::StartWithLowerRate { learning_rate }.into(),
        }
    }
}

/// A third of a rate, in two digits.
fn lower(learning_rate: f64) -> f64 {
    let lower = LOWER * learning_rate;
    format!("{lower:.1e}").parse().unwrap_or(lower)
}

fn shown(rows: &[usize]) -> Field {
    Field::first(SHOWN_ROWS, rows.iter())
}

fn worded(alarm: &Alarm, divergence: &Divergence) -> Message {
    let (step, since) = (divergence.step, alarm.since);
    let number = |number: f64| match number.abs() < 1e5 && number.abs() >= 1e-3 || number == 0.0 {
        true => format!("{number:.4}"),
        false => format!("{number:.3e}"),
    };
    let (value, usual) = (number(alarm.value), number(alarm.usual));
    let what: Message = match alarm.sign {
        Sign::GradientExploded => msg::GradientExploded {
            value,
            usual,
            since,
            step,
        }
        .into(),
        Sign::GradientVanished => msg::GradientVanished { since, step }.into(),
        Sign::LossRose | Sign::NotFinite => msg::LossRose {
            value,
            usual,
            since,
            step,
        }
        .into(),
    };
    let (rows, step) = (shown(&divergence.rows), since);
    msg::WithRowsOf { what, rows, step }.into()
}
