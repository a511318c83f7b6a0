//! The factor that a step's gradients are clipped by, found where they are, and AdamW's steps that read it there.

use crate::launch::{by_element_count, info_words};
use crate::{AdamW, AdamW8bit, Kernel, Tier};

/// Numbers that [`Clip`] adds to those of a step: the factor of its gradients, and whether the steps have come to an end.
pub const VERDICT: usize = 2;

/// The norm of a step's gradients √Σ squares, and the factor that clips them as `torch.nn.utils.clip_grad_norm_` does:
/// min(1, max_norm / (norm + 1e-6)), or 1 where `max_norm` is 0.
///
/// Where Σ losses or the norm is not a finite number, or was not in a step before, the steps have come to an end: the factor is 0,
/// and neither this step nor a later one is to change anything.
///
/// Inputs losses \[losses\], squares \[squares\], the output of the step before \[last\], whose last number says whether the steps
/// have come to an end (0 or 1). Output: losses, squares, factor, whether they have now.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Parts of the loss.
    pub losses: usize,
    /// Parts of Σ g².
    pub squares: usize,
    /// Numbers of the step before.
    pub last: usize,
    /// The largest norm; 0 does not clip.
    pub max_norm: f64,
}

/// [`AdamW`], whose gradient's scale is the last number but one of a fifth input; `step.grad_scale` is not looked at. Where the
/// input's last number is not 0, the outputs are p, m, v as they were.
#[derive(Debug, Clone, PartialEq)]
pub struct ClippedAdamW {
    /// Length and factors of the step.
    pub step: AdamW,
    /// Numbers of the fifth input.
    pub scales: usize,
}

/// [`AdamW8bit`] likewise.
#[derive(Debug, Clone, PartialEq)]
pub struct ClippedAdamW8bit {
    /// Length and factors of the step.
    pub step: AdamW,
    /// Numbers of the fifth input.
    pub scales: usize,
}

impl Kernel for Clip {
    fn key(&self, _tier: Tier) -> String {
        "clip".to_owned()
    }

    fn wgsl(&self, _tier: Tier) -> String {
        include_str!("clip.wgsl").to_owned()
    }

    fn workgroup_size(&self, _tier: Tier) -> [u32; 3] {
        [1, 1, 1]
    }

    fn workgroups(&self, _tier: Tier) -> [u32; 3] {
        [1, 1, 1]
    }

    fn info(&self) -> Vec<u32> {
        let [losses, squares, last] = [self.losses, self.squares, self.last].map(|count| count as u32);
        info_words(&[losses, squares, last, (self.max_norm as f32).to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.losses, self.squares, self.last]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.losses + self.squares + VERDICT]
    }

    /// In 64 bits, as a host that reads the numbers computes it.
    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (losses, squares, last) = (inputs[0], inputs[1], inputs[2]);
        let sum = |numbers: &[f32]| numbers.iter().map(|&x| f64::from(x)).sum::<f64>();
        let (loss, norm) = (sum(losses), sum(squares).sqrt());
        let has_ended = last.last().is_some_and(|&ended| ended != 0.0) || !loss.is_finite() || !norm.is_finite();
        let factor = match self.max_norm > 0.0 {
            true => (self.max_norm / (norm + 1e-6)).min(1.0),
            false => 1.0,
        };
        let verdict = match has_ended {
            true => [0.0, 1.0],
            false => [factor as f32, 0.0],
        };
        let found = losses.iter().chain(squares).chain(&verdict);
        for (output, &number) in outputs[0].iter_mut().zip(found) {
            *output = number;
        }
    }
}

/// The factor in the numbers of a [`Clip`]; `None` where the steps have come to an end.
fn factor_in(scales: &[f32]) -> Option<f64> {
    match scales {
        [.., factor, ended] if *ended == 0.0 => Some(f64::from(*factor)),
        _ => None,
    }
}

/// The words of a step's `info`, which has the number of scales where the gradient's scale would be.
fn info_with_scales(mut words: Vec<u32>, scales: usize) -> Vec<u32> {
    if let Some(scale) = words.get_mut(1) {
        *scale = scales as u32;
    }
    words
}

impl Kernel for ClippedAdamW {
    fn key(&self, _tier: Tier) -> String {
        "adamw_clipped".to_owned()
    }

    fn wgsl(&self, _tier: Tier) -> String {
        concat!(include_str!("elements.wgsl"), include_str!("adamw_clipped.wgsl")).to_owned()
    }

    by_element_count!(|kernel| kernel.step.len);

    fn info(&self) -> Vec<u32> {
        info_with_scales(self.step.info(), self.scales)
    }

    fn input_lens(&self) -> Vec<usize> {
        [self.step.input_lens(), vec![self.scales]].concat()
    }

    fn output_lens(&self) -> Vec<usize> {
        self.step.output_lens()
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        match factor_in(inputs[4]) {
            Some(grad_scale) => {
                let step = AdamW {
                    grad_scale,
                    ..self.step.clone()
                };
                step.twin(&inputs[..4], outputs);
            }
            None => {
                for (output, old) in outputs.iter_mut().zip([inputs[0], inputs[2], inputs[3]]) {
                    output.copy_from_slice(old);
                }
            }
        }
    }
}

impl ClippedAdamW8bit {
    fn plain(&self, grad_scale: f64) -> AdamW8bit {
        let step = AdamW {
            grad_scale,
            ..self.step.clone()
        };
        AdamW8bit { step }
    }
}

impl Kernel for ClippedAdamW8bit {
    fn key(&self, tier: Tier) -> String {
        format!("{}_clipped", self.plain(1.0).key(tier))
    }

    fn wgsl(&self, tier: Tier) -> String {
        crate::adamw_8bit::text(tier, true)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        self.plain(1.0).workgroup_size(tier)
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        self.plain(1.0).workgroups(tier)
    }

    fn info(&self) -> Vec<u32> {
        info_with_scales(self.plain(1.0).info(), self.scales)
    }

    fn input_lens(&self) -> Vec<usize> {
        [self.plain(1.0).input_lens(), vec![self.scales]].concat()
    }

    fn output_lens(&self) -> Vec<usize> {
        self.plain(1.0).output_lens()
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        match factor_in(inputs[4]) {
            Some(grad_scale) => self.plain(grad_scale).twin(&inputs[..4], outputs),
            None => {
                for (output, old) in outputs.iter_mut().zip([inputs[0], inputs[2]]) {
                    output.copy_from_slice(old);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(losses: &[f32], squares: &[f32], ended: f32, max_norm: f64) -> [f32; 2] {
        let kernel = Clip {
            losses: losses.len(),
            squares: squares.len(),
            last: 3,
            max_norm,
        };
        let mut found = vec![0.0; losses.len() + squares.len() + VERDICT];
        kernel.twin(&[losses, squares, &[7.0, 0.5, ended]], &mut [&mut found]);
        let (numbers, verdict) = found.split_at(losses.len() + squares.len());
        let given = losses.iter().chain(squares);
        assert!(numbers.iter().zip(given).all(|(a, b)| a.to_bits() == b.to_bits()));
        [verdict[0], verdict[1]]
    }

    #[test]
    fn numbers_that_are_none_end_the_steps_for_good() {
        assert_eq!(
            verdict(&[1.0, 2.0], &[9.0, 16.0], 0.0, 1.0),
            [(1.0 / 5.000_001) as f32, 0.0]
        );
        assert_eq!(verdict(&[1.0], &[0.25], 0.0, 1.0), [1.0, 0.0]);
        assert_eq!(verdict(&[1.0], &[1e6], 0.0, 0.0), [1.0, 0.0], "0 does not clip");
        for (loss, square) in [
            (f32::NAN, 1.0),
            (f32::INFINITY, 1.0),
            (1.0, f32::NAN),
            (1.0, f32::INFINITY),
        ] {
            assert_eq!(verdict(&[0.5, loss], &[square, 1.0], 0.0, 1.0), [0.0, 1.0]);
        }
        assert_eq!(verdict(&[1.0], &[1.0], 1.0, 1.0), [0.0, 1.0], "as before");
    }

    #[test]
    fn a_step_after_the_end_changes_nothing() {
        let step = AdamW::step(2, 1, 1e-2, (0.9, 0.999), 1e-8, 0.1);
        let kernel = ClippedAdamW { step, scales: 3 };
        let (p, g, m, v) = ([1.0, 2.0], [f32::NAN, 3.0], [0.1, 0.2], [0.3, 0.4]);
        let outputs = |scales: &[f32], g: &[f32]| {
            let mut found = [[0.0; 2]; 3];
            let [new_p, new_m, new_v] = &mut found;
            kernel.twin(&[&p, g, &m, &v, scales], &mut [new_p, new_m, new_v]);
            found
        };
        assert_eq!(outputs(&[5.0, 0.0, 1.0], &g), [p, m, v]);
        let moved = outputs(&[5.0, 0.5, 0.0], &[1.0, 1.0]);
        assert_eq!(
            moved[1],
            [0.9 * 0.1 + 0.1f64 as f32 * 0.5, 0.9 * 0.2 + 0.1f64 as f32 * 0.5]
        );
    }
}
