//! How a run looks before it starts: a few examples as the model will see them, the task that was found, the labels, what columns
//! are, whether the validation data goes with them.
//!
//! A person who turns a knob waits for this, so tokens are made of the rows that are shown and, of tasks with answers, of those
//! before them; labels are counted as they stand in the file.

use super::cut::{MOST_TOKENS, cut_off, with_cut};
use crate::config::RunConfig;
use crate::data::{self, Columns, Content, Dataset, Example, LabelKind, Target};
use crate::error::Result;
use crate::host::Emit;
use crate::loaded_model::LoadedModel;
use crate::protocol::{Event, PreviewExample, RunPreview, Stage};
use crate::task::Task;
use crate::tasks::{Rows, TaskSpec};
use std::cmp::Reverse;

/// Examples that are shown, and how much of a long text is looked at for them.
const ROWS: usize = 4;
const BYTES: usize = 1 << 14;

/// The examples of `dataset` behind `after` rows as `config` shapes them, with what a run would do. Of what the way brings, `emit`
/// gets only how far it is: what is skipped or cut is said by the run.
///
/// # Errors
/// Data without what the task needs, a model without a tokenizer.
pub(crate) async fn preview(
    loaded: &LoadedModel,
    (dataset, after): (&Dataset, usize),
    validation: Option<&Dataset>,
    config: &RunConfig,
    emit: &mut Emit<'_>,
) -> Result<Event> {
    let (host, control) = (emit.host, emit.control.clone());
    let mut told = emit.progress_only();
    let progress = &mut Emit::new(&mut told, host, control);
    let (spec, problem) = match TaskSpec::resolve(config, loaded, dataset) {
        Ok(spec) => (Some(spec), None),
        // Rows of numbers are no texts that could be shown instead.
        Err(error) if loaded.model.input_features().is_some() => return Err(error),
        Err(error) => (None, Some(error)),
    };
    let (shown, labels, total) = match &spec {
        Some(spec) if !spec.objective.learns_texts() => {
            let aims = spec.aims(dataset)?;
            let total = match aims.len() {
                0 => dataset.info().rows,
                rows => rows,
            };
            let after = of_page(after, total);
            let examples = answered(spec, first(loaded, dataset, config, after), after, progress).await?;
            ((examples, after), counts(spec, &aims), total)
        }
        _ => {
            let total = dataset.rows.len();
            let after = of_page(after, total);
            let examples = texts(loaded, (dataset, after), config, progress).await?;
            ((examples, after), Vec::new(), total)
        }
    };
    let checked = match spec.as_ref().zip(validation) {
        Some((spec, validation)) => Some(check(spec, loaded, validation, config, progress).await),
        None => None,
    };
    let columns = Columns::of(config);
    let are_named = !columns.texts.is_empty() || !columns.labels.is_empty();
    let task = match &spec {
        Some(spec) => spec.task(),
        // What was named is wrong, and is shown as it was named.
        None if are_named => Task::Classification,
        None => config.task.unwrap_or_default(),
    };
    let columns = dataset.column_uses(task, &columns);
    let outlook = spec.map(|spec| RunPreview {
        task: spec.task(),
        loss: spec.objective.loss.to_string(),
        metric: spec.metric.clone(),
        notes: spec.notes,
        labels,
    });
    let (examples, after) = shown;
    Ok(Event::Preview {
        examples,
        after,
        total,
        columns,
        outlook,
        problem,
        validation_problem: checked.and_then(Result::err),
    })
}

/// Where the rows that are shown begin: not behind the last.
fn of_page(after: usize, total: usize) -> usize {
    after.min(total.saturating_sub(1))
}

/// Examples with something to be answered.
async fn answered(spec: &TaskSpec, rows: Rows<'_>, after: usize, emit: &mut Emit<'_>) -> Result<Vec<PreviewExample>> {
    let examples = spec.examples(&rows, emit).await?;
    let is_cut = examples.iter().skip(after).take(ROWS).any(|example| example.truncated);
    let uncut = RunConfig {
        cutoff_len: MOST_TOKENS,
        ..rows.config.clone()
    };
    let whole = match is_cut {
        true => spec.examples(&Rows { config: &uncut, ..rows }, emit).await?,
        false => Vec::new(),
    };
    // Rows that the run leaves out are in the whole ones.
    let whole_of = |place: usize| whole.get(place).filter(|_| whole.len() == examples.len());
    let shown = examples.iter().enumerate().skip(after).take(ROWS);
    let shown = shown.map(|(place, example)| {
        let shown = match spec.shape {
            Some(_) => PreviewExample {
                tokens: vec![(example.features_text(), false)],
                row: example.row,
                ..PreviewExample::default()
            },
            None => with_cut(example, whole_of(place), rows.model.tokenizer()?)?,
        };
        Ok(PreviewExample {
            label: spec.label(&example.target),
            ..shown
        })
    });
    shown.collect()
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
            start = some_texts(validation, 0);
            &start
        }
        false => validation,
    };
    spec.aims(rows)?;
    let examples = spec.examples(&first(loaded, rows, config, 0), emit).await;
    examples.map(drop)
}

/// The rows that are shown, and those before them.
fn first<'a>(model: &'a LoadedModel, dataset: &'a Dataset, config: &'a RunConfig, after: usize) -> Rows<'a> {
    Rows {
        most: after.saturating_add(ROWS),
        model,
        dataset,
        config,
        optional: false,
    }
}

/// `dataset` as if it had only the rows that are shown, and of those the first lines.
fn some_texts(dataset: &Dataset, after: usize) -> Dataset {
    let mut part = dataset.part(after, ROWS);
    for row in &mut part.rows {
        if let Content::Text(text) = &mut row.content {
            *text = text.first(BYTES);
        }
    }
    part
}

/// A few texts to be continued. One of which nothing is learnt, because it is cut, is among them.
async fn texts(
    loaded: &LoadedModel,
    (dataset, after): (&Dataset, usize),
    config: &RunConfig,
    emit: &mut Emit<'_>,
) -> Result<Vec<PreviewExample>> {
    let part = some_texts(dataset, after);
    let tokenizer = loaded.tokenizer()?;
    let cutoff = loaded.model.limits().cutoff(config.cutoff_len);
    let settings = data::Settings::new(config, dataset, cutoff);
    if settings.packing {
        let mut made = loaded.examples((&part, usize::MAX), config, emit).await?;
        loaded.admit(&mut made, &part, 0)?;
        let first = made.iter().take(ROWS);
        return first.map(|example| data::preview(example, tokenizer)).collect();
    }
    let settings = data::Settings {
        cutoff_len: MOST_TOKENS,
        ..settings
    };
    let template = loaded.files.chat_template.as_ref();
    let turns = &mut emit.turns(Stage::Tokenize);
    let whole = data::examples(&part, tokenizer, template, &settings, turns)
        .await?
        .items;
    let mut kept: Vec<Example> = whole
        .iter()
        .take(ROWS)
        .map(|example| cut_off(example, cutoff))
        .collect();
    loaded.admit(&mut kept, &part, 0)?;
    let shown = kept.iter().zip(&whole);
    shown
        .map(|(kept, whole)| with_cut(kept, Some(whole), tokenizer))
        .collect()
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
