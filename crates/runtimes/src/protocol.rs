//! What clients and the keeper say to each other: one JSON document per packet, descriptors beside it (unix(7), `SCM_RIGHTS`).
//!
//! A request too large for a packet travels as a file: the packet is then `{"id": N, "file": true}` and its only
//! descriptor holds the document.

use std::collections::BTreeMap;

use netloom_kernel::process::Exit;
use serde::{Deserialize, Serialize};

/// Name of the keeper's socket in the lab's run directory.
pub const SOCKET: &str = "keeper.sock";
/// Largest packet either side sends; what is larger travels as a file.
pub(crate) const PACKET: usize = 96 * 1024;
/// Room to receive one packet.
pub(crate) const RECEIVE: usize = 160 * 1024;
/// Descriptors per packet.
pub(crate) const FDS: usize = 250;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) id: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) file: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<Request>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) value: serde_json::Value,
    /// The value is in the file that came along.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) file: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Hold the descriptors that come along under these names.
    Hold { names: Vec<String> },
    /// Hand out held descriptors.
    Fds { names: Vec<String> },
    /// Close held descriptors.
    Release { names: Vec<String> },
    /// Names of everything held.
    Held,
    /// Keep a value (or with null forget it), for whoever asks later.
    Put { key: String, value: serde_json::Value },
    /// The values whose keys begin so.
    Get { prefix: String },
    /// Files all nodes share, such as /etc/hosts.
    Share { files: BTreeMap<String, String> },
    /// Make the node's init if it has none, then start processes.
    Start { node: NodeSpec, processes: Vec<ProcessSpec> },
    /// Signal a process (its whole group).
    Signal { node: String, process: String, signal: i32 },
    /// SIGTERM, after `grace` milliseconds SIGKILL; answers when it has ended.
    Stop { node: String, process: String, grace: u64 },
    /// Forget an ended process.
    Forget { node: String, process: String },
    /// End all processes of a node and its init; answers when they have ended.
    Kill { node: String, grace: u64 },
    /// State of nodes and processes.
    List,
    /// The pidfd of a node's init, to enter its namespaces.
    Target { node: String },
    /// The control socket of a helper, which is started if need be.
    Helper { which: Helper },
    /// Tell all subscribers.
    Emit { event: serde_json::Value },
    /// From now on tell this connection all events.
    Events { past: bool },
    /// Outlive the process the keeper was tied to.
    Untie,
    /// End everything, and the keeper.
    Shutdown,
}

/// A process of netloom's own beside the keeper, one of a kind in a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Helper {
    /// Carries the frames of impaired wires.
    Relay,
    /// Lets the carrier of one end of a wire follow the other.
    Carrier,
}

impl Helper {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Helper::Relay => "relay",
            Helper::Carrier => "carrier",
        }
    }

    pub(crate) fn process_name(self) -> &'static str {
        match self {
            Helper::Relay => "netloom-relay",
            Helper::Carrier => "netloom-carrier",
        }
    }
}

/// What a node's own view of the machine consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Its name; the namespace of the same name must be held.
    pub name: String,
    /// Host name.
    #[serde(default)]
    pub hostname: String,
    /// Files of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileSpec>,
    /// Directories that must exist, and whose they are (`USER:GROUP`, empty: root).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub directories: BTreeMap<String, String>,
    /// Directories of which the node sees nothing of the host's, such as `/etc/frr`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<String>,
    /// Environment of everything run in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Directories of the cgroups its processes join.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cgroups: Vec<String>,
}

/// A file of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Absolute path inside the node.
    pub path: String,
    /// All of it.
    pub content: String,
    /// Permission bits.
    pub mode: u32,
    /// `USER` or `USER:GROUP`; empty: root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
}

/// A process of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Its name in the node.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Added to the node's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Working directory; `/` when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub workdir: String,
    /// User of the host; root when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Where its output goes, inside the node.
    pub log: String,
    /// Directories that must exist, and whose they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub directories: BTreeMap<String, String>,
    /// Paths inside the node, such as another process's socket, that must exist before the program begins. After ten seconds it
    /// begins all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

/// A node as the keeper knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name.
    pub name: String,
    /// Process id of its init, in the keeper's pid namespace.
    pub init: Option<i32>,
    /// What it was populated with.
    pub spec: NodeSpec,
    /// Everything started in it since its init was made.
    pub processes: Vec<ProcessRecord>,
}

/// A process as the keeper knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Its name.
    pub name: String,
    /// Process id in the keeper's pid namespace.
    pub pid: i32,
    /// How it ended; `None` while it runs.
    pub exit: Option<Exit>,
    /// Somebody asked for its end.
    pub asked: bool,
    /// Started so many times.
    pub starts: u32,
    /// When it started, in milliseconds of the Unix epoch.
    pub since: u64,
}
