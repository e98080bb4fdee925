//! One difference between what runs and what is wanted.

use std::fmt;

use netloom_api::values::{EndRef, NodeName};
use serde::{Deserialize, Serialize};

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is missing and is made.
    Add,
    /// It is there and differs.
    Change,
    /// It is there and should not be.
    Remove,
    /// It is made anew: removed, then added.
    Replace,
    /// A process is started again.
    Restart,
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A whole node.
    Node(NodeName),
    /// A link, by its id `a:eth1--b:eth1`.
    Link(String),
    /// One end: state, MTU, MAC, addresses, impairment, rules.
    End(EndRef),
    /// A node's loopback addresses.
    Loopback(NodeName),
    /// A node's routes.
    Routes(NodeName),
    /// A node's settings.
    Sysctls(NodeName),
    /// A file of a node.
    File(NodeName, String),
    /// A process of a node.
    Process(NodeName, String),
    /// A node's limits.
    Limits(NodeName),
    /// A node's hooks.
    Hooks(NodeName),
    /// The lab-wide hosts file.
    Hosts,
    /// The management network.
    Management,
}

/// One difference, and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// To what.
    pub subject: Subject,
    /// In words: `mtu 1500 → 9000`, `address +10.0.0.1/31 −10.0.0.3/31`. Empty when the subject says it all.
    pub detail: String,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Action::Add => "add",
            Action::Change => "change",
            Action::Remove => "remove",
            Action::Replace => "replace",
            Action::Restart => "restart",
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Node(node) => write!(f, "node {node}"),
            Subject::Link(id) => write!(f, "link {id}"),
            Subject::End(end) => write!(f, "end {end}"),
            Subject::Loopback(node) => write!(f, "loopback of {node}"),
            Subject::Routes(node) => write!(f, "routes of {node}"),
            Subject::Sysctls(node) => write!(f, "sysctls of {node}"),
            Subject::File(node, path) => write!(f, "file {node}:{path}"),
            Subject::Process(node, name) => write!(f, "process {name} of {node}"),
            Subject::Limits(node) => write!(f, "limits of {node}"),
            Subject::Hooks(node) => write!(f, "hooks of {node}"),
            Subject::Hosts => f.write_str("names of the lab (/etc/hosts)"),
            Subject::Management => f.write_str("management network"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.subject)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}
