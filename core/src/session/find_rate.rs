//! The learning-rate range test of a run on the loaded model and data. The way is that of [`crate::finetune`] up to the first step.

use super::{Session, no_data};
use crate::config::RunConfig;
use crate::device;
use crate::error::Result;
use crate::estimate;
use crate::host::{Emit, Receiver};
use crate::loaded_model::{fit_inputs_to_data, loaded, prepare};
use crate::protocol::Event;
use crate::task::Task;
use crate::tasks::TaskSpec;
use crate::train::finder::{RateRange, RateSearch, find_rate};

impl Session {
    /// Searches for a learning rate of the run `config` ([`RateSearch`]) in steps of the run itself. Nothing is written, and the
    /// model has the weights afterwards from which the run would start.
    ///
    /// # Errors
    /// Nothing loaded; settings, a model and data that do not go together; a range that is none; a device that cannot take the run;
    /// a stop.
    pub async fn find_rate(
        &mut self,
        config: &RunConfig,
        range: &RateRange,
        receiver: Receiver<'_>,
    ) -> Result<RateSearch> {
        range.check()?;
        let emit = &mut self.emit(receiver);
        self.control.begin_run();
        let outcome = self.search_rate(config, range, emit).await;
        self.control.end_run();
        outcome
    }

    /// [`crate::protocol::Command::FindRate`].
    pub(super) async fn answer_rate(&mut self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
        self.control.begin_run();
        let outcome = match self.read_as(config, emit).await {
            Ok(()) => self.search_rate(config, &RateRange::default(), emit).await,
            Err(error) => Err(error),
        };
        self.control.end_run();
        emit.event(Event::Rate(Box::new(outcome?)));
        Ok(())
    }

    async fn search_rate(&mut self, config: &RunConfig, range: &RateRange, emit: &mut Emit<'_>) -> Result<RateSearch> {
        self.trained = None;
        let data = &self.data.as_ref().ok_or_else(no_data)?.rows;
        fit_inputs_to_data(&mut self.model, data, config, emit).await?;
        let model = loaded(&self.model)?;
        let mut spec = TaskSpec::resolve(config, model, data)?;
        spec.check_head_init(config, model, self.adapter.is_some())?;
        spec.note_cutoff(config, model);
        spec.emit_notes(emit);
        let validation = self.validation.as_ref().map(|data| &data.rows);
        let mut split = spec.datasets(config, model, data, validation, emit).await?;

        let head = spec.head(&model.head);
        let adapter = self.adapter.as_ref();
        let model = prepare(&mut self.model, head, spec.shape, adapter, config, emit).await?;
        model.pool_texts_by((spec.task() == Task::Embedding).then_some(config));
        model.check_features(&split.train, data)?;
        let longest = split.longest_row().unwrap_or(config.cutoff_len);
        // A search scores nothing but the model that preferences are compared with, as a run does.
        let scored = match spec.task() {
            Task::Preference => split.held_out.len().max(1),
            _ => 1,
        };
        let planned = RunConfig {
            cutoff_len: longest.min(config.cutoff_len),
            per_device_train_batch_size: config.per_device_train_batch_size.min(split.train.len()),
            per_device_eval_batch_size: config.per_device_eval_batch_size.min(scored),
            ..config.clone()
        };
        let adapter = adapter.map(|adapter| &adapter.config);
        let peak_bytes = estimate::check(&model.files, &planned, adapter, model.model.device()).await?;
        let _expected = device::expect_memory(peak_bytes.unwrap_or(0));
        spec.add_reference(config, &model.model, &mut split.train, emit).await?;
        if let Some(start) = spec.head_start(config, &model.model, &split.train, emit).await? {
            start.put_into(&mut model.model, emit)?;
        }
        let ground = (&mut model.model, &spec.objective, split.train.as_slice());
        find_rate(config, range, ground, emit).await
    }
}
