//! A run's folder is enough: what it learnt is scored, answers, writes and is reported without anything said twice.

use super::endurance::adapter;
use super::{FIRST, Place};
use serde_json::Value;
use std::fs;
use std::process::Stdio;

/// The score among the events that a command prints.
fn score(events: &str) -> f64 {
    let events = events
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let scores: Vec<f64> = events
        .filter(|event| event["type"] == "eval")
        .map(|event| event["loss"].as_f64().expect("a loss"))
        .collect();
    let [score] = scores[..] else { panic!("{scores:?}") };
    score
}

/// The loss on held-out rows with which the run in `out` ended.
fn final_loss(place: &Place) -> f64 {
    let shown = place.told(&["show", "out"]);
    shown["summary"]["eval_loss_after"].as_f64().expect("a loss")
}

#[test]
fn a_run_s_folder_says_what_is_scored_answered_and_reported() {
    let place = Place::new("trained");
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 20\nsave_steps: 10\n");
    place.says(0, FIRST);
    // Its model has no weights before training.
    let said = place.says(1, &["eval", "run.yaml"]);
    assert!(
        said.contains("as it was before training. Name the folder out"),
        "{said}"
    );
    fs::remove_file(place.0.join("run.yaml")).expect("it is removed");

    let scored = score(&place.prints(&["eval", "out", "--json"]));
    let wanted = final_loss(&place);
    assert!((scored - wanted).abs() < 1e-5, "{scored}, not {wanted}");
    let all = score(&place.prints(&["eval", "out", "--data", "rows.csv", "--json"]));
    assert!((all - wanted).abs() > 1e-5, "all rows of a named file are scored");

    let output = place
        .command(&["predict", "out", "--data", "rows.csv"])
        .stdout(Stdio::piped())
        .output();
    let output = output.expect("it runs");
    let [rows, said] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    assert!(rows.starts_with("row,label,prediction,confidence,"), "{rows}");
    assert_eq!(
        rows.lines().count(),
        61,
        "a line for each row and their heading: {rows}"
    );
    assert!(said.contains("scores ") && said.contains("accuracy"), "{said}");
    let said = place.says(0, &["predict", "out"]);
    assert!(said.contains("most of which it was trained on"), "{said}");

    place.says(0, &["report", "out", "--output", "report.md"]);
    let report = String::from_utf8(place.read("report.md")).expect("text");
    assert!(
        report.starts_with("# Fine-tuning report: small\\_mlp on rows.csv\n"),
        "{report}"
    );
    for words in [
        "## Verdict",
        "Next step: ",
        "95% interval",
        "## Losses",
        "## Worst errors",
        "train\\_file",
        "hidden_size: 8",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    let refused = place.says(2, &["report", "out", "--output", "report.md"]);
    assert!(refused.contains("is there already"), "{refused}");
    let written = place.told(&["report", "out", "--language", "zh-CN"]);
    assert_eq!(written["path"], "out/lorakeet-report.html");
    let page = String::from_utf8(place.read("out/lorakeet-report.html")).expect("text");
    assert!(page.contains("lang=\"zh-Hans\"") && page.contains("<svg"), "{page}");
    let refused = place.says(2, &["report", "out", "--language", "fr"]);
    assert!(refused.contains("en and zh-CN"), "{refused}");

    // Without what is kept beside the record, the log has the report.
    fs::remove_file(place.0.join("out/outcome.json")).expect("it is removed");
    place.says(0, &["report", "out", "--output", "logged.md"]);
    let logged = String::from_utf8(place.read("logged.md")).expect("text");
    assert!(
        logged.contains("## Verdict") && logged.contains("95% interval"),
        "{logged}"
    );
    assert!(place.prints(&["show", "out"]).contains("tuned model"));

    // Where the end's weights are missing, those of the newest checkpoint answer, which is said once.
    fs::remove_file(place.0.join("out/model.safetensors")).expect("it is removed");
    let said = place.says(0, &["predict", "out"]);
    assert_eq!(said.matches("the weights of step 20 are used").count(), 1, "{said}");

    fs::rename(place.0.join("rows.csv"), place.0.join("moved.csv")).expect("it is moved");
    let refused = place.says(2, &["predict", "out"]);
    assert!(
        refused.contains("rows.csv") && refused.contains("--data"),
        "it says which file is not there, and the way out: {refused}"
    );
    place.says(0, &["predict", "out", "--data", "moved.csv"]);
}

#[test]
fn an_adapter_s_folder_brings_its_base_and_a_run_without_weights_is_refused() {
    let place = Place::new("trained-adapter");
    adapter(&place, 4);
    let without_copies = ["--set", "drop_rows=exact_duplicates"];
    place.says(0, &[FIRST, &["--set", "eval_steps=4"], &without_copies].concat());
    let scored = score(&place.prints(&["eval", "out", "--json"]));
    let wanted = final_loss(&place);
    assert!((scored - wanted).abs() < 1e-4, "{scored}, not {wanted}");
    let write = |model: &str| place.prints(&["generate", "Row 3 says", "--model", model, "--max-new-tokens", "12"]);
    let public = concat!(env!("CARGO_MANIFEST_DIR"), "/../public/model");
    let by_hand = [
        "generate",
        "Row 3 says",
        "--model",
        public,
        "--adapter",
        "out",
        "--max-new-tokens",
        "12",
    ];
    assert_eq!(write("out"), place.prints(&by_hand));

    // Of another file all rows are scored, unless the person says otherwise.
    let row = "{\"text\": \"Row 3 says that parrots repeat what they hear 3 times.\"}\n";
    fs::write(place.0.join("twice.jsonl"), row.repeat(2)).expect("it is written");
    let all: &[&str] = &["eval", "out", "--data", "twice.jsonl"];
    assert!(!place.says(0, all).contains("left out by drop_rows"));
    let said = place.says(0, &[all, &without_copies].concat());
    assert!(said.contains("Rows left out by drop_rows: 1"), "{said}");

    // Where the end is missing the newest whole checkpoint is taken, and without one there is nothing.
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        fs::remove_file(place.0.join("out").join(file)).expect("it is removed");
    }
    let said = place.says(0, &["eval", "out"]);
    assert!(said.contains("the weights of step 4 are used"), "{said}");
    fs::remove_dir_all(place.0.join("out/checkpoint-4")).expect("it is removed");
    let refused = place.says(2, &["eval", "out"]);
    assert!(refused.contains("has no weights yet"), "{refused}");
}
