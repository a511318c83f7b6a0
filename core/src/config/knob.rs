//! A knob: what it is called, what values it takes, and where it belongs. [`KNOBS`] has them all.

use super::knobs::{KNOBS, RunConfig};
use serde_json::Value;

/// The part of a run that a knob belongs to, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// What is tuned.
    Model,
    /// What it is tuned on.
    Data,
    /// Which weights are trained.
    Adapter,
    /// How they are trained.
    Training,
    /// The course of the learning rate.
    Schedule,
    /// What is reported, scored and saved.
    Output,
}

impl Group {
    /// Its heading in English.
    pub fn title(self) -> &'static str {
        match self {
            Self::Model => "Model",
            Self::Data => "Data",
            Self::Adapter => "Adapter",
            Self::Training => "Training",
            Self::Schedule => "Schedule",
            Self::Output => "Output",
        }
    }
}

/// What values a knob takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A whole number from `min` to `max`, both included.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A finite number between `min` and `max`.
    Number {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
        /// Whether `min` itself is refused.
        above: bool,
        /// Whether `max` itself is refused.
        below: bool,
    },
    /// A whole number of steps from 1, or -1 for none.
    StepsOrNone,
    /// Every so many steps, `min` of them at least; below 1, every such share of the run. 0 is never.
    StepsOrShare {
        /// 0 or 1.
        min: i64,
    },
    /// A whole number of steps from 0; a share of the run, above 0 and below 1, is a value of this other knob.
    StepsOrRatio(&'static str),
    /// What is held out: a share of the examples below 1, or a whole number of them.
    ShareOrCount,
    /// One of these words.
    Choice {
        /// As they are written.
        words: &'static [&'static str],
        /// Other words, each with the one that it stands for.
        synonyms: &'static [(&'static str, &'static str)],
    },
    /// `true` or `false`.
    Flag,
    /// Any text.
    Text,
    /// A path; `true` is the newest there is, `false` none.
    PathOrNewest,
    /// Modules: `all-linear`, a list of names, or one pattern.
    Modules,
    /// A list of names of modules.
    ModuleNames,
    /// A list of whole numbers from 0.
    List,
    /// A list of names; an empty one leaves the choice to the program.
    Names,
    /// Values by module pattern, `{q_proj: 8}`; the first pattern that matches wins.
    Patterns {
        /// Whether the values are whole numbers.
        whole: bool,
    },
}

impl Kind {
    /// Whether it takes numbers only.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::Integer { .. }
                | Self::Number { .. }
                | Self::StepsOrNone
                | Self::StepsOrShare { .. }
                | Self::StepsOrRatio(_)
                | Self::ShareOrCount
        )
    }

    /// Whether it takes any text.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::PathOrNewest)
    }
}

/// One knob of a run: what it is called, what it takes, what it does, and how to choose it.
pub struct Knob {
    /// Its name in transformers or PEFT, and the field's name in [`RunConfig`].
    pub name: &'static str,
    /// Other spellings that are accepted.
    pub aliases: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// What it counts; empty where it has no unit.
    pub unit: &'static str,
    /// What it does, one line.
    pub what: &'static str,
    /// What to choose and what to watch, in English.
    pub guidance_en: &'static str,
    /// The same in Simplified Chinese.
    pub guidance_zh: &'static str,
    /// Whether it is one of the few that matter in every run.
    pub essential: bool,
    /// The part of a run that it belongs to.
    pub group: Group,
    pub(super) read: fn(&RunConfig) -> Value,
    pub(super) write: fn(&mut RunConfig, Value) -> bool,
}

impl Knob {
    /// Its value in a run file that does not mention it; null where that means 'none'.
    pub fn default(&self) -> Value {
        (self.read)(&RunConfig::default())
    }
    /// Whether null is a value: nothing, or decided by the data.
    pub fn optional(&self) -> bool {
        self.default().is_null()
    }
    /// What it takes, as a clause: `a whole number from 1 to 4096`.
    pub fn allowed(&self) -> String {
        match self.kind {
            Kind::Integer { min, max: COUNT } => format!("a whole number from {min}"),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Number { min, max, above, below } => {
                let low = if above {
                    format!("above {min}")
                } else {
                    format!("of at least {min}")
                };
                let high = if below {
                    format!("below {max}")
                } else {
                    format!("at most {max}")
                };
                if max >= COUNT as f64 {
                    format!("a number {low}")
                } else {
                    format!("a number {low} and {high}")
                }
            }
            Kind::StepsOrNone => "a whole number from 1, or -1 for none".into(),
            Kind::StepsOrShare { min } => {
                format!("a whole number from {min}, or a share of the run above 0 and below 1")
            }
            Kind::StepsOrRatio(_) => "a whole number from 0, or a share of the run above 0 and below 1".into(),
            Kind::ShareOrCount => "a share of at least 0 and below 1, or a whole number from 1".into(),
            Kind::Choice { words, .. } => format!("one of {}", words.join(", ")),
            Kind::Flag => "true or false".into(),
            Kind::Text | Kind::PathOrNewest => "text".into(),
            Kind::Modules => "all-linear, a list of module names, or one pattern".into(),
            Kind::ModuleNames => "a list of module names".into(),
            Kind::List => "a list of whole numbers from 0".into(),
            Kind::Names => "a name or a list of names".into(),
            Kind::Patterns { whole: true } => "whole numbers from 1 by module pattern, as in {q_proj: 8}".into(),
            Kind::Patterns { whole: false } => "numbers above 0 by module pattern, as in {q_proj: 16}".into(),
        }
    }
}

/// The knob of this name or alias.
pub fn find(key: &str) -> Option<&'static Knob> {
    KNOBS
        .iter()
        .find(|knob| knob.name == key || knob.aliases.contains(&key))
}

/// The bound that stands for 'no bound': counts above it are mistakes, and it fits an f64 exactly.
pub(super) const COUNT: i64 = 1_000_000_000;
/// Seeds stay within what JavaScript's numbers hold exactly (2⁵³ − 1).
pub(super) const SEED: Kind = Kind::Integer {
    min: 0,
    max: 9_007_199_254_740_991,
};
pub(super) const UNBOUNDED: f64 = COUNT as f64;

pub(super) const fn from(min: i64) -> Kind {
    Kind::Integer { min, max: COUNT }
}
pub(super) const fn within(min: f64, max: f64) -> Kind {
    Kind::Number {
        min,
        max,
        above: false,
        below: false,
    }
}
pub(super) const fn above(min: f64, max: f64) -> Kind {
    Kind::Number {
        min,
        max,
        above: true,
        below: false,
    }
}
pub(super) const fn below(min: f64, max: f64) -> Kind {
    Kind::Number {
        min,
        max,
        above: false,
        below: true,
    }
}
/// One of these words.
pub(super) const fn choice(words: &'static [&'static str]) -> Kind {
    Kind::Choice { words, synonyms: &[] }
}
