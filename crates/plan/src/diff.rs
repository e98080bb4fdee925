//! The difference of two plans, in words an engineer checks before saying yes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use indexmap::IndexMap;
use netloom_api::values::{EndRef, HostName, NodeName};
use serde::{Deserialize, Serialize};

use crate::desired::{AclPlan, EndPlan, FabricPlan, FilePlan, LinkPlan, NodePlan, Plan, ProcessPlan};
use crate::routing::reload_commands;

/// What is done about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is missing and is made.
    Add,
    /// It is there and differs.
    Change,
    /// It is there and should not be.
    Remove,
    /// It is made anew: removed, then added.
    Replace,
    /// A process is started again.
    Restart,
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A whole node.
    Node(NodeName),
    /// A link, by its id `a:eth1--b:eth1`.
    Link(String),
    /// One end: state, MAC, addresses, impairment, rules.
    End(EndRef),
    /// A node's loopback addresses.
    Loopback(NodeName),
    /// A node's routes.
    Routes(NodeName),
    /// A node's settings.
    Sysctls(NodeName),
    /// A file of a node.
    File(NodeName, String),
    /// A process of a node.
    Process(NodeName, String),
    /// A node's limits.
    Limits(NodeName),
    /// A node's hooks.
    Hooks(NodeName),
    /// The lab-wide hosts file.
    Hosts,
    /// The management network.
    Management,
    /// A host's Open vSwitch: its daemons, bridges and tunnels, and the network between the hosts.
    Switch(HostName),
}

/// One difference, and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// To what.
    pub subject: Subject,
    /// In words: `mtu 1500 → 9000`, `addresses +10.0.0.1/31 −10.0.0.3/31`. Empty when the subject says it all.
    pub detail: String,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Action::Add => "add",
            Action::Change => "change",
            Action::Remove => "remove",
            Action::Replace => "replace",
            Action::Restart => "restart",
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Node(node) => write!(f, "node {node}"),
            Subject::Link(id) => write!(f, "link {id}"),
            Subject::End(end) => write!(f, "end {end}"),
            Subject::Loopback(node) => write!(f, "loopback of {node}"),
            Subject::Routes(node) => write!(f, "routes of {node}"),
            Subject::Sysctls(node) => write!(f, "sysctls of {node}"),
            Subject::File(node, path) => write!(f, "file {node}:{path}"),
            Subject::Process(node, name) => write!(f, "process {name} of {node}"),
            Subject::Limits(node) => write!(f, "limits of {node}"),
            Subject::Hooks(node) => write!(f, "hooks of {node}"),
            Subject::Hosts => f.write_str("names of the lab (/etc/hosts)"),
            Subject::Management => f.write_str("management network"),
            Subject::Switch(host) => write!(f, "switch of host {host}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.subject)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// What has to happen to make `new` of `old`: removals first (links, then nodes), then nodes, then links, in the order of the files.
///
/// A link written with its ends the other way round is the same link. The files, processes and links of a node that comes or goes
/// are not listed one by one, except links.
pub fn diff(old: &Plan, new: &Plan) -> Vec<Change> {
    let mut out = Vec::new();
    let before: HashMap<_, &LinkPlan> = old.links.iter().map(|l| (identity(l), l)).collect();
    let after: HashMap<_, &LinkPlan> = new.links.iter().map(|l| (identity(l), l)).collect();
    for link in old.links.iter().filter(|l| !after.contains_key(&identity(l))) {
        push(&mut out, Action::Remove, Subject::Link(link.id.clone()), "");
    }
    for name in old.nodes.keys().filter(|n| !new.nodes.contains_key(*n)) {
        push(&mut out, Action::Remove, Subject::Node(name.clone()), "");
    }
    for (name, node) in &new.nodes {
        match old.nodes.get(name) {
            None => push(&mut out, Action::Add, Subject::Node(name.clone()), node.kind.as_str()),
            Some(was) => nodes(&mut out, name, was, node),
        }
    }
    for link in &new.links {
        match before.get(&identity(link)) {
            None => push(&mut out, Action::Add, Subject::Link(link.id.clone()), ""),
            Some(was) => links(&mut out, was, link),
        }
    }
    if old.hosts_file != new.hosts_file {
        push(&mut out, Action::Change, Subject::Hosts, "");
    }
    switches(&mut out, old.fabric.as_ref(), new.fabric.as_ref());
    if old.management != new.management {
        let action = match (&old.management, &new.management) {
            (None, _) => Action::Add,
            (_, None) => Action::Remove,
            _ => Action::Change,
        };
        push(&mut out, action, Subject::Management, "");
    }
    out
}

fn push(out: &mut Vec<Change>, action: Action, subject: Subject, detail: impl Into<String>) {
    out.push(Change { action, subject, detail: detail.into() });
}

/// Hosts that come, go or change.
fn switches(out: &mut Vec<Change>, old: Option<&FabricPlan>, new: Option<&FabricPlan>) {
    let hosts = |plan: Option<&FabricPlan>| plan.map(|plan| plan.hosts.clone()).unwrap_or_default();
    let (before, after) = (hosts(old), hosts(new));
    for host in before.keys().filter(|host| !after.contains_key(*host)) {
        push(out, Action::Remove, Subject::Switch(host.clone()), "");
    }
    for (host, plan) in &after {
        match before.get(host) {
            None => push(out, Action::Add, Subject::Switch(host.clone()), ""),
            Some(was) if was.mtu != plan.mtu => {
                let detail = format!("mtu between the hosts {} → {}", was.mtu, plan.mtu);
                push(out, Action::Change, Subject::Switch(host.clone()), detail);
            }
            Some(_) => {}
        }
        if before.contains_key(host) && old.map(|old| &old.export) != new.map(|new| &new.export) {
            push(out, Action::Change, Subject::Switch(host.clone()), "what it tells collectors");
        }
    }
}

/// A link's two ends in a fixed order.
fn identity(link: &LinkPlan) -> [(&str, &str); 2] {
    let mut ends = [0, 1].map(|i| (link.ends[i].node.as_str(), link.ends[i].interface.as_str()));
    ends.sort_unstable();
    ends
}

/// `+new −old` of two lists.
fn lists<T: PartialEq + fmt::Display>(what: &str, old: &[T], new: &[T]) -> Option<String> {
    let added = new.iter().filter(|n| !old.contains(n)).map(|n| format!(" +{n}"));
    let removed = old.iter().filter(|o| !new.contains(o)).map(|o| format!(" −{o}"));
    let text: String = added.chain(removed).collect();
    if !text.is_empty() {
        Some(format!("{what}{text}"))
    } else {
        (old != new).then(|| format!("{what} in another order"))
    }
}

fn links(out: &mut Vec<Change>, old: &LinkPlan, new: &LinkPlan) {
    let turned = old.ends[0].end() != new.ends[0].end();
    let pairs = [0, 1].map(|i| (&old.ends[if turned { 1 - i } else { i }], &new.ends[i]));
    if pairs.iter().any(|(o, n)| o.ifindex != n.ifindex) {
        push(out, Action::Replace, Subject::Link(new.id.clone()), "another interface index");
        return;
    }
    if let Some(detail) = stitched(old, new, turned) {
        push(out, Action::Replace, Subject::Link(new.id.clone()), detail);
        return;
    }
    if old.mtu != new.mtu {
        let detail = format!("mtu {} → {}", old.mtu, new.mtu);
        push(out, Action::Change, Subject::Link(new.id.clone()), detail);
    }
    for (o, n) in pairs {
        let detail = end(o, n).join(", ");
        if !detail.is_empty() {
            push(out, Action::Change, Subject::End(n.end()), detail);
        }
    }
}

/// What about a link's way over the switches needs its interfaces made anew.
fn stitched(old: &LinkPlan, new: &LinkPlan, turned: bool) -> Option<String> {
    let (was, is) = match (&old.stitch, &new.stitch) {
        (None, None) => return None,
        (None, Some(_)) => return Some("from a veth to Open vSwitch".into()),
        (Some(_), None) => return Some("from Open vSwitch to a veth".into()),
        (Some(was), Some(is)) => (was, is),
    };
    let moved = (0..2).find(|&i| was.ends[if turned { 1 - i } else { i }] != is.ends[i])?;
    let (from, to) = (&was.ends[if turned { 1 - moved } else { moved }], &is.ends[moved]);
    Some(if from.host == to.host {
        format!("another port on host {}", to.host)
    } else {
        format!("{} from host {} to {}", new.ends[moved].node, from.host, to.host)
    })
}

fn end(old: &EndPlan, new: &EndPlan) -> Vec<String> {
    let mut out = Vec::new();
    if old.up != new.up {
        out.push(if new.up { "up".into() } else { "down".into() });
    }
    if old.mac != new.mac {
        out.push(format!("mac {} → {}", old.mac, new.mac));
    }
    out.extend(lists("addresses", &old.addresses, &new.addresses));
    if old.impair != new.impair {
        out.push(match &new.impair {
            None => "impairment cleared".into(),
            Some(i) => format!("impairment {}", impair(i)),
        });
    }
    if old.acl != new.acl {
        let none = AclPlan::default();
        let (o, n) = (old.acl.as_ref().unwrap_or(&none), new.acl.as_ref().unwrap_or(&none));
        let before = out.len();
        out.extend(lists("acl in:", &o.ingress, &n.ingress));
        out.extend(lists("acl out:", &o.egress, &n.egress));
        if out.len() == before {
            out.push(format!("acl {}", if n.stateful { "stateful" } else { "stateless" }));
        }
    }
    out
}

pub(crate) fn impair(i: &netloom_api::link::Impair) -> String {
    let mut words = Vec::new();
    let mut word = |what: &str, value: Option<String>| words.extend(value.map(|v| format!("{what} {v}")));
    word("delay", i.delay.map(|v| v.to_string()));
    word("jitter", i.jitter.map(|v| v.to_string()));
    word("loss", i.loss.map(|v| v.to_string()));
    word("rate", i.rate.map(|v| v.to_string()));
    word("duplicate", i.duplicate.map(|v| v.to_string()));
    word("corrupt", i.corrupt.map(|v| v.to_string()));
    word("reorder", i.reorder.map(|v| v.to_string()));
    word("limit", i.limit.map(|v| v.to_string()));
    words.join(" ")
}

fn nodes(out: &mut Vec<Change>, name: &NodeName, old: &NodePlan, new: &NodePlan) {
    if old == new {
        return;
    }
    if old.kind != new.kind || old.host != new.host {
        let detail = if old.kind == new.kind {
            "another interface of the host".to_string()
        } else {
            format!("kind {} → {}", old.kind.as_str(), new.kind.as_str())
        };
        push(out, Action::Replace, Subject::Node(name.clone()), detail);
        return;
    }
    if old.env != new.env {
        push(out, Action::Change, Subject::Node(name.clone()), maps("environment", &old.env, &new.env));
    }
    if old.ready != new.ready || old.wait_for != new.wait_for {
        push(out, Action::Change, Subject::Node(name.clone()), "readiness");
    }
    if let Some(detail) = lists("", &old.loopback, &new.loopback) {
        push(out, Action::Change, Subject::Loopback(name.clone()), detail.trim());
    }
    let routes = |n: &NodePlan| n.routes.iter().map(route).collect::<Vec<_>>();
    if let Some(detail) = lists("", &routes(old), &routes(new)) {
        push(out, Action::Change, Subject::Routes(name.clone()), detail.trim());
    }
    if old.sysctls != new.sysctls {
        let detail = maps("", &old.sysctls, &new.sysctls);
        push(out, Action::Change, Subject::Sysctls(name.clone()), detail.trim());
    }
    let touched = files(out, name, &old.files, &new.files);
    processes(out, name, (old, new), &touched);
    if old.limits != new.limits {
        let (o, n) = (&old.limits, &new.limits);
        let mut words = Vec::new();
        let mut word = |what: &str, o: Option<String>, n: Option<String>| {
            if o != n {
                let say = |v: Option<String>| v.unwrap_or_else(|| "unlimited".into());
                words.push(format!("{what} {} → {}", say(o), say(n)));
            }
        };
        word("cpu", o.cpu.map(|v| v.to_string()), n.cpu.map(|v| v.to_string()));
        word("memory", o.memory.map(|v| v.to_string()), n.memory.map(|v| v.to_string()));
        word("pids", o.pids.map(|v| v.to_string()), n.pids.map(|v| v.to_string()));
        push(out, Action::Change, Subject::Limits(name.clone()), words.join(", "));
    }
    if old.on_up != new.on_up || old.on_down != new.on_down {
        let which = match (old.on_up != new.on_up, old.on_down != new.on_down) {
            (true, true) => "up, down",
            (true, false) => "up",
            _ => "down",
        };
        push(out, Action::Change, Subject::Hooks(name.clone()), which);
    }
}

fn route(r: &crate::desired::RoutePlan) -> String {
    let mut text = r.to.to_string();
    if r.blackhole {
        text.push_str(" blackhole");
    }
    let mut word = |what: &str, value: Option<String>| {
        if let Some(v) = value {
            text.push_str(&format!(" {what} {v}"));
        }
    };
    word("via", r.via.map(|v| v.to_string()));
    word("dev", r.dev.as_ref().map(ToString::to_string));
    word("metric", r.metric.map(|v| v.to_string()));
    text
}

/// `key old → new`, `+key=new`, `−key`.
fn maps(what: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> String {
    let mut words = vec![what.to_string()];
    for (key, value) in new {
        match old.get(key) {
            None => words.push(format!("+{key}={value}")),
            Some(was) if was != value => words.push(format!("{key} {was} → {value}")),
            Some(_) => {}
        }
    }
    words.extend(old.keys().filter(|k| !new.contains_key(*k)).map(|k| format!("−{k}")));
    words.join(" ")
}

/// Notes file changes; returns the paths that come, change or go.
fn files<'p>(
    out: &mut Vec<Change>,
    name: &NodeName,
    old: &'p BTreeMap<String, FilePlan>,
    new: &'p BTreeMap<String, FilePlan>,
) -> Vec<&'p str> {
    let mut touched = Vec::new();
    let mut note = |action, path: &'p str, detail: String| {
        touched.push(path);
        push(out, action, Subject::File(name.clone(), path.to_string()), detail);
    };
    for path in old.keys().filter(|p| !new.contains_key(*p)) {
        note(Action::Remove, path, String::new());
    }
    for (path, file) in new {
        match old.get(path) {
            None => note(Action::Add, path, String::new()),
            Some(was) if was != file => note(Action::Change, path, file_detail(was, file)),
            Some(_) => {}
        }
    }
    touched
}

fn file_detail(old: &FilePlan, new: &FilePlan) -> String {
    let mut words = Vec::new();
    if old.content != new.content {
        let count = |a: &str, b: &str| {
            let mut have: HashMap<&str, usize> = HashMap::new();
            b.lines().for_each(|l| *have.entry(l).or_default() += 1);
            a.lines()
                .filter(|l| match have.get_mut(l) {
                    Some(n) if *n > 0 => {
                        *n -= 1;
                        false
                    }
                    _ => true,
                })
                .count()
        };
        let (more, less) = (count(&new.content, &old.content), count(&old.content, &new.content));
        words.push(format!("lines +{more} −{less}"));
    }
    if old.mode != new.mode {
        words.push(format!("mode {:04o} → {:04o}", old.mode, new.mode));
    }
    if old.owner != new.owner {
        let say = |o: &str| {
            if o.is_empty() { "root".to_string() } else { o.to_string() }
        };
        words.push(format!("owner {} → {}", say(&old.owner), say(&new.owner)));
    }
    words.join(", ")
}

/// True for the daemons whose file mgmtd reads in their place, from FRR 9 on: both have to start again for a change of it.
fn managed(node: &NodePlan, daemon: &str) -> bool {
    let has = |name: &str| node.ready.frr.iter().any(|d| d == name);
    has("mgmtd") && has(daemon) && matches!(daemon, "mgmtd" | "zebra" | "staticd" | "ripd" | "ripngd")
}

/// What a running FRR daemon is told (after `configure terminal`) so that it does what its new file says; `None` when it is no FRR
/// daemon, something else about it changed as well, or only a restart will do.
pub fn live_commands(old: &NodePlan, new: &NodePlan, process: &str) -> Option<Vec<String>> {
    if managed(new, process) {
        return None;
    }
    let daemon = old.ready.frr.iter().chain(&new.ready.frr).filter(|d| *d == process).count() == 2;
    if !daemon || old.env != new.env || old.processes.get(process)? != new.processes.get(process)? {
        return None;
    }
    let path = format!("/etc/frr/{process}.conf");
    let (was, is) = (old.files.get(&path)?, new.files.get(&path)?);
    reload_commands(&was.content, &is.content)
}

/// Notes processes that come, go, or have to be started again: another command, or a file their command names has changed.
fn processes(out: &mut Vec<Change>, name: &NodeName, (before, after): (&NodePlan, &NodePlan), touched: &[&str]) {
    let (old, new): (&IndexMap<String, ProcessPlan>, _) = (&before.processes, &after.processes);
    let subject = |p: &str| Subject::Process(name.clone(), p.to_string());
    for process in old.keys().filter(|p| !new.contains_key(*p)) {
        push(out, Action::Remove, subject(process), "");
    }
    for (process, plan) in new {
        let Some(was) = old.get(process) else {
            push(out, Action::Add, subject(process), plan.argv.join(" "));
            continue;
        };
        let reads = |path: &str| {
            let daemon = path.strip_prefix("/etc/frr/").and_then(|p| p.strip_suffix(".conf"));
            process == "mgmtd" && daemon.is_some_and(|d| managed(after, d))
        };
        let names = |path: &&&str| plan.argv.iter().any(|word| word.contains(**path)) || reads(path);
        if was != plan {
            let what = if was.argv == plan.argv { "its surroundings changed" } else { "another command" };
            push(out, Action::Restart, subject(process), what);
        } else if let Some(path) = touched.iter().find(names)
            && let Some(commands) = live_commands(before, after, process)
        {
            if !commands.is_empty() {
                push(
                    out,
                    Action::Change,
                    subject(process),
                    format!("told what changed in {path}, and goes on running"),
                );
            }
        } else if let Some(path) = touched.iter().find(names) {
            push(out, Action::Restart, subject(process), format!("{path} changed"));
        } else if before.env != after.env {
            push(out, Action::Restart, subject(process), "environment changed");
        }
    }
}
