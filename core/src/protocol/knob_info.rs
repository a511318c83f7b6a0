//! A knob as a field of a front end.

use super::number;
use crate::config::{Kind, Knob};
use lorakeet_i18n::Language;
use serde::{Deserialize, Serialize};

/// The most steps of a [`KnobRange`].
const MOST_STEPS: i64 = 1_000_000_000;

/// A knob as a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnobInfo {
    /// Its name in run files.
    pub name: String,
    /// How to choose it, in the language that was asked for.
    pub guidance: String,
    /// The words that it takes; empty where it takes numbers or texts.
    pub choices: Vec<String>,
    /// What it counts, in that language; empty where it has no unit.
    #[serde(default)]
    pub unit: String,
    /// Which numbers it takes, where it takes plain ones.
    #[serde(default)]
    pub range: Option<KnobRange>,
}

/// The numbers that a knob takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KnobRange {
    /// Smallest.
    #[serde(with = "number")]
    pub min: f64,
    /// Largest.
    #[serde(with = "number")]
    pub max: f64,
    /// Whether `min` itself is refused.
    pub above: bool,
    /// Whether `max` itself is refused.
    pub below: bool,
    /// Whether it takes whole numbers alone.
    pub whole: bool,
}

impl KnobRange {
    /// Of a kind; of a number of steps, those of a run that has some.
    fn of(kind: Kind) -> Option<Self> {
        let whole = |min: i64, max: i64| Self {
            min: min as f64,
            max: max as f64,
            above: false,
            below: false,
            whole: true,
        };
        match kind {
            Kind::Integer { min, max } => Some(whole(min, max)),
            Kind::StepsOrNone => Some(whole(1, MOST_STEPS)),
            Kind::Number { min, max, above, below } => Some(Self {
                min,
                max,
                above,
                below,
                whole: false,
            }),
            _ => None,
        }
    }
}

impl KnobInfo {
    /// A knob as a field, in a language.
    pub fn new(knob: &Knob, language: Language) -> Self {
        let choices: Vec<String> = match knob.kind {
            Kind::Choice { words, .. } => words.iter().map(|word| (*word).to_owned()).collect(),
            Kind::Flag => ["true", "false"].map(str::to_owned).to_vec(),
            _ => Vec::new(),
        };
        Self {
            name: knob.name.to_owned(),
            guidance: knob.guidance(language).to_owned(),
            choices,
            unit: knob.unit(language).to_owned(),
            range: KnobRange::of(knob.kind),
        }
    }
}
