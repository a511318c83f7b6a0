//! QLoRA against transformers, PEFT and bitsandbytes (golden group D): a base that is quantised to NF4 with double
//! quantisation while it is read, its logits, its adapter's gradients, and ten steps of training on it, on the CPU and on
//! software Vulkan.

use lorakeet_core::{
    config::{RunConfig, SchedulerType},
    data::Batch,
    device,
    estimate::estimate,
    formats::{ModelFiles, peft::Adapter},
    models::{Leaves, Model},
    protocol::DeviceChoice,
    quant::Base,
    store::MemoryFile,
};
use lorakeet_tests::{
    golden::{Case, block_on, number, worst_difference},
    trajectory::{batch_of, optimizer, take_steps},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// The reference's tolerances are ten times its own float32 error. The GPU sums in another order, so it gets four times that.
fn factor(choice: DeviceChoice) -> f64 {
    if choice == DeviceChoice::Cpu { 1.0 } else { 4.0 }
}

/// A run that asks for what the reference did.
fn quantised() -> RunConfig {
    RunConfig {
        quantization_bit: Some(4),
        ..RunConfig::default()
    }
}

fn model(case: &Case, choice: DeviceChoice) -> Model {
    let device = block_on(device::open(choice)).expect("the device opens").0;
    // bitsandbytes' build for CPUs, with which the reference was made, searches the codes of scales only roughly: its codes
    // are taken from the checkpoint that it wrote.
    let files = block_on(ModelFiles::open_path(case.path.join("bnb4"))).expect("the model's files open");
    let base = Base::from(&quantised());
    let mut model =
        block_on(Model::load_base(&files, (false, base), 0, &device, &mut |_, _| ())).expect("the model loads");
    let adapter = block_on(Adapter::open_path(case.path.join("adapter_init"))).expect("the adapter opens");
    model.load_adapter(&adapter).expect("the adapter fits");
    model
}

/// The batch of `rows` rows from row `first` on, counted through all dimensions of the tensors called `prefix` + name.
fn batch_at(case: &Case, prefix: &str, first: usize, rows: usize) -> Batch {
    let inputs = case.tensors("inputs.safetensors");
    let ids = &inputs[&format!("{prefix}input_ids")];
    let tokens = ids.shape[ids.shape.len() - 1];
    let all_rows = ids.values.len() / tokens;
    let part = |name: &str| {
        let Some(tensor) = inputs.get(&format!("{prefix}{name}")) else {
            return &[][..];
        };
        let a_row = tensor.values.len() / all_rows;
        &tensor.values[first * a_row..(first + rows) * a_row]
    };
    let parts = ["input_ids", "attention_mask", "token_type_ids", "labels"].map(part);
    batch_of(&case.json["kind"], tokens, parts)
}

fn first_pass_matches(name: &str, choice: DeviceChoice) {
    let case = Case::open(&format!("D/{name}"));
    let (model, expected) = (model(&case, choice), case.tensors("expected.safetensors"));
    let batch = batch_at(&case, "", 0, 4);
    let within = |what: &str, worst: f64, tolerance: &str| {
        let allowed = f64::from(case.tolerance(tolerance)) * factor(choice);
        assert!(
            worst <= allowed,
            "{name} on {choice:?}: {what} differs by {worst:e}, allowed {allowed:e}"
        );
    };

    let leaves: Leaves = model.parameters.tracked();
    let logits = block_on(lorakeet_core::models::read(
        model.logits(&model.parameters.plain(), &batch).flatten(0, 1),
    ));
    let logits = logits.expect("the device answers");
    let mask = match case.json["compare_logits_where"].as_str() {
        Some("attention_mask == 1") => batch.attention_mask.clone(),
        _ => vec![1.0; batch.rows],
    };
    let width = logits.len() / mask.len();
    let pairs = logits.iter().zip(&expected["logits"].values).enumerate();
    let real = pairs.filter(|(i, _)| mask[i / width] == 1.0);
    let worst = real.map(|(_, (a, b))| (f64::from(*a) - b).abs()).max_by(f64::total_cmp);
    within("logits", worst.expect("a token"), "logits_abs");

    let loss = model
        .loss(&leaves, &batch, 1.0 / batch.target_tokens as f32, None)
        .expect("labels that fit");
    let gradients = loss.backward();
    let loss = block_on(lorakeet_core::models::read(loss.inner())).expect("the device answers")[0];
    within("loss", (f64::from(loss) - number(&case.json["loss"])).abs(), "loss_abs");
    for (i, parameter) in model.parameters.iter().enumerate() {
        let gradient = leaves.grad(i, &gradients).expect("the loss depends on it");
        let gradient = block_on(lorakeet_core::models::read(gradient)).expect("the device answers");
        let wanted = &expected[&format!("grad.{}", parameter.name)];
        let what = format!("the gradient of {}", parameter.name);
        within(&what, worst_difference(&gradient, &wanted.values), "grad_abs");
    }
}

fn trajectory_matches(name: &str, choice: DeviceChoice) {
    let case = Case::open(&format!("D/{name}"));
    let (mut model, expected) = (model(&case, choice), case.tensors("expected.safetensors"));
    let described = &case.json["optimizer"];
    assert_eq!(described["schedule"], "cosine");
    let inputs = case.tensors("inputs.safetensors");
    let [steps, micro, rows, _] = inputs["train.input_ids"].shape[..] else {
        panic!("inputs have four dimensions")
    };
    let config = RunConfig {
        max_grad_norm: number(&described["clip"]),
        lr_scheduler_type: SchedulerType::Cosine,
        warmup_steps: number(&described["warmup_steps"]) as usize,
        max_steps: steps as i64,
        ..optimizer(described)
    };
    let close = |what: &str, step: usize, found: f64, tolerance: f64| {
        let wanted = expected[&format!("train.{what}")].values[step];
        let difference = (found - wanted).abs();
        assert!(
            difference <= tolerance,
            "{name} on {choice:?}, step {step}: {what} {found} instead of {wanted}: {difference:e} > {tolerance:e}"
        );
    };
    let tolerance = f64::from(case.tolerance("train_loss_abs")) * factor(choice);
    let batches = |step| {
        (0..micro)
            .map(|i| batch_at(&case, "train.", (step * micro + i) * rows, rows))
            .collect()
    };
    take_steps(&mut model, &config, batches, |step, settings, done, _| {
        close("lr", step, settings.learning_rate, 1e-9);
        close("loss", step, done.loss, tolerance);
    });
    let allowed = f64::from(case.tolerance("train_final_abs")) * factor(choice);
    for (name, _, values) in block_on(model.trained()).expect("the device answers") {
        let wanted = &expected[&format!("train.final.{name}")];
        let worst = worst_difference(&values, &wanted.values);
        assert!(
            worst <= allowed,
            "on {choice:?}: {name} differs by {worst:e}, allowed {allowed:e}"
        );
    }
}

/// The weights that were quantised here differ from the checkpoint's by the rounding of scales alone, so the losses do by
/// little.
fn own_quantisation_is_near(name: &str, choice: DeviceChoice) {
    let case = Case::open(&format!("D/{name}"));
    let device = block_on(device::open(choice)).expect("the device opens").0;
    let files = block_on(ModelFiles::open_path(&case.path)).expect("the model's files open");
    let base = Base::from(&quantised());
    let mut own =
        block_on(Model::load_base(&files, (false, base), 0, &device, &mut |_, _| ())).expect("the model loads");
    let adapter = block_on(Adapter::open_path(case.path.join("adapter_init"))).expect("the adapter opens");
    own.load_adapter(&adapter).expect("the adapter fits");
    let taken = model(&case, choice);
    assert_eq!(own.info.weight_bytes, taken.info.weight_bytes);
    let batch = batch_at(&case, "", 0, 4);
    let scale = 1.0 / batch.target_tokens as f32;
    let loss = |model: &Model| {
        let loss = model
            .loss(&model.parameters.plain(), &batch, scale, None)
            .expect("labels that fit");
        f64::from(block_on(lorakeet_core::models::read(loss)).expect("the device answers")[0])
    };
    let difference = (loss(&own) - loss(&taken)).abs();
    assert!(
        difference < 1e-4,
        "{name} on {choice:?}: losses differ by {difference:e}"
    );
}

#[test]
fn a_quantised_bert_gives_the_references_logits_and_gradients() {
    first_pass_matches("qlora_bert", DeviceChoice::Cpu);
    first_pass_matches("qlora_bert", DeviceChoice::Gpu);
}

#[test]
fn ten_steps_on_a_quantised_bert_match_the_reference() {
    trajectory_matches("qlora_bert", DeviceChoice::Cpu);
    trajectory_matches("qlora_bert", DeviceChoice::Gpu);
}

#[test]
fn a_base_that_is_quantised_here_is_near_the_one_that_bitsandbytes_wrote() {
    own_quantisation_is_near("qlora_llama", DeviceChoice::Cpu);
    own_quantisation_is_near("qlora_llama", DeviceChoice::Gpu);
}

#[test]
fn what_a_checkpoint_of_bitsandbytes_takes_is_told_to_the_byte() {
    let case = Case::open("D/qlora_llama");
    let files = block_on(ModelFiles::open_path(case.path.join("bnb4"))).expect("the model's files open");
    let said = block_on(estimate(&files, &quantised(), None, u64::MAX)).expect("an estimate");
    let loaded = model(&case, DeviceChoice::Cpu).info;
    assert_eq!(
        (said.base_bytes, said.parameters),
        (loaded.weight_bytes, loaded.parameters)
    );
}

#[test]
fn a_quantised_llama_gives_the_references_logits_and_gradients_on_the_cpu() {
    first_pass_matches("qlora_llama", DeviceChoice::Cpu);
}

#[test]
fn a_quantised_llama_gives_the_references_logits_and_gradients_on_vulkan() {
    first_pass_matches("qlora_llama", DeviceChoice::Gpu);
}

#[test]
fn ten_steps_on_a_quantised_llama_match_the_reference_on_the_cpu() {
    trajectory_matches("qlora_llama", DeviceChoice::Cpu);
}

#[test]
fn ten_steps_on_a_quantised_llama_match_the_reference_on_vulkan() {
    trajectory_matches("qlora_llama", DeviceChoice::Gpu);
}

#[test]
fn scales_of_bitsandbytes_are_counted_list_by_list() {
    let case = Case::open("D/qlora_llama");
    let folder = case.path.join("bnb4");
    let bytes = std::fs::read(folder.join("model.safetensors")).expect("the model's file");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let owned: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    let matrix = "model.layers.0.self_attn.q_proj.weight";
    let load = |changes: &[(&str, isize)]| {
        let mut changed = owned.clone();
        for (part, by) in changes {
            let name = format!("{matrix}.{part}");
            let (_, _, shape, bytes) = changed
                .iter_mut()
                .find(|(found, ..)| *found == name)
                .expect("it is packed");
            let size = bytes.len() / shape[0];
            shape[0] = shape[0].checked_add_signed(*by).expect("a size");
            bytes.resize(shape[0] * size, 0);
        }
        let views = changed.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).expect("a tensor");
            (name.as_str(), view)
        });
        let file = safetensors::serialize(views, None).expect("safetensors");
        let config = std::fs::read(folder.join("config.json")).expect("config.json");
        let files = vec![
            MemoryFile::source("config.json", config),
            MemoryFile::source("model.safetensors", file),
        ];
        let files = block_on(ModelFiles::open(files)).expect("they open");
        let base = Base::from(&quantised());
        let device = device::open(DeviceChoice::Cpu);
        let device = block_on(device).expect("the device opens").0;
        block_on(Model::load_base(&files, (false, base), 0, &device, &mut |_, _| ())).map(drop)
    };
    load(&[]).expect("the sound one loads");
    for (changes, field) in [
        (&[("absmax", -4), ("nested_absmax", 4)][..], "absmax"),
        (&[("nested_absmax", 1)], "nested_absmax"),
        (&[("absmax", 1)], "absmax"),
    ] {
        let error = load(changes).expect_err("the lists do not fit");
        assert_eq!(error.field, Some(format!("{matrix}.{field}")), "{error}");
    }
}
