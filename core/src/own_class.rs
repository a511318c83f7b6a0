//! Models whose head no class of transformers has: the mean of the tokens, a hidden layer of a run's own, targets that were scaled.
//! Read as the architecture's own class, their numbers would be others without a word. So their config.json names a class that comes
//! with the files ([`CLASS`]), which transformers loads with `trust_remote_code=True` and refuses without.
//!
//! Reference: `auto_map` in transformers' `dynamic_module_utils.py` and `models/auto/configuration_auto.py`.

use crate::config::{HeadPooling, SMALL_MODELS};
use crate::error::Result;
use crate::head_spec::{HeadRecord, OwnHead};
use serde_json::{Value, json};

/// The file with the class.
pub const CLASS_FILE: &str = "modeling_lorakeet.py";
/// What is in it.
pub const CLASS: &str = include_str!("own_class/modeling_lorakeet.py");
/// Its `model_type`, and the key of config.json with what was there before and the head.
const MODEL_TYPE: &str = "lorakeet";

/// config.json with the class named; `None` where transformers has the head. `head` says how the head is built whose hidden layer has
/// this activation, where it has layers of its own.
///
/// # Errors
/// What a run wrote of its head is broken.
pub fn wrapped(config: &Value, head: impl FnOnce(Option<String>) -> Option<OwnHead>) -> Result<Option<Value>> {
    let (model_type, first) = (config["model_type"].as_str(), config["architectures"][0].as_str());
    let is_small = model_type.is_some_and(|known| SMALL_MODELS.contains(&known));
    let class = first.and_then(|class| {
        ["SequenceClassification", "TokenClassification"]
            .into_iter()
            .find(|end| class.ends_with(end))
    });
    let (Some(class), Some(record), false) = (class, HeadRecord::read(config)?, is_small) else {
        return Ok(None);
    };
    let layers = record.layers;
    let is_transformers_own =
        layers.pooling != Some(HeadPooling::Mean) && layers.hidden_size == 0 && record.targets.0.is_empty();
    if is_transformers_own {
        return Ok(None);
    }
    let own = format!("LorakeetFor{class}");
    let mut wrapped = config.clone();
    wrapped[MODEL_TYPE] = json!({
        "model_type": config["model_type"],
        "architectures": config["architectures"],
        "head": head(layers.activation).map(|head| head.to_json()),
    });
    wrapped["model_type"] = json!(MODEL_TYPE);
    wrapped["architectures"] = json!([own]);
    wrapped["auto_map"] = json!({
        "AutoConfig": "modeling_lorakeet.LorakeetConfig",
        format!("AutoModelFor{class}"): format!("modeling_lorakeet.{own}"),
    });
    Ok(Some(wrapped))
}

/// config.json as it is read here: that of the architecture.
pub fn unwrapped(mut config: Value) -> Value {
    if config["model_type"] == MODEL_TYPE
        && let Some(Value::Object(before)) = config.as_object_mut().and_then(|config| config.remove(MODEL_TYPE))
    {
        for key in ["model_type", "architectures"] {
            config[key] = before.get(key).cloned().unwrap_or_default();
        }
        config.as_object_mut().map(|config| config.remove("auto_map"));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(run: Value) -> Value {
        json!({
            "model_type": "bert",
            "architectures": ["BertForSequenceClassification"],
            "task_specific_params": { "lorakeet": run },
        })
    }

    #[test]
    fn a_head_that_transformers_lacks_names_its_class_and_is_read_back() {
        let head = OwnHead {
            module: "classifier".into(),
            is_mean: true,
            has_dense: false,
            hidden_size: 8,
            activation: Some("tanh".into()),
            dropout: 0.0,
            out: "out".into(),
            out_bias: true,
        };
        let kinds = [
            json!({ "classifier_pooling": "mean" }),
            json!({ "classifier_hidden_size": 8, "classifier_activation": "tanh" }),
            json!({ "target_mean": [3.0], "target_std": [2.0] }),
        ];
        for run in kinds {
            let plain = config(run);
            let wrapped = wrapped(&plain, |_| Some(head.clone()))
                .expect("it is whole")
                .expect("a class of its own");
            assert_eq!(wrapped["model_type"], "lorakeet");
            assert_eq!(wrapped["architectures"], json!(["LorakeetForSequenceClassification"]));
            let class = &wrapped["auto_map"]["AutoModelForSequenceClassification"];
            let class = class
                .as_str()
                .and_then(|class| class.split_once('.'))
                .expect("file and class");
            assert_eq!(format!("{}.py", class.0), CLASS_FILE);
            assert!(CLASS.contains(&format!("class {}(", class.1)));
            assert_eq!(wrapped["lorakeet"]["head"]["out"], "out");
            assert_eq!(unwrapped(wrapped), plain);
        }
    }

    #[test]
    fn a_head_of_transformers_stays_its_own() {
        let plain = config(json!({ "task": "classification", "classifier_pooling": "cls", "classifier_dropout": 0.1 }));
        assert_eq!(wrapped(&plain, |_| None), Ok(None));
        assert_eq!(unwrapped(plain.clone()), plain);
        let mut small = config(json!({ "classifier_hidden_size": 8 }));
        small["model_type"] = json!(SMALL_MODELS[0]);
        assert_eq!(wrapped(&small, |_| None), Ok(None));
        let vectors = json!({ "model_type": "bert", "architectures": ["BertModel"] });
        assert_eq!(wrapped(&vectors, |_| None), Ok(None));
        // Not ours, whatever it is.
        let other = json!({ "model_type": "lorakeet" });
        assert_eq!(unwrapped(other.clone()), other);
    }
}
