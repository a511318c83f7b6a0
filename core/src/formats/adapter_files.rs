//! Adapters in the forms of three programs, recognised by their contents: PEFT's two files, one GGUF file of llama.cpp, mlx-lm's
//! two files.
//!
//! Reference: `src/llama-adapter.cpp` and `convert_lora_to_gguf.py` of ggml-org/llama.cpp; `mlx_lm/tuner/utils.py`, `lora.py` and
//! `dora.py` of ml-explore/mlx-lm. Here modules have the names of their files; `models/other_adapters.rs` puts them on a base.

use super::files::{base_name, read_json};
use super::gguf::{self, Metadata};
use super::peft::{Adapter, CONFIG_FILE, scaling};
use super::{Sniffed, safetensors, sniff};
use crate::store::Source;
use crate::{Error, Result};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use lorakeet_i18n::{Field, Message};
use serde_json::Value;
use std::collections::BTreeMap;

/// mlx-lm's file of tensors; its settings have the name of PEFT's.
pub const MLX_TENSORS_FILE: &str = "adapters.safetensors";

/// Modules of GGUF files whose inputs are numbers of rows: llama.cpp has their A as \[in, R\].
const GGUF_TABLES: [&str; 3] = ["token_embd.weight", "position_embd.weight", "token_types.weight"];

/// A tensor: name, shape (row-major), numbers.
type Named = (String, Vec<usize>, Vec<f32>);

/// What wrote an adapter.
#[derive(Debug, Clone, PartialEq)]
pub enum AdapterForm {
    /// huggingface/peft: modules by their paths.
    Peft,
    /// ggml-org/llama.cpp: modules by GGUF's names of their weights; rows of q and k may be permuted.
    Gguf {
        /// `general.architecture`.
        architecture: String,
    },
    /// ml-explore/mlx-lm: modules by their paths.
    Mlx {
        /// How many layers, from the last, carry adapters; `None` is all.
        num_layers: Option<usize>,
        /// Which modules do, by their paths or the part of these behind the layer's number; `None` is all.
        keys: Option<Vec<String>>,
    },
}

/// The matrices on one module, in PEFT's layout: y = x·Wᵀ + alpha/R · (x·Aᵀ)·Bᵀ.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterModule {
    /// The module by the name of its file.
    pub name: String,
    /// R.
    pub rank: usize,
    /// What the product is scaled by, times R.
    pub alpha: f64,
    /// A \[R, in\].
    pub a: Vec<f32>,
    /// B \[out, R\].
    pub b: Vec<f32>,
    /// DoRA's m \[out\].
    pub magnitude: Option<Vec<f32>>,
}

impl AdapterModule {
    /// in.
    pub fn inputs(&self) -> usize {
        self.a.len() / self.rank.max(1)
    }

    /// out.
    pub fn outputs(&self) -> usize {
        self.b.len() / self.rank.max(1)
    }

    /// s = alpha/R.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank.max(1) as f64
    }
}

/// An adapter by its modules.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterModules {
    /// What wrote it.
    pub form: AdapterForm,
    /// The base that its settings name.
    pub base: Option<String>,
    /// Dropout in front of the adapter while training.
    pub dropout: f64,
    /// Sorted by name.
    pub modules: Vec<AdapterModule>,
    /// Other tensors, which are no low-rank matrices: of PEFT, modules saved whole.
    pub others: Vec<Named>,
}

/// An opened adapter.
#[derive(Debug, Clone, PartialEq)]
pub enum AdapterFiles {
    /// PEFT's.
    Peft(Box<Adapter>),
    /// llama.cpp's or mlx-lm's.
    Other(AdapterModules),
}

/// What files hold.
enum Found {
    Peft,
    Mlx(Value),
    Gguf(Source),
}

/// What an adapter's files are; `None` where they are none's.
async fn found(files: &[Source]) -> Result<Option<Found>> {
    if let Some(config) = named(files, CONFIG_FILE) {
        let config = read_json(config.as_ref()).await?;
        return Ok(Some(match is_mlx(&config) {
            true => Found::Mlx(config),
            false => Found::Peft,
        }));
    }
    let mut gguf: Vec<Source> = Vec::new();
    for file in files {
        let is_called_so = file.name().to_ascii_lowercase().ends_with(".gguf");
        if (is_called_so || files.len() == 1) && sniff(file, true).await? == Sniffed::Gguf {
            let header = gguf::read_header(file).await?;
            if is_adapter(&header.metadata) {
                gguf.push(file.clone());
            }
        }
    }
    match gguf.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(Found::Gguf(only.clone()))),
        several => {
            let files = Field::list(several.iter().map(|source| source.name()));
            Err(Error::config(msg::SeveralGgufFiles { files }).remedy(msg::ChooseOneFile))
        }
    }
}

fn named<'a>(files: &'a [Source], name: &str) -> Option<&'a Source> {
    files.iter().find(|file| base_name(file.name()) == name)
}

/// Whether adapter_config.json is mlx-lm's.
pub(super) fn is_mlx(config: &Value) -> bool {
    let is_there = |key: &str| config.get(key).is_some();
    let own = ["lora_parameters", "fine_tune_type", "lora_layers"];
    !is_there("peft_type") && own.into_iter().any(is_there)
}

/// Whether a GGUF file's metadata are an adapter's.
pub(super) fn is_adapter(metadata: &Metadata) -> bool {
    metadata.text("general.type") == Some("adapter")
}

/// Whether there is an adapter among `files`: adapter_config.json, or a GGUF file that says so.
///
/// # Errors
/// A file cannot be read, or several hold one.
pub async fn holds_adapter(files: &[Source]) -> Result<bool> {
    Ok(found(files).await?.is_some())
}

impl AdapterFiles {
    /// Opens an adapter in any of the three forms; other files are not looked at.
    ///
    /// # Errors
    /// There is none, it lacks a file or breaks its format, or it says what is not read here.
    pub async fn open(files: Vec<Source>) -> Result<Self> {
        match found(&files).await? {
            Some(Found::Gguf(file)) => open_gguf(&file).await.map(Self::Other),
            Some(Found::Mlx(config)) => open_mlx(&files, &config).await.map(Self::Other),
            Some(Found::Peft) => open_peft(files).await,
            None => {
                if let [only] = files.as_slice()
                    && sniff(only, false).await? == Sniffed::Gguf
                {
                    let error = Error::model(msg::ModelNotAdapter).file(only.name());
                    return Err(error.remedy(msg::ChooseAdapter));
                }
                // It says which of PEFT's files is missing.
                open_peft(files).await
            }
        }
    }

    /// The base that it names.
    pub fn base(&self) -> Option<&str> {
        match self {
            Self::Peft(adapter) => adapter.config.base_model_name_or_path.as_deref(),
            Self::Other(other) => other.base.as_deref(),
        }
    }

    /// It by its modules.
    ///
    /// # Errors
    /// A matrix lacks its other half, or their shapes do not go together.
    pub fn modules(&self) -> Result<AdapterModules> {
        match self {
            Self::Peft(adapter) => AdapterModules::of_peft(adapter),
            Self::Other(other) => Ok(other.clone()),
        }
    }
}

impl AdapterModules {
    /// PEFT's adapter by its modules; what is no low-rank matrix is among `others`, but for the copy of the base's embedding that
    /// PEFT writes beside an adapter on it.
    ///
    /// # Errors
    /// A matrix lacks its other half, their shapes do not go together, or a pattern is no regular expression.
    pub fn of_peft(adapter: &Adapter) -> Result<Self> {
        let config = &adapter.config;
        let (mut parts, mut others) = (Parts::default(), Vec::new());
        for (name, shape, values) in &adapter.tensors {
            let path = name.strip_prefix("base_model.model.").unwrap_or(name);
            let ends = [
                (".lora_A.weight", Part::A),
                (".lora_embedding_A", Part::A),
                (".lora_B.weight", Part::B),
                (".lora_embedding_B", Part::B),
                (".lora_magnitude_vector", Part::Magnitude),
            ];
            let found = ends
                .iter()
                .find_map(|(end, part)| Some((path.strip_suffix(end)?, *part)));
            match found {
                Some((path, part)) => parts.add(path, part, (name.clone(), shape.clone(), values.clone())),
                None if path.ends_with(".base_layer.weight") => {}
                None => others.push((path.to_owned(), shape.clone(), values.clone())),
            }
        }
        let modules = parts.modules(&mut |path, rank| {
            let scale = scaling(rank, config.alpha_of(path)?, config.use_rslora);
            Ok(scale * rank as f64)
        })?;
        Ok(Self {
            form: AdapterForm::Peft,
            base: config.base_model_name_or_path.clone(),
            dropout: config.lora_dropout,
            modules,
            others,
        })
    }
}

async fn open_peft(files: Vec<Source>) -> Result<AdapterFiles> {
    let adapter = Adapter::open(files).await?;
    Ok(AdapterFiles::Peft(Box::new(adapter)))
}

/// A part of what is on a module.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// A \[R, in\].
    A,
    /// B \[out, R\].
    B,
    /// m \[out\].
    Magnitude,
}

/// Tensors by the modules that they are on.
#[derive(Default)]
struct Parts(BTreeMap<String, [Option<Named>; 3]>);

impl Parts {
    fn add(&mut self, module: &str, part: Part, tensor: Named) {
        self.0.entry(module.to_owned()).or_default()[part as usize] = Some(tensor);
    }

    /// The modules; `alpha` of the name of each and its R.
    fn modules(self, alpha: &mut dyn FnMut(&str, usize) -> Result<f64>) -> Result<Vec<AdapterModule>> {
        let mut modules = Vec::with_capacity(self.0.len());
        for (name, parts) in self.0 {
            let [a, b, magnitude] = parts;
            let (a, b) = match (a, b) {
                (Some(a), Some(b)) => (a, b),
                (Some((has, ..)), None) | (None, Some((has, ..))) => {
                    return Err(Error::format(msg::OtherHalfMissing).field(has));
                }
                (None, None) => {
                    let has = magnitude.map_or(name, |(has, ..)| has);
                    return Err(Error::format(msg::OtherHalfMissing).field(has));
                }
            };
            let (&[rank, inputs], &[outputs, of_b]) = (matrix(&a)?, matrix(&b)?);
            let outputs_of_m = magnitude.as_ref().map_or(outputs, |(_, _, m)| m.len());
            if rank == 0 || inputs == 0 || outputs == 0 || rank != of_b || outputs_of_m != outputs {
                let (a_shape, b_shape) = (format!("{:?}", a.1), format!("{:?}", b.1));
                return Err(Error::format(msg::HalvesDiffer { a_shape, b_shape }).field(a.0));
            }
            let alpha = alpha(&name, rank).map_err(|error| error.field(name.clone()))?;
            if !(alpha as f32).is_finite() {
                return Err(Error::format(common::NotFinite { got: alpha }).field(name));
            }
            modules.push(AdapterModule {
                name,
                rank,
                alpha,
                a: a.2,
                b: b.2,
                magnitude: magnitude.map(|(_, _, m)| m),
            });
        }
        Ok(modules)
    }
}

/// The shape of a matrix.
fn matrix((name, shape, _): &Named) -> Result<&[usize; 2]> {
    let shape: Option<&[usize; 2]> = shape.as_slice().try_into().ok();
    shape.ok_or_else(|| Error::format(msg::NoLowRankMatrix).field(name.clone()))
}

/// A matrix, turned.
fn turned((name, shape, values): Named) -> Result<Named> {
    let [rows, columns] = *matrix(&(name.clone(), shape, Vec::new()))?;
    let column = |column: usize| (0..rows).map(move |row| row * columns + column);
    let values = (0..columns).flat_map(column).map(|place| values[place]).collect();
    Ok((name, vec![columns, rows], values))
}

/// llama.cpp's: `NAME.lora_a` \[R, in\] and `NAME.lora_b` \[out, R\], of an embedding A turned. The scale is alpha/R, or 1 where
/// alpha is 0 or not given.
async fn open_gguf(file: &Source) -> Result<AdapterModules> {
    let header = gguf::read_header(file).await?;
    let metadata = &header.metadata;
    let wrong = |key: &str, what: Message| Error::format(what).file(file.name()).field(key);
    match metadata.text("adapter.type") {
        Some("lora") => {}
        Some(found) => {
            return Err(wrong(
                "adapter.type",
                msg::OnlyIsSupported { found, only: "lora" }.into(),
            ));
        }
        None => return Err(wrong("adapter.type", common::IsMissing.into())),
    }
    // These tokens switch the adapter on, which would be read as one that is always on.
    let alora = "adapter.alora.invocation_tokens";
    if metadata.0.contains_key(alora) {
        return Err(wrong(alora, msg::IsNotSupported { found: "set" }.into()));
    }
    let key = "general.architecture";
    let architecture = metadata.text(key).ok_or_else(|| wrong(key, common::IsMissing.into()))?;
    let key = "adapter.lora.alpha";
    let alpha = match metadata.0.get(key) {
        None => 0.0,
        Some(_) => {
            let alpha = metadata.float(key).filter(|alpha| alpha.is_finite());
            alpha.ok_or_else(|| wrong(key, msg::NotAFiniteNumber.into()))?
        }
    };
    let located = |error: Error| error.file(file.name());
    let mut parts = Parts::default();
    for tensor in safetensors::read_numbers(file, header.tensors).await? {
        let name = tensor.0.clone();
        if let Some(module) = name.strip_suffix(".lora_a") {
            let is_table = GGUF_TABLES.contains(&module);
            let a = if is_table {
                turned(tensor).map_err(located)?
            } else {
                tensor
            };
            parts.add(module, Part::A, a);
        } else if let Some(module) = name.strip_suffix(".lora_b") {
            parts.add(module, Part::B, tensor);
        } else {
            return Err(located(Error::format(msg::NoLowRankMatrix).field(name)));
        }
    }
    let modules = parts.modules(&mut |_, rank| Ok(if alpha == 0.0 { rank as f64 } else { alpha }));
    let modules = modules.map_err(located)?;
    if modules.is_empty() {
        return Err(located(Error::format(msg::NoTensors)));
    }
    // The base's name beside it is for people, and is no place.
    let address = metadata.text("general.base_model.0.repo_url");
    let base = address.and_then(|address| address.strip_prefix("https://huggingface.co/"));
    Ok(AdapterModules {
        form: AdapterForm::Gguf {
            architecture: architecture.to_owned(),
        },
        base: base.map(str::to_owned),
        dropout: 0.0,
        modules,
        others: Vec::new(),
    })
}

/// mlx-lm's settings.
struct MlxSettings {
    is_dora: bool,
    rank: Option<u64>,
    scale: f64,
    dropout: f64,
    num_layers: Option<usize>,
    keys: Option<Vec<String>>,
}

impl MlxSettings {
    fn read(config: &Value) -> Result<Self> {
        let wrong = |key: &str, what: Message| Error::format(what).file(CONFIG_FILE).field(key);
        let is_dora = match &config["fine_tune_type"] {
            Value::Null => config["use_dora"] == Value::Bool(true),
            Value::String(kind) if kind == "lora" || kind == "dora" => kind == "dora",
            found => {
                let only = "lora, dora";
                return Err(wrong("fine_tune_type", msg::OnlyIsSupported { found, only }.into()));
            }
        };
        let section = "lora_parameters";
        let Some(parameters) = config[section].as_object() else {
            return Err(wrong(section, msg::MissingOrNoObject.into()));
        };
        let known = ["rank", "alpha", "scale", "dropout", "keys"];
        if let Some(key) = parameters.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(wrong(&format!("{section}.{key}"), msg::UnknownLoraParameter.into()));
        }
        let get = |key: &str| parameters.get(key).filter(|value| !value.is_null());
        let number = |key: &str| {
            let read = |found: &Value| {
                let finite = found.as_f64().filter(|number| (*number as f32).is_finite());
                finite.ok_or_else(|| wrong(&format!("{section}.{key}"), msg::NotAFiniteNumber.into()))
            };
            get(key).map(read).transpose()
        };
        let scale = number("scale")?.ok_or_else(|| wrong("lora_parameters.scale", common::IsMissing.into()))?;
        let dropout = number("dropout")?.unwrap_or(0.0);
        if !(0.0..1.0).contains(&dropout) {
            return Err(wrong(
                "lora_parameters.dropout",
                common::NotShare { got: dropout }.into(),
            ));
        }
        let rank = match get("rank") {
            None => None,
            Some(found) => Some(
                found
                    .as_u64()
                    .ok_or_else(|| wrong("lora_parameters.rank", msg::NotAFiniteNumber.into()))?,
            ),
        };
        let keys = match get("keys") {
            None => None,
            Some(found) => {
                let names = found
                    .as_array()
                    .map(|names| names.iter().map(|name| name.as_str().map(str::to_owned)));
                let names: Option<Vec<String>> = names.and_then(Iterator::collect);
                Some(names.ok_or_else(|| wrong("lora_parameters.keys", msg::NoListOfNames.into()))?)
            }
        };
        let layers_key = if config["num_layers"].is_null() {
            "lora_layers"
        } else {
            "num_layers"
        };
        let num_layers = match &config[layers_key] {
            Value::Null => None,
            found => {
                let count = found
                    .as_i64()
                    .ok_or_else(|| wrong(layers_key, msg::NotAFiniteNumber.into()))?;
                // -1 is all.
                usize::try_from(count).ok()
            }
        };
        Ok(Self {
            is_dora,
            rank,
            scale,
            dropout,
            num_layers,
            keys,
        })
    }
}

/// mlx-lm's: `PATH.lora_a` \[in, R\] and `PATH.lora_b` \[R, out\], with DoRA `PATH.m` \[out\]; one scale for all, which is alpha/R.
async fn open_mlx(files: &[Source], config: &Value) -> Result<AdapterModules> {
    let settings = MlxSettings::read(config)?;
    let file = named(files, MLX_TENSORS_FILE).ok_or_else(|| {
        let (config, tensors) = (CONFIG_FILE, MLX_TENSORS_FILE);
        let error = Error::io(common::IsMissing).file(MLX_TENSORS_FILE);
        error.remedy(msg::ChooseBoth { config, tensors })
    })?;
    sniff(file, true).await?;
    let located = |error: Error| error.file(MLX_TENSORS_FILE);
    let mut parts = Parts::default();
    let placed = safetensors::read_header(file).await?;
    for tensor in safetensors::read_numbers(file, placed).await? {
        let name = tensor.0.clone();
        if let Some(module) = name.strip_suffix(".lora_a") {
            parts.add(module, Part::A, turned(tensor).map_err(located)?);
        } else if let Some(module) = name.strip_suffix(".lora_b") {
            parts.add(module, Part::B, turned(tensor).map_err(located)?);
        } else if let (Some(module), true) = (name.strip_suffix(".m"), settings.is_dora) {
            parts.add(module, Part::Magnitude, tensor);
        } else {
            return Err(located(Error::format(msg::NoLowRankMatrix).field(name)));
        }
    }
    let MlxSettings { rank, scale, .. } = settings;
    let modules = parts.modules(&mut |_, found| match rank.filter(|rank| *rank != found as u64) {
        Some(rank) => Err(Error::format(msg::OtherRankThanSettings { found, rank })),
        None => Ok(scale * found as f64),
    });
    let modules = modules.map_err(located)?;
    if modules.is_empty() {
        return Err(located(Error::format(msg::NoTensors)));
    }
    if settings.is_dora
        && let Some(module) = modules.iter().find(|module| module.magnitude.is_none())
    {
        let error = Error::format(common::IsMissing).field(format!("{}.m", module.name));
        return Err(located(error));
    }
    Ok(AdapterModules {
        form: AdapterForm::Mlx {
            num_layers: settings.num_layers,
            keys: settings.keys,
        },
        base: config["model"].as_str().map(str::to_owned),
        dropout: settings.dropout,
        modules,
        others: Vec::new(),
    })
}
