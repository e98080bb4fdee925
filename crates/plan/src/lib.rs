//! Intent → what a host must hold. Pure: no clock, no randomness, no file, no socket.
//!
//! [`desired`] is the result: names, indexes, addresses, files, processes, rules — everything decided, nothing done.
//! [`plan`] takes the lab **and the previous allocation**: what has an identity keeps what it holds, what is new takes the lowest free slot.

pub mod desired;
