//! Attention without a matrix of scores, forward and backward: FlashAttention (Dao et al. 2022, arXiv 2205.14135; Dao 2023,
//! arXiv 2307.08691).
//!
//! O = softmax(S)·V with S = cap(scale·(Q·Kᵀ + bias)), cap(s) = c·tanh(s/c). Heads lie side by side in the rows that linears
//! make: q, out \[B·Tq, H·D\], k, v \[B·Tk, K·D\], and H / K query heads share one of keys. A pass over tiles of keys keeps the
//! largest score m of each row and l = Σ exp(s − m), and scales what it has summed whenever m grows; what is kept for the
//! backward pass is L = m + log l, \[B·Tq, H\]. That pass makes P = exp(S − L) again, tile by tile:
//! dV = Pᵀ·dO, dS = P ∘ (dO·Vᵀ − δ) ∘ cap′·scale with δ = Σ dO ∘ O over a row, dQ = dS·K, dK = dSᵀ·Q, and the gradient of
//! the bias is the sum of dS along diagonals.
//!
//! Query q sees key j if j ≤ q + offset, j > q + offset − window where `window` is not 0, and mask\[example, j\] is not 0. So an
//! offset of `keys` shows all keys, and an offset h with a window of 2h + 1 the keys within h of the query, on both sides. A row
//! that sees nothing gives zeros, and L = 0.
//!
//! Where rows are `segmented`, several sequences lie one behind the other in each, and the mask says which: for a token s + 1, s
//! being the place of its sequence's first token, and 0 on padding. Query q sees key j then only if both have the same number, and
//! it is not 0; tiles of other segments are passed over.
//!
//! No sum depends on the order in which workgroups run. [`text`] puts the sources together; [`twin`] is the CPU's.

mod text;
mod twin;

use crate::launch::{grid, info_words};
use crate::{Kernel, Tier};

/// The forward pass. Inputs q \[B·Tq, H·D\], k, v \[B·Tk, K·D\], mask \[B, Tk\], and where it is `biased` the bias \[Tq + Tk − 1, H\],
/// of which row j − q + Tq − 1 belongs to query q and key j; outputs out like q, and L \[B·Tq, H\].
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Examples.
    pub batch: usize,
    /// Heads of keys.
    pub kv_heads: usize,
    /// Query heads for one key head.
    pub group: usize,
    /// Queries an example.
    pub queries: usize,
    /// Keys an example.
    pub keys: usize,
    /// Width of a head.
    pub dim: usize,
    /// How many keys lie before the first query's own; `keys` or more turns causality off.
    pub offset: usize,
    /// How many keys back a query sees, its own included; 0 for all.
    pub window: usize,
    /// Multiplies the scores.
    pub scale: f32,
    /// c of c·tanh(score / c); 0 for none.
    pub cap: f32,
    /// Whether there is a bias.
    pub biased: bool,
    /// Whether the mask tells segments apart; queries are then as many as keys.
    pub segmented: bool,
}

/// What the backward pass reads of rows and keys besides matrices, in one buffer, because a stage has eight: L, then δ \[B·Tq, H\]
/// each, then the mask \[B, Tk\]. Inputs out, dout \[B·Tq, H·D\], L, mask.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionNotes(pub Attention);

impl AttentionNotes {
    /// Numbers in it.
    pub fn len(&self) -> usize {
        self.0.notes_len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// dQ. Inputs q, k, v, dout, what [`AttentionNotes`] makes, the bias where there is one; output like q.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionOfQueries(pub Attention);

/// dK and dV. Inputs as [`AttentionOfQueries`]; outputs like k and v.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionOfKeys(pub Attention);

/// The gradient of the bias. Inputs as [`AttentionOfQueries`]; output like the bias.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionOfBias(pub Attention);

/// A workgroup on a GPU is 16 × 16 invocations, of which each computes `tall` × 2 scores.
const SIDE: usize = 16;
/// Invocations a workgroup on a software adapter, a row each.
const LANES: usize = 16;
/// Rows that one workgroup of [`AttentionNotes`] takes.
const NOTES: usize = 64;
/// Workgroups under which tiles are made smaller, so that more of the GPU has work.
const ENOUGH_GROUPS: usize = 64;
/// Vectors of four sums that an invocation keeps.
const MOST_SUMS: usize = 8;

impl Attention {
    /// Query heads.
    pub fn heads(&self) -> usize {
        self.kv_heads * self.group
    }

    /// Rows of the bias: a distance each.
    pub fn diagonals(&self) -> usize {
        (self.queries + self.keys).saturating_sub(1)
    }

    /// Rows of scores.
    fn rows(&self) -> usize {
        self.batch * self.queries * self.heads()
    }

    fn q_len(&self) -> usize {
        self.rows() * self.dim
    }

    fn k_len(&self) -> usize {
        self.batch * self.keys * self.kv_heads * self.dim
    }

    fn bias_len(&self) -> usize {
        self.diagonals() * self.heads()
    }

    fn notes_len(&self) -> usize {
        2 * self.rows() + self.batch * self.keys
    }

    /// Vectors of four in a head's row.
    fn vectors(&self) -> usize {
        self.dim.div_ceil(4)
    }

    /// Vectors that an invocation of 16 along a row takes.
    fn wide(&self) -> usize {
        self.vectors().div_ceil(SIDE)
    }

    /// Rows of a tile, in sixteens: as many as registers hold, of `sets` of sums, and as leave the GPU busy; `lines` times `rows`
    /// are to be had.
    fn tall(&self, sets: usize, lines: usize, rows: usize) -> usize {
        let most = MOST_SUMS / (sets * self.wide()).max(1);
        let mut tall = match most {
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        while tall > 1 && (rows <= SIDE * tall / 2 || lines * rows.div_ceil(SIDE * tall) < ENOUGH_GROUPS) {
            tall /= 2;
        }
        tall
    }

    fn queries_tall(&self) -> usize {
        self.tall(1, self.batch * self.heads(), self.queries)
    }

    fn keys_tall(&self) -> usize {
        self.tall(2, self.batch * self.kv_heads, self.keys)
    }

    /// Workgroups for `lines` times `rows`, of which one takes `tall` sixteens on a GPU.
    fn groups(tier: Tier, lines: usize, rows: usize, tall: usize) -> [u32; 3] {
        let rows_a_group = match tier {
            Tier::Software => LANES,
            Tier::Gpu { .. } => SIDE * tall,
        };
        grid(lines * rows.div_ceil(rows_a_group))
    }

    fn name(&self, start: &str, tier: Tier, tall: usize) -> String {
        let tier = match tier {
            Tier::Software => "software".to_owned(),
            Tier::Gpu { .. } => format!("gpu{tall}"),
        };
        let bias = if self.biased { "_bias" } else { "" };
        let segments = if self.segmented { "_segments" } else { "" };
        format!("{start}_{tier}_{}{bias}{segments}", self.dim)
    }

    fn words(&self) -> Vec<u32> {
        info_words(&[
            self.queries as u32,
            self.keys as u32,
            self.heads() as u32,
            self.group as u32,
            self.offset as u32,
            self.window as u32,
            self.batch as u32,
            self.vectors() as u32,
            self.scale.to_bits(),
            self.cap.to_bits(),
        ])
    }

    /// The lengths of what a backward kernel reads.
    fn backward_lens(&self) -> Vec<usize> {
        let mut lens = vec![self.q_len(), self.k_len(), self.k_len(), self.q_len(), self.notes_len()];
        if self.biased {
            lens.push(self.bias_len());
        }
        lens
    }

    /// Keys that any of the queries `first` to `last` sees, the mask aside: from the first number to under the second.
    fn key_span(&self, first: usize, last: usize) -> (usize, usize) {
        let end = (last + self.offset + 1).min(self.keys);
        let begin = match self.window {
            0 => 0,
            window => (first + self.offset + 1).saturating_sub(window),
        };
        (begin.min(end), end)
    }

    /// Queries that see any of the keys `first` to `last`, the mask aside.
    fn query_span(&self, first: usize, last: usize) -> (usize, usize) {
        let end = match self.window {
            0 => self.queries,
            window => (last + window).saturating_sub(self.offset).min(self.queries),
        };
        (first.saturating_sub(self.offset).min(end), end)
    }
}

fn size_of(tier: Tier) -> [u32; 3] {
    match tier {
        Tier::Software => [LANES as u32, 1, 1],
        Tier::Gpu { .. } => [(SIDE * SIDE) as u32, 1, 1],
    }
}

impl Kernel for Attention {
    fn key(&self, tier: Tier) -> String {
        self.name("attention", tier, self.queries_tall())
    }

    fn wgsl(&self, tier: Tier) -> String {
        text::forward(self, tier)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        size_of(tier)
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        Self::groups(tier, self.batch * self.heads(), self.queries, self.queries_tall())
    }

    fn info(&self) -> Vec<u32> {
        self.words()
    }

    fn input_lens(&self) -> Vec<usize> {
        let mut lens = vec![self.q_len(), self.k_len(), self.k_len(), self.batch * self.keys];
        if self.biased {
            lens.push(self.bias_len());
        }
        lens
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.q_len(), self.rows()]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        twin::forward(self, inputs, outputs);
    }
}

impl Kernel for AttentionNotes {
    fn key(&self, _tier: Tier) -> String {
        format!("attention_notes_{}", self.0.dim)
    }

    fn wgsl(&self, _tier: Tier) -> String {
        text::notes(&self.0)
    }

    fn workgroup_size(&self, _tier: Tier) -> [u32; 3] {
        [NOTES as u32, 1, 1]
    }

    fn workgroups(&self, _tier: Tier) -> [u32; 3] {
        grid(self.0.rows().max(self.0.batch * self.0.keys).div_ceil(NOTES))
    }

    fn info(&self) -> Vec<u32> {
        self.0.words()
    }

    fn input_lens(&self) -> Vec<usize> {
        let form = &self.0;
        vec![form.q_len(), form.q_len(), form.rows(), form.batch * form.keys]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.0.notes_len()]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        twin::notes(&self.0, inputs, outputs);
    }
}

impl Kernel for AttentionOfQueries {
    fn key(&self, tier: Tier) -> String {
        self.0.name("attention_of_queries", tier, self.0.queries_tall())
    }

    fn wgsl(&self, tier: Tier) -> String {
        text::of_queries(&self.0, tier)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        size_of(tier)
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        self.0.workgroups(tier)
    }

    fn info(&self) -> Vec<u32> {
        self.0.words()
    }

    fn input_lens(&self) -> Vec<usize> {
        self.0.backward_lens()
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.0.q_len()]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        twin::of_queries(&self.0, inputs, outputs);
    }
}

impl Kernel for AttentionOfKeys {
    fn key(&self, tier: Tier) -> String {
        self.0.name("attention_of_keys", tier, self.0.keys_tall())
    }

    fn wgsl(&self, tier: Tier) -> String {
        text::of_keys(&self.0, tier)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        size_of(tier)
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        let form = &self.0;
        Attention::groups(tier, form.batch * form.kv_heads, form.keys, form.keys_tall())
    }

    fn info(&self) -> Vec<u32> {
        self.0.words()
    }

    fn input_lens(&self) -> Vec<usize> {
        self.0.backward_lens()
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.0.k_len(); 2]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        twin::of_keys(&self.0, inputs, outputs);
    }
}

impl Kernel for AttentionOfBias {
    fn key(&self, tier: Tier) -> String {
        self.0.name("attention_of_bias", tier, text::BIAS_TALL)
    }

    fn wgsl(&self, tier: Tier) -> String {
        text::of_bias(&self.0, tier)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        size_of(tier)
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        Attention::groups(tier, self.0.heads(), self.0.diagonals(), text::BIAS_TALL)
    }

    fn info(&self) -> Vec<u32> {
        self.0.words()
    }

    fn input_lens(&self) -> Vec<usize> {
        self.0.backward_lens()
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.0.bias_len()]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        twin::of_bias(&self.0, inputs, outputs);
    }
}
