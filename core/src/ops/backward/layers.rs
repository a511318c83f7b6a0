//! The backward passes of what lies between linear layers: norms, positions, attention, activations, dropout.

use super::super::attention::{Probabilities, cap_kernel, probabilities, softmax_kernel};
use super::super::forms::{AttentionForm, RopeForm};
use super::super::forward::{Product, dropout, launch_one, rope_kernel, rows_width};
use super::super::launch::Launch;
use burn::backend::Shape;
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops as Node};
use lorakeet_shaders as kernels;
use lorakeet_shaders::Add as MatMulAdd;

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
            let kernel = kernels::RmsNormBackward { rows, width, eps };
            grads.register::<B>(node.id, launch_one::<B>(kernel, vec![x, w, dy], shape));
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
            let kernel = kernels::LayerNormBackward { rows, width, eps };
            grads.register::<B>(node.id, launch_one::<B>(kernel, vec![x, w, dy], shape));
        }
    }
}

#[derive(Debug)]
pub(super) struct RopeBackward {
    pub(super) form: RopeForm,
}

impl<B: Launch> Backward<B, 1> for RopeBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((cos, sin), [of_x]) = (ops.state, ops.parents);
        if let Some(node) = of_x {
            let shape = dy.shape();
            grads.register::<B>(
                node.id,
                launch_one::<B>(rope_kernel(self.form, true), vec![dy, cos, sin], shape),
            );
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct AttentionState<B: Launch> {
    pub(super) q: FloatTensor<B>,
    pub(super) k: FloatTensor<B>,
    pub(super) v: FloatTensor<B>,
    pub(super) bias: Option<FloatTensor<B>>,
    pub(super) mask: FloatTensor<B>,
}

#[derive(Debug)]
pub(super) struct AttentionBackward {
    pub(super) form: AttentionForm,
}

/// N is 3 for q, k and v, 4 where there is a bias.
impl<B: Launch, const N: usize> Backward<B, N> for AttentionBackward {
    type State = AttentionState<B>;
    fn backward(self, ops: Node<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (AttentionState { q, k, v, bias, mask }, form) = (ops.state, self.form);
        let mut parents = ops.parents.into_iter();
        let [of_q, of_k, of_v, of_bias] = std::array::from_fn(|_| parents.next().flatten());
        let (batch, rows, keys, dim) = (
            form.batch * form.kv_heads,
            form.group * form.queries,
            form.keys,
            form.head_dim,
        );
        let run = |m, n, k, (a_trans, b_trans), a, b, shape| {
            let product = Product {
                m,
                n,
                k,
                a_trans,
                b_trans,
                alpha: 1.0,
            };
            launch_one::<B>(product.batched(batch, MatMulAdd::None), vec![a, b], shape)
        };
        let scores = Shape::new([batch, rows, keys]);
        let Probabilities { p, capped } = probabilities::<B>(q.clone(), k.clone(), bias, mask, form);
        if let Some(node) = of_v {
            let dv = run(keys, dim, rows, (true, false), p.clone(), dy.clone(), v.shape());
            grads.register::<B>(node.id, dv);
        }
        if of_q.is_none() && of_k.is_none() && of_bias.is_none() {
            return;
        }
        let dp = run(rows, keys, dim, (false, true), dy, v, scores.clone());
        let ds = launch_one::<B>(softmax_kernel(form).backward(), vec![p, dp], scores.clone());
        let ds = match (cap_kernel(form), capped) {
            (Some(cap), Some(capped)) => launch_one::<B>(cap.backward(), vec![capped, ds], scores),
            _ => ds,
        };
        if let Some(node) = of_bias {
            let each = Shape::new([form.batch, form.kv_heads * form.group, form.queries, keys]);
            let dbias = B::float_sum_dim(B::float_reshape(ds.clone(), each), 0);
            grads.register::<B>(node.id, dbias);
        }
        if let Some(node) = of_k {
            let dk = run(keys, dim, rows, (true, false), ds.clone(), q.clone(), k.shape());
            grads.register::<B>(node.id, dk);
        }
        if let Some(node) = of_q {
            let dq = run(rows, dim, keys, (false, false), ds, k, q.shape());
            grads.register::<B>(node.id, dq);
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
