//! A matrix of the base: of a linear, an embedding or a head; dense or packed.

use super::{Leaves, Weight};
use crate::ops::{self, AdaptedForm, Addend, BaseForm, LoraForm, PackedMatrix, VocabularyChunks, VocabularyForm};
use burn::tensor::{Tensor, TensorData};

/// W [rows, columns]: a linear's [out, in] ([in, out] as GPT-2's Conv1D), an embedding's and a head's [V, C].
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stored: Stored,
}

/// Its storage on the device.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    /// 32-bit floats, frozen or trained.
    Dense(Weight),
    /// Frozen and packed; `flipped` where the packed matrix is Wᵀ.
    Packed { matrix: PackedMatrix, flipped: bool },
}

impl Matrix {
    fn dense(&self, weight: &Weight, leaves: &Leaves) -> Tensor<2> {
        weight.matrix(leaves, [self.rows, self.columns])
    }

    /// x·Wᵀ + bias, or x·W + bias where `across`; x \[n, columns\] or \[n, rows\].
    pub(crate) fn multiply(&self, x: Tensor<2>, bias: Option<Tensor<1>>, across: bool, leaves: &Leaves) -> Tensor<2> {
        match &self.stored {
            Stored::Dense(weight) => ops::linear(x, self.dense(weight, leaves), bias, across),
            Stored::Packed { matrix, flipped } => ops::packed_linear(x, matrix, bias, across != *flipped),
        }
    }

    /// The same with a low-rank adapter on top, and with what `addend` says, [`ops::adapted`].
    pub(crate) fn multiply_adapted(
        &self,
        x: Tensor<2>,
        addend: Addend,
        across: bool,
        leaves: &Leaves,
        matrices: [Tensor<2>; 2],
        lora: LoraForm,
    ) -> Tensor<2> {
        match &self.stored {
            Stored::Dense(weight) => {
                let base = BaseForm::Dense { transposed: across };
                let form = AdaptedForm { base, lora };
                ops::adapted(x, self.dense(weight, leaves), addend, matrices, form)
            }
            Stored::Packed { matrix, flipped } => {
                ops::packed_adapted(x, matrix, addend, across != *flipped, matrices, lora)
            }
        }
    }

    /// It as [`ops::AdaptedLinear`] has it, where it is frozen and lies in one buffer.
    pub(crate) fn in_one(&self, across: bool, leaves: &Leaves) -> Option<(Tensor<2>, BaseForm)> {
        match &self.stored {
            Stored::Dense(weight @ Weight::Frozen(_)) => {
                Some((self.dense(weight, leaves), BaseForm::Dense { transposed: across }))
            }
            Stored::Dense(Weight::Trained(_)) => None,
            Stored::Packed { matrix, flipped } => matrix.in_one(across != *flipped),
        }
    }

    /// Σⱼ Wᵢⱼ² of each row → \[rows\], or of each column → \[columns\] where `across`.
    pub(crate) fn squares(&self, across: bool, leaves: &Leaves) -> Tensor<1> {
        match &self.stored {
            Stored::Dense(weight) => {
                let numbers = self.dense(weight, leaves);
                let squares = numbers.clone() * numbers;
                match across {
                    true => squares.sum_dim(0).reshape([self.columns]),
                    false => squares.sum_dim(1).reshape([self.rows]),
                }
            }
            Stored::Packed { matrix, flipped } => ops::packed_squares(matrix, across != *flipped),
        }
    }

    /// Rows by number; ids \[n\] → \[n, columns\].
    pub(crate) fn gather(&self, ids: Tensor<1>, leaves: &Leaves) -> Tensor<2> {
        match &self.stored {
            Stored::Dense(weight) => ops::embedding(ids, self.dense(weight, leaves)),
            Stored::Packed { matrix, .. } => ops::packed_embedding(ids, matrix),
        }
    }

    /// scale · Σ cross-entropy of x·Wᵀ + bias against `targets`; see [`ops::vocabulary_loss`].
    pub(crate) fn vocabulary_loss(
        &self,
        x: Tensor<2>,
        bias: Option<Tensor<1>>,
        targets: Tensor<1>,
        form: VocabularyForm,
        leaves: &Leaves,
    ) -> Tensor<1> {
        match &self.stored {
            Stored::Dense(weight) => ops::vocabulary_loss(x, self.dense(weight, leaves), bias, targets, form),
            Stored::Packed { matrix, .. } => ops::packed_vocabulary_loss(x, matrix, bias, targets, form),
        }
    }

    /// The rows `x` on their way through x·Wᵀ + bias, a chunk at a time.
    pub(crate) fn in_chunks<'m>(
        &'m self,
        x: Tensor<2>,
        bias: Option<Tensor<1>>,
        targets: Tensor<1>,
        soft_cap: f32,
        leaves: &'m Leaves,
    ) -> VocabularyChunks<'m> {
        let multiply = move |rows: Tensor<2>, across: bool| {
            let bias = bias.clone().filter(|_| !across);
            self.multiply(rows, bias, across, leaves)
        };
        VocabularyChunks::new((x, targets), self.rows, soft_cap, multiply)
    }

    /// Whether nothing of it is trained.
    pub(super) fn is_frozen(&self) -> bool {
        !matches!(self.stored, Stored::Dense(Weight::Trained(_)))
    }

    /// All numbers as 32-bit floats, row by row: for a copy that is to be trained.
    pub(crate) fn unpacked(&self, leaves: &Leaves) -> Tensor<1> {
        match &self.stored {
            Stored::Dense(weight) => weight.flat(leaves),
            Stored::Packed { matrix, flipped } => {
                let rows = matrix.rows();
                let ids: Vec<f32> = (0..rows).map(|row| row as f32).collect();
                let ids = Tensor::from_data(TensorData::new(ids, [rows]), &matrix.device());
                let numbers = ops::packed_embedding(ids, matrix);
                let numbers = if *flipped { numbers.transpose() } else { numbers };
                numbers.reshape([self.rows * self.columns])
            }
        }
    }
}
