//! The page without a network, from a folder of a host as static hosts have it; and a newer version of it.

use super::{REACTION, READY, STATUS, shorten};
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::site::dist;
use lorakeet_tests::user_actions::STEP;
use serde_json::{Value, json};
use std::time::Duration;

const FOLDER: &str = "/course/lorakeet";
/// All files of the page are stored, on a slow machine.
const STORED: Duration = Duration::from_secs(120);
const IS_KEPT: &str = "return !!navigator.serviceWorker.controller";
const IS_OFFERED: &str = "return !!document.querySelector('[data-testid=\"new-version\"]')";
/// A file of the page that a newer version has with other contents.
const CHANGED: &str = "manifest.webmanifest";

async fn open(site: &FileSite) -> Result<Page> {
    site.serve_folder(FOLDER, &dist()?)?;
    let options = Options {
        webgpu: false,
        ..Options::default()
    };
    let page = Page::open_at(&format!("{}{FOLDER}/?device=cpu", site.origin()), &options).await?;
    page.wait_enabled("train", READY).await?;
    page.wait_until("the page is kept", STORED, IS_KEPT).await?;
    Ok(page)
}

/// A run that is under way when the network goes: the page is loaded anew without it so often, and the run goes on each time.
pub(super) async fn reload_in_a_run(times: usize) -> Result<()> {
    let site = FileSite::start().await?;
    let page = open(&site).await?;
    shorten(&page, "2000").await?;
    page.click("train").await?;
    site.empty();
    let before = site.requests().len();
    let mut saved = 0;
    for _ in 0..times {
        saved = page.save_by_leaving(saved).await?;
        page.client.refresh().await?;
        page.wait_enabled("train", READY).await?;
        let from = page.go_on_with_offer().await?;
        ensure!(from >= saved, "it goes on from step {from}, saved was {saved}");
        saved = from;
    }
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    // Another one, from its first step to its last.
    shorten(&page, "3").await?;
    page.train_to_the_end().await?;
    // A browser looks for a newer version whenever a page is opened.
    let asked: Vec<String> = site.requests().split_off(before);
    ensure!(asked.iter().all(|path| path == &format!("{FOLDER}/sw.js")), "{asked:?}");
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_installed() -> Result<()> {
    let site = FileSite::start().await?;
    let page = open(&site).await?;
    let icons = "return (async () => {
        const link = document.querySelector('link[rel=manifest]').href;
        const manifest = await (await fetch(link)).json();
        const sizes = [];
        for (const { src } of manifest.icons) {
            const image = new Image();
            image.src = new URL(src, link).href;
            await image.decode();
            sizes.push(image.naturalWidth);
        }
        return [new URL(manifest.start_url, link).href === location.href.split('?')[0], manifest.display, sizes];
    })()";
    let found = page.run(icons, Vec::new()).await?;
    ensure!(found[0] == json!(true) && found[1] == "standalone", "{found}");
    let sizes = found[2].as_array().context("sizes of icons")?;
    ensure!([192, 512].iter().all(|size| sizes.contains(&json!(size))), "{found}");
    page.close().await
}

/// Puts another version of the page in place of the one that is served.
async fn publish(site: &FileSite, page: &Page, contents: &str) -> Result<()> {
    let dist = dist()?;
    let worker = std::fs::read_to_string(dist.join("sw.js")).context("the page has no sw.js")?;
    let list = worker
        .lines()
        .find_map(|line| line.strip_prefix("const FILES = ")?.strip_suffix(';'));
    let mut list: Value = serde_json::from_str(list.context("sw.js has no list of files")?)?;
    let digest = "const [text] = arguments;
        return crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
            .then((digest) => 'sha256-' + btoa(String.fromCharCode(...new Uint8Array(digest))))";
    let old = list[CHANGED].take();
    list[CHANGED] = page.run(digest, vec![json!(contents)]).await?;
    let (old, new) = (
        old.as_str().context("it is in the list")?,
        list[CHANGED].as_str().context("a digest")?,
    );
    ensure!(old != new, "nothing changes");
    let renewed = worker
        .replacen(old, new, 1)
        .replacen("const VERSION = \"", "const VERSION = \"next-", 1);
    site.serve(&format!("{FOLDER}/{CHANGED}"), contents, &[]);
    site.serve(&format!("{FOLDER}/sw.js"), renewed, &[]);
    let update = "return navigator.serviceWorker.getRegistration().then((registration) => registration.update()).then(() => true)";
    page.run(update, Vec::new()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_waits_until_it_is_asked_for_and_no_run_is_under_way() -> Result<()> {
    let site = FileSite::start().await?;
    let page = open(&site).await?;
    let contents = "{\"name\": \"a newer one\"}";
    let has_newer = format!(
        "return fetch('{CHANGED}').then((answer) => answer.text()).then((text) => text === {})",
        json!(contents)
    );
    publish(&site, &page, contents).await?;
    page.wait_until("the newer version is offered", STORED, IS_OFFERED)
        .await?;
    ensure!(
        page.run(&has_newer, Vec::new()).await? == json!(false),
        "it was taken unasked"
    );

    // During a run it is not offered.
    shorten(&page, "2000").await?;
    page.click("train").await?;
    page.wait_until("the second step", READY, &format!("return {STEP} >= 2"))
        .await?;
    ensure!(
        page.run(IS_OFFERED, Vec::new()).await? == json!(false),
        "it is offered during a run"
    );
    page.click("stop").await?;
    page.wait_until("the run stops", REACTION, &format!("return {STATUS} == 'done'"))
        .await?;

    // Another tab may be in the middle of one.
    let here = page.client.window().await?;
    let other = page.client.new_window(true).await?;
    page.client.switch_to_window(other.handle).await?;
    page.client
        .goto(&format!("{}{FOLDER}/?device=cpu", site.origin()))
        .await?;
    page.client.switch_to_window(here.clone()).await?;
    page.click("take-version").await?;
    let elsewhere = "return !!document.querySelector('[data-testid=\"version-elsewhere\"]')";
    page.wait_until("the other tab is named", REACTION, elsewhere).await?;
    ensure!(
        page.run(&has_newer, Vec::new()).await? == json!(false),
        "it was taken all the same"
    );
    let windows = page.client.windows().await?;
    let other = windows
        .into_iter()
        .find(|window| *window != here)
        .context("the other tab")?;
    page.client.switch_to_window(other).await?;
    page.client.close_window().await?;
    page.client.switch_to_window(here).await?;

    // The newer worker answers this page, too, before it is loaded anew; and a tab that was closed is counted for a moment.
    page.run("window.isOfTheOldVersion = true", Vec::new()).await?;
    let take_until_loaded_anew =
        "if (window.isOfTheOldVersion) document.querySelector('[data-testid=\"take-version\"]')?.click();
        return !window.isOfTheOldVersion";
    page.wait_until("the page is loaded anew", READY, take_until_loaded_anew)
        .await?;
    page.wait_until("the newer version is there", READY, &has_newer).await?;
    page.wait_enabled("train", READY).await?;
    ensure!(
        page.run(IS_OFFERED, Vec::new()).await? == json!(false),
        "it is still offered"
    );
    page.no_panic()?;
    page.close().await
}
