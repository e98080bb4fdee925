//! Any bytes from an OVSDB server: cut into messages, read as everything that a message may be. What is read is written again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netloom_ovsdb::codec::{Dialect, Limits, Message, MonitorReply, Splitter, Updates, outcomes};
use netloom_ovsdb::codec::{delete, insert, select};
use netloom_ovsdb::{Row, Schema, Value};

fuzz_target!(|bytes: &[u8]| {
    let mut splitter = Splitter::new(Limits { bytes: 4096, depth: 32 });
    for chunk in bytes.chunks(97) {
        splitter.push(chunk);
        loop {
            match splitter.next_message() {
                Ok(Some(message)) => read(message),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(splitter.pending() <= 4096 + 97);
    }
});

fn read(message: &[u8]) {
    let Ok(message) = Message::from_bytes(message) else { return };
    let dialects = [Dialect::Plain, Dialect::Conditional, Dialect::Since];
    match message {
        Message::Response { result: Ok(json), .. } => {
            for dialect in dialects {
                let _ = MonitorReply::from_json(dialect, &json);
            }
            let _ = Schema::from_json(&json);
            let _ = outcomes(&[insert("T", Row::new()), select("T", vec![]), delete("T", vec![])], &json);
            if let Ok(value) = Value::from_json(&json) {
                assert_eq!(Value::from_json(&value.to_json()), Ok(value));
            }
            if let Ok(row) = Row::from_json(&json) {
                assert_eq!(Row::from_json(&row.to_json()), Ok(row));
            }
        }
        Message::Response { result: Err(refusal), .. } => drop(refusal.to_string()),
        Message::Request { params, .. } | Message::Notification { params, .. } => {
            for dialect in dialects {
                let _ = Updates::from_notification(dialect, &params);
            }
        }
    }
}
