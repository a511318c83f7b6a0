//! A run's rows: examples of the data, split, scaled, and known to the model that the run starts from.

use super::assignment::Assignment;
use super::evaluation::{HeldOut, collate};
use super::loaded::Loaded;
use crate::config::{RunConfig, ScaleInputs};
use crate::data::{self, Aim, Columns, Dataset, Example, InputScaling, LabelKind, Labelled, Scaling, Shape};
use crate::error::{Error, Result};
use crate::host::{Emit, Host};
use crate::models::{self, Model, read};
use crate::protocol::Stage;
use crate::task::Task;

impl Assignment {
    /// The rows of `dataset` as examples, with the targets as the file has them; without labels where the file has none and
    /// `optional` says that none are needed.
    pub(crate) async fn examples(
        &self,
        loaded: &Loaded,
        dataset: &Dataset,
        config: &RunConfig,
        optional: bool,
        emit: &mut Emit<'_>,
    ) -> Result<Vec<Example>> {
        self.first_examples(usize::MAX, loaded, dataset, config, optional, emit)
            .await
    }

    /// No more than the first `most` of the same, without making tokens of the other rows; of texts to be continued, all. The
    /// model has a row for each id in them.
    pub(crate) async fn first_examples(
        &self,
        most: usize,
        loaded: &Loaded,
        dataset: &Dataset,
        config: &RunConfig,
        optional: bool,
        emit: &mut Emit<'_>,
    ) -> Result<Vec<Example>> {
        let mut examples = self
            .read_examples(most, loaded, dataset, config, optional, emit)
            .await?;
        if self.shape.is_none() {
            let classes = self.answer.as_ref().map_or(0, |answer| answer.names.len());
            loaded.admit(&mut examples, dataset, classes)?;
        }
        Ok(examples)
    }

    async fn read_examples(
        &self,
        most: usize,
        loaded: &Loaded,
        dataset: &Dataset,
        config: &RunConfig,
        optional: bool,
        emit: &mut Emit<'_>,
    ) -> Result<Vec<Example>> {
        if self.shape.is_some() {
            let mut labelled = self.labelled(dataset, optional)?;
            labelled.rows.truncate(most);
            emit.warn_all(std::mem::take(&mut labelled.notes));
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
        let cutoff = loaded.model.limits().cutoff(config.cutoff_len);
        match self.task() {
            Task::Generation if loaded.own.task != models::Task::Seq2SeqLm => {
                return loaded.examples(dataset, config, emit).await;
            }
            Task::Generation => {
                let settings = data::Settings::new(config, dataset, cutoff);
                return data::answered_examples(dataset, tokenizer, &settings, &mut emit.turns(Stage::Tokenize)).await;
            }
            Task::TokenClassification => {
                let mut tagged = dataset.tagged(&self.columns)?;
                tagged.rows.truncate(most);
                if !optional {
                    tagged.column_of_classes()?;
                }
                let answer = self
                    .answer
                    .as_ref()
                    .ok_or_else(|| Error::internal("words are to get classes, and there are none"))?;
                let mut notes = std::mem::take(&mut tagged.notes);
                let reader = (tokenizer, cutoff);
                let examples = data::tagged_examples(
                    &tagged,
                    answer,
                    reader,
                    optional,
                    &mut notes,
                    &mut emit.turns(Stage::Tokenize),
                )
                .await?;
                emit.warn_all(notes);
                return Ok(examples);
            }
            Task::Ranking => {
                let mut ranked = dataset.ranked()?;
                emit.warn_all(std::mem::take(&mut ranked.notes));
                ranked.queries.truncate(most);
                return data::paired_examples(&ranked, tokenizer, cutoff, &mut emit.turns(Stage::Tokenize)).await;
            }
            Task::Embedding if self.objective.loss.is_of_numbers() => {
                let labelled = dataset.labelled(&self.columns)?;
                emit.warn_all(labelled.notes.clone());
                return data::alike_examples(&labelled, tokenizer, cutoff, most, &mut emit.turns(Stage::Tokenize))
                    .await;
            }
            Task::Embedding => {
                let mut ranked = dataset.ranked()?;
                emit.warn_all(std::mem::take(&mut ranked.notes));
                return data::separate_examples(&ranked, tokenizer, cutoff, most, &mut emit.turns(Stage::Tokenize))
                    .await;
            }
            Task::Preference => {
                let settings = data::Settings::new(config, dataset, cutoff);
                let template = loaded.files.chat_template.as_ref();
                let (examples, dropped) = dataset
                    .preferences(tokenizer, template, &settings, most, &mut emit.turns(Stage::Tokenize))
                    .await?;
                if dropped > 0 {
                    let message = format!("Dropped rows whose answers start beyond cutoff_len: {dropped}.");
                    emit.warn(message);
                }
                return Ok(examples);
            }
            Task::Classification | Task::MultiLabel | Task::Regression => {}
        }
        let answer = self.answer.as_ref();
        let mut labelled = self.labelled(dataset, optional)?;
        labelled.rows.truncate(most);
        emit.warn_all(std::mem::take(&mut labelled.notes));
        let answer = answer.filter(|_| !labelled.labels.is_empty() || !optional);
        let examples =
            data::labelled_examples(&labelled, answer, tokenizer, cutoff, &mut emit.turns(Stage::Tokenize)).await?;
        let cut = examples.iter().filter(|example| example.truncated).count();
        if cut > 0 {
            let message = format!("Cut at {cutoff} tokens: {cut} of {} rows.", examples.len());
            emit.warn(message);
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
            let aim = |row| tagged.classes(row, answer).map(Aim::Tokens);
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
            Task::Classification | Task::MultiLabel | Task::Regression => self.finds_labels(dataset),
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
                false => self.checked(dataset.numeric(&self.columns)?),
            };
        }
        if optional && !self.finds_labels(dataset) {
            let texts = self.columns.texts.clone();
            return dataset.labelled(&Columns {
                texts,
                ..Columns::default()
            });
        }
        self.checked(dataset.labelled(&self.columns)?)
    }

    /// Whether the file has the label columns that the run names, or one that is recognised.
    fn finds_labels(&self, dataset: &Dataset) -> bool {
        match self.columns.labels.as_slice() {
            [] => dataset.has_labels(&Columns::default()),
            named => dataset.has_columns(named),
        }
    }

    fn checked(&self, labelled: Labelled) -> Result<Labelled> {
        if let Some(answer) = &self.answer {
            labelled.check(answer.kind)?;
        }
        Ok(labelled)
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
}
