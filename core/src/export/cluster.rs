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
use crate::formats::TextPooling;
use crate::loss::WeightedSum;
use crate::task::Task;
use lorakeet_i18n::messages::export as msg;
use serde_json::Value;

pub use crate::head_spec::OwnHead;

/// The class of transformers that a model is loaded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelClass {
    /// `AutoModelForCausalLM`.
    CausalLm,
    /// `AutoModelForSeq2SeqLM`.
    Seq2SeqLm,
    /// `AutoModelForSequenceClassification`.
    SequenceClassification,
    /// `AutoModelForTokenClassification`.
    TokenClassification,
    /// `AutoModel`.
    Features,
}

impl ModelClass {
    /// Its name in train_config.json.
    fn name(self) -> &'static str {
        match self {
            Self::CausalLm => "causal_lm",
            Self::Seq2SeqLm => "seq2seq_lm",
            Self::SequenceClassification => "sequence_classification",
            Self::TokenClassification => "token_classification",
            Self::Features => "features",
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
    /// Its task.
    pub task: Task,
    /// Its loss.
    pub loss: WeightedSum,
    /// How vectors of texts are made of those of their tokens.
    pub pooling: TextPooling,
    /// The head in front of the outputs, where it is another than transformers' for the architecture.
    pub head: Option<OwnHead>,
    /// The names of a head's outputs.
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

/// The terms of a loss as train_config.json has them: name, weight, knobs.
fn terms(loss: &WeightedSum) -> Vec<Value> {
    let terms = loss.terms().iter();
    terms
        .map(|term| {
            let mut value = term.loss.to_json();
            value["weight"] = term.weight.into();
            value
        })
        .collect()
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
