//! A merged model as a folder in Hugging Face's layout: config.json, safetensors with an index where there are several, and the
//! small files of the base.

use super::bitsandbytes::{PackedLinear, Packing, Part};
use super::merged::{Merged, MergedTensor};
use super::reader::Reader;
use super::{Form, Settings};
use crate::error::{Error, Result};
use crate::formats::{Storage, safetensors};
use crate::own_class::{CLASS, CLASS_FILE};
use crate::quant::ggml;
use crate::store::{Source, StreamSink, read_all};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use serde_json::{Map, Value, json};

/// Files of the base that are copied.
const COPIED: [&str; 13] = [
    "tokenizer.json",
    TOKENIZER_SETTINGS,
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "generation_config.json",
    "chat_template.jinja",
    OF_OTHER_PARTS,
];

const TOKENIZER_SETTINGS: &str = "tokenizer_config.json";
/// The class of a tokenizer that is all in tokenizer.json.
const TOKENIZER_CLASS: &str = "PreTrainedTokenizerFast";

/// What makes images and sounds ready: a text part alone has none.
const OF_OTHER_PARTS: &str = "preprocessor_config.json";

/// The largest of them that is copied.
const MOST_COPIED_BYTES: u64 = 128 << 20;

/// How a tensor is stored.
pub(super) enum Kept {
    /// In this format.
    As(Storage),
    /// As the tensors of a packed linear.
    Packed(PackedLinear),
}

/// Tensors of one file, with what each is stored as.
pub(super) type Shard<'m> = Vec<(&'m MergedTensor, Kept)>;

/// Writes the folder; `modules` are files that say how vectors of texts are made.
///
/// # Errors
/// A number does not fit into its format, a file cannot be read or written.
pub(super) async fn write(
    merged: &Merged<'_>,
    base_files: &[Source],
    (settings, modules): (Settings, &[(String, Value)]),
    sink: &dyn StreamSink,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Message>> {
    let shards = shards(merged, settings, None)?;
    write_weights(merged, &shards, sink, progress).await?;
    // Its texts of different lengths are padded with what the settings name.
    let pad = match settings.form {
        Form::SentenceTransformers => missing_pad(merged),
        _ => None,
    };
    let config = config(merged, settings);
    let own = merged.with_own_class(&config)?;
    write_small_files(merged, base_files, (pad.as_deref(), own.is_some()), sink).await?;
    for (name, value) in modules {
        write_json(sink, name, value).await?;
    }
    let mut notes: Vec<Message> = Vec::new();
    notes.extend(write_config(config, own, sink).await?);
    if merged.files.tokenizer.is_none() {
        notes.push(msg::NoTokenizer.into());
    }
    notes.extend(pad.map(|token| Message::from(msg::PadsWith { token })));
    Ok(notes)
}

/// Writes config.json, which comes behind all other files, because whoever looks for a model looks for it: that with its `own` class,
/// and the class, where there is one.
///
/// # Errors
/// A file cannot be written.
pub(super) async fn write_config(config: Value, own: Option<Value>, sink: &dyn StreamSink) -> Result<Option<Message>> {
    let note = match own.is_some() {
        true => {
            sink.write(CLASS_FILE, CLASS.as_bytes()).await?;
            Some(msg::OwnClass { file: CLASS_FILE }.into())
        }
        false => None,
    };
    write_json(sink, "config.json", &own.unwrap_or(config)).await?;
    Ok(note)
}

/// Writes the tensors, and an index where there are several files of them.
///
/// # Errors
/// A number does not fit into its format, a file cannot be read or written.
pub(super) async fn write_weights(
    merged: &Merged<'_>,
    shards: &[Shard<'_>],
    sink: &dyn StreamSink,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let names = file_names(shards.len());
    let total: u64 = shards.iter().flatten().map(|(tensor, kept)| size(tensor, kept)).sum();
    let mut done = 0;
    let mut map = Map::new();
    for (shard, file) in shards.iter().zip(&names) {
        // Single bytes stand at the end, where nothing has to lie evenly behind them.
        let single = shard.iter().filter_map(|(_, kept)| kept.single_byte());
        let single: Vec<Part> = single.collect();
        let mut table: Vec<Part> = shard.iter().flat_map(|(tensor, kept)| kept.parts(tensor)).collect();
        table.extend(single.iter().cloned());
        map.extend(table.iter().map(|(name, ..)| (name.clone(), json!(file))));
        let mut pieces = sink.create(file).await?;
        pieces.append(&safetensors::header(&table)?).await?;
        for (tensor, kept) in shard {
            let storage = match kept {
                Kept::As(storage) if storage.is_readable() => *storage,
                // Written in one piece.
                _ => {
                    let bytes = match kept {
                        Kept::Packed(linear) => linear.bytes(merged, tensor).await?,
                        Kept::As(_) => merged.stored_bytes(tensor).await?,
                    };
                    pieces.append(&bytes).await?;
                    done += bytes.len() as u64;
                    progress(done, total);
                    continue;
                }
            };
            let reader = Reader::open(merged, tensor).await?;
            for rows in reader.chunks() {
                let values = reader.rows(rows).await?;
                let bytes = ggml::encode(storage, &values).map_err(|error| error.field(&tensor.name))?;
                pieces.append(&bytes).await?;
                done += bytes.len() as u64;
                progress(done, total);
            }
        }
        if !single.is_empty() {
            pieces.append(&vec![0; single.len()]).await?;
            done += single.len() as u64;
            progress(done, total);
        }
        pieces.finish().await?;
    }
    if shards.len() > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
        write_json(sink, "model.safetensors.index.json", &index).await?;
    }
    Ok(())
}

impl Kept {
    /// The tensors that it is in the file, without [`Kept::single_byte`].
    fn parts(&self, tensor: &MergedTensor) -> Vec<Part> {
        match self {
            Self::As(storage) => vec![(tensor.name.clone(), tensor.shape.clone(), *storage)],
            Self::Packed(linear) => linear.parts(),
        }
    }

    /// A tensor of one byte that belongs to it, a 0.
    fn single_byte(&self) -> Option<Part> {
        match self {
            Self::As(_) => None,
            Self::Packed(linear) => linear.weight_format(),
        }
    }

    /// What the place of its numbers is a multiple of: groups of packed linears begin where 32-bit floats may.
    fn alignment(&self) -> usize {
        match self {
            Self::As(storage) => storage.block_bytes(),
            Self::Packed(_) => size_of::<f32>(),
        }
    }
}

/// The token that ends texts, where the tokenizer has none for padding.
fn missing_pad(merged: &Merged<'_>) -> Option<String> {
    let tokenizer = merged.files.tokenizer.as_ref()?;
    let end = merged
        .files
        .eos_token_ids
        .first()
        .filter(|_| tokenizer.pad_token_id().is_none());
    tokenizer.token_text(*end?)
}

/// What the weights take, without what stands before them in their files.
///
/// # Errors
/// A tensor cannot be read.
pub(super) fn size_of_weights(merged: &Merged<'_>, settings: Settings) -> Result<u64> {
    let shards = shards(merged, settings, None)?;
    let tensors = shards.iter().flatten();
    Ok(tensors.map(|(tensor, kept)| size(tensor, kept)).sum())
}

/// What a tensor takes in a file.
fn size(tensor: &MergedTensor, kept: &Kept) -> u64 {
    let bytes = |(_, shape, storage): Part| {
        let shape: Vec<u64> = shape.iter().map(|size| *size as u64).collect();
        storage.size_bytes(&shape).unwrap_or(0)
    };
    let parts = kept.parts(tensor).into_iter().chain(kept.single_byte());
    parts.map(bytes).sum()
}

/// What a tensor is stored as: as it is wanted, or as the base has it, F16 where the base has it in blocks.
fn storage(tensor: &MergedTensor, wanted: Option<Storage>) -> Result<Storage> {
    match tensor.storage {
        // Whole numbers, such as positions.
        Storage::I64 => Ok(Storage::I64),
        Storage::Other { block_elements: 1, .. } => Ok(tensor.storage),
        Storage::Other { .. } => Err(Error::model(msg::NotReadable {
            storage: tensor.storage,
        })
        .field(&tensor.name)),
        Storage::F32 | Storage::F16 | Storage::BF16 => Ok(wanted.unwrap_or(tensor.storage)),
        _ => Ok(wanted.unwrap_or(Storage::F16)),
    }
}

/// The tensors, divided into files; linears `packed` where that is wanted.
///
/// # Errors
/// A tensor cannot be read.
pub(super) fn shards<'m>(
    merged: &'m Merged<'_>,
    settings: Settings,
    packed: Option<Packing>,
) -> Result<Vec<Shard<'m>>> {
    let mut tensors = Vec::with_capacity(merged.tensors.len());
    for tensor in &merged.tensors {
        let linear = packed.and_then(|packing| PackedLinear::of(merged, tensor, packing));
        let kept = match linear {
            Some(linear) => Kept::Packed(linear),
            None => Kept::As(storage(tensor, settings.dtype)?),
        };
        tensors.push((tensor, kept));
    }
    // Numbers of eight bytes go first, then those of four and so on: readers map them where they lie.
    tensors.sort_by_key(|(_, kept)| std::cmp::Reverse(kept.alignment()));
    let mut shards = vec![Vec::new()];
    let mut filled = 0;
    for (tensor, kept) in tensors {
        let bytes = size(tensor, &kept);
        let last = shards.len() - 1;
        if filled > 0 && filled + bytes > settings.shard_bytes {
            shards.push(vec![(tensor, kept)]);
            filled = bytes;
        } else {
            shards[last].push((tensor, kept));
            filled += bytes;
        }
    }
    Ok(shards)
}

/// `model.safetensors`, or `model-00001-of-00003.safetensors` and so on.
fn file_names(count: usize) -> Vec<String> {
    match count {
        0 | 1 => vec!["model.safetensors".to_owned()],
        _ => (1..=count)
            .map(|i| format!("model-{i:05}-of-{count:05}.safetensors"))
            .collect(),
    }
}

/// config.json with the number format of the weights.
pub(super) fn config(merged: &Merged<'_>, settings: Settings) -> Value {
    let mut config = merged.config.clone();
    let is_gguf = merged.tensors.iter().any(|tensor| tensor.storage.block_elements() > 1);
    let dtype = settings.dtype.or(is_gguf.then_some(Storage::F16));
    if let Some(dtype) = dtype {
        let key = match config["dtype"].is_null() {
            true => "torch_dtype",
            false => "dtype",
        };
        config[key] = json!(super::name_of(dtype));
    }
    config
}

pub(super) async fn write_json(sink: &dyn StreamSink, name: &str, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Error::internal(Message::verbatim(error.to_string())))?;
    sink.write(name, text.as_bytes()).await
}

/// Tokenizer, chat template and settings of generation: the base's files, or what a GGUF file says. `pad` becomes the tokenizer's
/// token of padding; where config.json names the model's own class, the tokenizer's class cannot be told by it.
///
/// # Errors
/// A file cannot be read or written.
pub(super) async fn write_small_files(
    merged: &Merged<'_>,
    base_files: &[Source],
    (pad, has_own_class): (Option<&str>, bool),
    sink: &dyn StreamSink,
) -> Result<()> {
    let mut copied = 0;
    let is_copied =
        |name: &str| COPIED.contains(&name) && !(name == OF_OTHER_PARTS && merged.files.text_part.is_some());
    for file in base_files.iter().filter(|file| is_copied(file.name())) {
        let bytes = read_all(file.as_ref(), MOST_COPIED_BYTES).await?;
        copied += 1;
        if file.name() != TOKENIZER_SETTINGS || (pad.is_none() && !has_own_class) {
            sink.write(file.name(), &bytes).await?;
            continue;
        }
        let mut settings: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if let Some(settings) = settings.as_object_mut() {
            if let Some(pad) = pad {
                settings.insert("pad_token".to_owned(), json!(pad));
            }
            if has_own_class {
                settings.entry("tokenizer_class").or_insert(json!(TOKENIZER_CLASS));
            }
        }
        write_json(sink, TOKENIZER_SETTINGS, &settings).await?;
    }
    let has_settings = base_files.iter().any(|file| file.name() == TOKENIZER_SETTINGS);
    if let (Some(pad), true, false) = (pad, copied > 0, has_settings) {
        let settings = json!({ "tokenizer_class": TOKENIZER_CLASS, "pad_token": pad });
        write_json(sink, TOKENIZER_SETTINGS, &settings).await?;
    }
    let (files, Some(tokenizer)) = (&merged.files, &merged.files.tokenizer) else {
        return Ok(());
    };
    if copied > 0 {
        return Ok(());
    }
    sink.write("tokenizer.json", tokenizer.to_json()?.as_bytes()).await?;
    let token = |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id));
    let mut settings = json!({
        "tokenizer_class": TOKENIZER_CLASS,
        "clean_up_tokenization_spaces": false,
        "bos_token": token(tokenizer.bos_token_id()),
        "eos_token": token(files.eos_token_ids.first().copied()),
        "pad_token": pad.map(str::to_owned).or_else(|| token(tokenizer.pad_token_id())),
    });
    let template = files.chat_template.as_ref().map(|template| template.source());
    if let Some(template) = template {
        settings["chat_template"] = json!(template);
        sink.write("chat_template.jinja", template.as_bytes()).await?;
    }
    write_json(sink, TOKENIZER_SETTINGS, &settings).await?;
    let generation = json!({
        "bos_token_id": tokenizer.bos_token_id(),
        "eos_token_id": files.eos_token_ids,
        "pad_token_id": tokenizer.pad_token_id(),
    });
    write_json(sink, "generation_config.json", &generation).await
}
