//! What a run is trained on: a weighted sum of losses, `0.7*focal(gamma=2) + 0.3*mse`, as the run file writes it.
//!
//! Which losses there are, what their knobs are called, and what these may be is known in [`Loss::knobs`] alone: parsing
//! ([`super::parse`]), writing and checking go by it.

use crate::error::{Error, Result};
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::common::TrueOrFalse;
use lorakeet_i18n::messages::metrics as msg;
use std::fmt;
use std::ops::RangeInclusive;

/// A sum of losses with weights: Σ weight · loss, each loss a mean of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedSum {
    pub(super) terms: Vec<Term>,
}

/// One loss of a sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// What it is multiplied with.
    pub weight: f64,
    /// Which loss.
    pub loss: Loss,
}

/// What a term may be multiplied with.
pub(super) const WEIGHTS: RangeInclusive<f64> = 1e-4..=1e4;

/// How far two vectors are from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// |a − b + 10⁻⁶|, as torch has it.
    Euclidean,
    /// 1 − cos(a, b).
    Cosine,
}

/// A loss and its knobs. The formulas stand with the functions that compute them.
#[derive(Debug, Clone, PartialEq)]
pub enum Loss {
    /// −log p of the right class.
    CrossEntropy {
        /// e: how much of the target is spread over all classes.
        label_smoothing: f64,
        /// One weight a class; empty: all 1.
        class_weights: Vec<f64>,
    },
    /// Cross-entropy in which what is known already counts less.
    Focal {
        /// The power of 1 − p.
        gamma: f64,
        /// One weight a class; of labels, the weight of those that apply (one for all, or one each). Empty: all 1.
        alpha: Vec<f64>,
    },
    /// Binary cross-entropy of each label.
    Bce {
        /// The weight of labels that apply, one for all or one each; empty: 1.
        pos_weight: Vec<f64>,
    },
    /// Squared error.
    Mse,
    /// Absolute error.
    Mae,
    /// Squared error up to `delta`, absolute beyond.
    Huber {
        /// Where the one becomes the other.
        delta: f64,
    },
    /// Huber's loss divided by `beta`.
    SmoothL1 {
        /// Where squares become magnitudes.
        beta: f64,
    },
    /// The logistic loss of the difference of two scores.
    RankNet {
        /// How steep.
        sigma: f64,
    },
    /// How much a better item fails to be `margin` above a worse one.
    Margin {
        /// By how much it should be above.
        margin: f64,
    },
    /// Cross-entropy between two softmaxes, of grades and of scores.
    ListNet,
    /// Cross-entropy between each grade's share and the softmax of scores.
    Softmax,
    /// Cross-entropy of finding the document that belongs to a query among all of the batch.
    InfoNce {
        /// What similarities are divided by.
        temperature: f64,
        /// Whether queries are searched for documents, too.
        symmetric: bool,
    },
    /// How much a negative fails to be `margin` farther than the positive.
    Triplet {
        /// By how much it should be farther.
        margin: f64,
        /// How distance is measured.
        distance: Distance,
    },
    /// Direct preference optimisation.
    Dpo {
        /// How strongly the policy is held to the reference.
        beta: f64,
        /// How often the preference is taken to be wrong.
        label_smoothing: f64,
    },
}

/// Where a knob's value is kept, and what it may be.
pub(super) enum Field<'a> {
    Number(&'a mut f64, RangeInclusive<f64>),
    Numbers(&'a mut Vec<f64>, RangeInclusive<f64>),
    Flag(&'a mut bool),
    Distance(&'a mut Distance),
}

const DISTANCES: [(&str, Distance); 2] = [("euclidean", Distance::Euclidean), ("cosine", Distance::Cosine)];
const FLAGS: [(&str, bool); 2] = [("true", true), ("false", false)];

impl Loss {
    /// Every loss, with its knobs at their defaults.
    pub fn all() -> [Self; 14] {
        [
            Self::CrossEntropy {
                label_smoothing: 0.0,
                class_weights: Vec::new(),
            },
            Self::Focal {
                gamma: 2.0,
                alpha: Vec::new(),
            },
            Self::Bce { pos_weight: Vec::new() },
            Self::Mse,
            Self::Mae,
            Self::Huber { delta: 1.0 },
            Self::SmoothL1 { beta: 1.0 },
            Self::RankNet { sigma: 1.0 },
            Self::Margin { margin: 1.0 },
            Self::ListNet,
            Self::Softmax,
            Self::InfoNce {
                temperature: 0.05,
                symmetric: false,
            },
            Self::Triplet {
                margin: 1.0,
                distance: Distance::Euclidean,
            },
            Self::Dpo {
                beta: 0.1,
                label_smoothing: 0.0,
            },
        ]
    }

    /// The loss called `name`, at its defaults; capitals and hyphens do not count.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.replace('-', "_").to_lowercase();
        Self::all()
            .into_iter()
            .find(|loss| loss.name() == name || loss.other_names().contains(&name.as_str()))
    }

    /// Its name under `loss`, beside its knobs by their names.
    #[cfg(feature = "engine")]
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        let mut value = json!({ "loss": self.name() });
        for (name, field) in self.clone().knobs() {
            value[name] = match field {
                Field::Number(number, _) => json!(*number),
                Field::Numbers(numbers, _) => json!(*numbers),
                Field::Flag(flag) => json!(*flag),
                Field::Distance(distance) => {
                    let known = DISTANCES.iter().find(|(_, known)| *known == *distance);
                    json!(known.map(|(name, _)| name))
                }
            };
        }
        value
    }

    /// Its name in run files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CrossEntropy { .. } => "cross_entropy",
            Self::Focal { .. } => "focal",
            Self::Bce { .. } => "bce",
            Self::Mse => "mse",
            Self::Mae => "mae",
            Self::Huber { .. } => "huber",
            Self::SmoothL1 { .. } => "smooth_l1",
            Self::RankNet { .. } => "ranknet",
            Self::Margin { .. } => "margin",
            Self::ListNet => "listnet",
            Self::Softmax => "softmax",
            Self::InfoNce { .. } => "infonce",
            Self::Triplet { .. } => "triplet",
            Self::Dpo { .. } => "dpo",
        }
    }

    /// Other spellings that are understood.
    pub(super) fn other_names(&self) -> &'static [&'static str] {
        match self {
            Self::CrossEntropy { .. } => &["ce", "crossentropy"],
            Self::Bce { .. } => &["bce_with_logits", "binary_cross_entropy"],
            Self::Mse => &["l2"],
            Self::Mae => &["l1"],
            Self::RankNet { .. } => &["rank_net"],
            Self::Margin { .. } => &["margin_ranking"],
            Self::ListNet => &["list_net", "listwise"],
            Self::InfoNce { .. } => &["info_nce", "contrastive"],
            _ => &[],
        }
    }

    /// What it is made for.
    pub fn tasks(&self) -> &'static [Task] {
        match self {
            Self::CrossEntropy { .. } => &[Task::Generation, Task::Classification, Task::TokenClassification],
            Self::Focal { .. } => &[Task::Classification, Task::TokenClassification, Task::MultiLabel],
            Self::Bce { .. } => &[Task::MultiLabel, Task::Ranking],
            Self::Mse | Self::Mae | Self::Huber { .. } | Self::SmoothL1 { .. } => &[
                Task::Regression,
                Task::Classification,
                Task::TokenClassification,
                Task::MultiLabel,
                Task::Ranking,
                Task::Embedding,
            ],
            Self::RankNet { .. } | Self::Margin { .. } | Self::ListNet | Self::Softmax => &[Task::Ranking],
            Self::InfoNce { .. } | Self::Triplet { .. } => &[Task::Embedding],
            Self::Dpo { .. } => &[Task::Preference],
        }
    }

    /// Whether it is a price for the error of a number.
    fn is_of_numbers(&self) -> bool {
        matches!(self, Self::Mse | Self::Mae | Self::Huber { .. } | Self::SmoothL1 { .. })
    }

    /// Its knobs by name.
    pub(super) fn knobs(&mut self) -> Vec<(&'static str, Field<'_>)> {
        // A smoothing of 1 would leave nothing of the label.
        const SMOOTHING: RangeInclusive<f64> = 0.0..=0.99;
        match self {
            Self::CrossEntropy {
                label_smoothing,
                class_weights,
            } => vec![
                ("label_smoothing", Field::Number(label_smoothing, SMOOTHING)),
                ("class_weights", Field::Numbers(class_weights, 0.0..=1e4)),
            ],
            Self::Focal { gamma, alpha } => vec![
                ("gamma", Field::Number(gamma, 0.0..=20.0)),
                ("alpha", Field::Numbers(alpha, 0.0..=1e4)),
            ],
            Self::Bce { pos_weight } => vec![("pos_weight", Field::Numbers(pos_weight, 0.0..=1e4))],
            Self::Huber { delta } => vec![("delta", Field::Number(delta, 1e-4..=1e4))],
            Self::SmoothL1 { beta } => vec![("beta", Field::Number(beta, 1e-4..=1e4))],
            Self::RankNet { sigma } => vec![("sigma", Field::Number(sigma, 1e-3..=1e3))],
            Self::Margin { margin } => vec![("margin", Field::Number(margin, 0.0..=1e4))],
            Self::InfoNce { temperature, symmetric } => vec![
                ("temperature", Field::Number(temperature, 1e-3..=100.0)),
                ("symmetric", Field::Flag(symmetric)),
            ],
            Self::Triplet { margin, distance } => vec![
                ("margin", Field::Number(margin, 0.0..=1e4)),
                ("distance", Field::Distance(distance)),
            ],
            // From one half on the preference would be turned round.
            Self::Dpo { beta, label_smoothing } => vec![
                ("beta", Field::Number(beta, 1e-3..=10.0)),
                ("label_smoothing", Field::Number(label_smoothing, 0.0..=0.49)),
            ],
            Self::Mse | Self::Mae | Self::ListNet | Self::Softmax => Vec::new(),
        }
    }

    /// Refuses knobs that do not fit the task or the number of outputs.
    fn check(&self, task: Task, outputs: Option<usize>) -> Result<()> {
        match self {
            Self::CrossEntropy {
                label_smoothing,
                class_weights,
            } => {
                // The loss over a vocabulary is computed in chunks, which know neither.
                if task == Task::Generation && (*label_smoothing != 0.0 || !class_weights.is_empty()) {
                    let error = Error::config(msg::KnobsInGeneration { loss: self });
                    return Err(error.remedy(msg::PlainCrossEntropy));
                }
                if !class_weights.is_empty() && class_weights.iter().all(|weight| *weight == 0.0) {
                    return Err(Error::config(msg::AllWeightsZero { loss: self }));
                }
                self.check_length("class_weights", class_weights, outputs, false)
            }
            Self::Focal { alpha, .. } if task == Task::MultiLabel => {
                // Labels that do not apply weigh 1 − alpha.
                if let Some(above) = alpha.iter().find(|alpha| **alpha > 1.0) {
                    let what = msg::AlphaAboveOne { loss: self, got: above };
                    return Err(Error::config(what).remedy(msg::TryAlpha));
                }
                self.check_length("alpha", alpha, outputs, true)
            }
            Self::Focal { alpha, .. } => self.check_length("alpha", alpha, outputs, false),
            Self::Bce { pos_weight } if task == Task::Ranking => {
                self.check_length("pos_weight", pos_weight, Some(1), true)
            }
            Self::Bce { pos_weight } => self.check_length("pos_weight", pos_weight, outputs, true),
            _ => Ok(()),
        }
    }

    /// Refuses a list that is not one number an output, where the number of outputs is known.
    fn check_length(&self, name: &str, list: &[f64], outputs: Option<usize>, one_for_all: bool) -> Result<()> {
        let (found, wanted) = (list.len(), outputs.unwrap_or(list.len()));
        if found == 0 || found == wanted || (found == 1 && one_for_all) {
            return Ok(());
        }
        let of_this = msg::KnobOf { name, loss: self };
        let what = msg::ListLength {
            name: of_this,
            found,
            outputs: wanted,
        };
        Err(Error::config(what).remedy(msg::OneNumberForEach { name }))
    }
}

impl WeightedSum {
    /// The sum of these terms; how its terms fit together and to a task is asked with [`Self::check`].
    ///
    /// # Errors
    /// No terms.
    pub fn new(terms: Vec<Term>) -> Result<Self> {
        if terms.is_empty() {
            return Err(Error::config(msg::NoTerms).field("loss"));
        }
        Ok(Self { terms })
    }

    /// Its terms, at least one.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Refuses losses that are not made for `task`, and lists that are not one number for each of the head's `outputs`,
    /// where their number is known.
    ///
    /// # Errors
    /// The first term that does not fit, and what would.
    pub fn check(&self, task: Task, outputs: Option<usize>) -> Result<()> {
        for (i, term) in self.terms.iter().enumerate() {
            let in_this_term = |error: Error| {
                let (term, what) = (i + 1, error.what);
                let what = common::Term { term, what }.into();
                Error { what, ..error }.field("loss")
            };
            if !term.loss.tasks().contains(&task) {
                let (loss, tasks) = (term.loss.name(), lorakeet_i18n::Field::list(term.loss.tasks()));
                let error = Error::config(msg::LossOfOtherTask { loss, tasks, task });
                let all = Loss::all();
                let fitting = all.iter().filter(|loss| loss.tasks().contains(&task)).map(Loss::name);
                let names = lorakeet_i18n::Field::list(fitting);
                return Err(in_this_term(error.remedy(msg::WhatFits { names })));
            }
            term.loss.check(task, outputs).map_err(in_this_term)?;
            if task == Task::Embedding && term.loss.is_of_numbers() != self.is_of_numbers() {
                let error = Error::config(msg::OtherVectors { loss: term.loss.name() });
                return Err(in_this_term(error.remedy(msg::CosinesOrQueries)));
            }
        }
        Ok(())
    }

    /// Whether it compares the examples of a batch with each other, so that a part of the batch is another loss.
    pub fn compares_batch(&self) -> bool {
        self.terms.iter().any(|term| matches!(term.loss, Loss::InfoNce { .. }))
    }

    /// Whether it compares numbers: of an embedding run, the cosines of pairs with how alike they are.
    pub fn is_of_numbers(&self) -> bool {
        self.terms.first().is_some_and(|term| term.loss.is_of_numbers())
    }
}

/// The loss that a run of `task` is trained on where it names none.
pub fn usual(task: Task) -> WeightedSum {
    let loss = Loss::all().into_iter().find(|loss| loss.name() == task.usual_loss());
    let loss = loss.unwrap_or(Loss::Mse);
    WeightedSum {
        terms: vec![Term { weight: 1.0, loss }],
    }
}

/// The shortest text that reads back as this number.
pub(super) fn written(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        format!("{number:.0}")
    } else {
        format!("{number:?}")
    }
}

/// The word for `value` in a table of words.
fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words
        .iter()
        .find(|(_, known)| known == value)
        .map_or("", |(word, _)| *word)
}

impl Field<'_> {
    /// What it may be, as a clause.
    pub(super) fn allowed(&self) -> Message {
        let ends = |range: &RangeInclusive<f64>| (written(*range.start()), written(*range.end()));
        match self {
            Self::Number(_, allowed) => {
                let (low, high) = ends(allowed);
                msg::NumberFromTo { low, high }.into()
            }
            Self::Numbers(_, allowed) => {
                let (low, high) = ends(allowed);
                msg::NumbersFromTo { low, high }.into()
            }
            Self::Flag(_) => TrueOrFalse.into(),
            Self::Distance(_) => msg::EuclideanOrCosine.into(),
        }
    }

    /// Takes a word; false where it does not know it.
    pub(super) fn set_word(self, word: &str) -> bool {
        fn set<T: Copy>(place: &mut T, words: &[(&str, T)], word: &str) -> bool {
            let known = words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
            known.map(|(_, value)| *place = *value).is_some()
        }
        match self {
            Self::Flag(place) => set(place, &FLAGS, word),
            Self::Distance(place) => set(place, &DISTANCES, word),
            Self::Number(..) | Self::Numbers(..) => false,
        }
    }

    /// Takes numbers, in a list or not; false where they are not what it may be.
    pub(super) fn set_numbers(self, numbers: Vec<f64>, is_list: bool) -> bool {
        match self {
            Self::Number(place, allowed) => match numbers[..] {
                [number] if !is_list && allowed.contains(&number) => {
                    *place = number;
                    true
                }
                _ => false,
            },
            Self::Numbers(place, allowed) => {
                let possible = !numbers.is_empty() && numbers.iter().all(|number| allowed.contains(number));
                if possible {
                    *place = numbers;
                }
                possible
            }
            Self::Flag(_) | Self::Distance(_) => false,
        }
    }

    /// Its value as it is written; nothing where it is an empty list.
    fn value(&self) -> String {
        match self {
            Self::Number(number, _) => written(**number),
            Self::Numbers(numbers, _) => match numbers[..] {
                [] => String::new(),
                [number] => written(number),
                _ => {
                    let numbers: Vec<String> = numbers.iter().copied().map(written).collect();
                    format!("[{}]", numbers.join(", "))
                }
            },
            Self::Flag(flag) => word(&FLAGS, flag).into(),
            Self::Distance(distance) => word(&DISTANCES, distance).into(),
        }
    }
}

impl fmt::Display for Loss {
    /// `focal(gamma=1, alpha=[1, 2])`; knobs at their defaults are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut usual = Self::named(self.name()).unwrap_or(Self::Mse);
        let mut this = self.clone();
        let pairs = this.knobs().into_iter().zip(usual.knobs());
        let given: Vec<String> = pairs
            .map(|((name, field), (_, usual))| (name, field.value(), usual.value()))
            .filter(|(_, value, usual)| value != usual)
            .map(|(name, value, _)| format!("{name}={value}"))
            .collect();
        f.write_str(self.name())?;
        if given.is_empty() {
            return Ok(());
        }
        write!(f, "({})", given.join(", "))
    }
}

impl fmt::Display for WeightedSum {
    /// As [`WeightedSum::parse`] reads it; weights of 1 are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Term { weight, loss }) in self.terms.iter().enumerate() {
            if i > 0 {
                f.write_str(" + ")?;
            }
            if *weight != 1.0 {
                write!(f, "{}*", written(*weight))?;
            }
            write!(f, "{loss}")?;
        }
        Ok(())
    }
}
