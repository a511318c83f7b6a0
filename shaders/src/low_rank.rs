//! The product of low rank that a larger product is added on its way out: a LoRA adapter's part of a linear (Hu et al. 2021,
//! arXiv 2106.09685), forward and backward, without a launch of its own and without reading the outputs again.

use crate::MatMul;
use crate::matmul::{lines, pairs};

/// Adds scale · l · rᵀ, or scale · l · r where `across`.
/// Two inputs more, behind what [`Add`](crate::Add) says: l \[m, rank\] and r \[n, rank\] (\[rank, n\] where `across`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowRank {
    /// Length of the sums.
    pub rank: usize,
    /// Whether sums go over r's rows.
    pub across: bool,
    /// Multiplies the product.
    pub scale: f32,
}

impl LowRank {
    /// Lengths of the two inputs.
    pub(crate) fn lens(&self, m: usize, n: usize) -> [usize; 2] {
        [m * self.rank, n * self.rank]
    }

    /// The two words that its source reads.
    pub(crate) fn info(&self) -> [u32; 2] {
        [self.rank as u32, self.scale.to_bits()]
    }

    /// What the key of a source says of it.
    pub(crate) fn key(this: Option<&Self>) -> &'static str {
        match this {
            None => "",
            Some(Self { across: false, .. }) => "_low_along",
            Some(Self { across: true, .. }) => "_low_across",
        }
    }

    /// The bindings, from number `first` on, and the functions; the two words are the first of vector `vector` of `info`.
    pub(crate) fn head(&self, first: usize, vector: usize) -> String {
        include_str!("low_rank.wgsl")
            .replace("$LEFT", &first.to_string())
            .replace("$RIGHT", &(first + 1).to_string())
            .replace("$LOW", &vector.to_string())
            .replace("$ACROSS", if self.across { "true" } else { "false" })
    }

    /// The lines that add it to an invocation's totals `t{r}_{c}`, which stand in the output's `row(r)` and `column(c)`.
    pub(crate) fn block(
        rows: usize,
        columns: usize,
        row: impl Fn(usize) -> String,
        column: impl Fn(usize) -> String,
    ) -> String {
        Self::sum(
            lines(rows, |r| format!("        let l{r} = left_of({}, q);", row(r)))
                + &lines(columns, |c| format!("        let r{c} = right_of({}, q);", column(c)))
                + &pairs(rows, columns, |r, c| format!("        t{r}_{c} += l{r} * r{c};")),
        )
    }

    /// `step` for each term of the sum.
    pub(crate) fn sum(step: String) -> String {
        format!("    for (var q = 0u; q < low_rank(); q++) {{\n{step}    }}\n")
    }

    /// Adds it on the CPU.
    pub(crate) fn twin(&self, [m, n]: [usize; 2], [l, r]: [&[f32]; 2], out: &mut [f32]) {
        let product = MatMul {
            alpha: self.scale,
            ..MatMul::new(1, m, n, self.rank, false, !self.across)
        };
        product.add_to(l, r, out);
    }
}
