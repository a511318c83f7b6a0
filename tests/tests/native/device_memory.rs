//! What a packed base takes on the device, counted by the device's allocator: never a dense copy, forward or backward.
//!
//! In a process of its own, because the allocator's books are the process's.

use lorakeet_core::{
    config::{RunConfig, TargetModules},
    device,
    formats::{ModelFiles, peft::AdapterConfig},
    models::Model,
    ops::linear,
    protocol::DeviceChoice,
    quant::BaseFormat,
};
use lorakeet_tests::{
    alone::alone,
    generated::Decoder,
    golden::block_on,
    trajectory::{batch, take_steps},
};

const WIDTH: usize = 256;
const INNER: usize = 4096;
const VOCAB: usize = 2048;

/// A Llama whose matrices are large and whose activations are small.
const SHAPE: Decoder = Decoder {
    layers: 3,
    width: WIDTH,
    inner: INNER,
    heads: 4,
    kv_heads: 2,
    vocab: VOCAB,
    positions: 64,
};

#[test]
fn training_on_a_packed_base_never_holds_a_dense_matrix() {
    alone(|| {
        let (device, _) = block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver");
        let watch = device::watch_memory();
        let files = block_on(ModelFiles::open(SHAPE.llama())).expect("the files open");
        let config = RunConfig {
            quantization_bit: Some(4),
            max_steps: 2,
            ..RunConfig::default()
        };
        let base = BaseFormat::from(&config);
        let mut model =
            block_on(Model::load_base(&files, (false, base), 0, &device, &mut |_, _| ())).expect("it loads");
        let adapter = AdapterConfig {
            target_modules: TargetModules::Pattern("all-linear".into()),
            ..AdapterConfig::default()
        };
        model.attach_lora(&adapter, 0).expect("all linears");

        let dense = 4 * (INNER * WIDTH) as u64;
        let table = 4 * (VOCAB * WIDTH) as u64;
        let linears = model.info.parameters - (VOCAB * WIDTH) as u64;
        let packed_bits = (model.info.weight_bytes - table) as f64 * 8.0 / linears as f64;
        assert!((4.0..4.5).contains(&packed_bits), "{packed_bits} bits a weight");

        let ids: Vec<f64> = (0..16).map(|i| f64::from(i * 37 % 2000)).collect();
        let ones = vec![1.0; 16];
        let step = |_| vec![batch(16, &ids, &ones, &ids)];
        take_steps(&mut model, &config, step, |_, _, done, _| {
            assert!(done.loss.is_finite())
        });
        // The 32-bit embedding is the largest thing there is; a dense copy of a linear would be twice as large.
        let largest = watch.largest_bytes();
        assert!(
            largest <= table && table < dense,
            "an allocation of {largest} bytes, where a dense matrix takes {dense} and the embedding {table}"
        );
        let in_use = device::memory_bytes(&device).expect("the device counts");
        assert!(
            in_use < model.info.weight_bytes + dense / 2,
            "{in_use} bytes in use for weights of {}",
            model.info.weight_bytes
        );
        // The books do notice: a dense matrix of the same size is the largest allocation from here on.
        let dense_matrix = burn::tensor::Tensor::<2>::ones([INNER, WIDTH], &device);
        let ones = burn::tensor::Tensor::<2>::ones([1, WIDTH], &device);
        let sum = linear(ones, dense_matrix, None, false).sum();
        let sum = block_on(lorakeet_core::models::read(sum)).expect("the device answers")[0];
        assert_eq!(sum, (INNER * WIDTH) as f32);
        assert!(watch.largest_bytes() >= dense);
    });
}
