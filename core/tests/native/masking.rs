//! Personal data that a run reads as placeholders.

use lorakeet_core::config::RunConfig;
use lorakeet_core::data::Dataset;
use lorakeet_core::data::audit::{Reading, audit, lines};
use lorakeet_core::protocol::AuditKind;
use lorakeet_i18n::Message;

#[test]
fn personal_data_are_read_as_placeholders_and_labels_stay() {
    let rows = [
        "write to a@firm.de,a@firm.de,1",
        "call +49 30 1234567 or b@firm.de,b@firm.de,2",
        "nothing here,none,3",
    ];
    let file = format!("text,label,id\n{}\n", rows.join("\n"));
    let masking = |words: &[&str]| RunConfig {
        mask_personal: words.iter().map(|word| (*word).to_owned()).collect(),
        val_size: 0.0,
        ..RunConfig::default()
    };
    let read = |name: &str, text: &str, config: &RunConfig| {
        let read = Dataset::read_by(name, text.as_bytes(), &Reading::of(config), None, false);
        read.unwrap_or_else(|error| panic!("{error}")).0
    };
    let both = masking(&["email_addresses", "phone_numbers"]);
    let made = read("a.csv", &file, &both);
    let written = lines(&made).expect("rows");
    let wanted = [
        r#"{"text":"write to EMAIL","label":"a@firm.de","id":"1"}"#,
        r#"{"text":"call PHONE or EMAIL","label":"b@firm.de","id":"2"}"#,
        r#"{"text":"nothing here","label":"none","id":"3"}"#,
    ];
    assert_eq!(written.lines().collect::<Vec<_>>(), wanted);
    let is_said = |note: &Message| note.english().contains("placeholders: 2");
    assert!(made.notes.iter().any(is_said), "{:?}", made.notes);
    let report = audit(&made, None, &both, None).expect("it is audited");
    assert!(
        report.finding(AuditKind::EmailAddresses).is_none(),
        "{:?}",
        report.findings
    );
    assert!(both.validate().is_ok());
    let error = masking(&["labels"]).validate().expect_err("it is no word");
    assert_eq!(error.field_name(), Some("mask_personal"));

    // A number that is read as a text is masked as one; in other columns it stays a number.
    let numbers = "{\"text\": 13812345678, \"id\": 13812345678}\n{\"text\": 7, \"id\": 8}\n";
    let made = read("a.jsonl", numbers, &both);
    let written = lines(&made).expect("rows");
    assert_eq!(
        written,
        "{\"text\":\"PHONE\",\"id\":13812345678}\n{\"text\":7,\"id\":8}\n"
    );

    // A text without columns, too.
    let text = read("a.txt", "Mail a@firm.de.\n\nBye.", &both);
    let report = audit(&text, None, &both, None).expect("it is audited");
    assert!(
        report.finding(AuditKind::EmailAddresses).is_none(),
        "{:?}",
        report.findings
    );
}
