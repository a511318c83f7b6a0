//! What the page knows of a run's task: what it has to beat, what it came to, what it answers.

use crate::curves::Line;
use crate::judging::{KeptThreshold, Tally};
use leptos::prelude::*;
use lorakeet_core::protocol::{
    Baseline, EvalInfo, FileScore, Judgement, Metric, PredictionTable, Report, TextPrediction, Verdict,
};
use lorakeet_core::task::Task;
use std::cmp::Reverse;

/// What belongs to a run's task, as signals.
#[derive(Clone, Copy)]
pub struct RunResults {
    /// The task of the run under way or over.
    pub task: RwSignal<Option<Task>>,
    /// The scores to beat.
    pub baselines: RwSignal<Vec<Baseline>>,
    /// Whether all of it may be of other data than those that are loaded now.
    pub is_of_other_data: RwSignal<bool>,
    /// What the run came to.
    pub report: RwSignal<Option<Report>>,
    /// Its answers row by row.
    pub predictions: RwSignal<PredictionTable>,
    /// A closer look at them.
    pub judgement: RwSignal<Option<Judgement>>,
    /// The threshold that decides from now on.
    pub kept: RwSignal<Option<KeptThreshold>>,
    /// Its answers to typed texts.
    pub answers: RwSignal<Vec<TextPrediction>>,
    /// The same with the adapter turned off.
    pub answers_without: RwSignal<Vec<TextPrediction>>,
    /// The strength of the adapter in answers and texts.
    pub strength: RwSignal<f64>,
    /// The blind comparisons so far.
    pub tally: RwSignal<Tally>,
    /// What it comes to on another file.
    pub file_score: RwSignal<Option<FileScore>>,
}

impl RunResults {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            task: RwSignal::new(None),
            baselines: RwSignal::new(Vec::new()),
            is_of_other_data: RwSignal::new(false),
            report: RwSignal::new(None),
            predictions: RwSignal::new(PredictionTable::default()),
            judgement: RwSignal::new(None),
            kept: RwSignal::new(None),
            answers: RwSignal::new(Vec::new()),
            answers_without: RwSignal::new(Vec::new()),
            strength: RwSignal::new(1.0),
            tally: RwSignal::new(Tally::default()),
            file_score: RwSignal::new(None),
        }
    }

    /// Forgets the run.
    pub fn forget(self) {
        self.task.set(None);
        self.baselines.set(Vec::new());
        self.is_of_other_data.set(false);
        self.report.set(None);
        self.predictions.set(PredictionTable::default());
        self.judgement.set(None);
        self.kept.set(None);
        self.answers.set(Vec::new());
        self.answers_without.set(Vec::new());
        self.strength.set(1.0);
        self.tally.set(Tally::default());
        self.file_score.set(None);
    }
}

/// Whether a model of this task writes texts, so that its change can be read.
pub fn writes(task: Task) -> bool {
    matches!(task, Task::Generation | Task::Preference)
}

/// Whether it answers with an order of documents.
pub fn ranks(task: Task) -> bool {
    matches!(task, Task::Ranking | Task::Embedding)
}

/// The counts of a report's confusions: a row for each right class, a column for each answer.
pub fn matrix(report: &Report) -> Vec<Vec<u64>> {
    let classes = report.labels.len();
    let mut rows = vec![vec![0; classes]; classes];
    for (truth, answer, count) in &report.confusion {
        if let Some(cell) = rows.get_mut(*truth).and_then(|row| row.get_mut(*answer)) {
            *cell = *count;
        }
    }
    rows
}

/// The mistakes of a report, the most frequent first: right class, answer, rows.
pub fn mistakes(report: &Report) -> Vec<(usize, usize, u64)> {
    let mut wrong: Vec<_> = report
        .confusion
        .iter()
        .copied()
        .filter(|(truth, answer, _)| truth != answer)
        .collect();
    wrong.sort_by_key(|mistake| Reverse(mistake.2));
    wrong
}

/// Of a regression's table, each target's name with its points (right number, answer).
pub fn targets(table: &PredictionTable) -> Vec<(String, Line)> {
    let named = table.columns.iter().enumerate();
    let labels = named.filter_map(|(place, name)| Some((place, name.strip_prefix("label")?.trim().to_owned())));
    let is = |place: usize, what: &str| table.columns.get(place).is_some_and(|name| name.starts_with(what));
    let of_numbers = labels.filter(|(place, _)| is(place + 1, "prediction") && is(place + 2, "residual"));
    let points = |(place, name): (usize, String)| {
        let number = |row: &Vec<String>, place: usize| row.get(place)?.parse::<f64>().ok();
        let point = |row: &Vec<String>| Some((number(row, place)?, number(row, place + 1)?));
        (name, table.rows.iter().filter_map(point).collect())
    };
    of_numbers.map(points).collect()
}

/// A report's verdict for style sheets.
pub fn verdict(report: &Report) -> &'static str {
    match report.verdict {
        Some(Verdict::Better) => "better",
        Some(Verdict::Worse) => "worse",
        _ => "open",
    }
}

/// Each metric of the scores on the way, with its value at each scored step.
pub fn metric_curves(evals: &[EvalInfo]) -> Vec<(String, Line)> {
    let names = evals.first().map(|eval| eval.metrics.as_slice()).unwrap_or_default();
    let curve = |name: &str| {
        let value = |eval: &EvalInfo| {
            eval.metrics
                .iter()
                .find(|metric| metric.name == name)
                .map(|metric| metric.value)
        };
        let points = evals.iter().filter_map(|eval| Some((eval.step as f64, value(eval)?)));
        points.filter(|point| point.1.is_finite()).collect()
    };
    names
        .iter()
        .map(|metric| (metric.name.clone(), curve(&metric.name)))
        .collect()
}

/// A metric's value among these.
pub fn value(metrics: &[Metric], name: &str) -> Option<f64> {
    metrics
        .iter()
        .find(|metric| metric.name == name)
        .map(|metric| metric.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[&str]]) -> PredictionTable {
        let row = |fields: &&[&str]| fields.iter().map(ToString::to_string).collect();
        PredictionTable {
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: rows.iter().map(row).collect(),
        }
    }

    #[test]
    fn a_regression_has_points_for_each_of_its_targets() {
        let one = table(
            &["row", "label", "prediction", "residual", "text"],
            &[&["1", "2.5", "3", "0.5", "a"]],
        );
        assert_eq!(targets(&one), [(String::new(), vec![(2.5, 3.0)])]);
        let two = [
            "row",
            "label x",
            "prediction x",
            "residual x",
            "label y",
            "prediction y",
            "residual y",
            "text",
        ];
        let two = table(&two, &[&["1", "1", "2", "1", "3", "4", "1", "a"]]);
        assert_eq!(
            targets(&two),
            [("x".to_owned(), vec![(1.0, 2.0)]), ("y".to_owned(), vec![(3.0, 4.0)])]
        );
    }

    #[test]
    fn a_classifier_s_table_has_no_points() {
        let classes = table(
            &[
                "row",
                "label",
                "prediction",
                "confidence",
                "probability_of_label",
                "text",
            ],
            &[],
        );
        assert!(targets(&classes).is_empty());
    }
}
