//! Runs that outlive the program: wherever it is cut off, the run goes on to the numbers that it would have come to.

use lorakeet_core::config::{RunConfig, SchedulerType};
use lorakeet_core::error::Kind;
use lorakeet_core::protocol::{
    Command, DeviceChoice, Event, InputFile, Keep, RunInput, RunRecord, RunState, StepInfo, StoredRun,
};
use lorakeet_core::store::{IndexedSink, Shelf, Sink, Source, sha256};
use lorakeet_core::task::Task;
use lorakeet_tests::golden::block_on;
use lorakeet_tests::memory_shelf::{Disk, MemoryShelf};
use lorakeet_tests::test_session::{TestSession, failure, find};
use lorakeet_tests::tiny::{self, config};
use std::rc::Rc;

const FOLDER: &str = "run-first";

/// Four steps with scores, whose best weights are kept.
pub(super) fn short() -> RunConfig {
    RunConfig {
        max_steps: 4,
        eval_steps: 2.0,
        load_best_model_at_end: true,
        lora_dropout: 0.1,
        // So that one may get longer.
        lr_scheduler_type: SchedulerType::Constant,
        ..config()
    }
}

fn files(sources: &[Source]) -> RunInput {
    let file = |source: &Source| InputFile {
        name: source.name().to_owned(),
        bytes: source.len_bytes(),
        copy: None,
    };
    RunInput::Files(sources.iter().map(file).collect())
}

pub(super) fn record(id: &str, started_ms: f64) -> RunRecord {
    let inputs = [files(&tiny::model_files()), files(&[tiny::data_file()])];
    RunRecord::begun((id.to_owned(), started_ms), (&short(), Task::Generation), inputs)
}

/// A session that saves after every step.
pub(super) fn session(shelf: &Rc<MemoryShelf>) -> TestSession {
    let mut session = TestSession::open();
    session.inner.shelf = Some(shelf.clone());
    session.inner.save_interval_ms = 0.0;
    session
}

fn command(config: RunConfig, keep: Option<Keep>) -> Command {
    Command::Train {
        config: Box::new(config),
        sample_prompt: None,
        watch: Vec::new(),
        keep,
    }
}

pub(super) fn train(session: &mut TestSession, config: RunConfig, keep: Keep) {
    session.ask(command(config, Some(keep)), Vec::new());
}

pub(super) fn runs(session: &mut TestSession) -> Vec<StoredRun> {
    session.ask(Command::Runs, Vec::new());
    match session.events.last() {
        Some(Event::Runs { runs, .. }) => runs.clone(),
        other => panic!("the runs were not told: {other:?}"),
    }
}

/// The keys of the engine's remarks.
fn remarks(session: &TestSession) -> Vec<String> {
    let warnings = session.events.iter().filter_map(|event| match event {
        Event::Warning { message } => Some(message.english()),
        _ => None,
    });
    warnings.collect()
}

fn adapter(session: &mut TestSession) -> Vec<u8> {
    session.ask(Command::ExportAdapter, Vec::new());
    session.exported["adapter_model.safetensors"].clone()
}

#[test]
fn a_run_that_is_cut_off_anywhere_goes_on_to_the_same_numbers() {
    let mut whole = TestSession::open();
    whole.ask(command(short(), None), Vec::new());
    let (losses, weights) = (whole.numbers(), adapter(&mut whole));
    assert_eq!(losses.len(), 4);
    let mut went_on_from = [0; 5];
    for changes in (0..).step_by(3) {
        let disk = Disk::default();
        let mut cut = session(&disk.open(Some(changes)));
        train(&mut cut, short(), Keep::New(Box::new(record("first", 1.0))));
        assert_eq!(
            cut.numbers(),
            losses,
            "a run trains on where storage refuses, {changes}"
        );
        let shelf = disk.open(None);
        let mut next = session(&shelf);
        let Some(run) = runs(&mut next).pop() else {
            assert!(changes < 6, "the record is written first");
            continue;
        };
        assert!(!run.is_under_way);
        if run.record.state == RunState::Finished {
            assert!(
                !remarks(&cut).iter().any(|text| text.contains("would be lost")),
                "{:?}",
                remarks(&cut)
            );
            assert!(went_on_from.iter().all(|times| *times > 0), "{went_on_from:?}");
            return;
        }
        train(&mut next, short(), Keep::GoOn("first".into()));
        let told = next.numbers();
        let from = losses.len() - told.len();
        went_on_from[from] += 1;
        assert_eq!(run.step.unwrap_or(0), from, "{changes}");
        assert_eq!(told, losses[from..], "{changes}");
        assert_eq!(adapter(&mut next), weights, "{changes}");
        if from > 0 {
            let past: Vec<StepInfo> = find(&next, |event| match event {
                Event::Continued { step, steps, .. } if *step == from => Some(steps.clone()),
                _ => None,
            });
            let past: Vec<u64> = past.iter().map(|step| step.loss.to_bits()).collect();
            let before: Vec<u64> = losses[..from].iter().map(|step| step.1).collect();
            assert_eq!(past, before, "{changes}");
        }
        let run = runs(&mut next).pop().expect("it is there");
        assert_eq!(
            (run.record.state, run.step, run.max_steps),
            (RunState::Finished, Some(4), 4)
        );
    }
}

#[test]
fn a_folder_on_a_shelf_holds_each_change_whole_or_not_at_all() {
    type Files = Vec<(String, Vec<u8>)>;
    let look = |disk: &Disk| -> Files {
        let shelf: Rc<dyn Shelf> = disk.open(None);
        // Whoever opens it removes what no index names.
        drop(block_on(IndexedSink::open(shelf.clone(), "place")).expect("it opens"));
        let numbered = disk.change("place", |files| {
            files.keys().filter(|name| !name.starts_with("index")).count()
        });
        let read = block_on(IndexedSink::read(&shelf, "place")).expect("it is read");
        assert_eq!(numbered, read.len());
        let bytes = |source: &Source| block_on(source.read_at(0, source.len_bytes() as usize)).expect("bytes");
        read.iter()
            .map(|(path, source)| (path.clone(), bytes(source)))
            .collect()
    };
    let change = async |sink: &IndexedSink, number: usize| match number {
        0 => sink.write("a/one", b"1").await,
        1 => sink.write("a/two", b"22").await,
        2 => sink.write("a/one", b"111").await,
        3 => sink.rename_folder("a", "b").await,
        4 => sink.write("a/one", b"1111").await,
        _ => sink.remove_folder("b").await,
    };
    let states: [Vec<(&str, &str)>; 7] = [
        vec![],
        vec![("a/one", "1")],
        vec![("a/one", "1"), ("a/two", "22")],
        vec![("a/one", "111"), ("a/two", "22")],
        vec![("b/one", "111"), ("b/two", "22")],
        vec![("a/one", "1111"), ("b/one", "111"), ("b/two", "22")],
        vec![("a/one", "1111")],
    ];
    let state = |done: usize| -> Files {
        let files = states[done].iter();
        files
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect()
    };
    for changes in 1.. {
        let disk = Disk::default();
        let sink = block_on(IndexedSink::open(disk.open(Some(changes)), "place")).expect("it opens");
        let mut done = 0;
        while done < 6 && block_on(change(&sink, done)).is_ok() {
            done += 1;
        }
        let found = look(&disk);
        // One that was refused may yet have been written to its last byte.
        assert!(
            found == state(done) || done < 6 && found == state(done + 1),
            "{changes}: {done} changes, {found:?}"
        );
        if done == 6 {
            return;
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_taken() {
    let disk = Disk::default();
    // Until the third step is saved.
    let mut cut = session(&disk.open(None));
    let stop = RunConfig {
        max_steps: 3,
        ..short()
    };
    train(&mut cut, stop, Keep::New(Box::new(record("first", 1.0))));
    let weights = |files: &[(String, Source)], step: usize| {
        let path = format!("checkpoint-{step}/optimizer.safetensors");
        let file = files.iter().find(|(known, _)| *known == path);
        block_on(file.expect("it is kept").1.read_at(0, 8)).expect("bytes")
    };
    let shelf: Rc<dyn Shelf> = disk.open(None);
    let files = block_on(IndexedSink::read(&shelf, FOLDER)).expect("files");
    assert_eq!(weights(&files, 2).len(), 8, "two checkpoints are kept");
    let broken = files
        .iter()
        .find(|(path, _)| path == "checkpoint-3/optimizer.safetensors");
    let length = broken.expect("the newest").1.len_bytes() as usize;
    disk.change(FOLDER, |files| {
        let of_optimizer = files.iter_mut().filter(|(_, bytes)| bytes.len() == length);
        // Both have the same length: the later one has the higher number.
        let last = of_optimizer.max_by_key(|(name, _)| name.parse::<u64>().unwrap_or(0));
        last.expect("it is there").1[length - 1] ^= 1;
    });
    let mut next = session(&disk.open(None));
    train(&mut next, short(), Keep::GoOn("first".into()));
    assert_eq!(next.steps().first().map(|step| step.step), Some(3));
    let told = remarks(&next);
    assert!(
        told.iter().any(|text| text.contains("checkpoint-3 is damaged")),
        "{told:?}"
    );
}

#[test]
fn a_run_whose_index_is_damaged_goes_on_by_the_one_before_or_is_told_of() {
    let mut whole = TestSession::open();
    whole.ask(command(short(), None), Vec::new());
    let losses = whole.numbers();
    let mut went_on = 0;
    for changes in (10..200).step_by(9) {
        for slot in ["index-0.json", "index-1.json"] {
            let disk = Disk::default();
            let mut cut = session(&disk.open(Some(changes)));
            train(&mut cut, short(), Keep::New(Box::new(record("first", 1.0))));
            disk.change(FOLDER, |files| {
                if let Some(byte) = files.get_mut(slot).and_then(|bytes| bytes.last_mut()) {
                    *byte ^= 1;
                }
            });
            let mut next = session(&disk.open(None));
            let what = format!("{slot} after {changes} changes");
            let Some(run) = runs(&mut next).pop() else {
                assert!(!remarks(&next).is_empty(), "{what}: it is gone without a word");
                continue;
            };
            if run.record.state == RunState::Finished {
                continue;
            }
            train(&mut next, short(), Keep::GoOn("first".into()));
            let failed = next.events.iter().any(|event| matches!(event, Event::Failed(_)));
            assert!(!failed, "{what}: {:?}", next.events.last());
            let told = next.numbers();
            assert_eq!(told, losses[losses.len() - told.len()..], "{what}");
            went_on += usize::from(run.step.is_some());
        }
    }
    assert!(went_on > 0);
}

#[test]
fn copies_of_files_are_shared_by_runs_and_go_with_the_last_of_them() {
    let disk = Disk::default();
    let mut session = session(&disk.open(None));
    for (id, started_ms) in [("first", 1.0), ("second", 2.0)] {
        train(&mut session, short(), Keep::New(Box::new(record(id, started_ms))));
    }
    let copies = |disk: &Disk| disk.change("inputs", |files| files.len());
    let (found, inputs) = (runs(&mut session), tiny::model_files().len() + 1);
    assert_eq!(
        found.iter().map(|run| run.record.id.as_str()).collect::<Vec<_>>(),
        ["second", "first"]
    );
    assert_eq!(copies(&disk), inputs);
    let RunInput::Files(kept) = &found[0].record.data else {
        panic!("a file")
    };
    let copy = kept[0].copy.clone().expect("a copy");
    let original = tiny::data_file();
    let bytes = block_on(original.read_at(0, original.len_bytes() as usize)).expect("bytes");
    assert_eq!(copy, sha256(&bytes), "every byte counts");
    assert_eq!(disk.change("inputs", |files| files[&copy].clone()), bytes);
    let forget = |id: Option<&str>| Command::ForgetRun {
        id: id.map(str::to_owned),
    };
    session.ask(forget(Some("first")), Vec::new());
    assert_eq!((copies(&disk), disk.folders().len()), (inputs, 2));
    // They are told of with what they are, and one can be removed by itself.
    let told = |session: &TestSession| match session.events.last() {
        Some(Event::Runs { copies, .. }) => copies.clone(),
        other => panic!("the copies were not told: {other:?}"),
    };
    let found = told(&session);
    assert_eq!(found.len(), inputs);
    let of_data = found.iter().find(|one| one.copy == copy).expect("it is listed");
    assert_eq!(
        (of_data.name.as_deref(), of_data.bytes, of_data.runs, of_data.started_ms),
        (Some(original.name()), original.len_bytes(), 1, Some(2.0))
    );
    let forget_copy = Command::ForgetCopy { copy: copy.clone() };
    session.ask(forget_copy, Vec::new());
    assert!(told(&session).iter().all(|one| one.copy != copy));
    session.ask(forget(None), Vec::new());
    assert_eq!((copies(&disk), disk.folders()), (0, vec!["inputs".to_owned()]));
}

#[test]
fn a_file_for_which_there_is_no_room_is_told_of_and_not_copied() {
    let disk = Disk::default();
    let shelf = disk.open(None);
    shelf.available_bytes.set(Some(10));
    let mut session = session(&shelf);
    train(&mut session, short(), Keep::New(Box::new(record("first", 1.0))));
    assert!(session.summary().finished);
    let told = remarks(&session);
    assert!(
        told.iter().any(|text| text.contains("choose the file again")),
        "{told:?}"
    );
    let run = runs(&mut session).pop().expect("the run is kept");
    let RunInput::Files(files) = run.record.data else {
        panic!("a file")
    };
    assert_eq!(files[0].copy, None);
}

#[test]
fn a_run_whose_checkpoints_have_no_room_says_so_before_its_first_step_and_trains() {
    let disk = Disk::default();
    let shelf = disk.open(None);
    shelf.available_bytes.set(Some(1000));
    let mut session = session(&shelf);
    train(&mut session, short(), Keep::New(Box::new(record("first", 1.0))));
    assert_eq!(session.numbers().len(), 4);
    let place = |is: &dyn Fn(&Event) -> bool| session.events.iter().position(is);
    let is_said = |event: &Event| match event {
        Event::Warning { message } => message.english().contains("takes at least 1 MiB"),
        _ => false,
    };
    let said = place(&is_said).expect("it is said, with figures");
    assert!(Some(said) < place(&|event| matches!(event, Event::Step(_))));
    assert!(place(&|event| matches!(event, Event::Checkpoint { .. })).is_none());
    // Said once, and nothing besides.
    assert_eq!(session.events.iter().filter(|event| is_said(event)).count(), 1);
    assert!(!remarks(&session).iter().any(|text| text.contains("would be lost")));

    // One with room for them keeps them.
    shelf.available_bytes.set(Some(100 << 20));
    train(&mut session, short(), Keep::New(Box::new(record("second", 2.0))));
    assert!(
        session
            .events
            .iter()
            .any(|event| matches!(event, Event::Checkpoint { .. }))
    );
}

#[test]
fn what_was_written_before_an_interruption_is_shown_after_it() {
    let sampling = |keep: Keep, steps: i64| Command::Train {
        config: Box::new(RunConfig {
            max_steps: steps,
            ..short()
        }),
        sample_prompt: Some("say a".into()),
        watch: Vec::new(),
        keep: Some(keep),
    };
    let written = |session: &TestSession| -> Vec<(usize, String)> {
        let samples = session.events.iter().filter_map(|event| match event {
            Event::Sample { step, text, .. } => Some((*step, text.clone())),
            _ => None,
        });
        samples.collect()
    };
    let disk = Disk::default();
    let mut first = session(&disk.open(None));
    let command = sampling(Keep::New(Box::new(record("first", 1.0))), 12);
    // Stopped after the sample of step 5.
    first.ask_and(command, Vec::new(), &mut |event, control| {
        if matches!(event, Event::Step(step) if step.step == 7) {
            control.stop();
        }
    });
    let before = written(&first);
    assert_eq!(before.iter().map(|one| one.0).collect::<Vec<_>>(), [0, 5, 7]);
    let mut next = session(&disk.open(None));
    next.ask(sampling(Keep::GoOn("first".into()), 12), Vec::new());
    let shown = find(&next, |event| match event {
        Event::Continued { samples, .. } => Some(samples.clone()),
        _ => None,
    });
    let shown: Vec<(usize, String)> = shown.into_iter().map(|one| (one.step, one.text)).collect();
    assert_eq!(shown, before);
    let all: Vec<(usize, String)> = before.into_iter().chain(written(&next)).collect();
    let run = runs(&mut next).pop().expect("it is there");
    let kept = run.record.samples.into_iter().map(|one| (one.step, one.text));
    assert_eq!(kept.collect::<Vec<_>>(), all);
}

#[test]
fn without_a_store_a_run_that_is_to_go_on_says_that_it_starts_anew_before_it_does() {
    let mut session = TestSession::open();
    train(&mut session, short(), Keep::GoOn("first".into()));
    let place = |is: &dyn Fn(&Event) -> bool| session.events.iter().position(is);
    let said = place(&|event| match event {
        Event::Warning { message } => message.english().contains("starts from the beginning"),
        _ => false,
    });
    assert!(said.is_some() && said < place(&|event| matches!(event, Event::Started(_))));
    // One that went wrong has no checkpoint to go back to, and does not start.
    let back = Keep::GoBack {
        id: "first".into(),
        step: 2,
    };
    train(&mut session, short(), back);
    assert!(
        failure(&session).to_string().contains("no storage"),
        "{}",
        failure(&session)
    );
}

#[test]
fn a_run_that_is_under_way_elsewhere_is_neither_gone_on_with_nor_removed() {
    let disk = Disk::default();
    let shelf = disk.open(None);
    let mut session = session(&shelf);
    train(&mut session, short(), Keep::New(Box::new(record("first", 1.0))));
    let claim = block_on(shelf.claim(FOLDER)).expect("it answers");
    assert!(claim.is_some(), "a run that has ended holds nothing");
    assert!(runs(&mut session)[0].is_under_way);
    train(&mut session, short(), Keep::GoOn("first".into()));
    assert_eq!(failure(&session).kind, Kind::Config);
    session.ask(
        Command::ForgetRun {
            id: Some("first".into()),
        },
        Vec::new(),
    );
    assert!(failure(&session).to_string().contains("another tab"));
    session.ask(Command::ForgetRun { id: None }, Vec::new());
    assert_eq!(runs(&mut session).len(), 1);
    let copy = Command::ForgetCopy { copy: "any".into() };
    session.ask(copy, Vec::new());
    assert!(failure(&session).to_string().contains("another tab"));
    drop(claim);
    session.ask(Command::ForgetRun { id: None }, Vec::new());
    assert!(runs(&mut session).is_empty());
}

#[test]
fn a_run_that_cannot_be_read_while_it_is_written_elsewhere_is_to_be_asked_for_again() {
    let disk = Disk::default();
    let shelf = disk.open(None);
    let mut session = session(&shelf);
    let is_partial = |session: &mut TestSession| {
        assert!(runs(session).is_empty());
        matches!(session.events.last(), Some(Event::Runs { is_partial: true, .. }))
    };
    assert!(!is_partial(&mut session));
    // Its folder is there, its record is not.
    let claim = block_on(shelf.claim(FOLDER)).unwrap();
    assert!(claim.is_some());
    block_on(shelf.create(FOLDER, "0")).unwrap();
    assert!(is_partial(&mut session));
    assert!(remarks(&session).is_empty(), "{:?}", remarks(&session));
    drop(claim);
    assert!(!is_partial(&mut session));
    assert!(!remarks(&session).is_empty(), "nobody writes it any more");
}

#[test]
fn a_stopped_run_is_saved_and_can_be_gone_on_with() {
    let disk = Disk::default();
    let mut first = session(&disk.open(None));
    first.inner.save_interval_ms = f64::INFINITY;
    let command = command(short(), Some(Keep::New(Box::new(record("first", 1.0)))));
    first.ask_and(command, Vec::new(), &mut |event, control| {
        if matches!(event, Event::Step(step) if step.step == 2) {
            control.stop();
        }
    });
    let mut next = session(&disk.open(None));
    let run = runs(&mut next).pop().expect("it is there");
    assert_eq!(
        (run.record.state, run.step, run.max_steps),
        (RunState::Stopped, Some(2), 4)
    );
    train(&mut next, short(), Keep::GoOn("first".into()));
    assert_eq!(next.steps().iter().map(|step| step.step).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_checkpoint_is_written_when_it_is_asked_for() {
    let disk = Disk::default();
    let mut session = session(&disk.open(None));
    session.inner.save_interval_ms = f64::INFINITY;
    let command = command(short(), Some(Keep::New(Box::new(record("first", 1.0)))));
    session.ask_and(command, Vec::new(), &mut |event, control| {
        if matches!(event, Event::Step(step) if step.step == 2) {
            control.request(Command::SaveRun);
        }
    });
    let saved = session.events.iter().filter_map(|event| match event {
        Event::Checkpoint { step, .. } => Some(*step),
        _ => None,
    });
    assert_eq!(saved.collect::<Vec<_>>(), [2]);
}

#[test]
fn without_a_store_a_run_trains_and_it_is_said_that_it_is_not_kept() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), tiny::data_file());
    train(&mut session, short(), Keep::New(Box::new(record("first", 1.0))));
    assert!(session.summary().finished);
    assert!(remarks(&session).iter().any(|text| text.contains("no storage")));
    assert!(runs(&mut session).is_empty());
}

#[test]
fn a_run_that_was_refused_leaves_nothing() {
    let disk = Disk::default();
    let mut session = session(&disk.open(None));
    // More rows are to be held out than there are.
    train(
        &mut session,
        RunConfig {
            val_size: 1000.0,
            ..short()
        },
        Keep::New(Box::new(record("first", 1.0))),
    );
    let _ = failure(&session);
    assert!(runs(&mut session).is_empty(), "{:?}", disk.folders());
}

#[test]
fn other_settings_do_not_go_on_with_a_run() {
    let disk = Disk::default();
    let mut first = session(&disk.open(None));
    train(
        &mut first,
        RunConfig {
            max_steps: 2,
            ..short()
        },
        Keep::New(Box::new(record("first", 1.0))),
    );
    let mut next = session(&disk.open(None));
    train(
        &mut next,
        RunConfig {
            learning_rate: 0.5,
            ..short()
        },
        Keep::GoOn("first".into()),
    );
    assert!(
        failure(&next).to_string().contains("learning_rate"),
        "{}",
        failure(&next)
    );
    // It can still be gone on with as it was, and for longer.
    train(&mut next, short(), Keep::GoOn("first".into()));
    assert_eq!(next.summary().steps, 4);
}
