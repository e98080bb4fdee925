//! What tests share: pairs of namespaces, oracles, features a test needs, the frame matrix, and an inventory of the machine that
//! judges whether something was left behind.
//!
//! The oracles are the system's own programs (`ip -j`, `tc`, `nft`, `ping`): they know nothing of netloom, and that is their worth.

pub mod frames;
pub mod inventory;
pub mod needs;
pub mod oracle;
pub mod ovs;
pub mod pair;
pub mod pki;

pub use inventory::Inventory;
pub use oracle::{eventually, output, run, run_json, spawn};
pub use ovs::{Datapath, Ovs};
pub use pair::{Lan, Pair};
