//! The backward passes of what a model begins and ends with (rows of a table, the loss over a vocabulary), of sums, and of what is
//! given its gradient.

use super::super::forward::rows_width;
use super::super::launch::Launch;
use super::handed::hand;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Shape, TensorMetadata};
use burn_autodiff::NodeId;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops as Node};
use lorakeet_shaders as kernels;
use std::cell::Cell;

thread_local! {
    /// Where this thread's last backward pass began that said so. No other node is ever given the same number, and a node's
    /// operation is gone through once.
    static ROOT: Cell<Option<NodeId>> = const { Cell::new(None) };
}

/// See [`Ops::begins_at`](super::super::dispatched::Ops::begins_at).
pub(super) fn begin_at(root: NodeId) {
    ROOT.set(Some(root));
}

/// A gradient that was made for an upstream gradient of 1, times the one that there is.
struct Upstream<B: Launch> {
    /// `None` where it is 1.
    factor: Option<FloatTensor<B>>,
}

impl<B: Launch> Upstream<B> {
    fn of<S, const N: usize>(ops: &Node<S, N>, grads: &mut Gradients) -> Self {
        let factor = grads.consume::<B>(&ops.node);
        Self {
            factor: (ROOT.get() != Some(ops.node.id)).then_some(factor),
        }
    }

    fn times(&self, gradient: FloatTensor<B>) -> FloatTensor<B> {
        let Some(factor) = &self.factor else { return gradient };
        let ones = vec![1; gradient.shape().num_dims()];
        B::float_mul(gradient, B::float_reshape(factor.clone(), Shape::from(ones)))
    }
}

#[derive(Debug)]
pub(super) struct AddBackward;

impl<B: Launch> Backward<B, 2> for AddBackward {
    type State = ();
    fn backward(self, ops: Node<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        for node in ops.parents.into_iter().flatten() {
            hand::<B>(grads, node.id, dy.clone());
        }
    }
}

#[derive(Debug)]
pub(super) struct GivenGradient;

impl<B: Launch> Backward<B, 1> for GivenGradient {
    /// The gradient for an upstream gradient of 1.
    type State = FloatTensor<B>;
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = Upstream::<B>::of(&ops, grads);
        let (gradient, [of_x]) = (ops.state, ops.parents);
        if let Some(node) = of_x {
            grads.register::<B>(node.id, upstream.times(gradient));
        }
    }
}

#[derive(Debug)]
pub(super) struct Inject;

impl<B: Launch> Backward<B, 2> for Inject {
    type State = FloatTensor<B>;
    fn backward(self, ops: Node<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = grads.consume::<B>(&ops.node);
        let (gradient, [of_root, of_x]) = (ops.state, ops.parents);
        if let Some(node) = of_x {
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = of_root {
            grads.register::<B>(node.id, upstream);
        }
    }
}

#[derive(Debug)]
pub(super) struct EmbeddingBackward;

impl<B: Launch> Backward<B, 1> for EmbeddingBackward {
    /// The ids and the table, whose numbers are not read.
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((ids, table), [of_w]) = (ops.state, ops.parents);
        if let Some(node) = of_w {
            let (tokens, (vocab, width)) = (ids.shape().num_elements(), rows_width(&table.shape()));
            let kernel = kernels::EmbeddingBackward { tokens, vocab, width };
            let [dw] = B::launch_to(kernel, vec![ids, dy], [B::gradient_of(&table)]);
            grads.register::<B>(node.id, dw);
        }
    }
}

#[derive(Debug)]
pub(super) struct VocabularyLossBackward;

/// N is 2 for x and w, 3 where there is a bias.
impl<B: Launch, const N: usize> Backward<B, N> for VocabularyLossBackward {
    /// Gradients for an upstream gradient of 1.
    type State = [Option<FloatTensor<B>>; N];
    fn backward(self, ops: Node<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = Upstream::<B>::of(&ops, grads);
        for (node, gradient) in ops.parents.into_iter().zip(ops.state) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, upstream.times(gradient));
            }
        }
    }
}
