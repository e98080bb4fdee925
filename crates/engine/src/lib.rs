//! Observe → diff → apply, on this host. The only place that changes the world.
//!
//! | what | where |
//! |---|---|
//! | [`up`], [`apply`], [`difference`], [`down`], [`list`] | whole labs |
//! | [`Lab`] | one running lab: namespaces, commands, FRR, counters, start/stop, links, faults |
//! | [`switches`] | the switches of this machine, looked at for what silently does not pass |
//! | [`Packet`], [`Crossing`] | what the switches of a link would do with a packet |
//! | [`Event`] | progress of the above, to a callback |
//! | [`Change`] | one difference between what runs and what is wanted |
//!
//! The engine runs in the client process (`netloom up`); what must outlive it is held by the lab's keeper
//! ([`netloom_runtimes::keeper`]). It is level-triggered: `up`, an edited file, a crash and `down` look at what exists and change
//! the difference. An exclusive lock on the lab's directory keeps two changes of one instance apart.

mod acl;
mod apply;
mod build;
mod error;
mod event;
mod fabric;
mod faults;
mod host;
mod impair;
mod lab;
mod links;
mod look;
mod management;
mod network;
mod options;
mod progress;
mod run;
mod snapshot;
mod spaces;
mod start;
mod state;
mod topology;

pub use apply::{apply, difference};

pub use error::{Error, Result};
pub use event::{Event, Phase};
pub use fabric::{Crossing, Kind, Packet, Ruling, SwitchHealth, Trap, switches};
pub use faults::Undo;
pub use lab::{
    AclCounter, Direction, EventStream, ExecOptions, Lab, LinkStatus, NodeState, NodeStatus, Output, ProcessStatus,
};
pub use netloom_plan::diff::{Action, Change, Subject};
pub use options::{Mode, Options, RunDir};
pub use run::{Instance, down, list, up};

/// Forks the process that will hold the next lab this process makes. Early, while the process is small: what the keeper inherits
/// is copied for every node. [`up`] does it by itself when nobody has. When what is returned is dropped and no lab was made, the process
/// is ended and collected.
///
/// # Errors
/// `EAGAIN` at the limit of processes.
pub fn prepare() -> Result<netloom_runtimes::keeper::Planted> {
    Ok(netloom_runtimes::keeper::plant(run::HOOKS)?)
}

/// Lets a process that is not root make labs, in a user namespace; nothing happens to root. Must come before the process has a
/// second thread. True when the process is in a new namespace now.
///
/// # Errors
/// When the system forbids it; the text says how to allow it.
pub fn enter_rootless() -> Result<bool> {
    Ok(netloom_runtimes::rootless::enter()?)
}
