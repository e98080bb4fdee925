//! The graph with its addresses: what configuration, templates and host files are made from.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use netloom_api::node::{Node, NodeKind};
use netloom_api::values::NodeName;

use crate::allocate::{Allocated, Family};
use crate::names::hash;
use crate::topology::{End, Topology};

pub(crate) struct View<'a> {
    pub(crate) t: &'a Topology<'a>,
    pub(crate) a: &'a Allocated,
}

/// A node that speaks a routing protocol, as far as the file says.
pub(crate) fn speaks(node: &Node) -> bool {
    node.kind == NodeKind::Frr && (node.bgp.is_some() || node.ospf.is_some() || node.config.is_some())
}

impl<'a> View<'a> {
    pub(crate) fn addresses(&self, (link, end): End) -> &'a [IpNet] {
        &self.a.ends[link][end]
    }

    pub(crate) fn loopbacks(&self, node: &NodeName) -> &'a [IpNet] {
        self.a.loopbacks.get(node).map_or(&[], Vec::as_slice)
    }

    /// A node's ends in the order of their interface indexes: the order of the file, with later additions last, so that what is
    /// made from "the first interface" stays what it was.
    pub(crate) fn ends(&self, node: &NodeName) -> Vec<End> {
        let mut ends = self.t.ends(node).to_vec();
        ends.sort_by_cached_key(|&e| self.a.allocation.ifindexes.get(&self.t.endpoint(e).end()).copied());
        ends
    }

    /// The node's first loopback address of a family.
    pub(crate) fn loopback(&self, node: &NodeName, family: Family) -> Option<IpAddr> {
        self.loopbacks(node).iter().find(|n| Family::of(n) == family).map(IpNet::addr)
    }

    /// The first address of `to` that lies in a prefix `from` is on.
    pub(crate) fn reachable(&self, from: End, to: End, family: Family) -> Option<IpAddr> {
        let own = self.addresses(from);
        self.addresses(to)
            .iter()
            .filter(|n| Family::of(n) == family)
            .find(|n| own.iter().any(|o| o.contains(&n.addr()) && o.addr() != n.addr()))
            .map(IpNet::addr)
    }

    /// True when the segment of this end leads to something that does not route by itself: hosts, or nothing.
    pub(crate) fn stub(&self, end: End) -> bool {
        let mut neighbours = self.t.neighbours(end).peekable();
        neighbours.peek().is_none() || neighbours.any(|n| !speaks(self.t.at(n).1))
    }

    /// A router's identifier: its first IPv4 loopback, else its first IPv4 address, else a hash of its name.
    pub(crate) fn router_id(&self, node: &NodeName) -> Ipv4Addr {
        let on_links = || {
            let mut all = self.ends(node).into_iter().flat_map(|e| self.addresses(e));
            all.find(|n| n.addr().is_ipv4()).map(IpNet::addr)
        };
        match self.loopback(node, Family::V4).or_else(on_links) {
            Some(IpAddr::V4(a)) => a,
            _ => {
                let h = hash(&[node.as_str()]).to_be_bytes();
                // 0.0.0.0 is no identifier.
                Ipv4Addr::new(h[0] | 1, h[1], h[2], h[3])
            }
        }
    }
}
