//! Tokenizers on small vocabularies; those of real models are in `smollm2.rs` and `minilm.rs`.

use crate::common::{gguf::GgufWriter, now};
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::store::MemoryFile;
use lorakeet_core::tokenizer::Tokenizer;
use serde_json::{Value, json};

/// Byte-level BPE over the bytes of "aé日" and a space, with the merge "a"+"b".
fn byte_level() -> Value {
    json!({"version": "1.0",
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "a"},
        "added_tokens": [{"id": 10, "content": "<end>", "special": true, "normalized": false, "single_word": false,
            "lstrip": false, "rstrip": false}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": {"a": 0, "b": 1, "Ġ": 2, "Ã": 3, "©": 4, "æ": 5, "Ĺ": 6, "¥": 7, "ab": 8, "Ġa": 9},
            "merges": [["a", "b"], ["Ġ", "a"]]}})
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_json(byte_level().to_string().as_bytes()).unwrap()
}

#[test]
fn truncation_and_padding_of_the_file_are_off() {
    assert_eq!(tokenizer().encode("abab a", false).unwrap(), [8, 8, 9]);
}

#[test]
fn offsets_are_bytes_and_a_shared_character_is_covered_by_each_of_its_tokens() {
    let (ids, offsets) = tokenizer().encode_with_offsets("日é<end>ab", false).unwrap();
    assert_eq!(ids, [5, 6, 7, 3, 4, 10, 8]);
    assert_eq!(offsets, [0..3, 0..3, 0..3, 3..5, 3..5, 5..10, 10..12]);
}

#[test]
fn a_stream_never_gives_half_a_character() {
    let tokenizer = tokenizer();
    let mut stream = tokenizer.stream_decoder(false);
    let pieces: Vec<Option<String>> = [8, 5, 6, 7, 3, 4, 9]
        .iter()
        .map(|id| stream.push(*id).unwrap())
        .collect();
    let expected = [Some("ab"), None, None, Some("日"), None, Some("é"), Some(" a")];
    assert_eq!(pieces, expected.map(|piece| piece.map(str::to_string)));
    assert_eq!(stream.finish().unwrap(), None);
    assert_eq!(stream.push(5).unwrap(), None);
    assert_eq!(stream.finish().unwrap().as_deref(), Some("\u{fffd}"));
}

#[test]
fn a_stream_of_broken_bytes_neither_hangs_nor_grows() {
    let tokenizer = tokenizer();
    let mut stream = tokenizer.stream_decoder(false);
    let mut text = String::new();
    for _ in 0..500 {
        text.extend(stream.push(5).unwrap());
    }
    text.extend(stream.finish().unwrap());
    assert!(!text.is_empty() && text.chars().all(|character| character == '\u{fffd}'));
}

#[test]
fn special_tokens_are_found_by_name_and_can_be_skipped() {
    let mut tokenizer = tokenizer();
    let settings = json!({"eos_token": {"content": "<end>"}, "bos_token": null, "pad_token": "a"});
    tokenizer.name_special_tokens(&settings).unwrap();
    assert_eq!((tokenizer.eos_token_ids(), tokenizer.bos_token_id()), (&[10][..], None));
    assert_eq!(
        (tokenizer.pad_token_id(), tokenizer.eos_token().as_deref()),
        (Some(0), Some("<end>"))
    );
    assert_eq!(tokenizer.decode(&[8, 10], true).unwrap(), "ab");
    assert_eq!(tokenizer.decode(&[8, 10], false).unwrap(), "ab<end>");
    assert_eq!(
        (tokenizer.vocab_size(), tokenizer.token_text(9).as_deref()),
        (11, Some("Ġa"))
    );
    let error = tokenizer
        .name_special_tokens(&json!({"eos_token": "<gone>"}))
        .unwrap_err()
        .to_string();
    assert!(error.contains("eos_token") && error.contains("<gone>"), "{error}");
}

#[test]
fn what_is_not_a_tokenizer_is_refused() {
    for bytes in [&b"{}"[..], b"[1]", b"{\"model\":", b"\xff"] {
        assert!(Tokenizer::from_json(bytes).is_err());
    }
}

/// The tokenizer of a GGUF file with the given metadata.
fn from_gguf(change: impl Fn(&mut GgufWriter)) -> lorakeet_core::Result<Tokenizer> {
    let mut writer = GgufWriter::llama(&["a", "b", "c", "ab", "<end>", "1", "2", "12"], &["a b", "1 2"]);
    writer.i32s("tokenizer.ggml.token_type", &[1, 1, 1, 1, 3, 1, 1, 1]);
    writer.u32("tokenizer.ggml.bos_token_id", 4);
    change(&mut writer);
    let model = now(ModelFiles::open(vec![MemoryFile::source("m.gguf", writer.bytes())]))?;
    Ok(model.tokenizer.expect("the metadata has a tokenizer"))
}

#[test]
fn pre_tokenizers_of_gguf_files_split_digits_as_their_models_do() {
    let digits = |pre: &'static str| {
        let tokenizer = from_gguf(|writer| writer.without("tokenizer.ggml.pre").text("tokenizer.ggml.pre", pre));
        tokenizer.unwrap().encode("ab12<end>", false).unwrap()
    };
    assert_eq!(digits("smollm"), [3, 5, 6, 4]);
    assert_eq!(digits("qwen2"), [3, 5, 6, 4]);
    assert_eq!(digits("llama-bpe"), [3, 7, 4]);
    assert_eq!(digits("gpt-2"), [3, 7, 4]);
    let error = from_gguf(|writer| writer.without("tokenizer.ggml.pre").text("tokenizer.ggml.pre", "odd"));
    assert!(error.unwrap_err().to_string().contains("tokenizer.json"));
}

#[test]
fn a_gguf_file_decides_whether_texts_are_framed() {
    let framed = from_gguf(|writer| writer.bool("tokenizer.ggml.add_bos_token", true)).unwrap();
    assert_eq!(framed.encode("ab", true).unwrap(), [4, 3]);
    assert_eq!(framed.encode("ab", false).unwrap(), [3]);
    assert_eq!(from_gguf(|_| ()).unwrap().encode("ab", true).unwrap(), [3]);
}

#[test]
fn sentencepiece_vocabularies_merge_by_score_and_fall_back_to_bytes() {
    let tokens = [
        "<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>", "▁", "a", "b", "▁a", "ab", "▁ab",
    ];
    let tokenizer = from_gguf(|writer| {
        for key in ["model", "pre", "tokens", "merges", "token_type", "bos_token_id"] {
            writer.without(&format!("tokenizer.ggml.{key}"));
        }
        writer.text("tokenizer.ggml.model", "llama");
        writer.texts("tokenizer.ggml.tokens", &tokens);
        writer.f32s(
            "tokenizer.ggml.scores",
            &[0.0, 0.0, 0.0, 0.0, 0.0, -5.0, -6.0, -7.0, -2.0, -1.0, -3.0],
        );
        writer.i32s("tokenizer.ggml.token_type", &[2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1]);
        writer.u32("tokenizer.ggml.bos_token_id", 1);
        writer.u32("tokenizer.ggml.eos_token_id", 2);
    });
    let tokenizer = tokenizer.unwrap();
    assert_eq!(tokenizer.encode("ab a", true).unwrap(), [1, 10, 8]);
    assert_eq!(tokenizer.encode("bé", false).unwrap(), [5, 7, 3, 4]);
    assert_eq!(tokenizer.decode(&[1, 10, 3, 4, 8], true).unwrap(), "abé a");
    assert_eq!(tokenizer.eos_token().as_deref(), Some("</s>"));
}

/// The tokenizer of `kind` that a GGUF file describes: each token with its type.
fn described(kind: &str, tokens: &[(&str, i32)], change: impl Fn(&mut GgufWriter)) -> lorakeet_core::Result<Tokenizer> {
    from_gguf(|writer| {
        for key in ["model", "pre", "tokens", "merges", "token_type", "bos_token_id"] {
            writer.without(&format!("tokenizer.ggml.{key}"));
        }
        writer.text("tokenizer.ggml.model", kind);
        let (texts, kinds): (Vec<&str>, Vec<i32>) = tokens.iter().copied().unzip();
        writer.texts("tokenizer.ggml.tokens", &texts);
        writer.i32s("tokenizer.ggml.token_type", &kinds);
        change(writer);
    })
}

const WORD_PIECES: [(&str, i32); 9] = [
    ("[PAD]", 3),
    ("[UNK]", 3),
    ("[CLS]", 3),
    ("[SEP]", 3),
    ("▁play", 1),
    ("ing", 1),
    ("▁[unused1]", 1),
    ("▁.", 1),
    ("▁é", 1),
];

#[test]
fn word_pieces_of_gguf_begin_words_where_they_are_marked_so() {
    let tokenizer = described("bert", &WORD_PIECES, |writer| {
        writer.u32("tokenizer.ggml.padding_token_id", 0)
    })
    .unwrap();
    assert_eq!(tokenizer.encode("Playing.", true).unwrap(), [2, 4, 5, 7, 3]);
    assert_eq!(tokenizer.encode("ing", true).unwrap(), [2, 1, 3]);
    assert_eq!(tokenizer.encode("play[SEP]", false).unwrap(), [4, 3]);
    let (ids, segments) = tokenizer.encode_pair("play", "playing").unwrap();
    assert_eq!((ids, segments), (vec![2, 4, 3, 4, 5, 3], vec![0, 0, 0, 1, 1, 1]));
    assert_eq!(tokenizer.decode(&[2, 4, 5, 7, 3], true).unwrap(), "playing.");
    assert_eq!(tokenizer.token_text(5).as_deref(), Some("##ing"));
    assert_eq!(tokenizer.pad_token_id(), Some(0));
    // Accents go with the case of letters, unless the file says otherwise.
    assert_eq!(tokenizer.encode("é", false).unwrap(), [1]);
    let accents = described("bert", &WORD_PIECES, |writer| {
        writer.bool("tokenizer.ggml.normalizer.strip_accents", false);
    });
    assert_eq!(accents.unwrap().encode("É", false).unwrap(), [8]);
}

#[test]
fn word_pieces_with_capitals_keep_the_case_of_a_text() {
    let cased = [&WORD_PIECES[..], &[("▁Play", 1)]].concat();
    let tokenizer = described("bert", &cased, |_| ()).unwrap();
    assert_eq!(tokenizer.encode("Play play", false).unwrap(), [9, 4]);
    let error = described("bert", &WORD_PIECES[..3], |_| ()).unwrap_err().to_string();
    assert!(
        error.contains("[SEP]") && error.contains("tokenizer.ggml.tokens"),
        "{error}"
    );
}

const UNIGRAMS: [(&str, i32); 8] = [
    ("<pad>", 3),
    ("</s>", 3),
    ("<unk>", 2),
    ("▁", 1),
    ("▁ab", 1),
    ("a", 1),
    ("b", 1),
    ("<extra_id_0>", 4),
];

fn unigrams(change: impl Fn(&mut GgufWriter)) -> lorakeet_core::Result<Tokenizer> {
    described("t5", &UNIGRAMS, |writer| {
        writer.f32s("tokenizer.ggml.scores", &[0.0, 0.0, 0.0, -2.0, -3.0, -2.5, -2.5, 0.0]);
        writer.u32("tokenizer.ggml.eos_token_id", 1);
        writer.u32("tokenizer.ggml.unknown_token_id", 2);
        change(writer);
    })
}

#[test]
fn unigrams_of_gguf_are_cut_by_score_and_end_a_text() {
    let tokenizer = unigrams(|_| ()).unwrap();
    // ▁ab scores -3; ▁, b, a and b score -9.5.
    assert_eq!(tokenizer.encode("ab  bab", true).unwrap(), [4, 3, 6, 5, 6, 1]);
    assert_eq!(tokenizer.encode("ab", false).unwrap(), [4]);
    assert_eq!(tokenizer.encode("<extra_id_0> ab", false).unwrap(), [7, 4]);
    assert_eq!(tokenizer.encode("xy", false).unwrap(), [3, 2]);
    assert_eq!(tokenizer.decode(&[4, 3, 6, 5, 6, 1], true).unwrap(), "ab bab");
    assert_eq!(tokenizer.eos_token().as_deref(), Some("</s>"));
    let unprefixed = unigrams(|writer| writer.bool("tokenizer.ggml.add_space_prefix", false)).unwrap();
    assert_eq!(unprefixed.encode("ab ab", false).unwrap(), [5, 6, 5, 6]);
    let spaces = unigrams(|writer| writer.bool("tokenizer.ggml.remove_extra_whitespaces", false)).unwrap();
    assert_eq!(spaces.encode("ab  b", false).unwrap(), [4, 3, 3, 6]);
}

#[test]
fn a_unigram_tokenizers_table_of_characters_is_read_or_refused() {
    // A trie that turns A into a: the root's children lie from 256 on, the leaf behind A's unit points to "a".
    let mut units = vec![0u32; 512];
    units[0] = 256 << 10;
    let at = 256 ^ usize::from(b'A');
    units[at] = u32::from(b'A') | 1 << 8 | 1 << 10;
    units[at ^ 1] = 1 << 31;
    let trie = units.iter().flat_map(|unit| unit.to_le_bytes());
    let bytes: Vec<u8> = (4 * 512u32)
        .to_le_bytes()
        .into_iter()
        .chain(trie)
        .chain(*b"a\0")
        .collect();
    let with = |bytes: &[u8]| {
        let bytes: Vec<i32> = bytes.iter().map(|&byte| i32::from(byte)).collect();
        unigrams(|writer| writer.i32s("tokenizer.ggml.precompiled_charsmap", &bytes))
    };
    assert_eq!(with(&bytes).unwrap().encode("Ab", false).unwrap(), [4]);
    for wrong in [&bytes[..9], &bytes[..4 + 4 * 255], &[]] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(error.contains("tokenizer.ggml.precompiled_charsmap"), "{error}");
    }
    let error = unigrams(|writer| {
        writer.without("tokenizer.ggml.scores");
        writer.f32s("tokenizer.ggml.scores", &[f32::NAN; 8]);
    });
    assert!(error.unwrap_err().to_string().contains("tokenizer.ggml.scores"));
}

#[test]
fn gemmas_pieces_have_no_space_before_them_and_runs_of_spaces_are_one_token() {
    let tokens = [
        ("<pad>", 3),
        ("<eos>", 3),
        ("<bos>", 3),
        ("<unk>", 2),
        ("<start_of_turn>", 3),
        ("  ", 4),
        ("▁", 1),
        ("a", 1),
        ("b", 1),
        ("ab", 1),
        ("▁a", 1),
    ];
    let tokenizer = described("llama", &tokens, |writer| {
        let scores: Vec<f32> = (0..tokens.len()).map(|id| -(id as f32)).collect();
        writer.f32s("tokenizer.ggml.scores", &scores);
        writer.u32("tokenizer.ggml.bos_token_id", 2);
        writer.u32("tokenizer.ggml.eos_token_id", 1);
        writer.u32("tokenizer.ggml.unknown_token_id", 3);
        writer.bool("tokenizer.ggml.add_bos_token", true);
        writer.bool("tokenizer.ggml.add_space_prefix", false);
    });
    let tokenizer = tokenizer.unwrap();
    assert_eq!(tokenizer.encode("ab a  b", true).unwrap(), [2, 9, 10, 5, 8]);
    assert_eq!(tokenizer.encode("<start_of_turn>a", false).unwrap(), [4, 7]);
    assert_eq!(tokenizer.decode(&[9, 10, 5, 8], false).unwrap(), "ab a  b");
}

/// A small sound tokenizer.json.
pub fn small_json() -> serde_json::Value {
    serde_json::json!({"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": 5, "content": "<s>", "special": true, "normalized": false, "single_word": false, "lstrip": false,
            "rstrip": false}],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"String": "q"},
            "content": "a"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\s+"},
            "behavior": "Isolated", "invert": false}, {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": false}]},
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
            {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [5], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
            "use_regex": true}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4}, "merges": [["a", "b"], ["ab", "c"]]}})
}

#[test]
fn parts_that_their_reader_does_not_survive_are_refused_by_name() {
    use serde_json::json;
    let table = "AAAAAAAA";
    let replace = |text: &str| json!({"type": "Replace", "pattern": {"String": "e"}, "content": text});
    let many = |part: serde_json::Value, count: usize| vec![part; count];
    for (pointer, value, place) in [
        ("/normalizer", json!({"type": "Precompiled"}), "precompiled_charsmap"),
        (
            "/normalizer",
            json!({"type": "Precompiled", "precompiled_charsmap": 3}),
            "precompiled_charsmap",
        ),
        (
            "/normalizer",
            json!([[{"type": "Precompiled", "precompiled_charsmap": table}]]),
            "normalizer",
        ),
        (
            "/normalizer",
            json!({"type": "Sequence", "normalizers": [[{"type": "NFC"}]]}),
            "normalizer.normalizers[0]",
        ),
        ("/normalizer", json!({"precompiled_charsmap": table}), "normalizer"),
        (
            "/normalizer",
            json!({"type": "BertNormalizer", "precompiled_charsmap": table}),
            "precompiled_charsmap",
        ),
        ("/normalizer", json!({"type": "Unheard"}), "normalizer"),
        (
            "/normalizer",
            json!({"type": "Sequence", "normalizers": many(replace("eeeeeeeeee"), 12)}),
            "normalizer.normalizers[1]",
        ),
        (
            "/normalizer",
            json!({"type": "Replace", "pattern": {"String": ""}, "content": "a"}),
            "normalizer.pattern",
        ),
        (
            "/normalizer",
            json!({"type": "Replace", "pattern": {"Regex": "(?=a)"}, "content": "a"}),
            "normalizer.pattern",
        ),
        (
            "/normalizer",
            json!({"type": "Replace", "pattern": {"Regex": "a*"}, "content": "a"}),
            "normalizer.pattern",
        ),
        (
            "/decoder",
            json!({"type": "Replace", "pattern": {"String": ""}, "content": "a"}),
            "decoder.pattern",
        ),
        (
            "/normalizer",
            json!({"type": "Prepend", "prepend": "a".repeat(100)}),
            "normalizer.prepend",
        ),
        (
            "/normalizer",
            json!({"type": "Sequence", "normalizers": many(json!({"type": "ByteLevel"}), 5)}),
            "normalizer.normalizers[4]",
        ),
        (
            "/normalizer",
            json!({"type": "Sequence", "normalizers": many(json!({"type": "NFC"}), 70)}),
            "normalizer.normalizers[63]",
        ),
        (
            "/pre_tokenizer",
            json!({"type": "FixedLength", "length": 0}),
            "pre_tokenizer.length",
        ),
        (
            "/pre_tokenizer",
            json!({"type": "Sequence", "pretokenizers": {"type": "Whitespace"}}),
            "pre_tokenizer",
        ),
        (
            "/decoder",
            json!({"type": "Strip", "content": " ", "start": 0, "stop": 1}),
            "decoder.stop",
        ),
        (
            "/decoder",
            json!({"type": "Sequence", "decoders": many(replace("eeeeeeeeee"), 12)}),
            "decoder.decoders[1]",
        ),
        (
            "/post_processor/special_tokens/<s>/ids",
            json!(vec![5; 100]),
            "post_processor",
        ),
        ("/model/continuing_subword_prefix", json!("###"), "model.merges"),
        ("/model/continuing_subword_prefix", json!("b"), "model.merges"),
        ("/model/merges", json!(many(json!(["a", "b"]), 1000)), "model.merges"),
        (
            "/post_processor/single/0/SpecialToken/id",
            json!("</s>"),
            "post_processor.single",
        ),
        ("/model/type", json!("Unheard"), "model.type"),
        ("/model", json!([]), "model"),
    ] {
        let mut json = small_json();
        *json.pointer_mut(pointer).unwrap() = value.clone();
        let error = Tokenizer::from_json(json.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.field_name(), Some(place), "{pointer} {value}: {error}");
    }
    let sound = Tokenizer::from_json(small_json().to_string().as_bytes()).unwrap();
    assert_eq!(sound.encode("abcq", true).unwrap(), [5, 4, 0]);
}

#[test]
fn dropout_is_switched_off_with_a_note() {
    let mut json = small_json();
    json["model"]["dropout"] = 0.5.into();
    let tokenizer = Tokenizer::from_json(json.to_string().as_bytes()).unwrap();
    for _ in 0..20 {
        assert_eq!(tokenizer.encode("abcabc", false).unwrap(), [4, 4]);
    }
    assert!(tokenizer.notes()[0].english().contains("dropout"));
    assert!(
        Tokenizer::from_json(small_json().to_string().as_bytes())
            .unwrap()
            .notes()
            .is_empty()
    );
}

#[test]
fn an_added_token_of_another_id_than_it_gets_is_refused() {
    let with_id = |id: u64| {
        let mut json: serde_json::Value = serde_json::from_slice(&bundled()).expect("JSON");
        let added = json["added_tokens"].as_array_mut().expect("a list");
        let mut token = added[0].clone();
        token["content"] = "<|new|>".into();
        token["id"] = id.into();
        added.push(token);
        Tokenizer::from_json(json.to_string().as_bytes())
    };
    let next = Tokenizer::from_json(&bundled()).expect("it is read").vocab_size() as u64;
    assert_eq!(
        with_id(next).expect("it follows").token_text(next as u32).as_deref(),
        Some("<|new|>")
    );
    let Err(error) = with_id(next + 5) else {
        panic!("there is a gap")
    };
    let told = error.to_string();
    assert_eq!(error.field_name(), Some("added_tokens"));
    for part in ["<|new|>", &(next + 5).to_string(), &next.to_string()] {
        assert!(told.contains(part), "{part} is missing: {told}");
    }
}

fn bundled() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../public/model/tokenizer.json");
    std::fs::read(path).expect("the bundled tokenizer")
}

#[test]
fn an_id_far_beyond_every_vocabulary_is_refused_by_its_token() {
    let mut json = byte_level();
    json["model"]["vocab"]["ab"] = json!(1 << 30);
    let error = Tokenizer::from_json(json.to_string().as_bytes())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"ab\"") && error.contains("1073741824") && error.contains("model.vocab"),
        "{error}"
    );
}
