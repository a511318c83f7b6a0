//! What a run under way leaves in storage, checkpoints and its result, and how it goes on from there.

use super::Trainer;
use crate::data::Cursor;
use crate::error::{Error, Kind, Result};
use crate::host::Emit;
use crate::protocol::{EvalInfo, Event, RunSample};
use crate::store::Sink;
use crate::train::checkpoint::{self, Checkpoint};
use crate::train::optim::moments_bytes;
use crate::train::report::best_baseline;
use crate::train::watchdog::LATEST;
use lorakeet_i18n::messages::run as msg;
use std::collections::BTreeSet;

/// Checkpoints of a run that is kept: the one before the newest is there in case that one is damaged. Where steps are slow, others
/// are there besides ([`kept_of`]).
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

    /// Of a run that is kept in case it is interrupted: whether there is room for a checkpoint of it is known before its first step.
    /// Where there is none, it is told of, with how much is missing, and none is written.
    pub(crate) fn keep_if_it_fits(&mut self, free_bytes: u64, emit: &mut Emit<'_>) {
        let needed_bytes = self.checkpoint_bytes();
        if self.save_interval_ms.is_none() || self.sink.is_none() || needed_bytes <= free_bytes {
            return;
        }
        let (needed, free) = (needed_bytes.div_ceil(1 << 20), free_bytes >> 20);
        emit.warn(msg::NoRoomForCheckpoint { needed, free });
        (self.sink, self.is_refused) = (None, true);
    }

    /// What a checkpoint takes at least: 4 bytes a trained weight and AdamW's two moments of it, 4 more where the best weights are
    /// kept, and after full training the files beside the weights. Left out are the run's past and headers of files.
    fn checkpoint_bytes(&self) -> u64 {
        let parameters = &self.model.model.parameters;
        let copies = 1 + u64::from(self.config.load_best_model_at_end);
        let moments = |shape: &[usize]| moments_bytes(shape.iter().product(), self.config.optim);
        let moments: u64 = parameters.iter().map(|parameter| moments(&parameter.shape)).sum();
        let beside: u64 = match self.model.full {
            true => self.model.companions.iter().map(|file| file.len_bytes()).sum(),
            false => 0,
        };
        4 * copies * parameters.weights() + moments + beside
    }

    /// Writes into the run's record what the model wrote.
    pub(super) async fn write_down(&mut self, sample: RunSample, emit: &mut Emit<'_>) -> Result<()> {
        let Some(record) = self.record.clone() else {
            return Ok(());
        };
        record.add_sample(sample);
        let written = record.write().await;
        self.unless_kept(written, emit)
    }

    /// Adds a score to the run's curve, with the best score without training by the metric that judges it.
    pub(super) fn write_down_score(&self, info: &EvalInfo) {
        let Some(record) = &self.record else { return };
        let metric = self.spec.judged_by();
        let of_texts = self.progress.texts_before.as_ref();
        let of_texts = of_texts.map(|texts| (texts.value(metric), self.before));
        let of_answers = || best_baseline(&self.baselines, metric).map(|best| (best.answers.value(metric), best.kind));
        let baseline = of_texts.or_else(of_answers).filter(|baseline| baseline.0.is_finite());
        record.add_eval(
            info,
            (self.progress.tokens_seen, self.progress.seconds),
            metric,
            baseline,
        );
    }

    /// Writes `checkpoint-N` and the curve so far, and then removes what is beyond save_total_limit.
    pub(crate) async fn save_checkpoint(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        self.saved_ms = (emit.host.now_ms)();
        let written = self.write_checkpoint(emit).await;
        self.unless_kept(written, emit)?;
        let Some(record) = self.record.clone() else {
            return Ok(());
        };
        let written = record.write_curve().await;
        self.unless_kept(written, emit)
    }

    async fn write_checkpoint(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        let Some(sink) = self.sink.clone() else { return Ok(()) };
        let step = self.progress.step;
        if step == 0 {
            return Ok(());
        }
        let folder = checkpoint::folder(step);
        let files = self.checkpoint_files().await?;
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

    /// The files of a checkpoint of the steps done, without its manifest.
    async fn checkpoint_files(&self) -> Result<Vec<(String, Vec<u8>)>> {
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
        Ok(files)
    }

    /// Hands a checkpoint of the steps done over to the front end; nothing before the first one.
    pub(super) async fn hand_over_checkpoint(&self, emit: &mut Emit<'_>) -> Result<()> {
        if self.progress.step == 0 {
            return Ok(());
        }
        let mut files = self.checkpoint_files().await?;
        files.push(checkpoint::manifest(&files)?);
        for (name, content) in files {
            emit.checkpoint_file(name, content);
        }
        Ok(())
    }

    /// Removes the oldest checkpoints beyond save_total_limit, those of an interrupted run that this one goes on from
    /// included. Checkpoints of later steps are another run's and stay.
    async fn drop_old_checkpoints(&self, sink: &dyn Sink) -> Result<()> {
        checkpoint::sweep(sink).await?;
        let now = self.progress.step;
        let steps = checkpoint::steps(sink).await?;
        let own: Vec<usize> = steps.into_iter().filter(|step| *step <= now).collect();
        let kept: BTreeSet<usize> = match (self.config.save_total_limit, self.save_interval_ms) {
            (Some(limit), _) => own.iter().take(limit).copied().collect(),
            (None, Some(_)) => kept_of(&own, now, self.good),
            (None, None) => return Ok(()),
        };
        for step in own.into_iter().filter(|step| !kept.contains(step)) {
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

/// Which checkpoints of a run that is kept stay at the step `now`, of `steps` from the newest to the oldest: besides the two newest
/// one from before anything that may yet be told of as wrong, and the one that is to take its place. After a run went wrong, `good`
/// is the one to go back to.
fn kept_of(steps: &[usize], now: usize, good: Option<usize>) -> BTreeSet<usize> {
    let newest = steps.iter().take(CHECKPOINTS_OF_KEPT);
    let before = steps.iter().find(|step| **step + LATEST <= now).or(steps.last());
    let next = steps.iter().take_while(|step| Some(*step) > before).last();
    newest.chain(before).chain(next).copied().chain(good).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_from_before_what_may_yet_be_told_of_is_always_there_and_not_much_older() {
        for every in [1, 2, 7, 19, 20, 33] {
            let mut steps: Vec<usize> = Vec::new();
            for now in (every..1000).step_by(every) {
                steps.insert(0, now);
                let kept = kept_of(&steps, now, None);
                steps.retain(|step| kept.contains(step));
                assert!(steps.len() <= 4, "{steps:?}");
                assert_eq!(steps[0], now);
                // Until the next one is written.
                for told in now..now + every {
                    let first = (told + 1).saturating_sub(LATEST);
                    let good = steps.iter().find(|step| **step < first);
                    if first > every {
                        let good = good.unwrap_or_else(|| panic!("none before {first}: {steps:?}"));
                        assert!(first - good <= 2 * (LATEST + every), "{good} for {first}: {steps:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_checkpoint_to_go_back_to_stays() {
        let kept = kept_of(&[100, 90, 80, 70, 10, 5], 100, Some(5));
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), [5, 80, 90, 100]);
        assert!(kept_of(&[], 3, None).is_empty());
    }
}
