//! One namespace: what it must hold, compared with what it holds.
//!
//! Only what bears our mark is compared: links with our alias, addresses and routes with our protocol number. What a user or
//! FRR added stays.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use netloom_api::node::NodeKind;
use netloom_api::values::{EndRef, NodeName};
use netloom_kernel::mac::MacAddr;
use netloom_kernel::netlink::Failure;
use netloom_kernel::rtnl::{
    Address, AddressSpec, Batch, BridgePort, Link, LinkChange, NextHop, PROTOCOL, Route, RouteKind, RouteSpec, Rtnl,
    TABLE_MAIN,
};
use netloom_plan::desired::{BRIDGE_IFINDEX, EndPlan, MANAGEMENT_IFINDEX, NodePlan, RoutePlan};
use netloom_plan::diff::{Action, Change, Subject};

use crate::error::Result;
use crate::snapshot;
use crate::topology::{End, Topology};

/// Metric the kernel gives an IPv6 route without one (`IP6_RT_PRIO_USER`).
const METRIC6: u32 = 1024;

/// Metric of the default route through the management network.
const UPLINK_METRIC: u32 = 32_000;

/// What one namespace must hold.
#[derive(Debug)]
pub(crate) struct Want<'a> {
    pub(crate) name: &'a NodeName,
    pub(crate) node: &'a NodePlan,
    pub(crate) ends: &'a [End<'a>],
    pub(crate) alias: &'a str,
    /// Addresses of `mgmt0`, where there is one.
    pub(crate) management: Vec<IpNet>,
    /// Where `mgmt0` leads to the world.
    pub(crate) uplink: Vec<IpAddr>,
    /// Ends that shall stay down whatever the plan says.
    pub(crate) down: Vec<&'a EndRef>,
    /// An end that shall be up whatever the plan says.
    pub(crate) up: Option<&'a EndRef>,
}

impl<'a> Want<'a> {
    pub(crate) fn new(topology: &'a Topology<'a>, name: &'a NodeName, node: &'a NodePlan) -> Want<'a> {
        let management = topology.plan.management.as_ref().and_then(|m| m.nodes.get(name));
        let management =
            management.into_iter().flat_map(|a| [a.v4.map(IpNet::V4), a.v6.map(IpNet::V6)].into_iter().flatten());
        let uplink = match &topology.plan.management {
            Some(plan) if plan.uplink && plan.nodes.contains_key(name) => {
                [Some(IpAddr::V4(plan.gateway)), plan.gateway6.map(IpAddr::V6)].into_iter().flatten().collect()
            }
            _ => Vec::new(),
        };
        Want {
            name,
            node,
            ends: topology.ends(name.as_str()),
            alias: &topology.alias,
            management: management.collect(),
            uplink,
            down: Vec::new(),
            up: None,
        }
    }

    fn is_up(&self, end: &EndPlan) -> bool {
        let same = |other: &EndRef| other.node == end.node && other.interface == end.interface;
        self.up.is_some_and(same) || (end.up && !self.down.iter().any(|down| same(down)))
    }
}

/// What a namespace holds.
#[derive(Debug, Default)]
pub(crate) struct Have {
    pub(crate) links: Vec<Link>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) routes: Vec<Route>,
    /// Just made: links are down and without alias but else right, nothing was dumped.
    pub(crate) fresh: bool,
}

impl Have {
    /// A namespace just made.
    pub(crate) fn fresh() -> Have {
        Have { fresh: true, ..Have::default() }
    }

    pub(crate) fn observe(rtnl: &mut Rtnl) -> Result<Have> {
        Ok(Have {
            links: rtnl.links_without_stats()?,
            addresses: rtnl.addresses()?,
            routes: rtnl.routes()?,
            fresh: false,
        })
    }

    pub(crate) fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }
}

/// Puts into `batch` what makes `have` into `want`, and tells it in `changes`. Links must exist already.
pub(crate) fn settle(want: &Want<'_>, have: &Have, batch: &mut Batch, changes: &mut Vec<Change>) {
    let lo_up = have.link(1).is_some_and(|lo| lo.up);
    if !lo_up {
        batch.link_up(1);
        if !have.fresh {
            changes.push(change(Action::Change, Subject::Loopback(want.name.clone()), "up"));
        }
    }
    if want.node.kind == NodeKind::Lan {
        settle_bridge(want, have, batch, changes);
        return;
    }
    let subject = Subject::Loopback(want.name.clone());
    settle_addresses(1, &want.node.loopback, have, batch, changes, &subject);
    // Addresses first go, then come: one may move from an interface to another.
    for end in want.ends {
        settle_link(want, end, have, batch, changes);
    }
    for end in want.ends {
        let subject = Subject::End(end.this.end());
        settle_addresses(end.this.ifindex, &end.this.addresses, have, batch, changes, &subject);
    }
    if !want.management.is_empty() {
        let gone = have.link(MANAGEMENT_IFINDEX).is_some_and(|link| !link.up) || have.fresh;
        if gone {
            let change = LinkChange { up: Some(true), alias: Some(want.alias), ..LinkChange::default() };
            batch.set_link(MANAGEMENT_IFINDEX, &change);
        }
        let subject = Subject::Management;
        settle_addresses(MANAGEMENT_IFINDEX, &want.management, have, batch, changes, &subject);
    }
    settle_routes(want, have, batch, changes);
}

fn change(action: Action, subject: Subject, detail: impl Into<String>) -> Change {
    Change { action, subject, detail: detail.into() }
}

/// State, alias, MTU and MAC of one end.
fn settle_link(want: &Want<'_>, end: &End<'_>, have: &Have, batch: &mut Batch, changes: &mut Vec<Change>) {
    let (plan, up) = (end.this, want.is_up(end.this));
    let Some(link) = have.link(plan.ifindex) else {
        // Made a moment ago: name, index, MAC and MTU are as planned.
        let change = LinkChange { up: up.then_some(true), alias: Some(want.alias), ..LinkChange::default() };
        batch.set_link(plan.ifindex, &change);
        return;
    };
    let mut set = LinkChange::default();
    let mut detail = Vec::new();
    let mac = MacAddr(plan.mac.0);
    if link.mac != Some(mac) && !end.moved {
        set.mac = Some(mac);
        detail.push(format!("mac {} → {mac}", link.mac.unwrap_or_default()));
    }
    if link.mtu != end.link.mtu {
        set.mtu = Some(end.link.mtu);
        detail.push(format!("mtu {} → {}", link.mtu, end.link.mtu));
    }
    if link.up != up {
        set.up = Some(up);
        detail.push(if up { "down → up".into() } else { "up → down".into() });
    }
    if link.alias.as_deref() != Some(want.alias) {
        set.alias = Some(want.alias);
    }
    if link.name != plan.interface.as_str() {
        set.name = Some(plan.interface.as_str());
        detail.push(format!("name {} → {}", link.name, plan.interface));
    }
    if detail.is_empty() && set.alias.is_none() {
        return;
    }
    batch.set_link(plan.ifindex, &set);
    if !detail.is_empty() {
        changes.push(change(Action::Change, Subject::End(plan.end()), detail.join(", ")));
    }
}

/// A `lan`: a bridge, and ports that let everything through.
fn settle_bridge(want: &Want<'_>, have: &Have, batch: &mut Batch, changes: &mut Vec<Change>) {
    let bridge = have.link(BRIDGE_IFINDEX);
    if !bridge.is_some_and(|bridge| bridge.up) {
        let up = LinkChange { up: Some(true), alias: Some(want.alias), ..LinkChange::default() };
        batch.set_link(BRIDGE_IFINDEX, &up);
    }
    for end in want.ends {
        let port = have.link(end.this.ifindex);
        settle_link(want, end, have, batch, changes);
        if port.is_none_or(|port| port.master != Some(BRIDGE_IFINDEX)) {
            let master = LinkChange { master: Some(BRIDGE_IFINDEX), ..LinkChange::default() };
            batch.set_link(end.this.ifindex, &master);
        }
        if port.is_none_or(|port| port.group_fwd_mask != Some(BridgePort::FORWARD_ALL)) {
            let all = BridgePort { group_fwd_mask: Some(BridgePort::FORWARD_ALL), ..BridgePort::default() };
            batch.set_bridge_port(end.this.ifindex, &all);
        }
    }
}

fn settle_addresses(
    index: u32,
    wanted: &[IpNet],
    have: &Have,
    batch: &mut Batch,
    changes: &mut Vec<Change>,
    subject: &Subject,
) {
    let ours = |address: &&Address| address.index == index && address.protocol == PROTOCOL;
    let mut detail = Vec::new();
    for old in have.addresses.iter().filter(ours) {
        if !wanted.contains(&old.address) {
            batch.delete_address(&old.to_spec());
            detail.push(format!("−{}", old.address));
        }
    }
    for address in wanted {
        let there = have.addresses.iter().any(|old| old.index == index && old.address == *address);
        if !there {
            batch.add_address(&AddressSpec::new(index, *address));
            detail.push(format!("+{address}"));
        }
    }
    if !detail.is_empty() && !have.fresh {
        changes.push(change(Action::Change, subject.clone(), format!("address {}", detail.join(" "))));
    }
}

fn settle_routes(want: &Want<'_>, have: &Have, batch: &mut Batch, changes: &mut Vec<Change>) {
    let mut wanted: Vec<RouteSpec> = want.node.routes.iter().filter_map(|route| route_spec(want, route)).collect();
    for gateway in &want.uplink {
        // Last of all: any default route of the lab's own comes first.
        let all = match gateway {
            IpAddr::V4(_) => IpNet::V4(ipnet::Ipv4Net::default()),
            IpAddr::V6(_) => IpNet::V6(ipnet::Ipv6Net::default()),
        };
        let mut spec = RouteSpec::new(all, vec![NextHop::via(*gateway)]);
        spec.metric = Some(UPLINK_METRIC);
        wanted.push(spec);
    }
    let ours = |route: &&Route| route.protocol == PROTOCOL && route.table == TABLE_MAIN;
    let mut detail = Vec::new();
    for old in have.routes.iter().filter(ours) {
        if !wanted.iter().any(|new| same_route(new, old)) {
            batch.delete_route(&old.to_spec());
            detail.push(format!("−{}", old.destination));
        }
    }
    for new in &wanted {
        if !have.routes.iter().filter(ours).any(|old| same_route(new, old)) {
            batch.add_route(new);
            detail.push(format!("+{}", new.destination));
        }
    }
    if !detail.is_empty() && !have.fresh {
        changes.push(change(Action::Change, Subject::Routes(want.name.clone()), detail.join(" ")));
    }
}

fn same_route(new: &RouteSpec, old: &Route) -> bool {
    let metric = new.metric.unwrap_or(if new.destination.addr().is_ipv6() { METRIC6 } else { 0 });
    let hops = match (new.next_hops.as_slice(), old.next_hops.as_slice()) {
        // IPv6 shows a dropping route as one through `lo`.
        ([], _) => true,
        ([a], [b]) => a.gateway == b.gateway && (a.index == 0 || a.index == b.index),
        _ => false,
    };
    new.destination == old.destination && new.kind == old.kind && metric == old.metric && hops
}

/// A route as the kernel takes it; `None` while the interface it needs is down.
fn route_spec(want: &Want<'_>, route: &RoutePlan) -> Option<RouteSpec> {
    let to = route.to.trunc();
    let by_name = |name: &str| want.ends.iter().find(|end| end.this.interface.as_str() == name);
    let mut spec = if route.blackhole {
        RouteSpec::blackhole(to)
    } else {
        let end = match (&route.dev, route.via) {
            (Some(dev), _) => by_name(dev.as_str()),
            (None, Some(via)) => want.ends.iter().find(|end| reaches(end.this, via)),
            (None, None) => None,
        };
        if end.is_some_and(|end| !want.is_up(end.this)) {
            return None;
        }
        let index = match (&route.dev, end) {
            (Some(_), Some(end)) => end.this.ifindex,
            _ => 0,
        };
        RouteSpec::new(to, vec![NextHop { index, ..hop(route.via) }])
    };
    spec.metric = route.metric;
    if matches!(spec.kind, RouteKind::Blackhole) {
        spec.next_hops.clear();
    }
    Some(spec)
}

fn hop(via: Option<IpAddr>) -> NextHop {
    via.map_or_else(|| NextHop::dev(0), NextHop::via)
}

fn reaches(end: &EndPlan, via: IpAddr) -> bool {
    end.addresses.iter().any(|net| net.contains(&via))
}

/// `EADDRINUSE`: a macvlan of a lab that has just ended still has this MAC; the kernel takes it away in a moment.
const IN_USE: i32 = 98;
/// How long that moment may be.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often what the kernel dropped by itself is brought back.
const ROUNDS: u32 = 3;

/// Makes `have` into `want`. Returns every request the kernel refused that is still needed.
///
/// The kernel drops more than it is asked to: with an interface's last address every route through it, with a primary address
/// the secondary ones. So it is looked at again what is there, until nothing is missing; a user's come back too.
pub(crate) fn make(want: &Want<'_>, have: &Have, rtnl: &mut Rtnl) -> Result<Vec<Failure>> {
    let mut batch = Batch::new();
    settle(want, have, &mut batch, &mut Vec::new());
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let mut failures = rtnl.apply_all(batch)?;
    let deadline = Instant::now() + PATIENCE;
    for round in 1.. {
        let waits = failures.iter().any(|failure| failure.error.errno() == Some(IN_USE)) && Instant::now() < deadline;
        if !waits && (have.fresh || round > ROUNDS) {
            break;
        }
        if waits {
            std::thread::sleep(Duration::from_millis(10));
        }
        let now = Have::observe(rtnl)?;
        let mut batch = Batch::new();
        settle(want, &now, &mut batch, &mut Vec::new());
        if batch.is_empty() {
            failures.clear();
            bring_back(have, now, rtnl)?;
            break;
        }
        failures = rtnl.apply_all(batch)?;
    }
    Ok(failures)
}

/// Brings back addresses and routes of others that were in `before`. What the kernel refuses cannot be any more.
fn bring_back(before: &Have, mut now: Have, rtnl: &mut Rtnl) -> Result<()> {
    let mut batch = Batch::new();
    snapshot::lost_addresses(before, &now).for_each(|address| batch.add_address(&address.to_spec()));
    if !batch.is_empty() {
        rtnl.apply_all(batch)?;
        now = Have::observe(rtnl)?;
    }
    let mut batch = Batch::new();
    snapshot::lost_routes(before, &now).for_each(|route| batch.add_route(&route.to_spec()));
    if !batch.is_empty() {
        rtnl.apply_all(batch)?;
    }
    Ok(())
}
