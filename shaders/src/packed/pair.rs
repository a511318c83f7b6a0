//! Two products with packed matrices in one launch, for linears that read the same rows (gate and up; k and v): forward they are
//! made beside each other, backward they are summed.
//!
//! The texts are those of one product, with a matrix that is stacked of both: what is read of a, of W and of the adapters, and
//! where a total goes, is all that knows of two buffers.

use super::{Format, Packed, PackedMatMul};
use crate::launch::{Cut, grid, info_words};
use crate::matmul::{A_AT, lines};
use crate::product_parts::LEAST_TERMS;
use crate::{Add, Kernel, LowRank, MatMul, Tier};

/// Operations up to which two products are made together: beyond, a launch more is nothing beside what is computed.
const MOST_OPERATIONS: u64 = 1 << 31;

/// outᵢ = a·Wᵢᵀ + s·lᵢ·rᵢᵀ of two W, or, where it `sums`, out = Σᵢ aᵢ·Wᵢ + s·lᵢ·rᵢ; with Wᵢ and Wᵢᵀ changing places as `across` says
/// ([`PackedMatMul`]). Both W have one shape and format, rows and columns that are multiples of eight, and adapters of one rank.
///
/// Inputs a \[m, k\] (two where it sums), the words of both W, l, r of both (\[n, rank\], \[rank, n\] where it sums); outputs
/// \[m, n\] of each, or one. l is a buffer of `low_len` numbers, of which from number `low_start` on come those of both, \[m, rank\]
/// each. A matrix of f32 is one of [`Format::F32`].
#[derive(Debug, Clone, PartialEq)]
pub struct PackedPair {
    /// Rows of a and of the outputs.
    pub m: usize,
    /// Each of both W.
    pub matrix: Packed,
    /// Whether sums go over W's rows.
    pub across: bool,
    /// Whether both products are summed.
    pub sums: bool,
    /// Length of the sums of l and r.
    pub rank: usize,
    /// s.
    pub scale: f32,
    /// Where in its buffer l begins.
    pub low_start: usize,
    /// Numbers of that buffer.
    pub low_len: usize,
}

/// Buffers between those of a and the outputs.
const OPERANDS: &[&str] = &["w0", "w1", "low_left", "right0", "right1"];

impl PackedPair {
    /// Whether its texts can make it, and whether a launch less is worth more than what the products would have alone: sums in
    /// parts, and large tiles.
    pub fn suits(&self) -> bool {
        let fits = self.matrix.rows.is_multiple_of(8) && self.matrix.columns.is_multiple_of(8);
        let is_short = self.m <= 4 || self.one().k() < 2 * LEAST_TERMS;
        fits && is_short && self.products() <= MOST_OPERATIONS
    }

    /// One of the products.
    fn one(&self) -> PackedMatMul {
        PackedMatMul {
            low_rank: Some(self.low_rank()),
            ..PackedMatMul::new(self.m, self.matrix, self.across)
        }
    }

    fn low_rank(&self) -> LowRank {
        LowRank {
            rank: self.rank,
            across: self.sums,
            scale: self.scale,
        }
    }

    /// Whether the stacked matrix has the rows of both, and not the columns.
    fn has_rows_of_both(&self) -> bool {
        self.across == self.sums
    }

    /// The product with the stacked matrix.
    fn stacked(&self) -> PackedMatMul {
        let mut one = self.one();
        match self.has_rows_of_both() {
            true => one.matrix.rows *= 2,
            false => one.matrix.columns *= 2,
        }
        one
    }

    fn head(&self, tier: Tier) -> String {
        let stacked = self.stacked();
        let (rows, columns) = stacked.block(tier);
        let is_vectors = stacked.reads_vectors(tier);
        let of_a: &[&str] = if self.sums { &["a0", "a1"] } else { &["a"] };
        let of_out: &[&str] = if self.sums { &["out"] } else { &["out0", "out1"] };
        let names = [of_a, OPERANDS, of_out].concat();
        let bindings = lines(names.len(), |i| {
            let element = match names[i] {
                "w0" | "w1" => "u32",
                name if is_vectors && of_a.contains(&name) => "vec4<f32>",
                _ => "f32",
            };
            format!(
                "@group(0) @binding({i}) var<storage, read_write> {}: array<{element}>;",
                names[i]
            )
        });
        let numbers = match (self.sums, is_vectors) {
            (false, true) => include_str!("four_vectors.wgsl"),
            (false, false) => A_AT,
            (true, true) => include_str!("pair_sum_vectors.wgsl"),
            (true, false) => include_str!("pair_sum_numbers.wgsl"),
        };
        let ends = match self.sums {
            true => include_str!("pair_sum.wgsl"),
            false => include_str!("pair_beside.wgsl"),
        };
        let (stacked_side, own) = match self.has_rows_of_both() {
            true => ("row", "own, column"),
            false => ("column", "row, own"),
        };
        let shared = include_str!("pair.wgsl")
            .replace("$BINDINGS\n", &bindings)
            .replace("$INFO", &names.len().to_string())
            .replace("$BLOCK_ROWS", &rows.to_string())
            .replace("$BLOCK_COLUMNS", &columns.to_string())
            .replace("$STACKED", stacked_side)
            .replace("$OWN", own)
            .replace("$HALF", if self.sums { "info[0].z / 2u" } else { "info[0].y / 2u" });
        let ends = ends.replace("$ADD", stacked.besides(tier));
        let eight = self.matrix.wgsl(1).replace("fn eight(", "fn eight_of(");
        let block = include_str!("../matmul_block.wgsl");
        [shared.as_str(), numbers, &ends, block, &eight].concat()
    }
}

/// Texts for matrices of 16 bits read them as they lie, of one buffer.
fn without_f16(tier: Tier) -> Tier {
    match tier {
        Tier::Software => tier,
        Tier::Gpu { subgroups, .. } => Tier::Gpu { subgroups, f16: false },
    }
}

impl Kernel for PackedPair {
    fn key(&self, tier: Tier) -> String {
        let way = if self.sums { "sum" } else { "beside" };
        format!("pair_{way}_{}", self.stacked().key(without_f16(tier)))
    }

    fn wgsl(&self, tier: Tier) -> String {
        let tier = without_f16(tier);
        self.head(tier) + &self.stacked().body(tier)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        self.stacked().workgroup_size(without_f16(tier))
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        grid(self.stacked().groups(without_f16(tier)))
    }

    fn cut(&self, tier: Tier) -> Option<Cut> {
        Some(Cut {
            groups: self.stacked().groups(without_f16(tier)),
            word: 3,
            operations: self.operations(),
        })
    }

    fn info(&self) -> Vec<u32> {
        let stacked = self.stacked();
        let mut words = vec![self.m as u32, stacked.n() as u32, stacked.k() as u32, 0];
        words.extend(self.matrix.info());
        words.extend([self.rank as u32, self.scale.to_bits(), self.low_start as u32]);
        info_words(&words)
    }

    fn products(&self) -> u64 {
        2 * self.one().products()
    }

    fn input_lens(&self) -> Vec<usize> {
        let one = self.one();
        let (a, r) = (self.m * one.k(), one.n() * self.rank);
        let mut lens = vec![a; if self.sums { 2 } else { 1 }];
        lens.extend([self.matrix.words(), self.matrix.words(), self.low_len, r, r]);
        lens
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.m * self.one().n(); if self.sums { 1 } else { 2 }]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (of_a, rest) = inputs.split_at(if self.sums { 2 } else { 1 });
        let &[w0, w1, low, r0, r1] = rest else { return };
        let low_of = |member: usize| &low[self.low_start + member * self.m * self.rank..][..self.m * self.rank];
        if self.sums {
            self.twin_of_one(&[of_a[0], w0, low_of(0), r0], outputs[0]);
            let first = outputs[0].to_vec();
            self.twin_of_one(&[of_a[1], w1, &first, low_of(1), r1], outputs[0]);
        } else {
            self.twin_of_one(&[of_a[0], w0, low_of(0), r0], outputs[0]);
            self.twin_of_one(&[of_a[0], w1, low_of(1), r1], outputs[1]);
        }
    }
}

impl PackedPair {
    /// One of both, on the CPU: `inputs` as [`PackedMatMul`] has them, with what is added where there are five.
    fn twin_of_one(&self, inputs: &[&[f32]], out: &mut [f32]) {
        let one = PackedMatMul {
            add: if inputs.len() == 5 { Add::Full } else { Add::None },
            ..self.one()
        };
        if self.matrix.format != Format::F32 {
            return one.twin(inputs, &mut [out]);
        }
        // As a dense linear has it.
        let dense = MatMul {
            add: one.add,
            low_rank: one.low_rank,
            ..MatMul::new(1, self.m, one.n(), one.k(), false, !self.across)
        };
        dense.twin(inputs, &mut [out]);
    }
}
