//! The activation of each hidden unit of a small MLP over the line or plane of its inputs, and the model's outputs there.

use super::places;
use crate::data::{Example, InputScaling, Scaling};
use crate::error::{Error, Result};
use crate::loaded_model::LoadedModel;
use crate::models::{Leaves, Problem};
use crate::protocol::Picture;
use crate::tasks::{collate, sigmoid, softmax};
use lorakeet_i18n::messages::pictures as msg;

/// Standard deviations that are drawn on both sides of the mean.
const DEVIATIONS: f64 = 2.5;
/// The margin that is drawn beyond the data on both sides, as a share of their range.
const MARGIN: f64 = 0.1;

pub(super) async fn draw(
    loaded: &LoadedModel,
    leaves: &Leaves,
    layer: usize,
    cells: usize,
    examples: &[Example],
) -> Result<Picture> {
    let model = &loaded.model;
    let (Some(layers), Some(inputs)) = (model.hidden_layers(), model.input_features()) else {
        let error = Error::model(msg::NotAPerceptron {
            model: &model.info.model_type,
        });
        return Err(error.remedy(msg::LoadPerceptron));
    };
    if inputs > 2 {
        return Err(Error::model(msg::TooManyInputs { inputs }).remedy(msg::ChooseTwoColumns));
    }
    // A model without hidden layers still has an output to draw.
    if layer >= layers.max(1) {
        let most = layers.saturating_sub(1);
        return Err(Error::config(msg::Beyond { got: layer, most }).field("layer"));
    }
    let head = loaded.current_head()?;
    let scaling = head.inputs();
    let x = range(&scaling, examples, 0);
    let y = (inputs == 2).then(|| range(&scaling, examples, 1));
    let rows = y.map_or(1, |_| cells);
    let mut grid: Vec<Example> = match y {
        None => places(x, cells).map(|x| row(&[x])).collect(),
        Some(y) => places(y, cells)
            .flat_map(|y| places(x, cells).map(move |x| row(&[x, y])))
            .collect(),
    };
    scaling.apply(&mut grid);
    let batch = collate(&grid.iter().collect::<Vec<_>>(), model);
    let units = model.units(leaves, &batch, layer).await?;
    let output = match model.row_logits(leaves, &batch).await? {
        Some((logits, labels)) => lists(&answers(&logits, labels, model.problem(), &head.scaling()), labels),
        None => Vec::new(),
    };
    let names = head.input_names();
    Ok(Picture::Units {
        layer,
        layers,
        inputs: match names.len() == inputs {
            true => names.to_vec(),
            false => (1..=inputs).map(|place| format!("x{place}")).collect(),
        },
        x,
        y,
        columns: cells,
        rows,
        units,
        output,
    })
}

fn row(numbers: &[f64]) -> Example {
    Example {
        features: numbers.iter().map(|&number| number as f32).collect(),
        ..Example::default()
    }
}

/// The range of an input that is drawn, in the data's own units: around the mean where the input is standardized, else the
/// range of the data with a margin.
fn range(scaling: &InputScaling, examples: &[Example], place: usize) -> (f64, f64) {
    if let InputScaling::Columns(pairs) = scaling
        && let Some((mean, deviation)) = pairs.get(place)
    {
        return (mean - DEVIATIONS * deviation, mean + DEVIATIONS * deviation);
    }
    let values = examples.iter().filter_map(|example| example.features.get(place));
    let values = values.map(|&value| f64::from(value)).filter(|value| value.is_finite());
    let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    if least > most {
        return (-1.0, 1.0);
    }
    let reach = match most > least {
        true => MARGIN * (most - least),
        false => 1.0,
    };
    (least - reach, most + reach)
}

/// The outputs of logits [n, L]: probabilities of classes or labels, else numbers in the targets' own units.
fn answers(logits: &[f32], labels: usize, problem: Option<Problem>, targets: &Scaling) -> Vec<f64> {
    match problem {
        Some(Problem::SingleLabel) => softmax(logits, labels),
        Some(Problem::MultiLabel) => logits.iter().map(|&logit| sigmoid(logit)).collect(),
        Some(Problem::Regression) | None => logits
            .iter()
            .enumerate()
            .map(|(place, &value)| targets.unscaled(place % labels, f64::from(value)))
            .collect(),
    }
}

/// A matrix [n, L] as L lists of n.
fn lists(values: &[f64], labels: usize) -> Vec<Vec<f32>> {
    let of_label = |label: usize| values.iter().skip(label).step_by(labels).map(|&value| value as f32);
    (0..labels).map(|label| of_label(label).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_drawn_where_its_data_lie() {
        let scaled = InputScaling::Columns(vec![(10.0, 2.0), (0.0, 1.0)]);
        assert_eq!(range(&scaled, &[], 0), (5.0, 15.0));
        let examples = [row(&[1.0, 7.0]), row(&[3.0, 7.0])];
        let (least, most) = range(&InputScaling::Plain, &examples, 0);
        assert!((least - 0.8).abs() < 1e-9 && (most - 3.2).abs() < 1e-9);
        assert_eq!(range(&InputScaling::Plain, &examples, 1), (6.0, 8.0));
        assert_eq!(range(&InputScaling::Plain, &[], 0), (-1.0, 1.0));
    }

    #[test]
    fn answers_are_probabilities_or_numbers_in_the_units_of_the_targets() {
        let logits = [0.0, f32::ln(3.0), 800.0, -800.0];
        let of = |problem, targets: &Scaling| lists(&answers(&logits, 2, problem, targets), 2);
        let near = |found: &[Vec<f32>], wanted: [[f32; 2]; 2]| {
            let pairs = found.iter().flatten().zip(wanted.iter().flatten());
            assert!(
                found.len() == 2 && found.iter().all(|list| list.len() == 2),
                "{found:?}"
            );
            pairs.for_each(|(found, wanted)| assert!((found - wanted).abs() < 1e-5, "{found} {wanted}"));
        };
        let plain = Scaling::default();
        near(&of(Some(Problem::SingleLabel), &plain), [[0.25, 1.0], [0.75, 0.0]]);
        near(&of(Some(Problem::MultiLabel), &plain), [[0.5, 1.0], [0.75, 0.0]]);
        let targets = Scaling(vec![(10.0, 2.0), (1.0, 0.5)]);
        let [low, high] = [f32::ln(3.0) * 0.5 + 1.0, 1610.0];
        near(&of(Some(Problem::Regression), &targets), [[10.0, high], [low, -399.0]]);
    }
}
