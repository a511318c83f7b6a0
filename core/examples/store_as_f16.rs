//! Stores a model's weights in 16 bits: `store_as_f16 IN.safetensors OUT.safetensors`.
//!
//! Names and shapes stay, every number goes to the nearest f16. The bundled model is stored so: it is half the download,
//! and what that costs in loss `cargo xtask pretrain` prints.

use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("usage: store_as_f16 IN.safetensors OUT.safetensors".into());
    };
    let file = std::fs::read(from)?;
    let mut tensors = Vec::new();
    for (name, view) in SafeTensors::deserialize(&file)?.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(format!("{from}: {name} is stored as {:?}, not as F32", view.dtype()).into());
        }
        let mut bytes = Vec::with_capacity(view.data().len() / 2);
        for number in view.data().as_chunks::<4>().0 {
            let rounded = f16::from_f32(f32::from_le_bytes(*number));
            if !rounded.is_finite() {
                return Err(format!("{from}: {name} has a number that f16 cannot hold").into());
            }
            bytes.extend(rounded.to_le_bytes());
        }
        tensors.push((name, view.shape().to_vec(), bytes));
    }
    let mut views = Vec::with_capacity(tensors.len());
    for (name, shape, bytes) in &tensors {
        views.push((name, TensorView::new(Dtype::F16, shape.clone(), bytes)?));
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    std::fs::write(to, safetensors::serialize(views, Some(metadata))?)?;
    Ok(())
}
