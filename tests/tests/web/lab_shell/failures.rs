//! Labs that cannot run, and pages that allow little: what is shown, and what is not requested.

use super::{ANYBODY, Course, REACTION, lab, view};
use anyhow::{Result, ensure};
use lorakeet_tests::browser::Options;
use serde_json::{Value, json};
use std::time::Duration;

/// What the shell allows a frame, and as much again on a busy machine.
const SILENCE: Duration = Duration::from_secs(40);
const SHOWN: &str = "const root = lab.shadowRoot; return { text: root.querySelector('[part=error]').innerText,\
    role: root.querySelector('[part=error]').role, link: root.querySelector('[part=error] a')?.href,\
    button: root.querySelector('button').ariaLabel, focus: root.activeElement?.localName,\
    fallback: fallback.checkVisibility(), frames: root.querySelectorAll('iframe').length, phase: lab.phase,\
    isError: lab.matches(':state(error)') };";

/// Waits until the shell shows an error: what it shows, and the detail of the one event that told of it.
pub(crate) async fn failure(course: &Course, limit: Duration) -> Result<(Value, Value)> {
    let is_error = format!("return {} === 'error'", view("lab"));
    course
        .page
        .wait_until("the shell shows the error", limit, &is_error)
        .await?;
    let errors = course.told("error").await?;
    ensure!(errors.len() == 1, "{errors:?}");
    Ok((course.run(SHOWN).await?, errors[0]["detail"].clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_says_nothing_is_taken_for_blocked() -> Result<()> {
    let course = Course::open(&lab("lab", "lesson='mute' label='Tune it'")).await?;
    course
        .run("window.call = lab.predict('a').catch((error) => [error.kind, error.message])")
        .await?;
    course.press_start("lab").await?;
    let status = "const status = lab.shadowRoot.querySelector('.cover [part=status]');\
                  return [status.textContent, status.role, lab.phase, status.checkVisibility()]";
    let status = course.run(status).await?;
    ensure!(status == json!(["Loading…", "status", "loading", true]), "{status}");
    let (shown, detail) = failure(&course, SILENCE).await?;
    let link = shown["link"].as_str().unwrap_or_default();
    ensure!(
        shown["text"]
            .as_str()
            .is_some_and(|text| text.contains("did not load") && text.contains("frame-src"))
            && shown["role"] == "alert"
            && link.starts_with(&format!("{}/embed.html?lesson=mute", course.lab.origin()))
            && !link.contains("start"),
        "{shown}"
    );
    // The focus was in the frame, and is at the way out now.
    ensure!(
        shown["button"] == "Try again: Tune it" && shown["focus"] == "button",
        "{shown}"
    );
    ensure!(
        shown["fallback"] == true && shown["frames"] == 0 && shown["phase"] == "error" && shown["isError"] == true,
        "{shown}"
    );
    ensure!(
        detail["kind"] == "blocked" && detail["fatal"] == true && detail["advice"].is_string(),
        "{detail}"
    );
    ensure!(
        course.run("return call").await?[0] == "blocked",
        "who waited for the lab is not told"
    );

    course.run("lab.lesson = 'one'").await?;
    course.start("lab").await?;
    ensure!(course.run("return fallback.checkVisibility()").await? == false);
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_forbids_the_frame_is_told_at_once() -> Result<()> {
    let policy = [(
        "content-security-policy",
        "default-src 'none'; script-src LAB; img-src data:",
    )];
    let course = Course::open_with(&lab("lab", ""), &policy, &Options::default()).await?;
    course.press_start("lab").await?;
    let (_, detail) = failure(&course, REACTION).await?;
    ensure!(detail["kind"] == "blocked", "{detail}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_to_allow_no_more_than_the_script_and_the_frame() -> Result<()> {
    let policy = "default-src 'none'; script-src LAB; frame-src LAB; img-src data:; require-trusted-types-for 'script'";
    let policy = [("content-security-policy", policy)];
    let course = Course::open_with(&lab("lab", "height='300'"), &policy, &Options::default()).await?;
    course.run("window.broken = []; addEventListener('securitypolicyviolation', (event) => broken.push(event.violatedDirective))")
        .await?;
    course.start("lab").await?;
    course.say("lab", &json!({ "type": "size", "height": 500 })).await?;
    // The shell's own style is there, too.
    let shown = "const shell = getComputedStyle(lab.shadowRoot.querySelector('[part=shell]'));\
        return [shell.display, shell.minBlockSize, lab.shadowRoot.querySelector('iframe').offsetHeight, broken]";
    let shown = course.run(shown).await?;
    ensure!(shown == json!(["grid", "300px", 500, []]), "{shown}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_that_breaks_before_it_can_be_used_gives_way_to_the_fallback() -> Result<()> {
    let course = Course::open(&lab("lab", "lesson='broken'")).await?;
    course.press_start("lab").await?;
    let (shown, detail) = failure(&course, REACTION).await?;
    ensure!(
        shown["text"]
            .as_str()
            .is_some_and(|text| text.contains("the lesson is broken") && text.contains("mend it")),
        "{shown}"
    );
    ensure!(shown["fallback"] == true && shown["frames"] == 0, "{shown}");
    let told = json!({ "kind": "bad-file", "message": "the lesson is broken", "fatal": true, "advice": "mend it" });
    ensure!(detail == told, "{detail}");
    course.page.close().await?;

    // One that has been in use stays: it shows the error itself.
    let course = Course::open(&lab("lab", "")).await?;
    course.start("lab").await?;
    let said = json!([
        { "type": "phase", "phase": "training", "device": "gpu" },
        { "type": "error", "kind": "lost", "message": "the device is gone", "fatal": true, "advice": null },
    ]);
    course.say("lab", &said).await?;
    let shown = course
        .run(&format!(
            "return [{}, lab.phase, lab.matches(':state(error)')]",
            view("lab")
        ))
        .await?;
    ensure!(shown == json!(["lab", "error", true]), "{shown}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_missing_inside_the_page_is_an_error_with_a_way_out() -> Result<()> {
    let course = Course::open_beside(&lab("lab", "mode='inline' lang='zh'")).await?;
    course.lab.serve("/lab_page.js", "throw new Error('broken')", ANYBODY);
    course.press_start("lab").await?;
    let (shown, detail) = failure(&course, REACTION).await?;
    ensure!(
        shown["text"]
            .as_str()
            .is_some_and(|text| text.contains("lab_page.js") && text.contains("未能加载")),
        "{shown}"
    );
    ensure!(shown["button"] == "重试：语言模型实验", "{shown}");
    ensure!(detail["kind"] == "network", "{detail}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_the_page_shows_what_stands_between_the_tags() -> Result<()> {
    let without = Options {
        flags: vec!["--blink-settings=scriptEnabled=false"],
        ..Options::default()
    };
    let course = Course::open_with(&lab("lab", ""), &[], &without).await?;
    let fallback = course.page.client.find(fantoccini::Locator::Css("#fallback")).await?;
    ensure!(fallback.is_displayed().await? && fallback.text().await? == "What happens here.");
    let poster = course.page.client.find(fantoccini::Locator::Css("img")).await?;
    ensure!(poster.is_displayed().await?, "the picture is gone");
    let is_defined = course
        .run("return document.querySelector('lorakeet-lab').matches(':defined')")
        .await?;
    ensure!(is_defined == Value::Bool(false), "JavaScript was on after all");
    ensure!(course.lab.requests().is_empty(), "{:?}", course.lab.requests());
    course.page.close().await
}
