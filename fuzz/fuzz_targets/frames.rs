//! Whatever arrives on a wire is read without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netloom_packet::{decode, icmp, lldp, stream};

fuzz_target!(|bytes: &[u8]| {
    let _ = decode::decode(bytes);
    let _ = decode::summary(bytes);
    let _ = icmp::parse_v4(bytes);
    let _ = icmp::parse_v6(bytes);
    let _ = stream::Mark::parse(bytes);
    let _ = lldp::Neighbour::from_frame(bytes);
    if let Ok(neighbour) = lldp::Neighbour::from_bytes(bytes) {
        // What is read is written so that it reads the same; what was not text has grown by being replaced, and may be cut.
        let texts = [&neighbour.port_description, &neighbour.system_name, &neighbour.system_description];
        if !texts.iter().any(|t| t.as_ref().is_some_and(|t| t.contains(char::REPLACEMENT_CHARACTER))) {
            assert_eq!(lldp::Neighbour::from_bytes(&neighbour.to_bytes()), Ok(neighbour));
        }
    }
});
