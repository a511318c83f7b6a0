//! Pictures of the functions that weights make: a loss surface with the optimizer's path, and the units of a perceptron.

use super::weights_of;
use lorakeet_core::{
    config::{FinetuningType, RunConfig, ScaleInputs},
    protocol::{DeviceChoice, Picture, PictureRequest},
    random::Generator,
    store::{MemoryFile, Source},
};
use lorakeet_tests::{
    golden::block_on,
    test_session::{TestSession, failure},
};
use std::fmt::Write;

/// 24 rows on a line with noise, far from the origin of both axes.
fn line() -> Source {
    let mut generator = Generator::new(8, "rows");
    let mut text = String::from("size,target\n");
    for _ in 0..24 {
        let x = generator.normal();
        let _ = writeln!(
            text,
            "{},{}",
            50.0 + 10.0 * x,
            300.0 + 70.0 * x + 20.0 * generator.normal()
        );
    }
    MemoryFile::source("line.csv", text.into_bytes())
}

/// A model of a slope and an intercept, all rows in each step.
fn two_weights() -> RunConfig {
    let text = "model: small_mlp\ntrain_file: rows\nbatch_size: 24\naccumulation_steps: 1\n";
    let resolved = RunConfig::parse(text, "run.yaml").expect("a run file");
    RunConfig {
        num_hidden_layers: Some(0),
        learning_rate: 0.1,
        val_size: 0.0,
        max_steps: 30,
        save_steps: 0.0,
        ..resolved.config
    }
}

struct Surface {
    names: (String, String),
    x: (f64, f64),
    y: (f64, f64),
    losses: Vec<f32>,
    path: Vec<(f64, f64, f64)>,
}

fn surface(picture: &Picture) -> Surface {
    match picture {
        Picture::LossSurface {
            names,
            x,
            y,
            losses,
            path,
            ..
        } => Surface {
            names: names.clone(),
            x: *x,
            y: *y,
            losses: losses.clone(),
            path: path.clone(),
        },
        other => panic!("another picture: {other:?}"),
    }
}

#[test]
fn a_loss_surface_is_the_run_s_own_loss_and_the_path_ends_at_the_trained_weights() {
    const CELLS: usize = 9;
    let mut session = TestSession::small("small_mlp", vec![line()]);
    session.train_watching(two_weights(), vec![PictureRequest::LossSurface { cells: CELLS }]);
    let steps = session.steps();
    assert_eq!(steps.len(), 30, "{:?}", session.events.last());
    let watched = session.watched();
    assert_eq!(
        watched.iter().map(|(step, _)| *step).collect::<Vec<_>>(),
        [0, 30],
        "at both ends only"
    );
    let (first, last) = (surface(&watched[0].1), surface(&watched[1].1));
    assert_eq!(first.path.len(), 1);
    assert_eq!(last.path.len(), 31);
    assert_eq!(first.path[0], last.path[0]);
    assert_eq!(
        last.names,
        ("classifier.weight".to_owned(), "classifier.bias".to_owned())
    );
    // A step reports the loss in front of it.
    for (place, step) in last.path.iter().zip(&steps) {
        assert!(
            (place.2 - step.loss).abs() < 1e-5 * step.loss.max(0.1),
            "{place:?} {step:?}"
        );
    }
    assert!(last.path[30].2 < last.path[0].2 / 2.0, "it went downhill");

    let weights = weights_of(&mut session);
    let of = |name: &str| f64::from(weights[name][0]);
    let (slope, intercept) = (of("classifier.weight"), of("classifier.bias"));
    assert_eq!((last.path[30].0, last.path[30].1), (slope, intercept));

    // The rows as the model reads them: each column by its mean and deviation.
    let text = block_on(line().read_at(0, line().len_bytes() as usize)).expect("its bytes");
    let rows: Vec<Vec<f64>> = String::from_utf8(text)
        .expect("text")
        .lines()
        .skip(1)
        .map(|line| {
            line.split(',')
                .map(|number| number.parse().expect("a number"))
                .collect()
        })
        .collect();
    let scaled = |column: usize| -> Vec<f64> {
        let count = rows.len() as f64;
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / count;
        let deviation = (rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / count).sqrt();
        rows.iter().map(|row| (row[column] - mean) / deviation).collect()
    };
    let (x, y) = (scaled(0), scaled(1));
    let loss = |slope: f64, intercept: f64| {
        let squares = x.iter().zip(&y).map(|(x, y)| (slope * x + intercept - y).powi(2));
        squares.sum::<f64>() / x.len() as f64
    };
    assert_eq!(last.losses.len(), CELLS * CELLS);
    for (place, found) in last.losses.iter().enumerate() {
        let along = |(first, end): (f64, f64), at: usize| first + (end - first) * at as f64 / (CELLS - 1) as f64;
        let wanted = loss(along(last.x, place % CELLS), along(last.y, place / CELLS));
        assert!(
            (f64::from(*found) - wanted).abs() < 1e-4 * wanted.max(0.1),
            "{place}: {found} instead of {wanted}"
        );
    }
    for place in &last.path {
        assert!(last.x.0 < place.0 && place.0 < last.x.1, "the plane covers the path");
        assert!(last.y.0 < place.1 && place.1 < last.y.1);
    }
}

#[test]
fn a_perceptron_without_hidden_layers_learns_a_line_and_answers_the_same_when_it_is_read_again() {
    let mut session = TestSession::small("small_mlp", vec![line()]);
    let config = RunConfig {
        max_steps: 200,
        ..two_weights()
    };
    session.train(config.clone());
    let weights = weights_of(&mut session);
    assert_eq!(weights.len(), 2, "{:?}", weights.keys());
    // r = 0.96 or so of scaled columns.
    let slope = weights["classifier.weight"][0];
    assert!((0.8..1.0).contains(&slope), "{slope}");
    let files = super::exported(&mut session);
    let mut other = TestSession::with(DeviceChoice::Cpu, files, line());
    let score = |session: &mut TestSession| {
        block_on(session.inner.evaluate(&config, &mut |_, _| ()))
            .expect("a score")
            .loss
    };
    assert_eq!(score(&mut other), score(&mut session));
}

#[test]
fn other_networks_need_a_layer() {
    for model in ["small_vit", "small_series", "small_lstm"] {
        let mut session = TestSession::small(model, vec![line()]);
        let text = format!("model: {model}\ntrain_file: rows\n");
        let config = RunConfig {
            num_hidden_layers: Some(0),
            max_steps: 1,
            ..RunConfig::parse(&text, "run.yaml").expect("a run file").config
        };
        session.train(config);
        let said = failure(&session).to_string();
        assert!(said.contains("num_hidden_layers"), "{model}: {said}");
    }
}

/// Two numbers whose class is whether both are on one side of 10 and −2.
fn corners(labels: bool) -> Source {
    let mut generator = Generator::new(3, "rows");
    let mut text = String::from(if labels {
        "height,width,kind\n"
    } else {
        "height,target\n"
    });
    for _ in 0..60 {
        let (a, b) = (generator.normal(), generator.normal());
        let kind = if a * b > 0.0 { "same" } else { "other" };
        let _ = match labels {
            true => writeln!(text, "{},{},{kind}", 10.0 + 3.0 * a, b - 2.0),
            false => writeln!(text, "{},{}", 10.0 + 3.0 * a, 100.0 * a * a),
        };
    }
    MemoryFile::source("corners.csv", text.into_bytes())
}

fn perceptron(scaling: ScaleInputs) -> RunConfig {
    let text = "model: small_mlp\ntrain_file: rows\nbatch_size: 20\naccumulation_steps: 1\n";
    RunConfig {
        hidden_size: Some(6),
        num_hidden_layers: Some(2),
        hidden_act: Some("tanh".to_owned()),
        hidden_dropout_prob: Some(0.2),
        finetuning_type: FinetuningType::Full,
        scale_inputs: Some(scaling),
        learning_rate: 2e-2,
        max_steps: 40,
        save_steps: 0.0,
        ..RunConfig::parse(text, "run.yaml").expect("a run file").config
    }
}

/// act(W·x + b), or without the activation.
fn layer(x: &[f64], weights: &[f32], bias: &[f32], is_hidden: bool) -> Vec<f64> {
    let rows = weights.chunks(x.len()).zip(bias);
    rows.map(|(w, bias)| {
        let sum = f64::from(*bias) + w.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
        if is_hidden { sum.tanh() } else { sum }
    })
    .collect()
}

#[test]
fn units_over_the_plane_are_the_layers_computed_plainly() {
    const CELLS: usize = 5;
    let mut session = TestSession::small("small_mlp", vec![corners(true)]);
    session.train(perceptron(ScaleInputs::None));
    let weights = weights_of(&mut session);
    let through = |name: &str, x: &[f64], is_hidden: bool| {
        layer(
            x,
            &weights[&format!("{name}.weight")],
            &weights[&format!("{name}.bias")],
            is_hidden,
        )
    };
    for asked in [0, 1] {
        let picture = session.picture(PictureRequest::Units {
            layer: asked,
            cells: CELLS,
        });
        let Picture::Units {
            layers,
            inputs,
            x,
            y: Some(y),
            columns,
            rows,
            units,
            output,
            ..
        } = picture
        else {
            panic!("another picture: {picture:?}")
        };
        assert_eq!((layers, rows, columns), (2, CELLS, CELLS));
        assert_eq!(inputs, ["height", "width"]);
        assert_eq!((units.len(), output.len()), (6, 2));
        // Where the data lie, for nothing scales them.
        assert!((0.0..6.0).contains(&x.0) && (14.0..20.0).contains(&x.1), "{x:?}");
        assert!((-6.0..-3.0).contains(&y.0) && (-1.0..2.0).contains(&y.1), "{y:?}");
        for place in 0..CELLS * CELLS {
            let along = |(first, last): (f64, f64), at: usize| first + (last - first) * at as f64 / (CELLS - 1) as f64;
            let point = [along(x, place % CELLS), along(y, place / CELLS)];
            let first = through("layers.0", &point, true);
            let second = through("layers.1", &first, true);
            let logits = through("classifier", &second, false);
            for (unit, wanted) in [first, second][asked].iter().enumerate() {
                let found = f64::from(units[unit][place]);
                assert!(
                    (found - wanted).abs() < 1e-5,
                    "unit {unit} at {point:?}: {found} instead of {wanted}"
                );
            }
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            for (class, logit) in logits.iter().enumerate() {
                let found = f64::from(output[class][place]);
                assert!((found - logit.exp() / sum).abs() < 1e-5, "class {class} at {point:?}");
            }
        }
    }
}

#[test]
fn one_input_is_drawn_over_a_line_and_a_number_in_its_own_unit() {
    let mut session = TestSession::small("small_mlp", vec![corners(false)]);
    let request = PictureRequest::Units { layer: 0, cells: 11 };
    let config = RunConfig {
        max_steps: 300,
        ..perceptron(ScaleInputs::Columns)
    };
    session.train_watching(config, vec![request]);
    let watched = session.watched();
    assert!(watched.len() > 2, "{:?}", session.events.last());
    let Picture::Units {
        inputs,
        x,
        y,
        columns,
        rows,
        units,
        output,
        ..
    } = &watched.last().expect("the last").1
    else {
        panic!("another picture")
    };
    assert_eq!(
        (inputs.as_slice(), y, *columns, *rows),
        (&["height".to_owned()][..], &None, 11, 1)
    );
    assert!(units.iter().all(|unit| unit.len() == 11));
    // Around the mean of 10 with a deviation of 3.
    assert!((0.0..5.0).contains(&x.0) && (15.0..20.0).contains(&x.1), "{x:?}");
    // A parabola around 10: high at both ends, low between; hundreds, not the units that the model reads.
    let [line] = &output[..] else { panic!("one output") };
    assert!(
        line[5] < 100.0 && line[0] > line[5] + 50.0 && line[10] > line[5] + 50.0,
        "{line:?}"
    );
    assert_ne!(watched[0].1, watched[watched.len() - 1].1);
}
