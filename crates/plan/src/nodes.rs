//! What one node holds: routes, settings, files, processes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use indexmap::IndexMap;
use ipnet::IpNet;
use netloom_api::node::{Command, Destination, Node, NodeKind};
use netloom_api::values::NodeName;

use crate::allocate::Family;
use crate::desired::{FilePlan, Limits, NodePlan, ProcessPlan, ReadyPlan, RoutePlan};
use crate::error::{PlanError, steps};
use crate::facts::Facts;
use crate::routing::bgp::Systems;
use crate::routing::frr;
use crate::template::Renderer;
use crate::topology::forwards;
use crate::view::View;

/// How long a node may take to become ready, unless said.
pub const READY_WITHIN: Duration = Duration::from_secs(30);

/// Plans one node.
pub(crate) fn plan(
    view: &View<'_>,
    systems: &Systems<'_>,
    renderer: &mut Renderer<'_>,
    facts: &Facts,
    (name, node): (&NodeName, &Node),
    errors: &mut Vec<PlanError>,
) -> NodePlan {
    let (sysctls, optional_sysctls) = sysctls(view, name, node);
    let mut files = files(renderer, name, node, errors);
    for path in node.files.keys() {
        let top = path.split('/').find(|part| !part.is_empty());
        if let (Some(top), Some(there)) = (top, &facts.directories)
            && !there.contains(top)
        {
            errors.push(PlanError::NoDirectory { node: name.clone(), path: path.clone(), top: format!("/{top}") });
        }
    }
    let mut processes: IndexMap<String, ProcessPlan> = IndexMap::new();
    let mut daemons = Vec::new();
    let mut routes = Vec::new();
    if node.kind == NodeKind::Frr {
        let graph = frr::generated(view, systems, name, node, errors);
        let mut text = |what: &str, text: Option<&String>| match text {
            Some(t) if node.config.as_ref().is_some_and(|c| c.template) => renderer.render(name, what, t, errors),
            other => other.cloned(),
        };
        let config = node.config.as_ref();
        let append = text("config.append", config.and_then(|c| c.append.as_ref()));
        let replace = text("config.replace", config.and_then(|c| c.replace.as_ref()));
        let router = frr::router(name, node, facts, &graph, append.as_deref(), replace.as_deref(), errors);
        for (path, file) in router.files {
            // A file written by hand replaces what would be generated.
            files.entry(path).or_insert(file);
        }
        processes = router.processes;
        daemons = router.daemons;
    } else {
        routes = linux_routes(view, name, node);
    }
    for (process, spec) in &node.run {
        if processes.contains_key(process) {
            errors.push(PlanError::Value {
                node: name.clone(),
                what: format!("run.{process}"),
                why: "FRR's daemon of this name runs here already; choose another name".into(),
                at: steps!["nodes", name, "run", process.as_str()].into(),
            });
            continue;
        }
        processes.insert(
            process.clone(),
            ProcessPlan {
                argv: spec.command.argv(),
                env: spec.env.clone(),
                workdir: spec.workdir.clone().unwrap_or_else(|| "/".into()),
                user: spec.user.clone().unwrap_or_default(),
                log: format!("/var/log/{process}.log"),
                after: Vec::new(),
                directories: BTreeMap::new(),
            },
        );
    }
    let argv = |list: &[Command]| list.iter().map(Command::argv).collect::<Vec<_>>();
    let (on_up, on_down) = (argv(&node.exec.up), argv(&node.exec.down));
    let ready = node.ready.clone().unwrap_or_default();
    let ready = ReadyPlan {
        exec: ready.exec.as_ref().map(Command::argv),
        tcp: ready.tcp,
        frr: daemons,
        within: ready.within.map_or(READY_WITHIN, |s| s.0),
    };
    let asks = ready.exec.is_some() || ready.tcp.is_some();
    let populated = !files.is_empty() || !processes.is_empty() || !on_up.is_empty() || !on_down.is_empty() || asks;
    NodePlan {
        kind: node.kind,
        hostname: name.to_string(),
        loopback: view.loopbacks(name).to_vec(),
        routes,
        sysctls,
        optional_sysctls,
        files,
        processes,
        on_up,
        on_down,
        env: node.env.clone(),
        ready,
        wait_for: node.wait_for.clone(),
        limits: Limits { cpu: node.cpu, memory: node.memory.map(|b| b.0), pids: node.pids },
        host: node.host.clone(),
        populated,
    }
}

/// What a router's kernel must be told. (key, value); the node's own `sysctls` win.
const ROUTER: &[(&str, &str)] = &[
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv6.conf.all.forwarding", "1"),
    // Spread flows over equal paths by addresses and ports.
    ("net.ipv4.fib_multipath_hash_policy", "1"),
    ("net.ipv6.fib_multipath_hash_policy", "1"),
    // Packets may come back another way; IPv4 settings are inherited from a host that may filter.
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    // Answer ARP only for the interface's own addresses, and ask with one of them.
    ("net.ipv4.conf.all.arp_ignore", "1"),
    ("net.ipv4.conf.all.arp_announce", "2"),
    // A next hop behind a dead link is none.
    ("net.ipv4.conf.all.ignore_routes_with_linkdown", "1"),
    ("net.ipv6.conf.all.ignore_routes_with_linkdown", "1"),
    // Errors carry the address of the interface the packet came in by, as traceroute expects of a router; and are not rationed.
    ("net.ipv4.icmp_errors_use_inbound_ifaddr", "1"),
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv6.icmp.ratelimit", "0"),
    // A router takes no routes from router advertisements.
    ("net.ipv6.conf.all.accept_ra", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.all.keep_addr_on_down", "1"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.route.skip_notify_on_dev_down", "1"),
    // OSPF joins two groups per interface; the kernel's 20 are soon used up.
    ("net.ipv4.igmp_max_memberships", "4096"),
];

/// For a host with IPv6 addresses: usable at once, and still there after the link was down.
const HOST6: &[(&str, &str)] =
    &[("net.ipv6.conf.all.keep_addr_on_down", "1"), ("net.ipv6.conf.default.accept_dad", "0")];

/// A switch hands frames on as they are: where br_netfilter is loaded, it would filter bridged packets and trim their padding.
const LAN: &[(&str, &str)] = &[
    ("net.bridge.bridge-nf-call-iptables", "0"),
    ("net.bridge.bridge-nf-call-ip6tables", "0"),
    ("net.bridge.bridge-nf-call-arptables", "0"),
];

/// All settings, and which of them a kernel may lack: those nobody wrote.
fn sysctls(view: &View<'_>, name: &NodeName, node: &Node) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let has_v6 =
        || Family::V6.has(view.loopbacks(name)) || view.t.ends(name).iter().any(|&e| Family::V6.has(view.addresses(e)));
    let ours: &[(&str, &str)] = match node.kind {
        NodeKind::Frr => ROUTER,
        NodeKind::Linux if forwards(node) => ROUTER,
        NodeKind::Linux if has_v6() => HOST6,
        NodeKind::Lan => LAN,
        NodeKind::Linux | NodeKind::Host => &[],
    };
    let mut all = node.sysctls.clone();
    let mut optional = BTreeSet::new();
    // A host told to forward one family is not made to forward the other.
    let forwarding = |key: &str| key == "net.ipv4.ip_forward" || key == "net.ipv6.conf.all.forwarding";
    for (key, value) in ours.iter().filter(|(k, _)| node.kind == NodeKind::Frr || !forwarding(k)) {
        if !all.contains_key(*key) {
            all.insert((*key).into(), (*value).into());
            optional.insert((*key).into());
        }
    }
    (all, optional)
}

fn files(
    renderer: &mut Renderer<'_>,
    name: &NodeName,
    node: &Node,
    errors: &mut Vec<PlanError>,
) -> BTreeMap<String, FilePlan> {
    let mut out = BTreeMap::new();
    for (path, spec) in &node.files {
        let content =
            if spec.template { renderer.render(name, path, &spec.content, errors) } else { Some(spec.content.clone()) };
        let mode = match spec.mode.as_deref().map(|m| u32::from_str_radix(m.trim_start_matches("0o"), 8)) {
            None => 0o644,
            Some(Ok(mode)) if mode <= 0o7777 => mode,
            Some(_) => {
                errors.push(PlanError::Value {
                    node: name.clone(),
                    what: format!("files.{path}.mode"),
                    why: format!("{:?} is no octal number such as \"0644\"", spec.mode.as_deref().unwrap_or_default()),
                    at: steps!["nodes", name, "files", path.as_str(), "mode"].into(),
                });
                continue;
            }
        };
        if let Some(content) = content {
            out.insert(path.clone(), FilePlan { content, mode, owner: spec.owner.clone().unwrap_or_default() });
        }
    }
    out
}

/// Everything, in one family.
fn default_net(family: Family) -> IpNet {
    match family {
        Family::V4 => IpNet::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        Family::V6 => IpNet::from(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
    }
    .supernet_of_all()
}

/// A prefix of length 0.
trait Everything {
    fn supernet_of_all(self) -> IpNet;
}
impl Everything for IpNet {
    fn supernet_of_all(self) -> IpNet {
        IpNet::new(self.addr(), 0).unwrap_or(self)
    }
}

/// Routes as written, and default routes for a host that has addresses from a pool and one way out.
fn linux_routes(view: &View<'_>, name: &NodeName, node: &Node) -> Vec<RoutePlan> {
    let mut out: Vec<RoutePlan> = node
        .routes
        .iter()
        .map(|r| {
            let to = match r.to {
                Destination::Net(net) => net.trunc(),
                Destination::Default(_) if r.via.is_some_and(|v| v.is_ipv6()) => default_net(Family::V6),
                Destination::Default(_) => default_net(Family::V4),
            };
            RoutePlan { to, via: r.via, dev: r.dev.clone(), metric: r.metric, blackhole: r.blackhole }
        })
        .collect();
    if node.kind == NodeKind::Linux && !forwards(node) {
        for family in Family::BOTH {
            let declared = out.iter().any(|r| r.to.prefix_len() == 0 && Family::of(&r.to) == family);
            if !declared && let Some(via) = gateway(view, name, family) {
                out.push(RoutePlan {
                    to: default_net(family),
                    via: Some(via),
                    dev: None,
                    metric: None,
                    blackhole: false,
                });
            }
        }
    }
    out
}

/// The first router of the only segment of this host that has one, when the host's address there came from a pool.
fn gateway(view: &View<'_>, name: &NodeName, family: Family) -> Option<IpAddr> {
    let mut found = None;
    for end in view.ends(name) {
        let mut routers = view.t.neighbours(end).filter(|&n| forwards(view.t.at(n).1)).peekable();
        if routers.peek().is_none() {
            continue;
        }
        if found.is_some() {
            return None;
        }
        let pooled = view.a.pooled.contains(&(end, family));
        found = Some(routers.find_map(|r| view.reachable(end, r, family)).filter(|_| pooled));
    }
    found.flatten()
}
