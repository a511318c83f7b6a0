//! Low-rank adapters: two small trained matrices beside a frozen linear or embedding, and perhaps its rows' lengths.
//!
//! y = x·Wᵀ + s·(drop(x)·Aᵀ)·Bᵀ with A \[R, in\], B \[out, R\] and s = alpha/R (alpha/√R with rsLoRA); Hu et al. 2021,
//! arXiv 2106.09685, in PEFT's names, shapes and initial values. W is never composed with the product.
//!
//! With DoRA (Liu et al. 2024, arXiv 2402.09353) each output has a trained magnitude m, and y = m/‖W + s·B·A‖ ⊙ (x·(W + s·B·A)ᵀ)
//! + bias. The norms of the rows are constants in the backward pass (section 4.3), and no composed W is made for them either:
//! ‖wᵢ + s·bᵢ·A‖² = ‖wᵢ‖² + 2s·bᵢ·(A·wᵢ) + s²·bᵢ·(A·Aᵀ)·bᵢᵀ, of which ‖wᵢ‖² is known since the adapter was put on, and A·Wᵀ is a
//! product of R rows with the matrix as it is stored.

use crate::{
    error::Result,
    formats::peft::{AdapterConfig, scaling},
    models::{Leaves, Linear, Matrix, Parameter, Parameters, Pass},
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
    magnitude: Option<Magnitude>,
}

/// DoRA's part of an adapter.
#[derive(Debug, Clone)]
struct Magnitude {
    /// m \[out\] among the parameters.
    number: usize,
    /// ‖wᵢ‖² of the base \[out\].
    squares: Tensor<1>,
}

/// What of the base an adapter is put on.
pub(crate) struct Place<'a> {
    /// The module's path.
    pub(crate) path: &'a str,
    pub(crate) weight: &'a Matrix,
    /// Stored \[in, out\].
    pub(crate) transposed: bool,
    /// An embedding, whose inputs are tokens.
    pub(crate) is_table: bool,
}

impl Lora {
    /// On a linear: A uniform in ±1/√in (Kaiming with a = √5, as PEFT), B zero. On an embedding: A zero, B normal. m the norms
    /// of W. So the model starts unchanged.
    pub(crate) fn fresh(
        place: Place<'_>,
        config: &AdapterConfig,
        generator: &mut Generator,
        parameters: &mut Parameters,
        device: &Device,
    ) -> Result<Self> {
        let Place {
            path,
            weight,
            transposed,
            is_table,
        } = place;
        let (inputs, outputs) = match transposed {
            true => (weight.rows, weight.columns),
            false => (weight.columns, weight.rows),
        };
        let rank = config.rank_of(path)?;
        let mut push = |part: &str, shape: &[usize], value: Tensor<1>| {
            parameters.push(Parameter {
                name: format!("base_model.model.{path}.{part}"),
                shape: shape.to_vec(),
                decay: true,
                value,
            })
        };
        let numbers = |values: Vec<f32>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        };
        let zeros = |count: usize| numbers(vec![0.0; count]);
        let (a_shape, b_shape) = ([rank, inputs], [outputs, rank]);
        let (a, b) = if is_table {
            let b_values = (0..outputs * rank).map(|_| generator.normal() as f32).collect();
            (
                push("lora_embedding_A", &a_shape, zeros(rank * inputs)),
                push("lora_embedding_B", &b_shape, numbers(b_values)),
            )
        } else {
            let bound = (inputs as f64).sqrt().recip();
            let a_values = (0..rank * inputs)
                .map(|_| ((generator.uniform() * 2.0 - 1.0) * bound) as f32)
                .collect();
            (
                push("lora_A.weight", &a_shape, numbers(a_values)),
                push("lora_B.weight", &b_shape, zeros(outputs * rank)),
            )
        };
        let magnitude = config.use_dora.then(|| {
            let squares = weight.squares(transposed, &Leaves::default());
            let number = push("lora_magnitude_vector", &[outputs], squares.clone().sqrt());
            Magnitude { number, squares }
        });
        Ok(Self {
            a,
            b,
            rank,
            inputs,
            outputs,
            scale: scaling(rank, config.alpha_of(path)?, config.use_rslora) as f32,
            // Tokens are not dropped.
            dropout: if is_table { 0.0 } else { config.lora_dropout as f32 },
            magnitude,
        })
    }

    /// The linear's and the adapter's y \[n, out\] of x \[n, in\]; `bias` is the linear's.
    pub(crate) fn forward(&self, x: Tensor<2>, linear: &Linear, bias: Option<Tensor<1>>, pass: &Pass) -> Tensor<2> {
        let base = |x: Tensor<2>, bias| linear.weight.multiply(x, bias, linear.transposed, pass.leaves);
        let (a, b, form) = (self.a(pass.leaves), self.b(pass.leaves), self.form(pass));
        let Some(magnitude) = &self.magnitude else {
            return ops::lora(base(x.clone(), bias), x, a, b, form);
        };
        let gain = self.gain(magnitude, &linear.weight, linear.transposed, pass.leaves);
        if form.dropout == 0.0 {
            let y = ops::lora(base(x.clone(), None), x, a, b, form) * gain;
            return match bias {
                None => y,
                Some(bias) => y + bias.unsqueeze(),
            };
        }
        // As PEFT has it: what the adapter adds to the linear, (gain − 1)·W included, sees the dropped input.
        let kept = ops::dropout(x.clone(), form.dropout, form.seed);
        let adapted = ops::lora(
            base(kept.clone(), None),
            kept.clone(),
            a,
            b,
            LoraForm { dropout: 0.0, ..form },
        );
        base(x - kept, bias) + adapted * gain
    }

    /// The rows of W + s·(B·A)ᵀ, each output times its gain, that `ids` \[n\] name → \[n, out\]; `table` is W \[in, out\].
    pub(crate) fn gather(&self, ids: Tensor<1>, table: &Matrix, pass: &Pass) -> Tensor<2> {
        let rows = table.gather(ids.clone(), pass.leaves);
        let a = ops::embedding(ids, self.a(pass.leaves).transpose());
        let adapted = rows + ops::linear(a, self.b(pass.leaves), None, false) * self.scale;
        match &self.magnitude {
            None => adapted,
            Some(magnitude) => adapted * self.gain(magnitude, table, true, pass.leaves),
        }
    }

    fn a(&self, leaves: &Leaves) -> Tensor<2> {
        leaves.get(self.a).reshape([self.rank, self.inputs])
    }

    fn b(&self, leaves: &Leaves) -> Tensor<2> {
        leaves.get(self.b).reshape([self.outputs, self.rank])
    }

    fn form(&self, pass: &Pass) -> LoraForm {
        let (dropout, seed) = match pass.dropout_seed {
            None => (0.0, 0),
            // Each adapter drops other inputs: its number is mixed into the micro-batch's seed.
            Some(seed) => (self.dropout, mix(seed, self.a as u64)),
        };
        LoraForm {
            scale: self.scale,
            dropout,
            seed,
        }
    }

    /// m / ‖W + s·B·A‖ of each output → \[1, out\].
    fn gain(&self, magnitude: &Magnitude, weight: &Matrix, transposed: bool, leaves: &Leaves) -> Tensor<2> {
        // All passes of a step see the same weights, and so do all tokens of a text that is written.
        let norm = leaves.keep(magnitude.number, || {
            let (a, b) = (self.a(leaves).inner(), self.b(leaves).inner());
            let across = weight.multiply(a.clone(), None, transposed, leaves);
            let cross = (b.clone() * across.transpose()).sum_dim(1);
            let gram = ops::linear(a.clone(), a, None, false);
            let own = (ops::linear(b.clone(), gram, None, false) * b).sum_dim(1);
            let product = cross * (2.0 * self.scale) + own * (self.scale * self.scale);
            let squares = magnitude.squares.clone() + product.reshape([self.outputs]);
            // A row of zeros has a magnitude of 0 too.
            squares.clamp_min(f32::MIN_POSITIVE).sqrt()
        });
        (leaves.get(magnitude.number) / norm).reshape([1, self.outputs])
    }
}

/// A step of SplitMix64 (Steele et al. 2014): neighbouring inputs give unrelated outputs.
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
