//! Runs that outlive the page: closed and opened again it goes on with them, from the person's own files, too.

use super::shorten;
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::user_actions::{REACTION, READY, RUN, STATUS, STEP};
use serde_json::{Value, json};

/// The checkpoints that the indexes of the private file system name; one that is being written has another name.
const CHECKPOINTS: &str = "return (async () => {
    const found = new Set();
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('lorakeet').catch(() => null);
    if (!root) return [];
    for await (const [name, folder] of root.entries()) {
        if (!name.startsWith('run-')) continue;
        for (const slot of ['index-0.json', 'index-1.json']) {
            const file = await folder.getFileHandle(slot).then((handle) => handle.getFile()).catch(() => null);
            for (const [step] of ((await file?.text().catch(() => '')) ?? '').matchAll(/checkpoint-[0-9]+(?=[/])/g)) found.add(step);
        }
    }
    return [...found];
})()";

const IS_OFFERED: &str = "return !!document.querySelector('[data-testid=\"interrupted-run\"]')";

const UNFOLD: &str = "document.querySelector('[data-testid=\"storage\"]').open = true";

/// Whether no copy of a file is stored.
const NO_COPY: &str = "return (async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('lorakeet');
    for await (const name of (await root.getDirectoryHandle('inputs')).keys()) return !name;
    return true;
})()";

/// Counts how often the browser is asked to keep what is stored.
const COUNT_PERSIST: &str = "window.asked = 0; const persist = StorageManager.prototype.persist;
    StorageManager.prototype.persist = function () { window.asked += 1; return persist.call(this); };";

async fn open() -> Result<Page> {
    let page = Page::open(&Options {
        webgpu: false,
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    Ok(page)
}

/// Trains until a checkpoint was written as the page was left, and leaves it; gives back the step of the checkpoint.
async fn leave_in_a_run(page: &Page) -> Result<u64> {
    shorten(page, "2000").await?;
    page.click("train").await?;
    page.wait_until("the third step", READY, &format!("return {STEP} >= 3"))
        .await?;
    ensure!(
        page.run(CHECKPOINTS, Vec::new()).await? == json!([]),
        "nothing is due yet"
    );
    // As a browser does it when its tab is closed; here the page stays until the checkpoint is written.
    page.run("window.dispatchEvent(new Event('pagehide'))", Vec::new())
        .await?;
    let written = format!(
        "return ({}).then((found) => found.length > 0 && found)",
        &CHECKPOINTS["return ".len()..]
    );
    let found = page.wait_until("a checkpoint is written", REACTION, &written).await?;
    let step = found[0].as_str().and_then(|name| name.strip_prefix("checkpoint-"));
    let step = step.and_then(|step| step.parse().ok()).context("a checkpoint's name")?;
    page.client.refresh().await?;
    page.wait_enabled("train", READY).await?;
    page.wait_until("the run is offered", REACTION, IS_OFFERED).await?;
    Ok(step)
}

/// Goes on with the run that is offered; the steps that the chart has then.
async fn go_on(page: &Page, from: u64) -> Result<()> {
    // Leaving the page saves once more, where there is time for it.
    let text = page.text("interrupted-run").await?;
    let offered = text
        .split_once("step ")
        .and_then(|(_, rest)| rest.split_once(" of 2000"));
    let offered: u64 = offered
        .and_then(|(step, _)| step.parse().ok())
        .with_context(|| text.clone())?;
    ensure!(offered >= from, "saved was {from}: {text}");
    let from = offered;
    page.screenshot("interrupted-run").await?;
    page.click("go-on").await?;
    let goes_on = format!("return {STATUS} === 'running' && {STEP} > {from} && {STEP}");
    let step = page.wait_until("the run goes on", READY, &goes_on).await?;
    ensure!(
        step.as_u64() < Some(from + 200),
        "it begins at step {step}, saved was {from}"
    );
    ensure!(page.run(IS_OFFERED, Vec::new()).await? == Value::Bool(false));
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_after_the_page_was_closed() -> Result<()> {
    let page = open().await?;
    page.set_knob("learning_rate", "0.0007").await?;
    let step = leave_in_a_run(&page).await?;
    let rate = "return document.querySelector('[data-testid=\"learning_rate\"]').value";
    go_on(&page, step).await?;
    ensure!(
        page.run(rate, Vec::new()).await? == "0.0007",
        "the run's settings are shown"
    );
    page.run(UNFOLD, Vec::new()).await?;
    let stored = page.text("stored-runs").await?;
    ensure!(stored.contains("1 stored run"), "{stored}");
    let room =
        "return document.querySelector('[data-testid=\"storage-room\"]').textContent.includes('of its quota of')";
    page.wait_until("the room is told", REACTION, room).await?;
    page.screenshot("stored-runs").await?;
    // Off the list at once, and had back, and removed for good.
    page.click("forget").await?;
    page.wait_until(
        "it is off the list",
        REACTION,
        "return !document.querySelector('[data-testid=\"stored-run\"]')",
    )
    .await?;
    page.click("undo-forget").await?;
    page.wait_until(
        "it is back",
        REACTION,
        "return !!document.querySelector('[data-testid=\"stored-run\"]')",
    )
    .await?;
    page.click("free-all").await?;
    let sure = page.text("free-all-size").await?;
    ensure!(sure.contains("deleted for good") && sure.ends_with("B."), "{sure}");
    ensure!(page.run(CHECKPOINTS, Vec::new()).await? != json!([]), "it only asks");
    page.click("free-all-now").await?;
    let gone = "return !document.querySelector('[data-testid=\"storage\"]')";
    page.wait_until("no run is stored", REACTION, gone).await?;
    ensure!(page.run(CHECKPOINTS, Vec::new()).await? == json!([]));
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_is_opened_again_after_a_reload() -> Result<()> {
    let page = open().await?;
    shorten(&page, "3").await?;
    page.train_to_the_end().await?;
    page.wait_enabled("download-adapter", REACTION).await?;
    let shown = async || Ok::<_, anyhow::Error>((page.text("samples").await?, page.text("report-sentence").await?));
    let wanted = shown().await?;
    page.client.refresh().await?;
    page.wait_enabled("train", READY).await?;
    page.run(UNFOLD, Vec::new()).await?;
    page.wait_enabled("open-run", REACTION).await?;
    page.click("open-run").await?;
    let is_open = format!("return {STATUS} === 'done'");
    page.wait_until("the run is shown", READY, &is_open).await?;
    page.wait_enabled("download-adapter", READY).await?;
    ensure!(shown().await? == wanted, "{:?} for {wanted:?}", shown().await?);
    page.screenshot("opened-run").await?;
    // The trained model is there, and writes.
    page.set_field("max-tokens", "4").await?;
    page.press("generate").await?;
    let written = "return !!document.querySelector('[data-testid=\"answer-tuned\"] .written:not(.empty):not(.growing)')?.textContent";
    page.wait_until("the trained model has written", READY, written).await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_wrong_goes_back_to_its_last_good_checkpoint_by_a_press() -> Result<()> {
    let page = open().await?;
    shorten(&page, "2000").await?;
    // The rate grows until it is too high.
    page.set_knob("learning_rate", "0.9").await?;
    page.set_knob("warmup_steps", "60").await?;
    page.run(COUNT_PERSIST, Vec::new()).await?;
    page.click("train").await?;
    page.wait_until("the second step", READY, &format!("return {STEP} >= 2"))
        .await?;
    let asked = page.run("return window.asked", Vec::new()).await?;
    ensure!(asked == json!(1), "the first act that stores asks: {asked}");
    page.click("pause").await?;
    page.wait_until("it holds", REACTION, &format!("return {STATUS} === 'paused'"))
        .await?;
    page.run("window.dispatchEvent(new Event('pagehide'))", Vec::new())
        .await?;
    let written = format!(
        "return ({}).then((found) => found.length > 0)",
        &CHECKPOINTS["return ".len()..]
    );
    page.wait_until("a checkpoint is written", REACTION, &written).await?;
    page.click("resume").await?;
    let offered = "return document.querySelector('[data-testid=\"start-again\"]')?.textContent";
    let label = page.wait_until("the way out is offered", RUN, offered).await?;
    let label = label.as_str().context("a text")?.to_owned();
    let step = label
        .strip_prefix("Go back to step ")
        .and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok())
        .with_context(|| label.clone())?;
    ensure!(label.ends_with(" 0.3"), "a third of the rate: {label}");
    page.screenshot("diverging").await?;
    page.press("start-again").await?;
    let goes_on = format!(
        "return Number(document.querySelector('[data-testid=\"learning_rate\"]').value) === 0.3 && {STATUS} === 'running' \
         && {STEP} > {step}"
    );
    page.wait_until("it goes on from there", READY, &goes_on).await?;
    let notes = page.content("[data-testid=\"notes\"]").await?;
    ensure!(
        notes.contains(&format!(
            "continues from its checkpoint of step {step} with learning_rate 3e-1"
        )),
        "{notes}"
    );
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_the_person_s_own_file_goes_on_without_it() -> Result<()> {
    let page = open().await?;
    let rows: String = (0..600)
        .map(|row| format!("{{\"text\": \"Row {row} says that parrots repeat.\"}}\n"))
        .collect();
    let file = std::env::temp_dir().join(format!("parrots-{}.jsonl", std::process::id()));
    std::fs::write(&file, rows)?;
    page.upload("data-input", &[&file]).await?;
    let is_read = "return document.querySelector('#data .step-summary').textContent.includes('600 rows')";
    page.wait_until("the rows are read", REACTION, is_read).await?;
    page.wait_enabled("train", READY).await?;
    let step = leave_in_a_run(&page).await?;
    // What goes on is the copy in the browser.
    std::fs::remove_file(&file)?;
    go_on(&page, step).await?;
    page.wait_until(
        "a run that was stopped is not called interrupted",
        REACTION,
        "return !document.querySelector('[data-testid=\"interrupted-run\"]')",
    )
    .await?;
    // The copy is listed as what it is, and goes when it is removed and the page is left.
    page.run(UNFOLD, Vec::new()).await?;
    let files = page.text("stored-files").await?;
    ensure!(
        files.contains("parrots") && files.contains("needed by 1 run"),
        "{files}"
    );
    page.click("forget-file").await?;
    page.run("window.dispatchEvent(new Event('pagehide'))", Vec::new())
        .await?;
    page.wait_until("the copy is removed", REACTION, NO_COPY).await?;
    ensure!(page.text("stored-runs").await?.contains("1 stored run"));
    page.no_panic()?;
    page.close().await
}
