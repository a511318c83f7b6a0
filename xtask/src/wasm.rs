//! The wasm target: from rustup where it can fetch it, else the standard library built from Debian's packages.

use crate::packages;
use crate::places::{WASM_TARGET as TARGET, say};
use crate::process::{capture, find};
use anyhow::{Result, bail};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Debian's compiler that can build wasm, with the sources of its standard library and the linker.
const DEBIAN: [&str; 4] = ["rustc-web", "rust-web-src", "rust-web-llvm", "lld-22"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const RUSTUP_PATIENCE: Duration = Duration::from_secs(180);

/// A compiler that can build for wasm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    /// The usual one, with the target's standard library beside it.
    Usual,
    /// Debian's, which builds the standard library first.
    Debian,
}

impl Compiler {
    /// Sets what cargo needs to use it.
    pub fn apply(self, command: &mut Command) {
        if self == Self::Debian {
            command
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
        }
    }
}

/// Whether [`compiler`] has nothing to install.
pub fn is_ready() -> bool {
    usual_has_target() || packages::installed(&DEBIAN)
}

/// Finds or installs a compiler. A machine that has Debian's packages keeps to them: what it compiled stays valid.
pub fn compiler() -> Result<Compiler> {
    if usual_has_target() {
        return Ok(Compiler::Usual);
    }
    if packages::installed(&DEBIAN) {
        say("wasm: Debian's rustc-web is used, with the standard library built from source");
        return Ok(Compiler::Debian);
    }
    let mut why = String::from("rustup is not on PATH");
    if find("rustup").is_some() {
        say(format!("wasm: adding the target {TARGET} with rustup"));
        match add_with_rustup() {
            Ok(()) if usual_has_target() => return Ok(Compiler::Usual),
            Ok(()) => why = "rustup says the target is added, but rustc does not have it".into(),
            Err(error) => why = format!("{error:#}"),
        }
        say(format!(
            "wasm: rustup could not ({}); trying Debian's packages",
            why.lines().next().unwrap_or("no reason")
        ));
    }
    packages::install(
        &DEBIAN,
        "compiling the page",
        &format!(
            "With rustup (https://rustup.rs) the target is one command: rustup target add {TARGET}\n\
             (here: {why})"
        ),
    )?;
    Ok(Compiler::Debian)
}

fn usual_has_target() -> bool {
    let sysroot = capture(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    let Ok(dir) = sysroot else { return false };
    std::fs::read_dir(dir.trim()).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

/// `rustup target add`, ended when it hangs on a network that does not answer.
fn add_with_rustup() -> Result<()> {
    let mut child = Command::new("rustup")
        .args(["target", "add", TARGET])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return if status.success() {
                Ok(())
            } else {
                bail!("`rustup target add {TARGET}` ended with {status}")
            };
        }
        if start.elapsed() > RUSTUP_PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!(
                "`rustup target add {TARGET}` took longer than {} s",
                RUSTUP_PATIENCE.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
