//! What GGUF's metadata say, in the layout of Hugging Face's config.json: what all architectures have in common. What one has
//! of its own stands beside its forward pass in `models/` ([`GgufForm::config`]).
//!
//! Reference: `gguf-py/gguf/constants.py` and `convert_hf_to_gguf.py` of ggml-org/llama.cpp, and, for what they leave out
//! since every published model has the same, the defaults of `llama-model.cpp`. Each such default is named where it stands.

use super::gguf::{Header, Metadata, Value};
use super::gguf_names::GgufForm;
use super::safetensors::Placed;
use crate::{Error, Result};
use lorakeet_i18n::Field;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use serde_json::{Value as Json, json};

/// An architecture that a GGUF file may hold.
#[derive(Clone, Copy)]
pub struct GgufModel {
    /// `model_type` of config.json.
    pub model_type: &'static str,
    /// Its class in transformers.
    pub class: &'static str,
    /// How the file holds it.
    pub form: &'static GgufForm,
}

/// The architecture that GGUF files call by a name, or the error that lists those that are read.
pub type OfGguf = fn(&str) -> Result<GgufModel>;

/// What a file says before its numbers, and what it holds.
pub struct GgufFile<'a> {
    pub(crate) metadata: &'a Metadata,
    pub(crate) tensors: &'a [Placed],
    /// Its tensor `rope_freqs.weight`.
    rope_factors: Option<&'a [f32]>,
    pub(crate) model: GgufModel,
}

/// The sizes that every architecture has.
pub(crate) struct Sizes {
    pub(crate) width: u64,
    pub(crate) layers: u64,
    pub(crate) heads: u64,
    pub(crate) inner: u64,
    pub(crate) positions: u64,
}

/// The architecture of a file, if this engine runs it.
///
/// # Errors
/// `general.architecture` is missing or unknown to `of_gguf`, or the file is one part of several.
pub(super) fn model(metadata: &Metadata, of_gguf: OfGguf) -> Result<GgufModel> {
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
    of_gguf(name)
}

impl<'a> GgufFile<'a> {
    pub(crate) fn new(header: &'a Header, model: GgufModel, rope_factors: Option<&'a [f32]>) -> Self {
        Self {
            metadata: &header.metadata,
            tensors: &header.tensors,
            rope_factors,
            model,
        }
    }

    /// The config in Hugging Face's layout.
    ///
    /// # Errors
    /// A key or tensor that the architecture needs is missing, or says what this engine does not run.
    pub(crate) fn config(&self) -> Result<Json> {
        let mut config = (self.model.form.config)(self)?;
        config["model_type"] = json!(self.model.model_type);
        config["architectures"] = json!([self.model.class]);
        config["vocab_size"] = json!(self.rows("token_embd.weight")?);
        for (name, from) in [("bos", "bos"), ("eos", "eos"), ("pad", "padding")] {
            if let Some(id) = self.metadata.integer(&format!("tokenizer.ggml.{from}_token_id")) {
                config[format!("{name}_token_id")] = json!(id);
            }
        }
        Ok(config)
    }

    /// The key `name` of the file's architecture.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.model.form.architecture)
    }

    /// A positive number.
    pub(crate) fn integer(&self, name: &str) -> Result<u64> {
        let found = self.metadata.integer(&self.key(name)).filter(|number| *number > 0);
        found.ok_or_else(|| Error::model(msg::NotAPositiveNumber).field(self.key(name)))
    }

    /// A number; JSON has no place for one that is none.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f64>> {
        finite(self.metadata, &self.key(name))
    }

    /// A number that must be there.
    pub(crate) fn epsilon(&self, name: &str) -> Result<f64> {
        let missing = || Error::model(msg::MissingInMetadata).field(self.key(name));
        self.float(name)?.ok_or_else(missing)
    }

    /// Whether there is a tensor called `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.iter().any(|tensor| tensor.name == name)
    }

    /// Rows of the matrix `name`.
    pub(crate) fn rows(&self, name: &str) -> Result<usize> {
        let tensor = self.tensors.iter().find(|tensor| tensor.name == name);
        let rows = tensor.and_then(|tensor| tensor.shape.first().copied());
        rows.ok_or_else(|| Error::model(common::IsMissing).field(name))
    }

    pub(crate) fn sizes(&self) -> Result<Sizes> {
        Ok(Sizes {
            width: self.integer("embedding_length")?,
            layers: self.integer("block_count")?,
            positions: self.integer("context_length")?,
            heads: self.integer("attention.head_count")?,
            inner: self.integer("feed_forward_length")?,
        })
    }

    /// D: what the metadata say, or C/H.
    pub(crate) fn head_dim(&self, sizes: &Sizes) -> u64 {
        let stated = self.metadata.integer(&self.key("attention.key_length"));
        stated.unwrap_or(sizes.width / sizes.heads)
    }

    /// Key/value heads; `heads` where the metadata does not say.
    pub(crate) fn kv_heads(&self, heads: u64) -> Result<u64> {
        let key = self.key("attention.head_count_kv");
        match self.metadata.0.get(&key) {
            None => Ok(heads),
            Some(_) => self
                .metadata
                .integer(&key)
                .filter(|number| *number > 0)
                .ok_or_else(|| Error::model(msg::LayersDiffer).field(key)),
        }
    }

    /// Hugging Face's `rope_scaling`, or null.
    pub(crate) fn rope_scaling(&self, head_dim: u64) -> Result<Json> {
        let metadata = self.metadata;
        let key = |name: &str| self.key(&format!("rope.scaling.{name}"));
        // Each changes what is computed, and is left out where it changes nothing.
        let rope = |name: &str| self.key(&format!("rope.{name}"));
        for (key, plain) in [
            (rope("dimension_count"), head_dim as f64),
            (key("attn_factor"), 1.0),
            (key("yarn_attn_factor"), 1.0),
            (key("yarn_ext_factor"), 1.0),
            (rope("scale_linear"), 1.0),
            (self.key("attention.value_length"), head_dim as f64),
        ] {
            if let Some(found) = finite(metadata, &key)?.filter(|number| *number != plain) {
                return Err(Error::model(msg::OnlyIsSupported { found, only: plain }).field(key));
            }
        }
        if let Some(factors) = self.rope_factors {
            let theta = self.float("rope.freq_base")?.unwrap_or(10_000.0);
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
