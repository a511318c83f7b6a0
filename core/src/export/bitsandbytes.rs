//! A model whose linears are packed as bitsandbytes packs them, in the files that transformers saves of such a model, and loads with
//! bitsandbytes as they stand.
//!
//! Linears of the layers alone are packed. Embeddings, norms and heads keep the format of the base's files, and config.json names
//! their modules under `llm_int8_skip_modules`. A linear is a group of tensors that follow each other in the file, so that no more
//! than one linear is held here:
//!
//! | format | tensors of a linear `NAME.weight` \[out, in\] |
//! | --- | --- |
//! | NF4, FP4 | `weight.nested_absmax`, `weight.nested_quant_map`, `weight.quant_map`, `weight`, `weight.absmax`, `weight.quant_state.bitsandbytes__nf4` |
//! | INT8 | `weight`, `SCB`, and at the end of the file `weight_format` |
//!
//! Blocks have 64 numbers, and 4-bit scales are 8-bit numbers themselves (double quantization). GPT-2's Conv1D are packed as
//! \[out, in\], as bitsandbytes has them. Readers map numbers where they lie: a group takes a multiple of four bytes, which the
//! spaces behind the JSON of a 4-bit state see to.
//!
//! Reference: `QuantState.as_dict` and `Linear8bitLt` of bitsandbytes 0.50, `quantizers/quantizer_bnb_4bit.py` and
//! `quantizer_bnb_8bit.py` of transformers 5.

use super::folder::{self, Kept};
use super::merged::{Merged, MergedTensor};
use super::reader::{Reader, transposed};
use super::{Form, RunRecord, Settings, card, name_of, refuse_small};
use crate::error::{Error, Result};
use crate::formats::{ModelFiles, Storage};
use crate::quant::{BaseFormat, Block, Code, DoubleAbsmax, FourBit, Int8Rows, Map};
use crate::store::{Source, StreamSink};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What linears are packed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Four bits: quantiles of a normal distribution.
    Nf4,
    /// Four bits: a sign and a float of three bits.
    Fp4,
    /// Signed bytes, a scale a row (LLM.int8()).
    Int8,
}

/// The packings by their names.
pub const PACKINGS: [(&str, Packing); 3] = [
    ("bnb-nf4", Packing::Nf4),
    ("bnb-fp4", Packing::Fp4),
    ("bnb-int8", Packing::Int8),
];

/// Numbers that share a scale in four bits.
const BLOCK: Block = Block::Of64;

/// Scales that share a scale of their own.
const NESTED_BLOCK: Block = Block::Of256;

/// The longest `nested_offset` as JSON: `-1.1754943508222875e-38` and a little room.
const MOST_OFFSET_BYTES: usize = 32;

/// What a group of tensors is a multiple of.
const ALIGNMENT: usize = 8;

/// Modules that transformers would pack where nobody names them: heads that the base may lack.
const HEADS: [&str; 3] = ["lm_head", "classifier", "score"];

const U8: Storage = Storage::Other {
    name: "U8",
    block_elements: 1,
    block_bytes: 1,
};
const I8: Storage = Storage::Other {
    name: "I8",
    block_elements: 1,
    block_bytes: 1,
};

impl Packing {
    /// Its name in the words of bitsandbytes: `NF4`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nf4 => "NF4",
            Self::Fp4 => "FP4",
            Self::Int8 => "INT8",
        }
    }

    /// How far a matrix of usual weights moves at most, ‖w′ − w‖/‖w‖: about twice what it rounds of normal numbers.
    pub(super) fn rounding(self) -> f64 {
        match self {
            Self::Nf4 => 2e-1,
            Self::Fp4 => 3e-1,
            Self::Int8 => 3e-2,
        }
    }

    /// The code of four bits and its name in the files.
    fn code(self) -> Option<(Code, &'static str)> {
        match self {
            Self::Nf4 => Some((Code::Nf4, "nf4")),
            Self::Fp4 => Some((Code::Fp4, "fp4")),
            Self::Int8 => None,
        }
    }
}

/// A linear that is packed, and the group of tensors that it becomes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PackedLinear {
    /// `model.layers.0.mlp.up_proj.weight`.
    name: String,
    packing: Packing,
    outputs: usize,
    inputs: usize,
    /// Whether the base has it \[in, out\].
    is_turned: bool,
    /// What its numbers become when they are unpacked.
    dtype: Storage,
}

/// Name, shape and storage of a tensor in a file.
pub(super) type Part = (String, Vec<usize>, Storage);

impl PackedLinear {
    /// `tensor` packed; `None` of what stays as it is.
    pub(super) fn of(merged: &Merged<'_>, tensor: &MergedTensor, packing: Packing) -> Option<Self> {
        let is_turned = tensor.linear?;
        let [rows, columns] = tensor.shape[..] else { return None };
        let (outputs, inputs) = if is_turned { (columns, rows) } else { (rows, columns) };
        // transformers keeps T5's `wo` in 32 bits whatever is asked for (`_keep_in_fp32_modules`).
        let is_kept = merged.architecture.model_type == "t5" && tensor.name.ends_with(".wo.weight");
        // No spaces follow these bytes: another number of them would put the floats behind them out of place.
        let fits = packing != Packing::Int8 || outputs.checked_mul(inputs)?.is_multiple_of(ALIGNMENT);
        let has_numbers = outputs > 0 && inputs > 0;
        (tensor.storage.is_readable() && !is_kept && fits && has_numbers).then(|| Self {
            name: tensor.name.clone(),
            packing,
            outputs,
            inputs,
            is_turned,
            dtype: match tensor.storage {
                Storage::F32 | Storage::BF16 => tensor.storage,
                _ => Storage::F16,
            },
        })
    }

    /// Its tensors in the order of the file.
    pub(super) fn parts(&self) -> Vec<Part> {
        let name = |part: &str| format!("{}.{part}", self.name);
        let elements = self.outputs * self.inputs;
        let Some((_, code)) = self.packing.code() else {
            // The codes are a multiple of eight bytes, so floats may follow.
            return vec![
                (self.name.clone(), vec![self.outputs, self.inputs], I8),
                (self.beside("SCB"), vec![self.outputs], Storage::F32),
            ];
        };
        let scales = BLOCK.count(elements);
        vec![
            (name("nested_absmax"), vec![NESTED_BLOCK.count(scales)], Storage::F32),
            (name("nested_quant_map"), vec![256], Storage::F32),
            (name("quant_map"), vec![16], Storage::F32),
            (self.name.clone(), vec![elements.div_ceil(2), 1], U8),
            (name("absmax"), vec![scales], U8),
            (
                name(&format!("quant_state.bitsandbytes__{code}")),
                vec![self.state_bytes()],
                U8,
            ),
        ]
    }

    /// A byte that says how INT8's codes lie, as bitsandbytes saves it: 0, row by row.
    pub(super) fn weight_format(&self) -> Option<Part> {
        let is_int8 = self.packing == Packing::Int8;
        is_int8.then(|| (self.beside("weight_format"), Vec::new(), U8))
    }

    /// The bytes of its tensors, one after the other.
    ///
    /// # Errors
    /// The base cannot be read, or a number cannot be packed.
    pub(super) async fn bytes(&self, merged: &Merged<'_>, tensor: &MergedTensor) -> Result<Vec<u8>> {
        let values = self.values(merged, tensor).await?;
        let packed = match self.packing.code() {
            None => self.int8(&values),
            Some((code, name)) => self.four_bit(&values, code, name),
        };
        packed.map_err(|error| error.field(&self.name))
    }

    /// Its numbers \[out, in\] before they are packed.
    ///
    /// # Errors
    /// The base cannot be read.
    pub(super) async fn values(&self, merged: &Merged<'_>, tensor: &MergedTensor) -> Result<Vec<f32>> {
        let values = Reader::open(merged, tensor).await?.all().await?;
        Ok(match self.is_turned {
            true => transposed(&values, self.outputs),
            false => values,
        })
    }

    /// \[out, in\], as it is read back.
    pub(super) fn shape(&self) -> [usize; 2] {
        [self.outputs, self.inputs]
    }

    /// What it is packed in.
    pub(super) fn packing(&self) -> Packing {
        self.packing
    }

    fn int8(&self, values: &[f32]) -> Result<Vec<u8>> {
        let packed = Int8Rows::encode(values, self.outputs, self.inputs)?;
        let mut bytes: Vec<u8> = packed.codes().iter().map(|code| *code as u8).collect();
        bytes.extend(floats(packed.absmax()));
        Ok(bytes)
    }

    fn four_bit(&self, values: &[f32], code: Code, name: &str) -> Result<Vec<u8>> {
        let packed = FourBit::encode(values, code, BLOCK)?;
        let scales = DoubleAbsmax::encode(&packed.absmax().decode())?;
        let mut bytes = floats(scales.codes().absmax());
        bytes.extend(floats(Map::Signed.table()));
        bytes.extend(floats(code.table()));
        bytes.extend(packed.packed());
        bytes.extend(scales.codes().codes());
        let mut state = self.state(name, json!(f64::from(scales.offset()))).into_bytes();
        state.resize(self.state_bytes(), b' ');
        bytes.extend(state);
        Ok(bytes)
    }

    /// What bitsandbytes keeps of a 4-bit matrix besides tensors.
    fn state(&self, code: &str, offset: Value) -> String {
        json!({
            "quant_type": code, "blocksize": BLOCK.elements(), "dtype": name_of(self.dtype),
            "shape": [self.outputs, self.inputs], "nested_blocksize": NESTED_BLOCK.elements(), "nested_dtype": "float32",
            "nested_offset": offset,
        })
        .to_string()
    }

    /// The same with the spaces behind it: as many as the group has to be longer.
    fn state_bytes(&self) -> usize {
        let elements = self.outputs * self.inputs;
        let least = self.state("nf4", json!(0)).len() + MOST_OFFSET_BYTES;
        let scales = BLOCK.count(elements);
        let others = elements.div_ceil(2) + scales + 4 * (NESTED_BLOCK.count(scales) + 256 + 16);
        (others + least).next_multiple_of(ALIGNMENT) - others
    }

    /// The name of another tensor of the linear's module.
    fn beside(&self, part: &str) -> String {
        format!("{}{part}", self.name.trim_end_matches("weight"))
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// How a packed model is written: what its linears are packed in, and the most bytes of tensors in one file.
pub type PackedSettings = (Packing, u64);

/// Writes `base` with its linears packed into `sink` and gives what there is to say about it; `progress` hears of the bytes that are
/// written, and of how many there will be.
///
/// # Errors
/// It is a lesson's model, has no linear to pack, or a number of it cannot be packed; a file cannot be read or written.
pub async fn quantize(
    base: ModelFiles,
    (base_files, record): (&[Source], &RunRecord),
    (packing, shard_bytes): PackedSettings,
    sink: &dyn StreamSink,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Message>> {
    let merged = Merged::new(base, None, None).await?;
    refuse_small(&merged, Form::Merged)?;
    let settings = as_stored(shard_bytes);
    let shards = folder::shards(&merged, settings, Some(packing))?;
    let packed = packed(&shards);
    let Some(first) = packed.first() else {
        return Err(Error::model(msg::NoLinearToPack).file(&merged.files.name));
    };
    let mut config = folder::config(&merged, settings);
    config["quantization_config"] = quantization_config(packing, first.dtype, skipped(&merged, &packed));
    folder::write_weights(&merged, &shards, sink, progress).await?;
    let own = merged.with_own_class(&config)?;
    folder::write_small_files(&merged, base_files, (None, own.is_some()), sink).await?;
    let own = folder::write_config(config, own, sink).await?;
    let card = card::packed_card(&merged, packing, record);
    sink.write("README.md", card.as_bytes()).await?;
    let no_tokenizer = merged.files.tokenizer.is_none();
    let no_tokenizer = no_tokenizer.then(|| msg::NoTokenizer.into());
    Ok(no_tokenizer.into_iter().chain(own).collect())
}

/// Everything but the packed linears as the base's files have it.
pub(super) fn as_stored(shard_bytes: u64) -> Settings {
    Settings {
        form: Form::Merged,
        dtype: None,
        shard_bytes,
        base: BaseFormat::AsStored,
    }
}

fn packed<'s>(shards: &'s [folder::Shard<'_>]) -> Vec<&'s PackedLinear> {
    let all = shards.iter().flatten();
    let packed = all.filter_map(|(_, kept)| match kept {
        Kept::Packed(linear) => Some(linear),
        Kept::As(_) => None,
    });
    packed.collect()
}

/// The modules whose matrices stay as they are: of those that nobody names, transformers packs every linear.
fn skipped(merged: &Merged<'_>, packed: &[&PackedLinear]) -> BTreeSet<String> {
    let packed: BTreeSet<&str> = packed.iter().map(|linear| linear.name.as_str()).collect();
    let matrices = merged.tensors.iter().filter(|tensor| tensor.shape.len() == 2);
    let kept = matrices.filter(|tensor| !packed.contains(tensor.name.as_str()));
    let modules = kept.filter_map(|tensor| tensor.name.strip_suffix(".weight"));
    HEADS.into_iter().chain(modules).map(str::to_owned).collect()
}

/// What transformers keeps of a `BitsAndBytesConfig`.
fn quantization_config(packing: Packing, dtype: Storage, skipped: BTreeSet<String>) -> Value {
    let code = packing.code().map(|(_, name)| name);
    let is_four_bit = code.is_some();
    json!({
        "_load_in_4bit": is_four_bit,
        "_load_in_8bit": !is_four_bit,
        "bnb_4bit_compute_dtype": name_of(dtype),
        "bnb_4bit_quant_storage": "uint8",
        "bnb_4bit_quant_type": code.unwrap_or("fp4"),
        "bnb_4bit_use_double_quant": is_four_bit,
        "llm_int8_enable_fp32_cpu_offload": false,
        "llm_int8_has_fp16_weight": false,
        "llm_int8_skip_modules": skipped,
        "llm_int8_threshold": 6.0,
        "load_in_4bit": is_four_bit,
        "load_in_8bit": !is_four_bit,
        "quant_method": "bitsandbytes",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(packing: Packing, [outputs, inputs]: [usize; 2]) -> PackedLinear {
        PackedLinear {
            name: "layer.weight".to_owned(),
            packing,
            outputs,
            inputs,
            is_turned: false,
            dtype: Storage::F32,
        }
    }

    fn size((_, shape, storage): &Part) -> usize {
        shape.iter().product::<usize>() * storage.block_bytes()
    }

    #[test]
    fn a_group_is_as_long_as_its_parts_say_and_ends_where_floats_may_begin() {
        for (packing, shape) in [
            (Packing::Nf4, [3, 5]),
            (Packing::Fp4, [64, 96]),
            (Packing::Nf4, [1, 1]),
            (Packing::Int8, [3, 8]),
        ] {
            let linear = linear(packing, shape);
            let values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| (i as f32).sin()).collect();
            let bytes = match packing.code() {
                None => linear.int8(&values),
                Some((code, name)) => linear.four_bit(&values, code, name),
            };
            let (bytes, parts) = (bytes.expect("it is packed"), linear.parts());
            assert_eq!(
                bytes.len(),
                parts.iter().map(size).sum::<usize>(),
                "{packing:?} {shape:?}"
            );
            assert!(bytes.len().is_multiple_of(4), "{packing:?} {shape:?}");
            let mut start = 0;
            for part in &parts {
                assert!(start % part.2.block_bytes() == 0, "{part:?} begins at {start}");
                start += size(part);
            }
        }
    }

    #[test]
    fn the_longest_offset_has_room() {
        for offset in [f32::MAX, -f32::MIN_POSITIVE, 1e-45, 0.258_289_34] {
            let text = json!(f64::from(offset)).to_string();
            assert!(text.len() < MOST_OFFSET_BYTES, "{text}");
        }
    }
}
