//! Whatever ovs-vswitchd says on its control socket.
#![no_main]

use netloom_ovs::control::{Trace, coverage, datapaths};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(trace) = Trace::parse(text) {
        let _ = (trace.deciding(), trace.is_dropped());
    }
    let _ = (datapaths(text), coverage(text));
});
