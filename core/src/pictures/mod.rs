//! Pictures of a model as plain numbers that a front end draws: one file a picture; [`draw`] dispatches.
//!
//! A picture is computed from the model as it is, between two steps of a run or outside of one, and does not change the run:
//! its weights, random numbers and losses stay the same. Colours, axes and words are the front end's.

mod attention;
mod layer_updates;
mod lora_update;
mod loss_surface;
mod packed_weights;
mod tokens;
mod units;

pub(crate) use loss_surface::OptimizerPath;

use crate::data::{self, Example};
use crate::device;
use crate::did_you_mean::nearest;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::loaded_model::LoadedModel;
use crate::loss::IGNORE_INDEX;
use crate::models::Leaves;
use crate::protocol::{Picture, PictureRequest};
use crate::tasks::Objective;
use crate::tokenizer::Tokenizer;
use burn::tensor::{Tensor, TensorData};
use lorakeet_i18n::Field;
use lorakeet_i18n::messages::{common, pictures as msg};

/// Rows and columns of a picture at most.
const MOST_CELLS: usize = 128;
/// Tokens of a text at most, whatever the model's limit: attention weights are T² numbers.
const MOST_TOKENS: usize = 256;
/// Names of modules that an error lists at most.
const LISTED: usize = 12;

/// The inputs of pictures besides the model.
pub(crate) struct Scene<'a> {
    /// Rows whose range is drawn where the inputs are not scaled; empty where no fitting data are loaded.
    pub(crate) examples: &'a [Example],
    /// The current run.
    pub(crate) run: Option<Run<'a>>,
    pub(crate) host: Host,
}

/// The current run.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) objective: &'a Objective,
    pub(crate) train: &'a [Example],
    pub(crate) path: &'a OptimizerPath,
    /// ‖g‖ of each parameter in the step with this number, where a picture of them was asked for before it.
    pub(crate) gradients: Option<&'a (usize, Vec<f64>)>,
}

/// Computes a picture of `loaded`.
///
/// # Errors
/// A request that does not fit the model, with the field and its valid values; the device failed.
pub(crate) async fn draw(request: &PictureRequest, loaded: &LoadedModel, scene: &Scene<'_>) -> Result<Picture> {
    let leaves = &loaded.model.parameters.plain();
    let drawn = match request {
        PictureRequest::Tokens { text } => tokens::draw(loaded, leaves, text).await,
        PictureRequest::LoraUpdate { module, cells } => lora_update::draw(loaded, module, checked(*cells)?).await,
        PictureRequest::Attention { text, layer, head } => attention::draw(loaded, leaves, text, *layer, *head).await,
        PictureRequest::LossSurface { cells } => loss_surface::draw(loaded, scene, checked(*cells)?).await,
        PictureRequest::PackedWeights { module, format, cells } => {
            packed_weights::draw(loaded, leaves, (module, format), checked(*cells)?, scene.host).await
        }
        PictureRequest::Units { layer, cells } => {
            units::draw(loaded, leaves, *layer, checked(*cells)?, scene.examples).await
        }
        PictureRequest::LayerUpdates {} => layer_updates::draw(loaded, scene).await,
    };
    device::trim(loaded.model.device());
    drawn
}

/// `cells`, where it is from 1 to [`MOST_CELLS`].
fn checked(cells: usize) -> Result<usize> {
    match (1..=MOST_CELLS).contains(&cells) {
        true => Ok(cells),
        false => {
            let what = common::NotFromOneTo {
                most: MOST_CELLS,
                got: cells,
            };
            Err(Error::config(what).field("cells"))
        }
    }
}

/// The tokens of a text with the model's special tokens. Each has a row in the embedding and a position.
fn tokens_of(text: &str, loaded: &LoadedModel) -> Result<Vec<u32>> {
    let (tokenizer, limits) = (loaded.tokenizer()?, loaded.model.limits());
    if text.trim().is_empty() {
        return Err(Error::config(msg::NoTokens).field("text").remedy(msg::WriteText));
    }
    let ids = tokenizer.encode(text, true)?;
    if ids.is_empty() {
        return Err(Error::config(msg::NoTokens).field("text").remedy(msg::WriteText));
    }
    let (tokens, most) = (ids.len(), limits.tokens.min(MOST_TOKENS));
    if tokens > most {
        let error = Error::config(msg::TooManyTokens { tokens, most }).field("text");
        return Err(error.remedy(msg::ShortenText));
    }
    limits.check_tokens(&ids, tokenizer)?;
    Ok(ids)
}

/// The text of each token; joined they are the text.
fn texts_of(ids: &[u32], tokenizer: &Tokenizer) -> Result<Vec<String>> {
    let example = Example {
        input_ids: ids.to_vec(),
        labels: vec![IGNORE_INDEX; ids.len()],
        ..Example::default()
    };
    let shown = data::preview(&example, tokenizer)?;
    Ok(shown.tokens.into_iter().map(|(text, _)| text).collect())
}

/// The one of `paths` that `written` names: a whole path, or else the first that ends in a dot and `written`.
fn find_module<'p>(written: &str, paths: &[&'p str]) -> Result<&'p str> {
    let first = |is: &dyn Fn(&str) -> bool| paths.iter().copied().find(|path| is(path));
    let ends_so = |path: &str| path.strip_suffix(written).is_some_and(|before| before.ends_with('.'));
    let found = first(&|path| path == written).or_else(|| first(&ends_so).filter(|_| !written.is_empty()));
    if let Some(path) = found {
        return Ok(path);
    }
    let module = format!("{written:?}");
    let error = Error::config(msg::UnknownModule { module }).field("module");
    let ends = paths.iter().map(|path| path.rsplit('.').next().unwrap_or(path));
    if let Some(name) = nearest(written, paths.iter().copied().chain(ends)) {
        return Err(error.remedy(common::DidYouMean { name }));
    }
    let names = Field::first(LISTED, paths.iter());
    Err(error.remedy(msg::ModulesAre { names }))
}

/// `count` evenly spaced points from `first` to `last`; a single one is in the middle.
fn places((first, last): (f64, f64), count: usize) -> impl Iterator<Item = f64> + Clone {
    let step = (last - first) / count.saturating_sub(1).max(1) as f64;
    let start = if count == 1 { (first + last) / 2.0 } else { first };
    (0..count).map(move |place| match place + 1 == count && count > 1 {
        // Exactly, without rounding.
        true => last,
        false => start + step * place as f64,
    })
}

/// Leaves with `values` in place of the trained weights.
fn leaves_at(loaded: &LoadedModel, values: Vec<Vec<f32>>) -> Leaves {
    let device = loaded.model.device();
    let tensor = |values: Vec<f32>| {
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), device)
    };
    loaded.model.parameters.at(values.into_iter().map(tensor).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_found_by_its_path_or_its_end_and_a_slip_names_the_nearest() {
        let paths = [
            "model.layers.0.q_proj",
            "model.layers.1.q_proj",
            "model.layers.0.v_proj",
        ];
        assert_eq!(find_module("model.layers.1.q_proj", &paths).unwrap(), paths[1]);
        assert_eq!(find_module("q_proj", &paths).unwrap(), paths[0]);
        assert_eq!(find_module("1.q_proj", &paths).unwrap(), paths[1]);
        let refused = |written: &str| find_module(written, &paths).unwrap_err().to_string();
        assert!(
            refused("qproj").ends_with("Did you mean q_proj?"),
            "{}",
            refused("qproj")
        );
        for written in ["", "proj", "embed_tokens"] {
            let said = refused(written);
            assert!(said.contains("module") && said.contains(paths[2]), "{said}");
        }
        let many: Vec<String> = (0..20).map(|layer| format!("layers.{layer}.dense")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let said = find_module("attention.output", &many).unwrap_err().to_string();
        assert!(said.contains("layers.11.dense and 8 more"), "{said}");
    }

    #[test]
    fn places_begin_and_end_where_the_axis_does() {
        assert_eq!(places((-1.0, 2.0), 4).collect::<Vec<_>>(), [-1.0, 0.0, 1.0, 2.0]);
        assert_eq!(places((-1.0, 2.0), 1).collect::<Vec<_>>(), [0.5]);
        assert_eq!(places((0.1, 0.7), 4).last(), Some(0.7));
    }

    #[test]
    fn a_picture_has_from_1_to_128_cells_a_side() {
        assert_eq!(checked(1), Ok(1));
        assert_eq!(checked(128), Ok(128));
        for cells in [0, 129, usize::MAX] {
            let said = checked(cells).unwrap_err().to_string();
            assert_eq!(said, format!("cells: must be from 1 to 128, got {cells}."));
        }
    }
}
