//! The optimiser's step, and the sum that gradients are clipped by.

use crate::launch::{by_element, grid, info_words};
use crate::math::sum_of;
use crate::{Kernel, Tier};

/// One step of AdamW (Loshchilov & Hutter 2019), in the order of `torch.optim.AdamW`: with g already multiplied by `grad_scale`,
/// m' = β1·m + (1 − β1)·g, v' = β2·v + (1 − β2)·g², p' = p·(1 − lr·weight_decay) − lr/c1 · m' / (√v'/√c2 + eps).
/// Inputs p, g, m, v \[len\]; outputs p', m', v' \[len\]. Factors are f64 here, because 1 − 0.999 in f32 is wrong in the
/// fifth digit; the arithmetic is f32.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    /// Elements.
    pub len: usize,
    /// Step size.
    pub lr: f64,
    /// Decay of the mean.
    pub beta1: f64,
    /// Decay of the mean square.
    pub beta2: f64,
    /// Added to the root.
    pub eps: f64,
    /// Decoupled decay.
    pub weight_decay: f64,
    /// c1 = 1 − β1ᵗ for step t = 1, 2, …
    pub bias_correction1: f64,
    /// c2 = 1 − β2ᵗ.
    pub bias_correction2: f64,
    /// Multiplies the gradient first: for clipping, and for means over accumulated batches.
    pub grad_scale: f64,
}

/// Σ x² of each of `parts` stretches of x, which are as long as each other but for the last. Input x \[len\]; output \[parts\].
#[derive(Debug, Clone, PartialEq)]
pub struct SumSquares {
    /// Elements.
    pub len: usize,
    /// Stretches: a workgroup sums each.
    pub parts: usize,
}

/// Σ x² of seven tensors: as many as a kernel can be given beside its output. Inputs x \[len\] each; output \[7\].
#[derive(Debug, Clone, PartialEq)]
pub struct SumSquaresOfSeven {
    /// Elements of each.
    pub lens: [usize; 7],
}

impl AdamW {
    /// Step `step` = 1, 2, … with the corrections that belong to it, and gradients as they are.
    pub fn step(len: usize, step: u32, lr: f64, betas: (f64, f64), eps: f64, weight_decay: f64) -> Self {
        let correction = |beta: f64| 1.0 - beta.powf(f64::from(step));
        Self {
            len,
            lr,
            beta1: betas.0,
            beta2: betas.1,
            eps,
            weight_decay,
            bias_correction1: correction(betas.0),
            bias_correction2: correction(betas.1),
            grad_scale: 1.0,
        }
    }

    /// Gradient's scale, 1 − lr·decay, lr/c1, β1, 1 − β1, β2, 1 − β2, 1/√c2, eps.
    pub(crate) fn factors(&self) -> [f32; 9] {
        [
            self.grad_scale,
            1.0 - self.lr * self.weight_decay,
            self.lr / self.bias_correction1,
            self.beta1,
            1.0 - self.beta1,
            self.beta2,
            1.0 - self.beta2,
            1.0 / self.bias_correction2.sqrt(),
            self.eps,
        ]
        .map(|factor| factor as f32)
    }
}

impl Kernel for AdamW {
    by_element!("adamw", |kernel| kernel.len);

    fn info(&self) -> Vec<u32> {
        let mut words = vec![self.len as u32];
        words.extend(self.factors().map(f32::to_bits));
        info_words(&words)
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.len; 4]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.len; 3]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (p, g, m, v) = (inputs[0], inputs[1], inputs[2], inputs[3]);
        let [new_p, new_m, new_v] = outputs else { return };
        let [scale, keep, rate, beta1, rest1, beta2, rest2, root, eps] = self.factors();
        let state = p.iter().zip(g).zip(m).zip(v);
        let results = new_p.iter_mut().zip(new_m.iter_mut()).zip(new_v.iter_mut());
        for ((((&p, &g), &m), &v), ((new_p, new_m), new_v)) in state.zip(results) {
            let g = g * scale;
            let mean = beta1 * m + rest1 * g;
            let square = beta2 * v + rest2 * g * g;
            *new_m = mean;
            *new_v = square;
            *new_p = p * keep - rate * mean / (square.sqrt() * root + eps);
        }
    }
}

impl SumSquares {
    /// Elements of a stretch.
    fn stretch(&self) -> usize {
        self.len.div_ceil(self.parts).max(1)
    }
}

impl Kernel for SumSquares {
    fn key(&self, _tier: Tier) -> String {
        "sum_squares".to_owned()
    }

    fn wgsl(&self, _tier: Tier) -> String {
        concat!(include_str!("rows_gpu.wgsl"), include_str!("sum_squares.wgsl")).to_owned()
    }

    fn workgroup_size(&self, _tier: Tier) -> [u32; 3] {
        [256, 1, 1]
    }

    fn workgroups(&self, _tier: Tier) -> [u32; 3] {
        grid(self.parts)
    }

    fn info(&self) -> Vec<u32> {
        info_words(&[self.len as u32, self.parts as u32, self.stretch() as u32])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.len]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.parts]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        for (x, total) in inputs[0].chunks(self.stretch()).zip(outputs[0].iter_mut()) {
            *total = sum_squares(x);
        }
    }
}

impl Kernel for SumSquaresOfSeven {
    fn key(&self, _tier: Tier) -> String {
        "sum_squares_of_seven".to_owned()
    }

    fn wgsl(&self, _tier: Tier) -> String {
        concat!(include_str!("rows_gpu.wgsl"), include_str!("sum_squares_of_seven.wgsl")).to_owned()
    }

    fn workgroup_size(&self, _tier: Tier) -> [u32; 3] {
        [256, 1, 1]
    }

    fn workgroups(&self, _tier: Tier) -> [u32; 3] {
        grid(self.lens.len())
    }

    fn info(&self) -> Vec<u32> {
        info_words(&self.lens.map(|len| len as u32))
    }

    fn input_lens(&self) -> Vec<usize> {
        self.lens.to_vec()
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.lens.len()]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        for (x, total) in inputs.iter().zip(outputs[0].iter_mut()) {
            *total = sum_squares(x);
        }
    }
}

fn sum_squares(x: &[f32]) -> f32 {
    let parts = x.chunks(4096).map(|part| f64::from(sum_of(part, |x| x * x)));
    parts.sum::<f64>() as f32
}
