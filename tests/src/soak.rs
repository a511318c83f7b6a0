//! Two thousand steps on the bundled model with memory watched: what the native soak tests have in common.
//!
//! Dropout, clipping, rows of different lengths, scores and samples are all in it, so that whatever of them keeps memory
//! shows. Rows are short, so that it ends in minutes on two cores.

use crate::memory::{STEPS, check_flat, resident_bytes};
use crate::test_session::TestSession;
use lorakeet_core::config::RunConfig;
use lorakeet_core::protocol::{Command, DeviceChoice, Event};
use lorakeet_core::store::{DiskFile, Source};
use std::path::Path;
use std::time::Instant;

const MODEL: [&str; 4] = [
    "model/config.json",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "model/model.safetensors",
];
const DATA: &str = "data/devils-dictionary.jsonl";
/// Steps between two looks at memory.
const LOOK: usize = 10;
/// Steps between two words to whoever waits.
const TALK: usize = 250;
/// On top of the 5%: the log of a run grows by a report every ten steps, and the heap in pages and arenas. Measured were no
/// growth on the CPU (41 MiB), and 1.3 MiB on software Vulkan (176 MiB), over the 1,200 steps between the two windows.
const HOST_ALLOWANCE_BYTES: u64 = 4 << 20;
/// On top of the 5%: tensors in use are counted to the byte, and what differs from step to step is the length of the rows.
const DEVICE_ALLOWANCE_BYTES: u64 = 1 << 20;

/// Trains on `device` and holds that memory stays flat, and that the loss stays finite and falls.
///
/// # Panics
/// Where one of these does not hold.
pub fn two_thousand_steps(device: DeviceChoice) {
    let mut session = TestSession::with(device, MODEL.map(public).to_vec(), public(DATA));
    let command = Command::Train {
        config: Box::new(config()),
        sample_prompt: Some("LOVE, n.".into()),
        watch: Vec::new(),
        keep: None,
    };
    let (mut host, mut on_device, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    let start = Instant::now();
    session.ask_and(command, Vec::new(), &mut |event, _| {
        let Event::Step(step) = event else { return };
        host.extend(resident_bytes(std::process::id()).map(|bytes| (step.step, bytes)));
        on_device.extend(step.device_bytes.map(|bytes| (step.step, bytes)));
        losses.push(step.loss);
        if step.step.is_multiple_of(TALK) {
            println!(
                "{device:?}: step {} after {:.0} s",
                step.step,
                start.elapsed().as_secs_f64()
            );
        }
    });
    let summary = session.summary();
    assert!(summary.finished && summary.steps == STEPS, "{summary:?}");
    println!("{device:?}: {STEPS} steps in {:.0} s", start.elapsed().as_secs_f64());

    assert_eq!(losses.len(), STEPS / LOOK);
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&losses[..10]), mean(&losses[losses.len() - 10..]));
    println!("{device:?}: loss {first:.3} over the first hundred steps, {last:.3} over the last");
    assert!(last < first, "the loss went from {first} to {last}");

    if device == DeviceChoice::Gpu {
        check_flat("memory in use on the device", &on_device, DEVICE_ALLOWANCE_BYTES)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    if host.is_empty() && !cfg!(target_os = "linux") {
        println!("{device:?}: this system has no /proc, so the host's memory was not watched");
        return;
    }
    check_flat("resident memory of the process", &host, HOST_ALLOWANCE_BYTES).unwrap_or_else(|error| panic!("{error}"));
}

fn config() -> RunConfig {
    RunConfig {
        per_device_train_batch_size: 2,
        gradient_accumulation_steps: 1,
        cutoff_len: 32,
        learning_rate: 1e-3,
        val_size: 16.0,
        eval_steps: 250.0,
        logging_steps: LOOK as f64,
        save_steps: 0.0,
        max_steps: STEPS as i64,
        ..RunConfig::default()
    }
}

/// A file that comes with the page.
fn public(path: &str) -> Source {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public").join(path);
    DiskFile::source(path).unwrap_or_else(|error| panic!("{error}"))
}
