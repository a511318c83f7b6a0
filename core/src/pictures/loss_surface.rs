//! The loss of a model with two trained weights over the plane of both, and the optimizer's path on it.
//!
//! The loss is the run's own: its mean over all training rows, without dropout. The plane covers the path with a margin. The
//! path of a run that is resumed from a checkpoint begins at the checkpoint.

use super::{Run, Scene, leaves_at, places};
use crate::data::{Batch, Example};
use crate::error::{Error, Result};
use crate::loaded_model::LoadedModel;
use crate::models::{Model, read};
use crate::protocol::Picture;
use crate::tasks::collate;
use burn::tensor::Tensor;
use lorakeet_i18n::messages::pictures as msg;

/// Points of a path that are drawn at most. Of a longer path every second point is drawn, or every third and so on.
const MOST_PLACES: usize = 4096;
/// Rows that go through the model at a time.
const ROWS: usize = 4096;
/// Losses that are read back at a time.
const READ: usize = 256;
/// The least distance from the middle of the path to the plane's border, and its least ratio to half of the path's extent.
const LEAST_REACH: f64 = 1.0;
const MARGIN: f64 = 1.5;

/// The two weights of a run at its start and after each step; empty of runs with more weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct OptimizerPath(Vec<[f32; 2]>);

impl OptimizerPath {
    /// Adds their values as they are now; does nothing in runs with more weights.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn add(&mut self, model: &Model) -> Result<()> {
        if model.parameters.weights() == 2 {
            let values = model.parameters.iter().map(|parameter| parameter.value.clone());
            if let [x, y] = read(Tensor::cat(values.collect(), 0)).await?[..] {
                self.0.push([x, y]);
            }
        }
        Ok(())
    }

    /// The points that are drawn, including the last one.
    fn shown(&self) -> Vec<[f32; 2]> {
        let step = self.0.len().div_ceil(MOST_PLACES).max(1);
        let mut shown: Vec<[f32; 2]> = self.0.iter().copied().step_by(step).collect();
        if let Some(last) = self.0.last().filter(|_| self.0.len() % step != 1 && step > 1) {
            shown.push(*last);
        }
        shown
    }
}

pub(super) async fn draw(loaded: &LoadedModel, scene: &Scene<'_>, cells: usize) -> Result<Picture> {
    let Some(run) = scene.run else {
        return Err(Error::config(msg::SurfaceOfRunOnly).remedy(msg::WatchIt));
    };
    let weights = loaded.model.parameters.weights();
    let path = run.path.shown();
    if weights != 2 || path.is_empty() {
        return Err(Error::config(msg::NotTwoParameters { weights }).remedy(msg::TrainTwoWeights));
    }
    let along = |side: usize| range(path.iter().map(|place| f64::from(place[side])));
    let (Some(x), Some(y)) = (along(0), along(1)) else {
        return Err(Error::model(msg::WeightsNotFinite));
    };
    let columns = places(x, cells);
    let plane = places(y, cells).flat_map(|y| columns.clone().map(move |x| [x as f32, y as f32]));
    let all: Vec<[f32; 2]> = plane.chain(path.iter().copied()).collect();
    let mut losses = losses(loaded, run, scene, &all).await?;
    let of_path = losses.split_off(cells * cells);
    let place = |([x, y], loss): (&[f32; 2], f32)| (f64::from(*x), f64::from(*y), f64::from(loss));
    Ok(Picture::LossSurface {
        names: names(&loaded.model),
        x,
        y,
        columns: cells,
        rows: cells,
        losses,
        path: path.iter().zip(of_path).map(place).collect(),
    })
}

/// The names of the two weights.
fn names(model: &Model) -> (String, String) {
    let of = |parameter: &crate::models::Parameter| match parameter.shape.iter().product::<usize>() {
        1 => vec![parameter.name.clone()],
        count => (0..count).map(|place| format!("{}[{place}]", parameter.name)).collect(),
    };
    let mut names = model.parameters.iter().flat_map(of);
    (names.next().unwrap_or_default(), names.next().unwrap_or_default())
}

/// The range of one side of the plane; `None` where a value is not finite.
fn range(values: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    if !values.clone().all(f64::is_finite) {
        return None;
    }
    let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    let middle = f64::midpoint(least, most);
    let reach = ((most - least) / 2.0 * MARGIN).max(LEAST_REACH);
    Some((middle - reach, middle + reach))
}

/// The mean loss over the run's rows with the two weights at each of `points`.
async fn losses(loaded: &LoadedModel, run: Run<'_>, scene: &Scene<'_>, points: &[[f32; 2]]) -> Result<Vec<f32>> {
    let model = &loaded.model;
    let of_rows = |rows: &[Example]| collate(&rows.iter().collect::<Vec<_>>(), model);
    let batches: Vec<Batch> = run.train.chunks(ROWS).map(of_rows).collect();
    let counts = run.objective.total(model, &batches)?;
    let lengths: Vec<usize> = model.parameters.iter().map(|one| one.shape.iter().product()).collect();
    let mut losses = Vec::with_capacity(points.len());
    for some in points.chunks(READ) {
        let mut found = Vec::with_capacity(some.len());
        for point in some {
            let mut rest = point.as_slice();
            let values = lengths.iter().map(|length| {
                let (own, behind) = rest.split_at(*length);
                rest = behind;
                own.to_vec()
            });
            let leaves = leaves_at(loaded, values.collect());
            let mut sum = Tensor::zeros([1], model.device());
            for batch in &batches {
                sum = sum + run.objective.loss(model, &leaves, batch, &counts, None)?;
            }
            found.push(sum);
        }
        losses.extend(read(Tensor::cat(found, 0)).await?);
        (scene.host.yield_now)().await;
    }
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_keeps_its_first_and_its_last_place() {
        for steps in [1, 2, MOST_PLACES, MOST_PLACES + 1, 3 * MOST_PLACES, 3 * MOST_PLACES + 1] {
            let path = OptimizerPath((0..steps).map(|step| [step as f32, 0.0]).collect());
            let shown = path.shown();
            assert!(shown.len() <= MOST_PLACES + 1, "{steps}");
            assert_eq!(shown[0][0], 0.0);
            assert_eq!(shown[shown.len() - 1][0], (steps - 1) as f32, "{steps}");
            assert!(
                shown.windows(2).all(|pair| pair[0][0] < pair[1][0]),
                "{steps}: each once"
            );
            assert!(
                steps > MOST_PLACES || shown.len() == steps,
                "{steps}: a short one is whole"
            );
        }
    }

    #[test]
    fn a_plane_covers_the_path_with_a_margin() {
        assert_eq!(range([2.0].into_iter()), Some((1.0, 3.0)));
        assert_eq!(range([0.0, 8.0, 3.0].into_iter()), Some((-2.0, 10.0)));
        assert_eq!(range([0.0, f64::NAN].into_iter()), None);
    }
}
