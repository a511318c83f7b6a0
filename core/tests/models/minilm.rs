//! all-MiniLM-L6-v2's tokenizer.json (BERT's word pieces) against the golden fixtures, also by way of a GGUF file.
//!
//! Run by xtask, which fetches the model and names its folder in LORAKEET_MINILM.

use crate::common::{gguf::GgufWriter, golden, json, now, numbers};
use lorakeet_core::{formats::ModelFiles, store::MemoryFile, tokenizer::Tokenizer};

fn tokenizer() -> Tokenizer {
    let folder = crate::common::real_model("LORAKEET_MINILM", "the folder of all-MiniLM-L6-v2");
    Tokenizer::from_json(&std::fs::read(folder.join("tokenizer.json")).unwrap()).unwrap()
}

#[test]
fn every_golden_text_gives_the_same_tokens_and_comes_back() {
    let tokenizer = tokenizer();
    let cases = json(golden("F/bert_tokenizer/strings.json"));
    for case in cases.as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let (ids, offsets) = tokenizer.encode_with_offsets(text, true).unwrap();
        assert_eq!(ids, numbers(&case["with_special"]["ids"]), "{text:?}");
        assert_eq!(
            tokenizer.encode(text, false).unwrap(),
            numbers(&case["plain"]["ids"]),
            "{text:?}"
        );
        let characters = |byte: usize| text[..byte].chars().count();
        for (offset, expected) in offsets.iter().zip(case["with_special"]["offsets"].as_array().unwrap()) {
            assert_eq!(
                vec![characters(offset.start) as u32, characters(offset.end) as u32],
                numbers(expected),
                "{text:?}"
            );
        }
        let plain = numbers(&case["plain"]["ids"]);
        assert_eq!(
            tokenizer.decode(&plain, false).unwrap(),
            case["decoded_plain"].as_str().unwrap()
        );
        assert_eq!(
            tokenizer.decode(&ids, true).unwrap(),
            case["decoded_skip_special"].as_str().unwrap()
        );
    }
}

#[test]
fn golden_pairs_give_the_same_tokens_and_segments() {
    let tokenizer = tokenizer();
    let pairs = json(golden("F/bert_tokenizer/pairs.json"));
    for case in pairs["pairs"].as_array().unwrap() {
        let (ids, segments) = tokenizer
            .encode_pair(case["a"].as_str().unwrap(), case["b"].as_str().unwrap())
            .unwrap();
        assert_eq!(ids, numbers(&case["ids"]));
        assert_eq!(segments, numbers(&case["type_ids"]));
    }
}

/// The same vocabulary as llama.cpp's converter writes it: pieces that begin a word are marked, not those that go on.
#[test]
fn the_vocabulary_in_a_gguf_file_gives_the_same_tokens() {
    let tokenizer = tokenizer();
    let mut writer = GgufWriter::new();
    writer.text("general.architecture", "bert");
    for (key, value) in [
        ("embedding_length", 32),
        ("block_count", 1),
        ("context_length", 64),
        ("attention.head_count", 2),
        ("feed_forward_length", 64),
    ] {
        writer.u32(&format!("bert.{key}"), value);
    }
    writer.f32("bert.attention.layer_norm_epsilon", 1e-12);
    for name in ["token_embd.weight", "token_types.weight", "position_embd.weight"] {
        writer.tensor_f32(name, &[2, 32]);
    }
    let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let pieces: Vec<String> = (0..tokenizer.vocab_size() as u32)
        .map(|id| tokenizer.token_text(id).unwrap())
        .collect();
    let kinds: Vec<i32> = pieces
        .iter()
        .map(|piece| if specials.contains(&piece.as_str()) { 3 } else { 1 })
        .collect();
    let mark = |(piece, kind): (&String, &i32)| match piece.strip_prefix("##") {
        _ if *kind == 3 => piece.clone(),
        Some(rest) => rest.to_owned(),
        None => format!("\u{2581}{piece}"),
    };
    let marked: Vec<String> = pieces.iter().zip(&kinds).map(mark).collect();
    writer.text("tokenizer.ggml.model", "bert");
    writer.texts(
        "tokenizer.ggml.tokens",
        &marked.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    writer.i32s("tokenizer.ggml.token_type", &kinds);
    for (name, token) in [
        ("cls", "[CLS]"),
        ("seperator", "[SEP]"),
        ("unknown", "[UNK]"),
        ("padding", "[PAD]"),
    ] {
        let key = format!("tokenizer.ggml.{name}_token_id");
        writer.u32(&key, tokenizer.token_id(token).unwrap());
    }
    let files = now(ModelFiles::open(vec![MemoryFile::source("m.gguf", writer.bytes())])).unwrap();
    let from_gguf = files.tokenizer.unwrap();
    for case in json(golden("F/bert_tokenizer/strings.json")).as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(
            from_gguf.encode(text, true).unwrap(),
            numbers(&case["with_special"]["ids"]),
            "{text:?}"
        );
        let plain = numbers(&case["plain"]["ids"]);
        assert_eq!(
            from_gguf.decode(&plain, false).unwrap(),
            case["decoded_plain"].as_str().unwrap()
        );
    }
    for case in json(golden("F/bert_tokenizer/pairs.json"))["pairs"].as_array().unwrap() {
        let (a, b) = (case["a"].as_str().unwrap(), case["b"].as_str().unwrap());
        let (ids, segments) = from_gguf.encode_pair(a, b).unwrap();
        assert_eq!((ids, segments), (numbers(&case["ids"]), numbers(&case["type_ids"])));
    }
}
