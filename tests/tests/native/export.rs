//! What is exported for other programs: read back by this one, or computed from as the other program would.

mod cards;
mod checked;
mod gguf;
mod own_class;
mod packed;
mod pieces;
mod places;
mod read_back;
mod scored;
mod sentence;
mod text_part;
mod token_rows;

use burn::tensor::{Device, Tensor};
use lorakeet_core::{
    Error,
    config::TargetModules,
    device,
    export::{Form, RunRecord, SHARD_BYTES, Settings, Trained, export},
    formats::{
        ModelFiles, Storage, blocks,
        peft::{Adapter, AdapterConfig},
        safetensors,
    },
    models::Model,
    protocol::DeviceChoice,
    quant::BaseFormat,
    random::Generator,
    store::{MemoryFile, MemorySink, Source},
};
use lorakeet_tests::{
    golden::{Case, block_on},
    trajectory::whole_batch,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};

/// What logits of a merged model may differ by from those of base and adapter.
const CLOSE: f32 = 1e-4;

fn cpu() -> Device {
    block_on(device::open(DeviceChoice::Cpu)).expect("the CPU opens").0
}

fn settings(form: Form, dtype: Option<Storage>) -> Settings {
    Settings {
        form,
        dtype,
        shard_bytes: SHARD_BYTES,
        base: BaseFormat::AsStored,
    }
}

fn open(files: &[Source]) -> ModelFiles {
    block_on(ModelFiles::open(files.to_vec())).expect("the files open")
}

fn load(files: &ModelFiles) -> Model {
    block_on(Model::load(files, false, 0, &cpu(), &mut |_, _| ())).expect("the model loads")
}

/// A tokenizer of so many tokens, of the kind that the architecture has.
fn tokenizer(model_type: &str, count: usize) -> Value {
    let letters = ('!'..='~').chain('\u{a1}'..='\u{ac}').chain('\u{ae}'..);
    let letters: Vec<String> = letters.take(count).map(String::from).collect();
    let numbered = |tokens: &[String]| -> Value {
        tokens
            .iter()
            .enumerate()
            .map(|(id, token)| (token.clone(), json!(id)))
            .collect()
    };
    let parts = |normalizer: Value, pre: Value, model: Value| {
        json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": normalizer,
            "pre_tokenizer": pre, "post_processor": null, "decoder": null, "model": model})
    };
    match model_type {
        "bert" => {
            let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b"].map(str::to_owned);
            let words = (special.len()..count).map(|id| format!("w{id}"));
            let vocab = numbered(&special.iter().cloned().chain(words).collect::<Vec<_>>());
            parts(
                json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                    "strip_accents": null, "lowercase": true}),
                json!({"type": "BertPreTokenizer"}),
                json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                    "max_input_chars_per_word": 100, "vocab": vocab}),
            )
        }
        "t5" => {
            let special = ["<pad>", "</s>", "<unk>", "\u{2581}", "\u{2581}a"].map(str::to_owned);
            let words = special.iter().chain(&letters).take(count).enumerate();
            let vocab: Vec<Value> = words.map(|(id, token)| json!([token, -(id as f64) / 8.0])).collect();
            parts(
                Value::Null,
                json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true}),
                json!({"type": "Unigram", "unk_id": 2, "vocab": vocab, "byte_fallback": false}),
            )
        }
        _ => parts(
            Value::Null,
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}),
            json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": numbered(&letters),
                "merges": []}),
        ),
    }
}

/// A case's model with a tokenizer.
fn files_of(case: &Case) -> Vec<Source> {
    files_with(case, case.config())
}

fn files_with(case: &Case, config: Value) -> Vec<Source> {
    let vocabulary = config["vocab_size"].as_u64().expect("a size") as usize;
    let tokenizer = tokenizer(config["model_type"].as_str().expect("a type"), vocabulary);
    let weights = fs::read(case.path.join("model.safetensors")).expect("weights");
    vec![
        MemoryFile::source("config.json", config.to_string().into_bytes()),
        MemoryFile::source("model.safetensors", weights),
        MemoryFile::source("tokenizer.json", tokenizer.to_string().into_bytes()),
    ]
}

/// What is written of a base and an adapter.
fn try_export(
    base: &[Source],
    adapter: Option<&Adapter>,
    head: Option<&Value>,
    settings: Settings,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let sink = MemorySink::new();
    let trained = Trained {
        base: block_on(ModelFiles::open(base.to_vec()))?,
        base_files: base,
        adapter,
        head,
        record: &RunRecord::default(),
    };
    block_on(export(trained, settings, &sink, &mut |done, total| {
        assert!(done <= total)
    }))?;
    Ok(sink.files())
}

fn sources(files: BTreeMap<String, Vec<u8>>) -> Vec<Source> {
    let files = files.into_iter().filter(|(name, _)| name != "README.md");
    files.map(|(name, bytes)| MemoryFile::source(name, bytes)).collect()
}

fn exported(base: &[Source], adapter: Option<&Adapter>, settings: Settings) -> Vec<Source> {
    sources(try_export(base, adapter, None, settings).unwrap_or_else(|error| panic!("{error}")))
}

/// The hidden states of all tokens, or the logits where there is a head that both sides have.
fn outputs(model: &Model, case: &Case, hidden: bool) -> Vec<f32> {
    let (leaves, batch) = (model.parameters.plain(), whole_batch(case));
    let tensor = match hidden {
        true => model.hidden_states(&leaves, &batch, true),
        false => model.logits(&leaves, &batch),
    };
    block_on(tensor.into_data_async())
        .expect("the device answers")
        .try_into_vec()
        .expect("f32")
}

fn assert_close(what: &str, found: &[f32], wanted: &[f32], tolerance: f32) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let differences = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    let worst = differences.max_by(f32::total_cmp).unwrap_or(0.0);
    assert!(
        worst <= tolerance,
        "{what}: differs by {worst:e}, allowed {tolerance:e}"
    );
}

fn adapter_of(case: &Case) -> Adapter {
    block_on(Adapter::open_path(&case.path)).expect("the adapter opens")
}

/// An adapter of random numbers on the case's model.
fn random_adapter(case: &Case, config: &AdapterConfig) -> Adapter {
    let mut model = load(&open(&files_of(case)));
    model.attach_lora(config, 0).expect("it fits");
    let (mut generator, device) = (Generator::new(7, "adapter"), cpu());
    for i in 0..model.parameters.len() {
        let parameter = model.parameters.iter().nth(i).expect("a parameter").clone();
        let count = parameter.shape.iter().product::<usize>();
        let numbers: Vec<f32> = (0..count).map(|_| (generator.normal() * 0.1) as f32).collect();
        model.parameters.set(i, Tensor::from_data(numbers.as_slice(), &device));
    }
    block_on(model.adapter()).expect("an adapter")
}

fn config(names: &[&str], whole: &[&str]) -> AdapterConfig {
    let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    AdapterConfig {
        r: 3,
        lora_alpha: 5.0,
        target_modules: TargetModules::Names(texts(names)),
        modules_to_save: (!whole.is_empty()).then(|| texts(whole)),
        task_type: Some("CAUSAL_LM".into()),
        ..AdapterConfig::default()
    }
}

/// The merged model computes what base and adapter do.
fn merges(case: &Case, adapter: &Adapter) -> Vec<Source> {
    let base = files_of(case);
    let merged = exported(&base, Some(adapter), settings(Form::Merged, None));
    let mut model = load(&open(&base));
    model.load_adapter(adapter).expect("it fits");
    let found = outputs(&load(&open(&merged)), case, false);
    let changed = outputs(&model, case, false);
    assert_close(&case.name, &found, &changed, CLOSE);
    let plain = outputs(&load(&open(&base)), case, false);
    assert!(
        found.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 10.0 * CLOSE),
        "{}: nothing is merged",
        case.name
    );
    merged
}

#[test]
fn a_merged_model_computes_what_base_and_adapter_do() {
    let mut compared = 0;
    for base in Case::all("A") {
        for case in base.below("adapters") {
            let adapter = adapter_of(&case);
            let merged = merges(&base, &adapter);
            let weights = merged
                .iter()
                .find(|file| file.name() == "model.safetensors")
                .expect("weights");
            let names: Vec<String> = names_in(weights);
            let before = open(&files_of(&base));
            for entry in before.entries() {
                assert!(names.contains(&entry.name), "{}: {} is gone", case.name, entry.name);
            }
            compared += 1;
        }
    }
    assert!(compared > 10, "the folder has adapters");
}

fn names_in(weights: &Source) -> Vec<String> {
    let placed = block_on(safetensors::read_header(weights)).expect("a header");
    placed.into_iter().map(|tensor| tensor.name).collect()
}

#[test]
fn what_is_trained_besides_linears_is_merged_and_an_output_that_was_shared_stays_the_bases() {
    for name in ["A/llama_tied", "A/gpt2"] {
        let case = Case::open(name);
        let (table, attention) = match name {
            "A/gpt2" => ("wte", "c_attn"),
            _ => ("embed_tokens", "q_proj"),
        };
        for (names, whole) in [
            (&[table, attention][..], &[][..]),
            (&[attention], &[table]),
            (&[attention], &["lm_head"]),
            (&[table], &["lm_head"]),
        ] {
            for use_dora in [false, true] {
                let config = AdapterConfig {
                    use_dora,
                    ..config(names, whole)
                };
                let merged = merges(&case, &random_adapter(&case, &config));
                let config = open(&merged).config;
                assert_eq!(config["tie_word_embeddings"], false, "{name}");
            }
        }
    }
}

#[test]
fn number_formats_and_the_size_of_files_are_as_wanted() {
    let case = Case::open("A/llama_untied");
    let adapter = adapter_of(&case.below("adapters")[0]);
    let base = files_of(&case);
    let wanted = Settings {
        shard_bytes: 8192,
        ..settings(Form::Merged, Some(Storage::BF16))
    };
    let files = try_export(&base, Some(&adapter), None, wanted).expect("it is written");
    let index: Value = serde_json::from_slice(&files["model.safetensors.index.json"]).expect("JSON");
    let shards: Vec<&String> = files.keys().filter(|name| name.ends_with(".safetensors")).collect();
    assert!(shards.len() > 2, "{shards:?}");
    let card = String::from_utf8(files["README.md"].clone()).expect("text");
    assert!(card.contains("rank ") && card.contains("bfloat16"), "{card}");
    let config: Value = serde_json::from_slice(&files["config.json"]).expect("JSON");
    assert_eq!(config["dtype"], "bfloat16");
    let total = index["metadata"]["total_size"].as_u64().expect("a size");
    let merged = open(&sources(files));
    assert_eq!(merged.entries().iter().map(|entry| entry.bytes).sum::<u64>(), total);
    assert!(merged.entries().iter().all(|entry| entry.storage == Storage::BF16));
    assert!(merged.tokenizer.is_some());
}

/// The product B·A of GGUF's or MLX's matrices, as \[out, in\].
fn product(left: &[f32], right: &[f32], rank: usize, factor: f32) -> Vec<f32> {
    let columns = right.len() / rank;
    let cell = |row: usize, column: usize| -> f32 {
        (0..rank)
            .map(|r| left[row * rank + r] * right[r * columns + column])
            .sum()
    };
    let rows = left.len() / rank;
    (0..rows * columns)
        .map(|i| factor * cell(i / columns, i % columns))
        .collect()
}

#[test]
fn an_adapter_for_mlx_adds_to_its_base_what_the_merged_model_has() {
    let case = Case::open("A/llama_untied");
    let mut with_patterns = config(&["q_proj", "up_proj", "embed_tokens"], &[]);
    with_patterns.rank_pattern.0.push(("up_proj".into(), 2));
    for use_dora in [false, true] {
        let mut wanted = with_patterns.clone();
        if use_dora {
            wanted.target_modules = TargetModules::Names(vec!["q_proj".into(), "up_proj".into()]);
        }
        wanted.use_dora = use_dora;
        let adapter = random_adapter(&case, &wanted);
        let base = files_of(&case);
        let files = try_export(&base, Some(&adapter), None, settings(Form::Mlx, None)).expect("it is written");
        let config: Value = serde_json::from_slice(&files["adapter_config.json"]).expect("JSON");
        assert_eq!(config["fine_tune_type"], if use_dora { "dora" } else { "lora" });
        assert_eq!(config["num_layers"], case.config()["num_hidden_layers"]);
        let parameters = &config["lora_parameters"];
        let keys = parameters["keys"].as_array().expect("keys");
        assert!(keys.contains(&json!("self_attn.q_proj")), "{keys:?}");
        let scale = parameters["scale"].as_f64().expect("a number") as f32;
        let file = MemoryFile::source("adapters.safetensors", files["adapters.safetensors"].clone());
        let placed = block_on(safetensors::read_header(&file)).expect("a header");
        let part = |name: String| {
            let tensor = placed.iter().find(|tensor| tensor.name == name)?;
            let bytes = block_on(file.read_at(tensor.offset, tensor.bytes as usize)).expect("bytes");
            Some((
                tensor.shape.clone(),
                blocks::decode(tensor.storage, &bytes).expect("numbers"),
            ))
        };
        let merged = open(&exported(&base, Some(&adapter), settings(Form::Merged, None)));
        let plain = open(&base);
        let mut found_parts = 0;
        for entry in plain.entries() {
            let (_, mut found) = block_on(plain.read_f32(&entry.name)).expect("numbers");
            let (_, wanted) = block_on(merged.read_f32(&entry.name)).expect("numbers");
            let path = entry.name.trim_end_matches(".weight");
            if let Some((a_shape, a)) = part(format!("{path}.lora_a")) {
                let (b_shape, b) = part(format!("{path}.lora_b")).expect("B");
                let rank = a_shape[1];
                assert_eq!(b_shape[0], rank);
                // mlx-lm makes all parts of one rank.
                assert_eq!(parameters["rank"], rank);
                // x·A·B adds (A·B)ᵀ to a linear's [out, in], and A·B to a table.
                let sum = product(&a, &b, rank, scale);
                let columns = b_shape[1];
                let is_table = path.ends_with("embed_tokens");
                for (i, number) in found.iter_mut().enumerate() {
                    let (row, column) = (i / entry.shape[1], i % entry.shape[1]);
                    *number += sum[if is_table { i } else { column * columns + row }];
                }
                if let Some((_, m)) = part(format!("{path}.m")) {
                    for (row, m) in found.chunks_exact_mut(entry.shape[1]).zip(m) {
                        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                        row.iter_mut().for_each(|number| *number *= m / norm);
                    }
                }
                found_parts += 1;
            }
            assert_close(&entry.name, &found, &wanted, 1e-5);
        }
        assert_eq!(found_parts, if use_dora { 4 } else { 5 });
    }
}

#[test]
fn what_another_program_has_no_place_for_is_refused_with_the_way_out() {
    let refused = |case: &Case, adapter: Option<&Adapter>, form, dtype| {
        let written = try_export(&files_of(case), adapter, None, settings(form, dtype));
        written.map(drop).expect_err("it is refused").to_string()
    };
    let (llama, bert) = (Case::open("A/llama_tied"), Case::open("A/bert_seqcls"));
    let dora = AdapterConfig {
        use_dora: true,
        ..config(&["q_proj"], &[])
    };
    let dora = random_adapter(&llama, &dora);
    let whole = random_adapter(&llama, &config(&["q_proj"], &["lm_head"]));
    let table = random_adapter(&llama, &config(&["embed_tokens"], &[]));
    let class = adapter_of(&bert.below("adapters")[0]);
    for (case, adapter, form, words) in [
        (&llama, Some(&dora), Form::GgufAdapter, ["DoRA", "merged model"]),
        (
            &llama,
            Some(&whole),
            Form::GgufAdapter,
            ["lm_head.weight", "trained whole"],
        ),
        (
            &llama,
            Some(&table),
            Form::GgufAdapter,
            ["embed_tokens", "output matrix"],
        ),
        (&llama, Some(&table), Form::Mlx, ["embed_tokens", "output matrix"]),
        (&llama, None, Form::Mlx, ["no adapter", "merged or gguf"]),
        (&bert, Some(&class), Form::Gguf, ["classifier", "merged model"]),
        (&bert, Some(&class), Form::GgufAdapter, ["classifier", "trained whole"]),
    ] {
        let said = refused(case, adapter, form, None);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    let said = refused(&llama, None, Form::Merged, Some(Storage::Q8_0));
    assert!(said.contains("q8_0") && said.contains("float16"), "{said}");
    let modernbert = Case::open("A/modernbert_seqcls");
    let said = refused(
        &modernbert,
        Some(&adapter_of(&modernbert.below("adapters")[0])),
        Form::Mlx,
        None,
    );
    assert!(said.contains("trained whole") || said.contains("modernbert"), "{said}");
}

#[test]
fn an_adapter_that_does_not_fit_its_base_is_refused_by_the_tensor() {
    let case = Case::open("A/llama_tied");
    let base = files_of(&case);
    let whole = random_adapter(&case, &config(&["q_proj"], &[]));
    let refused = |adapter: &Adapter| {
        let written = try_export(&base, Some(adapter), None, settings(Form::Merged, None));
        written.map(drop).expect_err("it is refused").to_string()
    };
    let mut less = whole.clone();
    let lost = less.tensors.remove(0).0;
    assert!(refused(&less).contains(&lost));
    let mut more = whole.clone();
    more.tensors
        .push(("base_model.model.score.weight".into(), vec![2], vec![0.0; 2]));
    let said = refused(&more);
    assert!(said.contains("score.weight") && said.contains("config.json"), "{said}");
    let mut other = whole.clone();
    other.tensors[0].1 = vec![other.tensors[0].2.len()];
    assert!(refused(&other).contains(&other.tensors[0].0));
    let mut rank = whole.clone();
    rank.config.r = 60000;
    assert!(refused(&rank).contains("lora_A"));
    let mut large = whole;
    large.tensors[0].2[0] = 1e30;
    large.tensors[1].2[0] = 1e30;
    let said = refused(&large);
    assert!(said.contains("q_proj"), "{said}");
}

/// A base that was saved without a head, and an adapter that brings one.
#[test]
fn a_head_that_a_run_put_on_becomes_part_of_the_model() {
    let case = Case::open("A/bert_seqcls");
    let weights = case.tensors("model.safetensors");
    let bare: Vec<(String, Vec<usize>, Vec<f32>)> = weights
        .iter()
        .filter_map(|(name, tensor)| {
            let values = tensor.values.iter().map(|value| *value as f32).collect();
            Some((name.strip_prefix("bert.")?.to_owned(), tensor.shape.clone(), values))
        })
        .collect();
    let mut plain = case.config();
    plain["architectures"] = json!(["BertModel"]);
    plain
        .as_object_mut()
        .expect("an object")
        .retain(|key, _| !key.contains("label"));
    let base = vec![
        MemoryFile::source("config.json", plain.to_string().into_bytes()),
        MemoryFile::source("model.safetensors", safetensors::write_f32(&bare).expect("a file")),
    ];
    let mut head = json!({
        "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "no", "1": "yes", "2": "maybe"},
        "label2id": {"no": 0, "yes": 1, "maybe": 2},
        "problem_type": "single_label_classification",
        "task_specific_params": {"lorakeet": {"task": "classification"}},
    });
    let adapter = adapter_of(&case.below("adapters")[0]);
    let without = try_export(&base, Some(&adapter), None, settings(Form::Merged, None));
    let said = without.map(drop).expect_err("it has no head").to_string();
    assert!(said.contains("classifier") && said.contains("config.json"), "{said}");
    let files = try_export(&base, Some(&adapter), Some(&head), settings(Form::Merged, None)).expect("it is written");
    let merged = open(&sources(files));
    assert_eq!(merged.config["id2label"], head["id2label"].take());
    assert_eq!(merged.config["problem_type"], "single_label_classification");
    assert!(merged.contains("bert.embeddings.word_embeddings.weight") && merged.contains("classifier.weight"));
    let mut model = load(&open(&files_of(&case)));
    model.load_adapter(&adapter).expect("it fits");
    assert_close(
        "with a head",
        &outputs(&load(&merged), &case, false),
        &outputs(&model, &case, false),
        CLOSE,
    );
}
