//! The Llama family: Llama, SmolLM2 and Mistral, Qwen2 (biases on q, k, v), Qwen3 (norms on q and k).
//!
//! Layer: x ← x + o(attention(rope(q(n₁x)), rope(k(n₁x)), v(n₁x))); x ← x + down(silu(gate(n₂x)) · up(n₂x)), with RMS norms n.
//! Positions are 0..T−1 in every row, padding included, as transformers counts them where no position_ids are given.
//! Reference: transformers' modeling_llama.py, modeling_qwen2.py, modeling_qwen3.py.

use super::{
    KvCache, Linear, Pass, Tokens, Weight,
    activation::Activation,
    head::decoder_output,
    load::{Loader, Start},
    matrix::Matrix,
    rope::Rope,
    table::Table,
};
use crate::{
    error::{Error, Result},
    models::memory::{Flow, Walk},
    ops::{self, Scores, Sight},
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
    activation: Activation,
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
    /// Tokens that it sees, itself included; all where there is none.
    window: Option<usize>,
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

/// The window of each layer. Mistral has one for all, and by its class's default where config.json has none; Qwen has them in
/// the layers from `max_window_layers` on, or in those that `layer_types` names, where `use_sliding_window` wants them.
fn windows(loader: &Loader<'_>, model_type: &str, count: usize) -> Result<Vec<Option<usize>>> {
    const USUAL: usize = 4096;
    if model_type == "mistral" {
        return Ok(vec![loader.window(USUAL)?; count]);
    }
    if !model_type.starts_with("qwen") {
        return Ok(vec![None; count]);
    }
    let window = match loader.flag("use_sliding_window")? {
        true => loader.window(USUAL)?,
        false => None,
    };
    let slides = match loader.sliding_layers(count)? {
        Some(slides) => slides,
        None => {
            let first = match loader.is_zero("max_window_layers") {
                true => 0,
                false => loader.optional_number("max_window_layers")?.unwrap_or(28),
            };
            (0..count).map(|layer| window.is_some() && layer >= first).collect()
        }
    };
    if window.is_none() && slides.contains(&true) {
        let error = Error::format("names layers with a window, but config.json has no window for them");
        return Err(error
            .file("config.json")
            .field("layer_types")
            .remedy("Set use_sliding_window: true and sliding_window in it, or call the layers full_attention."));
    }
    Ok(slides.into_iter().map(|slides| window.filter(|_| slides)).collect())
}

impl Llama {
    pub(crate) async fn load(loader: &mut Loader<'_>, model_type: &str) -> Result<Self> {
        let width = loader.size("hidden_size")?;
        let vocab = loader.size("vocab_size")?;
        let query = loader.heads("num_attention_heads", width)?;
        let key_value = loader.optional_size("num_key_value_heads")?.unwrap_or(query);
        // Qwen3's class has a width of its own where config.json has none.
        let usual = match model_type == "qwen3" && !loader.is_null("head_dim") {
            true => 128,
            false => width / query,
        };
        let dim = loader.head_width("head_dim", usual)?;
        let inner = loader.size("intermediate_size")?;
        let count = loader.layers("num_hidden_layers")?;
        let max_positions = loader.optional_number("max_position_embeddings")?.unwrap_or(2048);
        if query % key_value != 0 || dim % 2 != 0 {
            let what = format!("{query} heads of width {dim} do not share {key_value} key/value heads evenly");
            return Err(Error::model(what).file("config.json").field("num_key_value_heads"));
        }
        let activation = Activation::named(&loader.text_or("hidden_act", "silu")?, "hidden_act")?;
        let windows = windows(loader, model_type, count)?;
        let (q_out, kv_out) = (
            loader.product("num_attention_heads", &[query, dim])?,
            loader.product("num_key_value_heads", &[key_value, dim])?,
        );
        loader.find_prefix("model.", "embed_tokens.weight")?;
        let heads = Heads { query, key_value, dim };
        let rope = Rope::new(loader, dim, max_positions)?;
        let embedding = Table::load(loader, "model.embed_tokens".into(), [vocab, width]).await?;
        let qkv_bias = if model_type == "qwen2" {
            true
        } else {
            loader.flag("attention_bias")?
        };
        let o_bias = model_type != "qwen2" && loader.flag("attention_bias")?;
        let (mlp_bias, qk_norm) = (loader.flag("mlp_bias")?, model_type == "qwen3");
        let mut layers = Vec::new();
        for (i, window) in windows.into_iter().enumerate() {
            let at = |part: &str| format!("model.layers.{i}.{part}");
            layers.push(Layer {
                window,
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
        let head = decoder_output(loader, "model.embed_tokens.weight", [vocab, width], false).await?;
        let eps = loader.not_negative("rms_norm_eps", 1e-6)?;
        Ok(Self {
            layers,
            vocab,
            width,
            max_positions,
            embedding,
            head,
            norm,
            activation,
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
            let scores = Scores::plain(dim, layer.window.map_or(Sight::Back, Sight::BackWithin));
            let mixed = ops::attention_by(q, k, v, None, mask.clone(), scores);
            // [B, H, T, D] → [B·T, H·D]
            let mixed = mixed.swap_dims(1, 2).reshape([batch * tokens, query * dim]);
            x = x + layer.o.forward(mixed, pass);
            let normed = ops::rms_norm(x.clone(), layer.post_norm.flat(leaves), self.eps);
            let gate = layer.gate.forward(normed.clone(), pass);
            let up = layer.up.forward(normed, pass);
            let inner = match self.activation {
                Activation::Silu => ops::silu_mul(gate, up),
                other => other.apply(gate) * up,
            };
            x = x + layer.down.forward(inner, pass);
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
            let inner = match self.activation {
                Activation::Silu => walk.silu_mul(gate, up),
                other => {
                    let gate = other.walk(walk, gate);
                    walk.multiply(gate, up)
                }
            };
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
