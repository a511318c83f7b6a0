//! A linear layer, optionally with an adapter or a trained copy.

use super::lora::Lora;
use super::{Leaves, Matrix, Parameter, Parameters, Pass, Stored, Weight, load};
use crate::ops::{self, AdaptedLinear, Addend};
use burn::tensor::Tensor;

/// A linear layer of the base, optionally with an adapter.
#[derive(Debug)]
pub(crate) struct Linear {
    /// The module's path, such as `model.layers.0.self_attn.q_proj`.
    pub(crate) path: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Stored \[in, out\], as GPT-2's Conv1D does.
    pub(crate) transposed: bool,
    pub(crate) weight: Matrix,
    pub(crate) bias: Option<Weight>,
    pub(crate) lora: Option<Lora>,
    /// The trained copy of weight and bias that is used in their place with the adapter (PEFT's `modules_to_save`).
    pub(crate) whole: Option<TrainedCopy>,
}

/// The trained copy of a linear, saved whole beside the adapter.
#[derive(Debug)]
pub(crate) struct TrainedCopy {
    weight: Matrix,
    bias: Option<Weight>,
}

impl Linear {
    /// y = x·Wᵀ + bias, plus its adapter's part ([`Lora::forward`]); x \[n, in\] → \[n, out\].
    pub(crate) fn forward(&self, x: Tensor<2>, pass: &Pass) -> Tensor<2> {
        let (weight, bias) = self.used(pass);
        let bias = bias.map(|bias| bias.flat(pass.leaves));
        match &self.lora {
            Some(lora) if pass.use_adapter => {
                let addend = bias.map_or(Addend::None, Addend::Bias);
                lora.forward(x, self, addend, pass)
            }
            _ => weight.multiply(x, bias, self.transposed, pass.leaves),
        }
    }

    /// `rows` \[n, out\] + y: in y's own launch where it has an adapter and no bias.
    pub(crate) fn forward_onto(&self, rows: Tensor<2>, x: Tensor<2>, pass: &Pass) -> Tensor<2> {
        match &self.lora {
            Some(lora) if pass.use_adapter && self.used(pass).1.is_none() => {
                lora.forward(x, self, Addend::Rows(rows), pass)
            }
            _ => ops::add(rows, self.forward(x, pass)),
        }
    }

    /// It for products with others that read the same rows ([`Lora::beside`]).
    pub(crate) fn beside(&self, pass: &Pass) -> Option<AdaptedLinear> {
        let lora = self
            .lora
            .as_ref()
            .filter(|_| pass.use_adapter && self.whole.is_none())?;
        let bias = self.bias.as_ref();
        if bias.is_some_and(|bias| matches!(bias, Weight::Trained(_))) {
            return None;
        }
        lora.beside(self, bias.map(|bias| bias.flat(pass.leaves)), pass)
    }

    /// The weight and the bias of a pass: those of the trained copy with the adapter.
    fn used(&self, pass: &Pass) -> (&Matrix, Option<&Weight>) {
        match &self.whole {
            Some(whole) if pass.use_adapter => (&whole.weight, whole.bias.as_ref()),
            _ => (&self.weight, self.bias.as_ref()),
        }
    }

    /// Which parameters its weight and its bias are, those of the trained copy where there is one; `None` where it is frozen.
    pub(super) fn trained(&self) -> Option<(usize, Option<usize>)> {
        let (matrix, bias) = match &self.whole {
            Some(whole) => (&whole.weight, whole.bias.as_ref()),
            None => (&self.weight, self.bias.as_ref()),
        };
        let number = |weight: &Weight| match weight {
            Weight::Trained(number) => Some(*number),
            Weight::Frozen(_) => None,
        };
        match &matrix.stored {
            Stored::Dense(weight) => Some((number(weight)?, bias.and_then(number))),
            Stored::Packed { .. } => None,
        }
    }

    /// Adds a trained copy of it to the parameters, under PEFT's name.
    pub(super) fn copy_whole(&mut self, parameters: &mut Parameters) {
        let weight = copy_matrix(&self.weight, &self.path, parameters);
        let bias = self.bias.as_ref().map(|bias| {
            let value = bias.flat(&Leaves::default());
            push_copy(value, format!("{}.bias", self.path), vec![self.outputs], parameters)
        });
        self.whole = Some(TrainedCopy { weight, bias });
    }
}

/// A trained copy of a frozen matrix, saved whole under the module's `path`.
pub(super) fn copy_matrix(matrix: &Matrix, path: &str, parameters: &mut Parameters) -> Matrix {
    let (rows, columns) = (matrix.rows, matrix.columns);
    let numbers = matrix.unpacked(&Leaves::default());
    let weight = push_copy(numbers, format!("{path}.weight"), vec![rows, columns], parameters);
    Matrix {
        stored: Stored::Dense(weight),
        rows,
        columns,
    }
}

fn push_copy(value: Tensor<1>, name: String, shape: Vec<usize>, parameters: &mut Parameters) -> Weight {
    let name = format!("base_model.model.{name}");
    Weight::Trained(parameters.push(Parameter {
        decay: load::decays(&name),
        value,
        name,
        shape,
    }))
}
