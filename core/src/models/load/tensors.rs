//! Tensors as the loader reads them: shape checked, packed or dense, on the device.

use super::{Init, Loader, decays};
use crate::{
    device,
    error::{Error, Kind, Result},
    formats::Storage,
    models::{
        Linear, Parameter, Weight, bitsandbytes,
        matrix::{Matrix, Stored},
        pack,
    },
    ops::PackedMatrix,
    quant::{
        BaseFormat,
        packing::{PackedWords, own_format},
    },
};
use lorakeet_i18n::messages::models as msg;
use lorakeet_shaders::Format;
use std::ops::Range;

/// Bytes that are compared at a time.
const COMPARED_BYTES: usize = 1 << 20;

/// What a matrix is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A linear, which a run may quantize.
    Linear,
    /// A linear that is stored \[in, out\].
    Conv1d,
    /// An embedding or a vocabulary's output matrix, which keeps its file's format.
    Table,
    /// A linear of a task's head, which is always dense: adapters save it whole.
    Head,
}

impl Loader<'_> {
    /// Tensor `name` of `shape`.
    pub(crate) async fn weight(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Weight> {
        let count = elements(name, shape)?;
        device::check_size(self.largest_buffer_bytes, name, 4 * count as u64)?;
        let is_initialised = self.is_initialised(name, shape);
        if is_initialised {
            self.check_initialised(name, count)?;
        }
        let values = if self.skeleton {
            if !is_initialised {
                self.check(name, shape)?;
            }
            Vec::new()
        } else if is_initialised {
            self.draw(count, init)?
        } else {
            self.read(name, shape).await?
        };
        self.weights += count as u64;
        self.weight_bytes += 4 * count as u64;
        let tensor = self.uploads.send(values).await?;
        if !self.full {
            return Ok(Weight::Frozen(Box::new(tensor)));
        }
        let parameter = Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            decay: decays(name),
            value: tensor,
        };
        Ok(Weight::Trained(self.parameters.push(parameter)))
    }

    async fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.check(name, shape)?;
        let stored = self.stored(name);
        let (_, values) = self.files.read_f32(&stored).await?;
        let bytes = self.files.entry(&stored).map_or(0, |entry| entry.bytes);
        self.advance(bytes);
        Ok(values)
    }

    /// Refuses a tensor that is missing or misshapen; what is not refused counts as read.
    pub(crate) fn check(&mut self, name: &str, shape: &[usize]) -> Result<()> {
        let stored = self.stored(name).into_owned();
        let Some(entry) = self.files.entry(&stored) else {
            let error = Error::model(msg::MissingTensor).file(&self.files.name).field(stored);
            return Err(error.remedy(msg::AreAllShardsThere));
        };
        if entry.shape != shape {
            let what = msg::NotPromisedShape {
                shape: format!("{:?}", entry.shape),
                promised: format!("{shape:?}"),
            };
            return Err(Error::model(what).file(&self.files.name).field(stored));
        }
        self.read.insert(stored);
        Ok(())
    }

    /// Puts the next rows of a matrix on the device.
    pub(crate) async fn put(&mut self, matrix: &mut PackedMatrix, part: PackedWords) -> Result<()> {
        let PackedWords { matrix: packed, words } = part;
        let words = words.into_iter().map(f32::from_bits).collect();
        matrix.push_sent(packed, self.uploads.send(words).await?);
        Ok(())
    }

    fn advance(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        (self.progress)(self.done_bytes.min(self.total_bytes), self.total_bytes);
    }

    /// A small tensor as it is stored.
    pub(crate) async fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        let stored = self.stored(name).into_owned();
        let bytes = self.files.read_bytes(&stored).await?;
        self.read.insert(stored);
        self.advance(bytes.len() as u64);
        Ok(bytes)
    }

    /// Rows of a matrix as they are stored.
    pub(crate) async fn rows(&mut self, name: &str, rows: Range<usize>) -> Result<Vec<u8>> {
        let bytes = self.files.read_rows(&self.stored(name), rows).await?;
        self.advance(bytes.len() as u64);
        Ok(bytes)
    }

    /// Rows of a matrix as numbers.
    pub(crate) async fn numbers(&mut self, name: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        let stored = self.stored(name);
        let matrix = self.files.stored_matrix(&stored)?;
        let numbers = self.files.read_rows_f32(&stored, rows).await?;
        let blocks = numbers.len() / matrix.storage.block_elements();
        self.advance((blocks * matrix.storage.block_bytes()) as u64);
        Ok(numbers)
    }

    /// Matrix `name` of `shape`: packed where its file or the run packs it, dense else.
    pub(crate) async fn matrix(
        &mut self,
        name: &str,
        [rows, columns]: [usize; 2],
        init: Init,
        role: Role,
    ) -> Result<Matrix> {
        let stored = match self.packed(name, [rows, columns], role).await? {
            Some(packed) => packed,
            None => Stored::Dense(self.weight(name, &[rows, columns], init).await?),
        };
        Ok(Matrix { rows, columns, stored })
    }

    /// The matrix, packed; `None` where it is to be dense.
    async fn packed(&mut self, name: &str, shape: [usize; 2], role: Role) -> Result<Option<Stored>> {
        elements(name, &shape)?;
        if self.full || self.is_initialised(name, &shape) {
            return Ok(None);
        }
        // bitsandbytes packs Conv1D's weights as [out, in].
        let turn = role == Role::Conv1d;
        let as_packed = if turn { [shape[1], shape[0]] } else { shape };
        if let Some(matrix) = bitsandbytes::read(self, name, as_packed).await? {
            return Ok(Some(self.hold(matrix, turn)));
        }
        if role == Role::Head {
            return Ok(None);
        }
        self.check(name, &shape)?;
        let storage = self.entry(name).map_or(Storage::F32, |entry| entry.storage);
        let flipped = self.files.stored_matrix(&self.stored(name))?.transposed;
        let [rows, columns] = if flipped { [shape[1], shape[0]] } else { shape };
        let source = pack::Source {
            name,
            storage,
            rows,
            columns,
            numbers: None,
        };
        let own = own_format(storage);
        // Quantized tensors are not quantized again.
        let floats = matches!(own, None | Some(Format::F16 | Format::Bf16));
        let is_linear = matches!(role, Role::Linear | Role::Conv1d);
        if is_linear && floats && self.base != BaseFormat::AsStored {
            let turn = turn && !flipped;
            let source = if turn { source.transposed(self).await? } else { source };
            let packed = pack::encoded(self, &source, self.base).await?;
            return Ok(packed.map(|matrix| self.hold(matrix, turn || flipped)));
        }
        let too_large = 4 * (rows * columns) as u64 > self.largest_buffer_bytes;
        let format = match own {
            Some(format) => format,
            None if too_large && storage == Storage::F32 => Format::F32,
            None => return Ok(None),
        };
        let matrix = pack::own(self, &source, format).await?;
        Ok(Some(self.hold(matrix, flipped)))
    }

    fn hold(&mut self, matrix: PackedMatrix, flipped: bool) -> Stored {
        self.weights += (matrix.rows() * matrix.columns()) as u64;
        self.weight_bytes += matrix.bytes();
        Stored::Packed { matrix, flipped }
    }

    /// The output matrix `name` \[V, C\]; `None` where it is the embedding `table`. `tied` is config.json's
    /// tie_word_embeddings.
    ///
    /// Where the files hold another than the embedding all the same, that one counts, as in transformers (`tie_weights`).
    pub(crate) async fn output(
        &mut self,
        name: &str,
        table: &str,
        shape: [usize; 2],
        tied: bool,
    ) -> Result<Option<Matrix>> {
        if tied && (self.fresh || !self.has(name)) {
            return Ok(None);
        }
        if tied && self.are_equal(name, table).await? {
            let stored = self.stored(name).into_owned();
            self.read.insert(stored);
            return Ok(None);
        }
        if tied {
            self.note(msg::OutputDiffersFromEmbedding { name });
        }
        if !self.fresh && !self.inits_missing && !self.has(name) {
            if self.architecture()?.is_some_and(|class| class.ends_with("Model")) {
                self.note(msg::EmbeddingStandsIn { name });
                return Ok(None);
            }
            let error = Error::model(msg::MissingOutput).file(&self.files.name).field(name);
            return Err(error.remedy(msg::AreAllShardsThereOrTie));
        }
        self.matrix(name, shape, Init::Normal, Role::Table).await.map(Some)
    }

    /// Whether two matrices are the same, byte by byte.
    async fn are_equal(&self, one: &str, other: &str) -> Result<bool> {
        let names = [self.stored(one), self.stored(other)];
        let [Some(left), Some(right)] = [&names[0], &names[1]].map(|name| self.files.entry(name)) else {
            return Ok(false);
        };
        if (&left.shape, left.storage) != (&right.shape, right.storage) || left.shape.len() != 2 {
            return Ok(false);
        }
        let matrix = self.files.stored_matrix(&names[0])?;
        let step = (COMPARED_BYTES / matrix.columns.max(1)).max(1);
        for start in (0..matrix.rows).step_by(step) {
            let rows = start..(start + step).min(matrix.rows);
            let left = self.files.read_rows(&names[0], rows.clone()).await?;
            if left != self.files.read_rows(&names[1], rows).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A linear at `path`, with a bias where `bias`.
    pub(crate) async fn linear(
        &mut self,
        path: String,
        inputs: usize,
        outputs: usize,
        bias: bool,
        transposed: bool,
    ) -> Result<Linear> {
        let shape = if transposed {
            [inputs, outputs]
        } else {
            [outputs, inputs]
        };
        let role = match (self.inits_missing, transposed) {
            (true, _) => Role::Head,
            (false, true) => Role::Conv1d,
            (false, false) => Role::Linear,
        };
        let weight = self
            .matrix(&format!("{path}.weight"), shape, Init::Normal, role)
            .await?;
        let bias = match bias {
            true => Some(self.weight(&format!("{path}.bias"), &[outputs], Init::Zeros).await?),
            false => None,
        };
        Ok(Linear {
            path,
            inputs,
            outputs,
            transposed,
            weight,
            bias,
            lora: None,
            whole: None,
        })
    }
}

/// Numbers in a tensor of `shape`, if their bytes can be counted on this machine.
fn elements(name: &str, shape: &[usize]) -> Result<usize> {
    let count = shape.iter().try_fold(4usize, |bytes, size| bytes.checked_mul(*size));
    count
        .filter(|bytes| isize::try_from(*bytes).is_ok())
        .map(|bytes| bytes / 4)
        .ok_or_else(|| {
            let what = msg::TensorTooLarge {
                shape: format!("{shape:?}"),
            };
            Error::new(Kind::OutOfMemory, what).field(name)
        })
}
