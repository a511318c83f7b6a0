//! Kernels that a GPU compiles in the first steps of a run: what is told of them, and that their time is not that of a step.

use lorakeet_core::config::RunConfig;
use lorakeet_core::protocol::{Command, DeviceChoice, Event, Stage};
use lorakeet_tests::alone::alone;
use lorakeet_tests::test_session::TestSession;
use lorakeet_tests::tiny::{self, config};

/// Trains; gives what was told of kernels: after how many steps, how many, and of how many.
fn train(session: &mut TestSession) -> Vec<(usize, u64, u64)> {
    let config = RunConfig {
        lora_dropout: 0.0,
        max_steps: 6,
        eval_steps: 0.0,
        save_steps: 0.0,
        ..config()
    };
    let command = Command::Train {
        config: Box::new(config),
        sample_prompt: None,
        watch: Vec::new(),
        keep: None,
    };
    session.events.clear();
    let (mut steps, mut told) = (0, Vec::new());
    session.ask_and(command, Vec::new(), &mut |event, _| match event {
        Event::Step(_) => steps += 1,
        Event::Progress {
            stage: Stage::Compile,
            done,
            total,
        } => told.push((steps, *done, *total)),
        _ => {}
    });
    assert!(session.summary().finished);
    assert_eq!(steps, 6);
    told
}

/// Which steps know the speed, and how long the run will take.
fn known(session: &TestSession) -> Vec<bool> {
    let steps = session.steps().into_iter();
    steps
        .map(|step| {
            let known = step.tokens_per_second.is_finite();
            // Nothing is left to do after the last.
            assert!(step.eta_seconds.is_finite() == known || step.step == 6, "{step:?}");
            known
        })
        .collect()
}

#[test]
fn what_the_first_steps_compile_is_told_and_is_no_part_of_the_speed() {
    alone(|| {
        let mut session = TestSession::with(DeviceChoice::Gpu, tiny::model_files(), tiny::data_file());
        let told = train(&mut session);
        let ready = told.iter().find(|(_, _, total)| *total > 0);
        let (steps, done, total) = *ready.expect("kernels are ready");
        assert!(steps == 0 && done == total, "{told:?}");
        assert!(
            told.iter().all(|(_, done, total)| [0, *done].contains(total)),
            "{told:?}"
        );
        assert!(told.windows(2).all(|two| two[0].1 <= two[1].1), "{told:?}");
        let speeds = known(&session);
        assert!(!speeds[0] && speeds[5], "{speeds:?}");

        // All are there.
        assert!(train(&mut session).is_empty());
        assert_eq!(known(&session), [true; 6]);
    });
}

#[test]
fn a_cpu_compiles_nothing() {
    let mut session = TestSession::open();
    assert!(train(&mut session).is_empty());
    assert_eq!(known(&session), [true; 6]);
}
