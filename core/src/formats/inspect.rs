//! What files are: a model, an adapter of which program, tensors alone; what they hold, and what they say of themselves.
//!
//! Nothing is asked of a registry of architectures, so that files are described that are not run here. Names are those of the files.

use super::adapter_files::{AdapterFiles, AdapterForm, MLX_TENSORS_FILE, is_adapter, is_mlx};
use super::blocks::Storage;
use super::files::{INDICES, base_name, choose_shards, is_torch, read_json};
use super::gguf::{self, Metadata, Value as Metadatum};
use super::peft::{CONFIG_FILE, TENSORS_FILE, TORCH_TENSORS_FILE};
use super::safetensors::{self, Placed};
use super::{Sniffed, sniff, torch_file};
use crate::own_class::unwrapped;
use crate::store::Source;
use crate::{Error, Result};
use lorakeet_i18n::Field;
use lorakeet_i18n::messages::formats as msg;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub use crate::protocol::FileKind;

/// The longest list of the metadata that is shown whole.
const MOST_ITEMS: usize = 16;

/// The most letters that are shown of a setting.
const MOST_LETTERS: usize = 200;

/// A tensor as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedTensor {
    /// Its name in the file.
    pub name: String,
    /// Row-major.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub storage: Storage,
    /// What it takes in the file.
    pub bytes: u64,
}

impl InspectedTensor {
    /// Numbers in it.
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|size| *size as u64).product()
    }
}

/// Tensors of one shape and storage whose names differ in numbers only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorGroup {
    /// The name with `*` for each number in it: `model.layers.*.self_attn.q_proj.weight`.
    pub name: String,
    /// How many there are.
    pub count: usize,
    /// The shape of each.
    pub shape: Vec<usize>,
    /// How the numbers of each are stored.
    pub storage: Storage,
    /// What they take together.
    pub bytes: u64,
}

/// What an adapter is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterFacts {
    /// Modules that it is on.
    pub modules: usize,
    /// Modules by their R.
    pub ranks: BTreeMap<usize, usize>,
    /// Modules by what their products are multiplied by, times R; in rising order.
    pub alphas: Vec<(f64, usize)>,
    /// Modules by what their products are multiplied by, alpha/R; in rising order.
    pub scales: Vec<(f64, usize)>,
    /// The last names of its modules.
    pub targets: Vec<String>,
    /// Whether it has DoRA's magnitudes.
    pub has_magnitudes: bool,
    /// Tensors that are no low-rank matrices.
    pub whole: Vec<String>,
    /// The base that it names.
    pub base: Option<String>,
}

/// What files are and hold.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// What they are.
    pub kind: FileKind,
    /// What the files call the architecture: `model_type`, `general.architecture`.
    pub architecture: Option<String>,
    /// config.json or adapter_config.json.
    pub settings: Value,
    /// What the files of tensors say of themselves; of long lists the length and the first items.
    pub metadata: BTreeMap<String, Value>,
    /// Sorted by name.
    pub tensors: Vec<InspectedTensor>,
    /// The adapter, or why it is not read here.
    pub adapter: Option<Result<AdapterFacts>>,
    /// The files that this was read of.
    pub read: Vec<String>,
    /// Files that nothing was read of.
    pub others: Vec<String>,
}

impl Inspected {
    /// The tensors in groups, in the order of their first names.
    pub fn groups(&self) -> Vec<TensorGroup> {
        let mut groups: Vec<TensorGroup> = Vec::new();
        let mut places: BTreeMap<(String, &[usize], &str), usize> = BTreeMap::new();
        for tensor in &self.tensors {
            let name = without_numbers(&tensor.name);
            let key = (name.clone(), tensor.shape.as_slice(), tensor.storage.name());
            let place = *places.entry(key).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => {
                    group.count += 1;
                    group.bytes += tensor.bytes;
                }
                None => groups.push(TensorGroup {
                    name,
                    count: 1,
                    shape: tensor.shape.clone(),
                    storage: tensor.storage,
                    bytes: tensor.bytes,
                }),
            }
        }
        groups
    }

    /// Settings and metadata by name, each as a text on one line that is cut where it is long.
    pub fn facts(&self) -> Vec<(String, String)> {
        let settings = self.settings.as_object().into_iter().flatten();
        let all = settings.chain(&self.metadata);
        all.filter_map(|(name, value)| Some((name.clone(), short_text(value)?)))
            .collect()
    }

    /// Numbers in all tensors.
    pub fn parameters(&self) -> u64 {
        self.tensors.iter().map(InspectedTensor::elements).sum()
    }

    /// Tensors, numbers and bytes by storage.
    pub fn formats(&self) -> BTreeMap<&'static str, (usize, u64, u64)> {
        let mut formats = BTreeMap::new();
        for tensor in &self.tensors {
            let (count, elements, bytes) = formats.entry(tensor.storage.name()).or_insert((0, 0, 0));
            (*count, *elements, *bytes) = (*count + 1, *elements + tensor.elements(), *bytes + tensor.bytes);
        }
        formats
    }
}

/// A value on one line, cut where it is long; none of null.
fn short_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let shown: String = text.chars().take(MOST_LETTERS).collect();
    let is_cut = shown.len() < text.len();
    let shown = shown.replace('\n', " ");
    Some(if is_cut { format!("{shown}…") } else { shown })
}

/// A name with `*` for each part between dots that is a number.
fn without_numbers(name: &str) -> String {
    let part = |part: &str| match !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => "*".to_owned(),
        false => part.to_owned(),
    };
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// Says what `files` are: one file, or all of a folder.
///
/// # Errors
/// They are nothing that is known here, or break their format.
pub async fn inspect(files: &[Source]) -> Result<Inspected> {
    let by_name: BTreeMap<&str, &Source> = files.iter().map(|file| (base_name(file.name()), file)).collect();
    let json = async |name: &str| match by_name.get(name) {
        Some(source) => read_json(source.as_ref()).await,
        None => Ok(Value::Null),
    };
    let adapter_config = json(CONFIG_FILE).await?;
    if !adapter_config.is_null() {
        let (kind, name) = match is_mlx(&adapter_config) {
            true => (FileKind::MlxAdapter, MLX_TENSORS_FILE),
            false => (FileKind::Adapter, TENSORS_FILE),
        };
        let named = |name: &str| by_name.get(name).map(|file| (*file).clone());
        let of_torch = || named(TORCH_TENSORS_FILE).filter(|_| kind == FileKind::Adapter);
        let tensors: Vec<Source> = named(name).or_else(of_torch).into_iter().collect();
        let mut found = of_tensors(kind, &tensors).await?;
        found.adapter = Some(facts(files).await);
        found.settings = adapter_config;
        found.read.push(CONFIG_FILE.to_owned());
        return Ok(found.with_others(files));
    }
    if let Some(file) = only_gguf(files).await? {
        return of_gguf(file, files).await;
    }
    let config = unwrapped(json("config.json").await?);
    if let ([only], true) = (files, config.is_null()) {
        let is_tensors = only.name().to_ascii_lowercase().ends_with(".safetensors");
        if !is_tensors && !is_torch(only) {
            let found = Field::list([only.name()]);
            return Err(Error::model(msg::NoWeightsAmong { found }).remedy(msg::InspectThese));
        }
        sniff(only, true).await?;
        return of_tensors(FileKind::Tensors, files).await;
    }
    let mut indices = [None, None];
    for (index, name) in indices.iter_mut().zip(INDICES) {
        *index = Some(json(name).await?).filter(|index| !index.is_null());
    }
    let shards = choose_shards(&by_name, indices.clone(), true)?;
    let kind = match config.is_null() {
        true => FileKind::Tensors,
        false => FileKind::Model,
    };
    let mut found = of_tensors(kind, &shards).await?;
    if !config.is_null() {
        found.read.push("config.json".to_owned());
    }
    let of_torch = shards.iter().any(is_torch);
    let used = indices.iter().zip(INDICES).filter(|(index, _)| index.is_some());
    let used = used.filter(|(_, name)| of_torch == name.contains(".bin."));
    found.read.extend(used.map(|(_, name)| name.to_owned()));
    found.architecture = config["model_type"].as_str().map(str::to_owned);
    found.settings = config;
    Ok(found.with_others(files))
}

impl Inspected {
    fn with_others(mut self, files: &[Source]) -> Self {
        let names = files.iter().map(|file| file.name().to_owned());
        self.others = names
            .filter(|name| !self.read.iter().any(|read| read == base_name(name)))
            .collect();
        self.others.sort();
        self
    }
}

/// The one GGUF file among them.
async fn only_gguf(files: &[Source]) -> Result<Option<&Source>> {
    let mut found: Vec<&Source> = Vec::new();
    for file in files {
        let is_called_so = file.name().to_ascii_lowercase().ends_with(".gguf");
        if (is_called_so || files.len() == 1) && sniff(file, true).await? == Sniffed::Gguf {
            found.push(file);
        }
    }
    match found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(*only)),
        several => {
            let files = Field::list(several.iter().map(|source| source.name()));
            Err(Error::config(msg::SeveralGgufFiles { files }).remedy(msg::ChooseOneFile))
        }
    }
}

fn tensors(placed: Vec<Placed>) -> impl Iterator<Item = InspectedTensor> {
    placed.into_iter().map(|placed| InspectedTensor {
        name: placed.name,
        shape: placed.shape,
        storage: placed.storage,
        bytes: placed.bytes,
    })
}

async fn of_tensors(kind: FileKind, files: &[Source]) -> Result<Inspected> {
    let mut found = Inspected {
        kind,
        architecture: None,
        settings: Value::Null,
        metadata: BTreeMap::new(),
        tensors: Vec::new(),
        adapter: None,
        read: files.iter().map(|file| base_name(file.name()).to_owned()).collect(),
        others: Vec::new(),
    };
    for file in files {
        if is_torch(file) {
            let read = torch_file::read(file).await?;
            found
                .tensors
                .extend(tensors(read.into_iter().map(|(placed, _)| placed).collect()));
            continue;
        }
        found.tensors.extend(tensors(safetensors::read_header(file).await?));
        found.metadata.extend(safetensors::read_metadata(file).await?);
    }
    found.tensors.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(found)
}

async fn of_gguf(file: &Source, files: &[Source]) -> Result<Inspected> {
    let header = gguf::read_header(file).await?;
    let is_adapter = is_adapter(&header.metadata);
    let mut tensors: Vec<InspectedTensor> = tensors(header.tensors).collect();
    tensors.sort_by(|left, right| left.name.cmp(&right.name));
    let architecture = header.metadata.text("general.architecture").map(str::to_owned);
    let adapter = match is_adapter {
        true => Some(facts(std::slice::from_ref(file)).await),
        false => None,
    };
    let found = Inspected {
        kind: if is_adapter {
            FileKind::GgufAdapter
        } else {
            FileKind::Gguf
        },
        architecture,
        settings: Value::Null,
        metadata: values(&header.metadata),
        tensors,
        adapter,
        read: vec![base_name(file.name()).to_owned()],
        others: Vec::new(),
    };
    Ok(found.with_others(files))
}

/// GGUF's metadata as JSON.
fn values(metadata: &Metadata) -> BTreeMap<String, Value> {
    fn list<T: Clone + Into<Value>>(items: &[T]) -> Value {
        let first: Vec<Value> = items.iter().take(MOST_ITEMS).cloned().map(Into::into).collect();
        match items.len() > MOST_ITEMS {
            true => json!({ "count": items.len(), "first": first }),
            false => Value::Array(first),
        }
    }
    let value = |value: &Metadatum| match value {
        Metadatum::Integer(number) => json!(number),
        Metadatum::Float(number) => json!(number),
        Metadatum::Bool(value) => json!(value),
        Metadatum::Text(text) => json!(text),
        Metadatum::Integers(items) => list(items),
        Metadatum::Floats(items) => list(items),
        Metadatum::Texts(items) => list(items),
    };
    let pairs = metadata.0.iter();
    pairs.map(|(key, found)| (key.clone(), value(found))).collect()
}

/// What an adapter is made of.
async fn facts(files: &[Source]) -> Result<AdapterFacts> {
    let found = AdapterFiles::open(files.to_vec()).await?.modules()?;
    let is_gguf = matches!(found.form, AdapterForm::Gguf { .. });
    let (mut ranks, mut targets) = (BTreeMap::new(), Vec::new());
    let (mut alphas, mut scales) = (Vec::new(), Vec::new());
    for module in &found.modules {
        *ranks.entry(module.rank).or_insert(0) += 1;
        alphas.push(module.alpha);
        scales.push(module.scale());
        let path = match is_gguf {
            true => module.name.trim_end_matches(".weight"),
            false => module.name.as_str(),
        };
        targets.push(path.rsplit('.').next().unwrap_or(path).to_owned());
    }
    targets.sort();
    targets.dedup();
    Ok(AdapterFacts {
        modules: found.modules.len(),
        ranks,
        alphas: counted(alphas),
        scales: counted(scales),
        targets,
        has_magnitudes: found.modules.iter().any(|module| module.magnitude.is_some()),
        whole: found.others.into_iter().map(|(name, ..)| name).collect(),
        base: found.base,
    })
}

/// Each number once, in rising order, with how often it is there.
fn counted(mut numbers: Vec<f64>) -> Vec<(f64, usize)> {
    numbers.sort_by(f64::total_cmp);
    let chunks = numbers.chunk_by(|left, right| left == right);
    chunks.map(|equal| (equal[0], equal.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_layers_are_one_group() {
        assert_eq!(
            without_numbers("model.layers.12.q_proj.weight"),
            "model.layers.*.q_proj.weight"
        );
        assert_eq!(without_numbers("conv1.weight"), "conv1.weight");
        assert_eq!(counted(vec![2.0, 1.0, 2.0]), [(1.0, 1), (2.0, 2)]);
    }
}
