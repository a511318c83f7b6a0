//! Root-mean-square normalisation (Zhang & Sennrich 2019), forward and backward.

use crate::Kernel;
use crate::launch::{by_column, by_row, by_row_adding, info_words};
use crate::math::{dot, for_each_row, sum_of};

/// y = x · rsqrt(mean(x²) + eps) · w. Inputs x \[rows, width\], w \[width\]; output y \[rows, width\].
#[derive(Debug, Clone, PartialEq)]
pub struct RmsNorm {
    /// Rows of x.
    pub rows: usize,
    /// Length of a row.
    pub width: usize,
    /// Added to the mean square.
    pub eps: f32,
}

/// The gradient of [`RmsNorm`] for its rows: dx = r · (w·dy − x · r² · mean(x·w·dy)), r = rsqrt(mean(x²) + eps).
/// Inputs x \[rows, width\], w \[width\], dy \[rows, width\]; output dx \[rows, width\].
#[derive(Debug, Clone, PartialEq)]
pub struct RmsNormBackward {
    /// Rows of x.
    pub rows: usize,
    /// Length of a row.
    pub width: usize,
    /// Added to the mean square.
    pub eps: f32,
    /// Whether there is a last input \[rows, width\], the addend, that is added to dx.
    pub adds: bool,
}

/// The gradient of [`RmsNorm`] for its weight: dw = Σ over rows of dy · x · rsqrt(mean(x²) + eps).
/// Inputs x, dy \[rows, width\]; output dw \[width\].
#[derive(Debug, Clone, PartialEq)]
pub struct RmsNormWeightBackward {
    /// Rows of x.
    pub rows: usize,
    /// Length of a row.
    pub width: usize,
    /// Added to the mean square.
    pub eps: f32,
}

/// rsqrt(mean(x²) + eps) of one row.
#[inline(always)]
fn scale_of(x: &[f32], eps: f32) -> f32 {
    1.0 / (sum_of(x, |value| value * value) / x.len() as f32 + eps).sqrt()
}

impl Kernel for RmsNorm {
    by_row!("rms_norm", |kernel| kernel.rows);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.rows as u32, self.width as u32, self.eps.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.rows * self.width, self.width]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.rows * self.width]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (x, w) = (inputs[0], inputs[1]);
        for_each_row(
            outputs[0],
            self.width,
            #[inline(always)]
            |row, y| {
                let x = &x[row * self.width..][..self.width];
                let scale = scale_of(x, self.eps);
                for ((y, &x), &w) in y.iter_mut().zip(x).zip(w) {
                    *y = x * scale * w;
                }
            },
        );
    }
}

impl Kernel for RmsNormBackward {
    by_row_adding!("rms_norm_backward", |kernel| kernel.rows, 3);

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
        for_each_row(
            outputs[0],
            self.width,
            #[inline(always)]
            |row, dx| {
                let x = &x[row * self.width..][..self.width];
                let dy = &dy[row * self.width..][..self.width];
                let scale = scale_of(x, self.eps);
                for ((dx, &dy), &w) in dx.iter_mut().zip(dy).zip(w) {
                    *dx = w * dy;
                }
                let pull = dot(x, dx) / self.width as f32 * scale * scale;
                for (dx, &x) in dx.iter_mut().zip(x) {
                    *dx = scale * (*dx - x * pull);
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

impl Kernel for RmsNormWeightBackward {
    by_column!("rms_norm_weight_backward", |kernel| kernel.width);

    fn info(&self) -> Vec<u32> {
        info_words(&[self.rows as u32, self.width as u32, self.eps.to_bits()])
    }

    fn input_lens(&self) -> Vec<usize> {
        vec![self.rows * self.width; 2]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.width]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (x, dy) = (inputs[0], inputs[1]);
        if self.width == 0 {
            return;
        }
        let mut total = vec![0.0_f64; self.width];
        for (x, dy) in x.chunks_exact(self.width).zip(dy.chunks_exact(self.width)) {
            let scale = scale_of(x, self.eps);
            for ((total, &x), &dy) in total.iter_mut().zip(x).zip(dy) {
                *total += f64::from(dy * x * scale);
            }
        }
        for (dw, &total) in outputs[0].iter_mut().zip(&total) {
            *dw = total as f32;
        }
    }
}
