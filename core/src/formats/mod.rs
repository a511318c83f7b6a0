//! Model files: opened without trust, read tensor by tensor.
//!
//! [`ModelFiles`] is what the rest of the engine sees, whatever the files are: Hugging Face's names and shapes, a
//! config in Hugging Face's layout, a tokenizer, a chat template. [`gguf`] and [`safetensors`] know the containers,
//! [`blocks`] the number formats, [`peft`] adapters, [`adapter_files`] those of other programs, too. Nothing here knows an
//! architecture: what GGUF files call the parts of one comes with the call ([`Registry`]), and [`ModelFiles::open`]
//! (`models/open.rs`) gives what `models/registry.rs` knows.

pub mod adapter_files;
pub mod blocks;
pub mod diff;
mod files;
pub mod gguf;
pub mod gguf_config;
pub mod gguf_names;
pub mod gguf_tokenizer;
pub mod gguf_writer;
pub mod inspect;
pub mod peft;
mod pickle;
pub mod safetensors;
#[cfg(feature = "engine")]
mod sample;
pub mod sentence;
mod stored_zip;
mod torch_file;

pub use blocks::Storage;
pub(crate) use files::read_json;
pub use gguf_config::{GgufFile, GgufModel, OfGguf};
pub use gguf_names::{Change, GgufForm};
pub use sentence::{SentenceModules, TextPooling};

use crate::chat::ChatTemplate;
use crate::config::SMALL_MODELS;
use crate::head_spec::HeadSpec;
use crate::own_class::unwrapped;
use crate::store::{Source, read_all};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use files::{
    INDICES, MOST_TEXT_BYTES, Sniffed, base_name, chat_template, choose_shards, ids_at, is_torch, read_text, sniff,
    template_in_settings,
};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use lorakeet_i18n::{Field, Message};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// What is asked of the registry of architectures.
#[derive(Clone, Copy)]
pub struct Registry {
    /// The architecture of a GGUF file.
    pub of_gguf: OfGguf,
    /// What is read of a model of several parts.
    pub text_part: TextPart,
}

/// From config.json of a model of several parts that of the one that is read, and the note that says so; `None` of others.
pub type TextPart = fn(&Value) -> Result<Option<(Value, Message)>>;

/// A tensor as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorEntry {
    /// Hugging Face's name.
    pub name: String,
    /// Row-major, in Hugging Face's order.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub storage: Storage,
    /// What it takes in the file.
    pub bytes: u64,
}

impl TensorEntry {
    /// Numbers in it.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// How a file holds a matrix, so that it can be read by rows; every row is whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredMatrix {
    /// How its numbers are stored.
    pub storage: Storage,
    /// Rows in the file.
    pub rows: usize,
    /// Numbers in a row.
    pub columns: usize,
    /// Whether the file holds the transpose: then its rows are the columns of the tensor that
    /// [`ModelFiles::read_f32`] gives.
    pub transposed: bool,
}

/// A model's files: config, tensors, tokenizer, chat template.
pub struct ModelFiles {
    /// What the files say the model is called, else the first file's name without its ending.
    pub name: String,
    /// Hugging Face's config.json, of a model of several parts that of its text part; for a GGUF file made from its metadata.
    pub config: Value,
    /// Of a model of several parts, the note on what is read of it.
    pub text_part: Option<Message>,
    /// What a folder of sentence-transformers says of the vectors of texts.
    pub sentence: Option<SentenceModules>,
    /// Where its tensors are in files of torch.save, the note that says so.
    pub torch_files: Option<Message>,
    /// The head that a run puts on, in place of config.json's.
    pub(crate) head: Option<HeadSpec>,
    /// The tokenizer, where the files bring one.
    pub tokenizer: Option<Tokenizer>,
    /// The chat template, where the files bring one.
    pub chat_template: Option<ChatTemplate>,
    /// Tokens that end a generation: generation_config.json's, else config.json's, else the tokenizer's.
    pub eos_token_ids: Vec<u32>,
    /// Whether its tensors are in a GGUF file.
    is_gguf: bool,
    entries: Vec<TensorEntry>,
    /// Where each entry is, in the order of `entries`.
    places: Vec<Place>,
    by_name: HashMap<String, usize>,
}

impl std::fmt::Debug for ModelFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tensors = self.entries.len();
        write!(f, "ModelFiles({}, {tensors} tensors)", self.name)
    }
}

/// Where a tensor's bytes are.
struct Place {
    source: Source,
    offset: u64,
    change: Change,
}

impl ModelFiles {
    /// Opens one GGUF file of an architecture that `registry` knows, or a set with config.json and safetensors, or without those
    /// pytorch_model.bin. Reads headers only.
    ///
    /// A set may also hold tokenizer.json, tokenizer_config.json, special_tokens_map.json, generation_config.json,
    /// chat_template.jinja, model.safetensors.index.json, modules.json and the config.json of its pooling; other files are not
    /// looked at.
    ///
    /// # Errors
    /// A file is missing, empty, cut off, a web page or a Git LFS pointer, or breaks its format.
    pub async fn open_with(files: Vec<Source>, registry: Registry) -> Result<Self> {
        let mut gguf = Vec::new();
        for source in &files {
            let lower = source.name().to_ascii_lowercase();
            let is_tensors = lower.ends_with(".gguf") || lower.ends_with(".safetensors");
            let may_be_gguf = files.len() == 1 || is_tensors;
            let is_model_file = may_be_gguf || lower.ends_with(".json") || lower.ends_with(".jinja");
            if is_model_file && sniff(source, is_tensors).await? == Sniffed::Gguf {
                gguf.push(source.clone());
            }
        }
        let mut model = match gguf.as_slice() {
            [] => Self::open_set(files, registry.text_part).await?,
            [only] => Self::open_gguf(only.clone(), registry.of_gguf).await?,
            several => {
                let files = Field::list(several.iter().map(|source| source.name()));
                return Err(Error::config(msg::SeveralGgufFiles { files }).remedy(msg::ChooseOneFile));
            }
        };
        if model.eos_token_ids.is_empty() {
            model.eos_token_ids = ids_at(&model.config, "eos_token_id", "config.json")?;
        }
        if let (true, Some(tokenizer)) = (model.eos_token_ids.is_empty(), &model.tokenizer) {
            model.eos_token_ids = tokenizer.eos_token_ids().to_vec();
        }
        Ok(model)
    }

    /// Opens a GGUF file or a folder in Hugging Face's layout.
    ///
    /// # Errors
    /// As [`ModelFiles::open_with`]; and there is nothing at `path`.
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn open_path_with(path: &std::path::Path, registry: Registry) -> Result<Self> {
        use crate::store::DiskFile;
        let located = |error: Error| error.file(path.display().to_string());
        if !path.is_dir() {
            let files = vec![DiskFile::source(path)?];
            return Self::open_with(files, registry).await.map_err(located);
        }
        let unreadable = |why: std::io::Error| {
            let what = msg::CannotRead;
            located(Error::io(common::At { place: what, what: why }))
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if file.is_file() && ["json", "jinja", "safetensors", "gguf", "bin"].contains(&ending) {
                files.push(DiskFile::source(&file)?);
            }
        }
        for file in sentence::module_files(path) {
            files.push(DiskFile::source(&file)?);
        }
        files.sort_by(|left, right| left.name().cmp(right.name()));
        let mut model = Self::open_with(files, registry).await.map_err(located)?;
        let folder = path.canonicalize().ok();
        if let (true, Some(name)) = (
            model.name == "model",
            folder.as_deref().and_then(|folder| folder.file_name()),
        ) {
            model.name = name.to_string_lossy().into_owned();
        }
        Ok(model)
    }

    /// Whether its tensors are in this GGUF file.
    pub(crate) fn is_gguf(&self, file: &Source) -> bool {
        let is_in = |place: &Place| std::rc::Rc::ptr_eq(&place.source, file);
        self.is_gguf && self.places.first().is_some_and(is_in)
    }

    /// A model that does not exist yet: a config.json alone, for fresh weights.
    pub fn from_config(name: impl Into<String>, config: Value) -> Self {
        Self {
            name: name.into(),
            config,
            text_part: None,
            sentence: None,
            torch_files: None,
            head: None,
            tokenizer: None,
            chat_template: None,
            eos_token_ids: Vec::new(),
            is_gguf: false,
            entries: Vec::new(),
            places: Vec::new(),
            by_name: HashMap::new(),
        }
    }

    /// Every tensor, sorted by name.
    pub fn entries(&self) -> &[TensorEntry] {
        &self.entries
    }

    /// The tensor called `name`.
    pub fn entry(&self, name: &str) -> Option<&TensorEntry> {
        self.by_name.get(name).map(|index| &self.entries[*index])
    }

    /// Whether there is a tensor called `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// One tensor as 32-bit floats, row-major, with its shape. Reads only its own slice of the file.
    ///
    /// # Errors
    /// There is no such tensor, its storage is not one that is read here, or the file cannot be read.
    pub async fn read_f32(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let (entry, place) = self.find(name)?;
        let located = |error: Error| error.file(place.source.name()).field(name);
        if !entry.storage.is_readable() {
            return Err(located(
                blocks::decode(entry.storage, &[])
                    .err()
                    .unwrap_or_else(|| Error::internal(msg::UnreadableDecoded)),
            ));
        }
        let bytes = self.read_bytes(name).await?;
        let values = blocks::decode(entry.storage, &bytes).map_err(located)?;
        Ok((entry.shape.clone(), place.change.apply(&entry.shape, values)))
    }

    /// The bytes of a tensor, as its file stores them.
    ///
    /// # Errors
    /// There is no such tensor, or the file cannot be read.
    pub async fn read_bytes(&self, name: &str) -> Result<Vec<u8>> {
        let (entry, place) = self.find(name)?;
        let located = |error: Error| error.file(place.source.name()).field(name);
        let length = usize::try_from(entry.bytes).map_err(|_| located(Error::model(common::TooLargeForMachine)))?;
        place.source.read_at(place.offset, length).await.map_err(located)
    }

    /// How the file holds the matrix `name`, so that it can be read by rows.
    ///
    /// # Errors
    /// There is no such tensor, or it is no matrix.
    pub fn stored_matrix(&self, name: &str) -> Result<StoredMatrix> {
        let (entry, place) = self.find(name)?;
        let [rows, columns] = entry.shape[..] else {
            let shape = format!("{:?}", entry.shape);
            return Err(Error::model(msg::NotAMatrix { shape })
                .file(place.source.name())
                .field(name));
        };
        let transposed = place.change == Change::Transpose;
        let (rows, columns) = if transposed { (columns, rows) } else { (rows, columns) };
        Ok(StoredMatrix {
            storage: entry.storage,
            rows,
            columns,
            transposed,
        })
    }

    /// Some rows of the [stored matrix](ModelFiles::stored_matrix) `name` as their bytes, one whole row after the other, not
    /// decoded. Rows stand in Hugging Face's order, also where the file permutes them.
    ///
    /// Reads one piece of the file: these rows and no other; of permuted ones, from the first to the last that is wanted,
    /// which is at most the whole of the heads that they lie in.
    ///
    /// # Errors
    /// As [`ModelFiles::stored_matrix`]; there are no such rows; the file cannot be read.
    pub async fn read_rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<u8>> {
        let matrix = self.stored_matrix(name)?;
        let (_, place) = self.find(name)?;
        let located = |error: Error| error.file(place.source.name()).field(name);
        if rows.start > rows.end || rows.end > matrix.rows {
            let Range { start, end } = rows;
            let rows = matrix.rows;
            return Err(located(Error::model(msg::NoSuchRows { rows, start, end })));
        }
        let wanted: Vec<usize> = rows.map(|row| place.change.file_row(matrix.rows, row)).collect();
        let (Some(&first), Some(&last)) = (wanted.iter().min(), wanted.iter().max()) else {
            return Ok(Vec::new());
        };
        let row_bytes = matrix.columns / matrix.storage.block_elements() * matrix.storage.block_bytes();
        // The table of the file was checked: the whole matrix fits into 64 bits, but not always into this machine.
        let length = row_bytes.checked_mul(last - first + 1);
        let length = length.ok_or_else(|| located(Error::model(common::TooLargeForMachine)))?;
        let offset = place.offset + first as u64 * row_bytes as u64;
        let bytes = place.source.read_at(offset, length).await.map_err(located)?;
        if wanted.is_sorted() && wanted.len() == last - first + 1 {
            return Ok(bytes);
        }
        let row = |row: &usize| &bytes[(row - first) * row_bytes..][..row_bytes];
        Ok(wanted.iter().flat_map(row).copied().collect())
    }

    /// The same rows as 32-bit floats.
    ///
    /// # Errors
    /// As [`ModelFiles::read_rows`]; its storage is not one that is read here.
    pub async fn read_rows_f32(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        let (entry, place) = self.find(name)?;
        let bytes = self.read_rows(name, rows).await?;
        blocks::decode(entry.storage, &bytes).map_err(|error| error.file(place.source.name()).field(name))
    }

    fn find(&self, name: &str) -> Result<(&TensorEntry, &Place)> {
        let Some(index) = self.by_name.get(name) else {
            return Err(Error::model(msg::NoSuchTensor).field(name).remedy(msg::FilesOfOneModel));
        };
        Ok((&self.entries[*index], &self.places[*index]))
    }

    /// A set in Hugging Face's layout.
    async fn open_set(files: Vec<Source>, text_part: TextPart) -> Result<Self> {
        let (files, pooling) = sentence::take_modules(files).await?;
        let by_name: BTreeMap<&str, &Source> = files.iter().map(|file| (base_name(file.name()), file)).collect();
        let json = async |name: &str| match by_name.get(name) {
            Some(source) => read_json(source.as_ref()).await.map(Some),
            None => Ok(None),
        };
        let whole = json("config.json").await?.map(unwrapped);
        let part = whole.as_ref().map(text_part).transpose()?.flatten();
        let (config, text_part) = match part {
            Some((config, note)) => (Some(config), Some(note)),
            None => (whole, None),
        };
        let takes_no_text = config.as_ref().is_some_and(|config| {
            let kind = config["model_type"].as_str();
            kind.is_some_and(|kind| SMALL_MODELS.contains(&kind)) && config["vocab_size"].is_null()
        });
        let indices = [json(INDICES[0]).await?, json(INDICES[1]).await?];
        let shards = choose_shards(&by_name, indices, takes_no_text)?;
        let names: Vec<&str> = shards
            .iter()
            .filter(|file| is_torch(file))
            .map(|file| file.name())
            .collect();
        let torch_files: Option<Message> = (!names.is_empty()).then(|| {
            let files = Field::list(&names);
            msg::FromTorchFiles { files }.into()
        });
        let Some(config) = config else {
            return Err(Error::model(msg::ConfigMissing).remedy(msg::ChooseWithConfig));
        };
        if !config.is_object() {
            return Err(Error::format(common::NotJsonObject).file("config.json"));
        }
        let mut tensors = Vec::new();
        for source in &shards {
            if is_torch(source) {
                let read = torch_file::read(source).await?.into_iter();
                tensors.extend(read.map(|(placed, file)| (placed, Change::None, file)));
                continue;
            }
            for placed in safetensors::read_header(source).await? {
                tensors.push((placed, Change::None, source.clone()));
            }
        }
        let settings = json("tokenizer_config.json").await?;
        let specials = json("special_tokens_map.json").await?;
        let mut tokenizer = None;
        if let Some(source) = by_name.get("tokenizer.json") {
            let bytes = read_all(source.as_ref(), MOST_TEXT_BYTES).await?;
            let mut read = Tokenizer::from_json(&bytes).map_err(|error| error.file(source.name()))?;
            for (name, settings) in [
                ("tokenizer_config.json", &settings),
                ("special_tokens_map.json", &specials),
            ] {
                if let Some(settings) = settings {
                    read.name_special_tokens(settings).map_err(|error| error.file(name))?;
                }
            }
            tokenizer = Some(read);
        }
        let modules = json(sentence::MODULES).await?;
        let sentence = modules.map(|list| SentenceModules::read(list, pooling)).transpose()?;
        let mut template = settings.as_ref().and_then(template_in_settings);
        if let Some(source) = by_name.get("chat_template.jinja") {
            template = Some(read_text(source.as_ref()).await?);
        }
        let generation = json("generation_config.json").await?.unwrap_or(Value::Null);
        let stated = ["_name_or_path", "name"]
            .iter()
            .find_map(|key| config.get(key)?.as_str());
        let stated = stated
            .map(|name| base_name(name.trim_end_matches('/')))
            .filter(|name| !name.is_empty());
        let name = stated.unwrap_or("model").to_string();
        let chat_template = chat_template(template.as_deref(), tokenizer.as_ref())?;
        let eos_token_ids = ids_at(&generation, "eos_token_id", "generation_config.json")?;
        let model = Self {
            name,
            config,
            text_part,
            sentence,
            torch_files,
            head: None,
            tokenizer,
            chat_template,
            eos_token_ids,
            is_gguf: false,
            entries: Vec::new(),
            places: Vec::new(),
            by_name: HashMap::new(),
        };
        model.with_tensors(tensors)
    }

    /// One GGUF file.
    async fn open_gguf(source: Source, of_gguf: OfGguf) -> Result<Self> {
        let header = gguf::read_header(&source).await?;
        let located = |error: Error| error.file(source.name());
        let metadata = &header.metadata;
        let architecture = gguf_config::model(metadata, of_gguf).map_err(located)?;
        let factors = match header.tensors.iter().find(|tensor| tensor.name == "rope_freqs.weight") {
            Some(tensor) if tensor.bytes <= 1 << 20 => {
                let bytes = source.read_at(tensor.offset, tensor.bytes as usize).await?;
                Some(blocks::decode(tensor.storage, &bytes).map_err(located)?)
            }
            _ => None,
        };
        let file = GgufFile::new(&header, architecture, factors.as_deref());
        let config = file.config().map_err(located)?;
        let tokenizer = match metadata.text("tokenizer.ggml.model") {
            Some(_) => Some(gguf_tokenizer::tokenizer(metadata).map_err(located)?),
            None => None,
        };
        let template = metadata.text("tokenizer.chat_template");
        let chat_template = chat_template(template, tokenizer.as_ref()).map_err(located)?;
        let file_stem = base_name(source.name()).trim_end_matches(".gguf");
        let eos_token_ids = tokenizer
            .as_ref()
            .map(|read| read.eos_token_ids().to_vec())
            .unwrap_or_default();
        let renamed = file.renamed().map_err(located)?.into_iter();
        let tensors = renamed.map(|tensor| (tensor.placed, tensor.change, source.clone()));
        let model = Self {
            name: metadata.text("general.name").unwrap_or(file_stem).to_string(),
            config,
            text_part: None,
            sentence: None,
            torch_files: None,
            head: None,
            tokenizer,
            chat_template,
            eos_token_ids,
            is_gguf: true,
            entries: Vec::new(),
            places: Vec::new(),
            by_name: HashMap::new(),
        };
        model.with_tensors(tensors.collect()).map_err(located)
    }

    fn with_tensors(mut self, mut tensors: Vec<(safetensors::Placed, Change, Source)>) -> Result<Self> {
        tensors.sort_by(|left, right| left.0.name.cmp(&right.0.name));
        for (placed, change, source) in tensors {
            if self.by_name.insert(placed.name.clone(), self.entries.len()).is_some() {
                return Err(Error::model(msg::TwiceInFiles)
                    .file(source.name())
                    .field(placed.name)
                    .remedy(msg::FilesOfOneModelOnly));
            }
            self.places.push(Place {
                source,
                offset: placed.offset,
                change,
            });
            self.entries.push(TensorEntry {
                name: placed.name,
                shape: placed.shape,
                storage: placed.storage,
                bytes: placed.bytes,
            });
        }
        Ok(self)
    }
}
