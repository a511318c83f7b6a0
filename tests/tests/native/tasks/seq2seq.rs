//! Encoder-decoder models, which answer a text with another.

use super::config;
use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    protocol::{Command, DeviceChoice, Event, Verdict},
    random::Generator,
    store::MemoryFile,
    task::Task,
};
use lorakeet_tests::{
    rows::table,
    test_session::{TestSession, failure, find, report, started},
    tiny,
};

#[test]
fn an_encoder_decoder_learns_to_answer_a_text_with_another() {
    let mut generator = Generator::new(11, "rows");
    let rows = (0..80).map(|_| {
        let mut letter = |of: &[u8]| char::from(of[generator.below(of.len())]);
        let (first, last) = (letter(b"abc"), letter(b"def"));
        format!("{first}x{last},{last}{first}")
    });
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::t5_files(), table("source,target", rows));
    let command = Command::Train {
        config: Box::new(RunConfig {
            finetuning_type: FinetuningType::Full,
            learning_rate: 5e-3,
            max_steps: 200,
            eval_steps: 0.0,
            val_size: 10.0,
            ..config()
        }),
        sample_prompt: Some("axe".into()),
        watch: Vec::new(),
        keep: None,
    };
    session.ask(command, Vec::new());
    assert_eq!(started(&session).task, Task::Generation);
    let summary = session.summary();
    let (before, after) = (
        summary.eval_loss_before.expect("scored"),
        summary.eval_loss_after.expect("scored"),
    );
    assert!(after < 0.3 && after < before - 1.0, "{before} -> {after}");
    let sample = find(&session, |event| match event {
        Event::Sample { text, .. } => Some(text.clone()),
        _ => None,
    });
    assert!(sample.starts_with("ea"), "{sample:?}");

    // A text alone is nothing that such a model answers.
    let alone = table("text", ["ab".to_owned()].into_iter());
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::t5_files(), alone);
    session.train(config());
    let error = failure(&session);
    assert_eq!(
        (error.file.as_deref(), error.row),
        (Some("rows.csv"), Some(2)),
        "{error}"
    );
}

#[test]
fn answers_of_an_encoder_decoder_are_compared_too_and_no_rows_are_no_report() {
    let rows = (0..40).map(|i| format!("{{\"prompt\":\"ab {i}\",\"completion\":\"cde\"}}\n"));
    let rows = || MemoryFile::source("rows.jsonl", rows.clone().collect::<String>().into_bytes());
    let config = |val_size| RunConfig {
        finetuning_type: FinetuningType::Full,
        max_steps: 20,
        val_size,
        ..tiny::config()
    };
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::t5_files(), rows());
    session.train(config(12.0));
    let report = report(&session);
    assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence.english());
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::t5_files(), rows());
    session.train(config(0.0));
    assert!(session.summary().finished);
    let is_report = |event: &Event| matches!(event, Event::Report(_) | Event::Baseline { .. });
    assert!(!session.events.iter().any(is_report));
}
