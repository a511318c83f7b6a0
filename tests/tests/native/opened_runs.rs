//! Runs that have ended, opened again in another session: what they came to, and the weights that they left.

use super::kept_runs::{record, short};
use lorakeet_core::config::{FinetuningType, RunConfig};
use lorakeet_core::protocol::{Command, DeviceChoice, Event, FilesCommand, Keep, OpenedRun, RunState};
use lorakeet_core::store::{MemoryFile, Shelf, Source};
use lorakeet_core::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;
use lorakeet_tests::memory_shelf::Disk;
use lorakeet_tests::test_session::{TestSession, failure};
use lorakeet_tests::tiny;
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

fn table(head: &str, row: impl Fn(usize) -> String) -> Source {
    let rows: String = (0..24).map(|i| format!("{}\n", row(i))).collect();
    MemoryFile::source("rows.csv", format!("{head}\n{rows}").into_bytes())
}

fn texts() -> Source {
    table("text,label", |i| {
        format!("say {},{}", "abc".repeat(1 + i % 3), ["one", "two"][i % 2])
    })
}

fn numbers() -> Source {
    table("x,y,label", |i| {
        format!("{},{},{}", i % 5, i % 3, ["up", "down"][i % 2])
    })
}

fn train(session: &mut TestSession, disk: Option<&Disk>, config: &RunConfig) {
    session.inner.shelf = disk.map(|disk| -> Rc<dyn Shelf> { disk.open(None) });
    let command = Command::Train {
        config: Box::new(config.clone()),
        sample_prompt: None,
        watch: Vec::new(),
        keep: disk.map(|_| Keep::New(Box::new(record("first", 1.0)))),
    };
    session.ask(command, Vec::new());
}

fn ask(session: &mut TestSession, disk: &Disk, weights: bool) {
    session.inner.shelf = Some(disk.open(None));
    let id = "first".to_owned();
    session.ask(Command::OpenRun { id, weights }, Vec::new());
}

fn open(session: &mut TestSession, disk: &Disk, weights: bool) -> OpenedRun {
    ask(session, disk, weights);
    match session.events.last() {
        Some(Event::RunOpened(opened)) => opened.as_ref().clone(),
        other => panic!("it was not opened: {other:?}"),
    }
}

/// The weights as they are handed over, and what the model comes to on a file.
fn judged(session: &mut TestSession, file: Source) -> (BTreeMap<String, Vec<u8>>, String) {
    session.exported.clear();
    session.ask(Command::ExportAdapter, Vec::new());
    let name = file.name().to_owned();
    session.ask(Command::ScoreFile { file: name }, vec![file]);
    match session.events.last() {
        Some(Event::FileScored(score)) => (session.exported.clone(), format!("{score:?}")),
        other => panic!("no score: {other:?}"),
    }
}

/// What a file of settings says, without what it leaves open.
fn said(bytes: &[u8]) -> BTreeMap<String, Value> {
    let read: BTreeMap<String, Value> = serde_json::from_slice(bytes).expect("JSON");
    read.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

#[test]
fn a_run_that_has_ended_is_opened_with_its_report_its_notes_and_its_weights() {
    let full = || RunConfig {
        finetuning_type: FinetuningType::Full,
        ..short()
    };
    let classes = RunConfig {
        task: Some(Task::Classification),
        ..short()
    };
    let bert = || TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), texts());
    let small = || TestSession::small("small_mlp", vec![numbers()]);
    type Case = (&'static str, fn() -> TestSession, RunConfig, Source);
    let cases: [Case; 4] = [
        ("an adapter", TestSession::open, short(), tiny::data_file()),
        ("all weights", TestSession::open, full(), tiny::data_file()),
        ("an adapter with a head", bert, classes, texts()),
        ("a small model", small, full(), numbers()),
    ];
    let mut has_notes = false;
    for (name, make, config, file) in cases {
        let disk = Disk::default();
        let mut first = make();
        let before = first.events.len();
        train(&mut first, Some(&disk), &config);
        assert!(first.summary().finished, "{name}");
        let mut notes: Vec<Message> = Vec::new();
        for event in &first.events[before..] {
            match event {
                Event::Warning { message } if !notes.contains(message) => notes.push(message.clone()),
                _ => {}
            }
        }
        has_notes |= !notes.is_empty();
        let (losses, wanted) = (first.numbers(), judged(&mut first, file.clone()));

        let mut again = make();
        let opened = open(&mut again, &disk, true);
        assert_eq!(opened.problem, None, "{name}");
        assert!(opened.has_weights && opened.has_data, "{name}");
        assert_eq!(
            (opened.record.state, &opened.record.notes),
            (RunState::Finished, &notes),
            "{name}"
        );
        assert_eq!(
            opened.curve.points.iter().map(|point| point.step).collect::<Vec<_>>(),
            [1, 2, 3, 4]
        );
        let report = first.events.iter().find_map(|event| match event {
            Event::Report(report) => Some(format!("{report:?}")),
            _ => None,
        });
        assert!(report.is_some(), "{name}");
        assert_eq!(
            opened.outcome.report.map(|report| format!("{report:?}")),
            report,
            "{name}"
        );
        assert!(
            opened.outcome.info.is_some() && opened.outcome.judgement.is_some(),
            "{name}"
        );
        let (files, score) = judged(&mut again, file);
        assert_eq!(
            files.keys().collect::<Vec<_>>(),
            wanted.0.keys().collect::<Vec<_>>(),
            "{name}"
        );
        for (file, bytes) in &files {
            match file.ends_with(".json") {
                true => assert_eq!(said(bytes), said(&wanted.0[file]), "{name}: {file}"),
                false => assert!(*bytes == wanted.0[file], "{name}: {file} holds others"),
            }
        }
        assert_eq!(score, wanted.1, "{name}");
        // The next run starts from the base.
        train(&mut again, None, &config);
        assert_eq!(again.numbers(), losses, "{name}");
    }
    assert!(has_notes);
}

#[test]
fn a_run_that_started_from_an_adapter_with_a_head_is_opened_on_its_model_whatever_is_on_that() {
    let config = RunConfig {
        task: Some(Task::Classification),
        ..short()
    };
    let bert = || TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), texts());
    let mut before = bert();
    train(&mut before, None, &config);
    before.ask(Command::ExportAdapter, Vec::new());
    let files = before.exported.iter();
    let files = files.map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    let adapter: Vec<Source> = files.collect();
    let put_on = |session: &mut TestSession| {
        session.ask(Command::Files(FilesCommand::Adapter), adapter.clone());
        assert!(matches!(session.events.last(), Some(Event::Files(_))));
    };

    let disk = Disk::default();
    let mut first = bert();
    put_on(&mut first);
    train(&mut first, Some(&disk), &config);
    first.summary();
    first.exported.clear();
    first.ask(Command::ExportAdapter, Vec::new());
    let wanted = &first.exported["adapter_model.safetensors"];
    for has_adapter in [false, true] {
        let mut again = bert();
        if has_adapter {
            put_on(&mut again);
        }
        let opened = open(&mut again, &disk, true);
        assert_eq!(opened.problem, None, "with another adapter on it: {has_adapter}");
        again.ask(Command::ExportAdapter, Vec::new());
        assert!(again.exported["adapter_model.safetensors"] == *wanted);
    }
}

#[test]
fn a_run_of_an_older_release_is_opened_without_what_that_did_not_keep() {
    let disk = Disk::default();
    let mut first = TestSession::open();
    first.inner.most_whole_bytes = 0;
    train(&mut first, Some(&disk), &short());
    assert_eq!(first.summary().steps, 4);
    first.ask(Command::ExportAdapter, Vec::new());
    disk.change("run-first", |files| {
        for bytes in files.values_mut() {
            let Ok(Value::Object(mut written)) = serde_json::from_slice::<Value>(bytes) else {
                continue;
            };
            if written.contains_key("predictions") {
                // There was no outcome.json.
                bytes.truncate(10);
            } else if written.contains_key("started_ms") {
                written.retain(|name, _| !["adapter", "notes"].contains(&name.as_str()));
                let settings = written.get_mut("settings").and_then(Value::as_object_mut);
                let later = ["header", "mask_personal", "prompt_columns", "enable_thinking"];
                settings
                    .expect("settings")
                    .retain(|name, _| !later.contains(&name.as_str()));
                let text = Value::Object(written).to_string();
                assert!(text.contains("sampled:"), "{text}");
                // It did not say that it had looked at samples.
                *bytes = text.replace("sampled:", "").into_bytes();
            }
        }
    });
    let mut again = TestSession::open();
    let opened = open(&mut again, &disk, true);
    assert_eq!(opened.problem, None);
    assert!(opened.has_weights && opened.has_data && opened.outcome.report.is_none());
    assert_eq!((opened.outcome.kept, opened.curve.points.len()), (4, 4));
    again.ask(Command::ExportAdapter, Vec::new());
    let weights = |session: &TestSession| session.exported["adapter_model.safetensors"].clone();
    assert!(weights(&again) == weights(&first));
}

#[test]
fn without_its_model_all_but_the_weights_of_a_run_is_told() {
    let disk = Disk::default();
    let mut first = TestSession::open();
    train(&mut first, Some(&disk), &short());
    // Nobody claims to have it.
    let mut empty = TestSession::empty();
    let opened = open(&mut empty, &disk, false);
    assert!(!opened.has_weights && opened.problem.is_none() && opened.outcome.report.is_some());
    let mut other = TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), tiny::data_file());
    let opened = open(&mut other, &disk, true);
    assert!(!opened.has_weights && opened.outcome.report.is_some());
    let problem = opened.problem.expect("it is another model");
    assert_eq!(problem.what, Message::from(msg::OtherModelThanRuns));
    assert!(problem.remedy.is_some());
}

#[test]
fn a_run_that_has_not_ended_is_not_opened_but_continued() {
    let disk = Disk::default();
    let mut cut = TestSession::open();
    cut.inner.shelf = Some(disk.open(Some(30)));
    cut.inner.save_interval_ms = 0.0;
    let command = Command::Train {
        config: Box::new(short()),
        sample_prompt: None,
        watch: Vec::new(),
        keep: Some(Keep::New(Box::new(record("first", 1.0)))),
    };
    cut.ask(command, Vec::new());
    let mut next = TestSession::open();
    ask(&mut next, &disk, true);
    assert_eq!(failure(&next).what, Message::from(msg::RunHasNotEnded));
}
