//! Judging the fine-tuned model: which rows of its table are shown, the threshold that is kept, the tally of a blind comparison.

use lorakeet_core::protocol::{DecisionKind, Decisions, Metric, PredictionTable};
use std::collections::BTreeSet;

/// Labels that can be chosen from.
const MOST_LABELS: usize = 50;

/// Which rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Which {
    /// All.
    #[default]
    All,
    /// Those that were answered wrongly.
    Wrong,
    /// Those that were answered rightly.
    Right,
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As the engine has them.
    #[default]
    LargestLoss,
    /// The other way round.
    SmallestLoss,
    /// By the model's confidence, rising.
    LeastConfident,
    /// Falling.
    MostConfident,
}

/// What the person wants to see of the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowFilter {
    /// Wrong or right.
    pub which: Which,
    /// A label; empty for any.
    pub label: String,
    /// What the text has in it, in small letters; empty for any.
    pub text: String,
    /// The order.
    pub order: Order,
}

fn column(table: &PredictionTable, names: &[&str]) -> Option<usize> {
    table.columns.iter().position(|column| names.contains(&column.as_str()))
}

fn field(row: &[String], place: Option<usize>) -> &str {
    place.and_then(|place| row.get(place)).map_or("", String::as_str)
}

/// The column of the model's confidence, where the table has one.
pub fn confidence(table: &PredictionTable) -> Option<usize> {
    column(table, &["confidence"])
}

/// Whether the table knows which rows are right: numbers are never quite.
pub fn tells_right(table: &PredictionTable) -> bool {
    table.rows.iter().any(|row| is_right(table, row).is_some())
}

/// Whether a row was answered rightly, where that can be said.
fn is_right(table: &PredictionTable, row: &[String]) -> Option<bool> {
    if let Some(rank) = column(table, &["rank_of_first_relevant"]) {
        return Some(field(row, Some(rank)) == "1");
    }
    if let Some(margin) = column(table, &["margin"]) {
        return Some(field(row, Some(margin)).parse::<f64>().ok()? > 0.0);
    }
    if column(table, &["residual"]).is_some() {
        return None;
    }
    let answer = column(table, &["prediction", "predictions"])?;
    let label = column(table, &["label", "labels"])?;
    // Of words some have no label; none of several labels is an answer.
    if table.columns[label] == "label" && field(row, Some(label)).is_empty() {
        return None;
    }
    Some(field(row, Some(label)) == field(row, Some(answer)))
}

/// The labels in a row's field: where there may be several, bars stand between them; a single one may have bars in it.
fn labels_of<'a>(table: &PredictionTable, place: usize, row: &'a [String]) -> Vec<&'a str> {
    let text = field(row, Some(place));
    match table.columns[place] == "labels" {
        true => text.split('|').collect(),
        false => vec![text],
    }
}

/// The labels that rows can be chosen by; none of them where they are too many, or no labels.
pub fn labels(table: &PredictionTable) -> Vec<String> {
    let classes = column(table, &["confidence"]).is_some() || column(table, &["labels"]).is_some();
    let Some(place) = column(table, &["label", "labels"]).filter(|_| classes) else {
        return Vec::new();
    };
    let mut found = BTreeSet::new();
    for row in &table.rows {
        let labels = labels_of(table, place, row).into_iter();
        found.extend(labels.filter(|label| !label.is_empty()));
        if found.len() > MOST_LABELS {
            return Vec::new();
        }
    }
    found.into_iter().map(str::to_owned).collect()
}

/// The places of the rows that a filter shows, in its order.
pub fn shown_rows(table: &PredictionTable, filter: &RowFilter) -> Vec<usize> {
    let (label, text) = (column(table, &["label", "labels"]), table.columns.len().checked_sub(1));
    let is_shown = |row: &Vec<String>| {
        let which = match filter.which {
            Which::All => true,
            Which::Wrong => is_right(table, row) == Some(false),
            Which::Right => is_right(table, row) == Some(true),
        };
        let is_of_label = |place| labels_of(table, place, row).contains(&filter.label.as_str());
        let has_label = filter.label.is_empty() || label.is_some_and(is_of_label);
        let has_text = filter.text.is_empty() || field(row, text).to_lowercase().contains(&filter.text);
        which && has_label && has_text
    };
    let places = table.rows.iter().enumerate().filter(|(_, row)| is_shown(row));
    let mut places: Vec<usize> = places.map(|(place, _)| place).collect();
    let confidence = confidence(table);
    let certainty = |place: &usize| {
        field(&table.rows[*place], confidence)
            .parse::<f64>()
            .unwrap_or(f64::NAN)
    };
    match filter.order {
        Order::LargestLoss => {}
        Order::SmallestLoss => places.reverse(),
        Order::LeastConfident => places.sort_by(|a, b| certainty(a).total_cmp(&certainty(b))),
        Order::MostConfident => places.sort_by(|a, b| certainty(b).total_cmp(&certainty(a))),
    }
    places
}

/// A threshold that decides answers from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptThreshold {
    /// How probabilities become decisions.
    pub kind: DecisionKind,
    /// The names of the classes or labels.
    pub names: Vec<String>,
    /// Of two classes, the place of the positive one.
    pub positive: usize,
    /// One threshold; of labels one each.
    pub values: Vec<f64>,
}

impl KeptThreshold {
    /// The thresholds as text.
    pub fn text(&self) -> String {
        let alike = self.values.windows(2).all(|pair| pair[0] == pair[1]);
        let values = self.values.iter().take(if alike { 1 } else { usize::MAX });
        values.map(f64::to_string).collect::<Vec<_>>().join("|")
    }

    /// What is decided of named probabilities, the largest first; nothing where that is to answer nothing.
    pub fn decide(&self, values: &[Metric]) -> String {
        let of = |name: &str| {
            values
                .iter()
                .find(|value| value.name == name)
                .map_or(0.0, |value| value.value)
        };
        let threshold = self.values.first().copied().unwrap_or(0.5);
        match self.kind {
            DecisionKind::Binary => {
                let is_positive = self
                    .names
                    .get(self.positive)
                    .is_some_and(|name| of(name.as_str()) >= threshold);
                self.binary(is_positive)
            }
            DecisionKind::Reject => {
                let best = values.first().filter(|best| best.value >= threshold);
                best.map(|best| best.name.clone()).unwrap_or_default()
            }
            DecisionKind::Labels => {
                let named = self.names.iter().zip(&self.values);
                let applying = named.filter(|(name, threshold)| of(name.as_str()) >= **threshold);
                applying.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("|")
            }
        }
    }

    fn binary(&self, is_positive: bool) -> String {
        let place = if is_positive {
            self.positive
        } else {
            1 - self.positive.min(1)
        };
        self.names.get(place).cloned().unwrap_or_default()
    }

    /// What is decided of a row of the table, whose numbers these are.
    fn decide_row(&self, probabilities: &[f64], prediction: &str) -> String {
        let threshold = self.values.first().copied().unwrap_or(0.5);
        let first = probabilities.first().copied().unwrap_or(f64::NAN);
        match self.kind {
            DecisionKind::Binary => self.binary(probability_of(self.positive, first) >= threshold),
            DecisionKind::Reject if first >= threshold => prediction.to_owned(),
            DecisionKind::Reject => String::new(),
            DecisionKind::Labels => {
                let numbers = probabilities.iter().zip(&self.values);
                let applying = self
                    .names
                    .iter()
                    .zip(numbers)
                    .filter(|(_, (value, threshold))| value >= threshold);
                applying.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("|")
            }
        }
    }

    /// The table with what is decided of each row.
    pub fn decided(&self, table: &PredictionTable, decisions: &Decisions) -> PredictionTable {
        let answer = column(table, &["prediction"]);
        let mut table = table.clone();
        table.columns.extend(["decision", "threshold"].map(str::to_owned));
        let threshold = self.text();
        let rows = table
            .rows
            .iter_mut()
            .zip(decisions.probabilities.chunks(decisions.width()));
        for (row, probabilities) in rows {
            let decision = self.decide_row(probabilities, field(row, answer));
            row.extend([decision, threshold.clone()]);
        }
        table
    }
}

/// The probability of a class of two, of which the second has this one.
pub fn probability_of(class: usize, second: f64) -> f64 {
    if class == 0 { 1.0 - second } else { second }
}

/// The rows of a label, or of all of them (`None`), as whether they are positive and with which probability.
pub fn rows_of(decisions: &Decisions, label: Option<usize>, positive: usize) -> Vec<(bool, f64)> {
    let width = decisions.width();
    let rows = decisions
        .truth
        .iter()
        .copied()
        .zip(decisions.probabilities.iter().copied());
    let rows = rows
        .enumerate()
        .filter(|(place, _)| label.is_none_or(|label| place % width == label));
    let flipped = decisions.kind == DecisionKind::Binary && positive == 0;
    rows.map(|(_, (truth, probability))| match flipped {
        true => (!truth, probability_of(0, probability)),
        false => (truth, probability),
    })
    .collect()
}

/// How often each answer was preferred without knowing whose it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// That of the fine-tuned model.
    pub tuned: u32,
    /// That of the base model.
    pub base: u32,
    /// Neither.
    pub ties: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> PredictionTable {
        let columns = [
            "row",
            "label",
            "prediction",
            "confidence",
            "probability_of_label",
            "text",
        ];
        let rows = [
            ["2", "spam", "ham", "0.9", "0.1", "Win a prize"],
            ["3", "ham", "ham", "0.6", "0.6", "see you"],
            ["4", "spam", "spam", "0.8", "0.8", "a Prize"],
        ];
        PredictionTable {
            columns: columns.map(str::to_owned).to_vec(),
            rows: rows.map(|row| row.map(str::to_owned).to_vec()).to_vec(),
        }
    }

    fn decisions() -> Decisions {
        Decisions {
            kind: DecisionKind::Binary,
            names: ["ham", "spam"].map(str::to_owned).to_vec(),
            truth: vec![true, false, true],
            probabilities: vec![0.1, 0.4, 0.8],
        }
    }

    #[test]
    fn rows_are_chosen_by_rightness_label_and_text_and_put_in_order() {
        let shown = |filter: RowFilter| shown_rows(&table(), &filter);
        let which = |which| RowFilter {
            which,
            ..RowFilter::default()
        };
        assert!(tells_right(&table()));
        assert_eq!(
            (shown(which(Which::Wrong)), shown(which(Which::Right))),
            (vec![0], vec![1, 2])
        );
        assert_eq!(labels(&table()), ["ham", "spam"]);
        let filter = RowFilter {
            label: "spam".into(),
            text: "prize".into(),
            order: Order::LeastConfident,
            ..RowFilter::default()
        };
        assert_eq!(shown(filter), [2, 0]);
        let order = Order::SmallestLoss;
        assert_eq!(
            shown(RowFilter {
                order,
                ..RowFilter::default()
            }),
            [2, 1, 0]
        );
    }

    #[test]
    fn bars_stand_between_labels_only_where_there_can_be_several() {
        let of = |column: &str| PredictionTable {
            columns: [column, "confidence", "text"].map(str::to_owned).to_vec(),
            rows: ["a|b", "b"]
                .map(|label| [label, "0.9", "it"].map(str::to_owned).to_vec())
                .to_vec(),
        };
        let chosen = |table: &PredictionTable, label: &str| {
            let label = label.to_owned();
            shown_rows(
                table,
                &RowFilter {
                    label,
                    ..RowFilter::default()
                },
            )
        };
        let (single, several) = (of("label"), of("labels"));
        assert_eq!(
            (labels(&single), labels(&several)),
            (vec!["a|b".into(), "b".into()], vec!["a".into(), "b".into()])
        );
        assert_eq!((chosen(&single, "b"), chosen(&single, "a|b")), (vec![1], vec![0]));
        assert_eq!((chosen(&several, "b"), chosen(&several, "a")), (vec![0, 1], vec![0]));
    }

    #[test]
    fn numbers_are_neither_right_nor_wrong_and_a_ranking_is_right_where_the_first_document_is() {
        let of = |columns: &[&str], row: &[&str]| PredictionTable {
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: vec![row.iter().map(ToString::to_string).collect()],
        };
        assert!(!tells_right(&of(
            &["label", "prediction", "residual"],
            &["1", "1", "0"]
        )));
        let ranking = of(&["rank_of_first_relevant"], &["2"]);
        assert_eq!(is_right(&ranking, &ranking.rows[0]), Some(false));
        assert!(labels(&ranking).is_empty());
    }

    #[test]
    fn a_kept_threshold_decides_rows_and_typed_texts_alike() {
        let kept = |positive, value| KeptThreshold {
            kind: DecisionKind::Binary,
            names: decisions().names,
            positive,
            values: vec![value],
        };
        let of = |kept: &KeptThreshold| -> Vec<String> {
            let table = kept.decided(&table(), &decisions());
            table.rows.iter().map(|row| row[6..].join(" ")).collect()
        };
        assert_eq!(of(&kept(1, 0.3)), ["ham 0.3", "spam 0.3", "spam 0.3"]);
        assert_eq!(of(&kept(0, 0.95)), ["spam 0.95", "spam 0.95", "spam 0.95"]);
        let typed = [("ham", 0.6), ("spam", 0.4)].map(|(name, value)| Metric {
            name: name.into(),
            value,
        });
        assert_eq!(
            (kept(1, 0.3).decide(&typed), kept(1, 0.5).decide(&typed)),
            ("spam".into(), "ham".into())
        );
        let refusing = KeptThreshold {
            kind: DecisionKind::Reject,
            ..kept(1, 0.7)
        };
        assert_eq!(refusing.decide(&typed), "");
        let labels = KeptThreshold {
            kind: DecisionKind::Labels,
            values: vec![0.5, 0.4],
            ..kept(1, 0.0)
        };
        assert_eq!(
            (labels.decide(&typed).as_str(), labels.text().as_str()),
            ("ham|spam", "0.5|0.4")
        );
    }

    #[test]
    fn the_positive_class_can_be_either() {
        assert_eq!(rows_of(&decisions(), None, 1), [(true, 0.1), (false, 0.4), (true, 0.8)]);
        let other = rows_of(&decisions(), None, 0);
        assert_eq!(
            (other[0].0, other[1].0, (other[1].1 - 0.6).abs() < 1e-12),
            (false, true, true)
        );
    }
}
