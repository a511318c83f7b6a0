//! What a run's answers are like beyond their scores: how sure the scores are, on which rows they are worse, and what a
//! classifier's threshold can be chosen from.

use super::number;
use super::report::Report;
use serde::{Deserialize, Serialize};

/// A closer look at the answers to the rows held out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Judgement {
    /// The metric that it is about.
    pub metric: String,
    /// Its intervals: of each baseline in the report's order, then of the tuned model; none where it has no value.
    pub intervals: Vec<Option<Interval>>,
    /// Its value on parts of the rows.
    pub slices: Vec<Slice>,
    /// What thresholds are chosen from, where the task has any.
    pub decisions: Option<Decisions>,
}

/// Where a score may lie by chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Its confidence.
    pub confidence: f64,
}

/// A score on a part of the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Which rows.
    pub by: SliceBy,
    /// How many.
    pub rows: usize,
    /// The metric on them; not a number where it has no value for them.
    #[serde(with = "number")]
    pub value: f64,
    /// Its interval, where there are enough rows for one.
    pub interval: Option<Interval>,
    /// Whether the whole interval is on the worse side of the score of all rows.
    pub is_worse: bool,
}

/// What the rows of a part have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SliceBy {
    /// The length of the text.
    Length {
        /// The shortest of them.
        from: u64,
        /// The longest.
        to: u64,
        /// Whether it is counted in tokens; else in characters.
        in_tokens: bool,
    },
    /// What stands in a column.
    Column {
        /// The column.
        name: String,
        /// What stands in it.
        value: String,
    },
}

/// How probabilities become decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// Of two classes, the second is answered from the threshold on.
    Binary,
    /// Of more classes, the likeliest is answered from the threshold on, and nothing below it.
    Reject,
    /// Each label applies from the threshold on.
    Labels,
}

/// The probabilities of the rows, in the order of the table of predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// How they become decisions.
    pub kind: DecisionKind,
    /// The names of the classes or labels.
    pub names: Vec<String>,
    /// Row by row: of two classes whether the second is right, of more whether the likeliest is, of labels whether each applies.
    pub truth: Vec<bool>,
    /// The probability of each of these.
    pub probabilities: Vec<f64>,
}

impl Decisions {
    /// Numbers of a row.
    pub fn width(&self) -> usize {
        match self.kind {
            DecisionKind::Labels => self.names.len().max(1),
            DecisionKind::Binary | DecisionKind::Reject => 1,
        }
    }
}

/// What a trained model comes to on another file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileScore {
    /// The file.
    pub file: String,
    /// Rows scored.
    pub rows: usize,
    /// The scores, and what there is to beat on the same rows.
    pub report: Report,
    /// A closer look at them.
    pub judgement: Judgement,
}
