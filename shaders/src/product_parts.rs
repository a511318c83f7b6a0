//! Products with long sums and few outputs: a GPU of many cores has work in all of them only where the sums are made in parts.
//!
//! A gradient of hidden states over a vocabulary has sums of V terms and a few tiles of outputs, and a gradient of an adapter's
//! matrix one of as many terms as there are tokens. Such a product is two launches: [`ProductParts`] makes stretches of the sums,
//! and [`SumOfParts`] adds them in their order and does what else the product does with a total. How many parts there are follows
//! from shapes alone, so that the same product gives the same bits whenever it is made on a device.

use std::ops::Range;

use crate::launch::{Cut, grid};
use crate::{Kernel, MatMul, MatMulGroup, PackedMatMul, SumOfParts, Tier};

/// Workgroups that parts may come to: with so many a large GPU is busy.
const ENOUGH_GROUPS: usize = 128;
/// Terms of a part at least: fewer take less time than the second launch.
pub(crate) const LEAST_TERMS: usize = 1024;
/// Terms of all parts but the last are a multiple of this, and so of every tile's slices.
const STEP: usize = 64;

/// A product of which [`ProductParts`] makes the sums; nothing added, `batch` 1, and more than four rows.
#[derive(Debug, Clone, PartialEq)]
pub enum PartsOf {
    /// Of two dense matrices.
    Dense(MatMul),
    /// With a packed one.
    Packed(PackedMatMul),
    /// Several, of which A is not transposed and the outputs lie one after the other. The longest sums say what parts there are.
    Group(MatMulGroup),
}

/// The sums of a product in stretches of `terms` terms; the last may be shorter.
/// Inputs as the product's; output \[parts, m, n\], or as many times a group's outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductParts {
    /// The product.
    pub product: PartsOf,
    /// Terms of a part, a multiple of 64.
    pub terms: usize,
}

/// A product as two launches: the second reads what the first makes, and what the product adds.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitProduct {
    /// The first, of the product's first inputs.
    pub parts: ProductParts,
    /// The second, of the parts and the product's other inputs.
    pub sum: SumOfParts,
}

impl SplitProduct {
    /// `product` in parts, which `sum` adds, where a GPU gains by it: it has `groups` workgroups without.
    ///
    /// A software adapter has few cores, and one to four rows are those of a token that is generated, where launches are what
    /// takes the time: both keep one launch.
    pub(crate) fn choose(product: PartsOf, sum: SumOfParts, groups: usize, tier: Tier) -> Option<Self> {
        let [rows, k, _] = product.sizes();
        let most = (ENOUGH_GROUPS / groups.max(1)).min(k / LEAST_TERMS);
        if tier == Tier::Software || rows <= 4 || most < 2 {
            return None;
        }
        let terms = k.div_ceil(most).next_multiple_of(STEP);
        let parts = ProductParts { product, terms };
        let count = parts.count();
        let sum = SumOfParts { parts: count, ..sum };
        Some(Self { parts, sum })
    }
}

impl PartsOf {
    fn kernel(&self) -> &dyn Kernel {
        match self {
            Self::Dense(product) => product,
            Self::Packed(product) => product,
            Self::Group(product) => product,
        }
    }

    /// Rows, terms of a sum, and outputs.
    fn sizes(&self) -> [usize; 3] {
        match self {
            Self::Dense(product) => [product.m, product.k, product.m * product.n],
            Self::Packed(product) => [product.m, product.k(), product.m * product.n()],
            Self::Group(product) => [product.rows(), product.terms(), product.total()],
        }
    }

    fn groups(&self, tier: Tier) -> usize {
        match self {
            Self::Dense(product) => product.groups(tier),
            Self::Packed(product) => product.groups(tier),
            Self::Group(product) => product.groups(tier),
        }
    }

    /// Which term the number in `place` of input `buffer` belongs to, where that is an A.
    fn term_of(&self, buffer: usize, place: usize) -> Option<usize> {
        let [rows, k, _] = self.sizes();
        match self {
            Self::Group(product) => product.along(buffer).map(|k| place % k),
            _ if buffer > 0 => None,
            Self::Dense(product) if product.a_trans => Some(place / rows),
            _ => Some(place % k),
        }
    }
}

/// Parts are made by texts of tiles alone, on a software adapter as well, which the engine asks for none.
fn tiled(tier: Tier) -> Tier {
    match tier {
        Tier::Software => Tier::Gpu {
            subgroups: false,
            f16: false,
        },
        Tier::Gpu { .. } => tier,
    }
}

impl ProductParts {
    /// Parts.
    pub fn count(&self) -> usize {
        let [_, k, _] = self.product.sizes();
        k.div_ceil(self.terms)
    }

    /// The terms of a part.
    fn terms_of(&self, part: usize) -> Range<usize> {
        part * self.terms..(part + 1) * self.terms
    }

    fn groups(&self, tier: Tier) -> usize {
        self.product.groups(tiled(tier)) * self.count()
    }
}

impl Kernel for ProductParts {
    fn key(&self, tier: Tier) -> String {
        format!("parts_{}", self.product.kernel().key(tiled(tier)))
    }

    fn wgsl(&self, tier: Tier) -> String {
        match &self.product {
            PartsOf::Dense(product) => product.text(tiled(tier), true),
            PartsOf::Packed(product) => product.text(tiled(tier), true),
            PartsOf::Group(product) => product.text(tiled(tier), true),
        }
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        self.product.kernel().workgroup_size(tiled(tier))
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        grid(self.groups(tier))
    }

    fn info(&self) -> Vec<u32> {
        let mut words = self.product.kernel().info();
        let (count, terms) = (self.count() as u32, self.terms as u32);
        match self.product {
            PartsOf::Dense(_) => (words[3], words[7]) = (count, terms),
            PartsOf::Packed(_) | PartsOf::Group(_) => words.extend([count, terms, 0, 0]),
        }
        words
    }

    fn cut(&self, tier: Tier) -> Option<Cut> {
        let cut = self.product.kernel().cut(tiled(tier))?;
        Some(Cut {
            groups: self.groups(tier),
            operations: self.operations(),
            ..cut
        })
    }

    fn products(&self) -> u64 {
        self.product.kernel().products()
    }

    fn input_lens(&self) -> Vec<usize> {
        self.product.kernel().input_lens()
    }

    fn output_lens(&self) -> Vec<usize> {
        let [.., len] = self.product.sizes();
        vec![self.count() * len]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let [.., len] = self.product.sizes();
        for (part, out) in outputs[0].chunks_exact_mut(len.max(1)).enumerate() {
            let terms = self.terms_of(part);
            let own = |(buffer, numbers): (usize, &&[f32])| -> Vec<f32> {
                let is_own = |place| {
                    self.product
                        .term_of(buffer, place)
                        .is_none_or(|term| terms.contains(&term))
                };
                let numbers = numbers.iter().enumerate();
                let own = numbers.map(|(place, number)| if is_own(place) { *number } else { 0.0 });
                own.collect()
            };
            let own: Vec<Vec<f32>> = inputs.iter().enumerate().map(own).collect();
            let inputs: Vec<&[f32]> = own.iter().map(Vec::as_slice).collect();
            self.product.kernel().twin(&inputs, &mut [out]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Operand, Packed};

    const GPU: Tier = Tier::Gpu {
        subgroups: false,
        f16: false,
    };

    fn dense(m: usize, n: usize, k: usize, a_trans: bool) -> MatMul {
        MatMul::new(1, m, n, k, a_trans, false)
    }

    fn across(m: usize, rows: usize, columns: usize) -> PackedMatMul {
        let format = Format::Q4_1;
        PackedMatMul::new(m, Packed { format, rows, columns }, true)
    }

    /// dy · B of several linears of `k` outputs.
    fn group(m: usize, k: usize, is_row: bool) -> MatMulGroup {
        let members = vec![dense(m, 8, k, false); 2];
        let (a, b) = (Operand::Each, Operand::Each);
        MatMulGroup { members, a, b, is_row }
    }

    #[test]
    fn long_sums_of_few_tiles_come_to_enough_workgroups_and_no_more() {
        let kernels: [Box<dyn Kernel>; 6] = [
            // The gradient of hidden states over vocabularies.
            Box::new(across(128, 49_152, 576)),
            Box::new(across(64, 151_936, 896)),
            Box::new(dense(64, 640, 262_144, false)),
            // Those of an adapter's matrices, over many tokens.
            Box::new(dense(8, 576, 4096, true)),
            Box::new(dense(576, 8, 2048, true)),
            // Those of what goes into an adapter's second matrix.
            Box::new(group(128, 4864, true)),
        ];
        for kernel in kernels {
            let split = kernel.split(GPU).unwrap_or_else(|| panic!("{kernel:?} is one launch"));
            let groups: u32 = split.parts.workgroups(GPU).iter().product();
            let whole: u32 = kernel.workgroups(GPU).iter().product();
            assert_eq!(groups as usize, whole as usize * split.parts.count(), "{kernel:?}");
            assert!(groups as usize <= ENOUGH_GROUPS, "{kernel:?}: {groups} workgroups");
            assert!(split.parts.terms >= LEAST_TERMS && split.parts.terms.is_multiple_of(STEP));
            assert_eq!(split.sum.parts, split.parts.count());
        }
    }

    #[test]
    fn what_is_short_or_wide_or_generated_or_for_software_is_one_launch() {
        let long = dense(64, 640, 262_144, false);
        assert_eq!(long.split(Tier::Software), None);
        let batched = MatMul { batch: 2, ..long };
        for kernel in [
            // Sums of a layer's width, few tokens, tiles for a whole GPU, a batch, a generated token.
            dense(128, 8, 576, false),
            dense(8, 576, 128, true),
            dense(2048, 4096, 49_152, false),
            batched,
            dense(1, 640, 262_144, false),
            dense(4, 640, 262_144, false),
        ] {
            assert_eq!(kernel.split(GPU), None, "{kernel:?}");
        }
        assert_eq!(across(1, 49_152, 576).split(GPU), None);
        for group in [group(1, 4864, true), group(128, 1536, true), group(128, 4864, false)] {
            assert_eq!(group.split(GPU), None, "{group:?}");
        }
    }
}
