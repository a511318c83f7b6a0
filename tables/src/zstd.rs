//! Parquet files whose pages are compressed by Zstandard, for which the crate parquet would link C: it is asked for their pages as they
//! are, as if nothing compressed them, and they are unpacked here.

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;
use ruzstd::decoding::StreamingDecoder;
use std::io::Read;
use std::sync::Arc;

/// A file with such pages, or with others.
pub struct Unpacking {
    file: SerializedFileReader<Bytes>,
    bytes: Arc<Bytes>,
}

impl Unpacking {
    /// Reads what the file says of itself.
    ///
    /// # Errors
    /// It is no Parquet file.
    pub fn new(bytes: Bytes) -> Result<Self> {
        Ok(Self {
            file: SerializedFileReader::new(bytes.clone())?,
            bytes: Arc::new(bytes),
        })
    }
}

impl FileReader for Unpacking {
    fn metadata(&self) -> &ParquetMetaData {
        self.file.metadata()
    }

    fn num_row_groups(&self) -> usize {
        self.file.num_row_groups()
    }

    fn get_row_group(&self, place: usize) -> Result<Box<dyn RowGroupReader + '_>> {
        Ok(Box::new(Group {
            group: self.file.get_row_group(place)?,
            bytes: Arc::clone(&self.bytes),
        }))
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_file(projection, self)
    }
}

struct Group<'a> {
    group: Box<dyn RowGroupReader + 'a>,
    bytes: Arc<Bytes>,
}

impl RowGroupReader for Group<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.group.metadata()
    }

    fn num_columns(&self) -> usize {
        self.group.num_columns()
    }

    fn get_column_page_reader(&self, place: usize) -> Result<Box<dyn PageReader>> {
        let column = self.metadata().column(place);
        if !matches!(column.compression(), Compression::ZSTD(_)) {
            return self.group.get_column_page_reader(place);
        }
        let most = u64::try_from(column.uncompressed_size())?;
        let packed = column.clone().into_builder();
        let packed = packed.set_compression(Compression::UNCOMPRESSED).build()?;
        let rows = usize::try_from(self.metadata().num_rows())?;
        let pages = SerializedPageReader::new(Arc::clone(&self.bytes), &packed, rows, None)?;
        Ok(Box::new(Pages { pages, most }))
    }

    fn get_column_bloom_filter(&self, place: usize) -> Option<&Sbbf> {
        self.group.get_column_bloom_filter(place)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

/// The pages of a column.
struct Pages {
    pages: SerializedPageReader<Bytes>,
    /// Bytes that the column takes unpacked, as the file says: none of its pages takes more.
    most: u64,
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.map(|page| unpacked(page, self.most)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

fn unpacked(mut page: Page, most: u64) -> Result<Page> {
    match &mut page {
        Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => *buf = behind(buf, 0, most)?,
        // Of the second version, the levels in front of the values are never compressed.
        Page::DataPageV2 {
            buf,
            def_levels_byte_len,
            rep_levels_byte_len,
            is_compressed: true,
            ..
        } => {
            let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
            *buf = behind(buf, usize::try_from(levels)?, most)?;
        }
        Page::DataPageV2 { .. } => {}
    }
    Ok(page)
}

/// The bytes with those behind `plain` unpacked, at most so many.
fn behind(bytes: &Bytes, plain: usize, most: u64) -> Result<Bytes> {
    let wrong = |what: &str| ParquetError::General(what.to_owned());
    let (plain, mut packed) = bytes
        .split_at_checked(plain)
        .ok_or_else(|| wrong("a page is shorter than its levels"))?;
    let mut made = plain.to_vec();
    // A page without a value has no frame.
    while !packed.is_empty() {
        let frame = StreamingDecoder::new(&mut packed).map_err(|error| wrong(&error.to_string()))?;
        let left = (most + 1).saturating_sub(made.len() as u64);
        frame.take(left).read_to_end(&mut made)?;
        if made.len() as u64 > most {
            return Err(wrong("a page is larger than its column"));
        }
    }
    Ok(made.into())
}
