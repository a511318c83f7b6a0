//! The key-value cache of generation.

use crate::ops;
use burn::tensor::Tensor;

/// Keys and values of the tokens seen so far, a pair \[T, K·D\] for each layer; of an encoder-decoder, those of the
/// decoder's self-attention, then those of its cross-attention.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    pub(super) layers: Vec<Option<(Tensor<2>, Tensor<2>)>>,
    pub(super) tokens: usize,
    pub(super) max_tokens: usize,
}

impl KvCache {
    /// Tokens in the cache.
    pub fn len(&self) -> usize {
        self.tokens
    }
    /// Whether no token was seen.
    pub fn is_empty(&self) -> bool {
        self.tokens == 0
    }
    /// Tokens that the model has positions for.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Appends a layer's new keys and values and gives all of them.
    pub(crate) fn extend(&mut self, layer: usize, k: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let slot = &mut self.layers[layer];
        let [k, v] = match slot.take() {
            None => [k, v],
            Some((kept_k, kept_v)) => ops::append([kept_k, kept_v], [k, v]),
        };
        *slot = Some((k.clone(), v.clone()));
        (k, v)
    }

    /// Replaces a layer's keys and values.
    pub(crate) fn replace(&mut self, layer: usize, k: Tensor<2>, v: Tensor<2>) {
        self.layers[layer] = Some((k, v));
    }

    /// A layer's keys and values as they are.
    pub(crate) fn kept(&self, layer: usize) -> Option<(Tensor<2>, Tensor<2>)> {
        self.layers.get(layer)?.clone()
    }
}
