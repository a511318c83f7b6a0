//! AdamW over a model's trainable tensors, and the gradients that one step gathers for it.
//!
//! Loshchilov and Hutter 2019 (arXiv 1711.05101), as `torch.optim.AdamW` computes it; the norm is global over all gradients,
//! as `torch.nn.utils.clip_grad_norm_` takes it. Which tensors decay is the model's knowledge ([`Parameter::decay`]).
//!
//! [`Parameter::decay`]: crate::models::Parameter::decay

use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::models::{Leaves, Parameters, read};
use crate::ops::{self, AdamWStep};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

/// The sums of the gradients of a step's micro-batches, one a trainable tensor; `None` where nothing depended on it.
pub struct GradientSum(Vec<Option<Tensor<1>>>);

impl GradientSum {
    /// Nothing gathered yet for `parameters` tensors.
    pub fn new(parameters: usize) -> Self {
        Self((0..parameters).map(|_| None).collect())
    }

    /// Adds the gradients that a backward pass left at `leaves`.
    pub fn add(&mut self, leaves: &Leaves, gradients: &Gradients) {
        for (i, sum) in self.0.iter_mut().enumerate() {
            if let Some(gradient) = leaves.grad(i, gradients) {
                *sum = Some(match sum.take() {
                    Some(sum) => sum + gradient,
                    None => gradient,
                });
            }
        }
    }

    /// Σ g² of each gathered tensor, each \[1\], left on the device so that one read fetches them all.
    pub fn sums_of_squares(&self) -> Vec<Tensor<1>> {
        self.0
            .iter()
            .flatten()
            .map(|gradient| ops::sum_squares(gradient.clone()))
            .collect()
    }
}

/// min(1, max_norm / (norm + 1e-6)); 1 where `max_norm` is 0, which does not clip.
pub fn clip_scale(norm: f64, max_norm: f64) -> f64 {
    if max_norm > 0.0 {
        (max_norm / (norm + 1e-6)).min(1.0)
    } else {
        1.0
    }
}

/// AdamW's two moments of every trainable tensor, and how many steps they have seen.
pub struct AdamW {
    beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
    steps: usize,
    moments: Vec<Moments>,
}

/// The moments of one trainable tensor, flat.
struct Moments {
    m: Tensor<1>,
    v: Tensor<1>,
}

impl AdamW {
    /// Moments of zero for `parameters`, with the run's β, ε and decay.
    pub fn new(parameters: &Parameters, config: &RunConfig) -> Self {
        let zeros = |tensor: &Tensor<1>| Tensor::zeros(tensor.dims(), &tensor.device());
        let moments = parameters.iter().map(|p| Moments {
            m: zeros(&p.value),
            v: zeros(&p.value),
        });
        Self {
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            eps: config.adam_epsilon,
            weight_decay: config.weight_decay,
            steps: 0,
            moments: moments.collect(),
        }
    }

    /// One step at the rate `lr` with the gradients times `gradient_scale` (the clipping):
    /// p ← p·(1 − lr·λ); m, v ← their moving averages; p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε), t from 1.
    ///
    /// A tensor without a gradient stays as it is, decay included.
    pub fn step(&mut self, parameters: &mut Parameters, gradients: GradientSum, lr: f64, gradient_scale: f64) {
        self.steps += 1;
        let t = self.steps as f64;
        for (i, gradient) in gradients.0.into_iter().enumerate() {
            let (Some(gradient), Some(parameter)) = (gradient, parameters.iter().nth(i)) else {
                continue;
            };
            let step = AdamWStep {
                lr,
                beta1: self.beta1,
                beta2: self.beta2,
                eps: self.eps,
                weight_decay: if parameter.decay { self.weight_decay } else { 0.0 },
                bias_correction1: 1.0 - self.beta1.powf(t),
                bias_correction2: 1.0 - self.beta2.powf(t),
                grad_scale: gradient_scale,
            };
            let Moments { m, v } = &self.moments[i];
            let (p, m, v) = ops::adamw(parameter.value.clone(), gradient, m.clone(), v.clone(), step);
            parameters.set(i, p);
            self.moments[i] = Moments { m, v };
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Reads the moments back: (m, v) of each trainable tensor, in the parameters' order.
    ///
    /// # Errors
    /// A lost device.
    pub async fn moments(&self) -> Result<Vec<(Vec<f32>, Vec<f32>)>> {
        let mut all = Vec::with_capacity(self.moments.len());
        for Moments { m, v } in &self.moments {
            all.push((read(m.clone()).await?, read(v.clone()).await?));
        }
        Ok(all)
    }

    /// Takes up moments that [`AdamW::moments`] gave after `steps` steps.
    ///
    /// # Errors
    /// Moments of another model: their number or a length differs.
    pub fn restore(&mut self, steps: usize, moments: Vec<(Vec<f32>, Vec<f32>)>, device: &Device) -> Result<()> {
        let lengths = moments.iter().map(|(m, v)| (m.len(), v.len()));
        if !lengths.eq(self.moments.iter().map(|own| (own.m.dims()[0], own.v.dims()[0]))) {
            return Err(
                Error::format("the optimizer's state belongs to another model or adapter")
                    .remedy("Resume with the run file that wrote the checkpoint."),
            );
        }
        let tensor = |values: Vec<f32>| {
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), device)
        };
        self.steps = steps;
        self.moments = moments
            .into_iter()
            .map(|(m, v)| Moments {
                m: tensor(m),
                v: tensor(v),
            })
            .collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_leaves_small_gradients_alone() {
        assert_eq!(clip_scale(0.5, 1.0), 1.0);
        assert_eq!(clip_scale(100.0, 0.0), 1.0, "0 does not clip");
        assert!((clip_scale(4.0, 1.0) - 1.0 / 4.000001).abs() < 1e-15);
    }
}
