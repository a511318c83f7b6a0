//! From a file's matrix to a packed one on the device, slice by slice: the host holds a slice in 32-bit floats and the codes of
//! one matrix.
//!
//! A large matrix becomes several buffers of whole rows ([`parts`]), because a GPU limits the size of a buffer. No border
//! cuts a block or a group of 256 blocks, so that the numbers are those of the undivided matrix.

use super::load::Loader;
use crate::error::Result;
use crate::formats::Storage;
use crate::ops::PackedMatrix;
use crate::quant::{
    Absmax, BaseFormat, Block, Code, DoubleAbsmax, FourBit, Fp8, Fp8Matrix, Int8Rows, PartRows, ScaleOf,
    packing::{self, PackedWords, Scales},
};
use lorakeet_shaders::{Format, Packed};
use std::ops::Range;

/// Bytes of one buffer at most, even where the device would take more: a part is on the host once while it is uploaded.
const MOST_PART_BYTES: u64 = 64 << 20;
/// Numbers that are read and encoded at a time.
const SLICE: usize = 4 << 20;

/// A matrix of the files: its name and its storage.
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) storage: Storage,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Its numbers, where they are not in the file's order.
    pub(super) numbers: Option<Vec<f32>>,
}

impl<'a> Source<'a> {
    fn parts(&self) -> PartRows {
        PartRows::new(self.rows, self.columns)
    }

    fn packed_as(&self, format: Format) -> Packed {
        let Self { rows, columns, .. } = *self;
        Packed { format, rows, columns }
    }

    /// The transpose of `self`, read whole: only GPT-2's linears are transposed.
    pub(super) async fn transposed(self, loader: &mut Loader<'_>) -> Result<Source<'a>> {
        let (rows, columns) = (self.columns, self.rows);
        let numbers = match loader.is_skeleton() {
            true => None,
            false => {
                let numbers = self.read(loader, 0..self.rows).await?;
                let transposed = (0..rows).flat_map(|row| numbers.iter().skip(row).step_by(rows).copied());
                Some(transposed.collect())
            }
        };
        Ok(Source {
            numbers,
            rows,
            columns,
            ..self
        })
    }

    /// Rows as 32-bit floats.
    async fn read(&self, loader: &mut Loader<'_>, rows: Range<usize>) -> Result<Vec<f32>> {
        match &self.numbers {
            Some(numbers) => Ok(numbers[rows.start * self.columns..rows.end * self.columns].to_vec()),
            None => loader.numbers(self.name, rows).await,
        }
    }
}

/// The buffers of a matrix on the device: the rows of each, and their packing.
pub(super) fn parts(whole: Packed, loader: &Loader<'_>) -> impl Iterator<Item = (Range<usize>, Packed)> + use<> {
    let Packed { format, rows, columns } = whole;
    let cut = PartRows::new(rows, columns);
    let part_bytes = loader.largest_buffer_bytes().min(MOST_PART_BYTES) as usize;
    let (numbers, step) = match format {
        // A code of four bits and a scale of 32 for 64 numbers or more: not above 4.5 bits a number, 5 with the tables.
        Format::FourBit { block, .. } => (part_bytes / 5 * 8, cut.rows_of_multiple(256 * block)),
        // A byte a number, and a scale of four bytes a row.
        Format::Int8 => (part_bytes / (columns + 4) * columns, 1),
        // A byte a number, and not above four bytes a row of a tile. A scale of the whole matrix goes with each part.
        Format::Fp8 {
            tile_rows,
            tile_columns,
            ..
        } => {
            let across = columns.div_ceil(tile_columns);
            let step = if across == 1 && tile_rows >= rows { 1 } else { tile_rows };
            (part_bytes / (columns + 4 * across) * columns, step)
        }
        // Packed bytes grow evenly with the rows.
        _ => {
            let sample = Packed {
                format,
                rows: 256,
                columns,
            };
            // The product does not fit into the 32 bits of a browser's usize.
            let numbers = part_bytes as u64 / 4 * sample.elements() as u64 / sample.words().max(1) as u64;
            (usize::try_from(numbers).unwrap_or(usize::MAX), 1)
        }
    };
    cut.ranges(numbers, step).map(move |rows| {
        let part = Packed {
            format,
            rows: rows.len(),
            columns,
        };
        (rows, part)
    })
}

/// A matrix in its file's own format.
pub(super) async fn own(loader: &mut Loader<'_>, source: &Source<'_>, format: Format) -> Result<PackedMatrix> {
    let whole = source.packed_as(format);
    if let Some(skeleton) = loader.skeleton_of(whole) {
        return Ok(skeleton);
    }
    let mut packed = PackedMatrix::new(source.columns);
    for (rows, matrix) in parts(whole, loader) {
        let bytes = loader.rows(source.name, rows.clone()).await?;
        let part = if format == Format::F32 {
            let words = bytes
                .chunks_exact(4)
                .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            PackedWords {
                matrix,
                words: words.collect(),
            }
        } else {
            packing::stored(source.storage, rows.len(), source.columns, &bytes)?
        };
        loader.put(&mut packed, part).await?;
    }
    Ok(packed)
}

/// A matrix of floats, encoded as `base` says; `None` where that is the file's own format.
pub(super) async fn encoded(
    loader: &mut Loader<'_>,
    source: &Source<'_>,
    base: BaseFormat,
) -> Result<Option<PackedMatrix>> {
    let Some(format) = packing::format(base, source.rows, source.columns) else {
        return Ok(None);
    };
    let whole = source.packed_as(format);
    if let Some(skeleton) = loader.skeleton_of(whole) {
        return Ok(Some(skeleton));
    }
    Ok(match base {
        BaseFormat::AsStored => None,
        BaseFormat::FourBit { code, block, double } => {
            Some(four_bit(loader, source, whole, (code, block, double)).await?)
        }
        BaseFormat::Int8 => Some(int8(loader, source, whole).await?),
        BaseFormat::Fp8 { format, scale_of } => Some(fp8(loader, source, whole, (format, scale_of)).await?),
    })
}

async fn four_bit(
    loader: &mut Loader<'_>,
    source: &Source<'_>,
    whole: Packed,
    (code, block, double): (Code, Block, bool),
) -> Result<PackedMatrix> {
    let (mut bytes, mut absmax) = (Vec::new(), Vec::new());
    for rows in source
        .parts()
        .ranges(SLICE, source.parts().rows_of_multiple(block.elements()))
    {
        let part = FourBit::encode(&source.read(loader, rows).await?, code, block)?;
        bytes.extend_from_slice(part.packed());
        if let Absmax::Plain(scales) = part.absmax() {
            absmax.extend_from_slice(scales);
        }
    }
    let double = match double {
        true => Some(DoubleAbsmax::encode(&absmax)?),
        false => None,
    };
    let mut packed = PackedMatrix::new(source.columns);
    for (rows, _) in parts(whole, loader) {
        let (first, end) = (rows.start * source.columns, rows.end * source.columns);
        let scale_range = first / block.elements()..end.div_ceil(block.elements());
        let scales = match &double {
            None => Scales::Plain(&absmax[scale_range]),
            Some(double) => Scales::Double {
                codes: &double.codes().codes()[scale_range.clone()],
                absmax: &double.codes().absmax()[scale_range.start / 256..scale_range.end.div_ceil(256)],
                offset: double.offset(),
            },
        };
        let shape = (rows.len(), source.columns);
        let part = packing::four_bit(
            code,
            block.elements(),
            shape,
            &bytes[first / 2..end.div_ceil(2)],
            scales,
        )?;
        loader.put(&mut packed, part).await?;
    }
    Ok(packed)
}

async fn int8(loader: &mut Loader<'_>, source: &Source<'_>, whole: Packed) -> Result<PackedMatrix> {
    let (mut codes, mut absmax) = (Vec::new(), Vec::new());
    for rows in source.parts().ranges(SLICE, 1) {
        let count = rows.len();
        let part = Int8Rows::encode(&source.read(loader, rows).await?, count, source.columns)?;
        codes.extend_from_slice(part.codes());
        absmax.extend_from_slice(part.absmax());
    }
    let mut packed = PackedMatrix::new(source.columns);
    for (rows, _) in parts(whole, loader) {
        let range = rows.start * source.columns..rows.end * source.columns;
        let part = packing::int8((rows.len(), source.columns), &codes[range], &absmax[rows])?;
        loader.put(&mut packed, part).await?;
    }
    Ok(packed)
}

async fn fp8(
    loader: &mut Loader<'_>,
    source: &Source<'_>,
    whole: Packed,
    (format, scale_of): (Fp8, ScaleOf),
) -> Result<PackedMatrix> {
    let columns = source.columns;
    let (tile_rows, tile_columns) = scale_of.tile(1, columns);
    let mut whole_scale = None;
    if scale_of == ScaleOf::Tensor {
        let mut most = 0.0f32;
        for rows in source.parts().ranges(SLICE, 1) {
            let numbers = source.read(loader, rows).await?;
            most = numbers.iter().fold(most, |most, number| most.max(number.abs()));
        }
        whole_scale = Some(format.scale(most));
    }
    let (mut codes, mut scales) = (Vec::new(), Vec::new());
    for rows in source.parts().ranges(SLICE, tile_rows) {
        let count = rows.len();
        let numbers = source.read(loader, rows).await?;
        match whole_scale {
            Some(scale) => codes.extend(numbers.iter().map(|number| format.encode(number / scale))),
            None => {
                let part = Fp8Matrix::encode(&numbers, count, columns, format, scale_of)?;
                codes.extend_from_slice(part.codes());
                scales.extend_from_slice(part.scales());
            }
        }
    }
    let mut packed = PackedMatrix::new(columns);
    let across = columns.div_ceil(tile_columns);
    for (rows, _) in parts(whole, loader) {
        let range = rows.start * columns..rows.end * columns;
        let tiles = rows.start / tile_rows * across..rows.end.div_ceil(tile_rows) * across;
        let own = whole_scale.map(|scale| vec![scale]);
        let scales = own.as_deref().unwrap_or_else(|| &scales[tiles]);
        let part = packing::fp8(format, scale_of, (rows.len(), columns), &codes[range], scales)?;
        loader.put(&mut packed, part).await?;
    }
    Ok(packed)
}
