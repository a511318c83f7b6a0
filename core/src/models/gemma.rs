//! Gemma 2 and Gemma 3 (text): norms on both sides of each sublayer, sliding and full attention in turn, a gated tanh GELU.
//!
//! x ← √C·embedding; layer: x ← x + n₂(o(attention(rope(q n₁x), rope(k n₁x), v n₁x))); x ← x + n₄(down(gelu(gate n₃x) · up n₃x)), with
//! RMS norms n that multiply by 1 + w. Scores are scaled by 1/√query_pre_attn_scalar. Gemma 2 soft-caps scores and logits; Gemma 3
//! has norms on q and k, and another theta in sliding layers. Reference: transformers' modeling_gemma2.py, modeling_gemma3.py.

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

pub(crate) struct Gemma {
    pub(crate) layers: Vec<Layer>,
    pub(crate) vocab: usize,
    pub(crate) width: usize,
    pub(crate) max_positions: usize,
    /// c of c·tanh(logit / c); 0 for none.
    pub(crate) logit_cap: f32,
    query_heads: usize,
    key_value_heads: usize,
    dim: usize,
    scale: f32,
    score_cap: f32,
    window: usize,
    activation: Activation,
    eps: f32,
    embedding: Table,
    /// `None` where the head is the embedding.
    head: Option<Matrix>,
    norm: Weight,
    rope: Rope,
    /// Of sliding layers, where they have their own.
    sliding_rope: Option<Rope>,
}

pub(crate) struct Layer {
    slides: bool,
    input_norm: Weight,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    q_norm: Option<Weight>,
    k_norm: Option<Weight>,
    attention_norm: Weight,
    mlp_input_norm: Weight,
    gate: Linear,
    up: Linear,
    down: Linear,
    mlp_norm: Weight,
}

impl Gemma {
    pub(crate) async fn load(loader: &mut Loader<'_>, model_type: &str) -> Result<Self> {
        let third = model_type == "gemma3_text";
        let (width, inner) = (loader.size("hidden_size")?, loader.size("intermediate_size")?);
        let (vocab, count) = (loader.size("vocab_size")?, loader.layers("num_hidden_layers")?);
        let query_heads = loader.heads("num_attention_heads", width)?;
        let key_value_heads = loader.size("num_key_value_heads")?;
        let dim = loader.head_width("head_dim", 256)?;
        let max_positions = loader.optional_number("max_position_embeddings")?.unwrap_or(8192);
        if query_heads % key_value_heads != 0 || dim % 2 != 0 {
            let what =
                format!("{query_heads} heads of width {dim} do not share {key_value_heads} key/value heads evenly");
            return Err(Error::model(what).file("config.json").field("num_key_value_heads"));
        }
        let activation = loader.text_or("hidden_activation", "gelu_pytorch_tanh")?;
        let activation = Activation::named(&activation, "hidden_activation")?;
        let slides = match loader.sliding_layers(count)? {
            Some(slides) => slides,
            None => {
                let every = match third {
                    true => loader.optional_number("sliding_window_pattern")?.unwrap_or(6),
                    false => 2,
                };
                (1..=count).map(|layer| layer % every != 0).collect()
            }
        };
        let window = loader.window(4096)?;
        if window.is_none() && slides.contains(&true) {
            let error = Error::format("is null, but config.json has layers with a window").file("config.json");
            return Err(error
                .field("sliding_window")
                .remedy("Call all layers full_attention in layer_types."));
        }
        let (q_out, kv_out) = (
            loader.product("num_attention_heads", &[query_heads, dim])?,
            loader.product("num_key_value_heads", &[key_value_heads, dim])?,
        );
        loader.find_prefix("model.", "embed_tokens.weight")?;
        let (rope, sliding_rope) = if third {
            let sizes = (dim, max_positions);
            let mut rope = |kind, theta, is_scaled| Rope::of_layers(loader, kind, theta, is_scaled, sizes);
            (
                rope("full_attention", ("rope_theta", 1_000_000.0), true)?,
                Some(rope("sliding_attention", ("rope_local_base_freq", 10_000.0), false)?),
            )
        } else {
            (Rope::new(loader, dim, max_positions)?, None)
        };
        let embedding = Table::load(loader, "model.embed_tokens".into(), [vocab, width]).await?;
        let bias = loader.flag("attention_bias")?;
        let mut layers = Vec::new();
        for (i, slides) in slides.into_iter().enumerate() {
            let at = |part: &str| format!("model.layers.{i}.{part}");
            // 1 + w is what they multiply by: they start at 0.
            let norm = async |loader: &mut Loader<'_>, part: &str, width: usize| {
                loader
                    .weight(&at(&format!("{part}.weight")), &[width], Start::Zeros)
                    .await
            };
            layers.push(Layer {
                slides,
                input_norm: norm(loader, "input_layernorm", width).await?,
                q: loader.linear(at("self_attn.q_proj"), width, q_out, bias, false).await?,
                k: loader
                    .linear(at("self_attn.k_proj"), width, kv_out, bias, false)
                    .await?,
                v: loader
                    .linear(at("self_attn.v_proj"), width, kv_out, bias, false)
                    .await?,
                o: loader.linear(at("self_attn.o_proj"), q_out, width, bias, false).await?,
                q_norm: match third {
                    true => Some(norm(loader, "self_attn.q_norm", dim).await?),
                    false => None,
                },
                k_norm: match third {
                    true => Some(norm(loader, "self_attn.k_norm", dim).await?),
                    false => None,
                },
                attention_norm: norm(loader, "post_attention_layernorm", width).await?,
                mlp_input_norm: norm(loader, "pre_feedforward_layernorm", width).await?,
                gate: loader.linear(at("mlp.gate_proj"), width, inner, false, false).await?,
                up: loader.linear(at("mlp.up_proj"), width, inner, false, false).await?,
                down: loader.linear(at("mlp.down_proj"), inner, width, false, false).await?,
                mlp_norm: norm(loader, "post_feedforward_layernorm", width).await?,
            });
        }
        let norm = loader.weight("model.norm.weight", &[width], Start::Zeros).await?;
        let head = decoder_output(loader, "model.embed_tokens.weight", [vocab, width], true).await?;
        let scalar = loader.positive("query_pre_attn_scalar", 256.0)?;
        // Gemma 2's class has caps where config.json says nothing; null is none.
        let cap = |key: &str, usual: f64| match third || loader.is_null(key) {
            true => loader.not_negative(key, 0.0),
            false => loader.not_negative(key, usual),
        };
        let (logit_cap, score_cap) = (
            cap("final_logit_softcapping", 30.0)?,
            cap("attn_logit_softcapping", 50.0)?,
        );
        Ok(Self {
            layers,
            vocab,
            width,
            max_positions,
            logit_cap,
            query_heads,
            key_value_heads,
            dim,
            scale: scalar.sqrt().recip() as f32,
            score_cap,
            // Not asked for where no layer has one.
            window: window.unwrap_or_default(),
            activation,
            eps: loader.not_negative("rms_norm_eps", 1e-6)?,
            embedding,
            head,
            norm,
            rope,
            sliding_rope,
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
        let (query_heads, dim) = (self.query_heads, self.dim);
        let norm = |x: Tensor<2>, weight: &Weight| ops::rms_norm(x, weight.flat(leaves) + 1.0, self.eps);
        let tables = self.rope.tables(start, tokens);
        let sliding_tables = self.sliding_rope.as_ref().map(|rope| rope.tables(start, tokens));
        let mut x = self.embedding.gather(ids, pass) * (self.width as f32).sqrt();
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = norm(x.clone(), &layer.input_norm);
            // [B·T, heads·D] → [B, heads, T, D]
            let split = |y: Tensor<2>, heads: usize, weight: &Option<Weight>| {
                let y = match weight {
                    None => y,
                    Some(weight) => {
                        norm(y.reshape([batch * tokens * heads, dim]), weight).reshape([batch * tokens, heads * dim])
                    }
                };
                y.reshape([batch, tokens, heads, dim]).swap_dims(1, 2)
            };
            let q = split(layer.q.forward(normed.clone(), pass), query_heads, &layer.q_norm);
            let k = split(
                layer.k.forward(normed.clone(), pass),
                self.key_value_heads,
                &layer.k_norm,
            );
            let v = split(layer.v.forward(normed, pass), self.key_value_heads, &None);
            let (cos, sin) = match &sliding_tables {
                Some(tables) if layer.slides => tables.clone(),
                _ => tables.clone(),
            };
            let q = ops::rope(q, cos.clone(), sin.clone());
            let k = ops::rope(k, cos, sin);
            let (k, v) = match cache.as_deref_mut() {
                Some(cache) => cache.extend(i, k, v),
                None => (k, v),
            };
            let scores = Scores {
                scale: self.scale,
                soft_cap: self.score_cap,
                sight: if layer.slides {
                    Sight::BackWithin(self.window)
                } else {
                    Sight::Back
                },
            };
            let mixed = ops::attention_by(q, k, v, None, mask.clone(), scores);
            // [B, H, T, D] → [B·T, H·D]
            let mixed = mixed.swap_dims(1, 2).reshape([batch * tokens, query_heads * dim]);
            x = x + norm(layer.o.forward(mixed, pass), &layer.attention_norm);
            let normed = norm(x.clone(), &layer.mlp_input_norm);
            let gate = self.activation.apply(layer.gate.forward(normed.clone(), pass));
            let up = layer.up.forward(normed, pass);
            x = x + norm(layer.down.forward(gate * up, pass), &layer.mlp_norm);
        }
        norm(x, &self.norm)
    }

    /// The memory of [`Self::hidden`], operation by operation.
    pub(crate) fn walk(&self, walk: &mut Walk) -> Flow {
        let (width, groups) = (
            self.width,
            (self.key_value_heads, self.query_heads / self.key_value_heads),
        );
        let tokens = walk.gather(&self.embedding.matrix);
        let mut x = walk.in_place(tokens);
        for layer in &self.layers {
            let normed = walk.norm(x.clone(), width, &[&layer.input_norm]);
            let split = |walk: &mut Walk, linear: &Linear, x: Flow, norm: &Option<Weight>| {
                let y = walk.linear(linear, x);
                let y = match norm {
                    None => y,
                    Some(norm) => walk.norm(y, self.dim, &[norm]),
                };
                walk.split_heads(y)
            };
            let q = split(walk, &layer.q, normed.clone(), &layer.q_norm);
            let k = split(walk, &layer.k, normed.clone(), &layer.k_norm);
            let v = split(walk, &layer.v, normed, &None);
            let (q, k) = (walk.rope(q), walk.rope(k));
            let mixed = walk.attention([q, k, v], groups, self.score_cap > 0.0);
            let mixed = walk.merge_heads(mixed);
            let o = walk.linear(&layer.o, mixed);
            let o = walk.norm(o, width, &[&layer.attention_norm]);
            x = walk.add(x, o);
            let normed = walk.norm(x.clone(), width, &[&layer.mlp_input_norm]);
            let gate = walk.linear(&layer.gate, normed.clone());
            let gate = self.activation.walk(walk, gate);
            let up = walk.linear(&layer.up, normed);
            let inner = walk.multiply(gate, up);
            let down = walk.linear(&layer.down, inner);
            let down = walk.norm(down, width, &[&layer.mlp_norm]);
            x = walk.add(x, down);
        }
        walk.norm(x, width, &[&self.norm])
    }

    /// The output matrix \[V, C\]: the token embedding, unless the file holds another.
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
