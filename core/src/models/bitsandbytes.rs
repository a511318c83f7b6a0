//! Matrices that transformers saved quantized by bitsandbytes: read as they are, not quantized again; for exports, unpacked on the
//! host.
//!
//! A 4-bit matrix `NAME` is stored flat, two codes a byte, beside `NAME.absmax`, `NAME.quant_map` and a JSON text under
//! `NAME.quant_state.bitsandbytes__nf4` (or `__fp4`) with the shape and block size; with double quantization also
//! `NAME.nested_absmax` and `NAME.nested_quant_map`. An 8-bit one is stored as signed bytes beside `SCB`, a scale a row.
//! Reference: bitsandbytes' `functional.py` (`QuantState.as_dict`) and `nn/modules.py` (`Linear8bitLt`).

use super::{load::Loader, pack};
use crate::error::{Error, Result};
use crate::formats::{ModelFiles, Storage, blocks};
use crate::ops::PackedMatrix;
use crate::quant::{
    Absmax, Block, Blockwise, Code, DoubleAbsmax, FourBit, Int8Rows, Map,
    packing::{self, Scales},
};
use lorakeet_i18n::{Field, messages::models as msg};
use lorakeet_shaders::{Format, Packed};
use serde_json::Value;
use std::collections::BTreeMap;

/// What stands between the name of a 4-bit matrix and its code in the name of its state.
const STATE: &str = ".quant_state.bitsandbytes__";

/// The codes by their names there.
const CODES: [(Code, &str); 2] = [(Code::Nf4, "nf4"), (Code::Fp4, "fp4")];

/// The tensors that belong to a 4-bit matrix.
struct State {
    code: Code,
    block: Block,
    shape: [usize; 2],
    nested_offset: Option<f32>,
}

/// Matrix `name` of `shape`, if the files hold it in one of bitsandbytes' forms.
pub(super) async fn read(loader: &mut Loader<'_>, name: &str, shape: [usize; 2]) -> Result<Option<PackedMatrix>> {
    for (code, kind) in CODES {
        let state_name = format!("{name}{STATE}{kind}");
        if loader.has(&state_name) {
            let text = loader.bytes(&state_name).await?;
            let state = State::parse(code, &text).map_err(|error| error.field(&state_name))?;
            if state.shape != shape {
                let what = msg::NotPromisedShape {
                    shape: format!("{:?}", state.shape),
                    promised: format!("{shape:?}"),
                };
                return Err(Error::model(what).field(name));
            }
            let read = four_bit(loader, name, &state).await;
            return read.map(Some).map_err(|error| located(error, name));
        }
    }
    let scales = format!("{}SCB", name.trim_end_matches("weight"));
    if loader.has(&scales) {
        loader.check(name, &shape)?;
        let read = int8(loader, name, shape, &scales).await;
        return read.map(Some).map_err(|error| located(error, name));
    }
    Ok(None)
}

/// The matrices of `files` that are in one of bitsandbytes' forms, by their names there, with their shapes.
///
/// # Errors
/// A state is none.
pub(crate) async fn shapes(files: &ModelFiles) -> Result<BTreeMap<String, [usize; 2]>> {
    let mut shapes = BTreeMap::new();
    for entry in files.entries() {
        if let Some((name, kind)) = entry.name.split_once(STATE) {
            if let Some((code, _)) = CODES.iter().find(|(_, known)| *known == kind) {
                let text = files.read_bytes(&entry.name).await?;
                let state = State::parse(*code, &text).map_err(|error| error.field(&entry.name))?;
                shapes.insert(name.to_owned(), state.shape);
            }
        } else if let Some(module) = entry.name.strip_suffix("SCB") {
            let name = format!("{module}weight");
            let shape = files.entry(&name).map(|weight| weight.shape.as_slice());
            if let Some(&[rows, columns]) = shape {
                shapes.insert(name, [rows, columns]);
            }
        }
    }
    Ok(shapes)
}

/// Whether a tensor says no more than how one of `packed` is packed.
pub(crate) fn belongs_to(packed: &BTreeMap<String, [usize; 2]>, tensor: &str) -> bool {
    packed.keys().any(|name| {
        let of_four_bits = tensor
            .strip_prefix(name.as_str())
            .is_some_and(|rest| rest.starts_with('.'));
        let rest = tensor.strip_prefix(name.trim_end_matches("weight"));
        of_four_bits || matches!(rest, Some("SCB" | "weight_format"))
    })
}

/// The numbers of one of [`shapes`], row by row.
///
/// # Errors
/// A part of it is missing, or does not go together with the others.
pub(crate) async fn unpacked(files: &ModelFiles, name: &str) -> Result<Vec<f32>> {
    decoded(files, name).await.map_err(|error| located(error, name))
}

async fn decoded(files: &ModelFiles, name: &str) -> Result<Vec<f32>> {
    let part = |part: &str| format!("{name}.{part}");
    for (code, kind) in CODES {
        let state_name = format!("{name}{STATE}{kind}");
        if !files.contains(&state_name) {
            continue;
        }
        let text = files.read_bytes(&state_name).await?;
        let state = State::parse(code, &text).map_err(|error| error.field(&state_name))?;
        if stored_floats(files, &part("quant_map")).await? != code.table() {
            return Err(Error::format(msg::OtherQuantMap).field(part("quant_map")));
        }
        let absmax = match state.nested_offset {
            None => Absmax::Plain(stored_floats(files, &part("absmax")).await?),
            Some(offset) => {
                if stored_floats(files, &part("nested_quant_map")).await? != Map::Signed.table() {
                    return Err(Error::format(msg::OtherNestedQuantMap).field(part("nested_quant_map")));
                }
                let codes = files.read_bytes(&part("absmax")).await?;
                let scales = stored_floats(files, &part("nested_absmax")).await?;
                let codes = Blockwise::new(Map::Signed, Block::Of256, codes, scales)?;
                Absmax::Double(DoubleAbsmax::new(codes, offset)?)
            }
        };
        let elements = state.shape[0].saturating_mul(state.shape[1]);
        let codes = files.read_bytes(name).await?;
        return Ok(FourBit::new(code, state.block, elements, codes, absmax)?.decode());
    }
    let matrix = files.stored_matrix(name)?;
    let scales = stored_floats(files, &format!("{}SCB", name.trim_end_matches("weight"))).await?;
    let bytes = files.read_bytes(name).await?;
    let codes: Vec<i8> = bytes.iter().map(|byte| *byte as i8).collect();
    Ok(Int8Rows::new(matrix.rows, matrix.columns, codes, scales)?.decode())
}

/// A small tensor of floats of the files.
async fn stored_floats(files: &ModelFiles, name: &str) -> Result<Vec<f32>> {
    let bytes = files.read_bytes(name).await?;
    blocks::decode(Storage::F32, &bytes).map_err(|error| error.field(name))
}

fn located(error: Error, name: &str) -> Error {
    match error.field {
        Some(_) => error,
        None => error.field(name),
    }
}

impl State {
    fn parse(code: Code, text: &[u8]) -> Result<Self> {
        fn wrong(why: impl Into<Field>) -> Error {
            Error::format(msg::NoQuantState { why })
        }
        let json: Value = serde_json::from_slice(text).map_err(wrong)?;
        let block = json["blocksize"].as_u64().ok_or_else(|| wrong(msg::NoBlocksize))?;
        let shape: Option<[usize; 2]> = serde_json::from_value(json["shape"].clone()).ok();
        let shape = shape.ok_or_else(|| wrong(msg::NoShape))?;
        let nested = json.get("nested_offset").filter(|offset| !offset.is_null());
        let nested_offset = match nested {
            None => None,
            Some(offset) => {
                let offset = offset.as_f64().map(|offset| offset as f32);
                let offset = offset.filter(|offset| offset.is_finite());
                Some(offset.ok_or_else(|| wrong(msg::InfiniteNestedOffset))?)
            }
        };
        if nested_offset.is_some() && json["nested_blocksize"].as_u64() != Some(256) {
            return Err(wrong(msg::OtherNestedBlocksize));
        }
        Ok(Self {
            code,
            block: Block::try_from(block)?,
            shape,
            nested_offset,
        })
    }
}

async fn four_bit(loader: &mut Loader<'_>, name: &str, state: &State) -> Result<PackedMatrix> {
    let [rows, columns] = state.shape;
    let block = state.block.elements();
    let whole = Packed {
        format: Format::FourBit {
            block,
            double: state.nested_offset.is_some(),
        },
        rows,
        columns,
    };
    if let Some(skeleton) = loader.skeleton_of(whole) {
        return Ok(skeleton);
    }
    let part = |part: &str| format!("{name}.{part}");
    let table = floats(loader, &part("quant_map")).await?;
    if table != state.code.table() {
        return Err(Error::format(msg::OtherQuantMap).field(part("quant_map")));
    }
    let (scale_codes, scale_absmax) = match state.nested_offset {
        None => (Vec::new(), floats(loader, &part("absmax")).await?),
        Some(_) => {
            let map = floats(loader, &part("nested_quant_map")).await?;
            if map != Map::Signed.table() {
                return Err(Error::format(msg::OtherNestedQuantMap).field(part("nested_quant_map")));
            }
            let codes = loader.bytes(&part("absmax")).await?;
            (codes, floats(loader, &part("nested_absmax")).await?)
        }
    };
    let scales = rows.saturating_mul(columns).div_ceil(block);
    let lists = match state.nested_offset {
        None => vec![("absmax", scale_absmax.len(), scales)],
        Some(_) => vec![
            ("absmax", scale_codes.len(), scales),
            ("nested_absmax", scale_absmax.len(), scales.div_ceil(256)),
        ],
    };
    for (list, found, wanted) in lists {
        if found != wanted {
            return Err(Error::format(msg::ScalesOfBlocks { found, wanted }).field(part(list)));
        }
    }
    let mut packed = PackedMatrix::new(columns);
    for (rows, _) in pack::parts(whole, loader) {
        let (first, end) = (rows.start * columns, rows.end * columns);
        let range = first / block..end.div_ceil(block);
        let scales = match state.nested_offset {
            None => Scales::Plain(&scale_absmax[range]),
            Some(offset) => Scales::Double {
                absmax: &scale_absmax[range.start / 256..range.end.div_ceil(256)],
                codes: &scale_codes[range],
                offset,
            },
        };
        // The file has the codes as a matrix of one byte a row.
        let bytes = loader.rows(name, first / 2..end.div_ceil(2)).await?;
        let part = packing::four_bit(state.code, block, (rows.len(), columns), &bytes, scales)?;
        loader.put(&mut packed, part).await?;
    }
    Ok(packed)
}

async fn int8(loader: &mut Loader<'_>, name: &str, [rows, columns]: [usize; 2], scales: &str) -> Result<PackedMatrix> {
    let whole = Packed {
        format: Format::Int8,
        rows,
        columns,
    };
    if let Some(skeleton) = loader.skeleton_of(whole) {
        return Ok(skeleton);
    }
    let absmax = floats(loader, scales).await?;
    if absmax.len() != rows {
        let found = absmax.len();
        return Err(Error::format(msg::ScalesOfRows { found, rows }).field(scales));
    }
    let mut packed = PackedMatrix::new(columns);
    for (rows, _) in pack::parts(whole, loader) {
        let bytes = loader.rows(name, rows.clone()).await?;
        let codes: Vec<i8> = bytes.iter().map(|byte| *byte as i8).collect();
        let part = packing::int8((rows.len(), columns), &codes, &absmax[rows])?;
        loader.put(&mut packed, part).await?;
    }
    Ok(packed)
}

/// A small tensor of floats.
async fn floats(loader: &mut Loader<'_>, name: &str) -> Result<Vec<f32>> {
    if !loader.has(name) {
        return Err(Error::model(msg::MissingTensor).field(name));
    }
    let bytes = loader.bytes(name).await?;
    blocks::decode(Storage::F32, &bytes).map_err(|error| error.field(name))
}
