//! Parts of what `lorakeet show` prints of a run: lines of its log, and its report.

use super::table;
use lorakeet_core::protocol::{Metric, Report};
use serde_json::Value;

/// What is worth a line of a run's log: scores, samples, notes, and how it ended; not its steps.
pub fn event_line(event: &Value) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default().replace('\n', "\u{23ce}");
    let step = &event["step"];
    Some(match event["type"].as_str()? {
        "eval" => {
            let metrics = event["metrics"].as_array().into_iter().flatten();
            let metrics: Vec<String> = metrics
                .filter_map(|metric| {
                    Some(format!(
                        "  {} {:.4}",
                        metric["name"].as_str()?,
                        metric["value"].as_f64()?
                    ))
                })
                .collect();
            let loss = event["loss"]
                .as_f64()
                .map_or("–".to_owned(), |loss| format!("{loss:.4}"));
            format!("step {step}: validation loss {loss}{}", metrics.concat())
        }
        "sample" => format!("step {step}: {}\u{2026}{}", text("prompt"), text("text")),
        "warning" => format!("note: {}", text("message")),
        "failed" => format!("failed: {}", text("what")),
        "done" if event["finished"] == true => format!("done after step {}", event["steps"]),
        "done" => format!("stopped after step {}", event["steps"]),
        _ => return None,
    })
}

/// A run's report: what it came to in a sentence, and its scores beside those that needed no training.
pub fn report(report: &Report) -> String {
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
    let scores: String = table(&rows).lines().map(|line| format!("  {line}\n")).collect();
    format!("\nreport\n  {}\n{scores}", report.sentence.english())
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
        let text = report(&Report {
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
        assert_eq!(lines[2], ["It", "is", "better."]);
        assert_eq!(lines[4], ["accuracy", "0.7500", "0.2500"]);
        assert_eq!(lines[5], ["f1", "0.5000", "–"]);
    }
}
