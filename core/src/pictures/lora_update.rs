//! The update of one weight matrix by its adapter: ΔW = s·B·A with A \[R, in\] and B \[out, R\], as the means of blocks.
//!
//! The mean of a block of ΔW is the product of the means of B's rows and A's columns, so no \[out, in\] matrix is made. With
//! DoRA this is the low-rank part alone, without the magnitudes.

use super::find_module;
use crate::error::{Error, Result};
use crate::loaded_model::LoadedModel;
use crate::models::LowRank;
use crate::protocol::Picture;
use lorakeet_i18n::messages::pictures as msg;
use std::ops::Range;

pub(super) async fn draw(loaded: &LoadedModel, module: &str, cells: usize) -> Result<Picture> {
    let model = &loaded.model;
    let paths = model.adapted_paths();
    if paths.is_empty() {
        return Err(Error::config(msg::NoAdapterToDraw)
            .field("module")
            .remedy(msg::TrainLora));
    }
    let path = find_module(module, &paths)?;
    let found = model.adapter_on(path).await?;
    let (update, squares) = found.ok_or_else(|| Error::config(msg::NoAdapterToDraw).field("module"))?;
    let (rows, columns) = (update.outputs.min(cells), update.inputs.min(cells));
    Ok(Picture::LoraUpdate {
        module: path.to_owned(),
        rows,
        columns,
        shape: (update.outputs, update.inputs),
        rank: update.rank,
        values: update.means(rows, columns),
        largest: update.largest(),
        norm: update.norm(),
        weight_norm: squares.sqrt(),
    })
}

/// The range of cell `i` of `cells` along a side of `side` numbers.
fn block(i: usize, cells: usize, side: usize) -> Range<usize> {
    i * side / cells..(i + 1) * side / cells
}

impl LowRank {
    /// The means of ΔW over `rows` × `columns` blocks, row-major.
    fn means(&self, rows: usize, columns: usize) -> Vec<f32> {
        let mean = |numbers: &mut dyn Iterator<Item = f32>, count: usize| {
            numbers.map(f64::from).sum::<f64>() / count.max(1) as f64
        };
        // [rows, R] and [R, columns]
        let of_b = |i: usize, r: usize| {
            let block = block(i, rows, self.outputs);
            let count = block.len();
            mean(&mut block.map(|row| self.b[row * self.rank + r]), count)
        };
        let of_a = |r: usize, j: usize| {
            let block = block(j, columns, self.inputs);
            mean(
                &mut self.a[r * self.inputs..][block.clone()].iter().copied(),
                block.len(),
            )
        };
        let b: Vec<Vec<f64>> = (0..rows)
            .map(|i| (0..self.rank).map(|r| of_b(i, r)).collect())
            .collect();
        let a: Vec<Vec<f64>> = (0..columns)
            .map(|j| (0..self.rank).map(|r| of_a(r, j)).collect())
            .collect();
        let cell = |b: &[f64], a: &[f64]| self.scale * b.iter().zip(a).map(|(b, a)| b * a).sum::<f64>();
        b.iter()
            .flat_map(|b| a.iter().map(move |a| cell(b, a) as f32))
            .collect()
    }

    /// The largest |ΔW|, one row of it at a time.
    fn largest(&self) -> f64 {
        let mut largest = 0.0f32;
        let mut row = vec![0.0f32; self.inputs];
        for b in self.b.chunks(self.rank.max(1)) {
            row.fill(0.0);
            for (b, a) in b.iter().zip(self.a.chunks(self.inputs.max(1))) {
                row.iter_mut().zip(a).for_each(|(sum, a)| *sum += b * a);
            }
            // `f32::max` would skip NaN.
            let larger = |most: f32, sum: &f32| {
                if most.is_nan() || most >= sum.abs() {
                    most
                } else {
                    sum.abs()
                }
            };
            largest = row.iter().fold(largest, larger);
        }
        self.scale.abs() * f64::from(largest)
    }

    /// ‖ΔW‖ = s·√(Σ (BᵀB) ⊙ (AAᵀ)).
    pub(super) fn norm(&self) -> f64 {
        let gram = |of: &dyn Fn(usize, usize) -> f64, count: usize, r: usize, q: usize| {
            (0..count).map(|i| of(i, r) * of(i, q)).sum::<f64>()
        };
        let a = |i: usize, r: usize| f64::from(self.a[r * self.inputs + i]);
        let b = |i: usize, r: usize| f64::from(self.b[i * self.rank + r]);
        let pairs = (0..self.rank).flat_map(|r| (0..self.rank).map(move |q| (r, q)));
        let sum: f64 = pairs
            .map(|(r, q)| gram(&a, self.inputs, r, q) * gram(&b, self.outputs, r, q))
            .sum();
        // Rounding may leave it a little below 0.
        self.scale.abs() * sum.max(0.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Generator;

    #[test]
    fn means_largest_and_norm_are_those_of_the_whole_product() {
        let (rank, inputs, outputs, scale) = (3, 11, 7, 1.5);
        let mut generator = Generator::new(3, "picture");
        let mut draw = |count: usize| (0..count).map(|_| generator.normal() as f32).collect::<Vec<_>>();
        let update = LowRank {
            a: draw(rank * inputs),
            b: draw(outputs * rank),
            rank,
            inputs,
            outputs,
            scale,
        };
        let cell = |i: usize, j: usize| {
            let products = (0..rank).map(|r| f64::from(update.b[i * rank + r]) * f64::from(update.a[r * inputs + j]));
            scale * products.sum::<f64>()
        };
        let all: Vec<f64> = (0..outputs * inputs).map(|k| cell(k / inputs, k % inputs)).collect();
        let largest = all.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        assert!((update.largest() - largest).abs() < 1e-5);
        let norm = all.iter().map(|value| value * value).sum::<f64>().sqrt();
        assert!((update.norm() - norm).abs() < 1e-9);
        for (rows, columns) in [(outputs, inputs), (3, 4), (1, 1), (7, 2)] {
            let found = update.means(rows, columns);
            assert_eq!(found.len(), rows * columns);
            for (place, found) in found.iter().enumerate() {
                let of_rows = block(place / columns, rows, outputs);
                let of_columns = block(place % columns, columns, inputs);
                let count = of_rows.len() * of_columns.len();
                let sum: f64 = of_rows
                    .flat_map(|i| of_columns.clone().map(move |j| (i, j)))
                    .map(|(i, j)| cell(i, j))
                    .sum();
                assert!(
                    (f64::from(*found) - sum / count as f64).abs() < 1e-6,
                    "{rows} × {columns}: {place}"
                );
            }
        }
        let broken = LowRank {
            b: vec![f32::NAN; outputs * rank],
            ..update
        };
        assert!(broken.largest().is_nan(), "NaN is not hidden");
    }
}
