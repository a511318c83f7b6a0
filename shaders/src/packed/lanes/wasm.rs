//! simd128 as [`Lanes`].

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
