//! The weights of a model that was trained throughout, as a safetensors file that is read from the device tensor by tensor: an
//! export of it never has more than one of them in memory.

use crate::error::{Error, Result};
use crate::formats::{Storage, safetensors};
use crate::models::{Parameters, read};
use crate::store::{LocalFuture, ReadAt};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::common;
use std::cell::RefCell;

/// The file's name.
const NAME: &str = "model.safetensors";

/// Bytes of a number.
const NUMBER_BYTES: usize = size_of::<f32>();

/// The file.
pub(super) struct WeightsFile {
    header: Vec<u8>,
    /// Where each tensor begins, behind the header, and its numbers on the device.
    tensors: Vec<(u64, Tensor<1>)>,
    len_bytes: u64,
    /// The tensor that was read last, by its number.
    last: RefCell<Option<(usize, Vec<u8>)>>,
}

impl WeightsFile {
    /// # Errors
    /// A tensor's size overflows.
    pub(super) fn new(parameters: &Parameters) -> Result<Self> {
        let table: Vec<_> = parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), parameter.shape.clone(), Storage::F32))
            .collect();
        let header = safetensors::header(&table)?;
        let mut end = header.len() as u64;
        let mut tensors = Vec::with_capacity(table.len());
        for parameter in parameters.iter() {
            tensors.push((end, parameter.value.clone()));
            end += (parameter.shape.iter().product::<usize>() * NUMBER_BYTES) as u64;
        }
        Ok(Self {
            header,
            tensors,
            len_bytes: end,
            last: RefCell::new(None),
        })
    }

    /// Bytes of one tensor from `from` on, at most `most` of them.
    async fn read_tensor(&self, place: usize, from: usize, most: usize) -> Result<Vec<u8>> {
        let slice = |bytes: &Vec<u8>| bytes[from..(from + most).min(bytes.len())].to_vec();
        if let Some((known, bytes)) = &*self.last.borrow()
            && *known == place
        {
            return Ok(slice(bytes));
        }
        self.last.replace(None);
        let numbers = read(self.tensors[place].1.clone()).await?;
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let found = slice(&bytes);
        self.last.replace(Some((place, bytes)));
        Ok(found)
    }
}

impl ReadAt for WeightsFile {
    fn name(&self) -> &str {
        NAME
    }
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }
    fn read_at(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Vec<u8>>> {
        Box::pin(async move {
            let end = offset.checked_add(len as u64).filter(|end| *end <= self.len_bytes);
            let Some(end) = end else {
                let what = common::EndsEarly {
                    end: self.len_bytes,
                    wanted: len,
                    from: offset,
                };
                return Err(Error::format(what).file(NAME).remedy(common::FileIncomplete));
            };
            let in_header = |at: u64| at.min(self.header.len() as u64) as usize;
            let mut found = self.header[in_header(offset)..in_header(end)].to_vec();
            while found.len() < len {
                let at = offset + found.len() as u64;
                // The last of those that begin there is the one that is not empty.
                let place = self.tensors.partition_point(|(start, _)| *start <= at) - 1;
                let from = (at - self.tensors[place].0) as usize;
                found.extend(self.read_tensor(place, from, len - found.len()).await?);
            }
            Ok(found)
        })
    }
}
