//! A wire in userspace, for kernels without netem: delay, jitter, loss, rate, duplicates, damage and reordering, per direction, set and
//! cleared while traffic runs.
//!
//! [`Queue`] is the wire itself, without any I/O: frames go in with the time, frames come out when they are due.

pub mod frame;
mod impairment;
mod queue;
mod random;

pub use frame::{Frame, Pool};
pub use impairment::{Impairment, InvalidImpairment};
pub use queue::{Counters, Queue};
pub use random::{Random, SplitMix64};
