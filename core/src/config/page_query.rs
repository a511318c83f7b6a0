//! What a page shows, as one short text for its address: `lab=1&lora_r=4&train_file=data%2Fking-james.txt&prompt=Once`.
//!
//! It is a form's query (`application/x-www-form-urlencoded`, as WHATWG's URL standard has it) that begins with the version.
//! Knobs have their names and are written as flags are; every other key is the front end's own. Keys that nobody knows stay in
//! it, so that a link of a later version comes out of an earlier page whole.

use super::check::shortened;
use super::knob::find;
use super::knobs::{KNOBS, RunConfig};
use crate::error::{Error, Result};
use form_urlencoded::{Serializer, parse};
use lorakeet_i18n::messages::config as msg;
use serde_json::Value;
use std::collections::BTreeSet;

/// The key in front, whose value is the version.
const VERSION_KEY: &str = "lab";
const VERSION: &str = "1";

/// Keys with their values, in order; each key is there once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageQuery {
    entries: Vec<(String, String)>,
}

impl PageQuery {
    /// The longest that is read or written, in bytes.
    pub const MOST_BYTES: usize = 2048;

    /// Whether a text, such as the part of an address behind `#`, is meant to be one.
    pub fn is_one(text: &str) -> bool {
        text.split('&')
            .next()
            .is_some_and(|first| first.split('=').next() == Some(VERSION_KEY))
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is too long, does not begin with a version that is known, or has a key twice.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > Self::MOST_BYTES {
            let (bytes, most) = (text.len(), Self::MOST_BYTES);
            return Err(Error::config(msg::LinkTooLong { bytes, most }));
        }
        let mut pairs = parse(text.as_bytes()).into_owned();
        let version = pairs
            .next()
            .filter(|(key, _)| key == VERSION_KEY)
            .map(|(_, version)| version);
        if version.as_deref() != Some(VERSION) {
            let got = shortened(&version.unwrap_or_default());
            let error = Error::config(msg::OtherLinkVersion { got, known: VERSION }).field(VERSION_KEY);
            return Err(error.remedy(msg::CopyLinkAgain));
        }
        let mut query = Self::default();
        for (key, value) in pairs {
            if query.get(&key).is_some() {
                return Err(Error::config(msg::TwiceInLink).field(shortened(&key)));
            }
            query.entries.push((key, value));
        }
        Ok(query)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|(known, _)| known == key);
        entry.map(|(_, value)| value.as_str())
    }

    /// Gives a key a value; `None` takes it out.
    pub fn set(&mut self, key: &str, value: Option<&str>) {
        let place = self.entries.iter().position(|(known, _)| known == key);
        match (place, value) {
            (Some(place), Some(value)) => value.clone_into(&mut self.entries[place].1),
            (Some(place), None) => drop(self.entries.remove(place)),
            (None, Some(value)) => self.entries.push((key.to_owned(), value.to_owned())),
            (None, None) => {}
        }
    }

    /// Writes the knobs of `config` that differ from their defaults or from `start`, what a page starts with, and takes out all
    /// others.
    pub fn put_settings(&mut self, config: &RunConfig, start: &RunConfig) {
        let default = RunConfig::default();
        self.entries
            .retain(|(key, _)| find(key).is_none_or(|knob| knob.name == key));
        for knob in KNOBS {
            let value = (knob.read)(config);
            let is_told = value != (knob.read)(&default) || value != (knob.read)(start);
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                value => value.to_string(),
            };
            self.set(knob.name, is_told.then_some(text.as_str()));
        }
    }

    /// The settings on top of `start`, and what is wrong with those that cannot be used: each is then as in `start`, or all
    /// are where they do not go together.
    pub fn settings(&self, start: &RunConfig) -> (RunConfig, Vec<Error>) {
        let (mut config, mut errors) = (start.clone(), Vec::new());
        let mut given = BTreeSet::new();
        for (key, text) in &self.entries {
            let Some(knob) = find(key) else { continue };
            if !given.insert(knob.name) {
                errors.push(Error::config(msg::TwiceInLink).field(knob.name));
                continue;
            }
            let set = match text.is_empty() && knob.optional() {
                true => config.set(key, &Value::Null),
                false => config.set_text(key, text),
            };
            errors.extend(set.err().map(|error| error.field(knob.name)));
        }
        match config.validate() {
            Ok(()) => (config, errors),
            Err(error) => {
                errors.push(error);
                (start.clone(), errors)
            }
        }
    }

    /// The text.
    ///
    /// # Errors
    /// It is too long for an address.
    pub fn to_text(&self) -> Result<String> {
        let mut text = Serializer::new(String::new());
        text.append_pair(VERSION_KEY, VERSION);
        for (key, value) in &self.entries {
            text.append_pair(key, value);
        }
        let text = text.finish();
        match text.len() > Self::MOST_BYTES {
            false => Ok(text),
            true => {
                let (bytes, most) = (text.len(), Self::MOST_BYTES);
                Err(Error::config(msg::LinkTooLong { bytes, most }).remedy(msg::ShortenLink))
            }
        }
    }
}
