//! A Llama of a few thousand weights with a tokenizer that makes a token of each letter, rows to train it on, and a run that
//! is over in seconds: for tests of the loop, not of what is learnt.

use lorakeet_core::{
    config::RunConfig,
    formats::safetensors::write_f32,
    random::Generator,
    store::{MemoryFile, Source},
};
use serde_json::json;
use std::collections::BTreeMap;

/// Letters that the tiny tokenizer knows, after its three special tokens.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz .,\n";

fn file(name: &str, value: &serde_json::Value) -> Source {
    MemoryFile::source(name, value.to_string().into_bytes())
}

/// Weights of a Llama of 2 layers × 32, drawn once and for all.
fn weights() -> Source {
    let mut generator = Generator::new(1, "init");
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        let is_norm = name.contains("norm");
        let count = shape.iter().product();
        let values = (0..count)
            .map(|_| if is_norm { 1.0 } else { generator.normal() as f32 * 0.1 })
            .collect();
        tensors.push((name, shape.to_vec(), values));
    };
    add("model.embed_tokens.weight".into(), &[40, 32]);
    add("model.norm.weight".into(), &[32]);
    for layer in 0..2 {
        for (part, shape) in [
            ("input_layernorm", vec![32]),
            ("post_attention_layernorm", vec![32]),
            ("self_attn.q_proj", vec![32, 32]),
            ("self_attn.k_proj", vec![16, 32]),
            ("self_attn.v_proj", vec![16, 32]),
            ("self_attn.o_proj", vec![32, 32]),
            ("mlp.gate_proj", vec![64, 32]),
            ("mlp.up_proj", vec![64, 32]),
            ("mlp.down_proj", vec![32, 64]),
        ] {
            add(format!("model.layers.{layer}.{part}.weight"), &shape);
        }
    }
    MemoryFile::source("model.safetensors", write_f32(&tensors).expect("shapes fit"))
}

/// The model's files.
///
/// # Panics
/// Never: its shapes fit.
pub fn model_files() -> Vec<Source> {
    let vocab: BTreeMap<String, usize> = ["<unk>", "<pad>", "</s>"]
        .into_iter()
        .map(str::to_owned)
        .chain(LETTERS.chars().map(String::from))
        .enumerate()
        .map(|(id, token)| (token, id))
        .collect();
    let special = |id: usize, content: &str| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": { "type": "Fuse" },
        "added_tokens": [special(0, "<unk>"), special(1, "<pad>"), special(2, "</s>")],
        "model": { "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [] }
    });
    let config = json!({
        "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40, "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true, "eos_token_id": 2, "pad_token_id": 1,
        "hidden_act": "silu", "initializer_range": 0.1
    });
    let names = json!({ "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>" });
    vec![
        file("config.json", &config),
        file("tokenizer.json", &tokenizer),
        file("tokenizer_config.json", &names),
        weights(),
    ]
}

/// A BERT of 2 layers × 32 without pooler and head, with a tokenizer that makes a token of each letter between `[CLS]` and
/// `[SEP]`.
///
/// # Panics
/// Never: its shapes fit.
pub fn bert_files() -> Vec<Source> {
    const SPECIALS: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    let vocab: BTreeMap<String, usize> = SPECIALS
        .into_iter()
        .map(str::to_owned)
        .chain(LETTERS.chars().map(String::from))
        .enumerate()
        .map(|(id, token)| (token, id))
        .collect();
    let special = |(id, content): (usize, &&str)| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    let frame = |id: &str, segment: usize| json!({ "SpecialToken": { "id": id, "type_id": segment } });
    let text = |id: &str, segment: usize| json!({ "Sequence": { "id": id, "type_id": segment } });
    let token = |id: usize| json!({ "id": SPECIALS[id], "ids": [id], "tokens": [SPECIALS[id]] });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [frame("[CLS]", 0), text("A", 0), frame("[SEP]", 0)],
            "pair": [frame("[CLS]", 0), text("A", 0), frame("[SEP]", 0), text("B", 1), frame("[SEP]", 1)],
            "special_tokens": { "[CLS]": token(2), "[SEP]": token(3) }
        },
        "decoder": { "type": "Fuse" },
        "added_tokens": SPECIALS.iter().enumerate().map(special).collect::<Vec<_>>(),
        "model": { "type": "BPE", "dropout": null, "unk_token": "[UNK]", "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [] }
    });
    let config = json!({
        "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 40, "max_position_embeddings": 64,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu", "pad_token_id": 0, "initializer_range": 0.1
    });
    let names = json!({ "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]" });
    vec![
        file("config.json", &config),
        file("tokenizer.json", &tokenizer),
        file("tokenizer_config.json", &names),
        bert_weights(),
    ]
}

/// A T5 of two layers × 32 without weights, whose tokenizer ends a text with `</s>`.
///
/// # Panics
/// Never: its shapes fit.
pub fn t5_files() -> Vec<Source> {
    const SPECIALS: [&str; 3] = ["<pad>", "</s>", "<unk>"];
    let vocab: BTreeMap<String, usize> = SPECIALS
        .into_iter()
        .map(str::to_owned)
        .chain(LETTERS.chars().map(String::from))
        .enumerate()
        .map(|(id, token)| (token, id))
        .collect();
    let special = |(id, content): (usize, &&str)| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    let end = json!({ "SpecialToken": { "id": "</s>", "type_id": 0 } });
    let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null,
        "post_processor": {
            "type": "TemplateProcessing", "single": [text("A"), end], "pair": [text("A"), end, text("B"), end],
            "special_tokens": { "</s>": { "id": "</s>", "ids": [1], "tokens": ["</s>"] } }
        },
        "decoder": { "type": "Fuse" },
        "added_tokens": SPECIALS.iter().enumerate().map(special).collect::<Vec<_>>(),
        "model": { "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [] }
    });
    let config = json!({
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 32, "d_kv": 8, "d_ff": 64,
        "num_layers": 2, "num_heads": 4, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 16,
        "vocab_size": 40, "feed_forward_proj": "relu", "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
        "layer_norm_epsilon": 1e-6, "tie_word_embeddings": true, "initializer_range": 0.2, "n_positions": 64
    });
    let names = json!({ "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>" });
    vec![
        file("config.json", &config),
        file("tokenizer.json", &tokenizer),
        file("tokenizer_config.json", &names),
    ]
}

fn bert_weights() -> Source {
    let mut generator = Generator::new(2, "init");
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        let count = shape.iter().product();
        let values = (0..count)
            .map(|_| match (name.contains("LayerNorm.weight"), name.ends_with("bias")) {
                (true, _) => 1.0,
                (_, true) => 0.0,
                _ => generator.normal() as f32 * 0.2,
            })
            .collect();
        tensors.push((name, shape.to_vec(), values));
    };
    for (table, rows) in [("word", 40), ("position", 64), ("token_type", 2)] {
        add(format!("embeddings.{table}_embeddings.weight"), &[rows, 32]);
    }
    for part in ["weight", "bias"] {
        add(format!("embeddings.LayerNorm.{part}"), &[32]);
    }
    for layer in 0..2 {
        for (name, outputs, inputs) in [
            ("attention.self.query", 32, 32),
            ("attention.self.key", 32, 32),
            ("attention.self.value", 32, 32),
            ("attention.output.dense", 32, 32),
            ("intermediate.dense", 64, 32),
            ("output.dense", 32, 64),
        ] {
            add(format!("encoder.layer.{layer}.{name}.weight"), &[outputs, inputs]);
            add(format!("encoder.layer.{layer}.{name}.bias"), &[outputs]);
        }
        for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
            for part in ["weight", "bias"] {
                add(format!("encoder.layer.{layer}.{name}.{part}"), &[32]);
            }
        }
    }
    MemoryFile::source("model.safetensors", write_f32(&tensors).expect("shapes fit"))
}

/// 24 rows, each a prompt of one letter and a completion that repeats it.
pub fn data_file() -> Source {
    rows(24)
}

/// The first rows of [`data_file`], which may be followed by more.
pub fn rows(count: u8) -> Source {
    let rows: String = (0..count)
        .map(|i| {
            let letter = char::from(b'a' + i % 26);
            let word: String = std::iter::repeat_n(letter, 3 + usize::from(i % 5)).collect();
            format!(
                "{}\n",
                json!({ "prompt": format!("say {letter}"), "completion": format!(" {word}.") })
            )
        })
        .collect();
    MemoryFile::source("rows.jsonl", rows.into_bytes())
}

/// Twelve steps with everything in them: dropout, accumulation, scores, checkpoints.
pub fn config() -> RunConfig {
    RunConfig {
        model_name_or_path: "tiny".into(),
        train_file: "rows.jsonl".into(),
        output_dir: "out".into(),
        per_device_train_batch_size: 2,
        gradient_accumulation_steps: 2,
        learning_rate: 3e-2,
        lora_r: 4,
        lora_dropout: 0.1,
        val_size: 4.0,
        max_steps: 12,
        eval_steps: 4.0,
        save_steps: 5.0,
        cutoff_len: 32,
        ..RunConfig::default()
    }
}
