//! The engine's operations without gradients: what burn dispatches, each as one or a few kernels on any backend that
//! can launch them.
//!
//! What [`super::backward`] needs again (products, dropout's mask) is made here by functions
//! of their own, so that a backward pass recomputes exactly what the forward pass computed. The vocabulary loss makes its
//! gradients in the same pass over the logits, so that no logits are kept.
//!
//! All tensors are f32. Shape letters as in the crate's documentation.

use super::attention::{attend, rotate};
use super::dispatched::Ops;
use super::forms::{AdamWStep, AdaptedForm, AttentionForm, LoraForm, PackedForm, RopeForm, VocabularyForm};
use super::group::{Member, adapted_group};
use super::launch::Launch;
use super::products::{adapted_product, add_low_rank, linear_product, low_rank_inputs, packed_product};
use super::vocabulary::{NeedsGrad, logit_cap, vocabulary_loss};
use burn::backend::{Shape, TensorMetadata, tensor::FloatTensor};
use lorakeet_shaders as kernels;
use lorakeet_shaders::Add as MatMulAdd;

impl<B: Launch> Ops for B {
    fn linear(x: FloatTensor<B>, w: FloatTensor<B>, transposed: bool) -> FloatTensor<B> {
        linear_product(&x.shape(), &w.shape(), transposed).run::<B>(x, w)
    }

    fn linear_bias(x: FloatTensor<B>, w: FloatTensor<B>, bias: FloatTensor<B>, transposed: bool) -> FloatTensor<B> {
        let product = linear_product(&x.shape(), &w.shape(), transposed);
        let shape = Shape::new([product.m, product.n]);
        launch_one::<B>(product.kernel(MatMulAdd::Row), vec![x, w, bias], shape)
    }

    fn lora(
        y: FloatTensor<B>,
        x: FloatTensor<B>,
        a: FloatTensor<B>,
        b: FloatTensor<B>,
        form: LoraForm,
    ) -> FloatTensor<B> {
        add_low_rank::<B>(y, low_rank_inputs::<B>(x, a, form), b, form.scale)
    }

    fn rms_norm(x: FloatTensor<B>, w: FloatTensor<B>, eps: f32) -> FloatTensor<B> {
        let shape = x.shape();
        let (rows, width) = rows_width(&shape);
        launch_one::<B>(kernels::RmsNorm { rows, width, eps }, vec![x, w], shape)
    }

    fn layer_norm(x: FloatTensor<B>, w: FloatTensor<B>, b: FloatTensor<B>, eps: f32) -> FloatTensor<B> {
        let shape = x.shape();
        let (rows, width) = rows_width(&shape);
        launch_one::<B>(kernels::LayerNorm { rows, width, eps }, vec![x, w, b], shape)
    }

    fn rotate(
        q: FloatTensor<B>,
        k: FloatTensor<B>,
        cos: FloatTensor<B>,
        sin: FloatTensor<B>,
        form: RopeForm,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        rotate::<B>([q, k], [cos, sin], form, false).into()
    }

    fn attention(
        q: FloatTensor<B>,
        k: FloatTensor<B>,
        v: FloatTensor<B>,
        mask: FloatTensor<B>,
        form: AttentionForm,
    ) -> FloatTensor<B> {
        attend::<B>([q, k, v], None, mask, form).out
    }

    fn attention_rotary(
        q: FloatTensor<B>,
        k: FloatTensor<B>,
        v: FloatTensor<B>,
        cos: FloatTensor<B>,
        sin: FloatTensor<B>,
        mask: FloatTensor<B>,
        form: AttentionForm,
    ) -> FloatTensor<B> {
        let rope = form.rope::<B>(&cos);
        let [q, k] = rotate::<B>([q, k], [cos, sin], rope, false);
        attend::<B>([q, k, v], None, mask, form).out
    }

    fn attention_bias(
        q: FloatTensor<B>,
        k: FloatTensor<B>,
        v: FloatTensor<B>,
        bias: FloatTensor<B>,
        mask: FloatTensor<B>,
        form: AttentionForm,
    ) -> FloatTensor<B> {
        attend::<B>([q, k, v], Some(bias), mask, form).out
    }

    fn silu_mul(gate: FloatTensor<B>, up: FloatTensor<B>) -> FloatTensor<B> {
        let shape = gate.shape();
        launch_one::<B>(
            kernels::SiluMul {
                len: shape.num_elements(),
            },
            vec![gate, up],
            shape,
        )
    }

    fn gelu(x: FloatTensor<B>) -> FloatTensor<B> {
        let shape = x.shape();
        let len = shape.num_elements();
        launch_one::<B>(kernels::Gelu { len }, vec![x], shape)
    }

    fn dropout(x: FloatTensor<B>, p: f32, seed: u64) -> FloatTensor<B> {
        dropout::<B>(x, p, seed)
    }

    fn gelu_new(x: FloatTensor<B>) -> FloatTensor<B> {
        let shape = x.shape();
        launch_one::<B>(
            kernels::GeluNew {
                len: shape.num_elements(),
            },
            vec![x],
            shape,
        )
    }

    fn embedding(ids: FloatTensor<B>, w: FloatTensor<B>) -> FloatTensor<B> {
        let (tokens, (vocab, width)) = (ids.shape().num_elements(), rows_width(&w.shape()));
        launch_one::<B>(
            kernels::EmbeddingGather { tokens, vocab, width },
            vec![ids, w],
            Shape::new([tokens, width]),
        )
    }

    fn vocabulary_loss(
        x: FloatTensor<B>,
        w: FloatTensor<B>,
        targets: FloatTensor<B>,
        form: VocabularyForm,
    ) -> FloatTensor<B> {
        vocabulary_loss::<B>(x, w, None, targets, form, NeedsGrad::default()).loss
    }

    fn vocabulary_loss_bias(
        x: FloatTensor<B>,
        w: FloatTensor<B>,
        bias: FloatTensor<B>,
        targets: FloatTensor<B>,
        form: VocabularyForm,
    ) -> FloatTensor<B> {
        vocabulary_loss::<B>(x, w, Some(bias), targets, form, NeedsGrad::default()).loss
    }

    fn packed_linear(x: FloatTensor<B>, words: FloatTensor<B>, form: PackedForm) -> FloatTensor<B> {
        packed_product::<B>(x, words, None, form)
    }

    fn adapted(
        x: FloatTensor<B>,
        w: FloatTensor<B>,
        a: FloatTensor<B>,
        b: FloatTensor<B>,
        form: AdaptedForm,
    ) -> FloatTensor<B> {
        let h = low_rank_inputs::<B>(x.clone(), a, form.lora);
        adapted_product::<B>(x, w, None, [h, b], form)
    }

    fn adapted_bias(
        x: FloatTensor<B>,
        w: FloatTensor<B>,
        bias: FloatTensor<B>,
        a: FloatTensor<B>,
        b: FloatTensor<B>,
        form: AdaptedForm,
    ) -> FloatTensor<B> {
        let h = low_rank_inputs::<B>(x.clone(), a, form.lora);
        adapted_product::<B>(x, w, Some((bias, MatMulAdd::Row)), [h, b], form)
    }

    fn adapted_onto(
        rows: FloatTensor<B>,
        x: FloatTensor<B>,
        w: FloatTensor<B>,
        a: FloatTensor<B>,
        b: FloatTensor<B>,
        form: AdaptedForm,
    ) -> FloatTensor<B> {
        let h = low_rank_inputs::<B>(x.clone(), a, form.lora);
        adapted_product::<B>(x, w, Some((rows, MatMulAdd::Full)), [h, b], form)
    }

    fn adapted_two(
        x: FloatTensor<B>,
        w0: FloatTensor<B>,
        w1: FloatTensor<B>,
        a0: FloatTensor<B>,
        a1: FloatTensor<B>,
        b0: FloatTensor<B>,
        b1: FloatTensor<B>,
        forms: [AdaptedForm; 2],
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let [form0, form1] = forms;
        let members = [Member::new(w0, [a0, b0], form0), Member::new(w1, [a1, b1], form1)];
        adapted_group::<B, 2>(&x, &members).0.into()
    }

    fn adapted_three(
        x: FloatTensor<B>,
        w0: FloatTensor<B>,
        w1: FloatTensor<B>,
        w2: FloatTensor<B>,
        a0: FloatTensor<B>,
        a1: FloatTensor<B>,
        a2: FloatTensor<B>,
        b0: FloatTensor<B>,
        b1: FloatTensor<B>,
        b2: FloatTensor<B>,
        forms: [AdaptedForm; 3],
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let [form0, form1, form2] = forms;
        let members = [
            Member::new(w0, [a0, b0], form0),
            Member::new(w1, [a1, b1], form1),
            Member::new(w2, [a2, b2], form2),
        ];
        adapted_group::<B, 3>(&x, &members).0.into()
    }

    fn adapted_three_bias(
        x: FloatTensor<B>,
        w0: FloatTensor<B>,
        w1: FloatTensor<B>,
        w2: FloatTensor<B>,
        bias0: FloatTensor<B>,
        bias1: FloatTensor<B>,
        bias2: FloatTensor<B>,
        a0: FloatTensor<B>,
        a1: FloatTensor<B>,
        a2: FloatTensor<B>,
        b0: FloatTensor<B>,
        b1: FloatTensor<B>,
        b2: FloatTensor<B>,
        forms: [AdaptedForm; 3],
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let [form0, form1, form2] = forms;
        let members = [
            Member::new(w0, [a0, b0], form0).with_bias(bias0),
            Member::new(w1, [a1, b1], form1).with_bias(bias1),
            Member::new(w2, [a2, b2], form2).with_bias(bias2),
        ];
        adapted_group::<B, 3>(&x, &members).0.into()
    }

    fn add(x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
        B::float_add(x, y)
    }

    fn packed_linear_bias(
        x: FloatTensor<B>,
        words: FloatTensor<B>,
        bias: FloatTensor<B>,
        form: PackedForm,
    ) -> FloatTensor<B> {
        packed_product::<B>(x, words, Some((bias, MatMulAdd::Row)), form)
    }

    fn packed_embedding(
        ids: FloatTensor<B>,
        words: FloatTensor<B>,
        table: kernels::Packed,
        first_row: usize,
    ) -> FloatTensor<B> {
        let tokens = ids.shape().num_elements();
        let kernel = kernels::PackedGather {
            tokens,
            table,
            first_row,
        };
        launch_one::<B>(kernel, vec![ids, words], Shape::new([tokens, table.columns]))
    }

    fn cross_entropy(logits: FloatTensor<B>, targets: FloatTensor<B>) -> FloatTensor<B> {
        let (rows, vocab) = rows_width(&logits.shape());
        launch_one::<B>(
            kernels::CrossEntropy { rows, vocab },
            vec![logits, targets],
            Shape::new([rows]),
        )
    }

    fn soft_cap(logits: FloatTensor<B>, cap: f32) -> FloatTensor<B> {
        let shape = logits.shape();
        launch_one::<B>(logit_cap(shape.num_elements(), cap), vec![logits], shape)
    }

    fn cross_entropy_backward(logits: FloatTensor<B>, targets: FloatTensor<B>, form: VocabularyForm) -> FloatTensor<B> {
        let shape = logits.shape();
        let (rows, vocab) = rows_width(&shape);
        let VocabularyForm { scale, soft_cap } = form;
        let gradient = launch_one::<B>(
            kernels::CrossEntropyBackward { rows, vocab, scale },
            vec![logits.clone(), targets],
            shape.clone(),
        );
        if soft_cap > 0.0 {
            let cap = logit_cap(shape.num_elements(), soft_cap);
            return launch_one::<B>(cap.backward(), vec![logits, gradient], shape);
        }
        gradient
    }

    fn scaled_sum(x: FloatTensor<B>, scale: f32) -> FloatTensor<B> {
        let len = x.shape().num_elements();
        launch_one::<B>(kernels::ScaledSum { len, scale }, vec![x], Shape::new([1]))
    }

    fn given_gradient(_x: FloatTensor<B>, value: FloatTensor<B>, _gradient: FloatTensor<B>) -> FloatTensor<B> {
        value
    }

    fn inject(root: FloatTensor<B>, _x: FloatTensor<B>, _gradient: FloatTensor<B>) -> FloatTensor<B> {
        root
    }

    fn begins_at(_root: FloatTensor<B>) -> bool {
        false
    }

    fn adamw(
        p: FloatTensor<B>,
        g: FloatTensor<B>,
        m: FloatTensor<B>,
        v: FloatTensor<B>,
        step: AdamWStep,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let shape = p.shape();
        let kernel = step.kernel(shape.num_elements());
        let [p, m, v] = B::launch(kernel, vec![p, g, m, v], [shape.clone(), shape.clone(), shape]);
        (p, m, v)
    }

    fn adamw_8bit(
        p: FloatTensor<B>,
        g: FloatTensor<B>,
        state: FloatTensor<B>,
        tables: FloatTensor<B>,
        step: AdamWStep,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let shapes = [p.shape(), state.shape()];
        let step = step.kernel(shapes[0].num_elements());
        let [p, state] = B::launch(kernels::AdamW8bit { step }, vec![p, g, state, tables], shapes);
        (p, state)
    }

    fn write(tensor: FloatTensor<B>, start: usize, numbers: Vec<f32>) -> FloatTensor<B> {
        B::write(tensor, start, numbers)
    }

    fn sum_squares(x: FloatTensor<B>, parts: usize) -> FloatTensor<B> {
        let len = x.shape().num_elements();
        launch_one::<B>(kernels::SumSquares { len, parts }, vec![x], Shape::new([parts]))
    }

    fn sum_squares_of_seven(
        x0: FloatTensor<B>,
        x1: FloatTensor<B>,
        x2: FloatTensor<B>,
        x3: FloatTensor<B>,
        x4: FloatTensor<B>,
        x5: FloatTensor<B>,
        x6: FloatTensor<B>,
    ) -> FloatTensor<B> {
        let all = [x0, x1, x2, x3, x4, x5, x6];
        let lens = all.each_ref().map(|x| x.shape().num_elements());
        launch_one::<B>(
            kernels::SumSquaresOfSeven { lens },
            all.into(),
            Shape::new([lens.len()]),
        )
    }

    fn open_gradient_places(values: FloatTensor<B>) -> FloatTensor<B> {
        B::open_places(values)
    }

    fn is_slice(x: FloatTensor<B>, whole: FloatTensor<B>, start: usize) -> bool {
        B::lies_at(&x, &whole, start)
    }
}

pub(super) fn rows_width(shape: &Shape) -> (usize, usize) {
    let width = shape[shape.num_dims() - 1];
    (shape.num_elements() / width.max(1), width)
}

pub(super) fn launch_one<B: Launch>(
    kernel: impl kernels::Kernel,
    inputs: Vec<FloatTensor<B>>,
    shape: Shape,
) -> FloatTensor<B> {
    let [output] = B::launch(kernel, inputs, [shape]);
    output
}

pub(super) fn dropout<B: Launch>(x: FloatTensor<B>, p: f32, seed: u64) -> FloatTensor<B> {
    if p == 0.0 {
        return x;
    }
    let shape = x.shape();
    launch_one::<B>(
        kernels::Dropout {
            len: shape.num_elements(),
            p,
            seed,
        },
        vec![x],
        shape,
    )
}

/// Column sums: the gradient of a bias.
pub(super) fn column_sums<B: Launch>(dy: FloatTensor<B>) -> FloatTensor<B> {
    let (_, width) = rows_width(&dy.shape());
    B::float_reshape(B::float_sum_dim(dy, 0), Shape::new([width]))
}
