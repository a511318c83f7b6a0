//! `lorakeet quantize` and `lorakeet convert`: models and adapters in other number formats or forms, by way of the export; and
//! models as bitsandbytes packs them.

use crate::check::{has_few_bits, read_back_packed, read_back_text};
use crate::commands::{name_of, sources};
use crate::export::{ExportPlace, Wish, ended, run, show_progress};
use crate::hub::{self, Located};
use crate::screen::{hand_out, hand_out_json, say_note, size};
use crate::{Convert, ConvertForm, Dtype, Quantize, Target};
use clap::ValueEnum;
use clap::builder::PossibleValue;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::export::{self, Form, PACKINGS, Packing, RunRecord, SHARD_BYTES};
use lorakeet_core::formats::inspect::{FileKind, Inspected, InspectedTensor, inspect};
use lorakeet_core::formats::{ModelFiles, Storage};
use lorakeet_core::host::Control;
use lorakeet_core::protocol::{DeviceChoice, Event};
use lorakeet_i18n::messages::export as msg;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a model is quantized to: a number format in a GGUF file, or linears as bitsandbytes packs them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QuantizeTo {
    /// One GGUF file.
    Gguf(Dtype),
    /// A folder in Hugging Face's layout.
    Packed(Packing),
}

impl ValueEnum for QuantizeTo {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [QuantizeTo; 11] = [
            QuantizeTo::Gguf(Dtype::Float32),
            QuantizeTo::Gguf(Dtype::Float16),
            QuantizeTo::Gguf(Dtype::Bfloat16),
            QuantizeTo::Gguf(Dtype::Q8),
            QuantizeTo::Gguf(Dtype::Q5Mix),
            QuantizeTo::Gguf(Dtype::Q4Mix),
            QuantizeTo::Gguf(Dtype::Q4),
            QuantizeTo::Gguf(Dtype::Q4WithMinimum),
            QuantizeTo::Packed(Packing::Nf4),
            QuantizeTo::Packed(Packing::Fp4),
            QuantizeTo::Packed(Packing::Int8),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = "a folder for transformers with bitsandbytes, its linears packed";
        match self {
            Self::Gguf(dtype) => dtype.to_possible_value(),
            Self::Packed(packing) => Some(PossibleValue::new(packing_word(*packing)).help(help)),
        }
    }
}

/// Writes a model in a number format as one GGUF file, or as bitsandbytes packs it.
pub async fn quantize(wish: Quantize, to: (DeviceChoice, bool), take: &mut dyn FnMut(&Event)) -> Result<ExitCode> {
    let (path, name, found) = find(&wish.model, take).await?;
    if is_adapter(found.kind) {
        let error = Error::config(msg::QuantizesModels).file(path.display().to_string());
        return Err(error.remedy(msg::MergeFirst));
    }
    if let Some(tensor) = found.tensors.iter().find(|tensor| is_rounded(tensor)) {
        let storage = match tensor.name.rsplit_once('.') {
            Some((_, "SCB")) => "INT8",
            Some((_, "bitsandbytes__nf4")) => "NF4",
            Some((_, "bitsandbytes__fp4")) => "FP4",
            _ => tensor.storage.name(),
        };
        say_note(msg::RoundedAlready { storage });
    }
    let dtype = match wish.to {
        QuantizeTo::Gguf(dtype) => dtype,
        QuantizeTo::Packed(packing) => return pack((path, name), packing, wish, (to.1, take)).await,
    };
    let mut target = plain(wish.output_dir);
    (target.dtype, target.no_check) = (Some(dtype), wish.no_check);
    let (form, anew) = (Form::Gguf, Some(name));
    let wish = Wish {
        path,
        form,
        target,
        anew,
    };
    run(wish, to, take).await
}

/// Writes a model with its linears packed for bitsandbytes, reads it back, and says how far its numbers moved.
async fn pack(
    (path, name): (PathBuf, String),
    packing: Packing,
    wish: Quantize,
    (json, take): (bool, &mut dyn FnMut(&Event)),
) -> Result<ExitCode> {
    let folder = wish.output_dir;
    let files = sources(&path)?;
    let mut base = ModelFiles::open(files.clone()).await?;
    if base.name == "model" {
        base.name = name;
    }
    let record = RunRecord {
        base: Some(base.name.clone()),
        license: export::license(&files).await,
        ..RunRecord::default()
    };
    let settings = (packing, SHARD_BYTES);
    let place = ExportPlace::claim(&folder)?;
    let mut written = 0;
    let mut progress = |done, total| {
        written = done;
        show_progress((done, total), json, take);
    };
    let notes = export::quantize(base, (&files, &record), settings, &place, &mut progress).await;
    place.settled(notes)?.into_iter().for_each(say_note);
    let read = match wish.no_check || place.is_stopped() {
        true => None,
        false => Some(read_back_packed(&files, settings, &folder).await?),
    };
    let shown = folder.display().to_string();
    if json {
        let value = serde_json::json!({
            "type": "exported", "form": packing_word(packing), "folder": shown, "read_back": read,
            "difference": read.as_ref().and_then(|read| read.relative),
        });
        hand_out_json(&value.to_string())?;
    } else {
        let form = packing.name();
        hand_out(&format!("wrote {form} to {shown}, {} of weights\n", size(written)))?;
        if let Some(read) = &read {
            hand_out(&read_back_text(read))?;
        }
    }
    Ok(ended(&place))
}

/// Writes an adapter as another program has it, or a model in another layout, in a number format that loses nothing.
pub async fn convert(wish: Convert, to: (DeviceChoice, bool), take: &mut dyn FnMut(&Event)) -> Result<ExitCode> {
    let form = Form::from(wish.to);
    let (path, name, found) = find(&wish.path, take).await?;
    let located = |error: Error| error.file(path.display().to_string());
    match (is_adapter(found.kind), form.holds_base()) {
        (true, true) => {
            let form = word(wish.to);
            return Err(located(Error::config(msg::AdapterIsNoModel { form })).remedy(msg::MergeInstead));
        }
        (false, false) => {
            let form = word(wish.to);
            return Err(located(Error::config(msg::NoAdapterToExport { form })).remedy(msg::ConvertWhole));
        }
        (false, true) if wish.base.is_some() => {
            let form = word(wish.to);
            let error = Error::config(msg::FlagWithoutMeaning { form }).field("--base");
            return Err(error.remedy(msg::LeaveFlagOut));
        }
        _ => {}
    }
    if (found.kind, form) == (FileKind::Gguf, Form::Gguf) {
        return Err(located(Error::config(msg::IsGgufAlready)).remedy(msg::QuantizeInstead));
    }
    let mut target = plain(wish.output_dir);
    target.base = wish.base;
    if !is_adapter(found.kind) {
        target.dtype = exact(&found.tensors, form);
    }
    let anew = Some(name);
    let wish = Wish {
        path,
        form,
        target,
        anew,
    };
    run(wish, to, take).await
}

/// A model or an adapter: where it is, what to call it, and what it holds.
async fn find(path: &Path, take: &mut dyn FnMut(&Event)) -> Result<(PathBuf, String, Inspected)> {
    let Located { path: place, name } = hub::located(path, &Control::default(), take).await?;
    let name = match place == path {
        true => name_of(&fs::canonicalize(path).unwrap_or_else(|_| place.clone())),
        false => name,
    };
    let found = inspect(&sources(&place)?).await?;
    Ok((place, name, found))
}

fn is_adapter(kind: FileKind) -> bool {
    match kind {
        FileKind::Adapter | FileKind::GgufAdapter | FileKind::MlxAdapter => true,
        FileKind::Model | FileKind::Gguf | FileKind::Tensors => false,
    }
}

/// A folder to write to, and nothing else that is wanted.
fn plain(output_dir: PathBuf) -> Target {
    Target {
        base: None,
        dtype: None,
        output_dir,
        max_shard_size: None,
        dequantized: false,
        license: None,
        no_check: false,
    }
}

/// What a packing is called on the command line.
fn packing_word(packing: Packing) -> &'static str {
    let named = PACKINGS.iter().find(|(_, known)| *known == packing);
    named.map_or(packing.name(), |(name, _)| name)
}

/// What the form is called on the command line.
fn word(form: ConvertForm) -> &'static str {
    match form {
        ConvertForm::Safetensors => "safetensors",
        form => Form::from(form).name(),
    }
}

fn is_rounded(tensor: &InspectedTensor) -> bool {
    has_few_bits(&tensor.name, tensor.storage)
}

/// The number format in which no number changes, where it is not the one that each tensor has: numbers of few bits are exact in 32.
/// A GGUF file has all matrices in one format, and vectors in 32 bits.
fn exact(tensors: &[InspectedTensor], form: Form) -> Option<Dtype> {
    if tensors.iter().any(is_rounded) {
        return Some(Dtype::Float32);
    }
    let is_whole_number = |storage: Storage| matches!(storage, Storage::I64 | Storage::Other { .. });
    let matrices = tensors
        .iter()
        .filter(|tensor| tensor.shape.len() > 1 && !is_whole_number(tensor.storage));
    let all = |wanted: Storage| matrices.clone().all(|tensor| tensor.storage == wanted);
    match form {
        Form::Gguf if all(Storage::F16) => Some(Dtype::Float16),
        Form::Gguf if all(Storage::BF16) => Some(Dtype::Bfloat16),
        Form::Gguf => Some(Dtype::Float32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize], storage: Storage) -> InspectedTensor {
        InspectedTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            storage,
            bytes: 0,
        }
    }

    #[test]
    fn a_conversion_takes_the_smallest_format_that_loses_nothing() {
        let norm = tensor("norm", &[4], Storage::F32);
        let half = tensor("a", &[4, 4], Storage::F16);
        let brain = tensor("b", &[4, 4], Storage::BF16);
        let four = tensor("c", &[1, 32], Storage::Q4_0);
        let name = |tensors: &[&InspectedTensor], form| {
            let tensors: Vec<InspectedTensor> = tensors.iter().map(|tensor| (*tensor).clone()).collect();
            exact(&tensors, form).map(Storage::from)
        };
        assert_eq!(name(&[&norm, &half], Form::Gguf), Some(Storage::F16));
        assert_eq!(name(&[&norm, &brain], Form::Gguf), Some(Storage::BF16));
        assert_eq!(name(&[&half, &brain], Form::Gguf), Some(Storage::F32));
        assert_eq!(name(&[&norm, &half], Form::Merged), None);
        assert_eq!(name(&[&four, &half], Form::Merged), Some(Storage::F32));
    }
}
