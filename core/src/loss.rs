//! What a run is trained on: the losses of every task.
//!
//! A run file names a [`WeightedSum`] of losses; it is parsed and checked without a tensor. Its value is computed by plain
//! tensor operations on small outputs of a head, one file a family: `classification`, `regression`, `ranking`,
//! `contrastive`, `preference`; `evaluation` goes from the sum to them. The loss over a vocabulary is none of these: it is
//! [`crate::ops::vocabulary_loss`], computed in chunks.
//!
//! Every loss is Σ over the items that count, times `scale`; the mean is obtained with a scale of one over their number in the
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

/// The label that is not trained on, as torch and transformers have it.
pub const IGNORE_INDEX: i32 = -100;
