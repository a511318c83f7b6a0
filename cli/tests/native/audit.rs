//! `lorakeet audit`, on data files and on run files.

use super::Place;
use serde_json::Value;
use std::fs;

/// Rows of two classes under names that no data set has, in Windows-1252; the last two are an empty row and a copy.
fn rows() -> Vec<u8> {
    let row = |number: usize| {
        let class = ["Auskunft", "Beschwerde", "Lob"][number % 3];
        format!(
            "{class};Die Stra\u{df}e Nummer {number} ist f\u{fc}r Besucher Nummer {} offen\n",
            number * 7
        )
    };
    let rows: String = (0..24).map(row).collect();
    let text = format!("Category;Message\n{rows}Lob;\n{}", row(4));
    text.chars()
        .map(|letter| u8::try_from(u32::from(letter)).expect("a letter of Latin-1"))
        .collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_table_is_audited_and_written_without_what_is_wrong() {
    let place = Place::new("audit");
    fs::write(place.0.join("tickets.csv"), rows()).expect("it is written");
    let text = place.prints(&["audit", "tickets.csv", "--set", "val_size=0"]);
    for words in [
        "25 rows",
        "label    category",
        "text     message",
        "read as Windows-1252",
        "Rows without a text, or without an answer: 1.",
        "row 26:",
        "row 27",
        "like row 6",
        "serious findings",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let told = place.prints(&[
        "audit",
        "tickets.csv",
        "--json",
        "--set",
        "val_size=0",
        "--write",
        "clean.jsonl",
    ]);
    let told = lines(&told);
    let find = |kind: &str| {
        told.iter()
            .find(|line| line["type"] == kind)
            .unwrap_or_else(|| panic!("{told:?}"))
    };
    let (audit, cleaned) = (find("audit"), find("cleaned"));
    let findings = audit["findings"].as_array().expect("a list");
    let kinds: Vec<&str> = findings.iter().filter_map(|finding| finding["kind"].as_str()).collect();
    assert!(
        kinds.contains(&"empty_rows") && kinds.contains(&"exact_duplicates"),
        "{kinds:?}"
    );
    assert!(
        findings.iter().all(|finding| finding["remedy"].is_string()),
        "messages are sentences"
    );
    assert_eq!(cleaned["rows"], 24);
    assert_eq!(
        (&cleaned["duplicates"], &cleaned["empty"]),
        (&[27].into(), &[26].into())
    );
    let written = String::from_utf8(place.read("clean.jsonl")).expect("UTF-8");
    let first: Value = serde_json::from_str(written.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["Category"], "Auskunft");
    assert!(
        first["Message"]
            .as_str()
            .is_some_and(|text| text.starts_with("Die Straße")),
        "{first}"
    );
    // A file that is there stays.
    let said = place.says(2, &["audit", "tickets.csv", "--write", "clean.jsonl"]);
    assert!(said.contains("clean.jsonl") && said.contains("--write"), "{said}");
    assert_eq!(place.read("clean.jsonl"), written.into_bytes());
}

#[test]
fn a_run_file_says_what_is_audited_and_a_wrong_encoding_is_refused() {
    let place = Place::new("audit-run");
    fs::write(place.0.join("tickets.csv"), rows()).expect("it is written");
    let held = "Category;Message\nLob;Die Straße Nummer 2 ist für Besucher Nummer 14 offen\n";
    fs::write(place.0.join("held.csv"), held).expect("it is written");
    let run = "train_file: tickets.csv\nvalidation_file: held.csv\n";
    fs::write(place.0.join("run.yaml"), run).expect("it is written");
    let text = place.prints(&["audit", "run.yaml"]);
    for words in [
        "26 rows, of which 1 are held out",
        "too: 1.",
        "row 2 (validation), like row 4",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let said = place.says(1, &["audit", "tickets.csv", "--encoding", "utf-8"]);
    assert!(said.contains("is not UTF-8") && said.contains("in line 2"), "{said}");
    assert!(
        place
            .says(2, &["audit", "tickets.csv", "--encoding", "klingon"])
            .contains("encoding")
    );
    let said = place.says(1, &["audit", "rows.csv"]);
    assert!(said.contains("rows.csv") && said.contains("numbers"), "{said}");
}
