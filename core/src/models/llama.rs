//! The Llama family: Llama, SmolLM2 and Mistral, Qwen2 (biases on q, k, v), Qwen3 (norms on q and k).
//!
//! Layer: x ← x + o(attention(rope(q(n₁x)), rope(k(n₁x)), v(n₁x))); x ← x + down(silu(gate(n₂x)) · up(n₂x)), with RMS norms n.
//! Positions are 0..T−1 in every row, padding included, as transformers counts them where no position_ids are given.
//! Reference: transformers' modeling_llama.py, modeling_qwen2.py, modeling_qwen3.py.

use super::{
    KvCache, Linear, Pass, Task, Tokens, Weight,
    load::{Loader, Role, Start},
    matrix::Matrix,
    rope::Rope,
    table::Table,
};
use crate::{
    error::{Error, Result},
    estimate::{Flow, Walk},
    ops,
};
use burn::tensor::Tensor;

pub(crate) struct Llama {
    pub(crate) layers: Vec<Layer>,
    pub(crate) vocab: usize,
    pub(crate) width: usize,
    pub(crate) max_positions: usize,
    embedding: Table,
    /// `None` where the head is the embedding.
    head: Option<Matrix>,
    norm: Weight,
    eps: f32,
    heads: Heads,
    rope: Rope,
}

#[derive(Clone, Copy)]
struct Heads {
    query: usize,
    key_value: usize,
    dim: usize,
}

pub(crate) struct Layer {
    input_norm: Weight,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    q_norm: Option<Weight>,
    k_norm: Option<Weight>,
    post_norm: Weight,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Llama {
    pub(crate) async fn load(loader: &mut Loader<'_>, model_type: &str) -> Result<Self> {
        let width = loader.number("hidden_size")?;
        let vocab = loader.number("vocab_size")?;
        let query = loader.number("num_attention_heads")?;
        let key_value = loader.optional_number("num_key_value_heads")?.unwrap_or(query);
        let dim = loader.optional_number("head_dim")?.unwrap_or(width / query);
        let inner = loader.number("intermediate_size")?;
        let count = loader.number("num_hidden_layers")?;
        let max_positions = loader.optional_number("max_position_embeddings")?.unwrap_or(2048);
        if query % key_value != 0 || dim % 2 != 0 {
            let what = format!("{query} heads of width {dim} do not share {key_value} key/value heads evenly");
            return Err(Error::model(what).file("config.json").field("num_key_value_heads"));
        }
        if let Ok(activation) = loader.text("hidden_act")
            && activation != "silu"
        {
            let what = format!("the activation {activation:?} is not supported for this architecture");
            return Err(Error::model(what).file("config.json").field("hidden_act"));
        }
        if model_type != "llama" && loader.flag("use_sliding_window") {
            let error = Error::model("sliding-window attention is not supported").file("config.json");
            return Err(error.field("use_sliding_window"));
        }
        let heads = Heads { query, key_value, dim };
        let rope = Rope::new(loader, dim, max_positions)?;
        let embedding = Table::load(loader, "model.embed_tokens".into(), [vocab, width]).await?;
        let qkv_bias = if model_type == "qwen2" {
            true
        } else {
            loader.flag("attention_bias")
        };
        let o_bias = model_type != "qwen2" && loader.flag("attention_bias");
        let (mlp_bias, qk_norm) = (loader.flag("mlp_bias"), model_type == "qwen3");
        let mut layers = Vec::with_capacity(count);
        for i in 0..count {
            let at = |part: &str| format!("model.layers.{i}.{part}");
            let (q_out, kv_out) = (query * dim, key_value * dim);
            layers.push(Layer {
                input_norm: loader
                    .weight(&at("input_layernorm.weight"), &[width], Start::Ones)
                    .await?,
                q: loader
                    .linear(at("self_attn.q_proj"), width, q_out, qkv_bias, false)
                    .await?,
                k: loader
                    .linear(at("self_attn.k_proj"), width, kv_out, qkv_bias, false)
                    .await?,
                v: loader
                    .linear(at("self_attn.v_proj"), width, kv_out, qkv_bias, false)
                    .await?,
                o: loader
                    .linear(at("self_attn.o_proj"), q_out, width, o_bias, false)
                    .await?,
                q_norm: match qk_norm {
                    true => Some(
                        loader
                            .weight(&at("self_attn.q_norm.weight"), &[dim], Start::Ones)
                            .await?,
                    ),
                    false => None,
                },
                k_norm: match qk_norm {
                    true => Some(
                        loader
                            .weight(&at("self_attn.k_norm.weight"), &[dim], Start::Ones)
                            .await?,
                    ),
                    false => None,
                },
                post_norm: loader
                    .weight(&at("post_attention_layernorm.weight"), &[width], Start::Ones)
                    .await?,
                gate: loader
                    .linear(at("mlp.gate_proj"), width, inner, mlp_bias, false)
                    .await?,
                up: loader.linear(at("mlp.up_proj"), width, inner, mlp_bias, false).await?,
                down: loader
                    .linear(at("mlp.down_proj"), inner, width, mlp_bias, false)
                    .await?,
            });
        }
        let norm = loader.weight("model.norm.weight", &[width], Start::Ones).await?;
        // A classifier has no output matrix.
        let tied = loader.flag("tie_word_embeddings") || loader.task() != Task::CausalLm;
        let tied = tied && !loader.has("lm_head.weight");
        let head = match tied {
            true => None,
            false => Some(
                loader
                    .matrix("lm_head.weight", [vocab, width], Start::Normal, Role::Table)
                    .await?,
            ),
        };
        let eps = loader.real("rms_norm_eps")?.unwrap_or(1e-6) as f32;
        Ok(Self {
            layers,
            vocab,
            width,
            max_positions,
            embedding,
            head,
            norm,
            eps,
            heads,
            rope,
        })
    }

    /// ids \[B·T\] → the last layer's normed hidden states \[B·T, C\].
    pub(crate) fn hidden(&self, pass: &Pass, input: Tokens, mut cache: Option<&mut KvCache>) -> Tensor<2> {
        let leaves = pass.leaves;
        let Tokens {
            ids,
            mask,
            batch,
            tokens,
            start,
        } = input;
        let (cos, sin) = self.rope.tables(start, tokens);
        let mut x = self.embedding.gather(ids, pass);
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = ops::rms_norm(x.clone(), layer.input_norm.flat(leaves), self.eps);
            let Heads { query, key_value, dim } = self.heads;
            // [B·T, heads·D] → [B, heads, T, D]
            let split = |y: Tensor<2>, heads: usize, norm: &Option<Weight>| {
                let y = match norm {
                    None => y,
                    Some(norm) => ops::rms_norm(y.reshape([batch * tokens * heads, dim]), norm.flat(leaves), self.eps)
                        .reshape([batch * tokens, heads * dim]),
                };
                y.reshape([batch, tokens, heads, dim]).swap_dims(1, 2)
            };
            let q = split(layer.q.forward(normed.clone(), pass), query, &layer.q_norm);
            let k = split(layer.k.forward(normed.clone(), pass), key_value, &layer.k_norm);
            let v = split(layer.v.forward(normed, pass), key_value, &None);
            let q = ops::rope(q, cos.clone(), sin.clone());
            let k = ops::rope(k, cos.clone(), sin.clone());
            let (k, v) = match cache.as_deref_mut() {
                Some(cache) => cache.extend(i, k, v),
                None => (k, v),
            };
            let mixed = ops::attention(q, k, v, mask.clone());
            // [B, H, T, D] → [B·T, H·D]
            let mixed = mixed.swap_dims(1, 2).reshape([batch * tokens, query * dim]);
            x = x + layer.o.forward(mixed, pass);
            let normed = ops::rms_norm(x.clone(), layer.post_norm.flat(leaves), self.eps);
            let gate = layer.gate.forward(normed.clone(), pass);
            let up = layer.up.forward(normed, pass);
            x = x + layer.down.forward(ops::silu_mul(gate, up), pass);
        }
        ops::rms_norm(x, self.norm.flat(leaves), self.eps)
    }

    /// The memory of [`Self::hidden`], operation by operation.
    pub(crate) fn walk(&self, walk: &mut Walk) -> Flow {
        let Heads { query, key_value, dim } = self.heads;
        let mut x = walk.gather(&self.embedding.matrix);
        for layer in &self.layers {
            let normed = walk.norm(x.clone(), self.width, &[&layer.input_norm]);
            let split = |walk: &mut Walk, y: Flow, norm: &Option<Weight>| {
                let y = match norm {
                    None => y,
                    Some(norm) => walk.norm(y, dim, &[norm]),
                };
                walk.split_heads(y)
            };
            let q = walk.linear(&layer.q, normed.clone());
            let q = split(walk, q, &layer.q_norm);
            let k = walk.linear(&layer.k, normed.clone());
            let k = split(walk, k, &layer.k_norm);
            let v = walk.linear(&layer.v, normed);
            let v = split(walk, v, &None);
            let (q, k) = (walk.rope(q), walk.rope(k));
            let mixed = walk.attention([q, k, v], (key_value, query / key_value), false);
            let mixed = walk.merge_heads(mixed);
            let o = walk.linear(&layer.o, mixed);
            x = walk.add(x, o);
            let normed = walk.norm(x.clone(), self.width, &[&layer.post_norm]);
            let gate = walk.linear(&layer.gate, normed.clone());
            let up = walk.linear(&layer.up, normed);
            let inner = walk.silu_mul(gate, up);
            let down = walk.linear(&layer.down, inner);
            x = walk.add(x, down);
        }
        walk.norm(x, self.width, &[&self.norm])
    }

    /// The output matrix \[V, C\].
    pub(crate) fn head(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.embedding.matrix)
    }

    pub(crate) fn tables(&self) -> Vec<&Table> {
        vec![&self.embedding]
    }

    pub(crate) fn tables_mut(&mut self) -> Vec<&mut Table> {
        vec![&mut self.embedding]
    }

    pub(crate) fn linears(&self) -> Vec<&Linear> {
        self.layers
            .iter()
            .flat_map(|l| [&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down])
            .collect()
    }

    pub(crate) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        fn parts(l: &mut Layer) -> [&mut Linear; 7] {
            let Layer {
                q,
                k,
                v,
                o,
                gate,
                up,
                down,
                ..
            } = l;
            [q, k, v, o, gate, up, down]
        }
        self.layers.iter_mut().flat_map(parts).collect()
    }
}
