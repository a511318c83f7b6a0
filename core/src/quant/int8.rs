//! INT8 with one scale a row: w = q · absmax / 127, q from −127 to 127.
//!
//! The vector-wise quantization of LLM.int8() (Dettmers et al., 2022), with the roundings of bitsandbytes'
//! `int8_vectorwise_quant`. The product of two such matrices is a kernel's business.

use super::{check_finite, check_length, check_matrix, largest};
use crate::{Error, Result};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;

/// A row-major matrix as signed bytes, one absmax a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Rows {
    columns: usize,
    codes: Vec<i8>,
    absmax: Vec<f32>,
}

impl Int8Rows {
    /// Encodes `rows` rows of `columns`: absmax = max|x| of the row, q = x · (127 / absmax), halves to even; a row of
    /// zeros has absmax 0 and codes 0. Where 127 / absmax overflows, q = (x / absmax) · 127.
    ///
    /// # Errors
    /// The numbers are not so many, one is not finite, or one is above f32::MAX / 127, which could not be restored.
    pub fn encode(values: &[f32], rows: usize, columns: usize) -> Result<Self> {
        check_matrix("values", values.len(), rows, columns)?;
        check_finite("values", values)?;
        let absmax: Vec<f32> = (0..rows)
            .map(|row| largest(&values[row * columns..][..columns]))
            .collect();
        let encode_one = |(i, value): (usize, &f32)| {
            let absmax = absmax[i / columns];
            let factor = 127.0 / absmax;
            let scaled = match absmax {
                0.0 => 0.0,
                _ if factor.is_finite() => value * factor,
                _ => value / absmax * 127.0,
            };
            // At most 127 and a few last bits, so the cast loses nothing.
            scaled.round_ties_even() as i8
        };
        let codes = values.iter().enumerate().map(encode_one).collect();
        Self::new(rows, columns, codes, absmax)
    }

    /// Encodes without outliers: the columns with any |x| ≥ `threshold` are left out, which are returned in ascending
    /// order. Such an x counts as 0 for its row's absmax; its whole column is 0 in the codes. Who multiplies adds these
    /// columns in floats.
    ///
    /// # Errors
    /// As [`Self::encode`], or `threshold` is not above 0.
    pub fn encode_without_outliers(
        values: &[f32],
        rows: usize,
        columns: usize,
        threshold: f32,
    ) -> Result<(Self, Vec<usize>)> {
        if threshold.is_nan() || threshold <= 0.0 {
            let found = threshold;
            return Err(Error::config(common::NotAboveZero { got: found }).field("threshold"));
        }
        check_matrix("values", values.len(), rows, columns)?;
        check_finite("values", values)?;
        let is_outlier = |value: f32| value.abs() >= threshold;
        let has_outlier = |column: &usize| (0..rows).any(|row| is_outlier(values[row * columns + column]));
        let outliers: Vec<usize> = (0..columns).filter(has_outlier).collect();
        let inliers: Vec<f32> = values
            .iter()
            .map(|value| if is_outlier(*value) { 0.0 } else { *value })
            .collect();
        let mut encoded = Self::encode(&inliers, rows, columns)?;
        for row in encoded.codes.chunks_mut(columns.max(1)) {
            outliers.iter().for_each(|column| row[*column] = 0);
        }
        Ok((encoded, outliers))
    }

    /// A matrix encoded elsewhere.
    ///
    /// # Errors
    /// The codes are not `rows` rows of `columns`, or `absmax` is not one number a row that is finite when taken 128-fold.
    pub fn new(rows: usize, columns: usize, codes: Vec<i8>, absmax: Vec<f32>) -> Result<Self> {
        check_matrix("weight", codes.len(), rows, columns)?;
        check_length("absmax", absmax.len(), rows)?;
        if let Some(at) = absmax.iter().position(|absmax| !(absmax * 128.0).is_finite()) {
            return Err(Error::format(msg::UnusableScaleAt { value: absmax[at], at }).field("absmax"));
        }
        Ok(Self { columns, codes, absmax })
    }

    /// All numbers, row-major: (q · absmax) · (1 / 127).
    pub fn decode(&self) -> Vec<f32> {
        let codes = self.codes.iter().enumerate();
        codes
            .map(|(i, code)| f32::from(*code) * self.absmax[i / self.columns] * (1.0 / 127.0))
            .collect()
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.absmax.len()
    }
    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
    /// One code a number, row-major.
    pub fn codes(&self) -> &[i8] {
        &self.codes
    }
    /// One scale a row.
    pub fn absmax(&self) -> &[f32] {
        &self.absmax
    }
}
