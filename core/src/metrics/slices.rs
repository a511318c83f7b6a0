//! A score on parts of the rows: by the length of their text, by what stands in a column. A part is marked where it is worse
//! than the whole by more than chance explains.

use super::bootstrap::{Bootstrap, Direction, FEWEST_ROWS};
use crate::protocol::{Interval, Slice, SliceBy};
use std::collections::BTreeMap;

/// A metric of some of the units, by their numbers.
pub type Scorer<'a> = Box<dyn Fn(&[usize]) -> f64 + 'a>;

/// Where the score of these units may lie by chance; none where it has no value for most draws.
pub fn interval(units: &[usize], score: &dyn Fn(&[usize]) -> f64, bootstrap: &Bootstrap) -> Option<Interval> {
    let of = |places: &[usize]| {
        let drawn: Vec<usize> = places.iter().map(|place| units[*place]).collect();
        // What is compared with nothing differs from it by itself.
        (0.0, score(&drawn))
    };
    let found = bootstrap.compare_by(units.len(), of).ok()?;
    Some(Interval {
        low: found.low,
        high: found.high,
        confidence: found.confidence,
    })
}

/// The score of each part beside that of the whole.
pub fn slices(
    parts: Vec<(SliceBy, Vec<usize>)>,
    whole: f64,
    score: &dyn Fn(&[usize]) -> f64,
    direction: Direction,
    bootstrap: &Bootstrap,
) -> Vec<Slice> {
    let of = |(by, units): (SliceBy, Vec<usize>)| {
        let enough = units.len() >= FEWEST_ROWS;
        let interval = enough.then(|| interval(&units, score, bootstrap)).flatten();
        let is_worse = interval.is_some_and(|interval| match direction {
            Direction::HigherIsBetter => interval.high < whole,
            Direction::LowerIsBetter => interval.low > whole,
        });
        Slice {
            by,
            rows: units.len(),
            value: score(&units),
            interval,
            is_worse,
        }
    };
    parts.into_iter().map(of).collect()
}

/// Units of the same length stay together, so that the quarters are as equal as the lengths allow: the shortest and the longest
/// of each, and its units. Nothing where all are of one length.
pub fn quartiles(lengths: &[u64]) -> Vec<(u64, u64, Vec<usize>)> {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    // The longest of each quarter but the last.
    let end = |quarter: usize| (quarter * sorted.len() / 4).saturating_sub(1);
    let bounds = [1, 2, 3].map(|quarter| sorted.get(end(quarter)).copied().unwrap_or_default());
    let mut quarters: BTreeMap<usize, (u64, u64, Vec<usize>)> = BTreeMap::new();
    for (unit, &length) in lengths.iter().enumerate() {
        let place = bounds.iter().filter(|bound| length > **bound).count();
        let quarter = quarters.entry(place).or_insert((length, length, Vec::new()));
        quarter.0 = quarter.0.min(length);
        quarter.1 = quarter.1.max(length);
        quarter.2.push(unit);
    }
    match quarters.len() {
        0 | 1 => Vec::new(),
        _ => quarters.into_values().collect(),
    }
}

/// The units by what stands in a column, the most frequent value first; nothing where it is one value.
pub fn by_value(values: &[Option<&str>]) -> Vec<(String, Vec<usize>)> {
    let mut parts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (unit, value) in values.iter().enumerate() {
        if let Some(value) = value {
            parts.entry(*value).or_default().push(unit);
        }
    }
    if parts.len() < 2 {
        return Vec::new();
    }
    let mut parts: Vec<(String, Vec<usize>)> = parts
        .into_iter()
        .map(|(value, units)| (value.to_owned(), units))
        .collect();
    parts.sort_by_key(|(_, units)| std::cmp::Reverse(units.len()));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of the units that are right: all but the last ten of forty.
    fn score() -> Scorer<'static> {
        Box::new(|units: &[usize]| units.iter().filter(|unit| **unit < 30).count() as f64 / units.len() as f64)
    }

    fn column(value: &str) -> SliceBy {
        SliceBy::Column {
            name: "source".into(),
            value: value.into(),
        }
    }

    #[test]
    fn a_part_is_worse_where_its_interval_is_and_where_it_has_rows_enough() {
        let parts = vec![
            (column("good"), (0..20).collect()),
            (column("even"), (10..40).collect()),
            (column("bad"), (30..40).collect()),
            (column("few"), (32..40).collect()),
        ];
        let found = slices(parts, 0.75, &score(), Direction::HigherIsBetter, &Bootstrap::default());
        let told: Vec<_> = found
            .iter()
            .map(|part| (part.rows, part.value, part.is_worse))
            .collect();
        assert_eq!(
            told,
            [
                (20, 1.0, false),
                (30, 2.0 / 3.0, false),
                (10, 0.0, true),
                (8, 0.0, false)
            ]
        );
        assert!(found[3].interval.is_none() && found[1].interval.is_some());
        let parts = vec![(column("good"), (0..20).collect())];
        let as_a_loss = slices(parts, 0.75, &score(), Direction::LowerIsBetter, &Bootstrap::default());
        assert!(as_a_loss[0].is_worse);
    }

    #[test]
    fn an_interval_of_a_share_is_the_binomials() {
        let units: Vec<usize> = (0..40).collect();
        let found = interval(&units, &score(), &Bootstrap::default()).expect("a score");
        // 0.75 ± 1.96·√(0.75·0.25/40) = 0.616 to 0.884.
        assert!(
            (found.low - 0.616).abs() < 0.03 && (found.high - 0.884).abs() < 0.03,
            "{found:?}"
        );
    }

    #[test]
    fn lengths_are_parted_into_quarters_and_equal_ones_stay_together() {
        let quarters = quartiles(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let told: Vec<_> = quarters
            .iter()
            .map(|(from, to, units)| (*from, *to, units.len()))
            .collect();
        assert_eq!(told, [(1, 2, 2), (3, 4, 2), (5, 6, 2), (7, 8, 2)]);
        let quarters = quartiles(&[5, 5, 5, 5, 5, 9]);
        let told: Vec<_> = quarters
            .iter()
            .map(|(from, to, units)| (*from, *to, units.clone()))
            .collect();
        assert_eq!(told, [(5, 5, vec![0, 1, 2, 3, 4]), (9, 9, vec![5])]);
        assert!(quartiles(&[4; 9]).is_empty() && quartiles(&[]).is_empty());
    }

    #[test]
    fn a_column_of_few_values_parts_the_rows() {
        let values = ["b", "a", "b"].map(Some);
        assert_eq!(
            by_value(&values),
            [("b".to_owned(), vec![0, 2]), ("a".to_owned(), vec![1])]
        );
        assert!(by_value(&[Some("a"), None]).is_empty());
    }
}
