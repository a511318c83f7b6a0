//! Forward passes, losses and adapter gradients of every decoder against transformers and PEFT (golden group A), on the CPU
//! and on software Vulkan.

use burn::tensor::{Device, Tensor};
use lorakeet_core::{
    data::Batch,
    device,
    formats::{ModelFiles, peft::Adapter},
    models::Model,
    protocol::DeviceChoice,
};
use lorakeet_tests::{
    golden::{Case, block_on},
    trajectory,
};
use std::path::PathBuf;

const ARCHITECTURES: [&str; 6] = ["gpt2", "llama_tied", "llama_untied", "llama3_rope", "qwen2", "qwen3"];

/// The reference's tolerances are ten times its own float32 error. The GPU sums in another order and its exp and tanh are
/// approximations, so a software adapter gets four times that.
fn factor(choice: DeviceChoice) -> f32 {
    if choice == DeviceChoice::Cpu { 1.0 } else { 4.0 }
}

fn open(choice: DeviceChoice) -> Device {
    block_on(device::open(choice)).expect("the device opens").0
}

fn model(case: &Case, device: &Device, full: bool) -> Model {
    let files = block_on(ModelFiles::open_path(&case.path)).expect("the model's files open");
    block_on(Model::load(&files, full, 0, device, &mut |_, _| ())).expect("the model loads")
}

fn batch(case: &Case) -> Batch {
    let inputs = case.tensors("inputs.safetensors");
    let part = |name: &str| inputs[name].values.as_slice();
    let tokens = inputs["input_ids"].shape[1];
    trajectory::batch(tokens, part("input_ids"), part("attention_mask"), part("labels"))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    block_on(tensor.into_data_async())
        .expect("the device answers")
        .try_into_vec()
        .expect("f32")
}

/// Largest difference where the mask is 1; NaN where a number is none.
fn masked_difference(found: &[f32], wanted: &[f64], mask: &[f32]) -> f32 {
    let vocab = found.len() / mask.len();
    let pairs = found.iter().zip(wanted).enumerate();
    let real = pairs.filter(|(i, _)| mask[i / vocab] == 1.0);
    let differences = real.map(|(_, (a, b))| (a - *b as f32).abs());
    differences.max_by(f32::total_cmp).unwrap_or(0.0)
}

fn logits_and_loss_match(choice: DeviceChoice) {
    let device = open(choice);
    for architecture in ARCHITECTURES {
        let case = Case::open(&format!("A/{architecture}"));
        let (model, batch, expected) = (
            model(&case, &device, false),
            batch(&case),
            case.tensors("expected.safetensors"),
        );
        let leaves = model.parameters.plain();
        let logits = values(model.logits(&leaves, &batch));
        let worst = masked_difference(&logits, &expected["logits"].values, &batch.attention_mask);
        let tolerance = case.tolerance("logits_abs") * factor(choice);
        assert!(
            worst <= tolerance,
            "{architecture}: logits differ by {worst:e}, allowed {tolerance:e}"
        );
        let scale = 1.0 / batch.target_tokens as f32;
        let loss = values(model.loss(&leaves, &batch, scale, None))[0];
        let difference = (loss - expected["loss"].values[0] as f32).abs();
        let tolerance = case.tolerance("loss_abs") * factor(choice);
        assert!(
            difference <= tolerance,
            "{architecture}: loss {loss} differs by {difference:e}, allowed {tolerance:e}"
        );
    }
}

fn adapters_match(choice: DeviceChoice) {
    let device = open(choice);
    let mut compared = 0;
    for architecture in ARCHITECTURES {
        let base = Case::open(&format!("A/{architecture}"));
        for name in base.folders("adapters") {
            let case = Case::open(&format!("A/{architecture}/adapters/{name}"));
            if case.json["peft"]["use_dora"] == true {
                continue;
            }
            let label = format!("{architecture}/{name}");
            let adapter = block_on(Adapter::open_path(&case.path)).expect("the adapter opens");
            let mut model = model(&base, &device, false);
            model
                .load_adapter(&adapter)
                .unwrap_or_else(|error| panic!("{label}: {error}"));
            let (batch, expected) = (batch(&base), case.tensors("expected.safetensors"));
            let logits = values(model.logits(&model.parameters.plain(), &batch));
            let worst = masked_difference(&logits, &expected["logits"].values, &batch.attention_mask);
            let tolerance = case.tolerance("logits_abs") * factor(choice);
            assert!(
                worst <= tolerance,
                "{label}: logits differ by {worst:e}, allowed {tolerance:e}"
            );

            let leaves = model.parameters.tracked();
            let loss = model.loss(&leaves, &batch, 1.0 / batch.target_tokens as f32, None);
            let grads = loss.backward();
            let difference = (values(loss)[0] - expected["loss"].values[0] as f32).abs();
            let tolerance = case.tolerance("loss_abs") * factor(choice);
            assert!(
                difference <= tolerance,
                "{label}: loss differs by {difference:e}, allowed {tolerance:e}"
            );
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
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "only {compared} gradients were compared");
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

#[test]
fn full_gradients_match_the_reference_on_the_cpu() {
    let device = open(DeviceChoice::Cpu);
    for architecture in ["llama_tied", "gpt2"] {
        let case = Case::open(&format!("A/{architecture}"));
        let (model, batch) = (model(&case, &device, true), batch(&case));
        let expected = case.tensors("full_grads.safetensors");
        let leaves = model.parameters.tracked();
        let grads = model
            .loss(&leaves, &batch, 1.0 / batch.target_tokens as f32, None)
            .backward();
        let tolerance = case.tolerance("grad_abs");
        for (i, parameter) in model.parameters.iter().enumerate() {
            let Some(wanted) = expected.get(&parameter.name) else {
                continue;
            };
            let found = values(leaves.grad(i, &grads).expect("every weight gets a gradient"));
            let worst = masked_difference(&found, &wanted.values, &vec![1.0; found.len()]);
            assert!(
                worst <= tolerance,
                "{architecture}: {} differs by {worst:e}",
                parameter.name
            );
        }
    }
}

/// Feeding a row in pieces through the cache must not change what the model predicts.
#[test]
fn a_cache_gives_the_logits_of_the_whole_row() {
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let device = open(choice);
        for architecture in ARCHITECTURES {
            let case = Case::open(&format!("A/{architecture}"));
            let model = model(&case, &device, false);
            let leaves = model.parameters.plain();
            let ids: Vec<u32> = vec![5, 17, 90, 3, 44, 61, 12];
            let whole = Batch {
                rows: 1,
                tokens: ids.len(),
                input_ids: ids.clone(),
                attention_mask: vec![1.0; ids.len()],
                labels: vec![-100; ids.len()],
                target_tokens: 0,
                input_tokens: ids.len(),
            };
            let all = values(model.logits(&leaves, &whole));
            let vocab = all.len() / ids.len();
            let mut cache = model.new_cache();
            let mut last = values(model.next_logits(&leaves, &ids[..3], &mut cache, true));
            for (i, id) in ids.iter().enumerate().skip(3) {
                let wanted = &all[(i - 1) * vocab..i * vocab];
                let worst = last.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
                assert!(worst < 2e-4, "{architecture} at {i}: {worst:e}");
                last = values(model.next_logits(&leaves, &[*id], &mut cache, true));
            }
            assert_eq!(cache.len(), ids.len());
        }
    }
}

#[test]
fn golden_cases_are_found() {
    let path: PathBuf = Case::open("A/gpt2").path;
    assert!(path.join("model.safetensors").is_file());
}
