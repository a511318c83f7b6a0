//! Numbers on their way to the device and back.
//!
//! Browsers differ in what a transfer costs them. Firefox has lost its GPU where 8 MB were sent while kernels ran, or 32 MB at
//! once, and needs a tenth of a second for each buffer that is read, whatever its size. So much goes up in pieces with waits in
//! between ([`Uploads`]), and many small tensors come back as one ([`read_all`]).

use crate::device;
use crate::error::{Error, Result};
use crate::ops;
use burn::tensor::{Device, Tensor, TensorData};
use lorakeet_i18n::messages::models as msg;

/// Numbers that are sent to a GPU at a time: 2 MiB.
const PIECE: usize = 512 << 10;
/// Numbers that may be on their way to a GPU before it is waited for: 4 MiB.
const MOST_UNSETTLED: usize = 1 << 20;
/// Numbers that are read together: 32 MiB. While they are read, the device has them twice, and the host once more.
const READ_TOGETHER: usize = 8 << 20;

/// Sends numbers to a device, and waits for it now and then.
#[derive(Debug)]
pub(crate) struct Uploads {
    device: Device,
    /// Numbers since the device was last waited for.
    unsettled: usize,
}

impl Uploads {
    pub(crate) fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
            // What others have sent is not known here.
            unsettled: MOST_UNSETTLED,
        }
    }

    /// The numbers as a tensor of the device.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn send(&mut self, numbers: Vec<f32>) -> Result<Tensor<1>> {
        let count = numbers.len();
        if !device::is_gpu(&self.device) || count <= PIECE {
            self.make_way(count).await?;
            return Ok(Tensor::from_data(TensorData::new(numbers, [count]), &self.device));
        }
        let mut tensor = Tensor::empty([count], &self.device);
        for (i, piece) in numbers.chunks(PIECE).enumerate() {
            self.make_way(piece.len()).await?;
            tensor = ops::write(tensor, i * PIECE, piece.to_vec());
        }
        Ok(tensor)
    }

    /// Before `count` numbers are sent: waits where they would be too many on their way.
    async fn make_way(&mut self, count: usize) -> Result<()> {
        if self.unsettled + count > MOST_UNSETTLED && device::is_gpu(&self.device) {
            self.unsettled = 0;
            read(Tensor::zeros([1], &self.device)).await?;
        }
        self.unsettled += count;
        Ok(())
    }
}

/// Reads a flat tensor back.
///
/// # Errors
/// The device failed; the reason that the GPU gave, where it gave one.
pub async fn read(tensor: Tensor<1>) -> Result<Vec<f32>> {
    let on_gpu = device::is_gpu(&tensor.device());
    let data = tensor.into_data_async().await;
    if on_gpu {
        device::note_done();
    }
    if let Some(fault) = device::take_fault() {
        return Err(fault);
    }
    let data = data.map_err(|error| device::failure(&error.to_string()))?;
    data.try_into_vec::<f32>().map_err(|error| {
        let error = format!("{error:?}");
        Error::internal(msg::UnexpectedElementType { error })
    })
}

/// Reads flat tensors back, as many together as 32 MiB hold.
///
/// # Errors
/// As of [`read`].
pub async fn read_all(tensors: impl IntoIterator<Item = Tensor<1>>) -> Result<Vec<Vec<f32>>> {
    let mut all = Vec::new();
    let mut together: Vec<Tensor<1>> = Vec::new();
    let mut count = 0;
    for tensor in tensors {
        let [length] = tensor.dims();
        if count + length > READ_TOGETHER {
            read_together(std::mem::take(&mut together), &mut all).await?;
            count = 0;
        }
        count += length;
        together.push(tensor);
    }
    read_together(together, &mut all).await?;
    Ok(all)
}

/// Appends the numbers of `tensors` to `all`, from one read on a GPU.
async fn read_together(tensors: Vec<Tensor<1>>, all: &mut Vec<Vec<f32>>) -> Result<()> {
    let device = tensors.first().map(Tensor::device);
    let Some(device) = device.filter(|device| tensors.len() > 1 && device::is_gpu(device)) else {
        for tensor in tensors {
            all.push(read(tensor).await?);
        }
        return Ok(());
    };
    let lengths: Vec<usize> = tensors.iter().map(|tensor| tensor.dims()[0]).collect();
    let bytes = 4 * lengths.iter().sum::<usize>() as u64;
    device::make_room_for(&device, bytes);
    let numbers = read(Tensor::cat(tensors, 0)).await?;
    device::trim(&device);
    let mut rest = numbers.as_slice();
    for length in lengths {
        let (own, others) = rest.split_at(length);
        all.push(own.to_vec());
        rest = others;
    }
    Ok(())
}
