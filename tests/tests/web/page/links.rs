//! The page as a link: what is shared is there when the link is opened.

use anyhow::{Result, ensure};
use lorakeet_core::config::RunConfig;
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::user_actions::{REACTION, READY};
use serde_json::json;

/// What stands in the field with the link.
async fn link(page: &Page) -> Result<String> {
    page.press("share").await?;
    page.wait_until(
        "the link is shown",
        REACTION,
        "return !!document.querySelector('[data-testid=\"share-link\"]')",
    )
    .await?;
    let value = page.run(
        "return document.querySelector('[data-testid=\"share-link\"]').value",
        vec![],
    );
    let value = value.await?;
    page.press("share").await?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

/// Opens a link in the same tab, and waits until the page is there anew.
async fn open(page: &Page, link: &str) -> Result<()> {
    let script = "window.isOld = true; location.href = arguments[0];";
    page.run(script, vec![json!(link)]).await?;
    page.wait_until(
        "the page is there anew",
        READY,
        "return !window.isOld && !!document.querySelector('[data-testid=\"train\"]')",
    )
    .await?;
    page.wait_enabled("train", READY).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_link_opens_the_page_as_it_was() -> Result<()> {
    let page = Page::open(&Options {
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    let plain = link(&page).await?;
    page.set_field("language", "zh-Hans").await?;
    for (knob, value) in [
        ("lora_r", "4"),
        ("learning_rate", "0.003"),
        ("val_size", "16"),
        ("target_modules", "q_proj,v_proj"),
    ] {
        page.set_knob(knob, value).await?;
    }
    page.write("sample-prompt", "Once & again, 页").await?;
    let before = RunConfig::parse(&page.run_file().await?, "run.yaml")?.config;
    let shared = link(&page).await?;
    println!("{shared}");
    page.press("share").await?;
    page.screenshots("share-chinese").await?;
    page.press("share").await?;
    ensure!(
        shared.len() < 2048 && shared.is_ascii() && !shared.contains(' '),
        "{shared}"
    );

    // The plain page is another; the link brings everything back.
    open(&page, &plain).await?;
    let other = RunConfig::parse(&page.run_file().await?, "run.yaml")?.config;
    let again = link(&page).await?;
    ensure!(other != before, "the plain page keeps what was changed");
    ensure!(again == plain, "the plain link does not come back: {again} for {plain}");
    open(&page, &shared).await?;
    let after = RunConfig::parse(&page.run_file().await?, "run.yaml")?.config;
    ensure!(after == before, "{after:?} is not {before:?}");
    ensure!(link(&page).await? == shared);
    let prompt = page
        .run(
            "return document.querySelector('[data-testid=\"sample-prompt\"]').value",
            vec![],
        )
        .await?;
    ensure!(prompt == json!("Once & again, 页"), "{prompt}");
    let language = page.run("return document.documentElement.lang", vec![]).await?;
    ensure!(language == json!("zh-Hans"));
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_a_link_is_named_and_what_is_unknown_stays() -> Result<()> {
    let page = Page::open(&Options {
        query: "?device=cpu#lab=1&lora_r=-3&of_tomorrow=7&train_file=mine.csv&model_name_or_path=small_mlp&device=cpu&lang=xx".into(),
        width: 400,
        ..Options::default()
    })
    .await?;
    page.wait_until(
        "the page is drawn",
        READY,
        "return !!document.querySelector('[data-testid=\"train\"]')",
    )
    .await?;
    let notes = page.text("link-problems").await?;
    println!("{notes}");
    for word in ["lora_r", "-3", "mine.csv", "lang", "'xx'"] {
        ensure!(notes.contains(word), "no {word}: {notes}");
    }
    page.press("share").await?;
    page.screenshots("share-400").await?;
    page.press("share").await?;
    let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    ensure!(
        page.run(wide, vec![]).await? == json!(0),
        "the page is wider than its window"
    );
    let shared = link(&page).await?;
    ensure!(
        shared.contains("of_tomorrow=7") && shared.contains("model_name_or_path=small_mlp"),
        "{shared}"
    );
    page.no_panic()?;
    page.close().await
}
