//! The backward passes of what lies between linear layers: norms, activations, dropout.

use super::super::forward::{dropout, launch_one, rows_width};
use super::super::launch::Launch;
use super::handed::{hand, take_so_far};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops as Node};
use lorakeet_shaders as kernels;

#[derive(Debug)]
pub(super) struct RmsNormBackward {
    pub(super) eps: f32,
}

impl<B: Launch> Backward<B, 2> for RmsNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((x, w), [of_x, of_w], eps) = (ops.state, ops.parents, self.eps);
        let (shape, (rows, width)) = (x.shape(), rows_width(&x.shape()));
        if let Some(node) = of_w {
            let kernel = kernels::RmsNormWeightBackward { rows, width, eps };
            let [dw] = B::launch_to(kernel, vec![x.clone(), dy.clone()], [B::gradient_of(&w)]);
            grads.register::<B>(node.id, dw);
        }
        if let Some(node) = of_x {
            let so_far = take_so_far!(B, grads, ops.node, node);
            let adds = so_far.is_some();
            let kernel = kernels::RmsNormBackward { rows, width, eps, adds };
            let inputs = [x, w, dy].into_iter().chain(so_far).collect();
            hand::<B>(grads, node.id, launch_one::<B>(kernel, inputs, shape));
        }
    }
}

#[derive(Debug)]
pub(super) struct LayerNormBackward {
    pub(super) eps: f32,
}

impl<B: Launch> Backward<B, 3> for LayerNormBackward {
    type State = [FloatTensor<B>; 3];
    fn backward(self, ops: Node<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ([x, w, b], [of_x, of_w, of_b], eps) = (ops.state, ops.parents, self.eps);
        let (shape, (rows, width)) = (x.shape(), rows_width(&x.shape()));
        if of_w.is_some() || of_b.is_some() {
            let kernel = kernels::LayerNormWeightBackward { rows, width, eps };
            let outputs = [B::gradient_of(&w), B::gradient_of(&b)];
            let [dw, db] = B::launch_to(kernel, vec![x.clone(), dy.clone()], outputs);
            if let Some(node) = of_w {
                grads.register::<B>(node.id, dw);
            }
            if let Some(node) = of_b {
                grads.register::<B>(node.id, db);
            }
        }
        if let Some(node) = of_x {
            let so_far = take_so_far!(B, grads, ops.node, node);
            let adds = so_far.is_some();
            let kernel = kernels::LayerNormBackward { rows, width, eps, adds };
            let inputs = [x, w, dy].into_iter().chain(so_far).collect();
            hand::<B>(grads, node.id, launch_one::<B>(kernel, inputs, shape));
        }
    }
}

#[derive(Debug)]
pub(super) struct SiluMulBackward;

impl<B: Launch> Backward<B, 2> for SiluMulBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((gate, up), [of_gate, of_up]) = (ops.state, ops.parents);
        let shape = gate.shape();
        let kernel = kernels::SiluMulBackward {
            len: shape.num_elements(),
        };
        let [dgate, dup] = B::launch(kernel, vec![gate, up, dy], [shape.clone(), shape]);
        if let Some(node) = of_gate {
            grads.register::<B>(node.id, dgate);
        }
        if let Some(node) = of_up {
            grads.register::<B>(node.id, dup);
        }
    }
}

#[derive(Debug)]
pub(super) struct GeluBackward;

impl<B: Launch> Backward<B, 1> for GeluBackward {
    type State = FloatTensor<B>;
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, [of_x]) = (ops.state, ops.parents);
        if let Some(node) = of_x {
            let shape = x.shape();
            let len = shape.num_elements();
            grads.register::<B>(
                node.id,
                launch_one::<B>(kernels::GeluBackward { len }, vec![x, dy], shape),
            );
        }
    }
}

#[derive(Debug)]
pub(super) struct GeluNewBackward;

impl<B: Launch> Backward<B, 1> for GeluNewBackward {
    type State = FloatTensor<B>;
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, [of_x]) = (ops.state, ops.parents);
        if let Some(node) = of_x {
            let shape = x.shape();
            let kernel = kernels::GeluNewBackward {
                len: shape.num_elements(),
            };
            grads.register::<B>(node.id, launch_one::<B>(kernel, vec![x, dy], shape));
        }
    }
}

/// What was dropped gets no gradient, the rest as much more as it was made larger: the same mask again.
#[derive(Debug)]
pub(super) struct DropoutBackward {
    pub(super) p: f32,
    pub(super) seed: u64,
}

impl<B: Launch> Backward<B, 1> for DropoutBackward {
    type State = ();
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, dropout::<B>(dy, self.p, self.seed));
        }
    }
}
