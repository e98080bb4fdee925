//! Whatever a name server sends.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netloom_check::fuzz::dns(bytes));
