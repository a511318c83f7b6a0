//! Exports read back: an adapter for another program computes what it was made from, and a base that is rounded as a run rounds
//! it is the one that the run computed with.

use super::{
    adapter_of, assert_close, config, cpu, files_of, load, open, outputs, random_adapter, settings, sources, try_export,
};
use lorakeet_core::{
    config::RunConfig,
    export::{Form, RunRecord, Settings, Trained, read_back},
    formats::{
        Storage,
        peft::{Adapter, AdapterConfig},
    },
    models::Model,
    quant::BaseFormat,
    store::{DiskFile, MemoryFile, Source},
};
use lorakeet_tests::golden::{Case, block_on};
use serde_json::Value;

/// Logits are sums in another order.
const CLOSE: f32 = 1e-4;

/// The adapter that an export holds.
fn read(base: &[Source], adapter: &Adapter, form: Form) -> Adapter {
    let written = try_export(base, Some(adapter), None, settings(form, None)).expect("it is written");
    let files: Vec<Source> = written
        .into_iter()
        .map(|(name, bytes)| MemoryFile::source(name, bytes))
        .collect();
    let trained = Trained {
        base: open(base),
        base_files: base,
        adapter: Some(adapter),
        head: None,
        record: &RunRecord::default(),
    };
    let found = block_on(read_back(trained, form, &files)).expect("it is read");
    found.expect("it is an adapter")
}

#[test]
fn an_adapter_for_another_program_is_read_back_as_the_one_that_it_was_made_from() {
    let case = Case::open("A/llama_untied");
    let plain = config(&["q_proj", "up_proj", "embed_tokens"], &[]);
    let mut varied = AdapterConfig {
        use_rslora: true,
        ..plain.clone()
    };
    varied.rank_pattern.0.push(("up_proj".into(), 2));
    varied.alpha_pattern.0.push(("q_proj".into(), 7.0));
    let base = files_of(&case);
    for wanted in [plain, varied] {
        let adapter = random_adapter(&case, &wanted);
        let of = |adapter: &Adapter| {
            let mut model = load(&open(&base));
            model.load_adapter(adapter).expect("it fits");
            outputs(&model, &case, false)
        };
        let (before, untouched) = (of(&adapter), outputs(&load(&open(&base)), &case, false));
        assert!(before.iter().zip(&untouched).any(|(a, b)| (a - b).abs() > 10.0 * CLOSE));
        for form in [Form::Mlx, Form::GgufAdapter] {
            assert_close(form.name(), &of(&read(&base, &adapter, form)), &before, CLOSE);
        }
    }
}

#[test]
fn a_base_that_bitsandbytes_packed_is_exported_unpacked() {
    let cases = Case::all_with("D", "bnb4/model.safetensors");
    assert!(!cases.is_empty());
    for case in cases {
        let base: Vec<Source> = ["config.json", "model.safetensors"]
            .map(|name| DiskFile::source(case.path.join("bnb4").join(name)).expect("a file"))
            .into();
        let files = try_export(&base, None, None, settings(Form::Merged, Some(Storage::F32))).expect("it is written");
        let config: Value = serde_json::from_slice(&files["config.json"]).expect("JSON");
        assert!(config["quantization_config"].is_null(), "{config}");
        let merged = open(&sources(files));
        assert!(merged.entries().iter().all(|entry| !entry.name.contains("absmax")));
        for (name, wanted) in case.tensors("dequantized.safetensors") {
            let (shape, found) = block_on(merged.read_f32(&name)).expect("a tensor");
            assert_eq!(shape, wanted.shape, "{}: {name}", case.name);
            let is_same = found
                .iter()
                .zip(&wanted.values)
                .all(|(found, wanted)| f64::from(*found) == *wanted);
            assert!(is_same && found.len() == wanted.values.len(), "{}: {name}", case.name);
        }
    }
}

#[test]
fn a_base_that_is_rounded_as_the_run_rounds_it_is_merged_to_what_the_run_computed() {
    for name in ["A/llama_untied", "A/gpt2"] {
        let case = Case::open(name);
        let adapter = adapter_of(&case.below("adapters")[0]);
        let base = files_of(&case);
        for (bits, double) in [(4, false), (4, true), (8, false)] {
            let format = BaseFormat::from(&RunConfig {
                quantization_bit: Some(bits),
                bnb_4bit_use_double_quant: double,
                ..RunConfig::default()
            });
            let (files, device) = (open(&base), cpu());
            let loaded = block_on(Model::load_base(&files, (false, format), 0, &device, &mut |_, _| ()));
            let mut model = loaded.expect("the model loads");
            model.load_adapter(&adapter).expect("it fits");
            let wanted = Settings {
                base: format,
                ..settings(Form::Merged, None)
            };
            let files = try_export(&base, Some(&adapter), None, wanted).expect("it is written");
            let merged = load(&open(&sources(files)));
            assert_close(
                &format!("{name}, {bits} bits"),
                &outputs(&merged, &case, false),
                &outputs(&model, &case, false),
                10.0 * CLOSE,
            );
        }
    }
}
