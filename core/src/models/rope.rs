//! The tables of RoPE, with the scalings of config.json.

use super::keys::{bounded, first_names};
use super::load::Loader;
use crate::error::{Error, Result};
use burn::tensor::{Int, Tensor, TensorData};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::{Message, messages::models as msg};
use serde_json::{Map, Value};

/// Positions whose rows are kept on the device; those of longer rows are made when they are read.
const KEPT_POSITIONS: usize = 8192;

/// cos and sin \[positions, D/2\] of RoPE, computed on the host in f32 as in transformers.
pub(crate) struct Rope {
    angles: Angles,
    /// The rows of the first positions.
    cos: Tensor<2>,
    sin: Tensor<2>,
}

struct Angles {
    /// The angle of each pair from one position to the next.
    frequencies: Vec<f32>,
    /// The factor of sines and cosines.
    magnitude: f32,
}

impl Rope {
    pub(crate) fn new(loader: &mut Loader, dim: usize, positions: usize) -> Result<Self> {
        // transformers 5 nests it in rope_parameters; 4 has rope_theta and rope_scaling.
        let parameters = match (loader.object("rope_parameters")?, loader.object("rope_scaling")?) {
            (Some(_), Some(_)) => return Err(said_twice()),
            (None, scaling) => Parameters::read(scaling, "rope_scaling")?,
            (nested, None) => Parameters::read(nested, "rope_parameters")?,
        };
        let theta = match parameters.theta {
            Some(theta) => theta,
            None => loader.positive("rope_theta", 10_000.0)?,
        };
        Self::scaled(loader, theta, parameters, dim, positions)
    }

    /// The tables of one kind of layer (`full_attention`, `sliding_attention`): transformers 5 nests each kind's numbers
    /// under its name, 4 has the theta at `key`, else `theta`, and `rope_scaling` for the layers that `is_scaled`.
    pub(crate) fn of_layers(
        loader: &mut Loader,
        kind: &str,
        (key, theta): (&str, f64),
        is_scaled: bool,
        (dim, positions): (usize, usize),
    ) -> Result<Self> {
        let kinds = loader.object("rope_parameters")?.and_then(Value::as_object);
        if let Some((name, value)) = kinds
            .into_iter()
            .flatten()
            .find(|(_, value)| !value.is_object() && !value.is_null())
        {
            let value = bounded(value);
            let error = Error::format(msg::NeedsObjectPerLayerKind { value }).file("config.json");
            return Err(error.field(format!("rope_parameters.{name}")));
        }
        let nested = kinds.and_then(|kinds| kinds.get(kind));
        let scaling = loader.object("rope_scaling")?.filter(|_| is_scaled);
        let parameters = match (nested.filter(|nested| !nested.is_null()), scaling) {
            (Some(_), Some(_)) => return Err(said_twice()),
            (Some(nested), None) => Parameters::read(Some(nested), "rope_parameters")?,
            (None, scaling) => Parameters::read(scaling, "rope_scaling")?,
        };
        let theta = match parameters.theta {
            Some(theta) => theta,
            None => loader.positive(key, theta)?,
        };
        Self::scaled(loader, theta, parameters, dim, positions)
    }

    fn scaled(loader: &mut Loader, theta: f64, parameters: Parameters, dim: usize, positions: usize) -> Result<Self> {
        if let Some(note) = parameters.note() {
            loader.note(note);
        }
        let mut frequencies: Vec<f32> = (0..dim / 2)
            .map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / dim as f32))
            .collect();
        let magnitude = parameters.scaling.apply(&mut frequencies, theta, positions);
        if frequencies.iter().any(|frequency| !frequency.is_finite()) {
            let error = Error::format(msg::ThetaTooExtreme { theta });
            return Err(error.file("config.json").field("rope_theta"));
        }
        let angles = Angles { frequencies, magnitude };
        Ok(Self::build(loader, angles, positions))
    }

    fn build(loader: &mut Loader, angles: Angles, positions: usize) -> Self {
        let kept = positions.min(KEPT_POSITIONS);
        let mut table = |function| {
            loader.table([kept, angles.frequencies.len()], || {
                angles.rows(0..kept, function).collect()
            })
        };
        Self {
            cos: table(f32::cos),
            sin: table(f32::sin),
            angles,
        }
    }

    /// cos and sin \[tokens, D/2\] of the positions from `start` on, which the caller keeps within the model's positions.
    pub(crate) fn tables(&self, start: usize, tokens: usize) -> (Tensor<2>, Tensor<2>) {
        let positions = start..start + tokens;
        if positions.end <= self.cos.dims()[0] {
            return (
                self.cos.clone().slice([positions.clone()]),
                self.sin.clone().slice([positions]),
            );
        }
        let made = |function| {
            let values = self.angles.rows(positions.clone(), function).collect();
            let shape = [tokens, self.angles.frequencies.len()];
            Tensor::from_data(TensorData::new::<f32, _>(values, shape), &self.cos.device())
        };
        (made(f32::cos), made(f32::sin))
    }

    /// cos and sin \[n, D/2\] of n tokens at these positions, which the caller keeps within the model's.
    pub(crate) fn tables_at(&self, positions: &[u32]) -> (Tensor<2>, Tensor<2>) {
        let [count, kept] = [positions.len(), self.cos.dims()[0]];
        let device = self.cos.device();
        if positions.iter().all(|&position| (position as usize) < kept) {
            let places: Vec<i32> = positions.iter().map(|&position| position as i32).collect();
            let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &device);
            return (
                self.cos.clone().select(0, places.clone()),
                self.sin.clone().select(0, places),
            );
        }
        let made = |function| {
            let positions = positions.iter().map(|&position| position as usize);
            let values = self.angles.rows(positions, function).collect();
            let shape = [count, self.angles.frequencies.len()];
            Tensor::from_data(TensorData::new::<f32, _>(values, shape), &device)
        };
        (made(f32::cos), made(f32::sin))
    }
}

impl Angles {
    /// `function` of each position's angles, row by row.
    fn rows(&self, positions: impl Iterator<Item = usize>, function: fn(f32) -> f32) -> impl Iterator<Item = f32> {
        let of = move |position: usize| {
            let angles = self.frequencies.iter().map(move |f| position as f32 * f);
            angles.map(move |angle| function(angle) * self.magnitude)
        };
        positions.flat_map(of)
    }
}

fn said_twice() -> Error {
    Error::format(msg::RopeGivenTwice)
        .file("config.json")
        .field("rope_scaling")
        .remedy(common::KeepOne)
}

/// The content of `rope_parameters` or `rope_scaling`.
struct Parameters {
    theta: Option<f64>,
    scaling: Scaling,
    /// Keys without an effect on this scaling.
    unknown: Vec<String>,
    key: &'static str,
}

/// `rope_type` of config.json (transformers' modeling_rope_utils.py).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scaling {
    /// No scaling. `dynamic` is the same up to the model's positions, and longer rows are not read.
    Default,
    /// Divided by a factor.
    Linear(f64),
    /// Long wavelengths divided, short ones kept, those between blended.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        /// `None` where it is the model's number of positions.
        context: Option<f64>,
    },
    /// Pairs with more than `fast` rotations in the context kept, those with less than `slow` divided, a ramp between; sines
    /// and cosines multiplied by `magnitude` (Peng et al. 2023, arXiv 2309.00071).
    Yarn {
        factor: f64,
        fast: f64,
        slow: f64,
        /// Whether the ramp begins and ends at whole pairs.
        whole: bool,
        magnitude: f64,
        /// `None` where it is the model's number of positions.
        context: Option<f64>,
    },
}

impl Parameters {
    fn read(object: Option<&Value>, key: &'static str) -> Result<Self> {
        let wrong = |name: &str, what: Message| Error::format(what).file("config.json").field(format!("{key}.{name}"));
        let empty = Map::new();
        let object = match object {
            None => &empty,
            Some(Value::Object(object)) => object,
            Some(other) => {
                let got = bounded(other);
                let error = Error::format(msg::NotObject { got });
                return Err(error.file("config.json").field(key));
            }
        };
        let get = |name: &str| object.get(name).filter(|value| !value.is_null());
        let optional = |name: &str| -> Result<Option<f64>> {
            let Some(value) = get(name) else {
                return Ok(None);
            };
            let number = value
                .as_f64()
                .filter(|number| (*number as f32).is_finite() && *number as f32 > 0.0);
            let got = bounded(value);
            number
                .ok_or_else(|| wrong(name, msg::NotNumberAboveZero { got }.into()))
                .map(Some)
        };
        let number = |name: &str| optional(name)?.ok_or_else(|| wrong(name, msg::MissingKey.into()));
        let kind = match get("rope_type").or_else(|| get("type")) {
            None => "default",
            Some(Value::String(kind)) => kind,
            Some(other) => {
                let got = bounded(other);
                return Err(wrong("rope_type", msg::NotName { got }.into()));
            }
        };
        let (scaling, own): (Scaling, &[&str]) = match kind {
            "default" => (Scaling::Default, &[]),
            "dynamic" => {
                number("factor")?;
                (Scaling::Default, &["factor", "original_max_position_embeddings"])
            }
            "linear" => (
                Scaling::Linear(number("factor")?),
                &["factor", "original_max_position_embeddings"],
            ),
            "llama3" => {
                let (low, high) = (number("low_freq_factor")?, number("high_freq_factor")?);
                if low >= high {
                    return Err(wrong("high_freq_factor", msg::HighNotAboveLow { high, low }.into()));
                }
                let scaling = Scaling::Llama3 {
                    factor: number("factor")?,
                    low,
                    high,
                    context: optional("original_max_position_embeddings")?,
                };
                let own = &[
                    "factor",
                    "low_freq_factor",
                    "high_freq_factor",
                    "original_max_position_embeddings",
                ];
                (scaling, own)
            }
            "yarn" => {
                let factor = number("factor")?;
                let of = |scale: f64| {
                    if factor > 1.0 {
                        0.1 * scale * factor.ln() + 1.0
                    } else {
                        1.0
                    }
                };
                let magnitude = match (
                    optional("attention_factor")?,
                    optional("mscale")?,
                    optional("mscale_all_dim")?,
                ) {
                    (Some(magnitude), ..) => magnitude,
                    (None, Some(scale), Some(all)) => of(scale) / of(all),
                    _ => of(1.0),
                };
                let whole = match get("truncate") {
                    None => true,
                    Some(Value::Bool(whole)) => *whole,
                    Some(other) => {
                        let got = bounded(other);
                        return Err(wrong("truncate", msg::NotBoolean { got }.into()));
                    }
                };
                let scaling = Scaling::Yarn {
                    factor,
                    fast: optional("beta_fast")?.unwrap_or(32.0),
                    slow: optional("beta_slow")?.unwrap_or(1.0),
                    whole,
                    magnitude,
                    context: optional("original_max_position_embeddings")?,
                };
                let own = &[
                    "factor",
                    "attention_factor",
                    "mscale",
                    "mscale_all_dim",
                    "truncate",
                    "beta_fast",
                    "beta_slow",
                    "original_max_position_embeddings",
                ];
                (scaling, own)
            }
            other => {
                let name = format!("{other:?}");
                let error = Error::model(msg::UnknownRope { name });
                return Err(error.file("config.json").field("rope_type"));
            }
        };
        let mut unknown = Vec::new();
        for (name, value) in object {
            match name.as_str() {
                "rope_theta" | "rope_type" | "type" => {}
                "partial_rotary_factor" if value.is_null() || value.as_f64() == Some(1.0) => {}
                name if own.contains(&name) || value.is_null() => {}
                // Each kind of layer has its own, which is known for some architectures only.
                name if name == "partial_rotary_factor" || value.is_object() => {
                    let value = bounded(value);
                    let error = Error::model(msg::UnsupportedHere { value });
                    return Err(error.file("config.json").field(format!("{key}.{name}")));
                }
                name => unknown.push(format!("{key}.{name}")),
            }
        }
        Ok(Self {
            theta: optional("rope_theta")?,
            scaling,
            unknown,
            key,
        })
    }

    fn note(&self) -> Option<Message> {
        let names: Vec<&str> = self.unknown.iter().map(String::as_str).collect();
        let shown = || {
            let (key, names) = (self.key, first_names(&names));
            msg::IdleRopeKeys { key, names }.into()
        };
        (!names.is_empty()).then(shown)
    }
}

impl Scaling {
    /// Scales the angles; returns the factor of sines and cosines.
    fn apply(self, frequencies: &mut [f32], theta: f64, positions: usize) -> f32 {
        match self {
            Self::Default => {}
            Self::Linear(factor) => frequencies.iter_mut().for_each(|f| *f /= factor as f32),
            Self::Yarn {
                factor,
                fast,
                slow,
                whole,
                magnitude,
                context,
            } => {
                let (context, width) = (context.unwrap_or(positions as f64), 2.0 * frequencies.len() as f64);
                // The pair with this many rotations in the context.
                let pair = |turns: f64| width * (context / (turns * std::f64::consts::TAU)).ln() / (2.0 * theta.ln());
                let (first, last) = match whole {
                    true => (pair(fast).floor(), pair(slow).ceil()),
                    false => (pair(fast), pair(slow)),
                };
                let (first, mut last) = (first.max(0.0), last.min(width - 1.0));
                if first == last {
                    last += 0.001;
                }
                for (i, f) in frequencies.iter_mut().enumerate() {
                    let ramp = ((i as f64 - first) / (last - first)).clamp(0.0, 1.0) as f32;
                    *f = *f / factor as f32 * ramp + *f * (1.0 - ramp);
                }
                return magnitude as f32;
            }
            Self::Llama3 {
                factor,
                low,
                high,
                context,
            } => {
                let context = context.unwrap_or(positions as f64);
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
            }
        }
        1.0
    }
}
