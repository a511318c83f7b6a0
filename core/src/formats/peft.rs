//! PEFT adapters: `adapter_config.json` and `adapter_model.safetensors`, and which modules carry one.
//!
//! Reference: `peft/tuners/lora/config.py` and `peft/tuners/tuners_utils.py` (`check_target_module_exists`) of
//! huggingface/peft. A is [R, in], B is [out, R], the scale is α/R; keys are `base_model.model.` + module path +
//! `.lora_A.weight` / `.lora_B.weight`.

mod chosen;
mod patterns;

pub use chosen::{ChosenModule, check_names, chosen_modules};
pub use patterns::Patterns;

use super::files::{base_name, read_json};
use super::{safetensors, torch_file};
use crate::config::{TargetModules, TokenIndices};
use crate::store::Source;
use crate::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The release of PEFT whose files these are.
const PEFT_VERSION: &str = "0.21.2";

/// R at most: no matrix that an adapter is put on has more rows and columns that differ.
const MOST_RANK: usize = 1 << 16;

/// Names of PEFT's two files.
pub const CONFIG_FILE: &str = "adapter_config.json";

/// See [`CONFIG_FILE`].
pub const TENSORS_FILE: &str = "adapter_model.safetensors";

/// The file of tensors of older releases, which torch.save wrote; it is read where there is no [`TENSORS_FILE`].
pub const TORCH_TENSORS_FILE: &str = "adapter_model.bin";

/// PEFT's LoraConfig, the part that this program acts on; defaults as in PEFT. Other keys are not kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdapterConfig {
    /// R.
    pub r: usize,
    /// The adapter is scaled by alpha / r.
    pub lora_alpha: f64,
    /// Dropout in front of the adapter while training.
    pub lora_dropout: f64,
    /// Scale by alpha / √r.
    pub use_rslora: bool,
    /// Whether there are magnitude vectors (DoRA).
    pub use_dora: bool,
    /// Whether base weights are stored [in, out] (GPT-2's Conv1D).
    pub fan_in_fan_out: bool,
    /// Which modules carry the adapter.
    pub target_modules: TargetModules,
    /// Modules left out, by name or by pattern.
    pub exclude_modules: Option<TargetModules>,
    /// Layers that carry it; `None` is all.
    #[serde(deserialize_with = "one_or_many")]
    pub layers_to_transform: Option<Vec<usize>>,
    /// Names of the list that layers sit in; `None` is any.
    #[serde(deserialize_with = "one_or_many")]
    pub layers_pattern: Option<Vec<String>>,
    /// R of single modules.
    pub rank_pattern: Patterns<usize>,
    /// Alpha of single modules.
    pub alpha_pattern: Patterns<f64>,
    /// Modules saved whole.
    pub modules_to_save: Option<Vec<String>>,
    /// Tokens whose rows of the embedding are trained.
    pub trainable_token_indices: Option<TokenIndices>,
    /// Where the base model is.
    pub base_model_name_or_path: Option<String>,
    /// Its revision.
    pub revision: Option<String>,
    /// `CAUSAL_LM` and the like.
    pub task_type: Option<String>,
    /// How A and B began; kept as it is.
    pub init_lora_weights: Value,
    /// The base model's class, where PEFT did not know the task; kept as it is.
    pub auto_mapping: Value,
}

impl Default for AdapterConfig {
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            use_rslora: false,
            use_dora: false,
            fan_in_fan_out: false,
            target_modules: TargetModules::Names(Vec::new()),
            exclude_modules: None,
            layers_to_transform: None,
            layers_pattern: None,
            rank_pattern: Patterns::default(),
            alpha_pattern: Patterns::default(),
            modules_to_save: None,
            trainable_token_indices: None,
            base_model_name_or_path: None,
            revision: None,
            task_type: None,
            init_lora_weights: Value::Bool(true),
            auto_mapping: Value::Null,
        }
    }
}

/// One thing, a list of things, or nothing.
fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        One(T),
        Many(Vec<T>),
    }
    Ok(Option::deserialize(deserializer)?.map(|found| match found {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    }))
}

impl AdapterConfig {
    /// Reads adapter_config.json. Keys that are not known are ignored, unless they change what the adapter computes.
    ///
    /// # Errors
    /// It is not a LoRA's, a value has the wrong type or range, or it asks for a variant that is not supported.
    pub fn from_json(json: &Value) -> Result<Self> {
        let wrong = |key: &str, what: Message| Error::format(what).file(CONFIG_FILE).field(key);
        match json.get("peft_type").and_then(Value::as_str) {
            Some("LORA") => {}
            Some(found) => {
                return Err(wrong("peft_type", msg::OnlyIsSupported { found, only: "LORA" }.into()));
            }
            None => return Err(wrong("peft_type", common::IsMissing.into()).remedy(msg::ChooseLoraConfig)),
        }
        if json.get("target_modules").is_none_or(Value::is_null) {
            return Err(wrong("target_modules", common::IsMissing.into()));
        }
        // Each of these adds tensors or changes the product, so an adapter that has it would be read wrongly without
        // it.
        let plain = [
            ("bias", json!("none")),
            ("lora_bias", json!(false)),
            ("use_qalora", json!(false)),
            ("layer_replication", Value::Null),
            ("target_parameters", Value::Null),
            ("alora_invocation_tokens", Value::Null),
            ("arrow_config", Value::Null),
            ("kasa_config", Value::Null),
            ("monteclora_config", Value::Null),
            ("velora_config", Value::Null),
            ("use_bdlora", Value::Null),
        ];
        for (key, usual) in plain {
            if let Some(found) = json.get(key).filter(|found| !found.is_null() && **found != usual) {
                return Err(wrong(key, msg::OnlyIsSupported { found, only: usual }.into()));
            }
        }
        // These begin by taking a part out of the base's weights, which the adapter then stands for.
        let changing = ["pissa", "olora", "corda", "loftq", "lora_ga"];
        if let Some(start) = json.get("init_lora_weights").and_then(Value::as_str)
            && changing.iter().any(|name| start.starts_with(name))
        {
            let error = wrong("init_lora_weights", msg::ChangesBase { start }.into());
            return Err(error.remedy(msg::ConvertToPlainLora));
        }
        let config: Self = serde_json::from_value(json.clone())
            .map_err(|error| Error::format(msg::WrongType { error }).file(CONFIG_FILE))?;
        let ranks = config.rank_pattern.0.iter().map(|(_, rank)| ("rank_pattern", *rank));
        for (key, got) in ranks.chain([("r", config.r)]) {
            if !(1..=MOST_RANK).contains(&got) {
                let most = MOST_RANK;
                return Err(wrong(key, common::NotFromOneTo { most, got }.into()));
            }
        }
        let alphas = config
            .alpha_pattern
            .0
            .iter()
            .map(|(_, alpha)| ("alpha_pattern", *alpha));
        for (key, found) in alphas.chain([("lora_alpha", config.lora_alpha)]) {
            if !(found as f32).is_finite() {
                return Err(wrong(key, common::NotFinite { got: found }.into()));
            }
        }
        let found = config.lora_dropout;
        if !(0.0..1.0).contains(&found) {
            return Err(wrong("lora_dropout", common::NotShare { got: found }.into()));
        }
        Ok(config)
    }

    /// adapter_config.json with all of PEFT's keys, sorted, two spaces deep, as PEFT writes it.
    pub fn to_json(&self) -> String {
        let whole = |number: f64| {
            if number.fract() == 0.0 && number.abs() < 1e15 {
                json!(number as i64)
            } else {
                json!(number)
            }
        };
        let alphas = self.alpha_pattern.0.iter();
        let alphas: Map<String, Value> = alphas.map(|(key, alpha)| (key.clone(), whole(*alpha))).collect();
        let keys: BTreeMap<&str, Value> = [
            ("alora_invocation_tokens", Value::Null),
            ("alpha_pattern", Value::Object(alphas)),
            ("arrow_config", Value::Null),
            ("auto_mapping", self.auto_mapping.clone()),
            ("base_model_name_or_path", json!(self.base_model_name_or_path)),
            ("bias", json!("none")),
            ("corda_config", Value::Null),
            ("ensure_weight_tying", json!(false)),
            ("eva_config", Value::Null),
            ("exclude_modules", json!(self.exclude_modules)),
            ("fan_in_fan_out", json!(self.fan_in_fan_out)),
            ("inference_mode", json!(true)),
            ("init_lora_weights", self.init_lora_weights.clone()),
            ("kasa_config", Value::Null),
            ("layer_replication", Value::Null),
            ("layers_pattern", json!(self.layers_pattern)),
            ("layers_to_transform", json!(self.layers_to_transform)),
            ("loftq_config", json!({})),
            ("lora_alpha", whole(self.lora_alpha)),
            ("lora_bias", json!(false)),
            ("lora_dropout", json!(self.lora_dropout)),
            ("lora_ga_config", Value::Null),
            ("megatron_config", Value::Null),
            ("megatron_core", json!("megatron.core")),
            ("modules_to_save", json!(self.modules_to_save)),
            ("monteclora_config", Value::Null),
            ("peft_type", json!("LORA")),
            ("peft_version", json!(PEFT_VERSION)),
            ("qalora_group_size", json!(16)),
            ("r", json!(self.r)),
            ("rank_pattern", json!(self.rank_pattern)),
            ("revision", json!(self.revision)),
            ("target_modules", json!(self.target_modules)),
            ("target_parameters", Value::Null),
            ("task_type", json!(self.task_type)),
            ("trainable_token_indices", json!(self.trainable_token_indices)),
            ("use_bdlora", Value::Null),
            ("use_dora", json!(self.use_dora)),
            ("use_qalora", json!(false)),
            ("use_rslora", json!(self.use_rslora)),
            ("velora_config", Value::Null),
        ]
        .into();
        serde_json::to_string_pretty(&keys).unwrap_or_default()
    }

    /// R of the module at `path`.
    pub fn rank_of(&self, path: &str) -> Result<usize> {
        Ok(self
            .rank_pattern
            .compiled("rank_pattern")?
            .value_of(path)
            .unwrap_or(self.r))
    }

    /// α of the module at `path`.
    pub fn alpha_of(&self, path: &str) -> Result<f64> {
        let alphas = self.alpha_pattern.compiled("alpha_pattern")?;
        Ok(alphas.value_of(path).unwrap_or(self.lora_alpha))
    }
}

/// s = α/r, with rsLoRA α/√r (Kalajdzievski 2023, arXiv 2312.03732).
pub fn scaling(r: usize, alpha: f64, use_rslora: bool) -> f64 {
    let r = r as f64;
    if use_rslora { alpha / r.sqrt() } else { alpha / r }
}

/// An adapter: its config and its tensors by PEFT's keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// adapter_config.json.
    pub config: AdapterConfig,
    /// adapter_model.safetensors: key, shape, numbers, sorted by key.
    pub tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl Adapter {
    /// Opens adapter_config.json and adapter_model.safetensors, or adapter_model.bin where that is not there; other files are not
    /// looked at.
    ///
    /// # Errors
    /// One of them is missing or breaks its format.
    pub async fn open(files: Vec<Source>) -> Result<Self> {
        let named = |name: &str| {
            let found = files.iter().find(|file| base_name(file.name()) == name);
            found.ok_or_else(|| {
                let (config, tensors) = (CONFIG_FILE, TENSORS_FILE);
                Error::io(common::IsMissing)
                    .file(name)
                    .remedy(msg::ChooseBoth { config, tensors })
            })
        };
        let config = AdapterConfig::from_json(&read_json(named(CONFIG_FILE)?.as_ref()).await?)?;
        let mut tensors = match (named(TENSORS_FILE), named(TORCH_TENSORS_FILE)) {
            (Err(_), Ok(source)) => torch_file::read_numbers(source).await?,
            (source, _) => {
                let source = source?;
                super::sniff(source, true).await?;
                let placed = safetensors::read_header(source).await?;
                safetensors::read_numbers(source, placed).await?
            }
        };
        if tensors.is_empty() {
            return Err(Error::format(msg::NoTensors).file(TENSORS_FILE));
        }
        tensors.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(Self { config, tensors })
    }

    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// As [`Adapter::open`].
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn open_path(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let path = path.as_ref();
        let source = |name: &str| crate::store::DiskFile::source(path.join(name));
        let tensors = match path.join(TENSORS_FILE).exists() || !path.join(TORCH_TENSORS_FILE).exists() {
            true => TENSORS_FILE,
            false => TORCH_TENSORS_FILE,
        };
        Self::open(vec![source(CONFIG_FILE)?, source(tensors)?]).await
    }

    /// The tensor at `key`: shape and numbers.
    pub fn tensor(&self, key: &str) -> Option<(&[usize], &[f32])> {
        let found = self.tensors.iter().find(|(name, _, _)| name == key)?;
        Some((&found.1, &found.2))
    }

    /// The text of `adapter_config.json` and the bytes of `adapter_model.safetensors`.
    ///
    /// # Errors
    /// A tensor's numbers do not fill its shape.
    pub fn to_files(&self) -> Result<(String, Vec<u8>)> {
        Ok((self.config.to_json(), safetensors::write_f32(&self.tensors)?))
    }
}

/// PEFT's key of a module's A; B is [`key_b`].
pub fn key_a(path: &str) -> String {
    format!("base_model.model.{path}.lora_A.weight")
}

/// PEFT's key of a module's B.
pub fn key_b(path: &str) -> String {
    format!("base_model.model.{path}.lora_B.weight")
}
