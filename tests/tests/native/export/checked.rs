//! Bases with fewer bits: one that bitsandbytes packed is unpacked, and one that is rounded as a run rounds it is the one that the
//! run computed with.

use super::{CLOSE, adapter_of, assert_close, cpu, files_of, load, open, outputs, settings, sources, try_export};
use lorakeet_core::{
    config::RunConfig,
    export::{Form, Settings},
    formats::Storage,
    models::Model,
    quant::BaseFormat,
    store::{DiskFile, Source},
};
use lorakeet_tests::golden::{Case, block_on};
use serde_json::Value;

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
