//! Ctrl-C, SIGTERM and a closed terminal: the first ends the run in good order, the second the program.

use crate::commands::{INTERRUPTED, now_ms};
use crate::screen::say;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::host::Control;
use lorakeet_i18n::messages::command as msg;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ctrl-C: the first ends the run after the step under way, the second ends the program at once. SIGTERM and a closed terminal
/// count as Ctrl-C.
pub fn stop_on_interrupt(control: Control) -> Result<impl Fn() -> bool> {
    on_interrupt(move || {
        say("\nstopping after this step, then saving; Ctrl-C again ends at once without saving");
        control.stop();
        control.cancel_download();
    })
}

/// Signals within this time are one: a terminal that closes sends SIGHUP twice, by its shell and by the system.
const ONE_SIGNAL_MS: f64 = 200.0;

pub fn on_interrupt(first: impl Fn() + Send + 'static) -> Result<impl Fn() -> bool> {
    let seen = Arc::new(AtomicBool::new(false));
    let flag = seen.clone();
    // Under nohup the terminal may close; what the handler takes away is given back here.
    let mut shielded = ignores_hangup() && has_terminal();
    let mut last_ms = f64::NEG_INFINITY;
    ctrlc::set_handler(move || {
        let now_ms = now_ms();
        let is_same = now_ms - last_ms < ONE_SIGNAL_MS;
        last_ms = now_ms;
        let is_hangup = shielded && !has_terminal();
        if is_hangup {
            shielded = false;
        }
        if is_same || is_hangup {
            return;
        }
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        first();
    })
    .map_err(|error| Error::internal(msg::CannotListen { error }))?;
    Ok(move || seen.load(Ordering::SeqCst))
}

/// Whether the program was started so that it outlives its terminal, as far as the system tells (Linux does).
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // One bit a signal; SIGHUP is the first.
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

/// Whether there is a terminal that could close.
fn has_terminal() -> bool {
    fs::File::open("/dev/tty").is_ok()
}
