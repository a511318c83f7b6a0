//! Steps whose numbers are read several at once: the same numbers, weights and events as where each is read by itself. In processes
//! of their own, because how many are read at once is the process's.

use lorakeet_core::config::RunConfig;
use lorakeet_core::device::read_every;
use lorakeet_core::error::Kind;
use lorakeet_core::host::Host;
use lorakeet_core::protocol::{Command, DeviceChoice, Event};
use lorakeet_core::store::MemorySink;
use lorakeet_tests::alone::alone;
use lorakeet_tests::test_session::{HOST, TestSession, failure};
use lorakeet_tests::tiny::{self, config};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Turns that others had.
static TURNS: AtomicUsize = AtomicUsize::new(0);

fn counting() -> Host {
    Host {
        yield_now: || {
            TURNS.fetch_add(1, Relaxed);
            Box::pin(std::future::ready(()))
        },
        ..HOST
    }
}

fn command(config: &RunConfig) -> Command {
    Command::Train {
        config: Box::new(config.clone()),
        sample_prompt: Some("say a".into()),
        watch: Vec::new(),
        keep: None,
    }
}

/// What happened, in its order: a word, and after how many steps.
fn course(session: &TestSession) -> Vec<(&'static str, usize)> {
    let course = session.events.iter().filter_map(|event| match event {
        Event::Step(step) => Some(("step", step.step)),
        Event::Eval(eval) => Some(("eval", eval.step)),
        Event::Sample { step, .. } => Some(("sample", *step)),
        Event::Checkpoint { step, .. } => Some(("checkpoint", *step)),
        Event::Paused { step } => Some(("paused", *step)),
        _ => None,
    });
    course.collect()
}

/// The weights and moments that a run left.
fn tensors(sink: &MemorySink) -> BTreeMap<String, Vec<u8>> {
    let files = sink.files().into_iter();
    files.filter(|(path, _)| path.ends_with(".safetensors")).collect()
}

/// Trains with so many steps a read; gives the session with what it left.
fn trained(device: DeviceChoice, config: &RunConfig, steps: usize) -> (TestSession, BTreeMap<String, Vec<u8>>) {
    read_every(steps);
    let mut session = TestSession::with(device, tiny::model_files(), tiny::data_file());
    let sink = Rc::new(MemorySink::new());
    session.inner.sink = Some(sink.clone());
    session.ask(command(config), Vec::new());
    let left = tensors(&sink);
    (session, left)
}

#[test]
fn steps_that_are_read_together_are_those_that_are_read_one_by_one() {
    alone(|| {
        let plain = config();
        let layered = RunConfig {
            gradient_checkpointing: true,
            max_grad_norm: 0.05,
            ..config()
        };
        for device in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
            for config in [&plain, &layered] {
                let (one, left_by_one) = trained(device, config, 1);
                let (four, left_by_four) = trained(device, config, 4);
                assert!(one.summary().finished && four.summary().finished, "{device:?}");
                assert_eq!(one.numbers().len(), 12);
                assert_eq!(four.numbers(), one.numbers(), "{device:?}");
                assert_eq!(course(&four), course(&one), "{device:?}");
                assert!(left_by_one.len() > 2, "{:?}", left_by_one.keys());
                assert!(left_by_four == left_by_one, "{device:?}: other weights or moments");
                let losses = |session: &TestSession| -> Vec<u64> {
                    session.evals().iter().map(|eval| eval.loss.to_bits()).collect()
                };
                assert_eq!(losses(&four), losses(&one), "{device:?}");
            }
        }
    });
}

#[test]
fn where_nothing_is_due_several_are_read_at_once() {
    alone(|| {
        let config = RunConfig {
            eval_steps: 0.0,
            save_steps: 0.0,
            max_steps: 9,
            ..config()
        };
        for (steps, most) in [(1, 1), (4, 4)] {
            read_every(steps);
            let mut session = TestSession::open_on(counting());
            let mut turns = Vec::new();
            session.ask_and(command(&config), Vec::new(), &mut |event, _| {
                if let Event::Step(_) = event {
                    turns.push(TURNS.load(Relaxed));
                }
            });
            assert_eq!(turns.len(), 9);
            // Those that are told of in one turn.
            let together = turns.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
            assert!(together.is_some_and(|found| found <= most), "{turns:?}");
            assert_eq!(together > Some(1), steps > 1, "{turns:?}");
        }
    });
}

#[test]
fn a_step_that_diverges_is_named_and_those_after_it_change_nothing() {
    alone(|| {
        let config = RunConfig {
            learning_rate: 1e30,
            lora_dropout: 0.0,
            eval_steps: 0.0,
            save_steps: 0.0,
            ..config()
        };
        for device in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
            let (one, left_by_one) = trained(device, &config, 1);
            let (four, left_by_four) = trained(device, &config, 4);
            let error = failure(&one);
            assert_eq!(error.kind, Kind::Diverged, "{device:?}");
            assert_eq!(failure(&four).to_string(), error.to_string(), "{device:?}");
            assert_eq!(course(&four), course(&one), "{device:?}");
            assert!(!left_by_one.is_empty());
            assert!(left_by_four == left_by_one, "{device:?}: other weights");
        }
    });
}

#[test]
fn a_pause_waits_for_what_was_asked_for_and_a_stop_counts_it() {
    alone(|| {
        read_every(16);
        let config = RunConfig {
            eval_steps: 0.0,
            save_steps: 0.0,
            max_steps: 40,
            ..config()
        };
        let mut session = TestSession::open();
        session.ask_and(command(&config), Vec::new(), &mut |event, control| match event {
            Event::Step(step) if step.step == 2 => control.pause(),
            Event::Paused { .. } => control.resume(),
            Event::Step(step) if step.step == 20 => control.stop(),
            _ => {}
        });
        let summary = session.summary();
        let steps: Vec<usize> = session.steps().iter().map(|step| step.step).collect();
        assert_eq!(steps, (1..=summary.steps).collect::<Vec<_>>(), "each once and in order");
        assert!(summary.steps >= 20 && !summary.finished, "{summary:?}");
        let course = course(&session);
        let place = course.iter().position(|(word, _)| *word == "paused").expect("a pause");
        let before = course[..place].iter().rev().find(|(word, _)| *word == "step");
        assert_eq!(before.map(|(_, step)| *step), Some(course[place].1), "{course:?}");
    });
}
