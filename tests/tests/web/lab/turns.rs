//! One lab trains at a time, and not while nobody looks.

use super::{LONG, lab};
use crate::lab_shell::Course;
use anyhow::{Result, ensure};
use serde_json::json;

const TAKE_OVER: &str = "[data-do=take-over]";
/// Half a minute passes at once; `waited` counts how often.
const NO_WAITING: &str = "window.waited = 0; const { setTimeout: real } = window;\
    window.setTimeout = (call, ms, ...rest) => real(ms === 30_000 ? () => { waited += 1; call() } : call,\
        ms === 30_000 ? 0 : ms, ...rest)";

/// Two labs in `body`, the first of which holds a run; the second asks for its turn and takes it.
async fn take_turns(prepare: &str) -> Result<()> {
    let inline = |id: &str, more: &str| {
        lab(
            id,
            &format!("mode='inline' device='cpu' offscreen='run' state='{LONG}' {more}"),
        )
    };
    let labs = format!("{}{}", inline("one", ""), inline("two", "max-steps='3'"));
    let course = Course::inline(&labs).await?;
    course.run(prepare).await?;
    course.make_ready("one").await?;
    course.make_ready("two").await?;
    course.hold_a_run("one").await?;
    course.run("two.start()").await?;
    let button = |id: &str| format!("return !!{id}.shadowRoot.querySelector('{TAKE_OVER}')");
    course
        .wait_long("the second lab offers to take over", &button("two"))
        .await?;
    let waiting = course.run("return [one.phase, two.phase, two.metrics]").await?;
    ensure!(waiting == json!(["paused", "ready", null]), "{waiting}");
    ensure!(told_busy(&course).await? == ["two"]);

    course
        .run(&format!("two.shadowRoot.querySelector('{TAKE_OVER}').click()"))
        .await?;
    course
        .wait_long("the second lab has trained", "return two.phase === 'done'")
        .await?;
    course
        .wait_long("the first lab says that another one trains", &button("one"))
        .await?;
    course
        .wait_long("the first lab's run has ended", "return one.phase === 'done'")
        .await?;
    let steps = course.run("return [one.report.steps < 40, two.report.steps]").await?;
    ensure!(steps == json!([true, 3]), "{steps}");
    ensure!(told_busy(&course).await? == ["two", "one"]);
    course.page.close().await
}

/// The labs that have told of another one that trains, in order; they have told of nothing worse.
async fn told_busy(course: &Course) -> Result<Vec<String>> {
    let mut labs = Vec::new();
    for event in course.told("error").await? {
        let detail = &event["detail"];
        ensure!(
            detail["kind"] == "busy" && detail["fatal"] == false && detail["advice"] == "Stop it and train here",
            "{detail}"
        );
        labs.push(event["lab"].as_str().unwrap_or_default().to_owned());
    }
    Ok(labs)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_labs_on_a_page_one_trains_and_the_other_can_take_over() -> Result<()> {
    take_turns("").await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_labs_on_a_page_take_turns_in_a_browser_without_locks() -> Result<()> {
    take_turns("Object.defineProperty(navigator, 'locks', { value: undefined })").await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tabs_one_trains_and_the_other_can_take_over() -> Result<()> {
    let body = lab("lab", &format!("device='cpu' state='{LONG}'"));
    let course = Course::frames(&body).await?;
    let client = &course.page.client;
    course.make_ready("lab").await?;
    course.hold_a_run("lab").await?;
    let first = client.window().await?;
    let second = client.new_window(true).await?.handle;
    client.switch_to_window(second).await?;
    client.goto(&format!("{}/course.html", course.host.origin())).await?;
    course.make_ready("lab").await?;
    course.run("lab.maxSteps = 3; lab.start()").await?;

    let button = format!("return !!document.querySelector('{TAKE_OVER}')");
    course.enter("lab").await?;
    course.wait_long("the second tab offers to take over", &button).await?;
    course
        .run(&format!("document.querySelector('{TAKE_OVER}').click()"))
        .await?;
    course.leave().await?;
    course
        .wait_long("the second tab has trained", "return lab.phase === 'done'")
        .await?;
    ensure!(course.run("return lab.report.steps").await? == 3);

    client.switch_to_window(first).await?;
    course
        .wait_long("the first tab's run has ended", "return lab.report?.steps < 40")
        .await?;
    course.enter("lab").await?;
    course
        .wait_long("the first tab says that another one trains", &button)
        .await?;
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_holds_while_the_lab_is_out_of_view() -> Result<()> {
    let body = lab("lab", &format!("mode='inline' device='cpu' state='{LONG}'"));
    let course = Course::inline(&format!("{body}<p style='height: 5000px'>Text</p>")).await?;
    course.run(NO_WAITING).await?;
    course.make_ready("lab").await?;
    course.run("lab.start()").await?;
    course
        .wait_long("the lab trains", "return lab.metrics?.step > 0")
        .await?;
    course.run("scrollTo(0, 4000)").await?;
    course
        .wait_long("the run holds", "return lab.phase === 'paused'")
        .await?;
    let says_why = "return lab.shadowRoot.querySelector('.lab-status').textContent === 'Paused while out of view.'";
    course.wait_long("the lab says why", says_why).await?;
    course.run("scrollTo(0, 0)").await?;
    course
        .wait_long("the run goes on", "return lab.phase === 'training'")
        .await?;

    // Where the page wants that, it goes on out of view, too.
    course
        .run("lab.offscreen = 'run'; window.from = lab.metrics.step; scrollTo(0, 4000)")
        .await?;
    course
        .wait_long("half a minute has passed", "return waited === 2")
        .await?;
    let goes_on = "return lab.metrics.step > from + 1 && lab.phase === 'training'";
    course.wait_long("another step is made", goes_on).await?;
    course.page.close().await
}
