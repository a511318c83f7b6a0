//! The one number that makes a linear model's probabilities as often right as they say.

/// The factor is looked for between 1 / `MOST` and `MOST`.
const MOST: f64 = 64.0;
/// Each round leaves 0.618 of the range: after these, less than a thousandth of the factor.
const ROUNDS: usize = 20;
/// Where a round of the golden-section search looks.
const GOLDEN: f64 = 0.381_966_011_250_105;

/// By what logits are to be multiplied before a softmax of them: the factor of least cross-entropy over `rows`, which are logits with
/// the number of the right one; none without rows.
///
/// That is temperature scaling (Guo, Pleiss, Sun and Weinberger, 2017). As in Platt's scaling (1999) the right answer of n rows and C
/// classes is wanted with the probability (n + 1) / (n + C) only, so that few rows without a mistake make nobody sure.
pub(crate) fn sharpness(rows: &[(Vec<f64>, usize)]) -> Option<f64> {
    let classes = rows.first()?.0.len() as f64;
    let spread = classes / (rows.len() as f64 + classes);
    let of_row = |factor: f64, (logits, right): &(Vec<f64>, usize)| {
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (factor * (logit - largest)).exp()).sum();
        let mean = logits.iter().sum::<f64>() / classes;
        let wanted = (1.0 - spread) * logits[*right] + spread * mean;
        sum.ln() + factor * (largest - wanted)
    };
    let loss = |logarithm: f64| -> f64 {
        let factor = logarithm.exp();
        rows.iter().map(|row| of_row(factor, row)).sum()
    };
    let (mut low, mut high) = (-MOST.ln(), MOST.ln());
    for _ in 0..ROUNDS {
        let [first, second] = [GOLDEN, 1.0 - GOLDEN].map(|share| low + share * (high - low));
        match loss(first) < loss(second) {
            true => high = second,
            false => low = first,
        }
    }
    Some(((low + high) / 2.0).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes, the first of which is right in so many rows of a hundred, at a distance of one logit.
    fn rows(right: usize) -> Vec<(Vec<f64>, usize)> {
        (0..100)
            .map(|row| (vec![1.0, 0.0], usize::from(row >= right)))
            .collect()
    }

    #[test]
    fn probabilities_say_how_often_they_are_right() {
        for (right, probability) in [(90, 0.9), (75, 0.75), (50, 0.5)] {
            let factor = sharpness(&rows(right)).expect("rows");
            let found = 1.0 / (1.0 + (-factor).exp());
            assert!((found - probability).abs() < 0.01, "{right}: {found}");
        }
    }

    #[test]
    fn rows_without_a_mistake_make_surer_the_more_there_are_and_none_say_nothing() {
        let of = |count: usize| sharpness(&rows(100)[..count]).expect("rows");
        // (n + 1) / (n + 2) of two classes: a distance of ln(n + 1).
        for count in [4, 20, 100] {
            let wanted = (count as f64 + 1.0).ln();
            assert!((of(count) - wanted).abs() < 0.01 * wanted, "{count}: {}", of(count));
        }
        assert_eq!(sharpness(&[]), None);
    }
}
