//! The matrix product, which is nearly all of the work of training: batched, either side transposed, with a bias or a sum.
//!
//! One file of more than 600 lines, because a kernel's text, its twin and its tiers are read together.

use std::fmt::Write;

use crate::launch::{Cut, grid, info_words};
use crate::{Kernel, LowRank, PartsOf, SplitProduct, SumOfParts, Tier};

/// What a product is added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Add {
    /// Nothing.
    None,
    /// Input 2, a bias \[n\] added to every row.
    Row,
    /// Input 2, \[batch, m, n\].
    Full,
}

/// out\[b, i, j\] = alpha · Σₚ op(A)\[b, i, p\] · op(B)\[b, p, j\] + add.
/// Inputs A \[batch, m, k\] (\[batch, k, m\] if `a_trans`), B \[batch, k, n\] (\[batch, n, k\] if `b_trans`), what
/// [`Add`] says, and what [`LowRank`] says; output \[batch, m, n\]. One B for a whole batch is said by folding the batch into m.
#[derive(Debug, Clone, PartialEq)]
pub struct MatMul {
    /// Products.
    pub batch: usize,
    /// Rows of the output.
    pub m: usize,
    /// Columns of the output.
    pub n: usize,
    /// Length of the sums.
    pub k: usize,
    /// A is stored transposed.
    pub a_trans: bool,
    /// B is stored transposed.
    pub b_trans: bool,
    /// Multiplies the product, not what is added.
    pub alpha: f32,
    /// What is added.
    pub add: Add,
    /// What is added besides: only to one product (`batch` 1) that is not scaled (`alpha` 1).
    pub low_rank: Option<LowRank>,
}

/// The source that suits a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// An invocation computes rows × columns; the invocations of a workgroup lie side by side, or below each other.
    Registers { rows: usize, columns: usize, below: bool },
    /// A workgroup computes a tile.
    Tiles(Tiles),
    /// A workgroup computes this many rows of a few columns.
    Matvec { rows: usize },
}

/// A workgroup's tile of 16·tall × 16·wide outputs, in slices of `deep`, a multiple of eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tiles {
    pub(crate) tall: usize,
    pub(crate) wide: usize,
    pub(crate) deep: usize,
}

impl Tiles {
    /// What suits a product of so many rows and columns.
    pub(crate) fn choose(batch: usize, m: usize, n: usize) -> Self {
        let large = batch * m.div_ceil(128) * n.div_ceil(128);
        let (tall, wide, deep) = match (m, n) {
            (..=16, _) => (1, 4, 16),
            (_, ..=16) => (4, 1, 16),
            (96.., 96..) if large >= 128 => (8, 8, 8),
            _ => (4, 4, 16),
        };
        Self { tall, wide, deep }
    }

    /// The same for two dense matrices: of a product that has few columns or few rows, and so few tiles that most of a large GPU
    /// would wait, smaller tiles. Each output is still one sum in one order.
    fn choose_dense(batch: usize, m: usize, n: usize) -> Self {
        const FEW: usize = 64;
        let tiles = Self::choose(batch, m, n);
        let count = batch * m.div_ceil(16 * tiles.tall) * n.div_ceil(16 * tiles.wide);
        match m.min(n) {
            ..=16 if count < FEW => Self {
                tall: 1,
                wide: 1,
                deep: 64,
            },
            _ => tiles,
        }
    }
}

/// How texts that read numbers one by one do.
pub(crate) const A_AT: &str = "fn a_at(example: u32, i: u32) -> f32 {\n    return a[i];\n}\n\n";
const B_AT: &str = "fn b_at(example: u32, i: u32) -> f32 {\n    return b[i];\n}\n\n";

/// Invocations a workgroup of [`Plan::Registers`].
pub(crate) const LANES: usize = 16;
/// Products of fewer multiplications are not spread over threads.
#[cfg(not(target_arch = "wasm32"))]
const PARALLEL_FROM: usize = 1 << 18;

impl Add {
    /// What a source writes behind a total.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Row => " + addend[column]",
            Self::Full => " + addend[place]",
        }
    }

    /// Adds what is as large as the output, behind the products, as a sum of two tensors would be.
    pub(crate) fn twin(self, inputs: &[&[f32]], out: &mut [f32]) {
        if self == Self::Full {
            for (total, addend) in out.iter_mut().zip(inputs[2]) {
                *total += addend;
            }
        }
    }

    /// The length of its input, where it has one.
    pub(crate) fn len(self, m: usize, n: usize) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Row => Some(n),
            Self::Full => Some(m * n),
        }
    }
}

impl MatMul {
    /// op(A)·op(B), nothing scaled, nothing added.
    pub fn new(batch: usize, m: usize, n: usize, k: usize, a_trans: bool, b_trans: bool) -> Self {
        Self {
            batch,
            m,
            n,
            k,
            a_trans,
            b_trans,
            alpha: 1.0,
            add: Add::None,
            low_rank: None,
        }
    }

    pub(crate) fn plan(&self, tier: Tier) -> Plan {
        match tier {
            Tier::Software => self.software_plan(),
            Tier::Gpu { .. } => self.gpu_plan(),
        }
    }

    fn software_plan(&self) -> Plan {
        match (self.m, self.n) {
            (..=4, _) => Plan::Registers {
                rows: self.m.max(1),
                columns: 4,
                below: false,
            },
            (_, ..=16) => Plan::Registers {
                rows: 4,
                columns: 8,
                below: true,
            },
            _ => Plan::Registers {
                rows: 8,
                columns: 8,
                below: false,
            },
        }
    }

    fn gpu_plan(&self) -> Plan {
        match self.m {
            ..=4 => Plan::Matvec { rows: self.m.max(1) },
            _ => Plan::Tiles(Tiles::choose_dense(self.batch, self.m, self.n)),
        }
    }

    /// How a source of registers fetches A and B.
    fn fetches(&self, rows: usize, columns: usize) -> (Fetch, Fetch) {
        (
            Fetch::choose(!self.a_trans, rows, self.m, self.k),
            Fetch::choose(self.b_trans, columns, self.n, self.k),
        )
    }

    /// Rows and columns of outputs that one workgroup computes.
    pub(crate) fn block(&self, tier: Tier) -> (usize, usize) {
        match self.plan(tier) {
            Plan::Registers {
                rows,
                columns,
                below: false,
            } => (rows, columns * LANES),
            Plan::Registers {
                rows,
                columns,
                below: true,
            } => (rows * LANES, columns),
            Plan::Tiles(tiles) => (16 * tiles.tall, 16 * tiles.wide),
            Plan::Matvec { rows } => (rows, if self.b_trans { 8 } else { 32 }),
        }
    }

    /// Workgroups.
    pub(crate) fn groups(&self, tier: Tier) -> usize {
        let (rows, columns) = self.block(tier);
        self.m.div_ceil(rows) * self.n.div_ceil(columns) * self.batch
    }

    /// The source; where it makes `parts` of the sums, what is made of examples otherwise is made of parts. Texts of tiles know
    /// parts.
    pub(crate) fn text(&self, tier: Tier, parts: bool) -> String {
        let low = self.low_rank.is_some();
        let body = match self.plan(tier) {
            Plan::Registers { rows, columns, below } => {
                registers_text(rows, columns, below, self.fetches(rows, columns), low)
            }
            Plan::Tiles(tiles) => tiles_text(tiles, Slice::Floats, include_str!("matmul_load.wgsl"), low),
            Plan::Matvec { rows } => matvec_text(rows),
        };
        self.head(tier, parts) + &body
    }

    fn head(&self, tier: Tier, parts: bool) -> String {
        let (rows, columns) = self.block(tier);
        let [sum, a_from, b_from] = match parts {
            true => [
                "min(vec2<u32>(example, example + 1u) * info[1].w, vec2<u32>(info[0].z))",
                "0u",
                "0u",
            ],
            false => [
                "vec2<u32>(0u, info[0].z)",
                "example * info[0].x * info[0].z",
                "example * info[0].z * info[0].y",
            ],
        };
        let bindings = if self.add == Add::None { 0 } else { 1 };
        let low = if self.low_rank.is_some() { 2 } else { 0 };
        let add_binding = "@group(0) @binding(2) var<storage, read_write> addend: array<f32>;\n";
        let (a, b) = match self.plan(tier) {
            Plan::Registers { rows, columns, .. } => self.fetches(rows, columns),
            _ => (Fetch::Single, Fetch::Single),
        };
        include_str!("matmul.wgsl")
            .replace("$A_TYPE", a.element_type())
            .replace("$B_TYPE", b.element_type())
            .replace("$A_AT", if a == Fetch::Single { A_AT } else { "" })
            .replace("$B_AT", if b == Fetch::Single { B_AT } else { "" })
            .replace("$ADD_BINDING", if bindings == 0 { "" } else { add_binding })
            .replace(
                "$ADD",
                &(self.add.text().to_owned()
                    + match (self.low_rank, self.plan(tier)) {
                        (Some(_), Plan::Matvec { .. }) => " + low_rank_at(row, column)",
                        _ => "",
                    }),
            )
            .replace("$OUT", &(2 + bindings + low).to_string())
            .replace("$SUM", sum)
            .replace("$A_FROM", a_from)
            .replace("$B_FROM", b_from)
            .replace("$INFO_LEN", if low == 0 { "2" } else { "3" })
            .replace("$INFO", &(3 + bindings + low).to_string())
            .replace("$BLOCK_ROWS", &rows.to_string())
            .replace("$BLOCK_COLUMNS", &columns.to_string())
            .replace("$A_TRANS", if self.a_trans { "true" } else { "false" })
            .replace("$B_TRANS", if self.b_trans { "true" } else { "false" })
            + &self.low_rank.map_or(String::new(), |low| low.head(2 + bindings, 2))
            + include_str!("matmul_block.wgsl")
    }
}

/// `line(i)` for every i under `count`, one under the other.
pub(crate) fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut source, i| {
        let _ = writeln!(source, "{}", line(i));
        source
    })
}

/// `line(row, column)` for every pair.
pub(crate) fn pairs(rows: usize, columns: usize, line: impl Fn(usize, usize) -> String) -> String {
    lines(rows * columns, |i| line(i / columns, i % columns))
}

/// How an operand's elements are fetched: one by one, or in vectors of four along the sum, or across it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetch {
    Single,
    Along,
    Across,
}

impl Fetch {
    /// For an operand of which a block takes `count` of `total` lines over a sum of length `k`; `along` is whether it is stored
    /// along the sum.
    fn choose(along: bool, count: usize, total: usize, k: usize) -> Self {
        if along && k.is_multiple_of(4) {
            Self::Along
        } else if !along && total.is_multiple_of(4) && count.is_multiple_of(4) {
            Self::Across
        } else {
            Self::Single
        }
    }

    fn element_type(self) -> &'static str {
        if self == Self::Single { "f32" } else { "vec4<f32>" }
    }

    fn letter(self) -> char {
        match self {
            Self::Single => 's',
            Self::Along => 'l',
            Self::Across => 'c',
        }
    }
}

/// One operand of [`registers_text`]: buffer `name`, `count` lines from line `first` of `total` on, `depth` terms of the sum a
/// step.
struct Operand<'a> {
    fetch: Fetch,
    name: &'a str,
    first: &'a str,
    total: &'a str,
    count: usize,
    depth: usize,
}

impl Operand<'_> {
    /// The lines before the loop: where each line (or each four) starts.
    fn start(&self) -> String {
        let Self {
            fetch,
            name,
            first,
            total,
            count,
            ..
        } = self;
        let base = format!("{name}_from(block.z)");
        match fetch {
            Fetch::Single => lines(*count, |i| {
                format!("    var {name}{i} = {base} + min({first} + {i}u, {total} - 1u) * {name}_down;")
            }),
            Fetch::Along => lines(*count, |i| {
                format!("    var {name}{i} = ({base} + min({first} + {i}u, {total} - 1u) * k) / 4u;")
            }),
            Fetch::Across => lines(count / 4, |i| {
                format!(
                    "    var {name}{i} = ({base} + min({first} + {}u, {total} - 4u)) / 4u;",
                    4 * i
                )
            }),
        }
    }

    /// The lines in the loop: loads and steps.
    fn load(&self) -> String {
        let Self {
            fetch,
            name,
            total,
            count,
            depth,
            ..
        } = self;
        match fetch {
            Fetch::Single => {
                pairs(*count, *depth, |i, q| {
                    format!("        let {name}_{i}_{q} = {name}_at(block.z, {name}{i} + {q}u * {name}_along);")
                }) + &lines(*count, |i| format!("        {name}{i} += {depth}u * {name}_along;"))
            }
            Fetch::Along => lines(*count, |i| {
                format!("        let {name}_{i} = {name}[{name}{i}];\n        {name}{i} += 1u;")
            }),
            Fetch::Across => {
                pairs(count / 4, *depth, |i, q| {
                    format!("        let {name}_{i}_{q} = {name}[{name}{i} + {q}u * ({total} / 4u)];")
                }) + &lines(count / 4, |i| {
                    format!("        {name}{i} += {depth}u * ({total} / 4u);")
                })
            }
        }
    }

    /// Line `i`'s element of term `q` of the step.
    fn element(&self, i: usize, q: usize) -> String {
        let name = self.name;
        match self.fetch {
            Fetch::Single => format!("{name}_{i}_{q}"),
            Fetch::Along => format!("{name}_{i}[{q}]"),
            Fetch::Across => format!("{name}_{}_{q}[{}]", i / 4, i % 4),
        }
    }
}

/// `lines` if `is_wanted`.
pub(crate) fn added(is_wanted: bool, lines: impl FnOnce() -> String) -> String {
    if is_wanted { lines() } else { String::new() }
}

pub(crate) fn registers_text(rows: usize, columns: usize, below: bool, fetches: (Fetch, Fetch), low: bool) -> String {
    let depth = if fetches.0 == Fetch::Along || fetches.1 == Fetch::Along {
        4
    } else {
        1
    };
    let a = Operand {
        fetch: fetches.0,
        name: "a",
        first: "row",
        total: "m",
        count: rows,
        depth,
    };
    let b = Operand {
        fetch: fetches.1,
        name: "b",
        first: "column",
        total: "n",
        count: columns,
        depth,
    };
    let start = a.start() + &b.start() + &pairs(rows, columns, |r, c| format!("    var t{r}_{c} = 0.0;"));
    let step = a.load()
        + &b.load()
        + &pairs(rows, columns, |r, c| {
            let terms: Vec<_> = (0..depth)
                .map(|q| format!("{} * {}", a.element(r, q), b.element(c, q)))
                .collect();
            format!("        t{r}_{c} += {};", terms.join(" + "))
        });
    let store = added(low, || {
        LowRank::block(rows, columns, |r| format!("row + {r}u"), |c| format!("column + {c}u"))
    }) + &pairs(rows, columns, |r, c| {
        format!("    store(block.z, row + {r}u, column + {c}u, t{r}_{c});")
    });
    let (row, column) = if below {
        (
            format!("(block.y * {LANES}u + local) * {rows}u"),
            format!("block.x * {columns}u"),
        )
    } else {
        (
            format!("block.y * {rows}u"),
            format!("(block.x * {LANES}u + local) * {columns}u"),
        )
    };
    include_str!("matmul_software.wgsl")
        .replace("$LANES", &LANES.to_string())
        .replace("$DEPTH", &depth.to_string())
        .replace("$ROW", &row)
        .replace("$COLUMN", &column)
        .replace("$START\n", &start)
        .replace("$STEP\n", &step)
        .replace("$STORE\n", &store)
}

/// How a slice of op(B) lies in workgroup memory. Whichever it is, an output sums the same products in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slice {
    /// f32, one by one.
    Floats,
    /// f16, four terms of a column in a vector.
    HalvesAlong,
    /// f16, four columns of a term in a vector; for tiles that are a multiple of four wide.
    HalvesAcross,
}

impl Slice {
    /// An element's type, and how many terms of the sum it holds, of how many columns.
    fn element(self) -> (&'static str, usize, usize) {
        match self {
            Self::Floats => ("f32", 1, 1),
            Self::HalvesAlong => ("vec4<f16>", 4, 1),
            Self::HalvesAcross => ("vec4<f16>", 1, 4),
        }
    }

    /// Elements that a row is longer than the tile, so that what is stored at once lies in different banks.
    fn pad(self, deep: usize) -> usize {
        match self {
            Self::Floats => 1,
            // Neighbouring invocations store the deep / 4 vectors of a column, one row each.
            Self::HalvesAlong => 64 / deep,
            // They store the vectors of one row.
            Self::HalvesAcross => 0,
        }
    }

    /// Term `q` of an element, for column `c` of an invocation.
    fn number(self, c: usize, q: usize) -> String {
        match self {
            Self::Floats => format!("y{c}"),
            Self::HalvesAlong => format!("f32(y{c}[{q}])"),
            Self::HalvesAcross => format!("f32(y{}[{}])", c / 4, c % 4),
        }
    }
}

/// The source of a tile; `load_b` fills `b_slice` with a slice of op(B), which lies as `slice` says; `low` is whether there is a
/// [`LowRank`].
pub(crate) fn tiles_text(tiles: Tiles, slice: Slice, load_b: &str, low: bool) -> String {
    let Tiles { tall, wide, deep } = tiles;
    let (element, terms, columns) = slice.element();
    let start = pairs(tall, wide, |r, c| format!("    var t{r}_{c} = 0.0;"));
    let load = lines(wide / columns, |c| {
        format!("            let y{c} = b_slice[p / B_TERMS * B_ROW + x + {}u];", 16 * c)
    });
    let step = lines(terms, |q| {
        lines(tall, |r| {
            format!(
                "            let x{r}_{q} = a_slice[(p + {q}u) * (ROWS + 1u) + y + {}u];",
                16 * r
            )
        }) + &lines(wide, |c| format!("            let y{c}_{q} = {};", slice.number(c, q)))
            + &pairs(tall, wide, |r, c| {
                format!("            t{r}_{c} += x{r}_{q} * y{c}_{q};")
            })
    });
    let row = |r| format!("top + y + {}u", 16 * r);
    let column = |c| format!("left + x * B_COLUMNS + {}u", 16 * columns * (c / columns) + c % columns);
    let store = added(low, || LowRank::block(tall, wide, row, column))
        + &pairs(tall, wide, |r, c| {
            format!("    store(block.z, {}, {}, t{r}_{c});", row(r), column(c))
        });
    include_str!("matmul_gpu.wgsl")
        .replace("$TALL", &tall.to_string())
        .replace("$WIDE", &wide.to_string())
        .replace("$DEEP", &deep.to_string())
        .replace("$B_TYPE", element)
        .replace("$B_TERMS", &terms.to_string())
        .replace("$B_COLUMNS", &columns.to_string())
        .replace("$B_PAD", &slice.pad(deep).to_string())
        .replace("$LOAD_B\n", load_b)
        .replace("$START\n", &start)
        .replace("$STEP\n", &(load + &step))
        .replace("$STORE\n", &store)
}

pub(crate) fn matvec_text(rows: usize) -> String {
    let start = lines(rows, |r| format!("    var t{r} = 0.0;"));
    let step = lines(rows, |r| {
        format!("        t{r} += a_at(block.z, a_start + {r}u * a_down + p * a_along) * y;")
    });
    let store = lines(rows, |r| format!("    partials[{}u + local] = t{r};", 256 * r));
    include_str!("matmul_matvec.wgsl")
        .replace("$ROWS", &rows.to_string())
        .replace("$START\n", &start)
        .replace("$STEP\n", &step)
        .replace("$STORE\n", &store)
}

impl Kernel for MatMul {
    fn key(&self, tier: Tier) -> String {
        let side = |trans: bool| if trans { 't' } else { 'n' };
        let plan = match self.plan(tier) {
            Plan::Registers { rows, columns, below } => {
                let (a, b) = self.fetches(rows, columns);
                let side = if below { "below" } else { "beside" };
                format!("registers{rows}x{columns}{side}_{}{}", a.letter(), b.letter())
            }
            Plan::Tiles(Tiles { tall, wide, deep }) => format!("tiles{tall}x{wide}x{deep}"),
            Plan::Matvec { rows } => format!("matvec{rows}"),
        };
        let low = LowRank::key(self.low_rank.as_ref());
        format!(
            "matmul_{plan}_{}{}_{:?}{low}",
            side(self.a_trans),
            side(self.b_trans),
            self.add
        )
        .to_lowercase()
    }

    fn wgsl(&self, tier: Tier) -> String {
        self.text(tier, false)
    }

    fn workgroup_size(&self, tier: Tier) -> [u32; 3] {
        match self.plan(tier) {
            Plan::Registers { .. } => [LANES as u32, 1, 1],
            Plan::Tiles(_) | Plan::Matvec { .. } => [256, 1, 1],
        }
    }

    fn workgroups(&self, tier: Tier) -> [u32; 3] {
        grid(self.groups(tier))
    }

    fn cut(&self, tier: Tier) -> Option<Cut> {
        Some(Cut {
            groups: self.groups(tier),
            word: 5,
            operations: self.operations(),
        })
    }

    fn split(&self, tier: Tier) -> Option<SplitProduct> {
        if self.batch != 1 {
            return None;
        }
        let bare = Self::new(1, self.m, self.n, self.k, self.a_trans, self.b_trans);
        let sum = SumOfParts {
            m: self.m,
            n: self.n,
            parts: 1,
            alpha: self.alpha,
            add: self.add,
            low_rank: self.low_rank,
        };
        SplitProduct::choose(PartsOf::Dense(bare), sum, self.groups(tier), tier)
    }

    fn info(&self) -> Vec<u32> {
        let mut words = info_words(&[
            self.m as u32,
            self.n as u32,
            self.k as u32,
            self.batch as u32,
            self.alpha.to_bits(),
        ]);
        words.extend(self.low_rank.iter().flat_map(LowRank::info));
        info_words(&words)
    }

    fn products(&self) -> u64 {
        let terms = self.k + self.low_rank.map_or(0, |low| low.rank);
        2 * self.batch as u64 * self.m as u64 * self.n as u64 * terms as u64
    }

    fn input_lens(&self) -> Vec<usize> {
        let mut lens = vec![self.batch * self.m * self.k, self.batch * self.k * self.n];
        lens.extend(self.add.len(self.batch * self.m, self.n));
        lens.extend(self.low_rank.iter().flat_map(|low| low.lens(self.m, self.n)));
        lens
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.batch * self.m * self.n]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let out = &mut *outputs[0];
        if out.is_empty() {
            return;
        }
        if self.add == Add::Row {
            out.chunks_exact_mut(self.n.max(1))
                .for_each(|row| row.copy_from_slice(inputs[2]));
        }
        if self.k > 0 {
            self.spread(inputs[0], inputs[1], out, self.add == Add::Row);
        }
        if let (Some(low), [.., l, r]) = (&self.low_rank, inputs) {
            low.twin([self.m, self.n], [l, r], out);
        }
        self.add.twin(inputs, out);
    }
}

impl MatMul {
    /// Adds the product to what `out` holds, [`Add`] aside.
    pub(crate) fn add_to(&self, a: &[f32], b: &[f32], out: &mut [f32]) {
        if !out.is_empty() && self.k > 0 {
            self.spread(a, b, out, true);
        }
    }

    /// The products, over threads where they are large; added to what `out` holds, or written over it.
    fn spread(&self, a: &[f32], b: &[f32], out: &mut [f32], adds: bool) {
        let (m, n, k) = (self.m, self.n, self.k);
        let operands = |i: usize| (&a[i * m * k..][..m * k], &b[i * k * n..][..k * n]);
        #[cfg(not(target_arch = "wasm32"))]
        if self.batch * m * n * k >= PARALLEL_FROM {
            use rayon::prelude::*;
            if self.batch == 1 {
                self.multiply([a, b], out, adds, gemm::Parallelism::Rayon(0));
            } else {
                out.par_chunks_exact_mut(m * n).enumerate().for_each(|(i, out)| {
                    let (a, b) = operands(i);
                    self.multiply([a, b], out, adds, gemm::Parallelism::None);
                });
            }
            return;
        }
        for (i, out) in out.chunks_exact_mut(m * n).enumerate() {
            let (a, b) = operands(i);
            self.multiply([a, b], out, adds, gemm::Parallelism::None);
        }
    }

    /// One product of the batch.
    fn multiply(&self, [a, b]: [&[f32]; 2], out: &mut [f32], adds: bool, parallelism: gemm::Parallelism) {
        let (m, n, k) = (self.m, self.n, self.k);
        assert!(
            a.len() == m * k && b.len() == k * n && out.len() == m * n,
            "the twin was given other lengths than its shapes"
        );
        // The steps between neighbours along a row and down a column.
        let (a_along, a_down) = if self.a_trans { (m, 1) } else { (1, k) };
        let (b_along, b_down) = if self.b_trans { (k, 1) } else { (1, n) };
        #[allow(
            unsafe_code,
            reason = "gemm takes pointers; the lengths were asserted to hold every m, n, k and step"
        )]
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out.as_mut_ptr(),
                1,
                n as isize,
                adds,
                a.as_ptr(),
                a_along as isize,
                a_down as isize,
                b.as_ptr(),
                b_along as isize,
                b_down as isize,
                1.0,
                self.alpha,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}
