//! Spreadsheets, Parquet files and archives as their programs write them.

use anyhow::{Context, Result};
use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fmt::Write as _;
use std::io::{Cursor, Read, Write};
use std::sync::Arc;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A zip archive of these files, compressed.
///
/// # Errors
/// The crate zip refuses a name.
pub fn archive(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default())?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// An archive with one file of so many spaces.
///
/// # Errors
/// The crate zip refuses.
pub fn bomb(name: &str, bytes: u64) -> Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, SimpleFileOptions::default())?;
    std::io::copy(&mut std::io::repeat(b' ').take(bytes), &mut writer)?;
    Ok(writer.finish()?.into_inner())
}

/// A .xlsx of these sheets: their names, and all that stands in the element `worksheet`, such as [`cells`] writes it. The number
/// format 1 is a date.
///
/// # Errors
/// The crate zip refuses.
pub fn workbook(sheets: &[(&str, String)]) -> Result<Vec<u8>> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const LINKS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    let (mut listed, mut links) = (String::new(), String::new());
    let mut files: Vec<(String, String)> = Vec::new();
    for (number, (name, content)) in (1..).zip(sheets) {
        write!(
            listed,
            "<sheet name=\"{name}\" sheetId=\"{number}\" r:id=\"r{number}\"/>"
        )?;
        write!(
            links,
            "<Relationship Id=\"r{number}\" Type=\"{LINKS}/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>"
        )?;
        files.push((
            format!("xl/worksheets/sheet{number}.xml"),
            format!("<worksheet xmlns=\"{MAIN}\">{content}</worksheet>"),
        ));
    }
    write!(
        links,
        "<Relationship Id=\"styles\" Type=\"{LINKS}/styles\" Target=\"styles.xml\"/>"
    )?;
    let types = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>";
    let styles = format!(
        "<styleSheet xmlns=\"{MAIN}\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
    );
    files.extend([
        ("[Content_Types].xml".to_owned(), types.to_owned()),
        (
            "xl/workbook.xml".to_owned(),
            format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{LINKS}\"><sheets>{listed}</sheets></workbook>"),
        ),
        (
            "xl/_rels/workbook.xml.rels".to_owned(),
            format!("<Relationships xmlns=\"{PACKAGE}\">{links}</Relationships>"),
        ),
        ("xl/styles.xml".to_owned(), styles),
        (
            "_rels/.rels".to_owned(),
            format!(
                "<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"book\" Type=\"{LINKS}/officeDocument\" \
                 Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
    ]);
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_bytes()))
        .collect();
    archive(&files)
}

/// Rows of texts as the element `sheetData`; a text that is a number is one.
pub fn cells(rows: &[&[&str]]) -> String {
    let mut data = String::from("<sheetData>");
    for (number, row) in (1..).zip(rows) {
        data.push_str(&format!("<row r=\"{number}\">"));
        for (column, text) in (b'A'..).zip(*row) {
            let place = format!("{}{number}", char::from(column));
            data.push_str(&match text.parse::<f64>() {
                Ok(value) => format!("<c r=\"{place}\"><v>{value}</v></c>"),
                Err(_) => format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>"),
            });
        }
        data.push_str("</row>");
    }
    data + "</sheetData>"
}

/// A Parquet file of the columns `text` and `label`, which is null where it is negative; compressed by gzip, else by Snappy.
///
/// # Errors
/// The crate parquet refuses.
pub fn parquet(rows: &[(&str, i64)], is_gzip: bool) -> Result<Vec<u8>> {
    let schema = parse_message_type("message rows { REQUIRED BYTE_ARRAY text (UTF8); OPTIONAL INT64 label; }")?;
    let compression = match is_gzip {
        true => Compression::GZIP(GzipLevel::default()),
        false => Compression::SNAPPY,
    };
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let texts: Vec<ByteArray> = rows.iter().map(|(text, _)| ByteArray::from(*text)).collect();
    let mut column = group.next_column()?.context("the column text")?;
    column.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
    column.close()?;
    let labels: Vec<i64> = rows
        .iter()
        .map(|(_, label)| *label)
        .filter(|label| *label >= 0)
        .collect();
    let is_there: Vec<i16> = rows.iter().map(|(_, label)| i16::from(*label >= 0)).collect();
    let mut column = group.next_column()?.context("the column label")?;
    column
        .typed::<Int64Type>()
        .write_batch(&labels, Some(&is_there), None)?;
    column.close()?;
    group.close()?;
    Ok(writer.into_inner()?)
}
