//! What was trained, as files that other programs load: a merged model in Hugging Face's layout or as GGUF, an adapter for
//! llama.cpp or for MLX. Each comes with a model card. [`cluster`] has the run itself, for other trainers.
//!
//! Nothing here touches a device: tensors are read from the base's files, changed on the host and written one after the other,
//! rows of a few megabytes at a time.

mod adapters;
mod card;
pub mod cluster;
mod folder;
mod gguf;
mod gguf_keys;
mod gguf_tokenizer;
mod merged;

pub use card::RunRecord;

use crate::error::{Error, Result};
use crate::formats::{ModelFiles, Storage, peft::Adapter};
use crate::quant::ggml;
use crate::store::{Source, StreamSink};
use lorakeet_i18n::messages::export as msg;
use lorakeet_i18n::{Field, Message};
use merged::Merged;
use serde_json::Value;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The base with the adapter in its weights, in Hugging Face's layout.
    Merged,
    /// The same as one GGUF file.
    Gguf,
    /// The adapter alone for llama.cpp.
    GgufAdapter,
    /// The adapter alone for MLX.
    Mlx,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Merged, Self::Gguf, Self::GgufAdapter, Self::Mlx];

    /// Its name: `gguf-adapter`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::Gguf => "gguf",
            Self::GgufAdapter => "gguf-adapter",
            Self::Mlx => "mlx",
        }
    }
}

/// The number formats of exports by their names.
pub const DTYPES: [(&str, Storage); 6] = [
    ("float32", Storage::F32),
    ("float16", Storage::F16),
    ("bfloat16", Storage::BF16),
    ("q8_0", Storage::Q8_0),
    ("q4_0", Storage::Q4_0),
    ("q4_1", Storage::Q4_1),
];

/// The most bytes of tensors in one file of a merged model, as transformers' `max_shard_size` had it for long.
pub const SHARD_BYTES: u64 = 5_000_000_000;

/// How an export is written.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Its form.
    pub form: Form,
    /// The format of its numbers; without one, of a merged model that of the base's files, of GGUF F16, of adapters F32.
    pub dtype: Option<Storage>,
    /// The most bytes of tensors in one file of a merged model.
    pub shard_bytes: u64,
}

/// What is exported.
pub struct Trained<'a> {
    /// The base, or a model that was trained throughout.
    pub base: ModelFiles,
    /// The files of it.
    pub base_files: &'a [Source],
    /// What was trained beside it.
    pub adapter: Option<&'a Adapter>,
    /// The adapter's config.json, where it brings a head.
    pub head: Option<&'a Value>,
    /// What is known of the run, for the model card.
    pub record: &'a RunRecord,
}

/// Writes `trained` into `sink` and gives what there is to say about it; `progress` hears of the bytes that are written, and
/// of how many there will be.
///
/// # Errors
/// The form has no place for a part of it, adapter and base do not go together, a file cannot be read or written.
pub async fn export(
    trained: Trained<'_>,
    settings: Settings,
    sink: &dyn StreamSink,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Message>> {
    let Trained {
        base,
        base_files,
        adapter,
        head,
        record,
    } = trained;
    check(settings, adapter.is_some())?;
    let merged = Merged::new(base, adapter, head).await?;
    let notes = match settings.form {
        Form::Merged => folder::write(&merged, base_files, settings, sink, progress).await?,
        Form::Gguf => gguf::write(&merged, base_files, settings, sink, progress).await?,
        Form::GgufAdapter => adapters::write_gguf(&merged, settings, sink).await?,
        Form::Mlx => adapters::write_mlx(&merged, settings, sink).await?,
    };
    let card = card::card(&merged, settings, record);
    sink.write("README.md", card.as_bytes()).await?;
    Ok(notes)
}

/// Refuses settings that do not go together.
fn check(settings: Settings, has_adapter: bool) -> Result<()> {
    let Settings { form, dtype, .. } = settings;
    if !has_adapter && matches!(form, Form::GgufAdapter | Form::Mlx) {
        let form = form.name();
        return Err(Error::config(msg::NoAdapterToExport { form }).remedy(msg::ExportWhole));
    }
    let in_blocks = dtype.filter(|dtype| dtype.block_elements() > 1 || !ggml::is_written(*dtype));
    if let Some(dtype) = in_blocks.filter(|dtype| form != Form::Gguf || !ggml::is_written(*dtype)) {
        let dtype = name_of(dtype);
        let form = form.name();
        return Err(Error::config(msg::DtypeNotOfForm { dtype, form })
            .field("dtype")
            .remedy(msg::FloatsOnly));
    }
    Ok(())
}

/// The name of a number format.
fn name_of(storage: Storage) -> &'static str {
    let found = DTYPES.iter().find(|(_, known)| *known == storage);
    found.map_or_else(|| storage.name(), |(name, _)| name)
}

/// The error for a lesson's model, which no other program has the architecture of.
fn refuse_small(merged: &Merged<'_>, form: Form) -> Result<()> {
    if merged.architecture.kind != crate::models::registry::Kind::Small {
        return Ok(());
    }
    let (model_type, form) = (merged.architecture.model_type, form.name());
    Err(Error::model(msg::SmallModel { model_type, form }).remedy(msg::SmallStaysHere))
}

/// The error for an architecture that `form` has no name for.
fn no_architecture(merged: &Merged<'_>, form: Form, known: impl Iterator<Item = &'static str>) -> Error {
    let model_type = merged.architecture.model_type;
    let form = form.name();
    let names = Field::list(known);
    Error::model(msg::NoArchitecture {
        model_type,
        form,
        names,
    })
    .remedy(msg::ExportMerged)
}
