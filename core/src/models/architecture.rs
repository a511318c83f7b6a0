//! The architectures behind one face: their parts and their sizes.

use super::embedding::Embedding;
use super::graph::{Graph, TensorGraph, Tokens};
use super::{Linear, Matrix, bert, gemma, gpt2, llama, modernbert, small, t5};
use crate::data::Batch;
use burn::tensor::Tensor;

pub(super) enum Architecture {
    Llama(Box<llama::Llama>),
    Gpt2(Box<gpt2::Gpt2>),
    Bert(Box<bert::Bert>),
    ModernBert(Box<modernbert::ModernBert>),
    Gemma(Box<gemma::Gemma>),
    T5(Box<t5::T5>),
    Small(Box<small::Small>),
}

impl Architecture {
    /// The batch → what the head reads: hidden states \[B·T, C\], or \[B, C\] of models that judge whole rows themselves.
    pub(super) fn hidden<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        let input = || Tokens {
            ids: g.numbers(batch.rows * batch.tokens, || {
                batch.input_ids.iter().map(|&id| id as f32).collect()
            }),
            mask: g.mask([batch.rows, batch.tokens], || batch.attention_mask.clone()),
            batch: batch.rows,
            tokens: batch.tokens,
            start: 0,
        };
        match self {
            Self::Llama(model) => model.hidden(g, input()),
            Self::Gpt2(model) => model.hidden(g, input()),
            Self::Bert(model) => model.hidden(g, input(), batch),
            Self::ModernBert(model) => model.hidden(g, input()),
            Self::Gemma(model) => model.hidden(g, input()),
            Self::T5(model) => model.hidden(g, input(), batch),
            Self::Small(model) => model.hidden(g, batch),
        }
    }

    /// The hidden states of one row's next tokens, the last of which predicts the token after them; `None` where the
    /// model continues no texts.
    pub(super) fn next<'a>(&self, g: &TensorGraph<'a>, input: Tokens<TensorGraph<'a>>) -> Option<Tensor<2>> {
        match self {
            Self::Llama(model) => Some(model.hidden(g, input)),
            Self::Gpt2(model) => Some(model.hidden(g, input)),
            Self::Gemma(model) => Some(model.hidden(g, input)),
            Self::T5(model) => Some(model.next(g, input)),
            Self::Small(model) => Some(model.next(g, input)),
            Self::Bert(_) | Self::ModernBert(_) => None,
        }
    }

    pub(super) fn head(&self) -> &Matrix {
        match self {
            Self::Small(model) => model.head(),
            Self::Llama(model) => model.head(),
            Self::Gpt2(model) => model.head(),
            Self::Bert(model) => model.embedding(),
            Self::ModernBert(model) => model.embedding(),
            Self::Gemma(model) => model.head(),
            Self::T5(model) => model.head(),
        }
    }
    pub(super) fn linears(&self) -> Vec<&Linear> {
        match self {
            Self::Small(model) => model.linears(),
            Self::Llama(model) => model.linears(),
            Self::Gpt2(model) => model.linears(),
            Self::Bert(model) => model.linears(),
            Self::ModernBert(model) => model.linears(),
            Self::Gemma(model) => model.linears(),
            Self::T5(model) => model.linears(),
        }
    }
    pub(super) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        match self {
            Self::Small(model) => model.linears_mut(),
            Self::Llama(model) => model.linears_mut(),
            Self::Gpt2(model) => model.linears_mut(),
            Self::Bert(model) => model.linears_mut(),
            Self::ModernBert(model) => model.linears_mut(),
            Self::Gemma(model) => model.linears_mut(),
            Self::T5(model) => model.linears_mut(),
        }
    }
    pub(super) fn tables(&self) -> Vec<&Embedding> {
        match self {
            Self::Small(model) => model.tables(),
            Self::Llama(model) => model.tables(),
            Self::Gpt2(model) => model.tables(),
            Self::Bert(model) => model.tables(),
            Self::ModernBert(model) => model.tables(),
            Self::Gemma(model) => model.tables(),
            // Its stacks share one table, of which PEFT adapts one stack's copy: there is no telling which is meant.
            Self::T5(_) => Vec::new(),
        }
    }
    pub(super) fn tables_mut(&mut self) -> Vec<&mut Embedding> {
        match self {
            Self::Small(model) => model.tables_mut(),
            Self::Llama(model) => model.tables_mut(),
            Self::Gpt2(model) => model.tables_mut(),
            Self::Bert(model) => model.tables_mut(),
            Self::ModernBert(model) => model.tables_mut(),
            Self::Gemma(model) => model.tables_mut(),
            Self::T5(_) => Vec::new(),
        }
    }
    pub(super) fn layers(&self) -> usize {
        match self {
            Self::Small(model) => model.layers,
            Self::Llama(model) => model.layers.len(),
            Self::Gpt2(model) => model.layers.len(),
            Self::Bert(model) => model.layers.len(),
            Self::ModernBert(model) => model.layers.len(),
            Self::Gemma(model) => model.layers.len(),
            Self::T5(model) => model.layers(),
        }
    }
    /// Pairs of keys and values that a cache holds.
    pub(super) fn kept_pairs(&self) -> usize {
        match self {
            Self::T5(model) => model.kept_pairs(),
            other => other.layers(),
        }
    }
    /// c of c·tanh(logit / c); 0 for none.
    pub(super) fn logit_cap(&self) -> f32 {
        match self {
            Self::Gemma(model) => model.logit_cap,
            _ => 0.0,
        }
    }
    pub(super) fn vocab_size(&self) -> usize {
        match self {
            Self::Small(model) => model.vocab,
            Self::Llama(model) => model.vocab,
            Self::Gpt2(model) => model.vocab,
            Self::Bert(model) => model.vocab,
            Self::ModernBert(model) => model.vocab,
            Self::Gemma(model) => model.vocab,
            Self::T5(model) => model.vocab,
        }
    }
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Small(model) => model.width,
            Self::Llama(model) => model.width,
            Self::Gpt2(model) => model.width,
            Self::Bert(model) => model.width,
            Self::ModernBert(model) => model.width,
            Self::Gemma(model) => model.width,
            Self::T5(model) => model.width,
        }
    }
    pub(super) fn max_positions(&self) -> usize {
        match self {
            Self::Small(model) => model.max_positions,
            Self::Llama(model) => model.max_positions,
            Self::Gpt2(model) => model.max_positions,
            Self::Bert(model) => model.max_positions,
            Self::ModernBert(model) => model.max_positions,
            Self::Gemma(model) => model.max_positions,
            Self::T5(model) => model.max_positions,
        }
    }
}
