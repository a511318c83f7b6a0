//! `lorakeet find-rate`, `advise`, `compare` and `sweep`: what comes before and after a run.

use super::Place;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A run whose steps see all rows, so that its loss has no noise.
const LINES: &str = "train_file: rows.csv\noutput_dir: out\nmax_steps: 8\n";
const WHOLE: [&str; 2] = ["--set", "per_device_train_batch_size=48"];

/// Everything under a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("it can be listed").flatten() {
        found.insert(entry.path().display().to_string());
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        }
    }
    found
}

/// The last line of JSON that a command prints.
fn last(text: &str) -> Value {
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn a_rate_is_found_twice_the_same_and_nothing_is_left_behind() {
    let place = Place::new("rate");
    place.run(LINES);
    let before = files(&place.0);
    let words = [&["find-rate", "run.yaml", "--from", "1e-5"][..], &WHOLE].concat();
    let json = [&words[..], &["--json"]].concat();
    let found = last(&place.prints(&json));
    assert_eq!(found["type"], "rate_search");
    let rate = found["recommended"].as_f64().expect("a rate");
    assert!((1e-5..1.0).contains(&rate), "{found}");
    assert_eq!(found["learning_rate"], 0.02, "the run's own");
    assert!(
        found["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("Recommended")),
        "{found}"
    );
    assert_eq!(last(&place.prints(&json)), found, "the same again");
    let text = place.prints(&words);
    for part in ["smoothed", "steepest fall", "*", "--set learning_rate="] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(files(&place.0), before);

    let said = place.says(2, &["find-rate", "run.yaml", "--from", "0.1", "--to", "0.01"]);
    assert!(said.contains("from: the rates have to grow"), "{said}");
    let said = place.says(2, &["find-rate", "run.yaml", "--steps", "3"]);
    assert!(said.contains("steps: a search has from 20"), "{said}");
}

#[test]
fn advice_has_reasons_and_cautions_and_writes_nothing() {
    let place = Place::new("advice");
    place.run(LINES);
    let before = files(&place.0);
    let found = last(&place.prints(&["advise", "run.yaml", "--json"]));
    assert_eq!(
        (&found["type"], &found["facts"]["rows"]),
        (&"advice".into(), &48.into())
    );
    let settings = found["settings"].as_array().expect("a list");
    let rate = settings
        .iter()
        .find(|one| one["knob"] == "learning_rate")
        .expect("a rate");
    assert_eq!((&rate["value"], &rate["current"]), (&0.001.into(), &0.02.into()));
    for part in ["reason", "evidence", "why_not"] {
        assert!(
            rate[part].as_str().is_some_and(|text| text.ends_with('.')),
            "{part}: {rate}"
        );
    }
    let text = place.prints(&["advise", "run.yaml", "--set", "val_size=0"]);
    for part in [
        "classification: 60 rows to train on, 0 held out",
        "val_size: No rows are held out",
        "learning_rate: 0.001",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A model and data, without a run file.
    let text = place.prints(&["advise", "small_mlp", "rows.csv"]);
    assert!(
        text.contains("finetuning_type: full  (as in the run)") && text.contains("  nothing"),
        "{text}"
    );
    assert_eq!(files(&place.0), before);
    let said = place.says(1, &["advise", "small_mlp", "none.csv"]);
    assert!(said.contains("none.csv"), "{said}");
}

#[test]
fn runs_are_compared_by_what_differs() {
    let place = Place::new("compare");
    place.run(LINES);
    let train = |folder: &str, setting: &str| {
        let folder = format!("output_dir={folder}");
        place.says(0, &["train", "run.yaml", "--set", &folder, "--set", setting]);
    };
    train("one", "learning_rate=0.02");
    train("two", "learning_rate=0.001");
    let found = last(&place.prints(&["compare", "one", "two", "--json"]));
    let names: Vec<&str> = found["settings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["learning_rate"], "and no place: {found}");
    assert_eq!(found["settings"][0]["values"], serde_json::json!([0.02, 0.001]));
    let losses = found["losses"].as_array().expect("a list");
    assert_eq!(losses.len(), 8, "{found}");
    assert_eq!(losses.last().expect("some")["step"], 8);
    // The first step of both is from the same weights.
    assert_eq!(losses[0]["values"][0], losses[0]["values"][1]);
    for run in found["runs"].as_array().expect("a list") {
        assert!(
            run["scores"]["eval_loss"].is_f64() && run["scores"]["accuracy"].is_f64(),
            "{run}"
        );
        assert!(run["gain"]["comparison"]["low"].is_f64(), "{run}");
    }
    assert_eq!(found["notes"], serde_json::json!([]));
    let text = place.prints(&["compare", "one", "two"]);
    for part in [
        "learning_rate",
        "final scores",
        "against the best baseline",
        "training loss at step",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for part in ["lora_r", "max_steps", "output_dir"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
    // Other held-out rows, and fewer steps.
    train("three", "val_size=20");
    let text = place.prints(&["compare", "one", "three"]);
    assert!(
        text.contains("not of the same rows") && text.contains("val_size"),
        "{text}"
    );
    let said = place.says(2, &["compare", "one", "nowhere"]);
    assert!(said.contains("nowhere: is not the folder of a run"), "{said}");
    place.says(2, &["compare", "one"]);
}
