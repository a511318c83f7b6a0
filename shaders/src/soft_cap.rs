//! Gemma 2's soft-capping of scores and logits (Gemma Team 2024, arXiv 2408.00118), forward and backward.

use crate::Kernel;
use crate::launch::{by_element, info_words};
use crate::math::{STRETCH, for_each_row, tanh};

/// y = cap · tanh(scale · x / cap). Input x \[len\]; output y \[len\].
#[derive(Debug, Clone, PartialEq)]
pub struct SoftCap {
    /// Elements.
    pub len: usize,
    /// Multiplies x.
    pub scale: f32,
    /// The largest |y|.
    pub cap: f32,
}

/// The gradient of [`SoftCap`]: dx = dy · scale · (1 − (y/cap)²). Inputs y, dy \[len\]; output dx \[len\].
#[derive(Debug, Clone, PartialEq)]
pub struct SoftCapBackward {
    /// Elements.
    pub len: usize,
    /// The forward's scale.
    pub scale: f32,
    /// The forward's cap.
    pub cap: f32,
}

impl SoftCap {
    /// The gradient's kernel.
    pub fn backward(&self) -> SoftCapBackward {
        let Self { len, scale, cap } = *self;
        SoftCapBackward { len, scale, cap }
    }
}

impl Kernel for SoftCap {
    by_element!("soft_cap", |kernel| kernel.len);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.len as u32, self.scale.to_bits(), self.cap.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let x = inputs[0];
        let inner = self.scale / self.cap;
        for_each_row(
            outputs[0],
            STRETCH,
            #[inline(always)]
            |stretch, y| {
                for (y, &x) in y.iter_mut().zip(&x[stretch * STRETCH..]) {
                    *y = self.cap * tanh(x * inner);
                }
            },
        );
    }
}

impl Kernel for SoftCapBackward {
    by_element!("soft_cap_backward", |kernel| kernel.len);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.len as u32, self.scale.to_bits(), self.cap.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.len; 2]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (y, dy) = (inputs[0], inputs[1]);
        for_each_row(
            outputs[0],
            STRETCH,
            #[inline(always)]
            |stretch, dx| {
                let start = stretch * STRETCH;
                for ((dx, &y), &dy) in dx.iter_mut().zip(&y[start..]).zip(&dy[start..]) {
                    let t = y / self.cap;
                    *dx = dy * self.scale * (1.0 - t * t);
                }
            },
        );
    }
}
