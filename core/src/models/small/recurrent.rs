//! Recurrent networks, one layer on the other, in the form and with the names of PyTorch's `nn.RNN`, `nn.LSTM` and `nn.GRU`.
//!
//! With p = W_ih·x + b_ih and q = W_hh·h + b_hh:
//! RNN (Elman 1990): h ← act(p + q).
//! LSTM (Hochreiter and Schmidhuber 1997): i, f, g, o = p + q; c ← σ(f)·c + σ(i)·tanh(g); h ← σ(o)·tanh(c).
//! GRU (Cho et al. 2014, arXiv 1406.1078): r, z = σ(p + q); n = tanh(p + r·q); h ← (1 − z)·n + z·h.

use super::{FIRST_PLACE, Shape};
use crate::{
    error::Result,
    models::{
        Weight,
        activation::Activation,
        graph::Graph,
        load::{Init, Loader},
    },
};
use std::iter::repeat_n;

pub(super) struct Recurrent {
    cell: Cell,
    layers: Vec<Layer>,
    width: usize,
    activation: Activation,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
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
type State<G> = (<G as Graph>::Rows, <G as Graph>::Rows);

impl Cell {
    /// The first part of its tensors' names.
    fn name(self) -> &'static str {
        match self {
            Self::Rnn => "rnn",
            Self::Lstm => "lstm",
            Self::Gru => "gru",
        }
    }

    /// Gates, of C outputs each.
    fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

impl Recurrent {
    pub(super) async fn load(loader: &mut Loader<'_>, cell: Cell, shape: Shape) -> Result<Self> {
        let (name, width) = (cell.name(), shape.width);
        let outputs = loader.product("hidden_size", &[cell.gates(), width])?;
        let init = Init::Within((width as f64).sqrt().recip());
        let mut layers = Vec::new();
        for i in 0..shape.layers {
            let at = |part: &str| format!("{name}.{part}_l{i}");
            let inputs = if i == 0 { shape.inputs } else { width };
            layers.push(Layer {
                inputs,
                of_input: loader.weight(&at("weight_ih"), &[outputs, inputs], init).await?,
                of_state: loader.weight(&at("weight_hh"), &[outputs, width], init).await?,
                input_bias: loader.weight(&at("bias_ih"), &[outputs], init).await?,
                state_bias: loader.weight(&at("bias_hh"), &[outputs], init).await?,
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

    /// Steps \[B·T, in\] from each layer's state (zeros where there is none) → the last layer's states \[B·T, C\], and each
    /// layer's last one. A state begins anew where the position of a step is 0; `position_ids` \[B·T\] are none where only the first
    /// step's is.
    pub(super) fn hidden<G: Graph>(
        &self,
        g: &G,
        mut x: G::Rows,
        ([rows, steps], position_ids): ([usize; 2], &[u32]),
        states: Vec<Option<State<G>>>,
        dropout: f32,
    ) -> (G::Rows, Vec<State<G>>) {
        let mut last = Vec::with_capacity(self.layers.len());
        for (i, (layer, state)) in self.layers.iter().zip(states).enumerate() {
            let zeros = || g.constant([rows, self.width], || vec![0.0; rows * self.width]);
            let state = state.unwrap_or_else(|| (zeros(), zeros()));
            let (hidden, state) = self.layer(g, layer, x, ([rows, steps], position_ids), state);
            x = g.dropout(hidden, dropout, FIRST_PLACE + i as u64);
            last.push(state);
        }
        (x, last)
    }

    fn layer<G: Graph>(
        &self,
        g: &G,
        layer: &Layer,
        x: G::Rows,
        ([rows, steps], position_ids): ([usize; 2], &[u32]),
        (mut h, mut c): State<G>,
    ) -> (G::Rows, State<G>) {
        let width = self.width;
        let outputs = self.cell.gates() * width;
        // The inputs' part of all steps at once.
        let of_input = g.weights([&layer.of_input, &layer.input_bias], [outputs, layer.inputs]);
        let of_state = g.weights([&layer.of_state, &layer.state_bias], [outputs, width]);
        let inputs = g.product(x, &of_input);
        let act = |activation, x| g.activation(activation, x);
        let gate = |of: &G::Rows, i: usize| g.columns(of, i * width..(i + 1) * width);
        let mut states = Vec::with_capacity(steps);
        let begins = |row: usize, step: usize| step > 0 && position_ids.get(row * steps + step) == Some(&0);
        for step in 0..steps {
            if (0..rows).any(|row| begins(row, step)) {
                let factor = |row: usize| repeat_n(if begins(row, step) { 0.0 } else { 1.0 }, width);
                let kept = g.constant([rows, width], || (0..rows).flat_map(factor).collect());
                (h, c) = (g.multiply(h, kept.clone()), g.multiply(c, kept));
            }
            let p = g.step(&inputs, rows, step);
            let q = g.product(h.clone(), &of_state);
            match self.cell {
                Cell::Rnn => {
                    h = act(self.activation, g.add(p, q));
                    c = h.clone();
                }
                Cell::Lstm => {
                    let all = g.add(p, q);
                    let open = |i: usize| act(Activation::Sigmoid, gate(&all, i));
                    let kept = g.multiply(open(1), c);
                    c = g.add(kept, g.multiply(open(0), act(Activation::Tanh, gate(&all, 2))));
                    h = g.multiply(open(3), act(Activation::Tanh, c.clone()));
                }
                Cell::Gru => {
                    let open = |i: usize| act(Activation::Sigmoid, g.add(gate(&p, i), gate(&q, i)));
                    let (r, z) = (open(0), open(1));
                    let reset = g.multiply(r, gate(&q, 2));
                    let n = act(Activation::Tanh, g.add(gate(&p, 2), reset));
                    h = g.add(n.clone(), g.multiply(z, g.subtract(h, n)));
                    c = h.clone();
                }
            }
            states.push(h.clone());
        }
        (g.join_steps(states), (h, c))
    }
}
