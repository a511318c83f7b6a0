//! PEFT adapters: the golden ones come out as they went in, and modules are chosen as PEFT chooses them.

use crate::common::{golden_folders, json, now};
use lorakeet_core::config::TargetModules;
use lorakeet_core::formats::peft::{Adapter, AdapterConfig, Patterns, check_names, chosen_modules, scaling};
use lorakeet_core::store::MemoryFile;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::PathBuf;

/// Every folder of the golden fixtures that holds an adapter.
fn golden_adapters() -> Vec<PathBuf> {
    let found = golden_folders("", "adapter_config.json");
    assert!(!found.is_empty(), "the fixtures hold adapters");
    found
}

#[test]
fn golden_adapters_are_written_as_they_were_read_to_the_byte() {
    for folder in golden_adapters() {
        let adapter = now(Adapter::open_path(&folder)).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let (config, tensors) = adapter.to_files().unwrap();
        let original = std::fs::read(folder.join("adapter_model.safetensors")).unwrap();
        let read_again = now(Adapter::open(vec![
            MemoryFile::source("adapter_config.json", config.clone().into_bytes()),
            MemoryFile::source("adapter_model.safetensors", tensors.clone()),
        ]));
        assert_eq!(read_again.unwrap(), adapter, "{}", folder.display());
        // What is stored in 16 bits comes out as 32.
        let stored = SafeTensors::deserialize(&original).unwrap();
        let is_single = stored.iter().all(|(_, tensor)| tensor.dtype() == Dtype::F32);
        assert_eq!(tensors == original, is_single, "{}", folder.display());
        let expected = json(folder.join("adapter_config.json"));
        assert_eq!(
            serde_json::from_str::<Value>(&config).unwrap(),
            expected,
            "{}",
            folder.display()
        );
        let keys: Vec<&String> = expected.as_object().unwrap().keys().collect();
        let parsed: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(
            parsed.as_object().unwrap().keys().collect::<Vec<_>>(),
            keys,
            "order of keys"
        );
    }
}

#[test]
fn golden_adapters_sit_on_the_modules_that_peft_chose() {
    let mut adapters = golden_adapters();
    adapters.retain(|folder| folder.join("case.json").is_file());
    assert!(!adapters.is_empty(), "cases say where the adapter sits");
    for folder in adapters {
        let case = json(folder.join("case.json"));
        let expected = case["lora_modules"].as_object().unwrap();
        // All matrices of the base model stand in for its linears; norms and embeddings are told apart by name.
        let base = folder.join("../../model.safetensors");
        let base = MemoryFile::source("model.safetensors", std::fs::read(base).unwrap());
        let tensors = now(lorakeet_core::formats::safetensors::read_header(&base)).unwrap();
        let is_linear = |name: &str| {
            !["embed", "wte", "wpe", "shared", "lm_head", "bias"]
                .iter()
                .any(|no| name.contains(no))
        };
        let candidates: Vec<&str> = tensors
            .iter()
            .filter(|tensor| tensor.shape.len() == 2 && is_linear(&tensor.name))
            .filter_map(|tensor| tensor.name.strip_suffix(".weight"))
            .collect();
        let config = AdapterConfig::from_json(&json(folder.join("adapter_config.json"))).unwrap();
        let chosen = chosen_modules(&candidates, &config).unwrap();
        // PEFT lists a head that is saved whole among the targets of all-linear, but gives it no adapter.
        let saved = config.modules_to_save.clone().unwrap_or_default();
        let chosen = chosen.iter().filter(|module| {
            !saved
                .iter()
                .any(|head| module.path.split('.').any(|part| part.ends_with(head.as_str())))
        });
        let chosen: Vec<_> = chosen.collect();
        assert_eq!(chosen.len(), expected.len(), "{}: {chosen:?}", folder.display());
        for module in chosen {
            let wanted = &expected[&module.path];
            assert_eq!(module.r as u64, wanted["r"].as_u64().unwrap(), "{}", module.path);
            let difference = module.scaling - wanted["scaling"].as_f64().unwrap();
            assert!(difference.abs() < 1e-12, "{}: {module:?}", folder.display());
        }
    }
}

const LINEARS: [&str; 8] = [
    "model.layers.0.self_attn.q_proj",
    "model.layers.0.self_attn.v_proj",
    "model.layers.0.mlp.up_proj",
    "model.layers.1.self_attn.q_proj",
    "model.layers.1.self_attn.v_proj",
    "model.layers.1.mlp.up_proj",
    "model.layers.11.self_attn.q_proj",
    "lm_head",
];

fn paths(config: &AdapterConfig) -> Vec<String> {
    chosen_modules(&LINEARS, config)
        .unwrap()
        .into_iter()
        .map(|module| module.path)
        .collect()
}

fn names(names: &[&str]) -> TargetModules {
    TargetModules::Names(names.iter().map(|name| (*name).to_string()).collect())
}

fn config(target_modules: TargetModules) -> AdapterConfig {
    AdapterConfig {
        target_modules,
        ..AdapterConfig::default()
    }
}

#[test]
fn a_config_of_two_keys_gets_pefts_defaults() {
    let json = serde_json::json!({"peft_type": "LORA", "target_modules": ["q_proj"], "something_new": 3});
    assert_eq!(AdapterConfig::from_json(&json).unwrap(), config(names(&["q_proj"])));
}

#[test]
fn names_match_whole_parts_of_a_path_only() {
    assert_eq!(paths(&config(names(&["q_proj"]))).len(), 3);
    let error = chosen_modules(&LINEARS, &config(names(&["proj", "query"])))
        .unwrap_err()
        .to_string();
    assert!(error.contains("[proj, query] matches no module"), "{error}");
    assert!(error.contains("lm_head, q_proj, up_proj, v_proj"), "{error}");
}

#[test]
fn what_a_run_names_and_the_model_has_not_is_told_with_the_nearest_name() {
    let refused = |change: &dyn Fn(&mut AdapterConfig)| {
        let mut config = config(names(&["q_proj", "up_proj"]));
        change(&mut config);
        let error = check_names(&LINEARS, &config).unwrap_err();
        (error.field_name().unwrap_or_default().to_owned(), error.to_string())
    };
    let told = |(field, text): (String, String), want: &str, parts: &[&str]| {
        assert_eq!(field, want, "{text}");
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    };
    let target = refused(&|config| config.target_modules = names(&["q_proj", "v_porj"]));
    told(target, "target_modules", &["\"v_porj\"", "Did you mean v_proj?"]);
    let excluded = refused(&|config| config.exclude_modules = Some(names(&["up_porj"])));
    told(excluded, "exclude_modules", &["Did you mean up_proj?"]);
    let excluded = refused(&|config| config.exclude_modules = Some(TargetModules::Pattern("up_proj".into())));
    told(excluded, "exclude_modules", &["\"up_proj\""]);
    // PEFT puts `(.*\.)?` in front of a pattern, so that `^` comes too late to match.
    let rank = refused(&|config| config.rank_pattern = Patterns(vec![("^q_porj".into(), 4)]));
    told(rank, "rank_pattern", &["\"^q_porj\"", "q_proj, up_proj"]);
    let rank = refused(&|config| config.rank_pattern = Patterns(vec![("q_porj".into(), 4)]));
    told(rank, "rank_pattern", &["Did you mean q_proj?"]);
    // It is in the model, but carries no adapter.
    let alpha = refused(&|config| config.alpha_pattern = Patterns(vec![("v_proj".into(), 4.0)]));
    told(alpha, "alpha_pattern", &["\"v_proj\""]);
    let layers = refused(&|config| config.layers_to_transform = Some(vec![0, 7]));
    told(layers, "layers_to_transform", &["no layer 7"]);

    let mut sound = config(names(&["q_proj", "up_proj"]));
    sound.exclude_modules = Some(names(&["model.layers.1.mlp.up_proj"]));
    sound.rank_pattern = Patterns(vec![("layers.0.self_attn.q_proj".into(), 4), (".*".into(), 2)]);
    sound.layers_to_transform = Some(vec![0, 1]);
    check_names(&LINEARS, &sound).unwrap();
}

#[test]
fn a_text_is_a_pattern_for_the_whole_path() {
    let pattern = |text: &str| config(TargetModules::Pattern(text.into()));
    assert_eq!(paths(&pattern(r".*\.1\.self_attn\.[qv]_proj")).len(), 2);
    assert!(chosen_modules(&LINEARS, &pattern("q_proj")).is_err());
    let error = chosen_modules(&LINEARS, &pattern("(?<!x)q_proj"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("look-around"), "{error}");
    assert_eq!(paths(&pattern("all-linear")).len(), 7);
}

#[test]
fn layers_and_exclusions_narrow_the_choice() {
    let mut narrowed = config(names(&["q_proj", "up_proj"]));
    narrowed.layers_to_transform = Some(vec![1]);
    assert_eq!(
        paths(&narrowed),
        ["model.layers.1.self_attn.q_proj", "model.layers.1.mlp.up_proj"]
    );
    narrowed.layers_pattern = Some(vec!["h".into()]);
    assert!(
        chosen_modules(&LINEARS, &narrowed)
            .unwrap_err()
            .to_string()
            .contains("layers")
    );
    let mut all = config(TargetModules::Pattern("all-linear".into()));
    all.layers_to_transform = Some(vec![0, 11]);
    assert_eq!(paths(&all).len(), 4);
    all.layers_to_transform = None;
    all.exclude_modules = Some(names(&["up_proj", "v_proj"]));
    assert_eq!(paths(&all).len(), 3);
    all.exclude_modules = Some(TargetModules::Pattern(".*".into()));
    assert!(
        chosen_modules(&LINEARS, &all)
            .unwrap_err()
            .to_string()
            .contains("exclude_modules")
    );
}

#[test]
fn of_several_patterns_the_first_in_the_file_wins() {
    let text = r#"{"peft_type":"LORA","target_modules":"all-linear","r":8,"rank_pattern":{"q_proj":4,".*":2},
        "alpha_pattern":{"layers.1.self_attn.q_proj":3.5,"q_proj":4,"[a-z]*_proj":2}}"#;
    let config = AdapterConfig::from_json(&serde_json::from_str(text).unwrap()).unwrap();
    let written = AdapterConfig::from_json(&serde_json::from_str(&config.to_json()).unwrap()).unwrap();
    assert_eq!(written, config, "and the order is kept");
    for (path, rank, alpha) in [
        ("model.layers.0.self_attn.q_proj", 4, 4.0),
        ("model.layers.1.self_attn.q_proj", 4, 3.5),
        ("model.layers.0.mlp.up_proj", 2, 2.0),
        ("lm_head", 2, 8.0),
    ] {
        assert_eq!(
            (config.rank_of(path), config.alpha_of(path)),
            (Ok(rank), Ok(alpha)),
            "{path}"
        );
    }
}

#[test]
fn scales_are_those_of_lora_and_rslora() {
    assert_eq!(scaling(4, 8.0, false), 2.0);
    assert_eq!(scaling(4, 8.0, true), 4.0);
}

#[test]
fn variants_that_would_be_read_wrongly_are_refused_by_name() {
    for (key, value) in [
        ("bias", serde_json::json!("all")),
        ("peft_type", serde_json::json!("IA3")),
    ] {
        let mut json = serde_json::json!({"peft_type": "LORA", "target_modules": ["q_proj"]});
        json[key] = value;
        let error = AdapterConfig::from_json(&json).unwrap_err();
        assert_eq!(error.field_name(), Some(key));
        assert_eq!(error.file.as_deref(), Some("adapter_config.json"));
    }
}

#[test]
fn half_an_adapter_is_refused_with_the_missing_files_name() {
    let config = MemoryFile::source(
        "adapter_config.json",
        br#"{"peft_type":"LORA","target_modules":"all-linear"}"#.to_vec(),
    );
    let error = now(Adapter::open(vec![config])).unwrap_err();
    assert_eq!(error.file.as_deref(), Some("adapter_model.safetensors"));
}

#[test]
fn numbers_that_no_adapter_has_are_refused_by_name() {
    let read = |key: &str, value: Value| {
        let mut json = serde_json::json!({"peft_type": "LORA", "target_modules": ["q_proj"]});
        json[key] = value;
        AdapterConfig::from_json(&json)
    };
    for (key, value) in [
        ("r", serde_json::json!(0)),
        ("r", serde_json::json!(65_537)),
        ("r", serde_json::json!(8_589_934_592_u64)),
        ("rank_pattern", serde_json::json!({"q_proj": 0})),
        ("rank_pattern", serde_json::json!({"q_proj": 1u64 << 40})),
        ("lora_alpha", serde_json::json!(1e300)),
        ("alpha_pattern", serde_json::json!({"q_proj": 1e300})),
        ("lora_dropout", serde_json::json!(1.0)),
        ("lora_dropout", serde_json::json!(-0.5)),
    ] {
        let error = read(key, value.clone()).expect_err("no adapter has it");
        assert_eq!(error.field_name(), Some(key), "{value}: {error}");
    }
    assert!(read("r", serde_json::json!(65_536)).is_ok());
}

#[test]
fn many_patterns_are_compiled_once_and_names_not_at_all() {
    let linears: Vec<String> = (0..200).map(|i| format!("model.layers.{i}.self_attn.q_proj")).collect();
    let linears: Vec<&str> = linears.iter().map(String::as_str).collect();
    let config = |patterns: Vec<(String, usize)>| AdapterConfig {
        target_modules: TargetModules::Pattern("all-linear".into()),
        rank_pattern: Patterns(patterns),
        ..AdapterConfig::default()
    };
    let names = (0..20_000).map(|i| (format!("layers.{}.self_attn.q_proj", i + 100), i + 1));
    let chosen = chosen_modules(&linears, &config(names.collect())).unwrap();
    // Names are tried as the patterns that they are: in their order, and with dots for any sign.
    assert_eq!((chosen[99].r, chosen[100].r, chosen[199].r), (8, 1, 100));
    let dotted = config(vec![
        ("0.self.attn.q_proj".into(), 3),
        ("self_attn.q.proj".into(), 5),
        ("attn.q_proj".into(), 7),
    ]);
    let chosen = chosen_modules(&linears, &dotted).unwrap();
    assert_eq!((chosen[0].r, chosen[1].r), (3, 5));
    let error = chosen_modules(&linears, &config((0..1001).map(|i| (format!("[a{i}]"), 1)).collect())).unwrap_err();
    assert_eq!(error.field_name(), Some("rank_pattern"));
    let expressions = config((0..1000).map(|i| (format!("layers\\.{i}\\..*"), i + 1)).collect());
    assert_eq!(chosen_modules(&linears, &expressions).unwrap()[150].r, 151);
}
