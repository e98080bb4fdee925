//! What a check needs of a lab, and nothing more; [`netloom_engine::Lab`] is one.

use std::time::{Duration, Instant};

use netloom_api::link::Impair;
use netloom_api::values::{EndRef, NodeName};
use netloom_engine::{AclCounter, ExecOptions, Lab, Output};
use netloom_kernel::netns::Netns;
use netloom_kernel::process::PidFd;
use netloom_kernel::signal::number;
use netloom_plan::desired::Plan;

use crate::error::{Error, Result};

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

    /// What the access lists of ends have counted, in their order; empty for one without.
    ///
    /// # Errors
    /// When an end is unknown or its rules cannot be read.
    fn acl_counters(&self, ends: &[EndRef]) -> Result<Vec<Vec<AclCounter>>>;

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

/// The way back from a fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Undo {
    /// The engine knows it.
    Engine(netloom_engine::Undo),
    /// A process that was stopped goes on.
    Continue(NodeName, String),
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

    fn acl_counters(&self, ends: &[EndRef]) -> Result<Vec<Vec<AclCounter>>> {
        Ok(Lab::acl_counters(self, ends)?)
    }

    fn log(&self, node: &NodeName, process: &str) -> Result<Vec<u8>> {
        Ok(Lab::log(self, node.as_str(), process)?)
    }

    fn fault(&self, fault: &FaultOp) -> Result<Undo> {
        Ok(Undo::Engine(match fault {
            FaultOp::LinkDown(end) => self.link_down(end)?,
            FaultOp::Impair(end, impair) => self.impair(end, Some(impair))?,
            FaultOp::Blackhole(end) => self.blackhole(end)?,
            FaultOp::NodeStop(node) => self.node_stop(node.as_str())?,
            FaultOp::NodeKill(node) => self.node_kill(node.as_str())?,
            FaultOp::ProcessKill(node, process, None) => self.process_kill(node.as_str(), process)?,
            FaultOp::ProcessKill(node, process, Some(signal)) => return signal_process(self, node, process, signal),
        }))
    }

    fn undo(&self, undo: Undo) -> Result<()> {
        match undo {
            Undo::Engine(undo) => Ok(Lab::undo(self, undo)?),
            Undo::Continue(node, process) => send(self, &node, &process, number::CONT),
        }
    }
}

/// A signal to one process of a node, by its process id on this host.
fn signal_process(lab: &Lab, node: &NodeName, process: &str, signal: &str) -> Result<Undo> {
    let word = signal.trim_start_matches("SIG");
    if word == "KILL" || word == "9" {
        return Ok(Undo::Engine(lab.process_kill(node.as_str(), process)?));
    }
    let Some((_, number)) = SIGNALS.iter().find(|(name, number)| *name == word || number.to_string() == word) else {
        let known: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
        return Err(Error::Invalid(format!(
            "{signal:?} is no signal netloom sends; it sends KILL, {}",
            known.join(", ")
        )));
    };
    send(lab, node, process, *number)?;
    Ok(if *number == number::STOP {
        Undo::Continue(node.clone(), process.into())
    } else {
        // Should it end of it, it is started again; starting one that runs does nothing.
        Undo::Engine(netloom_engine::Undo::ProcessStart(node.clone(), process.into()))
    })
}

/// Signals beside KILL, by name.
const SIGNALS: [(&str, i32); 8] = [
    ("TERM", number::TERM),
    ("INT", number::INT),
    ("HUP", number::HUP),
    ("QUIT", number::QUIT),
    ("USR1", number::USR1),
    ("USR2", number::USR2),
    ("STOP", number::STOP),
    ("CONT", number::CONT),
];

fn send(lab: &Lab, node: &NodeName, process: &str, signal: i32) -> Result<()> {
    let status = lab.status()?.into_iter().find(|s| s.node == *node);
    let running = status.into_iter().flat_map(|s| s.processes).find(|p| p.name == process);
    let pid = running.and_then(|p| p.pid).ok_or_else(|| Error::Invalid(format!("{node} runs no process {process}")))?;
    Ok(PidFd::open(pid)?.signal(signal)?)
}
