//! Every set of instructions against the others and against the decoded matrix.

use super::*;
use crate::packed::decode;
use crate::test_cases::{Noise, formats, words};

/// Every set of instructions of this processor.
fn paths() -> Vec<Path> {
    let mut paths = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if pulp::x86::V4::is_available() {
            paths.push(Path::Avx512);
        }
        if pulp::x86::V3::is_available() {
            paths.push(Path::Avx2);
        }
    }
    paths.push(Path::Portable);
    paths
}

fn product(path: Path, m: usize, matrix: &Packed, x: &[f32], words: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; m * matrix.rows];
    add_product_by(path, m, matrix, x, words, &mut out);
    out
}

/// Matrices of every format that is taken, one block wide and many, with odd numbers of rows and blocks.
fn matrices() -> impl Iterator<Item = Packed> {
    formats().into_iter().flat_map(|format| {
        let widths = match format.row_multiple() {
            256 => vec![256, 768, 1792],
            _ => vec![32, 64, 96, 256, 288, 576, 992],
        };
        let sizes = widths.into_iter().zip([1, 7, 33, 5, 130, 3, 41]);
        sizes
            .map(move |(columns, rows)| Packed { format, rows, columns })
            .filter(|matrix| takes(1, matrix))
    })
}

#[test]
fn dots_are_the_product_with_the_decoded_matrix_whatever_the_instructions() {
    let mut noise = Noise(41);
    let mut formats = Vec::new();
    for matrix in matrices() {
        let Packed { rows, columns, format } = matrix;
        formats.push(format!("{format:?}"));
        let words = words(&matrix, &mut noise);
        let mut dense = vec![0.0; matrix.elements()];
        decode(&matrix, &words, 0, &mut dense);
        for m in 1..=MOST_ROWS {
            // Blocks of very different sizes.
            let mut x = noise.values(m * columns, 1.0);
            for (b, block) in x.chunks_mut(BLOCK).enumerate() {
                let size = [1.0, 1e-3, 30.0, 0.0, 1e-36][b % 5];
                block.iter_mut().for_each(|x| *x *= size);
            }
            let found = product(Path::best(), m, &matrix, &x, &words);
            for path in paths() {
                let other = product(path, m, &matrix, &x, &words);
                let same = found.iter().zip(&other).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{m} rows times {matrix:?}: {path:?} differs");
            }
            for (r, x) in x.chunks_exact(columns).enumerate() {
                let alone = product(Path::best(), 1, &matrix, x, &words);
                assert_eq!(
                    alone,
                    found[r * rows..][..rows],
                    "a row depends on others of {matrix:?}"
                );
                let length = |values: &[f32]| values.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
                for (w, found) in dense.chunks_exact(columns).zip(alone) {
                    let wanted: f64 = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                    let allowed = 1e-4 * length(x) * length(w);
                    assert!(
                        (f64::from(found) - wanted).abs() <= allowed,
                        "{m} rows times {matrix:?}: {found}, not {wanted}"
                    );
                }
            }
        }
    }
    formats.dedup();
    assert_eq!(formats.len(), 15, "{formats:?}");
}

#[test]
fn the_largest_codes_and_activations_do_not_overflow() {
    // Every code the largest, every number of x the largest of its block, so every lane's sum is as large as it gets.
    for (format, largest) in [
        (Format::Q8_0, -128.0),
        (
            Format::FourBit {
                block: 64,
                double: false,
            },
            1.0,
        ),
    ] {
        let matrix = Packed {
            format,
            rows: 2,
            columns: 64,
        };
        let planes = matrix.planes();
        let mut words = vec![f32::from_bits(0x8080_8080); planes.words];
        if format == Format::Q8_0 {
            // 1 in halves.
            words[planes.scales..].fill(f32::from_bits(0x3c00_3c00));
        } else {
            words[..planes.scales].fill(f32::from_bits(u32::MAX));
            words[planes.scales..].fill(1.0);
        }
        for (x, sign) in [(vec![3.0; 64], 1.0), (vec![-3.0; 64], -1.0)] {
            for path in paths() {
                for found in product(path, 1, &matrix, &x, &words) {
                    let wanted = sign * largest * 3.0 * 64.0;
                    assert!((found / wanted - 1.0).abs() < 1e-5, "{path:?}: {found}, not {wanted}");
                }
            }
        }
    }
}

#[test]
fn a_number_that_is_none_is_not_lost() {
    let mut noise = Noise(43);
    for matrix in matrices() {
        let words = words(&matrix, &mut noise);
        for none in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = noise.values(matrix.columns, 1.0);
            x[matrix.columns / 2] = none;
            for path in paths() {
                let found = product(path, 1, &matrix, &x, &words);
                assert!(
                    found.iter().all(|found| !found.is_finite()),
                    "{none} by {path:?} in {matrix:?}"
                );
            }
        }
    }
}
