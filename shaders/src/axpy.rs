//! A scaled sum.

use crate::Kernel;
use crate::launch::{by_element, info_words};
use crate::math::{STRETCH, for_each_row};

/// out = y + alpha · x. Inputs y, x \[len\]; output \[len\].
#[derive(Debug, Clone, PartialEq)]
pub struct Axpy {
    /// Elements.
    pub len: usize,
    /// Multiplies x.
    pub alpha: f32,
}

impl Axpy {
    /// y + x.
    pub fn sum(len: usize) -> Self {
        Self { len, alpha: 1.0 }
    }
}

impl Kernel for Axpy {
    by_element!("axpy", |kernel| kernel.len);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.len as u32, self.alpha.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.len; 2]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (y, x) = (inputs[0], inputs[1]);
        for_each_row(
            outputs[0],
            STRETCH,
            #[inline(always)]
            |stretch, out| {
                let start = stretch * STRETCH;
                for ((out, &y), &x) in out.iter_mut().zip(&y[start..]).zip(&x[start..]) {
                    *out = y + self.alpha * x;
                }
            },
        );
    }
}
