//! Runs of the store as a person looks back on them: their names, tags and curves.

use super::kept_runs::{record, runs, session, short, train};
use lorakeet_core::config::RunConfig;
use lorakeet_core::protocol::{BaselineKind, Command, CurveAxis, Event, Keep, RunCurve, RunLabels, RunState};
use lorakeet_tests::memory_shelf::Disk;
use lorakeet_tests::test_session::{TestSession, failure};

fn curves(session: &mut TestSession, ids: &[&str]) -> Vec<(String, RunCurve)> {
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    session.ask(Command::RunCurves { ids }, Vec::new());
    match session.events.last() {
        Some(Event::RunCurves { curves }) => curves.clone(),
        other => panic!("the curves were not told: {other:?}"),
    }
}

fn new(id: &str, started_ms: f64) -> Keep {
    Keep::New(Box::new(record(id, started_ms)))
}

fn label(session: &mut TestSession, id: &str, name: &str, tags: &[&str]) {
    let labels = RunLabels {
        name: Some(name.to_owned()),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    let id = id.to_owned();
    session.ask(Command::LabelRun { id, labels }, Vec::new());
}

#[test]
fn a_run_s_curve_is_kept_with_its_best_score_and_goes_on_with_it() {
    let disk = Disk::default();
    let mut first = session(&disk.open(None));
    let config = RunConfig {
        max_steps: 8,
        ..short()
    };
    let command = Command::Train {
        config: Box::new(config.clone()),
        sample_prompt: None,
        watch: Vec::new(),
        keep: Some(new("first", 1.0)),
    };
    first.ask_and(command, Vec::new(), &mut |event, control| {
        if matches!(event, Event::Step(step) if step.step == 3) {
            control.stop();
        }
    });
    let reported = |session: &TestSession| -> Vec<(f64, f64)> {
        let steps = session.events.iter().filter_map(|event| match event {
            Event::Step(step) => Some((step.step as f64, step.loss)),
            _ => None,
        });
        steps.collect()
    };
    let scored = |session: &TestSession| -> Vec<(f64, f64)> {
        let evals = session.events.iter().filter_map(|event| match event {
            Event::Eval(eval) => Some((eval.step as f64, eval.loss)),
            _ => None,
        });
        evals.collect()
    };
    let (before, evals_before) = (reported(&first), scored(&first));
    let close = |a: &[(f64, f64)], b: &[(f64, f64)]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-9)
    };
    let curve = curves(&mut first, &["first"]).pop().expect("a curve").1;
    assert!(close(&curve.training(CurveAxis::Step), &before), "{curve:?}");
    assert!(
        close(&curve.scores("loss", CurveAxis::Step), &evals_before),
        "{curve:?}"
    );

    // Another program goes on with it: one curve, as if it had never been stopped.
    let mut next = session(&disk.open(None));
    train(&mut next, config, Keep::GoOn("first".into()));
    let all = [before, reported(&next)].concat();
    let found = curves(&mut next, &["first", "nobody"]);
    let (curve, nobody) = (&found[0].1, &found[1]);
    assert!(close(&curve.training(CurveAxis::Step), &all), "{curve:?} for {all:?}");
    assert!(nobody.0 == "nobody" && nobody.1.is_empty());
    let tokens = curve.training(CurveAxis::Tokens);
    assert!(
        tokens.len() == 8 && tokens.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "{tokens:?}"
    );
    let run = runs(&mut next).pop().expect("it is listed");
    assert_eq!((run.record.state, run.sparkline.len()), (RunState::Finished, 8));
    let score = run.record.score.expect("a score");
    assert_eq!(curve.best(&score.metric), Some((score.step, score.best)));
    assert_eq!(score.against, Some(BaselineKind::BaseModel));
    let base = curve.evals[0].value(&score.metric).expect("the base model's");
    assert!(curve.evals[0].step == 0 && score.baseline.is_some_and(|baseline| (baseline - base).abs() < 1e-3));
}

#[test]
fn a_run_without_a_kept_curve_shows_what_its_checkpoint_knows() {
    let disk = Disk::default();
    let mut session = session(&disk.open(None));
    train(&mut session, short(), new("first", 1.0));
    let kept = curves(&mut session, &["first"]).pop().expect("a curve").1;
    // As damage does; an older release left none.
    disk.change("run-first", |files| {
        let curve = files.values_mut().find(|bytes| bytes.starts_with(b"{\"points\""));
        curve.expect("a curve is kept").truncate(10);
    });
    let found = curves(&mut session, &["first"]).pop().expect("a curve").1;
    assert_eq!(found.points.len(), kept.points.len());
    assert_eq!(found.training(CurveAxis::Tokens).len(), found.points.len());
    assert!(!found.evals.is_empty());
    let run = runs(&mut session).pop().expect("it is listed all the same");
    assert!(run.sparkline.is_empty());
}

#[test]
fn a_run_is_renamed_and_tagged_and_keeps_both_while_it_goes_on() {
    let disk = Disk::default();
    let shelf = disk.open(None);
    let mut session = session(&shelf);
    train(&mut session, short(), new("first", 1.0));
    assert_eq!(runs(&mut session)[0].record.labels, RunLabels::default());
    label(&mut session, "first", "  a low rate ", &["films", "", " films", "low"]);
    let wanted = RunLabels {
        name: Some("a low rate".into()),
        tags: vec!["films".into(), "low".into()],
    };
    let before = runs(&mut session).pop().expect("it is listed").record;
    assert_eq!((&before.labels, before.state), (&wanted, RunState::Finished));
    assert!(
        before.summary.is_some() && before.score.is_some(),
        "nothing else is changed"
    );
    let longer = RunConfig {
        max_steps: 6,
        ..short()
    };
    train(&mut session, longer, Keep::GoOn("first".into()));
    let after = runs(&mut session).pop().expect("it is listed");
    assert_eq!((&after.record.labels, after.step), (&wanted, Some(6)));
    // An empty name takes it away.
    label(&mut session, "first", " ", &[]);
    assert_eq!(runs(&mut session)[0].record.labels, RunLabels::default());

    let long = "x".repeat(RunLabels::MOST_CHARACTERS + 1);
    let many: Vec<String> = (0..=RunLabels::MOST_TAGS).map(|tag| tag.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (id, name, tags, said) in [
        ("first", long.as_str(), &[][..], "80 characters at most"),
        ("first", "a", &[long.as_str()][..], "80 characters at most"),
        ("first", "a", &many[..], "20 tags at most"),
        ("nobody", "a", &[][..], "no record of a run"),
        ("../first", "a", &[][..], "no run '../first'"),
    ] {
        label(&mut session, id, name, tags);
        let error = failure(&session).to_string();
        assert!(error.contains(said), "{id}: {error}");
        session.events.clear();
    }
    assert_eq!(disk.folders(), ["inputs", "run-first"], "none is made by its name");
}
