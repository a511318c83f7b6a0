//! What stands before the numbers of a GGUF file (version 3), written: metadata, and the table of tensors.
//!
//! Reference: `docs/gguf.md` of ggml-org/ggml. Tensors follow the header in the order of the table, each at a multiple of
//! [`ALIGNMENT`] bytes.

use super::blocks::{Storage, ggml_kind};
use super::gguf::StoredPair;
use crate::{Error, Result};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use std::collections::HashSet;

/// Where tensors start: the alignment of files that name none.
pub const ALIGNMENT: u64 = 32;

/// Metadata under construction. A key that is there already keeps its first value.
#[derive(Debug, Default)]
pub struct GgufWriter {
    keys: HashSet<String>,
    pairs: Vec<u8>,
}

impl GgufWriter {
    fn pair(&mut self, key: &str, kind: u32, value: &[u8]) {
        self.stored(key, &[&kind.to_le_bytes()[..], value].concat());
    }

    fn stored(&mut self, key: &str, value: &[u8]) {
        if self.keys.insert(key.to_owned()) {
            self.pairs.extend(text(key));
            self.pairs.extend(value);
        }
    }

    fn list(&mut self, key: &str, kind: u32, count: usize, items: impl Iterator<Item = u8>) {
        let mut value = [&kind.to_le_bytes()[..], &(count as u64).to_le_bytes()].concat();
        value.extend(items);
        self.pair(key, 9, &value);
    }

    /// A pair of another file.
    pub fn copied(&mut self, pair: &StoredPair) {
        self.stored(&pair.key, &pair.value);
    }

    /// An integer without sign.
    pub fn u32(&mut self, key: &str, value: u32) {
        self.pair(key, 4, &value.to_le_bytes());
    }

    /// A float.
    pub fn f32(&mut self, key: &str, value: f32) {
        self.pair(key, 6, &value.to_le_bytes());
    }

    /// A truth value.
    pub fn bool(&mut self, key: &str, value: bool) {
        self.pair(key, 7, &[u8::from(value)]);
    }

    /// A text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.pair(key, 8, &text(value));
    }

    /// A list of texts.
    pub fn texts<T: AsRef<str>>(&mut self, key: &str, values: &[T]) {
        let items = values.iter().flat_map(|value| text(value.as_ref()));
        self.list(key, 8, values.len(), items);
    }

    /// A list of integers.
    pub fn i32s(&mut self, key: &str, values: &[i32]) {
        self.list(
            key,
            5,
            values.len(),
            values.iter().flat_map(|value| value.to_le_bytes()),
        );
    }

    /// A list of floats.
    pub fn f32s(&mut self, key: &str, values: &[f32]) {
        self.list(
            key,
            6,
            values.len(),
            values.iter().flat_map(|value| value.to_le_bytes()),
        );
    }

    /// A list of bytes.
    pub fn bytes(&mut self, key: &str, values: &[u8]) {
        self.list(key, 0, values.len(), values.iter().copied());
    }

    /// The file up to its first tensor; names, shapes (row-major) and storages in the order in which the tensors follow.
    ///
    /// # Errors
    /// A storage that ggml does not have, or a size that overflows.
    pub fn header(&self, tensors: &[(String, Vec<usize>, Storage)]) -> Result<Vec<u8>> {
        let mut file = b"GGUF".to_vec();
        file.extend(3u32.to_le_bytes());
        file.extend((tensors.len() as u64).to_le_bytes());
        file.extend((self.keys.len() as u64).to_le_bytes());
        file.extend(&self.pairs);
        let mut offset = 0u64;
        for (name, shape, storage) in tensors {
            let located = |error: Error| error.field(name);
            let kind = ggml_kind(*storage);
            let kind = kind.ok_or_else(|| located(Error::model(msg::UnknownStorage { storage })))?;
            let sizes: Vec<u64> = shape.iter().map(|size| *size as u64).collect();
            file.extend(text(name));
            file.extend((sizes.len() as u32).to_le_bytes());
            file.extend(sizes.iter().rev().flat_map(|size| size.to_le_bytes()));
            file.extend(kind.to_le_bytes());
            file.extend(offset.to_le_bytes());
            let end = storage.size_bytes(&sizes).and_then(|bytes| offset.checked_add(bytes));
            let end = end.and_then(|end| end.checked_next_multiple_of(ALIGNMENT));
            offset = end.ok_or_else(|| located(Error::model(common::TooLargeForMachine)))?;
        }
        file.resize(file.len().next_multiple_of(ALIGNMENT as usize), 0);
        Ok(file)
    }
}

fn text(value: &str) -> Vec<u8> {
    [&(value.len() as u64).to_le_bytes()[..], value.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::gguf::{Value, read_header, read_pairs};
    use crate::store::{MemoryFile, now};

    #[test]
    fn what_is_written_is_read_back() {
        let mut writer = GgufWriter::default();
        writer.text("general.architecture", "llama");
        writer.u32("llama.block_count", 2);
        writer.f32("llama.epsilon", 1e-5);
        writer.bool("flag", true);
        writer.texts("tokens", &["a", "ü"]);
        writer.i32s("types", &[1, -3]);
        writer.f32s("scores", &[-0.5]);
        writer.bytes("map", &[7, 255]);
        writer.u32("llama.block_count", 3);
        let tensors = [
            ("a.weight".to_owned(), vec![3, 5], Storage::F16),
            ("b.weight".to_owned(), vec![2, 32], Storage::Q4_1),
        ];
        let mut file = writer.header(&tensors).unwrap();
        let start = file.len() as u64;
        file.resize(file.len() + 32 + 40, 1);
        let source = MemoryFile::source("x.gguf", file);
        let header = now(read_header(&source)).unwrap();
        assert_eq!(header.metadata.integer("llama.block_count"), Some(2));
        assert_eq!(header.metadata.float("llama.epsilon"), Some(1e-5));
        assert_eq!(header.metadata.texts("tokens").unwrap(), ["a", "ü"]);
        assert_eq!(header.metadata.0["types"], Value::Integers(vec![1, -3]));
        assert_eq!(header.metadata.0["map"], Value::Integers(vec![7, 255]));
        assert_eq!(header.tensors[0].shape, [3, 5]);
        assert_eq!(
            (header.tensors[0].offset, header.tensors[1].offset),
            (start, start + 32)
        );
        let mut copy = GgufWriter::default();
        now(read_pairs(&source))
            .unwrap()
            .iter()
            .for_each(|pair| copy.copied(pair));
        assert_eq!(copy.header(&tensors).unwrap(), writer.header(&tensors).unwrap());
    }
}
