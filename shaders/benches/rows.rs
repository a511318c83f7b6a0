//! One to four rows times packed matrices, as generating tokens asks for them: the twin, beside decoding the matrix and
//! multiplying by what it says, which is what more rows do. One JSON object a line; ratios are of medians taken in turn.
//!
//! `cargo bench -p lorakeet-shaders --bench rows` (`RAYON_NUM_THREADS` sets the threads of the twin; the decoding beside it
//! takes the same); a word filters by shape or format.

#[path = "../tests/native/cases/mod.rs"]
mod cases;

use cases::{Noise, formats, words};
use lorakeet_shaders::{Kernel, MatMul, Packed, PackedMatMul, decode};
use rayon::prelude::*;
use std::time::Instant;

/// Outputs and inputs of linears: SmolLM2-135M's, its head's, Qwen2.5-0.5B's.
const WIDTHS: [(usize, usize); 5] = [(576, 576), (1536, 576), (576, 1536), (49_152, 576), (4864, 896)];
/// Numbers that a thread decodes at a time, as where there are more rows.
const PANEL: usize = 1 << 15;

fn main() {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let filter = filter.unwrap_or_default();
    let mut noise = Noise(5);
    for (rows, columns) in WIDTHS {
        for format in formats() {
            if !columns.is_multiple_of(format.row_multiple()) {
                continue;
            }
            let matrix = Packed { format, rows, columns };
            let words = words(&matrix, &mut noise);
            for m in [1, 4] {
                let name = format!("{m}x{columns}->{rows} {format:?}");
                if name.contains(&filter) {
                    println!("{}", measure(&name, m, matrix, &words, &mut noise));
                }
            }
        }
    }
}

fn measure(name: &str, m: usize, matrix: Packed, words: &[f32], noise: &mut Noise) -> String {
    let x = noise.values(m * matrix.columns, 1.0);
    let kernel = PackedMatMul::new(m, matrix, false);
    let mut out = vec![0.0; m * matrix.rows];
    let mut twin = || kernel.twin(&[&x, words], &mut [&mut out]);
    let mut decoded = || decode_and_multiply(m, matrix, &x, words);
    let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    let begun = Instant::now();
    while times[0].len() < 5 || (times[0].len() < 200 && begun.elapsed().as_secs_f64() < 0.5) {
        let time = |run: &mut dyn FnMut()| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        };
        let (twin, decoded) = (time(&mut twin), time(&mut decoded));
        times[0].push(twin);
        times[1].push(decoded);
    }
    let [twin, decoded] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    format!(
        "{{\"product\":\"{name}\",\"us\":{:.1},\"weights_per_ns\":{:.2},\"gb_per_s\":{:.2},\"times_decoding\":{:.1}}}",
        twin * 1e6,
        matrix.elements() as f64 / twin * 1e-9,
        4.0 * matrix.words() as f64 / twin * 1e-9,
        decoded / twin
    )
}

/// What the twin does where it has more rows.
fn decode_and_multiply(m: usize, matrix: Packed, x: &[f32], words: &[f32]) {
    let columns = matrix.columns;
    let count = (PANEL / columns).max(1);
    (0..matrix.rows.div_ceil(count)).into_par_iter().for_each(|panel| {
        let first = panel * count;
        let rows = count.min(matrix.rows - first);
        let mut part = vec![0.0; rows * columns];
        decode(&matrix, words, first * columns, &mut part);
        let mut out = vec![0.0; m * rows];
        MatMul::new(1, m, rows, columns, false, true).twin(&[x, &part], &mut [&mut out]);
        std::hint::black_box(&out);
    });
}
