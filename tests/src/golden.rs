//! Reads golden cases: small inputs and exact outputs of torch, transformers and PEFT.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// A folder with `case.json`.
pub struct Case {
    /// Where it is.
    pub path: PathBuf,
    /// case.json.
    pub json: Value,
}

/// A tensor of a golden file, widened to f64 (integers there are below 2^53).
pub struct Golden {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f64>,
}

/// The folder of golden cases: LORAKEET_GOLDEN, else `shared/golden` beside the checkout, else the copies in `tests/golden`.
///
/// # Panics
/// If there is none.
pub fn folder() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let candidates = match std::env::var_os("LORAKEET_GOLDEN") {
        Some(path) => vec![PathBuf::from(path)],
        None => vec![here.join("../../shared/golden"), here.join("golden")],
    };
    let found = candidates.iter().find(|path| path.is_dir());
    found
        .unwrap_or_else(|| panic!("no golden cases in {candidates:?}; set LORAKEET_GOLDEN to their folder"))
        .clone()
}

/// Runs a future that never waits for anything but the device.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
        .block_on(future)
}

/// A number of case.json.
///
/// # Panics
/// If it is none.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

/// The largest difference between what was found and what is wanted; NaN where a number is none.
///
/// # Panics
/// If their lengths differ.
pub fn worst_difference(found: &[f32], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len(), "as many numbers as the reference has");
    let differences = found.iter().zip(wanted).map(|(a, b)| (f64::from(*a) - b).abs());
    differences.max_by(f64::total_cmp).unwrap_or(0.0)
}

impl Case {
    /// Opens the case at `name`, such as `A/gpt2`.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn open(name: &str) -> Self {
        let path = folder().join(name);
        let text = fs::read(path.join("case.json")).unwrap_or_else(|error| panic!("{name}/case.json: {error}"));
        let json = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}/case.json: {error}"));
        Self { path, json }
    }

    /// Opens the case at `name`, if the folder's manifest lists it: a small folder leaves large cases out.
    ///
    /// # Panics
    /// If there is no manifest, or it lists a case that cannot be read.
    pub fn find(name: &str) -> Option<Self> {
        let path = folder().join("manifest.json");
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let manifest: Value = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        manifest
            .get(format!("{name}/case.json"))
            .is_some()
            .then(|| Self::open(name))
    }

    /// A tolerance of case.json.
    ///
    /// # Panics
    /// If it is not there.
    pub fn tolerance(&self, name: &str) -> f32 {
        let value = self.json["tolerance"][name].as_f64();
        value.unwrap_or_else(|| panic!("{:?} has no tolerance {name}", self.path)) as f32
    }

    /// The tensors of one of the case's files.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn tensors(&self, file: &str) -> HashMap<String, Golden> {
        let path = self.path.join(file);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let tensors = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let widen = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => data
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f64::from(f32::from_le_bytes(*b)))
                    .collect(),
                Dtype::F64 => data.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
                Dtype::I64 => data
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| i64::from_le_bytes(*b) as f64)
                    .collect(),
                Dtype::I32 => data
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f64::from(i32::from_le_bytes(*b)))
                    .collect(),
                Dtype::U8 => data.iter().map(|b| f64::from(*b)).collect(),
                Dtype::I8 => data.iter().map(|b| f64::from(*b as i8)).collect(),
                other => panic!("{path:?}: {name} is {other:?}"),
            };
            (
                name,
                Golden {
                    shape: view.shape().to_vec(),
                    values,
                },
            )
        };
        tensors.tensors().into_iter().map(widen).collect()
    }

    /// The names of the folders below `part`, sorted.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn folders(&self, part: &str) -> Vec<String> {
        let path = self.path.join(part);
        let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("the folder can be listed"))
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
