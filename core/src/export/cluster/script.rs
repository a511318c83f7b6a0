//! The folder of the script: train.py as it stands, and all that is a run's own as data beside it.

use super::{OwnHead, PreparedRun, readme, terms};
use crate::config::{InScript, KNOBS, Knob, Optimizer, RunConfig};
use crate::data::{Cursor, Example, Target, order};
use crate::error::{Error, Result};
use crate::store::StreamSink;
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The script, and its part with the losses of texts that belong together.
const SCRIPT: &str = include_str!("train.py");
const TOGETHER: &str = include_str!("together.py");

/// Its packages, in the releases that it was tried with.
const REQUIREMENTS: &str =
    "accelerate==1.15.0\npeft==0.21.2\nsafetensors==0.8.0\ntorch==2.15.0\ntransformers==5.23.0\n";
const BITSANDBYTES: &str = "bitsandbytes==0.50.2\n";

/// Rows that are written at a time.
const ROWS_AT_A_TIME: usize = 1024;

/// Knobs that the script has in its settings by their own names.
fn settings_of_knobs() -> impl Iterator<Item = &'static Knob> {
    KNOBS.iter().filter(|knob| knob.in_script == InScript::Setting)
}

/// Writes the folder of a script that goes on with `run`, and gives what there is to say about it.
///
/// # Errors
/// Storage refuses.
pub async fn write_script(run: &PreparedRun, sink: &dyn StreamSink) -> Result<Vec<Message>> {
    let settings = settings(run);
    let left = left_out(&run.config);
    let needs_bitsandbytes = run.config.quantization_bit.is_some() || run.config.optim == Optimizer::Adamw8bit;
    let requirements = match needs_bitsandbytes {
        true => [REQUIREMENTS, BITSANDBYTES].concat(),
        false => REQUIREMENTS.to_owned(),
    };
    sink.write("train.py", SCRIPT.as_bytes()).await?;
    sink.write("together.py", TOGETHER.as_bytes()).await?;
    sink.write("requirements.txt", requirements.as_bytes()).await?;
    write_rows(run, &run.train, "rows.jsonl", sink).await?;
    if !run.held_out.is_empty() {
        write_rows(run, &run.held_out, "eval.jsonl", sink).await?;
    }
    let order = json!({ "rows": run.train.len(), "steps": steps(run) });
    sink.write("order.json", order.to_string().as_bytes()).await?;
    for (name, bytes) in &run.adapter {
        sink.write(&format!("adapter/{name}"), bytes).await?;
    }
    if let Some(moments) = &run.optimizer {
        sink.write("adapter/optimizer.safetensors", moments).await?;
    }
    let state = json!({ "global_step": run.first_step });
    sink.write("adapter/trainer_state.json", state.to_string().as_bytes())
        .await?;
    let text = serde_json::to_string_pretty(&settings);
    let text = text.map_err(|error| Error::internal(Message::verbatim(error.to_string())))?;
    sink.write("train_config.json", text.as_bytes()).await?;
    let readme = readme::of_script(run, &left);
    sink.write("README.md", readme.as_bytes()).await?;
    Ok(notes(run, &left))
}

/// train_config.json: settings as they were resolved, with steps where a run file may have shares.
fn settings(run: &PreparedRun) -> Value {
    let (config, plan) = (&run.config, &run.plan);
    let knobs = settings_of_knobs().map(|knob| {
        let value = config.get(knob.name).unwrap_or_default();
        (knob.name.to_owned(), value)
    });
    let mut settings: Map<String, Value> = knobs.collect();
    let (model, revision) = on_hub(&config.model_name_or_path);
    let every = |due: &dyn Fn(usize) -> bool| (1..=plan.max_steps).find(|step| due(*step)).unwrap_or(0);
    let own = json!({
        "kind": run.class.name(),
        "model": model,
        "revision": revision,
        "dtype": "float32",
        "labels": run.labels,
        "pad_token_id": run.pad_token_id,
        "max_steps": plan.max_steps,
        "steps_per_epoch": plan.steps_per_epoch,
        "warmup_steps": plan.warmup_steps,
        // The last step is reported, scored and saved in any case.
        "logging_steps": every(&|step| step < plan.max_steps && config.logs_at(step, plan)),
        "eval_steps": every(&|step| config.evaluates_at(step, plan)),
        "save_steps": every(&|step| config.saves_at(step, plan)),
        "answers": match run.task {
            Task::MultiLabel => "labels",
            Task::Regression => "numbers",
            Task::Preference => "answers",
            Task::Ranking => "scores",
            Task::Embedding => "vectors",
            Task::Generation | Task::Classification | Task::TokenClassification => "classes",
        },
        "compares_batch": run.loss.compares_batch(),
        "pooling": run.pooling.name(),
        "terms": terms(&run.loss),
        "head": run.head.as_ref().map(OwnHead::to_json),
        "no_decay": run.no_decay,
    });
    if let Value::Object(own) = own {
        settings.extend(own);
    }
    Value::Object(settings)
}

/// Name and revision of a model on a hub, which one text names together; a path stays as it is.
fn on_hub(model: &str) -> (&str, Option<&str>) {
    let is_path = model.starts_with(['/', '.', '~']) || model.contains('\\') || model.matches('/').count() != 1;
    match model.split_once('@').filter(|_| !is_path) {
        Some((name, revision)) => (name, Some(revision.split(':').next().unwrap_or(revision))),
        None => (model, None),
    }
}

/// The rows of each micro-batch of each optimizer step, from the run's first step on.
fn steps(run: &PreparedRun) -> Vec<Vec<Vec<usize>>> {
    let config = &run.config;
    let (rows, batches) = (config.per_device_train_batch_size, config.gradient_accumulation_steps);
    let seed = config.data_seed.unwrap_or(config.seed);
    let (mut cursor, mut of_epoch) = (Cursor::default(), Vec::new());
    let mut steps = Vec::with_capacity(run.plan.max_steps);
    for _ in 0..run.plan.max_steps {
        if cursor.position == 0 {
            of_epoch = order(run.train.len(), seed, cursor.epoch);
        }
        steps.push(cursor.take_step(&of_epoch, rows, batches));
    }
    steps
}

/// One row of `examples` a line: token ids, what is learnt of them (`label` a class, `targets` numbers or flags, `labels` of tokens),
/// the row's number in the data file, and of a packed row where each example but the first begins. Of rows whose texts are compared,
/// `texts` has those of each text: the chosen answer and the rejected one; a query and its documents, each with its query or apart.
async fn write_rows(run: &PreparedRun, examples: &[Example], name: &str, sink: &dyn StreamSink) -> Result<()> {
    let mut pieces = sink.create(name).await?;
    for some in examples.chunks(ROWS_AT_A_TIME) {
        let mut text = String::new();
        for example in some {
            let _ = writeln!(text, "{}", row(run, example));
        }
        pieces.append(text.as_bytes()).await?;
    }
    pieces.finish().await
}

fn row(run: &PreparedRun, example: &Example) -> Value {
    if matches!(run.task, Task::Preference | Task::Ranking | Task::Embedding) {
        return row_of_texts(run, example);
    }
    let mut row = json!({ "row": example.row, "input_ids": example.input_ids });
    match &example.target {
        // Of a classifier the class; it has the names of `labels` in train_config.json.
        Target::Row(labels) if run.task == Task::Classification => {
            row["label"] = json!(labels.first().map_or(0, |class| *class as usize));
        }
        Target::Row(labels) if matches!(run.task, Task::MultiLabel | Task::Regression) => {
            row["targets"] = json!(labels);
        }
        Target::Answer(labels) | Target::Tokens(labels) => row["labels"] = json!(labels),
        Target::NextTokens | Target::Row(_) => row["labels"] = json!(example.next_token_labels()),
    }
    if !example.token_type_ids.is_empty() {
        row["token_type_ids"] = json!(example.token_type_ids);
    }
    if !example.starts.is_empty() {
        row["starts"] = example.starts.iter().map(|start| start.token).collect();
    }
    row
}

/// A row whose texts belong together: `reference` is the log-probability of an answer by the model that the run began with, `grade` how
/// relevant a document is, `likeness` how alike two texts are.
fn row_of_texts(run: &PreparedRun, example: &Example) -> Value {
    let number = |example: &Example| match &example.target {
        Target::Row(numbers) => numbers.first().copied().unwrap_or_default(),
        _ => 0.0,
    };
    let text = |example: &Example| {
        let mut text = json!({ "input_ids": example.input_ids });
        if !example.token_type_ids.is_empty() {
            text["token_type_ids"] = json!(example.token_type_ids);
        }
        match run.task {
            Task::Preference => {
                text["labels"] = json!(example.next_token_labels());
                text["reference"] = json!(number(example));
            }
            Task::Ranking => text["grade"] = json!(number(example)),
            _ => {}
        }
        text
    };
    let texts = std::iter::once(example).chain(&example.others).map(text);
    let mut row = json!({ "row": example.row, "texts": texts.collect::<Vec<_>>() });
    if run.task == Task::Embedding && run.loss.is_of_numbers() {
        row["likeness"] = json!(number(example));
    }
    row
}

/// Knobs that differ from their defaults and that the script does not have.
fn left_out(config: &RunConfig) -> Vec<&'static str> {
    let changed = config.changed().into_iter().map(|(knob, _)| knob);
    let left = changed.filter(|knob| knob.in_script == InScript::LeftOut);
    left.map(|knob| knob.name).collect()
}

fn notes(run: &PreparedRun, left: &[&str]) -> Vec<Message> {
    let mut notes: Vec<Message> = left.iter().map(|&knob| msg::KnobNotInScript { knob }.into()).collect();
    if run.is_gguf {
        notes.push(msg::BaseIsGguf.into());
    }
    if run.first_step > 0 && run.optimizer.is_none() {
        notes.push(msg::MomentsStartAnew.into());
    }
    if run.config.lora_dropout > 0.0 || run.head.as_ref().is_some_and(|head| head.dropout > 0.0) {
        notes.push(msg::OtherDropoutMasks.into());
    }
    if run.config.quantization_bit == Some(8) {
        notes.push(msg::OtherEightBits.into());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_told_from_the_name_of_a_model() {
        assert_eq!(on_hub("org/name@main"), ("org/name", Some("main")));
        assert_eq!(on_hub("org/name@v1:model.gguf"), ("org/name", Some("v1")));
        for model in ["org/name", "./models@home/x", "/models/a@b", "model.gguf"] {
            assert_eq!(on_hub(model), (model, None));
        }
    }

    #[test]
    fn the_script_reads_no_setting_that_is_not_written() {
        let knobs: Vec<&str> = settings_of_knobs().map(|knob| knob.name).collect();
        let own = [
            "kind",
            "model",
            "revision",
            "dtype",
            "labels",
            "pad_token_id",
            "max_steps",
            "warmup_steps",
            "logging_steps",
            "eval_steps",
            "save_steps",
            "answers",
            "compares_batch",
            "pooling",
            "terms",
            "head",
            "no_decay",
        ];
        for (at, _) in SCRIPT.match_indices("settings.") {
            let rest = &SCRIPT[at + "settings.".len()..];
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            assert!(knobs.contains(&name) || own.contains(&name), "{name}");
        }
    }
}
