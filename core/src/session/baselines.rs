//! What a run would have to beat, measured before it. Rows, split and model are those of [`crate::finetune`], and so are the numbers.

use super::{Session, no_data};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::finetune::{Ready, ready, to_beat};
use crate::host::{Emit, Receiver};
use crate::loaded_model::loaded;
use crate::protocol::{BaselineKind, Event, MeasuredBaselines};
use crate::task::Task;
use crate::tasks::Baseline;
use crate::train::report::baseline_of_texts;
use lorakeet_i18n::messages::run as msg;

impl Session {
    /// Scores the baselines on the rows that the run `config` holds out, and the untouched model where it has
    /// answers, and tells the scores as that run does ([`Event::Baseline`]). The model has the weights afterwards from which the run
    /// would start.
    ///
    /// # Errors
    /// Nothing loaded; settings, a model and data that do not go together; no rows that are held out; a device that cannot take the
    /// run; a stop.
    pub async fn measure_baselines(&mut self, config: &RunConfig, receiver: Receiver<'_>) -> Result<MeasuredBaselines> {
        let emit = &mut self.emit(receiver);
        self.control.begin_run();
        let outcome = self.measured_baselines(config, emit).await;
        self.control.end_run();
        outcome
    }

    /// [`crate::protocol::Command::Baselines`].
    pub(super) async fn answer_baselines(&mut self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
        loaded(&self.model)?;
        self.control.begin_run();
        let outcome = match self.read_as(config, emit).await {
            Ok(()) => self.measured_baselines(config, emit).await,
            Err(error) => Err(error),
        };
        self.control.end_run();
        emit.event(Event::BaselinesMeasured(Box::new(outcome?)));
        Ok(())
    }

    async fn measured_baselines(&mut self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<MeasuredBaselines> {
        self.trained = None;
        let data = &self.data.as_ref().ok_or_else(no_data)?.rows;
        let rows = (data, self.validation.as_ref().map(|data| &data.rows));
        let adapter = self.adapter.as_ref();
        let Ready {
            spec,
            split,
            model,
            expected: _expected,
            ..
        } = ready(&mut self.model, rows, adapter, config, emit).await?;
        let (train, held_out) = (split.train.len(), split.held_out.len());
        if held_out == 0 {
            let error = Error::config(msg::NothingHeldOut).field("val_size");
            return Err(error.remedy(msg::HoldOutForBaselines));
        }
        let rows = (!spec.packs(config, &model.head, data)).then_some(train);
        let takes_probe = spec.takes_probe(config, model, adapter.is_some());
        let (_, scored_rows, found) = to_beat(&spec, model, split, true, config, emit).await?;
        emit.yield_or_stop(msg::StoppedBaselines).await?;
        let task = spec.task();
        let mut scores: Vec<_> = found.iter().map(|one| one.scores(task)).collect();
        if !scores.is_empty() {
            let scores = scores.clone();
            emit.event(Event::Baseline { scores });
        }

        // The untouched model: of texts, of a trained head, and of an adapter that makes other vectors than its base.
        let kind = match adapter {
            Some(_) => BaselineKind::ModelBefore,
            None => BaselineKind::BaseModel,
        };
        let makes_vectors = task == Task::Embedding && adapter.is_some();
        if spec.objective.learns_texts() || spec.keeps_head || makes_vectors {
            let stopped = emit.control.stops_from_now_on();
            let scored = scored_rows.score(model, &spec, config, &stopped, emit).await?;
            let scored = scored.ok_or_else(|| Error::stopped(msg::StoppedBaselines))?;
            let untouched = match scored.answers {
                Some(answers) => Baseline { kind, answers }.scores(task),
                None => baseline_of_texts(&scored.texts, kind),
            };
            emit.event(Event::Baseline {
                scores: vec![untouched.clone()],
            });
            scores.push(untouched);
        }
        Ok(MeasuredBaselines::new(
            task,
            spec.judged_by(),
            scores,
            (rows, held_out),
            takes_probe,
        ))
    }
}
