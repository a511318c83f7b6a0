//! Rows as a layer makes them before its linears, and with them what adapters make of them first: a norm's or a gated
//! activation's rows y, and y·Aᵀ of each adapter that reads them. An invocation has a row's numbers at hand when it has made them.

use crate::launch::{by_row_count, info_words};
use crate::{Kernel, MatMul, RmsNorm, SiluMul, Tier};

/// Numbers of A that all rows read together, up to which that is no more work than a launch of its own: each row reads them anew.
const MOST_READ: usize = 1 << 23;
/// Adapters that read the same rows, at most.
const MOST_MEMBERS: usize = 3;

/// What rows are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RowsOf {
    /// [`RmsNorm`] with this eps: of x \[rows, width\] and w \[width\].
    Norm {
        /// Added to the mean square.
        eps: f32,
    },
    /// [`SiluMul`]: of gate and up \[rows, width\].
    Gate,
}

/// y as [`RowsOf`] says, and h = y·Aᵀ of up to three A.
/// Inputs those of y, then A \[R, width\] of each; outputs y \[rows, width\], and h \[rows, R\] of each one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct RowsDown {
    /// Rows.
    pub rows: usize,
    /// Length of a row.
    pub width: usize,
    /// What they are made of.
    pub of: RowsOf,
    /// R of each A.
    pub ranks: Vec<usize>,
}

impl RowsDown {
    /// Whether a launch for both is better than one for each.
    pub fn suits(&self) -> bool {
        let numbers = self.total_rank().saturating_mul(self.width);
        (1..=MOST_MEMBERS).contains(&self.ranks.len()) && numbers.saturating_mul(self.rows) <= MOST_READ
    }

    fn total_rank(&self) -> usize {
        self.ranks.iter().sum()
    }

    /// Where the h of a member begins.
    fn start(&self, member: usize) -> usize {
        self.rows * self.ranks[..member].iter().sum::<usize>()
    }

    /// The kernel of y alone.
    fn twin_of_rows(&self, inputs: &[&[f32]], y: &mut [f32]) {
        let (rows, width) = (self.rows, self.width);
        match self.of {
            RowsOf::Norm { eps } => RmsNorm { rows, width, eps }.twin(inputs, &mut [y]),
            RowsOf::Gate => SiluMul { len: rows * width }.twin(inputs, &mut [y]),
        }
    }

    fn bindings(&self) -> String {
        let of_rows = match self.of {
            RowsOf::Norm { .. } => ["x", "w"],
            RowsOf::Gate => ["gate", "up"],
        };
        let of_members = (0..self.ranks.len()).map(|i| format!("a{i}"));
        let names = of_rows.map(String::from).into_iter().chain(of_members);
        let names = names.chain(["y", "h"].map(String::from));
        names
            .enumerate()
            .map(|(i, name)| format!("@group(0) @binding({i}) var<storage, read_write> {name}: array<f32>;\n"))
            .collect()
    }

    /// The lines that make h of every member.
    fn members(&self) -> String {
        let rank = |i: usize| format!("info[1].{}", ["x", "y", "z"][i]);
        let of_member = |i: usize| {
            let before: Vec<String> = (0..i).map(rank).collect();
            let before = if i == 0 { "0u".to_owned() } else { before.join(" + ") };
            include_str!("rows_down_member.wgsl")
                .replace("$A", &format!("a{i}"))
                .replace("$RANK", &rank(i))
                .replace("$BEFORE", &before)
        };
        (0..self.ranks.len()).map(of_member).collect()
    }
}

impl Kernel for RowsDown {
    by_row_count!(|kernel| kernel.rows);

    fn key(&self, tier: Tier) -> String {
        let of = match self.of {
            RowsOf::Norm { .. } => "norm",
            RowsOf::Gate => "gate",
        };
        let tier = match tier {
            Tier::Software => "software",
            Tier::Gpu { .. } => "gpu",
        };
        format!("rows_down{}_{of}_{tier}", self.ranks.len())
    }

    fn wgsl(&self, tier: Tier) -> String {
        let (rows, eights) = match tier {
            Tier::Software => (
                include_str!("rows_software.wgsl"),
                include_str!("rows_down_software.wgsl"),
            ),
            Tier::Gpu { .. } => (include_str!("rows_gpu.wgsl"), include_str!("rows_down_gpu.wgsl")),
        };
        let make = match self.of {
            RowsOf::Norm { .. } => include_str!("rows_down_norm.wgsl"),
            RowsOf::Gate => include_str!("rows_down_gate.wgsl"),
        };
        let own = include_str!("rows_down.wgsl")
            .replace("$BINDINGS\n", &self.bindings())
            .replace("$INFO", &(4 + self.ranks.len()).to_string())
            .replace("$ROW\n", make)
            .replace("$MEMBERS\n", &self.members());
        [rows, eights, &own].concat()
    }

    fn info(&self) -> Vec<u32> {
        let eps = match self.of {
            RowsOf::Norm { eps } => eps,
            RowsOf::Gate => 0.0,
        };
        let mut words = vec![self.rows as u32, self.width as u32, eps.to_bits(), 0];
        words.extend(self.ranks.iter().map(|rank| *rank as u32));
        words.resize(8, 0);
        info_words(&words)
    }

    fn products(&self) -> u64 {
        2 * (self.rows * self.width) as u64 * self.total_rank() as u64
    }

    fn input_lens(&self) -> Vec<usize> {
        let len = self.rows * self.width;
        let second = match self.of {
            RowsOf::Norm { .. } => self.width,
            RowsOf::Gate => len,
        };
        let of_members = self.ranks.iter().map(|rank| rank * self.width);
        [len, second].into_iter().chain(of_members).collect()
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.rows * self.width, self.start(self.ranks.len())]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let [y, h] = outputs else { return };
        let (of_rows, of_members) = inputs.split_at(2);
        self.twin_of_rows(of_rows, y);
        for (i, (&rank, &a)) in self.ranks.iter().zip(of_members).enumerate() {
            let own = &mut h[self.start(i)..self.start(i + 1)];
            MatMul::new(1, self.rows, rank, self.width, false, true).twin(&[&**y, a], &mut [own]);
        }
    }
}
