//! BERT and its variants: BERT (and MiniLM, which is one), RoBERTa (positions counted by tokens that are not padding),
//! DistilBERT.
//!
//! x ← norm(word + token type + position); layer: x ← norm(x + out(attention(q x, k x, v x))); x ← norm(x + down(act(up x))).
//! Every token sees every token that is not padding, or, with `is_decoder`, those up to itself. References: transformers'
//! modeling_bert.py, modeling_roberta.py, modeling_distilbert.py.

use super::{
    HeadKind, Linear,
    activation::Activation,
    body::{Body, Sizes, stack},
    embedding::Embedding,
    graph::{Attention, Graph, Tokens},
    head::{self, Classifier, ClassifierNames, Head, MaskedLm, MaskedLmNames, Pooling},
    keys::{Plain, Rule},
    load::Loader,
    matrix::Matrix,
    norm::LayerNorm,
    registry::{Architecture, ENCODER_TASKS, Kind, boxed},
};
use crate::{
    data::Batch,
    error::{Error, Result},
    formats::{Change, GgufFile, GgufForm},
    ops::{AttentionMask, AttentionScoring},
};
use lorakeet_i18n::messages::{formats, models as msg};
use serde_json::{Value, json};

pub(super) const BERT: Architecture = Architecture {
    model_type: "bert",
    name: "BERT",
    models: &["MiniLM"],
    class: "Bert",
    plain_class: "BertModel",
    kind: Kind::Encoder,
    tasks: ENCODER_TASKS,
    lora_targets: &["query", "value"],
    fan_in_fan_out: false,
    keys: &[&[
        (
            Rule::Computed,
            "hidden_size intermediate_size num_hidden_layers num_attention_heads hidden_act max_position_embeddings \
             type_vocab_size layer_norm_eps is_decoder",
        ),
        (
            Rule::Dropout,
            "hidden_dropout_prob attention_probs_dropout_prob classifier_dropout",
        ),
        (Rule::Only(Plain::Text("absolute")), "position_embedding_type"),
        // Of the first implementation's pooler.
        (
            Rule::Harmless,
            "directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head \
             pooler_type",
        ),
    ]],
    aliases: &[],
    defaults: &[
        ("hidden_size", 768),
        ("intermediate_size", 3072),
        ("max_position_embeddings", 512),
        ("num_attention_heads", 12),
        ("num_hidden_layers", 12),
        ("type_vocab_size", 2),
        ("vocab_size", 30522),
    ],
    gguf: Some(GGUF),
    build: |loader| boxed(Bert::load(loader, Variant::Bert)),
};

pub(super) const ROBERTA: Architecture = Architecture {
    model_type: "roberta",
    name: "RoBERTa",
    models: &[],
    class: "Roberta",
    plain_class: "RobertaModel",
    defaults: &[
        ("hidden_size", 768),
        ("intermediate_size", 3072),
        ("max_position_embeddings", 512),
        ("num_attention_heads", 12),
        ("num_hidden_layers", 12),
        ("type_vocab_size", 2),
        ("vocab_size", 50265),
    ],
    gguf: None,
    build: |loader| boxed(Bert::load(loader, Variant::Roberta)),
    ..BERT
};

pub(super) const XLM_ROBERTA: Architecture = Architecture {
    model_type: "xlm-roberta",
    name: "XLM-RoBERTa",
    class: "XLMRoberta",
    plain_class: "XLMRobertaModel",
    defaults: BERT.defaults,
    ..ROBERTA
};

pub(super) const DISTILBERT: Architecture = Architecture {
    model_type: "distilbert",
    name: "DistilBERT",
    models: &[],
    class: "DistilBert",
    plain_class: "DistilBertModel",
    lora_targets: &[],
    keys: &[&[
        (
            Rule::Computed,
            "dim hidden_dim n_heads n_layers activation max_position_embeddings",
        ),
        (Rule::Dropout, "dropout attention_dropout seq_classif_dropout"),
        (Rule::Harmless, "qa_dropout tie_weights_"),
        // Saved weights include the sinusoidal positions.
        (Rule::OnlyFresh(Plain::False), "sinusoidal_pos_embds"),
    ]],
    aliases: &[
        ("hidden_size", "dim"),
        ("num_attention_heads", "n_heads"),
        ("num_hidden_layers", "n_layers"),
    ],
    defaults: &[
        ("dim", 768),
        ("hidden_dim", 3072),
        ("max_position_embeddings", 512),
        ("n_heads", 12),
        ("n_layers", 6),
        ("vocab_size", 30522),
    ],
    gguf: None,
    build: |loader| boxed(Bert::load(loader, Variant::Distilbert)),
    ..BERT
};

pub(crate) struct Bert {
    layers: Vec<Layer>,
    vocab: usize,
    width: usize,
    max_positions: usize,
    variant: Variant,
    heads: usize,
    /// Full attention, or causal attention with `is_decoder`.
    attention_mask: AttentionMask,
    activation: Activation,
    eps: f32,
    words: Embedding,
    positions: Embedding,
    /// DistilBERT has none.
    token_types: Option<Embedding>,
    norm: LayerNorm,
    pad_token_id: u32,
}

struct Layer {
    q: Linear,
    k: Linear,
    v: Linear,
    attention_out: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    out_norm: LayerNorm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Bert,
    Roberta,
    Distilbert,
}

/// The names of an architecture's parts in files and in config.json.
struct Names {
    prefix: &'static str,
    layer: &'static str,
    q: &'static str,
    k: &'static str,
    v: &'static str,
    attention_out: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    out_norm: &'static str,
    width: &'static str,
    inner: &'static str,
    heads: &'static str,
    layers: &'static str,
    activation: &'static str,
}

impl Variant {
    fn names(self) -> Names {
        let bert = Names {
            prefix: "bert.",
            layer: "encoder.layer",
            q: "attention.self.query",
            k: "attention.self.key",
            v: "attention.self.value",
            attention_out: "attention.output.dense",
            attention_norm: "attention.output.LayerNorm",
            up: "intermediate.dense",
            down: "output.dense",
            out_norm: "output.LayerNorm",
            width: "hidden_size",
            inner: "intermediate_size",
            heads: "num_attention_heads",
            layers: "num_hidden_layers",
            activation: "hidden_act",
        };
        match self {
            Self::Bert => bert,
            Self::Roberta => Names {
                prefix: "roberta.",
                ..bert
            },
            Self::Distilbert => Names {
                prefix: "distilbert.",
                layer: "transformer.layer",
                q: "attention.q_lin",
                k: "attention.k_lin",
                v: "attention.v_lin",
                attention_out: "attention.out_lin",
                attention_norm: "sa_layer_norm",
                up: "ffn.lin1",
                down: "ffn.lin2",
                out_norm: "output_layer_norm",
                width: "dim",
                inner: "hidden_dim",
                heads: "n_heads",
                layers: "n_layers",
                activation: "activation",
            },
        }
    }
}

impl Bert {
    /// The encoder and the head of the loader's task.
    async fn load(loader: &mut Loader<'_>, variant: Variant) -> Result<(Self, Head)> {
        loader.set_task(head::task(loader, HeadKind::Features)?);
        let names = variant.names();
        let width = loader.size(names.width)?;
        let (inner, heads) = (loader.size(names.inner)?, loader.heads(names.heads, width)?);
        let (vocab, count) = (loader.size("vocab_size")?, loader.layers(names.layers)?);
        let places = loader.size("max_position_embeddings")?;
        if width % heads != 0 {
            let what = msg::HeadsDoNotDivide { heads, width };
            return Err(Error::model(what).file("config.json").field(names.heads));
        }
        let activation = Activation::named(&loader.text_or(names.activation, "gelu")?, names.activation)?;
        let eps = match variant {
            Variant::Distilbert => 1e-12,
            _ => loader.not_negative("layer_norm_eps", 1e-12)?,
        };
        // PEFT names modules by the model's attributes, which have the prefix wherever there is a head, and only there.
        let prefix = match loader.task() {
            HeadKind::Features => "",
            _ => names.prefix,
        };
        loader.find_prefix(prefix, "embeddings.word_embeddings.weight")?;
        let at = |part: &str| format!("{prefix}{part}");
        let words = Embedding::load(loader, at("embeddings.word_embeddings"), [vocab, width]).await?;
        let positions = Embedding::load(loader, at("embeddings.position_embeddings"), [places, width]).await?;
        let token_types = if variant == Variant::Distilbert {
            None
        } else {
            let rows = loader.size("type_vocab_size")?;
            Some(Embedding::load(loader, at("embeddings.token_type_embeddings"), [rows, width]).await?)
        };
        let norm = LayerNorm::load(loader, &at("embeddings.LayerNorm"), width, true, eps).await?;
        let mut layers = Vec::new();
        for i in 0..count {
            let at = |part: &str| format!("{prefix}{}.{i}.{part}", names.layer);
            layers.push(Layer {
                q: loader.linear(at(names.q), width, width, true, false).await?,
                k: loader.linear(at(names.k), width, width, true, false).await?,
                v: loader.linear(at(names.v), width, width, true, false).await?,
                attention_out: loader
                    .linear(at(names.attention_out), width, width, true, false)
                    .await?,
                attention_norm: LayerNorm::load(loader, &at(names.attention_norm), width, true, eps).await?,
                up: loader.linear(at(names.up), width, inner, true, false).await?,
                down: loader.linear(at(names.down), inner, width, true, false).await?,
                out_norm: LayerNorm::load(loader, &at(names.out_norm), width, true, eps).await?,
            });
        }
        let pad_token_id = loader.token_id("pad_token_id")?.unwrap_or(match variant {
            Variant::Roberta => 1,
            _ => 0,
        });
        // RoBERTa's first token has the position after padding's.
        let max_positions = match variant {
            Variant::Roberta => places.saturating_sub((pad_token_id as usize).saturating_add(1)),
            _ => places,
        };
        if max_positions == 0 {
            let what = msg::NoPositionLeft {
                id: pad_token_id,
                places,
            };
            return Err(Error::format(what).file("config.json").field("pad_token_id"));
        }
        let model = Self {
            layers,
            vocab,
            width,
            max_positions,
            variant,
            heads,
            attention_mask: match variant != Variant::Distilbert && loader.flag("is_decoder")? {
                true => AttentionMask::Causal,
                false => AttentionMask::Full,
            },
            activation,
            eps,
            words,
            positions,
            token_types,
            norm,
            pad_token_id,
        };
        let head = model.head(loader, prefix).await?;
        Ok((model, head))
    }
}

impl Body for Bert {
    stack!(heads: heads, linears: [q, k, v, attention_out, up, down]);

    fn token_types(&self) -> Option<usize> {
        self.token_types.as_ref().map(|table| table.matrix.rows)
    }

    /// The word embedding, which masked language models share \[V, C\].
    fn lm_head(&self) -> &Matrix {
        &self.words.matrix
    }

    fn embeddings(&self) -> Vec<&Embedding> {
        [&self.words, &self.positions]
            .into_iter()
            .chain(&self.token_types)
            .collect()
    }

    fn embeddings_mut(&mut self) -> Vec<&mut Embedding> {
        [&mut self.words, &mut self.positions]
            .into_iter()
            .chain(&mut self.token_types)
            .collect()
    }
}

impl Bert {
    /// The batch → the last layer's hidden states \[B·T, C\].
    fn forward<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        let input = Tokens::of(g, batch);
        let (count, mask) = (input.batch * input.tokens, input.mask);
        let mut x = g.begin(|| {
            let positions = g.numbers(count, || self.positions(batch));
            let mut x = g.add(g.embed(&self.words, input.ids), g.embed(&self.positions, positions));
            if let Some(table) = &self.token_types {
                let types = g.numbers(count, || match batch.token_type_ids.is_empty() {
                    true => vec![0.0; count],
                    false => batch.token_type_ids.iter().map(|&id| id as f32).collect(),
                });
                x = g.add(x, g.embed(table, types));
            }
            g.layer_norm(&self.norm, x)
        });
        let scoring = AttentionScoring::plain(self.width / self.heads, self.attention_mask);
        for layer in &self.layers {
            if !g.enter(&mut x) {
                continue;
            }
            let qkv = g.three_linears([&layer.q, &layer.k, &layer.v], x.clone());
            let mixed = g.attention(qkv, Attention::plain(self.heads, &mask, scoring));
            let sum = g.add_linear(x, &layer.attention_out, mixed);
            x = g.layer_norm(&layer.attention_norm, sum);
            let inner = g.activation(self.activation, g.linear(&layer.up, x.clone()));
            let sum = g.add_linear(x, &layer.down, inner);
            x = g.layer_norm(&layer.out_norm, sum);
        }
        // The head alone comes behind.
        g.enter(&mut x);
        x
    }

    async fn head(&self, loader: &mut Loader<'_>, prefix: &str) -> Result<Head> {
        let pooler = format!("{prefix}pooler.dense");
        let (dense, out) = match self.variant {
            Variant::Bert => ((pooler.as_str(), Activation::Tanh), "classifier"),
            Variant::Roberta => (("classifier.dense", Activation::Tanh), "classifier.out_proj"),
            Variant::Distilbert => (("pre_classifier", Activation::Relu), "classifier"),
        };
        match loader.task() {
            HeadKind::SequenceClassification => {
                let names = ClassifierNames {
                    dense: Some(dense),
                    dense_bias: true,
                    dense_norm: None,
                    out,
                    out_bias: true,
                };
                let head = Classifier::load(loader, names, self.width, Pooling::First).await?;
                Ok(Head::Classifier(Box::new(head)))
            }
            HeadKind::TokenClassification => {
                let names = ClassifierNames {
                    dense: None,
                    dense_bias: false,
                    dense_norm: None,
                    out: "classifier",
                    out_bias: true,
                };
                let head = Classifier::load(loader, names, self.width, Pooling::None).await?;
                Ok(Head::Classifier(Box::new(head)))
            }
            HeadKind::MaskedLm => {
                let embedding = &format!("{prefix}embeddings.word_embeddings.weight");
                let names = match self.variant {
                    Variant::Bert => MaskedLmNames {
                        dense: "cls.predictions.transform.dense",
                        dense_bias: true,
                        norm: "cls.predictions.transform.LayerNorm",
                        norm_bias: true,
                        matrix: "cls.predictions.decoder.weight",
                        embedding,
                        bias: Some("cls.predictions.bias"),
                    },
                    Variant::Roberta => MaskedLmNames {
                        dense: "lm_head.dense",
                        dense_bias: true,
                        norm: "lm_head.layer_norm",
                        norm_bias: true,
                        matrix: "lm_head.decoder.weight",
                        embedding,
                        bias: Some("lm_head.bias"),
                    },
                    Variant::Distilbert => MaskedLmNames {
                        dense: "vocab_transform",
                        dense_bias: true,
                        norm: "vocab_layer_norm",
                        norm_bias: true,
                        matrix: "vocab_projector.weight",
                        embedding,
                        bias: Some("vocab_projector.bias"),
                    },
                };
                // RoBERTa's head has the exact GELU whatever its layers have.
                let activation = match self.variant {
                    Variant::Roberta => Activation::Gelu,
                    _ => self.activation,
                };
                let shape = [self.vocab, self.width];
                let head = MaskedLm::load(loader, names, shape, (activation, self.eps)).await?;
                Ok(Head::MaskedLm(Box::new(head)))
            }
            _ => Ok(Head::None),
        }
    }

    /// Each token's position. RoBERTa counts the tokens that are not padding, from the padding's id + 1; padding has that id.
    fn positions(&self, batch: &Batch) -> Vec<f32> {
        let pad = self.pad_token_id;
        let place = |row: &[u32]| {
            let mut count = pad;
            let mut next = |&id: &u32| {
                if id == pad {
                    return pad as f32;
                }
                count += 1;
                count as f32
            };
            row.iter().map(&mut next).collect::<Vec<f32>>()
        };
        match self.variant {
            Variant::Roberta => batch.input_ids.chunks(batch.tokens).flat_map(place).collect(),
            _ => (0..batch.rows)
                .flat_map(|_| (0..batch.tokens).map(|t| t as f32))
                .collect(),
        }
    }
}

/// An encoder that was saved without a head has no prefix.
const GGUF: GgufForm = GgufForm {
    architecture: "bert",
    lists: &[(
        "blk.",
        "encoder.layer",
        &[
            ("attn_q", "attention.self.query"),
            ("attn_k", "attention.self.key"),
            ("attn_v", "attention.self.value"),
            ("attn_output", "attention.output.dense"),
            ("attn_output_norm", "attention.output.LayerNorm"),
            ("ffn_up", "intermediate.dense"),
            ("ffn_down", "output.dense"),
            ("layer_output_norm", "output.LayerNorm"),
        ],
    )],
    others: &[
        ("token_embd", "embeddings.word_embeddings"),
        ("position_embd", "embeddings.position_embeddings"),
        ("token_types", "embeddings.token_type_embeddings"),
        ("token_embd_norm", "embeddings.LayerNorm"),
    ],
    with_gate: None,
    // The classes mean nothing without the pooler, which the converter leaves out.
    is_left_out: |name| name.starts_with("cls."),
    change: |_, _, _| Change::None,
    config: gguf_config,
};

/// config.json of a GGUF file: an encoder's, as the converter leaves pooler and heads out.
fn gguf_config(file: &GgufFile<'_>) -> Result<Value> {
    let sizes = file.sizes()?;
    if file.metadata.bool(&file.key("attention.causal")) == Some(true) {
        let error = Error::model(formats::OnlyEncoders);
        return Err(error.field(file.key("attention.causal")));
    }
    // RoBERTa's positions are stored without the rows of padding, DistilBERT has no segments.
    if let Some(kind) = file
        .metadata
        .text("tokenizer.ggml.model")
        .filter(|kind| *kind != "bert")
    {
        let kind = format!("{kind:?}");
        let error = Error::model(formats::NotRoberta { kind }).field("tokenizer.ggml.model");
        return Err(error.remedy(formats::UseSafetensors));
    }
    if !file.has("token_types.weight") {
        let error = Error::model(formats::NotDistilBert).field("token_types.weight");
        return Err(error.remedy(formats::UseSafetensors));
    }
    Ok(json!({
        "layer_norm_eps": file.epsilon("attention.layer_norm_epsilon")?,
        "hidden_act": "gelu",
        "type_vocab_size": file.rows("token_types.weight")?,
        "max_position_embeddings": file.rows("position_embd.weight")?,
        "hidden_size": sizes.width,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.inner,
    }))
}
