//! Memory over thousands of steps in the page, in a real Chromium with WebGPU: what its renderer (with the worker and its
//! WebAssembly memory) and its GPU process take, and that the run ends well. The page shows no figure of the device's memory
//! of its own; on the software adapter it is part of what the GPU process takes.

use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::memory::{STEPS, check_flat, is_told};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The engine, the bundled model and the data; compiling kernels on a software adapter takes its time.
const READY: Duration = Duration::from_secs(240);
/// All steps on the software adapter.
const RUN: Duration = Duration::from_secs(3600);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Steps between two words to whoever waits.
const TALK: usize = 250;
/// Rows so short, and so few at once, that two thousand steps end.
const KNOBS: [(&str, &str); 6] = [
    ("per_device_train_batch_size", "1"),
    ("cutoff_len", "32"),
    ("val_size", "0"),
    ("eval_steps", "0"),
    ("logging_steps", "20"),
    ("learning_rate", "1e-3"),
];
/// On top of the 5%. The renderer's worker makes JavaScript objects for each of WebGPU's, and V8 lets 16 MiB of them lie
/// before it collects (`docs/log.md`); the 5% are 23 MiB of that, for half of what renderers take is their program.
const ALLOWANCE_BYTES: u64 = 8 << 20;

/// Phase, step and loss as the page shows them.
const STATE: &str = "const text = (id) => document.querySelector(`[data-testid=\"${id}\"]`)?.textContent ?? '';\
                     const step = text('step').replace(/\\/.*/, '').replace(/[^0-9]/g, '');\
                     return [document.querySelector('[data-testid=\"status\"]')?.dataset.phase, Number(step), Number(text('train-loss'))];";

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_steps_in_the_page_leave_memory_flat() -> Result<()> {
    let page = Page::open(&Options {
        // Left to choose, an engine may take the CPU before a software adapter.
        query: "?device=gpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    let device = "return document.querySelector('[data-testid=\"device\"]').dataset.state";
    ensure!(
        page.run(device, vec![]).await? == json!("gpu"),
        "the engine does not use WebGPU: {}\n{}",
        page.text("device").await?,
        page.console()
    );
    page.set_field("max_steps", &STEPS.to_string()).await?;
    for (knob, value) in KNOBS {
        page.set_field(knob, value).await?;
    }
    page.wait_enabled("train", READY).await?;
    page.click("train").await?;

    let mut memory: BTreeMap<String, Vec<(usize, u64)>> = BTreeMap::new();
    let mut losses: BTreeMap<usize, f64> = BTreeMap::new();
    let mut told = 0;
    let start = Instant::now();
    loop {
        let (phase, step, loss) = state(&page).await?;
        if step > 0 {
            losses.insert(step, loss);
            for (part, bytes) in page.memory() {
                memory.entry(part).or_default().push((step, bytes));
            }
        }
        if step / TALK > told {
            told = step / TALK;
            println!("in the page: step {step} after {:.0} s", start.elapsed().as_secs_f64());
        }
        // The end is told at once, the last step with the next frame.
        if phase == "done" && step == STEPS {
            break;
        }
        ensure!(
            ["starting", "running", "done"].contains(&phase.as_str()),
            "the run is {phase} at step {step}: {}\n{}",
            page.text("status").await?,
            page.console()
        );
        ensure!(
            start.elapsed() < RUN,
            "only {step} steps in {} s\n{}",
            RUN.as_secs(),
            page.console()
        );
        tokio::time::sleep(LOOK).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    let (_, last) = losses.last_key_value().context("no step was shown")?;
    let (first_step, first) = losses.first_key_value().context("no step was shown")?;
    println!("in the page: {STEPS} steps in {seconds:.0} s; loss {first} at step {first_step}, {last} at the end");
    ensure!(losses.values().all(|loss| loss.is_finite()), "{losses:?}");
    ensure!(last < first, "the loss went from {first} to {last}");
    ensure!(!page.console().contains("panicked"), "{}", page.console());
    page.close().await?;

    if !is_told() && !cfg!(target_os = "linux") {
        println!("this system has no /proc, so the browser's memory was not watched");
        return Ok(());
    }
    for part in ["renderer", "gpu-process", "browser"] {
        let points = memory.get(part).with_context(|| format!("the browser has no {part}"))?;
        check_flat(&format!("resident memory of the {part}"), points, ALLOWANCE_BYTES)?;
    }
    Ok(())
}

async fn state(page: &Page) -> Result<(String, usize, f64)> {
    let state = page.run(STATE, vec![]).await?;
    // A field that shows no number yet is null or NaN, which JSON writes as null.
    Ok((
        state[0].as_str().unwrap_or_default().to_owned(),
        state[1].as_u64().unwrap_or(0) as usize,
        state[2].as_f64().unwrap_or(f64::NAN),
    ))
}
