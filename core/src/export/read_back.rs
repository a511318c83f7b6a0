//! An exported adapter read as the program reads it that it is for, and put back into PEFT's form, so that it can be scored.

use super::gguf::Names;
use super::merged::{LowRank, Merged};
use super::reader::transposed;
use super::{Form, Trained};
use crate::error::{Error, Result};
use crate::formats::peft::{Adapter, CONFIG_FILE, Patterns};
use crate::formats::safetensors::Placed;
use crate::formats::{Change, blocks, gguf, safetensors};
use crate::store::{Source, read_all};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::{common, export as msg, models};
use serde_json::Value;
use std::collections::BTreeMap;

/// The longest adapter_config.json that is read.
const MOST_CONFIG_BYTES: u64 = 1 << 20;

/// The adapter that the exported `files` hold, for the base of `trained`; none of a form that is no adapter.
///
/// # Errors
/// A file is missing or breaks its format, or a tensor is missing in it.
pub async fn read_back(trained: Trained<'_>, form: Form, files: &[Source]) -> Result<Option<Adapter>> {
    let Some(adapter) = trained.adapter else {
        return Ok(None);
    };
    let find = |name: &str| {
        let found = files.iter().find(|file| file.name() == name);
        found.ok_or_else(|| Error::io(msg::NotWrittenFile).file(name))
    };
    let (tensors, scale) = match form {
        Form::GgufAdapter => {
            let file = find(Form::GGUF_ADAPTER_FILE)?;
            let header = gguf::read_header(file).await?;
            let alpha = header.metadata.float("adapter.lora.alpha");
            (Tensors::new(file, header.tensors), alpha)
        }
        Form::Mlx => {
            let config: Value = read_json(find(CONFIG_FILE)?).await?;
            let file = find("adapters.safetensors")?;
            let scale = config["lora_parameters"]["scale"].as_f64();
            (Tensors::new(file, safetensors::read_header(file).await?), scale)
        }
        Form::Peft | Form::Merged | Form::Gguf => return Ok(None),
    };
    let Some(scale) = scale else {
        return Err(Error::format(models::AdapterLacksTensor)
            .file(tensors.file.name())
            .field("scale"));
    };
    let merged = Merged::new(trained.base, Some(adapter), trained.head).await?;
    let mut config = adapter.config.clone();
    (config.use_rslora, config.alpha_pattern) = (false, Patterns::default());
    config.lora_alpha = scale;
    let names = match form {
        Form::GgufAdapter => Some(Names::of(&merged, form)?),
        _ => None,
    };
    let mut found = Vec::new();
    for (tensor, low_rank) in merged.low_ranks() {
        let (a, b) = match &names {
            Some(names) => {
                let name = names.gguf_name(&merged, tensor)?;
                from_gguf(&tensors, &name, low_rank, names.change(tensor)).await?
            }
            None => {
                let (rank, a, b) = from_mlx(&tensors, low_rank).await?;
                (config.r, config.rank_pattern) = (rank, Patterns::default());
                config.lora_alpha = scale * rank as f64;
                (a, b)
            }
        };
        let mut add = |number: usize, shape: Vec<usize>, values: Vec<f32>| {
            found.push((adapter.tensors[number].0.clone(), shape, values));
        };
        let rank = match names.is_some() {
            true => low_rank.rank,
            false => config.r,
        };
        add(low_rank.a, vec![rank, a.len() / rank.max(1)], a);
        add(low_rank.b, vec![b.len() / rank.max(1), rank], b);
        if let Some(magnitude) = low_rank.magnitude {
            let (shape, values) = tensors.read(&format!("{}.m", low_rank.path)).await?;
            add(magnitude, shape, values);
        }
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(Some(Adapter { config, tensors: found }))
}

/// A \[R, in\] and B \[out, R\] of a module of a GGUF adapter.
async fn from_gguf(
    tensors: &Tensors<'_>,
    name: &str,
    low_rank: &LowRank,
    change: Change,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let (_, a) = tensors.read(&format!("{name}.lora_a")).await?;
    let (shape, b) = tensors.read(&format!("{name}.lora_b")).await?;
    let a = match low_rank.is_table {
        true => transposed(&a, low_rank.rank),
        false => a,
    };
    let b = match change {
        Change::Unpermute { .. } => change.apply(&shape, b),
        _ => b,
    };
    Ok((a, b))
}

/// The same of an MLX adapter, whose matrices are turned, with their R.
async fn from_mlx(tensors: &Tensors<'_>, low_rank: &LowRank) -> Result<(usize, Vec<f32>, Vec<f32>)> {
    let (shape, a) = tensors.read(&format!("{}.lora_a", low_rank.path)).await?;
    let rank = shape.last().copied().unwrap_or(1);
    let (_, b) = tensors.read(&format!("{}.lora_b", low_rank.path)).await?;
    let outputs = b.len() / rank.max(1);
    Ok((rank, transposed(&a, rank), transposed(&b, outputs)))
}

/// The tensors of a file by their names.
struct Tensors<'f> {
    file: &'f Source,
    by_name: BTreeMap<String, Placed>,
}

impl<'f> Tensors<'f> {
    fn new(file: &'f Source, tensors: Vec<Placed>) -> Self {
        let by_name = tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor));
        Self {
            file,
            by_name: by_name.collect(),
        }
    }

    async fn read(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let located = |error: Error| error.file(self.file.name()).field(name);
        let placed = self.by_name.get(name);
        let placed = placed.ok_or_else(|| located(Error::format(models::AdapterLacksTensor)))?;
        let length = usize::try_from(placed.bytes).map_err(|_| located(Error::model(common::TooLargeForMachine)))?;
        let bytes = self.file.read_at(placed.offset, length).await.map_err(located)?;
        let values = blocks::decode(placed.storage, &bytes).map_err(located)?;
        Ok((placed.shape.clone(), values))
    }
}

async fn read_json(file: &Source) -> Result<Value> {
    let bytes = read_all(file.as_ref(), MOST_CONFIG_BYTES).await?;
    let broken = |error: serde_json::Error| Error::format(Message::verbatim(error.to_string())).file(file.name());
    serde_json::from_slice(&bytes).map_err(broken)
}
