//! A person judges a trained model in the page: looks at its mistakes, moves the threshold, weighs the adapter, scores another
//! file, and compares texts without knowing whose they are.

use super::lesson::{Files, Lesson, fits, number, on_cpu};
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::Page;
use lorakeet_tests::rows::{self, classes, pairs_of_letters};
use lorakeet_tests::tiny;
use lorakeet_tests::user_actions::REACTION;
use serde_json::Value;

/// The counts at the threshold: true and false positives, false and true negatives.
async fn counts(page: &Page) -> Result<Vec<u64>> {
    let script = "return [0, 1, 2, 3].map((place) => \
                  Number(document.querySelector(`[data-testid=\"threshold-${place}\"]`).textContent.replace(/[^0-9]/g, '')))";
    serde_json::from_value(page.run(script, vec![]).await?).context("four counts")
}

/// The downloaded table, its header first.
async fn table(page: &Page) -> Result<Vec<Vec<String>>> {
    page.press("download-predictions").await?;
    let file = page.wait_for_download("predictions.csv", REACTION).await?;
    let text = std::fs::read_to_string(&file)?;
    // The next one gets the same name.
    std::fs::remove_file(file)?;
    let fields = |line: &str| line.split(',').map(str::to_owned).collect();
    Ok(text.lines().map(fields).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classifier_is_judged_by_its_mistakes_a_threshold_its_strength_and_another_file() -> Result<()> {
    let lesson = Lesson {
        name: "judged",
        model: tiny::bert_files,
        data: || {
            let rows = pairs_of_letters(200).into_iter().enumerate();
            rows::table(
                "text,label,source",
                rows.map(|(row, (text, same))| {
                    let label = if same { "same" } else { "other" };
                    format!("{text},{label},{}", ["mail", "forum"][row % 2])
                }),
            )
        },
        knobs: &[("val_size", "60"), ("max_steps", "30"), ("eval_steps", "30")],
    };
    let page = lesson.open(&on_cpu(400)).await?;
    page.train_to_the_end().await?;
    page.wait_until(
        "the thresholds are shown",
        REACTION,
        "return !!document.querySelector('[data-testid=\"thresholds\"]')",
    )
    .await?;
    let head = page.content("[data-testid=\"report\"] thead tr").await?;
    ensure!(head.contains("95% interval"), "{head}");

    // The parts that the other column makes are all of the rows, each with its score.
    let slices = "return [...document.querySelectorAll('[data-testid=\"slices\"] tbody tr')].map((row) => \
                  [...row.children].map((cell) => cell.textContent.trim()))";
    let slices: Vec<Vec<String>> = serde_json::from_value(page.run(slices, vec![]).await?).context("a table")?;
    let by_source = slices.iter().filter(|row| row[0].starts_with("source = "));
    let held_out: f64 = by_source.clone().map(|row| number(&row[1])).sum();
    ensure!(by_source.clone().count() == 2 && held_out == 60.0, "{slices:?}");
    ensure!(
        by_source.clone().all(|row| (0.0..=1.0).contains(&number(&row[2]))),
        "{slices:?}"
    );

    // Only the mistakes, of which there are as many as the table has.
    let rows = table(&page).await?;
    let wrong = rows.iter().skip(1).filter(|row| row[1] != row[2]).count();
    page.set_field("filter-which", "1").await?;
    let matching = page.content("[data-testid=\"rows-matching\"]").await?;
    ensure!(
        matching.starts_with(&format!("{wrong} of 60")),
        "{matching}; {wrong} are wrong"
    );
    page.set_field("filter-which", "0").await?;

    // What the threshold makes of the rows is what their probabilities say.
    page.set_field("threshold", "0.7").await?;
    let positive = |row: &Vec<String>| match row[2].as_str() {
        "same" => number(&row[3]),
        _ => 1.0 - number(&row[3]),
    };
    let count = |above: bool, same: bool| {
        let is = |row: &&Vec<String>| (positive(row) >= 0.7) == above && (row[1] == "same") == same;
        rows.iter().skip(1).filter(is).count() as u64
    };
    let wanted = [
        count(true, true),
        count(true, false),
        count(false, true),
        count(false, false),
    ];
    let shown = counts(&page).await?;
    ensure!(shown == wanted, "{shown:?} instead of {wanted:?}");
    // Where a miss is dear, nothing is missed.
    page.set_field("cost-false-negative", "1000").await?;
    page.press("cheapest-threshold").await?;
    let shown = counts(&page).await?;
    ensure!(shown[2] == 0 && shown.iter().sum::<u64>() == 60, "{shown:?}");
    page.set_field("threshold", "0.7").await?;
    page.press("keep-threshold").await?;
    let rows = table(&page).await?;
    ensure!(
        rows[0].ends_with(&["decision".to_owned(), "threshold".to_owned()]),
        "{:?}",
        rows[0]
    );
    let decided = rows.iter().skip(1).filter(|row| row[row.len() - 2] == "same").count() as u64;
    ensure!(decided == wanted[0] + wanted[1], "{decided} of {wanted:?}");

    // Typed texts are decided by it, and answered at another strength once that is chosen.
    let answers = page.ask("acdea", "").await?;
    let decided = page.content("[data-testid=\"decided\"]").await?;
    let certain = answers
        .iter()
        .find(|answer| answer.0 == "same")
        .context("a probability")?
        .1;
    ensure!(
        decided.contains(if certain >= 0.7 { "same" } else { "other" }),
        "{decided} {answers:?}"
    );
    let value = "document.querySelector('[data-testid=\"answers\"] [data-value]')?.dataset.value";
    let before = page.run(&format!("return {value}"), vec![]).await?;
    page.set_field("strength", "0").await?;
    let other = format!("return {value} && {value} !== {before} && {value}");
    page.wait_until("it is answered without the adapter", REACTION, &other)
        .await?;

    let files = Files::of("judged-other", vec![classes(30)]).await?;
    page.upload("other-file-input", &[&files.paths[0]]).await?;
    let scored = "return document.querySelector('[data-testid=\"file-score\"]')?.textContent";
    let scored = page.wait_until("the file is scored", REACTION, scored).await?;
    let scored = scored.as_str().context("a text")?;
    ensure!(
        scored.contains("30 rows") && scored.contains("majority class"),
        "{scored}"
    );
    page.press("report-html").await?;
    let report = std::fs::read_to_string(page.wait_for_download("lorakeet-report.html", REACTION).await?)?;
    ensure!(
        report.contains("majority class") && report.contains("<svg") && report.contains("max_steps: 30"),
        "{report}"
    );
    ensure!(!report.contains("<script"), "it runs nothing");
    page.screenshots("judged-400").await?;
    fits(&page, 400).await?;
    page.no_panic()?;
    page.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_texts_are_compared_without_knowing_whose_they_are() -> Result<()> {
    let lesson = Lesson {
        name: "blind",
        model: tiny::model_files,
        data: tiny::data_file,
        knobs: &[("val_size", "4"), ("max_steps", "6"), ("eval_steps", "6")],
    };
    let page = lesson.open(&on_cpu(1440)).await?;
    page.press("task-generation").await?;
    page.train_to_the_end().await?;
    page.run("document.getElementById('try').open = true", vec![]).await?;
    page.write("prompt", "say a").await?;
    page.set_field("max-tokens", "4").await?;
    page.press("blind").await?;
    page.press("generate").await?;
    page.wait_enabled("choose-0", REACTION).await?;
    let heading = page.content("[data-testid=\"blind-A\"] h3").await?;
    ensure!(heading == "A", "{heading}");
    page.press("choose-0").await?;
    let heading = page.content("[data-testid=\"blind-A\"] h3").await?;
    let tally = page.content("[data-testid=\"tally\"]").await?;
    let won = if heading.contains("ine-tuned") {
        "Fine-tuned 1, base 0"
    } else {
        "Fine-tuned 0, base 1"
    };
    ensure!(
        heading.starts_with("A: ") && tally.contains(won) && tally.contains("p = 1.000"),
        "{heading}; {tally}"
    );
    let again = page
        .run(
            "return document.querySelector('[data-testid=\"choose-0\"]').disabled",
            vec![],
        )
        .await?;
    ensure!(again == Value::Bool(true), "one choice a pair");
    page.no_panic()?;
    page.page.close().await
}
