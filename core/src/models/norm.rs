//! Layer norm with its two weights, shared by the architectures that have it.

use super::{
    Leaves, Weight,
    load::{Loader, Start},
};
use crate::{
    error::Result,
    models::memory::{Flow, Walk},
    ops,
};
use burn::tensor::Tensor;

#[derive(Debug)]
pub(crate) struct Norm {
    weight: Weight,
    bias: Weight,
}

impl Norm {
    /// Reads the norm at `path`; without `bias` it adds 0. The oldest checkpoints of BERT call the two gamma and beta.
    pub(crate) async fn load(loader: &mut Loader<'_>, path: &str, width: usize, bias: bool) -> Result<Self> {
        let (scale, shift) = if loader.has(&format!("{path}.gamma")) {
            ("gamma", "beta")
        } else {
            ("weight", "bias")
        };
        let weight = loader.weight(&format!("{path}.{scale}"), &[width], Start::Ones).await?;
        let bias = if bias {
            loader
                .weight(&format!("{path}.{shift}"), &[width], Start::Zeros)
                .await?
        } else {
            Weight::Frozen(Box::new(Tensor::zeros([width], loader.device())))
        };
        Ok(Self { weight, bias })
    }

    /// x \[n, C\] → \[n, C\].
    pub(crate) fn forward(&self, x: Tensor<2>, leaves: &Leaves, eps: f32) -> Tensor<2> {
        ops::layer_norm(x, self.weight.flat(leaves), self.bias.flat(leaves), eps)
    }

    /// The memory of [`Self::forward`].
    pub(crate) fn walk(&self, walk: &mut Walk, x: Flow, width: usize) -> Flow {
        walk.norm(x, width, &[&self.weight, &self.bias])
    }
}
