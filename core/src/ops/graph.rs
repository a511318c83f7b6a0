//! The engine's operations with their gradients.
//!
//! [`Ops`] is what burn dispatches; every backend that can launch kernels has it, and [`Autodiff`] adds hand-written backward
//! passes. States hold tensors that exist anyway (inputs, small outputs) and recompute the rest: attention keeps no scores,
//! dropout keeps no mask, the vocabulary loss keeps no logits. A gradient is computed only for the inputs that want one, so a
//! frozen weight costs nothing in the backward pass.
//!
//! All tensors are f32. Shape letters as in the crate's documentation.

use super::launch::Launch;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Shape, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use burn_autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops as Node, OpsKind},
};
use lorakeet_shaders as kernels;
use lorakeet_shaders::Add as MatMulAdd;

/// How an adapter acts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoraForm {
    /// alpha / r, or alpha / √r.
    pub scale: f32,
    /// Share of the adapter's inputs that is dropped; 0 in evaluation.
    pub dropout: f32,
    /// Seed of this layer's mask in this micro-batch.
    pub seed: u64,
}

/// Shapes of one attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionForm {
    /// B.
    pub batch: usize,
    /// K.
    pub kv_heads: usize,
    /// H / K.
    pub group: usize,
    /// Query tokens.
    pub queries: usize,
    /// Key tokens.
    pub keys: usize,
    /// D.
    pub head_dim: usize,
    /// Keys before the first query: query q sees keys up to q + offset.
    pub offset: usize,
}

/// Shapes of one rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RopeForm {
    /// B.
    pub batch: usize,
    /// Heads.
    pub heads: usize,
    /// T.
    pub tokens: usize,
    /// D.
    pub dim: usize,
}

/// One optimizer step's scalars: `torch.optim.AdamW`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Rate.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// λ.
    pub weight_decay: f64,
    /// 1 − β₁ᵗ.
    pub bias_correction1: f64,
    /// 1 − β₂ᵗ.
    pub bias_correction2: f64,
    /// Factor on the gradient (clipping).
    pub grad_scale: f64,
}

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
    fn rope(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>, form: RopeForm) -> FloatTensor<Self>;
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        form: AttentionForm,
    ) -> FloatTensor<Self>;
    fn silu_mul(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
    fn gelu_new(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn embedding(ids: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self>;
    fn vocabulary_loss(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self>;
    fn adamw(
        p: FloatTensor<Self>,
        g: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    fn sum_squares(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

fn rows_width(shape: &Shape) -> (usize, usize) {
    let width = shape[shape.num_dims() - 1];
    (shape.num_elements() / width.max(1), width)
}

fn one<B: Launch>(kernel: impl kernels::Kernel, inputs: Vec<FloatTensor<B>>, shape: Shape) -> FloatTensor<B> {
    let [output] = B::launch(kernel, inputs, [shape]);
    output
}

/// alpha · op(a) · op(b), 2-D.
struct Product {
    m: usize,
    n: usize,
    k: usize,
    a_trans: bool,
    b_trans: bool,
    alpha: f32,
}

impl Product {
    fn kernel(&self, add: MatMulAdd) -> kernels::MatMul {
        self.batched(1, add)
    }

    fn batched(&self, batch: usize, add: MatMulAdd) -> kernels::MatMul {
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

    fn run<B: Launch>(&self, a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
        one::<B>(self.kernel(MatMulAdd::None), vec![a, b], Shape::new([self.m, self.n]))
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

/// dx = dy · w.
fn linear_dx<B: Launch>(dy: FloatTensor<B>, w: FloatTensor<B>, transposed: bool) -> FloatTensor<B> {
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

/// dw = dyᵀ · x, in w's own layout.
fn linear_dw<B: Launch>(x: FloatTensor<B>, dy: FloatTensor<B>, transposed: bool) -> FloatTensor<B> {
    let ((rows, inputs), (_, outputs)) = (rows_width(&x.shape()), rows_width(&dy.shape()));
    let product = |m, n| Product {
        m,
        n,
        k: rows,
        a_trans: true,
        b_trans: false,
        alpha: 1.0,
    };
    if transposed {
        product(inputs, outputs).run::<B>(x, dy)
    } else {
        product(outputs, inputs).run::<B>(dy, x)
    }
}

/// Column sums: the gradient of a bias.
fn column_sums<B: Launch>(dy: FloatTensor<B>) -> FloatTensor<B> {
    let (_, width) = rows_width(&dy.shape());
    B::float_reshape(B::float_sum_dim(dy, 0), Shape::new([width]))
}

fn drop<B: Launch>(x: FloatTensor<B>, form: LoraForm) -> FloatTensor<B> {
    if form.dropout == 0.0 {
        return x;
    }
    let shape = x.shape();
    one::<B>(
        kernels::Dropout {
            len: shape.num_elements(),
            p: form.dropout,
            seed: form.seed,
        },
        vec![x],
        shape,
    )
}

fn softmax_kernel(form: AttentionForm) -> kernels::CausalSoftmax {
    let AttentionForm {
        batch,
        kv_heads,
        group,
        queries,
        keys,
        head_dim,
        offset,
    } = form;
    let scale = (head_dim as f32).sqrt().recip();
    kernels::CausalSoftmax {
        batch,
        kv_heads,
        group,
        queries,
        keys,
        offset,
        scale,
        window: 0,
    }
}

fn probabilities<B: Launch>(
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    mask: FloatTensor<B>,
    form: AttentionForm,
) -> FloatTensor<B> {
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
    let scores = one::<B>(product.batched(batch, MatMulAdd::None), vec![q, k], shape.clone());
    one::<B>(softmax_kernel(form), vec![scores, mask], shape)
}

/// Tokens whose logits are held at a time: about 32 MiB of them.
fn chunk_rows(vocab: usize) -> usize {
    ((8 << 20) / vocab.max(1)).max(1)
}

struct VocabularyLoss<B: Backend> {
    loss: FloatTensor<B>,
    dx: Option<FloatTensor<B>>,
    dw: Option<FloatTensor<B>>,
}

/// The loss and, where wanted, its gradients in one pass over chunks of tokens.
fn vocabulary_loss<B: Launch>(
    x: FloatTensor<B>,
    w: FloatTensor<B>,
    targets: FloatTensor<B>,
    scale: f32,
    (wants_dx, wants_dw): (bool, bool),
) -> VocabularyLoss<B> {
    let ((rows, width), vocab) = (rows_width(&x.shape()), w.shape()[0]);
    let mut losses = Vec::new();
    let mut dxs = Vec::new();
    let mut dw: Option<FloatTensor<B>> = None;
    let chunk = chunk_rows(vocab);
    for start in (0..rows).step_by(chunk) {
        let end = (start + chunk).min(rows);
        let n = end - start;
        let part = |tensor: FloatTensor<B>| {
            if n == rows {
                tensor
            } else {
                B::float_slice(tensor, &[(start..end).into()])
            }
        };
        let (x_part, t_part) = (part(x.clone()), part(targets.clone()));
        let product = Product {
            m: n,
            n: vocab,
            k: width,
            a_trans: false,
            b_trans: true,
            alpha: 1.0,
        };
        let logits = product.run::<B>(x_part.clone(), w.clone());
        losses.push(one::<B>(
            kernels::CrossEntropy { rows: n, vocab },
            vec![logits.clone(), t_part.clone()],
            Shape::new([n]),
        ));
        if !wants_dx && !wants_dw {
            continue;
        }
        let dlogits = one::<B>(
            kernels::CrossEntropyBackward { rows: n, vocab, scale },
            vec![logits, t_part],
            Shape::new([n, vocab]),
        );
        if wants_dw {
            let product = Product {
                m: vocab,
                n: width,
                k: n,
                a_trans: true,
                b_trans: false,
                alpha: 1.0,
            };
            let shape = Shape::new([vocab, width]);
            dw = Some(match dw.take() {
                None => product.run::<B>(dlogits.clone(), x_part),
                Some(sum) => one::<B>(
                    product.kernel(MatMulAdd::Full),
                    vec![dlogits.clone(), x_part, sum],
                    shape,
                ),
            });
        }
        if wants_dx {
            dxs.push(linear_dx::<B>(dlogits, w.clone(), false));
        }
    }
    let losses = if losses.len() == 1 {
        losses.remove(0)
    } else {
        B::float_cat(losses, 0)
    };
    let loss = B::float_mul_scalar(B::float_sum(losses), scale.into());
    let dx = match dxs.len() {
        0 => None,
        1 => dxs.pop(),
        _ => Some(B::float_cat(dxs, 0)),
    };
    VocabularyLoss { loss, dx, dw }
}

impl<B: Launch> Ops for B {
    fn linear(x: FloatTensor<B>, w: FloatTensor<B>, transposed: bool) -> FloatTensor<B> {
        linear_product(&x.shape(), &w.shape(), transposed).run::<B>(x, w)
    }

    fn linear_bias(x: FloatTensor<B>, w: FloatTensor<B>, bias: FloatTensor<B>, transposed: bool) -> FloatTensor<B> {
        let product = linear_product(&x.shape(), &w.shape(), transposed);
        let shape = Shape::new([product.m, product.n]);
        one::<B>(product.kernel(MatMulAdd::Row), vec![x, w, bias], shape)
    }

    fn lora(
        y: FloatTensor<B>,
        x: FloatTensor<B>,
        a: FloatTensor<B>,
        b: FloatTensor<B>,
        form: LoraForm,
    ) -> FloatTensor<B> {
        let h = <B as Ops>::linear(drop::<B>(x, form), a, false);
        up::<B>(y, h, b, form.scale)
    }

    fn rms_norm(x: FloatTensor<B>, w: FloatTensor<B>, eps: f32) -> FloatTensor<B> {
        let shape = x.shape();
        let (rows, width) = rows_width(&shape);
        one::<B>(kernels::RmsNorm { rows, width, eps }, vec![x, w], shape)
    }

    fn layer_norm(x: FloatTensor<B>, w: FloatTensor<B>, b: FloatTensor<B>, eps: f32) -> FloatTensor<B> {
        let shape = x.shape();
        let (rows, width) = rows_width(&shape);
        one::<B>(kernels::LayerNorm { rows, width, eps }, vec![x, w, b], shape)
    }

    fn rope(x: FloatTensor<B>, cos: FloatTensor<B>, sin: FloatTensor<B>, form: RopeForm) -> FloatTensor<B> {
        let shape = x.shape();
        one::<B>(rope_kernel(form, false), vec![x, cos, sin], shape)
    }

    fn attention(
        q: FloatTensor<B>,
        k: FloatTensor<B>,
        v: FloatTensor<B>,
        mask: FloatTensor<B>,
        form: AttentionForm,
    ) -> FloatTensor<B> {
        let shape = q.shape();
        let p = probabilities::<B>(q, k, mask, form);
        let (batch, rows) = (form.batch * form.kv_heads, form.group * form.queries);
        let product = Product {
            m: rows,
            n: form.head_dim,
            k: form.keys,
            a_trans: false,
            b_trans: false,
            alpha: 1.0,
        };
        one::<B>(product.batched(batch, MatMulAdd::None), vec![p, v], shape)
    }

    fn silu_mul(gate: FloatTensor<B>, up: FloatTensor<B>) -> FloatTensor<B> {
        let shape = gate.shape();
        one::<B>(
            kernels::SiluMul {
                len: shape.num_elements(),
            },
            vec![gate, up],
            shape,
        )
    }

    fn gelu_new(x: FloatTensor<B>) -> FloatTensor<B> {
        let shape = x.shape();
        one::<B>(
            kernels::GeluNew {
                len: shape.num_elements(),
            },
            vec![x],
            shape,
        )
    }

    fn embedding(ids: FloatTensor<B>, w: FloatTensor<B>) -> FloatTensor<B> {
        let (tokens, (vocab, width)) = (ids.shape().num_elements(), rows_width(&w.shape()));
        one::<B>(
            kernels::EmbeddingGather { tokens, vocab, width },
            vec![ids, w],
            Shape::new([tokens, width]),
        )
    }

    fn vocabulary_loss(x: FloatTensor<B>, w: FloatTensor<B>, targets: FloatTensor<B>, scale: f32) -> FloatTensor<B> {
        vocabulary_loss::<B>(x, w, targets, scale, (false, false)).loss
    }

    fn adamw(
        p: FloatTensor<B>,
        g: FloatTensor<B>,
        m: FloatTensor<B>,
        v: FloatTensor<B>,
        step: AdamWStep,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        let shape = p.shape();
        let AdamWStep {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            bias_correction1,
            bias_correction2,
            grad_scale,
        } = step;
        let len = shape.num_elements();
        let kernel = kernels::AdamW {
            len,
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            bias_correction1,
            bias_correction2,
            grad_scale,
        };
        let [p, m, v] = B::launch(kernel, vec![p, g, m, v], [shape.clone(), shape.clone(), shape]);
        (p, m, v)
    }

    fn sum_squares(x: FloatTensor<B>) -> FloatTensor<B> {
        one::<B>(
            kernels::SumSquares {
                len: x.shape().num_elements(),
            },
            vec![x],
            Shape::new([1]),
        )
    }
}

/// y + scale · h · bᵀ.
fn up<B: Launch>(y: FloatTensor<B>, h: FloatTensor<B>, b: FloatTensor<B>, scale: f32) -> FloatTensor<B> {
    let (shape, (m, k)) = (y.shape(), rows_width(&h.shape()));
    let product = Product {
        m,
        n: b.shape()[0],
        k,
        a_trans: false,
        b_trans: true,
        alpha: scale,
    };
    one::<B>(product.kernel(MatMulAdd::Full), vec![h, b, y], shape)
}

fn rope_kernel(form: RopeForm, inverse: bool) -> kernels::Rope {
    let RopeForm {
        batch,
        heads,
        tokens,
        dim,
    } = form;
    kernels::Rope {
        batch,
        heads,
        tokens,
        dim,
        tables: 1,
        inverse,
    }
}

/// Runs a forward pass, and records `$backward` with `$state` where an input wants a gradient.
macro_rules! record {
    ($C:ident, $backward:expr, [$($input:ident),+], $state:expr, $output:expr) => {{
        let nodes = [$($input.node()),+];
        $(let $input = $input.into_primitive();)+
        match $backward.prepare::<$C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = $state;
                prep.finish(state, $output)
            }
            OpsKind::UnTracked(prep) => prep.finish($output),
        }
    }};
}

#[derive(Debug)]
struct LinearBackward {
    transposed: bool,
}
impl<B: Launch> Backward<B, 2> for LinearBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((x, w), [of_x, of_w]) = (ops.state, ops.parents);
        if let Some(node) = of_w {
            let dw = linear_dw::<B>(x.clone(), dy.clone(), self.transposed);
            grads.register::<B>(node.id, dw);
        }
        if let Some(node) = of_x {
            let dx = B::float_reshape(linear_dx::<B>(dy, w, self.transposed), x.shape());
            grads.register::<B>(node.id, dx);
        }
    }
}
impl<B: Launch> Backward<B, 3> for LinearBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((x, w), [of_x, of_w, of_bias]) = (ops.state, ops.parents);
        if let Some(node) = of_w {
            let dw = linear_dw::<B>(x.clone(), dy.clone(), self.transposed);
            grads.register::<B>(node.id, dw);
        }
        if let Some(node) = of_bias {
            grads.register::<B>(node.id, column_sums::<B>(dy.clone()));
        }
        if let Some(node) = of_x {
            let dx = B::float_reshape(linear_dx::<B>(dy, w, self.transposed), x.shape());
            grads.register::<B>(node.id, dx);
        }
    }
}

#[derive(Debug)]
struct LoraBackward {
    form: LoraForm,
}
impl<B: Launch> Backward<B, 4> for LoraBackward {
    /// x, a, b and h = drop(x) · aᵀ.
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((x, a, b, h), [of_y, of_x, of_a, of_b]) = (ops.state, ops.parents);
        let ((rows, outputs), rank) = (rows_width(&dy.shape()), a.shape()[0]);
        if let Some(node) = of_b {
            let product = Product {
                m: outputs,
                n: rank,
                k: rows,
                a_trans: true,
                b_trans: false,
                alpha: self.form.scale,
            };
            grads.register::<B>(node.id, product.run::<B>(dy.clone(), h));
        }
        let down = Product {
            m: rows,
            n: rank,
            k: outputs,
            a_trans: false,
            b_trans: false,
            alpha: self.form.scale,
        };
        let dh = down.run::<B>(dy.clone(), b);
        if let Some(node) = of_a {
            let da = linear_dw::<B>(drop::<B>(x.clone(), self.form), dh.clone(), false);
            grads.register::<B>(node.id, da);
        }
        if let Some(node) = of_x {
            let dx = drop::<B>(linear_dx::<B>(dh, a, false), self.form);
            grads.register::<B>(node.id, B::float_reshape(dx, x.shape()));
        }
        if let Some(node) = of_y {
            grads.register::<B>(node.id, dy);
        }
    }
}

#[derive(Debug)]
struct RmsNormBackward {
    eps: f32,
}
impl<B: Launch> Backward<B, 2> for RmsNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((x, w), [of_x, of_w], eps) = (ops.state, ops.parents, self.eps);
        let (shape, (rows, width)) = (x.shape(), rows_width(&x.shape()));
        if let Some(node) = of_w {
            let kernel = kernels::RmsNormWeightBackward { rows, width, eps };
            grads.register::<B>(
                node.id,
                one::<B>(kernel, vec![x.clone(), dy.clone()], Shape::new([width])),
            );
        }
        if let Some(node) = of_x {
            let kernel = kernels::RmsNormBackward { rows, width, eps };
            grads.register::<B>(node.id, one::<B>(kernel, vec![x, w, dy], shape));
        }
    }
}

#[derive(Debug)]
struct LayerNormBackward {
    eps: f32,
}
impl<B: Launch> Backward<B, 3> for LayerNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((x, w), [of_x, of_w, of_b], eps) = (ops.state, ops.parents, self.eps);
        let (shape, (rows, width)) = (x.shape(), rows_width(&x.shape()));
        if of_w.is_some() || of_b.is_some() {
            let kernel = kernels::LayerNormWeightBackward { rows, width, eps };
            let shapes = [Shape::new([width]), Shape::new([width])];
            let [dw, db] = B::launch(kernel, vec![x.clone(), dy.clone()], shapes);
            if let Some(node) = of_w {
                grads.register::<B>(node.id, dw);
            }
            if let Some(node) = of_b {
                grads.register::<B>(node.id, db);
            }
        }
        if let Some(node) = of_x {
            let kernel = kernels::LayerNormBackward { rows, width, eps };
            grads.register::<B>(node.id, one::<B>(kernel, vec![x, w, dy], shape));
        }
    }
}

#[derive(Debug)]
struct RopeBackward {
    form: RopeForm,
}
impl<B: Launch> Backward<B, 1> for RopeBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((cos, sin), [of_x]) = (ops.state, ops.parents);
        if let Some(node) = of_x {
            let shape = dy.shape();
            grads.register::<B>(
                node.id,
                one::<B>(rope_kernel(self.form, true), vec![dy, cos, sin], shape),
            );
        }
    }
}

#[derive(Debug)]
struct AttentionBackward {
    form: AttentionForm,
}
impl<B: Launch> Backward<B, 3> for AttentionBackward {
    /// q, k, v and the mask.
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((q, k, v, mask), [of_q, of_k, of_v], form) = (ops.state, ops.parents, self.form);
        let (batch, rows, keys, dim) = (
            form.batch * form.kv_heads,
            form.group * form.queries,
            form.keys,
            form.head_dim,
        );
        let run = |m, n, k, (a_trans, b_trans), a, b, shape| {
            let product = Product {
                m,
                n,
                k,
                a_trans,
                b_trans,
                alpha: 1.0,
            };
            one::<B>(product.batched(batch, MatMulAdd::None), vec![a, b], shape)
        };
        let scores = Shape::new([batch, rows, keys]);
        let p = probabilities::<B>(q.clone(), k.clone(), mask, form);
        if let Some(node) = of_v {
            let dv = run(keys, dim, rows, (true, false), p.clone(), dy.clone(), v.shape());
            grads.register::<B>(node.id, dv);
        }
        if of_q.is_none() && of_k.is_none() {
            return;
        }
        let dp = run(rows, keys, dim, (false, true), dy, v, scores.clone());
        let kernel = kernels::CausalSoftmaxBackward {
            rows: batch * rows,
            keys,
            scale: softmax_kernel(form).scale,
        };
        let ds = one::<B>(kernel, vec![p, dp], scores);
        if let Some(node) = of_k {
            let dk = run(keys, dim, rows, (true, false), ds.clone(), q.clone(), k.shape());
            grads.register::<B>(node.id, dk);
        }
        if let Some(node) = of_q {
            let dq = run(rows, dim, keys, (false, false), ds, k, q.shape());
            grads.register::<B>(node.id, dq);
        }
    }
}

#[derive(Debug)]
struct SiluMulBackward;
impl<B: Launch> Backward<B, 2> for SiluMulBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);
    fn backward(self, ops: Node<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((gate, up), [of_gate, of_up]) = (ops.state, ops.parents);
        let shape = gate.shape();
        let kernel = kernels::SiluMulBackward {
            len: shape.num_elements(),
        };
        let [dgate, dup] = B::launch(kernel, vec![gate, up, dy], [shape.clone(), shape]);
        if let Some(node) = of_gate {
            grads.register::<B>(node.id, dgate);
        }
        if let Some(node) = of_up {
            grads.register::<B>(node.id, dup);
        }
    }
}

#[derive(Debug)]
struct GeluNewBackward;
impl<B: Launch> Backward<B, 1> for GeluNewBackward {
    type State = FloatTensor<B>;
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, [of_x]) = (ops.state, ops.parents);
        if let Some(node) = of_x {
            let shape = x.shape();
            let kernel = kernels::GeluNewBackward {
                len: shape.num_elements(),
            };
            grads.register::<B>(node.id, one::<B>(kernel, vec![x, dy], shape));
        }
    }
}

#[derive(Debug)]
struct EmbeddingBackward;
impl<B: Launch> Backward<B, 1> for EmbeddingBackward {
    /// The ids and the table's shape.
    type State = (FloatTensor<B>, Shape);
    fn backward(self, ops: Node<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let ((ids, table), [of_w]) = (ops.state, ops.parents);
        if let Some(node) = of_w {
            let (tokens, (vocab, width)) = (ids.shape().num_elements(), rows_width(&table));
            let kernel = kernels::EmbeddingBackward { tokens, vocab, width };
            grads.register::<B>(node.id, one::<B>(kernel, vec![ids, dy], table));
        }
    }
}

#[derive(Debug)]
struct VocabularyLossBackward;
impl<B: Launch> Backward<B, 2> for VocabularyLossBackward {
    /// Gradients for an upstream gradient of 1.
    type State = (Option<FloatTensor<B>>, Option<FloatTensor<B>>);
    fn backward(self, ops: Node<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let upstream = B::float_reshape(grads.consume::<B>(&ops.node), Shape::new([1, 1]));
        let ((dx, dw), [of_x, of_w]) = (ops.state, ops.parents);
        for (node, gradient) in [(of_x, dx), (of_w, dw)] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, B::float_mul(gradient, upstream.clone()));
            }
        }
    }
}

impl<B: Launch, C: CheckpointStrategy> Ops for Autodiff<B, C> {
    fn linear(x: FloatTensor<Self>, w: FloatTensor<Self>, transposed: bool) -> FloatTensor<Self> {
        record!(
            C,
            LinearBackward { transposed },
            [x, w],
            (x.clone(), w.clone()),
            <B as Ops>::linear(x, w, transposed)
        )
    }

    fn linear_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        transposed: bool,
    ) -> FloatTensor<Self> {
        record!(
            C,
            LinearBackward { transposed },
            [x, w, bias],
            (x.clone(), w.clone()),
            <B as Ops>::linear_bias(x, w, bias, transposed)
        )
    }

    fn lora(
        y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: LoraForm,
    ) -> FloatTensor<Self> {
        let nodes = [y.node(), x.node(), a.node(), b.node()];
        let (y, x, a, b) = (
            y.into_primitive(),
            x.into_primitive(),
            a.into_primitive(),
            b.into_primitive(),
        );
        let h = <B as Ops>::linear(drop::<B>(x.clone(), form), a.clone(), false);
        let output = up::<B>(y, h.clone(), b.clone(), form.scale);
        match (LoraBackward { form }).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, a, b, h), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn rms_norm(x: FloatTensor<Self>, w: FloatTensor<Self>, eps: f32) -> FloatTensor<Self> {
        record!(
            C,
            RmsNormBackward { eps },
            [x, w],
            (x.clone(), w.clone()),
            <B as Ops>::rms_norm(x, w, eps)
        )
    }

    fn layer_norm(x: FloatTensor<Self>, w: FloatTensor<Self>, b: FloatTensor<Self>, eps: f32) -> FloatTensor<Self> {
        record!(
            C,
            LayerNormBackward { eps },
            [x, w, b],
            (x.clone(), w.clone()),
            <B as Ops>::layer_norm(x, w, b, eps)
        )
    }

    fn rope(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>, form: RopeForm) -> FloatTensor<Self> {
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        record!(
            C,
            RopeBackward { form },
            [x],
            (cos.clone(), sin.clone()),
            <B as Ops>::rope(x, cos, sin, form)
        )
    }

    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        form: AttentionForm,
    ) -> FloatTensor<Self> {
        let mask = mask.into_primitive();
        record!(
            C,
            AttentionBackward { form },
            [q, k, v],
            (q.clone(), k.clone(), v.clone(), mask.clone()),
            <B as Ops>::attention(q, k, v, mask, form)
        )
    }

    fn silu_mul(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(
            C,
            SiluMulBackward,
            [gate, up],
            (gate.clone(), up.clone()),
            <B as Ops>::silu_mul(gate, up)
        )
    }

    fn gelu_new(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record!(C, GeluNewBackward, [x], x.clone(), <B as Ops>::gelu_new(x))
    }

    fn embedding(ids: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self> {
        let ids = ids.into_primitive();
        record!(
            C,
            EmbeddingBackward,
            [w],
            (ids.clone(), w.shape()),
            <B as Ops>::embedding(ids, w)
        )
    }

    fn vocabulary_loss(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        targets: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let wants = (x.is_tracked(), w.is_tracked());
        let nodes = [x.node(), w.node()];
        let (x, w, targets) = (x.into_primitive(), w.into_primitive(), targets.into_primitive());
        let VocabularyLoss { loss, dx, dw } = vocabulary_loss::<B>(x, w, targets, scale, wants);
        match VocabularyLossBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((dx, dw), loss),
            OpsKind::UnTracked(prep) => prep.finish(loss),
        }
    }

    fn adamw(
        p: FloatTensor<Self>,
        g: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (p, m, v) = B::adamw(
            p.into_primitive(),
            g.into_primitive(),
            m.into_primitive(),
            v.into_primitive(),
            step,
        );
        (Self::from_inner(p), Self::from_inner(m), Self::from_inner(v))
    }

    fn sum_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::sum_squares(x.into_primitive()))
    }
}
