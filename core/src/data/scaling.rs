//! Scaling by mean and deviation: of the targets of a regression, and of numbers before a model reads them.

use super::numeric::Shape;
use super::{Example, Target};
use crate::config::ScaleInputs;
use std::sync::Arc;

/// Mean and deviation of the numbers of a regression, one pair a target: a scaled number is (y − mean) / deviation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scaling(pub Vec<(f64, f64)>);

impl Scaling {
    /// Of the targets of `examples`, `width` a row; the deviation of a constant is 1.
    pub fn of(examples: &[Example], width: usize) -> Self {
        let moments = |target: usize| {
            let values = || {
                examples.iter().filter_map(move |example| match &example.target {
                    Target::Row(values) => values.get(target).map(|&value| f64::from(value)),
                    _ => None,
                })
            };
            let count = values().count().max(1) as f64;
            let mean = values().sum::<f64>() / count;
            let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
            (mean, if deviation > 0.0 { deviation } else { 1.0 })
        };
        Self((0..width).map(moments).collect())
    }

    /// Scales the targets of `examples`.
    pub fn apply(&self, examples: &mut [Example]) {
        for example in examples {
            if let Target::Row(values) = &mut example.target {
                for (target, value) in values.iter_mut().enumerate() {
                    *value = self.scaled(target, f64::from(*value)) as f32;
                }
            }
        }
    }

    /// A target of column `target`, scaled; as it is where nothing is scaled.
    pub fn scaled(&self, target: usize, value: f64) -> f64 {
        self.0
            .get(target)
            .map_or(value, |(mean, deviation)| (value - mean) / deviation)
    }

    /// The other way.
    pub fn unscaled(&self, target: usize, value: f64) -> f64 {
        self.0
            .get(target)
            .map_or(value, |(mean, deviation)| value * deviation + mean)
    }
}

/// How the numbers of a row are scaled before a model reads them.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum InputScaling {
    /// Not at all: images are between 0 and 1 as they are read.
    #[default]
    Plain,
    /// Each place of the row by mean and deviation of the rows that were trained on.
    Columns(Vec<(f64, f64)>),
    /// Each of so many channels of a row by its own mean and deviation in that row.
    Rows(usize),
}

impl InputScaling {
    /// The scaling `how` of rows of `shape`, with the means of `examples`; the deviation of a constant is 1.
    pub fn of(how: ScaleInputs, shape: Shape, examples: &[Example]) -> Self {
        match (how, shape) {
            (ScaleInputs::None, _) => Self::Plain,
            (ScaleInputs::Rows, Shape::Series { channels, .. }) => Self::Rows(channels),
            (ScaleInputs::Rows, _) => Self::Rows(1),
            (ScaleInputs::Columns, _) => {
                let column = |place: usize| moments(examples.iter().map(move |example| example.features.get(place)));
                Self::Columns((0..shape.features()).map(column).collect())
            }
        }
    }

    /// Scales the numbers of `examples`.
    pub fn apply(&self, examples: &mut [Example]) {
        for example in examples {
            let numbers = example.features.iter().enumerate();
            let all: Arc<[f32]> = match self {
                Self::Plain => continue,
                Self::Columns(columns) => numbers
                    .map(|(place, &x)| scaled(x, columns.get(place).copied().unwrap_or((0.0, 1.0))))
                    .collect(),
                Self::Rows(channels) => {
                    let channels = (*channels).max(1);
                    let own: Vec<(f64, f64)> = (0..channels)
                        .map(|channel| moments(example.features.iter().skip(channel).step_by(channels).map(Some)))
                        .collect();
                    numbers.map(|(place, &x)| scaled(x, own[place % channels])).collect()
                }
            };
            example.features = all;
        }
    }
}

fn scaled(x: f32, (mean, deviation): (f64, f64)) -> f32 {
    ((f64::from(x) - mean) / deviation) as f32
}

/// Mean and deviation; the deviation of what never changes is 1.
fn moments<'a>(values: impl Iterator<Item = Option<&'a f32>> + Clone) -> (f64, f64) {
    let values = || values.clone().flatten().map(|&value| f64::from(value));
    let count = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / count;
    let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    // What never changes differs from its mean by rounding at most.
    (mean, if deviation > 1e-7 * mean.abs() { deviation } else { 1.0 })
}
