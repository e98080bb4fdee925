//! What differs between a running lab and a plan: the difference of two plans for what the kernel cannot be asked, and what
//! the kernel and the keeper say for the rest.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use netloom_api::link::Impair;
use netloom_api::values::NodeName;
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{Batch, Rtnl};
use netloom_plan::desired::{BRIDGE_IFINDEX, LinkPlan, MANAGEMENT_IFINDEX, NodePlan, PORT_IFINDEX, Plan};
use netloom_plan::diff::{Action, Change, Subject, diff};
use netloom_relay::attach::is_tap;
use netloom_runtimes::client::Client;
use netloom_runtimes::protocol::NodeRecord;

use crate::error::Result;
use crate::faults::{BLACKHOLE, DOWN};
use crate::lab::STOPPED;
use crate::network::{Have, Want, settle};
use crate::spaces::Spaces;
use crate::topology::Topology;
use crate::{acl, fabric, impair};

/// What was seen, and what follows from it.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    /// Everything that differs, in words.
    pub(crate) changes: Vec<Change>,
    /// Namespaces that are there and stay.
    pub(crate) spaces: Spaces,
    /// What they hold.
    pub(crate) haves: HashMap<String, Have>,
    /// Nodes without a namespace.
    pub(crate) new_nodes: Vec<(&'a NodeName, &'a NodePlan)>,
    /// Namespaces that no node of the plan owns.
    pub(crate) old_nodes: Vec<String>,
    /// Namespaces of hosts that the plan does not name.
    pub(crate) old_hosts: Vec<String>,
    /// Links between namespaces that are to be made.
    pub(crate) new_links: Vec<&'a LinkPlan>,
    /// Links of ours to be deleted: node, index. One end is enough.
    pub(crate) old_links: Vec<(String, u32)>,
    /// Powered off.
    pub(crate) stopped: BTreeSet<String>,
    /// Ends down by a fault, and what they held.
    pub(crate) downed: BTreeMap<String, serde_json::Value>,
    /// Ends that lose everything by a fault.
    pub(crate) holes: Vec<String>,
    /// Nodes whose rules are to be set.
    pub(crate) acls: BTreeSet<String>,
    /// Ends whose impairment is to be set.
    pub(crate) impairs: BTreeSet<String>,
    pub(crate) records: HashMap<String, NodeRecord>,
}

/// Compares.
pub(crate) fn look<'a>(old: &Plan, topology: &'a Topology<'a>, client: &mut Client) -> Result<Look<'a>> {
    let new = topology.plan;
    let mut changes = diff(old, new);
    let held: BTreeSet<String> = client.held()?.into_iter().filter(|name| !name.contains('/')).collect();
    let (hosts, held): (BTreeSet<String>, BTreeSet<String>) = held.into_iter().partition(|name| fabric::is_host(name));
    let wanted: BTreeSet<String> = new.fabric.iter().flat_map(|plan| plan.hosts.keys()).map(fabric::space).collect();
    let (mut stay, mut new_nodes) = (Vec::new(), Vec::new());
    for (name, node) in topology.spaces() {
        // A node that is to become of another kind is made anew.
        let replaced = said(&changes, Action::Replace, &Subject::Node(name.clone()));
        if held.contains(name.as_str()) && !replaced {
            stay.push((name, node));
        } else {
            if !replaced && old.nodes.contains_key(name) {
                note(&mut changes, Action::Add, Subject::Node(name.clone()), "it was missing");
            }
            new_nodes.push((name, node));
        }
    }
    let old_nodes: Vec<String> =
        held.into_iter().filter(|held| !stay.iter().any(|(name, _)| name.as_str() == held)).collect();
    let all: Vec<&str> =
        stay.iter().map(|(name, _)| name.as_str()).chain(hosts.intersection(&wanted).map(String::as_str)).collect();
    let spaces = Spaces::fetch(client, all.iter().copied())?;
    let namespaces = all.iter().map(|name| spaces.get(name)).collect::<Result<Vec<&Netns>>>()?;
    let mut haves = HashMap::new();
    for (name, mut rtnl) in all.iter().zip(Rtnl::open_many(namespaces)?) {
        haves.insert((*name).to_owned(), Have::observe(&mut rtnl)?);
    }
    let mut look = Look {
        changes,
        spaces,
        haves,
        new_nodes,
        old_nodes,
        old_hosts: hosts.difference(&wanted).cloned().collect(),
        new_links: Vec::new(),
        old_links: Vec::new(),
        stopped: client
            .get(STOPPED)?
            .into_keys()
            .filter_map(|key| Some(key.strip_prefix(STOPPED)?.to_owned()))
            .collect(),
        downed: client
            .get(DOWN)?
            .into_iter()
            .filter_map(|(k, v)| Some((k.strip_prefix(DOWN)?.to_owned(), v)))
            .collect(),
        holes: client.get(BLACKHOLE)?.into_keys().filter_map(|k| Some(k.strip_prefix(BLACKHOLE)?.to_owned())).collect(),
        acls: BTreeSet::new(),
        impairs: BTreeSet::new(),
        records: client.list()?.into_iter().map(|record| (record.name.clone(), record)).collect(),
    };
    look.links(old, topology);
    look.configuration(topology, &stay);
    look.rules(topology, &stay)?;
    look.impairments(topology, &impair::in_force(client)?);
    look.processes(&stay);
    fabric::differences(topology, &look.spaces, client, &mut look.changes)?;
    Ok(look)
}

fn said(changes: &[Change], action: Action, subject: &Subject) -> bool {
    changes.iter().any(|change| change.action == action && change.subject == *subject)
}

pub(crate) fn note(changes: &mut Vec<Change>, action: Action, subject: Subject, detail: impl Into<String>) {
    if !changes.iter().any(|change| change.subject == subject) {
        changes.push(Change { action, subject, detail: detail.into() });
    }
}

impl<'a> Look<'a> {
    /// A link is right when both its interfaces are there, bear our mark, point at each other, and it was so in the last plan.
    fn links(&mut self, old: &Plan, topology: &'a Topology<'a>) {
        let key = |link: &LinkPlan| {
            // Where its ports are belongs to it: a port of the same number on another host is another's.
            let port =
                |at: usize| link.stitch.as_ref().map(|stitch| (stitch.ends[at].host.clone(), stitch.ends[at].port));
            let mut ends = [0, 1].map(|at| (link.ends[at].end(), link.ends[at].ifindex, port(at)));
            ends.sort();
            ends
        };
        let before: BTreeSet<_> = old.links.iter().map(key).collect();
        let mut right: HashMap<String, BTreeSet<u32>> = HashMap::new();
        for link in &topology.plan.links {
            if let Some(host) = topology.host_side(link) {
                // Made by another way, and never a stranger here.
                let inside = &link.ends[1 - host];
                right.entry(inside.node.to_string()).or_default().insert(inside.ifindex);
                continue;
            }
            let points = |this: &Half<'_>, other: &Half<'_>| {
                let link = self.haves.get(&this.space).and_then(|have| have.link(this.index));
                link.is_some_and(|link| {
                    link.kind.as_deref() == Some("veth")
                        && link.alias.as_deref() == Some(&topology.alias)
                        && link.peer == Some(other.index)
                        && (link.name == this.name || !fabric::is_host(&this.space))
                })
            };
            let whole = halves(link).iter().all(|[a, b]| points(a, b) && points(b, a));
            if before.contains(&key(link)) && whole {
                for half in halves(link).into_iter().flatten() {
                    right.entry(half.space).or_default().insert(half.index);
                }
            } else {
                let subject = Subject::Link(link.id.clone());
                note(&mut self.changes, Action::Replace, subject, "an interface of it was missing or another");
                self.new_links.push(link);
            }
        }
        for (node, have) in &self.haves {
            for link in &have.links {
                let special = link.index == BRIDGE_IFINDEX
                    || link.index == MANAGEMENT_IFINDEX
                    || is_tap(&link.name)
                    || (fabric::is_host(node) && link.index == PORT_IFINDEX);
                let ours = link.alias.as_deref() == Some(&topology.alias);
                // A half-made interface has no mark yet; where a wanted one must stand it is in the way.
                let in_the_way = self
                    .new_links
                    .iter()
                    .flat_map(|new| halves(new).into_iter().flatten())
                    .any(|half| half.space == *node && (half.index == link.index || half.name == link.name));
                let wanted = right.get(node).is_some_and(|right| right.contains(&link.index));
                if !special && !wanted && (ours || in_the_way) {
                    self.old_links.push((node.clone(), link.index));
                }
            }
        }
    }

    /// Addresses, routes, states.
    fn configuration(&mut self, topology: &'a Topology<'a>, stay: &[(&'a NodeName, &'a NodePlan)]) {
        for (name, node) in stay {
            let Some(have) = self.haves.get(name.as_str()) else { continue };
            if self.stopped.contains(name.as_str()) {
                continue;
            }
            let mut found = Vec::new();
            let mut want = Want::new(topology, name, node);
            let existing: Vec<_> =
                want.ends.iter().filter(|end| have.link(end.this.ifindex).is_some()).copied().collect();
            want.ends = &existing;
            settle(&want, have, &mut Batch::new(), &mut found);
            for change in merged(found) {
                let known = match &change.subject {
                    // Said already as the change of its link.
                    Subject::End(end) => self.changes.iter().any(|c| match &c.subject {
                        Subject::Link(id) => id.split("--").any(|side| side == end.to_string()),
                        other => *other == change.subject,
                    }),
                    Subject::Node(_) => false,
                    // Routes of a link that comes or goes are not a change of their own.
                    other => self.changes.iter().any(|c| c.subject == *other),
                };
                if !known {
                    self.changes.push(change);
                }
            }
        }
    }

    fn rules(&mut self, topology: &'a Topology<'a>, stay: &[(&'a NodeName, &'a NodePlan)]) -> Result<()> {
        for change in &self.changes {
            if let Subject::End(end) = &change.subject
                && change.detail.contains("acl")
            {
                self.acls.insert(end.node.to_string());
            }
        }
        for (name, _) in stay {
            let ends = topology.ends(name.as_str());
            if !acl::present(self.spaces.get(name.as_str())?, ends)?
                && self.acls.insert(name.to_string())
                && let Some(end) = ends.iter().find(|end| end.this.acl.is_some())
            {
                let subject = Subject::End(end.this.end());
                note(&mut self.changes, Action::Change, subject, "acl was missing");
            }
        }
        // A link that is gone took none of its rules along, and one that comes needs its own.
        let touched = self.new_links.iter().flat_map(|link| link.ends.iter().map(|end| end.node.to_string()));
        self.acls.extend(touched.chain(self.old_links.iter().map(|(node, _)| node.clone())));
        let stay: BTreeSet<&str> = stay.iter().map(|(name, _)| name.as_str()).collect();
        self.acls.retain(|node| stay.contains(node.as_str()));
        self.acls.extend(self.new_nodes.iter().map(|(name, _)| name.to_string()));
        Ok(())
    }

    fn impairments(&mut self, topology: &'a Topology<'a>, force: &[(String, Impair)]) {
        let mut seen = BTreeSet::new();
        for link in &topology.plan.links {
            let made = self.new_links.iter().any(|new| new.id == link.id);
            for end in &link.ends {
                let name = end.end().to_string();
                let now = force.iter().find(|(end, _)| *end == name).map(|(_, impair)| impair);
                if now != end.impair.as_ref() {
                    let subject = Subject::End(end.end());
                    if !made {
                        note(&mut self.changes, Action::Change, subject, "impairment set by hand");
                    }
                    self.impairs.insert(name.clone());
                } else if made && end.impair.is_some() {
                    self.impairs.insert(name.clone());
                }
                seen.insert(name);
            }
        }
        // Of ends that are no more.
        self.impairs.extend(force.iter().map(|(end, _)| end.clone()).filter(|end| !seen.contains(end)));
    }

    /// Processes that should run and do not.
    fn processes(&mut self, stay: &[(&'a NodeName, &'a NodePlan)]) {
        for (name, node) in stay {
            if self.stopped.contains(name.as_str()) || !node.populated {
                continue;
            }
            let Some(record) = self.records.get(name.as_str()).filter(|record| record.init.is_some()) else {
                note(&mut self.changes, Action::Restart, Subject::Node(name.to_owned().clone()), "nothing runs in it");
                continue;
            };
            for process in &record.processes {
                if let Some(exit) = process.exit
                    && node.processes.contains_key(&process.name)
                {
                    let subject = Subject::Process(name.to_owned().clone(), process.name.clone());
                    note(&mut self.changes, Action::Restart, subject, format!("it had ended ({exit})"));
                }
            }
        }
    }
}

/// Half of a veth.
struct Half<'a> {
    /// Its namespace, as the keeper calls it.
    space: String,
    index: u32,
    name: &'a str,
}

/// The veths of a link.
fn halves(link: &LinkPlan) -> Vec<[Half<'_>; 2]> {
    let [a, b] = link.ends.each_ref().map(|end| Half {
        space: end.node.to_string(),
        index: end.ifindex,
        name: end.interface.as_str(),
    });
    match &link.stitch {
        None => vec![[a, b]],
        Some(stitch) => {
            let [pa, pb] = stitch.ends.each_ref().map(|port| Half {
                space: fabric::space(&port.host),
                index: port.ifindex(),
                name: &port.name,
            });
            vec![[a, pa], [b, pb]]
        }
    }
}

/// One change per subject.
fn merged(changes: Vec<Change>) -> Vec<Change> {
    let mut out: Vec<Change> = Vec::new();
    for change in changes {
        match out.iter_mut().find(|other| other.subject == change.subject) {
            Some(other) => other.detail = format!("{}, {}", other.detail, change.detail),
            None => out.push(change),
        }
    }
    out
}
