//! The lab in pages that others make; `cargo xtask test hosts` fetches what makes them and runs these.

mod mdbook;
mod notebook;
mod plain;
mod vite;

use anyhow::{Context, Result, bail, ensure};
use fantoccini::Locator;
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::lab_walk::OPENED;
use lorakeet_tests::user_actions::REACTION;
use serde_json::json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The lesson that all hosts show; its runs take seconds on a CPU.
const LESSON: &str = "activations";

/// A browser without WebGPU, as wide as a course page is on a tablet.
fn options() -> Options {
    Options {
        webgpu: false,
        width: 1024,
        ..Options::default()
    }
}

/// Presses Start of the page's `<lorakeet-lab>` as a reader does, and goes into its frame. What stands in the element, for readers
/// without JavaScript, is not shown.
async fn enter_element(page: &Page) -> Result<()> {
    let button = "return !!document.querySelector('lorakeet-lab')?.shadowRoot?.querySelector('button')";
    page.wait_until("the button is there", REACTION, button).await?;
    let shadow = || async {
        let element = page.client.find(Locator::Css("lorakeet-lab")).await?;
        element.shadow_root().await
    };
    let start = shadow().await?.find(Locator::Css("button")).await?;
    start.click().await.context("Start cannot be pressed")?;
    let view =
        "return document.querySelector('lorakeet-lab').shadowRoot.querySelector('[part=shell]').dataset.view === 'lab'";
    page.wait_until("the lab is shown", REACTION, view).await?;
    fits(page).await?;
    let fallback = "const texts = [...document.querySelectorAll('p')].filter((p) => p.textContent === 'What happens here.');\
                    return texts.length > 0 && !texts.some((p) => p.checkVisibility())";
    ensure!(
        page.run(fallback, Vec::new()).await? == json!(true),
        "the fallback is shown beside the lab"
    );
    shadow()
        .await?
        .find(Locator::Css("iframe"))
        .await?
        .enter_frame()
        .await?;
    Ok(())
}

/// Goes into the frame of a page that has the lab as an ordinary `<iframe>`.
async fn enter_frame(page: &Page) -> Result<()> {
    let there = "return !!document.querySelector('iframe[src*=\"embed.html\"]')";
    page.wait_until("the frame is there", REACTION, there).await?;
    fits(page).await?;
    let frame = page.client.find(Locator::Css("iframe[src*='embed.html']")).await?;
    frame.enter_frame().await.context("there is no way into the frame")
}

/// Does the first four parts of the lesson by keyboard.
async fn walk(page: &Page, host: &str) -> Result<()> {
    page.wait_until("the lab is there", REACTION, OPENED).await?;
    // A press into the lab gives it the focus.
    page.client.find(Locator::Css(".part-here")).await?.click().await?;
    let took = page.walk_to_the_comparison(&mut async |_| Ok(())).await?;
    println!("{LESSON} in {host}: trained in {:.1} s", took.as_secs_f64());
    page.screenshot(&format!("host-{host}")).await?;
    let device =
        "return document.querySelector('.outcome-verdict')?.innerText || document.querySelector('.outcome').innerText";
    let outcome = page.run(device, Vec::new()).await?;
    ensure!(
        outcome.as_str().is_some_and(|text| !text.is_empty()),
        "there is no outcome"
    );
    Ok(())
}

/// The host's page does not scroll sideways for the lab's sake.
async fn fits(page: &Page) -> Result<()> {
    let wide = "return document.scrollingElement.scrollWidth - innerWidth";
    let wide = page.run(wide, Vec::new()).await?;
    ensure!(wide.as_i64() <= Some(0), "the host's page is {wide} pixels too wide");
    let lab =
        "const lab = document.querySelector('lorakeet-lab, iframe').getBoundingClientRect(); return lab.width >= 280";
    ensure!(page.run(lab, Vec::new()).await? == json!(true), "the lab is too narrow");
    Ok(())
}

/// What `cargo xtask test hosts` fetched.
fn tool(variable: &str) -> Result<OsString> {
    std::env::var_os(variable).with_context(|| {
        format!("{variable} is not set; `cargo xtask test hosts` fetches what it names and runs this test")
    })
}

/// An empty folder for what a test makes.
fn work_folder(name: &str) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("lorakeet-host-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Runs a program; its output is in the error.
fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} cannot be started"))?;
    if !output.status.success() {
        let (out, errors) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        bail!("{command:?} ended with {}:\n{out}\n{errors}", output.status);
    }
    Ok(())
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to)?,
            false => drop(std::fs::copy(entry.path(), to)?),
        }
    }
    Ok(())
}
