//! Any text is a flow, a group, a match, an action or an error; a flow that was read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netloom_openflow::{Action, FlowMod, GroupMod, Match};

fuzz_target!(|text: &str| {
    let _ = text.parse::<GroupMod>();
    let _ = text.parse::<Match>();
    let _ = text.parse::<Action>();
    if let Ok(flow) = text.parse::<FlowMod>() {
        let said = flow.to_string();
        assert!(said.parse::<FlowMod>().is_ok(), "{said}");
    }
});
