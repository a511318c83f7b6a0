//! One door from the engine to the kernels: a GPU launches the WGSL source, a CPU calls the twin.
//!
//! Nothing here knows what a kernel computes; [`super::forward`] says which kernels make up an operation,
//! [`super::backward`] adds gradients, and [`super`] wraps both for tensors.
//!
//! On a GPU a launch may be several. One that would take long there is cut into launches of some of its workgroups, to the same
//! bits ([`lorakeet_shaders::Cut`]); a product that would leave most of a GPU idle has its sums made in parts, which a second kernel
//! adds ([`lorakeet_shaders::SplitProduct`]): that depends on shapes, not on what was measured.
//!
//! In a rehearsal ([`super::rehearsal`]) a GPU launches nothing: its outputs are made, and hold what was in their memory.
//!
//! On a GPU an output may be written into a slice of a larger tensor ([`Output::At`]): so the gradients of parameters that are
//! slices of one flat tensor are made as slices of another, and nobody has to gather them.

use super::rehearsal;
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
use lorakeet_shaders::{Kernel, SplitProduct, Tier};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

/// Where an output is written.
#[derive(Debug)]
pub enum Output<B: Backend> {
    /// Into a tensor of its own.
    New(Shape),
    /// Into this one: contiguous, and nobody reads what it held.
    At(FloatTensor<B>),
}

impl<B: Backend> Output<B> {
    fn shape(&self) -> Shape {
        match self {
            Self::New(shape) => shape.clone(),
            Self::At(tensor) => tensor.shape(),
        }
    }
}

/// A backend that can run a [`Kernel`].
pub trait Launch: Backend {
    /// Runs `kernel` on contiguous f32 `inputs` and gives its outputs.
    ///
    /// # Panics
    /// If a tensor's length is not the one that the kernel states: a defect of the caller.
    fn launch_to<const N: usize>(
        kernel: impl Kernel,
        inputs: Vec<FloatTensor<Self>>,
        outputs: [Output<Self>; N],
    ) -> [FloatTensor<Self>; N];

    /// The same with outputs of their own in `shapes`.
    ///
    /// # Panics
    /// As [`Self::launch_to`].
    fn launch<const N: usize>(
        kernel: impl Kernel,
        inputs: Vec<FloatTensor<Self>>,
        shapes: [Shape; N],
    ) -> [FloatTensor<Self>; N] {
        Self::launch_to(kernel, inputs, shapes.map(Output::New))
    }

    /// Writes `numbers` into `tensor`, which is contiguous and nobody else's, from its number `start` on.
    fn write(tensor: FloatTensor<Self>, start: usize, numbers: Vec<f32>) -> FloatTensor<Self>;

    /// Makes a tensor for the gradient of `values`, and until [`suspend_places`] has the gradients of its slices made there.
    fn open_places(values: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Where the gradient of `parameter` goes: its place, if it has one that nobody took yet.
    fn gradient_of(parameter: &FloatTensor<Self>) -> Output<Self>;

    /// Whether `x` is the slice of `whole` from number `start` on.
    fn lies_at(x: &FloatTensor<Self>, whole: &FloatTensor<Self>, start: usize) -> bool;
}

/// The places of this thread, from here on without them.
pub(super) fn suspend_places() -> Vec<Places> {
    PLACES.take()
}

/// From here on this thread's backward pass has these places.
pub(super) fn resume_places(places: Vec<Places>) {
    PLACES.set(places);
}

thread_local! {
    /// Those of the backward pass that this thread is in.
    static PLACES: RefCell<Vec<Places>> = const { RefCell::new(Vec::new()) };
}

/// A flat tensor of parameters' values and the one of their gradients.
pub(super) struct Places {
    values: CubeTensor,
    gradients: CubeTensor,
    /// Where gradients were made, in bytes: a parameter that is used a second time has its gradient made elsewhere and added.
    taken: Vec<Range<u64>>,
}

/// Whether two handles are of one allocation.
fn share_memory(one: &CubeTensor, other: &CubeTensor) -> bool {
    std::ptr::eq(one.handle.memory.descriptor(), other.handle.memory.descriptor())
}

/// Where in its allocation a tensor begins and ends.
fn bytes_of(tensor: &CubeTensor) -> [u64; 2] {
    let start = tensor.handle.offset_start.unwrap_or(0);
    [start, start + tensor.handle.size_in_used()]
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

    fn launch_to<const N: usize>(
        kernel: impl Kernel,
        inputs: Vec<FlexTensor>,
        outputs: [Output<Self>; N],
    ) -> [FlexTensor; N] {
        let shapes = outputs.map(|output| output.shape());
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

    fn open_places(values: FlexTensor) -> FlexTensor {
        zeros(values.shape())
    }

    /// On a CPU a tensor more costs nothing.
    fn gradient_of(parameter: &FlexTensor) -> Output<Self> {
        Output::New(parameter.shape())
    }

    fn lies_at(_x: &FlexTensor, _whole: &FlexTensor, _start: usize) -> bool {
        false
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

    fn launch_to<const N: usize>(
        kernel: impl Kernel,
        inputs: Vec<CubeTensor>,
        outputs: [Output<Self>; N],
    ) -> [CubeTensor; N] {
        let mut contiguous: Vec<CubeTensor> = Vec::with_capacity(inputs.len());
        for tensor in inputs {
            let tensor = into_contiguous(tensor);
            // WebGPU forbids two writable bindings of the same bytes.
            let [start, end] = bytes_of(&tensor);
            let repeated = contiguous.iter().any(|other| {
                let [other_start, other_end] = bytes_of(other);
                share_memory(other, &tensor) && start < other_end && other_start < end
            });
            contiguous.push(if repeated { tensor.copy() } else { tensor });
        }
        check_lengths(
            &kernel,
            &contiguous
                .iter()
                .map(|tensor| tensor.shape().num_elements())
                .collect::<Vec<_>>(),
            &outputs.each_ref().map(|output| output.shape().num_elements()),
        );
        let (client, device) = (contiguous[0].client.clone(), contiguous[0].device.clone());
        let outputs = outputs.map(|output| match output {
            Output::New(shape) => empty_device_contiguous_dtype(client.clone(), device.clone(), shape, DType::F32),
            Output::At(tensor) => tensor,
        });
        let tier = device::tier();
        match kernel.split(tier) {
            None => submit(kernel, tier, contiguous.iter().chain(&outputs)),
            Some(SplitProduct { parts, sum }) => {
                let shape = Shape::new([sum.parts, sum.m, sum.n]);
                let made = empty_device_contiguous_dtype(client.clone(), device, shape, DType::F32);
                let (operands, others) = contiguous.split_at(parts.input_lens().len());
                submit(parts, tier, operands.iter().chain([&made]));
                submit(sum, tier, [&made].into_iter().chain(others).chain(&outputs));
            }
        }
        device::note_memory(|| client.memory_report(MemoryScope::Device));
        outputs
    }

    fn open_places(values: CubeTensor) -> CubeTensor {
        let values = into_contiguous(values);
        let (client, device) = (values.client.clone(), values.device.clone());
        let gradients = empty_device_contiguous_dtype(client, device, values.shape(), DType::F32);
        let places = Places {
            values,
            gradients: gradients.clone(),
            taken: Vec::new(),
        };
        PLACES.with_borrow_mut(|all| all.push(places));
        gradients
    }

    fn gradient_of(parameter: &CubeTensor) -> Output<Self> {
        let shape = parameter.shape();
        let place = PLACES.with_borrow_mut(|all| {
            let places = all.iter_mut().find(|places| share_memory(&places.values, parameter))?;
            let [start, _] = bytes_of(parameter);
            let offset = start.checked_sub(bytes_of(&places.values)[0])?;
            let end = offset + 4 * shape.num_elements() as u64;
            let rest = places.gradients.handle.size_in_used().checked_sub(end)?;
            let is_taken = places.taken.iter().any(|taken| offset < taken.end && taken.start < end);
            if is_taken || !parameter.is_contiguous() {
                return None;
            }
            places.taken.push(offset..end);
            let gradients = places.gradients.clone();
            Some(CubeTensor::new_contiguous(
                gradients.client,
                gradients.device,
                shape.clone(),
                gradients.handle.offset_start(offset).offset_end(rest),
                DType::F32,
            ))
        });
        place.map_or(Output::New(shape), Output::At)
    }

    fn lies_at(x: &CubeTensor, whole: &CubeTensor, start: usize) -> bool {
        share_memory(x, whole) && x.is_contiguous() && bytes_of(x)[0] == bytes_of(whole)[0] + 4 * start as u64
    }
}

/// Launches `kernel` on `tensors`, its inputs and then its outputs: at once, or in several launches where one would take too long.
fn submit<'a>(kernel: impl Kernel, tier: Tier, tensors: impl Iterator<Item = &'a CubeTensor>) {
    let tensors: Vec<&CubeTensor> = tensors.collect();
    let client = &tensors[0].client;
    let (operations, most) = (kernel.operations(), device::most_operations());
    let cut = kernel.cut(tier).filter(|cut| cut.operations > most);
    let (mut info, whole) = (kernel.info(), kernel.workgroups(tier));
    let source = Source::new(kernel, tier);
    if rehearsal::is_under_way() {
        return rehearsal::note(client, Box::new(source), tensors.len(), words(&info));
    }
    let launch = |info: &[u32], [x, y, z]: [u32; 3], operations: u64| {
        let mut arguments = KernelArguments::new();
        for tensor in &tensors {
            arguments = arguments.with_buffer(tensor.handle.clone().binding());
        }
        arguments.info = MetadataBindingInfo::custom(words(info));
        client.launch(Box::new(source.again()), CubeCount::Static(x, y, z), arguments);
        device::note_work(operations, || {
            // What fails here fails again where it is read.
            let _ = client.flush();
        });
    };
    let Some(cut) = cut else {
        return launch(&info, whole, operations);
    };
    for stretch in cut.stretches(most) {
        info[cut.word] = stretch.start as u32;
        launch(&info, [stretch.len() as u32, 1, 1], cut.share(operations, &stretch));
    }
}

fn zeros(shape: Shape) -> FlexTensor {
    let values = vec![0f32; shape.num_elements()];
    FlexTensor::new(
        burn::tensor::Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
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
    kernel: Arc<K>,
    tier: Tier,
    /// Made once: the runtime asks for it several times a launch.
    id: KernelId,
}

impl<K: Kernel> Source<K> {
    fn new(kernel: K, tier: Tier) -> Self {
        let [x, y, z] = kernel.workgroup_size(tier);
        let id = KernelId::new::<Self>().info(kernel.key(tier));
        Self {
            id: id.cube_dim(CubeDim::new_3d(x, y, z).into()),
            kernel: Arc::new(kernel),
            tier,
        }
    }

    /// The same for another launch.
    fn again(&self) -> Self {
        Self {
            kernel: self.kernel.clone(),
            tier: self.tier,
            id: self.id.clone(),
        }
    }

    fn cube_dim(&self) -> CubeDim {
        let [x, y, z] = self.kernel.workgroup_size(self.tier);
        CubeDim::new_3d(x, y, z)
    }
}

impl<K: Kernel> KernelMetadata for Source<K> {
    fn id(&self) -> KernelId {
        self.id.clone()
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
        device::note_compiled();
        rehearsal::note_compiled(self.id());
        Some(PrecompiledSource {
            source: self.kernel.wgsl(self.tier),
            entrypoint_name: "main".into(),
            lang: "wgsl",
        })
    }
}
