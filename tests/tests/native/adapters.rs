//! Adapters that no golden case covers: on embeddings, and matrices that are trained whole beside one; against the model whose
//! weights they come to, on the CPU and on software Vulkan.

use burn::tensor::{Device, Tensor};
use lorakeet_core::{
    config::TargetModules,
    device,
    formats::{
        ModelFiles,
        peft::{Adapter, AdapterConfig},
    },
    models::Model,
    protocol::DeviceChoice,
    random::Generator,
    store::MemoryFile,
};
use lorakeet_tests::{
    golden::{Case, Golden, block_on},
    trajectory::{meaningful, whole_batch},
};
use safetensors::{Dtype, tensor::TensorView};
use std::collections::HashMap;

/// What two computations of the same number may differ by that are each within the case's tolerance of the true one, which is
/// four times as wide on a GPU. A model of whose own gradients the reference says nothing has its adapters' tolerance.
fn both(case: &Case, tolerance: &str, choice: DeviceChoice) -> f64 {
    let factor = if choice == DeviceChoice::Cpu { 1.0 } else { 4.0 };
    let told = |case: &Case| case.json["tolerance"][tolerance].as_f64();
    let of_adapters = || case.below("adapters").iter().filter_map(told).max_by(f64::total_cmp);
    let told = told(case).or_else(of_adapters);
    2.0 * told.unwrap_or_else(|| panic!("{} has no tolerance {tolerance}", case.name)) * factor
}

/// The folder's first model of each of these types that asks for an answer as most do: the next token, or a class of the row.
fn models(types: &[&str]) -> Vec<Case> {
    let cases = Case::all("A");
    let has_type = |case: &Case, name: &str| {
        let config = case.config();
        let is_usual = match case.kind() {
            "causal" => config["tie_word_embeddings"] == true,
            kind => kind == "seqcls",
        };
        is_usual && config["model_type"] == name
    };
    let mut found: Vec<Case> = Vec::new();
    for case in cases {
        let name = types.iter().find(|name| has_type(&case, name));
        if name.is_some_and(|name| found.iter().all(|other| !has_type(other, name))) {
            found.push(case);
        }
    }
    assert!(!found.is_empty(), "the folder has none of {types:?}");
    found
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = block_on(tensor.into_data_async()).expect("the device answers");
    data.try_into_vec().expect("f32")
}

/// A model of `case` with these weights; 16 bits stay packed.
fn model(
    case: &Case,
    tensors: &HashMap<String, Golden>,
    changes: &[(&str, bool)],
    dtype: Dtype,
    full: bool,
    device: &Device,
) -> Model {
    let bytes = |tensor: &Golden| -> Vec<u8> {
        let each = tensor.values.iter().map(|&value| (value as f32).to_le_bytes());
        each.flat_map(|bytes| {
            if dtype == Dtype::BF16 {
                bytes[2..].to_vec()
            } else {
                bytes.to_vec()
            }
        })
        .collect()
    };
    let data: Vec<(&String, &Golden, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| (name, tensor, bytes(tensor)))
        .collect();
    let views = data.iter().map(|(name, tensor, bytes)| {
        (
            *name,
            TensorView::new(dtype, tensor.shape.clone(), bytes).expect("a view"),
        )
    });
    let file = safetensors::serialize(views, None).expect("a file");
    let mut config = case.config();
    for (key, value) in changes {
        config[*key] = (*value).into();
    }
    let files = vec![
        MemoryFile::source("config.json", config.to_string().into_bytes()),
        MemoryFile::source("model.safetensors", file),
    ];
    let files = block_on(ModelFiles::open(files)).expect("the model's files open");
    block_on(Model::load(&files, full, 0, device, &mut |_, _| ())).expect("the model loads")
}

/// Weights that sixteen bits hold.
fn weights(case: &Case) -> HashMap<String, Golden> {
    let mut tensors = case.tensors("model.safetensors");
    for tensor in tensors.values_mut() {
        for value in &mut tensor.values {
            *value = f64::from(f32::from_bits((*value as f32).to_bits() & 0xffff_0000));
        }
    }
    tensors
}

fn close(what: &str, found: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let difference = (f64::from(*found) - wanted).abs();
        assert!(
            difference <= tolerance,
            "{what}: element {i} is {found} instead of {wanted}"
        );
    }
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The adapter's matrices become random ones; gives them by the ends of their names.
fn fill(model: &mut Model, device: &Device) -> HashMap<String, Vec<f64>> {
    let mut generator = Generator::new(3, "adapter");
    let mut filled = HashMap::new();
    for i in 0..model.parameters.len() {
        let parameter = model.parameters.iter().nth(i).expect("a parameter").clone();
        let count = parameter.shape.iter().product::<usize>();
        let numbers: Vec<f32> = (0..count).map(|_| (generator.normal() * 0.1) as f32).collect();
        let part = parameter.name.rsplit('.').next().expect("a name");
        filled.insert(part.to_owned(), widen(&numbers));
        model.parameters.set(i, Tensor::from_data(numbers.as_slice(), device));
    }
    filled
}

/// The module of the embedding by the model's type.
const EMBEDDINGS: [(&str, &str); 4] = [
    ("llama", "model.embed_tokens"),
    ("gpt2", "transformer.wte"),
    ("gemma3_text", "model.embed_tokens"),
    ("bert", "bert.embeddings.word_embeddings"),
];

#[test]
fn an_adapter_on_an_embedding_is_the_embedding_that_it_comes_to() {
    let cases = models(&EMBEDDINGS.map(|(name, _)| name));
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let device = block_on(device::open(choice)).expect("the device opens").0;
        for (case, use_dora) in cases.iter().flat_map(|case| [(case, false), (case, true)]) {
            let what = format!("{}, magnitudes {use_dora}, on {choice:?}", case.name);
            let model_type = case.config()["model_type"].clone();
            let module = EMBEDDINGS.iter().find(|(name, _)| model_type == *name).expect("it").1;
            // The output matrix is the embedding.
            let tied = case.kind() == "causal";
            let (mut tensors, batch) = (weights(case), whole_batch(case));
            let config = AdapterConfig {
                r: 3,
                lora_alpha: 6.0,
                lora_dropout: 0.5,
                use_dora,
                target_modules: TargetModules::Names(vec![module.rsplit('.').next().expect("a name").into()]),
                ..AdapterConfig::default()
            };
            let mut adapted = model(case, &tensors, &[], Dtype::BF16, false, &device);
            let before = values(adapted.logits(&adapted.parameters.plain(), &batch));
            adapted
                .attach_lora(&config, 4)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            let fresh = values(adapted.logits(&adapted.parameters.plain(), &batch));
            let allowed = both(case, "logits_abs", choice);
            close(&format!("{what}: fresh"), &fresh, &widen(&before), allowed);
            let heads = adapted.parameters.iter().filter(|p| !p.name.contains("lora_")).count();
            assert_eq!(adapted.parameters.len() - heads, if use_dora { 3 } else { 2 }, "{what}");
            let head: Vec<Tensor<1>> = adapted.parameters.iter().map(|p| p.value.clone()).collect();
            let parts = fill(&mut adapted, &device);
            for (i, value) in head.into_iter().enumerate() {
                if !adapted.parameters.iter().nth(i).expect("it").name.contains("lora_") {
                    adapted.parameters.set(i, value);
                }
            }

            // W + s·(B·A)ᵀ, its columns brought to the magnitudes; the output matrix keeps the old one.
            let key = format!("{module}.weight");
            let key = if tensors.contains_key(&key) {
                key
            } else {
                key.replacen("transformer.", "", 1)
            };
            let table = &tensors[&key];
            let [vocab, width] = table.shape[..] else {
                panic!("a matrix")
            };
            let (a, b) = (&parts["lora_embedding_A"], &parts["lora_embedding_B"]);
            let scale = 2.0;
            let mut composed: Vec<f64> = (0..vocab * width)
                .map(|k| {
                    let (token, column) = (k / width, k % width);
                    let product: f64 = (0..3).map(|r| b[column * 3 + r] * a[r * vocab + token]).sum();
                    table.values[k] + scale * product
                })
                .collect();
            let gains: Vec<f64> = (0..width)
                .map(|column| {
                    let norm = (0..vocab)
                        .map(|token| composed[token * width + column].powi(2))
                        .sum::<f64>()
                        .sqrt();
                    if use_dora {
                        parts["lora_magnitude_vector"][column] / norm
                    } else {
                        1.0
                    }
                })
                .collect();
            for (k, value) in composed.iter_mut().enumerate() {
                *value *= gains[k % width];
            }
            let old = Golden {
                shape: vec![vocab, width],
                values: table.values.clone(),
            };
            tensors.insert(
                key.clone(),
                Golden {
                    shape: vec![vocab, width],
                    values: composed,
                },
            );
            if tied {
                tensors.insert("lm_head.weight".into(), old);
            }
            let whole = model(
                case,
                &tensors,
                &[("tie_word_embeddings", false)],
                Dtype::F32,
                true,
                &device,
            );
            let scaled = 1.0 / batch.target_tokens as f32;
            let gradients_of = |model: &Model| {
                let leaves = model.parameters.tracked();
                let gradients = model
                    .loss(&leaves, &batch, scaled, Some(3))
                    .expect("labels that fit")
                    .backward();
                let names = model.parameters.iter().map(|p| p.name.clone());
                let each = names
                    .enumerate()
                    .filter_map(|(i, name)| Some((name, widen(&values(leaves.grad(i, &gradients)?)))));
                each.collect::<HashMap<String, Vec<f64>>>()
            };
            let found = values(adapted.logits(&adapted.parameters.plain(), &batch));
            let wanted = values(whole.logits(&whole.parameters.plain(), &batch));
            let mask = meaningful(case, &batch, found.len());
            let columns = found.len() / mask.len();
            let seen = |all: &[f32]| {
                let rows = all.chunks(columns).zip(&mask).filter(|(_, seen)| **seen == 1.0);
                rows.flat_map(|(row, _)| row.to_vec()).collect::<Vec<f32>>()
            };
            close(&what, &seen(&found), &widen(&seen(&wanted)), allowed);

            // dA = s·Bᵀ·(dE ⊙ gain)ᵀ, dB = s·(dE ⊙ gain)ᵀ·Aᵀ
            let (of_adapter, of_whole) = (gradients_of(&adapted), gradients_of(&whole));
            let de = &of_whole[&key];
            let de = |token: usize, column: usize| de[token * width + column] * gains[column];
            let da: Vec<f64> = (0..3 * vocab)
                .map(|k| scale * (0..width).map(|c| b[c * 3 + k / vocab] * de(k % vocab, c)).sum::<f64>())
                .collect();
            let db: Vec<f64> = (0..width * 3)
                .map(|k| {
                    scale
                        * (0..vocab)
                            .map(|token| de(token, k / 3) * a[k % 3 * vocab + token])
                            .sum::<f64>()
                })
                .collect();
            // Each term of these sums may be off by what dE may.
            let most = |terms: &dyn Fn(usize) -> f64| scale * (0..3).map(terms).fold(0.0, f64::max);
            let of_a = most(&|r| (0..width).map(|c| (b[c * 3 + r] * gains[c]).abs()).sum());
            let gain = gains.iter().fold(0.0, |most: f64, gain| most.max(gain.abs()));
            let of_b = most(&|r| (0..vocab).map(|token| (a[r * vocab + token] * gain).abs()).sum());
            let allowed = |terms: f64| both(case, "grad_abs", choice) * (1.0 + terms) / 2.0;
            for (part, wanted, allowed) in [
                ("lora_embedding_A", da, allowed(of_a)),
                ("lora_embedding_B", db, allowed(of_b)),
            ] {
                let found = &of_adapter[&format!("base_model.model.{module}.{part}")];
                let found: Vec<f32> = found.iter().map(|&v| v as f32).collect();
                close(&format!("{what}: d{part}"), &found, &wanted, allowed);
            }
        }
    }
}

fn reloaded(adapted: &Model) -> Adapter {
    let (config, tensors) = block_on(adapted.adapter())
        .expect("an adapter")
        .to_files()
        .expect("files");
    block_on(Adapter::open(vec![
        MemoryFile::source("adapter_config.json", config.into_bytes()),
        MemoryFile::source("adapter_model.safetensors", tensors),
    ]))
    .expect("it opens")
}

#[test]
fn adapters_of_every_kind_are_read_back_as_they_were_written() {
    let device = block_on(device::open(DeviceChoice::Cpu)).expect("the device opens").0;
    for case in models(&["llama", "gpt2", "gemma2", "bert", "roberta", "modernbert"]) {
        let (name, tensors, batch) = (&case.name, weights(&case), whole_batch(&case));
        let fresh = || model(&case, &tensors, &[], Dtype::BF16, false, &device);
        let config = AdapterConfig {
            r: 2,
            use_dora: true,
            target_modules: TargetModules::Pattern(".*".into()),
            ..AdapterConfig::default()
        };
        let mut adapted = fresh();
        adapted
            .attach_lora(&config, 1)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        fill(&mut adapted, &device);
        let mut adapter = reloaded(&adapted);
        assert!(
            adapter
                .tensors
                .iter()
                .any(|(name, ..)| name.ends_with(".lora_embedding_A")),
            "{name}"
        );
        // PEFT puts the base's table beside the adapter on it.
        let (of_table, ..) = adapter
            .tensors
            .iter()
            .find(|(name, ..)| name.ends_with(".lora_embedding_B"))
            .expect("it");
        let of_table = of_table.replace(".lora_embedding_B", ".base_layer.weight");
        adapter.tensors.push((of_table, vec![1, 1], vec![0.0]));
        let mut again = fresh();
        again
            .load_adapter(&adapter)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let logits = |model: &Model| values(model.logits(&model.parameters.plain(), &batch));
        assert_eq!(logits(&again), logits(&adapted), "{name}");
        again.detach_lora().expect("it comes off");
        assert_eq!(logits(&again), logits(&fresh()), "{name}");
    }
}

#[test]
fn matrices_that_are_trained_whole_start_as_the_base_has_them_and_learn_as_in_full_training() {
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let device = block_on(device::open(choice)).expect("the device opens").0;
        let case = models(&["llama"]).remove(0);
        let (mut tensors, batch) = (weights(&case), whole_batch(&case));
        let mut adapted = model(&case, &tensors, &[], Dtype::BF16, false, &device);
        let before = values(adapted.logits(&adapted.parameters.plain(), &batch));
        let saved = ["embed_tokens", "lm_head", "down_proj"];
        let config = AdapterConfig {
            target_modules: TargetModules::Names(vec!["q_proj".into()]),
            modules_to_save: Some(saved.map(String::from).to_vec()),
            ..AdapterConfig::default()
        };
        adapted.attach_lora(&config, 0).expect("the adapter fits");
        let after = values(adapted.logits(&adapted.parameters.plain(), &batch));
        close(
            "fresh copies",
            &after,
            &widen(&before),
            both(&case, "logits_abs", choice),
        );

        let table = Golden {
            shape: tensors["model.embed_tokens.weight"].shape.clone(),
            values: tensors["model.embed_tokens.weight"].values.clone(),
        };
        tensors.insert("lm_head.weight".into(), table);
        let whole = model(
            &case,
            &tensors,
            &[("tie_word_embeddings", false)],
            Dtype::F32,
            true,
            &device,
        );
        let gradients_of = |model: &Model| {
            let leaves = model.parameters.tracked();
            let gradients = model
                .loss(&leaves, &batch, 1.0 / batch.target_tokens as f32, None)
                .expect("labels that fit")
                .backward();
            let names = model
                .parameters
                .iter()
                .map(|p| p.name.trim_start_matches("base_model.model.").to_owned());
            let each = names
                .enumerate()
                .filter_map(|(i, name)| Some((name, values(leaves.grad(i, &gradients)?))));
            each.collect::<HashMap<String, Vec<f32>>>()
        };
        let (found, wanted) = (gradients_of(&adapted), gradients_of(&whole));
        let layers = case.config()["num_hidden_layers"].as_u64().expect("a number");
        let down = (0..layers).map(|layer| format!("model.layers.{layer}.mlp.down_proj"));
        for path in ["model.embed_tokens", "lm_head"]
            .map(String::from)
            .into_iter()
            .chain(down)
        {
            let name = format!("{path}.weight");
            let allowed = both(&case, "grad_abs", choice);
            close(&name, &found[&name], &widen(&wanted[&name]), allowed);
        }
        let mut again = model(&case, &weights(&case), &[], Dtype::BF16, false, &device);
        fill(&mut adapted, &device);
        again.load_adapter(&reloaded(&adapted)).expect("it fits");
        let logits = |model: &Model| values(model.logits(&model.parameters.plain(), &batch));
        assert_eq!(logits(&again), logits(&adapted));
    }
}

#[test]
fn modules_that_an_adapter_cannot_have_are_refused_by_name() {
    let device = block_on(device::open(DeviceChoice::Cpu)).expect("the device opens").0;
    let case = models(&["llama"]).remove(0);
    let mut model = model(&case, &weights(&case), &[], Dtype::F32, false, &device);
    for (target, saved, field, named) in [
        ("lm_head", None, "target_modules", "lm_head"),
        ("q_proj", Some("norm"), "modules_to_save", "norm"),
        ("q_proj", Some("mlp"), "modules_to_save", "mlp"),
        ("word_embeddings", None, "target_modules", "word_embeddings"),
    ] {
        let config = AdapterConfig {
            target_modules: TargetModules::Names(vec![target.into()]),
            modules_to_save: saved.map(|name| vec![name.to_owned()]),
            ..AdapterConfig::default()
        };
        let error = model.attach_lora(&config, 0).expect_err("refused");
        assert_eq!(error.field_name(), Some(field), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn an_adapter_whose_settings_speak_of_another_rank_is_refused_before_it_is_made() {
    let device = block_on(device::open(DeviceChoice::Cpu)).expect("the device opens").0;
    let case = Case::open("A/llama_tied");
    let mut model = model(&case, &weights(&case), &[], Dtype::F32, false, &device);
    let config = AdapterConfig {
        r: 2,
        target_modules: TargetModules::Names(vec!["q_proj".into(), "embed_tokens".into()]),
        ..AdapterConfig::default()
    };
    model.attach_lora(&config, 0).expect("it fits");
    let sound = block_on(model.adapter()).expect("an adapter");
    model.load_adapter(&sound).expect("it fits");
    let refused = |model: &mut Model, change: &dyn Fn(&mut Adapter)| {
        let mut adapter = sound.clone();
        change(&mut adapter);
        model.load_adapter(&adapter).expect_err("refused").to_string()
    };
    // Matrices of these ranks would take gigabytes.
    let q_proj = "model.layers.0.self_attn.q_proj";
    assert!(refused(&mut model, &|adapter| adapter.config.r = 1 << 40).contains("rank of 1099511627776"));
    let pattern = |name: &str, rank| lorakeet_core::formats::peft::Patterns(vec![(name.into(), rank)]);
    let text = refused(&mut model, &|adapter| {
        adapter.config.rank_pattern = pattern("0.self_attn.q_proj", 1 << 40)
    });
    assert!(text.contains(q_proj) && text.contains("lora_A"), "{text}");
    let text = refused(&mut model, &|adapter| {
        adapter.config.rank_pattern = pattern("embed_tokens", 1 << 40)
    });
    assert!(text.contains("lora_embedding_A"), "{text}");
    let text = refused(&mut model, &|adapter| {
        adapter
            .tensors
            .retain(|(name, ..)| !name.contains("layers.0.self_attn.q_proj.lora_A"))
    });
    assert!(text.contains(q_proj) && text.contains("lacks"), "{text}");
}
