//! The numbers of a merged model, one tensor and a few megabytes of its rows at a time.

use super::merged::{Change, Merged, MergedTensor};
use crate::error::Result;
use crate::models::bitsandbytes;
use crate::quant::BaseFormat;
use std::ops::Range;

/// Numbers that are read and changed at a time.
const CHUNK: usize = 4 << 20;

/// Reads one tensor of a merged model, in Hugging Face's order.
pub(crate) struct Reader<'m> {
    merged: &'m Merged<'m>,
    tensor: &'m MergedTensor,
    /// Rows and columns; of a vector one row.
    pub(crate) rows: usize,
    columns: usize,
    /// Left \[rows, R\] and right \[R, columns\], whose product with the scale is added.
    factors: Option<Factors>,
    /// What outputs are multiplied by.
    gains: Option<Vec<f32>>,
    /// All numbers of the base's tensor, where it is not read by rows.
    whole: Option<Vec<f32>>,
}

struct Factors {
    left: Vec<f32>,
    right: Vec<f32>,
    rank: usize,
}

impl<'m> Reader<'m> {
    /// # Errors
    /// The base's file cannot be read.
    pub(crate) async fn open(merged: &'m Merged<'m>, tensor: &'m MergedTensor) -> Result<Self> {
        let (rows, columns) = match tensor.shape.as_slice() {
            [rows, rest @ ..] if !rest.is_empty() => (*rows, rest.iter().product()),
            shape => (1, shape.iter().product()),
        };
        let mut reader = Self {
            merged,
            tensor,
            rows,
            columns,
            factors: None,
            gains: None,
            whole: None,
        };
        if let (Some(name), false) = (&tensor.stored, matches!(tensor.change, Change::Whole(_))) {
            let by_rows = tensor.shape.len() == 2 && !merged.files.stored_matrix(name)?.transposed;
            let is_packed = merged.packed.contains_key(name);
            let rounds = merged.rounding != BaseFormat::AsStored && merged.is_rounded(tensor);
            let is_turned = tensor.linear.unwrap_or(false);
            if rounds {
                let values = merged.files.read_f32(name).await?.1;
                reader.whole = Some(round(values, [rows, columns], is_turned, merged.rounding)?);
            } else if is_packed {
                let values = bitsandbytes::unpacked(&merged.files, name).await?;
                reader.whole = Some(match is_turned {
                    true => transposed(&values, rows),
                    false => values,
                });
            } else if !by_rows {
                reader.whole = Some(merged.files.read_f32(name).await?.1);
            }
        }
        if let Change::LowRank(low_rank) = &tensor.change {
            let (a, b) = (merged.adapter_values(low_rank.a), merged.adapter_values(low_rank.b));
            let scaled = |values: &[f32]| {
                values
                    .iter()
                    .map(|value| value * low_rank.scale as f32)
                    .collect::<Vec<f32>>()
            };
            let (inputs, outputs) = (a.len() / low_rank.rank, b.len() / low_rank.rank);
            let (left, right) = match low_rank.transposed {
                true => (transposed(a, inputs), scaled(&transposed(b, low_rank.rank))),
                false => (scaled(b), a.to_vec()),
            };
            let rank = low_rank.rank;
            reader.factors = Some(Factors { left, right, rank });
            if let Some(magnitude) = low_rank.magnitude {
                let norms = reader.norms(low_rank.transposed, outputs).await?;
                let magnitudes = merged.adapter_values(magnitude).iter();
                reader.gains = Some(magnitudes.zip(norms).map(|(m, norm)| m / norm).collect());
            }
        }
        Ok(reader)
    }

    /// Ranges of rows, a few megabytes of numbers each.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, step) = (self.rows, (CHUNK / self.columns.max(1)).max(1));
        (0..rows)
            .step_by(step)
            .map(move |start| start..(start + step).min(rows))
    }

    /// Some rows.
    ///
    /// # Errors
    /// The base's file cannot be read, or what comes out is not finite.
    pub(crate) async fn rows(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        let mut values = self.sum(rows.clone()).await?;
        if let Change::Rows(new) = &self.tensor.change {
            let trained = self.merged.adapter_values(new.number).chunks_exact(self.columns.max(1));
            for (id, numbers) in new.ids.iter().zip(trained) {
                let id = *id as usize;
                if rows.contains(&id) {
                    values[(id - rows.start) * self.columns..][..self.columns].copy_from_slice(numbers);
                }
            }
            return Ok(values);
        }
        let (Some(gains), Change::LowRank(low_rank)) = (&self.gains, &self.tensor.change) else {
            return Ok(values);
        };
        for (row, numbers) in rows.zip(values.chunks_exact_mut(self.columns.max(1))) {
            match low_rank.transposed {
                true => numbers.iter_mut().zip(gains).for_each(|(number, gain)| *number *= gain),
                false => numbers.iter_mut().for_each(|number| *number *= gains[row]),
            }
        }
        Ok(values)
    }

    /// All rows.
    ///
    /// # Errors
    /// As [`Reader::rows`].
    pub(crate) async fn all(&self) -> Result<Vec<f32>> {
        self.rows(0..self.rows).await
    }

    /// Rows of W + s·B·A.
    async fn sum(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        let place = rows.start * self.columns..rows.end * self.columns;
        let mut values = match (&self.tensor.change, &self.whole, &self.tensor.stored) {
            (Change::Whole(number), ..) => self.merged.adapter_values(*number)[place].to_vec(),
            (_, Some(whole), _) => whole[place].to_vec(),
            (_, None, Some(name)) => self.merged.files.read_rows_f32(name, rows.clone()).await?,
            (_, None, None) => Vec::new(),
        };
        if let Some(Factors { left, right, rank }) = &self.factors {
            for (row, numbers) in rows.zip(values.chunks_exact_mut(self.columns.max(1))) {
                let left = &left[row * rank..][..*rank];
                for (factor, right) in left.iter().zip(right.chunks_exact(self.columns.max(1))) {
                    numbers
                        .iter_mut()
                        .zip(right)
                        .for_each(|(number, right)| *number += factor * right);
                }
            }
        }
        Ok(values)
    }

    /// ‖W + s·B·A‖ of each output.
    async fn norms(&self, transposed: bool, outputs: usize) -> Result<Vec<f32>> {
        let mut squares = vec![0.0f64; outputs];
        for rows in self.chunks() {
            let values = self.sum(rows.clone()).await?;
            for (row, numbers) in rows.zip(values.chunks_exact(self.columns.max(1))) {
                let numbers = numbers.iter().map(|number| f64::from(*number).powi(2));
                match transposed {
                    true => squares.iter_mut().zip(numbers).for_each(|(sum, square)| *sum += square),
                    false => squares[row] = numbers.sum(),
                }
            }
        }
        // As while training: a row of zeros has a magnitude of 0 too.
        let norm = |square: f64| square.max(f64::from(f32::MIN_POSITIVE)).sqrt() as f32;
        Ok(squares.into_iter().map(norm).collect())
    }
}

/// A linear as a run computes with it that packs it: always \[out, in\] is packed.
fn round(values: Vec<f32>, [rows, columns]: [usize; 2], is_turned: bool, format: BaseFormat) -> Result<Vec<f32>> {
    match is_turned {
        true => {
            let packed = format.rounded(transposed(&values, columns), columns, rows)?;
            Ok(transposed(&packed, rows))
        }
        false => format.rounded(values, rows, columns),
    }
}

/// A matrix whose rows have `columns` numbers, turned.
pub(crate) fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns.max(1);
    let column = |column: usize| (0..rows).map(move |row| values[row * columns + column]);
    (0..columns).flat_map(column).collect()
}
