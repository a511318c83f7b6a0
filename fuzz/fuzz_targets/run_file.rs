//! libFuzzer on the reader `run_file`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lorakeet_fuzz::readers;

fuzz_target!(|bytes: &[u8]| {
    readers::run_file(bytes);
});
