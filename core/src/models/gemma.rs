//! Gemma 2 and Gemma 3 (text): norms on both sides of each sublayer, sliding and full attention in turn, a gated tanh GELU.
//!
//! x ← √C·embedding; layer: x ← x + n₂(o(attention(rope(q n₁x), rope(k n₁x), v n₁x))); x ← x + n₄(down(gelu(gate n₃x) · up
//! n₃x)), with RMS norms n that multiply by 1 + w. Scores are scaled by 1/√query_pre_attn_scalar. Gemma 2 soft-caps scores
//! and logits; Gemma 3 has norms on q and k, and another theta in sliding layers. Reference: transformers'
//! modeling_gemma2.py, modeling_gemma3.py.

use super::{
    HeadKind, Linear,
    activation::Activation,
    body::{Body, Sizes, stack},
    embedding::Embedding,
    graph::{Attention, Graph, TensorGraph, Tokens},
    head::{self, Head, decoder_head, decoder_output},
    keys::{Plain, ROTARY, Rule, Table},
    llama,
    load::Loader,
    matrix::Matrix,
    norm::RmsNorm,
    registry::{Architecture, Kind, boxed},
    rope::Rope,
};
use crate::{
    data::Batch,
    error::{Error, Result},
    formats::{Change, GgufFile, GgufForm, gguf::Value as Metadatum},
    ops::{AttentionMask, AttentionScoring},
    task::Task,
};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::{common, formats, models as msg};
use serde_json::{Value, json};

pub(super) const GEMMA2: Architecture = Architecture {
    model_type: "gemma2",
    name: "Gemma 2",
    models: &[],
    class: "Gemma2",
    plain_class: "Gemma2ForCausalLM",
    kind: Kind::Decoder,
    tasks: &Task::ALL,
    lora_targets: &["q_proj", "v_proj"],
    fan_in_fan_out: false,
    keys: &[KEYS, ROTARY],
    aliases: &[],
    defaults: &[
        ("hidden_size", 2304),
        ("intermediate_size", 9216),
        ("max_position_embeddings", 8192),
        ("num_attention_heads", 8),
        ("num_hidden_layers", 26),
        ("num_key_value_heads", 4),
        ("vocab_size", 256_000),
    ],
    gguf: Some(GGUF_2),
    build: |loader| boxed(Gemma::load(loader, Variant::Gemma2)),
};

pub(super) const GEMMA3: Architecture = Architecture {
    model_type: "gemma3_text",
    name: "Gemma 3",
    class: "Gemma3Text",
    plain_class: "Gemma3ForCausalLM",
    keys: &[
        &[
            (Rule::Computed, "sliding_window_pattern rope_local_base_freq"),
            (Rule::Harmless, "_sliding_window_pattern"),
            // transformers has the key and does not use it.
            (Rule::Only(Plain::Null), "attn_logit_softcapping"),
        ],
        KEYS,
        ROTARY,
    ],
    defaults: &[
        ("hidden_size", 2304),
        ("intermediate_size", 9216),
        ("max_position_embeddings", 131_072),
        ("num_attention_heads", 8),
        ("num_hidden_layers", 26),
        ("num_key_value_heads", 4),
        ("vocab_size", 262_208),
    ],
    gguf: Some(GGUF_3),
    build: |loader| boxed(Gemma::load(loader, Variant::Gemma3)),
    ..GEMMA2
};

/// The keys of both generations.
const KEYS: Table = &[
    (
        Rule::Computed,
        "hidden_activation query_pre_attn_scalar attn_logit_softcapping final_logit_softcapping sliding_window \
         layer_types",
    ),
    // Published besides hidden_activation and sliding_window, which transformers uses.
    (Rule::Harmless, "hidden_act sliding_window_size"),
    (Rule::Only(Plain::False), "use_bidirectional_attention"),
];

/// The generation, which decides norms on q and k, RoPE of sliding layers, and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Gemma2,
    Gemma3,
}

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
    async fn load(loader: &mut Loader<'_>, variant: Variant) -> Result<(Self, Head)> {
        loader.set_task(head::task(loader, HeadKind::CausalLm)?);
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
                let every = match variant {
                    Variant::Gemma2 => 2,
                    Variant::Gemma3 => loader.optional_number("sliding_window_pattern")?.unwrap_or(6),
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
        let (rope, sliding_rope) = match variant {
            Variant::Gemma2 => (Rope::new(loader, dim, max_positions)?, None),
            Variant::Gemma3 => {
                let sizes = (dim, max_positions);
                let mut rope = |kind, theta, is_scaled| Rope::of_layers(loader, kind, theta, is_scaled, sizes);
                (
                    rope("full_attention", ("rope_theta", 1_000_000.0), true)?,
                    Some(rope("sliding_attention", ("rope_local_base_freq", 10_000.0), false)?),
                )
            }
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
            let head_norm = async |loader: &mut Loader<'_>, part: &str| match variant {
                Variant::Gemma2 => Ok(None),
                Variant::Gemma3 => norm(loader, part, dim).await.map(Some),
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
                q_norm: head_norm(loader, "self_attn.q_norm").await?,
                k_norm: head_norm(loader, "self_attn.k_norm").await?,
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
        // Gemma 2's class has default caps; null is none.
        let cap = |key: &str, usual: f64| match variant {
            Variant::Gemma2 if !loader.is_null(key) => loader.not_negative(key, usual),
            Variant::Gemma2 | Variant::Gemma3 => loader.not_negative(key, 0.0),
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
            // Not used where no layer has a window.
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
    stack!(heads: query_heads, linears: [q, k, v, o, gate, up, down], embeddings: [embedding]);

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
        let (query, key_value) = (self.query_heads, self.key_value_heads);
        let (angles, segmented) = (input.angles(g, &self.rope), input.is_segmented());
        let sliding_rope = self.sliding_rope.as_ref();
        let sliding_angles = sliding_rope.map(|rope| input.angles(g, rope));
        let mask = input.mask;
        let mut x = g.begin(|| g.scale(g.embed(&self.embedding, input.ids), (self.width as f32).sqrt()));
        for (i, layer) in self.layers.iter().enumerate() {
            if !g.enter(&mut x) {
                continue;
            }
            let norm = |norm: &Option<RmsNorm>, y| match norm {
                None => y,
                Some(norm) => g.rms_norm(norm, y),
            };
            let angles = match &sliding_angles {
                Some(angles) if layer.slides => angles,
                _ => &angles,
            };
            let [q, k, v] = g.normed_three(&layer.input_norm, x.clone(), [&layer.q, &layer.k, &layer.v]);
            let (q, k) = (norm(&layer.q_norm, q), norm(&layer.k_norm, k));
            let scoring = AttentionScoring {
                scale: self.scale,
                soft_cap: self.score_cap,
                mask: if layer.slides {
                    AttentionMask::SlidingWindow(self.window)
                } else {
                    AttentionMask::Causal
                },
                segmented,
            };
            let attention = Attention {
                heads: [query, key_value],
                angles: Some(angles),
                bias: None,
                mask: &mask,
                scoring,
                cached: Some(i),
            };
            let mixed = g.linear(&layer.o, g.attention([q, k, v], attention));
            x = g.add(x, g.rms_norm(&layer.attention_norm, mixed));
            let [gate, up] = g.normed_two(&layer.mlp_input_norm, x.clone(), [&layer.gate, &layer.up]);
            let inner = g.multiply(g.activation(self.activation, gate), up);
            let down = g.linear(&layer.down, inner);
            x = g.add(x, g.rms_norm(&layer.mlp_norm, down));
        }
        match g.enter(&mut x) {
            true => g.rms_norm(&self.norm, x),
            false => x,
        }
    }
}

/// Llama's names, except for the norms, of which a layer has twice as many.
const GGUF_2: GgufForm = GgufForm {
    architecture: "gemma2",
    lists: &[
        (
            "blk.",
            "model.layers",
            &[
                ("post_attention_norm", "post_attention_layernorm"),
                ("ffn_norm", "pre_feedforward_layernorm"),
                ("post_ffw_norm", "post_feedforward_layernorm"),
            ],
        ),
        ("blk.", "model.layers", llama::GGUF_LAYER),
    ],
    change: |name, _, _| match name.ends_with("norm.weight") {
        true => Change::MinusOne,
        false => Change::None,
    },
    config: |file| gguf_config(file, Variant::Gemma2),
    ..llama::GGUF
};

const GGUF_3: GgufForm = GgufForm {
    architecture: "gemma3",
    config: |file| gguf_config(file, Variant::Gemma3),
    ..GGUF_2
};

/// config.json of a GGUF file.
fn gguf_config(file: &GgufFile<'_>, variant: Variant) -> Result<Value> {
    let sizes = file.sizes()?;
    let (largest, default_theta) = match variant {
        Variant::Gemma2 => (46, 10_000.0),
        Variant::Gemma3 => (62, 1_000_000.0),
    };
    let head_dim = file.head_dim(&sizes);
    // GGUF has the scale of scores only for some models. Without it the scale is 1/√D, except in the largest model of each
    // generation, which llama.cpp recognizes by its number of layers.
    let scalar = match file.float("attention.scale")? {
        Some(found) if found <= 0.0 => {
            return Err(Error::model(common::NotAboveZero { got: found }).field(file.key("attention.scale")));
        }
        Some(scale) => 1.0 / (scale * scale),
        None if sizes.layers == largest => sizes.width as f64 / sizes.heads as f64,
        None => head_dim as f64,
    };
    let scaling = file.rope_scaling(head_dim)?;
    let mut config = json!({
        "tie_word_embeddings": !file.has("output.weight"),
        "num_key_value_heads": file.kv_heads(sizes.heads)?,
        "head_dim": head_dim,
        "query_pre_attn_scalar": scalar,
        "rms_norm_eps": file.epsilon("attention.layer_norm_rms_epsilon")?,
        "hidden_activation": "gelu_pytorch_tanh",
        "layer_types": gguf_layer_types(file, variant, sizes.layers)?,
        "hidden_size": sizes.width,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.inner,
        "max_position_embeddings": sizes.positions,
    });
    let mut set = |name: &str, value: Value| config[name] = value;
    // llama.cpp's defaults: Gemma 2 has caps 50 and 30 and a window; Gemma 3 has no caps, and windows only where the file has
    // their width.
    let cap = |key: &str, default: f64| -> Result<Value> {
        let found = file.float(key)?;
        Ok(match variant {
            Variant::Gemma2 => json!(found.unwrap_or(default)),
            Variant::Gemma3 => json!(found),
        })
    };
    set("attn_logit_softcapping", cap("attn_logit_softcapping", 50.0)?);
    set("final_logit_softcapping", cap("final_logit_softcapping", 30.0)?);
    if let Some(window) = gguf_window(file, variant) {
        set("sliding_window", json!(window));
    }
    let theta = file.float("rope.freq_base")?.unwrap_or(default_theta);
    set("rope_theta", json!(theta));
    match variant {
        Variant::Gemma2 => {}
        // Sliding layers have a theta of their own and no scaling.
        Variant::Gemma3 => {
            let sliding = file.float("rope.freq_base_swa")?.unwrap_or(10_000.0);
            set("rope_local_base_freq", json!(sliding));
        }
    }
    set("rope_scaling", scaling);
    Ok(config)
}

/// Tokens in the window of a sliding layer.
fn gguf_window(file: &GgufFile<'_>, variant: Variant) -> Option<u64> {
    let default = match variant {
        Variant::Gemma2 => Some(4096),
        Variant::Gemma3 => None,
    };
    let found = file.metadata.integer(&file.key("attention.sliding_window")).or(default);
    found.filter(|window| *window > 0)
}

/// Which layers have a window: by a list of booleans, or all but every n-th layer (n = 2 in Gemma 2, 6 in Gemma 3).
fn gguf_layer_types(file: &GgufFile<'_>, variant: Variant, count: u64) -> Result<Vec<&'static str>> {
    // Each layer has tensors, so a larger count is wrong; the list is not allocated.
    if count > file.tensors.len() as u64 {
        let (layers, tensors) = (count, file.tensors.len());
        return Err(Error::model(formats::MoreLayersThanTensors { layers, tensors }).field(file.key("block_count")));
    }
    let key = file.key("attention.sliding_window_pattern");
    let wrong = || Error::model(formats::WrongWindowPattern).field(key.clone());
    let has_window = gguf_window(file, variant).is_some();
    let every = match file.metadata.0.get(&key) {
        None => match variant {
            Variant::Gemma2 => 2,
            Variant::Gemma3 => 6,
        },
        Some(Metadatum::Integer(every)) => u64::try_from(*every).map_err(|_| wrong())?,
        Some(Metadatum::Integers(slides)) if slides.len() as u64 == count => {
            return Ok(slides
                .iter()
                .map(|slides| layer_type(has_window && *slides != 0))
                .collect());
        }
        Some(_) => return Err(wrong()),
    };
    let slides = |layer: u64| has_window && every > 0 && !layer.is_multiple_of(every);
    let types = (1..=count).map(|layer| layer_type(slides(layer)));
    Ok(types.collect())
}

fn layer_type(slides: bool) -> &'static str {
    if slides { "sliding_attention" } else { "full_attention" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{
        Storage,
        gguf::{Header, Metadata},
        safetensors::Placed,
    };
    use crate::models::registry::of_gguf;

    /// Gemma's config from its metadata; the keys lack the architecture.
    fn gemma(architecture: &str, layers: i64, more: &[(&str, Metadatum)]) -> Result<Value> {
        let mut metadata = Metadata::default();
        let mut set = |name: &str, value: Metadatum| metadata.0.insert(format!("{architecture}.{name}"), value);
        for (name, value) in [
            ("embedding_length", 64),
            ("block_count", layers),
            ("context_length", 128),
            ("attention.head_count", 4),
            ("attention.head_count_kv", 2),
            ("attention.key_length", 32),
            ("feed_forward_length", 96),
        ] {
            set(name, Metadatum::Integer(value));
        }
        set("attention.layer_norm_rms_epsilon", Metadatum::Float(1e-6));
        for (name, value) in more {
            set(name, value.clone());
        }
        let tensor = |name: String| Placed {
            name,
            shape: vec![8, 64],
            storage: Storage::F32,
            offset: 0,
            bytes: 0,
        };
        let layers = (0..layers).map(|layer| tensor(format!("blk.{layer}.attn_q.weight")));
        let tensors: Vec<Placed> = layers.chain([tensor("token_embd.weight".into())]).collect();
        let header = Header { metadata, tensors };
        GgufFile::new(&header, of_gguf(architecture)?, None).config()
    }

    #[test]
    fn scores_of_gemma_are_scaled_by_the_heads_width_but_in_the_largest_models() {
        let scalar = |architecture, layers, more: &[_]| {
            let config = gemma(architecture, layers, more).unwrap();
            config["query_pre_attn_scalar"].as_f64().unwrap()
        };
        assert_eq!(scalar("gemma2", 26, &[]), 32.0);
        assert_eq!(scalar("gemma2", 46, &[]), 16.0);
        assert_eq!(scalar("gemma3", 46, &[]), 32.0);
        assert_eq!(scalar("gemma3", 62, &[]), 16.0);
        assert_eq!(
            scalar("gemma3", 2, &[("attention.scale", Metadatum::Float(0.25))]),
            16.0
        );
    }

    #[test]
    fn windows_of_gemma_come_in_turn_or_by_a_list() {
        let full = |architecture, more: &[_]| {
            let config = gemma(architecture, 7, more).unwrap();
            let types = config["layer_types"].as_array().unwrap().clone();
            let full = types.iter().enumerate().filter(|(_, kind)| **kind == "full_attention");
            full.map(|(layer, _)| layer).collect::<Vec<usize>>()
        };
        let window = ("attention.sliding_window", Metadatum::Integer(16));
        let pattern = |value| [window.clone(), ("attention.sliding_window_pattern", value)];
        assert_eq!(full("gemma2", &[]), [1, 3, 5]);
        assert_eq!(full("gemma3", std::slice::from_ref(&window)), [5]);
        assert_eq!(full("gemma3", &[]), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(full("gemma3", &pattern(Metadatum::Integer(3))), [2, 5]);
        let list = Metadatum::Integers(vec![1, 0, 1, 1, 1, 1, 0]);
        assert_eq!(full("gemma3", &pattern(list)), [1, 6]);
        for wrong in [
            Metadatum::Integer(-1),
            Metadatum::Integers(vec![1]),
            Metadatum::Bool(true),
        ] {
            let error = gemma("gemma3", 7, &pattern(wrong)).unwrap_err().to_string();
            assert!(error.contains("gemma3.attention.sliding_window_pattern"), "{error}");
        }
    }

    #[test]
    fn more_layers_than_tensors_are_refused() {
        let hostile = [("block_count", Metadatum::Integer(1 << 40))];
        let error = gemma("gemma2", 2, &hostile).unwrap_err().to_string();
        assert!(error.contains("gemma2.block_count"), "{error}");
    }
}
