//! Whatever a client says to the exporter, and any file of owners.
#![no_main]

use netloom_ovs::exporter::request;
use netloom_ovs::flows::Owners;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = request(bytes);
    let text = String::from_utf8_lossy(bytes);
    let _ = Owners::from_text(&text).to_text();
});
