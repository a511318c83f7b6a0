//! Core's tests that need no browser and no real model: one program, linked once.

#[path = "../common/mod.rs"]
mod common;

mod adapters;
mod architectures;
mod bundled;
mod chat;
mod config;
mod config_keys;
mod config_properties;
mod data;
mod examples;
mod formats;
mod gguf_blocks;
mod hostile;
mod labels;
mod packing;
mod protocol;
mod quant;
mod random;
mod templates;
mod tokenizer;
mod trainers;
