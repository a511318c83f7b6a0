//! Low-rank adapters: two small trained matrices beside a frozen linear.
//!
//! y = x·Wᵀ + s·(drop(x)·Aᵀ)·Bᵀ with A \[R, in\], B \[out, R\] and s = alpha/R (alpha/√R with rsLoRA); Hu et al. 2021,
//! arXiv 2106.09685, in PEFT's names, shapes and initial values. W is never composed with the product.

use crate::{
    error::Result,
    formats::peft::{AdapterConfig, scaling},
    models::{Linear, Parameter, Parameters, Pass},
    ops::{self, LoraForm},
    random::Generator,
};
use burn::tensor::{Device, Tensor, TensorData};

/// One adapter: where its matrices stand among the parameters, and how it is scaled.
#[derive(Debug, Clone)]
pub(crate) struct Lora {
    a: usize,
    b: usize,
    rank: usize,
    inputs: usize,
    outputs: usize,
    scale: f32,
    dropout: f32,
}

impl Lora {
    /// A uniform in ±1/√in (Kaiming with a = √5, as PEFT), B zero: the model starts unchanged.
    pub(crate) fn fresh(
        linear: &Linear,
        config: &AdapterConfig,
        generator: &mut Generator,
        parameters: &mut Parameters,
        device: &Device,
    ) -> Result<Self> {
        let (inputs, outputs) = (linear.inputs, linear.outputs);
        let rank = config.rank_of(&linear.path)?;
        let bound = (inputs as f64).sqrt().recip();
        let a_values = (0..rank * inputs)
            .map(|_| ((generator.uniform() * 2.0 - 1.0) * bound) as f32)
            .collect();
        let mut push = |part: &str, shape: [usize; 2], values: Vec<f32>| {
            let value = Tensor::from_data(TensorData::new(values, [shape[0] * shape[1]]), device);
            let name = format!("base_model.model.{}.{part}.weight", linear.path);
            parameters.push(Parameter {
                name,
                shape: shape.to_vec(),
                decay: true,
                value,
            })
        };
        let a = push("lora_A", [rank, inputs], a_values);
        let b = push("lora_B", [outputs, rank], vec![0.0; outputs * rank]);
        let scale = scaling(rank, config.alpha_of(&linear.path)?, config.use_rslora) as f32;
        Ok(Self {
            a,
            b,
            rank,
            inputs,
            outputs,
            scale,
            dropout: config.lora_dropout as f32,
        })
    }

    /// The base's y \[n, out\] plus the adapter's part of x \[n, in\].
    pub(crate) fn forward(&self, y: Tensor<2>, x: Tensor<2>, pass: &Pass) -> Tensor<2> {
        let a = pass.leaves.get(self.a).reshape([self.rank, self.inputs]);
        let b = pass.leaves.get(self.b).reshape([self.outputs, self.rank]);
        let form = match pass.dropout_seed {
            None => LoraForm {
                scale: self.scale,
                dropout: 0.0,
                seed: 0,
            },
            // Each adapter drops other inputs: its number is mixed into the micro-batch's seed.
            Some(seed) => LoraForm {
                scale: self.scale,
                dropout: self.dropout,
                seed: mix(seed, self.a as u64),
            },
        };
        ops::lora(y, x, a, b, form)
    }
}

/// A step of SplitMix64 (Steele et al. 2014): neighbouring inputs give unrelated outputs.
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
