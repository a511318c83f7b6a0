//! Whole ways of a person through the page, from the first look to what is taken away, in any browser and on any device: the
//! learner's, two practitioners' with data and models of their own, the engineer's with a run file, and mistakes with their ways
//! out. Storage that is full and a GPU that is lost break a run in its middle: they are in the modules `endurance`.

mod texts;

use crate::browser::{Page, selector};
use crate::files_in_page::NamedBytes;
use crate::user_actions::{REACTION, READY, STATUS, STEP, unpack};
use anyhow::{Context, Result, ensure};
use lorakeet_core::config::RunConfig;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
pub use texts::{CATEGORIES, chats, tickets};

/// What a real model may take for one part of its way, on two cores that stand for a GPU.
const LONG: Duration = Duration::from_secs(1800);

/// Rows that the classifier is judged on.
const JUDGED: &str = "150";

/// Opens the page as it stands, trains, reads the verdict, tries the model, looks inside, and shares what came of it.
///
/// # Errors
/// A part of the way is closed.
pub async fn learner(page: &Page) -> Result<()> {
    page.wait_enabled("train", READY).await?;
    page.shorten("24").await?;
    page.train_to_the_end().await?;
    let change = page.content(&selector("change")).await?;
    let losses: Vec<f64> = change.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    ensure!(losses.len() == 2 && losses[1] < losses[0], "{change}");
    let written = |which: &str| format!("{} .written span:last-child", selector(&format!("sample-{which}")));
    let (before, now) = (
        page.content(&written("before")).await?,
        page.content(&written("now")).await?,
    );
    ensure!(!now.is_empty() && before != now, "before: {before}\nnow: {now}");
    let verdict = page.content(&format!("{} .verdict-said", selector("verdict"))).await?;
    ensure!(!verdict.is_empty(), "there is no verdict");
    println!("{change}; {verdict}; {} tokens/s", page.text("speed").await?);

    generate(page, "And God said", "8", READY).await?;
    page.unfold_pictures(&["lora_update"]).await?;
    let picture = page.draw_picture("lora_update").await?;
    ensure!(!picture.is_empty() && !picture.contains("before training"), "{picture}");

    // Whoever opens the link sees the same without training.
    let (settings, sentence) = (
        config_of(page).await?,
        page.content(&selector("report-sentence")).await?,
    );
    let link = share_link(page, true).await?;
    ensure!(link.contains("results="), "{link}");
    open_link(
        page,
        &link,
        &format!("!!document.querySelector('{}')", selector("shared-run")),
    )
    .await?;
    page.wait_enabled("train", READY).await?;
    ensure!(config_of(page).await? == settings, "the link has other settings");
    let shared = page.content(&selector("report-sentence")).await?;
    let said = |sentence: &str| sentence.split(':').next().map(str::to_owned);
    ensure!(
        !shared.is_empty() && said(&shared) == said(&sentence),
        "{shared} for {sentence}"
    );
    Ok(())
}

/// A run file as another trainer's users write it.
const RUN_FILE: &str = "\
model_name_or_path: model
train_file: data/king-james.txt
per_device_train_batch_size: 1
gradient_accumulation_steps: 2
learning_rate: 2e-4
lr_scheduler_type: cosine
warmup_ratio: 0.1
num_train_epochs: 3.0
max_steps: 3
lora_rank: 16
lora_alpha: 32
lora_dropout: 0.05
quantization_bit: 4
cutoff_len: 64
val_size: 8
";

/// Pastes a run file with a mistake, opens the sound one, trains by it, saves it again, and passes the settings on in a link.
///
/// # Errors
/// A part of the way is closed.
pub async fn engineer(page: &Page) -> Result<()> {
    page.wait_enabled("train", READY).await?;
    let before = config_of(page).await?;
    page.write("run-file", &RUN_FILE.replace("learning_rate", "learning_rat"))
        .await?;
    page.press("apply-run-file").await?;
    let fault = format!(
        "return document.querySelector('{} .field-error')?.textContent",
        selector("run-file-fold")
    );
    let fault = page.wait_until("the mistake is named", REACTION, &fault).await?;
    ensure!(
        fault.as_str().is_some_and(|fault| fault.contains("learning_rate")),
        "{fault}"
    );
    page.choose_files("run-file-input", vec![("run.yaml".into(), RUN_FILE.into())])
        .await?;
    let is_taken = format!(
        "return document.querySelector('{}').value === '16' && !document.querySelector('{} .field-error')",
        selector("lora_r"),
        selector("run-file-fold")
    );
    page.wait_until("the run file is taken", REACTION, &is_taken).await?;
    let wanted = RunConfig::parse(RUN_FILE, "run.yaml")?.config;
    ensure!(before != wanted);

    page.train_to_the_end().await?;
    ensure!(page.run(&format!("return {STEP}"), vec![]).await? == json!(3));
    page.keep_downloads().await?;
    page.press("save-run-file").await?;
    let saved = String::from_utf8(page.handed_out("run.yaml", REACTION).await?)?;
    ensure!(
        saved == wanted.to_yaml(),
        "saved was\n{saved}\nfor\n{}",
        wanted.to_yaml()
    );
    ensure!(RunConfig::parse(&saved, "run.yaml")?.config == wanted);

    let link = share_link(page, false).await?;
    open_link(
        page,
        &link,
        &format!("!!document.querySelector('{}')", selector("train")),
    )
    .await?;
    page.wait_enabled("train", READY).await?;
    let shared = config_of(page).await?;
    ensure!(shared == wanted, "{shared:?} by the link {link}");
    Ok(())
}

/// Gives the page what it cannot use, and takes each way out: a file that is no model, letters of an encoding that is not read,
/// rows without labels for a classification, and prompts that leave no room for an answer.
///
/// # Errors
/// What is wrong is not named, or there is no way out.
pub async fn mistakes(page: &Page) -> Result<()> {
    page.wait_enabled("train", READY).await?;
    page.press("reset-settings").await?;
    page.drop_files(
        "#model .drop",
        vec![named("no-model.gguf", "these are not the bytes of a model")],
    )
    .await?;
    says(page, "#model [data-testid=\"error\"]", &["no-model.gguf"]).await?;
    page.press("model-bundled").await?;
    page.wait_enabled("train", READY).await?;

    // Korean in EUC-KR.
    let korean = b"one\n\xc0\xcc \xbf\xb5\xc8\xad\xb4\xc2 \xc1\xa4\xb8\xbb \xc0\xe7\xb9\xcc\xc0\xd6\xbe\xfa\xb4\xd9 \xb1\xd7\xb8\xae\xb0\xed\n";
    page.drop_files("#data .drop", vec![("letters.txt".into(), korean.to_vec())])
        .await?;
    says(
        page,
        "#data [data-testid=\"error\"]",
        &["letters.txt", "line 2", "UTF-8", "encoding"],
    )
    .await?;

    let rows: String = (0..40)
        .map(|row| format!("The parcel of row {row} came,A-{row}\n"))
        .collect();
    page.drop_files(
        "#data .drop",
        vec![named("unlabelled.csv", format!("text,reference\n{rows}"))],
    )
    .await?;
    says(page, "#data .step-summary", &["unlabelled.csv", "40 rows"]).await?;
    page.press("task-classification").await?;
    says(
        page,
        &selector("task-problem"),
        &["column with labels", "label_columns"],
    )
    .await?;
    page.press("task-found").await?;
    let is_solved = format!("return !document.querySelector('{}')", selector("task-problem"));
    page.wait_until("the task goes with the data", REACTION, &is_solved)
        .await?;

    let question = "Where is the parcel that was sent a week ago and why did nobody call me? ".repeat(2);
    let rows: String = (0..30).map(|row| format!("{question}{row},On its way.\n")).collect();
    page.drop_files(
        "#data .drop",
        vec![named("long.csv", format!("prompt,completion\n{rows}"))],
    )
    .await?;
    says(page, "#data .step-summary", &["long.csv", "30 rows"]).await?;
    page.shorten("2").await?;
    page.set_knob("cutoff_len", "8").await?;
    page.wait_enabled("train", REACTION).await?;
    page.click("train").await?;
    let failed = format!("return {STATUS} === 'failed'");
    page.wait_until("the run is refused", REACTION, &failed).await?;
    says(page, "#train [data-testid=\"error\"]", &["Raise cutoff_len"]).await?;
    for (knob, value) in [("cutoff_len", "128"), ("val_size", "4")] {
        page.set_knob(knob, value).await?;
    }
    page.train_to_the_end().await?;
    ensure!(page.run(&format!("return {STEP}"), vec![]).await? == json!(2));
    Ok(())
}

/// Drops all-MiniLM-L6-v2 and a table as a ticket system exports it, leaves out what the audit finds, takes the recommended
/// settings, trains, judges, and takes the classifier away.
///
/// # Errors
/// A part of the way is closed.
pub async fn classifier(page: &Page, model: &Path) -> Result<()> {
    page.wait_enabled("train", READY).await?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(model)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push((name, std::fs::read(entry.path())?));
        }
    }
    page.drop_files("#model .drop", files).await?;
    page.wait_until("MiniLM is loaded", LONG, &has(&selector("model-facts"), "bert"))
        .await?;
    page.drop_files("#data .drop", vec![("tickets.csv".into(), tickets())])
        .await?;
    says(page, "#data .step-summary", &["tickets.csv", "3\u{202f}000 rows"]).await?;
    says(page, &selector("data-facts"), &["Windows-1252"]).await?;
    says(page, &selector("label-counts"), &CATEGORIES).await?;
    says(page, "#goal .step-summary", &["Classification"]).await?;

    // A split would hold some of the copies out, which is another finding.
    page.set_knob("val_size", "0").await?;
    for (kind, left) in [
        ("exact_duplicates", "12 rows left out"),
        ("empty_rows", "3 rows left out"),
    ] {
        let remedy = format!("leave-out-{kind}");
        page.wait_enabled(&remedy, LONG).await?;
        page.press(&remedy).await?;
        let is_out = has(&selector(&format!("left-out-{kind}")), left);
        page.wait_until(left, LONG, &is_out).await?;
    }
    says(page, "#data .step-summary", &["2\u{202f}988 rows"]).await?;
    page.set_knob("val_size", JUDGED).await?;

    take_recommended(page).await?;
    // A line is drawn between the classes before the first step, so that few steps are a run to judge.
    for (knob, value) in [
        ("head_init", "probe"),
        ("max_steps", "4"),
        ("eval_steps", "4"),
        ("val_size", JUDGED),
    ] {
        page.set_knob(knob, value).await?;
    }
    page.train_within(LONG).await?;
    let tuned = format!("{} tr.tuned td[data-metric=\"accuracy\"]", selector("report"));
    let accuracy: f64 = page
        .content(&tuned)
        .await?
        .parse()
        .context("the accuracy is a number")?;
    let verdict = page.content(&format!("{} .verdict-said", selector("verdict"))).await?;
    println!("accuracy {accuracy}; {verdict}");
    ensure!(accuracy > 0.8 && !verdict.is_empty(), "{accuracy}; {verdict}");

    page.set_field("filter-which", "1").await?;
    let matching = page.content(&selector("rows-matching")).await?;
    ensure!(matching.contains(&format!("of {JUDGED} rows match")), "{matching}");
    page.set_field("filter-which", "0").await?;
    let thresholds = format!("return !!document.querySelector('{}')", selector("threshold"));
    page.wait_until("the thresholds are shown", LONG, &thresholds).await?;
    page.set_field("threshold", "0.6").await?;
    page.press("keep-threshold").await?;
    says(page, &selector("threshold-kept"), &["0.6"]).await?;
    let answers = page.ask("I was charged twice, please send the money back", "").await?;
    let sum: f64 = answers.iter().map(|(_, probability)| *probability).sum();
    ensure!(
        answers.len() == CATEGORIES.len() && answers[0].0 == "billing" && (sum - 1.0).abs() < 1e-3,
        "{answers:?}"
    );

    let files = exported(page).await?;
    let config = json_of(&files, "config.json")?;
    let labels = json!({ "0": CATEGORIES[0], "1": CATEGORIES[1], "2": CATEGORIES[2] });
    ensure!(config["id2label"] == labels, "{config}");
    let adapter = json_of(&files, "adapter_config.json")?;
    ensure!(adapter["task_type"] == "SEQ_CLS", "{adapter}");
    weights_of(&files).map(drop)
}

/// Drops SmolLM2 and conversations, looks at what of them is learnt, takes the recommended settings, trains a few steps, asks the
/// tuned model, and takes the adapter away.
///
/// # Errors
/// A part of the way is closed.
pub async fn chat(page: &Page, model: &Path) -> Result<()> {
    page.wait_enabled("train", READY).await?;
    let name = model
        .file_name()
        .context("the model has a name")?
        .to_string_lossy()
        .into_owned();
    page.drop_files("#model .drop", vec![(name, std::fs::read(model)?)])
        .await?;
    page.wait_until("SmolLM2 is loaded", LONG, &has("#model .step-summary", "SmolLM2"))
        .await?;
    page.drop_files("#data .drop", vec![named("chats.jsonl", chats())])
        .await?;
    says(page, "#data .step-summary", &["chats.jsonl", "24 rows, conversations"]).await?;
    let is_marked = format!(
        "const tokens = [...document.querySelectorAll('{} .example .token')];\
         return tokens.some((token) => token.matches('.trained')) && tokens.some((token) => !token.matches('.trained'))",
        selector("preview")
    );
    page.wait_until("the answers are learnt, the questions read", REACTION, &is_marked)
        .await?;
    take_recommended(page).await?;
    for (knob, value) in [
        ("per_device_train_batch_size", "1"),
        ("gradient_accumulation_steps", "1"),
        ("cutoff_len", "96"),
        ("val_size", "2"),
        ("max_steps", "2"),
        ("eval_steps", "2"),
        ("lora_r", "4"),
        ("target_modules", "q_proj,v_proj"),
    ] {
        page.set_knob(knob, value).await?;
    }
    page.train_within(LONG).await?;
    ensure!(page.run(&format!("return {STEP}"), vec![]).await? == json!(2));
    let verdict = page.content(&format!("{} .verdict-said", selector("verdict"))).await?;
    ensure!(!verdict.is_empty(), "there is no verdict");
    generate(page, "Where is my parcel?", "4", LONG).await?;

    let files = exported(page).await?;
    let config = json_of(&files, "adapter_config.json")?;
    ensure!(config["task_type"] == "CAUSAL_LM" && config["r"] == 4, "{config}");
    let names = weights_of(&files)?;
    let of = |part: &str| names.iter().filter(|name| name.contains(part)).count();
    ensure!(
        of("q_proj") + of("v_proj") == names.len() && of("lora_A") == of("lora_B"),
        "{names:?}"
    );
    Ok(())
}

/// A file of text.
fn named(name: &str, text: impl Into<Vec<u8>>) -> NamedBytes {
    (name.to_owned(), text.into())
}

/// Whether an element has these words.
fn has(css: &str, words: &str) -> String {
    format!(
        "return document.querySelector({})?.textContent.includes({}) ?? false",
        json!(css),
        json!(words)
    )
}

/// Waits until an element has all of these words.
async fn says(page: &Page, css: &str, words: &[&str]) -> Result<()> {
    for words in words {
        let what = format!("{css} says {words}");
        page.wait_until(&what, REACTION, &has(css, words)).await?;
    }
    Ok(())
}

/// The settings that the page would train by.
async fn config_of(page: &Page) -> Result<RunConfig> {
    Ok(RunConfig::parse(&page.run_file().await?, "run.yaml")?.config)
}

/// The link of the panel, which is open for as long.
async fn share_link(page: &Page, with_results: bool) -> Result<String> {
    page.press("share").await?;
    let there = format!("return !!document.querySelector('{}')", selector("share-link"));
    page.wait_until("the panel is open", REACTION, &there).await?;
    if with_results {
        page.press("share-results").await?;
    }
    let link = page.value("share-link").await?;
    page.press("share-close").await?;
    Ok(link)
}

/// Opens a link in the same tab, and waits until the page is there anew and `is_there`.
async fn open_link(page: &Page, link: &str, is_there: &str) -> Result<()> {
    let go = "window.isOld = true; location.href = arguments[0];";
    page.run(go, vec![json!(link)]).await?;
    let shown = format!("return !window.isOld && {is_there}");
    page.wait_until("the link is opened", READY, &shown).await.map(drop)
}

/// Has both models continue a prompt.
async fn generate(page: &Page, prompt: &str, tokens: &str, limit: Duration) -> Result<()> {
    page.run("document.getElementById('try').open = true", vec![]).await?;
    page.write("prompt", prompt).await?;
    page.set_field("max-tokens", tokens).await?;
    page.wait_enabled("generate", limit).await?;
    page.press("generate").await?;
    let both = ["answer-base", "answer-tuned"].map(|pane| {
        let css = json!(format!("{} .written:not(.empty):not(.growing)", selector(pane)));
        format!("!!document.querySelector({css})?.textContent")
    });
    let written = format!("return {}", both.join(" && "));
    page.wait_until("both models have written", limit, &written)
        .await
        .map(drop)
}

/// Takes what the page recommends, where it differs.
async fn take_recommended(page: &Page) -> Result<()> {
    page.wait_enabled("use-all", LONG).await?;
    page.press("use-all").await?;
    let all = format!(
        "return document.querySelector('{}').textContent.startsWith('All ')",
        selector("advice-summary")
    );
    page.wait_until("the settings are as recommended", READY, &all)
        .await
        .map(drop)
}

/// The files of the adapter that the page hands out, once it was read back and scored.
async fn exported(page: &Page) -> Result<Vec<NamedBytes>> {
    page.run("document.getElementById('export').open = true", vec![])
        .await?;
    page.keep_downloads().await?;
    page.wait_enabled("export-peft", LONG).await?;
    page.press("export-peft").await?;
    page.wait_enabled("download-adapter", LONG).await?;
    page.press("download-adapter").await?;
    let archive = page.handed_out("lorakeet-adapter.zip", LONG).await?;
    says(page, &selector("export-check"), &["Read back:"]).await?;
    unpack(&archive)
}

fn file<'a>(files: &'a [NamedBytes], name: &str) -> Result<&'a [u8]> {
    let found = files.iter().find(|(found, _)| found == name);
    Ok(&found.with_context(|| format!("the archive has no {name}"))?.1)
}

fn json_of(files: &[NamedBytes], name: &str) -> Result<Value> {
    Ok(serde_json::from_slice(file(files, name)?)?)
}

/// The names of the adapter's tensors, some of which were trained.
fn weights_of(files: &[NamedBytes]) -> Result<Vec<String>> {
    let tensors = SafeTensors::deserialize(file(files, "adapter_model.safetensors")?)?;
    let is_trained = tensors
        .tensors()
        .iter()
        .any(|(name, tensor)| name.contains("lora_B") && tensor.data().iter().any(|byte| *byte != 0));
    ensure!(is_trained, "every lora_B is as it was");
    Ok(tensors.names().into_iter().map(ToString::to_string).collect())
}
