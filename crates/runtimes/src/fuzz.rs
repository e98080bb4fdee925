//! Doors for the fuzzer into readers that are nobody else's business: whatever bytes come, they return.

use crate::frr;
use crate::protocol::{Answer, Envelope, NodeRecord};

/// A packet on the keeper's socket, read by either side. What is read is said again as it was.
pub fn packet(bytes: &[u8]) {
    if let Ok(envelope) = serde_json::from_slice::<Envelope>(bytes) {
        let said = serde_json::to_vec(&envelope).expect("what was read can be said");
        let again: Envelope = serde_json::from_slice(&said).expect("what was said can be read");
        assert_eq!(format!("{again:?}"), format!("{envelope:?}"));
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(bytes) {
        let _ = serde_json::from_value::<NodeRecord>(answer.value.clone());
        let _ = serde_json::from_value::<Vec<NodeRecord>>(answer.value);
    }
}

/// What an FRR daemon sends after a command.
pub fn vty(bytes: &[u8]) {
    let _ = frr::complete(bytes);
}
