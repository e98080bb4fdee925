//! Routes in the kernel's main table, read over netlink; next hops told by the node that has the address.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use netloom_api::test::{PrefixSet, RouteExpect};
use netloom_api::values::NodeName;
use netloom_kernel::rtnl::{Link, NextHop, Route};
use netloom_plan::desired::Plan;

use super::{Check, Context, Looked};
use crate::observe::{self, MAIN_TABLE, protocol_name, route_text};
use crate::resolve;
use crate::verdict::Cause;

/// `RTNH_F_DEAD` of linux/rtnetlink.h: the next hop is not used.
const DEAD: u8 = 1;

pub(super) fn look(expect: &RouteExpect, context: &Context<'_>) -> Looked {
    let plan = context.world.plan();
    let mut check = Check::default();
    for node in resolve::nodes(plan, &expect.node)? {
        let mut rtnl = observe::rtnl(context.world, node)?;
        let links = rtnl.links_without_stats()?;
        let mut routes: HashMap<IpNet, Vec<Route>> = HashMap::new();
        for route in rtnl.routes()?.into_iter().filter(|r| r.table == MAIN_TABLE) {
            routes.entry(route.destination).or_default().push(route);
        }
        for prefix in prefixes(plan, node, &expect.prefix) {
            let found = routes.get(&prefix).map(Vec::as_slice).unwrap_or_default();
            let cause = judge(expect, prefix, node, found, &links, context);
            check.judge(format!("{node} {prefix}"), wanted(expect), cause);
        }
    }
    Ok(check)
}

fn wanted(expect: &RouteExpect) -> String {
    if expect.absent {
        return "no route".into();
    }
    let hops =
        if expect.nexthops.is_empty() { String::new() } else { format!(" via {}", expect.nexthops.join(" and ")) };
    let by = expect.protocol.as_ref().map_or(String::new(), |p| format!(" by {p}"));
    format!("a route{hops}{by}")
}

/// What a prefix set means for one node.
fn prefixes(plan: &Plan, node: &NodeName, set: &PrefixSet) -> Vec<IpNet> {
    let mut found = BTreeSet::new();
    match set {
        PrefixSet::One(net) => {
            found.insert(net.trunc());
        }
        PrefixSet::Loopbacks => {
            let others = plan.nodes.iter().filter(|(n, _)| *n != node);
            found.extend(others.flat_map(|(_, p)| &p.loopback).map(IpNet::trunc));
        }
        PrefixSet::Subnets => {
            let ends = plan.links.iter().flat_map(|l| &l.ends);
            found.extend(ends.flat_map(|e| &e.addresses).map(IpNet::trunc));
        }
    }
    found.into_iter().collect()
}

/// `routes` are those to exactly this prefix.
fn judge(
    expect: &RouteExpect,
    prefix: IpNet,
    node: &NodeName,
    routes: &[Route],
    links: &[Link],
    context: &Context<'_>,
) -> Cause {
    let mut found: Vec<&Route> = routes.iter().collect();
    found.sort_by_key(|r| r.metric);
    let text = |r: &Route| route_text(r, links);
    if expect.absent {
        return match found.first() {
            None => Cause::Ok,
            Some(r) => Cause::Present { detail: format!("there is a route: {}", text(r)) },
        };
    }
    // IPv6 keeps the next hops of one route as one entry each in some kernels' dumps; those of the best metric belong together.
    let Some(best) = found.first() else {
        return Cause::Absent { detail: format!("{node} has no route {prefix}") };
    };
    let together: Vec<&&Route> = found.iter().filter(|r| r.metric == best.metric).collect();
    if let Some(protocol) = &expect.protocol
        && !together.iter().any(|r| is_protocol(r.protocol, protocol))
    {
        return Cause::Mismatch {
            detail: format!("the route is by {}, not by {protocol}: {}", protocol_name(best.protocol), text(best)),
        };
    }
    let hops: Vec<&NextHop> = together.iter().flat_map(|r| &r.next_hops).filter(|h| h.flags & DEAD == 0).collect();
    if hops.is_empty() && together.iter().any(|r| !r.next_hops.is_empty()) {
        return Cause::Absent { detail: format!("every next hop of the route is dead: {}", text(best)) };
    }
    if expect.nexthops.is_empty() {
        return Cause::Ok;
    }
    let names: Vec<(Option<IpAddr>, Option<NodeName>)> = hops.iter().map(|h| who(h, node, links, context)).collect();
    let is = |want: &String, (address, name): &(Option<IpAddr>, Option<NodeName>)| {
        name.as_ref().is_some_and(|n| n.as_str() == want) || address.is_some_and(|a| want.parse() == Ok(a))
    };
    let missing: Vec<&String> = expect.nexthops.iter().filter(|w| !names.iter().any(|n| is(w, n))).collect();
    let extra: Vec<String> = names.iter().filter(|n| !expect.nexthops.iter().any(|w| is(w, n))).map(say).collect();
    if missing.is_empty() && extra.is_empty() {
        return Cause::Ok;
    }
    let list = |l: &[String]| l.join(", ");
    let mut detail = format!("next hops are {}", list(&names.iter().map(say).collect::<Vec<_>>()));
    if !missing.is_empty() {
        detail += &format!("; missing {}", missing.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", "));
    }
    if !extra.is_empty() {
        detail += &format!("; not asked for {}", list(&extra));
    }
    Cause::Mismatch { detail }
}

/// What the file calls `static` may have been put there by FRR, by a person or by netloom for the file's own `routes`.
fn is_protocol(protocol: u8, wanted: &str) -> bool {
    let name = protocol_name(protocol);
    name == wanted || (wanted == "static" && name == "netloom") || protocol.to_string() == wanted
}

fn say((address, name): &(Option<IpAddr>, Option<NodeName>)) -> String {
    match (name, address) {
        (Some(n), Some(a)) => format!("{n} ({a})"),
        (Some(n), None) => n.to_string(),
        (None, Some(a)) => a.to_string(),
        (None, None) => "directly connected".into(),
    }
}

/// Address and node of a next hop. Link-local gateways, and links without any, mean the node at the other end of the link.
fn who(hop: &NextHop, node: &NodeName, links: &[Link], context: &Context<'_>) -> (Option<IpAddr>, Option<NodeName>) {
    let by_address = hop.gateway.and_then(|g| context.owners.get(g)).cloned();
    let by_link = || {
        let name = &links.iter().find(|l| l.index == hop.index)?.name;
        peer(context.world.plan(), node, name)
    };
    (hop.gateway, by_address.or_else(by_link))
}

/// The node at the other end of an interface.
pub(super) fn peer(plan: &Plan, node: &NodeName, interface: &str) -> Option<NodeName> {
    plan.links.iter().find_map(|l| {
        let [a, b] = &l.ends;
        let is = |e: &netloom_plan::desired::EndPlan| e.node == *node && e.interface.as_str() == interface;
        if is(a) {
            Some(b.node.clone())
        } else if is(b) {
            Some(a.node.clone())
        } else {
            None
        }
    })
}
