//! How a run looks before it starts: the first examples as the model will see them, the task that was found, the labels,
//! whether the validation data goes with them.
//!
//! A person who turns a knob waits for this, so tokens are made of the rows that are shown and of no others; labels are
//! counted as they stand in the file.

use super::assignment::Assignment;
use super::loaded::Loaded;
use super::report::number;
use crate::config::RunConfig;
use crate::data::{self, Aim, Content, Dataset, LabelKind};
use crate::error::Result;
use crate::host::Emit;
use crate::protocol::{Event, Outlook, PreviewExample};
use crate::task::Task;
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
    loaded: &Loaded,
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
    let (assignment, problem) = match Assignment::of_run(config, loaded, dataset) {
        Ok(assignment) => (Some(assignment), None),
        // Rows of numbers are no texts that could be shown instead.
        Err(error) if loaded.model.numbers().is_some() => return Err(error),
        Err(error) => (None, Some(error)),
    };
    let (examples, labels) = match &assignment {
        Some(assignment) if assignment.task() != Task::Generation => {
            let aims = assignment.aims(dataset)?;
            let examples = assignment
                .first_examples(ROWS, loaded, dataset, config, false, progress)
                .await?;
            let shown = examples.iter().take(ROWS).map(|example| {
                let shown = match assignment.shape {
                    Some(_) => PreviewExample {
                        tokens: vec![(example.numbers_text(), false)],
                        truncated: false,
                        label: String::new(),
                    },
                    None => data::preview(example, loaded.tokenizer()?)?,
                };
                Ok(PreviewExample {
                    label: label(assignment, &example.aim),
                    ..shown
                })
            });
            (shown.collect::<Result<Vec<_>>>()?, counts(assignment, &aims))
        }
        _ => (texts(loaded, dataset, config, progress).await?, Vec::new()),
    };
    let checked = match assignment.as_ref().zip(validation) {
        Some((assignment, validation)) => Some(check(assignment, loaded, validation, config, progress).await),
        None => None,
    };
    let outlook = assignment.map(|assignment| Outlook {
        task: assignment.task(),
        loss: assignment.objective.loss.to_string(),
        metric: assignment.metric.clone(),
        notes: assignment.notes,
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
    assignment: &Assignment,
    loaded: &Loaded,
    validation: &Dataset,
    config: &RunConfig,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let start;
    let rows = match assignment.task() {
        Task::Generation => {
            start = first_texts(validation);
            &start
        }
        _ => validation,
    };
    assignment.aims(rows)?;
    let examples = assignment.first_examples(ROWS, loaded, rows, config, false, emit).await;
    examples.map(drop)
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
    loaded: &Loaded,
    dataset: &Dataset,
    config: &RunConfig,
    emit: &mut Emit<'_>,
) -> Result<Vec<PreviewExample>> {
    let made = loaded.examples(&first_texts(dataset), config, emit).await?;
    let tokenizer = loaded.tokenizer()?;
    let first = made.iter().take(ROWS);
    first.map(|example| data::preview(example, tokenizer)).collect()
}

/// The numbers of the labels that a row is answered with, by which [`Outlook::labels`] counts; none of numbers.
fn labels_of(assignment: &Assignment, aim: &Aim) -> Vec<usize> {
    match (aim, assignment.answer.as_ref().map(|answer| answer.kind)) {
        (Aim::Tokens(labels), _) => {
            let labels = labels.iter().filter(|&&label| label >= 0);
            labels.map(|&label| label as usize).collect()
        }
        (Aim::Row(labels), Some(LabelKind::Class)) => labels.iter().map(|&label| label as usize).collect(),
        (Aim::Row(flags), Some(LabelKind::Labels)) => {
            let applying = flags.iter().enumerate().filter(|(_, flag)| **flag > 0.5);
            applying.map(|(label, _)| label).collect()
        }
        _ => Vec::new(),
    }
}

/// What a row is answered with, in words.
fn label(assignment: &Assignment, aim: &Aim) -> String {
    let names = assignment.answer.as_ref().map(|answer| answer.names.as_slice());
    let name = |label: usize| names.and_then(|names| names.get(label).cloned());
    let words: Vec<String> = match (aim, assignment.task()) {
        (_, Task::Preference | Task::Embedding) => Vec::new(),
        (Aim::Row(numbers), Task::Regression | Task::Ranking) => {
            numbers.iter().map(|&value| number(f64::from(value))).collect()
        }
        _ => labels_of(assignment, aim)
            .into_iter()
            .map(|label| name(label).unwrap_or_else(|| label.to_string()))
            .collect(),
    };
    words.join(", ")
}

/// How often each label is the answer; none of numbers.
fn counts(assignment: &Assignment, aims: &[Aim]) -> Vec<(String, u64)> {
    let Some(answer) = assignment
        .answer
        .as_ref()
        .filter(|answer| answer.kind != LabelKind::Numbers)
    else {
        return Vec::new();
    };
    let mut counts: Vec<(String, u64)> = answer.names.iter().map(|name| (name.clone(), 0)).collect();
    for label in aims.iter().flat_map(|aim| labels_of(assignment, aim)) {
        if let Some((_, rows)) = counts.get_mut(label) {
            *rows += 1;
        }
    }
    counts.sort_by_key(|(_, rows)| Reverse(*rows));
    counts
}
