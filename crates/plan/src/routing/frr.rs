//! An `frr` node: configuration files, daemons, readiness.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use indexmap::IndexMap;
use netloom_api::node::{Destination, Node, StaticRoute};
use netloom_api::values::NodeName;

use super::bgp::Systems;
use super::{DAEMONS, bgp, ospf, split};
use crate::desired::{FilePlan, ProcessPlan};
use crate::error::{PlanError, steps};
use crate::facts::{Facts, FrrFacts};
use crate::view::View;

/// Where zebra answers the other daemons.
const ZEBRA_SOCKET: &str = "/run/frr/zserv.api";

/// What a router adds to its node.
#[derive(Default)]
pub(crate) struct Router {
    pub(crate) files: BTreeMap<String, FilePlan>,
    pub(crate) processes: IndexMap<String, ProcessPlan>,
    /// Daemons whose socket must answer.
    pub(crate) daemons: Vec<String>,
}

/// What the graph and the static routes make, in FRR's language.
pub(crate) fn generated(
    view: &View<'_>,
    systems: &Systems<'_>,
    name: &NodeName,
    node: &Node,
    errors: &mut Vec<PlanError>,
) -> String {
    let mut o = String::new();
    for (i, route) in node.routes.iter().enumerate() {
        static_route(name, i, route, &mut o, errors);
    }
    if let Some(ospf) = &node.ospf {
        o.push_str(&ospf::config(view, name, ospf, errors));
    }
    if let Some(bgp) = &node.bgp {
        o.push_str(&bgp::config(view, systems, name, node, bgp, errors));
    }
    o
}

/// Files and processes of a router. `graph` is what [`generated`] made; `append` and `replace` are rendered already.
pub(crate) fn router(
    name: &NodeName,
    node: &Node,
    facts: &Facts,
    graph: &str,
    append: Option<&str>,
    replace: Option<&str>,
    errors: &mut Vec<PlanError>,
) -> Router {
    let Some(frr) = &facts.frr else {
        errors.push(PlanError::NoFrr { node: name.clone() });
        // What is wrong with the configuration is found all the same.
        if let Some(frr) = Facts::complete().frr {
            let _ = daemon_files(name, node, &frr, graph, append, replace, errors);
        }
        return Router::default();
    };
    let Some(files) = daemon_files(name, node, frr, graph, append, replace, errors) else {
        return Router::default();
    };
    let mut out = Router::default();
    let (owner, user, group) = if facts.rootless {
        (String::new(), "root", "root")
    } else {
        (format!("{}:{}", frr.user, frr.group), frr.user.as_str(), frr.group.as_str())
    };
    let file = |content: String| FilePlan { content, mode: 0o640, owner: owner.clone() };
    // A vtysh started by hand finds the split files.
    let vtysh = format!("no service integrated-vtysh-config\nhostname {name}\n");
    out.files.insert("/etc/frr/vtysh.conf".into(), file(vtysh));
    if facts.rootless {
        // The daemons insist on a user that belongs to the socket's group, and only group 0 exists here.
        let groups = format!("root:x:0:root\n{}:x:0:root\nnogroup:x:65534:\n", frr.vty_group);
        out.files.insert("/etc/group".into(), FilePlan { content: groups, mode: 0o644, owner: String::new() });
    }
    for daemon in DAEMONS.iter().map(|d| d.name) {
        let Some(text) = files.get(daemon) else {
            continue;
        };
        if !frr.daemons.contains(daemon) {
            errors.push(PlanError::NoDaemon {
                node: name.clone(),
                daemon: daemon.into(),
                directory: frr.directory.clone(),
                known: frr.daemons.iter().cloned().collect::<Vec<_>>().join(", "),
            });
            continue;
        }
        let conf = format!("/etc/frr/{daemon}.conf");
        out.files.insert(conf.clone(), file(format!("hostname {name}\n!\n{text}")));
        let argv = argv(frr, daemon, &conf, user, group);
        // A daemon that finds no zebra asks again after ten seconds, and without knowing the interfaces bgpd takes an IPv6 update
        // with a link-local next hop for malformed.
        let after = if daemon == "zebra" { Vec::new() } else { vec![ZEBRA_SOCKET.to_string()] };
        let process = ProcessPlan {
            after,
            argv,
            env: BTreeMap::new(),
            workdir: "/".into(),
            // Started as root: the daemon takes what it needs and changes its user itself.
            user: String::new(),
            log: format!("/var/log/{daemon}.log"),
            // /var/tmp/frr holds crash logs, one directory per process; a killed daemon leaves it behind.
            directories: ["/run/frr", "/var/tmp/frr"].map(|d| (d.to_string(), owner.clone())).into(),
        };
        out.processes.insert(daemon.into(), process);
        out.daemons.push(daemon.into());
    }
    out
}

/// A daemon in the foreground that logs to its standard output and listens on no TCP port for its terminal: its socket is enough.
fn argv(frr: &FrrFacts, daemon: &str, conf: &str, user: &str, group: &str) -> Vec<String> {
    let program = format!("{}/{daemon}", frr.directory);
    let mut argv: Vec<String> =
        [program.as_str(), "-f", conf, "-u", user, "-g", group, "-P", "0"].map(String::from).into();
    argv.extend(["--log", "stdout", "--log-level", "informational"].map(String::from));
    if daemon == "zebra" {
        // Room for a burst of netlink messages: zebra gives up when the kernel drops one.
        argv.extend(["-s", "90000000"].map(String::from));
    }
    argv
}

/// Daemon → text; `None` after an error.
fn daemon_files(
    name: &NodeName,
    node: &Node,
    frr: &FrrFacts,
    graph: &str,
    append: Option<&str>,
    replace: Option<&str>,
    errors: &mut Vec<PlanError>,
) -> Option<split::PerDaemon> {
    let mut wanted = BTreeSet::from(["zebra"]);
    if frr.daemons.contains("mgmtd") {
        wanted.insert("mgmtd");
    }
    for (i, extra) in node.config.iter().flat_map(|c| &c.daemons).enumerate() {
        match DAEMONS.iter().find(|d| d.name == extra) {
            Some(d) => drop(wanted.insert(d.name)),
            None => errors.push(PlanError::Value {
                node: name.clone(),
                what: "config.daemons".into(),
                why: format!(
                    "{extra:?} is no FRR daemon; there are {}",
                    DAEMONS.iter().map(|d| d.name).collect::<Vec<_>>().join(", ")
                ),
                at: steps!["nodes", name, "config", "daemons", i].into(),
            }),
        }
    }
    let base = replace.unwrap_or(graph);
    let base_lines = base.lines().count();
    let template = node.config.as_ref().is_some_and(|c| c.template);
    let mut text = base.to_string();
    if let Some(append) = append {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(append);
    }
    match split::split(&text, &wanted) {
        Ok(files) => Some(files),
        Err(unknown) => {
            errors.extend(unknown.into_iter().map(|u| {
                // Numbers count from the first line of the text the user wrote.
                let appended = u.line > base_lines;
                let (what, line) =
                    if appended { ("config.append", u.line - base_lines) } else { ("config.replace", u.line) };
                PlanError::ConfigLine { node: name.clone(), what, line, text: u.text, why: u.why, template }
            }));
            None
        }
    }
}

fn static_route(name: &NodeName, index: usize, route: &StaticRoute, o: &mut String, errors: &mut Vec<PlanError>) {
    let v4 = match (route.to, route.via) {
        (Destination::Net(net), _) => net.addr().is_ipv4(),
        (Destination::Default(_), via) => via.is_none_or(|v| v.is_ipv4()),
    };
    let ip = if v4 { "ip" } else { "ipv6" };
    let to = match route.to {
        Destination::Net(net) => net.trunc().to_string(),
        Destination::Default(_) if v4 => "0.0.0.0/0".into(),
        Destination::Default(_) => "::/0".into(),
    };
    let _ = write!(o, "{ip} route {to}");
    if route.blackhole {
        o.push_str(" blackhole");
    } else {
        if let Some(via) = route.via {
            let _ = write!(o, " {via}");
        }
        if let Some(dev) = &route.dev {
            let _ = write!(o, " {dev}");
        }
    }
    if let Some(metric) = route.metric {
        if !(1..=255).contains(&metric) {
            errors.push(PlanError::Value {
                node: name.clone(),
                what: format!("routes: {to}: metric"),
                why: format!("{metric} is outside 1 to 255: on a router the metric of a static route is FRR's administrative distance"),
                at: steps!["nodes", name, "routes", index, "metric"].into(),
            });
        }
        let _ = write!(o, " {metric}");
    }
    o.push('\n');
}
