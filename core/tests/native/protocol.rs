//! The words between the engine and its front ends: every event comes through JSON as it went in.
//! One file of 1000 lines, because every event and command has its example here.

use lorakeet_core::Error;
use lorakeet_core::advice::{Advice, Caution, Doubt, Recommendation};
use lorakeet_core::config::RunConfig;
use lorakeet_core::protocol::{
    AuditDropped, AuditFinding, AuditKind, AuditPlace, AuditReport, AuditSetting, Baseline, BaselineKind,
    CalibrationBin, ClassRow, ColumnRole, ColumnUse, Command, ComparedFiles, Comparison, CurveEval, CurvePoint,
    DataInfo, DecisionKind, Decisions, DeviceInfo, DeviceKind, Divergence, EvalInfo, Event, ExportCheck, ExportEvent,
    ExportForm, ExportOption, ExportScore, FileScore, FilesEvent, HubEvent, HubProgress, InputFile, Interval,
    Judgement, KnobInfo, KnobRange, Learnt, MeasuredBaselines, MemoryEstimate, Metric, ModelInfo, OpenedRun, Picture,
    PictureRequest, PredictionTable, PreviewExample, Probe, RateChange, RatePoint, RateSearch, ReadBack, Report,
    ReportForm, RunCurve, RunInfo, RunInput, RunLabels, RunOutcome, RunPreview, RunRecord, RunSample, RunScore,
    RunState, RunSummary, SearchEnd, Sign, Slice, SliceBy, Stage, StepInfo, StoredCopy, StoredRun, StoredSweep, Sweep,
    SweptRun, SweptRung, SweptScore, TensorChange, TensorError, TextPrediction, TokenProbability, TuningOutlook,
    UncomparedTensor, Verdict,
};
use lorakeet_core::task::Task;
use lorakeet_i18n::messages::formats as msg;
use lorakeet_i18n::{Field, Message};
use std::collections::BTreeSet;

fn sample() -> RunSample {
    RunSample {
        step: 1,
        prompt: "a".to_owned(),
        text: "b".to_owned(),
    }
}

fn sweep(number: f64) -> Sweep {
    let RunRecord {
        settings, model, data, ..
    } = record("a");
    let run = SweptRun {
        values: vec![1.into(), "a".into()],
        settings: [("lora_r".to_owned(), 1.into())].into(),
        run: Some("b".to_owned()),
        max_steps: Some(3),
        step: 2,
        held_out: 4,
        rungs: vec![SweptRung { parts: 1, loss: number }],
        loss: Some(number),
        score: Some(SweptScore {
            metric: "accuracy".to_owned(),
            value: number,
            interval: Some(Interval {
                low: 0.5,
                high: 0.75,
                confidence: 0.95,
            }),
        }),
        is_finished: true,
        failure: Some(Error::config(Message::verbatim("c"))),
    };
    Sweep {
        id: "a-b".to_owned(),
        started_ms: number,
        knobs: vec!["lora_r".to_owned(), "seed".to_owned()],
        settings,
        halves: true,
        budget_ms: Some(number),
        spent_ms: number,
        state: RunState::Stopped,
        task: Task::Generation,
        model,
        data,
        validation: None,
        adapter: None,
        runs: vec![run],
    }
}

fn record(id: &str) -> RunRecord {
    RunRecord {
        id: id.to_owned(),
        started_ms: 1.0,
        settings: RunRecord::settings_of(&RunConfig::default()),
        task: Task::Generation,
        sample_prompt: Some("a".to_owned()),
        model: RunInput::Bundled("b".to_owned()),
        data: RunInput::Files(vec![InputFile {
            name: "c".to_owned(),
            bytes: 1,
            copy: Some("d".to_owned()),
        }]),
        validation: None,
        adapter: None,
        state: RunState::Stopped,
        summary: None,
        max_steps: Some(3),
        inputs: [("train_file".to_owned(), "e".to_owned())].into(),
        failure: Some(Error::config(Message::verbatim("f"))),
        samples: vec![sample()],
        notes: vec![Message::verbatim("n")],
        rate_changes: vec![RateChange {
            step: 1,
            before: 0.3,
            learning_rate: 0.1,
        }],
        score: None,
        labels: RunLabels {
            name: Some("g".to_owned()),
            tags: vec!["h".to_owned()],
        },
    }
}

fn judgement(number: f64) -> Judgement {
    let interval = Interval {
        low: 0.25,
        high: 0.5,
        confidence: 0.95,
    };
    let slice = |by| Slice {
        by,
        rows: 12,
        value: number,
        interval: Some(interval),
        is_worse: true,
    };
    let length = SliceBy::Length {
        from: 1,
        to: 9,
        in_tokens: true,
    };
    let column = SliceBy::Column {
        name: "a".to_owned(),
        value: "b".to_owned(),
    };
    Judgement {
        metric: "accuracy".to_owned(),
        intervals: vec![None, Some(interval)],
        slices: vec![slice(length), slice(column)],
        decisions: Some(Decisions {
            kind: DecisionKind::Binary,
            names: vec!["a".to_owned(), "b".to_owned()],
            truth: vec![true],
            probabilities: vec![0.75],
        }),
    }
}

/// One picture of each kind.
fn pictures(number: f64) -> Vec<Picture> {
    let text = || "a \"b\"\n".to_owned();
    let cells = || vec![number as f32, 0.1, -2.5e-7];
    vec![
        Picture::Tokens {
            tokens: vec![TokenProbability {
                text: text(),
                base: None,
                tuned: Some(number),
                likeliest: text(),
                likeliest_probability: number,
            }],
        },
        Picture::LoraUpdate {
            module: text(),
            rows: 1,
            columns: 3,
            shape: (64, 32),
            rank: 4,
            values: cells(),
            largest: number,
            norm: number,
            weight_norm: number,
        },
        Picture::Attention {
            layer: 0,
            head: 1,
            layers: 2,
            heads: 4,
            tokens: vec![text()],
            weights: cells(),
        },
        Picture::LossSurface {
            names: (text(), text()),
            x: (-1.0, 1.0),
            y: (0.5, 2.5),
            columns: 3,
            rows: 1,
            losses: cells(),
            path: vec![(0.25, -0.5, number)],
        },
        Picture::PackedWeights {
            module: text(),
            format: "nf4".to_owned(),
            rows: 1,
            columns: 3,
            original: cells(),
            decoded: cells(),
            levels: cells(),
            root_mean_square_error: number,
            original_bytes: u64::MAX,
            packed_bytes: 1,
        },
        Picture::Units {
            layer: 0,
            layers: 1,
            inputs: vec![text()],
            x: (-1.0, 1.0),
            y: None,
            columns: 3,
            rows: 1,
            units: vec![cells(), cells()],
            output: vec![cells()],
        },
        Picture::LayerUpdates {
            layers: vec![text()],
            modules: vec![text(), text(), text()],
            shares: cells(),
            gradients: cells(),
            gradient_step: Some(4),
        },
    ]
}

/// One event of each kind, with `number` wherever a number with a fraction stands.
fn events(number: f64) -> Vec<Event> {
    let text = || "text \"in\" quotes\n".to_owned();
    let said = || {
        Message::from(msg::SeveralGgufFiles {
            files: Field::list([text(), text()]),
        })
    };
    let metric = || Metric {
        name: text(),
        value: number,
    };
    let step = StepInfo {
        step: 1,
        epoch: number,
        loss: number,
        learning_rate: number,
        grad_norm: number,
        tokens_per_second: number,
        num_input_tokens_seen: 1,
        eta_seconds: number,
        seconds: number,
        device_bytes: Some(1),
    };
    let eval = EvalInfo {
        step: 0,
        loss: number,
        perplexity: number,
        tokens: 1,
        metrics: vec![metric()],
    };
    let summary = RunSummary {
        finished: true,
        steps: 1,
        train_loss: number,
        eval_loss_before: None,
        eval_loss_after: Some(number),
        seconds: number,
    };
    let mut events = vec![
        Event::Ready,
        Event::Device(DeviceInfo {
            kind: DeviceKind::Gpu,
            name: text(),
            backend: "WebGPU".into(),
            max_binding_bytes: u64::MAX,
            note: Some(said()),
        }),
        Event::Progress {
            stage: Stage::LoadModel,
            done: 1,
            total: 2,
        },
        Event::Model(ModelInfo {
            name: text(),
            model_type: "llama".into(),
            parameters: 1,
            weight_bytes: 4,
            heap_bytes: Some(9),
            formats: vec![("F32".into(), 4)],
            vocab_size: 1,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            hidden_size: 1,
            max_position_embeddings: 1,
            has_chat_template: true,
            has_thinking_switch: true,
            linear_modules: vec!["q_proj".into()],
        }),
        Event::Data(DataInfo {
            name: text(),
            form: "text".into(),
            rows: 1,
            columns: vec![text()],
            sheets: vec![text()],
            notes: vec![said()],
        }),
        Event::Preview {
            examples: vec![PreviewExample {
                tokens: vec![(text(), true)],
                truncated: true,
                label: text(),
                row: 3,
                cut: 2,
                cut_tokens: vec![text()],
            }],
            after: 4,
            total: 9,
            columns: vec![ColumnUse {
                column: text(),
                role: ColumnRole::SecondText,
            }],
            outlook: Some(RunPreview {
                task: Task::Classification,
                loss: text(),
                metric: text(),
                notes: vec![said()],
                labels: vec![(text(), 3)],
            }),
            problem: Some(Error::data(said())),
            validation_problem: Some(Error::data(said()).file("b.csv").row(3)),
        },
        Event::Validation { data: None },
        Event::Estimate {
            memory: MemoryEstimate {
                parameters: 1,
                base_bytes: 2,
                trained_parameters: 3,
                adapter_bytes: 4,
                optimizer_bytes: 5,
                gradient_bytes: 6,
                activation_bytes: Some(7),
                peak_bytes: Some(8),
            },
            available_bytes: Some(9),
            seconds_per_step: Some(0.125),
            learnt: Some(Learnt {
                steps: 10,
                peak_bytes: Some(11),
            }),
        },
        Event::Started(RunInfo {
            max_steps: 1,
            train_examples: 1,
            eval_examples: 1,
            trainable_parameters: 1,
            all_parameters: 2,
            task: Task::Classification,
            loss: text(),
        }),
        Event::Baseline {
            scores: vec![Baseline {
                kind: BaselineKind::MajorityClass,
                name: text(),
                metrics: vec![metric()],
            }],
        },
        Event::Report(Box::new(Report {
            task: Task::Regression,
            metric: text(),
            metrics: vec![metric()],
            baselines: Vec::new(),
            against: text(),
            comparison: Some(Comparison {
                before: 0.25,
                after: 0.5,
                difference: 0.25,
                low: 0.125,
                high: 0.375,
                confidence: 0.95,
                rows: 40,
            }),
            verdict: Some(Verdict::Better),
            sentence: said(),
            labels: vec![text()],
            confusion: vec![(0, 1, 2)],
            classes: vec![ClassRow {
                label: text(),
                precision: 0.5,
                recall: 0.25,
                f1: 0.125,
                support: 3,
            }],
            calibration: vec![CalibrationBin {
                from: 0.0,
                to: 0.5,
                count: 2,
                confidence: number,
                accuracy: f64::INFINITY,
            }],
        })),
        Event::Predictions(PredictionTable {
            columns: vec![text()],
            rows: vec![vec![text()]],
        }),
        Event::Judgement(Box::new(judgement(number))),
        Event::Predicted {
            task: Task::Ranking,
            strength: 1.5,
            answers: vec![TextPrediction {
                text: text(),
                values: vec![metric()],
            }],
        },
        Event::Step(step.clone()),
        Event::Eval(eval.clone()),
        Event::Sample {
            step: 0,
            prompt: text(),
            text: text(),
        },
        Event::Paused { step: 1 },
        Event::Resumed,
        Event::Checkpoint { step: 1, path: text() },
        Event::Done(summary.clone()),
        Event::Token { id: 1, text: text() },
        Event::Generated {
            id: 1,
            text: text(),
            tokens: 1,
            tokens_per_second: number,
        },
        Event::File { name: text(), bytes: 1 },
        Event::Knobs {
            knobs: vec![KnobInfo {
                name: text(),
                guidance: text(),
                choices: vec![text()],
                unit: text(),
                range: Some(KnobRange {
                    min: 0.0,
                    max: 1e9,
                    above: true,
                    below: false,
                    whole: true,
                }),
            }],
        },
        Event::CheckpointFile { name: text(), bytes: 1 },
        Event::Probe(Probe {
            gflops: 123.5,
            gbytes_per_s: 12.25,
            await_ms: 0.125,
            launch_us: 7.5,
        }),
        Event::Halved {
            step: 1,
            rows: 2,
            batches: 8,
        },
        Event::Diverging(Divergence {
            sign: Sign::LossRose,
            step: 3,
            since: 2,
            rows: vec![7],
            checkpoint: Some(1),
            learning_rate: number,
            ends_run: false,
        }),
        Event::Warning { message: said() },
        Event::Failed(Error::config(said()).field("lora_r").row(1).remedy(said())),
    ];
    events.push(Event::Continued {
        step: 1,
        steps: vec![step],
        evals: vec![eval],
        samples: vec![sample()],
    });
    let report = events.iter().find_map(|event| match event {
        Event::Report(report) => Some((**report).clone()),
        _ => None,
    });
    events.push(Event::ReportFile {
        form: ReportForm::Html,
        text: text(),
    });
    events.push(Event::FileScored(Box::new(FileScore {
        file: text(),
        rows: 3,
        report: report.expect("there is a report"),
        judgement: judgement(number),
    })));
    events.push(Event::Hub(HubEvent::Progress(HubProgress {
        file: "model.safetensors".to_owned(),
        done: 1,
        total: 2,
        bytes_per_second: number,
    })));
    events.push(Event::Runs {
        runs: vec![StoredRun {
            record: RunRecord {
                started_ms: number,
                summary: Some(summary),
                score: Some(RunScore {
                    metric: text(),
                    best: number,
                    step: 1,
                    baseline: Some(number),
                    against: Some(BaselineKind::BaseModel),
                }),
                ..record("a \"b\"\n")
            },
            step: Some(1),
            max_steps: 2,
            bytes: 3,
            is_under_way: true,
            sparkline: vec![number as f32],
        }],
        copies: vec![StoredCopy {
            copy: "d".to_owned(),
            name: Some("c".to_owned()),
            bytes: 1,
            runs: 1,
            started_ms: Some(number),
        }],
        has_store: true,
        is_partial: false,
    });
    let point = CurvePoint {
        step: 1,
        loss: number,
        tokens: 2,
        seconds: number,
        reports: 1,
    };
    let eval_of_curve = CurveEval {
        step: 1,
        tokens: 2,
        seconds: number,
        loss: number,
        metrics: vec![Metric {
            name: text(),
            value: number,
        }],
    };
    let curve = RunCurve {
        points: vec![point],
        evals: vec![eval_of_curve],
        reports_a_point: 2,
    };
    events.push(Event::RunCurves {
        curves: vec![("a".to_owned(), curve.clone())],
    });
    let mut outcome = RunOutcome {
        id: text(),
        kept: 1,
        ..RunOutcome::default()
    };
    events.iter().for_each(|event| outcome.take(event));
    assert!(outcome.info.is_some() && outcome.report.is_some() && !outcome.baselines.is_empty());
    assert!(outcome.judgement.is_some() && !outcome.predictions.rows.is_empty());
    events.push(Event::RunOpened(Box::new(OpenedRun {
        record: record("a"),
        outcome,
        curve,
        has_weights: true,
        has_data: false,
        problem: Some(Error::config(said())),
    })));
    events.push(Event::Sweeps {
        sweeps: vec![StoredSweep {
            sweep: sweep(number),
            is_under_way: true,
        }],
    });
    let place = AuditPlace {
        row: 2,
        in_validation: true,
        excerpt: text(),
        like: Some(1),
    };
    let finding = AuditFinding {
        kind: AuditKind::ExactLeakage,
        serious: true,
        count: 1 << 40,
        rows: vec![place],
        what: said(),
        effect: said(),
        remedy: said(),
        drop_as: Some(AuditKind::ExactLeakage),
        setting: Some(AuditSetting {
            knob: text(),
            value: 512.into(),
        }),
    };
    let dropped = AuditDropped {
        kind: AuditKind::EmptyRows,
        count: 1 << 40,
    };
    events.push(Event::Audit(Box::new(AuditReport {
        name: text(),
        rows: 2,
        held_out: 1,
        texts: vec![text()],
        labels: vec![text()],
        classes: vec![(text(), 1)],
        scripts: vec![(text(), 2)],
        notes: vec![said()],
        findings: vec![finding],
        dropped: vec![dropped],
    })));
    events.push(Event::Advice {
        advice: Box::new(Advice {
            settings: vec![Recommendation {
                knob: "lora_r",
                value: 16.into(),
                current: 8.into(),
                reason: said(),
                evidence: said(),
                why_not: said(),
            }],
            cautions: vec![Caution {
                knob: "learning_rate",
                others: vec!["lora_r"],
                what: said(),
                remedy: said(),
                way_out: None,
            }],
            doubts: vec![Doubt {
                what: said(),
                remedy: said(),
            }],
        }),
        rows: 2,
        held_out: 1,
    });
    events.push(Event::BaselinesMeasured(Box::new(MeasuredBaselines {
        task: Task::Classification,
        metric: text(),
        scores: vec![Baseline {
            kind: BaselineKind::LinearProbe,
            name: text(),
            metrics: vec![Metric {
                name: text(),
                value: number,
            }],
        }],
        best: Some(BaselineKind::LinearProbe),
        rows: Some(2),
        held_out: 1,
        keeps_probe: true,
        outlook: TuningOutlook::ProbeFirst,
        sentence: said(),
        doubts: Vec::new(),
    })));
    events.push(Event::Rate(Box::new(RateSearch {
        points: vec![RatePoint {
            step: 1,
            learning_rate: 1e-7,
            loss: number,
            smoothed: number,
        }],
        end: SearchEnd::Range,
        steepest: Some(1e-3),
        tenth_of_minimum: None,
        recommended: None,
        reason: said(),
    })));
    let option = ExportOption {
        form: ExportForm::GgufAdapter,
        dtype: Some(text()),
        dequantized: true,
        bytes: Some(1),
        problem: None,
    };
    let check = ExportCheck {
        read_back: ReadBack {
            tensors: 2,
            relative: Some(0.5),
            worst: Some(TensorError {
                name: text(),
                storage: text(),
                relative: number,
                expected: number,
            }),
        },
        score: Some(ExportScore {
            rows: 1,
            held_out: 2,
            loss_of_run: number,
            loss_of_export: number,
            tolerance: number,
        }),
        not_scored: Some(said()),
        explanation: Some(said()),
    };
    for event in [
        ExportEvent::Forms { forms: vec![option] },
        ExportEvent::Piece {
            path: text(),
            offset: 1 << 40,
            bytes: 1,
            is_last: true,
        },
        ExportEvent::Done {
            form: ExportForm::Peft,
            step: Some(1),
            is_best: false,
            notes: Vec::new(),
        },
        ExportEvent::Checked {
            form: ExportForm::Peft,
            check,
        },
    ] {
        events.push(Event::Export(event));
    }
    let change = || TensorChange {
        name: text(),
        distance: number,
        before: number,
        after: number,
    };
    events.push(Event::Files(FilesEvent::Compared(Box::new(ComparedFiles {
        are_adapters: true,
        files: [vec![text()], vec![text()]],
        is_same: false,
        total: change(),
        layers: vec![change()],
        tensors: vec![change()],
        only_a: vec![text()],
        only_b: Vec::new(),
        uncompared: vec![UncomparedTensor {
            name: text(),
            shapes: Some([vec![1], vec![2, 3]]),
            format: None,
            is_same: false,
        }],
    }))));
    let drawn = |picture| Event::Picture {
        id: None,
        step: Some(3),
        picture,
    };
    events.extend(pictures(number).into_iter().map(drawn));
    events
}

/// A new kind of event does not compile here until [`events`] has one.
fn kind(event: &Event) -> u32 {
    match event {
        Event::Ready => 0,
        Event::Device(_) => 1,
        Event::Progress { .. } => 2,
        Event::Model(_) => 3,
        Event::Data(_) => 4,
        Event::Preview { .. } => 5,
        Event::Started(_) => 6,
        Event::Step(_) => 7,
        Event::Eval(_) => 8,
        Event::Sample { .. } => 9,
        Event::Paused { .. } => 10,
        Event::Resumed => 11,
        Event::Checkpoint { .. } => 12,
        Event::Done(_) => 13,
        Event::Token { .. } => 14,
        Event::Generated { .. } => 15,
        Event::File { .. } => 16,
        Event::Warning { .. } => 17,
        Event::Failed(_) => 18,
        Event::Estimate { .. } => 19,
        Event::Baseline { .. } => 20,
        Event::Report(_) => 21,
        Event::Predictions(_) => 22,
        Event::Predicted { .. } => 23,
        Event::Validation { .. } => 24,
        Event::Picture { .. } => 25,
        Event::Knobs { .. } => 26,
        Event::Continued { .. } => 27,
        Event::Runs { .. } => 28,
        Event::Probe(_) => 29,
        Event::Halved { .. } => 30,
        Event::Diverging(_) => 31,
        Event::Hub(_) => 32,
        Event::Export(_) => 33,
        Event::Audit(_) => 34,
        Event::RunCurves { .. } => 35,
        Event::Judgement(_) => 36,
        Event::FileScored(_) => 37,
        Event::ReportFile { .. } => 38,
        Event::Advice { .. } => 39,
        Event::Rate(_) => 40,
        Event::Files(_) => 41,
        Event::RunOpened(_) => 42,
        Event::CheckpointFile { .. } => 43,
        Event::Sweeps { .. } => 44,
        Event::BaselinesMeasured(_) => 45,
    }
}

#[test]
fn every_event_comes_through_json_as_it_went_in_whatever_its_numbers() {
    for number in [0.0, -0.0, 3.0, 2.345e-4, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let events = events(number);
        assert_eq!(events.iter().map(kind).collect::<BTreeSet<_>>().len(), 46);
        for event in events {
            let written = serde_json::to_string(&event).expect("it is written");
            let read: Event = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
            // In words, because NaN equals nothing, not even itself.
            assert_eq!(format!("{read:?}"), format!("{event:?}"), "{written}");
        }
    }
}

#[test]
fn data_of_both_roles_is_asked_for_and_told_of_by_name() {
    let through = |command: Command, line: &str| {
        assert_eq!(serde_json::to_string(&command).expect("it is written"), line);
        assert_eq!(serde_json::from_str::<Command>(line).expect("it is read"), command);
    };
    let file = || "b.csv".to_owned();
    through(
        Command::LoadData { file: file() },
        r#"{"type":"load_data","file":"b.csv"}"#,
    );
    through(
        Command::LoadValidation { file: Some(file()) },
        r#"{"type":"load_validation","file":"b.csv"}"#,
    );
    through(
        Command::LoadValidation { file: None },
        r#"{"type":"load_validation","file":null}"#,
    );
    let data = DataInfo {
        name: file(),
        form: "text".into(),
        rows: 2,
        columns: Vec::new(),
        sheets: Vec::new(),
        notes: Vec::new(),
    };
    let event = Event::Validation { data: Some(data) };
    let written = serde_json::to_string(&event).expect("it is written");
    assert!(
        written.starts_with(r#"{"type":"validation","data":{"name":"b.csv""#),
        "{written}"
    );
    assert_eq!(serde_json::from_str::<Event>(&written).expect("it is read"), event);
    // What an engine of yesterday says of a preview still reads.
    let preview = r#"{"type":"preview","examples":[]}"#;
    assert!(matches!(
        serde_json::from_str(preview),
        Ok(Event::Preview {
            validation_problem: None,
            ..
        })
    ));
}

#[test]
fn a_picture_is_asked_for_by_its_kind_and_what_is_left_out_has_a_size() {
    let read = |line: &str| serde_json::from_str::<PictureRequest>(line);
    let defaults = [
        (
            r#"{"kind":"lora_update","module":"q_proj"}"#,
            PictureRequest::LoraUpdate {
                module: "q_proj".to_owned(),
                cells: 32,
            },
        ),
        (r#"{"kind":"loss_surface"}"#, PictureRequest::LossSurface { cells: 33 }),
        (
            r#"{"kind":"packed_weights","module":"q_proj","format":"nf4"}"#,
            PictureRequest::PackedWeights {
                module: "q_proj".to_owned(),
                format: "nf4".to_owned(),
                cells: 16,
            },
        ),
        (r#"{"kind":"units"}"#, PictureRequest::Units { layer: 0, cells: 24 }),
        (r#"{"kind":"layer_updates"}"#, PictureRequest::LayerUpdates {}),
    ];
    for (line, request) in defaults {
        assert_eq!(read(line).expect("it is read"), request);
    }
    for line in [
        r#"{"kind":"units","layers":1}"#,
        r#"{"kind":"layer_updates","cells":8}"#,
        r#"{"kind":"attention","text":"a"}"#,
        r#"{"kind":"portrait"}"#,
    ] {
        assert!(read(line).is_err(), "{line}");
    }
    // A front end of yesterday asks for no pictures.
    let config = serde_json::to_value(lorakeet_core::config::RunConfig::default()).expect("it is written");
    let train = serde_json::json!({ "type": "train", "config": config, "sample_prompt": null });
    assert!(matches!(serde_json::from_value(train), Ok(Command::Train { watch, .. }) if watch.is_empty()));
    let command = Command::Picture {
        id: 7,
        request: PictureRequest::LossSurface { cells: 3 },
    };
    let line = r#"{"type":"picture","id":7,"request":{"kind":"loss_surface","cells":3}}"#;
    assert_eq!(serde_json::to_string(&command).expect("it is written"), line);
    assert_eq!(serde_json::from_str::<Command>(line).expect("it is read"), command);
}

#[test]
fn finite_numbers_stay_numbers_and_the_others_have_names() {
    let written = |perplexity| {
        let event = Event::Eval(EvalInfo {
            step: 3,
            loss: 2.5,
            perplexity,
            tokens: 8,
            metrics: Vec::new(),
        });
        serde_json::to_string(&event).expect("it is written")
    };
    let line =
        |perplexity: &str| format!(r#"{{"type":"eval","step":3,"loss":2.5,"perplexity":{perplexity},"tokens":8}}"#);
    assert_eq!(written(12.25), line("12.25"));
    assert_eq!(written(f64::NAN), line("\"nan\""));
    assert_eq!(written(f64::INFINITY), line("\"inf\""));
    assert_eq!(written(f64::NEG_INFINITY), line("\"-inf\""));
    let read = serde_json::from_str::<Event>(&line("\"a lot\""));
    assert!(read.is_err(), "other words are refused: {read:?}");
}

#[test]
fn a_summary_of_a_run_without_validation_reads_with_and_without_the_keys() {
    for keys in [r#""eval_loss_before":null,"eval_loss_after":null,"#, ""] {
        let line = format!(r#"{{"type":"done","finished":true,"steps":1,"train_loss":2.5,{keys}"seconds":1}}"#);
        let Event::Done(summary) = serde_json::from_str(&line).expect("it reads") else {
            panic!("another event: {line}")
        };
        assert_eq!((summary.eval_loss_before, summary.eval_loss_after), (None, None));
        assert_eq!(summary.seconds, 1.0, "a whole number is a number");
    }
}

#[test]
fn fields_of_a_table_are_quoted_where_csv_asks_for_it() {
    let fields = |fields: [&str; 2]| fields.map(String::from).to_vec();
    let table = PredictionTable {
        columns: fields(["row", "text"]),
        rows: vec![
            fields(["1", "plain"]),
            fields(["2", "a, \"b\"\nand c"]),
            fields(["", "狗, 猫"]),
        ],
    };
    let expected = "row,text\n1,plain\n2,\"a, \"\"b\"\"\nand c\"\n,\"狗, 猫\"\n";
    assert_eq!(table.to_csv(), expected);
}

#[test]
fn no_field_of_a_table_is_a_formula_in_a_spreadsheet_and_numbers_stay_numbers() {
    let formulas = [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "-inf",
        "=HYPERLINK(\"http://x\")",
        "-",
    ];
    for field in formulas {
        let table = PredictionTable {
            columns: vec![field.to_owned()],
            rows: vec![vec![field.to_owned()]],
        };
        let text = table.to_csv();
        let rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_bytes())
            .into_records();
        for row in rows {
            assert_eq!(row.expect("a row")[0], format!("'{field}"), "{text}");
        }
    }
    let plain = ["-1.5", "+3", "-1e-5", "", "a = b", "'", "5-3"];
    let table = PredictionTable {
        columns: plain.map(String::from).to_vec(),
        rows: Vec::new(),
    };
    assert_eq!(table.to_csv(), format!("{}\n", plain.join(",")));
}

#[test]
fn a_baseline_has_its_kind_beside_the_name_that_reports_and_logs_give_it() {
    let kind = BaselineKind::BaseLikelihood;
    let baseline = Baseline {
        kind,
        name: kind.to_string(),
        metrics: Vec::new(),
    };
    let written = serde_json::to_value(&baseline).expect("a baseline can be written");
    assert_eq!(written["kind"], "base_likelihood");
    assert_eq!(written["name"], "base model's likelihood");
}

#[test]
fn a_record_gives_back_the_settings_of_its_run() {
    let mut config = RunConfig::default();
    for (knob, text) in [
        ("learning_rate", "2.5e-4"),
        ("target_modules", "q_proj,v_proj"),
        ("rank_pattern", "{k_proj: 2}"),
        ("save_total_limit", "3"),
        ("lr_scheduler_type", "constant"),
        ("validation_file", "held-out.jsonl"),
        ("task", "classification"),
    ] {
        config.set_text(knob, text).expect("a knob");
    }
    for config in [config, RunConfig::default()] {
        let record = RunRecord {
            settings: RunRecord::settings_of(&config),
            ..record("first")
        };
        let written = serde_json::to_string(&record).expect("it is written");
        let read: RunRecord = serde_json::from_str(&written).expect("it is read");
        assert_eq!(read.config(), Ok(config));
    }
}
