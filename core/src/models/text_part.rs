//! The text part of a model of several parts, such as one that reads images: what config.json's `text_config` describes.
//!
//! [`text_part`] is the one place that knows of it. Behind it the part is a model like any other, whose tensors are found behind
//! their prefix (`names.rs`) and those of the other parts named among what is not used. References: transformers'
//! configuration_utils.py, which writes of a nested configuration only what differs from its class's defaults, and
//! configuration_gemma3.py.

use super::keys::{first_names, is_harmless, shown};
use super::registry::{Architecture, of_model_type, of_text_part};
use crate::error::Result;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::models as msg;
use serde_json::{Map, Value, json};

const KEY: &str = "text_config";

/// Keys of the whole model that hold for its text part, too, where that has none of its own.
const SHARED: [&str; 6] = [
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "quantization_config",
    "tie_word_embeddings",
    "transformers_version",
];

/// The same of a model with a head.
const OF_HEAD: [&str; 5] = [
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "task_specific_params",
];

/// The two names of the weights' number format.
const DTYPES: [&str; 2] = ["dtype", "torch_dtype"];

/// What the model is called: the part may have the name of the model that it was made of.
const NAMES: [&str; 2] = ["_name_or_path", "name"];

/// Ends of the names of transformers' classes with a head.
const WITH_HEAD: [&str; 2] = ["ForSequenceClassification", "ForTokenClassification"];

/// config.json of the text part alone, and the note on what is left out; `None` of a model without parts.
///
/// # Errors
/// The architecture of the text part is not supported.
pub(super) fn text_part(config: &Value) -> Result<Option<(Value, Message)>> {
    let whole = config["model_type"].as_str().unwrap_or_default();
    let (Some(all), Some(own)) = (config.as_object(), config[KEY].as_object()) else {
        return Ok(None);
    };
    let kind = &config[KEY]["model_type"];
    if !kind.is_string() || of_model_type(whole).is_ok() {
        return Ok(None);
    }
    let row = of_text_part(kind, whole)?;
    let mut part = own.clone();
    let head = config["architectures"][0].as_str().unwrap_or_default();
    let head = WITH_HEAD.into_iter().find(|ending| head.ends_with(ending));
    let class = head.map_or_else(|| row.plain_class.to_owned(), |ending| format!("{}{ending}", row.class));
    part.insert("architectures".to_owned(), json!([class]));
    for key in NAMES {
        part.remove(key);
    }
    let shared = SHARED.into_iter().chain(NAMES);
    let of_head = OF_HEAD.into_iter().filter(|_| head.is_some());
    let has_dtype = DTYPES.iter().any(|key| has(&part, key));
    let dtypes = DTYPES.into_iter().filter(|_| !has_dtype);
    for key in shared.chain(of_head).chain(dtypes) {
        if let (false, Some(value)) = (has(&part, key), all.get(key)) {
            part.insert(key.to_owned(), value.clone());
        }
    }
    let left = left_out(all, &part, row);
    fill_in(&mut part, row);
    let (whole, name) = (shown(whole), row.model_type);
    let note = match left.as_slice() {
        [] => msg::TextPart { whole, name, class }.into(),
        left => {
            let left = first_names(left);
            msg::TextPartOnly {
                whole,
                name,
                class,
                left,
            }
            .into()
        }
    };
    Ok(Some((Value::Object(part), note)))
}

fn has(keys: &Map<String, Value>, key: &str) -> bool {
    keys.get(key).is_some_and(|value| !value.is_null())
}

/// The keys of the whole model that have an effect there and that the part does not have, other parts first.
fn left_out<'a>(all: &'a Map<String, Value>, part: &Map<String, Value>, row: &Architecture) -> Vec<&'a str> {
    let is_left = |(key, value): &(&String, &Value)| {
        let is_replaced = [KEY, "model_type", "architectures"].contains(&key.as_str());
        !is_replaced && !value.is_null() && part.get(key.as_str()) != Some(*value) && !is_harmless(row, key)
    };
    let (parts, others): (Vec<_>, Vec<_>) = all.iter().filter(is_left).partition(|(_, value)| value.is_object());
    parts.into_iter().chain(others).map(|(key, _)| key.as_str()).collect()
}

/// Adds the sizes that the part leaves to its class's defaults. A null is not left out: it has a meaning of its own.
fn fill_in(part: &mut Map<String, Value>, row: &Architecture) {
    for (key, size) in row.defaults {
        let mut names = row
            .aliases
            .iter()
            .filter(|(_, own)| own == key)
            .map(|(common, _)| common);
        if !part.contains_key(*key) && !names.any(|name| part.contains_key(*name)) {
            part.insert((*key).to_owned(), json!(size));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &Value) -> (Value, String) {
        let (part, note) = text_part(config).expect("it is supported").expect("it has parts");
        (part, note.english())
    }

    /// config.json of the instruction-tuned Gemma 3 of 4 billion weights.
    fn gemma() -> Value {
        json!({
            "architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255_999, "eoi_token_index": 256_000,
            "eos_token_id": [1, 106], "image_token_index": 262_144, "initializer_range": 0.02, "mm_tokens_per_image": 256,
            "model_type": "gemma3", "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0",
            "text_config": {
                "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
                "rope_scaling": { "factor": 8.0, "rope_type": "linear" }, "sliding_window": 1024
            },
            "vision_config": { "hidden_size": 1152, "model_type": "siglip_vision_model" }
        })
    }

    #[test]
    fn the_text_part_has_its_own_keys_some_of_the_whole_and_the_defaults_of_its_class() {
        let (part, note) = read(&gemma());
        let wanted = json!({
            "architectures": ["Gemma3ForCausalLM"], "eos_token_id": [1, 106], "hidden_size": 2560,
            "intermediate_size": 10240, "max_position_embeddings": 131_072, "model_type": "gemma3_text",
            "num_attention_heads": 8, "num_hidden_layers": 34, "num_key_value_heads": 4,
            "rope_scaling": { "factor": 8.0, "rope_type": "linear" }, "sliding_window": 1024, "torch_dtype": "bfloat16",
            "transformers_version": "4.50.0.dev0", "vocab_size": 262_208
        });
        assert_eq!(part, wanted);
        for word in [
            "gemma3,",
            "gemma3_text",
            "Gemma3ForCausalLM",
            ": vision_config, boi_token_index",
        ] {
            assert!(note.contains(word), "{word}: {note}");
        }
        assert!(
            note.contains("mm_tokens_per_image") && !note.contains("torch_dtype"),
            "{note}"
        );
    }

    #[test]
    fn what_the_text_part_says_itself_counts() {
        let mut config = gemma();
        config["tie_word_embeddings"] = json!(true);
        config["dtype"] = json!("float16");
        config["_name_or_path"] = json!("somebody/whole");
        let text = &mut config["text_config"];
        text["eos_token_id"] = json!(7);
        text["pad_token_id"] = Value::Null;
        text["tie_word_embeddings"] = json!(false);
        text["dtype"] = json!("float32");
        text["num_attention_heads"] = json!(4);
        text["_name_or_path"] = json!("somebody/part");
        text["architectures"] = json!(["SomethingElse"]);
        config["pad_token_id"] = json!(3);
        let (part, note) = read(&config);
        assert_eq!(part["eos_token_id"], 7);
        assert_eq!(part["pad_token_id"], 3);
        assert_eq!(part["tie_word_embeddings"], false);
        assert_eq!(
            (&part["dtype"], &part["torch_dtype"]),
            (&json!("float32"), &Value::Null)
        );
        assert_eq!(part["num_attention_heads"], 4);
        assert_eq!(part["_name_or_path"], "somebody/whole");
        assert_eq!(part["architectures"], json!(["Gemma3ForCausalLM"]));
        // What the part overrides is left out of the whole, and is named.
        assert!(note.contains("eos_token_id"), "{note}");
    }

    #[test]
    fn a_size_by_its_other_name_is_no_default() {
        let (part, note) = read(&json!({
            "model_type": "describer", "text_config": { "model_type": "gpt2", "hidden_size": 16, "n_layer": null }
        }));
        assert_eq!((&part["n_embd"], &part["n_layer"]), (&Value::Null, &Value::Null));
        assert_eq!(part["n_head"], 12);
        assert!(note.contains("GPT2LMHeadModel") && !note.contains("Not used"), "{note}");
    }

    #[test]
    fn a_classifier_stays_one() {
        let mut config = gemma();
        config["architectures"] = json!(["Gemma3ForSequenceClassification"]);
        config["id2label"] = json!({ "0": "no", "1": "yes" });
        let (part, note) = read(&config);
        assert_eq!(part["architectures"], json!(["Gemma3TextForSequenceClassification"]));
        assert_eq!(part["id2label"], config["id2label"]);
        assert!(note.contains("Gemma3TextForSequenceClassification"), "{note}");
    }

    #[test]
    fn a_model_without_parts_is_left_alone() {
        for config in [
            json!({ "model_type": "llama" }),
            json!({ "model_type": "llama", "text_config": { "model_type": "gpt2" } }),
            json!({ "model_type": "whole", "text_config": {} }),
            json!({ "model_type": "whole", "text_config": { "model_type": 3 } }),
            json!({ "model_type": "whole", "text_config": "llama" }),
            json!([]),
            Value::Null,
        ] {
            assert_eq!(text_part(&config), Ok(None), "{config}");
        }
    }

    #[test]
    fn a_text_part_that_is_not_supported_is_named_with_the_list() {
        for kind in ["gemma3n_text", "small_mlp"] {
            let config = json!({ "model_type": "whole_model", "text_config": { "model_type": kind } });
            let error = text_part(&config).expect_err("it is not supported").to_string();
            for word in [
                "config.json",
                "text_config.model_type",
                kind,
                "whole_model",
                "gemma3_text",
                "llama",
            ] {
                assert!(error.contains(word), "{word}: {error}");
            }
        }
    }
}
