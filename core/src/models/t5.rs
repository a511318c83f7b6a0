//! T5 and Flan-T5: an encoder and a decoder that reads it, positions as a bias on the scores.
//!
//! Sublayers x ← x + f(n x) with RMS norms n: attention to the own stack, in the decoder attention to the encoder, then
//! wo(act(wi x)) or, from T5 1.1 on, wo(act(wi₀ x) · wi₁ x). Scores are not scaled; the bias b\[bucket of the distance,
//! head\] is learned once a stack and shared by its layers, and attention to the encoder has none. The decoder is fed the
//! labels shifted right. Reference: transformers' modeling_t5.py; Raffel et al. 2020, arXiv 1910.10683.

mod buckets;

use super::{
    HeadKind, Linear, Weight,
    activation::Activation,
    body::{Body, Sizes, passes},
    graph::{Attention, Graph, TensorGraph, Tokens},
    head::Head,
    keys::Rule,
    load::{Init, Loader, Role},
    matrix::{Matrix, Stored},
    norm::RmsNorm,
    registry::{Architecture, Kind, boxed},
};
use crate::{
    data::Batch,
    error::{Error, Result},
    formats::{Change, GgufFile, GgufForm},
    ops::{AttentionMask, AttentionScoring},
    task::Task,
};
use buckets::bucket;
use burn::tensor::Tensor;
use lorakeet_i18n::messages::models as msg;
use serde_json::{Value, json};

pub(super) const T5: Architecture = Architecture {
    model_type: "t5",
    name: "T5",
    models: &["Flan-T5"],
    class: "T5",
    plain_class: "T5ForConditionalGeneration",
    kind: Kind::EncoderDecoder,
    tasks: &[Task::Generation],
    lora_targets: &["q", "v"],
    fan_in_fan_out: false,
    keys: &[&[
        (
            Rule::Computed,
            "d_model d_kv d_ff num_layers num_decoder_layers num_heads n_positions relative_attention_num_buckets \
             relative_attention_max_distance feed_forward_proj dense_act_fn is_gated_act layer_norm_epsilon \
             decoder_start_token_id scale_decoder_outputs",
        ),
        (Rule::Dropout, "dropout_rate"),
        // The stacks have their own.
        (
            Rule::Harmless,
            "is_decoder is_encoder_decoder initializer_factor classifier_dropout",
        ),
    ]],
    aliases: &[
        ("hidden_size", "d_model"),
        ("num_attention_heads", "num_heads"),
        ("num_hidden_layers", "num_layers"),
        ("head_dim", "d_kv"),
    ],
    defaults: &[
        ("d_ff", 2048),
        ("d_kv", 64),
        ("d_model", 512),
        ("num_heads", 8),
        ("num_layers", 6),
        ("vocab_size", 32128),
    ],
    gguf: Some(GGUF),
    build: |loader| boxed(EncoderDecoder::load(loader)),
};

pub(crate) struct EncoderDecoder {
    vocab: usize,
    width: usize,
    max_positions: usize,
    heads: usize,
    buckets: usize,
    max_distance: usize,
    activation: Activation,
    /// The factor of the decoder's output: 1/√C in the original T5.
    output_scale: f32,
    start_token_id: u32,
    pad_token_id: u32,
    /// The embedding of both stacks. It takes no adapter: PEFT's is on one stack's copy, and its name does not say which.
    shared: Matrix,
    /// `None` where the head is the embedding.
    lm_head: Option<Matrix>,
    encoder: Stack,
    decoder: Stack,
}

struct Stack {
    blocks: Vec<Block>,
    /// \[buckets, H\].
    bias: Matrix,
    norm: RmsNorm,
}

struct Block {
    attention_norm: RmsNorm,
    attention: Projections,
    /// To the encoder, in the decoder only.
    cross: Option<(RmsNorm, Projections)>,
    mlp_norm: RmsNorm,
    up: Linear,
    /// Of the gated form.
    gate: Option<Linear>,
    down: Linear,
}

struct Projections {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
}

/// The encoder's output \[B·T, C\] and its mask \[B, T\].
struct Encoded<G: Graph> {
    hidden: G::Rows,
    mask: G::Mask,
}

impl EncoderDecoder {
    /// The layers and the head of the task that config.json names.
    async fn load(loader: &mut Loader<'_>) -> Result<(Self, Head)> {
        loader.set_task(HeadKind::Seq2SeqLm);
        if let Some(class) = loader.architecture()?
            && !class.ends_with("ForConditionalGeneration")
        {
            let error = Error::model(msg::UnsupportedClass { class }).file("config.json");
            return Err(error.field("architectures").remedy(msg::OnlyWholeT5));
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
            let distance = max_distance;
            let error = Error::model(msg::BucketsDoNotCover { buckets, distance }).file("config.json");
            return Err(error.field("relative_attention_num_buckets"));
        }
        let form = loader.text_or("feed_forward_proj", "relu")?;
        let (gated, activation) = match form.strip_prefix("gated-") {
            // The name of the tanh form in older files.
            Some("gelu") => (true, "gelu_new"),
            Some(activation) => (true, activation),
            None => (false, form.as_str()),
        };
        // transformers writes both parts of the form besides, and computes with them where they differ.
        if loader.flag_or("is_gated_act", gated)? != gated || loader.text_or("dense_act_fn", activation)? != activation
        {
            let form = format!("{form:?}");
            let error = Error::format(msg::FormContradicted { form });
            return Err(error.file("config.json").field("feed_forward_proj"));
        }
        let activation = Activation::named(activation, "feed_forward_proj")?;
        loader.find_prefix("", "shared.weight")?;
        let shared = loader
            .matrix("shared.weight", [vocab, width], Init::Normal, Role::Table)
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
        let eps = loader.not_negative("layer_norm_epsilon", 1e-6)?;
        let mut stacks = Vec::with_capacity(2);
        for (stack, count) in counts {
            let mut blocks = Vec::new();
            for i in 0..count {
                let at = |layer: usize, part: &str| format!("{stack}.block.{i}.layer.{layer}.{part}");
                let mlp = if stack == "decoder" { 2 } else { 1 };
                let norm = async |loader: &mut Loader<'_>, layer: usize| {
                    RmsNorm::load(loader, &at(layer, "layer_norm"), width, eps).await
                };
                let wi = if gated { "wi_0" } else { "wi" };
                blocks.push(Block {
                    attention_norm: norm(loader, 0).await?,
                    attention: Projections::load(loader, &at(0, "SelfAttention"), width, mixed).await?,
                    cross: match stack {
                        "decoder" => Some((
                            norm(loader, 1).await?,
                            Projections::load(loader, &at(1, "EncDecAttention"), width, mixed).await?,
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
                    .matrix(&bias, [buckets, heads], Init::Normal, Role::Table)
                    .await?,
                norm: RmsNorm::load(loader, &format!("{stack}.final_layer_norm"), width, eps).await?,
            });
        }
        // T5's tie_word_embeddings decides whether the decoder's output is scaled, for which transformers 5 has its own key.
        // Whether the embedding is tied is decided by the files alone.
        let tied = loader.flag_or("tie_word_embeddings", true)?;
        let lm_head = match loader.has("lm_head.weight") {
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
                let error = Error::format(msg::IdBeyondVocabulary { id, tokens: vocab });
                return Err(error.file("config.json").field(key));
            }
        }
        let (Some(decoder), Some(encoder)) = (stacks.pop(), stacks.pop()) else {
            return Err(Error::internal(msg::NotTwoStacks));
        };
        let model = Self {
            vocab,
            width,
            max_positions: loader.optional_number("n_positions")?.unwrap_or(512),
            heads,
            buckets,
            max_distance,
            activation,
            output_scale: if scales { (width as f32).sqrt().recip() } else { 1.0 },
            start_token_id,
            pad_token_id,
            shared,
            lm_head,
            encoder,
            decoder,
        };
        Ok((model, Head::Vocabulary))
    }
}

impl Body for EncoderDecoder {
    passes!();

    fn sizes(&self) -> Sizes {
        Sizes {
            vocab: self.vocab,
            width: self.width,
            layers: self.encoder.blocks.len() + self.decoder.blocks.len(),
            heads: self.heads,
            max_positions: self.max_positions,
        }
    }

    /// Before each layer and behind the last, in both stacks.
    fn cuts(&self) -> usize {
        self.encoder.blocks.len() + self.decoder.blocks.len() + 2
    }

    fn next<'a>(&self, g: &TensorGraph<'a>, input: Tokens<TensorGraph<'a>>) -> Option<Tensor<2>> {
        Some(self.next_states(g, input))
    }

    /// The decoder's, and then those that it reads of the encoder.
    fn cached_pairs(&self) -> usize {
        2 * self.decoder.blocks.len()
    }

    /// The encoder's.
    fn attention_layers(&self) -> usize {
        self.encoder.blocks.len()
    }

    /// Relative positions: beyond `n_positions` all distances share the last bucket, as in transformers.
    fn max_tokens(&self) -> usize {
        usize::MAX
    }

    /// The output matrix \[V, C\]: the token embedding, unless the file holds another.
    fn lm_head(&self) -> &Matrix {
        self.lm_head.as_ref().unwrap_or(&self.shared)
    }

    fn linears(&self) -> Vec<&Linear> {
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

    fn linears_mut(&mut self) -> Vec<&mut Linear> {
        fn parts(block: &mut Block) -> impl Iterator<Item = &mut Linear> {
            let cross = block.cross.iter_mut().map(|(_, cross)| cross);
            let attentions = [&mut block.attention].into_iter().chain(cross);
            let attentions = attentions.flat_map(|Projections { q, k, v, o }| [q, k, v, o]);
            attentions
                .chain([&mut block.up])
                .chain(&mut block.gate)
                .chain([&mut block.down])
        }
        let blocks = self.encoder.blocks.iter_mut().chain(&mut self.decoder.blocks);
        blocks.flat_map(parts).collect()
    }
}

impl EncoderDecoder {
    /// The batch's tokens through the encoder and its labels through the decoder → the decoder's normed hidden states
    /// \[B·answer, C\], scaled for the output matrix. A batch without labels is answered by the start token's state.
    fn forward<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        let answer = (batch.labels.len() / batch.rows.max(1)).max(1);
        let ids = g.numbers(batch.rows * answer, || {
            let mut ids = vec![self.start_token_id as f32; batch.rows * answer];
            for (row, labels) in ids.chunks_mut(answer).zip(batch.labels.chunks(answer)) {
                for (id, &label) in row.iter_mut().skip(1).zip(labels) {
                    *id = if label < 0 {
                        self.pad_token_id as f32
                    } else {
                        label as f32
                    };
                }
            }
            ids
        });
        let answers = Tokens::new(ids, ones(g, batch.rows, answer), [batch.rows, answer], 0);
        let encoded = self.encode(g, Tokens::of(g, batch));
        self.decode(g, answers, Some(encoded))
    }

    /// The first call on a cache takes the whole input and gives the state that predicts the answer's first token; later ones
    /// take what was answered. One row → \[1, C\] at least, the last row of which predicts the next token.
    fn next_states<G: Graph>(&self, g: &G, input: Tokens<G>) -> G::Rows {
        if input.start > 0 {
            return self.decode(g, input, None);
        }
        let encoded = self.encode(g, input);
        let ids = g.numbers(1, || vec![self.start_token_id as f32]);
        let first = Tokens::new(ids, ones(g, 1, 1), [1, 1], 0);
        self.decode(g, first, Some(encoded))
    }

    fn encode<G: Graph>(&self, g: &G, input: Tokens<G>) -> Encoded<G> {
        let mask = input.mask;
        let bias = self.bias(g, &self.encoder, (0, input.tokens), input.tokens, true);
        let mut x = g.begin(|| g.gather(&self.shared, input.ids));
        for block in &self.encoder.blocks {
            if !g.enter(&mut x) {
                continue;
            }
            let normed = g.rms_norm(&block.attention_norm, x.clone());
            let attention = Attention {
                bias: Some(&bias),
                ..Attention::plain(self.heads, &mask, unscaled(AttentionMask::Full))
            };
            let mixed = g.attention(block.attention.qkv(g, normed), attention);
            x = g.add_linear(x, &block.attention.o, mixed);
            x = self.mlp(g, block, x);
        }
        g.enter(&mut x);
        Encoded {
            hidden: g.shared(true, || g.rms_norm(&self.encoder.norm, x)),
            mask,
        }
    }

    /// The answer's tokens → normed hidden states. The encoder's output is `encoded`, or was at an earlier call on the cache.
    fn decode<G: Graph>(&self, g: &G, input: Tokens<G>, encoded: Option<Encoded<G>>) -> G::Rows {
        let (batch, tokens, start) = (input.batch, input.tokens, input.start);
        let bias = self.bias(g, &self.decoder, (start, tokens), start + tokens, false);
        let count = self.decoder.blocks.len();
        let mut x = g.begin(|| g.gather(&self.shared, input.ids));
        for (i, block) in self.decoder.blocks.iter().enumerate() {
            if !g.enter(&mut x) {
                continue;
            }
            let normed = g.rms_norm(&block.attention_norm, x.clone());
            let attention = Attention {
                bias: Some(&bias),
                cached: Some(i),
                ..Attention::plain(self.heads, &input.mask, unscaled(AttentionMask::Causal))
            };
            let mixed = g.attention(block.attention.qkv(g, normed), attention);
            x = g.add_linear(x, &block.attention.o, mixed);
            if let Some((norm, cross)) = &block.cross {
                let normed = g.rms_norm(norm, x.clone());
                let q = g.linear(&cross.q, normed);
                // A cache keeps the encoder's keys and values behind the decoder's own.
                let seen = match &encoded {
                    Some(Encoded { hidden, mask }) => {
                        let hidden = g.view(hidden);
                        let [k, v] = g.two_linears([&cross.k, &cross.v], hidden);
                        let (k, v) = g.extend_cache(count + i, k, v);
                        Some((k, v, mask.clone()))
                    }
                    None => g.cached(count + i).map(|(k, v)| {
                        let mask = g.all_seen(&k, batch);
                        (k, v, mask)
                    }),
                };
                if let Some((k, v, mask)) = seen {
                    let attention = Attention::plain(self.heads, &mask, unscaled(AttentionMask::Full));
                    x = g.add_linear(x, &cross.o, g.attention([q, k, v], attention));
                }
            }
            x = self.mlp(g, block, x);
        }
        match g.enter(&mut x) {
            true => g.scale(g.rms_norm(&self.decoder.norm, x), self.output_scale),
            false => x,
        }
    }

    fn mlp<G: Graph>(&self, g: &G, block: &Block, x: G::Rows) -> G::Rows {
        let normed = g.rms_norm(&block.mlp_norm, x.clone());
        let Some(gate) = &block.gate else {
            let inner = g.activation(self.activation, g.linear(&block.up, normed));
            return g.add_linear(x, &block.down, inner);
        };
        let [up, gate] = g.two_linears([&block.up, gate], normed);
        let inner = g.multiply(g.activation(self.activation, up), gate);
        g.add_linear(x, &block.down, inner)
    }

    /// The bias on products of the queries at `start..start + queries` and the keys from 0, by distance: \[Tq + Tk − 1, H\].
    fn bias<G: Graph>(
        &self,
        g: &G,
        stack: &Stack,
        (start, queries): (usize, usize),
        keys: usize,
        both_sides: bool,
    ) -> G::Rows {
        let count = queries + keys - 1;
        let buckets = || {
            // From the first key as the last query sees it.
            let first = 1 - (start + queries) as i64;
            let distances = (0..count as i64).map(|i| first + i);
            let bucket = |distance| bucket(distance, self.buckets, self.max_distance, both_sides) as f32;
            distances.map(bucket).collect()
        };
        let is_trained = matches!(stack.bias.stored, Stored::Dense(Weight::Trained(_)));
        g.shared(is_trained, || g.gather(&stack.bias, g.numbers(count, buckets)))
    }
}

impl Projections {
    /// q, k and v \[B·T, H·D\].
    fn qkv<G: Graph>(&self, g: &G, x: G::Rows) -> [G::Rows; 3] {
        g.three_linears([&self.q, &self.k, &self.v], x)
    }

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

fn ones<G: Graph>(g: &G, batch: usize, tokens: usize) -> G::Mask {
    g.mask([batch, tokens], || vec![1.0; batch * tokens])
}

/// Scores are q·kᵀ as they are.
fn unscaled(mask: AttentionMask) -> AttentionScoring {
    AttentionScoring {
        scale: 1.0,
        soft_cap: 0.0,
        mask,
        segmented: false,
    }
}

const GGUF: GgufForm = GgufForm {
    architecture: "t5",
    lists: &[
        (
            "enc.blk.",
            "encoder.block",
            &[
                ("attn_norm", "layer.0.layer_norm"),
                ("attn_q", "layer.0.SelfAttention.q"),
                ("attn_k", "layer.0.SelfAttention.k"),
                ("attn_v", "layer.0.SelfAttention.v"),
                ("attn_o", "layer.0.SelfAttention.o"),
                ("attn_rel_b", "layer.0.SelfAttention.relative_attention_bias"),
                ("ffn_norm", "layer.1.layer_norm"),
                ("ffn_gate", "layer.1.DenseReluDense.wi_0"),
                ("ffn_up", "layer.1.DenseReluDense.wi"),
                ("ffn_down", "layer.1.DenseReluDense.wo"),
            ],
        ),
        (
            "dec.blk.",
            "decoder.block",
            &[
                ("attn_norm", "layer.0.layer_norm"),
                ("attn_q", "layer.0.SelfAttention.q"),
                ("attn_k", "layer.0.SelfAttention.k"),
                ("attn_v", "layer.0.SelfAttention.v"),
                ("attn_o", "layer.0.SelfAttention.o"),
                ("attn_rel_b", "layer.0.SelfAttention.relative_attention_bias"),
                ("cross_attn_norm", "layer.1.layer_norm"),
                ("cross_attn_q", "layer.1.EncDecAttention.q"),
                ("cross_attn_k", "layer.1.EncDecAttention.k"),
                ("cross_attn_v", "layer.1.EncDecAttention.v"),
                ("cross_attn_o", "layer.1.EncDecAttention.o"),
                ("ffn_norm", "layer.2.layer_norm"),
                ("ffn_gate", "layer.2.DenseReluDense.wi_0"),
                ("ffn_up", "layer.2.DenseReluDense.wi"),
                ("ffn_down", "layer.2.DenseReluDense.wo"),
            ],
        ),
    ],
    others: &[
        ("token_embd", "shared"),
        ("enc.output_norm", "encoder.final_layer_norm"),
        ("dec.output_norm", "decoder.final_layer_norm"),
        ("output", "lm_head"),
    ],
    // `ffn_up` is `wi` of the original T5, `wi_1` of the gated form.
    with_gate: Some((".wi.", ".wi_1.")),
    // Old checkpoints carry a bias on the attention to the encoder, which transformers does not read.
    is_left_out: |name| name.ends_with(".cross_attn_rel_b.weight"),
    change: |_, _, _| Change::None,
    config: gguf_config,
};

/// config.json of a GGUF file.
fn gguf_config(file: &GgufFile<'_>) -> Result<Value> {
    let sizes = file.sizes()?;
    let is_gated = file.has("enc.blk.0.ffn_gate.weight");
    let decoder_layers = file.metadata.integer(&file.key("decoder_block_count"));
    let pad = file.metadata.integer("tokenizer.ggml.padding_token_id").unwrap_or(0);
    let start = file.metadata.integer(&file.key("decoder_start_token_id"));
    Ok(json!({
        "tie_word_embeddings": !file.has("output.weight"),
        "d_model": sizes.width,
        "d_kv": file.head_dim(&sizes),
        "d_ff": sizes.inner,
        "num_layers": sizes.layers,
        "num_decoder_layers": decoder_layers.unwrap_or(sizes.layers),
        "num_heads": sizes.heads,
        "n_positions": sizes.positions,
        "relative_attention_num_buckets": file.integer("attention.relative_buckets_count")?,
        // Not in the metadata; llama.cpp and every published model have 128.
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": file.epsilon("attention.layer_norm_rms_epsilon")?,
        "feed_forward_proj": if is_gated { "gated-gelu" } else { "relu" },
        "decoder_start_token_id": start.unwrap_or(pad),
    }))
}
