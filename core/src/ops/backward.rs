//! The gradients of the engine's operations: [`Autodiff`] runs the forward pass of [`super::forward`] and records a
//! hand-written backward pass where an input wants a gradient.
//!
//! States hold tensors that exist anyway (inputs, small outputs) and recompute the rest: attention keeps no scores,
//! dropout keeps no mask, the vocabulary loss keeps no logits. A gradient is computed only for the inputs that want one,
//! so a frozen weight costs nothing in the backward pass.

use super::attention::{Probabilities, cap_kernel, probabilities, softmax_kernel};
use super::forms::{AdamWStep, AttentionForm, LoraForm, PackedForm, RopeForm, VocabularyForm};
use super::forward::{
    Ops, Product, add_low_rank, column_sums, dropout, launch_one, linear_dx, packed_product, rope_kernel, rows_width,
};
use super::launch::Launch;
use super::vocabulary::{NeedsGrad, VocabularyLoss, vocabulary_loss};
use burn::backend::{Autodiff, AutodiffBackend, Shape, TensorMetadata, tensor::FloatTensor};
use burn_autodiff::{
    NodeId,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops as Node, OpsKind},
};
use lorakeet_shaders as kernels;
use lorakeet_shaders::Add as MatMulAdd;

/// Runs a forward pass, and records `$backward` with `$state` where an input wants a gradient.
macro_rules! record {
    ($C:ident, $backward:expr, [$($input:ident),+], $state:expr, $output:expr) => {{
        let nodes = [$($input.node()),+];
        $(let $input = $input.into_primitive();)+
        track!($C, $backward, nodes, $state, $output)
    }};
}

/// Records `$backward` with `$state` for `$output`, where one of `$nodes` wants a gradient.
macro_rules! track {
    ($C:ident, $backward:expr, $nodes:expr, $state:expr, $output:expr) => {
        match $backward.prepare::<$C>($nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = $state;
                prep.finish(state, $output)
            }
            OpsKind::UnTracked(prep) => prep.finish($output),
        }
    };
}

impl<B: Launch, C: CheckpointStrategy> Ops for Autodiff<B, C> {
    fn linear(x: FloatTensor<Self>, w: FloatTensor<Self>, transposed: bool) -> FloatTensor<Self> {
        record!(
            C,
            LinearBackward { transposed },
            [x, w],
            (x.clone(), w.clone()),
            <B as Ops>::linear(x, w, transposed)
        )
    }

    fn linear_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        transposed: bool,
    ) -> FloatTensor<Self> {
        record!(
            C,
            LinearBackward { transposed },
            [x, w, bias],
            (x.clone(), w.clone()),
            <B as Ops>::linear_bias(x, w, bias, transposed)
        )
    }

    fn lora(
        y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: LoraForm,
    ) -> FloatTensor<Self> {
        let nodes = [y.node(), x.node(), a.node(), b.node()];
        let branch = Branch::<B>::new(x.into_primitive(), a.into_primitive(), b.into_primitive(), form);
        let output = branch.add_to(y.into_primitive());
        track!(C, LoraBackward, nodes, branch, output)
    }

    fn rms_norm(x: FloatTensor<Self>, w: FloatTensor<Self>, eps: f32) -> FloatTensor<Self> {
        record!(
            C,
            RmsNormBackward { eps },
            [x, w],
            (x.clone(), w.clone()),
            <B as Ops>::rms_norm(x, w, eps)
        )
    }

    fn layer_norm(x: FloatTensor<Self>, w: FloatTensor<Self>, b: FloatTensor<Self>, eps: f32) -> FloatTensor<Self> {
        record!(
            C,
            LayerNormBackward { eps },
            [x, w, b],
            (x.clone(), w.clone()),
            <B as Ops>::layer_norm(x, w, b, eps)
        )
    }

    fn rope(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>, form: RopeForm) -> FloatTensor<Self> {
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        record!(
            C,
            RopeBackward { form },
            [x],
            (cos.clone(), sin.clone()),
            <B as Ops>::rope(x, cos, sin, form)
        )
    }

    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        form: AttentionForm,
    ) -> FloatTensor<Self> {
        let mask = mask.into_primitive();
        record!(
            C,
            AttentionBackward { form },
            [q, k, v],
            AttentionState {
                q: q.clone(),
                k: k.clone(),
                v: v.clone(),
                bias: None,
                mask: mask.clone()
            },
            <B as Ops>::attention(q, k, v, mask, form)
        )
    }

    fn attention_bias(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        form: AttentionForm,
    ) -> FloatTensor<Self> {
        let mask = mask.into_primitive();
        record!(
            C,
            AttentionBackward { form },
            [q, k, v, bias],
            AttentionState {
                q: q.clone(),
                k: k.clone(),
                v: v.clone(),
                bias: Some(bias.clone()),
                mask: mask.clone()
            },
            <B as Ops>::attention_bias(q, k, v, bias, mask, form)
        )
    }

    fn silu_mul(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(
            C,
            SiluMulBackward,
            [gate, up],
            (gate.clone(), up.clone()),
            <B as Ops>::silu_mul(gate, up)
        )
    }

    fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(C, GeluBackward, [x], x.clone(), <B as Ops>::gelu(x))
    }

    fn dropout(x: FloatTensor<Self>, p: f32, seed: u64) -> FloatTensor<Self> {
        record!(C, DropoutBackward { p, seed }, [x], (), <B as Ops>::dropout(x, p, seed))
    }

    fn gelu_new(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(C, GeluNewBackward, [x], x.clone(), <B as Ops>::gelu_new(x))
    }

    fn embedding(ids: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self> {
        let ids = ids.into_primitive();
        record!(
            C,
            EmbeddingBackward,
            [w],
            (ids.clone(), w.shape()),
            <B as Ops>::embedding(ids, w)
        )
    }

    fn vocabulary_loss(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        form: VocabularyForm,
    ) -> FloatTensor<Self> {
        let needs = NeedsGrad {
            dx: x.is_tracked(),
            dw: w.is_tracked(),
            dbias: false,
        };
        let nodes = [x.node(), w.node()];
        let (x, w, targets) = (x.into_primitive(), w.into_primitive(), targets.into_primitive());
        let VocabularyLoss { loss, dx, dw, .. } = vocabulary_loss::<B>(x, w, None, targets, form, needs);
        match VocabularyLossBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish([dx, dw], loss),
            OpsKind::UnTracked(prep) => prep.finish(loss),
        }
    }

    fn packed_linear(x: FloatTensor<Self>, words: FloatTensor<Self>, form: PackedForm) -> FloatTensor<Self> {
        let words = words.into_primitive();
        record!(
            C,
            PackedLinearBackward { form },
            [x],
            words.clone(),
            <B as Ops>::packed_linear(x, words, form)
        )
    }

    fn packed_linear_bias(
        x: FloatTensor<Self>,
        words: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: PackedForm,
    ) -> FloatTensor<Self> {
        let words = words.into_primitive();
        record!(
            C,
            PackedLinearBackward { form },
            [x, bias],
            words.clone(),
            <B as Ops>::packed_linear_bias(x, words, bias, form)
        )
    }

    fn packed_lora(
        x: FloatTensor<Self>,
        words: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: PackedForm,
        lora: LoraForm,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), a.node(), b.node()];
        let (x, words) = (x.into_primitive(), words.into_primitive());
        let y = B::packed_linear(x.clone(), words.clone(), form);
        let branch = Branch::<B>::new(x, a.into_primitive(), b.into_primitive(), lora);
        let output = branch.add_to(y);
        track!(C, PackedLoraBackward { form }, nodes, (branch, words), output)
    }

    fn packed_lora_bias(
        x: FloatTensor<Self>,
        words: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: PackedForm,
        lora: LoraForm,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), a.node(), b.node(), bias.node()];
        let (x, words) = (x.into_primitive(), words.into_primitive());
        let y = B::packed_linear_bias(x.clone(), words.clone(), bias.into_primitive(), form);
        let branch = Branch::<B>::new(x, a.into_primitive(), b.into_primitive(), lora);
        let output = branch.add_to(y);
        track!(C, PackedLoraBackward { form }, nodes, (branch, words), output)
    }

    fn packed_embedding(
        ids: FloatTensor<Self>,
        words: FloatTensor<Self>,
        table: kernels::Packed,
        first_row: usize,
    ) -> FloatTensor<Self> {
        let (ids, words) = (ids.into_primitive(), words.into_primitive());
        Self::from_inner(B::packed_embedding(ids, words, table, first_row))
    }

    fn cross_entropy(logits: FloatTensor<Self>, targets: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::cross_entropy(logits.into_primitive(), targets.into_primitive()))
    }

    fn soft_cap(logits: FloatTensor<Self>, cap: f32) -> FloatTensor<Self> {
        Self::from_inner(B::soft_cap(logits.into_primitive(), cap))
    }

    fn cross_entropy_backward(
        logits: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        form: VocabularyForm,
    ) -> FloatTensor<Self> {
        let (logits, targets) = (logits.into_primitive(), targets.into_primitive());
        Self::from_inner(B::cross_entropy_backward(logits, targets, form))
    }

    fn given_gradient(
        x: FloatTensor<Self>,
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let gradient = gradient.into_primitive();
        let value = value.into_primitive();
        let node = [x.node()];
        match GivenGradient.prepare::<C>(node).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(gradient, value),
            OpsKind::UnTracked(prep) => prep.finish(value),
        }
    }

    fn vocabulary_loss_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        form: VocabularyForm,
    ) -> FloatTensor<Self> {
        let needs = NeedsGrad {
            dx: x.is_tracked(),
            dw: w.is_tracked(),
            dbias: bias.is_tracked(),
        };
        let nodes = [x.node(), w.node(), bias.node()];
        let (x, w, bias) = (x.into_primitive(), w.into_primitive(), bias.into_primitive());
        let found = vocabulary_loss::<B>(x, w, Some(bias), targets.into_primitive(), form, needs);
        match VocabularyLossBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish([found.dx, found.dw, found.dbias], found.loss),
            OpsKind::UnTracked(prep) => prep.finish(found.loss),
        }
    }

    fn adamw(
        p: FloatTensor<Self>,
        g: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (p, m, v) = B::adamw(
            p.into_primitive(),
            g.into_primitive(),
            m.into_primitive(),
            v.into_primitive(),
            step,
        );
        (Self::from_inner(p), Self::from_inner(m), Self::from_inner(v))
    }

    fn adamw_8bit(
        p: FloatTensor<Self>,
        g: FloatTensor<Self>,
        state: FloatTensor<Self>,
        tables: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (p, state) = B::adamw_8bit(
            p.into_primitive(),
            g.into_primitive(),
            state.into_primitive(),
            tables.into_primitive(),
            step,
        );
        (Self::from_inner(p), Self::from_inner(state))
    }

    fn sum_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::sum_squares(x.into_primitive()))
    }
}

#[derive(Debug)]
struct LinearBackward {
    transposed: bool,
}
/// N is 2 for x and w, 3 where there is a bias.
impl<B: Launch, const N: usize> Backward<B, N> for LinearBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((x, w), mut parents) = (ops.state, ops.parents.into_iter());
        let [of_x, of_w, of_bias] = std::array::from_fn(|_| parents.next().flatten());
        if let Some(node) = of_w {
            let dw = linear_dw::<B>(x.clone(), dy.clone(), self.transposed);
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
struct PackedLinearBackward {
    form: PackedForm,
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

#[derive(Debug)]
struct GivenGradient;
impl<B: Launch> Backward<B, 1> for GivenGradient {
    /// The gradient for an upstream gradient of 1.
    type State = FloatTensor<B>;
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = B::float_reshape(grads.consume::<B>(&ops.node), Shape::new([1, 1]));
        let (gradient, [of_x]) = (ops.state, ops.parents);
        if let Some(node) = of_x {
            grads.register::<B>(node.id, B::float_mul(gradient, upstream));
        }
    }
}

/// What a low-rank adapter's branch keeps for its backward pass.
#[derive(Debug, Clone)]
struct Branch<B: Launch> {
    x: FloatTensor<B>,
    a: FloatTensor<B>,
    b: FloatTensor<B>,
    /// dropout(x) · aᵀ.
    h: FloatTensor<B>,
    form: LoraForm,
}

impl<B: Launch> Branch<B> {
    fn new(x: FloatTensor<B>, a: FloatTensor<B>, b: FloatTensor<B>, form: LoraForm) -> Self {
        let h = <B as Ops>::linear(dropout::<B>(x.clone(), form.dropout, form.seed), a.clone(), false);
        Self { x, a, b, h, form }
    }

    /// y + s · h · bᵀ.
    fn add_to(&self, y: FloatTensor<B>) -> FloatTensor<B> {
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
            grads.register::<B>(node, product.run::<B>(dy.clone(), h));
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
            let da = linear_dw::<B>(dropout::<B>(x, form.dropout, form.seed), dh.clone(), false);
            grads.register::<B>(node, da);
        }
        of_x.then(|| {
            let dx = dropout::<B>(linear_dx::<B>(dh, a, false), form.dropout, form.seed);
            B::float_reshape(dx, shape)
        })
    }
}

#[derive(Debug)]
struct LoraBackward;
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
struct PackedLoraBackward {
    form: PackedForm,
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

#[derive(Debug)]
struct RmsNormBackward {
    eps: f32,
}
impl<B: Launch> Backward<B, 2> for RmsNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((x, w), [of_x, of_w], eps) = (ops.state, ops.parents, self.eps);
        let (shape, (rows, width)) = (x.shape(), rows_width(&x.shape()));
        if let Some(node) = of_w {
            let kernel = kernels::RmsNormWeightBackward { rows, width, eps };
            grads.register::<B>(
                node.id,
                launch_one::<B>(kernel, vec![x.clone(), dy.clone()], Shape::new([width])),
            );
        }
        if let Some(node) = of_x {
            let kernel = kernels::RmsNormBackward { rows, width, eps };
            grads.register::<B>(node.id, launch_one::<B>(kernel, vec![x, w, dy], shape));
        }
    }
}

#[derive(Debug)]
struct LayerNormBackward {
    eps: f32,
}
impl<B: Launch> Backward<B, 3> for LayerNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((x, w), [of_x, of_w, of_b], eps) = (ops.state, ops.parents, self.eps);
        let (shape, (rows, width)) = (x.shape(), rows_width(&x.shape()));
        if of_w.is_some() || of_b.is_some() {
            let kernel = kernels::LayerNormWeightBackward { rows, width, eps };
            let shapes = [Shape::new([width]), Shape::new([width])];
            let [dw, db] = B::launch(kernel, vec![x.clone(), dy.clone()], shapes);
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
struct RopeBackward {
    form: RopeForm,
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
struct AttentionState<B: Launch> {
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    v: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    mask: FloatTensor<B>,
}

#[derive(Debug)]
struct AttentionBackward {
    form: AttentionForm,
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
struct SiluMulBackward;
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
struct GeluBackward;
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
struct GeluNewBackward;
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
struct DropoutBackward {
    p: f32,
    seed: u64,
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

#[derive(Debug)]
struct EmbeddingBackward;
impl<B: Launch> Backward<B, 1> for EmbeddingBackward {
    /// The ids and the table's shape.
    type State = (FloatTensor<B>, Shape);
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((ids, table), [of_w]) = (ops.state, ops.parents);
        if let Some(node) = of_w {
            let (tokens, (vocab, width)) = (ids.shape().num_elements(), rows_width(&table));
            let kernel = kernels::EmbeddingBackward { tokens, vocab, width };
            grads.register::<B>(node.id, launch_one::<B>(kernel, vec![ids, dy], table));
        }
    }
}

#[derive(Debug)]
struct VocabularyLossBackward;
/// N is 2 for x and w, 3 where there is a bias.
impl<B: Launch, const N: usize> Backward<B, N> for VocabularyLossBackward {
    /// Gradients for an upstream gradient of 1.
    type State = [Option<FloatTensor<B>>; N];
    fn backward(self, ops: Node<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = grads.consume::<B>(&ops.node);
        for (node, gradient) in ops.parents.into_iter().zip(ops.state) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                let ones = vec![1; gradient.shape().num_dims()];
                let factor = B::float_reshape(upstream.clone(), Shape::from(ones));
                grads.register::<B>(node.id, B::float_mul(gradient, factor));
            }
        }
    }
}

/// dw = dyᵀ · x, in w's own layout.
fn linear_dw<B: Launch>(x: FloatTensor<B>, dy: FloatTensor<B>, transposed: bool) -> FloatTensor<B> {
    let ((rows, inputs), (_, outputs)) = (rows_width(&x.shape()), rows_width(&dy.shape()));
    let product = |m, n| Product {
        m,
        n,
        k: rows,
        a_trans: true,
        b_trans: false,
        alpha: 1.0,
    };
    if transposed {
        product(inputs, outputs).run::<B>(x, dy)
    } else {
        product(outputs, inputs).run::<B>(dy, x)
    }
}
