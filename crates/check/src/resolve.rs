//! From what a test names to nodes and addresses, by the plan alone.

use std::collections::HashMap;
use std::net::IpAddr;

use netloom_api::node::NodeKind;
use netloom_api::test::{Selector, Target};
use netloom_api::values::NodeName;
use netloom_plan::desired::Plan;

use crate::error::{Error, Result};
use crate::verdict::Cause;

/// Nodes a selector names that have a namespace with addresses of their own (segments and host interfaces have none).
///
/// # Errors
/// [`Error::Nothing`] when there is no such node.
pub fn nodes<'p>(plan: &'p Plan, selector: &Selector) -> Result<Vec<&'p NodeName>> {
    let found: Vec<&NodeName> = selector
        .select(&plan.lab.spec.nodes)
        .into_iter()
        .filter_map(|n| plan.nodes.get_key_value(n))
        .filter(|(_, p)| matches!(p.kind, NodeKind::Linux | NodeKind::Frr))
        .map(|(n, _)| n)
        .collect();
    if found.is_empty() {
        return Err(Error::Nothing { what: format!("the selector {:?}", selector.to_string()), known: known(plan) });
    }
    Ok(found)
}

/// The node of that name, as the plan spells it.
///
/// # Errors
/// [`Error::Nothing`].
pub fn node<'p>(plan: &'p Plan, name: &NodeName) -> Result<&'p NodeName> {
    plan.nodes
        .get_key_value(name)
        .map(|(n, _)| n)
        .ok_or_else(|| Error::Nothing { what: format!("the node {:?}", name.as_str()), known: known(plan) })
}

fn known(plan: &Plan) -> String {
    let names: Vec<&str> = plan.nodes.keys().map(NodeName::as_str).collect();
    match names.len() {
        0 => "no nodes".into(),
        1..=12 => names.join(", "),
        n => format!("{} and {} more", names[..12].join(", "), n - 12),
    }
}

/// Every address of a node in the lab's own network: loopbacks first, then links in the order of the plan. Link-local ones are left
/// out, they reach only one link.
pub fn addresses(plan: &Plan, node: &NodeName) -> Vec<IpAddr> {
    let loopback = plan.nodes.get(node).into_iter().flat_map(|n| &n.loopback);
    let ends = plan.links.iter().flat_map(|l| &l.ends).filter(|e| e.node == *node).flat_map(|e| &e.addresses);
    loopback.chain(ends).map(|net| net.addr()).filter(|a| !is_link_local(*a)).collect()
}

fn is_link_local(a: IpAddr) -> bool {
    match a {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

/// The address by which others know a node: its first loopback of the family, else the first of its links.
pub fn primary(plan: &Plan, node: &NodeName, v6: bool) -> Option<IpAddr> {
    addresses(plan, node).into_iter().find(|a| a.is_ipv6() == v6)
}

/// What a node says it is when it speaks to another node: its loopback, if it has one of the family (the subnets of links between routers
/// need not be known everywhere); else the kernel chooses.
pub fn source(plan: &Plan, node: &NodeName, v6: bool) -> Option<IpAddr> {
    let loopback = plan.nodes.get(node).into_iter().flat_map(|n| &n.loopback);
    loopback.map(|net| net.addr()).find(|a| a.is_ipv6() == v6 && !is_link_local(*a))
}

/// The node that has an address, unless several have it.
pub fn only_owner(plan: &Plan, address: IpAddr) -> Option<NodeName> {
    let mut owners = plan.nodes.keys().filter(|n| addresses(plan, n).contains(&address));
    owners.next().filter(|_| owners.next().is_none()).cloned()
}

/// Which node has an address.
#[derive(Debug, Clone, Default)]
pub struct Owners(HashMap<IpAddr, NodeName>);

impl Owners {
    /// By the plan.
    pub fn of(plan: &Plan) -> Owners {
        let mut map = HashMap::new();
        for node in plan.nodes.keys() {
            for address in addresses(plan, node) {
                map.entry(address).or_insert_with(|| node.clone());
            }
        }
        Owners(map)
    }

    /// The node that has the address.
    pub fn get(&self, address: IpAddr) -> Option<&NodeName> {
        self.0.get(&address)
    }

    /// A cause in which the address that spoke is told with its node.
    pub fn name_cause(&self, cause: Cause) -> Cause {
        let name = |at: String| at.parse().map_or(at, |a| self.describe(a));
        match cause {
            Cause::NoRoute { at } => Cause::NoRoute { at: name(at) },
            Cause::HostUnreachable { at } => Cause::HostUnreachable { at: name(at) },
            other => other,
        }
    }

    /// `leaf1 (10.0.0.1)`, or the address alone.
    pub fn describe(&self, address: IpAddr) -> String {
        self.get(address).map_or_else(|| address.to_string(), |n| format!("{n} ({address})"))
    }
}

/// Where probes of a test go: an address, and the node that has it when the test named the node (only there netloom may listen itself).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The node, when the test named it.
    pub node: Option<NodeName>,
    /// Its address; `None` when it has none of the family.
    pub address: Option<IpAddr>,
}

/// The destinations of a target, one for each node it names.
///
/// # Errors
/// [`Error::Nothing`].
pub fn destinations(plan: &Plan, target: &Target, v6: bool) -> Result<Vec<Destination>> {
    Ok(match target {
        Target::Address(a) => vec![Destination { node: None, address: (a.is_ipv6() == v6).then_some(*a) }],
        Target::Nodes(s) => nodes(plan, s)?
            .into_iter()
            .map(|n| Destination { node: Some(n.clone()), address: primary(plan, n, v6) })
            .collect(),
    })
}

/// One destination for tests that measure between two points: the single node (or address) of `target`, in the family asked for, else in the
/// first that both ends have, IPv4 before IPv6.
///
/// # Errors
/// [`Error::Nothing`], or [`Error::Invalid`] when the target is several nodes or there is no common family.
pub fn single(plan: &Plan, from: &NodeName, target: &Target, af: Option<u8>) -> Result<(IpAddr, Option<NodeName>)> {
    let families: &[bool] = match af {
        Some(6) => &[true],
        Some(_) => &[false],
        None => &[false, true],
    };
    for v6 in families {
        let mut all = destinations(plan, target, *v6)?;
        if all.len() > 1 {
            return Err(Error::Invalid(format!("{target} names {} nodes; this needs exactly one", all.len())));
        }
        let Some(one) = all.pop() else { continue };
        let Some(address) = one.address else { continue };
        if one.node.is_none() || primary(plan, from, *v6).is_some() {
            return Ok((address, one.node));
        }
    }
    let family = af.map_or("address family in common".to_string(), |af| format!("IPv{af} addresses both"));
    Err(Error::Invalid(format!("{from} and {target} have no {family}")))
}
