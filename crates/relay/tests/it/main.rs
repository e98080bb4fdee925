//! The relay, from the state machine alone to real namespaces.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod live;
mod queue;
mod rig;
mod wire;
