//! A multi-layer perceptron: x ← drop(act(W·x + b)), layer after layer.

use super::{FIRST_PLACE, Linear, Shape, linear};
use crate::{
    error::Result,
    models::{activation::Activation, graph::Graph, load::Loader},
};

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
    pub(super) fn hidden<G: Graph>(&self, g: &G, mut x: G::Rows, dropout: f32) -> G::Rows {
        for (i, layer) in self.layers.iter().enumerate() {
            x = g.activation(self.activation, g.linear(layer, x));
            x = g.dropout(x, dropout, FIRST_PLACE + i as u64);
        }
        x
    }

    /// x \[B, in\] → the activations of a layer \[B, C\], nothing dropped.
    pub(super) fn units<G: Graph>(&self, g: &G, x: G::Rows, layer: usize) -> G::Rows {
        let layers = self.layers.iter().take(layer + 1);
        layers.fold(x, |x, layer| g.activation(self.activation, g.linear(layer, x)))
    }

    pub(super) fn linears(&self) -> Vec<&Linear> {
        self.layers.iter().collect()
    }

    pub(super) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        self.layers.iter_mut().collect()
    }
}
