//! Operations with frozen matrices that stay packed on the device: products, rows by number, the loss over a vocabulary.
//!
//! A [`PackedMatrix`] is one or several buffers of words: several where it is larger than one buffer may be. Each part is a
//! stretch of rows; products with the parts are joined side by side (along the rows) or summed (across them), and what is
//! held between them is an activation, never a dense part of the matrix.

use super::{AdaptedForm, Addend, BaseForm, LoraForm, PackedForm, VocabularyChunks, VocabularyForm};
use crate::quant::packing::PackedWords;
use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor, TensorData};
use lorakeet_shaders::Packed;

use super::dispatched::Ops;

/// Numbers of a packed matrix that are squared at a time: 4 MiB of them.
const SQUARED_NUMBERS: usize = 1 << 20;

/// A frozen matrix on the device.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    rows: usize,
    columns: usize,
    parts: Vec<Part>,
}

/// A stretch of rows in a buffer of its own.
#[derive(Debug, Clone)]
struct Part {
    first_row: usize,
    matrix: Packed,
    /// The words, as the bits of f32.
    words: Tensor<1>,
}

impl PackedMatrix {
    /// A matrix of `columns` columns without rows; [`Self::push`] adds them.
    pub fn new(columns: usize) -> Self {
        let (rows, parts) = (0, Vec::new());
        Self { rows, columns, parts }
    }

    /// Puts the next rows on `device`.
    ///
    /// # Panics
    /// If they have another number of columns: a defect of the caller.
    pub fn push(&mut self, part: PackedWords, device: &Device) {
        let PackedWords { matrix, words } = part;
        let words: Vec<f32> = words.into_iter().map(f32::from_bits).collect();
        let count = words.len();
        self.push_sent(matrix, Tensor::from_data(TensorData::new(words, [count]), device));
    }

    /// Appends rows whose words are on the device already, as the bits of f32.
    pub(crate) fn push_sent(&mut self, matrix: Packed, words: Tensor<1>) {
        assert_eq!(matrix.columns, self.columns, "columns of a part");
        self.parts.push(Part {
            first_row: self.rows,
            matrix,
            words,
        });
        self.rows += matrix.rows;
    }

    /// The same without its words, which `empty` stands in for: to be asked for its sizes only.
    pub fn skeleton(parts: impl Iterator<Item = Packed>, columns: usize, empty: &Tensor<1>) -> Self {
        let mut skeleton = Self::new(columns);
        for matrix in parts {
            skeleton.parts.push(Part {
                first_row: skeleton.rows,
                matrix,
                words: empty.clone(),
            });
            skeleton.rows += matrix.rows;
        }
        skeleton
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
    /// Buffers.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }
    /// Where it is.
    ///
    /// # Panics
    /// If it has no rows: a defect of the caller.
    pub fn device(&self) -> Device {
        self.parts[0].words.device()
    }
    /// Its words in one row and how products with them go, where it lies in one buffer; `across` as in [`packed_linear`].
    pub fn in_one(&self, across: bool) -> Option<(Tensor<2>, BaseForm)> {
        let base = BaseForm::Packed(self.form_in_one(across)?);
        Some((self.parts[0].words.clone().unsqueeze(), base))
    }
    /// How products with it go, where it lies in one buffer; as [`Self::in_one`] without the words, which a forecast has none of.
    pub fn form_in_one(&self, across: bool) -> Option<PackedForm> {
        let [only] = self.parts.as_slice() else { return None };
        let matrix = only.matrix;
        Some(PackedForm { matrix, across })
    }
    /// What it takes on the device.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| 4 * part.matrix.words() as u64).sum()
    }
}

/// y = x · Wᵀ + bias, or x · W + bias where `across`.
///
/// x \[n, columns\] (\[n, rows\] where `across`), W \[rows, columns\], bias as long as a row of y. Gradients: of x the product
/// the other way; of the bias the column sums; W has none.
pub fn packed_linear(x: Tensor<2>, w: &PackedMatrix, bias: Option<Tensor<1>>, across: bool) -> Tensor<2> {
    let product = |x: Tensor<2>, part: &Part, bias: Option<Tensor<1>>| {
        let form = PackedForm {
            matrix: part.matrix,
            across,
        };
        let (x, words) = (x.into_dispatch(), part.words.clone().into_dispatch());
        Tensor::<2>::from_dispatch(match bias {
            None => Dispatch::packed_linear(x, words, form),
            Some(bias) => Dispatch::packed_linear_bias(x, words, bias.into_dispatch(), form),
        })
    };
    if let [only] = w.parts.as_slice() {
        return product(x, only, bias);
    }
    if across {
        let [n, _] = x.dims();
        let parts = w.parts.iter().map(|part| {
            let rows = part.first_row..part.first_row + part.matrix.rows;
            product(x.clone().slice([0..n, rows]), part, None)
        });
        let sum = parts.reduce(|sum, part| sum + part);
        let sum = sum.unwrap_or_else(|| Tensor::zeros([n, w.columns], &x.device()));
        return match bias {
            None => sum,
            Some(bias) => sum + bias.unsqueeze(),
        };
    }
    let parts = w.parts.iter().map(|part| {
        let rows = part.first_row..part.first_row + part.matrix.rows;
        product(x.clone(), part, bias.clone().map(|bias| bias.slice([rows])))
    });
    Tensor::cat(parts.collect(), 1)
}

/// [`packed_linear`] with a low-rank adapter on top, and rows that both are added to: [`adapted`](super::adapted) where W lies in
/// one buffer.
///
/// a \[R, in\], b \[out, R\].
pub fn packed_adapted(
    x: Tensor<2>,
    w: &PackedMatrix,
    addend: Addend,
    across: bool,
    [a, b]: [Tensor<2>; 2],
    lora: LoraForm,
) -> Tensor<2> {
    if let Some((words, base)) = w.in_one(across) {
        return super::adapted(x, words, addend, [a, b], AdaptedForm { base, lora });
    }
    let (bias, rows) = match addend {
        Addend::None => (None, None),
        Addend::Bias(bias) => (Some(bias), None),
        Addend::Rows(rows) => (None, Some(rows)),
    };
    let y = super::lora(packed_linear(x.clone(), w, bias, across), x, a, b, lora);
    match rows {
        None => y,
        Some(rows) => super::add(rows, y),
    }
}

/// Rows of W by number. ids \[n\] are whole numbers in f32 (exact up to 2²⁴), W \[V, C\] → \[n, C\]; a row of zeros for a
/// number that is none of W's. No gradients: the table is frozen.
pub fn packed_embedding(ids: Tensor<1>, w: &PackedMatrix) -> Tensor<2> {
    let [tokens] = ids.dims();
    let parts = w.parts.iter().map(|part| {
        let (ids, words) = (ids.clone().into_dispatch(), part.words.clone().into_dispatch());
        Tensor::<2>::from_dispatch(Dispatch::packed_embedding(ids, words, part.matrix, part.first_row))
    });
    let sum = parts.reduce(|sum, part| sum + part);
    sum.unwrap_or_else(|| Tensor::zeros([tokens, w.columns], &ids.device()))
}

/// Σⱼ Wᵢⱼ² of each row → \[rows\], or of each column → \[columns\] where `across`. Rows are decoded a stretch at a time.
pub fn packed_squares(w: &PackedMatrix, across: bool) -> Tensor<1> {
    let device = w.device();
    let stretch = (SQUARED_NUMBERS / w.columns.max(1)).max(1);
    let parts = (0..w.rows).step_by(stretch).map(|start| {
        let ids: Vec<f32> = (start..(start + stretch).min(w.rows)).map(|row| row as f32).collect();
        let count = ids.len();
        let rows = packed_embedding(Tensor::from_data(TensorData::new(ids, [count]), &device), w);
        let squares = rows.clone() * rows;
        match across {
            true => squares.sum_dim(0).reshape([w.columns]),
            false => squares.sum_dim(1).reshape([count]),
        }
    });
    match across {
        true => parts
            .reduce(|sum, part| sum + part)
            .unwrap_or_else(|| Tensor::zeros([w.columns], &device)),
        false => Tensor::cat(parts.collect(), 0),
    }
}

/// scale · Σ cross_entropy(cap(x·Wᵀ + bias), target) over the rows whose target is not −100, in nats → \[1\].
///
/// x \[n, C\], W \[V, C\], bias \[V\], targets \[n\] whole numbers in f32. As [`super::vocabulary_loss`]: in chunks of rows, of
/// which the gradient of x is made in the same pass, so no \[n, V\] matrix of logits is ever kept. The bias gets no gradient.
pub fn packed_vocabulary_loss(
    x: Tensor<2>,
    w: &PackedMatrix,
    bias: Option<Tensor<1>>,
    targets: Tensor<1>,
    form: VocabularyForm,
) -> Tensor<1> {
    let bias = bias.map(Tensor::inner);
    let multiply = |rows: Tensor<2>, across: bool| packed_linear(rows, w, bias.clone().filter(|_| !across), across);
    VocabularyChunks::new((x, targets), w.rows, form.soft_cap, multiply).loss(form.scale)
}
