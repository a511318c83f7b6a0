//! A run's rows: examples of the data, split, scaled, and known to the model that the run starts from.

use super::{Rows, Rules, TaskSpec, by_task};
use crate::config::{RunConfig, ScaleInputs};
use crate::data::{
    self, Batch, Columns, Dataset, Example, InputScaling, LabelKind, Labelled, PaddingSide, Scaling, Shape, Target,
};
use crate::device;
use crate::error::{Error, Result};
use crate::host::Emit;
use crate::loaded_model::LoadedModel;
use crate::models::Model;
use crate::protocol::Stage;
use lorakeet_i18n::messages::run as msg;
use serde_json::{Value, json};

/// Rows are filled up to a multiple of this many tokens.
const PAD_TO_MULTIPLE_OF: usize = 8;
/// Lengths of rows on a GPU from a number of tokens to twice that number: each has costs of its own there, a step's buffers
/// above all.
const LENGTHS: usize = 4;

/// What the padded length of rows of about `tokens` tokens is a multiple of: 8 up to 64 tokens; on a GPU 16 up to 128, 32 up to
/// 256, and so on.
pub(crate) fn length_step(tokens: usize, on_gpu: bool) -> usize {
    match on_gpu {
        true => PAD_TO_MULTIPLE_OF.max(tokens.next_power_of_two() / (2 * LENGTHS)),
        false => PAD_TO_MULTIPLE_OF,
    }
}

/// Examples to train on, and those that are held out.
pub(crate) struct Split {
    pub(crate) train: Vec<Example>,
    pub(crate) held_out: Vec<Example>,
}

impl Split {
    /// The most tokens of a text or of an answer; `None` where rows hold numbers.
    pub(crate) fn longest_row(&self) -> Option<usize> {
        let rows = self.train.iter().chain(&self.held_out);
        let texts = rows.flat_map(|row| std::iter::once(row).chain(&row.others));
        let lengths = texts.map(|text| text.input_ids.len().max(text.labels.len()));
        lengths.max().filter(|&tokens| tokens > 0)
    }
}

impl TaskSpec {
    /// The examples of a run on `dataset`, with validation rows of a file of their own or split off, all of them scaled.
    pub(crate) async fn datasets(
        &mut self,
        config: &RunConfig,
        model: &LoadedModel,
        dataset: &Dataset,
        validation: Option<&Dataset>,
        emit: &mut Emit<'_>,
    ) -> Result<Split> {
        let most = config.max_samples.unwrap_or(usize::MAX);
        let rows = |dataset, most| Rows {
            most,
            model,
            dataset,
            config,
            optional: false,
        };
        // Of packed rows, an example is one of those in them.
        let of_train = if self.objective.learns_texts() {
            most
        } else {
            usize::MAX
        };
        let mut examples = self.examples(&rows(dataset, of_train), emit).await?;
        examples.truncate(most);
        let mut split = match validation {
            Some(validation) => Split {
                train: examples,
                held_out: self.examples(&rows(validation, usize::MAX), emit).await?,
            },
            None => self.split(examples, config.val_size, config.data_seed.unwrap_or(config.seed))?,
        };
        self.scale(config, &mut split.train, &mut split.held_out);
        Ok(split)
    }

    /// The rows as examples, with the targets as the file has them; without labels where the file has none and need not have
    /// any. Tokens are made of the first [`Rows::most`] alone, of texts to be continued of all; of those, so many are packed. The
    /// model has a row for each id in them.
    pub(crate) async fn examples(&self, rows: &Rows<'_>, emit: &mut Emit<'_>) -> Result<Vec<Example>> {
        if let Some(shape) = self.shape {
            return self.numeric_examples(shape, rows, emit);
        }
        let mut examples = by_task!(self.task(), R => R::examples(self, rows, emit).await?);
        let classes = self.answer.as_ref().map_or(0, |answer| answer.names.len());
        rows.model.admit(&mut examples, rows.dataset, classes)?;
        Ok(examples)
    }

    fn numeric_examples(&self, shape: Shape, rows: &Rows<'_>, emit: &mut Emit<'_>) -> Result<Vec<Example>> {
        let mut labelled = self.labelled(rows.dataset, rows.optional)?;
        labelled.rows.truncate(rows.most);
        emit.warn_all(std::mem::take(&mut labelled.notes));
        if labelled.shape != Some(shape) {
            return Err(Error::data(msg::OtherLayout)
                .file(&labelled.file)
                .remedy(msg::SameNumbers));
        }
        let answer = self.answer.as_ref();
        let answer = answer.filter(|_| !labelled.labels.is_empty() || !rows.optional);
        data::numeric_examples(&labelled, answer)
    }

    /// Adds what the model gives before training, where the loss needs it.
    pub(crate) async fn add_reference(
        &self,
        config: &RunConfig,
        model: &Model,
        examples: &mut [Example],
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        by_task!(self.task(), R => R::add_reference(config, model, examples, emit).await)
    }

    /// Whether the file has labels.
    pub(crate) fn knows_answers(&self, dataset: &Dataset) -> bool {
        match self.shape {
            Some(_) => {
                let labelled = self.labelled(dataset, true);
                labelled.is_ok_and(|labelled| !labelled.labels.is_empty())
            }
            None => by_task!(self.task(), R => R::knows_answers(self, dataset)),
        }
    }

    /// What is right for each row of `dataset`, read without making tokens of it: the row's labels or, of words with classes,
    /// one for each word. None of tasks without labels.
    pub(crate) fn aims(&self, dataset: &Dataset) -> Result<Vec<Target>> {
        let Some(answer) = &self.answer else {
            return Ok(Vec::new());
        };
        if answer.kind == LabelKind::Tags {
            let tagged = dataset.tagged(&self.columns)?;
            let target = |row| tagged.classes(row, answer).map(Target::Tokens);
            return tagged.rows.iter().map(target).collect();
        }
        let labelled = self.labelled(dataset, false)?;
        let target = |row| labelled.targets(row, answer).map(Target::Row);
        labelled.rows.iter().map(target).collect()
    }

    /// Examples to train on and examples held out; those of one query stay together. Of classes, each has the same share in
    /// both; of any number of labels, the first that applies counts as the row's class. Other tasks have no classes of rows.
    fn split(&self, examples: Vec<Example>, val_size: f64, seed: u64) -> Result<Split> {
        if self.is_forecast() {
            // The validation rows come after the training rows.
            let (train, _) = data::split(examples.len(), val_size, seed)?;
            let mut learnt = examples;
            let held_out = learnt.split_off(train.len());
            return Ok(Split {
                train: learnt,
                held_out,
            });
        }
        let stay_together = by_task!(self.task(), R => R::KEEPS_ROWS_TOGETHER);
        let mut groups: Vec<Vec<Example>> = Vec::with_capacity(examples.len());
        for example in examples {
            match groups.last_mut() {
                Some(group) if stay_together && group[0].row == example.row => group.push(example),
                _ => groups.push(vec![example]),
            }
        }
        let class = |group: &Vec<Example>| by_task!(self.task(), R => R::class_of(&group[0]));
        let classes: Option<Vec<usize>> = groups.iter().map(class).collect();
        let (train, _) = match classes {
            Some(classes) => data::split_by_class(&classes, val_size, seed)?,
            None => data::split(groups.len(), val_size, seed)?,
        };
        let (mut learnt, mut held_out, mut train) = (Vec::new(), Vec::new(), train.into_iter().peekable());
        for (place, group) in groups.into_iter().enumerate() {
            if train.next_if_eq(&place).is_some() {
                learnt.extend(group);
            } else {
                held_out.extend(group);
            }
        }
        Ok(Split {
            train: learnt,
            held_out,
        })
    }

    /// Whether rows are windows of one series.
    pub(crate) fn is_forecast(&self) -> bool {
        self.columns.window.is_some()
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
    pub(super) fn finds_labels(&self, dataset: &Dataset) -> bool {
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
    fn scale(&mut self, config: &RunConfig, train: &mut [Example], held_out: &mut [Example]) {
        if let Some(shape) = self.shape {
            if self.fresh {
                self.inputs = InputScaling::of(self.scale_inputs(config, shape), shape, train);
            }
            self.inputs.apply(train);
            self.inputs.apply(held_out);
        }
        if self.label_kind() != Some(LabelKind::Numbers) {
            return;
        }
        if self.fresh && config.scale_targets {
            let width = self.answer.as_ref().map_or(1, |answer| answer.names.len());
            self.scaling = Scaling::of(train, width);
        }
        self.scaling.apply(train);
        self.scaling.apply(held_out);
    }

    /// The default of a run's scaling of inputs: a series is classified by its form, whatever its level.
    fn scale_inputs(&self, config: &RunConfig, shape: Shape) -> ScaleInputs {
        config.scale_inputs.unwrap_or(match (shape, self.label_kind()) {
            (Shape::Image { .. }, _) => ScaleInputs::None,
            (Shape::Series { .. }, Some(LabelKind::Class)) => ScaleInputs::Rows,
            _ => ScaleInputs::Columns,
        })
    }

    /// Scales `examples` that are scored by a trained head as that head's were.
    pub(crate) fn scale_as_trained(&self, examples: &mut [Example]) {
        if self.label_kind() == Some(LabelKind::Numbers) {
            self.scaling.apply(examples);
        }
        self.inputs.apply(examples);
    }
}

/// Rows of a text, or of two, with a column of labels.
pub(super) async fn labelled(spec: &TaskSpec, rows: &Rows<'_>, emit: &mut Emit<'_>) -> Result<Vec<Example>> {
    let mut labelled = spec.labelled(rows.dataset, rows.optional)?;
    labelled.rows.truncate(rows.most);
    emit.warn_all(std::mem::take(&mut labelled.notes));
    let answer = spec.answer.as_ref();
    let answer = answer.filter(|_| !labelled.labels.is_empty() || !rows.optional);
    let (tokenizer, cutoff) = (rows.model.tokenizer()?, rows.cutoff());
    let turns = &mut emit.turns(Stage::Tokenize);
    let examples = data::labelled_examples(&labelled, answer, tokenizer, cutoff, turns).await?;
    let cut = examples.iter().filter(|example| example.truncated).count();
    if cut > 0 {
        let rows = examples.len();
        emit.warn(msg::CutRows { cutoff, cut, rows });
    }
    Ok(examples)
}

/// One or two texts that were typed in, as a row of a file.
pub(super) fn typed(texts: &[&String]) -> Vec<Value> {
    match texts {
        [first, second, ..] => vec![json!({ "sentence1": first, "sentence2": second })],
        [text] => vec![json!({ "text": text })],
        [] => Vec::new(),
    }
}

/// Rows as a batch for `model`.
pub(crate) fn collate(rows: &[&Example], model: &Model) -> Batch {
    let (limits, on_gpu) = (model.limits(), device::is_gpu(model.device()));
    let padded = |longest| limits.padded(longest, length_step(longest, on_gpu));
    data::collate(rows, model.pad_token_id(), PaddingSide::Right, padded)
}

#[cfg(test)]
mod tests {
    use super::length_step;

    #[test]
    fn rows_have_few_lengths_on_a_gpu_and_little_padding() {
        let padded = |longest: usize, on_gpu| longest.next_multiple_of(length_step(longest, on_gpu));
        let mut lengths: Vec<usize> = (33..=512).map(|longest| padded(longest, true)).collect();
        lengths.dedup();
        assert_eq!(
            lengths,
            [40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512]
        );
        assert!((33..=512).all(|longest| padded(longest, true) * 4 < longest * 5));
        assert_eq!(padded(137, false), 144);
    }
}
