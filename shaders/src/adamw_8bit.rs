//! The optimiser's step with its two moments in eight bits an element.

use crate::launch::{grid, info_words};
use crate::math::for_each_part;
use crate::{AdamW, Kernel, Tier};

/// Elements that share an absmax.
const BLOCK: usize = 256;
/// Words that hold the codes of a block.
const WORDS: usize = BLOCK / 4;
/// Codes of a table.
const CODES: usize = 256;
/// Blocks that one workgroup takes on a software adapter; `blocks_software.wgsl`.
const BLOCKS_A_GROUP: usize = 8;

/// One step of [`AdamW`] whose moments are block-wise 8-bit codes (Dettmers et al. 2021, arXiv 2110.02861): m and v are
/// decoded, code's value · absmax of the block of 256; p' is computed with the moved m' and v' in 32 bits; then those are
/// encoded, absmax' = max|x| of the block, code = the value nearest to x · (1 / absmax'), from a midpoint the lower one.
/// A block whose largest magnitude is below the smallest normal number becomes zeros.
///
/// Inputs p, g \[len\], state \[[`AdamW8bit::state_len`]\], tables \[512\]: the values of m's codes, then of v's, ascending.
/// Outputs p' \[len\], state'. A state is words of 32 bits that travel as the bits of floats: the codes of m, then of v, four
/// a word with the first in the lowest byte, then the absmax of each block of m, then of v. A last word's unused bytes are
/// 0, and so is all of a state before the first step.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW8bit {
    /// Length and factors of the step.
    pub step: AdamW,
}

/// One moment: the codes of its elements, and the absmax of each block of 256.
pub type Codes = (Vec<u8>, Vec<f32>);

/// Words of codes of one moment, and blocks.
fn sizes(len: usize) -> (usize, usize) {
    (len.div_ceil(4), len.div_ceil(BLOCK))
}

impl AdamW8bit {
    /// Words of the state of `len` elements.
    pub fn state_len(len: usize) -> usize {
        let (words, blocks) = sizes(len);
        2 * (words + blocks)
    }

    /// The state that holds the moments m and v.
    pub fn pack(m: &Codes, v: &Codes) -> Vec<f32> {
        let mut state = Vec::with_capacity(Self::state_len(m.0.len()));
        for (codes, _) in [m, v] {
            state.extend(codes.chunks(4).map(word_of));
        }
        for (_, absmax) in [m, v] {
            state.extend(absmax);
        }
        state
    }

    /// The moments m and v in the state of `len` elements.
    pub fn unpack(state: &[f32], len: usize) -> (Codes, Codes) {
        let (words, blocks) = sizes(len);
        let (codes, absmax) = state.split_at(2 * words);
        let moment = |i: usize| {
            let codes = codes[i * words..][..words].iter().flat_map(|word| codes_of(*word));
            (codes.take(len).collect(), absmax[i * blocks..][..blocks].to_vec())
        };
        (moment(0), moment(1))
    }
}

/// Up to four codes as a word.
fn word_of(codes: &[u8]) -> f32 {
    let mut bytes = [0; 4];
    bytes[..codes.len()].copy_from_slice(codes);
    f32::from_bits(u32::from_le_bytes(bytes))
}

/// The four codes of a word.
fn codes_of(word: f32) -> [u8; 4] {
    word.to_bits().to_le_bytes()
}

/// The values of codes, and the midpoints between neighbours; the last one is above all.
struct Table<'a> {
    values: &'a [f32; CODES],
    midpoints: [f32; CODES],
}

impl<'a> Table<'a> {
    fn new(values: &'a [f32; CODES]) -> Self {
        let midpoint = |i: usize| values.get(i + 1).map_or(f32::INFINITY, |next| (values[i] + next) * 0.5);
        Self {
            values,
            midpoints: std::array::from_fn(midpoint),
        }
    }

    /// The values in the words of a block, 0 past their end.
    fn decode(&self, words: &[f32], absmax: f32) -> [f32; BLOCK] {
        let mut values = [0.0; BLOCK];
        for (four, word) in values.chunks_exact_mut(4).zip(words) {
            for (value, code) in four.iter_mut().zip(codes_of(*word)) {
                *value = self.values[usize::from(code)] * absmax;
            }
        }
        values
    }

    /// For each value how many midpoints are below it. Step by step for all at once: one search waits for itself only.
    fn nearest(&self, values: &[f32; BLOCK]) -> [u8; BLOCK] {
        let mut codes = [0_u8; BLOCK];
        let mut half = (CODES / 2) as u8;
        while half > 0 {
            for (code, value) in codes.iter_mut().zip(values) {
                let is_above = self.midpoints[usize::from(*code + half - 1)] < *value;
                *code += half * u8::from(is_above);
            }
            half /= 2;
        }
        codes
    }

    /// Encodes the first values of a block into words that have room for them, and gives their absmax.
    fn encode(&self, values: &[f32], words: &mut [f32]) -> f32 {
        let largest = values.iter().fold(0.0_f32, |most, value| value.abs().max(most));
        let is_zero = largest < f32::MIN_POSITIVE;
        let factor = if is_zero { 0.0 } else { 1.0 / largest };
        let mut scaled = [0.0; BLOCK];
        for (scaled, value) in scaled.iter_mut().zip(values) {
            *scaled = value * factor;
        }
        let codes = self.nearest(&scaled);
        for (codes, word) in codes[..values.len()].chunks(4).zip(words) {
            *word = word_of(codes);
        }
        if is_zero { 0.0 } else { largest }
    }
}

/// The source; `clips` has the gradient's scale, and whether the steps have come to an end, in a buffer.
pub(crate) fn text(tier: Tier, clips: bool) -> String {
    let text = match tier {
        Tier::Software => concat!(include_str!("blocks_software.wgsl"), include_str!("adamw_8bit.wgsl")),
        Tier::Gpu { .. } => concat!(include_str!("blocks_gpu.wgsl"), include_str!("adamw_8bit.wgsl")),
    };
    let (scales, places, scale, ended) = match clips {
        false => ("", ["4", "5", "6"], "bitcast<f32>(info[0].y)", "false"),
        true => (
            "// …, the gradient's scale, whether the steps have come to an end\n\
             @group(0) @binding(4) var<storage, read_write> scales: array<f32>;",
            ["5", "6", "7"],
            "scales[info[0].y - 2u]",
            "scales[info[0].y - 1u] != 0.0",
        ),
    };
    text.replace("$SCALES", scales)
        .replace("$SCALE", scale)
        .replace("$ENDED", ended)
        .replace("$NEW_P", places[0])
        .replace("$NEW_STATE", places[1])
        .replace("$INFO", places[2])
}

impl Kernel for AdamW8bit {
    fn key(&self, tier: Tier) -> String {
        match tier {
            Tier::Software => "adamw_8bit_software".to_owned(),
            Tier::Gpu { .. } => "adamw_8bit_gpu".to_owned(),
        }
    }

    fn wgsl(&self, tier: Tier) -> String {
        text(tier, false)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        match tier {
            Tier::Software => [BLOCKS_A_GROUP as u32, 1, 1],
            Tier::Gpu { .. } => [64, 1, 1],
        }
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        let (_, blocks) = sizes(self.step.len);
        match tier {
            Tier::Software => grid(blocks.div_ceil(BLOCKS_A_GROUP)),
            Tier::Gpu { .. } => grid(blocks),
        }
    }

    fn info(&self) -> Vec<u32> {
        let (code_words, blocks) = sizes(self.step.len);
        let mut words = vec![self.step.len as u32];
        words.extend(self.step.factors().map(f32::to_bits));
        words.extend([code_words as u32, blocks as u32]);
        info_words(&words)
    }

    fn input_lens(&self) -> Vec<usize> {
        let len = self.step.len;
        vec![len, len, Self::state_len(len), 2 * CODES]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.step.len, Self::state_len(self.step.len)]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let (p, g, state, tables) = (inputs[0], inputs[1], inputs[2], inputs[3]);
        let [new_p, new_state] = outputs else { return };
        let ([of_m, of_v], []) = tables.as_chunks::<CODES>() else {
            return;
        };
        let (of_m, of_v) = (Table::new(of_m), Table::new(of_v));
        let [scale, keep, rate, beta1, rest1, beta2, rest2, root, eps] = self.step.factors();
        let (words, blocks) = sizes(self.step.len);
        let (m_words, rest) = state.split_at(words);
        let (v_words, absmax) = rest.split_at(words);
        let (new_m, rest) = new_state.split_at_mut(words);
        let (new_v, rest) = rest.split_at_mut(words);
        let (new_m_absmax, new_v_absmax) = rest.split_at_mut(blocks);
        let parts = new_p
            .chunks_mut(BLOCK)
            .zip(new_m.chunks_mut(WORDS).zip(new_v.chunks_mut(WORDS)))
            .zip(new_m_absmax.iter_mut().zip(new_v_absmax));
        for_each_part(
            parts.enumerate().collect(),
            BLOCK,
            |(block, ((new_p, (new_m, new_v)), scales))| {
                let (start, count, first, word_count) = (block * BLOCK, new_p.len(), block * WORDS, new_m.len());
                let mut m = of_m.decode(&m_words[first..][..word_count], absmax[block]);
                let mut v = of_v.decode(&v_words[first..][..word_count], absmax[blocks + block]);
                let old = p[start..][..count].iter().zip(&g[start..][..count]);
                for (((new_p, (&p, &g)), m), v) in new_p.iter_mut().zip(old).zip(&mut m).zip(&mut v) {
                    let g = g * scale;
                    *m = beta1 * *m + rest1 * g;
                    *v = beta2 * *v + rest2 * g * g;
                    *new_p = p * keep - rate * *m / (v.sqrt() * root + eps);
                }
                *scales.0 = of_m.encode(&m[..count], new_m);
                *scales.1 = of_v.encode(&v[..count], new_v);
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_holds_its_moments() {
        for len in [1, 3, 4, 255, 257, 1030] {
            let moment = |seed: usize| -> Codes {
                let codes = (0..len).map(|i| (i * 37 + seed) as u8).collect();
                (codes, (0..len.div_ceil(256)).map(|i| (i + seed) as f32).collect())
            };
            let (m, v) = (moment(1), moment(200));
            let state = AdamW8bit::pack(&m, &v);
            assert_eq!(state.len(), AdamW8bit::state_len(len));
            assert_eq!(AdamW8bit::unpack(&state, len), (m, v));
        }
    }

    #[test]
    fn the_nearest_code_is_exact_and_a_midpoint_goes_down() {
        let values: [f32; CODES] = std::array::from_fn(|i| i as f32);
        let table = Table::new(&values);
        let codes: [u8; CODES] = std::array::from_fn(|i| i as u8);
        assert_eq!(table.nearest(&values), codes);
        assert_eq!(table.nearest(&values.map(|value| value + 0.5)), codes);
        let above = table.nearest(&values.map(|value| value + 0.500_1));
        assert_eq!(above, codes.map(|code| code.saturating_add(1)));
        assert_eq!(table.nearest(&[-1e30; BLOCK]), [0; BLOCK]);
    }
}
