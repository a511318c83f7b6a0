//! What was trained, as files that other programs load: a merged model in Hugging Face's layout, for sentence-transformers or as
//! GGUF, an adapter as PEFT has it, for llama.cpp or for MLX. Each comes with a model card. They go to a folder, or in pieces to a
//! front end. [`cluster`] has the run itself, for other trainers, and `run_report` what it came to, for people.
//!
//! Nothing here touches a device: tensors are read from the base's files, changed on the host and written one after the other,
//! rows of a few megabytes at a time.

mod adapters;
mod bitsandbytes;
mod card;
pub mod cluster;
mod folder;
mod gguf;
mod gguf_keys;
mod gguf_mix;
mod gguf_tokenizer;
mod license;
mod merged;
mod outlook;
mod pieces;
mod read_back;
mod reader;
mod run_report;
mod sentence;
mod tolerance;

pub use crate::protocol::ExportForm as Form;
pub use bitsandbytes::{PACKINGS, PackedSettings, Packing, quantize};
pub use card::RunRecord;
pub use license::{License, license};
pub(crate) use outlook::outlook;
pub(crate) use pieces::PieceSink;
pub use read_back::{read_back, read_back_packed};
pub use run_report::{first_predictions, write_report};
pub use tolerance::{difference_is_small, expected_difference, explanation};

use crate::error::{Error, Result};
use crate::formats::{ModelFiles, Storage, peft::Adapter};
use crate::quant::BaseFormat;
use crate::store::{Source, StreamSink};
use lorakeet_i18n::messages::export as msg;
use lorakeet_i18n::{Field, Message};
use merged::Merged;
use serde_json::Value;

/// The number formats of exports by their names. Q4_K and Q5_K stand for llama.cpp's mixes with Q6_K.
pub const DTYPES: [(&str, Storage); 8] = [
    ("float32", Storage::F32),
    ("float16", Storage::F16),
    ("bfloat16", Storage::BF16),
    ("q8_0", Storage::Q8_0),
    ("q5_k_m", Storage::Q5K),
    ("q4_k_m", Storage::Q4K),
    ("q4_0", Storage::Q4_0),
    ("q4_1", Storage::Q4_1),
];

/// The number format of this name.
///
/// # Errors
/// There is none.
pub(crate) fn dtype(name: &str, form: Form) -> Result<Storage> {
    let found = DTYPES.iter().find(|(known, _)| *known == name);
    found.map(|(_, storage)| *storage).ok_or_else(|| {
        let (dtype, form) = (name, form.name());
        let error = Error::config(msg::DtypeNotOfForm { dtype, form }).field("dtype");
        error.remedy(msg::FloatsOnly)
    })
}

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
    /// Of merged models: the format that the base's linears are rounded to before the adapter is added, as a run that packs them
    /// computes with them; [`BaseFormat::AsStored`] leaves them as the files have them.
    pub base: BaseFormat,
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
    if let (Form::Peft, Some(adapter)) = (settings.form, adapter) {
        let card = card::peft_card(&base, (adapter, head), settings, record);
        adapters::write_peft(adapter, head, sink).await?;
        sink.write("README.md", card.as_bytes()).await?;
        return Ok(Vec::new());
    }
    let mut merged = Merged::new(base, adapter, head).await?;
    merged.rounding = settings.base;
    merged.license.clone_from(&record.license);
    let notes = match settings.form {
        Form::Merged => {
            let modules = sentence::modules(&merged, record);
            folder::write(&merged, base_files, (settings, modules.as_slice()), sink, progress).await?
        }
        Form::SentenceTransformers => {
            let wish = (settings, record);
            sentence::write(&merged, base_files, wish, sink, progress).await?
        }
        Form::Gguf => gguf::write(&merged, base_files, settings, sink, progress).await?,
        Form::GgufAdapter => adapters::write_gguf(&merged, settings, sink).await?,
        Form::Mlx => adapters::write_mlx(&merged, settings, sink).await?,
        // Of an adapter it is written above.
        Form::Peft => Vec::new(),
    };
    let card = card::card(&merged, settings, record);
    sink.write("README.md", card.as_bytes()).await?;
    Ok(notes)
}

/// Refuses settings that do not go together.
fn check(settings: Settings, has_adapter: bool) -> Result<()> {
    let Settings { form, dtype, .. } = settings;
    if !has_adapter && matches!(form, Form::Peft | Form::GgufAdapter | Form::Mlx) {
        let form = form.name();
        return Err(Error::config(msg::NoAdapterToExport { form }).remedy(msg::ExportWhole));
    }
    if let (Form::Peft, Some(dtype)) = (form, dtype.filter(|dtype| *dtype != Storage::F32)) {
        let (dtype, form) = (name_of(dtype), form.name());
        let error = Error::config(msg::DtypeNotOfForm { dtype, form }).field("dtype");
        return Err(error.remedy(msg::PeftIsFloat32));
    }
    let is_offered = |dtype: &Storage| DTYPES.iter().any(|(_, known)| known == dtype);
    let in_blocks = dtype.filter(|dtype| dtype.block_elements() > 1 || !is_offered(dtype));
    if let Some(dtype) = in_blocks.filter(|dtype| form != Form::Gguf || !is_offered(dtype)) {
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
