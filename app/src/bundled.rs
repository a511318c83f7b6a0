//! What comes with the page: the tiny model, the texts to tune it on, and settings under which the change shows in seconds.
//!
//! The files lie beside the page; the worker fetches them by these addresses.

use crate::i18n::Localized;
pub use lorakeet_lab::bundled_model::{MODEL_FILES, MODEL_FOLDER, MODEL_NAME};

/// A text that comes with the page.
#[derive(Debug, PartialEq)]
pub struct DataSet {
    /// Its file.
    pub file: &'static str,
    /// Its name.
    pub title: Localized,
    /// What the model learns from it.
    pub about: Localized,
    /// Where it is from.
    pub source: &'static str,
    /// A beginning that shows the change.
    pub prompt: &'static str,
}

/// The texts, the one that is loaded first in front.
pub static DATA: [DataSet; 3] = [
    DataSet {
        file: "data/king-james.txt",
        title: Localized {
            english: "Genesis and Psalms, King James Version",
            chinese: "钦定版《创世记》与《诗篇》",
        },
        about: Localized {
            english: "The style changes from novel to scripture.",
            chinese: "文风从小说变为经文。",
        },
        source: "Authorized Version, 1611; Debian package bible-kjv-text; public domain",
        prompt: "And the lady said unto him,",
    },
    DataSet {
        file: "data/devils-dictionary.jsonl",
        title: Localized {
            english: "The Devil's Dictionary",
            chinese: "魔鬼辞典",
        },
        about: Localized {
            english: "Learns to write cynical definitions.",
            chinese: "学习写出讽刺的词语定义。",
        },
        source: "Ambrose Bierce, 1911; Debian package dict-devil; public domain",
        prompt: "LOVE, n.",
    },
    DataSet {
        file: "data/jargon-file.jsonl",
        title: Localized {
            english: "The Jargon File",
            chinese: "黑客行话词典",
        },
        about: Localized {
            english: "Learns to explain hacker jargon.",
            chinese: "学习解释黑客行话。",
        },
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
