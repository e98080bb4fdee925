//! Any capture file: what is read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netloom_packet::pcap::{Writer, parse};

fuzz_target!(|bytes: &[u8]| {
    // The magic number alone would take a fuzzer for ever: half of the runs are given a good file header.
    let head = Writer::new(Vec::new()).expect("a vector takes everything").into_inner();
    let file = match bytes.split_first() {
        Some((first, rest)) if first & 1 == 0 => [&head, rest].concat(),
        _ => bytes.to_vec(),
    };
    let Ok(records) = parse(&file) else { return };
    let mut writer = Writer::new(Vec::new()).expect("a vector takes everything");
    for record in &records {
        writer.write(record.since_epoch, &record.frame).expect("a vector takes everything");
    }
    let again = parse(&writer.into_inner()).expect("our own file");
    assert_eq!(again.len(), records.len());
    assert!(again.iter().zip(&records).all(|(a, b)| a.frame == b.frame));
});
