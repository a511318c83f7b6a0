//! ZIP archives whose entries are stored as they are, as torch.save writes them: the directory is read, entries stay in the file.
//!
//! Reference: PKWARE's APPNOTE.TXT, sections 4.3 to 4.5, with ZIP64. Compressed and encrypted entries are refused.

use super::safetensors::cut_off;
use crate::store::Source;
use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use std::collections::BTreeMap;

/// The largest directory that is read.
const MOST_DIRECTORY_BYTES: u64 = 64 << 20;
/// The end of the directory without its comment, and the longest comment.
const END_BYTES: usize = 22;
const MOST_COMMENT_BYTES: u64 = 0xffff;
/// An entry of the directory, and the header in front of its data, without names.
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;

/// An entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where its header is.
    header: u64,
    /// What its data take.
    pub(super) bytes: u64,
    /// Whether its data are stored as they are.
    is_stored: bool,
}

/// The entries of an archive by name.
///
/// # Errors
/// The file is no ZIP archive, is cut off or contradicts itself.
pub(super) async fn read_entries(source: &Source) -> Result<BTreeMap<String, Entry>> {
    entries(source).await.map_err(|error| error.file(source.name()))
}

async fn entries(source: &Source) -> Result<BTreeMap<String, Entry>> {
    let (count, size, start) = directory(source).await?;
    let len_bytes = source.len_bytes();
    let end = start.saturating_add(size);
    if end > len_bytes {
        return Err(cut_off(len_bytes, end));
    }
    if size > MOST_DIRECTORY_BYTES || count > size / ENTRY_BYTES as u64 {
        return Err(broken());
    }
    let bytes = source.read_at(start, size as usize).await?;
    let (mut entries, mut rest) = (BTreeMap::new(), bytes.as_slice());
    for _ in 0..count {
        let (name, entry, after) = entry(rest).ok_or_else(broken)?;
        if entries.insert(name.clone(), entry).is_some() {
            return Err(Error::format(msg::IsThereTwice).field(name));
        }
        rest = after;
    }
    Ok(entries)
}

/// How many entries the directory has, what it takes, and where it starts.
async fn directory(source: &Source) -> Result<(u64, u64, u64)> {
    let len_bytes = source.len_bytes();
    if len_bytes < END_BYTES as u64 {
        return Err(cut_off(len_bytes, END_BYTES as u64));
    }
    let tail_bytes = len_bytes.min(END_BYTES as u64 + MOST_COMMENT_BYTES);
    let tail_start = len_bytes - tail_bytes;
    let tail = source.read_at(tail_start, tail_bytes as usize).await?;
    let is_end = |at: &usize| {
        let comment = u16_at(&tail, at + 20).map(usize::from);
        tail[*at..].starts_with(b"PK\x05\x06") && comment == Some(tail.len() - at - END_BYTES)
    };
    let at = (0..=tail.len() - END_BYTES).rev().find(is_end).ok_or_else(broken)?;
    let small = || {
        Some((
            u16_at(&tail, at + 10)?,
            u32_at(&tail, at + 12)?,
            u32_at(&tail, at + 16)?,
        ))
    };
    let (count, size, start) = small().ok_or_else(broken)?;
    if count != u16::MAX && size != u32::MAX && start != u32::MAX {
        return Ok((u64::from(count), u64::from(size), u64::from(start)));
    }
    // ZIP64: a locator before the end says where the larger numbers are.
    let locator = (tail_start + at as u64).checked_sub(20).ok_or_else(broken)?;
    let locator = source.read_at(locator, 20).await?;
    let place = u64_at(&locator, 8).filter(|_| locator.starts_with(b"PK\x06\x07"));
    let end = source.read_at(place.ok_or_else(broken)?, 56).await?;
    let large = || Some((u64_at(&end, 32)?, u64_at(&end, 40)?, u64_at(&end, 48)?));
    large().filter(|_| end.starts_with(b"PK\x06\x06")).ok_or_else(broken)
}

/// The first entry of a directory with its name, and what follows it.
fn entry(bytes: &[u8]) -> Option<(String, Entry, &[u8])> {
    if !bytes.starts_with(b"PK\x01\x02") {
        return None;
    }
    let (flags, method) = (u16_at(bytes, 8)?, u16_at(bytes, 10)?);
    let (packed, whole, header) = (u32_at(bytes, 20)?, u32_at(bytes, 24)?, u32_at(bytes, 42)?);
    let sizes = [28, 30, 32].map(|at| u16_at(bytes, at).map(usize::from));
    let [Some(name), Some(extra), Some(comment)] = sizes else {
        return None;
    };
    let (name, rest) = bytes.get(ENTRY_BYTES..)?.split_at_checked(name)?;
    let (extra, rest) = rest.split_at_checked(extra)?;
    let (_, rest) = rest.split_at_checked(comment)?;
    // Of the three numbers, those that are too large for 32 bits are in ZIP64's extra field, in this order.
    let mut large = zip64(extra);
    let mut number = |small: u32| match small {
        u32::MAX => {
            let number = u64_at(large, 0)?;
            large = &large[8..];
            Some(number)
        }
        small => Some(u64::from(small)),
    };
    let (whole, packed, header) = (number(whole)?, number(packed)?, number(header)?);
    let entry = Entry {
        header,
        bytes: whole,
        is_stored: method == 0 && flags & 1 == 0 && packed == whole,
    };
    Some((String::from_utf8_lossy(name).into_owned(), entry, rest))
}

/// ZIP64's part of an extra field.
fn zip64(mut extra: &[u8]) -> &[u8] {
    while let (Some(kind), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some((part, rest)) = extra[4..].split_at_checked(usize::from(length)) else {
            break;
        };
        if kind == 1 {
            return part;
        }
        extra = rest;
    }
    &[]
}

impl Entry {
    /// Where its data start in the file; all of them are there.
    ///
    /// # Errors
    /// They are compressed or encrypted, or reach past the end of the file.
    pub(super) async fn start(&self, name: &str, source: &Source) -> Result<u64> {
        let located = |error: Error| error.file(source.name()).field(name);
        if !self.is_stored {
            return Err(located(Error::format(msg::EntryNotStored)).remedy(msg::SaveAgain));
        }
        let header = source.read_at(self.header, LOCAL_BYTES).await.map_err(located)?;
        let sizes = || Some((u16_at(&header, 26)?, u16_at(&header, 28)?));
        let sizes = sizes().filter(|_| header.starts_with(b"PK\x03\x04"));
        let (name_bytes, extra_bytes) = sizes.ok_or_else(|| located(broken()))?;
        let before = LOCAL_BYTES as u64 + u64::from(name_bytes) + u64::from(extra_bytes);
        let start = self.header.saturating_add(before);
        let end = start.saturating_add(self.bytes);
        match end <= source.len_bytes() {
            true => Ok(start),
            false => Err(located(cut_off(source.len_bytes(), end))),
        }
    }
}

fn broken() -> Error {
    Error::format(msg::NoArchive).remedy(msg::CheckAndDownloadAgain)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.get(..N)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}
