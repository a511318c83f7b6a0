//! The gate of Llama's feed-forward block (SwiGLU, Shazeer 2020), forward and backward.

use crate::Kernel;
use crate::launch::{by_element, info_words};
use crate::math::{STRETCH, for_each_row, for_each_row_of_two, sigmoid};

/// y = gate · σ(gate) · up. Inputs gate, up \[len\]; output y \[len\].
#[derive(Debug, Clone, PartialEq)]
pub struct SiluMul {
    /// Elements.
    pub len: usize,
}

/// The gradients of [`SiluMul`]: dgate = dy · up · σ · (1 + gate · (1 − σ)), dup = dy · gate · σ, σ = σ(gate).
/// Inputs gate, up, dy \[len\]; outputs dgate, dup \[len\].
#[derive(Debug, Clone, PartialEq)]
pub struct SiluMulBackward {
    /// Elements.
    pub len: usize,
}

impl Kernel for SiluMul {
    by_element!("silu_mul", |kernel| kernel.len);

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
        let (gate, up) = (inputs[0], inputs[1]);
        for_each_row(
            outputs[0],
            STRETCH,
            #[inline(always)]
            |stretch, y| {
                let start = stretch * STRETCH;
                for ((y, &gate), &up) in y.iter_mut().zip(&gate[start..]).zip(&up[start..]) {
                    *y = gate * sigmoid(gate) * up;
                }
            },
        );
    }
}

impl Kernel for SiluMulBackward {
    by_element!("silu_mul_backward", |kernel| kernel.len);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.len as u32])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.len; 3]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.len; 2]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (gate, up, dy) = (inputs[0], inputs[1], inputs[2]);
        let [dgate, dup] = outputs else { return };
        for_each_row_of_two(
            dgate,
            dup,
            STRETCH,
            #[inline(always)]
            |stretch, dgate, dup| {
                let start = stretch * STRETCH;
                let inputs = gate[start..].iter().zip(&up[start..]).zip(&dy[start..]);
                for ((dgate, dup), ((&gate, &up), &dy)) in dgate.iter_mut().zip(dup).zip(inputs) {
                    let sigma = sigmoid(gate);
                    *dgate = dy * up * sigma * (1.0 + gate * (1.0 - sigma));
                    *dup = dy * gate * sigma;
                }
            },
        );
    }
}
