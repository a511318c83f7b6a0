//! What becomes of a product whose sums were made in parts ([`ProductParts`](crate::ProductParts)).

use crate::launch::{by_element_count, info_words};
use crate::{Add, Kernel, LowRank, Tier};

/// out = alpha · Σ parts + add, the parts in their order.
/// Inputs the parts \[parts, m, n\], what [`Add`] says (\[m, n\] if [`Add::Full`]), and what [`LowRank`] says; output \[m, n\].
#[derive(Debug, Clone, PartialEq)]
pub struct SumOfParts {
    /// Rows of the output.
    pub m: usize,
    /// Columns of the output.
    pub n: usize,
    /// Parts, one at least.
    pub parts: usize,
    /// Multiplies the sum, not what is added.
    pub alpha: f32,
    /// What is added.
    pub add: Add,
    /// What is added besides: only where `alpha` is 1.
    pub low_rank: Option<LowRank>,
}

impl Kernel for SumOfParts {
    by_element_count!(|kernel| kernel.m * kernel.n);

    fn key(&self, _tier: Tier) -> String {
        let low = LowRank::key(self.low_rank.as_ref());
        format!("sum_of_parts_{:?}{low}", self.add).to_lowercase()
    }

    fn wgsl(&self, _tier: Tier) -> String {
        let addends = usize::from(self.add != Add::None);
        let low = if self.low_rank.is_some() { 2 } else { 0 };
        let addend = "@group(0) @binding(1) var<storage, read_write> addend: array<f32>;\n";
        let besides = if low == 0 { "" } else { " + low_rank_at(row, column)" };
        let own = include_str!("sum_of_parts.wgsl")
            .replace("$ADD_BINDING", if addends == 0 { "" } else { addend })
            .replace("$ADD", &(self.add.text().to_owned() + besides))
            .replace("$OUT", &(1 + addends + low).to_string())
            .replace("$INFO_LEN", if low == 0 { "1" } else { "2" })
            .replace("$INFO", &(2 + addends + low).to_string());
        let low_rank = self.low_rank.map_or(String::new(), |low| low.head(1 + addends, 1));
        [include_str!("elements.wgsl"), &low_rank, &own].concat()
    }

    fn info(&self) -> Vec<u32> {
        let sizes = [self.m, self.n, self.parts].map(|size| size as u32);
        let mut words = [&sizes[..], &[self.alpha.to_bits()]].concat();
        words.extend(self.low_rank.iter().flat_map(LowRank::info));
        info_words(&words)
    }

    fn input_lens(&self) -> Vec<usize> {
        let mut lens = vec![self.parts * self.m * self.n];
        lens.extend(self.add.len(self.m, self.n));
        lens.extend(self.low_rank.iter().flat_map(|low| low.lens(self.m, self.n)));
        lens
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.m * self.n]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let out = &mut *outputs[0];
        if out.is_empty() {
            return;
        }
        out.fill(0.0);
        for part in inputs[0].chunks_exact(out.len()) {
            out.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        for (place, total) in out.iter_mut().enumerate() {
            *total *= self.alpha;
            match self.add {
                Add::None => {}
                Add::Row => *total += inputs[1][place % self.n],
                Add::Full => *total += inputs[1][place],
            }
        }
        if let (Some(low), [.., l, r]) = (&self.low_rank, inputs) {
            low.twin([self.m, self.n], [l, r], out);
        }
    }
}
