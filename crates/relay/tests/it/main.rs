//! The relay, from the state machine alone to real namespaces.

mod queue;
