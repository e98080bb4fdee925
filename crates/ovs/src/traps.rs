//! Configurations of Open vSwitch in which something does not pass though all looks well, measured on Open vSwitch 3.1.
//!
//! Nothing is asked here: the caller brings the database's content, what the kernel says of the interfaces, and the groups.

use std::collections::BTreeMap;
use std::fmt;

use netloom_openflow::group::{GroupDesc, GroupKind};
use netloom_ovsdb::codec::Malformed;
use netloom_ovsdb::vswitch::{Bridge, Interface, OpenVSwitch, Port};
use netloom_ovsdb::{Ref, Snapshot};

/// What the kernel says of an interface.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Card {
    /// Bytes of IP it carries.
    pub mtu: u32,
    /// One end of a veth.
    pub veth: bool,
    /// Whether what is behind it leaves checksums and large segments to it: `tx` of ethtool(8) at the other end of the veth. `None`: that end
    /// cannot be seen from here.
    pub offload: Option<bool>,
    /// What comes from it may go into a tunnel of its bridge. True unless it is known that it does not.
    pub tunnelled: bool,
}

/// Which trap.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Pings pass and TCP does not: the userspace datapath drops or spoils what a veth was to finish.
    OffloadWithoutTso,
    /// TCP passes on this host and not to others: the userspace datapath drops large segments that go into a tunnel.
    OffloadIntoTunnel,
    /// Small packets pass a tunnel and large ones do not, or only in fragments.
    TunnelMtu,
    /// A change of a group's buckets moves connections that live.
    MovingBuckets,
}

/// Something found.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Trap {
    /// Which.
    pub kind: Kind,
    /// Where: bridge and port, or group.
    pub place: String,
    /// What happens, and why.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

/// What IP and the tunnel's headers take of a packet, in bytes, over IPv4: VXLAN (RFC 7348) and Geneve (RFC 8926, without options) with the inner
/// Ethernet header 14, their own 8, UDP 8, IP 20; GRE (RFC 2890, with key) 14, 8 and 20.
fn overhead(kind: &str) -> Option<u32> {
    match kind {
        "vxlan" | "geneve" => Some(50),
        "gre" => Some(42),
        _ => None,
    }
}

/// Looks for all of them, in what a client has that monitors [`Bridges::monitor`](crate::bridge::Bridges::monitor). `card` is asked for interfaces by name, `groups` are those of each bridge.
///
/// # Errors
/// [`Malformed`] when the database is not of ovs-vswitchd's schema.
pub fn find(
    snapshot: &Snapshot,
    card: &dyn Fn(&str) -> Option<Card>,
    groups: &BTreeMap<String, Vec<GroupDesc>>,
) -> Result<Vec<Trap>, Malformed> {
    let tso = snapshot
        .all::<OpenVSwitch>()?
        .into_values()
        .any(|row| row.other_config.get("userspace-tso-enable").is_some_and(|value| value == "true"));
    let mut traps = Vec::new();
    for bridge in snapshot.all::<Bridge>()?.into_values() {
        let interfaces = interfaces(snapshot, &bridge)?;
        let userspace = bridge.datapath_type == "netdev";
        let tunnels: Vec<&Interface> =
            interfaces.iter().filter(|interface| overhead(&interface.r#type).is_some()).collect();
        let cards: Vec<(&Interface, Card)> =
            interfaces.iter().filter_map(|interface| Some((interface, card(&interface.name)?))).collect();
        for (interface, card) in &cards {
            if userspace && card.veth && card.offload != Some(false) {
                traps.extend(offload(&bridge.name, interface, *card, tso, tunnels.first().copied()));
            }
        }
        for tunnel in tunnels {
            traps.extend(too_small(&bridge.name, userspace, tunnel, &cards, card));
        }
        for group in groups.get(&bridge.name).into_iter().flatten() {
            traps.extend(moving(&bridge.name, group));
        }
    }
    Ok(traps)
}

fn interfaces(snapshot: &Snapshot, bridge: &Bridge) -> Result<Vec<Interface>, Malformed> {
    let mut all = Vec::new();
    for port in bridge.ports.iter().filter_map(Ref::uuid) {
        let port = snapshot.get::<Port>(port)?;
        for interface in port.iter().flat_map(|port| &port.interfaces).filter_map(Ref::uuid) {
            all.extend(snapshot.get::<Interface>(interface)?);
        }
    }
    Ok(all)
}

fn offload(bridge: &str, interface: &Interface, card: Card, tso: bool, tunnel: Option<&Interface>) -> Option<Trap> {
    let place = format!("bridge {bridge}, port {}", interface.name);
    let sure = if card.offload.is_some() { "" } else { " if what is behind it has offloads on" };
    match (tso, tunnel.filter(|_| card.tunnelled)) {
        (false, _) => Some(Trap {
            kind: Kind::OffloadWithoutTso,
            place,
            what: format!(
                "pings pass and TCP does not{sure}: the userspace datapath takes segments from a veth whose checksum nobody has made"
            ),
            remedy: "turn it off at the far end (`ethtool -K IF tx off`), or set `other_config:userspace-tso-enable=true` on Open_vSwitch and restart ovs-vswitchd"
                .into(),
        }),
        (true, Some(tunnel)) => Some(Trap {
            kind: Kind::OffloadIntoTunnel,
            place,
            what: format!(
                "TCP into tunnel {} is lost{sure}: the userspace datapath of 3.1 drops segments whose checksum is left to a card when they go into a tunnel",
                tunnel.name
            ),
            remedy: "turn it off at the far end of those ports whose packets go into the tunnel (`ethtool -K IF tx off`)".into(),
        }),
        (true, None) => None,
    }
}

/// Compares what the ports carry with what the network below the tunnel does.
fn too_small(
    bridge: &str,
    userspace: bool,
    tunnel: &Interface,
    cards: &[(&Interface, Card)],
    card: &dyn Fn(&str) -> Option<Card>,
) -> Option<Trap> {
    let below = tunnel.status.get("tunnel_egress_iface")?;
    let carries = card(below)?.mtu;
    let room = carries.saturating_sub(overhead(&tunnel.r#type)?);
    let (port, needs) = cards
        .iter()
        .filter(|(interface, _)| interface.name != *below && interface.name != bridge && interface.r#type != "patch")
        .map(|(interface, card)| (&interface.name, card.mtu))
        .max_by_key(|(_, mtu)| *mtu)?;
    if needs <= room {
        return None;
    }
    let fate = if userspace { "are lost without a word" } else { "are sent in fragments, or lost where fragments are" };
    Some(Trap {
        kind: Kind::TunnelMtu,
        place: format!("bridge {bridge}, tunnel {}", tunnel.name),
        what: format!(
            "packets of more than {room} bytes {fate}: {below} carries {carries}, the tunnel takes {} of them, and port {port} has an MTU of {needs}",
            carries - room
        ),
        remedy: format!("give {below} an MTU of {} or more, or the ports one of {room}", needs + (carries - room)),
    })
}

fn moving(bridge: &str, group: &GroupDesc) -> Option<Trap> {
    let hashes = group.selection.as_ref().is_some_and(|selection| selection.method == "hash");
    (group.kind == GroupKind::Select && !hashes).then(|| Trap {
        kind: Kind::MovingBuckets,
        place: format!("bridge {bridge}, group {}", group.id),
        what: "a change of its buckets moves connections that live: since 2.10 a group that names no selection method has `dp_hash`".into(),
        remedy: "say `selection_method=hash,fields(…)` (OpenFlow 1.5), and give what lives a flow of its own (`learn`, or conntrack)".into(),
    })
}
