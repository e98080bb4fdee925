//! What a check needs of a lab, and nothing more; [`netloom_engine::Lab`] is one.

use std::time::{Duration, Instant};

use netloom_api::link::Impair;
use netloom_api::values::{EndRef, NodeName};
use netloom_engine::{AclCounter, ExecOptions, Lab, Output, Undo};
use netloom_kernel::netns::Netns;
use netloom_plan::desired::Plan;

use crate::error::Result;

/// A lab under test. Methods may be called from several threads.
pub trait World: Sync {
    /// What the lab should be.
    fn plan(&self) -> &Plan;

    /// A handle on a node's network namespace.
    ///
    /// # Errors
    /// When the node is unknown or gone.
    fn netns(&self, node: &NodeName) -> Result<Netns>;

    /// Runs a command in a node to its end, at most `timeout` long.
    ///
    /// # Errors
    /// When it cannot be started; its own failure is in [`Output::status`].
    fn exec(&self, node: &NodeName, argv: &[String], timeout: Duration) -> Result<Output>;

    /// Asks an FRR daemon of a node.
    ///
    /// # Errors
    /// When it does not answer.
    fn vty(&self, node: &NodeName, daemon: &str, command: &str) -> Result<String>;

    /// What the access list of an end has counted; empty without one.
    ///
    /// # Errors
    /// When the end is unknown or its rules cannot be read.
    fn acl_counters(&self, end: &EndRef) -> Result<Vec<AclCounter>>;

    /// What a process of a node has printed.
    ///
    /// # Errors
    /// When the process is unknown.
    fn log(&self, node: &NodeName, process: &str) -> Result<Vec<u8>>;

    /// Makes a fault and says how to undo it.
    ///
    /// # Errors
    /// When it could not be made (nothing is left half done).
    fn fault(&self, fault: &FaultOp) -> Result<Undo>;

    /// Undoes a fault; doing so twice is no error.
    ///
    /// # Errors
    /// When something could not be put back.
    fn undo(&self, undo: Undo) -> Result<()>;

    /// The clock.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Lets time pass.
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// A fresh number nobody can guess, which tells probes apart from strangers' packets.
    fn nonce(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        std::collections::hash_map::RandomState::new().build_hasher().finish()
    }
}

/// The single faults of which all others are made.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultOp {
    /// One end is set administratively down.
    LinkDown(EndRef),
    /// What happens to frames leaving an end.
    Impair(EndRef, Impair),
    /// Frames leaving an end are lost, carrier stays.
    Blackhole(EndRef),
    /// Power off, after asking.
    NodeStop(NodeName),
    /// Power off.
    NodeKill(NodeName),
    /// A process gets a signal (`KILL` for `None`).
    ProcessKill(NodeName, String, Option<String>),
}

impl World for Lab {
    fn plan(&self) -> &Plan {
        Lab::plan(self)
    }

    fn netns(&self, node: &NodeName) -> Result<Netns> {
        Ok(Lab::netns(self, node.as_str())?)
    }

    fn exec(&self, node: &NodeName, argv: &[String], timeout: Duration) -> Result<Output> {
        let options = ExecOptions { timeout: Some(timeout), ..ExecOptions::default() };
        Ok(Lab::exec(self, node.as_str(), argv, &options)?)
    }

    fn vty(&self, node: &NodeName, daemon: &str, command: &str) -> Result<String> {
        Ok(Lab::vty(self, node.as_str(), daemon, command)?)
    }

    fn acl_counters(&self, end: &EndRef) -> Result<Vec<AclCounter>> {
        Ok(Lab::acl_counters(self, end)?)
    }

    fn log(&self, node: &NodeName, process: &str) -> Result<Vec<u8>> {
        Ok(Lab::log(self, node.as_str(), process)?)
    }

    fn fault(&self, fault: &FaultOp) -> Result<Undo> {
        Ok(match fault {
            FaultOp::LinkDown(end) => self.link_down(end)?,
            FaultOp::Impair(end, impair) => self.impair(end, Some(impair))?,
            FaultOp::Blackhole(end) => self.blackhole(end)?,
            FaultOp::NodeStop(node) => self.node_stop(node.as_str())?,
            FaultOp::NodeKill(node) => self.node_kill(node.as_str())?,
            FaultOp::ProcessKill(node, process, None) => self.process_kill(node.as_str(), process)?,
            FaultOp::ProcessKill(node, process, Some(signal)) => signal_process(self, node, process, signal)?,
        })
    }

    fn undo(&self, undo: Undo) -> Result<()> {
        Ok(Lab::undo(self, undo)?)
    }
}

/// `SIGTERM` and its like are asked of the node's own `kill`, which sees the node's process ids.
fn signal_process(lab: &Lab, node: &NodeName, process: &str, signal: &str) -> Result<Undo> {
    let signal = signal.trim_start_matches("SIG");
    if signal == "KILL" {
        return Ok(lab.process_kill(node.as_str(), process)?);
    }
    Err(crate::Error::Invalid(format!("{node}: signal {signal} to {process}: only KILL is supported so far")))
}
