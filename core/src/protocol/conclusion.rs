//! What a run comes to in a word, and the next most useful step: read off its report in one place, so that the page, the command and
//! the report's file say the same.

use super::report::{BaselineKind, Metric, Report, Verdict};
use crate::task::is_lower_better;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::report as msg;
use serde::{Deserialize, Serialize};

/// Values of a metric that differ by less than this share of them are the same.
const SAME: f64 = 1e-6;
/// With fewer rows held out the interval of a share is some 20 points wide: 2 · 1.96 · √(0.25 / 100).
pub(super) const FEW_ROWS: usize = 100;
/// A validation loss that moved by less than this share stands still.
const STILL: f64 = 0.01;

/// What a run comes to, by the metric that judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Significantly better than the best baseline.
    BeatsAll,
    /// The difference to the best baseline may be chance.
    NotSignificant,
    /// The linear probe has the better value, whether or not that is significant: it costs next to nothing.
    ProbeWins,
    /// Significantly worse than the best baseline.
    Worse,
    /// There is no baseline, or the metric has no value for these rows.
    NotCompared,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::BeatsAll,
        Self::NotSignificant,
        Self::ProbeWins,
        Self::Worse,
        Self::NotCompared,
    ];

    /// Its name in events and style sheets.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeatsAll => "beats_all",
            Self::NotSignificant => "not_significant",
            Self::ProbeWins => "probe_wins",
            Self::Worse => "worse",
            Self::NotCompared => "not_compared",
        }
    }

    /// It in a few words, as a heading.
    pub fn message(self) -> Message {
        match self {
            Self::BeatsAll => msg::BeatsAll.into(),
            Self::NotSignificant => msg::NotSignificant.into(),
            Self::ProbeWins => msg::ProbeWins.into(),
            Self::Worse => msg::WorseThanBaseline.into(),
            Self::NotCompared => msg::NotCompared.into(),
        }
    }
}

/// What to do next: one thing, the most useful one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextStep {
    /// Try it on texts of one's own, and export it.
    Export,
    /// The validation loss still falls.
    TrainLonger,
    /// The validation loss rises again, and the last weights were kept.
    TrainShorter,
    /// Start from the probe, or keep it.
    KeepProbe,
    /// So few rows are held out that only a large gain could show.
    HoldOutMore,
    /// The learning rate is the first suspect.
    FindRate,
    /// There is more to gain from rows than from settings.
    AddData,
    /// Nothing was compared: read what it answers.
    ReadAnswers,
}

impl NextStep {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Export,
        Self::TrainLonger,
        Self::TrainShorter,
        Self::KeepProbe,
        Self::HoldOutMore,
        Self::FindRate,
        Self::AddData,
        Self::ReadAnswers,
    ];

    /// Its name in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::TrainLonger => "train_longer",
            Self::TrainShorter => "train_shorter",
            Self::KeepProbe => "keep_probe",
            Self::HoldOutMore => "hold_out_more",
            Self::FindRate => "find_rate",
            Self::AddData => "add_data",
            Self::ReadAnswers => "read_answers",
        }
    }

    /// It as a sentence or two.
    pub fn message(self) -> Message {
        match self {
            Self::Export => msg::NextExport.into(),
            Self::TrainLonger => msg::NextTrainLonger.into(),
            Self::TrainShorter => msg::NextTrainShorter.into(),
            Self::KeepProbe => msg::NextKeepProbe.into(),
            Self::HoldOutMore => msg::NextHoldOutMore.into(),
            Self::FindRate => msg::NextFindRate.into(),
            Self::AddData => msg::NextAddData.into(),
            Self::ReadAnswers => msg::NextReadAnswers.into(),
        }
    }
}

/// How the validation loss ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trend {
    /// The last score is the best, and clearly better than the one before.
    Falling,
    /// The last score is clearly above the best one, and the last weights were kept.
    Rising,
    /// Neither, or there is too little to say.
    Still,
}

impl Trend {
    /// Of losses by step, in the order in which they were scored. A run that kept its best weights scores them once more at its end.
    fn of(evals: &[(f64, f64)]) -> Self {
        let (Some(&(last_step, last)), true) = (evals.last(), evals.len() > 2) else {
            return Self::Still;
        };
        let keeps_best = evals.iter().any(|(step, _)| *step > last_step);
        let best = evals.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
        let before = evals[evals.len() - 2].1;
        if keeps_best || !last.is_finite() {
            Self::Still
        } else if last > best + STILL * best.abs() {
            Self::Rising
        } else if before - last > STILL * before.abs() {
            Self::Falling
        } else {
            Self::Still
        }
    }
}

impl Report {
    /// What the run comes to.
    pub fn outcome(&self) -> Outcome {
        match self.verdict {
            Some(_) if self.is_beaten_by_probe() => Outcome::ProbeWins,
            Some(Verdict::Better) => Outcome::BeatsAll,
            Some(Verdict::NotDistinguishable) => Outcome::NotSignificant,
            Some(Verdict::Worse) => Outcome::Worse,
            None => Outcome::NotCompared,
        }
    }

    /// The next most useful step; `evals` are the validation losses by step, in the order in which they were scored.
    pub fn next_step(&self, evals: &[(f64, f64)]) -> NextStep {
        let rows = self.comparison.map_or(0, |comparison| comparison.rows);
        match (self.outcome(), Trend::of(evals)) {
            (Outcome::NotCompared, _) => NextStep::ReadAnswers,
            (Outcome::ProbeWins, _) => NextStep::KeepProbe,
            (Outcome::Worse | Outcome::NotSignificant, Trend::Rising) => NextStep::TrainShorter,
            (Outcome::Worse, _) => NextStep::FindRate,
            (_, Trend::Falling) => NextStep::TrainLonger,
            (Outcome::NotSignificant, _) if rows < FEW_ROWS => NextStep::HoldOutMore,
            (Outcome::NotSignificant, _) => NextStep::AddData,
            (Outcome::BeatsAll, _) => NextStep::Export,
        }
    }

    /// Whether the linear probe has the better value of the metric that judges.
    fn is_beaten_by_probe(&self) -> bool {
        let value = |metrics: &[Metric]| Metric::value_of(metrics, &self.metric);
        let probe = self.baselines.iter().find(|one| one.kind == BaselineKind::LinearProbe);
        let Some((probe, tuned)) = probe.and_then(|probe| value(&probe.metrics)).zip(value(&self.metrics)) else {
            return false;
        };
        let gain = match is_lower_better(&self.metric) {
            true => tuned - probe,
            false => probe - tuned,
        };
        gain > SAME * probe.abs().max(tuned.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Baseline, Comparison};
    use crate::task::Task;
    use lorakeet_i18n::Language;

    fn metric(name: &str, value: f64) -> Vec<Metric> {
        let name = name.to_owned();
        vec![Metric { name, value }]
    }

    /// A classifier's report with so many rows held out; a probe of so high a score where one was fitted.
    fn report(verdict: Option<Verdict>, tuned: f64, probe: Option<f64>, rows: usize) -> Report {
        let baseline = |value| Baseline {
            kind: BaselineKind::LinearProbe,
            name: BaselineKind::LinearProbe.to_string(),
            metrics: metric("accuracy", value),
        };
        Report {
            task: Task::Classification,
            metric: "accuracy".into(),
            metrics: metric("accuracy", tuned),
            baselines: probe.map(baseline).into_iter().collect(),
            against: String::new(),
            comparison: verdict.map(|_| Comparison {
                before: 0.5,
                after: tuned,
                difference: tuned - 0.5,
                low: 0.0,
                high: 1.0,
                confidence: 0.95,
                rows,
            }),
            verdict,
            sentence: Message::verbatim(""),
            labels: Vec::new(),
            confusion: Vec::new(),
            classes: Vec::new(),
            calibration: Vec::new(),
        }
    }

    const FALLING: [(f64, f64); 3] = [(0.0, 3.0), (10.0, 2.0), (20.0, 1.0)];
    const RISING: [(f64, f64); 3] = [(0.0, 3.0), (10.0, 1.0), (20.0, 1.5)];
    const STOOD: [(f64, f64); 3] = [(0.0, 3.0), (10.0, 1.0), (20.0, 0.999)];

    #[test]
    fn a_probe_of_the_better_value_wins_whatever_the_interval_says() {
        let outcome = |verdict, probe| report(Some(verdict), 0.8, probe, 200).outcome();
        assert_eq!(outcome(Verdict::Better, Some(0.6)), Outcome::BeatsAll);
        assert_eq!(outcome(Verdict::NotDistinguishable, Some(0.8)), Outcome::NotSignificant);
        assert_eq!(outcome(Verdict::NotDistinguishable, Some(0.82)), Outcome::ProbeWins);
        assert_eq!(outcome(Verdict::Worse, Some(0.7)), Outcome::Worse);
        assert_eq!(report(None, 0.8, None, 200).outcome(), Outcome::NotCompared);
        let mut error = report(Some(Verdict::Worse), 0.8, Some(0.7), 200);
        for metrics in [&mut error.metrics, &mut error.baselines[0].metrics] {
            metrics[0].name = "mae".into();
        }
        error.metric = "mae".into();
        assert_eq!(error.outcome(), Outcome::ProbeWins, "less of an error is better");
    }

    #[test]
    fn the_next_step_follows_from_the_outcome_and_from_how_the_loss_ends() {
        let next = |verdict, rows, evals: &[_]| report(Some(verdict), 0.8, None, rows).next_step(evals);
        assert_eq!(next(Verdict::Better, 200, &STOOD), NextStep::Export);
        assert_eq!(next(Verdict::Better, 200, &RISING), NextStep::Export);
        assert_eq!(next(Verdict::Better, 200, &FALLING), NextStep::TrainLonger);
        assert_eq!(next(Verdict::NotDistinguishable, 40, &STOOD), NextStep::HoldOutMore);
        assert_eq!(next(Verdict::NotDistinguishable, 200, &STOOD), NextStep::AddData);
        assert_eq!(next(Verdict::NotDistinguishable, 40, &RISING), NextStep::TrainShorter);
        assert_eq!(next(Verdict::Worse, 200, &STOOD), NextStep::FindRate);
        let probe = report(Some(Verdict::Worse), 0.8, Some(0.9), 200);
        assert_eq!(probe.next_step(&FALLING), NextStep::KeepProbe);
        assert_eq!(report(None, 0.8, None, 0).next_step(&[]), NextStep::ReadAnswers);
        // The best weights were scored once more: the run ends where it was best.
        let kept = [RISING.as_slice(), &[(10.0, 1.0)]].concat();
        assert_eq!(next(Verdict::Worse, 200, &kept), NextStep::FindRate);
    }

    #[test]
    fn names_are_those_that_are_written_and_each_is_worded() {
        let written = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        for outcome in Outcome::ALL {
            let value = serde_json::to_value(outcome).expect("an outcome can be written");
            assert_eq!(written(value), outcome.name());
        }
        for next in NextStep::ALL {
            let value = serde_json::to_value(next).expect("a step can be written");
            assert_eq!(written(value), next.name());
        }
        for language in Language::ALL {
            let outcomes = Outcome::ALL.map(|outcome| outcome.message().text(language));
            let nexts = NextStep::ALL.map(|next| next.message().text(language));
            let mut all = [outcomes.as_slice(), &nexts].concat();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "two of them say the same");
        }
    }
}
