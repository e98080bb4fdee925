//! The network between the hosts: one veth from each into a bridge in a namespace of its own, which only the keeper holds.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{AddressSpec, Batch, Bridge, LinkChange, Rtnl, VethEnd};
use netloom_plan::desired::{BRIDGE_IFINDEX, FabricPlan, PORT_IFINDEX};
use netloom_runtimes::client::Client;

use super::rows::UPLINK;
use super::{UNDERLAY, space};
use crate::error::{Error, Result};
use crate::links::maker;
use crate::spaces::Spaces;
use crate::topology::Topology;

/// What the keeper calls the namespace of the bridge. No node has a '/' in its name.
pub(super) const HELD: &str = "/fabric";
/// Interface index of [`UPLINK`] in a host; the ports of the links follow.
const UPLINK_IFINDEX: u32 = PORT_IFINDEX;
/// How long hosts may take to find each other.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the wires between the hosts that are missing.
pub(super) fn wires(plan: &FabricPlan, topology: &Topology<'_>, spaces: &Spaces, client: &mut Client) -> Result<()> {
    make(plan, topology, spaces, client).map_err(|e| Error::step("network between the hosts", e))
}

fn make(plan: &FabricPlan, topology: &Topology<'_>, spaces: &Spaces, client: &mut Client) -> Result<()> {
    let netns = match client.fds(&[HELD]) {
        Ok(mut fds) if fds.len() == 1 => Netns::from_fd(fds.remove(0)),
        _ => {
            let netns = Netns::create()?;
            client.hold([(HELD, netns.as_fd())])?;
            netns
        }
    };
    let mut inner = Rtnl::open_in(&netns)?;
    let there = inner.links_without_stats()?;
    if !there.iter().any(|link| link.index == BRIDGE_IFINDEX) {
        inner.change(|batch| {
            batch.link_up(1);
            batch.create_bridge(&Bridge { index: Some(BRIDGE_IFINDEX), ..Bridge::new("hosts") });
            batch.link_up(BRIDGE_IFINDEX);
        })?;
    }
    let name = |number: u32| format!("h{number}");
    let mut create = Batch::new();
    for (host, of_host) in &plan.hosts {
        let port = PORT_IFINDEX + of_host.number;
        let inside = spaces.get(&space(host))?;
        let mut outer = Rtnl::open_in(inside)?;
        let halves = [
            there.iter().any(|link| link.index == port),
            outer.links_without_stats()?.iter().any(|link| link.index == UPLINK_IFINDEX),
        ];
        if halves != [true, true] {
            // The kernel takes its time with a host that has gone: its half here may be there still.
            for (rtnl, index) in [(&mut inner, port), (&mut outer, UPLINK_IFINDEX)] {
                match rtnl.change(|batch| batch.delete_link(index)) {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
            create.create_veth(
                &VethEnd::new(UPLINK).index(UPLINK_IFINDEX).mtu(of_host.mtu).inside(inside),
                &VethEnd::new(&name(of_host.number)).index(port).mtu(of_host.mtu).inside(&netns),
            );
        }
    }
    maker()?.apply(create)?;
    // Ports of hosts that are no more.
    let known = |index: u32| plan.hosts.values().any(|host| PORT_IFINDEX + host.number == index);
    inner.change(|batch| {
        for link in there.iter().filter(|link| link.index > PORT_IFINDEX && link.index < BRIDGE_IFINDEX) {
            if !known(link.index) {
                batch.delete_link(link.index);
            }
        }
        for host in plan.hosts.values() {
            let change = LinkChange {
                up: Some(true),
                alias: Some(&topology.alias),
                master: Some(BRIDGE_IFINDEX),
                mtu: Some(host.mtu),
                ..LinkChange::default()
            };
            batch.set_link(PORT_IFINDEX + host.number, &change);
        }
    })?;
    for (host, of_host) in &plan.hosts {
        Rtnl::open_in(spaces.get(&space(host))?)?.change(|batch| {
            let change = LinkChange {
                up: Some(true),
                alias: Some(&topology.alias),
                mtu: Some(of_host.mtu),
                ..LinkChange::default()
            };
            batch.set_link(UPLINK_IFINDEX, &change);
        })?;
    }
    Ok(())
}

/// Gives the hosts their addresses and waits until each knows where the others are: a switch drops what it would send to a host that it
/// has yet to find, and a link must not lose its first frame.
pub(super) fn addresses(plan: &FabricPlan, spaces: &Spaces) -> Result<()> {
    let mut hosts = Vec::new();
    for (host, of_host) in &plan.hosts {
        let mut rtnl = Rtnl::open_in(spaces.get(&space(host))?)?;
        let device = rtnl.link(UNDERLAY).map_err(|e| Error::step(format!("switch of host {host}"), e))?;
        let address = IpNet::V4(of_host.address);
        let known = rtnl.addresses()?.iter().any(|a| a.index == device.index && a.address == address);
        rtnl.change(|batch| {
            // It is the switch's own, and bears no mark.
            let change = LinkChange { up: Some(true), mtu: Some(of_host.mtu), ..LinkChange::default() };
            batch.set_link(device.index, &change);
            if !known {
                batch.add_address(&AddressSpec::new(device.index, address));
            }
        })?;
        hosts.push((host, rtnl, device.index));
    }
    let peers =
        |host| plan.hosts.iter().filter(move |(name, _)| *name != host).map(|(_, h)| IpAddr::V4(h.address.addr()));
    for (host, rtnl, index) in &mut hosts {
        let found = rtnl.neighbours()?;
        rtnl.change(|batch| {
            for peer in peers(*host) {
                if !found.iter().any(|n| n.index == *index && n.address == peer && n.kept) {
                    batch.keep_neighbour(*index, peer);
                }
            }
        })?;
    }
    let deadline = Instant::now() + PATIENCE;
    for (host, rtnl, index) in &mut hosts {
        loop {
            let found = rtnl.neighbours()?;
            let missing = peers(*host)
                .find(|peer| !found.iter().any(|n| n.index == *index && n.address == *peer && n.mac.is_some()));
            let Some(missing) = missing else { break };
            if Instant::now() > deadline {
                let reason =
                    format!("it does not find {missing} in {PATIENCE:?}; its log: `netloom logs @{host}/ovs-vswitchd`");
                return Err(Error::Node { node: format!("host {host}"), reason });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}
