//! A classification, a regression, a ranking and a generation in a real browser, step by step as a person walks them: files
//! are chosen, Train is pressed, the report is read, the table of answers is downloaded, the trained model is asked. Each
//! run is made natively as well, by the run file that the page shows, and has to come to the same.

mod judging;
mod lesson;

use anyhow::{Context, Result, ensure};
use lesson::{Files, Lesson, Native, WATCH_BASELINES, downloaded, fits, number, on_cpu, same_report};
use lorakeet_core::config::RunConfig;
use lorakeet_core::random::Generator;
use lorakeet_core::store::{MemoryFile, Source};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::rows::{bars, classes, graded, prices, table};
use lorakeet_tests::test_session::{TestSession, value};
use lorakeet_tests::tiny;
use lorakeet_tests::user_actions::{REACTION, READY, SAME, unpack};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_learns_classes_on_webgpu_and_the_report_is_that_of_a_native_run() -> Result<()> {
    let lesson = Lesson {
        name: "classes",
        model: tiny::bert_files,
        data: || classes(260),
        knobs: &[("val_size", "60"), ("max_steps", "80"), ("eval_steps", "40")],
    };
    let page = lesson
        .open(&Options {
            height: 1200,
            ..Options::default()
        })
        .await?;
    let said = page.content("[data-testid=\"task-plan\"]").await?;
    ensure!(
        said.contains("Loss: cross_entropy") && said.contains("accuracy"),
        "{said}"
    );
    ensure!(page.content("#goal .step-summary").await?.contains("Classification"));
    let counts = page.content("[data-testid=\"label-counts\"]").await?;
    ensure!(counts.contains("same") && counts.contains("other"), "{counts}");
    let example = page.content("[data-testid=\"preview\"] .example h4").await?;
    ensure!(example.contains("label: "), "{example}");

    page.run(WATCH_BASELINES, vec![]).await?;
    page.train_to_the_end().await?;
    let step = page.run("return window.stepOfBaselines", vec![]).await?;
    let step = step.as_str().context("the scores to beat were shown")?;
    ensure!(
        step == "–" || step.starts_with("0 "),
        "the scores to beat came at step {step}"
    );
    let native = lesson.natively(page.run_file().await?).await?;
    same_report(&page, &native).await?;
    page.screenshots("classes-1440").await?;

    // The confusions, the table of answers and the accuracy say the same.
    let cells = "return [...document.querySelectorAll('[data-testid=\"confusion\"] tbody tr')].map(row => \
                 [...row.querySelectorAll('td')].map(cell => Number(cell.textContent)))";
    let cells: Vec<Vec<u64>> = serde_json::from_value(page.run(cells, vec![]).await?)?;
    ensure!(cells.iter().flatten().sum::<u64>() == 60, "{cells:?}");
    let right = cells[0][0] + cells[1][1];
    let rows = downloaded(&page, &native).await?;
    ensure!(
        rows.iter().filter(|row| row[1] == row[2]).count() as u64 == right,
        "{rows:?}"
    );
    ensure!(
        rows.windows(2).all(|pair| number(&pair[0][4]) <= number(&pair[1][4])),
        "the worst errors come first"
    );
    let shown = page.content("[data-testid=\"predictions\"] tbody tr").await?;
    ensure!(shown.contains(&rows[0][5]), "{shown}");
    page.press("predictions-next").await?;
    let status = page.content("[data-testid=\"predictions\"] [role=\"status\"]").await?;
    let shown = page.content("[data-testid=\"predictions\"] tbody tr").await?;
    ensure!(
        status == "21–40 of 60" && shown.contains(&rows[20][5]),
        "{status}: {shown}"
    );
    ensure!(page.content("[data-testid=\"predictions-next\"]").await? == "Next");
    for part in ["calibration", "classes", "metric-curves"] {
        page.element(part).await?;
    }

    let answers = page.ask("acdea", "").await?;
    let sum: f64 = answers.iter().map(|(_, value)| value).sum();
    ensure!(answers[0].0 == "same" && (sum - 1.0).abs() < 1e-6, "{answers:?}");

    // The adapter brings its head, and the file that says what its outputs mean.
    page.run("document.getElementById('export').open = true", vec![])
        .await?;
    page.press("download-adapter").await?;
    let archive = page.wait_for_download(".zip", REACTION).await?;
    let files = unpack(&std::fs::read(archive)?)?;
    let config = files
        .iter()
        .find(|(name, _)| name == "config.json")
        .context("config.json")?;
    let config: Value = serde_json::from_slice(&config.1)?;
    ensure!(config["id2label"] == json!({ "0": "other", "1": "same" }), "{config}");
    ensure!(files.iter().any(|(name, _)| name == "adapter_model.safetensors"));
    page.no_panic()?;
    page.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_regression_is_chosen_by_hand_and_its_errors_are_in_the_unit_of_its_targets() -> Result<()> {
    let lesson = Lesson {
        name: "prices",
        model: tiny::bert_files,
        data: || prices(260),
        knobs: &[
            ("label_columns", "price"),
            ("val_size", "60"),
            ("max_steps", "60"),
            ("eval_steps", "30"),
        ],
    };
    let page = lesson.open(&on_cpu(1440)).await?;
    page.press("task-regression").await?;
    let said = "return document.querySelector('[data-testid=\"task-plan\"]').textContent.includes('mse')";
    page.wait_until("the loss is said", REACTION, said).await?;
    page.set_field("theme", "dark").await?;
    page.train_to_the_end().await?;
    let run_file = page.run_file().await?;
    ensure!(run_file.contains("task: regression"), "{run_file}");
    let native = lesson.natively(run_file).await?;
    same_report(&page, &native).await?;
    page.screenshots("prices-dark-1440").await?;

    let points = page.run(
        "return document.querySelector('[data-testid=\"residuals\"]').dataset.points",
        vec![],
    );
    ensure!(points.await? == json!("60"));
    let rows = downloaded(&page, &native).await?;
    let squares = rows.iter().map(|row| (number(&row[2]) - number(&row[1])).powi(2));
    let rmse = (squares.sum::<f64>() / rows.len() as f64).sqrt();
    let shown = page
        .content("[data-testid=\"report\"] tr.tuned td[data-metric=\"rmse\"]")
        .await?;
    ensure!(
        (number(&shown) - rmse).abs() < 0.1,
        "{shown} on the page, {rmse} in the file"
    );

    let (dear, cheap) = (page.ask("acdea", "").await?, page.ask("afgeb", "").await?);
    ensure!(
        dear[0].0 == "price" && dear[0].1 > cheap[0].1 + 200.0,
        "{dear:?} {cheap:?}"
    );

    page.set_field("language", "zh-Hans").await?;
    let sentence = page.content("[data-testid=\"report-sentence\"]").await?;
    ensure!(sentence.contains("置信区间") && sentence.contains("r2"), "{sentence}");
    page.screenshots("prices-chinese-1440").await?;
    page.no_panic()?;
    page.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ranking_on_a_narrow_page_sorts_documents_for_a_query() -> Result<()> {
    let lesson = Lesson {
        name: "graded",
        model: tiny::bert_files,
        data: || graded(160),
        knobs: &[("val_size", "40"), ("max_steps", "20"), ("eval_steps", "10")],
    };
    let page = lesson.open(&on_cpu(400)).await?;
    ensure!(page.content("[data-testid=\"task-plan\"]").await?.contains("ranknet"));
    page.train_to_the_end().await?;
    let native = lesson.natively(page.run_file().await?).await?;
    same_report(&page, &native).await?;
    let rows = downloaded(&page, &native).await?;
    let ndcg = rows.iter().map(|row| number(&row[1])).sum::<f64>() / rows.len() as f64;
    let shown = page
        .content("[data-testid=\"report\"] tr.tuned td[data-metric=\"ndcg_at_10\"]")
        .await?;
    ensure!(
        (number(&shown) - ndcg).abs() < SAME,
        "{shown} on the page, {ndcg} in the file"
    );

    // More steps are for the page alone: they magnify the last digits, in which processors differ.
    page.set_knob("max_steps", "120").await?;
    page.set_knob("eval_steps", "60").await?;
    page.train_to_the_end().await?;
    page.screenshots("graded-400").await?;
    page.set_field("theme", "dark").await?;
    page.screenshots("graded-dark-400").await?;
    let answers = page.ask("acde", "bcd\nacd\nbfg\n").await?;
    ensure!(answers.len() == 3 && answers[0].0 == "acd", "{answers:?}");
    ensure!(answers.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{answers:?}");
    fits(&page, 400).await?;
    page.no_panic()?;
    page.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_continues_texts_and_has_the_losses_of_a_native_run() -> Result<()> {
    let lesson = Lesson {
        name: "texts",
        model: tiny::model_files,
        data: tiny::data_file,
        knobs: &[
            ("val_size", "10"),
            ("max_steps", "12"),
            ("eval_steps", "6"),
            ("predict_with_generate", "true"),
            ("max_new_tokens", "8"),
        ],
    };
    let page = lesson.open(&on_cpu(1440)).await?;
    page.press("task-generation").await?;
    page.write("sample-prompt", "say a").await?;
    page.train_to_the_end().await?;
    let native = lesson.natively(page.run_file().await?).await?;
    let change = page.content("[data-testid=\"change\"]").await?;
    let shown: Vec<f64> = change
        .split_whitespace()
        .map(number)
        .filter(|value| value.is_finite())
        .collect();
    println!(
        "{change}; natively {:.4} and {:.4}",
        native.first.loss, native.last.loss
    );
    ensure!(
        shown.len() == 2 && (shown[0] - native.first.loss).abs() < SAME && (shown[1] - native.last.loss).abs() < SAME,
        "{change}"
    );
    ensure!(shown[1] < shown[0] - 0.1, "{change}");
    // Of the answers that it wrote, too.
    same_report(&page, &native).await?;
    ensure!(value(&native.last.metrics, "token_accuracy") > value(&native.first.metrics, "token_accuracy"));
    let (first, worst) = (
        "[data-testid=\"predictions\"] tbody tr:first-child",
        &native.predictions.rows[0],
    );
    let row = page.content(first).await?;
    ensure!(
        row.contains(worst[1].trim()) && row.contains(worst[4].trim()),
        "{row} {worst:?}"
    );
    let sample = |which: &str| format!("[data-testid=\"sample-{which}\"] .written span:last-child");
    let (before, after) = (
        page.content(&sample("before")).await?,
        page.content(&sample("now")).await?,
    );
    ensure!(!after.is_empty() && before != after, "{before:?} {after:?}");
    page.element("prompt").await?;
    page.no_panic()?;
    page.page.close().await
}

/// Rows of numbers, of which the class is whether both are on the same side of 0.
fn corners() -> Source {
    let mut generator = Generator::new(3, "corners");
    let rows = (0..300).map(|_| {
        let [height, width] = [(); 2].map(|()| generator.normal());
        let class = if height * width > 0.0 { "same" } else { "other" };
        format!("{height:.3},{width:.3},{class}")
    });
    table("height,width,label", rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_model_by_its_name_learns_rows_of_numbers() -> Result<()> {
    let data = Files::of("corners-data", vec![corners()]).await?;
    let page = Page::open(&on_cpu(1440)).await?;
    page.wait_enabled("train", READY).await?;
    page.press("model-small").await?;
    page.set_field("small-model", "small_mlp").await?;
    page.upload("data-input", &[&data.paths[0]]).await?;
    for (knob, value) in [("val_size", "100"), ("num_train_epochs", "30"), ("eval_steps", "100")] {
        page.set_knob(knob, value).await?;
    }
    let plan = "return document.querySelector('[data-testid=\"train\"]')?.disabled === false \
                && document.querySelector('[data-testid=\"preview\"] .example') \
                && document.querySelector('[data-testid=\"task-plan\"]').textContent";
    page.wait_until("the task is found", REACTION, plan).await?;
    page.train_to_the_end().await?;
    let run_file = page.run_file().await?;
    ensure!(run_file.contains("model_name_or_path: small_mlp"), "{run_file}");
    let native = tokio::task::spawn_blocking(move || -> Result<Native> {
        let config = RunConfig::parse(&run_file, "run.yaml")?.config;
        let mut session = TestSession::small(&config.model_name_or_path, vec![corners()]);
        session.train(config);
        Native::of(session)
    });
    let native = native.await??;
    same_report(&page, &native).await?;
    let accuracy = native.last.metrics.iter().find(|metric| metric.name == "accuracy");
    ensure!(accuracy.is_some_and(|accuracy| accuracy.value > 0.9), "{accuracy:?}");
    downloaded(&page, &native).await?;
    page.screenshots("numbers-1440").await?;
    page.no_panic()?;
    page.close().await
}

/// The place for a validation file, in the middle of the window.
async fn look_at_validation(page: &Page, screenshot: &str) -> Result<()> {
    let script = "document.getElementById('data').open = true;\
                  document.querySelector('[data-testid=\"validation\"]').scrollIntoView({ block: 'center', behavior: 'instant' })";
    page.run(script, vec![]).await?;
    page.screenshot(screenshot).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_given_for_validation_is_scored_and_images_are_given_with_their_labels() -> Result<()> {
    let lesson = Lesson {
        name: "held",
        model: tiny::bert_files,
        data: || classes(120),
        knobs: &[("val_size", "10"), ("max_steps", "4"), ("eval_steps", "4")],
    };
    let named = |name: &str, text: &str| MemoryFile::source(name, text.as_bytes().to_vec());
    let rows: String = (0..45)
        .map(|row| if row % 2 == 0 { "acdea,same\n" } else { "acdeb,other\n" })
        .collect();
    let held = Files::of(
        "held-validation",
        vec![
            named("other.csv", "text,label\nacdea,same\nacdeb,new\n"),
            named("held.csv", &format!("text,label\n{rows}")),
        ],
    )
    .await?;
    let page = lesson.open(&on_cpu(400)).await?;
    look_at_validation(&page, "validation-none-400").await?;

    // A file that does not go with the training data is named where it was given.
    page.upload("validation-input", &[&held.paths[0]]).await?;
    let said = "return document.querySelector('[data-testid=\"validation-problem\"]')?.textContent";
    let said = page.wait_until("the problem is said", REACTION, said).await?;
    let said = said.as_str().context("a text")?;
    ensure!(
        said.contains("other.csv, row 3, label") && said.contains("'new'"),
        "{said}"
    );
    look_at_validation(&page, "validation-problem-400").await?;
    page.press("remove-validation").await?;
    page.wait_enabled("validation-input", REACTION).await?;
    page.upload("validation-input", &[&held.paths[1]]).await?;
    let given = "return document.querySelector('[data-testid=\"validation-given\"]')?.textContent.startsWith('held.csv: 45 rows') \
                 && !document.querySelector('[data-testid=\"validation-problem\"]') \
                 && !!document.querySelector('[data-testid=\"val-size-idle\"]')";
    page.wait_until("the file is read", REACTION, given).await?;
    let run_file = page.run_file().await?;
    ensure!(run_file.contains("validation_file: held.csv"), "{run_file}");
    look_at_validation(&page, "validation-given-400").await?;
    fits(&page, 400).await?;

    page.train_to_the_end().await?;
    let status = page.content("[data-testid=extent]").await?;
    ensure!(status.contains("120 training examples, 45 held out"), "{status}");
    let scored = "return [...document.querySelectorAll('[data-testid=\"confusion\"] tbody td')]\
                  .reduce((sum, cell) => sum + Number(cell.textContent), 0)";
    ensure!(page.run(scored, vec![]).await? == json!(45));

    // Taken away, it is gone from the run file and from the engine.
    page.press("remove-validation").await?;
    page.wait_enabled("validation-input", REACTION).await?;
    page.train_to_the_end().await?;
    let status = page.content("[data-testid=extent]").await?;
    ensure!(status.contains("110 training examples, 10 held out"), "{status}");
    let run_file = page.run_file().await?;
    ensure!(!run_file.contains("validation_file"), "{run_file}");

    // Images: both files at once, in either order; the one without the other says what is missing.
    let images = Files::of("held-images", bars(40)).await?;
    let [pixels, labels] = [0, 1].map(|place| images.paths[place].as_path());
    page.press("model-small").await?;
    page.set_field("small-model", "small_mlp").await?;
    page.upload("data-input", &[labels, pixels]).await?;
    let read = "return document.querySelector('#data .step-summary').textContent.includes('40 rows') \
                && document.querySelector('[data-testid=\"label-counts\"]')?.textContent";
    page.wait_until("the images are read", REACTION, read).await?;
    let run_file = page.run_file().await?;
    ensure!(run_file.contains("train_file: bars-images-idx3-ubyte"), "{run_file}");
    page.upload("validation-input", &[pixels, labels]).await?;
    let given = "return document.querySelector('[data-testid=\"validation-given\"]')?.textContent.includes(': 40 rows') \
                 && !document.querySelector('[data-testid=\"validation-problem\"]')";
    page.wait_until("images are read to be scored", REACTION, given).await?;
    page.upload("data-input", &[pixels]).await?;
    let said = "return document.querySelector('#data [data-testid=\"error\"]')?.textContent";
    let said = page.wait_until("the labels are missed", REACTION, said).await?;
    let said = said.as_str().context("a text")?;
    ensure!(said.contains("bars-labels-idx1-ubyte together with them"), "{said}");
    page.no_panic()?;
    page.page.close().await
}
