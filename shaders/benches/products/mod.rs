//! Which products are put beside one another, natively and in a browser: the dense one of a shape, those with a packed matrix,
//! and the two of an adapter's branch.
#![allow(dead_code, reason = "each bench uses a part of it")]

use lorakeet_shaders::{Add, Format, Kernel, MatMul, Packed, PackedMatMul, Tier};

/// Outputs and inputs of linears: SmolLM2-135M, Qwen2.5-0.5B, MiniLM-L6.
const WIDTHS: [(usize, usize); 6] = [
    (576, 576),
    (1536, 576),
    (896, 896),
    (4864, 896),
    (384, 384),
    (1536, 384),
];
/// Rows of x: a token that is generated, and batches.
const ROWS: [usize; 4] = [1, 64, 512, 2048];
/// Work above this takes a software adapter seconds, and tells no more.
pub const MOST_SOFTWARE_GFLOP: f64 = 1.5;
/// Rank of the adapter.
const RANK: usize = 8;

/// A product of a shape.
#[derive(Debug)]
pub struct Product {
    /// Rows, length of the sums, columns, and which pass of a linear it belongs to.
    pub shape: String,
    /// The matrix's format, or the part of the adapter's branch.
    pub format: &'static str,
    /// What computes it.
    pub kernel: Box<dyn Kernel>,
    /// The matrix, where it is packed.
    pub packed: Option<Packed>,
    flop: usize,
    bytes: usize,
}

impl Product {
    /// Of what `kernel` reads as its matrix and what it writes, `n` columns of sums over `k`.
    fn new(shape: &str, format: &'static str, kernel: impl Kernel + 'static, [m, n, k]: [usize; 3]) -> Self {
        let bytes = 4 * (kernel.input_lens().iter().sum::<usize>() + m * n);
        Self {
            shape: shape.into(),
            format,
            kernel: Box::new(kernel),
            packed: None,
            flop: 2 * m * n * k,
            bytes,
        }
    }

    /// A line of JSON: what a run of `seconds` comes to, where the dense product takes `dense` and the arithmetic of `place`
    /// peaks at `peak` GFLOP/s.
    pub fn line(&self, place: &str, seconds: f64, dense: f64, peak: f64) -> String {
        let gflops = 1e-9 * self.flop as f64 / seconds;
        format!(
            "{{\"shape\":\"{}\",\"format\":\"{}\",\"where\":\"{place}\",\"us\":{:.1},\"gflops\":{gflops:.2},\
             \"gb_per_s\":{:.2},\"share_of_peak\":{:.2},\"times_dense\":{:.2}}}",
            self.shape,
            self.format,
            seconds * 1e6,
            self.bytes as f64 / seconds * 1e-9,
            gflops / peak,
            dense / seconds,
        )
    }
}

/// The products of each shape, the dense one first; of them those whose words contain `filter`, and the dense ones that they
/// stand beside. Shapes of more than `most_gflop` are left out.
pub fn products(place: &str, filter: &str, most_gflop: f64) -> Vec<Vec<Product>> {
    let mut all = Vec::new();
    for m in ROWS {
        for (rows, columns) in WIDTHS {
            if 2e-9 * (m * rows * columns) as f64 > most_gflop {
                continue;
            }
            for across in [false, true] {
                let mut group = group(m, rows, columns, across);
                let wanted =
                    |product: &Product| format!("{} {} {place}", product.shape, product.format).contains(filter);
                if group.iter().any(wanted) {
                    let dense = group.remove(0);
                    group.retain(wanted);
                    group.insert(0, dense);
                    all.push(group);
                }
            }
        }
    }
    all
}

fn group(m: usize, rows: usize, columns: usize, across: bool) -> Vec<Product> {
    let (n, k) = if across { (columns, rows) } else { (rows, columns) };
    let shape = format!("{m}x{k}->{n} {}", if across { "backward" } else { "forward" });
    let dense = MatMul::new(1, m, n, k, false, !across);
    let mut group = vec![Product::new(&shape, "f32", dense, [m, n, k])];
    for (name, format) in formats() {
        if columns.is_multiple_of(format.row_multiple()) {
            let matrix = Packed { format, rows, columns };
            let kernel = PackedMatMul::new(m, matrix, across);
            let product = Product::new(&shape, name, kernel, [m, n, k]);
            let packed = Some(matrix);
            group.push(Product { packed, ..product });
        }
    }
    // x·Aᵀ and y + h·Bᵀ; in the backward pass dy·B and dx + dh·A.
    let down = MatMul::new(1, m, RANK, k, false, !across);
    group.push(Product::new(&shape, "lora-down", down, [m, RANK, k]));
    let up = MatMul {
        add: Add::Full,
        ..MatMul::new(1, m, n, RANK, false, !across)
    };
    group.push(Product::new(&shape, "lora-up", up, [m, n, RANK]));
    group
}

fn formats() -> [(&'static str, Format); 7] {
    let nf4 = |double| Format::FourBit { block: 64, double };
    let fp8 = Format::Fp8 {
        fraction_bits: 3,
        tile_rows: 1,
        tile_columns: usize::MAX >> 33,
    };
    [
        ("f16", Format::F16),
        ("nf4", nf4(false)),
        ("nf4-double", nf4(true)),
        ("int8", Format::Int8),
        ("fp8", fp8),
        ("q4_1", Format::Q4_1),
        ("q8_0", Format::Q8_0),
    ]
}

/// Nothing but fused multiply-adds in registers: what the arithmetic of a device can do at most. Its input is one factor.
#[derive(Debug)]
pub struct Peak {
    invocations: usize,
}

impl Peak {
    const TURNS: usize = 256;
    /// Eight vectors of four, two operations each.
    const FLOP_A_TURN: usize = 8 * 4 * 2;

    /// Enough work for the device.
    pub fn new(is_real: bool) -> Self {
        Self {
            invocations: if is_real { 1 << 21 } else { 1 << 14 },
        }
    }

    /// What a run of `seconds` comes to.
    pub fn gflops(&self, seconds: f64) -> f64 {
        1e-9 * (self.invocations * Self::TURNS * Self::FLOP_A_TURN) as f64 / seconds
    }
}

impl Kernel for Peak {
    fn key(&self, _: Tier) -> String {
        "peak".into()
    }
    fn wgsl(&self, _: Tier) -> String {
        let each = |line: fn(usize) -> String| (0..8).map(line).collect::<String>();
        format!(
            "@group(0) @binding(0) var<storage, read_write> factor: array<f32>;\n\
             @group(0) @binding(1) var<storage, read_write> out: array<f32>;\n\
             @group(0) @binding(2) var<uniform> info: array<vec4<u32>, 1>;\n\
             @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{\n\
             let f = vec4<f32>(factor[0]);\n{}\
             for (var i = 0u; i < info[0].x; i++) {{\n{}}}\n\
             out[id.x] = dot({}, f);\n}}\n",
            each(|i| format!("var x{i} = vec4<f32>(f32(id.x + {i}u));\n")),
            each(|i| format!("x{i} = fma(x{i}, f, f);\n")),
            (0..8).map(|i| format!("x{i}")).collect::<Vec<_>>().join(" + "),
        )
    }
    fn workgroup_size(&self, _: Tier) -> [u32; 3] {
        [64, 1, 1]
    }
    fn workgroups(&self, _: Tier) -> [u32; 3] {
        [(self.invocations / 64) as u32, 1, 1]
    }
    fn info(&self) -> Vec<u32> {
        vec![Self::TURNS as u32, 0, 0, 0]
    }
    fn input_lens(&self) -> Vec<usize> {
        vec![1]
    }
    fn output_lens(&self) -> Vec<usize> {
        vec![self.invocations]
    }
    /// No peak of a CPU: what a compiler makes of a loop says little.
    fn twin(&self, _: &[&[f32]], outputs: &mut [&mut [f32]]) {
        outputs[0].fill(0.0);
    }
}
