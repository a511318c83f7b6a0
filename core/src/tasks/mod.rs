//! The tasks, one file each: examples, targets of the loss, predictions, baselines, and predictions for texts that are typed
//! in. `TaskSpec` is a run's task with all that follows from settings, model and data; [`Objective`] is its loss on a model's
//! outputs.
//!
//! A task is one file that implements `Rules`, a row of `by_task!`, and a row of [`crate::task`] with its names.

mod baselines;
pub(crate) mod classification;
pub(crate) mod embedding;
mod examples;
pub(crate) mod generation;
pub(crate) mod head_start;
pub(crate) mod multi_label;
mod objective;
mod predictions;
pub(crate) mod preference;
pub(crate) mod ranking;
pub(crate) mod regression;
mod spec;
pub(crate) mod token_classification;

pub(crate) use baselines::Baseline;
pub(crate) use embedding::Corpus;
pub(crate) use examples::{Split, collate, length_step};
pub(crate) use generation::Question;
pub use objective::Objective;
pub(crate) use predictions::{number, sigmoid, softmax};
pub(crate) use spec::TaskSpec;

use crate::config::RunConfig;
use crate::data::{Batch, Dataset, Example, LabelKind, Target};
use crate::error::Result;
use crate::head_spec::{HeadKind, Problem};
use crate::host::Emit;
use crate::loaded_model::{LoadedModel, PretrainedHead};
use crate::loss::{Compared, WeightedSum};
use crate::metrics::answers::Predictions;
use crate::models::{Leaves, Model};
use crate::protocol::BaselineKind;
use crate::task::Task;
use baselines::Probed;
use burn::tensor::Tensor;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;
use serde_json::Value;

/// Where examples come from.
pub(crate) struct Rows<'a> {
    /// Of which only the first so many are needed.
    pub(crate) most: usize,
    pub(crate) model: &'a LoadedModel,
    pub(crate) dataset: &'a Dataset,
    pub(crate) config: &'a RunConfig,
    /// Whether the file need not have labels.
    pub(crate) optional: bool,
}

impl Rows<'_> {
    /// Tokens that a row may have.
    fn cutoff(&self) -> usize {
        self.model.model.limits().cutoff(self.config.cutoff_len)
    }
}

/// What a task decides. The defaults are those of most tasks.
pub(crate) trait Rules {
    /// What its labels are, where they are a column's.
    const LABELS: Option<LabelKind> = None;
    /// Whether texts themselves are trained on, so that texts are scored and not predictions.
    const LEARNS_TEXTS: bool = false;
    /// Whether there is an output for each token, of which those with a label count.
    const OF_TOKENS: bool = false;
    /// Whether the examples of a row stay together when rows are held out.
    const KEEPS_ROWS_TOGETHER: bool = false;
    /// Its head, where it has one.
    const HEAD: HeadKind = HeadKind::SequenceClassification;
    /// `problem_type` of config.json.
    const PROBLEM: Option<Problem> = None;
    /// Whether it answers by continuing texts.
    const CONTINUES_TEXTS: bool = false;

    /// Refuses a model that cannot learn it.
    fn check_model(task: Task, head: &PretrainedHead, model: &Model) -> Result<()> {
        head.check_takes_heads(task, model)
    }

    /// The metrics of its answers, the usual one first, where those of [`crate::task::Task::metrics`] do not fit the loss.
    fn metrics(_loss: &WeightedSum) -> Option<&'static [&'static str]> {
        None
    }

    /// Rows as examples, with the targets as the file has them.
    async fn examples(spec: &TaskSpec, rows: &Rows<'_>, emit: &mut Emit<'_>) -> Result<Vec<Example>> {
        examples::labelled(spec, rows, emit).await
    }

    /// Whether the file has labels.
    fn knows_answers(spec: &TaskSpec, dataset: &Dataset) -> bool {
        spec.finds_labels(dataset)
    }

    /// The class of an example, by which rows are held out in equal shares.
    fn class_of(_example: &Example) -> Option<usize> {
        None
    }

    /// Adds what the model gives before training, where the loss needs it.
    async fn add_reference(
        _config: &RunConfig,
        _model: &Model,
        _examples: &mut [Example],
        _emit: &mut Emit<'_>,
    ) -> Result<()> {
        Ok(())
    }

    /// What the model gives for `batch`; `None` without the task's head.
    fn outputs(model: &Model, leaves: &Leaves, batch: &Batch, seed: Option<u64>) -> Option<Tensor<2>> {
        model.class_logits(leaves, batch, seed)
    }

    /// How many outputs a row has.
    fn width(model: &Model) -> usize {
        model.labels().unwrap_or(1)
    }

    /// Puts `outputs` beside the batch's labels, for the loss.
    fn compared<'b>(loss: &WeightedSum, outputs: Tensor<2>, batch: &'b Batch) -> Result<Compared<'b>>;

    /// The predictions for labelled `examples`, from the model's outputs, `width` numbers a row.
    fn answers(spec: &TaskSpec, examples: &[Example], outputs: &[f32], width: usize) -> Option<Predictions>;

    /// The predictions of each baseline.
    async fn baselines(probed: Probed<'_>, emit: &mut Emit<'_>) -> Result<Vec<(BaselineKind, Predictions)>>;

    /// The label of a row in words.
    fn label(spec: &TaskSpec, target: &Target) -> Vec<String> {
        let names = spec.answer.as_ref().map(|answer| answer.names.as_slice());
        let name = |label: usize| names.and_then(|names| names.get(label).cloned());
        let labels = spec.labels_of(target).into_iter();
        labels
            .map(|label| name(label).unwrap_or_else(|| label.to_string()))
            .collect()
    }

    /// The documents that were typed in below a query, in the order of their scores.
    fn documents(_examples: &[Example]) -> Vec<String> {
        Vec::new()
    }

    /// The remedy where nothing was typed in.
    fn ask() -> Message {
        msg::WriteOne.into()
    }

    /// Texts that were typed in, none of them empty, as rows of a file.
    fn typed(texts: &[&String]) -> Vec<Value> {
        examples::typed(texts)
    }
}

/// Evaluates an expression with the [`Rules`] of a task: `by_task!(task, R => R::LABELS)`.
macro_rules! by_task {
    ($task:expr, $rules:ident => $value:expr) => {
        match $task {
            $crate::task::Task::Generation => {
                type $rules = $crate::tasks::generation::Generation;
                $value
            }
            $crate::task::Task::Classification => {
                type $rules = $crate::tasks::classification::Classification;
                $value
            }
            $crate::task::Task::MultiLabel => {
                type $rules = $crate::tasks::multi_label::MultiLabel;
                $value
            }
            $crate::task::Task::TokenClassification => {
                type $rules = $crate::tasks::token_classification::TokenClassification;
                $value
            }
            $crate::task::Task::Regression => {
                type $rules = $crate::tasks::regression::Regression;
                $value
            }
            $crate::task::Task::Ranking => {
                type $rules = $crate::tasks::ranking::Ranking;
                $value
            }
            $crate::task::Task::Embedding => {
                type $rules = $crate::tasks::embedding::Embedding;
                $value
            }
            $crate::task::Task::Preference => {
                type $rules = $crate::tasks::preference::Preference;
                $value
            }
        }
    };
}
pub(crate) use by_task;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::ModelFiles;
    use crate::head_spec::{HeadRecord, HeadSpec};
    use crate::models::registry::{ARCHITECTURES, Architecture, Kind};
    use crate::store::now;
    use burn::tensor::Device;
    use serde_json::json;

    /// A model of a few fresh weights that takes tokens where it can, of the class whose name ends so.
    fn model(row: &Architecture, ending: &str, head: Option<HeadSpec>) -> Result<(Model, Value)> {
        let mut config = json!({
            "model_type": row.model_type, "architectures": [format!("{}{ending}", row.class)], "vocab_size": 20,
            "type_vocab_size": 2, "pad_token_id": 0, "image_size": 8, "patch_size": 4, "context_length": 8, "patch_length": 4
        });
        for (value, keys) in [
            (8, ["hidden_size", "n_embd", "dim", "d_model"]),
            (12, ["intermediate_size", "n_inner", "hidden_dim", "d_ff"]),
            (2, ["num_hidden_layers", "n_layer", "n_layers", "num_layers"]),
            (2, ["num_attention_heads", "n_head", "n_heads", "num_heads"]),
            (2, ["num_key_value_heads"; 4]),
            (4, ["head_dim", "d_kv", "head_dim", "d_kv"]),
            (
                16,
                ["max_position_embeddings", "n_positions", "n_positions", "n_positions"],
            ),
        ] {
            for key in keys {
                config[key] = json!(value);
            }
        }
        let mut files = ModelFiles::from_config("test", config.clone());
        files.head = head;
        let (device, mut progress) = (Device::flex(), |_, _| ());
        let model = now(Model::load(&files, false, 0, &device, &mut progress))?;
        Ok((model, config))
    }

    /// Whether a run can put what `task` needs on a model of the class whose name ends so.
    fn can(row: &Architecture, ending: &str, task: Task) -> bool {
        let Ok((model_of_class, config)) = model(row, ending, None) else {
            return false;
        };
        let own = PretrainedHead::of(&model_of_class, &config).expect("no run wrote it");
        let takes = by_task!(task, R => R::check_model(task, &own, &model_of_class)).is_ok();
        let of_numbers = || by_task!(task, R => R::LABELS).is_some_and(|kind| kind != LabelKind::Tags);
        let head = HeadSpec {
            kind: match task {
                Task::Embedding => HeadKind::Features,
                _ => by_task!(task, R => R::HEAD),
            },
            labels: vec!["one".into(), "other".into()],
            problem: by_task!(task, R => R::PROBLEM),
            record: HeadRecord::default(),
        };
        let needs_head = task.has_head() || task == Task::Embedding && own.is_encoder();
        takes
            && (model_of_class.input_features().is_none() || of_numbers())
            && (!needs_head || model(row, ending, Some(head)).is_ok())
    }

    #[test]
    fn an_architecture_can_be_trained_for_the_tasks_of_its_row_and_no_others() {
        for row in &ARCHITECTURES {
            let endings: &[&str] = match row.kind {
                Kind::Decoder => &["ForCausalLM"],
                Kind::Encoder => &["Model", "ForMaskedLM"],
                Kind::EncoderDecoder => &["ForConditionalGeneration"],
                Kind::Small => &["ForSequenceClassification", "ForCausalLM"],
            };
            for task in Task::ALL {
                let can = endings.iter().any(|ending| can(row, ending, task));
                assert_eq!(can, row.tasks.contains(&task), "{} for {task}", row.model_type);
            }
        }
    }
}
