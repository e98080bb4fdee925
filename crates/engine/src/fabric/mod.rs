//! Links on Open vSwitch: every host of the lab is a hidden namespace with its own `ovsdb-server` and `ovs-vswitchd`.
//!
//! ```text
//!  node a              host h1                        host h2              node c
//!  [eth1]══veth══[a_eth1] lab ··vxlan··             ··vxlan·· lab [c_eth1]══veth══[eth1]
//!                         underlay [uplink]══bridge══[uplink] underlay
//! ```
//!
//! | what | where |
//! |---|---|
//! | the daemons, and connections to them | [`daemons`] |
//! | bridges and ports, as rows of the database | [`rows`] |
//! | flows | [`flows`] |
//! | access lists, as flows | [`access`] |
//! | what the switches would do with a packet | [`crossing`] |
//! | what silently does not pass | [`doctor`] |
//! | what collectors are told | [`exports`] |
//! | the network between the hosts | [`underlay`] |
//! | carrier of one end follows the other | `netloom_relay::carrier` |
//!
//! Everything is compared with what is there and only the difference is made, on `up` as on `apply`.

mod access;
mod crossing;
mod daemons;
mod doctor;
mod exports;
mod flows;
mod rows;
mod underlay;

use std::collections::{BTreeMap, HashMap};

use netloom_api::values::HostName;
use netloom_kernel::ethtool::Features;
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{Batch, LinkChange, Rtnl};
use netloom_kernel::sysctl;
use netloom_kernel::unix::Packets;
use netloom_plan::desired::{EndPlan, FabricPlan, LinkPlan, Stitch};
use netloom_plan::diff::{Action, Change, Subject};
use netloom_relay::carrier::{self, Follow, Spot};
use netloom_runtimes::client::Client;

use crate::error::{Error, Result};
use crate::look::note;
use crate::network::Have;
use crate::spaces::Spaces;
use crate::topology::Topology;

pub(crate) use access::Counters;
pub(crate) use crossing::crossing;
pub use crossing::{Crossing, Packet, Ruling};
pub(crate) use daemons::{DAEMONS, log, require};
pub use doctor::{Kind, SwitchHealth, Trap, switches};

/// The first letter of what the keeper calls a host's namespace and node. No node is called so.
const MARK: char = '@';

/// What the keeper calls a host.
pub(crate) fn space(host: &HostName) -> String {
    format!("{MARK}{host}")
}

/// Whether the keeper calls a host so.
pub(crate) fn is_host(held: &str) -> bool {
    held.starts_with(MARK)
}

/// The bridge of the links.
const LAB: &str = "lab";
/// The bridge between tunnels and the network between the hosts.
const UNDERLAY: &str = "underlay";

/// A host's own settings: its interfaces must not speak to the nodes behind them.
const SETTINGS: [(&str, &str); 6] = [
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv6.conf.default.disable_ipv6", "1"),
    ("net.ipv4.ip_forward", "0"),
    // Only for an address of the very interface that was asked on.
    ("net.ipv4.conf.all.arp_ignore", "1"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
];

/// What forwards a bridge's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Datapath {
    /// `ovs-vswitchd` itself.
    User,
    /// The kernel's module.
    Kernel,
}

impl Datapath {
    pub(crate) fn here() -> Datapath {
        if netloom_kernel::features::has("openvswitch") { Datapath::Kernel } else { Datapath::User }
    }
}

/// Makes the namespaces of hosts that have none and starts their databases.
pub(crate) fn begin(topology: &Topology<'_>, have: &Spaces, client: &mut Client) -> Result<Spaces> {
    let mut fresh = Spaces::default();
    let Some(plan) = &topology.plan.fabric else { return Ok(fresh) };
    require()?;
    let new: Vec<&HostName> = plan.hosts.keys().filter(|host| have.get(&space(host)).is_err()).collect();
    for (host, netns) in new.iter().zip(Netns::create_many(new.len())?) {
        for (key, value) in SETTINGS {
            // What a kernel has no setting for, it does not do either.
            if sysctl::read(&netns, key).is_ok() {
                sysctl::write(&netns, [(key, value)])?;
            }
        }
        Rtnl::open_in(&netns)?.change(|batch| batch.link_up(1))?;
        fresh.insert(&space(host), netns);
    }
    fresh.hold(client)?;
    for host in plan.hosts.keys() {
        daemons::start_database(client, host)?;
    }
    Ok(fresh)
}

/// Makes switches, tunnels and flows be as planned. The interfaces of the links are there already.
pub(crate) fn settle(topology: &Topology<'_>, spaces: &Spaces, client: &mut Client) -> Result<()> {
    let Some(plan) = &topology.plan.fabric else { return Ok(()) };
    let datapath = Datapath::here();
    if plan.hosts.len() > 1 {
        underlay::wires(plan, topology, spaces, client)?;
    }
    let mut switches = Vec::new();
    for host in plan.hosts.keys() {
        let result = settle_rows(topology, plan, host, datapath, spaces, client);
        switches.push((host, result.map_err(|e| Error::step(format!("switch of host {host}"), e))?));
    }
    for (host, switch) in &switches {
        let step = |e: Error| Error::step(format!("switch of host {host}"), e);
        for (bridge, wanted) in flows::wanted(topology, plan, host) {
            flows::set(&switch.openflow(bridge).map_err(step)?, &wanted).map_err(step)?;
        }
    }
    if plan.hosts.len() > 1 {
        underlay::addresses(plan, spaces)?;
        for (host, switch) in &switches {
            // A round of the daemon's main loop: it knows the routes of the network between the hosts now.
            switch.applied(Vec::new()).map_err(|e| Error::step(format!("switch of host {host}"), e))?;
        }
    }
    offloads(topology, datapath, spaces)
}

fn settle_rows(
    topology: &Topology<'_>,
    plan: &FabricPlan,
    host: &HostName,
    datapath: Datapath,
    spaces: &Spaces,
    client: &mut Client,
) -> Result<daemons::Switch> {
    let switch = daemons::Switch::connect(client, host)?;
    let wanted = rows::Wanted::new(topology, plan, host, datapath, spaces)?;
    let (operations, _) = rows::difference(&switch.snapshot(), &wanted)?;
    if !operations.is_empty() {
        switch.commit(operations)?;
    }
    daemons::start_vswitchd(client, host, datapath)?;
    switch.applied(Vec::new())?;
    rows::check(&switch.snapshot(), &wanted)?;
    Ok(switch)
}

/// What the switch in user space knows nothing of and would lose: large segments that are not plain TCP's, with one header of each kind, and
/// checksums that are not TCP's or UDP's. The kernel cuts such segments before they leave the node instead.
const UNKNOWN: &[&str] = &[
    "tx-udp-segmentation",
    "tx-sctp-segmentation",
    "tx-checksum-sctp",
    "tx-tcp-ecn-segmentation",
    "tx-tcp-accecn-segmentation",
    "tx-gre-segmentation",
    "tx-gre-csum-segmentation",
    "tx-ipxip4-segmentation",
    "tx-ipxip6-segmentation",
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
    "tx-gso-partial",
    "tx-gso-list",
    "tx-gso-robust",
    "tx-tunnel-remcsum-segmentation",
    "tx-esp-segmentation",
];

/// Checksums of TCP and UDP, and with them the segments of TCP.
const ALL: &[&str] = &["tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6"];

/// Takes offloads from the nodes' ends, on the userspace datapath: it hands large segments of TCP from port to port, but drops those that go
/// into a tunnel.
fn offloads(topology: &Topology<'_>, datapath: Datapath, spaces: &Spaces) -> Result<()> {
    if datapath == Datapath::Kernel {
        return Ok(());
    }
    let mut nodes: BTreeMap<&str, Vec<(&EndPlan, bool)>> = BTreeMap::new();
    for (link, stitch) in stitched(topology) {
        for end in &link.ends {
            nodes.entry(end.node.as_str()).or_default().push((end, stitch.vni.is_some()));
        }
    }
    let ends: Vec<&Vec<(&EndPlan, bool)>> = nodes.values().collect();
    let namespaces = nodes.keys().map(|node| spaces.get(node)).collect::<Result<Vec<_>>>()?;
    // The names are the kernel's, the same for every interface.
    let names = Netns::create()?.run(|| Features::read_here("lo"))??;
    let results = Netns::run_each(namespaces, |at| {
        ends[at]
            .iter()
            .map(|(end, tunnel)| {
                let both = [UNKNOWN, ALL].concat();
                let off = if *tunnel { both.as_slice() } else { UNKNOWN };
                let interface = end.interface.as_str();
                if !names.active_here(interface, off)?.is_empty() {
                    names.switch_off_here(interface, off)?;
                }
                Ok(())
            })
            .zip(ends[at])
            .filter_map(|(result, (end, _)): (netloom_kernel::Result<()>, _)| {
                Some(Error::step(end.end().to_string(), result.err()?))
            })
            .collect::<Vec<_>>()
    })?;
    Error::all(results.into_iter().flatten().collect())
}

/// Links that cross a switch.
pub(crate) fn stitched<'a>(topology: &Topology<'a>) -> impl Iterator<Item = (&'a LinkPlan, &'a Stitch)> {
    topology.plan.links.iter().filter_map(|link| Some((link, link.stitch.as_ref()?)))
}

/// From now on the carrier of each end follows the other.
pub(crate) fn follow(topology: &Topology<'_>, spaces: &Spaces, client: &mut Client) -> Result<()> {
    let mut used: BTreeMap<String, &Netns> = BTreeMap::new();
    let mut follows = Vec::new();
    for (link, stitch) in stitched(topology) {
        for (end, far) in [(0, 1), (1, 0)] {
            let (end, port) = (&link.ends[end], &stitch.ends[far]);
            let host = space(&port.host);
            for name in [end.node.as_str(), host.as_str()] {
                if !used.contains_key(name) {
                    used.insert(name.to_owned(), spaces.get(name)?);
                }
            }
            follows.push(Follow {
                end: Spot { space: end.node.to_string(), index: end.ifindex },
                port: Spot { space: host, index: port.ifindex() },
            });
        }
    }
    let used: Vec<(&str, &Netns)> = used.iter().map(|(name, netns)| (name.as_str(), *netns)).collect();
    let control = Packets::from_fd(client.carrier()?);
    carrier::tell(&control, &used, &follows).map_err(|e| Error::step("carrier", e))
}

/// The ports' side of new links: mark and MTU. Whether they are up follows the far end.
pub(crate) fn mark_ports(
    topology: &Topology<'_>,
    spaces: &Spaces,
    haves: &HashMap<String, Have>,
    new: &[&LinkPlan],
) -> Result<()> {
    let mut batches: BTreeMap<String, Batch> = BTreeMap::new();
    for (link, stitch) in stitched(topology) {
        for end in &stitch.ends {
            let host = space(&end.host);
            // Of a link made since the look, what was seen under its index was another.
            let seen = haves.get(&host).filter(|_| !new.iter().any(|new| new.id == link.id));
            let there = seen.and_then(|have| have.link(end.ifindex()));
            let mut change = LinkChange::default();
            if there.is_none_or(|port| port.alias.as_deref() != Some(&topology.alias)) {
                change.alias = Some(&topology.alias);
            }
            if there.is_some_and(|port| port.mtu != link.mtu) {
                change.mtu = Some(link.mtu);
            }
            if change.alias.is_some() || change.mtu.is_some() {
                batches.entry(host).or_default().set_link(end.ifindex(), &change);
            }
        }
    }
    for (host, batch) in batches {
        Rtnl::open_in(spaces.get(&host)?)?.apply(batch).map_err(|e| Error::step(host, e))?;
    }
    Ok(())
}

/// What differs between the switches and the plan, in words.
pub(crate) fn differences(
    topology: &Topology<'_>,
    spaces: &Spaces,
    client: &mut Client,
    changes: &mut Vec<Change>,
) -> Result<()> {
    let Some(plan) = &topology.plan.fabric else { return Ok(()) };
    let records = client.list()?;
    for host in plan.hosts.keys() {
        let subject = || Subject::Switch(host.clone());
        let record = records.iter().find(|record| record.name == space(host));
        let dead = DAEMONS.iter().find(|daemon| {
            let process = record.and_then(|r| r.processes.iter().find(|process| process.name == **daemon));
            process.is_none_or(|process| process.exit.is_some())
        });
        if let Some(dead) = dead {
            note(changes, Action::Restart, subject(), format!("{dead} did not run"));
            continue;
        }
        let switch = daemons::Switch::connect(client, host)?;
        let wanted = rows::Wanted::new(topology, plan, host, Datapath::here(), spaces)?;
        let (_, mut words) = rows::difference(&switch.snapshot(), &wanted)?;
        for (bridge, flows) in flows::wanted(topology, plan, host) {
            // A bridge that is missing has been said.
            if switch.has_bridge(bridge) {
                words.extend(flows::difference(&switch.openflow(bridge)?, &flows)?);
            }
        }
        let mut merged: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
        for (link, what) in words {
            merged.entry(link).or_default().push(what);
        }
        for (link, what) in merged {
            // What comes with a link that is new, or with the other half of a switch, has been said.
            let subject = link.map_or_else(subject, Subject::Link);
            note(changes, Action::Change, subject, what.join(", "));
        }
    }
    Ok(())
}

/// Ports of links that are made anew go first: the switch would hold on to an interface that is no more.
pub(crate) fn forget(topology: &Topology<'_>, links: &[&LinkPlan], client: &mut Client) -> Result<()> {
    let Some(plan) = &topology.plan.fabric else { return Ok(()) };
    for host in plan.hosts.keys() {
        let ends = links.iter().filter_map(|link| link.stitch.as_ref()).flat_map(|stitch| &stitch.ends);
        let names: Vec<&str> = ends.filter(|end| end.host == *host).map(|end| end.name.as_str()).collect();
        if names.is_empty() || !daemons::runs(client, host)? {
            continue;
        }
        let switch = daemons::Switch::connect(client, host)?;
        let operations = rows::removal(&switch.snapshot(), &names)?;
        if !operations.is_empty() {
            switch.applied(operations)?;
        }
    }
    Ok(())
}

/// Gives up the network between the hosts where there is only one.
pub(crate) fn release(topology: &Topology<'_>, client: &mut Client) -> Result<()> {
    if topology.plan.fabric.as_ref().is_none_or(|plan| plan.hosts.len() < 2) {
        client.release(&[underlay::HELD])?;
    }
    Ok(())
}
