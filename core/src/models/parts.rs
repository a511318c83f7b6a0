//! A pass in parts, for gradient checkpointing: of the forward pass only what goes into each layer is kept, and the backward
//! pass computes one layer after the other anew, the last first, each as a graph of its own.
//!
//! A model's forward pass stays one function. It says where it may be cut ([`super::graph::Graph::enter`] before each layer and
//! behind the last), what it begins with ([`super::graph::Graph::begin`]), and what several layers read besides
//! ([`super::graph::Graph::shared`]). A [`Part`] tells a graph which stretch between two cuts it is for: the function runs from top
//! to bottom and skips all others.
//!
//! Gradients are those of the whole pass to the last bit: the same kernels add up the same terms in the same order. Inputs of a
//! part lie as deep in its graph as in the whole one, below what is made of weights alone, since the backward pass goes by depth.

use super::graph::TensorGraph;
use super::{Leaves, Model, Pass};
use crate::data::Batch;
use crate::ops;
use burn::tensor::{Device, Gradients, Tensor};
use std::cell::{Cell, RefCell};

/// What weights are put through before they meet an input, at most: so deep in a part's graph its inputs lie.
const DEPTH_OF_WEIGHTS: usize = 3;

/// The stretch of a pass that a graph is for, what comes into it and what comes out of it.
pub(crate) struct Part<R> {
    number: usize,
    /// Cuts that were passed.
    at: Cell<usize>,
    /// What goes into the layer; of the first part nothing.
    x: Option<R>,
    output: RefCell<Option<R>>,
    /// What several parts read, in the order in which it is made: by earlier parts, then by this one.
    shared: RefCell<Vec<Shared<R>>>,
    /// How many of them were asked for.
    asked: Cell<usize>,
}

/// A tensor that several parts read.
#[derive(Debug, Clone)]
pub(crate) struct Shared<R> {
    pub(crate) value: R,
    /// Whether what it is made of is trained.
    pub(crate) trained: bool,
}

impl<R: Clone> Part<R> {
    /// Part `number`, from 0, with its inputs.
    pub(crate) fn new(number: usize, x: Option<R>, shared: Vec<Shared<R>>) -> Self {
        Self {
            number,
            at: Cell::new(0),
            x,
            output: RefCell::new(None),
            shared: RefCell::new(shared),
            asked: Cell::new(0),
        }
    }

    /// What came out of it, unless it is the last; and all that several parts read by now.
    pub(crate) fn take_outputs(&self) -> (Option<R>, Vec<Shared<R>>) {
        (self.output.take(), self.shared.take())
    }

    /// Whether no cut was passed yet.
    pub(super) fn is_at_start(&self) -> bool {
        self.at.get() == 0
    }

    fn is_entered(&self) -> bool {
        self.at.get() == self.number
    }

    /// Some rows of the kind that is passed over.
    fn stand_in(&self) -> Option<R> {
        self.x.clone().or_else(|| self.output.borrow().clone())
    }

    /// See [`super::graph::Graph::begin`].
    pub(super) fn begin(&self, make: impl FnOnce() -> R) -> R {
        match self.stand_in().filter(|_| !self.is_entered()) {
            Some(rows) => rows,
            None => make(),
        }
    }

    /// See [`super::graph::Graph::enter`].
    pub(super) fn enter(&self, x: &mut R) -> bool {
        if self.is_entered() {
            *self.output.borrow_mut() = Some(x.clone());
        }
        self.at.set(self.at.get() + 1);
        if let Some(input) = self.x.as_ref().filter(|_| self.is_entered()) {
            *x = input.clone();
        }
        self.is_entered()
    }

    /// See [`super::graph::Graph::shared`].
    pub(super) fn shared(&self, trained: bool, make: impl FnOnce() -> R) -> R {
        let number = self.asked.replace(self.asked.get() + 1);
        if let Some(made) = self.shared.borrow().get(number) {
            return made.value.clone();
        }
        match self.stand_in().filter(|_| !self.is_entered()) {
            Some(rows) => rows,
            None => {
                let value = make();
                if self.is_entered() {
                    let value = value.clone();
                    self.shared.borrow_mut().push(Shared { value, trained });
                }
                value
            }
        }
    }
}

/// Ids, masks, and angles of positions of each token's own, which all parts of a pass use.
#[derive(Debug, Default)]
pub(super) struct Constants {
    pub(super) numbers: RefCell<Vec<Tensor<1>>>,
    pub(super) masks: RefCell<Vec<Tensor<2>>>,
    pub(super) angles: RefCell<Vec<(Tensor<2>, Tensor<2>)>>,
}

pub(super) type TensorPart = Part<Tensor<2>>;
type SharedTensor = Shared<Tensor<2>>;

/// A pass over one micro-batch in parts.
pub(crate) struct PassInParts<'m> {
    model: &'m Model,
    batch: &'m Batch,
    dropout_seed: Option<u64>,
    /// Where the pass is cut: the parts but one.
    cuts: usize,
    constants: Constants,
    /// What goes into the second part and those after it, as far as the forward pass came and the backward pass did not.
    inputs: Vec<Tensor<2>>,
    shared: Vec<KeptShared>,
    /// The input of the part that the loss is computed of.
    last: Option<Tensor<2>>,
    /// The gradient of what comes out of the next part that the backward pass takes.
    gradient: Option<Tensor<2>>,
}

/// A tensor that several parts read.
struct KeptShared {
    tensor: SharedTensor,
    made_by: usize,
    gradient: Option<Tensor<2>>,
}

impl Model {
    /// Whether its passes can be cut between layers: those of pretrained architectures can, small models are one piece.
    pub fn has_parts(&self) -> bool {
        self.body.cuts() > 0
    }

    /// A training pass over `batch` in parts; `None` where the model is one piece.
    pub(crate) fn in_parts<'m>(&'m self, batch: &'m Batch, dropout_seed: Option<u64>) -> Option<PassInParts<'m>> {
        let cuts = self.body.cuts();
        (cuts > 0).then(|| PassInParts {
            model: self,
            batch,
            dropout_seed,
            cuts,
            constants: Constants::default(),
            inputs: Vec::with_capacity(cuts),
            shared: Vec::new(),
            last: None,
            gradient: None,
        })
    }
}

impl PassInParts<'_> {
    /// Computes the next part, of weights without gradients; whether there was one before the last, which is
    /// [`Self::hidden`]'s.
    pub(crate) fn forward(&mut self, plain: &Leaves) -> bool {
        if self.inputs.len() == self.cuts {
            return false;
        }
        let number = self.inputs.len();
        let shared = self.shared.iter().map(|kept| kept.tensor.clone()).collect();
        let part = Part::new(number, self.inputs.last().cloned(), shared);
        self.run(&part, plain);
        let (output, shared) = part.take_outputs();
        drop(part);
        let made = shared.into_iter().skip(self.shared.len()).map(|tensor| KeptShared {
            tensor,
            made_by: number,
            gradient: None,
        });
        self.shared.extend(made);
        self.inputs.extend(output);
        self.inputs.len() > number
    }

    /// The last part: the hidden states that the head reads, with a graph behind them that ends at the last layer's.
    pub(crate) fn hidden(&mut self, tracked: &Leaves) -> Tensor<2> {
        let leaf = self.inputs.pop().map(leaf_of);
        let shared = self.shared.iter().map(|kept| kept.tensor.clone()).collect();
        let part = Part::new(self.cuts, leaf.as_ref().map(deepened), shared);
        let hidden = self.run(&part, tracked);
        self.last = leaf;
        hidden
    }

    /// Takes up the backward pass where that of the loss left it.
    pub(crate) fn begin_backward(&mut self, gradients: &mut Gradients) {
        self.gradient = self.last.take().and_then(|leaf| leaf.grad_remove(gradients));
    }

    /// Computes the next part anew, the last first, and goes backward through it; `None` where nothing is left to be done.
    pub(crate) fn backward(&mut self, tracked: &Leaves) -> Option<Gradients> {
        let gradient = self.gradient.take()?;
        let number = self.inputs.len();
        let leaf = self.inputs.pop().map(leaf_of);
        let made_before = self.shared.iter().take_while(|kept| kept.made_by < number).count();
        let of_this_part = self.shared.split_off(made_before);
        let leaves: Vec<SharedTensor> = self.shared.iter().map(|kept| shared_leaf(&kept.tensor)).collect();
        let part = Part::new(
            number,
            leaf.as_ref().map(deepened),
            leaves.iter().map(deepened_shared).collect(),
        );
        drop(self.run(&part, tracked));
        let (output, shared) = part.take_outputs();
        drop(part);
        let mut root = Tensor::<1>::zeros([1], &self.model.device);
        if let Some(output) = output.filter(Tensor::is_tracked) {
            root = ops::inject(root, output, gradient);
        }
        for (made, kept) in shared.into_iter().skip(made_before).zip(of_this_part) {
            if let (true, Some(gradient)) = (made.value.is_tracked(), kept.gradient) {
                root = ops::inject(root, made.value, gradient);
            }
        }
        if !root.is_tracked() {
            return None;
        }
        let mut gradients = root.backward();
        self.gradient = leaf.and_then(|leaf| leaf.grad_remove(&mut gradients));
        for (kept, leaf) in self.shared.iter_mut().zip(leaves) {
            kept.gradient = added(kept.gradient.take(), leaf.value.grad_remove(&mut gradients));
        }
        Some(gradients)
    }

    /// Where it is computed.
    pub(crate) fn device(&self) -> &Device {
        &self.model.device
    }

    /// A number that is known when all that was asked for so far is computed.
    pub(crate) fn fence(&self) -> Option<Tensor<1>> {
        self.gradient.as_ref().or(self.inputs.last()).map(ops::first_number)
    }

    fn run(&self, part: &TensorPart, leaves: &Leaves) -> Tensor<2> {
        let pass = Pass {
            leaves,
            use_adapter: true,
            dropout_seed: self.dropout_seed,
        };
        let g = TensorGraph::of_part(&pass, &self.model.device, part, &self.constants);
        self.model.body.hidden(&g, self.batch)
    }
}

fn leaf_of(tensor: Tensor<2>) -> Tensor<2> {
    tensor.autodiff().require_grad()
}

/// The same tensor, as deep in the graph as what is made of weights.
fn deepened(tensor: &Tensor<2>) -> Tensor<2> {
    (0..DEPTH_OF_WEIGHTS).fold(tensor.clone(), |tensor, _| {
        let shape = tensor.dims();
        tensor.reshape(shape)
    })
}

/// What parts read, as a leaf where gradients of it are wanted.
fn shared_leaf(shared: &SharedTensor) -> SharedTensor {
    let value = match shared.trained {
        true => leaf_of(shared.value.clone()),
        false => shared.value.clone(),
    };
    Shared { value, ..*shared }
}

fn deepened_shared(shared: &SharedTensor) -> SharedTensor {
    let value = match shared.trained {
        true => deepened(&shared.value),
        false => shared.value.clone(),
    };
    Shared { value, ..*shared }
}

/// The sum of the gradients of later parts and of the next.
fn added(sum: Option<Tensor<2>>, next: Option<Tensor<2>>) -> Option<Tensor<2>> {
    match (sum, next) {
        (Some(sum), Some(next)) => Some(sum + next),
        (sum, next) => sum.or(next),
    }
}
