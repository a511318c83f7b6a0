//! A model with all that came with it: what it can do on its own, in a run and outside of one, and how it is made ready for a
//! run.

mod given_adapter;
mod pretrained_head;
mod weights_file;

pub(crate) use pretrained_head::{PretrainedHead, head_layers};

use crate::config::{FinetuningType, RunConfig, SMALL_MODELS, TargetModules};
use crate::data::{self, Columns, Dataset, Example, Shape};
use crate::device;
use crate::error::{Error, Result};
use crate::formats::{
    self, ModelFiles, SentenceModules, TextPooling,
    peft::{Adapter, AdapterConfig, Patterns},
};
use crate::generate::{Generated, Generation};
use crate::head_spec::{HeadRecord, HeadSpec};
use crate::host::{Emit, Host};
use crate::models::{Leaves, Model, registry::of_model_type, small};
use crate::own_class::{self, CLASS, CLASS_FILE};
use crate::protocol::{ChatMessage, Command, Event, GenerateOptions, ModelInfo, Prompt, Stage};
use crate::quant::BaseFormat;
use crate::store::{MemoryFile, Source, read_all};
use crate::tokenizer::Tokenizer;
use burn::tensor::Device;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use weights_file::WeightsFile;

/// Copied from the model that was trained to the one that it became.
const COMPANIONS: [&str; 5] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
];
/// An adapter is tried at twice the strength that it was trained at, at most.
const MOST_STRENGTH: f64 = 2.0;
const MOST_COMPANION_BYTES: u64 = 64 << 20;

/// A model with the files that it came from: a full training reads them again, exports copy its tokenizer.
pub(crate) struct LoadedModel {
    pub(crate) files: ModelFiles,
    pub(crate) model: Model,
    /// Whether every weight is trained.
    pub(crate) full: bool,
    /// The format of its frozen linears.
    pub(crate) base: BaseFormat,
    /// The small files that make a folder of weights a model again.
    pub(crate) companions: Vec<Source>,
    /// The head that it came with; a run may have put on another.
    pub(crate) head: PretrainedHead,
    /// SHA-256 of all tensors in its files, once a run was to be known by it.
    pub(crate) digest: RefCell<Option<String>>,
}

/// How a model's weights are held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights {
    /// Whether all of them are trained.
    pub(crate) full: bool,
    /// The format of frozen linears.
    pub(crate) base: BaseFormat,
    /// The seed of those that the files lack.
    pub(crate) seed: u64,
}

/// Of a model's files, the small ones that are copied.
pub(crate) fn companions(files: &[Source]) -> Vec<Source> {
    files
        .iter()
        .filter(|file| COMPANIONS.contains(&file.name()))
        .cloned()
        .collect()
}

impl LoadedModel {
    /// Tokenizes `dataset` as `config` wants it, of examples that are packed only the first `most`; [`Self::admit`] checks the ids.
    pub(crate) async fn examples(
        &self,
        (dataset, most): (&Dataset, usize),
        config: &RunConfig,
        emit: &mut Emit<'_>,
    ) -> Result<Vec<Example>> {
        let template = self.files.chat_template.as_ref();
        let settings = data::Settings {
            max_samples: Some(most),
            ..data::Settings::new(config, dataset, self.model.limits().cutoff(config.cutoff_len))
        };
        let made = data::examples(
            dataset,
            self.tokenizer()?,
            template,
            &settings,
            &mut emit.turns(Stage::Tokenize),
        )
        .await?;
        emit.warn_all(made.notes);
        Ok(made.items)
    }

    /// Refuses examples with an id that the model has no row for; `classes` is how many classes tokens can have.
    pub(crate) fn admit(&self, examples: &mut [Example], dataset: &Dataset, classes: usize) -> Result<()> {
        let admitted = self.model.limits().admit(examples, self.tokenizer()?, classes);
        admitted.map_err(|error| error.file(&dataset.name))
    }

    pub(crate) fn tokenizer(&self) -> Result<&Tokenizer> {
        self.files.tokenizer.as_ref().ok_or_else(|| {
            Error::model(msg::NoTokenizer)
                .file(&self.files.name)
                .remedy(msg::AddTokenizer)
        })
    }

    /// Serves a request that needs nothing but the model.
    pub(crate) async fn answer(&self, command: Command, emit: &mut Emit<'_>) -> Result<()> {
        match command {
            Command::Generate {
                id,
                prompt,
                options,
                adapter,
            } => {
                let (host, control) = (emit.host, emit.control.clone());
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
            _ => return Err(Error::config(msg::WaitForRun).remedy(msg::StopRun)),
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
                    Error::config(msg::NoChatTemplate)
                        .field("prompt")
                        .remedy(msg::GivePlainText)
                })?;
                tokenizer.encode(&template.apply(messages, true)?, false)?
            }
        };
        self.continued(&ids, options, adapter, host, cancelled, emit).await
    }

    /// What the model continues where it is given `text` beside such data: in a conversation, a question.
    pub(crate) fn prompt(&self, text: String, dataset: &Dataset) -> Prompt {
        if dataset.form == data::Schema::Text || self.files.chat_template.is_none() {
            return Prompt::Text(text);
        }
        Prompt::Messages(vec![ChatMessage {
            role: "user".into(),
            content: text,
        }])
    }

    /// Refuses rows of numbers that do not fit the model; all have one length.
    pub(crate) fn check_features(&self, examples: &[Example], dataset: &Dataset) -> Result<()> {
        let first = examples.first().filter(|_| self.model.input_features().is_some());
        first.map_or(Ok(()), |example| {
            let checked = self.model.check_features(example.features.len());
            checked.map_err(|error| error.file(&dataset.name).row(example.row))
        })
    }

    /// What is trained, with the adapter at a strength.
    ///
    /// # Errors
    /// A strength out of range, or another than that of training without an adapter.
    pub(crate) fn leaves(&self, strength: f64) -> Result<Leaves> {
        if !(0.0..=MOST_STRENGTH).contains(&strength) {
            let (got, most) = (strength, MOST_STRENGTH);
            return Err(Error::config(msg::StrengthOutOfRange { got, most }).remedy(msg::StrengthOfTraining));
        }
        if strength != 1.0 && !self.model.has_adapter() {
            return Err(Error::config(msg::StrengthWithoutAdapter).remedy(msg::StrengthNeedsLora));
        }
        Ok(self.model.parameters.plain().with_strength(strength))
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
        let leaves = self.leaves(options.adapter_strength)?;
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
                .map_err(|error| error.remedy(msg::TrainFirst))?;
            let (config, tensors) = adapter.to_files()?;
            let mut files = vec![
                ("adapter_config.json".into(), config.into_bytes()),
                ("adapter_model.safetensors".into(), tensors),
            ];
            // PEFT's files do not say what a head's outputs mean.
            let config = self.files.config_with_head()?;
            if HeadRecord::is_in(&config) {
                files.push(("config.json".into(), config_file(&config)?));
            }
            return Ok(files);
        }
        let config = self.files.config_with_head()?;
        let own = own_class::wrapped(&config, |activation| self.model.own_head(activation))?;
        let mut files = vec![
            ("config.json".to_owned(), config_file(own.as_ref().unwrap_or(&config))?),
            (
                "model.safetensors".to_owned(),
                formats::safetensors::write_f32(&self.model.trained().await?)?,
            ),
        ];
        if own.is_some() {
            files.push((CLASS_FILE.to_owned(), CLASS.as_bytes().to_vec()));
        }
        for (name, value) in self.modules() {
            files.push((name, config_file(&value)?));
        }
        for file in &self.companions {
            files.push((
                file.name().to_owned(),
                read_all(file.as_ref(), MOST_COMPANION_BYTES).await?,
            ));
        }
        Ok(files)
    }

    /// Lays conversations out as a run wants it.
    pub(crate) fn lay_out_by(&mut self, run: &RunConfig) {
        if let Some(template) = &mut self.files.chat_template {
            template.enable_thinking(run.enable_thinking);
        }
    }

    /// Makes vectors of texts as a run for them wants, or without one as the files say, else by the mean.
    pub(crate) fn pool_texts_by(&mut self, run: Option<&RunConfig>) {
        let of_files = self.files.sentence.as_ref().map(SentenceModules::pooling);
        let of_run = run.and_then(|run| run.classifier_pooling);
        let of_run = of_run.map(|wanted| TextPooling::of_run(wanted, self.head.is_encoder()));
        self.model.pool_texts_by(of_run.or(of_files).unwrap_or_default());
    }

    /// What says how its vectors of texts are made: the files' modules, or others where a run has it otherwise.
    fn modules(&self) -> Vec<(String, Value)> {
        let pooling = self.model.text_pooling();
        match &self.files.sentence {
            Some(modules) if modules.pooling() == pooling => modules.files(),
            None if pooling == TextPooling::default() => Vec::new(),
            _ => formats::sentence::files(pooling, self.model.info.hidden_size),
        }
    }

    /// What an export is made from: the files of the base, `given` to it, or of a model that was trained throughout its own, whose
    /// weights stay on the device until they are read; and config.json where an adapter brings a head.
    ///
    /// # Errors
    /// What a run wrote of its head is broken, or its weights have no place in one file.
    pub(crate) fn export_files(&self, given: &[Source]) -> Result<(Vec<Source>, Option<Value>)> {
        let config = self.files.config_with_head()?;
        if !self.full {
            return Ok((given.to_vec(), HeadRecord::is_in(&config).then_some(config)));
        }
        let mut files = vec![
            MemoryFile::source("config.json", config_file(&config)?),
            Rc::new(WeightsFile::new(&self.model.parameters)?) as Source,
        ];
        for (name, value) in self.modules() {
            files.push(MemoryFile::source(name, config_file(&value)?));
        }
        files.extend(self.companions.iter().cloned());
        let has = |files: &[Source], name: &str| files.iter().any(|file| file.name() == name);
        // A GGUF file has them inside.
        if let (Some(tokenizer), false) = (&self.files.tokenizer, has(&files, "tokenizer.json")) {
            files.push(MemoryFile::source("tokenizer.json", tokenizer.to_json()?.into_bytes()));
        }
        if let (Some(template), false) = (&self.files.chat_template, has(&files, "tokenizer_config.json"))
            && !has(&files, "chat_template.jinja")
        {
            let source = template.source().as_bytes().to_vec();
            files.push(MemoryFile::source("chat_template.jinja", source));
        }
        Ok((files, None))
    }

    /// The head that it has now: the one that a run put on, or its own.
    ///
    /// # Errors
    /// What a run wrote of it is broken.
    pub(crate) fn current_head(&self) -> Result<PretrainedHead> {
        match HeadRecord::is_in(&self.files.config) || self.files.head.is_some() {
            true => self.head.with(&self.files.config_with_head()?),
            false => Ok(self.head.clone()),
        }
    }
}

fn config_file(config: &Value) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(config);
    let text = text.map_err(|error| Error::internal(Message::verbatim(error.to_string())))?;
    Ok(text.into_bytes())
}

/// Reads a model's weights onto `device`, with progress.
pub(crate) async fn read_weights(
    files: &ModelFiles,
    weights: Weights,
    device: &Device,
    emit: &mut Emit<'_>,
) -> Result<Model> {
    let mut progress = |done, total| emit.progress(Stage::LoadModel, done, total);
    Model::load_base(files, (weights.full, weights.base), weights.seed, device, &mut progress).await
}

/// Whether it is a small model without weights, whose sizes a run may choose.
pub(crate) fn has_unset_sizes(files: &ModelFiles) -> bool {
    let kind = files.config["model_type"].as_str();
    files.entries().is_empty() && kind.is_some_and(|kind| SMALL_MODELS.contains(&kind))
}

/// The model of a session, if there is one.
///
/// # Errors
/// There is none.
pub(crate) fn loaded(slot: &Option<LoadedModel>) -> Result<&LoadedModel> {
    slot.as_ref().ok_or_else(no_model)
}

/// The error where a model is needed and none is loaded.
pub(crate) fn no_model() -> Error {
    Error::config(msg::NoModel).remedy(msg::LoadModel)
}

/// Has a small model whose inputs are not set take what the data have: numbers, or texts byte by byte.
pub(crate) async fn fit_inputs_to_data(
    slot: &mut Option<LoadedModel>,
    dataset: &Dataset,
    config: &RunConfig,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let model = slot.as_mut().ok_or_else(no_model)?;
    model.lay_out_by(config);
    let variant = small::Variant::named(&model.model.info.model_type);
    let has_patches = variant.is_some_and(small::Variant::has_patches);
    let has_inputs = ["input_size", "vocab_size"]
        .iter()
        .any(|key| !model.head.config[*key].is_null());
    if !has_unset_sizes(&model.files) || has_patches || has_inputs {
        return Ok(());
    }
    let has_numbers = dataset.form == data::Schema::Numbers || dataset.numeric(&Columns::of(config)).is_ok();
    if model.model.input_features().is_some() == has_numbers {
        return Ok(());
    }
    let mut wanted = model.head.config.clone();
    (model.files.tokenizer, model.companions) = (None, Vec::new());
    if !has_numbers {
        let tokenizer = Tokenizer::of_bytes()?;
        wanted["vocab_size"] = json!(tokenizer.vocab_size());
        let file = MemoryFile::source("tokenizer.json", tokenizer.to_json()?.into_bytes());
        (model.files.tokenizer, model.companions) = (Some(tokenizer), vec![file]);
    }
    small::fit(&mut wanted, config, None)?;
    let weights = Weights {
        full: false,
        base: model.base,
        seed: config.seed,
    };
    read_again(slot, (wanted, None), weights, emit).await.map(drop)
}

/// Makes the model trainable: with the task's `head`, or its own, and with every weight, an adapter that was given, or a fresh
/// one.
pub(crate) async fn prepare<'m>(
    slot: &'m mut Option<LoadedModel>,
    head: Option<HeadSpec>,
    shape: Option<Shape>,
    adapter: Option<&Adapter>,
    config: &RunConfig,
    emit: &mut Emit<'_>,
) -> Result<&'m mut LoadedModel> {
    let model = slot.as_ref().ok_or_else(no_model)?;
    if let Some(adapter) = adapter {
        emit.warn_all(given_adapter::check(config, &adapter.config)?);
    }
    let mut wanted = model.head.config.clone();
    let weights = Weights {
        full: config.finetuning_type == FinetuningType::Full,
        base: BaseFormat::from(config),
        seed: config.seed,
    };
    if has_unset_sizes(&model.files) {
        if !weights.full {
            let error = Error::config(msg::LoraOnFreshWeights);
            return Err(error.field("finetuning_type").remedy(msg::SetFull));
        }
        if let (None, Some(tokenizer)) = (shape, &model.files.tokenizer) {
            wanted["vocab_size"] = json!(tokenizer.vocab_size());
        }
        small::fit(&mut wanted, config, shape)?;
    } else {
        small::check(&wanted, config)?;
    }
    // A model is either frozen, in one format, or trained throughout.
    let is_other = model.files.config != wanted || model.files.head != head;
    let model = if weights.full || model.full || model.base != weights.base || is_other {
        read_again(slot, (wanted, head), weights, emit).await?
    } else {
        slot.as_mut().ok_or_else(no_model)?
    };
    match adapter {
        Some(adapter) => model.model.load_adapter(adapter)?,
        None if weights.full => {}
        None => {
            let wanted = adapter_config(config, &model.model.info)?;
            model.model.check_adapter_names(&wanted)?;
            model.model.attach_lora(&wanted, config.seed)?;
        }
    }
    Ok(model)
}

/// Reads the model's files again, with `config` for their config.json, and with another head where one is given. The old model
/// goes first, two may not fit.
pub(crate) async fn read_again<'m>(
    slot: &'m mut Option<LoadedModel>,
    (config, new_head): (Value, Option<HeadSpec>),
    weights: Weights,
    emit: &mut Emit<'_>,
) -> Result<&'m mut LoadedModel> {
    let LoadedModel {
        mut files,
        companions,
        head,
        model,
        digest,
        ..
    } = slot.take().ok_or_else(no_model)?;
    (files.config, files.head) = (config, new_head);
    let device = model.device().clone();
    drop(model);
    device::release(&device);
    let model = read_weights(&files, weights, &device, emit).await?;
    emit.event(Event::Model(model.info.clone()));
    Ok(slot.insert(LoadedModel {
        files,
        model,
        full: weights.full,
        base: weights.base,
        companions,
        head,
        digest,
    }))
}

/// PEFT's configuration of the adapter that a run asks for.
///
/// # Errors
/// The run asks for the architecture's default modules, and PEFT has none.
pub(crate) fn adapter_config(config: &RunConfig, model: &ModelInfo) -> Result<AdapterConfig> {
    let architecture = of_model_type(&model.model_type)?;
    let target_modules = match &config.target_modules {
        word if word.is_default() => match architecture.lora_targets {
            [] => {
                let model_type = &model.model_type;
                let error = Error::config(msg::NoDefaultModules { model_type }).field("target_modules");
                return Err(error.remedy(msg::UseAllLinear));
            }
            names => TargetModules::Names(names.iter().copied().map(str::to_owned).collect()),
        },
        // PEFT takes layers_to_transform beside names only: there, all-linear is a text like a pattern.
        word if word.is_all_linear() && config.layers_to_transform.is_some() => {
            TargetModules::Names(model.linear_modules.clone())
        }
        modules => modules.clone(),
    };
    Ok(AdapterConfig {
        r: config.lora_r,
        lora_alpha: config.lora_alpha,
        lora_dropout: config.lora_dropout,
        use_rslora: config.use_rslora,
        use_dora: config.use_dora,
        fan_in_fan_out: architecture.fan_in_fan_out,
        target_modules,
        exclude_modules: config.exclude_modules.clone(),
        layers_to_transform: config.layers_to_transform.clone(),
        rank_pattern: Patterns(config.rank_pattern.clone()),
        alpha_pattern: Patterns(config.alpha_pattern.clone()),
        modules_to_save: match &config.modules_to_save {
            Some(TargetModules::Names(names)) => Some(names.clone()),
            _ => None,
        },
        trainable_token_indices: config.trainable_token_indices.clone(),
        base_model_name_or_path: Some(config.model_name_or_path.clone()),
        task_type: Some("CAUSAL_LM".into()),
        ..AdapterConfig::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_modules_are_refused_where_peft_has_none() {
        let config = RunConfig {
            target_modules: TargetModules::Pattern("default".into()),
            ..RunConfig::default()
        };
        let adapter = |model_type: &str| {
            let info = json!({
                "name": "m", "model_type": model_type, "parameters": 1, "weight_bytes": 4, "formats": [], "vocab_size": 1,
                "num_hidden_layers": 1, "num_attention_heads": 1, "hidden_size": 1, "max_position_embeddings": 1,
                "has_chat_template": false, "linear_modules": ["q_lin"]
            });
            adapter_config(&config, &serde_json::from_value(info).expect("a model"))
        };
        let names = |modules: &[&str]| TargetModules::Names(modules.iter().map(ToString::to_string).collect());
        let modules = |model_type: &str| adapter(model_type).expect("PEFT has some").target_modules;
        assert_eq!(modules("gpt2"), names(&["c_attn"]));
        assert_eq!(modules("xlm-roberta"), names(&["query", "value"]));
        for model_type in ["distilbert", "small_mlp"] {
            let error = adapter(model_type).expect_err("PEFT has none").to_string();
            assert!(error.contains(model_type) && error.contains("all-linear"), "{error}");
        }
    }
}
