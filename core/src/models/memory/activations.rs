//! The activations of a dry run, as burn and the engine compute them.

use super::dry_run::DryRun;
use super::{SymbolicTensor, View};
use crate::models::{activation::Activation, graph::Graph};

type Rows = SymbolicTensor<2>;

impl DryRun<'_> {
    pub(super) fn activate(&self, activation: Activation, x: Rows) -> Rows {
        match activation {
            Activation::Gelu | Activation::GeluTanh => self.keeping_input(x),
            Activation::Relu => self.relu(x),
            Activation::Sigmoid => self.sigmoid(x),
            Activation::Silu => {
                let gate = self.sigmoid(x.clone());
                self.multiply(x, gate)
            }
            Activation::Tanh => {
                let clamped = self.clamp(x);
                self.tanh(clamped)
            }
        }
    }

    /// One kernel forward and one back, which is given x again.
    fn keeping_input(&self, x: Rows) -> Rows {
        let node = self.node(&[x.node], false);
        let (inner, bytes, copied) = (x.node, x.view.bytes, x.view.copied());
        let view = View::whole(self.ledger.launch(bytes, copied), bytes);
        let kept = x.view;
        self.record(node, move |backward, dy| {
            let dx = backward.ledger.launch(bytes, copied + dy.copied());
            backward.register(inner, dx, bytes);
            drop(kept);
        });
        SymbolicTensor {
            view,
            shape: x.shape,
            node,
        }
    }

    /// The gradient is masked by where x is above 0.
    fn relu(&self, x: Rows) -> Rows {
        let node = self.node(&[x.node], false);
        let (inner, bytes) = (x.node, x.view.bytes);
        let kept = node.tracked.then(|| x.view.clone());
        self.record(node, move |backward, dy| {
            let mask = backward.ledger.hold(bytes);
            drop(kept);
            let dx = backward.ledger.unary(dy);
            drop(mask);
            backward.pass(inner, dx);
        });
        SymbolicTensor {
            view: self.ledger.unary(x.view),
            shape: x.shape,
            node,
        }
    }

    /// Keeps x, of which σ and σ·(1 − σ) are made again.
    fn sigmoid(&self, x: Rows) -> Rows {
        let node = self.node(&[x.node], false);
        let (inner, bytes) = (x.node, x.view.bytes);
        let kept = node.tracked.then(|| x.view.clone());
        self.record(node, move |backward, dy| {
            let output = kept.map(|x| backward.ledger.unary(x));
            let slope = View::whole(backward.ledger.hold(bytes), bytes);
            drop(output);
            let dx = backward.ledger.binary(slope, dy);
            backward.pass(inner, dx);
        });
        SymbolicTensor {
            view: self.ledger.unary(x.view),
            shape: x.shape,
            node,
        }
    }

    /// Keeps x, of which tanh(x) is made again.
    fn tanh(&self, x: Rows) -> Rows {
        let node = self.node(&[x.node], false);
        let inner = x.node;
        let kept = node.tracked.then(|| x.view.clone());
        self.record(node, move |backward, dy| {
            let slope = kept.map(|x| backward.ledger.unary(x));
            let dx = match slope {
                Some(slope) => backward.ledger.binary(dy, slope),
                None => dy,
            };
            backward.pass(inner, dx);
        });
        SymbolicTensor {
            view: self.ledger.unary(x.view),
            shape: x.shape,
            node,
        }
    }

    /// Between two bounds, each of which keeps a mask of where it was crossed.
    fn clamp(&self, x: Rows) -> Rows {
        let node = self.node(&[self.node(&[x.node], false)], false);
        let (inner, bytes) = (x.node, x.view.bytes);
        let masks = [(); 2].map(|()| self.ledger.hold(bytes));
        self.record(node, move |backward, dy| {
            let dx = backward.ledger.unary(dy);
            drop(masks);
            backward.pass(inner, dx);
        });
        SymbolicTensor {
            view: self.ledger.unary(x.view),
            shape: x.shape,
            node,
        }
    }
}
