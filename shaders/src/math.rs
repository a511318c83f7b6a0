//! The arithmetic of the CPU twins: loops in the shape that a compiler turns into vector instructions, and rows in parallel.

/// Sums are kept in this many independent accumulators: they vectorise, and their rounding errors stay small.
const ACCUMULATORS: usize = 16;
/// Under this many elements of work, starting threads costs more than it saves.
#[cfg(not(target_arch = "wasm32"))]
const PARALLEL_FROM: usize = 1 << 15;

/// eˣ within about 2 units in the last place; 0 under −87.3 and 2¹²⁸'s neighbourhood above 88. Unlike the standard library's
/// it vectorises. Method and coefficients: Cephes' `expf` (S. Moshier), reduction by ln 2 in two parts, degree 6.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding and taking away 1.5 · 2²³ rounds to the nearest integer.
    const ROUNDER: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUNDER;
    let n = shifted - ROUNDER;
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    // n is in the lowest bits of `shifted`. (`n as i32`, which saturates, is no vector instruction on x86.)
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let value = (p * r * r + r + 1.0) * power;
    if x < -87.3 { 0.0 } else { value }
}

/// tanh x = 1 − 2 / (e²ˣ + 1), with x clamped to ±10, where it is ±1 in f32.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x.clamp(-10.0, 10.0)) + 1.0)
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The value of an IEEE 16-bit float.
#[inline(always)]
pub(crate) fn half(bits: u16) -> f32 {
    let (sign, size) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff));
    // A subnormal half is a multiple of 2⁻²⁴; above it exponents differ by 112; the largest exponent stays the largest.
    let normal = f32::from_bits((size << 13) + (112 << 23));
    let infinite = f32::from_bits((size << 13) | 0x7f80_0000);
    let subnormal = size as f32 * (1.0 / 16_777_216.0);
    let value = if size < 0x400 {
        subnormal
    } else if size >= 0x7c00 {
        infinite
    } else {
        normal
    };
    f32::from_bits(value.to_bits() | sign)
}

/// Σ term(aᵢ).
#[inline(always)]
pub(crate) fn sum_of(a: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; ACCUMULATORS];
    let mut chunks = a.chunks_exact(ACCUMULATORS);
    for chunk in &mut chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += term(value);
        }
    }
    let rest: f32 = chunks.remainder().iter().map(|&value| term(value)).sum();
    sums.iter().map(|&sum| f64::from(sum)).sum::<f64>() as f32 + rest
}

/// Σ aᵢ·bᵢ.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; ACCUMULATORS];
    let mut left = a.chunks_exact(ACCUMULATORS);
    let mut right = b.chunks_exact(ACCUMULATORS);
    for (x, y) in (&mut left).zip(&mut right) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    let rest: f32 = left
        .remainder()
        .iter()
        .zip(right.remainder())
        .map(|(&x, &y)| x * y)
        .sum();
    sums.iter().map(|&sum| f64::from(sum)).sum::<f64>() as f32 + rest
}

/// The largest of aᵢ; −∞ of none.
#[inline(always)]
pub(crate) fn max_of(a: &[f32]) -> f32 {
    let mut largest = [f32::NEG_INFINITY; ACCUMULATORS];
    let mut chunks = a.chunks_exact(ACCUMULATORS);
    for chunk in &mut chunks {
        for (most, &value) in largest.iter_mut().zip(chunk) {
            *most = if value > *most { value } else { *most };
        }
    }
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest.iter().copied().fold(rest, f32::max)
}

/// Does `work` where the compiler may use the widest vectors of this processor, for the instructions that every processor
/// of the kind has are a quarter of that on x86. Only what is inlined into `work` gains by it: closures have to say
/// `#[inline(always)]`. Nothing is fused or reordered, so results do not depend on the processor.
#[inline(always)]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = pulp::x86::V4::try_new() {
            return simd.vectorize(work);
        }
        if let Some(simd) = pulp::x86::V3::try_new() {
            return simd.vectorize(work);
        }
    }
    work()
}

/// Calls `each(row, row's slice)` for every row of `out`, on several threads where that pays. An `each` that says
/// `#[inline(always)]` is compiled for the [`widest`] vectors.
pub(crate) fn for_each_row(out: &mut [f32], width: usize, each: impl Fn(usize, &mut [f32]) + Send + Sync) {
    for_each_row_of(out, width, width, each);
}

/// The same where a row costs more than its output shows: `work` elements.
pub(crate) fn for_each_row_of(
    out: &mut [f32],
    width: usize,
    work: usize,
    each: impl Fn(usize, &mut [f32]) + Send + Sync,
) {
    if width == 0 || out.is_empty() {
        return;
    }
    #[cfg(not(target_arch = "wasm32"))]
    if out.len() / width * work >= PARALLEL_FROM {
        use rayon::prelude::*;
        let fewest = (PARALLEL_FROM / 4 / work.max(1)).max(1);
        // A stretch of rows at a time, so that choosing instructions costs nothing.
        out.par_chunks_mut(fewest * width)
            .enumerate()
            .for_each(|(stretch, rows)| each_of(rows, width, stretch * fewest, &each));
        return;
    }
    #[cfg(target_arch = "wasm32")]
    let _ = work;
    each_of(out, width, 0, &each);
}

/// Calls `each` for the rows of `rows`, the first of which is row `first`.
fn each_of(rows: &mut [f32], width: usize, first: usize, each: &impl Fn(usize, &mut [f32])) {
    widest(
        #[inline(always)]
        || {
            for (row, slice) in rows.chunks_mut(width).enumerate() {
                each(first + row, slice);
            }
        },
    );
}

/// The same for two outputs of the same shape.
pub(crate) fn for_each_row_of_two(
    first: &mut [f32],
    second: &mut [f32],
    width: usize,
    each: impl Fn(usize, &mut [f32], &mut [f32]) + Send + Sync,
) {
    if width == 0 || first.is_empty() {
        return;
    }
    #[cfg(not(target_arch = "wasm32"))]
    if first.len() >= PARALLEL_FROM {
        use rayon::prelude::*;
        let fewest = (PARALLEL_FROM / 4 / width).max(1);
        first
            .par_chunks_mut(fewest * width)
            .zip(second.par_chunks_mut(fewest * width))
            .enumerate()
            .for_each(|(stretch, (a, b))| each_of_two([a, b], width, stretch * fewest, &each));
        return;
    }
    each_of_two([first, second], width, 0, &each);
}

fn each_of_two(
    [first, second]: [&mut [f32]; 2],
    width: usize,
    start: usize,
    each: &impl Fn(usize, &mut [f32], &mut [f32]),
) {
    widest(
        #[inline(always)]
        || {
            for (row, (a, b)) in first.chunks_mut(width).zip(second.chunks_mut(width)).enumerate() {
                each(start + row, a, b);
            }
        },
    );
}

/// Calls `each` for every part of several outputs, on several threads where that pays; a part costs `work` elements.
pub(crate) fn for_each_part<T: Send>(parts: Vec<T>, work: usize, each: impl Fn(T) + Send + Sync) {
    #[cfg(not(target_arch = "wasm32"))]
    if parts.len() * work >= PARALLEL_FROM {
        use rayon::prelude::*;
        let fewest = (PARALLEL_FROM / 4 / work.max(1)).max(1);
        parts.into_par_iter().with_min_len(fewest).for_each(each);
        return;
    }
    #[cfg(target_arch = "wasm32")]
    let _ = work;
    parts.into_iter().for_each(each);
}

/// Element-wise work is handed out in rows of this many elements.
pub(crate) const STRETCH: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_standard_library() {
        for step in -8_700..8_800 {
            let x = step as f32 * 0.01;
            let (ours, theirs) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours / theirs - 1.0).abs() < 3e-7, "exp({x}) = {ours}, not {theirs}");
        }
        assert_eq!(exp(-200.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn tanh_and_sigmoid_saturate_without_nan() {
        assert_eq!(tanh(90.0), 1.0);
        assert_eq!(tanh(-90.0), -1.0);
        assert_eq!(sigmoid(200.0), 1.0);
        assert!(sigmoid(-200.0) < 1e-30);
    }

    #[test]
    fn sums_and_maxima_cover_the_remainder() {
        let a: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(sum_of(&a, |x| x), 666.0);
        assert_eq!(dot(&a, &a), 16_206.0);
        assert_eq!(max_of(&a), 36.0);
        assert_eq!(max_of(&[]), f32::NEG_INFINITY);
    }
}
