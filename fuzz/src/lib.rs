//! The readers that the targets run: the stage `hostile` runs the same ones.

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

#[path = "../../tests/src/readers.rs"]
pub mod readers;
