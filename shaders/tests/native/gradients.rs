//! Every backward against central differences of its forward, on the twins.

use crate::cases::{self, Noise, twin};
use lorakeet_shaders::*;

/// Σ weight · output over all outputs of `kernel`, in f64.
fn loss(kernel: &dyn Kernel, inputs: &[Vec<f32>], weights: &[f32]) -> f64 {
    twin(kernel, inputs)
        .concat()
        .iter()
        .zip(weights)
        .map(|(&y, &w)| f64::from(y) * f64::from(w))
        .sum()
}

/// Asserts that `gradient` is the derivative of the loss for input `which`.
fn assert_derivative(kernel: &dyn Kernel, inputs: &[Vec<f32>], which: usize, weights: &[f32], gradient: &[f32]) {
    let step = 4e-3_f32;
    assert_eq!(inputs[which].len(), gradient.len());
    for i in 0..gradient.len() {
        let at = |shift: f32| {
            let mut moved = inputs.to_vec();
            moved[which][i] += shift;
            loss(kernel, &moved, weights)
        };
        let central = |step: f32| (at(step) - at(-step)) / (2.0 * f64::from(step));
        // Richardson's extrapolation takes the error of order step² away.
        let expected = (4.0 * central(step) - central(2.0 * step)) / 3.0;
        let actual = f64::from(gradient[i]);
        assert!(
            (actual - expected).abs() < 1e-3 * (1.0 + expected.abs()),
            "{kernel:?}: the gradient of element {i} of input {which} is {actual}, differences say {expected}"
        );
    }
}

#[test]
fn rms_norm_backward_is_the_derivative() {
    let (rows, width, eps) = (3, 7, 1e-5);
    let mut noise = Noise(1);
    let inputs = vec![noise.values(rows * width, 2.0), noise.values(width, 1.0)];
    let dy = noise.values(rows * width, 1.0);
    let forward = RmsNorm { rows, width, eps };
    let dx = twin(
        &RmsNormBackward {
            rows,
            width,
            eps,
            adds: false,
        },
        &[inputs[0].clone(), inputs[1].clone(), dy.clone()],
    );
    assert_derivative(&forward, &inputs, 0, &dy, &dx[0]);
    let dw = twin(
        &RmsNormWeightBackward { rows, width, eps },
        &[inputs[0].clone(), dy.clone()],
    );
    assert_derivative(&forward, &inputs, 1, &dy, &dw[0]);
}

#[test]
fn layer_norm_backward_is_the_derivative() {
    let (rows, width, eps) = (3, 7, 1e-5);
    let mut noise = Noise(2);
    let inputs = vec![
        noise.values(rows * width, 2.0),
        noise.values(width, 1.0),
        noise.values(width, 1.0),
    ];
    let dy = noise.values(rows * width, 1.0);
    let forward = LayerNorm { rows, width, eps };
    let dx = twin(
        &LayerNormBackward {
            rows,
            width,
            eps,
            adds: false,
        },
        &[inputs[0].clone(), inputs[1].clone(), dy.clone()],
    );
    assert_derivative(&forward, &inputs, 0, &dy, &dx[0]);
    let dw = twin(
        &LayerNormWeightBackward { rows, width, eps },
        &[inputs[0].clone(), dy.clone()],
    );
    assert_derivative(&forward, &inputs, 1, &dy, &dw[0]);
    assert_derivative(&forward, &inputs, 2, &dy, &dw[1]);
}

#[test]
fn the_inverse_rotation_is_the_derivative() {
    let rope = Rope {
        rows: 6,
        tokens: 3,
        heads: 2,
        kv_heads: 1,
        dim: 6,
        inverse: false,
    };
    let mut noise = Noise(3);
    let angles = noise.values(9, 3.0);
    let inputs = vec![
        noise.values(72, 1.0),
        noise.values(36, 1.0),
        angles.iter().map(|angle| angle.cos()).collect(),
        angles.iter().map(|angle| angle.sin()).collect(),
    ];
    let dy = noise.values(108, 1.0);
    let back = Rope {
        inverse: true,
        ..rope.clone()
    };
    let (of_q, of_k) = dy.split_at(72);
    let dx = twin(
        &back,
        &[of_q.to_vec(), of_k.to_vec(), inputs[2].clone(), inputs[3].clone()],
    );
    assert_derivative(&rope, &inputs, 0, &dy, &dx[0]);
    assert_derivative(&rope, &inputs, 1, &dy, &dx[1]);
}

/// A small attention without cap and bias.
fn attention(queries: usize, keys: usize, (offset, window): (usize, usize)) -> Attention {
    Attention {
        batch: 2,
        kv_heads: 2,
        group: 2,
        queries,
        keys,
        dim: 3,
        offset,
        window,
        scale: 0.5,
        cap: 0.0,
        biased: false,
        segmented: false,
    }
}

#[test]
fn attention_backward_is_the_derivative() {
    for (offset, window) in [(2, 0), (2, 3), (6, 0), (1, 3)] {
        for (cap, biased) in [(0.0, false), (0.0, true), (0.8, false), (0.8, true)] {
            let forward = Attention {
                cap,
                biased,
                ..attention(4, 6, (offset, window))
            };
            let inputs = cases::attention::inputs(&forward);
            let dout = Noise(4).values(inputs[0].len(), 1.0);
            let [_, backward] = cases::attention::backward_inputs(&forward, &inputs, &dout);
            let dq = twin(&AttentionOfQueries(forward.clone()), &backward);
            let keys = twin(&AttentionOfKeys(forward.clone()), &backward);
            assert_derivative(&forward, &inputs, 0, &dout, &dq[0]);
            assert_derivative(&forward, &inputs, 1, &dout, &keys[0]);
            assert_derivative(&forward, &inputs, 2, &dout, &keys[1]);
            if biased {
                let dbias = twin(&AttentionOfBias(forward.clone()), &backward);
                assert_derivative(&forward, &inputs, 4, &dout, &dbias[0]);
            }
        }
    }
}

#[test]
fn attention_within_segments_has_the_derivative_as_its_backward() {
    for (offset, window) in [(0, 0), (0, 3), (9, 0), (2, 5)] {
        for (cap, biased) in [(0.0, false), (0.8, true)] {
            let forward = Attention {
                cap,
                biased,
                segmented: true,
                ..attention(9, 9, (offset, window))
            };
            let mut inputs = cases::attention::inputs(&forward);
            // Three sequences, the first of one token; two, and padding behind them.
            inputs[3] = [
                [1.0, 2.0, 2.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0],
                [1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 0.0, 0.0],
            ]
            .concat();
            let dout = Noise(4).values(inputs[0].len(), 1.0);
            let [_, backward] = cases::attention::backward_inputs(&forward, &inputs, &dout);
            let dq = twin(&AttentionOfQueries(forward.clone()), &backward);
            let keys = twin(&AttentionOfKeys(forward.clone()), &backward);
            assert_derivative(&forward, &inputs, 0, &dout, &dq[0]);
            assert_derivative(&forward, &inputs, 1, &dout, &keys[0]);
            assert_derivative(&forward, &inputs, 2, &dout, &keys[1]);
            if biased {
                let dbias = twin(&AttentionOfBias(forward.clone()), &backward);
                assert_derivative(&forward, &inputs, 4, &dout, &dbias[0]);
            }
        }
    }
}

#[test]
fn what_stands_in_one_segment_changes_nothing_in_another() {
    for form in cases::attention::forms().into_iter().filter(|form| form.segmented) {
        let inputs = cases::attention::inputs(&form);
        let mut changed = inputs.clone();
        // The last segment of each example becomes another one.
        let width = form.kv_heads * form.dim;
        let last: Vec<bool> = inputs[3]
            .chunks(form.keys)
            .flat_map(|mask| {
                let last = mask.iter().copied().fold(0.0, f32::max);
                mask.iter().map(move |&number| number == last).collect::<Vec<bool>>()
            })
            .collect();
        for (token, _) in last.iter().enumerate().filter(|(_, is_last)| **is_last) {
            for which in [1, 2] {
                changed[which][token * width..][..width].fill(3.0);
            }
        }
        let [before, after] = [&inputs, &changed].map(|inputs| twin(&form, inputs).remove(0));
        let width = form.heads() * form.dim;
        for (token, is_last) in last.iter().enumerate() {
            let row = token * width..(token + 1) * width;
            if !is_last {
                assert_eq!(before[row.clone()], after[row], "{form:?}: token {token}");
            }
        }
    }
}

/// Which keys each query of each head and example sees, by the formula.
fn sees(form: &Attention, mask: &[f32], [example, query, key]: [usize; 3]) -> bool {
    let last = query + form.offset;
    let number = |token: usize| mask[example * form.keys + token];
    let is_present = number(key) != 0.0 && (!form.segmented || number(key) == number(query));
    key <= last && (form.window == 0 || key + form.window > last) && is_present
}

#[test]
fn attention_is_the_formula_computed_plainly() {
    for form in cases::attention::forms() {
        let inputs = cases::attention::inputs(&form);
        let [q, k, v, mask] = [&inputs[0], &inputs[1], &inputs[2], &inputs[3]];
        let found = twin(&form, &inputs);
        let (heads, dim) = (form.heads(), form.dim);
        for row in 0..form.batch * form.queries * heads {
            let (example, query, head) = (row / heads / form.queries, row / heads % form.queries, row % heads);
            let key_row = |key: usize| ((example * form.keys + key) * form.kv_heads + head / form.group) * dim;
            let keys = (0..form.keys).filter(|&key| sees(&form, mask, [example, query, key]));
            let scored: Vec<(usize, f64)> = keys
                .map(|key| {
                    let pairs = q[row * dim..][..dim].iter().zip(&k[key_row(key)..]);
                    let mut score: f64 = pairs.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                    if form.biased {
                        score += f64::from(inputs[4][(key + form.queries - 1 - query) * heads + head]);
                    }
                    score *= f64::from(form.scale);
                    if form.cap > 0.0 {
                        score = f64::from(form.cap) * (score / f64::from(form.cap)).tanh();
                    }
                    (key, score)
                })
                .collect();
            let sum: f64 = scored.iter().map(|(_, score)| score.exp()).sum();
            let log = if scored.is_empty() { 0.0 } else { sum.ln() };
            let close = |found: f32, wanted: f64, what: &str| {
                let difference = (f64::from(found) - wanted).abs();
                assert!(
                    difference < 1e-5,
                    "{form:?}: {what} of row {row} is {found}, not {wanted}"
                );
            };
            close(found[1][row], log, "L");
            for column in 0..dim {
                let terms = scored.iter();
                let wanted = terms.map(|(key, score)| (score - log).exp() * f64::from(v[key_row(*key) + column]));
                close(found[0][row * dim + column], wanted.sum(), "out");
            }
        }
    }
}

#[test]
fn a_query_sees_keys_on_both_sides_where_the_offset_says_so() {
    let keys = 5;
    let seen = |offset, window| {
        let form = Attention {
            batch: 1,
            kv_heads: 1,
            group: 1,
            dim: keys,
            ..attention(keys, keys, (offset, window))
        };
        // Each key's value has a column of its own.
        let values = (0..25).map(|place| if place % 6 == 0 { 1.0 } else { 0.0 }).collect();
        let inputs = [vec![0.0; 25], vec![0.0; 25], values, vec![1.0; keys]];
        let out = twin(&form, &inputs).remove(0);
        out.iter().map(|&share| share > 0.0).collect::<Vec<_>>()
    };
    assert_eq!(seen(keys, 0), [true; 25]);
    let near: Vec<bool> = (0..25)
        .map(|place: usize| (place / 5).abs_diff(place % 5) <= 1)
        .collect();
    assert_eq!(seen(1, 3), near);
}

#[test]
fn a_row_that_may_see_nothing_is_zero_and_gives_no_gradient() {
    let form = Attention {
        batch: 1,
        kv_heads: 1,
        group: 1,
        dim: 1,
        scale: 1.0,
        ..attention(2, 2, (0, 0))
    };
    let inputs = [vec![5.0, 1.0], vec![2.0, 3.0], vec![7.0, 9.0], vec![0.0, 1.0]];
    let out = twin(&form, &inputs);
    assert_eq!(out, [[0.0, 9.0], [0.0, 3.0]]);
    let [_, backward] = cases::attention::backward_inputs(&form, &inputs, &[1.0, 1.0]);
    assert_eq!(twin(&AttentionOfQueries(form.clone()), &backward), [[0.0, 0.0]]);
    assert_eq!(twin(&AttentionOfKeys(form), &backward), [[0.0, 0.0], [0.0, 1.0]]);
}

#[test]
fn activation_backwards_are_the_derivatives() {
    let len = 40;
    let mut noise = Noise(5);
    let inputs = vec![noise.values(len, 4.0), noise.values(len, 1.0)];
    let dy = noise.values(len, 1.0);
    let d = twin(
        &SiluMulBackward { len },
        &[inputs[0].clone(), inputs[1].clone(), dy.clone()],
    );
    assert_derivative(&SiluMul { len }, &inputs, 0, &dy, &d[0]);
    assert_derivative(&SiluMul { len }, &inputs, 1, &dy, &d[1]);
    let dx = twin(&GeluNewBackward { len }, &[inputs[0].clone(), dy.clone()]);
    assert_derivative(&GeluNew { len }, &inputs[..1], 0, &dy, &dx[0]);
    let dx = twin(&GeluBackward { len }, &[inputs[0].clone(), dy.clone()]);
    assert_derivative(&Gelu { len }, &inputs[..1], 0, &dy, &dx[0]);
    let cap = SoftCap {
        len,
        scale: 0.5,
        cap: 1.5,
    };
    let y = twin(&cap, &inputs[..1]).remove(0);
    let dx = twin(&cap.backward(), &[y, dy.clone()]);
    assert_derivative(&cap, &inputs[..1], 0, &dy, &dx[0]);
}

#[test]
fn cross_entropy_backward_is_the_derivative() {
    let (rows, vocab, scale) = (3, 7, 0.25);
    let inputs = vec![Noise(8).values(rows * vocab, 4.0), vec![6.0, -100.0, 0.0]];
    let d = twin(&CrossEntropyBackward { rows, vocab, scale }, &inputs);
    assert_derivative(&CrossEntropy { rows, vocab }, &inputs, 0, &[scale; 3], &d[0]);
    assert_eq!(d[0][vocab..2 * vocab], [0.0; 7], "an ignored row has a gradient");
}

#[test]
fn the_loss_of_equal_logits_is_the_logarithm_of_their_number() {
    let (rows, vocab) = (2, 49_152);
    let loss = twin(
        &CrossEntropy { rows, vocab },
        &[vec![3.0; rows * vocab], vec![5.0, -100.0]],
    )
    .remove(0);
    assert!((f64::from(loss[0]) - (vocab as f64).ln()).abs() < 2e-6, "{}", loss[0]);
    assert_eq!(loss[1], 0.0);
}

#[test]
fn embedding_backward_is_the_derivative() {
    let (tokens, vocab, width) = (5, 4, 3);
    let mut noise = Noise(9);
    let ids = vec![2.0, 0.0, 2.0, 3.0, -1.0];
    let inputs = vec![ids.clone(), noise.values(vocab * width, 1.0)];
    let dy = noise.values(tokens * width, 1.0);
    let dw = twin(&EmbeddingBackward { tokens, vocab, width }, &[ids, dy.clone()]);
    assert_derivative(&EmbeddingGather { tokens, vocab, width }, &inputs, 1, &dy, &dw[0]);
}

#[test]
fn dropout_drops_the_stated_share_and_repeats_itself() {
    let len = 1 << 20;
    let ones = vec![vec![1.0; len]];
    for (p, seed) in [(0.05, 0), (0.1, 1), (0.5, 2), (0.9, u64::MAX)] {
        let kept = twin(&Dropout { len, p, seed }, &ones).remove(0);
        let dropped = kept.iter().filter(|&&y| y == 0.0).count() as f64 / len as f64;
        let deviation = (f64::from(p * (1.0 - p)) / len as f64).sqrt();
        assert!(
            (dropped - f64::from(p)).abs() < 5.0 * deviation,
            "{dropped} dropped of p = {p}, seed {seed}"
        );
        assert!(kept.iter().all(|&y| y == 0.0 || y == 1.0 / (1.0 - p)));
        assert_eq!(kept, twin(&Dropout { len, p, seed }, &ones)[0]);
        // Neighbours, and the masks of the next seeds, fall independently.
        let both = kept.windows(2).filter(|pair| pair[0] == 0.0 && pair[1] == 0.0).count() as f64 / len as f64;
        assert!(
            (both - f64::from(p * p)).abs() < 10.0 * deviation,
            "{both} neighbours dropped of p = {p}"
        );
        for other in [seed.wrapping_add(1), seed ^ (1 << 32)] {
            let next = twin(&Dropout { len, p, seed: other }, &ones).remove(0);
            let both = kept.iter().zip(&next).filter(|(a, b)| **a == 0.0 && **b == 0.0).count() as f64 / len as f64;
            assert!(
                (both - f64::from(p * p)).abs() < 10.0 * deviation,
                "{both} dropped under seeds {seed} and {other}"
            );
        }
    }
}

#[test]
fn adamw_takes_the_step_written_out() {
    let step = AdamW {
        grad_scale: 0.5,
        ..AdamW::step(1, 2, 0.1, (0.9, 0.999), 1e-8, 0.01)
    };
    let (p, g, m, v) = (0.7_f64, 0.4_f64 * 0.5, 0.3_f64, 0.2_f64);
    let out = twin(&step, &[vec![0.7], vec![0.4], vec![0.3], vec![0.2]]).concat();
    let mean = 0.9 * m + 0.1 * g;
    let square = 0.999 * v + 0.001 * g * g;
    let (c1, c2) = (1.0 - 0.81, 1.0 - 0.999_f64.powi(2));
    let new = p * (1.0 - 0.1 * 0.01) - 0.1 / c1 * mean / (square.sqrt() / c2.sqrt() + 1e-8);
    for (actual, expected) in out.iter().zip([new, mean, square]) {
        assert!(
            (f64::from(*actual) - expected).abs() < 1e-6,
            "{actual} is not {expected}"
        );
    }
}

#[test]
fn a_step_with_eight_bits_is_adamws_on_the_decoded_moments() {
    for case in cases::eight_bits() {
        let [p, g, state, tables] = &case.inputs[..] else {
            panic!("four inputs")
        };
        let decoded = |(codes, absmax): &Codes, table: &[f32]| -> Vec<f32> {
            let scales = absmax.iter().flat_map(|absmax| [*absmax; 256]);
            let values = codes.iter().map(|code| table[usize::from(*code)]);
            values.zip(scales).map(|(value, scale)| value * scale).collect()
        };
        let (m, v) = AdamW8bit::unpack(state, p.len());
        let inputs = [p.clone(), g.clone(), decoded(&m, tables), decoded(&v, &tables[256..])];
        let text = format!("{:?}", case.kernel);
        let grad_scale = if text.contains("grad_scale: 0.3") { 0.3 } else { 1.0 };
        let step = AdamW {
            grad_scale,
            ..AdamW::step(p.len(), 3, 1e-2, (0.9, 0.999), 1e-8, 0.1)
        };
        let wanted = twin(&step, &inputs);
        let found = twin(case.kernel.as_ref(), &case.inputs);
        assert_eq!(found[0], wanted[0], "{text}: p'");
        let (m, v) = AdamW8bit::unpack(&found[1], p.len());
        for (moment, table, wanted) in [(m, &tables[..256], &wanted[1]), (v, &tables[256..], &wanted[2])] {
            for (i, (found, wanted)) in decoded(&moment, table).iter().zip(wanted).enumerate() {
                let absmax = moment.1[i / 256];
                let nearest = table.iter().map(|value| (value * absmax - wanted).abs());
                let least = nearest.fold(f32::INFINITY, f32::min);
                assert!((found - wanted).abs() <= least + 1e-6 * absmax, "{text}: moment {i}");
            }
        }
    }
}

#[test]
fn products_of_products_are_the_derivatives() {
    let (m, n, k) = (3, 4, 5);
    let mut noise = Noise(6);
    let inputs = vec![noise.values(m * k, 1.0), noise.values(n * k, 1.0)];
    let dy = noise.values(m * n, 1.0);
    let forward = MatMul {
        alpha: 0.5,
        ..MatMul::new(1, m, n, k, false, true)
    };
    let da = twin(
        &MatMul {
            alpha: 0.5,
            ..MatMul::new(1, m, k, n, false, false)
        },
        &[dy.clone(), inputs[1].clone()],
    );
    assert_derivative(&forward, &inputs, 0, &dy, &da[0]);
    let db = twin(
        &MatMul {
            alpha: 0.5,
            ..MatMul::new(1, n, k, m, true, false)
        },
        &[dy.clone(), inputs[0].clone()],
    );
    assert_derivative(&forward, &inputs, 1, &dy, &db[0]);
}

#[test]
fn the_products_twin_equals_the_sum_written_out() {
    for cases::Case { kernel, inputs, .. } in cases::products() {
        let text = format!("{kernel:?}");
        let field = |name: &str| -> usize {
            let at = text.find(&format!(" {name}: ")).expect("a field") + name.len() + 3;
            text[at..]
                .split([',', ' '])
                .next()
                .and_then(|value| value.parse().ok())
                .expect("a number")
        };
        let (batch, m, n, k) = (field("batch"), field("m"), field("n"), field("k"));
        if m > 1000 {
            continue;
        }
        let (a_trans, b_trans) = (text.contains("a_trans: true"), text.contains("b_trans: true"));
        let out = twin(kernel.as_ref(), &inputs).remove(0);
        for (place, &actual) in out.iter().enumerate() {
            let (example, i, j) = (place / (m * n), place / n % m, place % n);
            let mut sum = 0.0_f64;
            for p in 0..k {
                let a = inputs[0][example * m * k + if a_trans { p * m + i } else { i * k + p }];
                let b = inputs[1][example * k * n + if b_trans { j * k + p } else { p * n + j }];
                sum += f64::from(a) * f64::from(b);
            }
            if text.contains("LowRank") {
                let (rank, [left, right]) = (field("rank"), [inputs.len() - 2, inputs.len() - 1]);
                for q in 0..rank {
                    let step = if text.contains("across: true") {
                        q * n + j
                    } else {
                        j * rank + q
                    };
                    sum += 1.5 * f64::from(inputs[left][i * rank + q]) * f64::from(inputs[right][step]);
                }
            } else {
                sum *= 0.75;
            }
            if text.contains("add: Row") {
                sum += f64::from(inputs[2][j]);
            } else if text.contains("add: Full") {
                sum += f64::from(inputs[2][place]);
            }
            assert!(
                (f64::from(actual) - sum).abs() < 1e-4,
                "{text}: element {place} is {actual}, not {sum}"
            );
        }
        assert_eq!(out.len(), batch * m * n);
    }
}

#[test]
fn across_a_packed_matrix_is_the_derivative_of_along_it() {
    let mut noise = Noise(23);
    for format in cases::formats() {
        // Fewer rows are rounded, and a difference of two of them says little.
        let (m, rows, columns) = (5, 9, format.row_multiple().max(11));
        let matrix = Packed { format, rows, columns };
        let inputs = vec![noise.values(m * columns, 1.0), cases::words(&matrix, &mut noise)];
        let dy = noise.values(m * rows, 1.0);
        let dx = twin(&PackedMatMul::new(m, matrix, true), &[dy.clone(), inputs[1].clone()]);
        assert_derivative(&PackedMatMul::new(m, matrix, false), &inputs, 0, &dy, &dx[0]);
    }
}

#[test]
fn a_packed_product_is_the_product_with_the_decoded_matrix() {
    let mut noise = Noise(29);
    for format in cases::formats() {
        let columns = 2 * format.row_multiple().max(150);
        let matrix = Packed {
            format,
            rows: 301,
            columns: columns - columns % format.row_multiple(),
        };
        let words = cases::words(&matrix, &mut noise);
        let mut dense = vec![0.0; matrix.elements()];
        decode(&matrix, &words, 0, &mut dense);
        // Any range decodes to the same numbers.
        let mut part = vec![0.0; 77];
        decode(&matrix, &words, 45, &mut part);
        assert_eq!(part, dense[45..122]);
        for across in [false, true] {
            for m in [1, 6] {
                let kernel = PackedMatMul::new(m, matrix, across);
                let a = noise.sixteen_bits(m * kernel.k());
                let found = twin(&kernel, &[a.clone(), words.clone()]);
                let product = MatMul::new(1, m, kernel.n(), kernel.k(), false, !across);
                let wanted = twin(&product, &[a, dense.clone()]);
                for (found, wanted) in found[0].iter().zip(&wanted[0]) {
                    assert!(
                        (found - wanted).abs() <= 2e-5 * (1.0 + wanted.abs()),
                        "{kernel:?}: {found}, not {wanted}"
                    );
                }
            }
        }
    }
}
