//! A plan, looked up by node: which ends belong to which.

use std::collections::HashMap;

use netloom_api::node::{HostMode, NodeKind};
use netloom_api::values::NodeName;
use netloom_plan::desired::{EndPlan, LinkPlan, NodePlan, Plan};

/// Name of the bridge of a `lan`.
pub(crate) const BRIDGE: &str = "nl-bridge";

/// An end, its link, and the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    pub(crate) link: &'a LinkPlan,
    pub(crate) this: &'a EndPlan,
    pub(crate) other: &'a EndPlan,
    /// It is an interface of the host that was moved in, and keeps its MAC.
    pub(crate) moved: bool,
}

#[derive(Debug)]
pub(crate) struct Topology<'a> {
    pub(crate) plan: &'a Plan,
    ends: HashMap<&'a str, Vec<End<'a>>>,
    /// The mark on every link.
    pub(crate) alias: String,
}

impl<'a> Topology<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Topology<'a> {
        let mut ends: HashMap<&str, Vec<End<'_>>> = HashMap::with_capacity(plan.nodes.len());
        let moves = |end: &EndPlan| {
            let host = plan.nodes.get(&end.node).and_then(|node| node.host.as_ref());
            host.is_some_and(|host| host.mode == HostMode::Move)
        };
        for link in &plan.links {
            let [a, b] = &link.ends;
            for (this, other) in [(a, b), (b, a)] {
                ends.entry(this.node.as_str()).or_default().push(End { link, this, other, moved: moves(other) });
            }
        }
        Topology { plan, ends, alias: alias(plan.instance.as_str()) }
    }

    /// The ends of a node, in the order of the file.
    pub(crate) fn ends(&self, node: &str) -> &[End<'a>] {
        self.ends.get(node).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn kind(&self, node: &str) -> NodeKind {
        self.plan.nodes.get(node).map_or(NodeKind::Linux, |node| node.kind)
    }

    /// Nodes that have a namespace: all but `host` ones.
    pub(crate) fn spaces(&self) -> impl Iterator<Item = (&'a NodeName, &'a NodePlan)> {
        self.plan.nodes.iter().filter(|(_, node)| has_namespace(node))
    }

    /// The link has an end on a `host` node; which end is the other one.
    pub(crate) fn host_side(&self, link: &LinkPlan) -> Option<usize> {
        link.ends.iter().position(|end| self.kind(end.node.as_str()) == NodeKind::Host)
    }
}

pub(crate) fn has_namespace(node: &NodePlan) -> bool {
    node.kind != NodeKind::Host
}

/// The mark on every link of an instance.
pub(crate) fn alias(instance: &str) -> String {
    format!("netloom:{instance}")
}
