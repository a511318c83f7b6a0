//! Runs that outlive the program: a folder each on the session's shelf, and copies of the person's files beside them.
//!
//! | file of `run-ID` | content |
//! | --- | --- |
//! | `run.json` | the [`crate::protocol::RunRecord`] ([`crate::train::record`]) |
//! | `curve.json` | the [`crate::protocol::RunCurve`] |
//! | `checkpoint-N/` | as [`checkpoint`] writes them: the two newest, and what a run that goes wrong goes back to |
//! | the rest | what the run came to, as in an `output_dir` |
//!
//! A copy of a file is named by its SHA-256, so that runs on the same file share it, and files of one name that differ in any byte
//! do not. It is there whole when it has the file's length, for it is written from front to back.

use super::Inputs;
use crate::config::RunConfig;
use crate::error::{Error, Kind, Result};
use crate::host::Emit;
use crate::protocol::{
    COPIES, InputFile, Keep, RateChange, RunCurve, RunInput, RunRecord, RunState, RunSummary, Stage, StoredCopy,
    StoredRun,
};
use crate::store::{Claim, IndexedSink, Shelf, Sink, Source, sha256_watched};
use crate::train::checkpoint::{self, Checkpoint};
use crate::train::record::{RecordFile, read_curve, read_record, state_after};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;
use std::collections::BTreeSet;
use std::rc::Rc;

/// What stands before the id in the name of a run's folder.
const RUN: &str = "run-";
/// What is copied at a time.
const PIECE_BYTES: u64 = 4 << 20;
/// Points of the small picture of a run's loss.
const SPARKLINE_POINTS: usize = 60;

/// A run under way that is kept.
pub(super) struct KeptRun {
    pub(super) sink: Rc<IndexedSink>,
    pub(super) file: Rc<RecordFile>,
    shelf: Rc<dyn Shelf>,
    folder: String,
    _claim: Claim,
}

impl KeptRun {
    /// A new run's folder, or that of one that goes on, with the newest checkpoint that is whole. Of those that are not, it tells.
    /// Of one that goes back because it went wrong, the checkpoint is one that was good, and the settings' rate is written down.
    ///
    /// # Errors
    /// There is no such run, it is under way elsewhere, it cannot go back, or storage refuses.
    pub(super) async fn open(
        shelf: &Rc<dyn Shelf>,
        keep: Keep,
        config: &RunConfig,
        inputs: &Inputs,
        emit: &mut Emit<'_>,
    ) -> Result<(Self, Option<Checkpoint>)> {
        let (id, back_to) = match &keep {
            Keep::New(record) => (record.id.clone(), None),
            Keep::GoOn(id) => (id.clone(), None),
            Keep::GoBack { id, step } => (id.clone(), Some(*step)),
        };
        let folder = folder(&id)?;
        let claim = shelf.claim(&folder).await?;
        let claim = claim.ok_or_else(|| Error::config(msg::RunIsUnderWay).remedy(msg::UseTheOtherTab))?;
        let (mut record, newest, curve) = match keep {
            Keep::New(record) => (*record, None, RunCurve::default()),
            Keep::GoOn(_) | Keep::GoBack { .. } => {
                let files = IndexedSink::read(shelf, &folder).await?;
                let newest = newest_checkpoint(&files, back_to, emit).await?;
                // One that is damaged is made anew of what the checkpoint knows.
                let curve = read_curve(&files).await.ok().flatten().unwrap_or_default();
                (read_record(&files).await?, newest, curve)
            }
        };
        let back = match back_to {
            Some(step) => Some(rate_change(&record, step, newest.as_ref(), config)?),
            None => None,
        };
        let sink = Rc::new(IndexedSink::open(shelf.clone(), folder.clone()).await?);
        if let Some(change) = back {
            // First: the newest checkpoint is the one that a run goes on from wherever this is cut off.
            for step in checkpoint::steps(&*sink).await? {
                if step > change.step {
                    checkpoint::remove(&*sink, step).await?;
                }
            }
            record.settings = RunRecord::settings_of(config);
            record.rate_changes.push(change);
        }
        let run = Self {
            file: Rc::new(RecordFile::new(sink.clone(), record).keeping_curve(curve)),
            sink,
            shelf: shelf.clone(),
            folder,
            _claim: claim,
        };
        run.file.write().await?;
        run.copy_inputs(shelf.as_ref(), inputs, emit).await?;
        run.file.write().await?;
        Ok((run, newest))
    }

    /// Bytes that can still be written, where that is known.
    pub(super) async fn free_bytes(&self) -> Option<u64> {
        self.shelf.available_bytes().await
    }

    /// Writes down how it ended. One that failed by itself before its first checkpoint leaves nothing.
    ///
    /// # Errors
    /// Storage refuses.
    pub(super) async fn end(self, outcome: &Result<RunSummary>) -> Result<()> {
        let leaves_nothing = outcome.is_err() && state_after(outcome) == RunState::Stopped;
        if leaves_nothing && self.sink.folders().await?.is_empty() {
            return self.shelf.remove_folder(&self.folder).await;
        }
        self.file.end(outcome).await
    }

    /// Copies the person's files, so that the run can go on without being given them again. What does not fit is told of.
    async fn copy_inputs(&self, shelf: &dyn Shelf, inputs: &Inputs, emit: &mut Emit<'_>) -> Result<()> {
        let mut record = self.file.change(|record| record.clone());
        let of_record = [
            Some(&mut record.model),
            Some(&mut record.data),
            record.validation.as_mut(),
            record.adapter.as_mut(),
        ];
        let given = [&inputs.model, &inputs.data, &inputs.validation, &inputs.adapter];
        for (input, sources) in of_record.into_iter().zip(given) {
            let Some(RunInput::Files(files)) = input else { continue };
            for file in files {
                let source = sources
                    .iter()
                    .find(|source| source.name() == file.name && source.len_bytes() == file.bytes);
                if let Some(source) = source
                    && file.copy.is_none()
                {
                    file.copy = copy(shelf, (inputs, source), emit).await?;
                }
            }
        }
        self.file.change(|kept| *kept = record);
        Ok(())
    }
}

impl Inputs {
    /// SHA-256 of one of them, which is read once.
    ///
    /// # Errors
    /// It cannot be read, or a stop is asked for.
    async fn digest(&self, source: &Source, emit: &mut Emit<'_>) -> Result<String> {
        let known = self
            .digests
            .borrow()
            .iter()
            .find(|(known, _)| Rc::ptr_eq(known, source))
            .cloned();
        if let Some((_, digest)) = known {
            return Ok(digest);
        }
        let total = source.len_bytes();
        let watch = async |done| {
            emit.progress(Stage::Check, done, total);
            emit.yield_or_stop(msg::StoppedPreparingRows).await
        };
        let digest = sha256_watched(source, watch).await?;
        let all = [&self.model, &self.data, &self.validation, &self.adapter];
        let mut digests = self.digests.borrow_mut();
        digests.retain(|(known, _)| all.iter().any(|files| files.iter().any(|file| Rc::ptr_eq(file, known))));
        digests.push((source.clone(), digest.clone()));
        Ok(digest)
    }
}

/// Copies a file and gives back the copy's name; none where there is no room for it.
async fn copy(shelf: &dyn Shelf, (inputs, source): (&Inputs, &Source), emit: &mut Emit<'_>) -> Result<Option<String>> {
    let bytes = source.len_bytes();
    let mut as_long = BTreeSet::new();
    for name in shelf.files(COPIES).await? {
        if shelf.open(COPIES, &name).await?.len_bytes() == bytes {
            as_long.insert(name);
        }
    }
    let available = shelf.available_bytes().await;
    // What trains needs room, too.
    let has_room = available.is_none_or(|available| bytes <= available / 2);
    // One that cannot be there and cannot be copied need not be read.
    let name = match has_room || !as_long.is_empty() {
        true => Some(inputs.digest(source, emit).await?),
        false => None,
    };
    if let Some(name) = name.as_ref().filter(|name| as_long.contains(*name)) {
        return Ok(Some(name.clone()));
    }
    let Some(name) = name.filter(|_| has_room) else {
        emit.warn(no_room(source));
        return Ok(None);
    };
    match write_copy(shelf, &name, source, emit).await {
        Ok(()) => Ok(Some(name)),
        Err(error) if error.kind == Kind::File => {
            let _ = shelf.remove(COPIES, &name).await;
            emit.warn(no_room(source));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn write_copy(shelf: &dyn Shelf, name: &str, source: &Source, emit: &mut Emit<'_>) -> Result<()> {
    let mut file = shelf.create(COPIES, name).await?;
    let length = source.len_bytes();
    let mut offset = 0;
    while offset < length {
        let piece = PIECE_BYTES.min(length - offset);
        file.append(&source.read_at(offset, piece as usize).await?).await?;
        offset += piece;
        emit.progress(Stage::Copy, offset, length);
        emit.yield_or_stop(msg::StoppedPreparingRows).await?;
    }
    file.finish().await
}

fn no_room(source: &Source) -> Message {
    let (file, size) = (source.name().to_owned(), source.len_bytes().div_ceil(1 << 20));
    msg::NoRoomForCopy { file, size }.into()
}

/// The folder of a run, where its id is one that can name a folder.
pub(super) fn folder(id: &str) -> Result<String> {
    named(RUN, id)
}

/// The same of whatever has such folders.
pub(super) fn named(before: &str, id: &str) -> Result<String> {
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match is_plain {
        true => Ok(format!("{before}{id}")),
        false => Err(Error::internal(msg::NoSuchRun { id })),
    }
}

/// The steps of a run's checkpoints, the newest first.
pub(super) fn steps(files: &[(String, Source)]) -> Vec<usize> {
    let step = |(path, _): &(String, Source)| checkpoint::step_of(path.split_once('/')?.0);
    let steps: BTreeSet<usize> = files.iter().filter_map(step).collect();
    steps.into_iter().rev().collect()
}

/// How a run that went wrong goes on from `checkpoint`, by the settings that it is to have from now on. `step` is the last that was
/// good.
///
/// # Errors
/// There is no checkpoint, or the rate is no lower one.
fn rate_change(
    record: &RunRecord,
    step: usize,
    checkpoint: Option<&Checkpoint>,
    config: &RunConfig,
) -> Result<RateChange> {
    let (before, learning_rate) = (record.config()?.learning_rate, config.learning_rate);
    if learning_rate.is_nan() || learning_rate >= before {
        let [before, learning_rate] = [before, learning_rate].map(|rate| format!("{rate:e}"));
        return Err(Error::config(msg::RateIsNotLower { before, learning_rate }).field(checkpoint::RATE));
    }
    match checkpoint {
        Some(checkpoint) => Ok(RateChange {
            step: checkpoint.progress.step,
            before,
            learning_rate,
        }),
        None => {
            let learning_rate = format!("{learning_rate:e}");
            Err(Error::format(msg::NoGoodCheckpoint { step }).remedy(msg::StartWithLowerRate { learning_rate }))
        }
    }
}

/// The newest checkpoint that is whole, not after the step `last` where that is given.
async fn newest_checkpoint(
    files: &[(String, Source)],
    last: Option<usize>,
    emit: &mut Emit<'_>,
) -> Result<Option<Checkpoint>> {
    let is_asked = |step: &usize| last.is_none_or(|last| *step <= last);
    for step in steps(files).into_iter().filter(is_asked) {
        let folder = checkpoint::folder(step);
        let of_it = files
            .iter()
            .filter(|(path, _)| path.split_once('/').is_some_and(|(first, _)| first == folder));
        let sources: Vec<Source> = of_it.map(|(_, source)| source.clone()).collect();
        match Checkpoint::open(&sources).await {
            Ok(checkpoint) => return Ok(Some(checkpoint)),
            Err(error) => {
                let why = error.message();
                emit.warn(msg::CheckpointPassedOver { folder, why });
            }
        }
    }
    Ok(None)
}

/// All runs on the shelf, the newest first, and whether one is left out because it is being written elsewhere. What is wrong with
/// those that cannot be read is told.
pub(super) async fn list(shelf: &Rc<dyn Shelf>, emit: &mut Emit<'_>) -> Result<(Vec<StoredRun>, bool)> {
    let claimed = shelf.claimed().await?;
    let mut runs = Vec::new();
    let mut is_partial = false;
    for name in shelf.folders().await?.iter().filter(|name| name.starts_with(RUN)) {
        match read_run(shelf, name, claimed.contains(name)).await {
            Ok(run) => runs.push(run),
            // One that begins elsewhere has no record for a moment, and a checkpoint may go while it is looked at.
            Err(_) if claimed.contains(name) => is_partial = true,
            Err(error) => {
                let (run, why) = (name.clone(), error.message());
                emit.warn(msg::RunUnreadable { run, why });
            }
        }
    }
    runs.sort_by(|a, b| b.record.started_ms.total_cmp(&a.record.started_ms));
    Ok((runs, is_partial))
}

async fn read_run(shelf: &Rc<dyn Shelf>, folder: &str, is_under_way: bool) -> Result<StoredRun> {
    let files = IndexedSink::read(shelf, folder).await?;
    let record = read_record(&files).await?;
    let step = steps(&files).first().copied();
    // A record of an older release does not say it; the checkpoint does.
    let of_checkpoint = match step {
        Some(step) if record.max_steps.is_none() => match checkpoint_state(&files, step) {
            Some(source) => checkpoint::max_steps(source).await.ok(),
            None => None,
        },
        _ => None,
    };
    Ok(StoredRun {
        max_steps: record.max_steps.or(of_checkpoint).unwrap_or_default(),
        step: record.summary.as_ref().map(|summary| summary.steps).or(step),
        bytes: files.iter().map(|(_, source)| source.len_bytes()).sum(),
        // One that is damaged keeps no run off the list.
        sparkline: match read_curve(&files).await {
            Ok(Some(curve)) => curve.sparkline(SPARKLINE_POINTS),
            _ => Vec::new(),
        },
        record,
        is_under_way,
    })
}

/// What a run's checkpoint of a step says of its past.
pub(super) fn checkpoint_state(files: &[(String, Source)], step: usize) -> Option<&Source> {
    let path = format!("{}/{}", checkpoint::folder(step), checkpoint::STATE);
    let state = files.iter().find(|(known, _)| *known == path);
    state.map(|(_, source)| source)
}

/// Removes a run, or all that are not under way, and the copies that no run needs any more.
///
/// # Errors
/// It is under way, or storage refuses.
pub(super) async fn forget(shelf: &Rc<dyn Shelf>, id: Option<&str>) -> Result<()> {
    let claimed = shelf.claimed().await?;
    let folders = match id {
        Some(id) => vec![folder(id)?],
        None => {
            let all = shelf.folders().await?;
            all.into_iter()
                .filter(|name| name.starts_with(RUN) && !claimed.contains(name))
                .collect()
        }
    };
    for name in &folders {
        if claimed.contains(name) {
            return Err(Error::config(msg::RunIsUnderWay).remedy(msg::UseTheOtherTab));
        }
        shelf.remove_folder(name).await?;
    }
    remove_unused_copies(shelf).await
}

/// The copies of files on the shelf, the largest first, and which of the runs need them.
pub(super) async fn copies(shelf: &Rc<dyn Shelf>, runs: &[StoredRun]) -> Result<Vec<StoredCopy>> {
    let mut copies = Vec::new();
    for copy in shelf.files(COPIES).await? {
        let bytes = shelf.open(COPIES, &copy).await?.len_bytes();
        let needs = |run: &&StoredRun| files_of(&run.record).any(|file| file.copy.as_ref() == Some(&copy));
        let needing: Vec<&StoredRun> = runs.iter().filter(needs).collect();
        // The newest run comes first.
        let newest = needing.first();
        let name = newest.and_then(|run| files_of(&run.record).find(|file| file.copy.as_ref() == Some(&copy)));
        copies.push(StoredCopy {
            name: name.map(|file| file.name.clone()),
            bytes,
            runs: needing.len(),
            started_ms: newest.map(|run| run.record.started_ms),
            copy,
        });
    }
    copies.sort_by_key(|copy| std::cmp::Reverse(copy.bytes));
    Ok(copies)
}

/// The person's files that a run was made of.
fn files_of(record: &RunRecord) -> impl Iterator<Item = &InputFile> {
    let inputs = [
        Some(&record.model),
        Some(&record.data),
        record.validation.as_ref(),
        record.adapter.as_ref(),
    ];
    let files = inputs.into_iter().flatten().filter_map(|input| match input {
        RunInput::Files(files) => Some(files),
        RunInput::Bundled(_) => None,
    });
    files.flatten()
}

/// Removes a copy of a file.
///
/// # Errors
/// A run is under way, which may read it; there is none of that name, or storage refuses.
pub(super) async fn forget_copy(shelf: &Rc<dyn Shelf>, copy: &str) -> Result<()> {
    if shelf.claimed().await?.iter().any(|name| name.starts_with(RUN)) {
        return Err(Error::config(msg::RunIsUnderWay).remedy(msg::UseTheOtherTab));
    }
    shelf.remove(COPIES, copy).await
}

async fn remove_unused_copies(shelf: &Rc<dyn Shelf>) -> Result<()> {
    let mut needed = BTreeSet::new();
    for name in shelf.folders().await?.iter().filter(|name| name.starts_with(RUN)) {
        // A record that cannot be read may name any of them.
        let Ok(record) = read_record(&IndexedSink::read(shelf, name).await?).await else {
            return Ok(());
        };
        needed.extend(files_of(&record).filter_map(|file| file.copy.clone()));
    }
    for copy in shelf.files(COPIES).await? {
        if !needed.contains(&copy) {
            shelf.remove(COPIES, &copy).await?;
        }
    }
    Ok(())
}
