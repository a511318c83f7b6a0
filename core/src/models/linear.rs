//! A linear layer, optionally with an adapter or a trained copy.

use super::lora::Lora;
use super::{Leaves, Matrix, Parameter, Parameters, Pass, Stored, Weight, load};
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
        let (weight, bias) = match &self.whole {
            Some(whole) if pass.use_adapter => (&whole.weight, &whole.bias),
            _ => (&self.weight, &self.bias),
        };
        let bias = bias.as_ref().map(|bias| bias.flat(pass.leaves));
        match &self.lora {
            Some(lora) if pass.use_adapter => lora.forward(x, self, bias, pass),
            _ => weight.multiply(x, bias, self.transposed, pass.leaves),
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
