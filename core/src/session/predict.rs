//! Scores and predictions of the loaded model outside of a run: on files, and on texts that somebody typed.

use super::{Session, no_data};
use crate::config::RunConfig;
use crate::data::{Dataset, Example};
use crate::error::{Error, Result};
use crate::host::{Emit, Receiver};
use crate::loaded_model::{LoadedModel, loaded, no_model};
use crate::metrics::answers::Predictions;
use crate::protocol::{EvalInfo, Event, Metric, PredictionTable, TextPrediction};
use crate::task::Task;
use crate::tasks::{Rows, Rules, TaskSpec, by_task};
use crate::train::evaluation::{HeldOut, QUESTIONS, Scored, answer};
use crate::train::report::{predictions, texts, written_answers};
use lorakeet_i18n::messages::run as msg;
use serde_json::Value;

/// What a document's score is called.
const SCORE: &str = "score";

impl Session {
    /// Scores the loaded model, with its adapter if it has one: on the validation data where there is some, on the whole of
    /// the data else.
    ///
    /// # Errors
    /// Nothing loaded, data without a target token, a lost device.
    pub async fn evaluate(&mut self, config: &RunConfig, receiver: Receiver<'_>) -> Result<EvalInfo> {
        let emit = &mut self.emit(receiver);
        loaded(&self.model)?;
        let data = self.validation.as_ref().or(self.data.as_ref()).ok_or_else(no_data)?;
        let mut spec = TaskSpec::from_checkpoint(config, loaded(&self.model)?, &data.rows)?;
        spec.emit_notes(emit);
        let model = pooled(&mut self.model, &spec, config)?;
        let mut held_out = held_out(&spec, model, &data.rows, config, false, emit).await?;
        held_out.ask(config, model, QUESTIONS)?;
        Ok(score(&held_out, model, &spec, config, emit).await?.info)
    }

    /// Scores the loaded model, with its adapter if it has one, on the rows that a run by `config` holds out: the validation data,
    /// or those split off the data. None where it holds none out.
    ///
    /// # Errors
    /// As [`Session::evaluate`].
    pub async fn evaluate_held_out(&mut self, config: &RunConfig, receiver: Receiver<'_>) -> Result<Option<EvalInfo>> {
        let emit = &mut self.emit(receiver);
        loaded(&self.model)?;
        let data = &self.data.as_ref().ok_or_else(no_data)?.rows;
        let validation = self.validation.as_ref().map(|data| &data.rows);
        let wish = (config, usize::MAX);
        let Some(rows) = held_out_rows(&mut self.model, (data, validation), wish, emit).await? else {
            return Ok(None);
        };
        let stopped = emit.control.stops_from_now_on();
        let scored = rows.score(loaded(&self.model)?, config, &stopped, emit).await?;
        Ok(Some(scored))
    }

    /// What the loaded model, with its adapter if it has one, answers to each row of the data, and its score where the data
    /// has labels: then the worst errors come first. A model that continues texts writes its answers.
    ///
    /// # Errors
    /// Nothing loaded, a model without a trained head, data without the task's text.
    pub async fn predict(
        &mut self,
        config: &RunConfig,
        receiver: Receiver<'_>,
    ) -> Result<(PredictionTable, Option<EvalInfo>)> {
        let emit = &mut self.emit(receiver);
        loaded(&self.model)?;
        let dataset = &self.data.as_ref().ok_or_else(no_data)?.rows;
        let mut spec = TaskSpec::from_checkpoint(config, loaded(&self.model)?, dataset)?;
        spec.emit_notes(emit);
        let model = pooled(&mut self.model, &spec, config)?;
        let writes = spec.objective.learns_texts();
        let config = &RunConfig {
            predict_with_generate: writes,
            ..config.clone()
        };
        let mut held_out = held_out(&spec, model, dataset, config, true, emit).await?;
        let right = spec.knows_answers(dataset);
        held_out.ask(config, model, usize::MAX)?;
        let (answers, info) = if right || writes {
            let scored = score(&held_out, model, &spec, config, emit).await?;
            if writes {
                let table = written_answers(&held_out.questions, &scored.texts.written);
                return Ok((table, Some(scored.info)));
            }
            (scored.answers, Some(scored.info))
        } else {
            (predicted(&held_out, (model, 1.0), &spec, emit).await?, None)
        };
        let answers = answers.ok_or_else(|| Error::internal(msg::NoAnswersByRow))?;
        let tokenizer = model.files.tokenizer.as_ref();
        let (table, _) = predictions(spec.answer.as_ref(), &answers, right, &held_out.examples, tokenizer)?;
        Ok((table, info))
    }
}

/// Rows that a run holds out, ready to be scored.
pub(super) struct HeldOutRows {
    spec: TaskSpec,
    scored: HeldOut,
    /// Rows that the run holds out.
    pub(super) held_out: usize,
}

impl HeldOutRows {
    /// Rows that are scored.
    pub(super) fn count(&self) -> usize {
        self.scored.examples.len()
    }

    /// Scores the model that they were made ready for, with the adapter that it has now.
    pub(super) async fn score(
        &self,
        model: &LoadedModel,
        config: &RunConfig,
        stopped: &dyn Fn() -> bool,
        emit: &mut Emit<'_>,
    ) -> Result<EvalInfo> {
        let scored = self.scored.score(model, &self.spec, config, stopped, emit).await?;
        let scored = scored.ok_or_else(|| Error::stopped(msg::StoppedScoringRows))?;
        Ok(scored.info)
    }
}

/// The first `most` rows that a run by `config` holds out, made ready for the model; none where it holds none out.
pub(super) async fn held_out_rows(
    slot: &mut Option<LoadedModel>,
    (data, validation): (&Dataset, Option<&Dataset>),
    (config, most): (&RunConfig, usize),
    emit: &mut Emit<'_>,
) -> Result<Option<HeldOutRows>> {
    let mut spec = TaskSpec::from_checkpoint(config, loaded(slot)?, data)?;
    let model = pooled(slot, &spec, config)?;
    let mut rows = spec.datasets(config, model, data, validation, emit).await?.held_out;
    if rows.is_empty() {
        return Ok(None);
    }
    let held_out = rows.len();
    let stay_together = by_task!(spec.task(), R => R::KEEPS_ROWS_TOGETHER);
    let mut end = most.min(held_out);
    while stay_together && end > 0 && end < held_out && rows[end].row == rows[end - 1].row {
        end += 1;
    }
    rows.truncate(end);
    spec.add_reference(config, &model.model, &mut rows, emit).await?;
    model.check_features(&rows, data)?;
    let scored = HeldOut::new(rows, config, &model.model);
    Ok(Some(HeldOutRows { spec, scored, held_out }))
}

/// The rows of a file as they are scored by the head that the model has.
pub(super) async fn held_out(
    spec: &TaskSpec,
    model: &LoadedModel,
    dataset: &Dataset,
    config: &RunConfig,
    optional: bool,
    emit: &mut Emit<'_>,
) -> Result<HeldOut> {
    let rows = Rows {
        most: usize::MAX,
        model,
        dataset,
        config,
        optional,
    };
    let mut examples = spec.examples(&rows, emit).await?;
    spec.add_reference(config, &model.model, &mut examples, emit).await?;
    model.check_features(&examples, dataset)?;
    spec.scale_as_trained(&mut examples);
    Ok(HeldOut::new(examples, config, &model.model))
}

pub(super) async fn score(
    held_out: &HeldOut,
    model: &LoadedModel,
    spec: &TaskSpec,
    config: &RunConfig,
    emit: &mut Emit<'_>,
) -> Result<Scored> {
    let stopped = emit.control.stops_from_now_on();
    let scored = held_out.score(model, spec, config, &stopped, emit).await?;
    scored.ok_or_else(|| Error::stopped(msg::StoppedScoringRows))
}

/// What the model answers to rows without labels, with its adapter at a strength.
async fn predicted(
    held_out: &HeldOut,
    (model, strength): (&LoadedModel, f64),
    spec: &TaskSpec,
    emit: &mut Emit<'_>,
) -> Result<Option<Predictions>> {
    let (outputs, width) = answer(
        (&model.model, &model.leaves(strength)?),
        &spec.objective,
        &held_out.batches,
        emit,
    )
    .await?;
    Ok(spec.answers(&held_out.examples, &outputs, width))
}

/// The model, which lays conversations out and makes vectors of texts as the run has it.
pub(super) fn pooled<'m>(
    slot: &'m mut Option<LoadedModel>,
    spec: &TaskSpec,
    config: &RunConfig,
) -> Result<&'m LoadedModel> {
    let model = slot.as_mut().ok_or_else(no_model)?;
    model.lay_out_by(config);
    model.pool_texts_by((spec.task() == Task::Embedding).then_some(config));
    Ok(model)
}

/// What the loaded model answers to texts that somebody typed, each a text with those that belong to it, by the head that a run
/// trained, with its adapter at a strength.
///
/// # Errors
/// A strength that the model cannot have; a task that answers with texts, or none; a model without the task's head; no text.
pub(super) async fn answer_texts(
    slot: &mut Option<LoadedModel>,
    config: &RunConfig,
    (typed, strength): (&[Vec<String>], f64),
    emit: &mut Emit<'_>,
) -> Result<()> {
    loaded(slot)?;
    let task = config.task.ok_or_else(|| Error::config(msg::SayTask).field("task"))?;
    if by_task!(task, R => R::CONTINUES_TEXTS) {
        return Err(Error::config(msg::ContinuesTexts { task }).remedy(msg::HaveItWrite));
    }
    let mut rows = Vec::new();
    for texts in typed {
        let texts: Vec<&String> = texts.iter().filter(|text| !text.trim().is_empty()).collect();
        rows.extend(by_task!(task, R => R::typed(&texts)));
    }
    if rows.is_empty() {
        return Err(Error::data(msg::NoText).remedy(by_task!(task, R => R::ask())));
    }
    let dataset = Dataset::parse("typed.json", Value::Array(rows).to_string().as_bytes())?;
    // The columns' names are those of this file, not of the one that was trained on.
    let config = RunConfig {
        text_columns: Vec::new(),
        label_columns: Vec::new(),
        ..config.clone()
    };
    let spec = TaskSpec::from_checkpoint(&config, loaded(slot)?, &dataset)?;
    let model = pooled(slot, &spec, &config)?;
    let (host, control) = (emit.host, emit.control.clone());
    let mut unheard = |_, _| ();
    let quiet = &mut Emit::new(&mut unheard, host, control);
    let held_out = held_out(&spec, model, &dataset, &config, true, quiet).await?;
    let answers = predicted(&held_out, (model, strength), &spec, quiet).await?;
    let answers = answers.ok_or_else(|| Error::internal(msg::NoRowAnswers { task }))?;
    let answers = answered(&spec, &answers, &held_out.examples, model)?;
    emit.event(Event::Predicted {
        task,
        strength,
        answers,
    });
    Ok(())
}

/// Predictions as a front end shows them: texts with named values, documents by their scores.
fn answered(
    spec: &TaskSpec,
    answers: &Predictions,
    examples: &[Example],
    model: &LoadedModel,
) -> Result<Vec<TextPrediction>> {
    let names = spec.answer.as_ref().map(|answer| answer.names.as_slice());
    let name = |place: usize| names.and_then(|names| names.get(place).cloned());
    let named = |values: &[f64]| -> Vec<Metric> {
        let values = values.iter().enumerate();
        let metric = |(place, &value): (usize, &f64)| Metric {
            name: name(place).unwrap_or_else(|| place.to_string()),
            value,
        };
        values.map(metric).collect()
    };
    let (numbers, width, is_sorted) = match answers {
        Predictions::Classes {
            probabilities, classes, ..
        } => (probabilities, *classes, true),
        Predictions::Labels {
            probabilities, labels, ..
        } => (probabilities, *labels, true),
        Predictions::Numbers { predicted, targets, .. } => (predicted, *targets, false),
        Predictions::Lists(lists) => {
            let documents = by_task!(spec.task(), R => R::documents(examples));
            let scores = lists.iter().flat_map(|(scores, _)| scores.iter().copied());
            let of = |(text, value)| TextPrediction {
                text,
                values: vec![Metric {
                    name: SCORE.to_owned(),
                    value,
                }],
            };
            let mut ranked: Vec<TextPrediction> = documents.into_iter().zip(scores).map(of).collect();
            ranked.sort_by(|a, b| b.values[0].value.total_cmp(&a.values[0].value));
            return Ok(ranked);
        }
        Predictions::Pairs(_) => return Err(Error::internal(msg::NotRowsOfNumbers)),
    };
    let texts = texts(answers, examples, None, model.files.tokenizer.as_ref())?;
    let of = |((_, text), values): ((usize, String), &[f64])| {
        let mut values = named(values);
        if is_sorted {
            values.sort_by(|a, b| b.value.total_cmp(&a.value));
        }
        TextPrediction { text, values }
    };
    Ok(texts.into_iter().zip(numbers.chunks(width.max(1))).map(of).collect())
}
