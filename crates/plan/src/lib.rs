//! Intent → what a host must hold. Pure: no clock, no randomness, no file, no socket.
//!
//! [`desired`] is the result: names, indexes, addresses, files, processes, rules — everything decided, nothing done.
//! [`plan`] takes the lab **and the previous allocation**: what has an identity keeps what it holds, what is new takes the lowest free slot.
//!
//! What nobody typed, and this crate decides:
//! - **Addresses.** A plain link without addresses of a family takes the lowest free slice of `links` (/31, /127). Joined `lan` nodes are
//!   one segment and take one slice of `lans` (without that pool: a /24 and /64 of `links`, where it is large enough); its ends are
//!   numbered in the order of the file. Routers take a loopback where there is a pool. Addresses written in the file are never handed out.
//! - **Identities.** A node is its name, a link its two ends in either order. A link keeps its slice, an end its interface index; a new
//!   end gets the index after the highest its node had, so one that goes and one that comes never meet.
//! - **MAC addresses.** `02` and a hash of lab and end, the same in every instance; where a segment reaches an interface of the host,
//!   of the instance too, because there instances meet.
//! - **Fabric.** On Open vSwitch a host takes a number and an address of 240.0.0.0/16, an end a port of its host's switch, a link
//!   between hosts a VXLAN network identifier; the network between the hosts is as large as what crosses it needs.
//! - **Default routes.** A `linux` node that does not forward, has no default route of a family, and sees routers on one of its segments
//!   only, gets one through the first of them, when its address there came from a pool. Who writes addresses writes routes.
//! - **Settings.** Routers, and hosts told to forward, get what a router needs ([`desired::NodePlan::optional_sysctls`]); hosts with
//!   IPv6 addresses get those usable at once and kept while a link is down; other hosts get nothing.
//! - **Routing.** One FRR configuration is made from the graph, joined with the node's own `config`, and cut into a file per daemon.

pub mod admission;
mod allocate;
mod build;
pub mod desired;
mod diagnose;
pub mod diff;
pub mod error;
mod fabric;
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

pub use build::plan;
pub use diagnose::diagnose;
pub use diff::diff;
pub use error::PlanError;
pub use facts::{Facts, FrrFacts};
pub use netloom_api::lab::DEFAULT_MTU;
pub use nodes::READY_WITHIN;
pub use routing::{DAEMONS, Daemon, reload_commands};
