//! The registry of architectures: each row is complete, and says what the models are that it builds.

use crate::common::{golden, now};
use crate::config_keys::classes;
use burn::tensor::Device;
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::models::Model;
use lorakeet_core::models::registry::{ARCHITECTURES, Kind, of_model_type};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// A model of a few fresh weights, all of which are parameters.
fn model(config: Map<String, Value>) -> Model {
    let files = ModelFiles::from_config("test", Value::Object(config));
    let made = now(Model::load(&files, true, 0, &Device::flex(), &mut |_, _| ()));
    made.unwrap_or_else(|error| panic!("{}: {error}", files.config))
}

#[test]
fn every_row_of_a_pretrained_architecture_has_keys_that_a_model_is_made_of() {
    let classes = classes();
    for row in ARCHITECTURES.iter().filter(|row| row.kind != Kind::Small) {
        let (_, keys) = classes
            .iter()
            .find(|(kind, _)| *kind == row.model_type)
            .unwrap_or_else(|| panic!("transformers_keys.json has no {}", row.model_type));
        assert_eq!(model(keys.clone()).info.model_type, row.model_type);
    }
}

#[test]
fn gguf_files_have_a_name_for_every_tensor_of_their_models() {
    let mut cases = classes();
    let gated = |(_, keys): &(String, Map<String, Value>)| {
        let mut keys = keys.clone();
        keys.insert("feed_forward_proj".into(), json!("gated-gelu"));
        keys.retain(|key, _| key != "is_gated_act" && key != "dense_act_fn");
        ("t5".to_owned(), keys)
    };
    cases.extend(cases.iter().find(|(kind, _)| kind == "t5").map(gated));
    let mut held = HashSet::new();
    for (kind, mut keys) in cases {
        let Some(form) = of_model_type(&kind).expect("a row").gguf else {
            continue;
        };
        keys.insert("tie_word_embeddings".into(), json!(false));
        let is_gated = keys.get("feed_forward_proj") == Some(&json!("gated-gelu"));
        let renamed = |name: String| match form.with_gate {
            Some((without, with)) if is_gated => name.replace(without, with),
            _ => name,
        };
        let mut names: HashSet<String> = HashSet::new();
        for end in ["weight", "bias"] {
            names.extend(form.others.iter().map(|(_, name)| format!("{name}.{end}")));
            for (_, list, parts) in form.lists {
                let of_layer = |layer| {
                    parts
                        .iter()
                        .map(move |(_, part)| format!("{list}.{layer}.{part}.{end}"))
                };
                names.extend((0..2).flat_map(of_layer).map(renamed));
            }
        }
        for parameter in model(keys).parameters.iter() {
            assert!(
                names.contains(&parameter.name),
                "{kind}: GGUF has no name for {}",
                parameter.name
            );
        }
        held.insert(form.architecture);
    }
    let all: HashSet<&str> = ARCHITECTURES
        .iter()
        .filter_map(|row| Some(row.gguf?.architecture))
        .collect();
    assert_eq!(held, all);
}

#[test]
fn default_modules_of_adapters_are_linears_of_their_models() {
    for (kind, keys) in classes() {
        let linears = model(keys).info.linear_modules;
        for name in of_model_type(&kind).expect("a row").lora_targets {
            assert!(linears.iter().any(|linear| linear == name), "{kind} has no {name}");
        }
    }
}

#[test]
fn classes_begin_as_in_transformers() {
    let mut seen = HashSet::new();
    for case in std::fs::read_dir(golden("A")).expect("the folder of models") {
        let path = case.expect("a case").path().join("config.json");
        let Ok(text) = std::fs::read(path) else {
            continue;
        };
        let config: Value = serde_json::from_slice(&text).expect("JSON");
        let (kind, class) = (&config["model_type"], &config["architectures"][0]);
        let (kind, class) = (kind.as_str().expect("a type"), class.as_str().expect("a class"));
        let row = of_model_type(kind).expect("a row");
        let begins = match kind {
            // Gemma 3's text model with the language model head has no Text in its class's name.
            "gemma3_text" if class.ends_with("ForCausalLM") => class == "Gemma3ForCausalLM",
            _ => class.starts_with(row.class),
        };
        assert!(begins, "{class} does not begin with {}", row.class);
        seen.insert(row.class);
    }
    assert!(seen.len() > 8, "{seen:?}");
}
