//! How a run looks before it starts: the first examples as the model will see them, the task that was found, the labels.

use super::assignment::Assignment;
use super::loaded::Loaded;
use super::report::number;
use crate::config::RunConfig;
use crate::data::{self, Aim, Content, Dataset, Example, LabelKind};
use crate::error::Result;
use crate::protocol::{Event, Outlook, PreviewExample};
use crate::task::Task;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Examples that are shown, and how much of a long text is looked at for them.
const ROWS: usize = 4;
const BYTES: usize = 1 << 14;

/// The first examples of `dataset` as `config` shapes them, with what a run would do.
///
/// # Errors
/// Data without what the task needs, a model without a tokenizer.
pub(crate) fn preview(loaded: &Loaded, dataset: &Dataset, config: &RunConfig) -> Result<Event> {
    let (assignment, problem) = match Assignment::of_run(config, loaded, dataset) {
        Ok(assignment) => (Some(assignment), None),
        // Rows of numbers are no texts that could be shown instead.
        Err(error) if loaded.model.numbers().is_some() => return Err(error),
        Err(error) => (None, Some(error)),
    };
    let (examples, labels) = match &assignment {
        Some(assignment) if assignment.task() != Task::Generation => {
            let examples = assignment.examples(loaded, dataset, config, false, &mut |_, _| ())?;
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
                    label: label(assignment, example),
                    ..shown
                })
            });
            (shown.collect::<Result<Vec<_>>>()?, counts(assignment, &examples))
        }
        _ => (texts(loaded, dataset, config)?, Vec::new()),
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
    })
}

/// The first texts to be continued.
fn texts(loaded: &Loaded, dataset: &Dataset, config: &RunConfig) -> Result<Vec<PreviewExample>> {
    let settings = data::Settings::new(config, dataset);
    let mut start = dataset.start(ROWS);
    for row in &mut start.rows {
        if let Content::Text(text) = &mut row.content {
            text.truncate(text.floor_char_boundary(BYTES));
        }
    }
    let (tokenizer, template) = (loaded.tokenizer()?, loaded.files.chat_template.as_ref());
    let made = data::examples(&start, tokenizer, template, &settings, &mut |_, _| ())?;
    let first = made.items.iter().take(ROWS);
    first.map(|example| data::preview(example, tokenizer)).collect()
}

/// The names that an example is answered with; a number where labels have none.
fn answered(assignment: &Assignment, example: &Example) -> Vec<String> {
    let names = assignment.answer.as_ref().map(|answer| answer.names.as_slice());
    let name = |class: usize| names.and_then(|names| names.get(class).cloned());
    let class = |class: usize| name(class).unwrap_or_else(|| class.to_string());
    let kind = assignment.answer.as_ref().map(|answer| answer.kind);
    match (&example.aim, kind) {
        (Aim::Tokens(labels), _) => {
            let labels = labels.iter().filter(|&&label| label >= 0);
            labels.map(|&label| class(label as usize)).collect()
        }
        (Aim::Row(labels), Some(LabelKind::Class)) => labels.iter().map(|&label| class(label as usize)).collect(),
        (Aim::Row(flags), Some(LabelKind::Labels)) => {
            let applying = flags.iter().enumerate().filter(|(_, flag)| **flag > 0.5);
            applying.map(|(label, _)| class(label)).collect()
        }
        (Aim::Row(numbers), _) => numbers.iter().map(|&value| number(f64::from(value))).collect(),
        _ => Vec::new(),
    }
}

fn label(assignment: &Assignment, example: &Example) -> String {
    match assignment.task() {
        Task::Preference | Task::Embedding => String::new(),
        _ => answered(assignment, example).join(", "),
    }
}

/// How often each label is the answer; none of numbers.
fn counts(assignment: &Assignment, examples: &[Example]) -> Vec<(String, u64)> {
    let Some(answer) = assignment
        .answer
        .as_ref()
        .filter(|answer| answer.kind != LabelKind::Numbers)
    else {
        return Vec::new();
    };
    let mut counts: Vec<(String, u64)> = answer.names.iter().map(|name| (name.clone(), 0)).collect();
    let places: HashMap<&String, usize> = answer
        .names
        .iter()
        .enumerate()
        .map(|(place, name)| (name, place))
        .collect();
    for name in examples.iter().flat_map(|example| answered(assignment, example)) {
        if let Some(place) = places.get(&name) {
            counts[*place].1 += 1;
        }
    }
    counts.sort_by_key(|(_, rows)| Reverse(*rows));
    counts
}
