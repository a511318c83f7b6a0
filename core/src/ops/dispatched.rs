//! The engine's operations as burn dispatches them to a backend; documented on the functions of [`super`]. [`super::forward`] has
//! them for every backend that launches kernels, [`super::backward`] with gradients.

#![allow(
    clippy::too_many_arguments,
    reason = "burn dispatches operations whose tensors are arguments of their own"
)]

use super::forms::{AdamWStep, AdaptedForm, AttentionForm, LoraForm, PackedForm, RopeForm, VocabularyForm};
use burn::backend::{Backend, backend_extension, tensor::FloatTensor};
use lorakeet_shaders as kernels;

/// The operations.
#[backend_extension(Cube, Flex, Autodiff)]
pub trait Ops: Backend {
    fn linear(x: FloatTensor<Self>, w: FloatTensor<Self>, transposed: bool) -> FloatTensor<Self>;
    fn linear_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        transposed: bool,
    ) -> FloatTensor<Self>;
    fn lora(
        y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: LoraForm,
    ) -> FloatTensor<Self>;
    fn rms_norm(x: FloatTensor<Self>, w: FloatTensor<Self>, eps: f32) -> FloatTensor<Self>;
    fn layer_norm(x: FloatTensor<Self>, w: FloatTensor<Self>, b: FloatTensor<Self>, eps: f32) -> FloatTensor<Self>;
    /// q and k, rotated. Records no gradient.
    fn rotate(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        form: RopeForm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        form: AttentionForm,
    ) -> FloatTensor<Self>;
    /// With q and k rotated first.
    fn attention_rotary(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        form: AttentionForm,
    ) -> FloatTensor<Self>;
    fn attention_bias(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        form: AttentionForm,
    ) -> FloatTensor<Self>;
    fn silu_mul(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
    fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn gelu_new(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn dropout(x: FloatTensor<Self>, p: f32, seed: u64) -> FloatTensor<Self>;
    fn embedding(ids: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self>;
    fn vocabulary_loss(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        form: VocabularyForm,
    ) -> FloatTensor<Self>;
    fn vocabulary_loss_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        form: VocabularyForm,
    ) -> FloatTensor<Self>;
    fn packed_linear(x: FloatTensor<Self>, words: FloatTensor<Self>, form: PackedForm) -> FloatTensor<Self>;
    fn packed_linear_bias(
        x: FloatTensor<Self>,
        words: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: PackedForm,
    ) -> FloatTensor<Self>;
    /// A linear with its adapter: the product of low rank is made where the large one is stored.
    fn adapted(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdaptedForm,
    ) -> FloatTensor<Self>;
    fn adapted_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdaptedForm,
    ) -> FloatTensor<Self>;
    /// With `rows` [n, out] added.
    fn adapted_onto(
        rows: FloatTensor<Self>,
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdaptedForm,
    ) -> FloatTensor<Self>;
    /// Linears that read the same rows.
    fn adapted_two(
        x: FloatTensor<Self>,
        w0: FloatTensor<Self>,
        w1: FloatTensor<Self>,
        a0: FloatTensor<Self>,
        a1: FloatTensor<Self>,
        b0: FloatTensor<Self>,
        b1: FloatTensor<Self>,
        forms: [AdaptedForm; 2],
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
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
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
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
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// x + y, of one shape.
    fn add(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;
    fn packed_embedding(
        ids: FloatTensor<Self>,
        words: FloatTensor<Self>,
        table: kernels::Packed,
        first_row: usize,
    ) -> FloatTensor<Self>;
    /// The loss of each row of logits [n, V]; targets as in `vocabulary_loss`. Records no gradient.
    fn cross_entropy(logits: FloatTensor<Self>, targets: FloatTensor<Self>) -> FloatTensor<Self>;
    /// cap · tanh(logits / cap). Records no gradient.
    fn soft_cap(logits: FloatTensor<Self>, cap: f32) -> FloatTensor<Self>;
    /// scale · the gradient of those losses with respect to what was capped, given the capped logits. Records no gradient.
    fn cross_entropy_backward(
        logits: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        form: VocabularyForm,
    ) -> FloatTensor<Self>;
    /// scale · Σ x → [1]. Records no gradient.
    fn scaled_sum(x: FloatTensor<Self>, scale: f32) -> FloatTensor<Self>;
    /// `value` [1], of which the gradient with respect to `x` is known: `gradient`, in x's shape.
    fn given_gradient(x: FloatTensor<Self>, value: FloatTensor<Self>, gradient: FloatTensor<Self>)
    -> FloatTensor<Self>;
    /// `root` [1], whose backward pass hands `gradient` to `x` before anything else.
    fn inject(root: FloatTensor<Self>, x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The next backward pass of this thread begins at `root`, with ones: what made it need not multiply by them. Whether it records
    /// a gradient at all.
    fn begins_at(root: FloatTensor<Self>) -> bool;
    fn adamw(
        p: FloatTensor<Self>,
        g: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    fn adamw_8bit(
        p: FloatTensor<Self>,
        g: FloatTensor<Self>,
        state: FloatTensor<Self>,
        tables: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn write(tensor: FloatTensor<Self>, start: usize, numbers: Vec<f32>) -> FloatTensor<Self>;
    fn sum_squares(x: FloatTensor<Self>, parts: usize) -> FloatTensor<Self>;
    fn sum_squares_of_seven(
        x0: FloatTensor<Self>,
        x1: FloatTensor<Self>,
        x2: FloatTensor<Self>,
        x3: FloatTensor<Self>,
        x4: FloatTensor<Self>,
        x5: FloatTensor<Self>,
        x6: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn open_gradient_places(values: FloatTensor<Self>) -> FloatTensor<Self>;
    fn is_slice(x: FloatTensor<Self>, whole: FloatTensor<Self>, start: usize) -> bool;
}
