//! What a run is trained on: the losses of every task, and which tokens a causal language model is trained on.
//!
//! A run file names a [`WeightedSum`] of losses; it is parsed and checked without a tensor. Its value is computed by plain
//! tensor operations on small outputs of a head, one file a family: `classification`, `regression`, `ranking`,
//! `contrastive`, `preference`; `evaluation` goes from the sum to them. The loss over a vocabulary is none of these: it is
//! [`crate::ops::vocabulary_loss`], computed in chunks.
//!
//! Every loss is Σ over the items that count, times `scale`; the mean is had with a scale of one over their number in the
//! whole accumulated batch, so that accumulation equals the large batch (transformers issue 34191).

mod parse;
mod weighted_sum;

#[cfg(feature = "engine")]
pub mod classification;
#[cfg(feature = "engine")]
pub mod contrastive;
#[cfg(feature = "engine")]
mod evaluation;
#[cfg(feature = "engine")]
pub mod preference;
#[cfg(feature = "engine")]
pub mod ranking;
#[cfg(feature = "engine")]
pub mod regression;

#[cfg(feature = "engine")]
pub use evaluation::Compared;
pub use weighted_sum::{Distance, Loss, Term, WeightedSum, usual};

#[cfg(feature = "files")]
use crate::data::Batch;

/// The label that is not trained on.
pub const IGNORED: i32 = -100;

/// Rows of the hidden states that predict a target, and those targets: token t predicts label t + 1 of its row.
///
/// Where more than 7 of 8 rows count, all rows are given, the others with the target −100: a gather would cost more.
#[cfg(feature = "files")]
pub fn targets(batch: &Batch) -> (Vec<usize>, Vec<f32>) {
    let mut all = Vec::with_capacity(batch.rows * batch.tokens);
    for labels in batch.labels.chunks(batch.tokens) {
        all.extend(labels.iter().skip(1).map(|&label| label as f32));
        all.push(IGNORED as f32);
    }
    counted(all)
}

/// The same where labels stand at the positions that predict them: masked language models and encoder-decoders.
#[cfg(feature = "files")]
pub fn targets_in_place(batch: &Batch) -> (Vec<usize>, Vec<f32>) {
    counted(batch.labels.iter().map(|&label| label as f32).collect())
}

#[cfg(feature = "files")]
fn counted(all: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    let counted: Vec<usize> = (0..all.len()).filter(|&row| all[row] != IGNORED as f32).collect();
    if counted.is_empty() || counted.len() * 8 > all.len() * 7 {
        return ((0..all.len()).collect(), all);
    }
    let targets = counted.iter().map(|&row| all[row]).collect();
    (counted, targets)
}

#[cfg(all(test, feature = "files"))]
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
    fn labels_in_place_are_their_own_positions_targets() {
        let (rows, targets) = targets_in_place(&batch(vec![-100, 5, 6, -100, -100, -100, -100, 7], 2));
        assert_eq!(rows, [1, 2, 7]);
        assert_eq!(targets, [5.0, 6.0, 7.0]);
    }

    #[test]
    fn a_batch_without_targets_keeps_its_rows() {
        let (rows, targets) = targets(&batch(vec![-100; 4], 1));
        assert_eq!((rows.len(), targets), (4, vec![-100.0; 4]));
    }
}
