//! The management network: `mgmt0` in the nodes, one interface on the host, an uplink, published ports.
//!
//! Its bridge stands in a namespace of its own that only the keeper holds, joined to the host by one veth: when the keeper
//! ends, however it ends, bridge and veth go with it. On the host there are only that veth's half (`nl-…`, with our mark and
//! the gateway's address) and, for uplink and ports, an nft table `netloom-<instance>`: of a killed keeper's lab the table is
//! all that stays until `down`.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use netloom_kernel::netns::Netns;
use netloom_kernel::nft::{Base, Chain, ChainKind, Hook, Match, Nft, Rule, Table, TableFamily, Verdict};
use netloom_kernel::rtnl::{AddressSpec, Batch, Bridge, LinkChange, Rtnl, VethEnd};
use netloom_kernel::sysctl;
use netloom_plan::desired::{BRIDGE_IFINDEX, MANAGEMENT_IFINDEX, ManagementPlan, Plan};
use netloom_runtimes::client::Client;

use crate::error::{Error, Result};
use crate::host::short_hash;
use crate::links::maker;
use crate::spaces::Spaces;
use crate::state::Record;
use crate::topology::{Topology, alias};
use std::os::fd::AsFd;

/// What the keeper calls the namespace of the bridge. No node has a '/' in its name.
const HELD: &str = "/management";
const FORWARD: &str = "net.ipv4.ip_forward";
const FORWARD6: &str = "net.ipv6.conf.all.forwarding";
/// Ports of a Linux bridge (`BR_MAX_PORTS`), one of them for the host.
const PORTS: usize = 1023;

fn host_name(instance: &str) -> String {
    format!("nl-{:010x}", short_hash(&format!("{}/management", alias(instance))))
}

fn table_name(instance: &str) -> String {
    format!("netloom-{instance}")
}

/// Makes it, where the plan has one.
pub(crate) fn create(topology: &Topology<'_>, root: &mut Rtnl, spaces: &Spaces, client: &mut Client) -> Result<()> {
    let Some(plan) = &topology.plan.management else { return Ok(()) };
    make(plan, topology, root, spaces, client).map_err(|e| Error::step("management network", e))
}

fn make(
    plan: &ManagementPlan,
    topology: &Topology<'_>,
    root: &mut Rtnl,
    spaces: &Spaces,
    client: &mut Client,
) -> Result<()> {
    if plan.nodes.len() > PORTS {
        let reason = format!("a Linux bridge has {PORTS} ports for nodes; set `management: false` on some");
        return Err(Error::Unsupported { what: format!("{} nodes in it", plan.nodes.len()), reason });
    }
    let instance = topology.plan.instance.as_str();
    let (mark, name) = (&topology.alias, host_name(instance));
    let netns = Netns::create()?;
    client.hold([(HELD, netns.as_fd())])?;
    let mut inner = Rtnl::open_in(&netns)?;
    inner.change(|batch| {
        batch.link_up(1);
        batch.create_bridge(&Bridge { index: Some(BRIDGE_IFINDEX), ..Bridge::new("mgmt") });
        batch.link_up(BRIDGE_IFINDEX);
    })?;
    let mut batch = Batch::new();
    let home = Netns::current()?;
    // The kernel heeds the second end's index only when the first has one.
    batch.create_veth(
        &VethEnd::new("host").index(BRIDGE_IFINDEX + 1).inside(&netns),
        &VethEnd::new(&name).inside(&home),
    );
    let ports: Vec<u32> = (2..).take(plan.nodes.len()).collect();
    let port_names: Vec<String> = ports.iter().map(|port| format!("p{port}")).collect();
    for ((node, port), port_name) in plan.nodes.keys().zip(&ports).zip(&port_names) {
        batch.create_veth(
            &VethEnd::new("mgmt0").index(MANAGEMENT_IFINDEX).inside(spaces.get(node.as_str())?),
            &VethEnd::new(port_name).index(*port).inside(&netns),
        );
    }
    maker()?.apply(batch)?;
    inner.change(|batch| {
        for port in ports.iter().copied().chain([BRIDGE_IFINDEX + 1]) {
            let change =
                LinkChange { up: Some(true), alias: Some(mark), master: Some(BRIDGE_IFINDEX), ..LinkChange::default() };
            batch.set_link(port, &change);
        }
    })?;
    let half = root.link(name.as_str())?.index;
    root.change(|batch| {
        batch.set_link(half, &LinkChange { up: Some(true), alias: Some(mark), ..LinkChange::default() });
        let gateway = Ipv4Net::new(plan.gateway, plan.v4.prefix_len()).map(IpNet::V4);
        for address in gateway.into_iter().chain(gateway6(plan)) {
            batch.add_address(&AddressSpec::new(half, address));
        }
    })?;
    outward(plan, instance, &name)
}

fn gateway6(plan: &ManagementPlan) -> Option<IpNet> {
    let (net, gateway) = (plan.v6?, plan.gateway6?);
    ipnet::Ipv6Net::new(gateway, net.prefix_len()).ok().map(IpNet::V6)
}

/// Uplink and published ports.
fn outward(plan: &ManagementPlan, instance: &str, name: &str) -> Result<()> {
    if !plan.uplink && plan.publish.is_empty() {
        return Ok(());
    }
    if forwards_v6(plan) && !forwards(FORWARD6) {
        // Said before anything of IPv6 is changed.
        advertised()?;
    }
    let mut nft = Nft::open()?;
    nft.replace(&table(plan, IpNet::V4(plan.v4), instance, name))?;
    if forwards_v6(plan)
        && let Some(net) = plan.v6
    {
        nft.replace(&table(plan, IpNet::V6(net), instance, name))?;
        if !forwards(FORWARD6) {
            sysctl::write_here(FORWARD6, "1")?;
        }
    }
    if plan.publish.iter().any(|port| port.to.is_ipv4()) {
        // Connections from this host itself come from 127.0.0.1.
        sysctl::write_here(&format!("net/ipv4/conf/{name}/route_localnet"), "1")?;
    }
    if !forwards(FORWARD) {
        sysctl::write_here(FORWARD, "1")?;
    }
    Ok(())
}

/// The plan needs the host to forward IPv6.
fn forwards_v6(plan: &ManagementPlan) -> bool {
    plan.v6.is_some() && (plan.uplink || plan.publish.iter().any(|port| port.to.is_ipv6()))
}

/// Refuses to forward IPv6 on a host that has its default route from a router's advertisements: the kernel would take the route away and
/// heed no further ones, but for `accept_ra` 2.
fn advertised() -> Result<()> {
    let mut root = Rtnl::open()?;
    let links = root.links_without_stats()?;
    let routes = root.routes()?;
    let learned = routes.iter().filter(|route| {
        route.protocol == RTPROT_RA && route.destination.addr().is_ipv6() && route.destination.prefix_len() == 0
    });
    for hop in learned.flat_map(|route| &route.next_hops) {
        let Some(link) = links.iter().find(|link| link.index == hop.index) else { continue };
        let key = format!("net/ipv6/conf/{}/accept_ra", link.name);
        if sysctl::read_here(&key).is_ok_and(|value| value != "2") {
            let reason = format!(
                "this host learns its default route on {} from a router, and would stop to when it forwards; let it go on with `sysctl {}=2`, or leave `pool6` away",
                link.name, key
            );
            return Err(Error::Unsupported { what: "uplink or published port over IPv6".into(), reason });
        }
    }
    Ok(())
}

/// `RTPROT_RA`.
const RTPROT_RA: u8 = 9;

/// The rules of one family.
fn table(plan: &ManagementPlan, net: IpNet, instance: &str, name: &str) -> Table {
    let v6 = matches!(net, IpNet::V6(_));
    let nat = |name: &str, hook, priority, rules| Chain {
        name: name.into(),
        base: Some(Base { kind: ChainKind::Nat, hook, priority, drop: false }),
        rules,
    };
    let publish = |from_outside: bool| -> Vec<Rule> {
        let rule = |port: &netloom_plan::desired::PublishPlan| {
            if port.to.is_ipv6() != v6 {
                return None;
            }
            let mut matches = Vec::new();
            if !port.address.is_unspecified() {
                matches.push(Match::To(IpNet::from(port.address)));
            } else if !from_outside && v6 {
                // To ::1: it cannot leave the host.
                return None;
            } else if !from_outside {
                matches.push(Match::To(IpNet::from(IpAddr::from([127, 0, 0, 1]))));
            } else {
                matches.push(Match::NotIn(name.into()));
            }
            matches.push(Match::Protocol(if port.udp { 17 } else { 6 }));
            matches.push(Match::DestinationPort(port.port, port.port));
            let verdict = Some(Verdict::Dnat(port.to, Some(port.to_port)));
            let comment = Some(format!("{}:{}", port.node, port.to_port));
            Some(Rule { matches, counter: true, verdict, comment })
        };
        plan.publish.iter().filter_map(rule).collect()
    };
    let mut leave = Vec::new();
    if !v6 {
        leave.push(Rule {
            matches: vec![Match::From("127.0.0.0/8".parse().unwrap_or(net)), Match::Out(name.into())],
            verdict: Some(Verdict::Masquerade),
            ..Rule::default()
        });
    }
    if !plan.uplink {
        // Nodes without a way out answer nobody but the host.
        leave.push(Rule {
            matches: vec![Match::Out(name.into())],
            verdict: Some(Verdict::Masquerade),
            ..Rule::default()
        });
    }
    if plan.uplink {
        leave.push(Rule {
            matches: vec![Match::From(net), Match::NotTo(net), Match::NotOut(name.into())],
            verdict: Some(Verdict::Masquerade),
            ..Rule::default()
        });
    }
    Table {
        family: if v6 { TableFamily::Ip6 } else { TableFamily::Ip },
        name: table_name(instance),
        chains: vec![
            nat("prerouting", Hook::Prerouting, -100, publish(true)),
            nat("output", Hook::Output, -100, publish(false)),
            nat("postrouting", Hook::Postrouting, 100, leave),
        ],
    }
}

/// Whether the host forwards packets by itself, before a lab needs it to.
pub(crate) fn forwards(key: &str) -> bool {
    sysctl::read_here(key).is_ok_and(|value| value == "1")
}

/// What the host does not forward yet, and has to for this plan: IPv4, IPv6.
pub(crate) fn forwarding_off(plan: &Plan) -> (bool, bool) {
    let Some(plan) = &plan.management else { return (false, false) };
    let v4 = plan.uplink || !plan.publish.is_empty();
    (v4 && !forwards(FORWARD), forwards_v6(plan) && !forwards(FORWARD6))
}

/// Changes it: it is made anew when it differs, or when a node lacks its interface.
pub(crate) fn change(
    old: &Plan,
    topology: &Topology<'_>,
    spaces: &Spaces,
    client: &mut Client,
    errors: &mut Vec<Error>,
) {
    let new = &topology.plan.management;
    if old.management.is_none() && new.is_none() {
        return;
    }
    let nodes = new.iter().flat_map(|plan| plan.nodes.keys());
    let missing = nodes.into_iter().any(|node| {
        let there = spaces.get(node.as_str()).and_then(|netns| Ok(Rtnl::open_in(netns)?.link(MANAGEMENT_IFINDEX)?));
        there.is_err()
    });
    if old.management == *new && !missing {
        return;
    }
    let before = old.management.iter().flat_map(|plan| plan.nodes.keys());
    let after = new.iter().flat_map(|plan| plan.nodes.keys());
    for node in before.chain(after) {
        if let Ok(netns) = spaces.get(node.as_str()) {
            let gone = Rtnl::open_in(netns).and_then(|mut rtnl| rtnl.change(|b| b.delete_link(MANAGEMENT_IFINDEX)));
            errors.extend(gone.err().filter(|e| !e.is_not_found()).map(Error::from));
        }
    }
    errors.extend(client.release(&[HELD]).err().map(Error::from));
    let instance = topology.plan.instance.as_str();
    errors.extend(remove_host_side(instance));
    let made = Rtnl::open().map_err(Error::from).and_then(|mut root| create(topology, &mut root, spaces, client));
    errors.extend(made.err());
}

fn remove_host_side(instance: &str) -> Vec<Error> {
    let mut errors = Vec::new();
    let link = Rtnl::open().and_then(|mut root| root.change(|batch| batch.delete_link(host_name(instance).as_str())));
    errors.extend(link.err().filter(|e| !e.is_not_found()).map(Error::from));
    let name = table_name(instance);
    let table = Nft::open().and_then(|mut nft| {
        let tables = nft.tables()?;
        for family in [TableFamily::Ip, TableFamily::Ip6] {
            if tables.iter().any(|(of, table)| *of == family as u8 && *table == name) {
                nft.delete(family, &name)?;
            }
        }
        Ok(())
    });
    errors.extend(table.err().filter(|e| !e.is_unsupported()).map(Error::from));
    errors
}

/// Removes what is left of it on the host.
pub(crate) fn remove(instance: &str, record: Option<&Record>) -> Vec<Error> {
    let mut errors = remove_host_side(instance);
    for (off, key) in record.into_iter().flat_map(|r| [(r.forwarding_off, FORWARD), (r.forwarding6_off, FORWARD6)]) {
        if off {
            errors.extend(sysctl::write_here(key, "0").err().map(Error::from));
        }
    }
    errors
}
