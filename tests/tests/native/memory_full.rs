//! A device whose memory is full in the middle of a run: the step is taken again in halves, which learn the same, or the run ends
//! with a way out. Each test has a process of its own, for what the device reports is the process's.

use lorakeet_core::config::RunConfig;
use lorakeet_core::device::limit_pass_rows;
use lorakeet_core::error::Kind;
use lorakeet_core::protocol::{Command, DeviceChoice, Event};
use lorakeet_core::store::{MemorySink, Source};
use lorakeet_tests::alone::alone;
use lorakeet_tests::rows::{classes, table};
use lorakeet_tests::test_session::{TestSession, checkpoint, failure};
use lorakeet_tests::tiny::{self, config};
use std::rc::Rc;

/// Four rows at a time in two micro-batches, of an epoch that ends with fewer.
fn short() -> RunConfig {
    RunConfig {
        per_device_train_batch_size: 4,
        lora_dropout: 0.0,
        learning_rate: 1e-2,
        max_steps: 8,
        eval_steps: 0.0,
        save_steps: 0.0,
        ..config()
    }
}

/// Trains, and has the memory full from after this step on, in passes over more than so many rows.
fn train(session: &mut TestSession, config: RunConfig, full: Option<(usize, usize)>) {
    let command = Command::Train {
        config: Box::new(config),
        sample_prompt: None,
        watch: Vec::new(),
        keep: None,
    };
    session.ask_and(command, Vec::new(), &mut |event, _| match (event, full) {
        (Event::Step(step), Some((after, rows))) if step.step == after => limit_pass_rows(rows),
        _ => {}
    });
    limit_pass_rows(usize::MAX);
}

/// Steps, rows and batches of the halvings.
fn halvings(session: &TestSession) -> Vec<(usize, usize, usize)> {
    let halvings = session.events.iter().filter_map(|event| match event {
        Event::Halved { step, rows, batches } => Some((*step, *rows, *batches)),
        _ => None,
    });
    halvings.collect()
}

fn preferences() -> Source {
    let letters = "abcdefgh";
    let rows = (0..30).map(|i| format!("say {},{} cd,ef", &letters[i % 7..], &letters[i % 5..]));
    table("prompt,chosen,rejected", rows)
}

fn queries() -> Source {
    table(
        "query,positive",
        (0..30).map(|i| format!("{},{}", &"abcdefgh"[i % 7..], &"ijklmnop"[i % 7..])),
    )
}

#[test]
fn a_step_that_does_not_fit_is_taken_in_halves_and_the_run_learns_the_same() {
    alone(|| {
        type Case = (
            &'static str,
            fn() -> TestSession,
            usize,
            &'static [(usize, usize, usize)],
        );
        let cases: [Case; 3] = [
            ("texts", TestSession::open, 1, &[(4, 2, 4), (4, 1, 8)]),
            (
                "classes",
                || TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), classes(40)),
                3,
                &[(4, 2, 4)],
            ),
            // A pair is two rows for the model, and the epoch ends with two pairs, which fit.
            (
                "pairs",
                || TestSession::with(DeviceChoice::Cpu, tiny::model_files(), preferences()),
                4,
                &[(5, 2, 4)],
            ),
        ];
        for (name, open, rows, wanted) in cases {
            let mut whole = open();
            train(&mut whole, short(), None);
            assert!(whole.summary().finished && halvings(&whole).is_empty(), "{name}");
            let mut halved = open();
            train(&mut halved, short(), Some((3, rows)));
            assert!(halved.summary().finished, "{name}");
            assert_eq!(halvings(&halved), wanted, "{name}");
            let (before, after) = (whole.steps(), halved.steps());
            assert_eq!((before.len(), after.len()), (8, 8), "{name}");
            assert_eq!(halved.numbers()[..3], whole.numbers()[..3], "{name}: until then");
            for (one, other) in before.iter().zip(&after) {
                // The same rows, each once, and the same mean over them.
                let step = one.step;
                assert_eq!(
                    one.num_input_tokens_seen, other.num_input_tokens_seen,
                    "{name}, step {step}"
                );
                assert_eq!(one.learning_rate, other.learning_rate, "{name}, step {step}");
                for (a, b) in [(one.loss, other.loss), (one.grad_norm, other.grad_norm)] {
                    assert!(
                        (a - b).abs() <= 1e-4 * a.abs().max(1e-3),
                        "{name}, step {step}: {a} and {b}"
                    );
                }
            }
            let notes = halved.events.iter().filter_map(|event| match event {
                Event::Warning { message } => Some(message.english()),
                _ => None,
            });
            let full = format!("memory was full in step {}", wanted[0].0);
            let said = notes.filter(|note| note.contains(&full)).count();
            assert_eq!(said, wanted.len(), "{name}");
        }
    });
}

#[test]
fn an_odd_batch_is_halved_down_to_one_row_and_no_further() {
    alone(|| {
        let odd = RunConfig {
            per_device_train_batch_size: 5,
            gradient_accumulation_steps: 1,
            ..short()
        };
        let mut session = TestSession::open();
        let sink = Rc::new(MemorySink::new());
        session.inner.sink = Some(sink.clone());
        train(&mut session, odd.clone(), Some((2, 0)));
        assert_eq!(halvings(&session), [(3, 3, 2), (3, 2, 3), (3, 1, 5)]);
        let error = failure(&session);
        assert_eq!(error.kind, Kind::OutOfMemory);
        let text = error.to_string();
        assert!(
            text.contains("memory is full") && text.contains("Not even one row"),
            "{text}"
        );
        assert_eq!(session.steps().len(), 2);
        assert!(
            sink.files().contains_key("adapter_model.safetensors"),
            "what was learnt is saved"
        );
        // The engine is usable as before.
        session.events.clear();
        train(&mut session, odd, None);
        assert!(session.summary().finished && halvings(&session).is_empty());
    });
}

#[test]
fn a_run_that_was_halved_goes_on_from_its_checkpoint_as_one_that_was_not() {
    alone(|| {
        let saves = RunConfig {
            save_steps: 5.0,
            ..short()
        };
        let mut whole = TestSession::open();
        train(&mut whole, saves.clone(), None);
        let mut halved = TestSession::open();
        let sink = Rc::new(MemorySink::new());
        halved.inner.sink = Some(sink.clone());
        train(&mut halved, saves.clone(), Some((3, 2)));
        let mut resumed = TestSession::open();
        resumed.inner.resume = Some(checkpoint(&sink, 5));
        train(&mut resumed, saves, None);
        let (wanted, found) = (whole.steps(), resumed.steps());
        assert_eq!(found.len(), 3);
        for (one, other) in wanted[5..].iter().zip(&found) {
            assert_eq!(one.num_input_tokens_seen, other.num_input_tokens_seen);
            assert!((one.loss - other.loss).abs() <= 1e-4 * one.loss, "{one:?} {other:?}");
        }
    });
}

#[test]
fn a_batch_whose_rows_are_compared_is_not_halved() {
    alone(|| {
        let open = || TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), queries());
        let mut session = open();
        train(&mut session, short(), Some((3, 4)));
        assert_eq!(halvings(&session), []);
        let error = failure(&session);
        assert_eq!(error.kind, Kind::OutOfMemory);
        let text = error.to_string();
        assert!(
            text.contains("infonce") && text.contains("per_device_train_batch_size"),
            "{text}"
        );
        assert_eq!(session.steps().len(), 3);
    });
}
