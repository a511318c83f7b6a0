//! Files of torch.save (PyTorch 1.6 and later): tensors by name, without running what is pickled beside them.
//!
//! A file is a ZIP archive of stored entries: `NAME/data.pkl` says which numbers of which storage a tensor is made of,
//! `NAME/data/KEY` are the numbers of a storage. Several tensors may lie in one storage, as an output matrix that is the embedding
//! does. Reference: `torch/serialization.py` of pytorch/pytorch.

use super::blocks::safetensors_storage;
use super::files::sniff;
use super::pickle::{MOST_PICKLE_BYTES, PickledTensor, read_tensors};
use super::safetensors::{self, Placed, cut_off};
use super::stored_zip::{Entry, read_entries};
use crate::store::{MemoryFile, Source};
use crate::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use std::collections::{BTreeMap, BTreeSet};

/// How often what the file has may be read over again for tensors that share a storage: an embedding that is the output matrix is
/// there twice, and of matrices that were fused each part is read across the others.
const MOST_TIMES: u64 = 16;

/// The tensors of the file, each with the file that its numbers lie in, one after the other: this one, or one in memory for what is
/// stored with gaps or turned.
///
/// # Errors
/// The file is none of torch.save's, is cut off, contradicts itself, or holds something else than tensors by name.
pub(super) async fn read(source: &Source) -> Result<Vec<(Placed, Source)>> {
    sniff(source, true).await?;
    let located = |error: Error| error.file(source.name());
    let start = source.read_at(0, source.len_bytes().min(2) as usize).await?;
    if start.first() == Some(&0x80) {
        return Err(located(Error::format(msg::OldTorchFile)).remedy(msg::SaveAgain));
    }
    let entries = read_entries(source).await?;
    let is_pickle = |name: &&String| name.split_once('/').is_some_and(|(_, rest)| rest == "data.pkl");
    let mut pickles = entries.keys().filter(is_pickle);
    let (Some(pickle), None) = (pickles.next(), pickles.next()) else {
        return Err(located(Error::format(msg::NoTorchArchive)).remedy(msg::CheckAndDownloadAgain));
    };
    let folder = pickle.trim_end_matches("data.pkl");
    let order = format!("{folder}byteorder");
    if let Some(entry) = entries.get(&order) {
        let found = read_entry(source, &order, entry, 16).await?;
        if found != b"little" {
            let found = String::from_utf8_lossy(&found).into_owned();
            let what = msg::OnlyIsSupported { found, only: "little" };
            return Err(located(Error::format(what).field(order)));
        }
    }
    let bytes = read_entry(source, pickle, &entries[pickle], MOST_PICKLE_BYTES).await?;
    let tensors = read_tensors(&bytes).map_err(located)?;
    let mut reader = Reader {
        source,
        folder,
        entries: &entries,
        starts: BTreeMap::new(),
        memory_left: source.len_bytes(),
        reads_left: source.len_bytes().saturating_mul(MOST_TIMES),
    };
    let (mut placed, mut names) = (Vec::with_capacity(tensors.len()), BTreeSet::new());
    for (name, tensor) in tensors {
        if !names.insert(name.clone()) {
            return Err(located(Error::format(msg::IsThereTwice).field(name)));
        }
        placed.push(reader.placed(name, tensor).await.map_err(located)?);
    }
    Ok(placed)
}

/// The numbers of all its tensors, with names and shapes.
///
/// # Errors
/// As [`read`]; a storage is not one that is read here; tensors that share their numbers would be many times the file.
pub(super) async fn read_numbers(source: &Source) -> Result<Vec<(String, Vec<usize>, Vec<f32>)>> {
    let (mut tensors, mut left) = (Vec::new(), source.len_bytes().saturating_mul(MOST_TIMES));
    for (placed, file) in read(source).await? {
        left = left.checked_sub(placed.bytes).ok_or_else(|| {
            let error = Error::format(msg::TooLarge).file(source.name());
            error.field(placed.name.clone()).remedy(msg::SaveStateDict)
        })?;
        tensors.extend(safetensors::read_numbers(&file, vec![placed]).await?);
    }
    Ok(tensors)
}

/// The data of a small entry.
async fn read_entry(source: &Source, name: &str, entry: &Entry, most: u64) -> Result<Vec<u8>> {
    let start = entry.start(name, source).await?;
    if entry.bytes > most {
        let found = entry.bytes;
        return Err(Error::format(msg::FileTooLong { found, most })
            .file(source.name())
            .field(name));
    }
    source.read_at(start, entry.bytes as usize).await
}

/// An archive whose tensors are looked up.
struct Reader<'a> {
    source: &'a Source,
    /// The first part of the names of entries.
    folder: &'a str,
    entries: &'a BTreeMap<String, Entry>,
    /// Where storages start, and what they take, by their keys.
    starts: BTreeMap<String, (u64, u64)>,
    /// Bytes that may be copied: as many as the file has.
    memory_left: u64,
    /// Bytes that may be read for it: [`MOST_TIMES`] as many.
    reads_left: u64,
}

impl Reader<'_> {
    /// A tensor's place.
    async fn placed(&mut self, name: String, tensor: PickledTensor) -> Result<(Placed, Source)> {
        let wrong = |what: Message| Error::format(what).field(name.clone());
        let dtype = tensor.storage.dtype;
        let unknown = || wrong(msg::UnknownStorage { storage: dtype }.into());
        let storage = safetensors_storage(dtype).ok_or_else(unknown)?;
        let (start, storage_bytes) = self.storage(&tensor.storage.key).await?;
        let item = storage.block_bytes() as u64;
        let needed = tensor.storage.elements.saturating_mul(item);
        if needed > storage_bytes {
            return Err(cut_off(storage_bytes, needed).field(name));
        }
        let shown = || format!("{:?}", tensor.shape);
        let bytes = storage.size_bytes(&tensor.shape);
        let bytes = bytes.ok_or_else(|| wrong(msg::ImpossibleShape { shape: shown() }.into()))?;
        let sizes: Result<Vec<usize>, _> = tensor.shape.iter().map(|size| usize::try_from(*size)).collect();
        let shape = sizes.map_err(|_| wrong(common::TooLargeForMachine.into()))?;
        let mut placed = Placed {
            name: name.clone(),
            shape,
            storage,
            offset: start,
            bytes,
        };
        if bytes == 0 {
            return Ok((placed, self.source.clone()));
        }
        let outside = || wrong(msg::OutsideStorage { shape: shown() }.into());
        let last = last(&tensor).filter(|last| *last < tensor.storage.elements);
        let last = last.ok_or_else(outside)?;
        placed.offset = start + tensor.offset * item;
        if is_whole(&tensor) {
            return Ok((placed, self.source.clone()));
        }
        // A step of 0 could make any number of numbers of one.
        if bytes / item > tensor.storage.elements {
            return Err(outside());
        }
        let too_large = || wrong(msg::TooLarge.into());
        self.memory_left = self.memory_left.checked_sub(bytes).ok_or_else(too_large)?;
        let length = (last - tensor.offset + 1) * item;
        self.reads_left = self.reads_left.checked_sub(length).ok_or_else(too_large)?;
        let length = usize::try_from(length).map_err(|_| wrong(common::TooLargeForMachine.into()))?;
        let stored = self.source.read_at(placed.offset, length).await?;
        placed.offset = 0;
        let file = MemoryFile::source(self.source.name(), gathered(&tensor, &stored, item as usize));
        Ok((placed, file))
    }

    /// Where the storage `key` starts, and what it takes.
    async fn storage(&mut self, key: &str) -> Result<(u64, u64)> {
        if let Some(found) = self.starts.get(key) {
            return Ok(*found);
        }
        let name = format!("{}data/{key}", self.folder);
        let entry = self.entries.get(&name);
        let entry = entry.ok_or_else(|| Error::format(common::IsMissing).field(name.clone()))?;
        let found = (entry.start(&name, self.source).await?, entry.bytes);
        self.starts.insert(key.to_owned(), found);
        Ok(found)
    }
}

/// The number in its storage that is the last of the tensor's; it has numbers.
fn last(tensor: &PickledTensor) -> Option<u64> {
    let axes = tensor.shape.iter().zip(&tensor.strides);
    axes.into_iter().try_fold(tensor.offset, |last, (size, stride)| {
        last.checked_add(size.checked_sub(1)?.checked_mul(*stride)?)
    })
}

/// Whether the tensor's numbers follow each other, the last axis fastest.
fn is_whole(tensor: &PickledTensor) -> bool {
    let mut step = 1u64;
    for (size, stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
        if *size != 1 && *stride != step {
            return false;
        }
        step = step.saturating_mul(*size);
    }
    true
}

/// The numbers of a tensor one after the other; `stored` starts at its first one and ends with its last.
fn gathered(tensor: &PickledTensor, stored: &[u8], item: usize) -> Vec<u8> {
    let steps: Vec<usize> = tensor.strides.iter().map(|stride| *stride as usize).collect();
    let sizes: Vec<usize> = tensor.shape.iter().map(|size| *size as usize).collect();
    let count: usize = sizes.iter().product();
    let mut bytes = Vec::with_capacity(count * item);
    let (mut index, mut place) = (vec![0usize; sizes.len()], 0usize);
    for _ in 0..count {
        bytes.extend_from_slice(&stored[place * item..][..item]);
        for axis in (0..sizes.len()).rev() {
            index[axis] += 1;
            // The step of an axis of one may be any number.
            place = place.wrapping_add(steps[axis]);
            if index[axis] < sizes[axis] {
                break;
            }
            place = place.wrapping_sub(steps[axis].wrapping_mul(sizes[axis]));
            index[axis] = 0;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::pickle::PickledStorage;

    fn tensor(offset: u64, shape: &[u64], strides: &[u64]) -> PickledTensor {
        PickledTensor {
            storage: PickledStorage {
                dtype: "U8",
                key: "0".into(),
                elements: 12,
            },
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn numbers_with_gaps_or_turned_are_gathered() {
        let stored: Vec<u8> = (0..12).collect();
        let turned = tensor(0, &[4, 3], &[1, 4]);
        assert!(!is_whole(&turned));
        assert_eq!(last(&turned), Some(11));
        assert_eq!(gathered(&turned, &stored, 1), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
        let columns = tensor(1, &[3, 2], &[4, 1]);
        assert_eq!(last(&columns), Some(10));
        assert_eq!(gathered(&columns, &stored[1..11], 1), [1, 2, 5, 6, 9, 10]);
        // The step of an axis of one is nobody's.
        assert!(is_whole(&tensor(0, &[1, 12], &[99, 1])));
        assert!(is_whole(&tensor(3, &[], &[])));
        assert_eq!(last(&tensor(1, &[2, 1 << 40], &[1 << 40, 1 << 40])), None);
    }
}
