//! Nodes: what each kind can have, and whether what it has is possible.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use super::addresses::host_bits;
use super::{Validator, at};
use crate::diag::{Diagnostic, Loc};
use crate::load::check::{closest, suggest};
use crate::node::{Bgp, Command, Destination, Node, NodeKind, Ospf, StaticRoute};
use crate::values::{NodeName, Span};

/// FRR's daemons, as of FRR 10.
pub(super) const DAEMONS: [&str; 22] = [
    "zebra", "staticd", "bgpd", "ospfd", "ospf6d", "isisd", "ripd", "ripngd", "pimd", "pim6d", "ldpd", "nhrpd",
    "eigrpd", "babeld", "sharpd", "pbrd", "bfdd", "fabricd", "vrrpd", "pathd", "mgmtd", "watchfrr",
];

/// Fields that only some kinds have.
const FIELDS: &[(&str, &[NodeKind])] = &[
    ("loopback", &[NodeKind::Linux, NodeKind::Frr]),
    ("routes", &[NodeKind::Linux, NodeKind::Frr]),
    ("sysctls", &[NodeKind::Linux, NodeKind::Frr]),
    ("files", &[NodeKind::Linux, NodeKind::Frr]),
    ("env", &[NodeKind::Linux, NodeKind::Frr]),
    ("run", &[NodeKind::Linux, NodeKind::Frr]),
    ("exec", &[NodeKind::Linux, NodeKind::Frr]),
    ("wait-for", &[NodeKind::Linux, NodeKind::Frr]),
    ("ready", &[NodeKind::Linux, NodeKind::Frr]),
    ("cpu", &[NodeKind::Linux, NodeKind::Frr]),
    ("memory", &[NodeKind::Linux, NodeKind::Frr]),
    ("pids", &[NodeKind::Linux, NodeKind::Frr]),
    ("management", &[NodeKind::Linux, NodeKind::Frr]),
    ("bgp", &[NodeKind::Frr]),
    ("ospf", &[NodeKind::Frr]),
    ("config", &[NodeKind::Frr]),
    ("host", &[NodeKind::Host]),
    ("subnets", &[NodeKind::Lan]),
    ("place", &[NodeKind::Linux, NodeKind::Frr, NodeKind::Lan]),
];

/// Whether a node of this kind can have the field at all.
pub(crate) fn fits(kind: &str, field: &str) -> bool {
    FIELDS.iter().find(|(f, _)| *f == field).is_none_or(|(_, kinds)| kinds.iter().any(|k| k.as_str() == kind))
}

pub(super) fn check(v: &mut Validator<'_>) {
    let mut router_ids: HashMap<Ipv4Addr, &NodeName> = HashMap::new();
    let mut edges: BTreeMap<&str, Vec<(&str, Loc)>> = BTreeMap::new();
    for (name, node) in v.nodes() {
        let taken = match name.as_str() {
            "all" => Some("`all` selects every node"),
            "localhost" => Some("`localhost` is every node's own loopback"),
            _ => None,
        };
        if let Some(why) = taken {
            v.error(v.key(&["nodes".into(), name.into()]), why, "taken", "give the node another name");
        }
        kind_fields(v, name, node);
        groups(v, name, node);
        for (i, other) in node.wait_for.iter().enumerate() {
            let here = at!(v, "nodes", name, "wait-for", i);
            if !v.known_node(other.as_str(), here) {
                continue;
            }
            if matches!(v.kind(other), Some(NodeKind::Lan | NodeKind::Host)) {
                let help = "wait for a node that runs something";
                v.error(
                    here,
                    format!("`{other}` is never \"ready\": a {} runs nothing", v.nodes()[other].kind.as_str()),
                    "",
                    help,
                );
            }
            edges.entry(name.as_str()).or_default().push((other.as_str(), here));
        }
        for (i, route) in node.routes.iter().enumerate() {
            self::route(v, name, i, route);
        }
        processes(v, name, node);
        files(v, name, node);
        limits(v, name, node);
        if let Some(bgp) = &node.bgp {
            self::bgp(v, name, bgp);
        }
        if let Some(ospf) = &node.ospf {
            self::ospf(v, name, ospf);
        }
        for (key, id) in [
            ("bgp", node.bgp.as_ref().and_then(|b| b.router_id)),
            ("ospf", node.ospf.as_ref().and_then(|o| o.router_id)),
        ] {
            let Some(id) = id else { continue };
            let here = at!(v, "nodes", name, key, "router-id");
            if id.is_unspecified() {
                v.error(
                    here,
                    "0.0.0.0 is no router id (RFC 6286 §2.1)",
                    "",
                    "leave it out: it is the first loopback address",
                );
            }
            match router_ids.get(&id) {
                Some(first) if *first != name => {
                    let k = if v.nodes()[*first].bgp.as_ref().is_some_and(|b| b.router_id == Some(id)) {
                        "bgp"
                    } else {
                        "ospf"
                    };
                    let there = at!(v, "nodes", *first, k, "router-id");
                    let d = Diagnostic::error(format!("{first} and {name} have the same router id {id}"))
                        .at(here, "again here")
                        .at(there, "first here");
                    v.found
                        .push(d.help("a router id names one router; leave it out to have the first loopback address"));
                }
                _ => {
                    router_ids.insert(id, name);
                }
            }
        }
        if let Some(config) = &node.config {
            for (i, d) in config.daemons.iter().enumerate() {
                if !DAEMONS.contains(&d.as_str()) {
                    let here = at!(v, "nodes", name, "config", "daemons", i);
                    v.error(here, format!("FRR has no daemon `{d}`"), "unknown", suggest(d, "daemons", DAEMONS));
                }
            }
        }
    }
    v.cycles(
        &edges,
        "nodes wait for each other in a circle",
        "none of them would ever start; take one `wait-for` away",
    );
    management(v);
}

fn kind_fields(v: &mut Validator<'_>, name: &NodeName, node: &Node) {
    let here = |v: &Validator<'_>, k: &str| v.key(&["nodes".into(), name.into(), k.into()]);
    let said: Vec<&str> =
        FIELDS.iter().filter(|(k, kinds)| !kinds.contains(&node.kind) && v.says(name, k)).map(|(k, _)| *k).collect();
    for field in said {
        let kinds = FIELDS
            .iter()
            .find(|(f, _)| *f == field)
            .map(|(_, k)| k.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(" and "))
            .unwrap_or_default();
        let kind = node.kind.as_str();
        let help = match node.kind {
            NodeKind::Linux => format!("set `kind: frr` for {name}, or write it under `kinds: {{frr: …}}`"),
            _ => format!("`{field}` belongs to nodes of kind {kinds}"),
        };
        v.error(here(v, field), format!("`{name}` is of kind {kind} and has no `{field}`"), "not for this kind", help);
    }
    if node.kind == NodeKind::Host && node.host.is_none() && v.intact(&["nodes".into(), name.into()]) {
        let loc = v.key(&["nodes".into(), name.into()]);
        v.error(
            loc,
            format!("`{name}` does not say which interface of the host it is"),
            "`host` is missing",
            "add `host: {interface: eth0}`",
        );
    }
    for key in node.sysctls.keys() {
        if !key.starts_with("net.") {
            let help = "only net.* belongs to a node's namespace; the rest is the whole machine's and is not touched";
            v.error(
                v.key(&["nodes".into(), name.into(), "sysctls".into(), key.into()]),
                format!("`{key}` is not a setting of a node"),
                "not net.*",
                help,
            );
        } else if key.contains("..") || key.contains('/') && key.contains("./") {
            v.error(
                v.key(&["nodes".into(), name.into(), "sysctls".into(), key.into()]),
                format!("`{key}` is not the name of a setting"),
                "",
                "",
            );
        }
    }
}

/// A group that nobody declares is a tag; one that looks like a declared one is a slip.
fn groups(v: &mut Validator<'_>, name: &NodeName, node: &Node) {
    for (i, g) in node.groups.iter().enumerate() {
        let declared = v.groups;
        if declared.iter().any(|(d, _)| d == g) {
            continue;
        }
        if let Some(close) = closest(g, declared.iter().map(|(d, _)| d.as_str())) {
            let there = declared.iter().find(|(d, _)| d == close).map_or(Loc::NOWHERE, |(_, l)| *l);
            let here = at!(v, "nodes", name, "groups", i);
            let d = Diagnostic::warning(format!("no group `{g}` is declared, so nothing is inherited from it"))
                .at(here, "a tag only")
                .at(there, "did you mean this?");
            v.found
                .push(d.help(format!("write `{close}`, or declare `{g}` under `groups` if it is meant to be another")));
        }
    }
}

fn route(v: &mut Validator<'_>, name: &NodeName, i: usize, route: &StaticRoute) {
    let at = |v: &Validator<'_>, k: &str| at!(v, "nodes", name, "routes", i, k);
    if let Destination::Net(net) = &route.to {
        host_bits(v, net, at(v, "to"), "a prefix");
        if let Some(via) = route.via
            && via.is_ipv4() != net.addr().is_ipv4()
        {
            let d = Diagnostic::error(format!("a route to {net} cannot go via {via}: they are of different families"));
            let d = d.at(at(v, "via"), "this").at(at(v, "to"), "and this");
            v.found.push(d.help("netloom routes each family by a next hop of its own"));
        }
    }
    if route.blackhole && (route.via.is_some() || route.dev.is_some()) {
        v.error(
            at(v, "blackhole"),
            "a blackhole throws packets away, so it has neither `via` nor `dev`",
            "",
            "keep one or the other",
        );
    }
    let whole = v.intact(&["nodes".into(), name.into(), "routes".into(), i.into()]);
    if !route.blackhole && route.via.is_none() && route.dev.is_none() && whole {
        v.error(
            at(v, "to"),
            "the route does not say where packets go",
            "to where?",
            "add `via: ADDRESS`, `dev: INTERFACE`, or `blackhole: true`",
        );
    }
    if matches!(route.to, Destination::Default(_)) && route.via.is_none() && (route.dev.is_some() || route.blackhole) {
        v.error(
            at(v, "to"),
            "without `via`, `default` does not say which family it is of",
            "IPv4 or IPv6?",
            "write 0.0.0.0/0 or ::/0",
        );
    }
    if let Some(dev) = route.dev.as_ref().filter(|_| v.intact(&["links".into()])) {
        let known = v.interfaces(name);
        if !known.iter().any(|k| k == dev.as_str()) && !matches!(dev.as_str(), "lo" | "mgmt0") {
            let help = suggest(dev.as_str(), &format!("interfaces of {name}"), known.iter().map(String::as_str));
            v.error(at(v, "dev"), format!("{name} has no interface `{dev}`"), "unknown", help);
        }
    }
    let mixed =
        matches!((&route.to, route.via), (Destination::Net(n), Some(via)) if n.addr().is_ipv4() != via.is_ipv4());
    if let (Some(via), None, false) = (route.via, &route.dev, mixed) {
        unreachable_hop(v, name, via, |v| at(v, "via"));
    }
}

/// Warns of a next hop in no subnet of the node, where all its addresses are typed.
fn unreachable_hop(v: &mut Validator<'_>, name: &NodeName, via: IpAddr, here: impl Fn(&Validator<'_>) -> Loc) {
    if matches!(via, IpAddr::V6(a) if (a.segments()[0] & 0xffc0) == 0xfe80) {
        let help = "add `dev: INTERFACE`";
        v.error(here(v), format!("{via} is a link-local address, so the route must say on which interface"), "", help);
        return;
    }
    if !v.intact(&["links".into()]) {
        return;
    }
    let ends = v.ends_of.get(name).cloned().unwrap_or_default();
    let mut nets: Vec<&ipnet::IpNet> = Vec::new();
    for (l, e) in ends {
        let mut own = v.lab.spec.links[l].endpoints[e]
            .addresses
            .iter()
            .filter(|a| a.addr().is_ipv4() == via.is_ipv4())
            .peekable();
        if own.peek().is_none() {
            return;
        }
        nets.extend(own);
    }
    let managed = v.lab.spec.management.as_ref().is_some_and(|m| match via {
        IpAddr::V4(a) => m.pool.contains(&a),
        IpAddr::V6(a) => m.pool6.is_some_and(|p| p.contains(&a)),
    });
    if managed || nets.iter().any(|n| n.contains(&via)) {
        return;
    }
    let list = nets.iter().map(|n| n.trunc().to_string()).collect::<Vec<_>>().join(", ");
    let help = if list.is_empty() {
        format!("{name} has no addresses of this family")
    } else {
        format!("{name} is in {list}")
    };
    v.warning(
        here(v),
        format!("{name} cannot reach the next hop {via}: it is in none of its subnets"),
        "the kernel will refuse the route",
        help,
    );
}

fn empty(command: &Command) -> bool {
    match command {
        Command::Shell(s) => s.trim().is_empty(),
        Command::Words(w) => w.first().is_none_or(|w| w.is_empty()),
    }
}

fn processes(v: &mut Validator<'_>, name: &NodeName, node: &Node) {
    for (process, p) in &node.run {
        let key = |v: &Validator<'_>| v.key(&["nodes".into(), name.into(), "run".into(), process.into()]);
        if process.is_empty()
            || process.contains('/')
            || process.contains(char::is_whitespace)
            || process.starts_with('.')
        {
            v.error(
                key(v),
                format!("{process:?} cannot name a process"),
                "",
                "it becomes a file name: no '/', no white space, no '.' at the start",
            );
        }
        if empty(&p.command) {
            v.error(
                at!(v, "nodes", name, "run", process, "command"),
                format!("the process `{process}` has no command"),
                "empty",
                "",
            );
        }
        if p.workdir.as_ref().is_some_and(|w| !w.starts_with('/')) {
            v.error(
                at!(v, "nodes", name, "run", process, "workdir"),
                "a working directory is an absolute path inside the node",
                "",
                "",
            );
        }
        env(v, p.env.keys(), &["nodes".into(), name.into(), "run".into(), process.into(), "env".into()]);
        if node.kind == NodeKind::Frr && DAEMONS.contains(&process.as_str()) {
            let help = "choose another name; to run the daemon itself, use `config: {daemons: […]}`";
            v.error(key(v), format!("`{process}` is the name of an FRR daemon of this node"), "taken", help);
        }
    }
    env(v, node.env.keys(), &["nodes".into(), name.into(), "env".into()]);
    for (key, list) in [("up", &node.exec.up), ("down", &node.exec.down)] {
        for (i, _) in list.iter().enumerate().filter(|(_, c)| empty(c)) {
            v.error(at!(v, "nodes", name, "exec", key, i), "an empty command", "", "");
        }
    }
    if let Some(ready) = &node.ready {
        if ready.tcp == Some(0) {
            v.error(at!(v, "nodes", name, "ready", "tcp"), "nobody listens on port 0", "", "a port from 1 to 65535");
        }
        if ready.exec.as_ref().is_some_and(empty) {
            v.error(at!(v, "nodes", name, "ready", "exec"), "an empty command", "", "");
        }
    }
}

fn env<'k>(v: &mut Validator<'_>, keys: impl Iterator<Item = &'k String>, path: &[super::Step<'_>]) {
    for key in keys.filter(|k| k.is_empty() || k.contains(['=', '\0'])) {
        let mut path = path.to_vec();
        path.push(key.into());
        v.error(v.key(&path), format!("{key:?} cannot name an environment variable"), "", "");
    }
}

fn files(v: &mut Validator<'_>, name: &NodeName, node: &Node) {
    let paths: HashSet<&str> = node.files.keys().map(String::as_str).collect();
    for (path, f) in &node.files {
        let key = v.key(&["nodes".into(), name.into(), "files".into(), path.into()]);
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        if !path.starts_with('/') {
            v.error(key, format!("`{path}` is not an absolute path"), "", format!("inside the node: /{path}"));
        } else if parts.iter().any(|p| p.is_empty() || *p == "." || *p == "..") || path.contains('\0') {
            v.error(
                key,
                format!("`{path}` does not name a file"),
                "",
                "a path without `.`, `..`, `//` or a `/` at the end",
            );
        } else if matches!(path.as_str(), "/etc" | "/run" | "/tmp" | "/var" | "/var/log") {
            v.error(key, format!("`{path}` is a directory"), "", format!("name a file in it: {path}/NAME"));
        } else if matches!(parts[0], "proc" | "sys" | "dev") {
            v.error(
                key,
                format!("/{} belongs to the kernel and takes no files", parts[0]),
                "",
                "for settings of the kernel there is `sysctls`",
            );
        } else if let Some(dir) = path.match_indices('/').skip(1).map(|(i, _)| &path[..i]).find(|d| paths.contains(d)) {
            let there = v.key(&["nodes".into(), name.into(), "files".into(), dir.into()]);
            let d = Diagnostic::error(format!("`{dir}` is a file, so `{path}` cannot be in it"))
                .at(key, "this")
                .at(there, "is in this");
            v.found.push(d);
        }
        if let Some(mode) = &f.mode
            && u32::from_str_radix(mode.strip_prefix("0o").unwrap_or(mode), 8).map_or(true, |m| m > 0o7777)
        {
            let here = at!(v, "nodes", name, "files", path, "mode");
            v.error(
                here,
                format!("{mode:?} is not a mode: permission bits in octal"),
                "",
                "such as \"0644\" or \"0755\"",
            );
        }
        if f.owner.as_ref().is_some_and(|o| o.is_empty() || o.split(':').count() > 2 || o.split(':').any(str::is_empty))
        {
            v.error(at!(v, "nodes", name, "files", path, "owner"), "an owner is USER or USER:GROUP", "", "");
        }
    }
}

fn limits(v: &mut Validator<'_>, name: &NodeName, node: &Node) {
    if node.cpu.is_some_and(|c| !(0.01..=1024.0).contains(&c)) {
        v.error(
            at!(v, "nodes", name, "cpu"),
            "a share of the processor lies between 0.01 and 1024 cores",
            "",
            "0.5 is half a core",
        );
    }
    if node.memory.is_some_and(|m| m.0 < 1 << 20) {
        v.error(at!(v, "nodes", name, "memory"), "no program runs in less than 1MiB", "", "such as 256MiB");
    }
    if node.pids.is_some_and(|p| p < 2) {
        v.error(
            at!(v, "nodes", name, "pids"),
            "a node that runs anything needs at least 2 processes",
            "",
            "its init and the program",
        );
    }
}

fn bgp(v: &mut Validator<'_>, name: &NodeName, bgp: &Bgp) {
    let at = |v: &Validator<'_>, k: &str| at!(v, "nodes", name, "bgp", k);
    if bgp.asn == 0 {
        v.error(
            at(v, "as"),
            "AS 0 is reserved (RFC 7607)",
            "",
            "64512 to 65534 and 4200000000 to 4294967294 are for private use (RFC 6996)",
        );
    }
    if bgp.maximum_paths.is_some_and(|m| !(1..=256).contains(&m)) {
        v.error(at(v, "maximum-paths"), "FRR uses 1 to 256 equal paths", "", "");
    }
    let ends = v.ends_of.get(name).map_or(&[][..], Vec::as_slice);
    let peers: HashSet<&NodeName> = ends.iter().map(|&(l, e)| &v.lab.spec.links[l].endpoints[1 - e].node).collect();
    let over_lan = peers.iter().any(|p| v.kind(p) == Some(NodeKind::Lan));
    for (peer, asn) in &bgp.remote_as {
        let key = v.key(&["nodes".into(), name.into(), "bgp".into(), "remote-as".into(), peer.into()]);
        if !v.known_node(peer.as_str(), key) {
            continue;
        }
        if *asn == 0 {
            v.error(at!(v, "nodes", name, "bgp", "remote-as", peer), "AS 0 is reserved (RFC 7607)", "", "");
        }
        let linked = peers.contains(peer) || over_lan || v.nodes()[peer].bgp.as_ref().is_some_and(|b| b.asn == bgp.asn);
        if !linked {
            v.warning(
                key,
                format!("{name} has no link to {peer}, so there is no session to expect an AS of"),
                "unused",
                "",
            );
        }
    }
    for (i, net) in bgp.networks.iter().enumerate() {
        host_bits(v, net, at!(v, "nodes", name, "bgp", "networks", i), "a prefix");
    }
    let seconds = |s: Option<Span>| s.is_none_or(|s| s.0.subsec_nanos() == 0 && s.0.as_secs() <= 65535);
    for (key, t) in [("keepalive", bgp.keepalive), ("hold", bgp.hold)] {
        if !seconds(t) {
            v.error(at(v, key), "BGP counts whole seconds, up to 65535s (RFC 4271 §4.2)", "", "");
        }
    }
    match (bgp.keepalive, bgp.hold) {
        (_, Some(h)) if !h.0.is_zero() && h.0.as_secs() < 3 && seconds(bgp.hold) => {
            v.error(at(v, "hold"), "a hold time is 0s (never) or at least 3s (RFC 4271 §4.2)", "", "")
        }
        (Some(k), Some(h)) if k > h && !h.0.is_zero() => {
            v.error(
                at(v, "keepalive"),
                format!("keepalives every {k} are later than the hold time of {h}"),
                "",
                "a third of the hold time is usual",
            );
        }
        _ => {}
    }
}

fn ospf(v: &mut Validator<'_>, name: &NodeName, ospf: &Ospf) {
    let at = |v: &Validator<'_>, k: &str| at!(v, "nodes", name, "ospf", k);
    for (key, t) in [("hello", ospf.hello), ("dead", ospf.dead)] {
        if t.is_some_and(|t| t.0.subsec_nanos() != 0 || !(1..=65535).contains(&t.0.as_secs())) {
            v.error(at(v, key), "OSPF counts whole seconds, 1s to 65535s (RFC 2328 §A.3.2)", "", "");
        }
    }
    if let (Some(h), Some(d)) = (ospf.hello, ospf.dead)
        && d <= h
    {
        v.error(
            at(v, "dead"),
            format!("a neighbour would be dead after {d}, before its next hello ({h})"),
            "",
            "four times the hello interval is usual",
        );
    }
}

fn management(v: &mut Validator<'_>) {
    let Some(m) = &v.lab.spec.management else { return };
    let mut seen: HashMap<(u16, bool), (Option<IpAddr>, usize)> = HashMap::new();
    for (i, p) in m.publish.iter().enumerate() {
        let here = at!(v, "management", "publish", i, "node");
        if v.known_node(p.node.as_str(), here) {
            let node = &v.nodes()[&p.node];
            if matches!(node.kind, NodeKind::Lan | NodeKind::Host) {
                v.error(here, format!("`{}` is a {} and listens on nothing", p.node, node.kind.as_str()), "", "");
            } else if node.management == Some(false) {
                let help = format!("take `management: false` away from {}", p.node);
                v.error(
                    here,
                    format!("`{}` is not in the management network, so no port leads to it", p.node),
                    "",
                    help,
                );
            }
        }
        match p.address {
            Some(IpAddr::V6(address)) if address.is_loopback() => v.error(
                at!(v, "management", "publish", i, "address"),
                "the kernel lets no packet for ::1 leave the host, so no port of it can lead into a node",
                "",
                "publish at 127.0.0.1, or at an IPv6 address that the host has",
            ),
            Some(IpAddr::V6(address)) if m.pool6.is_none() => v.error(
                at!(v, "management", "publish", i, "address"),
                format!("{address} is IPv6, and the nodes have no IPv6 address in the management network"),
                "",
                "give the management network a `pool6`, such as fd00:20::/64, or publish at an IPv4 address",
            ),
            _ => {}
        }
        for (key, port) in [("port", p.port), ("node-port", p.node_port)] {
            if port == 0 {
                v.error(at!(v, "management", "publish", i, key), "port 0 is no port", "", "1 to 65535");
            }
        }
        match seen.get(&(p.port, p.udp)) {
            Some((address, first))
                if *address == p.address || [*address, p.address].iter().flatten().any(IpAddr::is_unspecified) =>
            {
                let there = at!(v, "management", "publish", *first, "port");
                let d = Diagnostic::error(format!("the port {} of the host is published twice", p.port));
                let d = d.at(at!(v, "management", "publish", i, "port"), "again here").at(there, "first here");
                v.found.push(d);
            }
            _ => {
                seen.insert((p.port, p.udp), (p.address, i));
            }
        }
    }
}

impl Validator<'_> {
    /// Whether the lab says something of a node's field.
    fn says(&self, name: &NodeName, field: &str) -> bool {
        let Some(node) = self.nodes().get(name) else { return false };
        match field {
            "loopback" => node.loopback.is_some(),
            "routes" => !node.routes.is_empty(),
            "sysctls" => !node.sysctls.is_empty(),
            "files" => !node.files.is_empty(),
            "env" => !node.env.is_empty(),
            "run" => !node.run.is_empty(),
            "exec" => !node.exec.is_empty(),
            "wait-for" => !node.wait_for.is_empty(),
            "ready" => node.ready.is_some(),
            "cpu" => node.cpu.is_some(),
            "memory" => node.memory.is_some(),
            "pids" => node.pids.is_some(),
            "management" => node.management.is_some(),
            "bgp" => node.bgp.is_some(),
            "ospf" => node.ospf.is_some(),
            "config" => node.config.is_some(),
            "host" => node.host.is_some(),
            "subnets" => !node.subnets.is_empty(),
            "place" => node.place.is_some(),
            _ => false,
        }
    }
}
