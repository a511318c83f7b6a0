//! A model with all that came with it: what it can do on its own, in a run and outside of one.

use super::own_head::OwnHead;
use crate::config::{RunConfig, TargetModules};
use crate::data::{self, Dataset, Example};
use crate::error::{Error, Result};
use crate::formats::{
    self, ModelFiles,
    peft::{AdapterConfig, Patterns},
};
use crate::generate::{Generated, Generation};
use crate::host::{Control, Emit, Host};
use crate::models::{Model, head};
use crate::protocol::{Command, Event, GenerateOptions, ModelInfo, Prompt, Stage};
use crate::quant::Base;
use crate::store::{Source, read_all};
use crate::tokenizer::Tokenizer;

/// Copied from the model that was trained to the one that it became.
const COMPANIONS: [&str; 5] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
];
const MOST_COMPANION_BYTES: u64 = 64 << 20;

/// A model with the files that it came from: a full training reads them again, exports copy its tokenizer.
pub(crate) struct Loaded {
    pub(crate) files: ModelFiles,
    pub(crate) model: Model,
    /// Whether every weight is trained.
    pub(crate) full: bool,
    /// The format of its frozen linears.
    pub(crate) base: Base,
    /// The small files that make a folder of weights a model again.
    pub(crate) companions: Vec<Source>,
    /// The head that it came with; a run may have put on another.
    pub(crate) own: OwnHead,
}

/// Of a model's files, the small ones that are copied.
pub(crate) fn companions(files: &[Source]) -> Vec<Source> {
    files
        .iter()
        .filter(|file| COMPANIONS.contains(&file.name()))
        .cloned()
        .collect()
}

impl Loaded {
    /// Tokenizes `dataset` as `config` wants it; the model has a row for each token.
    pub(crate) async fn examples(
        &self,
        dataset: &Dataset,
        config: &RunConfig,
        emit: &mut Emit<'_>,
    ) -> Result<Vec<Example>> {
        let template = self.files.chat_template.as_ref();
        let settings = data::Settings::new(config, dataset, self.model.limits().cutoff(config.cutoff_len));
        let mut made = data::examples(
            dataset,
            self.tokenizer()?,
            template,
            &settings,
            &mut emit.turns(Stage::Tokenize),
        )
        .await?;
        emit.warn_all(made.notes);
        self.admit(&mut made.items, dataset, 0)?;
        Ok(made.items)
    }

    /// Refuses examples with an id that the model has no row for; `classes` is how many classes tokens can have.
    pub(crate) fn admit(&self, examples: &mut [Example], dataset: &Dataset, classes: usize) -> Result<()> {
        let admitted = self.model.limits().admit(examples, self.tokenizer()?, classes);
        admitted.map_err(|error| error.file(&dataset.name))
    }

    pub(crate) fn tokenizer(&self) -> Result<&Tokenizer> {
        self.files.tokenizer.as_ref().ok_or_else(|| {
            Error::model("the model came without a tokenizer")
                .file(&self.files.name)
                .remedy("Put its tokenizer.json beside it, or take a GGUF file, which holds one.")
        })
    }

    /// Serves a wish that needs nothing but the model.
    pub(crate) async fn answer(
        &self,
        command: Command,
        host: Host,
        control: &Control,
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        match command {
            Command::Generate {
                id,
                prompt,
                options,
                adapter,
            } => {
                control.begin_generate();
                let cancelled = || control.is_cancelled();
                let mut token = |text: &str| {
                    emit.event(Event::Token {
                        id,
                        text: text.to_owned(),
                    })
                };
                let made = self
                    .generate(&prompt, &options, adapter, host, &cancelled, &mut token)
                    .await?;
                let tokens_per_second = made.tokens as f64 / made.seconds.max(1e-9);
                emit.event(Event::Generated {
                    id,
                    text: made.text,
                    tokens: made.tokens,
                    tokens_per_second,
                });
            }
            Command::ExportAdapter => {
                let mut files = self.export().await?;
                // Who waits for them knows by the weights that they are complete.
                files.sort_by_key(|(name, _)| name.ends_with(".safetensors"));
                for (name, bytes) in files {
                    emit.file(name, bytes);
                }
            }
            _ => return Err(Error::config("this has to wait until the run is over").remedy("Stop the run first.")),
        }
        Ok(())
    }

    pub(crate) async fn generate(
        &self,
        prompt: &Prompt,
        options: &GenerateOptions,
        adapter: bool,
        host: Host,
        cancelled: &dyn Fn() -> bool,
        emit: &mut dyn FnMut(&str),
    ) -> Result<Generated> {
        let tokenizer = self.tokenizer()?;
        let ids = match prompt {
            Prompt::Text(text) => tokenizer.encode(text, true)?,
            Prompt::Messages(messages) => {
                let template = self.files.chat_template.as_ref().ok_or_else(|| {
                    Error::config("the model has no chat template")
                        .field("prompt")
                        .remedy("Give it plain text to continue.")
                })?;
                tokenizer.encode(&template.apply(messages, true)?, false)?
            }
        };
        self.continued(&ids, options, adapter, host, cancelled, emit).await
    }

    /// Continues tokens.
    pub(crate) async fn continued(
        &self,
        ids: &[u32],
        options: &GenerateOptions,
        adapter: bool,
        host: Host,
        cancelled: &dyn Fn() -> bool,
        emit: &mut dyn FnMut(&str),
    ) -> Result<Generated> {
        let leaves = self.model.parameters.plain();
        let generation = Generation {
            model: &self.model,
            leaves: &leaves,
            tokenizer: self.tokenizer()?,
            end: &self.files.eos_token_ids,
            adapter,
            host,
        };
        generation.run(ids, options, cancelled, emit).await
    }

    /// The files of what is trained: PEFT's two for an adapter, a Hugging Face folder for a full training.
    pub(crate) async fn export(&self) -> Result<Vec<(String, Vec<u8>)>> {
        if !self.full {
            let adapter = self
                .model
                .adapter()
                .await
                .map_err(|error| error.remedy("Train first."))?;
            let (config, tensors) = adapter.to_files()?;
            let mut files = vec![
                ("adapter_config.json".into(), config.into_bytes()),
                ("adapter_model.safetensors".into(), tensors),
            ];
            // PEFT's files do not say what a head's outputs mean.
            if head::of_run(&self.files.config).is_some() {
                files.push(("config.json".into(), self.config_file()?));
            }
            return Ok(files);
        }
        let mut files = vec![
            ("config.json".to_owned(), self.config_file()?),
            (
                "model.safetensors".to_owned(),
                formats::safetensors::write_f32(&self.model.trained().await?)?,
            ),
        ];
        for file in &self.companions {
            files.push((
                file.name().to_owned(),
                read_all(file.as_ref(), MOST_COMPANION_BYTES).await?,
            ));
        }
        Ok(files)
    }

    fn config_file(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_string_pretty(&self.files.config).map_err(|e| Error::internal(e.to_string()))?;
        Ok(text.into_bytes())
    }
}

/// PEFT's configuration of the adapter that a run asks for.
pub(crate) fn adapter_config(config: &RunConfig, model: &ModelInfo) -> AdapterConfig {
    // PEFT takes layers_to_transform beside names only: there, all-linear is a text like a pattern.
    let target_modules = if config.layers_to_transform.is_some() && config.target_modules.is_all_linear() {
        TargetModules::Names(model.linear_modules.clone())
    } else {
        config.target_modules.clone()
    };
    AdapterConfig {
        r: config.lora_r,
        lora_alpha: config.lora_alpha,
        lora_dropout: config.lora_dropout,
        use_rslora: config.use_rslora,
        use_dora: config.use_dora,
        fan_in_fan_out: model.model_type == "gpt2",
        target_modules,
        exclude_modules: config.exclude_modules.clone(),
        layers_to_transform: config.layers_to_transform.clone(),
        rank_pattern: Patterns(config.rank_pattern.clone()),
        alpha_pattern: Patterns(config.alpha_pattern.clone()),
        modules_to_save: match &config.modules_to_save {
            Some(TargetModules::Names(names)) => Some(names.clone()),
            _ => None,
        },
        base_model_name_or_path: Some(config.model_name_or_path.clone()),
        task_type: Some("CAUSAL_LM".into()),
        ..AdapterConfig::default()
    }
}
