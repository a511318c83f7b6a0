//! What tasks share in reading a model's outputs and their rows' labels.

use crate::data::{Example, Target};

/// The labels of all rows, row after row.
pub(super) fn labels_of_rows(examples: &[Example]) -> impl Iterator<Item = f32> + '_ {
    let of = |example: &Example| match &example.target {
        Target::Row(labels) => labels.clone(),
        _ => Vec::new(),
    };
    examples.iter().flat_map(of)
}

/// The numbers of a row's target as text.
pub(super) fn numbers_of(target: &Target) -> Vec<String> {
    match target {
        Target::Row(numbers) => numbers.iter().map(|&value| number(f64::from(value))).collect(),
        _ => Vec::new(),
    }
}

/// The grades of each query's documents, behind scores that `scores` gives for so many of them.
pub(super) fn lists(examples: &[Example], mut scores: impl FnMut(usize) -> Vec<f64>) -> Vec<(Vec<f64>, Vec<f64>)> {
    let of = |example: &Example| {
        let documents = std::iter::once(example).chain(&example.others);
        let grades: Vec<f64> = documents
            .flat_map(|document| match &document.target {
                Target::Row(grades) => grades.as_slice(),
                _ => &[],
            })
            .map(|&grade| f64::from(grade))
            .collect();
        (scores(grades.len()), grades)
    };
    examples.iter().map(of).collect()
}

/// The probabilities of each row's classes, in the order of the logits.
pub(crate) fn softmax(logits: &[f32], width: usize) -> Vec<f64> {
    let of_row = |row: &[f32]| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = row.iter().map(|&logit| f64::from(logit - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    };
    logits.chunks(width).flat_map(of_row).collect()
}

pub(crate) fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// The place of the largest; of several, the first.
pub(super) fn largest(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, place| if row[place] > row[best] { place } else { best })
}

/// A number as tables have it: six decimals at most, and no more digits than the model's numbers have.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return String::new();
    }
    // Adding 0 takes the sign from -0.
    let rounded = ((value * 1e6).round() / 1e6 + 0.0) as f32;
    rounded.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_the_noise_of_their_last_bits() {
        let written = [991.500011, 500.0, 0.30000001192, 1e-9, -1e-9, 917.008919, f64::NAN].map(number);
        assert_eq!(written, ["991.5", "500", "0.3", "0", "0", "917.0089", ""]);
    }
}
