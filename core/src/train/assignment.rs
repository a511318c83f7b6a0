//! What a run is to do, decided from its settings, the model's own head and the data: the task, the labels, the loss, the
//! metric, and the head that the model needs for them.

use super::evaluation::{HeldOut, collate};
use super::loaded::Loaded;
use super::objective::Objective;
use super::own_head::{OwnHead, head_keys};
use super::retrieval::{Corpus, cosine};
use crate::config::{RunConfig, SMALL_MODELS, ScaleInputs};
use crate::data::{
    self, Aim, Answer, Columns, Dataset, Example, Form, InputScaling, LabelKind, Labelled, Scaling, Shape,
};
use crate::error::{Error, Result};
use crate::finetune::{Emit, Host};
use crate::loss::{Loss, WeightedSum, usual};
use crate::metrics::answers::{ALIKE, Answers, metric_names};
use crate::metrics::generation::OF_WRITTEN;
use crate::models::head::{self, DROPOUT, HIDDEN_SIZE, RUN_KEY};
use crate::models::{self, Model, read};
use crate::protocol::{Event, Stage};
use crate::spelling::nearest;
use crate::task::Task;
use serde_json::{Map, Value, json};

/// A run's task with all that follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) objective: Objective,
    /// Of tasks with labels, what they are.
    pub(crate) answer: Option<Answer>,
    /// Of regressions, how the targets are scaled.
    pub(crate) scaling: Scaling,
    /// By which checkpoints are compared and the run is judged.
    pub(crate) metric: String,
    /// How the numbers of a row lie; none of texts.
    pub(crate) shape: Option<Shape>,
    /// How they are scaled.
    inputs: InputScaling,
    /// Worth knowing: what was decided, and why.
    pub(crate) notes: Vec<String>,
    columns: Columns,
    fresh: bool,
    /// What the run makes of its head, by config.json's keys.
    head: Map<String, Value>,
}

/// Whether the task's answers come from a head of its own.
pub(super) fn has_head(task: Task) -> bool {
    !matches!(task, Task::Generation | Task::Embedding | Task::Preference)
}

impl Assignment {
    /// What a run on `dataset` is to do.
    ///
    /// # Errors
    /// Data without what the task needs, a loss or a metric that is not the task's, a model that cannot do it.
    pub(crate) fn of_run(config: &RunConfig, loaded: &Loaded, dataset: &Dataset) -> Result<Self> {
        let columns = Columns::of(config);
        let own = &loaded.own;
        if loaded.model.numbers().is_some() {
            return Self::of_numbers(config, own, dataset, columns);
        }
        let mut notes = Vec::new();
        let task = decide(config, own, dataset, &columns, &mut notes)?;
        check_model(task, own, &loaded.model)?;
        let mut assignment = Self::plain(config, task, dataset)?;
        assignment.notes = notes;
        if task == Task::TokenClassification {
            let tagged = dataset.tagged(&assignment.columns)?;
            let own_names = own
                .names()
                .filter(|names| own.task() == Some(task) && tagged.fits(names));
            assignment.fresh = own_names.is_none();
            let names = own_names.map_or_else(|| tagged.names(), Ok)?;
            assignment.answer = Some(Answer {
                kind: LabelKind::Tags,
                names,
            });
        } else if let Some(kind) = label_kind(task) {
            let labelled = dataset.labelled(&assignment.columns)?;
            let kept = own.names().filter(|_| own.task() == Some(task)).and_then(|names| {
                let answer = Answer { kind, names };
                let fits = |row| labelled.targets(row, &answer).is_ok();
                labelled.rows.iter().all(fits).then_some(answer)
            });
            assignment.fresh = kept.is_none();
            assignment.scaling = if kept.is_some() {
                own.scaling()
            } else {
                Scaling::default()
            };
            assignment.answer = Some(match kept {
                Some(answer) => answer,
                None => Answer {
                    kind,
                    names: labelled.names(kind)?,
                },
            });
        }
        let outputs = assignment.answer.as_ref().map(|answer| answer.names.len());
        assignment.objective.loss.check(task, outputs)?;
        let is_kept = match task {
            Task::Ranking => own.scores_pairs(),
            _ => !assignment.fresh,
        };
        assignment.head = head_keys(config, own, is_kept && own.is_trained(loaded))?;
        if !has_head(task) && (config.classifier_hidden_size > 0 || config.classifier_dropout > 0.0) {
            let note = format!("{HIDDEN_SIZE} and {DROPOUT} have no effect: the task is {task}, which has no head.");
            assignment.notes.push(note);
        }
        Ok(assignment)
    }

    /// What a run of a model that takes numbers is to do.
    fn of_numbers(config: &RunConfig, own: &OwnHead, dataset: &Dataset, columns: Columns) -> Result<Self> {
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
        let mut assignment = Self::plain(config, task, dataset)?;
        let kept = own.names().filter(|_| own.task() == Some(task)).and_then(|names| {
            let answer = Answer { kind, names };
            let fits = |row| labelled.targets(row, &answer).is_ok();
            labelled.rows.iter().all(fits).then_some(answer)
        });
        assignment.fresh = kept.is_none();
        (assignment.scaling, assignment.inputs) = (own.scaling(), own.inputs());
        assignment.answer = Some(match kept {
            Some(answer) => answer,
            None => Answer {
                kind,
                names: labelled.names(kind)?,
            },
        });
        assignment.shape = labelled.shape;
        assignment.columns = Columns {
            texts: labelled.texts,
            labels: labelled.labels,
            window: columns.window,
        };
        let outputs = assignment.answer.as_ref().map(|answer| answer.names.len());
        assignment.objective.loss.check(task, outputs)?;
        Ok(assignment)
    }

    /// What the loaded head was trained for.
    ///
    /// # Errors
    /// A metric that is not the task's; a head whose outputs have no names.
    pub(crate) fn of_head(config: &RunConfig, loaded: &Loaded, dataset: &Dataset) -> Result<Self> {
        // The head that a run put on, or the model's own.
        let head = match head::of_run(&loaded.files.config) {
            Some(_) => loaded.own.with(&loaded.files.config),
            None => loaded.own.clone(),
        };
        if loaded.model.numbers().is_some() && head.is_made_up {
            return Err(Error::model("the model has not been trained yet")
                .file(&loaded.files.name)
                .remedy("Train it, and then name the folder that the run wrote."));
        }
        let Some(task) = config.task.or_else(|| head.task()) else {
            return Self::of_run(config, loaded, dataset);
        };
        let mut assignment = Self::plain(config, task, dataset)?;
        if loaded.model.numbers().is_some() {
            assignment.columns = head.columns(assignment.columns, dataset);
            assignment.inputs = head.inputs();
            assignment.shape = dataset.numeric(&assignment.columns)?.shape;
        }
        if let Some(kind) = label_kind(task) {
            let names = head.names().ok_or_else(|| {
                Error::model("the model's head has no names for its outputs")
                    .file("config.json")
                    .field("id2label")
            })?;
            assignment.answer = Some(Answer { kind, names });
            assignment.scaling = head.scaling();
        }
        Ok(assignment)
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

    pub(crate) fn task(&self) -> Task {
        self.objective.task
    }

    /// The metric that the report compares by: answers without a model have no loss.
    pub(crate) fn judged_by(&self) -> &str {
        match self.metric.as_str() {
            "loss" => names(&self.objective)[0],
            metric => metric,
        }
    }

    /// config.json of the model that the task needs.
    pub(crate) fn model_config(&self, own: &OwnHead, model_type: &str) -> Value {
        let mut config = own.config.clone();
        let task = self.task();
        let class = class_prefix(model_type);
        if task == Task::Embedding && own.is_encoder() {
            config["architectures"] = json!([format!("{class}Model")]);
        }
        if !has_head(task) {
            return config;
        }
        let kind = if task == Task::TokenClassification {
            "Token"
        } else {
            "Sequence"
        };
        config["architectures"] = json!([format!("{class}For{kind}Classification")]);
        let names = match &self.answer {
            Some(answer) => answer.names.clone(),
            None => vec!["LABEL_0".to_owned()],
        };
        let by_number = names.iter().enumerate().map(|(i, name)| (i.to_string(), json!(name)));
        config["id2label"] = Value::Object(by_number.collect());
        let by_name = names.iter().enumerate().map(|(i, name)| (name.clone(), json!(i)));
        config["label2id"] = Value::Object(by_name.collect());
        config["problem_type"] = match task {
            Task::Classification => json!("single_label_classification"),
            Task::MultiLabel => json!("multi_label_classification"),
            Task::Regression | Task::Ranking => json!("regression"),
            _ => Value::Null,
        };
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
        config
    }

    /// The rows of `dataset` as examples, with the targets as the file has them; without labels where the file has none and
    /// `optional` says that none are needed.
    pub(crate) fn examples(
        &self,
        loaded: &Loaded,
        dataset: &Dataset,
        config: &RunConfig,
        optional: bool,
        emit: Emit<'_>,
    ) -> Result<Vec<Example>> {
        self.first_examples(usize::MAX, loaded, dataset, config, optional, emit)
    }

    /// No more than the first `most` of the same, without making tokens of the other rows; of texts to be continued, all.
    pub(crate) fn first_examples(
        &self,
        most: usize,
        loaded: &Loaded,
        dataset: &Dataset,
        config: &RunConfig,
        optional: bool,
        emit: Emit<'_>,
    ) -> Result<Vec<Example>> {
        if self.shape.is_some() {
            let mut labelled = self.labelled(dataset, optional)?;
            labelled.rows.truncate(most);
            notes_of(&labelled, emit);
            let answer = self
                .answer
                .as_ref()
                .filter(|_| !labelled.labels.is_empty() || !optional);
            if labelled.shape != self.shape {
                let what = "the rows of one file lie otherwise than those of the other";
                return Err(Error::data(what)
                    .file(&labelled.file)
                    .remedy("Both must have as many numbers a row."));
            }
            return data::numeric_examples(&labelled, answer);
        }
        let tokenizer = loaded.tokenizer()?;
        let cutoff = config.cutoff_len.min(loaded.model.info.max_position_embeddings);
        match self.task() {
            Task::Generation if loaded.own.task != models::Task::Seq2SeqLm => {
                return loaded.examples(dataset, config, emit);
            }
            Task::Generation => {
                let settings = data::Settings::new(config, dataset);
                let mut progress = |done, total| emit(tokenizing(done, total), None);
                return data::answered_examples(dataset, tokenizer, &settings, &mut progress);
            }
            Task::TokenClassification => {
                let mut tagged = dataset.tagged(&self.columns)?;
                tagged.rows.truncate(most);
                if !optional {
                    tagged.column_of_classes()?;
                }
                let names = self
                    .answer
                    .as_ref()
                    .map(|answer| answer.names.as_slice())
                    .unwrap_or_default();
                let mut progress = |done, total| emit(tokenizing(done, total), None);
                return data::tagged_examples(&tagged, names, tokenizer, cutoff, &mut progress);
            }
            Task::Ranking => {
                let mut ranked = dataset.ranked()?;
                ranked.queries.truncate(most);
                return data::paired_examples(&ranked, tokenizer, cutoff);
            }
            Task::Embedding if self.objective.loss.is_of_numbers() => {
                return data::alike_examples(&dataset.labelled(&self.columns)?, tokenizer, cutoff, most);
            }
            Task::Embedding => return data::separate_examples(&dataset.ranked()?, tokenizer, cutoff, most),
            Task::Preference => {
                let settings = data::Settings::new(config, dataset);
                let template = loaded.files.chat_template.as_ref();
                let (examples, dropped) = dataset.preferences(tokenizer, template, &settings, most)?;
                if dropped > 0 {
                    let message = format!("Dropped rows whose answers start beyond cutoff_len: {dropped}.");
                    emit(Event::Warning { message }, None);
                }
                return Ok(examples);
            }
            Task::Classification | Task::MultiLabel | Task::Regression => {}
        }
        let answer = self.answer.as_ref();
        let mut labelled = self.labelled(dataset, optional)?;
        labelled.rows.truncate(most);
        notes_of(&labelled, emit);
        let answer = answer.filter(|_| !labelled.labels.is_empty() || !optional);
        let mut progress = |done, total| emit(tokenizing(done, total), None);
        let examples = data::labelled_examples(&labelled, answer, tokenizer, cutoff, &mut progress)?;
        let cut = examples.iter().filter(|example| example.truncated).count();
        if cut > 0 {
            let message = format!("Cut at {cutoff} tokens: {cut} of {} rows.", examples.len());
            emit(Event::Warning { message }, None);
        }
        Ok(examples)
    }

    /// What is right for each row of `dataset`, read without making tokens of it: the row's labels or, of words with classes,
    /// one for each word. None of tasks without labels.
    pub(crate) fn aims(&self, dataset: &Dataset) -> Result<Vec<Aim>> {
        let Some(answer) = &self.answer else {
            return Ok(Vec::new());
        };
        if answer.kind == LabelKind::Tags {
            let tagged = dataset.tagged(&self.columns)?;
            let aim = |row| tagged.classes(row, &answer.names).map(Aim::Tokens);
            return tagged.rows.iter().map(aim).collect();
        }
        let labelled = self.labelled(dataset, false)?;
        let aim = |row| labelled.targets(row, answer).map(Aim::Row);
        labelled.rows.iter().map(aim).collect()
    }

    /// Examples to train on and examples held out; those of one query stay together. Of classes, each has the same share in
    /// both; of any number of labels, the first that applies counts as the row's class. Other tasks have no classes of rows.
    pub(crate) fn split(
        &self,
        examples: Vec<Example>,
        val_size: f64,
        seed: u64,
    ) -> Result<(Vec<Example>, Vec<Example>)> {
        if self.is_forecast() {
            // What is scored comes after what was learnt.
            let (train, _) = data::split(examples.len(), val_size, seed)?;
            let mut learnt = examples;
            let held_out = learnt.split_off(train.len());
            return Ok((learnt, held_out));
        }
        let mut groups: Vec<Vec<Example>> = Vec::with_capacity(examples.len());
        for example in examples {
            match groups.last_mut() {
                Some(group) if self.task() == Task::Embedding && group[0].row == example.row => group.push(example),
                _ => groups.push(vec![example]),
            }
        }
        let (train, _) = match self.task() {
            Task::Classification | Task::MultiLabel => {
                let classes: Vec<usize> = groups.iter().map(|group| self.class_of(&group[0])).collect();
                data::split_by_class(&classes, val_size, seed)?
            }
            _ => data::split(groups.len(), val_size, seed)?,
        };
        let (mut learnt, mut held_out, mut train) = (Vec::new(), Vec::new(), train.into_iter().peekable());
        for (place, group) in groups.into_iter().enumerate() {
            if train.next_if_eq(&place).is_some() {
                learnt.extend(group);
            } else {
                held_out.extend(group);
            }
        }
        Ok((learnt, held_out))
    }

    /// Whether rows are windows of one series.
    pub(crate) fn is_forecast(&self) -> bool {
        self.columns.window.is_some()
    }

    /// The class of a row; of several labels the first that applies, and one more for rows without any.
    fn class_of(&self, example: &Example) -> usize {
        match (&example.aim, self.task()) {
            (Aim::Row(labels), Task::MultiLabel) => labels.iter().position(|flag| *flag > 0.5).unwrap_or(labels.len()),
            (Aim::Row(labels), _) => labels.first().map_or(0, |class| *class as usize),
            _ => 0,
        }
    }

    /// Whether the file says what is right.
    pub(crate) fn knows_answers(&self, dataset: &Dataset) -> bool {
        if self.shape.is_some() {
            return self
                .labelled(dataset, true)
                .is_ok_and(|labelled| !labelled.labels.is_empty());
        }
        match self.task() {
            Task::TokenClassification => dataset.has_tags() || !self.columns.labels.is_empty(),
            Task::Classification | Task::MultiLabel | Task::Regression => dataset.has_labels(&self.columns),
            _ => true,
        }
    }

    /// Puts the log-probabilities of the model that a preference run starts from on the answers.
    pub(crate) async fn refer(
        &self,
        config: &RunConfig,
        model: &Model,
        examples: &mut [Example],
        host: Host,
    ) -> Result<()> {
        if self.task() != Task::Preference {
            return Ok(());
        }
        let leaves = model.parameters.plain();
        for some in examples.chunks_mut(config.per_device_eval_batch_size) {
            let batch = collate(&some.iter().collect::<Vec<_>>(), model);
            let found = read(
                model
                    .answer_log_probs(&leaves, &batch, false, None)
                    .reshape([batch.rows]),
            )
            .await?;
            let (pairs, []) = found.as_chunks::<2>() else {
                return Err(Error::internal("a preference has two answers"));
            };
            for (example, [chosen, rejected]) in some.iter_mut().zip(pairs) {
                example.aim = Aim::Row(vec![*chosen]);
                for other in &mut example.others {
                    other.aim = Aim::Row(vec![*rejected]);
                }
            }
            (host.yield_now)().await;
        }
        Ok(())
    }

    fn labelled(&self, dataset: &Dataset, optional: bool) -> Result<Labelled> {
        if self.shape.is_some() {
            return match optional && !dataset.has_columns(&self.columns.labels) {
                true => dataset.numeric(&Columns {
                    labels: Vec::new(),
                    ..self.columns.clone()
                }),
                false => dataset.numeric(&self.columns),
            };
        }
        if optional && !dataset.has_labels(&Columns::default()) {
            let texts = self.columns.texts.clone();
            return dataset.labelled(&Columns {
                texts,
                ..Columns::default()
            });
        }
        dataset.labelled(&self.columns)
    }

    /// Scales the targets of a regression, and numbers that go in; with a fresh head, by the mean and the deviation of `train`.
    pub(crate) fn scale(&mut self, config: &RunConfig, train: &mut [Example], held_out: &mut [Example]) {
        if let Some(shape) = self.shape {
            if self.fresh {
                self.inputs = InputScaling::of(self.scale_inputs(config, shape), shape, train);
            }
            self.inputs.apply(train);
            self.inputs.apply(held_out);
        }
        if self.task() != Task::Regression {
            return;
        }
        if self.fresh && config.scale_targets {
            let width = self.answer.as_ref().map_or(1, |answer| answer.names.len());
            self.scaling = Scaling::of(train, width);
        }
        self.scaling.apply(train);
        self.scaling.apply(held_out);
    }

    /// How a run scales its inputs, where it does not say: a series' form tells its class, whatever its level.
    fn scale_inputs(&self, config: &RunConfig, shape: Shape) -> ScaleInputs {
        config.scale_inputs.unwrap_or(match (shape, self.task()) {
            (Shape::Image { .. }, _) => ScaleInputs::None,
            (Shape::Series { .. }, Task::Classification) => ScaleInputs::Rows,
            _ => ScaleInputs::Columns,
        })
    }

    /// `examples` to be scored as they are; a regression's targets are scaled as the head's are.
    pub(crate) fn held_out(&self, mut examples: Vec<Example>, config: &RunConfig, model: &Model) -> HeldOut {
        if self.task() == Task::Regression {
            self.scaling.apply(&mut examples);
        }
        self.inputs.apply(&mut examples);
        HeldOut::new(examples, config, model)
    }

    /// What the model answered to `examples`, whose labels are right: its outputs, `width` numbers a row.
    pub(crate) fn answers(&self, examples: &[Example], outputs: &[f32], width: usize) -> Option<Answers> {
        let labels = || {
            examples.iter().flat_map(|example| match &example.aim {
                Aim::Row(labels) => labels.as_slice(),
                _ => &[],
            })
        };
        Some(match self.task() {
            Task::Generation => return None,
            Task::Classification => {
                let probabilities = softmax(outputs, width);
                Answers::Classes {
                    classes: width,
                    truth: labels().map(|&class| class as usize).collect(),
                    predicted: probabilities.chunks(width).map(largest).collect(),
                    probabilities,
                }
            }
            Task::MultiLabel => {
                let probabilities: Vec<f64> = outputs.iter().map(|&logit| sigmoid(logit)).collect();
                Answers::Labels {
                    labels: width,
                    truth: labels().map(|&flag| flag > 0.5).collect(),
                    predicted: probabilities.iter().map(|p| *p > 0.5).collect(),
                    probabilities,
                }
            }
            Task::Regression => {
                let unscaled = |(i, value): (usize, f32)| self.scaling.unscaled(i % width, f64::from(value));
                Answers::Numbers {
                    targets: width,
                    truth: labels().copied().enumerate().map(unscaled).collect(),
                    predicted: outputs.iter().copied().enumerate().map(unscaled).collect(),
                }
            }
            Task::TokenClassification => {
                let probabilities = softmax(outputs, width);
                let truth = examples.iter().flat_map(|example| match &example.aim {
                    Aim::Tokens(labels) => labels.as_slice(),
                    _ => &[],
                });
                Answers::Classes {
                    classes: width,
                    truth: truth
                        .filter(|&&label| label >= 0)
                        .map(|&class| class as usize)
                        .collect(),
                    predicted: probabilities.chunks(width).map(largest).collect(),
                    probabilities,
                }
            }
            Task::Ranking => {
                let mut scores = outputs.iter().map(|&score| f64::from(score));
                Answers::Lists(lists(examples, |texts| scores.by_ref().take(texts).collect()))
            }
            Task::Embedding => self.of_vectors(examples, outputs, width),
            Task::Preference => {
                let beta = self.objective.loss.terms().iter().find_map(|term| match term.loss {
                    Loss::Dpo { beta, .. } => Some(beta),
                    _ => None,
                });
                let reference: Vec<f64> = references(examples);
                let reward = |(policy, reference): (&f32, f64)| beta.unwrap_or(0.1) * (f64::from(*policy) - reference);
                let rewards: Vec<f64> = outputs.iter().zip(reference).map(reward).collect();
                Answers::Pairs(rewards.chunks(2).map(|pair| (pair[0], pair[pair.len() - 1])).collect())
            }
        })
    }
}

/// Tells what was skipped.
fn notes_of(labelled: &Labelled, emit: Emit<'_>) {
    for message in labelled.notes.clone() {
        emit(Event::Warning { message }, None);
    }
}

impl Assignment {
    /// What vectors of all texts, `width` numbers each, say: cosines of pairs, or the order of documents.
    pub(crate) fn of_vectors(&self, examples: &[Example], vectors: &[f32], width: usize) -> Answers {
        if !self.objective.loss.is_of_numbers() {
            return Corpus::of(examples).by_vectors(vectors, width);
        }
        let truth = examples.iter().filter_map(|example| match &example.aim {
            Aim::Row(likeness) => likeness.first().map(|&value| f64::from(value)),
            _ => None,
        });
        let pairs = vectors.chunks_exact(2 * width).map(|pair| pair.split_at(width));
        Answers::Numbers {
            targets: 1,
            truth: truth.collect(),
            predicted: pairs.map(|(first, second)| cosine(first, second)).collect(),
        }
    }
}

fn tokenizing(done: u64, total: u64) -> Event {
    let stage = Stage::Tokenize;
    Event::Progress { stage, done, total }
}

/// The grades of each query's documents, behind scores that `scores` gives for so many of them.
pub(crate) fn lists(examples: &[Example], mut scores: impl FnMut(usize) -> Vec<f64>) -> Vec<(Vec<f64>, Vec<f64>)> {
    let of = |example: &Example| {
        let documents = std::iter::once(example).chain(&example.others);
        let grades: Vec<f64> = documents
            .flat_map(|document| match &document.aim {
                Aim::Row(grades) => grades.as_slice(),
                _ => &[],
            })
            .map(|&grade| f64::from(grade))
            .collect();
        (scores(grades.len()), grades)
    };
    examples.iter().map(of).collect()
}

/// The log-probabilities by the reference of all answers, chosen and rejected in turn.
pub(crate) fn references(examples: &[Example]) -> Vec<f64> {
    lists(examples, |_| Vec::new())
        .into_iter()
        .flat_map(|(_, both)| both)
        .collect()
}

/// The task: the run's word, the model's head, or what the data look like.
fn decide(
    config: &RunConfig,
    own: &OwnHead,
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
    let continues = own.task == models::Task::CausalLm;
    if own.task == models::Task::Seq2SeqLm {
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
    // Decoders learn texts unless a text stands beside a label.
    let by_labels = own.is_encoder() || dataset.form == Form::Text;
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

fn check_model(task: Task, own: &OwnHead, model: &Model) -> Result<()> {
    let kind = &model.info.model_type;
    match (task, own.task) {
        (Task::Generation, models::Task::CausalLm | models::Task::Seq2SeqLm)
        | (Task::Preference, models::Task::CausalLm) => Ok(()),
        (Task::Preference, _) => Err(
            Error::model(format!("a {kind} model of this kind does not continue texts"))
                .remedy("Load a Llama or a GPT-2."),
        ),
        (Task::Generation, _) => {
            let what = format!("a {kind} model of this kind does not predict the next token");
            Err(Error::model(what).remedy(
                "Load a model that continues texts, such as a Llama or a GPT-2, or give the data a column label.",
            ))
        }
        (task, models::Task::Seq2SeqLm) => {
            let what = format!("a {kind} model has no head for {task}");
            Err(Error::model(what).remedy("Load an encoder, such as a BERT, or a decoder, such as a Llama."))
        }
        _ => Ok(()),
    }
}

fn label_kind(task: Task) -> Option<LabelKind> {
    match task {
        Task::TokenClassification => Some(LabelKind::Tags),
        Task::Classification => Some(LabelKind::Class),
        Task::MultiLabel => Some(LabelKind::Labels),
        Task::Regression => Some(LabelKind::Numbers),
        _ => None,
    }
}

/// The run's metric without transformers' `eval_`, or the task's usual one.
fn metric(config: &RunConfig, objective: &Objective) -> Result<String> {
    let (task, names) = (objective.task, names(objective));
    let Some(given) = &config.metric_for_best_model else {
        return Ok(names[0].to_owned());
    };
    let name = given.strip_prefix("eval_").unwrap_or(given);
    let writes = task == Task::Generation && OF_WRITTEN.contains(&name);
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
    match objective.task {
        Task::Embedding if objective.loss.is_of_numbers() => ALIKE,
        task => metric_names(task),
    }
}

/// What transformers' classes of an architecture are called.
fn class_prefix(model_type: &str) -> &'static str {
    match model_type {
        "bert" => "Bert",
        "roberta" => "Roberta",
        "xlm-roberta" => "XLMRoberta",
        "distilbert" => "DistilBert",
        "modernbert" => "ModernBert",
        "mistral" => "Mistral",
        "qwen2" => "Qwen2",
        "qwen3" => "Qwen3",
        "gpt2" => "GPT2",
        "gemma2" => "Gemma2",
        "gemma3_text" => "Gemma3Text",
        small if SMALL_MODELS.contains(&small) => "Small",
        _ => "Llama",
    }
}

/// The probabilities of each row's classes.
fn softmax(logits: &[f32], width: usize) -> Vec<f64> {
    let of_row = |row: &[f32]| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = row.iter().map(|&logit| f64::from(logit - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    };
    logits.chunks(width).flat_map(of_row).collect()
}

fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// The place of the largest; of several, the first.
fn largest(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, place| if row[place] > row[best] { place } else { best })
}
