//! How far every adapter has moved the weights that it is on: ‖ΔW‖ / ‖W‖ with ΔW = s·B·A, by layer and module.
//!
//! No \[out, in\] matrix is made: ‖B·A‖² is the sum of (BᵀB) ⊙ (AAᵀ). With DoRA this is the low-rank part alone, without the
//! magnitudes. Of a run there is ‖g‖ beside it, the norm of the gradients of A and B together, before clipping, of the last step
//! after which the picture was due.

use super::Scene;
use crate::error::{Error, Result};
use crate::loaded_model::LoadedModel;
use crate::protocol::Picture;
use lorakeet_i18n::messages::pictures as msg;

/// Modules whose matrices are read together and are on the host at a time.
const TOGETHER: usize = 16;

pub(super) async fn draw(loaded: &LoadedModel, scene: &Scene<'_>) -> Result<Picture> {
    let model = &loaded.model;
    let paths = model.adapted_paths();
    if paths.is_empty() {
        return Err(Error::config(msg::NoAdapterToDraw).remedy(msg::TrainLora));
    }
    let mut shares = Vec::with_capacity(paths.len());
    for some in paths.chunks(TOGETHER) {
        let found = model.adapters_on(some).await?;
        shares.extend(found.iter().map(|(update, squares)| update.norm() / squares.sqrt()));
    }
    let norms = scene.run.and_then(|run| run.gradients);
    let gradients = norms.map(|(step, norms)| (*step, model.adapter_gradients(norms)));
    Ok(by_layer(&paths, &shares, gradients))
}

/// The shares of modules, and the norms of their gradients with the step that they are of, in rows of layers and columns of modules,
/// both in the order in which they first come.
fn by_layer(paths: &[&str], shares: &[f64], gradients: Option<(usize, Vec<f64>)>) -> Picture {
    let parts: Vec<(&str, &str)> = paths.iter().map(|path| divided(path)).collect();
    let layers = unlike(parts.iter().map(|(layer, _)| *layer));
    let modules = unlike(parts.iter().map(|(_, module)| *module));
    let placed = |numbers: &[f64]| {
        let mut cells = vec![f32::NAN; layers.len() * modules.len()];
        for ((layer, module), number) in parts.iter().zip(numbers) {
            let row = layers.iter().position(|name| name == layer);
            let column = modules.iter().position(|name| name == module);
            if let (Some(row), Some(column)) = (row, column) {
                cells[row * modules.len() + column] = *number as f32;
            }
        }
        cells
    };
    // `layers.0` of `model.layers.0`, unless an encoder and a decoder both have one.
    let short: Vec<&str> = layers.iter().map(|layer| last_two(layer)).collect();
    let names = match unlike(short.iter().copied()).len() == layers.len() {
        true => &short,
        false => &layers,
    };
    Picture::LayerUpdates {
        layers: names.iter().map(|&name| name.to_owned()).collect(),
        modules: modules.iter().map(|&name| name.to_owned()).collect(),
        shares: placed(shares),
        gradients: gradients.as_ref().map(|(_, norms)| placed(norms)).unwrap_or_default(),
        gradient_step: gradients.map(|(step, _)| step),
    }
}

/// A module's path behind its first number, which is that of its layer; a path without one is outside of the layers.
fn divided(path: &str) -> (&str, &str) {
    let mut end = 0;
    for part in path.split('.') {
        let start = end;
        end += part.len();
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            return match path.get(end + 1..) {
                Some(module) => (&path[..end], module),
                // The layer is the module: what it is called stands in front of its number.
                None => (path, path[..start].trim_end_matches('.')),
            };
        }
        end += 1;
    }
    ("", path)
}

/// The last two parts of a path.
fn last_two(path: &str) -> &str {
    path.rmatch_indices('.')
        .nth(1)
        .map_or(path, |(dot, _)| &path[dot + 1..])
}

/// Each name once.
fn unlike<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_divided_behind_the_number_of_its_layer() {
        assert_eq!(
            divided("model.layers.11.self_attn.q_proj"),
            ("model.layers.11", "self_attn.q_proj")
        );
        assert_eq!(divided("h.0.attn.c_attn"), ("h.0", "attn.c_attn"));
        assert_eq!(
            divided("decoder.block.2.layer.0.SelfAttention.q"),
            ("decoder.block.2", "layer.0.SelfAttention.q")
        );
        assert_eq!(divided("layers.1"), ("layers.1", "layers"));
        assert_eq!(divided("model.embed_tokens"), ("", "model.embed_tokens"));
    }

    #[test]
    fn modules_that_a_layer_lacks_are_no_numbers_and_layers_of_two_stacks_keep_their_names() {
        let paths = ["encoder.block.0.q", "encoder.block.0.v", "decoder.block.0.q", "shared"];
        let Picture::LayerUpdates {
            layers,
            modules,
            shares,
            gradients,
            gradient_step,
        } = by_layer(&paths, &[0.5, 0.25, 2.0, 1.0], Some((7, vec![1.0, 2.0, 3.0, 4.0])))
        else {
            panic!("another picture")
        };
        assert_eq!(layers, ["encoder.block.0", "decoder.block.0", ""]);
        assert_eq!(modules, ["q", "v", "shared"]);
        let told: Vec<Option<f32>> = shares.iter().map(|share| share.is_finite().then_some(*share)).collect();
        let wanted = [
            [Some(0.5), Some(0.25), None],
            [Some(2.0), None, None],
            [None, None, Some(1.0)],
        ];
        assert_eq!(told, wanted.concat());
        assert_eq!(
            (gradients[0], gradients[3], gradients[8], gradient_step),
            (1.0, 3.0, 4.0, Some(7))
        );
    }
}
