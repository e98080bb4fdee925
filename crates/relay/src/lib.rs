//! A wire in userspace, for kernels without netem: delay, jitter, loss, rate, duplicates, damage and reordering, per direction, set and
//! cleared while traffic runs.
//!
//! * [`Queue`] is the wire itself, without any I/O: frames go in with the time, frames come out when they are due.
//! * [`attach`] puts a relay before an interface and takes it away again, without touching the interface.
//! * [`shelter`] carries what an interface sends past it while its qdiscs are changed.
//! * [`carrier`] lets the carrier of one end follow the other, where a wire crosses something that does not do it by itself.
//! * [`serve_as_process`] is the relay process: it reads frames from taps and sends them on interfaces, told by a [`Client`].

pub mod attach;
pub mod carrier;
mod control;
mod error;
pub mod frame;
mod impairment;
mod queue;
mod random;
mod serve;
pub mod shelter;

pub use control::{Client, Late, Stats};
pub use error::Error;
pub use frame::{Frame, Pool};
pub use impairment::{Impairment, InvalidImpairment};
pub use queue::{Counters, Queue};
pub use random::{Random, SplitMix64};
pub use serve::{serve, serve_as_process};
