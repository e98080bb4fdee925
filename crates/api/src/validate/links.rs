//! Links: who is joined to whom, on which interface, and what the wire can carry.

use std::collections::HashMap;

use super::{Validator, at};
use crate::diag::{Diagnostic, Severity};
use crate::link::{AclProtocol, Endpoint, Impair, Link};
use crate::load::stand_in::UNKNOWN;
use crate::node::NodeKind;
use crate::values::{Mac, NodeName};

/// The least an IPv4 link carries (RFC 791 §3.2), and the most an IP packet is.
const MTU: std::ops::RangeInclusive<u32> = 68..=65535;
/// The least an IPv6 link carries (RFC 8200 §5).
const MTU_V6: u32 = 1280;

/// What a wire has unless it is said.
const MTU_UNLESS_SAID: u32 = 1500;

pub(super) fn check(v: &mut Validator<'_>) {
    let lab = v.lab;
    let mut macs: HashMap<Mac, (usize, usize)> = HashMap::new();
    let pool6 = |l: &Link| {
        let a = &lab.spec.addressing;
        let lan = l.endpoints.iter().any(|e| lab.spec.nodes.get(&e.node).is_some_and(|n| n.kind == NodeKind::Lan));
        let pool = if lan { a.lans.as_ref().or(a.links.as_ref()) } else { a.links.as_ref() };
        pool.is_some_and(|p| p.pool6.is_some())
    };
    for (l, link) in lab.spec.links.iter().enumerate() {
        let [a, b] = &link.endpoints;
        for (e, end) in link.endpoints.iter().enumerate() {
            v.known_node(end.node.as_str(), at!(v, "links", l, "endpoints", e, "node"));
            let here = at!(v, "links", l, "endpoints", e, "interface");
            let unknown = end.interface.as_str() == UNKNOWN && !v.intact(&["links".into()]);
            if e == 1 && a.end() == b.end() && !unknown {
                v.error(
                    here,
                    format!("the link joins {} to itself", a.end()),
                    "the same end",
                    "a link has two different ends",
                );
                continue;
            }
            match v.ends.get(&end.end()) {
                _ if unknown => {}
                Some(&(l2, e2)) => {
                    let first = at!(v, "links", l2, "endpoints", e2, "interface");
                    v.found.push(
                        Diagnostic::error(format!("the interface {} is the end of two links", end.end()))
                            .at(here, "again here")
                            .at(first, "first here")
                            .help("an interface takes one link; give this one another name, or join many ends with a node of `kind: lan`"),
                    );
                }
                None => {
                    v.ends.insert(end.end(), (l, e));
                }
            }
            endpoint(v, l, e, end);
            if let Some(mac) = end.mac {
                let here = at!(v, "links", l, "endpoints", e, "mac");
                match macs.get(&mac) {
                    Some(&(l2, e2)) => {
                        let first = at!(v, "links", l2, "endpoints", e2, "mac");
                        v.found.push(
                            Diagnostic::error(format!("the MAC address {mac} is given to two interfaces"))
                                .at(here, "again here")
                                .at(first, "first here")
                                .help("leave `mac` out: netloom makes one for every end that has none"),
                        );
                    }
                    None => {
                        macs.insert(mac, (l, e));
                    }
                }
            }
        }
        let kinds = [v.kind(&a.node), v.kind(&b.node)];
        if kinds == [Some(NodeKind::Host); 2] {
            v.error(
                at!(v, "links", l),
                "both ends of the link are interfaces of the host",
                "this link",
                "join them on the host itself, or put a node between",
            );
        }
        mtu(v, l, link, pool6(link));
        impairments(v, l, link);
    }
    let whole = v.intact(&["links".into()]);
    for (name, node) in &lab.spec.nodes {
        let ends = v.ends_of.get(name).map_or(0, Vec::len);
        if node.kind == NodeKind::Lan && ends < 2 && whole {
            let said = if ends == 0 { "no link".to_string() } else { "one link".to_string() };
            v.warning(
                v.key(&["nodes".into(), name.into()]),
                format!("the lan `{name}` has {said}, so it joins nothing"),
                "this lan",
                "",
            );
        }
        if node.kind == NodeKind::Lan && whole {
            lan_mtu(v, name);
        }
        if node.kind == NodeKind::Host && ends != 1 && whole {
            v.error(
                v.key(&["nodes".into(), name.into()]),
                format!("`{name}` is an interface of the host and has {ends} links"),
                "this node",
                "it takes exactly one; join more with a node of `kind: lan`",
            );
        }
    }
}

fn endpoint(v: &mut Validator<'_>, l: usize, e: usize, end: &Endpoint) {
    let kind = v.kind(&end.node);
    let path = |v: &Validator<'_>, k: &str| at!(v, "links", l, "endpoints", e, k);
    if let Some(kind @ (NodeKind::Lan | NodeKind::Host)) = kind {
        let what = if kind == NodeKind::Lan { "a port of a lan" } else { "an interface of the host" };
        let said: [(&str, bool, &str); 4] = [
            ("addresses", !end.addresses.is_empty(), "addresses belong to the nodes on it"),
            ("acl", end.acl.is_some(), "put the rules on the other end of the link"),
            ("mac", end.mac.is_some(), "leave it out"),
            ("cost", end.cost.is_some(), "the cost belongs to the router's end"),
        ];
        let wrong: Vec<_> = said
            .iter()
            .filter(|s| s.1)
            .map(|(k, _, help)| {
                (*k, v.key(&["links".into(), l.into(), "endpoints".into(), e.into(), (*k).into()]), *help)
            })
            .collect();
        for (key, loc, help) in wrong {
            v.error(loc, format!("`{}` is {what} and takes no `{key}`", end.end()), "not here", help);
        }
    }
    if end.cost.is_some_and(|c| !(1..=65535).contains(&c)) {
        v.error(path(v, "cost"), "an OSPF cost lies between 1 and 65535 (RFC 2328 §C.3)", "", "");
    } else if end.cost.is_some()
        && v.nodes().get(&end.node).is_some_and(|n| n.ospf.is_none() && n.config.is_none() && n.kind != NodeKind::Lan)
    {
        let help = format!("give {} `ospf: {{area: 0}}`, or leave the cost out", end.node);
        v.warning(path(v, "cost"), format!("`cost` changes nothing: {} does not speak OSPF", end.node), "unused", help);
    }
    if end.interface.as_str() == "mgmt0" && v.lab.spec.management.is_some() {
        v.error(
            path(v, "interface"),
            "`mgmt0` is the interface of the management network",
            "taken",
            "give this interface another name, such as eth1",
        );
    }
    if let Some(acl) = &end.acl {
        for (side, rules) in [("in", &acl.ingress), ("out", &acl.egress)] {
            // A rule without addresses for every packet decides all that is left.
            let all = rules.iter().position(|r| r.protocol == AclProtocol::Any && r.from.is_none() && r.to.is_none());
            if let Some(i) = all.filter(|i| i + 1 < rules.len()) {
                let rest = at!(v, "links", l, "endpoints", e, "acl", side, i + 1);
                let all = at!(v, "links", l, "endpoints", e, "acl", side, i);
                v.found.push(
                    Diagnostic::warning(format!("the rule `{}` never matches", rules[i + 1]))
                        .at(rest, "nothing gets here")
                        .at(all, "this matches every packet")
                        .help("the first rule that matches decides; put this one before"),
                );
            }
        }
    }
}

fn mtu(v: &mut Validator<'_>, l: usize, link: &Link, pool6: bool) {
    let Some(mtu) = link.mtu else { return };
    let here = at!(v, "links", l, "mtu");
    if !MTU.contains(&mtu) {
        v.error(
            here,
            format!("a wire cannot carry an MTU of {mtu}: it lies between {} and {}", MTU.start(), MTU.end()),
            "",
            "the MTU is the largest IP packet in bytes, Ethernet header not counted; 1500 unless said",
        );
        return;
    }
    let v6 = link
        .endpoints
        .iter()
        .enumerate()
        .find_map(|(e, end)| end.addresses.iter().position(|a| a.addr().is_ipv6()).map(|i| (e, i)));
    if mtu < MTU_V6 && (v6.is_some() || pool6) {
        let mut d =
            Diagnostic::error(format!("IPv6 needs an MTU of at least {MTU_V6}, this link has {mtu} (RFC 8200 §5)"))
                .at(here, "too small for IPv6");
        d = match v6 {
            Some((e, i)) => d.at(at!(v, "links", l, "endpoints", e, "addresses", i), "an IPv6 address on it"),
            None => d.at(at!(v, "addressing", "links", "pool6"), "it gets IPv6 addresses from here"),
        };
        v.found.push(d.help(format!("make it {MTU_V6} or more, or leave IPv6 out")));
    }
}

/// A segment does not fragment: what is too large for one of its wires is lost there, and nobody is told.
fn lan_mtu(v: &mut Validator<'_>, lan: &NodeName) {
    let of = |link: &Link| link.mtu.unwrap_or(MTU_UNLESS_SAID);
    let wires: Vec<(usize, u32)> = v
        .lab
        .spec
        .links
        .iter()
        .enumerate()
        .filter(|(_, link)| link.endpoints.iter().any(|end| end.node == *lan))
        .map(|(l, link)| (l, of(link)))
        .collect();
    let (Some(least), Some(most)) = (wires.iter().min_by_key(|w| w.1), wires.iter().max_by_key(|w| w.1)) else {
        return;
    };
    if least.1 != most.1 {
        let d = Diagnostic::warning(format!(
            "the wires of the lan `{lan}` have different MTUs: {} and {}",
            least.1, most.1
        ))
        .at(at!(v, "links", most.0), format!("packets of {} bytes come from here", most.1))
        .at(at!(v, "links", least.0), "and are lost here without a word")
        .help("give all of its links one MTU");
        v.found.push(d);
    }
}

fn impairments(v: &mut Validator<'_>, l: usize, link: &Link) {
    if !v.intact(&["links".into(), l.into()]) {
        return;
    }
    let base = link.impair.clone().unwrap_or_default();
    let loc = |v: &Validator<'_>, e: Option<usize>, k: &str| match e {
        Some(e) => v.key(&["links".into(), l.into(), "endpoints".into(), e.into(), "impair".into(), k.into()]),
        None => v.key(&["links".into(), l.into(), "impair".into(), k.into()]),
    };
    for (e, end) in link.endpoints.iter().enumerate() {
        let Some(own) = &end.impair else { continue };
        for (severity, key, message, help) in impair(&own.over(&base)) {
            let has = match key {
                "jitter" => own.jitter.is_some(),
                "reorder" => own.reorder.is_some(),
                _ => own.limit.is_some(),
            };
            v.say(severity, loc(v, has.then_some(e), key), message, help);
        }
    }
    if link.endpoints.iter().any(|e| e.impair.is_none()) {
        for (severity, key, message, help) in impair(&base) {
            v.say(severity, loc(v, None, key), message, help);
        }
    }
}

/// What is wrong with an impairment: field, why, and what to do.
pub(super) fn impair(i: &Impair) -> Vec<(Severity, &'static str, String, &'static str)> {
    use Severity::{Error, Warning};
    let mut out = Vec::new();
    let delay = i.delay.unwrap_or_default();
    if i.jitter.is_some_and(|j| !j.0.is_zero()) && delay.0.is_zero() {
        out.push((Error, "jitter", "`jitter` varies a delay, and there is none".to_string(), "add `delay`"));
    } else if i.jitter.is_some_and(|j| j > delay) {
        let message = format!(
            "a jitter of {} around a delay of {delay} would send frames before they came; these go at once",
            i.jitter.unwrap_or_default()
        );
        out.push((Warning, "jitter", message, "make it at most the delay"));
    }
    if i.reorder.is_some_and(|r| r.0 > 0.0) && delay.0.is_zero() {
        out.push((
            Error,
            "reorder",
            "`reorder` lets frames overtake delayed ones, and none is delayed".into(),
            "add `delay`",
        ));
    }
    if i.limit == Some(0) {
        out.push((Error, "limit", "a wire that holds no frame passes none".into(), "leave `limit` out for 1000"));
    }
    out
}
