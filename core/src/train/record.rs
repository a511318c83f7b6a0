//! `run.json`: what a run is made of, where it stands and what it came to, in the run's folder. The layout is one for both homes of
//! runs: a folder on disk, and one in the browser's store. `outcome.json` beside it is what the run said at its end: report, answers,
//! a closer look at them. In the store `curve.json` stands in for the log that a folder on disk
//! has: the run's whole curve in few points.

use super::fingerprint::Fingerprint;
use crate::config::RunConfig;
use crate::error::{Error, Kind, Result};
use crate::protocol::{
    BaselineKind, EvalInfo, Event, PredictionTable, RateChange, RunCurve, RunOutcome, RunRecord, RunSample, RunScore,
    RunState, RunSummary, StepInfo, better_score,
};
use crate::store::{Sink, Source, read_all};
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::run as msg;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The record of a run.
pub const RECORD: &str = "run.json";
/// The curve of a run that is kept in the browser's store.
pub const CURVE: &str = "curve.json";
/// What a run that has ended came to.
pub const OUTCOME: &str = "outcome.json";
/// The longest outcome that is written and read.
const MOST_OUTCOME_BYTES: usize = 32 << 20;
/// The most notes of a run.
const MOST_NOTES: usize = 50;
/// The longest of record and curve that is read.
const MOST_RECORD_BYTES: u64 = 16 << 20;

/// The record of a run under way.
pub(crate) struct RecordFile {
    sink: Rc<dyn Sink>,
    record: RefCell<RunRecord>,
    /// Whether it lies in the folder already.
    is_written: Cell<bool>,
    curve: RefCell<RunCurve>,
    /// Whether the curve is written beside it.
    keeps_curve: bool,
}

impl RecordFile {
    /// The record of a run that nobody ended, to be written into `sink`.
    pub(crate) fn new(sink: Rc<dyn Sink>, record: RunRecord) -> Self {
        let record = RunRecord {
            state: RunState::Open,
            summary: None,
            failure: None,
            ..record
        };
        Self {
            sink,
            record: RefCell::new(record),
            is_written: Cell::new(false),
            curve: RefCell::default(),
            keeps_curve: false,
        }
    }

    /// The same with the curve beside it, which goes on from `curve`.
    pub(crate) fn keeping_curve(self, curve: RunCurve) -> Self {
        Self {
            curve: RefCell::new(curve),
            keeps_curve: true,
            ..self
        }
    }

    /// Its run is the one that it is to be, and begins: with which settings, what it read, how long it is to be and what it learns.
    /// What was written after the step that it goes on from is forgotten; all of it where it starts anew.
    ///
    /// # Errors
    /// Storage refuses.
    pub(crate) async fn begin(
        &self,
        config: &RunConfig,
        fingerprint: &Fingerprint,
        (max_steps, goes_on_from): (usize, Option<usize>),
        task: Task,
    ) -> Result<()> {
        self.change(|record| {
            let is_past = |sample: &RunSample| goes_on_from.is_some_and(|step| sample.step <= step);
            record.samples.retain(is_past);
            let is_past = |score: &RunScore| goes_on_from.is_some_and(|step| score.step <= step);
            record.score = record.score.take().filter(is_past);
            record.settings = RunRecord::settings_of(config);
            record.inputs = fingerprint.inputs().clone();
            (record.max_steps, record.task) = (Some(max_steps), task);
        });
        self.curve.borrow_mut().cut(goes_on_from);
        self.write().await
    }

    /// `steps` and `evals` are what the run had reported before, for a curve that was not kept. Gives the seconds that the curve
    /// covers.
    pub(crate) fn go_on(&self, steps: &[StepInfo], evals: &[EvalInfo]) -> f64 {
        let mut curve = self.curve.borrow_mut();
        if curve.is_empty() {
            *curve = RunCurve::of_reports(steps, evals);
        }
        curve.seconds()
    }

    /// Adds what a step reported to the curve.
    pub(crate) fn add_step(&self, step: &StepInfo) {
        self.curve.borrow_mut().add_step(step);
    }

    /// Adds a score to the curve after so many tokens and seconds, and sees whether it is the best by the metric that judges the run.
    /// `baseline` is what that has to beat.
    pub(crate) fn add_eval(
        &self,
        eval: &EvalInfo,
        (tokens, seconds): (u64, f64),
        metric: &str,
        baseline: Option<(f64, BaselineKind)>,
    ) {
        let mut curve = self.curve.borrow_mut();
        curve.add_eval(eval, tokens, seconds);
        // Where nothing is trained, the only score is the model's own.
        let is_probe = self.record.borrow().max_steps == Some(0);
        let only = || Some((eval.step, curve.value_at(eval.step, metric)?)).filter(|_| is_probe);
        let known = self.record.borrow().score.clone();
        // The curve of a long run forgets some of its scores.
        let known = known
            .filter(|known| known.metric == metric)
            .map(|known| (known.step, known.best));
        if let Some((step, best)) = better_score(metric, known, curve.best(metric).or_else(only)) {
            let score = RunScore {
                metric: metric.to_owned(),
                best,
                step,
                baseline: baseline.map(|baseline| baseline.0),
                against: baseline.map(|baseline| baseline.1),
            };
            self.change(|record| record.score = Some(score));
        }
    }

    /// Writes the curve and the best score as they are now, where the curve is kept.
    ///
    /// # Errors
    /// Storage refuses.
    pub(crate) async fn write_curve(&self) -> Result<()> {
        if !self.keeps_curve {
            return Ok(());
        }
        let text = serde_json::to_string(&*self.curve.borrow()).map_err(|error| unwritable(CURVE, error))?;
        self.sink.write(CURVE, text.as_bytes()).await?;
        self.write().await
    }

    /// Writes down how it ended, where anything was written of it. One whose device or engine failed stays open, to go on elsewhere.
    ///
    /// # Errors
    /// Storage refuses.
    pub(crate) async fn end(&self, outcome: &Result<RunSummary>) -> Result<()> {
        if !self.is_written.get() {
            return Ok(());
        }
        self.change(|record| {
            record.state = state_after(outcome);
            record.summary = outcome.as_ref().ok().cloned();
            record.failure = outcome.as_ref().err().cloned();
        });
        match self.keeps_curve {
            true => self.write_curve().await,
            false => self.write().await,
        }
    }

    /// What the model wrote so far.
    pub(crate) fn samples(&self) -> Vec<RunSample> {
        self.record.borrow().samples.clone()
    }

    /// Adds what the model wrote, in place of what it wrote at the same step before.
    pub(crate) fn add_sample(&self, sample: RunSample) {
        self.change(|record| {
            record.samples.retain(|known| known.step != sample.step);
            record.samples.push(sample);
        });
    }

    /// Adds a note, if it is none of those that are there.
    pub(crate) fn note(&self, note: &Message) {
        self.change(|record| {
            if record.notes.len() < MOST_NOTES && !record.notes.contains(note) {
                record.notes.push(note.clone());
            }
        });
    }

    /// Writes what the run came to. Where it is too long, the answers row by row are left out.
    ///
    /// # Errors
    /// Storage refuses.
    pub(crate) async fn write_outcome(&self, outcome: RunOutcome) -> Result<()> {
        if !self.is_written.get() {
            return Ok(());
        }
        let mut outcome = RunOutcome {
            id: self.record.borrow().id.clone(),
            ..outcome
        };
        let text = |outcome: &RunOutcome| serde_json::to_string(outcome).map_err(|error| unwritable(OUTCOME, error));
        let mut written = text(&outcome)?;
        if written.len() > MOST_OUTCOME_BYTES {
            outcome.predictions = PredictionTable::default();
            outcome.judgement = None;
            written = text(&outcome)?;
        }
        self.sink.write(OUTCOME, written.as_bytes()).await
    }

    /// Where the run went back to last.
    pub(crate) fn rate_change(&self) -> Option<RateChange> {
        self.record.borrow().rate_changes.last().copied()
    }

    /// Changes what is to be written.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut RunRecord) -> T) -> T {
        change(&mut self.record.borrow_mut())
    }

    /// Writes it as it is now.
    ///
    /// # Errors
    /// Storage refuses.
    pub(crate) async fn write(&self) -> Result<()> {
        let record = self.record.borrow().clone();
        write_record(self.sink.as_ref(), &record).await?;
        self.is_written.set(true);
        Ok(())
    }
}

/// What is heard of a run under way, for its record.
#[derive(Default)]
pub(crate) struct Heard {
    /// What it came to so far.
    pub(crate) outcome: RefCell<RunOutcome>,
    record: RefCell<Option<Rc<RecordFile>>>,
    /// Notes from before there is a record.
    early: RefCell<Vec<Message>>,
}

impl Heard {
    /// Takes an event of the run.
    pub(crate) fn take(&self, event: &Event) {
        match (&*self.record.borrow(), event) {
            (Some(record), Event::Warning { message }) => record.note(message),
            (None, Event::Warning { message }) => self.early.borrow_mut().push(message.clone()),
            (Some(_), event) => self.outcome.borrow_mut().take(event),
            // Of a run that is not written down nothing is kept.
            (None, _) => {}
        }
    }

    /// This is the run's record.
    pub(crate) fn is_of(&self, record: Rc<RecordFile>) {
        self.early.take().iter().for_each(|note| record.note(note));
        *self.record.borrow_mut() = Some(record);
    }
}

/// Writes a record into the folder of its run.
///
/// # Errors
/// Storage refuses.
pub(crate) async fn write_record(sink: &dyn Sink, record: &RunRecord) -> Result<()> {
    let text = serde_json::to_string_pretty(record).map_err(|error| unwritable(RECORD, error))?;
    sink.write(RECORD, text.as_bytes()).await
}

fn unwritable(place: &'static str, what: serde_json::Error) -> Error {
    Error::internal(common::At { place, what })
}

/// Where a run stands that ended so.
pub(crate) fn state_after(outcome: &Result<RunSummary>) -> RunState {
    let may_go_on = |kind| matches!(kind, Kind::Device | Kind::OutOfMemory | Kind::Internal | Kind::File);
    match outcome {
        Ok(summary) if summary.finished => RunState::Finished,
        Err(error) if may_go_on(error.kind) => RunState::Open,
        _ => RunState::Stopped,
    }
}

/// The record among the files of a run's folder.
///
/// # Errors
/// There is none, or it is damaged.
pub async fn read_record(files: &[(String, Source)]) -> Result<RunRecord> {
    let file = files.iter().find(|(path, _)| path == RECORD);
    let (_, source) = file.ok_or_else(|| Error::format(msg::NoRecord).file(RECORD))?;
    let bytes = read_all(source.as_ref(), MOST_RECORD_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|why| Error::format(msg::RecordDamaged { why }).file(RECORD))
}

/// The curve among the files of a run's folder; none where none was kept.
///
/// # Errors
/// It is damaged.
pub(crate) async fn read_curve(files: &[(String, Source)]) -> Result<Option<RunCurve>> {
    let Some((_, source)) = files.iter().find(|(path, _)| path == CURVE) else {
        return Ok(None);
    };
    let bytes = read_all(source.as_ref(), MOST_RECORD_BYTES).await?;
    let read = serde_json::from_slice(&bytes);
    read.map(Some)
        .map_err(|why| Error::format(msg::RecordDamaged { why }).file(CURVE))
}

/// What the run of a record came to, by the files of its folder; none where that was not kept, is damaged, or is of an earlier run.
pub async fn read_outcome(files: &[(String, Source)], record: &RunRecord) -> Option<RunOutcome> {
    record.summary.as_ref()?;
    let (_, source) = files.iter().find(|(path, _)| path == OUTCOME)?;
    let bytes = read_all(source.as_ref(), MOST_OUTCOME_BYTES as u64).await.ok()?;
    let outcome: RunOutcome = serde_json::from_slice(&bytes).ok()?;
    (outcome.id == record.id).then_some(outcome)
}
