//! Kernels that a GPU compiles for a run: before its first step, told one after the other, without changing a number.
//!
//! In processes of their own, because what is compiled is the process's.

use lorakeet_core::config::RunConfig;
use lorakeet_core::device::{compile_ahead, limit_pass_rows};
use lorakeet_core::protocol::{Command, DeviceChoice, Event, Stage, StepInfo};
use lorakeet_core::store::{MemoryFile, MemorySink, Source};
use lorakeet_tests::alone::alone;
use lorakeet_tests::rows::{pairs_of_letters, table};
use lorakeet_tests::test_session::TestSession;
use lorakeet_tests::tiny::{self, config};
use serde_json::json;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Steps of [`short`].
const STEPS: usize = 8;

/// Eight steps of two micro-batches and nothing besides: no more shapes than are looked at.
fn short() -> RunConfig {
    RunConfig {
        max_steps: STEPS as i64,
        eval_steps: 0.0,
        save_steps: 0.0,
        cutoff_len: 64,
        ..config()
    }
}

/// Texts of many lengths.
fn texts() -> Source {
    let row = |i: usize| {
        let letter = char::from(b'a' + (i % 26) as u8);
        let word: String = std::iter::repeat_n(letter, 1 + 7 * i % 50).collect();
        format!(
            "{}\n",
            json!({ "prompt": format!("say {letter}"), "completion": format!(" {word}.") })
        )
    };
    let rows: String = (0..40).map(row).collect();
    MemoryFile::source("rows.jsonl", rows.into_bytes())
}

/// The same with classes.
fn classes() -> Source {
    let rows = pairs_of_letters(40).into_iter().enumerate();
    let name = |same| if same { "same" } else { "other" };
    table(
        "text,label",
        rows.map(|(i, (text, same))| format!("{},{}", text.repeat(1 + i % 6), name(same))),
    )
}

fn decoder(device: DeviceChoice) -> TestSession {
    TestSession::with(device, tiny::model_files(), texts())
}

fn classifier(device: DeviceChoice) -> TestSession {
    TestSession::with(device, tiny::bert_files(), classes())
}

fn command(config: RunConfig) -> Command {
    Command::Train {
        config: Box::new(config),
        sample_prompt: None,
        watch: Vec::new(),
        keep: None,
    }
}

/// Trains; gives what was told of kernels: after how many steps, how many, and of how many.
fn train(session: &mut TestSession) -> Vec<(usize, u64, u64)> {
    session.events.clear();
    let (mut steps, mut told) = (0, Vec::new());
    session.ask_and(command(short()), Vec::new(), &mut |event, _| match event {
        Event::Step(_) => steps += 1,
        Event::Progress {
            stage: Stage::Compile,
            done,
            total,
        } => told.push((steps, *done, *total)),
        _ => {}
    });
    assert!(session.summary().finished);
    assert_eq!(steps, STEPS);
    told
}

/// Whether each step knows the speed, and how long the run will take.
fn all_know_the_speed(session: &TestSession) -> bool {
    let steps = session.steps();
    let known = |step: &StepInfo| step.tokens_per_second.is_finite() && step.eta_seconds.is_finite();
    steps.len() == STEPS && steps.iter().all(known)
}

/// All kernels are told of before the first step, counted up to a number that is known from the beginning; a step that waited for
/// another one would say that it is ready, too, and would know no speed. A second run has nothing to compile.
fn no_step_waits(mut session: TestSession) {
    let told = train(&mut session);
    let all = told.first().expect("a GPU compiles something").2;
    assert!(all > 0 && told[0] == (0, 0, all), "{told:?}");
    assert!(
        told.iter().all(|(steps, _, total)| *steps == 0 && *total == all),
        "{told:?}"
    );
    assert!(told.windows(2).all(|two| two[0].1 < two[1].1), "{told:?}");
    assert_eq!(told.last(), Some(&(0, all, all)));
    assert!(all_know_the_speed(&session));

    assert!(train(&mut session).is_empty());
    assert!(all_know_the_speed(&session));
}

#[test]
fn no_step_of_a_decoder_waits_for_a_kernel() {
    alone(|| no_step_waits(decoder(DeviceChoice::Gpu)));
}

#[test]
fn no_step_of_a_classifier_waits_for_a_kernel() {
    alone(|| no_step_waits(classifier(DeviceChoice::Gpu)));
}

#[test]
fn a_step_that_needs_another_kernel_tells_of_it_and_knows_no_speed() {
    alone(|| {
        compile_ahead(false);
        let mut session = decoder(DeviceChoice::Gpu);
        let told = train(&mut session);
        let ready = told.iter().find(|(_, _, total)| *total > 0);
        let (steps, done, total) = *ready.expect("kernels are ready");
        assert!(steps == 0 && done == total, "{told:?}");
        assert!(!session.steps()[0].tokens_per_second.is_finite());
    });
}

#[test]
fn a_cpu_compiles_nothing() {
    let mut session = decoder(DeviceChoice::Cpu);
    assert!(train(&mut session).is_empty());
    assert!(all_know_the_speed(&session));
}

/// What a run left: the numbers of each step, and weights and moments.
struct Left {
    numbers: Vec<(usize, u64, u64, u64)>,
    tensors: BTreeMap<String, Vec<u8>>,
}

fn left(mut session: TestSession, config: &RunConfig) -> Left {
    let sink = Rc::new(MemorySink::new());
    session.inner.sink = Some(sink.clone());
    session.ask(command(config.clone()), Vec::new());
    assert!(session.summary().finished);
    let files = sink.files().into_iter();
    Left {
        numbers: session.numbers(),
        tensors: files.filter(|(path, _)| path.ends_with(".safetensors")).collect(),
    }
}

#[test]
fn a_rehearsal_changes_no_number_of_a_run() {
    alone(|| {
        let layered = RunConfig {
            gradient_checkpointing: true,
            ..config()
        };
        let one_at_a_time = RunConfig {
            gradient_accumulation_steps: 1,
            ..config()
        };
        let models: [fn(DeviceChoice) -> TestSession; 2] = [decoder, classifier];
        for open in models {
            for config in [&config(), &layered, &one_at_a_time] {
                let [with, without] = [true, false].map(|ahead| {
                    compile_ahead(ahead);
                    left(open(DeviceChoice::Gpu), config)
                });
                assert!(
                    with.numbers.len() == 12 && with.tensors.len() > 2,
                    "{:?}",
                    with.tensors.keys()
                );
                assert_eq!(with.numbers, without.numbers);
                assert!(with.tensors == without.tensors, "other weights or moments");
            }
        }
    });
}

#[test]
fn a_stop_is_heard_while_kernels_are_compiled() {
    alone(|| {
        let mut session = decoder(DeviceChoice::Gpu);
        let mut told = Vec::new();
        session.ask_and(command(short()), Vec::new(), &mut |event, control| {
            if let Event::Progress {
                stage: Stage::Compile,
                done,
                total,
            } = event
            {
                told.push((*done, *total));
                control.stop();
            }
        });
        let summary = session.summary();
        assert!(!summary.finished && summary.steps == 0 && session.steps().is_empty());
        // It is over with those that were under way, and nobody says that all are ready.
        assert!(told.len() == 1 && told[0].0 == 0 && told[0].1 > 0, "{told:?}");
    });
}

#[test]
fn a_pause_is_heard_while_kernels_are_compiled() {
    alone(|| {
        let mut session = decoder(DeviceChoice::Gpu);
        let (mut told, mut told_at_pause) = (Vec::new(), Vec::new());
        session.ask_and(command(short()), Vec::new(), &mut |event, control| match event {
            Event::Progress {
                stage: Stage::Compile,
                done,
                total,
            } => {
                told.push((*done, *total));
                if told.len() == 1 {
                    control.pause();
                }
            }
            Event::Paused { step: 0 } => {
                told_at_pause.clone_from(&told);
                control.resume();
            }
            _ => {}
        });
        assert!(session.summary().finished);
        assert_eq!(session.steps().len(), STEPS);
        assert!(told.len() > 2, "{told:?}");
        assert_eq!(told_at_pause, told[..1]);
        let (done, total) = told[told.len() - 1];
        assert!(done == total, "{told:?}");
    });
}

#[test]
fn a_run_that_was_stopped_before_compiles_nothing() {
    alone(|| {
        let mut session = decoder(DeviceChoice::Gpu);
        let (mut is_stopped, mut told) = (false, Vec::new());
        session.ask_and(command(short()), Vec::new(), &mut |event, control| match event {
            // What it starts from is scored.
            Event::Eval(_) => {
                is_stopped = true;
                control.stop();
            }
            Event::Progress {
                stage: Stage::Compile,
                done,
                total,
            } => told.push((*done, *total)),
            _ => {}
        });
        let summary = session.summary();
        assert!(is_stopped && !summary.finished && summary.steps == 0);
        assert!(told.is_empty(), "{told:?}");
    });
}

#[test]
fn a_rehearsal_that_does_not_fit_leaves_it_to_the_step() {
    alone(|| {
        let mut session = decoder(DeviceChoice::Gpu);
        limit_pass_rows(1);
        session.ask(command(short()), Vec::new());
        limit_pass_rows(usize::MAX);
        assert!(session.summary().finished);
        let halved = session.events.iter().find_map(|event| match event {
            Event::Halved { step, rows, .. } => Some((*step, *rows)),
            _ => None,
        });
        assert_eq!(halved, Some((1, 1)));
        assert_eq!(session.steps().len(), STEPS);
    });
}
