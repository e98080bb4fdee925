//! A running lab, as the commands and checks see it.

use std::time::Duration;

use netloom_api::values::{EndRef, NodeName};
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{Link, LinkStats};
use netloom_plan::desired::{EndPlan, LinkPlan, NodePlan, Plan};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::options::RunDir;
use crate::run::{Instance, later};

/// A handle on a running lab. Cheap to clone into threads; every method may be called from any thread.
#[derive(Debug)]
pub struct Lab {
    plan: Plan,
}

/// How a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Only a namespace: nothing has to run in it.
    Idle,
    /// Its processes run.
    Running,
    /// Powered off.
    Stopped,
    /// A process that should run has ended.
    Degraded,
}

/// A node and its processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Which.
    pub node: NodeName,
    /// How it does.
    pub state: NodeState,
    /// Process id of its init on this host, when it has one.
    pub init: Option<i32>,
    /// What runs or ran in it.
    pub processes: Vec<ProcessStatus>,
}

/// A process of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its name in the lab file.
    pub name: String,
    /// Process id on this host while it runs.
    pub pid: Option<i32>,
    /// Exit code, or 128 + signal, once it has ended.
    pub exit: Option<i32>,
}

/// One end of a link as the kernel sees it.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStatus {
    /// Which.
    pub end: EndRef,
    /// The other end.
    pub peer: EndRef,
    /// What the kernel holds; `None` when the interface is missing.
    pub link: Option<Link>,
}

/// Which way packets go, seen from the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Entering the node.
    In,
    /// Leaving it.
    Out,
}

/// A rule of an end's access list and what it has counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclCounter {
    /// The way it looks.
    pub direction: Direction,
    /// Its position in the list, from 0.
    pub index: usize,
    /// The rule, in the file's words; `(stateful replies)` for the implied one.
    pub rule: String,
    /// Packets that matched.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// How a command in a node is run.
#[derive(Clone, Debug, Default)]
pub struct ExecOptions {
    /// Added to the node's environment.
    pub env: Vec<(String, String)>,
    /// User of the host; root unless said.
    pub user: Option<String>,
    /// Written to its standard input, which is empty otherwise.
    pub stdin: Vec<u8>,
    /// After this it is killed, with all it has started.
    pub timeout: Option<Duration>,
}

/// What a command did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code, or 128 + signal.
    pub status: i32,
    /// The time ran out and it was killed.
    pub timed_out: bool,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// It ended by itself with code 0.
    pub fn success(&self) -> bool {
        self.status == 0 && !self.timed_out
    }
}

/// What happens in a running lab, one JSON object each: process exits, starts, stops, link changes, faults.
#[derive(Debug)]
pub struct EventStream {
    _private: (),
}

impl Iterator for EventStream {
    type Item = Result<serde_json::Value>;
    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl Lab {
    /// Connects to a running lab.
    ///
    /// # Errors
    /// [`Error::NotUp`], naming the labs that are.
    pub fn open(run_dir: &RunDir, instance: &str) -> Result<Lab> {
        let _ = (run_dir, instance);
        Err(later("open"))
    }

    /// The plan that was applied last.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Name, source, keeper.
    pub fn instance(&self) -> &Instance {
        unreachable!("no lab is made yet")
    }

    /// The plan of a node.
    ///
    /// # Errors
    /// [`Error::Unknown`] listing the nodes.
    pub fn node(&self, node: &str) -> Result<&NodePlan> {
        self.plan.nodes.get(node).ok_or_else(|| Error::Unknown {
            instance: self.plan.instance.to_string(),
            what: "node",
            name: node.into(),
            known: self.plan.nodes.keys().map(ToString::to_string).collect(),
        })
    }

    /// The plan of an end, of its link and of the other end.
    ///
    /// # Errors
    /// [`Error::Unknown`] listing the ends of the node.
    pub fn end(&self, end: &EndRef) -> Result<(&LinkPlan, &EndPlan, &EndPlan)> {
        for link in &self.plan.links {
            let [a, b] = &link.ends;
            for (this, other) in [(a, b), (b, a)] {
                if this.node == end.node && this.interface == end.interface {
                    return Ok((link, this, other));
                }
            }
        }
        self.node(end.node.as_str())?;
        let ends = self.plan.links.iter().flat_map(|link| &link.ends);
        Err(Error::Unknown {
            instance: self.plan.instance.to_string(),
            what: "link end",
            name: end.to_string(),
            known: ends
                .filter(|e| e.node == end.node)
                .map(|e| e.end().to_string())
                .collect(),
        })
    }

    /// A handle on a node's network namespace.
    ///
    /// # Errors
    /// [`Error::Unknown`], or when the keeper is gone.
    pub fn netns(&self, node: &str) -> Result<Netns> {
        let _ = node;
        Err(later("netns"))
    }

    /// Handles on many nodes' namespaces, in the order asked for.
    ///
    /// # Errors
    /// As [`Lab::netns`].
    pub fn netns_of(&self, nodes: &[&str]) -> Result<Vec<Netns>> {
        nodes.iter().map(|node| self.netns(node)).collect()
    }

    /// State of every node and process.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn status(&self) -> Result<Vec<NodeStatus>> {
        Err(later("status"))
    }

    /// State of every link end, or of one node's.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn links(&self, node: Option<&str>) -> Result<Vec<LinkStatus>> {
        let _ = node;
        Err(later("links"))
    }

    /// Runs a command in a node and collects what it prints.
    ///
    /// # Errors
    /// When it cannot be started; its own failure is in [`Output::status`].
    pub fn exec(&self, node: &str, argv: &[String], options: &ExecOptions) -> Result<Output> {
        let _ = (node, argv, options);
        Err(later("exec"))
    }

    /// Runs a command in a node on the caller's terminal and standard files. Returns its exit code, or 128 + signal.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn attach(&self, node: &str, argv: &[String], options: &ExecOptions) -> Result<i32> {
        let _ = (node, argv, options);
        Err(later("attach"))
    }

    /// Asks an FRR daemon of a node over its own socket, such as `vty("leaf1", "bgpd", "show bgp summary")`.
    ///
    /// # Errors
    /// When the daemon does not answer or refuses the command.
    pub fn vty(&self, node: &str, daemon: &str, command: &str) -> Result<String> {
        let _ = (node, daemon, command);
        Err(later("vty"))
    }

    /// As [`Lab::vty`], for commands that end in `json`.
    ///
    /// # Errors
    /// As [`Lab::vty`], or when the answer is not JSON.
    pub fn vty_json(&self, node: &str, daemon: &str, command: &str) -> Result<serde_json::Value> {
        let text = self.vty(node, daemon, command)?;
        serde_json::from_str(&text)
            .map_err(|e| Error::step(format!("{node}: {daemon}: {command}"), e))
    }

    /// Counters of an end's interface.
    ///
    /// # Errors
    /// [`Error::Unknown`], or the kernel's.
    pub fn link_stats(&self, end: &EndRef) -> Result<LinkStats> {
        let _ = end;
        Err(later("link_stats"))
    }

    /// Counters of an end's access list; empty without one.
    ///
    /// # Errors
    /// [`Error::Unknown`], or the kernel's.
    pub fn acl_counters(&self, end: &EndRef) -> Result<Vec<AclCounter>> {
        let _ = end;
        Err(later("acl_counters"))
    }

    /// What a process has printed so far.
    ///
    /// # Errors
    /// [`Error::Unknown`], or when the node has no files.
    pub fn log(&self, node: &str, process: &str) -> Result<Vec<u8>> {
        let _ = (node, process);
        Err(later("log"))
    }

    /// Reads a file as the node sees it.
    ///
    /// # Errors
    /// When there is none, or the node has no files.
    pub fn read_file(&self, node: &str, path: &str) -> Result<Vec<u8>> {
        let _ = (node, path);
        Err(later("read_file"))
    }

    /// What happens from now on (`past`: and the last thousand events before).
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn events(&self, past: bool) -> Result<EventStream> {
        let _ = past;
        Err(later("events"))
    }

    /// The configuration a node's FRR daemons run now, as text (`save`).
    ///
    /// # Errors
    /// When the node is no router or its daemons do not answer.
    pub fn running_config(&self, node: &str) -> Result<String> {
        let _ = node;
        Err(later("running_config"))
    }
}
