//! Scores without training, as they were measured before a run, and what they say about whether to tune.

use super::conclusion::FEW_ROWS;
use super::report::{Baseline, BaselineKind, Metric};
use crate::advice::{Doubt, doubt_of_rows, doubt_of_score};
use crate::task::{Task, is_lower_better};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common::Both;
use lorakeet_i18n::messages::{advice as msg, report};
use serde::{Deserialize, Serialize};

/// What the baselines say about tuning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TuningOutlook {
    /// Next to nothing is left to gain, or there are too few rows to learn from.
    NotWorthIt,
    /// The linear probe is the best: it costs next to nothing, and a tuned model has to beat it.
    ProbeFirst,
    /// A tuned model has something to gain.
    Open,
    /// The metric has no value for any of them.
    NotCompared,
}

impl TuningOutlook {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NotWorthIt, Self::ProbeFirst, Self::Open, Self::NotCompared];

    /// Its name in events and style sheets.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotWorthIt => "not_worth_it",
            Self::ProbeFirst => "probe_first",
            Self::Open => "open",
            Self::NotCompared => "not_compared",
        }
    }

    /// It in a few words, as a heading.
    pub fn message(self) -> Message {
        match self {
            Self::NotWorthIt => msg::MayNotBeWorthIt.into(),
            Self::ProbeFirst => msg::ProbeIsFirst.into(),
            Self::Open => msg::SomethingToGain.into(),
            Self::NotCompared => report::NotCompared.into(),
        }
    }
}

/// The scores that a run with some settings would have to beat, and what they say about tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredBaselines {
    /// What would be learnt.
    pub task: Task,
    /// The metric by which the run would be judged.
    pub metric: String,
    /// One entry a way, the untouched model last where it has answers.
    pub scores: Vec<Baseline>,
    /// The best of them by `metric`; none where it has a value for none of them.
    pub best: Option<BaselineKind>,
    /// Rows that the run would train on; none of packed texts.
    pub rows: Option<usize>,
    /// Rows that they were scored on.
    pub held_out: usize,
    /// Whether the linear probe is the best, and a run with `head_init: probe` and `max_steps: 0` keeps it as the trained head.
    pub keeps_probe: bool,
    /// What they say about tuning.
    pub outlook: TuningOutlook,
    /// What the best score is, and what to do about it; sentences.
    pub sentence: Message,
    /// Why tuning may not be worth it.
    pub doubts: Vec<Doubt>,
}

impl MeasuredBaselines {
    /// What `scores` come to by `metric`, with `rows` to train on, none of packed texts, and so many held out; `takes_probe` where
    /// the run's head can start from the linear probe.
    pub fn new(
        task: Task,
        metric: &str,
        scores: Vec<Baseline>,
        (rows, held_out): (Option<usize>, usize),
        takes_probe: bool,
    ) -> Self {
        let best = best_baseline(metric, &scores);
        let of_score = best.and_then(|(best, score)| doubt_of_score(metric, score, best.kind.message()));
        let of_rows = rows.and_then(doubt_of_rows);
        let is_probe = best.is_some_and(|(best, _)| best.kind == BaselineKind::LinearProbe);
        let outlook = match best {
            None => TuningOutlook::NotCompared,
            Some(_) if of_score.is_some() => TuningOutlook::NotWorthIt,
            Some(_) if is_probe => TuningOutlook::ProbeFirst,
            Some(_) if of_rows.is_some() => TuningOutlook::NotWorthIt,
            Some(_) => TuningOutlook::Open,
        };
        let keeps_probe = is_probe && takes_probe;
        let mut sentence: Message = match best {
            None => msg::NoValueWithout { metric }.into(),
            Some((best, score)) => msg::BestWithout {
                metric,
                score: format!("{score:.3}"),
                way: best.kind.message(),
                rows: held_out,
            }
            .into(),
        };
        let more: [Option<Message>; 2] = [
            keeps_probe.then(|| report::NextKeepProbe.into()),
            (held_out < FEW_ROWS).then(|| report::NextHoldOutMore.into()),
        ];
        for second in more.into_iter().flatten() {
            sentence = Both {
                first: sentence,
                second,
            }
            .into();
        }
        Self {
            task,
            metric: metric.to_owned(),
            best: best.map(|(best, _)| best.kind),
            scores,
            rows,
            held_out,
            keeps_probe,
            outlook,
            sentence,
            doubts: of_score.into_iter().chain(of_rows).collect(),
        }
    }
}

/// The best score without training by a metric, and its value; none where the metric has a value for none of them.
pub fn best_baseline<'a>(metric: &str, scores: &'a [Baseline]) -> Option<(&'a Baseline, f64)> {
    best_of(
        metric,
        scores
            .iter()
            .filter_map(|one| Some((one, Metric::value_of(&one.metrics, metric)?))),
    )
}

/// What has the best finite value of a metric, and that value; the last of several.
pub fn best_of<T>(metric: &str, valued: impl Iterator<Item = (T, f64)>) -> Option<(T, f64)> {
    let sign = if is_lower_better(metric) { -1.0 } else { 1.0 };
    let finite = valued.filter(|one| one.1.is_finite());
    finite.max_by(|one, other| (sign * one.1).total_cmp(&(sign * other.1)))
}

/// Why tuning may not be worth it, by the best score that was had without it.
pub fn doubt_of_baselines(metric: &str, scores: &[Baseline]) -> Option<Doubt> {
    let (best, score) = best_baseline(metric, scores)?;
    doubt_of_score(metric, score, best.kind.message())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_i18n::Language;

    fn baseline(kind: BaselineKind, accuracy: f64, loss: f64) -> Baseline {
        let metrics = [("accuracy", accuracy), ("loss", loss)].map(|(name, value)| Metric {
            name: name.to_owned(),
            value,
        });
        Baseline {
            kind,
            name: kind.name().to_owned(),
            metrics: metrics.to_vec(),
        }
    }

    fn measured(probe: f64, rows: usize, held_out: usize, takes_probe: bool) -> MeasuredBaselines {
        let scores = vec![
            baseline(BaselineKind::MajorityClass, 0.5, f64::NAN),
            baseline(BaselineKind::NearestCentroid, 0.8, f64::NAN),
            baseline(BaselineKind::LinearProbe, probe, f64::NAN),
        ];
        MeasuredBaselines::new(
            Task::Classification,
            "accuracy",
            scores,
            (Some(rows), held_out),
            takes_probe,
        )
    }

    #[test]
    fn the_score_to_beat_is_the_highest_and_of_a_loss_the_lowest() {
        let scores = [
            baseline(BaselineKind::MajorityClass, 0.5, f64::NAN),
            baseline(BaselineKind::LinearProbe, 0.9, 0.4),
            baseline(BaselineKind::NearestCentroid, 0.8, 0.3),
        ];
        let best = |metric| best_baseline(metric, &scores).map(|(best, value)| (best.kind, value));
        assert_eq!(best("accuracy"), Some((BaselineKind::LinearProbe, 0.9)));
        assert_eq!(best("loss"), Some((BaselineKind::NearestCentroid, 0.3)));
        assert_eq!(best("r2"), None);
    }

    #[test]
    fn the_best_score_without_training_is_the_doubt() {
        let scores = [
            baseline(BaselineKind::MajorityClass, 0.5, f64::NAN),
            baseline(BaselineKind::NearestCentroid, 0.985, f64::NAN),
            baseline(BaselineKind::LinearProbe, 0.995, f64::NAN),
        ];
        let doubt = doubt_of_baselines("accuracy", &scores).expect("next to nothing to gain");
        assert!(doubt.what.english().contains("0.995"), "{doubt:?}");
        assert_eq!(doubt_of_baselines("f1_macro", &scores), None);
        assert_eq!(doubt_of_baselines("accuracy", &scores[..1]), None);
    }

    #[test]
    fn a_probe_that_knows_nearly_all_leaves_nothing_to_tune_for() {
        let found = measured(1.0, 400, 120, true);
        assert_eq!(found.outlook, TuningOutlook::NotWorthIt);
        assert!(
            found.keeps_probe && found.sentence.english().contains("head_init: probe"),
            "{found:?}"
        );
        let said = found.doubts[0].what.english();
        assert!(said.contains("1.000") && said.contains("linear probe"), "{said}");
    }

    #[test]
    fn a_probe_that_is_the_best_comes_first_and_another_way_leaves_something_to_gain() {
        let found = measured(0.9, 400, 120, true);
        assert_eq!(
            (found.outlook, found.best),
            (TuningOutlook::ProbeFirst, Some(BaselineKind::LinearProbe))
        );
        assert!(
            found.doubts.is_empty() && !found.sentence.english().contains("val_size"),
            "{found:?}"
        );
        let found = measured(0.7, 400, 120, true);
        assert_eq!(
            (found.outlook, found.keeps_probe),
            (TuningOutlook::Open, false),
            "the centroid is better"
        );
        assert!(!measured(0.9, 400, 120, false).keeps_probe, "the head cannot be one");
    }

    #[test]
    fn few_rows_are_a_doubt_and_few_that_are_held_out_are_told() {
        let found = measured(0.7, 20, 6, true);
        assert_eq!((found.outlook, found.doubts.len()), (TuningOutlook::NotWorthIt, 1));
        let said = found.sentence.english();
        assert!(
            said.contains("on 6 held-out rows") && said.contains("val_size"),
            "{said}"
        );
        let none = MeasuredBaselines::new(Task::Generation, "loss", Vec::new(), (None, 200), false);
        assert_eq!((none.outlook, none.best), (TuningOutlook::NotCompared, None));
    }

    #[test]
    fn names_are_those_that_are_written_and_each_is_worded() {
        for outlook in TuningOutlook::ALL {
            let written = serde_json::to_value(outlook).expect("it can be written");
            assert_eq!(written, outlook.name());
        }
        for language in Language::ALL {
            let mut all = TuningOutlook::ALL
                .map(|outlook| outlook.message().text(language))
                .to_vec();
            all.dedup();
            assert_eq!(all.len(), TuningOutlook::ALL.len());
        }
    }
}
