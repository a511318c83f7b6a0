//! The rule for each key of config.json: used, without effect, or refused. Keys of all architectures are in this file, those of
//! one architecture in its row.
//!
//! The keys are those of transformers' configuration classes (4 and 5) and others that published models have. A key in no
//! table is named in a note, since its effect is unknown.

use super::registry::Architecture;
use crate::error::{Error, Result, shortened};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::head as msg;
use lorakeet_i18n::{Field, Message};
use serde_json::Value;

/// The rule for a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// Used, by the architecture or by the readers of the model's files.
    Computed,
    /// Without effect here: how a model was saved, is served or was pretrained.
    Harmless,
    /// Only this value is supported; others are refused.
    Only(Plain),
    /// The same, of fresh weights only.
    OnlyFresh(Plain),
    /// A dropout of the base, which is not applied.
    Dropout,
}

/// The supported value of a key; null is supported, too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Plain {
    False,
    Zero,
    One,
    Null,
    /// An empty object or list.
    Empty,
    Text(&'static str),
}

impl Plain {
    fn is(self, value: &Value) -> bool {
        match self {
            _ if value.is_null() => true,
            Self::False => *value == Value::Bool(false),
            Self::Zero => value.as_f64() == Some(0.0),
            Self::One => value.as_f64() == Some(1.0),
            Self::Null => false,
            Self::Empty => value.as_object().is_some_and(|map| map.is_empty()) || value == &Value::Array(Vec::new()),
            Self::Text(text) => value.as_str() == Some(text),
        }
    }

    fn name(self) -> String {
        match self {
            Self::False => "false".into(),
            Self::Zero => "0".into(),
            Self::One => "1".into(),
            Self::Null => "null".into(),
            Self::Empty => "{}".into(),
            Self::Text(text) => format!("{text:?}"),
        }
    }
}

/// Space-separated keys by their rule.
pub(super) type Table = &'static [(Rule, &'static str)];

/// The keys of all architectures; an architecture's own tables are searched first.
const ALL: Table = &[
    (
        Rule::Computed,
        "model_type architectures vocab_size tie_word_embeddings initializer_range pad_token_id eos_token_id id2label \
         num_labels problem_type task_specific_params quantization_config _name_or_path name_or_path",
    ),
    // How a model was saved, and what transformers returns from it.
    (
        Rule::Harmless,
        "transformers_version dtype torch_dtype use_bfloat16 torchscript tf_legacy_loss _commit_hash label2id \
         finetuning_task return_dict output_hidden_states output_attentions output_past use_cache \
         cache_implementation tie_last_hidden_states chunk_size_feed_forward gradient_checkpointing pretraining_tp \
         attn_implementation _attn_implementation _attn_implementation_autoset _flash_attn_2_enabled \
         experts_implementation transformers.js_config unsloth_fixed unsloth_version",
    ),
    // The tokenizer's, which are read from its own files.
    (
        Rule::Harmless,
        "bos_token_id sep_token_id cls_token_id mask_token_id unk_token_id decoder_start_token_id tokenizer_class \
         prefix model_max_length",
    ),
    // Settings of transformers' generation; a run has its own.
    (
        Rule::Harmless,
        "max_length max_new_tokens min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty \
         temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size \
         encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores return_dict_in_generate \
         forced_bos_token_id forced_eos_token_id remove_invalid_values exponential_decay_length_penalty \
         suppress_tokens begin_suppress_tokens",
    ),
    (
        Rule::Only(Plain::False),
        "is_decoder add_cross_attention tie_encoder_decoder is_encoder_decoder",
    ),
    (Rule::Only(Plain::Empty), "pruned_heads per_layer_config"),
    (Rule::Only(Plain::Null), "cross_attention_hidden_size"),
];

/// The keys of decoders with RoPE.
pub(super) const ROTARY: Table = &[
    (
        Rule::Computed,
        "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim \
         max_position_embeddings rms_norm_eps rope_theta rope_scaling rope_parameters attention_bias",
    ),
    (Rule::Dropout, "attention_dropout"),
    (Rule::Only(Plain::One), "partial_rotary_factor"),
];

/// The rule for `key` of an architecture; `None` of an unknown key.
fn rule(architecture: &Architecture, key: &str) -> Option<Rule> {
    let tables = architecture.keys.iter().chain([&ALL]);
    let mut rows = tables.flat_map(|table| table.iter());
    let known = rows.find(|(_, keys)| keys.split_whitespace().any(|known| known == key));
    let known = known.map(|(rule, _)| *rule);
    let is_alias = || architecture.aliases.iter().any(|(alias, _)| *alias == key);
    known.or_else(|| is_alias().then_some(Rule::Computed))
}

/// Whether `key` has no effect on an architecture.
pub(super) fn is_harmless(architecture: &Architecture, key: &str) -> bool {
    rule(architecture, key) == Some(Rule::Harmless)
}

/// Refuses keys whose value is not supported; notes say which keys have no effect. `fresh` is true of a model without weights.
///
/// # Errors
/// The first key whose value is not supported, or that contradicts another key.
pub(super) fn check(config: &Value, architecture: &Architecture, fresh: bool) -> Result<Vec<Message>> {
    let Some(config) = config.as_object() else {
        return Err(Error::format(common::NotJsonObject).file("config.json"));
    };
    let (mut unknown, mut dropouts) = (Vec::new(), Vec::new());
    for (key, value) in config {
        let refuse = |plain: Plain| {
            let (value, only, kind) = (bounded(value), plain.name(), architecture.model_type);
            Err(Error::model(msg::OnlySupported { value, only, kind })
                .file("config.json")
                .field(key))
        };
        match rule(architecture, key) {
            Some(Rule::Only(plain)) if !plain.is(value) => return refuse(plain),
            Some(Rule::OnlyFresh(plain)) if fresh && !plain.is(value) => return refuse(plain),
            Some(Rule::Dropout) if !Plain::Zero.is(value) => dropouts.push(format!("{key} {}", bounded(value))),
            None if !value.is_null() => unknown.push(key.as_str()),
            _ => {}
        }
    }
    for (alias, key) in architecture.aliases {
        if let (Some(one), Some(other)) = (config.get(*alias), config.get(*key))
            && one != other
        {
            let (value, other) = (bounded(other), bounded(one));
            let what = msg::AliasDiffers { value, alias, other };
            return Err(Error::format(what).file("config.json").field(*key));
        }
    }
    check_quantization(config.get("quantization_config"))?;
    let mut notes = Vec::new();
    if !unknown.is_empty() {
        let names = first_names(&unknown);
        notes.push(match unknown.len() {
            1 => msg::UnknownKey { names }.into(),
            _ => msg::UnknownKeys { names }.into(),
        });
    }
    if !dropouts.is_empty() {
        let dropouts = Field::list(dropouts);
        notes.push(msg::OwnDropout { dropouts }.into());
    }
    Ok(notes)
}

/// Refuses weights in quantization formats that are not read here.
fn check_quantization(settings: Option<&Value>) -> Result<()> {
    let Some(settings) = settings.filter(|settings| !settings.is_null()) else {
        return Ok(());
    };
    let is_true = |key: &str| settings.get(key).and_then(Value::as_bool) == Some(true);
    match settings.get("quant_method").and_then(Value::as_str) {
        Some("bitsandbytes") => Ok(()),
        None if is_true("load_in_4bit") || is_true("load_in_8bit") => Ok(()),
        method => {
            let method = method.map_or_else(|| msg::UnknownMethod.into(), Field::from);
            Err(Error::model(msg::NotReadQuantized { method })
                .file("config.json")
                .field("quantization_config")
                .remedy(msg::TakeOwnWeights))
        }
    }
}

/// Letters of a name or a value that a message shows.
const MOST_LETTERS: usize = 80;

/// The first names, and how many more there are.
pub(super) fn first_names(names: &[&str]) -> Field {
    const SHOWN: usize = 6;
    Field::first(SHOWN, names.iter().map(|name| shown(name)))
}

/// A name, shortened where it is long.
pub(super) fn shown(name: &str) -> String {
    shortened(name, MOST_LETTERS)
}

/// A value as it is written, unless it is long.
pub(super) fn bounded(value: &Value) -> String {
    shortened(&value.to_string(), MOST_LETTERS)
}
