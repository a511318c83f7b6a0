//! The page in a real browser: it opens, trains, pauses, changes a text, hands over an adapter, and says what is wrong
//! when something is missing. `cargo xtask test web` builds the page and runs these.

mod advice;
mod audit;
mod charts;
mod devices;
mod endurance;
mod exports;
mod files;
mod gpus;
mod hub;
mod inside;
mod kept_runs;
mod languages;
mod links;
mod memory;
mod offline;
mod requests;
mod run_history;
mod sharing;
mod sweeps;
mod turns;

use anyhow::{Context, Result, ensure};
use lorakeet_core::config::RunConfig;
use lorakeet_core::formats::peft::Adapter;
use lorakeet_core::protocol::DeviceChoice;
use lorakeet_core::store::{DiskFile, MemoryFile, Source};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::golden::block_on;
use lorakeet_tests::gpu_shim::GpuShim;
use lorakeet_tests::test_session::TestSession;
use lorakeet_tests::user_actions::{REACTION, READY, RUN, SAME, STATUS, STEP, unpack};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// What the loss has to fall by on the page's own model and data, in nats a token.
const FALL: f64 = 0.5;

/// The longest that the page may stand still between the press and the first step, and between two steps: kernels of a new
/// shape are compiled then. Autotuned ones were seen to take 25 s each on the software adapter.
const STALL: Duration = Duration::from_secs(60);

/// Keeps the longest time between two changes of the step, from the press on.
const WATCH_STEPS: &str = "const step = document.querySelector('[data-testid=\"step\"]');\
    document.querySelector('[data-testid=\"train\"]').addEventListener('click', () => {\
        let last = performance.now(); window.longestGap = 0;\
        new MutationObserver(() => { const now = performance.now();\
            window.longestGap = Math.max(window.longestGap, now - last); last = now;\
        }).observe(step, { childList: true, characterData: true, subtree: true });\
    }, { once: true });";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_used_within_a_second_while_its_engine_is_missing() -> Result<()> {
    let page = Page::open(&Options {
        missing: vec!["worker", "engine"],
        ..Options::default()
    })
    .await?;
    let ready = "return document.querySelector('[data-testid=\"train\"]') && performance.now()";
    let ready_ms = page.wait_until("the page is drawn", REACTION, ready).await?;
    let ready_ms = ready_ms.as_f64().context("a time is a number")?;
    println!("the page can be used after {ready_ms:.0} ms");
    ensure!(
        ready_ms < 1000.0,
        "the page took {ready_ms:.0} ms until it could be used"
    );
    // Used it is: another language is on the page at the next look.
    let heading = page.text("train").await?;
    page.set_field("language", "zh-Hans").await?;
    let changed = page.text("train").await?;
    ensure!(
        heading != changed,
        "the button still says {heading} after the language was changed"
    );
    // And it says that its engine is missing, with a way out.
    ensure!(!shown_error(&page, REACTION).await?.is_empty());
    page.element("restart").await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pressing_train_makes_the_loss_fall_and_changes_the_text() -> Result<()> {
    let page = Page::open(&Options {
        height: 1200,
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    let device = device(&page).await?;
    ensure!(
        device == "gpu",
        "the engine runs on {device}, although it was told to take the GPU"
    );
    page.screenshots("ready-1440").await?;
    shorten(&page, "60").await?;
    page.run(WATCH_STEPS, vec![]).await?;
    page.click("train").await?;
    let shown = "document.querySelector('[data-testid=\"train-loss\"]')?.textContent.trim()";
    page.wait_until("the first step", READY, &format!("return {STEP} >= 1 && {shown}"))
        .await?;
    let first = loss(&page).await?;
    let gaps = frame_gaps(&page).await?;
    page.screenshots("training-1440").await?;
    page.wait_until(
        "the run ends",
        RUN,
        &format!("return {STATUS} == 'done' || {STATUS} == 'failed'"),
    )
    .await?;
    ensure!(
        page.phase().await? == "done",
        "the run failed: {}\n{}",
        page.text("status").await?,
        page.console()
    );
    let last = loss(&page).await?;
    let stall = page.run("return window.longestGap", vec![]).await?;
    let stall = Duration::from_secs_f64(stall.as_f64().context("a time is a number")? / 1000.0);
    println!(
        "loss {first} → {last}; {}; at {} tokens/s; the longest wait for a step was {stall:.1?}; median frame {gaps:.0} ms",
        page.text("change").await?,
        page.text("speed").await?
    );
    ensure!(last < first - FALL, "the loss went from {first} to {last}");
    ensure!(stall < STALL, "the page waited {stall:.1?} for one step");
    let (before, after) = (
        written(&page, "sample-before").await?,
        written(&page, "sample-now").await?,
    );
    ensure!(
        !before.is_empty() && !after.is_empty() && before != after,
        "before: {before}\nafter: {after}"
    );
    page.screenshots("trained-1440").await?;
    // Two cores that draw, compute the GPU's work and train leave less than a real GPU would.
    ensure!(gaps < 100.0, "a frame took {gaps:.0} ms at the median while training");
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_holds_still_goes_on_and_can_be_stopped() -> Result<()> {
    let page = page_in_a_run().await?;
    page.click("pause").await?;
    page.wait_until("the run pauses", REACTION, &format!("return {STATUS} == 'paused'"))
        .await?;
    let held = step(&page).await?;
    // Longer than a step takes; there is nothing else to wait for.
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(
        step(&page).await? == held,
        "the run went on to step {} while it was paused",
        step(&page).await?
    );
    page.click("resume").await?;
    page.wait_until("the run goes on", REACTION, &format!("return {STEP} > {held}"))
        .await?;
    page.click("stop").await?;
    page.wait_until("the run stops", REACTION, &format!("return {STATUS} == 'done'"))
        .await?;
    page.wait_enabled("train", REACTION).await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_downloaded_adapter_has_peft_s_form_and_scores_the_same_natively() -> Result<()> {
    let page = gpus::open(GpuShim::default()).await?;
    shorten(&page, "10").await?;
    page.train_to_the_end().await?;
    page.run("document.getElementById('export').open = true", vec![])
        .await?;
    page.wait_enabled("download-adapter", REACTION).await?;
    let before = page.gpu().await?.counts.maps;
    page.click("download-adapter").await?;
    let archive = page.wait_for_download(".zip", REACTION).await?;
    // In Firefox each costs a tenth of a second. The adapter is read twice, and two batches of validation rows are scored with what
    // was trained and with what was read back.
    let maps = page.gpu().await?.counts.maps - before;
    ensure!(maps <= 2 * 3 + 2 * 2, "{maps} buffers were read for an export");
    let files = unpack(&std::fs::read(&archive)?)?;
    let file = |name: &str| -> Result<&Vec<u8>> {
        let found = files.iter().find(|(found, _)| found == name).map(|(_, bytes)| bytes);
        found.with_context(|| format!("the archive has no {name}"))
    };
    let config: Value = serde_json::from_slice(file("adapter_config.json")?)?;
    ensure!(
        config["peft_type"] == "LORA" && config["task_type"] == "CAUSAL_LM",
        "{config}"
    );
    let rank = config["r"].as_u64().context("r is a number")? as usize;
    let tensors = SafeTensors::deserialize(file("adapter_model.safetensors")?)?;
    let mut moved = 0;
    for (name, tensor) in tensors.tensors() {
        ensure!(
            name.starts_with("base_model.model.model.layers."),
            "PEFT would not find {name}"
        );
        let axis = if name.ends_with(".lora_A.weight") { 0 } else { 1 };
        ensure!(
            axis == 0 || name.ends_with(".lora_B.weight"),
            "PEFT would not find {name}"
        );
        ensure!(
            tensor.shape()[axis] == rank,
            "{name} has the shape {:?} at r = {rank}",
            tensor.shape()
        );
        // B starts at zero: whatever is not zero was learned.
        moved += usize::from(axis == 1 && tensor.data().iter().any(|byte| *byte != 0));
    }
    ensure!(
        moved > 0 && moved * 2 == tensors.len(),
        "{moved} of {} tensors B were trained",
        tensors.len() / 2
    );
    let run_file = page.run_file().await?;
    let shown = page.text("eval-loss").await?;
    let shown: f64 = shown.trim().parse().with_context(|| format!("`{shown}` is no loss"))?;
    let native = tokio::task::spawn_blocking(move || native_loss(&run_file, &files)).await??;
    println!("validation loss {shown} in the browser, {native:.4} natively");
    ensure!(
        (shown - native).abs() < SAME,
        "the adapter's validation loss is {shown} in the browser and {native} natively"
    );
    page.no_panic()?;
    page.close().await
}

/// The validation loss of an adapter before any step, as a native run by the page's own run file finds it on the CPU.
fn native_loss(run_file: &str, adapter: &[(String, Vec<u8>)]) -> Result<f64> {
    let mut config = RunConfig::parse(run_file, "run.yaml")?.config;
    config.max_steps = 1;
    let (model, data) = bundled(&config)?;
    let files = adapter
        .iter()
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()) as Source);
    let adapter = block_on(Adapter::open(files.collect()))?;
    let mut session = TestSession::with(DeviceChoice::Cpu, model, data);
    session.inner.load_adapter(adapter)?;
    session.train(config);
    let scored = session.evals();
    let first = scored.first();
    Ok(first
        .with_context(|| format!("the native run scored nothing: {:?}", session.events))?
        .loss)
}

/// The page's model and data that a run file names.
fn bundled(config: &RunConfig) -> Result<(Vec<Source>, Source)> {
    let public = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public");
    let mut model = Vec::new();
    for entry in std::fs::read_dir(public.join(&config.model_name_or_path))? {
        model.push(DiskFile::source(entry?.path())? as Source);
    }
    let data = DiskFile::source(public.join(&config.train_file))?;
    Ok((model, data))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_steps_on_a_quantised_base_have_the_losses_of_a_native_run() -> Result<()> {
    let page = Page::open(&Options::default()).await?;
    page.wait_enabled("train", READY).await?;
    ensure!(device(&page).await? == "gpu");
    shorten(&page, "10").await?;
    for (knob, value) in [("quantization_bit", "4"), ("lora_dropout", "0")] {
        page.set_knob(knob, value).await?;
    }
    let watch = format!(
        "window.losses = {{}}; new MutationObserver(() => {{ window.losses[{STEP}] = \
         document.querySelector('[data-testid=\"train-loss\"]').textContent; }})\
         .observe(document.body, {{ childList: true, characterData: true, subtree: true }});"
    );
    page.run(&watch, vec![]).await?;
    page.train_to_the_end().await?;
    let shown = page.run("return window.losses", vec![]).await?;
    let run_file = page.run_file().await?;
    ensure!(
        run_file.contains("quantization_bit: 4"),
        "the run file does not ask for 4 bits: {run_file}"
    );
    let native = tokio::task::spawn_blocking(move || native_losses(&run_file)).await??;
    for (step, native) in (1..).zip(&native) {
        let shown = shown[step.to_string()].as_str().unwrap_or_default();
        let shown: f64 = shown
            .trim()
            .parse()
            .with_context(|| format!("step {step}: `{shown}`"))?;
        ensure!(
            (shown - native).abs() < SAME,
            "step {step}: the loss is {shown} in the browser and {native} natively"
        );
    }
    println!("losses on NF4, natively and in the browser: {native:.4?}");
    ensure!(native.len() == 10);
    page.no_panic()?;
    page.close().await
}

/// The loss of each step of a native run by the page's run file on the CPU.
fn native_losses(run_file: &str) -> Result<Vec<f64>> {
    let config = RunConfig::parse(run_file, "run.yaml")?.config;
    let (model, data) = bundled(&config)?;
    let mut session = TestSession::with(DeviceChoice::Cpu, model, data);
    session.train(config);
    Ok(session.steps().iter().map(|step| step.loss).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_page_shows_everything_without_scrolling_sideways() -> Result<()> {
    let page = Page::open(&Options {
        width: 400,
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    page.run(
        "document.querySelectorAll('details').forEach(fold => fold.open = true)",
        vec![],
    )
    .await?;
    let width = page.run("return document.documentElement.scrollWidth", vec![]).await?;
    ensure!(
        width.as_u64().is_some_and(|width| width <= 400),
        "the page is {width} pixels wide on a screen of 400"
    );
    page.run(
        "document.querySelectorAll('details').forEach(fold => fold.open = false)",
        vec![],
    )
    .await?;
    shorten(&page, "5").await?;
    page.train_to_the_end().await?;
    page.screenshots("trained-400").await?;
    page.close().await
}

/// A page whose run has taken two of its many steps.
async fn page_in_a_run() -> Result<Page> {
    let page = Page::open(&Options::default()).await?;
    page.wait_enabled("train", READY).await?;
    shorten(&page, "500").await?;
    page.click("train").await?;
    page.wait_until("the second step", READY, &format!("return {STEP} >= 2"))
        .await?;
    Ok(page)
}

/// The error that the page shows, waited for.
async fn shown_error(page: &Page, limit: Duration) -> Result<String> {
    let there = "return !!document.querySelector('[data-testid=\"error\"]')";
    page.wait_until("an error is shown", limit, there).await?;
    page.text("error").await
}

/// A run that a software adapter ends in time: small batches, few texts to score.
async fn shorten(page: &Page, max_steps: &str) -> Result<()> {
    page.shorten(max_steps).await
}

/// `gpu`, `cpu`, `loading` or `failed`.
async fn device(page: &Page) -> Result<String> {
    let state = "return document.querySelector('[data-testid=\"device\"]').dataset.state";
    let state = page.run(state, vec![]).await?;
    Ok(state.as_str().unwrap_or_default().to_string())
}

async fn step(page: &Page) -> Result<u64> {
    page.run(&format!("return {STEP}"), vec![])
        .await?
        .as_u64()
        .context("a step is a number")
}

async fn loss(page: &Page) -> Result<f64> {
    let script = "return document.querySelector('[data-testid=\"train-loss\"]')?.textContent";
    let text = page.run(script, vec![]).await?;
    let text = text.as_str().unwrap_or_default();
    text.trim().parse().with_context(|| format!("`{text}` is no loss"))
}

/// What the model wrote, without what it was given.
async fn written(page: &Page, testid: &str) -> Result<String> {
    let script =
        format!("return document.querySelector('[data-testid=\"{testid}\"] .written span:last-child')?.textContent");
    Ok(page
        .run(&script, vec![])
        .await?
        .as_str()
        .unwrap_or_default()
        .to_string())
}

/// The median time between two frames over two seconds, in ms.
async fn frame_gaps(page: &Page) -> Result<f64> {
    let script = "const done = arguments[0], gaps = []; let last = performance.now(); const start = last;\
                  const frame = (now) => { gaps.push(now - last); last = now;\
                  if (now - start < 2000) requestAnimationFrame(frame);\
                  else done(gaps.sort((a, b) => a - b)[gaps.length >> 1]); };\
                  requestAnimationFrame(frame);";
    let gap = page.client.execute_async(script, vec![]).await?;
    gap.as_f64().context("a time is a number")
}
