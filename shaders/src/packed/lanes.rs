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
mod x86 {
    use super::{FloatTable, LANES, Lanes, OWN, Table, part};
    use pulp::cast;
    use pulp::x86::{V3, V4};
    use std::arch::x86_64::{__m128i, __m256, __m256i, __m512, __m512i};

    /// Multiplying a lane of eight by these moves its own two bits of the lane's sixteen to the top.
    const TWO_BITS: [i16; 8] = [1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 1 << 2, 1];
    /// The same for four bits, in two lanes of four.
    const FOUR_BITS: [i16; 8] = [1 << 12, 1 << 8, 1 << 4, 1, 1 << 12, 1 << 8, 1 << 4, 1];

    /// Byte numbers that give eight lanes of 16 bits the half `half` of four bytes.
    const fn halves(half: u8) -> [u8; 16] {
        let mut bytes = [0; 16];
        let mut at = 0;
        while at < 16 {
            bytes[at] = 2 * half + at as u8 % 2;
            at += 1;
        }
        bytes
    }

    /// Byte numbers that give four lanes the lower half of word `word`, and four its upper half.
    const fn word(word: u8) -> [u8; 16] {
        let mut bytes = [0; 16];
        let mut at = 0;
        while at < 16 {
            bytes[at] = 4 * word + if at < 8 { 0 } else { 2 } + at as u8 % 2;
            at += 1;
        }
        bytes
    }

    const HALVES: [[u8; 16]; 4] = [halves(0), halves(1), halves(2), halves(3)];
    const WORDS: [[u8; 16]; 4] = [word(0), word(1), word(2), word(3)];

    /// 256 bits: `first` of both blocks, `second` of both.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Avx2(pub(crate) V3);

    impl Avx2 {
        #[inline(always)]
        fn or_shifted<const RIGHT: i32>(self, codes: __m256i, bits: __m256i, mask: i16) -> __m256i {
            let avx2 = self.0.avx2;
            let moved = avx2._mm256_srli_epi16::<RIGHT>(bits);
            avx2._mm256_or_si256(codes, avx2._mm256_and_si256(moved, self.0.avx._mm256_set1_epi16(mask)))
        }

        #[inline(always)]
        fn block(self, sums: __m256, codes: [__m256i; 2], x: [&[i16; 16]; 2], scales: __m256) -> __m256 {
            let Self(simd) = self;
            let sum = simd.avx2._mm256_add_epi32(
                simd.avx2._mm256_madd_epi16(codes[0], cast(*x[0])),
                simd.avx2._mm256_madd_epi16(codes[1], cast(*x[1])),
            );
            let sum = simd.avx._mm256_mul_ps(simd.avx._mm256_cvtepi32_ps(sum), scales);
            simd.avx._mm256_add_ps(sums, sum)
        }

        #[inline(always)]
        fn look_up(self, codes: __m128i, table: &Table) -> __m256i {
            let Self(simd) = self;
            let low = simd.ssse3._mm_shuffle_epi8(cast(table.low), codes);
            let high = simd.ssse3._mm_shuffle_epi8(cast(table.high), codes);
            let (front, back) = (
                simd.sse2._mm_unpacklo_epi8(low, high),
                simd.sse2._mm_unpackhi_epi8(low, high),
            );
            simd.avx._mm256_set_m128i(back, front)
        }

        /// The nibbles at even and at odd places.
        #[inline(always)]
        fn split(self, bytes: &[u8; 16]) -> [__m128i; 2] {
            let sse2 = self.0.sse2;
            let (bytes, mask) = (cast(*bytes), sse2._mm_set1_epi8(15));
            [
                sse2._mm_and_si128(bytes, mask),
                sse2._mm_and_si128(sse2._mm_srli_epi16::<4>(bytes), mask),
            ]
        }

        /// Sixteen codes in their order, a byte each.
        #[inline(always)]
        fn sixteen_codes(self, bytes: &[u8; 8]) -> __m128i {
            let sse2 = self.0.sse2;
            let (bytes, mask) = (cast([u64::from_le_bytes(*bytes), 0]), sse2._mm_set1_epi8(15));
            let first = sse2._mm_and_si128(bytes, mask);
            let second = sse2._mm_and_si128(sse2._mm_srli_epi16::<4>(bytes), mask);
            sse2._mm_unpacklo_epi8(first, second)
        }

        /// What the table says of the first eight codes.
        #[inline(always)]
        fn eight_floats(self, codes: __m128i, table: &FloatTable) -> __m256 {
            let (avx, avx2) = (self.0.avx, self.0.avx2);
            let codes = avx2._mm256_cvtepu8_epi32(codes);
            let [low, high] = cast(table.numbers);
            let low = avx2._mm256_permutevar8x32_ps(low, codes);
            let high = avx2._mm256_permutevar8x32_ps(high, codes);
            // The fourth bit, at the top, where it chooses.
            let is_high = avx._mm256_castsi256_ps(avx2._mm256_slli_epi32::<28>(codes));
            avx._mm256_blendv_ps(low, high, is_high)
        }

        #[inline(always)]
        fn wide(self, codes: __m128i) -> __m256i {
            self.0.avx2._mm256_cvtepu8_epi16(codes)
        }

        #[inline(always)]
        fn wide_signed(self, bytes: &[u8; 16]) -> __m256i {
            self.0.avx2._mm256_cvtepi8_epi16(cast(*bytes))
        }

        /// Each lane's two bits of a word, at the top.
        #[inline(always)]
        fn two_bits(self, word: u32) -> __m256i {
            let avx2 = self.0.avx2;
            let places = cast([HALVES[0], HALVES[1]]);
            let spread = avx2._mm256_shuffle_epi8(self.0.avx._mm256_set1_epi32(word as i32), places);
            avx2._mm256_mullo_epi16(spread, cast([TWO_BITS; 2]))
        }

        /// Each lane's four bits of a word, at the top; the words lie in both halves of `words`.
        #[inline(always)]
        fn four_bits(self, words: __m256i, places: [[u8; 16]; 2]) -> __m256i {
            let avx2 = self.0.avx2;
            let spread = avx2._mm256_shuffle_epi8(words, cast(places));
            avx2._mm256_mullo_epi16(spread, cast([FOUR_BITS; 2]))
        }

        /// [`half`] of eight lanes, whose upper 16 bits are 0.
        #[inline(always)]
        fn eight_halves(self, bits: __m256i) -> __m256 {
            let Self(simd) = self;
            let (avx, avx2) = (simd.avx, simd.avx2);
            let size = avx2._mm256_and_si256(bits, avx._mm256_set1_epi32(0x7fff));
            let sign = avx2._mm256_slli_epi32::<16>(avx2._mm256_xor_si256(bits, size));
            // Exponents differ by 112; the largest one stays the largest, and a subnormal number is a multiple of 2⁻²⁴.
            let normal = avx2._mm256_add_epi32(avx2._mm256_slli_epi32::<13>(size), avx._mm256_set1_epi32(112 << 23));
            let infinite = avx2._mm256_cmpgt_epi32(size, avx._mm256_set1_epi32(0x7bff));
            let infinite = avx2._mm256_and_si256(infinite, avx._mm256_set1_epi32(0x7f80_0000));
            let normal = avx._mm256_castsi256_ps(avx2._mm256_or_si256(normal, infinite));
            let subnormal = avx._mm256_mul_ps(avx._mm256_cvtepi32_ps(size), avx._mm256_set1_ps(1.0 / 16_777_216.0));
            let is_subnormal = avx2._mm256_cmpgt_epi32(avx._mm256_set1_epi32(0x400), size);
            let value = avx._mm256_blendv_ps(normal, subnormal, avx._mm256_castsi256_ps(is_subnormal));
            avx._mm256_or_ps(value, avx._mm256_castsi256_ps(sign))
        }

        #[inline(always)]
        fn twice_of(self, numbers: __m256) -> [__m256; 2] {
            let avx2 = self.0.avx2;
            [
                avx2._mm256_permutevar8x32_ps(numbers, cast([0, 0, 1, 1, 2, 2, 3, 3])),
                avx2._mm256_permutevar8x32_ps(numbers, cast([4, 4, 5, 5, 6, 6, 7, 7])),
            ]
        }
    }

    impl Lanes for Avx2 {
        type Codes = [__m256i; 4];
        type Sums = [__m256; 2];

        #[inline(always)]
        fn halves(self, bits: &[u16; 8], count: usize) -> Self::Sums {
            let avx2 = self.0.avx2;
            let bits = avx2._mm256_and_si256(avx2._mm256_cvtepu16_epi32(cast(*bits)), cast(OWN[count]));
            self.twice_of(self.eight_halves(bits))
        }

        #[inline(always)]
        fn pairs_of_halves(self, words: &[u32; 8], count: usize) -> [Self::Sums; 2] {
            let avx2 = self.0.avx2;
            let words = avx2._mm256_and_si256(cast(*words), cast(OWN[count]));
            let low = avx2._mm256_and_si256(words, self.0.avx._mm256_set1_epi32(0xffff));
            let high = avx2._mm256_srli_epi32::<16>(words);
            [
                self.twice_of(self.eight_halves(low)),
                self.twice_of(self.eight_halves(high)),
            ]
        }

        #[inline(always)]
        fn twice(self, numbers: &[f32; 8]) -> Self::Sums {
            self.twice_of(cast(*numbers))
        }

        #[inline(always)]
        fn load(self, numbers: &[f32; LANES]) -> Self::Sums {
            cast(*numbers)
        }

        #[inline(always)]
        fn times(self, a: Self::Sums, b: &[f32; LANES]) -> Self::Sums {
            let (avx, b): (_, [__m256; 2]) = (self.0.avx, cast(*b));
            [avx._mm256_mul_ps(a[0], b[0]), avx._mm256_mul_ps(a[1], b[1])]
        }

        #[inline(always)]
        fn plus(self, a: Self::Sums, b: Self::Sums) -> Self::Sums {
            let avx = self.0.avx;
            [avx._mm256_add_ps(a[0], b[0]), avx._mm256_add_ps(a[1], b[1])]
        }

        #[inline(always)]
        fn zero(self) -> Self::Sums {
            [self.0.avx._mm256_setzero_ps(); 2]
        }

        #[inline(always)]
        fn nibbles(self, bytes: &[u8; 32]) -> Self::Codes {
            let [a, b] = [self.split(part(bytes, 0)), self.split(part(bytes, 16))];
            [self.wide(a[0]), self.wide(b[0]), self.wide(a[1]), self.wide(b[1])]
        }

        #[inline(always)]
        fn with_fifth_bits(self, codes: Self::Codes, words: &[u32; 2]) -> Self::Codes {
            let [a, b] = [self.two_bits(words[0]), self.two_bits(words[1])];
            [
                self.or_shifted::<10>(codes[0], a, 16),
                self.or_shifted::<10>(codes[1], b, 16),
                self.or_shifted::<11>(codes[2], a, 16),
                self.or_shifted::<11>(codes[3], b, 16),
            ]
        }

        #[inline(always)]
        fn with_bit_pairs(self, codes: Self::Codes, words: &[u32; 4]) -> Self::Codes {
            let words = self.0.avx2._mm256_broadcastsi128_si256(cast(*words));
            let a = self.four_bits(words, [WORDS[0], WORDS[1]]);
            let b = self.four_bits(words, [WORDS[2], WORDS[3]]);
            [
                self.or_shifted::<8>(codes[0], a, 48),
                self.or_shifted::<8>(codes[1], b, 48),
                self.or_shifted::<10>(codes[2], a, 48),
                self.or_shifted::<10>(codes[3], b, 48),
            ]
        }

        #[inline(always)]
        fn looked_up(self, bytes: &[u8; 32], table: &Table) -> Self::Codes {
            let [a, b] = [self.split(part(bytes, 0)), self.split(part(bytes, 16))];
            [
                self.look_up(a[0], table),
                self.look_up(b[0], table),
                self.look_up(a[1], table),
                self.look_up(b[1], table),
            ]
        }

        #[inline(always)]
        fn bytes(self, bytes: &[u8; 64]) -> Self::Codes {
            [
                self.wide_signed(part(bytes, 0)),
                self.wide_signed(part(bytes, 32)),
                self.wide_signed(part(bytes, 16)),
                self.wide_signed(part(bytes, 48)),
            ]
        }

        #[inline(always)]
        fn add(
            self,
            sums: Self::Sums,
            codes: Self::Codes,
            x: &[i16; 64],
            scales: Self::Sums,
            pair: usize,
        ) -> Self::Sums {
            let (avx2, scales) = (self.0.avx2, scales[pair / 2]);
            let first = avx2._mm256_permutevar8x32_ps(scales, cast(SCALES[pair % 2].0));
            let second = avx2._mm256_permutevar8x32_ps(scales, cast(SCALES[pair % 2].1));
            let (a, b) = ([part(x, 0), part(x, 32)], [part(x, 16), part(x, 48)]);
            [
                self.block(sums[0], [codes[0], codes[2]], a, first),
                self.block(sums[1], [codes[1], codes[3]], b, second),
            ]
        }

        #[inline(always)]
        fn wide_halves(self, bits: &[u16; LANES]) -> Self::Sums {
            let [front, back] = cast(*bits);
            let avx2 = self.0.avx2;
            [
                self.eight_halves(avx2._mm256_cvtepu16_epi32(front)),
                self.eight_halves(avx2._mm256_cvtepu16_epi32(back)),
            ]
        }

        #[inline(always)]
        fn wide_upper_halves(self, bits: &[u16; LANES]) -> Self::Sums {
            let avx2 = self.0.avx2;
            let [front, back] = cast(*bits);
            cast([
                avx2._mm256_slli_epi32::<16>(avx2._mm256_cvtepu16_epi32(front)),
                avx2._mm256_slli_epi32::<16>(avx2._mm256_cvtepu16_epi32(back)),
            ])
        }

        #[inline(always)]
        fn floats_looked_up(self, bytes: &[u8; 8], table: &FloatTable) -> Self::Sums {
            let sse2 = self.0.sse2;
            let codes = self.sixteen_codes(bytes);
            [
                self.eight_floats(codes, table),
                self.eight_floats(sse2._mm_unpackhi_epi64(codes, codes), table),
            ]
        }

        #[inline(always)]
        fn lanes(self, sums: Self::Sums) -> [f32; LANES] {
            cast(sums)
        }
    }

    /// Which of sixteen scales each lane takes, for each pair of blocks: the lanes of its two blocks.
    const SCALES: [([i32; 8], [i32; 8]); 4] = {
        let mut places = [([0; 8], [0; 8]); 4];
        let mut at = 0;
        while at < 32 {
            places[at / 8].0[at % 8] = (at / 8 * 4 + at % 8 / 4) as i32;
            places[at / 8].1[at % 8] = (at / 8 * 4 + 2 + at % 8 / 4) as i32;
            at += 1;
        }
        places
    };

    const TWICE: [i32; 16] = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7];
    const TWICE_EVEN: [i32; 16] = [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14];
    const TWICE_ODD: [i32; 16] = [1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15];

    /// 512 bits.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Avx512(pub(crate) V4);

    impl Avx512 {
        #[inline(always)]
        fn or_shifted<const RIGHT: u32>(self, codes: __m512i, bits: __m512i, mask: i16) -> __m512i {
            let Self(simd) = self;
            let moved = simd.avx512bw._mm512_srli_epi16::<RIGHT>(bits);
            let mask = simd.avx512f._mm512_set1_epi16(mask);
            // codes | (moved & mask)
            simd.avx512f
                ._mm512_ternarylogic_epi32::<0b1111_1000>(codes, moved, mask)
        }

        #[inline(always)]
        fn more_bits(self, words: __m128i, places: [[u8; 16]; 4], factors: [i16; 8]) -> __m512i {
            let Self(simd) = self;
            let words = simd.avx512f._mm512_broadcast_i32x4(words);
            let spread = simd.avx512bw._mm512_shuffle_epi8(words, cast(places));
            simd.avx512bw._mm512_mullo_epi16(spread, cast([factors; 4]))
        }
    }

    impl Lanes for Avx512 {
        type Codes = [__m512i; 2];
        type Sums = __m512;

        #[inline(always)]
        fn halves(self, bits: &[u16; 8], count: usize) -> Self::Sums {
            let Self(simd) = self;
            let bits = simd.avx._mm256_castsi128_si256(cast(*bits));
            let halves = simd.avx512f._mm512_maskz_cvtph_ps((1 << count) - 1, bits);
            simd.avx512f._mm512_permutexvar_ps(cast(TWICE), halves)
        }

        #[inline(always)]
        fn pairs_of_halves(self, words: &[u32; 8], count: usize) -> [Self::Sums; 2] {
            let f = self.0.avx512f;
            let mask = ((1_u32 << (2 * count)) - 1) as u16;
            let halves = f._mm512_maskz_cvtph_ps(mask, cast(*words));
            [
                f._mm512_permutexvar_ps(cast(TWICE_EVEN), halves),
                f._mm512_permutexvar_ps(cast(TWICE_ODD), halves),
            ]
        }

        #[inline(always)]
        fn twice(self, numbers: &[f32; 8]) -> Self::Sums {
            let f = self.0.avx512f;
            f._mm512_permutexvar_ps(cast(TWICE), f._mm512_castps256_ps512(cast(*numbers)))
        }

        #[inline(always)]
        fn load(self, numbers: &[f32; LANES]) -> Self::Sums {
            cast(*numbers)
        }

        #[inline(always)]
        fn times(self, a: Self::Sums, b: &[f32; LANES]) -> Self::Sums {
            self.0.avx512f._mm512_mul_ps(a, cast(*b))
        }

        #[inline(always)]
        fn plus(self, a: Self::Sums, b: Self::Sums) -> Self::Sums {
            self.0.avx512f._mm512_add_ps(a, b)
        }

        #[inline(always)]
        fn zero(self) -> Self::Sums {
            self.0.avx512f._mm512_setzero_ps()
        }

        #[inline(always)]
        fn nibbles(self, bytes: &[u8; 32]) -> Self::Codes {
            let Self(simd) = self;
            let (bytes, mask): (__m256i, _) = (cast(*bytes), simd.avx._mm256_set1_epi8(15));
            let first = simd.avx2._mm256_and_si256(bytes, mask);
            let second = simd
                .avx2
                ._mm256_and_si256(simd.avx2._mm256_srli_epi16::<4>(bytes), mask);
            [
                simd.avx512bw._mm512_cvtepu8_epi16(first),
                simd.avx512bw._mm512_cvtepu8_epi16(second),
            ]
        }

        #[inline(always)]
        fn with_fifth_bits(self, codes: Self::Codes, words: &[u32; 2]) -> Self::Codes {
            let words = cast([words[0], words[1], 0, 0]);
            let bits = self.more_bits(words, HALVES, TWO_BITS);
            [
                self.or_shifted::<10>(codes[0], bits, 16),
                self.or_shifted::<11>(codes[1], bits, 16),
            ]
        }

        #[inline(always)]
        fn with_bit_pairs(self, codes: Self::Codes, words: &[u32; 4]) -> Self::Codes {
            let bits = self.more_bits(cast(*words), WORDS, FOUR_BITS);
            [
                self.or_shifted::<8>(codes[0], bits, 48),
                self.or_shifted::<10>(codes[1], bits, 48),
            ]
        }

        #[inline(always)]
        fn looked_up(self, bytes: &[u8; 32], table: &Table) -> Self::Codes {
            let Self(simd) = self;
            let (low, high) = (cast(table.low), cast(table.high));
            let numbers = simd.avx._mm256_set_m128i(
                simd.sse2._mm_unpackhi_epi8(low, high),
                simd.sse2._mm_unpacklo_epi8(low, high),
            );
            // Codes are under 16, so the upper half is never read.
            let numbers = simd.avx512f._mm512_castsi256_si512(numbers);
            let [first, second] = self.nibbles(bytes);
            [
                simd.avx512bw._mm512_permutexvar_epi16(first, numbers),
                simd.avx512bw._mm512_permutexvar_epi16(second, numbers),
            ]
        }

        #[inline(always)]
        fn bytes(self, bytes: &[u8; 64]) -> Self::Codes {
            let [a, b, c, d]: [__m128i; 4] = cast(*bytes);
            let Self(simd) = self;
            let (first, second) = (simd.avx._mm256_set_m128i(c, a), simd.avx._mm256_set_m128i(d, b));
            [
                simd.avx512bw._mm512_cvtepi8_epi16(first),
                simd.avx512bw._mm512_cvtepi8_epi16(second),
            ]
        }

        #[inline(always)]
        fn add(
            self,
            sums: Self::Sums,
            codes: Self::Codes,
            x: &[i16; 64],
            scales: Self::Sums,
            pair: usize,
        ) -> Self::Sums {
            let Self(simd) = self;
            let (x, y): (&[i16; 32], &[i16; 32]) = (part(x, 0), part(x, 32));
            let sum = simd.avx512f._mm512_add_epi32(
                simd.avx512bw._mm512_madd_epi16(codes[0], cast(*x)),
                simd.avx512bw._mm512_madd_epi16(codes[1], cast(*y)),
            );
            let places = cast([SCALES[pair].0, SCALES[pair].1]);
            let scales = simd.avx512f._mm512_permutexvar_ps(places, scales);
            let sum = simd.avx512f._mm512_mul_ps(simd.avx512f._mm512_cvtepi32_ps(sum), scales);
            simd.avx512f._mm512_add_ps(sums, sum)
        }

        #[inline(always)]
        fn wide_halves(self, bits: &[u16; LANES]) -> Self::Sums {
            self.0.avx512f._mm512_cvtph_ps(cast(*bits))
        }

        #[inline(always)]
        fn wide_upper_halves(self, bits: &[u16; LANES]) -> Self::Sums {
            let f = self.0.avx512f;
            cast(f._mm512_slli_epi32::<16>(f._mm512_cvtepu16_epi32(cast(*bits))))
        }

        #[inline(always)]
        fn floats_looked_up(self, bytes: &[u8; 8], table: &FloatTable) -> Self::Sums {
            let f = self.0.avx512f;
            let codes = f._mm512_cvtepu8_epi32(Avx2(*self.0).sixteen_codes(bytes));
            f._mm512_permutexvar_ps(codes, cast(table.numbers))
        }

        #[inline(always)]
        fn lanes(self, sums: Self::Sums) -> [f32; LANES] {
            cast(sums)
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    use super::{FloatTable, LANES, Lanes, OWN, Table, part};
    use bytemuck::cast;
    use std::arch::wasm32::*;

    /// WebAssembly's 128 bits, which every build for it has.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Simd128;

    /// The nibbles at even and at odd places.
    #[inline(always)]
    fn split(bytes: &[u8; 16]) -> [v128; 2] {
        let bytes: v128 = cast(*bytes);
        [v128_and(bytes, u8x16_splat(15)), u8x16_shr(bytes, 4)]
    }

    #[inline(always)]
    fn wide(codes: v128) -> [v128; 2] {
        [u16x8_extend_low_u8x16(codes), u16x8_extend_high_u8x16(codes)]
    }

    #[inline(always)]
    fn wide_signed(bytes: &[u8; 16]) -> [v128; 2] {
        let bytes = cast(*bytes);
        [i16x8_extend_low_i8x16(bytes), i16x8_extend_high_i8x16(bytes)]
    }

    #[inline(always)]
    fn look_up(codes: v128, table: &Table) -> [v128; 2] {
        let low = u8x16_swizzle(cast(table.low), codes);
        let high = u8x16_swizzle(cast(table.high), codes);
        pairs_of_bytes(low, high)
    }

    /// Numbers of 16 bits of their lower and upper bytes.
    #[inline(always)]
    fn pairs_of_bytes(low: v128, high: v128) -> [v128; 2] {
        [
            u8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(low, high),
            u8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(low, high),
        ]
    }

    /// `codes`, each with the bits of `mask` of its lane of `bits`, moved to the right.
    #[inline(always)]
    fn or_shifted(codes: v128, bits: v128, right: u32, mask: u16) -> v128 {
        v128_or(codes, v128_and(u16x8_shr(bits, right), u16x8_splat(mask)))
    }

    /// Each lane's two bits of a half word, at the top.
    #[inline(always)]
    fn two_bits(half: u16) -> v128 {
        let factors = u16x8(1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 1 << 2, 1);
        i16x8_mul(u16x8_splat(half), factors)
    }

    /// Each lane's four bits of a word, at the top.
    #[inline(always)]
    fn four_bits(word: u32) -> v128 {
        let factors = u16x8(1 << 12, 1 << 8, 1 << 4, 1, 1 << 12, 1 << 8, 1 << 4, 1);
        let word = u32x4_splat(word);
        i16x8_mul(i16x8_shuffle::<0, 0, 0, 0, 1, 1, 1, 1>(word, word), factors)
    }

    /// [`crate::math::half`] of four lanes, whose upper 16 bits are 0.
    #[inline(always)]
    fn four_halves(bits: v128) -> v128 {
        let size = v128_and(bits, u32x4_splat(0x7fff));
        let sign = u32x4_shl(v128_xor(bits, size), 16);
        // Exponents differ by 112; the largest one stays the largest, and a subnormal number is a multiple of 2⁻²⁴.
        let normal = i32x4_add(u32x4_shl(size, 13), u32x4_splat(112 << 23));
        let infinite = v128_and(i32x4_gt(size, u32x4_splat(0x7bff)), u32x4_splat(0x7f80_0000));
        let subnormal = f32x4_mul(f32x4_convert_i32x4(size), f32x4_splat(1.0 / 16_777_216.0));
        let is_subnormal = i32x4_lt(size, u32x4_splat(0x400));
        v128_or(sign, v128_bitselect(subnormal, v128_or(normal, infinite), is_subnormal))
    }

    #[inline(always)]
    fn twice_of(numbers: [v128; 2]) -> [v128; 4] {
        let [a, b] = numbers;
        [
            i32x4_shuffle::<0, 0, 1, 1>(a, a),
            i32x4_shuffle::<2, 2, 3, 3>(a, a),
            i32x4_shuffle::<0, 0, 1, 1>(b, b),
            i32x4_shuffle::<2, 2, 3, 3>(b, b),
        ]
    }

    impl Lanes for Simd128 {
        type Codes = [v128; 8];
        type Sums = [v128; 4];

        #[inline(always)]
        fn halves(self, bits: &[u16; 8], count: usize) -> Self::Sums {
            let (bits, own): (_, [v128; 2]) = (cast(*bits), cast(OWN[count]));
            twice_of([
                four_halves(v128_and(u32x4_extend_low_u16x8(bits), own[0])),
                four_halves(v128_and(u32x4_extend_high_u16x8(bits), own[1])),
            ])
        }

        #[inline(always)]
        fn pairs_of_halves(self, words: &[u32; 8], count: usize) -> [Self::Sums; 2] {
            let ([a, b], own): ([v128; 2], [v128; 2]) = (cast(*words), cast(OWN[count]));
            let (a, b) = (v128_and(a, own[0]), v128_and(b, own[1]));
            let mask = u32x4_splat(0xffff);
            [
                twice_of([four_halves(v128_and(a, mask)), four_halves(v128_and(b, mask))]),
                twice_of([four_halves(u32x4_shr(a, 16)), four_halves(u32x4_shr(b, 16))]),
            ]
        }

        #[inline(always)]
        fn twice(self, numbers: &[f32; 8]) -> Self::Sums {
            twice_of(cast(*numbers))
        }

        #[inline(always)]
        fn load(self, numbers: &[f32; LANES]) -> Self::Sums {
            cast(*numbers)
        }

        #[inline(always)]
        fn times(self, a: Self::Sums, b: &[f32; LANES]) -> Self::Sums {
            let b: [v128; 4] = cast(*b);
            [
                f32x4_mul(a[0], b[0]),
                f32x4_mul(a[1], b[1]),
                f32x4_mul(a[2], b[2]),
                f32x4_mul(a[3], b[3]),
            ]
        }

        #[inline(always)]
        fn plus(self, a: Self::Sums, b: Self::Sums) -> Self::Sums {
            [
                f32x4_add(a[0], b[0]),
                f32x4_add(a[1], b[1]),
                f32x4_add(a[2], b[2]),
                f32x4_add(a[3], b[3]),
            ]
        }

        #[inline(always)]
        fn zero(self) -> Self::Sums {
            [f32x4_splat(0.0); 4]
        }

        #[inline(always)]
        fn nibbles(self, bytes: &[u8; 32]) -> Self::Codes {
            let ([a, c], [b, d]) = (split(part(bytes, 0)), split(part(bytes, 16)));
            cast([wide(a), wide(b), wide(c), wide(d)])
        }

        #[inline(always)]
        fn with_fifth_bits(self, mut codes: Self::Codes, words: &[u32; 2]) -> Self::Codes {
            let bits = [
                two_bits(words[0] as u16),
                two_bits((words[0] >> 16) as u16),
                two_bits(words[1] as u16),
                two_bits((words[1] >> 16) as u16),
            ];
            for (i, code) in codes.iter_mut().enumerate() {
                *code = or_shifted(*code, bits[i % 4], if i < 4 { 10 } else { 11 }, 16);
            }
            codes
        }

        #[inline(always)]
        fn with_bit_pairs(self, mut codes: Self::Codes, words: &[u32; 4]) -> Self::Codes {
            let bits = words.map(four_bits);
            for (i, code) in codes.iter_mut().enumerate() {
                *code = or_shifted(*code, bits[i % 4], if i < 4 { 8 } else { 10 }, 48);
            }
            codes
        }

        #[inline(always)]
        fn looked_up(self, bytes: &[u8; 32], table: &Table) -> Self::Codes {
            let ([a, c], [b, d]) = (split(part(bytes, 0)), split(part(bytes, 16)));
            cast([
                look_up(a, table),
                look_up(b, table),
                look_up(c, table),
                look_up(d, table),
            ])
        }

        #[inline(always)]
        fn bytes(self, bytes: &[u8; 64]) -> Self::Codes {
            let [a, b, c, d] = [0, 16, 32, 48].map(|start| wide_signed(part(bytes, start)));
            cast([a, c, b, d])
        }

        #[inline(always)]
        fn add(
            self,
            mut sums: Self::Sums,
            codes: Self::Codes,
            x: &[i16; 64],
            scales: Self::Sums,
            pair: usize,
        ) -> Self::Sums {
            let (x, s): ([v128; 8], v128) = (cast(*x), scales[pair]);
            let scales = [
                i32x4_shuffle::<0, 0, 0, 0>(s, s),
                i32x4_shuffle::<1, 1, 1, 1>(s, s),
                i32x4_shuffle::<2, 2, 2, 2>(s, s),
                i32x4_shuffle::<3, 3, 3, 3>(s, s),
            ];
            for (i, sums) in sums.iter_mut().enumerate() {
                let sum = i32x4_add(i32x4_dot_i16x8(codes[i], x[i]), i32x4_dot_i16x8(codes[i + 4], x[i + 4]));
                let sum = f32x4_mul(f32x4_convert_i32x4(sum), scales[i]);
                *sums = f32x4_add(*sums, sum);
            }
            sums
        }

        #[inline(always)]
        fn wide_halves(self, bits: &[u16; LANES]) -> Self::Sums {
            let [a, b]: [v128; 2] = cast(*bits);
            [
                four_halves(u32x4_extend_low_u16x8(a)),
                four_halves(u32x4_extend_high_u16x8(a)),
                four_halves(u32x4_extend_low_u16x8(b)),
                four_halves(u32x4_extend_high_u16x8(b)),
            ]
        }

        #[inline(always)]
        fn wide_upper_halves(self, bits: &[u16; LANES]) -> Self::Sums {
            let [a, b]: [v128; 2] = cast(*bits);
            [
                u32x4_shl(u32x4_extend_low_u16x8(a), 16),
                u32x4_shl(u32x4_extend_high_u16x8(a), 16),
                u32x4_shl(u32x4_extend_low_u16x8(b), 16),
                u32x4_shl(u32x4_extend_high_u16x8(b), 16),
            ]
        }

        #[inline(always)]
        fn floats_looked_up(self, bytes: &[u8; 8], table: &FloatTable) -> Self::Sums {
            let bytes = u64x2(u64::from_le_bytes(*bytes), 0);
            let (first, second) = (v128_and(bytes, u8x16_splat(15)), u8x16_shr(bytes, 4));
            let codes = u8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(first, second);
            let [a, b, c, d] = table.bytes;
            let (a, b) = (u8x16_swizzle(cast(a), codes), u8x16_swizzle(cast(b), codes));
            let (c, d) = (u8x16_swizzle(cast(c), codes), u8x16_swizzle(cast(d), codes));
            let ([low, low_back], [high, high_back]) = (pairs_of_bytes(a, b), pairs_of_bytes(c, d));
            [
                i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(low, high),
                i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(low, high),
                i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(low_back, high_back),
                i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(low_back, high_back),
            ]
        }

        #[inline(always)]
        fn lanes(self, sums: Self::Sums) -> [f32; LANES] {
            cast(sums)
        }
    }
}
