//! The engine's operations without gradients: what burn dispatches, each as one or a few kernels on any backend that
//! can launch them.
//!
//! What [`super::backward`] needs again (products, dropout's mask) is made here by functions
//! of their own, so that a backward pass recomputes exactly what the forward pass computed. The vocabulary loss makes its
//! gradients in the same pass over the logits, so that no logits are kept.
//!
//! All tensors are f32. Shape letters as in the crate's documentation.

use super::attention::{attend, rotate};
use super::forms::{AdamWStep, AttentionForm, LoraForm, PackedForm, RopeForm, VocabularyForm};
use super::launch::{Launch, Output};
use super::vocabulary::{NeedsGrad, logit_cap, vocabulary_loss};
use burn::backend::{Backend, Shape, TensorMetadata, backend_extension, tensor::FloatTensor};
use lorakeet_shaders as kernels;
use lorakeet_shaders::Add as MatMulAdd;

/// What burn dispatches; documented on the functions of [`super`].
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
    fn packed_lora(
        x: FloatTensor<Self>,
        words: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: PackedForm,
        lora: LoraForm,
    ) -> FloatTensor<Self>;
    fn packed_lora_bias(
        x: FloatTensor<Self>,
        words: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: PackedForm,
        lora: LoraForm,
    ) -> FloatTensor<Self>;
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
    /// `value` [1], of which the gradient with respect to `x` is known: `gradient`, in x's shape.
    fn given_gradient(x: FloatTensor<Self>, value: FloatTensor<Self>, gradient: FloatTensor<Self>)
    -> FloatTensor<Self>;
    /// `root` [1], whose backward pass hands `gradient` to `x` before anything else.
    fn inject(root: FloatTensor<Self>, x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;
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
        let h = <B as Ops>::linear(dropout::<B>(x, form.dropout, form.seed), a, false);
        add_low_rank::<B>(y, h, b, form.scale)
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
        let [q, k] = rotate::<B>([q, k], [cos, sin], form.rope(), false);
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

    fn packed_lora(
        x: FloatTensor<B>,
        words: FloatTensor<B>,
        a: FloatTensor<B>,
        b: FloatTensor<B>,
        form: PackedForm,
        lora: LoraForm,
    ) -> FloatTensor<B> {
        B::lora(B::packed_linear(x.clone(), words, form), x, a, b, lora)
    }

    fn packed_lora_bias(
        x: FloatTensor<B>,
        words: FloatTensor<B>,
        bias: FloatTensor<B>,
        a: FloatTensor<B>,
        b: FloatTensor<B>,
        form: PackedForm,
        lora: LoraForm,
    ) -> FloatTensor<B> {
        B::lora(B::packed_linear_bias(x.clone(), words, bias, form), x, a, b, lora)
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

    fn given_gradient(_x: FloatTensor<B>, value: FloatTensor<B>, _gradient: FloatTensor<B>) -> FloatTensor<B> {
        value
    }

    fn inject(root: FloatTensor<B>, _x: FloatTensor<B>, _gradient: FloatTensor<B>) -> FloatTensor<B> {
        root
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

/// alpha · op(a) · op(b), 2-D.
pub(super) struct Product {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) a_trans: bool,
    pub(super) b_trans: bool,
    pub(super) alpha: f32,
}

impl Product {
    pub(super) fn kernel(&self, add: MatMulAdd) -> kernels::MatMul {
        self.batched(1, add)
    }

    pub(super) fn batched(&self, batch: usize, add: MatMulAdd) -> kernels::MatMul {
        let Self {
            m,
            n,
            k,
            a_trans,
            b_trans,
            alpha,
        } = *self;
        kernels::MatMul {
            batch,
            m,
            n,
            k,
            a_trans,
            b_trans,
            alpha,
            add,
        }
    }

    pub(super) fn run<B: Launch>(&self, a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
        self.run_to::<B>(a, b, Output::New(Shape::new([self.m, self.n])))
    }

    pub(super) fn run_to<B: Launch>(&self, a: FloatTensor<B>, b: FloatTensor<B>, output: Output<B>) -> FloatTensor<B> {
        let [output] = B::launch_to(self.kernel(MatMulAdd::None), vec![a, b], [output]);
        output
    }
}

/// The forward product of a linear layer: x [n, in] by w [out, in] (or [in, out] where `transposed`, GPT-2's Conv1D).
fn linear_product(x: &Shape, w: &Shape, transposed: bool) -> Product {
    let (m, k) = rows_width(x);
    let n = if transposed { w[1] } else { w[0] };
    Product {
        m,
        n,
        k,
        a_trans: false,
        b_trans: !transposed,
        alpha: 1.0,
    }
}

/// x · Wᵀ or x · W, plus a bias perhaps.
pub(super) fn packed_product<B: Launch>(
    x: FloatTensor<B>,
    words: FloatTensor<B>,
    addend: Option<(FloatTensor<B>, MatMulAdd)>,
    form: PackedForm,
) -> FloatTensor<B> {
    let (m, _) = rows_width(&x.shape());
    let PackedForm { matrix, across } = form;
    let (addend, add) = addend.unzip();
    let add = add.unwrap_or(MatMulAdd::None);
    let kernel = kernels::PackedMatMul { m, matrix, across, add };
    let shape = Shape::new([m, kernel.n()]);
    let mut inputs = vec![x, words];
    inputs.extend(addend);
    launch_one::<B>(kernel, inputs, shape)
}

/// dx = dy · w.
pub(super) fn linear_dx<B: Launch>(dy: FloatTensor<B>, w: FloatTensor<B>, transposed: bool) -> FloatTensor<B> {
    let (m, k) = rows_width(&dy.shape());
    let n = if transposed { w.shape()[0] } else { w.shape()[1] };
    Product {
        m,
        n,
        k,
        a_trans: false,
        b_trans: transposed,
        alpha: 1.0,
    }
    .run::<B>(dy, w)
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

/// y + scale · h · bᵀ.
pub(super) fn add_low_rank<B: Launch>(
    y: FloatTensor<B>,
    h: FloatTensor<B>,
    b: FloatTensor<B>,
    scale: f32,
) -> FloatTensor<B> {
    let (shape, (m, k)) = (y.shape(), rows_width(&h.shape()));
    let product = Product {
        m,
        n: b.shape()[0],
        k,
        a_trans: false,
        b_trans: true,
        alpha: scale,
    };
    launch_one::<B>(product.kernel(MatMulAdd::Full), vec![h, b, y], shape)
}
