//! A sweep in the page: some values of two settings, a reload in the middle, and the best of its runs.

use super::shorten;
use anyhow::{Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::user_actions::{REACTION, READY, RUN};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_outlives_a_reload_and_the_settings_of_its_best_run_are_taken() -> Result<()> {
    let page = Page::open(&Options {
        webgpu: false,
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    shorten(&page, "4").await?;
    page.set_field("sweep-values-1", "4, 0").await?;
    let refused = "return document.querySelector('[data-testid=\"sweep-wrong\"]')?.textContent.includes('lora_r')";
    page.wait_until("a rank of 0 is refused", REACTION, refused).await?;
    page.set_field("sweep-values-0", "0.0005, 0.005").await?;
    page.set_field("sweep-values-1", "4, 8").await?;
    let outlook = "return document.querySelector('[data-testid=\"sweep-outlook\"]').textContent.includes('4 runs')";
    page.wait_until("it says how many runs", REACTION, outlook).await?;
    page.wait_enabled("sweep-start", READY).await?;
    page.press("sweep-start").await?;
    let second = "return document.querySelectorAll('[data-testid=\"sweep-row\"]')[1]?.textContent.includes('training')";
    page.wait_until("the second run is under way", RUN, second).await?;

    page.client.refresh().await?;
    page.wait_enabled("sweep-go-on", READY).await?;
    let offered = "return document.querySelectorAll('[data-testid=\"interrupted-run\"]').length";
    ensure!(
        page.run(offered, Vec::new()).await? == json!(0),
        "its run is offered, too"
    );
    page.click("sweep-go-on").await?;
    let over = "return document.querySelector('[data-testid=\"sweep-best\"]')?.textContent.includes('Best of 4')";
    page.wait_until("the best one is named", RUN, over).await?;
    let best = page.content("[data-testid=\"sweep-best\"]").await?;
    ensure!(
        best.contains("on 16 held-out rows") && best.contains("luckier"),
        "{best}"
    );
    let table = page.content("[data-testid=\"sweep-table\"]").await?;
    ensure!(
        table.matches("stopped early at 25 %").count() == 2
            && table.matches("stopped early at 50 %").count() == 1
            && table.matches("finished").count() == 1,
        "{table}"
    );

    page.wait_enabled("sweep-use", REACTION).await?;
    page.press("sweep-use").await?;
    let taken = format!(
        "const value = (name) => document.querySelector(`[data-testid=\"${{name}}\"]`).value;\
         return {}.includes(`learning_rate ${{value('learning_rate')}} · lora_r ${{value('lora_r')}}`)",
        json!(best)
    );
    page.wait_until("the form has its settings", REACTION, &taken).await?;
    page.press("sweep-compare").await?;
    let tagged = "return [...document.querySelectorAll('[data-testid=\"run-row\"]')]\
        .filter((row) => row.textContent.includes('sweep-')).length === 4";
    page.wait_until("its runs are in the history", REACTION, tagged).await?;
    page.no_panic()?;
    page.close().await
}
