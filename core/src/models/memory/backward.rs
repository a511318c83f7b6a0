//! The backward pass of a dry run: gradients as they are made, added up and let go.

use super::{Buffer, GradientPlaces, MemoryLedger, Node, View};
use crate::models::{
    Weight,
    matrix::{Matrix, Stored},
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

type Step = Box<dyn FnOnce(&mut Backward)>;

/// An operation's step of the backward pass.
pub(super) struct Recorded {
    node: Node,
    step: Step,
}

impl Recorded {
    /// What a step drops it has kept: a closure holds the fields that it names, and nothing else of a tensor.
    pub(super) fn new(node: Node, step: impl FnOnce(&mut Backward, View) + 'static) -> Self {
        let step = Box::new(move |backward: &mut Backward| {
            if let Some(gradient) = backward.gradients.remove(&node.id) {
                step(backward, gradient);
            }
        });
        Self { node, step }
    }

    pub(super) fn node(&self) -> Node {
        self.node
    }
}

/// What a backward pass leaves.
pub(super) struct Gradients {
    /// Of inputs, by their nodes.
    pub(super) inputs: HashMap<usize, View>,
    /// Of adapters and of modules that are trained whole.
    pub(super) adapters: Vec<Buffer>,
    /// Of trained weights, by number.
    pub(super) weights: BTreeMap<usize, Buffer>,
}

/// The places of the gradients of one micro-batch, whose backward pass may come in parts.
#[derive(Clone)]
pub(super) struct OpenPlaces(Rc<Open>);

struct Open {
    of: GradientPlaces,
    buffer: Buffer,
    /// The trained weights that have had a gradient made in its place.
    taken: RefCell<BTreeSet<usize>>,
}

impl OpenPlaces {
    /// They are there from the beginning of the backward pass.
    pub(super) fn new(ledger: &MemoryLedger, of: &GradientPlaces) -> Self {
        Self(Rc::new(Open {
            of: of.clone(),
            buffer: ledger.reserve(of.bytes),
            taken: RefCell::default(),
        }))
    }

    /// What is left of a micro-batch: what was made elsewhere is put into its place, if it has one.
    pub(super) fn left(&self, gradients: impl Iterator<Item = Buffer>) -> Vec<Buffer> {
        let alone = gradients.filter(|gradient| !(self.0.of.has_place)(gradient.bytes()));
        std::iter::once(self.0.buffer.clone()).chain(alone).collect()
    }
}

/// The backward pass under way.
pub(super) struct Backward {
    pub(super) ledger: MemoryLedger,
    gradients: HashMap<usize, View>,
    places: OpenPlaces,
    /// Those of adapters and of modules that are trained whole.
    adapters: Vec<Buffer>,
    /// Those of trained weights, by number and by use: one used twice has two until the end.
    weights: BTreeMap<(usize, usize), Buffer>,
}

impl Backward {
    /// Goes through the steps, the deepest first, from the `given` gradients.
    pub(super) fn run(
        ledger: &MemoryLedger,
        mut tape: Vec<Recorded>,
        given: Vec<(Node, View)>,
        places: &OpenPlaces,
    ) -> Gradients {
        let mut backward = Self {
            ledger: ledger.clone(),
            gradients: HashMap::new(),
            places: places.clone(),
            adapters: Vec::new(),
            weights: BTreeMap::new(),
        };
        for (node, gradient) in given {
            backward.pass(node, gradient);
        }
        tape.sort_by_key(|recorded| recorded.node.depth);
        while let Some(Recorded { step, .. }) = tape.pop() {
            step(&mut backward);
        }
        Gradients {
            inputs: backward.gradients,
            adapters: backward.adapters,
            // The gradients of a tensor that is used several times become one.
            weights: backward
                .weights
                .into_iter()
                .map(|((number, _), gradient)| (number, gradient))
                .collect(),
        }
    }

    /// Hands a gradient of `bytes` to `node`.
    pub(super) fn register(&mut self, node: Node, buffer: Buffer, bytes: u64) {
        self.pass(node, View::whole(buffer, bytes));
    }

    /// The same where the kernel that made it added what the node has already.
    pub(super) fn register_sum(&mut self, node: Node, buffer: Buffer, bytes: u64) {
        if node.tracked {
            self.gradients.insert(node.id, View::whole(buffer, bytes));
        }
    }

    /// Hands a gradient on; a second one is added to the first.
    pub(super) fn pass(&mut self, node: Node, gradient: View) {
        if node.tracked {
            let sum = match self.gradients.remove(&node.id) {
                Some(first) => self.ledger.binary(first, gradient),
                None => gradient,
            };
            self.gradients.insert(node.id, sum);
        }
    }

    /// Makes the gradient of `bytes` of an adapter's matrix or of a module that is trained whole, while copies of `copied` bytes
    /// are alive.
    pub(super) fn adapter(&mut self, bytes: u64, copied: u64) {
        let _copies = self.ledger.hold(copied);
        let gradient = self.made_in_place(bytes);
        self.adapters.push(gradient);
    }

    /// A gradient in its place, or in a buffer of its own where it has none.
    fn made_in_place(&self, bytes: u64) -> Buffer {
        match (self.places.0.of.has_place)(bytes) {
            true => {
                self.ledger.write(bytes);
                self.ledger.reserve(0)
            }
            false => self.ledger.hold(bytes),
        }
    }

    /// Makes the gradient of a trained weight's use number `of_use`: the first in its place, if it has one.
    pub(super) fn weight(&mut self, weight: Trained, of_use: usize, bytes: u64) {
        if let Some(number) = weight.0 {
            let is_first = self.places.0.taken.borrow_mut().insert(number);
            let gradient = match is_first {
                true => self.made_in_place(bytes),
                false => self.ledger.hold(bytes),
            };
            self.given_weight(number, of_use, gradient);
        }
    }

    /// Takes the gradient of weight `number`, made elsewhere.
    pub(super) fn given_weight(&mut self, number: usize, of_use: usize, gradient: Buffer) {
        self.weights.entry((number, of_use)).or_insert(gradient);
    }
}

/// The number of a trained weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trained(pub(super) Option<usize>);

impl Trained {
    pub(super) fn is_some(self) -> bool {
        self.0.is_some()
    }
}

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
