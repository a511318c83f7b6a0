//! What AdamW's moments take on the device; in a process of its own, because the device counts what all tests of one take.

use burn::tensor::Tensor;
use lorakeet_core::{
    config::{Optimizer, RunConfig},
    device,
    models::{Parameter, Parameters},
    protocol::DeviceChoice,
    train::optim::AdamW,
};
use lorakeet_tests::{alone::alone, golden::block_on};

#[test]
fn moments_of_eight_bits_take_a_quarter_of_the_devices_memory() {
    alone(|| {
        const ELEMENTS: usize = 5_000_003;
        let device = block_on(device::open(DeviceChoice::Gpu)).expect("the device opens").0;
        let mut parameters = Parameters::default();
        parameters.push(Parameter {
            name: "p".into(),
            shape: vec![ELEMENTS],
            decay: true,
            value: Tensor::zeros([ELEMENTS], &device),
        });
        let taken = |optim| {
            let in_use = || device::memory_bytes(&device).expect("the GPU counts its memory");
            let before = in_use();
            let config = RunConfig {
                optim,
                ..RunConfig::default()
            };
            let optimizer = AdamW::new(&parameters, &config);
            let bytes = in_use() - before;
            drop(optimizer);
            bytes as f64 / ELEMENTS as f64
        };
        let (floats, codes) = (taken(Optimizer::AdamwTorch), taken(Optimizer::Adamw8bit));
        assert!((8.0..8.1).contains(&floats), "{floats} bytes an element in 32 bits");
        assert!((2.0..2.1).contains(&codes), "{codes} bytes an element in 8 bits");
    });
}
