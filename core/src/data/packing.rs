//! Several examples in one row of tokens: fewer rows, less padding, and none sees another.
//!
//! Positions begin anew at each ([`super::Batch::position_ids`]) and attention stays within each, so that a packed run computes what an
//! unpacked one of larger batches does.

use super::{Example, Start};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Joins examples into rows of at most `most` tokens, which none of them exceeds: best-fit decreasing, as TRL's `packing_strategy: bfd`
/// (Ding et al. 2024, arXiv 2404.10830). The longest are placed first, each into the fullest row with room for it; those of equal
/// length in their order. Rows are in the order of their first examples, and so are the examples of a row.
pub(super) fn packed(examples: Vec<Example>, most: usize) -> Vec<Example> {
    let length = |place: usize| examples[place].input_ids.len();
    let mut places: Vec<usize> = (0..examples.len()).collect();
    places.sort_by_key(|&place| Reverse(length(place)));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    // The tokens that a row has room for, and its number.
    let mut rooms: BTreeSet<(usize, usize)> = BTreeSet::new();
    for place in places {
        let length = length(place);
        let fullest = rooms.range((length, 0)..).next().copied();
        let (room, row) = fullest.unwrap_or((most, rows.len()));
        if !rooms.remove(&(room, row)) {
            rows.push(Vec::new());
        }
        rows[row].push(place);
        rooms.insert((room - length, row));
    }
    for row in &mut rows {
        row.sort_unstable();
    }
    rows.sort_unstable();
    let mut examples: Vec<Option<Example>> = examples.into_iter().map(Some).collect();
    let rows = rows.into_iter().filter_map(|places| {
        let members = places.into_iter().filter_map(|place| examples[place].take());
        members.reduce(joined)
    });
    rows.collect()
}

/// `row` with another example behind it. Neither was cut: what was fills a row.
fn joined(mut row: Example, next: Example) -> Example {
    let token = row.input_ids.len();
    row.starts.push(Start { token, row: next.row });
    row.input_ids.extend(next.input_ids);
    row.labels.extend(next.labels);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An example of `length` tokens, all of them its number.
    fn example(number: u32, length: usize) -> Example {
        Example {
            input_ids: vec![number; length],
            labels: vec![number as i32; length],
            row: number as usize,
            ..Example::default()
        }
    }

    #[test]
    fn each_example_goes_into_the_fullest_row_with_room_for_it() {
        let lengths = [3, 6, 2, 5, 4, 2];
        let examples = (1..).zip(lengths).map(|(number, length)| example(number, length));
        let rows = packed(examples.collect(), 8);
        let of_row = |row: &Example| {
            let starts: Vec<usize> = row.starts.iter().map(|start| start.token).collect();
            (row.row_numbers().collect::<Vec<_>>(), row.input_ids.len(), starts)
        };
        let found: Vec<_> = rows.iter().map(of_row).collect();
        // 6 + 2, 5 + 3, 4 + 2 of 8 tokens each.
        let wanted = [
            (vec![1, 4], 8, vec![3]),
            (vec![2, 3], 8, vec![6]),
            (vec![5, 6], 6, vec![4]),
        ];
        assert_eq!(found, wanted);
        assert_eq!(rows[0].next_token_labels(), [1, 1, 1, -100, 4, 4, 4, 4]);
        let apart: Vec<Example> = rows.iter().flat_map(Example::apart).collect();
        let lengths: Vec<usize> = apart.iter().map(|example| example.input_ids.len()).collect();
        assert_eq!(lengths, [3, 5, 6, 2, 4, 2]);
        assert!(apart.iter().all(|example| {
            example.input_ids.iter().all(|&id| id as usize == example.row) && example.starts.is_empty()
        }));
    }

    #[test]
    fn no_token_is_lost_whatever_the_lengths_and_rows_are_the_same_each_time() {
        let lengths = |seed: usize| (0..40).map(move |i| 2 + (i * 7919 + seed * 104_729) % 30);
        for seed in 0..20 {
            let made = || (1..).zip(lengths(seed)).map(|(number, length)| example(number, length));
            let rows = packed(made().collect(), 31);
            assert_eq!(rows, packed(made().collect(), 31));
            assert!(rows.iter().all(|row| row.input_ids.len() <= 31));
            let mut tokens: Vec<u32> = rows.iter().flat_map(|row| row.input_ids.clone()).collect();
            tokens.sort_unstable();
            assert_eq!(
                tokens,
                made().flat_map(|example| example.input_ids).collect::<Vec<u32>>()
            );
            // All but one token of each example is learnt.
            let learnt: usize = rows.iter().map(Example::target_tokens).sum();
            assert_eq!(learnt, tokens.len() - 40);
        }
    }

    #[test]
    fn rows_without_room_for_another_stay_as_they_are() {
        let examples = vec![example(1, 8), example(2, 7), example(3, 8)];
        assert_eq!(packed(examples.clone(), 8), examples);
        assert!(packed(Vec::new(), 8).is_empty());
    }
}
