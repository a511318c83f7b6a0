//! A weight matrix beside its quantization to 4 or 8 bits: a corner of both, the quantization levels, and the error over the
//! whole matrix.
//!
//! The matrix is read, encoded and decoded slice by slice on the host with the codecs that quantize a base
//! ([`crate::quant`]), so that the numbers are those of a run in that format. A base that is quantized already is read from
//! its file where that has the floats, else the rows of a slice are dequantized; no dense copy is made.

use super::find_module;
use crate::config::{Fp8Format, QuantType, RunConfig};
use crate::error::{Error, Result};
use crate::formats::{ModelFiles, Storage};
use crate::host::Host;
use crate::loaded_model::LoadedModel;
use crate::models::{Leaves, Linear, Matrix};
use crate::protocol::Picture;
use crate::quant::{Absmax, BaseFormat, DoubleAbsmax, FourBit, Fp8, Fp8Matrix, Int8Rows, PartRows, ScaleOf, packing};
use lorakeet_i18n::Field;
use lorakeet_i18n::messages::pictures as msg;
use lorakeet_shaders::Packed;
use std::ops::Range;

/// The names of the formats.
const FORMATS: [&str; 5] = ["nf4", "fp4", "int8", "fp8_e4m3", "fp8_e5m2"];
/// Numbers that are read and encoded at a time.
const SLICE: usize = 1 << 18;

pub(super) async fn draw(
    loaded: &LoadedModel,
    leaves: &Leaves,
    (module, format): (&str, &str),
    cells: usize,
    host: Host,
) -> Result<Picture> {
    let base = base_format(format)?;
    let linears = loaded.model.body_linears();
    let paths: Vec<&str> = linears.iter().map(|linear| linear.path.as_str()).collect();
    let path = find_module(module, &paths)?;
    let linear = linears.into_iter().find(|linear| linear.path == path);
    let linear = linear.ok_or_else(|| Error::config(msg::UnknownModule { module: path }).field("module"))?;
    let source = Numbers::of(linear, loaded, leaves).await?;
    let coded = Coded::encode(&source, base, host).await?;
    let (rows, columns) = (source.rows.min(cells), source.columns.min(cells));
    let (mut original, mut decoded, mut squares) = (Vec::new(), Vec::new(), 0.0);
    for (range, part) in &coded.parts {
        let (before, after) = (source.read(range.clone()).await?, part.decode());
        let difference = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        squares += before.iter().zip(&after).map(difference).sum::<f64>();
        for row in (0..range.len()).take(rows.saturating_sub(range.start)) {
            let corner = row * source.columns..row * source.columns + columns;
            original.extend_from_slice(&before[corner.clone()]);
            decoded.extend_from_slice(&after[corner]);
        }
        (host.yield_now)().await;
    }
    let count = (source.rows * source.columns).max(1) as f64;
    let packed = packing::format(base, source.rows, source.columns).map(|format| Packed {
        format,
        rows: source.rows,
        columns: source.columns,
    });
    Ok(Picture::PackedWeights {
        module: path.to_owned(),
        format: format.to_owned(),
        rows,
        columns,
        original,
        decoded,
        levels: coded.parts.first().map(|(_, part)| part.levels()).unwrap_or_default(),
        root_mean_square_error: (squares / count).sqrt(),
        original_bytes: source.bytes,
        packed_bytes: packed.map_or(0, |packed| 4 * packed.words() as u64),
    })
}

/// The format named `word`, with a run's default settings.
fn base_format(word: &str) -> Result<BaseFormat> {
    let four_bit = |code| RunConfig {
        quantization_bit: Some(4),
        bnb_4bit_quant_type: code,
        ..RunConfig::default()
    };
    let fp8 = |format| RunConfig {
        fp8: Some(format),
        ..RunConfig::default()
    };
    let config = match word {
        "nf4" => four_bit(QuantType::Nf4),
        "fp4" => four_bit(QuantType::Fp4),
        "int8" => RunConfig {
            quantization_bit: Some(8),
            ..RunConfig::default()
        },
        "fp8_e4m3" => fp8(Fp8Format::E4m3),
        "fp8_e5m2" => fp8(Fp8Format::E5m2),
        other => {
            let format = format!("{other:?}");
            let names = Field::list(FORMATS);
            return Err(Error::config(msg::UnknownPacking { format })
                .field("format")
                .remedy(msg::PackingsAre { names }));
        }
    };
    Ok(BaseFormat::from(&config))
}

/// The numbers of a linear's weight [out, in], row by row.
struct Numbers<'a> {
    rows: usize,
    columns: usize,
    /// Size of the matrix on the device or in the file.
    bytes: u64,
    place: Place<'a>,
}

/// Where the numbers are read from.
enum Place<'a> {
    Device(&'a Matrix, &'a Leaves),
    File(&'a ModelFiles, String),
    /// Transposed on the host, of a matrix that lies as [in, out].
    Host(Vec<f32>),
}

impl<'a> Numbers<'a> {
    async fn of(linear: &'a Linear, loaded: &'a LoadedModel, leaves: &'a Leaves) -> Result<Self> {
        let (matrix, files) = (&linear.weight, &loaded.files);
        let own = Self {
            rows: linear.outputs,
            columns: linear.inputs,
            bytes: matrix.bytes(),
            place: Place::Device(matrix, leaves),
        };
        let lies_transposed = match Self::file_of(linear, loaded) {
            None => linear.lies_transposed(),
            Some((name, bytes)) => {
                let lies_transposed = linear.transposed != files.stored_matrix(&name)?.transposed;
                let place = Place::File(files, name);
                let whole = Self { bytes, place, ..own };
                return match lies_transposed {
                    true => whole.transposed().await,
                    false => Ok(whole),
                };
            }
        };
        match lies_transposed {
            true => own.transposed().await,
            false => Ok(own),
        }
    }

    /// The file's tensor and its size, where the run quantized floats: the device no longer has them.
    fn file_of(linear: &Linear, loaded: &LoadedModel) -> Option<(String, u64)> {
        if loaded.full || loaded.base == BaseFormat::AsStored {
            return None;
        }
        let name = format!("{}.weight", linear.path);
        let name = loaded.model.stored_name(&name, &loaded.files);
        let entry = loaded.files.entry(&name)?;
        let is_float = matches!(entry.storage, Storage::F32 | Storage::F16 | Storage::BF16);
        (is_float && entry.shape.len() == 2).then(|| (name.into_owned(), entry.bytes))
    }

    /// The same matrix, read whole and transposed from [in, out].
    async fn transposed(self) -> Result<Self> {
        let (rows, columns) = (self.rows, self.columns);
        let lying = Self {
            rows: columns,
            columns: rows,
            ..self
        };
        let mut transposed = vec![0.0; rows * columns];
        for range in lying.slices(1) {
            let numbers = lying.read(range.clone()).await?;
            for (input, row) in range.zip(numbers.chunks(rows.max(1))) {
                for (output, number) in row.iter().enumerate() {
                    transposed[output * columns + input] = *number;
                }
            }
        }
        Ok(Self {
            rows,
            columns,
            place: Place::Host(transposed),
            ..lying
        })
    }

    async fn read(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        match &self.place {
            Place::Device(matrix, leaves) => matrix.read_rows(rows, leaves).await,
            Place::File(files, name) => files.read_rows_f32(name, rows).await,
            Place::Host(all) => Ok(all[rows.start * self.columns..rows.end * self.columns].to_vec()),
        }
    }

    fn parts(&self) -> PartRows {
        PartRows::new(self.rows, self.columns)
    }

    /// Row ranges of about [`SLICE`] numbers, borders at multiples of `step` rows.
    fn slices(&self, step: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        self.parts().ranges(SLICE, step)
    }
}

/// A matrix in a format, by ranges of its rows.
struct Coded {
    parts: Vec<(Range<usize>, Part)>,
}

enum Part {
    FourBit(FourBit),
    Int8(Int8Rows),
    Fp8(Fp8Matrix),
}

impl Coded {
    async fn encode(source: &Numbers<'_>, base: BaseFormat, host: Host) -> Result<Self> {
        let columns = source.columns;
        let step = match base {
            BaseFormat::FourBit { block, .. } => source.parts().rows_of_multiple(block.elements()),
            BaseFormat::Fp8 { scale_of, .. } if scale_of != ScaleOf::Tensor => scale_of.tile(1, columns).0,
            _ => 1,
        };
        let whole_scale = match base {
            BaseFormat::Fp8 {
                format,
                scale_of: ScaleOf::Tensor,
            } => Some(format.scale(source.largest().await?)),
            _ => None,
        };
        let mut parts = Vec::new();
        for range in source.slices(step) {
            let (numbers, rows) = (source.read(range.clone()).await?, range.len());
            parts.push((range, Part::encode(&numbers, (rows, columns), base, whole_scale)?));
            (host.yield_now)().await;
        }
        if let BaseFormat::FourBit { double: true, .. } = base {
            double_scales(&mut parts)?;
        }
        Ok(Self { parts })
    }
}

impl Numbers<'_> {
    async fn largest(&self) -> Result<f32> {
        let mut largest = 0.0f32;
        for range in self.slices(1) {
            let numbers = self.read(range).await?;
            largest = numbers.iter().fold(largest, |most, number| most.max(number.abs()));
        }
        Ok(largest)
    }
}

/// Replaces the scales of all blocks by their double quantization, which takes the mean over all blocks.
fn double_scales(parts: &mut [(Range<usize>, Part)]) -> Result<()> {
    let mut scales = Vec::new();
    for (_, part) in parts.iter() {
        if let Part::FourBit(part) = part {
            scales.extend_from_slice(&part.absmax().decode());
        }
    }
    let scales = DoubleAbsmax::encode(&scales)?.decode();
    let mut rest = scales.as_slice();
    for (_, part) in parts {
        if let Part::FourBit(plain) = part {
            let (own, behind) = rest.split_at(plain.block().count(plain.elements()).min(rest.len()));
            rest = behind;
            let (absmax, bytes) = (Absmax::Plain(own.to_vec()), plain.packed().to_vec());
            *plain = FourBit::new(plain.code(), plain.block(), plain.elements(), bytes, absmax)?;
        }
    }
    Ok(())
}

impl Part {
    fn encode(
        numbers: &[f32],
        (rows, columns): (usize, usize),
        base: BaseFormat,
        whole_scale: Option<f32>,
    ) -> Result<Self> {
        Ok(match base {
            BaseFormat::FourBit { code, block, .. } => Self::FourBit(FourBit::encode(numbers, code, block)?),
            BaseFormat::Fp8 { format, scale_of } => Self::Fp8(match whole_scale {
                None => Fp8Matrix::encode(numbers, rows, columns, format, scale_of)?,
                Some(scale) => {
                    let codes = numbers.iter().map(|number| format.encode(number / scale)).collect();
                    Fp8Matrix::new(rows, columns, format, scale_of, codes, vec![scale])?
                }
            }),
            // `base_format` never gives the file's own format.
            BaseFormat::Int8 | BaseFormat::AsStored => Self::Int8(Int8Rows::encode(numbers, rows, columns)?),
        })
    }

    fn decode(&self) -> Vec<f32> {
        match self {
            Self::FourBit(part) => part.decode(),
            Self::Int8(part) => part.decode(),
            Self::Fp8(part) => part.decode(),
        }
    }

    /// The distinct quantization levels of the first block, ascending.
    fn levels(&self) -> Vec<f32> {
        let mut levels: Vec<f32> = match self {
            Self::FourBit(part) => {
                let scale = part.absmax().decode().first().copied().unwrap_or_default();
                part.code().table().iter().map(|value| value * scale).collect()
            }
            Self::Int8(part) => {
                let scale = part.absmax().first().copied().unwrap_or_default();
                (-127i8..=127)
                    .map(|code| f32::from(code) * scale * (1.0 / 127.0))
                    .collect()
            }
            Self::Fp8(part) => {
                let scale = part.scales().first().copied().unwrap_or_default();
                let format: Fp8 = part.format();
                let values = (0..=u8::MAX).map(|code| format.decode(code));
                values
                    .filter(|value| value.is_finite())
                    .map(|value| value * scale)
                    .collect()
            }
        };
        levels.sort_by(f32::total_cmp);
        // 0 and -0 are one level.
        levels.dedup_by(|a, b| a == b);
        levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Generator;
    use crate::store::now;

    fn numbers(rows: usize, columns: usize) -> Numbers<'static> {
        let mut generator = Generator::new(11, "picture");
        Numbers {
            rows,
            columns,
            bytes: 0,
            place: Place::Host((0..rows * columns).map(|_| generator.normal() as f32).collect()),
        }
    }

    fn coded(source: &Numbers<'_>, base: BaseFormat) -> Vec<f32> {
        let host = Host {
            now_ms: || 0.0,
            yield_now: || Box::pin(std::future::ready(())),
        };
        // Nothing here waits for a device.
        let coded = now(Coded::encode(source, base, host)).expect("finite numbers");
        assert!(coded.parts.len() > 1, "one slice proves nothing");
        coded.parts.iter().flat_map(|(_, part)| part.decode()).collect()
    }

    #[test]
    fn a_matrix_in_slices_is_to_the_bit_what_it_is_as_a_whole() {
        // Blocks of 64 do not end where these rows end.
        let source = numbers(600, 1001);
        let Place::Host(all) = &source.place else {
            unreachable!("it is on the host")
        };
        for word in FORMATS {
            let base = base_format(word).expect("a known word");
            let whole = match base {
                BaseFormat::FourBit { code, block, double } => {
                    let whole = FourBit::encode(all, code, block).expect("finite");
                    match double {
                        true => whole.with_double_absmax().expect("finite").decode(),
                        false => whole.decode(),
                    }
                }
                BaseFormat::Fp8 { format, scale_of } => Fp8Matrix::encode(all, 600, 1001, format, scale_of)
                    .expect("finite")
                    .decode(),
                _ => Int8Rows::encode(all, 600, 1001).expect("finite").decode(),
            };
            assert!(coded(&source, base) == whole, "{word}");
        }
        let base = BaseFormat::Fp8 {
            format: Fp8::E4M3,
            scale_of: ScaleOf::Tensor,
        };
        let whole = Fp8Matrix::encode(all, 600, 1001, Fp8::E4M3, ScaleOf::Tensor).expect("finite");
        assert!(coded(&source, base) == whole.decode(), "one scale for all");
    }

    #[test]
    fn levels_are_what_a_code_can_stand_for() {
        let source = numbers(2, 64);
        let Place::Host(all) = &source.place else {
            unreachable!("it is on the host")
        };
        let levels = |word: &str| {
            let part = Part::encode(all, (2, 64), base_format(word).expect("known"), None).expect("finite");
            let (levels, decoded) = (part.levels(), part.decode());
            assert!(levels.is_sorted() && levels.len() <= 256, "{word}");
            // The first block (FP8 and INT8: the first row) has no other values.
            assert!(decoded[..64].iter().all(|value| levels.contains(value)), "{word}");
            levels.len()
        };
        let counts = FORMATS.map(levels);
        assert_eq!(counts, [16, 15, 255, 253, 247]);
    }
}
