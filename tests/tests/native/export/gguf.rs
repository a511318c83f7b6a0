//! GGUF files for llama.cpp: merged models and adapters.

use super::{
    CLOSE, adapter_of, assert_close, config, exported, files_of, files_with, load, open, outputs, product,
    random_adapter, settings, tokenizer,
};
use lorakeet_core::{
    export::Form,
    formats::{
        Storage, blocks,
        gguf::{Header, read_header},
        peft::Adapter,
    },
    store::{MemoryFile, Source},
};
use lorakeet_tests::{
    generated::Decoder,
    golden::{Case, block_on},
};
use serde_json::json;
use std::collections::BTreeMap;

/// A case's model with a tokenizer and such settings as llama.cpp computes with, where it leaves no choice.
pub(super) fn gguf_files_of(case: &Case) -> Vec<Source> {
    let mut config = case.config();
    match config["model_type"].as_str().expect("a type") {
        "llama" if config["rope_parameters"]["rope_type"] == "llama3" => {
            config["rope_parameters"]["original_max_position_embeddings"] = json!(8192);
        }
        "gemma2" => config["query_pre_attn_scalar"] = config["head_dim"].clone(),
        "gemma3_text" => {
            config["query_pre_attn_scalar"] = config["head_dim"].clone();
            let layers = config["num_hidden_layers"].as_u64().expect("layers") as usize;
            config["layer_types"] = json!(vec!["sliding_attention"; layers]);
        }
        "t5" => config["relative_attention_max_distance"] = json!(128),
        _ => {}
    }
    files_with(case, config)
}

/// Shape and numbers of each tensor.
type Numbers = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The numbers of a GGUF file by name.
fn gguf_numbers(file: &Source) -> (Header, Numbers) {
    let header = block_on(read_header(file)).expect("a header");
    let read = |offset, bytes| block_on(file.read_at(offset, bytes as usize)).expect("bytes");
    let numbers = header.tensors.iter().map(|tensor| {
        let bytes = read(tensor.offset, tensor.bytes);
        let values = blocks::decode(tensor.storage, &bytes).expect("numbers");
        (tensor.name.clone(), (tensor.shape.clone(), values))
    });
    let numbers = numbers.collect();
    (header, numbers)
}

/// The models that GGUF files hold, one of each architecture.
pub(super) const IN_GGUF: [&str; 8] = [
    "A/llama_tied",
    "A/qwen2",
    "A/qwen3",
    "A/gemma2",
    "A/gemma3_text",
    "A/gpt2",
    "A/bert_mlm",
    "A/flan_t5",
];

#[test]
fn a_gguf_file_of_a_merged_model_computes_what_base_and_adapter_do() {
    for name in IN_GGUF {
        let case = Case::open(name);
        let (base, adapter) = (gguf_files_of(&case), adapter_of(&case.below("adapters")[0]));
        let written = exported(&base, Some(&adapter), settings(Form::Gguf, Some(Storage::F32)));
        let mut model = load(&open(&base));
        model.load_adapter(&adapter).expect("it fits");
        // The converter leaves the heads of encoders out.
        let hidden = name == "A/bert_mlm";
        let read = open(&written);
        assert_close(
            name,
            &outputs(&load(&read), &case, hidden),
            &outputs(&model, &case, hidden),
            CLOSE,
        );
        let tokenizer = read.tokenizer.as_ref().expect("a tokenizer");
        let own = open(&base).tokenizer.expect("a tokenizer");
        for text in ["abc", "a b"] {
            assert_eq!(tokenizer.encode(text, false), own.encode(text, false), "{name}");
        }
        // From a GGUF base to a GGUF file and to a folder. An encoder's adapter is of the model with a head.
        if hidden {
            continue;
        }
        let plain = exported(&base, None, settings(Form::Gguf, Some(Storage::F32)));
        let again = exported(&plain, Some(&adapter), settings(Form::Gguf, Some(Storage::F32)));
        let (before, _) = gguf_numbers(&plain[0]);
        let (after, numbers) = gguf_numbers(&again[0]);
        assert_eq!(after.metadata, before.metadata, "{name}");
        let (_, wanted) = gguf_numbers(&written[0]);
        assert_eq!(
            numbers.keys().collect::<Vec<_>>(),
            wanted.keys().collect::<Vec<_>>(),
            "{name}"
        );
        for (tensor, (_, values)) in &wanted {
            assert_close(&format!("{name}: {tensor}"), &numbers[tensor].1, values, 1e-6);
        }
        let folder = exported(&plain, Some(&adapter), settings(Form::Merged, Some(Storage::F32)));
        assert_close(
            name,
            &outputs(&load(&open(&folder)), &case, hidden),
            &outputs(&model, &case, hidden),
            CLOSE,
        );
    }
}

#[test]
fn gguf_files_hold_each_tensor_as_llama_cpp_expects_it() {
    let case = Case::open("A/llama_tied");
    let base = files_of(&case);
    for (dtype, table, matrix) in [
        (Storage::F16, Storage::F16, Storage::F16),
        (Storage::BF16, Storage::BF16, Storage::BF16),
        (Storage::Q8_0, Storage::Q8_0, Storage::Q8_0),
        (Storage::Q4_0, Storage::Q8_0, Storage::Q4_0),
        (Storage::Q4_1, Storage::Q8_0, Storage::Q4_1),
        // Rows of 32 are no whole blocks of 256.
        (Storage::Q5K, Storage::Q8_0, Storage::Q5_1),
        (Storage::Q4K, Storage::Q8_0, Storage::Q5_0),
    ] {
        let written = exported(&base, None, settings(Form::Gguf, Some(dtype)));
        let (header, _) = gguf_numbers(&written[0]);
        let storage = |name: &str| {
            header
                .tensors
                .iter()
                .find(|tensor| tensor.name == name)
                .map(|tensor| tensor.storage)
        };
        assert_eq!(storage("token_embd.weight"), Some(table), "{dtype}");
        assert_eq!(storage("blk.0.attn_q.weight"), Some(matrix), "{dtype}");
        assert_eq!(storage("blk.0.attn_norm.weight"), Some(Storage::F32), "{dtype}");
        // Rows of 48 are no whole blocks.
        let down = if dtype.block_elements() == 1 {
            dtype
        } else {
            Storage::F16
        };
        assert_eq!(storage("blk.0.ffn_down.weight"), Some(down), "{dtype}");
        assert_eq!(storage("output.weight"), None);
    }
}

#[test]
fn mixes_of_blocks_of_256_have_six_bits_where_llama_cpp_has_them_and_are_near_the_numbers() {
    let shape = Decoder {
        layers: 4,
        width: 256,
        inner: 512,
        heads: 4,
        kv_heads: 2,
        vocab: 300,
        positions: 32,
    };
    let mut base = shape.llama();
    let tokenizer = tokenizer("llama", shape.vocab).to_string().into_bytes();
    base.push(MemoryFile::source("tokenizer.json", tokenizer));
    let numbers = |dtype| gguf_numbers(&exported(&base, None, settings(Form::Gguf, Some(dtype)))[0]);
    let (_, plain) = numbers(Storage::F32);
    for (dtype, file_type) in [(Storage::Q4K, 15), (Storage::Q5K, 17)] {
        let (header, found) = numbers(dtype);
        assert_eq!(header.metadata.integer("general.file_type"), Some(file_type));
        for tensor in &header.tensors {
            let is_large = tensor.shape.len() == 2;
            let has_more = ["attn_v.", "ffn_down."].iter().any(|part| tensor.name.contains(part))
                && ["blk.2.", "blk.3."].iter().any(|layer| tensor.name.starts_with(layer));
            let wanted = match (is_large, has_more || tensor.name == "token_embd.weight") {
                (false, _) => Storage::F32,
                (true, true) => Storage::Q6K,
                (true, false) => dtype,
            };
            assert_eq!(tensor.storage, wanted, "{}", tensor.name);
            let (found, plain) = (&found[&tensor.name].1, &plain[&tensor.name].1);
            let length = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| x * x).sum::<f32>().sqrt();
            let off = length(&mut found.iter().zip(plain).map(|(a, b)| a - b));
            let allowed = match wanted {
                Storage::Q4K => 0.12,
                Storage::Q5K => 0.06,
                Storage::Q6K => 0.03,
                _ => 0.0,
            };
            let share = off / length(&mut plain.iter().copied());
            assert!(share <= allowed, "{}: off by {share}", tensor.name);
        }
    }
}

#[test]
fn an_adapter_for_llama_cpp_adds_to_its_base_what_the_merged_file_has() {
    let mut names: Vec<(Case, Adapter)> = Vec::new();
    for name in IN_GGUF {
        let case = Case::open(name);
        let cases = case.below("adapters");
        let adapters = cases.iter().map(adapter_of).filter(|adapter| !adapter.config.use_dora);
        names.extend(adapters.map(|adapter| (Case::open(name), adapter)));
    }
    // rsLoRA with ranks that differ.
    let llama = Case::open("A/llama_untied");
    let mut rs = config(&["q_proj", "k_proj", "down_proj", "embed_tokens"], &[]);
    rs.use_rslora = true;
    rs.rank_pattern.0.push(("k_proj".into(), 2));
    rs.alpha_pattern.0.push(("down_proj".into(), 9.0));
    let adapter = random_adapter(&llama, &rs);
    names.push((llama, adapter));
    for (case, adapter) in names {
        let base = gguf_files_of(&case);
        let numbers = |adapter, form| gguf_numbers(&exported(&base, adapter, settings(form, Some(Storage::F32)))[0]);
        let (_, plain) = numbers(None, Form::Gguf);
        let (_, merged) = numbers(Some(&adapter), Form::Gguf);
        let (header, parts) = numbers(Some(&adapter), Form::GgufAdapter);
        assert_eq!(header.metadata.text("general.type"), Some("adapter"));
        assert_eq!(header.metadata.text("adapter.type"), Some("lora"));
        let alpha = header.metadata.float("adapter.lora.alpha").expect("alpha") as f32;
        for (name, (shape, before)) in &plain {
            let mut found = before.clone();
            if let Some((a_shape, a)) = parts.get(&format!("{name}.lora_a")) {
                let (b_shape, b) = &parts[&format!("{name}.lora_b")];
                let rank = b_shape[1];
                let sum = if name == "token_embd.weight" {
                    // A [V, R], B [C, R]: the table's row is its A times Bᵀ.
                    assert_eq!((a_shape[0], b_shape[0]), (shape[0], shape[1]));
                    let turned: Vec<f32> = (0..rank)
                        .flat_map(|r| b.iter().skip(r).step_by(rank))
                        .copied()
                        .collect();
                    product(a, &turned, rank, alpha / rank as f32)
                } else {
                    assert_eq!((b_shape[0], a_shape[1], a_shape[0]), (shape[0], shape[1], rank));
                    product(b, a, rank, alpha / rank as f32)
                };
                found.iter_mut().zip(&sum).for_each(|(number, part)| *number += part);
            }
            assert_close(&format!("{}: {name}", case.name), &found, &merged[name].1, 1e-5);
        }
    }
}
