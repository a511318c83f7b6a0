//! Low-rank adapters: two small trained matrices beside a frozen linear or embedding, and with DoRA a magnitude for each
//! output.
//!
//! y = x·Wᵀ + s·(drop(x)·Aᵀ)·Bᵀ with A \[R, in\], B \[out, R\] and s = alpha/R (alpha/√R with rsLoRA); Hu et al. 2021,
//! arXiv 2106.09685, in PEFT's names, shapes and initial values. W is never composed with the product. Outside of training the
//! product can be weighed by a strength k ([`Leaves`]), which is 1 unless somebody tries another.
//!
//! With DoRA (Liu et al. 2024, arXiv 2402.09353) each output has a trained magnitude m, and with V = W + s·B·A it is
//! y = m/‖V‖ ⊙ (x·Vᵀ) + bias. The norms of V's rows are constants in the backward pass (section 4.3), and no composed W is made
//! for them either: ‖wᵢ + s·bᵢ·A‖² = ‖wᵢ‖² + 2s·bᵢ·(A·wᵢ) + s²·bᵢ·(A·Aᵀ)·bᵢᵀ, of which ‖wᵢ‖² is known since the adapter was put
//! on, and A·Wᵀ is a product of R rows with the matrix as it is stored.

use crate::{
    error::Result,
    formats::peft::{AdapterConfig, ChosenModule},
    models::{Leaves, Linear, LowRank, Matrix, Parameter, Parameters, Pass, embedding::Embedding, read},
    ops::{self, AdaptedForm, AdaptedLinear, Addend, LoraForm},
    random::{Generator, mix},
};
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::OnceLock;

/// One adapter: the numbers of its matrices among the parameters, and its scale.
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
    /// ‖W‖² of the base, which stays as it is while the adapter is on it, once it was asked for.
    weight_squares: OnceLock<f64>,
}

/// DoRA's part of an adapter.
#[derive(Debug, Clone)]
struct Magnitude {
    /// m \[out\] among the parameters.
    number: usize,
    /// ‖wᵢ‖² of the base \[out\].
    squares: Tensor<1>,
}

/// The module of the base that an adapter is attached to.
pub(crate) struct Place<'a> {
    /// The module's path.
    pub(crate) path: &'a str,
    pub(crate) weight: &'a Matrix,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Stored \[in, out\].
    pub(crate) transposed: bool,
    /// An embedding, whose inputs are tokens.
    pub(crate) is_table: bool,
}

impl<'a> From<&'a Linear> for Place<'a> {
    fn from(linear: &'a Linear) -> Self {
        Self {
            path: &linear.path,
            weight: &linear.weight,
            inputs: linear.inputs,
            outputs: linear.outputs,
            transposed: linear.transposed,
            is_table: false,
        }
    }
}

impl<'a> From<&'a Embedding> for Place<'a> {
    fn from(table: &'a Embedding) -> Self {
        Self {
            path: &table.path,
            weight: &table.matrix,
            inputs: table.matrix.rows,
            outputs: table.matrix.columns,
            transposed: true,
            is_table: true,
        }
    }
}

impl Lora {
    /// On a linear: A uniform in ±1/√in (Kaiming with a = √5, as PEFT), B zero. On an embedding: A zero, B normal. m the norms
    /// of W. So the model starts unchanged.
    pub(crate) fn fresh(
        place: Place<'_>,
        chosen: &ChosenModule,
        config: &AdapterConfig,
        generator: &mut Generator,
        parameters: &mut Parameters,
        device: &Device,
    ) -> Result<Self> {
        let Place {
            path,
            weight,
            inputs,
            outputs,
            transposed,
            is_table,
        } = place;
        let rank = chosen.r;
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
            scale: chosen.scaling as f32,
            // No dropout on tokens.
            dropout: if is_table { 0.0 } else { config.lora_dropout as f32 },
            magnitude,
            weight_squares: OnceLock::new(),
        })
    }

    /// The linear's and the adapter's y \[n, out\] of x \[n, in\], plus the `addend`: the linear's bias, or, where it has none, rows
    /// that y is added to.
    pub(crate) fn forward(&self, x: Tensor<2>, linear: &Linear, addend: Addend, pass: &Pass) -> Tensor<2> {
        let (weight, transposed) = (&linear.weight, linear.transposed);
        let (matrices, form) = ([self.a(pass.leaves), self.b(pass.leaves)], self.form(pass));
        let adapted = |x, addend, form| weight.multiply_adapted(x, addend, transposed, pass.leaves, matrices, form);
        let Some(magnitude) = &self.magnitude else {
            return adapted(x, addend, form);
        };
        let gain = self.gain(magnitude, weight, transposed, pass.leaves);
        if form.dropout == 0.0 {
            let y = adapted(x, Addend::None, form) * gain;
            return match addend {
                Addend::None => y,
                Addend::Bias(bias) => y + bias.unsqueeze(),
                Addend::Rows(rows) => ops::add(rows, y),
            };
        }
        // As PEFT has it: what the adapter adds to the linear, (gain − 1)·W included, sees the dropped input.
        let kept = ops::dropout(x.clone(), form.dropout, form.seed);
        let (bias, rows) = match addend {
            Addend::None => (None, None),
            Addend::Bias(bias) => (Some(bias), None),
            Addend::Rows(rows) => (None, Some(rows)),
        };
        let rest = weight.multiply(x - kept.clone(), bias, transposed, pass.leaves);
        let y = rest + adapted(kept, Addend::None, LoraForm { dropout: 0.0, ..form }) * gain;
        match rows {
            None => y,
            Some(rows) => ops::add(rows, y),
        }
    }

    /// The linear and the adapter for products with others that read the same rows: where nothing is dropped, no output has a
    /// magnitude, and the base is frozen and lies in one buffer.
    pub(crate) fn beside(&self, linear: &Linear, bias: Option<Tensor<1>>, pass: &Pass) -> Option<AdaptedLinear> {
        let lora = self.form(pass);
        if lora.dropout > 0.0 || self.magnitude.is_some() {
            return None;
        }
        let (w, base) = linear.weight.in_one(linear.transposed, pass.leaves)?;
        let matrices = [self.a(pass.leaves), self.b(pass.leaves)];
        let form = AdaptedForm { base, lora };
        Some(AdaptedLinear {
            w,
            bias,
            matrices,
            form,
        })
    }

    /// The rows of W + s·(B·A)ᵀ, each output times its gain, that `ids` \[n\] name → \[n, out\]; `table` is W \[in, out\].
    pub(crate) fn gather(&self, ids: Tensor<1>, table: &Matrix, pass: &Pass) -> Tensor<2> {
        let rows = table.gather(ids.clone(), pass.leaves);
        let a = ops::embedding(ids, self.a(pass.leaves).transpose());
        let adapted = rows + ops::linear(a, self.b(pass.leaves), None, false) * self.scale(pass.leaves);
        match &self.magnitude {
            None => adapted,
            Some(magnitude) => adapted * self.gain(magnitude, table, true, pass.leaves),
        }
    }

    /// A \[R, in\] and B \[out, R\] on the host, with the scale of their product.
    ///
    /// # Errors
    /// The device failed.
    pub(super) async fn read(&self, parameters: &Parameters) -> Result<LowRank> {
        let [a, b] = self.matrices(parameters);
        Ok(self.low_rank(read(a).await?, read(b).await?))
    }

    /// The numbers, among the parameters, of A, B and DoRA's magnitude.
    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> {
        let magnitude = self.magnitude.as_ref().map(|magnitude| magnitude.number);
        [self.a, self.b].into_iter().chain(magnitude)
    }

    /// The numbers of A and of B on the device.
    pub(super) fn matrices(&self, parameters: &Parameters) -> [Tensor<1>; 2] {
        [self.a, self.b].map(|number| parameters.all[number].value.clone())
    }

    /// These numbers as its matrices, with the scale of their product.
    pub(super) fn low_rank(&self, a: Vec<f32>, b: Vec<f32>) -> LowRank {
        LowRank {
            a,
            b,
            rank: self.rank,
            inputs: self.inputs,
            outputs: self.outputs,
            scale: f64::from(self.scale),
        }
    }

    /// ‖W‖² of the base, where it was asked for before.
    pub(super) fn weight_squares(&self) -> &OnceLock<f64> {
        &self.weight_squares
    }

    fn a(&self, leaves: &Leaves) -> Tensor<2> {
        leaves.get(self.a).reshape([self.rank, self.inputs])
    }

    fn b(&self, leaves: &Leaves) -> Tensor<2> {
        leaves.get(self.b).reshape([self.outputs, self.rank])
    }

    /// k·s.
    fn scale(&self, leaves: &Leaves) -> f32 {
        leaves.strength() * self.scale
    }

    fn form(&self, pass: &Pass) -> LoraForm {
        let (dropout, seed) = match pass.dropout_seed {
            None => (0.0, 0),
            // Each adapter has its own mask: its number is mixed into the micro-batch's seed.
            Some(seed) => (self.dropout, mix(seed, self.a as u64)),
        };
        LoraForm {
            scale: self.scale(pass.leaves),
            dropout,
            seed,
        }
    }

    /// m / ‖W + s·B·A‖ of each output → \[1, out\]. At the strength k it goes from 1, as the base has it, over this to as far
    /// beyond.
    fn gain(&self, magnitude: &Magnitude, weight: &Matrix, transposed: bool, leaves: &Leaves) -> Tensor<2> {
        let (scale, strength) = (self.scale(leaves), leaves.strength());
        // The weights are the same in all passes of a step and for all tokens of a generated text.
        let norm = leaves.keep(magnitude.number, || {
            let (a, b) = (self.a(leaves).inner(), self.b(leaves).inner());
            let across = weight.multiply(a.clone(), None, transposed, leaves);
            let cross = (b.clone() * across.transpose()).sum_dim(1);
            let gram = ops::linear(a.clone(), a, None, false);
            let own = (ops::linear(b.clone(), gram, None, false) * b).sum_dim(1);
            let product = cross * (2.0 * scale) + own * (scale * scale);
            let squares = magnitude.squares.clone() + product.reshape([self.outputs]);
            // A row of zeros has a magnitude of 0 too.
            squares.clamp_min(f32::MIN_POSITIVE).sqrt()
        });
        let gain = (leaves.get(magnitude.number) / norm).reshape([1, self.outputs]);
        if strength == 1.0 {
            gain
        } else {
            (gain - 1.0) * strength + 1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::TargetModules,
        formats::{Storage, peft::chosen_modules},
        models::{Stored, Weight},
        ops::PackedMatrix,
        quant::packing,
    };

    const ROWS: usize = 3;
    const INPUTS: usize = 5;
    const OUTPUTS: usize = 7;
    const RANK: usize = 2;
    const SCALE: f64 = 1.5;

    /// The formula of an adapter and its gradients, in f64.
    #[derive(Clone)]
    struct Numbers {
        x: Vec<f64>,
        a: Vec<f64>,
        b: Vec<f64>,
        m: Vec<f64>,
    }

    impl Numbers {
        fn fields(&mut self) -> [(&'static str, &mut Vec<f64>); 4] {
            let Self { x, a, b, m } = self;
            [("x", x), ("A", a), ("B", b), ("m", m)]
        }

        /// ‖wᵢ + s·bᵢ·A‖, by definition.
        fn norms(&self, w: &[f64]) -> Vec<f64> {
            let whole = |i: usize, j: usize| {
                let product: f64 = (0..RANK).map(|r| self.b[i * RANK + r] * self.a[r * INPUTS + j]).sum();
                w[i * INPUTS + j] + SCALE * product
            };
            let square = |i: usize| (0..INPUTS).map(|j| whole(i, j).powi(2)).sum::<f64>();
            (0..OUTPUTS).map(|i| square(i).sqrt()).collect()
        }

        /// W(x − d) + bias + m/norm ⊙ (W·d + s·B·A·d), d = x ⊙ mask.
        fn forward(&self, w: &[f64], bias: &[f64], norms: &[f64], mask: &[f64]) -> Vec<f64> {
            let cell = |n: usize, i: usize| {
                let at = |j: usize| (self.x[n * INPUTS + j], self.x[n * INPUTS + j] * mask[n * INPUTS + j]);
                let product = |i: usize, j: usize| w[i * INPUTS + j] * at(j).1;
                let kept: f64 = (0..INPUTS).map(|j| product(i, j)).sum();
                let rest: f64 = (0..INPUTS).map(|j| w[i * INPUTS + j] * (at(j).0 - at(j).1)).sum();
                let low: f64 = (0..RANK)
                    .map(|r| self.b[i * RANK + r] * (0..INPUTS).map(|j| self.a[r * INPUTS + j] * at(j).1).sum::<f64>())
                    .sum();
                rest + bias[i] + self.m[i] / norms[i] * (kept + SCALE * low)
            };
            (0..ROWS * OUTPUTS).map(|k| cell(k / OUTPUTS, k % OUTPUTS)).collect()
        }
    }

    fn tensor(values: &[f64], device: &Device) -> Tensor<1> {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), device)
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        let values = tensor.into_data().try_into_vec::<f32>().expect("f32");
        values.into_iter().map(f64::from).collect()
    }

    /// W as a linear may hold it: dense, transposed, packed in 16 bits.
    fn linears(w: &[f64], device: &Device) -> Vec<Linear> {
        let transposed: Vec<f64> = (0..INPUTS * OUTPUTS)
            .map(|k| w[k % OUTPUTS * INPUTS + k / OUTPUTS])
            .collect();
        let bytes: Vec<u8> = w
            .iter()
            .flat_map(|&v| ((v as f32).to_bits() >> 16).to_le_bytes()[..2].to_vec())
            .collect();
        let mut packed = PackedMatrix::new(INPUTS);
        packed.push(
            packing::stored(Storage::BF16, OUTPUTS, INPUTS, &bytes).expect("whole rows"),
            device,
        );
        let dense = |w: &[f64]| Stored::Dense(Weight::Frozen(Box::new(tensor(w, device))));
        let forms = [
            (dense(w), false),
            (dense(&transposed), true),
            (
                Stored::Packed {
                    matrix: packed.clone(),
                    flipped: false,
                },
                false,
            ),
            (
                Stored::Packed {
                    matrix: packed,
                    flipped: true,
                },
                true,
            ),
        ];
        let linear = |(stored, transposed)| Linear {
            path: "q".into(),
            inputs: INPUTS,
            outputs: OUTPUTS,
            transposed,
            weight: Matrix {
                rows: if transposed { INPUTS } else { OUTPUTS },
                columns: if transposed { OUTPUTS } else { INPUTS },
                stored,
            },
            bias: None,
            lora: None,
            whole: None,
        };
        forms.into_iter().map(linear).collect()
    }

    #[test]
    fn an_adapter_with_magnitudes_is_the_formula_and_its_gradients_are_the_finite_differences() {
        let device = Device::flex();
        let mut generator = Generator::new(5, "dora");
        let mut draw = |count: usize| -> Vec<f64> { (0..count).map(|_| generator.normal()).collect() };
        // Sixteen bits hold these exactly.
        let w: Vec<f64> = draw(INPUTS * OUTPUTS)
            .iter()
            .map(|&v| f64::from(f32::from_bits((v as f32).to_bits() & 0xffff_0000)))
            .collect();
        let (bias, weights) = (draw(OUTPUTS), draw(ROWS * OUTPUTS));
        let numbers = Numbers {
            x: draw(ROWS * INPUTS),
            a: draw(RANK * INPUTS),
            b: draw(OUTPUTS * RANK),
            m: draw(OUTPUTS),
        };
        let config = AdapterConfig {
            r: RANK,
            lora_alpha: SCALE * RANK as f64,
            use_dora: true,
            target_modules: TargetModules::Names(vec!["q".into()]),
            ..AdapterConfig::default()
        };
        for dropout in [0.0, 0.4] {
            let config = AdapterConfig {
                lora_dropout: dropout,
                ..config.clone()
            };
            for linear in linears(&w, &device) {
                let mut parameters = Parameters::default();
                let chosen = chosen_modules(&[&linear.path], &config).expect("it is chosen");
                let (config, mut generator) = (&config, Generator::new(1, "init"));
                let lora = Lora::fresh(
                    (&linear).into(),
                    &chosen[0],
                    config,
                    &mut generator,
                    &mut parameters,
                    &device,
                )
                .expect("an adapter");
                let plain = parameters.plain();
                let x = tensor(&numbers.x, &device).reshape([ROWS, INPUTS]);
                let pass = Pass {
                    leaves: &plain,
                    use_adapter: true,
                    dropout_seed: None,
                };
                let found = values(lora.forward(x.clone(), &linear, Addend::None, &pass));
                let wanted = values(linear.weight.multiply(x.clone(), None, linear.transposed, &plain));
                for (found, wanted) in found.iter().zip(&wanted) {
                    assert!(
                        (found - wanted).abs() < 1e-5,
                        "a fresh adapter changes nothing: {found} {wanted}"
                    );
                }

                for (i, part) in [&numbers.a, &numbers.b, &numbers.m].into_iter().enumerate() {
                    parameters.set(i, tensor(part, &device));
                }
                let leaves = parameters.tracked();
                let pass = Pass {
                    leaves: &leaves,
                    use_adapter: true,
                    dropout_seed: Some(9),
                };
                let form = lora.form(&pass);
                let ones = Tensor::<2>::ones([ROWS, INPUTS], &device);
                let mask = values(ops::dropout(ones, form.dropout, form.seed));
                assert_eq!(mask.contains(&0.0), dropout > 0.0);
                let tracked = x.autodiff().require_grad();
                let given = Addend::Bias(tensor(&bias, &device));
                let y = lora.forward(tracked.clone(), &linear, given, &pass);
                let norms = numbers.norms(&w);
                let wanted = numbers.forward(&w, &bias, &norms, &mask);
                for (found, wanted) in values(y.clone()).iter().zip(&wanted) {
                    assert!((found - wanted).abs() < 1e-5, "{found} instead of {wanted}");
                }

                let weighed = y * tensor(&weights, &device).reshape([ROWS, OUTPUTS]);
                let gradients = weighed.sum().backward();
                let found = [
                    values(tracked.grad(&gradients).expect("of x")),
                    values(leaves.grad(lora.a, &gradients).expect("of A")),
                    values(leaves.grad(lora.b, &gradients).expect("of B")),
                    values(leaves.grad(2, &gradients).expect("of m")),
                ];
                // The norms stay what they were: constants in the backward pass.
                let objective = |numbers: &Numbers| -> f64 {
                    let y = numbers.forward(&w, &bias, &norms, &mask);
                    y.iter().zip(&weights).map(|(y, weight)| y * weight).sum()
                };
                for (part, found) in found.iter().enumerate() {
                    for (i, found) in found.iter().enumerate() {
                        let moved = |by: f64| {
                            let mut numbers = numbers.clone();
                            numbers.fields()[part].1[i] += by;
                            objective(&numbers)
                        };
                        let wanted = (moved(1e-4) - moved(-1e-4)) / 2e-4;
                        let what = numbers.clone().fields()[part].0;
                        assert!(
                            (found - wanted).abs() < 1e-4,
                            "d{what}[{i}] is {found} instead of {wanted}"
                        );
                    }
                }
            }
        }
    }
}
