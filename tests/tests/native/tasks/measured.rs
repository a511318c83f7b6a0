//! The baselines before a run: the numbers of the run itself, and what they say about whether to tune.

use super::preference::preferences;
use super::{bert, config, reloaded};
use lorakeet_core::{
    config::{FinetuningType, HeadInit, RunConfig},
    error::Kind,
    protocol::{BaselineKind, Command, DeviceChoice, Event, MeasuredBaselines, TuningOutlook},
    store::Source,
};
use lorakeet_tests::{
    rows::{classes, graded, prices, table},
    test_session::{TestSession, failure, find, metric, started, value},
    tiny,
};

fn ask(session: &mut TestSession, config: &RunConfig) {
    let config = Box::new(config.clone());
    session.ask(Command::Baselines { config }, Vec::new());
}

fn measured(session: &mut TestSession, config: &RunConfig) -> MeasuredBaselines {
    ask(session, config);
    find(session, |event| match event {
        Event::BaselinesMeasured(found) => Some((**found).clone()),
        _ => None,
    })
}

/// The scores that were told as those to beat, in words, because what has no value equals nothing.
fn told(session: &TestSession) -> Vec<String> {
    let scores = session.events.iter().filter_map(|event| match event {
        Event::Baseline { scores } => Some(format!("{scores:?}")),
        _ => None,
    });
    scores.collect()
}

fn short() -> RunConfig {
    RunConfig {
        max_steps: 3,
        val_size: 20.0,
        ..config()
    }
}

#[test]
fn they_are_those_of_the_run_and_leave_it_as_it_would_have_been() {
    type Open = fn() -> TestSession;
    let of_classes: Open = || bert(classes(80));
    let cases: [(&str, Open, RunConfig); 6] = [
        ("classes", of_classes, short()),
        (
            "a head from the probe",
            of_classes,
            RunConfig {
                head_init: HeadInit::Probe,
                ..short()
            },
        ),
        (
            "numbers",
            || bert(prices(60)),
            RunConfig {
                label_columns: vec!["price".into()],
                ..short()
            },
        ),
        (
            "documents",
            || bert(graded(30)),
            RunConfig {
                val_size: 8.0,
                ..short()
            },
        ),
        (
            "two answers",
            || TestSession::with(DeviceChoice::Cpu, tiny::model_files(), preferences()),
            short(),
        ),
        ("texts", TestSession::open, tiny::config()),
    ];
    for (name, open, config) in cases {
        let mut session = open();
        let found = measured(&mut session, &config);
        let before = told(&session);
        let mut run = open();
        run.train(config.clone());
        assert!(!before.is_empty(), "{name}");
        assert_eq!(before, told(&run), "{name}");
        assert_eq!(found.held_out, started(&run).eval_examples, "{name}");
        assert!(found.best.is_some(), "{name}: {found:?}");
        session.train(config);
        assert_eq!(session.numbers(), run.numbers(), "{name}: a run after it");
    }
}

#[test]
fn a_model_that_answers_already_is_among_them() {
    let mut session = bert(classes(80));
    session.train(short());
    let mut other = reloaded(&mut session, DeviceChoice::Cpu, tiny::bert_files(), classes(80));
    let found = measured(&mut other, &short());
    let untouched = found.scores.last().expect("scores");
    assert_eq!(untouched.kind, BaselineKind::ModelBefore);
    other.train(short());
    let accuracy = metric(&other.evals()[0], "accuracy");
    assert_eq!(value(&untouched.metrics, "accuracy"), accuracy);
    // A new head has no answers yet.
    let fresh = measured(&mut bert(classes(80)), &short());
    assert!(
        fresh.scores.iter().all(|one| one.kind != BaselineKind::BaseModel),
        "{fresh:?}"
    );
    assert_eq!(fresh.keeps_probe, fresh.best == Some(BaselineKind::LinearProbe));
}

/// Two numbers and a class that the first of them decides.
fn plain() -> Source {
    let row = |i: usize| match i % 2 {
        0 => format!("{},{},low", i % 10, i * 7 % 11),
        _ => format!("{},{},high", 90 + i % 10, i * 5 % 11),
    };
    table("a,b,kind", (0..200).map(row))
}

#[test]
fn where_the_probe_knows_all_tuning_may_not_be_worth_it() {
    let mut session = TestSession::small("small_mlp", vec![plain()]);
    let config = RunConfig {
        finetuning_type: FinetuningType::Full,
        ..config()
    };
    let found = measured(&mut session, &config);
    assert_eq!(found.outlook, TuningOutlook::NotWorthIt, "{found:?}");
    assert!(!found.keeps_probe, "there is no head on numbers to keep it in");
    let said = found.doubts[0].what.english();
    assert!(said.contains("accuracy is 1.000"), "{said}");
}

#[test]
fn they_need_rows_that_are_held_out_and_can_be_stopped() {
    let mut session = bert(classes(80));
    ask(
        &mut session,
        &RunConfig {
            val_size: 0.0,
            ..short()
        },
    );
    let refused = failure(&session).to_string();
    assert!(
        refused.contains("val_size") && refused.contains("held out"),
        "{refused}"
    );
    let config = Box::new(short());
    let mut progress = 0;
    session.ask_and(Command::Baselines { config }, Vec::new(), &mut |event, control| {
        let is_progress = matches!(event, Event::Progress { .. });
        progress += usize::from(is_progress);
        if is_progress && progress == 3 {
            control.stop();
        }
    });
    assert_eq!(failure(&session).kind, Kind::Stopped);
    assert!(
        !measured(&mut session, &short()).scores.is_empty(),
        "the stop was that one's"
    );
}
