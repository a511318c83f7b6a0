//! The backward passes of linear layers, with and without a low-rank branch beside them.

use super::super::forms::{AdaptedForm, BaseForm, LoraForm, PackedForm};
use super::super::forward::{column_sums, dropout, rows_width};
use super::super::launch::{Launch, Output};
use super::super::products::{
    Product, adapted_product, add_low_rank, linear_dx, low_rank_inputs, packed_product, product_and_low_rank,
};
use super::handed::{hand, take_so_far};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_autodiff::NodeId;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops as Node};
use lorakeet_shaders::{Add as MatMulAdd, LowRankBack, LowRankMember};

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
            let dw = linear_dw::<B>(x, dy.clone(), &w, self.transposed);
            grads.register::<B>(node.id, dw);
        }
        if let Some(node) = of_bias {
            grads.register::<B>(node.id, column_sums::<B>(dy.clone()));
        }
        if let Some(node) = of_x {
            let so_far = take_so_far!(B, grads, ops.node, node);
            hand::<B>(grads, node.id, linear_dx::<B>(dy, w, so_far, self.transposed));
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
            let so_far = take_so_far!(B, grads, ops.node, node).map(|sum| (sum, MatMulAdd::Full));
            hand::<B>(grads, node.id, packed_product::<B>(dy, words, so_far, self.form.back()));
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
        let h = low_rank_inputs::<B>(x.clone(), a.clone(), form);
        Self { x, a, b, h, form }
    }

    /// y + s · h · bᵀ.
    pub(super) fn add_to(&self, y: FloatTensor<B>) -> FloatTensor<B> {
        add_low_rank::<B>(y, self.h.clone(), self.b.clone(), self.form.scale)
    }

    /// x · Wᵀ + addend + s · h · bᵀ.
    pub(super) fn beside(
        &self,
        w: FloatTensor<B>,
        addend: Option<(FloatTensor<B>, MatMulAdd)>,
        form: AdaptedForm,
    ) -> FloatTensor<B> {
        adapted_product::<B>(self.x.clone(), w, addend, [self.h.clone(), self.b.clone()], form)
    }

    /// Registers the gradients of a and b; gives the one of dropout(x) · aᵀ, and a.
    fn backward(
        self,
        dy: FloatTensor<B>,
        [of_a, of_b]: [Option<NodeId>; 2],
        grads: &mut Gradients,
    ) -> [FloatTensor<B>; 2] {
        let Self { x, a, b, h, form } = self;
        let dh = match of_b {
            Some(node) => {
                let [db, dh] = through_second_matrix::<B>(dy, h, b, form.scale);
                grads.register::<B>(node, db);
                dh
            }
            None => low_rank_dh::<B>(dy, b, form.scale),
        };
        if let Some(node) = of_a {
            let x = dropout::<B>(x, form.dropout, form.seed);
            let da = linear_dw::<B>(x, dh.clone(), &a, false);
            grads.register::<B>(node, da);
        }
        [dh, a]
    }
}

/// db = scale · dyᵀ · h and dh = scale · dy · b: in one launch, unless a GPU would gain by making long sums in parts.
fn through_second_matrix<B: Launch>(
    dy: FloatTensor<B>,
    h: FloatTensor<B>,
    b: FloatTensor<B>,
    scale: f32,
) -> [FloatTensor<B>; 2] {
    let ((rows, outputs), (_, rank)) = (rows_width(&dy.shape()), rows_width(&h.shape()));
    let kernel = LowRankBack {
        rows,
        members: vec![LowRankMember { outputs, rank, scale }],
    };
    let place = B::gradient_of(&b);
    if kernel.has_short_sums() {
        let places = [place, Output::New(h.shape())];
        return B::launch_to(kernel, vec![dy, h, b], places);
    }
    let product = Product {
        m: outputs,
        n: rank,
        k: rows,
        a_trans: true,
        b_trans: false,
        alpha: scale,
    };
    let db = product.run_to::<B>(dy.clone(), h, place);
    [db, low_rank_dh::<B>(dy, b, scale)]
}

/// dh = scale · dy · b.
fn low_rank_dh<B: Launch>(dy: FloatTensor<B>, b: FloatTensor<B>, scale: f32) -> FloatTensor<B> {
    let ((rows, outputs), (_, rank)) = (rows_width(&dy.shape()), rows_width(&b.shape()));
    let product = Product {
        m: rows,
        n: rank,
        k: outputs,
        a_trans: false,
        b_trans: false,
        alpha: scale,
    };
    product.run::<B>(dy, b)
}

/// dx = dropout(dh · a).
fn low_rank_dx<B: Launch>([dh, a]: [FloatTensor<B>; 2], form: LoraForm) -> FloatTensor<B> {
    dropout::<B>(linear_dx::<B>(dh, a, None, false), form.dropout, form.seed)
}

#[derive(Debug)]
pub(super) struct LoraBackward;

impl<B: Launch> Backward<B, 4> for LoraBackward {
    type State = Branch<B>;
    fn backward(self, ops: Node<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [of_y, of_x, of_a, of_b] = ops.parents.map(|node| node.map(|node| node.id));
        let form = ops.state.form;
        let low = ops.state.backward(dy.clone(), [of_a, of_b], grads);
        if let Some(node) = of_x {
            hand::<B>(grads, node, low_rank_dx::<B>(low, form));
        }
        if let Some(node) = of_y {
            hand::<B>(grads, node, dy);
        }
    }
}

/// Of what is added, if something is, and of x, w, a and b.
#[derive(Debug)]
pub(super) struct AdaptedBackward {
    pub(super) form: AdaptedForm,
    /// Whether what is added is a bias.
    pub(super) has_bias: bool,
}

/// N is 4, 5 where something is added.
impl<B: Launch, const N: usize> Backward<B, N> for AdaptedBackward {
    /// And w.
    type State = (Branch<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((branch, w), mut parents) = (ops.state, ops.parents.into_iter());
        let of_addend = if N == 5 { parents.next().flatten() } else { None };
        let [of_x, of_w, of_a, of_b] = std::array::from_fn(|_| parents.next().flatten());
        let AdaptedForm { base, lora } = self.form;
        match of_addend {
            Some(node) if self.has_bias => grads.register::<B>(node.id, column_sums::<B>(dy.clone())),
            Some(node) => hand::<B>(grads, node.id, dy.clone()),
            None => {}
        }
        if let (Some(node), BaseForm::Dense { transposed }) = (of_w, base) {
            let dw = linear_dw::<B>(branch.x.clone(), dy.clone(), &w, transposed);
            grads.register::<B>(node.id, dw);
        }
        let ids = [of_a.map(|node| node.id), of_b.map(|node| node.id)];
        let low = branch.backward(dy.clone(), ids, grads);
        let Some(node) = of_x else { return };
        if lora.dropout == 0.0 {
            // All ways to x are summed where the largest is.
            let so_far = take_so_far!(B, grads, ops.node, node).map(|sum| (sum, MatMulAdd::Full));
            let dx = product_and_low_rank::<B>(dy, w, so_far, low, (base, 1.0), true);
            hand::<B>(grads, node.id, dx);
            return;
        }
        let dropped = low_rank_dx::<B>(low, lora);
        let dx = match base {
            BaseForm::Dense { transposed } => linear_dx::<B>(dy, w, Some(dropped), transposed),
            BaseForm::Packed(form) => packed_product::<B>(dy, w, Some((dropped, MatMulAdd::Full)), form.back()),
        };
        hand::<B>(grads, node.id, dx);
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
