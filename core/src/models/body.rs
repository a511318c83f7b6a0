//! The interface of all architectures: the layers between inputs and head.

use super::embedding::Embedding;
use super::graph::{TensorGraph, Tokens};
use super::memory::{DryRun, SymbolicTensor};
use super::{Limits, Linear, Matrix};
use crate::data::Batch;
use burn::tensor::Tensor;

/// The layers of a model. The forward pass is one function of the architecture, generic over [`super::graph::Graph`]; `hidden`
/// and `dry_run` call it with tensors and with sizes.
pub(super) trait Body: Send {
    fn sizes(&self) -> Sizes;

    /// The batch → the head's input: hidden states \[B·T, C\], or \[B, C\] of models that pool rows themselves.
    fn hidden(&self, g: &TensorGraph<'_>, batch: &Batch) -> Tensor<2>;

    /// [`Self::hidden`] on sizes, to count memory.
    fn dry_run(&self, g: &DryRun<'_>, batch: &Batch) -> SymbolicTensor<2>;

    /// The hidden states of one row's next tokens, the last of which predicts the token after them; `None` of models that
    /// generate no text.
    fn next<'a>(&self, _g: &TensorGraph<'a>, _input: Tokens<TensorGraph<'a>>) -> Option<Tensor<2>> {
        None
    }

    /// The output matrix \[V, C\].
    fn lm_head(&self) -> &Matrix;

    fn linears(&self) -> Vec<&Linear>;
    fn linears_mut(&mut self) -> Vec<&mut Linear>;

    /// The embeddings that can have an adapter.
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

    /// Places where a pass may be cut ([`super::graph::Graph::enter`]).
    fn cuts(&self) -> usize {
        0
    }

    /// Layers whose attention can be drawn: those that a pass computes first; 0 without attention.
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

    /// The limits of its inputs.
    fn limits(&self) -> Limits {
        Limits {
            tokens: self.max_tokens(),
            vocabulary: self.sizes().vocab,
            token_types: self.token_types(),
        }
    }

    /// Numbers of a row, or of a step of a row, where the inputs are numbers and not tokens.
    fn input_features(&self) -> Option<usize> {
        None
    }

    /// Whether a row may have so many numbers.
    fn takes(&self, _numbers: usize) -> bool {
        true
    }

    /// Whether the inputs are sequences of numbers, whose length the data decide.
    fn has_steps_of_numbers(&self) -> bool {
        false
    }

    /// Hidden layers of a perceptron; `None` of other models.
    fn hidden_layers(&self) -> Option<usize> {
        None
    }

    /// The activations of a perceptron's layer \[B, C\]; `None` of other models and beyond the last layer.
    fn units(&self, _g: &TensorGraph<'_>, _batch: &Batch, _layer: usize) -> Option<Tensor<2>> {
        None
    }

    /// The dropout of its layers in training; 0 of pretrained models.
    fn dropout(&self) -> f32 {
        0.0
    }
}

/// The sizes of an architecture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) vocab: usize,
    pub(super) width: usize,
    pub(super) layers: usize,
    /// Attention heads of a layer; 0 of small models, whose attention nobody asks for.
    pub(super) heads: usize,
    pub(super) max_positions: usize,
}

/// The two passes of a [`Body`] by its generic one, `forward`.
macro_rules! passes {
    () => {
        fn hidden(
            &self,
            g: &$crate::models::graph::TensorGraph<'_>,
            batch: &$crate::data::Batch,
        ) -> burn::tensor::Tensor<2> {
            self.forward(g, batch)
        }

        fn dry_run(
            &self,
            g: &$crate::models::memory::DryRun<'_>,
            batch: &$crate::data::Batch,
        ) -> $crate::models::memory::SymbolicTensor<2> {
            self.forward(g, batch)
        }
    };
}
pub(super) use passes;

/// Of a [`Body`] that is a stack of `layers`, with the field that counts the heads of a layer: its sizes, its passes, the
/// linears of each layer by their fields, and the embeddings that can carry an adapter.
macro_rules! stack {
    (heads: $($heads:ident).+, linears: [$($linear:ident),*] $(, embeddings: [$($embedding:ident),*])?) => {
        $crate::models::body::passes!();

        fn sizes(&self) -> Sizes {
            Sizes {
                vocab: self.vocab,
                width: self.width,
                layers: self.layers.len(),
                heads: self.$($heads).+,
                max_positions: self.max_positions,
            }
        }

        /// Before each layer and behind the last.
        fn cuts(&self) -> usize {
            self.layers.len() + 1
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
