//! The losses as their formulas say, in f64.

use super::{Batch, Kind};
use lorakeet_core::loss::{Distance, Loss};

fn sigma(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = x.iter().map(|x| (x - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

fn mean(terms: impl Iterator<Item = f64>) -> f64 {
    let terms: Vec<f64> = terms.collect();
    if terms.is_empty() {
        0.0
    } else {
        terms.iter().sum::<f64>() / terms.len() as f64
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn cos(a: &[f64], b: &[f64]) -> f64 {
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Each loss as its formula says it, in f64, with plain loops and no care for overflow.
pub(super) fn by_formula(loss: &Loss, batch: &Batch) -> f64 {
    let rho = |e: f64| match loss {
        Loss::Mse => e * e,
        Loss::Mae => e.abs(),
        Loss::Huber { delta } if e.abs() < *delta => 0.5 * e * e,
        Loss::Huber { delta } => delta * (e.abs() - 0.5 * delta),
        Loss::SmoothL1 { beta } if e.abs() < *beta => 0.5 * e * e / beta,
        Loss::SmoothL1 { beta } => e.abs() - 0.5 * beta,
        other => panic!("{other} is no penalty"),
    };
    let at = |list: &[f64], i: usize| list.get(i).copied().unwrap_or(1.0);
    let rows = batch.rows();
    match batch.kind {
        Kind::Classes => {
            let known: Vec<(Vec<f64>, usize)> = (0..rows)
                .filter(|row| batch.labels[*row] != -100)
                .map(|row| (softmax(batch.row(0, row)), batch.labels[row] as usize))
                .collect();
            match loss {
                Loss::CrossEntropy {
                    label_smoothing: e,
                    class_weights: w,
                } => {
                    let term = |(p, y): &(Vec<f64>, usize)| {
                        let spread: f64 = p.iter().enumerate().map(|(c, p)| at(w, c) * -p.ln()).sum();
                        (1.0 - e) * at(w, *y) * -p[*y].ln() + e / p.len() as f64 * spread
                    };
                    known.iter().map(term).sum::<f64>() / known.iter().map(|(_, y)| at(w, *y)).sum::<f64>()
                }
                Loss::Focal { gamma, alpha } => mean(
                    known
                        .iter()
                        .map(|(p, y)| at(alpha, *y) * (1.0 - p[*y]).powf(*gamma) * -p[*y].ln()),
                ),
                _ => mean(known.iter().flat_map(|(p, y)| {
                    let rho = &rho;
                    p.iter()
                        .enumerate()
                        .map(move |(c, p)| rho(p - f64::from(u8::from(c == *y))))
                })),
            }
        }
        Kind::Labels => mean(
            batch.outputs[0]
                .iter()
                .zip(&batch.targets)
                .enumerate()
                .map(|(i, (x, t))| {
                    let (p, t) = (sigma(*x), f64::from(*t));
                    let p_t = if t == 1.0 { p } else { 1.0 - p };
                    match loss {
                        Loss::Bce { pos_weight } => {
                            let w = if pos_weight.len() == 1 {
                                pos_weight[0]
                            } else {
                                at(pos_weight, i % batch.shapes[0][1])
                            };
                            -(w * t * p.ln() + (1.0 - t) * (1.0 - p).ln())
                        }
                        Loss::Focal { gamma, alpha } => {
                            let alpha_t = alpha
                                .first()
                                .map_or(1.0, |alpha| if t == 1.0 { *alpha } else { 1.0 - alpha });
                            alpha_t * (1.0 - p_t).powf(*gamma) * -p_t.ln()
                        }
                        _ => rho(p - t),
                    }
                }),
        ),
        Kind::Numbers => mean(
            batch.outputs[0]
                .iter()
                .zip(&batch.targets)
                .map(|(x, t)| rho(x - f64::from(*t))),
        ),
        Kind::Scores => {
            let (s, grades) = (&batch.outputs[0], batch.lists.relevance());
            let same_list = |i: usize, j: usize| i % 3 == j % 3;
            let pairs = (0..rows).flat_map(|i| (0..rows).map(move |j| (i, j)));
            let pairs = pairs.filter(|(i, j)| same_list(*i, *j) && grades[*i] > grades[*j]);
            let lists = (0..3.min(rows)).map(|list| {
                let items: Vec<usize> = (list..rows).step_by(3).collect();
                let scores: Vec<f64> = items.iter().map(|i| s[*i]).collect();
                let grades: Vec<f64> = items.iter().map(|i| f64::from(grades[*i])).collect();
                (scores, grades)
            });
            let entropy = |weights: &[f64], scores: &[f64]| -> f64 {
                weights.iter().zip(softmax(scores)).map(|(w, p)| -w * p.ln()).sum()
            };
            match loss {
                Loss::RankNet { sigma } => mean(pairs.map(|(i, j)| (-sigma * (s[i] - s[j])).exp().ln_1p())),
                Loss::Margin { margin } => mean(pairs.map(|(i, j)| (margin - (s[i] - s[j])).max(0.0))),
                Loss::ListNet => mean(lists.map(|(scores, grades)| entropy(&softmax(&grades), &scores))),
                Loss::Softmax => mean(lists.filter(|(_, grades)| grades.iter().sum::<f64>() > 0.0).map(
                    |(scores, grades)| {
                        let sum: f64 = grades.iter().sum();
                        let shares: Vec<f64> = grades.iter().map(|grade| grade / sum).collect();
                        entropy(&shares, &scores)
                    },
                )),
                Loss::Bce { pos_weight } => mean(s.iter().zip(grades).map(|(x, grade)| {
                    let t = f64::from(grade.min(1.0));
                    -(at(pos_weight, 0) * t * sigma(*x).ln() + (1.0 - t) * (1.0 - sigma(*x)).ln())
                })),
                _ => mean(s.iter().zip(grades).map(|(x, grade)| rho(x - f64::from(*grade)))),
            }
        }
        Kind::Vectors => match loss {
            Loss::InfoNce { temperature, symmetric } => {
                let of_queries = mean((0..rows).map(|i| {
                    let columns = (0..2 * rows).map(|j| batch.row(1 + j / rows, j % rows));
                    let scores: Vec<f64> = columns.map(|d| cos(batch.row(0, i), d) / temperature).collect();
                    -softmax(&scores)[i].ln()
                }));
                let of_documents = mean((0..rows).map(|i| {
                    let scores: Vec<f64> = (0..rows)
                        .map(|j| cos(batch.row(1, i), batch.row(0, j)) / temperature)
                        .collect();
                    -softmax(&scores)[i].ln()
                }));
                if *symmetric {
                    (of_queries + of_documents) / 2.0
                } else {
                    of_queries
                }
            }
            Loss::Triplet { margin, distance } => mean((0..rows).map(|i| {
                let (a, p, n) = (batch.row(0, i), batch.row(1, i), batch.row(2, i));
                let d = |b: &[f64]| match distance {
                    Distance::Cosine => 1.0 - cos(a, b),
                    Distance::Euclidean => a.iter().zip(b).map(|(a, b)| (a - b + 1e-6).powi(2)).sum::<f64>().sqrt(),
                };
                (d(p) - d(n) + margin).max(0.0)
            })),
            other => panic!("{other} is no loss of vectors"),
        },
        Kind::Answers => match loss {
            Loss::Dpo {
                beta,
                label_smoothing: e,
            } => mean((0..rows).map(|i| {
                let reference = f64::from(batch.reference[0][i]) - f64::from(batch.reference[1][i]);
                let z = beta * (batch.outputs[0][i] - batch.outputs[1][i] - reference);
                -(1.0 - e) * sigma(z).ln() - e * sigma(-z).ln()
            })),
            other => panic!("{other} is no loss of answers"),
        },
    }
}
