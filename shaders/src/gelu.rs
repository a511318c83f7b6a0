//! The exact GELU of BERT and its kin (Hendrycks & Gimpel 2016), forward and backward.

use crate::Kernel;
use crate::launch::{by_element, info_words};
use crate::math::{STRETCH, exp, for_each_row};

/// y = x · Φ(x), Φ(x) = (1 + erf(x/√2)) / 2 the normal distribution's function. Input x \[len\]; output y \[len\].
#[derive(Debug, Clone, PartialEq)]
pub struct Gelu {
    /// Elements.
    pub len: usize,
}

/// The gradient of [`Gelu`]: dx = dy · (Φ(x) + x · φ(x)), φ(x) = e^(−x²/2) / √(2π). Inputs x, dy \[len\]; output dx \[len\].
#[derive(Debug, Clone, PartialEq)]
pub struct GeluBackward {
    /// Elements.
    pub len: usize,
}

/// P of Φ(−|x|) = t · P(t) · e^(−x²/2), t = 1 / (1 + |x|/4); highest power first. The form is that of Abramowitz and Stegun 7.1.26;
/// the polynomial is a Chebyshev fit on 0 < t ≤ 1, within 5e-8 of the value.
const TAIL: [f32; 10] = [
    0.020_137_033,
    -0.082_339_8,
    0.098_084_74,
    -0.033_975_494,
    0.064_878_94,
    0.058_618_27,
    0.081_662_69,
    0.093_461_48,
    0.099_736_58,
    0.099_735_566,
];
/// 1/√(2π).
const PEAK: f32 = 0.398_942_3;

/// Φ(x) and e^(−x²/2).
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let t = 1.0 / (1.0 + 0.25 * x.abs());
    let bell = exp(-0.5 * x * x);
    let mut p = TAIL[0];
    for &coefficient in &TAIL[1..] {
        p = p * t + coefficient;
    }
    let tail = t * p * bell;
    (if x < 0.0 { tail } else { 1.0 - tail }, bell)
}

impl Kernel for Gelu {
    by_element!("gelu", |kernel| kernel.len, "normal");

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
                    *y = x * normal(x).0;
                }
            },
        );
    }
}

impl Kernel for GeluBackward {
    by_element!("gelu_backward", |kernel| kernel.len, "normal");

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
                    let (share, bell) = normal(x);
                    *dx = dy * (share + x * bell * PEAK);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::normal;

    /// Φ by its series Φ(x) = 1/2 + φ(x) · (x + x³/3 + x⁵/(3·5) + …), in f64.
    fn series(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= x * x / f64::from(2 * n + 1);
            sum += term;
        }
        0.5 + sum * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }

    #[test]
    fn the_normal_distribution_agrees_with_its_series() {
        for step in -600..=600 {
            let x = step as f32 * 0.01;
            let (found, wanted) = (f64::from(normal(x).0), series(f64::from(x)));
            assert!((found - wanted).abs() < 2e-7, "Φ({x}) = {found}, not {wanted}");
        }
        assert_eq!(normal(300.0).0, 1.0);
        assert_eq!(normal(-300.0).0, 0.0);
    }
}
