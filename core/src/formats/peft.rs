//! PEFT adapters: `adapter_config.json` and `adapter_model.safetensors`.

use crate::config::TargetModules;
use crate::store::Source;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// PEFT's LoraConfig, the part that this program acts on.
#[derive(Debug, Clone, PartialEq)]
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
    pub layers_to_transform: Option<Vec<usize>>,
    /// Names of the list that layers sit in; `None` is any.
    pub layers_pattern: Option<Vec<String>>,
    /// R of single modules.
    pub rank_pattern: BTreeMap<String, usize>,
    /// Alpha of single modules.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// Modules saved whole.
    pub modules_to_save: Option<Vec<String>>,
    /// Where the base model is.
    pub base_model_name_or_path: Option<String>,
    /// `CAUSAL_LM` and the like.
    pub task_type: Option<String>,
}

/// A module that carries an adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenModule {
    /// Its path, as in the base model: `model.layers.0.self_attn.q_proj`.
    pub path: String,
    /// R.
    pub r: usize,
    /// s: what B·A is multiplied by.
    pub scaling: f64,
}

/// An adapter: its config and its tensors by PEFT's keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// adapter_config.json.
    pub config: AdapterConfig,
    /// adapter_model.safetensors: key, shape, numbers.
    pub tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl Adapter {
    /// Opens adapter_config.json and adapter_model.safetensors.
    ///
    /// # Errors
    /// One of them is missing or breaks its format.
    pub async fn open(files: Vec<Source>) -> Result<Self> {
        let _ = files;
        Err(Error::internal("adapters cannot be opened yet"))
    }

    /// The texts and bytes of `adapter_config.json` and `adapter_model.safetensors`.
    ///
    /// # Errors
    /// A tensor's numbers do not fill its shape.
    pub fn to_files(&self) -> Result<(String, Vec<u8>)> {
        Err(Error::internal("adapters cannot be written yet"))
    }
}

/// s = α/r, with rsLoRA α/√r (Kalajdzievski 2023, arXiv 2312.03732).
pub fn scaling(r: usize, alpha: f64, use_rslora: bool) -> f64 {
    let r = r as f64;
    if use_rslora { alpha / r.sqrt() } else { alpha / r }
}

/// Which of `candidates` (paths of all linears) carry an adapter, with their rank and scale, in the order given.
///
/// # Errors
/// Nothing matches, or a pattern is not a regular expression.
pub fn chosen_modules(candidates: &[&str], config: &AdapterConfig) -> Result<Vec<ChosenModule>> {
    let _ = (candidates, config);
    Err(Error::internal("modules cannot be chosen yet"))
}
