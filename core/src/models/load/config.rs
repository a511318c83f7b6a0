//! config.json as the loader reads it: a value of the right type within its limits, or an error that names the key.

use super::Loader;
use crate::{
    error::{Error, Result},
    head_spec::{HeadLayers, HeadRecord, HeadSpec},
    models::keys,
};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::{Message, messages::models as msg};
use serde_json::Value;

/// A width, a vocabulary, a number of classes at most: products of two fit 64 bits with room to spare.
const MOST_SIZE: usize = 1 << 24;
/// Classes of a head at most, where config.json gives their number without naming them.
const MOST_LABELS: usize = 1 << 16;
/// The width of an attention head at most: tables of angles are made of it before a tensor is seen.
pub(crate) const MOST_HEAD_WIDTH: usize = 4096;
/// Layers at most.
const MOST_LAYERS: usize = 1024;

impl Loader<'_> {
    /// The value of a key, or of its other name; null is none.
    pub(super) fn key(&self, key: &str) -> Option<&Value> {
        self.stated(key).filter(|value| !value.is_null())
    }

    /// The same with null.
    fn stated(&self, key: &str) -> Option<&Value> {
        let config = &self.files.config;
        let alias = || self.aliases.iter().find(|(_, known)| *known == key);
        config.get(key).or_else(|| config.get(alias()?.0))
    }

    /// Whether config.json has null for a key.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.stated(key).is_some_and(Value::is_null)
    }

    /// A whole number of config.json.
    pub(crate) fn number(&self, key: &str) -> Result<usize> {
        self.optional_number(key)?.ok_or_else(|| missing(key))
    }

    pub(crate) fn optional_number(&self, key: &str) -> Result<Option<usize>> {
        self.limited(key, 1 << 30)
    }

    /// A whole number that is one of a tensor's sizes.
    pub(crate) fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?.ok_or_else(|| missing(key))
    }

    pub(crate) fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        self.limited(key, MOST_SIZE)
    }

    /// A number of layers: each has tensors of its own, so that there are not more layers than tensors.
    pub(crate) fn layers(&self, key: &str) -> Result<usize> {
        self.optional_layers(key)?.ok_or_else(|| missing(key))
    }

    pub(crate) fn optional_layers(&self, key: &str) -> Result<Option<usize>> {
        let Some(layers) = self.limited(key, MOST_LAYERS)? else {
            return Ok(None);
        };
        let tensors = self.files.entries().len();
        if !self.fresh && layers > tensors {
            return Err(wrong(key, msg::MoreLayersThanTensors { layers, tensors }));
        }
        Ok(Some(layers))
    }

    /// How many heads divide `width`.
    pub(crate) fn heads(&self, key: &str, width: usize) -> Result<usize> {
        let heads = self.size(key)?;
        match heads <= width {
            true => Ok(heads),
            false => Err(wrong(key, msg::MoreHeadsThanWidth { heads, width })),
        }
    }

    /// The width of a head by config.json, else `otherwise`.
    pub(crate) fn head_width(&self, key: &str, otherwise: usize) -> Result<usize> {
        Ok(self.limited(key, MOST_HEAD_WIDTH)?.unwrap_or(otherwise))
    }

    /// Whether a number of layers or tokens is 0.
    pub(crate) fn is_zero(&self, key: &str) -> bool {
        self.key(key).and_then(Value::as_u64) == Some(0)
    }

    fn limited(&self, key: &str, most: usize) -> Result<Option<usize>> {
        let Some(value) = self.key(key) else {
            return Ok(None);
        };
        let number = value.as_u64().filter(|number| *number > 0);
        let got = keys::bounded(value);
        let number = number.ok_or_else(|| wrong(key, msg::NotPositiveWhole { got }))?;
        match usize::try_from(number) {
            Ok(number) if number <= most => Ok(Some(number)),
            _ => Err(wrong(key, msg::AboveMost { most, got: number })),
        }
    }

    /// The product of sizes that `key` is one of, itself a size.
    pub(crate) fn product(&self, key: &str, sizes: &[usize]) -> Result<usize> {
        let product = sizes
            .iter()
            .try_fold(1usize, |product, size| product.checked_mul(*size));
        let product = product.filter(|product| *product <= MOST_SIZE);
        product.ok_or_else(|| {
            let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
            let sizes = sizes.join(" × ");
            wrong(key, msg::SideTooLarge { sizes })
        })
    }

    /// A number that is one in 32 bits, too.
    pub(crate) fn real(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.key(key) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|number| (*number as f32).is_finite());
        let got = keys::bounded(value);
        number.ok_or_else(|| wrong(key, common::NotFinite { got })).map(Some)
    }

    /// A number above 0.
    pub(crate) fn positive(&self, key: &str, otherwise: f64) -> Result<f64> {
        let number = self.real(key)?.unwrap_or(otherwise);
        match number as f32 > 0.0 {
            true => Ok(number),
            false => Err(wrong(key, common::NotAboveZero { got: number })),
        }
    }

    /// A number of 0 or more, as the epsilon of a norm and the limit of a score are.
    pub(crate) fn not_negative(&self, key: &str, otherwise: f64) -> Result<f32> {
        let number = self.real(key)?.unwrap_or(otherwise) as f32;
        match number >= 0.0 {
            true => Ok(number),
            false => Err(wrong(key, msg::BelowZero { got: number })),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<bool> {
        self.flag_or(key, false)
    }

    pub(crate) fn flag_or(&self, key: &str, otherwise: bool) -> Result<bool> {
        match self.key(key) {
            None => Ok(otherwise),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => {
                let got = keys::bounded(value);
                Err(wrong(key, msg::NotBoolean { got }))
            }
        }
    }

    /// The head that a run puts on, in place of config.json's.
    pub(crate) fn new_head(&self) -> Option<&HeadSpec> {
        self.files.head.as_ref()
    }

    /// The layers of a run's head before its outputs.
    pub(crate) fn head_layers(&self) -> Result<HeadLayers> {
        if let Some(head) = self.new_head() {
            return Ok(head.record.layers.clone());
        }
        let run = HeadRecord::read(&self.files.config)?;
        Ok(run.map(|run| run.layers).unwrap_or_default())
    }

    /// A token's number, which may be 0; a negative one is none.
    pub(crate) fn token_id(&self, key: &str) -> Result<Option<u32>> {
        let Some(value) = self.key(key) else {
            return Ok(None);
        };
        if value.as_i64().is_some_and(|id| id < 0) {
            return Ok(None);
        }
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        let got = keys::bounded(value);
        id.map(Some).ok_or_else(|| wrong(key, msg::NotTokenId { got }))
    }

    /// The class of transformers that the model was saved from.
    ///
    /// # Errors
    /// There are other things than names.
    pub(crate) fn architecture(&self) -> Result<Option<&str>> {
        let Some(value) = self.key("architectures") else {
            return Ok(None);
        };
        let names = value.as_array().map(|names| names.iter().map(Value::as_str));
        let names: Option<Vec<&str>> = names.and_then(Iterator::collect);
        let names = names.ok_or_else(|| {
            let got = keys::bounded(value);
            wrong("architectures", msg::NotNames { got })
        })?;
        Ok(names.first().copied())
    }

    /// Labels of a classifier; 2 by default, as in transformers.
    pub(crate) fn labels(&self) -> Result<usize> {
        if let Some(head) = self.new_head() {
            return Ok(head.labels.len());
        }
        let named = self
            .object("id2label")?
            .and_then(Value::as_object)
            .map(|labels| labels.len());
        match named.filter(|&count| count > 0) {
            Some(count) => Ok(count),
            None => Ok(self.limited("num_labels", MOST_LABELS)?.unwrap_or(2)),
        }
    }

    /// Which of `count` layers have a sliding window, by config.json's `layer_types`; `None` without that list.
    pub(crate) fn sliding_layers(&self, count: usize) -> Result<Option<Vec<bool>>> {
        const KEY: &str = "layer_types";
        let Some(value) = self.key(KEY) else {
            return Ok(None);
        };
        let got = keys::bounded(value);
        let types = value.as_array().ok_or_else(|| wrong(KEY, msg::NotList { got }))?;
        if types.len() != count {
            let (found, layers) = (types.len(), count);
            return Err(wrong(KEY, msg::LayerTypesCount { found, layers }));
        }
        let slides = types.iter().map(|kind| match kind.as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => {
                let kind = keys::bounded(kind);
                Err(Error::model(msg::UnknownLayerType { kind })
                    .file("config.json")
                    .field(KEY))
            }
        });
        slides.collect::<Result<_>>().map(Some)
    }

    /// Tokens in the sliding window: `sliding_window`, else `otherwise`; null is no window.
    pub(crate) fn window(&self, otherwise: usize) -> Result<Option<usize>> {
        const KEY: &str = "sliding_window";
        match self.is_null(KEY) {
            true => Ok(None),
            false => Ok(Some(self.optional_number(KEY)?.unwrap_or(otherwise))),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Result<String> {
        self.optional_text(key)?.ok_or_else(|| missing(key))
    }

    pub(crate) fn optional_text(&self, key: &str) -> Result<Option<String>> {
        match self.key(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value) => {
                let got = keys::bounded(value);
                Err(wrong(key, msg::NotName { got }))
            }
        }
    }

    pub(crate) fn text_or(&self, key: &str, otherwise: &str) -> Result<String> {
        Ok(self.optional_text(key)?.unwrap_or_else(|| otherwise.to_owned()))
    }

    pub(crate) fn object(&self, key: &str) -> Result<Option<&Value>> {
        match self.key(key) {
            Some(value) if !value.is_object() => {
                let got = keys::bounded(value);
                Err(wrong(key, msg::NotObject { got }))
            }
            other => Ok(other),
        }
    }
}

fn missing(key: &str) -> Error {
    Error::format(msg::MissingKey).file("config.json").field(key)
}

fn wrong(key: &str, what: impl Into<Message>) -> Error {
    Error::format(what).file("config.json").field(key)
}
