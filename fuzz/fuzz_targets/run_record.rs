//! libFuzzer on the reader `run_record`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lorakeet_fuzz::readers;

fuzz_target!(|bytes: &[u8]| {
    readers::run_record(bytes);
});
