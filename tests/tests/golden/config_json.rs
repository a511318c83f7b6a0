//! What config.json and the names of tensors can say of one and the same weights, against transformers' losses.

use burn::tensor::Device;
use lorakeet_core::{
    Error,
    data::Batch,
    device,
    formats::{ModelFiles, safetensors::write_f32},
    models::Model,
    protocol::DeviceChoice,
    store::{MemoryFile, Source},
};
use lorakeet_i18n::Message;
use lorakeet_tests::{
    golden::{Case, block_on},
    trajectory,
};
use serde_json::{Map, Value, json};

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn config(case: &Case) -> Value {
    let text = std::fs::read(case.path.join("config.json")).expect("config.json");
    serde_json::from_slice(&text).expect("JSON")
}

fn tensors(case: &Case) -> Tensors {
    let tensors = case.tensors("model.safetensors").into_iter();
    let mut tensors: Tensors = tensors
        .map(|(name, tensor)| (name, tensor.shape, tensor.values.iter().map(|v| *v as f32).collect()))
        .collect();
    tensors.sort_by(|left, right| left.0.cmp(&right.0));
    tensors
}

fn files(config: &Value, tensors: &Tensors) -> Vec<Source> {
    vec![
        MemoryFile::source("config.json", config.to_string().into_bytes()),
        MemoryFile::source("model.safetensors", write_f32(tensors).expect("shapes fit")),
    ]
}

fn batch(case: &Case) -> Batch {
    let inputs = case.tensors("inputs.safetensors");
    let part = |name: &str| inputs.get(name).map_or(&[][..], |tensor| &tensor.values);
    let parts = ["input_ids", "attention_mask", "token_type_ids", "labels"].map(part);
    trajectory::batch_of(case.kind(), inputs["input_ids"].shape[1], parts)
}

/// The case's loss on a model of these files, and what is noted of them.
fn loss(case: &Case, config: &Value, tensors: &Tensors, device: &Device) -> Result<(f32, Vec<String>), Error> {
    let files = block_on(ModelFiles::open(files(config, tensors)))?;
    let model = block_on(Model::load(&files, false, 0, device, &mut |_, _| ()))?;
    let batch = batch(case);
    let scale = 1.0 / batch.target_tokens as f32;
    let loss = model.loss(&model.parameters.plain(), &batch, scale, None)?;
    let loss = block_on(loss.into_data_async()).expect("the device answers");
    let notes = model.notes.iter().map(Message::english).collect();
    Ok((loss.try_into_vec::<f32>().expect("f32")[0], notes))
}

/// `config` with the keys of `changes`.
fn with(config: &Value, changes: &Value) -> Value {
    let mut keys: Map<String, Value> = config.as_object().expect("an object").clone();
    keys.extend(changes.as_object().expect("an object").clone());
    Value::Object(keys)
}

/// The repository's golden cases with other values in config.json, and the loss that transformers 5.24 has with them.
fn changes() -> Vec<(&'static str, Value, f32)> {
    let mistral = |window: Value| json!({"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": window});
    let qwen = |window: usize, first: usize| json!({"use_sliding_window": true, "sliding_window": window, "max_window_layers": first, "layer_types": null});
    let yarn = |more: Value| {
        let plain = json!({"rope_theta": 4.0, "rope_type": "yarn", "factor": 4.0});
        json!({"rope_parameters": with(&plain, &more)})
    };
    let rope = |kind: &str| json!({"rope_parameters": {"rope_theta": 10000.0, "rope_type": kind, "factor": 4.0}});
    vec![
        ("gpt2", json!({"scale_attn_by_inverse_layer_idx": true}), 6.620_279),
        ("gpt2", json!({"scale_attn_weights": false}), 6.744_907),
        (
            "gpt2",
            json!({"scale_attn_weights": false, "scale_attn_by_inverse_layer_idx": true}),
            6.737_579,
        ),
        ("gpt2", json!({"reorder_and_upcast_attn": true}), 6.572_063),
        ("gpt2", json!({"activation_function": "relu"}), 6.720_555),
        ("llama_untied", json!({"hidden_act": "gelu"}), 5.336_2),
        ("llama_untied", rope("linear"), 5.382_96),
        ("llama_untied", rope("dynamic"), 5.334_144),
        (
            "llama_untied",
            json!({"rope_parameters": null, "rope_theta": 500.0}),
            5.338_558,
        ),
        (
            "llama_untied",
            yarn(json!({"original_max_position_embeddings": 64})),
            5.347_105,
        ),
        (
            "llama_untied",
            yarn(json!({
                "original_max_position_embeddings": 64, "beta_fast": 4, "beta_slow": 0.5, "truncate": false
            })),
            5.407_486,
        ),
        (
            "llama_untied",
            yarn(json!({"beta_fast": 4, "beta_slow": 0.5})),
            5.405_691,
        ),
        (
            "llama_untied",
            yarn(json!({"original_max_position_embeddings": 64, "mscale": 2.0, "mscale_all_dim": 0.5})),
            5.338_256,
        ),
        (
            "qwen2",
            yarn(json!({"factor": 8.0, "original_max_position_embeddings": 32, "attention_factor": 1.5})),
            5.165_042,
        ),
        (
            "llama_untied",
            json!({"rope_parameters": {
                "rope_theta": 10000.0, "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0
            }}),
            5.327_629,
        ),
        ("llama_untied", mistral(json!(3)), 5.233_758),
        ("llama_untied", mistral(json!(null)), 5.334_144),
        ("qwen2", qwen(3, 1), 5.145_409),
        ("qwen2", qwen(3, 0), 5.071_127),
        (
            "qwen2",
            json!({
                "use_sliding_window": true, "sliding_window": 2,
                "layer_types": ["sliding_attention", "full_attention"]
            }),
            5.040_39,
        ),
        ("qwen3", qwen(3, 1), 7.588_55),
        ("gemma2", json!({"sliding_window": 2}), 7.376_023),
        ("gemma2", json!({"final_logit_softcapping": null}), 9.386_897),
        ("gemma2", json!({"attn_logit_softcapping": 0.5}), 7.551_982),
        ("gemma2", json!({"query_pre_attn_scalar": 3}), 7.707_46),
        (
            "gemma2",
            json!({"layer_types": ["full_attention", "full_attention"]}),
            7.528_462,
        ),
        ("gemma3_text", json!({"sliding_window": 2}), 10.008_739),
        ("gemma3_text", json!({"final_logit_softcapping": 0.5}), 5.036_203),
        ("bert_mlm", json!({"is_decoder": true}), 7.644_972),
        ("bert_mlm", json!({"hidden_act": "relu"}), 7.826_797),
        ("bert_seqcls", json!({"is_decoder": true}), 1.197_336),
        ("bert_seqcls", json!({"hidden_act": "silu"}), 1.294_612),
        ("bert_seqcls", json!({"layer_norm_eps": 0.5}), 1.239_882),
        ("roberta_seqcls", json!({"is_decoder": true}), 1.199_942),
        ("modernbert_seqcls", json!({"local_attention": 2}), 1.557_636),
        ("modernbert_seqcls", json!({"classifier_pooling": "mean"}), 0.835_379),
        ("modernbert_seqcls", json!({"classifier_activation": "relu"}), 1.015_754),
        ("t5", json!({"scale_decoder_outputs": false}), 7.399_83),
        ("flan_t5", json!({"relative_attention_max_distance": 20}), 5.300_586),
    ]
}

fn every_change_has_its_loss(choice: DeviceChoice) {
    let device = block_on(device::open(choice)).expect("the device opens").0;
    for (name, change, wanted) in changes() {
        let case = Case::own(&format!("A/{name}"));
        let (found, notes) = loss(&case, &with(&config(&case), &change), &tensors(&case), &device)
            .unwrap_or_else(|error| panic!("{name} {change}: {error}"));
        assert!(
            (found - wanted).abs() < 2e-5,
            "{name} {change}: {found} instead of {wanted}"
        );
        assert!(
            !notes.iter().any(|note| note.contains("not known")),
            "{name}: {notes:?}"
        );
    }
}

#[test]
fn keys_of_config_json_change_the_loss_as_in_transformers_on_the_cpu() {
    every_change_has_its_loss(DeviceChoice::Cpu);
}

#[test]
fn keys_of_config_json_change_the_loss_as_in_transformers_on_the_gpu() {
    every_change_has_its_loss(DeviceChoice::Gpu);
}

#[test]
fn a_key_that_a_class_passes_over_changes_nothing() {
    // DistilBERT's norms have an epsilon of their own.
    let case = Case::own("A/distilbert_seqcls");
    let change = with(&config(&case), &json!({"layer_norm_eps": 0.5}));
    let (found, notes) = loss(&case, &change, &tensors(&case), &Device::flex()).expect("it loads");
    assert!((found - 1.304_13).abs() < 2e-5, "{found}");
    assert!(notes.iter().any(|note| note.contains("layer_norm_eps")), "{notes:?}");
}

/// Golden cases, what transformers puts before their base's tensors, and what others do.
const PREFIXES: [(&str, &str); 12] = [
    ("llama_tied", "model."),
    ("llama_untied", "model."),
    ("qwen2", "model."),
    ("qwen3", "model."),
    ("gemma2", "model."),
    ("gemma3_text", "model."),
    ("llama_seqcls", "model."),
    ("gpt2", "transformer."),
    ("bert_mlm", "bert."),
    ("roberta_seqcls", "roberta."),
    ("distilbert_seqcls", "distilbert."),
    ("modernbert_seqcls", "model."),
];

/// Another name for a tensor.
type Rename = Box<dyn Fn(&str) -> String>;

#[test]
fn a_model_is_the_same_under_any_prefix() {
    for (name, prefix) in PREFIXES.into_iter().chain([("t5", ""), ("flan_t5", "")]) {
        let case = Case::open(&format!("A/{name}"));
        let (config, own) = (config(&case), tensors(&case));
        let wanted = loss(&case, &config, &own, &Device::flex()).expect("it loads").0;
        let base = |with: &'static str| {
            move |name: &str| match name.strip_prefix(prefix) {
                Some(rest) => format!("{with}{rest}"),
                None => name.to_owned(),
            }
        };
        let all = |with: &'static str| move |name: &str| format!("{with}{name}");
        let mut ways: Vec<(&str, Rename)> = Vec::new();
        for with in ["module.", "_orig_mod.", "base_model.model.", "language_model."] {
            ways.push((with, Box::new(all(with))));
        }
        if !prefix.is_empty() {
            for with in ["", "encoder.", "roberta."] {
                ways.push((with, Box::new(base(with))));
            }
        }
        for (way, rename) in ways {
            let renamed: Tensors = own.iter().map(|(n, s, v)| (rename(n), s.clone(), v.clone())).collect();
            let (found, notes) = loss(&case, &config, &renamed, &Device::flex())
                .unwrap_or_else(|error| panic!("{name} with {way:?}: {error}"));
            assert_eq!(found, wanted, "{name} with {way:?}");
            assert!(
                !notes.iter().any(|note| note.contains("does not use")),
                "{name} with {way:?}: {notes:?}"
            );
        }
    }
}

#[test]
fn two_copies_of_a_tensor_are_refused() {
    for (name, prefix) in PREFIXES {
        let case = Case::open(&format!("A/{name}"));
        let own = tensors(&case);
        let of_base = |n: &str| n.starts_with(prefix) && n.contains(".0.");
        let (base, shape, values) = own
            .iter()
            .find(|(n, ..)| of_base(n))
            .expect("layers have tensors")
            .clone();
        for second in [base[prefix.len()..].to_owned(), format!("module.{base}")] {
            let mut both = own.clone();
            both.push((second.clone(), shape.clone(), values.clone()));
            let error = loss(&case, &config(&case), &both, &Device::flex()).expect_err("there are two");
            let text = error.to_string();
            assert!(text.contains(&base) && text.contains(&second), "{name}: {text}");
        }
    }
}

#[test]
fn tensors_that_nothing_reads_are_named() {
    let case = Case::open("A/bert_seqcls");
    let mut more = tensors(&case);
    for i in 0..20 {
        more.push((format!("extra.{i:02}.weight"), vec![2], vec![0.0; 2]));
    }
    let (_, notes) = loss(&case, &config(&case), &more, &Device::flex()).expect("it loads");
    let note = notes
        .iter()
        .find(|note| note.contains("extra.00.weight"))
        .expect("a note");
    assert!(note.contains("14 more") && note.len() < 300, "{note}");
}

#[test]
fn an_output_matrix_beside_a_shared_embedding_counts_where_it_differs() {
    let case = Case::open("A/llama_tied");
    let (config, own) = (config(&case), tensors(&case));
    let wanted = loss(&case, &config, &own, &Device::flex()).expect("it loads");
    let embedding = own.iter().find(|(name, ..)| name == "model.embed_tokens.weight");
    let (_, shape, values) = embedding.expect("an embedding").clone();
    let with_head = |values: Vec<f32>| {
        let mut with_head = own.clone();
        with_head.push(("lm_head.weight".into(), shape.clone(), values));
        with_head
    };
    let same = loss(&case, &config, &with_head(values.clone()), &Device::flex()).expect("it loads");
    assert_eq!(same, wanted, "a copy says nothing");
    let other = with_head(values.iter().map(|value| value * 2.0).collect());
    let (found, notes) = loss(&case, &config, &other, &Device::flex()).expect("it loads");
    let untied = with(&config, &json!({"tie_word_embeddings": false}));
    assert_eq!(
        found,
        loss(&case, &untied, &other, &Device::flex()).expect("it loads").0
    );
    assert_ne!(found, wanted.0);
    assert!(notes.iter().any(|note| note.contains("lm_head.weight")), "{notes:?}");
    // Without one, a model that does not share the embedding cannot predict.
    let error = loss(&case, &untied, &own, &Device::flex())
        .expect_err("there is none")
        .to_string();
    assert!(
        error.contains("lm_head.weight") && error.contains("tie_word_embeddings"),
        "{error}"
    );
}

#[test]
fn a_model_that_was_saved_for_embeddings_loads_without_an_output_matrix() {
    let case = Case::open("A/llama_untied");
    let bare: Tensors = tensors(&case)
        .into_iter()
        .filter(|(name, ..)| name != "lm_head.weight")
        .map(|(name, shape, values)| (name.trim_start_matches("model.").to_owned(), shape, values))
        .collect();
    let saved = with(&config(&case), &json!({"architectures": ["LlamaModel"]}));
    let (_, notes) = loss(&case, &saved, &bare, &Device::flex()).expect("it loads");
    assert!(notes.iter().any(|note| note.contains("lm_head.weight")), "{notes:?}");
}
