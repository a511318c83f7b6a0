//! The Llama family: Llama, SmolLM2 and Mistral, Qwen2 (biases on q, k, v), Qwen3 (norms on q and k).
//!
//! Layer: x ← x + o(attention(rope(q(n₁x)), rope(k(n₁x)), v(n₁x))); x ← x + down(silu(gate(n₂x)) · up(n₂x)), with RMS norms n.
//! Positions are 0..T−1 in every row, padding included, as transformers counts them where no position_ids are given; in rows of
//! several examples they begin anew at each.
//! Reference: transformers' modeling_llama.py, modeling_qwen2.py, modeling_qwen3.py.

use super::{
    HeadKind, Linear,
    activation::Activation,
    body::{Body, Sizes, stack},
    embedding::Embedding,
    graph::{Attention, Graph, TensorGraph, Tokens},
    head::{self, Head, decoder_head, decoder_output},
    keys::{Plain, ROTARY, Rule},
    load::Loader,
    matrix::Matrix,
    norm::RmsNorm,
    registry::{Architecture, Kind, boxed},
    rope::Rope,
};
use crate::{
    data::Batch,
    error::{Error, Result},
    formats::{Change, GgufFile, GgufForm, gguf_names::Pairs},
    ops::{AttentionMask, AttentionScoring},
    task::Task,
};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::models as msg;
use serde_json::{Value, json};

pub(super) const LLAMA: Architecture = Architecture {
    model_type: "llama",
    name: "Llama",
    models: &["SmolLM2"],
    class: "Llama",
    plain_class: "LlamaForCausalLM",
    kind: Kind::Decoder,
    tasks: &Task::ALL,
    lora_targets: &["q_proj", "v_proj"],
    fan_in_fan_out: false,
    keys: &[
        &[
            (Rule::Computed, "hidden_act mlp_bias"),
            (Rule::Harmless, "is_llama_config"),
            (Rule::Only(Plain::False), "rope_interleaved"),
        ],
        ROTARY,
    ],
    aliases: &[],
    defaults: &[
        ("hidden_size", 4096),
        ("intermediate_size", 11008),
        ("max_position_embeddings", 2048),
        ("num_attention_heads", 32),
        ("num_hidden_layers", 32),
        ("vocab_size", 32000),
    ],
    gguf: Some(GgufForm {
        change: |name, _, heads| {
            if name.contains(".q_proj.") {
                Change::Unpermute { heads: heads.query }
            } else if name.contains(".k_proj.") {
                Change::Unpermute { heads: heads.key_value }
            } else {
                Change::None
            }
        },
        ..GGUF
    }),
    build: |loader| boxed(Llama::load(loader, Variant::Llama)),
};

pub(super) const MISTRAL: Architecture = Architecture {
    model_type: "mistral",
    name: "Mistral",
    models: &[],
    class: "Mistral",
    plain_class: "MistralForCausalLM",
    keys: &[&[(Rule::Computed, "hidden_act mlp_bias sliding_window")], ROTARY],
    defaults: &[
        ("hidden_size", 4096),
        ("intermediate_size", 14336),
        ("max_position_embeddings", 131_072),
        ("num_attention_heads", 32),
        ("num_hidden_layers", 32),
        ("num_key_value_heads", 8),
        ("vocab_size", 32000),
    ],
    gguf: None,
    build: |loader| boxed(Llama::load(loader, Variant::Mistral)),
    ..LLAMA
};

pub(super) const QWEN2: Architecture = Architecture {
    model_type: "qwen2",
    name: "Qwen2",
    models: &[],
    class: "Qwen2",
    plain_class: "Qwen2ForCausalLM",
    keys: &[
        &[(
            Rule::Computed,
            "hidden_act mlp_bias use_sliding_window sliding_window max_window_layers layer_types",
        )],
        ROTARY,
    ],
    defaults: &[
        ("hidden_size", 4096),
        ("intermediate_size", 22016),
        ("max_position_embeddings", 32768),
        ("num_attention_heads", 32),
        ("num_hidden_layers", 32),
        ("num_key_value_heads", 32),
        ("vocab_size", 151_936),
    ],
    gguf: Some(GgufForm {
        architecture: "qwen2",
        ..GGUF
    }),
    build: |loader| boxed(Llama::load(loader, Variant::Qwen2)),
    ..LLAMA
};

pub(super) const QWEN3: Architecture = Architecture {
    model_type: "qwen3",
    name: "Qwen3",
    class: "Qwen3",
    plain_class: "Qwen3ForCausalLM",
    gguf: Some(GgufForm {
        architecture: "qwen3",
        ..GGUF
    }),
    build: |loader| boxed(Llama::load(loader, Variant::Qwen3)),
    ..QWEN2
};

/// The member of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
}

pub(crate) struct Llama {
    layers: Vec<Layer>,
    vocab: usize,
    width: usize,
    max_positions: usize,
    embedding: Embedding,
    /// `None` where the head is the embedding.
    lm_head: Option<Matrix>,
    norm: RmsNorm,
    activation: Activation,
    heads: Heads,
    rope: Rope,
}

#[derive(Clone, Copy)]
struct Heads {
    query: usize,
    key_value: usize,
    dim: usize,
}

struct Layer {
    /// The sliding window in tokens, the token itself included; `None` for full causal attention.
    window: Option<usize>,
    input_norm: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    post_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// The window of each layer. Mistral has one for all, and by its class's default where config.json has none; Qwen has them in
/// the layers from `max_window_layers` on, or in those that `layer_types` names, with `use_sliding_window`.
fn windows(loader: &Loader<'_>, variant: Variant, count: usize) -> Result<Vec<Option<usize>>> {
    const USUAL: usize = 4096;
    match variant {
        Variant::Llama => return Ok(vec![None; count]),
        Variant::Mistral => return Ok(vec![loader.window(USUAL)?; count]),
        Variant::Qwen2 | Variant::Qwen3 => {}
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
        let error = Error::format(msg::NoWindowForLayers).file("config.json");
        return Err(error.field("layer_types").remedy(msg::SetWindow));
    }
    Ok(slides.into_iter().map(|slides| window.filter(|_| slides)).collect())
}

impl Llama {
    /// The layers and the head of the task that config.json names.
    async fn load(loader: &mut Loader<'_>, variant: Variant) -> Result<(Self, Head)> {
        loader.set_task(head::task(loader, HeadKind::CausalLm)?);
        let width = loader.size("hidden_size")?;
        let vocab = loader.size("vocab_size")?;
        let query = loader.heads("num_attention_heads", width)?;
        let key_value = loader.optional_size("num_key_value_heads")?.unwrap_or(query);
        // Qwen3's class has a width of its own where config.json has none.
        let usual = match variant == Variant::Qwen3 && !loader.is_null("head_dim") {
            true => 128,
            false => width / query,
        };
        let dim = loader.head_width("head_dim", usual)?;
        let inner = loader.size("intermediate_size")?;
        let count = loader.layers("num_hidden_layers")?;
        let max_positions = loader.optional_number("max_position_embeddings")?.unwrap_or(2048);
        if query % key_value != 0 || dim % 2 != 0 {
            let what = msg::HeadsNotShared {
                heads: query,
                width: dim,
                shared: key_value,
            };
            return Err(Error::model(what).file("config.json").field("num_key_value_heads"));
        }
        let activation = Activation::named(&loader.text_or("hidden_act", "silu")?, "hidden_act")?;
        let windows = windows(loader, variant, count)?;
        let (q_out, kv_out) = (
            loader.product("num_attention_heads", &[query, dim])?,
            loader.product("num_key_value_heads", &[key_value, dim])?,
        );
        loader.find_prefix("model.", "embed_tokens.weight")?;
        let heads = Heads { query, key_value, dim };
        let rope = Rope::new(loader, dim, max_positions)?;
        let embedding = Embedding::load(loader, "model.embed_tokens".into(), [vocab, width]).await?;
        let qkv_bias = if variant == Variant::Qwen2 {
            true
        } else {
            loader.flag("attention_bias")?
        };
        let o_bias = variant != Variant::Qwen2 && loader.flag("attention_bias")?;
        let (mlp_bias, qk_norm) = (loader.flag("mlp_bias")?, variant == Variant::Qwen3);
        let eps = loader.not_negative("rms_norm_eps", 1e-6)?;
        let mut layers = Vec::new();
        for (i, window) in windows.into_iter().enumerate() {
            let at = |part: &str| format!("model.layers.{i}.{part}");
            layers.push(Layer {
                window,
                input_norm: RmsNorm::load(loader, &at("input_layernorm"), width, eps).await?,
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
                    true => Some(RmsNorm::load(loader, &at("self_attn.q_norm"), dim, eps).await?),
                    false => None,
                },
                k_norm: match qk_norm {
                    true => Some(RmsNorm::load(loader, &at("self_attn.k_norm"), dim, eps).await?),
                    false => None,
                },
                post_norm: RmsNorm::load(loader, &at("post_attention_layernorm"), width, eps).await?,
                gate: loader
                    .linear(at("mlp.gate_proj"), width, inner, mlp_bias, false)
                    .await?,
                up: loader.linear(at("mlp.up_proj"), width, inner, mlp_bias, false).await?,
                down: loader
                    .linear(at("mlp.down_proj"), inner, width, mlp_bias, false)
                    .await?,
            });
        }
        let norm = RmsNorm::load(loader, "model.norm", width, eps).await?;
        let lm_head = decoder_output(loader, "model.embed_tokens.weight", [vocab, width], false).await?;
        let model = Self {
            layers,
            vocab,
            width,
            max_positions,
            embedding,
            lm_head,
            norm,
            activation,
            heads,
            rope,
        };
        let head = decoder_head(loader, width, "score").await?;
        Ok((model, head))
    }
}

impl Body for Llama {
    stack!(heads: heads.query, linears: [q, k, v, o, gate, up, down], embeddings: [embedding]);

    fn next<'a>(&self, g: &TensorGraph<'a>, input: Tokens<TensorGraph<'a>>) -> Option<Tensor<2>> {
        Some(self.states(g, input))
    }

    /// The output matrix \[V, C\].
    fn lm_head(&self) -> &Matrix {
        self.lm_head.as_ref().unwrap_or(&self.embedding.matrix)
    }
}

impl Llama {
    fn forward<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        self.states(g, Tokens::of(g, batch))
    }

    /// ids \[B·T\] → the last layer's normed hidden states \[B·T, C\].
    fn states<G: Graph>(&self, g: &G, input: Tokens<G>) -> G::Rows {
        let Heads { query, key_value, dim } = self.heads;
        let (angles, segmented) = (input.angles(g, &self.rope), input.is_segmented());
        let mask = input.mask;
        let mut x = g.begin(|| g.embed(&self.embedding, input.ids));
        for (i, layer) in self.layers.iter().enumerate() {
            if !g.enter(&mut x) {
                continue;
            }
            let norm = |norm: &Option<RmsNorm>, y| match norm {
                None => y,
                Some(norm) => g.rms_norm(norm, y),
            };
            let [q, k, v] = g.normed_three(&layer.input_norm, x.clone(), [&layer.q, &layer.k, &layer.v]);
            let (q, k) = (norm(&layer.q_norm, q), norm(&layer.k_norm, k));
            let attention = Attention {
                heads: [query, key_value],
                angles: Some(&angles),
                bias: None,
                mask: &mask,
                scoring: AttentionScoring {
                    segmented,
                    ..AttentionScoring::plain(
                        dim,
                        layer.window.map_or(AttentionMask::Causal, AttentionMask::SlidingWindow),
                    )
                },
                cached: Some(i),
            };
            let mixed = g.attention([q, k, v], attention);
            x = g.add_linear(x, &layer.o, mixed);
            let [gate, up] = g.normed_two(&layer.post_norm, x.clone(), [&layer.gate, &layer.up]);
            x = match self.activation {
                Activation::Silu => g.add_gated(x, &layer.down, gate, up),
                other => {
                    let inner = g.multiply(g.activation(other, gate), up);
                    g.add_linear(x, &layer.down, inner)
                }
            };
        }
        match g.enter(&mut x) {
            true => g.rms_norm(&self.norm, x),
            false => x,
        }
    }
}

/// Llama's form, except for the order of the rows of q and k, which only Llama's files have.
pub(super) const GGUF: GgufForm = GgufForm {
    architecture: "llama",
    lists: &[("blk.", "model.layers", GGUF_LAYER)],
    others: &[
        ("token_embd", "model.embed_tokens"),
        ("output_norm", "model.norm"),
        ("output", "lm_head"),
    ],
    with_gate: None,
    is_left_out: |_| false,
    change: |_, _, _| Change::None,
    config: gguf_config,
};

/// The parts of a layer.
pub(super) const GGUF_LAYER: Pairs = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// config.json of a GGUF file.
fn gguf_config(file: &GgufFile<'_>) -> Result<Value> {
    let sizes = file.sizes()?;
    let head_dim = file.head_dim(&sizes);
    Ok(json!({
        "tie_word_embeddings": !file.has("output.weight"),
        "rope_theta": file.float("rope.freq_base")?.unwrap_or(10_000.0),
        "rope_scaling": file.rope_scaling(head_dim)?,
        "num_key_value_heads": file.kv_heads(sizes.heads)?,
        "head_dim": head_dim,
        "rms_norm_eps": file.epsilon("attention.layer_norm_rms_epsilon")?,
        "hidden_act": "silu",
        "attention_bias": file.has("blk.0.attn_q.bias"),
        "mlp_bias": file.has("blk.0.ffn_up.bias"),
        "hidden_size": sizes.width,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.inner,
        "max_position_embeddings": sizes.positions,
    }))
}
