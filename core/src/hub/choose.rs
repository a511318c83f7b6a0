//! Which files of a repository make a model.

use super::client::{Hub, Repository};
use crate::formats::adapter_files::MLX_TENSORS_FILE;
use crate::formats::peft::{CONFIG_FILE, TENSORS_FILE};
use crate::protocol::HubFile;
use crate::{Error, Result};
use lorakeet_i18n::Field;
use lorakeet_i18n::messages::formats as format_msg;
use lorakeet_i18n::messages::hub as msg;
use serde_json::Value;
use std::collections::BTreeSet;

/// Files beside the weights that are read, by name; further ones begin with `tokenizer` and end with `.json`, or are of a pooling.
const BESIDE: [&str; 6] = [
    "config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "modules.json",
];
/// Behind the name of a folder of sentence-transformers' pooling.
const POOLING: &str = "_Pooling/config.json";
/// What an adapter is made of: PEFT's, and mlx-lm's.
pub(super) const ADAPTERS: [[&str; 2]; 2] = [[CONFIG_FILE, TENSORS_FILE], [CONFIG_FILE, MLX_TENSORS_FILE]];
const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Quantizations of GGUF files that are taken where nobody chose, the first that there is.
const USUAL: [&str; 2] = ["Q4_K_M", "Q8_0"];
/// Files of weights in forms that can run code when they are read.
const PICKLED: [&str; 4] = [".bin", ".pt", ".pth", ".ckpt"];
/// The longest index that is read.
const MOST_INDEX_BYTES: u64 = 16 << 20;

/// What is fetched of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The files, small ones first.
    pub files: Vec<HubFile>,
    /// GGUF files, of which one is fetched; none where the model is not in such a file.
    pub choices: Vec<HubFile>,
    /// The path of the one GGUF file.
    pub gguf: Option<String>,
    /// Whether it is an adapter for another model.
    pub is_adapter: bool,
}

/// Chooses the files of a model: config.json with `model.safetensors` or the shards that its index names, else one GGUF file, else
/// an adapter. Pickled weights are never fetched.
///
/// # Errors
/// There are none, the file that was asked for is not there, or the index cannot be fetched.
pub async fn choose(hub: &Hub, repository: &Repository) -> Result<Chosen> {
    let asked = hub.asked(&repository.id, None);
    let choices: Vec<HubFile> = repository.files.iter().filter(|file| is_gguf(file)).cloned().collect();
    if let Some(wanted) = &repository.id.file {
        return one_gguf(choices, wanted, &asked.id.id);
    }
    let has = |name: &str| repository.file(name).is_some();
    let weights = if has(WHOLE) {
        vec![WHOLE.to_owned()]
    } else if let Some(index) = repository.file(INDEX) {
        let mut names = shards(hub, repository, index).await?;
        names.push(INDEX.to_owned());
        names
    } else {
        Vec::new()
    };
    if has("config.json") && !weights.is_empty() {
        let mut files = beside(repository);
        for name in weights {
            let named = repository.file(&name);
            files.push(
                named
                    .cloned()
                    .ok_or_else(|| asked.not_promised(msg::ShardMissing { name }))?,
            );
        }
        return Ok(of(files, false));
    }
    if let Some(usual) = usual(&choices) {
        let path = usual.path.clone();
        return one_gguf(choices, &path, &asked.id.id);
    }
    if let Some(adapter) = ADAPTERS.iter().find(|names| names.iter().all(|name| has(name))) {
        let files = repository.files.iter();
        let of_adapter = files.filter(|file| adapter.contains(&file.path.as_str())).cloned();
        let mut files: Vec<HubFile> = beside(repository);
        files.extend(of_adapter);
        return Ok(of(files, true));
    }
    let name = &asked.id.id;
    let is_pickled = |file: &HubFile| PICKLED.iter().any(|ending| file.path.ends_with(ending));
    if repository.files.iter().any(is_pickled) {
        return Err(Error::model(format_msg::PytorchWeights).remedy(msg::LookForOther { name }));
    }
    let found = repository.files.iter().map(|file| file.path.as_str());
    let found: Vec<&str> = found.collect();
    let found = Field::first(8, found.into_iter());
    Err(Error::model(msg::NoModel { name, found }).remedy(msg::LookForOther { name }))
}

fn of(mut files: Vec<HubFile>, is_adapter: bool) -> Chosen {
    files.sort_by(|left, right| (left.bytes, &left.path).cmp(&(right.bytes, &right.path)));
    Chosen {
        files,
        choices: Vec::new(),
        gguf: None,
        is_adapter,
    }
}

fn beside(repository: &Repository) -> Vec<HubFile> {
    let is_beside = |file: &&HubFile| {
        let name = file.path.as_str();
        let is_tokenizer = name.starts_with("tokenizer") && name.ends_with(".json") && !name.contains('/');
        let is_pooling = name.ends_with(POOLING) && name.matches('/').count() == 1;
        is_tokenizer || is_pooling || BESIDE.contains(&name)
    };
    repository.files.iter().filter(is_beside).cloned().collect()
}

/// The names of the files that an index names.
async fn shards(hub: &Hub, repository: &Repository, index: &HubFile) -> Result<Vec<String>> {
    let asked = hub.asked(&repository.id, Some(INDEX));
    if index.bytes > MOST_INDEX_BYTES {
        let (found, most) = (index.bytes, MOST_INDEX_BYTES);
        return Err(Error::format(format_msg::FileTooLong { found, most }).file(INDEX));
    }
    let text = hub.small(repository, index).await?;
    let wrong = || asked.not_promised(format_msg::MissingOrNoObject);
    let index: Value = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let map = index["weight_map"].as_object().ok_or_else(wrong)?;
    let names: Option<BTreeSet<&str>> = map.values().map(Value::as_str).collect();
    Ok(names.ok_or_else(wrong)?.into_iter().map(str::to_owned).collect())
}

/// One file that is a model of its own: no part of several, and no projector of pictures.
fn is_gguf(file: &HubFile) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let Some(stem) = name.strip_suffix(".gguf") else {
        return false;
    };
    !is_split(stem) && !name.starts_with("mmproj")
}

/// Whether a name ends as `-00001-of-00003`.
fn is_split(stem: &str) -> bool {
    let Some((first, count)) = stem.rsplit_once("-of-") else {
        return false;
    };
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(count) && first.rsplit('-').next().is_some_and(is_number)
}

/// The file that is taken where nobody chose.
fn usual(choices: &[HubFile]) -> Option<&HubFile> {
    let of_kind = |kind: &&str| choices.iter().find(|file| is_of_kind(file, kind));
    let smallest = || choices.iter().min_by_key(|file| file.bytes);
    USUAL.iter().find_map(of_kind).or_else(smallest)
}

/// Whether a file's name has this quantization in it, as a word of its own.
fn is_of_kind(file: &HubFile, kind: &str) -> bool {
    let (name, kind) = (file.path.to_ascii_lowercase(), kind.to_ascii_lowercase());
    let is_end = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_ascii_alphanumeric() && letter != '_');
    name.match_indices(&kind)
        .any(|(at, _)| is_end(name[..at].chars().next_back()) && is_end(name[at + kind.len()..].chars().next()))
}

fn one_gguf(choices: Vec<HubFile>, wanted: &str, id: &str) -> Result<Chosen> {
    let named = choices.iter().find(|file| file.path == wanted);
    let found = named.or_else(|| choices.iter().find(|file| is_of_kind(file, wanted)));
    let Some(file) = found.cloned() else {
        let there: Vec<&str> = choices.iter().map(|file| file.path.as_str()).collect();
        let error = match there.is_empty() {
            true => Error::config(msg::NoGgufFiles { name: id }),
            false => {
                let there = Field::first(20, there.into_iter());
                Error::config(msg::NoSuchGguf {
                    name: id,
                    wanted,
                    there,
                })
            }
        };
        return Err(error.remedy(msg::NameLikeThis));
    };
    Ok(Chosen {
        gguf: Some(file.path.clone()),
        files: vec![file],
        choices,
        is_adapter: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: u64) -> HubFile {
        HubFile {
            path: path.to_owned(),
            bytes,
            etag: String::new(),
            sha256: None,
        }
    }

    #[test]
    fn of_gguf_files_the_usual_one_is_taken() {
        let taken = |names: &[&str]| {
            let files: Vec<HubFile> = names.iter().zip(1..).map(|(name, bytes)| file(name, bytes)).collect();
            usual(&files).map(|file| file.path.clone())
        };
        assert_eq!(
            taken(&["m-q8_0.gguf", "m-q4_k_m.gguf"]).as_deref(),
            Some("m-q4_k_m.gguf")
        );
        assert_eq!(taken(&["m-F16.gguf", "m.Q8_0.gguf"]).as_deref(), Some("m.Q8_0.gguf"));
        assert_eq!(taken(&["m-F16.gguf", "m-BF16.gguf"]).as_deref(), Some("m-F16.gguf"));
        assert_eq!(
            taken(&["m-IQ4_K_MX.gguf", "n.gguf"]).as_deref(),
            Some("m-IQ4_K_MX.gguf")
        );
        assert_eq!(taken(&[]), None);
    }

    #[test]
    fn parts_and_projectors_are_no_models() {
        for name in ["a/m-00001-of-00003.gguf", "mmproj-model-f16.gguf", "m.safetensors"] {
            assert!(!is_gguf(&file(name, 1)), "{name}");
        }
        assert!(is_gguf(&file("m-of-all.GGUF", 1)) && is_gguf(&file("q/m.gguf", 1)));
    }
}
