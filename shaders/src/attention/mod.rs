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

mod cached;
mod text;
mod twin;

pub use cached::CachedAttention;

use crate::launch::{Cut, grid, info_words};
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
/// Matrix products of each pass: S and P·V; S, dO·Vᵀ and dS·K; S, V·dOᵀ, Pᵀ·dO and dSᵀ·Q; S and dO·Vᵀ.
const FORWARD: u64 = 2;
const OF_QUERIES: u64 = 3;
const OF_KEYS: u64 = 4;
const OF_BIAS: u64 = 2;
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

    /// Rows of a tile, in sixteens: as many as registers hold, of `sets` of sums, and as leave the GPU busy; there are `lines`
    /// times `rows`.
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
    fn groups(tier: Tier, lines: usize, rows: usize, tall: usize) -> usize {
        let rows_a_group = match tier {
            Tier::Software => LANES,
            Tier::Gpu { .. } => SIDE * tall,
        };
        lines * rows.div_ceil(rows_a_group)
    }

    /// Those of the passes that go by rows of queries.
    fn groups_of_queries(&self, tier: Tier) -> usize {
        Self::groups(tier, self.batch * self.heads(), self.queries, self.queries_tall())
    }

    fn groups_of_keys(&self, tier: Tier) -> usize {
        Self::groups(tier, self.batch * self.kv_heads, self.keys, self.keys_tall())
    }

    fn groups_of_bias(&self, tier: Tier) -> usize {
        Self::groups(tier, self.heads(), self.diagonals(), text::BIAS_TALL)
    }

    /// Multiplications and additions of `products` matrix products over what is seen, the mask aside.
    fn seen_products(&self, products: u64) -> u64 {
        let seen = |query| {
            let (begin, end) = self.key_span(query, query);
            (end - begin) as u64
        };
        let pairs: u64 = (0..self.queries).map(seen).sum();
        2 * products * (self.batch * self.heads() * self.dim) as u64 * pairs
    }

    /// Of so many queries or keys, those that one of the others has to do with at most.
    fn in_window(&self, count: usize) -> usize {
        match self.window {
            0 => count,
            window => window.min(count),
        }
    }

    /// How the `groups` workgroups of `kernel`, which makes so many `products`, are cut: of its `rows` of each head the heaviest has
    /// to do with `others`.
    fn cut_of(&self, kernel: &impl Kernel, products: u64, groups: usize, [rows, others]: [usize; 2]) -> Cut {
        let pairs = (self.batch * self.heads()) as u64 * rows as u64 * others as u64;
        let numbers = kernel.operations().saturating_sub(kernel.products());
        Cut {
            groups,
            word: 10,
            operations: 2 * products * self.dim as u64 * pairs + numbers,
        }
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
        grid(self.groups_of_queries(tier))
    }

    fn info(&self) -> Vec<u32> {
        self.words()
    }

    fn cut(&self, tier: Tier) -> Option<Cut> {
        let rows = [self.queries, self.in_window(self.keys)];
        Some(self.cut_of(self, FORWARD, self.groups_of_queries(tier), rows))
    }

    fn products(&self) -> u64 {
        self.seen_products(FORWARD)
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
        grid(self.0.groups_of_queries(tier))
    }

    fn info(&self) -> Vec<u32> {
        self.0.words()
    }

    fn cut(&self, tier: Tier) -> Option<Cut> {
        let rows = [self.0.queries, self.0.in_window(self.0.keys)];
        Some(self.0.cut_of(self, OF_QUERIES, self.0.groups_of_queries(tier), rows))
    }

    fn products(&self) -> u64 {
        self.0.seen_products(OF_QUERIES)
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
        grid(self.0.groups_of_keys(tier))
    }

    fn info(&self) -> Vec<u32> {
        self.0.words()
    }

    fn cut(&self, tier: Tier) -> Option<Cut> {
        let rows = [self.0.keys, self.0.in_window(self.0.queries)];
        Some(self.0.cut_of(self, OF_KEYS, self.0.groups_of_keys(tier), rows))
    }

    fn products(&self) -> u64 {
        self.0.seen_products(OF_KEYS)
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
        grid(self.0.groups_of_bias(tier))
    }

    fn info(&self) -> Vec<u32> {
        self.0.words()
    }

    fn cut(&self, tier: Tier) -> Option<Cut> {
        let rows = [self.0.diagonals(), self.0.queries.min(self.0.keys)];
        Some(self.0.cut_of(self, OF_BIAS, self.0.groups_of_bias(tier), rows))
    }

    fn products(&self) -> u64 {
        self.0.seen_products(OF_BIAS)
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
