//! What a run came to, as it is kept beside its record, and a run that is opened again.

use super::Event;
use super::event::RunInfo;
use super::judgement::Judgement;
use super::kept_run::RunRecord;
use super::report::{Baseline, PredictionTable, Report};
use super::run_curve::RunCurve;
use crate::error::Error;
use serde::{Deserialize, Serialize};

/// What a run came to: all that it said at its end and that its record is too small for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunOutcome {
    /// The run's id.
    pub id: String,
    /// How it began.
    #[serde(default)]
    pub info: Option<RunInfo>,
    /// The step whose weights were kept.
    #[serde(default)]
    pub kept: usize,
    /// Scores without training.
    #[serde(default)]
    pub baselines: Vec<Baseline>,
    /// The trained model compared with that.
    #[serde(default)]
    pub report: Option<Report>,
    /// A closer look at its answers.
    #[serde(default)]
    pub judgement: Option<Judgement>,
    /// Its answers row by row, the worst errors first; empty where they were too many to be kept.
    #[serde(default)]
    pub predictions: PredictionTable,
}

impl RunOutcome {
    /// Takes an event of the run; those that are no part of it are ignored.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Started(info) => self.info = Some(info.clone()),
            Event::Baseline { scores } => self.baselines.clone_from(scores),
            Event::Report(report) => self.report = Some((**report).clone()),
            Event::Judgement(judgement) => self.judgement = Some((**judgement).clone()),
            Event::Predictions(table) => self.predictions.clone_from(table),
            _ => {}
        }
    }
}

/// A run of the store that has ended, opened again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenedRun {
    /// What it is.
    pub record: RunRecord,
    /// What it came to; of a run of an older release nothing but its id and the step.
    pub outcome: RunOutcome,
    /// Its curve.
    pub curve: RunCurve,
    /// Whether the loaded model has its weights now.
    pub has_weights: bool,
    /// Whether the loaded data are those that it was trained on.
    pub has_data: bool,
    /// Why the model has not its weights, where they were asked for.
    pub problem: Option<Error>,
}
