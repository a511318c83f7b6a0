//! Bytes to text. A byte order mark decides, else the run's `encoding`; without either it is told from the bytes, always the same way:
//! UTF-8 where all of them are, UTF-16 by its zero bytes, GB18030 by its pairs of bytes, Windows-1252 by single bytes between
//! letters. What was taken is said. Bytes that look like none of these are refused: a wrong guess would train on garbled text.

use crate::config::Encoding;
use crate::error::{Error, Result};
use encoding_rs::{DecoderResult, GB18030};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use std::borrow::Cow;

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

/// Byte order marks.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const LITTLE_MARK: &[u8] = b"\xff\xfe";
const BIG_MARK: &[u8] = b"\xfe\xff";

/// Windows-1252 from 0x80 to 0x9f; a NUL where there is no character. Below and above it is Unicode's own number.
const CP1252: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”', '•',
    '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

/// Whether a file is one of those that people drop by mistake.
pub(super) fn is_foreign(bytes: &[u8]) -> bool {
    FOREIGN.iter().any(|(magic, _)| bytes.starts_with(magic))
}

/// The text of a file with `\n` line ends and no byte order mark; `notes` says what was taken without being told, and where a mark
/// goes before what was `given`. Of a file in UTF-8 no copy is made but where its line ends are others.
///
/// # Errors
/// A file that is no text; bytes that are not `given`, or that no encoding fits.
pub(super) fn decode(bytes: Cow<[u8]>, given: Option<Encoding>, notes: &mut Vec<Message>) -> Result<String> {
    if let Some((_, told)) = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        let (what, remedy) = told();
        return Err(Error::data(msg::NotTextFile { what }).remedy(remedy));
    }
    let encoding = match (given, marked(&bytes)) {
        (Some(given), Some(marked)) if !agree(given, marked) => {
            let (marked_as, given) = (shown(marked), shown(given));
            notes.push(msg::MarkDecides { marked_as, given }.into());
            marked
        }
        (Some(given), _) => given,
        (None, _) => {
            let encoding = detect(&bytes)?;
            if encoding != Encoding::Utf8 {
                notes.push(
                    msg::ReadAs {
                        encoding: shown(encoding),
                    }
                    .into(),
                );
            }
            encoding
        }
    };
    let text = match encoding {
        Encoding::Utf8 => utf8(bytes)?,
        Encoding::Utf16 => utf16(&bytes, is_big(&bytes))?,
        Encoding::Utf16Le => utf16(&bytes, false)?,
        Encoding::Utf16Be => utf16(&bytes, true)?,
        Encoding::Gb18030 => gb18030(&bytes)?,
        Encoding::Cp1252 => cp1252(&bytes)?,
    };
    if let Some(at) = text.find('\0') {
        let line = line(&text.as_bytes()[..at]);
        return Err(Error::data(msg::NulByte { line }).remedy(msg::SaveAsText));
    }
    let text = match text.contains('\r') {
        true => {
            let mut made = String::with_capacity(text.len());
            push_lines(&text, &mut made);
            made
        }
        false => text,
    };
    if text.trim().is_empty() {
        return Err(Error::data(msg::OnlyWhiteSpace).remedy(msg::ChooseFileWithText));
    }
    Ok(text)
}

/// Adds a text to `made`, with `\n` for each end of a line.
fn push_lines(text: &str, made: &mut String) {
    let mut parts = text.split('\r');
    made.push_str(parts.next().unwrap_or_default());
    for part in parts {
        made.push('\n');
        made.push_str(part.strip_prefix('\n').unwrap_or(part));
    }
}

/// Bytes of UTF-8 that come piece by piece.
#[derive(Default)]
pub(super) struct Utf8Pieces {
    /// What came and is no text yet: the start of a character, or a carriage return, behind which a line feed may come.
    rest: Vec<u8>,
    has_begun: bool,
}

impl Utf8Pieces {
    /// Adds the text of a piece to `text`, with `\n` line ends and without a byte order mark, which does not go over the end of the
    /// first piece. False where this is no UTF-8, or no text: then the file is to be looked at whole.
    pub fn push(&mut self, piece: &[u8], is_last: bool, text: &mut String) -> bool {
        let piece = match std::mem::replace(&mut self.has_begun, true) {
            true => piece,
            false => piece.strip_prefix(UTF8_MARK).unwrap_or(piece),
        };
        if piece.contains(&0) {
            return false;
        }
        self.rest.extend_from_slice(piece);
        let (good, is_cut) = match std::str::from_utf8(&self.rest) {
            Ok(all) => (all, false),
            Err(error) if error.error_len().is_none() && !is_last => {
                let good = &self.rest[..error.valid_up_to()];
                (std::str::from_utf8(good).unwrap_or_default(), true)
            }
            Err(_) => return false,
        };
        let good = match is_cut || is_last {
            true => good,
            false => good.strip_suffix('\r').unwrap_or(good),
        };
        push_lines(good, text);
        let read = good.len();
        self.rest.drain(..read);
        true
    }
}

/// The encoding that a byte order mark at the start says.
fn marked(bytes: &[u8]) -> Option<Encoding> {
    let marks = [
        (UTF8_MARK, Encoding::Utf8),
        (LITTLE_MARK, Encoding::Utf16Le),
        (BIG_MARK, Encoding::Utf16Be),
    ];
    let found = marks.into_iter().find(|(mark, _)| bytes.starts_with(mark));
    found.map(|(_, encoding)| encoding)
}

/// Whether a file may be `given` that is `marked`: UTF-16 goes with the mark of either order.
fn agree(given: Encoding, marked: Encoding) -> bool {
    given == marked || given == Encoding::Utf16 && marked != Encoding::Utf8
}

/// The encoding that the bytes look like.
fn detect(bytes: &[u8]) -> Result<Encoding> {
    match marked(bytes) {
        Some(Encoding::Utf8) => return Ok(Encoding::Utf8),
        Some(_) => return Ok(Encoding::Utf16),
        None => {}
    }
    if bytes.contains(&0) {
        return Ok(utf16_by_zeros(bytes).unwrap_or(Encoding::Utf8));
    }
    let Err(error) = std::str::from_utf8(bytes) else {
        return Ok(Encoding::Utf8);
    };
    // UTF-8 with a few damaged bytes stays UTF-8, which is refused: another encoding would garble all of it.
    let (mut letters, mut damaged) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        letters += chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        damaged += usize::from(!chunk.invalid().is_empty());
    }
    if letters > damaged {
        return Ok(Encoding::Utf8);
    }
    if looks_chinese(bytes) {
        return Ok(Encoding::Gb18030);
    }
    // As many sound characters as damaged ones: one of them would be garbled in either encoding.
    if letters > 0 && letters == damaged {
        return Ok(Encoding::Utf8);
    }
    if looks_western(bytes) {
        return Ok(Encoding::Cp1252);
    }
    let good = &bytes[..error.valid_up_to()];
    let (byte, line) = (good.len() + 1, line(good));
    Err(Error::data(msg::NoEncodingFits { byte, line }).remedy(msg::SaveAsUtf8))
}

/// UTF-16 without a mark: ASCII letters have a zero byte beside them, always on the same side.
fn utf16_by_zeros(bytes: &[u8]) -> Option<Encoding> {
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let plain = |unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        units
            .filter(|unit| matches!(unit, 0x09 | 0x0a | 0x0d | 0x20..=0x7e))
            .count()
    };
    let (little, big) = (plain(u16::from_le_bytes), plain(u16::from_be_bytes));
    let (encoding, most, other) = match little >= big {
        true => (Encoding::Utf16Le, little, big),
        false => (Encoding::Utf16Be, big, little),
    };
    let units = bytes.len() / 2;
    // Of texts in Chinese, ends of lines and separators alone are ASCII.
    let is_told = most * 2 >= units || most * 50 >= units && std::str::from_utf8(bytes).is_err();
    let is_text = || utf16(bytes, encoding == Encoding::Utf16Be).is_ok_and(|text| !text.contains('\0'));
    (most > 2 * other && is_told && is_text()).then_some(encoding)
}

/// Whether all bytes above 127 form characters of GB18030, most of them (7 of 10) signs or hanzi of GB2312's first level, whose
/// leads 0xb0 to 0xd7 go by pinyin: in Chinese a tenth and more has one from 0xc9 on, in Korean text (EUC-KR) none has.
fn looks_chinese(bytes: &[u8]) -> bool {
    const FEW: usize = 10;
    let (mut all, mut frequent, mut late, mut at) = (0, 0, 0, 0);
    while let Some(&lead) = bytes.get(at) {
        if lead.is_ascii() {
            at += 1;
            continue;
        }
        let Some(length) = length_in_gb18030(&bytes[at..]) else {
            return false;
        };
        let in_gb2312 = length == 2 && bytes[at + 1] >= 0xa1;
        frequent += usize::from(in_gb2312 && matches!(lead, 0xa1 | 0xa3 | 0xb0..=0xd7));
        late += usize::from(in_gb2312 && matches!(lead, 0xc9..=0xd7));
        all += 1;
        at += length;
    }
    frequent * 10 >= all * 7 && (all < FEW || late * 10 >= all)
}

/// How many bytes the character takes that begins here with a byte above 127; none where there is no such character.
fn length_in_gb18030(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0x81..=0xfe, 0x40..=0x7e | 0x80..=0xfe, ..] => Some(2),
        [0x81..=0xfe, 0x30..=0x39, 0x81..=0xfe, 0x30..=0x39, ..] => Some(4),
        _ => None,
    }
}

/// Whether bytes above 127 are all characters of Windows-1252 and stand between others, as accents, quotes and dashes do. Where
/// most of them stand beside each other, they are letters of another alphabet.
fn looks_western(bytes: &[u8]) -> bool {
    const FEW: usize = 4;
    let (mut all, mut beside) = (0, 0);
    for (at, &byte) in bytes.iter().enumerate() {
        if byte.is_ascii() {
            continue;
        }
        if of_cp1252(byte).is_none() {
            return false;
        }
        let is_high = |at: usize| bytes.get(at).is_some_and(|byte| !byte.is_ascii());
        beside += usize::from(at > 0 && is_high(at - 1) || is_high(at + 1));
        all += 1;
    }
    all < FEW || beside * 2 <= all
}

fn utf8(bytes: Cow<[u8]>) -> Result<String> {
    let marked = match bytes.starts_with(UTF8_MARK) {
        true => UTF8_MARK.len(),
        false => 0,
    };
    let mut bytes = bytes.into_owned();
    bytes.drain(..marked);
    String::from_utf8(bytes).map_err(|broken| {
        let (all, good) = (broken.as_bytes(), broken.utf8_error().valid_up_to());
        let error = not_in(Encoding::Utf8, marked + good, line(&all[..good]));
        match all.contains(&0) {
            true => error.remedy(msg::LooksBinary),
            false => error,
        }
    })
}

fn is_big(bytes: &[u8]) -> bool {
    bytes.starts_with(BIG_MARK)
}

fn utf16(bytes: &[u8], is_big: bool) -> Result<String> {
    let (mark, unit): (_, fn([u8; 2]) -> u16) = match is_big {
        true => (BIG_MARK, u16::from_be_bytes),
        false => (LITTLE_MARK, u16::from_le_bytes),
    };
    let bytes = bytes.strip_prefix(mark).unwrap_or(bytes);
    let pairs = bytes.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(Error::data(msg::OddUtf16).remedy(msg::Damaged));
    }
    let mut text = String::with_capacity(pairs.len());
    for unit in char::decode_utf16(pairs.map(|pair| unit([pair[0], pair[1]]))) {
        text.push(unit.map_err(|_| {
            let line = line(text.as_bytes());
            Error::data(msg::HalfCharacter { line }).remedy(msg::Damaged)
        })?);
    }
    Ok(text)
}

fn cp1252(bytes: &[u8]) -> Result<String> {
    let mut text = String::with_capacity(bytes.len());
    for (at, &byte) in bytes.iter().enumerate() {
        let letter = of_cp1252(byte).ok_or_else(|| not_in(Encoding::Cp1252, at, line(&bytes[..at])))?;
        text.push(letter);
    }
    Ok(text)
}

fn of_cp1252(byte: u8) -> Option<char> {
    match byte {
        0x80..=0x9f => Some(CP1252[usize::from(byte - 0x80)]).filter(|letter| *letter != '\0'),
        _ => Some(char::from(byte)),
    }
}

fn gb18030(bytes: &[u8]) -> Result<String> {
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let (mut text, mut at) = (String::with_capacity(bytes.len()), 0);
    loop {
        let (outcome, read) = decoder.decode_to_string_without_replacement(&bytes[at..], &mut text, true);
        at += read;
        match outcome {
            DecoderResult::InputEmpty => return Ok(text),
            // Hanzi take two bytes here and three in UTF-8.
            DecoderResult::OutputFull => text.reserve(bytes.len() - at + 8),
            // What follows a broken character may have been read to tell that it is one.
            DecoderResult::Malformed(length, beyond) => {
                at -= usize::from(length) + usize::from(beyond);
                return Err(not_in(Encoding::Gb18030, at, line(&bytes[..at])));
            }
        }
    }
}

/// The error at the byte `at`, from 0.
fn not_in(encoding: Encoding, at: usize, line: usize) -> Error {
    let (byte, encoding) = (at + 1, shown(encoding));
    Error::data(msg::NotInEncoding { byte, line, encoding }).remedy(msg::SaveAsUtf8)
}

fn shown(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Utf8 => "UTF-8",
        Encoding::Utf16 => "UTF-16",
        Encoding::Utf16Le => "UTF-16-LE",
        Encoding::Utf16Be => "UTF-16-BE",
        Encoding::Gb18030 => "GB18030",
        Encoding::Cp1252 => "Windows-1252",
    }
}

/// The line, from 1, that follows these bytes.
fn line(before: &[u8]) -> usize {
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}
