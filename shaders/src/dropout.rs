//! Dropout (Srivastava et al. 2014) with a mask that is a pure function of seed and place.

use crate::Kernel;
use crate::launch::{by_element, info_words};
use crate::math::{STRETCH, for_each_row};

/// y = x / (1 − p) where the element is kept, 0 where it is dropped; element i is dropped if hash(i, seed) < p · 2³².
/// The backward is the same kernel on the gradient. Text and twin agree bit for bit. Input x \[len\]; output y \[len\].
#[derive(Debug, Clone, PartialEq)]
pub struct Dropout {
    /// Elements.
    pub len: usize,
    /// The share that is dropped, 0..=1.
    pub p: f32,
    /// Chooses the mask; take another for each layer and step.
    pub seed: u64,
}

impl Dropout {
    /// Hashes under this are dropped.
    fn threshold(&self) -> u32 {
        (f64::from(self.p) * 4_294_967_296.0) as u32
    }

    /// The seed, mixed (splitmix64, Steele et al. 2014), as the hash's two constant words. The second is even, which makes the
    /// hash's first multiplier odd: no seed is a weak one.
    fn words(&self) -> (u32, u32) {
        let mut z = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z as u32, (z >> 32) as u32 & !1)
    }

    /// 1 / (1 − p); 0 where everything is dropped.
    fn scale(&self) -> f32 {
        if self.p < 1.0 { 1.0 / (1.0 - self.p) } else { 0.0 }
    }
}

/// The first word of pcg3d: Jarzynski & Olano, Hash Functions for GPU Rendering, JCGT 9(3), 2020.
#[inline(always)]
fn hash(index: u32, low: u32, high: u32) -> u32 {
    let advance = |word: u32| word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let (mut x, mut y, mut z) = (advance(index), advance(low), advance(high));
    x = x.wrapping_add(y.wrapping_mul(z));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    x ^= x >> 16;
    y ^= y >> 16;
    z ^= z >> 16;
    x.wrapping_add(y.wrapping_mul(z))
}

impl Kernel for Dropout {
    by_element!("dropout", |kernel| kernel.len);

    fn info(&self) -> Vec<u32> {
        let (low, high) = self.words();
        info_words(&[self.len as u32, self.threshold(), low, high, self.scale().to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let x = inputs[0];
        let (low, high) = self.words();
        let (threshold, scale) = (self.threshold(), self.scale());
        for_each_row(outputs[0], STRETCH, |stretch, y| {
            let start = stretch * STRETCH;
            for (i, (y, &x)) in y.iter_mut().zip(&x[start..]).enumerate() {
                *y = if hash((start + i) as u32, low, high) >= threshold {
                    x * scale
                } else {
                    0.0
                };
            }
        });
    }
}
