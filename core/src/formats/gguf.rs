//! GGUF files (versions 2 and 3): metadata and the table of tensors, read without trust.
//!
//! Reference: `docs/gguf.md` of ggml-org/ggml. No crate is used: those at hand map the file or read it from a blocking
//! stream, and allocate by the file's own counts. Here a count is believed only as far as the file is long. How its
//! names and metadata map to Hugging Face's is in [`super::gguf_names`] and [`super::gguf_config`].

use super::blocks::ggml_storage;
use super::safetensors::{Placed, check_overlaps, cut_off};
use crate::store::Source;
use crate::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// The largest header that is read; real ones with 260k tokens have about 15 MB.
const MOST_HEADER_BYTES: u64 = 128 << 20;
/// The most array elements over all metadata; real files have up to 2 million.
const MOST_ELEMENTS: u64 = 8 << 20;
/// The first piece of the header that is read.
const FIRST_PIECE_BYTES: u64 = 1 << 20;

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any integer.
    Integer(i64),
    /// Any float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
    /// Integers or truth values.
    Integers(Vec<i64>),
    /// Floats.
    Floats(Vec<f64>),
    /// Texts.
    Texts(Vec<String>),
}

/// The metadata of a file, by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata(pub BTreeMap<String, Value>);

impl Metadata {
    /// The text at `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
    /// The integer at `key`, if it is not negative.
    pub fn integer(&self, key: &str) -> Option<u64> {
        match self.0.get(key)? {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }
    /// The number at `key`.
    pub fn float(&self, key: &str) -> Option<f64> {
        match self.0.get(key)? {
            Value::Float(number) => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            _ => None,
        }
    }
    /// The truth value at `key`.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.0.get(key)? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }
    /// The texts at `key`.
    pub fn texts(&self, key: &str) -> Option<&[String]> {
        match self.0.get(key)? {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }
    /// The integers at `key`.
    pub fn integers(&self, key: &str) -> Option<&[i64]> {
        match self.0.get(key)? {
            Value::Integers(numbers) => Some(numbers),
            _ => None,
        }
    }
    /// The floats at `key`.
    pub fn floats(&self, key: &str) -> Option<&[f64]> {
        match self.0.get(key)? {
            Value::Floats(numbers) => Some(numbers),
            _ => None,
        }
    }
}

/// What a file says before its numbers. Names are GGUF's; shapes are row-major (GGUF lists the fastest axis first).
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The metadata.
    pub metadata: Metadata,
    /// The tensors, in the order of the file.
    pub tensors: Vec<Placed>,
}

/// Reads the metadata and the table of tensors.
///
/// # Errors
/// The file is not GGUF, is cut off, or contradicts itself.
pub async fn read_header(source: &Source) -> Result<Header> {
    read_parsed(source).await.map(|(header, _)| header)
}

/// A pair of the metadata as the file stores it: its key, and the type and bytes of its value.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPair {
    /// The key.
    pub key: String,
    /// Type and value.
    pub value: Vec<u8>,
}

/// The pairs of the metadata as the file stores them, in its order, for another file.
///
/// # Errors
/// As [`read_header`].
pub async fn read_pairs(source: &Source) -> Result<Vec<StoredPair>> {
    let (_, places) = read_parsed(source).await?;
    let mut pairs = Vec::with_capacity(places.len());
    let end = places.last().map_or(0, |(_, place)| place.end);
    let bytes = source
        .read_at(0, end)
        .await
        .map_err(|error| error.file(source.name()))?;
    for (key, place) in places {
        let value = bytes[place].to_vec();
        pairs.push(StoredPair { key, value });
    }
    Ok(pairs)
}

/// The key of each pair, and where type and value are.
type PairPlaces = Vec<(String, Range<usize>)>;

async fn read_parsed(source: &Source) -> Result<(Header, PairPlaces)> {
    let len_bytes = source.len_bytes();
    let located = |error: Error| error.file(source.name());
    let mut piece_bytes = FIRST_PIECE_BYTES.min(len_bytes);
    loop {
        let bytes = source.read_at(0, piece_bytes as usize).await.map_err(located)?;
        match parse(&bytes, len_bytes) {
            Ok(parsed) => return Ok(parsed),
            Err(Stop::Wrong(error)) => return Err(located(*error)),
            Err(Stop::Short) if piece_bytes == len_bytes => return Err(located(cut_off(len_bytes, len_bytes + 1))),
            Err(Stop::Short) if piece_bytes >= MOST_HEADER_BYTES => {
                let most = MOST_HEADER_BYTES;
                return Err(located(Error::format(msg::MetadataTooLong { most })));
            }
            Err(Stop::Short) => piece_bytes = (piece_bytes * 4).min(MOST_HEADER_BYTES).min(len_bytes),
        }
    }
}

/// Why parsing stopped.
enum Stop {
    /// More of the file is needed.
    Short,
    /// The file is wrong.
    Wrong(Box<Error>),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Wrong(Box::new(error))
    }
}

/// The part of the header at hand, and how far it is read.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Length of the whole file: no count may promise more than it holds.
    len_bytes: u64,
    elements_left: u64,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], Stop> {
        let count = self.fits(count, 1)? as usize;
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        self.at += taken.map_or(0, <[u8]>::len);
        taken.ok_or(Stop::Short)
    }
    /// `count`, if so many items of at least `item_bytes` fit into the rest of the file.
    fn fits(&self, count: u64, item_bytes: u64) -> Result<u64, Stop> {
        let rest = self.len_bytes.saturating_sub(self.at as u64);
        let needed = count.saturating_mul(item_bytes);
        if needed > rest {
            return Err(cut_off(self.len_bytes, (self.at as u64).saturating_add(needed)).into());
        }
        Ok(count)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.take(N as u64)?.try_into().map_err(|_| Stop::Short)
    }
    fn u32(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Result<u64, Stop> {
        self.array().map(u64::from_le_bytes)
    }
    fn text(&mut self) -> Result<String, Stop> {
        let length = self.u64()?;
        // Byte-level vocabularies hold only whole characters, but old converters wrote raw bytes now and then.
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
    fn value(&mut self, kind: u32) -> Result<Value, Stop> {
        Ok(match kind {
            0 => Value::Integer(i64::from(self.array::<1>()?[0])),
            1 => Value::Integer(i64::from(self.array::<1>()?[0] as i8)),
            2 => Value::Integer(i64::from(u16::from_le_bytes(self.array()?))),
            3 => Value::Integer(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Value::Integer(i64::from(self.u32()?)),
            5 => Value::Integer(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Value::Float(shortest(f32::from_le_bytes(self.array()?))),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => return self.values(),
            10 => Value::Integer(self.u64()?.min(i64::MAX as u64) as i64),
            11 => Value::Integer(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            _ => return Err(Error::format(msg::UnknownValueType { kind }).into()),
        })
    }
    fn values(&mut self) -> Result<Value, Stop> {
        let kind = self.u32()?;
        let count = self.u64()?;
        let item_bytes = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            _ => return Err(Error::format(msg::UnsupportedArrayType { kind }).into()),
        };
        self.fits(count, item_bytes)?;
        self.elements_left = self
            .elements_left
            .checked_sub(count)
            .ok_or_else(|| Error::format(msg::TooManyElements { most: MOST_ELEMENTS }))?;
        // Nothing is set aside for `count` before its bytes are at hand.
        if (self.bytes.len() - self.at) as u64 / item_bytes < count {
            return Err(Stop::Short);
        }
        let (mut integers, mut floats, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            match self.value(kind)? {
                Value::Integer(number) => integers.push(number),
                Value::Bool(value) => integers.push(i64::from(value)),
                Value::Float(number) => floats.push(number),
                Value::Text(text) => texts.push(text),
                Value::Integers(_) | Value::Floats(_) | Value::Texts(_) => {}
            }
        }
        Ok(match kind {
            6 | 12 => Value::Floats(floats),
            8 => Value::Texts(texts),
            _ => Value::Integers(integers),
        })
    }
}

/// The 64-bit float that is written like `number`: 1e-5, not 9.999999747378752e-6.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn parse(bytes: &[u8], len_bytes: u64) -> Result<(Header, PairPlaces), Stop> {
    let mut cursor = Cursor {
        bytes,
        at: 0,
        len_bytes,
        elements_left: MOST_ELEMENTS,
    };
    if &cursor.array::<4>()? != b"GGUF" {
        return Err(Error::format(msg::NotGguf).into());
    }
    let version = cursor.u32()?;
    if !matches!(version, 2 | 3) {
        let what = if version.swap_bytes() < 100 && version > 100 {
            Message::from(msg::BigEndianGguf)
        } else {
            msg::UnknownGgufVersion { version }.into()
        };
        return Err(Error::format(what).remedy(msg::ConvertWithLlamaCpp).into());
    }
    let tensor_count = cursor.u64()?;
    let pair_count = cursor.u64()?;
    // A tensor takes at least 24 bytes of table, a pair at least 13.
    cursor.fits(tensor_count, 24)?;
    cursor.fits(pair_count, 13)?;
    let (mut metadata, mut places) = (BTreeMap::new(), Vec::new());
    for _ in 0..pair_count {
        let key = cursor.text()?;
        let start = cursor.at;
        let kind = cursor.u32()?;
        let value = cursor.value(kind).map_err(|stop| match stop {
            Stop::Wrong(error) => Stop::Wrong(Box::new(error.field(key.clone()))),
            Stop::Short => Stop::Short,
        })?;
        places.push((key.clone(), start..cursor.at));
        if metadata.insert(key.clone(), value).is_some() {
            return Err(Error::format(msg::IsThereTwice).field(key).into());
        }
    }
    let metadata = Metadata(metadata);
    let tensors = parse_tensors(&mut cursor, &metadata, tensor_count)?;
    Ok((Header { metadata, tensors }, places))
}

fn parse_tensors(cursor: &mut Cursor<'_>, metadata: &Metadata, tensor_count: u64) -> Result<Vec<Placed>, Stop> {
    let alignment = match metadata.0.get("general.alignment") {
        None => 32,
        Some(Value::Integer(number)) if *number > 0 && *number <= 1 << 20 && number.count_ones() == 1 => *number as u64,
        Some(other) => {
            let found = format!("{other:?}");
            let error = Error::format(msg::NotAPowerOfTwo { found });
            return Err(error.field("general.alignment").into());
        }
    };
    let mut tensors = Vec::new();
    let mut names = HashSet::new();
    for _ in 0..tensor_count {
        let name = cursor.text()?;
        let wrong = |what: Message| Error::format(what).field(name.clone());
        let axes = cursor.u32()?;
        if axes > 4 {
            return Err(wrong(msg::TooManyAxes { axes }.into()).into());
        }
        let mut shape = Vec::new();
        for _ in 0..axes {
            shape.push(cursor.u64()?);
        }
        shape.reverse();
        let kind = cursor.u32()?;
        let offset = cursor.u64()?;
        let storage = ggml_storage(kind)
            .ok_or_else(|| wrong(msg::UnknownStorageType { kind }.into()).remedy(msg::UseAnotherQuantization))?;
        let bytes = storage.size_bytes(&shape).ok_or_else(|| {
            let shape = format!("{shape:?}");
            wrong(msg::ShapeNotOfStorage { shape, storage }.into())
        })?;
        if !offset.is_multiple_of(alignment) {
            let start = offset;
            return Err(wrong(msg::NotAligned { start, alignment }.into()).into());
        }
        let sizes = shape
            .iter()
            .map(|size| usize::try_from(*size))
            .collect::<Result<_, _>>();
        let shape = sizes.map_err(|_| wrong(common::TooLargeForMachine.into()))?;
        if !names.insert(name.clone()) {
            return Err(wrong(msg::IsThereTwice.into()).into());
        }
        tensors.push(Placed {
            name,
            shape,
            storage,
            offset,
            bytes,
        });
    }
    // Offsets count from the first aligned byte after the table.
    let data_start = (cursor.at as u64).next_multiple_of(alignment);
    for tensor in &mut tensors {
        let start = tensor.offset.saturating_add(data_start);
        let end = start.saturating_add(tensor.bytes);
        if end > cursor.len_bytes {
            return Err(cut_off(cursor.len_bytes, end).field(tensor.name.clone()).into());
        }
        tensor.offset = start;
    }
    check_overlaps(&tensors)?;
    Ok(tensors)
}
