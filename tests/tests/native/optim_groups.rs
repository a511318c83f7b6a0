//! The optimizer's groups on a GPU beside the CPU, which moves each tensor alone: gradients that are made where the group has
//! them and elsewhere, values that somebody else sets, tensors that lack a gradient, and moments that are saved and restored.

use burn::tensor::{Device, Tensor, TensorData};
use lorakeet_core::{
    config::RunConfig,
    device,
    models::{Parameter, Parameters, read},
    ops,
    protocol::DeviceChoice,
    random::Generator,
    train::optim::{AdamW, Moments},
};
use lorakeet_tests::golden::block_on;

/// Tensors of two rates, with decay and without, and one of an odd length that is in no group.
const LENGTHS: [usize; 13] = [64, 128, 64, 192, 64, 256, 10, 640, 128, 64, 320, 4096, 192];

fn numbers(seed: &str, count: usize, device: &Device) -> Tensor<1> {
    let mut generator = Generator::new(3, seed);
    let values: Vec<f32> = (0..count).map(|_| generator.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

struct Run {
    parameters: Parameters,
    optimizer: AdamW,
    device: Device,
    config: RunConfig,
}

impl Run {
    fn new(choice: DeviceChoice) -> Self {
        let device = block_on(device::open(choice)).expect("the device opens").0;
        let mut parameters = Parameters::default();
        for (i, length) in LENGTHS.into_iter().enumerate() {
            parameters.push(Parameter {
                name: format!("lora_{}.{i}", if i % 2 == 0 { "A" } else { "B" }),
                shape: vec![length],
                decay: i % 3 > 0,
                value: numbers(&format!("p{i}"), length, &device),
            });
        }
        let config = RunConfig {
            weight_decay: 0.1,
            loraplus_lr_ratio: Some(4.0),
            ..RunConfig::default()
        };
        let optimizer = AdamW::new(&parameters, &config);
        Self {
            parameters,
            optimizer,
            device,
            config,
        }
    }

    /// A step of two micro-batches on losses that depend on all tensors but `without`; gives the norm's square. Every other
    /// tensor is the matrix of a product, whose gradient one of the engine's operations makes; the fifth is used twice.
    fn step(&mut self, step: usize, without: Option<usize>) -> f32 {
        let mut gradients = self.optimizer.gradients(&mut self.parameters);
        let leaves = self.parameters.tracked();
        for micro_batch in 0..2 {
            let losses = (0..LENGTHS.len()).filter(|&i| Some(i) != without).map(|i| {
                let seed = format!("g{i} of {step}, {micro_batch}");
                let slope = numbers(&seed, LENGTHS[i], &self.device);
                let product = |slope: Tensor<1>| {
                    let (x, w) = (slope.reshape([1, LENGTHS[i]]), leaves.get(i).reshape([1, LENGTHS[i]]));
                    ops::linear(x, w, None, false).sum()
                };
                match i {
                    4 => product(slope.clone()) + product(slope.clone() * 0.5) + (leaves.get(i) * slope).sum(),
                    _ if i % 2 == 0 => product(slope),
                    _ => (leaves.get(i) * slope).sum(),
                }
            });
            let loss = losses.reduce(|sum, loss| sum + loss).expect("there are tensors");
            gradients.add(&leaves, loss);
        }
        drop(leaves);
        let squares = block_on(read(Tensor::cat(gradients.sums_of_squares(), 0))).expect("the device answers");
        self.optimizer.step(&mut self.parameters, gradients, 1e-2, 0.7);
        squares.iter().sum()
    }

    fn values(&self) -> Vec<Vec<f32>> {
        let values = self.parameters.iter().map(|parameter| read(parameter.value.clone()));
        values
            .map(|value| block_on(value).expect("the device answers"))
            .collect()
    }

    fn moments(&self) -> Vec<Moments> {
        block_on(self.optimizer.moments()).expect("the device answers")
    }
}

fn near(what: &str, gpu: &[f32], cpu: &[f32]) {
    assert_eq!(gpu.len(), cpu.len(), "{what}");
    for (gpu, cpu) in gpu.iter().zip(cpu) {
        assert!(
            (gpu - cpu).abs() <= 1e-5 * (1.0 + cpu.abs()),
            "{what}: {gpu} on the GPU, {cpu} on the CPU"
        );
    }
}

#[test]
fn groups_move_as_single_tensors_do() {
    let mut runs = [DeviceChoice::Gpu, DeviceChoice::Cpu].map(Run::new);
    let compare = |when: &str, runs: &[Run; 2]| {
        let [gpu, cpu] = runs.each_ref().map(Run::values);
        for (i, (gpu, cpu)) in gpu.iter().zip(&cpu).enumerate() {
            near(&format!("value {i} {when}"), gpu, cpu);
        }
        let [gpu, cpu] = runs.each_ref().map(Run::moments);
        for (i, pair) in gpu.iter().zip(&cpu).enumerate() {
            let (Moments::Floats { m, v }, Moments::Floats { m: cpu_m, v: cpu_v }) = pair else {
                panic!("moments {i} of eight bits");
            };
            near(&format!("m {i} {when}"), m, cpu_m);
            near(&format!("v {i} {when}"), v, cpu_v);
        }
    };
    for step in 0..2 {
        let [gpu, cpu] = runs.each_mut().map(|run| run.step(step, None));
        near("the sum of squares", &[gpu], &[cpu]);
    }
    compare("after two steps", &runs);
    for run in &mut runs {
        let value = numbers("set", LENGTHS[2], &run.device);
        run.parameters.set(2, value);
        run.step(2, None);
    }
    compare("after one was set", &runs);
    for run in &mut runs {
        run.step(3, Some(3));
        run.step(4, None);
    }
    compare("after one lacked a gradient", &runs);
    for run in &mut runs {
        let moments = run.moments();
        let mut fresh = AdamW::new(&run.parameters, &run.config);
        let restored = fresh.restore(run.optimizer.steps(), moments, &run.device);
        restored.expect("moments of the same tensors");
        run.optimizer = fresh;
        run.step(5, None);
    }
    compare("after they were restored", &runs);
}
