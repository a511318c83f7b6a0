//! Keys and values of new tokens behind those of a key-value cache, and the attention of a token that is generated. Nothing of it
//! records a gradient.

use super::forms::{AttentionMask, AttentionScoring};
use super::launch::Launch;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Shape, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use lorakeet_shaders as kernels;

/// The operations, documented on the functions below.
#[backend_extension(Cube, Flex, Autodiff)]
pub trait Caches: Backend {
    fn append(
        kept_k: FloatTensor<Self>,
        k: FloatTensor<Self>,
        kept_v: FloatTensor<Self>,
        v: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn cached_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        kept: FloatTensor<Self>,
        kernel: kernels::CachedAttention,
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

    fn cached_attention(
        q: FloatTensor<B>,
        k: FloatTensor<B>,
        v: FloatTensor<B>,
        cos: FloatTensor<B>,
        sin: FloatTensor<B>,
        kept: FloatTensor<B>,
        kernel: kernels::CachedAttention,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let of_all = Shape::new([2 * (kernel.kept + 1), k.shape()[1]]);
        let shapes = [q.shape(), of_all];
        B::launch(kernel, vec![q, k, v, cos, sin, kept], shapes).into()
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

    fn cached_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        kept: FloatTensor<Self>,
        kernel: kernels::CachedAttention,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [q, k, v, cos, sin, kept] = [q, k, v, cos, sin, kept].map(|tensor| tensor.into_primitive());
        let (mixed, all) = B::cached_attention(q, k, v, cos, sin, kept, kernel);
        (Self::from_inner(mixed), Self::from_inner(all))
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

/// How one query with heads of width `dim` attends to `kept` tokens before it, where [`cached_attention`] can make that; `heads` are H
/// and K.
pub fn cached_form(
    kept: usize,
    [heads, kv_heads]: [usize; 2],
    dim: usize,
    scoring: AttentionScoring,
) -> Option<kernels::CachedAttention> {
    let window = match scoring.mask {
        AttentionMask::Causal => 0,
        AttentionMask::SlidingWindow(window) => window.min(kept + 1),
        AttentionMask::Full | AttentionMask::LocalWindow(_) => return None,
    };
    let form = kernels::CachedAttention {
        kv_heads,
        group: heads / kv_heads.max(1),
        kept,
        dim,
        window,
        scale: scoring.scale,
        cap: scoring.soft_cap,
    };
    (!scoring.segmented && form.suits()).then_some(form)
}

/// [`rotate`](super::rotate) of a token's query and key, [`append`] and [`attention_by`](super::attention_by), with none of the keys
/// masked, in one launch.
///
/// q \[1, H·D\], k, v \[1, K·D\], cos, sin \[1, D/2\], kept \[2·T, K·D\]: rotated keys, then values → the mixed values \[1, H·D\], and what
/// is kept from now on \[2·(T + 1), K·D\]. No gradient.
pub fn cached_attention(
    qkv: [Tensor<2>; 3],
    (cos, sin): (Tensor<2>, Tensor<2>),
    kept: Tensor<2>,
    form: kernels::CachedAttention,
) -> [Tensor<2>; 2] {
    let [q, k, v] = qkv.map(|rows| rows.into_dispatch());
    let (cos, sin, kept) = (cos.into_dispatch(), sin.into_dispatch(), kept.into_dispatch());
    let (mixed, all) = Dispatch::cached_attention(q, k, v, cos, sin, kept, form);
    [Tensor::from_dispatch(mixed), Tensor::from_dispatch(all)]
}
