//! Any header before any frame: bursts are cut into what `wire` counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netloom_packet::offload::{HEADER_LEN, Header, finish_checksum, segment, wire};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut header) = Header::parse(bytes) else { return };
    let frame = &bytes[HEADER_LEN..];
    let counted = wire(&header, frame);
    if let Ok(packets) = segment(&header, frame) {
        assert_eq!(packets.len().max(1), counted.packets as usize);
        if !packets.is_empty() {
            assert_eq!(packets.iter().map(|p| p.len() as u64).sum::<u64>(), counted.bytes);
        }
    }
    finish_checksum(&mut header, &mut frame.to_vec());
});
