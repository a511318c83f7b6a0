//! Model files: opened without trust, read tensor by tensor.
//!
//! [`ModelFiles`] is what the rest of the engine sees, whatever the files are: Hugging Face's names and shapes, a config in
//! Hugging Face's layout, a tokenizer, a chat template. [`gguf`] and [`safetensors`] know the containers, [`blocks`] the
//! number formats, [`peft`] adapters. Nothing here knows an architecture's arithmetic.

pub mod blocks;
pub mod gguf;
pub mod peft;
pub mod safetensors;

use crate::chat::ChatTemplate;
use crate::store::Source;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

pub use blocks::Storage;

/// A tensor as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorEntry {
    /// Hugging Face's name.
    pub name: String,
    /// Row-major, in Hugging Face's order.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub storage: Storage,
    /// What it takes in the file.
    pub bytes: u64,
}

impl TensorEntry {
    /// Numbers in it.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A model's files: config, tensors, tokenizer, chat template.
#[derive(Debug)]
pub struct ModelFiles {
    /// The file's name, or what the files say the model is called.
    pub name: String,
    /// Hugging Face's config.json; for a GGUF file made from its metadata.
    pub config: serde_json::Value,
    /// The tokenizer, where the files bring one.
    pub tokenizer: Option<Tokenizer>,
    /// The chat template, where the files bring one.
    pub chat_template: Option<ChatTemplate>,
    /// Tokens that end a generation: generation_config.json's, else config.json's, else the tokenizer's.
    pub eos_token_ids: Vec<u32>,
    entries: Vec<TensorEntry>,
}

impl ModelFiles {
    /// Opens one GGUF file, or a set with config.json and safetensors. Reads headers only.
    ///
    /// # Errors
    /// A file is missing, empty, cut off, a web page or a Git LFS pointer, or breaks its format.
    pub async fn open(files: Vec<Source>) -> Result<Self> {
        let _ = files;
        Err(Error::internal("model files cannot be opened yet"))
    }

    /// Opens a GGUF file or a folder in Hugging Face's layout.
    ///
    /// # Errors
    /// As [`ModelFiles::open`]; and there is nothing at `path`.
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn open_path(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let _ = path.as_ref();
        Self::open(Vec::new()).await
    }

    /// Every tensor, sorted by name.
    pub fn entries(&self) -> &[TensorEntry] {
        &self.entries
    }

    /// The tensor called `name`.
    pub fn entry(&self, name: &str) -> Option<&TensorEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Whether there is a tensor called `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// One tensor as 32-bit floats, row-major, with its shape. Reads only its own slice of the file.
    ///
    /// # Errors
    /// There is no such tensor, its storage is not one that is read here, or the file cannot be read.
    pub async fn read_f32(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        Err(Error::model("there is no such tensor").field(name))
    }
}
