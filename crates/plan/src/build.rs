//! The plan itself, put together.

use indexmap::IndexMap;
use netloom_api::lab::{DEFAULT_MTU, Lab};
use netloom_api::link::{Impair, Link};
use netloom_api::node::NodeKind;
use netloom_api::values::LabName;

use crate::allocate::{Allocated, allocate};
use crate::desired::{AclPlan, Allocation, EndPlan, LinkPlan, Plan};
use crate::error::PlanError;
use crate::facts::Facts;
use crate::names::mac;
use crate::routing::bgp;
use crate::template::Renderer;
use crate::topology::Topology;
use crate::view::View;
use crate::{fabric, management, nodes};

/// What one host must hold for an instance of a lab.
///
/// `lab` is canonical and valid. `previous` is what the last plan handed out: an identity (a node's name, a link's two ends) keeps
/// what it holds there. The same arguments always give the same plan.
///
/// # Errors
/// Everything that keeps the lab from being planned: pools that are exhausted, templates that do not render, FRR that is missing,
/// configuration lines no daemon takes.
pub fn plan(
    lab: &Lab,
    instance: &LabName,
    previous: Option<&Allocation>,
    facts: &Facts,
) -> Result<Plan, Vec<PlanError>> {
    let mut errors = Vec::new();
    let nothing = Allocation::default();
    let previous = previous.unwrap_or(&nothing);
    let topology = Topology::new(lab);
    let mut allocated = allocate(&topology, previous, &mut errors);
    let management = management::plan(lab, previous, &mut allocated.allocation, &mut errors);
    let mut links: Vec<LinkPlan> =
        (0..lab.spec.links.len()).map(|l| link(&topology, &allocated, instance, l)).collect();
    let fabric = fabric::plan(lab, previous, &mut links, &mut allocated.allocation, &mut errors);
    let view = View { t: &topology, a: &allocated };
    let systems = bgp::systems(lab);
    let mut renderer = Renderer::new(&view, &links, instance.as_str());
    let mut planned = IndexMap::with_capacity(lab.spec.nodes.len());
    for (name, node) in &lab.spec.nodes {
        let node = nodes::plan(&view, &systems, &mut renderer, facts, (name, node), &mut errors);
        planned.insert(name.clone(), node);
    }
    let hosts_file = management::hosts_file(&view, &allocated.allocation);
    drop(renderer);
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Plan {
        instance: instance.clone(),
        lab: lab.clone(),
        nodes: planned,
        links,
        management,
        fabric,
        allocation: allocated.allocation,
        hosts_file,
    })
}

fn link(t: &Topology<'_>, allocated: &Allocated, instance: &LabName, l: usize) -> LinkPlan {
    let link: &Link = &t.lab.spec.links[l];
    let outside = t.segment(l).outside;
    let ends = [0, 1].map(|e| {
        let endpoint = &link.endpoints[e];
        let end = endpoint.end();
        let meets_others = outside.then_some(instance);
        let both = link.impair.clone().unwrap_or_default();
        let impair = endpoint.impair.as_ref().map_or(both.clone(), |own| own.over(&both));
        let on_host = t.node(&endpoint.node).kind == NodeKind::Host;
        EndPlan {
            node: endpoint.node.clone(),
            interface: endpoint.interface.clone(),
            ifindex: if on_host { 0 } else { allocated.allocation.ifindexes.get(&end).copied().unwrap_or(0) },
            mac: endpoint.mac.unwrap_or_else(|| mac(&t.lab.metadata.name, meets_others, &end)),
            addresses: allocated.ends[l][e].clone(),
            up: endpoint.up,
            impair: Some(impair).filter(|i| !Impair::is_none(i)),
            acl: endpoint.acl.as_ref().map(|a| AclPlan {
                ingress: a.ingress.clone(),
                egress: a.egress.clone(),
                stateful: a.stateful,
            }),
        }
    });
    LinkPlan { id: link.id(), mtu: link.mtu.unwrap_or(DEFAULT_MTU), ends, stitch: None }
}
