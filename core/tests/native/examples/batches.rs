//! Examples in their order, split and filled up to batches.

use lorakeet_core::data::{Batch, Cursor, Example, PaddingSide, Start, collate, order, split, split_by_class};
use lorakeet_core::loss::IGNORE_INDEX;

#[test]
fn splits_are_seeded_disjoint_and_complete() {
    for (n, val_size, held_out) in [
        (100, 0.1, 10),
        (30, 0.1, 3),
        (5, 0.01, 1),
        (2, 0.9, 1),
        (1, 0.5, 0),
        (9, 0.0, 0),
        (9, 4.0, 4),
    ] {
        let (train, eval) = split(n, val_size, 42).unwrap();
        assert_eq!(eval.len(), held_out, "{n} {val_size}");
        let mut all = [train.clone(), eval.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..n).collect::<Vec<_>>());
        assert_eq!(split(n, val_size, 42).unwrap(), (train, eval));
    }
    assert_ne!(split(100, 0.1, 1).unwrap(), split(100, 0.1, 2).unwrap());
    for wrong in [9.0, 10.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(split(9, wrong, 42).unwrap_err().field_name(), Some("val_size"));
    }
}

#[test]
fn a_split_by_class_keeps_the_shares_of_the_classes() {
    // 60, 30, 9 and 1 of 100, in turn.
    let classes: Vec<usize> = (0..100)
        .map(|i| match i * 37 % 100 {
            0..60 => 0,
            60..90 => 5,
            90..99 => 2,
            _ => 7,
        })
        .collect();
    let of = |examples: &[usize], class: usize| examples.iter().filter(|&&i| classes[i] == class).count();
    for (val_size, shares) in [
        (0.1, [6, 3, 1, 0]),
        (0.2, [12, 6, 2, 0]),
        (50.0, [30, 15, 5, 0]),
        (1.0, [1, 0, 0, 0]),
        (0.0, [0; 4]),
        // Every class keeps an example to train on, as long as there are others.
        (96.0, [59, 29, 8, 0]),
        (98.0, [59, 29, 9, 1]),
    ] {
        let (train, held_out) = split_by_class(&classes, val_size, 42).unwrap();
        assert_eq!([0, 5, 2, 7].map(|class| of(&held_out, class)), shares, "{val_size}");
        let mut all = [train.clone(), held_out.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert!(train.is_sorted() && held_out.is_sorted());
        assert_eq!(split_by_class(&classes, val_size, 42).unwrap(), (train, held_out));
    }
    assert_ne!(
        split_by_class(&classes, 0.2, 1).unwrap(),
        split_by_class(&classes, 0.2, 2).unwrap()
    );
    // One class only, and none at all, is a split as any other.
    assert_eq!(split_by_class(&[3; 20], 0.25, 9).unwrap(), split(20, 0.25, 9).unwrap());
    assert_eq!(split_by_class(&[], 0.5, 9).unwrap(), (Vec::new(), Vec::new()));
    assert!(split_by_class(&[1, 1], 2.0, 9).is_err());
}

#[test]
fn every_epoch_is_another_permutation_and_the_same_when_asked_again() {
    let orders: Vec<Vec<usize>> = (0..4).map(|epoch| order(50, 42, epoch)).collect();
    for (epoch, order_of_epoch) in orders.iter().enumerate() {
        let mut sorted = order_of_epoch.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_eq!(*order_of_epoch, order(50, 42, epoch));
        assert!(orders[..epoch].iter().all(|earlier| earlier != order_of_epoch));
    }
}

#[test]
fn a_saved_cursor_goes_on_with_the_same_examples() {
    let (n, seed) = (7, 3);
    let take = |cursor: &mut Cursor| {
        let order = order(n, seed, cursor.epoch);
        cursor.take(&order, 3).to_vec()
    };
    let mut cursor = Cursor::default();
    let unbroken: Vec<Vec<usize>> = (0..9).map(|_| take(&mut cursor)).collect();
    assert_eq!(
        unbroken.iter().map(Vec::len).collect::<Vec<_>>(),
        [3, 3, 1, 3, 3, 1, 3, 3, 1]
    );
    assert_eq!(cursor, Cursor { epoch: 3, position: 0 });
    for stop in 0..9 {
        let mut cursor = Cursor::default();
        let mut seen: Vec<Vec<usize>> = (0..stop).map(|_| take(&mut cursor)).collect();
        let saved = serde_json::to_string(&cursor).unwrap();
        let mut cursor: Cursor = serde_json::from_str(&saved).unwrap();
        seen.extend((stop..9).map(|_| take(&mut cursor)));
        assert_eq!(seen, unbroken);
    }
}

pub(super) fn example(ids: &[u32], masked: usize) -> Example {
    let labels = ids
        .iter()
        .enumerate()
        .map(|(at, &id)| if at < masked { IGNORE_INDEX } else { id as i32 })
        .collect();
    Example {
        input_ids: ids.to_vec(),
        labels,
        row: 1,
        ..Example::default()
    }
}

#[test]
fn short_rows_are_filled_up_on_the_chosen_side() {
    let (long, short) = (example(&[1, 2, 3, 4], 2), example(&[5, 6], 0));
    let right = collate(&[&long, &short], 9, PaddingSide::Right, |longest| longest);
    assert_eq!(
        right,
        Batch {
            rows: 2,
            tokens: 4,
            input_ids: vec![1, 2, 3, 4, 5, 6, 9, 9],
            attention_mask: vec![1., 1., 1., 1., 1., 1., 0., 0.],
            labels: vec![-100, -100, 3, 4, -100, 6, -100, -100],
            target_tokens: 3,
            input_tokens: 6,
            ..Batch::default()
        }
    );
    let left = collate(&[&long, &short], 9, PaddingSide::Left, |longest| longest);
    assert_eq!(left.input_ids, [1, 2, 3, 4, 9, 9, 5, 6]);
    assert_eq!(left.attention_mask, [1., 1., 1., 1., 0., 0., 1., 1.]);
    assert_eq!(left.labels, [-100, -100, 3, 4, -100, -100, -100, 6]);
    assert_eq!((left.target_tokens, left.input_tokens), (3, 6));
    let wide = collate(&[&long, &short], 9, PaddingSide::Right, |longest| {
        longest.next_multiple_of(8)
    });
    assert_eq!((wide.tokens, wide.input_ids.len(), wide.target_tokens), (8, 16, 3));
}

#[test]
fn positions_begin_anew_at_each_example_of_a_packed_row() {
    let packed = Example {
        starts: [2, 3].map(|token| Start { token, row: token }).to_vec(),
        ..example(&[1, 2, 3, 4, 5], 0)
    };
    let single = example(&[6, 7, 8], 0);
    let collated = |rows: &[&Example], side| collate(rows, 9, side, |longest| longest.next_multiple_of(4));
    let right = collated(&[&packed, &single], PaddingSide::Right);
    assert_eq!(right.position_ids, [0, 1, 0, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 7]);
    let left = collated(&[&packed, &single], PaddingSide::Left);
    assert_eq!(left.position_ids, [0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert!(collated(&[&single], PaddingSide::Right).position_ids.is_empty());
}

#[test]
fn target_tokens_are_the_labels_that_a_position_predicts() {
    for side in [PaddingSide::Left, PaddingSide::Right] {
        let batch = collate(
            &[&example(&[1, 2, 3], 0), &example(&[1, 2, 3, 4, 5], 3)],
            0,
            side,
            |longest| longest.next_multiple_of(4),
        );
        let shifted =
            (0..batch.rows).flat_map(|row| batch.labels[row * batch.tokens + 1..(row + 1) * batch.tokens].to_vec());
        assert_eq!(
            shifted.filter(|&label| label != IGNORE_INDEX).count(),
            batch.target_tokens
        );
    }
}
