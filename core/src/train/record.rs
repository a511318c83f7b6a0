//! `run.json`: what a run is made of, where it stands and what it came to, in the run's folder. The layout is one for both homes of
//! runs: a folder on disk, and one in the browser's store.

use super::fingerprint::Fingerprint;
use crate::config::RunConfig;
use crate::error::{Error, Kind, Result};
use crate::protocol::{RateChange, RunRecord, RunSample, RunState, RunSummary};
use crate::store::{Sink, Source, read_all};
use crate::task::Task;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::run as msg;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The record of a run.
pub const RECORD: &str = "run.json";
/// The longest that is read.
const MOST_RECORD_BYTES: u64 = 16 << 20;

/// The record of a run under way.
pub(crate) struct RecordFile {
    sink: Rc<dyn Sink>,
    record: RefCell<RunRecord>,
    /// Whether it lies in the folder already.
    is_written: Cell<bool>,
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
            record.settings = RunRecord::settings_of(config);
            record.inputs = fingerprint.inputs().clone();
            (record.max_steps, record.task) = (Some(max_steps), task);
        });
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
        self.write().await
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
        let text = serde_json::to_string_pretty(&*self.record.borrow());
        let text = text.map_err(|error| {
            Error::internal(common::At {
                place: RECORD,
                what: error,
            })
        })?;
        self.sink.write(RECORD, text.as_bytes()).await?;
        self.is_written.set(true);
        Ok(())
    }
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
