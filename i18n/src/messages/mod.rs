//! The messages by the part of the engine that says them: `use lorakeet_i18n::messages::data as msg;`, then
//! `Error::data(msg::TooManyFields { .. })`.
//!
//! What an error says (`what`) is a clause without a full stop; remedies and notes are sentences.

pub mod advice;
pub mod audit;
pub mod command;
pub mod common;
pub mod config;
pub mod data;
pub mod device;
pub mod export;
pub mod formats;
pub mod head;
pub mod hub;
pub mod lesson;
pub mod metrics;
pub mod models;
pub mod page;
pub mod pictures;
pub mod report;
pub mod run;
pub mod tables;
pub mod text;
pub mod tuning;

use crate::Language;

/// The wording of the message `key` in a language, with `{field}` where its fields go.
pub(crate) fn template(key: &str, language: Language) -> Option<&'static str> {
    let (area, _) = key.split_once('.')?;
    let texts = AREAS.iter().find(|(name, _)| *name == area)?.1;
    let (_, wordings) = texts.iter().find(|(known, _)| *known == key)?;
    let [english, chinese] = wordings;
    Some(match language {
        Language::English => english,
        Language::Chinese => chinese,
    })
}

/// An area's name and its messages.
type Area = (&'static str, &'static [(&'static str, [&'static str; 2])]);

pub(crate) static AREAS: &[Area] = &[
    ("advice", advice::TEXTS),
    ("audit", audit::TEXTS),
    ("command", command::TEXTS),
    ("common", common::TEXTS),
    ("config", config::TEXTS),
    ("data", data::TEXTS),
    ("device", device::TEXTS),
    ("export", export::TEXTS),
    ("formats", formats::TEXTS),
    ("head", head::TEXTS),
    ("hub", hub::TEXTS),
    ("lesson", lesson::TEXTS),
    ("metrics", metrics::TEXTS),
    ("models", models::TEXTS),
    ("page", page::TEXTS),
    ("pictures", pictures::TEXTS),
    ("report", report::TEXTS),
    ("run", run::TEXTS),
    ("tables", tables::TEXTS),
    ("text", text::TEXTS),
    ("tuning", tuning::TEXTS),
];
