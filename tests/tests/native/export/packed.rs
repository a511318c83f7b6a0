//! Models as bitsandbytes packs them: the files are those that transformers writes, and what is in them is what a run packs its base
//! into.

use super::{assert_close, cpu, exported, files_of, load, open, outputs, settings, sources};
use lorakeet_core::{
    Error,
    config::{QuantType, RunConfig},
    export::{Form, PACKINGS, Packing, RunRecord, SHARD_BYTES, quantize, read_back_packed},
    formats::{ModelFiles, Storage},
    host::{Control, Emit, Host},
    models::Model,
    protocol::{Event, ReadBack},
    quant::BaseFormat,
    store::{DiskFile, MemorySink, Source},
};
use lorakeet_tests::golden::{Case, block_on};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HOST: Host = Host {
    now_ms: || 0.0,
    yield_now: || Box::pin(std::future::ready(())),
};

fn try_quantize(base: &[Source], packing: Packing, shard_bytes: u64) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let sink = MemorySink::new();
    let (files, record) = (open(base), RunRecord::default());
    let mut last = (0, 0);
    block_on(quantize(
        files,
        (base, &record),
        (packing, shard_bytes),
        &sink,
        &mut |done, total| {
            assert!(last.0 < done && done <= total, "{last:?} {done} {total}");
            last = (done, total);
        },
    ))?;
    Ok(sink.files())
}

fn quantized(base: &[Source], packing: Packing) -> Vec<Source> {
    sources(try_quantize(base, packing, SHARD_BYTES).unwrap_or_else(|error| panic!("{error}")))
}

fn read_back(base: &[Source], packing: Packing, written: Vec<Source>) -> Result<ReadBack, Error> {
    let mut unheard = |_: Event, _: Option<Vec<u8>>| ();
    let emit = &mut Emit::new(&mut unheard, HOST, Control::default());
    block_on(read_back_packed(open(base), (packing, SHARD_BYTES), written, emit))
}

/// The format of a run that packs its base so.
fn base_format(packing: Packing) -> BaseFormat {
    BaseFormat::from(&RunConfig {
        quantization_bit: Some(if packing == Packing::Int8 { 8 } else { 4 }),
        bnb_4bit_quant_type: match packing {
            Packing::Fp4 => QuantType::Fp4,
            Packing::Nf4 | Packing::Int8 => QuantType::Nf4,
        },
        ..RunConfig::default()
    })
}

#[test]
fn a_packed_model_computes_what_a_run_does_that_packs_its_base() {
    for name in ["A/llama_tied", "A/gpt2", "A/bert_seqcls", "A/modernbert_seqcls"] {
        let case = Case::open(name);
        let base = files_of(&case);
        for (packing_name, packing) in PACKINGS {
            let what = format!("{name} {packing_name}");
            let written = quantized(&base, packing);
            let found = read_back(&base, packing, written.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
            let moved = found.relative.expect("a number");
            assert!(found.is_close() && moved > 1e-4 && moved < 0.2, "{what}: {found:?}");
            let files = open(&written);
            let (plain, device) = (open(&base), cpu());
            let format = (false, base_format(packing));
            let loaded = block_on(Model::load_base(&plain, format, 0, &device, &mut |_, _| ()));
            let wanted = loaded.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_close(
                &what,
                &outputs(&load(&files), &case, false),
                &outputs(&wanted, &case, false),
                1e-5,
            );
        }
    }
}

#[test]
fn what_is_not_packed_is_named_and_stays_as_it_was() {
    let case = Case::open("A/t5");
    let base = files_of(&case);
    let files = open(&quantized(&base, Packing::Nf4));
    let is_packed = |name: &str| files.contains(&format!("{name}.absmax"));
    let skipped = &files.config["quantization_config"]["llm_int8_skip_modules"];
    let skipped: Vec<String> = serde_json::from_value(skipped.clone()).expect("names");
    let before = open(&base);
    for entry in before.entries().iter().filter(|entry| entry.shape.len() == 2) {
        let module = entry.name.trim_end_matches(".weight").to_owned();
        assert_ne!(is_packed(&entry.name), skipped.contains(&module), "{}", entry.name);
        // transformers keeps it in 32 bits.
        assert!(!(module.ends_with(".wo") && is_packed(&entry.name)), "{}", entry.name);
    }
    assert!(is_packed("encoder.block.0.layer.0.SelfAttention.q.weight"));
    assert!(
        skipped.contains(&"lm_head".to_owned()) && skipped.contains(&"shared".to_owned()),
        "{skipped:?}"
    );
    let kept = ["shared.weight", "encoder.block.0.layer.1.DenseReluDense.wo.weight"];
    for name in kept {
        let bytes = |files: &ModelFiles| block_on(files.read_bytes(name)).expect("a tensor");
        assert!(bytes(&files) == bytes(&before), "{name}");
    }
}

#[test]
fn the_files_are_those_that_transformers_writes() {
    let cases = Case::all_with("D", "bnb4/model.safetensors");
    assert!(!cases.is_empty());
    for case in cases {
        let sources_of = |folder: &str| -> Vec<Source> {
            let file = |name: &str| DiskFile::source(case.path.join(folder).join(name)).expect("a file");
            vec![file("config.json"), file("model.safetensors")]
        };
        let wanted = open(&sources_of("bnb4"));
        let found = open(&quantized(&sources_of("."), Packing::Nf4));
        for name in case.json["quantised_weights"].as_array().expect("names") {
            let name = name.as_str().expect("a name");
            if !found.contains(&format!("{name}.absmax")) {
                // The pooler, which transformers packs as well.
                assert!(name.contains("pooler"), "{}: {name}", case.name);
                continue;
            }
            for part in ["", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"] {
                let name = format!("{name}{part}");
                let (one, other) = (found.entry(&name), wanted.entry(&name));
                let form = |entry: Option<&lorakeet_core::formats::TensorEntry>| {
                    entry.map(|entry| (entry.shape.clone(), entry.storage))
                };
                assert_eq!(form(one), form(other), "{}: {name}", case.name);
                // Codes of scales are searched only roughly by bitsandbytes' build for CPUs, and their sums have another order.
                if !part.ends_with("absmax") {
                    let bytes = |files: &ModelFiles| block_on(files.read_bytes(&name)).expect("a tensor");
                    assert!(bytes(&found) == bytes(&wanted), "{}: {name}", case.name);
                }
            }
            let state = |files: &ModelFiles| -> Value {
                let bytes = block_on(files.read_bytes(&format!("{name}.quant_state.bitsandbytes__nf4")));
                serde_json::from_slice(&bytes.expect("a state")).expect("JSON")
            };
            let (mut one, other) = (state(&found), state(&wanted));
            let offset = |state: &Value| state["nested_offset"].as_f64().expect("a number");
            assert!((offset(&one) - offset(&other)).abs() < 1e-6, "{}: {name}", case.name);
            one["nested_offset"] = other["nested_offset"].clone();
            assert_eq!(one, other, "{}: {name}", case.name);
        }
        let [mut config, expected] = [&found, &wanted].map(|files| files.config["quantization_config"].clone());
        // Ours names what transformers finds by itself where none are named.
        let (skipped, theirs) = (
            config["llm_int8_skip_modules"].take(),
            &expected["llm_int8_skip_modules"],
        );
        for module in theirs.as_array().into_iter().flatten() {
            assert!(
                skipped.as_array().is_some_and(|skipped| skipped.contains(module)),
                "{}: {module}",
                case.name
            );
        }
        config["llm_int8_skip_modules"] = theirs.clone();
        assert_eq!(config, expected, "{}", case.name);
    }
}

#[test]
fn eight_bits_and_shards_are_read_and_exported_again() {
    let case = Case::open("A/gpt2");
    let base = files_of(&case);
    let files = try_quantize(&base, Packing::Int8, 20_000).expect("it is written");
    let index: Value = serde_json::from_slice(&files["model.safetensors.index.json"]).expect("JSON");
    let map = index["weight_map"].as_object().expect("a map");
    let module = "transformer.h.0.attn.c_attn";
    for part in ["weight", "SCB", "weight_format"] {
        assert!(map.contains_key(&format!("{module}.{part}")), "{part}");
    }
    let packed = sources(files);
    let read = open(&packed);
    assert_eq!(read.config["quantization_config"]["load_in_8bit"], json!(true));
    // Unpacked, the linears are [in, out] again.
    let merged = open(&exported(&packed, None, settings(Form::Merged, Some(Storage::F32))));
    let before = open(&base);
    for entry in before.entries() {
        let (shape, values) = block_on(merged.read_f32(&entry.name)).expect("a tensor");
        assert_eq!(shape, entry.shape, "{}", entry.name);
        let wanted = block_on(before.read_f32(&entry.name)).expect("a tensor").1;
        let largest = wanted.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        assert_close(&entry.name, &values, &wanted, largest / 127.0);
    }
}

#[test]
fn files_of_another_packing_are_found_out_by_how_far_they_lie() {
    let case = Case::open("A/llama_tied");
    let base = files_of(&case);
    let other = quantized(&base, Packing::Int8);
    // Eight bits are nearer than four.
    let found = read_back(&base, Packing::Nf4, other.clone()).expect("it is read");
    assert!(found.is_close(), "{found:?}");
    let fewer = quantized(&base, Packing::Fp4);
    let found = read_back(&base, Packing::Int8, fewer).expect("it is read");
    assert!(!found.is_close(), "{found:?}");
    let alone: Vec<Source> = other
        .into_iter()
        .filter(|file| file.name() != "model.safetensors")
        .collect();
    assert!(read_back(&base, Packing::Int8, alone).is_err());
}
