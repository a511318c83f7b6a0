//! The architectures behind one face: their parts and their sizes.

use super::table::Table;
use super::{Linear, Matrix, bert, gemma, gpt2, llama, modernbert, small, t5};
use crate::models::memory::{Flow, Walk};

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
    /// The memory of a pass through the layers; `None` where it is not known.
    pub(super) fn walk(&self, walk: &mut Walk) -> Option<Flow> {
        match self {
            Self::Llama(model) => Some(model.walk(walk)),
            Self::Gpt2(model) => Some(model.walk(walk)),
            Self::Bert(model) => Some(model.walk(walk)),
            Self::Gemma(model) => Some(model.walk(walk)),
            Self::ModernBert(model) => Some(model.walk(walk)),
            // The length of T5's answers is the data's; small models are so in any case.
            Self::T5(_) | Self::Small(_) => None,
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
    pub(super) fn tables(&self) -> Vec<&Table> {
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
    pub(super) fn tables_mut(&mut self) -> Vec<&mut Table> {
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
