//! An allocator that counts, and ends the process with the name of the case before the machine's memory is gone.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files of some kilobytes on a model of some thousand weights: what a session takes for them, with a wide margin.
const MOST_BYTES: usize = 512 << 20;

static LIVE: AtomicUsize = AtomicUsize::new(0);
/// Which case runs, for the message; a fixed buffer, since whoever reads it may not allocate.
static CASE: Mutex<([u8; 64], usize)> = Mutex::new(([0; 64], 0));

/// The system's allocator with a limit for all that lives at once.
pub struct Watched;

/// Names the case that is about to run.
pub fn name_case(kind: &str, round: usize) {
    let name = format!("{kind} {round}");
    let mut case = CASE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    case.1 = name.len().min(case.0.len());
    let length = case.1;
    case.0[..length].copy_from_slice(&name.as_bytes()[..length]);
}

fn took(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    if live > MOST_BYTES {
        let mut out = std::io::stderr();
        if let Ok(case) = CASE.try_lock() {
            drop(out.write_all(&case.0[..case.1]));
        }
        drop(out.write_all(b": more than 512 MiB of memory\n"));
        std::process::abort();
    }
}

#[allow(
    unsafe_code,
    reason = "counting allocations takes an allocator, and an allocator is unsafe to write"
)]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}
