//! What a layer does before its linears, with what their adapters do first, in one launch ([`lorakeet_shaders::RowsDown`]): norms
//! before q, k and v and before gate and up, the gate before down.
//!
//! Each is the operation of that name followed by the linears: the same rows, and the same nodes for the backward pass, whose
//! kernels are those of [`super::rms_norm`], [`super::silu_mul`] and [`super::adapted`].

#![allow(
    clippy::too_many_arguments,
    reason = "burn dispatches operations whose tensors are arguments of their own"
)]

use super::forms::AdaptedForm;
use super::forward::rows_width;
use super::group::{Member, outputs_of};
use super::launch::Launch;
use super::products::adapted_product;
use super::{AdaptedLinear, Addend};
use burn::backend::{Backend, Dispatch, Shape, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use lorakeet_shaders::{Add as MatMulAdd, RowsDown, RowsOf};

/// The operations, documented on the functions below.
#[backend_extension(Cube, Flex, Autodiff)]
pub trait Fused: Backend {
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
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
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
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    fn gated_onto(
        rows: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        w: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdaptedForm,
    ) -> FloatTensor<Self>;
}

/// Rows made of two tensors, and x · aᵀ of each `a`, one after the other.
fn rows_down<B: Launch>(
    of: RowsOf,
    [first, second]: [FloatTensor<B>; 2],
    a: impl Iterator<Item = FloatTensor<B>>,
) -> [FloatTensor<B>; 2] {
    let (shape, (rows, width)) = (first.shape(), rows_width(&first.shape()));
    let a: Vec<FloatTensor<B>> = a.collect();
    let ranks: Vec<usize> = a.iter().map(|a| a.shape()[0]).collect();
    let of_h = Shape::new([rows * ranks.iter().sum::<usize>()]);
    let kernel = RowsDown { rows, width, of, ranks };
    let inputs = [first, second].into_iter().chain(a).collect();
    B::launch(kernel, inputs, [shape, of_h])
}

/// Normed rows, and x · aᵀ of each member of a group.
pub(super) fn norm_down<B: Launch>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    eps: f32,
    members: &[Member<B>],
) -> [FloatTensor<B>; 2] {
    let a = members.iter().map(|member| member.a.clone());
    rows_down::<B>(RowsOf::Norm { eps }, [x, weight], a)
}

impl<B: Launch> Fused for B {
    fn normed_two(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        w0: FloatTensor<B>,
        w1: FloatTensor<B>,
        a0: FloatTensor<B>,
        a1: FloatTensor<B>,
        b0: FloatTensor<B>,
        b1: FloatTensor<B>,
        eps: f32,
        forms: [AdaptedForm; 2],
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let [form0, form1] = forms;
        let members = [Member::new(w0, [a0, b0], form0), Member::new(w1, [a1, b1], form1)];
        let [normed, h] = norm_down::<B>(x, weight, eps, &members);
        outputs_of::<B, 2>(&normed, &h, &members).into()
    }

    fn normed_three(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        w0: FloatTensor<B>,
        w1: FloatTensor<B>,
        w2: FloatTensor<B>,
        a0: FloatTensor<B>,
        a1: FloatTensor<B>,
        a2: FloatTensor<B>,
        b0: FloatTensor<B>,
        b1: FloatTensor<B>,
        b2: FloatTensor<B>,
        eps: f32,
        forms: [AdaptedForm; 3],
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let [form0, form1, form2] = forms;
        let members = [
            Member::new(w0, [a0, b0], form0),
            Member::new(w1, [a1, b1], form1),
            Member::new(w2, [a2, b2], form2),
        ];
        let [normed, h] = norm_down::<B>(x, weight, eps, &members);
        outputs_of::<B, 3>(&normed, &h, &members).into()
    }

    fn gated_onto(
        rows: FloatTensor<B>,
        gate: FloatTensor<B>,
        up: FloatTensor<B>,
        w: FloatTensor<B>,
        a: FloatTensor<B>,
        b: FloatTensor<B>,
        form: AdaptedForm,
    ) -> FloatTensor<B> {
        let [inner, h] = gate_down::<B>(gate, up, a);
        adapted_product::<B>(inner, w, Some((rows, MatMulAdd::Full)), [h, b], form)
    }
}

/// silu(gate) · up, and that times aᵀ \[n, R\].
pub(super) fn gate_down<B: Launch>(gate: FloatTensor<B>, up: FloatTensor<B>, a: FloatTensor<B>) -> [FloatTensor<B>; 2] {
    let ((rows, _), rank) = (rows_width(&gate.shape()), a.shape()[0]);
    let [inner, h] = rows_down::<B>(RowsOf::Gate, [gate, up], std::iter::once(a));
    [inner, B::float_reshape(h, Shape::new([rows, rank]))]
}

/// Whether a launch for rows \[n, width\] and for what these linears' adapters make of them first is better than one for each.
fn suits(of: RowsOf, rows: &Tensor<2>, linears: &[AdaptedLinear]) -> bool {
    let [rows, width] = rows.dims();
    let ranks = linears.iter().map(|linear| linear.matrices[0].dims()[0]).collect();
    let is_biased = linears.iter().any(|linear| linear.bias.is_some());
    !is_biased && RowsDown { rows, width, of, ranks }.suits()
}

/// [`adapted_two`](super::adapted_two) of [`rms_norm`](super::rms_norm)\(x, weight, eps\).
pub fn normed_two(x: Tensor<2>, (weight, eps): (Tensor<1>, f32), linears: [AdaptedLinear; 2]) -> [Tensor<2>; 2] {
    if !suits(RowsOf::Norm { eps }, &x, &linears) {
        return super::adapted_two(super::rms_norm(x, weight, eps), linears);
    }
    let forms = linears.each_ref().map(|linear| linear.form);
    let [l0, l1] = linears;
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let [w0, w1] = [l0.w, l1.w].map(|w| w.into_dispatch());
    let [a0, b0] = l0.matrices.map(|matrix| matrix.into_dispatch());
    let [a1, b1] = l1.matrices.map(|matrix| matrix.into_dispatch());
    let (y0, y1) = Dispatch::normed_two(x, weight, w0, w1, a0, a1, b0, b1, eps, forms);
    [y0, y1].map(Tensor::from_dispatch)
}

/// [`adapted_three`](super::adapted_three) of [`rms_norm`](super::rms_norm)\(x, weight, eps\).
pub fn normed_three(x: Tensor<2>, (weight, eps): (Tensor<1>, f32), linears: [AdaptedLinear; 3]) -> [Tensor<2>; 3] {
    if !suits(RowsOf::Norm { eps }, &x, &linears) {
        return super::adapted_three(super::rms_norm(x, weight, eps), linears);
    }
    let forms = linears.each_ref().map(|linear| linear.form);
    let [l0, l1, l2] = linears;
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let [w0, w1, w2] = [l0.w, l1.w, l2.w].map(|w| w.into_dispatch());
    let [a0, b0] = l0.matrices.map(|matrix| matrix.into_dispatch());
    let [a1, b1] = l1.matrices.map(|matrix| matrix.into_dispatch());
    let [a2, b2] = l2.matrices.map(|matrix| matrix.into_dispatch());
    let (y0, y1, y2) = Dispatch::normed_three(x, weight, w0, w1, w2, a0, a1, a2, b0, b1, b2, eps, forms);
    [y0, y1, y2].map(Tensor::from_dispatch)
}

/// rows + what `linear`, which has no bias, makes of [`silu_mul`](super::silu_mul)\(gate, up\): [`adapted`](super::adapted).
pub fn gated_onto(rows: Tensor<2>, [gate, up]: [Tensor<2>; 2], linear: AdaptedLinear) -> Tensor<2> {
    if !suits(RowsOf::Gate, &gate, std::slice::from_ref(&linear)) {
        let AdaptedLinear {
            w,
            bias,
            matrices,
            form,
        } = linear;
        let x = super::silu_mul(gate, up);
        return match bias {
            None => super::adapted(x, w, Addend::Rows(rows), matrices, form),
            Some(bias) => super::add(rows, super::adapted(x, w, Addend::Bias(bias), matrices, form)),
        };
    }
    let (rows, w) = (rows.into_dispatch(), linear.w.into_dispatch());
    let [gate, up] = [gate, up].map(|tensor| tensor.into_dispatch());
    let [a, b] = linear.matrices.map(|matrix| matrix.into_dispatch());
    Tensor::from_dispatch(Dispatch::gated_onto(rows, gate, up, w, a, b, linear.form))
}
