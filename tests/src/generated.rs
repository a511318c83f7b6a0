//! Models of any shape with weights drawn at random: for tests of what a shape costs, not of what is learnt.

use lorakeet_core::{
    formats::{ModelFiles, safetensors::write_f32},
    random::Generator,
    store::{MemoryFile, Source},
};
use serde_json::{Value, json};

/// A model's shape, in a decoder's words.
#[derive(Debug, Clone, Copy)]
pub struct Decoder {
    /// Layers.
    pub layers: usize,
    /// C.
    pub width: usize,
    /// Width of the MLP.
    pub inner: usize,
    /// H.
    pub heads: usize,
    /// K; GPT-2 has as many as heads.
    pub kv_heads: usize,
    /// V.
    pub vocab: usize,
    /// Longest row.
    pub positions: usize,
}

impl Decoder {
    /// The files of a Llama with tied embeddings.
    ///
    /// # Panics
    /// Never: its shapes fit.
    pub fn llama(&self) -> Vec<Source> {
        let Self {
            layers,
            width,
            inner,
            heads,
            kv_heads,
            vocab,
            positions,
        } = *self;
        let key_value = width / heads * kv_heads;
        let mut tensors = vec![
            ("model.embed_tokens.weight".to_owned(), vec![vocab, width]),
            ("model.norm.weight".to_owned(), vec![width]),
        ];
        for layer in 0..layers {
            for (part, shape) in [
                ("input_layernorm", vec![width]),
                ("post_attention_layernorm", vec![width]),
                ("self_attn.q_proj", vec![width, width]),
                ("self_attn.k_proj", vec![key_value, width]),
                ("self_attn.v_proj", vec![key_value, width]),
                ("self_attn.o_proj", vec![width, width]),
                ("mlp.gate_proj", vec![inner, width]),
                ("mlp.up_proj", vec![inner, width]),
                ("mlp.down_proj", vec![width, inner]),
            ] {
                tensors.push((format!("model.layers.{layer}.{part}.weight"), shape));
            }
        }
        let config = json!({
            "model_type": "llama", "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": kv_heads, "vocab_size": vocab,
            "max_position_embeddings": positions, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "tie_word_embeddings": true, "hidden_act": "silu"
        });
        files(&config, tensors)
    }

    /// The files of a GPT-2.
    ///
    /// # Panics
    /// Never: its shapes fit.
    pub fn gpt2(&self) -> Vec<Source> {
        let Self {
            layers,
            width,
            inner,
            heads,
            vocab,
            positions,
            ..
        } = *self;
        let mut tensors = vec![
            ("transformer.wte.weight".to_owned(), vec![vocab, width]),
            ("transformer.wpe.weight".to_owned(), vec![positions, width]),
        ];
        let mut add = |path: String, weight: Vec<usize>| {
            let outputs = weight[weight.len() - 1];
            tensors.push((format!("{path}.weight"), weight));
            tensors.push((format!("{path}.bias"), vec![outputs]));
        };
        add("transformer.ln_f".to_owned(), vec![width]);
        for layer in 0..layers {
            for (part, shape) in [
                ("ln_1", vec![width]),
                ("ln_2", vec![width]),
                ("attn.c_attn", vec![width, 3 * width]),
                ("attn.c_proj", vec![width, width]),
                ("mlp.c_fc", vec![width, inner]),
                ("mlp.c_proj", vec![inner, width]),
            ] {
                add(format!("transformer.h.{layer}.{part}"), shape);
            }
        }
        let config = json!({
            "model_type": "gpt2", "n_embd": width, "n_inner": inner, "n_layer": layers, "n_head": heads,
            "vocab_size": vocab, "n_positions": positions, "activation_function": "gelu_new"
        });
        files(&config, tensors)
    }

    /// A BERT of the class `class` of transformers, its weights fresh.
    pub fn bert(&self, class: &str) -> ModelFiles {
        fresh(json!({
            "model_type": "bert", "architectures": [class], "hidden_size": self.width, "intermediate_size": self.inner,
            "num_hidden_layers": self.layers, "num_attention_heads": self.heads, "vocab_size": self.vocab,
            "max_position_embeddings": self.positions, "type_vocab_size": 2, "hidden_act": "gelu", "pad_token_id": 0
        }))
    }

    /// A ModernBERT of the class `class` of transformers, its weights fresh.
    pub fn modernbert(&self, class: &str) -> ModelFiles {
        fresh(json!({
            "model_type": "modernbert", "architectures": [class], "hidden_size": self.width,
            "intermediate_size": self.inner, "num_hidden_layers": self.layers, "num_attention_heads": self.heads,
            "vocab_size": self.vocab, "max_position_embeddings": self.positions, "pad_token_id": 0
        }))
    }

    /// A Gemma 2 that caps scores and logits, its weights fresh.
    pub fn gemma2(&self) -> ModelFiles {
        fresh(json!({
            "model_type": "gemma2", "hidden_size": self.width, "intermediate_size": self.inner,
            "num_hidden_layers": self.layers, "num_attention_heads": self.heads, "num_key_value_heads": self.kv_heads,
            "head_dim": self.width / self.heads, "vocab_size": self.vocab, "max_position_embeddings": self.positions,
            "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "sliding_window": 32
        }))
    }

    /// A T5 with as many layers in each stack, its weights fresh.
    pub fn t5(&self) -> ModelFiles {
        fresh(json!({
            "model_type": "t5", "d_model": self.width, "d_ff": self.inner, "num_layers": self.layers,
            "num_heads": self.heads, "d_kv": self.width / self.heads, "vocab_size": self.vocab
        }))
    }
}

/// A small model with these sizes besides, its weights fresh: two classes of each row.
pub fn small(kind: &str, sizes: Value) -> ModelFiles {
    let mut config = json!({ "model_type": kind });
    config.as_object_mut().into_iter().for_each(|config| {
        config.extend(sizes.as_object().cloned().unwrap_or_default());
    });
    fresh(config)
}

fn fresh(config: Value) -> ModelFiles {
    ModelFiles::from_config("fresh", config)
}

fn files(config: &Value, shapes: Vec<(String, Vec<usize>)>) -> Vec<Source> {
    let mut generator = Generator::new(3, "init");
    let mut tensors = Vec::new();
    for (name, shape) in shapes {
        let is_norm = name.contains("norm") || name.contains("ln_");
        let value = |_| {
            if is_norm { 1.0 } else { generator.normal() as f32 * 0.02 }
        };
        let values = (0..shape.iter().product()).map(value).collect();
        tensors.push((name, shape, values));
    }
    vec![
        MemoryFile::source("config.json", config.to_string().into_bytes()),
        MemoryFile::source("model.safetensors", write_f32(&tensors).expect("shapes fit")),
    ]
}
