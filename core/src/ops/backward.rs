//! The gradients of the engine's operations: [`Autodiff`] runs the forward pass of [`super::forward`] and records a
//! hand-written backward pass where an input wants a gradient.
//!
//! States hold tensors that exist anyway (inputs, small outputs) and recompute the rest: attention keeps a number for each row of its scores,
//! dropout keeps no mask, the vocabulary loss keeps no logits. A gradient is computed only for the inputs that want one,
//! so a frozen weight costs nothing in the backward pass.

mod ends;
mod fused;
mod group;
mod handed;
mod layers;
mod linear;

use super::attention::{AttentionBackward, AttentionState};
use super::dispatched::Ops;
use super::forms::{AdamWStep, AdaptedForm, AttentionForm, LoraForm, PackedForm, RopeForm, VocabularyForm};
use super::group::Member;
use super::launch::Launch;
use super::vocabulary::{NeedsGrad, VocabularyLoss, vocabulary_loss};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend};
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_autodiff::ops::{Backward, OpsKind};
use ends::{AddBackward, EmbeddingBackward, GivenGradient, Inject, VocabularyLossBackward};
use group::{Group, GroupBackward};
use layers::{DropoutBackward, GeluBackward, GeluNewBackward, LayerNormBackward, RmsNormBackward, SiluMulBackward};
use linear::{AdaptedBackward, Branch, LinearBackward, LoraBackward, PackedLinearBackward};
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
            [x.clone(), w.clone(), b.clone()],
            <B as Ops>::layer_norm(x, w, b, eps)
        )
    }

    fn rotate(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        form: RopeForm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [q, k, cos, sin] = [q, k, cos, sin].map(|x| x.into_primitive());
        let (q, k) = B::rotate(q, k, cos, sin, form);
        (Self::from_inner(q), Self::from_inner(k))
    }

    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        form: AttentionForm,
    ) -> FloatTensor<Self> {
        let nodes = [q.node(), k.node(), v.node()];
        let qkv = [q, k, v].map(|x| x.into_primitive());
        let state = AttentionState::<B>::attend(qkv, None, None, mask.into_primitive(), form);
        let output = state.out.clone();
        track!(C, AttentionBackward { form }, nodes, state, output)
    }

    fn attention_rotary(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        form: AttentionForm,
    ) -> FloatTensor<Self> {
        let nodes = [q.node(), k.node(), v.node()];
        let qkv = [q, k, v].map(|x| x.into_primitive());
        let angles = [cos, sin].map(|x| x.into_primitive());
        let state = AttentionState::<B>::attend(qkv, None, Some(angles), mask.into_primitive(), form);
        let output = state.out.clone();
        track!(C, AttentionBackward { form }, nodes, state, output)
    }

    fn attention_bias(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        form: AttentionForm,
    ) -> FloatTensor<Self> {
        let nodes = [q.node(), k.node(), v.node(), bias.node()];
        let qkv = [q, k, v].map(|x| x.into_primitive());
        let bias = Some(bias.into_primitive());
        let state = AttentionState::<B>::attend(qkv, bias, None, mask.into_primitive(), form);
        let output = state.out.clone();
        track!(C, AttentionBackward { form }, nodes, state, output)
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
            (ids.clone(), w.clone()),
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

    fn adapted(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdaptedForm,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w.node(), a.node(), b.node()];
        let [x, w, a, b] = [x, w, a, b].map(|tensor| tensor.into_primitive());
        let branch = Branch::<B>::new(x, a, b, form.lora);
        let output = branch.beside(w.clone(), None, form);
        let has_bias = false;
        track!(C, AdaptedBackward { form, has_bias }, nodes, (branch, w), output)
    }

    fn adapted_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdaptedForm,
    ) -> FloatTensor<Self> {
        let nodes = [bias.node(), x.node(), w.node(), a.node(), b.node()];
        let [x, w, a, b, bias] = [x, w, a, b, bias].map(|tensor| tensor.into_primitive());
        let branch = Branch::<B>::new(x, a, b, form.lora);
        let output = branch.beside(w.clone(), Some((bias, MatMulAdd::Row)), form);
        let has_bias = true;
        track!(C, AdaptedBackward { form, has_bias }, nodes, (branch, w), output)
    }

    fn adapted_onto(
        rows: FloatTensor<Self>,
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdaptedForm,
    ) -> FloatTensor<Self> {
        // In the order of a sum: burn goes backward through what stands last before it goes through what stands first.
        let nodes = [rows.node(), x.node(), w.node(), a.node(), b.node()];
        let [x, w, a, b, rows] = [x, w, a, b, rows].map(|tensor| tensor.into_primitive());
        let branch = Branch::<B>::new(x, a, b, form.lora);
        let output = branch.beside(w.clone(), Some((rows, MatMulAdd::Full)), form);
        let has_bias = false;
        track!(C, AdaptedBackward { form, has_bias }, nodes, (branch, w), output)
    }

    fn adapted_two(
        x: FloatTensor<Self>,
        w0: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        a0: FloatTensor<Self>,
        a1: FloatTensor<Self>,
        b0: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        forms: [AdaptedForm; 2],
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [[x.node(), a0.node(), b0.node()], [x.node(), a1.node(), b1.node()]];
        let [x, w0, w1, a0, a1, b0, b1] = [x, w0, w1, a0, a1, b0, b1].map(|tensor| tensor.into_primitive());
        let [form0, form1] = forms;
        let members = [Member::new(w0, [a0, b0], form0), Member::new(w1, [a1, b1], form1)];
        let ([y0, y1], group) = Group::run(x, members);
        let record = |member, nodes, y| track!(C, GroupBackward { member }, nodes, group.clone(), y);
        let [nodes0, nodes1] = nodes;
        (record(0, nodes0, y0), record(1, nodes1, y1))
    }

    fn adapted_three(
        x: FloatTensor<Self>,
        w0: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        a0: FloatTensor<Self>,
        a1: FloatTensor<Self>,
        a2: FloatTensor<Self>,
        b0: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        b2: FloatTensor<Self>,
        forms: [AdaptedForm; 3],
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [
            [x.node(), a0.node(), b0.node()],
            [x.node(), a1.node(), b1.node()],
            [x.node(), a2.node(), b2.node()],
        ];
        let [w0, w1, w2] = [w0, w1, w2].map(|tensor| tensor.into_primitive());
        let [x, a0, a1, a2, b0, b1, b2] = [x, a0, a1, a2, b0, b1, b2].map(|tensor| tensor.into_primitive());
        let [form0, form1, form2] = forms;
        let members = [
            Member::new(w0, [a0, b0], form0),
            Member::new(w1, [a1, b1], form1),
            Member::new(w2, [a2, b2], form2),
        ];
        let ([y0, y1, y2], group) = Group::run(x, members);
        let record = |member, nodes, y| track!(C, GroupBackward { member }, nodes, group.clone(), y);
        let [nodes0, nodes1, nodes2] = nodes;
        (record(0, nodes0, y0), record(1, nodes1, y1), record(2, nodes2, y2))
    }

    fn adapted_three_bias(
        x: FloatTensor<Self>,
        w0: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        bias0: FloatTensor<Self>,
        bias1: FloatTensor<Self>,
        bias2: FloatTensor<Self>,
        a0: FloatTensor<Self>,
        a1: FloatTensor<Self>,
        a2: FloatTensor<Self>,
        b0: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        b2: FloatTensor<Self>,
        forms: [AdaptedForm; 3],
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [
            [x.node(), a0.node(), b0.node(), bias0.node()],
            [x.node(), a1.node(), b1.node(), bias1.node()],
            [x.node(), a2.node(), b2.node(), bias2.node()],
        ];
        let [w0, w1, w2] = [w0, w1, w2].map(|tensor| tensor.into_primitive());
        let [bias0, bias1, bias2] = [bias0, bias1, bias2].map(|tensor| tensor.into_primitive());
        let [x, a0, a1, a2, b0, b1, b2] = [x, a0, a1, a2, b0, b1, b2].map(|tensor| tensor.into_primitive());
        let [form0, form1, form2] = forms;
        let members = [
            Member::new(w0, [a0, b0], form0).with_bias(bias0),
            Member::new(w1, [a1, b1], form1).with_bias(bias1),
            Member::new(w2, [a2, b2], form2).with_bias(bias2),
        ];
        let ([y0, y1, y2], group) = Group::run(x, members);
        let record = |member, nodes, y| track!(C, GroupBackward { member }, nodes, group.clone(), y);
        let [nodes0, nodes1, nodes2] = nodes;
        (record(0, nodes0, y0), record(1, nodes1, y1), record(2, nodes2, y2))
    }

    fn add(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(C, AddBackward, [x, y], (), <B as Ops>::add(x, y))
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

    fn scaled_sum(x: FloatTensor<Self>, scale: f32) -> FloatTensor<Self> {
        Self::from_inner(B::scaled_sum(x.into_primitive(), scale))
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

    fn inject(root: FloatTensor<Self>, x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let (gradient, nodes) = (gradient.into_primitive(), [root.node(), x.node()]);
        let root = root.into_primitive();
        match Inject.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(gradient, root),
            OpsKind::UnTracked(prep) => prep.finish(root),
        }
    }

    fn begins_at(root: FloatTensor<Self>) -> bool {
        ends::begin_at(root.id());
        true
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

    fn write(tensor: FloatTensor<Self>, start: usize, numbers: Vec<f32>) -> FloatTensor<Self> {
        Self::from_inner(B::write(tensor.into_primitive(), start, numbers))
    }

    fn sum_squares(x: FloatTensor<Self>, parts: usize) -> FloatTensor<Self> {
        Self::from_inner(B::sum_squares(x.into_primitive(), parts))
    }

    fn sum_squares_of_seven(
        x0: FloatTensor<Self>,
        x1: FloatTensor<Self>,
        x2: FloatTensor<Self>,
        x3: FloatTensor<Self>,
        x4: FloatTensor<Self>,
        x5: FloatTensor<Self>,
        x6: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [x0, x1, x2, x3, x4, x5, x6] = [x0, x1, x2, x3, x4, x5, x6].map(|x| x.into_primitive());
        Self::from_inner(B::sum_squares_of_seven(x0, x1, x2, x3, x4, x5, x6))
    }

    fn open_gradient_places(values: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::open_gradient_places(values.into_primitive()))
    }

    fn is_slice(x: FloatTensor<Self>, whole: FloatTensor<Self>, start: usize) -> bool {
        B::is_slice(x.into_primitive(), whole.into_primitive(), start)
    }
}
