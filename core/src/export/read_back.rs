//! An export, read back by this program's own readers: every tensor beside what was meant to be in it, a few megabytes at a time.
//!
//! The readers are those of models and adapters that a person loads. What they find is compared under Hugging Face's names with the
//! numbers that the export was made from, so that a wrong name, a wrong order of rows or a lost tensor shows as well as rounding.

use super::merged::{Merged, MergedTensor};
use super::reader::Reader;
use super::tolerance::rounding;
use super::{Form, Settings, Trained, gguf};
use crate::error::{Error, Result};
use crate::formats::adapter_files::AdapterModules;
use crate::formats::diff::{Change, compare_adapters};
use crate::formats::{ModelFiles, Storage, peft::Adapter};
use crate::host::Emit;
use crate::protocol::{ReadBack, Stage, TensorError};
use crate::store::Source;
use lorakeet_i18n::messages::{export as msg, models};
use std::collections::BTreeSet;

/// The least that two adapters are expected to differ by: what sums of their numbers' products round.
const PRODUCTS: f64 = 1e-5;

/// Reads back what was `written` of `trained`, the model card left aside.
///
/// # Errors
/// The files cannot be read, lack a tensor or have one too many; of the base as in [`super::export`]; a cancellation.
pub async fn read_back(
    trained: Trained<'_>,
    settings: Settings,
    written: Vec<Source>,
    emit: &mut Emit<'_>,
) -> Result<ReadBack> {
    let Trained {
        base, adapter, head, ..
    } = trained;
    super::check(settings, adapter.is_some())?;
    if let (Some(adapter), false) = (adapter, settings.form.holds_base()) {
        let read = base.open_adapter(written).await?;
        return compared(adapter, &read, settings);
    }
    let mut merged = Merged::new(base, adapter, head).await?;
    merged.rounding = settings.base;
    let read = ModelFiles::open(written).await?;
    let tensors: Vec<(&MergedTensor, String)> = match settings.form {
        Form::Gguf => gguf::written(&merged, settings, &read).await?,
        _ => merged
            .tensors
            .iter()
            .map(|tensor| (tensor, tensor.name.clone()))
            .collect(),
    };
    let meant: BTreeSet<&str> = tensors.iter().map(|(_, name)| name.as_str()).collect();
    let is_stranger = |name: &&str| !meant.contains(name);
    let mut names = read.entries().iter().map(|entry| entry.name.as_str());
    if let Some(name) = names.find(is_stranger) {
        return Err(wrong(Error::format(msg::TensorTooMany).field(name)));
    }
    let total: u64 = read.entries().iter().map(|entry| entry.bytes).sum();
    let mut progress = Progress { emit, done: 0, total };
    let mut worst = None;
    for (tensor, name) in &tensors {
        let error = compare(&merged, tensor, (&read, name.as_str()), &mut progress).await?;
        worst = further(worst, error);
    }
    Ok(ReadBack {
        tensors: tensors.len(),
        worst,
    })
}

/// An error of which only the writer can be the cause.
fn wrong(error: Error) -> Error {
    error.remedy(msg::ExportAgain)
}

/// How far the comparison is.
struct Progress<'p, 'e> {
    emit: &'p mut Emit<'e>,
    done: u64,
    total: u64,
}

impl Progress<'_, '_> {
    /// So many bytes more are through; gives a turn to others.
    async fn go_on(&mut self, bytes: u64) -> Result<()> {
        self.done = self.total.min(self.done + bytes);
        self.emit.progress(Stage::Export, self.done, self.total);
        (self.emit.host.yield_now)().await;
        match self.emit.control.is_export_cancelled() {
            true => Err(Error::stopped(msg::ExportStopped)),
            false => Ok(()),
        }
    }
}

/// The one of two that lies further from what was meant, in relation to what is expected of its format.
fn further(one: Option<TensorError>, other: Option<TensorError>) -> Option<TensorError> {
    let excess = |error: &TensorError| {
        let share = error.relative / error.expected;
        if share.is_nan() { f64::INFINITY } else { share }
    };
    match (one, other) {
        (Some(one), Some(other)) if excess(&other) > excess(&one) => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}

/// How far a tensor of the files lies from what was meant; none of what holds no floats.
async fn compare(
    merged: &Merged<'_>,
    tensor: &MergedTensor,
    (read, name): (&ModelFiles, &str),
    progress: &mut Progress<'_, '_>,
) -> Result<Option<TensorError>> {
    let Some(entry) = read.entry(name) else {
        return Err(wrong(Error::format(msg::LacksTensor).field(name)));
    };
    if entry.shape != tensor.shape {
        let (shape, needed) = (format!("{:?}", entry.shape), format!("{:?}", tensor.shape));
        return Err(wrong(Error::format(models::OtherShape { shape, needed }).field(name)));
    }
    if !entry.storage.is_readable() {
        if merged.stored_bytes(tensor).await? != read.read_bytes(name).await? {
            return Err(wrong(Error::format(msg::OtherBytes).field(name)));
        }
        progress.go_on(entry.bytes).await?;
        return Ok(None);
    }
    let reader = Reader::open(merged, tensor).await?;
    let columns = entry.elements() / reader.rows.max(1);
    let by_rows = entry.shape.len() == 2 && !read.stored_matrix(name)?.transposed;
    let whole = match by_rows {
        true => Vec::new(),
        false => read.read_f32(name).await?.1,
    };
    let mut squares = Squares::default();
    for rows in reader.chunks() {
        let share = entry.bytes * rows.len() as u64 / reader.rows.max(1) as u64;
        let meant = reader.rows(rows.clone()).await?;
        match by_rows {
            true => squares.add(&meant, &read.read_rows_f32(name, rows).await?),
            false => squares.add(&meant, &whole[rows.start * columns..rows.end * columns]),
        }
        progress.go_on(share).await?;
    }
    Ok(Some(squares.error(name, entry.storage, entry.elements())))
}

/// Sums of squares: of the difference, and of what was meant.
#[derive(Default)]
struct Squares {
    difference: f64,
    meant: f64,
}

impl Squares {
    fn add(&mut self, meant: &[f32], read: &[f32]) {
        for (meant, read) in meant.iter().zip(read) {
            let (meant, read) = (f64::from(*meant), f64::from(*read));
            self.difference += (read - meant).powi(2);
            self.meant += meant.powi(2);
        }
    }

    fn error(self, name: &str, storage: Storage, numbers: usize) -> TensorError {
        let (distance, size) = (self.difference.sqrt(), self.meant.sqrt());
        let (share, of_each) = rounding(storage);
        let least = of_each * (numbers as f64).sqrt();
        TensorError {
            name: name.to_owned(),
            storage: storage.name().to_owned(),
            relative: relative(distance, size),
            expected: if size > 0.0 { share + least / size } else { share },
        }
    }
}

/// A distance in relation to a size; 0 where nothing differs.
fn relative(distance: f64, size: f64) -> f64 {
    if distance == 0.0 { 0.0 } else { distance / size }
}

/// An adapter that was read back beside the one that was meant: what its modules add to the base, and what was trained whole.
fn compared(meant: &Adapter, read: &Adapter, settings: Settings) -> Result<ReadBack> {
    let difference = compare_adapters(&AdapterModules::of_peft(meant)?, &AdapterModules::of_peft(read)?)?;
    if let Some(name) = difference.only_a.first() {
        return Err(wrong(Error::format(msg::LacksTensor).field(name)));
    }
    if let Some(name) = difference.only_b.first() {
        return Err(wrong(Error::format(msg::TensorTooMany).field(name)));
    }
    if let Some((name, _)) = difference.uncompared.first() {
        return Err(wrong(Error::format(msg::OtherBytes).field(name)));
    }
    let storage = settings.dtype.unwrap_or(Storage::F32);
    // Two matrices are rounded, and their product has the errors of both.
    let expected = (4.0 * rounding(storage).0).max(PRODUCTS);
    let error = |change: &Change| TensorError {
        name: change.name.clone(),
        storage: storage.name().to_owned(),
        relative: relative(change.distance, change.before),
        expected,
    };
    let errors = difference.tensors.iter().map(|change| Some(error(change)));
    Ok(ReadBack {
        tensors: difference.tensors.len(),
        worst: errors.fold(None, further),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(read: &[f32], storage: Storage) -> TensorError {
        let mut squares = Squares::default();
        squares.add(&[3.0, -4.0], read);
        squares.error("w", storage, 2)
    }

    #[test]
    fn a_tensor_may_differ_by_what_its_format_rounds() {
        let is_close = |read: &[f32], storage| {
            let worst = Some(error(read, storage));
            ReadBack { tensors: 1, worst }.is_close()
        };
        assert!(is_close(&[3.0, -4.0], Storage::F32));
        assert!(!is_close(&[3.001, -4.0], Storage::F32) && is_close(&[3.001, -4.0], Storage::F16));
        assert!(!is_close(&[3.2, -4.0], Storage::Q8_0) && is_close(&[3.2, -4.0], Storage::Q4_0));
        // In another order it is another tensor, whatever the format.
        assert!(!is_close(&[-4.0, 3.0], Storage::Q4_0));
        assert!(!is_close(&[f32::NAN, -4.0], Storage::Q4_0));
    }

    #[test]
    fn the_worst_is_the_one_that_its_format_explains_least() {
        let (blocks, exact) = (error(&[3.1, -4.0], Storage::Q4_0), error(&[3.01, -4.0], Storage::F32));
        let worst = further(further(None, Some(blocks)), Some(exact.clone()));
        assert_eq!(further(worst, None), Some(exact));
    }
}
