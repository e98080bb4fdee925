//! Whatever a web server sends, and any text as an address.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netloom_check::fuzz::http(bytes));
