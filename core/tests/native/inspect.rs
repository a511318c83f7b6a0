//! What files are said to be and to hold, and how far two of a kind lie apart.

use crate::common::gguf::GgufWriter;
use crate::common::{golden, now};
use lorakeet_core::Error;
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::formats::adapter_files::{AdapterFiles, AdapterModules};
use lorakeet_core::formats::diff::{Difference, Uncompared, compare_adapters, compare_models};
use lorakeet_core::formats::inspect::{FileKind, Inspected, inspect};
use lorakeet_core::formats::safetensors::write_f32;
use lorakeet_core::store::{DiskFile, MemoryFile, Source};
use std::path::Path;

fn files_in(folder: &Path) -> Vec<Source> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let files = paths.filter(|path| path.is_file());
    files.map(|path| DiskFile::source(path).expect("it is there")).collect()
}

fn inspected(files: &[Source]) -> Inspected {
    now(inspect(files)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_model_has_its_tensors_by_shape_and_its_config() {
    let found = inspected(&files_in(&golden("A/llama_tied")));
    assert_eq!(
        (found.kind, found.architecture.as_deref()),
        (FileKind::Model, Some("llama"))
    );
    assert_eq!(found.settings["num_hidden_layers"], 2);
    let groups = found.groups();
    let name = "model.layers.*.self_attn.q_proj.weight";
    let group = groups.iter().find(|group| group.name == name).expect("a group");
    assert_eq!(group.count, 2);
    let bytes: u64 = found.tensors.iter().map(|tensor| tensor.bytes).sum();
    assert_eq!(groups.iter().map(|group| group.bytes).sum::<u64>(), bytes);
    let of_formats = found.formats().into_values().map(|(.., bytes)| bytes).sum::<u64>();
    assert_eq!(of_formats, bytes);
    assert!(
        found.others.iter().any(|name| name == "case.json"),
        "{:?}",
        found.others
    );
    assert!(
        !found
            .others
            .iter()
            .any(|name| name == "config.json" || name == "model.safetensors")
    );
}

#[test]
fn an_adapter_has_its_rank_its_scale_and_its_targets() {
    let found = inspected(&files_in(&golden("A/llama_tied/adapters/patterns")));
    assert_eq!(found.kind, FileKind::Adapter);
    let facts = found.adapter.expect("an adapter").expect("it is read");
    assert!(facts.ranks.len() > 1 || facts.alphas.len() > 1, "{facts:?}");
    assert_eq!(facts.ranks.values().sum::<usize>(), facts.modules);
    assert!(!facts.targets.is_empty() && !facts.has_magnitudes);
    // What is not read here is described all the same.
    let config = r#"{"peft_type": "IA3", "target_modules": ["q_proj"]}"#;
    let found = inspected(&[MemoryFile::source("adapter_config.json", config.as_bytes().to_vec())]);
    let why = found.adapter.expect("an adapter").expect_err("it is no LoRA");
    assert!(why.to_string().contains("IA3"), "{why}");
}

#[test]
fn a_gguf_file_is_a_model_or_an_adapter_by_what_it_says() {
    let mut writer = GgufWriter::llama(&["a", "b"], &[]);
    writer.i32s("many", &[7; 100]);
    let found = inspected(&[MemoryFile::source("x", writer.bytes())]);
    assert_eq!(
        (found.kind, found.architecture.as_deref()),
        (FileKind::Gguf, Some("llama"))
    );
    assert_eq!(found.metadata["llama.block_count"], 1);
    assert_eq!(found.metadata["many"]["count"], 100);
    assert_eq!(found.tensors[0].shape, [2, 32]);
    let mut writer = GgufWriter::new();
    writer.text("general.type", "adapter");
    writer.text("general.architecture", "an unknown one");
    writer.text("adapter.type", "lora");
    writer.f32("adapter.lora.alpha", 3.0);
    writer.tensor_f32("blk.0.attn_q.weight.lora_a", &[2, 4]);
    writer.tensor_f32("blk.0.attn_q.weight.lora_b", &[3, 2]);
    let found = inspected(&[MemoryFile::source("x", writer.bytes())]);
    assert_eq!(found.kind, FileKind::GgufAdapter);
    let facts = found.adapter.expect("an adapter").expect("it is read");
    assert_eq!(
        (facts.scales, facts.targets),
        (vec![(1.5, 1)], vec!["attn_q".to_owned()])
    );
}

#[test]
fn tensors_alone_are_described_and_other_files_are_refused() {
    let tensors = [("a.0.weight".to_owned(), vec![2, 2], vec![1.0f32; 4])];
    let file = MemoryFile::source("x.safetensors", write_f32(&tensors).expect("a file"));
    let found = inspected(&[file]);
    assert_eq!((found.kind, found.tensors.len()), (FileKind::Tensors, 1));
    assert_eq!(found.metadata["format"], "pt");
    let refused = |name: &str, bytes: &[u8]| -> Error {
        now(inspect(&[MemoryFile::source(name, bytes.to_vec())])).expect_err("it is nothing")
    };
    assert!(refused("notes.txt", b"hello").to_string().contains("notes.txt"));
    assert!(refused("x.safetensors", b"hello").to_string().contains("cut off"));
    assert!(now(inspect(&[])).is_err());
}

fn adapter(name: &str) -> AdapterModules {
    let opened = now(AdapterFiles::open(files_in(&golden(name)))).expect("an adapter");
    opened.modules().expect("it is whole")
}

fn compared(a: &AdapterModules, b: &AdapterModules) -> Difference {
    compare_adapters(a, b).expect("they can be compared")
}

#[test]
fn adapters_differ_by_what_they_add_and_not_by_how_they_are_written() {
    let one = adapter("A/llama_tied/adapters/default");
    let same = compared(&one, &one);
    assert!(same.is_none() && same.tensors.len() == one.modules.len(), "{same:?}");
    // The scale may stand in alpha, in A or in B, and rows of zeros add nothing.
    let mut written_otherwise = one.clone();
    for module in &mut written_otherwise.modules {
        let inputs = module.inputs();
        module.b.iter_mut().for_each(|value| *value *= 4.0);
        module.alpha /= 4.0;
        let rank = module.rank;
        let rows = module.b.chunks_exact(rank);
        module.b = rows.flat_map(|row| row.iter().copied().chain([0.5])).collect();
        module.a.extend(vec![0.0; inputs]);
        module.alpha *= (rank + 1) as f64 / rank as f64;
        module.rank = rank + 1;
    }
    let found = compared(&one, &written_otherwise);
    assert!(found.total().relative().expect("a number") < 1e-6, "{found:?}");
    let mut changed = one.clone();
    changed.modules[1].b.iter_mut().for_each(|value| *value *= 3.0);
    let lost = changed.modules.remove(0).name;
    let found = compared(&one, &changed);
    assert_eq!(found.only_a, [lost]);
    assert_eq!(
        found.tensors[0].name, one.modules[1].name,
        "the largest change is first"
    );
    let share = found.tensors[0].relative().expect("a number");
    assert!((share - 2.0).abs() < 1e-6, "{share}");
    assert!(found.tensors[1..].iter().all(|change| change.distance == 0.0));
    let layers = found.layers.iter().map(|layer| layer.distance.powi(2)).sum::<f64>();
    assert!((layers.sqrt() - found.total().distance).abs() < 1e-9);
}

#[test]
fn adapters_that_call_modules_by_other_names_need_their_base() {
    let one = adapter("A/llama_tied/adapters/default");
    let mut writer = GgufWriter::new();
    writer.text("general.type", "adapter");
    writer.text("general.architecture", "llama");
    writer.text("adapter.type", "lora");
    writer.tensor_f32("blk.0.attn_q.weight.lora_a", &[2, 4]);
    writer.tensor_f32("blk.0.attn_q.weight.lora_b", &[3, 2]);
    let file = MemoryFile::source("x.gguf", writer.bytes());
    let gguf = now(AdapterFiles::open(vec![file])).expect("an adapter");
    let gguf = gguf.modules().expect("it is whole");
    assert!(compared(&gguf, &gguf).is_none());
    let error = compare_adapters(&one, &gguf).expect_err("names differ");
    assert!(error.to_string().contains("--base"), "{error}");
}

fn model(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> ModelFiles {
    let config = std::fs::read(golden("A/llama_tied/config.json")).expect("a config");
    let files = vec![
        MemoryFile::source("config.json", config),
        MemoryFile::source("model.safetensors", write_f32(tensors).expect("a file")),
    ];
    now(ModelFiles::open(files)).expect("the files open")
}

#[test]
fn models_are_compared_tensor_by_tensor() {
    let named = |name: &str, shape: &[usize], value: f32| {
        let count = shape.iter().product();
        (name.to_owned(), shape.to_vec(), vec![value; count])
    };
    let one = model(&[
        named("model.layers.0.x.weight", &[3, 4], 1.0),
        named("model.layers.1.x.weight", &[3, 4], 1.0),
        named("model.norm.weight", &[4], 2.0),
        named("old.weight", &[1], 1.0),
        named("grown.weight", &[1], 1.0),
    ]);
    let other = model(&[
        named("model.layers.0.x.weight", &[3, 4], 1.5),
        named("model.layers.1.x.weight", &[3, 4], 1.0),
        named("model.norm.weight", &[4], 3.0),
        named("new.weight", &[1], 1.0),
        named("grown.weight", &[2], 1.0),
    ]);
    let found = now(compare_models(&one, &other)).expect("they are read");
    assert_eq!(
        (found.only_a.join(","), found.only_b.join(",")),
        ("old.weight".into(), "new.weight".into())
    );
    let shapes = Uncompared::Shapes([vec![1], vec![2]]);
    assert_eq!(found.uncompared, [("grown.weight".to_owned(), shapes)]);
    let shares: Vec<Option<f64>> = found.tensors.iter().map(|change| change.relative()).collect();
    assert_eq!(shares, [Some(0.5), Some(0.5), Some(0.0)]);
    let layers: Vec<(&str, Option<f64>)> = found
        .layers
        .iter()
        .map(|layer| (layer.name.as_str(), layer.relative()))
        .collect();
    let wanted = [
        ("", Some(0.5)),
        ("model.layers.0", Some(0.5)),
        ("model.layers.1", Some(0.0)),
    ];
    assert_eq!(layers, wanted);
    assert!(now(compare_models(&one, &one)).expect("they are read").is_none());
}
