//! What the page asks for in a whole visit: nothing of any other origin than its own.
//!
//! The browser itself tells. Each file of the page comes with a policy that forbids other origins and blocks nothing, so that whatever
//! of the page asks for something elsewhere (the document, its workers, the service worker) is reported to the page's server.

use super::{REACTION, READY, STATUS, shorten};
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::site::dist;
use lorakeet_tests::user_actions::STEP;
use serde_json::{Value, json};
use std::time::Duration;

const POLICY: &str = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'; form-action 'self'; \
                      report-uri /reports";
/// All files of the page are stored, on a slow machine.
const STORED: Duration = Duration::from_secs(120);
const IS_KEPT: &str = "return !!navigator.serviceWorker.controller";
/// What the document fetched from elsewhere, by the browser's own list.
const ELSEWHERE: &str = "return performance.getEntriesByType('resource').map(({ name }) => name)
    .filter((name) => /^(https?|wss?):/.test(name) && new URL(name).origin !== location.origin)";

/// What was asked for elsewhere, as the browser reported it.
fn reported(site: &FileSite) -> Result<Vec<String>> {
    let address = |text: &String| -> Result<String> {
        let report: Value = serde_json::from_str(text).with_context(|| format!("no report: {text}"))?;
        let address = report["csp-report"]["blocked-uri"].as_str();
        Ok(address.with_context(|| format!("no address: {text}"))?.to_owned())
    };
    site.posted().iter().map(address).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_visit_asks_no_other_origin_for_anything() -> Result<()> {
    let (site, other) = (FileSite::start().await?, FileSite::start().await?);
    site.send_header("content-security-policy-report-only", POLICY);
    site.serve_folder("", &dist()?)?;
    let options = Options {
        webgpu: false,
        ..Options::default()
    };
    let page = Page::open_at(&format!("{}/?device=cpu", site.origin()), &options).await?;
    page.wait_enabled("train", READY).await?;
    page.wait_until("the page is kept", STORED, IS_KEPT).await?;

    // Trained, stopped, exported, loaded anew.
    shorten(&page, "2000").await?;
    page.click("train").await?;
    page.wait_until("the third step", READY, &format!("return {STEP} >= 3"))
        .await?;
    page.click("stop").await?;
    page.wait_until("the run is over", READY, &format!("return {STATUS} === 'done'"))
        .await?;
    page.run("document.getElementById('export').open = true", Vec::new())
        .await?;
    page.wait_enabled("download-adapter", REACTION).await?;
    page.click("download-adapter").await?;
    page.wait_for_download(".zip", REACTION).await?;
    ensure!(page.run(ELSEWHERE, Vec::new()).await? == json!([]));
    page.client.refresh().await?;
    page.wait_enabled("train", READY).await?;
    ensure!(page.run(ELSEWHERE, Vec::new()).await? == json!([]));

    // What would have been reported is: by the document and by a worker.
    let before = reported(&site)?;
    let script = format!(
        "fetch('{}/from-worker', {{ mode: 'no-cors' }}).catch(() => {{}});",
        other.origin()
    );
    site.serve("/control.js", script, &[]);
    let ask = "fetch(arguments[0], { mode: 'no-cors' }).catch(() => {}); new Worker('/control.js'); return true";
    page.run(ask, vec![json!(format!("{}/from-page", other.origin()))])
        .await?;
    let own: Vec<String> = ["/from-page", "/from-worker"]
        .map(|path| format!("{}{path}", other.origin()))
        .into();
    let is_told = async || -> Result<()> {
        loop {
            let told = reported(&site)?;
            if own.iter().all(|address| told.contains(address)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(REACTION, is_told())
        .await
        .with_context(|| format!("the browser reports nothing: {:?}", site.posted()))??;
    let mut told = reported(&site)?;
    told.retain(|address| !own.contains(address));
    ensure!(before.is_empty() && told.is_empty(), "asked for elsewhere: {told:?}");
    page.no_panic()?;
    page.close().await
}
