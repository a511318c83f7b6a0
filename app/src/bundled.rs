//! What comes with the page: the tiny model, the texts to tune it on, and settings under which the change shows in seconds.
//!
//! The files lie beside the page; the worker fetches them by these addresses.

use crate::i18n::Language;

/// The tiny model's name.
pub const MODEL_NAME: &str = "lorakeet-austen";
/// Where it lies beside the page.
pub const MODEL_FOLDER: &str = "model";
/// Its files.
pub const MODEL_FILES: [&str; 4] = [
    "model/config.json",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "model/model.safetensors",
];

/// A text that comes with the page.
#[derive(Debug, PartialEq)]
pub struct DataSet {
    /// Its file.
    pub file: &'static str,
    /// Its name in English and in Chinese.
    pub title: [&'static str; 2],
    /// What becomes of the model, in English and in Chinese.
    pub about: [&'static str; 2],
    /// Where it is from.
    pub source: &'static str,
    /// A beginning that shows the change.
    pub prompt: &'static str,
}

impl DataSet {
    /// Its name.
    pub fn title(&self, language: Language) -> &'static str {
        self.title[language as usize]
    }
    /// What becomes of the model.
    pub fn about(&self, language: Language) -> &'static str {
        self.about[language as usize]
    }
}

/// The texts, the one that is loaded first in front.
pub static DATA: [DataSet; 3] = [
    DataSet {
        file: "data/king-james.txt",
        title: ["Genesis and Psalms, King James Version", "钦定版《创世记》与《诗篇》"],
        about: ["The novelist turns into a prophet.", "小说家变成先知。"],
        source: "Authorized Version, 1611; Debian package bible-kjv-text; public domain",
        prompt: "And the lady said unto him,",
    },
    DataSet {
        file: "data/devils-dictionary.jsonl",
        title: ["The Devil's Dictionary", "魔鬼辞典"],
        about: ["It learns to define words, with malice.", "它学会刻薄地给词语下定义。"],
        source: "Ambrose Bierce, 1911; Debian package dict-devil; public domain",
        prompt: "LOVE, n.",
    },
    DataSet {
        file: "data/jargon-file.jsonl",
        title: ["The Jargon File", "黑客行话词典"],
        about: ["It learns to explain hackers' words.", "它学会解释黑客的行话。"],
        source: "Jargon File 4.4.7; Debian package dict-jargon; public domain",
        prompt: "hacker, n.",
    },
];

/// Settings that differ from a run file's defaults where the page opens: many small, quick steps for a tiny model.
pub const SETTINGS: [(&str, &str); 9] = [
    ("per_device_train_batch_size", "8"),
    ("gradient_accumulation_steps", "1"),
    ("learning_rate", "3e-3"),
    ("lr_scheduler_type", "cosine"),
    ("warmup_ratio", "0.05"),
    ("num_train_epochs", "2"),
    ("cutoff_len", "128"),
    ("eval_steps", "20"),
    ("logging_steps", "1"),
];

/// Settings that differ for a small model that starts from fresh weights: all of them are trained.
pub const SMALL_SETTINGS: [(&str, &str); 7] = [
    ("finetuning_type", "full"),
    ("per_device_train_batch_size", "16"),
    ("gradient_accumulation_steps", "1"),
    ("learning_rate", "1e-3"),
    ("num_train_epochs", "10"),
    ("lora_dropout", "0"),
    ("cutoff_len", "256"),
];

/// Settings that differ where the person brings a model: the reference run, with rows that fit a small device.
pub const OWN_SETTINGS: [(&str, &str); 10] = [
    ("per_device_train_batch_size", "1"),
    ("gradient_accumulation_steps", "2"),
    ("learning_rate", "2e-4"),
    ("lr_scheduler_type", "cosine"),
    ("warmup_ratio", "0.1"),
    ("num_train_epochs", "3"),
    ("lora_r", "16"),
    ("lora_alpha", "32"),
    ("lora_dropout", "0.05"),
    ("cutoff_len", "256"),
];
