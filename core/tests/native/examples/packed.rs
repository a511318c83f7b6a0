//! Packed rows: which examples are in them, and what is learnt of them.

use super::{made, parse, settings, tokenizer};
use lorakeet_core::data::{Example, Settings};
use lorakeet_core::loss::IGNORE_INDEX;
use lorakeet_core::random::Generator;

/// Texts of a few tokens and of many.
fn texts(count: usize, generator: &mut Generator) -> Vec<String> {
    let text = |at| format!("{at} the 🦜 and {}", "x".repeat(generator.below(40)));
    (0..count).map(text).collect()
}

fn lines(texts: &[String]) -> String {
    let line = |text: &String| format!("{}\n", serde_json::json!({ "text": text }));
    texts.iter().map(line).collect()
}

fn tokens(text: &str) -> Vec<u32> {
    tokenizer().encode(&format!("{text}<|endoftext|>"), false).unwrap()
}

/// Everything is learnt but the first tokens of examples that stand behind others.
fn assert_learnt(row: &Example) {
    let is_start = |at: usize| row.starts.iter().any(|start| start.token == at);
    for (at, (&label, &id)) in row.next_token_labels().iter().zip(&row.input_ids).enumerate() {
        assert_eq!(label, if is_start(at) { IGNORE_INDEX } else { id as i32 });
    }
}

#[test]
fn a_single_text_loses_no_token_but_those_that_fill_no_block() {
    let mut generator = Generator::new(17, "sample");
    for _ in 0..40 {
        let text = texts(1, &mut generator);
        let cutoff_len = 2 + generator.below(30);
        let (items, notes) = made(&parse("a.jsonl", &lines(&text)), None, &settings(cutoff_len, true));
        let ids: Vec<u32> = items.iter().flat_map(|item| item.input_ids.clone()).collect();
        let expected = tokens(&text[0]);
        assert_eq!(ids, expected[..ids.len()]);
        if expected.len() >= cutoff_len {
            assert!(items.iter().all(|item| item.input_ids.len() == cutoff_len));
            assert!(expected.len() - ids.len() < cutoff_len);
            assert_eq!(
                notes.iter().any(|note| note.starts_with("Left out")),
                expected.len() > ids.len()
            );
        } else {
            assert_eq!(ids.len(), expected.len());
        }
        items.iter().for_each(assert_learnt);
    }
}

#[test]
fn several_texts_lose_no_token_and_stay_apart() {
    let mut generator = Generator::new(23, "sample");
    for _ in 0..40 {
        let count = 2 + generator.below(6);
        let texts = texts(count, &mut generator);
        let cutoff_len = 3 + generator.below(40);
        let (items, notes) = made(&parse("a.jsonl", &lines(&texts)), None, &settings(cutoff_len, true));
        assert!(notes.is_empty(), "{notes:?}");
        assert!(items.iter().all(|item| item.input_ids.len() <= cutoff_len));
        items.iter().for_each(assert_learnt);
        let pieces: Vec<Example> = items.iter().flat_map(Example::apart).collect();
        for (number, text) in (1..).zip(&texts) {
            let mut found: Vec<u32> = pieces
                .iter()
                .filter(|piece| piece.row == number)
                .flat_map(|piece| piece.input_ids.clone())
                .collect();
            let mut wanted = tokens(text);
            // A text that fits is one piece; others have theirs in any rows.
            let whole = pieces
                .iter()
                .any(|piece| piece.row == number && piece.input_ids == wanted);
            assert_eq!(whole, wanted.len() <= cutoff_len);
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found, wanted);
        }
        // Two rows that fit into one are one.
        let mut lengths: Vec<usize> = items.iter().map(|item| item.input_ids.len()).collect();
        lengths.sort_unstable();
        assert!(lengths.len() < 2 || lengths[0] + lengths[1] > cutoff_len, "{lengths:?}");
    }
}

#[test]
fn a_packed_row_knows_the_rows_that_are_in_it() {
    let data = parse(
        "a.jsonl",
        "{\"text\": \"123456\"}\n{\"text\": \"12\"}\n{\"text\": \"123456\"}\n",
    );
    let rows = |cutoff_len| {
        let (items, _) = made(&data, None, &settings(cutoff_len, true));
        let numbers = items.iter().map(|item| item.row_numbers().collect());
        numbers.collect::<Vec<Vec<usize>>>()
    };
    // 7, 3 and 7 tokens: 4 + 3, 3, 4 + 3; 5 + 2, 3, 5 + 2; whole.
    assert_eq!(rows(4), [[1], [1], [2], [3], [3]]);
    assert_eq!(rows(6), [vec![1], vec![1, 2], vec![3], vec![3]]);
    assert_eq!(rows(10), [vec![1, 2], vec![3]]);
    assert_eq!(rows(17), [vec![1, 2, 3]]);
}

#[test]
fn packed_instructions_are_those_of_rows_that_are_not_packed() {
    let mut generator = Generator::new(29, "sample");
    let rows: String = (0..30)
        .map(|at| {
            let (prompt, completion) = ("q".repeat(1 + generator.below(30)), "a".repeat(1 + generator.below(30)));
            let prompt = format!("{at} {prompt}");
            format!(
                "{}\n",
                serde_json::json!({ "prompt": prompt, "completion": completion })
            )
        })
        .collect();
    let data = parse("a.jsonl", &rows);
    for cutoff_len in [20, 40, 64, 200] {
        let (single, said) = made(&data, None, &settings(cutoff_len, false));
        let (packed, said_of_packed) = made(&data, None, &settings(cutoff_len, true));
        assert_eq!(said, said_of_packed, "cut and dropped alike");
        // With the words of the template hardly two fit into fewer tokens.
        assert!(packed.len() < single.len() || cutoff_len < 200, "{}", packed.len());
        let mut apart: Vec<Example> = packed.iter().flat_map(Example::apart).collect();
        apart.sort_by_key(|example| example.row);
        assert_eq!(apart, single);
        assert_eq!(packed, made(&data, None, &settings(cutoff_len, true)).0);
        let targets = |items: &[Example]| items.iter().map(Example::target_tokens).sum::<usize>();
        assert_eq!(targets(&packed), targets(&single));
    }
}

#[test]
fn of_packed_examples_the_first_so_many_are_taken() {
    let data = parse("a.jsonl", &lines(&["1".into(), "22".into(), "3".into(), "444".into()]));
    let some = Settings {
        max_samples: Some(3),
        ..settings(64, true)
    };
    let (items, _) = made(&data, None, &some);
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].row_numbers().collect::<Vec<_>>(), [1, 2, 3]);
}
