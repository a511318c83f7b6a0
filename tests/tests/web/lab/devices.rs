//! What the lab trains on: a GPU, also after it was lost, and recorded runs where there is nothing to train on.

use super::{SHORT, built_site, lab, without_gpu};
use crate::lab_shell::Course;
use anyhow::{Result, ensure};
use lorakeet_tests::browser::Options;
use lorakeet_tests::site::dist;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_gpu_that_is_lost_is_told_and_training_can_be_started_again() -> Result<()> {
    let body = lab("lab", &format!("device='gpu' max-steps='20' state='{SHORT}'"));
    let course = Course::open_for(built_site().await?, &body, &[], &Options::default()).await?;
    course.make_ready("lab").await?;
    course.hold_a_run("lab").await?;
    ensure!(course.run("return lab.device").await? == "gpu");
    course.page.end_gpu_process()?;
    course.run("lab.start()").await?;
    course
        .wait_long("the loss is told", "return lab.phase === 'error'")
        .await?;
    let errors = course.told("error").await?;
    ensure!(
        errors.len() == 1 && errors[0]["detail"]["kind"] == "lost" && errors[0]["detail"]["fatal"] == false,
        "{errors:?}"
    );
    // The engine is started once more, and trains.
    course.run("lab.start()").await?;
    let is_back = "return ['ready', 'done'].includes(lab.phase)";
    course.wait_long("the engine is back", is_back).await?;
    course.train("lab").await?;
    let end = course.run("return [lab.device, lab.report.steps]").await?;
    ensure!(end == json!(["gpu", 20]), "{end}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_runs_are_shown_where_the_engine_cannot_be_started() -> Result<()> {
    let site = built_site().await?;
    let policy = [("content-security-policy", "worker-src 'none'")];
    site.serve("/embed.html", std::fs::read(dist()?.join("embed.html"))?, &policy);
    let course = Course::open_for(site, &lab("lab", &format!("state='{SHORT}'")), &[], &without_gpu()).await?;
    course.make_ready("lab").await?;
    course.train("lab").await?;
    let end = "return [lab.device, lab.report.steps, lab.matches(':state(replay)'),\
        told.filter(({ name }) => name === 'error')]";
    let end = course.run(end).await?;
    ensure!(end == json!(["replay", 200, true, []]), "{end}");
    course.enter("lab").await?;
    let said = course
        .run("return document.querySelector('[data-device]').innerText")
        .await?;
    ensure!(
        said.as_str()
            .is_some_and(|text| text.contains("recording") && text.contains("cannot train here")),
        "{said}"
    );
    course.page.close().await
}
