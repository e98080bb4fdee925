//! Whatever an FRR daemon answers, and JSON in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    netloom_runtimes::fuzz::vty(bytes);
    netloom_check::fuzz::json(bytes);
});
