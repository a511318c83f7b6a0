//! Gemma 2 and Gemma 3 (text): norms on both sides of each sublayer, sliding and full attention in turn, a gated tanh GELU.
//!
//! x ← √C·embedding; layer: x ← x + n₂(o(attention(rope(q n₁x), rope(k n₁x), v n₁x))); x ← x + n₄(down(gelu(gate n₃x) · up n₃x)), with
//! RMS norms n that multiply by 1 + w. Scores are scaled by 1/√query_pre_attn_scalar. Gemma 2 soft-caps scores and logits; Gemma 3
//! has norms on q and k, and another theta in sliding layers. Reference: transformers' modeling_gemma2.py, modeling_gemma3.py.

use super::{
    HeadKind, Linear,
    activation::Activation,
    body::{Body, Sizes, stack},
    embedding::Embedding,
    graph::{Graph, TensorGraph, Tokens},
    head::{self, Head, decoder_head, decoder_output},
    load::Loader,
    matrix::Matrix,
    norm::RmsNorm,
    rope::Rope,
};
use crate::{
    data::Batch,
    error::{Error, Result},
    ops::{AttentionMask, AttentionScoring},
};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::models as msg;

pub(crate) struct Gemma {
    layers: Vec<Layer>,
    vocab: usize,
    width: usize,
    max_positions: usize,
    /// c of c·tanh(logit / c); 0 for none.
    logit_cap: f32,
    query_heads: usize,
    key_value_heads: usize,
    scale: f32,
    score_cap: f32,
    window: usize,
    activation: Activation,
    embedding: Embedding,
    /// `None` where the head is the embedding.
    lm_head: Option<Matrix>,
    norm: RmsNorm,
    rope: Rope,
    /// Of sliding layers, where they have their own.
    sliding_rope: Option<Rope>,
}

struct Layer {
    slides: bool,
    input_norm: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    attention_norm: RmsNorm,
    mlp_input_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
    mlp_norm: RmsNorm,
}

impl Gemma {
    /// The layers and the head of the task that config.json names.
    async fn load(loader: &mut Loader<'_>, model_type: &str) -> Result<(Self, Head)> {
        loader.set_task(head::task(loader, HeadKind::CausalLm)?);
        let third = model_type == "gemma3_text";
        let (width, inner) = (loader.size("hidden_size")?, loader.size("intermediate_size")?);
        let (vocab, count) = (loader.size("vocab_size")?, loader.layers("num_hidden_layers")?);
        let query_heads = loader.heads("num_attention_heads", width)?;
        let key_value_heads = loader.size("num_key_value_heads")?;
        let dim = loader.head_width("head_dim", 256)?;
        let max_positions = loader.optional_number("max_position_embeddings")?.unwrap_or(8192);
        if query_heads % key_value_heads != 0 || dim % 2 != 0 {
            let what = msg::HeadsNotShared {
                heads: query_heads,
                width: dim,
                shared: key_value_heads,
            };
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
            let error = Error::format(msg::WindowIsNull).file("config.json");
            return Err(error.field("sliding_window").remedy(msg::CallAllLayersFull));
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
        let embedding = Embedding::load(loader, "model.embed_tokens".into(), [vocab, width]).await?;
        let bias = loader.flag("attention_bias")?;
        let eps = loader.not_negative("rms_norm_eps", 1e-6)?;
        let mut layers = Vec::new();
        for (i, slides) in slides.into_iter().enumerate() {
            let at = |part: &str| format!("model.layers.{i}.{part}");
            let norm = async |loader: &mut Loader<'_>, part: &str, width: usize| {
                RmsNorm::load_adding_one(loader, &at(part), width, eps).await
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
        let norm = RmsNorm::load_adding_one(loader, "model.norm", width, eps).await?;
        let lm_head = decoder_output(loader, "model.embed_tokens.weight", [vocab, width], true).await?;
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
        let model = Self {
            layers,
            vocab,
            width,
            max_positions,
            logit_cap,
            query_heads,
            key_value_heads,
            scale: scalar.sqrt().recip() as f32,
            score_cap,
            // Not asked for where no layer has one.
            window: window.unwrap_or_default(),
            activation,
            embedding,
            lm_head,
            norm,
            rope,
            sliding_rope,
        };
        let head = decoder_head(loader, width, "score").await?;
        Ok((model, head))
    }
}

impl Body for Gemma {
    stack!(linears: [q, k, v, o, gate, up, down], embeddings: [embedding]);

    fn next<'a>(&self, g: &TensorGraph<'a>, input: Tokens<TensorGraph<'a>>) -> Option<Tensor<2>> {
        Some(self.states(g, input))
    }

    fn logit_cap(&self) -> f32 {
        self.logit_cap
    }

    /// The output matrix \[V, C\]: the token embedding, unless the file holds another.
    fn lm_head(&self) -> &Matrix {
        self.lm_head.as_ref().unwrap_or(&self.embedding.matrix)
    }
}

impl Gemma {
    fn forward<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        self.states(g, Tokens::of(g, batch))
    }

    /// ids \[B·T\] → the last layer's normed hidden states \[B·T, C\].
    fn states<G: Graph>(&self, g: &G, input: Tokens<G>) -> G::Rows {
        let (batch, mask) = (input.batch, input.mask);
        let (query, key_value) = (self.query_heads, self.key_value_heads);
        let angles = g.angles(&self.rope, input.start, input.tokens);
        let sliding_rope = self.sliding_rope.as_ref();
        let sliding_angles = sliding_rope.map(|rope| g.angles(rope, input.start, input.tokens));
        let mut x = g.scale(g.embed(&self.embedding, input.ids), (self.width as f32).sqrt());
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = g.rms_norm(&layer.input_norm, x.clone());
            let norm = |norm: &Option<RmsNorm>, y| match norm {
                None => y,
                Some(norm) => g.rms_norm(norm, y),
            };
            let angles = match &sliding_angles {
                Some(angles) if layer.slides => angles,
                _ => &angles,
            };
            // [B·T, heads·D] → [B, heads, T, D]
            let q = norm(&layer.q_norm, g.linear(&layer.q, normed.clone()));
            let q = g.split_heads(q, [batch, query]);
            let k = norm(&layer.k_norm, g.linear(&layer.k, normed.clone()));
            let k = g.split_heads(k, [batch, key_value]);
            let v = g.split_heads(g.linear(&layer.v, normed), [batch, key_value]);
            let (q, k) = (g.rope(q, angles), g.rope(k, angles));
            let (k, v) = g.extend_cache(i, k, v);
            let scoring = AttentionScoring {
                scale: self.scale,
                soft_cap: self.score_cap,
                mask: if layer.slides {
                    AttentionMask::SlidingWindow(self.window)
                } else {
                    AttentionMask::Causal
                },
            };
            let mixed = g.merge_heads(g.attention([q, k, v], None, mask.clone(), scoring));
            let mixed = g.linear(&layer.o, mixed);
            x = g.add(x, g.rms_norm(&layer.attention_norm, mixed));
            let normed = g.rms_norm(&layer.mlp_input_norm, x.clone());
            let gate = g.activation(self.activation, g.linear(&layer.gate, normed.clone()));
            let inner = g.multiply(gate, g.linear(&layer.up, normed));
            let down = g.linear(&layer.down, inner);
            x = g.add(x, g.rms_norm(&layer.mlp_norm, down));
        }
        g.rms_norm(&self.norm, x)
    }
}
