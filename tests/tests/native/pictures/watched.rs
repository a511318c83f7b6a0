//! Pictures of a run under way: when they come, and that the run is the same with them and without.

use super::exported;
use lorakeet_core::{
    config::{RunConfig, TargetModules},
    protocol::{Command, Event, Picture, PictureRequest},
    store::Source,
};
use lorakeet_tests::{
    golden::block_on,
    test_session::{TestSession, failure},
    tiny,
};

fn all_of_a_text() -> Vec<PictureRequest> {
    let text = || "say a. say b.".to_owned();
    vec![
        PictureRequest::Tokens { text: text() },
        PictureRequest::LoraUpdate {
            module: "q_proj".to_owned(),
            cells: 8,
        },
        PictureRequest::Attention {
            text: text(),
            layer: 1,
            head: 2,
        },
        PictureRequest::PackedWeights {
            module: "down_proj".to_owned(),
            format: "nf4".to_owned(),
            cells: 8,
        },
    ]
}

fn bytes(files: &[Source]) -> Vec<(String, Vec<u8>)> {
    let read = |file: &Source| block_on(file.read_at(0, file.len_bytes() as usize)).expect("its bytes");
    files.iter().map(|file| (file.name().to_owned(), read(file))).collect()
}

#[test]
fn watching_changes_no_bit_of_a_run() {
    let (mut plain, mut watched) = (TestSession::open(), TestSession::open());
    plain.train(tiny::config());
    watched.train_watching(tiny::config(), all_of_a_text());
    assert!(watched.watched().len() >= 3 * 4, "{:?}", watched.events.last());
    assert_eq!(watched.numbers(), plain.numbers());
    assert_eq!(watched.evals(), plain.evals());
    let samples = |session: &TestSession| {
        let samples = session
            .events
            .iter()
            .filter(|event| matches!(event, Event::Sample { .. }));
        samples.cloned().collect::<Vec<_>>()
    };
    assert_eq!(samples(&watched), samples(&plain));
    assert_eq!(watched.summary(), plain.summary());
    assert_eq!(bytes(&exported(&mut watched)), bytes(&exported(&mut plain)));
}

#[test]
fn watched_pictures_come_with_the_samples_and_in_the_order_of_the_list() {
    let mut session = TestSession::open();
    session.train_watching(tiny::config(), all_of_a_text());
    let samples: Vec<usize> = session
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Sample { step, .. } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(samples, [0, 5, 10, 12]);
    let watched = session.watched();
    let steps: Vec<usize> = watched.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, samples.iter().flat_map(|step| [*step; 4]).collect::<Vec<_>>());
    for drawn in watched.chunks(4) {
        let kinds = drawn.iter().map(|(_, picture)| match picture {
            Picture::Tokens { .. } => 0,
            Picture::LoraUpdate { .. } => 1,
            Picture::Attention { .. } => 2,
            Picture::PackedWeights { .. } => 3,
            other => panic!("nobody asked for {other:?}"),
        });
        assert!(kinds.eq(0..4));
    }
    // Without a prompt there are no samples, and the pictures come all the same.
    let mut session = TestSession::open();
    let command = Command::Train {
        config: Box::new(tiny::config()),
        sample_prompt: None,
        watch: all_of_a_text(),
        keep: None,
    };
    session.ask(command, Vec::new());
    assert_eq!(session.watched(), watched);
}

#[test]
fn what_cannot_be_watched_is_refused_before_the_first_step() {
    let mut session = TestSession::open();
    let mut watch = all_of_a_text();
    watch.push(PictureRequest::LossSurface { cells: 9 });
    session.train_watching(tiny::config(), watch);
    let said = failure(&session).to_string();
    assert!(said.contains("exactly two trained weights"), "{said}");
    assert!(session.steps().is_empty());
}

/// The number of events before the first that `is`.
fn place(session: &TestSession, is: impl Fn(&Event) -> bool) -> usize {
    let place = session.events.iter().position(is);
    place.unwrap_or_else(|| panic!("it was not said: {:?}", session.events.last()))
}

#[test]
fn a_picture_asked_for_in_the_middle_of_a_run_comes_between_two_steps_and_in_a_pause() {
    let mut plain = TestSession::open();
    plain.train(tiny::config());
    let mut session = TestSession::open();
    let command = Command::Train {
        config: Box::new(tiny::config()),
        sample_prompt: Some("say a".into()),
        watch: Vec::new(),
        keep: None,
    };
    let request = |id: u32, request: &PictureRequest| Command::Picture {
        id,
        request: request.clone(),
    };
    let asked = all_of_a_text();
    session.ask_and(command, Vec::new(), &mut |event, control| match event {
        Event::Step(step) if step.step == 3 => {
            control.request(request(30, &asked[0]));
            // One that is refused ends nothing.
            control.request(request(31, &PictureRequest::Units { layer: 0, cells: 3 }));
        }
        Event::Step(step) if step.step == 6 => control.pause(),
        Event::Paused { .. } => control.request(request(60, &asked[1])),
        Event::Picture { id: Some(60), .. } => control.resume(),
        // The last step's are answered when the run is over.
        Event::Step(step) if step.step == 12 => control.request(request(120, &asked[2])),
        _ => {}
    });
    let drawn = |wanted: u32| {
        place(
            &session,
            |event| matches!(event, Event::Picture { id: Some(id), step: None, .. } if *id == wanted),
        )
    };
    let step = |wanted: usize| {
        place(
            &session,
            |event| matches!(event, Event::Step(step) if step.step == wanted),
        )
    };
    assert!(step(3) < drawn(30) && drawn(30) < step(4));
    let refused = place(&session, |event| matches!(event, Event::Failed(_)));
    assert!(drawn(30) < refused && refused < step(4));
    assert!(step(6) < drawn(60) && drawn(60) < step(7));
    assert_eq!(drawn(120), session.events.len() - 1);
    assert!(place(&session, |event| matches!(event, Event::Done(_))) < drawn(120));
    assert_eq!(session.numbers(), plain.numbers());
}

#[test]
fn a_surface_asked_for_in_the_middle_of_a_run_has_the_path_so_far() {
    let rows: String = (0..12).map(|i| format!("{i},{}\n", 3 * i + 1)).collect();
    let data = lorakeet_core::store::MemoryFile::source("line.csv", format!("x,target\n{rows}").into_bytes());
    let mut session = TestSession::small("small_mlp", vec![data]);
    let text = "model: small_mlp\ntrain_file: rows\ntask: regression\n";
    let config = RunConfig {
        num_hidden_layers: Some(0),
        max_steps: 8,
        save_steps: 0.0,
        ..RunConfig::parse(text, "run.yaml").expect("a run file").config
    };
    let command = Command::Train {
        config: Box::new(config),
        sample_prompt: None,
        watch: Vec::new(),
        keep: None,
    };
    session.ask_and(command, Vec::new(), &mut |event, control| match event {
        Event::Step(step) if step.step == 5 => control.request(Command::Picture {
            id: 1,
            request: PictureRequest::LossSurface { cells: 3 },
        }),
        _ => {}
    });
    let drawn = session.events.iter().find_map(|event| match event {
        Event::Picture {
            picture: Picture::LossSurface { path, losses, .. },
            ..
        } => Some((path.len(), losses.len())),
        _ => None,
    });
    assert_eq!(drawn, Some((6, 9)), "{:?}", session.events.last());
}

#[test]
fn the_gradients_of_all_modules_together_are_the_step_s_norm() {
    // Two linears of every layer, so that nothing else is trained.
    let config = RunConfig {
        target_modules: TargetModules::Names(vec!["q_proj".into(), "down_proj".into()]),
        ..tiny::config()
    };
    let (mut plain, mut session) = (TestSession::open(), TestSession::open());
    plain.train(config.clone());
    session.train_watching(config, vec![PictureRequest::LayerUpdates {}]);
    assert_eq!(session.numbers(), plain.numbers(), "watching changes nothing");
    let drawn = session.watched();
    let of = |picture: &Picture| match picture {
        Picture::LayerUpdates {
            gradients,
            gradient_step,
            ..
        } => (gradients.clone(), *gradient_step),
        other => panic!("another picture: {other:?}"),
    };
    let found: Vec<_> = drawn.iter().map(|(step, picture)| (*step, of(picture))).collect();
    assert_eq!(found[0].1, (Vec::new(), None), "no step was taken yet");
    let steps: Vec<usize> = found.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [0, 5, 10, 12]);
    for (step, (gradients, of_step)) in &found[1..] {
        assert_eq!(*of_step, Some(*step));
        let squares = gradients.iter().map(|&norm| f64::from(norm).powi(2));
        let info = session.steps().into_iter().find(|info| info.step == *step);
        let wanted = info.expect("each step is reported").grad_norm;
        let norm = squares.sum::<f64>().sqrt();
        assert!(
            (norm - wanted).abs() < 1e-4 * wanted,
            "step {step}: {norm}, not {wanted}"
        );
    }
}
