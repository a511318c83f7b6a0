//! Products with packed matrices beside the dense one: GFLOP/s, GB/s and the share of what the device can do, forward
//! (along the rows) and backward (across them). One JSON object a line.
//!
//! `cargo bench -p lorakeet-shaders --bench packed` takes the twin and the first GPU, a real one where there is one
//! (`VK_ICD_FILENAMES` names a driver); a word filters by shape, format or place.

#[path = "../tests/cases/mod.rs"]
mod cases;
#[path = "../tests/gpu/mod.rs"]
mod gpu;

use cases::{Noise, words};
use gpu::Gpu;
use lorakeet_shaders::{Format, Kernel, MatMul, Packed, PackedMatMul, Tier};
use std::time::Instant;

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
const MOST_SOFTWARE_GFLOP: f64 = 1.5;

/// Medians over a second, after a first run.
fn median_seconds(mut run: impl FnMut()) -> f64 {
    run();
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || (times.len() < 15 && begun.elapsed().as_secs_f64() < 1.0) {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Where a product is computed.
enum Place<'a> {
    Twin,
    Gpu(&'a Gpu, Tier),
}

impl Place<'_> {
    fn name(&self) -> String {
        match self {
            Self::Twin => "twin".into(),
            Self::Gpu(gpu, tier) => format!("{} {tier:?}", gpu.name),
        }
    }

    /// Seconds of one run. Launches go to a GPU several at a time, as in training, so that the way there does not count.
    fn seconds(&self, kernel: &dyn Kernel, inputs: &[&[f32]]) -> f64 {
        match self {
            Self::Twin => {
                let mut out = vec![0.0; kernel.output_lens()[0]];
                median_seconds(|| kernel.twin(inputs, &mut [&mut out]))
            }
            Self::Gpu(gpu, tier) => {
                let launch = gpu.prepare(kernel, *tier, inputs);
                let alone = median_seconds(|| gpu.repeat(&launch, 1));
                let repeats = (0.05 / alone).clamp(1.0, 200.0) as usize;
                median_seconds(|| gpu.repeat(&launch, repeats)) / repeats as f64
            }
        }
    }
}

/// Nothing but fused multiply-adds in registers: what the arithmetic of a device can do at most.
#[derive(Debug)]
struct Peak {
    invocations: usize,
}

impl Peak {
    const TURNS: usize = 256;
    /// Eight vectors of four, two operations each.
    const FLOP_A_TURN: usize = 8 * 4 * 2;

    fn gflops(place: &Place<'_>) -> f64 {
        let invocations = match place {
            Place::Gpu(gpu, _) if gpu.is_real => 1 << 21,
            _ => 1 << 14,
        };
        let kernel = Self { invocations };
        let flop = invocations * Self::TURNS * Self::FLOP_A_TURN;
        1e-9 * flop as f64 / place.seconds(&kernel, &[&[0.999]])
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

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with('-'))
        .unwrap_or_default();
    let gpu = Gpu::open_best();
    let tier = if gpu.is_real { Tier::Gpu } else { Tier::Software };
    for place in [Place::Twin, Place::Gpu(&gpu, tier)] {
        let peak = match place {
            // What the compiler makes of a loop in Rust is no peak of a CPU; its best product is nearer.
            Place::Twin => {
                let size = 1024;
                let kernel = MatMul::new(1, size, size, size, false, true);
                let values = vec![0.5; size * size];
                2e-9 * (size * size * size) as f64 / place.seconds(&kernel, &[&values, &values])
            }
            Place::Gpu(..) => Peak::gflops(&place),
        };
        println!("{{\"where\":\"{}\",\"peak_gflops\":{peak:.1}}}", place.name());
        for m in ROWS {
            for (rows, columns) in WIDTHS {
                let gflop = 2e-9 * (m * rows * columns) as f64;
                if gflop > MOST_SOFTWARE_GFLOP && !gpu.is_real {
                    continue;
                }
                for across in [false, true] {
                    let case = (m, rows, columns, across);
                    measure(&place, case, peak, &filter);
                }
            }
        }
    }
}

/// The dense product of one shape, and each format's beside it.
fn measure(place: &Place<'_>, (m, rows, columns, across): (usize, usize, usize, bool), peak: f64, filter: &str) {
    let (n, k) = if across { (columns, rows) } else { (rows, columns) };
    let direction = if across { "backward" } else { "forward" };
    let shape = format!("{m}x{k}->{n} {direction}");
    let mut noise = Noise(5);
    let a = noise.values(m * k, 1.0);
    let mut dense_seconds = None;
    let mut report = |format: &str, weight_bytes: usize, seconds: f64| {
        let dense = *dense_seconds.get_or_insert(seconds);
        let gflops = 2e-9 * (m * n * k) as f64 / seconds;
        let bytes = weight_bytes + 4 * m * (n + k);
        println!(
            "{{\"shape\":\"{shape}\",\"format\":\"{format}\",\"where\":\"{}\",\"us\":{:.1},\"gflops\":{gflops:.2},\
             \"gb_per_s\":{:.2},\"share_of_peak\":{:.2},\"times_dense\":{:.2}}}",
            place.name(),
            seconds * 1e6,
            bytes as f64 / seconds * 1e-9,
            gflops / peak,
            dense / seconds,
        );
    };
    let wanted = |format: &str| format!("{shape} {format} {}", place.name()).contains(filter);
    let packed: Vec<_> = formats()
        .into_iter()
        .filter(|(name, format)| columns % format.row_multiple() == 0 && wanted(name))
        .collect();
    if packed.is_empty() && !wanted("f32") {
        return;
    }
    let dense = MatMul::new(1, m, n, k, false, !across);
    let values = noise.values(n * k, 1.0);
    report("f32", 4 * n * k, place.seconds(&dense, &[&a, &values]));
    for (name, format) in packed {
        let matrix = Packed { format, rows, columns };
        let words = words(&matrix, &mut noise);
        let kernel = PackedMatMul::new(m, matrix, across);
        report(name, 4 * words.len(), place.seconds(&kernel, &[&a, &words]));
    }
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
