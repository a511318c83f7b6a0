//! A transformer over patches: of an image (Dosovitskiy et al. 2020, arXiv 2010.11929) or of a time series (Nie et al. 2022,
//! arXiv 2211.14730).
//!
//! x = W·patch + b + position; layer: x ← x + o(attention(q(n₁x), k(n₁x), v(n₁x))); x ← x + down(act(up(n₂x))), with layer
//! norms n; the states' mean is what the head reads. An image is channels × rows × columns, as PyTorch has it; a series is
//! steps × channels, and zeros fill up its last patch.

use super::{FIRST_PLACE, Linear, Shape, linear};
use crate::{
    data::Batch,
    error::{Error, Result},
    models::{
        Weight,
        activation::Activation,
        graph::{Attention, Graph},
        load::{Init, Loader},
        norm::LayerNorm,
    },
    ops::{AttentionMask, AttentionScoring},
};
use lorakeet_i18n::messages::models as msg;

pub(super) struct Patches {
    cut: Cut,
    embedding: Linear,
    positions: Weight,
    layers: Vec<Layer>,
    norm: LayerNorm,
    heads: usize,
    width: usize,
    activation: Activation,
}

/// How a row of numbers is cut.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Patches from top to bottom; 1 of a series.
    down: usize,
    /// Patches from left to right.
    across: usize,
    /// Numbers of a patch from top to bottom; 1 of a series.
    height: usize,
    /// And from left to right; of a series, times its channels.
    width: usize,
    /// Channels of an image; 1 of a series, whose channels are interleaved.
    channels: usize,
    /// Numbers of a row; what is left of a series' last patch is zeros.
    whole: usize,
}

struct Layer {
    norm_1: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    norm_2: LayerNorm,
    up: Linear,
    down: Linear,
}

const EPS: f32 = 1e-5;

impl Cut {
    /// Square patches of a square image, which they have to fill.
    pub(super) fn of_image(loader: &Loader) -> Result<Self> {
        let (length, patch) = ("image_size", "patch_size");
        let channels = loader.optional_size("num_channels")?.unwrap_or(1);
        let (whole, part) = (loader.size(length)?, loader.size(patch)?);
        if !whole.is_multiple_of(part) {
            let what = msg::PatchesDoNotFill {
                patch: part,
                key: length,
                length: whole,
            };
            return Err(Error::format(what).file("config.json").field(patch));
        }
        let count = whole / part;
        Ok(Self {
            down: count,
            across: count,
            height: part,
            width: part,
            channels,
            whole: loader.product(length, &[channels, whole, whole])?,
        })
    }

    /// Stretches of steps of a series.
    pub(super) fn of_series(loader: &Loader) -> Result<Self> {
        let (length, patch) = ("context_length", "patch_length");
        let channels = loader.optional_size("num_channels")?.unwrap_or(1);
        let (whole, part) = (loader.size(length)?, loader.size(patch)?);
        Ok(Self {
            down: 1,
            across: whole.div_ceil(part),
            height: 1,
            width: loader.product(patch, &[part, channels])?,
            channels: 1,
            whole: loader.product(length, &[whole, channels])?,
        })
    }

    /// Numbers of a row.
    pub(super) fn numbers(self) -> usize {
        self.whole
    }

    fn patches(self) -> usize {
        self.down * self.across
    }

    /// Numbers of a patch.
    fn features(self) -> usize {
        self.channels * self.height * self.width
    }

    /// Rows of numbers \[B, all\] → \[B·patches, numbers of one\].
    fn apply(self, rows: &[f32]) -> Vec<f32> {
        let mut patches = Vec::with_capacity(rows.len());
        for row in rows.chunks(self.whole) {
            if self.down == 1 && self.channels == 1 && self.height == 1 {
                patches.extend_from_slice(row);
                patches.resize(patches.len() + self.patches() * self.features() - row.len(), 0.0);
                continue;
            }
            // [channels, down, height, across, width] → [down, across, channels, height, width]
            let line = self.across * self.width;
            for (i, j) in (0..self.down).flat_map(|i| (0..self.across).map(move |j| (i, j))) {
                for (c, h) in (0..self.channels).flat_map(|c| (0..self.height).map(move |h| (c, h))) {
                    let from = ((c * self.down + i) * self.height + h) * line + j * self.width;
                    patches.extend(row.iter().skip(from).take(self.width));
                }
            }
        }
        patches
    }
}

impl Patches {
    pub(super) async fn load(loader: &mut Loader<'_>, cut: Cut, shape: Shape) -> Result<Self> {
        let width = shape.width;
        let heads = loader.heads("num_attention_heads", width)?;
        if !width.is_multiple_of(heads) {
            let what = msg::HeadsDoNotDivide { heads, width };
            return Err(Error::model(what).file("config.json").field("num_attention_heads"));
        }
        let inner = match loader.optional_size("intermediate_size")? {
            Some(inner) => inner,
            None => loader.product("hidden_size", &[4, width])?,
        };
        let embedding = linear(loader, "embeddings.projection".into(), cut.features(), width).await?;
        let places = [cut.patches(), width];
        let positions = loader.weight("embeddings.positions", &places, Init::Normal).await?;
        let mut layers = Vec::new();
        for i in 0..shape.layers {
            let at = |part: &str| format!("layers.{i}.{part}");
            layers.push(Layer {
                norm_1: LayerNorm::load(loader, &at("attention_norm"), width, true, EPS).await?,
                q: linear(loader, at("query"), width, width).await?,
                k: linear(loader, at("key"), width, width).await?,
                v: linear(loader, at("value"), width, width).await?,
                o: linear(loader, at("attention_out"), width, width).await?,
                norm_2: LayerNorm::load(loader, &at("mlp_norm"), width, true, EPS).await?,
                up: linear(loader, at("up"), width, inner).await?,
                down: linear(loader, at("down"), inner, width).await?,
            });
        }
        Ok(Self {
            cut,
            embedding,
            positions,
            layers,
            norm: LayerNorm::load(loader, "norm", width, true, EPS).await?,
            heads,
            width,
            activation: shape.activation,
        })
    }

    /// Rows of numbers \[B, all\] → \[B, C\].
    pub(super) fn hidden<G: Graph>(&self, g: &G, batch: &Batch, dropout: f32) -> G::Rows {
        let (rows, count, heads) = (batch.rows, self.cut.patches(), self.heads);
        let mask = g.mask([rows, count], || vec![1.0; rows * count]);
        let drop = |x, place: usize| g.dropout(x, dropout, FIRST_PLACE + place as u64);
        let x = g.constant([rows * count, self.cut.features()], || {
            let mut numbers = batch.features.clone();
            numbers.resize(rows * self.cut.whole, 0.0);
            self.cut.apply(&numbers)
        });
        let x = g.add_to_each(g.linear(&self.embedding, x), &self.positions, [count, self.width]);
        let mut x = drop(x, 0);
        let scoring = AttentionScoring::plain(self.width / heads, AttentionMask::Full);
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = g.layer_norm(&layer.norm_1, x.clone());
            let qkv = g.three_linears([&layer.q, &layer.k, &layer.v], normed);
            let mixed = g.attention(qkv, Attention::plain(heads, &mask, scoring));
            x = g.add(x, drop(g.linear(&layer.o, mixed), 2 * i + 1));
            let normed = g.layer_norm(&layer.norm_2, x.clone());
            let inner = g.activation(self.activation, g.linear(&layer.up, normed));
            x = g.add(x, drop(g.linear(&layer.down, inner), 2 * i + 2));
        }
        g.mean(g.layer_norm(&self.norm, x), rows)
    }

    pub(super) fn linears(&self) -> Vec<&Linear> {
        let layers = self.layers.iter();
        let layers = layers.flat_map(|l| [&l.q, &l.k, &l.v, &l.o, &l.up, &l.down]);
        [&self.embedding].into_iter().chain(layers).collect()
    }

    pub(super) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        fn parts(l: &mut Layer) -> [&mut Linear; 6] {
            let Layer {
                q, k, v, o, up, down, ..
            } = l;
            [q, k, v, o, up, down]
        }
        let layers = self.layers.iter_mut().flat_map(parts);
        [&mut self.embedding].into_iter().chain(layers).collect()
    }
}
