//! The text part of a model of several parts: it is read, trained and exported as the model that it is alone.

use super::{
    adapter_of, config, exported, files_of, load, open, outputs, random_adapter, settings, tokenizer, try_export,
};
use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    export::Form,
    formats::{ModelFiles, Storage, safetensors::write_f32},
    models::{
        self, Model,
        registry::{ARCHITECTURES, Kind},
    },
    protocol::{Command, DeviceChoice, Event},
    store::{MemoryFile, Source, read_all},
};
use lorakeet_tests::{
    golden::{Case, block_on},
    test_session::TestSession,
    tiny,
    trajectory::whole_batch,
};
use serde_json::{Map, Value, json};

/// Where transformers stores the text part's tensors, and what stands before the other parts' names.
#[derive(Debug, Clone, Copy)]
enum Layout {
    /// transformers 4.
    Inside,
    /// transformers 5.
    Beside,
}

impl Layout {
    const BOTH: [Self; 2] = [Self::Inside, Self::Beside];

    /// Where a tensor of the text part is.
    fn text(self, name: &str) -> String {
        match (self, name.strip_prefix("model.")) {
            (Self::Inside, _) => format!("language_model.{name}"),
            (Self::Beside, Some(rest)) => format!("model.language_model.{rest}"),
            (Self::Beside, None) => name.to_owned(),
        }
    }

    /// The names of another part's tensors.
    fn others(self) -> [String; 2] {
        let before = match self {
            Self::Inside => "",
            Self::Beside => "model.",
        };
        [
            "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight",
            "multi_modal_projector.mm_input_projection_weight",
        ]
        .map(|name| format!("{before}{name}"))
    }
}

/// config.json of a model that has the one of `text` as its text part.
fn whole_config(text: &Value) -> Value {
    let mut text = text.as_object().expect("an object").clone();
    let mut whole: Map<String, Value> = [
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "dtype",
        "tie_word_embeddings",
    ]
    .into_iter()
    .filter_map(|key| text.remove_entry(key))
    .collect();
    text.remove("architectures");
    let parts = json!({
        "model_type": "describer", "architectures": ["DescriberForConditionalGeneration"], "text_config": text,
        "vision_config": { "model_type": "siglip_vision_model", "num_hidden_layers": 1 }, "mm_tokens_per_image": 256
    });
    whole.extend(parts.as_object().expect("an object").clone());
    Value::Object(whole)
}

/// The model of `files` as the text part of a larger one.
fn whole(files: &[Source], layout: Layout) -> Vec<Source> {
    let text = open(files);
    let read = |name: &str| block_on(text.read_f32(name)).expect("numbers");
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    for entry in text.entries() {
        let (shape, values) = read(&entry.name);
        tensors.push((layout.text(&entry.name), shape, values));
    }
    tensors.extend(layout.others().map(|name| (name, vec![2, 3], vec![0.5; 6])));
    let mut wrapped = vec![
        MemoryFile::source("config.json", whole_config(&text.config).to_string().into_bytes()),
        MemoryFile::source("model.safetensors", write_f32(&tensors).expect("a file")),
        MemoryFile::source("preprocessor_config.json", b"{}".to_vec()),
    ];
    let is_new = |file: &&Source| !["config.json", "model.safetensors"].contains(&file.name());
    wrapped.extend(files.iter().filter(is_new).cloned());
    wrapped
}

/// Models that the text part may be, their types, and what transformers calls them.
const TEXTS: [(&str, &str, &str); 2] = [
    ("A/gemma3_text", "gemma3_text", "Gemma3ForCausalLM"),
    ("A/llama_untied", "llama", "LlamaForCausalLM"),
];

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn loss(model: &Model, case: &Case) -> Vec<u32> {
    let loss = model.loss(&model.parameters.plain(), &whole_batch(case), 1.0, None);
    bits(&block_on(models::read(loss.expect("a loss"))).expect("the device answers"))
}

#[test]
fn a_text_part_computes_what_it_does_alone_and_the_rest_is_named() {
    for (name, kind, class) in TEXTS {
        let case = Case::open(name);
        let alone = load(&open(&files_of(&case)));
        for layout in Layout::BOTH {
            let part = load(&open(&whole(&files_of(&case), layout)));
            assert_eq!(part.info.model_type, kind);
            assert_eq!(
                bits(&outputs(&part, &case, false)),
                bits(&outputs(&alone, &case, false)),
                "{name}, {layout:?}"
            );
            assert_eq!(loss(&part, &case), loss(&alone, &case), "{name}, {layout:?}");
            let notes: Vec<String> = part.notes.iter().map(|note| note.english()).collect();
            let of_parts = &notes[0];
            for word in ["describer", kind, class, "vision_config", "mm_tokens_per_image"] {
                assert!(of_parts.contains(word), "{word}: {of_parts}");
            }
            assert!(!of_parts.contains("eos_token_id"), "{of_parts}");
            for other in layout.others() {
                assert!(notes.iter().any(|note| note.contains(&other)), "{other}: {notes:?}");
            }
        }
    }
}

#[test]
fn what_is_exported_of_a_text_part_is_the_model_that_it_is_alone() {
    for (name, kind, class) in TEXTS {
        let case = Case::open(name);
        let alone = files_of(&case);
        let adapter = adapter_of(&case.below("adapters")[0]);
        for layout in Layout::BOTH {
            let base = whole(&alone, layout);
            for adapter in [None, Some(&adapter)] {
                let export = |files: &[Source]| try_export(files, adapter, None, settings(Form::Merged, None));
                let (merged, wanted) = (
                    export(&base).expect("it is written"),
                    export(&alone).expect("it is written"),
                );
                assert!(
                    merged["model.safetensors"] == wanted["model.safetensors"],
                    "{name}, {layout:?}"
                );
                assert!(!merged.contains_key("preprocessor_config.json"));
                let config: Value = serde_json::from_slice(&merged["config.json"]).expect("JSON");
                assert_eq!(config["model_type"], kind);
                assert_eq!(config["architectures"], json!([class]));
                assert!(
                    config["text_config"].is_null() && config["vision_config"].is_null(),
                    "{config}"
                );
                let own: Value = serde_json::from_slice(&wanted["config.json"]).expect("JSON");
                for (key, value) in own.as_object().expect("an object") {
                    assert_eq!(config[key], *value, "{key}");
                }
            }
            // An adapter of the part is one of the model that it is alone.
            let merged = exported(&base, None, settings(Form::Merged, None));
            let mut model = load(&open(&base));
            model
                .attach_lora(&config(&["q_proj", "down_proj"], &[]), 0)
                .expect("it fits");
            let adapter = block_on(model.adapter()).expect("an adapter");
            assert!(
                adapter
                    .tensors
                    .iter()
                    .all(|(name, ..)| name.starts_with("base_model.model.model.layers."))
            );
            load(&open(&merged)).load_adapter(&adapter).expect("it fits");
            load(&open(&alone)).load_adapter(&adapter).expect("it fits");
        }
    }
}

#[test]
fn what_is_trained_whole_beside_a_text_part_is_merged() {
    for name in ["A/llama_tied", "A/llama_untied"] {
        let case = Case::open(name);
        let alone = files_of(&case);
        let adapter = random_adapter(&case, &config(&["q_proj", "embed_tokens"], &["lm_head"]));
        for layout in Layout::BOTH {
            let export = |files: &[Source]| {
                let written = try_export(files, Some(&adapter), None, settings(Form::Merged, None));
                written.expect("it is written").remove("model.safetensors")
            };
            assert!(export(&whole(&alone, layout)) == export(&alone), "{name}, {layout:?}");
        }
    }
}

#[test]
fn a_text_part_goes_into_gguf_files_as_it_does_alone_and_mlx_is_refused() {
    let case = Case::open("A/llama_untied");
    let alone = files_of(&case);
    let adapter = adapter_of(&case.below("adapters")[0]);
    for layout in Layout::BOTH {
        let base = whole(&alone, layout);
        for form in [Form::Gguf, Form::GgufAdapter] {
            let export = |files: &[Source]| {
                let written = exported(files, Some(&adapter), settings(form, Some(Storage::F32)));
                block_on(read_all(written[0].as_ref(), u64::MAX)).expect("bytes")
            };
            assert!(export(&base) == export(&alone), "{form:?}, {layout:?}");
        }
        let refused = try_export(&base, Some(&adapter), None, settings(Form::Mlx, None));
        let said = refused.map(drop).expect_err("it is refused").to_string();
        assert!(said.contains("text part") && said.contains("merged"), "{said}");
    }
}

#[test]
fn a_run_on_a_text_part_is_the_run_on_it_alone() {
    let run = |files: Vec<Source>, finetuning_type| {
        let mut session = TestSession::with(DeviceChoice::Cpu, files, tiny::data_file());
        session.train(RunConfig {
            finetuning_type,
            max_steps: 3,
            ..tiny::config()
        });
        session.summary();
        session.ask(Command::ExportAdapter, Vec::new());
        session
    };
    for finetuning_type in [FinetuningType::Lora, FinetuningType::Full] {
        let alone = run(tiny::model_files(), finetuning_type);
        for layout in Layout::BOTH {
            let part = run(whole(&tiny::model_files(), layout), finetuning_type);
            assert_eq!(part.numbers(), alone.numbers(), "{finetuning_type:?}, {layout:?}");
            let is_note = |event: &Event| match event {
                Event::Warning { message } => message.english().contains("LlamaForCausalLM"),
                _ => false,
            };
            assert!(part.events.iter().any(is_note), "{:?}", part.events);
            for (name, bytes) in &alone.exported {
                if name != "config.json" {
                    assert!(part.exported[name] == *bytes, "{name}, {layout:?}");
                }
            }
            if finetuning_type == FinetuningType::Full {
                let config: Value = serde_json::from_slice(&part.exported["config.json"]).expect("JSON");
                assert_eq!(config["model_type"], "llama");
                assert_eq!(config["eos_token_id"], 2);
                assert!(config["text_config"].is_null(), "{config}");
            }
        }
    }
}

#[test]
fn a_text_part_that_is_not_supported_is_refused_by_its_name() {
    let mut files = whole(&files_of(&Case::open("A/llama_tied")), Layout::Inside);
    let mut config = open(&files).config;
    config["model_type"] = json!("gemma3n_text");
    let config = whole_config(&config).to_string();
    files[0] = MemoryFile::source("config.json", config.into_bytes());
    let said = block_on(ModelFiles::open(files))
        .expect_err("it is refused")
        .to_string();
    for word in [
        "text_config.model_type",
        "gemma3n_text",
        "describer",
        "gemma3_text",
        "llama",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_text_part_of_any_architecture_has_the_sizes_of_its_class_where_it_has_none() {
    for row in ARCHITECTURES.iter().filter(|row| row.kind != Kind::Small) {
        let kind = row.model_type;
        let layers = row.defaults.iter().find(|(key, _)| key.contains("layer"));
        let (layers, _) = layers.expect("it has layers");
        let mut text = json!({ "model_type": kind });
        // The sizes are looked at and nothing is drawn; still, more layers are refused.
        text[*layers] = json!(1);
        let config = json!({ "model_type": "describer", "text_config": text });
        let files = vec![
            MemoryFile::source("config.json", config.to_string().into_bytes()),
            MemoryFile::source("tokenizer.json", tokenizer(kind, 16).to_string().into_bytes()),
        ];
        let files = open(&files);
        for (key, size) in row.defaults.iter().filter(|(key, _)| key != layers) {
            assert_eq!(files.config[*key], *size, "{kind}: {key}");
        }
        assert_eq!(files.config["architectures"], json!([row.plain_class]));
        let notes = block_on(models::notes(&files)).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(notes[0].english().contains(row.plain_class), "{kind}: {notes:?}");
    }
}
