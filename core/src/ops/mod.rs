//! The engine's own tensor operations: what a language model's forward and backward passes spend their time in.
//!
//! Each function takes burn tensors of any device, runs one or a few of [`lorakeet_shaders`]' kernels (`forward`), and
//! records a hand-written backward pass where an input wants a gradient (`backward`). Cheap things in between (reshapes, sums of
//! a few) are burn's own. All tensors are f32; the leading dimensions of an activation are folded into its rows.

mod attention;
mod backward;
mod cache;
mod dispatched;
mod forms;
mod forward;
mod fused;
mod group;
mod launch;
mod packed;
mod places;
mod products;
mod rehearsal;
mod update;
mod vocabulary;
mod vocabulary_chunks;

pub use cache::{append, cached_attention, cached_form};
pub use forms::{
    AdamWStep, AdaptedForm, AttentionForm, AttentionMask, AttentionScoring, BaseForm, LoraForm, PackedForm, RopeForm,
    VocabularyForm,
};
pub use fused::{gated_onto, normed_three, normed_two};
pub use packed::{
    PackedMatrix, packed_adapted, packed_embedding, packed_linear, packed_squares, packed_vocabulary_loss,
};
pub(crate) use places::{GradientPlaces, is_slice};
pub(crate) use rehearsal::Rehearsal;
pub use update::{clip_factor, clipped_adamw, clipped_adamw_8bit};

use burn::{
    backend::Dispatch,
    tensor::{Gradients, Tensor},
};
use dispatched::Ops;
pub(crate) use vocabulary::chunk_rows;
pub(crate) use vocabulary_chunks::VocabularyChunks;

/// y = x · wᵀ + bias.
///
/// x \[n, in\], w \[out, in\] (\[in, out\] where `transposed`, as GPT-2's Conv1D stores it), bias \[out\] → y \[n, out\].
/// Gradients: dx = dy · w, dw = dyᵀ · x, dbias = Σ dy.
pub fn linear(x: Tensor<2>, w: Tensor<2>, bias: Option<Tensor<1>>, transposed: bool) -> Tensor<2> {
    Tensor::from_dispatch(match bias {
        None => Dispatch::linear(x.into_dispatch(), w.into_dispatch(), transposed),
        Some(bias) => Dispatch::linear_bias(x.into_dispatch(), w.into_dispatch(), bias.into_dispatch(), transposed),
    })
}

/// y + s · (dropout(x) · aᵀ) · bᵀ: a low-rank adapter on top of a linear's output (Hu et al. 2021, arXiv 2106.09685).
///
/// y \[n, out\], x \[n, in\], a \[R, in\], b \[out, R\]. The dropout mask is a hash of `form.seed` and the position, so that the
/// backward pass makes it again instead of keeping it.
pub fn lora(y: Tensor<2>, x: Tensor<2>, a: Tensor<2>, b: Tensor<2>, form: LoraForm) -> Tensor<2> {
    let (y, x, a, b) = (
        y.into_dispatch(),
        x.into_dispatch(),
        a.into_dispatch(),
        b.into_dispatch(),
    );
    Tensor::from_dispatch(Dispatch::lora(y, x, a, b, form))
}

/// What is added to a linear.
#[derive(Debug, Clone)]
pub enum Addend {
    /// Nothing.
    None,
    /// A bias \[out\].
    Bias(Tensor<1>),
    /// Rows \[n, out\]: the residual stream that a linear's output is added to.
    Rows(Tensor<2>),
}

/// x · Wᵀ + addend + s · (dropout(x) · aᵀ) · bᵀ: a linear with its low-rank adapter ([`lora`]), in two launches: the adapter's
/// product of low rank is made where the large one is stored, forward and backward.
///
/// x \[n, in\], a \[R, in\], b \[out, R\] → \[n, out\]; `w` as `form.base` says, dense or the words of a packed matrix, as the bits
/// of f32 in one row. Gradients of x, a, b, of what is added and of a dense `w`.
pub fn adapted(x: Tensor<2>, w: Tensor<2>, addend: Addend, [a, b]: [Tensor<2>; 2], form: AdaptedForm) -> Tensor<2> {
    let (x, w) = (x.into_dispatch(), w.into_dispatch());
    let (a, b) = (a.into_dispatch(), b.into_dispatch());
    Tensor::from_dispatch(match addend {
        Addend::None => Dispatch::adapted(x, w, a, b, form),
        Addend::Bias(bias) => Dispatch::adapted_bias(x, w, bias.into_dispatch(), a, b, form),
        Addend::Rows(rows) => Dispatch::adapted_onto(rows.into_dispatch(), x, w, a, b, form),
    })
}

/// A linear with its adapter: what [`adapted`] is told, without rows. `w` is dense, or a packed matrix's words in one row.
#[derive(Debug, Clone)]
pub struct AdaptedLinear {
    /// W.
    pub w: Tensor<2>,
    /// The bias \[out\].
    pub bias: Option<Tensor<1>>,
    /// The adapter's matrices \[R, in\] and \[out, R\].
    pub matrices: [Tensor<2>; 2],
    /// How both act; without dropout.
    pub form: AdaptedForm,
}

/// [`adapted`] of two frozen linears that read the same rows: the adapters' products are made together, forward and backward.
pub fn adapted_two(x: Tensor<2>, linears: [AdaptedLinear; 2]) -> [Tensor<2>; 2] {
    if linears.iter().any(|linear| linear.bias.is_some()) {
        return linears.map(|linear| linear.alone(x.clone()));
    }
    let [l0, l1] = linears;
    let ([w0, w1], forms) = ([l0.w, l1.w].map(|w| w.into_dispatch()), [l0.form, l1.form]);
    let [a0, b0] = l0.matrices.map(|matrix| matrix.into_dispatch());
    let [a1, b1] = l1.matrices.map(|matrix| matrix.into_dispatch());
    let (y0, y1) = Dispatch::adapted_two(x.into_dispatch(), w0, w1, a0, a1, b0, b1, forms);
    [y0, y1].map(Tensor::from_dispatch)
}

/// The same of three, all with a bias or all without.
pub fn adapted_three(x: Tensor<2>, linears: [AdaptedLinear; 3]) -> [Tensor<2>; 3] {
    let biases = linears.each_ref().map(|linear| linear.bias.clone());
    let forms = linears.each_ref().map(|linear| linear.form);
    let biases = match biases {
        [Some(bias0), Some(bias1), Some(bias2)] => Some([bias0, bias1, bias2]),
        [None, None, None] => None,
        _ => return linears.map(|linear| linear.alone(x.clone())),
    };
    let [l0, l1, l2] = linears;
    let (x, [w0, w1, w2]) = (x.into_dispatch(), [l0.w, l1.w, l2.w].map(|w| w.into_dispatch()));
    let [a0, b0] = l0.matrices.map(|matrix| matrix.into_dispatch());
    let [a1, b1] = l1.matrices.map(|matrix| matrix.into_dispatch());
    let [a2, b2] = l2.matrices.map(|matrix| matrix.into_dispatch());
    let (y0, y1, y2) = match biases {
        None => Dispatch::adapted_three(x, w0, w1, w2, a0, a1, a2, b0, b1, b2, forms),
        Some(biases) => {
            let [c0, c1, c2] = biases.map(|bias| bias.into_dispatch());
            Dispatch::adapted_three_bias(x, w0, w1, w2, c0, c1, c2, a0, a1, a2, b0, b1, b2, forms)
        }
    };
    [y0, y1, y2].map(Tensor::from_dispatch)
}

impl AdaptedLinear {
    fn alone(self, x: Tensor<2>) -> Tensor<2> {
        let addend = self.bias.map_or(Addend::None, Addend::Bias);
        adapted(x, self.w, addend, self.matrices, self.form)
    }
}

/// x + y, of one shape. Its gradient is handed on as it is, and what x or y goes into besides adds its own to it where it is made.
pub fn add(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::add(x.into_dispatch(), y.into_dispatch()))
}

/// x · w / √(mean(x²) + eps) over the last dimension (Zhang and Sennrich 2019, arXiv 1910.07467). x \[n, C\], w \[C\].
pub fn rms_norm(x: Tensor<2>, w: Tensor<1>, eps: f32) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::rms_norm(x.into_dispatch(), w.into_dispatch(), eps))
}

/// (x − mean) · w / √(var + eps) + b over the last dimension (Ba et al. 2016, arXiv 1607.06450). x \[n, C\], w, b \[C\].
pub fn layer_norm(x: Tensor<2>, w: Tensor<1>, b: Tensor<1>, eps: f32) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::layer_norm(
        x.into_dispatch(),
        w.into_dispatch(),
        b.into_dispatch(),
        eps,
    ))
}

/// Rotary position embedding in transformers' layout: (x₁, x₂) → (x₁cos − x₂sin, x₂cos + x₁sin), halves of a head (Su et al. 2021,
/// arXiv 2104.09864). q \[B·T, H·D\], k \[B·T, K·D\]; cos, sin \[T, D/2\], or \[B·T, D/2\]. No gradient: for that [`attention_by`] rotates them.
pub fn rotate([q, k]: [Tensor<2>; 2], (cos, sin): (Tensor<2>, Tensor<2>)) -> [Tensor<2>; 2] {
    let ([tokens, half], [_, q_width], [_, k_width]) = (cos.dims(), q.dims(), k.dims());
    let dim = 2 * half;
    let form = RopeForm {
        tokens,
        heads: q_width / dim.max(1),
        kv_heads: k_width / dim.max(1),
        dim,
    };
    let (q, k) = Dispatch::rotate(
        q.into_dispatch(),
        k.into_dispatch(),
        cos.into_dispatch(),
        sin.into_dispatch(),
        form,
    );
    [Tensor::from_dispatch(q), Tensor::from_dispatch(k)]
}

impl AttentionScoring {
    /// q·kᵀ/√D for heads of width `dim`, uncapped.
    pub fn plain(dim: usize, mask: AttentionMask) -> Self {
        Self {
            scale: (dim as f32).sqrt().recip(),
            soft_cap: 0.0,
            mask,
            segmented: false,
        }
    }
}

/// How an attention knows where tokens stand.
#[derive(Debug, Clone)]
pub enum Positions {
    /// Not by itself.
    None,
    /// Rotates queries and keys, of which there are as many, by cos and sin \[T, D/2\], or \[B·T, D/2\] where each row has its own
    /// positions ([`rotate`]).
    Rotary(Box<[Tensor<2>; 2]>),
    /// Adds to the products of each head a number for each distance: \[Tq + Tk − 1, H\], of which row j − q + Tq − 1 belongs to
    /// query q and key j.
    Bias(Box<Tensor<2>>),
}

/// Attention softmax(cap(scale·(q·kᵀ + bias)))·v with grouped key/value heads, cap(s) = c·tanh(s/c), by FlashAttention (Dao et al.
/// 2022, arXiv 2205.14135): scores exist tile by tile, forward and backward, and are kept nowhere.
///
/// q \[B·Tq, H·D\], k and v \[B·Tk, K·D\] with H a multiple of K; `heads` are H and K; mask \[B, Tk\] (1 for a token, 0 for padding)
/// → \[B·Tq, H·D\]. Causal masks put the last query on the last key: query q sees keys up to q + Tk − Tq. A row that sees no key
/// gives zeros.
///
/// Where `scoring.segmented`, a row holds several examples, of which none sees another; there are as many queries as keys, and the
/// mask is for a token s + 1, s being the place in the row of its example's first token, and 0 for padding.
pub fn attention_by(
    [q, k, v]: [Tensor<2>; 3],
    heads: [usize; 2],
    positions: Positions,
    mask: Tensor<2>,
    scoring: AttentionScoring,
) -> Tensor<2> {
    let ([heads, kv_heads], [batch, keys], [rows, width]) = (heads, mask.dims(), q.dims());
    let form = AttentionForm {
        batch,
        kv_heads,
        group: heads / kv_heads.max(1),
        queries: rows / batch.max(1),
        keys,
        head_dim: width / heads.max(1),
        scoring,
    };
    let (q, k, v, mask) = (
        q.into_dispatch(),
        k.into_dispatch(),
        v.into_dispatch(),
        mask.into_dispatch(),
    );
    Tensor::from_dispatch(match positions {
        Positions::None => Dispatch::attention(q, k, v, mask, form),
        Positions::Rotary(angles) => {
            let [cos, sin] = *angles;
            Dispatch::attention_rotary(q, k, v, cos.into_dispatch(), sin.into_dispatch(), mask, form)
        }
        Positions::Bias(bias) => Dispatch::attention_bias(q, k, v, bias.into_dispatch(), mask, form),
    })
}

/// silu(gate) · up, silu(x) = x / (1 + e⁻ˣ) (Shazeer 2020, arXiv 2002.05202).
pub fn silu_mul(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::silu_mul(gate.into_dispatch(), up.into_dispatch()))
}

/// x · Φ(x), Φ(x) = (1 + erf(x/√2)) / 2: the GELU of BERT (Hendrycks and Gimpel 2016, arXiv 1606.08415).
pub fn gelu(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::gelu(x.into_dispatch()))
}

/// x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))): the GELU of GPT-2 (transformers' `gelu_new`).
pub fn gelu_new(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::gelu_new(x.into_dispatch()))
}

/// x with a share `p` of its elements put to 0 and the others divided by 1 − p (Srivastava et al. 2014). The mask is a hash of
/// `seed` and the position, so that the backward pass makes it again instead of keeping it.
pub fn dropout(x: Tensor<2>, p: f32, seed: u64) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::dropout(x.into_dispatch(), p, seed))
}

/// `root` \[1\], whose backward pass begins with `gradient` at `x`, whatever root's own gradient is: where the backward pass
/// of a graph goes on from that of another.
pub(crate) fn inject<const D: usize>(root: Tensor<1>, x: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    let (root, x, gradient) = (root.into_dispatch(), x.into_dispatch(), gradient.into_dispatch());
    Tensor::from_dispatch(Dispatch::inject(root, x, gradient))
}

/// The gradients of `loss` \[1\]: those of [`Tensor::backward`], where a loss over a vocabulary that is `loss` itself is not
/// multiplied by its own gradient, 1.
pub fn backward(loss: &Tensor<1>) -> Gradients {
    Dispatch::begins_at(loss.clone().into_dispatch());
    loss.backward()
}

/// scale · Σ x → \[1\], in one launch and always in the same order. No gradient.
pub(crate) fn scaled_sum(x: Tensor<1>, scale: f32) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::scaled_sum(x.into_dispatch(), scale))
}

/// One number of `rows`: it is known when all of them are.
pub(crate) fn first_number(rows: &Tensor<2>) -> Tensor<1> {
    rows.clone().slice([0..1, 0..1]).reshape([1])
}

/// Rows of w by number. ids \[n\] are whole numbers in f32 (exact up to 2²⁴), w \[V, C\] → \[n, C\].
pub fn embedding(ids: Tensor<1>, w: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::embedding(ids.into_dispatch(), w.into_dispatch()))
}

/// scale · Σ cross_entropy(cap(x·wᵀ + bias), target) over the rows whose target is not −100, in nats, cap(l) = c·tanh(l/c).
///
/// x \[n, C\], w \[V, C\], bias \[V\], targets \[n\] whole numbers in f32 → \[1\]. Works through chunks of rows: about 32 MiB of
/// logits exist at a time, and the gradients are made in the same pass, so no \[n, V\] matrix is ever kept.
pub fn vocabulary_loss(
    x: Tensor<2>,
    w: Tensor<2>,
    bias: Option<Tensor<1>>,
    targets: Tensor<1>,
    form: VocabularyForm,
) -> Tensor<1> {
    let (x, w, targets) = (x.into_dispatch(), w.into_dispatch(), targets.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => Dispatch::vocabulary_loss(x, w, targets, form),
        Some(bias) => Dispatch::vocabulary_loss_bias(x, w, bias.into_dispatch(), targets, form),
    })
}

/// cross_entropy(cap(logits), target) of each row, in nats, and 0 where the target is −100: logits \[n, V\], targets \[n\] whole
/// numbers in f32 → \[n\]; `soft_cap` as in [`vocabulary_loss`]. No gradient.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1>, soft_cap: f32) -> Tensor<1> {
    let logits = logits.into_dispatch();
    let logits = match soft_cap {
        cap if cap > 0.0 => Dispatch::soft_cap(logits, cap),
        _ => logits,
    };
    Tensor::from_dispatch(Dispatch::cross_entropy(logits, targets.into_dispatch()))
}

/// One AdamW step (Loshchilov and Hutter 2019, arXiv 1711.05101; `torch.optim.AdamW`) → (p, m, v).
///
/// p ← p·(1 − lr·λ); m, v ← moments of g·grad_scale; p ← p − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε).
pub fn adamw(
    p: Tensor<1>,
    g: Tensor<1>,
    m: Tensor<1>,
    v: Tensor<1>,
    step: AdamWStep,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let (p, g, m, v) = (
        p.into_dispatch(),
        g.into_dispatch(),
        m.into_dispatch(),
        v.into_dispatch(),
    );
    let (p, m, v) = Dispatch::adamw(p, g, m, v, step);
    (
        Tensor::from_dispatch(p),
        Tensor::from_dispatch(m),
        Tensor::from_dispatch(v),
    )
}

/// The same step with moments of eight bits → (p, state) ([`lorakeet_shaders::AdamW8bit`]).
///
/// p, g \[n\]; `state` holds the words of codes and scales, as the bits of floats; `tables` \[512\] the values of m's codes, then
/// of v's.
pub fn adamw_8bit(
    p: Tensor<1>,
    g: Tensor<1>,
    state: Tensor<1>,
    tables: Tensor<1>,
    step: AdamWStep,
) -> (Tensor<1>, Tensor<1>) {
    let (p, g, state, tables) = (
        p.into_dispatch(),
        g.into_dispatch(),
        state.into_dispatch(),
        tables.into_dispatch(),
    );
    let (p, state) = Dispatch::adamw_8bit(p, g, state, tables, step);
    (Tensor::from_dispatch(p), Tensor::from_dispatch(state))
}

/// `tensor` \[n\], whose numbers from `start` on are `numbers` now. The tensor is written to in place: nobody else may hold it.
pub(crate) fn write(tensor: Tensor<1>, start: usize, numbers: Vec<f32>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::write(tensor.into_dispatch(), start, numbers))
}

/// Σ x² of each of `parts` stretches of x, one after the other → \[parts\].
pub fn sum_squares(x: Tensor<1>, parts: usize) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::sum_squares(x.into_dispatch(), parts))
}

/// Σ x² of each → \[7\], in one launch.
pub fn sum_squares_of_seven(tensors: [Tensor<1>; 7]) -> Tensor<1> {
    let [x0, x1, x2, x3, x4, x5, x6] = tensors.map(|tensor| tensor.into_dispatch());
    Tensor::from_dispatch(Dispatch::sum_squares_of_seven(x0, x1, x2, x3, x4, x5, x6))
}
