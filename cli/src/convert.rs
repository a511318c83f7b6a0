//! `lorakeet quantize` and `lorakeet convert`: models and adapters in other number formats or forms, by way of the export.

use crate::check::has_few_bits;
use crate::commands::{name_of, sources};
use crate::export::{self, Wish};
use crate::hub::{self, Located};
use crate::screen::say;
use crate::{Convert, ConvertForm, Dtype, Quantize, Target};
use lorakeet_core::error::{Error, Result};
use lorakeet_core::export::Form;
use lorakeet_core::formats::Storage;
use lorakeet_core::formats::inspect::{FileKind, Inspected, InspectedTensor, inspect};
use lorakeet_core::host::Control;
use lorakeet_core::protocol::{DeviceChoice, Event};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes a model in a number format as one GGUF file.
pub async fn quantize(wish: Quantize, to: (DeviceChoice, bool), take: &mut dyn FnMut(&Event)) -> Result<ExitCode> {
    let (path, name, found) = find(&wish.model, take).await?;
    if is_adapter(found.kind) {
        let error = Error::config(msg::QuantizesModels).file(path.display().to_string());
        return Err(error.remedy(msg::MergeFirst));
    }
    if let Some(tensor) = found.tensors.iter().find(|tensor| is_rounded(tensor)) {
        let storage = tensor.storage;
        say(&format!(
            "note     {}",
            Message::from(msg::RoundedAlready { storage }).english()
        ));
    }
    let mut target = plain(wish.output_dir);
    (target.dtype, target.no_check) = (Some(wish.to), wish.no_check);
    let (form, anew) = (Form::Gguf, Some(name));
    let wish = Wish {
        path,
        form,
        target,
        anew,
    };
    export::run(wish, to, take).await
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
    export::run(wish, to, take).await
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
