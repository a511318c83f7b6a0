//! One door from the engine to the kernels: a GPU launches the WGSL source, a CPU calls the twin.
//!
//! Nothing here knows what a kernel computes; [`super::forward`] says which kernels make up an operation,
//! [`super::backward`] adds gradients, and [`super`] wraps both for tensors.

use crate::device;
use burn::backend::{Backend, DType, Flex, Shape, TensorMetadata, tensor::FloatTensor};
use burn_cubecl::{
    CubeBackend,
    cubecl::{
        CubeCount, CubeDim, CubeKernel, MemoryScope, PrecompiledSource,
        ir::{ElemType, UIntKind, metadata::Info},
        prelude::*,
        server::{KernelArguments, MetadataBindingInfo},
    },
    kernel::into_contiguous,
    ops::numeric::empty_device_contiguous_dtype,
    tensor::CubeTensor,
};
use burn_flex::{FlexTensor, Layout};
use lorakeet_shaders::{Kernel, Tier};

/// A backend that can run a [`Kernel`].
pub trait Launch: Backend {
    /// Runs `kernel` on contiguous f32 `inputs` and gives its outputs in `shapes`.
    ///
    /// # Panics
    /// If a tensor's length is not the one that the kernel states: a defect of the caller.
    fn launch<const N: usize>(
        kernel: impl Kernel,
        inputs: Vec<FloatTensor<Self>>,
        shapes: [Shape; N],
    ) -> [FloatTensor<Self>; N];

    /// Writes `numbers` into `tensor`, which is contiguous and nobody else's, from its number `start` on.
    fn write(tensor: FloatTensor<Self>, start: usize, numbers: Vec<f32>) -> FloatTensor<Self>;
}

fn check_lengths(kernel: &impl Kernel, inputs: &[usize], outputs: &[usize]) {
    assert_eq!(inputs, kernel.input_lens(), "inputs of {kernel:?}");
    assert_eq!(outputs, kernel.output_lens(), "outputs of {kernel:?}");
}

impl Launch for Flex {
    fn write(tensor: FlexTensor, start: usize, numbers: Vec<f32>) -> FlexTensor {
        let tensor = tensor.to_contiguous();
        let shape = tensor.shape();
        let mut all = tensor.storage::<f32>()[tensor.layout().start_offset()..].to_vec();
        all.truncate(shape.num_elements());
        all[start..start + numbers.len()].copy_from_slice(&numbers);
        FlexTensor::new(
            burn::tensor::Bytes::from_elems(all),
            Layout::contiguous(shape),
            DType::F32,
        )
    }

    fn launch<const N: usize>(kernel: impl Kernel, inputs: Vec<FlexTensor>, shapes: [Shape; N]) -> [FlexTensor; N] {
        let inputs: Vec<FlexTensor> = inputs.into_iter().map(|tensor| tensor.to_contiguous()).collect();
        let slices: Vec<&[f32]> = inputs
            .iter()
            .map(|tensor| {
                let start = tensor.layout().start_offset();
                &tensor.storage::<f32>()[start..start + tensor.layout().num_elements()]
            })
            .collect();
        let mut outputs = shapes.each_ref().map(|shape| vec![0f32; shape.num_elements()]);
        check_lengths(
            &kernel,
            &slices.iter().map(|slice| slice.len()).collect::<Vec<_>>(),
            &outputs.each_ref().map(|output| output.len()),
        );
        let mut views: Vec<&mut [f32]> = outputs.iter_mut().map(|output| output.as_mut_slice()).collect();
        kernel.twin(&slices, &mut views);
        let mut outputs = outputs.into_iter();
        shapes.map(|shape| {
            let values = outputs.next().unwrap_or_default();
            FlexTensor::new(
                burn::tensor::Bytes::from_elems(values),
                Layout::contiguous(shape),
                DType::F32,
            )
        })
    }
}

impl Launch for CubeBackend {
    fn write(tensor: CubeTensor, start: usize, numbers: Vec<f32>) -> CubeTensor {
        let (start, length) = (4 * start as u64, 4 * numbers.len() as u64);
        let after = tensor.handle.size_in_used() - start - length;
        let place = tensor.handle.clone().offset_start(start).offset_end(after);
        tensor.client.write(&place, burn::tensor::Bytes::from_elems(numbers));
        tensor
    }

    fn launch<const N: usize>(kernel: impl Kernel, inputs: Vec<CubeTensor>, shapes: [Shape; N]) -> [CubeTensor; N] {
        let mut contiguous: Vec<CubeTensor> = Vec::with_capacity(inputs.len());
        for tensor in inputs {
            let tensor = into_contiguous(tensor);
            // WebGPU forbids one buffer behind two writable bindings.
            let repeated = contiguous
                .iter()
                .any(|other| std::ptr::eq(other.handle.memory.descriptor(), tensor.handle.memory.descriptor()));
            contiguous.push(if repeated { tensor.copy() } else { tensor });
        }
        check_lengths(
            &kernel,
            &contiguous
                .iter()
                .map(|tensor| tensor.shape().num_elements())
                .collect::<Vec<_>>(),
            &shapes.each_ref().map(|shape| shape.num_elements()),
        );
        let (client, device) = (contiguous[0].client.clone(), contiguous[0].device.clone());
        let outputs =
            shapes.map(|shape| empty_device_contiguous_dtype(client.clone(), device.clone(), shape, DType::F32));
        let tier = device::tier();
        let mut arguments = KernelArguments::new();
        for tensor in contiguous.iter().chain(outputs.iter()) {
            arguments = arguments.with_buffer(tensor.handle.clone().binding());
        }
        arguments.info = MetadataBindingInfo::custom(words(&kernel.info()));
        let ([x, y, z], operations) = (kernel.workgroups(tier), kernel.operations());
        client.launch(Box::new(Source { kernel, tier }), CubeCount::Static(x, y, z), arguments);
        device::note_work(operations, || {
            // What fails here fails again where it is read.
            let _ = client.flush();
        });
        device::note_memory(|| client.memory_report(MemoryScope::Device));
        outputs
    }
}

/// Pairs of u32 as little-endian u64, which is how cubecl carries a uniform.
fn words(info: &[u32]) -> Vec<u64> {
    info.chunks(2)
        .map(|pair| u64::from(pair[0]) | u64::from(pair.get(1).copied().unwrap_or(0)) << 32)
        .collect()
}

/// A kernel on its way to cubecl's pipeline cache, which knows it by its key and asks for the source on a miss only.
#[derive(Debug)]
struct Source<K> {
    kernel: K,
    tier: Tier,
}

impl<K: Kernel> Source<K> {
    fn cube_dim(&self) -> CubeDim {
        let [x, y, z] = self.kernel.workgroup_size(self.tier);
        CubeDim::new_3d(x, y, z)
    }
}

impl<K: Kernel> KernelMetadata for Source<K> {
    fn id(&self) -> KernelId {
        KernelId::new::<Self>()
            .info(self.kernel.key(self.tier))
            .cube_dim(self.cube_dim().into())
    }

    fn address_type(&self) -> ElemType {
        UIntKind::U32.into()
    }
}

impl<K: Kernel> CubeKernel for Source<K> {
    fn define(&self) -> KernelDefinition {
        let settings = KernelSettings::new(self.cube_dim().into(), ExecutionMode::Checked, AddressType::U32);
        KernelDefinition {
            body: Scope::root(settings.clone()),
            settings,
            info: Info::default(),
        }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        Some(PrecompiledSource {
            source: self.kernel.wgsl(self.tier),
            entrypoint_name: "main".into(),
            lang: "wgsl",
        })
    }
}
