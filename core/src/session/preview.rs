//! How a run looks before it starts: the first examples as the model will see them, the task that was found, the labels,
//! whether the validation data goes with them.
//!
//! A person who turns a knob waits for this, so tokens are made of the rows that are shown and of no others; labels are
//! counted as they stand in the file.

use crate::config::RunConfig;
use crate::data::{self, Content, Dataset, LabelKind, Target};
use crate::error::Result;
use crate::host::Emit;
use crate::loaded_model::LoadedModel;
use crate::protocol::{Event, PreviewExample, RunPreview};
use crate::tasks::{Rows, TaskSpec};
use std::cmp::Reverse;

/// Examples that are shown, and how much of a long text is looked at for them.
const ROWS: usize = 4;
const BYTES: usize = 1 << 14;

/// The first examples of `dataset` as `config` shapes them, with what a run would do. Of what the way brings, `emit` gets
/// only how far it is: what is skipped or cut is said by the run.
///
/// # Errors
/// Data without what the task needs, a model without a tokenizer.
pub(crate) async fn preview(
    loaded: &LoadedModel,
    dataset: &Dataset,
    validation: Option<&Dataset>,
    config: &RunConfig,
    emit: &mut Emit<'_>,
) -> Result<Event> {
    let (host, control) = (emit.host, emit.control.clone());
    let mut told = |event: Event, _| {
        if let Event::Progress { .. } = event {
            emit.event(event);
        }
    };
    let progress = &mut Emit::new(&mut told, host, control);
    let (spec, problem) = match TaskSpec::resolve(config, loaded, dataset) {
        Ok(spec) => (Some(spec), None),
        // Rows of numbers are no texts that could be shown instead.
        Err(error) if loaded.model.input_features().is_some() => return Err(error),
        Err(error) => (None, Some(error)),
    };
    let (examples, labels) = match &spec {
        Some(spec) if !spec.objective.learns_texts() => {
            let aims = spec.aims(dataset)?;
            let examples = spec.examples(&first(loaded, dataset, config), progress).await?;
            let shown = examples.iter().take(ROWS).map(|example| {
                let shown = match spec.shape {
                    Some(_) => PreviewExample {
                        tokens: vec![(example.features_text(), false)],
                        truncated: false,
                        label: String::new(),
                    },
                    None => data::preview(example, loaded.tokenizer()?)?,
                };
                Ok(PreviewExample {
                    label: spec.label(&example.target),
                    ..shown
                })
            });
            (shown.collect::<Result<Vec<_>>>()?, counts(spec, &aims))
        }
        _ => (texts(loaded, dataset, config, progress).await?, Vec::new()),
    };
    let checked = match spec.as_ref().zip(validation) {
        Some((spec, validation)) => Some(check(spec, loaded, validation, config, progress).await),
        None => None,
    };
    let outlook = spec.map(|spec| RunPreview {
        task: spec.task(),
        loss: spec.objective.loss.to_string(),
        metric: spec.metric.clone(),
        notes: spec.notes,
        labels,
    });
    Ok(Event::Preview {
        examples,
        outlook,
        problem,
        validation_problem: checked.and_then(Result::err),
    })
}

/// Whether a run can score `validation`, as far as its labels and its first rows tell.
async fn check(
    spec: &TaskSpec,
    loaded: &LoadedModel,
    validation: &Dataset,
    config: &RunConfig,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let start;
    let rows = match spec.objective.learns_texts() {
        true => {
            start = first_texts(validation);
            &start
        }
        false => validation,
    };
    spec.aims(rows)?;
    let examples = spec.examples(&first(loaded, rows, config), emit).await;
    examples.map(drop)
}

/// The rows that are shown.
fn first<'a>(model: &'a LoadedModel, dataset: &'a Dataset, config: &'a RunConfig) -> Rows<'a> {
    Rows {
        most: ROWS,
        model,
        dataset,
        config,
        optional: false,
    }
}

/// `dataset` as if it ended after the first rows, and those after their first lines.
fn first_texts(dataset: &Dataset) -> Dataset {
    let mut start = dataset.start(ROWS);
    for row in &mut start.rows {
        if let Content::Text(text) = &mut row.content {
            text.truncate(text.floor_char_boundary(BYTES));
        }
    }
    start
}

/// The first texts to be continued.
async fn texts(
    loaded: &LoadedModel,
    dataset: &Dataset,
    config: &RunConfig,
    emit: &mut Emit<'_>,
) -> Result<Vec<PreviewExample>> {
    let start = first_texts(dataset);
    let mut made = loaded.examples((&start, usize::MAX), config, emit).await?;
    loaded.admit(&mut made, &start, 0)?;
    let tokenizer = loaded.tokenizer()?;
    let first = made.iter().take(ROWS);
    first.map(|example| data::preview(example, tokenizer)).collect()
}

/// How often each label is the answer; none of numbers.
fn counts(spec: &TaskSpec, aims: &[Target]) -> Vec<(String, u64)> {
    let Some(answer) = spec.answer.as_ref().filter(|answer| answer.kind != LabelKind::Numbers) else {
        return Vec::new();
    };
    let mut counts: Vec<(String, u64)> = answer.names.iter().map(|name| (name.clone(), 0)).collect();
    for label in aims.iter().flat_map(|target| spec.labels_of(target)) {
        if let Some((_, rows)) = counts.get_mut(label) {
            *rows += 1;
        }
    }
    counts.sort_by_key(|(_, rows)| Reverse(*rows));
    counts
}
