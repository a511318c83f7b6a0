//! Kernels with random inputs: every variant of every text, on even and odd shapes.
#![allow(dead_code, reason = "tests and benches each use a part of it")]

pub mod adapters;
pub mod attention;
pub mod clipping;
pub mod parts;
pub mod positions;

use lorakeet_shaders::*;

/// A kernel and what to feed it.
pub struct Case {
    /// The kernel.
    pub kernel: Box<dyn Kernel>,
    /// Its inputs.
    pub inputs: Vec<Vec<f32>>,
    /// How far text and twin may differ, relative to 1 + |value|.
    pub tolerance: f32,
}

/// Repeatable noise (splitmix64, Steele et al. 2014).
pub struct Noise(pub u64);

impl Noise {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in −1..1.
    pub fn value(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// `len` values in −size..size.
    pub fn values(&mut self, len: usize, size: f32) -> Vec<f32> {
        (0..len).map(|_| self.value() * size).collect()
    }

    /// `len` values in −1..1 that a twin which rounds each 32 of them to 16 bits leaves as they are.
    pub fn sixteen_bits(&mut self, len: usize) -> Vec<f32> {
        let mut values: Vec<f32> = (0..len).map(|_| (self.value() * 32_767.0).round() / 32_768.0).collect();
        values
            .iter_mut()
            .step_by(32)
            .for_each(|value| *value = 32_767.0 / 32_768.0);
        values
    }
}

/// A case with all inputs uniform in −size..size.
pub fn case(kernel: impl Kernel, size: f32, tolerance: f32) -> Case {
    let mut noise = Noise(7);
    let inputs = kernel.input_lens().iter().map(|&len| noise.values(len, size)).collect();
    Case {
        kernel: Box::new(kernel),
        inputs,
        tolerance,
    }
}

/// Rows and widths of the row-wise kernels.
const ROWS_AND_WIDTHS: [(usize, usize); 7] = [(1, 1), (3, 5), (17, 33), (65, 63), (5, 130), (130, 64), (9, 576)];
/// Lengths of the element-wise kernels.
const LENGTHS: [usize; 6] = [1, 3, 63, 257, 1030, 5000];

/// Products: every transposition and addend, every plan of both tiers.
pub fn products() -> Vec<Case> {
    let shapes = [
        (1, 1, 1, 1),
        (1, 3, 5, 17),
        (2, 17, 33, 5),
        (1, 65, 63, 33),
        (3, 5, 130, 17),
        (1, 130, 8, 65),
        (1, 8, 130, 65),
        (1, 33, 16, 3),
        (2, 2, 70, 130),
        (1, 1, 300, 64),
        (1, 3, 65, 33),
        (1, 4, 9, 100),
        (1, 64, 64, 64),
        // Vectors of four at the edges of blocks.
        (2, 36, 68, 12),
        (3, 20, 12, 8),
        (2, 4, 20, 16),
        (1, 1500, 1410, 9),
    ];
    let mut cases = Vec::new();
    for (batch, m, n, k) in shapes {
        for variant in 0..12 {
            let kernel = MatMul {
                a_trans: variant % 2 == 1,
                b_trans: variant / 2 % 2 == 1,
                alpha: 0.75,
                add: [Add::None, Add::Row, Add::Full][variant / 4],
                ..MatMul::new(batch, m, n, k, false, false)
            };
            if m < 1000 || variant % 5 == 0 {
                cases.push(case(kernel.clone(), 1.0, 2e-5));
            }
            if batch == 1 && variant % 5 == 0 {
                let kernel = MatMul {
                    alpha: 1.0,
                    low_rank: Some(low_rank(variant)),
                    ..kernel
                };
                cases.push(case(kernel, 1.0, 2e-5));
            }
        }
    }
    cases
}

/// Groups of products: all ways in which their matrices lie, members of different sizes, every text.
pub fn groups() -> Vec<Case> {
    let mut cases = Vec::new();
    let ways = [
        // x·Aᵀ of several; dy·B of several; dhᵀ·x; dyᵀ·h.
        ([Operand::One, Operand::Each], true, [false, true]),
        ([Operand::Each, Operand::Each], true, [false, false]),
        ([Operand::Row, Operand::One], false, [true, false]),
        ([Operand::Each, Operand::Row], false, [true, false]),
    ];
    for ([a, b], is_row, [a_trans, b_trans]) in ways {
        for (m, n, k) in [(1, 8, 40), (3, 4, 36), (40, 8, 67), (150, 20, 33), (6, 130, 21)] {
            for count in 1..=3 {
                let member = |i: usize| {
                    // What all read has one size; the others differ.
                    let [m, n, k] = match [a, b] {
                        [Operand::One, _] => [m, n + 3 * i, k],
                        [_, Operand::One] => [m + 3 * i, n, k],
                        _ => [m + 2 * i, n + i, k + usize::from(is_row) * 5 * i],
                    };
                    MatMul {
                        alpha: 0.5 + i as f32,
                        ..MatMul::new(1, m, n, k, a_trans, b_trans)
                    }
                };
                let members = (0..count).map(member).collect();
                cases.push(case(MatMulGroup { members, a, b, is_row }, 1.0, 2e-5));
            }
        }
    }
    cases
}

/// What products are added besides, of odd ranks.
fn low_rank(variant: usize) -> LowRank {
    LowRank {
        rank: [3, 8, 1][variant % 3],
        across: variant.is_multiple_of(2),
        scale: 1.5,
    }
}

/// Normalisations.
pub fn norms() -> Vec<Case> {
    let eps = 1e-5;
    let mut cases = Vec::new();
    for (rows, width) in ROWS_AND_WIDTHS {
        cases.push(case(RmsNorm { rows, width, eps }, 2.0, 1e-5));
        for adds in [false, true] {
            cases.push(case(RmsNormBackward { rows, width, eps, adds }, 2.0, 2e-5));
        }
        cases.push(case(RmsNormWeightBackward { rows, width, eps }, 2.0, 2e-5));
        // A row of one has no variance: its scale is rsqrt(eps), which multiplies rounding errors.
        if width > 1 {
            cases.push(case(LayerNorm { rows, width, eps }, 2.0, 1e-5));
            for adds in [false, true] {
                cases.push(case(LayerNormBackward { rows, width, eps, adds }, 2.0, 5e-5));
            }
            cases.push(case(LayerNormWeightBackward { rows, width, eps }, 2.0, 2e-5));
        }
    }
    cases
}

/// Element-wise kernels.
pub fn activations() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in LENGTHS {
        // Up to ±300: far into saturation, where careless texts give NaN.
        for size in [1.5, 300.0] {
            cases.push(case(SiluMul { len }, size, 1e-5));
            cases.push(case(SiluMulBackward { len }, size, 1e-5));
            cases.push(case(Gelu { len }, size, 1e-5));
            cases.push(case(GeluBackward { len }, size, 5e-5));
            cases.push(case(GeluNew { len }, size, 1e-5));
            cases.push(case(GeluNewBackward { len }, size, 5e-5));
            let cap = SoftCap {
                len,
                scale: 0.5,
                cap: 20.0,
            };
            let mut backward = case(cap.backward(), size, 1e-5);
            let forward = case(cap.clone(), size, 1e-5);
            backward.inputs[0] = twin(&cap, &forward.inputs).remove(0);
            cases.push(forward);
            cases.push(backward);
        }
    }
    cases
}

/// Loss, dropout, optimiser and embedding.
pub fn training() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, vocab) in [
        (1, 1),
        (3, 5),
        (17, 130),
        (5, 1030),
        (130, 33),
        (3, 9000),
        // Qwen's and Gemma's.
        (2, 151_936),
        (1, 262_144),
    ] {
        let mut forward = case(CrossEntropy { rows, vocab }, 20.0, 1e-5);
        let targets = &mut forward.inputs[1];
        for (row, target) in targets.iter_mut().enumerate() {
            *target = if row % 4 == 2 { -100.0 } else { (row * 7 % vocab) as f32 };
        }
        let mut backward = case(
            CrossEntropyBackward {
                rows,
                vocab,
                scale: 0.5,
            },
            20.0,
            1e-5,
        );
        backward.inputs[1] = targets.clone();
        cases.push(forward);
        cases.push(backward);
    }
    for len in LENGTHS {
        for (p, seed) in [(0.0, 1), (0.1, 2), (0.5, u64::MAX), (1.0, 0)] {
            cases.push(case(Dropout { len, p, seed }, 1.0, 0.0));
        }
        let grad_scale = 0.3;
        let adamw = AdamW {
            grad_scale,
            ..AdamW::step(len, 3, 1e-2, (0.9, 0.999), 1e-8, 0.1)
        };
        let mut step = case(adamw, 1.0, 1e-5);
        step.inputs[3].iter_mut().for_each(|v| *v = v.abs());
        cases.push(step);
        for parts in [1, 3, 64] {
            cases.push(case(SumSquares { len, parts }, 1.0, 1e-5));
        }
        cases.push(case(ScaledSum { len, scale: 0.3 }, 1.0, 1e-5));
        cases.push(case(Axpy { len, alpha: -0.3 }, 1.0, 1e-6));
    }
    let lens = [1, 5, 64, 300, 4096, 70_000, 17];
    cases.push(case(SumSquaresOfSeven { lens }, 1.0, 1e-5));
    // More than 256 elements an invocation, and more than one row of workgroups.
    let (len, parts) = (200_000, 1);
    cases.push(case(SumSquares { len, parts }, 1.0, 1e-5));
    cases.push(case(ScaledSum { len, scale: 0.01 }, 1.0, 1e-5));
    cases.push(case(
        Axpy {
            len: 65_535 * 256 + 300,
            alpha: 2.0,
        },
        1.0,
        1e-6,
    ));
    for (tokens, vocab, width) in [(1, 1, 1), (5, 3, 17), (33, 65, 16), (130, 7, 63)] {
        let mut gather = case(EmbeddingGather { tokens, vocab, width }, 1.0, 0.0);
        let ids = &mut gather.inputs[0];
        for (token, id) in ids.iter_mut().enumerate() {
            *id = if token % 9 == 8 {
                -1.0
            } else {
                (token * 5 % vocab) as f32
            };
        }
        let mut backward = case(EmbeddingBackward { tokens, vocab, width }, 1.0, 1e-5);
        backward.inputs[0] = ids.clone();
        cases.push(gather);
        cases.push(backward);
    }
    cases
}

/// Every packed format; those in blocks first.
pub fn formats() -> Vec<Format> {
    let mut formats = vec![
        Format::Q4_0,
        Format::Q4_1,
        Format::Q5_0,
        Format::Q5_1,
        Format::Q8_0,
        Format::Q4K,
        Format::Q5K,
        Format::Q6K,
        Format::F32,
        Format::F16,
        Format::Bf16,
        Format::Int8,
    ];
    for (block, double) in [(64, false), (128, true), (256, false), (64, true)] {
        formats.push(Format::FourBit { block, double });
    }
    for (fraction_bits, tile_rows, tile_columns) in [(3, 1, usize::MAX >> 33), (2, 8, 16), (3, 4, 5)] {
        formats.push(Format::Fp8 {
            fraction_bits,
            tile_rows,
            tile_columns,
        });
    }
    formats
}

/// Words of `matrix`: codes of any kind, and scales such that its numbers lie in about −1..1.
pub fn words(matrix: &Packed, noise: &mut Noise) -> Vec<f32> {
    let planes = matrix.planes();
    let mut words: Vec<u32> = (0..planes.words).map(|_| noise.bits() as u32).collect();
    // Sign, a small exponent (now and then 0, which makes it subnormal), any fraction.
    let half = |bits: u32| (bits & 0x83ff) | if bits.is_multiple_of(7) { 0 } else { 0x2800 };
    let halves = |word: u32| half(word & 0xffff) | half(word >> 16) << 16;
    let float = |word: u32| (((word >> 8) as f32 / (1 << 24) as f32) * 0.5 + 0.1).to_bits();
    for (at, word) in words.iter_mut().enumerate() {
        let scale = (planes.scales..planes.secondary).contains(&at);
        *word = match matrix.format {
            Format::F32 => float(*word),
            Format::F16 => halves(*word),
            Format::Bf16 => (float(*word) & 0xffff_0000) | float(word.rotate_left(16)) >> 16,
            // Exact in 14 bits, the first of them the largest.
            Format::FourBit { .. } if at == planes.codebook => (16_383.0_f32 / 16_384.0).to_bits(),
            Format::FourBit { .. } if (planes.codebook..planes.scale_codebook).contains(&at) => {
                ((*word >> 19) as f32 / 16_384.0).to_bits()
            }
            Format::FourBit { double, .. } if at >= planes.secondary || (scale && !double) => float(*word),
            Format::Int8 if scale => float(*word),
            Format::Fp8 { .. } if scale => float(*word),
            // Without the highest bit of the exponent a code is finite.
            Format::Fp8 { .. } => *word & 0xbfbf_bfbf,
            Format::Q4_0 | Format::Q4_1 | Format::Q5_0 | Format::Q5_1 | Format::Q8_0 if scale => halves(*word),
            // Only the first of a block's four words is a pair of halves.
            Format::Q4K | Format::Q5K if scale && (at - planes.scales).is_multiple_of(4) => halves(*word) & 0x83ff_83ff,
            Format::Q6K if at >= planes.offset => halves(*word) & 0x83ff_83ff,
            _ => *word,
        };
    }
    words.into_iter().map(f32::from_bits).collect()
}

/// Products with packed matrices, and rows of packed tables: every format, direction, addend and plan of both tiers, rows of
/// whole pieces of eight and others.
pub fn packed() -> Vec<Case> {
    let mut noise = Noise(17);
    let mut cases = Vec::new();
    for format in formats() {
        let shapes: &[(usize, usize)] = match format.row_multiple() {
            256 => &[(5, 256), (70, 512)],
            32 => &[(33, 32), (70, 288)],
            _ => &[(33, 24), (70, 136), (7, 13), (37, 67)],
        };
        let thorough = [
            Format::Q4_1,
            Format::F16,
            Format::FourBit {
                block: 64,
                double: true,
            },
        ]
        .contains(&format);
        for (number, &(rows, columns)) in shapes.iter().enumerate() {
            let matrix = Packed { format, rows, columns };
            for across in [false, true] {
                // Few texts a format, since compiling them takes the time; all of them for three that stand for the others.
                let ms: &[usize] = match (thorough, (number + usize::from(across)) % 2) {
                    (true, 0) => &[1, 4, 40],
                    (true, _) => &[2, 7, 130],
                    (false, 0) => &[3],
                    (false, _) => &[40],
                };
                for (i, &m) in ms.iter().enumerate() {
                    let add = [Add::None, Add::Row, Add::Full][(number + i) % 3];
                    let low_rank = ((number + i) % 2 == 0).then(|| low_rank(usize::from(!across) + 2 * i));
                    let kernel = PackedMatMul {
                        add,
                        low_rank,
                        ..PackedMatMul::new(m, matrix, across)
                    };
                    let mut product = case(kernel, 1.0, 2e-5);
                    product.inputs[0] = noise.sixteen_bits(product.inputs[0].len());
                    product.inputs[1] = words(&matrix, &mut noise);
                    cases.push(product);
                }
            }
            let first_row = 2 * number;
            let mut gather = case(
                PackedGather {
                    tokens: 21,
                    table: matrix,
                    first_row,
                },
                1.0,
                1e-6,
            );
            for (token, id) in gather.inputs[0].iter_mut().enumerate() {
                *id = (token * 5 % (rows + 3)) as f32;
            }
            gather.inputs[1] = words(&matrix, &mut noise);
            cases.push(gather);
        }
    }
    cases
}

/// The optimiser with moments of eight bits, whose states are no numbers to compare as they are.
pub fn eight_bits() -> Vec<Case> {
    let mut noise = Noise(13);
    // Values that lie dense at 0, as a dynamic map's do.
    let signed = (0..256).map(|i| ((i - 127) as f32 / 128.0).powi(3));
    let unsigned = (0..256).map(|i| (i as f32 / 255.0).powi(4));
    let tables: Vec<f32> = signed.chain(unsigned).collect();
    let mut cases = Vec::new();
    for len in [1, 3, 63, 256, 257, 1030, 5000, 70_001] {
        for (grad_scale, size) in [(0.3, 1.0), (1.0, 1e-4)] {
            let step = AdamW {
                grad_scale,
                ..AdamW::step(len, 3, 1e-2, (0.9, 0.999), 1e-8, 0.1)
            };
            let mut moment = |size: f32| -> Codes {
                let codes = (0..len).map(|_| (noise.bits() >> 56) as u8).collect();
                let absmax = (0..len.div_ceil(256)).map(|_| noise.value().abs() * size);
                (codes, absmax.collect())
            };
            let (m, v) = (moment(size), moment(size * size));
            let mut case = case(AdamW8bit { step }, size, 2e-5);
            case.inputs[2] = AdamW8bit::pack(&m, &v);
            case.inputs[3] = tables.clone();
            // A block of zeros stays one, and a short one lies behind it.
            if len == 257 {
                case.inputs[1][..256].fill(0.0);
                case.inputs[2] = vec![0.0; AdamW8bit::state_len(len)];
            }
            cases.push(case);
        }
    }
    cases
}

/// Every case.
pub fn all() -> Vec<Case> {
    [
        products(),
        groups(),
        adapters::all(),
        parts::all(),
        packed(),
        norms(),
        positions::all(),
        attention::all(),
        activations(),
        training(),
        eight_bits(),
        clipping::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The twin's outputs.
pub fn twin(kernel: &dyn Kernel, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut outputs: Vec<Vec<f32>> = kernel.output_lens().iter().map(|&len| vec![0.0; len]).collect();
    kernel.twin(
        &inputs,
        &mut outputs.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>(),
    );
    outputs
}
