//! A merged model as one GGUF file.
//!
//! Reference: `convert_hf_to_gguf.py` of ggml-org/llama.cpp. Of a base that is a GGUF file the metadata go over as they are.

use super::gguf_mix::{Mix, OUTPUT, TABLE};
use super::merged::{Change as Trained, Merged, MergedTensor};
use super::reader::Reader;
use super::{Form, Settings, gguf_keys, gguf_tokenizer, no_architecture, refuse_small};
use crate::error::{Error, Result};
use crate::formats::gguf::{read_header, read_pairs};
use crate::formats::gguf_names::Heads;
use crate::formats::gguf_writer::{ALIGNMENT, GgufWriter};
use crate::formats::{Change, GgufForm, ModelFiles, Storage, TensorEntry};
use crate::models::registry::{ARCHITECTURES, Kind, gguf_form, heads};
use crate::quant::ggml;
use crate::store::{Pieces, Source, StreamSink};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use serde_json::json;
use std::collections::BTreeMap;

/// ggml's version of its number formats.
const QUANTIZATION_VERSION: u32 = 2;

/// How GGUF files call the tensors of a model.
pub(super) struct Names {
    pub(super) form: &'static GgufForm,
    heads: Heads,
    is_gated: bool,
}

impl Names {
    /// # Errors
    /// llama.cpp does not have the architecture, or the registry not its names.
    pub(super) fn of(merged: &Merged<'_>, form: Form) -> Result<Self> {
        refuse_small(merged, form)?;
        let unknown = || {
            let known = ARCHITECTURES.iter().filter(|row| row.gguf.is_some());
            no_architecture(merged, form, known.map(|row| row.model_type))
        };
        let form = gguf_form(merged.architecture, &merged.config)?.ok_or_else(unknown)?;
        let is_gated = |tensor: &MergedTensor| tensor.name.contains("DenseReluDense.wi_0");
        Ok(Self {
            form,
            heads: heads(&merged.config),
            is_gated: merged.tensors.iter().any(is_gated),
        })
    }

    fn find(&self, merged: &Merged<'_>, tensor: &MergedTensor) -> Option<String> {
        let name = merged.usual_name(tensor);
        let without_first = name.split_once('.').map(|(_, rest)| rest);
        let mut candidates = [Some(name.as_str()), without_first].into_iter().flatten();
        candidates.find_map(|name| self.form.gguf_name(name, self.is_gated))
    }

    /// GGUF's name of a tensor.
    ///
    /// # Errors
    /// It has none.
    pub(super) fn gguf_name(&self, merged: &Merged<'_>, tensor: &MergedTensor) -> Result<String> {
        self.find(merged, tensor).ok_or_else(|| {
            let architecture = self.form.architecture;
            let error = Error::model(msg::NoGgufName { architecture }).field(&tensor.name);
            error.remedy(msg::ExportMergedModel)
        })
    }

    /// Whether llama.cpp counts the model among those of 70 billion weights (`LLM_TYPE_70B`).
    fn has_few_values(&self, merged: &Merged<'_>) -> bool {
        let Heads { query, key_value } = self.heads;
        let is_one = match self.form.architecture {
            "llama" => query != key_value,
            architecture => architecture == "qwen2",
        };
        is_one && merged.layers == 80
    }

    /// What is to be undone of a tensor's numbers.
    pub(super) fn change(&self, tensor: &MergedTensor) -> Change {
        (self.form.change)(&tensor.name, tensor.shape.len(), self.heads)
    }
}

/// llama.cpp's number of a file's most frequent format (`enum llama_ftype`).
pub(super) fn file_type(storage: Storage) -> u32 {
    match storage {
        Storage::F16 => 1,
        Storage::Q4_0 => 2,
        Storage::Q4_1 => 3,
        Storage::Q8_0 => 7,
        // Of the mixes Q4_K_M and Q5_K_M.
        Storage::Q4K => 15,
        Storage::Q5K => 17,
        Storage::BF16 => 32,
        _ => 0,
    }
}

/// What is written of a tensor.
enum Content<'m> {
    /// A tensor of the merged model.
    Merged(&'m MergedTensor, Change),
    /// A tensor of the base's GGUF file that has no counterpart in Hugging Face's layout.
    Copied { offset: u64, bytes: u64 },
    /// Numbers that the base's config.json stands for.
    Made(Vec<f32>),
}

/// A tensor of the file.
struct Planned<'m> {
    name: String,
    shape: Vec<usize>,
    storage: Storage,
    content: Content<'m>,
}

impl Planned<'_> {
    fn bytes(&self) -> u64 {
        let shape: Vec<u64> = self.shape.iter().map(|size| *size as u64).collect();
        self.storage.size_bytes(&shape).unwrap_or(0)
    }
}

/// Writes the file.
///
/// # Errors
/// llama.cpp has no place for a part of the model, a file cannot be read or written.
pub(super) async fn write(
    merged: &Merged<'_>,
    base_files: &[Source],
    settings: Settings,
    sink: &dyn StreamSink,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Message>> {
    let base = base_file(merged, base_files);
    let (header, planned) = prepare(merged, base, settings).await?;
    let total: u64 = planned.iter().map(Planned::bytes).sum();
    let mut done = 0u64;
    let mut pieces = sink.create(Form::GGUF_FILE).await?;
    pieces.append(&header).await?;
    for tensor in &planned {
        let mut wrote = |bytes: u64| {
            done += bytes;
            progress(done, total);
        };
        let written = append(merged, base, tensor, pieces.as_mut(), &mut wrote).await?;
        let padding = written.next_multiple_of(ALIGNMENT) - written;
        pieces.append(&vec![0; padding as usize]).await?;
    }
    pieces.finish().await?;
    Ok(Vec::new())
}

/// How large the file is.
///
/// # Errors
/// As [`write`], where that can be known before.
pub(super) async fn size(merged: &Merged<'_>, base_files: &[Source], settings: Settings) -> Result<u64> {
    let (header, planned) = prepare(merged, base_file(merged, base_files), settings).await?;
    let padded = planned.iter().map(|tensor| tensor.bytes().next_multiple_of(ALIGNMENT));
    Ok(header.len() as u64 + padded.sum::<u64>())
}

/// The base's GGUF file, if it is one.
fn base_file<'f>(merged: &Merged<'_>, base_files: &'f [Source]) -> Option<&'f Source> {
    base_files.iter().find(|file| merged.files.is_gguf(file))
}

/// The tensors of the merged model that [`write`] puts into the file, each with the name under which `read`, the file opened again,
/// has it; of one that it lacks GGUF's name.
///
/// # Errors
/// As [`write`], where that can be known before.
pub(super) async fn written<'m>(
    merged: &'m Merged<'_>,
    settings: Settings,
    read: &ModelFiles,
) -> Result<Vec<(&'m MergedTensor, String)>> {
    let names = Names::of(merged, Form::Gguf)?;
    let planned = plan(merged, &names, settings.dtype.unwrap_or(Storage::F16)).await?;
    let entries = read.entries().iter();
    let of_gguf = |entry: &TensorEntry| Some((names.form.gguf_name(&entry.name, names.is_gated)?, entry.name.clone()));
    let read_as: BTreeMap<String, String> = entries.filter_map(of_gguf).collect();
    let mut found = Vec::with_capacity(planned.len());
    for Planned { name, content, .. } in planned {
        // What readers leave out is not compared.
        if let (Content::Merged(tensor, _), false) = (content, (names.form.is_left_out)(&name)) {
            found.push((tensor, read_as.get(&name).cloned().unwrap_or(name)));
        }
    }
    Ok(found)
}

/// The file up to its tensors, and the tensors.
async fn prepare<'m>(
    merged: &'m Merged<'_>,
    base: Option<&Source>,
    settings: Settings,
) -> Result<(Vec<u8>, Vec<Planned<'m>>)> {
    let names = Names::of(merged, Form::Gguf)?;
    let dtype = settings.dtype.unwrap_or(Storage::F16);
    let mut writer = GgufWriter::default();
    writer.u32("general.file_type", file_type(dtype));
    writer.u32("general.quantization_version", QUANTIZATION_VERSION);
    let mut planned = plan(merged, &names, dtype).await?;
    if let Some(license) = &merged.license {
        writer.text("general.license", &license.id);
        for (key, value) in [
            ("general.license.name", &license.name),
            ("general.license.link", &license.link),
        ] {
            if let Some(value) = value {
                writer.text(key, value);
            }
        }
    }
    match base {
        Some(file) => {
            for pair in read_pairs(file).await? {
                // Beside the name of another licence, the link of the base's would be wrong.
                let is_replaced = merged.license.is_some() && pair.key.starts_with("general.license");
                if pair.key != "general.alignment" && !pair.key.starts_with("split.") && !is_replaced {
                    writer.copied(&pair);
                }
            }
            for tensor in read_header(file).await?.tensors {
                if tensor.name.starts_with("rope_") || (names.form.is_left_out)(&tensor.name) {
                    let (offset, bytes) = (tensor.offset, tensor.bytes);
                    planned.push(Planned {
                        name: tensor.name,
                        shape: tensor.shape,
                        storage: tensor.storage,
                        content: Content::Copied { offset, bytes },
                    });
                }
            }
        }
        None => {
            writer.text("general.architecture", names.form.architecture);
            writer.text("general.type", "model");
            writer.text("general.name", &merged.files.name);
            if let Some(factors) = gguf_keys::write(&mut writer, merged, names.form.architecture)? {
                planned.push(Planned {
                    name: "rope_freqs.weight".to_owned(),
                    shape: vec![factors.len()],
                    storage: Storage::F32,
                    content: Content::Made(factors),
                });
            }
            gguf_tokenizer::write(&mut writer, merged)?;
        }
    }
    let table: Vec<_> = planned
        .iter()
        .map(|tensor| (tensor.name.clone(), tensor.shape.clone(), tensor.storage))
        .collect();
    let header = writer.header(&table)?;
    Ok((header, planned))
}

/// The tensors of the file by name.
async fn plan<'m>(merged: &'m Merged<'_>, names: &Names, dtype: Storage) -> Result<Vec<Planned<'m>>> {
    let mut planned = Vec::new();
    for tensor in merged.tensors.iter().filter(|tensor| !merged.is_idle(tensor)) {
        if is_class_head(&tensor.name) {
            let error = Error::model(msg::NoHeadInGguf).field(&tensor.name);
            return Err(error.remedy(msg::ExportMergedModel));
        }
        // The converter leaves the head of masked language models out.
        let is_mlm_head = merged.architecture.kind == Kind::Encoder && tensor.name.starts_with("cls.");
        if is_mlm_head && matches!(tensor.change, Trained::None) {
            continue;
        }
        let change = names.change(tensor);
        let mut shape = tensor.shape.clone();
        if change == Change::Transpose {
            shape.reverse();
        }
        planned.push((names.gguf_name(merged, tensor)?, shape, tensor, change));
    }
    let find = |wanted: &str| planned.iter().position(|(name, ..)| name == wanted);
    // Some folders hold an output matrix that is the embedding.
    if let (Some(output), Some(table)) = (find(OUTPUT), find(TABLE))
        && merged.config["tie_word_embeddings"] == json!(true)
        && are_equal(merged, planned[output].2, planned[table].2).await?
    {
        planned.remove(output);
    }
    let output = planned.iter().find(|(name, ..)| name == OUTPUT);
    if let (Some((_, _, tensor, _)), "gemma2") = (output, names.form.architecture) {
        let error = Error::model(msg::OnlyTied { architecture: "gemma2" }).field(&tensor.name);
        return Err(error.remedy(msg::ExportMergedModel));
    }
    let tensors: Vec<&str> = planned.iter().map(|(name, ..)| name.as_str()).collect();
    let mix = Mix::new(dtype, &tensors, merged.layers, names.has_few_values(merged));
    let planned = planned.into_iter().map(|(name, shape, tensor, change)| Planned {
        storage: mix.storage(&name, &shape),
        name,
        shape,
        content: Content::Merged(tensor, change),
    });
    Ok(planned.collect())
}

/// Whether two tensors hold the same numbers.
async fn are_equal(merged: &Merged<'_>, one: &MergedTensor, other: &MergedTensor) -> Result<bool> {
    if one.shape != other.shape {
        return Ok(false);
    }
    let (one, other) = (Reader::open(merged, one).await?, Reader::open(merged, other).await?);
    for rows in one.chunks() {
        if one.rows(rows.clone()).await? != other.rows(rows).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_class_head(name: &str) -> bool {
    ["classifier.", "score.", "pre_classifier."]
        .iter()
        .any(|head| name.starts_with(head))
}

/// Appends a tensor's numbers and gives how many bytes they are.
async fn append(
    merged: &Merged<'_>,
    base: Option<&Source>,
    tensor: &Planned<'_>,
    pieces: &mut dyn Pieces,
    wrote: &mut dyn FnMut(u64),
) -> Result<u64> {
    const PIECE_BYTES: u64 = 16 << 20;
    let Planned {
        name, storage, content, ..
    } = tensor;
    let encode = |values: &[f32]| ggml::encode(*storage, values).map_err(|error| error.field(name));
    let mut written = 0;
    match content {
        Content::Made(values) => {
            let bytes = encode(values)?;
            pieces.append(&bytes).await?;
            written += bytes.len() as u64;
        }
        Content::Copied { offset, bytes } => {
            let Some(file) = base else { return Ok(0) };
            while written < *bytes {
                let length = PIECE_BYTES.min(bytes - written);
                let piece = file.read_at(offset + written, length as usize).await;
                pieces
                    .append(&piece.map_err(|error| error.file(file.name()).field(name))?)
                    .await?;
                written += length;
            }
        }
        Content::Merged(tensor, change) => {
            let reader = Reader::open(merged, tensor).await?;
            if *change != Change::None {
                let bytes = encode(&change.undo(&tensor.shape, reader.all().await?))?;
                pieces.append(&bytes).await?;
                wrote(bytes.len() as u64);
                return Ok(bytes.len() as u64);
            }
            for rows in reader.chunks() {
                let bytes = encode(&reader.rows(rows).await?)?;
                pieces.append(&bytes).await?;
                written += bytes.len() as u64;
                wrote(bytes.len() as u64);
            }
            return Ok(written);
        }
    }
    wrote(written);
    Ok(written)
}
