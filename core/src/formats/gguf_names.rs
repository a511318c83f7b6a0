//! What GGUF's tensors are called in Hugging Face's files, for the architectures that this engine runs.
//!
//! Reference: `gguf-py/gguf/tensor_mapping.py` and `convert_hf_to_gguf.py` of ggml-org/llama.cpp, read the other way
//! round. Three things besides names differ. The converter permutes the rows of q and k of the llama architecture (of no
//! other), so that RoPE pairs neighbours; [`Change::Unpermute`] takes that back. GPT-2's Conv1D weights, [in, out] with
//! Hugging Face, lie as [out, in] in GGUF; [`Change::Transpose`] gives Hugging Face's layout again. And Gemma's norms,
//! which multiply by 1 + w, are stored as 1 + w; [`Change::MinusOne`] gives w. What the metadata say is in
//! [`super::gguf_config`].

use super::gguf::Metadata;
use super::gguf_config::kv_heads;
use super::safetensors::Placed;
use crate::architectures::{Family, of_gguf};
use crate::{Error, Result};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;

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

/// `general.architecture`, if this engine runs it.
///
/// # Errors
/// It is missing or another one, or the file is one part of several.
pub fn architecture(metadata: &Metadata) -> Result<&str> {
    let key = "general.architecture";
    if metadata.integer("split.count").is_some_and(|count| count > 1) {
        return Err(Error::model(msg::SplitGguf).remedy(msg::JoinParts));
    }
    if metadata.text("general.type").is_some_and(|kind| kind == "adapter") {
        return Err(Error::model(msg::AdapterNotModel).remedy(msg::ChooseBaseGguf));
    }
    let name = metadata
        .text(key)
        .ok_or_else(|| Error::format(common::IsMissing).field(key))?;
    of_gguf(name)?;
    Ok(name)
}

/// GGUF's names and Hugging Face's.
type Pairs = &'static [(&'static str, &'static str)];

/// What an architecture's tensors are called.
struct Names {
    /// Lists of layers: GGUF's name of the list, Hugging Face's, and the parts of a layer. The first that knows a part counts.
    lists: &'static [(&'static str, &'static str, Pairs)],
    /// Tensors that are no part of a layer.
    others: Pairs,
}

const LLAMA_LAYER: Pairs = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

const LLAMA: Names = Names {
    lists: &[("blk.", "model.layers", LLAMA_LAYER)],
    others: &[
        ("token_embd", "model.embed_tokens"),
        ("output_norm", "model.norm"),
        ("output", "lm_head"),
    ],
};

/// Llama's but for the norms, of which it has twice as many.
const GEMMA: Names = Names {
    lists: &[
        (
            "blk.",
            "model.layers",
            &[
                ("post_attention_norm", "post_attention_layernorm"),
                ("ffn_norm", "pre_feedforward_layernorm"),
                ("post_ffw_norm", "post_feedforward_layernorm"),
            ],
        ),
        ("blk.", "model.layers", LLAMA_LAYER),
    ],
    ..LLAMA
};

const GPT2: Names = Names {
    lists: &[(
        "blk.",
        "transformer.h",
        &[
            ("attn_norm", "ln_1"),
            ("attn_qkv", "attn.c_attn"),
            ("attn_output", "attn.c_proj"),
            ("ffn_norm", "ln_2"),
            ("ffn_up", "mlp.c_fc"),
            ("ffn_down", "mlp.c_proj"),
        ],
    )],
    others: &[
        ("token_embd", "transformer.wte"),
        ("position_embd", "transformer.wpe"),
        ("output_norm", "transformer.ln_f"),
        ("output", "lm_head"),
    ],
};

/// An encoder that was saved without a head has no prefix.
const BERT: Names = Names {
    lists: &[(
        "blk.",
        "encoder.layer",
        &[
            ("attn_q", "attention.self.query"),
            ("attn_k", "attention.self.key"),
            ("attn_v", "attention.self.value"),
            ("attn_output", "attention.output.dense"),
            ("attn_output_norm", "attention.output.LayerNorm"),
            ("ffn_up", "intermediate.dense"),
            ("ffn_down", "output.dense"),
            ("layer_output_norm", "output.LayerNorm"),
        ],
    )],
    others: &[
        ("token_embd", "embeddings.word_embeddings"),
        ("position_embd", "embeddings.position_embeddings"),
        ("token_types", "embeddings.token_type_embeddings"),
        ("token_embd_norm", "embeddings.LayerNorm"),
    ],
};

/// `ffn_up` is `wi` of the original T5; of the gated form see [`rename`].
const T5: Names = Names {
    lists: &[
        (
            "enc.blk.",
            "encoder.block",
            &[
                ("attn_norm", "layer.0.layer_norm"),
                ("attn_q", "layer.0.SelfAttention.q"),
                ("attn_k", "layer.0.SelfAttention.k"),
                ("attn_v", "layer.0.SelfAttention.v"),
                ("attn_o", "layer.0.SelfAttention.o"),
                ("attn_rel_b", "layer.0.SelfAttention.relative_attention_bias"),
                ("ffn_norm", "layer.1.layer_norm"),
                ("ffn_gate", "layer.1.DenseReluDense.wi_0"),
                ("ffn_up", "layer.1.DenseReluDense.wi"),
                ("ffn_down", "layer.1.DenseReluDense.wo"),
            ],
        ),
        (
            "dec.blk.",
            "decoder.block",
            &[
                ("attn_norm", "layer.0.layer_norm"),
                ("attn_q", "layer.0.SelfAttention.q"),
                ("attn_k", "layer.0.SelfAttention.k"),
                ("attn_v", "layer.0.SelfAttention.v"),
                ("attn_o", "layer.0.SelfAttention.o"),
                ("attn_rel_b", "layer.0.SelfAttention.relative_attention_bias"),
                ("cross_attn_norm", "layer.1.layer_norm"),
                ("cross_attn_q", "layer.1.EncDecAttention.q"),
                ("cross_attn_k", "layer.1.EncDecAttention.k"),
                ("cross_attn_v", "layer.1.EncDecAttention.v"),
                ("cross_attn_o", "layer.1.EncDecAttention.o"),
                ("ffn_norm", "layer.2.layer_norm"),
                ("ffn_gate", "layer.2.DenseReluDense.wi_0"),
                ("ffn_up", "layer.2.DenseReluDense.wi"),
                ("ffn_down", "layer.2.DenseReluDense.wo"),
            ],
        ),
    ],
    others: &[
        ("token_embd", "shared"),
        ("enc.output_norm", "encoder.final_layer_norm"),
        ("dec.output_norm", "decoder.final_layer_norm"),
        ("output", "lm_head"),
    ],
};

/// Hugging Face's name of the GGUF tensor `name`; `None` for one that has no counterpart there.
pub fn hugging_face_name(architecture: &str, name: &str) -> Option<String> {
    let names = match of_gguf(architecture).ok()?.family {
        Family::Llama => LLAMA,
        Family::Gemma => GEMMA,
        Family::Gpt2 => GPT2,
        Family::Bert => BERT,
        Family::T5 => T5,
        Family::ModernBert | Family::Small => return None,
    };
    let (stem, kind) = name.rsplit_once('.')?;
    let found = |pairs: Pairs, name: &str| pairs.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
    for (list, to, parts) in names.lists {
        if let Some(rest) = stem.strip_prefix(list) {
            let (layer, part) = rest.split_once('.')?;
            layer.parse::<u32>().ok()?;
            if let Some(part) = found(parts, part) {
                return Some(format!("{to}.{layer}.{part}.{kind}"));
            }
        }
    }
    Some(format!("{}.{kind}", found(names.others, stem)?))
}

/// Whether nothing is lost without it: precomputed RoPE tables; the bias on T5's attention to the encoder that old
/// checkpoints carry and transformers does not read; the classes of a BERT, which mean nothing without the pooler that
/// the converter leaves out.
fn is_left_out(architecture: &str, name: &str) -> bool {
    name.starts_with("rope_")
        || architecture == "t5" && name.ends_with(".cross_attn_rel_b.weight")
        || architecture == "bert" && name.starts_with("cls.")
}

/// All tensors under Hugging Face's names, without those that nothing is lost with.
///
/// # Errors
/// A tensor has no counterpart, or its rows do not divide into heads.
pub fn rename(metadata: &Metadata, architecture: &str, tensors: Vec<Placed>) -> Result<Vec<Renamed>> {
    let key = |name: &str| format!("{architecture}.{name}");
    let heads = metadata.integer(&key("attention.head_count")).unwrap_or(1);
    let kv_heads = kv_heads(metadata, architecture, heads)?;
    let is_gated = architecture == "t5" && tensors.iter().any(|tensor| tensor.name.contains(".ffn_gate."));
    let mut renamed = Vec::with_capacity(tensors.len());
    for mut placed in tensors {
        if is_left_out(architecture, &placed.name) {
            continue;
        }
        let Some(name) = hugging_face_name(architecture, &placed.name) else {
            return Err(Error::model(msg::NoCounterpart { architecture }).field(placed.name));
        };
        let name = match is_gated {
            true => name.replace(".wi.", ".wi_1."),
            false => name,
        };
        let change = match architecture {
            "gemma2" | "gemma3" if name.ends_with("norm.weight") => Change::MinusOne,
            "llama" if name.contains(".q_proj.") || name.contains(".k_proj.") => {
                let heads = if name.contains(".q_proj.") { heads } else { kv_heads } as usize;
                let rows = placed.shape.first().copied().unwrap_or(0);
                if heads
                    .checked_mul(2)
                    .is_none_or(|halves| halves == 0 || rows % halves != 0)
                {
                    return Err(Error::model(msg::RowsAreNoHeads { rows, heads }).field(placed.name));
                }
                Change::Unpermute { heads }
            }
            "gpt2" if name.contains(".c_") && placed.shape.len() == 2 => {
                placed.shape.reverse();
                Change::Transpose
            }
            _ => Change::None,
        };
        placed.name = name;
        renamed.push(Renamed { placed, change });
    }
    Ok(renamed)
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
        assert_eq!(Change::Unpermute { heads: 2 }.apply(&[12, 3], stored), values);
    }

    #[test]
    fn gpt2_weights_come_out_as_in_by_out() {
        // [out = 3, in = 2] in the file.
        let stored = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(Change::Transpose.apply(&[2, 3], stored), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    }

    #[test]
    fn names_map_to_hugging_faces() {
        let name = |architecture, name| hugging_face_name(architecture, name);
        assert_eq!(
            name("llama", "blk.12.attn_k.weight").unwrap(),
            "model.layers.12.self_attn.k_proj.weight"
        );
        assert_eq!(
            name("qwen2", "blk.0.attn_q.bias").unwrap(),
            "model.layers.0.self_attn.q_proj.bias"
        );
        assert_eq!(
            name("gpt2", "blk.3.ffn_up.weight").unwrap(),
            "transformer.h.3.mlp.c_fc.weight"
        );
        assert_eq!(name("gpt2", "output.weight").unwrap(), "lm_head.weight");
        assert_eq!(name("llama", "blk.0.ffn_gate_exps.weight"), None);
        assert_eq!(
            name("bert", "blk.1.layer_output_norm.bias").unwrap(),
            "encoder.layer.1.output.LayerNorm.bias"
        );
        assert_eq!(
            name("gemma3", "blk.2.ffn_norm.weight").unwrap(),
            "model.layers.2.pre_feedforward_layernorm.weight"
        );
        assert_eq!(
            name("t5", "dec.blk.0.cross_attn_o.weight").unwrap(),
            "decoder.block.0.layer.1.EncDecAttention.o.weight"
        );
        assert_eq!(name("t5", "blk.0.attn_q.weight"), None);
    }
}
