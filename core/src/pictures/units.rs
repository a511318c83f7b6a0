//! What each hidden unit of a small perceptron says over the line or plane of its inputs, and what the model answers there.

use super::places;
use crate::data::{Example, InputScaling};
use crate::error::{Error, Result};
use crate::loaded_model::LoadedModel;
use crate::models::{Leaves, Problem};
use crate::protocol::Picture;
use crate::tasks::collate;
use lorakeet_i18n::messages::pictures as msg;

/// Deviations from the mean that are drawn on both sides of it.
const DEVIATIONS: f64 = 2.5;
/// What is drawn beyond the data on both sides, as a share of their extent.
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
    // Of a model without hidden layers there is still the output to be seen.
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
    let mut output = model.row_logits(leaves, &batch).await?;
    match model.problem() {
        Some(Problem::SingleLabel) => softmax(&mut output),
        Some(Problem::MultiLabel) => output.iter_mut().flatten().for_each(|logit| {
            *logit = (1.0 / (1.0 + (-f64::from(*logit)).exp())) as f32;
        }),
        _ => {
            let targets = head.scaling();
            for (target, values) in output.iter_mut().enumerate() {
                for value in values {
                    *value = targets.unscaled(target, f64::from(*value)) as f32;
                }
            }
        }
    }
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

/// What is drawn of an input, in the data's own units: around the mean where it is scaled by that, else where the data lie.
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

/// Logits to probabilities, over the lists' numbers of each place.
fn softmax(outputs: &mut [Vec<f32>]) {
    let places = outputs.first().map_or(0, Vec::len);
    for place in 0..places {
        let logits = outputs.iter().map(|values| f64::from(values[place]));
        let largest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.map(|logit| (logit - largest).exp()).sum();
        for values in &mut *outputs {
            values[place] = ((f64::from(values[place]) - largest).exp() / sum) as f32;
        }
    }
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
    fn probabilities_of_a_place_add_up_to_1() {
        let mut outputs = vec![vec![0.0, 800.0], vec![0.0, 0.0], vec![f32::ln(2.0), -800.0]];
        softmax(&mut outputs);
        let near = |found: f32, wanted: f32| assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        near(outputs[2][0], 0.5);
        near(outputs[0][1], 1.0);
        near(outputs.iter().map(|values| values[0]).sum(), 1.0);
    }
}
