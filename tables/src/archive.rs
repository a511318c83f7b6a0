//! Zip archives: spreadsheets, which are archives themselves, and archives of texts or with one table.
//!
//! What a zip archive says of its sizes is not believed: every file of it is unpacked once into nothing, up to a bound, before
//! something is kept.

use crate::members::{Choice, choose};
use crate::{MOST_BYTES, Opened, Refusal, columnar, damaged, is_zip, sheet, too_much};
use lorakeet_i18n::messages::tables as msg;
use std::io::{Cursor, Read, sink};
use zip::ZipArchive;

/// Bytes that the parts of a spreadsheet may take unpacked: their XML is several times the text in it.
const MOST_XML_BYTES: u64 = 1 << 30;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Opens an archive.
pub fn read(bytes: &[u8]) -> Result<Opened, Refusal> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let names = names(&archive)?;
    if is_workbook(&names) {
        check_unpacked(&mut archive)?;
        return sheet::read(bytes);
    }
    refuse_office(&names)?;
    // A folder is an entry, too.
    let files: Vec<(usize, &str)> = names.iter().map(String::as_str).enumerate().collect();
    let files: Vec<(usize, &str)> = files.into_iter().filter(|(_, name)| !name.ends_with('/')).collect();
    let Choice { places, notes } = choose(&files.iter().map(|(_, name)| *name).collect::<Vec<_>>())?;
    let mut left = MOST_BYTES;
    let mut kept = Vec::with_capacity(places.len());
    for place in places {
        let (entry, name) = files[place];
        let bytes = unpacked(&mut archive, entry, left).map_err(|refusal| refusal.field(name))?;
        left -= bytes.len();
        kept.push((name.to_owned(), bytes));
    }
    match kept.as_slice() {
        [(name, bytes)] if crate::is_packed(bytes) => {
            let mut opened = table(bytes).map_err(|refusal| refusal.field(name.as_str()))?;
            opened.header.part = Some(name.clone());
            opened.header.notes = [notes, opened.header.notes].concat();
            Ok(opened)
        }
        _ => Ok(Opened::of_files(kept, notes)),
    }
}

/// A spreadsheet or a Parquet file that lies in an archive. Archives in archives are not opened.
fn table(bytes: &[u8]) -> Result<Opened, Refusal> {
    if !is_zip(bytes) {
        return columnar::read(bytes);
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if !is_workbook(&names(&archive)?) {
        return Err(Refusal::new(msg::ArchiveInArchive, msg::UnpackFirst));
    }
    check_unpacked(&mut archive)?;
    sheet::read(bytes)
}

fn names(archive: &Archive) -> Result<Vec<String>, Refusal> {
    let name = |place| match archive.name_for_index(place) {
        Some(name) => name.map(|name| name.into_owned()).map_err(damaged),
        None => Ok(String::new()),
    };
    (0..archive.len()).map(name).collect()
}

fn is_workbook(names: &[String]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case("xl/workbook.xml"))
}

/// Other programs' documents are zip archives, too.
fn refuse_office(names: &[String]) -> Result<(), Refusal> {
    let has = |part: &str| names.iter().any(|name| name == part);
    if has("xl/workbook.bin") || has("mimetype") && has("content.xml") {
        return Err(Refusal::new(msg::OtherSpreadsheet, msg::SaveAsXlsx));
    }
    if has("[Content_Types].xml") {
        return Err(Refusal::new(msg::OfficeFile, msg::SaveAsTextOrXlsx));
    }
    Ok(())
}

/// Unpacks a file that may take so many bytes.
fn unpacked(archive: &mut Archive, entry: usize, most: usize) -> Result<Vec<u8>, Refusal> {
    let file = archive.by_index(entry).map_err(damaged)?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(damaged)?;
    match bytes.len() > most {
        true => Err(too_much()),
        false => Ok(bytes),
    }
}

/// Unpacks all files into nothing: what is read of them later is in memory at once.
fn check_unpacked(archive: &mut Archive) -> Result<(), Refusal> {
    let mut left = MOST_XML_BYTES;
    for place in 0..archive.len() {
        let file = archive.by_index(place).map_err(damaged)?;
        let bytes = std::io::copy(&mut file.take(left + 1), &mut sink()).map_err(damaged)?;
        left = left.checked_sub(bytes).ok_or_else(too_much)?;
    }
    Ok(())
}
