//! The lab: one lesson in a frame of 280 pixels or more. It is the page of `<lorakeet-lab>`.
//!
//! `public/lab_page.js` shows it and is its [`host::Host`]; what that calls is exported by `bin/lesson.rs` alone, for an export
//! of a library would bring all of the lab into every program that uses its pictures. A pupil walks through seven parts:
//! [`model`] is what the lab knows, [`view`] what it shows, as HTML text, [`play`] what a press, a word of the engine or a call
//! of the page around it does. The engine is the page's own, in a worker; where it cannot run, the lesson's recorded runs take
//! its place. The program is small (`xtask/src/page.rs` has the limit) because it uses no framework, reads the engine's events
//! in part ([`events`]) and leaves knobs and wordings to the engine. Pictures ([`pictures`]), curves and the way numbers are
//! written are the full page's, too.

pub mod answers;
pub mod bundled_model;
pub mod curves;
mod document;
pub mod events;
pub mod format;
pub mod host;
mod json;
pub mod model;
pub mod options;
pub mod pictures;
pub mod play;
pub mod record;
pub mod view;
mod wire;
pub mod words;
pub mod zip;

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");
