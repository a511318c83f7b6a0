//! A run's task with all that follows from it, resolved from settings, the model's own head and the data: labels, loss, metric,
//! and the head that the model needs for them.

use super::{Objective, Rules, by_task};
use crate::architectures::of_model_type;
use crate::config::RunConfig;
use crate::data::{
    Columns, Dataset, Example, InputScaling, LabelKind, LabelSet, Labelled, Scaling, Schema, Shape, Target,
    note_of_alike,
};
use crate::did_you_mean::nearest;
use crate::error::{Error, Result};
use crate::host::Emit;
use crate::loaded_model::{LoadedModel, PretrainedHead, head_keys};
use crate::loss::{WeightedSum, usual};
use crate::metrics::answers::Predictions;
use crate::metrics::generation::GENERATION_METRICS;
use crate::models;
use crate::models::head::{self, DROPOUT, HIDDEN_SIZE, RUN_KEY};
use crate::task::Task;
use serde_json::{Map, Value, json};

/// A run's task with all that follows from it.
#[derive(Debug, Clone)]
pub(crate) struct TaskSpec {
    pub(crate) objective: Objective,
    /// Of tasks with labels, what they are.
    pub(crate) answer: Option<LabelSet>,
    /// Of regressions, how the targets are scaled.
    pub(crate) scaling: Scaling,
    /// By which checkpoints are compared and the run is judged.
    pub(crate) metric: String,
    /// How the numbers of a row lie; none of texts.
    pub(crate) shape: Option<Shape>,
    /// How they are scaled.
    pub(super) inputs: InputScaling,
    /// What was decided, and why.
    pub(crate) notes: Vec<String>,
    pub(super) columns: Columns,
    /// Whether the head is new.
    pub(super) fresh: bool,
    /// What the run makes of its head, by config.json's keys.
    head: Map<String, Value>,
}

impl TaskSpec {
    /// What a run on `dataset` is to do.
    ///
    /// # Errors
    /// Data without what the task needs, a loss or a metric that is not the task's, a model that cannot do it.
    pub(crate) fn resolve(config: &RunConfig, loaded: &LoadedModel, dataset: &Dataset) -> Result<Self> {
        let columns = Columns::of(config);
        let own = &loaded.head;
        if loaded.model.input_features().is_some() {
            return Self::of_numbers(config, (own, own.is_trained(loaded)), dataset, columns);
        }
        let mut notes = Vec::new();
        let task = decide(config, own, dataset, &columns, &mut notes)?;
        by_task!(task, R => R::check_model(task, own, &loaded.model))?;
        let mut spec = Self::plain(config, task, dataset)?;
        spec.notes = notes;
        if task == Task::TokenClassification {
            let tagged = dataset.tagged(&spec.columns)?;
            tagged.column_of_classes()?;
            let is_trained = own.is_trained(loaded);
            let kept = own
                .answer(LabelKind::Tags, is_trained)
                .and_then(|answer| match tagged.stranger(&answer) {
                    None => Ok(answer),
                    Some(tag) => Err(Some(format!("they have the class '{tag}'"))),
                });
            spec.take(kept, LabelKind::Tags, || tagged.names())?;
        } else if let Some(kind) = label_kind(task) {
            let labelled = dataset.labelled(&spec.columns)?;
            labelled.check(kind)?;
            let is_trained = own.is_trained(loaded);
            let kept = own
                .answer(kind, is_trained)
                .and_then(|answer| fitting(&labelled, answer));
            spec.take(kept, kind, || labelled.names(kind))?;
            if !spec.fresh {
                spec.scaling = own.scaling();
            }
        }
        let outputs = spec.answer.as_ref().map(|answer| answer.names.len());
        spec.objective.loss.check(task, outputs)?;
        let is_kept = match task {
            Task::Ranking => own.scores_pairs(),
            _ => !spec.fresh,
        };
        spec.head = head_keys(config, own, is_kept && own.is_trained(loaded))?;
        if task == Task::Generation {
            spec.notes.extend(dataset.text_notes.iter().cloned());
            if spec.columns != Columns::default() {
                let note = "text_columns and label_columns have no effect: the task is generation.";
                spec.notes.push(note.to_owned());
            }
        }
        if !task.has_head() && (config.classifier_hidden_size > 0 || config.classifier_dropout > 0.0) {
            let note = format!("{HIDDEN_SIZE} and {DROPOUT} have no effect: the task is {task}, which has no head.");
            spec.notes.push(note);
        }
        Ok(spec)
    }

    /// What a run of a model that takes numbers is to do.
    fn of_numbers(
        config: &RunConfig,
        (own, is_trained): (&PretrainedHead, bool),
        dataset: &Dataset,
        columns: Columns,
    ) -> Result<Self> {
        let columns = own.columns(columns, dataset);
        let labelled = dataset.numeric(&columns)?;
        let kind = labelled.kind()?;
        let said = config.task.or(config.problem_type.map(|problem| problem.task()));
        let task = said.or_else(|| own.task()).unwrap_or(match kind {
            _ if columns.window.is_some() => Task::Regression,
            LabelKind::Class | LabelKind::Tags => Task::Classification,
            LabelKind::Labels => Task::MultiLabel,
            LabelKind::Numbers => Task::Regression,
        });
        let kind = label_kind(task)
            .filter(|kind| *kind != LabelKind::Tags)
            .ok_or_else(|| {
                let error = Error::config(format!("a model that takes numbers cannot do {task}")).field("task");
                error.remedy("It can do classification, multi_label and regression.")
            })?;
        let mut spec = Self::plain(config, task, dataset)?;
        labelled.check(kind)?;
        let kept = own
            .answer(kind, is_trained)
            .and_then(|answer| fitting(&labelled, answer));
        spec.take(kept, kind, || labelled.names(kind))?;
        (spec.scaling, spec.inputs) = (own.scaling(), own.inputs());
        spec.shape = labelled.shape;
        spec.columns = Columns {
            texts: labelled.texts,
            labels: labelled.labels,
            window: columns.window,
        };
        let outputs = spec.answer.as_ref().map(|answer| answer.names.len());
        spec.objective.loss.check(task, outputs)?;
        Ok(spec)
    }

    /// What the loaded head was trained for.
    ///
    /// # Errors
    /// A metric that is not the task's; a head whose outputs have no names.
    pub(crate) fn from_checkpoint(config: &RunConfig, loaded: &LoadedModel, dataset: &Dataset) -> Result<Self> {
        // The head that a run put on, or the model's own.
        let head = match head::of_run(&loaded.files.config) {
            Some(_) => loaded.head.with(&loaded.files.config),
            None => loaded.head.clone(),
        };
        if loaded.model.input_features().is_some() && head.is_default {
            return Err(Error::model("the model has not been trained yet")
                .file(&loaded.files.name)
                .remedy("Train it, and then name the folder that the run wrote."));
        }
        let Some(task) = config.task.or_else(|| head.task()) else {
            return Self::resolve(config, loaded, dataset);
        };
        let mut spec = Self::plain(config, task, dataset)?;
        if task == Task::Generation {
            spec.notes = dataset.text_notes.clone();
        }
        if loaded.model.input_features().is_some() {
            spec.columns = head.columns(spec.columns, dataset);
            spec.inputs = head.inputs();
            spec.shape = dataset.numeric(&spec.columns)?.shape;
        }
        if let Some(kind) = label_kind(task) {
            let names = head.names(true).ok_or_else(|| {
                Error::model("the model's head has no names for its outputs")
                    .file("config.json")
                    .field("id2label")
            })?;
            spec.answer = Some(LabelSet::new(kind, names));
            spec.scaling = head.scaling();
        }
        Ok(spec)
    }

    /// Predictions with the head that the model brings, or with a fresh one for the labels of the data, and says so where the former
    /// was trained and is not used.
    fn take(
        &mut self,
        kept: Result<LabelSet, Option<String>>,
        kind: LabelKind,
        names: impl FnOnce() -> Result<Vec<String>>,
    ) -> Result<()> {
        self.fresh = kept.is_err();
        self.answer = Some(match kept {
            Ok(answer) => answer,
            Err(because) => {
                let answer = LabelSet::new(kind, names()?);
                let outputs = answer.names.len();
                let replaced = |because| {
                    format!(
                        "The model's own head does not go with the data: {because}. A fresh one with {outputs} outputs takes its place."
                    )
                };
                self.notes.extend(because.map(replaced));
                self.notes
                    .extend(note_of_alike(&answer.names).filter(|_| kind != LabelKind::Numbers));
                answer
            }
        });
        Ok(())
    }

    fn plain(config: &RunConfig, task: Task, dataset: &Dataset) -> Result<Self> {
        let columns = Columns::of(config);
        let loss = match &config.loss {
            Some(text) => WeightedSum::parse(text)?,
            // Pairs with numbers and nothing to be found say how alike they are.
            None if task == Task::Embedding && !dataset.has_ranking() && dataset.has_labels(&columns) => {
                usual(Task::Regression)
            }
            None => usual(task),
        };
        loss.check(task, None)?;
        let objective = Objective { task, loss };
        Ok(Self {
            metric: metric(config, &objective)?,
            objective,
            answer: None,
            scaling: Scaling::default(),
            shape: None,
            inputs: InputScaling::Plain,
            notes: Vec::new(),
            columns,
            fresh: false,
            head: Map::new(),
        })
    }

    /// Takes note of a cutoff_len that the model cannot have.
    pub(crate) fn note_cutoff(&mut self, config: &RunConfig, loaded: &LoadedModel) {
        let note = loaded.model.limits().cutoff_note(config.cutoff_len);
        self.notes.extend(note.filter(|_| self.shape.is_none()));
    }

    /// Says what was decided, and why.
    pub(crate) fn tell_notes(&mut self, emit: &mut Emit<'_>) {
        emit.warn_all(self.notes.drain(..));
    }

    pub(crate) fn task(&self) -> Task {
        self.objective.task
    }

    /// What the labels are, where they are a column's.
    pub(super) fn label_kind(&self) -> Option<LabelKind> {
        label_kind(self.task())
    }

    /// What the model answered to `examples`, whose labels are right: its outputs, `width` numbers a row.
    pub(crate) fn answers(&self, examples: &[Example], outputs: &[f32], width: usize) -> Option<Predictions> {
        by_task!(self.task(), R => R::answers(self, examples, outputs, width))
    }

    /// The numbers of the labels that a row is answered with; none of numbers.
    pub(crate) fn labels_of(&self, target: &Target) -> Vec<usize> {
        match (target, self.answer.as_ref().map(|answer| answer.kind)) {
            (Target::Tokens(labels), _) => {
                let labels = labels.iter().filter(|&&label| label >= 0);
                labels.map(|&label| label as usize).collect()
            }
            (Target::Row(labels), Some(LabelKind::Class)) => labels.iter().map(|&label| label as usize).collect(),
            (Target::Row(flags), Some(LabelKind::Labels)) => {
                let applying = flags.iter().enumerate().filter(|(_, flag)| **flag > 0.5);
                applying.map(|(label, _)| label).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What a row is answered with, in words.
    pub(crate) fn label(&self, target: &Target) -> String {
        by_task!(self.task(), R => R::label(self, target)).join(", ")
    }

    /// The metric that the report compares by: answers without a model have no loss.
    pub(crate) fn judged_by(&self) -> &str {
        match self.metric.as_str() {
            "loss" => names(&self.objective)[0],
            metric => metric,
        }
    }

    /// config.json of the model that the task needs.
    pub(crate) fn model_config(&self, own: &PretrainedHead, model_type: &str) -> Result<Value> {
        let mut config = own.config.clone();
        let task = self.task();
        let class = of_model_type(model_type)?.class;
        if task == Task::Embedding && own.is_encoder() {
            config["architectures"] = json!([format!("{class}Model")]);
        }
        if !task.has_head() {
            return Ok(config);
        }
        let head = by_task!(task, R => R::HEAD);
        config["architectures"] = json!([format!("{class}For{head}")]);
        let names = match &self.answer {
            Some(answer) => answer.names.clone(),
            None => vec!["LABEL_0".to_owned()],
        };
        let by_number = names.iter().enumerate().map(|(i, name)| (i.to_string(), json!(name)));
        config["id2label"] = Value::Object(by_number.collect());
        let by_name = names.iter().enumerate().map(|(i, name)| (name.clone(), json!(i)));
        config["label2id"] = Value::Object(by_name.collect());
        config["problem_type"] = json!(by_task!(task, R => R::PROBLEM_TYPE));
        let mut run = Map::from_iter([("task".to_owned(), json!(task.name()))]);
        if !self.scaling.0.is_empty() {
            let (means, deviations): (Vec<f64>, Vec<f64>) = self.scaling.0.iter().copied().unzip();
            run.insert("target_mean".into(), json!(means));
            run.insert("target_std".into(), json!(deviations));
        }
        if self.shape.is_some() {
            run.insert("input_columns".into(), json!(self.columns.texts));
            run.insert("label_columns".into(), json!(self.columns.labels));
            if let Some(window) = self.columns.window {
                run.insert("forecast_window".into(), json!(window));
            }
            match &self.inputs {
                InputScaling::Plain => drop(run.insert("scale_inputs".into(), json!("none"))),
                InputScaling::Rows(channels) => {
                    run.insert("scale_inputs".into(), json!("rows"));
                    run.insert("input_channels".into(), json!(channels));
                }
                InputScaling::Columns(columns) => {
                    let (means, deviations): (Vec<f64>, Vec<f64>) = columns.iter().copied().unzip();
                    run.insert("scale_inputs".into(), json!("columns"));
                    run.insert("input_mean".into(), json!(means));
                    run.insert("input_std".into(), json!(deviations));
                }
            }
        }
        run.extend(self.head.clone());
        if !config["task_specific_params"].is_object() {
            config["task_specific_params"] = json!({});
        }
        config["task_specific_params"][RUN_KEY] = Value::Object(run);
        Ok(config)
    }
}

/// The task: the run's word, the model's head, or what the data look like.
fn decide(
    config: &RunConfig,
    own: &PretrainedHead,
    dataset: &Dataset,
    columns: &Columns,
    notes: &mut Vec<String>,
) -> Result<Task> {
    let said = config.task.or(config.problem_type.map(|problem| problem.task()));
    // A head with one output scores pairs where the data ranks.
    let scores_pairs = own.task() == Some(Task::Regression) && dataset.has_ranking();
    if let Some(task) = said.or_else(|| own.task().filter(|_| !scores_pairs)) {
        return Ok(task);
    }
    let continues = own.task == models::HeadKind::CausalLm;
    if own.task == models::HeadKind::Seq2SeqLm {
        return Ok(Task::Generation);
    }
    let by_data = if dataset.has_tags() {
        Some((Task::TokenClassification, "words with classes"))
    } else if dataset.has_preferences() && continues {
        Some((Task::Preference, "chosen and rejected answers"))
    } else if dataset.names_positives() && !scores_pairs {
        Some((Task::Embedding, "queries with positives"))
    } else if dataset.has_ranking() {
        Some((Task::Ranking, "queries with graded documents"))
    } else {
        None
    };
    if let Some((task, because)) = by_data {
        notes.push(format!(
            "The task is {task}, because the data has {because}; set task to choose another."
        ));
        return Ok(task);
    }
    // Decoders learn texts unless a text stands beside a label, or the run names one.
    let by_labels = own.is_encoder() || dataset.form == Schema::Text || !columns.labels.is_empty();
    if by_labels && dataset.has_labels(columns) {
        let labelled = dataset.labelled(columns)?;
        let task = match labelled.kind()? {
            LabelKind::Class => Task::Classification,
            LabelKind::Labels => Task::MultiLabel,
            LabelKind::Numbers => Task::Regression,
            LabelKind::Tags => Task::TokenClassification,
        };
        notes.push(format!(
            "The task is {task}, because the data has a column '{}'; set task to choose another.",
            labelled.labels.join("', '")
        ));
        return Ok(task);
    }
    Ok(Task::Generation)
}

/// The answer, if it is one to all rows; else why it is not.
fn fitting(labelled: &Labelled, answer: LabelSet) -> Result<LabelSet, Option<String>> {
    let wrong = labelled
        .rows
        .iter()
        .find_map(|row| labelled.targets(row, &answer).err());
    wrong.map_or(Ok(answer), |error| {
        let row = error.row.map(|row| format!("row {row}: ")).unwrap_or_default();
        Err(Some(format!("{row}{}", error.what)))
    })
}

/// What a task's labels are, where they are a column's.
fn label_kind(task: Task) -> Option<LabelKind> {
    by_task!(task, R => R::LABELS)
}

/// The run's metric without transformers' `eval_`, or the task's usual one.
fn metric(config: &RunConfig, objective: &Objective) -> Result<String> {
    let (task, names) = (objective.task, names(objective));
    let Some(given) = &config.metric_for_best_model else {
        return Ok(names[0].to_owned());
    };
    let name = given.strip_prefix("eval_").unwrap_or(given);
    let writes = objective.learns_texts() && GENERATION_METRICS.contains(&name);
    if writes && !config.predict_with_generate {
        let error = Error::config(format!("{name} is of answers that the model writes")).field("metric_for_best_model");
        return Err(error.remedy("Set predict_with_generate: true."));
    }
    if name == "loss" || names.contains(&name) || writes {
        return Ok(name.to_owned());
    }
    let error = Error::config(format!("a {task} run has no metric {name:?}")).field("metric_for_best_model");
    Err(match nearest(name, names.iter().copied()) {
        Some(near) => error.remedy(format!("Did you mean {near}?")),
        None => error.remedy(format!("It has loss, {}.", names.join(", "))),
    })
}

/// The metrics of the answers, the usual one first.
fn names(objective: &Objective) -> &'static [&'static str] {
    let of_loss = by_task!(objective.task, R => R::metrics(&objective.loss));
    of_loss.unwrap_or(objective.task.metrics())
}
