//! The sum of losses, times what makes a mean of it.

use crate::launch::info_words;
use crate::math::sum_of;
use crate::{Kernel, Tier};

/// scale · Σ x, in an order that is always the same. Input x \[len\]; output \[1\].
#[derive(Debug, Clone, PartialEq)]
pub struct ScaledSum {
    /// Elements.
    pub len: usize,
    /// Multiplies the sum.
    pub scale: f32,
}

impl Kernel for ScaledSum {
    fn key(&self, _tier: Tier) -> String {
        "scaled_sum".to_owned()
    }

    fn wgsl(&self, _tier: Tier) -> String {
        concat!(include_str!("rows_gpu.wgsl"), include_str!("scaled_sum.wgsl")).to_owned()
    }

    fn workgroup_size(&self, _tier: Tier) -> [u32; 3] {
        [256, 1, 1]
    }

    fn workgroups(&self, _tier: Tier) -> [u32; 3] {
        [1, 1, 1]
    }

    fn info(&self) -> Vec<u32> {
        info_words(&[self.len as u32, self.scale.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![1]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let parts = inputs[0].chunks(4096).map(|part| f64::from(sum_of(part, |x| x)));
        outputs[0][0] = parts.sum::<f64>() as f32 * self.scale;
    }
}
