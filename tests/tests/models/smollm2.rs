//! The engine on a real model, SmolLM2-135M-Instruct from its GGUF file (LORAKEET_SMOLLM2), on the CPU: logits, loss and
//! optimizer steps against transformers and PEFT (golden group F), what it says, and that it learns.

use half::f16;
use lorakeet_core::{
    config::{RunConfig, SchedulerType, TargetModules},
    device,
    estimate::estimate,
    formats::{
        ModelFiles,
        peft::{Adapter, AdapterConfig},
    },
    models::{Model, read},
    protocol::DeviceChoice,
    quant::BaseFormat,
    store::MemoryFile,
    tokenizer::Tokenizer,
};
use lorakeet_tests::{
    golden::{Case, block_on, number, worst_difference},
    trajectory::{batch, optimizer, scheduler, take_steps},
};
use safetensors::{Dtype, tensor::TensorView};
use std::{
    path::PathBuf,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

/// Of a lora_A, the share of elements that has to be within the tolerance: B starts at zero, so A's first gradients are tiny
/// noise, and Adam makes whole steps of it (`final_note` in case.json).
const STEADY_SHARE: f64 = 0.999;

struct SmolLm2 {
    model: Model,
    tokenizer: Tokenizer,
}

/// The model, loaded once: it takes half a gigabyte, which the tests use in turns.
fn smollm2() -> MutexGuard<'static, SmolLm2> {
    static SHARED: LazyLock<Mutex<SmolLm2>> = LazyLock::new(|| Mutex::new(block_on(load())));
    // A test that failed leaves the base as it was, and every test brings its own adapter.
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The golden checkpoint is the GGUF file in 16 bits, so the weights are rounded as they were for the reference: the unrounded
/// ones move a logit by up to 7e-3, seven times what is allowed here.
async fn load() -> SmolLm2 {
    let path = std::env::var_os("LORAKEET_SMOLLM2").expect("LORAKEET_SMOLLM2 names the GGUF file");
    let files = ModelFiles::open_path(&PathBuf::from(path))
        .await
        .expect("the file opens");
    let mut tensors = Vec::new();
    for entry in files.entries() {
        let (shape, values) = files.read_f32(&entry.name).await.expect("the tensor can be read");
        let rounded = values.into_iter().flat_map(|value| f16::from_f32(value).to_le_bytes());
        tensors.push((entry.name.clone(), shape, rounded.collect::<Vec<u8>>()));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F16, shape.clone(), bytes).expect("numbers fill their shape");
        (name, view)
    });
    let weights = safetensors::serialize(views, None).expect("the tensors can be written");
    drop(tensors);
    let rounded = vec![
        MemoryFile::source("config.json", files.config.to_string().into_bytes()),
        MemoryFile::source("model.safetensors", weights),
    ];
    let rounded = ModelFiles::open(rounded).await.expect("the rounded files open");
    let device = device::open(DeviceChoice::Cpu).await.expect("the CPU opens").0;
    let model = Model::load(&rounded, false, 0, &device, &mut |_, _| ()).await;
    SmolLm2 {
        model: model.expect("the model loads"),
        tokenizer: files.tokenizer.expect("the file holds a tokenizer"),
    }
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    logits.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln() as f32
}

#[test]
fn logits_and_loss_of_a_text_match_the_reference() {
    let mut shared = smollm2();
    let model = &mut shared.model;
    model.detach_lora().expect("nothing but adapters is trained");
    let case = Case::open("F/smollm2_model");
    let expected = case.tensors("expected.safetensors");
    let ids = &case.tensors("inputs.safetensors")["text_ids"].values;
    let text = batch(ids.len(), ids, &vec![1.0; ids.len()], ids);
    let leaves = model.parameters.plain();

    // The reference keeps of its logits what a whole vocabulary adds up to, the likeliest twenty after the last token, and
    // the likelihood of each token of the text.
    let logits = block_on(read(model.logits(&leaves, &text).flatten(0, 1))).expect("the device answers");
    let rows: Vec<&[f32]> = logits.chunks(logits.len() / ids.len()).collect();
    let last = rows[ids.len() - 1];
    let likeliest = &expected["last_logits_top20_ids"].values;
    let likeliest: Vec<f32> = likeliest.iter().map(|&id| last[id as usize]).collect();
    let surprise = rows
        .iter()
        .zip(&ids[1..])
        .map(|(row, &id)| log_sum_exp(row) - row[id as usize]);
    let tolerance = f64::from(case.tolerance("logits_abs"));
    for (name, found) in [
        ("last_logits_top20", likeliest),
        ("last_logsumexp", vec![log_sum_exp(last)]),
        ("token_nll", surprise.collect()),
    ] {
        let worst = worst_difference(&found, &expected[name].values);
        assert!(worst <= tolerance, "{name} differs by {worst:e}, allowed {tolerance:e}");
    }

    let loss = model
        .loss(&leaves, &text, 1.0 / text.target_tokens as f32, None)
        .expect("labels that fit");
    let loss = block_on(read(loss)).expect("the device answers");
    let (worst, tolerance) = (
        worst_difference(&loss, &expected["loss"].values),
        case.tolerance("loss_abs"),
    );
    assert!(
        worst <= f64::from(tolerance),
        "the loss differs by {worst:e}, allowed {tolerance:e}"
    );
}

#[test]
fn lora_steps_match_the_reference() {
    let mut shared = smollm2();
    let model = &mut shared.model;
    let case = Case::open("F/smollm2_model");
    let adapter = block_on(Adapter::open_path(case.path.join("adapter_init"))).expect("the adapter opens");
    model.load_adapter(&adapter).expect("the adapter fits");
    let inputs = case.tensors("inputs.safetensors");
    let (ids, labels) = (&inputs["train.input_ids"], &inputs["train.labels"]);
    let [steps, rows, tokens] = ids.shape[..] else {
        panic!("inputs have three dimensions")
    };
    // The schedule is told in words, "NAME, …": the warm-up ends where the rate is the peak.
    let described = &case.json["optimizer"];
    let schedule = described["schedule"].as_str().expect("words").split(',').next();
    let rates: Vec<f64> = case.json["lr"].as_array().expect("rates").iter().map(number).collect();
    assert_eq!(rates.len(), steps, "a rate a step");
    let peak = rates.iter().copied().fold(0.0, f64::max);
    let config = RunConfig {
        lr_scheduler_type: scheduler(&schedule.into()),
        max_steps: steps as i64,
        warmup_steps: rates.iter().position(|rate| *rate == peak).expect("a peak"),
        warmup_ratio: 0.0,
        max_grad_norm: number(&described["clip"]),
        ..optimizer(described)
    };
    let batches = |step: usize| {
        let place = step * rows * tokens..(step + 1) * rows * tokens;
        vec![batch(
            tokens,
            &ids.values[place.clone()],
            &vec![1.0; place.len()],
            &labels.values[place],
        )]
    };

    let tolerance = |name: &str| f64::from(case.tolerance(name));
    let close = |what: &str, step: usize, found: f64, tolerance: f64| {
        let wanted = number(&case.json[what][step]);
        let difference = (found - wanted).abs();
        assert!(
            difference <= tolerance,
            "step {step}: {what} {found} instead of {wanted}: {difference:e} > {tolerance:e}"
        );
    };
    take_steps(model, &config, batches, |step, settings, done, _| {
        close("lr", step, settings.learning_rate, 1e-12);
        close("train_loss", step, done.loss, tolerance("train_loss_abs"));
        let norm = number(&case.json["grad_norm"][step]);
        close("grad_norm", step, done.grad_norm, norm * tolerance("grad_norm_rel"));
    });

    let expected = case.tensors("expected.safetensors");
    let trained = block_on(model.trained()).expect("the device answers");
    assert_eq!(
        trained.len(),
        case.json["final_norms"].as_object().expect("norms by name").len()
    );
    let allowed = tolerance("final_abs");
    let mut compared = 0;
    for (name, shape, values) in &trained {
        let norm = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let difference = (norm - number(&case.json["final_norms"][name])).abs();
        assert!(
            difference <= allowed,
            "the norm of {name} differs by {difference:e}, allowed {allowed:e}"
        );

        let Some(wanted) = expected.get(&format!("train.final.{name}")) else {
            continue;
        };
        assert_eq!(wanted.shape, *shape, "{name}");
        let share = if name.contains("lora_A") { STEADY_SHARE } else { 1.0 };
        let is_steady = |(a, b): &(&f32, &f64)| (f64::from(**a) - **b).abs() <= allowed;
        let steady = values.iter().zip(&wanted.values).filter(is_steady).count();
        let worst = worst_difference(values, &wanted.values);
        assert!(
            steady as f64 >= share * values.len() as f64,
            "{name}: {steady} of {} elements are within {allowed:e}, the worst differs by {worst:e}",
            values.len()
        );
        compared += 1;
    }
    assert_eq!(
        compared,
        expected.keys().filter(|name| name.starts_with("train.final.")).count()
    );
}

#[test]
fn greedy_continuation_of_the_capital_of_france_is_paris() {
    let SmolLm2 { model, tokenizer } = &*smollm2();
    let ids = tokenizer
        .encode("The capital of France is", true)
        .expect("the text encodes");
    let (leaves, mut cache) = (model.parameters.plain(), model.new_cache());
    let mut next = ids;
    let mut answer = Vec::new();
    for _ in 0..2 {
        let logits = model.next_logits(&leaves, &next, &mut cache, false);
        let values = block_on(read(logits.flatten::<1>(0, 1))).expect("the device answers");
        let best = (0..values.len())
            .max_by(|&a, &b| values[a].total_cmp(&values[b]))
            .expect("a vocabulary");
        answer.push(best as u32);
        next = vec![best as u32];
    }
    assert_eq!(tokenizer.decode(&answer, true).expect("the tokens decode"), " Paris.");
}

#[test]
fn ten_lora_steps_on_one_sentence_lower_its_loss() {
    let SmolLm2 { model, tokenizer } = &mut *smollm2();
    let adapter = AdapterConfig {
        target_modules: TargetModules::Pattern("all-linear".into()),
        r: 8,
        lora_alpha: 16.0,
        ..AdapterConfig::default()
    };
    model.attach_lora(&adapter, 42).expect("it has linears");
    let text = "Parakeets are small slender parrots with long tails that live in flocks and eat seeds.";
    let ids: Vec<f64> = tokenizer
        .encode(text, true)
        .expect("the text encodes")
        .into_iter()
        .map(f64::from)
        .collect();
    let config = RunConfig {
        lr_scheduler_type: SchedulerType::Constant,
        learning_rate: 2e-3,
        max_steps: 10,
        ..RunConfig::default()
    };
    let sentence = |_| vec![batch(ids.len(), &ids, &vec![1.0; ids.len()], &ids)];
    let mut losses = Vec::new();
    take_steps(model, &config, sentence, |_, _, done, _| losses.push(done.loss));
    assert!(losses[9] < losses[0] - 0.5, "{losses:?}");
}

#[test]
fn what_the_gguf_file_takes_is_told_to_the_byte() {
    // The other tests' model waits, so that two are not there at once.
    let _turn = smollm2();
    let path = std::env::var_os("LORAKEET_SMOLLM2").expect("LORAKEET_SMOLLM2 names the GGUF file");
    let files = block_on(ModelFiles::open_path(&PathBuf::from(path))).expect("the file opens");
    let device = block_on(device::open(DeviceChoice::Cpu)).expect("the CPU opens").0;
    for quantization_bit in [None, Some(4)] {
        let config = RunConfig {
            quantization_bit,
            ..RunConfig::default()
        };
        let kind = (false, BaseFormat::from(&config));
        let model = block_on(Model::load_base(&files, kind, 0, &device, &mut |_, _| ())).expect("the model loads");
        let said = block_on(estimate(&files, &config, None, u64::MAX)).expect("an estimate");
        assert_eq!(said.base_bytes, model.info.weight_bytes);
        // Q4_1 takes five bits a weight, and what came quantised is not quantised again.
        let bytes = said.bytes_per_parameter();
        assert!((0.62..0.72).contains(&bytes), "{bytes} bytes a parameter");
    }
}
