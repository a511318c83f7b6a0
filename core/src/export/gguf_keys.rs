//! GGUF's metadata of an architecture, written from config.json: the inverse of what stands beside each forward pass in
//! `models/` (`GgufForm::config`).
//!
//! Reference: `convert_hf_to_gguf.py` and `gguf-py/gguf/constants.py` of ggml-org/llama.cpp.

use super::merged::Merged;
use crate::error::{Error, Result};
use crate::formats::gguf_writer::GgufWriter;
use crate::models::registry;
use lorakeet_i18n::messages::export as msg;
use serde_json::Value;

fn first(config: &Value, keys: &[&str]) -> Option<u64> {
    keys.iter().find_map(|key| config[*key].as_u64())
}

/// config.json and the keys of one architecture.
struct Keys<'a> {
    config: &'a Value,
    architecture: &'static str,
    writer: &'a mut GgufWriter,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    /// An integer at the first of `keys`.
    fn integer(&mut self, name: &str, keys: &[&str], usual: Option<u64>) -> Result<u64> {
        let found = first(self.config, keys).or(usual);
        let lacks = || {
            let key = keys[0];
            Error::model(msg::ConfigLacks { key }).file("config.json").field(key)
        };
        let value = found.and_then(|value| u32::try_from(value).ok()).ok_or_else(lacks)?;
        self.set(name, value);
        Ok(u64::from(value))
    }

    fn set(&mut self, name: &str, value: u32) {
        let key = self.key(name);
        self.writer.u32(&key, value);
    }

    fn float(&mut self, name: &str, value: f64) {
        let key = self.key(name);
        self.writer.f32(&key, value as f32);
    }

    /// A float of config.json; `usual` where it has none.
    fn number(&self, key: &str, usual: f64) -> f64 {
        self.config[key].as_f64().unwrap_or(usual)
    }

    /// The error for a key of config.json whose value llama.cpp does not compute with.
    fn refused(&self, key: &'static str) -> Error {
        let found: String = self.config[key].to_string().chars().take(80).collect();
        let architecture = self.architecture;
        let error = Error::model(msg::NotInLlamaCpp { found, architecture });
        error.file("config.json").field(key).remedy(msg::ExportMergedModel)
    }

    /// Refuses another value of config.json than those that llama.cpp computes with.
    fn only(&self, key: &'static str, known: &[&str]) -> Result<()> {
        match self.config[key].as_str() {
            Some(found) if !known.contains(&found) => Err(self.refused(key)),
            _ => Ok(()),
        }
    }
}

/// Writes the keys of `architecture` and gives the divisors of RoPE's angles, where config.json scales them as Llama 3 does.
///
/// # Errors
/// config.json lacks a size, or asks for what llama.cpp does not compute.
pub(super) fn write(
    writer: &mut GgufWriter,
    merged: &Merged<'_>,
    architecture: &'static str,
) -> Result<Option<Vec<f32>>> {
    let keys = &mut Keys {
        config: &merged.config,
        architecture,
        writer,
    };
    match architecture {
        "gpt2" => gpt2(keys).map(|()| None),
        "bert" => bert(keys).map(|()| None),
        "t5" => t5(keys).map(|()| None),
        _ => rotary(keys),
    }
}

/// Llama, Mistral, Qwen and Gemma.
fn rotary(keys: &mut Keys<'_>) -> Result<Option<Vec<f32>>> {
    let config = keys.config;
    let is_gemma = keys.architecture.starts_with("gemma");
    match is_gemma {
        true => keys.only("hidden_activation", &["gelu_pytorch_tanh"])?,
        false => keys.only("hidden_act", &["silu"])?,
    }
    let layers = keys.integer("block_count", &["num_hidden_layers"], None)?;
    keys.integer("context_length", &["max_position_embeddings"], Some(2048))?;
    let width = keys.integer("embedding_length", &["hidden_size"], None)?;
    keys.integer("feed_forward_length", &["intermediate_size"], None)?;
    let heads = keys.integer("attention.head_count", &["num_attention_heads"], None)?;
    keys.set("attention.head_count_kv", registry::heads(config).key_value as u32);
    keys.float("attention.layer_norm_rms_epsilon", keys.number("rms_norm_eps", 1e-6));
    let usual = match keys.architecture {
        "gemma2" | "gemma3" => 256,
        "qwen3" => 128,
        _ => width / heads.max(1),
    };
    let stated = config["head_dim"].as_u64();
    let head_dim = stated.unwrap_or(if config.get("head_dim").is_some() {
        width / heads.max(1)
    } else {
        usual
    });
    keys.set("attention.key_length", head_dim as u32);
    keys.set("attention.value_length", head_dim as u32);
    if keys.architecture == "llama" {
        keys.set("rope.dimension_count", head_dim as u32);
        keys.integer("vocab_size", &["vocab_size"], None)?;
    }
    if config["use_sliding_window"] == Value::Bool(true) {
        return Err(keys.refused("use_sliding_window"));
    }
    if is_gemma {
        gemma(keys, layers, (width, heads, head_dim))?;
    }
    rope(keys, head_dim)
}

/// Windows, caps and the scale of scores.
fn gemma(keys: &mut Keys<'_>, layers: u64, (width, heads, head_dim): (u64, u64, u64)) -> Result<()> {
    let config = keys.config;
    let third = keys.architecture == "gemma3";
    // llama.cpp knows the scale of scores of each size.
    let largest = layers == if third { 62 } else { 46 };
    let known = if largest {
        width as f64 / heads as f64
    } else {
        head_dim as f64
    };
    if keys.number("query_pre_attn_scalar", 256.0) != known {
        return Err(keys.refused("query_pre_attn_scalar"));
    }
    let local = config["rope_parameters"]["sliding_attention"]["rope_theta"].as_f64();
    if third && local.unwrap_or(keys.number("rope_local_base_freq", 1e4)) != 1e4 {
        return Err(keys.refused("rope_local_base_freq"));
    }
    let every = if third { 6 } else { 2 };
    if let Some(types) = config["layer_types"].as_array() {
        let slides = |layer: u64| {
            if layer.is_multiple_of(every) {
                "full_attention"
            } else {
                "sliding_attention"
            }
        };
        if (1..=types.len() as u64).any(|layer| types[layer as usize - 1] != slides(layer)) {
            return Err(keys.refused("layer_types"));
        }
    }
    let window = config["sliding_window"].as_u64().unwrap_or(4096);
    keys.set("attention.sliding_window", window as u32);
    for (name, usual) in [("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)] {
        let cap = match config.get(name) {
            None if !third => Some(usual),
            value => value.and_then(Value::as_f64),
        };
        match cap {
            Some(cap) => keys.float(name, cap),
            // Without the key llama.cpp has Gemma 2's usual cap.
            None if !third => return Err(keys.refused(name)),
            None => {}
        }
    }
    Ok(())
}

/// θ and its scaling.
fn rope(keys: &mut Keys<'_>, head_dim: u64) -> Result<Option<Vec<f32>>> {
    let config = keys.config;
    let parameters = &config["rope_parameters"];
    // Gemma 3 has parameters by the kind of a layer.
    let full = match parameters["full_attention"].is_object() {
        true => &parameters["full_attention"],
        false => parameters,
    };
    let usual = if keys.architecture == "gemma3" { 1e6 } else { 1e4 };
    let theta = full["rope_theta"]
        .as_f64()
        .or(config["rope_theta"].as_f64())
        .unwrap_or(usual);
    keys.float("rope.freq_base", theta);
    let scaling = match config["rope_scaling"].is_object() {
        true => &config["rope_scaling"],
        false => full,
    };
    let kind = scaling["rope_type"].as_str().or(scaling["type"].as_str());
    let number = |key: &str| scaling[key].as_f64();
    match kind {
        None | Some("default") => Ok(None),
        Some(kind @ ("linear" | "yarn")) => {
            let key = keys.key("rope.scaling.type");
            keys.writer.text(&key, kind);
            keys.float("rope.scaling.factor", number("factor").unwrap_or(1.0));
            if let Some(original) = scaling["original_max_position_embeddings"].as_u64() {
                keys.set("rope.scaling.original_context_length", original as u32);
            }
            for beta in ["beta_fast", "beta_slow"] {
                if let Some(turns) = number(beta) {
                    keys.float(&format!("rope.scaling.yarn_{beta}"), turns);
                }
            }
            Ok(None)
        }
        Some("llama3") => {
            let (factor, low) = (
                number("factor").unwrap_or(8.0),
                number("low_freq_factor").unwrap_or(1.0),
            );
            let high = number("high_freq_factor").unwrap_or(4.0);
            let original = number("original_max_position_embeddings").unwrap_or(8192.0);
            // The wavelength of pair i is 2π·θ^(2i/D): long ones are divided, short ones kept, those between blended.
            let divisor = |i: u64| {
                let turns = original / (std::f64::consts::TAU * theta.powf(2.0 * i as f64 / head_dim as f64));
                let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
            };
            Ok(Some((0..head_dim / 2).map(divisor).collect()))
        }
        Some(_) => Err(keys.refused("rope_scaling")),
    }
}

fn gpt2(keys: &mut Keys<'_>) -> Result<()> {
    keys.only("activation_function", &["gelu_new", "gelu_pytorch_tanh"])?;
    keys.integer("block_count", &["n_layer", "num_hidden_layers"], None)?;
    keys.integer("context_length", &["n_positions", "max_position_embeddings"], None)?;
    let width = keys.integer("embedding_length", &["n_embd", "hidden_size"], None)?;
    keys.integer("feed_forward_length", &["n_inner"], Some(4 * width))?;
    keys.integer("attention.head_count", &["n_head", "num_attention_heads"], None)?;
    keys.float("attention.layer_norm_epsilon", keys.number("layer_norm_epsilon", 1e-5));
    Ok(())
}

fn bert(keys: &mut Keys<'_>) -> Result<()> {
    keys.only("hidden_act", &["gelu"])?;
    keys.integer("block_count", &["num_hidden_layers"], None)?;
    keys.integer("context_length", &["max_position_embeddings"], None)?;
    keys.integer("embedding_length", &["hidden_size"], None)?;
    keys.integer("feed_forward_length", &["intermediate_size"], None)?;
    keys.integer("attention.head_count", &["num_attention_heads"], None)?;
    keys.float("attention.layer_norm_epsilon", keys.number("layer_norm_eps", 1e-12));
    let key = keys.key("attention.causal");
    keys.writer.bool(&key, false);
    let types = first(keys.config, &["type_vocab_size"]).unwrap_or(2);
    keys.writer.u32("tokenizer.ggml.token_type_count", types as u32);
    Ok(())
}

fn t5(keys: &mut Keys<'_>) -> Result<()> {
    keys.only("feed_forward_proj", &["relu", "gated-gelu"])?;
    let distance = "relative_attention_max_distance";
    if keys.number(distance, 128.0) != 128.0 {
        return Err(keys.refused(distance));
    }
    let layers = keys.integer("block_count", &["num_layers"], None)?;
    keys.integer("decoder_block_count", &["num_decoder_layers"], Some(layers))?;
    keys.integer("context_length", &["n_positions"], Some(512))?;
    keys.integer("embedding_length", &["d_model"], None)?;
    keys.integer("feed_forward_length", &["d_ff"], None)?;
    keys.integer("attention.head_count", &["num_heads"], None)?;
    let width = keys.integer("attention.key_length", &["d_kv"], None)?;
    keys.set("attention.value_length", width as u32);
    keys.integer(
        "attention.relative_buckets_count",
        &["relative_attention_num_buckets"],
        Some(32),
    )?;
    let epsilon = keys.number("layer_norm_epsilon", 1e-6);
    keys.float("attention.layer_norm_epsilon", epsilon);
    keys.float("attention.layer_norm_rms_epsilon", epsilon);
    keys.integer(
        "decoder_start_token_id",
        &["decoder_start_token_id", "pad_token_id"],
        Some(0),
    )?;
    Ok(())
}
