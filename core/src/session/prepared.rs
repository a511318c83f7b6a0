//! A run made ready and not begun: its rows as token ids and the adapter that its next step starts from, for a script that goes on
//! with it elsewhere. The way is that of [`crate::finetune`] up to the first step.

use super::{Session, no_data};
use crate::config::{FinetuningType, Optimizer, RunConfig};
use crate::error::{Error, Result};
use crate::export::cluster::{ModelClass, PreparedRun, check_steps};
use crate::host::Receiver;
use crate::loaded_model::{fit_inputs_to_data, loaded, prepare};
use crate::models::HeadKind;
use crate::models::registry::{Kind, of_model_type};
use crate::task::Task;
use crate::tasks::TaskSpec;
use crate::train::checkpoint::{self, state_files};
use crate::train::fingerprint::{Fingerprint, TRAIN, VALIDATION};
use crate::train::optim::AdamW;
use lorakeet_i18n::messages::export as msg;

/// The file of a checkpoint with AdamW's moments.
const OPTIMIZER: &str = "optimizer.safetensors";

impl Session {
    /// The run of `config` on the loaded model and data, from its first step on or from [`Session::resume`]. The model is then the
    /// run's, with its adapter.
    ///
    /// # Errors
    /// Nothing loaded, a run that the script does not train, a checkpoint of another run.
    pub async fn prepared_run(&mut self, config: &RunConfig, receiver: Receiver<'_>) -> Result<PreparedRun> {
        let resume = self.resume.take();
        self.trained = None;
        let emit = &mut self.emit(receiver);
        let data = self.data.as_ref().ok_or_else(no_data)?;
        fit_inputs_to_data(&mut self.model, &data.rows, config, emit).await?;
        let model = loaded(&self.model)?;
        let architecture = of_model_type(&model.model.info.model_type)?;
        if architecture.kind == Kind::Small {
            let model_type = architecture.model_type;
            let error = Error::model(msg::SmallNotInScript { model_type });
            return Err(error.field("model_name_or_path").remedy(msg::UseHubModel));
        }
        check_adapter(config)?;
        check_steps(config)?;
        let mut spec = TaskSpec::resolve(config, model, &data.rows)?;
        spec.check_head_init(config, model, self.adapter.is_some())?;
        spec.note_cutoff(config, model);
        spec.emit_notes(emit);
        let validation = self.validation.as_ref().map(|data| &data.rows);
        let mut split = spec.datasets(config, model, &data.rows, validation, emit).await?;
        let head = spec.head(&model.head);
        let labels = head.as_ref().map(|head| head.labels.clone()).unwrap_or_default();
        let activation = head.as_ref().and_then(|head| head.record.layers.activation.clone());
        let is_gguf = model
            .files
            .entries()
            .iter()
            .any(|entry| entry.storage.block_elements() > 1);

        let adapter = self.adapter.as_ref();
        let model = prepare(&mut self.model, head, spec.shape, adapter, config, emit).await?;
        model.pool_texts_by((spec.task() == Task::Embedding).then_some(config));
        if resume.is_none()
            && let Some(start) = spec.head_start(config, &model.model, &split.train, emit).await?
        {
            start.put_into(&mut model.model, emit)?;
        }
        let plan = config.plan(split.train.len());
        let mut optimizer = AdamW::new(&model.model.parameters, config);
        let (mut first_step, mut moments) = (0, None);
        if let Some(checkpoint) = resume {
            let mut fingerprint = Fingerprint::of(&spec.settled(config));
            let saved = Some(&checkpoint.fingerprint);
            fingerprint
                .add_model(model, (self.most_whole_bytes, saved), emit)
                .await?;
            fingerprint.add_adapter(adapter, model, saved)?;
            let validation = self.validation.as_ref();
            fingerprint.add_data(TRAIN, Some(data));
            fingerprint.add_data(VALIDATION, validation);
            fingerprint.add_rows([&split.train, &split.held_out]);
            let known = (&fingerprint, [Some(data), validation]);
            checkpoint::check(Some(&checkpoint), config, &plan, known, None, emit)?;
            checkpoint.restore(&mut model.model, &mut optimizer)?;
            first_step = checkpoint.progress.step;
            let state = (&checkpoint.progress, None);
            let files = state_files(&model.model, &optimizer, state, &plan, config, &fingerprint).await?;
            let found = files.into_iter().find(|(name, _)| name == OPTIMIZER);
            moments = found.map(|(_, bytes)| bytes);
        }
        for examples in [&mut split.train, &mut split.held_out] {
            spec.add_reference(config, &model.model, examples, emit).await?;
        }
        let parameters = model.model.parameters.iter();
        let no_decay = parameters.filter(|parameter| !parameter.decay);
        Ok(PreparedRun {
            config: config.clone(),
            plan,
            first_step,
            class: match model.model.task() {
                HeadKind::SequenceClassification => ModelClass::SequenceClassification,
                HeadKind::TokenClassification => ModelClass::TokenClassification,
                HeadKind::Seq2SeqLm => ModelClass::Seq2SeqLm,
                HeadKind::Features => ModelClass::Features,
                HeadKind::CausalLm | HeadKind::MaskedLm => ModelClass::CausalLm,
            },
            is_gguf,
            task: spec.task(),
            loss: spec.objective.loss.clone(),
            pooling: model.model.text_pooling(),
            head: model.model.own_head(activation),
            labels,
            pad_token_id: model.model.pad_token_id(),
            no_decay: no_decay.map(|parameter| parameter.name.clone()).collect(),
            adapter: model.export().await?,
            // Those of eight bits are bitsandbytes' in value and not in layout.
            optimizer: moments.filter(|_| config.optim == Optimizer::AdamwTorch),
            train: split.train,
            held_out: split.held_out,
        })
    }
}

/// Refuses a training of every weight.
fn check_adapter(config: &RunConfig) -> Result<()> {
    match config.finetuning_type {
        FinetuningType::Lora => Ok(()),
        FinetuningType::Full => Err(Error::config(msg::FullNotInScript)
            .field("finetuning_type")
            .remedy(msg::UseLoraForScript)),
    }
}
