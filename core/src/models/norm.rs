//! Norms with their weights, shared by the architectures that have them.

use super::{
    Leaves, Weight,
    load::{Init, Loader},
};
use crate::error::Result;
use burn::tensor::Tensor;

/// (x − mean) · w / √(var + eps) + b over rows of `width`; see [`crate::ops::layer_norm`].
#[derive(Debug)]
pub(crate) struct LayerNorm {
    pub(crate) weight: Weight,
    pub(crate) bias: Weight,
    pub(crate) width: usize,
    pub(crate) eps: f32,
}

impl LayerNorm {
    /// Reads the norm at `path`; without `bias` it adds 0. The oldest checkpoints of BERT call the two gamma and beta.
    pub(crate) async fn load(loader: &mut Loader<'_>, path: &str, width: usize, bias: bool, eps: f32) -> Result<Self> {
        let (scale, shift) = if loader.has(&format!("{path}.gamma")) {
            ("gamma", "beta")
        } else {
            ("weight", "bias")
        };
        let weight = loader.weight(&format!("{path}.{scale}"), &[width], Init::Ones).await?;
        let bias = if bias {
            loader.weight(&format!("{path}.{shift}"), &[width], Init::Zeros).await?
        } else {
            Weight::Frozen(Box::new(Tensor::zeros([width], loader.device())))
        };
        Ok(Self {
            weight,
            bias,
            width,
            eps,
        })
    }
}

/// x · w / √(mean(x²) + eps) over runs of `width`; see [`crate::ops::rms_norm`].
#[derive(Debug)]
pub(crate) struct RmsNorm {
    pub(crate) weight: Weight,
    pub(crate) width: usize,
    pub(crate) eps: f32,
    /// Whether it multiplies by 1 + w, as Gemma's do.
    pub(crate) adds_one: bool,
}

impl RmsNorm {
    /// Reads the norm at `path`.
    pub(crate) async fn load(loader: &mut Loader<'_>, path: &str, width: usize, eps: f32) -> Result<Self> {
        Self::read(loader, path, (width, eps), false).await
    }

    /// The same of one that multiplies by 1 + w.
    pub(crate) async fn load_adding_one(loader: &mut Loader<'_>, path: &str, width: usize, eps: f32) -> Result<Self> {
        Self::read(loader, path, (width, eps), true).await
    }

    /// What it multiplies by, and its eps.
    pub(crate) fn form(&self, leaves: &Leaves) -> (Tensor<1>, f32) {
        let weight = self.weight.flat(leaves);
        let weight = if self.adds_one { weight + 1.0 } else { weight };
        (weight, self.eps)
    }

    async fn read(loader: &mut Loader<'_>, path: &str, (width, eps): (usize, f32), adds_one: bool) -> Result<Self> {
        let init = if adds_one { Init::Zeros } else { Init::Ones };
        Ok(Self {
            weight: loader.weight(&format!("{path}.weight"), &[width], init).await?,
            width,
            eps,
            adds_one,
        })
    }
}
