//! Routers: from the graph to configuration files and processes.

pub(crate) mod bgp;
pub(crate) mod frr;
pub(crate) mod ospf;
mod reload;
pub(crate) mod split;

pub use reload::reload_commands;

/// One FRR daemon.
#[derive(Debug)]
pub struct Daemon {
    /// Its program, its `.conf` and its `.vty`.
    pub name: &'static str,
    /// Understands prefix lists, access lists and route maps.
    pub filters: bool,
}

/// Every daemon, in the order they are started.
pub const DAEMONS: &[Daemon] = &[
    Daemon { name: "zebra", filters: true },
    Daemon { name: "mgmtd", filters: true },
    Daemon { name: "staticd", filters: false },
    Daemon { name: "ospfd", filters: true },
    Daemon { name: "ospf6d", filters: true },
    Daemon { name: "bgpd", filters: true },
    Daemon { name: "isisd", filters: true },
    Daemon { name: "ripd", filters: true },
    Daemon { name: "ripngd", filters: true },
    Daemon { name: "eigrpd", filters: true },
    Daemon { name: "babeld", filters: true },
    Daemon { name: "fabricd", filters: true },
    Daemon { name: "ldpd", filters: false },
    Daemon { name: "nhrpd", filters: false },
    Daemon { name: "pimd", filters: true },
    Daemon { name: "pim6d", filters: true },
    Daemon { name: "pbrd", filters: false },
    Daemon { name: "pathd", filters: false },
    Daemon { name: "bfdd", filters: false },
    Daemon { name: "vrrpd", filters: false },
];
