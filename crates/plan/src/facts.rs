//! What a host offers, as far as it changes the plan. The caller finds out; this crate only reads.

use std::collections::BTreeSet;

/// What the host a lab is planned for offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// `None` when FRR is not installed: a lab with an `frr` node is refused.
    pub frr: Option<FrrFacts>,
    /// True inside a user namespace that maps only root: nothing may change its user, files belong to root.
    pub rootless: bool,
    /// Names of the directories in the host's root. `None` when that is not known: then all are there.
    pub directories: Option<BTreeSet<String>>,
}

/// An installed FRR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrrFacts {
    /// Major and minor version, such as (8, 4).
    pub version: (u16, u16),
    /// Where the daemons are, such as `/usr/lib/frr`.
    pub directory: String,
    /// The daemons found there.
    pub daemons: BTreeSet<String>,
    /// User and group the daemons run as, and the group that may open their sockets.
    pub user: String,
    pub group: String,
    pub vty_group: String,
}

impl FrrFacts {
    /// FRR as Debian and Ubuntu package it: daemons in `/usr/lib/frr`, user `frr`, group `frrvty`.
    pub fn debian<S: Into<String>>(version: (u16, u16), daemons: impl IntoIterator<Item = S>) -> FrrFacts {
        FrrFacts {
            version,
            directory: "/usr/lib/frr".into(),
            daemons: daemons.into_iter().map(Into::into).collect(),
            user: "frr".into(),
            group: "frr".into(),
            vty_group: "frrvty".into(),
        }
    }
}

impl Facts {
    /// A host that has everything: for looking at a lab (`validate`, `graph`) where it will not run, and for tests.
    pub fn complete() -> Facts {
        let daemons = crate::routing::DAEMONS.iter().map(|d| d.name).filter(|name| *name != "mgmtd");
        Facts { frr: Some(FrrFacts::debian((8, 4), daemons)), rootless: false, directories: None }
    }
}
