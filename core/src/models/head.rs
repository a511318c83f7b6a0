//! The heads on the hidden states: none, a vocabulary, or a classifier of whole rows or of each token.
//!
//! The output matrix of a vocabulary belongs to the architecture, most of which tie it to the embedding. The dropout of
//! config.json (classifier_dropout) is not applied, like all dropout of the base; a run's own is ([`HeadSpec`]). References:
//! the `...For...` classes of transformers' modeling files.

pub use crate::head_spec::{HeadKind, Problem};

use super::{
    Linear, Weight,
    activation::Activation,
    graph::Graph,
    load::{Init, Loader},
    matrix::Matrix,
    norm::LayerNorm,
};
use crate::{
    config::HeadPooling,
    data::Batch,
    error::{Error, Result},
    formats::TextPooling,
    head_spec::{ACTIVATION, OwnHead, POOLING},
    loss::{
        classification::{bce, cross_entropy},
        regression::{Penalty, regression},
    },
};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::head as msg;

/// The first of the head's places in [`Graph::dropout`]: adapters have the numbers from 0, the layers of small models those
/// from 2³².
const FIRST_PLACE: u64 = 1 << 33;

/// The output matrix of a decoder, where it is not tied to the embedding `table`; `usual` is the class's default of
/// tie_word_embeddings. A classifier has none.
pub(super) async fn decoder_output(
    loader: &mut Loader<'_>,
    table: &str,
    shape: [usize; 2],
    usual: bool,
) -> Result<Option<Matrix>> {
    let tied = loader.flag_or("tie_word_embeddings", usual)?;
    match loader.task() {
        HeadKind::CausalLm => loader.output("lm_head.weight", table, shape, tied).await,
        _ => Ok(None),
    }
}

/// The head of a decoder: its output matrix, or classes read from the last token (`score`, without bias) or from each
/// (`of_tokens`).
pub(super) async fn decoder_head(loader: &mut Loader<'_>, width: usize, of_tokens: &str) -> Result<Head> {
    match loader.task() {
        HeadKind::SequenceClassification => linear_head(loader, width, (Pooling::Last, "score", false)).await,
        HeadKind::TokenClassification => linear_head(loader, width, (Pooling::None, of_tokens, true)).await,
        _ => Ok(Head::Vocabulary),
    }
}

/// The head of a small model: classes or numbers of a row or of each step, or none but the output matrix.
pub(super) async fn small_head(loader: &mut Loader<'_>, width: usize) -> Result<Head> {
    match loader.task() {
        HeadKind::SequenceClassification => linear_head(loader, width, (Pooling::Done, "classifier", true)).await,
        HeadKind::TokenClassification => linear_head(loader, width, (Pooling::None, "classifier", true)).await,
        _ => Ok(Head::Vocabulary),
    }
}

/// A classifier of one linear, with its name and whether it has a bias.
async fn linear_head(
    loader: &mut Loader<'_>,
    width: usize,
    (pooling, out, out_bias): (Pooling, &str, bool),
) -> Result<Head> {
    let names = ClassifierNames {
        dense: None,
        dense_bias: false,
        dense_norm: None,
        out,
        out_bias,
    };
    let head = Classifier::load(loader, names, width, pooling).await?;
    Ok(Head::Classifier(Box::new(head)))
}

/// The head on the hidden states.
pub(crate) enum Head {
    /// The architecture's output matrix.
    Vocabulary,
    MaskedLm(Box<MaskedLm>),
    Classifier(Box<Classifier>),
    None,
}

/// A linear with an activation and optionally a norm.
pub(crate) struct Dense {
    pub(crate) linear: Linear,
    pub(crate) activation: Activation,
    pub(crate) norm: Option<LayerNorm>,
}

/// The head of masked language models: dense, then the output matrix with a bias of its own.
pub(crate) struct MaskedLm {
    pub(crate) dense: Dense,
    /// `None` where it is tied to the embedding.
    pub(crate) weight: Option<Matrix>,
    pub(crate) bias: Weight,
}

/// The pooling of a row's hidden states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Its first token.
    First,
    /// Its right-most token that is not padding.
    Last,
    /// The mean of its tokens.
    Mean,
    /// None: each token has a class.
    None,
    /// By the architecture, which gives one state a row.
    Done,
}

/// The head of classifiers: pooling, then the dense layer where there is one, then the run's hidden layer, then the classes.
pub(crate) struct Classifier {
    pub(crate) pooling: Pooling,
    pub(crate) dense: Option<Dense>,
    /// The hidden layer that a run added.
    pub(crate) hidden: Option<Hidden>,
    /// Share of the inputs of `hidden` and `out` that is dropped while training.
    pub(crate) dropout: f32,
    pub(crate) out: Linear,
    pub(crate) problem: Problem,
    /// The padding token, which right-most tokens are found by, where the model has one.
    pub(crate) pad_token_id: Option<u32>,
    /// Whether the dense layer is fresh, so that it is saved with the adapter.
    pub(crate) fresh_dense: bool,
    /// Whether a run chose the mean of tokens in place of the architecture's pooling.
    is_mean_of_run: bool,
}

/// A linear with an activation, if there is one.
pub(crate) struct Hidden {
    pub(crate) linear: Linear,
    pub(crate) activation: Option<Activation>,
}

/// Names of a classifier's tensors in files.
pub(crate) struct ClassifierNames<'a> {
    /// Linear and activation of the dense part.
    pub(crate) dense: Option<(&'a str, Activation)>,
    pub(crate) dense_bias: bool,
    /// Norm behind it, whether it has a bias, and its epsilon.
    pub(crate) dense_norm: Option<(&'a str, bool, f32)>,
    pub(crate) out: &'a str,
    pub(crate) out_bias: bool,
}

impl Classifier {
    /// Reads the head, or initializes it where the files are without one, as those of another task.
    pub(crate) async fn load(
        loader: &mut Loader<'_>,
        names: ClassifierNames<'_>,
        width: usize,
        pooling: Pooling,
    ) -> Result<Self> {
        loader.init_missing();
        let layers = loader.head_layers()?;
        let activation = match layers.activation.as_deref() {
            None | Some("none") => None,
            Some(name) => Some(Activation::named(name, ACTIVATION)?),
        };
        let (names, pooling) = match (layers.pooling == Some(HeadPooling::Mean), pooling) {
            (false, _) => (names, pooling),
            // The dense layer was trained on this pooling.
            (true, Pooling::First | Pooling::Last | Pooling::Mean) => {
                (ClassifierNames { dense: None, ..names }, Pooling::Mean)
            }
            (true, Pooling::None | Pooling::Done) => {
                return Err(Error::model(msg::MustBeCls).field(POOLING));
            }
        };
        let fresh_dense = names.dense.is_some_and(|(path, _)| loader.lacks(path));
        let dense = match names.dense {
            None => None,
            Some((path, activation)) => Some(Dense {
                linear: loader
                    .linear(path.to_owned(), width, width, names.dense_bias, false)
                    .await?,
                activation,
                norm: match names.dense_norm {
                    None => None,
                    Some((path, bias, eps)) => Some(LayerNorm::load(loader, path, width, bias, eps).await?),
                },
            }),
        };
        let labels = loader.labels()?;
        // PEFT saves a head whole by its first name, so that both layers go with it.
        let head = names.out.split('.').next().unwrap_or(names.out);
        let (hidden, inputs, out) = match layers.hidden_size {
            0 => (None, width, names.out.to_owned()),
            size => {
                let linear = loader
                    .linear(format!("{head}.hidden"), width, size, true, false)
                    .await?;
                (Some(Hidden { linear, activation }), size, format!("{head}.out"))
            }
        };
        let out = loader.linear(out, inputs, labels, names.out_bias, false).await?;
        Ok(Self {
            pooling,
            dense,
            hidden,
            dropout: layers.dropout as f32,
            out,
            problem: problem(loader, labels)?,
            pad_token_id: loader.token_id("pad_token_id")?,
            fresh_dense,
            is_mean_of_run: layers.pooling == Some(HeadPooling::Mean),
        })
    }

    /// Logits \[B, L\], or \[B·T, L\] where each token has a class, of hidden states \[B·T, C\].
    pub(crate) fn logits<G: Graph>(&self, g: &G, hidden: G::Rows, batch: &Batch) -> G::Rows {
        let x = self.inputs(g, hidden, batch);
        g.linear(&self.out, x)
    }

    /// What the last linear reads.
    pub(super) fn inputs<G: Graph>(&self, g: &G, hidden: G::Rows, batch: &Batch) -> G::Rows {
        let x = self.pool(g, hidden, batch);
        let x = match &self.dense {
            None => x,
            Some(dense) => dense.forward(g, x),
        };
        let mut x = g.dropout(x, self.dropout, FIRST_PLACE);
        if let Some(Hidden { linear, activation }) = &self.hidden {
            x = g.linear(linear, x);
            if let Some(activation) = activation {
                x = g.activation(*activation, x);
            }
            x = g.dropout(x, self.dropout, FIRST_PLACE + 1);
        }
        x
    }

    fn pool<G: Graph>(&self, g: &G, hidden: G::Rows, batch: &Batch) -> G::Rows {
        let rows = batch.rows;
        let place = |row: usize| match self.pooling {
            Pooling::Last => row * batch.tokens + self.last(batch, row),
            _ => row * batch.tokens,
        };
        match self.pooling {
            Pooling::None | Pooling::Done => hidden,
            Pooling::Mean => mean_of_tokens(g, hidden, batch),
            Pooling::First | Pooling::Last => {
                g.select(hidden, rows, || (0..rows).map(|row| place(row) as i32).collect())
            }
        }
    }

    /// The right-most token that is not padding, as transformers finds it: by its id, else by the mask.
    fn last(&self, batch: &Batch, row: usize) -> usize {
        let start = row * batch.tokens;
        let is_text = |place: &usize| match self.pad_token_id {
            Some(pad) => batch.input_ids[start + place] != pad,
            None => batch.attention_mask[start + place] != 0.0,
        };
        (0..batch.tokens).rev().find(is_text).unwrap_or(0)
    }

    /// `scale` · Σ of the losses of the batch's targets, given [`Classifier::logits`] → \[1\]: those of transformers' heads,
    /// [`cross_entropy`], [`bce`] or the squared error.
    ///
    /// # Errors
    /// Labels that do not fit the logits.
    pub(crate) fn loss(&self, logits: Tensor<2>, batch: &Batch, scale: f32) -> Result<Tensor<1>> {
        let (labels, scale) = (batch.row_labels.as_slice(), f64::from(scale));
        match (self.problem, self.pooling) {
            (Problem::SingleLabel, Pooling::None) => cross_entropy(logits, &batch.labels, &[], 0.0, scale),
            (Problem::SingleLabel, _) => {
                let classes: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
                cross_entropy(logits, &classes, &[], 0.0, scale)
            }
            (Problem::MultiLabel, _) => bce(logits, labels, &[], scale),
            (Problem::Regression, _) => regression(logits.flatten(0, 1), labels, Penalty::Square, scale),
        }
    }
}

impl Classifier {
    /// It as Python builds it, where transformers' class of the architecture has another; `activation` is the hidden layer's by
    /// its name.
    fn own(&self, activation: Option<String>) -> Option<OwnHead> {
        let path = self.out.path.as_str();
        let (module, out) = path.split_once('.').unwrap_or((path, ""));
        let is_in_module = |dense: &Dense| dense.linear.path.starts_with(&format!("{module}."));
        let has_own_layers = self.hidden.is_some() || self.dropout > 0.0;
        (has_own_layers || self.is_mean_of_run).then(|| OwnHead {
            module: module.to_owned(),
            is_mean: self.is_mean_of_run,
            has_dense: self.dense.as_ref().is_some_and(is_in_module),
            hidden_size: self.hidden.as_ref().map_or(0, |hidden| hidden.linear.outputs),
            activation: activation.filter(|name| self.hidden.is_some() && name != "none"),
            dropout: f64::from(self.dropout),
            out: out.to_owned(),
            out_bias: self.out.bias.is_some(),
        })
    }
}

/// The mean of each row's hidden states, padding left out: \[B·T, C\] → \[B, C\].
pub(crate) fn mean_of_tokens<G: Graph>(g: &G, hidden: G::Rows, batch: &Batch) -> G::Rows {
    let of_row = |row: &[f32]| {
        let count = row.iter().sum::<f32>().max(1.0);
        row.iter().map(|mask| mask / count).collect::<Vec<f32>>()
    };
    let weights = g.numbers(batch.rows * batch.tokens, || {
        let rows = batch.attention_mask.chunks(batch.tokens.max(1));
        rows.flat_map(of_row).collect()
    });
    g.weighted_sum(hidden, batch.rows, weights)
}

/// A vector for each row: the mean of its hidden states, or that of its first or last token: \[B·T, C\] → \[B, C\].
pub(crate) fn vectors_of_texts<G: Graph>(g: &G, hidden: G::Rows, batch: &Batch, pooling: TextPooling) -> G::Rows {
    let is_last = match pooling {
        TextPooling::Mean => return mean_of_tokens(g, hidden, batch),
        TextPooling::Cls => false,
        TextPooling::Last => true,
    };
    let place = |row: usize| {
        let start = row * batch.tokens;
        let is_text = |place: &usize| batch.attention_mask[*place] != 0.0;
        let mut places = start..start + batch.tokens;
        let found = match is_last {
            true => places.rfind(is_text),
            false => places.find(is_text),
        };
        found.unwrap_or(start) as i32
    };
    g.select(hidden, batch.rows, || (0..batch.rows).map(place).collect())
}

impl Dense {
    pub(crate) fn forward<G: Graph>(&self, g: &G, x: G::Rows) -> G::Rows {
        let x = g.activation(self.activation, g.linear(&self.linear, x));
        match &self.norm {
            None => x,
            Some(norm) => g.layer_norm(norm, x),
        }
    }
}

/// Names of a masked language model's head in files.
pub(crate) struct MaskedLmNames<'a> {
    pub(crate) dense: &'a str,
    pub(crate) dense_bias: bool,
    pub(crate) norm: &'a str,
    pub(crate) norm_bias: bool,
    pub(crate) matrix: &'a str,
    /// The embedding that it may share.
    pub(crate) embedding: &'a str,
    pub(crate) bias: Option<&'a str>,
}

impl MaskedLm {
    /// Reads the head, or initializes it where the files are without one. `shape` is \[V, C\].
    pub(crate) async fn load(
        loader: &mut Loader<'_>,
        names: MaskedLmNames<'_>,
        shape: [usize; 2],
        (activation, eps): (Activation, f32),
    ) -> Result<Self> {
        loader.init_missing();
        let [vocab, width] = shape;
        let tied = loader.flag_or("tie_word_embeddings", true)?;
        Ok(Self {
            dense: Dense {
                linear: loader
                    .linear(names.dense.to_owned(), width, width, names.dense_bias, false)
                    .await?,
                activation,
                norm: Some(LayerNorm::load(loader, names.norm, width, names.norm_bias, eps).await?),
            },
            weight: loader.output(names.matrix, names.embedding, shape, tied).await?,
            bias: match names.bias {
                Some(name) => loader.weight(name, &[vocab], Init::Zeros).await?,
                None => Weight::Frozen(Box::new(Tensor::zeros([vocab], loader.device()))),
            },
        })
    }
}

impl Head {
    /// [`Classifier::own`].
    pub(super) fn own(&self, activation: Option<String>) -> Option<OwnHead> {
        match self {
            Self::Classifier(head) => head.own(activation),
            _ => None,
        }
    }

    pub(crate) fn linears(&self) -> Vec<&Linear> {
        match self {
            Self::Vocabulary | Self::None => Vec::new(),
            Self::MaskedLm(head) => vec![&head.dense.linear],
            Self::Classifier(head) => {
                let dense = head.dense.iter().map(|dense| &dense.linear);
                let hidden = head.hidden.iter().map(|hidden| &hidden.linear);
                dense.chain(hidden).chain([&head.out]).collect()
            }
        }
    }

    pub(crate) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        match self {
            Self::Vocabulary | Self::None => Vec::new(),
            Self::MaskedLm(head) => vec![&mut head.dense.linear],
            Self::Classifier(head) => {
                let Classifier { dense, hidden, out, .. } = head.as_mut();
                let dense = dense.iter_mut().map(|dense| &mut dense.linear);
                let hidden = hidden.iter_mut().map(|hidden| &mut hidden.linear);
                dense.chain(hidden).chain([out]).collect()
            }
        }
    }
}

/// transformers' rule: without a `problem_type`, one label is a number and several are classes.
fn problem(loader: &Loader, labels: usize) -> Result<Problem> {
    match loader.optional_text("problem_type")?.as_deref() {
        None if labels == 1 => Ok(Problem::Regression),
        None | Some("single_label_classification") => Ok(Problem::SingleLabel),
        Some("regression") => Ok(Problem::Regression),
        Some("multi_label_classification") => Ok(Problem::MultiLabel),
        Some(other) => {
            let name = format!("{other:?}");
            Err(Error::model(msg::UnknownProblem { name })
                .file("config.json")
                .field("problem_type"))
        }
    }
}

/// What the run's head, or else config.json's `architectures`, is for; decoders predict the next token where it names none.
pub(crate) fn task(loader: &Loader, otherwise: HeadKind) -> Result<HeadKind> {
    if let Some(head) = loader.new_head() {
        return Ok(head.kind);
    }
    let named = loader.architecture()?.unwrap_or_default();
    let is = |ending: &str| named.ends_with(ending);
    Ok(if is("ForSequenceClassification") {
        HeadKind::SequenceClassification
    } else if is("ForTokenClassification") {
        HeadKind::TokenClassification
    } else if is("ForMaskedLM") || is("ForPreTraining") {
        HeadKind::MaskedLm
    } else {
        otherwise
    })
}

/// The modules that hold the classes of all heads.
pub(crate) const HEADS: [&str; 2] = ["classifier", "score"];
