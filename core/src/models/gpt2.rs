//! GPT-2: learned positions, layer norms, one fused q-k-v projection, weights stored \[in, out\] (Conv1D), tanh GELU.
//!
//! Layer: x ← x + proj(attention(split(c_attn(n₁x)))); x ← x + proj(gelu(c_fc(n₂x))). Scores are divided by √D, unless
//! `scale_attn_weights` is false, and by the layer's number from 1 where `scale_attn_by_inverse_layer_idx` wants it. The base's own
//! dropouts (attn_pdrop, embd_pdrop, resid_pdrop) are not applied: only the adapter's is. Reference: transformers'
//! modeling_gpt2.py.

use super::{
    KvCache, Linear, Pass, Tokens, activation::Activation, head::decoder_output, load::Loader, matrix::Matrix,
    norm::Norm, table::Table,
};
use crate::{
    error::{Error, Result},
    models::memory::{Flow, Walk},
    ops::{self, Scores, Sight},
};
use burn::tensor::{Tensor, TensorData};

pub(crate) struct Gpt2 {
    pub(crate) layers: Vec<Layer>,
    pub(crate) vocab: usize,
    pub(crate) width: usize,
    pub(crate) max_positions: usize,
    heads: usize,
    activation: Activation,
    eps: f32,
    tokens: Table,
    positions: Table,
    norm: Norm,
    head: Option<Matrix>,
}

pub(crate) struct Layer {
    /// What its scores are multiplied by.
    scale: f32,
    norm_1: Norm,
    attention: Linear,
    attention_out: Linear,
    norm_2: Norm,
    up: Linear,
    down: Linear,
}

impl Gpt2 {
    pub(crate) async fn load(loader: &mut Loader<'_>) -> Result<Self> {
        let width = loader.size("n_embd")?;
        let (vocab, heads) = (loader.size("vocab_size")?, loader.heads("n_head", width)?);
        let (count, max_positions) = (loader.layers("n_layer")?, loader.size("n_positions")?);
        let inner = match loader.optional_size("n_inner")? {
            Some(inner) => inner,
            None => loader.product("n_embd", &[4, width])?,
        };
        let fused = loader.product("n_embd", &[3, width])?;
        let activation = loader.text_or("activation_function", "gelu_new")?;
        let activation = Activation::named(&activation, "activation_function")?;
        let scale = match loader.flag_or("scale_attn_weights", true)? {
            true => ((width / heads) as f32).sqrt().recip(),
            false => 1.0,
        };
        let by_layer = loader.flag("scale_attn_by_inverse_layer_idx")?;
        if width % heads != 0 {
            let what = format!("{heads} heads do not divide a width of {width}");
            return Err(Error::model(what).file("config.json").field("n_head"));
        }
        loader.find_prefix("transformer.", "wte.weight")?;
        let at = |part: &str| format!("transformer.{part}");
        let tokens = Table::load(loader, at("wte"), [vocab, width]).await?;
        let positions = Table::load(loader, at("wpe"), [max_positions, width]).await?;
        let mut layers = Vec::new();
        for i in 0..count {
            let at = |part: &str| format!("transformer.h.{i}.{part}");
            layers.push(Layer {
                scale: if by_layer { scale / (i + 1) as f32 } else { scale },
                norm_1: Norm::load(loader, &at("ln_1"), width, true).await?,
                attention: loader.linear(at("attn.c_attn"), width, fused, true, true).await?,
                attention_out: loader.linear(at("attn.c_proj"), width, width, true, true).await?,
                norm_2: Norm::load(loader, &at("ln_2"), width, true).await?,
                up: loader.linear(at("mlp.c_fc"), width, inner, true, true).await?,
                down: loader.linear(at("mlp.c_proj"), inner, width, true, true).await?,
            });
        }
        let norm = Norm::load(loader, &at("ln_f"), width, true).await?;
        let head = decoder_output(loader, "transformer.wte.weight", [vocab, width], true).await?;
        let eps = loader.not_negative("layer_norm_epsilon", 1e-5)?;
        Ok(Self {
            layers,
            vocab,
            width,
            max_positions,
            heads,
            activation,
            eps,
            tokens,
            positions,
            norm,
            head,
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
        let (width, heads) = (self.width, self.heads);
        let places: Vec<f32> = (0..batch)
            .flat_map(|_| (start..start + tokens).map(|p| p as f32))
            .collect();
        let places = Tensor::from_data(TensorData::new(places, [batch * tokens]), &mask.device());
        let mut x = self.tokens.gather(ids, pass) + self.positions.gather(places, pass);
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = layer.norm_1.forward(x.clone(), leaves, self.eps);
            let qkv = layer.attention.forward(normed, pass);
            // [B·T, 3·C] → three of [B, H, T, D]
            let part = |j: usize| {
                let part = qkv.clone().slice([0..batch * tokens, j * width..(j + 1) * width]);
                part.reshape([batch, tokens, heads, width / heads]).swap_dims(1, 2)
            };
            let (q, k, v) = (part(0), part(1), part(2));
            let (k, v) = match cache.as_deref_mut() {
                Some(cache) => cache.extend(i, k, v),
                None => (k, v),
            };
            let scores = Scores {
                scale: layer.scale,
                soft_cap: 0.0,
                sight: Sight::Back,
            };
            let mixed = ops::attention_by(q, k, v, None, mask.clone(), scores);
            // [B, H, T, D] → [B·T, C]
            let mixed = mixed.swap_dims(1, 2).reshape([batch * tokens, width]);
            x = x + layer.attention_out.forward(mixed, pass);
            let normed = layer.norm_2.forward(x.clone(), leaves, self.eps);
            x = x + layer
                .down
                .forward(self.activation.apply(layer.up.forward(normed, pass)), pass);
        }
        self.norm.forward(x, leaves, self.eps)
    }

    /// The memory of [`Self::hidden`], operation by operation.
    pub(crate) fn walk(&self, walk: &mut Walk) -> Flow {
        let (tokens, places) = (walk.gather(&self.tokens.matrix), walk.gather(&self.positions.matrix));
        let mut x = walk.add(tokens, places);
        for layer in &self.layers {
            let normed = layer.norm_1.walk(walk, x.clone(), self.width);
            let qkv = walk.linear(&layer.attention, normed);
            let [q, k, v] = walk.thirds(&qkv);
            let mixed = walk.attention([q, k, v], (self.heads, 1), false);
            let mixed = walk.merge_heads(mixed);
            let out = walk.linear(&layer.attention_out, mixed);
            x = walk.add(x, out);
            let normed = layer.norm_2.walk(walk, x.clone(), self.width);
            let up = walk.linear(&layer.up, normed);
            let inner = self.activation.walk(walk, up);
            let down = walk.linear(&layer.down, inner);
            x = walk.add(x, down);
        }
        self.norm.walk(walk, x, self.width)
    }

    /// The output matrix \[V, C\]: the token embedding, unless the file holds another.
    pub(crate) fn head(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.tokens.matrix)
    }

    pub(crate) fn tables(&self) -> Vec<&Table> {
        vec![&self.tokens, &self.positions]
    }

    pub(crate) fn tables_mut(&mut self) -> Vec<&mut Table> {
        vec![&mut self.tokens, &mut self.positions]
    }

    pub(crate) fn linears(&self) -> Vec<&Linear> {
        self.layers
            .iter()
            .flat_map(|l| [&l.attention, &l.attention_out, &l.up, &l.down])
            .collect()
    }

    pub(crate) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        fn parts(l: &mut Layer) -> [&mut Linear; 4] {
            let Layer {
                attention,
                attention_out,
                up,
                down,
                ..
            } = l;
            [attention, attention_out, up, down]
        }
        self.layers.iter_mut().flat_map(parts).collect()
    }
}
