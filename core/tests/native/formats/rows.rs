//! Parts of files: one tensor, some of its rows, and no byte more.

use super::{CONFIG, file, safetensors, tiny_gguf};
use crate::common::gguf::GgufWriter;
use crate::common::now;
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::formats::blocks::decode;
use lorakeet_core::store::{LocalFuture, MemoryFile, ReadAt, Source};
use std::cell::Cell;
use std::rc::Rc;

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
