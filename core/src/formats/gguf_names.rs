//! What GGUF's names and metadata are called in Hugging Face's files, for the architectures that this engine runs.
//!
//! Reference: `gguf-py/gguf/tensor_mapping.py` and `convert_hf_to_gguf.py` of ggml-org/llama.cpp, read the other way
//! round. Two things besides names differ. The converter permutes the rows of q and k of the llama architecture (not of
//! qwen), so that RoPE pairs neighbours; [`Change::Unpermute`] takes that back. And GPT-2's Conv1D weights, [in, out]
//! with Hugging Face, lie as [out, in] in GGUF; [`Change::Transpose`] gives Hugging Face's layout again.

use super::gguf::Metadata;
use super::safetensors::Placed;
use crate::{Error, Result};
use serde_json::{Map, Value as Json, json};

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
}

/// A tensor under Hugging Face's name, with the shape that it has after its change.
#[derive(Debug, Clone)]
pub struct Renamed {
    /// Hugging Face's name and shape.
    pub placed: Placed,
    /// What to do after reading.
    pub change: Change,
}

/// The architectures that this engine runs.
const ARCHITECTURES: [&str; 4] = ["llama", "qwen2", "qwen3", "gpt2"];

/// `general.architecture`, if this engine runs it.
///
/// # Errors
/// It is missing or another one, or the file is one part of several.
pub fn architecture(metadata: &Metadata) -> Result<&str> {
    let key = "general.architecture";
    if metadata.integer("split.count").is_some_and(|count| count > 1) {
        return Err(
            Error::model("is one part of a model that is split over several GGUF files")
                .remedy("Join the parts with llama.cpp's llama-gguf-split --merge."),
        );
    }
    if metadata.text("general.type").is_some_and(|kind| kind == "adapter") {
        return Err(Error::model("is an adapter, not a model").remedy("Choose the base model's GGUF file."));
    }
    let name = metadata
        .text(key)
        .ok_or_else(|| Error::format("is missing").field(key))?;
    if ARCHITECTURES.contains(&name) {
        return Ok(name);
    }
    let known = ARCHITECTURES.join(", ");
    Err(Error::model(format!("is {name:?}, which is not supported"))
        .field(key)
        .remedy(format!("Use one of {known}.")))
}

/// Hugging Face's name of the GGUF tensor `name`; `None` for one that has no counterpart there.
pub fn hugging_face_name(architecture: &str, name: &str) -> Option<String> {
    let gpt2 = architecture == "gpt2";
    let (stem, kind) = name.rsplit_once('.')?;
    if let Some(rest) = stem.strip_prefix("blk.") {
        let (layer, part) = rest.split_once('.')?;
        layer.parse::<u32>().ok()?;
        let part = match (gpt2, part) {
            (true, "attn_norm") => "ln_1",
            (true, "attn_qkv") => "attn.c_attn",
            (true, "attn_output") => "attn.c_proj",
            (true, "ffn_norm") => "ln_2",
            (true, "ffn_up") => "mlp.c_fc",
            (true, "ffn_down") => "mlp.c_proj",
            (false, "attn_norm") => "input_layernorm",
            (false, "attn_q") => "self_attn.q_proj",
            (false, "attn_k") => "self_attn.k_proj",
            (false, "attn_v") => "self_attn.v_proj",
            (false, "attn_output") => "self_attn.o_proj",
            (false, "attn_q_norm") => "self_attn.q_norm",
            (false, "attn_k_norm") => "self_attn.k_norm",
            (false, "ffn_norm") => "post_attention_layernorm",
            (false, "ffn_gate") => "mlp.gate_proj",
            (false, "ffn_up") => "mlp.up_proj",
            (false, "ffn_down") => "mlp.down_proj",
            _ => return None,
        };
        let list = if gpt2 { "transformer.h" } else { "model.layers" };
        return Some(format!("{list}.{layer}.{part}.{kind}"));
    }
    let stem = match (gpt2, stem) {
        (true, "token_embd") => "transformer.wte",
        (true, "position_embd") => "transformer.wpe",
        (true, "output_norm") => "transformer.ln_f",
        (false, "token_embd") => "model.embed_tokens",
        (false, "output_norm") => "model.norm",
        (_, "output") => "lm_head",
        _ => return None,
    };
    Some(format!("{stem}.{kind}"))
}

/// All tensors under Hugging Face's names. Precomputed RoPE tables are left out.
///
/// # Errors
/// A tensor has no counterpart, or its rows do not divide into heads.
pub fn rename(metadata: &Metadata, architecture: &str, tensors: Vec<Placed>) -> Result<Vec<Renamed>> {
    let key = |name: &str| format!("{architecture}.{name}");
    let heads = metadata.integer(&key("attention.head_count")).unwrap_or(1);
    let kv_heads = kv_heads(metadata, architecture, heads)?;
    let mut renamed = Vec::with_capacity(tensors.len());
    for mut placed in tensors {
        if placed.name.starts_with("rope_") {
            continue;
        }
        let Some(name) = hugging_face_name(architecture, &placed.name) else {
            return Err(Error::model(format!(
                "has no counterpart in {architecture}, so this variant is not supported"
            ))
            .field(placed.name));
        };
        let change = match architecture {
            "llama" if name.contains(".q_proj.") || name.contains(".k_proj.") => {
                let heads = if name.contains(".q_proj.") { heads } else { kv_heads } as usize;
                let rows = placed.shape.first().copied().unwrap_or(0);
                if heads
                    .checked_mul(2)
                    .is_none_or(|halves| halves == 0 || rows % halves != 0)
                {
                    return Err(
                        Error::model(format!("has {rows} rows, which are not {heads} heads")).field(placed.name)
                    );
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
            Self::None | Self::Transpose => row,
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

/// The config in Hugging Face's layout. `tensors` are the file's own; `rope_factors` is its tensor `rope_freqs.weight`.
///
/// # Errors
/// A key that the architecture needs is missing.
pub fn config(
    metadata: &Metadata,
    architecture: &str,
    tensors: &[Placed],
    rope_factors: Option<&[f32]>,
) -> Result<Json> {
    let key = |name: &str| format!("{architecture}.{name}");
    let integer = |name: &str| {
        let found = metadata.integer(&key(name)).filter(|number| *number > 0);
        found
            .ok_or_else(|| Error::model("is missing from the metadata, or is not one positive number").field(key(name)))
    };
    let has = |name: &str| tensors.iter().any(|tensor| tensor.name == name);
    let embedding = tensors.iter().find(|tensor| tensor.name == "token_embd.weight");
    let vocab_size = embedding.and_then(|tensor| tensor.shape.first().copied());
    let vocab_size = vocab_size.ok_or_else(|| Error::model("is missing").field("token_embd.weight"))?;
    let (width, layers) = (integer("embedding_length")?, integer("block_count")?);
    let (positions, heads) = (integer("context_length")?, integer("attention.head_count")?);
    let inner = integer("feed_forward_length")?;
    let mut config = Map::new();
    let mut set = |name: &str, value: Json| config.insert(name.to_string(), value);
    set("model_type", json!(architecture));
    set("vocab_size", json!(vocab_size));
    set("tie_word_embeddings", json!(!has("output.weight")));
    if architecture == "gpt2" {
        let epsilon = metadata.float(&key("attention.layer_norm_epsilon")).unwrap_or(1e-5);
        set("architectures", json!(["GPT2LMHeadModel"]));
        set("n_embd", json!(width));
        set("n_layer", json!(layers));
        set("n_head", json!(heads));
        set("n_positions", json!(positions));
        set("n_inner", json!(inner));
        set("layer_norm_epsilon", json!(epsilon));
        set("activation_function", json!("gelu_new"));
    } else {
        let epsilon = metadata.float(&key("attention.layer_norm_rms_epsilon"));
        let epsilon = epsilon.ok_or_else(|| {
            Error::model("is missing from the metadata").field(key("attention.layer_norm_rms_epsilon"))
        })?;
        let head_dim = metadata.integer(&key("attention.key_length")).unwrap_or(width / heads);
        let class = match architecture {
            "qwen2" => "Qwen2ForCausalLM",
            "qwen3" => "Qwen3ForCausalLM",
            _ => "LlamaForCausalLM",
        };
        set("architectures", json!([class]));
        set(
            "rope_theta",
            json!(metadata.float(&key("rope.freq_base")).unwrap_or(10000.0)),
        );
        set(
            "rope_scaling",
            rope_scaling(metadata, architecture, rope_factors, head_dim)?,
        );
        set("num_key_value_heads", json!(kv_heads(metadata, architecture, heads)?));
        set("head_dim", json!(head_dim));
        set("rms_norm_eps", json!(epsilon));
        set("hidden_act", json!("silu"));
        set("attention_bias", json!(has("blk.0.attn_q.bias")));
        set("mlp_bias", json!(has("blk.0.ffn_up.bias")));
    }
    set("hidden_size", json!(width));
    set("num_hidden_layers", json!(layers));
    set("num_attention_heads", json!(heads));
    set("intermediate_size", json!(inner));
    set("max_position_embeddings", json!(positions));
    for (name, from) in [("bos", "bos"), ("eos", "eos"), ("pad", "padding")] {
        if let Some(id) = metadata.integer(&format!("tokenizer.ggml.{from}_token_id")) {
            set(&format!("{name}_token_id"), json!(id));
        }
    }
    Ok(Json::Object(config))
}

/// Key/value heads; `heads` where the metadata does not say.
fn kv_heads(metadata: &Metadata, architecture: &str, heads: u64) -> Result<u64> {
    let key = format!("{architecture}.attention.head_count_kv");
    match metadata.0.get(&key) {
        None => Ok(heads),
        Some(_) => metadata.integer(&key).filter(|number| *number > 0).ok_or_else(|| {
            Error::model("is not one positive number: models whose layers differ are not supported").field(key)
        }),
    }
}

/// Hugging Face's `rope_scaling`, or null.
fn rope_scaling(metadata: &Metadata, architecture: &str, factors: Option<&[f32]>, head_dim: u64) -> Result<Json> {
    let key = |name: &str| format!("{architecture}.rope.scaling.{name}");
    if let Some(factors) = factors {
        let theta = metadata
            .float(&format!("{architecture}.rope.freq_base"))
            .unwrap_or(10000.0);
        return llama3_scaling(factors, theta, head_dim as usize);
    }
    let original = metadata.integer(&key("original_context_length"));
    let factor = metadata.float(&key("factor"));
    match (metadata.text(&key("type")), factor) {
        (Some(kind @ ("linear" | "yarn")), Some(factor)) => {
            let mut scaling = json!({"rope_type": kind, "factor": factor});
            if let Some(original) = original {
                scaling["original_max_position_embeddings"] = json!(original);
            }
            Ok(scaling)
        }
        (None | Some("none" | "linear" | "yarn"), _) => Ok(Json::Null),
        (Some(kind), _) => Err(Error::model(format!("is {kind:?}, which is not supported")).field(key("type"))),
    }
}

/// Llama 3's scaling, whose table of divisors is all that GGUF keeps. The factor is the table's largest entry; the
/// other numbers are the same in every published model (1, 4, 8192), and the table is computed again to make sure of
/// them.
fn llama3_scaling(factors: &[f32], theta: f64, head_dim: usize) -> Result<Json> {
    let factor = f64::from(factors.iter().copied().fold(1.0, f32::max));
    let (low, high, original) = (1.0, 4.0, 8192.0);
    let unknown =
        || Error::model("does not hold Llama 3's RoPE scaling, so it is not supported").field("rope_freqs.weight");
    if factors.len() != head_dim / 2 {
        return Err(unknown());
    }
    for (i, found) in factors.iter().enumerate() {
        // The wavelength of pair i is 2π·θ^(2i/D): long ones are divided, short ones kept, those between blended.
        let wavelength = 2.0 * std::f64::consts::PI * theta.powf(2.0 * i as f64 / head_dim as f64);
        let expected = if wavelength < original / high {
            1.0
        } else if wavelength > original / low {
            factor
        } else {
            let smooth = (original / wavelength - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        };
        if (f64::from(*found) - expected).abs() > 1e-3 * expected {
            return Err(unknown());
        }
    }
    Ok(json!({
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original as u64,
    }))
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
    }

    #[test]
    fn a_rope_table_of_llama_3_gives_its_scaling_back() {
        let (theta, head_dim) = (500000.0f64, 64);
        let table = |factor: f64| -> Vec<f32> {
            let divisors = (0..head_dim / 2).map(|i| {
                let wavelength = std::f64::consts::TAU * theta.powf(2.0 * i as f64 / head_dim as f64);
                let turns = 8192.0 / wavelength;
                let smooth = ((turns - 1.0) / 3.0).clamp(0.0, 1.0);
                (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
            });
            divisors.collect()
        };
        let scaling = llama3_scaling(&table(32.0), theta, head_dim).unwrap();
        assert_eq!(scaling["factor"], json!(32.0));
        let mut broken = table(32.0);
        broken[20] *= 1.5;
        assert!(llama3_scaling(&broken, theta, head_dim).is_err());
    }
}
