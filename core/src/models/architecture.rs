//! The architectures behind one face.

use super::embedding::Embedding;
use super::graph::{Graph, TensorGraph, Tokens};
use super::head::Head;
use super::load::Loader;
use super::{Linear, Matrix, bert, gemma, gpt2, llama, modernbert, small, t5};
use crate::architectures::{self, Family};
use crate::data::Batch;
use crate::error::Result;
use burn::tensor::Tensor;

/// What every architecture has: its layers between tokens (or numbers) and its head.
pub(super) trait Body: Sized {
    /// Reads the layers and the head of the task that config.json names; `model_type` is one of its family's.
    async fn load(loader: &mut Loader<'_>, model_type: &str) -> Result<(Self, Head)>;

    fn sizes(&self) -> Sizes;

    /// The batch → what the head reads: hidden states \[B·T, C\], or \[B, C\] of models that judge whole rows themselves.
    fn hidden<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows;

    /// The hidden states of one row's next tokens, the last of which predicts the token after them; `None` where the model
    /// continues no texts.
    fn next<'a>(&self, _g: &TensorGraph<'a>, _input: Tokens<TensorGraph<'a>>) -> Option<Tensor<2>> {
        None
    }

    /// The output matrix \[V, C\].
    fn lm_head(&self) -> &Matrix;

    fn linears(&self) -> Vec<&Linear>;
    fn linears_mut(&mut self) -> Vec<&mut Linear>;

    /// The embeddings that can carry an adapter.
    fn embeddings(&self) -> Vec<&Embedding> {
        Vec::new()
    }
    fn embeddings_mut(&mut self) -> Vec<&mut Embedding> {
        Vec::new()
    }

    /// Pairs of keys and values that a cache holds.
    fn cached_pairs(&self) -> usize {
        self.sizes().layers
    }

    /// Layers whose attention can be watched: those that a pass computes first; 0 without attention.
    fn attention_layers(&self) -> usize {
        self.sizes().layers
    }

    /// c of c·tanh(logit / c); 0 for none.
    fn logit_cap(&self) -> f32 {
        0.0
    }

    /// Tokens that a row can have; `usize::MAX` where positions are relative.
    fn max_tokens(&self) -> usize {
        self.sizes().max_positions
    }

    /// Rows of the table of token types; `None` without one.
    fn token_types(&self) -> Option<usize> {
        None
    }
}

/// The sizes of an architecture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) vocab: usize,
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) max_positions: usize,
}

/// Of a [`Body`] that is a stack of `layers`: its sizes, the linears of each layer by their fields, and the embeddings that can
/// carry an adapter.
macro_rules! stack {
    (linears: [$($linear:ident),*] $(, embeddings: [$($embedding:ident),*])?) => {
        fn sizes(&self) -> Sizes {
            Sizes {
                vocab: self.vocab,
                width: self.width,
                layers: self.layers.len(),
                max_positions: self.max_positions,
            }
        }

        fn linears(&self) -> Vec<&Linear> {
            self.layers.iter().flat_map(|layer| [$(&layer.$linear),*]).collect()
        }

        fn linears_mut(&mut self) -> Vec<&mut Linear> {
            self.layers.iter_mut().flat_map(|layer| [$(&mut layer.$linear),*]).collect()
        }

        $(
            fn embeddings(&self) -> Vec<&Embedding> {
                vec![$(&self.$embedding),*]
            }

            fn embeddings_mut(&mut self) -> Vec<&mut Embedding> {
                vec![$(&mut self.$embedding),*]
            }
        )?
    };
}
pub(super) use stack;

pub(super) enum Architecture {
    Llama(Box<llama::Llama>),
    Gpt2(Box<gpt2::Gpt2>),
    Bert(Box<bert::Bert>),
    ModernBert(Box<modernbert::ModernBert>),
    Gemma(Box<gemma::Gemma>),
    T5(Box<t5::T5>),
    Small(Box<small::Small>),
}

/// `$what` of the model that `$self` is.
macro_rules! of_each {
    ($self:ident, $model:ident => $what:expr) => {
        match $self {
            Self::Llama($model) => $what,
            Self::Gpt2($model) => $what,
            Self::Bert($model) => $what,
            Self::ModernBert($model) => $what,
            Self::Gemma($model) => $what,
            Self::T5($model) => $what,
            Self::Small($model) => $what,
        }
    };
}

impl Architecture {
    /// The layers and the head of a model of the architecture `row`.
    pub(super) async fn load(loader: &mut Loader<'_>, row: &architectures::Architecture) -> Result<(Self, Head)> {
        async fn load<B: Body>(
            loader: &mut Loader<'_>,
            model_type: &str,
            wrap: fn(Box<B>) -> Architecture,
        ) -> Result<(Architecture, Head)> {
            let (body, head) = B::load(loader, model_type).await?;
            Ok((wrap(Box::new(body)), head))
        }
        let kind = row.model_type;
        match row.family {
            Family::Llama => load(loader, kind, Self::Llama).await,
            Family::Gemma => load(loader, kind, Self::Gemma).await,
            Family::Gpt2 => load(loader, kind, Self::Gpt2).await,
            Family::Bert => load(loader, kind, Self::Bert).await,
            Family::ModernBert => load(loader, kind, Self::ModernBert).await,
            Family::T5 => load(loader, kind, Self::T5).await,
            Family::Small => load(loader, kind, Self::Small).await,
        }
    }

    pub(super) fn sizes(&self) -> Sizes {
        of_each!(self, model => model.sizes())
    }

    pub(super) fn hidden<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        of_each!(self, model => model.hidden(g, batch))
    }

    pub(super) fn next<'a>(&self, g: &TensorGraph<'a>, input: Tokens<TensorGraph<'a>>) -> Option<Tensor<2>> {
        of_each!(self, model => model.next(g, input))
    }

    pub(super) fn lm_head(&self) -> &Matrix {
        of_each!(self, model => model.lm_head())
    }

    pub(super) fn linears(&self) -> Vec<&Linear> {
        of_each!(self, model => model.linears())
    }

    pub(super) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        of_each!(self, model => model.linears_mut())
    }

    pub(super) fn embeddings(&self) -> Vec<&Embedding> {
        of_each!(self, model => model.embeddings())
    }

    pub(super) fn embeddings_mut(&mut self) -> Vec<&mut Embedding> {
        of_each!(self, model => model.embeddings_mut())
    }

    pub(super) fn cached_pairs(&self) -> usize {
        of_each!(self, model => model.cached_pairs())
    }

    pub(super) fn attention_layers(&self) -> usize {
        of_each!(self, model => model.attention_layers())
    }

    pub(super) fn logit_cap(&self) -> f32 {
        of_each!(self, model => model.logit_cap())
    }

    pub(super) fn max_tokens(&self) -> usize {
        of_each!(self, model => model.max_tokens())
    }

    pub(super) fn token_types(&self) -> Option<usize> {
        of_each!(self, model => model.token_types())
    }
}
