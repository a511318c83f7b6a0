//! The head that a model came with, or that an adapter brought, and what a run writes of its own into config.json.

use super::LoadedModel;
use crate::config::{HeadPooling, RunConfig, SMALL_MODELS};
use crate::data::{Columns, Dataset, InputScaling, LabelKind, LabelSet, Scaling};
use crate::error::{Error, Result};
use crate::head_spec::{ACTIVATION, HIDDEN_SIZE, HeadKind, HeadLayers, HeadRecord, NumberInputs, POOLING, Problem};
use crate::models::Model;
use crate::models::head::HEADS;
use crate::models::registry::names_for;
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::head as msg;
use lorakeet_i18n::messages::run;
use serde_json::{Map, Value};

/// The head that a model came with, or that an adapter brought.
#[derive(Debug, Clone)]
pub(crate) struct PretrainedHead {
    /// config.json as it was, with the head of an adapter.
    pub(crate) config: Value,
    /// The same without it, as the model's files have it.
    pub(crate) of_files: Value,
    pub(crate) task: HeadKind,
    problem: Option<Problem>,
    /// What a run of this program wrote of it.
    run: Option<HeadRecord>,
    /// How many outputs it has.
    outputs: Option<usize>,
    /// Whether nobody chose it: of a small model whose config.json says nothing of a head.
    pub(crate) is_default: bool,
}

impl PretrainedHead {
    /// # Errors
    /// What a run wrote of it is broken.
    pub(crate) fn of(model: &Model, config: &Value) -> Result<Self> {
        Ok(Self {
            run: HeadRecord::read(config)?,
            config: config.clone(),
            of_files: config.clone(),
            task: model.task(),
            problem: model.problem(),
            outputs: model.labels(),
            is_default: is_small(config)
                && ["architectures", "id2label", "num_labels", "problem_type"]
                    .iter()
                    .all(|key| config[*key].is_null()),
        })
    }

    /// The same with the head that an adapter was saved with.
    ///
    /// # Errors
    /// What a run wrote of it is broken.
    pub(crate) fn with(&self, adapter: &Value) -> Result<Self> {
        let run = HeadRecord::read(adapter)?;
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
        let task = match run.as_ref().and_then(|run| run.task) {
            Some(Task::TokenClassification) => HeadKind::TokenClassification,
            Some(task) if task.has_head() => HeadKind::SequenceClassification,
            _ => self.task,
        };
        let problem = adapter["problem_type"].as_str().and_then(Problem::named);
        Ok(Self {
            run,
            outputs: adapter["id2label"].as_object().map(Map::len),
            config,
            of_files: self.of_files.clone(),
            task,
            problem: Some(problem.unwrap_or(Problem::SingleLabel)),
            is_default: false,
        })
    }

    /// The task of a model that brings its head.
    pub(crate) fn task(&self) -> Option<Task> {
        let own = match (self.task, self.problem) {
            (HeadKind::TokenClassification, _) => Some(Task::TokenClassification),
            (HeadKind::SequenceClassification, Some(Problem::MultiLabel)) => Some(Task::MultiLabel),
            (HeadKind::SequenceClassification, Some(Problem::Regression)) => Some(Task::Regression),
            (HeadKind::SequenceClassification, _) => Some(Task::Classification),
            _ => None,
        };
        let said = || {
            let name = self.config["problem_type"].as_str().filter(|_| self.is_encoder())?;
            Some(match Problem::named(name)? {
                Problem::Regression => Task::Regression,
                Problem::SingleLabel => Task::Classification,
                Problem::MultiLabel => Task::MultiLabel,
            })
        };
        let own = own.filter(|_| !self.is_default);
        let of_run = self.run.as_ref().and_then(|run| run.task);
        of_run.or(own).or_else(said)
    }

    /// What it answers, where that is of this kind; else, of one that was trained, why it does not do.
    pub(crate) fn answer(&self, kind: LabelKind, is_trained: bool) -> Result<LabelSet, Option<Message>> {
        let refused = |because: Message| Some(because).filter(|_| is_trained);
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
            return Err(refused(msg::IsFor { task }.into()));
        }
        let unnamed = || refused(msg::NamesNotFromZero.into());
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

    pub(crate) fn scaling(&self) -> Scaling {
        let run = self.run.as_ref();
        run.map(|run| run.targets.clone()).unwrap_or_default()
    }

    fn numbers(&self) -> Option<&NumberInputs> {
        self.run.as_ref()?.numbers.as_ref()
    }

    pub(crate) fn inputs(&self) -> InputScaling {
        let numbers = self.numbers();
        numbers.map(|numbers| numbers.scaling.clone()).unwrap_or_default()
    }

    /// The columns that a model of numbers was trained on; none of another, or of one that was not trained.
    pub(crate) fn input_names(&self) -> &[String] {
        self.numbers().map_or(&[], |numbers| &numbers.columns.texts)
    }

    /// The columns that a model of numbers was trained on, as far as the file has them; the run's go first.
    pub(crate) fn columns(&self, given: Columns, dataset: &Dataset) -> Columns {
        let Some(saved) = self.numbers().map(|numbers| numbers.columns.clone()) else {
            return given;
        };
        Columns {
            texts: match given.texts.is_empty() {
                true => saved.texts,
                false => given.texts,
            },
            labels: match given.labels.is_empty() && dataset.has_columns(&saved.labels) {
                true => saved.labels,
                false => given.labels,
            },
            window: given.window.or(saved.window),
        }
    }

    /// Refuses a model on which no head for `task` can be put.
    pub(crate) fn check_takes_heads(&self, task: Task, model: &Model) -> Result<()> {
        if self.task != HeadKind::Seq2SeqLm {
            return Ok(());
        }
        let model_type = &model.info.model_type;
        let (what, names) = (run::NoHead { model_type, task }, names_for(task));
        Err(Error::model(what).remedy(run::LoadModelFor { task, names }))
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
        self.run.is_some() || loaded.files.entries().iter().any(|entry| in_files(&entry.name))
    }

    pub(crate) fn is_encoder(&self) -> bool {
        !matches!(self.task, HeadKind::CausalLm | HeadKind::Seq2SeqLm)
    }
}

/// What a run puts in front of the head's outputs; `is_kept` where the model's own head is trained on.
///
/// # Errors
/// The run wants another hidden layer than that head has.
pub(crate) fn head_layers(config: &RunConfig, own: &PretrainedHead, is_kept: bool) -> Result<HeadLayers> {
    let hidden_size = config.classifier_hidden_size;
    let wanted = HeadLayers {
        pooling: config.classifier_pooling,
        hidden_size,
        activation: (hidden_size > 0).then(|| config.classifier_activation.name().to_owned()),
        dropout: config.classifier_dropout,
    };
    if !is_kept {
        return Ok(wanted);
    }
    let held = own.run.as_ref().map(|run| run.layers.clone()).unwrap_or_default();
    let refused = |key: &str, what: Message| Err(Error::config(what).field(key).remedy(msg::TakeLineOut));
    if hidden_size > 0 && hidden_size != held.hidden_size {
        let held: Message = match held.hidden_size {
            0 => msg::NoHiddenLayer.into(),
            size => msg::HiddenLayerOf { size }.into(),
        };
        let wanted = hidden_size;
        return refused(HIDDEN_SIZE, msg::OtherHidden { wanted, held }.into());
    }
    if hidden_size > 0 && wanted.activation != held.activation {
        let [wanted, held] = [wanted, held].map(|layers| format!("{:?}", layers.activation.unwrap_or_default()));
        return refused(ACTIVATION, msg::OtherActivation { wanted, held }.into());
    }
    let read = held.pooling.unwrap_or(HeadPooling::Cls);
    if let Some(wanted) = wanted.pooling.filter(|wanted| *wanted != read) {
        let (wanted, held) = (wanted.name(), read.name());
        return refused(POOLING, msg::OtherPooling { wanted, held }.into());
    }
    Ok(HeadLayers {
        dropout: wanted.dropout,
        ..held
    })
}

/// Whether it is the config.json of a small model.
fn is_small(config: &Value) -> bool {
    let kind = config["model_type"].as_str();
    kind.is_some_and(|kind| SMALL_MODELS.contains(&kind))
}
