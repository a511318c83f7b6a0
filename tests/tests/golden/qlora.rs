//! QLoRA against transformers, PEFT and bitsandbytes (golden group D): a base that is quantised to NF4 with double
//! quantisation while it is read, its logits, its adapter's gradients, and steps of training on it, on the CPU and on
//! software Vulkan.

use lorakeet_core::{
    config::RunConfig,
    data::Batch,
    device,
    estimate::estimate,
    formats::{ModelFiles, peft::Adapter, safetensors::write_f32},
    models::{Leaves, Model, read},
    protocol::DeviceChoice,
    quant::{BaseFormat, Block, Code, FourBit},
    store::MemoryFile,
};
use lorakeet_tests::{
    golden::{Case, block_on, number, words, worst_difference},
    trajectory::{PARTS, batch_of, meaningful, optimizer, scheduler, take_steps, whole_batch},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// The reference's tolerances are ten times its own float32 error. The GPU sums in another order, so it gets four times that.
fn factor(choice: DeviceChoice) -> f64 {
    if choice == DeviceChoice::Cpu { 1.0 } else { 4.0 }
}

/// The folder's quantised models: a small folder leaves them out.
fn cases() -> Vec<Case> {
    Case::all_with("D", "bnb4/model.safetensors")
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
    let base = BaseFormat::from(&quantised());
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
    batch_of(case.kind(), tokens, PARTS.map(part))
}

fn logits_of(model: &Model, batch: &Batch) -> Vec<f32> {
    let logits = model.logits(&model.parameters.plain(), batch);
    block_on(read(logits.flatten(0, 1))).expect("the device answers")
}

fn loss_of(model: &Model, batch: &Batch) -> f64 {
    let loss = model
        .loss(&model.parameters.plain(), batch, 1.0 / batch.target_tokens as f32, None)
        .expect("labels that fit");
    f64::from(block_on(read(loss)).expect("the device answers")[0])
}

/// The largest difference of logits that mean something.
fn logits_differ(case: &Case, batch: &Batch, found: &[f32], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len(), "{}: as many logits", case.name);
    let mask = meaningful(case, batch, batch.rows);
    let width = found.len() / mask.len();
    let pairs = found.iter().zip(wanted).enumerate();
    let real = pairs.filter(|(i, _)| mask[i / width] == 1.0);
    let worst = real.map(|(_, (a, b))| (f64::from(*a) - b).abs()).max_by(f64::total_cmp);
    worst.expect("a token")
}

fn first_pass_matches(case: &Case, choice: DeviceChoice) {
    let name = &case.name;
    let (model, expected) = (model(case, choice), case.tensors("expected.safetensors"));
    let batch = whole_batch(case);
    let within = |what: &str, worst: f64, tolerance: f32| {
        let allowed = f64::from(tolerance) * factor(choice);
        assert!(
            worst <= allowed,
            "{name} on {choice:?}: {what} differs by {worst:e}, allowed {allowed:e}"
        );
    };

    let leaves: Leaves = model.parameters.tracked();
    let logits = logits_of(&model, &batch);
    let worst = logits_differ(case, &batch, &logits, &expected["logits"].values);
    within("logits", worst, case.tolerance("logits_abs"));

    let loss = model
        .loss(&leaves, &batch, 1.0 / batch.target_tokens as f32, None)
        .expect("labels that fit");
    let gradients = loss.backward();
    let loss = block_on(read(loss.inner())).expect("the device answers")[0];
    within(
        "loss",
        (f64::from(loss) - number(&case.json["loss"])).abs(),
        case.loss_tolerance(),
    );
    let wanted = expected.keys().filter(|name| name.starts_with("grad.")).count();
    assert_eq!(model.parameters.len(), wanted, "{name}: gradients");
    for (i, parameter) in model.parameters.iter().enumerate() {
        let gradient = leaves.grad(i, &gradients).expect("the loss depends on it");
        let gradient = block_on(read(gradient)).expect("the device answers");
        let wanted = &expected[&format!("grad.{}", parameter.name)];
        let what = format!("the gradient of {}", parameter.name);
        within(
            &what,
            worst_difference(&gradient, &wanted.values),
            case.tolerance("grad_abs"),
        );
    }
}

fn trajectory_matches(case: &Case, choice: DeviceChoice) {
    let name = &case.name;
    let (mut model, expected) = (model(case, choice), case.tensors("expected.safetensors"));
    let described = &case.json["optimizer"];
    let inputs = case.tensors("inputs.safetensors");
    let [steps, micro, rows, _] = inputs["train.input_ids"].shape[..] else {
        panic!("inputs have four dimensions")
    };
    assert_eq!(expected["train.loss"].values.len(), steps, "{name}: a loss a step");
    let config = RunConfig {
        max_grad_norm: number(&described["clip"]),
        lr_scheduler_type: scheduler(&described["schedule"]),
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
            .map(|i| batch_at(case, "train.", (step * micro + i) * rows, rows))
            .collect()
    };
    take_steps(&mut model, &config, batches, |step, settings, done, _| {
        // Both compute it in double precision.
        close("lr", step, settings.learning_rate, 1e-9 * config.learning_rate);
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

/// A base that is quantised while it is read computes as the same weights do that were quantised and decoded before. How
/// near its scales are to bitsandbytes' is held where the formats are.
fn own_quantisation_is_its_numbers(case: &Case, choice: DeviceChoice) {
    let name = &case.name;
    let device = block_on(device::open(choice)).expect("the device opens").0;
    let adapter = block_on(Adapter::open_path(case.path.join("adapter_init"))).expect("the adapter opens");
    let load = |files: &ModelFiles, base: BaseFormat| {
        let loaded = block_on(Model::load_base(files, (false, base), 0, &device, &mut |_, _| ()));
        let mut model = loaded.expect("the model loads");
        model.load_adapter(&adapter).expect("the adapter fits");
        model
    };
    let files = block_on(ModelFiles::open_path(&case.path)).expect("the model's files open");
    let own = load(&files, BaseFormat::from(&quantised()));

    // A head of a file that is not quantised stays as it is, BERT's pooler with it.
    let is_quantised = |name: &str| {
        let listed = words(&case.json["quantised_weights"]).any(|listed| listed == name);
        listed && !name.contains("pooler")
    };
    let decoded = case.tensors("model.safetensors").into_iter().map(|(name, tensor)| {
        let mut values: Vec<f32> = tensor.values.iter().map(|value| *value as f32).collect();
        if is_quantised(&name) {
            let packed = FourBit::encode(&values, Code::Nf4, Block::Of64).and_then(FourBit::with_double_absmax);
            values = packed.expect("the weights are finite").decode();
        }
        (name, tensor.shape, values)
    });
    let decoded: Vec<_> = decoded.collect();
    let files = vec![
        MemoryFile::source("config.json", case.config().to_string().into_bytes()),
        MemoryFile::source("model.safetensors", write_f32(&decoded).expect("shapes fit")),
    ];
    let files = block_on(ModelFiles::open(files)).expect("the model's files open");
    let dense = load(&files, BaseFormat::AsStored);

    let batch = whole_batch(case);
    let wanted: Vec<f64> = logits_of(&dense, &batch).into_iter().map(f64::from).collect();
    let logits = logits_differ(case, &batch, &logits_of(&own, &batch), &wanted);
    let loss = (loss_of(&own, &batch) - loss_of(&dense, &batch)).abs();
    for (what, worst, tolerance) in [
        ("logits", logits, case.tolerance("logits_abs")),
        ("loss", loss, case.loss_tolerance()),
    ] {
        // Both are within the tolerance of the true numbers.
        let allowed = 2.0 * f64::from(tolerance) * factor(choice);
        assert!(
            worst <= allowed,
            "{name} on {choice:?}: {what} differs by {worst:e}, allowed {allowed:e}"
        );
    }
}

#[test]
fn quantised_models_give_the_references_logits_and_gradients_on_the_cpu() {
    cases()
        .iter()
        .for_each(|case| first_pass_matches(case, DeviceChoice::Cpu));
}

#[test]
fn quantised_models_give_the_references_logits_and_gradients_on_vulkan() {
    cases()
        .iter()
        .for_each(|case| first_pass_matches(case, DeviceChoice::Gpu));
}

#[test]
fn steps_on_quantised_models_match_the_reference_on_the_cpu() {
    cases()
        .iter()
        .for_each(|case| trajectory_matches(case, DeviceChoice::Cpu));
}

#[test]
fn steps_on_quantised_models_match_the_reference_on_vulkan() {
    cases()
        .iter()
        .for_each(|case| trajectory_matches(case, DeviceChoice::Gpu));
}

#[test]
fn a_base_that_is_quantised_here_computes_as_its_numbers_do() {
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        cases()
            .iter()
            .for_each(|case| own_quantisation_is_its_numbers(case, choice));
    }
}

#[test]
fn what_a_quantised_base_takes_is_told_to_the_byte() {
    let device = block_on(device::open(DeviceChoice::Cpu)).expect("the device opens").0;
    let base = BaseFormat::from(&quantised());
    for (case, part) in cases().iter().flat_map(|case| [(case, "bnb4"), (case, ".")]) {
        let files = block_on(ModelFiles::open_path(case.path.join(part))).expect("the model's files open");
        let said = block_on(estimate(&files, &quantised(), None, u64::MAX)).expect("an estimate");
        let loaded = block_on(Model::load_base(&files, (false, base), 0, &device, &mut |_, _| ()));
        let loaded = loaded.expect("the model loads").info;
        assert_eq!(
            (said.base_bytes, said.parameters),
            (loaded.weight_bytes, loaded.parameters),
            "{}/{part}",
            case.name
        );
    }
}

#[test]
fn scales_of_bitsandbytes_are_counted_list_by_list() {
    for case in cases() {
        scales_are_counted(&case);
    }
}

/// Lengthens and shortens the scales of one matrix of the checkpoint.
fn scales_are_counted(case: &Case) {
    let folder = case.path.join("bnb4");
    let matrix = words(&case.json["quantised_weights"])
        .next()
        .expect("a quantised matrix");
    let bytes = std::fs::read(folder.join("model.safetensors")).expect("the model's file");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let owned: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
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
        let base = BaseFormat::from(&quantised());
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
        assert_eq!(error.field, Some(format!("{matrix}.{field}").into()), "{error}");
    }
}
