//! The lab as a graph: which ends share a segment.

use std::collections::{BTreeMap, HashMap};

use netloom_api::lab::Lab;
use netloom_api::link::Endpoint;
use netloom_api::node::{Node, NodeKind};
use netloom_api::values::NodeName;

/// One end of one link: link index in the file, 0 or 1.
pub(crate) type End = (usize, usize);

/// What frames of one end reach: a link, or all links of joined `lan` nodes.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    /// Ends that are not ports of a `lan`, in the order of the file.
    pub(crate) ends: Vec<End>,
    /// The `lan` nodes it is made of, in the order of the file; none for a plain link.
    pub(crate) lans: Vec<NodeName>,
    /// True when an interface of the host is part of it.
    pub(crate) outside: bool,
}

/// A lab and its segments.
pub(crate) struct Topology<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) segments: Vec<Segment>,
    /// Link → segment.
    segment_of: Vec<usize>,
    /// Node → its ends, in the order of the file.
    ends_of: HashMap<&'a NodeName, Vec<End>>,
}

/// The node an end names; links to nodes that do not exist never get past validation.
static NO_NODE: std::sync::LazyLock<Node> = std::sync::LazyLock::new(Node::default);

impl<'a> Topology<'a> {
    pub(crate) fn new(lab: &'a Lab) -> Topology<'a> {
        let mut t = Topology { lab, segments: Vec::new(), segment_of: Vec::new(), ends_of: HashMap::new() };
        // Joined lans are one segment: each points at the first of its set.
        let mut first: BTreeMap<&NodeName, &NodeName> = BTreeMap::new();
        let order: HashMap<&NodeName, usize> = lab.spec.nodes.keys().enumerate().map(|(i, n)| (n, i)).collect();
        for (name, node) in &lab.spec.nodes {
            if node.kind == NodeKind::Lan {
                first.insert(name, name);
            }
        }
        fn root<'n>(first: &BTreeMap<&'n NodeName, &'n NodeName>, mut n: &'n NodeName) -> &'n NodeName {
            while let Some(&up) = first.get(n) {
                if up == n {
                    break;
                }
                n = up;
            }
            n
        }
        for link in &lab.spec.links {
            let [a, b] = &link.endpoints;
            if first.contains_key(&a.node) && first.contains_key(&b.node) {
                let (ra, rb) = (root(&first, &a.node), root(&first, &b.node));
                let (low, high) = if order[ra] <= order[rb] { (ra, rb) } else { (rb, ra) };
                first.insert(high, low);
            }
        }
        let mut segment_of_lan: BTreeMap<&NodeName, usize> = BTreeMap::new();
        for (name, node) in &lab.spec.nodes {
            if node.kind == NodeKind::Lan {
                let segment = *segment_of_lan.entry(root(&first, name)).or_insert_with(|| {
                    t.segments.push(Segment::default());
                    t.segments.len() - 1
                });
                t.segments[segment].lans.push(name.clone());
            }
        }
        for (l, link) in lab.spec.links.iter().enumerate() {
            let lan = link.endpoints.iter().find(|e| first.contains_key(&e.node));
            let segment = match lan {
                Some(e) => segment_of_lan[root(&first, &e.node)],
                None => {
                    t.segments.push(Segment::default());
                    t.segments.len() - 1
                }
            };
            t.segment_of.push(segment);
            for (e, end) in link.endpoints.iter().enumerate() {
                match t.node(&end.node).kind {
                    NodeKind::Lan => continue,
                    NodeKind::Host => t.segments[segment].outside = true,
                    NodeKind::Linux | NodeKind::Frr => {}
                }
                t.segments[segment].ends.push((l, e));
                t.ends_of.entry(&end.node).or_default().push((l, e));
            }
        }
        t
    }

    pub(crate) fn node(&self, name: &NodeName) -> &'a Node {
        self.lab.spec.nodes.get(name).unwrap_or(&NO_NODE)
    }

    pub(crate) fn endpoint(&self, (link, end): End) -> &'a Endpoint {
        &self.lab.spec.links[link].endpoints[end]
    }

    /// The node at an end.
    pub(crate) fn at(&self, end: End) -> (&'a NodeName, &'a Node) {
        let name = &self.endpoint(end).node;
        (name, self.node(name))
    }

    pub(crate) fn segment(&self, link: usize) -> &Segment {
        &self.segments[self.segment_of[link]]
    }

    /// A node's ends in the order of the file; none for a `lan`.
    pub(crate) fn ends(&self, node: &NodeName) -> &[End] {
        self.ends_of.get(node).map_or(&[], Vec::as_slice)
    }

    /// The other nodes' ends on the same segment.
    pub(crate) fn neighbours(&self, end: End) -> impl Iterator<Item = End> + '_ {
        let own = &self.endpoint(end).node;
        self.segment(end.0).ends.iter().copied().filter(move |&e| &self.endpoint(e).node != own)
    }
}

/// True for a node that forwards packets: a router, or a host told to be one.
pub(crate) fn forwards(node: &Node) -> bool {
    let on = |key: &str| node.sysctls.get(key).is_some_and(|v| v.trim() != "0");
    node.kind == NodeKind::Frr
        || (node.kind == NodeKind::Linux
            && (on("net.ipv4.ip_forward") || on("net.ipv4.conf.all.forwarding") || on("net.ipv6.conf.all.forwarding")))
}
