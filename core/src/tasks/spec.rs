//! A run's task with all that follows from it, resolved from settings, the model's own head and the data: labels, loss, metric,
//! and the head that the model needs for them.

use super::{Objective, Rules, by_task};
use crate::config::{HeadPooling, RunConfig};
use crate::data::{
    Columns, Dataset, Example, InputScaling, LabelKind, LabelSet, Labelled, Scaling, Schema, Shape, Target,
    note_of_alike,
};
use crate::did_you_mean::nearest;
use crate::error::{Error, Result};
use crate::head_spec::{DROPOUT, HIDDEN_SIZE, HeadKind, HeadLayers, HeadRecord, HeadSpec, NumberInputs};
use crate::host::Emit;
use crate::loaded_model::{LoadedModel, PretrainedHead, head_layers};
use crate::loss::{WeightedSum, usual};
use crate::metrics::answers::Predictions;
use crate::task::{GENERATION_METRICS, Task};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::head;
use lorakeet_i18n::messages::run as msg;
use lorakeet_i18n::{Field, Message};

/// A run's task with all that follows from it.
#[derive(Debug, Clone)]
pub(crate) struct TaskSpec {
    pub(crate) objective: Objective,
    /// Of tasks with labels, what they are.
    pub(crate) answer: Option<LabelSet>,
    /// Of regressions, how the targets are scaled.
    pub(crate) scaling: Scaling,
    /// The metric that checkpoints and the run are compared by.
    pub(crate) metric: String,
    /// The layout of a row's numbers; none of texts.
    pub(crate) shape: Option<Shape>,
    /// How they are scaled.
    pub(super) inputs: InputScaling,
    /// What was decided, and why.
    pub(crate) notes: Vec<Message>,
    pub(super) columns: Columns,
    /// Whether the head is new.
    pub(super) fresh: bool,
    /// Whether the run goes on with a trained head, so that the model answers before its first step.
    pub(crate) keeps_head: bool,
    /// What the run puts in front of the head's outputs.
    layers: HeadLayers,
    /// The pooling of a new head that neither the run nor the architecture decides.
    default_pooling: Option<HeadPooling>,
}

impl TaskSpec {
    /// The task of a run on `dataset`.
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
        spec.note_modules(config, loaded)?;
        if task == Task::TokenClassification {
            let tagged = dataset.tagged(&spec.columns)?;
            tagged.column_of_classes()?;
            let is_trained = own.is_trained(loaded);
            let kept = own
                .answer(LabelKind::Tags, is_trained)
                .and_then(|answer| match tagged.stranger(&answer) {
                    None => Ok(answer),
                    Some(class) => Err(Some(msg::HasClass { class }.into())),
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
        if task.has_head() {
            let is_kept = is_kept && own.is_trained(loaded);
            spec.keeps_head = is_kept;
            spec.layers = head_layers(config, own, is_kept)?;
            if let Some((pooling, note)) = spec.pooling_by_default(config, loaded).filter(|_| !is_kept) {
                (spec.layers.pooling, spec.default_pooling) = (Some(pooling), Some(pooling));
                spec.notes.push(note);
            }
        }
        if task == Task::Generation {
            spec.notes.extend(dataset.text_notes.iter().cloned());
            if spec.columns != Columns::default() {
                spec.notes.push(msg::ColumnsWithoutEffect.into());
            }
        }
        spec.note_packing(config, own.task == HeadKind::CausalLm && task == Task::Generation);
        if !task.has_head() && (config.classifier_hidden_size > 0 || config.classifier_dropout > 0.0) {
            let note = msg::HeadKnobsWithoutEffect {
                hidden_size: HIDDEN_SIZE,
                dropout: DROPOUT,
                task,
            };
            spec.notes.push(note.into());
        }
        Ok(spec)
    }

    /// The task of a run whose model takes numbers.
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
                let error = Error::config(msg::NotOnNumbers { task }).field("task");
                error.remedy(msg::TasksOnNumbers)
            })?;
        let mut spec = Self::plain(config, task, dataset)?;
        labelled.check(kind)?;
        let kept = own
            .answer(kind, is_trained)
            .and_then(|answer| fitting(&labelled, answer));
        spec.take(kept, kind, || labelled.names(kind))?;
        (spec.scaling, spec.inputs) = (own.scaling(), own.inputs());
        spec.keeps_head = !spec.fresh && is_trained;
        spec.shape = labelled.shape;
        spec.columns = Columns {
            texts: labelled.texts,
            labels: labelled.labels,
            window: columns.window,
        };
        let outputs = spec.answer.as_ref().map(|answer| answer.names.len());
        spec.objective.loss.check(task, outputs)?;
        spec.note_packing(config, false);
        Ok(spec)
    }

    /// What the loaded head was trained for.
    ///
    /// # Errors
    /// A metric that is not the task's; a head whose outputs have no names.
    pub(crate) fn from_checkpoint(config: &RunConfig, loaded: &LoadedModel, dataset: &Dataset) -> Result<Self> {
        let head = loaded.current_head()?;
        if loaded.model.input_features().is_some() && head.is_default {
            return Err(Error::model(msg::NotTrained)
                .file(&loaded.files.name)
                .remedy(msg::TrainAndName));
        }
        let Some(task) = config.task.or_else(|| head.task()) else {
            return Self::resolve(config, loaded, dataset);
        };
        let mut spec = Self::plain(config, task, dataset)?;
        if task == Task::Generation {
            spec.notes = dataset.text_notes.clone();
        }
        spec.note_modules(config, loaded)?;
        if loaded.model.input_features().is_some() {
            spec.columns = head.columns(spec.columns, dataset);
            spec.inputs = head.inputs();
            spec.shape = dataset.numeric(&spec.columns)?.shape;
        }
        if let Some(kind) = label_kind(task) {
            let names = head
                .names(true)
                .ok_or_else(|| Error::model(head::NoNames).file("config.json").field("id2label"))?;
            spec.answer = Some(LabelSet::new(kind, names));
            spec.scaling = head.scaling();
        }
        Ok(spec)
    }

    /// Predictions with the model's own head, or with a fresh one for the labels of the data. A note says so where the
    /// model's head was trained and is not used.
    fn take(
        &mut self,
        kept: Result<LabelSet, Option<Message>>,
        kind: LabelKind,
        names: impl FnOnce() -> Result<Vec<String>>,
    ) -> Result<()> {
        self.fresh = kept.is_err();
        self.answer = Some(match kept {
            Ok(answer) => answer,
            Err(because) => {
                let answer = LabelSet::new(kind, names()?);
                let outputs = answer.names.len();
                let replaced = |because| msg::HeadReplaced { because, outputs }.into();
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
            // Pairs with numbers and without a corpus are scored by similarity.
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
            keeps_head: false,
            layers: HeadLayers::default(),
            default_pooling: None,
        })
    }

    /// The settings with what was decided of the head's pooling, by which a checkpoint knows its run.
    pub(crate) fn settled(&self, config: &RunConfig) -> RunConfig {
        RunConfig {
            classifier_pooling: config.classifier_pooling.or(self.default_pooling),
            ..config.clone()
        }
    }

    /// Notes how vectors of texts are made, where that is not their usual mean.
    ///
    /// # Errors
    /// The model's folder names a module of sentence-transformers that is not computed here.
    fn note_modules(&mut self, config: &RunConfig, loaded: &LoadedModel) -> Result<()> {
        if self.task() != Task::Embedding {
            return Ok(());
        }
        if let Some(modules) = &loaded.files.sentence {
            self.notes.extend(modules.check(config.classifier_pooling.is_some())?);
        }
        Ok(())
    }

    /// Whether texts are joined into rows, which then are not the rows of the data.
    pub(crate) fn packs(&self, config: &RunConfig, own: &PretrainedHead, dataset: &Dataset) -> bool {
        let could = self.objective.learns_texts() && own.task == HeadKind::CausalLm;
        could && config.packing.unwrap_or(dataset.form == Schema::Text)
    }

    /// Notes that rows are not packed although the run asks for it.
    fn note_packing(&mut self, config: &RunConfig, packs: bool) {
        if config.packing == Some(true) && !packs {
            let task = self.task();
            self.notes.push(msg::PackingWithoutEffect { task }.into());
        }
    }

    /// Adds a note on a cutoff_len that the model cannot use.
    pub(crate) fn note_cutoff(&mut self, config: &RunConfig, loaded: &LoadedModel) {
        let note = loaded.model.limits().cutoff_note(config.cutoff_len);
        self.notes.extend(note.filter(|_| self.shape.is_none()));
    }

    /// Emits the notes on what was decided, and why.
    pub(crate) fn emit_notes(&mut self, emit: &mut Emit<'_>) {
        emit.warn_all(self.notes.drain(..));
    }

    pub(crate) fn task(&self) -> Task {
        self.objective.task
    }

    /// What the labels are, where they are a column's.
    pub(super) fn label_kind(&self) -> Option<LabelKind> {
        label_kind(self.task())
    }

    /// The predictions for labelled `examples`, from the model's outputs, `width` numbers a row.
    pub(crate) fn answers(&self, examples: &[Example], outputs: &[f32], width: usize) -> Option<Predictions> {
        by_task!(self.task(), R => R::answers(self, examples, outputs, width))
    }

    /// The indices of a row's labels; none of numbers.
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

    /// The label of a row in words.
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

    /// The head that the model needs, where it is another than its own.
    pub(crate) fn head(&self, own: &PretrainedHead) -> Option<HeadSpec> {
        let task = self.task();
        if !task.has_head() {
            // An encoder's vectors are those of the base alone.
            return (task == Task::Embedding && own.is_encoder()).then(|| HeadSpec {
                kind: HeadKind::Features,
                labels: Vec::new(),
                problem: None,
                record: HeadRecord::default(),
            });
        }
        let names = self.answer.as_ref().map(|answer| answer.names.clone());
        Some(HeadSpec {
            kind: by_task!(task, R => R::HEAD),
            labels: names.unwrap_or_else(|| vec!["LABEL_0".to_owned()]),
            problem: by_task!(task, R => R::PROBLEM),
            record: HeadRecord {
                task: Some(task),
                layers: self.layers.clone(),
                targets: self.scaling.clone(),
                numbers: self.shape.map(|_| NumberInputs {
                    columns: self.columns.clone(),
                    scaling: self.inputs.clone(),
                }),
            },
        })
    }
}

/// The task: the run's setting, else the model's head, else the form of the data.
fn decide(
    config: &RunConfig,
    own: &PretrainedHead,
    dataset: &Dataset,
    columns: &Columns,
    notes: &mut Vec<Message>,
) -> Result<Task> {
    let said = config.task.or(config.problem_type.map(|problem| problem.task()));
    // A head with one output scores pairs where the data ranks.
    let scores_pairs = own.task() == Some(Task::Regression) && dataset.has_ranking();
    if let Some(task) = said.or_else(|| own.task().filter(|_| !scores_pairs)) {
        return Ok(task);
    }
    let continues = own.task == HeadKind::CausalLm;
    let names_answer = continues && config.completion_column.is_some();
    if own.task == HeadKind::Seq2SeqLm || names_answer {
        return Ok(Task::Generation);
    }
    let by_data: Option<(Task, Message)> = if dataset.has_tags() {
        Some((Task::TokenClassification, msg::WordsWithClasses.into()))
    } else if dataset.has_preferences() && continues {
        Some((Task::Preference, msg::ChosenAndRejected.into()))
    } else if dataset.names_positives() && !scores_pairs {
        Some((Task::Embedding, msg::QueriesWithPositives.into()))
    } else if dataset.has_ranking() {
        Some((Task::Ranking, msg::QueriesWithGrades.into()))
    } else {
        None
    };
    if let Some((task, because)) = by_data {
        notes.push(msg::TaskByData { task, because }.into());
        return Ok(task);
    }
    // Decoders are trained on texts unless the data have labels, or the run names a label column.
    let by_labels =
        own.is_encoder() || dataset.form == Schema::Text || dataset.has_labelled_pairs() || !columns.labels.is_empty();
    if by_labels && dataset.has_labels(columns) {
        let labelled = dataset.labelled(columns)?;
        let task = match labelled.kind()? {
            LabelKind::Class => Task::Classification,
            LabelKind::Labels => Task::MultiLabel,
            LabelKind::Numbers => Task::Regression,
            LabelKind::Tags => Task::TokenClassification,
        };
        let columns = labelled.labels.join("', '");
        let because = msg::Column { columns };
        notes.push(msg::TaskByData { task, because }.into());
        return Ok(task);
    }
    Ok(Task::Generation)
}

/// The answer, if it is one to all rows; else why it is not.
fn fitting(labelled: &Labelled, answer: LabelSet) -> Result<LabelSet, Option<Message>> {
    let wrong = labelled
        .rows
        .iter()
        .find_map(|row| labelled.targets(row, &answer).err());
    wrong.map_or(Ok(answer), |error| {
        let what = error.what;
        Err(Some(match error.row {
            Some(row) => msg::InRow { row, what }.into(),
            None => what,
        }))
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
        let error = Error::config(msg::MetricOfWritten { metric: name }).field("metric_for_best_model");
        return Err(error.remedy(msg::SetPredictWithGenerate));
    }
    if name == "loss" || names.contains(&name) || writes {
        return Ok(name.to_owned());
    }
    let metric = format!("{name:?}");
    let error = Error::config(msg::NoSuchMetric { task, metric }).field("metric_for_best_model");
    Err(match nearest(name, names.iter().copied()) {
        Some(near) => error.remedy(common::DidYouMean { name: near }),
        None => error.remedy(msg::MetricsAre {
            metrics: Field::list(names.iter().copied()),
        }),
    })
}

/// The metrics of the answers, the usual one first.
fn names(objective: &Objective) -> &'static [&'static str] {
    let of_loss = by_task!(objective.task, R => R::metrics(&objective.loss));
    of_loss.unwrap_or(objective.task.metrics())
}
