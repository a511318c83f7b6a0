//! The folder of a run file for another trainer: the run file, the rows as it reads them, and what it wants beside them.

use super::check_steps;
use crate::config::{RowForm, RowsFile, RunConfig, Trainer, run_file_of};
use crate::data::{Dataset, plain_rows};
use crate::error::{Error, Result};
use crate::store::StreamSink;
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The rows to train on, and those held out where they have a file of their own.
const TRAIN: &str = "train.jsonl";
const HELD_OUT: &str = "validation.jsonl";

/// Writes the run file of `config` for `trainer`, with its rows, and gives what there is to say about it: each setting that the
/// trainer has no key for.
///
/// # Errors
/// No steps, a task other than text generation, rows that are no texts, storage that refuses.
pub async fn write_run_file(
    trainer: Trainer,
    config: &RunConfig,
    (train, validation): (&Dataset, Option<&Dataset>),
    sink: &dyn StreamSink,
) -> Result<Vec<Message>> {
    check_steps(config)?;
    check_task(trainer, config, train)?;
    let rows = plain_rows(train)?;
    let form = match rows.first() {
        Some(row) if row.contains_key("messages") => RowForm::Messages,
        _ => RowForm::Texts,
    };
    let files = RowsFile {
        form,
        train: TRAIN.to_owned(),
        validation: validation.map(|_| HELD_OUT.to_owned()),
    };
    let written = run_file_of(trainer, config, &files);
    sink.write("run.yaml", written.text.as_bytes()).await?;
    sink.write(TRAIN, lines(&rows).as_bytes()).await?;
    if let Some(validation) = validation {
        sink.write(HELD_OUT, lines(&plain_rows(validation)?).as_bytes()).await?;
    }
    if trainer == Trainer::LlamaFactory {
        let info = dataset_info(&files).to_string();
        sink.write("dataset_info.json", info.as_bytes()).await?;
    }
    let program = trainer.name();
    let mut notes: Vec<Message> = Vec::new();
    for knob in written.lost {
        notes.push(msg::KnobNotInProgram { knob, program }.into());
    }
    notes.push(msg::OtherSplitAndOrder { program }.into());
    Ok(notes)
}

/// Refuses what these trainers' fine-tuning does not do.
fn check_task(trainer: Trainer, config: &RunConfig, data: &Dataset) -> Result<()> {
    let by_data = || {
        let signs = [
            (data.has_tags(), Task::TokenClassification),
            (data.has_preferences(), Task::Preference),
            (data.has_ranking(), Task::Ranking),
            (!config.label_columns.is_empty(), Task::Classification),
        ];
        signs.into_iter().find_map(|(is, task)| is.then_some(task))
    };
    let said = config.task.or(config.problem_type.map(|problem| problem.task()));
    match said.or_else(by_data) {
        None | Some(Task::Generation) => Ok(()),
        Some(task) => {
            let program = trainer.name();
            let error = Error::config(msg::TaskNotInProgram { task, program }).field("task");
            Err(error.remedy(msg::ExportScript))
        }
    }
}

fn lines(rows: &[Map<String, Value>]) -> String {
    let mut text = String::new();
    for row in rows {
        let _ = writeln!(text, "{}", json!(row));
    }
    text
}

/// LLaMA-Factory's dataset_info.json, where each file has its own name.
fn dataset_info(files: &RowsFile) -> Value {
    let described = |file: &String| match files.form {
        RowForm::Texts => json!({ "file_name": file, "columns": { "prompt": "text" } }),
        RowForm::Messages => json!({
            "file_name": file, "formatting": "sharegpt", "columns": { "messages": "messages" },
            "tags": { "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
                "system_tag": "system" }
        }),
    };
    let files = std::iter::once(&files.train).chain(&files.validation);
    files.map(|file| (file.clone(), described(file))).collect()
}
