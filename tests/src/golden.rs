//! Reads golden cases: small inputs and exact outputs of torch, transformers and PEFT.

use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// A folder with `case.json`.
pub struct Case {
    /// Its name in the manifest, such as `A/gpt2`.
    pub name: String,
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

/// The folder of golden cases: LORAKEET_GOLDEN, else the one in the repository, `tests/golden`.
///
/// # Panics
/// If there is none.
pub fn folder() -> PathBuf {
    let folder = std::env::var_os("LORAKEET_GOLDEN").map_or_else(own_folder, PathBuf::from);
    assert!(
        folder.is_dir(),
        "no golden cases in {folder:?}; set LORAKEET_GOLDEN to their folder"
    );
    folder
}

/// The golden cases in the repository, `tests/golden`.
fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Runs a future that never waits for anything but the device.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
        .block_on(future)
}

/// A number of case.json, where those that are not finite are words.
///
/// # Panics
/// If it is none.
pub fn number(value: &Value) -> f64 {
    let number = match value {
        Value::String(word) => word.parse().ok(),
        value => value.as_f64(),
    };
    number.unwrap_or_else(|| panic!("{value} is not a number"))
}

/// The words of a list in case.json; none where there is no list.
pub fn words(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
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

fn read_json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// The files of the folder by name.
fn manifest() -> Map<String, Value> {
    match read_json(&folder().join("manifest.json")) {
        Value::Object(files) => files,
        other => panic!("manifest.json lists no files: {other}"),
    }
}

impl Case {
    /// Opens the case at `name`, such as `A/gpt2`.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn open(name: &str) -> Self {
        Self::at(folder().join(name), name)
    }

    /// Opens the case at `name` among the repository's own, whichever folder is named: for tests that hold numbers of it.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn own(name: &str) -> Self {
        Self::at(own_folder().join(name), name)
    }

    fn at(path: PathBuf, name: &str) -> Self {
        Self {
            name: name.into(),
            json: read_json(&path.join("case.json")),
            path,
        }
    }

    /// Opens all cases right below `part`, such as `A` or `A/gpt2/adapters`, that the folder's manifest lists, by name: which
    /// ones there are, another folder says otherwise.
    ///
    /// # Panics
    /// If there is no manifest, or it lists a case that cannot be read.
    pub fn all(part: &str) -> Vec<Self> {
        let manifest = manifest();
        let name = |file: &String| {
            let name = file.strip_suffix("/case.json")?;
            let last = name.strip_prefix(part)?.strip_prefix('/')?;
            (!last.contains('/')).then(|| name.to_owned())
        };
        let mut names: Vec<String> = manifest.keys().filter_map(name).collect();
        names.sort();
        names.iter().map(|name| Self::open(name)).collect()
    }

    /// Those of [`Case::all`] for which the manifest lists `file` too.
    ///
    /// # Panics
    /// As [`Case::all`].
    pub fn all_with(part: &str, file: &str) -> Vec<Self> {
        let mut cases = Self::all(part);
        cases.retain(|case| case.has(file));
        cases
    }

    /// The cases right below one of this case's folders.
    ///
    /// # Panics
    /// As [`Case::all`].
    pub fn below(&self, part: &str) -> Vec<Self> {
        Self::all(&format!("{}/{part}", self.name))
    }

    /// Whether the manifest lists `file` of the case.
    ///
    /// # Panics
    /// If there is no manifest.
    pub fn has(&self, file: &str) -> bool {
        manifest().contains_key(&format!("{}/{file}", self.name))
    }

    /// The model's config.json.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn config(&self) -> Value {
        read_json(&self.path.join("config.json"))
    }

    /// What its rows and labels are, such as `causal`.
    pub fn kind(&self) -> &str {
        self.json["kind"].as_str().unwrap_or_default()
    }

    /// A tolerance of case.json.
    ///
    /// # Panics
    /// If it is not there.
    pub fn tolerance(&self, name: &str) -> f32 {
        let value = self.json["tolerance"][name].as_f64();
        value.unwrap_or_else(|| panic!("{:?} has no tolerance {name}", self.path)) as f32
    }

    /// The tolerance of a loss: the case's, or twice the reference's own error of a logit, by which a mean of
    /// log-probabilities may be off. The error of its loss, ten times which the case allows, is a single number, and by
    /// chance next to nothing.
    ///
    /// # Panics
    /// If it is not there.
    pub fn loss_tolerance(&self) -> f32 {
        let logits = self.json["fp32_vs_fp64_max_abs"]["logits"].as_f64().unwrap_or(0.0);
        self.tolerance("loss_abs").max(2.0 * logits as f32)
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
}
