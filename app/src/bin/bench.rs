//! The browser's bench: measures the one case that the worker's name says (`mlp gpu`) and posts its JSON, or an error's
//! text. It is no part of the page; `cargo xtask bench --browser` builds it and `app/bench/` starts it.

use js_sys::{ArrayBuffer, Function, Reflect, WebAssembly::Memory};
use lorakeet_bench::{GpuCounts, GpuWork, STEPS, find, measure};
use lorakeet_core::Result;
use lorakeet_core::error::Error;
use lorakeet_core::host::Host;
use lorakeet_i18n::Message;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::DedicatedWorkerGlobalScope;

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

fn main() {
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        post(&info.to_string());
    }));
    spawn_local(async {
        let answer = run(&scope().name()).await;
        post(&answer.unwrap_or_else(|error| error.to_string()));
    });
}

async fn run(words: &str) -> Result<String> {
    let (case, device) = find(words)?;
    let mut counts = Vec::new();
    let mut measurement = measure(case, device, &HOST, None, &mut || counts.extend(gpu_counts())).await?;
    measurement.gpu = GpuWork::of(&counts, STEPS);
    measurement.peak_bytes = Some(memory_bytes());
    serde_json::to_string(&measurement).map_err(|error| Error::internal(Message::verbatim(error.to_string())))
}

/// Nobody sends this worker messages, so there is nobody to give way to.
const HOST: Host = Host {
    now_ms: || scope().performance().map_or(0.0, |performance| performance.now()),
    yield_now: || Box::pin(std::future::ready(())),
};

/// What `app/bench/count.js` has counted so far.
fn gpu_counts() -> Option<GpuCounts> {
    let count = Reflect::get(&scope(), &"gpuCounts".into()).ok()?;
    let text = count.dyn_into::<Function>().ok()?.call0(&JsValue::NULL).ok()?;
    serde_json::from_str(&text.as_string()?).ok()
}

/// WebAssembly's memory grows and never shrinks.
fn memory_bytes() -> u64 {
    let memory: Memory = wasm_bindgen::memory().unchecked_into();
    let buffer: ArrayBuffer = memory.buffer().unchecked_into();
    buffer.byte_length().into()
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

fn post(text: &str) {
    // A page that is gone hears nothing; there is nobody left to tell.
    let _ = scope().post_message(&JsValue::from_str(text));
}
