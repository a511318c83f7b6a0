//! Model files: golden safetensors, hand-made GGUF, and every way in which a download goes wrong.

mod rows;
mod sinks;

use crate::common::gguf::GgufWriter;
use crate::common::{golden_folders, now};
use lorakeet_core::Error;
use lorakeet_core::formats::{ModelFiles, Storage};
use lorakeet_core::models::registry::ARCHITECTURES;
use lorakeet_core::store::{MemoryFile, Source};

const CONFIG: &str = r#"{"model_type":"llama","eos_token_id":[2,7]}"#;

fn file(name: &str, bytes: impl AsRef<[u8]>) -> Source {
    MemoryFile::source(name, bytes.as_ref().to_vec())
}

/// A safetensors file with the header `header` and `data_bytes` zeros.
fn safetensors(header: &str, data_bytes: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(std::iter::repeat_n(0, data_bytes));
    bytes
}

/// One tensor of two floats called `name`.
fn one_tensor(name: &str) -> Vec<u8> {
    safetensors(
        &format!(r#"{{"{name}":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#),
        8,
    )
}

fn refused(files: Vec<Source>) -> Error {
    now(ModelFiles::open(files)).expect_err("these files must be refused")
}

fn tiny_gguf() -> GgufWriter {
    GgufWriter::llama(&["a", "b", "c", "ab", "<end>"], &["a b"])
}

#[test]
fn golden_models_open_with_config_and_every_tensor() {
    let folders = ["A", "C"]
        .map(|part| golden_folders(part, "model.safetensors"))
        .concat();
    assert!(!folders.is_empty(), "the fixtures hold models");
    for folder in folders {
        let model = now(ModelFiles::open_path(&folder)).unwrap();
        assert_eq!(model.config, crate::common::json(folder.join("config.json")));
        let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
        let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(model.entries().len(), expected.len());
        for entry in model.entries() {
            let view = expected.tensor(&entry.name).unwrap();
            let (shape, values) = now(model.read_f32(&entry.name)).unwrap();
            assert_eq!(shape, view.shape());
            assert_eq!(entry.elements(), values.len());
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(bytes, view.data(), "{}", entry.name);
        }
    }
}

#[test]
fn a_gguf_file_looks_like_hugging_faces() {
    let mut writer = tiny_gguf();
    writer.text("general.name", "Tiny");
    writer.f32("llama.rope.freq_base", 5e5);
    writer.u32("tokenizer.ggml.eos_token_id", 4);
    writer.text("tokenizer.chat_template", "{{ eos_token }}");
    writer.tensor_f32("blk.0.attn_q.weight", &[32, 32]);
    writer.tensor("blk.0.ffn_down.weight", &[1, 32], 8, [&[0, 60][..], &[2; 32]].concat());
    let model = now(ModelFiles::open(vec![file("tiny.gguf", writer.bytes())])).unwrap();
    assert_eq!(model.name, "Tiny");
    for (key, value) in [
        ("model_type", "\"llama\""),
        ("hidden_size", "32"),
        ("num_hidden_layers", "1"),
        ("num_attention_heads", "2"),
        ("num_key_value_heads", "1"),
        ("head_dim", "16"),
        ("intermediate_size", "64"),
        ("rms_norm_eps", "0.00001"),
        ("rope_theta", "500000.0"),
        ("rope_scaling", "null"),
        ("vocab_size", "5"),
        ("max_position_embeddings", "64"),
        ("tie_word_embeddings", "true"),
        ("eos_token_id", "4"),
    ] {
        assert_eq!(model.config[key].to_string(), value, "{key}");
    }
    assert_eq!(model.eos_token_ids, [4]);
    assert_eq!(
        model.chat_template.as_ref().unwrap().apply(&[], false).unwrap(),
        "<end>"
    );
    assert_eq!(model.tokenizer.as_ref().unwrap().encode("abc", false).unwrap(), [3, 2]);
    let down = model.entry("model.layers.0.mlp.down_proj.weight").unwrap();
    assert_eq!((down.storage, down.bytes), (Storage::Q8_0, 34));
    assert_eq!(now(model.read_f32(&down.name)).unwrap(), (vec![1, 32], vec![2.0; 32]));
    // Heads of 16 rows: the file's rows 0, 2, 4 … are the first half.
    let (_, q) = now(model.read_f32("model.layers.0.self_attn.q_proj.weight")).unwrap();
    let rows: Vec<f32> = q.iter().step_by(32).map(|first| first / 32.0).collect();
    assert_eq!(rows[..9], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 1.0]);
    assert_eq!(rows[16], 16.0);
}

#[test]
fn q_of_qwen_is_left_as_it_lies() {
    let mut writer = GgufWriter::new();
    writer.text("general.architecture", "qwen2");
    for key in [
        "embedding_length",
        "block_count",
        "context_length",
        "attention.head_count",
        "feed_forward_length",
    ] {
        writer.u32(&format!("qwen2.{key}"), 4);
    }
    writer.f32("qwen2.attention.layer_norm_rms_epsilon", 1e-6);
    writer.tensor_f32("token_embd.weight", &[3, 4]);
    writer.tensor_f32("output.weight", &[3, 4]);
    writer.tensor_f32("blk.0.attn_q.weight", &[8, 4]);
    writer.tensor_f32("blk.0.attn_q.bias", &[8]);
    let model = now(ModelFiles::open(vec![file("q.gguf", writer.bytes())])).unwrap();
    let (_, values) = now(model.read_f32("model.layers.0.self_attn.q_proj.weight")).unwrap();
    assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(model.config["tie_word_embeddings"], false);
    assert_eq!(model.config["attention_bias"], true);
    assert!(model.tokenizer.is_none());
}

#[test]
fn shards_are_joined_by_the_index() {
    let index = r#"{"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}}"#;
    let mut files = vec![
        file("config.json", CONFIG),
        file("model.safetensors.index.json", index),
        file("m-1.safetensors", one_tensor("a")),
        file("m-2.safetensors", one_tensor("b")),
        file("consolidated.safetensors", one_tensor("a")),
    ];
    let model = now(ModelFiles::open(files.clone())).unwrap();
    assert!(model.contains("a") && model.contains("b") && model.entries().len() == 2);
    assert_eq!(model.eos_token_ids, [2, 7]);
    files.remove(3);
    let error = refused(files).to_string();
    assert!(
        error.contains("m-2.safetensors") && error.contains("Choose all parts"),
        "{error}"
    );
}

#[test]
fn failed_downloads_are_told_for_what_they_are() {
    let set = |bytes: &[u8]| vec![file("config.json", CONFIG), file("model.safetensors", bytes)];
    let whole = one_tensor("a");
    for (bytes, words) in [
        (&b""[..], "empty (0 bytes)"),
        (b"<!DOCTYPE html><html>404", "web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
            "git lfs pull",
        ),
        (&whole[..whole.len() - 1], "cut off"),
        (&whole[..20], "cut off"),
        (&whole[..5], "cut off"),
        (b"PK\x03\x04 this is a zip file", "not a safetensors file"),
    ] {
        let error = refused(set(bytes));
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.file.as_deref(), Some("model.safetensors"));
        assert!(error.remedy.is_some(), "{error}");
    }
    let gguf = tiny_gguf().bytes();
    for (bytes, words) in [
        (&gguf[..gguf.len() - 1], "cut off"),
        (&gguf[..100], "cut off"),
        (b"", "empty"),
        (b"<html>", "web page"),
        (b"junk that is no model", "not a GGUF file"),
    ] {
        let error = refused(vec![file("m.gguf", bytes)]).to_string();
        assert!(error.contains(words) && error.contains("m.gguf"), "{error}");
    }
}

#[test]
fn incomplete_sets_say_what_is_missing() {
    let error = refused(vec![file("model.safetensors", one_tensor("a"))]).to_string();
    assert!(error.contains("config.json is missing"), "{error}");
    let error = refused(vec![file("config.json", CONFIG)]).to_string();
    assert!(error.contains("no weights") && error.contains("config.json"), "{error}");
    let error = refused(vec![file("config.json", CONFIG), file("weights.bin", "x")]).to_string();
    assert!(
        error.contains("safetensors") && error.contains("weights.bin"),
        "{error}"
    );
    let error = refused(vec![
        file("config.json", "{\"a\": "),
        file("model.safetensors", one_tensor("a")),
    ])
    .to_string();
    assert!(error.contains("config.json") && error.contains("not JSON"), "{error}");
    assert!(refused(vec![]).to_string().contains("nothing"));
    let two = vec![file("a.gguf", tiny_gguf().bytes()), file("b.gguf", tiny_gguf().bytes())];
    assert!(refused(two).to_string().contains("a.gguf, b.gguf"));
}

#[test]
fn headers_that_contradict_themselves_are_refused_by_tensor() {
    let entry = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for (header, words) in [
        (entry("F32", "[3]", "[0,8]"), "takes 12 bytes"),
        (entry("F32", "[2]", "[8,0]"), "takes 8 bytes"),
        (entry("F99", "[2]", "[0,8]"), "F99"),
        (entry("F32", "[18446744073709551615,8]", "[0,8]"), "impossible shape"),
        (entry("F32", "[1000]", "[0,4000]"), "cut off"),
    ] {
        let error = refused(vec![
            file("config.json", CONFIG),
            file("model.safetensors", safetensors(&header, 8)),
        ]);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.field_name(), Some("t"));
    }
    let twice =
        r#"{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    let error = refused(vec![
        file("config.json", CONFIG),
        file("model.safetensors", safetensors(twice, 1)),
    ]);
    assert!(error.to_string().contains("twice"), "{error}");
}

#[test]
fn gguf_tables_that_contradict_themselves_are_refused() {
    type Breaks = fn(&mut GgufWriter);
    let cases: [(Breaks, &str); 13] = [
        (|w| w.version = 1, "version 1"),
        (|w| w.version = 3u32.swap_bytes(), "big-endian"),
        (|w| w.u32("general.alignment", 33), "power of two"),
        (|w| w.u32("llama.block_count", 2), "twice"),
        (|w| w.tensor_f32("token_embd.weight", &[1]), "twice"),
        (|w| w.tensor("blk.0.attn_v.weight", &[2], 77, vec![0; 8]), "type 77"),
        (
            |w| w.tensor("blk.0.attn_v.weight", &[1, 31], 2, vec![0; 18]),
            "cannot have",
        ),
        // 256 numbers, but no row is a whole block.
        (
            |w| w.tensor("blk.0.attn_v.weight", &[2, 128], 12, vec![0; 144]),
            "Q4_K cannot have",
        ),
        (
            |w| w.tensor("blk.0.attn_v.weight", &[1, 256], 14, vec![0; 209]),
            "cut off",
        ),
        (
            |w| w.tensor("blk.0.attn_v.weight", &[u64::MAX, 4], 0, vec![]),
            "cannot have",
        ),
        (|w| w.tensor("blk.0.attn_v.weight", &[1 << 40], 0, vec![]), "cut off"),
        (|w| w.tensor("blk.0.attn_v.weight", &[1; 5], 0, vec![0; 4]), "5 axes"),
        (|w| w.tensor_f32("blk.0.ffn_up_exps.weight", &[1]), "no counterpart"),
    ];
    for (breaks, words) in cases {
        let mut writer = tiny_gguf();
        breaks(&mut writer);
        let error = refused(vec![file("m.gguf", writer.bytes())]).to_string();
        assert!(error.contains(words), "{error}");
    }
    for key in [
        "general.architecture",
        "llama.block_count",
        "token_embd.weight",
        "tokenizer.ggml.merges",
    ] {
        let mut writer = tiny_gguf();
        let error = refused(vec![file("m.gguf", writer.without(key).bytes())]);
        assert!(error.to_string().contains("missing"), "{error}");
        assert_eq!(error.field_name(), Some(key));
    }
}

#[test]
fn an_unknown_architecture_names_those_that_work() {
    let mut writer = tiny_gguf();
    writer
        .without("general.architecture")
        .text("general.architecture", "mamba");
    let error = refused(vec![file("m.gguf", writer.bytes())]).to_string();
    assert!(error.contains("mamba"), "{error}");
    for form in ARCHITECTURES.iter().filter_map(|row| row.gguf) {
        let name = form.architecture;
        assert!(error.contains(name), "{name} is not in {error}");
    }
}

#[test]
fn tensors_that_are_not_read_here_are_listed_but_refused() {
    let mut writer = tiny_gguf();
    writer.tensor("blk.0.ffn_up.weight", &[1, 256], 11, vec![0; 110]);
    let model = now(ModelFiles::open(vec![file("m.gguf", writer.bytes())])).unwrap();
    let name = "model.layers.0.mlp.up_proj.weight";
    assert_eq!(model.entry(name).unwrap().storage.name(), "Q3_K");
    let error = now(model.read_f32(name)).unwrap_err().to_string();
    assert!(error.contains("Q3_K") && error.contains(name), "{error}");
    assert!(
        now(model.read_f32("nothing"))
            .unwrap_err()
            .to_string()
            .contains("nothing")
    );
}

#[test]
fn tensors_that_share_bytes_are_refused() {
    let header = |second: &str| {
        let tensor =
            |name: &str, offsets: &str| format!(r#""{name}":{{"dtype":"F32","shape":[2],"data_offsets":{offsets}}}"#);
        format!("{{{},{}}}", tensor("one", "[8,16]"), tensor("other", second))
    };
    for (second, is_sound) in [
        ("[0,8]", true),
        ("[16,24]", true),
        ("[8,16]", false),
        ("[4,12]", false),
        ("[12,20]", false),
    ] {
        let files = vec![
            file("config.json", CONFIG),
            file("model.safetensors", safetensors(&header(second), 24)),
        ];
        let opened = now(ModelFiles::open(files)).map_err(|error| error.to_string());
        assert_eq!(opened.is_ok(), is_sound, "{second}");
        if let Err(error) = opened {
            assert!(error.contains("one") && error.contains("other"), "{error}");
        }
    }
    // Tensors without a number lie anywhere.
    let empty = r#"{"one":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
        "none":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}"#;
    let files = vec![
        file("config.json", CONFIG),
        file("model.safetensors", safetensors(empty, 8)),
    ];
    assert!(now(ModelFiles::open(files)).is_ok());

    let mut writer = tiny_gguf();
    writer.tensor_f32("blk.0.attn_v.weight", &[32, 32]);
    let mut bytes = writer.bytes();
    assert!(now(ModelFiles::open(vec![file("m.gguf", &bytes)])).is_ok());
    let name = b"blk.0.attn_v.weight";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    // Behind the name: the number of axes, the axes, the type, the offset.
    bytes[at + 4 + 16 + 4..][..8].copy_from_slice(&0u64.to_le_bytes());
    let error = refused(vec![file("m.gguf", bytes)]).to_string();
    assert!(
        error.contains("lies on bytes of") && error.contains("blk.0.attn_v.weight"),
        "{error}"
    );
}

#[test]
fn numbers_of_gguf_that_are_none_or_not_computed_with_are_refused_by_name() {
    type Breaks = fn(&mut GgufWriter);
    let cases: [(Breaks, &str); 7] = [
        (
            |w| {
                w.without("llama.attention.layer_norm_rms_epsilon");
                w.f32("llama.attention.layer_norm_rms_epsilon", f32::NAN);
            },
            "llama.attention.layer_norm_rms_epsilon",
        ),
        (|w| w.f32("llama.rope.freq_base", f32::NAN), "llama.rope.freq_base"),
        (|w| w.f32("llama.rope.freq_base", f32::INFINITY), "llama.rope.freq_base"),
        (|w| w.text("llama.rope.freq_base", "10000"), "llama.rope.freq_base"),
        (|w| w.u32("llama.rope.dimension_count", 8), "llama.rope.dimension_count"),
        (
            |w| w.f32("llama.rope.scaling.attn_factor", 0.5),
            "llama.rope.scaling.attn_factor",
        ),
        (|w| w.f32("llama.rope.scale_linear", 4.0), "llama.rope.scale_linear"),
    ];
    for (breaks, key) in cases {
        let mut writer = tiny_gguf();
        breaks(&mut writer);
        let error = refused(vec![file("m.gguf", writer.bytes())]);
        assert_eq!(error.field_name(), Some(key), "{error}");
    }
}

#[test]
fn token_numbers_that_are_none_are_refused_by_name() {
    let open = |config: &str, generation: &str| {
        now(ModelFiles::open(vec![
            file("config.json", config),
            file("generation_config.json", generation),
            file("model.safetensors", one_tensor("a")),
        ]))
    };
    let ids = |config, generation| open(config, generation).expect("it opens").eos_token_ids;
    assert_eq!(ids(r#"{"eos_token_id":[2,7]}"#, "{}"), [2, 7]);
    assert_eq!(ids(r#"{"eos_token_id":2}"#, r#"{"eos_token_id":[3]}"#), [3]);
    assert_eq!(ids(r#"{"eos_token_id":-1}"#, r#"{"eos_token_id":null}"#), [0u32; 0]);
    for (wrong, named) in [
        ("\"x\"", "x"),
        ("2.5", "2.5"),
        ("[1,\"y\"]", "y"),
        ("4294967296", "4294967296"),
        ("{}", "{}"),
    ] {
        let json = format!(r#"{{"eos_token_id":{wrong}}}"#);
        for (config, generation, file) in [
            (json.as_str(), "{}", "config.json"),
            ("{}", &json, "generation_config.json"),
        ] {
            let error = open(config, generation).expect_err("it is no token");
            let place = (error.file.as_deref(), error.field_name());
            assert_eq!(place, (Some(file), Some("eos_token_id")), "{error}");
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
