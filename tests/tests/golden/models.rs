//! Forward passes, losses, adapter gradients and full gradients of every architecture against transformers and PEFT (golden group A), on the CPU
//! and on software Vulkan.

use burn::tensor::{Device, Tensor};
use lorakeet_core::{
    config::TargetModules,
    data::Batch,
    device,
    formats::{
        ModelFiles,
        peft::{Adapter, AdapterConfig},
    },
    models::{HeadKind, Model},
    protocol::DeviceChoice,
};
use lorakeet_tests::{
    golden::{Case, block_on},
    trajectory::{longest_row, meaningful, whole_batch},
};
use safetensors::{Dtype, tensor::TensorView};
use std::path::PathBuf;

/// The reference's tolerances are ten times its own float32 error. The GPU sums in another order and its exp and tanh are
/// approximations, so a software adapter gets four times that.
fn factor(choice: DeviceChoice) -> f32 {
    if choice == DeviceChoice::Cpu { 1.0 } else { 4.0 }
}

fn open(choice: DeviceChoice) -> Device {
    block_on(device::open(choice)).expect("the device opens").0
}

/// What two computations of the same number may differ by that are each within a tolerance of the true one.
fn both(tolerance: f32, choice: DeviceChoice) -> f32 {
    2.0 * tolerance * factor(choice)
}

fn model(case: &Case, device: &Device, full: bool) -> Model {
    let files = block_on(ModelFiles::open_path(&case.path)).expect("the model's files open");
    block_on(Model::load(&files, full, 0, device, &mut |_, _| ())).expect("the model loads")
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    block_on(tensor.into_data_async())
        .expect("the device answers")
        .try_into_vec()
        .expect("f32")
}

/// Largest difference where the mask is 1; NaN where a number is none.
fn masked_difference(found: &[f32], wanted: &[f64], mask: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len(), "as many numbers as the reference has");
    let vocab = found.len() / mask.len();
    let pairs = found.iter().zip(wanted).enumerate();
    let real = pairs.filter(|(i, _)| mask[i / vocab] == 1.0);
    let differences = real.map(|(_, (a, b))| (a - *b as f32).abs());
    differences.max_by(f32::total_cmp).unwrap_or(0.0)
}

fn logits_and_loss_match(choice: DeviceChoice) {
    let device = open(choice);
    let cases = Case::all("A");
    assert!(!cases.is_empty(), "the folder has models");
    for case in &cases {
        let (model, batch) = (model(case, &device, false), whole_batch(case));
        let expected = case.tensors("expected.safetensors");
        let leaves = model.parameters.plain();
        let logits = values(model.logits(&leaves, &batch));
        let mask = meaningful(case, &batch, logits.len());
        let worst = masked_difference(&logits, &expected["logits"].values, &mask);
        let tolerance = case.tolerance("logits_abs") * factor(choice);
        assert!(
            worst <= tolerance,
            "{}: logits differ by {worst:e}, allowed {tolerance:e}",
            case.name
        );
        let scale = 1.0 / batch.target_tokens as f32;
        let loss = values(model.loss(&leaves, &batch, scale, None).expect("labels that fit"))[0];
        let difference = (loss - expected["loss"].values[0] as f32).abs();
        let tolerance = case.loss_tolerance() * factor(choice);
        assert!(
            difference <= tolerance,
            "{}: loss {loss} differs by {difference:e}, allowed {tolerance:e}",
            case.name
        );
    }
}

fn adapters_match(choice: DeviceChoice) {
    let device = open(choice);
    let mut compared = 0;
    for base in Case::all("A") {
        for case in base.below("adapters") {
            let label = &case.name;
            let adapter = block_on(Adapter::open_path(&case.path)).expect("the adapter opens");
            let mut model = model(&base, &device, false);
            model
                .load_adapter(&adapter)
                .unwrap_or_else(|error| panic!("{label}: {error}"));
            let (batch, expected) = (whole_batch(&base), case.tensors("expected.safetensors"));
            let logits = values(model.logits(&model.parameters.plain(), &batch));
            let mask = meaningful(&case, &batch, logits.len());
            let worst = masked_difference(&logits, &expected["logits"].values, &mask);
            let tolerance = case.tolerance("logits_abs") * factor(choice);
            assert!(
                worst <= tolerance,
                "{label}: logits differ by {worst:e}, allowed {tolerance:e}"
            );

            let leaves = model.parameters.tracked();
            let loss = model
                .loss(&leaves, &batch, 1.0 / batch.target_tokens as f32, None)
                .expect("labels that fit");
            let grads = loss.backward();
            let difference = (values(loss)[0] - expected["loss"].values[0] as f32).abs();
            let tolerance = case.loss_tolerance() * factor(choice);
            assert!(
                difference <= tolerance,
                "{label}: loss differs by {difference:e}, allowed {tolerance:e}"
            );
            let wanted = expected.keys().filter(|name| name.starts_with("grad.")).count();
            assert_eq!(model.parameters.len(), wanted, "{label}: gradients");
            let tolerance = case.tolerance("grad_abs") * factor(choice);
            for (i, parameter) in model.parameters.iter().enumerate() {
                let found = values(leaves.grad(i, &grads).expect("every adapter gets a gradient"));
                let wanted = &expected[&format!("grad.{}", parameter.name)].values;
                let worst = masked_difference(&found, wanted, &vec![1.0; found.len()]);
                assert!(
                    worst <= tolerance,
                    "{label}: {} differs by {worst:e}, allowed {tolerance:e}",
                    parameter.name
                );
            }
            compared += 1;
        }
    }
    assert!(compared > 0, "the folder has adapters");
}

#[test]
fn logits_and_losses_match_the_reference_on_the_cpu() {
    logits_and_loss_match(DeviceChoice::Cpu);
}

#[test]
fn logits_and_losses_match_the_reference_on_vulkan() {
    logits_and_loss_match(DeviceChoice::Gpu);
}

#[test]
fn adapter_losses_and_gradients_match_the_reference_on_the_cpu() {
    adapters_match(DeviceChoice::Cpu);
}

#[test]
fn adapter_losses_and_gradients_match_the_reference_on_vulkan() {
    adapters_match(DeviceChoice::Gpu);
}

fn full_gradients_match(choice: DeviceChoice) {
    let device = open(choice);
    let mut compared = 0;
    for case in Case::all_with("A", "full_grads.safetensors") {
        let (model, batch) = (model(&case, &device, true), whole_batch(&case));
        let expected = case.tensors("full_grads.safetensors");
        let leaves = model.parameters.tracked();
        let grads = model
            .loss(&leaves, &batch, 1.0 / batch.target_tokens as f32, None)
            .expect("labels that fit")
            .backward();
        let tolerance = case.tolerance("grad_abs") * factor(choice);
        assert_eq!(model.parameters.len(), expected.len(), "{}: tensors", case.name);
        for (i, parameter) in model.parameters.iter().enumerate() {
            let wanted = &expected[&format!("grad.{}", parameter.name)].values;
            let found = values(leaves.grad(i, &grads).expect("every weight gets a gradient"));
            let worst = masked_difference(&found, wanted, &vec![1.0; found.len()]);
            assert!(
                worst <= tolerance,
                "{}: {} differs by {worst:e}, allowed {tolerance:e}",
                case.name,
                parameter.name
            );
        }
        compared += 1;
    }
    assert!(compared > 0, "the folder has gradients of whole models");
}

#[test]
fn full_gradients_match_the_reference_on_the_cpu() {
    full_gradients_match(DeviceChoice::Cpu);
}

#[test]
fn full_gradients_match_the_reference_on_vulkan() {
    full_gradients_match(DeviceChoice::Gpu);
}

/// An encoder-decoder that is asked token by token must predict what it predicts of the whole answer.
#[test]
fn an_answer_grows_as_it_was_given_whole() {
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let device = open(choice);
        for case in Case::all("A").iter().filter(|case| case.kind() == "seq2seq") {
            let (model, rows) = (model(case, &device, false), whole_batch(case));
            let leaves = model.parameters.plain();
            let asked = longest_row(&rows);
            let answer: Vec<i32> = rows.labels[..rows.labels.len() / rows.rows]
                .iter()
                .copied()
                .take_while(|label| *label >= 0)
                .collect();
            let whole = Batch {
                rows: 1,
                tokens: asked.len(),
                input_ids: asked.clone(),
                attention_mask: vec![1.0; asked.len()],
                labels: answer.clone(),
                ..Batch::default()
            };
            let all = values(model.logits(&leaves, &whole));
            let mut cache = model.new_cache();
            let mut last = values(model.next_logits(&leaves, &asked, &mut cache, true));
            assert_eq!(all.len(), answer.len() * last.len(), "{}", case.name);
            for (wanted, &token) in all.chunks(last.len()).zip(&answer) {
                let worst = last.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
                assert!(
                    worst <= both(case.tolerance("logits_abs"), choice),
                    "{}: {worst:e}",
                    case.name
                );
                last = values(model.next_logits(&leaves, &[token as u32], &mut cache, true));
            }
            assert_eq!(cache.len(), answer.len() + 1);
        }
    }
}

/// transformers 4 writes config.json in another layout.
#[test]
fn the_older_layout_of_the_config_gives_the_same_logits() {
    let device = open(DeviceChoice::Cpu);
    let mut compared = 0;
    for case in &Case::all_with("A", "config.v4.json") {
        let name = &case.name;
        let folder = temporary(&format!("v4-{}", name.replace('/', "-")));
        std::fs::copy(case.path.join("config.v4.json"), folder.join("config.json")).expect("copied");
        let weights = folder.join("model.safetensors");
        std::fs::copy(case.path.join("model.safetensors"), &weights).expect("copied");
        let files = block_on(ModelFiles::open_path(&folder)).expect("the model's files open");
        let model = block_on(Model::load(&files, false, 0, &device, &mut |_, _| ())).expect("the model loads");
        let (batch, expected) = (whole_batch(case), case.tensors("expected.safetensors"));
        let logits = values(model.logits(&model.parameters.plain(), &batch));
        let mask = meaningful(case, &batch, logits.len());
        let worst = masked_difference(&logits, &expected["logits"].values, &mask);
        assert!(
            worst <= case.tolerance("logits_abs"),
            "{name}: logits differ by {worst:e}"
        );
        std::fs::remove_dir_all(folder).expect("removed");
        compared += 1;
    }
    assert!(compared > 0, "the folder has configs in the older layout");
}

/// A new folder; `name` tells it from others.
fn temporary(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lorakeet-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A tensor as a file holds it.
type Saved = (String, Dtype, Vec<usize>, Vec<u8>);

/// Saves a model into a new folder; `name` tells it from others.
fn save(name: &str, config: &serde_json::Value, tensors: &[Saved]) -> PathBuf {
    let folder = temporary(&name.replace('/', "-"));
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        let view = TensorView::new(*dtype, shape.clone(), data).expect("a view");
        (name, view)
    });
    let file = safetensors::serialize(views, None).expect("a file");
    std::fs::write(folder.join("model.safetensors"), file).expect("written");
    std::fs::write(folder.join("config.json"), config.to_string()).expect("written");
    folder
}

/// The folder's BERT models that have heads on their pooled outputs.
fn pooled_berts() -> Vec<Case> {
    let mut cases = Case::all("A");
    cases.retain(|case| {
        let config = case.config();
        config["model_type"] == "bert" && config["architectures"][0] == "BertForSequenceClassification"
    });
    cases
}

/// Saves the case's model as its encoder alone would be saved: no head, no prefix, and the old buffer of positions.
fn headless(case: &Case, prefix: &str, class: &str) -> PathBuf {
    let mut tensors: Vec<Saved> = case
        .tensors("model.safetensors")
        .into_iter()
        .filter_map(|(name, tensor)| {
            let bytes = tensor.values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect();
            Some((name.strip_prefix(prefix)?.to_owned(), Dtype::F32, tensor.shape, bytes))
        })
        .collect();
    let mut config = case.config();
    let positions = config["max_position_embeddings"].as_u64().expect("a number") as usize;
    let places = (0..positions as i64).flat_map(i64::to_le_bytes).collect();
    tensors.push(("embeddings.position_ids".into(), Dtype::I64, vec![1, positions], places));
    config["architectures"] = serde_json::json!([class]);
    save(&format!("{class}-{}", case.name), &config, &tensors)
}

/// Matrices of 16 bits stay packed on the device. The reference is the same numbers in 32 bits, which do not.
#[test]
fn weights_of_sixteen_bits_compute_as_their_numbers_do() {
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let device = open(choice);
        for case in Case::all("A") {
            let (name, batch, config) = (&case.name, whole_batch(&case), case.config());
            // With magnitudes where there is a case: their norms are made of the packed matrix too.
            let adapters = case.below("adapters");
            let adapters = adapters.iter().map(|case| {
                let adapter = block_on(Adapter::open_path(&case.path));
                (case, adapter.expect("the adapter opens"))
            });
            let Some((adapted, adapter)) = adapters.max_by_key(|(_, adapter)| adapter.config.use_dora) else {
                continue;
            };
            let computed = [Dtype::BF16, Dtype::F32].map(|dtype| {
                let tensors: Vec<Saved> = case
                    .tensors("model.safetensors")
                    .into_iter()
                    .map(|(name, tensor)| {
                        let bytes = tensor.values.iter().flat_map(|&value| {
                            let half = (value as f32).to_bits() & 0xffff_0000;
                            let all = half.to_le_bytes();
                            if dtype == Dtype::BF16 {
                                all[2..].to_vec()
                            } else {
                                all.to_vec()
                            }
                        });
                        (name, dtype, tensor.shape, bytes.collect())
                    })
                    .collect();
                let folder = save(&format!("{name}-{dtype:?}-{choice:?}"), &config, &tensors);
                let files = block_on(ModelFiles::open_path(&folder)).expect("the model's files open");
                let mut model =
                    block_on(Model::load(&files, false, 0, &device, &mut |_, _| ())).expect("the model loads");
                std::fs::remove_dir_all(folder).expect("removed");
                model.load_adapter(&adapter).expect("the adapter fits");
                let logits = values(model.logits(&model.parameters.plain(), &batch));
                let leaves = model.parameters.tracked();
                let loss = model
                    .loss(&leaves, &batch, 1.0 / batch.target_tokens as f32, None)
                    .expect("labels that fit");
                let grads = loss.backward();
                let grads = (0..model.parameters.len())
                    .flat_map(|i| values(leaves.grad(i, &grads).expect("every adapter gets a gradient")))
                    .collect::<Vec<f32>>();
                (model.info.weight_bytes, logits, values(loss), grads)
            });
            let [packed, dense] = computed;
            assert!(packed.0 < dense.0, "{name}: {} bytes, dense {}", packed.0, dense.0);
            let mask = meaningful(&case, &batch, packed.1.len());
            let widen = |numbers: &[f32]| numbers.iter().map(|&number| f64::from(number)).collect::<Vec<f64>>();
            let [of_logits, of_grad] = ["logits_abs", "grad_abs"].map(|name| adapted.tolerance(name));
            let whole = vec![1.0; packed.3.len()];
            for (what, found, wanted, mask, tolerance) in [
                ("logits", &packed.1, &dense.1, mask, of_logits),
                ("loss", &packed.2, &dense.2, vec![1.0], adapted.loss_tolerance()),
                ("gradients", &packed.3, &dense.3, whole, of_grad),
            ] {
                let worst = masked_difference(found, &widen(wanted), &mask);
                let allowed = both(tolerance, choice);
                assert!(
                    worst <= allowed,
                    "{name} on {choice:?}: {what} differ by {worst:e}, allowed {allowed:e}"
                );
            }
        }
    }
}

#[test]
fn an_encoder_without_head_and_prefix_gives_the_same_hidden_states() {
    let device = open(DeviceChoice::Cpu);
    for case in pooled_berts() {
        let folder = headless(&case, "bert.", "BertModel");
        let files = block_on(ModelFiles::open_path(&folder)).expect("the model's files open");
        let model = block_on(Model::load(&files, false, 0, &device, &mut |_, _| ())).expect("the model loads");
        assert_eq!(model.task(), HeadKind::Features);
        let (batch, expected) = (whole_batch(&case), case.tensors("expected.safetensors"));
        let hidden = values(model.hidden_states(&model.parameters.plain(), &batch, true));
        let wanted = &expected[&format!("hidden.{}", case.config()["num_hidden_layers"])].values;
        let worst = masked_difference(&hidden, wanted, &batch.attention_mask);
        assert!(
            worst <= case.tolerance("logits_abs"),
            "{}: hidden states differ by {worst:e}",
            case.name
        );
        std::fs::remove_dir_all(folder).expect("removed");
    }
}

#[test]
fn a_classifier_starts_fresh_on_an_encoder_without_one() {
    let device = open(DeviceChoice::Cpu);
    for case in pooled_berts() {
        let folder = headless(&case, "bert.", "BertForSequenceClassification");
        let files = block_on(ModelFiles::open_path(&folder)).expect("the model's files open");
        let mut model = block_on(Model::load(&files, false, 0, &device, &mut |_, _| ())).expect("the model loads");
        let batch = whole_batch(&case);
        let logits = values(model.logits(&model.parameters.plain(), &batch));
        let wanted = &case.tensors("expected.safetensors")["logits"].values;
        assert_eq!(logits.len(), wanted.len(), "{}", case.name);
        assert!(logits.iter().all(|logit| logit.is_finite()));
        let config = AdapterConfig {
            target_modules: TargetModules::Names(vec!["query".into()]),
            ..AdapterConfig::default()
        };
        model.attach_lora(&config, 0).expect("the adapter fits");
        let names: Vec<&str> = model
            .parameters
            .iter()
            .map(|parameter| parameter.name.as_str())
            .collect();
        assert!(names.contains(&"base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight"));
        assert!(names.contains(&"base_model.model.classifier.bias"), "{names:?}");
        let saved = block_on(model.adapter()).expect("an adapter").config;
        assert_eq!(saved.task_type.as_deref(), Some("SEQ_CLS"));
        model.detach_lora().expect("it comes off");
        assert_eq!(values(model.logits(&model.parameters.plain(), &batch)), logits);
        std::fs::remove_dir_all(folder).expect("removed");
    }
}

/// Feeding a row in pieces through the cache must not change what the model predicts.
#[test]
fn a_cache_gives_the_logits_of_the_whole_row() {
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let device = open(choice);
        for case in Case::all("A").iter().filter(|case| case.kind() == "causal") {
            let model = model(case, &device, false);
            let leaves = model.parameters.plain();
            let ids = longest_row(&whole_batch(case));
            let whole = Batch {
                rows: 1,
                tokens: ids.len(),
                input_ids: ids.clone(),
                attention_mask: vec![1.0; ids.len()],
                labels: vec![-100; ids.len()],
                target_tokens: 0,
                input_tokens: ids.len(),
                ..Batch::default()
            };
            let all = values(model.logits(&leaves, &whole));
            let vocab = all.len() / ids.len();
            let mut cache = model.new_cache();
            let asked = ids.len().div_ceil(2);
            let mut last = values(model.next_logits(&leaves, &ids[..asked], &mut cache, true));
            for (i, id) in ids.iter().enumerate().skip(asked) {
                let wanted = &all[(i - 1) * vocab..i * vocab];
                let worst = last.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
                assert!(
                    worst <= both(case.tolerance("logits_abs"), choice),
                    "{} at {i}: {worst:e}",
                    case.name
                );
                last = values(model.next_logits(&leaves, &[*id], &mut cache, true));
            }
            assert_eq!(cache.len(), ids.len());
        }
    }
}
