//! Pictures of weights: an adapter's update, and what remains of a matrix in fewer bits.

use super::{adapter_of, model_of, tiny_tensor};
use lorakeet_core::{
    config::{RunConfig, TargetModules},
    formats::ModelFiles,
    formats::peft::{key_a, key_b},
    protocol::{Command, DeviceChoice, Picture, PictureRequest},
    quant::{Block, Code, FourBit, Fp8, Fp8Matrix, Int8Rows, ScaleOf},
};
use lorakeet_tests::{generated::Decoder, golden::block_on, test_session::TestSession, tiny};

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
        near(weight_norm, root(&mut weights.iter().map(|&w| f64::from(w))));
        let (high, wide) = (outputs / rows, inputs / columns);
        for (place, found) in values.iter().enumerate() {
            let (top, left) = (place / columns * high, place % columns * wide);
            let block = (top..top + high).flat_map(|i| (left..left + wide).map(move |j| (i, j)));
            let mean = block.map(|(i, j)| cell(i, j)).sum::<f64>() / (high * wide) as f64;
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
fn the_update_of_every_module_is_that_of_the_dense_product() {
    let mut session = TestSession::open();
    session.train(RunConfig {
        target_modules: TargetModules::Names(vec!["q_proj".into(), "up_proj".into(), "embed_tokens".into()]),
        ..tiny::config()
    });
    let adapter = adapter_of(&mut session);
    let scale = adapter.config.lora_alpha / 4.0;
    // ‖ΔW‖ / ‖W‖, by making ΔW.
    let share = |module: &str| {
        let (a_shape, a) = adapter.tensor(&key_a(module)).expect("A");
        let (b_shape, b) = adapter.tensor(&key_b(module)).expect("B");
        let (rank, inputs, outputs) = (a_shape[0], a_shape[1], b_shape[0]);
        let cell = |i: usize, j: usize| {
            let products = (0..rank).map(|r| f64::from(b[i * rank + r]) * f64::from(a[r * inputs + j]));
            scale * products.sum::<f64>()
        };
        let update: f64 = (0..outputs * inputs)
            .map(|k| cell(k / inputs, k % inputs).powi(2))
            .sum();
        let weights = tiny_tensor(&format!("{module}.weight"));
        (update / weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>()).sqrt()
    };
    let drawn = |session: &mut TestSession| match session.picture(PictureRequest::LayerUpdates {}) {
        Picture::LayerUpdates {
            layers,
            modules,
            shares,
            ..
        } => (layers, modules, shares),
        other => panic!("another picture: {other:?}"),
    };
    let (layers, modules, shares) = drawn(&mut session);
    assert_eq!(layers, ["layers.0", "layers.1", ""]);
    assert_eq!(modules, ["self_attn.q_proj", "mlp.up_proj", "model.embed_tokens"]);
    for (place, found) in shares.iter().enumerate() {
        let (layer, module) = (&layers[place / modules.len()], &modules[place % modules.len()]);
        match (layer.is_empty(), module.starts_with("model.")) {
            (false, false) => {
                let wanted = share(&format!("model.{layer}.{module}"));
                assert!(wanted > 0.0, "{layer}.{module} was trained");
                let off = (f64::from(*found) - wanted).abs();
                assert!(off < 1e-5 * wanted, "{layer}.{module} is {found} instead of {wanted}");
            }
            (true, true) => assert!(*found > 0.0, "the embedding was trained"),
            _ => assert!(found.is_nan(), "there is no adapter on {layer} {module}"),
        }
    }
    // The norms of the base are not computed anew, and are the same.
    assert_eq!(bits(&drawn(&mut session).2), bits(&shares));
}

/// Numbers that may be none, to be compared.
fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
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
    assert!((weight_norm - wanted).abs() < 1e-4);
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
    let transposed: Vec<f32> = (0..64 * 32).map(|k| lying[k % 32 * 64 + k / 32]).collect();
    let mut session = TestSession::with(DeviceChoice::Cpu, shape.gpt2(), tiny::data_file());
    for format in FORMATS {
        let found = packed(&mut session, "c_fc", format, 32);
        assert_eq!(found.original, corner(&transposed, 32, (32, 32)), "{format}");
        assert_eq!(
            found.decoded,
            corner(&decoded(&transposed, 32, format), 32, (32, 32)),
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
