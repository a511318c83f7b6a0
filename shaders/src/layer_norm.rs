//! Layer normalisation (Ba, Kiros & Hinton 2016), forward and backward.

use crate::Kernel;
use crate::launch::{by_column, by_row, by_row_adding, info_words};
use crate::math::{dot, for_each_row, sum_of};

/// y = (x − mean(x)) · rsqrt(variance(x) + eps) · w + b, with the biased variance. Inputs x \[rows, width\], w \[width\],
/// b \[width\]; output y \[rows, width\].
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// Rows of x.
    pub rows: usize,
    /// Length of a row.
    pub width: usize,
    /// Added to the variance.
    pub eps: f32,
}

/// The gradient of [`LayerNorm`] for its rows: dx = r · (g − mean(g) − x̂ · mean(g·x̂)), where g = w·dy,
/// x̂ = (x − mean(x))·r and r = rsqrt(variance(x) + eps). Inputs x \[rows, width\], w \[width\], dy \[rows, width\];
/// output dx \[rows, width\].
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNormBackward {
    /// Rows of x.
    pub rows: usize,
    /// Length of a row.
    pub width: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Whether there is a last input \[rows, width\], the addend, that is added to dx.
    pub adds: bool,
}

/// The gradient of [`LayerNorm`] for its weight and bias: dw = Σ over rows of dy · x̂, db = Σ over rows of dy.
/// Inputs x, dy \[rows, width\]; outputs dw \[width\], db \[width\].
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNormWeightBackward {
    /// Rows of x.
    pub rows: usize,
    /// Length of a row.
    pub width: usize,
    /// Added to the variance.
    pub eps: f32,
}

/// The mean of one row, and rsqrt(variance + eps).
#[inline(always)]
fn mean_and_scale(x: &[f32], eps: f32) -> (f32, f32) {
    let width = x.len() as f32;
    let mean = sum_of(x, |value| value) / width;
    let variance = sum_of(x, |value| (value - mean) * (value - mean)) / width;
    (mean, 1.0 / (variance + eps).sqrt())
}

impl Kernel for LayerNorm {
    by_row!("layer_norm", |kernel| kernel.rows);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.rows as u32, self.width as u32, self.eps.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.rows * self.width, self.width, self.width]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.rows * self.width]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (x, w, b) = (inputs[0], inputs[1], inputs[2]);
        for_each_row(
            outputs[0],
            self.width,
            #[inline(always)]
            |row, y| {
                let x = &x[row * self.width..][..self.width];
                let (mean, scale) = mean_and_scale(x, self.eps);
                for (((y, &x), &w), &b) in y.iter_mut().zip(x).zip(w).zip(b) {
                    *y = (x - mean) * scale * w + b;
                }
            },
        );
    }
}

impl Kernel for LayerNormBackward {
    by_row_adding!("layer_norm_backward", |kernel| kernel.rows, 3);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.rows as u32, self.width as u32, self.eps.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        let len = self.rows * self.width;
        let mut lens = vec![len, self.width, len];
        lens.extend(self.adds.then_some(len));
        lens
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.rows * self.width]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (x, w, dy) = (inputs[0], inputs[1], inputs[2]);
        let width = self.width as f32;
        for_each_row(
            outputs[0],
            self.width,
            #[inline(always)]
            |row, dx| {
                let x = &x[row * self.width..][..self.width];
                let dy = &dy[row * self.width..][..self.width];
                let (mean, scale) = mean_and_scale(x, self.eps);
                for ((dx, &dy), &w) in dx.iter_mut().zip(dy).zip(w) {
                    *dx = w * dy;
                }
                let total_pull = sum_of(dx, |pull| pull);
                let slope = (dot(dx, x) - mean * total_pull) / width * scale * scale;
                let mean_pull = total_pull / width;
                for (dx, &x) in dx.iter_mut().zip(x) {
                    *dx = scale * (*dx - mean_pull - (x - mean) * slope);
                }
            },
        );
        if self.adds {
            for (dx, addend) in outputs[0].iter_mut().zip(inputs[3]) {
                *dx += addend;
            }
        }
    }
}

impl Kernel for LayerNormWeightBackward {
    by_column!("layer_norm_weight_backward", |kernel| kernel.width);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.rows as u32, self.width as u32, self.eps.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.rows * self.width; 2]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.width; 2]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (x, dy) = (inputs[0], inputs[1]);
        if self.width == 0 {
            return;
        }
        let mut weights = vec![0.0_f64; self.width];
        let mut biases = vec![0.0_f64; self.width];
        for (x, dy) in x.chunks_exact(self.width).zip(dy.chunks_exact(self.width)) {
            let (mean, scale) = mean_and_scale(x, self.eps);
            for (((weight, bias), &x), &dy) in weights.iter_mut().zip(&mut biases).zip(x).zip(dy) {
                *weight += f64::from(dy * (x - mean) * scale);
                *bias += f64::from(dy);
            }
        }
        for (dw, &weight) in outputs[0].iter_mut().zip(&weights) {
            *dw = weight as f32;
        }
        for (db, &bias) in outputs[1].iter_mut().zip(&biases) {
            *db = bias as f32;
        }
    }
}
