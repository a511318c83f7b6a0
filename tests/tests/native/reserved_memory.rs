//! What the allocator holds beside what runs are said to take: at most 1.3 times as much, whatever the lengths of the rows, and
//! no more after two hundred steps than after a few.
//!
//! In processes of their own, because the allocator's books are the process's. The native allocator is told what the browser's
//! is: a buffer an allocation.

use burn::tensor::Device;
use lorakeet_core::{
    config::{FinetuningType, RunConfig, TargetModules},
    data::Batch,
    device,
    error::Kind,
    estimate::estimate,
    formats::{ModelFiles, peft::AdapterConfig},
    models::Model,
    protocol::{Command, DeviceChoice, Event, GenerateOptions, Prompt},
    quant::BaseFormat,
    store::{DiskFile, MemoryFile, Source},
};
use lorakeet_tests::{
    alone::alone,
    generated::Decoder,
    golden::block_on,
    test_session::{TestSession, failure, find},
    tiny,
    trajectory::{batch, take_steps},
};
use serde_json::json;
use std::{cell::RefCell, path::Path};

/// What may be reserved, of what a run is said to take.
const MOST: f64 = 1.3;

/// A model that is small, in SmolLM2's proportions.
const SMALL: Decoder = Decoder {
    layers: 4,
    width: 96,
    inner: 256,
    heads: 3,
    kv_heads: 1,
    vocab: 8192,
    positions: 256,
};

/// Lengths as batches of short texts have them.
const LENGTHS: [usize; 12] = [64, 40, 48, 64, 24, 56, 32, 64, 48, 16, 40, 56];

fn lora() -> RunConfig {
    RunConfig {
        target_modules: TargetModules::Pattern("all-linear".into()),
        lora_dropout: 0.0,
        val_size: 0.0,
        gradient_accumulation_steps: 1,
        per_device_train_batch_size: 4,
        cutoff_len: 64,
        ..RunConfig::default()
    }
}

/// A batch of rows of which about `counted` in eight tokens are trained on.
fn rows_of(rows: usize, tokens: usize, counted: usize) -> Batch {
    let ids: Vec<f64> = (0..rows * tokens).map(|i| (i * 37 % SMALL.vocab) as f64).collect();
    let label = |(i, id): (usize, &f64)| if i % 8 < counted { *id } else { -100.0 };
    let labels: Vec<f64> = ids.iter().enumerate().map(label).collect();
    batch(tokens, &ids, &vec![1.0; ids.len()], &labels)
}

/// Runs `config` on a model and a batch a step, and gives what the run is said to take and what was reserved after each step.
fn train(device: &Device, shape: Decoder, config: &RunConfig, batch_of: &dyn Fn(usize) -> Batch) -> (u64, Vec<u64>) {
    let files = block_on(ModelFiles::open(shape.llama())).expect("the files open");
    let limit = device::largest_buffer_bytes(device);
    let said = block_on(estimate(&files, config, None, limit)).expect("an estimate");
    let said = said.peak_bytes.expect("a peak");
    let full = config.finetuning_type == FinetuningType::Full;
    let kind = (full, BaseFormat::from(config));
    let mut model = block_on(Model::load_base(&files, kind, 0, device, &mut |_, _| ())).expect("it loads");
    if !full {
        let adapter = AdapterConfig {
            r: config.lora_r,
            target_modules: config.target_modules.clone(),
            ..AdapterConfig::default()
        };
        model.attach_lora(&adapter, 0).expect("the modules are there");
    }
    let _run = device::expect_memory(said);
    let reserved = RefCell::new(Vec::new());
    take_steps(
        &mut model,
        config,
        |step| vec![batch_of(step)],
        |_, _, done, _| {
            assert!(done.loss.is_finite());
            let now = device::reserved_bytes(device).expect("the device counts");
            reserved.borrow_mut().push(now);
        },
    );
    (said, reserved.into_inner())
}

#[test]
fn a_run_reserves_little_more_than_it_is_said_to_take() {
    alone(|| {
        let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver");
        let packed = RunConfig {
            quantization_bit: Some(4),
            ..lora()
        };
        let full = RunConfig {
            finetuning_type: FinetuningType::Full,
            ..lora()
        };
        let of_one_length = |_| rows_of(4, 64, 8);
        let of_many = |step: usize| rows_of(4, LENGTHS[step], 8);
        let of_many_targets = |step: usize| rows_of(4, LENGTHS[step], 1 + step % 8);
        for (name, config) in [("LoRA", lora()), ("4 bit", packed), ("full", full)] {
            let config = RunConfig {
                max_steps: LENGTHS.len() as i64,
                ..config
            };
            for (batches, batch_of) in [
                ("one length", &of_one_length as &dyn Fn(usize) -> Batch),
                ("many lengths", &of_many),
                ("many lengths, few targets", &of_many_targets),
            ] {
                let watch = device::watch_memory();
                let (said, after) = train(&device, SMALL, &config, batch_of);
                let share = |bytes: u64| bytes as f64 / said as f64;
                let most = share(watch.peak_reserved_bytes());
                println!(
                    "{name}, {batches}: {said} bytes said, {:.3} of that used, {most:.3} reserved, after steps {:.3?}",
                    share(watch.peak_bytes()),
                    after.iter().map(|bytes| share(*bytes)).collect::<Vec<_>>()
                );
                assert!(most <= MOST, "{name}, {batches}: {most}");
            }
        }
    });
}

#[test]
fn two_hundred_steps_reserve_no_more_than_the_first() {
    alone(|| {
        let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver");
        let config = RunConfig {
            max_steps: 200,
            ..lora()
        };
        let of_step = |step: usize| rows_of(1 + step % 4, LENGTHS[step % LENGTHS.len()], 8 - step % 3);
        let thin = Decoder { layers: 1, ..SMALL };
        let (said, reserved) = train(&device, thin, &config, &of_step);
        // All shapes, one after any other, have come by step 100.
        let (early, late) = reserved.split_at(100);
        let (early, late) = (early.iter().max(), late.iter().max());
        println!("{said} bytes said, {early:?} reserved in the first hundred steps, {late:?} in the second");
        assert!(late <= early, "{early:?} bytes, then {late:?}");
    });
}

/// A file that comes with the page.
fn public(path: &str) -> Source {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public").join(path);
    DiskFile::source(path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn scores_samples_and_texts_reserve_as_little() {
    alone(|| {
        let names = [
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "model.safetensors",
        ];
        let files = names.map(|name| public(&format!("model/{name}"))).to_vec();
        let mut session = TestSession::with(DeviceChoice::Gpu, files, public("data/devils-dictionary.jsonl"));
        let config = RunConfig {
            cutoff_len: 64,
            per_device_train_batch_size: 4,
            per_device_eval_batch_size: 4,
            val_size: 8.0,
            max_samples: Some(80),
            max_steps: 12,
            eval_steps: 6.0,
            ..RunConfig::default()
        };
        let command = Command::Estimate {
            config: Box::new(config.clone()),
        };
        session.ask(command, Vec::new());
        let said = find(&session, |event| match event {
            Event::Estimate { memory, .. } => memory.peak_bytes,
            _ => None,
        });
        let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("it is open");
        let watch = device::watch_memory();
        session.train(config);
        session.summary();
        let share = watch.peak_reserved_bytes() as f64 / said as f64;
        println!("said {said} bytes, reserved {share:.3} of that at most in a run");
        assert!(share <= MOST, "{share}");

        // Outside of a run only the model, its adapter and what one text needs.
        let in_use = device::memory_bytes(&device).expect("the device counts");
        let options = GenerateOptions {
            max_new_tokens: 64,
            ..GenerateOptions::default()
        };
        let prompt = Prompt::Text("LOVE, n.".into());
        let command = Command::Generate {
            id: 1,
            prompt,
            options,
            adapter: true,
        };
        session.ask(command, Vec::new());
        let reserved = device::reserved_bytes(&device).expect("the device counts");
        println!("in use {in_use} bytes, reserved {reserved}");
        assert!(reserved as f64 <= MOST * in_use as f64 + f64::from(12 << 20));
    });
}

/// Lets this process have so many bytes of addresses and no more; without a number, as many as it wants.
#[cfg(target_os = "linux")]
fn limit_addresses(bytes: Option<u64>) {
    let soft = bytes.map_or("unlimited".into(), |bytes| bytes.to_string());
    let process = std::process::id().to_string();
    let limited = std::process::Command::new("prlimit")
        .args(["--pid", &process, &format!("--as={soft}:")])
        .status();
    assert!(limited.expect("util-linux is installed").success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_the_gpu_has_no_memory_for_is_refused_before_its_first_step() {
    alone(|| {
        let row = json!({ "prompt": "say a", "completion": "b".repeat(200) });
        let data = MemoryFile::source("rows.jsonl", format!("{row}\n").repeat(1600).into_bytes());
        let mut session = TestSession::with(DeviceChoice::Gpu, tiny::model_files(), data);
        let config = RunConfig {
            per_device_train_batch_size: 1600,
            cutoff_len: 128,
            val_size: 0.0,
            max_steps: 1,
            ..tiny::config()
        };
        // The software driver takes a GPU's memory from the process.
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
        let kib = kib.and_then(|kib| kib.trim().strip_suffix(" kB")).expect("a size");
        limit_addresses(Some(kib.parse::<u64>().expect("a number") * 1024 + (300 << 20)));
        session.train(config.clone());
        limit_addresses(None);
        let error = failure(&session);
        assert_eq!(error.kind, Kind::OutOfMemory, "{error}");
        let text = error.to_string();
        assert!(
            ["could not provide it", "per_device_train_batch_size", "cutoff_len"]
                .iter()
                .all(|part| text.contains(part)),
            "{text}"
        );
        assert!(session.steps().is_empty());
        // Nothing of the trial is left.
        let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("it is open");
        assert!(device::reserved_bytes(&device).is_some_and(|bytes| bytes < 64 << 20));
        session.train(RunConfig {
            per_device_train_batch_size: 2,
            ..config
        });
        session.summary();
    });
}
