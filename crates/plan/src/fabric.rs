//! Open vSwitch: who is on which host, on which port, under which network identifier.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use indexmap::IndexMap;
use ipnet::Ipv4Net;
use netloom_api::lab::{Fabric, Lab, VXLAN_OVERHEAD};
use netloom_api::node::NodeKind;
use netloom_api::values::{EndRef, HostName, NodeName};

use crate::desired::{Allocation, EndPlan, FabricPlan, HostPlan, LinkPlan, PortSlot, Stitch, StitchEnd, TUNNEL_PORT};
use crate::error::PlanError;

/// The network between the hosts: addresses that nobody hands out (RFC 1112 §4), and that only the hosts' namespaces see.
const UNDERLAY: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 0);
const UNDERLAY_LENGTH: u8 = 16;

/// Room for two VLAN tags beside what a link's MTU counts.
const TAGS: u32 = 8;
/// The largest MTU of a veth.
const LARGEST: u32 = 65535;
/// What the network between hosts carries at least.
const LEAST: u32 = 1500 + VXLAN_OVERHEAD + TAGS;
/// The most an interface's name may have (`IFNAMSIZ` less one).
const NAME: usize = 15;

/// The one host of a lab that names none.
const ONLY: &str = "h1";

/// Plans the fabric, and the way of every link over it. `None` where links are veths.
pub(crate) fn plan(
    lab: &Lab,
    previous: &Allocation,
    links: &mut [LinkPlan],
    allocation: &mut Allocation,
    errors: &mut Vec<PlanError>,
) -> Option<FabricPlan> {
    let spec = &lab.spec;
    if !spec.is_ovs() {
        return None;
    }
    let mut named: Vec<HostName> = spec.hosts.keys().cloned().collect();
    if named.is_empty() {
        named.extend(ONLY.parse::<HostName>().ok());
    }
    allocation.hosts = lowest_free(named.iter(), &previous.hosts);
    let first = named.first()?.clone();
    let place = |end: &EndRef| {
        let node = spec.nodes.get(&end.node).filter(|node| node.kind != NodeKind::Host)?;
        Some(spec.host_of(node).unwrap_or(&first).clone())
    };
    // Where each link's ends are; those at an interface of the host stay as they are.
    let places: Vec<Option<[HostName; 2]>> = links
        .iter()
        .map(|link| {
            let [a, b] = link.ends.each_ref().map(|end| place(&end.end()));
            Some([a?, b?])
        })
        .collect();
    ports(links, &places, previous, allocation, errors);
    vnis(links, &places, previous, allocation);
    for (link, places) in links.iter_mut().zip(&places) {
        let Some(places) = places else { continue };
        let ends = [0, 1].map(|e| {
            let port = allocation.ports.get(&link.ends[e].end()).map_or(0, |slot| slot.port);
            StitchEnd { host: places[e].clone(), port, name: name(&link.ends[e].end(), port) }
        });
        let vni = allocation.vnis.get(&link.id).copied();
        link.stitch = Some(Stitch { vni, ends });
    }
    let stateful =
        |link: &LinkPlan, end: &EndPlan| end.acl.as_ref().is_some_and(|acl| acl.stateful && link.judges(acl));
    let ends = links.iter().flat_map(|link| link.ends.iter().filter(|end| stateful(link, end)));
    let remember: BTreeSet<&NodeName> = ends.map(|end| &end.node).collect();
    allocation.zones = lowest_free(remember.iter().copied(), &previous.zones);
    let mut hosts = IndexMap::new();
    for host in named {
        let number = allocation.hosts.get(&host).copied().unwrap_or_default();
        let address = Ipv4Addr::from(u32::from(UNDERLAY) + number);
        let crossing = links.iter().filter(|link| {
            link.stitch.as_ref().is_some_and(|s| s.vni.is_some() && s.ends.iter().any(|end| end.host == host))
        });
        let needed = crossing.map(|link| link.mtu + VXLAN_OVERHEAD + TAGS).max().unwrap_or(0).clamp(LEAST, LARGEST);
        let mtu = spec.hosts.get(&host).and_then(|host| host.mtu).unwrap_or(needed);
        let address = Ipv4Net::new_assert(address, UNDERLAY_LENGTH);
        hosts.insert(host, HostPlan { number, address, mtu });
    }
    let tunnel = spec.fabric.as_ref().and_then(|fabric| fabric.tunnel).unwrap_or_default();
    let export = spec.fabric.as_ref().map(Fabric::export).unwrap_or_default();
    Some(FabricPlan { tunnel, hosts, export })
}

/// Numbers from 1: held ones stay, new ones are the lowest free.
fn lowest_free<'a, K: Ord + Clone + 'a>(
    keys: impl Iterator<Item = &'a K> + Clone,
    held: &BTreeMap<K, u32>,
) -> BTreeMap<K, u32> {
    let mut out = BTreeMap::new();
    let mut used = BTreeSet::new();
    for key in keys.clone() {
        if let Some(&number) = held.get(key).filter(|number| used.insert(**number)) {
            out.insert(key.clone(), number);
        }
    }
    let mut next = 1;
    for key in keys {
        if !out.contains_key(key) {
            while !used.insert(next) {
                next += 1;
            }
            out.insert(key.clone(), next);
        }
    }
    out
}

/// Each end's port on the switch of its host.
fn ports(
    links: &[LinkPlan],
    places: &[Option<[HostName; 2]>],
    previous: &Allocation,
    allocation: &mut Allocation,
    errors: &mut Vec<PlanError>,
) {
    let mut by_host: BTreeMap<&HostName, Vec<EndRef>> = BTreeMap::new();
    for (link, places) in links.iter().zip(places) {
        for (end, host) in link.ends.iter().zip(places.iter().flatten()) {
            by_host.entry(host).or_default().push(end.end());
        }
    }
    for (host, ends) in by_host {
        let held = previous.ports.iter().filter(|(_, slot)| slot.host == *host);
        let held: BTreeMap<EndRef, u32> = held.map(|(end, slot)| (end.clone(), slot.port)).collect();
        if ends.len() >= TUNNEL_PORT as usize {
            errors.push(PlanError::HostFull { host: host.clone(), ends: ends.len(), most: TUNNEL_PORT - 1 });
        }
        for (end, port) in lowest_free(ends.iter(), &held) {
            allocation.ports.insert(end, PortSlot { host: host.clone(), port });
        }
    }
}

/// The network identifier of each link between hosts. A link written the other way round keeps its own.
fn vnis(links: &[LinkPlan], places: &[Option<[HostName; 2]>], previous: &Allocation, allocation: &mut Allocation) {
    let crossing = links.iter().zip(places).filter(|(_, places)| places.as_ref().is_some_and(|[a, b]| a != b));
    let crossing: Vec<&LinkPlan> = crossing.map(|(link, _)| link).collect();
    let mut held = BTreeMap::new();
    for link in &crossing {
        let turned = format!("{}--{}", link.ends[1].end(), link.ends[0].end());
        let vni = previous.vnis.get(&link.id).or_else(|| previous.vnis.get(&turned));
        held.extend(vni.map(|vni| (link.id.clone(), *vni)));
    }
    allocation.vnis = lowest_free(crossing.iter().map(|link| &link.id), &held);
}

/// What an end's half at the switch is called. A node's name has no `_`, so the first one parts it from its interface's.
fn name(end: &EndRef, port: u32) -> String {
    let name = format!("{}_{}", end.node, end.interface);
    // The kernel's own device of VXLAN ports is called vxlan_sys_4789.
    if name.len() <= NAME && !name.starts_with("vxlan_sys") { name } else { format!("p{port}") }
}
