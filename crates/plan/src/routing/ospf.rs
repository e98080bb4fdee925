//! `ospf:` — OSPFv2 where there are IPv4 addresses, OSPFv3 where there are IPv6 ones.

use std::fmt::Write as _;

use netloom_api::node::Ospf;
use netloom_api::values::{NodeName, Span};

use crate::allocate::Family;
use crate::error::{PlanError, steps};
use crate::topology::End;
use crate::view::View;

/// How one interface takes part.
struct Interface {
    name: String,
    area: u32,
    passive: bool,
    point_to_point: bool,
    cost: Option<u32>,
    families: [bool; 2],
}

/// Interface blocks, `router ospf` and `router ospf6`.
pub(crate) fn config(view: &View<'_>, name: &NodeName, ospf: &Ospf, errors: &mut Vec<PlanError>) -> String {
    let (hello, dead) = timers(name, ospf, errors);
    let lo = view.loopbacks(name);
    let mut interfaces = vec![Interface {
        name: "lo".into(),
        area: ospf.area,
        passive: true,
        point_to_point: false,
        cost: None,
        families: Family::BOTH.map(|f| f.has(lo)),
    }];
    for end in view.ends(name) {
        interfaces.extend(interface(view, end, ospf, errors));
    }
    let id = ospf.router_id.unwrap_or_else(|| view.router_id(name));
    let mut o = String::new();
    for family in Family::BOTH {
        let at = usize::from(family == Family::V6);
        let (ip, router) = [("ip ospf", "ospf"), ("ipv6 ospf6", "ospf6")][at];
        if !interfaces.iter().any(|i| i.families[at]) {
            continue;
        }
        for i in interfaces.iter().filter(|i| i.families[at]) {
            let _ = writeln!(o, "interface {}\n {ip} area {}", i.name, area(i.area));
            if let Some(cost) = i.cost {
                let _ = writeln!(o, " {ip} cost {cost}");
            }
            if i.passive {
                let _ = writeln!(o, " {ip} passive");
            } else {
                let _ = writeln!(o, " {ip} hello-interval {hello}\n {ip} dead-interval {dead}");
                // Routers that start together miss each other's first exchange, and would try again after five seconds.
                let _ = writeln!(o, " {ip} retransmit-interval 1");
            }
            if i.point_to_point {
                let _ = writeln!(o, " {ip} network point-to-point");
            }
            o.push_str("exit\n!\n");
        }
        let _ = writeln!(o, "router {router}\n ospf{} router-id {id}", if at == 0 { "" } else { "6" });
        o.push_str(" log-adjacency-changes\n");
        // Labs are small: compute and tell at once, hold back only under a storm.
        o.push_str(" timers throttle spf 0 50 1000\n");
        o.push_str(if at == 0 { " timers throttle lsa all 100\n" } else { "" });
        o.push_str(" timers lsa min-arrival 50\nexit\n!\n");
    }
    o
}

fn area(a: u32) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::from_bits(a)
}

fn interface(view: &View<'_>, end: End, ospf: &Ospf, errors: &mut Vec<PlanError>) -> Option<Interface> {
    let endpoint = view.t.endpoint(end);
    let speakers: Vec<(&NodeName, &Ospf)> =
        view.t.neighbours(end).map(|n| view.t.at(n)).filter_map(|(n, node)| Some((n, node.ospf.as_ref()?))).collect();
    if speakers.is_empty() && !view.stub(end) {
        return None;
    }
    // A link between the backbone and another area lies in the other one: the backbone's node is the border router.
    let mut area = ospf.area;
    for (neighbour, other) in speakers.iter().map(|(n, o)| (n, o.area)) {
        if other == area || other == 0 {
            continue;
        }
        if area == 0 {
            area = other;
        } else if end.1 == 0 {
            errors.push(PlanError::OspfAreas {
                link: view.t.lab.spec.links[end.0].id(),
                a: area,
                b: other,
                at: steps!["links", end.0].into(),
                nodes: [endpoint.node.clone(), (*neighbour).clone()],
            });
        }
    }
    let addresses = view.addresses(end);
    Some(Interface {
        name: endpoint.interface.to_string(),
        area,
        passive: speakers.is_empty(),
        point_to_point: !speakers.is_empty() && view.t.segment(end.0).lans.is_empty(),
        cost: endpoint.cost,
        families: Family::BOTH.map(|f| f.has(addresses)),
    })
}

/// Hello and dead interval in seconds; 1 and 4 times hello unless said.
fn timers(name: &NodeName, ospf: &Ospf, errors: &mut Vec<PlanError>) -> (u64, u64) {
    let seconds = |what: &str, span: Option<Span>, errors: &mut Vec<PlanError>| {
        let span = span?;
        if span.0.subsec_nanos() != 0 || !(1..=65535).contains(&span.0.as_secs()) {
            errors.push(PlanError::Value {
                node: name.clone(),
                what: format!("ospf.{what}"),
                why: format!("{span} is not a whole number of seconds from 1 to 65535, which is all OSPF can say (RFC 2328 §A.3.2)"),
                at: steps!["nodes", name, "ospf", what].into(),
            });
        }
        Some(span.0.as_secs().max(1))
    };
    let hello = seconds("hello", ospf.hello, errors).unwrap_or(1);
    let dead = seconds("dead", ospf.dead, errors).unwrap_or(hello.saturating_mul(4));
    (hello, dead)
}
