//! Access lists of link ends, as rules of the kernel (nft) with a counter each.

use netloom_api::values::NodeName;
use netloom_plan::desired::NodePlan;

use crate::error::Error;
use crate::spaces::Spaces;
use crate::topology::Topology;

/// Sets the rules of a node that has none.
pub(crate) fn set(topology: &Topology<'_>, name: &NodeName, node: &NodePlan, spaces: &Spaces, errors: &mut Vec<Error>) {
    let _ = (node, spaces);
    for end in topology.ends(name.as_str()) {
        if end.this.acl.is_some() {
            errors.push(crate::run::later("acl"));
        }
    }
}
