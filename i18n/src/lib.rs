//! What the engine says, in every language: errors, remedies, notes, warnings and the sentences of reports.
//!
//! The engine makes a [`Message`]: a key and named fields. A front end words it with [`Message::text`]. The wordings stand in
//! [`messages`], all languages of a message side by side, so that one that is missing does not compile. A further language is a
//! variant of [`Language`] and one more wording in each entry; `cargo xtask test lint` finds messages that are not used.

mod language;
mod message;
pub mod messages;

pub use language::Language;
pub use message::{Field, Message};

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");
