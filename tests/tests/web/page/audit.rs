//! The audit of the data on the page, what a press does about it, columns and rows.

use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::user_actions::{REACTION, READY};
use std::path::PathBuf;

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

/// Gives the page a table of these rows; the page reads the file again, which stays until the end of the test.
async fn give(page: &Page, name: &str, table: String) -> Result<PathBuf> {
    let file: PathBuf = std::env::temp_dir().join(format!("lorakeet-{name}-{}.csv", std::process::id()));
    std::fs::write(&file, table)?;
    page.upload("data-input", &[&file]).await?;
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .context("it has a name")?;
    let read = format!("return document.querySelector('#data .step-summary').textContent.includes('{name}')");
    page.wait_until("the table is read", REACTION, &read).await?;
    Ok(file)
}

/// Waits until the text of a part of the page has these words.
async fn wait_for(page: &Page, testid: &str, words: &str) -> Result<()> {
    let script =
        format!("return (document.querySelector('[data-testid=\"{testid}\"]')?.textContent ?? '').includes('{words}')");
    page.wait_until(&format!("{testid} says {words}"), REACTION, &script)
        .await
        .map(drop)
}

/// Waits until a part of the page is there, or is not.
async fn wait_there(page: &Page, testid: &str, is_there: bool) -> Result<()> {
    let script = format!("return !!document.querySelector('[data-testid=\"{testid}\"]') === {is_there}");
    page.wait_until(&format!("{testid}: {is_there}"), REACTION, &script)
        .await
        .map(drop)
}

/// Unfolds the step of the data: nothing that is folded away takes the keyboard.
async fn unfold(page: &Page) -> Result<()> {
    let script = "document.getElementById('data').open = true";
    page.run(script, Vec::new()).await.map(drop)
}

/// Waits until the keyboard is on a part of the page.
async fn has_focus(page: &Page, testid: &str) -> Result<()> {
    let script = format!("return document.activeElement?.dataset.testid === '{testid}'");
    page.wait_until(&format!("the focus is on {testid}"), REACTION, &script)
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_and_an_empty_row_are_found_left_out_by_a_press_and_taken_in_again() -> Result<()> {
    let page = open().await?;
    unfold(&page).await?;
    let rows: String = (0..20)
        .map(|row| format!("What is {row}?,It is {}.\n", row * 7))
        .collect();
    let copies = "What is 3?,It is 21.\nWhat is 4?,It is 28.\n";
    // A split would hold some of the copies out.
    page.set_knob("val_size", "0").await?;
    let table = give(&page, "audit", format!("prompt,completion\n{rows}{copies},\n")).await?;
    wait_for(
        &page,
        "finding-exact_duplicates",
        "Rows that are the same as an earlier one: 2.",
    )
    .await?;
    wait_for(&page, "finding-empty_rows", "Error").await?;
    wait_for(&page, "finding-exact_duplicates", "like row 5").await?;
    wait_for(&page, "audit-summary", "21 checks: 1 error").await?;

    page.press("leave-out-exact_duplicates").await?;
    has_focus(&page, "audit").await?;
    wait_for(&page, "left-out-exact_duplicates", "2 rows left out: exact duplicates").await?;
    wait_there(&page, "finding-exact_duplicates", false).await?;
    wait_for(&page, "data", "20 rows").await?;
    ensure!(page.run_file().await?.contains("drop_rows: [exact_duplicates]"));
    page.press("leave-out-empty_rows").await?;
    wait_for(&page, "audit-summary", "21 checks, nothing found").await?;
    page.screenshot("audit").await?;

    page.press("undo-exact_duplicates").await?;
    has_focus(&page, "audit").await?;
    wait_there(&page, "finding-exact_duplicates", true).await?;
    wait_for(&page, "data", "22 rows").await?;

    // A file that no run reads is audited all the same, and read once the rows are left out. What was pressed before was about
    // the other file.
    let refused = give_refused(&page).await?;
    page.press("leave-out-empty_rows").await?;
    wait_for(&page, "data", "2 rows").await?;
    std::fs::remove_file(table)?;
    std::fs::remove_file(refused)?;
    page.no_panic()?;
    page.close().await
}

/// Gives the page a table that a run refuses.
async fn give_refused(page: &Page) -> Result<PathBuf> {
    let file = std::env::temp_dir().join(format!("lorakeet-refused-{}.csv", std::process::id()));
    std::fs::write(&file, "prompt,completion\nWho?,Me.\nWhat?,\nWhere?,Here.\n")?;
    page.upload("data-input", &[&file]).await?;
    wait_there(page, "error", true).await?;
    wait_for(page, "finding-empty_rows", "without an answer: 1.").await?;
    wait_there(page, "left-out-empty_rows", false).await?;
    Ok(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn any_row_is_looked_at_and_a_column_gets_another_role() -> Result<()> {
    let page = open().await?;
    unfold(&page).await?;
    let rows: String = (0..30)
        .map(|row| {
            format!(
                "The parcel number {row} came,{},{}\n",
                ["good", "bad"][row % 2],
                ["red", "green"][row / 2 % 2]
            )
        })
        .collect();
    let table = give(&page, "columns", format!("text,label,colour\n{rows}")).await?;
    wait_for(&page, "preview-place", "1–4 of 30").await?;
    page.press("preview-next").await?;
    wait_for(&page, "preview-place", "5–8 of 30").await?;
    wait_for(&page, "preview", "Example 8").await?;
    page.set_field("preview-row", "25").await?;
    wait_for(&page, "preview-place", "25–28 of 30").await?;
    let focus = "document.querySelector('[data-testid=\"preview-next\"]').focus()";
    page.run(focus, Vec::new()).await?;
    page.press("preview-next").await?;
    wait_for(&page, "preview-place", "29–30 of 30").await?;
    has_focus(&page, "preview-next").await?;
    ensure!(!page.is_enabled("preview-next").await?, "there are no more rows");

    wait_for(&page, "label-counts", "good").await?;
    let focus = "document.querySelector('[data-testid=\"role-colour\"]').focus()";
    page.run(focus, Vec::new()).await?;
    page.set_field("role-colour", "label").await?;
    wait_for(&page, "label-counts", "green").await?;
    wait_for(&page, "preview", "red").await?;
    let role = "return document.querySelector('[data-testid=\"role-label\"]').value === 'ignored'";
    page.wait_until("the old label makes way", REACTION, role).await?;
    has_focus(&page, "role-colour").await?;
    ensure!(page.run_file().await?.contains("label_columns: [colour]"));

    // What a short row cuts off is struck.
    page.set_knob("cutoff_len", "4").await?;
    let cut = "return document.querySelectorAll('[data-testid=\"preview\"] .example .token.cut').length > 0";
    page.wait_until("something is cut off", REACTION, cut).await?;
    wait_for(&page, "preview", "cut off by cutoff_len").await?;
    std::fs::remove_file(table)?;
    page.no_panic()?;
    page.close().await
}
