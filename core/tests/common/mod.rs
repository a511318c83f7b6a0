//! What several tests share: golden files, futures that are ready at once, hand-made GGUF files.
#![allow(dead_code, reason = "every test file is its own program and uses a part of this")]

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The value of a future that waits for nothing, as all are that read memory or disk.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for something"),
    }
}

/// A file or folder of the golden fixtures.
pub fn golden(path: &str) -> PathBuf {
    let root = std::env::var_os("LORAKEET_GOLDEN").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden")),
        PathBuf::from,
    );
    assert!(
        root.is_dir(),
        "set LORAKEET_GOLDEN to the golden fixtures; {} is not there",
        root.display()
    );
    root.join(path)
}

/// A JSON file.
pub fn json(path: impl AsRef<std::path::Path>) -> serde_json::Value {
    let path = path.as_ref();
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Numbers of a JSON list.
pub fn numbers(list: &serde_json::Value) -> Vec<u32> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_u64().unwrap() as u32)
        .collect()
}

/// The path in the environment variable `name`.
pub fn real_model(name: &str, what: &str) -> PathBuf {
    let path = std::env::var_os(name)
        .unwrap_or_else(|| panic!("set {name} to {what} (`cargo xtask` fetches it and sets the variable)"));
    PathBuf::from(path)
}

/// A GGUF file under construction.
pub struct GgufWriter {
    pub version: u32,
    pairs: Vec<Vec<u8>>,
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

impl GgufWriter {
    pub fn new() -> Self {
        Self {
            version: 3,
            pairs: Vec::new(),
            tensors: Vec::new(),
        }
    }

    /// The smallest llama: one layer of width 32 with two heads, vocabulary `tokens`.
    pub fn llama(tokens: &[&str], merges: &[&str]) -> Self {
        let mut writer = Self::new();
        writer.text("general.architecture", "llama");
        for (key, value) in [
            ("embedding_length", 32),
            ("block_count", 1),
            ("context_length", 64),
            ("attention.head_count", 2),
            ("attention.head_count_kv", 1),
            ("feed_forward_length", 64),
        ] {
            writer.u32(&format!("llama.{key}"), value);
        }
        writer.f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
        writer.text("tokenizer.ggml.model", "gpt2");
        writer.text("tokenizer.ggml.pre", "smollm");
        writer.texts("tokenizer.ggml.tokens", tokens);
        writer.texts("tokenizer.ggml.merges", merges);
        writer.tensor_f32("token_embd.weight", &[tokens.len() as u64, 32]);
        writer
    }

    fn pair(&mut self, key: &str, kind: u32, value: &[u8]) {
        self.pairs.push([&text(key)[..], &kind.to_le_bytes(), value].concat());
    }
    pub fn u32(&mut self, key: &str, value: u32) {
        self.pair(key, 4, &value.to_le_bytes());
    }
    pub fn f32(&mut self, key: &str, value: f32) {
        self.pair(key, 6, &value.to_le_bytes());
    }
    pub fn bool(&mut self, key: &str, value: bool) {
        self.pair(key, 7, &[u8::from(value)]);
    }
    pub fn text(&mut self, key: &str, value: &str) {
        self.pair(key, 8, &text(value));
    }
    pub fn texts(&mut self, key: &str, values: &[&str]) {
        let mut bytes = [&8u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        values.iter().for_each(|value| bytes.extend(text(value)));
        self.pair(key, 9, &bytes);
    }
    pub fn i32s(&mut self, key: &str, values: &[i32]) {
        let mut bytes = [&5u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.pair(key, 9, &bytes);
    }
    pub fn f32s(&mut self, key: &str, values: &[f32]) {
        let mut bytes = [&6u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.pair(key, 9, &bytes);
    }
    /// Takes an earlier pair or tensor out.
    pub fn without(&mut self, key: &str) -> &mut Self {
        let start = text(key);
        self.pairs.retain(|pair| !pair.starts_with(&start));
        self.tensors.retain(|tensor| tensor.0 != key);
        self
    }
    /// A tensor of `shape` (row-major) whose numbers count up.
    pub fn tensor_f32(&mut self, name: &str, shape: &[u64]) {
        let values = (0..shape.iter().product::<u64>()).flat_map(|i| (i as f32).to_le_bytes());
        self.tensor(name, shape, 0, values.collect());
    }
    pub fn tensor(&mut self, name: &str, shape: &[u64], kind: u32, bytes: Vec<u8>) {
        self.tensors.push((name.into(), shape.to_vec(), kind, bytes));
    }
    pub fn bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.pairs.len() as u64).to_le_bytes());
        self.pairs.iter().for_each(|pair| file.extend(pair));
        let mut offset = 0u64;
        for (name, shape, kind, bytes) in &self.tensors {
            file.extend(text(name));
            file.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|size| file.extend(size.to_le_bytes()));
            file.extend(kind.to_le_bytes());
            file.extend(offset.to_le_bytes());
            offset = (offset + bytes.len() as u64).next_multiple_of(32);
        }
        for (_, _, _, bytes) in &self.tensors {
            file.resize(file.len().next_multiple_of(32), 0);
            file.extend(bytes);
        }
        file
    }
}

fn text(value: &str) -> Vec<u8> {
    [&(value.len() as u64).to_le_bytes()[..], value.as_bytes()].concat()
}
