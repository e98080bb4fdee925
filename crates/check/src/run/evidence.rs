//! What is written down when a test did not pass, before its faults are put back.

use std::collections::VecDeque;

use netloom_api::node::NodeKind;
use netloom_api::values::NodeName;
use netloom_plan::desired::Plan;

use crate::error::Result;
use crate::observe;
use crate::verdict::{Evidence, Finding};
use crate::world::World;

/// Nodes looked at, at most.
const NODES: usize = 6;
/// Lines of one piece, at most.
const LINES: usize = 60;
/// Lines of a log.
const LOG: usize = 15;

/// Collects evidence about the nodes the findings speak of, and those between them.
pub fn collect(world: &dyn World, findings: &[Finding]) -> Vec<Evidence> {
    let plan = world.plan();
    let mut all = Vec::new();
    for node in nodes(plan, findings) {
        about(world, plan, &node, &mut all);
    }
    all
}

/// Nodes named by the findings, worst first, and the shortest way between the first two.
fn nodes(plan: &Plan, findings: &[Finding]) -> Vec<NodeName> {
    let mut found: Vec<NodeName> = Vec::new();
    for finding in findings {
        let text = format!("{} {}", finding.subject, finding.found);
        let words: Vec<&str> = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
        let mut named: Vec<NodeName> = plan.nodes.keys().filter(|n| words.contains(&n.as_str())).cloned().collect();
        named.sort_by_key(|n| words.iter().position(|w| *w == n.as_str()));
        if let [a, b, ..] = named.as_slice() {
            let between = way(plan, a, b);
            named.extend(between);
        }
        for node in named {
            if !found.contains(&node) {
                found.push(node);
            }
        }
        if found.len() >= NODES {
            break;
        }
    }
    found.retain(|n| plan.nodes[n].kind != NodeKind::Host);
    found.truncate(NODES);
    found
}

/// Nodes between two on a shortest way by links, both excepted.
fn way(plan: &Plan, from: &NodeName, to: &NodeName) -> Vec<NodeName> {
    let mut came: Vec<(&NodeName, Option<usize>)> = vec![(from, None)];
    let mut next = VecDeque::from([0usize]);
    while let Some(at) = next.pop_front() {
        let here = came[at].0;
        if here == to {
            let mut way = Vec::new();
            let mut step = came[at].1;
            while let Some(i) = step {
                if came[i].0 != from {
                    way.push(came[i].0.clone());
                }
                step = came[i].1;
            }
            way.reverse();
            return way;
        }
        for link in &plan.links {
            let [a, b] = &link.ends;
            for (x, y) in [(a, b), (b, a)] {
                if x.node == *here && !came.iter().any(|(n, _)| **n == y.node) {
                    came.push((&y.node, Some(at)));
                    next.push_back(came.len() - 1);
                }
            }
        }
    }
    Vec::new()
}

fn about(world: &dyn World, plan: &Plan, node: &NodeName, all: &mut Vec<Evidence>) {
    let mut add = |title: &str, text: Result<String>| {
        let text = text.unwrap_or_else(|e| format!("(not available: {e})"));
        if !text.trim().is_empty() {
            all.push(Evidence { node: Some(node.clone()), title: title.into(), text: first_lines(&text) });
        }
    };
    add("links", observe::links_text(world, node));
    let Some(facts) = plan.nodes.get(node) else {
        return;
    };
    if facts.kind == NodeKind::Lan {
        return;
    }
    add("routes", observe::routes_text(world, node));
    add("neighbours", observe::neighbours_text(world, node));
    for (daemon, title, command) in [
        ("bgpd", "bgp summary", "show bgp summary"),
        ("ospfd", "ospf neighbours", "show ip ospf neighbor"),
        ("ospf6d", "ospf6 neighbours", "show ipv6 ospf6 neighbor"),
    ] {
        if facts.ready.frr.iter().any(|d| d == daemon) {
            add(title, world.vty(node, daemon, command));
        }
    }
    for end in plan.links.iter().flat_map(|l| &l.ends).filter(|e| e.node == *node && e.acl.is_some()) {
        let end = end.end();
        let text = world.acl_counters(std::slice::from_ref(&end)).map(|rules| {
            let line = |r: &netloom_engine::AclCounter| {
                // The implied rule stands behind all that are written.
                let number = r.index.checked_add(1).map_or("-".into(), |n| n.to_string());
                format!("{:?} {number}: {} — {} packets", r.direction, r.rule, r.packets).to_lowercase()
            };
            rules.iter().flatten().map(line).collect::<Vec<_>>().join("\n")
        });
        add(&format!("acl counters of {end}"), text);
    }
    for process in facts.processes.keys() {
        let text = world.log(node, process).map(|bytes| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(LOG)..].join("\n")
        });
        add(&format!("log {process}"), text);
    }
}

fn first_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= LINES {
        return text.trim_end().to_string();
    }
    format!("{}\n… {} more lines", lines[..LINES].join("\n"), lines.len() - LINES)
}
