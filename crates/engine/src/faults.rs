//! Faults and their way back. Each fault returns an [`Undo`], which serialises, so that another process can undo it.

use netloom_api::link::Impair;
use netloom_api::values::{EndRef, NodeName};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::lab::Lab;
use crate::run::later;

/// The way back from a fault: give it to [`Lab::undo`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Undo {
    /// Set the end up again.
    LinkUp(EndRef),
    /// Set the end down again.
    LinkDown(EndRef),
    /// Give the end the impairment it had.
    Impair(EndRef, Option<Impair>),
    /// Let the end's packets pass again.
    Unblackhole(EndRef),
    /// Power the node on.
    NodeStart(NodeName),
    /// Start the process.
    ProcessStart(NodeName, String),
    /// There is nothing to undo: it was so before.
    Nothing,
}

impl Lab {
    /// Sets one end administratively down: the other end loses carrier.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn link_down(&self, end: &EndRef) -> Result<Undo> {
        let _ = end;
        Err(later("link_down"))
    }

    /// Sets one end up and restores what the kernel dropped when it went down: addresses, IPv6 and static routes.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn link_up(&self, end: &EndRef) -> Result<Undo> {
        let _ = end;
        Err(later("link_up"))
    }

    /// Sets (or with `None` clears) what happens to frames leaving an end. ifindex, MAC and carrier stay.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn impair(&self, end: &EndRef, impair: Option<&Impair>) -> Result<Undo> {
        let _ = (end, impair);
        Err(later("impair"))
    }

    /// The impairment in force on an end.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the keeper's.
    pub fn impairment(&self, end: &EndRef) -> Result<Option<Impair>> {
        let _ = end;
        Err(later("impairment"))
    }

    /// Loses every frame that leaves this end, without losing carrier.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn blackhole(&self, end: &EndRef) -> Result<Undo> {
        let _ = end;
        Err(later("blackhole"))
    }

    /// Ends [`Lab::blackhole`].
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn unblackhole(&self, end: &EndRef) -> Result<()> {
        let _ = end;
        Err(later("unblackhole"))
    }

    /// Power off: processes get SIGTERM and a moment, then are killed; every end loses carrier at its peer; routes go.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn node_stop(&self, node: &str) -> Result<Undo> {
        let _ = node;
        Err(later("node_stop"))
    }

    /// As [`Lab::node_stop`], without the moment.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn node_kill(&self, node: &str) -> Result<Undo> {
        let _ = node;
        Err(later("node_kill"))
    }

    /// Power on: the declared state is restored, processes start, and the call returns when the node is ready.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or what failed.
    pub fn node_start(&self, node: &str) -> Result<()> {
        let _ = node;
        Err(later("node_start"))
    }

    /// Stop and start.
    ///
    /// # Errors
    /// As [`Lab::node_stop`] and [`Lab::node_start`].
    pub fn node_restart(&self, node: &str) -> Result<()> {
        self.node_stop(node)?;
        self.node_start(node)
    }

    /// Kills one process of a node (SIGKILL) and waits for its end. Nothing starts it again.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or when it does not run.
    pub fn process_kill(&self, node: &str, process: &str) -> Result<Undo> {
        let _ = (node, process);
        Err(later("process_kill"))
    }

    /// Starts one process of a node that has ended.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or when it cannot be started.
    pub fn process_start(&self, node: &str, process: &str) -> Result<()> {
        let _ = (node, process);
        Err(later("process_start"))
    }

    /// Ends one process of a node (SIGTERM, then SIGKILL) and starts it again.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or when it cannot be started.
    pub fn process_restart(&self, node: &str, process: &str) -> Result<()> {
        let _ = (node, process);
        Err(later("process_restart"))
    }

    /// Undoes a fault. Doing so twice is no error.
    ///
    /// # Errors
    /// As the call it stands for.
    pub fn undo(&self, undo: Undo) -> Result<()> {
        match undo {
            Undo::LinkUp(end) => self.link_up(&end).map(drop),
            Undo::LinkDown(end) => self.link_down(&end).map(drop),
            Undo::Impair(end, impair) => self.impair(&end, impair.as_ref()).map(drop),
            Undo::Unblackhole(end) => self.unblackhole(&end),
            Undo::NodeStart(node) => self.node_start(node.as_str()),
            Undo::ProcessStart(node, process) => self.process_start(node.as_str(), &process),
            Undo::Nothing => Ok(()),
        }
    }
}
