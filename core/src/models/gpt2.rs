//! GPT-2: learned positions, layer norms, one fused q-k-v projection, weights stored \[in, out\] (Conv1D), tanh GELU.
//!
//! Layer: x ← x + proj(attention(split(c_attn(n₁x)))); x ← x + proj(gelu(c_fc(n₂x))). Scores are divided by √D, unless
//! `scale_attn_weights` is false, and by the layer's number from 1 with `scale_attn_by_inverse_layer_idx`. The base's own
//! dropouts (attn_pdrop, embd_pdrop, resid_pdrop) are not applied: only the adapter's is. Reference: transformers'
//! modeling_gpt2.py.

use super::{
    HeadKind, Linear,
    activation::Activation,
    body::{Body, Sizes, stack},
    embedding::Embedding,
    graph::{Attention, Graph, TensorGraph, Tokens},
    head::{self, Head, decoder_head, decoder_output},
    keys::Rule,
    load::Loader,
    matrix::Matrix,
    norm::LayerNorm,
    registry::{Architecture, Kind, boxed},
};
use crate::{
    data::Batch,
    error::{Error, Result},
    formats::{Change, GgufFile, GgufForm},
    ops::{AttentionMask, AttentionScoring},
    task::Task,
};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::models as msg;
use serde_json::{Value, json};

pub(super) const GPT2: Architecture = Architecture {
    model_type: "gpt2",
    name: "GPT-2",
    models: &[],
    class: "GPT2",
    plain_class: "GPT2LMHeadModel",
    kind: Kind::Decoder,
    tasks: &Task::ALL,
    lora_targets: &["c_attn"],
    fan_in_fan_out: true,
    keys: &[&[
        (
            Rule::Computed,
            "n_embd n_layer n_head n_positions n_inner activation_function layer_norm_epsilon scale_attn_weights \
             scale_attn_by_inverse_layer_idx",
        ),
        (Rule::Dropout, "attn_pdrop embd_pdrop resid_pdrop"),
        // The order of two factors, for 16-bit floats.
        (Rule::Harmless, "reorder_and_upcast_attn"),
        // Of a head for multiple choice.
        (
            Rule::Harmless,
            "summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout n_ctx",
        ),
    ]],
    aliases: &[
        ("hidden_size", "n_embd"),
        ("num_hidden_layers", "n_layer"),
        ("num_attention_heads", "n_head"),
        ("max_position_embeddings", "n_positions"),
    ],
    defaults: &[
        ("n_embd", 768),
        ("n_head", 12),
        ("n_layer", 12),
        ("n_positions", 1024),
        ("vocab_size", 50257),
    ],
    gguf: Some(GGUF),
    build: |loader| boxed(Gpt2::load(loader)),
};

pub(crate) struct Gpt2 {
    layers: Vec<Layer>,
    vocab: usize,
    width: usize,
    max_positions: usize,
    heads: usize,
    activation: Activation,
    tokens: Embedding,
    positions: Embedding,
    norm: LayerNorm,
    lm_head: Option<Matrix>,
}

struct Layer {
    /// What its scores are multiplied by.
    scale: f32,
    norm_1: LayerNorm,
    attention: Linear,
    attention_out: Linear,
    norm_2: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Gpt2 {
    /// The layers and the head of the task that config.json names.
    async fn load(loader: &mut Loader<'_>) -> Result<(Self, Head)> {
        loader.set_task(head::task(loader, HeadKind::CausalLm)?);
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
            let what = msg::HeadsDoNotDivide { heads, width };
            return Err(Error::model(what).file("config.json").field("n_head"));
        }
        loader.find_prefix("transformer.", "wte.weight")?;
        let at = |part: &str| format!("transformer.{part}");
        let tokens = Embedding::load(loader, at("wte"), [vocab, width]).await?;
        let positions = Embedding::load(loader, at("wpe"), [max_positions, width]).await?;
        let eps = loader.not_negative("layer_norm_epsilon", 1e-5)?;
        let mut layers = Vec::new();
        for i in 0..count {
            let at = |part: &str| format!("transformer.h.{i}.{part}");
            layers.push(Layer {
                scale: if by_layer { scale / (i + 1) as f32 } else { scale },
                norm_1: LayerNorm::load(loader, &at("ln_1"), width, true, eps).await?,
                attention: loader.linear(at("attn.c_attn"), width, fused, true, true).await?,
                attention_out: loader.linear(at("attn.c_proj"), width, width, true, true).await?,
                norm_2: LayerNorm::load(loader, &at("ln_2"), width, true, eps).await?,
                up: loader.linear(at("mlp.c_fc"), width, inner, true, true).await?,
                down: loader.linear(at("mlp.c_proj"), inner, width, true, true).await?,
            });
        }
        let norm = LayerNorm::load(loader, &at("ln_f"), width, true, eps).await?;
        let lm_head = decoder_output(loader, "transformer.wte.weight", [vocab, width], true).await?;
        let model = Self {
            layers,
            vocab,
            width,
            max_positions,
            heads,
            activation,
            tokens,
            positions,
            norm,
            lm_head,
        };
        let head = decoder_head(loader, width, "classifier").await?;
        Ok((model, head))
    }
}

impl Body for Gpt2 {
    stack!(heads: heads, linears: [attention, attention_out, up, down], embeddings: [tokens, positions]);

    fn next<'a>(&self, g: &TensorGraph<'a>, input: Tokens<TensorGraph<'a>>) -> Option<Tensor<2>> {
        Some(self.states(g, input))
    }

    /// The output matrix \[V, C\]: the token embedding, unless the file holds another.
    fn lm_head(&self) -> &Matrix {
        self.lm_head.as_ref().unwrap_or(&self.tokens.matrix)
    }
}

impl Gpt2 {
    fn forward<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        self.states(g, Tokens::of(g, batch))
    }

    /// ids \[B·T\] → the last layer's normed hidden states \[B·T, C\].
    fn states<G: Graph>(&self, g: &G, input: Tokens<G>) -> G::Rows {
        let (positions, segmented) = (input.positions(g), input.is_segmented());
        let mask = input.mask;
        let mut x = g.begin(|| g.add(g.embed(&self.tokens, input.ids), g.embed(&self.positions, positions)));
        for (i, layer) in self.layers.iter().enumerate() {
            if !g.enter(&mut x) {
                continue;
            }
            let normed = g.layer_norm(&layer.norm_1, x.clone());
            let qkv = g.linear(&layer.attention, normed);
            // [B·T, 3·C] → three of [B·T, C]
            let part = |j: usize| g.columns(&qkv, j * self.width..(j + 1) * self.width);
            let scoring = AttentionScoring {
                scale: layer.scale,
                soft_cap: 0.0,
                mask: AttentionMask::Causal,
                segmented,
            };
            let attention = Attention {
                cached: Some(i),
                ..Attention::plain(self.heads, &mask, scoring)
            };
            let mixed = g.attention([part(0), part(1), part(2)], attention);
            x = g.add_linear(x, &layer.attention_out, mixed);
            let normed = g.layer_norm(&layer.norm_2, x.clone());
            let inner = g.activation(self.activation, g.linear(&layer.up, normed));
            x = g.add_linear(x, &layer.down, inner);
        }
        match g.enter(&mut x) {
            true => g.layer_norm(&self.norm, x),
            false => x,
        }
    }
}

const GGUF: GgufForm = GgufForm {
    architecture: "gpt2",
    lists: &[(
        "blk.",
        "transformer.h",
        &[
            ("attn_norm", "ln_1"),
            ("attn_qkv", "attn.c_attn"),
            ("attn_output", "attn.c_proj"),
            ("ffn_norm", "ln_2"),
            ("ffn_up", "mlp.c_fc"),
            ("ffn_down", "mlp.c_proj"),
        ],
    )],
    others: &[
        ("token_embd", "transformer.wte"),
        ("position_embd", "transformer.wpe"),
        ("output_norm", "transformer.ln_f"),
        ("output", "lm_head"),
    ],
    with_gate: None,
    is_left_out: |_| false,
    change: |name, axes, _| match name.contains(".c_") && axes == 2 {
        true => Change::Transpose,
        false => Change::None,
    },
    config: gguf_config,
};

/// config.json of a GGUF file.
fn gguf_config(file: &GgufFile<'_>) -> Result<Value> {
    let sizes = file.sizes()?;
    let epsilon = file.float("attention.layer_norm_epsilon")?.unwrap_or(1e-5);
    Ok(json!({
        "tie_word_embeddings": !file.has("output.weight"),
        "n_embd": sizes.width,
        "n_layer": sizes.layers,
        "n_head": sizes.heads,
        "n_positions": sizes.positions,
        "n_inner": sizes.inner,
        "layer_norm_epsilon": epsilon,
        "activation_function": "gelu_new",
        "hidden_size": sizes.width,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "max_position_embeddings": sizes.positions,
    }))
}
