//! Lorakeet's engine: fine-tuning of small language models on burn, in a browser tab and natively.
//!
//! Without the feature `engine` the crate holds only what a front end needs: [`protocol`] (commands in, events out),
//! [`config`] (run files), [`comparison`] (of runs), [`sweep`]s, [`loss`] as run files write it, [`lesson`]s, [`error`], and of [`metrics`]
//! thresholds and the sign test. `files` adds what reads and writes files (formats, tokenizer, data) and what scores with plain
//! numbers (metrics, baselines), and `engine` adds everything that touches a tensor.
//!
//! Shape letters used in all documentation: B batch rows, T tokens in a row, C width of the residual stream, H query heads,
//! K key/value heads, D width of a head, V vocabulary, R rank of an adapter, N = B·T tokens of a batch.

pub mod advice;
pub mod comparison;
pub mod config;
mod did_you_mean;
pub mod error;
pub mod lesson;
pub mod loss;
pub mod metrics;
pub mod protocol;
pub mod random;
pub mod sweep;
pub mod task;

#[cfg(feature = "files")]
pub mod baseline;
#[cfg(feature = "files")]
pub(crate) mod calibration;
#[cfg(feature = "files")]
pub mod chat;
#[cfg(feature = "files")]
pub mod data;
#[cfg(feature = "files")]
pub mod formats;
#[cfg(feature = "files")]
pub mod head_spec;
#[cfg(feature = "files")]
pub mod host;
#[cfg(feature = "files")]
pub mod own_class;
#[cfg(feature = "files")]
pub mod quant;
#[cfg(feature = "files")]
pub mod store;
#[cfg(feature = "files")]
pub mod tokenizer;

#[cfg(feature = "engine")]
pub mod device;
#[cfg(feature = "engine")]
pub mod estimate;
#[cfg(feature = "engine")]
pub mod export;
#[cfg(feature = "engine")]
pub(crate) mod finetune;
#[cfg(feature = "engine")]
pub mod generate;
#[cfg(feature = "engine")]
pub mod hub;
#[cfg(feature = "engine")]
pub(crate) mod loaded_model;
#[cfg(feature = "engine")]
pub mod models;
#[cfg(feature = "engine")]
pub mod ops;
#[cfg(feature = "engine")]
pub(crate) mod pictures;
#[cfg(feature = "engine")]
pub mod probe;
#[cfg(feature = "engine")]
pub mod session;
#[cfg(feature = "engine")]
pub mod tasks;
#[cfg(feature = "engine")]
pub mod train;

pub use error::{Error, Result};

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");
