//! Any bytes are an OpenFlow message or an error; what was understood can be said and is then understood in the same way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netloom_openflow::{Version, decode};

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    let Ok(length) = u16::try_from(bytes.len()) else { return };
    if length < 8 {
        return;
    }
    // A wrong length is found at once: the fuzzer is to get further.
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes[0] = 4 + bytes[0] % 3;
    let Ok(frame) = decode(&bytes) else { return };
    let version = Version::from_wire(frame.version).expect("a version that was just set");
    if let Ok(again) = frame.message.encode(version, frame.xid) {
        assert_eq!(decode(&again).as_ref(), Ok(&frame));
    }
});
