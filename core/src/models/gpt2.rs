//! GPT-2: learned positions, layer norms, one fused q-k-v projection, weights stored \[in, out\] (Conv1D), tanh GELU.
//!
//! Layer: x ← x + proj(attention(split(c_attn(n₁x)))); x ← x + proj(gelu(c_fc(n₂x))). The base's own dropouts (attn_pdrop,
//! embd_pdrop, resid_pdrop) are not applied: only the adapter's is. Reference: transformers' modeling_gpt2.py.

use super::{
    KvCache, Linear, Pass, Tokens,
    load::{Loader, Role, Start},
    matrix::Matrix,
    norm::Norm,
    table::Table,
};
use crate::{
    error::{Error, Result},
    estimate::{Flow, Walk},
    ops,
};
use burn::tensor::{Tensor, TensorData};

pub(crate) struct Gpt2 {
    pub(crate) layers: Vec<Layer>,
    pub(crate) vocab: usize,
    pub(crate) width: usize,
    pub(crate) max_positions: usize,
    heads: usize,
    eps: f32,
    tokens: Table,
    positions: Table,
    norm: Norm,
    head: Option<Matrix>,
}

pub(crate) struct Layer {
    norm_1: Norm,
    attention: Linear,
    attention_out: Linear,
    norm_2: Norm,
    up: Linear,
    down: Linear,
}

impl Gpt2 {
    pub(crate) async fn load(loader: &mut Loader<'_>) -> Result<Self> {
        let width = loader.number("n_embd")?;
        let (vocab, heads) = (loader.number("vocab_size")?, loader.number("n_head")?);
        let (count, max_positions) = (loader.number("n_layer")?, loader.number("n_positions")?);
        let inner = loader.optional_number("n_inner")?.unwrap_or(4 * width);
        let activation = loader.text("activation_function").unwrap_or_else(|_| "gelu_new".into());
        if activation != "gelu_new" {
            let what = format!("the activation {activation:?} is not supported for gpt2");
            return Err(Error::model(what).file("config.json").field("activation_function"));
        }
        if width % heads != 0 {
            let what = format!("{heads} heads do not divide a width of {width}");
            return Err(Error::model(what).file("config.json").field("n_head"));
        }
        // The first published checkpoints lack the prefix.
        let prefix = if loader.has("wte.weight") { "" } else { "transformer." };
        let at = |part: &str| format!("{prefix}{part}");
        let mut tokens = Table::load(loader, at("wte"), [vocab, width]).await?;
        let mut positions = Table::load(loader, at("wpe"), [max_positions, width]).await?;
        let mut layers = Vec::with_capacity(count);
        for i in 0..count {
            let at = |part: &str| format!("{prefix}h.{i}.{part}");
            let mut layer = Layer {
                norm_1: Norm::load(loader, &at("ln_1"), width, true).await?,
                attention: loader.linear(at("attn.c_attn"), width, 3 * width, true, true).await?,
                attention_out: loader.linear(at("attn.c_proj"), width, width, true, true).await?,
                norm_2: Norm::load(loader, &at("ln_2"), width, true).await?,
                up: loader.linear(at("mlp.c_fc"), width, inner, true, true).await?,
                down: loader.linear(at("mlp.c_proj"), inner, width, true, true).await?,
            };
            // PEFT names modules by the model's attributes, which always have the prefix.
            for linear in [
                &mut layer.attention,
                &mut layer.attention_out,
                &mut layer.up,
                &mut layer.down,
            ] {
                if prefix.is_empty() {
                    linear.path = format!("transformer.{}", linear.path);
                }
            }
            layers.push(layer);
        }
        for table in [&mut tokens, &mut positions] {
            if prefix.is_empty() {
                table.path = format!("transformer.{}", table.path);
            }
        }
        let norm = Norm::load(loader, &at("ln_f"), width, true).await?;
        let head = match loader.has("lm_head.weight") {
            true => Some(
                loader
                    .matrix("lm_head.weight", [vocab, width], Start::Normal, Role::Table)
                    .await?,
            ),
            false => None,
        };
        let eps = loader.real("layer_norm_epsilon")?.unwrap_or(1e-5) as f32;
        Ok(Self {
            layers,
            vocab,
            width,
            max_positions,
            heads,
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
            let mixed = ops::attention(q, k, v, mask.clone());
            // [B, H, T, D] → [B·T, C]
            let mixed = mixed.swap_dims(1, 2).reshape([batch * tokens, width]);
            x = x + layer.attention_out.forward(mixed, pass);
            let normed = layer.norm_2.forward(x.clone(), leaves, self.eps);
            x = x + layer.down.forward(ops::gelu_new(layer.up.forward(normed, pass)), pass);
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
            let inner = walk.activation(up);
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
