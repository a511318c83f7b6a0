//! The operations of a forward pass in bytes.

use super::backward::{Backward, Gradients, OpenPlaces, Recorded, Trained};
use super::{Adapters, Buffer, F32, GradientPlaces, MemoryLedger, Node, SymbolicTensor, View, bytes_of};
use crate::models::{
    Linear, Matrix, Weight,
    activation::Activation,
    embedding::Embedding,
    graph::{Attention, Graph},
    norm::{LayerNorm, RmsNorm},
    parts::Part,
    rope::Rope,
};
use crate::ops::AttentionMask;
use std::cell::{Cell, RefCell};
use std::ops::Range;

/// How one micro-batch goes through a model.
pub(crate) struct DryRun<'a> {
    pub(super) ledger: MemoryLedger,
    pub(super) adapters: &'a Adapters,
    /// Whether adapters drop some of their inputs.
    pub(super) drops: bool,
    /// Whether gradients are wanted.
    trains: bool,
    nodes: Cell<usize>,
    tape: RefCell<Vec<Recorded>>,
    /// The part of a pass that it is for.
    part: Option<&'a Part<Rows>>,
}

type Rows = SymbolicTensor<2>;

/// Weights of a product, and the number of their use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SymbolicWeights {
    trained: [Trained; 2],
    shape: [usize; 2],
    of_use: usize,
}

impl<'a> DryRun<'a> {
    /// One that counts in `ledger`; `drops` of adapters with dropout.
    pub(crate) fn new(ledger: &MemoryLedger, adapters: &'a Adapters, trains: bool, drops: bool) -> Self {
        Self {
            ledger: ledger.clone(),
            adapters,
            drops,
            trains,
            nodes: Cell::new(0),
            tape: RefCell::default(),
            part: None,
        }
    }

    /// One for a part of a pass.
    pub(super) fn of_part(self, part: &'a Part<Rows>) -> Self {
        Self {
            part: Some(part),
            ..self
        }
    }

    /// The backward pass; gives the gradients of what is trained.
    pub(crate) fn backward(self, places: &GradientPlaces) -> Vec<Buffer> {
        let places = OpenPlaces::new(&self.ledger, places);
        let Gradients { adapters, weights, .. } = self.backward_from(Vec::new(), &places);
        places.left(adapters.into_iter().chain(weights.into_values()))
    }

    /// The same of a part, from gradients of what came out of it; without any, from the loss.
    pub(super) fn backward_from(self, mut given: Vec<(Node, View)>, places: &OpenPlaces) -> Gradients {
        let tape = self.tape.into_inner();
        if let (true, Some(last)) = (given.is_empty(), tape.last()) {
            given.push((last.node(), View::whole(self.ledger.hold(F32), F32)));
        }
        Backward::run(&self.ledger, tape, given, places)
    }

    pub(super) fn node(&self, inputs: &[Node], trained: bool) -> Node {
        let id = self.nodes.get() + 1;
        self.nodes.set(id);
        let depth = inputs.iter().map(|node| node.depth).max().unwrap_or(0);
        Node {
            id,
            depth: depth + 1,
            tracked: self.trains && (trained || inputs.iter().any(|node| node.tracked)),
        }
    }

    /// What a kernel makes of inputs of which `copied` bytes are not contiguous.
    pub(super) fn made<const D: usize>(&self, node: Node, shape: [usize; D], copied: u64) -> SymbolicTensor<D> {
        let bytes = bytes_of(&shape);
        self.ledger.note(&shape);
        let view = View::whole(self.ledger.launch(bytes, copied), bytes);
        SymbolicTensor { view, shape, node }
    }

    /// Records the backward step of `node`, which is given the gradient of its output.
    pub(super) fn record(&self, node: Node, step: impl FnOnce(&mut Backward, View) + 'static) {
        if node.tracked {
            self.tape.borrow_mut().push(Recorded::new(node, step));
        }
    }

    /// A norm over runs of `width`; keeps x.
    fn norm(&self, x: Rows, width: usize, weights: Vec<Trained>) -> Rows {
        let is_split = x.shape[1] != width;
        let seen = |node| if is_split { self.node(&[node], false) } else { node };
        let trained = weights.iter().any(|weight| weight.is_some());
        let node = seen(self.node(&[seen(x.node)], trained));
        let output = self.made(node, x.shape, x.view.copied());
        let (x_node, kept) = (x.node, x.view);
        self.record(node, move |backward, dy| {
            for weight in weights {
                backward.weight(weight, node.id, bytes_of(&[width]));
            }
            if x_node.tracked {
                let dx = backward.ledger.launch(kept.bytes, dy.copied());
                backward.register_sum(x_node, dx, kept.bytes);
            }
            drop(kept);
        });
        output
    }
}

/// How many products the backward pass of one takes.
pub(super) fn product_gradients(x: Node, of_weights: bool) -> usize {
    usize::from(x.tracked) + usize::from(of_weights)
}

impl Graph for DryRun<'_> {
    /// How many.
    type Numbers = usize;
    type Rows = Rows;
    /// Its shape.
    type Mask = [usize; 2];
    type Angles = ();
    type Weights = SymbolicWeights;

    fn numbers(&self, count: usize, _values: impl FnOnce() -> Vec<f32>) -> usize {
        count
    }

    fn mask(&self, shape: [usize; 2], _values: impl FnOnce() -> Vec<f32>) -> [usize; 2] {
        shape
    }

    fn all_seen(&self, keys: &Rows, batch: usize) -> [usize; 2] {
        [batch, keys.shape[0] / batch.max(1)]
    }

    fn constant(&self, shape: [usize; 2], _values: impl FnOnce() -> Vec<f32>) -> Rows {
        self.made(self.node(&[], false), shape, 0)
    }

    fn angles(&self, _rope: &Rope, _start: usize, _tokens: usize) {}

    fn angles_at(&self, _rope: &Rope, _position_ids: &[u32]) {}

    fn weights(&self, weights: [&Weight; 2], shape: [usize; 2]) -> SymbolicWeights {
        SymbolicWeights {
            trained: weights.map(Trained::from),
            shape,
            of_use: self.node(&[], false).id,
        }
    }

    fn embed(&self, table: &Embedding, ids: usize) -> Rows {
        self.gather(&table.matrix, ids)
    }

    fn gather(&self, table: &Matrix, ids: usize) -> Rows {
        let trained = Trained::from(table);
        let node = self.node(&[], trained.is_some());
        let table_bytes = bytes_of(&[table.rows, table.columns]);
        self.record(node, move |backward, dy| {
            let _copy = backward.ledger.hold(dy.copied());
            backward.weight(trained, node.id, table_bytes);
        });
        self.made(node, [ids, table.columns], 0)
    }

    fn linear(&self, linear: &Linear, x: Rows) -> Rows {
        match self.adapters.ranks.get(&linear.path) {
            Some(rank) if self.is_one_launch(linear) => self.adapted(None, linear, x, *rank),
            Some(rank) => self.low_rank(self.base_product(linear, &x), x, *rank),
            None => self.base_product(linear, &x),
        }
    }

    fn add_linear(&self, rows: Rows, linear: &Linear, x: Rows) -> Rows {
        match self.adapters.ranks.get(&linear.path) {
            Some(rank) if self.is_one_launch(linear) && linear.bias.is_none() => {
                self.adapted(Some(rows), linear, x, *rank)
            }
            _ => self.add(rows, self.linear(linear, x)),
        }
    }

    fn two_linears(&self, linears: [&Linear; 2], x: Rows) -> [Rows; 2] {
        self.together(linears, &x)
            .unwrap_or_else(|| linears.map(|linear| self.linear(linear, x.clone())))
    }

    fn three_linears(&self, linears: [&Linear; 3], x: Rows) -> [Rows; 3] {
        self.together(linears, &x)
            .unwrap_or_else(|| linears.map(|linear| self.linear(linear, x.clone())))
    }

    fn product(&self, x: Rows, weights: &SymbolicWeights) -> Rows {
        let SymbolicWeights {
            trained: [weight, bias],
            shape: [outputs, inputs],
            of_use,
        } = *weights;
        let node = self.node(&[x.node], weight.is_some() || bias.is_some());
        let (x_node, kept) = (x.node, x.view.clone());
        let sizes = [x.shape[0], inputs, outputs];
        self.ledger.multiply(1, sizes);
        self.record(node, move |backward, dy| {
            backward
                .ledger
                .multiply(product_gradients(x_node, weight.is_some()), sizes);
            backward.weight(weight, of_use, bytes_of(&[outputs, inputs]));
            backward.weight(bias, of_use, bytes_of(&[outputs]));
            if x_node.tracked {
                let dx = backward.ledger.launch(kept.bytes, dy.copied());
                backward.register(x_node, dx, kept.bytes);
            }
            drop(kept);
        });
        self.made(node, [x.shape[0], outputs], x.view.copied())
    }

    fn rms_norm(&self, norm: &RmsNorm, x: Rows) -> Rows {
        self.norm(x, norm.width, vec![Trained::from(&norm.weight)])
    }

    fn layer_norm(&self, norm: &LayerNorm, x: Rows) -> Rows {
        let weights = [&norm.weight, &norm.bias].map(Trained::from);
        self.norm(x, norm.width, weights.to_vec())
    }

    fn activation(&self, activation: Activation, x: Rows) -> Rows {
        self.activate(activation, x)
    }

    fn silu_mul(&self, gate: Rows, up: Rows) -> Rows {
        let node = self.node(&[gate.node, up.node], false);
        let output = self.made(node, gate.shape, gate.view.copied() + up.view.copied());
        let ([gate_node, up_node], bytes) = ([gate.node, up.node], gate.view.bytes);
        let kept = (gate.view, up.view);
        self.record(node, move |backward, _dy| {
            let (d_gate, d_up) = (backward.ledger.hold(bytes), backward.ledger.hold(bytes));
            backward.register(gate_node, d_gate, bytes);
            backward.register(up_node, d_up, bytes);
            drop(kept);
        });
        output
    }

    fn add(&self, x: Rows, y: Rows) -> Rows {
        let node = self.node(&[x.node, y.node], false);
        let inner = [x.node, y.node];
        self.record(node, move |backward, dy| {
            for node in inner {
                backward.pass(node, dy.clone());
            }
        });
        SymbolicTensor {
            view: self.ledger.binary(x.view, y.view),
            shape: x.shape,
            node,
        }
    }

    fn subtract(&self, x: Rows, y: Rows) -> Rows {
        let node = self.node(&[x.node, y.node], false);
        let [x_node, y_node] = [x.node, y.node];
        self.record(node, move |backward, dy| {
            backward.pass(x_node, dy.clone());
            if y_node.tracked {
                let negative = backward.ledger.unary(dy);
                backward.pass(y_node, negative);
            }
        });
        SymbolicTensor {
            view: self.ledger.binary(x.view, y.view),
            shape: x.shape,
            node,
        }
    }

    /// Keeps what the other's gradient needs.
    fn multiply(&self, x: Rows, y: Rows) -> Rows {
        let node = self.node(&[x.node, y.node], false);
        let [x_node, y_node] = [x.node, y.node];
        let kept_y = x_node.tracked.then(|| y.view.clone());
        let kept_x = y_node.tracked.then(|| x.view.clone());
        self.record(node, move |backward, dy| {
            let dy_of_y = y_node.tracked.then(|| dy.clone());
            if let Some(y) = kept_y {
                let dx = backward.ledger.binary(dy, y);
                backward.pass(x_node, dx);
            }
            if let (Some(x), Some(dy)) = (kept_x, dy_of_y) {
                let dx = backward.ledger.binary(dy, x);
                backward.pass(y_node, dx);
            }
        });
        SymbolicTensor {
            view: self.ledger.binary(x.view, y.view),
            shape: x.shape,
            node,
        }
    }

    fn scale(&self, x: Rows, _factor: f32) -> Rows {
        let node = self.node(&[x.node], false);
        let inner = x.node;
        self.record(node, move |backward, dy| {
            let dx = backward.ledger.unary(dy);
            backward.pass(inner, dx);
        });
        SymbolicTensor {
            view: self.ledger.unary(x.view),
            shape: x.shape,
            node,
        }
    }

    fn add_to_each(&self, x: Rows, w: &Weight, shape: [usize; 2]) -> Rows {
        let trained = Trained::from(w);
        let reshaped = self.node(&[x.node], false);
        let node = self.node(&[reshaped], trained.is_some());
        let inner = x.node;
        self.record(node, move |backward, dy| {
            backward.weight(trained, node.id, bytes_of(&shape));
            backward.pass(inner, dy);
        });
        SymbolicTensor {
            view: self.ledger.unary(x.view),
            shape: x.shape,
            node,
        }
    }

    fn dropout(&self, x: Rows, p: f32, _place: u64) -> Rows {
        if !self.trains || p == 0.0 {
            return x;
        }
        let node = self.node(&[x.node], false);
        let (inner, bytes) = (x.node, x.view.bytes);
        self.record(node, move |backward, dy| {
            let dx = backward.ledger.launch(bytes, dy.copied());
            backward.register(inner, dx, bytes);
        });
        self.made(node, x.shape, x.view.copied())
    }

    fn begin(&self, make: impl FnOnce() -> Rows) -> Rows {
        match self.part {
            Some(part) => part.begin(make),
            None => make(),
        }
    }

    fn enter(&self, x: &mut Rows) -> bool {
        self.part.is_none_or(|part| part.enter(x))
    }

    fn shared(&self, trained: bool, make: impl FnOnce() -> Rows) -> Rows {
        match self.part {
            Some(part) => part.shared(trained, make),
            None => make(),
        }
    }

    fn view(&self, x: &Rows) -> Rows {
        let node = self.node(&[x.node], false);
        let inner = x.node;
        self.record(node, move |backward, dy| backward.pass(inner, dy));
        SymbolicTensor {
            view: x.view.clone(),
            shape: x.shape,
            node,
        }
    }

    /// Seen in place; its gradient is one of all columns, zero elsewhere.
    fn columns(&self, x: &Rows, range: Range<usize>) -> Rows {
        let node = self.node(&[x.node], false);
        let (inner, whole) = (x.node, x.view.bytes);
        self.record(node, move |backward, _dy| {
            let dx = backward.ledger.hold(whole);
            backward.register(inner, dx, whole);
        });
        let shape = [x.shape[0], range.len()];
        let view = View {
            bytes: bytes_of(&shape),
            strided: true,
            buffer: x.view.buffer.clone(),
        };
        SymbolicTensor { view, shape, node }
    }

    fn select(&self, x: Rows, count: usize, _places: impl FnOnce() -> Vec<i32>) -> Rows {
        let node = self.node(&[x.node], false);
        let (inner, whole) = (x.node, x.view.bytes);
        self.record(node, move |backward, _dy| {
            let dx = backward.ledger.hold(whole);
            backward.register(inner, dx, whole);
        });
        self.made(node, [count, x.shape[1]], 0)
    }

    /// Seen in place; its gradient is one of all steps, zero elsewhere.
    fn step(&self, x: &Rows, batch: usize, _t: usize) -> Rows {
        let reshaped = self.node(&[x.node], false);
        let sliced = self.node(&[reshaped], false);
        let node = self.node(&[sliced], false);
        let (inner, whole) = (x.node, x.view.bytes);
        self.record(node, move |backward, _dy| {
            let dx = backward.ledger.hold(whole);
            backward.register(inner, dx, whole);
        });
        let shape = [batch, x.shape[1]];
        let view = View {
            bytes: bytes_of(&shape),
            strided: true,
            buffer: x.view.buffer.clone(),
        };
        SymbolicTensor { view, shape, node }
    }

    /// A copy; the gradients of its parts are seen in the gradient of the whole.
    fn join_steps(&self, steps: Vec<Rows>) -> Rows {
        let [batch, width] = steps.first().map_or([0, 0], |step| step.shape);
        let count = steps.len();
        let inner: Vec<Node> = steps.iter().map(|step| step.node).collect();
        let reshaped: Vec<Node> = inner.iter().map(|node| self.node(&[*node], false)).collect();
        let node = self.node(&[self.node(&reshaped, false)], false);
        self.record(node, move |backward, dy| {
            for node in inner {
                let part = View {
                    bytes: bytes_of(&[batch, width]),
                    strided: true,
                    buffer: dy.buffer.clone(),
                };
                backward.pass(node, part);
            }
        });
        self.made(node, [batch * count, width], 0)
    }

    fn mean(&self, x: Rows, batch: usize) -> Rows {
        let reshaped = self.node(&[x.node], false);
        let node = self.node(&[reshaped], false);
        let (inner, whole) = (x.node, x.view.bytes);
        self.record(node, move |backward, _dy| {
            let dx = backward.ledger.hold(whole);
            backward.register(inner, dx, whole);
        });
        self.made(node, [batch, x.shape[1]], 0)
    }

    fn weighted_sum(&self, x: Rows, batch: usize, _weights: usize) -> Rows {
        let (shape, node) = (x.shape, self.node(&[x.node], false));
        let inner = x.node;
        self.record(node, move |backward, dy| backward.pass(inner, dy));
        let weighted = SymbolicTensor {
            view: self.ledger.unary(x.view),
            shape,
            node,
        };
        self.mean(weighted, batch)
    }

    /// Keeps q, k (rotated, if they are), v, the bias, its output and a number a row; the gradients of its inputs are made one after
    /// the other, with two numbers a row for all of them.
    fn attention(&self, [q, k, v]: [Rows; 3], of: Attention<'_, Self>) -> Rows {
        let (bias, rotates) = (of.bias.cloned(), of.angles.is_some());
        let bias_node = bias.as_ref().map(|bias| bias.node);
        let inputs = [q.node, k.node, v.node].into_iter().chain(bias_node);
        let node = self.node(&inputs.collect::<Vec<Node>>(), false);
        let ([heads, _], [batch, keys], [rows, width]) = (of.heads, *of.mask, q.shape);
        let sizes = [rows / batch.max(1), width / heads.max(1), keys];
        // Tiles that no query sees are left out: of causal ones about half.
        let products = move |count: usize| match of.scoring.mask {
            AttentionMask::Causal | AttentionMask::SlidingWindow(_) => (count * batch * heads).div_ceil(2),
            AttentionMask::Full | AttentionMask::LocalWindow(_) => count * batch * heads,
        };
        self.ledger.multiply(products(2), sizes);
        let logs_bytes = bytes_of(&[rows, heads]);
        let notes_bytes = 2 * logs_bytes + bytes_of(&[batch, keys]);
        let ([q_node, k_node, v_node], shape) = ([q.node, k.node, v.node], q.shape);
        let (q, k, v) = if rotates {
            let [new_q, new_k] = self.ledger.rotate([&q.view, &k.view]);
            drop((q.view, k.view));
            (new_q, new_k, v.view)
        } else {
            (q.view, k.view, v.view)
        };
        let bias = bias.map(|bias| bias.view);
        let copied = q.copied() + k.copied() + v.copied();
        let output = self.made(node, shape, copied);
        let logs = self.ledger.hold(logs_bytes);
        let out = output.view.clone();
        self.record(node, move |backward, dy| {
            let ledger = backward.ledger.clone();
            let notes = ledger.launch(notes_bytes, dy.copied());
            drop((out, logs));
            let copied = copied + dy.copied();
            if let (Some(node), Some(bias)) = (bias_node.filter(|node| node.tracked), &bias) {
                ledger.multiply(products(2), sizes);
                let dbias = ledger.launch(bias.bytes, copied);
                backward.register(node, dbias, bias.bytes);
            }
            let wants_both = rotates && (q_node.tracked || k_node.tracked);
            let mut dk = None;
            if k_node.tracked || v_node.tracked || wants_both {
                ledger.multiply(products(4), sizes);
                let _copies = ledger.hold(copied);
                dk = Some(View::whole(ledger.hold(k.bytes), k.bytes));
                let dv = ledger.hold(v.bytes);
                backward.register(v_node, dv, v.bytes);
            }
            let mut dq = None;
            if q_node.tracked || wants_both {
                ledger.multiply(products(3), sizes);
                dq = Some(View::whole(ledger.launch(q.bytes, copied), q.bytes));
            }
            drop((q, k, v, dy, notes, bias));
            if let (true, Some(of_q), Some(of_k)) = (rotates, &dq, &dk) {
                let [of_q, of_k] = ledger.rotate([of_q, of_k]);
                (dq, dk) = (Some(of_q), Some(of_k));
            }
            for (node, gradient) in [(k_node, dk), (q_node, dq)] {
                if let Some(gradient) = gradient {
                    backward.pass(node, gradient);
                }
            }
        });
        output
    }
}
