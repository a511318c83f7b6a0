//! Bytes to text: UTF-8, or UTF-16 with its byte order mark; anything else is refused with the reason.

use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;

/// What a file is, and what to do with it.
type Told = fn() -> (Message, Message);

/// The first bytes of files that people drop by mistake.
const FOREIGN: &[(&[u8], Told)] = &[
    (b"PK\x03\x04", || {
        (msg::ZipOrSpreadsheet.into(), msg::UnpackOrSaveSheet.into())
    }),
    (b"\x1f\x8b", || (msg::GzipArchive.into(), msg::Unpack.into())),
    (b"\x28\xb5\x2f\xfd", || (msg::ZstdArchive.into(), msg::Unpack.into())),
    (b"BZh", || (msg::Bzip2Archive.into(), msg::Unpack.into())),
    (b"\xfd7zXZ", || (msg::XzArchive.into(), msg::Unpack.into())),
    (b"PAR1", || (msg::ParquetFile.into(), msg::SaveAsJsonlOrCsv.into())),
    (b"%PDF-", || (msg::Pdf.into(), msg::SaveTextAsTxt.into())),
    (b"\xd0\xcf\x11\xe0", || {
        (msg::OfficeDocument.into(), msg::SaveAsTxtOrCsv.into())
    }),
    (b"SQLite format 3", || {
        (msg::SqliteDatabase.into(), msg::ExportTable.into())
    }),
    (b"GGUF", || (msg::GgufModel.into(), msg::DropAsModel.into())),
    (b"\x89PNG", || (msg::Picture.into(), msg::ChooseTextFile.into())),
    (b"\xff\xd8\xff", || (msg::Picture.into(), msg::ChooseTextFile.into())),
];

/// The text of a file with `\n` line ends and no byte order mark; `notes` says what was repaired.
pub(super) fn decode(bytes: &[u8], notes: &mut Vec<Message>) -> Result<String> {
    if let Some((_, told)) = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        let (what, remedy) = told();
        return Err(Error::data(msg::NotTextFile { what }).remedy(remedy));
    }
    let mut text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes, notes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes, notes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest)?,
        _ => utf8(bytes)?,
    };
    if let Some(at) = text.find('\0') {
        let line = line(&text.as_bytes()[..at]);
        return Err(Error::data(msg::NulByte { line }).remedy(msg::SaveAsText));
    }
    if text.contains('\r') {
        text = text.replace("\r\n", "\n").replace('\r', "\n");
    }
    if text.trim().is_empty() {
        return Err(Error::data(msg::OnlyWhiteSpace).remedy(msg::ChooseFileWithText));
    }
    Ok(text)
}

fn utf8(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let (byte, line) = (good.len() + 1, line(good));
        let error = Error::data(msg::NotUtf8 { byte, line });
        if bytes.contains(&0) {
            error.remedy(msg::LooksBinary)
        } else {
            error.remedy(msg::SaveAsUtf8)
        }
    })?;
    Ok(text.to_string())
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, notes: &mut Vec<Message>) -> Result<String> {
    let mut pairs = bytes.chunks_exact(2);
    let units: Vec<u16> = pairs.by_ref().map(|pair| unit([pair[0], pair[1]])).collect();
    if !pairs.remainder().is_empty() {
        return Err(Error::data(msg::OddUtf16).remedy(msg::Damaged));
    }
    let mut text = String::with_capacity(units.len());
    for unit in char::decode_utf16(units) {
        text.push(unit.map_err(|_| {
            let line = line(text.as_bytes());
            Error::data(msg::HalfCharacter { line }).remedy(msg::Damaged)
        })?);
    }
    notes.push(msg::Utf16Converted.into());
    Ok(text)
}

/// The line, from 1, that follows these bytes.
fn line(before: &[u8]) -> usize {
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}
