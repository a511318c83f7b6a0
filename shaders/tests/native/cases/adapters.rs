//! What adapters of low rank put into launches of their own.

use super::{Case, Noise, case, formats, words};
use lorakeet_shaders::{Format, LowRankBack, LowRankMember, Packed, PackedPair, RowsDown, RowsOf};

/// All of them.
pub fn all() -> Vec<Case> {
    [backward(), pairs(), rows()].into_iter().flatten().collect()
}

/// Rows of both kinds, for one to three adapters of ranks that are a multiple of eight or not.
fn rows() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, width) in [(1, 1), (3, 5), (1, 576), (17, 33), (9, 300), (130, 64)] {
        for of in [RowsOf::Norm { eps: 1e-5 }, RowsOf::Gate] {
            for ranks in [vec![8], vec![3, 8], vec![17, 1, 16]] {
                let kernel = RowsDown { rows, width, of, ranks };
                assert!(kernel.suits(), "{kernel:?}");
                cases.push(case(kernel, 1.5, 2e-5));
            }
        }
    }
    cases
}

/// Pairs of products: every format; beside each other and summed, along and across, by every text.
fn pairs() -> Vec<Case> {
    let mut noise = Noise(23);
    let mut cases = Vec::new();
    for (number, format) in formats().into_iter().enumerate() {
        let (rows, columns) = match format.row_multiple() {
            256 => (24, 256),
            32 => (40, 96),
            _ => (72, 40),
        };
        let matrix = Packed { format, rows, columns };
        let is_thorough = [Format::Q4_1, Format::F32].contains(&format);
        for way in 0..4 {
            // Few texts a format, since compiling them takes the time; all of them for two that stand for the others.
            let ms: &[usize] = match (is_thorough, (number + way) % 2) {
                (true, _) => &[1, 4, 9, 130],
                (false, 0) => &[2],
                (false, _) => &[40],
            };
            for &m in ms {
                let (rank, low_start) = ([3, 8][way % 2], 5 * m);
                let kernel = PackedPair {
                    m,
                    matrix,
                    across: way % 2 == 1,
                    sums: way / 2 == 1,
                    rank,
                    scale: 1.5,
                    low_start,
                    low_len: low_start + 2 * m * rank,
                };
                assert!(kernel.suits(), "{kernel:?}");
                let of_a = if kernel.sums { 2 } else { 1 };
                let mut pair = case(kernel, 1.0, 2e-5);
                for a in &mut pair.inputs[..of_a] {
                    *a = noise.sixteen_bits(a.len());
                }
                for w in &mut pair.inputs[of_a..of_a + 2] {
                    *w = words(&matrix, &mut noise);
                }
                cases.push(pair);
            }
        }
    }
    cases
}

/// Gradients of one adapter and of two of different sizes, by every text.
fn backward() -> Vec<Case> {
    let mut cases = Vec::new();
    for rows in [1, 3, 6, 40, 150] {
        for (outputs, rank) in [(3, 2), (40, 8), (130, 20)] {
            let scale = 0.5;
            let one = LowRankMember { outputs, rank, scale };
            let other = LowRankMember {
                outputs: outputs + 5,
                rank: rank + 1,
                scale: 1.5,
            };
            for members in [vec![one], vec![one, other]] {
                cases.push(case(LowRankBack { rows, members }, 1.0, 2e-5));
            }
        }
    }
    cases
}
