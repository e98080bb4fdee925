//! Addresses: pools, what is typed at ends and loopbacks, and whether two ends can talk.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Validator, at};
use crate::diag::{Diagnostic, Loc};
use crate::lab::Pool;
use crate::node::{Loopback, NodeKind};
use crate::values::NodeName;

pub(super) fn check(v: &mut Validator<'_>) {
    pools(v);
    let mut seen: HashMap<IpAddr, Owner<'_>> = HashMap::new();
    let lab = v.lab;
    for (l, link) in lab.spec.links.iter().enumerate() {
        for (e, end) in link.endpoints.iter().enumerate() {
            for (i, net) in end.addresses.iter().enumerate() {
                usable(v, net, || end.end().to_string(), |v| at!(v, "links", l, "endpoints", e, "addresses", i));
                unique(v, &mut seen, net, Owner::End(l, e, i));
            }
        }
    }
    for (name, node) in &lab.spec.nodes {
        if let Some(Loopback::Addresses(list)) = &node.loopback {
            for (i, net) in list.iter().enumerate() {
                unique(v, &mut seen, net, Owner::Loopback(name, i));
                if net.addr().is_multicast() || net.addr().is_unspecified() || net.addr().is_loopback() {
                    let here = at!(v, "nodes", name, "loopback", i);
                    v.error(
                        here,
                        format!("{} is no address for a loopback interface of one's own", net.addr()),
                        "",
                        "127.0.0.1 and ::1 are always there",
                    );
                }
            }
        }
        if matches!(node.loopback, Some(Loopback::Auto(_)))
            && lab.spec.addressing.loopbacks.is_none()
            && v.intact(&["addressing".into()])
        {
            let help = "add `addressing: {loopbacks: {pool: 10.255.0.0/24}}`, or write the address";
            v.error(
                at!(v, "nodes", name, "loopback"),
                "`auto` takes an address from the plan's pool, and the lab has none",
                "no pool",
                help,
            );
        }
    }
    subnets(v);
    segments(v);
}

/// Who has an address.
#[derive(Clone, Copy)]
enum Owner<'a> {
    /// Link, end, which of its addresses.
    End(usize, usize, usize),
    Loopback(&'a NodeName, usize),
}

impl Owner<'_> {
    fn place(self, v: &Validator<'_>) -> Loc {
        match self {
            Owner::End(l, e, i) => at!(v, "links", l, "endpoints", e, "addresses", i),
            Owner::Loopback(n, i) => at!(v, "nodes", n, "loopback", i),
        }
    }

    fn describe(self, v: &Validator<'_>) -> String {
        match self {
            Owner::End(l, e, _) => v.lab.spec.links[l].endpoints[e].end().to_string(),
            Owner::Loopback(n, _) => format!("the loopback of {n}"),
        }
    }
}

/// Whether an address is of its link only (RFC 4291 §2.5.6, RFC 3927).
fn link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => (a.segments()[0] & 0xffc0) == 0xfe80,
    }
}

/// Reports an address that is there twice.
fn unique<'a>(v: &mut Validator<'_>, seen: &mut HashMap<IpAddr, Owner<'a>>, net: &IpNet, owner: Owner<'a>) {
    let addr = net.addr();
    if link_local(addr) {
        return;
    }
    match seen.get(&addr) {
        Some(first) => {
            let d = Diagnostic::error(format!("the address {addr} is given twice"))
                .at(owner.place(v), format!("again, at {}", owner.describe(v)))
                .at(first.place(v), format!("first at {}", first.describe(v)))
                .help("an address belongs to one interface; leave it out to have one from `addressing`");
            v.found.push(d);
        }
        None => {
            seen.insert(addr, owner);
        }
    }
}

/// Reports an address no interface can have.
fn usable(v: &mut Validator<'_>, net: &IpNet, owner: impl Fn() -> String, here: impl Fn(&Validator<'_>) -> Loc) {
    let addr = net.addr();
    let why = if addr.is_multicast() {
        Some("a multicast address".to_string())
    } else if addr.is_unspecified() {
        Some("the unspecified address".to_string())
    } else if addr.is_loopback() {
        Some("a loopback address".to_string())
    } else {
        match net {
            IpNet::V4(n) if n.prefix_len() < 31 && n.network() == n.addr() => {
                Some(format!("the address of the network {n} itself"))
            }
            IpNet::V4(n) if n.prefix_len() < 31 && n.broadcast() == n.addr() => {
                Some(format!("the broadcast address of {}", n.trunc()))
            }
            _ => None,
        }
    };
    if let Some(why) = why {
        v.error(here(v), format!("{} cannot have {net}: it is {why}", owner()), "", "");
    }
}

/// One pool as written.
struct Written {
    name: String,
    net: IpNet,
    loc: Loc,
}

fn pools(v: &mut Validator<'_>) {
    let a = &v.lab.spec.addressing;
    let mut all: Vec<Written> = Vec::new();
    let named: [(&str, Option<&Pool>); 3] =
        [("links", a.links.as_ref()), ("loopbacks", a.loopbacks.as_ref()), ("lans", a.lans.as_ref())];
    for (name, pool) in named {
        let Some(pool) = pool else { continue };
        if pool.pool.is_none() && pool.pool6.is_none() && v.intact(&["addressing".into(), name.into()]) {
            v.error(
                at!(v, "addressing", name),
                format!("the pool for {name} holds nothing"),
                "empty",
                "write `pool: 10.0.0.0/16`, `pool6: fd00::/48`, or both",
            );
        }
        let families = [
            ("pool", "prefix-length", pool.pool.map(IpNet::V4), pool.prefix_length, 32),
            ("pool6", "prefix-length6", pool.pool6.map(IpNet::V6), pool.prefix_length6, 128),
        ];
        for (key, length_key, net, length, most) in families {
            let Some(net) = net else {
                if length.is_some() && v.intact(&["addressing".into(), name.into()]) {
                    let here = v.key(&["addressing".into(), name.into(), length_key.into()]);
                    v.error(
                        here,
                        format!("`{length_key}` cuts `{key}`, and there is none"),
                        "",
                        format!("write `{key}`, or leave this out"),
                    );
                }
                continue;
            };
            if let Some(length) = length.filter(|n| *n > most || *n < net.prefix_len()) {
                let here = at!(v, "addressing", name, length_key);
                let range = format!("{} to {most}", net.prefix_len());
                v.error(
                    here,
                    format!("slices of /{length} cannot be cut from {net}"),
                    "",
                    format!("a length from {range}"),
                );
            }
            all.push(Written { name: format!("addressing.{name}.{key}"), net, loc: at!(v, "addressing", name, key) });
        }
    }
    if let Some(m) = &v.lab.spec.management {
        all.push(Written { name: "management.pool".into(), net: m.pool.into(), loc: at!(v, "management", "pool") });
        all.extend(m.pool6.map(|p| Written {
            name: "management.pool6".into(),
            net: p.into(),
            loc: at!(v, "management", "pool6"),
        }));
    }
    for p in &all {
        host_bits(v, &p.net, p.loc, "a pool");
    }
    for (i, p) in all.iter().enumerate() {
        if let Some(q) = all[..i].iter().find(|q| overlap(&p.net, &q.net)) {
            v.found.push(
                Diagnostic::error(format!("the pools {} ({}) and {} ({}) overlap", q.name, q.net, p.name, p.net))
                    .at(p.loc, "this")
                    .at(q.loc, "overlaps this")
                    .help("one address would be given twice; choose ranges that do not touch"),
            );
        }
    }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.addr()) || b.contains(&a.addr())
}

/// Reports a prefix whose address has bits beyond its length.
pub(super) fn host_bits(v: &mut Validator<'_>, net: &IpNet, loc: Loc, what: &str) {
    if net.addr() != net.network() {
        v.error(
            loc,
            format!("{net} has bits set beyond its length, so it is not {what}"),
            "",
            format!("did you mean {}?", net.trunc()),
        );
    }
}

/// Ranges of `lan` nodes.
fn subnets(v: &mut Validator<'_>) {
    let mut all: Vec<(IpNet, Loc, String)> = Vec::new();
    for (name, node) in v.nodes() {
        for (i, net) in node.subnets.iter().enumerate() {
            let here = at!(v, "nodes", name, "subnets", i);
            host_bits(v, net, here, "a subnet");
            all.push((*net, here, name.to_string()));
        }
    }
    // In the order of addresses, whatever overlaps is next to each other.
    all.sort_by_key(|(net, ..)| (net.network(), net.prefix_len()));
    for pair in all.windows(2) {
        let [(a, at_a, of_a), (b, at_b, of_b)] = pair else { continue };
        if overlap(a, b) {
            let d = Diagnostic::error(format!("the subnets {a} of {of_a} and {b} of {of_b} overlap"))
                .at(*at_b, "this")
                .at(*at_a, "overlaps this");
            v.found.push(d.help("one address would be given twice; choose ranges that do not touch"));
        }
    }
}

/// Whether the ends of a link, or all ends on a lan, share a subnet where both have addresses of a family.
fn segments(v: &mut Validator<'_>) {
    let lab = v.lab;
    /// What ends have in common.
    #[derive(PartialEq, Eq, Hash, Clone, Copy)]
    enum Segment<'a> {
        Lan(&'a NodeName),
        Link(usize),
    }
    // Every end is compared with the first end of its segment that has addresses of the family.
    let mut first: HashMap<(Segment<'_>, bool), (usize, usize)> = HashMap::new();
    for (l, link) in lab.spec.links.iter().enumerate() {
        let [a, b] = &link.endpoints;
        let segment = match [a, b].map(|e| v.kind(&e.node) == Some(NodeKind::Lan)) {
            [true, true] => continue,
            [true, false] => Segment::Lan(&a.node),
            [false, true] => Segment::Lan(&b.node),
            [false, false] => Segment::Link(l),
        };
        for (e, end) in link.endpoints.iter().enumerate() {
            for v4 in [true, false] {
                let of = |a: &&IpNet| a.addr().is_ipv4() == v4 && !link_local(a.addr());
                let mine: Vec<&IpNet> = end.addresses.iter().filter(of).collect();
                if mine.is_empty() {
                    continue;
                }
                let Some(&(l2, e2)) = first.get(&(segment, v4)) else {
                    first.insert((segment, v4), (l, e));
                    continue;
                };
                let other = &lab.spec.links[l2].endpoints[e2];
                let shared = other.addresses.iter().filter(of).any(|o| mine.iter().any(|m| m.trunc() == o.trunc()));
                if shared {
                    continue;
                }
                let index = |end: &crate::link::Endpoint| end.addresses.iter().position(|a| of(&a)).unwrap_or(0);
                let here = at!(v, "links", l, "endpoints", e, "addresses", index(end));
                let there = at!(v, "links", l2, "endpoints", e2, "addresses", index(other));
                let theirs = other.addresses.iter().find(of).copied().unwrap_or_default();
                v.found.push(
                    Diagnostic::warning(format!(
                        "{} and {} are joined, but their addresses share no subnet",
                        other.end(),
                        end.end()
                    ))
                    .at(here, format!("in {}", mine[0].trunc()))
                    .at(there, format!("in {}", theirs.trunc()))
                    .help("neither reaches the other without a route; is one of the addresses or lengths mistyped?"),
                );
            }
        }
    }
}
