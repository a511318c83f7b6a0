//! One row times a matrix that stays packed, by dots of integers: what generating a token is made of on a CPU.
//!
//! Decoding a number costs more than multiplying it, and with one row nothing shares the decoding. So activations become
//! integers instead, once a product: of each row and block of 32 numbers the largest size is 32,767 (`s` = size / 32,767), the
//! others are rounded to 16 bits. Codes are widened to 16 bits as they are, and a block's part of a sum is
//! d·s·Σ q·x + m·s·Σ x, where d is the matrix's scale and m its minimum (−8·d in Q4_0, and so on). The sums over q·x are of
//! 32 bits and exact: four products a lane ([`Lanes`]) of at most 16,383 · 32,767 are under 2³¹. Halves (F16, Bf16) are widened
//! to floats instead; there is nothing to round.
//!
//! How exact: a number of x is off by at most 1/65,534 of the largest of its block, so a result by about 1e-5 of |x|·|w|, where
//! the decoding twin is at 1e-7. NF4's and FP4's sixteen values are rounded to 14 bits and a sign besides: 3e-5 of the largest.
//! Blocks of which nothing is larger than 1e-30 count as zeros. A block with an infinite or undefined number makes its row
//! undefined.
//!
//! A row's result depends on nothing but the row and the matrix: not on threads, or on the
//! processor ([`Lanes`]). With two rows and more the product decodes, as training and scores do, whose numbers are those of the
//! reference: it differs by what was said, and so do generating with a cache, a row at a time, and a forward pass over a whole
//! text. The backward pass always decodes.

#![allow(
    clippy::needless_range_loop,
    reason = "several arrays are walked together, in loops of constant length that are unrolled"
)]

use super::decode::Reader;
use super::lanes::{BLOCK, LANES, Lanes, Path, Table, Work, total};
use super::{Format, Packed};
use crate::math::half;

/// More rows than this share the decoding of a matrix.
const MOST_ROWS: usize = 1;
/// Blocks whose scales are read at once.
const STRIP: usize = 8;
/// Numbers of a matrix that are one thread's at a time.
const PANEL: usize = 1 << 15;
/// Products of fewer multiplications are not spread over threads.
#[cfg(not(target_arch = "wasm32"))]
const PARALLEL_FROM: usize = 1 << 18;
/// The largest number of a [`Table`]: four products with 32,767 stay under 2³¹.
const LARGEST_ENTRY: f32 = 16_383.0;

/// What codes are made of; a constant of the loops, so that each has its own.
mod kind {
    pub(super) const NIBBLES: u8 = 0;
    pub(super) const FIVE_BITS: u8 = 1;
    pub(super) const SIX_BITS: u8 = 2;
    pub(super) const BYTES: u8 = 3;
    pub(super) const TABLE: u8 = 4;
    pub(super) const HALVES: u8 = 5;
    pub(super) const UPPER_HALVES: u8 = 6;
}

fn kind_of(format: Format) -> Option<u8> {
    match format {
        Format::Q4_0 | Format::Q4_1 | Format::Q4K => Some(kind::NIBBLES),
        Format::Q5_0 | Format::Q5_1 | Format::Q5K => Some(kind::FIVE_BITS),
        Format::Q6K => Some(kind::SIX_BITS),
        Format::Q8_0 | Format::Int8 => Some(kind::BYTES),
        Format::FourBit { block, .. } if block.is_multiple_of(BLOCK) => Some(kind::TABLE),
        Format::F16 => Some(kind::HALVES),
        Format::Bf16 => Some(kind::UPPER_HALVES),
        Format::FourBit { .. } | Format::F32 | Format::Fp8 { .. } => None,
    }
}

/// Whether `m` rows times `matrix`, along its rows, are computed here.
pub(super) fn takes(m: usize, matrix: &Packed) -> bool {
    m <= MOST_ROWS && matrix.columns.is_multiple_of(BLOCK) && kind_of(matrix.format).is_some()
}

/// out += x·Wᵀ for x \[m, columns\] and out \[m, rows\]; `words` are W's. See [`takes`].
pub(super) fn add_product(m: usize, matrix: &Packed, x: &[f32], words: &[f32], out: &mut [f32]) {
    add_product_by(Path::best(), m, matrix, x, words, out);
}

fn add_product_by(path: Path, m: usize, matrix: &Packed, x: &[f32], words: &[f32], out: &mut [f32]) {
    let (n, k) = (matrix.rows, matrix.columns);
    assert!(takes(m, matrix) && x.len() == m * k && out.len() == m * n, "{matrix:?}");
    if out.is_empty() || k == 0 {
        return;
    }
    let product = Product::new(m, Reader::new(matrix, words), x);
    let width = (PANEL / k).max(1);
    if m == 1 {
        for_each_panel(out, width, n * k, |i, sums| product.run(path, i * width, sums));
        return;
    }
    // Columns of several rows do not lie together in the output.
    let mut columns = vec![0.0; m * n];
    for_each_panel(&mut columns, m * width, m * n * k, |i, sums| {
        product.run(path, i * width, sums);
    });
    for (row, out) in out.chunks_exact_mut(n).enumerate() {
        for (out, column) in out.iter_mut().zip(columns.chunks_exact(m)) {
            *out += column[row];
        }
    }
}

/// Calls `each(i, panel i)`, on several threads where `work` multiplications are worth it.
fn for_each_panel(out: &mut [f32], len: usize, work: usize, each: impl Fn(usize, &mut [f32]) + Send + Sync) {
    #[cfg(not(target_arch = "wasm32"))]
    if work >= PARALLEL_FROM {
        use rayon::prelude::*;
        out.par_chunks_mut(len)
            .enumerate()
            .for_each(|(i, panel)| each(i, panel));
        return;
    }
    #[cfg(target_arch = "wasm32")]
    let _ = work;
    out.chunks_mut(len).enumerate().for_each(|(i, panel)| each(i, panel));
}

/// A matrix, and the rows that it is multiplied with.
struct Product<'a> {
    m: usize,
    reader: Reader<'a>,
    kind: u8,
    x: Activations,
    table: Table,
    /// What a 1 of the table stands for.
    unit: f32,
}

/// The rows of x: integers in the order in which codes are unpacked, or floats for the formats of floats.
#[derive(Default)]
struct Activations {
    /// Strips of each row.
    strips: usize,
    /// Of each strip: two blocks each.
    pairs: Vec<[[i16; 2 * BLOCK]; STRIP / 2]>,
    /// Of each strip: what a 1 of each half of a block stands for.
    scales: Vec<[f32; 2 * STRIP]>,
    /// Of each strip: the sums of the halves of its blocks.
    sums: Vec<[f32; 2 * STRIP]>,
    /// Sixteen numbers each.
    floats: Vec<[f32; LANES]>,
}

impl Activations {
    fn integers(x: &[f32], columns: usize, kind: u8) -> Self {
        let strips = columns.div_ceil(STRIP * BLOCK);
        let total = x.len() / columns * strips;
        let mut all = Self {
            strips,
            pairs: vec![[[0; 2 * BLOCK]; STRIP / 2]; total],
            scales: vec![[0.0; 2 * STRIP]; total],
            sums: vec![[0.0; 2 * STRIP]; total],
            floats: Vec::new(),
        };
        for (r, row) in x.chunks_exact(columns).enumerate() {
            for (b, block) in row.as_chunks::<BLOCK>().0.iter().enumerate() {
                let (strip, place) = (r * strips + b / STRIP, b % STRIP);
                let (numbers, scale) = rounded(block);
                let (front, back) = all.pairs[strip][place / 2].split_at_mut(BLOCK);
                let start = b % 2 * BLOCK / 2;
                let (front, back) = (&mut front[start..][..BLOCK / 2], &mut back[start..][..BLOCK / 2]);
                if kind == kind::BYTES {
                    front.copy_from_slice(&numbers[..BLOCK / 2]);
                    back.copy_from_slice(&numbers[BLOCK / 2..]);
                } else {
                    for ((front, back), pair) in front.iter_mut().zip(back).zip(numbers.as_chunks::<2>().0) {
                        [*front, *back] = *pair;
                    }
                }
                for half in 0..2 {
                    let sum: i32 = numbers[BLOCK / 2 * half..][..BLOCK / 2]
                        .iter()
                        .map(|&number| i32::from(number))
                        .sum();
                    all.scales[strip][2 * place + half] = scale;
                    all.sums[strip][2 * place + half] = scale * sum as f32;
                }
            }
        }
        all
    }

    fn floats(x: &[f32]) -> Self {
        let floats = x.as_chunks().0.to_vec();
        Self {
            floats,
            ..Self::default()
        }
    }
}

/// A block as integers, and what a 1 of them stands for.
#[inline(always)]
fn rounded(block: &[f32; BLOCK]) -> ([i16; BLOCK], f32) {
    /// Nothing smaller is worth its reciprocal.
    const SMALLEST: f32 = 1e-30;
    /// Adding 1.5 · 2²³ leaves the nearest integer in the lowest bits.
    const ROUNDER: f32 = 12_582_912.0;
    let mut largest = [0.0_f32; 8];
    let mut undefined = [0.0_f32; 8];
    for part in block.as_chunks::<8>().0 {
        for lane in 0..8 {
            let size = part[lane].abs();
            largest[lane] = if size > largest[lane] { size } else { largest[lane] };
            // 0 of every finite number.
            undefined[lane] += part[lane] * 0.0;
        }
    }
    let largest = largest.into_iter().fold(0.0_f32, f32::max);
    let undefined: f32 = undefined.into_iter().sum();
    let (factor, scale) = if largest > SMALLEST {
        (32_767.0 / largest, largest / 32_767.0)
    } else {
        (0.0, 0.0)
    };
    let numbers = block.map(|number| (number * factor + ROUNDER).to_bits() as i16);
    (numbers, scale + undefined)
}

impl<'a> Product<'a> {
    fn new(m: usize, reader: Reader<'a>, x: &[f32]) -> Self {
        let kind = kind_of(reader.matrix.format).unwrap_or_default();
        let x = match kind {
            kind::HALVES | kind::UPPER_HALVES => Activations::floats(x),
            _ => Activations::integers(x, reader.matrix.columns, kind),
        };
        let (mut low, mut high, mut unit) = ([0; 16], [0; 16], 0.0);
        if kind == kind::TABLE {
            let values: [f32; 16] = std::array::from_fn(|code| reader.float(reader.planes.codebook + code));
            let largest = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            unit = largest / LARGEST_ENTRY;
            for (code, value) in values.into_iter().enumerate() {
                [low[code], high[code]] = ((value / unit).round() as i16).to_le_bytes();
            }
        }
        Self {
            m,
            reader,
            kind,
            x,
            table: Table { low, high },
            unit,
        }
    }

    /// Adds to `sums` \[columns, m\] the products with the rows of the matrix from `first` on.
    fn run(&self, path: Path, first: usize, sums: &mut [f32]) {
        match self.kind {
            kind::NIBBLES => path.run(Panel::<{ kind::NIBBLES }>(self, first, sums)),
            kind::FIVE_BITS => path.run(Panel::<{ kind::FIVE_BITS }>(self, first, sums)),
            kind::SIX_BITS => path.run(Panel::<{ kind::SIX_BITS }>(self, first, sums)),
            kind::BYTES => path.run(Panel::<{ kind::BYTES }>(self, first, sums)),
            kind::TABLE => path.run(Panel::<{ kind::TABLE }>(self, first, sums)),
            kind::HALVES => path.run(Panel::<{ kind::HALVES }>(self, first, sums)),
            _ => path.run(Panel::<{ kind::UPPER_HALVES }>(self, first, sums)),
        }
    }

    #[inline(always)]
    fn panel<L: Lanes, const KIND: u8>(&self, lanes: L, first: usize, sums: &mut [f32]) {
        for (row, sums) in sums.chunks_exact_mut(self.m).enumerate() {
            let mut r = 0;
            while r + 2 <= self.m {
                let [a, b] = self.dots::<L, KIND, 2>(lanes, first + row, r);
                sums[r] += a;
                sums[r + 1] += b;
                r += 2;
            }
            if r < self.m {
                let [a] = self.dots::<L, KIND, 1>(lanes, first + row, r);
                sums[r] += a;
            }
        }
    }

    /// The products of row `row` of the matrix and the rows `r` .. `r + M` of x.
    #[inline(always)]
    fn dots<L: Lanes, const KIND: u8, const M: usize>(&self, lanes: L, row: usize, r: usize) -> [f32; M] {
        if KIND == kind::HALVES || KIND == kind::UPPER_HALVES {
            return self.float_dots::<L, KIND, M>(lanes, row, r);
        }
        let blocks = self.reader.matrix.columns / BLOCK;
        let strips = self.x.strips;
        let mut sums = [lanes.zero(); M];
        let mut minima = [lanes.zero(); M];
        for strip in 0..strips {
            let first = row * blocks + STRIP * strip;
            let count = (blocks - STRIP * strip).min(STRIP);
            let (scales, minimum) = self.strip::<L, KIND>(lanes, row, first, count);
            let mut scaled = [scales; M];
            for i in 0..M {
                let at = (r + i) * strips + strip;
                scaled[i] = lanes.times(scales, &self.x.scales[at]);
                if KIND <= kind::SIX_BITS {
                    minima[i] = lanes.plus(minima[i], lanes.times(minimum, &self.x.sums[at]));
                }
            }
            if count == STRIP {
                for pair in 0..STRIP / 2 {
                    let codes = self.codes::<L, KIND>(lanes, first + 2 * pair);
                    for i in 0..M {
                        let x = &self.x.pairs[(r + i) * strips + strip][pair];
                        sums[i] = lanes.add(sums[i], codes, x, scaled[i], pair);
                    }
                }
            } else {
                // A block behind the last one is another row's, or none; its scales here are 0.
                for pair in 0..count.div_ceil(2) {
                    let codes = self.codes::<L, KIND>(lanes, first + 2 * pair);
                    for i in 0..M {
                        let x = &self.x.pairs[(r + i) * strips + strip][pair];
                        sums[i] = lanes.add(sums[i], codes, x, scaled[i], pair);
                    }
                }
            }
        }
        let mut totals = [0.0; M];
        for i in 0..M {
            totals[i] = total(lanes.lanes(sums[i]));
            if KIND <= kind::SIX_BITS {
                totals[i] += total(lanes.lanes(minima[i]));
            }
        }
        totals
    }

    #[inline(always)]
    fn float_dots<L: Lanes, const KIND: u8, const M: usize>(&self, lanes: L, row: usize, r: usize) -> [f32; M] {
        let columns = self.reader.matrix.columns;
        let count = columns / LANES;
        let halves: &[u16] = bytemuck::cast_slice(self.reader.words);
        let w = halves[row * columns..][..columns].as_chunks::<LANES>().0;
        let mut sums = [lanes.zero(); M];
        for (at, w) in w.iter().enumerate() {
            let w = if KIND == kind::HALVES {
                lanes.wide_halves(w)
            } else {
                lanes.wide_upper_halves(w)
            };
            for i in 0..M {
                let x = &self.x.floats[(r + i) * count + at];
                sums[i] = lanes.plus(sums[i], lanes.times(w, x));
            }
        }
        let mut totals = [0.0; M];
        for i in 0..M {
            totals[i] = total(lanes.lanes(sums[i]));
        }
        totals
    }

    /// The codes of the blocks `first` and `first` + 1.
    #[inline(always)]
    fn codes<L: Lanes, const KIND: u8>(&self, lanes: L, first: usize) -> L::Codes {
        let planes = &self.reader.planes;
        let bytes: &[u8] = bytemuck::cast_slice(self.reader.words);
        let words: &[u32] = bytemuck::cast_slice(self.reader.words);
        if KIND == kind::BYTES {
            return lanes.bytes(part_at(bytes, BLOCK * first, &mut [0; 64]));
        }
        let mut room = [0; 32];
        let bytes = part_at(bytes, BLOCK / 2 * first, &mut room);
        match KIND {
            kind::TABLE => lanes.looked_up(bytes, &self.table),
            kind::FIVE_BITS => {
                let mut room = [0; 2];
                let fifth = part_at(words, planes.secondary + first, &mut room);
                lanes.with_fifth_bits(lanes.nibbles(bytes), fifth)
            }
            kind::SIX_BITS => {
                let mut room = [0; 4];
                let pairs = part_at(words, planes.secondary + 2 * first, &mut room);
                lanes.with_bit_pairs(lanes.nibbles(bytes), pairs)
            }
            _ => lanes.nibbles(bytes),
        }
    }

    /// Scales and minima of the halves of `count` blocks of row `row` from block `first` on; 0 behind them.
    #[inline(always)]
    fn strip<L: Lanes, const KIND: u8>(&self, lanes: L, row: usize, first: usize, count: usize) -> (L::Sums, L::Sums) {
        let (reader, planes) = (&self.reader, &self.reader.planes);
        let words: &[u32] = bytemuck::cast_slice(reader.words);
        let halves: &[u16] = bytemuck::cast_slice(reader.words);
        let mut scales = [0.0; STRIP];
        match reader.matrix.format {
            Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => {
                let middle = match KIND {
                    kind::NIBBLES => -8.0,
                    kind::FIVE_BITS => -16.0,
                    _ => 0.0,
                };
                let mut room = [0; STRIP];
                let bits = part_at(halves, 2 * planes.scales + first, &mut room);
                let scales = lanes.halves(bits, count);
                (scales, lanes.times(scales, &[middle; LANES]))
            }
            Format::Q4_1 | Format::Q5_1 => {
                let mut room = [0; STRIP];
                let bits = part_at(words, planes.scales + first, &mut room);
                let [scales, minima] = lanes.pairs_of_halves(bits, count);
                (scales, minima)
            }
            Format::Q4K | Format::Q5K => {
                let mut room = [0; 4];
                let block = part_at(words, planes.scales + 4 * (first / STRIP), &mut room);
                let (d, d_min) = (half(block[0] as u16), half((block[0] >> 16) as u16));
                let (sizes, lows) = k_parts(block);
                let mut minima = [0.0; STRIP];
                for i in 0..STRIP {
                    scales[i] = d * f32::from(sizes[i]);
                    minima[i] = -(d_min * f32::from(lows[i]));
                }
                (lanes.twice(&scales), lanes.twice(&minima))
            }
            Format::Q6K => {
                let bytes: &[i8] = bytemuck::cast_slice(reader.words);
                let d = half(halves[2 * planes.offset + first / STRIP]);
                let mut room = [0; LANES];
                let parts = part_at(bytes, 4 * planes.scales + 2 * first, &mut room);
                let mut scales = [0.0; LANES];
                for i in 0..LANES {
                    scales[i] = d * f32::from(parts[i]);
                }
                let scales = lanes.load(&scales);
                (scales, lanes.times(scales, &[-32.0; LANES]))
            }
            Format::Int8 => {
                let scale = reader.float(planes.scales + row) * (1.0 / 127.0);
                for i in 0..STRIP {
                    scales[i] = if i < count { scale } else { 0.0 };
                }
                (lanes.twice(&scales), lanes.zero())
            }
            Format::FourBit { block, double } => {
                for i in 0..STRIP {
                    let scale = reader.block_scale(BLOCK * (first + i) / block, double);
                    scales[i] = if i < count { scale * self.unit } else { 0.0 };
                }
                (lanes.twice(&scales), lanes.zero())
            }
            Format::F32 | Format::F16 | Format::Bf16 | Format::Fp8 { .. } => (lanes.zero(), lanes.zero()),
        }
    }
}

/// The eight scales and minima of a block of Q4_K or Q5_K, of six bits each; where they lie is told in `k_scales.wgsl`.
#[inline(always)]
fn k_parts(block: &[u32; 4]) -> ([u8; STRIP], [u8; STRIP]) {
    let [_, first, second, third] = *block;
    let both = |front: u32, back: u32| (u64::from(front) | u64::from(back) << 32).to_le_bytes();
    let top = |word: u32| ((word >> 6) & 0x0303_0303) << 4;
    let scales = both(first & 0x3f3f_3f3f, (third & 0x0f0f_0f0f) | top(first));
    let minima = both(second & 0x3f3f_3f3f, ((third >> 4) & 0x0f0f_0f0f) | top(second));
    (scales, minima)
}

/// The part from `start` on; at the very end, where there is no second block, `room` with 0 behind what there is.
#[inline(always)]
fn part_at<'a, T: Copy, const N: usize>(all: &'a [T], start: usize, room: &'a mut [T; N]) -> &'a [T; N] {
    match all.get(start..).and_then(|rest| rest.first_chunk()) {
        Some(part) => part,
        None => padded(all, start, room),
    }
}

#[cold]
#[inline(never)]
fn padded<'a, T: Copy, const N: usize>(all: &[T], start: usize, room: &'a mut [T; N]) -> &'a [T; N] {
    for (room, &value) in room.iter_mut().zip(all.get(start..).unwrap_or_default()) {
        *room = value;
    }
    room
}

/// [`Product::panel`] of codes of one kind.
struct Panel<'a, const KIND: u8>(&'a Product<'a>, usize, &'a mut [f32]);

impl<const KIND: u8> Work for Panel<'_, KIND> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self(product, first, sums) = self;
        product.panel::<L, KIND>(lanes, first, sums);
    }
}

#[cfg(test)]
mod tests;
