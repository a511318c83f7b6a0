//! Products whose sums are made in parts, and what adds the parts.

use super::{Case, Noise, case, low_rank, words};
use lorakeet_shaders::*;

/// Two parts and more, the last shorter than the others, edges inside of tiles, every tile, transposition and addend.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut noise = Noise(19);
    for (i, (m, n, k, terms)) in [
        (5, 7, 130, 64),
        (8, 130, 65, 64),
        (150, 8, 200, 128),
        (40, 33, 300, 64),
        (131, 1030, 72, 64),
        (1500, 1410, 70, 64),
    ]
    .into_iter()
    .enumerate()
    {
        for variant in 0..4 {
            if m * n > 1 << 20 && variant != i % 4 {
                continue;
            }
            let product = MatMul::new(1, m, n, k, variant % 2 == 1, variant / 2 == 1);
            let product = PartsOf::Dense(product);
            cases.push(case(ProductParts { product, terms }, 1.0, 2e-5));
        }
    }
    for format in [Format::F16, Format::Q4_1, Format::Q6K, Format::Bf16] {
        // In whole pieces of eight and not, where the format has such.
        let shapes: &[(usize, usize)] = match format.row_multiple() {
            256 => &[(70, 256)],
            32 => &[(70, 160)],
            _ => &[(70, 136), (67, 131)],
        };
        for (i, &(rows, columns)) in shapes.iter().enumerate() {
            for across in [false, true] {
                let matrix = Packed { format, rows, columns };
                let product = PackedMatMul::new([40, 9][i % 2], matrix, across);
                let product = PartsOf::Packed(product);
                let mut parts = case(ProductParts { product, terms: 64 }, 1.0, 2e-5);
                parts.inputs[1] = words(&matrix, &mut noise);
                cases.push(parts);
            }
        }
    }
    for (i, (a, m, n, k)) in [
        (Operand::One, 40, 8, 131),
        (Operand::Each, 150, 5, 200),
        (Operand::Each, 7, 33, 70),
    ]
    .into_iter()
    .enumerate()
    {
        for count in 1..=3 {
            // The second member's sums are shorter by a part and more, where each has rows of its own.
            let member = |member: usize| MatMul {
                alpha: 0.5 + member as f32,
                ..MatMul::new(
                    1,
                    m,
                    n + 3 * member,
                    if a == Operand::Each && member == 1 { k / 3 } else { k },
                    false,
                    i == 0,
                )
            };
            let members = (0..count).map(member).collect();
            let product = PartsOf::Group(MatMulGroup {
                members,
                a,
                b: Operand::Each,
                is_row: true,
            });
            cases.push(case(ProductParts { product, terms: 64 }, 1.0, 2e-5));
        }
    }
    for (i, (m, n, parts)) in [(5, 7, 2), (1, 1, 1), (33, 67, 5), (64, 640, 3)]
        .into_iter()
        .enumerate()
    {
        for variant in 0..3 {
            let sum = SumOfParts {
                m,
                n,
                parts,
                alpha: 0.75,
                add: [Add::None, Add::Row, Add::Full][variant],
                low_rank: None,
            };
            cases.push(case(sum.clone(), 1.0, 2e-5));
            let sum = SumOfParts {
                alpha: 1.0,
                low_rank: Some(low_rank(variant + i)),
                ..sum
            };
            cases.push(case(sum, 1.0, 2e-5));
        }
    }
    cases
}
