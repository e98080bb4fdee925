//! Which way a packet would take through a lab, and which rule on which link decides. Nothing is sent.
//!
//! Routes are the kernels' own answers, node by node. Where a link crosses switches, the switches say what they would do; the lists that a
//! node applies itself are read from the plan.

use std::net::IpAddr;

use netloom_api::link::AclAction;
use netloom_api::node::NodeKind;
use netloom_api::test::{Proto, Target};
use netloom_api::values::{EndRef, HostName, NodeName};
use netloom_engine::{Direction, Lab, Packet, Ruling};
use netloom_kernel::rtnl::{RouteKind, Rtnl};
use netloom_plan::desired::{EndPlan, LinkPlan, Plan};
use serde::Serialize;

use crate::error::Result;
use crate::expect::acl::speaks_of;
use crate::resolve;

/// A packet has been everywhere by then.
const HOPS: usize = 64;
/// Where a connection comes from: one of the ports that no service has (RFC 6335 §6).
const EPHEMERAL: u16 = 50_000;

/// The way of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub from: NodeName,
    pub source: IpAddr,
    pub target: IpAddr,
    pub hops: Vec<Hop>,
    pub outcome: Outcome,
}

/// From one node to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hop {
    /// The end it leaves by.
    pub from: EndRef,
    /// The end it arrives at, or would.
    pub to: EndRef,
    /// Links it crosses: two on a segment.
    pub links: Vec<String>,
    /// The rules that matched it, in the order it met them.
    pub rulings: Vec<Ruling>,
    /// Who says so: `switch`, or `node`.
    pub by: &'static str,
    /// The switches' own words, by host.
    pub traces: Vec<(HostName, String)>,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum Outcome {
    /// It arrives at this node.
    Arrives { node: NodeName },
    /// A rule stops it.
    Denied { link: String, ruling: Ruling },
    /// A node knows no way on.
    NoRoute { node: NodeName, why: String },
    /// The interface it should leave by has no carrier or is down.
    Down { end: EndRef },
    /// A switch does not pass it on, and no rule of the lab says so.
    Lost { link: String },
    /// It leaves the lab here.
    Leaves { node: NodeName, interface: String },
    /// It goes round in a circle.
    Loop { node: NodeName },
}

impl Outcome {
    /// It gets where it was to go.
    pub fn is_good(&self) -> bool {
        matches!(self, Outcome::Arrives { .. } | Outcome::Leaves { .. })
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Arrives { node } => write!(f, "arrives at {node}"),
            Outcome::Denied { link, ruling } => write!(f, "denied on link {link} by {}", words(ruling)),
            Outcome::NoRoute { node, why } => write!(f, "no route at {node}: {why}"),
            Outcome::Down { end } => write!(f, "{end} is down or has no carrier"),
            Outcome::Lost { link } => {
                write!(f, "lost on link {link}: a switch does not pass it on (`netloom apply` repairs it)")
            }
            Outcome::Leaves { node, interface } => write!(f, "leaves the lab at {node} by {interface}"),
            Outcome::Loop { node } => write!(f, "goes round in a circle, at {node} again"),
        }
    }
}

/// `fw:outside out, rule 6: deny any`
pub fn words(ruling: &Ruling) -> String {
    let way = if ruling.direction == Direction::In { "in" } else { "out" };
    match ruling.index {
        Some(index) => format!("{} {way}, rule {}: {}", ruling.end, index + 1, ruling.rule),
        None => format!("{} {way}, {}", ruling.end, ruling.rule),
    }
}

/// The way of a packet from a node to a target, and, when it arrives at a node, that of its answer.
///
/// # Errors
/// When the target is several nodes or has no address of the packet's family; when a node or a switch does not answer.
pub fn explain(lab: &Lab, from: &NodeName, to: &Target, proto: Proto) -> Result<(Explanation, Option<Explanation>)> {
    let plan = lab.plan();
    let af = match proto {
        Proto::Icmp => Some(4),
        Proto::Icmp6 => Some(6),
        Proto::Tcp(_) | Proto::Udp(_) => None,
    };
    let from = resolve::node(plan, from)?;
    let (target, _) = resolve::single(plan, from, to, af)?;
    let (protocol, port) = match proto {
        Proto::Icmp => (1, 0),
        Proto::Icmp6 => (58, 0),
        Proto::Tcp(port) => (6, port),
        Proto::Udp(port) => (17, port),
    };
    let source_port = if port == 0 { 0 } else { EPHEMERAL };
    let source = resolve::source(plan, from, target.is_ipv6());
    let packet = |source| Packet { protocol, source, target, source_port, target_port: port, reply: false };
    let there = follow(lab, from, source, target, &packet)?;
    let Outcome::Arrives { node } = &there.outcome else { return Ok((there, None)) };
    let source = there.source;
    let answer = |from| Packet {
        protocol,
        source: from,
        target: source,
        source_port: port,
        target_port: source_port,
        reply: true,
    };
    let back = follow(lab, node, Some(target), source, &answer)?;
    Ok((there, Some(back)))
}

/// Where a packet is.
struct Place<'p> {
    node: &'p NodeName,
    /// The end it came in by.
    entered: Option<&'p EndPlan>,
}

fn follow(
    lab: &Lab,
    from: &NodeName,
    source: Option<IpAddr>,
    target: IpAddr,
    packet: &dyn Fn(IpAddr) -> Packet,
) -> Result<Explanation> {
    let plan = lab.plan();
    let mut place = Place { node: resolve::node(plan, from)?, entered: None };
    let unspecified: IpAddr = if target.is_ipv6() { [0_u16; 8].into() } else { [0_u8; 4].into() };
    let mut way = Explanation {
        from: from.clone(),
        source: source.unwrap_or(unspecified),
        target,
        hops: Vec::new(),
        outcome: Outcome::Loop { node: from.clone() },
    };
    for _ in 0..HOPS {
        let mut rtnl = Rtnl::open_in(&lab.netns(place.node.as_str())?)?;
        let entered = place.entered.map(|end| (way.source, end.ifindex));
        let route = match rtnl.route_to(target, entered) {
            Ok(route) => route,
            Err(error) => {
                way.outcome = Outcome::NoRoute { node: place.node.clone(), why: why(&error, entered.is_some()) };
                return Ok(way);
            }
        };
        if route.kind == RouteKind::Local {
            way.outcome = Outcome::Arrives { node: place.node.clone() };
            return Ok(way);
        }
        if way.source.is_unspecified() {
            way.source = route.source.unwrap_or(way.source);
        }
        let Some(hop) = route.next_hops.first() else {
            let why = format!("the route to {} drops it", route.destination);
            way.outcome = Outcome::NoRoute { node: place.node.clone(), why };
            return Ok(way);
        };
        let next = hop.gateway.unwrap_or(target);
        let found = plan.links.iter().find_map(|link| {
            let at = link.ends.iter().position(|end| end.node == *place.node && end.ifindex == hop.index)?;
            Some((link, at))
        });
        let Some((link, at)) = found else {
            let interface = rtnl.link(hop.index).map_or_else(|_| hop.index.to_string(), |link| link.name);
            way.outcome = Outcome::Leaves { node: place.node.clone(), interface };
            return Ok(way);
        };
        let end = &link.ends[at];
        if !rtnl.link(end.ifindex).is_ok_and(|link| link.up && link.carrier) {
            way.outcome = Outcome::Down { end: end.end() };
            return Ok(way);
        }
        let Some(segments) = segments(plan, link, at, next) else {
            let far = &link.ends[1 - at];
            way.outcome = Outcome::Leaves { node: far.node.clone(), interface: far.interface.to_string() };
            return Ok(way);
        };
        let outcome = cross(lab, &segments, &packet(way.source), &mut way.hops)?;
        if let Some(outcome) = outcome {
            way.outcome = outcome;
            return Ok(way);
        }
        let last = segments[segments.len() - 1];
        place = Place { node: &last.1.node, entered: Some(last.1) };
    }
    way.outcome = Outcome::Loop { node: place.node.clone() };
    Ok(way)
}

/// Why the kernel knows no way on.
fn why(error: &netloom_kernel::Error, entered: bool) -> String {
    // EHOSTUNREACH, EXDEV.
    match error.errno() {
        Some(113) if entered => format!(
            "{error}; a node that does not forward says so, too (sysctl net.ipv4.ip_forward, net.ipv6.conf.all.forwarding)"
        ),
        Some(18) => format!("{error}; the way back to the sender does not lead there (sysctl rp_filter)"),
        _ => error.to_string(),
    }
}

/// The links a packet crosses from an end to whoever has the address `next`, each with its two ends in the packet's direction: one, or two on a
/// segment. `None` where it leaves the lab.
fn segments<'p>(plan: &'p Plan, link: &'p LinkPlan, at: usize, next: IpAddr) -> Option<Vec<Segment<'p>>> {
    let (from, to) = (&link.ends[at], &link.ends[1 - at]);
    match plan.nodes.get(&to.node)?.kind {
        NodeKind::Host => None,
        NodeKind::Lan => {
            let other = plan.links.iter().filter(|other| other.id != link.id).find_map(|other| {
                let port = other.ends.iter().position(|end| end.node == to.node)?;
                let far = &other.ends[1 - port];
                far.addresses.iter().any(|address| address.addr() == next).then_some((other, port))
            });
            let (other, port) = other?;
            Some(vec![(from, to, link), (&other.ends[port], &other.ends[1 - port], other)])
        }
        _ => Some(vec![(from, to, link)]),
    }
}

type Segment<'p> = (&'p EndPlan, &'p EndPlan, &'p LinkPlan);

/// Takes a packet over links; `Some` where it ends there.
fn cross(lab: &Lab, segments: &[Segment<'_>], packet: &Packet, hops: &mut Vec<Hop>) -> Result<Option<Outcome>> {
    let (first, last) = (segments[0].0, segments[segments.len() - 1].1);
    let links = segments.iter().map(|(.., link)| link.id.clone()).collect();
    hops.push(Hop { from: first.end(), to: last.end(), links, rulings: Vec::new(), by: "node", traces: Vec::new() });
    for (from, to, link) in segments {
        let mut rulings: Vec<Ruling> = Vec::new();
        rulings.extend(judge(link, from, Direction::Out, packet));
        let crossing = lab.crossing(&from.end(), packet)?;
        let mut arrives = true;
        if let (Some(crossing), Some(hop)) = (crossing, hops.last_mut()) {
            hop.by = "switch";
            arrives = crossing.arrives;
            hop.traces.extend(crossing.traces);
            rulings.extend(crossing.rulings);
        }
        rulings.extend(judge(link, to, Direction::In, packet));
        let denied = rulings.iter().position(|ruling| !ruling.passes);
        if let Some(hop) = hops.last_mut() {
            hop.rulings.extend(rulings.iter().take(denied.map_or(rulings.len(), |at| at + 1)).cloned());
        }
        if let Some(at) = denied {
            return Ok(Some(Outcome::Denied { link: link.id.clone(), ruling: rulings.swap_remove(at) }));
        }
        if !arrives {
            return Ok(Some(Outcome::Lost { link: link.id.clone() }));
        }
    }
    Ok(None)
}

/// What a node's own list says of a packet; `None` where it has none or none of its rules speaks of it, and where the switch applies it.
fn judge(link: &LinkPlan, end: &EndPlan, direction: Direction, packet: &Packet) -> Option<Ruling> {
    let acl = end.acl.as_ref().filter(|acl| !link.judges(acl))?;
    let rules = if direction == Direction::In { &acl.ingress } else { &acl.egress };
    if rules.is_empty() {
        return None;
    }
    let ruling = |index, rule: String, passes| Some(Ruling { end: end.end(), direction, index, rule, passes });
    if packet.reply && acl.stateful {
        return ruling(None, netloom_kernel::nft::access::REPLIES.into(), true);
    }
    let proto = match packet.protocol {
        6 => Proto::Tcp(packet.target_port),
        17 => Proto::Udp(packet.target_port),
        _ => Proto::Icmp,
    };
    let index = rules.iter().position(|rule| speaks_of(rule, proto, &[packet.source], packet.target))?;
    ruling(Some(index), rules[index].to_string(), rules[index].action == AclAction::Allow)
}
