//! Pictures of weights and of the functions that they make: an adapter's update, packed weights, a loss surface, units.

use super::{adapter_of, model_of, tiny_tensor, weights_of};
use lorakeet_core::{
    config::{FinetuningType, RunConfig, ScaleInputs, TargetModules},
    formats::ModelFiles,
    formats::peft::{key_a, key_b},
    protocol::{Command, DeviceChoice, Picture, PictureRequest},
    quant::{Block, Code, FourBit, Fp8, Fp8Matrix, Int8Rows, ScaleOf},
    random::Generator,
    store::{MemoryFile, Source},
};
use lorakeet_tests::{generated::Decoder, golden::block_on, test_session::TestSession, tiny};
use std::fmt::Write;

const MODULE: &str = "model.layers.1.mlp.up_proj";

#[test]
fn an_update_is_the_product_of_the_exported_matrices() {
    let mut session = TestSession::open();
    session.train(tiny::config());
    let adapter = adapter_of(&mut session);
    let (_, a) = adapter.tensor(&key_a(MODULE)).expect("A");
    let (_, b) = adapter.tensor(&key_b(MODULE)).expect("B");
    let scale = adapter.config.lora_alpha / 4.0;
    let (inputs, outputs) = (32, 64);
    let cell = |i: usize, j: usize| {
        let products = (0..4).map(|r| f64::from(b[i * 4 + r]) * f64::from(a[r * inputs + j]));
        scale * products.sum::<f64>()
    };
    let whole: Vec<f64> = (0..outputs * inputs).map(|k| cell(k / inputs, k % inputs)).collect();
    let root = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let near = |found: f64, wanted: f64| {
        assert!(
            (found - wanted).abs() < 1e-5 * wanted.abs().max(0.1),
            "{found} {wanted}"
        )
    };
    for cells in [128, 8] {
        let picture = session.picture(PictureRequest::LoraUpdate {
            module: "1.mlp.up_proj".to_owned(),
            cells,
        });
        let Picture::LoraUpdate {
            module,
            rows,
            columns,
            shape,
            rank,
            values,
            largest,
            norm,
            weight_norm,
        } = picture
        else {
            panic!("another picture: {picture:?}")
        };
        assert_eq!((module.as_str(), shape, rank), (MODULE, (outputs, inputs), 4));
        assert_eq!((rows, columns), (outputs.min(cells), inputs.min(cells)));
        near(largest, whole.iter().fold(0.0f64, |most, value| most.max(value.abs())));
        near(norm, root(&mut whole.iter().copied()));
        let weights = tiny_tensor(&format!("{MODULE}.weight"));
        near(
            weight_norm.expect("W is there"),
            root(&mut weights.iter().map(|&w| f64::from(w))),
        );
        let (high, wide) = (outputs / rows, inputs / columns);
        for (place, found) in values.iter().enumerate() {
            let (top, left) = (place / columns * high, place % columns * wide);
            let cells = (top..top + high).flat_map(|i| (left..left + wide).map(move |j| (i, j)));
            let mean = cells.map(|(i, j)| cell(i, j)).sum::<f64>() / (high * wide) as f64;
            assert!(
                (f64::from(*found) - mean).abs() < 1e-6,
                "{cells}: {place} is {found} instead of {mean}"
            );
        }
    }
}

#[test]
fn an_update_grows_from_nothing_while_the_run_goes_on() {
    let mut session = TestSession::open();
    let request = PictureRequest::LoraUpdate {
        module: MODULE.to_owned(),
        cells: 4,
    };
    session.train_watching(tiny::config(), vec![request]);
    let norms: Vec<f64> = session
        .watched()
        .iter()
        .map(|(_, picture)| match picture {
            Picture::LoraUpdate { norm, values, .. } => {
                assert_eq!(values.len(), 16);
                *norm
            }
            other => panic!("another picture: {other:?}"),
        })
        .collect();
    assert_eq!(norms[0], 0.0);
    assert!(norms.windows(2).all(|pair| pair[0] < pair[1]), "{norms:?}");
}

#[test]
fn the_update_of_an_embedding_has_tokens_for_inputs() {
    let mut session = TestSession::open();
    session.train(RunConfig {
        target_modules: TargetModules::Names(vec!["embed_tokens".into(), "q_proj".into()]),
        ..tiny::config()
    });
    let picture = session.picture(PictureRequest::LoraUpdate {
        module: "embed_tokens".to_owned(),
        cells: 128,
    });
    let Picture::LoraUpdate {
        shape,
        norm,
        weight_norm,
        ..
    } = picture
    else {
        panic!("another picture: {picture:?}")
    };
    assert_eq!(shape, (32, 40));
    assert!(norm > 0.0);
    let weights = tiny_tensor("model.embed_tokens.weight");
    let wanted = weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>().sqrt();
    assert!((weight_norm.expect("W is there") - wanted).abs() < 1e-4);
}

struct Packed {
    rows: usize,
    columns: usize,
    original: Vec<f32>,
    decoded: Vec<f32>,
    levels: Vec<f32>,
    error: f64,
    bytes: (u64, u64),
}

fn packed(session: &mut TestSession, module: &str, format: &str, cells: usize) -> Packed {
    let (module, format) = (module.to_owned(), format.to_owned());
    match session.picture(PictureRequest::PackedWeights { module, format, cells }) {
        Picture::PackedWeights {
            rows,
            columns,
            original,
            decoded,
            levels,
            root_mean_square_error,
            original_bytes,
            packed_bytes,
            ..
        } => Packed {
            rows,
            columns,
            original,
            decoded,
            levels,
            error: root_mean_square_error,
            bytes: (original_bytes, packed_bytes),
        },
        other => panic!("another picture: {other:?}"),
    }
}

/// The upper left corner of a matrix.
fn corner(all: &[f32], width: usize, (rows, columns): (usize, usize)) -> Vec<f32> {
    all.chunks(width)
        .take(rows)
        .flat_map(|row| &row[..columns])
        .copied()
        .collect()
}

fn root_mean_square(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
    (squares.sum::<f64>() / a.len() as f64).sqrt()
}

/// What a run in this format decodes a matrix of so many columns to.
fn decoded(all: &[f32], columns: usize, format: &str) -> Vec<f32> {
    let rows = all.len() / columns;
    let four_bit = |code| {
        let plain = FourBit::encode(all, code, Block::Of64).expect("finite");
        plain.with_double_absmax().expect("finite").decode()
    };
    let fp8 = |format| {
        Fp8Matrix::encode(all, rows, columns, format, ScaleOf::Row)
            .expect("finite")
            .decode()
    };
    match format {
        "nf4" => four_bit(Code::Nf4),
        "fp4" => four_bit(Code::Fp4),
        "int8" => Int8Rows::encode(all, rows, columns).expect("finite").decode(),
        "fp8_e4m3" => fp8(Fp8::E4M3),
        "fp8_e5m2" => fp8(Fp8::E5M2),
        other => panic!("no format: {other}"),
    }
}

const FORMATS: [&str; 5] = ["nf4", "fp4", "int8", "fp8_e4m3", "fp8_e5m2"];

#[test]
fn packed_weights_are_those_that_the_codecs_decode() {
    let weights = tiny_tensor(&format!("{MODULE}.weight"));
    let mut session = TestSession::open();
    let mut errors = Vec::new();
    for format in FORMATS {
        let found = packed(&mut session, MODULE, format, 16);
        assert_eq!((found.rows, found.columns), (16, 16));
        assert_eq!(found.original, corner(&weights, 32, (16, 16)), "{format}");
        let whole = decoded(&weights, 32, format);
        assert_eq!(found.decoded, corner(&whole, 32, (16, 16)), "{format}");
        assert!(
            (found.error - root_mean_square(&weights, &whole)).abs() < 1e-12,
            "{format}"
        );
        assert!(
            found.levels.is_sorted() && found.levels.contains(&found.decoded[0]),
            "{format}"
        );
        assert_eq!(found.bytes.0, 4 * 64 * 32, "32-bit floats");
        assert!(found.bytes.1 < found.bytes.0 / 2, "{format}: {:?}", found.bytes);
        errors.push(found.error);
    }
    let [nf4, _, int8, ..] = errors[..] else {
        panic!("five formats")
    };
    assert!(int8 < nf4 / 4.0, "{errors:?}");
    // More cells than the matrix has.
    let found = packed(&mut session, "k_proj", "int8", 128);
    assert_eq!((found.rows, found.columns), (16, 32));
}

#[test]
fn weights_that_the_run_packed_are_compared_with_those_of_their_file() {
    let weights = tiny_tensor(&format!("{MODULE}.weight"));
    let mut session = TestSession::open();
    let config = RunConfig {
        quantization_bit: Some(4),
        ..RunConfig::default()
    };
    let command = Command::LoadModel {
        files: Vec::new(),
        name: String::new(),
        config: Some(Box::new(config)),
    };
    session.ask(command, tiny::model_files());
    for format in ["nf4", "int8"] {
        let found = packed(&mut session, MODULE, format, 8);
        assert_eq!(found.original, corner(&weights, 32, (8, 8)), "{format}");
        assert!(found.error > 0.0, "{format}");
    }
}

#[test]
fn weights_that_lie_on_their_side_are_packed_as_the_base_packs_them() {
    let shape = Decoder {
        layers: 1,
        width: 32,
        inner: 64,
        heads: 4,
        kv_heads: 4,
        vocab: 40,
        positions: 32,
    };
    let files = block_on(ModelFiles::open(shape.gpt2())).expect("a model");
    let name = "h.0.mlp.c_fc.weight";
    let entry = files
        .entries()
        .iter()
        .find(|entry| entry.name.ends_with(name))
        .expect("a linear");
    let (sizes, lying) = block_on(files.read_f32(&entry.name)).expect("it is there");
    assert_eq!(sizes, [32, 64], "inputs × outputs");
    let turned: Vec<f32> = (0..64 * 32).map(|k| lying[k % 32 * 64 + k / 32]).collect();
    let mut session = TestSession::with(DeviceChoice::Cpu, shape.gpt2(), tiny::data_file());
    for format in FORMATS {
        let found = packed(&mut session, "c_fc", format, 32);
        assert_eq!(found.original, corner(&turned, 32, (32, 32)), "{format}");
        assert_eq!(
            found.decoded,
            corner(&decoded(&turned, 32, format), 32, (32, 32)),
            "{format}"
        );
    }
}

#[test]
fn weights_drawn_afresh_are_packed_as_they_lie_on_the_device() {
    let t5 = block_on(ModelFiles::open(tiny::t5_files())).expect("a model");
    let drawn = model_of(&t5, true);
    let name = "encoder.block.1.layer.0.SelfAttention.q";
    let weight = drawn
        .parameters
        .iter()
        .find(|one| one.name == format!("{name}.weight"))
        .expect("it is trained");
    let weight = block_on(lorakeet_core::models::read(weight.value.clone())).expect("the CPU answers");
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::t5_files(), tiny::data_file());
    let found = packed(&mut session, name, "nf4", 4);
    assert_eq!(found.original, corner(&weight, 32, (4, 4)));
}

/// 24 rows on a line with noise, far from the origin of both axes.
fn line() -> Source {
    let mut generator = Generator::new(8, "rows");
    let mut text = String::from("size,price\n");
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
        let said = lorakeet_tests::test_session::failure(&session).to_string();
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
    session.train_watching(perceptron(ScaleInputs::Columns), vec![request]);
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
    // A parabola above 10: high at both ends, low between.
    let [line] = &output[..] else { panic!("one output") };
    assert!(
        line[5] < 100.0 && line[0] > line[5] + 50.0 && line[10] > line[5] + 50.0,
        "{line:?}"
    );
    assert_ne!(watched[0].1, watched[watched.len() - 1].1);
}
