//! The recorded runs of a lesson, for a device that cannot train: `public/lessons/ID.recording.json`.
//!
//! The numbers are those of real runs, rounded, with some of the steps left out; a front end shows them as what they
//! are. The program that makes them is `tests/examples/record_lessons.rs`.

use super::LessonRun;
use super::places::{Places, from_json};
use super::results::Results;
use crate::error::{Error, Result};
use crate::protocol::Event;
use lorakeet_i18n::messages::lesson as msg;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Recorded runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// [`Recording::FORMAT`].
    pub recording: u32,
    /// The lesson's id.
    pub lesson: String,
    /// SHA-256 of what decides the numbers: each run's model, data, settings, prompt and pictures, and the files that
    /// they name.
    pub digest: String,
    /// The device that they ran on.
    pub device: String,
    /// When, as YYYY-MM-DD.
    pub date: String,
    /// The events of each run, in order.
    pub runs: BTreeMap<String, Vec<Event>>,
}

impl Recording {
    /// The version of the format.
    pub const FORMAT: u32 = 1;
    /// The largest file.
    pub const MOST_BYTES: usize = 60_000;
    /// The most steps of a run that are kept.
    pub const MOST_STEPS: usize = 60;

    /// Reads one; `file` is for messages.
    ///
    /// # Errors
    /// Text that is none, or of another version.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let recording: Self = serde_json::from_str(text).map_err(|error| from_json(&error).file(file))?;
        Places::find(text).map_err(|error| error.file(file))?;
        let (got, known) = (recording.recording, Self::FORMAT);
        match got == known {
            true => Ok(recording),
            false => Err(Error::config(msg::OtherFormat { got, known })
                .file(file)
                .field("recording")
                .remedy(msg::UseNewerVersion)),
        }
    }

    /// What the runs measured.
    pub fn results(&self) -> Results {
        let of = |(name, events): (&String, &Vec<Event>)| (name.clone(), events.iter().collect());
        self.runs.iter().map(of).collect()
    }
}

impl LessonRun {
    /// What decides its numbers, without the words about it; [`Recording::digest`] is made of this.
    ///
    /// # Errors
    /// As of [`LessonRun::requests`].
    pub fn inputs(&self) -> Result<Value> {
        let Self {
            model,
            data,
            validation,
            settings,
            prompt,
            watch: _,
            label: _,
        } = self;
        Ok(json!({
            "model": model,
            "data": data,
            "validation": validation,
            "settings": settings,
            "prompt": prompt,
            "watch": self.requests()?,
        }))
    }
}
