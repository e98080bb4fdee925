//! What the kernel holds, as plain structures.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::Serialize;

use crate::mac::MacAddr;
use crate::netlink::{Attribute, Attributes, Message, u32_at, u64_at};

use super::*;

/// A network interface (`struct ifinfomsg` and its attributes).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// ifindex, unique in its namespace.
    pub index: u32,
    /// Name.
    pub name: String,
    /// `veth`, `bridge`, `macvlan` …; `None` for physical devices and `lo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it is to its master: `bridge`, `vrf` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slave_kind: Option<String>,
    /// Hardware address, for Ethernet-like devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// MTU in bytes.
    pub mtu: u32,
    /// All `IFF_*` flags.
    pub flags: u32,
    /// Administratively up (`IFF_UP`).
    pub up: bool,
    /// Up and with carrier (`IFF_LOWER_UP`).
    pub lower_up: bool,
    /// Carrier as the driver reports it.
    pub carrier: bool,
    /// RFC 2863 operational state.
    pub operstate: OperState,
    /// ifindex of the other end of a veth, or of the device below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<u32>,
    /// Namespace id of that other device; `None` when it is in the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_netns: Option<i32>,
    /// Alias: the owner's mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Interface group.
    pub group: u32,
    /// ifindex of the bridge or vrf it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master: Option<u32>,
    /// Transmit queue length in packets.
    pub tx_queue_len: u32,
    /// Number of transmit queues.
    pub tx_queues: u32,
    /// Number of receive queues.
    pub rx_queues: u32,
    /// How often carrier has changed.
    pub carrier_changes: u32,
    /// How many users want it promiscuous.
    pub promiscuity: u32,
    /// `ARPHRD_*`: 1 Ethernet, 772 loopback.
    pub hardware: u16,
    /// IPv6 link-local generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addr_gen_mode: Option<AddrGenMode>,
    /// Of a bridge port: which link-local groups pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_fwd_mask: Option<u16>,
    /// Counters since creation.
    pub stats: LinkStats,
}

/// RFC 2863 operational state (`IF_OPER_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperState {
    /// The driver does not say (`lo`).
    #[default]
    Unknown,
    /// Hardware missing.
    NotPresent,
    /// No carrier, or administratively down.
    Down,
    /// The device below is down.
    LowerLayerDown,
    /// In a test.
    Testing,
    /// Waiting for an event.
    Dormant,
    /// Passes packets.
    Up,
}

impl OperState {
    fn from_u8(value: u8) -> OperState {
        match value {
            1 => OperState::NotPresent,
            2 => OperState::Down,
            3 => OperState::LowerLayerDown,
            4 => OperState::Testing,
            5 => OperState::Dormant,
            6 => OperState::Up,
            _ => OperState::Unknown,
        }
    }
}

/// Counters of an interface (`struct rtnl_link_stats64`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct LinkStats {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Transmit errors.
    pub tx_errors: u64,
    /// Received but dropped.
    pub rx_dropped: u64,
    /// Dropped before sending.
    pub tx_dropped: u64,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Address {
    /// The interface.
    pub index: u32,
    /// Address and prefix length.
    pub address: IpNet,
    /// The other end, of a point-to-point address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// IPv4 broadcast address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<IpAddr>,
    /// `RT_SCOPE_*`: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// Who made it (`IFA_PROTO`): [`PROTOCOL`] is ours, 1 loopback, 2 router advertisement, 3 link-local, 0 unsaid.
    pub protocol: u8,
    /// All `IFA_F_*` flags.
    pub flags: u32,
    /// Does not expire.
    pub permanent: bool,
    /// Duplicate address detection has not finished.
    pub tentative: bool,
    /// Duplicate address detection found a duplicate.
    pub dad_failed: bool,
}

/// A route of any table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Route {
    /// Destination prefix.
    pub destination: IpNet,
    /// Next hops; none for blackhole and its like.
    pub next_hops: Vec<NextHop>,
    /// What becomes of the packets.
    pub kind: RouteKind,
    /// Who made it (`RTPROT_*`): 2 kernel, 3 boot, 4 static, 186 bgp, 188 ospf, [`PROTOCOL`] ours.
    pub protocol: u8,
    /// Smaller wins.
    pub metric: u32,
    /// Table; 254 main, 255 local.
    pub table: u32,
    /// `RT_SCOPE_*`.
    pub scope: u8,
    /// Preferred source address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// MTU of the path in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// `RTM_F_*` and `RTNH_F_*`.
    pub flags: u32,
}

impl Route {
    /// The request that would make this route again, for snapshots and restores.
    pub fn to_spec(&self) -> RouteSpec {
        RouteSpec {
            destination: self.destination,
            next_hops: self.next_hops.iter().map(|hop| NextHop { flags: 0, ..*hop }).collect(),
            kind: self.kind,
            metric: Some(self.metric),
            protocol: self.protocol,
            table: self.table,
            source: self.source,
            mtu: self.mtu,
        }
    }
}

impl Address {
    /// The request that would make this address again.
    pub fn to_spec(&self) -> AddressSpec {
        AddressSpec {
            index: self.index,
            address: self.address,
            peer: self.peer,
            broadcast: match self.broadcast {
                Some(IpAddr::V4(address)) => Some(address),
                _ => None,
            },
            protocol: self.protocol,
            nodad: self.flags & IFA_F_NODAD != 0,
            noprefixroute: self.flags & IFA_F_NOPREFIXROUTE != 0,
        }
    }
}

/// A neighbour table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Neighbour {
    /// The interface.
    pub index: u32,
    /// Who.
    pub address: IpAddr,
    /// At which hardware address, when known.
    pub mac: Option<MacAddr>,
    /// The kernel looks for it by itself ([`super::Batch::keep_neighbour`]).
    pub kept: bool,
    /// `NUD_*`: 1 incomplete, 2 reachable, 4 stale, 8 delay, 16 probe, 32 failed, 64 noarp, 128 permanent.
    pub state: u16,
}

/// A policy rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Rule {
    /// IPv6 rather than IPv4.
    pub v6: bool,
    /// Smaller first.
    pub priority: u32,
    /// Table to look up.
    pub table: u32,
    /// Source prefix.
    pub from: Option<IpNet>,
    /// Destination prefix.
    pub to: Option<IpNet>,
    /// Arrival interface.
    pub iif: Option<String>,
    /// Firewall mark.
    pub fwmark: Option<u32>,
    /// Who made it; [`PROTOCOL`] is ours.
    pub protocol: u8,
}

pub(super) fn link(message: &Message<'_>) -> Option<Link> {
    if message.kind != RTM_NEWLINK && message.kind != RTM_DELLINK {
        return None;
    }
    let header = message.payload.get(..16)?;
    let flags = u32_at(header, 8)?;
    let mut link = Link {
        index: u32_at(header, 4)?,
        hardware: u16::from_ne_bytes([header[2], header[3]]),
        flags,
        up: flags & libc::IFF_UP as u32 != 0,
        lower_up: flags & libc::IFF_LOWER_UP as u32 != 0,
        ..Link::default()
    };
    for attribute in Attributes(message.payload.get(16..)?) {
        match attribute.kind {
            IFLA_IFNAME => link.name = attribute.str(),
            IFLA_ADDRESS => link.mac = attribute.payload.try_into().ok().map(MacAddr),
            IFLA_MTU => link.mtu = attribute.u32()?,
            IFLA_LINK => link.peer = attribute.u32().filter(|index| *index != 0),
            IFLA_LINK_NETNSID => link.peer_netns = attribute.u32().map(|id| id as i32),
            IFLA_MASTER => link.master = attribute.u32(),
            IFLA_TXQLEN => link.tx_queue_len = attribute.u32()?,
            IFLA_OPERSTATE => link.operstate = OperState::from_u8(attribute.u8()?),
            IFLA_IFALIAS => link.alias = Some(attribute.str()),
            IFLA_GROUP => link.group = attribute.u32()?,
            IFLA_PROMISCUITY => link.promiscuity = attribute.u32()?,
            IFLA_NUM_TX_QUEUES => link.tx_queues = attribute.u32()?,
            IFLA_NUM_RX_QUEUES => link.rx_queues = attribute.u32()?,
            IFLA_CARRIER => link.carrier = attribute.u8()? != 0,
            IFLA_CARRIER_CHANGES => link.carrier_changes = attribute.u32()?,
            IFLA_STATS64 => link.stats = stats(attribute.payload),
            IFLA_LINKINFO => link_info(&mut link, &attribute),
            IFLA_AF_SPEC => {
                link.addr_gen_mode = attribute
                    .nested()
                    .find(|family| i32::from(family.kind) == libc::AF_INET6)
                    .and_then(|family| family.nested().find(|a| a.kind == IFLA_INET6_ADDR_GEN_MODE))
                    .and_then(|mode| AddrGenMode::from_u8(mode.u8()?));
            }
            _ => {}
        }
    }
    Some(link)
}

fn link_info(link: &mut Link, info: &Attribute<'_>) {
    for attribute in info.nested() {
        match attribute.kind {
            IFLA_INFO_KIND => link.kind = Some(attribute.str()),
            IFLA_INFO_SLAVE_KIND => link.slave_kind = Some(attribute.str()),
            IFLA_INFO_SLAVE_DATA if link.slave_kind.as_deref() == Some("bridge") => {
                link.group_fwd_mask =
                    attribute.nested().find(|a| a.kind == IFLA_BRPORT_GROUP_FWD_MASK).and_then(|a| a.u16());
            }
            _ => {}
        }
    }
}

fn stats(bytes: &[u8]) -> LinkStats {
    let at = |index: usize| u64_at(bytes, index * 8).unwrap_or_default();
    LinkStats {
        rx_packets: at(0),
        tx_packets: at(1),
        rx_bytes: at(2),
        tx_bytes: at(3),
        rx_errors: at(4),
        tx_errors: at(5),
        rx_dropped: at(6),
        tx_dropped: at(7),
    }
}

pub(super) fn address(message: &Message<'_>) -> Option<Address> {
    if message.kind != RTM_NEWADDR && message.kind != RTM_DELADDR {
        return None;
    }
    let header = message.payload.get(..8)?;
    let (mut local, mut other, mut broadcast) = (None, None, None);
    let mut flags = u32::from(header[2]);
    let mut protocol = 0;
    for attribute in Attributes(message.payload.get(8..)?) {
        match attribute.kind {
            IFA_LOCAL => local = ip(&attribute),
            IFA_ADDRESS => other = ip(&attribute),
            IFA_BROADCAST => broadcast = ip(&attribute),
            IFA_FLAGS => flags = attribute.u32()?,
            IFA_PROTO => protocol = attribute.u8()?,
            _ => {}
        }
    }
    let own = local.or(other)?;
    Some(Address {
        index: u32_at(header, 4)?,
        address: IpNet::new(own, header[1]).ok()?,
        peer: other.filter(|other| *other != own),
        broadcast,
        scope: header[3],
        protocol,
        flags,
        permanent: flags & IFA_F_PERMANENT != 0,
        tentative: flags & IFA_F_TENTATIVE != 0,
        dad_failed: flags & IFA_F_DADFAILED != 0,
    })
}

pub(super) fn route(message: &Message<'_>) -> Option<Route> {
    if message.kind != RTM_NEWROUTE && message.kind != RTM_DELROUTE {
        return None;
    }
    let header = message.payload.get(..12)?;
    let any = match i32::from(header[0]) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let mut route = Route {
        destination: IpNet::new(any, header[1]).ok()?,
        next_hops: Vec::new(),
        kind: RouteKind::from_number(header[7]),
        protocol: header[5],
        metric: 0,
        table: u32::from(header[4]),
        scope: header[6],
        source: None,
        mtu: None,
        flags: u32_at(header, 8)?,
    };
    let mut single = NextHop { gateway: None, index: 0, weight: 1, flags: route.flags as u8 };
    for attribute in Attributes(message.payload.get(12..)?) {
        match attribute.kind {
            RTA_DST => route.destination = IpNet::new(ip(&attribute)?, header[1]).ok()?,
            RTA_OIF => single.index = attribute.u32()?,
            RTA_GATEWAY => single.gateway = ip(&attribute),
            RTA_VIA => single.gateway = via(&attribute),
            RTA_PRIORITY => route.metric = attribute.u32()?,
            RTA_PREFSRC => route.source = ip(&attribute),
            RTA_TABLE => route.table = attribute.u32()?,
            RTA_METRICS => {
                route.mtu = attribute.nested().find(|a| a.kind == RTAX_MTU).and_then(|a| a.u32());
            }
            RTA_MULTIPATH => route.next_hops = multipath(attribute.payload),
            _ => {}
        }
    }
    let drops =
        matches!(route.kind, RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw);
    if route.next_hops.is_empty() && !drops && (single.index != 0 || single.gateway.is_some()) {
        route.next_hops.push(single);
    }
    Some(route)
}

/// Reads the `struct rtnexthop` list of a multipath route.
fn multipath(mut bytes: &[u8]) -> Vec<NextHop> {
    let mut hops = Vec::new();
    while let Some(header) = bytes.get(..8) {
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(attributes) = bytes.get(8..len) else {
            break;
        };
        let gateway = Attributes(attributes).find_map(|attribute| match attribute.kind {
            RTA_GATEWAY => ip(&attribute),
            RTA_VIA => via(&attribute),
            _ => None,
        });
        hops.push(NextHop {
            gateway,
            index: u32_at(header, 4).unwrap_or_default(),
            weight: u16::from(header[3]) + 1,
            flags: header[2],
        });
        bytes = bytes.get((len + 3) & !3..).unwrap_or_default();
    }
    hops
}

pub(super) fn neighbour(message: &Message<'_>) -> Option<Neighbour> {
    if message.kind != RTM_NEWNEIGH && message.kind != RTM_DELNEIGH {
        return None;
    }
    let header = message.payload.get(..12)?;
    let (mut address, mut mac, mut kept) = (None, None, false);
    for attribute in Attributes(message.payload.get(12..)?) {
        match attribute.kind {
            NDA_FLAGS_EXT => kept = u32_at(attribute.payload, 0).is_some_and(|flags| flags & NTF_EXT_MANAGED != 0),
            NDA_DST => address = ip(&attribute),
            NDA_LLADDR => mac = attribute.payload.try_into().ok().map(MacAddr),
            _ => {}
        }
    }
    Some(Neighbour {
        index: u32_at(header, 4)?,
        address: address?,
        mac,
        kept,
        state: u16::from_ne_bytes([header[8], header[9]]),
    })
}

pub(super) fn rule(message: &Message<'_>) -> Option<Rule> {
    if message.kind != RTM_NEWRULE {
        return None;
    }
    let header = message.payload.get(..12)?;
    let mut rule = Rule { v6: i32::from(header[0]) == libc::AF_INET6, table: u32::from(header[4]), ..Rule::default() };
    for attribute in Attributes(message.payload.get(12..)?) {
        match attribute.kind {
            FRA_SRC => rule.from = IpNet::new(ip(&attribute)?, header[2]).ok(),
            FRA_DST => rule.to = IpNet::new(ip(&attribute)?, header[1]).ok(),
            FRA_IIFNAME => rule.iif = Some(attribute.str()),
            FRA_PRIORITY => rule.priority = attribute.u32()?,
            FRA_FWMARK => rule.fwmark = attribute.u32().filter(|mark| *mark != 0),
            FRA_TABLE => rule.table = attribute.u32()?,
            FRA_PROTOCOL => rule.protocol = attribute.u8()?,
            _ => {}
        }
    }
    Some(rule)
}

fn ip(attribute: &Attribute<'_>) -> Option<IpAddr> {
    ip_bytes(attribute.payload)
}

fn ip_bytes(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

fn via(attribute: &Attribute<'_>) -> Option<IpAddr> {
    ip_bytes(attribute.payload.get(2..)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Netns;

    /// Real messages, cut short and with bytes changed: a reader may give nothing, it must not panic.
    #[test]
    fn broken_messages_do_no_harm() {
        let netns = Netns::create().unwrap();
        let mut rtnl = Rtnl::open_in(&netns).unwrap();
        rtnl.change(|batch| {
            batch.create_bridge(&Bridge { index: Some(9), ..Bridge::new("br0") });
            batch.create_veth(&VethEnd::new("e1").index(2), &VethEnd::new("e2").index(3));
            batch.set_link(3, &LinkChange { master: Some(9), alias: Some("x"), ..LinkChange::default() });
            for index in [1, 2, 3] {
                batch.link_up(index);
            }
            for text in ["10.0.0.1/24", "2001:db8::1/64"] {
                batch.add_address(&AddressSpec::new(2, text.parse().unwrap()));
            }
            let hops = ["10.0.0.2", "10.0.0.3"].map(|text| NextHop::via(text.parse().unwrap()));
            batch.add_route(&RouteSpec::new("192.0.2.0/24".parse().unwrap(), hops.to_vec()));
            batch.add_rule(&RuleSpec { table: 7, iif: Some("e1".into()), ..RuleSpec::default() });
        })
        .unwrap();
        let mut samples: Vec<(u16, Vec<u8>)> = Vec::new();
        let requests: [fn() -> crate::netlink::Batch; 4] = [
            || get_links(0),
            || get(RTM_GETADDR, &[0; 8], "addresses"),
            || get(RTM_GETROUTE, &[0; 12], "routes"),
            || get(34, &[0; 12], "rules"),
        ];
        for request in requests {
            let read = |message: &Message<'_>| Some((message.kind, message.payload.to_vec()));
            samples.extend(rtnl.socket.dump(request, read).unwrap());
        }
        assert!(samples.len() > 12);
        let mut state = 0x2545_f491_u32;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as usize
        };
        let mut understood = 0;
        for (kind, sample) in &samples {
            for round in 0..400 {
                let mut bytes = sample.clone();
                if round > 0 {
                    bytes.truncate(random() % (sample.len() + 1));
                }
                for _ in 0..round % 4 {
                    if let Some(len) = bytes.len().checked_sub(1) {
                        bytes[random() % (len + 1)] = random() as u8;
                    }
                }
                let message = Message { kind: *kind, flags: 0, seq: 0, payload: &bytes };
                let found = [
                    link(&message).is_some(),
                    address(&message).is_some(),
                    route(&message).is_some(),
                    neighbour(&message).is_some(),
                    rule(&message).is_some(),
                ];
                assert!(round > 0 || found.contains(&true), "kind {kind}");
                understood += usize::from(found.contains(&true));
            }
        }
        assert!(understood > samples.len());
    }
}
