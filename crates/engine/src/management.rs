//! The management network: a bridge on the host, `mgmt0` in the nodes, an uplink, published ports.

use netloom_kernel::rtnl::Rtnl;
use netloom_plan::desired::Plan;
use netloom_runtimes::client::Client;

use crate::error::{Error, Result};
use crate::spaces::Spaces;
use crate::topology::Topology;

/// Makes it, where the plan has one.
pub(crate) fn create(topology: &Topology<'_>, root: &mut Rtnl, spaces: &Spaces, client: &mut Client) -> Result<()> {
    let _ = (root, spaces, client);
    if topology.plan.management.is_some() {
        return Err(crate::run::later("management"));
    }
    Ok(())
}

/// Changes it.
pub(crate) fn change(
    old: &Plan,
    topology: &Topology<'_>,
    spaces: &Spaces,
    client: &mut Client,
    errors: &mut Vec<Error>,
) {
    let _ = (spaces, client);
    if old.management != topology.plan.management {
        errors.push(crate::run::later("management"));
    }
}
