//! When tuning may not be worth it: there is too little to learn from, or too little to gain.

use super::{Doubt, Facts, ModelKind};
use crate::task::{GENERATION_METRICS, is_lower_better};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::advice as msg;

/// From how many rows on guides expect a gain: OpenAI's for fine-tuning begins with 50.
const FEWEST_ROWS: usize = 50;
/// A score of this, where 1 is the best, leaves next to nothing to gain.
const NEARLY_ALL: f64 = 0.98;

/// What is known before the run. A packed text has no rows that could be counted.
pub(super) fn of(facts: &Facts) -> Vec<Doubt> {
    let has_rows = !facts.lengths.is_empty() || facts.model == ModelKind::Fresh;
    let found = has_rows.then(|| doubt_of_rows(facts.rows));
    found.flatten().into_iter().collect()
}

/// What so many rows to train on say; none where they are enough.
pub fn doubt_of_rows(rows: usize) -> Option<Doubt> {
    (rows < FEWEST_ROWS).then(|| Doubt {
        what: msg::FewRows { rows }.into(),
        remedy: msg::MoreRows { fewest: FEWEST_ROWS }.into(),
    })
}

/// What a score that is had without training says: `way` is how it comes about. None where it leaves something to gain, or where
/// the metric has no best value.
pub fn doubt_of_score(metric: &str, score: f64, way: Message) -> Option<Doubt> {
    let has_best = !is_lower_better(metric) && metric != "reward_margin" && !GENERATION_METRICS.contains(&metric);
    (has_best && score >= NEARLY_ALL).then(|| Doubt {
        what: msg::NearlyPerfect {
            metric,
            score: format!("{score:.3}"),
            way,
        }
        .into(),
        remedy: msg::TakeWithoutTraining.into(),
    })
}
