//! Runs that go wrong while their numbers are finite: told of, or ended, with the rows and a way back; and those that go well, of
//! which nothing is said.

use lorakeet_core::config::{DivergenceAction, RunConfig, TargetModules};
use lorakeet_core::error::Kind;
use lorakeet_core::formats::peft::Adapter;
use lorakeet_core::lesson::{LessonRun, Recording};
use lorakeet_core::protocol::{
    Command, DeviceChoice, Divergence, Event, Keep, RateChange, RunInput, RunRecord, Sign, StoredRun,
};
use lorakeet_core::store::{DiskFile, MemoryFile, MemorySink};
use lorakeet_core::task::Task;
use lorakeet_core::train::watchdog::{Alarm, Watchdog};
use lorakeet_tests::golden::{Case, block_on, number};
use lorakeet_tests::lesson_recorder as recorder;
use lorakeet_tests::memory_shelf::Disk;
use lorakeet_tests::test_session::{TestSession, checkpoint, failure};
use lorakeet_tests::tiny::config;
use std::rc::Rc;

/// A session with the page's model and the text of a lesson.
fn open(run: &LessonRun) -> TestSession {
    let page = recorder::page_folder();
    let open = |name: &str| DiskFile::source(page.join(name)).expect("a file of the page");
    let model = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ];
    let files = model.map(|name| open(&format!("model/{name}")));
    TestSession::with(DeviceChoice::Cpu, files.to_vec(), open(&run.data))
}

fn lesson_run(name: &str) -> LessonRun {
    let lesson = recorder::lesson(&recorder::page_folder(), "learning-rate").expect("the lesson");
    lesson.runs[name].clone()
}

/// The lesson's run at a rate that is too high.
fn too_high() -> TestSession {
    open(&lesson_run("high"))
}

fn wild() -> RunConfig {
    RunConfig {
        output_dir: "out".into(),
        eval_steps: 0.0,
        // Whose numbers no norm holds down: it goes wrong on every processor.
        modules_to_save: Some(TargetModules::Names(vec!["lm_head".into()])),
        save_steps: 2.0,
        ..lesson_run("high").config().expect("settings")
    }
}

/// Trains without a sample on the way.
fn train(session: &mut TestSession, config: RunConfig) {
    let command = Command::Train {
        config: Box::new(config),
        sample_prompt: None,
        watch: Vec::new(),
        keep: None,
    };
    session.ask(command, Vec::new());
}

fn with(divergence: DivergenceAction) -> RunConfig {
    RunConfig { divergence, ..wild() }
}

fn told(session: &TestSession) -> Vec<Divergence> {
    let told = session.events.iter().filter_map(|event| match event {
        Event::Diverging(divergence) => Some(divergence.clone()),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_run_that_diverges_is_told_of_with_its_rows_and_what_to_go_back_to() {
    let mut session = too_high();
    let sink = Rc::new(MemorySink::new());
    session.inner.sink = Some(sink.clone());
    train(&mut session, with(DivergenceAction::Warn));
    let told = told(&session);
    let found = told.first().unwrap_or_else(|| panic!("{:?}", session.numbers().len()));
    assert!(
        matches!(found.sign, Sign::LossRose | Sign::GradientExploded),
        "{found:?}"
    );
    assert!(
        found.since <= found.step && found.step < 24 && !found.ends_run,
        "{found:?}"
    );
    assert_eq!(found.rows.len(), 4, "{found:?}");
    let saved = found.checkpoint.expect("one from before");
    assert!(saved < found.since && saved + 2 >= found.since, "the newest: {found:?}");
    assert_eq!(found.learning_rate, 0.1);
    let notes: Vec<String> = session
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Warning { message } => Some(message.english()),
            _ => None,
        })
        .collect();
    let note = notes
        .iter()
        .find(|note| note.contains("the run diverges"))
        .expect("it is said");
    for words in [
        format!("step {} had rows {}", found.since, found.rows[0]),
        format!("--set adapter_name_or_path=out/checkpoint-{saved} --set learning_rate=1e-1"),
    ] {
        assert!(note.contains(&words), "{words}: {note}");
    }

    // What the remedy says can be done: the checkpoint is an adapter to start from.
    let folder = format!("checkpoint-{saved}/");
    let files = sink.files().into_iter();
    let files = files.filter_map(|(path, bytes)| Some(MemoryFile::source(path.strip_prefix(&folder)?, bytes)));
    let adapter = block_on(Adapter::open(files.collect())).expect("an adapter");
    let mut next = too_high();
    next.inner.load_adapter(adapter).expect("it fits");
    let lower = RunConfig {
        learning_rate: found.learning_rate,
        max_steps: 4,
        ..wild()
    };
    train(&mut next, lower);
    assert!(next.summary().finished);

    // Nobody looks, and nothing is learnt otherwise.
    let mut off = too_high();
    train(&mut off, with(DivergenceAction::Off));
    assert!(self::told(&off).is_empty());
    assert_eq!(off.numbers(), session.numbers());

    // A run that goes on tells the same as one that never stopped, and tells it once.
    for step in [saved, found.step.next_multiple_of(2)] {
        let mut resumed = too_high();
        resumed.inner.resume = Some(checkpoint(&sink, step));
        train(&mut resumed, with(DivergenceAction::Warn));
        let later: Vec<&Divergence> = told.iter().filter(|one| one.step > step).collect();
        let again = self::told(&resumed);
        let signs = |all: &[&Divergence]| -> Vec<_> { all.iter().map(|one| (one.sign, one.step, one.since)).collect() };
        assert_eq!(
            signs(&again.iter().collect::<Vec<_>>()),
            signs(&later),
            "from step {step}"
        );
    }
}

/// What a front end writes down of a run of the lesson.
fn record(config: &RunConfig) -> RunRecord {
    let inputs = ["model", "data"].map(|name| RunInput::Bundled(name.to_owned()));
    RunRecord::begun(("wild".to_owned(), 1.0), (config, Task::Generation), inputs)
}

/// A session that keeps runs on this disk, with the checkpoints that their settings ask for.
fn keeping(disk: &Disk) -> TestSession {
    let mut session = too_high();
    session.inner.shelf = Some(disk.open(None));
    session.inner.save_interval_ms = f64::INFINITY;
    session
}

fn keep(session: &mut TestSession, config: RunConfig, keep: Keep) {
    let command = Command::Train {
        config: Box::new(config),
        sample_prompt: None,
        watch: Vec::new(),
        keep: Some(keep),
    };
    session.ask(command, Vec::new());
}

fn stored(session: &mut TestSession) -> StoredRun {
    session.ask(Command::Runs, Vec::new());
    match session.events.last() {
        Some(Event::Runs {
            runs, has_store: true, ..
        }) => runs[0].clone(),
        other => panic!("the runs were not told: {other:?}"),
    }
}

#[test]
fn a_run_that_diverged_goes_on_from_its_last_good_checkpoint_at_a_third_of_the_rate() {
    let disk = Disk::default();
    let mut first = keeping(&disk);
    let config = with(DivergenceAction::Warn);
    keep(&mut first, config.clone(), Keep::New(Box::new(record(&config))));
    let found = told(&first).first().cloned().expect("it diverges");
    let good = found.checkpoint.expect("one from before");
    // Nobody was there for a while, and it is kept all the same.
    assert!(first.steps().len() > good + 4, "{found:?}");
    let going_back = |step| Keep::GoBack {
        id: "wild".to_owned(),
        step,
    };
    let lower = RunConfig {
        learning_rate: found.learning_rate,
        ..config.clone()
    };

    // That is the one thing that may change, and downwards only.
    let mut next = keeping(&disk);
    keep(&mut next, config.clone(), going_back(good));
    assert!(failure(&next).to_string().contains("lower rate"), "{}", failure(&next));
    keep(&mut next, lower.clone(), Keep::GoOn("wild".to_owned()));
    assert!(
        failure(&next).to_string().contains("learning_rate was"),
        "{}",
        failure(&next)
    );
    keep(&mut next, lower.clone(), going_back(1));
    assert!(
        failure(&next).to_string().contains("no complete checkpoint"),
        "{}",
        failure(&next)
    );

    next.events.clear();
    keep(&mut next, lower.clone(), going_back(good));
    assert!(next.summary().finished);
    let (before, after) = (first.steps(), next.steps());
    assert_eq!(after[0].step, good + 1);
    // It is the same run up to there: the next loss is the same, to the bit.
    assert_eq!(after[0].loss.to_bits(), before[good].loss.to_bits());
    for (before, after) in before[good..].iter().zip(&after) {
        let wanted = before.learning_rate * found.learning_rate / config.learning_rate;
        assert!((after.learning_rate - wanted).abs() <= 1e-12, "{after:?}");
    }
    let note = next.events.iter().find_map(|event| match event {
        Event::Warning { message } => {
            Some(message.english()).filter(|text| text.contains("went wrong, so it continues"))
        }
        _ => None,
    });
    let note = note.expect("it is said");
    assert!(note.contains(&format!("step {good} with learning_rate 1e-1")), "{note}");
    let run = stored(&mut next);
    assert_eq!(
        run.record.rate_changes,
        [RateChange {
            step: good,
            before: config.learning_rate,
            learning_rate: found.learning_rate,
        }]
    );
    assert_eq!(
        run.record.config().expect("settings").learning_rate,
        found.learning_rate
    );
}

#[test]
fn a_run_that_went_back_and_was_cut_off_goes_on_at_the_lower_rate() {
    let disk = Disk::default();
    let mut first = keeping(&disk);
    let config = with(DivergenceAction::Warn);
    keep(&mut first, config.clone(), Keep::New(Box::new(record(&config))));
    let found = told(&first).first().cloned().expect("it diverges");
    let good = found.checkpoint.expect("one from before");
    // No further checkpoint is written: the run that went back is as one that is cut off before its first.
    let lower = RunConfig {
        learning_rate: found.learning_rate,
        save_steps: 1000.0,
        ..config
    };
    let mut next = keeping(&disk);
    let back = Keep::GoBack {
        id: "wild".to_owned(),
        step: good,
    };
    keep(&mut next, lower.clone(), back);
    let mut again = keeping(&disk);
    assert_eq!(stored(&mut again).record.rate_changes.len(), 1);
    keep(&mut again, lower, Keep::GoOn("wild".to_owned()));
    assert_eq!(again.steps().first().map(|step| step.step), Some(good + 1));
    assert_eq!(again.numbers(), next.numbers());
}

#[test]
fn a_run_that_is_to_stop_by_it_ends_and_saves_what_it_has() {
    let mut session = too_high();
    let sink = Rc::new(MemorySink::new());
    session.inner.sink = Some(sink.clone());
    train(&mut session, with(DivergenceAction::Stop));
    let error = failure(&session);
    assert_eq!(error.kind, Kind::Diverged);
    let told = told(&session);
    assert!(told.len() == 1 && told[0].ends_run, "{told:?}");
    assert_eq!(session.steps().last().map(|step| step.step), Some(told[0].step));
    assert!(
        error
            .to_string()
            .contains("Start a new run from the last good checkpoint"),
        "{error}"
    );
    assert!(sink.files().contains_key("adapter_model.safetensors"));
    // The same session trains as well as any other at the rate that is right.
    session.events.clear();
    train(&mut session, lesson_run("right").config().expect("settings"));
    assert!(session.summary().finished && self::told(&session).is_empty());
}

#[test]
fn a_loss_that_is_no_number_names_its_rows_too() {
    let mut session = TestSession::open();
    session.train(RunConfig {
        learning_rate: 1e30,
        max_grad_norm: 0.0,
        ..config()
    });
    let (error, told) = (failure(&session), told(&session));
    let [found] = &told[..] else { panic!("{told:?}") };
    assert_eq!((found.sign, found.since), (Sign::NotFinite, found.step));
    assert_eq!((found.rows.len(), found.checkpoint), (4, None));
    let text = error.to_string();
    assert!(
        text.contains(&format!("(rows {}", found.rows[0])) && text.contains("learning_rate: 3.3e29"),
        "{text}"
    );
}

fn alarms(numbers: impl IntoIterator<Item = (f64, f64)>, before: Option<f64>) -> Vec<Alarm> {
    let mut watchdog = Watchdog::default();
    let steps = numbers.into_iter().zip(1..);
    steps
        .filter_map(|(numbers, step)| watchdog.see(step, numbers, before))
        .collect()
}

#[test]
fn nothing_is_said_of_the_reference_runs() {
    let cases = Case::all_with("C", "model.safetensors");
    assert!(!cases.is_empty(), "the folder has runs");
    for case in cases {
        let all = |key: &str| -> Vec<f64> {
            let numbers = case.json[key].as_array().expect("numbers");
            numbers.iter().map(number).collect()
        };
        let numbers = all("loss").into_iter().zip(all("grad_norm"));
        assert_eq!(alarms(numbers, None), [], "{}", case.name);
    }
}

#[test]
fn of_the_lessons_runs_the_one_that_is_to_diverge_is_told_of() {
    let page = recorder::page_folder();
    let mut told = Vec::new();
    for id in recorder::lesson_ids(&page).expect("lessons") {
        let name = format!("lessons/{id}.recording.json");
        let text = recorder::text(&page, &name).expect("a recording");
        let recording = Recording::parse(&text, &name).expect("a recording");
        for (run, events) in &recording.runs {
            let steps = events.iter().filter_map(|event| match event {
                Event::Step(step) => Some((step.loss, step.grad_norm)),
                _ => None,
            });
            let before = events.iter().find_map(|event| match event {
                Event::Eval(eval) if eval.step == 0 => Some(eval.loss),
                _ => None,
            });
            let found = alarms(steps, before);
            told.extend(found.into_iter().map(|alarm| (format!("{id}/{run}"), alarm.since)));
        }
    }
    assert_eq!(told, [("learning-rate/high".to_owned(), 4)]);
}
