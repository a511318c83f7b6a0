//! What runs measured, and which choice it makes true.

use super::{SAMPLE, changed, parse};
use lorakeet_core::Error;
use lorakeet_core::error::Kind;
use lorakeet_core::lesson::{At, Lesson, Results, RunResults};
use lorakeet_core::protocol::{Event, RunSummary};
use lorakeet_i18n::Message;
use serde_json::{Value, json};

fn results(events: &[Event]) -> RunResults {
    events.iter().collect()
}

fn event(value: Value) -> Event {
    serde_json::from_value(value).expect("an event")
}

fn step(step: usize, loss: f64) -> Event {
    event(
        json!({ "type": "step", "step": step, "epoch": 0, "loss": loss, "learning_rate": 0, "grad_norm": 0,
        "tokens_per_second": 0, "num_input_tokens_seen": 0, "eta_seconds": 0 }),
    )
}

fn eval(step: usize, loss: f64, accuracy: f64) -> Event {
    event(
        json!({ "type": "eval", "step": step, "loss": loss, "perplexity": loss.exp(), "tokens": 1,
        "metrics": [{ "name": "accuracy", "value": accuracy }] }),
    )
}

fn done(steps: usize, loss: f64) -> Event {
    Event::Done(RunSummary {
        finished: true,
        steps,
        train_loss: 0.0,
        eval_loss_before: None,
        eval_loss_after: Some(loss),
        seconds: 2.5,
    })
}

/// A run whose best score is in its middle.
fn finished() -> Vec<Event> {
    let mut events = vec![
        event(
            json!({ "type": "started", "max_steps": 10, "train_examples": 4, "eval_examples": 2, "trainable_parameters": 7,
            "all_parameters": 9 }),
        ),
        event(
            json!({ "type": "baseline", "scores": [{ "kind": "majority_class", "name": "majority class",
            "metrics": [{ "name": "accuracy", "value": 0.5 }] }] }),
        ),
        eval(0, 2.0, 0.4),
    ];
    events.extend((1..=10).map(|i| step(i, 3.0 - 0.1 * i as f64)));
    events.extend([eval(5, 1.0, 0.9), eval(10, 1.5, 0.8)]);
    events
}

#[test]
fn values_are_taken_at_the_start_at_best_and_at_the_end() {
    let mut events = finished();
    let under_way = results(&events);
    assert_eq!(
        (under_way.value("eval_loss", At::End), under_way.is_over()),
        (None, false)
    );
    events.push(done(10, 1.5));
    let run = results(&events);
    for (name, at, value) in [
        ("loss", At::Start, 2.9),
        ("loss", At::Best, 2.0),
        ("loss", At::End, 2.05),
        ("eval_loss", At::Start, 2.0),
        ("eval_loss", At::Best, 1.0),
        ("eval_loss", At::End, 1.5),
        ("perplexity", At::Best, 1f64.exp()),
        ("accuracy", At::Start, 0.4),
        ("accuracy", At::Best, 0.9),
        ("accuracy", At::End, 0.8),
        ("baseline:majority_class.accuracy", At::End, 0.5),
        ("trainable_parameters", At::End, 7.0),
        ("seconds", At::End, 2.5),
        ("steps", At::End, 10.0),
        ("diverged", At::End, 0.0),
    ] {
        let got = run.value(name, at).unwrap_or_else(|| panic!("no {name}"));
        assert!((got - value).abs() < 1e-12, "{name} {at:?}: {got}");
    }
    assert_eq!(run.value("rouge_l", At::End), None);
    // Where the best weights were loaded at the end, theirs is the last score.
    *events.last_mut().expect("events") = done(10, 1.0);
    assert_eq!(results(&events).value("accuracy", At::End), Some(0.9));
}

#[test]
fn a_run_that_diverged_has_infinite_losses_and_one_that_broke_off_has_none() {
    let ended = |kind| {
        let mut events = finished();
        events.push(Event::Failed(Error::new(kind, Message::verbatim("the loss is NaN"))));
        results(&events)
    };
    let diverged = ended(Kind::Diverged);
    assert_eq!(diverged.value("diverged", At::End), Some(1.0));
    assert_eq!(diverged.value("eval_loss", At::End), Some(f64::INFINITY));
    assert_eq!(diverged.value("eval_loss", At::Best), Some(1.0));
    let broken = ended(Kind::Device);
    assert_eq!(
        (broken.value("diverged", At::End), broken.value("eval_loss", At::End)),
        (None, None)
    );
    assert!(broken.is_over());
}

/// The sample's results, with these validation losses at the end.
fn outcome(lesson: &Lesson, few: Option<f64>, many: Option<f64>) -> Option<usize> {
    let mut measured = Results::new();
    for (name, loss) in [("few", few), ("many", many)] {
        let ending = match loss {
            None => continue,
            Some(loss) if loss.is_finite() => done(1, loss),
            Some(_) => Event::Failed(Error::new(Kind::Diverged, Message::verbatim("the loss is NaN"))),
        };
        let scored = loss.filter(|loss| loss.is_finite()).unwrap_or(1.0);
        measured.insert(name.to_owned(), results(&[step(1, 1.0), eval(1, scored, 0.5), ending]));
    }
    lesson.outcome(&measured)
}

#[test]
fn exactly_one_choice_is_the_outcome() {
    let lesson = Lesson::parse(SAMPLE, "sample.json").expect("the sample is a lesson");
    assert_eq!(outcome(&lesson, Some(1.0), Some(2.0)), Some(0));
    assert_eq!(outcome(&lesson, Some(2.0), Some(1.0)), Some(1));
    assert_eq!(
        outcome(&lesson, Some(1.0), Some(f64::INFINITY)),
        Some(0),
        "a run that diverged is the worse one"
    );
    assert_eq!(outcome(&lesson, Some(1.0), Some(1.0)), None, "neither is lower");
    assert_eq!(outcome(&lesson, Some(1.0), None), None, "the other run is not over");
    let choice = |when: &str| json!({ "text": { "en": "a", "zh": "甲" }, "when": [when] });
    let alike = |first, second| {
        let lesson = changed(
            "/predict/choices",
            json!([
                choice("few.eval_loss ~ many.eval_loss"),
                choice("few.eval_loss > 1.5 * many.eval_loss")
            ]),
        );
        outcome(&parse(&lesson).expect("a lesson"), Some(first), Some(second))
    };
    assert_eq!((alike(1.0, 1.05), alike(1.05, 1.0)), (Some(0), Some(0)));
    assert_eq!((alike(1.0, 1.06), alike(1.6, 1.0)), (None, Some(1)));
    assert_eq!(alike(f64::INFINITY, 1.0), Some(1));
    let both = changed(
        "/predict/choices",
        json!([choice("few.eval_loss < 3"), choice("many.eval_loss < 3")]),
    );
    assert_eq!(
        outcome(&parse(&both).expect("a lesson"), Some(1.0), Some(1.0)),
        None,
        "two choices hold"
    );
}
