//! A model that makes vectors of texts, as a folder for sentence-transformers: the merged model with the list of modules that a
//! text goes through.
//!
//! Vectors are written with a normalization to length 1: every loss and score of such runs compares them by their cosine.
//! Reference: `base/model.py` and the modules of huggingface/sentence-transformers.

use super::merged::Merged;
use super::{Form, RunRecord, Settings, folder, refuse_small};
use crate::error::{Error, Result};
use crate::formats::{SentenceModules, sentence};
use crate::models::HeadKind;
use crate::store::{Source, StreamSink, read_all};
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use serde_json::{Value, json};

/// Settings of the module that is the model, and of the whole.
const OF_MODEL: &str = "sentence_bert_config.json";
const OF_WHOLE: &str = "config_sentence_transformers.json";

/// The longest of the base's settings that is read.
const MOST_BYTES: u64 = 1 << 20;

/// Writes the folder.
///
/// # Errors
/// The run learnt something else; the base's folder has modules that are not computed here; as of a merged model.
pub(super) async fn write(
    merged: &Merged<'_>,
    base_files: &[Source],
    (settings, record): (Settings, &RunRecord),
    sink: &dyn StreamSink,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Message>> {
    refuse_small(merged, Form::SentenceTransformers)?;
    check_task(merged, record)?;
    let modules = merged.files.sentence.as_ref();
    let mut notes = Vec::new();
    if let Some(modules) = modules {
        notes.extend(modules.check()?);
    }
    let pooling = modules.map(SentenceModules::pooling).unwrap_or_default();
    for (name, value) in sentence::files(pooling, merged.width()) {
        folder::write_json(sink, &name, &value).await?;
    }
    let tokens = match record.most_tokens {
        Some(tokens) => Some(tokens),
        None => of_base(base_files).await?,
    };
    let tokens = tokens.unwrap_or(usize::MAX).min(merged.most_tokens());
    let tokens = Some(tokens).filter(|tokens| *tokens < usize::MAX);
    let of_model = json!({ "max_seq_length": tokens, "do_lower_case": false });
    folder::write_json(sink, OF_MODEL, &of_model).await?;
    let of_whole = json!({ "prompts": {}, "default_prompt_name": null, "similarity_fn_name": "cosine" });
    folder::write_json(sink, OF_WHOLE, &of_whole).await?;
    notes.extend(folder::write(merged, base_files, settings, sink, progress).await?);
    Ok(notes)
}

/// Refuses a run for another task, and a model that nothing says of that it makes vectors.
fn check_task(merged: &Merged<'_>, record: &RunRecord) -> Result<()> {
    let form = Form::SentenceTransformers.name();
    let makes_vectors =
        matches!(merged.kind, HeadKind::Features | HeadKind::MaskedLm) || merged.files.sentence.is_some();
    let what: Message = match record.task {
        Some(Task::Embedding) => return Ok(()),
        Some(task) => msg::OtherTask { task, form }.into(),
        None if makes_vectors => return Ok(()),
        None => msg::NoVectors { form }.into(),
    };
    let error = Error::model(what).file(&merged.files.name);
    Err(error.remedy(msg::ExportMergedModel))
}

/// Tokens of a text at most, as the base's folder has it.
async fn of_base(base_files: &[Source]) -> Result<Option<usize>> {
    let Some(file) = base_files.iter().find(|file| file.name() == OF_MODEL) else {
        return Ok(None);
    };
    let bytes = read_all(file.as_ref(), MOST_BYTES).await?;
    let settings: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(settings["max_seq_length"].as_u64().map(|tokens| tokens as usize))
}
