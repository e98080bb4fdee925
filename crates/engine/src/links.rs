//! Links between namespaces.

use netloom_kernel::mac::MacAddr;
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{Batch, Bridge, Rtnl, VethEnd};
use netloom_plan::desired::{BRIDGE_IFINDEX, EndPlan, LinkPlan};

use crate::error::Result;
use crate::fabric::space;
use crate::spaces::Spaces;
use crate::topology::BRIDGE;

/// A socket to make interfaces with whose two ends both name their namespaces. Until Linux 6.15 the kernel looks up the index an interface
/// shall have in the namespace of the socket, and refuses it (`EEXIST`) when an interface there has it, wherever the new one is to be; so
/// the socket is in an empty namespace, which goes with it.
pub(crate) fn maker() -> Result<Rtnl> {
    Ok(Rtnl::open_in(&Netns::create()?)?)
}

/// Puts a veth into `batch`, in place (two when the link crosses a switch): one request names both namespaces, names, indexes, MACs and MTUs.
pub(crate) fn create(batch: &mut Batch, link: &LinkPlan, spaces: &Spaces) -> Result<()> {
    let [a, b] = &link.ends;
    if let Some(stitch) = &link.stitch {
        for (end, port) in link.ends.iter().zip(&stitch.ends) {
            let (node, host) = (spaces.get(end.node.as_str())?, spaces.get(&space(&port.host))?);
            let half = VethEnd::new(&port.name).index(port.ifindex()).mtu(link.mtu);
            batch.create_veth(&veth_end(link, end).inside(node), &half.inside(host));
        }
        return Ok(());
    }
    let (na, nb) = (spaces.get(a.node.as_str())?, spaces.get(b.node.as_str())?);
    batch.create_veth(&veth_end(link, a).inside(na), &veth_end(link, b).inside(nb));
    Ok(())
}

pub(crate) fn veth_end<'a>(link: &LinkPlan, end: &'a EndPlan) -> VethEnd<'a> {
    let named = VethEnd::new(end.interface.as_str()).index(end.ifindex);
    named.mac(MacAddr(end.mac.0)).mtu(link.mtu)
}

/// Puts the bridge of a `lan` into `batch`.
pub(crate) fn create_bridge(batch: &mut Batch, ports: &[crate::topology::End<'_>]) {
    // Its own MTU limits nothing but what it says itself; the kernel keeps it at the least of its ports'.
    let mtu = ports.iter().map(|end| end.link.mtu).min();
    batch.create_bridge(&Bridge { index: Some(BRIDGE_IFINDEX), mtu, ..Bridge::new(BRIDGE) });
}
