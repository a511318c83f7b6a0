//! Files beside those of a run: looked into and compared, and adapters that no run of the session trained.

use super::kept_runs::{record, runs, session, short, train};
use lorakeet_core::{
    config::RunConfig,
    error::Kind,
    export::Form,
    protocol::{
        Command, ComparedFiles, DeviceChoice, Event, ExportCommand, ExportEvent, ExportOption, FileKind, FileScore,
        FilesCommand, FilesEvent, InputFile, InspectedFiles, Keep, LoadedAdapter, OfModules, RunInput, RunRecord,
    },
    store::{MemoryFile, Source},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    memory_shelf::Disk,
    rows::classes,
    test_session::{TestSession, failure, find},
    tiny,
};
use std::collections::BTreeMap;

fn sources(files: &BTreeMap<String, Vec<u8>>) -> Vec<Source> {
    let files = files.iter();
    files
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()))
        .collect()
}

/// PEFT's files of an adapter that another session trained.
fn adapter(config: RunConfig, data: Source) -> Vec<Source> {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), data);
    session.train(config);
    session.summary();
    session.ask(Command::ExportAdapter, Vec::new());
    sources(&session.exported)
}

fn of_classes() -> RunConfig {
    RunConfig {
        task: Some(Task::Classification),
        ..tiny::config()
    }
}

/// The same adapter as another form has it.
fn in_form(session: &mut TestSession, form: Form) -> Vec<Source> {
    let command = ExportCommand::Write {
        form,
        dtype: None,
        dequantized: false,
        ahead: 0,
        license: None,
    };
    let mut files = BTreeMap::<String, Vec<u8>>::new();
    let control = session.control.clone();
    block_on(
        session
            .inner
            .handle(Command::Export(command), Vec::new(), &mut |event, bytes| match event {
                Event::Export(ExportEvent::Piece { path, .. }) => {
                    files.entry(path).or_default().extend(bytes.unwrap_or_default());
                    control.piece_taken();
                }
                Event::Failed(error) => panic!("{error}"),
                _ => {}
            }),
    );
    files.remove("README.md");
    sources(&files)
}

fn ask(session: &mut TestSession, command: FilesCommand, files: Vec<Source>) {
    session.ask(Command::Files(command), files);
}

fn inspected(session: &mut TestSession, files: Vec<Source>) -> InspectedFiles {
    ask(session, FilesCommand::Inspect, files);
    match session.events.last() {
        Some(Event::Files(FilesEvent::Inspected(found))) => found.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn compared(session: &mut TestSession, a: &[Source], b: &[Source]) -> ComparedFiles {
    ask(session, FilesCommand::Compare { first: a.len() }, [a, b].concat());
    match session.events.last() {
        Some(Event::Files(FilesEvent::Compared(found))) => found.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn put_on(session: &mut TestSession, files: Vec<Source>) -> LoadedAdapter {
    ask(session, FilesCommand::Adapter, files);
    match session.events.last() {
        Some(Event::Files(FilesEvent::Adapter(adapter))) => adapter.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn scored(session: &mut TestSession, config: RunConfig) -> FileScore {
    let config = Box::new(config);
    ask(session, FilesCommand::Score { config }, Vec::new());
    match session.events.last() {
        Some(Event::FileScored(score)) => score.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn forms(session: &mut TestSession) -> Vec<ExportOption> {
    session.ask(Command::Export(ExportCommand::Forms), Vec::new());
    find(session, |event| match event {
        Event::Export(ExportEvent::Forms { forms }) => Some(forms.clone()),
        _ => None,
    })
}

#[test]
fn files_say_what_they_are_without_a_model_or_a_device() {
    let mut session = TestSession::empty();
    let model = inspected(&mut session, tiny::model_files());
    assert_eq!(
        (model.kind, model.architecture.as_deref()),
        (FileKind::Model, Some("llama"))
    );
    assert_eq!(model.tensors.len(), 20);
    let parameters: u64 = model.tensors.iter().map(|tensor| tensor.bytes / 4).sum();
    assert_eq!(model.parameters, parameters);
    let group = model
        .groups
        .iter()
        .find(|group| group.name.contains("*.self_attn.q_proj"));
    assert_eq!(
        group.map(|group| (group.count, group.shape.clone())),
        Some((2, vec![32, 32]))
    );
    assert!(
        model.facts.contains(&("hidden_size".to_owned(), "32".to_owned())),
        "{:?}",
        model.facts
    );
    assert!(model.read.contains(&"model.safetensors".to_owned()) && model.adapter.is_none());

    let config = RunConfig {
        lora_r: 3,
        lora_alpha: 6.0,
        ..tiny::config()
    };
    let found = inspected(&mut session, adapter(config, tiny::data_file()));
    let outline = found.adapter.expect("an adapter");
    assert_eq!(found.kind, FileKind::Adapter);
    let of = |numbers: &[OfModules]| -> Vec<(String, usize)> {
        numbers.iter().map(|one| (one.value.clone(), one.modules)).collect()
    };
    assert_eq!(of(&outline.ranks), [("3".to_owned(), outline.modules)]);
    assert_eq!(of(&outline.scales), [("2".to_owned(), outline.modules)]);

    ask(
        &mut session,
        FilesCommand::Inspect,
        vec![MemoryFile::source("x.gguf", b"none".to_vec())],
    );
    let said = failure(&session).to_string();
    assert!(said.contains("x.gguf"), "{said}");
}

#[test]
fn adapters_of_other_programs_are_compared_on_the_loaded_model_and_models_tensor_by_tensor() {
    let mut session = TestSession::open();
    session.train(tiny::config());
    session.summary();
    let (peft, gguf) = (
        in_form(&mut session, Form::Peft),
        in_form(&mut session, Form::GgufAdapter),
    );
    assert!(compared(&mut session, &peft, &peft).is_same);
    let found = compared(&mut session, &peft, &gguf);
    let relative = found.total.relative().expect("A is not 0");
    assert!(
        found.are_adapters && relative < 1e-5 && !found.tensors.is_empty(),
        "{found:?}"
    );
    // Another one lies further away, and the largest change comes first.
    let config = RunConfig {
        seed: 7,
        ..tiny::config()
    };
    let other = adapter(config, tiny::data_file());
    let found = compared(&mut session, &peft, &other);
    let changes: Vec<f64> = found.tensors.iter().filter_map(|change| change.relative()).collect();
    assert!(!found.is_same && changes.is_sorted_by(|a, b| a >= b), "{changes:?}");
    assert_eq!(found.layers.len(), 2);

    let (base, merged) = (tiny::model_files(), in_form(&mut session, Form::Merged));
    let found = compared(&mut session, &base, &merged);
    let is_changed = |name: &str| {
        found
            .tensors
            .iter()
            .any(|change| change.name.contains(name) && change.distance > 0.0)
    };
    assert!(
        !found.are_adapters && is_changed("q_proj") && !is_changed("norm"),
        "{found:?}"
    );

    ask(
        &mut session,
        FilesCommand::Compare { first: peft.len() },
        [peft, base].concat(),
    );
    let said = failure(&session).to_string();
    assert!(said.contains("one is a model and the other an adapter"), "{said}");
}

#[test]
fn a_comparison_ends_when_that_is_asked_for_and_no_later_run_with_it() {
    let mut session = TestSession::open();
    let models = [tiny::model_files(), tiny::model_files()];
    let command = Command::Files(FilesCommand::Compare { first: models[0].len() });
    session.ask_and(command, models.concat(), &mut |event, control| {
        if matches!(event, Event::Progress { .. }) {
            control.stop();
        }
    });
    assert_eq!(failure(&session).kind, Kind::Stopped);
    session.train(tiny::config());
    assert!(session.summary().finished);
}

#[test]
fn an_adapter_with_a_head_is_shown_scored_asked_trained_on_and_exported_without_a_run() {
    let files = adapter(of_classes(), classes(60));
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), classes(60));
    let on = put_on(&mut session, files.clone());
    assert_eq!((on.kind, on.head), (FileKind::Adapter, Some(Task::Classification)));
    assert!(
        on.labels.contains(&"same".to_owned()) && on.labels.len() == 2,
        "{:?}",
        on.labels
    );
    let score = scored(&mut session, of_classes());
    assert_eq!(score.rows, 60);
    assert!(
        score.report.metrics.iter().any(|metric| metric.name == "accuracy"),
        "{score:?}"
    );
    let command = Command::Predict {
        config: Box::new(of_classes()),
        texts: vec![vec!["abca".to_owned()]],
        strength: 1.0,
    };
    session.ask(command, Vec::new());
    assert!(matches!(session.events.last(), Some(Event::Predicted { answers, .. }) if answers.len() == 1));
    let possible: Vec<Form> = forms(&mut session)
        .into_iter()
        .filter(|option| option.problem.is_none())
        .map(|option| option.form)
        .collect();
    assert!(
        possible.contains(&Form::Peft) && possible.contains(&Form::Merged),
        "{possible:?}"
    );
    // The same adapter comes out again.
    let again = in_form(&mut session, Form::Peft);
    assert!(compared(&mut session, &files, &again).is_same);
    assert!(again.iter().any(|file| file.name() == "config.json"));
    session.train(of_classes());
    assert!(session.summary().finished);

    // One without a head finds the base as it was.
    let plain = adapter(tiny::config(), tiny::data_file());
    let on = put_on(&mut session, plain);
    assert_eq!((on.head, on.labels.len()), (None, 0));
}

#[test]
fn an_adapter_that_does_not_fit_leaves_the_model_as_it_was() {
    let mut session = TestSession::open();
    let mut files = adapter(tiny::config(), tiny::data_file());
    files.retain(|file| file.name() != "adapter_model.safetensors");
    let other = RunConfig {
        lora_r: 3,
        ..tiny::config()
    };
    let weights = adapter(other, tiny::data_file());
    files.extend(
        weights
            .into_iter()
            .filter(|file| file.name() == "adapter_model.safetensors"),
    );
    ask(&mut session, FilesCommand::Adapter, files);
    let said = failure(&session).to_string();
    assert!(said.contains("lora_A"), "{said}");
    // No half of it is left: what can be exported is the model.
    assert!(forms(&mut session).iter().all(|option| option.form.holds_base()));
    ask(&mut session, FilesCommand::Adapter, tiny::model_files());
    let said = failure(&session).to_string();
    assert!(said.contains("is a model, not an adapter"), "{said}");
    session.train(tiny::config());
    session.summary();
}

#[test]
fn a_model_that_nothing_was_trained_of_is_written_in_another_number_format() {
    let mut session = TestSession::open();
    let offered = forms(&mut session);
    assert!(offered.iter().all(|option| option.form.holds_base()), "{offered:?}");
    let formats: Vec<&str> = offered
        .iter()
        .filter(|option| option.form == Form::Gguf)
        .filter_map(|option| option.dtype.as_deref())
        .collect();
    let all = [
        "float16", "bfloat16", "float32", "q8_0", "q5_k_m", "q4_k_m", "q4_1", "q4_0",
    ];
    assert_eq!(formats, all);
    let merged = in_form(&mut session, Form::Merged);
    let found = compared(&mut session, &tiny::model_files(), &merged);
    assert!(found.is_same, "{found:?}");
}

#[test]
fn a_kept_run_that_started_from_an_adapter_goes_on_with_it() {
    let files = adapter(tiny::config(), tiny::data_file());
    let shelf = Disk::default().open(None);
    let mut first = session(&shelf);
    put_on(&mut first, files.clone());
    let input = |source: &Source| InputFile {
        name: source.name().to_owned(),
        bytes: source.len_bytes(),
        copy: None,
    };
    let record = RunRecord {
        adapter: Some(RunInput::Files(files.iter().map(input).collect())),
        ..record("first", 1.0)
    };
    let command = Command::Train {
        config: Box::new(short()),
        sample_prompt: None,
        watch: Vec::new(),
        keep: Some(Keep::New(Box::new(record))),
    };
    first.ask_and(command, Vec::new(), &mut |event, control| {
        if matches!(event, Event::Step(step) if step.step == 2) {
            control.stop();
        }
    });
    assert!(!first.summary().finished);
    let kept = runs(&mut first).pop().expect("it is kept");
    let copies = match kept.record.adapter {
        Some(RunInput::Files(files)) => files,
        other => panic!("{other:?}"),
    };
    assert!(
        copies.len() == files.len() && copies.iter().all(|file| file.copy.is_some()),
        "{copies:?}"
    );
    // It is known by the adapter, too.
    let mut without = session(&shelf);
    train(&mut without, short(), Keep::GoOn("first".into()));
    let said = failure(&without).to_string();
    assert!(said.contains("adapter_name_or_path"), "{said}");
    let mut next = session(&shelf);
    put_on(&mut next, files);
    train(&mut next, short(), Keep::GoOn("first".into()));
    assert_eq!(next.summary().steps, 4);
}
