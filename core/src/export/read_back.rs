//! An export, read back by this program's own readers: every tensor beside what was meant to be in it, a few megabytes at a time.
//!
//! The readers are those of models and adapters that a person loads. What they find is compared under Hugging Face's names with the
//! numbers that the export was made from, so that a wrong name, a wrong order of rows or a lost tensor shows as well as rounding.

use super::bitsandbytes::{PackedLinear, PackedSettings};
use super::merged::{Merged, MergedTensor};
use super::reader::Reader;
use super::tolerance::rounding;
use super::{Form, Settings, Trained, gguf};
use crate::error::{Error, Result};
use crate::formats::adapter_files::AdapterModules;
use crate::formats::diff::{Change, compare_adapters};
use crate::formats::{ModelFiles, Storage, peft::Adapter};
use crate::host::Emit;
use crate::models::bitsandbytes;
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
    check_names(&read, tensors.iter().map(|(_, name)| name.as_str()), |_| false)?;
    let mut comparison = Comparison::new(&read, emit);
    for (tensor, name) in &tensors {
        compare(&merged, tensor, (&read, name.as_str()), &mut comparison).await?;
    }
    Ok(comparison.finish(tensors.len()))
}

/// Reads back what [`super::quantize`] has `written` of `base`, the model card left aside. What is expected of a packed linear is what
/// its packing rounds.
///
/// # Errors
/// As [`read_back`].
pub async fn read_back_packed(
    base: ModelFiles,
    (packing, _): PackedSettings,
    written: Vec<Source>,
    emit: &mut Emit<'_>,
) -> Result<ReadBack> {
    let merged = Merged::new(base, None, None).await?;
    let read = ModelFiles::open(written).await?;
    let shapes = bitsandbytes::shapes(&read).await?;
    let names = merged.tensors.iter().map(|tensor| tensor.name.as_str());
    check_names(&read, names, |name| bitsandbytes::belongs_to(&shapes, name))?;
    let mut comparison = Comparison::new(&read, emit);
    for tensor in &merged.tensors {
        let name = tensor.name.as_str();
        let Some(linear) = PackedLinear::of(&merged, tensor, packing) else {
            compare(&merged, tensor, (&read, name), &mut comparison).await?;
            continue;
        };
        match shapes.get(name) {
            Some(shape) if *shape == linear.shape() => {}
            Some(shape) => {
                let (shape, needed) = (format!("{shape:?}"), format!("{:?}", linear.shape()));
                return Err(wrong(Error::format(models::OtherShape { shape, needed }).field(name)));
            }
            None => return Err(wrong(Error::format(msg::LacksTensor).field(name))),
        }
        let mut squares = Squares::default();
        let meant = linear.values(&merged, tensor).await?;
        squares.add(&meant, &bitsandbytes::unpacked(&read, name).await?);
        let packing = linear.packing();
        comparison.add(name, packing.name(), squares, packing.rounding());
        let bytes = read.entry(name).map_or(0, |entry| entry.bytes);
        comparison.go_on(bytes).await?;
    }
    Ok(comparison.finish(merged.tensors.len()))
}

/// Refuses files with a tensor that nobody meant to be there, unless it `belongs` to one.
fn check_names<'n>(
    read: &ModelFiles,
    meant: impl Iterator<Item = &'n str>,
    belongs: impl Fn(&str) -> bool,
) -> Result<()> {
    let meant: BTreeSet<&str> = meant.collect();
    let is_stranger = |name: &&str| !meant.contains(name) && !belongs(name);
    let mut names = read.entries().iter().map(|entry| entry.name.as_str());
    match names.find(is_stranger) {
        Some(name) => Err(wrong(Error::format(msg::TensorTooMany).field(name))),
        None => Ok(()),
    }
}

/// An error of which only the writer can be the cause.
fn wrong(error: Error) -> Error {
    error.remedy(msg::ExportAgain)
}

/// Tensors compared so far.
struct Comparison<'p, 'e> {
    emit: &'p mut Emit<'e>,
    done: u64,
    total: u64,
    /// Over all of them.
    squares: Squares,
    worst: Option<TensorError>,
}

impl<'p, 'e> Comparison<'p, 'e> {
    fn new(read: &ModelFiles, emit: &'p mut Emit<'e>) -> Self {
        Self {
            emit,
            done: 0,
            total: read.entries().iter().map(|entry| entry.bytes).sum(),
            squares: Squares::default(),
            worst: None,
        }
    }

    /// Takes a tensor that differs by `squares`, and is expected to by a share of `expected`.
    fn add(&mut self, name: &str, storage: &str, squares: Squares, expected: f64) {
        self.squares.difference += squares.difference;
        self.squares.meant += squares.meant;
        let error = TensorError {
            name: name.to_owned(),
            storage: storage.to_owned(),
            relative: squares.relative(),
            expected,
        };
        self.worst = further(self.worst.take(), Some(error));
    }

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

    fn finish(self, tensors: usize) -> ReadBack {
        ReadBack {
            tensors,
            relative: Some(self.squares.relative()).filter(|share| share.is_finite()),
            worst: self.worst,
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

/// Compares a tensor of the files with what was meant; of what holds no floats, its bytes.
async fn compare(
    merged: &Merged<'_>,
    tensor: &MergedTensor,
    (read, name): (&ModelFiles, &str),
    comparison: &mut Comparison<'_, '_>,
) -> Result<()> {
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
        return comparison.go_on(entry.bytes).await;
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
        comparison.go_on(share).await?;
    }
    let expected = squares.expected(entry.storage, entry.elements());
    comparison.add(name, entry.storage.name(), squares, expected);
    Ok(())
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

    /// ‖read − meant‖ / ‖meant‖.
    fn relative(&self) -> f64 {
        relative(self.difference.sqrt(), self.meant.sqrt())
    }

    /// What a format is expected to round so many `numbers` by at most.
    fn expected(&self, storage: Storage, numbers: usize) -> f64 {
        let (share, of_each) = rounding(storage);
        let (least, size) = (of_each * (numbers as f64).sqrt(), self.meant.sqrt());
        if size > 0.0 { share + least / size } else { share }
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
        relative: difference.total().relative().filter(|share| share.is_finite()),
        worst: errors.fold(None, further),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(read: &[f32], storage: Storage) -> TensorError {
        let mut squares = Squares::default();
        squares.add(&[3.0, -4.0], read);
        TensorError {
            name: "w".to_owned(),
            storage: storage.name().to_owned(),
            relative: squares.relative(),
            expected: squares.expected(storage, 2),
        }
    }

    #[test]
    fn a_tensor_may_differ_by_what_its_format_rounds() {
        let is_close = |read: &[f32], storage| {
            let worst = Some(error(read, storage));
            let relative = None;
            ReadBack {
                tensors: 1,
                relative,
                worst,
            }
            .is_close()
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
