//! Vector instructions for [`dots`](super::dots): one trait, one implementation for each set of instructions.
//!
//! All of them compute the same numbers. Sixteen lanes of sums stand for two blocks of 32 numbers, eight lanes each, whatever
//! the width of a register is: a lane's integers are exact, it is turned into a float, multiplied and added, each with its own
//! rounding (nothing is fused), and the lanes are summed in one order at the end. So a result does not depend on the
//! processor. `pulp` brings x86's instructions behind types that exist only where the processor has them; WebAssembly's are
//! safe as they are; elsewhere the compiler makes of the arrays of [`Portable`] what it can.

use crate::math::half;
#[cfg(target_arch = "wasm32")]
use wasm::Simd128;
#[cfg(target_arch = "x86_64")]
use x86::{Avx2, Avx512};

/// Numbers of a block: one scale of activations.
pub(super) const BLOCK: usize = 32;
/// Lanes of sums.
pub(super) const LANES: usize = 16;

/// Sixteen numbers of 16 bits by a code of four bits, as their lower and upper bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) low: [u8; 16],
    pub(super) high: [u8; 16],
}

/// Sixteen floats by a code of four bits, and the bytes of all of them: the lowest first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FloatTable {
    numbers: [f32; 16],
    bytes: [[u8; 16]; 4],
}

impl FloatTable {
    pub(super) fn new(numbers: [f32; 16]) -> Self {
        let mut bytes = [[0; 16]; 4];
        for (code, number) in numbers.iter().enumerate() {
            for (plane, byte) in bytes.iter_mut().zip(number.to_le_bytes()) {
                plane[code] = byte;
            }
        }
        Self { numbers, bytes }
    }
}

/// The codes of two blocks are two vectors of 32 numbers of 16 bits, `first` and `second`, sixteen numbers of each block in
/// both. Which of a block's numbers are in `first` is up to the format: those at even places, or the first half of them.
/// Activations lie in the same order, so `add` takes them as 32 for `first`, then 32 for `second`.
///
/// The lane l of a block sums the products of the numbers 2l and 2l + 1 of both vectors: four products, whose sum is under
/// 2³¹ for codes of up to [`Table`]'s 16,383.
pub(super) trait Lanes: Copy {
    /// Codes of two blocks.
    type Codes: Copy;
    /// Sixteen floats.
    type Sums: Copy;

    /// The values of eight IEEE halves, each twice; 0 from number `count` on.
    fn halves(self, bits: &[u16; 8], count: usize) -> Self::Sums;
    /// The same of the lower halves of eight words, and of the upper ones.
    fn pairs_of_halves(self, words: &[u32; 8], count: usize) -> [Self::Sums; 2];
    /// Eight numbers, each twice.
    fn twice(self, numbers: &[f32; 8]) -> Self::Sums;
    /// Sixteen numbers.
    fn load(self, numbers: &[f32; LANES]) -> Self::Sums;
    /// a · b.
    fn times(self, a: Self::Sums, b: &[f32; LANES]) -> Self::Sums;
    /// a + b.
    fn plus(self, a: Self::Sums, b: Self::Sums) -> Self::Sums;
    /// Nothing summed yet.
    fn zero(self) -> Self::Sums;
    /// Four bits a number: `first` those at even places, `second` those at odd ones.
    fn nibbles(self, bytes: &[u8; 32]) -> Self::Codes;
    /// A fifth bit for each of `nibbles`, from a word a block.
    fn with_fifth_bits(self, codes: Self::Codes, words: &[u32; 2]) -> Self::Codes;
    /// Two more bits for each of `nibbles`, from two words a block.
    fn with_bit_pairs(self, codes: Self::Codes, words: &[u32; 4]) -> Self::Codes;
    /// What a table says of each of `nibbles`.
    fn looked_up(self, bytes: &[u8; 32], table: &Table) -> Self::Codes;
    /// Signed bytes: `first` the first half of each block.
    fn bytes(self, bytes: &[u8; 64]) -> Self::Codes;
    /// Adds the products of codes and activations, times the scales 4·`pair` .. 4·`pair` + 4: one for each half of the
    /// lanes of a block.
    fn add(self, sums: Self::Sums, codes: Self::Codes, x: &[i16; 64], scales: Self::Sums, pair: usize) -> Self::Sums;
    /// The values of sixteen IEEE halves.
    fn wide_halves(self, bits: &[u16; LANES]) -> Self::Sums;
    /// The values of sixteen upper halves of IEEE floats.
    fn wide_upper_halves(self, bits: &[u16; LANES]) -> Self::Sums;
    /// What a table says of sixteen codes of four bits, in their order.
    fn floats_looked_up(self, bytes: &[u8; 8], table: &FloatTable) -> Self::Sums;
    /// The lanes.
    fn lanes(self, sums: Self::Sums) -> [f32; LANES];
}

/// What is done with the instructions of one set.
pub(super) trait Work {
    /// Does it. Implementations have to be `#[inline(always)]`, and so has all that they call with `lanes`.
    fn run<L: Lanes>(self, lanes: L);
}

/// A set of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "wasm32")]
    Simd128,
    #[cfg_attr(
        target_arch = "wasm32",
        expect(dead_code, reason = "every build for WebAssembly has vectors")
    )]
    Portable,
}

impl Path {
    /// The best one that this processor has.
    pub(super) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if pulp::x86::V4::is_available() {
                return Self::Avx512;
            }
            if pulp::x86::V3::is_available() {
                return Self::Avx2;
            }
        }
        #[cfg(target_arch = "wasm32")]
        {
            Self::Simd128
        }
        #[cfg(not(target_arch = "wasm32"))]
        {
            Self::Portable
        }
    }

    /// Does `work` with it, or with [`Portable`] where the processor does not have it.
    pub(super) fn run(self, work: impl Work) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                if let Some(simd) = pulp::x86::V4::try_new() {
                    return simd.vectorize(Call(work, Avx512(simd)));
                }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                if let Some(simd) = pulp::x86::V3::try_new() {
                    return simd.vectorize(Call(work, Avx2(simd)));
                }
            }
            #[cfg(target_arch = "wasm32")]
            Self::Simd128 => return work.run(Simd128),
            Self::Portable => {}
        }
        work.run(Portable);
    }
}

/// Work where the compiler may use the instructions of `L`.
#[cfg(target_arch = "x86_64")]
struct Call<W, L>(W, L);

#[cfg(target_arch = "x86_64")]
impl<W: Work, L: Lanes> pulp::NullaryFnOnce for Call<W, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.run(self.1);
    }
}

/// The sum of all lanes.
#[inline(always)]
pub(super) fn total(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// All bits for the first so many of eight.
const OWN: [[u32; 8]; 9] = {
    let mut own = [[0; 8]; 9];
    let mut at = 0;
    while at < 8 * 9 {
        if at % 8 < at / 8 {
            own[at / 8][at % 8] = u32::MAX;
        }
        at += 1;
    }
    own
};

/// N numbers from `start` on.
#[inline(always)]
fn part<T, const N: usize>(of: &[T], start: usize) -> &[T; N] {
    match of[start..].first_chunk() {
        Some(part) => part,
        None => unreachable!("callers give constants within the array"),
    }
}

/// Plain arrays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Lanes for Portable {
    type Codes = [i16; 64];
    type Sums = [f32; LANES];

    #[inline(always)]
    fn halves(self, bits: &[u16; 8], count: usize) -> Self::Sums {
        std::array::from_fn(|i| half(bits[i / 2] & OWN[count][i / 2] as u16))
    }

    #[inline(always)]
    fn pairs_of_halves(self, words: &[u32; 8], count: usize) -> [Self::Sums; 2] {
        let own: [u32; LANES] = std::array::from_fn(|i| words[i / 2] & OWN[count][i / 2]);
        [
            own.map(|word| half(word as u16)),
            own.map(|word| half((word >> 16) as u16)),
        ]
    }

    #[inline(always)]
    fn twice(self, numbers: &[f32; 8]) -> Self::Sums {
        std::array::from_fn(|i| numbers[i / 2])
    }

    #[inline(always)]
    fn load(self, numbers: &[f32; LANES]) -> Self::Sums {
        *numbers
    }

    #[inline(always)]
    fn times(self, a: Self::Sums, b: &[f32; LANES]) -> Self::Sums {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn plus(self, a: Self::Sums, b: Self::Sums) -> Self::Sums {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        [0.0; LANES]
    }

    #[inline(always)]
    fn nibbles(self, bytes: &[u8; 32]) -> Self::Codes {
        let mut codes = [0; 64];
        let (first, second) = codes.split_at_mut(32);
        for ((first, second), byte) in first.iter_mut().zip(second).zip(bytes) {
            *first = i16::from(byte & 15);
            *second = i16::from(byte >> 4);
        }
        codes
    }

    #[inline(always)]
    fn with_fifth_bits(self, mut codes: Self::Codes, words: &[u32; 2]) -> Self::Codes {
        for (i, code) in codes.iter_mut().enumerate() {
            let (block, place) = (i % 32 / 16, 2 * (i % 16) + i / 32);
            *code |= (((words[block] >> place) & 1) << 4) as i16;
        }
        codes
    }

    #[inline(always)]
    fn with_bit_pairs(self, mut codes: Self::Codes, words: &[u32; 4]) -> Self::Codes {
        for (i, code) in codes.iter_mut().enumerate() {
            let (half, place) = (i % 32 / 8, 2 * (i % 8) + i / 32);
            *code |= (((words[half] >> (2 * place)) & 3) << 4) as i16;
        }
        codes
    }

    #[inline(always)]
    fn looked_up(self, bytes: &[u8; 32], table: &Table) -> Self::Codes {
        self.nibbles(bytes).map(|code| {
            let code = code as usize & 15;
            i16::from_le_bytes([table.low[code], table.high[code]])
        })
    }

    #[inline(always)]
    fn bytes(self, bytes: &[u8; 64]) -> Self::Codes {
        std::array::from_fn(|i| {
            let (second, block, place) = (i / 32, i % 32 / 16, i % 16);
            i16::from(bytes[32 * block + 16 * second + place] as i8)
        })
    }

    #[inline(always)]
    fn add(self, sums: Self::Sums, codes: Self::Codes, x: &[i16; 64], scales: Self::Sums, pair: usize) -> Self::Sums {
        let scales: &[f32; 4] = part(&scales, 4 * pair);
        std::array::from_fn(|lane| {
            let product = |i: usize| i32::from(codes[i]) * i32::from(x[i]);
            let (first, second) = (2 * lane, 32 + 2 * lane);
            let sum = (product(first) + product(first + 1)) + (product(second) + product(second + 1));
            sums[lane] + sum as f32 * scales[lane / 4]
        })
    }

    #[inline(always)]
    fn wide_halves(self, bits: &[u16; LANES]) -> Self::Sums {
        bits.map(half)
    }

    #[inline(always)]
    fn wide_upper_halves(self, bits: &[u16; LANES]) -> Self::Sums {
        bits.map(|bits| f32::from_bits(u32::from(bits) << 16))
    }

    #[inline(always)]
    fn floats_looked_up(self, bytes: &[u8; 8], table: &FloatTable) -> Self::Sums {
        std::array::from_fn(|i| table.numbers[usize::from(bytes[i / 2] >> (4 * (i % 2)) & 15)])
    }

    #[inline(always)]
    fn lanes(self, sums: Self::Sums) -> [f32; LANES] {
        sums
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "wasm32")]
mod wasm;
