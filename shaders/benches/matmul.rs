//! GFLOP/s of the matrix product: the twin, and both texts on the first software Vulkan adapter. One JSON object a line.
//!
//! `cargo bench -p lorakeet-shaders` (with `VK_ICD_FILENAMES` for another driver); a word filters by shape or by place.

#[path = "../tests/native/gpu/mod.rs"]
mod gpu;

use std::time::Instant;

use lorakeet_shaders::{Kernel, MatMul, Tier};

/// The median and the best time of a few runs after a first one, seconds.
fn time(mut run: impl FnMut()) -> (f64, f64) {
    run();
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || (times.len() < 15 && begun.elapsed().as_secs_f64() < 1.0) {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[0])
}

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with('-'))
        .unwrap_or_default();
    let gpu = gpu::Gpu::open();
    // m, n, k, transpositions: weights are [out, in], so forward is nt, the gradient of the input nn, of a weight tn.
    let mut shapes = vec![(512, 512, 512, "nn"), (512, 512, 512, "nt")];
    for m in [1, 128, 512] {
        for (k, n) in [(576, 576), (576, 1536), (1536, 576)] {
            shapes.push((m, n, k, "nt"));
        }
        shapes.push((m, 576, 1536, "nn"));
    }
    shapes.extend([
        (128, 49_152, 576, "nt"),
        (1, 49_152, 576, "nt"),
        (128, 576, 49_152, "nn"),
    ]);
    shapes.extend([
        (128, 8, 576, "nt"),
        (128, 576, 8, "nt"),
        (8, 576, 128, "tn"),
        (576, 8, 128, "tn"),
    ]);
    for (m, n, k, sides) in shapes {
        let kernel = MatMul::new(1, m, n, k, sides.starts_with('t'), sides.ends_with('t'));
        let inputs: Vec<Vec<f32>> = kernel
            .input_lens()
            .iter()
            .map(|&len| (0..len).map(|i| (i % 13) as f32 * 0.1 - 0.6).collect())
            .collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let gflop = 2e-9 * (m * n * k) as f64;
        for place in ["twin", "software", "gpu"] {
            let shape = format!("{m}x{k}->{n} {sides}");
            if !shape.contains(&filter) && !place.contains(&filter) {
                continue;
            }
            let (seconds, best) = match place {
                "twin" => {
                    let mut out = vec![0.0; m * n];
                    time(|| kernel.twin(&inputs, &mut [&mut out]))
                }
                _ => {
                    let tier = if place == "gpu" { gpu.tier } else { Tier::Software };
                    let launch = gpu.prepare(&kernel, tier, &inputs);
                    time(|| {
                        std::hint::black_box(gpu.run(&launch));
                    })
                }
            };
            println!(
                "{{\"shape\":\"{shape}\",\"where\":\"{place}\",\"driver\":\"{}\",\"ms\":{:.3},\"best_ms\":{:.3},\"gflops\":{:.2}}}",
                if place == "twin" { "cpu" } else { &gpu.name },
                seconds * 1e3,
                best * 1e3,
                gflop / seconds
            );
        }
    }
}
