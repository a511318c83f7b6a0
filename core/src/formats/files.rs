//! The files beside the tensors of a model: which of them there are, and what the small ones say.

use crate::chat::ChatTemplate;
use crate::store::{ReadAt, Source, read_all};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use lorakeet_i18n::{Field, Message};
use serde_json::Value;
use std::collections::BTreeMap;

/// The largest JSON or template file that is read; tokenizer.json has up to about 35 MB.
pub(super) const MOST_TEXT_BYTES: u64 = 128 << 20;

/// What a file's first bytes say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sniffed {
    Gguf,
    Other,
}

/// Looks at the first bytes of a model file; `is_tensors` where its name says that it holds tensors.
///
/// # Errors
/// The file is empty, or it is what a failed download leaves: a web page, a Git LFS pointer.
pub(super) async fn sniff(source: &Source, is_tensors: bool) -> Result<Sniffed> {
    let length = source.len_bytes().min(256) as usize;
    if length == 0 {
        return Err(Error::format(msg::EmptyFile)
            .file(source.name())
            .remedy(msg::DownloadAgain));
    }
    let bytes = source.read_at(0, length).await?;
    if bytes.starts_with(b"GGUF") {
        return Ok(Sniffed::Gguf);
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(Error::format(msg::LfsPointer)
            .file(source.name())
            .remedy(msg::PullFromLfs));
    }
    let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let is_page = ["<!doctype", "<html", "<?xml"]
        .iter()
        .any(|start| text.trim_start().starts_with(start));
    if is_page {
        return Err(Error::format(msg::WebPage)
            .file(source.name())
            .remedy(msg::LogInToDownload));
    }
    if is_tensors && source.name().to_ascii_lowercase().ends_with(".gguf") {
        return Err(Error::format(msg::NotGgufDespiteName)
            .file(source.name())
            .remedy(msg::CheckAndDownloadAgain));
    }
    Ok(Sniffed::Other)
}

/// What lists the files of a model's tensors: of safetensors, and of torch.save.
pub(super) const INDICES: [&str; 2] = ["model.safetensors.index.json", "pytorch_model.bin.index.json"];
/// The one file of torch.save's.
const TORCH_FILE: &str = "pytorch_model.bin";

/// Whether a file of tensors is torch.save's.
pub(super) fn is_torch(source: &Source) -> bool {
    source.name().to_ascii_lowercase().ends_with(".bin")
}

/// The files that make up the model: safetensors, or where there are none, torch.save's. `indices` is what [`INDICES`] hold.
pub(super) fn choose_shards(
    by_name: &BTreeMap<&str, &Source>,
    indices: [Option<Value>; 2],
    takes_no_text: bool,
) -> Result<Vec<Source>> {
    let [safetensors_index, torch_index] = indices;
    if let Some(index) = safetensors_index {
        return of_index(by_name, &index, INDICES[0]);
    }
    if let Some(whole) = by_name.get("model.safetensors") {
        return Ok(vec![(*whole).clone()]);
    }
    let tensors = by_name
        .iter()
        .filter(|(name, _)| name.ends_with(".safetensors") && !name.starts_with("adapter_"));
    let shards: Vec<Source> = tensors.map(|(_, source)| (*source).clone()).collect();
    if !shards.is_empty() {
        return Ok(shards);
    }
    if let Some(index) = torch_index {
        return of_index(by_name, &index, INDICES[1]);
    }
    if let Some(whole) = by_name.get(TORCH_FILE) {
        return Ok(vec![(*whole).clone()]);
    }
    let is_other = |name: &&&str| [".bin", ".pt", ".pth"].iter().any(|ending| name.ends_with(ending));
    let others: Vec<&str> = by_name.keys().filter(is_other).copied().collect();
    if !others.is_empty() {
        let files = Field::list(others);
        return Err(Error::model(msg::OtherTorchFiles { files }).remedy(msg::NameTorchFile));
    }
    if by_name.contains_key("config.json") && (takes_no_text || by_name.contains_key("tokenizer.json")) {
        // A model that does not exist yet: full training starts it from fresh weights.
        return Ok(Vec::new());
    }
    let error = match by_name.is_empty() {
        true => Error::model(msg::NoWeights),
        false => {
            let found = Field::list(by_name.keys());
            Error::model(msg::NoWeightsAmong { found })
        }
    };
    Err(error.remedy(msg::ChooseModelFiles))
}

/// The files that the index called `name` lists.
fn of_index(by_name: &BTreeMap<&str, &Source>, index: &Value, name: &str) -> Result<Vec<Source>> {
    let wrong = |what: Message| Error::format(what).file(name).field("weight_map");
    let map = index.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| wrong(msg::MissingOrNoObject.into()))?;
    let mut shards = BTreeMap::new();
    for shard in map.values() {
        let shard = shard.as_str().ok_or_else(|| wrong(msg::ShardIsNoFileName.into()))?;
        shards.insert(shard, by_name.get(base_name(shard)));
    }
    let missing: Vec<&str> = shards
        .iter()
        .filter(|(_, source)| source.is_none())
        .map(|(name, _)| *name)
        .collect();
    if !missing.is_empty() {
        let files = Field::list(missing);
        return Err(Error::model(msg::NamedFilesMissing { files })
            .file(name)
            .remedy(msg::ChooseAllParts));
    }
    Ok(shards.into_values().flatten().map(|source| (*source).clone()).collect())
}

/// The chat template that tokenizer_config.json carries: one text, or named ones, of which `default` counts.
pub(super) fn template_in_settings(settings: &Value) -> Option<String> {
    match settings.get("chat_template")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(named) => {
            let is_default = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some("default");
            let chosen = named.iter().find(is_default).or(named.first())?;
            Some(chosen.get("template")?.as_str()?.to_string())
        }
        _ => None,
    }
}

pub(super) fn chat_template(source: Option<&str>, tokenizer: Option<&Tokenizer>) -> Result<Option<ChatTemplate>> {
    let Some(source) = source.filter(|source| !source.trim().is_empty()) else {
        return Ok(None);
    };
    let bos = tokenizer.and_then(Tokenizer::bos_token);
    let eos = tokenizer.and_then(Tokenizer::eos_token);
    ChatTemplate::new(source, bos.as_deref(), eos.as_deref()).map(Some)
}

/// The token numbers at `key` of `file`: one, or a list; a negative one is none.
///
/// # Errors
/// There is something else.
pub(super) fn ids_at(object: &Value, key: &str, file: &str) -> Result<Vec<u32>> {
    let value = object.get(key).unwrap_or(&Value::Null);
    let (ids, is_list) = match value {
        Value::Null => (&[][..], false),
        Value::Array(ids) => (ids.as_slice(), true),
        one => (std::slice::from_ref(one), false),
    };
    let ids = ids.iter().filter(|id| id.as_i64().is_none_or(|id| id >= 0)).map(|id| {
        let known = id.as_u64().and_then(|id| u32::try_from(id).ok());
        known.ok_or_else(|| {
            let found: String = id.to_string().chars().take(80).collect();
            let error = match is_list {
                true => Error::format(msg::ListHasNoTokenId { found }),
                false => Error::format(msg::NotATokenId { found }),
            };
            error.file(file).field(key)
        })
    });
    ids.collect()
}

/// The part of a path after its last slash.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A small text file, whole.
///
/// # Errors
/// It is too long or not UTF-8.
pub(super) async fn read_text(source: &dyn ReadAt) -> Result<String> {
    let bytes = read_all(source, MOST_TEXT_BYTES).await?;
    String::from_utf8(bytes).map_err(|_| Error::format(msg::NotUtf8).file(source.name()))
}

/// A small JSON file, whole.
///
/// # Errors
/// It is too long or not JSON.
pub(crate) async fn read_json(source: &dyn ReadAt) -> Result<Value> {
    let text = read_text(source).await?;
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text).map_err(|error| {
        Error::format(msg::NotJson { error })
            .file(source.name())
            .remedy(msg::DownloadAgain)
    })
}
