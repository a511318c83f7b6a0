//! Scores, and what they come to: metrics, baselines, the report and tables of answers.

use super::number;
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A score of the validation split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalInfo {
    /// Optimizer steps done; 0 is the base model.
    pub step: usize,
    /// Mean loss a target token, in nats.
    #[serde(with = "number")]
    pub loss: f64,
    /// exp(loss).
    #[serde(with = "number")]
    pub perplexity: f64,
    /// Target tokens scored; of other tasks than generation, labels.
    pub tokens: u64,
    /// The task's own metrics, without those above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
}

/// A score by its name, such as `accuracy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name in run files.
    pub name: String,
    /// Its value; not a number where it has none for these rows.
    #[serde(with = "number")]
    pub value: f64,
}

impl Metric {
    /// The value of the one of this name; none where it is not among them.
    pub fn value_of(metrics: &[Self], name: &str) -> Option<f64> {
        let found = metrics.iter().find(|metric| metric.name == name);
        found.map(|metric| metric.value)
    }
}

/// How answers come about without training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaselineKind {
    /// The most frequent class, for every row.
    MajorityClass,
    /// The class whose mean vector is nearest.
    NearestCentroid,
    /// A linear model on the base model's vectors.
    LinearProbe,
    /// The labels that most rows have.
    UsualLabels,
    /// The value before, as the next.
    LastValue,
    /// The mean of the training rows.
    TrainingMean,
    /// Words in common.
    Bm25,
    /// The model as it was loaded.
    BaseModel,
    /// How likely an answer is to the model as it was loaded.
    BaseLikelihood,
    /// The model with the adapter that the run goes on with.
    ModelBefore,
}

impl BaselineKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::MajorityClass,
        Self::NearestCentroid,
        Self::LinearProbe,
        Self::UsualLabels,
        Self::LastValue,
        Self::TrainingMean,
        Self::Bm25,
        Self::BaseModel,
        Self::BaseLikelihood,
        Self::ModelBefore,
    ];

    /// Its name in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::MajorityClass => "majority_class",
            Self::NearestCentroid => "nearest_centroid",
            Self::LinearProbe => "linear_probe",
            Self::UsualLabels => "usual_labels",
            Self::LastValue => "last_value",
            Self::TrainingMean => "training_mean",
            Self::Bm25 => "bm25",
            Self::BaseModel => "base_model",
            Self::BaseLikelihood => "base_likelihood",
            Self::ModelBefore => "model_before",
        }
    }

    /// Its name in reports and logs.
    pub fn message(self) -> Message {
        match self {
            Self::MajorityClass => msg::MajorityClass.into(),
            Self::NearestCentroid => msg::NearestCentroid.into(),
            Self::LinearProbe => msg::LinearProbe.into(),
            Self::UsualLabels => msg::UsualLabels.into(),
            Self::LastValue => msg::LastValue.into(),
            Self::TrainingMean => msg::TrainingMean.into(),
            Self::Bm25 => msg::Bm25.into(),
            Self::BaseModel => msg::BaseModel.into(),
            Self::BaseLikelihood => msg::BaseLikelihood.into(),
            Self::ModelBefore => msg::ModelBefore.into(),
        }
    }
}

impl fmt::Display for BaselineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message().english())
    }
}

/// Scores that need no training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// How the answers came about.
    pub kind: BaselineKind,
    /// The kind's name.
    pub name: String,
    /// The task's metrics of them.
    pub metrics: Vec<Metric>,
}

/// What a run comes to on the validation rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was learnt.
    pub task: Task,
    /// The metric by which it is judged.
    pub metric: String,
    /// Metrics of the tuned model.
    pub metrics: Vec<Metric>,
    /// The scores to beat.
    pub baselines: Vec<Baseline>,
    /// The best of them by `metric`.
    pub against: String,
    /// The tuned model against it; none where the metric has no value for these rows.
    pub comparison: Option<Comparison>,
    /// Better, worse, or not to be told from chance.
    pub verdict: Option<Verdict>,
    /// What that means, in a sentence or two.
    pub sentence: Message,
    /// The classes by number; empty of other tasks.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How often each class was taken for each: right class, answer, rows; pairs that do not occur are left out.
    #[serde(default)]
    pub confusion: Vec<(usize, usize, u64)>,
    /// Precision, recall and F1 of each class.
    #[serde(default)]
    pub classes: Vec<ClassRow>,
    /// Whether the model is right as often as it is certain; bounds between which it never is are left out.
    #[serde(default)]
    pub calibration: Vec<CalibrationBin>,
}

/// One class's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Its name.
    pub label: String,
    /// Of the rows answered with it, the share for which it is right.
    pub precision: f64,
    /// Of the rows for which it is right, the share answered with it.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Rows for which it is right.
    pub support: u64,
}

/// The answers whose certainty lies between two bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower bound.
    pub from: f64,
    /// Upper bound.
    pub to: f64,
    /// How many.
    pub count: usize,
    /// Their mean certainty.
    #[serde(with = "number")]
    pub confidence: f64,
    /// The share of them that is right.
    #[serde(with = "number")]
    pub accuracy: f64,
}

/// Two scores of the same rows, and the interval of their difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The score to beat.
    pub before: f64,
    /// The other score.
    pub after: f64,
    /// after − before.
    pub difference: f64,
    /// Lower end of the interval of the difference.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Its confidence.
    pub confidence: f64,
    /// Rows scored.
    pub rows: usize,
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval is on the better side of 0.
    Better,
    /// 0 is in the interval, or there are fewer than ten rows.
    NotDistinguishable,
    /// The whole interval is on the worse side of 0.
    Worse,
}

/// What the model answers to a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextPrediction {
    /// The text.
    pub text: String,
    /// Probabilities of labels, the largest first; numbers by their targets' names; or the score of a document.
    pub values: Vec<Metric>,
}

/// A table of answers, the worst errors first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PredictionTable {
    /// The columns' names.
    pub columns: Vec<String>,
    /// A field for each column.
    pub rows: Vec<Vec<String>>,
}

impl PredictionTable {
    /// The table as csv (RFC 4180, lines ended by a line feed), the columns' names in the first line.
    ///
    /// A field that a spreadsheet would take for a formula, because it begins with `=`, `+`, `-`, `@`, a tab or a carriage return
    /// and is no number, gets a `'` in front, which spreadsheets take as the mark of a text (OWASP, "CSV Injection"): texts,
    /// labels and what a model writes come from strangers.
    pub fn to_csv(&self) -> String {
        let mut text = String::new();
        for row in [&self.columns].into_iter().chain(&self.rows) {
            for (place, field) in row.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                let field = as_text(field);
                // As RFC 4180 has it; a row of one empty field would be an empty line, which readers pass over.
                let is_quoted = field.contains(['"', ',', '\r', '\n']) || (field.is_empty() && row.len() == 1);
                match is_quoted {
                    true => text.extend(["\"", &field.replace('"', "\"\""), "\""]),
                    false => text.push_str(&field),
                }
            }
            text.push('\n');
        }
        text
    }
}

/// The field so that no spreadsheet computes it.
fn as_text(field: &str) -> std::borrow::Cow<'_, str> {
    match field.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number(field) {
        true => format!("'{field}").into(),
        false => field.into(),
    }
}

/// Whether a field is made as numbers are: digits with a point, a sign in front of them and of the exponent. (Reading it as one
/// would bring the standard library's table of 10 kB into the lab's program.)
fn is_number(field: &str) -> bool {
    let unsigned = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let has_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let field = unsigned(field);
    match field.split_once(['e', 'E']) {
        Some((digits, exponent)) => has_digits(digits) && has_digits(&unsigned(exponent)),
        None => has_digits(&field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_was_and_nothing_in_it_is_computed() {
        let fields = [
            "a,b",
            "say \"no\"",
            "two\nlines",
            "",
            "-1.5e-3",
            "+7",
            "=1+2",
            "-1-2",
            "@x",
            "-e",
        ];
        let table = PredictionTable {
            columns: fields.iter().map(|field| format!("of {field}")).collect(),
            rows: vec![fields.map(str::to_owned).to_vec(), vec![String::new()]],
        };
        let text = table.to_csv();
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        assert_eq!(
            reader.headers().expect("a header").iter().collect::<Vec<_>>(),
            table.columns
        );
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
        let read: Vec<&str> = rows[0].iter().collect();
        let safe = [
            "a,b",
            "say \"no\"",
            "two\nlines",
            "",
            "-1.5e-3",
            "+7",
            "'=1+2",
            "'-1-2",
            "'@x",
            "'-e",
        ];
        assert_eq!((read, rows.len()), (safe.to_vec(), 2));
    }

    #[test]
    fn a_kind_of_baseline_is_written_as_it_is_named() {
        for kind in BaselineKind::ALL {
            let written = serde_json::to_string(&kind).expect("a kind can be written");
            assert_eq!(written, format!("\"{}\"", kind.name()));
        }
    }

    #[test]
    fn all_kinds_of_baselines_are_listed() {
        // serde's refusal of an unknown name lists the names of all variants.
        let refusal = serde_json::from_str::<BaselineKind>("\"none\"").expect_err("no kind has this name");
        let refusal = refusal.to_string();
        let known: Vec<&str> = refusal.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, BaselineKind::ALL.map(BaselineKind::name), "{refusal}");
    }
}
