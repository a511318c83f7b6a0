//! An adapter alone, as PEFT has it, for llama.cpp and for MLX.
//!
//! What has a place where. What can be converted without a loss is; all else is refused, and the way out is the merged model.
//!
//! | trained | PEFT | merged | GGUF | GGUF adapter | MLX |
//! | --- | --- | --- | --- | --- | --- |
//! | LoRA | yes | yes | yes | yes | yes |
//! | rsLoRA (s = alpha/√R) | yes | yes | yes | alpha·√R | scale |
//! | ranks and alphas by module | yes | yes | yes | one alpha, the rest in B | one scale, the rest in B; A and B filled up with zeros |
//! | DoRA on linears | yes | yes | yes | refused: no place for magnitudes | yes |
//! | DoRA on an embedding | yes | yes | yes | refused | refused |
//! | LoRA on an embedding | yes | yes | yes | yes | yes |
//! | the same, shared with the output | yes | output apart | output apart, of Gemma 2 refused | refused: would change the output | refused |
//! | `modules_to_save` | yes | yes | yes | refused: no low-rank matrix | refused |
//! | `trainable_token_indices` | yes | yes | yes | refused: no low-rank matrix | refused |
//! | a head for classes or numbers | with config.json | yes | refused: no place for it | refused | refused |
//!
//! DoRA's (m/‖W + s·B·A‖ − 1) ⊙ W has the rank of W, and so has the change of a matrix that was trained whole: a low-rank matrix
//! holds neither.
//!
//! Reference: `convert_lora_to_gguf.py` and `src/llama-adapter.cpp` of ggml-org/llama.cpp; `mlx_lm/tuner/utils.py`, `lora.py`
//! and `dora.py` of ml-explore/mlx-lm.

use super::gguf::{Names, file_type};
use super::merged::{Change, LowRank, Merged};
use super::reader::transposed;
use super::{Form, Settings, no_architecture, refuse_small};
use crate::error::{Error, Result};
use crate::formats::gguf_writer::{ALIGNMENT, GgufWriter};
use crate::formats::peft::{Adapter, CONFIG_FILE, TENSORS_FILE};
use crate::formats::{self, Storage, safetensors};
use crate::quant::ggml;
use crate::store::StreamSink;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Architectures whose modules mlx-lm calls as transformers does.
const MLX: [&str; 6] = ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text"];

/// One tensor of an adapter's file.
type Named = (String, Vec<usize>, Vec<f32>);

/// Refuses what was trained whole beside an adapter, and adapters on an embedding that is the output matrix too.
fn check_plain(merged: &Merged<'_>, form: Form) -> Result<()> {
    refuse_small(merged, form)?;
    let name = form.name();
    if let Some(tensor) = merged
        .tensors
        .iter()
        .find(|tensor| matches!(tensor.change, Change::Whole(_) | Change::Rows(_)))
    {
        let error = Error::model(msg::TrainedWhole { form: name }).field(&tensor.name);
        return Err(error.remedy(msg::ExportMergedModel));
    }
    let on_table = merged.low_ranks().find(|(_, low_rank)| low_rank.is_table);
    if let (Some((tensor, _)), true) = (on_table, merged.base_is_tied) {
        let error = Error::model(msg::SharedTable { form: name }).field(&tensor.name);
        return Err(error.remedy(msg::ExportMergedModel));
    }
    if merged.low_ranks().next().is_none() {
        return Err(Error::model(msg::NoAdapterToExport { form: name }).remedy(msg::ExportWhole));
    }
    Ok(())
}

/// Writes PEFT's two files, the weights last, and config.json where the adapter brings a head.
///
/// # Errors
/// Storage refuses.
pub(super) async fn write_peft(adapter: &Adapter, head: Option<&Value>, sink: &dyn StreamSink) -> Result<()> {
    let (config, tensors) = adapter.to_files()?;
    if let Some(head) = head {
        write_json("config.json", head, sink).await?;
    }
    sink.write(CONFIG_FILE, config.as_bytes()).await?;
    sink.write(TENSORS_FILE, &tensors).await
}

async fn write_json(name: &str, value: &Value, sink: &dyn StreamSink) -> Result<()> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Error::internal(Message::verbatim(error.to_string())))?;
    sink.write(name, text.as_bytes()).await
}

/// Writes a GGUF adapter: `NAME.lora_a` \[R, in\] and `NAME.lora_b` \[out, R\], of an embedding A transposed.
///
/// llama.cpp adds alpha/R · B·A, with one alpha for all and R the number of rows of A; another scale, as of rsLoRA or of
/// `alpha_pattern`, goes into alpha or, where modules differ, into their B.
///
/// # Errors
/// llama.cpp has no place for a part of the adapter.
pub(super) async fn write_gguf(merged: &Merged<'_>, settings: Settings, sink: &dyn StreamSink) -> Result<Vec<Message>> {
    check_plain(merged, Form::GgufAdapter)?;
    if let Some((tensor, _)) = merged.low_ranks().find(|(_, low_rank)| low_rank.magnitude.is_some()) {
        let form = Form::GgufAdapter.name();
        let error = Error::model(msg::NoDora { form }).field(&tensor.name);
        return Err(error.remedy(msg::ExportMergedModel));
    }
    let names = Names::of(merged, Form::GgufAdapter)?;
    let dtype = settings.dtype.unwrap_or(Storage::F32);
    let alpha = common_alpha(merged);
    let mut tensors: Vec<Named> = Vec::new();
    for (tensor, low_rank) in merged.low_ranks() {
        let name = names.gguf_name(merged, tensor)?;
        let (a, b) = parts(merged, low_rank);
        let factor = (low_rank.scale * low_rank.rank as f64 / alpha) as f32;
        let b = b.iter().map(|value| value * factor).collect::<Vec<f32>>();
        let (inputs, outputs) = (a.len() / low_rank.rank, b.len() / low_rank.rank);
        let (a_shape, a) = match low_rank.is_table {
            true => (vec![inputs, low_rank.rank], transposed(a, inputs)),
            false => (vec![low_rank.rank, inputs], a.to_vec()),
        };
        let change = names.change(tensor);
        let b = match change {
            formats::Change::Unpermute { .. } => change.undo(&[outputs, low_rank.rank], b),
            _ => b,
        };
        tensors.push((format!("{name}.lora_a"), a_shape, a));
        tensors.push((format!("{name}.lora_b"), vec![outputs, low_rank.rank], b));
    }
    let mut writer = GgufWriter::default();
    writer.text("general.type", "adapter");
    writer.text("general.architecture", names.form.architecture);
    writer.text("general.name", &merged.files.name);
    writer.u32("general.file_type", file_type(dtype));
    writer.u32("general.base_model.count", 1);
    writer.text("general.base_model.0.name", &merged.files.name);
    writer.text("adapter.type", "lora");
    writer.f32("adapter.lora.alpha", alpha as f32);
    let table: Vec<_> = tensors
        .iter()
        .map(|(name, shape, _)| (name.clone(), shape.clone(), dtype))
        .collect();
    let mut file = writer.header(&table)?;
    for (name, _, values) in &tensors {
        file.extend(ggml::encode(dtype, values).map_err(|error| error.field(name))?);
        file.resize(file.len().next_multiple_of(ALIGNMENT as usize), 0);
    }
    sink.write(Form::GGUF_ADAPTER_FILE, &file).await?;
    Ok(Vec::new())
}

/// The alpha of the first module that gives its scale as alpha/R.
fn common_alpha(merged: &Merged<'_>) -> f64 {
    let mut alphas = merged
        .low_ranks()
        .map(|(_, low_rank)| low_rank.scale * low_rank.rank as f64);
    alphas.find(|alpha| *alpha != 0.0).unwrap_or(1.0)
}

/// A and B as PEFT has them.
fn parts<'m>(merged: &'m Merged<'_>, low_rank: &LowRank) -> (&'m [f32], &'m [f32]) {
    (merged.adapter_values(low_rank.a), merged.adapter_values(low_rank.b))
}

/// Writes an adapter for mlx-lm: `PATH.lora_a` \[in, R\] and `PATH.lora_b` \[R, out\], with DoRA `PATH.m`.
///
/// mlx-lm adds scale · x·A·B, with one scale and one rank for all: where modules differ, the rest of the scale goes into their B,
/// and smaller ranks are filled up with zeros.
///
/// # Errors
/// mlx-lm has no place for a part of the adapter, or not this architecture.
pub(super) async fn write_mlx(merged: &Merged<'_>, settings: Settings, sink: &dyn StreamSink) -> Result<Vec<Message>> {
    check_plain(merged, Form::Mlx)?;
    if merged.files.text_part.is_some() {
        let form = Form::Mlx.name();
        let error = Error::model(msg::OtherNamesOfPart { form }).file(&merged.files.name);
        return Err(error.remedy(msg::ExportMerged));
    }
    if !MLX.contains(&merged.architecture.model_type) {
        return Err(no_architecture(merged, Form::Mlx, MLX.into_iter()));
    }
    let on_table = |low_rank: &LowRank| low_rank.is_table && low_rank.magnitude.is_some();
    if let Some((tensor, _)) = merged.low_ranks().find(|(_, low_rank)| on_table(low_rank)) {
        let form = Form::Mlx.name();
        let error = Error::model(msg::NoDora { form }).field(&tensor.name);
        return Err(error.remedy(msg::ExportMergedModel));
    }
    let dtype = settings.dtype.unwrap_or(Storage::F32);
    let scale = merged
        .low_ranks()
        .map(|(_, low_rank)| low_rank.scale)
        .find(|scale| *scale != 0.0);
    let scale = scale.unwrap_or(1.0);
    let largest = merged.low_ranks().map(|(_, low_rank)| low_rank.rank).max();
    let largest = largest.unwrap_or_else(|| merged.settings.as_ref().map_or(8, |settings| settings.r));
    let (mut tensors, mut keys): (Vec<Named>, BTreeSet<&str>) = Default::default();
    let mut is_dora = false;
    for (_, low_rank) in merged.low_ranks() {
        let (path, rank) = (low_rank.path.as_str(), low_rank.rank);
        let (a, b) = parts(merged, low_rank);
        let (inputs, outputs) = (a.len() / rank, b.len() / rank);
        let factor = (low_rank.scale / scale) as f32;
        let a: Vec<f32> = transposed(a, inputs)
            .chunks(rank)
            .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, largest - rank)))
            .collect();
        let mut b: Vec<f32> = transposed(b, rank).into_iter().map(|value| value * factor).collect();
        b.resize(largest * outputs, 0.0);
        tensors.push((format!("{path}.lora_a"), vec![inputs, largest], a));
        tensors.push((format!("{path}.lora_b"), vec![largest, outputs], b));
        if let Some(magnitude) = low_rank.magnitude {
            is_dora = true;
            let m = merged.adapter_values(magnitude).to_vec();
            tensors.push((format!("{path}.m"), vec![m.len()], m));
        }
        keys.insert(
            path.strip_prefix("model.layers.")
                .and_then(|rest| Some(rest.split_once('.')?.1))
                .unwrap_or(path),
        );
    }
    tensors.sort_by(|left, right| left.0.cmp(&right.0));
    let table: Vec<_> = tensors
        .iter()
        .map(|(name, shape, _)| (name.clone(), shape.clone(), dtype))
        .collect();
    let mut file = safetensors::header(&table)?;
    for (name, _, values) in &tensors {
        file.extend(ggml::encode(dtype, values).map_err(|error| error.field(name))?);
    }
    let config = json!({
        "fine_tune_type": if is_dora { "dora" } else { "lora" },
        "num_layers": merged.layers,
        "lora_parameters": {
            "rank": largest,
            "scale": scale,
            "dropout": merged.settings.as_ref().map_or(0.0, |settings| settings.lora_dropout),
            "keys": keys,
        },
    });
    sink.write("adapters.safetensors", &file).await?;
    write_json(CONFIG_FILE, &config, sink).await?;
    Ok(Vec::new())
}
