//! `bgp:` — sessions from the links, announcements from loopbacks and stub networks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use ipnet::IpNet;
use netloom_api::lab::Lab;
use netloom_api::node::{Bgp, Node};
use netloom_api::values::{NodeName, Span};

use crate::allocate::Family;
use crate::error::{PlanError, steps};
use crate::topology::End;
use crate::view::View;

/// Autonomous system → its speakers, in the order of the file.
pub(crate) type Systems<'a> = BTreeMap<u32, Vec<&'a NodeName>>;

/// All BGP speakers by AS.
pub(crate) fn systems(lab: &Lab) -> Systems<'_> {
    let mut out = Systems::new();
    for (name, node) in &lab.spec.nodes {
        if let Some(bgp) = &node.bgp {
            out.entry(bgp.asn).or_default().push(name);
        }
    }
    out
}

/// One session as one side configures it.
struct Neighbour {
    /// Address, or interface name for an unnumbered session.
    key: String,
    interface: bool,
    remote_as: u32,
    node: NodeName,
    families: Vec<Family>,
    internal: bool,
    loopback: bool,
    client: bool,
}

/// The `router bgp` block, and what it needs elsewhere, as FRR's own configuration text.
pub(crate) fn config(
    view: &View<'_>,
    systems: &Systems<'_>,
    name: &NodeName,
    node: &Node,
    bgp: &Bgp,
    errors: &mut Vec<PlanError>,
) -> String {
    let neighbours = neighbours(view, systems, name, node, bgp);
    let networks = networks(view, systems, name, node, bgp);
    let (keepalive, hold) = timers(name, bgp, errors);
    let id = bgp.router_id.unwrap_or_else(|| view.router_id(name));
    let paths = bgp.maximum_paths.unwrap_or(64);

    let mut o = String::new();
    for n in neighbours.iter().filter(|n| n.interface) {
        // The peer's link-local address is learnt from its router advertisements.
        let _ = writeln!(o, "interface {}\n no ipv6 nd suppress-ra\n ipv6 nd ra-interval 1\nexit\n!", n.key);
    }
    for net in &bgp.networks {
        // `network` announces what is in the table; the farthest distance lets any real route win.
        let ip = if net.addr().is_ipv4() { "ip" } else { "ipv6" };
        let _ = writeln!(o, "{ip} route {} blackhole 254", net.trunc());
    }
    let _ = writeln!(o, "router bgp {}", bgp.asn);
    let _ = writeln!(o, " bgp router-id {id}");
    o.push_str(" bgp log-neighbor-changes\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n");
    o.push_str(" bgp bestpath as-path multipath-relax\n");
    let _ = writeln!(o, " timers bgp {keepalive} {hold}");
    for n in &neighbours {
        let key = &n.key;
        if n.interface {
            let _ = writeln!(o, " neighbor {key} interface remote-as {}", n.remote_as);
            let _ = writeln!(o, " neighbor {key} capability extended-nexthop");
        } else {
            let _ = writeln!(o, " neighbor {key} remote-as {}", n.remote_as);
        }
        let _ = writeln!(o, " neighbor {key} description {}", n.node);
        let _ = writeln!(o, " neighbor {key} timers connect 1");
        if n.loopback {
            let _ = writeln!(o, " neighbor {key} update-source lo");
        }
    }
    for family in Family::BOTH {
        let nets: Vec<&IpNet> = networks.iter().filter(|n| Family::of(n) == family).collect();
        let peers: Vec<&Neighbour> = neighbours.iter().filter(|n| n.families.contains(&family)).collect();
        if nets.is_empty() && peers.is_empty() {
            continue;
        }
        let word = if family == Family::V4 { "ipv4" } else { "ipv6" };
        let _ = writeln!(o, " !\n address-family {word} unicast");
        for net in nets {
            let _ = writeln!(o, "  network {net}");
        }
        let _ = writeln!(o, "  maximum-paths {paths}\n  maximum-paths ibgp {paths}");
        for n in peers {
            let _ = writeln!(o, "  neighbor {} activate", n.key);
            if n.internal {
                let _ = writeln!(o, "  neighbor {} next-hop-self", n.key);
            }
            if n.client {
                let _ = writeln!(o, "  neighbor {} route-reflector-client", n.key);
            }
        }
        o.push_str(" exit-address-family\n");
    }
    o.push_str("exit\n!\n");
    o
}

fn neighbours(view: &View<'_>, systems: &Systems<'_>, name: &NodeName, node: &Node, bgp: &Bgp) -> Vec<Neighbour> {
    let mut out = Vec::new();
    let meshed = internal_mesh(view, systems, name, node, bgp, &mut out);
    let told = |peer: &NodeName, asn: u32| bgp.remote_as.get(peer).copied().unwrap_or(asn);
    let mut seen: BTreeSet<String> = out.iter().map(|n| n.key.clone()).collect();
    for end in view.ends(name) {
        for other in view.t.neighbours(end) {
            let (peer, peer_node) = view.t.at(other);
            let Some(peer_bgp) = &peer_node.bgp else {
                continue;
            };
            if meshed.contains(peer) {
                continue;
            }
            let internal = peer_bgp.asn == bgp.asn;
            let base = |key: String, families| Neighbour {
                key,
                interface: false,
                remote_as: told(peer, peer_bgp.asn),
                node: peer.clone(),
                families,
                internal,
                loopback: false,
                client: internal && bgp.route_reflector && !peer_bgp.route_reflector,
            };
            let before = out.len();
            for family in Family::BOTH {
                if let Some(address) = view.reachable(end, other, family)
                    && seen.insert(address.to_string())
                {
                    out.push(base(address.to_string(), vec![family]));
                }
            }
            if out.len() == before && unnumbered(view, end, other) {
                let interface = view.t.endpoint(end).interface.to_string();
                let families = Family::BOTH.to_vec();
                out.push(Neighbour { interface: true, ..base(interface, families) });
            }
        }
    }
    out
}

/// A plain link without any address on either end: BGP runs over the link-local addresses (RFC 8950 next hops).
fn unnumbered(view: &View<'_>, a: End, b: End) -> bool {
    view.t.segment(a.0).lans.is_empty() && view.addresses(a).is_empty() && view.addresses(b).is_empty()
}

/// Sessions between loopbacks inside the AS, where an IGP carries them: everyone with everyone, or with the route reflectors when
/// there are any. Returns who was served.
fn internal_mesh(
    view: &View<'_>,
    systems: &Systems<'_>,
    name: &NodeName,
    node: &Node,
    bgp: &Bgp,
    out: &mut Vec<Neighbour>,
) -> BTreeSet<NodeName> {
    let mut served = BTreeSet::new();
    if node.ospf.is_none() {
        return served;
    }
    let same = systems.get(&bgp.asn).map_or(&[][..], Vec::as_slice);
    let reflects = |n: &NodeName| view.t.node(n).bgp.as_ref().is_some_and(|b| b.route_reflector);
    let reflected = same.iter().any(|n| reflects(n) && view.t.node(n).ospf.is_some());
    for &peer in same {
        if peer == name || view.t.node(peer).ospf.is_none() {
            continue;
        }
        let mut reachable = false;
        for family in Family::BOTH {
            let (Some(_), Some(to)) = (view.loopback(name, family), view.loopback(peer, family)) else {
                continue;
            };
            reachable = true;
            if reflected && !bgp.route_reflector && !reflects(peer) {
                continue;
            }
            out.push(Neighbour {
                key: to.to_string(),
                interface: false,
                remote_as: bgp.remote_as.get(peer).copied().unwrap_or(bgp.asn),
                node: peer.clone(),
                families: vec![family],
                internal: true,
                loopback: true,
                client: bgp.route_reflector && !reflects(peer),
            });
        }
        if reachable {
            served.insert(peer.clone());
        }
    }
    served
}

/// Loopbacks, subnets of links to nodes that do not route, and what the file adds; each once, in this order.
///
/// A border of an AS that runs an IGP announces the others' loopbacks too: it knows them from the IGP, and FRR refuses them over iBGP,
/// where a loopback would be its own next hop.
fn networks(view: &View<'_>, systems: &Systems<'_>, name: &NodeName, node: &Node, bgp: &Bgp) -> Vec<IpNet> {
    let external = |n: End| view.t.at(n).1.bgp.as_ref().is_some_and(|b| b.asn != bgp.asn);
    let border = node.ospf.is_some() && view.t.ends(name).iter().any(|&e| view.t.neighbours(e).any(external));
    let same = systems.get(&bgp.asn).map_or(&[][..], Vec::as_slice);
    let inside = same.iter().filter(|&&n| border && view.t.node(n).ospf.is_some()).flat_map(|n| view.loopbacks(n));
    let stubs = view.ends(name).into_iter().filter(|&e| view.stub(e)).flat_map(|e| view.addresses(e));
    let mut seen = BTreeSet::new();
    view.loopbacks(name)
        .iter()
        .chain(stubs)
        .chain(inside)
        .chain(&bgp.networks)
        .map(IpNet::trunc)
        .filter(|n| seen.insert(*n))
        .collect()
}

/// Keepalive and hold time in seconds; 3 and 9, or one third, of what is said.
fn timers(name: &NodeName, bgp: &Bgp, errors: &mut Vec<PlanError>) -> (u64, u64) {
    let seconds = |what: &str, span: Span, errors: &mut Vec<PlanError>| {
        if span.0.subsec_nanos() != 0 || span.0 > Duration::from_secs(65535) {
            errors.push(PlanError::Value {
                node: name.clone(),
                what: format!("bgp.{what}"),
                why: format!(
                    "{span} is not a whole number of seconds up to 65535, which is all BGP can say (RFC 4271 §4.2)"
                ),
                at: steps!["nodes", name, "bgp", what].into(),
            });
        }
        span.0.as_secs()
    };
    let keepalive = bgp.keepalive.map(|s| seconds("keepalive", s, errors));
    let hold = bgp.hold.map(|s| seconds("hold", s, errors));
    match (keepalive, hold) {
        (None, None) => (3, 9),
        (Some(k), None) => (k, k.saturating_mul(3)),
        (None, Some(h)) => ((h / 3).max(u64::from(h > 0)), h),
        (Some(k), Some(h)) => (k, h),
    }
}
