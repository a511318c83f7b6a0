//! ModernBERT: rotary positions with two thetas, local and global attention in turn, a gated GELU, norms in front.
//!
//! x ← norm(embedding); layer: x ← x + Wo(attention(rope(Wqkv(n₁x)))); x ← x + Wo(gelu(a) · b), (a, b) = Wi(n₂x); the first layer
//! has no n₁. Local layers see the tokens at most local_attention/2 away. Reference: transformers' modeling_modernbert.py.

use super::{
    Linear, Pass, Task,
    activation::Activation,
    head::{Classifier, ClassifierNames, Head, MaskedLm, MaskedLmNames, Pooling},
    load::{Loader, MOST_HEAD_WIDTH},
    matrix::Matrix,
    norm::Norm,
    rope::Rope,
    table::Table,
};
use crate::{
    error::{Error, Result},
    models::memory::{Flow, Walk},
    ops::{self, Scores, Sight},
};
use burn::tensor::Tensor;

pub(crate) struct ModernBert {
    pub(crate) layers: Vec<Layer>,
    pub(crate) vocab: usize,
    pub(crate) width: usize,
    pub(crate) max_positions: usize,
    heads: usize,
    inner: usize,
    activation: Activation,
    eps: f32,
    /// How far a local layer sees to either side.
    reach: usize,
    embedding: Table,
    embedding_norm: Norm,
    global_rope: Rope,
    local_rope: Rope,
    final_norm: Norm,
}

pub(crate) struct Layer {
    is_local: bool,
    attention_norm: Option<Norm>,
    qkv: Linear,
    attention_out: Linear,
    mlp_norm: Norm,
    up: Linear,
    down: Linear,
}

impl ModernBert {
    /// The encoder and the head of the loader's task.
    pub(crate) async fn load(loader: &mut Loader<'_>) -> Result<(Self, Head)> {
        let (width, inner) = (loader.size("hidden_size")?, loader.size("intermediate_size")?);
        let (vocab, heads) = (loader.size("vocab_size")?, loader.heads("num_attention_heads", width)?);
        let count = loader.layers("num_hidden_layers")?;
        let fused = loader.product("hidden_size", &[3, width])?;
        let both = loader.product("intermediate_size", &[2, inner])?;
        let max_positions = loader.number("max_position_embeddings")?;
        if width % heads != 0 || width / heads % 2 != 0 {
            let what = format!("{heads} heads do not divide a width of {width} evenly");
            return Err(Error::model(what).file("config.json").field("num_attention_heads"));
        }
        let activation = Activation::named(&loader.text_or("hidden_activation", "gelu")?, "hidden_activation")?;
        let every = loader.optional_number("global_attn_every_n_layers")?.unwrap_or(3);
        let local = loader.sliding_layers(count)?;
        let local = local.unwrap_or_else(|| (0..count).map(|i| i % every != 0).collect());
        let dim = width / heads;
        if dim > MOST_HEAD_WIDTH {
            let what = format!("makes heads of a width of {dim}; at most {MOST_HEAD_WIDTH} is supported");
            return Err(Error::model(what).file("config.json").field("num_attention_heads"));
        }
        // Both kinds of layers are scaled alike.
        let mut rope = |kind, theta| Rope::of_layers(loader, kind, theta, true, (dim, max_positions));
        let global_rope = rope("full_attention", ("global_rope_theta", 160_000.0))?;
        let local_rope = rope("sliding_attention", ("local_rope_theta", 10_000.0))?;
        let (norm_bias, bias, mlp_bias) = (
            loader.flag("norm_bias")?,
            loader.flag("attention_bias")?,
            loader.flag("mlp_bias")?,
        );
        // PEFT names modules by the model's attributes, which have the prefix wherever there is a head, and only there.
        let prefix = match loader.task() {
            Task::Features => "",
            _ => "model.",
        };
        loader.find_prefix(prefix, "embeddings.tok_embeddings.weight")?;
        let at = |part: &str| format!("{prefix}{part}");
        let embedding = Table::load(loader, at("embeddings.tok_embeddings"), [vocab, width]).await?;
        let embedding_norm = Norm::load(loader, &at("embeddings.norm"), width, norm_bias).await?;
        let mut layers = Vec::new();
        for (i, is_local) in local.into_iter().enumerate() {
            let at = |part: &str| format!("{prefix}layers.{i}.{part}");
            layers.push(Layer {
                is_local,
                attention_norm: match i {
                    0 => None,
                    _ => Some(Norm::load(loader, &at("attn_norm"), width, norm_bias).await?),
                },
                qkv: loader.linear(at("attn.Wqkv"), width, fused, bias, false).await?,
                attention_out: loader.linear(at("attn.Wo"), width, width, bias, false).await?,
                mlp_norm: Norm::load(loader, &at("mlp_norm"), width, norm_bias).await?,
                up: loader.linear(at("mlp.Wi"), width, both, mlp_bias, false).await?,
                down: loader.linear(at("mlp.Wo"), inner, width, mlp_bias, false).await?,
            });
        }
        let final_norm = Norm::load(loader, &at("final_norm"), width, norm_bias).await?;
        let eps = loader.not_negative("norm_eps", 1e-5)?;
        let model = Self {
            layers,
            vocab,
            width,
            max_positions,
            heads,
            inner,
            activation,
            eps,
            reach: loader.optional_number("local_attention")?.unwrap_or(128) / 2,
            embedding,
            embedding_norm,
            global_rope,
            local_rope,
            final_norm,
        };
        let head = model.head(loader).await?;
        Ok((model, head))
    }

    async fn head(&self, loader: &mut Loader<'_>) -> Result<Head> {
        let activation = loader.text_or("classifier_activation", "gelu")?;
        let activation = Activation::named(&activation, "classifier_activation")?;
        let form = (activation, self.eps);
        match loader.task() {
            task @ (Task::SequenceClassification | Task::TokenClassification) => {
                let pooling = match (task, loader.text_or("classifier_pooling", "cls")?.as_str()) {
                    (Task::TokenClassification, _) => Pooling::None,
                    (_, "cls") => Pooling::First,
                    (_, "mean") => Pooling::Mean,
                    (_, other) => {
                        let error = Error::format(format!("must be cls or mean, got {other:?}")).file("config.json");
                        return Err(error.field("classifier_pooling"));
                    }
                };
                let names = ClassifierNames {
                    dense: Some(("head.dense", activation)),
                    dense_bias: loader.flag("classifier_bias")?,
                    dense_norm: Some(("head.norm", loader.flag("norm_bias")?, self.eps)),
                    out: "classifier",
                    out_bias: true,
                };
                let head = Classifier::load(loader, names, self.width, pooling).await?;
                Ok(Head::Classifier(Box::new(head)))
            }
            Task::MaskedLm => {
                let names = MaskedLmNames {
                    dense: "head.dense",
                    dense_bias: loader.flag("classifier_bias")?,
                    norm: "head.norm",
                    norm_bias: loader.flag("norm_bias")?,
                    matrix: "decoder.weight",
                    embedding: "model.embeddings.tok_embeddings.weight",
                    bias: loader.flag_or("decoder_bias", true)?.then_some("decoder.bias"),
                };
                let head = MaskedLm::load(loader, names, [self.vocab, self.width], form).await?;
                Ok(Head::MaskedLm(Box::new(head)))
            }
            _ => Ok(Head::None),
        }
    }

    /// ids \[B·T\] and mask \[B, T\] → the last layer's normed hidden states \[B·T, C\].
    pub(crate) fn hidden(&self, pass: &Pass, ids: Tensor<1>, mask: Tensor<2>) -> Tensor<2> {
        let leaves = pass.leaves;
        let (width, heads, [rows, tokens]) = (self.width, self.heads, mask.dims());
        let (global, local) = (self.global_rope.tables(0, tokens), self.local_rope.tables(0, tokens));
        let x = self.embedding.gather(ids, pass);
        let mut x = self.embedding_norm.forward(x, leaves, self.eps);
        for layer in &self.layers {
            let normed = match &layer.attention_norm {
                None => x.clone(),
                Some(norm) => norm.forward(x.clone(), leaves, self.eps),
            };
            let qkv = layer.qkv.forward(normed, pass);
            // [B·T, 3·C] → three of [B, H, T, D]
            let part = |j: usize| {
                let part = qkv.clone().slice([0..rows * tokens, j * width..(j + 1) * width]);
                part.reshape([rows, tokens, heads, width / heads]).swap_dims(1, 2)
            };
            let ((cos, sin), sight) = if layer.is_local {
                (local.clone(), Sight::Near(self.reach))
            } else {
                (global.clone(), Sight::All)
            };
            let q = ops::rope(part(0), cos.clone(), sin.clone());
            let k = ops::rope(part(1), cos, sin);
            let scores = Scores::plain(width / heads, sight);
            let mixed = ops::attention_by(q, k, part(2), None, mask.clone(), scores);
            // [B, H, T, D] → [B·T, C]
            let mixed = mixed.swap_dims(1, 2).reshape([rows * tokens, width]);
            x = x + layer.attention_out.forward(mixed, pass);
            let normed = layer.mlp_norm.forward(x.clone(), leaves, self.eps);
            let both = layer.up.forward(normed, pass);
            let part = |from: usize| both.clone().slice([0..rows * tokens, from..from + self.inner]);
            let gated = self.activation.apply(part(0)) * part(self.inner);
            x = x + layer.down.forward(gated, pass);
        }
        self.final_norm.forward(x, leaves, self.eps)
    }

    /// The memory of [`Self::hidden`], operation by operation.
    pub(crate) fn walk(&self, walk: &mut Walk) -> Flow {
        let width = self.width;
        let tokens = walk.gather(&self.embedding.matrix);
        let mut x = self.embedding_norm.walk(walk, tokens, width);
        for layer in &self.layers {
            let normed = match &layer.attention_norm {
                None => x.clone(),
                Some(norm) => norm.walk(walk, x.clone(), width),
            };
            let qkv = walk.linear(&layer.qkv, normed);
            let [q, k, v] = walk.thirds(&qkv);
            let (q, k) = (walk.rope(q), walk.rope(k));
            let mixed = walk.attention([q, k, v], (self.heads, 1), false);
            let mixed = walk.merge_heads(mixed);
            let out = walk.linear(&layer.attention_out, mixed);
            x = walk.add(x, out);
            let normed = layer.mlp_norm.walk(walk, x.clone(), width);
            let both = walk.linear(&layer.up, normed);
            let [gate, up] = walk.halves(&both);
            let gate = self.activation.walk(walk, gate);
            let inner = walk.multiply(gate, up);
            let down = walk.linear(&layer.down, inner);
            x = walk.add(x, down);
        }
        self.final_norm.walk(walk, x, width)
    }

    /// The word embedding, which masked language models share \[V, C\].
    pub(crate) fn embedding(&self) -> &Matrix {
        &self.embedding.matrix
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
            .flat_map(|l| [&l.qkv, &l.attention_out, &l.up, &l.down])
            .collect()
    }

    pub(crate) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        fn parts(l: &mut Layer) -> [&mut Linear; 4] {
            let Layer {
                qkv,
                attention_out,
                up,
                down,
                ..
            } = l;
            [qkv, attention_out, up, down]
        }
        self.layers.iter_mut().flat_map(parts).collect()
    }
}
