//! A knob: what it is called, what values it takes, and where it belongs. [`KNOBS`] has them all.

use super::knobs::{KNOBS, RunConfig};
use super::reasons::REASONS;
use super::write;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::config as msg;
use lorakeet_i18n::{Field, Language, Message};
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
    /// A whole number of steps from 1, or -1 for none; 0 with `head_init: probe` only.
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
    /// Ids of tokens: a list of whole numbers from 0, or such lists by module.
    TokenIds,
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

    /// Whether it takes lists or maps.
    pub(super) fn is_structured(self) -> bool {
        matches!(
            self,
            Self::Modules | Self::ModuleNames | Self::List | Self::TokenIds | Self::Names | Self::Patterns { .. }
        )
    }

    /// Whether it takes any text.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::PathOrNewest)
    }
}

/// What a knob counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Batches,
    Bits,
    Checkpoints,
    Examples,
    Rows,
    Scores,
    Steps,
    Tokens,
}

impl Unit {
    fn name(self, language: Language) -> &'static str {
        let (english, chinese) = match self {
            Self::Batches => ("batches", "批次"),
            Self::Bits => ("bits", "比特"),
            Self::Checkpoints => ("checkpoints", "检查点"),
            Self::Examples => ("examples", "条"),
            Self::Rows => ("rows", "条"),
            Self::Scores => ("scores", "次评估"),
            Self::Steps => ("steps", "步"),
            Self::Tokens => ("tokens", "token"),
        };
        match language {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }
}

/// What it means that a knob has another value when a run goes on from a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnResume {
    /// It would be another run, and is refused.
    Refused,
    /// The run gets another length, which is refused where the steps done would have had other learning rates.
    Length,
    /// What is reported, scored and saved changes, and no step: it is said.
    Said,
    /// Where files lie. What they hold is compared instead.
    Silent,
}

/// Whether a sweep tries several values of a knob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InSweep {
    /// It does.
    Tried,
    /// It does where that is asked for, and offers nothing: the knob says where and when something is stored.
    Unoffered,
    /// It does not: the knob says what is written where, or decides which rows are held out and how they are scored, so that runs
    /// would not be compared on the same rows.
    Refused,
}

/// What becomes of a knob in the script for a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InScript {
    /// The script does not have it: where it is set, that is said.
    LeftOut,
    /// It is among the script's settings by its own name.
    Setting,
    /// Its effect is in the script's files (rows, their order, the adapter, the steps), or it says where this machine puts its own.
    Files,
}

/// One knob of a run: what it is called, what it takes, what it does, and how to choose it.
pub struct Knob {
    /// Its name in transformers or PEFT, and the field's name in [`RunConfig`].
    pub name: &'static str,
    /// Other spellings that are accepted.
    pub aliases: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// What it counts, where it counts anything.
    pub(super) unit: Option<Unit>,
    /// What it does, one line in English.
    pub what_en: &'static str,
    /// The same in Simplified Chinese.
    pub what_zh: &'static str,
    /// What to choose and what to watch, in English.
    pub guidance_en: &'static str,
    /// The same in Simplified Chinese.
    pub guidance_zh: &'static str,
    /// Whether it is one of the few that matter in every run.
    pub essential: bool,
    /// The part of a run that it belongs to.
    pub group: Group,
    /// What it means that it changes when a run goes on from a checkpoint.
    pub on_resume: OnResume,
    /// Whether a sweep tries several of its values.
    pub in_sweep: InSweep,
    /// What becomes of it in the script for a cluster.
    pub in_script: InScript,
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
    /// What it counts; empty where it has no unit.
    pub fn unit(&self, language: Language) -> &'static str {
        self.unit.map_or("", |unit| unit.name(language))
    }
    /// What it does, one line.
    pub fn what(&self, language: Language) -> &'static str {
        match language {
            Language::English => self.what_en,
            Language::Chinese => self.what_zh,
        }
    }
    /// What to choose and what to watch.
    pub fn guidance(&self, language: Language) -> &'static str {
        match language {
            Language::English => self.guidance_en,
            Language::Chinese => self.guidance_zh,
        }
    }
    /// Why that is the guidance, and who measured it, in two to four sentences; none of knobs that say where files are.
    pub fn reasons(&self, language: Language) -> Option<&'static str> {
        let (_, english, chinese) = REASONS.iter().find(|(name, ..)| *name == self.name)?;
        Some(match language {
            Language::English => english,
            Language::Chinese => chinese,
        })
    }
    /// Whether it says what a fresh adapter is; one that a run starts from (`adapter_name_or_path`) has its own.
    pub fn is_of_fresh_adapter(&self) -> bool {
        let is_of_any = ["finetuning_type", "loraplus_lr_ratio", "loraplus_lr_embedding"].contains(&self.name);
        self.group == Group::Adapter && !is_of_any
    }
    /// All that is known of it, in English: what it takes and does, how to choose it, and why.
    pub fn explain(&self) -> String {
        write::of_knob(self)
    }
    /// What it takes, as a clause: `a whole number from 1 to 4096`.
    pub fn allowed(&self) -> Message {
        match self.kind {
            Kind::Integer { min, max: COUNT } => msg::IntegerFrom { min }.into(),
            Kind::Integer { min, max } => msg::IntegerBetween { min, max }.into(),
            Kind::Number { min, max, above, below } => {
                let low: Field = match above {
                    true => msg::Above { bound: min }.into(),
                    false => msg::AtLeast { bound: min }.into(),
                };
                let high: Field = match below {
                    true => msg::Below { bound: max }.into(),
                    false => msg::AtMost { bound: max }.into(),
                };
                match max >= COUNT as f64 {
                    true => msg::NumberFrom { low }.into(),
                    false => msg::NumberBetween { low, high }.into(),
                }
            }
            Kind::StepsOrNone => msg::StepsOrNone.into(),
            Kind::StepsOrShare { min } => msg::StepsOrShare { min }.into(),
            Kind::StepsOrRatio(_) => msg::StepsOrShare { min: 0 }.into(),
            Kind::ShareOrCount => msg::ShareOrCount.into(),
            Kind::Choice { words, .. } => {
                let words = Field::list(words);
                msg::OneOf { words }.into()
            }
            Kind::Flag => common::TrueOrFalse.into(),
            Kind::Text | Kind::PathOrNewest => msg::Text.into(),
            Kind::Modules => msg::Modules.into(),
            Kind::ModuleNames => msg::ModuleNames.into(),
            Kind::List => msg::IntegersFrom0.into(),
            Kind::TokenIds => {
                let example = "{embed_tokens: [5, 6]}";
                msg::TokenIds { example }.into()
            }
            Kind::Names => msg::Names.into(),
            Kind::Patterns { whole: true } => {
                let example = "{q_proj: 8}";
                msg::IntegersByPattern { example }.into()
            }
            Kind::Patterns { whole: false } => {
                let example = "{q_proj: 16}";
                msg::NumbersByPattern { example }.into()
            }
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
