//! Sizes that a small model's config.json leaves out: from the run's knobs, else the data, else defaults.

use super::Variant;
use crate::{
    config::RunConfig,
    data::Shape,
    error::{Error, Result},
};
use lorakeet_i18n::messages::models as msg;
use serde_json::{Value, json};

/// Patches of a side of an image, and of a series, at most.
const PATCHES: [usize; 2] = [7, 32];
const MOST_HEADS: usize = 4;
/// Steps of a series' patch at least: one alone has no form.
const STEPS: usize = 4;

/// Sets the run's knobs in the config.json of a small model without weights, and missing sizes from the rows' shape. Without a
/// shape the inputs are as small as possible, so that the model can be made before the data are known. The config.json of other
/// models is not changed.
///
/// # Errors
/// Rows that are not square images, for small_vit.
pub(crate) fn fit(config: &mut Value, knobs: &RunConfig, shape: Option<Shape>) -> Result<()> {
    let Some(variant) = config["model_type"].as_str().and_then(Variant::named) else {
        return Ok(());
    };
    for (name, value) in wanted(knobs) {
        let key = match (name, variant) {
            ("patch_size", Variant::Series) => "patch_length",
            _ => name,
        };
        config[key] = value;
    }
    let (width, layers) = match variant {
        Variant::Mlp => (128, 2),
        Variant::Vit | Variant::Series => (64, 2),
        Variant::Rnn | Variant::Lstm | Variant::Gru => (64, 1),
    };
    add(config, "hidden_size", width);
    add(config, "num_hidden_layers", layers);
    if variant.has_patches() {
        add_text(config, "hidden_act", "gelu");
        let width = config["hidden_size"].as_u64().unwrap_or(1) as usize;
        let heads = (1..=MOST_HEADS).rev().find(|heads| width.is_multiple_of(*heads));
        add(config, "num_attention_heads", heads.unwrap_or(1));
    }
    if !config["vocab_size"].is_null() {
        return Ok(());
    }
    match variant {
        Variant::Vit => {
            let given = config["patch_size"].as_u64().map(|size| size as usize);
            let side = match shape {
                Some(shape) => side(shape)?,
                None => given.unwrap_or(1),
            };
            add(config, "image_size", side);
            let side = config["image_size"].as_u64().unwrap_or(1) as usize;
            let fits = |size: &usize| side.is_multiple_of(*size) && side / size <= PATCHES[0];
            add(config, "patch_size", (1..=side).find(fits).unwrap_or(1));
        }
        Variant::Series => {
            let (steps, channels) = match shape {
                Some(Shape::Series { steps, channels }) => (steps, channels),
                Some(Shape::Image { height, width }) => (height, width),
                Some(Shape::Columns(count)) => (count, 1),
                None => (1, 1),
            };
            add(config, "num_channels", channels);
            add(config, "context_length", steps);
            let steps = config["context_length"].as_u64().unwrap_or(1) as usize;
            let part = steps.div_ceil(PATCHES[1]).max(STEPS).min(steps);
            add(config, "patch_length", part);
        }
        Variant::Mlp => add(config, "input_size", shape.map_or(1, Shape::features)),
        Variant::Rnn | Variant::Lstm | Variant::Gru => {
            let inputs = match shape {
                Some(Shape::Series { channels, .. }) => channels,
                // An image is read row by row.
                Some(Shape::Image { width, .. }) => width,
                Some(Shape::Columns(_)) | None => 1,
            };
            add(config, "input_size", inputs);
        }
    }
    Ok(())
}

/// Refuses knobs that differ from the sizes of a model with weights.
///
/// # Errors
/// The first that does.
pub(crate) fn check(config: &Value, knobs: &RunConfig) -> Result<()> {
    for (name, value) in wanted(knobs) {
        let keys = if name == "patch_size" {
            ["patch_size", "patch_length"]
        } else {
            [name, name]
        };
        if keys.iter().all(|key| config[*key] != value) {
            let error = Error::config(msg::SizeIsGiven { value }).field(name);
            return Err(error.remedy(msg::TakeItOutOrStartSmall));
        }
    }
    Ok(())
}

/// The knobs that are given.
fn wanted(knobs: &RunConfig) -> Vec<(&'static str, Value)> {
    let number = |value: Option<usize>| value.map(Value::from);
    let all = [
        ("hidden_size", number(knobs.hidden_size)),
        ("num_hidden_layers", number(knobs.num_hidden_layers)),
        ("hidden_act", knobs.hidden_act.clone().map(Value::from)),
        ("hidden_dropout_prob", knobs.hidden_dropout_prob.map(Value::from)),
        ("patch_size", number(knobs.patch_size)),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The side of a square image.
fn side(shape: Shape) -> Result<usize> {
    let numbers = shape.features();
    let side = numbers.isqrt();
    let is_square = match shape {
        Shape::Image { height, width } => height == width,
        _ => side * side == numbers,
    };
    if is_square {
        return Ok(side);
    }
    let error = match shape {
        Shape::Image { height, width } => Error::data(msg::ImagesNotSquare { height, width }),
        _ => Error::data(msg::RowsNotSquare { numbers }),
    };
    Err(error.remedy(msg::TakeOtherSmall))
}

fn add(config: &mut Value, key: &str, value: usize) {
    if config[key].is_null() {
        config[key] = json!(value);
    }
}

fn add_text(config: &mut Value, key: &str, value: &str) {
    if config[key].is_null() {
        config[key] = json!(value);
    }
}
