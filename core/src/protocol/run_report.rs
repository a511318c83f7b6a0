//! A run's report as a file of its own: what a front end knows of the run, and in which form it is written.

use super::event::{RunInfo, RunSummary};
use super::judgement::Judgement;
use super::kept_run::RunSample;
use super::report::{PredictionTable, Report};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportForm {
    /// One page of HTML that needs nothing beside it, without a script.
    Html,
    /// Markdown.
    Markdown,
}

impl ReportForm {
    /// What the file is called.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Html => "lorakeet-report.html",
            Self::Markdown => "lorakeet-report.md",
        }
    }
}

/// A report to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// Its form.
    pub form: ReportForm,
    /// The tag of its language.
    pub language: String,
    /// What the model and the data are called.
    pub names: [String; 2],
    /// The run's settings, as YAML; none where they are not known.
    pub settings: Option<String>,
    /// SHA-256 of what the run read, as its record has them.
    pub inputs: BTreeMap<String, String>,
    /// How it began.
    pub info: Option<RunInfo>,
    /// How it ended.
    pub summary: Option<RunSummary>,
    /// Training losses by step, all of them finite.
    pub losses: Vec<(f64, f64)>,
    /// Validation losses by step, all of them finite.
    pub evals: Vec<(f64, f64)>,
    /// What the model wrote, the oldest first.
    pub samples: Vec<RunSample>,
    /// What it came to.
    pub report: Option<Report>,
    /// A closer look at that.
    pub judgement: Option<Judgement>,
    /// Its worst errors.
    pub predictions: PredictionTable,
}

impl ReportRequest {
    /// How many of the worst errors a report shows.
    pub const WORST_ROWS: usize = 20;

    /// The first and the last of a run's samples: how it wrote before, and how it writes now.
    pub fn first_and_last(samples: &[RunSample]) -> Vec<RunSample> {
        let last = samples.len().saturating_sub(1);
        let ends = samples.iter().enumerate();
        let ends = ends.filter(|(place, _)| [0, last].contains(place));
        ends.map(|(_, sample)| sample.clone()).collect()
    }
}
