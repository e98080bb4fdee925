//! Making namespaces, links and their configuration from nothing, in as few system calls as there can be.

use std::collections::{BTreeMap, HashMap};

use netloom_api::node::NodeKind;
use netloom_api::values::NodeName;
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{Batch, Rtnl};
use netloom_kernel::sysctl;
use netloom_plan::desired::{LinkPlan, NodePlan};
use netloom_runtimes::client::Client;

use crate::error::{Error, Result};
use crate::event::{Event, Phase};
use crate::network::{Have, Want, make};
use crate::progress::Progress;
use crate::spaces::Spaces;
use crate::state::Dir;
use crate::topology::{Topology, has_namespace};
use crate::{acl, fabric, host, impair, links, management};

/// Namespaces without a link.
pub(crate) struct Bare {
    pub(crate) spaces: Spaces,
    /// One per namespace, in the topology's order.
    sockets: Vec<Rtnl>,
}

/// Makes a lab's namespaces and gives them into the keeper's care.
pub(crate) fn namespaces(topology: &Topology<'_>, client: &mut Client, on: &mut dyn FnMut(Event)) -> Result<Bare> {
    let names: Vec<&NodeName> = topology.spaces().map(|(name, _)| name).collect();
    let progress = Progress::begin(Phase::Namespaces, names.len(), on);
    let made = Netns::create_many_with_rtnl(names.len())?;
    let mut bare = Bare { spaces: Spaces::default(), sockets: Vec::with_capacity(made.len()) };
    for (name, (netns, rtnl)) in names.into_iter().zip(made) {
        bare.spaces.insert(name.as_str(), netns);
        bare.sockets.push(rtnl);
    }
    bare.spaces.hold(client)?;
    progress.end(on);
    Ok(bare)
}

/// Makes a lab's links and their configuration.
pub(crate) fn wire(
    topology: &Topology<'_>,
    bare: Bare,
    dir: &Dir,
    client: &mut Client,
    on: &mut dyn FnMut(Event),
) -> Result<()> {
    let Bare { spaces, mut sockets } = bare;
    let nodes: Vec<(&NodeName, &NodePlan)> = topology.spaces().collect();
    let late = early_sysctls(&nodes, &spaces)?;

    let progress = Progress::begin(Phase::Links, topology.plan.links.len(), on);
    for ((name, node), rtnl) in nodes.iter().zip(&mut sockets) {
        if node.kind == NodeKind::Lan {
            rtnl.change(|batch| links::create_bridge(batch, topology.ends(name.as_str())))?;
        }
    }
    let plain: Vec<&LinkPlan> = topology.plan.links.iter().filter(|link| topology.host_side(link).is_none()).collect();
    veths(&plain, &spaces)?;
    let mut root = Rtnl::open()?;
    host::create_all(topology, &mut root, &spaces)?;
    management::create(topology, &mut root, &spaces, client)?;
    if topology.plan.fabric.is_some() {
        fabric::mark_ports(topology, &spaces, &HashMap::new(), &[])?;
        fabric::settle(topology, &spaces, client)?;
    }
    progress.end(on);

    let mut progress = Progress::begin(Phase::Configure, nodes.len(), on);
    let mut errors = Vec::new();
    write_sysctls(&late, &spaces, &mut errors);
    let have = Have::fresh();
    for (at, ((name, node), mut rtnl)) in nodes.iter().zip(sockets).enumerate() {
        for failure in make(&Want::new(topology, name, node), &have, &mut rtnl)? {
            errors.push(Error::step(name.to_string(), failure.error));
        }
        if at % 64 == 63 {
            progress.step(at + 1, on);
        }
    }
    for (name, _) in &nodes {
        acl::set_fresh(topology, name, &spaces, &mut errors);
    }
    impair::set_all(topology, dir, &spaces, client, &mut errors);
    if topology.plan.fabric.is_some() {
        fabric::follow(topology, &spaces, client)?;
    }
    progress.end(on);
    Error::all(errors)
}

/// Creates veths, and says of each that failed between which nodes it was to be.
pub(crate) fn veths(links: &[&LinkPlan], spaces: &Spaces) -> Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new();
    let mut requests = Vec::new();
    for link in links {
        links::create(&mut batch, link, spaces)?;
        requests.extend(std::iter::repeat_n(*link, if link.stitch.is_some() { 2 } else { 1 }));
    }
    let failures = links::maker()?.apply_all(batch)?;
    let errors = failures.into_iter().map(|failure| {
        let id = requests.get(failure.index).map_or("a link", |link| link.id.as_str());
        Error::step(id, failure.error)
    });
    Error::all(errors.collect())
}

/// Settings of a node that could not be written before its interfaces exist.
pub(crate) type Late<'a> = Vec<(&'a NodeName, &'a NodePlan, BTreeMap<&'a str, &'a str>)>;

/// Writes the settings of new namespaces before the first interface is made, which copies `conf.default`. Those of single
/// interfaces are returned: they come later.
pub(crate) fn early_sysctls<'a>(nodes: &[(&'a NodeName, &'a NodePlan)], spaces: &Spaces) -> Result<Late<'a>> {
    let with: Vec<_> = nodes.iter().filter(|(_, node)| !node.sysctls.is_empty() && has_namespace(node)).collect();
    let namespaces = with.iter().map(|(name, _)| spaces.get(name.as_str())).collect::<Result<Vec<_>>>()?;
    let late = Netns::run_each(namespaces, |at| {
        let (name, node) = with[at];
        let failed = node.sysctls.iter().filter(|(key, value)| sysctl::write_here(key, value).is_err());
        (*name, *node, failed.map(|(key, value)| (key.as_str(), value.as_str())).collect::<BTreeMap<_, _>>())
    })?;
    Ok(late.into_iter().filter(|(_, _, failed)| !failed.is_empty()).collect())
}

/// Writes settings; what cannot be written is an error unless nobody asked for it in the file.
pub(crate) fn write_sysctls(late: &Late<'_>, spaces: &Spaces, errors: &mut Vec<Error>) {
    for (name, node, settings) in late {
        let Ok(netns) = spaces.get(name.as_str()) else {
            continue;
        };
        for (key, value) in settings {
            if let Err(error) = sysctl::write(netns, [(*key, *value)])
                && !node.optional_sysctls.contains(*key)
            {
                errors.push(Error::step(name.to_string(), error));
            }
        }
    }
}
