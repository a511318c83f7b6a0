//! What several tests share: golden files, futures that are ready at once, hand-made GGUF files, broken copies of files.
#![allow(dead_code, reason = "each test program uses a part of this")]

pub mod gguf;
pub mod mutations;

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The value of a future that waits for nothing, as all are that read memory or disk.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for something"),
    }
}

/// A file or folder of the golden fixtures: LORAKEET_GOLDEN, else `shared/golden` beside the checkout, else the copies in
/// `tests/golden`.
pub fn golden(path: &str) -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folders = match std::env::var_os("LORAKEET_GOLDEN") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => vec![here.join("../../shared/golden"), here.join("../tests/golden")],
    };
    let found = folders.iter().find(|folder| folder.is_dir());
    found
        .unwrap_or_else(|| panic!("no golden fixtures in {folders:?}; set LORAKEET_GOLDEN to their folder"))
        .join(path)
}

/// The folders below `part` of the golden fixtures in which the manifest lists `file`.
pub fn golden_folders(part: &str, file: &str) -> Vec<PathBuf> {
    let manifest = json(golden("manifest.json"));
    let files = manifest.as_object().unwrap().keys().map(PathBuf::from);
    let files = files.filter(|path| path.starts_with(part) && path.ends_with(file));
    files.map(|path| golden("").join(path.parent().unwrap())).collect()
}

/// A JSON file.
pub fn json(path: impl AsRef<std::path::Path>) -> serde_json::Value {
    let path = path.as_ref();
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Numbers of a JSON list.
pub fn numbers(list: &serde_json::Value) -> Vec<u32> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_u64().unwrap() as u32)
        .collect()
}

/// The path in the environment variable `name`.
pub fn real_model(name: &str, what: &str) -> PathBuf {
    let path = std::env::var_os(name)
        .unwrap_or_else(|| panic!("set {name} to {what} (`cargo xtask` fetches it and sets the variable)"));
    PathBuf::from(path)
}
