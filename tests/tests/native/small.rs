//! Small models from fresh weights: their losses against the formulas written out in f64, their gradients against finite
//! differences of those, on the CPU and on software Vulkan.

use burn::tensor::Tensor;
use lorakeet_core::{data::Batch, device, formats::ModelFiles, models::Model, protocol::DeviceChoice};
use lorakeet_tests::golden::block_on;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ROWS: usize = 2;
const WIDTH: usize = 4;
const LAYERS: usize = 2;
const LABELS: usize = 3;

/// What is trained, by name, in f64.
type Weights = BTreeMap<String, Vec<f64>>;
/// A matrix, row after row.
type Rows = Vec<Vec<f64>>;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// (1 + erf(z)) / 2 by its Taylor series, which is exact enough near 0.
fn normal_share(x: f64) -> f64 {
    let z = x / 2f64.sqrt();
    let mut term = z;
    let mut sum = z;
    for n in 1..60 {
        let n = f64::from(n);
        term *= -z * z / n;
        sum += term / (2.0 * n + 1.0);
    }
    0.5 + sum / std::f64::consts::PI.sqrt()
}

fn activate(name: &str, x: f64) -> f64 {
    match name {
        "relu" => x.max(0.0),
        "gelu" => x * normal_share(x),
        "silu" => x * sigmoid(x),
        "tanh" => x.tanh(),
        "sigmoid" => sigmoid(x),
        other => panic!("another activation: {other}"),
    }
}

/// W·x + b of each row; `bias` may be none.
fn linear(x: &Rows, w: &[f64], bias: &[f64]) -> Rows {
    let row = |x: &Vec<f64>| {
        let outputs = w.chunks(x.len()).enumerate();
        let cell =
            |(i, w): (usize, &[f64])| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias.get(i).unwrap_or(&0.0);
        outputs.map(cell).collect()
    };
    x.iter().map(row).collect()
}

struct Reference<'a> {
    weights: &'a Weights,
    config: &'a Value,
}

impl Reference<'_> {
    fn weight(&self, name: &str) -> &[f64] {
        self.weights
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not trained"))
    }

    fn through(&self, path: &str, x: &Rows) -> Rows {
        linear(
            x,
            self.weight(&format!("{path}.weight")),
            self.weight(&format!("{path}.bias")),
        )
    }

    fn activated(&self, x: Rows) -> Rows {
        let name = self.config["hidden_act"].as_str().expect("a name");
        x.into_iter()
            .map(|row| row.into_iter().map(|x| activate(name, x)).collect())
            .collect()
    }

    fn norm(&self, path: &str, x: &Rows) -> Rows {
        let (w, b) = (
            self.weight(&format!("{path}.weight")),
            self.weight(&format!("{path}.bias")),
        );
        let each = |row: &Vec<f64>| {
            let count = row.len() as f64;
            let mean = row.iter().sum::<f64>() / count;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            let part = |(i, x): (usize, &f64)| (x - mean) / (variance + 1e-5).sqrt() * w[i] + b[i];
            row.iter().enumerate().map(part).collect()
        };
        x.iter().map(each).collect()
    }

    /// Patches of one row of numbers, cut straight from their places.
    fn cut(&self, numbers: &[f64]) -> Rows {
        let number = |key: &str| self.config[key].as_u64().expect("a number") as usize;
        let channels = number("num_channels");
        if self.config["model_type"] == "small_series" {
            // Zeros fill up the last one.
            let length = number("patch_length") * channels;
            let filled = |patch: &[f64]| {
                patch
                    .iter()
                    .copied()
                    .chain(std::iter::repeat(0.0))
                    .take(length)
                    .collect()
            };
            return numbers.chunks(length).map(filled).collect();
        }
        let (size, patch) = (number("image_size"), number("patch_size"));
        let mut patches = Vec::new();
        for top in (0..size).step_by(patch) {
            for left in (0..size).step_by(patch) {
                let mut found = Vec::new();
                for channel in 0..channels {
                    for row in top..top + patch {
                        for column in left..left + patch {
                            found.push(numbers[(channel * size + row) * size + column]);
                        }
                    }
                }
                patches.push(found);
            }
        }
        patches
    }

    fn patches(&self, numbers: &[f64]) -> Vec<f64> {
        let mut x = self.through("embeddings.projection", &self.cut(numbers));
        for (row, positions) in x.iter_mut().zip(self.weight("embeddings.positions").chunks(WIDTH)) {
            row.iter_mut().zip(positions).for_each(|(x, p)| *x += p);
        }
        let (heads, dim) = (2, WIDTH / 2);
        let add = |x: &mut Rows, y: Rows| {
            for (x, y) in x.iter_mut().flatten().zip(y.into_iter().flatten()) {
                *x += y;
            }
        };
        for i in 0..LAYERS {
            let at = |part: &str| format!("layers.{i}.{part}");
            let normed = self.norm(&at("attention_norm"), &x);
            let [q, k, v] = ["query", "key", "value"].map(|part| self.through(&at(part), &normed));
            let mut mixed = vec![vec![0.0; WIDTH]; x.len()];
            for head in 0..heads {
                let part = head * dim..(head + 1) * dim;
                for (query, mixed) in q.iter().zip(&mut mixed) {
                    let score = |key: &Vec<f64>| {
                        let product: f64 = part.clone().map(|j| query[j] * key[j]).sum();
                        (product / (dim as f64).sqrt()).exp()
                    };
                    let scores: Vec<f64> = k.iter().map(score).collect();
                    let sum: f64 = scores.iter().sum();
                    for j in part.clone() {
                        mixed[j] = scores.iter().zip(&v).map(|(score, v)| score / sum * v[j]).sum();
                    }
                }
            }
            add(&mut x, self.through(&at("attention_out"), &mixed));
            let inner = self.through(&at("up"), &self.norm(&at("mlp_norm"), &x));
            add(&mut x, self.through(&at("down"), &self.activated(inner)));
        }
        let x = self.norm("norm", &x);
        (0..WIDTH)
            .map(|j| x.iter().map(|row| row[j]).sum::<f64>() / x.len() as f64)
            .collect()
    }

    /// All states of one row of steps.
    fn recurrent(&self, kind: &str, steps: &Rows) -> Rows {
        let mut x = steps.clone();
        for layer in 0..LAYERS {
            let at = |part: &str| self.weight(&format!("{kind}.{part}_l{layer}"));
            let (mut h, mut c) = (vec![0.0; WIDTH], vec![0.0; WIDTH]);
            let mut states = Vec::new();
            for step in &x {
                let p = linear(&vec![step.clone()], at("weight_ih"), at("bias_ih")).remove(0);
                let q = linear(&vec![h.clone()], at("weight_hh"), at("bias_hh")).remove(0);
                for j in 0..WIDTH {
                    let sum = |gate: usize| p[gate * WIDTH + j] + q[gate * WIDTH + j];
                    h[j] = match kind {
                        "rnn" => activate(self.config["hidden_act"].as_str().expect("a name"), sum(0)),
                        "lstm" => {
                            c[j] = sigmoid(sum(1)) * c[j] + sigmoid(sum(0)) * sum(2).tanh();
                            sigmoid(sum(3)) * c[j].tanh()
                        }
                        _ => {
                            let (r, z) = (sigmoid(sum(0)), sigmoid(sum(1)));
                            let n = (p[2 * WIDTH + j] + r * q[2 * WIDTH + j]).tanh();
                            (1.0 - z) * n + z * h[j]
                        }
                    };
                }
                states.push(h.clone());
            }
            x = states;
        }
        x
    }

    /// One row of embeddings, the padding left out.
    fn tokens(&self, batch: &Batch, row: usize) -> Rows {
        let table = self.weight("embeddings.weight");
        let place = row * batch.tokens..(row + 1) * batch.tokens;
        let real = place.filter(|&i| batch.attention_mask[i] == 1.0);
        let rows = real.map(|i| batch.input_ids[i] as usize * WIDTH);
        rows.map(|start| table[start..start + WIDTH].to_vec()).collect()
    }

    fn loss(&self, batch: &Batch) -> f64 {
        let kind = self.config["model_type"]
            .as_str()
            .expect("a name")
            .trim_start_matches("small_");
        let of_tokens = self.config.get("vocab_size").is_some();
        let each = batch.features.len() / ROWS;
        let mut sum = 0.0;
        for row in 0..ROWS {
            let numbers: Vec<f64> = batch.features[row * each..(row + 1) * each]
                .iter()
                .map(|&x| f64::from(x))
                .collect();
            let state = match kind {
                "mlp" => {
                    let mut x = vec![numbers];
                    if of_tokens {
                        let rows = self.tokens(batch, row);
                        let mean = |j: usize| rows.iter().map(|row| row[j]).sum::<f64>() / rows.len() as f64;
                        x = vec![(0..WIDTH).map(mean).collect()];
                    }
                    for i in 0..LAYERS {
                        x = self.activated(self.through(&format!("layers.{i}"), &x));
                    }
                    x.remove(0)
                }
                "vit" | "series" => self.patches(&numbers),
                _ => {
                    let input = self.config["input_size"].as_u64().map(|width| width as usize);
                    let steps = match input {
                        Some(width) => numbers.chunks(width).map(<[f64]>::to_vec).collect(),
                        None => self.tokens(batch, row),
                    };
                    let states = self.recurrent(kind, &steps);
                    if !batch.labels.is_empty() {
                        sum += self.next_token_loss(&states, &batch.labels[row * batch.tokens..]);
                        continue;
                    }
                    states.last().expect("a step").clone()
                }
            };
            let z = self.through("classifier", &vec![state]).remove(0);
            let labels = &batch.row_labels;
            if self.config["problem_type"] == "regression" {
                let wanted = labels[row * LABELS..].iter();
                sum += z
                    .iter()
                    .zip(wanted)
                    .map(|(z, y)| (z - f64::from(*y)).powi(2))
                    .sum::<f64>();
            } else {
                sum += z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[labels[row] as usize];
            }
        }
        sum / batch.target_tokens as f64
    }

    fn next_token_loss(&self, states: &Rows, labels: &[i32]) -> f64 {
        let output = self.weights.get("lm_head.weight");
        let table = output.map_or_else(|| self.weight("embeddings.weight"), Vec::as_slice);
        let logits = linear(states, table, &[]);
        let pairs = logits.iter().zip(&labels[1..]).take(states.len() - 1);
        pairs
            .map(|(z, &label)| z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[label as usize])
            .sum()
    }
}

fn model(config: &Value, choice: DeviceChoice) -> Model {
    let files = ModelFiles::from_config("small", config.clone());
    let device = block_on(device::open(choice)).expect("the device opens").0;
    let model = block_on(Model::load(&files, true, 5, &device, &mut |_, _| ()));
    model.unwrap_or_else(|error| panic!("{config}: {error}"))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let data = block_on(tensor.into_data_async()).expect("the device answers");
    data.try_into_vec::<f32>()
        .expect("f32")
        .into_iter()
        .map(f64::from)
        .collect()
}

/// Two rows of what the model takes; of tokens the second is shorter.
fn batch(config: &Value, numbers: usize) -> Batch {
    let mut batch = Batch {
        rows: ROWS,
        ..Batch::default()
    };
    if config.get("vocab_size").is_some() {
        batch.tokens = 4;
        batch.input_ids = vec![1, 5, 2, 3, 4, 1, 6, 0];
        batch.attention_mask = vec![1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0];
    } else {
        batch.features = (0..ROWS * numbers)
            .map(|i| ((i * 37 % 19) as f32 - 9.0) / 8.0)
            .collect();
    }
    if config["architectures"][0] == "SmallForCausalLM" {
        batch.labels = vec![1, 5, 2, 3, 4, 1, 6, -100];
        batch.target_tokens = 5;
    } else if config["problem_type"] == "regression" {
        batch.row_labels = vec![0.5, -1.0, 2.0, 0.0, 1.5, -0.5];
        batch.target_tokens = 6;
    } else {
        batch.row_labels = vec![2.0, 0.0];
        batch.target_tokens = 2;
    }
    batch
}

fn agrees_with_its_formula(changes: Value, numbers: usize) {
    let mut config = json!({
        "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_labels": LABELS, "initializer_range": 0.5,
        "num_attention_heads": 2, "intermediate_size": 5, "num_channels": 2, "hidden_act": "tanh",
    });
    for (key, value) in changes.as_object().expect("an object") {
        config[key] = value.clone();
    }
    let batch = batch(&config, numbers);
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let what = format!("{changes} on {choice:?}");
        let model = model(&config, choice);
        let names: Vec<String> = model
            .parameters
            .iter()
            .map(|parameter| parameter.name.clone())
            .collect();
        let mut weights = Weights::new();
        for parameter in model.parameters.iter() {
            weights.insert(parameter.name.clone(), values(parameter.value.clone()));
        }
        let leaves = model.parameters.tracked();
        let loss = model
            .loss(&leaves, &batch, 1.0 / batch.target_tokens as f32, None)
            .expect("labels that fit");
        let gradients = loss.backward();
        let reference = |weights: &Weights| {
            let config = &config;
            Reference { weights, config }.loss(&batch)
        };
        let (found, wanted) = (values(loss)[0], reference(&weights));
        assert!((found - wanted).abs() < 1e-5, "{what}: {found} instead of {wanted}");
        for (i, name) in names.iter().enumerate() {
            let found = values(
                leaves
                    .grad(i, &gradients)
                    .unwrap_or_else(|| panic!("{what}: {name} gets no gradient")),
            );
            for (j, found) in found.into_iter().enumerate() {
                let mut moved = |by: f64| {
                    let value = &mut weights.get_mut(name).expect("it")[j];
                    let old = *value;
                    *value = old + by;
                    let loss = reference(&weights);
                    weights.get_mut(name).expect("it")[j] = old;
                    loss
                };
                let wanted = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (found - wanted).abs() < 2e-5,
                    "{what}: d {name}[{j}] is {found} instead of {wanted}"
                );
            }
        }
    }
}

#[test]
fn a_perceptron_is_its_formula_with_every_activation() {
    for activation in ["relu", "gelu", "silu", "tanh", "sigmoid"] {
        let changes = json!({ "model_type": "small_mlp", "input_size": 6, "hidden_act": activation });
        agrees_with_its_formula(changes, 6);
    }
    agrees_with_its_formula(
        json!({ "model_type": "small_mlp", "vocab_size": 7, "problem_type": "regression" }),
        0,
    );
}

#[test]
fn a_transformer_over_the_patches_of_an_image_is_its_formula() {
    let changes = json!({ "model_type": "small_vit", "image_size": 4, "patch_size": 2, "hidden_act": "gelu" });
    agrees_with_its_formula(changes, 2 * 4 * 4);
}

#[test]
fn a_transformer_over_the_patches_of_a_series_is_its_formula() {
    for length in [6, 7] {
        let changes = json!({
            "model_type": "small_series", "context_length": length, "patch_length": 2, "hidden_act": "relu",
            "problem_type": "regression",
        });
        agrees_with_its_formula(changes, 2 * length);
    }
}

#[test]
fn recurrent_cells_are_their_formulas_on_numbers_and_on_tokens() {
    for kind in ["small_rnn", "small_lstm", "small_gru"] {
        agrees_with_its_formula(json!({ "model_type": kind, "input_size": 3 }), 4 * 3);
        agrees_with_its_formula(json!({ "model_type": kind, "vocab_size": 7 }), 0);
        for tied in [true, false] {
            let changes = json!({
                "model_type": kind, "vocab_size": 7, "architectures": ["SmallForCausalLM"], "tie_word_embeddings": tied,
            });
            agrees_with_its_formula(changes, 0);
        }
    }
}

#[test]
fn a_recurrent_model_goes_on_from_its_state() {
    for kind in ["small_rnn", "small_lstm", "small_gru"] {
        let config = json!({
            "model_type": kind, "vocab_size": 7, "architectures": ["SmallForCausalLM"], "initializer_range": 0.5,
            "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
        });
        let model = model(&config, DeviceChoice::Cpu);
        let leaves = model.parameters.plain();
        let ids = vec![1, 5, 2, 3, 4];
        let whole = Batch {
            rows: 1,
            tokens: ids.len(),
            input_ids: ids.clone(),
            attention_mask: vec![1.0; ids.len()],
            ..Batch::default()
        };
        let all = values(model.logits(&leaves, &whole));
        let mut cache = model.new_cache();
        let mut last = values(model.next_logits(&leaves, &ids[..2], &mut cache, true));
        for (i, id) in ids.iter().enumerate().skip(2) {
            let wanted = &all[(i - 1) * 7..i * 7];
            let worst = last.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-6, "{kind} at {i}: {worst:e}");
            last = values(model.next_logits(&leaves, &[*id], &mut cache, true));
        }
    }
}

#[test]
fn dropout_acts_in_training_only_and_follows_its_seed() {
    for (kind, numbers) in [("small_mlp", 6), ("small_series", 12), ("small_gru", 6)] {
        let config = json!({
            "model_type": kind, "hidden_dropout_prob": 0.5, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "input_size": if kind == "small_gru" { 3 } else { 6 }, "context_length": 12, "patch_length": 3, "num_labels": LABELS,
            "initializer_range": 0.5,
        });
        let (model, batch) = (model(&config, DeviceChoice::Cpu), batch(&config, numbers));
        assert_eq!(model.dropout(), 0.5);
        let leaves = model.parameters.plain();
        let loss = |seed| values(model.loss(&leaves, &batch, 1.0, seed).expect("labels that fit"))[0];
        assert_eq!(loss(Some(1)), loss(Some(1)), "{kind}");
        assert_ne!(loss(Some(1)), loss(Some(2)), "{kind}");
        assert_ne!(loss(Some(1)), loss(None), "{kind}");
    }
}

#[test]
fn configs_that_make_no_model_are_refused_by_key() {
    for (changes, field) in [
        (json!({ "model_type": "small_mlp" }), "input_size"),
        (
            json!({ "model_type": "small_mlp", "input_size": 2, "hidden_act": "softplus" }),
            "hidden_act",
        ),
        (
            json!({ "model_type": "small_mlp", "input_size": 2, "hidden_dropout_prob": 1.0 }),
            "hidden_dropout_prob",
        ),
        (
            json!({ "model_type": "small_vit", "image_size": 28, "patch_size": 5 }),
            "patch_size",
        ),
        (
            json!({ "model_type": "small_vit", "image_size": 28, "patch_size": 7, "num_attention_heads": 3 }),
            "num_attention_heads",
        ),
        (
            json!({ "model_type": "small_mlp", "input_size": 2, "architectures": ["SmallForMaskedLM"] }),
            "architectures",
        ),
        (
            json!({ "model_type": "small_gru", "input_size": 2, "architectures": ["SmallForCausalLM"] }),
            "architectures",
        ),
    ] {
        let mut config = json!({ "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2 });
        for (key, value) in changes.as_object().expect("an object") {
            config[key] = value.clone();
        }
        let files = ModelFiles::from_config("small", config);
        let device = block_on(device::open(DeviceChoice::Cpu)).expect("the device opens").0;
        let error = block_on(Model::load(&files, true, 0, &device, &mut |_, _| ())).err();
        let error = error.unwrap_or_else(|| panic!("{changes} makes a model"));
        assert_eq!(error.field_name(), Some(field), "{error}");
    }
}
