//! What a plan will need of a machine, before anything is built. The comparison with what there is is the caller's.
//!
//! The numbers were measured on Linux 6.18 with FRR 8.4 (x86-64), and err on the large side.

use netloom_api::node::NodeKind;
use serde::{Deserialize, Serialize};

use crate::desired::Plan;

/// Kernel memory of a network namespace with `lo`, its sysctl tables and its share of a link, in bytes.
pub const NODE_MEMORY: u64 = 320 << 10;
/// Kernel memory of each link beyond one per node: a veth pair with its queues and addresses, in bytes.
pub const LINK_MEMORY: u64 = 60 << 10;
/// A node's init, its mounts and its share of the lab's tmpfs, in bytes: what the first process adds.
pub const POPULATED_MEMORY: u64 = 700 << 10;
/// Bytes of a process of the user's that nobody limits; an assumption.
pub const PROCESS_MEMORY: u64 = 8 << 20;
/// Bytes of a log file, or of a file system's own keeping for a populated node; an assumption.
pub const LOG_DISK: u64 = 64 << 10;

/// FRR daemon → private memory at rest in bytes, threads.
const DAEMONS: &[(&str, u64, u64)] = &[
    ("zebra", 10 << 20, 7),
    ("bgpd", 14 << 20, 4),
    ("staticd", 4 << 20, 1),
    ("mgmtd", 8 << 20, 2),
    ("ospfd", 6 << 20, 1),
    ("ospf6d", 6 << 20, 1),
];
/// Any other daemon.
const OTHER_DAEMON: (u64, u64) = (6 << 20, 2);
/// Bytes one more route costs a router: zebra, the protocol's daemon and the kernel.
const ROUTE_MEMORY: u64 = 2 << 10;

/// An estimate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Bytes of memory, the lab's tmpfs included.
    pub memory: u64,
    /// Processes and threads, the keeper and the nodes' inits included.
    pub tasks: u64,
    /// File descriptors of the keeper: a namespace, an init and the logs of each node.
    pub files: u64,
    /// Bytes of the lab's tmpfs: declared files and logs. Part of `memory`.
    pub disk: u64,
    pub namespaces: u64,
    /// Interfaces, both ends of each link and `lo`s.
    pub interfaces: u64,
}

/// What the plan will need at rest.
pub fn needs(plan: &Plan) -> Needs {
    let nodes = plan.nodes.len() as u64;
    let links = plan.links.len() as u64;
    let routers = plan.nodes.values().filter(|n| n.kind == NodeKind::Frr).count() as u64;
    let mut out = Needs {
        memory: (16 << 20) + nodes * NODE_MEMORY + links.saturating_sub(nodes) * LINK_MEMORY,
        tasks: 4,
        files: 64 + nodes * 2,
        namespaces: nodes + 1,
        interfaces: nodes + links * 2,
        ..Needs::default()
    };
    if let Some(management) = &plan.management {
        let members = management.nodes.len() as u64;
        out.memory += members * LINK_MEMORY;
        out.interfaces += members * 2 + 1;
    }
    for node in plan.nodes.values() {
        if !node.populated {
            continue;
        }
        let mut running = 0;
        for name in node.processes.keys() {
            let (memory, threads) = if node.kind == NodeKind::Frr && node.ready.frr.contains(name) {
                let known = DAEMONS.iter().find(|(d, ..)| d == name).map(|&(_, m, t)| (m, t));
                known.unwrap_or(OTHER_DAEMON)
            } else {
                (PROCESS_MEMORY, 2)
            };
            running += memory;
            out.tasks += threads;
            out.disk += LOG_DISK;
        }
        if node.kind == NodeKind::Frr {
            running += routers * ROUTE_MEMORY;
        }
        let files: u64 = node.files.values().map(|f| f.content.len().next_multiple_of(4096) as u64).sum();
        out.disk += files + LOG_DISK;
        out.memory += POPULATED_MEMORY + node.limits.memory.map_or(running, |limit| running.min(limit));
        out.tasks += 1;
        out.files += 3 + node.processes.len() as u64;
    }
    out.memory += out.disk;
    out
}
