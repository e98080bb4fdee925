//! Impairments of link ends: netem where the kernel has it, else the relay.

use netloom_runtimes::client::Client;

use crate::error::Error;
use crate::spaces::Spaces;
use crate::topology::Topology;

/// Sets the impairments of all ends.
pub(crate) fn set_all(topology: &Topology<'_>, spaces: &Spaces, client: &mut Client, errors: &mut Vec<Error>) {
    let _ = (spaces, client);
    for link in &topology.plan.links {
        if link.ends.iter().any(|end| end.impair.is_some()) {
            errors.push(crate::run::later("impair"));
        }
    }
}
