//! The learning-rate range test on models of a few thousand weights.

use lorakeet_core::{
    config::RunConfig,
    device::limit_memory,
    error::Kind,
    protocol::{Command, Event},
    train::finder::{RateRange, RateSearch, SearchEnd},
};
use lorakeet_tests::{alone::alone, golden::block_on, rows, test_session::TestSession, tiny::config};

fn search(session: &mut TestSession, config: &RunConfig, range: RateRange) -> RateSearch {
    let found = block_on(session.inner.find_rate(config, &range, &mut |_, _| ()));
    found.expect("a search")
}

/// Steps at one rate, enough to tell rates apart.
fn steps_at(learning_rate: f64) -> RunConfig {
    RunConfig {
        learning_rate,
        max_steps: 40,
        eval_steps: 0.0,
        ..config()
    }
}

#[test]
fn the_rate_lies_between_one_that_learns_nothing_and_one_that_is_too_high() {
    let mut session = TestSession::open();
    let found = search(&mut session, &config(), RateRange::default());
    let rate = found.recommended.expect("the loss falls");
    assert!((1e-6..1.0).contains(&rate), "{rate}");
    assert!(
        found
            .points
            .windows(2)
            .all(|pair| pair[0].learning_rate < pair[1].learning_rate)
    );
    let [loss, too_low, too_high] = [rate, 1e-7, 1.0].map(|rate| {
        let mut session = TestSession::open();
        session.train(steps_at(rate));
        session.summary().train_loss
    });
    assert!(
        loss < too_low && loss < too_high,
        "{rate}: {loss}, {too_low}, {too_high}"
    );
}

#[test]
fn two_searches_are_equal_and_leave_the_weights_as_they_were() {
    let mut session = TestSession::open();
    let loss = |session: &mut TestSession| {
        let scored = block_on(session.inner.evaluate(&config(), &mut |_, _| ()));
        scored.expect("a score").loss
    };
    let before = loss(&mut session);
    let range = RateRange {
        steps: 40,
        ..RateRange::default()
    };
    let first = search(&mut session, &config(), range);
    let after = loss(&mut session);
    assert!((after - before).abs() < 1e-6, "{before} -> {after}");
    assert_eq!(search(&mut session, &config(), range), first);
    assert_eq!(
        search(&mut TestSession::open(), &config(), range),
        first,
        "in another session"
    );
    // A run that follows is the run that it would have been.
    session.train(config());
    let mut other = TestSession::open();
    other.train(config());
    assert_eq!(session.numbers(), other.numbers());
}

#[test]
fn a_search_takes_the_steps_of_the_run() {
    let mut session = TestSession::open();
    let rate = 1e-3;
    let constant = RunConfig {
        lr_scheduler_type: lorakeet_core::config::SchedulerType::Constant,
        ..steps_at(rate)
    };
    session.train(constant.clone());
    // Rates that differ in the ninth digit only.
    let range = RateRange {
        from: rate * (1.0 - 1e-9),
        to: rate,
        steps: 40,
    };
    let found = search(&mut session, &constant, range);
    let losses: Vec<f64> = session.steps().iter().map(|step| step.loss).collect();
    assert_eq!((losses.len(), found.points.len()), (40, 40));
    for (point, loss) in found.points.iter().zip(losses) {
        assert!(
            (point.loss - loss).abs() < 1e-3,
            "step {}: {} and {loss}",
            point.step,
            point.loss
        );
    }
}

#[test]
fn every_weight_of_a_small_model_is_searched_until_its_loss_explodes() {
    let config = RunConfig {
        finetuning_type: lorakeet_core::config::FinetuningType::Full,
        per_device_train_batch_size: 40,
        gradient_accumulation_steps: 1,
        max_grad_norm: 0.0,
        hidden_size: Some(16),
        ..config()
    };
    let numbers = rows::table(
        "a,b,label",
        (0..60).map(|i| {
            let (a, b) = (i * 37 % 101, i * 53 % 97);
            format!("{a},{b},{}", if a > b { "more" } else { "less" })
        }),
    );
    let mut session = TestSession::small("small_mlp", vec![numbers]);
    let mut told = 0;
    let range = RateRange {
        from: 1e-5,
        ..RateRange::default()
    };
    let found = block_on(session.inner.find_rate(&config, &range, &mut |event, _| {
        told += usize::from(matches!(event, Event::Step(_)));
    }));
    let found = found.expect("a search");
    assert_eq!(told, found.points.len());
    assert!(
        found.recommended.is_some_and(|rate| (1e-5..1.0).contains(&rate)),
        "{found:?}"
    );
    if found.end == SearchEnd::Exploded {
        let lowest = found
            .points
            .iter()
            .map(|point| point.smoothed)
            .fold(f64::INFINITY, f64::min);
        assert!(
            found.points.last().is_some_and(|last| last.smoothed > 4.0 * lowest),
            "{found:?}"
        );
    }
}

#[test]
fn a_search_can_be_stopped_and_leaves_the_model_as_it_was() {
    let mut session = TestSession::open();
    let control = session.control.clone();
    let range = RateRange::default();
    let outcome = block_on(session.inner.find_rate(&config(), &range, &mut |event, _| {
        if matches!(&event, Event::Step(step) if step.step == 5) {
            control.stop();
        }
    }));
    assert_eq!(outcome.expect_err("it was stopped").kind, Kind::Stopped);
    session.train(config());
    let mut other = TestSession::open();
    other.train(config());
    assert_eq!(session.numbers(), other.numbers());
}

#[test]
fn a_search_takes_no_more_memory_than_the_run() {
    // The limit is the process's.
    alone(|| {
        limit_memory(100_000_000);
        let config = RunConfig {
            per_device_eval_batch_size: 100_000,
            ..config()
        };
        let mut session = TestSession::open();
        session.train(config.clone());
        session.summary();
        let range = RateRange {
            steps: 20,
            ..RateRange::default()
        };
        assert!(!search(&mut session, &config, range).points.is_empty());
    });
}

#[test]
fn a_front_end_that_asks_by_a_command_gets_the_same_outcome_and_can_stop() {
    let mut session = TestSession::open();
    let by_command = |session: &mut TestSession| {
        let config = Box::new(config());
        session.ask(Command::FindRate { config }, Vec::new());
    };
    by_command(&mut session);
    let Some(Event::Rate(found)) = session.events.last() else {
        panic!("{:?}", session.events.last())
    };
    let expected = search(&mut TestSession::open(), &config(), RateRange::default());
    assert_eq!(**found, expected);
    let text = serde_json::to_string(&Event::Rate(found.clone())).expect("JSON");
    let read: Event = serde_json::from_str(&text).expect("an event");
    let Event::Rate(read) = read else { panic!("{text}") };
    let told = |search: &RateSearch| (search.recommended, search.reason.clone(), search.points.len());
    assert_eq!(told(&read), told(found), "as it crosses a worker's boundary");

    let config = Box::new(config());
    session.ask_and(Command::FindRate { config }, Vec::new(), &mut |event, control| {
        if matches!(event, Event::Step(step) if step.step == 5) {
            control.stop();
        }
    });
    let last = session.events.last();
    assert!(
        matches!(last, Some(Event::Failed(error)) if error.kind == Kind::Stopped),
        "{last:?}"
    );
    by_command(&mut session);
    assert!(
        matches!(session.events.last(), Some(Event::Rate(_))),
        "the stop was that one's"
    );
}
