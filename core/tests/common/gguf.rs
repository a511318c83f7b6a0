//! A writer of GGUF files (`docs/gguf.md` of ggml-org/ggml), for hand-made ones and for others written anew.
//!
//! The package `lorakeet-tests` shares this file.

/// A GGUF file under construction.
pub struct GgufWriter {
    /// The version that the file says it has.
    pub version: u32,
    pairs: Vec<Vec<u8>>,
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self {
            version: 3,
            pairs: Vec::new(),
            tensors: Vec::new(),
        }
    }
}

impl GgufWriter {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The metadata of another file, byte for byte, and no tensors yet.
    ///
    /// # Panics
    /// If `file` is cut off or holds a value of no known type.
    pub fn with_metadata_of(file: &[u8]) -> Self {
        let mut rest = &file[24..];
        let mut pair = |_| {
            let key_bytes = 8 + u64_at(rest, 0) as usize;
            let value = &rest[key_bytes + 4..];
            let (pair, after) = rest.split_at(key_bytes + 4 + value_bytes(u32_at(rest, key_bytes), value));
            rest = after;
            pair.to_vec()
        };
        Self {
            version: u32_at(file, 4),
            pairs: (0..u64_at(file, 16)).map(&mut pair).collect(),
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
    pub fn texts(&mut self, key: &str, values: &[&str]) {
        let mut bytes = [&8u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        values.iter().for_each(|value| bytes.extend(text(value)));
        self.pair(key, 9, &bytes);
    }
    /// A list of truth values.
    pub fn bools(&mut self, key: &str, values: &[bool]) {
        let mut bytes = [&7u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        bytes.extend(values.iter().map(|value| u8::from(*value)));
        self.pair(key, 9, &bytes);
    }
    /// A list of integers.
    pub fn i32s(&mut self, key: &str, values: &[i32]) {
        let mut bytes = [&5u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.pair(key, 9, &bytes);
    }
    /// A list of floats.
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
    /// A tensor of `shape` (row-major), stored as ggml's type `kind`.
    pub fn tensor(&mut self, name: &str, shape: &[u64], kind: u32, bytes: Vec<u8>) {
        self.tensors.push((name.into(), shape.to_vec(), kind, bytes));
    }
    /// The file: header, pairs, table and tensors, each tensor at a multiple of 32 bytes.
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

/// What the value at the start of `bytes` takes.
fn value_bytes(kind: u32, bytes: &[u8]) -> usize {
    match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        8 => 8 + u64_at(bytes, 0) as usize,
        9 => (0..u64_at(bytes, 4)).fold(12, |at, _| at + value_bytes(u32_at(bytes, 0), &bytes[at..])),
        10..=12 => 8,
        _ => panic!("a value of type {kind}"),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
