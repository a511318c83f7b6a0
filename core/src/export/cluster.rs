//! A run for a cluster: as a script that goes on with it under transformers and PEFT, or as a run file of another trainer.
//!
//! What a script needs of model and data comes prepared ([`PreparedRun`]); nothing here touches a device.

mod programs;
mod readme;
mod script;

pub use programs::write_run_file;
pub use script::write_script;

use crate::config::{Plan, RunConfig};
use crate::data::Example;
use crate::error::{Error, Result};
use crate::loss::{Loss, WeightedSum};
use crate::task::Task;
use lorakeet_i18n::messages::export as msg;

/// The class of transformers that a model is loaded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelClass {
    /// `AutoModelForCausalLM`.
    CausalLm,
    /// `AutoModelForSeq2SeqLM`.
    Seq2SeqLm,
    /// `AutoModelForSequenceClassification`.
    SequenceClassification,
}

impl ModelClass {
    /// Its name in train_config.json.
    fn name(self) -> &'static str {
        match self {
            Self::CausalLm => "causal_lm",
            Self::Seq2SeqLm => "seq2seq_lm",
            Self::SequenceClassification => "sequence_classification",
        }
    }
}

/// A run that is ready for its first step, or for the next one: what a script needs of it.
#[derive(Debug, Clone)]
pub struct PreparedRun {
    /// Its settings.
    pub config: RunConfig,
    /// Its steps.
    pub plan: Plan,
    /// The steps that are done.
    pub first_step: usize,
    /// How its model is loaded.
    pub class: ModelClass,
    /// Whether the base is a GGUF file, which transformers does not train on as it is.
    pub is_gguf: bool,
    /// Its loss.
    pub loss: PlainLoss,
    /// The names of a classifier's classes.
    pub labels: Vec<String>,
    /// The token that short rows are filled up with.
    pub pad_token_id: u32,
    /// Rows to train on, in the order of the file.
    pub train: Vec<Example>,
    /// Rows that are held out.
    pub held_out: Vec<Example>,
    /// The adapter to start from: names and bytes of its files.
    pub adapter: Vec<(String, Vec<u8>)>,
    /// AdamW's moments as a safetensors file, where steps are done and moments are floats.
    pub optimizer: Option<Vec<u8>>,
    /// Trained tensors that do not decay.
    pub no_decay: Vec<String>,
}

/// A cross-entropy, times a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct PlainLoss {
    /// What it is multiplied with.
    pub weight: f64,
    /// How much of the target is spread over all classes.
    pub label_smoothing: f64,
    /// One weight a class; empty: all 1.
    pub class_weights: Vec<f64>,
}

impl PlainLoss {
    /// The loss of a run as the script computes it.
    ///
    /// # Errors
    /// It is none that the script has.
    pub fn of(task: Task, loss: &WeightedSum) -> Result<Self> {
        let refused = || {
            let error = Error::config(msg::LossNotInScript { loss: loss.to_string() });
            error.field("loss").remedy(msg::WriteLossYourself)
        };
        match loss.terms() {
            // Of texts every term is the same cross-entropy.
            terms if task == Task::Generation => Ok(Self {
                weight: terms.iter().map(|term| term.weight).sum(),
                label_smoothing: 0.0,
                class_weights: Vec::new(),
            }),
            [term] => match &term.loss {
                Loss::CrossEntropy {
                    label_smoothing,
                    class_weights,
                } => Ok(Self {
                    weight: term.weight,
                    label_smoothing: *label_smoothing,
                    class_weights: class_weights.clone(),
                }),
                _ => Err(refused()),
            },
            _ => Err(refused()),
        }
    }
}

/// Refuses a run without steps.
///
/// # Errors
/// `max_steps` is 0.
pub fn check_steps(config: &RunConfig) -> Result<()> {
    match config.max_steps {
        0 => Err(Error::config(msg::NoStepsToExport)
            .field("max_steps")
            .remedy(msg::TrainHere)),
        _ => Ok(()),
    }
}

/// Refuses a task that the script does not train.
///
/// # Errors
/// It is neither text generation nor classification.
pub fn check_task(task: Task) -> Result<()> {
    match task {
        Task::Generation | Task::Classification => Ok(()),
        task => Err(Error::config(msg::TaskNotInScript { task })
            .field("task")
            .remedy(msg::ScriptTasks)),
    }
}
