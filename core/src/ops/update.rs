//! The optimizer's step with the factor that clips its gradients left on the device: so that no step has to be read before the
//! next begins. None of it records a gradient.

#![allow(
    clippy::too_many_arguments,
    reason = "burn dispatches operations whose tensors are arguments of their own"
)]

use super::forms::AdamWStep;
use super::launch::Launch;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Shape, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use lorakeet_shaders as kernels;

/// The operations, documented on the functions below.
#[backend_extension(Cube, Flex, Autodiff)]
pub trait Updates: Backend {
    fn clip_factor(
        losses: FloatTensor<Self>,
        squares: FloatTensor<Self>,
        last: FloatTensor<Self>,
        max_norm: f64,
    ) -> FloatTensor<Self>;
    fn clipped_adamw(
        p: FloatTensor<Self>,
        g: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    fn clipped_adamw_8bit(
        p: FloatTensor<Self>,
        g: FloatTensor<Self>,
        state: FloatTensor<Self>,
        tables: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl<B: Launch> Updates for B {
    fn clip_factor(
        losses: FloatTensor<B>,
        squares: FloatTensor<B>,
        last: FloatTensor<B>,
        max_norm: f64,
    ) -> FloatTensor<B> {
        let count = |numbers: &FloatTensor<B>| numbers.shape().num_elements();
        let kernel = kernels::Clip {
            losses: count(&losses),
            squares: count(&squares),
            last: count(&last),
            max_norm,
        };
        let shape = Shape::new([kernel.losses + kernel.squares + kernels::VERDICT]);
        let [found] = B::launch(kernel, vec![losses, squares, last], [shape]);
        found
    }

    fn clipped_adamw(
        p: FloatTensor<B>,
        g: FloatTensor<B>,
        m: FloatTensor<B>,
        v: FloatTensor<B>,
        scales: FloatTensor<B>,
        step: AdamWStep,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let shape = p.shape();
        let kernel = kernels::ClippedAdamW {
            step: step.kernel(shape.num_elements()),
            scales: scales.shape().num_elements(),
        };
        let shapes = [shape.clone(), shape.clone(), shape];
        let [p, m, v] = B::launch(kernel, vec![p, g, m, v, scales], shapes);
        (p, m, v)
    }

    fn clipped_adamw_8bit(
        p: FloatTensor<B>,
        g: FloatTensor<B>,
        state: FloatTensor<B>,
        tables: FloatTensor<B>,
        scales: FloatTensor<B>,
        step: AdamWStep,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let shapes = [p.shape(), state.shape()];
        let kernel = kernels::ClippedAdamW8bit {
            step: step.kernel(shapes[0].num_elements()),
            scales: scales.shape().num_elements(),
        };
        let [p, state] = B::launch(kernel, vec![p, g, state, tables, scales], shapes);
        (p, state)
    }
}

impl<B: Launch, C: CheckpointStrategy> Updates for Autodiff<B, C> {
    fn clip_factor(
        losses: FloatTensor<Self>,
        squares: FloatTensor<Self>,
        last: FloatTensor<Self>,
        max_norm: f64,
    ) -> FloatTensor<Self> {
        let [losses, squares, last] = [losses, squares, last].map(|numbers| numbers.into_primitive());
        Self::from_inner(B::clip_factor(losses, squares, last, max_norm))
    }

    fn clipped_adamw(
        p: FloatTensor<Self>,
        g: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [p, g, m, v, scales] = [p, g, m, v, scales].map(|numbers| numbers.into_primitive());
        let (p, m, v) = B::clipped_adamw(p, g, m, v, scales, step);
        (Self::from_inner(p), Self::from_inner(m), Self::from_inner(v))
    }

    fn clipped_adamw_8bit(
        p: FloatTensor<Self>,
        g: FloatTensor<Self>,
        state: FloatTensor<Self>,
        tables: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [p, g, state, tables, scales] = [p, g, state, tables, scales].map(|numbers| numbers.into_primitive());
        let (p, state) = B::clipped_adamw_8bit(p, g, state, tables, scales, step);
        (Self::from_inner(p), Self::from_inner(state))
    }
}

/// The numbers of a step, behind them the factor that clips its gradients and whether the steps have come to an end
/// ([`lorakeet_shaders::Clip`]): losses \[l\], squares \[s\] and `last`, what this gave for the step before or \[1, 0\], →
/// \[l + s + 2\].
pub fn clip_factor(losses: Tensor<1>, squares: Tensor<1>, last: Tensor<1>, max_norm: f64) -> Tensor<1> {
    let (losses, squares, last) = (losses.into_dispatch(), squares.into_dispatch(), last.into_dispatch());
    Tensor::from_dispatch(Dispatch::clip_factor(losses, squares, last, max_norm))
}

/// [`adamw`](super::adamw) with the factor of [`clip_factor`] in the place of `step.grad_scale`; p, m and v as they are where the
/// steps have come to an end.
pub fn clipped_adamw(
    [p, g, m, v]: [Tensor<1>; 4],
    scales: Tensor<1>,
    step: AdamWStep,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let [p, g, m, v, scales] = [p, g, m, v, scales].map(|tensor| tensor.into_dispatch());
    let (p, m, v) = Dispatch::clipped_adamw(p, g, m, v, scales, step);
    (
        Tensor::from_dispatch(p),
        Tensor::from_dispatch(m),
        Tensor::from_dispatch(v),
    )
}

/// [`adamw_8bit`](super::adamw_8bit) likewise.
pub fn clipped_adamw_8bit(
    [p, g, state, tables]: [Tensor<1>; 4],
    scales: Tensor<1>,
    step: AdamWStep,
) -> (Tensor<1>, Tensor<1>) {
    let [p, g, state, tables, scales] = [p, g, state, tables, scales].map(|tensor| tensor.into_dispatch());
    let (p, state) = Dispatch::clipped_adamw_8bit(p, g, state, tables, scales, step);
    (Tensor::from_dispatch(p), Tensor::from_dispatch(state))
}
