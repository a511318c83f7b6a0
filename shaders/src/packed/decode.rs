//! What the words of a packed matrix say, on the CPU: the twins' decoding, bit-exact with the reference libraries.

use super::lanes::{FloatTable, LANES, Lanes, Path, Portable, Work};
use super::{Format, Packed, Planes};
use crate::math::half;

/// Numbers decoded at a time: no format's 32 neighbours from a multiple of 32 on need more than one word of codes a format
/// bit, so the loops over them become vector instructions.
const CHUNK: usize = 32;

/// Numbers `start` .. `start + out.len()` of `matrix`, counted row by row, from its words (as the bits of f32).
///
/// # Panics
/// If `words` are not the matrix's, or the range is not within it: a defect of the caller.
pub fn decode(matrix: &Packed, words: &[f32], start: usize, out: &mut [f32]) {
    Reader::new(matrix, words).decode(start, out);
}

pub(super) struct Reader<'a> {
    pub(super) matrix: &'a Packed,
    pub(super) words: &'a [f32],
    pub(super) planes: Planes,
}

/// See [`Reader::decode_rows`].
struct Stretches<'a> {
    reader: &'a Reader<'a>,
    start: usize,
    count: usize,
    step: usize,
    out: &'a mut [f32],
}

impl Work for Stretches<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Reader { matrix, planes, .. } = self.reader;
        let values: [f32; 16] = match matrix.format {
            Format::FourBit { .. } => std::array::from_fn(|code| self.reader.float(planes.codebook + code)),
            _ => [0.0; 16],
        };
        let table = FloatTable::new(values);
        for (row, out) in self.out.chunks_mut(self.step).enumerate() {
            let start = self.start + row * matrix.columns;
            let count = self.count.min(out.len());
            self.reader.decode_stretch(lanes, &table, start, &mut out[..count]);
        }
    }
}

impl<'a> Reader<'a> {
    /// # Panics
    /// If `words` are not the matrix's.
    pub(super) fn new(matrix: &'a Packed, words: &'a [f32]) -> Self {
        let planes = matrix.planes();
        assert_eq!(words.len(), planes.words, "words of {matrix:?}");
        Self { matrix, words, planes }
    }

    /// See [`decode`].
    pub(super) fn decode(&self, start: usize, out: &mut [f32]) {
        let count = out.len().max(1);
        self.decode_rows(start, count, count, out);
    }

    /// Stretches of `count` numbers, the first from `start` on, the others each a row of the matrix further; they start
    /// `step` numbers from one another in `out`.
    pub(super) fn decode_rows(&self, start: usize, count: usize, step: usize, out: &mut [f32]) {
        let last = out.len().saturating_sub(1) / step;
        let end = start + last * self.matrix.columns + count.min(out.len());
        assert!(end <= self.matrix.elements(), "a range of {:?}", self.matrix);
        Path::best().run(Stretches {
            reader: self,
            start,
            count,
            step,
            out,
        });
    }

    #[inline(always)]
    fn decode_stretch<L: Lanes>(&self, lanes: L, table: &FloatTable, start: usize, out: &mut [f32]) {
        let mut done = 0;
        while done < out.len() {
            let at = start + done;
            let (chunk, skipped) = (at / CHUNK, at % CHUNK);
            let rest = &mut out[done..];
            if skipped == 0
                && let Some((whole, _)) = rest.split_first_chunk_mut::<CHUNK>()
            {
                self.chunk(lanes, table, chunk, whole);
                done += CHUNK;
            } else {
                self.decode_part(table, chunk, skipped, rest);
                done += rest.len().min(CHUNK - skipped);
            }
        }
    }

    /// The numbers of a chunk from number `skipped` on, as far as `out` goes.
    #[inline(never)]
    fn decode_part(&self, table: &FloatTable, chunk: usize, skipped: usize, out: &mut [f32]) {
        let mut whole = [0.0; CHUNK];
        self.chunk(Portable, table, chunk, &mut whole);
        let taken = out.len().min(CHUNK - skipped);
        out[..taken].copy_from_slice(&whole[skipped..][..taken]);
    }

    /// Word `at`; 0 past the end, where a last chunk is not full.
    #[inline(always)]
    fn word(&self, at: usize) -> u32 {
        self.words.get(at).map_or(0, |word| word.to_bits())
    }

    /// Words `start` .. `start` + N; one check for all of them, so that what is done with them can be vectorised.
    #[inline(always)]
    fn words<const N: usize>(&self, start: usize) -> [u32; N] {
        match self.words.get(start..).and_then(|words| words.first_chunk::<N>()) {
            Some(words) => words.map(f32::to_bits),
            None => std::array::from_fn(|at| self.word(start + at)),
        }
    }

    #[inline(always)]
    pub(super) fn float(&self, at: usize) -> f32 {
        f32::from_bits(self.word(at))
    }

    /// Half number `at` of the plane at `start`.
    #[inline(always)]
    fn half(&self, start: usize, at: usize) -> f32 {
        half((self.word(start + at / 2) >> (16 * (at % 2))) as u16)
    }

    #[inline(always)]
    fn halves(&self, at: usize) -> (f32, f32) {
        let word = self.word(at);
        (half(word as u16), half((word >> 16) as u16))
    }

    #[inline(always)]
    fn byte(&self, start: usize, at: usize) -> u8 {
        (self.word(start + at / 4) >> (8 * (at % 4))) as u8
    }

    /// The codes of chunk `chunk`, of four bits.
    #[inline(always)]
    fn nibbles(&self, chunk: usize) -> [u8; CHUNK] {
        let mut codes = [0; CHUNK];
        for (word, codes) in self.words::<4>(4 * chunk).into_iter().zip(codes.chunks_exact_mut(8)) {
            for (j, code) in codes.iter_mut().enumerate() {
                *code = (word >> (4 * j)) as u8 & 15;
            }
        }
        codes
    }

    /// The codes of chunk `chunk`, of eight bits.
    #[inline(always)]
    fn bytes(&self, chunk: usize) -> [u8; CHUNK] {
        let mut codes = [0; CHUNK];
        for (word, codes) in self.words::<8>(8 * chunk).into_iter().zip(codes.chunks_exact_mut(4)) {
            codes.copy_from_slice(&word.to_le_bytes());
        }
        codes
    }

    /// The nibbles with a fifth bit on top.
    #[inline(always)]
    fn five_bits(&self, chunk: usize) -> [u8; CHUNK] {
        let (mut codes, fifth) = (self.nibbles(chunk), self.word(self.planes.secondary + chunk));
        for (j, code) in codes.iter_mut().enumerate() {
            *code |= (((fifth >> j) & 1) << 4) as u8;
        }
        codes
    }

    /// The scale of a block of [`Format::FourBit`].
    #[inline(always)]
    pub(super) fn block_scale(&self, block: usize, double: bool) -> f32 {
        if !double {
            return self.float(self.planes.scales + block);
        }
        let code = usize::from(self.byte(self.planes.scales, block));
        let (unit, offset) = (
            self.float(self.planes.secondary + block / 256),
            self.float(self.planes.offset),
        );
        self.float(self.planes.scale_codebook + code) * unit + offset
    }

    /// The numbers 32·`chunk` to 32·`chunk` + 31.
    #[inline(always)]
    fn chunk<L: Lanes>(&self, lanes: L, table: &FloatTable, chunk: usize, out: &mut [f32; CHUNK]) {
        let planes = &self.planes;
        let first = CHUNK * chunk;
        match self.matrix.format {
            Format::F32 => {
                *out = self.words::<CHUNK>(first).map(f32::from_bits);
            }
            Format::F16 | Format::Bf16 => {
                let words = self.words::<16>(first / 2);
                let bits: &[u16; CHUNK] = bytemuck::cast_ref(&words);
                for (values, bits) in out.as_chunks_mut().0.iter_mut().zip(bits.as_chunks().0) {
                    *values = lanes.lanes(match self.matrix.format {
                        Format::F16 => lanes.wide_halves(bits),
                        _ => lanes.wide_upper_halves(bits),
                    });
                }
            }
            Format::FourBit { block, double } => {
                let scale = [self.block_scale(first / block, double); LANES];
                let words = self.words::<4>(4 * chunk);
                let codes: &[u8; CHUNK / 2] = bytemuck::cast_ref(&words);
                for (values, codes) in out.as_chunks_mut().0.iter_mut().zip(codes.as_chunks().0) {
                    *values = lanes.lanes(lanes.times(lanes.floats_looked_up(codes, table), &scale));
                }
            }
            Format::Int8 => {
                self.by_row(first, out, |row| self.float(planes.scales + row));
                for (value, code) in out.iter_mut().zip(self.bytes(chunk)) {
                    *value *= f32::from(code as i8);
                    *value *= 1.0 / 127.0;
                }
            }
            Format::Fp8 {
                fraction_bits,
                tile_rows,
                tile_columns,
            } => {
                let codes = self.bytes(chunk);
                let columns = self.matrix.columns;
                let across = columns.div_ceil(tile_columns);
                let tile = |row: usize, column: usize| {
                    self.float(planes.scales + row / tile_rows * across + column / tile_columns)
                };
                if across == 1 {
                    self.by_row(first, out, |row| tile(row, 0));
                } else {
                    for (j, value) in out.iter_mut().enumerate() {
                        *value = tile((first + j) / columns, (first + j) % columns);
                    }
                }
                for (value, code) in out.iter_mut().zip(codes) {
                    *value *= fp8(code, fraction_bits);
                }
            }
            Format::Q4_0 => {
                let d = self.half(planes.scales, chunk);
                for (value, code) in out.iter_mut().zip(self.nibbles(chunk)) {
                    *value = d * (f32::from(code) - 8.0);
                }
            }
            Format::Q4_1 => {
                let (d, m) = self.halves(planes.scales + chunk);
                for (value, code) in out.iter_mut().zip(self.nibbles(chunk)) {
                    *value = d * f32::from(code) + m;
                }
            }
            Format::Q5_0 => {
                let d = self.half(planes.scales, chunk);
                for (value, code) in out.iter_mut().zip(self.five_bits(chunk)) {
                    *value = d * (f32::from(code) - 16.0);
                }
            }
            Format::Q5_1 => {
                let (d, m) = self.halves(planes.scales + chunk);
                for (value, code) in out.iter_mut().zip(self.five_bits(chunk)) {
                    *value = d * f32::from(code) + m;
                }
            }
            Format::Q8_0 => {
                let d = self.half(planes.scales, chunk);
                for (value, code) in out.iter_mut().zip(self.bytes(chunk)) {
                    *value = d * f32::from(code as i8);
                }
            }
            Format::Q4K => {
                let (scale, minimum) = self.scale_and_minimum(chunk);
                for (value, code) in out.iter_mut().zip(self.nibbles(chunk)) {
                    *value = scale * f32::from(code) - minimum;
                }
            }
            Format::Q5K => {
                let (scale, minimum) = self.scale_and_minimum(chunk);
                for (value, code) in out.iter_mut().zip(self.five_bits(chunk)) {
                    *value = scale * f32::from(code) - minimum;
                }
            }
            Format::Q6K => {
                let d = self.half(planes.offset, chunk / 8);
                let codes = self.nibbles(chunk);
                for half in 0..2 {
                    let high = self.word(planes.secondary + 2 * chunk + half);
                    let scale = d * f32::from(self.byte(planes.scales, 2 * chunk + half) as i8);
                    for j in 0..16 {
                        let code = codes[16 * half + j] | (((high >> (2 * j)) & 3) << 4) as u8;
                        out[16 * half + j] = scale * (f32::from(code) - 32.0);
                    }
                }
            }
        }
    }

    /// `scale(row)` for each number of a chunk that begins with number `first`; rows may end within it, and the matrix too.
    #[inline(always)]
    fn by_row(&self, first: usize, out: &mut [f32; CHUNK], scale: impl Fn(usize) -> f32) {
        let columns = self.matrix.columns;
        let row = first / columns;
        if (row + 1) * columns >= first + CHUNK {
            out.fill(scale(row));
        } else {
            let end = self.matrix.elements().min(first + CHUNK) - first;
            for (j, out) in out[..end].iter_mut().enumerate() {
                *out = scale((first + j) / columns);
            }
        }
    }

    /// Scale and minimum of a chunk of Q4_K or Q5_K; where their bits lie is told in `k_scales.wgsl`.
    #[inline(always)]
    fn scale_and_minimum(&self, chunk: usize) -> (f32, f32) {
        let block = self.planes.scales + 4 * (chunk / 8);
        let part = chunk % 8;
        let byte = |word: usize| (self.word(block + word) >> (8 * (part % 4))) & 255;
        let (first, second, third) = (byte(1), byte(2), byte(3));
        let (scale, minimum) = if part < 4 {
            (first & 63, second & 63)
        } else {
            ((third & 15) | ((first >> 6) << 4), (third >> 4) | ((second >> 6) << 4))
        };
        let (d, d_min) = self.halves(block);
        (d * scale as f32, d_min * minimum as f32)
    }
}

/// The value of a finite 8-bit float.
#[inline(always)]
fn fp8(code: u8, fraction_bits: usize) -> f32 {
    let bias = (1u32 << (6 - fraction_bits)) - 1;
    let size = u32::from(code & 127);
    let normal = f32::from_bits((size << (23 - fraction_bits)) + ((127 - bias) << 23));
    let subnormal = f32::from_bits((128 - bias - fraction_bits as u32) << 23) * size as f32;
    let value = if size < 1 << fraction_bits { subnormal } else { normal };
    if code > 127 { -value } else { value }
}
