//! How much a GPU has under way at a time while rows are scored and prompts are read, by its operations, on GPUs that are said to be
//! slow: no more than a layer of it, to the same numbers.
//!
//! In processes of their own, because rates and counts are the process's.

use super::launches::{SMALL, config, open};
use lorakeet_core::{config::RunConfig, device, protocol::DeviceChoice};
use lorakeet_tests::{alone::alone, golden::block_on, test_session::TestSession, tiny};

/// Operations in a millisecond of a GPU that does a tera in a second, and of one that is slower than any.
const FAST: f64 = 1e9;
const SLOW: f64 = 1e3;

#[test]
fn a_slow_gpu_is_waited_for_between_layers_while_rows_are_scored() {
    alone(|| {
        let run = |rate| {
            device::assume_rate(rate);
            device::most_queued();
            let mut session = TestSession::with(DeviceChoice::Gpu, tiny::model_files(), tiny::data_file());
            // What is scored at a time is more than a micro-batch of a step.
            session.train(RunConfig {
                per_device_train_batch_size: 1,
                gradient_accumulation_steps: 1,
                per_device_eval_batch_size: 16,
                val_size: 16.0,
                gradient_checkpointing: true,
                max_steps: 3,
                ..tiny::config()
            });
            assert!(session.summary().finished);
            let scores: Vec<u64> = session.evals().iter().map(|eval| eval.loss.to_bits()).collect();
            ((session.numbers(), scores), device::most_queued())
        };
        let (fast, slow) = (run(FAST), run(SLOW));
        println!("{} and {} operations under way at most", fast.1, slow.1);
        assert!(!fast.0.1.is_empty());
        assert_eq!(slow.0, fast.0);
        assert!(2 * slow.1 < fast.1, "{} of {}", slow.1, fast.1);
    });
}

#[test]
fn a_prompt_that_is_read_in_pieces_is_followed_by_the_same_tokens() {
    alone(|| {
        let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver");
        let model = open(SMALL.llama(), &config(), &device);
        let leaves = model.parameters.plain();
        let ids: Vec<u32> = (0..200).map(|i| (i * 37 % SMALL.vocab) as u32).collect();
        let logits = |piece: usize| -> Vec<f32> {
            let mut cache = model.new_cache();
            let mut last = None;
            for piece in ids.chunks(piece) {
                last = Some(model.next_logits(&leaves, piece, &mut cache, true));
            }
            let last = last.expect("a piece");
            last.into_data().try_into_vec().expect("numbers")
        };
        let (whole, in_pieces) = (logits(ids.len()), logits(64));
        for (whole, piece) in whole.iter().zip(&in_pieces) {
            assert!(
                (whole - piece).abs() <= 1e-4 * (1.0 + whole.abs()),
                "{whole} and {piece}"
            );
        }
    });
}
