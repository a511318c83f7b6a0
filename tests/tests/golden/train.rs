//! Optimizer steps against transformers and PEFT (golden group C): losses, learning rates, gradient norms and weights,
//! with the product's own step, optimizer and schedule, on the CPU and on software Vulkan.

use lorakeet_core::{
    config::RunConfig,
    data::Batch,
    device,
    formats::{ModelFiles, peft::Adapter},
    models::Model,
    protocol::DeviceChoice,
};
use lorakeet_tests::{
    golden::{Case, block_on, number, words, worst_difference},
    trajectory::{PARTS, batch_of, optimizer, scheduler, take_steps},
};
use serde_json::Value;

/// The reference's tolerances are ten times its own float32 error. The GPU sums in another order, so it gets four times that;
/// learning rates are computed on the host and get nothing.
fn factor(choice: DeviceChoice) -> f64 {
    if choice == DeviceChoice::Cpu { 1.0 } else { 4.0 }
}

/// The micro-batches of step `step`; every tensor of the file has shape [step, micro-batch, row, token].
fn micro_batches(case: &Case, step: usize) -> Vec<Batch> {
    let inputs = case.tensors("inputs.safetensors");
    let [_, micro, rows, tokens] = inputs["input_ids"].shape[..] else {
        panic!("inputs have four dimensions")
    };
    let part = |name: &str, i: usize| {
        let Some(tensor) = inputs.get(name) else {
            return &[][..];
        };
        let size = tensor.shape[2..].iter().product::<usize>();
        let start = (step * micro + i) * size;
        &tensor.values[start..start + size]
    };
    let micro_batch = |i| {
        let parts = PARTS.map(|name| part(name, i));
        assert_eq!(parts[0].len(), rows * tokens);
        batch_of(case.kind(), tokens, parts)
    };
    (0..micro).map(micro_batch).collect()
}

fn config(case: &Value) -> RunConfig {
    RunConfig {
        max_grad_norm: number(&case["clip"]["max_norm"]),
        lr_scheduler_type: scheduler(&case["schedule"]["name"]),
        warmup_ratio: number(&case["schedule"]["warmup_ratio"]),
        max_steps: number(&case["schedule"]["steps"]) as i64,
        ..optimizer(&case["optimizer"])
    }
}

/// Compares the trainable weights with the tensors called `prefix.NAME`.
fn weights_match(case: &Case, model: &Model, prefix: &str, tolerance: f64, label: &str) {
    let expected = case.tensors("expected.safetensors");
    let trained = block_on(model.trained()).expect("the device answers");
    let wanted = expected
        .keys()
        .filter(|key| key.starts_with(&format!("{prefix}.")))
        .count();
    assert_eq!(
        trained.len(),
        wanted,
        "{label}: as many tensors as the reference trains"
    );
    let ignored: Vec<&str> = words(&case.json["do_not_compare"]["tensors"]).collect();
    for (name, shape, values) in trained {
        if ignored.contains(&name.as_str()) {
            continue;
        }
        let wanted = &expected[&format!("{prefix}.{name}")];
        assert_eq!(wanted.shape, shape, "{label}: {name}");
        let worst = worst_difference(&values, &wanted.values);
        assert!(
            worst <= tolerance,
            "{label}, {prefix}: {name} differs by {worst:e}, allowed {tolerance:e}"
        );
    }
}

fn trajectory_matches(case: &Case, choice: DeviceChoice) {
    let label = format!("{} on {choice:?}", case.name);
    let device = block_on(device::open(choice)).expect("the device opens").0;
    let files = block_on(ModelFiles::open_path(&case.path)).expect("the model's files open");
    let adapter = case.path.join("adapter_init");
    let full = !adapter.is_dir();
    let mut model = block_on(Model::load(&files, full, 0, &device, &mut |_, _| ())).expect("the model loads");
    if !full {
        let adapter = block_on(Adapter::open_path(adapter)).expect("the adapter opens");
        model.load_adapter(&adapter).expect("the adapter fits");
    }

    let config = config(&case.json);
    let warmup_steps = config.plan(1).warmup_steps as f64;
    assert_eq!(warmup_steps, number(&case.json["schedule"]["warmup_steps"]));
    let steps = case.json["loss"].as_array().expect("losses").len();
    assert_eq!(config.max_steps, steps as i64, "{label}: as many steps as losses");
    // The weights after some of the steps, as far as the reference kept them.
    let expected = case.tensors("expected.safetensors");
    let kept = |step: usize| {
        let prefix = format!("after{step}");
        let is_kept = expected.keys().any(|name| name.starts_with(&format!("{prefix}.")));
        is_kept.then_some(prefix)
    };
    let tolerance = |key: &str| number(&case.json["tolerance"][key]) * factor(choice);
    let close = |what: &str, step: usize, found: f64, tolerance: f64| {
        let wanted = number(&case.json[what][step]);
        let difference = (found - wanted).abs();
        let place = format!("{label}, step {step}: {what}");
        assert!(
            difference <= tolerance,
            "{place} {found} instead of {wanted}: {difference:e} > {tolerance:e}"
        );
    };
    let lr_tolerance = number(&case.json["tolerance"]["lr_abs"]);
    let batches = |step| micro_batches(case, step);
    take_steps(&mut model, &config, batches, |step, settings, done, model| {
        close("lr", step, settings.learning_rate, lr_tolerance);
        close("loss", step, done.loss, tolerance("loss_abs"));
        close("grad_norm", step, done.grad_norm, tolerance("grad_norm_abs"));
        if let Some(prefix) = kept(step + 1) {
            weights_match(case, model, &prefix, tolerance(&format!("{prefix}_abs")), &label);
        }
    });
    weights_match(case, &model, "final", tolerance("final_abs"), &label);
}

fn trajectories_match(choice: DeviceChoice) {
    let cases = Case::all_with("C", "model.safetensors");
    assert!(!cases.is_empty(), "the folder has runs");
    cases.iter().for_each(|case| trajectory_matches(case, choice));
}

#[test]
fn the_steps_of_every_run_match_the_reference_on_the_cpu() {
    trajectories_match(DeviceChoice::Cpu);
}

#[test]
fn the_steps_of_every_run_match_the_reference_on_vulkan() {
    trajectories_match(DeviceChoice::Gpu);
}
