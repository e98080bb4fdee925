//! Flows: what leaves one end of a link arrives at the other, and nowhere else.

use netloom_api::lab::Tunnel;
use netloom_api::values::HostName;
use netloom_openflow::{Action, Client, Field, FlowMod, Instruction, Match, PortNo};
use netloom_ovs::access as access_flows;
use netloom_ovs::flows::{self, Desired, Doing};
use netloom_plan::desired::{FabricPlan, TUNNEL_PORT};

use super::rows::{UPLINK_PORT, Words};
use super::{LAB, UNDERLAY, access, stitched};
use crate::error::{Error, Result};
use crate::topology::Topology;

/// Whose the flows are that belong to no link.
const OWN: &str = "underlay";

/// `what` comes in, `actions` are done.
fn flow(what: Match, actions: Vec<Action>) -> FlowMod {
    FlowMod { matches: what, instructions: vec![Instruction::Apply(actions)], ..FlowMod::default() }
}

fn from(port: u32) -> Match {
    Match::any().with(Field::IN_PORT, port)
}

fn to(port: u32) -> Action {
    Action::output(PortNo(port))
}

/// The flows of a host's bridges, each owned by its link.
pub(super) fn wanted(topology: &Topology<'_>, plan: &FabricPlan, host: &HostName) -> Vec<(&'static str, Desired)> {
    let mut lab = Desired::new();
    access_flows::want(&mut lab, &access::lists(topology, host));
    for (link, stitch) in stitched(topology) {
        let judged = link
            .ends
            .iter()
            .zip(&stitch.ends)
            .any(|(end, port)| port.host == *host && end.acl.as_ref().is_some_and(|acl| link.judges(acl)));
        // `what` comes in and goes out of `port`, when the lists let it, with `last` done to it.
        let mut way = |what: Match, mut last: Vec<Action>, port: u32| {
            let plain = last.is_empty();
            last.push(to(port));
            if !judged {
                lab.flow(&link.id, flow(what, last));
                return;
            }
            let instructions = access_flows::enter(port);
            lab.flow(&link.id, FlowMod { matches: what.clone(), instructions, ..FlowMod::default() });
            if !plain {
                lab.flow(&link.id, access_flows::leave(what, last));
            }
        };
        for (here, there) in [(0, 1), (1, 0)] {
            let (here, there) = (&stitch.ends[here], &stitch.ends[there]);
            if here.host != *host {
                continue;
            }
            let Some(vni) = stitch.vni else {
                way(from(here.port), Vec::new(), there.port);
                continue;
            };
            let Some(peer) = plan.hosts.get(&there.host) else { continue };
            let address = u32::from(peer.address.addr());
            let key = Action::set(Field::TUN_ID, vni);
            let (last, port, tunnel) = match plan.tunnel {
                Tunnel::Flow => {
                    let last = vec![key, Action::set(Field::TUN_DST, address)];
                    (last, TUNNEL_PORT, from(TUNNEL_PORT).with(Field::TUN_SRC, address))
                }
                Tunnel::Peer => {
                    let port = TUNNEL_PORT + peer.number;
                    (vec![key], port, from(port))
                }
            };
            way(from(here.port), last, port);
            way(tunnel.with(Field::TUN_ID, vni), Vec::new(), here.port);
        }
    }
    let mut all = vec![(LAB, lab)];
    if plan.hosts.len() > 1 {
        let mut underlay = Desired::new();
        underlay.flow(OWN, flow(from(UPLINK_PORT), vec![Action::output(PortNo::LOCAL)]));
        underlay.flow(OWN, flow(from(PortNo::LOCAL.0), vec![to(UPLINK_PORT)]));
        all.push((UNDERLAY, underlay));
    }
    all
}

fn step(error: netloom_ovs::Error) -> Error {
    Error::step("flows", error)
}

/// What differs from what a bridge has, in words.
pub(super) fn difference(client: &Client, wanted: &Desired) -> Result<Words> {
    let difference = flows::difference(client, wanted).map_err(step)?;
    let link = |owner: &String| owner != OWN && owner != access_flows::TABLES;
    let differs = difference.differs.into_iter().map(|differs| {
        let sign = match differs.doing {
            Doing::Add => "+",
            Doing::Change => "",
            Doing::Remove => "−",
        };
        (differs.owner.filter(link), format!("{sign}{}", differs.what))
    });
    let refused =
        difference.refused.into_iter().map(|refused| (Some(refused.owner.clone()).filter(link), refused.to_string()));
    Ok(differs.chain(refused).collect())
}

/// Makes a bridge's flows be the wanted ones, all at once.
pub(super) fn set(client: &Client, wanted: &Desired) -> Result<()> {
    let report = flows::reconcile(client, wanted).map_err(step)?;
    let refused = report.refused.iter();
    Error::all(refused.map(|why| Error::Node { node: "flows".into(), reason: why.to_string() }).collect())
}
