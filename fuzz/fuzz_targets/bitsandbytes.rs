//! libFuzzer on the reader `bitsandbytes`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lorakeet_fuzz::readers;

fuzz_target!(|bytes: &[u8]| {
    readers::bitsandbytes(bytes);
});
