//! What the tests of Lorakeet have in common: a session to talk to, a tiny model and rows that it learns, models of any shape,
//! golden cases and training steps on them, GGUF files and ggml's formats as they are written, a real browser and what a
//! person does in it, a server that shows it the built page, and a look at how much memory a process takes.
//!
//! Integration tests are sorted by their names: those that start with `golden`, `smollm2`, `minilm`, `web` and `soak` run
//! in stages of `cargo xtask test` of their own, all others in its stage `native`.

pub mod browser;
pub mod desk;
pub mod generated;
pub mod ggml;
#[path = "../../core/tests/common/gguf.rs"]
pub mod gguf;
pub mod golden;
pub mod memory;
pub mod person;
pub mod rows;
pub mod site;
pub mod soak;
pub mod tiny;
pub mod trajectory;
