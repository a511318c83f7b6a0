//! Broken tokenizer.json files, and sound ones with parts of others in them.

use super::{LARGEST, MOST_BYTES, survive};
use crate::common::gguf::GgufWriter;
use crate::common::mutations::Mutations;
use crate::common::now;
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::store::MemoryFile;
use lorakeet_core::tokenizer::Tokenizer;
use serde_json::{Value, json};

#[test]
fn broken_tokenizers_are_refused_or_read() {
    let json = br#"{"version":"1.0","truncation":{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0},
        "padding":null,"added_tokens":[{"id":5,"content":"<s>","special":true,"normalized":false,"single_word":false,
        "lstrip":false,"rstrip":false}],"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[
        {"type":"Split","pattern":{"Regex":"\\p{N}{1,3}|\\s+(?!\\S)"},"behavior":"Isolated","invert":false},
        {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
        {"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
        "special_tokens":{"<s>":{"id":"<s>","ids":[5],"tokens":["<s>"]}}},
        "decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},
        "model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,
        "fuse_unk":false,"byte_fallback":false,"vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":4},"merges":[["a","b"],["ab","c"]]}}"#;
    survive("tokenizer.json", json, 3000, |bytes| {
        let Ok(tokenizer) = Tokenizer::from_json(&bytes) else {
            return false;
        };
        let Ok(ids) = tokenizer.encode("abc 123 <s> x", true) else {
            return false;
        };
        let mut stream = tokenizer.stream_decoder(false);
        let streamed = ids.iter().all(|id| stream.push(*id).is_ok());
        streamed && tokenizer.decode(&ids, true).is_ok()
    });
}

/// All places in JSON, as pointers.
fn pointers(json: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_string());
    match json {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, item)| pointers(item, &format!("{at}/{index}"), all));
        }
        Value::Object(items) => items.iter().for_each(|(key, item)| {
            pointers(
                item,
                &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                all,
            );
        }),
        _ => {}
    }
}

/// Parts and settings of tokenizers where others belong.
#[test]
fn tokenizers_of_another_structure_are_refused_or_read() {
    let sound = crate::tokenizer::small_json();
    let mut places = Vec::new();
    pointers(&sound, "", &mut places);
    let types = [
        "Precompiled",
        "Sequence",
        "FixedLength",
        "Strip",
        "Replace",
        "Prepend",
        "ByteLevel",
        "Metaspace",
        "CTC",
        "WordPiece",
        "BertNormalizer",
        "BertProcessing",
        "RobertaProcessing",
        "TemplateProcessing",
        "Split",
        "Digits",
        "Punctuation",
        "Delimiter",
        "CharDelimiterSplit",
        "UnicodeScripts",
        "Unigram",
        "WordLevel",
        "BPE",
        "BPEDecoder",
        "ByteFallback",
        "Fuse",
        "Lowercase",
        "Nmt",
        "NFKD",
        "StripAccents",
        "BertPreTokenizer",
        "WhitespaceSplit",
    ];
    let keys = [
        "type",
        "normalizers",
        "pretokenizers",
        "decoders",
        "processors",
        "precompiled_charsmap",
        "length",
        "start",
        "stop",
        "content",
        "pattern",
        "prepend",
        "replacement",
        "prepend_scheme",
        "split",
        "behavior",
        "invert",
        "cleanup",
        "pad_token",
        "word_delimiter_token",
        "prefix",
        "suffix",
        "sep",
        "cls",
        "dropout",
        "unk_token",
        "unk_id",
        "vocab",
        "merges",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "max_input_chars_per_word",
        "byte_fallback",
        "add_prefix_space",
        "strip_left",
        "delimiter",
        "individual_digits",
        "single",
        "special_tokens",
    ];
    let mut numbers = Mutations::new(0x1234_5678_9abc_def1);
    let (mut refused, mut used) = (0, 0);
    for round in 0..4000 {
        let mut json = sound.clone();
        for _ in 0..=numbers.below(3) {
            let values = [
                json!(null),
                json!(0),
                json!(1),
                json!(u64::MAX),
                json!(-1),
                json!(0.5),
                json!(true),
                json!(""),
                json!("a"),
                json!("é"),
                json!("eeeeeeeeee"),
                json!([]),
                json!({}),
                json!(["a", "b"]),
                json!([["", 0.0], ["a", -1.0]]),
                json!({"String": ""}),
                json!({"Regex": ""}),
                json!({"Regex": "(?=a)"}),
                json!("AAAAAAAA"),
                json!("MergedWithNext"),
                json!("always"),
                json!([{"type": types[numbers.below(types.len())]}]),
                json!({"type": types[numbers.below(types.len())]}),
                json!([[{"type": types[numbers.below(types.len())]}]]),
                json!(types[numbers.below(types.len())]),
            ];
            let value = values[numbers.below(values.len())].clone();
            let from = json.pointer(&places[numbers.below(places.len())]).cloned();
            let Some(place) = json.pointer_mut(&places[numbers.below(places.len())]) else {
                continue;
            };
            let key = keys[numbers.below(keys.len())];
            match (numbers.below(5), place) {
                (0 | 1, Value::Object(items)) => drop(items.insert(key.into(), value)),
                (2, Value::Object(items)) => drop(items.shift_remove(key)),
                (2, Value::Array(items)) => items.push(value),
                (3, place) => *place = from.unwrap_or(value),
                (_, place) => *place = value,
            }
        }
        LARGEST.set(0);
        let bytes = json.to_string();
        let outcome = std::panic::catch_unwind(|| {
            let Ok(tokenizer) = Tokenizer::from_json(bytes.as_bytes()) else {
                return false;
            };
            let texts = ["abc eee <s> é🙂", "", " ", "eeeeeeeeeeeeee"];
            for ids in texts
                .iter()
                .filter_map(|text| tokenizer.encode_with_offsets(text, true).ok())
            {
                let mut stream = tokenizer.stream_decoder(false);
                let _ = tokenizer.decode(&ids.0, true);
                ids.0.iter().for_each(|id| drop(stream.push(*id)));
            }
            let _ = tokenizer.decode(&[0, 1, 2, 3, 4, 5, 6, u32::MAX], false);
            let _ = tokenizer.encode_pair("ab", "c");
            true
        });
        assert!(LARGEST.get() < MOST_BYTES, "{round}: {bytes}");
        match outcome {
            Ok(true) => used += 1,
            Ok(false) => refused += 1,
            Err(_) => panic!("{round} panicked on {bytes}"),
        }
    }
    assert!(refused > 400 && used > 200, "{refused} refused, {used} used");
}

/// A vocabulary of SentencePiece in GGUF costs by its length.
#[test]
fn a_large_vocabulary_takes_little_memory() {
    let pieces: Vec<String> = (0..50_000)
        .map(|at| format!("▁{}{:05x}", ["ab", "cd", "abc"][at % 3], at))
        .collect();
    let letters = "▁abcdef0123456789".chars().map(String::from);
    let pieces: Vec<String> = letters.chain(pieces).collect();
    let mut writer = GgufWriter::llama(&pieces.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    writer
        .without("tokenizer.ggml.model")
        .text("tokenizer.ggml.model", "llama");
    writer.f32s("tokenizer.ggml.scores", &vec![-1.0; pieces.len()]);
    writer.i32s("tokenizer.ggml.token_type", &vec![1; pieces.len()]);
    let file = MemoryFile::source("m.gguf", writer.bytes());
    LARGEST.set(0);
    let files = now(ModelFiles::open(vec![file])).unwrap();
    let tokenizer = files.tokenizer.unwrap();
    assert_eq!(tokenizer.token_text(17).as_deref(), Some("▁ab00000"));
    let largest = LARGEST.get();
    assert!(largest < MOST_BYTES, "{largest} bytes at once");
}
