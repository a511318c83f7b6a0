//! Every task from rows to metrics to prediction, on models of a few thousand weights: what is learnt, what it is compared
//! with, and what is said where it cannot be.

mod classification;
mod embedding;
mod generation;
mod head_start;
mod heads;
mod judging;
mod measured;
mod preference;
mod preview;
mod ranking;
mod refusals;
mod regression;
mod seq2seq;
mod token_classification;
mod typed;

use lorakeet_core::{
    config::RunConfig,
    protocol::{Command, DeviceChoice, EvalInfo, Event, PredictionTable, Report},
    store::{MemoryFile, Source},
};
use lorakeet_tests::{
    golden::block_on,
    test_session::{TestSession, find},
    tiny,
};

/// 150 steps of LoRA that learn it.
fn config() -> RunConfig {
    RunConfig {
        model_name_or_path: "tiny".into(),
        train_file: "rows.csv".into(),
        output_dir: "out".into(),
        per_device_train_batch_size: 8,
        per_device_eval_batch_size: 16,
        gradient_accumulation_steps: 2,
        learning_rate: 1e-2,
        lora_r: 16,
        lora_alpha: 32.0,
        lora_dropout: 0.0,
        val_size: 60.0,
        max_steps: 150,
        eval_steps: 50.0,
        save_steps: 0.0,
        cutoff_len: 32,
        ..RunConfig::default()
    }
}

fn bert(data: Source) -> TestSession {
    TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), data)
}

fn predictions(session: &TestSession) -> PredictionTable {
    find(session, |event| match event {
        Event::Predictions(table) => Some(table.clone()),
        _ => None,
    })
}

/// The best baseline's value of a metric where more is better.
fn to_beat(report: &Report, name: &str) -> f64 {
    let values = report.baselines.iter().flat_map(|baseline| &baseline.metrics);
    values
        .filter(|metric| metric.name == name)
        .map(|metric| metric.value)
        .fold(f64::NEG_INFINITY, f64::max)
}

/// What was exported, in another session on the same model.
fn reloaded(session: &mut TestSession, device: DeviceChoice, model: Vec<Source>, data: Source) -> TestSession {
    session.ask(Command::ExportAdapter, Vec::new());
    let files = session.exported.iter();
    let files = files.map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    let mut other = TestSession::with(device, model, data);
    block_on(other.inner.load_adapter_files(files.collect(), &mut |_, _| ())).expect("the adapter loads");
    other
}

fn scored(session: &mut TestSession) -> EvalInfo {
    block_on(session.inner.evaluate(&config(), &mut |_, _| ())).expect("a score")
}

/// One JSON object a line.
fn lines(rows: impl Iterator<Item = serde_json::Value>) -> Source {
    let rows: Vec<String> = rows.map(|row| row.to_string()).collect();
    MemoryFile::source("rows.jsonl", rows.join("\n").into_bytes())
}
