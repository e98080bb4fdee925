//! Requests about links: create, change, delete.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::mac::MacAddr;
use crate::netlink::{Batch, Writer};
use crate::netns::Netns;

use super::*;

/// One end of a veth that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct VethEnd<'a> {
    /// The namespace it is born in; `None` is the socket's own.
    pub netns: Option<&'a Netns>,
    /// Interface name, at most 15 bytes.
    pub name: &'a str,
    /// The ifindex it shall have; the kernel chooses otherwise.
    pub index: Option<u32>,
    /// Its address; random otherwise.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes; 1500 otherwise.
    pub mtu: Option<u32>,
    /// Interface group, see [`Batch::delete_group`].
    pub group: Option<u32>,
}

impl<'a> VethEnd<'a> {
    /// An end of that name in the socket's namespace, the rest left to the kernel.
    pub fn new(name: &'a str) -> Self {
        VethEnd { netns: None, name, index: None, mac: None, mtu: None, group: None }
    }

    /// The same end in `netns`.
    pub fn inside(mut self, netns: &'a Netns) -> Self {
        self.netns = Some(netns);
        self
    }

    /// The same end with a chosen ifindex.
    pub fn index(mut self, index: u32) -> Self {
        self.index = Some(index);
        self
    }

    /// The same end with an address.
    pub fn mac(mut self, mac: MacAddr) -> Self {
        self.mac = Some(mac);
        self
    }

    /// The same end with an MTU in bytes.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = Some(mtu);
        self
    }
}

/// Which link a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkRef<'a> {
    /// By ifindex.
    Index(u32),
    /// By name.
    Name(&'a str),
}

impl std::fmt::Display for LinkRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LinkRef::Index(index) => write!(f, "interface {index}"),
            LinkRef::Name(name) => write!(f, "interface {name}"),
        }
    }
}

impl From<u32> for LinkRef<'_> {
    fn from(index: u32) -> Self {
        LinkRef::Index(index)
    }
}

impl<'a> From<&'a str> for LinkRef<'a> {
    fn from(name: &'a str) -> Self {
        LinkRef::Name(name)
    }
}

/// How a link chooses its IPv6 link-local address (`enum in6_addr_gen_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum AddrGenMode {
    /// From the MAC.
    Eui64 = 0,
    /// Not at all.
    None = 1,
    /// From a secret (RFC 7217).
    StablePrivacy = 2,
    /// From a random secret.
    Random = 3,
}

impl AddrGenMode {
    pub(super) fn from_u8(value: u8) -> Option<AddrGenMode> {
        [AddrGenMode::Eui64, AddrGenMode::None, AddrGenMode::StablePrivacy, AddrGenMode::Random]
            .into_iter()
            .find(|mode| *mode as u8 == value)
    }
}

/// What to change about a link; everything in one message. `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkChange<'a> {
    /// Administrative state.
    pub up: Option<bool>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Hardware address.
    pub mac: Option<MacAddr>,
    /// New name; with [`LinkRef::Index`] only.
    pub name: Option<&'a str>,
    /// Alias (the owner's mark); empty clears it.
    pub alias: Option<&'a str>,
    /// Interface group.
    pub group: Option<u32>,
    /// Bridge or vrf to enslave it to, by ifindex; 0 releases it.
    pub master: Option<u32>,
    /// IPv6 link-local generation; needs an MTU of at least 1280.
    pub addr_gen_mode: Option<AddrGenMode>,
    /// Whether it answers ARP (`IFF_NOARP` when false).
    pub arp: Option<bool>,
    /// Whether it takes every frame.
    pub promiscuous: Option<bool>,
    /// Transmit queue length in packets.
    pub tx_queue_len: Option<u32>,
    /// Moves it to another namespace.
    pub netns: Option<BorrowedFd<'a>>,
    /// The ifindex it shall have in the namespace it moves to; `EBUSY` when that is taken there.
    pub index: Option<u32>,
}

/// A bridge that is to be made: no STP, no multicast snooping unless asked.
#[derive(Clone, Copy, Debug)]
pub struct Bridge<'a> {
    /// Interface name.
    pub name: &'a str,
    /// The ifindex it shall have.
    pub index: Option<u32>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Its address.
    pub mac: Option<MacAddr>,
    /// How long an address is remembered, in seconds; `Some(0)` makes it a hub.
    pub ageing: Option<u32>,
    /// Spanning tree by the kernel.
    pub stp: bool,
    /// IGMP and MLD snooping.
    pub multicast_snooping: bool,
}

impl<'a> Bridge<'a> {
    /// A plain bridge.
    pub fn new(name: &'a str) -> Self {
        Bridge { name, index: None, mtu: None, mac: None, ageing: None, stp: false, multicast_snooping: false }
    }
}

/// Per-port settings of a bridge (`IFLA_BRPORT_*`).
#[derive(Clone, Copy, Debug, Default)]
pub struct BridgePort {
    /// Which of 01-80-C2-00-00-0X are forwarded, bit X; everything but PAUSE is
    /// [`BridgePort::FORWARD_ALL`]. The bridge-wide mask refuses STP and LACP, this one does not.
    pub group_fwd_mask: Option<u16>,
    /// Frames between isolated ports are not forwarded.
    pub isolated: Option<bool>,
    /// Whether it learns addresses.
    pub learning: Option<bool>,
    /// Whether unknown destinations are sent to it.
    pub flood: Option<bool>,
}

impl BridgePort {
    /// All link-local groups except 01-80-C2-00-00-01 (PAUSE), which the kernel refuses.
    pub const FORWARD_ALL: u16 = 0xfffd;
}

/// `enum macvlan_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MacvlanMode {
    /// No traffic between the macvlans of one device.
    Private = 1,
    /// Through the switch outside.
    Vepa = 2,
    /// Directly.
    Bridge = 4,
    /// One macvlan takes the whole device.
    Passthru = 8,
}

/// A macvlan that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Macvlan<'a> {
    /// ifindex of the device below, in the socket's namespace.
    pub parent: u32,
    /// The namespace it is born in; `None` is the socket's own.
    pub netns: Option<&'a Netns>,
    /// Interface name.
    pub name: &'a str,
    /// The ifindex it shall have.
    pub index: Option<u32>,
    /// Its address.
    pub mac: Option<MacAddr>,
    /// MTU in bytes, at most the parent's.
    pub mtu: Option<u32>,
    /// How macvlans of one parent see each other.
    pub mode: MacvlanMode,
}

impl Batch {
    /// Creates a veth pair **in place**: one request names both namespaces, both ifindexes, names,
    /// addresses and MTUs; both ends get one transmit and one receive queue. Both ends are down
    /// and without an alias afterwards (the kernel takes neither at creation for the far end):
    /// follow with [`Batch::set_link`] in each namespace.
    pub fn create_veth(&mut self, a: &VethEnd<'_>, b: &VethEnd<'_>) {
        let doing = format!("create veth {} <-> {}", a.name, b.name);
        let message = self.begin(RTM_NEWLINK, CREATE, doing);
        let w = &mut self.writer;
        w.raw(&ifinfo(a.index.unwrap_or(0), 0, 0));
        veth_end(w, a);
        let info = w.nest_flagged(IFLA_LINKINFO);
        w.attr_str(IFLA_INFO_KIND, "veth");
        let data = w.nest_flagged(IFLA_INFO_DATA);
        let peer = w.nest_flagged(VETH_INFO_PEER);
        w.raw(&ifinfo(b.index.unwrap_or(0), 0, 0));
        veth_end(w, b);
        w.end_nest(peer);
        w.end_nest(data);
        w.end_nest(info);
        self.end(message);
    }

    /// Creates a bridge in the socket's namespace, down.
    pub fn create_bridge(&mut self, bridge: &Bridge<'_>) {
        let message = self.begin(RTM_NEWLINK, CREATE, format!("create bridge {}", bridge.name));
        let w = &mut self.writer;
        w.raw(&ifinfo(bridge.index.unwrap_or(0), 0, 0));
        w.attr_str(IFLA_IFNAME, bridge.name);
        link_basics(w, bridge.mac, bridge.mtu, None);
        let info = w.nest_flagged(IFLA_LINKINFO);
        w.attr_str(IFLA_INFO_KIND, "bridge");
        let data = w.nest_flagged(IFLA_INFO_DATA);
        w.attr_u32(IFLA_BR_STP_STATE, bridge.stp.into());
        w.attr_u32(IFLA_BR_FORWARD_DELAY, 0);
        if let Some(seconds) = bridge.ageing {
            // clock_t, which is hundredths of a second for user space.
            w.attr_u32(IFLA_BR_AGEING_TIME, seconds.saturating_mul(100));
        }
        w.attr_u8(IFLA_BR_MCAST_SNOOPING, bridge.multicast_snooping.into());
        w.end_nest(data);
        w.end_nest(info);
        self.end(message);
    }

    /// Sets what a bridge does at one port. The link must be a port already.
    pub fn set_bridge_port(&mut self, index: u32, port: &BridgePort) {
        let message = self.begin(RTM_NEWLINK, 0, format!("set up bridge port {index}"));
        let w = &mut self.writer;
        w.raw(&ifinfo(index, 0, 0));
        let info = w.nest_flagged(IFLA_LINKINFO);
        w.attr_str(IFLA_INFO_SLAVE_KIND, "bridge");
        let data = w.nest_flagged(IFLA_INFO_SLAVE_DATA);
        if let Some(mask) = port.group_fwd_mask {
            w.attr_u16(IFLA_BRPORT_GROUP_FWD_MASK, mask);
        }
        if let Some(isolated) = port.isolated {
            w.attr_u8(IFLA_BRPORT_ISOLATED, isolated.into());
        }
        if let Some(learning) = port.learning {
            w.attr_u8(IFLA_BRPORT_LEARNING, learning.into());
        }
        if let Some(flood) = port.flood {
            w.attr_u8(IFLA_BRPORT_UNICAST_FLOOD, flood.into());
        }
        w.end_nest(data);
        w.end_nest(info);
        self.end(message);
    }

    /// Creates a macvlan on a device of the socket's namespace, possibly born in another.
    pub fn create_macvlan(&mut self, macvlan: &Macvlan<'_>) {
        let doing = format!("create macvlan {} on interface {}", macvlan.name, macvlan.parent);
        let message = self.begin(RTM_NEWLINK, CREATE, doing);
        let w = &mut self.writer;
        w.raw(&ifinfo(macvlan.index.unwrap_or(0), 0, 0));
        w.attr_str(IFLA_IFNAME, macvlan.name);
        w.attr_u32(IFLA_LINK, macvlan.parent);
        link_basics(w, macvlan.mac, macvlan.mtu, None);
        if let Some(netns) = macvlan.netns {
            w.attr_u32(IFLA_NET_NS_FD, netns.raw() as u32);
        }
        let info = w.nest_flagged(IFLA_LINKINFO);
        w.attr_str(IFLA_INFO_KIND, "macvlan");
        let data = w.nest_flagged(IFLA_INFO_DATA);
        w.attr_u32(IFLA_MACVLAN_MODE, macvlan.mode as u32);
        w.end_nest(data);
        w.end_nest(info);
        self.end(message);
    }

    /// Creates a link of a kind that needs no settings (`dummy`, `ifb`, `bridge` …).
    pub fn create_simple(&mut self, kind: &str, name: &str) {
        let message = self.begin(RTM_NEWLINK, CREATE, format!("create {kind} {name}"));
        let w = &mut self.writer;
        w.raw(&ifinfo(0, 0, 0));
        w.attr_str(IFLA_IFNAME, name);
        let info = w.nest_flagged(IFLA_LINKINFO);
        w.attr_str(IFLA_INFO_KIND, kind);
        w.end_nest(info);
        self.end(message);
    }

    /// Creates a vrf with its own routing table.
    pub fn create_vrf(&mut self, name: &str, table: u32) {
        let message = self.begin(RTM_NEWLINK, CREATE, format!("create vrf {name}"));
        let w = &mut self.writer;
        w.raw(&ifinfo(0, 0, 0));
        w.attr_str(IFLA_IFNAME, name);
        let info = w.nest_flagged(IFLA_LINKINFO);
        w.attr_str(IFLA_INFO_KIND, "vrf");
        let data = w.nest_flagged(IFLA_INFO_DATA);
        w.attr_u32(IFLA_VRF_TABLE, table);
        w.end_nest(data);
        w.end_nest(info);
        self.end(message);
    }

    /// Creates an 802.1Q sub-interface on `parent`.
    pub fn create_vlan(&mut self, name: &str, parent: u32, id: u16) {
        let message = self.begin(RTM_NEWLINK, CREATE, format!("create vlan {name} on interface {parent}"));
        let w = &mut self.writer;
        w.raw(&ifinfo(0, 0, 0));
        w.attr_str(IFLA_IFNAME, name);
        w.attr_u32(IFLA_LINK, parent);
        let info = w.nest_flagged(IFLA_LINKINFO);
        w.attr_str(IFLA_INFO_KIND, "vlan");
        let data = w.nest_flagged(IFLA_INFO_DATA);
        w.attr_u16(IFLA_VLAN_ID, id);
        w.end_nest(data);
        w.end_nest(info);
        self.end(message);
    }

    /// Changes a link, all in one message.
    pub fn set_link<'a>(&mut self, link: impl Into<LinkRef<'a>>, change: &LinkChange<'_>) {
        let link = link.into();
        // RTM_SETLINK takes the alias and the address families' settings as well.
        let message = self.begin(RTM_SETLINK, 0, format!("change {link}"));
        let (mut flags, mut mask) = (0, 0);
        let mut flag = |bit: i32, set: Option<bool>| {
            if let Some(set) = set {
                mask |= bit as u32;
                flags |= if set { bit as u32 } else { 0 };
            }
        };
        flag(libc::IFF_UP, change.up);
        flag(libc::IFF_NOARP, change.arp.map(|arp| !arp));
        flag(libc::IFF_PROMISC, change.promiscuous);
        let w = &mut self.writer;
        link_header(w, link, flags, mask);
        if let Some(name) = change.name {
            w.attr_str(IFLA_IFNAME, name);
        }
        link_basics(w, change.mac, change.mtu, change.group);
        if let Some(alias) = change.alias {
            w.attr(IFLA_IFALIAS, alias.as_bytes());
        }
        if let Some(master) = change.master {
            w.attr_u32(IFLA_MASTER, master);
        }
        if let Some(len) = change.tx_queue_len {
            w.attr_u32(IFLA_TXQLEN, len);
        }
        if let Some(mode) = change.addr_gen_mode {
            let families = w.nest_flagged(IFLA_AF_SPEC);
            let inet6 = w.nest_flagged(libc::AF_INET6 as u16);
            w.attr_u8(IFLA_INET6_ADDR_GEN_MODE, mode as u8);
            w.end_nest(inet6);
            w.end_nest(families);
        }
        if let Some(netns) = change.netns {
            w.attr_u32(IFLA_NET_NS_FD, netns.as_raw_fd() as u32);
        }
        if let Some(index) = change.index {
            w.attr_u32(IFLA_NEW_IFINDEX, index);
        }
        self.end(message);
    }

    /// Sets a link administratively up.
    pub fn link_up<'a>(&mut self, link: impl Into<LinkRef<'a>>) {
        let up = Some(true);
        self.set_link(link, &LinkChange { up, ..LinkChange::default() });
    }

    /// Sets a link administratively down: the peer loses carrier, its addresses' routes go.
    pub fn link_down<'a>(&mut self, link: impl Into<LinkRef<'a>>) {
        let up = Some(false);
        self.set_link(link, &LinkChange { up, ..LinkChange::default() });
    }

    /// Deletes one link (both ends of a veth). Each such request waits for an RCU grace period,
    /// 16 ms or more: prefer [`Batch::delete_group`] or letting the namespace go.
    pub fn delete_link<'a>(&mut self, link: impl Into<LinkRef<'a>>) {
        let link = link.into();
        let message = self.begin(RTM_DELLINK, 0, format!("delete {link}"));
        link_header(&mut self.writer, link, 0, 0);
        self.end(message);
    }

    /// Deletes every link of an interface group in the socket's namespace, in one grace period.
    pub fn delete_group(&mut self, group: u32) {
        let message = self.begin(RTM_DELLINK, 0, format!("delete the links of group {group}"));
        self.writer.raw(&ifinfo(0, 0, 0));
        self.writer.attr_u32(IFLA_GROUP, group);
        self.end(message);
    }
}

/// `struct ifinfomsg`.
pub(super) fn ifinfo(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

pub(super) fn link_header(w: &mut Writer, link: LinkRef<'_>, flags: u32, mask: u32) {
    match link {
        LinkRef::Index(index) => w.raw(&ifinfo(index, flags, mask)),
        LinkRef::Name(name) => {
            w.raw(&ifinfo(0, flags, mask));
            w.attr_str(IFLA_IFNAME, name);
        }
    }
}

fn veth_end(w: &mut Writer, end: &VethEnd<'_>) {
    w.attr_str(IFLA_IFNAME, end.name);
    w.attr_u32(IFLA_NUM_TX_QUEUES, 1);
    w.attr_u32(IFLA_NUM_RX_QUEUES, 1);
    if let Some(netns) = end.netns {
        w.attr_u32(IFLA_NET_NS_FD, netns.raw() as u32);
    }
    link_basics(w, end.mac, end.mtu, end.group);
}

fn link_basics(w: &mut Writer, mac: Option<MacAddr>, mtu: Option<u32>, group: Option<u32>) {
    if let Some(mac) = mac {
        w.attr(IFLA_ADDRESS, &mac.0);
    }
    if let Some(mtu) = mtu {
        w.attr_u32(IFLA_MTU, mtu);
    }
    if let Some(group) = group {
        w.attr_u32(IFLA_GROUP, group);
    }
}
