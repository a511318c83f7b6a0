//! Model files opened with what the registry knows: which architecture a GGUF file holds, which part of a model of several is
//! read, and which of transformers' classes a model with another head is of.

use super::registry::{of_gguf, of_model_type};
use super::text_part::text_part;
use crate::error::Result;
use crate::formats::{ModelFiles, Registry};
use crate::store::Source;
use serde_json::Value;

const REGISTRY: Registry = Registry { of_gguf, text_part };

impl ModelFiles {
    /// [`ModelFiles::open_with`] the architectures of the registry.
    ///
    /// # Errors
    /// As there.
    pub async fn open(files: Vec<Source>) -> Result<Self> {
        Self::open_with(files, REGISTRY).await
    }

    /// [`ModelFiles::open_path_with`] the architectures of the registry.
    ///
    /// # Errors
    /// As there.
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn open_path(path: impl AsRef<std::path::Path>) -> Result<Self> {
        Self::open_path_with(path.as_ref(), REGISTRY).await
    }

    /// config.json with the head that a run puts on.
    ///
    /// # Errors
    /// The architecture is not supported.
    pub(crate) fn config_with_head(&self) -> Result<Value> {
        let mut config = self.config.clone();
        if let Some(head) = &self.head {
            let class = of_model_type(config["model_type"].as_str().unwrap_or_default())?.class;
            head.write(&mut config, class);
        }
        Ok(config)
    }
}
