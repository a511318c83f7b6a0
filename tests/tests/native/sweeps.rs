//! Sweeps that outlive the program: cut off anywhere, they go on to the runs that they would have come to.

use super::kept_runs::{record, runs, session};
use lorakeet_core::config::{Resolved, RunConfig};
use lorakeet_core::error::Kind;
use lorakeet_core::protocol::{
    Command, CurveAxis, Event, Keep, RunRecord, RunState, StoredSweep, Sweep, SweepCommand, SweptRun,
};
use lorakeet_core::sweep::{Halving, Heard, Row, Turn, Variants};
use lorakeet_tests::memory_shelf::Disk;
use lorakeet_tests::test_session::{TestSession, failure};
use lorakeet_tests::tiny;

/// Four runs of eight steps.
fn sweep(id: &str) -> Sweep {
    let base = RunConfig {
        max_steps: 8,
        ..tiny::config()
    };
    let rates = ["1e-6", "0.03", "1e-5", "0.01"].map(str::to_owned).to_vec();
    let swept = [("learning_rate".to_owned(), rates)];
    let variants = Variants::of(&Resolved::of_config(base.clone()), &swept, None, false).expect("a sweep");
    let of = record(id, 1.0);
    Sweep {
        id: id.to_owned(),
        started_ms: 1.0,
        knobs: variants.knobs.iter().map(|knob| (*knob).to_owned()).collect(),
        settings: RunRecord::settings_of(&base),
        halves: variants.halving == Halving::Halves,
        budget_ms: None,
        spent_ms: 0.0,
        state: RunState::Open,
        task: of.task,
        model: of.model,
        data: of.data,
        validation: None,
        adapter: None,
        runs: SweptRun::of(&variants, &base),
    }
}

fn ask(session: &mut TestSession, command: SweepCommand) -> Vec<StoredSweep> {
    session.ask(Command::Sweep(command), Vec::new());
    match session.events.last() {
        Some(Event::Sweeps { sweeps }) => sweeps.clone(),
        other => panic!("the sweeps were not told: {other:?}"),
    }
}

fn keep(sweep: &Sweep) -> SweepCommand {
    let sweep = Box::new(sweep.clone());
    SweepCommand::Keep { sweep }
}

/// How far its runs have come, losses in the digits that outlive JSON.
fn outline(sweep: &Sweep) -> Vec<String> {
    let run = |run: &SweptRun| {
        let rungs: Vec<String> = run
            .rungs
            .iter()
            .map(|rung| format!("{} {:.9}", rung.parts, rung.loss))
            .collect();
        let score = run
            .score
            .as_ref()
            .map(|score| format!("{} {:.9}", score.metric, score.value));
        format!("{:?} {} {rungs:?} {score:?} {}", run.run, run.step, run.is_finished)
    };
    sweep.runs.iter().map(run).collect()
}

/// Trains what comes next, as the page does; whether there was anything.
fn train_next(session: &mut TestSession, sweep: &mut Sweep) -> bool {
    let Some(turn) = sweep.next() else { return false };
    train(session, sweep, turn);
    assert!(sweep.is_over(turn), "{:?}", session.events.last());
    true
}

/// Trains a turn, whether or not storage takes what is kept of it.
fn train(session: &mut TestSession, sweep: &mut Sweep, turn: Turn) {
    let config = sweep.config(turn.run).expect("settings");
    let known = sweep.runs[turn.run].run.clone();
    let id = known.clone().unwrap_or_else(|| format!("{}-{}", sweep.id, turn.run));
    sweep.runs[turn.run].run = Some(id.clone());
    let begun = match known {
        Some(id) => Keep::GoOn(id),
        None => Keep::New(Box::new(RunRecord {
            settings: RunRecord::settings_of(&config),
            labels: sweep.labels(turn.run),
            ..record(&id, 1.0)
        })),
    };
    session.ask(Command::Sweep(keep(sweep)), Vec::new());
    let command = Command::Train {
        config: Box::new(config),
        sample_prompt: None,
        watch: Vec::new(),
        keep: Some(begun),
    };
    session.ask_and(command, Vec::new(), &mut |event, control| {
        if sweep.hear(turn, event) == Heard::Stop {
            control.stop();
        }
    });
}

/// The sweep of this id, trained without a break.
fn uninterrupted(id: &str) -> Sweep {
    let (disk, mut sweep) = (Disk::default(), sweep(id));
    let mut session = session(&disk.open(None));
    while train_next(&mut session, &mut sweep) {}
    sweep
}

/// Forgets the runs of a sweep that are not in the store.
fn keep_stored(session: &mut TestSession, sweep: &mut Sweep) {
    let there: Vec<String> = runs(session).into_iter().map(|run| run.record.id).collect();
    sweep.keep_runs(|id| there.iter().any(|known| known == id));
}

#[test]
fn a_sweep_that_is_cut_off_anywhere_in_its_runs_comes_to_the_same_end() {
    let whole = uninterrupted("19ab-0005");
    let mut times = 0;
    for changes in (2..).step_by(17) {
        let disk = Disk::default();
        let mut begun = sweep("19ab-0005");
        let mut cut = session(&disk.open(Some(changes)));
        // What it does once nothing more is written does not matter.
        while let Some(turn) = begun.next() {
            train(&mut cut, &mut begun, turn);
            if !begun.is_over(turn) {
                break;
            }
        }
        cut.ask(Command::Sweep(keep(&begun)), Vec::new());

        let mut next = session(&disk.open(None));
        let Some(stored) = ask(&mut next, SweepCommand::List).pop() else {
            assert_eq!(times, 0, "{changes}: it was kept before");
            continue;
        };
        let mut sweep = stored.sweep;
        keep_stored(&mut next, &mut sweep);
        let is_over = sweep.next().is_none();
        while train_next(&mut next, &mut sweep) {}
        assert_eq!(outline(&sweep), outline(&whole), "{changes}");
        if is_over {
            assert!(times > 5, "{times}");
            return;
        }
        times += 1;
    }
}

#[test]
fn a_sweep_that_is_cut_off_between_two_programs_comes_to_the_same_end() {
    let whole = uninterrupted("19ab-0001");
    assert!(whole.halves);
    let disk = Disk::default();
    let mut first = session(&disk.open(None));
    let mut begun = sweep("19ab-0001");
    for _ in 0..5 {
        assert!(train_next(&mut first, &mut begun));
    }
    ask(&mut first, keep(&begun));
    drop(first);

    let mut next = session(&disk.open(None));
    let mut found = ask(&mut next, SweepCommand::List);
    let stored = found.pop().expect("it is there");
    assert!(found.is_empty() && !stored.is_under_way);
    let mut sweep = stored.sweep;
    assert_eq!(outline(&sweep), outline(&begun));
    assert!(sweep.can_go_on() && sweep.done() == 2, "{:?}", sweep.rows());
    keep_stored(&mut next, &mut sweep);
    while train_next(&mut next, &mut sweep) {}
    assert_eq!(outline(&sweep), outline(&whole));

    let mut rows = sweep.rows();
    let best = sweep.best().expect("a best one");
    assert_eq!((rows[best.run], best.scored, best.held_out), (Row::Finished, 4, 4));
    rows.sort_by_key(|row| format!("{row:?}"));
    let wanted = [
        Row::Finished,
        Row::LeftBehind(1),
        Row::LeftBehind(1),
        Row::LeftBehind(2),
    ];
    assert_eq!(rows, wanted);
    // Each is a run as any other, and the one that came to its end in three parts has one whole curve.
    let stored = runs(&mut next);
    assert_eq!(stored.len(), 4);
    for run in &stored {
        assert_eq!(run.record.labels.tags, ["sweep-0001"]);
        let name = run.record.labels.name.as_deref().unwrap_or_default();
        assert!(name.starts_with("sweep · learning_rate "), "{name}");
    }
    let ids = vec![sweep.runs[best.run].run.clone().expect("it has begun")];
    next.ask(Command::RunCurves { ids }, Vec::new());
    let Some(Event::RunCurves { curves }) = next.events.last() else {
        panic!("no curve");
    };
    let steps: Vec<f64> = curves[0]
        .1
        .training(CurveAxis::Step)
        .iter()
        .map(|point| point.0)
        .collect();
    assert_eq!(steps, (1..=8).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn a_run_whose_record_was_removed_begins_anew() {
    let (disk, mut sweep) = (Disk::default(), sweep("19ab-0002"));
    let mut session = session(&disk.open(None));
    for _ in 0..4 {
        assert!(train_next(&mut session, &mut sweep));
    }
    session.ask(Command::ForgetRun { id: None }, Vec::new());
    // All is removed but the sweep, which is under way.
    assert_eq!(ask(&mut session, SweepCommand::List).len(), 1);
    sweep.keep_runs(|_| false);
    assert!(sweep.runs.iter().all(|run| run.run.is_none() && run.loss.is_some()));
    while train_next(&mut session, &mut sweep) {}
    assert!(sweep.best().is_some_and(|best| best.scored == 4));
    assert_eq!(runs(&mut session).len(), 2, "only those that went on");
}

#[test]
fn a_sweep_belongs_to_one_program_as_long_as_it_is_open() {
    let disk = Disk::default();
    let shelf = disk.open(None);
    let (mut one, mut other) = (session(&shelf), session(&shelf));
    let mut sweep = sweep("19ab-0003");
    assert!(!ask(&mut one, keep(&sweep))[0].is_under_way, "it is its own");
    assert!(ask(&mut other, SweepCommand::List)[0].is_under_way);
    for command in [keep(&sweep), SweepCommand::Forget { id: sweep.id.clone() }] {
        other.ask(Command::Sweep(command), Vec::new());
        let error = failure(&other);
        assert!(
            error.kind == Kind::Config && error.to_string().contains("another tab"),
            "{error}"
        );
    }
    sweep.state = RunState::Stopped;
    ask(&mut one, keep(&sweep));
    let found = ask(&mut other, SweepCommand::List);
    assert!(!found[0].is_under_way && found[0].sweep.state == RunState::Stopped);
    // A name that would lead out of the store is none.
    other.ask(
        Command::Sweep(SweepCommand::Forget { id: "../runs".into() }),
        Vec::new(),
    );
    assert_eq!(failure(&other).kind, Kind::Internal);

    disk.change("sweep-19ab-0003", |files| {
        let text = files.values_mut().find(|bytes| bytes.starts_with(b"{\"id\""));
        text.expect("the sweep is there").truncate(20);
    });
    assert!(ask(&mut other, SweepCommand::List).is_empty());
    let warned =
        |event: &Event| matches!(event, Event::Warning { message } if message.english().contains("sweep-19ab-0003"));
    assert!(other.events.iter().any(warned));
    let id = sweep.id.clone();
    assert!(ask(&mut other, SweepCommand::Forget { id }).is_empty());
    assert!(disk.folders().iter().all(|folder| !folder.starts_with("sweep-")));
}

#[test]
fn without_a_store_no_sweep_is_kept_and_nothing_fails() {
    let mut session = TestSession::empty();
    assert!(ask(&mut session, keep(&sweep("19ab-0004"))).is_empty());
    assert!(ask(&mut session, SweepCommand::List).is_empty());
}
