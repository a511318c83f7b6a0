//! Products with a matrix that stays packed: the forward and the backward pass of every frozen linear of a packed base.
//!
//! Both directions read W [rows, columns] where it lies, eight numbers at a time. *Along* its rows, out = a·Wᵀ: a linear's
//! forward pass. *Across* them, out = a·W: its backward pass. No source and no twin makes more of W dense than what one
//! workgroup (or one thread) works on.

use super::decode::Reader;
use super::{Format, Packed, WORD_AT, dots};
use crate::launch::{Cut, grid, info_words};
use crate::matmul::{A_AT, LANES, Slice, Tiles, added, lines, pairs, tiles_text};
use crate::{Add, Kernel, LowRank, PartsOf, SplitProduct, SumOfParts, Tier};

/// out = a·Wᵀ + add, or a·W + add where `across`.
/// Inputs a \[m, columns\] (\[m, rows\] where `across`), W's words, what [`Add`] says, and what [`LowRank`] says; output
/// \[m, rows\] (\[m, columns\]).
///
/// On a GPU with f16, W of [`Format::F16`] in whole pieces of eight goes through workgroup memory as it is stored, 16 bits a
/// number. Every number is widened to f32 before it is multiplied, and products and sums are those of the other source.
/// WGSL lets an implementation take subnormal numbers (below 2⁻¹⁴ ≈ 6.1e-5) for 0 where it widens them, in this source as in
/// the other, which unpacks them from words: there, and only there, a GPU may differ from the twin by more than rounding.
///
/// The twin of one row, along, rounds a to 16 bits for every 32 numbers where rows are a multiple of 32 long and codes
/// are of eight bits or fewer (all but FP8): results are off by about 1e-5 of |a|·|W|. All other products decode exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedMatMul {
    /// Rows of a and of the output.
    pub m: usize,
    /// W.
    pub matrix: Packed,
    /// Whether sums go over W's rows.
    pub across: bool,
    /// What is added.
    pub add: Add,
    /// What is added besides.
    pub low_rank: Option<LowRank>,
}

/// The source that suits a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// An invocation computes so many rows of four columns (along) or of eight (across).
    Registers { rows: usize },
    /// A workgroup computes a tile.
    Tiles(Tiles),
    /// The same, W's part of it in f16.
    HalfTiles(Tiles),
    /// A workgroup computes this many rows of a few columns.
    Matvec { rows: usize },
    /// The same, each column by a subgroup; along only.
    Subgroups { rows: usize },
}

/// Columns of an invocation of [`Plan::Registers`], along; across it is the eight of a piece.
const COLUMNS_ALONG: usize = 4;
/// Columns that a workgroup of [`Plan::Matvec`] computes.
const MATVEC_ALONG: usize = 8;
const MATVEC_ACROSS: usize = 128;

/// Numbers that a twin's thread decodes at a time; they stay in its core's cache.
const PANEL: usize = 1 << 15;
/// Columns of the output that a panel has, or a multiple: the widest tile of registers, so that none is filled in part.
const PANEL_COLUMNS: usize = 64;
/// Products of fewer multiplications are not spread over threads.
#[cfg(not(target_arch = "wasm32"))]
const PARALLEL_FROM: usize = 1 << 16;

impl PackedMatMul {
    /// The product, nothing added.
    pub fn new(m: usize, matrix: Packed, across: bool) -> Self {
        Self {
            m,
            matrix,
            across,
            add: Add::None,
            low_rank: None,
        }
    }

    /// Columns of the output.
    pub fn n(&self) -> usize {
        if self.across {
            self.matrix.columns
        } else {
            self.matrix.rows
        }
    }

    /// Length of the sums.
    pub fn k(&self) -> usize {
        if self.across {
            self.matrix.rows
        } else {
            self.matrix.columns
        }
    }

    fn plan(&self, tier: Tier) -> Plan {
        match (tier, self.m) {
            (Tier::Software, m) => Plan::Registers { rows: m.clamp(1, 8) },
            (Tier::Gpu { subgroups: true, .. }, ..=4) if !self.across => Plan::Subgroups { rows: self.m.max(1) },
            (Tier::Gpu { .. }, ..=4) => Plan::Matvec { rows: self.m.max(1) },
            (Tier::Gpu { f16, .. }, _) => match Tiles::choose(1, self.m, self.n()) {
                tiles if f16 && self.has_halves() && tiles.wide >= 4 => Plan::HalfTiles(tiles),
                tiles => Plan::Tiles(tiles),
            },
        }
    }

    /// Whether W's numbers are f16 as they lie, four of them wherever a vector of four may start.
    fn has_halves(&self) -> bool {
        self.matrix.format == Format::F16 && self.matrix.aligned()
    }

    /// Rows and columns of outputs that one workgroup computes.
    pub(super) fn block(&self, tier: Tier) -> (usize, usize) {
        match (self.plan(tier), self.across) {
            (Plan::Registers { rows }, false) => (rows, LANES * COLUMNS_ALONG),
            (Plan::Registers { rows }, true) => (rows, LANES * 8),
            (Plan::Tiles(tiles) | Plan::HalfTiles(tiles), _) => (16 * tiles.tall, 16 * tiles.wide),
            (Plan::Matvec { rows }, false) | (Plan::Subgroups { rows }, _) => (rows, MATVEC_ALONG),
            (Plan::Matvec { rows }, true) => (rows, MATVEC_ACROSS),
        }
    }

    /// Whether a is read in vectors of four.
    pub(super) fn reads_vectors(&self, tier: Tier) -> bool {
        let step = if self.across { 4 } else { 8 };
        !matches!(self.plan(tier), Plan::Tiles(_) | Plan::HalfTiles(_)) && self.k().is_multiple_of(step)
    }

    /// Workgroups.
    pub(crate) fn groups(&self, tier: Tier) -> usize {
        let (rows, columns) = self.block(tier);
        self.m.div_ceil(rows) * self.n().div_ceil(columns)
    }

    /// The source; `parts` is whether it makes parts of the sums, which texts of tiles know.
    pub(crate) fn text(&self, tier: Tier, parts: bool) -> String {
        self.head(tier, parts) + &self.body(tier)
    }

    /// The source without its bindings and what reads and writes them.
    pub(super) fn body(&self, tier: Tier) -> String {
        let low = self.low_rank.is_some();
        match (self.plan(tier), self.across) {
            (Plan::Registers { rows }, false) => registers_along(rows, low),
            (Plan::Registers { rows }, true) => registers_across(rows, low),
            (Plan::Tiles(tiles), false) => tiles_text(tiles, Slice::Floats, include_str!("load_along.wgsl"), low),
            (Plan::Tiles(tiles), true) => tiles_text(tiles, Slice::Floats, include_str!("load_across.wgsl"), low),
            (Plan::HalfTiles(tiles), false) => {
                tiles_text(tiles, Slice::HalvesAlong, include_str!("load_halves_along.wgsl"), low)
            }
            (Plan::HalfTiles(tiles), true) => {
                tiles_text(tiles, Slice::HalvesAcross, include_str!("load_halves_across.wgsl"), low)
            }
            (Plan::Matvec { rows }, false) => matvec_along(rows),
            (Plan::Matvec { rows }, true) => matvec_across(rows),
            (Plan::Subgroups { rows }, _) => matvec_subgroups(rows),
        }
    }

    /// What of [`LowRank`] a total is added where it is stored: all of it, or nothing where the body has added it.
    pub(super) fn besides(&self, tier: Tier) -> &'static str {
        match (self.low_rank, self.plan(tier)) {
            (Some(_), Plan::Matvec { .. } | Plan::Subgroups { .. }) => " + low_rank_at(row, column)",
            _ => "",
        }
    }

    fn head(&self, tier: Tier, parts: bool) -> String {
        let (rows, columns) = self.block(tier);
        let (examples, sum) = match parts {
            true => (
                "info[3].x",
                "min(vec2<u32>(example, example + 1u) * info[3].y, vec2<u32>(info[0].z))",
            ),
            false => ("1u", "vec2<u32>(0u, info[0].z)"),
        };
        let addends = usize::from(self.add != Add::None);
        let low = if self.low_rank.is_some() { 2 } else { 0 };
        let addend = "@group(0) @binding(2) var<storage, read_write> addend: array<f32>;\n";
        let (element, four) = match (self.plan(tier), self.reads_vectors(tier)) {
            (Plan::Tiles(_) | Plan::HalfTiles(_), _) => ("f32", ""),
            (_, true) => ("vec4<f32>", include_str!("four_vectors.wgsl")),
            (_, false) => ("f32", include_str!("four_numbers.wgsl")),
        };
        let (enable, word, decoding) = match self.plan(tier) {
            Plan::HalfTiles(_) => ("enable f16;\n", "vec4<f16>", String::new()),
            _ => ("", "u32", WORD_AT.to_owned() + &self.matrix.wgsl(1)),
        };
        let head = include_str!("matmul.wgsl")
            .replace("$A_TYPE", element)
            .replace("$W_TYPE", word)
            .replace("$A_AT", if element == "f32" { A_AT } else { "" })
            .replace("$ADD_BINDING", if addends == 0 { "" } else { addend })
            .replace("$ADD", &(self.add.text().to_owned() + self.besides(tier)))
            .replace("$OUT", &(2 + addends + low).to_string())
            .replace("$EXAMPLES", examples)
            .replace("$SUM", sum)
            .replace("$INFO_LEN", if low == 0 && !parts { "3" } else { "4" })
            .replace("$INFO", &(3 + addends + low).to_string())
            .replace("$BLOCK_ROWS", &rows.to_string())
            .replace("$BLOCK_COLUMNS", &columns.to_string());
        let low_rank = self.low_rank.map_or(String::new(), |low| low.head(2 + addends, 3));
        let block = include_str!("../matmul_block.wgsl");
        [enable, &head, &low_rank, block, four, &decoding].concat()
    }

    /// Columns of the output and terms of their sums that are decoded at a time.
    fn panel_shape(&self) -> (usize, usize) {
        if self.across {
            (PANEL_COLUMNS, PANEL / PANEL_COLUMNS)
        } else {
            let tiles = PANEL / (PANEL_COLUMNS * self.k().max(1));
            (PANEL_COLUMNS * tiles.max(1), self.k())
        }
    }
}

/// Along: each step reads eight numbers of four rows of W and of `rows` rows of a.
fn registers_along(rows: usize, low: bool) -> String {
    let columns = COLUMNS_ALONG;
    let start = lines(rows, |r| format!("    let r{r} = min(row + {r}u, m - 1u) * k;"))
        + &lines(columns, |c| format!("    let c{c} = min(column + {c}u, n - 1u);"))
        + &pairs(rows, columns, |r, c| format!("    var t{r}_{c} = 0.0;"));
    let step = lines(columns, |c| format!("        let w{c} = eight(c{c}, p);"))
        + &lines(rows, |r| {
            format!("        let lo{r} = four(r{r}, p);\n        let hi{r} = four(r{r}, p + 4u);")
        })
        + &pairs(rows, columns, |r, c| {
            format!("        t{r}_{c} += dot(lo{r}, w{c}.lo) + dot(hi{r}, w{c}.hi);")
        });
    let store = added(low, || {
        LowRank::block(rows, columns, |r| format!("row + {r}u"), |c| format!("column + {c}u"))
    }) + &pairs(rows, columns, |r, c| {
        format!("    store(0u, row + {r}u, column + {c}u, t{r}_{c});")
    });
    registers_text(columns, 8, [start, step, store])
}

/// Across: each step reads eight neighbouring columns of four rows of W, and four numbers of `rows` rows of a.
fn registers_across(rows: usize, low: bool) -> String {
    let start = lines(rows, |r| {
        format!(
            "    let r{r} = min(row + {r}u, m - 1u) * k;\n    var lo{r} = vec4<f32>();\n    var hi{r} = vec4<f32>();"
        )
    });
    let step = lines(4, |q| {
        format!("        let w{q} = eight(min(p + {q}u, k - 1u), column);")
    }) + &lines(rows, |r| {
        let sum = |part: &str| {
            let terms: Vec<_> = (0..4).map(|q| format!("a{r}[{q}] * w{q}.{part}")).collect();
            format!("        {part}{r} += {};", terms.join(" + "))
        };
        format!("        let a{r} = four(r{r}, p);\n{}\n{}", sum("lo"), sum("hi"))
    });
    let store = added(low, || low_rank_of_eight(rows))
        + &lines(rows, |r| {
            lines(4, |j| {
                format!(
                    "    store(0u, row + {r}u, column + {j}u, lo{r}[{j}]);\n    store(0u, row + {r}u, column + {}u, hi{r}[{j}]);",
                    j + 4
                )
            })
        });
    registers_text(8, 4, [start, step, store])
}

/// [`LowRank::block`] for totals in vectors of four: the eight columns from `column` on.
fn low_rank_of_eight(rows: usize) -> String {
    let right = |part: &str, first: usize| {
        let numbers: Vec<_> = (first..first + 4)
            .map(|j| format!("right_of(column + {j}u, q)"))
            .collect();
        format!("        let r_{part} = vec4<f32>({});\n", numbers.join(", "))
    };
    LowRank::sum(
        right("lo", 0)
            + &right("hi", 4)
            + &lines(rows, |r| {
                format!(
                    "        let l{r} = left_of(row + {r}u, q);\n        lo{r} += l{r} * r_lo;\n        hi{r} += l{r} * r_hi;"
                )
            }),
    )
}

fn registers_text(columns: usize, depth: usize, [start, step, store]: [String; 3]) -> String {
    include_str!("matmul_software.wgsl")
        .replace("$LANES", &LANES.to_string())
        .replace("$COLUMNS", &columns.to_string())
        .replace("$DEPTH", &depth.to_string())
        .replace("$START\n", &start)
        .replace("$STEP\n", &step)
        .replace("$STORE\n", &store)
}

fn matvec_along(rows: usize) -> String {
    let start = lines(rows, |r| format!("    var t{r} = 0.0;"));
    let step = lines(rows, |r| {
        format!("        t{r} += dot(four({r}u * k, p), y.lo) + dot(four({r}u * k, p + 4u), y.hi);")
    });
    let store = lines(rows, |r| format!("    partials[{}u + local] = t{r};", 256 * r));
    include_str!("matvec_along.wgsl")
        .replace("$ROWS", &rows.to_string())
        .replace("$START\n", &start)
        .replace("$STEP\n", &step)
        .replace("$STORE\n", &store)
}

fn matvec_subgroups(rows: usize) -> String {
    let start = lines(rows, |r| format!("        var t{r} = 0.0;"));
    let step = lines(rows, |r| {
        format!("            t{r} += dot(four({r}u * k, p), y.lo) + dot(four({r}u * k, p + 4u), y.hi);")
    });
    let sums = lines(rows, |r| format!("        t{r} = subgroupAdd(t{r});"));
    let first = lines(rows, |r| format!("            store(0u, {r}u, left + own, t{r});"));
    let store = format!("{sums}        if lane == 0u {{\n{first}        }}\n");
    include_str!("matvec_subgroups.wgsl")
        .replace("$START\n", &start)
        .replace("$STEP\n", &step)
        .replace("$STORE\n", &store)
}

fn matvec_across(rows: usize) -> String {
    let start = lines(rows, |r| {
        format!("    var lo{r} = vec4<f32>();\n    var hi{r} = vec4<f32>();")
    });
    let step = lines(rows, |r| {
        let sum = |part: &str| {
            let terms: Vec<_> = (0..4).map(|q| format!("a{r}[{q}] * w{q}.{part}")).collect();
            format!("        {part}{r} += {};", terms.join(" + "))
        };
        format!("        let a{r} = four({r}u * k, p);\n{}\n{}", sum("lo"), sum("hi"))
    });
    let store = lines(rows, |r| {
        format!("    reduce({r}u, left, local, lo{r}, hi{r});\n    workgroupBarrier();")
    });
    include_str!("matvec_across.wgsl")
        .replace("$START\n", &start)
        .replace("$STEP\n", &step)
        .replace("$STORE\n", &store)
}

impl Kernel for PackedMatMul {
    fn key(&self, tier: Tier) -> String {
        let plan = match self.plan(tier) {
            Plan::Registers { rows } => format!("registers{rows}"),
            Plan::Tiles(Tiles { tall, wide, deep }) => format!("tiles{tall}x{wide}x{deep}"),
            Plan::HalfTiles(Tiles { tall, wide, deep }) => format!("halftiles{tall}x{wide}x{deep}"),
            Plan::Matvec { rows } => format!("matvec{rows}"),
            Plan::Subgroups { rows } => format!("subgroups{rows}"),
        };
        let side = if self.across { "across" } else { "along" };
        let vectors = if self.reads_vectors(tier) { "vectors" } else { "numbers" };
        let matrix = self.matrix.key();
        let low = LowRank::key(self.low_rank.as_ref());
        format!("packed_matmul_{plan}_{side}_{vectors}_{matrix}_{:?}{low}", self.add).to_lowercase()
    }

    fn wgsl(&self, tier: Tier) -> String {
        self.text(tier, false)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        match self.plan(tier) {
            Plan::Registers { .. } => [LANES as u32, 1, 1],
            Plan::Tiles(_) | Plan::HalfTiles(_) | Plan::Matvec { .. } | Plan::Subgroups { .. } => [256, 1, 1],
        }
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        grid(self.groups(tier))
    }

    fn cut(&self, tier: Tier) -> Option<Cut> {
        Some(Cut {
            groups: self.groups(tier),
            word: 3,
            operations: self.operations(),
        })
    }

    fn split(&self, tier: Tier) -> Option<SplitProduct> {
        let bare = Self::new(self.m, self.matrix, self.across);
        let sum = SumOfParts {
            m: self.m,
            n: self.n(),
            parts: 1,
            alpha: 1.0,
            add: self.add,
            low_rank: self.low_rank,
        };
        SplitProduct::choose(PartsOf::Packed(bare), sum, self.groups(tier), tier)
    }

    fn info(&self) -> Vec<u32> {
        let mut words = vec![self.m as u32, self.n() as u32, self.k() as u32, 0];
        words.extend(self.matrix.info());
        words = info_words(&words);
        words.extend(self.low_rank.iter().flat_map(LowRank::info));
        info_words(&words)
    }

    fn products(&self) -> u64 {
        let low = self.low_rank.map_or(0, |low| low.rank * self.n());
        2 * self.m as u64 * (self.matrix.rows * self.matrix.columns + low) as u64
    }

    fn input_lens(&self) -> Vec<usize> {
        let mut lens = vec![self.m * self.k(), self.matrix.words()];
        lens.extend(self.add.len(self.m, self.n()));
        lens.extend(self.low_rank.iter().flat_map(|low| low.lens(self.m, self.n())));
        lens
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.m * self.n()]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let out = &mut *outputs[0];
        let (n, k) = (self.n(), self.k());
        match self.add {
            Add::None | Add::Full => out.fill(0.0),
            Add::Row => out
                .chunks_exact_mut(n.max(1))
                .for_each(|row| row.copy_from_slice(inputs[2])),
        }
        if out.is_empty() {
            return;
        }
        if k > 0 {
            self.add_product(inputs[0], inputs[1], out);
        }
        if let (Some(low), [.., l, r]) = (&self.low_rank, inputs) {
            low.twin([self.m, n], [l, r], out);
        }
        self.add.twin(inputs, out);
    }
}

impl PackedMatMul {
    /// Adds a·Wᵀ, or a·W, to what `out` holds.
    fn add_product(&self, a: &[f32], words: &[f32], out: &mut [f32]) {
        if !self.across && dots::takes(self.m, &self.matrix) {
            dots::add_product(self.m, &self.matrix, a, words, out);
            return;
        }
        let n = self.n();
        // Each panel of output columns is one thread's, so sums have one order however many threads there are.
        let (width, _) = self.panel_shape();
        let out = Columns(out.as_mut_ptr());
        let reader = Reader::new(&self.matrix, words);
        let panel = |room: &mut Vec<f32>, i: usize| {
            let first = i * width;
            self.panel(a, &reader, first, width.min(n - first), room, &out);
        };
        let panels = n.div_ceil(width);
        #[cfg(not(target_arch = "wasm32"))]
        if self.m * n * self.k() >= PARALLEL_FROM {
            use rayon::prelude::*;
            (0..panels).into_par_iter().for_each_init(Vec::new, panel);
            return;
        }
        let mut room = Vec::new();
        (0..panels).for_each(|i| panel(&mut room, i));
    }
}

/// The output, of which several threads write different columns.
struct Columns(*mut f32);
#[allow(unsafe_code, reason = "threads write disjoint columns, which `twin` hands out")]
unsafe impl Sync for Columns {}

impl PackedMatMul {
    /// Adds to the output's columns `first` .. `first + count` their part of the product. `room` is for what is decoded.
    fn panel(&self, a: &[f32], reader: &Reader, first: usize, count: usize, room: &mut Vec<f32>, out: &Columns) {
        let (m, n, k, columns) = (self.m, self.n(), self.k(), self.matrix.columns);
        assert!(a.len() == m * k && first + count <= n, "a panel of {self:?}");
        // Adds a[.., top .. top + depth] · part, of which `steps` are the steps down a column and along a row.
        let add = |top: usize, depth: usize, part: &[f32], steps: (usize, usize)| {
            let last = (count - 1) * steps.1 + (depth - 1) * steps.0;
            assert!(top + depth <= k && last < part.len(), "a panel of {self:?}");
            #[allow(
                unsafe_code,
                reason = "gemm takes pointers: a's and the part's lengths were asserted, and these columns of an output of \
                          m·n numbers are written by no other thread"
            )]
            unsafe {
                gemm::gemm(
                    m,
                    count,
                    depth,
                    out.0.add(first),
                    1,
                    n as isize,
                    true,
                    a.as_ptr().add(top),
                    1,
                    k as isize,
                    part.as_ptr(),
                    steps.1 as isize,
                    steps.0 as isize,
                    1.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        };
        let (_, most) = self.panel_shape();
        if !self.across {
            // An odd number of lines of a cache from row to row, so that a column's do not lie in few sets of it.
            let step = 16 * (k.div_ceil(16) | 1);
            room.resize(step * count, 0.0);
            reader.decode_rows(first * k, k, step, room);
            add(0, k, room, (1, step));
            return;
        }
        room.resize(most.min(k) * count, 0.0);
        for top in (0..k).step_by(most) {
            let depth = most.min(k - top);
            let part = &mut room[..depth * count];
            reader.decode_rows(top * columns + first, count, count, part);
            add(top, depth, part, (count, 1));
        }
    }
}
