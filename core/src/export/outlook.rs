//! Which exports are possible, and how large they are, before one is written.

use super::merged::Merged;
use super::{Form, RunRecord, SHARD_BYTES, Settings, Trained, adapters, check, folder, gguf, sentence};
use crate::error::Result;
use crate::formats::{Storage, peft::Adapter};
use crate::quant::BaseFormat;
use crate::store::{MemorySink, Source};

/// What the files of each form take, within a few kilobytes, or why there are none. Of the adapter the shapes matter and not the
/// numbers.
pub(crate) async fn outlook(trained: Trained<'_>, wanted: &[(Form, Option<Storage>)]) -> Vec<Result<u64>> {
    let Trained {
        base,
        base_files,
        adapter,
        head,
        record,
    } = trained;
    let merged = Merged::new(base, adapter, head).await;
    let mut found = Vec::new();
    for &(form, dtype) in wanted {
        let settings = Settings {
            form,
            dtype,
            shard_bytes: SHARD_BYTES,
            base: BaseFormat::AsStored,
        };
        found.push(size(&merged, (base_files, record), adapter, settings).await);
    }
    found
}

async fn size(
    merged: &Result<Merged<'_>>,
    (base_files, record): (&[Source], &RunRecord),
    adapter: Option<&Adapter>,
    settings: Settings,
) -> Result<u64> {
    check(settings, adapter.is_some())?;
    if let (Form::Peft, Some(adapter)) = (settings.form, adapter) {
        let numbers = adapter.tensors.iter().map(|(_, _, values)| values.len() as u64);
        return Ok(numbers.sum::<u64>() * size_of::<f32>() as u64);
    }
    let merged = merged.as_ref().map_err(Clone::clone)?;
    let sink = MemorySink::new();
    match settings.form {
        Form::Merged => return folder::size_of_weights(merged, settings),
        Form::SentenceTransformers => {
            sentence::check(merged, record)?;
            return folder::size_of_weights(merged, settings);
        }
        Form::Gguf => return gguf::size(merged, base_files, settings).await,
        Form::GgufAdapter => adapters::write_gguf(merged, settings, &sink).await.map(drop)?,
        Form::Mlx => adapters::write_mlx(merged, settings, &sink).await.map(drop)?,
        Form::Peft => {}
    }
    Ok(sink.files().values().map(|bytes| bytes.len() as u64).sum())
}
