//! The backward passes of linear layers, with and without a low-rank branch beside them.

use super::super::forms::{LoraForm, PackedForm};
use super::super::forward::{Ops, Product, add_low_rank, column_sums, dropout, linear_dx, packed_product, rows_width};
use super::super::launch::Launch;
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_autodiff::NodeId;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops as Node};
use lorakeet_shaders::Add as MatMulAdd;

#[derive(Debug)]
pub(super) struct LinearBackward {
    pub(super) transposed: bool,
}

/// N is 2 for x and w, 3 where there is a bias.
impl<B: Launch, const N: usize> Backward<B, N> for LinearBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((x, w), mut parents) = (ops.state, ops.parents.into_iter());
        let [of_x, of_w, of_bias] = std::array::from_fn(|_| parents.next().flatten());
        if let Some(node) = of_w {
            let dw = linear_dw::<B>(x.clone(), dy.clone(), &w, self.transposed);
            grads.register::<B>(node.id, dw);
        }
        if let Some(node) = of_bias {
            grads.register::<B>(node.id, column_sums::<B>(dy.clone()));
        }
        if let Some(node) = of_x {
            let dx = B::float_reshape(linear_dx::<B>(dy, w, self.transposed), x.shape());
            grads.register::<B>(node.id, dx);
        }
    }
}

#[derive(Debug)]
pub(super) struct PackedLinearBackward {
    pub(super) form: PackedForm,
}

/// N is 1 for x, 2 where there is a bias.
impl<B: Launch, const N: usize> Backward<B, N> for PackedLinearBackward {
    /// The words.
    type State = FloatTensor<B>;
    fn backward(self, ops: Node<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (words, mut parents) = (ops.state, ops.parents.into_iter());
        let [of_x, of_bias] = std::array::from_fn(|_| parents.next().flatten());
        if let Some(node) = of_bias {
            grads.register::<B>(node.id, column_sums::<B>(dy.clone()));
        }
        if let Some(node) = of_x {
            grads.register::<B>(node.id, packed_product::<B>(dy, words, None, self.form.back()));
        }
    }
}

/// What a low-rank adapter's branch keeps for its backward pass.
#[derive(Debug, Clone)]
pub(super) struct Branch<B: Launch> {
    pub(super) x: FloatTensor<B>,
    pub(super) a: FloatTensor<B>,
    pub(super) b: FloatTensor<B>,
    /// dropout(x) · aᵀ.
    pub(super) h: FloatTensor<B>,
    pub(super) form: LoraForm,
}

impl<B: Launch> Branch<B> {
    pub(super) fn new(x: FloatTensor<B>, a: FloatTensor<B>, b: FloatTensor<B>, form: LoraForm) -> Self {
        let h = <B as Ops>::linear(dropout::<B>(x.clone(), form.dropout, form.seed), a.clone(), false);
        Self { x, a, b, h, form }
    }

    /// y + s · h · bᵀ.
    pub(super) fn add_to(&self, y: FloatTensor<B>) -> FloatTensor<B> {
        add_low_rank::<B>(y, self.h.clone(), self.b.clone(), self.form.scale)
    }

    /// Registers the gradients of a and b; gives the one of x, if `of_x`.
    fn backward(
        self,
        dy: FloatTensor<B>,
        [of_a, of_b]: [Option<NodeId>; 2],
        of_x: bool,
        grads: &mut Gradients,
    ) -> Option<FloatTensor<B>> {
        let Self { x, a, b, h, form } = self;
        let ((rows, outputs), rank) = (rows_width(&dy.shape()), a.shape()[0]);
        if let Some(node) = of_b {
            let product = Product {
                m: outputs,
                n: rank,
                k: rows,
                a_trans: true,
                b_trans: false,
                alpha: form.scale,
            };
            let db = product.run_to::<B>(dy.clone(), h, B::gradient_of(&b));
            grads.register::<B>(node, db);
        }
        let down = Product {
            m: rows,
            n: rank,
            k: outputs,
            a_trans: false,
            b_trans: false,
            alpha: form.scale,
        };
        let dh = down.run::<B>(dy, b);
        let shape = x.shape();
        if let Some(node) = of_a {
            let x = dropout::<B>(x, form.dropout, form.seed);
            let da = linear_dw::<B>(x, dh.clone(), &a, false);
            grads.register::<B>(node, da);
        }
        of_x.then(|| {
            let dx = dropout::<B>(linear_dx::<B>(dh, a, false), form.dropout, form.seed);
            B::float_reshape(dx, shape)
        })
    }
}

#[derive(Debug)]
pub(super) struct LoraBackward;

impl<B: Launch> Backward<B, 4> for LoraBackward {
    type State = Branch<B>;
    fn backward(self, ops: Node<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [of_y, of_x, of_a, of_b] = ops.parents.map(|node| node.map(|node| node.id));
        let dx = ops.state.backward(dy.clone(), [of_a, of_b], of_x.is_some(), grads);
        if let Some((node, dx)) = of_x.zip(dx) {
            grads.register::<B>(node, dx);
        }
        if let Some(node) = of_y {
            grads.register::<B>(node, dy);
        }
    }
}

#[derive(Debug)]
pub(super) struct PackedLoraBackward {
    pub(super) form: PackedForm,
}

/// N is 3 for x, a and b, 4 where there is a bias.
impl<B: Launch, const N: usize> Backward<B, N> for PackedLoraBackward {
    /// And the words.
    type State = (Branch<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((branch, words), mut parents) = (ops.state, ops.parents.into_iter());
        let [of_x, of_a, of_b, of_bias] = std::array::from_fn(|_| parents.next().flatten().map(|node| node.id));
        if let Some(node) = of_bias {
            grads.register::<B>(node, column_sums::<B>(dy.clone()));
        }
        let dx = branch.backward(dy.clone(), [of_a, of_b], of_x.is_some(), grads);
        if let Some((node, dx)) = of_x.zip(dx) {
            // The sum of both ways to x is made where the larger one is.
            let addend = Some((dx, MatMulAdd::Full));
            grads.register::<B>(node, packed_product::<B>(dy, words, addend, self.form.back()));
        }
    }
}

/// dw = dyᵀ · x, in w's own layout.
fn linear_dw<B: Launch>(x: FloatTensor<B>, dy: FloatTensor<B>, w: &FloatTensor<B>, transposed: bool) -> FloatTensor<B> {
    let ((rows, inputs), (_, outputs)) = (rows_width(&x.shape()), rows_width(&dy.shape()));
    let product = |m, n| Product {
        m,
        n,
        k: rows,
        a_trans: true,
        b_trans: false,
        alpha: 1.0,
    };
    let output = B::gradient_of(w);
    if transposed {
        product(inputs, outputs).run_to::<B>(x, dy, output)
    } else {
        product(outputs, inputs).run_to::<B>(dy, x, output)
    }
}
