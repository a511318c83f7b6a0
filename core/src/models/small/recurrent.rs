//! Recurrent networks, one layer on the other, in the form and with the names of PyTorch's `nn.RNN`, `nn.LSTM` and `nn.GRU`.
//!
//! With p = W_ih·x + b_ih and q = W_hh·h + b_hh:
//! RNN (Elman 1990): h ← act(p + q).
//! LSTM (Hochreiter and Schmidhuber 1997): i, f, g, o = p + q; c ← σ(f)·c + σ(i)·tanh(g); h ← σ(o)·tanh(c).
//! GRU (Cho et al. 2014, arXiv 1406.1078): r, z = σ(p + q); n = tanh(p + r·q); h ← (1 − z)·n + z·h.

use super::{Drops, Shape};
use crate::{
    error::Result,
    models::{
        Pass, Weight,
        activation::Activation,
        load::{Loader, Start},
    },
    ops,
};
use burn::tensor::Tensor;

pub(super) struct Recurrent {
    cell: Cell,
    layers: Vec<Layer>,
    width: usize,
    activation: Activation,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Rnn,
    Lstm,
    Gru,
}

struct Layer {
    inputs: usize,
    of_input: Weight,
    of_state: Weight,
    input_bias: Weight,
    state_bias: Weight,
}

/// h and c \[B, C\] behind a layer's last step; of cells without a c it is h again.
pub(super) type State = (Tensor<2>, Tensor<2>);

impl Cell {
    /// Stretches of C outputs.
    fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

impl Recurrent {
    pub(super) async fn load(loader: &mut Loader<'_>, kind: &str, shape: Shape) -> Result<Self> {
        let (cell, name) = match kind {
            "small_lstm" => (Cell::Lstm, "lstm"),
            "small_gru" => (Cell::Gru, "gru"),
            _ => (Cell::Rnn, "rnn"),
        };
        let width = shape.width;
        let outputs = loader.product("hidden_size", &[cell.gates(), width])?;
        let start = Start::Within((width as f64).sqrt().recip());
        let mut layers = Vec::new();
        for i in 0..shape.layers {
            let at = |part: &str| format!("{name}.{part}_l{i}");
            let inputs = if i == 0 { shape.inputs } else { width };
            layers.push(Layer {
                inputs,
                of_input: loader.weight(&at("weight_ih"), &[outputs, inputs], start).await?,
                of_state: loader.weight(&at("weight_hh"), &[outputs, width], start).await?,
                input_bias: loader.weight(&at("bias_ih"), &[outputs], start).await?,
                state_bias: loader.weight(&at("bias_hh"), &[outputs], start).await?,
            });
        }
        let activation = shape.activation;
        Ok(Self {
            cell,
            layers,
            width,
            activation,
        })
    }

    /// Steps \[B·T, in\] from each layer's state (zeros where there is none) → the last layer's states \[B·T, C\], and each layer's
    /// last one.
    pub(super) fn hidden(
        &self,
        mut x: Tensor<2>,
        rows: usize,
        states: Vec<Option<State>>,
        pass: &Pass,
        drops: &Drops,
    ) -> (Tensor<2>, Vec<State>) {
        let steps = x.dims()[0] / rows.max(1);
        let mut last = Vec::with_capacity(self.layers.len());
        for (i, (layer, state)) in self.layers.iter().zip(states).enumerate() {
            let zeros = || Tensor::zeros([rows, self.width], &x.device());
            let state = state.unwrap_or_else(|| (zeros(), zeros()));
            let (hidden, state) = self.layer(layer, x, [rows, steps], state, pass);
            x = drops.apply(hidden, i);
            last.push(state);
        }
        (x, last)
    }

    fn layer(
        &self,
        layer: &Layer,
        x: Tensor<2>,
        [rows, steps]: [usize; 2],
        (mut h, mut c): State,
        pass: &Pass,
    ) -> (Tensor<2>, State) {
        let (leaves, width) = (pass.leaves, self.width);
        let outputs = self.cell.gates() * width;
        let of_input = layer.of_input.matrix(leaves, [outputs, layer.inputs]);
        let of_state = layer.of_state.matrix(leaves, [outputs, width]);
        let (input_bias, state_bias) = (layer.input_bias.flat(leaves), layer.state_bias.flat(leaves));
        // The inputs' part of all steps at once.
        let inputs = ops::linear(x, of_input, Some(input_bias), false).reshape([rows, steps, outputs]);
        let mut states = Vec::with_capacity(steps);
        for step in 0..steps {
            let p = inputs.clone().narrow(1, step, 1).reshape([rows, outputs]);
            let q = ops::linear(h.clone(), of_state.clone(), Some(state_bias.clone()), false);
            let gate = |of: &Tensor<2>, i: usize| of.clone().narrow(1, i * width, width);
            match self.cell {
                Cell::Rnn => {
                    h = self.activation.apply(p + q);
                    c = h.clone();
                }
                Cell::Lstm => {
                    let all = p + q;
                    let open = |i: usize| Activation::Sigmoid.apply(gate(&all, i));
                    c = open(1) * c + open(0) * Activation::Tanh.apply(gate(&all, 2));
                    h = open(3) * Activation::Tanh.apply(c.clone());
                }
                Cell::Gru => {
                    let open = |i: usize| Activation::Sigmoid.apply(gate(&p, i) + gate(&q, i));
                    let (r, z) = (open(0), open(1));
                    let n = Activation::Tanh.apply(gate(&p, 2) + r * gate(&q, 2));
                    h = n.clone() + z * (h - n);
                    c = h.clone();
                }
            }
            states.push(h.clone().reshape([rows, 1, width]));
        }
        // [B, T, C] → [B·T, C]
        (Tensor::cat(states, 1).reshape([rows * steps, width]), (h, c))
    }
}
