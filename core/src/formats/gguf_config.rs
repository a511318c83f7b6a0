//! What GGUF's metadata say, in the layout of Hugging Face's config.json, for the architectures that this engine runs.
//!
//! Reference: `gguf-py/gguf/constants.py` and `convert_hf_to_gguf.py` of ggml-org/llama.cpp, and, for what they leave out
//! since every published model has the same, the defaults of `llama-model.cpp`. Each such default is named where it stands.

use super::gguf::{Metadata, Value};
use super::safetensors::Placed;
use crate::architectures::{Family, of_gguf};
use crate::{Error, Result};
use lorakeet_i18n::Field;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use serde_json::{Map, Value as Json, json};

/// The config in Hugging Face's layout. `tensors` are the file's own; `rope_factors` is its tensor `rope_freqs.weight`.
///
/// # Errors
/// A key or tensor that the architecture needs is missing, or says what this engine does not run.
pub fn config(
    metadata: &Metadata,
    architecture: &str,
    tensors: &[Placed],
    rope_factors: Option<&[f32]>,
) -> Result<Json> {
    let file = File {
        metadata,
        architecture,
        tensors,
    };
    let known = of_gguf(architecture)?;
    let mut config = match known.family {
        Family::Llama => file.llama(rope_factors)?,
        Family::Gemma => file.gemma(rope_factors)?,
        Family::Gpt2 => file.gpt2()?,
        Family::Bert => file.bert()?,
        Family::T5 => file.t5()?,
        Family::ModernBert | Family::Small => {
            return Err(Error::internal(msg::NoGgufOf { model: known.name }));
        }
    };
    config.insert("model_type".into(), json!(known.model_type));
    config.insert("vocab_size".into(), json!(file.rows("token_embd.weight")?));
    for (name, from) in [("bos", "bos"), ("eos", "eos"), ("pad", "padding")] {
        if let Some(id) = metadata.integer(&format!("tokenizer.ggml.{from}_token_id")) {
            config.insert(format!("{name}_token_id"), json!(id));
        }
    }
    Ok(Json::Object(config))
}

/// What a file says before its numbers.
struct File<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
    tensors: &'a [Placed],
}

/// The sizes that every architecture has.
struct Sizes {
    width: u64,
    layers: u64,
    heads: u64,
    inner: u64,
    positions: u64,
}

impl File<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn integer(&self, name: &str) -> Result<u64> {
        let found = self.metadata.integer(&self.key(name)).filter(|number| *number > 0);
        found.ok_or_else(|| Error::model(msg::NotAPositiveNumber).field(self.key(name)))
    }

    /// A number; JSON has no place for one that is none.
    fn float(&self, name: &str) -> Result<Option<f64>> {
        finite(self.metadata, &self.key(name))
    }

    fn epsilon(&self, name: &str) -> Result<f64> {
        let missing = || Error::model(msg::MissingInMetadata).field(self.key(name));
        self.float(name)?.ok_or_else(missing)
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.iter().any(|tensor| tensor.name == name)
    }

    /// Rows of the matrix `name`.
    fn rows(&self, name: &str) -> Result<usize> {
        let tensor = self.tensors.iter().find(|tensor| tensor.name == name);
        let rows = tensor.and_then(|tensor| tensor.shape.first().copied());
        rows.ok_or_else(|| Error::model(common::IsMissing).field(name))
    }

    fn sizes(&self) -> Result<Sizes> {
        Ok(Sizes {
            width: self.integer("embedding_length")?,
            layers: self.integer("block_count")?,
            positions: self.integer("context_length")?,
            heads: self.integer("attention.head_count")?,
            inner: self.integer("feed_forward_length")?,
        })
    }

    fn gpt2(&self) -> Result<Map<String, Json>> {
        let sizes = self.sizes()?;
        let epsilon = self.float("attention.layer_norm_epsilon")?.unwrap_or(1e-5);
        Ok(object(json!({
            "architectures": ["GPT2LMHeadModel"],
            "tie_word_embeddings": !self.has("output.weight"),
            "n_embd": sizes.width,
            "n_layer": sizes.layers,
            "n_head": sizes.heads,
            "n_positions": sizes.positions,
            "n_inner": sizes.inner,
            "layer_norm_epsilon": epsilon,
            "activation_function": "gelu_new",
            "hidden_size": sizes.width,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "max_position_embeddings": sizes.positions,
        })))
    }

    fn llama(&self, rope_factors: Option<&[f32]>) -> Result<Map<String, Json>> {
        let sizes = self.sizes()?;
        let class = format!("{}ForCausalLM", of_gguf(self.architecture)?.class);
        let head_dim = self.head_dim(&sizes);
        Ok(object(json!({
            "architectures": [class],
            "tie_word_embeddings": !self.has("output.weight"),
            "rope_theta": self.float("rope.freq_base")?.unwrap_or(10_000.0),
            "rope_scaling": rope_scaling(self.metadata, self.architecture, rope_factors, head_dim)?,
            "num_key_value_heads": kv_heads(self.metadata, self.architecture, sizes.heads)?,
            "head_dim": head_dim,
            "rms_norm_eps": self.epsilon("attention.layer_norm_rms_epsilon")?,
            "hidden_act": "silu",
            "attention_bias": self.has("blk.0.attn_q.bias"),
            "mlp_bias": self.has("blk.0.ffn_up.bias"),
            "hidden_size": sizes.width,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.inner,
            "max_position_embeddings": sizes.positions,
        })))
    }

    /// An encoder: the converter leaves pooler and heads out.
    fn bert(&self) -> Result<Map<String, Json>> {
        let sizes = self.sizes()?;
        if self.metadata.bool(&self.key("attention.causal")) == Some(true) {
            let error = Error::model(msg::OnlyEncoders);
            return Err(error.field(self.key("attention.causal")));
        }
        // RoBERTa's positions are stored without the rows of padding, DistilBERT has no segments.
        if let Some(kind) = self
            .metadata
            .text("tokenizer.ggml.model")
            .filter(|kind| *kind != "bert")
        {
            let kind = format!("{kind:?}");
            let error = Error::model(msg::NotRoberta { kind }).field("tokenizer.ggml.model");
            return Err(error.remedy(msg::UseSafetensors));
        }
        if !self.has("token_types.weight") {
            let error = Error::model(msg::NotDistilBert).field("token_types.weight");
            return Err(error.remedy(msg::UseSafetensors));
        }
        Ok(object(json!({
            "architectures": ["BertModel"],
            "layer_norm_eps": self.epsilon("attention.layer_norm_epsilon")?,
            "hidden_act": "gelu",
            "type_vocab_size": self.rows("token_types.weight")?,
            "max_position_embeddings": self.rows("position_embd.weight")?,
            "hidden_size": sizes.width,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.inner,
        })))
    }

    /// Gemma 2, or the text part of Gemma 3.
    fn gemma(&self, rope_factors: Option<&[f32]>) -> Result<Map<String, Json>> {
        let sizes = self.sizes()?;
        let third = self.architecture == "gemma3";
        let head_dim = self.head_dim(&sizes);
        // GGUF says nothing of the scale of scores but for models of other makers: it is 1/√D, but for the largest of each
        // family, which llama.cpp tells by its layers.
        let scalar = match self.float("attention.scale")? {
            Some(found) if found <= 0.0 => {
                return Err(Error::model(common::NotAboveZero { got: found }).field(self.key("attention.scale")));
            }
            Some(scale) => 1.0 / (scale * scale),
            None if sizes.layers == if third { 62 } else { 46 } => sizes.width as f64 / sizes.heads as f64,
            None => head_dim as f64,
        };
        let scaling = rope_scaling(self.metadata, self.architecture, rope_factors, head_dim)?;
        let mut config = object(json!({
            "architectures": [if third { "Gemma3ForCausalLM" } else { "Gemma2ForCausalLM" }],
            "tie_word_embeddings": !self.has("output.weight"),
            "num_key_value_heads": kv_heads(self.metadata, self.architecture, sizes.heads)?,
            "head_dim": head_dim,
            "query_pre_attn_scalar": scalar,
            "rms_norm_eps": self.epsilon("attention.layer_norm_rms_epsilon")?,
            "hidden_activation": "gelu_pytorch_tanh",
            "layer_types": self.layer_types(&sizes)?,
            "hidden_size": sizes.width,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.inner,
            "max_position_embeddings": sizes.positions,
        }));
        let mut set = |name: &str, value: Json| config.insert(name.to_string(), value);
        // Defaults of llama.cpp: Gemma 2's caps 50 and 30 and its window; Gemma 3 has neither caps nor, without a window's
        // width, windows.
        let or = |value: Option<f64>, default: f64| value.or((!third).then_some(default));
        set(
            "attn_logit_softcapping",
            json!(or(self.float("attn_logit_softcapping")?, 50.0)),
        );
        set(
            "final_logit_softcapping",
            json!(or(self.float("final_logit_softcapping")?, 30.0)),
        );
        if let Some(window) = self.window() {
            set("sliding_window", json!(window));
        }
        if third {
            // Layers with a window turn by a theta of their own and are not scaled.
            set(
                "rope_theta",
                json!(self.float("rope.freq_base")?.unwrap_or(1_000_000.0)),
            );
            let sliding = self.float("rope.freq_base_swa")?.unwrap_or(10_000.0);
            set("rope_local_base_freq", json!(sliding));
        } else {
            set("rope_theta", json!(self.float("rope.freq_base")?.unwrap_or(10_000.0)));
        }
        set("rope_scaling", scaling);
        Ok(config)
    }

    /// Tokens that a layer with a window sees.
    fn window(&self) -> Option<u64> {
        let default = (self.architecture == "gemma2").then_some(4096);
        let found = self.metadata.integer(&self.key("attention.sliding_window")).or(default);
        found.filter(|window| *window > 0)
    }

    /// Which layers have a window: by a list of truth values, or all but every so many-th; every second of Gemma 2, every
    /// sixth of Gemma 3.
    fn layer_types(&self, sizes: &Sizes) -> Result<Vec<&'static str>> {
        // Each layer has tensors; no list is made of more.
        if sizes.layers > self.tensors.len() as u64 {
            let (layers, tensors) = (sizes.layers, self.tensors.len());
            return Err(Error::model(msg::MoreLayersThanTensors { layers, tensors }).field(self.key("block_count")));
        }
        let key = self.key("attention.sliding_window_pattern");
        let wrong = || Error::model(msg::WrongWindowPattern).field(key.clone());
        let has_window = self.window().is_some();
        let every = match self.metadata.0.get(&key) {
            None if self.architecture == "gemma2" => 2,
            None => 6,
            Some(Value::Integer(every)) => u64::try_from(*every).map_err(|_| wrong())?,
            Some(Value::Integers(slides)) if slides.len() as u64 == sizes.layers => {
                return Ok(slides
                    .iter()
                    .map(|slides| layer_type(has_window && *slides != 0))
                    .collect());
            }
            Some(_) => return Err(wrong()),
        };
        let slides = |layer: u64| has_window && every > 0 && !layer.is_multiple_of(every);
        let types = (1..=sizes.layers).map(|layer| layer_type(slides(layer)));
        Ok(types.collect())
    }

    fn t5(&self) -> Result<Map<String, Json>> {
        let sizes = self.sizes()?;
        let is_gated = self.has("enc.blk.0.ffn_gate.weight");
        let decoder_layers = self.metadata.integer(&self.key("decoder_block_count"));
        let pad = self.metadata.integer("tokenizer.ggml.padding_token_id").unwrap_or(0);
        let start = self.metadata.integer(&self.key("decoder_start_token_id"));
        Ok(object(json!({
            "architectures": ["T5ForConditionalGeneration"],
            "tie_word_embeddings": !self.has("output.weight"),
            "d_model": sizes.width,
            "d_kv": self.head_dim(&sizes),
            "d_ff": sizes.inner,
            "num_layers": sizes.layers,
            "num_decoder_layers": decoder_layers.unwrap_or(sizes.layers),
            "num_heads": sizes.heads,
            "n_positions": sizes.positions,
            "relative_attention_num_buckets": self.integer("attention.relative_buckets_count")?,
            // Not in the metadata; llama.cpp and every published model have 128.
            "relative_attention_max_distance": 128,
            "layer_norm_epsilon": self.epsilon("attention.layer_norm_rms_epsilon")?,
            "feed_forward_proj": if is_gated { "gated-gelu" } else { "relu" },
            "decoder_start_token_id": start.unwrap_or(pad),
        })))
    }

    fn head_dim(&self, sizes: &Sizes) -> u64 {
        let stated = self.metadata.integer(&self.key("attention.key_length"));
        stated.unwrap_or(sizes.width / sizes.heads)
    }
}

fn layer_type(slides: bool) -> &'static str {
    if slides { "sliding_attention" } else { "full_attention" }
}

fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// Key/value heads; `heads` where the metadata does not say.
pub(super) fn kv_heads(metadata: &Metadata, architecture: &str, heads: u64) -> Result<u64> {
    let key = format!("{architecture}.attention.head_count_kv");
    match metadata.0.get(&key) {
        None => Ok(heads),
        Some(_) => metadata
            .integer(&key)
            .filter(|number| *number > 0)
            .ok_or_else(|| Error::model(msg::LayersDiffer).field(key)),
    }
}

/// The float at `key`.
///
/// # Errors
/// It is not finite.
fn finite(metadata: &Metadata, key: &str) -> Result<Option<f64>> {
    match (metadata.0.get(key), metadata.float(key)) {
        (None, _) => Ok(None),
        (_, Some(number)) if number.is_finite() => Ok(Some(number)),
        (Some(value), _) => {
            let found = shown(value);
            Err(Error::model(common::NotFinite { got: found }).field(key))
        }
    }
}

fn shown(value: &Value) -> Field {
    match value {
        Value::Float(number) => number.into(),
        Value::Integer(number) => number.into(),
        Value::Bool(value) => value.into(),
        Value::Text(_) => msg::AText.into(),
        Value::Integers(_) | Value::Floats(_) | Value::Texts(_) => msg::AList.into(),
    }
}

/// Hugging Face's `rope_scaling`, or null.
fn rope_scaling(metadata: &Metadata, architecture: &str, factors: Option<&[f32]>, head_dim: u64) -> Result<Json> {
    let key = |name: &str| format!("{architecture}.rope.scaling.{name}");
    // Each changes what is computed, and is left out where it changes nothing.
    let rope = |name: &str| format!("{architecture}.rope.{name}");
    for (key, plain) in [
        (rope("dimension_count"), head_dim as f64),
        (key("attn_factor"), 1.0),
        (key("yarn_attn_factor"), 1.0),
        (key("yarn_ext_factor"), 1.0),
        (rope("scale_linear"), 1.0),
        (format!("{architecture}.attention.value_length"), head_dim as f64),
    ] {
        if let Some(found) = finite(metadata, &key)?.filter(|number| *number != plain) {
            return Err(Error::model(msg::OnlyIsSupported { found, only: plain }).field(key));
        }
    }
    if let Some(factors) = factors {
        let theta = finite(metadata, &format!("{architecture}.rope.freq_base"))?.unwrap_or(10_000.0);
        return llama3_scaling(factors, theta, head_dim as usize);
    }
    let original = metadata.integer(&key("original_context_length"));
    let factor = finite(metadata, &key("factor"))?;
    match (metadata.text(&key("type")), factor) {
        (Some(kind @ ("linear" | "yarn")), Some(factor)) => {
            let mut scaling = json!({"rope_type": kind, "factor": factor});
            if let Some(original) = original {
                scaling["original_max_position_embeddings"] = json!(original);
            }
            for beta in ["beta_fast", "beta_slow"] {
                if let ("yarn", Some(turns)) = (kind, finite(metadata, &key(&format!("yarn_{beta}")))?) {
                    scaling[beta] = json!(turns);
                }
            }
            Ok(scaling)
        }
        (None | Some("none" | "linear" | "yarn"), _) => Ok(Json::Null),
        (Some(kind), _) => {
            let found = format!("{kind:?}");
            Err(Error::model(msg::IsNotSupported { found }).field(key("type")))
        }
    }
}

/// Llama 3's scaling, whose table of divisors is all that GGUF keeps. The factor is the table's largest entry; the
/// other numbers are the same in every published model (1, 4, 8192), and the table is computed again to make sure of
/// them.
fn llama3_scaling(factors: &[f32], theta: f64, head_dim: usize) -> Result<Json> {
    let factor = f64::from(factors.iter().copied().fold(1.0, f32::max));
    let (low, high, original) = (1.0, 4.0, 8192.0);
    let unknown = || Error::model(msg::UnknownRopeFactors).field("rope_freqs.weight");
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
    use crate::formats::Storage;

    /// Gemma's config from its metadata; the keys lack the architecture.
    fn gemma(architecture: &str, layers: i64, more: &[(&str, Value)]) -> Result<Json> {
        let mut metadata = Metadata::default();
        let mut set = |name: &str, value: Value| metadata.0.insert(format!("{architecture}.{name}"), value);
        for (name, value) in [
            ("embedding_length", 64),
            ("block_count", layers),
            ("context_length", 128),
            ("attention.head_count", 4),
            ("attention.head_count_kv", 2),
            ("attention.key_length", 32),
            ("feed_forward_length", 96),
        ] {
            set(name, Value::Integer(value));
        }
        set("attention.layer_norm_rms_epsilon", Value::Float(1e-6));
        for (name, value) in more {
            set(name, value.clone());
        }
        let tensor = |name: String| Placed {
            name,
            shape: vec![8, 64],
            storage: Storage::F32,
            offset: 0,
            bytes: 0,
        };
        let layers = (0..layers).map(|layer| tensor(format!("blk.{layer}.attn_q.weight")));
        let tensors: Vec<Placed> = layers.chain([tensor("token_embd.weight".into())]).collect();
        config(&metadata, architecture, &tensors, None)
    }

    #[test]
    fn scores_of_gemma_are_scaled_by_the_heads_width_but_in_the_largest_models() {
        let scalar = |architecture, layers, more: &[_]| {
            let config = gemma(architecture, layers, more).unwrap();
            config["query_pre_attn_scalar"].as_f64().unwrap()
        };
        assert_eq!(scalar("gemma2", 26, &[]), 32.0);
        assert_eq!(scalar("gemma2", 46, &[]), 16.0);
        assert_eq!(scalar("gemma3", 46, &[]), 32.0);
        assert_eq!(scalar("gemma3", 62, &[]), 16.0);
        assert_eq!(scalar("gemma3", 2, &[("attention.scale", Value::Float(0.25))]), 16.0);
    }

    #[test]
    fn windows_of_gemma_come_in_turn_or_by_a_list() {
        let full = |architecture, more: &[_]| {
            let config = gemma(architecture, 7, more).unwrap();
            let types = config["layer_types"].as_array().unwrap().clone();
            let full = types.iter().enumerate().filter(|(_, kind)| **kind == "full_attention");
            full.map(|(layer, _)| layer).collect::<Vec<usize>>()
        };
        let window = ("attention.sliding_window", Value::Integer(16));
        let pattern = |value| [window.clone(), ("attention.sliding_window_pattern", value)];
        assert_eq!(full("gemma2", &[]), [1, 3, 5]);
        assert_eq!(full("gemma3", std::slice::from_ref(&window)), [5]);
        assert_eq!(full("gemma3", &[]), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(full("gemma3", &pattern(Value::Integer(3))), [2, 5]);
        let list = Value::Integers(vec![1, 0, 1, 1, 1, 1, 0]);
        assert_eq!(full("gemma3", &pattern(list)), [1, 6]);
        for wrong in [Value::Integer(-1), Value::Integers(vec![1]), Value::Bool(true)] {
            let error = gemma("gemma3", 7, &pattern(wrong)).unwrap_err().to_string();
            assert!(error.contains("gemma3.attention.sliding_window_pattern"), "{error}");
        }
    }

    #[test]
    fn more_layers_than_tensors_are_refused() {
        let hostile = [("block_count", Value::Integer(1 << 40))];
        let error = gemma("gemma2", 2, &hostile).unwrap_err().to_string();
        assert!(error.contains("gemma2.block_count"), "{error}");
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
