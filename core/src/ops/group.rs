//! Linears with adapters that read the same rows (q, k and v; gate and up): their products of low rank are made together, in one
//! launch, and so are the products with the last two matrices where these are of one kind (k and v; gate and up).
//! [`super::backward`] does the same in the backward pass.

use super::forms::{AdaptedForm, BaseForm, PackedForm};
use super::forward::rows_width;
use super::launch::Launch;
use super::products::{Product, product_and_low_rank};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Shape, TensorMetadata};
use lorakeet_shaders::{Add as MatMulAdd, Format, LowRankMember, MatMulGroup, Operand, Packed, PackedPair};

/// A linear of a group: its matrix, its bias, its adapter's matrices.
#[derive(Debug, Clone)]
pub(super) struct Member<B: Launch> {
    pub(super) w: FloatTensor<B>,
    pub(super) bias: Option<FloatTensor<B>>,
    pub(super) a: FloatTensor<B>,
    pub(super) b: FloatTensor<B>,
    pub(super) form: AdaptedForm,
}

impl<B: Launch> Member<B> {
    pub(super) fn new(w: FloatTensor<B>, [a, b]: [FloatTensor<B>; 2], form: AdaptedForm) -> Self {
        let bias = None;
        Self { w, bias, a, b, form }
    }

    pub(super) fn with_bias(self, bias: FloatTensor<B>) -> Self {
        let bias = Some(bias);
        Self { bias, ..self }
    }

    pub(super) fn rank(&self) -> usize {
        self.a.shape()[0]
    }

    pub(super) fn outputs(&self) -> usize {
        self.b.shape()[0]
    }

    /// Its matrix as a packed one: a dense one's numbers are words.
    fn base_form(&self) -> PackedForm {
        match self.form.base {
            BaseForm::Packed(form) => form,
            BaseForm::Dense { transposed } => {
                let (rows, columns) = rows_width(&self.w.shape());
                let matrix = Packed {
                    format: Format::F32,
                    rows,
                    columns,
                };
                PackedForm {
                    matrix,
                    across: transposed,
                }
            }
        }
    }

    /// Its adapter's second matrix, as the backward pass goes through it.
    pub(super) fn low_rank(&self) -> LowRankMember {
        LowRankMember {
            outputs: self.outputs(),
            rank: self.rank(),
            scale: self.form.lora.scale,
        }
    }
}

/// The outputs of a group, and x · aᵀ of each, one after the other.
pub(super) fn adapted_group<B: Launch, const N: usize>(
    x: &FloatTensor<B>,
    members: &[Member<B>; N],
) -> ([FloatTensor<B>; N], FloatTensor<B>) {
    let (rows, inputs) = rows_width(&x.shape());
    let down = |member: &Member<B>| Product {
        m: rows,
        n: member.rank(),
        k: inputs,
        a_trans: false,
        b_trans: true,
        alpha: 1.0,
    };
    let kernel = group(members.iter().map(down), [Operand::One, Operand::Each], true);
    let all = std::iter::once(x.clone()).chain(members.iter().map(|member| member.a.clone()));
    let h = in_a_row::<B>(kernel, all.collect());
    (outputs_of::<B, N>(x, &h, members), h)
}

/// The outputs of a group, of x and x · aᵀ; those of its last two in one launch where that is possible.
pub(super) fn outputs_of<B: Launch, const N: usize>(
    x: &FloatTensor<B>,
    h: &FloatTensor<B>,
    members: &[Member<B>; N],
) -> [FloatTensor<B>; N] {
    let (rows, _) = rows_width(&x.shape());
    let mut last_two: Vec<FloatTensor<B>> = match pair_of(rows, members, false) {
        None => Vec::new(),
        Some(pair) => {
            let [one, other] = [&members[N - 2], &members[N - 1]];
            let read = [x, &one.w, &other.w, h, &one.b, &other.b].map(Clone::clone);
            let shape = Shape::new([rows, one.outputs()]);
            B::launch(pair, read.into(), [shape.clone(), shape]).into()
        }
    };
    std::array::from_fn(|i| {
        if i + last_two.len() >= N {
            return last_two.remove(0);
        }
        let Member { w, bias, b, form, .. } = members[i].clone();
        let addend = bias.map(|bias| (bias, MatMulAdd::Row));
        let low = [part::<B>(h, rows, members, i), b];
        product_and_low_rank::<B>(x.clone(), w, addend, low, (form.base, form.lora.scale), false)
    })
}

/// The products with the matrices of the last two members, or those of the backward pass, which are summed, as one launch; `None`
/// where they are of different kinds, or where a launch each is better.
pub(super) fn pair_of<B: Launch>(rows: usize, members: &[Member<B>], goes_back: bool) -> Option<PackedPair> {
    let [before @ .., one, other] = members else {
        return None;
    };
    let is_biased = !goes_back && (one.bias.is_some() || other.bias.is_some());
    let forms = [one, other].map(|member| (member.base_form(), member.rank(), member.form.lora.scale.to_bits()));
    if is_biased || forms[0] != forms[1] {
        return None;
    }
    let PackedForm { matrix, across } = one.base_form();
    let start = |members: &[Member<B>]| members.iter().map(|member| rows * member.rank()).sum::<usize>();
    let pair = PackedPair {
        m: rows,
        matrix,
        across: across != goes_back,
        sums: goes_back,
        rank: one.rank(),
        // What goes back was multiplied before.
        scale: if goes_back { 1.0 } else { one.form.lora.scale },
        low_start: start(before),
        low_len: start(members),
    };
    pair.suits().then_some(pair)
}

/// Products in one launch, whose matrices lie as `operands` say.
pub(super) fn group(products: impl Iterator<Item = Product>, [a, b]: [Operand; 2], is_row: bool) -> MatMulGroup {
    let members = products.map(|product| product.kernel(MatMulAdd::None)).collect();
    MatMulGroup { members, a, b, is_row }
}

/// Launches a group whose outputs lie one after the other.
pub(super) fn in_a_row<B: Launch>(kernel: MatMulGroup, inputs: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    let len = kernel.members.iter().map(|member| member.m * member.n).sum();
    let [output] = B::launch(kernel, inputs, [Shape::new([len])]);
    output
}

/// What belongs to member `i` of matrices [rows, R] that lie one after the other.
pub(super) fn part<B: Launch>(row: &FloatTensor<B>, rows: usize, members: &[Member<B>], i: usize) -> FloatTensor<B> {
    let start: usize = members[..i].iter().map(|member| rows * member.rank()).sum();
    let rank = members[i].rank();
    let part = B::float_slice(row.clone(), &[(start..start + rows * rank).into()]);
    B::float_reshape(part, Shape::new([rows, rank]))
}
