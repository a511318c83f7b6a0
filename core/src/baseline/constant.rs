//! Predictions that do not look at the row.

use crate::error::{Error, Result};
use lorakeet_i18n::messages::metrics as msg;

/// The class that most rows have; of several, the one with the lowest number.
///
/// # Errors
/// No rows.
pub fn majority_class(labels: &[usize]) -> Result<usize> {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    // Of equal keys `max_by_key` takes the last, which is the lowest here.
    let classes = sorted.chunk_by(|a, b| a == b).rev();
    let most = classes.max_by_key(|rows| rows.len()).ok_or_else(no_rows)?;
    Ok(most[0])
}

/// The mean of the targets: of all constants the one with the smallest squared error.
///
/// # Errors
/// No rows.
pub fn mean(targets: &[f64]) -> Result<f64> {
    if targets.is_empty() {
        return Err(no_rows());
    }
    Ok(targets.iter().sum::<f64>() / targets.len() as f64)
}

fn no_rows() -> Error {
    Error::data(msg::NoRowsToLearn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_is_the_commonest_class_and_the_lowest_of_several() {
        assert_eq!(majority_class(&[2, 0, 2, 1]), Ok(2));
        assert_eq!(majority_class(&[3, 1, 3, 1]), Ok(1));
        assert!(majority_class(&[]).is_err());
    }

    #[test]
    fn the_mean_is_the_mean() {
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Ok(3.0));
        assert!(mean(&[]).is_err());
    }
}
