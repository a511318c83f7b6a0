//! Images with their classes in the IDX format of MNIST and Fashion-MNIST: `…-images-idx3-ubyte` with `…-labels-idx1-ubyte`
//! beside it.
//!
//! A file is two zero bytes, the type of its numbers (8: bytes), how many dimensions it has, their sizes as 32-bit big-endian
//! numbers, and then the numbers, the last dimension fastest (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of
//! handwritten digits"). Pixels are divided by 255.

use super::labelled::{Labelled, LabelledRow};
use super::numeric::{NUMBERS_OF_A_FIELD, Shape};
use super::value::{Budget, Value};
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;

/// How an IDX file of bytes begins; the number of dimensions follows.
const BYTES: [u8; 3] = [0, 0, 8];

/// Whether a file is of this format.
pub fn is_idx(bytes: &[u8]) -> bool {
    bytes.len() >= 4 && bytes[..2] == BYTES[..2] && (8..=14).contains(&bytes[2]) && (1..=4).contains(&bytes[3])
}

/// Whether a file of this format is one of labels.
pub(super) fn is_labels(bytes: &[u8]) -> bool {
    is_idx(bytes) && bytes[3] == 1
}

/// What an images file is called, as its labels' file is; `None` of other names.
pub fn labels_of(name: &str) -> Option<String> {
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    (labels != name).then_some(labels)
}

/// Images with the labels beside them, where there is such a file.
pub(super) fn read((name, bytes): (&str, &[u8]), labels: Option<(&str, &[u8])>) -> Result<Labelled> {
    if is_labels(bytes) {
        let error = Error::data(msg::LabelsWithoutImages).file(name);
        return Err(error.remedy(msg::GiveImages));
    }
    let ([count, height, width], pixels) = header::<3>(bytes).map_err(|error| error.file(name))?;
    let mut budget = Budget::new();
    for _ in 0..count {
        budget
            .row(1 + height * width / NUMBERS_OF_A_FIELD)
            .map_err(|error| error.file(name))?;
    }
    let labels = match labels {
        None => None,
        Some((name, bytes)) => {
            let ([labels], values) = header::<1>(bytes).map_err(|error| error.file(name))?;
            if labels != count {
                let error = Error::data(msg::LabelsForImages { labels, images: count });
                return Err(error.file(name).remedy(msg::OfOneSet));
            }
            Some(values)
        }
    };
    let row = |(place, pixels): (usize, &[u8])| LabelledRow {
        number: place + 1,
        values: labels.iter().map(|labels| Value::from(labels[place])).collect(),
        features: pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect(),
        ..LabelledRow::default()
    };
    Ok(Labelled {
        file: name.to_owned(),
        texts: vec!["values".to_owned()],
        labels: labels.iter().map(|_| "label".to_owned()).collect(),
        rows: pixels.chunks(height * width).enumerate().map(row).collect(),
        notes: Vec::new(),
        shape: Some(Shape::Image { height, width }),
    })
}

/// The sizes of D dimensions, none of them 0, and as many bytes as they say.
fn header<const D: usize>(bytes: &[u8]) -> Result<([usize; D], &[u8])> {
    let wrong = |what: Message| Error::format(what).remedy(msg::TakeImages);
    if !bytes.starts_with(&BYTES) || usize::from(bytes.get(3).copied().unwrap_or(0)) != D {
        let start: Vec<String> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let (start, count, code) = (start.join(" "), D, format!("{D:02x}"));
        return Err(wrong(msg::WrongStart { start, count, code }.into()));
    }
    let mut rest = &bytes[4..];
    let mut sizes = [0; D];
    for size in &mut sizes {
        let (number, behind) = rest
            .split_first_chunk::<4>()
            .ok_or_else(|| wrong(msg::EndsInHeader.into()))?;
        *size = u32::from_be_bytes(*number) as usize;
        rest = behind;
    }
    let wanted = sizes
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size));
    if wanted == Some(0) {
        return Err(wrong(msg::DimensionOfZero.into()));
    }
    if wanted != Some(rest.len()) {
        let (bytes, sizes) = (rest.len(), format!("{sizes:?}"));
        return Err(wrong(msg::BytesUnlikeHeader { bytes, sizes }.into()));
    }
    Ok((sizes, rest))
}
