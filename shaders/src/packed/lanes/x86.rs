//! AVX2 and AVX-512 as [`Lanes`], through `pulp`.

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
    fn add(self, sums: Self::Sums, codes: Self::Codes, x: &[i16; 64], scales: Self::Sums, pair: usize) -> Self::Sums {
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
    fn add(self, sums: Self::Sums, codes: Self::Codes, x: &[i16; 64], scales: Self::Sums, pair: usize) -> Self::Sums {
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
