//! Doors for the fuzzer into readers that are nobody else's business: whatever bytes come, they return.

use crate::expect::{bgp, ospf, text};
use crate::probe::{dns, http};

/// What a web server sends.
pub fn http(bytes: &[u8]) {
    http::read_any(bytes);
}

/// What a name server sends.
pub fn dns(bytes: &[u8]) {
    dns::read_any(bytes);
}

/// The JSON of FRR's `show` commands, and of commands whose output an expectation looks into.
pub fn json(bytes: &[u8]) {
    let Ok(json) = serde_json::from_slice(bytes) else { return };
    let _ = (bgp::sessions(&json), ospf::neighbours(&json));
    let _ = (text::at(&json, "peers.0.state"), text::at(&json, "0.1"));
}
