//! The operations that forward passes are written in, computed on tensors or counted in bytes.
//!
//! A model's `hidden` is one function, generic over [`Graph`]. [`TensorGraph`] runs it on burn tensors; the dry run of
//! [`super::memory`] goes through the same operations with sizes alone and so estimates what they take on the device.
//! Operations take `&self` so that calls nest like formulas.
//!
//! Shape letters as in the crate's documentation; rows are \[n, C\]. Heads lie side by side in them, \[B·T, H·D\], from the linears
//! that make them to the one that reads what attention mixed.

mod watch;

pub(crate) use watch::{AttentionWatch, WatchedAttention};

use super::{
    KvCache, Pass, Weight,
    activation::Activation,
    embedding::Embedding,
    linear::Linear,
    matrix::Matrix,
    norm::{LayerNorm, RmsNorm},
    numbers,
    parts::{Constants, Part},
    rope::Rope,
};
use crate::{
    data::Batch,
    ops::{self, AttentionScoring, Positions},
    random::mix,
};
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::{
    cell::{Cell, RefCell},
    ops::Range,
};

/// The operations of a forward pass.
///
/// Values that the host makes (ids, masks, places) come as closures with their count, and are made only where tensors are.
pub(crate) trait Graph {
    /// \[n\]: whole numbers or factors.
    type Numbers: Clone;
    /// \[n, C\].
    type Rows: Clone;
    /// \[B, T\]: 1 for a token, 0 for padding; where rows hold several examples, see [`ops::attention_by`].
    type Mask: Clone;
    /// cos and sin of RoPE: \[T, D/2\], or \[B·T, D/2\] where each row has its own positions.
    type Angles: Clone;
    /// W \[out, in\] and b \[out\] without an adapter.
    type Weights;

    fn numbers(&self, count: usize, values: impl FnOnce() -> Vec<f32>) -> Self::Numbers;
    fn mask(&self, shape: [usize; 2], values: impl FnOnce() -> Vec<f32>) -> Self::Mask;
    /// A mask of ones for all of `keys` \[B·T, C\].
    fn all_seen(&self, keys: &Self::Rows, batch: usize) -> Self::Mask;
    /// Rows without a gradient.
    fn constant(&self, shape: [usize; 2], values: impl FnOnce() -> Vec<f32>) -> Self::Rows;
    fn angles(&self, rope: &Rope, start: usize, tokens: usize) -> Self::Angles;
    /// The same of tokens at these positions \[B·T\].
    fn angles_at(&self, rope: &Rope, position_ids: &[u32]) -> Self::Angles;
    /// W \[out, in\] of `shape` and b: made once where they are used at every step, so that their gradients add up as they
    /// come.
    fn weights(&self, weights: [&Weight; 2], shape: [usize; 2]) -> Self::Weights;

    /// Rows of an embedding, with its adapter: ids \[n\] → \[n, C\].
    fn embed(&self, table: &Embedding, ids: Self::Numbers) -> Self::Rows;
    /// Rows of a matrix: ids \[n\] → \[n, C\].
    fn gather(&self, table: &Matrix, ids: Self::Numbers) -> Self::Rows;
    /// x·Wᵀ + b, with the adapter: \[n, in\] → \[n, out\].
    fn linear(&self, linear: &Linear, x: Self::Rows) -> Self::Rows;
    /// rows + x·Wᵀ + b, with the adapter: what a block adds to the residual stream.
    fn add_linear(&self, rows: Self::Rows, linear: &Linear, x: Self::Rows) -> Self::Rows;
    /// Linears of the same x, such as gate and up.
    fn two_linears(&self, linears: [&Linear; 2], x: Self::Rows) -> [Self::Rows; 2];
    /// Linears of the same x, such as q, k and v.
    fn three_linears(&self, linears: [&Linear; 3], x: Self::Rows) -> [Self::Rows; 3];
    /// The same of normed x.
    fn normed_two(&self, norm: &RmsNorm, x: Self::Rows, linears: [&Linear; 2]) -> [Self::Rows; 2] {
        self.two_linears(linears, self.rms_norm(norm, x))
    }
    /// The same of normed x.
    fn normed_three(&self, norm: &RmsNorm, x: Self::Rows, linears: [&Linear; 3]) -> [Self::Rows; 3] {
        self.three_linears(linears, self.rms_norm(norm, x))
    }
    /// rows + x·Wᵀ + b, with the adapter, of x = silu(gate) · up.
    fn add_gated(&self, rows: Self::Rows, linear: &Linear, gate: Self::Rows, up: Self::Rows) -> Self::Rows {
        self.add_linear(rows, linear, self.silu_mul(gate, up))
    }
    /// x·Wᵀ + b.
    fn product(&self, x: Self::Rows, weights: &Self::Weights) -> Self::Rows;
    /// RMS norm of each run of the norm's width.
    fn rms_norm(&self, norm: &RmsNorm, x: Self::Rows) -> Self::Rows;
    fn layer_norm(&self, norm: &LayerNorm, x: Self::Rows) -> Self::Rows;

    fn activation(&self, activation: Activation, x: Self::Rows) -> Self::Rows;
    /// silu(gate) · up.
    fn silu_mul(&self, gate: Self::Rows, up: Self::Rows) -> Self::Rows;
    fn add(&self, x: Self::Rows, y: Self::Rows) -> Self::Rows;
    fn subtract(&self, x: Self::Rows, y: Self::Rows) -> Self::Rows;
    fn multiply(&self, x: Self::Rows, y: Self::Rows) -> Self::Rows;
    fn scale(&self, x: Self::Rows, factor: f32) -> Self::Rows;
    /// x \[B·T, C\] with w \[T, C\] added to each of the B.
    fn add_to_each(&self, x: Self::Rows, w: &Weight, shape: [usize; 2]) -> Self::Rows;
    /// Dropout in training: a share `p` of x is 0, the rest is divided by 1 − p. Each `place` of the model has its own random
    /// mask.
    fn dropout(&self, x: Self::Rows, p: f32, place: u64) -> Self::Rows;

    /// Some columns of x.
    fn columns(&self, x: &Self::Rows, range: Range<usize>) -> Self::Rows;
    /// Rows of x by number.
    fn select(&self, x: Self::Rows, count: usize, places: impl FnOnce() -> Vec<i32>) -> Self::Rows;
    /// Step t of each sequence: \[B·T, C\] → \[B, C\].
    fn step(&self, x: &Self::Rows, batch: usize, t: usize) -> Self::Rows;
    /// T of \[B, C\] → \[B·T, C\].
    fn join_steps(&self, steps: Vec<Self::Rows>) -> Self::Rows;
    /// The mean of each sequence: \[B·T, C\] → \[B, C\].
    fn mean(&self, x: Self::Rows, batch: usize) -> Self::Rows;
    /// The sum of each sequence's states times their weights \[B·T\]: \[B·T, C\] → \[B, C\].
    fn weighted_sum(&self, x: Self::Rows, batch: usize, weights: Self::Numbers) -> Self::Rows;

    /// softmax(q·kᵀ + bias)·v of q \[B·Tq, H·D\], k and v \[B·Tk, K·D\] → \[B·Tq, H·D\], see [`ops::attention_by`].
    fn attention(&self, qkv: [Self::Rows; 3], of: Attention<'_, Self>) -> Self::Rows
    where
        Self: Sized;

    /// What a stack of layers begins with; a pass in parts ([`super::parts`]) makes it in one of them only.
    fn begin(&self, make: impl FnOnce() -> Self::Rows) -> Self::Rows {
        make()
    }
    /// Before a layer, and once behind the last: a place where the pass may be cut. Whether what follows, up to the next such
    /// place, is to be done; x is what goes into it.
    fn enter(&self, _x: &mut Self::Rows) -> bool {
        true
    }
    /// Rows that several layers read besides x; `trained` where they are made of trained weights or of x.
    fn shared(&self, _trained: bool, make: impl FnOnce() -> Self::Rows) -> Self::Rows {
        make()
    }
    /// x as one layer reads it, whose gradients are added up before they meet those of other layers.
    fn view(&self, x: &Self::Rows) -> Self::Rows;

    /// The keys and values of a layer with those that a cache holds before them.
    fn extend_cache(&self, _layer: usize, k: Self::Rows, v: Self::Rows) -> (Self::Rows, Self::Rows) {
        (k, v)
    }
    /// The keys and values of a layer that a cache holds.
    fn cached(&self, _layer: usize) -> Option<(Self::Rows, Self::Rows)> {
        None
    }
}

/// An attention besides what it mixes.
pub(crate) struct Attention<'a, G: Graph> {
    /// H and K.
    pub(crate) heads: [usize; 2],
    /// Rotates queries and keys.
    pub(crate) angles: Option<&'a G::Angles>,
    /// A bias on products \[Tq + Tk − 1, H\] by distance, see [`Positions::Bias`]; none where angles are given.
    pub(crate) bias: Option<&'a G::Rows>,
    pub(crate) mask: &'a G::Mask,
    pub(crate) scoring: AttentionScoring,
    /// The layer of a cache whose keys and values come before these, and which keeps all of them.
    pub(crate) cached: Option<usize>,
}

impl<'a, G: Graph> Attention<'a, G> {
    /// With as many heads of keys as of queries, and no positions of its own.
    pub(crate) fn plain(heads: usize, mask: &'a G::Mask, scoring: AttentionScoring) -> Self {
        Self {
            heads: [heads; 2],
            angles: None,
            bias: None,
            mask,
            scoring,
            cached: None,
        }
    }
}

/// Tokens of a batch: ids \[B·T\] and mask \[B, T\], with keys that a cache holds already.
pub(crate) struct Tokens<G: Graph> {
    pub(crate) ids: G::Numbers,
    pub(crate) mask: G::Mask,
    pub(crate) batch: usize,
    pub(crate) tokens: usize,
    /// Position of the first token.
    pub(crate) start: usize,
    /// Where rows hold several examples, the position of each token in its own \[B·T\].
    pub(crate) position_ids: Option<Vec<u32>>,
}

impl<G: Graph> Tokens<G> {
    /// B rows of T tokens, of which each is one text, from position `start` on.
    pub(crate) fn new(ids: G::Numbers, mask: G::Mask, [batch, tokens]: [usize; 2], start: usize) -> Self {
        Self {
            ids,
            mask,
            batch,
            tokens,
            start,
            position_ids: None,
        }
    }

    /// All tokens of `batch`.
    pub(crate) fn of(g: &G, batch: &Batch) -> Self {
        let shape = [batch.rows, batch.tokens];
        let ids = || batch.input_ids.iter().map(|&id| id as f32).collect();
        let ids = g.numbers(batch.rows * batch.tokens, ids);
        Self {
            position_ids: (!batch.position_ids.is_empty()).then(|| batch.position_ids.clone()),
            ..Self::new(ids, g.mask(shape, || batch.key_mask()), shape, 0)
        }
    }

    /// Whether rows hold several examples, which do not see each other.
    pub(crate) fn is_segmented(&self) -> bool {
        self.position_ids.is_some()
    }

    /// RoPE at its positions.
    pub(crate) fn angles(&self, g: &G, rope: &Rope) -> G::Angles {
        match &self.position_ids {
            Some(positions) => g.angles_at(rope, positions),
            None => g.angles(rope, self.start, self.tokens),
        }
    }

    /// The positions of all of its tokens \[B·T\], for a table of learned ones.
    pub(crate) fn positions(&self, g: &G) -> G::Numbers {
        g.numbers(self.batch * self.tokens, || match &self.position_ids {
            Some(positions) => positions.iter().map(|&position| position as f32).collect(),
            None => {
                let of_row = self.start..self.start + self.tokens;
                let rows = (0..self.batch).flat_map(|_| of_row.clone());
                rows.map(|position| position as f32).collect()
            }
        })
    }
}

/// The operations on tensors.
pub(crate) struct TensorGraph<'a> {
    pass: &'a Pass<'a>,
    device: &'a Device,
    cache: Option<RefCell<&'a mut KvCache>>,
    watch: Option<&'a AttentionWatch>,
    part: Option<OfPart<'a>>,
}

/// The part of a pass that a graph is for, and the constants of the whole.
struct OfPart<'a> {
    part: &'a Part<Tensor<2>>,
    constants: &'a Constants,
    /// Ids, masks and angles that were asked for.
    asked: [Cell<usize>; 3],
    /// Whether something is made that other parts pass over.
    makes: Cell<bool>,
}

impl OfPart<'_> {
    fn making<T>(&self, make: impl FnOnce() -> T) -> T {
        let outer = self.makes.replace(true);
        let made = make();
        self.makes.set(outer);
        made
    }

    /// A constant that all parts ask for in the same order: made at the first time.
    fn constant<T: Clone>(&self, asked: &Cell<usize>, kept: &RefCell<Vec<T>>, make: impl FnOnce() -> T) -> T {
        if self.makes.get() || !self.part.is_at_start() {
            return make();
        }
        let number = asked.replace(asked.get() + 1);
        if let Some(constant) = kept.borrow().get(number) {
            return constant.clone();
        }
        let constant = make();
        kept.borrow_mut().push(constant.clone());
        constant
    }
}

impl<'a> TensorGraph<'a> {
    pub(crate) fn new(pass: &'a Pass<'a>, device: &'a Device) -> Self {
        Self {
            pass,
            device,
            cache: None,
            watch: None,
            part: None,
        }
    }

    /// A graph for one part of a pass.
    pub(super) fn of_part(
        pass: &'a Pass<'a>,
        device: &'a Device,
        part: &'a Part<Tensor<2>>,
        constants: &'a Constants,
    ) -> Self {
        Self {
            part: Some(OfPart {
                part,
                constants,
                asked: [Cell::new(0), Cell::new(0), Cell::new(0)],
                makes: Cell::new(false),
            }),
            ..Self::new(pass, device)
        }
    }

    /// A graph that gives `watch` the inputs of attentions.
    pub(crate) fn watching(pass: &'a Pass<'a>, device: &'a Device, watch: &'a AttentionWatch) -> Self {
        Self {
            watch: Some(watch),
            ..Self::new(pass, device)
        }
    }

    /// A graph that continues where `cache` ends.
    pub(crate) fn with_cache(pass: &'a Pass<'a>, device: &'a Device, cache: &'a mut KvCache) -> Self {
        Self {
            cache: Some(RefCell::new(cache)),
            ..Self::new(pass, device)
        }
    }

    /// Replaces the keys and values of a layer in the cache.
    pub(crate) fn replace_cached(&self, layer: usize, k: Tensor<2>, v: Tensor<2>) {
        if let Some(cache) = &self.cache {
            cache.borrow_mut().replace(layer, k, v);
        }
    }
}

impl Graph for TensorGraph<'_> {
    type Numbers = Tensor<1>;
    type Rows = Tensor<2>;
    type Mask = Tensor<2>;
    type Angles = (Tensor<2>, Tensor<2>);
    type Weights = (Tensor<2>, Tensor<1>);

    fn numbers(&self, _count: usize, values: impl FnOnce() -> Vec<f32>) -> Tensor<1> {
        let make = || numbers(values(), self.device);
        match &self.part {
            Some(of) => of.constant(&of.asked[0], &of.constants.numbers, make),
            None => make(),
        }
    }

    fn mask(&self, shape: [usize; 2], values: impl FnOnce() -> Vec<f32>) -> Tensor<2> {
        let make = || Tensor::from_data(TensorData::new(values(), shape), self.device);
        match &self.part {
            Some(of) => of.constant(&of.asked[1], &of.constants.masks, make),
            None => make(),
        }
    }

    fn all_seen(&self, keys: &Tensor<2>, batch: usize) -> Tensor<2> {
        let [rows, _] = keys.dims();
        Tensor::ones([batch, rows / batch.max(1)], self.device)
    }

    fn constant(&self, shape: [usize; 2], values: impl FnOnce() -> Vec<f32>) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values(), shape), self.device)
    }

    fn angles(&self, rope: &Rope, start: usize, tokens: usize) -> Self::Angles {
        rope.tables(start, tokens)
    }

    fn angles_at(&self, rope: &Rope, position_ids: &[u32]) -> Self::Angles {
        let make = || rope.tables_at(position_ids);
        match &self.part {
            Some(of) => of.constant(&of.asked[2], &of.constants.angles, make),
            None => make(),
        }
    }

    fn weights(&self, [weight, bias]: [&Weight; 2], shape: [usize; 2]) -> Self::Weights {
        let leaves = self.pass.leaves;
        (weight.matrix(leaves, shape), bias.flat(leaves))
    }

    fn embed(&self, table: &Embedding, ids: Tensor<1>) -> Tensor<2> {
        table.gather(ids, self.pass)
    }

    fn gather(&self, table: &Matrix, ids: Tensor<1>) -> Tensor<2> {
        table.gather(ids, self.pass.leaves)
    }

    fn linear(&self, linear: &Linear, x: Tensor<2>) -> Tensor<2> {
        linear.forward(x, self.pass)
    }

    fn add_linear(&self, rows: Tensor<2>, linear: &Linear, x: Tensor<2>) -> Tensor<2> {
        linear.forward_onto(rows, x, self.pass)
    }

    fn two_linears(&self, linears: [&Linear; 2], x: Tensor<2>) -> [Tensor<2>; 2] {
        match linears.map(|linear| linear.beside(self.pass)) {
            [Some(l0), Some(l1)] => ops::adapted_two(x, [l0, l1]),
            _ => linears.map(|linear| linear.forward(x.clone(), self.pass)),
        }
    }

    fn three_linears(&self, linears: [&Linear; 3], x: Tensor<2>) -> [Tensor<2>; 3] {
        match linears.map(|linear| linear.beside(self.pass)) {
            [Some(l0), Some(l1), Some(l2)] => ops::adapted_three(x, [l0, l1, l2]),
            _ => linears.map(|linear| linear.forward(x.clone(), self.pass)),
        }
    }

    fn normed_two(&self, norm: &RmsNorm, x: Tensor<2>, linears: [&Linear; 2]) -> [Tensor<2>; 2] {
        match linears.map(|linear| linear.beside(self.pass)) {
            [Some(l0), Some(l1)] => ops::normed_two(x, norm.form(self.pass.leaves), [l0, l1]),
            _ => self.two_linears(linears, self.rms_norm(norm, x)),
        }
    }

    fn normed_three(&self, norm: &RmsNorm, x: Tensor<2>, linears: [&Linear; 3]) -> [Tensor<2>; 3] {
        match linears.map(|linear| linear.beside(self.pass)) {
            [Some(l0), Some(l1), Some(l2)] => ops::normed_three(x, norm.form(self.pass.leaves), [l0, l1, l2]),
            _ => self.three_linears(linears, self.rms_norm(norm, x)),
        }
    }

    fn add_gated(&self, rows: Tensor<2>, linear: &Linear, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
        match linear.beside(self.pass).filter(|linear| linear.bias.is_none()) {
            Some(linear) => ops::gated_onto(rows, [gate, up], linear),
            None => self.add_linear(rows, linear, self.silu_mul(gate, up)),
        }
    }

    fn product(&self, x: Tensor<2>, (weight, bias): &Self::Weights) -> Tensor<2> {
        ops::linear(x, weight.clone(), Some(bias.clone()), false)
    }

    fn rms_norm(&self, norm: &RmsNorm, x: Tensor<2>) -> Tensor<2> {
        let (weight, eps) = norm.form(self.pass.leaves);
        let [rows, columns] = x.dims();
        if columns == norm.width {
            return ops::rms_norm(x, weight, eps);
        }
        let runs = x.reshape([rows * columns / norm.width, norm.width]);
        ops::rms_norm(runs, weight, eps).reshape([rows, columns])
    }

    fn layer_norm(&self, norm: &LayerNorm, x: Tensor<2>) -> Tensor<2> {
        let leaves = self.pass.leaves;
        ops::layer_norm(x, norm.weight.flat(leaves), norm.bias.flat(leaves), norm.eps)
    }

    fn activation(&self, activation: Activation, x: Tensor<2>) -> Tensor<2> {
        activation.apply(x)
    }

    fn silu_mul(&self, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
        ops::silu_mul(gate, up)
    }

    fn add(&self, x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
        ops::add(x, y)
    }

    fn subtract(&self, x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
        x - y
    }

    fn multiply(&self, x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
        x * y
    }

    fn scale(&self, x: Tensor<2>, factor: f32) -> Tensor<2> {
        x * factor
    }

    fn add_to_each(&self, x: Tensor<2>, w: &Weight, [tokens, width]: [usize; 2]) -> Tensor<2> {
        let [rows, _] = x.dims();
        let w = w.flat(self.pass.leaves).reshape([1, tokens, width]);
        (x.reshape([rows / tokens, tokens, width]) + w).reshape([rows, width])
    }

    fn dropout(&self, x: Tensor<2>, p: f32, place: u64) -> Tensor<2> {
        match self.pass.dropout_seed.filter(|_| p > 0.0) {
            None => x,
            Some(seed) => ops::dropout(x, p, mix(seed, place)),
        }
    }

    fn columns(&self, x: &Tensor<2>, range: Range<usize>) -> Tensor<2> {
        let [rows, _] = x.dims();
        x.clone().slice([0..rows, range])
    }

    fn select(&self, x: Tensor<2>, count: usize, places: impl FnOnce() -> Vec<i32>) -> Tensor<2> {
        let places = TensorData::new(places(), [count]);
        x.select(0, Tensor::<1, Int>::from_data(places, self.device))
    }

    fn step(&self, x: &Tensor<2>, batch: usize, t: usize) -> Tensor<2> {
        let [rows, width] = x.dims();
        let steps = x.clone().reshape([batch, rows / batch.max(1), width]);
        steps.narrow(1, t, 1).reshape([batch, width])
    }

    fn join_steps(&self, steps: Vec<Tensor<2>>) -> Tensor<2> {
        let count = steps.len();
        let [batch, width] = steps.first().map_or([0, 0], |step| step.dims());
        let steps = steps.into_iter().map(|step| step.reshape([batch, 1, width])).collect();
        Tensor::cat(steps, 1).reshape([batch * count, width])
    }

    fn mean(&self, x: Tensor<2>, batch: usize) -> Tensor<2> {
        let [rows, width] = x.dims();
        let x = x.reshape([batch, rows / batch.max(1), width]);
        x.mean_dim(1).reshape([batch, width])
    }

    fn weighted_sum(&self, x: Tensor<2>, batch: usize, weights: Tensor<1>) -> Tensor<2> {
        let [rows, width] = x.dims();
        let x = (x * weights.reshape([rows, 1])).reshape([batch, rows / batch.max(1), width]);
        x.sum_dim(1).reshape([batch, width])
    }

    fn attention(&self, [q, k, v]: [Tensor<2>; 3], of: Attention<'_, Self>) -> Tensor<2> {
        let mut positions = match (of.angles, of.bias) {
            (Some((cos, sin)), _) => Positions::Rotary(Box::new([cos.clone(), sin.clone()])),
            (None, Some(bias)) => Positions::Bias(Box::new(bias.clone())),
            (None, None) => Positions::None,
        };
        // A cache is of one text, none of whose tokens is masked.
        if let (Some(cache), None, Some(angles), Some(layer)) = (&self.cache, self.watch, of.angles, of.cached) {
            let qkv = [q.clone(), k.clone(), v.clone()];
            let mixed = cache.borrow_mut().attend(layer, &qkv, angles, of.heads, of.scoring);
            if let Some(mixed) = mixed {
                return mixed;
            }
        }
        let (mut q, mut k, mut v) = (q, k, v);
        // What is kept of keys is rotated. Neither cache nor watch wants gradients.
        if let (true, Some((cos, sin))) = (self.cache.is_some() || self.watch.is_some(), of.angles) {
            [q, k] = ops::rotate([q, k], (cos.clone(), sin.clone()));
            positions = Positions::None;
        }
        if let Some(layer) = of.cached {
            (k, v) = self.extend_cache(layer, k, v);
        }
        if let Some(watch) = self.watch {
            watch.see([&q, &k], &of);
        }
        ops::attention_by([q, k, v], of.heads, positions, of.mask.clone(), of.scoring)
    }

    fn begin(&self, make: impl FnOnce() -> Tensor<2>) -> Tensor<2> {
        match &self.part {
            Some(of) => of.part.begin(|| of.making(make)),
            None => make(),
        }
    }

    fn enter(&self, x: &mut Tensor<2>) -> bool {
        self.part.as_ref().is_none_or(|of| of.part.enter(x))
    }

    fn shared(&self, trained: bool, make: impl FnOnce() -> Tensor<2>) -> Tensor<2> {
        match &self.part {
            Some(of) => of.part.shared(trained, || of.making(make)),
            None => make(),
        }
    }

    fn view(&self, x: &Tensor<2>) -> Tensor<2> {
        x.clone().reshape(x.dims())
    }

    fn extend_cache(&self, layer: usize, k: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match &self.cache {
            Some(cache) => cache.borrow_mut().extend(layer, k, v),
            None => (k, v),
        }
    }

    fn cached(&self, layer: usize) -> Option<(Tensor<2>, Tensor<2>)> {
        self.cache.as_ref()?.borrow().kept(layer)
    }
}
