//! A forward and a backward pass walked through with sizes instead of tensors: what each operation makes, what its backward
//! pass keeps, and when it is let go.
//!
//! One method for each operation that a model's `hidden` is made of, each a mirror of its functions in `ops::forward` and
//! `ops::backward`: an operation that keeps another state there says so here, and a new architecture needs a `walk` beside
//! its `hidden`, and so does what stands on it. Buffers are [`Held`]: dropping the last of them gives the bytes back, as with tensors. The backward pass
//! goes as burn's does, from the deepest operation up, and lets a state go when its operation is done.
//!
//! Left out is what is below a thousandth of a run: masks, ids, losses, and the positions' part of rotary tables.

use super::{
    Linear, Weight,
    matrix::{Matrix, Stored},
};
use crate::ops::chunk_rows;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// Bytes of a number.
const F32: u64 = 4;

/// Bytes in use, and the most that ever were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Books(Rc<Pages>);

#[derive(Debug, Default)]
struct Pages {
    in_use: Cell<u64>,
    peak: Cell<u64>,
}

impl Books {
    pub(crate) fn in_use(&self) -> u64 {
        self.0.in_use.get()
    }

    pub(crate) fn peak(&self) -> u64 {
        self.0.peak.get()
    }

    /// Takes bytes until what is given is dropped.
    pub(crate) fn hold(&self, bytes: u64) -> Held {
        let pages = &self.0;
        pages.in_use.set(pages.in_use.get() + bytes);
        pages.peak.set(pages.peak.get().max(pages.in_use.get()));
        let books = self.clone();
        Held {
            _buffer: Rc::new(Buffer { bytes, books }),
        }
    }

    /// What a kernel makes: `bytes`, while copies of `copied` bytes, of inputs that do not lie as it wants them, are alive.
    fn launch(&self, bytes: u64, copied: u64) -> Held {
        let _copies = self.hold(copied);
        self.hold(bytes)
    }
}

/// A buffer; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    _buffer: Rc<Buffer>,
}

#[derive(Debug)]
struct Buffer {
    bytes: u64,
    books: Books,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let pages = &self.books.0;
        pages.in_use.set(pages.in_use.get() - self.bytes);
    }
}

/// A tensor that flows through the layers.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    held: Held,
    /// Its own size; its buffer may be a larger one's.
    bytes: u64,
    /// Whether a kernel has to copy it first.
    strided: bool,
    node: Node,
}

/// Where it stands in the graph that the backward pass goes along.
#[derive(Debug, Clone, Copy)]
struct Node {
    id: usize,
    depth: usize,
    tracked: bool,
}

impl Flow {
    fn copied(&self) -> u64 {
        if self.strided { self.bytes } else { 0 }
    }

    /// The same buffer seen in another shape.
    fn seen(&self, node: Node, strided: bool) -> Self {
        Self {
            held: self.held.clone(),
            bytes: self.bytes,
            strided,
            node,
        }
    }
}

/// What is trained beside a frozen base.
#[derive(Debug, Default)]
pub(crate) struct Adapters {
    /// The ranks of adapters by their modules' paths.
    pub(crate) ranks: BTreeMap<String, usize>,
    /// The modules that are trained whole.
    pub(crate) whole: BTreeSet<String>,
}

/// One micro-batch, and how it goes through the model.
pub(crate) struct Walk<'a> {
    books: Books,
    /// N = B·T.
    rows: u64,
    /// T.
    tokens: u64,
    adapters: &'a Adapters,
    dropout: bool,
    /// Whether gradients are wanted.
    trains: bool,
    nodes: usize,
    tape: Vec<Recorded>,
}

type Step = Box<dyn FnOnce(&mut Backward)>;

struct Recorded {
    node: Node,
    step: Step,
}

/// The backward pass under way.
pub(crate) struct Backward {
    books: Books,
    gradients: HashMap<usize, Gradient>,
    /// Those of trained tensors: of adapters, and by number of weights, where one used twice has two.
    adapters: Vec<Held>,
    weights: BTreeMap<usize, Vec<Held>>,
}

#[derive(Clone)]
struct Gradient {
    held: Held,
    bytes: u64,
    strided: bool,
}

impl Gradient {
    fn copied(&self) -> u64 {
        if self.strided { self.bytes } else { 0 }
    }
}

impl Backward {
    fn register(&mut self, node: Node, held: Held, bytes: u64) {
        self.pass(
            node,
            Gradient {
                held,
                bytes,
                strided: false,
            },
        );
    }

    /// Hands a gradient on; a sum of two takes the buffer of one.
    fn pass(&mut self, node: Node, gradient: Gradient) {
        if node.tracked {
            self.gradients.insert(node.id, gradient);
        }
    }

    fn weight(&mut self, weight: &Trained, bytes: u64) {
        if let Some(number) = weight.0 {
            let gradient = self.books.hold(bytes);
            self.weights.entry(number).or_default().push(gradient);
        }
    }
}

/// The number of a trained weight.
#[derive(Clone, Copy)]
struct Trained(Option<usize>);

impl From<&Weight> for Trained {
    fn from(weight: &Weight) -> Self {
        match weight {
            Weight::Frozen(_) => Self(None),
            Weight::Trained(number) => Self(Some(*number)),
        }
    }
}

impl From<&Matrix> for Trained {
    fn from(matrix: &Matrix) -> Self {
        match &matrix.stored {
            Stored::Dense(weight) => weight.into(),
            Stored::Packed { .. } => Self(None),
        }
    }
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        books: &Books,
        (batch, tokens): (usize, usize),
        adapters: &'a Adapters,
        (trains, dropout): (bool, bool),
    ) -> Self {
        Self {
            books: books.clone(),
            rows: (batch * tokens) as u64,
            tokens: tokens as u64,
            adapters,
            dropout,
            trains,
            nodes: 0,
            tape: Vec::new(),
        }
    }

    fn node(&mut self, inputs: &[Node], trained: bool) -> Node {
        self.nodes += 1;
        let depth = inputs.iter().map(|node| node.depth).max().unwrap_or(0);
        Node {
            id: self.nodes,
            depth: depth + 1,
            tracked: self.trains && (trained || inputs.iter().any(|node| node.tracked)),
        }
    }

    fn flow(&self, node: Node, bytes: u64, copied: u64) -> Flow {
        Flow {
            held: self.books.launch(bytes, copied),
            bytes,
            strided: false,
            node,
        }
    }

    /// Records the backward step of `node`, which is given the gradient of its output. What a step drops it has kept: a
    /// closure holds the fields that it names, and nothing else of a flow.
    fn record(&mut self, node: Node, step: impl FnOnce(&mut Backward, Gradient) + 'static) {
        if node.tracked {
            let step = Box::new(move |backward: &mut Backward| {
                if let Some(gradient) = backward.gradients.remove(&node.id) {
                    step(backward, gradient);
                }
            });
            self.tape.push(Recorded { node, step });
        }
    }

    /// Rows of a table [V, C] → [N, C].
    pub(crate) fn gather(&mut self, table: &Matrix) -> Flow {
        let trained = Trained::from(table);
        let node = self.node(&[], trained.0.is_some());
        let table_bytes = F32 * (table.rows * table.columns) as u64;
        self.record(node, move |backward, _dy| backward.weight(&trained, table_bytes));
        self.flow(node, F32 * self.rows * table.columns as u64, 0)
    }

    /// A norm over rows of `width`; keeps x.
    pub(crate) fn norm(&mut self, x: Flow, width: usize, weights: &[&Weight]) -> Flow {
        let trained: Vec<Trained> = weights.iter().map(|weight| Trained::from(*weight)).collect();
        let node = self.node(&[x.node], trained.iter().any(|weight| weight.0.is_some()));
        let output = self.flow(node, x.bytes, 0);
        self.record(node, move |backward, dy| {
            for weight in &trained {
                backward.weight(weight, F32 * width as u64);
            }
            if x.node.tracked {
                let dx = backward.books.launch(x.bytes, dy.copied());
                backward.register(x.node, dx, x.bytes);
            }
            drop(x);
        });
        output
    }

    /// A linear with what is on it: a dense one and one that is trained whole keep x, a packed one nothing, an adapter x and drop(x)·Aᵀ [N, R].
    pub(crate) fn linear(&mut self, linear: &Linear, x: Flow) -> Flow {
        let y = self.product(linear, &x);
        match self.adapters.ranks.get(&linear.path) {
            Some(rank) => self.lora((y, x), (linear.inputs, linear.outputs), *rank),
            None => y,
        }
    }

    fn product(&mut self, linear: &Linear, x: &Flow) -> Flow {
        let weight = Trained::from(&linear.weight);
        let bias = linear.bias.as_ref().map_or(Trained(None), Trained::from);
        let whole = self.adapters.whole.contains(&linear.path);
        let node = self.node(&[x.node], whole || weight.0.is_some() || bias.0.is_some());
        let (w_bytes, bias_bytes) = (
            F32 * (linear.inputs * linear.outputs) as u64,
            F32 * linear.outputs as u64,
        );
        let copy_bytes = w_bytes + if linear.bias.is_some() { bias_bytes } else { 0 };
        let dense = whole || matches!(linear.weight.stored, Stored::Dense(_));
        let (kept, x_node, x_bytes) = (dense.then(|| x.held.clone()), x.node, x.bytes);
        self.record(node, move |backward, dy| {
            backward.weight(&weight, w_bytes);
            backward.weight(&bias, bias_bytes);
            if whole {
                let gradient = backward.books.hold(copy_bytes);
                backward.adapters.push(gradient);
            }
            if x_node.tracked {
                let dx = backward.books.launch(x_bytes, dy.copied());
                backward.register(x_node, dx, x_bytes);
            }
            drop(kept);
        });
        self.flow(node, x.bytes / linear.inputs as u64 * linear.outputs as u64, 0)
    }

    fn lora(&mut self, (y, x): (Flow, Flow), (inputs, outputs): (usize, usize), rank: usize) -> Flow {
        let node = self.node(&[y.node, x.node], true);
        let h_bytes = x.bytes / inputs as u64 * rank as u64;
        let h = self.books.launch(h_bytes, if self.dropout { x.bytes } else { 0 });
        let (a_bytes, b_bytes) = (F32 * (rank * inputs) as u64, F32 * (rank * outputs) as u64);
        let (used, y_node, dropout) = (h.clone(), y.node, self.dropout);
        self.record(node, move |backward, dy| {
            let books = backward.books.clone();
            let dropped = if dropout { x.bytes } else { 0 };
            let db = books.hold(b_bytes);
            backward.adapters.push(db);
            drop(h);
            let dh = books.hold(h_bytes);
            let da = books.launch(a_bytes, dropped);
            backward.adapters.push(da);
            if x.node.tracked {
                let dx = books.hold(x.bytes);
                drop(dh);
                let dx = if dropout { books.hold(x.bytes) } else { dx };
                backward.register(x.node, dx, x.bytes);
            }
            backward.pass(y_node, dy);
            drop(x);
        });
        let output = self.flow(node, y.bytes, 0);
        drop(used);
        output
    }

    /// [N, heads·D] seen as [B, heads, T, D].
    pub(crate) fn split_heads(&mut self, y: Flow) -> Flow {
        let reshaped = self.node(&[y.node], false);
        let node = self.node(&[reshaped], false);
        let (inner, bytes) = (y.node, y.bytes);
        self.record(node, move |backward, dy| {
            // The gradient lies as the heads do, and is put in order.
            let dx = match dy.strided {
                true => dy.held.clone(),
                false => backward.books.hold(bytes),
            };
            backward.register(inner, dx, bytes);
        });
        y.seen(node, true)
    }

    /// [B, heads, T, D] as [N, heads·D], a copy.
    pub(crate) fn merge_heads(&mut self, x: Flow) -> Flow {
        let swapped = self.node(&[x.node], false);
        let node = self.node(&[swapped], false);
        let inner = x.node;
        self.record(node, move |backward, dy| {
            backward.pass(inner, Gradient { strided: true, ..dy });
        });
        self.flow(node, x.bytes, 0)
    }

    /// [N, 3·C] → three of [B, H, T, D], seen in place; each has a gradient of the whole, zero elsewhere.
    pub(crate) fn thirds(&mut self, x: &Flow) -> [Flow; 3] {
        [(); 3].map(|()| {
            let sliced = self.node(&[x.node], false);
            let reshaped = self.node(&[sliced], false);
            let node = self.node(&[reshaped], false);
            let (inner, bytes) = (x.node, x.bytes);
            self.record(node, move |backward, dy| {
                let in_order = backward.books.hold(dy.bytes);
                drop(dy);
                let whole = backward.books.hold(bytes);
                drop(in_order);
                backward.register(inner, whole, bytes);
            });
            Flow {
                bytes: x.bytes / 3,
                ..x.seen(node, true)
            }
        })
    }

    /// [N, 2·I] → two of [N, I], seen in place; each has a gradient of the whole, zero elsewhere.
    pub(crate) fn halves(&mut self, x: &Flow) -> [Flow; 2] {
        [(); 2].map(|()| {
            let node = self.node(&[x.node], false);
            let (inner, bytes) = (x.node, x.bytes);
            self.record(node, move |backward, _dy| {
                let whole = backward.books.hold(bytes);
                backward.register(inner, whole, bytes);
            });
            Flow {
                bytes: x.bytes / 2,
                ..x.seen(node, true)
            }
        })
    }

    /// x times a constant, written over x.
    pub(crate) fn in_place(&mut self, x: Flow) -> Flow {
        let node = self.node(&[x.node], false);
        let inner = x.node;
        self.record(node, move |backward, dy| backward.pass(inner, dy));
        x.seen(node, false)
    }

    /// A row of each T → [B, C]; keeps nothing.
    pub(crate) fn pool(&mut self, x: Flow) -> Flow {
        let node = self.node(&[x.node], false);
        let (inner, bytes) = (x.node, x.bytes);
        self.record(node, move |backward, _dy| {
            let dx = backward.books.hold(bytes);
            backward.register(inner, dx, bytes);
        });
        self.flow(node, bytes / self.tokens, 0)
    }

    /// Rotates x; keeps only tables.
    pub(crate) fn rope(&mut self, x: Flow) -> Flow {
        let node = self.node(&[x.node], false);
        let (inner, bytes) = (x.node, x.bytes);
        self.record(node, move |backward, dy| {
            let dx = backward.books.launch(bytes, dy.copied());
            backward.register(inner, dx, bytes);
        });
        self.flow(node, bytes, x.copied())
    }

    /// softmax(q·kᵀ)·v; keeps q, k and v, and makes the probabilities [B, H, T, T] twice: here and in the backward pass. The
    /// scores that `caps` says are capped live as long as those.
    pub(crate) fn attention(&mut self, [q, k, v]: [Flow; 3], (kv_heads, group): (usize, usize), caps: bool) -> Flow {
        let node = self.node(&[q.node, k.node, v.node], false);
        let scores_bytes = F32 * self.rows * self.tokens * (kv_heads * group) as u64;
        let mut scores = self.books.launch(scores_bytes, q.copied() + k.copied());
        if caps {
            scores = self.books.hold(scores_bytes);
        }
        let (output_bytes, v_copied, v_held) = (q.bytes, v.copied(), v.held.clone());
        self.record(node, move |backward, dy| {
            let books = backward.books.clone();
            let mut scores = books.launch(scores_bytes, q.copied() + k.copied());
            if caps {
                scores = books.hold(scores_bytes);
            }
            let p = books.hold(scores_bytes);
            let capped = caps.then(|| scores.clone());
            drop(scores);
            if v.node.tracked {
                let dv = books.launch(v.bytes, dy.copied());
                backward.register(v.node, dv, v.bytes);
            }
            if !q.node.tracked && !k.node.tracked {
                return;
            }
            let dp = books.launch(scores_bytes, dy.copied() + v.copied());
            drop((dy, v));
            let mut _ds = books.hold(scores_bytes);
            drop((p, dp));
            if caps {
                _ds = books.hold(scores_bytes);
            }
            drop(capped);
            if k.node.tracked {
                let dk = books.launch(k.bytes, q.copied());
                backward.register(k.node, dk, k.bytes);
            }
            if q.node.tracked {
                let dq = books.launch(q.bytes, k.copied());
                backward.register(q.node, dq, q.bytes);
            }
            drop((q, k));
        });
        let p = self.books.hold(scores_bytes);
        let capped = caps.then(|| scores.clone());
        drop(scores);
        let output = self.flow(node, output_bytes, v_copied);
        drop((p, capped, v_held));
        output
    }

    /// silu(gate)·up; keeps both.
    pub(crate) fn silu_mul(&mut self, gate: Flow, up: Flow) -> Flow {
        let node = self.node(&[gate.node, up.node], false);
        let output = self.flow(node, gate.bytes, 0);
        self.record(node, move |backward, _dy| {
            let (d_gate, d_up) = (backward.books.hold(gate.bytes), backward.books.hold(up.bytes));
            backward.register(gate.node, d_gate, gate.bytes);
            backward.register(up.node, d_up, up.bytes);
            drop((gate, up));
        });
        output
    }

    /// An activation of one input, which it keeps.
    pub(crate) fn activation(&mut self, x: Flow) -> Flow {
        let node = self.node(&[x.node], false);
        let output = self.flow(node, x.bytes, x.copied());
        self.record(node, move |backward, _dy| {
            let dx = backward.books.launch(x.bytes, x.copied());
            backward.register(x.node, dx, x.bytes);
            drop(x);
        });
        output
    }

    /// x · y, number by number; keeps what the other's gradient needs, and is written over x where nothing needs it.
    pub(crate) fn multiply(&mut self, x: Flow, y: Flow) -> Flow {
        let node = self.node(&[x.node, y.node], false);
        if !y.node.tracked {
            let (inner, kept) = (x.node, y);
            let output = x.seen(node, false);
            self.record(node, move |backward, dy| {
                backward.pass(inner, dy);
                drop(kept);
            });
            return output;
        }
        let output = self.flow(node, x.bytes, 0);
        let (x_held, x_node, bytes) = (x.held, x.node, x.bytes);
        let of_x = x_node.tracked.then_some((y.held, y.strided));
        let y_node = y.node;
        self.record(node, move |backward, dy| {
            if let Some((y_held, strided)) = of_x {
                // Written over y, where y is a buffer of its own.
                let dx = if strided { backward.books.hold(bytes) } else { y_held };
                backward.register(x_node, dx, bytes);
            }
            backward.pass(y_node, dy);
            drop(x_held);
        });
        output
    }

    /// x + y, written over y.
    pub(crate) fn add(&mut self, x: Flow, y: Flow) -> Flow {
        let node = self.node(&[x.node, y.node], false);
        let inner = [x.node, y.node];
        self.record(node, move |backward, dy| {
            for node in inner {
                backward.pass(node, dy.clone());
            }
        });
        y.seen(node, false)
    }

    /// The loss of hidden states [N, C] against a head [V, C], in chunks of tokens; keeps the gradients that it makes on the
    /// way, of x and of a head that is trained.
    pub(crate) fn vocabulary_loss(&mut self, x: Flow, head: &Matrix, caps: bool) {
        let (trained, parts) = match &head.stored {
            Stored::Dense(weight) => (Trained::from(weight), 1),
            Stored::Packed { matrix, .. } => (Trained(None), matrix.parts()),
        };
        let node = self.node(&[x.node], trained.0.is_some());
        let (vocab, width) = (head.rows as u64, head.columns as u64);
        let (mut done, mut pieces, mut dw) = (0, Vec::new(), None);
        while done < self.rows {
            let rows = (chunk_rows(head.rows) as u64).min(self.rows - done);
            done += rows;
            let chunk_bytes = F32 * rows * vocab;
            // The columns of several parts are joined.
            let mut logits = self.books.launch(chunk_bytes, if parts > 1 { chunk_bytes } else { 0 });
            if caps {
                logits = self.books.hold(chunk_bytes);
            }
            if !node.tracked {
                continue;
            }
            let mut d_logits = self.books.hold(chunk_bytes);
            if caps {
                d_logits = self.books.hold(chunk_bytes);
            }
            drop(logits);
            if trained.0.is_some() {
                dw = Some(self.books.hold(F32 * vocab * width));
            }
            if x.node.tracked {
                pieces.push(self.books.hold(F32 * rows * width));
            }
            drop(d_logits);
        }
        let dx = match pieces.len() {
            0 => None,
            1 => pieces.pop(),
            _ => Some(self.books.hold(x.bytes)),
        };
        drop(pieces);
        let (x_node, x_bytes) = (x.node, x.bytes);
        self.record(node, move |backward, _dy| {
            if let Some(dx) = dx {
                backward.register(x_node, dx, x_bytes);
            }
            if let (Some(dw), Some(number)) = (dw, trained.0) {
                backward.weights.entry(number).or_default().push(dw);
            }
        });
    }

    /// The loss of logits over classes, which are few; keeps their logarithms.
    pub(crate) fn class_loss(&mut self, logits: Flow) {
        let node = self.node(&[logits.node], false);
        let (inner, bytes) = (logits.node, logits.bytes);
        let kept = self.books.hold(bytes);
        self.record(node, move |backward, _dy| {
            let dx = backward.books.hold(bytes);
            backward.register(inner, dx, bytes);
            drop(kept);
        });
    }

    /// The backward pass; gives the gradients of what is trained.
    pub(crate) fn backward(mut self) -> Vec<Held> {
        let mut backward = Backward {
            books: self.books.clone(),
            gradients: HashMap::new(),
            adapters: Vec::new(),
            weights: BTreeMap::new(),
        };
        if let Some(last) = self.tape.last() {
            let loss = self.books.hold(F32);
            backward.register(last.node, loss, F32);
        }
        self.tape.sort_by_key(|recorded| recorded.node.depth);
        while let Some(Recorded { step, .. }) = self.tape.pop() {
            step(&mut backward);
        }
        let mut gradients = backward.adapters;
        // The two gradients of a tensor that is used twice become one.
        gradients.extend(backward.weights.into_values().filter_map(|mut held| held.pop()));
        gradients
    }
}
