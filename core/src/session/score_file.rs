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
        let file = read_data(&files, &reading, None).await?.rows;
        emit.warn_all(file.notes.iter().cloned());

        let mut spec = TaskSpec::from_checkpoint(config, loaded(&self.model)?, &file)?;
        spec.emit_notes(emit);
        let model = pooled(&mut self.model, &spec, config)?;
        let mut rows = held_out(&spec, model, &file, config, false, emit).await?;
        rows.ask(config, model, QUESTIONS)?;
        let scored = score(&rows, model, &spec, config, emit).await?;
        let found = match spec.objective.learns_texts() {
            true => of_texts((&spec, model), config, &file, (rows, scored), emit).await?,
            false => {
                let baselines = baselines((&spec, model), config, learnt, &rows, emit).await?;
                of_answers(&spec, config, &file, (&rows, &scored), &baselines)?
            }
        };
        emit.event(Event::FileScored(Box::new(found)));
        Ok(())
    }
}

/// What can be had without training on the rows of the file; none where the run's own rows are not there any more.
async fn baselines(
    (spec, model): (&TaskSpec, &LoadedModel),
    config: &RunConfig,
    learnt: Option<(&Dataset, Option<&Dataset>)>,
    rows: &HeldOut,
    emit: &mut Emit<'_>,
) -> Result<Vec<Baseline>> {
    let Some((data, validation)) = learnt else {
        emit.warn(msg::BaselinesNeedRunsData);
        return Ok(Vec::new());
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
            emit.warn(msg::NoBaseToScore);
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
