//! Leaves function names out of the page's and the worker's WebAssembly: a quarter of what a person would have to load.
//!
//! Cargo's own `strip` also takes the list of target features away, which wasm-bindgen reads.

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-bins=--strip-all");
        println!("cargo::rustc-link-arg-bins=--keep-section=target_features");
        // The views of the page are one nested value, which is built on the stack; 1 MiB is what there is without this.
        println!("cargo::rustc-link-arg-bins=-zstack-size=4194304");
    }
}
