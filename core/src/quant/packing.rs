//! From the bytes of files and encoders to the words of a packed matrix on the device.
//!
//! Only the order of bits changes here: the layout is [`lorakeet_shaders::Packed::planes`]'s, and what a matrix decodes to
//! is what its source decodes to, to the last bit.

use super::{BaseFormat, Code, Fp8, Map, ScaleOf, check_length};
use crate::formats::Storage;
use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use lorakeet_shaders::{Format, Packed};

/// A packed matrix on the host: its form, and the words that a kernel reads.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedWords {
    /// Shape and format.
    pub matrix: Packed,
    /// As many as [`Packed::words`] says.
    pub words: Vec<u32>,
}

/// The scales of a stretch of four-bit blocks.
#[derive(Debug, Clone, Copy)]
pub enum Scales<'a> {
    /// A float a block.
    Plain(&'a [f32]),
    /// A code a block, a float for each 256 codes, and what is added to all.
    Double {
        /// Codes of the signed [`Map`].
        codes: &'a [u8],
        /// Their scales.
        absmax: &'a [f32],
        /// The offset.
        offset: f32,
    },
}

/// How a matrix that is stored as `storage` stays packed; `None` where it does not.
pub fn own_format(storage: Storage) -> Option<Format> {
    Some(match storage {
        Storage::F16 => Format::F16,
        Storage::BF16 => Format::Bf16,
        Storage::Q4_0 => Format::Q4_0,
        Storage::Q4_1 => Format::Q4_1,
        Storage::Q5_0 => Format::Q5_0,
        Storage::Q5_1 => Format::Q5_1,
        Storage::Q8_0 => Format::Q8_0,
        Storage::Q4K => Format::Q4K,
        Storage::Q5K => Format::Q5K,
        Storage::Q6K => Format::Q6K,
        Storage::F32 | Storage::I64 | Storage::Other { .. } => return None,
    })
}

/// How `base` holds a frozen linear of `rows` × `columns`; `None` where it keeps its file's format.
pub fn format(base: BaseFormat, rows: usize, columns: usize) -> Option<Format> {
    Some(match base {
        BaseFormat::AsStored => return None,
        BaseFormat::FourBit { block, double, .. } => Format::FourBit {
            block: block.elements(),
            double,
        },
        BaseFormat::Int8 => Format::Int8,
        BaseFormat::Fp8 { format, scale_of } => fp8_format(format, scale_of, (rows, columns)),
    })
}

fn fp8_format(format: Fp8, scale_of: ScaleOf, (rows, columns): (usize, usize)) -> Format {
    let (tile_rows, tile_columns) = scale_of.tile(rows, columns);
    Format::Fp8 {
        fraction_bits: format.fraction_bits() as usize,
        tile_rows,
        tile_columns,
    }
}

/// Whole rows of a matrix as a file stores them.
///
/// # Errors
/// The storage has no packed format, or the bytes are not so many rows.
pub fn stored(storage: Storage, rows: usize, columns: usize, bytes: &[u8]) -> Result<PackedWords> {
    let format = own_format(storage).ok_or_else(|| Error::internal(msg::NoPackedFormat { storage }))?;
    if !columns.is_multiple_of(format.row_multiple()) {
        return Err(Error::format(msg::RowsAreNoBlocks { columns, storage }));
    }
    let blocks = rows * columns / storage.block_elements();
    check_length("bytes", bytes.len(), blocks * storage.block_bytes())?;
    let mut planes = PlaneWriter::new(Packed { format, rows, columns });
    if storage.block_elements() == 1 {
        for (word, halves) in planes.words.iter_mut().zip(bytes.chunks(4)) {
            *word = little_endian(halves);
        }
        return Ok(planes.finish());
    }
    for (i, block) in bytes.chunks_exact(storage.block_bytes()).enumerate() {
        planes.block(storage, i, block);
    }
    Ok(planes.finish())
}

/// `rows` rows of NF4 or FP4: two codes a byte, the first in the high half, as bitsandbytes has them. The matrix may be a
/// stretch of a larger one that starts at a multiple of 256 blocks.
///
/// # Errors
/// The parts have other lengths than the shape wants.
pub fn four_bit(
    code: Code,
    block: usize,
    (rows, columns): (usize, usize),
    bytes: &[u8],
    scales: Scales<'_>,
) -> Result<PackedWords> {
    let double = matches!(scales, Scales::Double { .. });
    let matrix = Packed {
        format: Format::FourBit { block, double },
        rows,
        columns,
    };
    let elements = matrix.elements();
    check_length("weight", bytes.len(), elements.div_ceil(2))?;
    let mut planes = PlaneWriter::new(matrix);
    let starts = matrix.planes();
    for (word, bytes) in planes.words.iter_mut().zip(bytes.chunks(4)) {
        let word_of = little_endian(bytes);
        *word = (word_of & 0x0f0f_0f0f) << 4 | (word_of >> 4) & 0x0f0f_0f0f;
    }
    match scales {
        Scales::Plain(absmax) => {
            check_length("absmax", absmax.len(), elements.div_ceil(block))?;
            planes.floats(starts.scales, absmax);
        }
        Scales::Double { codes, absmax, offset } => {
            check_length("absmax", codes.len(), elements.div_ceil(block))?;
            check_length("nested_absmax", absmax.len(), codes.len().div_ceil(256))?;
            planes.bytes(starts.scales, codes);
            planes.floats(starts.secondary, absmax);
            planes.floats(starts.offset, &[offset]);
            planes.floats(starts.scale_codebook, Map::Signed.table());
        }
    }
    planes.floats(starts.codebook, code.table());
    Ok(planes.finish())
}

/// `rows` rows of signed bytes, a scale a row.
///
/// # Errors
/// The parts have other lengths than the shape wants.
pub fn int8((rows, columns): (usize, usize), codes: &[i8], absmax: &[f32]) -> Result<PackedWords> {
    let matrix = Packed {
        format: Format::Int8,
        rows,
        columns,
    };
    check_length("weight", codes.len(), matrix.elements())?;
    check_length("absmax", absmax.len(), rows)?;
    let mut planes = PlaneWriter::new(matrix);
    let bytes: Vec<u8> = codes.iter().map(|code| *code as u8).collect();
    planes.bytes(0, &bytes);
    planes.floats(matrix.planes().scales, absmax);
    Ok(planes.finish())
}

/// `rows` rows of 8-bit floats with their scales, row-major over the tiles.
///
/// # Errors
/// The parts have other lengths than the shape wants.
pub fn fp8(
    format: Fp8,
    scale_of: ScaleOf,
    (rows, columns): (usize, usize),
    codes: &[u8],
    scales: &[f32],
) -> Result<PackedWords> {
    let matrix = Packed {
        format: fp8_format(format, scale_of, (rows, columns)),
        rows,
        columns,
    };
    let starts = matrix.planes();
    check_length("weight", codes.len(), matrix.elements())?;
    check_length("scale", scales.len(), starts.secondary - starts.scales)?;
    let mut planes = PlaneWriter::new(matrix);
    planes.bytes(0, codes);
    planes.floats(starts.scales, scales);
    Ok(planes.finish())
}

/// Up to four bytes as a word.
fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// Puts codes and scales where the layout wants them.
struct PlaneWriter {
    matrix: Packed,
    words: Vec<u32>,
}

impl PlaneWriter {
    fn new(matrix: Packed) -> Self {
        let words = vec![0; matrix.words()];
        Self { matrix, words }
    }

    fn finish(self) -> PackedWords {
        let Self { matrix, words } = self;
        PackedWords { matrix, words }
    }

    fn floats(&mut self, start: usize, values: &[f32]) {
        for (word, value) in self.words[start..].iter_mut().zip(values) {
            *word = value.to_bits();
        }
    }

    fn bytes(&mut self, start: usize, values: &[u8]) {
        for (word, bytes) in self.words[start..].iter_mut().zip(values.chunks(4)) {
            *word = little_endian(bytes);
        }
    }

    /// Half number `at` of the plane at `start`, from its two bytes.
    fn half(&mut self, start: usize, at: usize, bytes: &[u8]) {
        self.words[start + at / 2] |= little_endian(&bytes[..2]) << (16 * (at % 2));
    }

    /// The codes of 32 numbers, of which four bits are kept.
    fn nibbles(&mut self, chunk: usize, codes: impl Iterator<Item = u8>) {
        for (j, code) in codes.take(32).enumerate() {
            self.words[4 * chunk + j / 8] |= u32::from(code & 15) << (4 * (j % 8));
        }
    }

    /// Block number `i` of one of ggml's formats; how its bytes lie is told in [`crate::formats::blocks`].
    fn block(&mut self, storage: Storage, i: usize, block: &[u8]) {
        let starts = self.matrix.planes();
        let halves = |nibbles: &[u8]| -> Vec<u8> {
            let low = nibbles.iter().map(|byte| byte & 15);
            low.chain(nibbles.iter().map(|byte| byte >> 4)).collect()
        };
        match storage {
            Storage::Q4_0 => {
                self.half(starts.scales, i, block);
                self.nibbles(i, halves(&block[2..]).into_iter());
            }
            Storage::Q4_1 => {
                self.words[starts.scales + i] = little_endian(&block[..4]);
                self.nibbles(i, halves(&block[4..]).into_iter());
            }
            Storage::Q5_0 => {
                self.half(starts.scales, i, block);
                self.words[starts.secondary + i] = little_endian(&block[2..6]);
                self.nibbles(i, halves(&block[6..]).into_iter());
            }
            Storage::Q5_1 => {
                self.words[starts.scales + i] = little_endian(&block[..4]);
                self.words[starts.secondary + i] = little_endian(&block[4..8]);
                self.nibbles(i, halves(&block[8..]).into_iter());
            }
            Storage::Q8_0 => {
                self.half(starts.scales, i, block);
                self.bytes(8 * i, &block[2..]);
            }
            Storage::Q4K => {
                self.bytes(starts.scales + 4 * i, &block[..16]);
                for (part, nibbles) in block[16..].chunks_exact(32).enumerate() {
                    self.nibbles(8 * i + 2 * part, nibbles.iter().copied());
                    self.nibbles(8 * i + 2 * part + 1, nibbles.iter().map(|byte| byte >> 4));
                }
            }
            Storage::Q5K => {
                self.bytes(starts.scales + 4 * i, &block[..16]);
                for (part, nibbles) in block[48..].chunks_exact(32).enumerate() {
                    self.nibbles(8 * i + 2 * part, nibbles.iter().copied());
                    self.nibbles(8 * i + 2 * part + 1, nibbles.iter().map(|byte| byte >> 4));
                }
                for part in 0..8 {
                    for (j, bits) in block[16..48].iter().enumerate() {
                        self.words[starts.secondary + 8 * i + part] |= u32::from((bits >> part) & 1) << j;
                    }
                }
            }
            Storage::Q6K => {
                self.half(starts.offset, i, &block[208..]);
                self.bytes(starts.scales + 4 * i, &block[192..208]);
                for half in 0..2 {
                    let pairs = &block[128 + 32 * half..][..32];
                    for part in 0..4 {
                        let chunk = 8 * i + 4 * half + part;
                        let nibbles = &block[64 * half + 32 * (part % 2)..][..32];
                        self.nibbles(chunk, nibbles.iter().map(|byte| byte >> (4 * (part / 2))));
                        for (j, pair) in pairs.iter().enumerate() {
                            let high = u32::from((pair >> (2 * part)) & 3);
                            self.words[starts.secondary + 2 * chunk + j / 16] |= high << (2 * (j % 16));
                        }
                    }
                }
            }
            // Not in blocks.
            Storage::F32 | Storage::F16 | Storage::BF16 | Storage::I64 | Storage::Other { .. } => {}
        }
    }
}
