//! The head that a model came with, or that an adapter brought, and what a run writes of its own into config.json.

use super::LoadedModel;
use crate::config::{RunConfig, SMALL_MODELS};
use crate::data::{Columns, Dataset, InputScaling, LabelKind, LabelSet, Scaling};
use crate::error::{Error, Result};
use crate::models::head::{self, ACTIVATION, DROPOUT, HEADS, HIDDEN_SIZE, POOLING};
use crate::models::{self, Model, Problem};
use crate::task::Task;
use serde_json::{Map, Value, json};

/// The head that a model came with, or that an adapter brought.
#[derive(Debug, Clone)]
pub(crate) struct PretrainedHead {
    /// config.json as it was.
    pub(crate) config: Value,
    pub(crate) task: models::HeadKind,
    problem: Option<Problem>,
    /// How many outputs it has.
    outputs: Option<usize>,
    /// Whether nobody chose it: of a small model whose config.json says nothing of a head.
    pub(crate) is_default: bool,
}

impl PretrainedHead {
    pub(crate) fn of(model: &Model, config: &Value) -> Self {
        Self {
            config: config.clone(),
            task: model.task(),
            problem: model.problem(),
            outputs: model.labels(),
            is_default: is_small(config)
                && ["architectures", "id2label", "num_labels", "problem_type"]
                    .iter()
                    .all(|key| config[*key].is_null()),
        }
    }

    /// The same with the head that an adapter was saved with.
    pub(crate) fn with(&self, adapter: &Value) -> Self {
        let mut config = self.config.clone();
        for key in [
            "architectures",
            "id2label",
            "label2id",
            "problem_type",
            "task_specific_params",
        ] {
            config[key] = adapter[key].clone();
        }
        let of_tokens = task_of_run(&config) == Some(Task::TokenClassification);
        let task = match (task_of_run(&config).is_some_and(Task::has_head), of_tokens) {
            (true, true) => models::HeadKind::TokenClassification,
            (true, false) => models::HeadKind::SequenceClassification,
            (false, _) => self.task,
        };
        let problem = match adapter["problem_type"].as_str() {
            Some("regression") => Some(Problem::Regression),
            Some("multi_label_classification") => Some(Problem::MultiLabel),
            _ => Some(Problem::SingleLabel),
        };
        Self {
            outputs: adapter["id2label"].as_object().map(Map::len),
            config,
            task,
            problem,
            is_default: false,
        }
    }

    /// The task of a model that brings its head.
    pub(crate) fn task(&self) -> Option<Task> {
        let own = match (self.task, self.problem) {
            (models::HeadKind::TokenClassification, _) => Some(Task::TokenClassification),
            (models::HeadKind::SequenceClassification, Some(Problem::MultiLabel)) => Some(Task::MultiLabel),
            (models::HeadKind::SequenceClassification, Some(Problem::Regression)) => Some(Task::Regression),
            (models::HeadKind::SequenceClassification, _) => Some(Task::Classification),
            _ => None,
        };
        let said = || match self.config["problem_type"].as_str().filter(|_| self.is_encoder())? {
            "regression" => Some(Task::Regression),
            "single_label_classification" => Some(Task::Classification),
            "multi_label_classification" => Some(Task::MultiLabel),
            _ => None,
        };
        let own = own.filter(|_| !self.is_default);
        task_of_run(&self.config).or(own).or_else(said)
    }

    /// What it answers, where that is of this kind; else, of one that was trained, why it does not do.
    pub(crate) fn answer(&self, kind: LabelKind, is_trained: bool) -> Result<LabelSet, Option<String>> {
        let refused = |because: String| Some(because).filter(|_| is_trained);
        let Some(task) = self.task().filter(|task| task.has_head()) else {
            return Err(None);
        };
        // One class or any number of them: the same outputs, read otherwise.
        let is_of_kind = match kind {
            LabelKind::Class | LabelKind::Labels => matches!(task, Task::Classification | Task::MultiLabel),
            LabelKind::Numbers => task == Task::Regression,
            LabelKind::Tags => task == Task::TokenClassification,
        };
        if !is_of_kind {
            return Err(refused(format!("it is one for {task}")));
        }
        let unnamed = || refused("its id2label does not name its outputs from 0 on".to_owned());
        self.names(is_trained)
            .map(|names| LabelSet::new(kind, names))
            .ok_or_else(unnamed)
    }

    /// The names of its outputs by number; as in transformers `LABEL_0` and so on where config.json has none and the head `is_trained`.
    pub(crate) fn names(&self, is_trained: bool) -> Option<Vec<String>> {
        let Some(labels) = self.config["id2label"].as_object().filter(|labels| !labels.is_empty()) else {
            let outputs = self.outputs.filter(|_| is_trained)?;
            return Some((0..outputs).map(|label| format!("LABEL_{label}")).collect());
        };
        (0..labels.len())
            .map(|i| labels.get(&i.to_string())?.as_str().map(str::to_owned))
            .collect()
    }

    pub(crate) fn list(&self, key: &str) -> impl Iterator<Item = &Value> {
        let list = head::of_run(&self.config).and_then(|run| run[key].as_array());
        list.into_iter().flatten()
    }

    pub(crate) fn pairs(&self, means: &str, deviations: &str) -> Vec<(f64, f64)> {
        let of = |key| self.list(key).filter_map(Value::as_f64);
        of(means).zip(of(deviations)).collect()
    }

    pub(crate) fn scaling(&self) -> Scaling {
        Scaling(self.pairs("target_mean", "target_std"))
    }

    pub(crate) fn inputs(&self) -> InputScaling {
        let run = head::of_run(&self.config);
        match run.and_then(|run| run["scale_inputs"].as_str()) {
            Some("columns") => InputScaling::Columns(self.pairs("input_mean", "input_std")),
            Some("rows") => {
                let channels = run.and_then(|run| run["input_channels"].as_u64());
                InputScaling::Rows(channels.map_or(1, |channels| channels as usize))
            }
            _ => InputScaling::Plain,
        }
    }

    /// The columns that a model of numbers was trained on, as far as the file has them; the run's go first.
    pub(crate) fn columns(&self, given: Columns, dataset: &Dataset) -> Columns {
        let saved = |key| -> Vec<String> { self.list(key).filter_map(Value::as_str).map(str::to_owned).collect() };
        let labels = saved("label_columns");
        let window = head::of_run(&self.config).and_then(|run| run["forecast_window"].as_u64());
        Columns {
            texts: if given.texts.is_empty() {
                saved("input_columns")
            } else {
                given.texts
            },
            labels: match given.labels.is_empty() && dataset.has_columns(&labels) {
                true => labels,
                false => given.labels,
            },
            window: given.window.or(window.map(|rows| rows as usize)),
        }
    }

    /// Refuses a model on which no head for `task` can be put.
    pub(crate) fn check_takes_heads(&self, task: Task, model: &Model) -> Result<()> {
        if self.task != models::HeadKind::Seq2SeqLm {
            return Ok(());
        }
        let what = format!("a {} model has no head for {task}", model.info.model_type);
        Err(Error::model(what).remedy("Load an encoder, such as a BERT, or a decoder, such as a Llama."))
    }

    /// Whether its one output scores pairs of texts.
    pub(crate) fn scores_pairs(&self) -> bool {
        match self.task() {
            Some(Task::Ranking) => true,
            Some(Task::Regression) => self.names(true).is_none_or(|names| names.len() == 1),
            _ => false,
        }
    }

    /// Whether it came with weights: an adapter's, or the model's own.
    pub(crate) fn is_trained(&self, loaded: &LoadedModel) -> bool {
        let in_files = |name: &str| HEADS.iter().any(|head| name.split('.').next() == Some(head));
        head::of_run(&self.config).is_some() || loaded.files.entries().iter().any(|entry| in_files(&entry.name))
    }

    pub(crate) fn is_encoder(&self) -> bool {
        !matches!(self.task, models::HeadKind::CausalLm | models::HeadKind::Seq2SeqLm)
    }
}

/// What config.json says of the head beside its task; `is_kept` where the model's own is trained on.
///
/// # Errors
/// The run wants another hidden layer than that head has.
pub(crate) fn head_keys(config: &RunConfig, own: &PretrainedHead, is_kept: bool) -> Result<Map<String, Value>> {
    let mut keys = Map::new();
    let wanted = config.classifier_hidden_size;
    let activation = config.get(ACTIVATION).unwrap_or_default();
    let has = |key: &str| head::of_run(&own.config).map_or(Value::Null, |run| run[key].clone());
    let held = has(HIDDEN_SIZE).as_u64().unwrap_or(0);
    let pooling = config.get(POOLING).unwrap_or_default();
    if is_kept {
        let refused = |key: &str, what: String| {
            let error = Error::config(what).field(key);
            error.remedy("Take the line out to train that head on, or give other labels for a fresh one.")
        };
        if wanted > 0 && wanted as u64 != held {
            let has = match held {
                0 => "no hidden layer".to_owned(),
                held => format!("a hidden layer of {held}"),
            };
            return Err(refused(
                HIDDEN_SIZE,
                format!("is {wanted}, but the model brings a head with {has}"),
            ));
        }
        if wanted > 0 && activation != has(ACTIVATION) {
            let what = format!("is {activation}, but the model brings a head with {}", has(ACTIVATION));
            return Err(refused(ACTIVATION, what));
        }
        let pooled = has(POOLING);
        let read = pooled.as_str().unwrap_or("cls");
        if pooling.as_str().is_some_and(|wanted| wanted != read) {
            return Err(refused(
                POOLING,
                format!(
                    "is {}, but the model brings a head for {read}",
                    pooling.as_str().unwrap_or_default()
                ),
            ));
        }
        if pooled.is_string() {
            keys.insert(POOLING.into(), pooled);
        }
        if held > 0 {
            keys.extend([HIDDEN_SIZE, ACTIVATION].map(|key| (key.to_owned(), has(key))));
        }
    } else {
        if pooling.is_string() {
            keys.insert(POOLING.into(), pooling);
        }
        if wanted > 0 {
            keys.insert(HIDDEN_SIZE.into(), json!(wanted));
            keys.insert(ACTIVATION.into(), activation);
        }
    }
    if config.classifier_dropout > 0.0 {
        keys.insert(DROPOUT.into(), json!(config.classifier_dropout));
    }
    Ok(keys)
}

/// Whether it is the config.json of a small model.
fn is_small(config: &Value) -> bool {
    let kind = config["model_type"].as_str();
    kind.is_some_and(|kind| SMALL_MODELS.contains(&kind))
}

/// The task that a run of this program wrote into config.json.
fn task_of_run(config: &Value) -> Option<Task> {
    let name = head::of_run(config)?["task"].as_str()?;
    Task::ALL.into_iter().find(|task| task.name() == name)
}
