//! A few independent products in one launch: the skinny ones of low-rank adapters that read the same rows, each of which alone
//! would leave most of a GPU idle.

use crate::launch::{Cut, grid, info_words};
use crate::matmul::{Fetch, Plan, Slice, matvec_text, registers_text, tiles_text};
use crate::{Add, Kernel, MatMul, PartsOf, SplitProduct, SumOfParts, Tier};

/// Where the matrices of one kind of a group's members lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// Each in a buffer of its own.
    Each,
    /// All are the same one.
    One,
    /// One after the other in one buffer.
    Row,
}

/// outᵢ = alphaᵢ · op(Aᵢ) · op(Bᵢ) of up to three members, which are all stored in the same way (`a_trans`, `b_trans`), with
/// `batch` 1 and nothing added. Inputs: the buffers of A, then those of B, as `a` and `b` say; outputs: one each, or, where
/// `is_row`, one buffer with all of them one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct MatMulGroup {
    /// The products.
    pub members: Vec<MatMul>,
    /// Where the A lie.
    pub a: Operand,
    /// Where the B lie.
    pub b: Operand,
    /// Whether the outputs lie in one buffer.
    pub is_row: bool,
}

impl MatMulGroup {
    /// A product of the largest sizes, which says what text suits all.
    fn largest(&self) -> MatMul {
        let most = |size: fn(&MatMul) -> usize| self.members.iter().map(size).max().unwrap_or(1);
        let (a_trans, b_trans) = self
            .members
            .first()
            .map_or((false, false), |member| (member.a_trans, member.b_trans));
        MatMul::new(
            1,
            most(|member| member.m),
            most(|member| member.n),
            most(|member| member.k),
            a_trans,
            b_trans,
        )
    }

    fn buffers(&self, operand: Operand) -> usize {
        if operand == Operand::Each {
            self.members.len()
        } else {
            1
        }
    }

    /// The lengths of each member's A, B and output.
    fn all_lens(&self) -> [Vec<usize>; 3] {
        let lens = |len: fn(&MatMul) -> usize| self.members.iter().map(len).collect();
        [
            lens(|member| member.m * member.k),
            lens(|member| member.k * member.n),
            lens(|member| member.m * member.n),
        ]
    }

    /// Where they begin in their buffers.
    fn starts(&self) -> [Vec<usize>; 3] {
        let starts = |(operand, lens): (Operand, Vec<usize>)| {
            let before = |i: usize| lens[..i].iter().sum();
            let start = |i| if operand == Operand::Row { before(i) } else { 0 };
            (0..lens.len()).map(start).collect()
        };
        let [a, b, out] = self.all_lens();
        [(self.a, a), (self.b, b), (self.outputs(), out)].map(starts)
    }

    /// The lengths of an operand's buffers.
    fn buffer_lens(operand: Operand, lens: Vec<usize>) -> Vec<usize> {
        match operand {
            Operand::Each => lens,
            Operand::One => lens.into_iter().take(1).collect(),
            Operand::Row => vec![lens.iter().sum()],
        }
    }

    fn outputs(&self) -> Operand {
        if self.is_row { Operand::Row } else { Operand::Each }
    }

    /// Workgroups of each member.
    fn blocks(&self, tier: Tier) -> Vec<usize> {
        let (rows, columns) = self.largest().block(tier);
        self.members
            .iter()
            .map(|member| member.m.div_ceil(rows) * member.n.div_ceil(columns))
            .collect()
    }

    /// Whether its sums can be made in parts: its outputs are one buffer, and its A lie along the sums, each in a buffer.
    fn has_parts(&self) -> bool {
        self.is_row && self.a != Operand::Row && !self.largest().a_trans
    }

    /// Rows of the largest member.
    pub(crate) fn rows(&self) -> usize {
        self.largest().m
    }

    /// Terms of the longest sum.
    pub(crate) fn terms(&self) -> usize {
        self.largest().k
    }

    /// Numbers of all outputs.
    pub(crate) fn total(&self) -> usize {
        let [.., out] = self.all_lens();
        out.iter().sum()
    }

    /// Length of the sums that the numbers of input `buffer` belong to; none where that is not an A.
    pub(crate) fn along(&self, buffer: usize) -> Option<usize> {
        (buffer < self.buffers(self.a)).then(|| self.members[buffer].k)
    }

    /// Workgroups.
    pub(crate) fn groups(&self, tier: Tier) -> usize {
        self.blocks(tier).iter().sum()
    }

    /// The source; `parts` is whether it makes parts of the sums, which texts of tiles know.
    pub(crate) fn text(&self, tier: Tier, parts: bool) -> String {
        let body = match self.largest().plan(tier) {
            Plan::Registers { rows, columns, below } => {
                registers_text(rows, columns, below, (Fetch::Single, Fetch::Single), false)
            }
            Plan::Tiles(tiles) => tiles_text(tiles, Slice::Floats, include_str!("matmul_load.wgsl"), false),
            Plan::Matvec { rows } => matvec_text(rows),
        };
        self.head(tier, parts) + &body
    }

    fn head(&self, tier: Tier, parts: bool) -> String {
        let (largest, count) = (self.largest(), self.members.len());
        let (rows, columns) = largest.block(tier);
        let mut bindings = String::new();
        let mut number = 0;
        for (name, operand) in [("a", self.a), ("b", self.b), ("out", self.outputs())] {
            for i in 0..self.buffers(operand) {
                bindings += &format!("@group(0) @binding({number}) var<storage, read_write> {name}{i}: array<f32>;\n");
                number += 1;
            }
        }
        let of_member = |operand: Operand, line: &dyn Fn(usize) -> String| {
            let cases: String = (1..self.buffers(operand))
                .map(|i| format!("        case {i}u: {{ {} }}\n", line(i)))
                .collect();
            format!(
                "    switch member_of(z) {{\n{cases}        default: {{ {} }}\n    }}\n",
                line(0)
            )
        };
        let flag = |flag: bool| if flag { "true" } else { "false" };
        let (last, more) = ((2 * count).saturating_sub(2), 2 * count);
        let [examples, sum, part] = match parts {
            true => [
                format!("MEMBERS * info[{more}].x"),
                format!("min(vec2<u32>(z / MEMBERS, z / MEMBERS + 1u) * info[{more}].y, vec2<u32>(k))"),
                format!(
                    "(z / MEMBERS) * (info[{last}].x * info[{last}].y + info[{}].z)",
                    last + 1
                ),
            ],
            false => ["MEMBERS", "vec2<u32>(0u, k)", "0u"].map(String::from),
        };
        include_str!("matmul_group.wgsl")
            .replace("$BINDINGS", &bindings)
            .replace("$EXAMPLES", &examples)
            .replace("$SUM", &sum)
            .replace("$PART", &part)
            .replace("$INFO_LEN", &(2 * count + usize::from(parts)).to_string())
            .replace("$INFO", &number.to_string())
            .replace("$MEMBERS", &count.to_string())
            .replace("$BLOCK_ROWS", &rows.to_string())
            .replace("$BLOCK_COLUMNS", &columns.to_string())
            .replace("$A_TRANS", flag(largest.a_trans))
            .replace("$B_TRANS", flag(largest.b_trans))
            .replace("$A_AT", &of_member(self.a, &|i| format!("return a{i}[i];")))
            .replace("$B_AT", &of_member(self.b, &|i| format!("return b{i}[i];")))
            .replace(
                "$PUT",
                &of_member(self.outputs(), &|i| format!("out{i}[place] = value;")),
            )
    }
}

impl Kernel for MatMulGroup {
    fn key(&self, tier: Tier) -> String {
        let (largest, count) = (self.largest(), self.members.len());
        let plan = largest.plan(tier);
        let (a, b, a_trans, b_trans) = (self.a, self.b, largest.a_trans, largest.b_trans);
        format!(
            "matmul_group{count}_{plan:?}_{a:?}{b:?}{}_{a_trans}_{b_trans}",
            self.is_row
        )
    }

    fn wgsl(&self, tier: Tier) -> String {
        self.text(tier, false)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        self.largest().workgroup_size(tier)
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        grid(self.groups(tier))
    }

    fn cut(&self, tier: Tier) -> Option<Cut> {
        Some(Cut {
            groups: self.groups(tier),
            word: 7,
            operations: self.operations(),
        })
    }

    fn split(&self, tier: Tier) -> Option<SplitProduct> {
        if !self.has_parts() {
            return None;
        }
        // Its factors are the parts' own.
        let sum = SumOfParts {
            m: 1,
            n: self.total(),
            parts: 1,
            alpha: 1.0,
            add: Add::None,
            low_rank: None,
        };
        SplitProduct::choose(PartsOf::Group(self.clone()), sum, self.groups(tier), tier)
    }

    fn info(&self) -> Vec<u32> {
        let starts = self.starts();
        let of_member = |(i, member): (usize, &MatMul)| {
            let [a, b, out] = starts.each_ref().map(|starts| starts[i] as u32);
            let sizes = [member.m, member.n, member.k].map(|size| size as u32);
            info_words(&[&sizes[..], &[member.alpha.to_bits(), a, b, out]].concat())
        };
        self.members.iter().enumerate().flat_map(of_member).collect()
    }

    fn products(&self) -> u64 {
        self.members.iter().map(Kernel::products).sum()
    }

    fn input_lens(&self) -> Vec<usize> {
        let [a, b, _] = self.all_lens();
        [Self::buffer_lens(self.a, a), Self::buffer_lens(self.b, b)].concat()
    }

    fn output_lens(&self) -> Vec<usize> {
        let [.., out] = self.all_lens();
        Self::buffer_lens(self.outputs(), out)
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (of_a, of_b) = inputs.split_at(self.buffers(self.a));
        let operands = [self.a, self.b, self.outputs()];
        let [a_lens, b_lens, out_lens] = self.all_lens();
        let starts = self.starts();
        for (i, member) in self.members.iter().enumerate() {
            let number = |operand| if operand == Operand::Each { i } else { 0 };
            let [a, b, out] = operands.map(number);
            let [a_start, b_start, out_start] = starts.each_ref().map(|starts| starts[i]);
            member.twin(
                &[
                    &of_a[a][a_start..a_start + a_lens[i]],
                    &of_b[b][b_start..b_start + b_lens[i]],
                ],
                &mut [&mut outputs[out][out_start..out_start + out_lens[i]]],
            );
        }
    }
}
