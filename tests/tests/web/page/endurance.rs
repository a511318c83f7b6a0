//! Runs in Chromium whose tab is closed, whose GPU, room or files are lost, whose turn another tab takes and whose network goes.
//! `cargo xtask test endurance` does the same more often.

use super::gpus::{open_in_a_run, went_on};
use super::{device, offline, shorten, turns};
use anyhow::{Context, Result, ensure};
use lorakeet_core::random::Generator;
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::endurance::{figure, times};
use lorakeet_tests::gpu_shim::{GpuFault, GpuShim};
use lorakeet_tests::user_actions::{REACTION, READY, RUN, STATUS, unpack};
use std::time::Instant;

/// Steps from one closed tab to the next.
const STEPS_A_TAB: usize = 30;
const SEED: u64 = 20_262;
/// Less than there is already.
const NO_ROOM: u64 = 1024;

async fn open() -> Result<Page> {
    let page = Page::open(&Options {
        webgpu: false,
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    Ok(page)
}

/// The same in a run that does not end by itself.
async fn open_in_a_long_run() -> Result<Page> {
    let page = open().await?;
    shorten(&page, "2000").await?;
    page.click("train").await?;
    page.wait_for_step(2).await?;
    Ok(page)
}

/// Stops the run, and ends the browser.
async fn stop(page: Page) -> Result<()> {
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    page.no_panic()?;
    page.close().await
}

/// Waits for the run's end, and gives the weights that the page hands out then.
async fn adapter_at_the_end(page: &Page) -> Result<Vec<u8>> {
    let over = format!("return {STATUS} == 'done' || {STATUS} == 'failed'");
    page.wait_until("the run ends", RUN, &over).await?;
    ensure!(page.phase().await? == "done", "the run failed\n{}", page.console());
    page.run("document.getElementById('export').open = true", Vec::new())
        .await?;
    page.wait_enabled("download-adapter", REACTION).await?;
    page.click("download-adapter").await?;
    let archive = page.wait_for_download(".zip", REACTION).await?;
    let mut files = unpack(&std::fs::read(&archive)?)?.into_iter();
    let weights = files.find(|(name, _)| name == "adapter_model.safetensors");
    Ok(weights.context("the archive has no adapter_model.safetensors")?.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_tab_is_closed_again_and_again_ends_with_the_weights_of_one_that_is_not() -> Result<()> {
    let tabs = times(2, 20);
    let steps = (STEPS_A_TAB * (tabs + 1)).to_string();
    let whole = open().await?;
    shorten(&whole, &steps).await?;
    whole.click("train").await?;
    let wanted = adapter_at_the_end(&whole).await?;
    whole.close().await?;

    let started = Instant::now();
    let mut chance = Generator::new(SEED, "tabs");
    let page = open().await?;
    shorten(&page, &steps).await?;
    page.click("train").await?;
    let (mut saved, mut told) = (0, 0);
    for tab in 0..tabs {
        // Around the middle between two closings, so that none comes too late.
        let step = tab * STEPS_A_TAB + 2 + chance.below(STEPS_A_TAB / 2);
        page.wait_for_step((step as u64).max(saved + 1)).await?;
        // Of the others the last checkpoint is all that is left, or one that was begun as the tab was closed.
        if tab % 2 == 0 {
            saved = page.save_by_leaving(saved).await?;
            told += 1;
        }
        page.close_tab_and_open_another().await?;
        let from = page.go_on_with_offer().await?;
        ensure!(from >= saved, "it goes on from step {from}, saved was {saved}");
        saved = from;
    }
    let found = adapter_at_the_end(&page).await?;
    ensure!(found == wanted, "the adapter is another one");
    figure(
        format!(
            "Chromium: {tabs} tabs closed in a run of {steps} steps, {told} of them after a checkpoint was asked for, each gone on \
             from; the adapter is that of the uninterrupted run"
        ),
        started,
    );
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_loss_the_run_goes_on_with_another_engine() -> Result<()> {
    let losses = times(2, 20);
    let started = Instant::now();
    let mut opened = None;
    for loss in 0..losses {
        let page = match opened.take() {
            Some(page) => page,
            None => open_in_a_run(GpuShim::default()).await?,
        };
        if page.phase().await? != "running" {
            page.click("train").await?;
            page.wait_for_step(2).await?;
        }
        match loss % 3 {
            0 => page.break_gpu(GpuFault::Destroyed).await?,
            1 => page.break_gpu(GpuFault::Silent).await?,
            #[cfg(target_os = "linux")]
            2 => page.end_gpu_process()?,
            _ => page.break_gpu(GpuFault::Destroyed).await?,
        }
        went_on(&page).await.with_context(|| format!("loss {loss}"))?;
        ensure!(device(&page).await? == "gpu");
        // A browser whose GPU process ends a few times goes without.
        match loss % 3 {
            2 => page.close().await?,
            _ => opened = Some(page),
        }
    }
    if let Some(page) = opened {
        page.close().await?;
    }
    figure(
        format!(
            "Chromium: {losses} lost GPUs (destroyed, silent, their process killed), each run gone on with another engine"
        ),
        started,
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_storage_is_full_trains_on_and_keeps_its_last_checkpoint() -> Result<()> {
    let faults = times(1, 8);
    let started = Instant::now();
    let page = open_in_a_long_run().await?;
    let set_full = async |page: &Page, is_full: bool| page.limit_storage(is_full.then_some(NO_ROOM)).await;
    page.train_on_without_room(faults, set_full).await?;
    figure(
        format!(
            "Chromium: storage full {faults} times in a run, which trained on and was saved again when there was room"
        ),
        started,
    );
    stop(page).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_in_the_browser_is_passed_over_for_the_one_before() -> Result<()> {
    let files = [
        "optimizer.safetensors",
        "adapter_model.safetensors",
        "trainer_state.json",
        "manifest.json",
        "adapter_config.json",
    ];
    let all = files.iter().flat_map(|file| [(*file, "flip"), (*file, "cut")]);
    let damages: Vec<(&str, &str)> = all.take(times(1, 2 * files.len())).collect();
    let started = Instant::now();
    let page = open_in_a_long_run().await?;
    for (file, way) in &damages {
        let newest = page.newest_saved().await?;
        let first = page.save_by_leaving(newest).await?;
        page.save_by_leaving(first).await?;
        page.leave_and_come_back().await?;
        // The page may have saved once more as it was left.
        let damaged = page.damage_newest_checkpoint(file, way).await?;
        let offered = page.offered_step().await?;
        ensure!(offered == damaged, "offered is step {offered}, damaged {damaged}");
        page.click("go-on").await?;
        page.wait_for_note(&format!("checkpoint-{damaged} is damaged"))
            .await
            .with_context(|| format!("{file}, {way}"))?;
        page.wait_for_step(first + 1).await?;
    }
    figure(
        format!(
            "Chromium: {} damaged files of newest checkpoints, each told of by its checkpoint, the run gone on from the one before",
            damages.len()
        ),
        started,
    );
    stop(page).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tab_trains_at_a_time_and_another_can_take_over() -> Result<()> {
    let (tabs, started) = (times(1, 5), Instant::now());
    for _ in 0..tabs {
        turns::take_over_and_go_on().await?;
    }
    figure(
        format!("Chromium: {tabs} runs taken over by another tab and gone on with"),
        started,
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_opened_once_goes_on_and_trains_without_a_network() -> Result<()> {
    let (reloads, started) = (times(1, 10), Instant::now());
    offline::reload_in_a_run(reloads).await?;
    figure(
        format!("Chromium: a run gone on after {reloads} reloads without a network"),
        started,
    );
    Ok(())
}
