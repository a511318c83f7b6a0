//! Model cards: what the hub reads of them, and what is never made up.

use super::gguf::{IN_GGUF, gguf_files_of};
use super::pieces::trained;
use super::{open, settings};
use lorakeet_core::{
    config::RunConfig,
    export::{Form, License, RunRecord, Trained, export, license},
    formats::Storage,
    protocol::{Command, DeviceChoice, Event, ExportCommand, ExportEvent},
    store::{MemoryFile, MemorySink, Source},
    task::Task,
};
use lorakeet_tests::{
    golden::{Case, block_on},
    rows::classes,
    test_session::TestSession,
    tiny,
};

/// The card of an export for which the person names this licence.
fn card(session: &mut TestSession, form: Form, license: Option<&str>) -> String {
    let command = ExportCommand::Write {
        form,
        dtype: None,
        dequantized: false,
        ahead: 0,
        license: license.map(str::to_owned),
    };
    let mut card = Vec::new();
    block_on(
        session
            .inner
            .handle(Command::Export(command), Vec::new(), &mut |event, bytes| match event {
                Event::Export(ExportEvent::Piece { path, .. }) if path == "README.md" => {
                    card.extend(bytes.unwrap_or_default());
                }
                Event::Failed(error) => panic!("{error}"),
                _ => {}
            }),
    );
    String::from_utf8(card).expect("text")
}

/// What stands between the two lines of dashes.
fn front(card: &str) -> &str {
    let rest = card.strip_prefix("---\n").expect("a front matter");
    rest.split_once("\n---\n").expect("its end").0
}

/// The line of a key at the beginning of a line.
fn value<'c>(card: &'c str, key: &str) -> Option<&'c str> {
    let line = front(card)
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    line.map(str::trim)
}

/// The tiny model with a card of its own.
fn with_card(text: &str) -> Vec<Source> {
    let mut files = tiny::model_files();
    files.push(MemoryFile::source("README.md", text.as_bytes().to_vec()));
    files
}

#[test]
fn the_scores_of_a_run_are_results_for_the_hub() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), classes(60));
    session.train(RunConfig {
        task: Some(Task::Classification),
        ..tiny::config()
    });
    let loss = session.summary().eval_loss_after.expect("rows are held out");
    let card = card(&mut session, Form::Merged, None);
    assert_eq!(value(&card, "pipeline_tag"), Some("text-classification"));
    assert_eq!(value(&card, "library_name"), Some("transformers"));
    assert_eq!(value(&card, "base_model_relation"), Some("finetune"));
    let results = front(&card).split_once("model-index:\n").expect("results").1;
    for line in [
        "      type: text-classification".to_owned(),
        "      name: held-out rows".to_owned(),
        "    - type: \"accuracy\"".to_owned(),
        format!("      value: {loss}"),
    ] {
        assert!(results.lines().any(|found| found == line), "{line}\n{results}");
    }
    assert!(
        card.contains("SHA-256 of train_file") && card.contains("learning_rate"),
        "{card}"
    );
}

#[test]
fn a_licence_is_that_of_the_base_or_the_one_that_is_named_and_else_left_out() {
    let mut session = trained();
    let own = card(&mut session, Form::Peft, None);
    assert_eq!(value(&own, "license"), None);
    assert!(own.contains("Licence of the base | not known"), "{own}");
    assert_eq!(value(&own, "library_name"), Some("peft"));
    let named = card(&mut session, Form::Mlx, Some("Apache-2.0"));
    assert_eq!(value(&named, "license"), Some("\"apache-2.0\""));
    let other = card(&mut session, Form::Merged, Some("House rules: 1"));
    assert_eq!(value(&other, "license"), Some("\"other\""));
    assert_eq!(value(&other, "license_name"), Some("\"House rules: 1\""));

    let text = "---\nlicense: other\nlicense_name: tiny-licence\nlicense_link: LICENSE\n---\n# Tiny\n";
    let mut session = TestSession::with(DeviceChoice::Cpu, with_card(text), tiny::data_file());
    let converted = card(&mut session, Form::Merged, None);
    assert_eq!(value(&converted, "license"), Some("\"other\""));
    assert_eq!(value(&converted, "license_name"), Some("\"tiny-licence\""));
    assert_eq!(value(&converted, "license_link"), Some("\"LICENSE\""));
    assert!(
        converted.contains("converted with Lorakeet") && !converted.contains("- lora\n"),
        "{converted}"
    );
    assert!(!converted.contains("model-index"), "{converted}");
}

#[test]
fn a_gguf_file_says_its_licence_itself() {
    let case = Case::open(IN_GGUF[0]);
    let base = gguf_files_of(&case);
    let with = |base: &[Source], license: Option<License>| {
        let sink = MemorySink::new();
        let record = RunRecord {
            license,
            ..RunRecord::default()
        };
        let trained = Trained {
            base: open(base),
            base_files: base,
            adapter: None,
            head: None,
            record: &record,
        };
        let settings = settings(Form::Gguf, Some(Storage::F16));
        block_on(export(trained, settings, &sink, &mut |_, _| ())).expect("it is written");
        vec![MemoryFile::source("model.gguf", sink.files()["model.gguf"].clone())]
    };
    let none = with(&base, None);
    assert_eq!(block_on(license(&none)), None);
    let named = with(&base, License::named("mit"));
    assert_eq!(block_on(license(&named)), License::named("mit"));
    // Of a GGUF file it goes over to the next, unless a person names another one.
    assert_eq!(block_on(license(&with(&named, None))), License::named("mit"));
    let other = with(&named, License::named("House rules"));
    assert_eq!(block_on(license(&other)), License::named("House rules"));
}
