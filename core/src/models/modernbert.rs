//! ModernBERT: RoPE with two thetas, local and global attention in turn, a gated GELU, norms in front.
//!
//! x ← norm(embedding); layer: x ← x + Wo(attention(rope(Wqkv(n₁x)))); x ← x + Wo(gelu(a) · b), (a, b) = Wi(n₂x); the first
//! layer has no n₁. Local layers see the tokens at most local_attention/2 away. Reference: transformers'
//! modeling_modernbert.py.

use super::{
    HeadKind, Linear,
    activation::Activation,
    body::{Body, Sizes, stack},
    embedding::Embedding,
    graph::{Attention, Graph, Tokens},
    head::{self, Classifier, ClassifierNames, Head, MaskedLm, MaskedLmNames, Pooling},
    keys::Rule,
    load::{Loader, MOST_HEAD_WIDTH},
    matrix::Matrix,
    norm::LayerNorm,
    registry::{Architecture, ENCODER_TASKS, Kind, boxed},
    rope::Rope,
};
use crate::{
    data::Batch,
    error::{Error, Result},
    ops::{AttentionMask, AttentionScoring},
};
use lorakeet_i18n::messages::models as msg;

pub(super) const MODERNBERT: Architecture = Architecture {
    model_type: "modernbert",
    name: "ModernBERT",
    models: &[],
    class: "ModernBert",
    plain_class: "ModernBertModel",
    kind: Kind::Encoder,
    tasks: ENCODER_TASKS,
    lora_targets: &[],
    fan_in_fan_out: false,
    keys: &[&[
        (
            Rule::Computed,
            "hidden_size intermediate_size num_hidden_layers num_attention_heads hidden_activation \
             max_position_embeddings norm_eps norm_bias attention_bias mlp_bias decoder_bias layer_types \
             global_attn_every_n_layers local_attention rope_parameters rope_scaling global_rope_theta \
             local_rope_theta classifier_pooling classifier_bias classifier_activation",
        ),
        (
            Rule::Dropout,
            "attention_dropout embedding_dropout mlp_dropout classifier_dropout",
        ),
        (Rule::Harmless, "initializer_cutoff_factor deterministic_flash_attn"),
        // Logits of the labelled tokens only, which are all that a loss is made of.
        (
            Rule::Harmless,
            "sparse_prediction sparse_pred_ignore_index reference_compile repad_logits_with_grad",
        ),
        // The older forms of the settings above, which BERT had.
        (Rule::Harmless, "position_embedding_type layer_norm_eps"),
    ]],
    aliases: &[("rope_theta", "global_rope_theta")],
    defaults: &[
        ("hidden_size", 768),
        ("intermediate_size", 1152),
        ("max_position_embeddings", 8192),
        ("num_attention_heads", 12),
        ("num_hidden_layers", 22),
        ("vocab_size", 50368),
    ],
    gguf: None,
    build: |loader| boxed(ModernBert::load(loader)),
};

pub(crate) struct ModernBert {
    layers: Vec<Layer>,
    vocab: usize,
    width: usize,
    max_positions: usize,
    heads: usize,
    inner: usize,
    activation: Activation,
    eps: f32,
    /// Tokens to either side in the window of a local layer.
    reach: usize,
    embedding: Embedding,
    embedding_norm: LayerNorm,
    global_rope: Rope,
    local_rope: Rope,
    final_norm: LayerNorm,
}

struct Layer {
    is_local: bool,
    attention_norm: Option<LayerNorm>,
    qkv: Linear,
    attention_out: Linear,
    mlp_norm: LayerNorm,
    up: Linear,
    down: Linear,
}

impl ModernBert {
    /// The encoder and the head of the loader's task.
    async fn load(loader: &mut Loader<'_>) -> Result<(Self, Head)> {
        loader.set_task(head::task(loader, HeadKind::Features)?);
        let (width, inner) = (loader.size("hidden_size")?, loader.size("intermediate_size")?);
        let (vocab, heads) = (loader.size("vocab_size")?, loader.heads("num_attention_heads", width)?);
        let count = loader.layers("num_hidden_layers")?;
        let fused = loader.product("hidden_size", &[3, width])?;
        let both = loader.product("intermediate_size", &[2, inner])?;
        let max_positions = loader.number("max_position_embeddings")?;
        if width % heads != 0 || width / heads % 2 != 0 {
            let what = msg::HeadsDoNotDivideEvenly { heads, width };
            return Err(Error::model(what).file("config.json").field("num_attention_heads"));
        }
        let activation = Activation::named(&loader.text_or("hidden_activation", "gelu")?, "hidden_activation")?;
        let every = loader.optional_number("global_attn_every_n_layers")?.unwrap_or(3);
        let local = loader.sliding_layers(count)?;
        let local = local.unwrap_or_else(|| (0..count).map(|i| i % every != 0).collect());
        let dim = width / heads;
        if dim > MOST_HEAD_WIDTH {
            let what = msg::HeadsTooWide {
                width: dim,
                most: MOST_HEAD_WIDTH,
            };
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
            HeadKind::Features => "",
            _ => "model.",
        };
        loader.find_prefix(prefix, "embeddings.tok_embeddings.weight")?;
        let at = |part: &str| format!("{prefix}{part}");
        let embedding = Embedding::load(loader, at("embeddings.tok_embeddings"), [vocab, width]).await?;
        let eps = loader.not_negative("norm_eps", 1e-5)?;
        let embedding_norm = LayerNorm::load(loader, &at("embeddings.norm"), width, norm_bias, eps).await?;
        let mut layers = Vec::new();
        for (i, is_local) in local.into_iter().enumerate() {
            let at = |part: &str| format!("{prefix}layers.{i}.{part}");
            layers.push(Layer {
                is_local,
                attention_norm: match i {
                    0 => None,
                    _ => Some(LayerNorm::load(loader, &at("attn_norm"), width, norm_bias, eps).await?),
                },
                qkv: loader.linear(at("attn.Wqkv"), width, fused, bias, false).await?,
                attention_out: loader.linear(at("attn.Wo"), width, width, bias, false).await?,
                mlp_norm: LayerNorm::load(loader, &at("mlp_norm"), width, norm_bias, eps).await?,
                up: loader.linear(at("mlp.Wi"), width, both, mlp_bias, false).await?,
                down: loader.linear(at("mlp.Wo"), inner, width, mlp_bias, false).await?,
            });
        }
        let final_norm = LayerNorm::load(loader, &at("final_norm"), width, norm_bias, eps).await?;
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
}

impl Body for ModernBert {
    stack!(heads: heads, linears: [qkv, attention_out, up, down], embeddings: [embedding]);

    /// The word embedding, which masked language models share \[V, C\].
    fn lm_head(&self) -> &Matrix {
        &self.embedding.matrix
    }
}

impl ModernBert {
    /// The batch → the last layer's normed hidden states \[B·T, C\].
    fn forward<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        let input = Tokens::of(g, batch);
        let (width, heads, mask) = (self.width, self.heads, input.mask);
        let global = g.angles(&self.global_rope, 0, input.tokens);
        let local = g.angles(&self.local_rope, 0, input.tokens);
        let mut x = g.begin(|| g.layer_norm(&self.embedding_norm, g.embed(&self.embedding, input.ids)));
        for layer in &self.layers {
            if !g.enter(&mut x) {
                continue;
            }
            let normed = match &layer.attention_norm {
                None => x.clone(),
                Some(norm) => g.layer_norm(norm, x.clone()),
            };
            let qkv = g.linear(&layer.qkv, normed);
            // [B·T, 3·C] → three of [B·T, C]
            let part = |j: usize| g.columns(&qkv, j * width..(j + 1) * width);
            let (angles, attention_mask) = if layer.is_local {
                (&local, AttentionMask::LocalWindow(self.reach))
            } else {
                (&global, AttentionMask::Full)
            };
            let scoring = AttentionScoring::plain(width / heads, attention_mask);
            let attention = Attention {
                angles: Some(angles),
                ..Attention::plain(heads, &mask, scoring)
            };
            let mixed = g.attention([part(0), part(1), part(2)], attention);
            x = g.add_linear(x, &layer.attention_out, mixed);
            let normed = g.layer_norm(&layer.mlp_norm, x.clone());
            let both = g.linear(&layer.up, normed);
            let gate = g.activation(self.activation, g.columns(&both, 0..self.inner));
            let inner = g.multiply(gate, g.columns(&both, self.inner..2 * self.inner));
            x = g.add_linear(x, &layer.down, inner);
        }
        match g.enter(&mut x) {
            true => g.layer_norm(&self.final_norm, x),
            false => x,
        }
    }

    async fn head(&self, loader: &mut Loader<'_>) -> Result<Head> {
        let activation = loader.text_or("classifier_activation", "gelu")?;
        let activation = Activation::named(&activation, "classifier_activation")?;
        let form = (activation, self.eps);
        match loader.task() {
            task @ (HeadKind::SequenceClassification | HeadKind::TokenClassification) => {
                let pooling = match (task, loader.text_or("classifier_pooling", "cls")?.as_str()) {
                    (HeadKind::TokenClassification, _) => Pooling::None,
                    (_, "cls") => Pooling::First,
                    (_, "mean") => Pooling::Mean,
                    (_, other) => {
                        let got = format!("{other:?}");
                        let error = Error::format(msg::NotClsOrMean { got }).file("config.json");
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
            HeadKind::MaskedLm => {
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
}
