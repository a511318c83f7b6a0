//! Run files: every knob of a run, named as transformers and PEFT name it.

use serde::{Deserialize, Serialize};

/// Every knob of a run, resolved and valid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// A folder in Hugging Face's layout, or a GGUF file.
    pub model_name_or_path: String,
    /// A PEFT adapter to go on from.
    pub adapter_name_or_path: Option<String>,
    /// Training data.
    pub train_file: String,
    /// Validation data; without it `val_size` of the training data is held out.
    pub validation_file: Option<String>,
    /// Share (below 1) or number (1 and above) of examples held out for validation.
    pub val_size: f64,
    /// Where checkpoints and the adapter go.
    pub output_dir: String,
    /// Rows are cut at this many tokens.
    pub cutoff_len: usize,
    /// Join rows and cut them into blocks of `cutoff_len`; `None` decides by the data (text: yes, instructions: no).
    pub packing: Option<bool>,
    /// Train on the answers only.
    pub completion_only_loss: bool,
    /// LoRA, or all weights.
    pub finetuning_type: FinetuningType,
    /// R.
    pub lora_r: usize,
    /// The adapter is scaled by alpha / r.
    pub lora_alpha: f64,
    /// Dropout in front of the adapter.
    pub lora_dropout: f64,
    /// `all-linear`, names, or one pattern.
    pub target_modules: TargetModules,
    /// Scale by alpha / √r.
    pub use_rslora: bool,
    /// 4 or 8: the base's bits.
    pub quantization_bit: Option<u8>,
    /// Rows a micro-batch.
    pub per_device_train_batch_size: usize,
    /// Rows an evaluation batch.
    pub per_device_eval_batch_size: usize,
    /// Micro-batches a step.
    pub gradient_accumulation_steps: usize,
    /// Peak rate.
    pub learning_rate: f64,
    /// Its course.
    pub lr_scheduler_type: SchedulerType,
    /// Restarts of cosine_with_restarts.
    pub num_cycles: f64,
    /// Power of polynomial.
    pub power: f64,
    /// Final rate of polynomial.
    pub lr_end: f64,
    /// Share of the steps that warm up.
    pub warmup_ratio: f64,
    /// Steps that warm up; overrides the ratio where above 0.
    pub warmup_steps: usize,
    /// Times through the data.
    pub num_train_epochs: f64,
    /// Optimizer steps; overrides the epochs where above 0.
    pub max_steps: i64,
    /// Decoupled decay.
    pub weight_decay: f64,
    /// β₁.
    pub adam_beta1: f64,
    /// β₂.
    pub adam_beta2: f64,
    /// ε.
    pub adam_epsilon: f64,
    /// Global norm to clip at; 0 does not clip.
    pub max_grad_norm: f64,
    /// Seed of everything: initial adapter, order, split, dropout.
    pub seed: u64,
    /// Report every so many steps.
    pub logging_steps: usize,
    /// Score the validation split every so many steps; 0 only before and after.
    pub eval_steps: usize,
    /// Save every so many steps; 0 only at the end.
    pub save_steps: usize,
}

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinetuningType {
    /// Low-rank adapters only.
    #[default]
    Lora,
    /// Every weight.
    Full,
}

/// Which linears get an adapter; PEFT's `target_modules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetModules {
    /// `all-linear`, or one regular expression that matches a module's whole path.
    Pattern(String),
    /// Names: a module is chosen if its path equals one or ends in `.` + one.
    Names(Vec<String>),
}

/// transformers' `SchedulerType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulerType {
    /// Down to 0 in a straight line.
    #[default]
    Linear,
    /// Down to 0 along half a cosine.
    Cosine,
    /// Several half cosines.
    CosineWithRestarts,
    /// Down to `lr_end` along a power.
    Polynomial,
    /// The peak throughout.
    Constant,
    /// The peak after the warm-up.
    ConstantWithWarmup,
    /// √(warm-up / step).
    InverseSqrt,
}
