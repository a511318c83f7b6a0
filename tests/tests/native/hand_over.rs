//! A run that is handed over to the front end goes on in another session, without storage, to the numbers that it would have come to.

use lorakeet_core::config::RunConfig;
use lorakeet_core::protocol::{Command, Event};
use lorakeet_core::store::{MemoryFile, Source};
use lorakeet_tests::test_session::{TestSession, failure};
use lorakeet_tests::tiny::config;
use std::collections::BTreeMap;

/// Four steps with scores and dropout, whose best weights are kept.
fn short() -> RunConfig {
    RunConfig {
        max_steps: 4,
        eval_steps: 2.0,
        load_best_model_at_end: true,
        lora_dropout: 0.1,
        ..config()
    }
}

fn session() -> TestSession {
    let mut session = TestSession::open();
    session.inner.hands_over = true;
    session
}

fn train(config: RunConfig) -> Command {
    Command::Train {
        config: Box::new(config),
        sample_prompt: None,
        watch: Vec::new(),
        keep: None,
    }
}

/// The checkpoint of a run that is asked for it after step 2, and stopped after the next one.
fn handed_over() -> BTreeMap<String, Vec<u8>> {
    let mut session = session();
    session.ask_and(train(short()), Vec::new(), &mut |event, control| match event {
        Event::Step(step) if step.step == 2 => control.request(Command::HandOver),
        Event::Step(step) if step.step == 3 => control.stop(),
        _ => {}
    });
    let files = session.events.iter().filter_map(|event| match event {
        Event::CheckpointFile { name, bytes } => Some((name.clone(), *bytes)),
        _ => None,
    });
    let files: Vec<(String, u64)> = files.collect();
    assert_eq!(files.last().map(|(name, _)| name.as_str()), Some("manifest.json"));
    for (name, bytes) in &files {
        assert_eq!(session.exported[name].len() as u64, *bytes, "{name}");
    }
    session.exported
}

fn sources(files: &BTreeMap<String, Vec<u8>>) -> Vec<Source> {
    let source = |(name, bytes): (&String, &Vec<u8>)| MemoryFile::source(name.clone(), bytes.clone());
    files.iter().map(source).collect()
}

#[test]
fn a_run_that_is_handed_over_goes_on_elsewhere_to_the_same_numbers() {
    let mut whole = session();
    whole.ask(train(short()), Vec::new());
    let files = handed_over();

    let mut next = session();
    next.ask(train(short()), sources(&files));
    assert_eq!(next.numbers(), whole.numbers()[2..]);
    assert_eq!(next.summary().eval_loss_before, whole.summary().eval_loss_before);
    assert_eq!(next.summary().eval_loss_after, whole.summary().eval_loss_after);
    let mut adapters = [next, whole].map(|mut session| {
        session.ask(Command::ExportAdapter, Vec::new());
        session.exported.remove("adapter_model.safetensors")
    });
    assert!(adapters[0].is_some());
    assert_eq!(adapters[0].take(), adapters[1].take());
}

#[test]
fn what_is_handed_over_goes_on_as_the_run_that_it_is_of_and_only_whole() {
    let mut files = handed_over();
    let mut other = session();
    let settings = RunConfig {
        learning_rate: 0.5,
        ..short()
    };
    other.ask(train(settings), sources(&files));
    assert!(
        failure(&other).to_string().contains("learning_rate"),
        "{}",
        failure(&other)
    );
    files.remove("optimizer.safetensors");
    let mut torn = session();
    torn.ask(train(short()), sources(&files));
    assert!(torn.numbers().is_empty(), "nothing is trained from half a checkpoint");
    assert_eq!(failure(&torn).file.as_deref(), Some("optimizer.safetensors"));
}

#[test]
fn before_the_first_step_there_is_nothing_to_hand_over() {
    let mut session = session();
    session.ask_and(train(short()), Vec::new(), &mut |event, control| {
        if matches!(event, Event::Started(_)) {
            control.request(Command::HandOver);
        }
    });
    let files = session.events.iter();
    assert_eq!(
        files
            .filter(|event| matches!(event, Event::CheckpointFile { .. }))
            .count(),
        0
    );
    assert!(session.summary().finished);
}
