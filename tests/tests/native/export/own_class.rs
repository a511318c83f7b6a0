//! Heads that transformers has no class for leave with a class of their own, and are read back as they are.

use super::pieces::written;
use lorakeet_core::{
    config::{FinetuningType, HeadPooling, RunConfig},
    export::Form,
    own_class::{CLASS, CLASS_FILE},
    protocol::{Command, DeviceChoice, Event},
    store::{MemoryFile, Source},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    rows::{classes, prices},
    test_session::TestSession,
    tiny,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn config_of(files: &BTreeMap<String, Vec<u8>>) -> Value {
    serde_json::from_slice(&files["config.json"]).expect("JSON")
}

/// A run on a decoder's head, and its merged model.
fn merged(run: RunConfig, data: Source) -> (TestSession, BTreeMap<String, Vec<u8>>, Vec<Event>) {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), data);
    session.train(run);
    session.summary();
    let (files, said) = written(&mut session, (Form::Merged, None, 0), |_, _| ());
    (session, files, said)
}

#[test]
fn a_head_that_transformers_lacks_is_exported_with_its_class_and_scores_as_before() {
    let of_mean = RunConfig {
        task: Some(Task::Classification),
        classifier_pooling: Some(HeadPooling::Mean),
        classifier_hidden_size: 4,
        ..tiny::config()
    };
    let of_numbers = RunConfig {
        task: Some(Task::Regression),
        label_columns: vec!["price".into()],
        ..tiny::config()
    };
    for (run, data) in [(of_mean, classes(60)), (of_numbers, prices(60))] {
        let task = run.task;
        let (session, files, said) = merged(run.clone(), data.clone());
        let config = config_of(&files);
        assert_eq!(config["model_type"], "lorakeet", "{config}");
        assert_eq!(
            config["auto_map"]["AutoModelForSequenceClassification"],
            "modeling_lorakeet.LorakeetForSequenceClassification"
        );
        assert_eq!(files[CLASS_FILE], CLASS.as_bytes());
        let card = String::from_utf8(files["README.md"].clone()).expect("text");
        assert!(card.contains("trust_remote_code=True"), "{card}");
        assert!(format!("{said:?}").contains("export.OwnClass"), "{said:?}");

        let wanted = session.summary().eval_loss_after.expect("rows are held out");
        let files = files.into_iter().map(|(name, bytes)| MemoryFile::source(name, bytes));
        let mut again = TestSession::with(DeviceChoice::Cpu, files.collect(), data);
        let found = block_on(again.inner.evaluate_held_out(&run, &mut |_, _| ())).expect("it is scored");
        let found = found.expect("rows are held out").loss;
        assert!((found - wanted).abs() < 1e-4, "{task:?}: {found}, not {wanted}");
    }
}

#[test]
fn a_model_that_was_trained_throughout_leaves_with_it_too() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), classes(60));
    session.train(RunConfig {
        task: Some(Task::Classification),
        classifier_pooling: Some(HeadPooling::Mean),
        finetuning_type: FinetuningType::Full,
        ..tiny::config()
    });
    session.summary();
    session.ask(Command::ExportAdapter, Vec::new());
    let config: Value = serde_json::from_slice(&session.exported["config.json"]).expect("JSON");
    assert_eq!(config["architectures"], json!(["LorakeetForSequenceClassification"]));
    assert_eq!(session.exported[CLASS_FILE], CLASS.as_bytes());
}

#[test]
fn a_head_of_transformers_leaves_as_it_is() {
    let run = RunConfig {
        task: Some(Task::Classification),
        ..tiny::config()
    };
    let (_, files, _) = merged(run, classes(60));
    assert_eq!(
        config_of(&files)["architectures"],
        json!(["LlamaForSequenceClassification"])
    );
    assert!(!files.contains_key(CLASS_FILE));
}
