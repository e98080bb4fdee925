//! Links between namespaces.

use netloom_kernel::mac::MacAddr;
use netloom_kernel::rtnl::{Batch, Bridge, VethEnd};
use netloom_plan::desired::{BRIDGE_IFINDEX, EndPlan, LinkPlan};

use crate::error::Result;
use crate::spaces::Spaces;
use crate::topology::BRIDGE;

/// Puts a veth into `batch`, in place: one request names both namespaces, names, indexes, MACs and MTUs.
pub(crate) fn create(batch: &mut Batch, link: &LinkPlan, spaces: &Spaces) -> Result<()> {
    let [a, b] = &link.ends;
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
