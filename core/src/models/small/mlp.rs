//! A multi-layer perceptron: x ← drop(act(W·x + b)), layer after layer.

use super::{Drops, Linear, Shape, linear};
use crate::{
    error::Result,
    models::{Pass, activation::Activation, load::Loader},
};
use burn::tensor::Tensor;

pub(super) struct Mlp {
    layers: Vec<Linear>,
    activation: Activation,
}

impl Mlp {
    pub(super) async fn load(loader: &mut Loader<'_>, shape: Shape) -> Result<Self> {
        let mut layers = Vec::new();
        for i in 0..shape.layers {
            let inputs = if i == 0 { shape.inputs } else { shape.width };
            layers.push(linear(loader, format!("layers.{i}"), inputs, shape.width).await?);
        }
        let activation = shape.activation;
        Ok(Self { layers, activation })
    }

    /// x \[B, in\] → \[B, C\].
    pub(super) fn hidden(&self, mut x: Tensor<2>, pass: &Pass, drops: &Drops) -> Tensor<2> {
        for (i, layer) in self.layers.iter().enumerate() {
            x = drops.apply(self.activation.apply(layer.forward(x, pass)), i);
        }
        x
    }

    pub(super) fn linears(&self) -> Vec<&Linear> {
        self.layers.iter().collect()
    }

    pub(super) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        self.layers.iter_mut().collect()
    }
}
