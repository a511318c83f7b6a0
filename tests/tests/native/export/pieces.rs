//! What a session hands over in pieces: the same files as an export to a folder, one after the other, and an end on demand.

use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    error::Kind,
    export::{Form, RunRecord, SHARD_BYTES, Settings, Trained, export},
    formats::{ModelFiles, Storage, peft::Adapter},
    host::Control,
    protocol::{Command, DeviceChoice, Event, ExportCommand, ExportEvent, ExportOption, PIECE_BYTES},
    quant::BaseFormat,
    store::{MemoryFile, MemorySink, Source},
    task::Task,
};
use lorakeet_tests::{golden::block_on, rows::classes, test_session::TestSession, tiny};
use std::collections::BTreeMap;

/// What was said of an export, but for its files.
pub(super) type Said = Vec<Event>;

/// Has the export served; `heard` sees each piece's number and may say something to the session.
pub(super) fn written(
    session: &mut TestSession,
    (form, dtype, ahead): (Form, Option<&str>, u64),
    heard: impl Fn(&Control, usize),
) -> (BTreeMap<String, Vec<u8>>, Said) {
    let command = Command::Export(ExportCommand::Write {
        form,
        dtype: dtype.map(str::to_owned),
        dequantized: false,
        ahead,
        license: None,
    });
    let control = session.control.clone();
    let (mut files, mut said, mut count) = (BTreeMap::<String, Vec<u8>>::new(), Vec::new(), 0);
    let mut open: Option<String> = None;
    block_on(
        session
            .inner
            .handle(command, Vec::new(), &mut |event, bytes| match event {
                Event::Export(ExportEvent::Piece {
                    path,
                    offset,
                    bytes: size,
                    is_last,
                }) => {
                    let bytes = bytes.expect("a piece has bytes");
                    assert!(bytes.len() <= PIECE_BYTES && bytes.len() as u64 == size, "{path}");
                    assert!(
                        open.as_ref().is_none_or(|other| *other == path),
                        "{path} came within {open:?}"
                    );
                    let file = files.entry(path.clone()).or_default();
                    assert_eq!(file.len() as u64, offset, "{path}");
                    file.extend(bytes);
                    open = (!is_last).then_some(path);
                    count += 1;
                    heard(&control, count);
                }
                Event::Progress { .. } => {}
                event => said.push(event),
            }),
    );
    if matches!(said.last(), Some(Event::Export(_))) {
        assert_eq!(open, None, "a file is not complete");
    }
    (files, said)
}

pub(super) fn trained() -> TestSession {
    let mut session = TestSession::open();
    session.train(tiny::config());
    session.summary();
    session
}

/// The same export by files, from what the session's adapter is.
fn expected(files: &BTreeMap<String, Vec<u8>>, form: Form, dtype: Option<Storage>) -> BTreeMap<String, Vec<u8>> {
    let adapter: Vec<Source> = files
        .iter()
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()))
        .collect();
    let adapter = block_on(Adapter::open(adapter)).expect("PEFT's files");
    let base = tiny::model_files();
    let sink = MemorySink::new();
    let trained = Trained {
        base: block_on(ModelFiles::open(base.clone())).expect("the base opens"),
        base_files: &base,
        adapter: Some(&adapter),
        head: None,
        record: &RunRecord::default(),
    };
    let settings = Settings {
        form,
        dtype,
        shard_bytes: SHARD_BYTES,
        base: BaseFormat::AsStored,
    };
    block_on(export(trained, settings, &sink, &mut |_, _| ())).expect("it is written");
    sink.files()
}

#[test]
fn pieces_add_up_to_the_files_that_a_folder_has() {
    let mut session = trained();
    let (peft, said) = written(&mut session, (Form::Peft, None, 0), |_, _| ());
    assert!(peft.contains_key("adapter_model.safetensors"), "{said:?}");
    let card = String::from_utf8(peft["README.md"].clone()).expect("text");
    assert!(
        card.contains("after optimizer step 12, the last") && card.contains("learning_rate"),
        "{card}"
    );
    for (form, name, dtype) in [
        (Form::Mlx, None, None),
        (Form::GgufAdapter, None, None),
        (Form::Merged, None, None),
        (Form::Merged, Some("bfloat16"), Some(Storage::BF16)),
    ] {
        let taken = |control: &Control, _| control.piece_taken();
        let (files, said) = written(&mut session, (form, name, 1), taken);
        let Some(Event::Export(ExportEvent::Done { form: told, step, .. })) = said.last() else {
            panic!("{said:?}");
        };
        assert_eq!((*told, *step), (form, Some(tiny::config().max_steps as u64)));
        let wanted = expected(&peft, form, dtype);
        assert_eq!(files.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
        for (name, bytes) in &files {
            assert!(name == "README.md" || *bytes == wanted[name], "{form:?} {name}");
        }
    }
}

#[test]
fn each_form_has_a_size_or_a_reason() {
    let mut session = trained();
    session.ask(Command::Export(ExportCommand::Forms), Vec::new());
    let Some(Event::Export(ExportEvent::Forms { forms })) = session.events.last() else {
        panic!("{:?}", session.events.last());
    };
    let forms: Vec<ExportOption> = forms.clone();
    assert_eq!(forms.len(), 16);
    for option in forms {
        let wanted = (option.form, option.dtype.as_deref(), 0);
        let (files, said) = written(&mut session, wanted, |_, _| ());
        match (option.bytes, option.problem) {
            (Some(bytes), None) => {
                let found: usize = files.values().map(Vec::len).sum();
                let near = (found as u64).abs_diff(bytes) < 64 << 10;
                assert!(near && bytes > 0, "{:?}: {found} bytes, forecast {bytes}", option.form);
            }
            (None, Some(problem)) => assert_eq!(said.last(), Some(&Event::Failed(problem))),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_head_has_no_place_in_an_adapter_for_llama_cpp_and_the_reason_says_so() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), classes(60));
    session.train(RunConfig {
        task: Some(Task::Classification),
        ..tiny::config()
    });
    session.summary();
    session.ask(Command::Export(ExportCommand::Forms), Vec::new());
    let Some(Event::Export(ExportEvent::Forms { forms })) = session.events.last() else {
        panic!("{:?}", session.events.last());
    };
    for option in forms {
        let is_whole = matches!(option.form, Form::Peft | Form::Merged);
        assert_eq!(option.problem.is_none(), is_whole, "{option:?}");
    }
}

#[test]
fn a_model_that_was_trained_throughout_is_read_from_the_device_piece_by_piece() {
    let mut session = TestSession::open();
    session.train(RunConfig {
        finetuning_type: FinetuningType::Full,
        ..tiny::config()
    });
    session.summary();
    session.ask(Command::ExportAdapter, Vec::new());
    let (files, said) = written(&mut session, (Form::Merged, None, 0), |_, _| ());
    assert!(matches!(said.last(), Some(Event::Export(_))), "{said:?}");
    let open = |bytes: &[u8]| {
        let config = MemoryFile::source("config.json", files["config.json"].clone());
        let weights = MemoryFile::source("model.safetensors", bytes.to_vec());
        block_on(ModelFiles::open(vec![config, weights])).expect("the files open")
    };
    let (whole, pieces) = (
        open(&session.exported["model.safetensors"]),
        open(&files["model.safetensors"]),
    );
    assert_eq!(whole.entries().len(), pieces.entries().len());
    for entry in whole.entries() {
        let read = |files: &ModelFiles| block_on(files.read_f32(&entry.name)).expect("numbers");
        assert_eq!(read(&whole), read(&pieces), "{}", entry.name);
    }
    assert!(files.contains_key("tokenizer.json"));
    let (_, said) = written(&mut session, (Form::Peft, None, 0), |_, _| ());
    assert!(matches!(said.last(), Some(Event::Failed(_))), "{said:?}");
}

#[test]
fn an_export_ends_when_that_is_asked_for_and_the_next_one_is_whole() {
    let mut session = trained();
    let cancel = |control: &Control, _| control.cancel_export();
    let (files, said) = written(&mut session, (Form::Merged, None, 1), cancel);
    match said.last() {
        Some(Event::Failed(error)) => assert_eq!(error.kind, Kind::Stopped),
        other => panic!("{other:?}"),
    }
    assert!(!files.contains_key("config.json"), "it went on to the end");
    let taken = |control: &Control, _| control.piece_taken();
    let (files, said) = written(&mut session, (Form::Merged, None, 1), taken);
    assert!(files.contains_key("config.json"), "{said:?}");
}
