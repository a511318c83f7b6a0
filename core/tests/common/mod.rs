//! What several tests share: golden files, futures that are ready at once, hand-made GGUF files, broken copies of files.
#![allow(dead_code, reason = "each test program uses a part of this")]

pub mod gguf;
pub mod mutations;

use lorakeet_core::Result;
use lorakeet_core::chat::ChatTemplate;
use lorakeet_core::data::{Dataset, Examples, Settings};
use lorakeet_core::host::{Control, Emit, Host};
use lorakeet_core::protocol::{Event, Stage};
use lorakeet_core::tokenizer::Tokenizer;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

/// The value of a future that waits for nothing, as all are that read memory or disk.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for something"),
    }
}

/// A file or folder of the golden fixtures: of LORAKEET_GOLDEN, else of `tests/golden`.
pub fn golden(path: &str) -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    std::env::var_os("LORAKEET_GOLDEN")
        .map_or_else(own, PathBuf::from)
        .join(path)
}

/// A host whose clock moves on by a second whenever it is asked, and who has nobody to give way to.
pub const HOST: Host = Host {
    now_ms: || {
        static SECONDS: AtomicU32 = AtomicU32::new(0);
        f64::from(SECONDS.fetch_add(1, Ordering::SeqCst)) * 1000.0
    },
    yield_now: || Box::pin(std::future::ready(())),
};

/// The examples of a data set of texts, with what `progress` is told of the rows that are done.
pub fn examples(
    data: &Dataset,
    tokenizer: &Tokenizer,
    template: Option<&ChatTemplate>,
    settings: &Settings,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Examples> {
    let mut receiver = |event, _| {
        if let Event::Progress { done, total, .. } = event {
            progress(done, total);
        }
    };
    let mut emit = Emit::new(&mut receiver, HOST, Control::default());
    let turns = &mut emit.turns(Stage::Tokenize);
    now(lorakeet_core::data::examples(
        data, tokenizer, template, settings, turns,
    ))
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
