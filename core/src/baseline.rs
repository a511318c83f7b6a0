//! Baselines: the scores without tuning that a tuned model has to beat, and whether it does.
//!
//! Before training, beside the base model's own score: [`constant`] (the majority class, the mean), [`lexical`] (BM25),
//! [`probe`] (nearest centroid and a linear probe on the base model's vectors), and [`linear_head`], a probe as a model's last layer.
//! [`crate::metrics::bootstrap`] says whether one scoring
//! is better than another on the same rows, or whether that is chance. All of it is plain numbers in f64, and the same
//! for the same input everywhere; where the vectors come from is the models' business.

pub mod constant;
pub mod lexical;
pub mod linear_head;
pub mod probe;
