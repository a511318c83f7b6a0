//! Attention as launches: what it is told, its forward pass, and its backward pass ([`kernels::Attention`] has the formula).
//!
//! No matrix of scores is made. Forward it is one kernel, and one before it that rotates queries and keys where positions are
//! rotary; backward three: what the other two read of each row, the gradients of keys and values, and those of queries; then the
//! rotation back, and one more where a bias is trained.

use super::forms::{AttentionForm, AttentionMask, RopeForm};
use super::forward::launch_one;
use super::launch::Launch;
use burn::backend::{Shape, TensorMetadata, tensor::FloatTensor};
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops as Node};
use lorakeet_shaders as kernels;

fn attention_kernel(form: AttentionForm, biased: bool) -> kernels::Attention {
    let AttentionForm {
        batch,
        kv_heads,
        group,
        queries,
        keys,
        head_dim,
        scoring,
    } = form;
    let before = keys.saturating_sub(queries);
    let (offset, window) = match scoring.mask {
        AttentionMask::Causal => (before, 0),
        AttentionMask::SlidingWindow(window) => (before, window.min(queries + keys)),
        AttentionMask::Full => (keys, 0),
        AttentionMask::LocalWindow(distance) => {
            let distance = distance.min(queries.max(keys));
            (distance, 2 * distance + 1)
        }
    };
    kernels::Attention {
        batch,
        kv_heads,
        group,
        queries,
        keys,
        dim: head_dim,
        offset,
        window,
        scale: scoring.scale,
        cap: scoring.soft_cap,
        biased,
        segmented: scoring.segmented,
    }
}

/// What an attention makes: its output \[B·Tq, H·D\], and the logarithm of each row's sum \[B·Tq, H\].
pub(super) struct Attended<B: Launch> {
    pub(super) out: FloatTensor<B>,
    pub(super) logs: FloatTensor<B>,
}

pub(super) fn attend<B: Launch>(
    [q, k, v]: [FloatTensor<B>; 3],
    bias: Option<FloatTensor<B>>,
    mask: FloatTensor<B>,
    form: AttentionForm,
) -> Attended<B> {
    let rows = form.batch * form.queries;
    let shapes = [q.shape(), Shape::new([rows, form.kv_heads * form.group])];
    let kernel = attention_kernel(form, bias.is_some());
    let mut inputs = vec![q, k, v, mask];
    inputs.extend(bias);
    let [out, logs] = B::launch(kernel, inputs, shapes);
    Attended { out, logs }
}

/// Rotates q and k by cos and sin \[T, D/2\], or \[B·T, D/2\] where each row has its own, or back.
pub(super) fn rotate<B: Launch>(
    [q, k]: [FloatTensor<B>; 2],
    [cos, sin]: [FloatTensor<B>; 2],
    form: RopeForm,
    inverse: bool,
) -> [FloatTensor<B>; 2] {
    let RopeForm {
        tokens,
        heads,
        kv_heads,
        dim,
    } = form;
    let shapes = [q.shape(), k.shape()];
    let kernel = kernels::Rope {
        rows: shapes[0].num_elements() / (heads * dim).max(1),
        tokens,
        heads,
        kv_heads,
        dim,
        inverse,
    };
    B::launch(kernel, vec![q, k, cos, sin], shapes)
}

impl AttentionForm {
    /// The rotation of its queries and keys, of which there are as many, by `cos` \[T, D/2\] or \[B·T, D/2\].
    pub(super) fn rope<B: Launch>(self, cos: &FloatTensor<B>) -> RopeForm {
        RopeForm {
            tokens: cos.shape()[0],
            heads: self.kv_heads * self.group,
            kv_heads: self.kv_heads,
            dim: self.head_dim,
        }
    }
}

/// What the backward pass needs: q and k as they were mixed, rotated perhaps.
#[derive(Debug, Clone)]
pub(super) struct AttentionState<B: Launch> {
    pub(super) q: FloatTensor<B>,
    pub(super) k: FloatTensor<B>,
    pub(super) v: FloatTensor<B>,
    pub(super) bias: Option<FloatTensor<B>>,
    pub(super) mask: FloatTensor<B>,
    pub(super) out: FloatTensor<B>,
    pub(super) logs: FloatTensor<B>,
    /// cos and sin of the rotation.
    pub(super) angles: Option<[FloatTensor<B>; 2]>,
}

impl<B: Launch> AttentionState<B> {
    /// The forward pass, with what its backward pass needs.
    pub(super) fn attend(
        [q, k, v]: [FloatTensor<B>; 3],
        bias: Option<FloatTensor<B>>,
        angles: Option<[FloatTensor<B>; 2]>,
        mask: FloatTensor<B>,
        form: AttentionForm,
    ) -> Self {
        let [q, k] = match &angles {
            None => [q, k],
            Some(angles) => rotate::<B>([q, k], angles.clone(), form.rope::<B>(&angles[0]), false),
        };
        let all = [q.clone(), k.clone(), v.clone()];
        let Attended { out, logs } = attend::<B>(all, bias.clone(), mask.clone(), form);
        Self {
            q,
            k,
            v,
            bias,
            mask,
            out,
            logs,
            angles,
        }
    }
}

#[derive(Debug)]
pub(super) struct AttentionBackward {
    pub(super) form: AttentionForm,
}

/// N is 3 for q, k and v, 4 where there is a bias.
impl<B: Launch, const N: usize> Backward<B, N> for AttentionBackward {
    type State = AttentionState<B>;
    fn backward(self, ops: Node<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (state, form) = (ops.state, self.form);
        let mut parents = ops.parents.into_iter();
        let [of_q, of_k, of_v, of_bias] = std::array::from_fn(|_| parents.next().flatten().map(|node| node.id));
        let AttentionState { q, k, v, bias, .. } = state;
        let kernel = attention_kernel(form, bias.is_some());
        let notes = kernels::AttentionNotes(kernel.clone());
        let of_notes = Shape::new([notes.len()]);
        let inputs = vec![state.out, dy.clone(), state.logs, state.mask];
        let notes = launch_one::<B>(notes, inputs, of_notes);
        let (q_shape, k_shape, v_shape) = (q.shape(), k.shape(), v.shape());
        let bias_shape = bias.as_ref().map(|bias| bias.shape());
        let mut inputs = vec![q, k, v, dy, notes];
        inputs.extend(bias);
        if let (Some(node), Some(shape)) = (of_bias, bias_shape) {
            let kernel = kernels::AttentionOfBias(kernel.clone());
            grads.register::<B>(node, launch_one::<B>(kernel, inputs.clone(), shape));
        }
        // The rotation back is of both.
        let rotates = state.angles.is_some() && (of_q.is_some() || of_k.is_some());
        let mut dk = None;
        if of_k.is_some() || of_v.is_some() || rotates {
            let kernel = kernels::AttentionOfKeys(kernel.clone());
            let [keys, values] = B::launch(kernel, inputs.clone(), [k_shape, v_shape]);
            if let Some(node) = of_v {
                grads.register::<B>(node, values);
            }
            dk = Some(keys);
        }
        let mut dq = None;
        if of_q.is_some() || rotates {
            dq = Some(launch_one::<B>(kernels::AttentionOfQueries(kernel), inputs, q_shape));
        }
        let (dq, dk) = match (dq, dk, state.angles) {
            (Some(dq), Some(dk), Some(angles)) => {
                let rope = form.rope::<B>(&angles[0]);
                let [dq, dk] = rotate::<B>([dq, dk], angles, rope, true);
                (Some(dq), Some(dk))
            }
            (dq, dk, _) => (dq, dk),
        };
        for (node, gradient) in [(of_k, dk), (of_q, dq)] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node, gradient);
            }
        }
    }
}
