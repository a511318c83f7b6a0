//! GPT-2's activation, the tanh form of GELU (Hendrycks & Gimpel 2016), forward and backward.

use crate::Kernel;
use crate::launch::{by_element, info_words};
use crate::math::{STRETCH, exp, for_each_row, tanh};

/// √(2/π).
const SLOPE: f32 = 0.797_884_6;
/// The cubic term's factor.
const CUBE: f32 = 0.044_715;

/// y = x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))). Input x \[len\]; output y \[len\].
#[derive(Debug, Clone, PartialEq)]
pub struct GeluNew {
    /// Elements.
    pub len: usize,
}

/// The gradient of [`GeluNew`]: dx = dy · ((1 + t)/2 + x/2 · (1 − t²) · √(2/π) · (1 + 3·0.044715·x²)), t the forward's tanh.
/// Inputs x, dy \[len\]; output dx \[len\].
#[derive(Debug, Clone, PartialEq)]
pub struct GeluNewBackward {
    /// Elements.
    pub len: usize,
}

impl Kernel for GeluNew {
    by_element!("gelu_new", |kernel| kernel.len);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.len as u32])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let x = inputs[0];
        for_each_row(
            outputs[0],
            STRETCH,
            #[inline(always)]
            |stretch, y| {
                for (y, &x) in y.iter_mut().zip(&x[stretch * STRETCH..]) {
                    *y = 0.5 * x * (1.0 + tanh(SLOPE * (x + CUBE * x * x * x)));
                }
            },
        );
    }
}

impl Kernel for GeluNewBackward {
    by_element!("gelu_new_backward", |kernel| kernel.len);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.len as u32])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.len; 2]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (x, dy) = (inputs[0], inputs[1]);
        for_each_row(
            outputs[0],
            STRETCH,
            #[inline(always)]
            |stretch, dx| {
                let start = stretch * STRETCH;
                for ((dx, &x), &dy) in dx.iter_mut().zip(&x[start..]).zip(&dy[start..]) {
                    // With e = e²ᵘ, (1 + t)/2 is e / (e + 1) and (1 − t²)/2 is 2e / (e + 1)², which cancels nothing.
                    let e = exp(2.0 * (SLOPE * (x + CUBE * x * x * x)).clamp(-10.0, 10.0));
                    let share = e / (e + 1.0);
                    let slope = SLOPE * (1.0 + 3.0 * CUBE * x * x);
                    *dx = dy * (share + 2.0 * x * share / (e + 1.0) * slope);
                }
            },
        );
    }
}
