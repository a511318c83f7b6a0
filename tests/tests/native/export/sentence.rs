//! Folders for sentence-transformers: what they hold, and who is refused one.

use super::{CLOSE, adapter_of, assert_close, files_of, load, open, outputs, settings, sources};
use lorakeet_core::{
    Error,
    export::{Form, RunRecord, Trained, export},
    formats::{ModelFiles, TextPooling, peft::Adapter},
    store::{MemoryFile, MemorySink, Source},
    task::Task,
};
use lorakeet_tests::golden::{Case, block_on};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

fn try_export(base: &[Source], adapter: Option<&Adapter>, form: Form, record: &RunRecord) -> Result<Files, Error> {
    let sink = MemorySink::new();
    let trained = Trained {
        base: block_on(ModelFiles::open(base.to_vec()))?,
        base_files: base,
        adapter,
        head: None,
        record,
    };
    block_on(export(trained, settings(form, None), &sink, &mut |_, _| ()))?;
    Ok(sink.files())
}

fn of_vectors() -> RunRecord {
    RunRecord {
        task: Some(Task::Embedding),
        most_tokens: Some(24),
        ..RunRecord::default()
    }
}

fn read(files: &Files, name: &str) -> Value {
    serde_json::from_slice(files.get(name).unwrap_or_else(|| panic!("{name} is missing"))).expect("JSON")
}

/// The files of a folder with a pooling of its own.
fn pooled(mut base: Vec<Source>, mode: &str) -> Vec<Source> {
    let module =
        |path: &str, kind: &str| json!({ "path": path, "type": format!("sentence_transformers.models.{kind}") });
    let list = json!([module("", "Transformer"), module("1_Pooling", "Pooling")]);
    let config = json!({ "embedding_dimension": 32, "pooling_mode": mode });
    base.push(MemoryFile::source("modules.json", list.to_string().into_bytes()));
    base.push(MemoryFile::source("config.json", config.to_string().into_bytes()));
    base
}

#[test]
fn a_folder_for_sentence_transformers_is_the_merged_model_with_its_modules() {
    for name in ["A/bert_mlm", "A/llama_tied"] {
        let case = Case::open(name);
        let (base, adapter) = (files_of(&case), adapter_of(&case.below("adapters")[0]));
        let written =
            try_export(&base, Some(&adapter), Form::SentenceTransformers, &of_vectors()).expect("it is written");
        let list = read(&written, "modules.json");
        let kinds: Vec<&str> = list
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|module| module["type"].as_str())
            .collect();
        assert_eq!(
            kinds,
            ["Transformer", "Pooling", "Normalize"].map(|kind| format!("sentence_transformers.models.{kind}"))
        );
        let pooling = read(&written, "1_Pooling/config.json");
        let width = case.config()["hidden_size"].clone();
        assert_eq!(
            (
                &pooling["word_embedding_dimension"],
                &pooling["pooling_mode_mean_tokens"]
            ),
            (&width, &json!(true))
        );
        assert_eq!(pooling["pooling_mode_cls_token"], false);
        assert_eq!(read(&written, "sentence_bert_config.json")["max_seq_length"], 24);
        assert_eq!(
            read(&written, "config_sentence_transformers.json")["similarity_fn_name"],
            "cosine"
        );
        let card = String::from_utf8(written["README.md"].clone()).expect("text");
        assert!(card.contains("library_name: sentence-transformers"), "{card}");
        assert!(written.contains_key("tokenizer.json") && written.contains_key("2_Normalize/config.json"));

        // It opens here as the model that it is, and says how its vectors are made.
        let opened = open(&sources(written));
        let modules = opened.sentence.as_ref().expect("modules");
        assert_eq!(modules.pooling(), TextPooling::Mean);
        assert_eq!(modules.check(false), Ok(None));
        let mut model = load(&open(&base));
        model.load_adapter(&adapter).expect("it fits");
        assert_close(
            name,
            &outputs(&load(&opened), &case, true),
            &outputs(&model, &case, true),
            CLOSE,
        );
    }
}

#[test]
fn the_pooling_of_the_base_goes_over_to_what_is_made_of_it() {
    let case = Case::open("A/bert_mlm");
    for (mode, pooling) in [("cls", TextPooling::Cls), ("lasttoken", TextPooling::Last)] {
        let base = pooled(files_of(&case), mode);
        assert_eq!(open(&base).config["model_type"], "bert");
        for form in [Form::SentenceTransformers, Form::Merged] {
            let written = try_export(&base, None, form, &of_vectors()).expect("it is written");
            let opened = open(&sources(written));
            assert_eq!(
                opened.sentence.expect("modules").pooling(),
                pooling,
                "{mode} {}",
                form.name()
            );
        }
    }
    // What is not computed here is not written as if it were.
    let error = try_export(
        &pooled(files_of(&case), "max"),
        None,
        Form::SentenceTransformers,
        &of_vectors(),
    );
    let error = error.map(drop).expect_err("it is refused").to_string();
    assert!(error.contains("max") && error.contains("lasttoken"), "{error}");
}

#[test]
fn a_model_that_makes_no_vectors_is_refused_a_folder_for_them() {
    let task = |task| RunRecord {
        task,
        ..RunRecord::default()
    };
    for (name, record, words) in [
        ("A/bert_mlm", task(Some(Task::Classification)), "classification"),
        ("A/llama_tied", task(Some(Task::Generation)), "generation"),
        ("A/llama_tied", task(None), "output_dir"),
        ("A/bert_seqcls", task(None), "output_dir"),
    ] {
        let base = files_of(&Case::open(name));
        let error = try_export(&base, None, Form::SentenceTransformers, &record).map(drop);
        let error = error.expect_err("it is refused").to_string();
        assert!(
            error.contains(words) && error.contains("merged model"),
            "{name}: {error}"
        );
    }
    // An encoder without a head makes nothing else.
    let base = files_of(&Case::open("A/bert_mlm"));
    assert!(try_export(&base, None, Form::SentenceTransformers, &task(None)).is_ok());
}
