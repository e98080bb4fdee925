//! Bridges and ports, as rows of the database: what is wanted, what is there, and the one transaction between.

use std::collections::BTreeMap;

use netloom_api::lab::Tunnel;
use netloom_api::values::HostName;
use netloom_ovs::bridge::MARK;
use netloom_ovsdb::codec::{Malformed, insert, mutate, update};
use netloom_ovsdb::vswitch::{Bridge, Interface, OpenVSwitch, Port, add_port, remove_ports};
use netloom_ovsdb::{Condition, Mutation, Mutator, Operation, Ref, Row, Snapshot, Table, Uuid};
use netloom_plan::desired::{FabricPlan, TUNNEL_PORT};

use super::{Datapath, LAB, UNDERLAY, exports, stitched};
use crate::error::{Error, Result};
use crate::spaces::Spaces;
use crate::topology::Topology;

/// The port of a host's network to the others, on the bridge [`UNDERLAY`].
pub(super) const UPLINK: &str = "uplink";
/// Its OpenFlow number.
pub(super) const UPLINK_PORT: u32 = 1;
/// The tunnel to all hosts.
const VXLAN: &str = "vxlan";
/// The versions a bridge speaks. The oldest is what `ovs-ofctl` asks for unless told otherwise.
const PROTOCOLS: [&str; 4] = ["OpenFlow10", "OpenFlow13", "OpenFlow14", "OpenFlow15"];

/// What a host's database shall hold.
pub(super) struct Wanted {
    datapath: Datapath,
    mark: String,
    /// Hardware address of the host in the network between the hosts. A bridge that is made anew would have another one, and what
    /// the others remember would be wrong for half a minute.
    address: String,
    bridges: Vec<(&'static str, Vec<WantedPort>)>,
    exports: exports::Wanted,
}

struct WantedPort {
    name: String,
    kind: &'static str,
    options: BTreeMap<String, String>,
    number: u32,
    ids: BTreeMap<String, String>,
    /// The link it belongs to.
    link: Option<String>,
}

/// What differs: of which link, and what.
pub(super) type Words = Vec<(Option<String>, String)>;

impl Wanted {
    pub(super) fn new(
        topology: &Topology<'_>,
        plan: &FabricPlan,
        host: &HostName,
        datapath: Datapath,
        spaces: &Spaces,
    ) -> Result<Wanted> {
        let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let mut ports = Vec::new();
        for (link, stitch) in stitched(topology) {
            for (end, port) in link.ends.iter().zip(&stitch.ends).filter(|(_, port)| port.host == *host) {
                // As `/proc/PID/ns/net` of a process in there reads. A node that is to come has none yet.
                let netns = spaces.get(end.node.as_str()).and_then(|netns| Ok(netns.id()?));
                let netns = netns.map(|id| format!("net:[{}]", id.inode)).unwrap_or_default();
                ports.push(WantedPort {
                    name: port.name.clone(),
                    kind: "",
                    options: BTreeMap::new(),
                    number: port.port,
                    ids: text(&[
                        ("contIface", end.interface.as_str()),
                        ("contNetns", &netns),
                        (MARK, topology.plan.instance.as_str()),
                        ("netloom-link", &link.id),
                        ("netloom-node", end.node.as_str()),
                    ]),
                    link: Some(link.id.clone()),
                });
            }
        }
        let own = text(&[(MARK, topology.plan.instance.as_str())]);
        let tunnel = |name: String, number: u32, remote: &str| WantedPort {
            name,
            kind: "vxlan",
            options: text(&[("key", "flow"), ("remote_ip", remote)]),
            number,
            ids: own.clone(),
            link: None,
        };
        let mut bridges = vec![(LAB, ports)];
        if plan.hosts.len() > 1 {
            match plan.tunnel {
                Tunnel::Flow => bridges[0].1.push(tunnel(VXLAN.into(), TUNNEL_PORT, "flow")),
                Tunnel::Peer => {
                    for (_, peer) in plan.hosts.iter().filter(|(name, _)| *name != host) {
                        let name = format!("{VXLAN}{}", peer.number);
                        let remote = peer.address.addr().to_string();
                        bridges[0].1.push(tunnel(name, TUNNEL_PORT + peer.number, &remote));
                    }
                }
            }
            let uplink = WantedPort {
                name: UPLINK.into(),
                kind: "",
                options: BTreeMap::new(),
                number: UPLINK_PORT,
                ids: own,
                link: None,
            };
            bridges.push((UNDERLAY, vec![uplink]));
        }
        let [high, low] = plan.hosts.get(host).map_or(0, |host| host.number as u16).to_be_bytes();
        let address = format!("02:6e:6c:00:{high:02x}:{low:02x}");
        let number = plan.hosts.get(host).map_or(0, |host| host.number);
        let exports = exports::Wanted::new(plan, number);
        Ok(Wanted { datapath, mark: topology.plan.instance.to_string(), address, bridges, exports })
    }
}

pub(super) fn malformed(error: Malformed) -> Error {
    Error::step("the switch's database", error)
}

/// A port as it is.
struct Found {
    uuid: Uuid,
    interface: Interface,
    port: Port,
}

fn found(snapshot: &Snapshot, bridge: &Bridge) -> Result<BTreeMap<String, Found>> {
    let mut all = BTreeMap::new();
    for reference in &bridge.ports {
        let Ref::Row(uuid) = reference else { continue };
        let Some(port) = snapshot.get::<Port>(*uuid).map_err(malformed)? else { continue };
        let Some(Ref::Row(interface)) = port.interfaces.first() else { continue };
        let Some(interface) = snapshot.get::<Interface>(*interface).map_err(malformed)? else { continue };
        all.insert(port.name.clone(), Found { uuid: *uuid, interface, port });
    }
    Ok(all)
}

/// The transaction that makes the database as wanted, and what it changes.
pub(super) fn difference(snapshot: &Snapshot, wanted: &Wanted) -> Result<(Vec<Operation>, Words)> {
    let (mut operations, mut words) = (Vec::new(), Words::new());
    root(snapshot, wanted, &mut operations, &mut words)?;
    let there: Vec<(Uuid, Bridge)> = snapshot.all::<Bridge>().map_err(malformed)?.into_iter().collect();
    for (uuid, bridge) in &there {
        if !wanted.bridges.iter().any(|(name, _)| *name == bridge.name) {
            let gone = Mutation::new("bridges", Mutator::Delete, Ref::Row(*uuid));
            operations.push(mutate(OpenVSwitch::NAME, Vec::new(), vec![gone]));
            words.push((None, format!("−bridge {}", bridge.name)));
        }
    }
    let kind = match wanted.datapath {
        Datapath::User => "netdev",
        Datapath::Kernel => "system",
    };
    for (name, ports) in &wanted.bridges {
        let bridge = Bridge {
            name: (*name).into(),
            datapath_type: kind.into(),
            fail_mode: Some("secure".into()),
            protocols: PROTOCOLS.map(String::from).into(),
            external_ids: BTreeMap::from([(MARK.into(), wanted.mark.clone())]),
            other_config: if *name == UNDERLAY {
                BTreeMap::from([("hwaddr".into(), wanted.address.clone())])
            } else {
                BTreeMap::new()
            },
            ..Bridge::default()
        };
        let old = there.iter().find(|(_, old)| old.name == *name);
        let have = match old {
            None => {
                words.push((None, format!("+bridge {name}")));
                operations.extend(add_bridge(&bridge));
                BTreeMap::new()
            }
            Some((uuid, old)) => {
                let same = old.datapath_type == bridge.datapath_type
                    && old.fail_mode == bridge.fail_mode
                    && old.protocols == bridge.protocols
                    && old.external_ids == bridge.external_ids
                    && bridge.other_config.iter().all(|(key, value)| old.other_config.get(key) == Some(value));
                if !same {
                    words.push((None, format!("bridge {name}")));
                    // What others set stays.
                    let all = old.other_config.clone().into_iter().chain(bridge.other_config.clone()).collect();
                    let bridge = Bridge { other_config: all, ..bridge.clone() };
                    operations.push(update(Bridge::NAME, vec![Condition::row(*uuid)], bridge.to_row()));
                }
                found(snapshot, old)?
            }
        };
        let stranger = |port: &&Found| port.port.name != *name && !ports.iter().any(|w| w.name == port.port.name);
        for gone in have.values().filter(stranger) {
            operations.push(remove_ports(name, &[gone.uuid]));
            words.push((gone.port.external_ids.get("netloom-link").cloned(), format!("−port {}", gone.port.name)));
        }
        for port in ports {
            difference_of(name, port, have.get(&port.name), &mut operations, &mut words);
        }
    }
    let lab = there.iter().map(|(_, bridge)| bridge).find(|bridge| bridge.name == LAB);
    wanted.exports.difference(snapshot, lab, &mut operations, &mut words)?;
    Ok((operations, words))
}

/// The one row of settings.
fn root(snapshot: &Snapshot, wanted: &Wanted, operations: &mut Vec<Operation>, words: &mut Words) -> Result<()> {
    let mut settings = BTreeMap::new();
    if wanted.datapath == Datapath::User {
        // Only read when vswitchd starts.
        settings.insert("userspace-tso-enable".to_owned(), "true".to_owned());
    }
    let rows = snapshot.all::<OpenVSwitch>().map_err(malformed)?;
    match rows.into_iter().next() {
        None => {
            let row = OpenVSwitch { other_config: settings, ..OpenVSwitch::default() };
            operations.push(insert(OpenVSwitch::NAME, row.to_row()));
        }
        Some((_, row)) if settings.iter().any(|(key, value)| row.other_config.get(key) != Some(value)) => {
            let all: BTreeMap<String, String> = row.other_config.into_iter().chain(settings).collect();
            operations.push(update(OpenVSwitch::NAME, Vec::new(), Row::new().with("other_config", all)));
            words.push((None, "settings".into()));
        }
        Some(_) => {}
    }
    Ok(())
}

/// A bridge has a port of its own name.
fn add_bridge(bridge: &Bridge) -> Vec<Operation> {
    let [row, port, interface] = ["", "_port", "_interface"].map(|part| format!("bridge_{}{part}", bridge.name));
    let internal = Interface { name: bridge.name.clone(), r#type: "internal".into(), ..Interface::default() };
    let own = Port { name: bridge.name.clone(), interfaces: vec![Ref::New(interface.clone())], ..Port::default() };
    let bridge = Bridge { ports: vec![Ref::New(port.clone())], ..bridge.clone() };
    let here = Mutation::new("bridges", Mutator::Insert, Ref::New(row.clone()));
    vec![
        internal.insert().named(interface),
        own.insert().named(port),
        bridge.insert().named(row),
        mutate(OpenVSwitch::NAME, Vec::new(), vec![here]),
    ]
}

fn difference_of(
    bridge: &str,
    wanted: &WantedPort,
    have: Option<&Found>,
    operations: &mut Vec<Operation>,
    words: &mut Words,
) {
    let number = Some(i64::from(wanted.number));
    if let Some(have) = have {
        let interface = &have.interface;
        let same = interface.r#type == wanted.kind
            && interface.options == wanted.options
            && interface.ofport_request == number
            && (interface.ofport == number || interface.ofport.is_none());
        if same {
            if have.port.external_ids != wanted.ids || interface.external_ids != wanted.ids {
                let row = || Row::new().with("external_ids", wanted.ids.clone());
                operations.push(update(Port::NAME, vec![Condition::row(have.uuid)], row()));
                operations.push(update(Interface::NAME, vec![Condition::equal("name", wanted.name.as_str())], row()));
                words.push((wanted.link.clone(), format!("names of port {}", wanted.name)));
            }
            return;
        }
        operations.push(remove_ports(bridge, &[have.uuid]));
    }
    let interface = Interface {
        name: wanted.name.clone(),
        r#type: wanted.kind.into(),
        options: wanted.options.clone(),
        ofport_request: number,
        external_ids: wanted.ids.clone(),
        ..Interface::default()
    };
    let port = Port { name: wanted.name.clone(), external_ids: wanted.ids.clone(), ..Port::default() };
    operations.extend(add_port(bridge, &port, &interface));
    let what = if have.is_some() { "port" } else { "+port" };
    words.push((wanted.link.clone(), format!("{what} {}", wanted.name)));
}

/// Takes ports of the links away.
pub(super) fn removal(snapshot: &Snapshot, names: &[&str]) -> Result<Vec<Operation>> {
    let bridges = snapshot.all::<Bridge>().map_err(malformed)?;
    let Some(lab) = bridges.into_values().find(|bridge| bridge.name == LAB) else { return Ok(Vec::new()) };
    let ports = found(snapshot, &lab)?;
    let gone: Vec<Uuid> = names.iter().filter_map(|name| Some(ports.get(*name)?.uuid)).collect();
    Ok(if gone.is_empty() { Vec::new() } else { vec![remove_ports(LAB, &gone)] })
}

/// Whether vswitchd has made every port, under its number.
pub(super) fn check(snapshot: &Snapshot, wanted: &Wanted) -> Result<()> {
    let interfaces = snapshot.all::<Interface>().map_err(malformed)?;
    let mut errors = Vec::new();
    for port in wanted.bridges.iter().flat_map(|(_, ports)| ports) {
        let found = interfaces.values().find(|interface| interface.name == port.name);
        let reason = match found {
            Some(interface) if interface.ofport == Some(i64::from(port.number)) => continue,
            Some(Interface { error: Some(error), .. }) => error.clone(),
            Some(Interface { ofport: Some(number), .. }) => {
                format!("ovs-vswitchd gave it number {number} instead of {}", port.number)
            }
            Some(_) => "ovs-vswitchd has not made it".to_owned(),
            None => "it is not in the database".to_owned(),
        };
        errors.push(Error::Node { node: format!("port {}", port.name), reason });
    }
    Error::all(errors)
}
