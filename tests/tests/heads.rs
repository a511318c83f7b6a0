//! Heads that no golden case covers: that they have the reference's names and shapes, and that descent lowers their loss.

use burn::tensor::Tensor;
use lorakeet_core::{
    data::Batch,
    device,
    formats::ModelFiles,
    models::{Leaves, Model, Problem, Task},
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
        (Task::SequenceClassification, Some(Problem::SingleLabel)) => batch.row_labels = vec![2.0, 0.0, 1.0],
        (Task::SequenceClassification, _) => batch.row_labels = vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0],
        (Task::TokenClassification, _) => batch.labels = (0..count).map(|i| label(i, 3)).collect(),
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
        (&t5, "relative_attention_num_buckets", json!(6)),
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
}
