//! Keys and values of new tokens behind those of a key-value cache. Nothing of it records a gradient.

use super::launch::Launch;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Shape, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use lorakeet_shaders as kernels;

/// The operation, documented on the function below.
#[backend_extension(Cube, Flex, Autodiff)]
pub trait Caches: Backend {
    fn append(
        kept_k: FloatTensor<Self>,
        k: FloatTensor<Self>,
        kept_v: FloatTensor<Self>,
        v: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl<B: Launch> Caches for B {
    fn append(
        kept_k: FloatTensor<B>,
        k: FloatTensor<B>,
        kept_v: FloatTensor<B>,
        v: FloatTensor<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let (kept, added) = (kept_k.shape(), k.shape());
        let shape = Shape::new([kept[0] + added[0], kept[1]]);
        let kernel = kernels::Append {
            kept: kept.num_elements(),
            added: added.num_elements(),
        };
        B::launch(kernel, vec![kept_k, k, kept_v, v], [shape.clone(), shape]).into()
    }
}

impl<B: Launch, C: CheckpointStrategy> Caches for Autodiff<B, C> {
    fn append(
        kept_k: FloatTensor<Self>,
        k: FloatTensor<Self>,
        kept_v: FloatTensor<Self>,
        v: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [kept_k, k, kept_v, v] = [kept_k, k, kept_v, v].map(|rows| rows.into_primitive());
        let (k, v) = B::append(kept_k, k, kept_v, v);
        (Self::from_inner(k), Self::from_inner(v))
    }
}

/// Keys and values of new tokens behind those that are kept, in one launch: `kept` \[T, K·D\] each, `new` \[n, K·D\] →
/// \[T + n, K·D\], keys and values. No gradient.
pub fn append(kept: [Tensor<2>; 2], new: [Tensor<2>; 2]) -> [Tensor<2>; 2] {
    let [kept_k, kept_v] = kept.map(|rows| rows.into_dispatch());
    let [k, v] = new.map(|rows| rows.into_dispatch());
    let (k, v) = Dispatch::append(kept_k, k, kept_v, v);
    [Tensor::from_dispatch(k), Tensor::from_dispatch(v)]
}
