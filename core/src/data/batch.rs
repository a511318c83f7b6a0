//! From examples to batches: the validation split, the order of an epoch, padding, and the place to go on from.

use super::{Example, Target};
use crate::error::{Error, Result};
use crate::loss::IGNORE_INDEX;
use crate::random::Generator;
use lorakeet_i18n::messages::data as msg;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Divides `n` examples into those to train on and those held out, both in rising order.
///
/// `val_size` below 1 is a share (rounded up, so that a small share of few examples still holds one out), 1 and above a
/// number, 0 holds nothing out. A share of a single example holds nothing out either; a number that leaves nothing to
/// train on is an error.
pub fn split(n: usize, val_size: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
    let held_out = held_out(n, val_size)?;
    let mut all: Vec<usize> = (0..n).collect();
    Generator::new(seed, "split").shuffle(&mut all);
    let mut train = all.split_off(held_out);
    train.sort_unstable();
    all.sort_unstable();
    Ok((train, all))
}

/// As [`split`], with each class's share of the whole among those held out too, as near as whole examples allow:
/// `classes[i]` is the class of example i.
///
/// Of h examples held out, class c gets ⌊h·n_c/n⌋, and the largest remainders one more (the first class first where they are
/// equal). A class gives its last example to training as long as another can give one instead.
///
/// # Errors
/// As [`split`].
pub fn split_by_class(classes: &[usize], val_size: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
    let n = classes.len();
    let held_out = held_out(n, val_size)?;
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for class in classes {
        *counts.entry(*class).or_default() += 1;
    }
    // u128: the product of two lengths.
    let share = |count: usize| held_out as u128 * count as u128;
    let whole = n.max(1) as u128;
    let mut quotas: BTreeMap<usize, usize> = counts
        .iter()
        .map(|(class, count)| (*class, ((share(*count) / whole) as usize).min(count - 1)))
        .collect();
    let mut left = held_out - quotas.values().sum::<usize>();
    let mut by_remainder: Vec<(usize, usize)> = counts.iter().map(|(class, count)| (*class, *count)).collect();
    by_remainder.sort_by_key(|(_, count)| std::cmp::Reverse(share(*count) % whole));
    // First those that keep an example to train on, again and again where many may give none, at last all of them.
    for spares in [1, 0] {
        let mut gave = true;
        while left > 0 && gave {
            gave = false;
            for (class, count) in &by_remainder {
                if let Some(quota) = quotas.get_mut(class)
                    && left > 0
                    && *quota + spares < *count
                {
                    *quota += 1;
                    left -= 1;
                    gave = true;
                }
            }
        }
    }
    let mut all: Vec<usize> = (0..n).collect();
    Generator::new(seed, "split").shuffle(&mut all);
    let (mut held, mut train) = (Vec::with_capacity(held_out), Vec::with_capacity(n - held_out));
    for example in all {
        match quotas.get_mut(&classes[example]) {
            Some(quota) if *quota > 0 => {
                *quota -= 1;
                held.push(example);
            }
            _ => train.push(example),
        }
    }
    train.sort_unstable();
    held.sort_unstable();
    Ok((train, held))
}

/// How many of `n` examples are held out.
fn held_out(n: usize, val_size: f64) -> Result<usize> {
    if !(val_size >= 0.0 && val_size.is_finite()) {
        return Err(Error::config(msg::ValSizeUnusable { got: val_size }).field("val_size"));
    }
    if val_size < 1.0 {
        // 1e-9: 0.1 × 30 is a little more than 3, but nobody means 4.
        return Ok(((val_size * n as f64 - 1e-9).ceil().max(0.0) as usize).min(n.saturating_sub(1)));
    }
    let held_out = val_size.round() as usize;
    if held_out >= n {
        let error = Error::config(msg::NoneLeftToTrain { held_out, examples: n }).field("val_size");
        return Err(error.remedy(msg::GiveShare));
    }
    Ok(held_out)
}

/// The order in which epoch `epoch` (from 0) goes through `n` examples: a permutation of 0..n.
///
/// Each epoch has a generator of its own, so a resumed run needs no state but the epoch's number.
pub fn order(n: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    Generator::new(seed, &format!("order {epoch}")).shuffle(&mut order);
    order
}

/// Where a run stands in its data: with the seed, all that exact resumption needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// Epochs completed.
    pub epoch: usize,
    /// Examples used in the epoch under way; always below the number of examples.
    pub position: usize,
}

impl Cursor {
    /// Takes the next `rows` examples, fewer at the end of an epoch, which no batch reaches across.
    ///
    /// `order` is the epoch's [`order`]; when the epoch ends, the cursor stands at the start of the next one.
    pub fn take<'a>(&mut self, order: &'a [usize], rows: usize) -> &'a [usize] {
        let start = self.position.min(order.len());
        let end = (start + rows.max(1)).min(order.len());
        if end == order.len() {
            *self = Self {
                epoch: self.epoch + 1,
                position: 0,
            };
        } else {
            self.position = end;
        }
        &order[start..end]
    }

    /// The rows of the next optimizer step: `batches` times `rows` examples, fewer batches where the epoch ends.
    ///
    /// `order` is that of the epoch under way.
    pub fn take_step(&mut self, order: &[usize], rows: usize, batches: usize) -> Vec<Vec<usize>> {
        let epoch = self.epoch;
        let mut step = Vec::with_capacity(batches);
        while step.len() < batches && self.epoch == epoch {
            step.push(self.take(order, rows).to_vec());
        }
        step
    }
}

/// The side on which short rows are filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaddingSide {
    /// After the text.
    #[default]
    Right,
    /// In front of the text.
    Left,
}

/// Rows of equal length, row by row: [B, T] in each list unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// B.
    pub rows: usize,
    /// T.
    pub tokens: usize,
    /// Token ids, padding included.
    pub input_ids: Vec<u32>,
    /// 1 on text, 0 on padding.
    pub attention_mask: Vec<f32>,
    /// What position t should hold (not yet shifted) or which class it has, [`IGNORE_INDEX`] where nothing is learnt. Of an
    /// encoder-decoder, the answers: rows of a length of their own. Empty where whole rows are labelled.
    pub labels: Vec<i32>,
    /// BERT's segments, 0 or 1; empty where all are 0.
    pub token_type_ids: Vec<u32>,
    /// Where rows hold several examples (packing), the position of each token in its own; empty where all count from the row's start.
    pub position_ids: Vec<u32>,
    /// What goes into a model that takes numbers instead of tokens, as many of each row; else empty.
    pub features: Vec<f32>,
    /// What whole rows are labelled with, one or more numbers a row: a class, numbers, or 0 and 1 for each class; else empty.
    pub row_labels: Vec<f32>,
    /// Of rows that belong together, which example of the batch each is of, and which of its texts, from 0; else empty.
    pub members: Vec<(usize, usize)>,
    /// Labels that are predicted (those that a position stands in front of, all of a classifier): what the loss is a mean over.
    pub target_tokens: usize,
    /// Tokens that are not padding, or numbers.
    pub input_tokens: usize,
}

impl Batch {
    /// The mask that attention is given: `attention_mask`, or, where rows hold several examples, for each token the place of the first
    /// one of its example, counted from 1, and 0 for padding.
    pub(crate) fn key_mask(&self) -> Vec<f32> {
        if self.position_ids.is_empty() {
            return self.attention_mask.clone();
        }
        let tokens = self.attention_mask.iter().zip(&self.position_ids).enumerate();
        let number = |(place, (mask, position)): (usize, (&f32, &u32))| match *mask == 0.0 {
            true => 0.0,
            false => (place % self.tokens + 1).saturating_sub(*position as usize) as f32,
        };
        tokens.map(number).collect()
    }
}

/// Fills the examples up to the longest, which `padded` rounds up.
///
/// The first token of a row is never a target: with left padding it would be predicted from padding, and the loss of a
/// row must not depend on the side of its padding.
///
/// An example with other texts is as many rows, one behind the other. Where an example is several in one row, the positions of all
/// rows are told.
pub fn collate(examples: &[&Example], pad_id: u32, side: PaddingSide, padded: impl Fn(usize) -> usize) -> Batch {
    let texts = || {
        examples.iter().enumerate().flat_map(|(place, example)| {
            let texts = std::iter::once(*example).chain(&example.others);
            texts.enumerate().map(move |(text, example)| ((place, text), example))
        })
    };
    let longest = |length: fn(&Example) -> usize| texts().map(|(_, example)| length(example)).max().unwrap_or(0);
    let tokens = padded(longest(|example| example.input_ids.len()));
    let answer = longest(|example| match &example.target {
        Target::Answer(labels) => labels.len(),
        _ => 0,
    });
    let answer = padded(answer);
    let rows = texts().count();
    let mut batch = Batch {
        rows,
        tokens,
        input_ids: vec![pad_id; rows * tokens],
        attention_mask: vec![0.0; rows * tokens],
        labels: vec![IGNORE_INDEX; rows * if answer > 0 { answer } else { tokens }],
        ..Batch::default()
    };
    if texts().any(|(_, example)| !example.token_type_ids.is_empty()) {
        batch.token_type_ids = vec![0; rows * tokens];
    }
    let is_packed = texts().any(|(_, example)| !example.starts.is_empty());
    if is_packed {
        batch.position_ids = vec![0; rows * tokens];
    }
    if rows > examples.len() {
        batch.members = texts().map(|(member, _)| member).collect();
    }
    for (row, (_, example)) in texts().enumerate() {
        let length = example.input_ids.len();
        let start = row * tokens
            + match side {
                PaddingSide::Right => 0,
                PaddingSide::Left => tokens - length,
            };
        batch.input_ids[start..start + length].copy_from_slice(&example.input_ids);
        batch.attention_mask[start..start + length].fill(1.0);
        if !example.token_type_ids.is_empty() {
            batch.token_type_ids[start..start + length].copy_from_slice(&example.token_type_ids);
        }
        if is_packed {
            // Padding behind a row counts on.
            let end = (row + 1) * tokens - start;
            let mut first = 0;
            for next in example.starts.iter().map(|start| start.token).chain([end]) {
                for place in first..next {
                    batch.position_ids[start + place] = (place - first) as u32;
                }
                first = next;
            }
        }
        match &example.target {
            Target::Answer(labels) => {
                let start = row * answer;
                batch.labels[start..start + labels.len()].copy_from_slice(labels);
            }
            Target::Tokens(labels) => batch.labels[start..start + length].copy_from_slice(labels),
            Target::NextTokens | Target::Row(_) if length > 1 => {
                batch.labels[start + 1..start + length].copy_from_slice(&example.next_token_labels()[1..]);
            }
            Target::NextTokens | Target::Row(_) => {}
        }
        if let Target::Row(labels) = &example.target {
            batch.row_labels.extend(labels);
        }
        batch.features.extend_from_slice(&example.features);
        batch.input_tokens += length + example.features.len();
    }
    batch.target_tokens = examples.iter().map(|example| example.target_tokens()).sum();
    batch
}

/// Rows of the hidden states that predict a target, and those targets: token t predicts label t + 1 of its row.
///
/// Where more than 7 of 8 rows count, all rows are given, the others with the target −100: a gather would cost more. Else those
/// that count come first, and others fill them up to [`TARGET_PARTS`] of all.
pub fn targets(batch: &Batch) -> (Vec<usize>, Vec<f32>) {
    let mut all = Vec::with_capacity(batch.rows * batch.tokens);
    for labels in batch.labels.chunks(batch.tokens) {
        all.extend(labels.iter().skip(1).map(|&label| label as f32));
        all.push(IGNORE_INDEX as f32);
    }
    counted(all)
}

/// The same where labels stand at the positions that predict them: masked language models and encoder-decoders.
pub fn unshifted_targets(batch: &Batch) -> (Vec<usize>, Vec<f32>) {
    counted(batch.labels.iter().map(|&label| label as f32).collect())
}

/// Rows that count are filled up to so many parts of all: few shapes, for which a GPU holds its buffers.
pub const TARGET_PARTS: usize = 8;

fn counted(all: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    let counts = |row: &usize| all[*row] != IGNORE_INDEX as f32;
    let mut counted: Vec<usize> = (0..all.len()).filter(counts).collect();
    if counted.is_empty() || counted.len() * TARGET_PARTS > all.len() * (TARGET_PARTS - 1) {
        return ((0..all.len()).collect(), all);
    }
    let filled = counted.len().next_multiple_of(all.len().div_ceil(TARGET_PARTS));
    let others = (0..all.len()).filter(|row| !counts(row));
    counted.extend(others.take(filled - counted.len()).collect::<Vec<_>>());
    let targets = counted.iter().map(|&row| all[row]).collect();
    (counted, targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(labels: Vec<i32>, rows: usize) -> Batch {
        let tokens = labels.len() / rows;
        Batch {
            rows,
            tokens,
            input_ids: vec![0; labels.len()],
            attention_mask: vec![1.0; labels.len()],
            target_tokens: 0,
            input_tokens: labels.len(),
            labels,
            ..Batch::default()
        }
    }

    #[test]
    fn a_token_predicts_the_next_label_of_its_own_row() {
        let (rows, targets) = targets(&batch(vec![-100, 5, 6, -100, -100, -100, -100, 7], 2));
        assert_eq!(rows, [0, 1, 6]);
        assert_eq!(targets, [5.0, 6.0, 7.0]);
    }

    #[test]
    fn rows_that_count_come_to_eighths_of_all() {
        let sizes = (1..=32).map(|counting| {
            let all: Vec<f32> = (0..32).map(|row| if row < counting { 1.0 } else { -100.0 }).collect();
            let (rows, targets) = counted(all);
            assert_eq!(
                targets.iter().filter(|&&target| target == 1.0).count(),
                counting as usize
            );
            assert!(rows.is_sorted());
            rows.len()
        });
        let mut sizes: Vec<usize> = sizes.collect();
        sizes.dedup();
        assert_eq!(sizes, [4, 8, 12, 16, 20, 24, 28, 32]);
    }

    #[test]
    fn labels_in_place_are_their_own_positions_targets() {
        let (rows, targets) = unshifted_targets(&batch(vec![-100, 5, 6, -100, -100, -100, -100, 7], 2));
        assert_eq!(rows, [1, 2, 7]);
        assert_eq!(targets, [5.0, 6.0, 7.0]);
    }

    #[test]
    fn the_mask_tells_the_examples_of_a_row_apart() {
        let plain = Batch {
            attention_mask: vec![1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0],
            ..batch(vec![-100; 8], 2)
        };
        assert_eq!(plain.key_mask(), plain.attention_mask);
        let packed = Batch {
            position_ids: vec![0, 0, 1, 2, 0, 1, 2, 3],
            ..plain
        };
        assert_eq!(packed.key_mask(), [1.0, 2.0, 2.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn a_batch_without_targets_keeps_its_rows() {
        let (rows, targets) = targets(&batch(vec![-100; 4], 1));
        assert_eq!((rows.len(), targets), (4, vec![-100.0; 4]));
    }
}
