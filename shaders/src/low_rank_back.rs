//! What goes backward through a low-rank adapter's second matrix, in one launch: the gradient of that matrix, and the one of what
//! it multiplies. Both read the gradient of the adapter's output, and both are skinny.

use crate::launch::{Cut, grid, info_words};
use crate::matmul::{Fetch, Plan, Slice, matvec_text, registers_text, tiles_text};
use crate::product_parts::LEAST_TERMS;
use crate::{Kernel, MatMul, Tier};

/// Of y = s·h·Bᵀ: dB = s·dyᵀ·h and dh = s·dy·B, of one adapter or of two whose h are of the same rows.
/// Inputs dy \[rows, out\] of each, h \[rows, R\] of each one after the other in one buffer, B \[out, R\] of each; outputs dB
/// \[out, R\] of each, and dh as h.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRankBack {
    /// Rows of dy and h.
    pub rows: usize,
    /// The adapters, one or two.
    pub members: Vec<LowRankMember>,
}

/// An adapter of a [`LowRankBack`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowRankMember {
    /// Rows of B.
    pub outputs: usize,
    /// R.
    pub rank: usize,
    /// s.
    pub scale: f32,
}

impl LowRankBack {
    /// Whether no sum is so long that a GPU would gain by making it in parts ([`SplitProduct`](crate::SplitProduct)).
    pub fn has_short_sums(&self) -> bool {
        let longest = self.members.iter().map(|member| member.outputs).max();
        longest.unwrap_or(0).max(self.rows) < 2 * LEAST_TERMS
    }

    /// The products: those of all dB, then those of all dh.
    fn products_of_all(&self) -> Vec<MatMul> {
        let product = |member: &LowRankMember, m: usize, k: usize, a_trans: bool| MatMul {
            alpha: member.scale,
            ..MatMul::new(1, m, member.rank, k, a_trans, false)
        };
        let of_b = self
            .members
            .iter()
            .map(|member| product(member, member.outputs, self.rows, true));
        let of_h = self
            .members
            .iter()
            .map(|member| product(member, self.rows, member.outputs, false));
        of_b.chain(of_h).collect()
    }

    /// A product of the largest sizes, which says what text suits all.
    fn largest(&self) -> MatMul {
        let all = self.products_of_all();
        let most = |size: fn(&MatMul) -> usize| all.iter().map(size).max().unwrap_or(1);
        let (m, n, k) = (
            most(|product| product.m),
            most(|product| product.n),
            most(|product| product.k),
        );
        MatMul::new(1, m, n, k, false, false)
    }

    /// Where the h and the dh of a member begin.
    fn start(&self, member: usize) -> usize {
        self.members[..member]
            .iter()
            .map(|member| self.rows * member.rank)
            .sum()
    }

    /// Workgroups.
    fn groups(&self, tier: Tier) -> usize {
        let (rows, columns) = self.largest().block(tier);
        let all = self.products_of_all();
        all.iter()
            .map(|product| product.m.div_ceil(rows) * product.n.div_ceil(columns))
            .sum()
    }

    fn head(&self, tier: Tier) -> String {
        let count = self.members.len();
        let (rows, columns) = self.largest().block(tier);
        let of_each = |name: &'static str| (0..count).map(move |i| format!("{name}{i}"));
        let names = of_each("dy")
            .chain(["h".to_owned()])
            .chain(of_each("b"))
            .chain(of_each("db"))
            .chain(["dh".to_owned()]);
        let bindings: String = names
            .enumerate()
            .map(|(i, name)| format!("@group(0) @binding({i}) var<storage, read_write> {name}: array<f32>;\n"))
            .collect();
        // A line for each product; the last is the default.
        let of_product = |line: &dyn Fn(usize) -> String| {
            let cases: String = (0..2 * count - 1)
                .map(|z| format!("        case {z}u: {{ {} }}\n", line(z)))
                .collect();
            format!(
                "    switch member_of(z) {{\n{cases}        default: {{ {} }}\n    }}\n",
                line(2 * count - 1)
            )
        };
        let right = |z: usize| match z.checked_sub(count) {
            None => "return h[i];".to_owned(),
            Some(member) => format!("return b{member}[i];"),
        };
        let put = |z: usize| match z.checked_sub(count) {
            None => format!("db{z}[place] = value;"),
            Some(_) => "dh[place] = value;".to_owned(),
        };
        include_str!("matmul_group.wgsl")
            .replace("$BINDINGS", &bindings)
            .replace("$EXAMPLES", "MEMBERS")
            .replace("$SUM", "vec2<u32>(0u, k)")
            .replace("$PART", "0u")
            .replace("$INFO_LEN", &(4 * count).to_string())
            .replace("$INFO", &(3 * count + 2).to_string())
            .replace("$MEMBERS", &(2 * count).to_string())
            .replace("$BLOCK_ROWS", &rows.to_string())
            .replace("$BLOCK_COLUMNS", &columns.to_string())
            .replace("$A_TRANS", "false")
            .replace("$B_TRANS", "false")
            .replace("$A_AT", &of_product(&|z| format!("return dy{}[i];", z % count)))
            .replace("$B_AT", &of_product(&right))
            .replace("$PUT", &of_product(&put))
    }
}

impl Kernel for LowRankBack {
    fn key(&self, tier: Tier) -> String {
        format!("low_rank_back{}_{:?}", self.members.len(), self.largest().plan(tier))
    }

    fn wgsl(&self, tier: Tier) -> String {
        let body = match self.largest().plan(tier) {
            Plan::Registers { rows, columns, below } => {
                registers_text(rows, columns, below, (Fetch::Single, Fetch::Single), false)
            }
            Plan::Tiles(tiles) => tiles_text(tiles, Slice::Floats, include_str!("matmul_load.wgsl"), false),
            Plan::Matvec { rows } => matvec_text(rows),
        };
        // dy is read across in the products of dB, which come first.
        let across = format!("(member_of(block.z) < {}u)", self.members.len());
        self.head(tier) + &body.replace("A_TRANS", &across)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        self.largest().workgroup_size(tier)
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        grid(self.groups(tier))
    }

    fn cut(&self, tier: Tier) -> Option<Cut> {
        let (rows, columns) = self.largest().block(tier);
        let (all, groups) = (self.products_of_all(), self.groups(tier));
        // Products of one launch have sums of different lengths; all workgroups are taken for the heaviest.
        let longest = all.iter().map(|product| product.k).max().unwrap_or(0);
        let heaviest = (2 * rows * columns * longest) as u64 * groups as u64;
        Some(Cut {
            groups,
            word: 7,
            operations: heaviest.max(self.operations()),
        })
    }

    fn info(&self) -> Vec<u32> {
        let count = self.members.len();
        let of_product = |(z, product): (usize, &MatMul)| {
            let [h, dh] = match z.checked_sub(count) {
                None => [self.start(z), 0],
                Some(member) => [0, self.start(member)],
            };
            let sizes = [product.m, product.n, product.k].map(|size| size as u32);
            info_words(&[&sizes[..], &[product.alpha.to_bits(), 0, h as u32, dh as u32]].concat())
        };
        self.products_of_all().iter().enumerate().flat_map(of_product).collect()
    }

    fn products(&self) -> u64 {
        self.products_of_all().iter().map(Kernel::products).sum()
    }

    fn input_lens(&self) -> Vec<usize> {
        let of_dy = self.members.iter().map(|member| self.rows * member.outputs);
        let of_b = self.members.iter().map(|member| member.outputs * member.rank);
        of_dy.chain([self.start(self.members.len())]).chain(of_b).collect()
    }

    fn output_lens(&self) -> Vec<usize> {
        let of_b = self.members.iter().map(|member| member.outputs * member.rank);
        of_b.chain([self.start(self.members.len())]).collect()
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let count = self.members.len();
        for (z, product) in self.products_of_all().iter().enumerate() {
            let member = z % count;
            let own = self.start(member)..self.start(member + 1);
            match z < count {
                true => product.twin(&[inputs[member], &inputs[count][own]], &mut [&mut *outputs[member]]),
                false => product.twin(
                    &[inputs[member], inputs[count + 1 + member]],
                    &mut [&mut outputs[count][own]],
                ),
            }
        }
    }
}
