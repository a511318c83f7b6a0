//! A model that makes vectors of texts, as a folder for sentence-transformers: the merged model with the list of modules that a
//! text goes through.
//!
//! Vectors are written with a normalization to length 1: every loss and score of such runs compares them by their cosine.
//! Reference: `base/model.py` and the modules of huggingface/sentence-transformers.

use super::merged::Merged;
use super::{Form, RunRecord, Settings, folder, refuse_small};
use crate::error::{Error, Result};
use crate::formats::{SentenceModules, TextPooling, sentence};
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
    let mut notes: Vec<Message> = check(merged, record)?.into_iter().collect();
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
    let modules = sentence::files(pooling(merged, record), merged.width());
    notes.extend(folder::write(merged, base_files, (settings, modules.as_slice()), sink, progress).await?);
    Ok(notes)
}

/// Refuses what has no place in such a folder; the note says how vectors are pooled, where there is something to know.
///
/// # Errors
/// The run learnt something else; the base's folder has modules that are not computed here.
pub(super) fn check(merged: &Merged<'_>, record: &RunRecord) -> Result<Option<Message>> {
    refuse_small(merged, Form::SentenceTransformers)?;
    check_task(merged, record)?;
    match &merged.files.sentence {
        Some(modules) => modules.check(record.pooling.is_some()),
        None => Ok(None),
    }
}

/// What says in a merged model's folder how its vectors of texts are made, where that is not by the mean alone: the base's
/// modules, or others where the run had it otherwise.
pub(super) fn modules(merged: &Merged<'_>, record: &RunRecord) -> Vec<(String, Value)> {
    if matches!(
        merged.kind,
        HeadKind::SequenceClassification | HeadKind::TokenClassification
    ) {
        return Vec::new();
    }
    let pooling = pooling(merged, record);
    match &merged.files.sentence {
        Some(modules) if modules.pooling() == pooling => modules.files(),
        None if pooling == TextPooling::default() => Vec::new(),
        _ => sentence::files(pooling, merged.width()),
    }
}

/// How vectors of texts are made: as a run for them set it, else as the base's folder says, else by the mean.
fn pooling(merged: &Merged<'_>, record: &RunRecord) -> TextPooling {
    let is_encoder = !matches!(merged.kind, HeadKind::CausalLm | HeadKind::Seq2SeqLm);
    let of_run = record.pooling.filter(|_| record.task == Some(Task::Embedding));
    let of_run = of_run.map(|wanted| TextPooling::of_run(wanted, is_encoder));
    let of_base = merged.files.sentence.as_ref().map(SentenceModules::pooling);
    of_run.or(of_base).unwrap_or_default()
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
