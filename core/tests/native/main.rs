//! Core's tests that need no browser and no real model: one program, linked once.

#[path = "../common/mod.rs"]
mod common;

mod adapter_files;
mod adapters;
mod architectures;
mod audit;
mod bundled;
mod chat;
mod config;
mod config_keys;
mod config_properties;
mod data;
mod examples;
mod formats;
mod ggml_rows;
mod gguf_blocks;
mod hostile;
mod inspect;
mod labels;
mod masking;
mod packing;
mod protocol;
mod quant;
mod random;
mod templates;
mod tokenizer;
mod torch_files;
mod trainers;
