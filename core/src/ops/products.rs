//! Products of matrices as launches: a linear's, its adapter's of low rank, and those of their backward passes.

use super::dispatched::Ops;
use super::forms::{AdaptedForm, BaseForm, LoraForm, PackedForm};
use super::forward::{dropout, launch_one, rows_width};
use super::launch::{Launch, Output};
use burn::backend::{Shape, TensorMetadata, tensor::FloatTensor};
use lorakeet_shaders as kernels;
use lorakeet_shaders::Add as MatMulAdd;

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
            low_rank: None,
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
pub(super) fn linear_product(x: &Shape, w: &Shape, transposed: bool) -> Product {
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
    let kernel = kernels::PackedMatMul {
        add,
        ..kernels::PackedMatMul::new(m, matrix, across)
    };
    let shape = Shape::new([m, kernel.n()]);
    let mut inputs = vec![x, words];
    inputs.extend(addend);
    launch_one::<B>(kernel, inputs, shape)
}

/// x · Wᵀ + addend + scale · l · rᵀ; backward, where `goes_back`, x · W + addend + scale · l · r.
pub(super) fn product_and_low_rank<B: Launch>(
    x: FloatTensor<B>,
    w: FloatTensor<B>,
    addend: Option<(FloatTensor<B>, MatMulAdd)>,
    [l, r]: [FloatTensor<B>; 2],
    (base, scale): (BaseForm, f32),
    goes_back: bool,
) -> FloatTensor<B> {
    let (addend, add) = addend.unzip();
    let add = add.unwrap_or(MatMulAdd::None);
    let (_, rank) = rows_width(&l.shape());
    let low_rank = Some(kernels::LowRank {
        rank,
        across: goes_back,
        scale,
    });
    let (x_shape, w_shape) = (x.shape(), w.shape());
    let mut inputs = vec![x, w];
    inputs.extend(addend);
    inputs.extend([l, r]);
    match base {
        BaseForm::Dense { transposed } => {
            let product = linear_product(&x_shape, &w_shape, transposed != goes_back);
            let kernel = kernels::MatMul {
                low_rank,
                ..product.kernel(add)
            };
            launch_one::<B>(kernel, inputs, Shape::new([product.m, product.n]))
        }
        BaseForm::Packed(form) => {
            let (m, _) = rows_width(&x_shape);
            let PackedForm { matrix, across } = if goes_back { form.back() } else { form };
            let kernel = kernels::PackedMatMul {
                add,
                low_rank,
                ..kernels::PackedMatMul::new(m, matrix, across)
            };
            let shape = Shape::new([m, kernel.n()]);
            launch_one::<B>(kernel, inputs, shape)
        }
    }
}

/// dropout(x) · aᵀ.
pub(super) fn low_rank_inputs<B: Launch>(x: FloatTensor<B>, a: FloatTensor<B>, form: LoraForm) -> FloatTensor<B> {
    <B as Ops>::linear(dropout::<B>(x, form.dropout, form.seed), a, false)
}

/// x · Wᵀ + addend + s · h · bᵀ.
pub(super) fn adapted_product<B: Launch>(
    x: FloatTensor<B>,
    w: FloatTensor<B>,
    addend: Option<(FloatTensor<B>, MatMulAdd)>,
    h_and_b: [FloatTensor<B>; 2],
    AdaptedForm { base, lora }: AdaptedForm,
) -> FloatTensor<B> {
    product_and_low_rank::<B>(x, w, addend, h_and_b, (base, lora.scale), false)
}

/// dx = dy · w, plus what x has already.
pub(super) fn linear_dx<B: Launch>(
    dy: FloatTensor<B>,
    w: FloatTensor<B>,
    so_far: Option<FloatTensor<B>>,
    transposed: bool,
) -> FloatTensor<B> {
    let product = linear_product(&dy.shape(), &w.shape(), !transposed);
    let add = so_far.as_ref().map_or(MatMulAdd::None, |_| MatMulAdd::Full);
    let mut inputs = vec![dy, w];
    inputs.extend(so_far);
    launch_one::<B>(product.kernel(add), inputs, Shape::new([product.m, product.n]))
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
