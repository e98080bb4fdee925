//! Requests about addresses, routes, rules and neighbours.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::mac::MacAddr;
use crate::netlink::{Batch, Writer};

use super::*;

/// The protocol number that marks addresses and routes netloom made: `n`.
pub const PROTOCOL: u8 = 0x6e;

/// An address that is to be added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressSpec {
    /// The interface.
    pub index: u32,
    /// Address and prefix length, host bits kept.
    pub address: IpNet,
    /// The other end of a point-to-point address.
    pub peer: Option<IpAddr>,
    /// IPv4 broadcast address.
    pub broadcast: Option<std::net::Ipv4Addr>,
    /// Marks it as ours (`IFA_PROTO`, Linux 5.18) when not zero.
    pub protocol: u8,
    /// Skip IPv6 duplicate address detection: usable at once.
    pub nodad: bool,
    /// Add no route for the prefix.
    pub noprefixroute: bool,
}

impl AddressSpec {
    /// An address with our mark and without duplicate address detection.
    pub fn new(index: u32, address: IpNet) -> Self {
        AddressSpec {
            index,
            address,
            peer: None,
            broadcast: None,
            protocol: PROTOCOL,
            nodad: true,
            noprefixroute: false,
        }
    }
}

/// What becomes of packets on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// Forwarded or delivered.
    #[default]
    Unicast,
    /// An address of this namespace.
    Local,
    /// Broadcast address of a prefix.
    Broadcast,
    /// IPv6 anycast.
    Anycast,
    /// IPv6 multicast.
    Multicast,
    /// Silently dropped.
    Blackhole,
    /// Dropped with "host unreachable".
    Unreachable,
    /// Dropped with "administratively prohibited".
    Prohibit,
    /// Continue in the next table.
    Throw,
    /// Anything else.
    Other,
}

impl RouteKind {
    fn number(self) -> u8 {
        match self {
            RouteKind::Other => libc::RTN_UNSPEC,
            RouteKind::Unicast => libc::RTN_UNICAST,
            RouteKind::Local => libc::RTN_LOCAL,
            RouteKind::Broadcast => libc::RTN_BROADCAST,
            RouteKind::Anycast => libc::RTN_ANYCAST,
            RouteKind::Multicast => libc::RTN_MULTICAST,
            RouteKind::Blackhole => libc::RTN_BLACKHOLE,
            RouteKind::Unreachable => libc::RTN_UNREACHABLE,
            RouteKind::Prohibit => libc::RTN_PROHIBIT,
            RouteKind::Throw => libc::RTN_THROW,
        }
    }

    pub(super) fn from_number(number: u8) -> RouteKind {
        [
            RouteKind::Unicast,
            RouteKind::Local,
            RouteKind::Broadcast,
            RouteKind::Anycast,
            RouteKind::Multicast,
            RouteKind::Blackhole,
            RouteKind::Unreachable,
            RouteKind::Prohibit,
            RouteKind::Throw,
        ]
        .into_iter()
        .find(|kind| kind.number() == number)
        .unwrap_or(RouteKind::Other)
    }
}

/// One next hop of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct NextHop {
    /// The gateway; may be of the other family (`via inet6`). `None`: directly connected.
    pub gateway: Option<IpAddr>,
    /// The interface; 0 lets the kernel choose by the gateway.
    pub index: u32,
    /// Share of the traffic, 1 to 256.
    pub weight: u16,
    /// `RTNH_F_*`: dead, link down …
    pub flags: u8,
}

impl NextHop {
    /// Through a gateway, interface chosen by the kernel.
    pub fn via(gateway: IpAddr) -> Self {
        NextHop { gateway: Some(gateway), index: 0, weight: 1, flags: 0 }
    }

    /// Directly through an interface.
    pub fn dev(index: u32) -> Self {
        NextHop { gateway: None, index, weight: 1, flags: 0 }
    }
}

/// A route that is to be added or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Destination; host bits must be zero.
    pub destination: IpNet,
    /// Next hops; none for blackhole and its like.
    pub next_hops: Vec<NextHop>,
    /// What becomes of the packets.
    pub kind: RouteKind,
    /// Smaller wins.
    pub metric: Option<u32>,
    /// Whose route it is; [`PROTOCOL`] marks ours.
    pub protocol: u8,
    /// Routing table; 254 is `main`.
    pub table: u32,
    /// Preferred source address.
    pub source: Option<IpAddr>,
    /// MTU of the path in bytes.
    pub mtu: Option<u32>,
}

impl RouteSpec {
    /// A unicast route of ours in the main table.
    pub fn new(destination: IpNet, next_hops: Vec<NextHop>) -> Self {
        RouteSpec {
            destination,
            next_hops,
            kind: RouteKind::Unicast,
            metric: None,
            protocol: PROTOCOL,
            table: TABLE_MAIN,
            source: None,
            mtu: None,
        }
    }

    /// A route of ours that drops.
    pub fn blackhole(destination: IpNet) -> Self {
        RouteSpec { kind: RouteKind::Blackhole, ..RouteSpec::new(destination, Vec::new()) }
    }
}

/// `RT_TABLE_MAIN`.
pub const TABLE_MAIN: u32 = 254;

/// A policy rule that is to be added or removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// IPv6 rather than IPv4.
    pub v6: bool,
    /// Source prefix.
    pub from: Option<IpNet>,
    /// Destination prefix.
    pub to: Option<IpNet>,
    /// Arrival interface.
    pub iif: Option<String>,
    /// Firewall mark.
    pub fwmark: Option<u32>,
    /// Table to look up.
    pub table: u32,
    /// Smaller first.
    pub priority: Option<u32>,
}

/// A permanent neighbour entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourSpec {
    /// The interface.
    pub index: u32,
    /// Who.
    pub address: IpAddr,
    /// At which hardware address.
    pub mac: MacAddr,
}

impl Batch {
    /// Adds an address; `EEXIST` when it is there.
    pub fn add_address(&mut self, spec: &AddressSpec) {
        self.address(RTM_NEWADDR, CREATE, spec, "add");
    }

    /// Adds an address, or replaces its flags and mark when it is there.
    pub fn replace_address(&mut self, spec: &AddressSpec) {
        self.address(RTM_NEWADDR, REPLACE, spec, "set");
    }

    /// Removes an address.
    pub fn delete_address(&mut self, spec: &AddressSpec) {
        self.address(RTM_DELADDR, 0, spec, "remove");
    }

    fn address(&mut self, kind: u16, flags: u16, spec: &AddressSpec, verb: &str) {
        let doing = format!("{verb} address {} on interface {}", spec.address, spec.index);
        let message = self.begin(kind, flags, doing);
        let w = &mut self.writer;
        let v6 = matches!(spec.address, IpNet::V6(_));
        let mut ifa_flags = 0;
        if v6 && spec.nodad {
            ifa_flags |= IFA_F_NODAD;
        }
        if spec.noprefixroute {
            ifa_flags |= IFA_F_NOPREFIXROUTE;
        }
        // struct ifaddrmsg
        let mut header = [family(v6), spec.address.prefix_len(), ifa_flags as u8, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&spec.index.to_ne_bytes());
        w.raw(&header);
        ip_attr(w, IFA_LOCAL, spec.address.addr());
        ip_attr(w, IFA_ADDRESS, spec.peer.unwrap_or(spec.address.addr()));
        if let Some(broadcast) = spec.broadcast {
            w.attr(IFA_BROADCAST, &broadcast.octets());
        }
        if ifa_flags != 0 {
            w.attr_u32(IFA_FLAGS, ifa_flags);
        }
        if spec.protocol != 0 && kind == RTM_NEWADDR {
            w.attr_u8(IFA_PROTO, spec.protocol);
        }
        self.end(message);
    }

    /// Adds a route; `EEXIST` when one with the same destination, metric and table is there.
    pub fn add_route(&mut self, spec: &RouteSpec) {
        self.route(RTM_NEWROUTE, CREATE, spec, "add");
    }

    /// Adds a route or replaces the one with the same destination, metric and table.
    pub fn replace_route(&mut self, spec: &RouteSpec) {
        self.route(RTM_NEWROUTE, REPLACE, spec, "set");
    }

    /// Removes the route that agrees in destination, table, metric, protocol and next hops.
    pub fn delete_route(&mut self, spec: &RouteSpec) {
        self.route(RTM_DELROUTE, 0, spec, "remove");
    }

    fn route(&mut self, kind: u16, flags: u16, spec: &RouteSpec, verb: &str) {
        let message = self.begin(kind, flags, format!("{verb} route {}", spec.destination));
        let w = &mut self.writer;
        let v6 = matches!(spec.destination, IpNet::V6(_));
        let direct = !spec.next_hops.is_empty() && spec.next_hops.iter().all(|hop| hop.gateway.is_none());
        let scope = match spec.kind {
            RouteKind::Local => libc::RT_SCOPE_HOST,
            _ if direct && !v6 => libc::RT_SCOPE_LINK,
            _ => libc::RT_SCOPE_UNIVERSE,
        };
        let table = if spec.table > 255 { libc::RT_TABLE_UNSPEC } else { spec.table as u8 };
        // struct rtmsg; an unspecified scope matches any on deletion.
        let scope = if kind == RTM_DELROUTE { libc::RT_SCOPE_NOWHERE } else { scope };
        let len = spec.destination.prefix_len();
        w.raw(&[family(v6), len, 0, 0, table, spec.protocol, scope, spec.kind.number(), 0, 0, 0, 0]);
        if len > 0 {
            ip_attr(w, RTA_DST, spec.destination.network());
        }
        w.attr_u32(RTA_TABLE, spec.table);
        if let Some(metric) = spec.metric {
            w.attr_u32(RTA_PRIORITY, metric);
        }
        if let Some(source) = spec.source {
            ip_attr(w, RTA_PREFSRC, source);
        }
        if let Some(mtu) = spec.mtu {
            let metrics = w.nest(RTA_METRICS);
            w.attr_u32(RTAX_MTU, mtu);
            w.end_nest(metrics);
        }
        match spec.next_hops.as_slice() {
            [] => {}
            [hop] => {
                gateway(w, v6, hop);
                if hop.index != 0 {
                    w.attr_u32(RTA_OIF, hop.index);
                }
            }
            hops => {
                let multipath = w.nest(RTA_MULTIPATH);
                for hop in hops {
                    // struct rtnexthop: length, flags, hops (weight - 1), ifindex.
                    let start = w.buf.len();
                    let weight = hop.weight.clamp(1, 256) - 1;
                    w.raw(&[0, 0, 0, weight as u8]);
                    w.raw(&hop.index.to_ne_bytes());
                    gateway(w, v6, hop);
                    let len = (w.buf.len() - start) as u16;
                    w.buf[start..start + 2].copy_from_slice(&len.to_ne_bytes());
                }
                w.end_nest(multipath);
            }
        }
        self.end(message);
    }

    /// Adds a policy rule.
    pub fn add_rule(&mut self, spec: &RuleSpec) {
        self.rule(RTM_NEWRULE, CREATE, spec, "add");
    }

    /// Removes a policy rule.
    pub fn delete_rule(&mut self, spec: &RuleSpec) {
        self.rule(RTM_DELRULE, 0, spec, "remove");
    }

    fn rule(&mut self, kind: u16, flags: u16, spec: &RuleSpec, verb: &str) {
        let message = self.begin(kind, flags, format!("{verb} rule for table {}", spec.table));
        let w = &mut self.writer;
        let len = |prefix: Option<IpNet>| prefix.map_or(0, |prefix| prefix.prefix_len());
        let table = if spec.table > 255 { 0 } else { spec.table as u8 };
        // struct fib_rule_hdr
        w.raw(&[family(spec.v6), len(spec.to), len(spec.from), 0, table, 0, 0, FR_ACT_TO_TBL, 0, 0, 0, 0]);
        w.attr_u32(FRA_TABLE, spec.table);
        w.attr_u8(FRA_PROTOCOL, PROTOCOL);
        for (kind, prefix) in [(FRA_SRC, spec.from), (FRA_DST, spec.to)] {
            if let Some(prefix) = prefix {
                ip_attr(w, kind, prefix.network());
            }
        }
        if let Some(iif) = &spec.iif {
            w.attr_str(FRA_IIFNAME, iif);
        }
        if let Some(mark) = spec.fwmark {
            w.attr_u32(FRA_FWMARK, mark);
        }
        if let Some(priority) = spec.priority {
            w.attr_u32(FRA_PRIORITY, priority);
        }
        self.end(message);
    }

    /// Adds or replaces a permanent neighbour entry.
    pub fn set_neighbour(&mut self, spec: &NeighbourSpec) {
        let doing = format!("set neighbour {} on interface {}", spec.address, spec.index);
        let message = self.begin(RTM_NEWNEIGH, REPLACE, doing);
        neighbour(&mut self.writer, spec);
        self.end(message);
    }

    /// Lets the kernel look for a neighbour now, and again every few seconds, so that it is always known where it is
    /// (`NTF_EXT_MANAGED`). Linux 5.16 or later.
    pub fn keep_neighbour(&mut self, index: u32, address: IpAddr) {
        let message = self.begin(RTM_NEWNEIGH, REPLACE, format!("keep neighbour {address} on interface {index}"));
        let w = &mut self.writer;
        let mut header = [0; 12];
        header[0] = family(address.is_ipv6());
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        w.raw(&header);
        ip_attr(w, NDA_DST, address);
        w.attr_u32(NDA_FLAGS_EXT, NTF_EXT_MANAGED);
        self.end(message);
    }

    /// Removes a neighbour entry.
    pub fn delete_neighbour(&mut self, spec: &NeighbourSpec) {
        let doing = format!("remove neighbour {} on interface {}", spec.address, spec.index);
        let message = self.begin(RTM_DELNEIGH, 0, doing);
        neighbour(&mut self.writer, spec);
        self.end(message);
    }
}

fn neighbour(w: &mut Writer, spec: &NeighbourSpec) {
    // struct ndmsg
    let mut header = [0; 12];
    header[0] = family(spec.address.is_ipv6());
    header[4..8].copy_from_slice(&spec.index.to_ne_bytes());
    header[8..10].copy_from_slice(&NUD_PERMANENT.to_ne_bytes());
    w.raw(&header);
    ip_attr(w, NDA_DST, spec.address);
    w.attr(NDA_LLADDR, &spec.mac.0);
}

fn gateway(w: &mut Writer, v6: bool, hop: &NextHop) {
    let Some(address) = hop.gateway else { return };
    if address.is_ipv6() == v6 {
        ip_attr(w, RTA_GATEWAY, address);
    } else {
        // struct rtvia: family, then the address.
        let mut via = u16::from(family(address.is_ipv6())).to_ne_bytes().to_vec();
        match address {
            IpAddr::V4(address) => via.extend(address.octets()),
            IpAddr::V6(address) => via.extend(address.octets()),
        }
        w.attr(RTA_VIA, &via);
    }
}

pub(super) fn family(v6: bool) -> u8 {
    (if v6 { libc::AF_INET6 } else { libc::AF_INET }) as u8
}

/// What [`super::Rtnl::route_to`] asks: `struct rtmsg` and the packet's addresses.
pub(super) fn lookup(w: &mut Writer, target: IpAddr, from: Option<(IpAddr, u32)>) {
    let length = |address: IpAddr| if address.is_ipv6() { 128 } else { 32 };
    let source = from.map_or(0, |(source, _)| length(source));
    w.raw(&[family(target.is_ipv6()), length(target), source, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    ip_attr(w, RTA_DST, target);
    if let Some((source, index)) = from {
        ip_attr(w, RTA_SRC, source);
        w.attr_u32(RTA_IIF, index);
    }
}

fn ip_attr(w: &mut Writer, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => w.attr(kind, &address.octets()),
        IpAddr::V6(address) => w.attr(kind, &address.octets()),
    }
}
