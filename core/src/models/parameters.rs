//! Trained tensors, outside the layers: [`Parameters`] in a fixed order, and [`Leaves`], the same tensors in one forward pass.

use burn::tensor::{Gradients, Tensor};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

/// One trained tensor.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name in the file that holds it: PEFT's for adapters, the checkpoint's for full training.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// Whether weight decay acts on it.
    pub decay: bool,
    /// Its values, flat and untracked.
    pub value: Tensor<1>,
}

/// All trained tensors, in a fixed order.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    pub(super) all: Vec<Parameter>,
    /// How often a value was set by others than the optimizer.
    replaced: u64,
}

impl Parameters {
    /// The parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.all.iter()
    }
    /// How many tensors.
    pub fn len(&self) -> usize {
        self.all.len()
    }
    /// Whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
    /// How many weights.
    pub fn weights(&self) -> u64 {
        self.all
            .iter()
            .map(|parameter| parameter.shape.iter().product::<usize>() as u64)
            .sum()
    }
    /// Replaces the values of number `i`.
    pub fn set(&mut self, i: usize, value: Tensor<1>) {
        self.all[i].value = value;
        self.replaced += 1;
    }
    /// Takes what the optimizer made of the values of number `i`.
    pub(crate) fn update(&mut self, i: usize, value: Tensor<1>) {
        self.all[i].value = value;
    }
    /// Changes whenever a value is replaced, and not when the optimizer moves it.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }
    /// Adds a parameter and gives its number.
    pub fn push(&mut self, parameter: Parameter) -> usize {
        self.all.push(parameter);
        self.all.len() - 1
    }
    /// Leaves that gather gradients.
    pub fn tracked(&self) -> Leaves {
        let values = self.all.iter().map(|parameter| &parameter.value);
        Leaves::new(values.map(|value| value.clone().autodiff().require_grad()).collect())
    }
    /// Leaves of other values, in the parameters' order.
    pub(crate) fn at(&self, values: Vec<Tensor<1>>) -> Leaves {
        Leaves::new(values)
    }
    /// Leaves for evaluation and generation.
    pub fn plain(&self) -> Leaves {
        Leaves::new(self.all.iter().map(|parameter| parameter.value.clone()).collect())
    }
}

/// The parameters in one forward pass.
#[derive(Debug, Clone, Default)]
pub struct Leaves {
    values: Vec<Tensor<1>>,
    /// Values that are computed from the parameters alone, by a parameter's number.
    kept: Rc<RefCell<BTreeMap<usize, Tensor<1>>>>,
    /// The hidden states that the head is to read, where they are computed already.
    hidden: Option<Tensor<2>>,
    /// The strength of adapters, where it is not that in which they were trained.
    strength: Option<f32>,
}

impl Leaves {
    fn new(values: Vec<Tensor<1>>) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }
    /// The same values with adapters of this strength k: y = x·W + k·s·(x·A)·B. Nothing that is kept was computed at another.
    pub(crate) fn with_strength(self, strength: f64) -> Self {
        Self {
            kept: Rc::default(),
            strength: (strength != 1.0).then_some(strength as f32),
            ..self
        }
    }
    /// See [`Self::with_strength`]; 1 as adapters were trained.
    pub(super) fn strength(&self) -> f32 {
        self.strength.unwrap_or(1.0)
    }
    /// The same values without gradients; what is kept of them is kept for both.
    pub(crate) fn without_gradients(&self) -> Self {
        Self {
            values: self.values.iter().map(|value| value.clone().inner()).collect(),
            kept: Rc::clone(&self.kept),
            hidden: None,
            strength: self.strength,
        }
    }
    /// The same for a pass of which the head alone is left, on `hidden` states.
    pub(crate) fn behind(&self, hidden: Tensor<2>) -> Self {
        Self {
            values: self.values.clone(),
            kept: Rc::clone(&self.kept),
            hidden: Some(hidden),
            strength: self.strength,
        }
    }
    /// See [`Self::behind`].
    pub(super) fn hidden(&self) -> Option<Tensor<2>> {
        self.hidden.clone()
    }
    /// Parameter `i`, flat.
    pub fn get(&self, i: usize) -> Tensor<1> {
        self.values[i].clone()
    }
    /// The gradient of parameter `i`, untracked; `None` where the loss does not depend on it.
    pub fn grad(&self, i: usize, grads: &Gradients) -> Option<Tensor<1>> {
        self.values[i].grad(grads)
    }
    /// The same, which nobody else holds then.
    pub(crate) fn take_grad(&self, i: usize, grads: &mut Gradients) -> Option<Tensor<1>> {
        self.values[i].grad_remove(grads)
    }
    /// The result of `compute` for parameter `i`, computed at the first call.
    pub(crate) fn keep(&self, i: usize, compute: impl FnOnce() -> Tensor<1>) -> Tensor<1> {
        if let Some(kept) = self.kept.borrow().get(&i) {
            return kept.clone();
        }
        let value = compute();
        self.kept.borrow_mut().insert(i, value.clone());
        value
    }
}

/// A tensor of the base: frozen, or number `i` of the parameters in full training.
#[derive(Debug, Clone)]
pub(crate) enum Weight {
    Frozen(Box<Tensor<1>>),
    Trained(usize),
}

impl Weight {
    pub(crate) fn flat(&self, leaves: &Leaves) -> Tensor<1> {
        match self {
            Self::Frozen(tensor) => tensor.as_ref().clone(),
            Self::Trained(i) => leaves.get(*i),
        }
    }

    pub(crate) fn matrix(&self, leaves: &Leaves, shape: [usize; 2]) -> Tensor<2> {
        self.flat(leaves).reshape(shape)
    }
}
