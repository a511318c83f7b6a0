//! Two answers, one of which is preferred.

use super::{config, lines, to_beat};
use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    error::Kind,
    protocol::{Command, DeviceChoice, Event},
    random::Generator,
    store::Source,
    task::Task,
};
use lorakeet_tests::{
    test_session::{TestSession, failure, metric, report, started},
    tiny,
};

/// Prompts that name a letter; the chosen answer says it, the rejected one another.
pub(super) fn preferences() -> Source {
    let mut generator = Generator::new(19, "rows");
    let rows = (0..80).map(|_| {
        let letters = ["a", "b", "c", "d"];
        let right = generator.below(4);
        let wrong = (right + 1 + generator.below(3)) % 4;
        let said = |letter: usize| format!(" {}.", letters[letter].repeat(3));
        serde_json::json!({ "prompt": format!("say {}", letters[right]), "chosen": said(right), "rejected": said(wrong) })
    });
    lines(rows.collect::<Vec<_>>().into_iter())
}

#[test]
fn dpo_prefers_what_was_chosen_and_starts_from_the_model_itself() {
    let config = || RunConfig {
        learning_rate: 5e-3,
        max_steps: 80,
        eval_steps: 40.0,
        val_size: 20.0,
        ..config()
    };
    for (kind, device) in [
        (FinetuningType::Lora, DeviceChoice::Cpu),
        (FinetuningType::Lora, DeviceChoice::Gpu),
        (FinetuningType::Full, DeviceChoice::Cpu),
    ] {
        let mut session = TestSession::with(device, tiny::model_files(), preferences());
        session.train(RunConfig {
            finetuning_type: kind,
            learning_rate: if kind == FinetuningType::Full { 1e-3 } else { 5e-3 },
            ..config()
        });
        assert!(session.summary().finished);
        let info = started(&session);
        assert_eq!((info.task, info.loss.as_str()), (Task::Preference, "dpo"));
        let evals = session.evals();
        // Untouched, policy and reference are one: -log sigma(0).
        assert!(
            (evals[0].loss - std::f64::consts::LN_2).abs() < 1e-4,
            "{}",
            evals[0].loss
        );
        assert!(metric(&evals[0], "reward_margin").abs() < 1e-4);
        let (accuracy, margin) = (
            metric(&evals[2], "preference_accuracy"),
            metric(&evals[2], "reward_margin"),
        );
        let before = to_beat(&report(&session), "preference_accuracy");
        assert!(
            accuracy > 0.9 && accuracy > before + 0.2 && margin > 0.1,
            "{accuracy} over {before}, {margin}"
        );
    }

    let rows = [
        serde_json::json!({ "prompt": "say a", "chosen": "a", "rejected": "b" }),
        serde_json::json!({ "prompt": "say b", "chosen": "b" }),
    ];
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), lines(rows.into_iter()));
    session.train(config());
    let error = failure(&session);
    let place = (error.file.as_deref(), error.row, error.field_name());
    assert_eq!(place, (Some("rows.jsonl"), Some(2), Some("rejected")), "{error}");
}

#[test]
fn a_stop_ends_the_scoring_of_the_reference() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), preferences());
    let command = Command::Train {
        // The model is read again in 4 bits, which tells the test that the rows are done and the reference comes next.
        config: Box::new(RunConfig {
            quantization_bit: Some(4),
            ..config()
        }),
        sample_prompt: None,
        watch: Vec::new(),
        keep: None,
    };
    session.ask_and(command, Vec::new(), &mut |event, control| {
        if matches!(event, Event::Model(_)) {
            control.stop();
        }
    });
    let error = failure(&session);
    assert_eq!(error.kind, Kind::Stopped);
    assert!(error.what.english().contains("reference"), "{error}");
}
