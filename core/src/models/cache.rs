//! The key-value cache of generation.

use crate::ops::{self, AttentionScoring};
use burn::tensor::Tensor;

/// Keys and values of the tokens seen so far, of each layer; of an encoder-decoder, those of the
/// decoder's self-attention, then those of its cross-attention.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    pub(super) layers: Vec<Option<Kept>>,
    pub(super) tokens: usize,
    pub(super) max_tokens: usize,
}

/// What is kept of a layer.
#[allow(clippy::large_enum_variant, reason = "there is one a layer")]
#[derive(Debug, Clone)]
pub(super) enum Kept {
    /// Keys and values \[T, K·D\].
    Apart(Tensor<2>, Tensor<2>),
    /// Keys, then values \[2·T, K·D\], as [`ops::cached_attention`] has them.
    Joined(Tensor<2>),
}

impl Kept {
    fn apart(self) -> [Tensor<2>; 2] {
        match self {
            Self::Apart(k, v) => [k, v],
            Self::Joined(all) => {
                let tokens = all.dims()[0] / 2;
                [all.clone().narrow(0, 0, tokens), all.narrow(0, tokens, tokens)]
            }
        }
    }

    fn joined(self) -> Tensor<2> {
        match self {
            Self::Apart(k, v) => Tensor::cat(vec![k, v], 0),
            Self::Joined(all) => all,
        }
    }

    fn tokens(&self) -> usize {
        match self {
            Self::Apart(k, _) => k.dims()[0],
            Self::Joined(all) => all.dims()[0] / 2,
        }
    }
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
            Some(kept) => ops::append(kept.apart(), [k, v]),
        };
        *slot = Some(Kept::Apart(k.clone(), v.clone()));
        (k, v)
    }

    /// The attention of one query, not rotated yet, to the tokens of a layer and to its own, which is appended; `None` where the cache
    /// has none, or where that is not one launch.
    pub(crate) fn attend(
        &mut self,
        layer: usize,
        qkv: &[Tensor<2>; 3],
        angles: &(Tensor<2>, Tensor<2>),
        heads: [usize; 2],
        scoring: AttentionScoring,
    ) -> Option<Tensor<2>> {
        let slot = self.layers.get_mut(layer)?;
        let [rows, width] = qkv[0].dims();
        let form = ops::cached_form(slot.as_ref()?.tokens(), heads, width / heads[0].max(1), scoring)?;
        if rows != 1 {
            return None;
        }
        let kept = slot.take()?.joined();
        let [mixed, all] = ops::cached_attention(qkv.clone(), angles.clone(), kept, form);
        *slot = Some(Kept::Joined(all));
        Some(mixed)
    }

    /// Replaces a layer's keys and values.
    pub(crate) fn replace(&mut self, layer: usize, k: Tensor<2>, v: Tensor<2>) {
        self.layers[layer] = Some(Kept::Apart(k, v));
    }

    /// A layer's keys and values as they are.
    pub(crate) fn kept(&self, layer: usize) -> Option<(Tensor<2>, Tensor<2>)> {
        let kept = self.layers.get(layer)?.clone()?;
        Some(kept.apart().into())
    }
}
