//! Events as the engine writes them are read as they are meant.

use super::*;
use lorakeet_core::Error;
use lorakeet_core::config::find;
use lorakeet_core::protocol::{Event, KnobInfo};
use lorakeet_i18n::{Language, Message};

fn written(event: &Event) -> Value {
    serde_json::to_value(event).expect("an event is written")
}

#[test]
fn what_a_run_measures_is_read_as_the_protocol_writes_it() {
    let events = [
        Event::Step(StepInfo {
            step: 3,
            epoch: 0.5,
            loss: f64::INFINITY,
            learning_rate: 1e-3,
            grad_norm: 1.0,
            tokens_per_second: 100.0,
            num_input_tokens_seen: 9,
            eta_seconds: 1.0,
            seconds: 2.5,
            device_bytes: None,
        }),
        Event::Eval(EvalInfo {
            step: 4,
            loss: 2.5,
            perplexity: 12.2,
            tokens: 7,
            metrics: vec![Metric {
                name: "accuracy".into(),
                value: 0.5,
            }],
        }),
        Event::Done(RunSummary {
            finished: true,
            steps: 4,
            train_loss: 3.0,
            eval_loss_before: Some(4.0),
            eval_loss_after: None,
            seconds: 1.5,
        }),
    ];
    for event in events {
        let Some(Heard::Measured(read)) = read(&written(&event)) else {
            panic!("{event:?} is read")
        };
        assert_eq!(Some(read), Measured::of(&event));
    }
}

#[test]
fn pictures_are_read_as_the_protocol_writes_them() {
    let grid = vec![0.0, 1.0, -1.0, 0.5];
    let pictures = [
        Picture::Tokens {
            tokens: vec![TokenProbability {
                text: " a".into(),
                base: None,
                tuned: Some(0.25),
                likeliest: "b".into(),
                likeliest_probability: 0.5,
            }],
        },
        Picture::LoraUpdate {
            module: "m".into(),
            rows: 2,
            columns: 2,
            shape: (4, 6),
            rank: 1,
            values: grid.clone(),
            largest: 1.0,
            norm: 2.0,
            weight_norm: 4.0,
        },
        Picture::Attention {
            layer: 1,
            head: 2,
            layers: 3,
            heads: 4,
            tokens: vec!["a".into(), "b".into()],
            weights: grid.clone(),
        },
        Picture::LossSurface {
            names: ("w".into(), "b".into()),
            x: (0.0, 1.0),
            y: (-1.0, 1.0),
            columns: 2,
            rows: 2,
            losses: grid.clone(),
            path: vec![(0.0, 0.5, 2.0)],
        },
        Picture::PackedWeights {
            module: "m".into(),
            format: "nf4".into(),
            rows: 2,
            columns: 2,
            original: grid.clone(),
            decoded: grid.clone(),
            levels: vec![-1.0, 1.0],
            root_mean_square_error: 0.25,
            original_bytes: 16,
            packed_bytes: 4,
        },
        Picture::Units {
            layer: 0,
            layers: 1,
            inputs: vec!["x".into()],
            x: (0.0, 1.0),
            y: None,
            columns: 4,
            rows: 1,
            units: vec![grid.clone()],
            output: vec![grid.clone()],
        },
        Picture::LayerUpdates {
            layers: vec!["layers.0".into(), "layers.1".into()],
            modules: vec!["q".into(), "v".into()],
            shares: grid.clone(),
            gradients: grid,
            gradient_step: Some(1),
        },
    ];
    for picture in pictures {
        let event = Event::Picture {
            id: None,
            step: Some(2),
            picture: picture.clone(),
        };
        let Some(Heard::Picture(Some(2), read)) = read(&written(&event)) else {
            panic!("{picture:?} is read")
        };
        assert_eq!(read, picture);
    }
}

#[test]
fn knobs_are_read_as_the_protocol_writes_them() {
    let names = ["learning_rate", "lora_r", "max_steps", "hidden_act"];
    let knobs = names.map(|name| KnobInfo::new(find(name).expect("a knob"), Language::English));
    let event = Event::Knobs { knobs: knobs.to_vec() };
    let Some(Heard::Knobs(read)) = read(&written(&event)) else {
        panic!("{event:?} is read")
    };
    let ranges: Vec<_> = read.iter().map(|knob| knob.range.clone()).collect();
    let range = |min, max, is_above, is_whole| {
        Some(KnobRange {
            min,
            max,
            is_above,
            is_below: false,
            is_whole,
        })
    };
    let steps = range(1.0, 1e9, false, true);
    assert_eq!(
        ranges,
        [
            range(0.0, 1.0, true, false),
            range(1.0, 4096.0, false, true),
            steps,
            None
        ]
    );
    assert_eq!((read[2].unit.as_str(), read[3].choices.is_empty()), ("steps", false));
}

#[test]
fn a_failure_is_read_by_its_kind() {
    for (kind, name) in [
        (Kind::Diverged, "diverged"),
        (Kind::Stopped, "stopped"),
        (Kind::Device, "device"),
    ] {
        let event = Event::Failed(Error::new(kind, Message::verbatim("x")));
        assert!(
            matches!(read(&written(&event)), Some(Heard::Failed(read)) if read == kind),
            "{name}"
        );
    }
}

#[test]
fn what_is_not_needed_and_what_is_no_event_is_passed_over() {
    assert!(read(&serde_json::json!({ "type": "checkpoint", "step": 1, "path": "x" })).is_none());
    assert!(read(&Value::Null).is_none());
}
