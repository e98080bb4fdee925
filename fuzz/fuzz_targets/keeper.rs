//! Any packet on the keeper's socket, in either direction.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netloom_runtimes::fuzz::packet(bytes));
