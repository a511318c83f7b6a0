//! GGUF's blocks of 256: the scales of their parts are numbers of few bits themselves.
//!
//! Reference: `quantize_row_q4_K_ref`, `quantize_row_q5_K_ref` and `quantize_row_q6_K_ref` of `ggml/src/ggml-quants.c` in
//! ggml-org/llama.cpp; the bytes are the same, since every sum has the reference's order. How the bytes of a block lie is told
//! in [`crate::formats::blocks`].

use half::f16;

/// Numbers of a block.
pub(super) type Block = [f32; 256];

/// Their codes, a byte each.
type Codes = [u8; 256];

/// Parts whose numbers are all smaller are zeros (`GROUP_MAX_EPS`).
const SMALLEST: f32 = 1e-15;

/// How scales and minimums of parts are looked for.
struct Search {
    /// The largest code.
    most: i32,
    /// The first step is that of `most` + `first` codes in the range of the numbers, each further one of 0.1 codes more.
    first: f32,
    /// Steps after the first.
    steps: i32,
}

/// Q4_K: (d·s)·q − d_min·m, q from 0 to 15; s and m of six bits for each 32 numbers.
pub(super) fn encode_q4_k(block: &Block, bytes: &mut Vec<u8>) {
    let search = Search {
        most: 15,
        first: -1.0,
        steps: 20,
    };
    let codes = from_minimums(block, &search, bytes);
    nibbles(&codes, bytes);
}

/// Q5_K: the same, q from 0 to 31.
pub(super) fn encode_q5_k(block: &Block, bytes: &mut Vec<u8>) {
    let search = Search {
        most: 31,
        first: -0.5,
        steps: 15,
    };
    let codes = from_minimums(block, &search, bytes);
    let parts = codes.as_chunks::<32>().0;
    bytes.extend((0..32).map(|i| {
        let fifth = |byte: u8, (part, codes): (usize, &[u8; 32])| byte | (codes[i] >> 4) << part;
        parts.iter().enumerate().fold(0, fifth)
    }));
    nibbles(&codes, bytes);
}

/// Q6_K: (d·s)·(q − 32), q from 0 to 63; s a signed byte for each 16 numbers.
pub(super) fn encode_q6_k(block: &Block, bytes: &mut Vec<u8>) {
    const BYTES: usize = 128 + 64 + 16 + 2;
    let parts = block.as_chunks::<16>().0;
    let mut codes: Codes = [0; 256];
    let mut scales = [0.0_f32; 16];
    for ((part, codes), scale) in parts.iter().zip(codes.as_chunks_mut::<16>().0).zip(&mut scales) {
        *scale = about_zero(part, codes);
    }
    let farthest = farthest(&scales);
    if farthest.abs() < SMALLEST {
        bytes.extend([0; BYTES]);
        return;
    }
    let inverse = -128.0 / farthest;
    let d = f16::from_f32(1.0 / inverse);
    let scales = scales.map(|scale| nearest(inverse * scale).min(127) as i8);
    for ((part, codes), scale) in parts.iter().zip(codes.as_chunks_mut::<16>().0).zip(scales) {
        let step = d.to_f32() * f32::from(scale);
        if step != 0.0 {
            *codes = part.map(|x| (nearest(x / step).clamp(-32, 31) + 32) as u8);
        }
    }
    // Of each half of the block four parts of 32: the low bits of the first and third, of the second and fourth, ...
    let halves = codes.as_chunks::<128>().0;
    for half in halves {
        bytes.extend((0..64).map(|i| (half[i] & 15) | (half[i + 64] & 15) << 4));
    }
    // ... and the high bits of all four.
    for half in halves {
        let pair = |i: usize, part: usize| (half[32 * part + i] >> 4) << (2 * part);
        bytes.extend((0..32).map(|i| pair(i, 0) | pair(i, 1) | pair(i, 2) | pair(i, 3)));
    }
    bytes.extend(scales.map(|scale| scale as u8));
    bytes.extend(d.to_le_bytes());
}

/// The codes of a block whose parts have scales and minimums; writes d, d_min and what each part has of them.
fn from_minimums(block: &Block, search: &Search, bytes: &mut Vec<u8>) -> Codes {
    let parts = block.as_chunks::<32>().0;
    let mut codes: Codes = [0; 256];
    let (mut scales, mut minimums) = ([0.0_f32; 8], [0.0_f32; 8]);
    let fitted = scales.iter_mut().zip(&mut minimums);
    for ((part, codes), (scale, minimum)) in parts.iter().zip(codes.as_chunks_mut::<32>().0).zip(fitted) {
        (*scale, *minimum) = from_minimum(part, search, codes);
    }
    let (most_scale, most_minimum) = (above_zero(&scales), above_zero(&minimums));
    let (d, d_min) = (f16::from_f32(most_scale / 63.0), f16::from_f32(most_minimum / 63.0));
    let (scales, minimums) = (six_bits(scales, most_scale), six_bits(minimums, most_minimum));
    for (i, (part, codes)) in parts.iter().zip(codes.as_chunks_mut::<32>().0).enumerate() {
        let step = d.to_f32() * f32::from(scales[i]);
        let minimum = d_min.to_f32() * f32::from(minimums[i]);
        if step != 0.0 {
            *codes = part.map(|x| nearest((x + minimum) / step).clamp(0, search.most) as u8);
        }
    }
    bytes.extend(d.to_le_bytes());
    bytes.extend(d_min.to_le_bytes());
    bytes.extend((0..4).map(|i| scales[i] | (scales[i + 4] >> 4) << 6));
    bytes.extend((0..4).map(|i| minimums[i] | (minimums[i + 4] >> 4) << 6));
    bytes.extend((4..8).map(|i| (scales[i] & 15) | (minimums[i] & 15) << 4));
    codes
}

/// x ≈ scale·q − minimum, minimum ≥ 0: the scale and the minimum for which Σ w·(x − x̂)² is the least of those tried, where w
/// is |x| + √(mean x²) and each try rounds x with another step and then solves for both (`make_qkx2_quants`).
///
/// Tries after a better one start from its minimum, as in the reference.
fn from_minimum(x: &[f32; 32], search: &Search, codes: &mut [u8; 32]) -> (f32, f32) {
    let squares = x.iter().fold(0.0_f32, |sum, x| sum + x * x);
    let size = (squares / 32.0).sqrt();
    let weights = x.map(|x| size + x.abs());
    let (mut least, mut largest) = (x[0], x[0]);
    let (mut sum_w, mut sum_x) = (weights[0], weights[0] * x[0]);
    for (&x, &w) in x.iter().zip(&weights).skip(1) {
        if x < least {
            least = x;
        }
        if x > largest {
            largest = x;
        }
        sum_w += w;
        sum_x += w * x;
    }
    if least > 0.0 {
        least = 0.0;
    }
    if largest == least {
        codes.fill(0);
        return (0.0, -least);
    }
    let most = search.most as f32;
    let rounded = |inverse: f32, least: f32| x.map(|x| nearest(inverse * (x - least)).clamp(0, search.most) as u8);
    let error = |codes: &[u8; 32], scale: f32, least: f32| {
        let terms = codes.iter().zip(x).zip(&weights);
        terms.fold(0.0_f32, |sum, ((&code, x), w)| {
            let difference = scale * f32::from(code) + least - x;
            sum + w * (difference * difference)
        })
    };
    let inverse = most / (largest - least);
    let mut scale = 1.0 / inverse;
    *codes = rounded(inverse, least);
    let mut best = error(codes, scale, least);
    for step in 0..=search.steps {
        let inverse = (search.first + 0.1 * step as f32 + most) / (largest - least);
        let tried = rounded(inverse, least);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0_f32, 0.0_f32, 0.0_f32);
        for ((&code, x), w) in tried.iter().zip(x).zip(&weights) {
            let code = f32::from(code);
            sum_l += w * code;
            sum_l2 += w * code * code;
            sum_xl += w * code * x;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        if determinant > 0.0 {
            let mut new_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut new_least = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
            if new_least > 0.0 {
                new_least = 0.0;
                new_scale = sum_xl / sum_l2;
            }
            let found = error(&tried, new_scale, new_least);
            if found < best {
                (*codes, best, scale, least) = (tried, found, new_scale, new_least);
            }
        }
    }
    (scale, -least)
}

/// x ≈ scale·(q − 32): the scale for which Σ x²·(x − x̂)² is the least of those of nineteen steps around that which the
/// number of largest size wants (`make_qx_quants`).
fn about_zero(x: &[f32; 16], codes: &mut [u8; 16]) -> f32 {
    let farthest = farthest(x);
    if farthest.abs() < SMALLEST {
        codes.fill(0);
        return 0.0;
    }
    // The codes for a step, with Σ w·x·q and Σ w·q².
    let tried = |inverse: f32| {
        let (mut sum_xl, mut sum_l2) = (0.0_f32, 0.0_f32);
        let codes = x.map(|x| {
            let code = nearest(inverse * x).clamp(-32, 31);
            let (w, l) = (x * x, code as f32);
            sum_xl += w * x * l;
            sum_l2 += w * l * l;
            (code + 32) as u8
        });
        (codes, sum_xl, sum_l2)
    };
    let (first, sum_xl, sum_l2) = tried(-32.0 / farthest);
    *codes = first;
    let mut scale = if sum_l2 != 0.0 { sum_xl / sum_l2 } else { 0.0 };
    let mut best = scale * sum_xl;
    for step in (-9..=9).filter(|step| *step != 0) {
        let (found, sum_xl, sum_l2) = tried(-(32.0 + 0.1 * step as f32) / farthest);
        if sum_l2 > 0.0 && sum_xl * sum_xl > best * sum_l2 {
            *codes = found;
            scale = sum_xl / sum_l2;
            best = scale * sum_xl;
        }
    }
    scale
}

/// The first number of largest size.
fn farthest(values: &[f32]) -> f32 {
    let farther = |most: f32, x: &f32| if x.abs() > most.abs() { *x } else { most };
    values.iter().fold(0.0, farther)
}

/// The largest number, at least 0.
fn above_zero(values: &[f32; 8]) -> f32 {
    values.iter().fold(0.0, |most, x| if *x > most { *x } else { most })
}

/// Numbers as shares of the largest, which is 63.
fn six_bits(values: [f32; 8], most: f32) -> [u8; 8] {
    let inverse = if most > 0.0 { 63.0 / most } else { 0.0 };
    values.map(|value| (nearest(inverse * value) as u8).min(63))
}

/// The low four bits of the codes: those of two parts of 32 in a byte each.
fn nibbles(codes: &Codes, bytes: &mut Vec<u8>) {
    for pair in codes.as_chunks::<64>().0 {
        let (low, high) = pair.split_at(32);
        bytes.extend(low.iter().zip(high).map(|(low, high)| (low & 15) | (high & 15) << 4));
    }
}

/// The nearest whole number, halves to even ones, as the lowest bits of x + 1.5·2²³ have it; what is too large for that keeps
/// those bits too, as in the reference.
fn nearest(x: f32) -> i32 {
    const ROUNDER: f32 = 12_582_912.0;
    ((x + ROUNDER).to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_even_numbers() {
        let rounded = [-2.5, -1.5, -0.5, 0.0, 0.49, 0.5, 1.5, 2.5, 1000.2].map(nearest);
        assert_eq!(rounded, [-2, -2, 0, 0, 0, 0, 2, 2, 1000]);
    }

    #[test]
    fn a_part_of_equal_numbers_has_a_scale_or_a_minimum() {
        let search = Search {
            most: 15,
            first: -1.0,
            steps: 20,
        };
        let mut codes = [7; 32];
        assert_eq!(from_minimum(&[0.0; 32], &search, &mut codes), (0.0, 0.0));
        assert_eq!(codes, [0; 32]);
        assert_eq!(from_minimum(&[-2.0; 32], &search, &mut codes), (0.0, 2.0));
        let (scale, minimum) = from_minimum(&[3.0; 32], &search, &mut codes);
        assert!((scale * f32::from(codes[0]) - 3.0).abs() < 1e-6 && minimum == 0.0);
    }
}
