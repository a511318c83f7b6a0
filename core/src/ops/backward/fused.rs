//! The gradients of [`super::super::fused`]: nodes of the norm or the gate, and of the linears behind it, as if they had been launched
//! one by one.

use super::super::forms::AdaptedForm;
use super::super::fused::{Fused, gate_down, norm_down};
use super::super::group::Member;
use super::super::launch::Launch;
use super::group::{Group, GroupBackward};
use super::layers::{RmsNormBackward, SiluMulBackward};
use super::linear::{AdaptedBackward, Branch};
use burn::backend::Autodiff;
use burn::backend::tensor::FloatTensor;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_autodiff::ops::{Backward, NodeGuard, OpsKind};
use lorakeet_shaders::Add as MatMulAdd;

/// Records `backward` with `state` for `output`, where one of `nodes` wants a gradient.
fn tracked<B, C, T, const N: usize>(
    backward: T,
    nodes: [NodeGuard; N],
    state: T::State,
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>>
where
    B: Launch,
    C: CheckpointStrategy,
    T: Backward<B, N>,
{
    match backward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(state, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

impl<B: Launch, C: CheckpointStrategy> Fused for Autodiff<B, C> {
    fn normed_two(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        w0: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        a0: FloatTensor<Self>,
        a1: FloatTensor<Self>,
        b0: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        eps: f32,
        forms: [AdaptedForm; 2],
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let of_norm = [x.node(), weight.node()];
        let [nodes0, nodes1] = [[a0.node(), b0.node()], [a1.node(), b1.node()]];
        let [x, weight, w0, w1] = [x, weight, w0, w1].map(|tensor| tensor.into_primitive());
        let [a0, a1, b0, b1] = [a0, a1, b0, b1].map(|tensor| tensor.into_primitive());
        let [form0, form1] = forms;
        let members = [Member::new(w0, [a0, b0], form0), Member::new(w1, [a1, b1], form1)];
        let (normed, [y0, y1], group) = normed_group::<B, C, 2>([x, weight], eps, of_norm, members);
        let record = |member, [of_a, of_b]: [NodeGuard; 2], y| {
            let nodes = [normed.node(), of_a, of_b];
            tracked::<B, C, _, 3>(GroupBackward::<2> { member }, nodes, group.clone(), y)
        };
        (record(0, nodes0, y0), record(1, nodes1, y1))
    }

    fn normed_three(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        w0: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        w2: FloatTensor<Self>,
        a0: FloatTensor<Self>,
        a1: FloatTensor<Self>,
        a2: FloatTensor<Self>,
        b0: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        b2: FloatTensor<Self>,
        eps: f32,
        forms: [AdaptedForm; 3],
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let of_norm = [x.node(), weight.node()];
        let [nodes0, nodes1] = [[a0.node(), b0.node()], [a1.node(), b1.node()]];
        let nodes2 = [a2.node(), b2.node()];
        let [x, weight, w0, w1, w2] = [x, weight, w0, w1, w2].map(|tensor| tensor.into_primitive());
        let [a0, a1, a2, b0, b1, b2] = [a0, a1, a2, b0, b1, b2].map(|tensor| tensor.into_primitive());
        let [form0, form1, form2] = forms;
        let members = [
            Member::new(w0, [a0, b0], form0),
            Member::new(w1, [a1, b1], form1),
            Member::new(w2, [a2, b2], form2),
        ];
        let (normed, [y0, y1, y2], group) = normed_group::<B, C, 3>([x, weight], eps, of_norm, members);
        let record = |member, [of_a, of_b]: [NodeGuard; 2], y| {
            let nodes = [normed.node(), of_a, of_b];
            tracked::<B, C, _, 3>(GroupBackward::<3> { member }, nodes, group.clone(), y)
        };
        (record(0, nodes0, y0), record(1, nodes1, y1), record(2, nodes2, y2))
    }

    fn gated_onto(
        rows: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        w: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdaptedForm,
    ) -> FloatTensor<Self> {
        let of_gate = [gate.node(), up.node()];
        let [of_rows, of_w, of_a, of_b] = [rows.node(), w.node(), a.node(), b.node()];
        let [rows, gate, up, w, a, b] = [rows, gate, up, w, a, b].map(|tensor| tensor.into_primitive());
        let [x, h] = gate_down::<B>(gate.clone(), up.clone(), a.clone());
        let inner = tracked::<B, C, _, 2>(SiluMulBackward, of_gate, (gate, up), x.clone());
        let branch = Branch::<B> {
            x,
            a,
            b,
            h,
            form: form.lora,
        };
        let output = branch.beside(w.clone(), Some((rows, MatMulAdd::Full)), form);
        // In the order of a sum, as where rows are added to a linear alone.
        let nodes = [of_rows, inner.node(), of_w, of_a, of_b];
        let has_bias = false;
        tracked::<B, C, _, 5>(AdaptedBackward { form, has_bias }, nodes, (branch, w), output)
    }
}

/// The rows that a norm makes of x, the outputs of a group of linears that reads them, and what the backward pass of that group
/// needs.
type Normed<B, C, const G: usize> = (FloatTensor<Autodiff<B, C>>, [FloatTensor<B>; G], Group<B, G>);

/// A group of linears behind the norm of x.
fn normed_group<B: Launch, C: CheckpointStrategy, const G: usize>(
    [x, weight]: [FloatTensor<B>; 2],
    eps: f32,
    of_norm: [NodeGuard; 2],
    members: [Member<B>; G],
) -> Normed<B, C, G> {
    let [rows, h] = norm_down::<B>(x.clone(), weight.clone(), eps, &members);
    let normed = tracked::<B, C, _, 2>(RmsNormBackward { eps }, of_norm, (x, weight), rows.clone());
    let (outputs, group) = Group::behind(rows, h, members);
    (normed, outputs, group)
}
