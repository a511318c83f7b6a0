//! Heads that no golden case covers: that they have the reference's names and shapes, and that descent lowers their loss.

use burn::tensor::Tensor;
use lorakeet_core::{
    data::Batch,
    device,
    formats::ModelFiles,
    models::{HeadKind, Leaves, Model, Problem},
    protocol::DeviceChoice,
};
use lorakeet_tests::golden::block_on;
use serde_json::{Value, json};

const ROWS: usize = 3;
const TOKENS: usize = 7;

/// A tiny model of `class` with fresh weights.
fn model(model_type: &str, class: &str, changes: Value) -> Model {
    let mut config = json!({
        "model_type": model_type, "architectures": [class], "vocab_size": 40, "pad_token_id": 0, "initializer_range": 0.3,
        "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
        "num_hidden_layers": 2, "max_position_embeddings": 32, "type_vocab_size": 2,
        "n_embd": 16, "n_head": 2, "n_layer": 2, "n_positions": 32,
        "dim": 16, "hidden_dim": 24, "n_heads": 2, "n_layers": 2,
        "local_attention": 4, "sliding_window": 3, "id2label": { "0": "a", "1": "b", "2": "c" },
    });
    for (key, value) in changes.as_object().expect("an object") {
        config[key] = value.clone();
    }
    let files = ModelFiles::from_config(class, config);
    let device = block_on(device::open(DeviceChoice::Cpu)).expect("the device opens").0;
    block_on(Model::load(&files, true, 3, &device, &mut |_, _| ())).unwrap_or_else(|error| panic!("{class}: {error}"))
}

/// Three rows, the last one padded, with labels of the model's kind.
fn batch(model: &Model) -> Batch {
    let count = ROWS * TOKENS;
    let is_padding = |i: usize| i >= count - 3;
    let mut batch = Batch {
        rows: ROWS,
        tokens: TOKENS,
        input_ids: (0..count)
            .map(|i| if is_padding(i) { 0 } else { 1 + (i * 7 % 39) as u32 })
            .collect(),
        attention_mask: (0..count).map(|i| if is_padding(i) { 0.0 } else { 1.0 }).collect(),
        ..Batch::default()
    };
    let label = |i: usize, of: usize| {
        if is_padding(i) || i % 3 == 1 {
            -100
        } else {
            (i % of) as i32
        }
    };
    match (model.task(), model.problem()) {
        (HeadKind::SequenceClassification, Some(Problem::SingleLabel)) => batch.row_labels = vec![2.0, 0.0, 1.0],
        (HeadKind::SequenceClassification, _) => batch.row_labels = vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0],
        (HeadKind::TokenClassification, _) => batch.labels = (0..count).map(|i| label(i, 3)).collect(),
        _ => batch.labels = (0..count).map(|i| label(i, 40)).collect(),
    }
    let counted = batch.labels.iter().filter(|&&label| label != -100).count();
    batch.target_tokens = counted + batch.row_labels.len();
    batch
}

fn loss_of(model: &Model, leaves: &Leaves, batch: &Batch) -> (Tensor<1>, f32) {
    let loss = model
        .loss(leaves, batch, 1.0 / batch.target_tokens as f32, None)
        .expect("labels that fit");
    let data = block_on(loss.clone().into_data_async()).expect("the device answers");
    let value = data.try_into_vec::<f32>().expect("f32")[0];
    (loss, value)
}

/// A small step against the gradient of every weight lowers the loss.
fn learns(class: &str, model: &mut Model) {
    let batch = batch(model);
    let leaves = model.parameters.tracked();
    let (loss, before) = loss_of(model, &leaves, &batch);
    assert!(before.is_finite() && before > 0.0, "{class}: {before}");
    let grads = loss.backward();
    for i in 0..model.parameters.len() {
        let Some(gradient) = leaves.grad(i, &grads) else {
            let name = &model.parameters.iter().nth(i).expect("a parameter").name;
            panic!("{class}: {name} has no gradient")
        };
        let value = model.parameters.plain().get(i) - gradient * 1e-3;
        model.parameters.set(i, value);
    }
    let (_, after) = loss_of(model, &model.parameters.plain(), &batch);
    assert!(after < before, "{class}: {before} became {after}");
}

#[test]
fn every_head_has_the_references_names_and_learns() {
    let none = json!({});
    let cases: [(&str, &str, Value, &[&str], usize); 14] = [
        (
            "gpt2",
            "GPT2ForSequenceClassification",
            none.clone(),
            &["score.weight"],
            3 * ROWS,
        ),
        (
            "gpt2",
            "GPT2ForTokenClassification",
            none.clone(),
            &["classifier.weight", "classifier.bias"],
            3 * ROWS * TOKENS,
        ),
        (
            "qwen3",
            "Qwen3ForSequenceClassification",
            none.clone(),
            &["score.weight"],
            3 * ROWS,
        ),
        (
            "llama",
            "LlamaForTokenClassification",
            none.clone(),
            &["score.weight", "score.bias"],
            3 * ROWS * TOKENS,
        ),
        (
            "gemma2",
            "Gemma2ForSequenceClassification",
            none.clone(),
            &["score.weight"],
            3 * ROWS,
        ),
        (
            "gemma3_text",
            "Gemma3TextForSequenceClassification",
            none.clone(),
            &["score.weight"],
            3 * ROWS,
        ),
        (
            "roberta",
            "RobertaForMaskedLM",
            none.clone(),
            &["lm_head.dense.weight", "lm_head.layer_norm.weight", "lm_head.bias"],
            40 * ROWS * TOKENS,
        ),
        (
            "distilbert",
            "DistilBertForMaskedLM",
            none.clone(),
            &[
                "vocab_transform.weight",
                "vocab_layer_norm.bias",
                "vocab_projector.bias",
            ],
            40 * ROWS * TOKENS,
        ),
        (
            "modernbert",
            "ModernBertForMaskedLM",
            none.clone(),
            &["head.dense.weight", "head.norm.weight", "decoder.bias"],
            40 * ROWS * TOKENS,
        ),
        (
            "bert",
            "BertForMaskedLM",
            json!({ "tie_word_embeddings": false }),
            &["cls.predictions.decoder.weight"],
            40 * ROWS * TOKENS,
        ),
        (
            "roberta",
            "RobertaForTokenClassification",
            none.clone(),
            &["classifier.weight", "classifier.bias"],
            3 * ROWS * TOKENS,
        ),
        (
            "modernbert",
            "ModernBertForTokenClassification",
            none,
            &["head.dense.weight", "classifier.bias"],
            3 * ROWS * TOKENS,
        ),
        (
            "modernbert",
            "ModernBertForSequenceClassification",
            json!({ "classifier_pooling": "mean", "problem_type": "multi_label_classification", "classifier_bias": true }),
            &["head.dense.bias"],
            3 * ROWS,
        ),
        (
            "distilbert",
            "DistilBertForSequenceClassification",
            json!({ "problem_type": "regression" }),
            &["pre_classifier.bias"],
            3 * ROWS,
        ),
    ];
    for (model_type, class, changes, names, logits) in cases {
        let mut model = model(model_type, class, changes);
        let held: Vec<String> = model
            .parameters
            .iter()
            .map(|parameter| parameter.name.clone())
            .collect();
        for name in names {
            assert!(
                held.iter().any(|known| known == name),
                "{class}: {name} is not in {held:?}"
            );
        }
        let found = model.logits(&model.parameters.plain(), &batch(&model)).dims();
        assert_eq!(found[0] * found[1], logits, "{class}: {found:?}");
        learns(class, &mut model);
    }
}

/// config.json of a head with a hidden layer, as a run writes it.
fn with_hidden(size: usize, activation: &str, dropout: f64) -> Value {
    let form = json!({
        "task": "classification", "classifier_hidden_size": size, "classifier_activation": activation,
        "classifier_dropout": dropout,
    });
    json!({ "task_specific_params": { "lorakeet": form } })
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    let data = block_on(tensor.into_data_async()).expect("the device answers");
    data.try_into_vec().expect("f32")
}

#[test]
fn a_head_reads_the_mean_of_the_tokens_where_the_run_says_so() {
    let form =
        json!({ "task_specific_params": { "lorakeet": { "task": "classification", "classifier_pooling": "mean" } } });
    for (model_type, class, head) in [
        ("llama", "LlamaForSequenceClassification", "score"),
        ("bert", "BertForSequenceClassification", "classifier"),
        ("distilbert", "DistilBertForSequenceClassification", "classifier"),
        ("modernbert", "ModernBertForSequenceClassification", "classifier"),
    ] {
        let mut model = model(model_type, class, form.clone());
        let (batch, leaves) = (batch(&model), model.parameters.plain());
        // The head by itself: means of the hidden states that count, times its matrix.
        let hidden = values(model.hidden_states(&leaves, &batch, true).flatten(0, 1));
        let width = hidden.len() / (batch.rows * batch.tokens);
        let weight = model
            .parameters
            .iter()
            .find(|parameter| parameter.name.ends_with(&format!("{head}.weight")));
        let weight = values(weight.expect("a head").value.clone());
        let found = values(model.logits(&leaves, &batch).flatten(0, 1));
        let labels = found.len() / batch.rows;
        for (row, logits) in found.chunks(labels).enumerate() {
            let counted: Vec<usize> = (0..batch.tokens)
                .map(|token| row * batch.tokens + token)
                .filter(|&place| batch.attention_mask[place] > 0.0)
                .collect();
            for (label, found) in logits.iter().enumerate() {
                let of = |place: usize| -> f32 {
                    (0..width)
                        .map(|i| hidden[place * width + i] * weight[label * width + i])
                        .sum()
                };
                let wanted = counted.iter().map(|&place| of(place)).sum::<f32>() / counted.len() as f32;
                assert!((found - wanted).abs() < 1e-4, "{class}: {found} instead of {wanted}");
            }
        }
        learns(class, &mut model);
    }
}

#[test]
fn a_hidden_layer_goes_into_every_classifier_and_learns() {
    for (model_type, class, head) in [
        ("llama", "LlamaForSequenceClassification", "score"),
        ("gpt2", "GPT2ForTokenClassification", "classifier"),
        ("gemma2", "Gemma2ForSequenceClassification", "score"),
        ("bert", "BertForSequenceClassification", "classifier"),
        ("roberta", "RobertaForSequenceClassification", "classifier"),
        ("distilbert", "DistilBertForSequenceClassification", "classifier"),
        ("modernbert", "ModernBertForTokenClassification", "classifier"),
    ] {
        let mut model = model(model_type, class, with_hidden(5, "tanh", 0.0));
        let shapes: Vec<(String, Vec<usize>)> = model
            .parameters
            .iter()
            .filter(|parameter| parameter.name.starts_with(&format!("{head}.")))
            .map(|parameter| (parameter.name.clone(), parameter.shape.clone()))
            .collect();
        let has = |name: &str, shape: &[usize]| shapes.contains(&(format!("{head}.{name}"), shape.to_vec()));
        assert!(
            has("hidden.weight", &[5, 16]) && has("hidden.bias", &[5]),
            "{class}: {shapes:?}"
        );
        assert!(
            has("out.weight", &[3, 5]) && !has("weight", &[3, 16]),
            "{class}: {shapes:?}"
        );
        learns(class, &mut model);
    }
}

type Function = fn(f64) -> f64;

/// The head of a Llama in f64: the mean cross-entropy of out·act(hidden·x + bias) over the rows of x \[3, 16\].
fn loss_in_f64(x: &[f64], [hidden, bias, out]: [&[f64]; 3], labels: &[f32], act: Function) -> f64 {
    let width = bias.len();
    let of_row = |(x, label): (&[f64], &f32)| {
        let y: Vec<f64> = hidden
            .chunks(16)
            .zip(bias)
            .map(|(row, bias)| act(row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias))
            .collect();
        let logits: Vec<f64> = out
            .chunks(width)
            .map(|row| row.iter().zip(&y).map(|(w, y)| w * y).sum())
            .collect();
        logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[*label as usize]
    };
    x.chunks(16).zip(labels).map(of_row).sum::<f64>() / labels.len() as f64
}

/// Φ by its integral from 0, in steps of Simpson's rule.
fn normal_share(x: f64) -> f64 {
    let (steps, density) = (200, |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt());
    let h = x / f64::from(steps);
    let at = |i: i32| {
        density(h * f64::from(i))
            * if i == 0 || i == steps {
                1.0
            } else {
                f64::from(2 + i % 2 * 2)
            }
    };
    0.5 + h / 3.0 * (0..=steps).map(at).sum::<f64>()
}

#[test]
fn gradients_of_a_hidden_layer_are_those_of_its_formula() {
    let activations: [(&str, Function); 6] = [
        ("relu", |x| x.max(0.0)),
        ("gelu", |x| x * normal_share(x)),
        ("silu", |x| x / (1.0 + (-x).exp())),
        ("tanh", f64::tanh),
        ("sigmoid", |x| 1.0 / (1.0 + (-x).exp())),
        ("none", |x| x),
    ];
    for (name, act) in activations {
        let class = "LlamaForSequenceClassification";
        let model = model("llama", class, with_hidden(5, name, 0.0));
        let batch = batch(&model);
        let flat = |tensor: Tensor<1>| -> Vec<f64> {
            let data = block_on(tensor.into_data_async()).expect("the device answers");
            let values = data.try_into_vec::<f32>().expect("f32");
            values.into_iter().map(f64::from).collect()
        };
        let plain = model.parameters.plain();
        let states = model.hidden_states(&plain, &batch, true);
        let states = flat(states.reshape([ROWS * TOKENS * 16]));
        // The head reads each row's last token that is no padding; three tokens of the last row are.
        let last = [TOKENS - 1, 2 * TOKENS - 1, 3 * TOKENS - 4];
        let x: Vec<f64> = last
            .iter()
            .flat_map(|place| &states[16 * place..][..16])
            .copied()
            .collect();
        let leaves = model.parameters.tracked();
        let (loss, value) = loss_of(&model, &leaves, &batch);
        let grads = loss.backward();
        let of = |name: &str| {
            let place = model.parameters.iter().position(|parameter| parameter.name == name);
            let place = place.unwrap_or_else(|| panic!("no {name}"));
            let gradient = leaves
                .grad(place, &grads)
                .unwrap_or_else(|| panic!("{name} has no gradient"));
            (flat(plain.get(place)), flat(gradient))
        };
        let found = ["score.hidden.weight", "score.hidden.bias", "score.out.weight"].map(of);
        let weights = found.clone().map(|(weights, _)| weights);
        let at = |weights: &[Vec<f64>; 3]| {
            let [hidden, bias, out] = weights;
            loss_in_f64(&x, [hidden, bias, out], &batch.row_labels, act)
        };
        assert!((at(&weights) - f64::from(value)).abs() < 1e-5, "{name}: {value}");
        for (tensor, (_, gradient)) in found.iter().enumerate() {
            for (i, gradient) in gradient.iter().enumerate() {
                const STEP: f64 = 1e-5;
                let moved = |step: f64| {
                    let mut weights = weights.clone();
                    weights[tensor][i] += step;
                    at(&weights)
                };
                let wanted = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert!(
                    (gradient - wanted).abs() < 2e-5,
                    "{name}, {tensor} at {i}: {gradient}, not {wanted}"
                );
            }
        }
    }
}

#[test]
fn a_heads_dropout_is_seeded_and_spares_scoring() {
    for (model_type, class) in [
        ("llama", "LlamaForSequenceClassification"),
        ("bert", "BertForTokenClassification"),
    ] {
        let loss = |dropout: f64, size: usize, seed: Option<u64>| {
            let model = model(model_type, class, with_hidden(size, "gelu", dropout));
            assert_eq!(f64::from(model.dropout()) > 0.0, dropout > 0.0);
            let batch = batch(&model);
            let loss = model
                .loss(&model.parameters.plain(), &batch, 1.0, seed)
                .expect("labels that fit");
            let data = block_on(loss.into_data_async()).expect("the device answers");
            data.try_into_vec::<f32>().expect("f32")[0]
        };
        for size in [0, 5] {
            let none = loss(0.0, size, None);
            assert_eq!(loss(0.0, size, Some(1)), none, "{class}: a share of 0 drops nothing");
            assert_eq!(loss(0.4, size, None), none, "{class}: scoring drops nothing");
            assert_eq!(loss(0.4, size, Some(1)), loss(0.4, size, Some(1)));
            assert_ne!(loss(0.4, size, Some(1)), none);
            assert_ne!(loss(0.4, size, Some(1)), loss(0.4, size, Some(2)));
        }
    }
}

/// What the reference reads, and this does not, is refused by name.
#[test]
fn unsupported_forms_are_refused() {
    let device = block_on(device::open(DeviceChoice::Cpu)).expect("the device opens").0;
    let t5 = json!({
        "model_type": "t5", "vocab_size": 40, "d_model": 16, "num_heads": 2, "d_kv": 8, "num_layers": 1, "d_ff": 24,
    });
    let bert = json!({
        "model_type": "bert", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2,
        "num_hidden_layers": 1, "max_position_embeddings": 32, "type_vocab_size": 2,
    });
    for (config, key, value) in [
        (&t5, "architectures", json!(["T5EncoderModel"])),
        (&t5, "feed_forward_proj", json!("gated-mish")),
        (&t5, "relative_attention_num_buckets", json!(3)),
        (&bert, "position_embedding_type", json!("relative_key")),
        (&bert, "hidden_act", json!("mish")),
        (&bert, "num_attention_heads", json!(3)),
    ] {
        let mut config = config.clone();
        config[key] = value;
        let files = ModelFiles::from_config("refused", config);
        let Err(error) = block_on(Model::load(&files, false, 0, &device, &mut |_, _| ())) else {
            panic!("{key} is not refused")
        };
        assert!(error.to_string().contains(key), "{error}");
    }
    let head = |key: &str, value: Value| {
        let mut config = bert.clone();
        config["architectures"] = json!(["BertForSequenceClassification"]);
        config["task_specific_params"] = json!({ "lorakeet": { "task": "classification", key: value } });
        let files = ModelFiles::from_config("refused", config);
        let loaded = block_on(Model::load(&files, false, 0, &device, &mut |_, _| ()));
        loaded.map(|_| ()).expect_err(key).to_string()
    };
    for (key, value) in [
        ("classifier_hidden_size", json!(-1)),
        ("classifier_hidden_size", json!(1u64 << 40)),
        ("classifier_pooling", json!("last")),
        ("classifier_dropout", json!(1.0)),
        ("classifier_dropout", json!("much")),
        ("classifier_activation", json!("mish")),
        ("classifier_activation", json!(3)),
    ] {
        let error = head(key, value);
        assert!(error.contains(key) && error.contains("config.json"), "{error}");
    }
}
