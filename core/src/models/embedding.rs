//! An embedding of the base, optionally with an adapter, a trained copy or trained rows.
//!
//! An output matrix that is tied to the embedding does not use the adapter or the copy, as in PEFT; trained rows it has, too.

use super::token_rows::TokenRows;
use super::{
    Pass,
    load::{Init, Loader, Role},
    matrix::Matrix,
};
use crate::{error::Result, models::lora::Lora};
use burn::tensor::Tensor;

/// W \[V, C\] at a module's path.
pub(crate) struct Embedding {
    /// The module's path, such as `model.embed_tokens`.
    pub(crate) path: String,
    pub(crate) matrix: Matrix,
    pub(crate) lora: Option<Lora>,
    /// The trained copy that is used in its place with the adapter (PEFT's `modules_to_save`).
    pub(crate) whole: Option<Matrix>,
    /// Rows that are trained, the others frozen (PEFT's `trainable_token_indices`).
    pub(crate) rows: Option<TokenRows>,
}

impl Embedding {
    /// Reads the table at `path`; `shape` is \[V, C\].
    pub(crate) async fn load(loader: &mut Loader<'_>, path: String, shape: [usize; 2]) -> Result<Self> {
        let matrix = loader
            .matrix(&format!("{path}.weight"), shape, Init::Normal, Role::Table)
            .await?;
        Ok(Self {
            path,
            matrix,
            lora: None,
            whole: None,
            rows: None,
        })
    }

    /// Rows by number; ids \[n\] → \[n, C\].
    pub(crate) fn gather(&self, ids: Tensor<1>, pass: &Pass) -> Tensor<2> {
        match (&self.whole, &self.lora, &self.rows) {
            (Some(whole), ..) if pass.use_adapter => whole.gather(ids, pass.leaves),
            (_, Some(lora), _) if pass.use_adapter => lora.gather(ids, &self.matrix, pass),
            (.., Some(rows)) if pass.use_adapter => rows.gather(ids, &self.matrix, pass.leaves),
            _ => self.matrix.gather(ids, pass.leaves),
        }
    }
}
