//! The switches of this machine, looked at for what silently does not pass ([`netloom_ovs::traps`]).

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use netloom_api::values::HostName;
use netloom_kernel::ethtool::{self, Offload};
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{Link, Rtnl};
use netloom_openflow::client::{Client as OpenFlow, Options as OpenFlowOptions, Remote};
use netloom_openflow::group::GroupDesc;
use netloom_ovs::bridge::Bridges;
use netloom_ovs::flows;
use netloom_ovs::traps::{self, Card};
pub use netloom_ovs::traps::{Kind, Trap};
use netloom_ovsdb::{Client as Database, Config, Snapshot, vswitch};
use netloom_plan::desired::Plan;
use serde::Serialize;

use super::{daemons, space, stitched};
use crate::lab::Lab;
use crate::options::RunDir;
use crate::topology::Topology;

/// Where the machine's own switch is.
const OWN: &str = "/run/openvswitch";
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// A switch that was looked at.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwitchHealth {
    /// `this machine`, or `lab NAME, host HOST`.
    pub place: String,
    /// Of Open vSwitch.
    pub version: Option<String>,
    /// Its bridges.
    pub bridges: Vec<String>,
    /// What was found.
    pub traps: Vec<Trap>,
    /// Why it could not be looked at.
    pub error: Option<String>,
}

/// Looks at the machine's own switch, where one runs, and at those of all labs.
pub fn switches(run_dir: &RunDir) -> Vec<SwitchHealth> {
    let mut all: Vec<SwitchHealth> = own(Path::new(OWN)).into_iter().collect();
    for instance in crate::run::list(run_dir).into_iter().filter(|instance| instance.keeper.is_some()) {
        let Ok(lab) = Lab::open(run_dir, &instance.name) else { continue };
        for host in lab.plan().fabric.iter().flat_map(|fabric| fabric.hosts.keys()) {
            let place = format!("lab {}, host {host}", instance.name);
            all.push(look(place, || of_lab(&lab, host)));
        }
    }
    all
}

type Found = Result<(Snapshot, Vec<Trap>), Box<dyn std::error::Error>>;

fn look(place: String, find: impl FnOnce() -> Found) -> SwitchHealth {
    let mut health = SwitchHealth { place, version: None, bridges: Vec::new(), traps: Vec::new(), error: None };
    match find() {
        Ok((snapshot, traps)) => {
            let row = snapshot.all::<vswitch::OpenVSwitch>().unwrap_or_default().into_values().next();
            health.version = row.and_then(|row| row.ovs_version);
            health.bridges = bridges(&snapshot);
            health.traps = traps;
        }
        Err(error) => health.error = Some(error.to_string()),
    }
    health
}

fn bridges(snapshot: &Snapshot) -> Vec<String> {
    let mut names: Vec<String> =
        snapshot.all::<vswitch::Bridge>().unwrap_or_default().into_values().map(|bridge| bridge.name).collect();
    names.sort();
    names
}

/// The switch that runs beside all labs.
fn own(run: &Path) -> Option<SwitchHealth> {
    let socket = run.join("db.sock");
    std::os::unix::net::UnixStream::connect(&socket).ok()?;
    Some(look("this machine".into(), || {
        let mut config =
            Config::new(netloom_ovsdb::Remote::Unix(socket), vswitch::DATABASE).monitor(Bridges::monitor());
        config.patience = PATIENCE;
        let snapshot = Database::connect(config)?.snapshot();
        let links = links(&Netns::current()?)?;
        // What is behind a veth cannot be seen from here.
        let card = |name: &str| links.get(name).map(|link| card(link, None, true));
        let groups = groups(run, &snapshot)?;
        let traps = traps::find(&snapshot, &card, &groups)?;
        Ok((snapshot, traps))
    }))
}

fn of_lab(lab: &Lab, host: &HostName) -> Found {
    let (snapshot, run, links) = {
        let mut client = lab.client();
        let switch = daemons::Switch::connect(&mut client, host)?;
        let netns = Netns::from_fd(client.fds(&[&space(host)])?.remove(0));
        (switch.snapshot(), switch.run(), links(&netns)?)
    };
    let far = far_ends(lab.plan(), host);
    let card = |name: &str| {
        let link = links.get(name)?;
        let far = far.get(name);
        let offload =
            far.and_then(|far| ethtool::get(&lab.netns(&far.node).ok()?, &far.interface, Offload::TxChecksum).ok());
        Some(card(link, offload, far.is_none_or(|far| far.tunnelled)))
    };
    let groups = groups(&run, &snapshot)?;
    let traps = traps::find(&snapshot, &card, &groups)?;
    Ok((snapshot, traps))
}

/// What is behind a port.
struct Far {
    node: String,
    interface: String,
    tunnelled: bool,
}

/// The far ends of a host's ports, by the ports' names.
fn far_ends(plan: &Plan, host: &HostName) -> HashMap<String, Far> {
    let topology = Topology::new(plan);
    let mut all = HashMap::new();
    for (link, stitch) in stitched(&topology) {
        for (end, port) in link.ends.iter().zip(&stitch.ends).filter(|(_, port)| port.host == *host) {
            let (node, interface) = (end.node.to_string(), end.interface.to_string());
            all.insert(port.name.clone(), Far { node, interface, tunnelled: stitch.vni.is_some() });
        }
    }
    all
}

fn links(netns: &Netns) -> netloom_kernel::Result<HashMap<String, Link>> {
    let links = Rtnl::open_in(netns)?.links_without_stats()?;
    Ok(links.into_iter().map(|link| (link.name.clone(), link)).collect())
}

fn card(link: &Link, offload: Option<bool>, tunnelled: bool) -> Card {
    Card { mtu: link.mtu, veth: link.kind.as_deref() == Some("veth"), offload, tunnelled }
}

/// The groups of every bridge that listens in a directory.
fn groups(run: &Path, snapshot: &Snapshot) -> netloom_ovs::Result<BTreeMap<String, Vec<GroupDesc>>> {
    let mut all = BTreeMap::new();
    for bridge in bridges(snapshot) {
        let remote = Remote::Unix(run.join(format!("{bridge}.mgmt")));
        let options =
            OpenFlowOptions { connect_timeout: PATIENCE, request_timeout: PATIENCE, ..OpenFlowOptions::default() };
        let client = OpenFlow::connect(remote, options)?;
        all.insert(bridge, flows::groups(&client)?);
    }
    Ok(all)
}
