//! T5 and Flan-T5: an encoder and a decoder that reads it, positions as a bias on the scores.
//!
//! Sublayers x ← x + f(n x) with RMS norms n: attention to the own stack, in the decoder attention to the encoder, then
//! wo(act(wi x)) or, from T5 1.1 on, wo(act(wi₀ x) · wi₁ x). Scores are not scaled; the bias b\[bucket of the distance, head\] is learned
//! once a stack and shared by its layers, and attention to the encoder has none. The decoder is fed the labels shifted right.
//! Reference: transformers' modeling_t5.py; Raffel et al. 2020, arXiv 1910.10683.

use super::{
    KvCache, Leaves, Linear, Pass, Tokens, Weight,
    activation::Activation,
    load::{Loader, Role, Start},
    matrix::Matrix,
    numbers,
};
use crate::{
    data::Batch,
    error::{Error, Result},
    ops::{self, Scores, Sight},
};
use burn::tensor::{Device, Tensor};

pub(crate) struct T5 {
    pub(crate) vocab: usize,
    pub(crate) width: usize,
    pub(crate) max_positions: usize,
    heads: usize,
    dim: usize,
    buckets: usize,
    max_distance: usize,
    activation: Activation,
    eps: f32,
    /// What the decoder's output is multiplied by: 1/√C in the original T5.
    output_scale: f32,
    start_token_id: u32,
    pad_token_id: u32,
    shared: Matrix,
    /// `None` where the head is the embedding.
    head: Option<Matrix>,
    encoder: Stack,
    decoder: Stack,
}

struct Stack {
    blocks: Vec<Block>,
    /// \[buckets, H\].
    bias: Matrix,
    norm: Weight,
}

struct Block {
    attention_norm: Weight,
    attention: Attention,
    /// To the encoder, in the decoder only.
    cross: Option<(Weight, Attention)>,
    mlp_norm: Weight,
    up: Linear,
    /// Of the gated form.
    gate: Option<Linear>,
    down: Linear,
}

struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
}

/// The encoder's output \[B·T, C\] and its mask \[B, T\].
struct Memory {
    hidden: Tensor<2>,
    mask: Tensor<2>,
}

impl T5 {
    pub(crate) async fn load(loader: &mut Loader<'_>) -> Result<Self> {
        if let Some(class) = loader.architecture()?
            && !class.ends_with("ForConditionalGeneration")
        {
            let what = format!("{class} is not supported");
            let error = Error::model(what).file("config.json").field("architectures");
            return Err(error.remedy("Of T5, the whole encoder-decoder is read: T5ForConditionalGeneration."));
        }
        let (vocab, width) = (loader.size("vocab_size")?, loader.size("d_model")?);
        let (heads, dim) = (loader.size("num_heads")?, loader.size("d_kv")?);
        let mixed = loader.product("num_heads", &[heads, dim])?;
        let buckets = loader.optional_size("relative_attention_num_buckets")?.unwrap_or(32);
        let max_distance = loader
            .optional_number("relative_attention_max_distance")?
            .unwrap_or(128);
        // Each side has half the encoder's buckets, and half of those, at least one, are for exact distances. The decoder's
        // one side has as many for exact ones as the encoder's two have together, and the largest distance lies beyond.
        if buckets < 4 || max_distance <= buckets / 2 {
            let what = format!("{buckets} buckets do not cover distances up to {max_distance}");
            let error = Error::model(what).file("config.json");
            return Err(error.field("relative_attention_num_buckets"));
        }
        let form = loader.text_or("feed_forward_proj", "relu")?;
        let (gated, activation) = match form.strip_prefix("gated-") {
            // So named before the tanh form had its name.
            Some("gelu") => (true, "gelu_new"),
            Some(activation) => (true, activation),
            None => (false, form.as_str()),
        };
        // transformers writes both parts of the form besides, and computes with them where they differ.
        if loader.flag_or("is_gated_act", gated)? != gated || loader.text_or("dense_act_fn", activation)? != activation
        {
            let what = format!("is {form:?}, which is_gated_act and dense_act_fn contradict");
            return Err(Error::format(what).file("config.json").field("feed_forward_proj"));
        }
        let activation = Activation::named(activation, "feed_forward_proj")?;
        loader.find_prefix("", "shared.weight")?;
        let shared = loader
            .matrix("shared.weight", [vocab, width], Start::Normal, Role::Table)
            .await?;
        let layers = loader.layers("num_layers")?;
        let counts = [
            ("encoder", layers),
            (
                "decoder",
                loader.optional_layers("num_decoder_layers")?.unwrap_or(layers),
            ),
        ];
        let inner = loader.size("d_ff")?;
        let mut stacks = Vec::with_capacity(2);
        for (stack, count) in counts {
            let mut blocks = Vec::new();
            for i in 0..count {
                let at = |layer: usize, part: &str| format!("{stack}.block.{i}.layer.{layer}.{part}");
                let mlp = if stack == "decoder" { 2 } else { 1 };
                let norm = async |loader: &mut Loader<'_>, layer: usize| {
                    loader
                        .weight(&at(layer, "layer_norm.weight"), &[width], Start::Ones)
                        .await
                };
                let wi = if gated { "wi_0" } else { "wi" };
                blocks.push(Block {
                    attention_norm: norm(loader, 0).await?,
                    attention: Attention::load(loader, &at(0, "SelfAttention"), width, mixed).await?,
                    cross: match stack {
                        "decoder" => Some((
                            norm(loader, 1).await?,
                            Attention::load(loader, &at(1, "EncDecAttention"), width, mixed).await?,
                        )),
                        _ => None,
                    },
                    mlp_norm: norm(loader, mlp).await?,
                    up: loader
                        .linear(at(mlp, &format!("DenseReluDense.{wi}")), width, inner, false, false)
                        .await?,
                    gate: match gated {
                        true => Some(
                            loader
                                .linear(at(mlp, "DenseReluDense.wi_1"), width, inner, false, false)
                                .await?,
                        ),
                        false => None,
                    },
                    down: loader
                        .linear(at(mlp, "DenseReluDense.wo"), inner, width, false, false)
                        .await?,
                });
            }
            let bias = format!("{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
            stacks.push(Stack {
                blocks,
                bias: loader
                    .matrix(&bias, [buckets, heads], Start::Normal, Role::Table)
                    .await?,
                norm: loader
                    .weight(&format!("{stack}.final_layer_norm.weight"), &[width], Start::Ones)
                    .await?,
            });
        }
        // Of T5, tie_word_embeddings says whether the decoder's output is scaled, which transformers 5 says outright; whether
        // the embedding is shared, the files alone do.
        let tied = loader.flag_or("tie_word_embeddings", true)?;
        let head = match loader.has("lm_head.weight") {
            true => {
                loader
                    .output("lm_head.weight", "shared.weight", [vocab, width], tied)
                    .await?
            }
            false => None,
        };
        let scales = loader.flag_or("scale_decoder_outputs", tied)?;
        let pad_token_id = loader.token_id("pad_token_id")?.unwrap_or(0);
        let start_token_id = loader.token_id("decoder_start_token_id")?.unwrap_or(pad_token_id);
        for (key, id) in [
            ("pad_token_id", pad_token_id),
            ("decoder_start_token_id", start_token_id),
        ] {
            if id as usize >= vocab {
                let what = format!("is {id}, but the model has {vocab} tokens only, counted from 0");
                return Err(Error::format(what).file("config.json").field(key));
            }
        }
        let (Some(decoder), Some(encoder)) = (stacks.pop(), stacks.pop()) else {
            return Err(Error::internal("two stacks are loaded"));
        };
        Ok(Self {
            vocab,
            width,
            max_positions: loader.optional_number("n_positions")?.unwrap_or(512),
            heads,
            dim,
            buckets,
            max_distance,
            activation,
            eps: loader.not_negative("layer_norm_epsilon", 1e-6)?,
            output_scale: if scales { (width as f32).sqrt().recip() } else { 1.0 },
            start_token_id,
            pad_token_id,
            shared,
            head,
            encoder,
            decoder,
        })
    }

    /// The batch's tokens through the encoder and its labels through the decoder → the decoder's normed hidden states
    /// \[B·answer, C\], scaled for the output matrix. A batch without labels is answered by the start token's state.
    pub(crate) fn hidden(&self, pass: &Pass, input: Tokens, batch: &Batch) -> Tensor<2> {
        let device = &input.mask.device();
        let answer = (batch.labels.len() / batch.rows.max(1)).max(1);
        let mut ids = vec![self.start_token_id as f32; batch.rows * answer];
        for (row, labels) in ids.chunks_mut(answer).zip(batch.labels.chunks(answer)) {
            for (id, &label) in row[1..].iter_mut().zip(labels) {
                *id = if label < 0 {
                    self.pad_token_id as f32
                } else {
                    label as f32
                };
            }
        }
        let memory = self.encode(pass, input);
        let answers = Tokens {
            ids: numbers(ids, device),
            mask: Tensor::ones([batch.rows, answer], device),
            batch: batch.rows,
            tokens: answer,
            start: 0,
        };
        self.decode(pass, answers, Some(memory), None)
    }

    /// The first call on a cache takes the whole input and gives the state that predicts the answer's first token; later ones
    /// take what was answered. One row → \[1, C\] at least, the last row of which predicts the next token.
    pub(crate) fn next(&self, pass: &Pass, input: Tokens, cache: &mut KvCache) -> Tensor<2> {
        let device = input.mask.device();
        if !cache.is_empty() {
            return self.decode(pass, input, None, Some(cache));
        }
        let memory = self.encode(pass, input);
        let first = Tokens {
            ids: numbers(vec![self.start_token_id as f32], &device),
            mask: Tensor::ones([1, 1], &device),
            batch: 1,
            tokens: 1,
            start: 0,
        };
        self.decode(pass, first, Some(memory), Some(cache))
    }

    fn encode(&self, pass: &Pass, input: Tokens) -> Memory {
        let leaves = pass.leaves;
        let mask = input.mask.clone();
        let bias = self.bias(
            &self.encoder,
            leaves,
            (0, input.tokens),
            input.tokens,
            true,
            &mask.device(),
        );
        let mut x = self.shared.gather(input.ids, leaves);
        for block in &self.encoder.blocks {
            let normed = self.norm(x.clone(), &block.attention_norm, leaves);
            let [q, k, v] = self.heads_of(&block.attention, normed, pass, input.batch);
            let scores = Scores {
                scale: 1.0,
                soft_cap: 0.0,
                sight: Sight::All,
            };
            let mixed = ops::attention_by(q, k, v, Some(bias.clone()), mask.clone(), scores);
            x = x + block.attention.o.forward(self.merge(mixed), pass);
            x = self.mlp(block, x, pass);
        }
        Memory {
            hidden: self.norm(x, &self.encoder.norm, leaves),
            mask,
        }
    }

    /// The answer's tokens → normed hidden states. The encoder's output is `memory`, or was at an earlier call on the cache.
    fn decode(&self, pass: &Pass, input: Tokens, memory: Option<Memory>, mut cache: Option<&mut KvCache>) -> Tensor<2> {
        let leaves = pass.leaves;
        let Tokens {
            ids,
            mask,
            batch,
            tokens,
            start,
        } = input;
        let device = mask.device();
        let keys = start + tokens;
        let bias = self.bias(&self.decoder, leaves, (start, tokens), keys, false, &device);
        let count = self.decoder.blocks.len();
        let mut x = self.shared.gather(ids, leaves);
        for (i, block) in self.decoder.blocks.iter().enumerate() {
            let normed = self.norm(x.clone(), &block.attention_norm, leaves);
            let [q, k, v] = self.heads_of(&block.attention, normed, pass, batch);
            let (k, v) = match cache.as_deref_mut() {
                Some(cache) => cache.extend(i, k, v),
                None => (k, v),
            };
            let scores = |sight| Scores {
                scale: 1.0,
                soft_cap: 0.0,
                sight,
            };
            let mixed = ops::attention_by(q, k, v, Some(bias.clone()), mask.clone(), scores(Sight::Back));
            x = x + block.attention.o.forward(self.merge(mixed), pass);
            if let Some((norm, cross)) = &block.cross {
                let normed = self.norm(x.clone(), norm, leaves);
                let q = self.split(cross.q.forward(normed, pass), batch);
                let fresh = memory.as_ref().map(|memory| {
                    let part = |linear: &Linear| self.split(linear.forward(memory.hidden.clone(), pass), batch);
                    (part(&cross.k), part(&cross.v))
                });
                // A cache keeps the encoder's keys and values behind the decoder's own.
                let seen = match (cache.as_deref_mut(), fresh) {
                    (Some(cache), Some((k, v))) => Some(cache.extend(count + i, k, v)),
                    (Some(cache), None) => cache.kept(count + i),
                    (None, fresh) => fresh,
                };
                if let Some((k, v)) = seen {
                    let mask = match &memory {
                        Some(memory) => memory.mask.clone(),
                        None => Tensor::ones([batch, k.dims()[2]], &device),
                    };
                    let mixed = ops::attention_by(q, k, v, None, mask, scores(Sight::All));
                    x = x + cross.o.forward(self.merge(mixed), pass);
                }
            }
            x = self.mlp(block, x, pass);
        }
        self.norm(x, &self.decoder.norm, leaves) * self.output_scale
    }

    fn norm(&self, x: Tensor<2>, weight: &Weight, leaves: &Leaves) -> Tensor<2> {
        ops::rms_norm(x, weight.flat(leaves), self.eps)
    }

    fn mlp(&self, block: &Block, x: Tensor<2>, pass: &Pass) -> Tensor<2> {
        let normed = self.norm(x.clone(), &block.mlp_norm, pass.leaves);
        let inner = self.activation.apply(block.up.forward(normed.clone(), pass));
        let inner = match &block.gate {
            None => inner,
            Some(gate) => inner * gate.forward(normed, pass),
        };
        x + block.down.forward(inner, pass)
    }

    fn heads_of(&self, attention: &Attention, x: Tensor<2>, pass: &Pass, batch: usize) -> [Tensor<4>; 3] {
        [&attention.q, &attention.k, &attention.v].map(|linear| self.split(linear.forward(x.clone(), pass), batch))
    }

    /// \[B·T, H·D\] → \[B, H, T, D\].
    fn split(&self, y: Tensor<2>, batch: usize) -> Tensor<4> {
        let tokens = y.dims()[0] / batch;
        y.reshape([batch, tokens, self.heads, self.dim]).swap_dims(1, 2)
    }

    /// \[B, H, T, D\] → \[B·T, H·D\].
    fn merge(&self, mixed: Tensor<4>) -> Tensor<2> {
        let [batch, heads, tokens, dim] = mixed.dims();
        mixed.swap_dims(1, 2).reshape([batch * tokens, heads * dim])
    }

    /// The bias \[1, H, Tq, Tk\] of the queries at `start..start + queries` on the keys from 0.
    fn bias(
        &self,
        stack: &Stack,
        leaves: &Leaves,
        (start, queries): (usize, usize),
        keys: usize,
        both_sides: bool,
        device: &Device,
    ) -> Tensor<4> {
        let ids = (start..start + queries)
            .flat_map(|query| (0..keys).map(move |key| key as i64 - query as i64))
            .map(|distance| bucket(distance, self.buckets, self.max_distance, both_sides) as f32)
            .collect();
        let bias = stack.bias.gather(numbers(ids, device), leaves);
        // [Tq·Tk, H] → [1, H, Tq, Tk]
        bias.swap_dims(0, 1).reshape([1, self.heads, queries, keys])
    }

    /// The output matrix \[V, C\]: the token embedding, unless the file holds another.
    pub(crate) fn head(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.shared)
    }

    /// Layers of both stacks.
    pub(crate) fn layers(&self) -> usize {
        self.encoder.blocks.len() + self.decoder.blocks.len()
    }

    /// Pairs of keys and values that a cache holds.
    pub(crate) fn kept_pairs(&self) -> usize {
        2 * self.decoder.blocks.len()
    }

    pub(crate) fn linears(&self) -> Vec<&Linear> {
        fn parts(block: &Block) -> impl Iterator<Item = &Linear> {
            let attentions = [&block.attention]
                .into_iter()
                .chain(block.cross.iter().map(|(_, cross)| cross));
            let attentions = attentions.flat_map(|a| [&a.q, &a.k, &a.v, &a.o]);
            attentions.chain([&block.up]).chain(&block.gate).chain([&block.down])
        }
        let blocks = self.encoder.blocks.iter().chain(&self.decoder.blocks);
        blocks.flat_map(parts).collect()
    }

    pub(crate) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        fn parts(block: &mut Block) -> impl Iterator<Item = &mut Linear> {
            let cross = block.cross.iter_mut().map(|(_, cross)| cross);
            let attentions = [&mut block.attention].into_iter().chain(cross);
            let attentions = attentions.flat_map(|Attention { q, k, v, o }| [q, k, v, o]);
            attentions
                .chain([&mut block.up])
                .chain(&mut block.gate)
                .chain([&mut block.down])
        }
        let blocks = self.encoder.blocks.iter_mut().chain(&mut self.decoder.blocks);
        blocks.flat_map(parts).collect()
    }
}

impl Attention {
    async fn load(loader: &mut Loader<'_>, path: &str, width: usize, inner: usize) -> Result<Self> {
        let at = |part: &str| format!("{path}.{part}");
        Ok(Self {
            q: loader.linear(at("q"), width, inner, false, false).await?,
            k: loader.linear(at("k"), width, inner, false, false).await?,
            v: loader.linear(at("v"), width, inner, false, false).await?,
            o: loader.linear(at("o"), inner, width, false, false).await?,
        })
    }
}

/// The bucket of a key's distance from its query: one each for the near half, then logarithmically wider up to
/// `max_distance`, one for all beyond. The decoder sees one side only and gives it all buckets. `_relative_position_bucket` of
/// modeling_t5.py, in f32 as there.
fn bucket(distance: i64, buckets: usize, max_distance: usize, both_sides: bool) -> usize {
    let (buckets, first, distance) = if both_sides {
        let half = buckets / 2;
        let first = if distance > 0 { half } else { 0 };
        (half, first, distance.unsigned_abs() as usize)
    } else {
        (buckets, 0, usize::try_from(-distance).unwrap_or(0))
    };
    let exact = buckets / 2;
    if distance < exact {
        return first + distance;
    }
    let share = (distance as f32 / exact as f32).ln() / (max_distance as f32 / exact as f32).ln();
    first + (exact + (share * (buckets - exact) as f32) as usize).min(buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn near_distances_have_buckets_of_their_own_and_far_ones_share() {
        let one_side: Vec<usize> = (0..20).map(|d| bucket(-d, 8, 16, false)).collect();
        assert_eq!(one_side, [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7]);
        assert_eq!(bucket(5, 8, 16, false), 0);
        let both: Vec<usize> = (-3..=3).map(|d| bucket(d, 8, 16, true)).collect();
        assert_eq!(both, [2, 2, 1, 0, 5, 6, 6]);
        // What two sides cannot share evenly stays unused.
        let uneven: Vec<usize> = (-6..=3).map(|d| bucket(d, 11, 16, true)).collect();
        assert_eq!(uneven, [3, 3, 3, 2, 2, 1, 0, 6, 7, 7]);
    }
}
