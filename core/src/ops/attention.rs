//! An attention's parts, which its gradient computes again: what it weighs by, and the weighing.

use super::forms::{AttentionForm, AttentionMask, AttentionScoring};
use super::forward::{Product, launch_one};
use super::launch::Launch;
use burn::backend::{Backend, Shape, tensor::FloatTensor};
use lorakeet_shaders as kernels;
use lorakeet_shaders::Add as MatMulAdd;

pub(super) fn softmax_kernel(form: AttentionForm) -> kernels::MaskedSoftmax {
    let AttentionForm {
        batch,
        kv_heads,
        group,
        queries,
        keys,
        scoring,
        ..
    } = form;
    let (offset, window) = match scoring.mask {
        AttentionMask::Causal => (keys.saturating_sub(queries), 0),
        AttentionMask::SlidingWindow(window) => (keys.saturating_sub(queries), window as u32),
        AttentionMask::Full => (keys, 0),
        AttentionMask::LocalWindow(distance) => (distance, 2 * distance as u32 + 1),
    };
    // Soft-capping scales the scores itself.
    let scale = if scoring.soft_cap > 0.0 { 1.0 } else { scoring.scale };
    kernels::MaskedSoftmax {
        batch,
        kv_heads,
        group,
        queries,
        keys,
        offset,
        scale,
        window,
    }
}

/// The soft-capping of the scores, where there is one.
pub(super) fn cap_kernel(form: AttentionForm) -> Option<kernels::SoftCap> {
    let AttentionScoring { scale, soft_cap, .. } = form.scoring;
    (soft_cap > 0.0).then(|| kernels::SoftCap {
        len: form.batch * form.kv_heads * form.group * form.queries * form.keys,
        scale,
        cap: soft_cap,
    })
}

/// What an attention weighs its values by.
pub(super) struct Probabilities<B: Backend> {
    pub(super) p: FloatTensor<B>,
    /// The capped scores, which the gradient of the capping needs.
    pub(super) capped: Option<FloatTensor<B>>,
}

pub(super) fn probabilities<B: Launch>(
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    mask: FloatTensor<B>,
    form: AttentionForm,
) -> Probabilities<B> {
    let (batch, rows) = (form.batch * form.kv_heads, form.group * form.queries);
    let shape = Shape::new([batch, rows, form.keys]);
    let product = Product {
        m: rows,
        n: form.keys,
        k: form.head_dim,
        a_trans: false,
        b_trans: true,
        alpha: 1.0,
    };
    let mut scores = launch_one::<B>(product.batched(batch, MatMulAdd::None), vec![q, k], shape.clone());
    if let Some(bias) = bias {
        // [B·K, G·Tq, Tk] + [1, H, Tq, Tk]
        let (heads, queries) = (form.kv_heads * form.group, form.queries);
        let each = Shape::new([form.batch, heads, queries, form.keys]);
        scores = B::float_reshape(B::float_add(B::float_reshape(scores, each), bias), shape.clone());
    }
    let capped = cap_kernel(form).map(|kernel| launch_one::<B>(kernel, vec![scores.clone()], shape.clone()));
    let p = launch_one::<B>(
        softmax_kernel(form),
        vec![capped.clone().unwrap_or(scores), mask],
        shape,
    );
    Probabilities { p, capped }
}

/// p · v.
pub(super) fn weighted_sum<B: Launch>(
    p: FloatTensor<B>,
    v: FloatTensor<B>,
    shape: Shape,
    form: AttentionForm,
) -> FloatTensor<B> {
    let product = Product {
        m: form.group * form.queries,
        n: form.head_dim,
        k: form.keys,
        a_trans: false,
        b_trans: false,
        alpha: 1.0,
    };
    let batch = form.batch * form.kv_heads;
    launch_one::<B>(product.batched(batch, MatMulAdd::None), vec![p, v], shape)
}
