//! A transformer over patches: of an image (Dosovitskiy et al. 2020, arXiv 2010.11929) or of a time series (Nie et al. 2022,
//! arXiv 2211.14730).
//!
//! x = W·patch + b + position; layer: x ← x + o(attention(q(n₁x), k(n₁x), v(n₁x))); x ← x + down(act(up(n₂x))), with layer
//! norms n; the states' mean is what the head reads. An image is channels × rows × columns, as PyTorch has it; a series is
//! steps × channels, and zeros fill up its last patch.

use super::{Drops, Linear, Shape, linear};
use crate::{
    error::{Error, Result},
    models::{
        Pass, Weight,
        activation::Activation,
        load::{Loader, Start},
        norm::Norm,
    },
    ops::{self, Scores, Sight},
};
use burn::tensor::Tensor;

pub(super) struct Patches {
    cut: Cut,
    embedding: Linear,
    positions: Weight,
    layers: Vec<Layer>,
    norm: Norm,
    heads: usize,
    width: usize,
    activation: Activation,
}

/// How a row of numbers is cut.
#[derive(Clone, Copy)]
struct Cut {
    /// Patches from top to bottom; 1 of a series.
    down: usize,
    /// Patches from left to right.
    across: usize,
    /// Numbers of a patch from top to bottom; 1 of a series.
    height: usize,
    /// And from left to right; of a series, times its channels.
    width: usize,
    /// Of an image; 1 of a series, whose channels lie beside each other.
    channels: usize,
    /// Numbers of a row; what is left of a series' last patch is zeros.
    whole: usize,
}

struct Layer {
    norm_1: Norm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    norm_2: Norm,
    up: Linear,
    down: Linear,
}

const EPS: f32 = 1e-5;

impl Cut {
    fn new(loader: &Loader, kind: &str) -> Result<Self> {
        let channels = loader.optional_size("num_channels")?.unwrap_or(1);
        let (length, patch) = if kind == "small_vit" {
            ("image_size", "patch_size")
        } else {
            ("context_length", "patch_length")
        };
        let (whole, part) = (loader.size(length)?, loader.size(patch)?);
        if kind == "small_vit" && !whole.is_multiple_of(part) {
            let what = format!("patches of {part} do not fill {length} {whole}");
            return Err(Error::format(what).file("config.json").field(patch));
        }
        let count = whole.div_ceil(part);
        Ok(match kind {
            "small_vit" => Self {
                down: count,
                across: count,
                height: part,
                width: part,
                channels,
                whole: loader.product(length, &[channels, whole, whole])?,
            },
            _ => Self {
                down: 1,
                across: count,
                height: 1,
                width: loader.product(patch, &[part, channels])?,
                channels: 1,
                whole: loader.product(length, &[whole, channels])?,
            },
        })
    }

    fn patches(self) -> usize {
        self.down * self.across
    }

    /// Numbers of a patch.
    fn numbers(self) -> usize {
        self.channels * self.height * self.width
    }

    /// Rows of numbers \[B, all\] → \[B·patches, numbers of one\].
    fn apply(self, x: Tensor<2>) -> Tensor<2> {
        let rows = x.dims()[0];
        let count = rows * self.patches();
        let filling = self.patches() * self.numbers() - self.whole;
        if filling > 0 {
            let zeros = Tensor::zeros([rows, filling], &x.device());
            return Tensor::cat(vec![x, zeros], 1).reshape([count, self.numbers()]);
        }
        if self.down == 1 && self.channels == 1 && self.height == 1 {
            return x.reshape([count, self.numbers()]);
        }
        // [B, channels, down, height, across, width] → [B, down, across, channels, height, width]
        let x = x.reshape([rows, self.channels, self.down, self.height, self.across, self.width]);
        x.permute([0, 2, 4, 1, 3, 5]).reshape([count, self.numbers()])
    }
}

/// How many numbers a row has.
pub(super) fn numbers(loader: &Loader, kind: &str) -> Result<usize> {
    Ok(Cut::new(loader, kind)?.whole)
}

impl Patches {
    pub(super) async fn load(loader: &mut Loader<'_>, kind: &str, shape: Shape) -> Result<Self> {
        let cut = Cut::new(loader, kind)?;
        let width = shape.width;
        let heads = loader.heads("num_attention_heads", width)?;
        if !width.is_multiple_of(heads) {
            let what = format!("{heads} heads do not divide a width of {width}");
            return Err(Error::model(what).file("config.json").field("num_attention_heads"));
        }
        let inner = match loader.optional_size("intermediate_size")? {
            Some(inner) => inner,
            None => loader.product("hidden_size", &[4, width])?,
        };
        let embedding = linear(loader, "embeddings.projection".into(), cut.numbers(), width).await?;
        let places = [cut.patches(), width];
        let positions = loader.weight("embeddings.positions", &places, Start::Normal).await?;
        let mut layers = Vec::new();
        for i in 0..shape.layers {
            let at = |part: &str| format!("layers.{i}.{part}");
            layers.push(Layer {
                norm_1: Norm::load(loader, &at("attention_norm"), width, true).await?,
                q: linear(loader, at("query"), width, width).await?,
                k: linear(loader, at("key"), width, width).await?,
                v: linear(loader, at("value"), width, width).await?,
                o: linear(loader, at("attention_out"), width, width).await?,
                norm_2: Norm::load(loader, &at("mlp_norm"), width, true).await?,
                up: linear(loader, at("up"), width, inner).await?,
                down: linear(loader, at("down"), inner, width).await?,
            });
        }
        Ok(Self {
            cut,
            embedding,
            positions,
            layers,
            norm: Norm::load(loader, "norm", width, true).await?,
            heads,
            width,
            activation: shape.activation,
        })
    }

    /// Rows of numbers \[B, all\] → \[B, C\].
    pub(super) fn hidden(&self, x: Tensor<2>, rows: usize, pass: &Pass, drops: &Drops) -> Tensor<2> {
        let (leaves, width, count) = (pass.leaves, self.width, self.cut.patches());
        let mask = Tensor::ones([rows, count], &x.device());
        let x = self
            .embedding
            .forward(self.cut.apply(x), pass)
            .reshape([rows, count, width]);
        let x = x + self.positions.flat(leaves).reshape([1, count, width]);
        let mut x = drops.apply(x.reshape([rows * count, width]), 0);
        let scores = Scores::plain(width / self.heads, Sight::All);
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = layer.norm_1.forward(x.clone(), leaves, EPS);
            // [B·N, C] → [B, H, N, D]
            let split = |linear: &Linear| {
                let y = linear.forward(normed.clone(), pass);
                y.reshape([rows, count, self.heads, width / self.heads]).swap_dims(1, 2)
            };
            let (q, k, v) = (split(&layer.q), split(&layer.k), split(&layer.v));
            let mixed = ops::attention_by(q, k, v, None, mask.clone(), scores);
            // [B, H, N, D] → [B·N, C]
            let mixed = mixed.swap_dims(1, 2).reshape([rows * count, width]);
            x = x + drops.apply(layer.o.forward(mixed, pass), 2 * i + 1);
            let normed = layer.norm_2.forward(x.clone(), leaves, EPS);
            let inner = self.activation.apply(layer.up.forward(normed, pass));
            x = x + drops.apply(layer.down.forward(inner, pass), 2 * i + 2);
        }
        let x = self.norm.forward(x, leaves, EPS).reshape([rows, count, width]);
        x.mean_dim(1).reshape([rows, width])
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
