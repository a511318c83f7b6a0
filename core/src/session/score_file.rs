//! What the last run trained on another file: read as the run's data were, and scored beside what there is to beat on the same
//! rows.

use super::predict::{held_out, pooled, score};
use super::reading::{one_or_images, read_data};
use super::{Session, no_data};
use crate::config::RunConfig;
use crate::data::audit::Reading;
use crate::data::{Columns, Dataset, FewValues};
use crate::error::{Error, Result};
use crate::host::Emit;
use crate::loaded_model::{LoadedModel, loaded};
use crate::protocol::{BaselineKind, Event, FileScore};
use crate::store::Source;
use crate::tasks::{Baseline, TaskSpec};
use crate::train::evaluation::{HeldOut, QUESTIONS, Scored};
use crate::train::judgement::{Known, judgement, judgement_of_texts};
use crate::train::report::{report, report_of_texts};
use lorakeet_i18n::messages::run as msg;

impl Session {
    pub(super) async fn score_file(&mut self, files: Vec<Source>, emit: &mut Emit<'_>) -> Result<()> {
        let nothing = || Error::config(msg::NoRunToScore).remedy(msg::TrainBeforeScoring);
        let run = self.trained.as_ref().ok_or_else(nothing)?;
        let config = &run.config.clone();
        // What a baseline learns from is what the run was trained on, where that is still loaded.
        let data = self.data.as_ref().ok_or_else(no_data)?;
        let validation = self.validation.as_ref();
        let is_of_run = run.is_on([Some(data), validation]);
        let learnt = is_of_run.then_some((&data.rows, validation.map(|data| &data.rows)));
        // All its rows are scored: what the run left out was found in its own files.
        let reading = Reading::of(&RunConfig {
            drop_rows: Vec::new(),
            ..config.clone()
        });
        let files = one_or_images(files).await?;
        let file = read_data(&files, &reading, None, Some(&mut *emit)).await?.rows;
        emit.warn_all(file.notes.iter().cloned());

        let learnt = learnt.map_or(Learnt::Gone, |(data, validation)| Learnt::From(data, validation));
        let found = score_rows(&mut self.model, config, &file, learnt, emit).await?;
        emit.event(Event::FileScored(Box::new(found)));
        Ok(())
    }

    /// Scores the model as it is, with an adapter that no run here trained or without one: on the validation data, or on all of the
    /// data where there are none.
    pub(super) async fn score_loaded(&mut self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
        loaded(&self.model)?;
        self.read_as(config, emit).await?;
        let data = self.validation.as_ref().or(self.data.as_ref()).ok_or_else(no_data)?;
        let found = score_rows(&mut self.model, config, &data.rows, Learnt::Unknown, emit).await?;
        emit.event(Event::FileScored(Box::new(found)));
        Ok(())
    }
}

/// What baselines can learn from.
enum Learnt<'a> {
    /// The run's data, and its validation data where those are a file of their own.
    From(&'a Dataset, Option<&'a Dataset>),
    /// The run's data are not loaded any more.
    Gone,
    /// Nobody knows what the adapter was trained on.
    Unknown,
}

/// The scores of a model on all rows of a file.
async fn score_rows(
    slot: &mut Option<LoadedModel>,
    config: &RunConfig,
    file: &Dataset,
    learnt: Learnt<'_>,
    emit: &mut Emit<'_>,
) -> Result<FileScore> {
    let mut spec = TaskSpec::from_checkpoint(config, loaded(slot)?, file)?;
    spec.emit_notes(emit);
    let model = pooled(slot, &spec, config)?;
    let mut rows = held_out(&spec, model, file, config, false, emit).await?;
    rows.ask(config, model, QUESTIONS)?;
    let scored = score(&rows, model, &spec, config, emit).await?;
    if spec.objective.learns_texts() {
        return of_texts((&spec, model), config, file, (rows, scored), emit).await;
    }
    let baselines = baselines((&spec, model), config, learnt, &rows, emit).await?;
    of_answers(&spec, config, file, (&rows, &scored), &baselines)
}

/// Scores without training on the rows of the file; none where the run's own rows are not there any more.
async fn baselines(
    (spec, model): (&TaskSpec, &LoadedModel),
    config: &RunConfig,
    learnt: Learnt<'_>,
    rows: &HeldOut,
    emit: &mut Emit<'_>,
) -> Result<Vec<Baseline>> {
    let (data, validation) = match learnt {
        Learnt::From(data, validation) => (data, validation),
        Learnt::Gone => {
            emit.warn(msg::BaselinesNeedRunsData);
            return Ok(Vec::new());
        }
        Learnt::Unknown => return Ok(Vec::new()),
    };
    // Without an adapter that could be left out, they would be those of the tuned model.
    if model.full {
        emit.warn(msg::NoBaseToScore);
        return Ok(Vec::new());
    }
    let mut of_run = TaskSpec::from_checkpoint(config, model, data)?;
    let train = of_run.datasets(config, model, data, validation, emit).await?.train;
    let seen = config.planned_rows(&config.plan(train.len()));
    // A probe that was kept is the model itself; after steps its features are those of the tuned model.
    let start = match config.max_steps {
        0 => of_run.head_start(config, &model.model, &train, emit).await?,
        _ => None,
    };
    spec.baselines(&model.model, (&train, seen), rows.scored(), start.as_ref(), emit)
        .await
}

/// The scores of texts, beside those of the model without its adapter where that is the base.
async fn of_texts(
    (spec, model): (&TaskSpec, &LoadedModel),
    config: &RunConfig,
    file: &Dataset,
    (mut rows, scored): (HeldOut, Scored),
    emit: &mut Emit<'_>,
) -> Result<FileScore> {
    let before = match model.model.is_base_without_adapter() {
        true => {
            rows.strength = 0.0;
            Some(score(&rows, model, spec, config, emit).await?.texts)
        }
        false => {
            if model.full || model.model.has_adapter() {
                emit.warn(msg::NoBaseToScore);
            }
            None
        }
    };
    let metric = spec.judged_by();
    let report = report_of_texts(
        metric,
        before.as_ref(),
        &scored.texts,
        BaselineKind::BaseModel,
        config.seed,
    );
    let before = before.as_ref().filter(|_| !report.baselines.is_empty());
    let columns = columns(config, file, &rows);
    let known = Known {
        examples: &rows.examples,
        questions: &rows.questions,
        columns: &columns,
        seed: config.seed,
    };
    Ok(FileScore {
        file: file.name.clone(),
        rows: rows.examples.len(),
        judgement: judgement_of_texts(metric, before, &scored.texts, known),
        report,
    })
}

fn of_answers(
    spec: &TaskSpec,
    config: &RunConfig,
    file: &Dataset,
    (rows, scored): (&HeldOut, &Scored),
    baselines: &[Baseline],
) -> Result<FileScore> {
    let no_answers = || Error::internal(msg::NoAnswersByRow);
    let report = report(spec, baselines, scored, (config.seed, None)).ok_or_else(no_answers)?;
    let answers = scored.answers.as_ref().ok_or_else(no_answers)?;
    let columns = columns(config, file, rows);
    let known = Known {
        examples: &rows.examples,
        questions: &[],
        columns: &columns,
        seed: config.seed,
    };
    Ok(FileScore {
        file: file.name.clone(),
        rows: answers.units(),
        judgement: judgement(spec, (baselines, answers), &[], known),
        report,
    })
}

/// What stands in the file beside the texts and labels.
fn columns(config: &RunConfig, file: &Dataset, rows: &HeldOut) -> Vec<FewValues> {
    let scored = rows.examples.iter().map(|example| example.row).collect();
    file.few_values(&Columns::of(config), &scored)
}
