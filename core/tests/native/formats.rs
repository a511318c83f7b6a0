//! Model files: golden safetensors, hand-made GGUF, and every way in which a download goes wrong.

use crate::common::{gguf::GgufWriter, golden_folders, now};
use lorakeet_core::Error;
use lorakeet_core::formats::{ModelFiles, Storage, blocks::decode};
use lorakeet_core::store::{DirectorySink, LocalFuture, MemoryFile, MemorySink, ReadAt, Sink, Source};
use std::cell::Cell;
use std::rc::Rc;

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
fn only_the_wanted_slice_of_a_file_is_read() {
    // A file that claims 5 GB and answers only for the parts that should be read.
    struct Huge {
        start: Vec<u8>,
    }
    const LENGTH: u64 = 5 << 30;
    impl lorakeet_core::store::ReadAt for Huge {
        fn name(&self) -> &str {
            "model.safetensors"
        }
        fn len_bytes(&self) -> u64 {
            LENGTH
        }
        fn read_at(
            &self,
            offset: u64,
            len: usize,
        ) -> lorakeet_core::store::LocalFuture<'_, lorakeet_core::Result<Vec<u8>>> {
            assert!(len < 1000, "{len} bytes in one piece");
            let mut bytes = vec![0; len];
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = self.start.get(offset as usize + i).copied().unwrap_or(0);
            }
            Box::pin(async move { Ok(bytes) })
        }
    }
    let header = |end: u64| {
        let big = end - 8;
        format!(
            r#"{{"big":{{"dtype":"U8","shape":[{big}],"data_offsets":[0,{big}]}},"small":{{"dtype":"F32","shape":[2],"data_offsets":[{big},{end}]}}}}"#
        )
    };
    let data_bytes = LENGTH - 8 - header(LENGTH).len() as u64;
    let start = safetensors(&header(data_bytes), 0);
    let files: Vec<Source> = vec![file("config.json", CONFIG), std::rc::Rc::new(Huge { start })];
    let model = now(ModelFiles::open(files)).unwrap();
    assert_eq!(now(model.read_f32("small")).unwrap(), (vec![2], vec![0.0, 0.0]));
}

/// A file that counts the bytes that are read from it.
struct Counting {
    file: MemoryFile,
    read_bytes: Cell<usize>,
    pieces: Cell<usize>,
}

impl ReadAt for Counting {
    fn name(&self) -> &str {
        self.file.name()
    }
    fn len_bytes(&self) -> u64 {
        self.file.len_bytes()
    }
    fn read_at(&self, offset: u64, len: usize) -> LocalFuture<'_, lorakeet_core::Result<Vec<u8>>> {
        self.read_bytes.set(self.read_bytes.get() + len);
        self.pieces.set(self.pieces.get() + 1);
        self.file.read_at(offset, len)
    }
}

/// Reads every range of rows of every matrix in `name` and compares it with the whole.
fn read_by_rows(name: &str, bytes: Vec<u8>) {
    let counting = Rc::new(Counting {
        file: MemoryFile::new(name, bytes),
        read_bytes: Cell::new(0),
        pieces: Cell::new(0),
    });
    let mut files: Vec<Source> = vec![counting.clone()];
    if name.ends_with(".safetensors") {
        files.push(file("config.json", CONFIG));
    }
    let model = now(ModelFiles::open(files)).unwrap();
    for entry in model.entries().iter().filter(|entry| entry.shape.len() == 2) {
        let matrix = model.stored_matrix(&entry.name).unwrap();
        let (shape, whole) = now(model.read_f32(&entry.name)).unwrap();
        assert_eq!(matrix.storage, entry.storage);
        // Of a transpose, the whole that rows are compared with is the file's.
        let stored: Vec<f32> = if matrix.transposed {
            assert_eq!([matrix.columns, matrix.rows], shape[..]);
            let place = |i: usize| i % matrix.columns * matrix.rows + i / matrix.columns;
            (0..whole.len()).map(|i| whole[place(i)]).collect()
        } else {
            assert_eq!([matrix.rows, matrix.columns], shape[..]);
            whole
        };
        let row_bytes = entry.bytes as usize / matrix.rows;
        for start in 0..=matrix.rows {
            for end in (start..=matrix.rows).step_by(1 + matrix.rows / 7) {
                let (bytes_before, pieces_before) = (counting.read_bytes.get(), counting.pieces.get());
                let bytes = now(model.read_rows(&entry.name, start..end)).unwrap();
                let (read, pieces) = (
                    counting.read_bytes.get() - bytes_before,
                    counting.pieces.get() - pieces_before,
                );
                assert_eq!(bytes.len(), (end - start) * row_bytes);
                // The heads of the permuted ones have 16 rows here.
                let permuted = name.ends_with(".gguf") && ["q_proj", "k_proj"].iter().any(|p| entry.name.contains(p));
                let most = if permuted {
                    end.next_multiple_of(16) - start / 16 * 16
                } else {
                    end - start
                };
                let most = if start == end { 0 } else { most * row_bytes };
                assert!(
                    read <= most && pieces <= 1,
                    "{}: {read} bytes for rows {start} to {end}",
                    entry.name
                );
                let wanted = &stored[start * matrix.columns..end * matrix.columns];
                assert_eq!(
                    decode(matrix.storage, &bytes).unwrap(),
                    wanted,
                    "{} {start} {end}",
                    entry.name
                );
                let values = now(model.read_rows_f32(&entry.name, start..end)).unwrap();
                assert_eq!(values, wanted, "{}", entry.name);
            }
        }
        #[allow(clippy::reversed_empty_ranges, reason = "that is what is refused")]
        for rows in [
            2..1,
            0..matrix.rows + 1,
            usize::MAX..usize::MAX,
            0..usize::MAX,
            usize::MAX..0,
        ] {
            let error = now(model.read_rows(&entry.name, rows.clone())).unwrap_err().to_string();
            assert!(error.contains(&entry.name) && error.contains("rows"), "{error}");
            assert!(now(model.read_rows_f32(&entry.name, rows)).is_err());
        }
    }
    for entry in model.entries().iter().filter(|entry| entry.shape.len() != 2) {
        let error = now(model.read_rows(&entry.name, 0..1)).unwrap_err().to_string();
        assert!(error.contains(&entry.name), "{error}");
    }
    assert!(now(model.read_rows("nothing", 0..1)).is_err() && model.stored_matrix("nothing").is_err());
}

#[test]
fn rows_of_a_gguf_file_are_those_of_the_whole_and_nothing_else_is_read() {
    let mut writer = tiny_gguf();
    writer.tensor_f32("blk.0.attn_q.weight", &[32, 32]);
    writer.tensor_f32("blk.0.attn_norm.weight", &[32]);
    // Blocks of 8 bits whose scales (0.5, 1, 2 …) and numbers differ from row to row; two blocks a row.
    let blocks = |count: u8| (0..count).flat_map(|i| [&[0, 56 + 4 * (i % 4)][..], &[i; 32]].concat());
    writer.tensor("blk.0.attn_k.weight", &[16, 64], 8, blocks(32).collect());
    writer.tensor("blk.0.ffn_down.weight", &[5, 64], 8, blocks(10).collect());
    read_by_rows("tiny.gguf", writer.bytes());
}

#[test]
fn rows_of_a_transposed_matrix_are_the_files() {
    let mut writer = GgufWriter::new();
    writer.text("general.architecture", "gpt2");
    for (key, value) in [
        ("embedding_length", 4),
        ("block_count", 1),
        ("context_length", 8),
        ("attention.head_count", 2),
        ("feed_forward_length", 8),
    ] {
        writer.u32(&format!("gpt2.{key}"), value);
    }
    writer.f32("gpt2.attention.layer_norm_epsilon", 1e-5);
    writer.tensor_f32("token_embd.weight", &[3, 4]);
    writer.tensor_f32("blk.0.attn_qkv.weight", &[12, 4]);
    writer.tensor_f32("blk.0.attn_qkv.bias", &[12]);
    read_by_rows("gpt2.gguf", writer.bytes());
}

#[test]
fn rows_of_a_safetensors_file_are_those_of_the_whole_and_nothing_else_is_read() {
    let values: Vec<f32> = (0..7 * 5).map(|i| i as f32).collect();
    let halves: Vec<u16> = (0..9 * 3).map(|i| half::f16::from_f32(i as f32).to_bits()).collect();
    let floats: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let halves: Vec<u8> = halves.iter().flat_map(|value| value.to_le_bytes()).collect();
    let header = r#"{"a.q_proj":{"dtype":"F32","shape":[7,5],"data_offsets":[0,140]},
        "b":{"dtype":"F16","shape":[9,3],"data_offsets":[140,194]},
        "c":{"dtype":"F32","shape":[1],"data_offsets":[194,198]}}"#;
    let mut bytes = safetensors(header, 0);
    bytes.extend([floats, halves, vec![0; 4]].concat());
    read_by_rows("model.safetensors", bytes);
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
    let error = refused(vec![file("config.json", CONFIG), file("pytorch_model.bin", "x")]).to_string();
    assert!(error.contains("safetensors"), "{error}");
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
        assert_eq!(error.field.as_deref(), Some("t"));
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
        assert_eq!(error.field.as_deref(), Some(key));
    }
}

#[test]
fn an_unknown_architecture_names_those_that_work() {
    let mut writer = tiny_gguf();
    writer
        .without("general.architecture")
        .text("general.architecture", "mamba");
    let error = refused(vec![file("m.gguf", writer.bytes())]).to_string();
    assert!(
        error.contains("mamba") && error.contains("llama, qwen2, qwen3, gpt2"),
        "{error}"
    );
}

#[test]
fn tensors_that_are_not_read_here_are_listed_but_refused() {
    let mut writer = tiny_gguf();
    writer.tensor("blk.0.ffn_up.weight", &[1, 256], 13, vec![0; 176]);
    let model = now(ModelFiles::open(vec![file("m.gguf", writer.bytes())])).unwrap();
    let name = "model.layers.0.mlp.up_proj.weight";
    assert_eq!(model.entry(name).unwrap().storage.name(), "Q5_K");
    let error = now(model.read_f32(name)).unwrap_err().to_string();
    assert!(error.contains("Q5_K") && error.contains(name), "{error}");
    assert!(
        now(model.read_f32("nothing"))
            .unwrap_err()
            .to_string()
            .contains("nothing")
    );
}

#[test]
fn a_sink_writes_whole_files_inside_its_folder_only() {
    let memory = MemorySink::new();
    now(memory.write("a/b.bin", b"xyz")).unwrap();
    assert_eq!(memory.files()["a/b.bin"], b"xyz");
    let folder = std::env::temp_dir().join(format!("lorakeet-sink-{}", std::process::id()));
    let disk = DirectorySink::new(&folder);
    now(disk.write("a/b.bin", b"1")).unwrap();
    now(disk.write("a/b.bin", b"22")).unwrap();
    assert_eq!(std::fs::read(folder.join("a/b.bin")).unwrap(), b"22");
    assert_eq!(std::fs::read_dir(folder.join("a")).unwrap().count(), 1, "no leftovers");
    for path in ["../x", "/x", "a//b", "a\\b", "", "c:x"] {
        assert!(now(disk.write(path, b"")).is_err(), "{path}");
        assert!(now(memory.write(path, b"")).is_err(), "{path}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_sink_lists_and_removes_its_own_folders_only() {
    let root = std::env::temp_dir().join(format!("lorakeet-folders-{}", std::process::id()));
    let (memory, disk) = (MemorySink::new(), DirectorySink::new(root.join("sink")));
    for sink in [&memory as &dyn Sink, &disk] {
        assert_eq!(now(sink.folders()), Ok(Vec::new()), "nothing is written yet");
        for path in ["a/b.bin", "a/c/d.bin", "ab/e.bin", "f.bin"] {
            now(sink.write(path, b"1")).unwrap();
        }
        let listed = || {
            let mut folders = now(sink.folders()).unwrap();
            folders.sort();
            folders
        };
        assert_eq!(listed(), ["a", "ab"]);
        now(sink.remove_folder("a")).unwrap();
        assert_eq!(listed(), ["ab"]);
        for path in ["a", "../sink", "/", ""] {
            assert!(now(sink.remove_folder(path)).is_err(), "{path}");
        }
    }
    assert_eq!(memory.files().into_keys().collect::<Vec<_>>(), ["ab/e.bin", "f.bin"]);
    assert!(root.join("sink/f.bin").is_file());
    std::fs::remove_dir_all(&root).unwrap();
}

#[test]
fn a_sink_renames_its_own_folders_onto_nothing() {
    let root = std::env::temp_dir().join(format!("lorakeet-renames-{}", std::process::id()));
    let (memory, disk) = (MemorySink::new(), DirectorySink::new(root.join("sink")));
    for sink in [&memory as &dyn Sink, &disk] {
        for path in ["a/b.bin", "a/c/d.bin", "ab/e.bin"] {
            now(sink.write(path, path.as_bytes())).unwrap();
        }
        now(sink.rename_folder("a", "z")).unwrap();
        let mut folders = now(sink.folders()).unwrap();
        folders.sort();
        assert_eq!(folders, ["ab", "z"]);
        for (from, to) in [("z", "ab"), ("a", "b"), ("z", "../y"), ("../sink", "y"), ("z", "")] {
            assert!(now(sink.rename_folder(from, to)).is_err(), "{from} to {to}");
        }
    }
    let files = memory.files();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["ab/e.bin", "z/b.bin", "z/c/d.bin"]);
    assert_eq!(files["z/c/d.bin"], b"a/c/d.bin");
    assert_eq!(std::fs::read(root.join("sink/z/c/d.bin")).unwrap(), b"a/c/d.bin");
    std::fs::remove_dir_all(&root).unwrap();
}

/// Links under all the names that the next writes might take on their way.
#[cfg(unix)]
#[test]
fn a_link_in_the_folder_is_not_written_through_and_what_is_left_over_goes() {
    let folder = std::env::temp_dir().join(format!("lorakeet-links-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("out")).unwrap();
    let victim = folder.join("victim");
    std::fs::write(&victim, "mine").unwrap();
    for name in
        std::iter::once("x.part".to_owned()).chain((0..400).map(|i| format!("x.{}-{i}.part", std::process::id())))
    {
        std::os::unix::fs::symlink(&victim, folder.join("out").join(name)).unwrap();
    }
    let sink = DirectorySink::new(folder.join("out"));
    now(sink.write("x", b"new")).unwrap();
    assert_eq!(std::fs::read(folder.join("out/x")).unwrap(), b"new");
    drop(DirectorySink::claim(folder.join("out")).unwrap());
    let mut left: Vec<_> = std::fs::read_dir(folder.join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(
        left,
        [".lorakeet.lock", "x", "x.part"],
        "x.part is not of this program's form"
    );
    assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
    std::fs::remove_dir_all(&folder).unwrap();
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
        assert_eq!(error.field.as_deref(), Some(key), "{error}");
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
            let place = (error.file.as_deref(), error.field.as_deref());
            assert_eq!(place, (Some(file), Some("eos_token_id")), "{error}");
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
