//! Parquet files, row by row: uncompressed, or compressed by Snappy, gzip, LZ4 or Zstandard.

use crate::cell::{Cell, Rows};
use crate::zstd::Unpacking;
use crate::{Content, MOST_VALUES, Opened, Refusal, damaged, too_much};
use bytes::Bytes;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::tables as msg;
use parquet::basic::Compression;
use parquet::file::reader::FileReader;
use parquet::record::Field;

/// Bytes of what a file says of itself: schemas are read by recursion, a level of which takes seven bytes here at least, so that
/// there are 300,000 at most, and the reader's stack has 1.7 KB for each.
const MOST_FOOTER: usize = 2 << 20;

/// Bytes that its columns may take unpacked, as it says.
const MOST_COLUMN_BYTES: i64 = 1 << 30;

/// Opens a Parquet file.
pub fn read(bytes: &[u8]) -> Result<Opened, Refusal> {
    // The last eight bytes: the length of the footer, and the magic again.
    let footer = bytes.len().checked_sub(8).and_then(|at| bytes.get(at..at + 4));
    let footer = footer.and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    if footer.is_none_or(|length| length as usize > MOST_FOOTER) {
        return Err(damaged("footer"));
    }
    let reader = Unpacking::new(Bytes::copy_from_slice(bytes)).map_err(damaged)?;
    let metadata = reader.metadata();
    let mut bytes_inside: i64 = 0;
    for group in metadata.row_groups() {
        bytes_inside = bytes_inside.saturating_add(group.total_byte_size().max(0));
        let of_columns = group.columns().iter().map(|column| column.uncompressed_size());
        if of_columns.max() > Some(MOST_COLUMN_BYTES) {
            return Err(too_much());
        }
        for column in group.columns() {
            check_codec(column.compression()).map_err(|refusal| refusal.field(column.column_path().string()))?;
        }
    }
    if bytes_inside > MOST_COLUMN_BYTES {
        return Err(too_much());
    }
    let schema = metadata.file_metadata().schema();
    let columns: Vec<String> = schema.get_fields().iter().map(|field| name(field.name())).collect();
    let mut rows = Rows::new();
    // Rows without columns take nothing and never end.
    if columns.is_empty() || columns.len() > MOST_VALUES {
        return Err(Refusal::new(msg::NoColumnsInside, msg::SaveAgain));
    }
    let mut notes: Vec<Message> = Vec::new();
    let mut is_binary = vec![false; columns.len()];
    let found = reader.get_row_iter(None).map_err(damaged)?;
    for (number, row) in (1..).zip(found) {
        let row = row.map_err(|error| damaged(error).row(number))?;
        let mut cells = Vec::with_capacity(columns.len());
        for (place, (_, field)) in row.into_columns().into_iter().enumerate() {
            let (cell, binary) = typed(field);
            if let Some(is_binary) = is_binary.get_mut(place) {
                *is_binary |= binary;
            }
            cells.push(cell);
        }
        rows.push(number, &cells)?;
    }
    let binary = columns.iter().zip(is_binary).filter(|(_, is_binary)| *is_binary);
    let binary: Vec<&String> = binary.map(|(name, _)| name).collect();
    if !binary.is_empty() {
        let columns = lorakeet_i18n::Field::list(binary);
        notes.push(msg::BinaryColumns { columns }.into());
    }
    Ok(Opened::new(Content::Columns(columns), notes, rows.into_bytes()))
}

/// Pandas keeps the names of rows in a column of its own, which numbers them where nobody named them.
fn name(name: &str) -> String {
    let number = name
        .strip_prefix("__index_level_")
        .and_then(|rest| rest.strip_suffix("__"));
    number.map_or_else(|| name.to_owned(), |number| format!("Unnamed: {number}"))
}

fn check_codec(codec: Compression) -> Result<(), Refusal> {
    match codec {
        Compression::UNCOMPRESSED
        | Compression::SNAPPY
        | Compression::GZIP(_)
        | Compression::LZ4
        | Compression::LZ4_RAW
        | Compression::ZSTD(_) => Ok(()),
        other => {
            let codec = format!("{other:?}");
            let codec = codec.split('(').next().unwrap_or_default().to_lowercase();
            Err(Refusal::new(msg::OtherCodec { codec }, msg::SaveWithSnappy))
        }
    }
}

/// A field, and whether it was bytes that are no text, which are left out.
fn typed(field: Field) -> (Cell, bool) {
    let whole = |number: i128| (Cell::Number(number.to_string()), false);
    let cell = match field {
        Field::Null => Cell::Empty,
        Field::Bool(truth) => Cell::Truth(truth),
        Field::Byte(number) => return whole(number.into()),
        Field::Short(number) => return whole(number.into()),
        Field::Int(number) => return whole(number.into()),
        Field::Long(number) => return whole(number.into()),
        Field::UByte(number) => return whole(number.into()),
        Field::UShort(number) => return whole(number.into()),
        Field::UInt(number) => return whole(number.into()),
        Field::ULong(number) => return whole(number.into()),
        Field::Float16(number) => Cell::number(number.to_f64()),
        // By its own digits: as a double 0.1 would be 0.10000000149011612.
        Field::Float(number) if number.is_finite() => Cell::Number(number.to_string()),
        Field::Float(number) => Cell::number(number.into()),
        Field::Double(number) => Cell::number(number),
        Field::Str(text) => Cell::Text(text),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => return (Cell::Empty, true),
        },
        field @ (Field::Decimal(_)
        | Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_)) => Cell::Text(field.to_string()),
        Field::Group(row) => {
            let mut is_binary = false;
            let items = row.into_columns().into_iter().map(|(name, field)| {
                let (cell, binary) = typed(field);
                is_binary |= binary;
                (name, cell)
            });
            let items = items.collect();
            return (Cell::Named(items), is_binary);
        }
        Field::ListInternal(list) => {
            let (items, binary): (Vec<Cell>, Vec<bool>) = list.elements().iter().cloned().map(typed).unzip();
            return (Cell::List(items), binary.contains(&true));
        }
        Field::MapInternal(map) => {
            let mut is_binary = false;
            let items = map.entries().iter().map(|(key, value)| {
                let (cell, binary) = typed(value.clone());
                is_binary |= binary;
                let key = match key {
                    Field::Str(key) => key.clone(),
                    other => other.to_string(),
                };
                (key, cell)
            });
            let items = items.collect();
            return (Cell::Named(items), is_binary);
        }
    };
    (cell, false)
}
