//! The audit of data: a made-up file for each finding, and one without any.

use lorakeet_core::config::{DROP_WORDS, RunConfig};
use lorakeet_core::data::Dataset;
use lorakeet_core::data::audit::{Reading, audit, cleaned, lines};
use lorakeet_core::protocol::{AuditDropped, AuditFinding, AuditKind, AuditReport};

const SUBJECTS: [&str; 6] = ["parcel", "invoice", "password", "driver", "refund", "contract"];
const PLACES: [&str; 5] = ["Berlin", "Oslo", "Lima", "Cairo", "Quito"];

/// A sentence like no other of these: no two neighbouring words are shared by many.
fn sentence(number: usize) -> String {
    let word = |factor: usize| format!("w{}", (number * factor + factor) % 100_003);
    let words: Vec<String> = [3, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43].map(word).into();
    let (subject, place) = (SUBJECTS[number % 6], PLACES[number % 5]);
    format!("{subject} {} {place} {number}", words.join(" "))
}

fn labelled(rows: &[(String, &str)]) -> String {
    let rows = rows.iter().map(|(text, label)| format!("{text},{label}\n"));
    format!("text,label\n{}", rows.collect::<String>())
}

/// Rows of two classes, with nothing wrong with them.
fn clean(rows: usize) -> Vec<(String, &'static str)> {
    (0..rows).map(|row| (sentence(row), ["a", "b"][row % 2])).collect()
}

fn read(name: &str, text: &str) -> Dataset {
    Dataset::parse_to_audit(name, text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}"))
}

fn audited(file: &str, validation: Option<&str>, config: &RunConfig) -> AuditReport {
    let data = read("a.csv", file);
    let validation = validation.map(|text| read("b.csv", text));
    audit(&data, validation.as_ref(), config, None).unwrap_or_else(|error| panic!("{error}"))
}

/// A run that holds nothing out.
fn config() -> RunConfig {
    RunConfig {
        val_size: 0.0,
        ..RunConfig::default()
    }
}

/// The only finding, which is of this kind.
#[track_caller]
fn only(report: &AuditReport, kind: AuditKind) -> &AuditFinding {
    let kinds: Vec<AuditKind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [kind], "{:?}", report.findings);
    let finding = &report.findings[0];
    for message in [&finding.what, &finding.effect, &finding.remedy] {
        assert!(message.english().ends_with('.'), "{}", message.english());
    }
    finding
}

fn rows_of(finding: &AuditFinding) -> Vec<usize> {
    finding.rows.iter().map(|place| place.row).collect()
}

#[test]
fn a_clean_file_has_no_findings() {
    for config in [config(), RunConfig::default()] {
        let report = audited(&labelled(&clean(60)), None, &config);
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!((report.rows, report.texts.as_slice()), (60, &["text".to_owned()][..]));
        assert_eq!(report.classes, [("a".to_owned(), 30), ("b".to_owned(), 30)]);
        assert_eq!(report.scripts, [("Latin".to_owned(), 60)]);
        assert_eq!(report.held_out, if config.val_size > 0.0 { 6 } else { 0 });
    }
}

#[test]
fn copies_are_found_and_a_cleaned_file_is_without_them() {
    let mut rows = clean(40);
    rows.push(rows[3].clone());
    rows.push((rows[5].0.replace(PLACES[0], "Paris"), rows[5].1));
    let file = labelled(&rows);
    let report = audited(&file, None, &config());
    let kinds: Vec<AuditKind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [AuditKind::ExactDuplicates, AuditKind::NearDuplicates]);
    // The header is row 1.
    let exact = &report.findings[0].rows[0];
    assert_eq!((report.findings[0].count, exact.row, exact.like), (1, 42, Some(5)));
    let near = &report.findings[1].rows[0];
    assert_eq!((report.findings[1].count, near.row, near.like), (1, 43, Some(7)));
    assert!(near.excerpt.contains("Paris"), "{near:?}");

    let written = cleaned(&read("a.csv", &file), &config()).expect("it is cleaned");
    assert_eq!(
        (written.kept, written.duplicates, written.empty),
        (41, vec![42], vec![])
    );
    let again = Dataset::parse("clean.jsonl", written.lines.as_bytes()).expect("it is read");
    assert_eq!(
        (again.rows.len(), again.columns),
        (41, vec!["text".to_owned(), "label".to_owned()])
    );
}

#[test]
fn rows_that_differ_in_anything_that_a_task_reads_are_no_copies() {
    let turns = |first: &str, second: &str| {
        format!(r#"[{{"role": "{first}", "content": "a"}}, {{"role": "{second}", "content": "b"}}]"#)
    };
    let (asked, told) = (turns("user", "assistant"), turns("system", "assistant"));
    // Of three rows the second differs from the first, and the third is a copy of the second.
    let files = [
        [
            r#"{"id": 1, "query": "q", "positive": "p", "negative": "n"}"#.to_owned(),
            r#"{"id": 2, "query": "q", "positive": "p", "negative": "m"}"#.to_owned(),
            r#"{"id": 3, "query": "q", "positive": "p", "negative": "m"}"#.to_owned(),
        ],
        [
            r#"{"query": "q", "document": "d", "grade": 0}"#.to_owned(),
            r#"{"query": "q", "document": "d", "grade": 2}"#.to_owned(),
            r#"{"query": "q", "document": "d", "grade": 2}"#.to_owned(),
        ],
        [
            r#"{"tokens": ["a", "b"], "ner_tags": ["O", "O"]}"#.to_owned(),
            r#"{"tokens": ["a", "b"], "ner_tags": ["O", "X"]}"#.to_owned(),
            r#"{"tokens": ["a", "b"], "ner_tags": ["O", "X"]}"#.to_owned(),
        ],
        ["n", "m", "m"]
            .map(|worse| format!(r#"{{"messages": {asked}, "chosen": "a better one", "rejected": "{worse}"}}"#)),
        [&asked, &told, &told].map(|turns| format!(r#"{{"messages": {turns}}}"#)),
        // The end of a prompt is no beginning of its answer.
        [
            r#"{"prompt": "a", "completion": "b\nc"}"#.to_owned(),
            r#"{"prompt": "a\nb", "completion": "c"}"#.to_owned(),
            r#"{"prompt": "a\nb", "completion": "c "}"#.to_owned(),
        ],
    ];
    for rows in files {
        let data = read("a.jsonl", &rows.join("\n"));
        let written = cleaned(&data, &config()).unwrap_or_else(|error| panic!("{error}: {rows:?}"));
        assert_eq!((written.kept, written.duplicates), (2, vec![3]), "{rows:?}");
        let report = audit(&data, None, &config(), None).unwrap_or_else(|error| panic!("{error}: {rows:?}"));
        let copies = report.finding(AuditKind::ExactDuplicates).expect("the third row");
        assert_eq!((copies.count, copies.rows[0].row, copies.rows[0].like), (1, 3, Some(2)));
    }
}

#[test]
fn a_copy_is_found_behind_a_row_of_the_same_text_with_another_label() {
    let mut rows = clean(40);
    let text = rows[3].0.clone();
    rows.extend([(text.clone(), "a"), (text, "a")]);
    let file = labelled(&rows);
    let report = audited(&file, None, &config());
    let copies = report.finding(AuditKind::ExactDuplicates).expect("the last row");
    assert_eq!(
        (copies.count, copies.rows[0].row, copies.rows[0].like),
        (1, 43, Some(42))
    );
    let written = cleaned(&read("a.csv", &file), &config()).expect("it is cleaned");
    assert_eq!(written.duplicates, [43]);
}

#[test]
fn words_with_classes_are_audited_as_such() {
    for tags in ["labels", "ner_tags"] {
        let row = |tag: &str| format!("{{\"tokens\": [\"one\", \"word\"], \"{tags}\": [\"O\", \"{tag}\"]}}\n");
        let data = read("a.jsonl", &[row("X"), row("Y")].concat());
        let named = RunConfig {
            label_columns: vec![tags.to_owned()],
            ..config()
        };
        for config in [config(), named] {
            let report = audit(&data, None, &config, None).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                (report.texts.as_slice(), report.labels.as_slice()),
                (&["tokens".to_owned()][..], &[tags.to_owned()][..])
            );
            assert!(report.classes.is_empty(), "{:?}", report.classes);
            only(&report, AuditKind::ConflictingLabels);
        }
    }
    // Classes in one field are none of the row.
    let table = read("a.csv", "tokens,tags\na b,O X\nc d,X O\n");
    let report = audit(&table, None, &config(), None).expect("it is audited");
    assert!(
        report.classes.is_empty() && report.findings.is_empty(),
        "{:?}",
        report.findings
    );
}

#[test]
fn rows_that_are_trained_on_and_held_out_are_leakage() {
    let rows = clean(40);
    let held: Vec<(String, &str)> = (100..110).map(|row| (sentence(row), ["a", "b"][row % 2])).collect();
    let mut leaking = held.clone();
    leaking[2] = rows[7].clone();
    leaking[4] = (rows[10].0.replace(PLACES[0], "Paris"), rows[10].1);
    let report = audited(&labelled(&rows), Some(&labelled(&held)), &config());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.rows, report.held_out), (50, 10));
    let report = audited(&labelled(&rows), Some(&labelled(&leaking)), &config());
    for (kind, row, like) in [(AuditKind::ExactLeakage, 4, 9), (AuditKind::NearLeakage, 6, 12)] {
        let finding = report.finding(kind).expect("it is found");
        let place = &finding.rows[0];
        assert!(finding.serious && finding.count == 1, "{finding:?}");
        assert_eq!((place.row, place.like, place.in_validation), (row, Some(like), true));
    }
    assert_eq!(report.findings.len(), 2, "{:?}", report.findings);
    // Of a split, a row with its copy may fall on both sides: every row stands here twice.
    let twice: Vec<(String, &str)> = rows.iter().flat_map(|row| [row.clone(), row.clone()]).collect();
    let split = RunConfig {
        val_size: 0.25,
        ..config()
    };
    let report = audited(&labelled(&twice), None, &split);
    let leakage = report.finding(AuditKind::ExactLeakage).expect("it is found");
    let doubled = report.finding(AuditKind::ExactDuplicates).expect("it is found");
    assert_eq!(report.held_out, 20);
    assert_eq!(leakage.count + doubled.count, 40);
    assert!(leakage.remedy.english().contains("--write"), "{:?}", leakage.remedy);
}

#[test]
fn labels_that_contradict_each_other_or_are_missing_are_found() {
    let mut rows = clean(40);
    rows.push((rows[3].0.clone(), "a"));
    let report = audited(&labelled(&rows), None, &config());
    let conflict = only(&report, AuditKind::ConflictingLabels);
    assert_eq!((conflict.rows[0].row, conflict.rows[0].like), (42, Some(5)));
    assert!(conflict.rows[0].excerpt.starts_with("b ≠ a: "), "{conflict:?}");

    let mut rows = clean(40);
    rows[9].1 = " ";
    let report = audited(&labelled(&rows), None, &config());
    assert_eq!(rows_of(only(&report, AuditKind::MissingLabels)), [11]);
}

#[test]
fn classes_with_few_rows_are_found() {
    let mut rows = clean(40);
    rows[9].1 = "rare";
    rows[19].1 = "rare";
    let report = audited(&labelled(&rows), None, &config());
    let rare = report.finding(AuditKind::RareClasses).expect("it is found");
    assert_eq!(
        (rare.count, rare.rows[0].row, rare.rows[0].excerpt.as_str()),
        (1, 11, "rare: 2")
    );
    let imbalance = report.finding(AuditKind::Imbalance).expect("it is found");
    assert!(
        imbalance.what.english().contains("'a' has 20 rows, 'rare' has 2"),
        "{imbalance:?}"
    );
    assert_eq!(report.findings.len(), 2);
    // Quantities are no classes.
    let numbers: Vec<(String, String)> = (0..40).map(|row| (sentence(row), format!("{row}.5"))).collect();
    let numbers: Vec<(String, &str)> = numbers
        .iter()
        .map(|(text, number)| (text.clone(), number.as_str()))
        .collect();
    let report = audited(&labelled(&numbers), None, &config());
    assert!(
        report.findings.is_empty() && report.classes.is_empty(),
        "{:?}",
        report.findings
    );
}

#[test]
fn empty_rows_are_found_where_a_run_would_refuse_or_skip_them() {
    let mut rows = clean(20);
    rows[4].0 = "  ".into();
    let report = audited(&labelled(&rows), None, &config());
    assert_eq!(rows_of(only(&report, AuditKind::EmptyRows)), [6]);
    let pairs = "prompt,completion\nwho,me\nwhat,\n,,\n,that\n";
    assert!(Dataset::parse("a.csv", pairs.as_bytes()).is_err());
    let report = audited(pairs, None, &config());
    assert_eq!(rows_of(only(&report, AuditKind::EmptyRows)), [3, 4]);
    let written = cleaned(&read("a.csv", pairs), &config()).expect("it is cleaned");
    assert_eq!((written.kept, written.empty), (2, vec![3, 4]));
    assert!(
        Dataset::parse("clean.jsonl", written.lines.as_bytes()).is_ok(),
        "{}",
        written.lines
    );
}

#[test]
fn rows_beyond_cutoff_len_are_found_with_or_without_a_tokenizer() {
    let long = "one more word ".repeat(400);
    let mut rows = clean(20);
    rows[6].0.push_str(&long);
    let report = audited(&labelled(&rows), None, &config());
    let found = only(&report, AuditKind::TooLong);
    assert_eq!(rows_of(found), [8]);
    let what = found.what.english();
    assert!(what.contains("(512 tokens)") && what.contains("Estimated"), "{what}");
    let roomy = RunConfig {
        cutoff_len: 4096,
        ..config()
    };
    assert!(audited(&labelled(&rows), None, &roomy).findings.is_empty());

    let pairs = format!("prompt,completion\nwho,me\n{long},that\n");
    let report = audited(&pairs, None, &config());
    for kind in [AuditKind::AllMasked, AuditKind::TooLong] {
        assert_eq!(rows_of(report.finding(kind).expect("it is found")), [3]);
    }
    let unmasked = RunConfig {
        completion_only_loss: false,
        ..config()
    };
    only(&audited(&pairs, None, &unmasked), AuditKind::TooLong);
    let chat = format!(
        r#"{{"messages": [{{"role": "user", "content": "{long}"}}, {{"role": "assistant", "content": "yes"}}]}}"#
    );
    let chat = read("a.jsonl", &chat);
    let report = audit(&chat, None, &config(), None).expect("it is audited");
    assert!(report.finding(AuditKind::AllMasked).is_some(), "{:?}", report.findings);
}

#[test]
fn faults_of_characters_are_found() {
    for (fault, kind) in [
        ("caf\u{fffd} ", AuditKind::ReplacementCharacters),
        ("a\u{1b}b ", AuditKind::ControlCharacters),
        ("GrÃ¶ÃŸe ", AuditKind::Mojibake),
    ] {
        let mut rows = clean(20);
        rows[6].0.insert_str(0, fault);
        let report = audited(&labelled(&rows), None, &config());
        let found = only(&report, kind);
        assert!(found.serious);
        assert_eq!(rows_of(found), [8]);
    }
}

#[test]
fn personal_data_are_found_and_not_shown() {
    for (text, kind) in [
        (" write to anna.lee@company.org", AuditKind::EmailAddresses),
        (" call +44 20 7946 0958", AuditKind::PhoneNumbers),
        (" pay to DE89 3704 0044 0532 0130 00", AuditKind::Ibans),
        (" with 4111 1111 1111 1111", AuditKind::PaymentCards),
        (" of 11010519491231002X", AuditKind::ResidentIds),
    ] {
        let mut rows = clean(20);
        rows[6].0.push_str(text);
        let report = audited(&labelled(&rows), None, &config());
        let found = only(&report, kind);
        assert!(found.serious);
        assert_eq!(rows_of(found), [8]);
        assert!(found.rows[0].excerpt.contains("**"), "{found:?}");
    }
}

#[test]
fn rows_in_another_script_are_found() {
    let mut rows = clean(20);
    rows[6].0 = "这部电影真的很好看我们全家都很喜欢".into();
    rows[8].0 = "очень хороший фильм".into();
    let report = audited(&labelled(&rows), None, &config());
    assert_eq!(rows_of(only(&report, AuditKind::MixedScripts)), [8, 10]);
    assert_eq!(report.scripts[0], ("Latin".to_owned(), 18));
}

#[test]
fn a_text_is_audited_by_paragraphs_and_numbers_are_refused() {
    let text = format!("{}\n\n{}\nmore of it\n\n\n{}\n", sentence(1), sentence(2), sentence(1));
    let data = read("a.txt", &text);
    let report = audit(&data, None, &config(), None).expect("it is audited");
    let found = only(&report, AuditKind::ExactDuplicates);
    assert_eq!((report.rows, rows_of(found), found.rows[0].like), (3, vec![7], Some(1)));
    assert!(cleaned(&data, &config()).is_err());
    let error = audit(&read("a.csv", "x,y,label\n1,2,a\n3,4,b\n"), None, &config(), None).expect_err("numbers");
    assert!(error.file.is_some() && error.remedy.is_some(), "{error}");
}

#[test]
fn the_same_data_give_the_same_report_and_many_rows_are_read() {
    let mut rows = clean(20_000);
    rows.extend(clean(300).into_iter().map(|(text, label)| (text + " again", label)));
    let file = labelled(&rows);
    let report = audited(&file, None, &config());
    assert_eq!(
        report.finding(AuditKind::NearDuplicates).map(|found| found.count),
        Some(300)
    );
    assert_eq!(report, audited(&file, None, &config()));
}

/// A run that leaves out what these words name.
fn dropping(words: &[&str]) -> RunConfig {
    RunConfig {
        drop_rows: words.iter().map(|word| (*word).to_owned()).collect(),
        ..config()
    }
}

/// The file as that run reads it, strictly, and what it left out.
fn read_without(file: &str, trained: Option<&Dataset>, words: &[&str]) -> (Dataset, Vec<(AuditKind, u64)>) {
    let reading = Reading::of(&dropping(words));
    let read = Dataset::read_by("a.csv", file.as_bytes(), &reading, trained, false);
    let (rows, dropped) = read.unwrap_or_else(|error| panic!("{error}"));
    let dropped = dropped.into_iter().map(|AuditDropped { kind, count }| (kind, count));
    (rows, dropped.collect())
}

fn numbers(rows: &Dataset) -> Vec<usize> {
    rows.rows.iter().map(|row| row.number).collect()
}

#[test]
fn every_word_of_drop_rows_is_a_finding() {
    assert_eq!(
        AuditKind::named("probably_mislabelled"),
        Some(AuditKind::ProbablyMislabelled)
    );
    for word in DROP_WORDS {
        assert_eq!(AuditKind::named(word).map(AuditKind::name), Some(word));
    }
    assert!(dropping(&DROP_WORDS).validate().is_ok());
    let error = dropping(&["empty_row"]).validate().expect_err("it is no word");
    assert_eq!(error.field_name(), Some("drop_rows"));
    assert!(error.to_string().contains("empty_rows"), "{error}");
}

#[test]
fn what_drop_rows_names_is_left_out_and_the_audit_does_not_find_it_again() {
    let mut rows = clean(30);
    rows.push(rows[3].clone());
    rows.push((rows[5].0.replace(PLACES[0], "Paris"), rows[5].1));
    rows.push((rows[7].0.clone(), "a"));
    rows.push((sentence(90), " "));
    rows.push((format!("{} write to anna.lee@company.org", sentence(91)), "b"));
    rows.push(("GrÃ¶ÃŸe of the parcel".to_owned(), "b"));
    let file = labelled(&rows);
    let words = [
        "exact_duplicates",
        "near_duplicates",
        "conflicting_labels",
        "missing_labels",
        "email_addresses",
        "mojibake",
    ];
    for word in words {
        let kind = AuditKind::named(word).expect("a finding");
        let report = audited(&file, None, &config());
        let finding = report
            .finding(kind)
            .unwrap_or_else(|| panic!("{word}: {:?}", report.findings));
        assert_eq!((finding.count, finding.drop_as), (1, Some(kind)), "{word}");
        let (left, dropped) = read_without(&file, None, &[word]);
        assert_eq!((left.rows.len(), dropped), (35, vec![(kind, 1)]), "{word}");
        assert!(!numbers(&left).contains(&finding.rows[0].row), "{word}");
        let again = audit(&left, None, &config(), None).unwrap_or_else(|error| panic!("{error}"));
        assert!(again.finding(kind).is_none(), "{word}: {:?}", again.findings);
        assert_eq!(lines(&left).expect("it has columns").lines().count(), 35);
    }
    let (left, dropped) = read_without(&file, None, &words);
    assert_eq!((left.rows.len(), dropped.len()), (30, 6));
    // Rows keep the numbers that they have in the file.
    assert_eq!(numbers(&left), (2..32).collect::<Vec<_>>());
    // None of them is left out unasked.
    assert_eq!(read_without(&file, None, &[]).0.rows.len(), 36);
}

#[test]
fn a_file_that_a_run_refuses_is_read_without_its_empty_rows() {
    let pairs = "prompt,completion\nwho,me\nwhat,\n,,\n,that\n";
    assert!(Dataset::parse("a.csv", pairs.as_bytes()).is_err());
    let (left, dropped) = read_without(pairs, None, &["empty_rows"]);
    assert_eq!((numbers(&left), dropped), (vec![2, 5], vec![(AuditKind::EmptyRows, 2)]));
    let read = |name: &str, text: &str| {
        let reading = Reading::of(&dropping(&["empty_rows"]));
        Dataset::read_by(name, text.as_bytes(), &reading, None, false).expect_err("nothing could be left out")
    };
    for (name, text) in [
        ("a.txt", "a text\n\nof two paragraphs"),
        ("a.csv", "x,y,label\n1,2,a\n3,4,b\n"),
        ("a.csv", "prompt,completion\nwhat,\n"),
    ] {
        let error = read(name, text);
        assert_eq!(error.field_name(), Some("drop_rows"), "{error}");
        assert!(error.remedy.is_some() && error.file.is_some(), "{error}");
    }
}

#[test]
fn validation_rows_that_are_trained_on_are_left_out() {
    let rows = clean(40);
    let mut held: Vec<(String, &str)> = (100..110).map(|row| (sentence(row), ["a", "b"][row % 2])).collect();
    held[2] = rows[7].clone();
    held[4] = (rows[10].0.replace(PLACES[0], "Paris"), rows[10].1);
    let trained = read("a.csv", &labelled(&rows));
    let held = labelled(&held);
    let words = ["exact_leakage", "near_leakage"];
    let (left, dropped) = read_without(&held, Some(&trained), &words);
    assert_eq!(dropped, [(AuditKind::ExactLeakage, 1), (AuditKind::NearLeakage, 1)]);
    assert_eq!(numbers(&left), [2, 3, 5, 7, 8, 9, 10, 11]);
    let report = audit(&trained, Some(&left), &config(), None).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    // The rows that are trained on stay.
    assert_eq!(read_without(&labelled(&rows), None, &words).0.rows.len(), 40);
}

#[test]
fn labels_that_the_words_of_the_other_rows_speak_against_are_told_of() {
    let mut rows = clean(120);
    for place in [10, 33, 71] {
        rows[place].1 = if rows[place].1 == "a" { "b" } else { "a" };
    }
    let report = audited(&labelled(&rows), None, &config());
    let found = only(&report, AuditKind::ProbablyMislabelled);
    // Of the three that were changed at least two, and no other.
    let places = rows_of(found);
    assert!(!found.serious && places.len() >= 2, "{found:?}");
    assert!(places.iter().all(|place| [12, 35, 73].contains(place)), "{found:?}");
    for place in &found.rows {
        let (own, other) = (
            rows[place.row - 2].1,
            if rows[place.row - 2].1 == "a" { "b" } else { "a" },
        );
        assert!(place.excerpt.starts_with(&format!("{own} → {other} (")), "{place:?}");
    }
    // Each row with the text is named, and one with two labels is another finding.
    let twice: Vec<(String, &str)> = rows.iter().chain(&rows[33..34]).cloned().collect();
    let report = audited(&labelled(&twice), None, &config());
    let found = report.finding(AuditKind::ProbablyMislabelled).expect("it is found");
    assert!(
        rows_of(found).contains(&35) && rows_of(found).contains(&122),
        "{found:?}"
    );
    let mut both = rows.clone();
    both.push((rows[33].0.clone(), if rows[33].1 == "a" { "b" } else { "a" }));
    let report = audited(&labelled(&both), None, &config());
    let found = report.finding(AuditKind::ProbablyMislabelled).expect("it is found");
    assert!(!rows_of(found).contains(&35), "{found:?}");
    assert!(report.finding(AuditKind::ConflictingLabels).is_some());
}

#[test]
fn labels_that_words_do_not_decide_and_few_rows_are_not_judged() {
    // Words say nothing of these labels.
    let rows: Vec<(String, &str)> = (0..200)
        .map(|row| (sentence(row), ["a", "b"][row * row / 7 % 2]))
        .collect();
    let report = audited(&labelled(&rows), None, &config());
    assert!(
        report.finding(AuditKind::ProbablyMislabelled).is_none(),
        "{:?}",
        report.findings
    );
    for (count, wrong) in [(19, 4), (60, 4)] {
        let mut rows = clean(count);
        // Of a class with four rows nothing is known.
        for place in 0..wrong {
            rows[10 + 2 * place].1 = "rare";
        }
        let report = audited(&labelled(&rows), None, &config());
        assert!(
            report.finding(AuditKind::ProbablyMislabelled).is_none(),
            "{:?}",
            report.findings
        );
    }
}
