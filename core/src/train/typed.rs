//! What the loaded model answers to texts that somebody typed, by the head that a run trained.

use super::assignment::Assignment;
use super::evaluation::answer;
use super::loaded::Loaded;
use super::report::texts;
use super::retrieval::Corpus;
use crate::config::RunConfig;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::host::Emit;
use crate::metrics::answers::Answers;
use crate::protocol::{Answered, Event, Metric};
use crate::task::Task;
use serde_json::{Value, json};

/// What a document's score is called.
const SCORE: &str = "score";

/// The answers to `typed`, each a text with those that belong to it.
///
/// # Errors
/// A task that answers with texts, or none; a model without the task's head; no text.
pub(crate) async fn answer_typed(
    loaded: &Loaded,
    config: &RunConfig,
    typed: &[Vec<String>],
    emit: &mut Emit<'_>,
) -> Result<Event> {
    let task = config
        .task
        .ok_or_else(|| Error::config("has to say what the texts are to be answered with").field("task"))?;
    if matches!(task, Task::Generation | Task::Preference) {
        return Err(Error::config(format!("a model of {task} continues texts")).remedy("Have it write instead."));
    }
    let rows = rows(task, typed);
    if rows.is_empty() {
        return Err(Error::data("there is no text to answer").remedy(match task {
            Task::Ranking | Task::Embedding => "Write a query, and below it a document on each line.",
            _ => "Write one.",
        }));
    }
    let dataset = Dataset::parse("typed.json", Value::Array(rows).to_string().as_bytes())?;
    // The columns' names are those of this file, not of the one that was trained on.
    let config = RunConfig {
        text_columns: Vec::new(),
        label_columns: Vec::new(),
        ..config.clone()
    };
    let assignment = Assignment::of_head(&config, loaded, &dataset)?;
    let mut unheard = |_, _| ();
    let mut quiet = Emit::new(&mut unheard, emit.host, emit.control.clone());
    let examples = assignment.examples(loaded, &dataset, &config, true, &mut quiet).await?;
    let held_out = assignment.held_out(examples, &config, &loaded.model);
    let examples = &held_out.examples;
    let (outputs, width) = answer(&loaded.model, &assignment.objective, &held_out.batches, emit.host).await?;
    let answers = assignment
        .answers(examples, &outputs, width)
        .ok_or_else(|| Error::internal(format!("{task} has no answers row by row")))?;
    let names = assignment.answer.as_ref().map(|answer| answer.names.as_slice());
    let name = |place: usize| names.and_then(|names| names.get(place).cloned());
    let named = |values: &[f64]| -> Vec<Metric> {
        let values = values.iter().enumerate();
        let metric = |(place, &value): (usize, &f64)| Metric {
            name: name(place).unwrap_or_else(|| place.to_string()),
            value,
        };
        values.map(metric).collect()
    };
    let answers = match &answers {
        Answers::Lists(lists) => {
            let documents: Vec<String> = match task {
                Task::Embedding => Corpus::of(examples)
                    .documents()
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                _ => examples
                    .iter()
                    .flat_map(|example| example.texts.iter().skip(1).cloned())
                    .collect(),
            };
            let scores = lists.iter().flat_map(|(scores, _)| scores.iter().copied());
            let of = |(text, value)| Answered {
                text,
                values: vec![Metric {
                    name: SCORE.to_owned(),
                    value,
                }],
            };
            let mut ranked: Vec<Answered> = documents.into_iter().zip(scores).map(of).collect();
            ranked.sort_by(|a, b| b.values[0].value.total_cmp(&a.values[0].value));
            ranked
        }
        answers => {
            let texts = texts(answers, examples, None, loaded.files.tokenizer.as_ref())?;
            let numbers = match answers {
                Answers::Classes { probabilities, .. } | Answers::Labels { probabilities, .. } => probabilities,
                Answers::Numbers { predicted, .. } => predicted,
                Answers::Lists(_) | Answers::Pairs(_) => return Err(Error::internal("these are no rows of numbers")),
            };
            let of = |((_, text), values): ((usize, String), &[f64])| {
                let mut values = named(values);
                if task != Task::Regression {
                    values.sort_by(|a, b| b.value.total_cmp(&a.value));
                }
                Answered { text, values }
            };
            texts.into_iter().zip(numbers.chunks(width.max(1))).map(of).collect()
        }
    };
    Ok(Event::Predicted { task, answers })
}

/// The texts as rows of a file that the task reads.
fn rows(task: Task, typed: &[Vec<String>]) -> Vec<Value> {
    let written = |text: &&String| !text.trim().is_empty();
    let mut rows = Vec::new();
    for texts in typed {
        let texts: Vec<&String> = texts.iter().filter(written).collect();
        match (task, texts.as_slice()) {
            (Task::TokenClassification, [text, ..]) => {
                rows.push(json!({ "tokens": text.split_whitespace().collect::<Vec<_>>() }));
            }
            (Task::Ranking, [query, documents @ ..]) => {
                rows.extend(
                    documents
                        .iter()
                        .map(|text| json!({ "query": query, "document": text, "grade": 0 })),
                );
            }
            (Task::Embedding, [query, documents @ ..]) => {
                rows.extend(documents.iter().map(|text| json!({ "query": query, "positive": text })));
            }
            (_, [first, second, ..]) => rows.push(json!({ "sentence1": first, "sentence2": second })),
            (_, [text]) => rows.push(json!({ "text": text })),
            (_, []) => {}
        }
    }
    rows
}
