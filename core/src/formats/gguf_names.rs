//! What GGUF's tensors are called in Hugging Face's files, and what must be done to their numbers.
//!
//! Reference: `gguf-py/gguf/tensor_mapping.py` and `convert_hf_to_gguf.py` of ggml-org/llama.cpp, read the other way
//! round. The names of an architecture's tensors stand beside its forward pass in `models/`, in a [`GgufForm`]. Three things
//! besides names differ. The converter permutes the rows of q and k of the llama architecture (of no other), so that RoPE pairs
//! neighbours; [`Change::Unpermute`] takes that back. GPT-2's Conv1D weights, [in, out] with Hugging Face, lie as [out, in] in
//! GGUF; [`Change::Transpose`] gives Hugging Face's layout again. And Gemma's norms, which multiply by 1 + w, are stored as
//! 1 + w; [`Change::MinusOne`] gives w. What the metadata say is in [`super::gguf_config`].

use super::gguf_config::GgufFile;
use super::safetensors::Placed;
use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use serde_json::Value;

/// How GGUF files hold an architecture.
#[derive(Clone, Copy)]
pub struct GgufForm {
    /// `general.architecture`.
    pub architecture: &'static str,
    /// Lists of layers: GGUF's name of the list, Hugging Face's, and the parts of a layer. The first that knows a part counts.
    pub lists: &'static [(&'static str, &'static str, Pairs)],
    /// Tensors that are no part of a layer.
    pub others: Pairs,
    /// What stands for what in Hugging Face's names where layers have an `ffn_gate`.
    pub with_gate: Option<(&'static str, &'static str)>,
    /// Whether nothing is lost without GGUF's tensor of this name.
    pub is_left_out: fn(&str) -> bool,
    /// What must be done to the numbers of the tensor with Hugging Face's name and so many axes.
    pub change: fn(&str, usize, Heads) -> Change,
    /// config.json by the metadata, but for `model_type`, `vocab_size` and the ids of special tokens.
    pub config: fn(&GgufFile<'_>) -> Result<Value>,
}

/// GGUF's names and Hugging Face's.
pub type Pairs = &'static [(&'static str, &'static str)];

/// Attention heads of a model.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// H.
    pub query: usize,
    /// K.
    pub key_value: usize,
}

/// What must be done to a tensor's numbers after reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Rows are permuted within each of so many heads.
    Unpermute {
        /// Heads that the rows divide into.
        heads: usize,
    },
    /// The two axes are swapped.
    Transpose,
    /// Every number is 1 too large.
    MinusOne,
}

/// A tensor under Hugging Face's name, with the shape that it has after its change.
#[derive(Debug, Clone)]
pub struct Renamed {
    /// Hugging Face's name and shape.
    pub placed: Placed,
    /// What to do after reading.
    pub change: Change,
}

impl GgufForm {
    /// Hugging Face's name of the GGUF tensor `name`; `None` for one that has no counterpart there.
    pub fn hugging_face_name(&self, name: &str) -> Option<String> {
        let (stem, kind) = name.rsplit_once('.')?;
        let found = |pairs: Pairs, name: &str| pairs.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
        for (list, to, parts) in self.lists {
            if let Some(rest) = stem.strip_prefix(list) {
                let (layer, part) = rest.split_once('.')?;
                layer.parse::<u32>().ok()?;
                if let Some(part) = found(parts, part) {
                    return Some(format!("{to}.{layer}.{part}.{kind}"));
                }
            }
        }
        Some(format!("{}.{kind}", found(self.others, stem)?))
    }

    /// GGUF's name of the tensor with Hugging Face's name, the inverse of [`GgufForm::hugging_face_name`]; `is_gated` where
    /// layers have an `ffn_gate`.
    pub fn gguf_name(&self, name: &str, is_gated: bool) -> Option<String> {
        let name = match self.with_gate {
            Some((without, with)) if is_gated => name.replace(with, without),
            _ => name.to_owned(),
        };
        let (stem, kind) = name.rsplit_once('.')?;
        let found = |pairs: Pairs, name: &str| pairs.iter().find(|(_, to)| *to == name).map(|(from, _)| *from);
        for (list, to, parts) in self.lists {
            let rest = stem.strip_prefix(to).and_then(|rest| rest.strip_prefix('.'));
            let Some((layer, part)) = rest.and_then(|rest| rest.split_once('.')) else {
                continue;
            };
            if let (Ok(layer), Some(part)) = (layer.parse::<u32>(), found(parts, part)) {
                return Some(format!("{list}{layer}.{part}.{kind}"));
            }
        }
        Some(format!("{}.{kind}", found(self.others, stem)?))
    }
}

impl GgufFile<'_> {
    /// All tensors under Hugging Face's names, without those that nothing is lost with: precomputed RoPE tables, and what the
    /// architecture leaves out.
    ///
    /// # Errors
    /// A tensor has no counterpart, or its rows do not divide into heads.
    pub(super) fn renamed(&self) -> Result<Vec<Renamed>> {
        let form = self.model.form;
        let heads = self.metadata.integer(&self.key("attention.head_count")).unwrap_or(1);
        let heads = Heads {
            key_value: self.kv_heads(heads)? as usize,
            query: heads as usize,
        };
        let is_gated = self.tensors.iter().any(|tensor| tensor.name.contains(".ffn_gate."));
        let mut renamed = Vec::with_capacity(self.tensors.len());
        for placed in self.tensors {
            if placed.name.starts_with("rope_") || (form.is_left_out)(&placed.name) {
                continue;
            }
            let mut placed = placed.clone();
            let Some(name) = form.hugging_face_name(&placed.name) else {
                let architecture = form.architecture;
                return Err(Error::model(msg::NoCounterpart { architecture }).field(placed.name));
            };
            let name = match form.with_gate {
                Some((without, with)) if is_gated => name.replace(without, with),
                _ => name,
            };
            let change = (form.change)(&name, placed.shape.len(), heads);
            match change {
                Change::Unpermute { heads } => {
                    let rows = placed.shape.first().copied().unwrap_or(0);
                    if heads
                        .checked_mul(2)
                        .is_none_or(|halves| halves == 0 || rows % halves != 0)
                    {
                        return Err(Error::model(msg::RowsAreNoHeads { rows, heads }).field(placed.name));
                    }
                }
                Change::Transpose => placed.shape.reverse(),
                Change::None | Change::MinusOne => {}
            }
            placed.name = name;
            renamed.push(Renamed { placed, change });
        }
        Ok(renamed)
    }
}

impl Change {
    /// The file's row that is row `row` of a matrix of `rows`; where the axes are swapped, rows are the file's.
    pub fn file_row(self, rows: usize, row: usize) -> usize {
        match self {
            Self::None | Self::Transpose | Self::MinusOne => row,
            // Within a head of D rows, the file's row 2j + half is Hugging Face's row half·(D/2) + j.
            Self::Unpermute { heads } => {
                let head_rows = rows / heads;
                let (head, place) = (row / head_rows, row % head_rows);
                let (half, j) = (place / (head_rows / 2), place % (head_rows / 2));
                head * head_rows + 2 * j + half
            }
        }
    }

    /// The numbers of a tensor in the file's order, the inverse of [`Change::apply`]; `shape` is Hugging Face's.
    pub fn undo(self, shape: &[usize], values: Vec<f32>) -> Vec<f32> {
        match self {
            Self::None => values,
            Self::MinusOne => values.into_iter().map(|value| value + 1.0).collect(),
            Self::Unpermute { .. } => {
                let columns: usize = shape[1..].iter().product();
                let mut changed = vec![0.0; values.len()];
                for (row, numbers) in values.chunks_exact(columns.max(1)).enumerate() {
                    let start = self.file_row(shape[0], row) * columns;
                    changed[start..start + columns].copy_from_slice(numbers);
                }
                changed
            }
            Self::Transpose => Self::Transpose.apply(&[shape[1], shape[0]], values),
        }
    }

    /// The numbers of a tensor in Hugging Face's order; `shape` is the shape after the change.
    pub fn apply(self, shape: &[usize], values: Vec<f32>) -> Vec<f32> {
        match self {
            Self::None => values,
            Self::MinusOne => values.into_iter().map(|value| value - 1.0).collect(),
            Self::Unpermute { .. } => {
                let columns: usize = shape[1..].iter().product();
                let mut changed = Vec::with_capacity(values.len());
                for row in (0..shape[0]).map(|row| self.file_row(shape[0], row)) {
                    changed.extend_from_slice(&values[row * columns..(row + 1) * columns]);
                }
                changed
            }
            Self::Transpose => {
                let (rows, columns) = (shape[0], shape[1]);
                let mut changed = Vec::with_capacity(values.len());
                for row in 0..rows {
                    changed.extend((0..columns).map(|column| values[column * rows + row]));
                }
                changed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the converter does: `w.reshape(heads, 2, rows / heads / 2, columns).swapaxes(1, 2)`.
    fn permute(values: &[f32], heads: usize, rows: usize, columns: usize) -> Vec<f32> {
        let half = rows / heads / 2;
        let mut permuted = Vec::new();
        for head in 0..heads {
            for j in 0..half {
                for side in 0..2 {
                    let row = head * 2 * half + side * half + j;
                    permuted.extend_from_slice(&values[row * columns..(row + 1) * columns]);
                }
            }
        }
        permuted
    }

    #[test]
    fn rows_of_q_come_back_where_hugging_face_has_them() {
        let values: Vec<f32> = (0..2 * 6 * 3).map(|i| i as f32).collect();
        let stored = permute(&values, 2, 12, 3);
        assert_ne!(stored, values);
        assert_eq!(Change::Unpermute { heads: 2 }.undo(&[12, 3], values.clone()), stored);
        assert_eq!(Change::Unpermute { heads: 2 }.apply(&[12, 3], stored), values);
    }

    #[test]
    fn gpt2_weights_come_out_as_in_by_out() {
        // [out = 3, in = 2] in the file.
        let stored = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let numbers = Change::Transpose.apply(&[2, 3], stored.clone());
        assert_eq!(numbers, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        assert_eq!(Change::Transpose.undo(&[2, 3], numbers), stored);
    }
}
