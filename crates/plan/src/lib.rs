//! Intent → what a host must hold. Pure: no clock, no randomness, no file, no socket.
//!
//! [`desired`] is the result: names, indexes, addresses, files, processes, rules — everything decided, nothing done.
//! [`plan`] takes the lab **and the previous allocation**: what has an identity keeps what it holds, what is new takes the lowest free slot.

pub mod admission;
mod allocate;
mod build;
pub mod desired;
pub mod diff;
pub mod error;
pub mod facts;
pub mod generate;
pub mod graph;
mod management;
mod names;
mod nodes;
mod pool;
mod routing;
mod template;
mod topology;
mod view;

pub use build::{DEFAULT_MTU, plan};
pub use diff::diff;
pub use error::PlanError;
pub use facts::{Facts, FrrFacts};
pub use nodes::READY_WITHIN;
pub use routing::{DAEMONS, Daemon, reload_commands};
