//! What a run is about: the kind of answer that the model gives. The first choice of a run, from which the losses
//! ([`crate::loss`]) and the metrics that fit follow.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The kind of answer that a model is trained to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The next token: continued pretraining, instructions, chat.
    #[default]
    Generation,
    /// One class of several for a text.
    Classification,
    /// Any number of labels for a text.
    MultiLabel,
    /// One class of several for each token.
    TokenClassification,
    /// A number for a text.
    Regression,
    /// A score for a pair of query and document, read together (cross-encoder).
    Ranking,
    /// A vector for a text, near to the vectors of texts that belong to it or are like it (bi-encoder).
    Embedding,
    /// The better one of two answers.
    Preference,
}

/// The metrics of answers that the model writes.
pub const GENERATION_METRICS: &[&str] = &["rouge_l", "chrf"];

/// Every metric that a run may report; some more than once.
pub fn metric_names() -> impl Iterator<Item = &'static str> + Clone {
    let of_tasks = Task::ALL.iter().flat_map(|task| task.metrics());
    of_tasks.chain(GENERATION_METRICS).copied()
}

/// Whether less of a metric is better.
pub fn is_lower_better(metric: &str) -> bool {
    matches!(metric, "loss" | "perplexity" | "mse" | "rmse" | "mae" | "ece")
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Generation,
        Self::Classification,
        Self::MultiLabel,
        Self::TokenClassification,
        Self::Regression,
        Self::Ranking,
        Self::Embedding,
        Self::Preference,
    ];

    /// Whether its answers come from a head of its own on the model.
    pub fn has_head(self) -> bool {
        !matches!(self, Self::Generation | Self::Embedding | Self::Preference)
    }

    /// The metrics of its answers, the usual one first.
    pub fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Generation => &["loss", "perplexity", "token_accuracy"],
            Self::Classification => &["accuracy", "f1_macro", "f1_weighted", "mcc", "balanced_accuracy", "ece"],
            Self::TokenClassification => &["f1_macro", "accuracy", "f1_weighted", "mcc", "balanced_accuracy", "ece"],
            Self::MultiLabel => &["f1_micro", "f1_macro", "f1_of_rows", "exact_match"],
            Self::Regression => &["r2", "mse", "rmse", "mae", "pearson", "spearman"],
            Self::Ranking | Self::Embedding => &["ndcg_at_10", "mrr", "map", "recall_at_1", "recall_at_10"],
            Self::Preference => &["preference_accuracy", "reward_margin"],
        }
    }

    /// The name of the loss that it is trained on where a run names none.
    pub fn usual_loss(self) -> &'static str {
        match self {
            Self::Generation | Self::Classification | Self::TokenClassification => "cross_entropy",
            Self::MultiLabel => "bce",
            Self::Regression => "mse",
            Self::Ranking => "ranknet",
            Self::Embedding => "infonce",
            Self::Preference => "dpo",
        }
    }

    /// Its name in run files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generation => "generation",
            Self::Classification => "classification",
            Self::MultiLabel => "multi_label",
            Self::TokenClassification => "token_classification",
            Self::Regression => "regression",
            Self::Ranking => "ranking",
            Self::Embedding => "embedding",
            Self::Preference => "preference",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_written_as_it_is_named() {
        for task in Task::ALL {
            let written = serde_json::to_string(&task).expect("a task can be written");
            assert_eq!(written, format!("\"{task}\""));
        }
    }
}
