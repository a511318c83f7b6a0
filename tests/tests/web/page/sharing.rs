//! The panel of the button Share: what is copied from it shows what was shared, in the page, in another site's page and as a
//! lesson.

use super::{loss, shorten, written};
use anyhow::{Context, Result, ensure};
use fantoccini::Locator;
use lorakeet_tests::browser::{Options, Page, selector};
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::user_actions::{REACTION, READY};
use serde_json::json;

/// What was copied last, in place of the clipboard, which a browser without a window may refuse.
const KEEP_COPIES: &str = "navigator.clipboard.writeText = async (text) => { window.copiedText = text; };";

fn on_cpu(fragment: &str) -> Options {
    Options {
        query: format!("?device=cpu{fragment}"),
        ..Options::default()
    }
}

async fn open_panel(page: &Page) -> Result<()> {
    page.press("share").await?;
    let there = format!("return !!document.querySelector('{}')", selector("share-link"));
    page.wait_until("the panel is open", REACTION, &there).await.map(drop)
}

/// Puts HTML into a page of another site and opens it in the same tab.
async fn open_in_course(page: &Page, host: &FileSite, body: &str) -> Result<()> {
    let course = format!("<!DOCTYPE html><html lang=\"en\"><title>Course</title><body>{body}</body></html>");
    host.serve("/course.html", course, &[("content-type", "text/html; charset=utf-8")]);
    page.client.goto(&format!("{}/course.html", host.origin())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_shared_with_its_results_and_copied_by_keyboard() -> Result<()> {
    let page = Page::open(&on_cpu("")).await?;
    page.wait_enabled("train", READY).await?;
    open_panel(&page).await?;
    let has_results = format!("return !!document.querySelector('{}')", selector("share-results"));
    ensure!(
        page.run(&has_results, vec![]).await? == json!(false),
        "there are no results yet"
    );
    page.press("share-close").await?;
    shorten(&page, "6").await?;
    page.set_knob("eval_steps", "3").await?;
    page.train_to_the_end().await?;
    let before = (loss(&page).await?, written(&page, "sample-now").await?);
    let sentence = page.text("report-sentence").await?;

    page.run(KEEP_COPIES, vec![]).await?;
    open_panel(&page).await?;
    let focused = "return document.activeElement.dataset.testid";
    ensure!(
        page.run(focused, vec![]).await? == json!("share-what"),
        "the panel has not the focus"
    );
    let plain = page.value("share-link").await?;
    ensure!(!plain.contains("results"), "{plain}");
    page.press("share-results").await?;
    page.press("share-link-copy").await?;
    let copied = page
        .wait_until("the link is copied", REACTION, "return window.copiedText")
        .await?;
    let link = copied.as_str().context("a text")?.to_owned();
    println!("{} bytes: {link}", link.len());
    ensure!(
        link == page.value("share-link").await? && link.contains("results="),
        "{link}"
    );
    let told = format!(
        "return document.querySelector('{}').textContent.includes('Link')",
        selector("share-status")
    );
    page.wait_until("it is told", REACTION, &told).await?;
    page.screenshots("share-results").await?;
    page.client.active_element().await?.send_keys("\u{e00c}").await?;
    let closed = "return !document.querySelector('#share-panel') && document.activeElement.dataset.testid === 'share'";
    page.wait_until("Escape closes the panel", REACTION, closed).await?;

    // In another tab's place: all of it is there without training.
    page.run("window.isOld = true; location.href = arguments[0];", vec![json!(link)])
        .await?;
    let shown = format!(
        "return !window.isOld && !!document.querySelector('{}')",
        selector("shared-run")
    );
    page.wait_until("the results are shown", READY, &shown).await?;
    page.wait_enabled("train", READY).await?;
    let after = (loss(&page).await?, written(&page, "sample-now").await?);
    ensure!((before.0 - after.0).abs() < 5e-3, "{} for {}", after.0, before.0);
    let start: String = before.1.chars().take(60).collect();
    ensure!(after.1.starts_with(&start), "{after:?} for {before:?}");
    let said = page.text("report-sentence").await?;
    let verdict = |sentence: &str| sentence.split(':').next().map(str::to_owned);
    ensure!(verdict(&said) == verdict(&sentence), "{said} for {sentence}");
    page.screenshots("shared-results").await?;
    // What was shared can be shared again, and a run of one's own takes its place.
    open_panel(&page).await?;
    page.press("share-results").await?;
    ensure!(page.value("share-link").await? == link, "the link changes on its way");
    page.press("share-close").await?;
    page.train_to_the_end().await?;
    let gone = format!("return !document.querySelector('{}')", selector("shared-run"));
    ensure!(
        page.run(&gone, vec![]).await? == json!(true),
        "they are not the shared results any more"
    );
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_the_page_trains_inside_another_site_s_page() -> Result<()> {
    let page = Page::open(&on_cpu("")).await?;
    page.wait_enabled("train", READY).await?;
    shorten(&page, "2").await?;
    open_panel(&page).await?;
    let frame = page.value("share-frame").await?;
    let element = format!("return !document.querySelector('{}')", selector("share-element"));
    ensure!(
        page.run(&element, vec![]).await? == json!(true),
        "the element shows lessons only"
    );
    let host = FileSite::start().await?;
    open_in_course(&page, &host, &frame).await?;
    page.client.find(Locator::Css("iframe")).await?.enter_frame().await?;
    page.wait_enabled("train", READY).await?;
    page.train_to_the_end().await?;
    let others = "return document.querySelectorAll('#model, #settings, #try, #export').length";
    ensure!(page.run(others, vec![]).await? == json!(0), "training is all there is");
    let whole = "return document.querySelector('[data-testid=whole-page]').getAttribute('href')";
    let whole = page.run(whole, vec![]).await?;
    let whole = whole.as_str().context("an address")?;
    ensure!(whole.contains("max_steps=2") && !whole.contains("view="), "{whole}");
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_is_shared_as_a_frame_and_as_an_element() -> Result<()> {
    let page = Page::open(&on_cpu("#lab=1&lang=zh")).await?;
    page.wait_enabled("train", READY).await?;
    page.set_knob("learning_rate", "0.004").await?;
    open_panel(&page).await?;
    let listed = "return document.querySelector('[data-testid=share-what] option[value=loss]')?.textContent";
    page.wait_until("the lessons are listed", REACTION, listed).await?;
    page.set_field("share-what", "loss").await?;
    let (frame, element) = (page.value("share-frame").await?, page.value("share-element").await?);
    page.screenshots("share-lesson").await?;
    println!("{frame}\n{element}");
    ensure!(
        frame.contains("/embed.html#lab=1") && element.contains("/lab.js"),
        "{frame}\n{element}"
    );

    let host = FileSite::start().await?;
    open_in_course(&page, &host, &frame).await?;
    page.client.find(Locator::Css("iframe")).await?.enter_frame().await?;
    let title = "return document.querySelector('.lab h1')?.textContent";
    let title = page.wait_until("the lesson is shown", READY, title).await?;
    let title = title.as_str().context("a text")?.to_owned();
    ensure!(
        frame.contains(&format!("title=\"{title}\"")),
        "{title} is not the lesson of {frame}"
    );
    page.client.enter_parent_frame().await?;

    open_in_course(&page, &host, &element).await?;
    let start = "customElements.whenDefined('lorakeet-lab').then(() => {\
        window.lab = document.querySelector('lorakeet-lab'); return window.lab.start(); })\
        .catch((error) => { window.problem = String(error); });";
    page.run(start, vec![]).await?;
    let phase = "return ['predicting', 'ready'].includes(window.lab?.phase) && window.lab.state";
    let state = page.wait_until("the element shows its lab", READY, phase).await?;
    let state = state.as_str().context("a text")?;
    for part in ["lesson=loss", "learning_rate=0.004", "device=cpu"] {
        ensure!(state.contains(part), "no {part} in {state}");
    }
    ensure!(page.run("return window.lab.label", vec![]).await? == json!(title));
    ensure!(page.run("return window.problem ?? null", vec![]).await?.is_null());
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_reads_the_state_of_a_lesson_and_writes_it() -> Result<()> {
    let state = "#lab=1&lesson=loss&part=3&before=1&learning_rate=0.01&theme=dark&lang=zh-CN&of_tomorrow=7&view=wide";
    let page = Page::open(&on_cpu(state)).await?;
    page.wait_until(
        "the lesson is offered",
        READY,
        "return document.querySelector('[data-testid=open-lesson]')?.href",
    )
    .await?;
    let href = page
        .run(
            "return document.querySelector('[data-testid=open-lesson]').href",
            vec![],
        )
        .await?;
    let href = href.as_str().context("an address")?;
    for part in [
        "/embed.html#lab=1",
        "lesson=loss",
        "part=3",
        "before=1",
        "learning_rate=0.01",
        "theme=dark",
        "of_tomorrow=7",
    ] {
        ensure!(href.contains(part), "no {part} in {href}");
    }
    let shown = page
        .run(
            "return [document.documentElement.lang, document.documentElement.dataset.theme]",
            vec![],
        )
        .await?;
    ensure!(shown == json!(["zh-Hans", "dark"]), "{shown}");
    let run_file = page.run_file().await?;
    ensure!(run_file.contains("learning_rate: 0.01"), "{run_file}");
    let notes = page.text("link-problems").await?;
    ensure!(notes.contains("view") && notes.contains("'wide'"), "{notes}");
    page.screenshots("lesson-offer").await?;
    // The panel begins with that lesson; its link is that of the offer.
    open_panel(&page).await?;
    ensure!(page.value("share-link").await? == href);
    page.set_field("share-what", "").await?;
    let own = page.value("share-link").await?;
    ensure!(
        own.contains("lesson=loss") && own.contains("part=3") && own.contains("of_tomorrow=7"),
        "{own}"
    );
    ensure!(!own.contains("view="), "{own}");
    // A lesson that there is none of is named.
    page.run("window.isOld = true; location.hash = '#lab=1&lesson=losss'", vec![])
        .await?;
    let named = "return !window.isOld && document.querySelector('[data-testid=link-problems]')?.textContent.includes(\"'losss'\")";
    page.wait_until("the lesson is named", READY, named).await?;
    page.no_panic()?;
    page.close().await
}
