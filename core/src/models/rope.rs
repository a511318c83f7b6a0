//! The tables of rotary embeddings, with the scalings that config.json can ask for.

use super::load::Loader;
use crate::error::{Error, Result};
use burn::tensor::{Tensor, TensorData};
use serde_json::Value;
use std::ops::Range;

/// Positions whose rows are kept on the device; those of longer rows are made when they are read.
const KEPT_POSITIONS: usize = 8192;

/// cos and sin \[positions, D/2\] of the rotary embedding, made on the host in f32 as transformers does.
pub(crate) struct Rope {
    /// The angle of each pair from one position to the next.
    frequencies: Vec<f32>,
    /// The rows of the first positions.
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Rope {
    pub(crate) fn new(loader: &mut Loader, dim: usize, positions: usize) -> Result<Self> {
        // transformers 5 nests it in rope_parameters; 4 has rope_theta and rope_scaling.
        let parameters = loader
            .object("rope_parameters")
            .or_else(|| loader.object("rope_scaling"));
        let theta = match theta_of(parameters) {
            Some(theta) => theta,
            None => loader.real("rope_theta")?.unwrap_or(10_000.0),
        };
        let frequencies = frequencies(theta, parameters, dim)?;
        Ok(Self::build(loader, frequencies, positions))
    }

    /// The tables of one kind of layer (`full_attention`, `sliding_attention`): transformers 5 nests each kind's numbers under its
    /// name, 4 has the theta at `key`, else `theta`. Only full attention is scaled.
    pub(crate) fn of_layers(
        loader: &mut Loader,
        kind: &str,
        (key, theta): (&str, f64),
        dim: usize,
        positions: usize,
    ) -> Result<Self> {
        let mut parameters = loader.object("rope_parameters").and_then(|kinds| kinds.get(kind));
        if parameters.is_none() && kind == "full_attention" {
            parameters = loader.object("rope_scaling");
        }
        let theta = match theta_of(parameters) {
            Some(theta) => theta,
            None => loader.real(key)?.unwrap_or(theta),
        };
        let frequencies = frequencies(theta, parameters, dim)?;
        Ok(Self::build(loader, frequencies, positions))
    }

    fn build(loader: &mut Loader, frequencies: Vec<f32>, positions: usize) -> Self {
        let kept = positions.min(KEPT_POSITIONS);
        let mut table = |function| {
            loader.table([kept, frequencies.len()], || {
                rows(&frequencies, 0..kept, function).collect()
            })
        };
        Self {
            cos: table(f32::cos),
            sin: table(f32::sin),
            frequencies,
        }
    }

    /// cos and sin \[tokens, D/2\] of the positions from `start` on. The caller holds to the model's positions.
    pub(crate) fn tables(&self, start: usize, tokens: usize) -> (Tensor<2>, Tensor<2>) {
        let positions = start..start + tokens;
        if positions.end <= self.cos.dims()[0] {
            return (
                self.cos.clone().slice([positions.clone()]),
                self.sin.clone().slice([positions]),
            );
        }
        let made = |function| {
            let values = rows(&self.frequencies, positions.clone(), function).collect();
            let shape = [tokens, self.frequencies.len()];
            Tensor::from_data(TensorData::new::<f32, _>(values, shape), &self.cos.device())
        };
        (made(f32::cos), made(f32::sin))
    }
}

/// `function` of each position's angles, row by row.
fn rows(frequencies: &[f32], positions: Range<usize>, function: fn(f32) -> f32) -> impl Iterator<Item = f32> {
    positions.flat_map(move |position| frequencies.iter().map(move |f| function(position as f32 * f)))
}

/// The angle of each pair \[D/2\] from one position to the next.
fn frequencies(theta: f64, parameters: Option<&Value>, dim: usize) -> Result<Vec<f32>> {
    let mut frequencies: Vec<f32> = (0..dim / 2)
        .map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / dim as f32))
        .collect();
    if let Some(parameters) = parameters {
        scale_frequencies(&mut frequencies, parameters)?;
    }
    Ok(frequencies)
}

fn theta_of(parameters: Option<&Value>) -> Option<f64> {
    parameters.and_then(|p| p.get("rope_theta")).and_then(Value::as_f64)
}

/// `rope_type` of config.json: `default`, `linear`, `llama3` (transformers' modeling_rope_utils.py).
fn scale_frequencies(frequencies: &mut [f32], parameters: &Value) -> Result<()> {
    let kind = parameters
        .get("rope_type")
        .or_else(|| parameters.get("type"))
        .and_then(Value::as_str);
    let number = |key: &str| {
        let value = parameters.get(key).and_then(Value::as_f64);
        value.ok_or_else(|| {
            Error::format("this key of rope_scaling is missing")
                .file("config.json")
                .field(key)
        })
    };
    match kind.unwrap_or("default") {
        "default" => Ok(()),
        "linear" => {
            let factor = number("factor")? as f32;
            frequencies.iter_mut().for_each(|f| *f /= factor);
            Ok(())
        }
        "llama3" => {
            let (factor, low, high) = (
                number("factor")?,
                number("low_freq_factor")?,
                number("high_freq_factor")?,
            );
            let context = number("original_max_position_embeddings")?;
            for f in frequencies {
                let wavelength = 2.0 * std::f64::consts::PI / f64::from(*f);
                let smooth = (context / wavelength - low) / (high - low);
                let scaled = f64::from(*f) / factor;
                *f = if wavelength > context / low {
                    scaled
                } else if wavelength < context / high {
                    f64::from(*f)
                } else {
                    (1.0 - smooth) * scaled + smooth * f64::from(*f)
                } as f32;
            }
            Ok(())
        }
        other => {
            let what = format!("the rotary embedding {other:?} is not supported");
            Err(Error::model(what).file("config.json").field("rope_type"))
        }
    }
}
