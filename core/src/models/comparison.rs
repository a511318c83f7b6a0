//! Two adapters or two models that a person compares, whichever program wrote them.

use crate::error::{Error, Result};
use crate::formats::ModelFiles;
use crate::formats::adapter_files::{AdapterFiles, AdapterModules, holds_adapter};
use crate::formats::diff::{Difference, compare_adapters, compare_models_in_turns, need_base};
use crate::store::Source;
use lorakeet_i18n::messages::formats as msg;

/// One side of a comparison.
pub enum Side {
    /// An adapter.
    Adapter(Box<AdapterModules>),
    /// A model.
    Model(Box<ModelFiles>),
}

impl Side {
    /// Opens one: an adapter, under the names of `base` where there is one, or a model.
    ///
    /// # Errors
    /// The files are neither, break their format, or do not belong to the base.
    pub async fn open(files: Vec<Source>, base: Option<&ModelFiles>) -> Result<Self> {
        if !holds_adapter(&files).await? {
            return Ok(Self::Model(Box::new(ModelFiles::open(files).await?)));
        }
        let adapter = AdapterFiles::open(files).await?;
        let modules = match base {
            Some(base) => AdapterModules::of_peft(&base.on_base(adapter).await?)?,
            None => adapter.modules()?,
        };
        Ok(Self::Adapter(Box::new(modules)))
    }

    /// Whether both are adapters whose modules have names in common with a base only.
    pub fn needs_base(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Adapter(one), Self::Adapter(other)) => need_base(one, other),
            _ => false,
        }
    }

    /// Compares two of a kind; also whether they are adapters. `turn` is that of [`compare_models_in_turns`].
    ///
    /// # Errors
    /// One is a model and the other an adapter; as [`compare_adapters`] and [`compare_models_in_turns`].
    pub async fn compare(
        &self,
        other: &Self,
        turn: &mut impl AsyncFnMut(u64, u64) -> Result<()>,
    ) -> Result<(bool, Difference)> {
        match (self, other) {
            (Self::Adapter(a), Self::Adapter(b)) => Ok((true, compare_adapters(a, b)?)),
            (Self::Model(a), Self::Model(b)) => Ok((false, compare_models_in_turns(a, b, turn).await?)),
            _ => Err(Error::config(msg::ModelAndAdapter).remedy(msg::CompareAlike)),
        }
    }
}
