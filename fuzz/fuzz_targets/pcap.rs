//! Any capture file: what is read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netloom_packet::pcap::{Writer, parse};

fuzz_target!(|bytes: &[u8]| {
    let Ok(records) = parse(bytes) else { return };
    let mut writer = Writer::new(Vec::new()).expect("a vector takes everything");
    for record in &records {
        writer.write(record.since_epoch, &record.frame).expect("a vector takes everything");
    }
    let again = parse(&writer.into_inner()).expect("our own file");
    assert_eq!(again.len(), records.len());
    assert!(again.iter().zip(&records).all(|(a, b)| a.frame == b.frame));
});
