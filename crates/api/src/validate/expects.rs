//! Expectations: whether each can be judged at all, and whether it can ever hold.

use super::tests::{command, under};
use super::{Step as Path, Validator};
use crate::diag::Loc;
use crate::load::check::suggest;
use crate::node::NodeKind;
use crate::test::{Expect, LinkSelector, Outcome, PrefixSet, Proto, Selector, Target, TermKind, TextMatch};
use crate::values::NodeName;

/// States of a BGP session (RFC 4271 §8.2.2) and of an OSPF adjacency (RFC 2328 §10.1).
const BGP_STATES: [&str; 6] = ["idle", "connect", "active", "opensent", "openconfirm", "established"];
const OSPF_STATES: [&str; 8] = ["down", "attempt", "init", "2-way", "exstart", "exchange", "loading", "full"];
/// Record types a query can ask for.
const RECORDS: [&str; 12] = ["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "CAA", "DS", "HTTPS"];
/// Response codes (RFC 1035 §4.1.1, RFC 2136 §2.2).
const RCODES: [&str; 11] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE",
];

/// A node that runs programs; reports one that is not there or does not.
pub(super) fn runs(v: &mut Validator<'_>, node: &NodeName, loc: Loc) -> bool {
    if !v.known_node(node.as_str(), loc) {
        return false;
    }
    match v.kind(node) {
        Some(kind @ (NodeKind::Lan | NodeKind::Host)) => {
            v.error(
                loc,
                format!("`{node}` is a {} and runs nothing", kind.as_str()),
                "",
                "name a node of kind linux or frr",
            );
            false
        }
        _ => true,
    }
}

/// 4, 6 or nothing.
pub(super) fn family(v: &mut Validator<'_>, af: Option<u8>, loc: Loc) {
    if af.is_some_and(|af| af != 4 && af != 6) {
        v.error(loc, "an address family is 4 or 6", "", "");
    }
}

/// The nodes a selector names. Reports each term that names none, and a whole that is empty.
pub(super) fn selector<'a>(v: &mut Validator<'a>, s: &Selector, loc: Loc) -> Vec<&'a NodeName> {
    let before = v.found.len();
    let nodes = v.nodes();
    for term in &s.0 {
        match &term.what {
            TermKind::All => {}
            TermKind::Name(n) if n.contains(['*', '?']) => {
                if !nodes.keys().any(|k| crate::test::glob(n, k.as_str())) {
                    let help = suggest(n, "nodes of this lab", nodes.keys().map(NodeName::as_str));
                    v.error(loc, format!("no node fits the pattern `{n}`"), "matches nothing", help);
                }
            }
            TermKind::Name(n) => {
                v.known_node(n, loc);
            }
            // A node whose mistakes were taken out may well be in it.
            _ if !v.intact(&["nodes".into()]) => {}
            TermKind::Group(g) => {
                if !nodes.values().any(|n| n.groups.contains(g)) {
                    let known: std::collections::BTreeSet<&str> =
                        nodes.values().flat_map(|n| n.groups.iter().map(String::as_str)).collect();
                    v.error(
                        loc,
                        format!("no node is in the group `{g}`"),
                        "matches nothing",
                        suggest(g, "groups with members", known.iter().copied()),
                    );
                }
            }
            TermKind::Kind(k) => {
                if !nodes.values().any(|n| n.kind.as_str() == k) {
                    let known = NodeKind::ALL.map(NodeKind::as_str);
                    let help = if known.contains(&k.as_str()) { String::new() } else { suggest(k, "kinds", known) };
                    v.error(loc, format!("no node is of kind `{k}`"), "matches nothing", help);
                }
            }
            TermKind::Label(k, want) => {
                if !nodes.values().any(|n| n.labels.get(k) == Some(want)) {
                    let known: std::collections::BTreeSet<String> =
                        nodes.values().flat_map(|n| n.labels.iter().map(|(k, v)| format!("{k}={v}"))).collect();
                    let help = suggest(&format!("{k}={want}"), "labels of this lab", known.iter().map(String::as_str));
                    v.error(loc, format!("no node has the label {k}={want}"), "matches nothing", help);
                }
            }
        }
    }
    let selected = s.select(nodes);
    if selected.is_empty()
        && v.found.len() == before
        && v.intact(&["nodes".into()])
        && !s.0.iter().any(|t| matches!(&t.what, TermKind::Name(n) if v.broken.contains(n)))
    {
        let help = suggest("", "nodes of this lab", nodes.keys().map(NodeName::as_str));
        v.error(loc, format!("`{s}` selects no node"), "matches nothing", help);
    }
    selected
}

/// A selector of nodes that run programs.
fn probers<'a>(v: &mut Validator<'a>, s: &Selector, loc: Loc) -> Vec<&'a NodeName> {
    let mut selected = selector(v, s, loc);
    let any = !selected.is_empty();
    selected.retain(|n| !matches!(v.kind(n), Some(NodeKind::Lan | NodeKind::Host)));
    if any && selected.is_empty() {
        v.error(
            loc,
            format!("`{s}` selects only segments and host interfaces, which run nothing"),
            "",
            "select nodes of kind linux or frr",
        );
    }
    selected
}

/// A target; `from` is the node it is tried from, if that is one.
pub(super) fn target(v: &mut Validator<'_>, t: &Target, loc: Loc, from: Option<&NodeName>) {
    let Target::Nodes(s) = t else { return };
    let selected = probers(v, s, loc);
    if let ([one], Some(from)) = (selected.as_slice(), from)
        && *one == from
    {
        v.error(loc, format!("from `{from}` to itself no link is crossed"), "the same node", "name another node");
    }
}

/// From a set to a set: reports when only a node and itself are left.
fn pairs(v: &mut Validator<'_>, path: &[Path<'_>], from: &Selector, to: &Target) {
    let from = probers(v, from, under(v, path, &["from".into()]));
    let loc = under(v, path, &["to".into()]);
    let Target::Nodes(s) = to else { return };
    let to = probers(v, s, loc);
    if let ([a], [b]) = (from.as_slice(), to.as_slice())
        && a == b
    {
        let message = format!("only `{a}` is on both sides, so there is nothing to try");
        // A pattern may come to more when the lab grows; a name will not.
        if s.to_string() == a.as_str() {
            v.error(loc, message, "the same node", "a node is not tried against itself");
        } else {
            v.warning(
                loc,
                message,
                "the same node",
                "a node is not tried against itself; the test will be in error, not passed",
            );
        }
    }
}

fn link_selector(v: &mut Validator<'_>, s: &LinkSelector, loc: Loc) {
    if !v.intact(&["links".into()]) {
        return;
    }
    for term in &s.0 {
        let one = LinkSelector(vec![term.clone()]);
        if !v.lab.spec.links.iter().any(|l| one.matches(&l.endpoints[0].end(), &l.endpoints[1].end())) {
            let known: Vec<String> = v.lab.spec.links.iter().map(crate::link::Link::id).collect();
            let help = suggest(term, "links of this lab", known.iter().map(String::as_str));
            v.error(loc, format!("no link fits `{term}`"), "matches nothing", help);
        }
    }
}

fn word(v: &mut Validator<'_>, what: &str, said: Option<&String>, known: &[&str], loc: Loc) {
    if let Some(s) = said
        && !known.iter().any(|k| k.eq_ignore_ascii_case(s))
    {
        v.error(loc, format!("`{s}` is not {what}"), "unknown", suggest(s, "known ones", known.iter().copied()));
    }
}

fn text(v: &mut Validator<'_>, path: &[Path<'_>], key: &str, m: Option<&TextMatch>) {
    let Some(m) = m else { return };
    if *m == TextMatch::default() && v.intact(path) {
        v.error(
            under(v, path, &[key.into()]),
            "the match says nothing",
            "",
            "one of contains, excludes, equals, matches",
        );
    }
    if let Some(Err(e)) = m.matches.as_ref().map(|r| regex::Regex::new(r)) {
        let why = match &e {
            // The last line says why; those before draw the place, for which there is the underline here.
            regex::Error::Syntax(s) => s.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string(),
            other => other.to_string(),
        };
        let loc = under(v, path, &[key.into(), "matches".into()]);
        v.error(
            loc,
            format!("the regular expression cannot be read: {why}"),
            "",
            "the syntax is that of Rust's regex crate",
        );
    }
}

/// Judges a list of expectations under `path`; `flows` are the streams of the test.
pub(super) fn check(v: &mut Validator<'_>, path: &[Path<'_>], list: &[Expect], flows: &[&str]) {
    for (i, expect) in list.iter().enumerate() {
        let name = match expect {
            Expect::Links(_) => "links",
            Expect::Reach(_) => "reach",
            Expect::Policy(_) => "policy",
            Expect::Route(_) => "route",
            Expect::Bgp(_) => "bgp",
            Expect::Ospf(_) => "ospf",
            Expect::Path(_) => "path",
            Expect::Mtu(_) => "mtu",
            Expect::Http(_) => "http",
            Expect::Dns(_) => "dns",
            Expect::Exec(_) => "exec",
            Expect::Throughput(_) => "throughput",
            Expect::Latency(_) => "latency",
            Expect::Loss(_) => "loss",
            Expect::Outage(_) => "outage",
        };
        let path = [path, &["expect".into(), i.into(), name.into()]].concat();
        one(v, &path, expect, flows);
    }
}

fn one(v: &mut Validator<'_>, path: &[Path<'_>], expect: &Expect, flows: &[&str]) {
    let at = |v: &Validator<'_>, k: &str| under(v, path, &[k.into()]);
    let whole = v.intact(path);
    match expect {
        Expect::Links(e) => {
            link_selector(v, &e.select, at(v, "select"));
            if e.state.is_none() && e.carrier.is_none() && whole {
                v.error(
                    v.place(path),
                    "the expectation does not say what must hold of the links",
                    "of what?",
                    "add `state: up`, `carrier: true`, or both",
                );
            }
        }
        Expect::Reach(e) => {
            pairs(v, path, &e.from, &e.to);
            family(v, e.af, at(v, "af"));
            for (i, p) in e.proto.iter().enumerate() {
                if let (Proto::Icmp, Some(6)) | (Proto::Icmp6, Some(4)) = (p, e.af) {
                    v.error(
                        under(v, path, &["proto".into(), i.into()]),
                        format!("{p} is of the other address family than `af`"),
                        "",
                        "leave `af` out",
                    );
                }
                if matches!(e.result, Outcome::Refused) && matches!(p, Proto::Icmp | Proto::Icmp6) {
                    v.error(
                        at(v, "result"),
                        format!("{p} is never refused: it has no ports"),
                        "cannot happen",
                        "expect denied, no-route or unreachable",
                    );
                }
            }
            if e.proto.is_empty() && matches!(e.result, Outcome::Refused) {
                v.error(
                    at(v, "result"),
                    "icmp is never refused: it has no ports",
                    "cannot happen",
                    "add `proto: [80/tcp]`",
                );
            }
            count(v, e.count, at(v, "count"));
        }
        Expect::Policy(e) => {
            let (inside, outside) = (at(v, "inside"), at(v, "outside"));
            let (one, two) = (probers(v, &e.inside, inside), probers(v, &e.outside, outside));
            if let Some(both) = one.iter().find(|n| two.contains(n)) {
                v.error(
                    outside,
                    format!("`{both}` is both inside and outside"),
                    "",
                    "a policy stands between two sets that share no node",
                );
            }
            if e.rules.is_empty() && whole {
                v.error(
                    at(v, "rules"),
                    "the policy has no rule, so there is nothing to judge",
                    "",
                    "such as `outbound 443/tcp: ok`",
                );
            }
        }
        Expect::Route(e) => {
            probers(v, &e.node, at(v, "node"));
            for (i, hop) in e.nexthops.iter().enumerate() {
                if hop.parse::<std::net::IpAddr>().is_err() {
                    v.known_node(hop, under(v, path, &["nexthops".into(), i.into()]));
                }
            }
            if e.absent && (!e.nexthops.is_empty() || e.protocol.is_some()) {
                let what = if e.nexthops.is_empty() { "protocol" } else { "next hops" };
                v.error(at(v, "absent"), format!("a route that is absent has no {what}"), "", "keep one or the other");
            }
            if let PrefixSet::One(net) = &e.prefix {
                super::addresses::host_bits(v, net, at(v, "prefix"), "a prefix a route can have");
            }
        }
        Expect::Bgp(e) => {
            speakers(v, &e.node, at(v, "node"), "BGP", |n| n.bgp.is_some() || n.config.is_some());
            if let Some(peers) = &e.peers {
                selector(v, peers, at(v, "peers"));
            }
            word(v, "a state of a BGP session", e.state.as_ref(), &BGP_STATES, at(v, "state"));
        }
        Expect::Ospf(e) => {
            speakers(v, &e.node, at(v, "node"), "OSPF", |n| n.ospf.is_some() || n.config.is_some());
            if let Some(peers) = &e.peers {
                selector(v, peers, at(v, "peers"));
            }
            word(v, "a state of an OSPF adjacency", e.state.as_ref(), &OSPF_STATES, at(v, "state"));
        }
        Expect::Path(e) => {
            runs(v, &e.from, at(v, "from"));
            target(v, &e.to, at(v, "to"), Some(&e.from));
            for (i, s) in e.via.iter().enumerate() {
                selector(v, s, under(v, path, &["via".into(), i.into()]));
            }
            family(v, e.af, at(v, "af"));
            if e.via.is_empty() && e.hops.is_none() && whole {
                v.error(
                    v.place(path),
                    "the expectation says neither `via` nor `hops`, so there is nothing to judge",
                    "of what?",
                    "",
                );
            }
            if let Some(hops) = e.hops
                && !e.via.is_empty()
                && usize::from(hops) != e.via.len() + 1
                && whole
            {
                let routers =
                    if e.via.len() == 1 { "1 router".to_string() } else { format!("{} routers", e.via.len()) };
                let message = format!("{routers} and the target make {} hops, not {hops}", e.via.len() + 1);
                v.error(at(v, "hops"), message, "can never hold", "leave `hops` out");
            } else if e.hops == Some(0) {
                v.error(at(v, "hops"), "the target counts as a hop, so there is at least one", "can never hold", "");
            }
        }
        Expect::Mtu(e) => {
            pairs(v, path, &e.from, &e.to);
            family(v, e.af, at(v, "af"));
            if !(68..=65535).contains(&e.bytes) {
                v.error(at(v, "bytes"), "an IP packet that must pass has 68 to 65535 bytes", "can never hold", "");
            }
        }
        Expect::Http(e) => {
            probers(v, &e.from, at(v, "from"));
            http(v, &e.url, at(v, "url"));
            if e.status.is_some_and(|s| !(100..=599).contains(&s)) {
                v.error(
                    at(v, "status"),
                    "an HTTP status lies between 100 and 599 (RFC 9110 §15)",
                    "can never hold",
                    "",
                );
            }
            text(v, path, "body", e.body.as_ref());
        }
        Expect::Dns(e) => {
            probers(v, &e.from, at(v, "from"));
            if let Target::Nodes(s) = &e.server {
                selector(v, s, at(v, "server"));
            }
            word(v, "a record type", e.record.as_ref(), &RECORDS, at(v, "type"));
            word(v, "a response code", e.rcode.as_ref(), &RCODES, at(v, "rcode"));
            if e.rcode.as_ref().is_some_and(|r| !r.eq_ignore_ascii_case("NOERROR")) && !e.answers.is_empty() {
                v.error(
                    at(v, "answers"),
                    format!("{} comes without answers", e.rcode.as_deref().unwrap_or_default()),
                    "can never hold",
                    "keep one or the other",
                );
            }
            if e.name.is_empty()
                || e.name.len() > 253
                || e.name.trim_end_matches('.').split('.').any(|l| l.is_empty() || l.len() > 63)
            {
                v.error(
                    at(v, "name"),
                    format!("{:?} is not a domain name (RFC 1035 §2.3.4)", e.name),
                    "",
                    "labels of 1 to 63 characters with dots between, 253 at most",
                );
            }
        }
        Expect::Exec(e) => {
            probers(v, &e.node, at(v, "node"));
            command(v, &e.command, at(v, "command"));
            text(v, path, "stdout", e.stdout.as_ref());
            if e.code.is_some_and(|c| !(0..=255).contains(&c)) {
                v.error(at(v, "code"), "an exit code lies between 0 and 255", "can never hold", "");
            }
        }
        Expect::Throughput(e) => {
            runs(v, &e.from, at(v, "from"));
            target(v, &e.to, at(v, "to"), Some(&e.from));
            family(v, e.af, at(v, "af"));
            word(v, "a protocol to measure with", e.proto.as_ref(), &["tcp", "udp"], at(v, "proto"));
            match (e.proto.as_deref(), &e.offer) {
                (Some("udp"), None) if whole => v.error(
                    at(v, "proto"),
                    "udp sends as fast as it is told, and `offer` does not say",
                    "",
                    "add `offer: 10Mbit`",
                ),
                (None | Some("tcp"), Some(_)) => v.error(
                    at(v, "offer"),
                    "`offer` is for udp; tcp finds its own rate",
                    "",
                    "add `proto: udp`, or leave this out",
                ),
                _ => {}
            }
        }
        Expect::Latency(e) => {
            runs(v, &e.from, at(v, "from"));
            target(v, &e.to, at(v, "to"), Some(&e.from));
            family(v, e.af, at(v, "af"));
            count(v, e.count, at(v, "count"));
            if [&e.min, &e.p50, &e.p95, &e.p99, &e.max].iter().all(|b| b.is_none()) && whole {
                v.error(
                    v.place(path),
                    "the expectation bounds nothing",
                    "of what?",
                    "add min, p50, p95, p99 or max, such as `p50: 45ms..60ms`",
                );
            }
        }
        Expect::Loss(e) => {
            runs(v, &e.from, at(v, "from"));
            target(v, &e.to, at(v, "to"), Some(&e.from));
            family(v, e.af, at(v, "af"));
            count(v, e.count, at(v, "count"));
        }
        Expect::Outage(e) => {
            if !flows.contains(&e.flow.as_str()) && v.intact(&path[..2]) {
                let help = match flows {
                    [] => "add `traffic: [{id: …, from: …, to: …}]` to the test".to_string(),
                    _ => suggest(&e.flow, "streams of this test", flows.iter().copied()),
                };
                v.error(at(v, "flow"), format!("the test has no stream `{}`", e.flow), "unknown", help);
            }
            if e.outage.is_none() && e.lost.is_none() && e.reordered.is_none() && e.duplicated.is_none() && whole {
                v.error(
                    v.place(path),
                    "the expectation bounds nothing",
                    "of what?",
                    "add outage, lost, reordered or duplicated, such as `outage: <1s`",
                );
            }
        }
    }
}

fn count(v: &mut Validator<'_>, count: Option<u32>, loc: Loc) {
    if count == Some(0) {
        v.error(loc, "with 0 probes nothing is ever judged", "", "1 or more");
    }
}

fn speakers(v: &mut Validator<'_>, s: &Selector, loc: Loc, what: &str, is: fn(&crate::node::Node) -> bool) {
    let selected = selector(v, s, loc);
    let mute: Vec<&NodeName> =
        selected.iter().filter(|n| v.nodes().get(**n).is_some_and(|n| !is(n))).copied().collect();
    if !selected.is_empty() && mute.len() == selected.len() && v.intact(&["nodes".into()]) {
        let speaks: Vec<&str> = v.nodes().iter().filter(|(_, n)| is(n)).map(|(n, _)| n.as_str()).collect();
        let help = suggest("", &format!("nodes that speak {what}"), speaks.iter().copied());
        v.error(loc, format!("none of the nodes `{s}` selects speaks {what}"), "matches nothing", help);
    }
}

fn http(v: &mut Validator<'_>, url: &str, loc: Loc) {
    let Some(rest) = url.strip_prefix("http://") else {
        v.error(loc, format!("{url:?} is not an http URL"), "", "http://NODE-OR-ADDRESS[:PORT]/PATH");
        return;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((h, p)) => (h, p.strip_prefix(':')),
        None => authority.rsplit_once(':').map_or((authority, None), |(h, p)| (h, Some(p))),
    };
    if port.is_some_and(|p| !p.parse::<u16>().is_ok_and(|p| p > 0)) {
        v.error(loc, format!("{:?} is not a port", port.unwrap_or_default()), "", "1 to 65535");
    }
    if host.is_empty() {
        v.error(loc, "the URL names no host", "", "http://NODE-OR-ADDRESS[:PORT]/PATH");
    } else if host.parse::<std::net::IpAddr>().is_err() && !host.contains('.') {
        v.known_node(host, loc);
    }
}
