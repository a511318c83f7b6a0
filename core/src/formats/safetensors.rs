//! safetensors files: the header is read and checked, tensors stay in the file.
//!
//! A file is `u64 n`, n bytes of JSON (`{"name":{"dtype","shape","data_offsets"}}`), then the tensors. The
//! `safetensors` crate writes such files here, but it does not read them: it wants the whole file in one slice and
//! counts in `usize`, which ends at 4 GiB in a browser.

use super::blocks::{Storage, decode, safetensors_storage};
use crate::store::{ReadAt, Source};
use crate::{Error, Result};
use ::safetensors::Dtype;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};

/// The largest header that is read.
const MOST_HEADER_BYTES: u64 = 64 << 20;

/// A tensor's place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub storage: Storage,
    /// Where it starts, from the start of the file.
    pub offset: u64,
    /// What it takes.
    pub bytes: u64,
}

/// All tensors of the file.
///
/// # Errors
/// The file is not safetensors, is cut off, or its header contradicts itself.
pub async fn read_header(source: &Source) -> Result<Vec<Placed>> {
    parse_header(source.as_ref())
        .await
        .map_err(|error| error.file(source.name()))
}

/// What the file says of itself beside its tensors (`__metadata__`).
///
/// # Errors
/// The file is not safetensors or is cut off.
pub async fn read_metadata(source: &Source) -> Result<BTreeMap<String, serde_json::Value>> {
    let read = read_json(source.as_ref()).await;
    read.map(|(header, _)| header.metadata)
        .map_err(|error| error.file(source.name()))
}

/// The JSON of a file, and where its data start.
async fn read_json(source: &dyn ReadAt) -> Result<(Header, u64)> {
    let len_bytes = source.len_bytes();
    if len_bytes < 8 {
        return Err(cut_off(len_bytes, 8));
    }
    let start: [u8; 8] = source.read_at(0, 8).await?.try_into().unwrap_or_default();
    let header_bytes = u64::from_le_bytes(start);
    if header_bytes > MOST_HEADER_BYTES {
        let bytes = header_bytes;
        return Err(Error::format(msg::HeaderTooLong { bytes }).remedy(msg::CheckAndDownloadAgain));
    }
    let data_start = 8 + header_bytes;
    if data_start > len_bytes {
        return Err(cut_off(len_bytes, data_start));
    }
    let header = source.read_at(8, header_bytes as usize).await?;
    let header: Header = serde_json::from_slice(&header)
        .map_err(|error| Error::format(msg::HeaderIsNoJson { error }).remedy(msg::CheckAndDownloadAgain))?;
    Ok((header, data_start))
}

async fn parse_header(source: &dyn ReadAt) -> Result<Vec<Placed>> {
    let (header, data_start) = read_json(source).await?;
    let len_bytes = source.len_bytes();
    let data_bytes = len_bytes - data_start;
    let mut names = HashSet::new();
    let mut placed = Vec::with_capacity(header.tensors.len());
    for (name, info) in header.tensors {
        let (begin, end) = info.data_offsets;
        let wrong = |what: Message| Error::format(what).field(name.clone());
        let storage = safetensors_storage(&info.dtype).ok_or_else(|| {
            let storage = &info.dtype;
            wrong(msg::UnknownStorage { storage }.into())
        })?;
        let shape = format!("{:?}", info.shape);
        let Some(bytes) = storage.size_bytes(&info.shape) else {
            return Err(wrong(msg::ImpossibleShape { shape }.into()));
        };
        if end.checked_sub(begin) != Some(bytes) {
            let what = msg::WrongLength {
                begin,
                end,
                storage,
                shape,
                bytes,
            };
            return Err(wrong(what.into()));
        }
        if end > data_bytes {
            return Err(cut_off(len_bytes, data_start.saturating_add(end)).field(name));
        }
        if !names.insert(name.clone()) {
            return Err(wrong(msg::IsThereTwice.into()));
        }
        let shape = info
            .shape
            .iter()
            .map(|size| usize::try_from(*size))
            .collect::<Result<_, _>>();
        let shape = shape.map_err(|_| wrong(common::TooLargeForMachine.into()))?;
        placed.push(Placed {
            name,
            shape,
            storage,
            offset: data_start + begin,
            bytes,
        });
    }
    check_overlaps(&placed)?;
    Ok(placed)
}

/// The numbers of the tensors that `placed` says are in `source`, with names and shapes.
///
/// # Errors
/// A storage is not one that is read here, or the file cannot be read.
pub(super) async fn read_numbers(source: &Source, placed: Vec<Placed>) -> Result<Vec<(String, Vec<usize>, Vec<f32>)>> {
    let mut tensors = Vec::with_capacity(placed.len());
    for placed in placed {
        let located = |error: Error| error.file(source.name()).field(placed.name.clone());
        let length = usize::try_from(placed.bytes).map_err(|_| located(Error::model(msg::TooLarge)))?;
        let bytes = source.read_at(placed.offset, length).await.map_err(located)?;
        let values = decode(placed.storage, &bytes).map_err(located)?;
        tensors.push((placed.name, placed.shape, values));
    }
    Ok(tensors)
}

/// Refuses tensors that share bytes of the file: a small file could hold any number of them.
pub(super) fn check_overlaps(placed: &[Placed]) -> Result<()> {
    let mut order: Vec<&Placed> = placed.iter().filter(|tensor| tensor.bytes > 0).collect();
    order.sort_by_key(|tensor| tensor.offset);
    for pair in order.windows(2) {
        if pair[0].offset.saturating_add(pair[0].bytes) > pair[1].offset {
            let other = &pair[0].name;
            return Err(Error::format(msg::Overlaps { other })
                .field(pair[1].name.clone())
                .remedy(msg::DownloadOrConvertAgain));
        }
    }
    Ok(())
}

/// The error for a file that ends too early.
pub(super) fn cut_off(found: u64, needed: u64) -> Error {
    Error::format(msg::CutOff { found, needed }).remedy(msg::DownloadAgain)
}

/// The header in the order of the file; duplicate names are kept so that they can be refused.
struct Header {
    tensors: Vec<(String, Info)>,
    metadata: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut tensors, mut metadata) = (Vec::new(), BTreeMap::new());
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        // What is no object is nothing that a tensor needs.
                        if let serde_json::Value::Object(pairs) = map.next_value()? {
                            metadata.extend(pairs);
                        }
                    } else {
                        tensors.push((name, map.next_value()?));
                    }
                }
                Ok(Header { tensors, metadata })
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// What stands before the numbers of a file whose tensors follow each other without gaps, in this order: names, shapes, storages.
///
/// # Errors
/// A tensor's size overflows.
pub fn header(tensors: &[(String, Vec<usize>, Storage)]) -> Result<Vec<u8>> {
    let mut entries = serde_json::Map::new();
    entries.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut begin = 0u64;
    for (name, shape, storage) in tensors {
        let sizes: Vec<u64> = shape.iter().map(|size| *size as u64).collect();
        let end = storage.size_bytes(&sizes).and_then(|bytes| begin.checked_add(bytes));
        let end = end.ok_or_else(|| Error::model(common::TooLargeForMachine).field(name))?;
        let entry = json!({ "dtype": storage.name(), "shape": shape, "data_offsets": [begin, end] });
        entries.insert(name.clone(), entry);
        begin = end;
    }
    let mut text = serde_json::Value::Object(entries).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok([&(text.len() as u64).to_le_bytes()[..], &text].concat())
}

/// A safetensors file of 32-bit floats with the metadata `{"format":"pt"}`, as PyTorch's side writes it.
///
/// # Errors
/// A tensor's numbers do not fill its shape.
pub fn write_f32(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Result<Vec<u8>> {
    let tensors = tensors.iter();
    write(tensors.map(|(name, shape, values)| (name, shape, Dtype::F32, bytemuck::cast_slice(values))))
}

/// Numbers of a tensor that this program writes for itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// `F32`.
    Floats(Vec<f32>),
    /// `U8`.
    Bytes(Vec<u8>),
}

/// The same with bytes beside the floats.
///
/// # Errors
/// As [`write_f32`].
pub fn write_numbers(tensors: &[(String, Vec<usize>, Numbers)]) -> Result<Vec<u8>> {
    write(tensors.iter().map(|(name, shape, numbers)| match numbers {
        Numbers::Floats(values) => (name, shape, Dtype::F32, bytemuck::cast_slice(values)),
        Numbers::Bytes(bytes) => (name, shape, Dtype::U8, bytes.as_slice()),
    }))
}

fn write<'a>(tensors: impl Iterator<Item = (&'a String, &'a Vec<usize>, Dtype, &'a [u8])>) -> Result<Vec<u8>> {
    let mut views = Vec::new();
    for (name, shape, dtype, bytes) in tensors {
        let view = ::safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes);
        let view = view.map_err(|error| {
            let (bytes, shape) = (bytes.len(), format!("{shape:?}"));
            Error::internal(msg::ShapeNotFilled { bytes, shape, error }).field(name.clone())
        })?;
        views.push((name.as_str(), view));
    }
    let metadata = [("format".to_string(), "pt".to_string())].into_iter().collect();
    ::safetensors::serialize(views, Some(metadata)).map_err(|error| Error::internal(msg::CannotWriteTensors { error }))
}
