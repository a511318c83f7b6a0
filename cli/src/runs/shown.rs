//! Parts of what `lorakeet show` prints of a run: the scores of its report.

use super::table;
use lorakeet_core::protocol::{Metric, Report};

/// A run's scores beside those that needed no training.
pub fn scores(report: &Report) -> String {
    let value = |metrics: &[Metric], name: &str| {
        let found = metrics.iter().find(|metric| metric.name == name);
        found.map_or("–".to_owned(), |metric| format!("{:.4}", metric.value))
    };
    let heads = report.baselines.iter().map(|baseline| baseline.kind.to_string());
    let head = [String::new(), "tuned model".to_owned()].into_iter().chain(heads);
    let mut rows = vec![head.collect::<Vec<_>>()];
    rows.extend(report.metrics.iter().map(|metric| {
        let name = &metric.name;
        let own = [name.clone(), value(&report.metrics, name)];
        let others = report.baselines.iter().map(|baseline| value(&baseline.metrics, name));
        own.into_iter().chain(others).collect()
    }));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_core::protocol::{Baseline, BaselineKind};
    use lorakeet_core::task::Task;
    use lorakeet_i18n::Message;

    #[test]
    fn a_report_has_each_score_beside_those_to_beat() {
        let metric = |name: &str, value| Metric {
            name: name.to_owned(),
            value,
        };
        let text = scores(&Report {
            task: Task::Classification,
            metric: "accuracy".to_owned(),
            metrics: vec![metric("accuracy", 0.75), metric("f1", 0.5)],
            baselines: vec![Baseline {
                kind: BaselineKind::MajorityClass,
                name: BaselineKind::MajorityClass.to_string(),
                metrics: vec![metric("accuracy", 0.25)],
            }],
            against: String::new(),
            comparison: None,
            verdict: None,
            sentence: Message::verbatim("It is better."),
            labels: Vec::new(),
            confusion: Vec::new(),
            classes: Vec::new(),
            calibration: Vec::new(),
        });
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["accuracy", "0.7500", "0.2500"]);
        assert_eq!(lines[2], ["f1", "0.5000", "–"]);
    }
}
