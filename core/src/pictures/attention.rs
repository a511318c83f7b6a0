//! The attention weights of one head: softmax(cap(scale·(q·kᵀ + bias))) of one layer over a text, [T, T].
//!
//! q and k are kept during an ordinary forward pass, and the rest is computed here in f64, by the formula of
//! [`crate::ops::attention_by`].

use super::{texts_of, tokens_of};
use crate::error::{Error, Result};
use crate::loaded_model::LoadedModel;
use crate::models::registry::{ARCHITECTURES, Kind};
use crate::models::{AttentionHead, Leaves};
use crate::ops::AttentionMask;
use crate::protocol::Picture;
use lorakeet_i18n::Field;
use lorakeet_i18n::messages::pictures as msg;

pub(super) async fn draw(
    loaded: &LoadedModel,
    leaves: &Leaves,
    text: &str,
    layer: usize,
    head: usize,
) -> Result<Picture> {
    let model = &loaded.model;
    let layers = model.attention_layers();
    if layers == 0 || model.input_features().is_some() {
        let what = msg::NoAttention {
            model: &model.info.model_type,
        };
        let readers = ARCHITECTURES.iter().filter(|row| row.kind != Kind::Small);
        let names = Field::list(readers.map(|row| row.model_type));
        return Err(Error::model(what).remedy(msg::AttentionIsIn { names }));
    }
    let beyond = |field: &str, got: usize, count: usize| {
        let most = count.saturating_sub(1);
        Error::config(msg::Beyond { got, most }).field(field)
    };
    if layer >= layers {
        return Err(beyond("layer", layer, layers));
    }
    let ids = tokens_of(text, loaded)?;
    let found = model.attention_of(leaves, &ids, layer);
    let (found, heads) = found.ok_or_else(|| Error::internal(msg::AttentionCut))?;
    if head >= heads {
        return Err(beyond("head", head, heads));
    }
    let weights = found.head(head).await?.weights(ids.len());
    Ok(Picture::Attention {
        layer,
        head,
        layers,
        heads,
        tokens: texts_of(&ids, loaded.tokenizer()?)?,
        weights,
    })
}

impl AttentionHead {
    /// Attention weights [T, T]: row t holds the weights of query t, whose sum is 1.
    fn weights(&self, tokens: usize) -> Vec<f32> {
        (0..tokens).flat_map(|query| self.row(query, tokens)).collect()
    }

    fn row(&self, query: usize, tokens: usize) -> Vec<f32> {
        let scores: Vec<f64> = (0..tokens).map(|key| self.score(query, key, tokens)).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|power| (power / sum) as f32).collect()
    }

    /// −∞ where the query does not see the key.
    fn score(&self, query: usize, key: usize, tokens: usize) -> f64 {
        let is_seen = match self.scoring.mask {
            AttentionMask::Causal => key <= query,
            AttentionMask::SlidingWindow(window) => key <= query && query - key < window,
            AttentionMask::Full => true,
            AttentionMask::LocalWindow(distance) => key.abs_diff(query) <= distance,
        };
        if !is_seen {
            return f64::NEG_INFINITY;
        }
        let (q, k) = (&self.q[query * self.dim..], &self.k[key * self.dim..]);
        let products = q.iter().zip(k).take(self.dim);
        let product: f64 = products.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
        let bias = self
            .bias
            .as_ref()
            .map_or(0.0, |bias| f64::from(bias[key + tokens - 1 - query]));
        let score = f64::from(self.scoring.scale) * (product + bias);
        match f64::from(self.scoring.soft_cap) {
            cap if cap > 0.0 => cap * (score / cap).tanh(),
            _ => score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::AttentionScoring;

    /// Which keys each query attends to, of a head with equal scores for all keys.
    fn seen(mask: AttentionMask) -> Vec<Vec<bool>> {
        let head = AttentionHead {
            q: vec![0.0; 8],
            k: vec![1.0; 8],
            bias: None,
            dim: 2,
            scoring: AttentionScoring {
                scale: 1.0,
                soft_cap: 0.0,
                mask,
                segmented: false,
            },
        };
        let weights = head.weights(4);
        weights
            .chunks(4)
            .map(|row| row.iter().map(|&w| w > 0.0).collect())
            .collect()
    }

    #[test]
    fn each_mask_shows_the_keys_that_the_kernel_counts() {
        let by = |is: fn(usize, usize) -> bool| -> Vec<Vec<bool>> {
            (0..4).map(|q| (0..4).map(|k| is(q, k)).collect()).collect()
        };
        assert_eq!(seen(AttentionMask::Causal), by(|q, k| k <= q));
        assert_eq!(seen(AttentionMask::SlidingWindow(2)), by(|q, k| k <= q && q - k < 2));
        assert_eq!(seen(AttentionMask::Full), by(|_, _| true));
        assert_eq!(seen(AttentionMask::LocalWindow(1)), by(|q, k| q.abs_diff(k) <= 1));
    }

    #[test]
    fn a_bias_and_a_cap_count_as_in_the_formula() {
        let head = AttentionHead {
            q: vec![1.0, 2.0],
            k: vec![3.0, -1.0],
            // Of a key before, at, and after the query.
            bias: Some(vec![1.0, 0.5, 0.0]),
            dim: 1,
            scoring: AttentionScoring {
                scale: 0.5,
                soft_cap: 2.0,
                mask: AttentionMask::Full,
                segmented: false,
            },
        };
        let cap = |score: f64| 2.0 * (score / 2.0).tanh();
        let [first, second] = [cap(0.5 * 3.5), cap(-0.5)];
        let wanted = first.exp() / (first.exp() + second.exp());
        assert!((f64::from(head.weights(2)[0]) - wanted).abs() < 1e-6);
    }
}
