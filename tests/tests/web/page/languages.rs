//! The page in another language than English: nothing on it is English but what users and other programs wrote.

use super::{shorten, shown_error};
use anyhow::{Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::user_actions::{REACTION, READY};
use serde_json::Value;
use std::path::PathBuf;

/// Texts of four words and more, all but the first in small letters, with what is around each. Texts of the user, of the model
/// and of files are left out, as are code and names of files.
const ENGLISH: &str = "\
    const theirs = 'code, pre, script, style, textarea, dl, [data-testid=\"preview\"], [data-testid=\"samples\"], \
        [data-testid=\"sample-before\"], [data-testid=\"sample-now\"], [data-testid=\"predictions\"], [lang=\"en\"]';\
    const found = [], sentence = /[A-Za-z]+(?:[ ,]+[a-z]+){3,}/;\
    const look = (text) => sentence.test(text) && found.push(text.trim());\
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);\
    while (walk.nextNode()) if (!walk.currentNode.parentElement.closest(theirs)) look(walk.currentNode.data);\
    for (const element of document.querySelectorAll('[title], [aria-label], [placeholder]'))\
        for (const name of ['title', 'aria-label', 'placeholder']) look(element.getAttribute(name) ?? '');\
    return found;";

/// Files that the engine has something to say of, each in the place where it is chosen.
const FILES: [(&str, &str, &str); 6] = [
    ("model-input", "no-model.gguf", "these are not the bytes of a model"),
    ("data-input", "wide.csv", "prompt,completion\na,b\nc,d,e\n"),
    ("data-input", "open.json", "[{\"text\": \"a\"}, {\"text\": "),
    ("data-input", "empty.txt", ""),
    (
        "data-input",
        "notes.csv",
        "id,prompt,completion,remark\n1,What is it?,A stone.,x\n2,,,\n3,What was it?,A bird.\n",
    ),
    ("validation-input", "other.csv", "a,b\n1,2\n"),
];

/// A run file with something wrong, and one with remarks.
const RUN_FILES: [&str; 3] = [
    "learning_rat: 1e-4\nlora_r: 0\n",
    "deepspeed: ds.json\nlearning_rate: 1e-4\n",
    "learning_rate: [1\n",
];

async fn is_chinese(page: &Page, when: &str) -> Result<()> {
    let found = page.run(ENGLISH, vec![]).await?;
    let found: Vec<&str> = found
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    ensure!(
        found.is_empty(),
        "English on the Chinese page, {when}:\n{}",
        found.join("\n")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_english_sentence_reaches_the_chinese_page() -> Result<()> {
    let page = Page::open(&Options {
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    page.set_field("language", "zh-Hans").await?;
    let open = "for (const fold of document.querySelectorAll('details')) fold.open = true;\
                for (const button of document.querySelectorAll('.tell-more')) button.click();";
    page.run(open, vec![]).await?;
    is_chinese(&page, "when it is ready").await?;

    page.set_field("lora_r", "-1").await?;
    is_chinese(&page, "after a wrong setting").await?;
    page.set_field("lora_r", "8").await?;
    for text in RUN_FILES {
        page.write("run-file", text).await?;
        page.press("apply-run-file").await?;
        is_chinese(&page, &format!("after the run file {text:?}")).await?;
    }
    let folder = std::env::temp_dir().join(format!("lorakeet-languages-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for (place, name, text) in FILES {
        let file: PathBuf = folder.join(name);
        std::fs::write(&file, text)?;
        page.upload(place, &[&file]).await?;
        if name == "notes.csv" {
            let read = "return document.querySelectorAll('[data-testid=\"data-facts\"] li').length > 0";
            page.wait_until("the data is read, with notes", REACTION, read).await?;
        } else if place != "validation-input" {
            println!("{name}: {}", shown_error(&page, REACTION).await?);
        } else {
            let told = "return !!document.querySelector('[data-testid=\"validation-problem\"], #data [data-testid=\"error\"]')";
            page.wait_until("the validation file is refused", REACTION, told)
                .await?;
        }
        is_chinese(&page, &format!("after {name}")).await?;
        page.run(
            "document.querySelectorAll('[data-testid=\"dismiss\"]').forEach((button) => button.click())",
            vec![],
        )
        .await?;
        if place == "model-input" {
            page.click("model-bundled").await?;
            page.wait_enabled("train", READY).await?;
        }
    }
    std::fs::remove_dir_all(&folder)?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_in_chinese_from_its_plan_to_its_report() -> Result<()> {
    let page = Page::open(&Options {
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.set_field("language", "zh-Hans").await?;
    page.wait_enabled("train", READY).await?;
    shorten(&page, "3").await?;
    page.set_knob("learning_rate", "1").await?;
    page.train_to_the_end().await?;
    is_chinese(&page, "after a run that learnt nothing").await?;
    page.screenshots("run-chinese-1440").await?;
    page.no_panic()?;
    page.close().await
}
