//! Measuring a device, and the time of a step that follows from it.

use lorakeet_core::{
    config::{RunConfig, TargetModules},
    estimate::{StepWork, estimate_with_work},
    formats::ModelFiles,
    host::Host,
    protocol::{Command, DeviceChoice, Event, Probe},
};
use lorakeet_tests::{generated::Decoder, golden::block_on, test_session::TestSession, tiny};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Opens the device, and loads the tiny model on it.
fn open(session: &mut TestSession, device: DeviceChoice) {
    session.ask(Command::Open { device }, Vec::new());
    let (files, name, config) = (Vec::new(), String::new(), None);
    session.ask(Command::LoadModel { files, name, config }, tiny::model_files());
}

fn probed(session: &mut TestSession) -> Probe {
    session.ask(Command::Probe, Vec::new());
    match session.events.last() {
        Some(Event::Probe(probe)) => *probe,
        other => panic!("no figures: {other:?}"),
    }
}

fn seconds_per_step(session: &mut TestSession) -> Option<f64> {
    let config = Box::new(tiny::config());
    session.ask(Command::Estimate { config }, Vec::new());
    match session.events.last() {
        Some(Event::Estimate { seconds_per_step, .. }) => *seconds_per_step,
        other => panic!("no estimate: {other:?}"),
    }
}

/// A host whose clock goes on.
fn host() -> Host {
    fn now_ms() -> f64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
    }
    Host {
        now_ms,
        yield_now: || Box::pin(std::future::ready(())),
    }
}

#[test]
fn a_device_that_was_measured_tells_how_long_a_step_takes() {
    for device in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let mut session = TestSession::open_on(host());
        open(&mut session, device);
        assert_eq!(seconds_per_step(&mut session), None, "{device:?}: nothing was measured");
        let probe = probed(&mut session);
        let figures = [probe.gflops, probe.gbytes_per_s, probe.launch_us];
        assert!(
            figures.iter().all(|&figure| figure.is_finite() && figure > 0.0),
            "{device:?}: {probe:?}"
        );
        assert!(
            probe.await_ms.is_finite() && probe.await_ms >= 0.0,
            "{device:?}: {probe:?}"
        );
        let seconds = seconds_per_step(&mut session).expect("the run's work is known");
        assert!(seconds.is_finite() && seconds > 0.0, "{device:?}: {seconds}");
    }
}

#[test]
fn what_was_measured_is_forgotten_with_its_device() {
    let mut session = TestSession::open_on(host());
    probed(&mut session);
    open(&mut session, DeviceChoice::Gpu);
    assert_eq!(seconds_per_step(&mut session), None);
}

/// A host whose clock goes on by a millisecond whenever somebody looks at it.
fn ticking() -> Host {
    fn now_ms() -> f64 {
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        LOOKS.fetch_add(1, Ordering::Relaxed) as f64
    }
    Host {
        now_ms,
        yield_now: || Box::pin(std::future::ready(())),
    }
}

#[test]
fn what_a_run_took_scales_the_next_forecast_until_another_model_is_loaded() {
    let mut session = TestSession::open_on(ticking());
    let estimated = |session: &mut TestSession, config: RunConfig| {
        let config = Box::new(config);
        session.ask(Command::Estimate { config }, Vec::new());
        match session.events.last() {
            Some(Event::Estimate {
                seconds_per_step,
                learnt,
                ..
            }) => (*seconds_per_step, *learnt),
            other => panic!("no estimate: {other:?}"),
        }
    };
    assert_eq!(estimated(&mut session, tiny::config()), (None, None));
    session.train(tiny::config());
    let last_but_one = session.steps().into_iter().rev().nth(1).expect("several steps");
    let (seconds, learnt) = estimated(&mut session, tiny::config());
    let (seconds, learnt) = seconds.zip(learnt).expect("a run was measured");
    assert_eq!(
        (learnt.steps, learnt.peak_bytes),
        (12, None),
        "a CPU does not tell what it holds"
    );
    // What was left to do of the run was one step.
    let measured = last_but_one.eta_seconds;
    assert!(
        (seconds / measured - 1.0).abs() < 0.5,
        "{seconds}, not about {measured}"
    );
    let twice = RunConfig {
        gradient_accumulation_steps: 2 * tiny::config().gradient_accumulation_steps,
        ..tiny::config()
    };
    let (twice, _) = estimated(&mut session, twice);
    assert!((twice.expect("it is scaled") / seconds - 2.0).abs() < 1e-9);

    let (files, name) = (Vec::new(), String::new());
    let config = None;
    session.ask(Command::LoadModel { files, name, config }, tiny::model_files());
    assert_eq!(estimated(&mut session, tiny::config()), (None, None));
}

const SHAPE: Decoder = Decoder {
    layers: 2,
    width: 72,
    inner: 200,
    heads: 6,
    kv_heads: 2,
    vocab: 300,
    positions: 64,
};
const ROWS: usize = 3;
const RANK: usize = 4;

fn work(accumulation: usize) -> StepWork {
    let files = block_on(ModelFiles::open(SHAPE.llama())).expect("the files open");
    let config = RunConfig {
        lora_r: RANK,
        target_modules: TargetModules::Pattern("all-linear".into()),
        per_device_train_batch_size: ROWS,
        gradient_accumulation_steps: accumulation,
        cutoff_len: SHAPE.positions,
        ..RunConfig::default()
    };
    let (_, work) = block_on(estimate_with_work(&files, &config, None, u64::MAX)).expect("an estimate");
    work.expect("its passes are known")
}

#[test]
fn the_operations_of_a_step_are_those_of_its_products() {
    let (heads, kv_heads, c) = (SHAPE.heads, SHAPE.kv_heads, SHAPE.width);
    let (d, tokens) = (c / heads, SHAPE.positions);
    let n = ROWS * tokens;
    let linears = [
        (c, c),
        (c, kv_heads * d),
        (c, kv_heads * d),
        (c, c),
        (c, SHAPE.inner),
        (c, SHAPE.inner),
        (SHAPE.inner, c),
    ];
    let mut operations = 0;
    for layer in 0..SHAPE.layers {
        for (i, (inputs, outputs)) in linears.into_iter().enumerate() {
            // Nothing that is trained lies below the first layer's q, k and v.
            let wants_dx = usize::from(layer > 0 || i >= 3);
            operations += (1 + wants_dx) * n * inputs * outputs;
            operations += (2 + wants_dx) * n * inputs * RANK + 3 * n * RANK * outputs;
        }
        // q·kᵀ and p·v; for the gradients of k and v q·kᵀ again, dy·vᵀ and both gradients, for that of q the first two and its own.
        // About half of the tiles lie behind the query and are left out.
        let halves = [2, 4, 3].map(|products: usize| (products * ROWS * heads).div_ceil(2));
        operations += halves.iter().sum::<usize>() * tokens * tokens * d;
    }
    operations += 2 * n * c * SHAPE.vocab;
    assert_eq!(work(1).operations(), 2 * operations as u64);
    assert_eq!(work(4).operations(), 8 * operations as u64);
}

#[test]
fn more_work_takes_a_device_longer_and_a_faster_device_less() {
    let probe = Probe {
        gflops: 50.0,
        gbytes_per_s: 10.0,
        await_ms: 0.1,
        launch_us: 10.0,
    };
    let (one, four) = (work(1), work(4));
    assert!(four.launches() > 3 * one.launches());
    assert!(four.seconds(&probe) > 3.0 * one.seconds(&probe));
    for faster in [
        Probe { gflops: 500.0, ..probe },
        Probe {
            gbytes_per_s: 100.0,
            ..probe
        },
        Probe {
            await_ms: 0.01,
            ..probe
        },
        Probe {
            launch_us: 1.0,
            ..probe
        },
    ] {
        assert!(one.seconds(&faster) < one.seconds(&probe), "{faster:?}");
    }
}
