//! Core's tests on files of real models, which `cargo xtask test models` fetches and names in the environment.

#[path = "../common/mod.rs"]
mod common;

mod minilm;
mod smollm2;
