//! Products with packed matrices beside the dense one: GFLOP/s, GB/s and the share of what the device can do, forward
//! (along the rows) and backward (across them). One JSON object a line.
//!
//! `cargo bench -p lorakeet-shaders --bench packed` takes the twin and the first GPU, a real one where there is one
//! (`VK_ICD_FILENAMES` names a driver); a word filters by shape, format or place. In a browser:
//! `cargo xtask bench --browser`.

#[path = "../tests/native/cases/mod.rs"]
mod cases;
#[path = "../tests/native/gpu/mod.rs"]
mod gpu;
mod products;

use cases::{Noise, words};
use gpu::Gpu;
use lorakeet_shaders::{Kernel, MatMul, Tier};
use products::{MOST_SOFTWARE_GFLOP, Peak, Product, products};
use std::time::Instant;

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
            Self::Gpu(gpu, Tier::Software) => format!("{} software", gpu.name),
            Self::Gpu(gpu, Tier::Gpu { subgroups, f16 }) => {
                let subgroups = if *subgroups { ", subgroups" } else { "" };
                let numbers = if *f16 { ", 16-bit numbers" } else { "" };
                format!("{} gpu{subgroups}{numbers}", gpu.name)
            }
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

    fn peak_gflops(&self) -> f64 {
        match self {
            // What the compiler makes of a loop in Rust is no peak of a CPU; its best product is nearer.
            Self::Twin => {
                let size = 1024;
                let kernel = MatMul::new(1, size, size, size, false, true);
                let values = vec![0.5; size * size];
                2e-9 * (size * size * size) as f64 / self.seconds(&kernel, &[&values, &values])
            }
            Self::Gpu(gpu, _) => {
                let peak = Peak::new(gpu.is_real);
                peak.gflops(self.seconds(&peak, &[&[0.999]]))
            }
        }
    }
}

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with('-'))
        .unwrap_or_default();
    let gpu = Gpu::open_best();
    let (tier, most_gflop) = match gpu.is_real {
        true => (gpu.tier, f64::INFINITY),
        false => (Tier::Software, MOST_SOFTWARE_GFLOP),
    };
    let mut places = vec![(Place::Twin, true), (Place::Gpu(&gpu, tier), true)];
    // Matrices in 16 bits once more without tiles in 16 bits, to see what these gain.
    if let Tier::Gpu { subgroups, f16: true } = tier {
        let without = Tier::Gpu { subgroups, f16: false };
        places.push((Place::Gpu(&gpu, without), false));
    }
    for (place, every_format) in places {
        let (name, peak) = (place.name(), place.peak_gflops());
        println!("{{\"where\":\"{name}\",\"peak_gflops\":{peak:.1}}}");
        for group in products(&name, &filter, most_gflop) {
            let mut dense = None;
            for product in group {
                if !every_format && !["f32", "f16"].contains(&product.format) {
                    continue;
                }
                let inputs = inputs(&product);
                let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
                let seconds = place.seconds(&*product.kernel, &inputs);
                let dense = *dense.get_or_insert(seconds);
                println!("{}", product.line(&name, seconds, dense, peak));
            }
        }
    }
}

/// Noise, and words that mean such.
fn inputs(product: &Product) -> Vec<Vec<f32>> {
    let mut noise = Noise(5);
    let lens = product.kernel.input_lens();
    let mut inputs: Vec<_> = lens.iter().map(|&len| noise.values(len, 1.0)).collect();
    if let Some(matrix) = &product.packed {
        inputs[1] = words(matrix, &mut noise);
    }
    inputs
}
