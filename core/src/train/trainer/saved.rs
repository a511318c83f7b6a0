//! What a run under way leaves in storage, checkpoints and its result, and how it goes on from there.

use super::Trainer;
use crate::data::Cursor;
use crate::error::{Error, Kind, Result};
use crate::host::Emit;
use crate::protocol::Event;
use crate::store::Sink;
use crate::train::checkpoint::{self, Checkpoint};
use lorakeet_i18n::messages::run as msg;

/// Checkpoints of a run that is kept: the one before the newest is there in case that one is damaged.
const CHECKPOINTS_OF_KEPT: usize = 2;

impl Trainer<'_> {
    /// Whether a checkpoint is due after this step, or by the clock.
    pub(crate) fn saves(&self, emit: &Emit<'_>) -> bool {
        let since_last = (emit.host.now_ms)() - self.saved_ms;
        self.config.saves_at(self.progress.step, &self.plan)
            || self.save_interval_ms.is_some_and(|interval| since_last >= interval)
    }

    /// What storage refused, unless the run is kept only in case it is interrupted: it goes on then, and tells of it once.
    pub(super) fn unless_kept(&mut self, outcome: Result<()>, emit: &mut Emit<'_>) -> Result<()> {
        match outcome {
            Err(error) if error.kind == Kind::File && self.save_interval_ms.is_some() => {
                if !std::mem::replace(&mut self.is_refused, true) {
                    let why = error.message();
                    emit.warn(msg::NotKept { why });
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Writes `checkpoint-N`, and then removes what is beyond save_total_limit.
    pub(crate) async fn save_checkpoint(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        self.saved_ms = (emit.host.now_ms)();
        let written = self.write_checkpoint(emit).await;
        self.unless_kept(written, emit)
    }

    async fn write_checkpoint(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        let Some(sink) = self.sink.clone() else { return Ok(()) };
        let step = self.progress.step;
        if step == 0 {
            return Ok(());
        }
        let folder = checkpoint::folder(step);
        let mut files = self.model.export().await?;
        let state = checkpoint::state_files(
            &self.model.model,
            &self.optimizer,
            (&self.progress, self.best.as_ref()),
            &self.plan,
            self.config,
            &self.fingerprint,
        );
        files.extend(state.await?);
        checkpoint::write(sink.as_ref(), step, &files).await?;
        emit.event(Event::Checkpoint {
            step,
            path: format!("{}/{folder}", self.config.output_dir),
        });
        // The new one is safe; an old one too many is no reason to end a run.
        if let Err(error) = self.drop_old_checkpoints(sink.as_ref()).await {
            emit.warn(error.message());
        }
        Ok(())
    }

    /// Removes the oldest checkpoints beyond save_total_limit, those of an interrupted run that this one goes on from
    /// included. Checkpoints of later steps are another run's and stay.
    async fn drop_old_checkpoints(&self, sink: &dyn Sink) -> Result<()> {
        checkpoint::sweep(sink).await?;
        let of_kept = self.save_interval_ms.map(|_| CHECKPOINTS_OF_KEPT);
        let Some(limit) = self.config.save_total_limit.or(of_kept) else {
            return Ok(());
        };
        let steps = checkpoint::steps(sink).await?;
        let own = steps.into_iter().filter(|step| *step <= self.progress.step);
        for step in own.skip(limit) {
            checkpoint::remove(sink, step).await?;
        }
        Ok(())
    }

    /// Writes what was learnt.
    pub(super) async fn save_result(&mut self) -> Result<()> {
        let Some(sink) = self.sink.clone() else { return Ok(()) };
        for (name, bytes) in self.model.export().await? {
            sink.write(&name, &bytes).await?;
        }
        Ok(())
    }

    /// Goes to where `checkpoint` was written.
    pub(crate) fn resume(&mut self, checkpoint: Checkpoint) -> Result<()> {
        checkpoint.restore(&mut self.model.model, &mut self.optimizer)?;
        self.best = checkpoint.best(&self.model.model)?;
        self.progress = checkpoint.progress;
        if self.progress.step > self.plan.max_steps {
            let (step, steps) = (self.progress.step, self.plan.max_steps);
            return Err(Error::config(msg::TooManySteps { step, steps }).remedy(msg::RaiseSteps));
        }
        let rows = self.config.per_device_train_batch_size * self.config.gradient_accumulation_steps;
        let steps_per_epoch = self.plan.steps_per_epoch;
        self.cursor = Cursor {
            epoch: self.progress.step / steps_per_epoch,
            position: self.progress.step % steps_per_epoch * rows,
        };
        Ok(())
    }
}
