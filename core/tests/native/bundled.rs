//! The bundled texts, tokenizer and model shape fit each other.

use crate::common::examples;
use lorakeet_core::data::{Dataset, Settings};
use lorakeet_core::tokenizer::Tokenizer;
use std::path::{Path, PathBuf};

fn public(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../public").join(path)
}

fn read(path: &str) -> Vec<u8> {
    std::fs::read(public(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn tokenizer() -> Tokenizer {
    let mut tokenizer = Tokenizer::from_json(&read("model/tokenizer.json")).unwrap();
    let settings = serde_json::from_slice(&read("model/tokenizer_config.json")).unwrap();
    tokenizer.name_special_tokens(&settings).unwrap();
    tokenizer
}

fn config() -> serde_json::Value {
    serde_json::from_slice(&read("model/config.json")).unwrap()
}

const SETS: &[(&str, &str, usize)] = &[
    ("devils-dictionary.jsonl", "prompt_completion", 928),
    ("jargon-file.jsonl", "prompt_completion", 1363),
    ("king-james.txt", "text", 1),
    ("austen.txt", "text", 1),
];

#[test]
fn every_set_is_small_and_reads_without_a_complaint() {
    for (name, form, rows) in SETS {
        let bytes = read(&format!("data/{name}"));
        assert!(bytes.len() <= 300_000, "{name} has {} bytes", bytes.len());
        let data = Dataset::parse(name, &bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((data.form.name(), data.rows.len()), (*form, *rows), "{name}");
        assert!(data.notes.is_empty(), "{name}: {:?}", data.notes);
    }
}

#[test]
fn few_definitions_are_longer_than_a_short_context() {
    for (name, form, rows) in SETS {
        let data = Dataset::parse(name, &read(&format!("data/{name}"))).unwrap();
        let settings = Settings {
            cutoff_len: 128,
            packing: *form == "text",
            max_samples: None,
            completion_only_loss: true,
            add_eos: true,
        };
        let made = examples(&data, &tokenizer(), None, &settings, &mut |_, _| {}).unwrap();
        if *form == "prompt_completion" {
            assert_eq!(made.items.len(), *rows, "{name}: a row was dropped");
            let cut = made.items.iter().filter(|item| item.truncated).count();
            assert!(cut * 100 <= *rows, "{name}: {cut} of {rows} rows are cut");
        } else {
            assert!(made.items.len() >= 100, "{name}: {} blocks", made.items.len());
        }
    }
}

#[test]
fn the_tokenizer_gives_every_text_back_and_stays_within_the_vocabulary() {
    let tokenizer = tokenizer();
    let vocabulary = config()["vocab_size"].as_u64().unwrap();
    assert_eq!(tokenizer.vocab_size() as u64, vocabulary);
    assert_eq!(tokenizer.eos_token_ids(), [0]);
    let mut texts: Vec<String> = SETS
        .iter()
        .map(|(name, _, _)| String::from_utf8(read(&format!("data/{name}"))).unwrap())
        .collect();
    texts.push("naïve 🦜 — 中文\tend  \n\n".to_string());
    for text in texts {
        let ids = tokenizer.encode(&text, true).unwrap();
        assert!(ids.iter().all(|&id| u64::from(id) < vocabulary));
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}

#[test]
fn the_model_is_of_one_to_three_million_parameters_and_fits_into_its_folder() {
    let config = config();
    let size = |key: &str| config[key].as_u64().unwrap();
    let (width, heads, key_heads, head) = (
        size("hidden_size"),
        size("num_attention_heads"),
        size("num_key_value_heads"),
        size("head_dim"),
    );
    let layer = width * head * (2 * heads + 2 * key_heads) + 3 * width * size("intermediate_size") + 2 * width;
    let parameters = size("vocab_size") * width + size("num_hidden_layers") * layer + width;
    assert_eq!(parameters, 2_164_416, "the model's card says otherwise");
    let tokenizer_bytes = std::fs::metadata(public("model/tokenizer.json")).unwrap().len();
    assert!(2 * parameters + tokenizer_bytes <= 4_500_000);
}
