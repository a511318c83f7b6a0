//! Bytes to text: UTF-8, or UTF-16 with its byte order mark; anything else is refused with the reason.

use crate::error::{Error, Result};

/// The first bytes of files that people drop by mistake, what they are, and what to do with them.
const FOREIGN: &[(&[u8], &str, &str)] = &[
    (
        b"PK\x03\x04",
        "a zip archive or a spreadsheet",
        "Unpack it, or save the sheet as .csv.",
    ),
    (b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "Unpack it first."),
    (b"BZh", "a bzip2 archive", "Unpack it first."),
    (b"\xfd7zXZ", "an xz archive", "Unpack it first."),
    (b"PAR1", "a Parquet file", "Save it as .jsonl or .csv."),
    (b"%PDF-", "a PDF", "Save its text as .txt."),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Office document",
        "Save it as .txt or .csv.",
    ),
    (b"SQLite format 3", "a SQLite database", "Export the table as .csv."),
    (
        b"GGUF",
        "a GGUF model",
        "Drop it where the model goes; this is the place for data.",
    ),
    (b"\x89PNG", "a picture", "Choose a text file."),
    (b"\xff\xd8\xff", "a picture", "Choose a text file."),
];

/// The text of a file with `\n` line ends and no byte order mark; `notes` says what was repaired.
pub(super) fn decode(bytes: &[u8], notes: &mut Vec<String>) -> Result<String> {
    if let Some((_, what, remedy)) = FOREIGN.iter().find(|(magic, _, _)| bytes.starts_with(magic)) {
        return Err(Error::data(format!("this is {what}, not a text file")).remedy(*remedy));
    }
    let mut text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes, notes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes, notes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest)?,
        _ => utf8(bytes)?,
    };
    if let Some(at) = text.find('\0') {
        let line = line(&text.as_bytes()[..at]);
        return Err(Error::data(format!(
            "the file holds a NUL byte in line {line}, so it is not a text file"
        ))
        .remedy("Save it as text in UTF-8 (UTF-16 is read where a byte order mark says so)."));
    }
    if text.contains('\r') {
        text = text.replace("\r\n", "\n").replace('\r', "\n");
    }
    if text.trim().is_empty() {
        return Err(Error::data("the file holds nothing but white space").remedy("Choose a file with text in it."));
    }
    Ok(text)
}

fn utf8(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let (byte, line) = (good.len() + 1, line(good));
        let error = Error::data(format!("byte {byte} of the file, in line {line}, is not UTF-8"));
        if bytes.contains(&0) {
            error.remedy("This looks like a binary file; choose a text file.")
        } else {
            error.remedy("Save the file as UTF-8 (in a text editor: Save as, Encoding).")
        }
    })?;
    Ok(text.to_string())
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, notes: &mut Vec<String>) -> Result<String> {
    let mut pairs = bytes.chunks_exact(2);
    let units: Vec<u16> = pairs.by_ref().map(|pair| unit([pair[0], pair[1]])).collect();
    let remedy = "The file is damaged; save it again as UTF-8.";
    if !pairs.remainder().is_empty() {
        return Err(Error::data("the file is marked as UTF-16 but has an odd number of bytes").remedy(remedy));
    }
    let mut text = String::with_capacity(units.len());
    for unit in char::decode_utf16(units) {
        text.push(unit.map_err(|_| {
            let line = line(text.as_bytes());
            let what = format!("the file is marked as UTF-16 but holds half a character in line {line}");
            Error::data(what).remedy(remedy)
        })?);
    }
    notes.push("The file was in UTF-16 and was converted.".to_string());
    Ok(text)
}

/// The line, from 1, that follows these bytes.
fn line(before: &[u8]) -> usize {
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}
