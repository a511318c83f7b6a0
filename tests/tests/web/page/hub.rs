//! A model from a hub, in the page: nobody is asked before the person says so, a download that a reload cuts off goes on where it
//! was, and the model trains.

use super::shorten;
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::fake_hub::{FakeHub, Faults};
use lorakeet_tests::site::{Site, dist};
use lorakeet_tests::user_actions::{REACTION, READY, STEP};
use serde_json::json;
use std::path::Path;

const ID: &str = "lorakeet/from-hub";
const WEIGHTS: &str = "model.safetensors";
/// What the engine asks for at a time of files as short as these.
const PIECE: u64 = 1 << 20;

/// A hub with the page's own model.
fn with_model() -> Result<(FakeHub, u64)> {
    let hub = FakeHub::start()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/model");
    let mut files = Vec::new();
    for name in [
        "README.md",
        "config.json",
        WEIGHTS,
        "tokenizer.json",
        "tokenizer_config.json",
    ] {
        let bytes = std::fs::read(folder.join(name)).with_context(|| format!("{name} of the page's model"))?;
        files.push((name, bytes));
    }
    let length = files
        .iter()
        .find(|(name, _)| *name == WEIGHTS)
        .map_or(0, |(_, bytes)| bytes.len());
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    hub.publish(ID, &files);
    Ok((hub, length as u64))
}

/// The page, whose engine may ask the hub.
async fn open(hub: &FakeHub) -> Result<(Page, Site)> {
    let site = Site::start_beside(&dist()?, &[hub.endpoint(), hub.file_host()]).await?;
    let options = Options {
        webgpu: false,
        ..Options::default()
    };
    let page = Page::open_at(&format!("{}?device=cpu", site.url()), &options).await?;
    page.wait_enabled("train", READY).await?;
    Ok((page, site))
}

/// Opens the fold and names the hub and the model.
async fn name(page: &Page, hub: &FakeHub, name: &str) -> Result<()> {
    let unfold = "document.querySelectorAll('#model details').forEach((fold) => { fold.open = true; })";
    page.run(unfold, Vec::new()).await?;
    page.set_field("hub-endpoint", &hub.endpoint()).await?;
    page.write("hub-name", name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_after_a_reload_and_its_model_trains() -> Result<()> {
    let (hub, length) = with_model()?;
    let (page, _site) = open(&hub).await?;
    name(&page, &hub, ID).await?;
    let host = page.content("[data-testid=\"hub-host\"]").await?;
    ensure!(host.contains("127.0.0.1"), "{host}");
    ensure!(
        hub.requests().is_empty(),
        "{:?} before anything was pressed",
        hub.requests()
    );
    page.press("hub-look").await?;
    page.wait_until(
        "the files are listed",
        REACTION,
        "return !!document.querySelector('[data-testid=\"hub-listing\"]')",
    )
    .await?;
    let listing = page.content("[data-testid=\"hub-listing\"]").await?;
    ensure!(listing.contains(WEIGHTS) && !listing.contains("README"), "{listing}");
    page.screenshot("hub-listing").await?;

    // In its middle the page is loaded anew.
    hub.forget();
    hub.go_wrong(Faults {
        pause_ms: 60,
        ..Faults::default()
    });
    page.press("hub-download").await?;
    let middle = format!(
        "return Number(document.querySelector('[data-testid=\"hub-progress\"]')?.dataset.done ?? 0) > {}",
        2 * PIECE + PIECE / 2
    );
    page.wait_until("it is in the middle", REACTION, &middle).await?;
    page.screenshot("hub-progress").await?;
    page.client.refresh().await?;
    hub.go_wrong(Faults::default());
    page.wait_enabled("train", READY).await?;
    let is_stored = "return !!document.querySelector('[data-testid=\"go-on-model\"]')";
    page.wait_until("its beginning is stored", REACTION, is_stored).await?;
    // The hub's address was kept.
    page.press("go-on-model").await?;
    let is_loaded = "return document.querySelector('#model .step-summary').textContent.includes('from-hub')";
    page.wait_until("it is loaded", REACTION, is_loaded).await?;
    let sent = hub.sent(WEIGHTS);
    ensure!(
        (length..=length + PIECE).contains(&sent),
        "{sent} bytes were given of {length}"
    );
    ensure!(!hub.has_leaked());

    shorten(&page, "3").await?;
    page.train_to_the_end().await?;
    ensure!(page.run(&format!("return {STEP}"), Vec::new()).await? == json!(3));

    // Removed, and had back, and removed for good.
    page.screenshot("stored-models").await?;
    page.press("forget-model").await?;
    page.press("undo-forget-model").await?;
    page.press("forget-model").await?;
    page.run("window.dispatchEvent(new Event('pagehide'))", Vec::new())
        .await?;
    let is_gone = "return !document.querySelector('[data-testid=\"stored-models\"]')";
    page.wait_until("it is off the list", REACTION, is_gone).await?;
    let is_removed = "return (async () => {
        const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('lorakeet');
        for await (const name of root.keys()) if (name.startsWith('model-')) return false;
        return true;
    })()";
    page.wait_until("it is removed", REACTION, is_removed).await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gated_model_is_told_and_a_token_stays_with_the_hub() -> Result<()> {
    let (hub, _) = with_model()?;
    hub.close(ID, "secret", true);
    let (page, _site) = open(&hub).await?;
    name(&page, &hub, ID).await?;
    page.press("hub-look").await?;
    page.wait_until(
        "it is refused",
        REACTION,
        "return !!document.querySelector('[data-testid=\"hub-problem\"]')",
    )
    .await?;
    let error = page.content("[data-testid=\"hub-problem\"]").await?;
    ensure!(
        error.contains("accepted its terms") && error.contains(&hub.endpoint()),
        "{error}"
    );
    page.set_field("hub-token", "secret").await?;
    page.press("hub-look").await?;
    page.wait_until(
        "it is not refused any more",
        REACTION,
        "return !!document.querySelector('[data-testid=\"hub-fit\"]')?.textContent \
         && !document.querySelector('[data-testid=\"hub-problem\"]')",
    )
    .await?;
    page.press("hub-download").await?;
    let is_loaded = "return document.querySelector('#model .step-summary').textContent.includes('from-hub')";
    page.wait_until("it is loaded", REACTION, is_loaded).await?;
    ensure!(!hub.has_leaked(), "the token went to another host");
    let kept = page
        .run("return JSON.stringify({ ...localStorage })", Vec::new())
        .await?;
    ensure!(!kept.to_string().contains("secret"), "{kept}");
    page.no_panic()?;
    page.close().await
}
