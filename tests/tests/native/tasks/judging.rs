//! What a trained model is judged by beside its scores: intervals, slices, thresholds, the adapter's strength, another file.

use super::{bert, config, predictions};
use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    metrics::threshold::Cuts,
    protocol::{Command, DecisionKind, Event, FileScore, GenerateOptions, Judgement, Metric, Prompt, SliceBy},
    store::Source,
    task::Task,
};
use lorakeet_i18n::{Message, messages::run as msg};
use lorakeet_tests::{
    rows::{classes, pairs_of_letters, table},
    test_session::{TestSession, failure, find, report, value},
};

fn judgement(session: &TestSession) -> Judgement {
    find(session, |event| match event {
        Event::Judgement(found) => Some(found.as_ref().clone()),
        _ => None,
    })
}

/// Texts whose class is whether their ends are the same, but for those of one source, where it is the opposite.
fn classes_with_a_bad_source(rows: usize) -> Source {
    let rows = pairs_of_letters(rows)
        .into_iter()
        .enumerate()
        .map(|(row, (text, same))| {
            let is_bad = row % 4 == 0;
            let label = if same != is_bad { "same" } else { "other" };
            format!("{text},{label},{},{row}", if is_bad { "bad" } else { "good" })
        });
    table("text,label,source,id", rows)
}

#[test]
fn a_report_comes_with_intervals_with_the_slices_on_which_it_is_worse_and_with_what_thresholds_need() {
    let mut session = bert(classes_with_a_bad_source(400));
    session.train(RunConfig {
        val_size: 120.0,
        ..config()
    });
    let (report, found) = (report(&session), judgement(&session));
    let accuracy = value(&report.metrics, "accuracy");
    assert_eq!(
        (found.metric.as_str(), found.intervals.len()),
        ("accuracy", report.baselines.len() + 1)
    );
    let of_tuned = found.intervals.last().copied().flatten().expect("an interval");
    assert!(
        of_tuned.low < accuracy && accuracy < of_tuned.high,
        "{of_tuned:?} of {accuracy}"
    );
    let to_beat = found.intervals[0].expect("an interval");
    let majority = value(&report.baselines[0].metrics, "accuracy");
    assert!(to_beat.low <= majority && majority <= to_beat.high);

    let source = |wanted: &str| {
        let is = |by: &SliceBy| {
            *by == SliceBy::Column {
                name: "source".into(),
                value: wanted.into(),
            }
        };
        found.slices.iter().find(|slice| is(&slice.by)).expect("a slice")
    };
    let (good, bad) = (source("good"), source("bad"));
    let is_told_apart = bad.is_worse && !good.is_worse && bad.value < good.value - 0.25;
    assert!(is_told_apart, "{:?}", found.slices);
    assert_eq!(good.rows + bad.rows, 120);
    let by_column = found
        .slices
        .iter()
        .filter(|slice| matches!(slice.by, SliceBy::Column { .. }));
    assert_eq!(by_column.count(), 2, "an id is no slice, and neither is the label");

    // At one half a threshold decides as the answers do, which come in the order of the table.
    let decisions = found.decisions.expect("two classes");
    assert_eq!(
        (decisions.kind, decisions.names.as_slice()),
        (DecisionKind::Binary, &report.labels[..])
    );
    let rows = decisions
        .truth
        .iter()
        .copied()
        .zip(decisions.probabilities.iter().copied());
    let counts = Cuts::new(rows).at(0.5);
    let taken = |truth: usize, answer: usize| {
        let cell = report.confusion.iter().find(|cell| (cell.0, cell.1) == (truth, answer));
        cell.map_or(0, |cell| cell.2)
    };
    assert_eq!(
        (counts.true_positives, counts.false_positives),
        (taken(1, 1), taken(0, 1))
    );
    assert_eq!(
        (counts.false_negatives, counts.true_negatives),
        (taken(1, 0), taken(0, 0))
    );
    let table = predictions(&session);
    let labels: Vec<bool> = table.rows.iter().map(|row| row[1] == report.labels[1]).collect();
    assert_eq!(labels, decisions.truth);
}

/// The likeliest continuation with the adapter at a strength, or of the base model.
fn written(session: &mut TestSession, adapter: bool, adapter_strength: f64) -> String {
    let options = GenerateOptions {
        max_new_tokens: 12,
        adapter_strength,
        ..GenerateOptions::default()
    };
    let prompt = Prompt::Text("say a".into());
    let command = Command::Generate {
        id: 1,
        prompt,
        options,
        adapter,
    };
    session.ask(command, Vec::new());
    match session.events.last() {
        Some(Event::Generated { text, .. }) => text.clone(),
        other => panic!("nothing was written: {other:?}"),
    }
}

#[test]
fn without_strength_an_adapter_is_the_base_and_it_is_whole_again_after_it() {
    for use_dora in [false, true] {
        let mut session = TestSession::open();
        session.train(RunConfig {
            task: Some(Task::Generation),
            use_dora,
            val_size: 4.0,
            max_steps: 40,
            eval_steps: 0.0,
            ..config()
        });
        session.summary();
        let (base, tuned) = (written(&mut session, false, 1.0), written(&mut session, true, 1.0));
        assert_ne!(base, tuned, "with magnitudes: {use_dora}");
        assert_eq!(written(&mut session, true, 0.0), base, "with magnitudes: {use_dora}");
        written(&mut session, true, 2.0);
        assert_eq!(written(&mut session, true, 1.0), tuned, "with magnitudes: {use_dora}");
    }
}

/// The probability of the first label of a text at a strength.
fn answered(session: &mut TestSession, strength: f64) -> f64 {
    let command = Command::Predict {
        config: Box::new(RunConfig {
            task: Some(Task::Classification),
            ..config()
        }),
        texts: vec![vec!["acdea".into()]],
        strength,
    };
    session.ask(command, Vec::new());
    match session.events.last() {
        Some(Event::Predicted {
            answers, strength: of, ..
        }) => {
            assert_eq!(*of, strength);
            value(&answers[0].values, "same")
        }
        other => panic!("no answer: {other:?}"),
    }
}

#[test]
fn typed_texts_are_answered_at_any_strength_and_a_model_trained_whole_has_none() {
    let mut session = bert(classes(260));
    session.train(config());
    let (full, none) = (answered(&mut session, 1.0), answered(&mut session, 0.0));
    assert!(full > 0.8 && none < full - 0.1, "{full} and {none}");
    assert_eq!(answered(&mut session, 1.0), full);
    let ask = |session: &mut TestSession, strength| {
        let command = Command::Predict {
            config: Box::new(RunConfig {
                task: Some(Task::Classification),
                ..config()
            }),
            texts: vec![vec!["acdea".into()]],
            strength,
        };
        session.ask(command, Vec::new());
        failure(session).what
    };
    let (got, most) = (2.5, 2.0);
    assert_eq!(
        ask(&mut session, got),
        Message::from(msg::StrengthOutOfRange { got, most })
    );
    let mut whole = bert(classes(60));
    whole.train(RunConfig {
        finetuning_type: FinetuningType::Full,
        max_steps: 2,
        val_size: 10.0,
        ..config()
    });
    whole.summary();
    assert_eq!(ask(&mut whole, 0.5), Message::from(msg::StrengthWithoutAdapter));
}

/// A row of a file of classes.
fn labelled((text, same): (String, bool)) -> String {
    format!("{text},{}", if same { "same" } else { "other" })
}

/// Two scorings of the same rows have the same values.
#[track_caller]
fn assert_same(way: &str, found: &[Metric], wanted: &[Metric]) {
    assert!(!wanted.is_empty() && found.len() == wanted.len(), "{way}: {found:?}");
    for (found, wanted) in found.iter().zip(wanted) {
        let is_close = (found.value - wanted.value).abs() < 1e-6 || found.value.is_nan() && wanted.value.is_nan();
        assert!(
            found.name == wanted.name && is_close,
            "{way}: {found:?}, not {wanted:?}"
        );
    }
}

fn file_score(session: &mut TestSession, file: Source) -> FileScore {
    let name = file.name().to_owned();
    session.ask(Command::ScoreFile { file: name }, vec![file]);
    match session.events.last() {
        Some(Event::FileScored(score)) => score.as_ref().clone(),
        other => panic!("no score: {other:?}"),
    }
}

#[test]
fn another_file_is_scored_beside_the_baselines_that_the_run_had() {
    let mut session = bert(classes(260));
    let command = || Command::ScoreFile {
        file: "rows.csv".into(),
    };
    session.ask(command(), vec![classes(20)]);
    assert_eq!(failure(&session).what, Message::from(msg::NoRunToScore));
    session.train(config());
    let of_run = report(&session);
    let found = file_score(&mut session, classes(100));
    assert_eq!((found.file.as_str(), found.rows), ("rows.csv", 100));
    assert!(
        value(&found.report.metrics, "accuracy") > 0.9,
        "{:?}",
        found.report.metrics
    );
    // The rows that were held out, as a file, score as they did in the run: the model, and all that it has to beat.
    let mut session_of_file = bert(classes(260));
    let held_out = || table("text,label", pairs_of_letters(330).into_iter().skip(260).map(labelled));
    let command_of_file = Command::LoadValidation {
        file: Some("rows.csv".into()),
    };
    session_of_file.ask(command_of_file, vec![held_out()]);
    session_of_file.train(config());
    let wanted = report(&session_of_file);
    let again = file_score(&mut session_of_file, held_out()).report;
    assert_same("the tuned model", &again.metrics, &wanted.metrics);
    assert_eq!(again.baselines.len(), wanted.baselines.len());
    for (found, wanted) in again.baselines.iter().zip(&wanted.baselines) {
        assert_eq!(found.kind, wanted.kind);
        assert_same(&found.name, &found.metrics, &wanted.metrics);
    }
    assert_eq!(again.outcome(), wanted.outcome());
    let kinds = |report: &lorakeet_core::protocol::Report| -> Vec<_> {
        report.baselines.iter().map(|baseline| baseline.kind).collect()
    };
    assert_eq!(kinds(&found.report), kinds(&of_run));
    assert_eq!(found.judgement.intervals.len(), kinds(&of_run).len() + 1);
    // A file that was answered is none that the run goes on with.
    session.ask(command(), vec![table("text", ["acdea".to_owned()].into_iter())]);
    assert!(
        matches!(session.events.last(), Some(Event::Failed(_))),
        "it has no labels"
    );
}

#[test]
fn texts_of_another_file_are_scored_with_the_adapter_and_without_it() {
    let mut session = TestSession::open();
    session.train(RunConfig {
        task: Some(Task::Generation),
        val_size: 4.0,
        max_steps: 40,
        eval_steps: 0.0,
        ..config()
    });
    let (first, last) = (
        session.evals()[0].loss,
        session.summary().eval_loss_after.expect("a loss"),
    );
    assert!(last < first);
    let found = file_score(&mut session, lorakeet_tests::tiny::data_file());
    let before = value(&found.report.baselines[0].metrics, "loss");
    let after = value(&found.report.metrics, "loss");
    assert!(after < before, "{after} and {before}");
    // What was turned off to be compared with is on again.
    let again = file_score(&mut session, lorakeet_tests::tiny::data_file());
    assert_eq!(value(&again.report.metrics, "loss"), after);
}
