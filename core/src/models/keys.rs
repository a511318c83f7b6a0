//! What each key of config.json does here, one table for all architectures: computed with, without effect, or refused.
//!
//! The keys are those of transformers' configuration classes (4 and 5) and the ones that published models carry besides. A key
//! that is in no table is named in a note: nobody knows whether it changes a number.

use crate::config::SMALL_MODELS;
use crate::error::{Error, Result};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::common::AndMore;
use lorakeet_i18n::messages::head as msg;
use lorakeet_i18n::{Field, Message};
use serde_json::Value;

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// It is computed with, by the architecture or by what reads the model's files.
    Computed,
    /// It changes no number that is computed here: how a model was saved, is served or was made.
    Harmless,
    /// Another value changes numbers in a way that is not computed, and is refused.
    Only(Plain),
    /// The same, of fresh weights only.
    OnlyFresh(Plain),
    /// A dropout of the base, which is not applied, here as in evaluation.
    Dropout,
}

/// The value with which a key changes nothing; null is so, too.
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

type Table = &'static [(Rule, &'static [&'static str])];

/// Of every architecture; its own table goes first.
const ALL: Table = &[
    (
        Rule::Computed,
        &[
            "model_type",
            "architectures",
            "vocab_size",
            "tie_word_embeddings",
            "initializer_range",
            "pad_token_id",
            "eos_token_id",
            "id2label",
            "num_labels",
            "problem_type",
            "task_specific_params",
            "quantization_config",
            "_name_or_path",
            "name_or_path",
        ],
    ),
    (
        Rule::Harmless,
        &[
            // What a model was saved with, and what transformers returns of it.
            "transformers_version",
            "dtype",
            "torch_dtype",
            "use_bfloat16",
            "torchscript",
            "tf_legacy_loss",
            "_commit_hash",
            "label2id",
            "finetuning_task",
            "return_dict",
            "output_hidden_states",
            "output_attentions",
            "output_past",
            "use_cache",
            "cache_implementation",
            "tie_last_hidden_states",
            "chunk_size_feed_forward",
            "gradient_checkpointing",
            "pretraining_tp",
            "attn_implementation",
            "_attn_implementation",
            "_attn_implementation_autoset",
            "_flash_attn_2_enabled",
            "experts_implementation",
            "transformers.js_config",
            "unsloth_fixed",
            "unsloth_version",
            // The tokenizer's, which its own files say.
            "bos_token_id",
            "sep_token_id",
            "cls_token_id",
            "mask_token_id",
            "unk_token_id",
            "decoder_start_token_id",
            "tokenizer_class",
            "prefix",
            "model_max_length",
            // How transformers generates with it: the knobs of a run say how this program does.
            "max_length",
            "max_new_tokens",
            "min_length",
            "do_sample",
            "early_stopping",
            "num_beams",
            "num_beam_groups",
            "diversity_penalty",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
            "repetition_penalty",
            "length_penalty",
            "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size",
            "bad_words_ids",
            "num_return_sequences",
            "output_scores",
            "return_dict_in_generate",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "remove_invalid_values",
            "exponential_decay_length_penalty",
            "suppress_tokens",
            "begin_suppress_tokens",
        ],
    ),
    (
        Rule::Only(Plain::False),
        &[
            "is_decoder",
            "add_cross_attention",
            "tie_encoder_decoder",
            "is_encoder_decoder",
        ],
    ),
    (Rule::Only(Plain::Empty), &["pruned_heads", "per_layer_config"]),
    (Rule::Only(Plain::Null), &["cross_attention_hidden_size"]),
];

/// Of the decoders that count positions by turning them.
const ROTARY: Table = &[
    (
        Rule::Computed,
        &[
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
            "max_position_embeddings",
            "rms_norm_eps",
            "rope_theta",
            "rope_scaling",
            "rope_parameters",
            "attention_bias",
        ],
    ),
    (Rule::Dropout, &["attention_dropout"]),
    (Rule::Only(Plain::One), &["partial_rotary_factor"]),
];

const LLAMA: Table = &[
    (Rule::Computed, &["hidden_act", "mlp_bias"]),
    (Rule::Harmless, &["is_llama_config"]),
    (Rule::Only(Plain::False), &["rope_interleaved"]),
];
const MISTRAL: Table = &[(Rule::Computed, &["hidden_act", "mlp_bias", "sliding_window"])];
const QWEN: Table = &[(
    Rule::Computed,
    &[
        "hidden_act",
        "mlp_bias",
        "use_sliding_window",
        "sliding_window",
        "max_window_layers",
        "layer_types",
    ],
)];
const GEMMA: Table = &[
    (
        Rule::Computed,
        &[
            "hidden_activation",
            "query_pre_attn_scalar",
            "attn_logit_softcapping",
            "final_logit_softcapping",
            "sliding_window",
            "layer_types",
        ],
    ),
    // Published beside hidden_activation and sliding_window, which are what transformers computes with.
    (Rule::Harmless, &["hidden_act", "sliding_window_size"]),
    (Rule::Only(Plain::False), &["use_bidirectional_attention"]),
];
const GEMMA3: Table = &[
    (Rule::Computed, &["sliding_window_pattern", "rope_local_base_freq"]),
    (Rule::Harmless, &["_sliding_window_pattern"]),
    // transformers has the key and does not compute with it.
    (Rule::Only(Plain::Null), &["attn_logit_softcapping"]),
];
const GPT2: Table = &[
    (
        Rule::Computed,
        &[
            "n_embd",
            "n_layer",
            "n_head",
            "n_positions",
            "n_inner",
            "activation_function",
            "layer_norm_epsilon",
            "scale_attn_weights",
            "scale_attn_by_inverse_layer_idx",
        ],
    ),
    (Rule::Dropout, &["attn_pdrop", "embd_pdrop", "resid_pdrop"]),
    (
        Rule::Harmless,
        &[
            // The order of two factors, for 16-bit floats.
            "reorder_and_upcast_attn",
            // Of a head for multiple choice.
            "summary_type",
            "summary_use_proj",
            "summary_activation",
            "summary_proj_to_labels",
            "summary_first_dropout",
            "n_ctx",
        ],
    ),
];
const BERT: Table = &[
    (
        Rule::Computed,
        &[
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "hidden_act",
            "max_position_embeddings",
            "type_vocab_size",
            "layer_norm_eps",
            "is_decoder",
        ],
    ),
    (
        Rule::Dropout,
        &[
            "hidden_dropout_prob",
            "attention_probs_dropout_prob",
            "classifier_dropout",
        ],
    ),
    (Rule::Only(Plain::Text("absolute")), &["position_embedding_type"]),
    (
        Rule::Harmless,
        &[
            // Of the first implementation's pooler.
            "directionality",
            "pooler_fc_size",
            "pooler_num_attention_heads",
            "pooler_num_fc_layers",
            "pooler_size_per_head",
            "pooler_type",
        ],
    ),
];
const DISTILBERT: Table = &[
    (
        Rule::Computed,
        &[
            "dim",
            "hidden_dim",
            "n_heads",
            "n_layers",
            "activation",
            "max_position_embeddings",
        ],
    ),
    (Rule::Dropout, &["dropout", "attention_dropout", "seq_classif_dropout"]),
    (Rule::Harmless, &["qa_dropout", "tie_weights_"]),
    // Saved weights have the sines in them.
    (Rule::OnlyFresh(Plain::False), &["sinusoidal_pos_embds"]),
];
const MODERNBERT: Table = &[
    (
        Rule::Computed,
        &[
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "hidden_activation",
            "max_position_embeddings",
            "norm_eps",
            "norm_bias",
            "attention_bias",
            "mlp_bias",
            "decoder_bias",
            "layer_types",
            "global_attn_every_n_layers",
            "local_attention",
            "rope_parameters",
            "rope_scaling",
            "global_rope_theta",
            "local_rope_theta",
            "classifier_pooling",
            "classifier_bias",
            "classifier_activation",
        ],
    ),
    (
        Rule::Dropout,
        &[
            "attention_dropout",
            "embedding_dropout",
            "mlp_dropout",
            "classifier_dropout",
        ],
    ),
    (
        Rule::Harmless,
        &[
            "initializer_cutoff_factor",
            "deterministic_flash_attn",
            // Logits of the labelled tokens only, which are all that a loss is made of.
            "sparse_prediction",
            "sparse_pred_ignore_index",
            "reference_compile",
            "repad_logits_with_grad",
            // The older forms of the settings above, which BERT had.
            "position_embedding_type",
            "layer_norm_eps",
        ],
    ),
];
const T5: Table = &[
    (
        Rule::Computed,
        &[
            "d_model",
            "d_kv",
            "d_ff",
            "num_layers",
            "num_decoder_layers",
            "num_heads",
            "n_positions",
            "relative_attention_num_buckets",
            "relative_attention_max_distance",
            "feed_forward_proj",
            "dense_act_fn",
            "is_gated_act",
            "layer_norm_epsilon",
            "decoder_start_token_id",
            "scale_decoder_outputs",
        ],
    ),
    (Rule::Dropout, &["dropout_rate"]),
    // The stacks have their own.
    (
        Rule::Harmless,
        &[
            "is_decoder",
            "is_encoder_decoder",
            "initializer_factor",
            "classifier_dropout",
        ],
    ),
];
const SMALL: Table = &[(
    Rule::Computed,
    &[
        "hidden_size",
        "num_hidden_layers",
        "hidden_act",
        "hidden_dropout_prob",
        "input_size",
        "num_channels",
        "image_size",
        "patch_size",
        "context_length",
        "patch_length",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
    ],
)];

/// The tables of an architecture, its own first.
fn tables(kind: &str) -> &'static [Table] {
    match kind {
        "llama" => &[LLAMA, ROTARY, ALL],
        "mistral" => &[MISTRAL, ROTARY, ALL],
        "qwen2" | "qwen3" => &[QWEN, ROTARY, ALL],
        "gemma2" => &[GEMMA, ROTARY, ALL],
        "gemma3_text" => &[GEMMA3, GEMMA, ROTARY, ALL],
        "gpt2" => &[GPT2, ALL],
        "bert" | "roberta" | "xlm-roberta" => &[BERT, ALL],
        "distilbert" => &[DISTILBERT, ALL],
        "modernbert" => &[MODERNBERT, ALL],
        "t5" => &[T5, ALL],
        small if SMALL_MODELS.contains(&small) => &[SMALL, ALL],
        _ => &[ALL],
    }
}

/// Other names of an architecture's keys: `attribute_map` of its configuration class.
pub(super) fn aliases(kind: &str) -> &'static [(&'static str, &'static str)] {
    match kind {
        "gpt2" => &[
            ("hidden_size", "n_embd"),
            ("num_hidden_layers", "n_layer"),
            ("num_attention_heads", "n_head"),
            ("max_position_embeddings", "n_positions"),
        ],
        "distilbert" => &[
            ("hidden_size", "dim"),
            ("num_attention_heads", "n_heads"),
            ("num_hidden_layers", "n_layers"),
        ],
        "modernbert" => &[("rope_theta", "global_rope_theta")],
        "t5" => &[
            ("hidden_size", "d_model"),
            ("num_attention_heads", "num_heads"),
            ("num_hidden_layers", "num_layers"),
            ("head_dim", "d_kv"),
        ],
        _ => &[],
    }
}

/// What is done with `key` of the architecture `kind`; `None` of a key that nobody knows.
pub(super) fn rule(kind: &str, key: &str) -> Option<Rule> {
    let rows = tables(kind).iter().flat_map(|table| table.iter());
    let known = rows
        .clone()
        .find(|(_, keys)| keys.contains(&key))
        .map(|(rule, _)| *rule);
    let is_alias = || aliases(kind).iter().any(|(alias, _)| *alias == key);
    known.or_else(|| is_alias().then_some(Rule::Computed))
}

/// Refuses what is not computed, and says in notes what has no effect although it might be meant to; `fresh` of a model without
/// weights.
///
/// # Errors
/// The first key whose value is not computed, or that contradicts another one's.
pub(super) fn check(config: &Value, kind: &str, fresh: bool) -> Result<Vec<Message>> {
    let Some(config) = config.as_object() else {
        return Err(Error::format(common::NotJsonObject).file("config.json"));
    };
    let (mut unknown, mut dropouts) = (Vec::new(), Vec::new());
    for (key, value) in config {
        let refuse = |plain: Plain| {
            let (value, only) = (bounded(value), plain.name());
            Err(Error::model(msg::OnlySupported { value, only, kind })
                .file("config.json")
                .field(key))
        };
        match rule(kind, key) {
            Some(Rule::Only(plain)) if !plain.is(value) => return refuse(plain),
            Some(Rule::OnlyFresh(plain)) if fresh && !plain.is(value) => return refuse(plain),
            Some(Rule::Dropout) if !Plain::Zero.is(value) => dropouts.push(format!("{key} {}", bounded(value))),
            None if !value.is_null() => unknown.push(key.as_str()),
            _ => {}
        }
    }
    for (alias, key) in aliases(kind) {
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

/// Refuses weights that are stored in a way that only others undo.
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

/// Some names, and how many there are besides.
pub(super) fn first_names(names: &[&str]) -> Field {
    const SHOWN: usize = 6;
    let names_shown = Field::list(names.iter().take(SHOWN).map(|name| shortened(name)));
    match names.len().saturating_sub(SHOWN) {
        0 => names_shown,
        more => AndMore {
            names: names_shown,
            more,
        }
        .into(),
    }
}

/// A value as it is written, unless it is long.
pub(super) fn bounded(value: &Value) -> String {
    shortened(&value.to_string())
}

fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architectures::ARCHITECTURES;

    #[test]
    fn every_architecture_has_keys_of_its_own() {
        for row in ARCHITECTURES {
            assert!(tables(row.model_type).len() > 1, "{}", row.model_type);
        }
    }
}
