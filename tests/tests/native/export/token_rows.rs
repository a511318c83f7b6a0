//! Trained rows of an embedding: what is merged computes what base and adapter do, shared output matrices with it; forms of low-rank
//! matrices alone refuse them.

use super::{CLOSE, config, files_of, load, merges, open, outputs, random_adapter, settings, try_export};
use lorakeet_core::{
    config::TokenIndices,
    export::Form,
    formats::peft::{Adapter, AdapterConfig, CONFIG_FILE, TENSORS_FILE},
    store::MemoryFile,
};
use lorakeet_tests::golden::{Case, block_on};
use serde_json::{Value, json};

fn rows_of(names: &[&str], wanted: TokenIndices) -> AdapterConfig {
    AdapterConfig {
        trainable_token_indices: Some(wanted),
        ..config(names, &[])
    }
}

fn by_module(modules: &[(&str, &[u32])]) -> TokenIndices {
    let modules = modules.iter().map(|(name, ids)| ((*name).to_owned(), ids.to_vec()));
    TokenIndices::ByModule(modules.collect())
}

#[test]
fn rows_are_merged_into_the_embedding_and_into_an_output_that_is_the_same() {
    for (name, module, table) in [
        ("A/llama_tied", "q_proj", "model.embed_tokens.weight"),
        ("A/llama_untied", "q_proj", "model.embed_tokens.weight"),
        ("A/gemma2", "q_proj", "model.embed_tokens.weight"),
        ("A/gpt2", "c_attn", "transformer.wte.weight"),
        ("A/bert_seqcls", "query", "bert.embeddings.word_embeddings.weight"),
    ] {
        let case = Case::open(name);
        // Tokens that the case's rows have, and the last one.
        let ids = ids_of(&case);
        let adapter = random_adapter(&case, &rows_of(&[module], TokenIndices::List(ids.clone())));
        let delta = format!(
            "base_model.model.{}.token_adapter.trainable_tokens_delta",
            table.trim_end_matches(".weight")
        );
        let (shape, trained) = adapter
            .tensor(&delta)
            .unwrap_or_else(|| panic!("{name} has no {delta}"));
        assert_eq!(shape[0], ids.len(), "{name}");
        let merged = if name == "A/bert_seqcls" {
            super::exported(&files_of(&case), Some(&adapter), settings(Form::Merged, None))
        } else {
            merges(&case, &adapter)
        };
        let (before, after) = (open(&files_of(&case)), open(&merged));
        assert_eq!(
            after.config["tie_word_embeddings"], before.config["tie_word_embeddings"],
            "{name}"
        );
        assert_eq!(
            after.contains("lm_head.weight"),
            before.contains("lm_head.weight"),
            "{name}"
        );
        let values = |files: &lorakeet_core::formats::ModelFiles| block_on(files.read_f32(table)).expect("a table").1;
        let (before, after) = (values(&before), values(&after));
        let columns = shape[1];
        for (row, (old, new)) in before.chunks(columns).zip(after.chunks(columns)).enumerate() {
            match ids.iter().position(|id| *id as usize == row) {
                Some(place) => assert_eq!(new, &trained[place * columns..][..columns], "{name} row {row}"),
                None => assert_eq!(new, old, "{name} row {row}"),
            }
        }
    }
}

/// Some tokens of the case's inputs, not in their order, and the last one of the vocabulary.
fn ids_of(case: &Case) -> Vec<u32> {
    let ids = &case.tensors("inputs.safetensors")["input_ids"];
    let last = case.config()["vocab_size"].as_u64().expect("a size") as u32 - 1;
    let mut found: Vec<u32> = ids
        .values
        .iter()
        .map(|id| *id as u32)
        .filter(|id| *id != last)
        .collect();
    found.sort_unstable();
    found.dedup();
    vec![found[found.len() / 2], last, found[found.len() / 3]]
}

#[test]
fn an_output_matrix_of_its_own_has_the_rows_that_are_named_for_it() {
    let case = Case::open("A/llama_untied");
    let ids = ids_of(&case);
    let both = by_module(&[("embed_tokens", &ids), ("lm_head", &ids[..1])]);
    let adapter = random_adapter(&case, &rows_of(&["q_proj"], both));
    merges(&case, &adapter);
    let alone = random_adapter(&case, &rows_of(&["q_proj"], TokenIndices::List(ids)));
    let logits = |adapter: &Adapter| {
        let mut model = load(&open(&files_of(&case)));
        model.load_adapter(adapter).expect("it fits");
        outputs(&model, &case, false)
    };
    let differs = logits(&adapter)
        .iter()
        .zip(logits(&alone))
        .any(|(one, other)| (one - other).abs() > CLOSE);
    assert!(differs, "rows of the output count");
}

#[test]
fn the_settings_are_pefts_and_come_back() {
    let case = Case::open("A/llama_untied");
    for (wanted, text) in [
        (TokenIndices::List(vec![7, 3]), json!([7, 3])),
        (
            by_module(&[("lm_head", &[1]), ("embed_tokens", &[2, 4])]),
            json!({"lm_head": [1], "embed_tokens": [2, 4]}),
        ),
    ] {
        let adapter = random_adapter(&case, &rows_of(&["q_proj"], wanted));
        let (config, tensors) = adapter.to_files().expect("it is written");
        let json: Value = serde_json::from_str(&config).expect("JSON");
        assert_eq!(json["trainable_token_indices"], text);
        let read = Adapter::open(vec![
            MemoryFile::source(CONFIG_FILE, config.into_bytes()),
            MemoryFile::source(TENSORS_FILE, tensors),
        ]);
        let read = block_on(read).expect("it is read");
        assert_eq!(
            read.config.trainable_token_indices,
            adapter.config.trainable_token_indices
        );
        load(&open(&files_of(&case))).load_adapter(&read).expect("it fits");
    }
}

#[test]
fn what_has_no_place_for_rows_is_refused_by_the_embedding() {
    let case = Case::open("A/llama_tied");
    let adapter = random_adapter(&case, &rows_of(&["q_proj"], TokenIndices::List(vec![2])));
    for form in [Form::GgufAdapter, Form::Mlx] {
        let error = try_export(&files_of(&case), Some(&adapter), None, settings(form, None)).expect_err("no place");
        assert_eq!(error.field_name(), Some("model.embed_tokens.weight"), "{error}");
    }
    // A whole model has: also as GGUF.
    try_export(&files_of(&case), Some(&adapter), None, settings(Form::Gguf, None)).expect("it is written");
    let mut model = load(&open(&files_of(&case)));
    for wanted in [
        rows_of(&["q_proj", "embed_tokens"], TokenIndices::List(vec![2])),
        AdapterConfig {
            modules_to_save: Some(vec!["lm_head".to_owned()]),
            ..rows_of(&["q_proj"], TokenIndices::List(vec![2]))
        },
        rows_of(&["q_proj"], TokenIndices::List(vec![1 << 30])),
    ] {
        let error = model.attach_lora(&wanted, 0).expect_err("it is refused");
        assert_eq!(error.field_name(), Some("trainable_token_indices"), "{error}");
    }
    let masked = Case::open("A/bert_mlm");
    let mut model = load(&open(&files_of(&masked)));
    let error = model.attach_lora(&rows_of(&["query"], TokenIndices::List(vec![2])), 0);
    assert_eq!(
        error.expect_err("it is refused").field_name(),
        Some("trainable_token_indices")
    );
}
