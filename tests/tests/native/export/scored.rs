//! An export is read back before it is offered: each tensor beside what was meant, and its loss beside that of the run.

use super::gguf::{IN_GGUF, gguf_files_of};
use super::pieces::{trained, written};
use super::{adapter_of, config, exported, files_of, open, random_adapter, settings};
use lorakeet_core::{
    Error,
    config::RunConfig,
    error::Kind,
    export::{Form, RunRecord, Trained, read_back},
    formats::{Storage, peft::Adapter},
    host::{Control, Emit},
    protocol::{Command, Event, ExportCheck, ExportCommand, ExportEvent, ExportOption, ReadBack},
    store::{MemoryFile, Source},
};
use lorakeet_tests::{
    golden::{Case, block_on},
    test_session::{HOST, TestSession, failure, find},
    tiny,
};
use std::collections::BTreeMap;

/// What is written of the base and the adapter, read back.
fn back(base: &[Source], adapter: Option<&Adapter>, form: Form, dtype: Option<Storage>) -> Result<ReadBack, Error> {
    let files = exported(base, adapter, settings(form, dtype));
    again(base, adapter, form, dtype, files)
}

/// The same of other files than were written.
fn again(
    base: &[Source],
    adapter: Option<&Adapter>,
    form: Form,
    dtype: Option<Storage>,
    files: Vec<Source>,
) -> Result<ReadBack, Error> {
    let trained = Trained {
        base: open(base),
        base_files: base,
        adapter,
        head: None,
        record: &RunRecord::default(),
    };
    let mut unheard = |_: Event, _: Option<Vec<u8>>| ();
    let mut emit = Emit::new(&mut unheard, HOST, Control::default());
    block_on(read_back(trained, settings(form, dtype), files, &mut emit))
}

/// The share by which its worst tensor differs.
fn furthest(found: &ReadBack) -> f64 {
    found.worst.as_ref().map_or(0.0, |worst| worst.relative)
}

#[test]
fn a_merged_file_is_read_back_tensor_by_tensor_and_differs_by_its_rounding_alone() {
    for name in IN_GGUF {
        let case = Case::open(name);
        let (base, adapter) = (gguf_files_of(&case), adapter_of(&case.below("adapters")[0]));
        for (form, dtype) in [
            (Form::Gguf, Storage::F32),
            (Form::Gguf, Storage::F16),
            (Form::Gguf, Storage::Q8_0),
            (Form::Gguf, Storage::Q4K),
            (Form::Gguf, Storage::Q4_0),
            (Form::Merged, Storage::F32),
            (Form::Merged, Storage::BF16),
        ] {
            let found = back(&base, Some(&adapter), form, Some(dtype));
            let found = found.unwrap_or_else(|error| panic!("{name}, {form:?} {dtype}: {error}"));
            assert!(
                found.is_close() && found.tensors > 5,
                "{name}, {form:?} {dtype}: {found:?}"
            );
            match dtype {
                Storage::F32 => assert!(furthest(&found) < 1e-4, "{name}: {found:?}"),
                _ => assert!(furthest(&found) > 0.0, "{name}, {form:?} {dtype}: nothing is rounded"),
            }
        }
    }
}

#[test]
fn an_adapter_is_read_back_in_every_form_and_scale() {
    let case = Case::open("A/llama_untied");
    let base = files_of(&case);
    let mut varied = config(&["q_proj", "up_proj"], &[]);
    varied.use_rslora = true;
    varied.rank_pattern.0.push(("up_proj".into(), 2));
    for wanted in [config(&["q_proj", "down_proj"], &[]), varied] {
        let adapter = random_adapter(&case, &wanted);
        for (form, dtype) in [
            (Form::Peft, None),
            (Form::GgufAdapter, None),
            (Form::GgufAdapter, Some(Storage::F16)),
            (Form::Mlx, None),
            (Form::Mlx, Some(Storage::BF16)),
        ] {
            let found = back(&base, Some(&adapter), form, dtype).expect("it is read");
            assert!(found.is_close() && found.tensors > 1, "{form:?} {dtype:?}: {found:?}");
        }
    }
}

#[test]
fn other_numbers_and_lost_tensors_are_named() {
    let case = Case::open("A/llama_untied");
    let base = files_of(&case);
    let adapter = random_adapter(&case, &config(&["q_proj"], &[]));
    // The base as it was, in the place of the merged model.
    let (form, dtype) = (Form::Merged, Some(Storage::F32));
    let plain = exported(&base, None, settings(form, dtype));
    let found = again(&base, Some(&adapter), form, dtype, plain).expect("it is read");
    let worst = found.worst.as_ref().expect("a tensor");
    assert!(!found.is_close() && worst.name.contains("q_proj"), "{found:?}");
    // An adapter on one module in the place of one on two.
    let two = random_adapter(&case, &config(&["q_proj", "v_proj"], &[]));
    for form in [Form::Peft, Form::GgufAdapter, Form::Mlx] {
        let one = exported(&base, Some(&adapter), settings(form, None));
        let error = again(&base, Some(&two), form, None, one).expect_err("a module is gone");
        let said = error.to_string();
        assert!(said.contains("v_proj") && said.contains("export again"), "{said}");
    }
}

/// Files as they come to a session.
fn sources(files: &BTreeMap<String, Vec<u8>>) -> Vec<Source> {
    let files = files.iter();
    files
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()))
        .collect()
}

fn ask_check(session: &mut TestSession, (form, dtype, dequantized): (Form, Option<&str>, bool), files: Vec<Source>) {
    let command = ExportCommand::Check {
        form,
        dtype: dtype.map(str::to_owned),
        dequantized,
    };
    session.ask(Command::Export(command), files);
}

fn checked(session: &mut TestSession, wanted: (Form, Option<&str>, bool), files: Vec<Source>) -> ExportCheck {
    ask_check(session, wanted, files);
    match session.events.last() {
        Some(Event::Export(ExportEvent::Checked { form, check })) if *form == wanted.0 => check.clone(),
        other => panic!("{wanted:?}: {other:?}"),
    }
}

#[test]
fn a_session_scores_what_it_wrote_and_keeps_what_it_trained() {
    let mut session = trained();
    let (before, _) = written(&mut session, (Form::Peft, None, 0), |_, _| ());
    for (form, dtype) in [
        (Form::Peft, None),
        (Form::GgufAdapter, None),
        (Form::Mlx, None),
        (Form::Merged, None),
        (Form::Merged, Some("float16")),
    ] {
        let (files, _) = written(&mut session, (form, dtype, 0), |_, _| ());
        let check = checked(&mut session, (form, dtype, false), sources(&files));
        assert!(
            check.read_back.is_close() && check.explanation.is_none(),
            "{form:?}: {check:?}"
        );
        let score = check
            .score
            .unwrap_or_else(|| panic!("{form:?}: {:?}", check.not_scored));
        assert!(score.is_close() && score.loss_of_run > 0.0, "{form:?}: {score:?}");
        assert_eq!((score.rows, score.held_out), (4, 4), "{form:?}");
    }
    let summary = find(&session, |event| match event {
        Event::Done(summary) => Some(summary.clone()),
        _ => None,
    });
    let (after, _) = written(&mut session, (Form::Peft, None, 0), |_, _| ());
    assert!(before == after, "the check changed what was trained");
    let check = checked(&mut session, (Form::Peft, None, false), sources(&after));
    let loss = check.score.expect("a score").loss_of_run;
    let wanted = summary.eval_loss_after.expect("a loss");
    assert!((loss - wanted).abs() < 1e-6, "{loss}, of the run {wanted}");
}

#[test]
fn a_difference_beyond_what_is_expected_is_explained() {
    let mut session = trained();
    let (mut files, _) = written(&mut session, (Form::Merged, None, 0), |_, _| ());
    // Numbers at the end of the file, which no header tells of: 1.0 in the place of what they were.
    let weights = files.get_mut("model.safetensors").expect("weights");
    let end = weights.len();
    for number in weights[end - 4096..].chunks_exact_mut(4) {
        number.copy_from_slice(&1.0f32.to_le_bytes());
    }
    let check = checked(&mut session, (Form::Merged, None, false), sources(&files));
    assert!(!check.read_back.is_close() && check.explanation.is_some(), "{check:?}");
    // Files that end early are refused.
    let weights = files.get_mut("model.safetensors").expect("weights");
    weights.truncate(end / 2);
    ask_check(&mut session, (Form::Merged, None, false), sources(&files));
    assert!(failure(&session).to_string().contains("model.safetensors"));
}

#[test]
fn an_export_is_not_scored_on_other_data_than_the_run_had() {
    let mut session = trained();
    let (files, _) = written(&mut session, (Form::Peft, None, 0), |_, _| ());
    let file = "rows.jsonl".to_owned();
    session.ask(Command::LoadData { file }, vec![tiny::rows(12)]);
    let check = checked(&mut session, (Form::Peft, None, false), sources(&files));
    assert!(check.read_back.is_close() && check.score.is_none());
    let why = check.not_scored.expect("a reason").english();
    assert!(why.contains("data of the run"), "{why}");
}

#[test]
fn a_check_ends_when_that_is_asked_for() {
    let mut session = trained();
    let (files, _) = written(&mut session, (Form::Merged, None, 0), |_, _| ());
    session.control.cancel_export();
    ask_check(&mut session, (Form::Merged, None, false), sources(&files));
    assert_eq!(failure(&session).kind, Kind::Stopped);
}

#[test]
fn a_run_that_packed_its_base_can_have_it_dequantized_in_the_export_and_the_losses_say_what_that_is() {
    let mut session = TestSession::open();
    session.train(RunConfig {
        quantization_bit: Some(4),
        ..tiny::config()
    });
    session.summary();
    session.ask(Command::Export(ExportCommand::Forms), Vec::new());
    let forms: Vec<ExportOption> = find(&session, |event| match event {
        Event::Export(ExportEvent::Forms { forms }) => Some(forms.clone()),
        _ => None,
    });
    let is_offered = |dequantized| {
        forms
            .iter()
            .any(|option| option.form == Form::Merged && option.dequantized == dequantized && option.problem.is_none())
    };
    assert!(is_offered(true) && is_offered(false), "{forms:?}");
    let mut differences = Vec::new();
    for dequantized in [false, true] {
        let command = ExportCommand::Write {
            form: Form::Merged,
            dtype: None,
            dequantized,
            ahead: 0,
            license: None,
        };
        let mut files = BTreeMap::<String, Vec<u8>>::new();
        block_on(
            session
                .inner
                .handle(Command::Export(command), Vec::new(), &mut |event, bytes| {
                    if let Event::Export(ExportEvent::Piece { path, .. }) = event {
                        files.entry(path).or_default().extend(bytes.unwrap_or_default());
                    }
                }),
        );
        let check = checked(&mut session, (Form::Merged, None, dequantized), sources(&files));
        assert!(check.read_back.is_close(), "{check:?}");
        let score = check
            .score
            .unwrap_or_else(|| panic!("{dequantized}: {:?}", check.not_scored));
        assert_eq!(check.explanation.is_some(), !score.is_close(), "{score:?}");
        differences.push((score.loss_of_export - score.loss_of_run).abs());
    }
    // In full precision the base is another than the run computed with; dequantized it is the same.
    assert!(
        differences[1] < 1e-4 && differences[0] > differences[1],
        "{differences:?}"
    );
}
