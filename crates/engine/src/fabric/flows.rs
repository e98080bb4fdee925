//! Flows: what leaves one end of a link arrives at the other, and nowhere else.

use std::collections::BTreeMap;

use netloom_api::lab::Tunnel;
use netloom_api::values::HostName;
use netloom_openflow::flow::{FlowCommand, FlowFilter};
use netloom_openflow::multipart::{Reply, Request};
use netloom_openflow::{Action, Client, Field, FlowMod, Instruction, Match, Message, PortNo, Version};
use netloom_plan::desired::{FabricPlan, TUNNEL_PORT};

use super::rows::UPLINK_PORT;
use super::{LAB, UNDERLAY, rows, stitched};
use crate::error::{Error, Result};
use crate::host::short_hash;
use crate::topology::Topology;

/// A flow, and the link it belongs to.
pub(super) struct Flow {
    owner: Option<String>,
    change: FlowMod,
}

impl Flow {
    /// `what` comes in, `actions` are done. The cookie is made of the owner.
    fn new(owner: Option<&str>, what: Match, actions: Vec<Action>) -> Flow {
        let change = FlowMod {
            cookie: short_hash(owner.unwrap_or(UNDERLAY)),
            matches: what,
            instructions: vec![Instruction::Apply(actions)],
            ..FlowMod::default()
        };
        Flow { owner: owner.map(str::to_owned), change }
    }
}

fn from(port: u32) -> Match {
    Match::any().with(Field::IN_PORT, port)
}

fn to(port: u32) -> Action {
    Action::output(PortNo(port))
}

/// The flows of a host's bridges.
pub(super) fn wanted(topology: &Topology<'_>, plan: &FabricPlan, host: &HostName) -> Vec<(&'static str, Vec<Flow>)> {
    let mut lab = Vec::new();
    for (link, stitch) in stitched(topology) {
        let owner = Some(link.id.as_str());
        for (here, there) in [(0, 1), (1, 0)] {
            let (here, there) = (&stitch.ends[here], &stitch.ends[there]);
            if here.host != *host {
                continue;
            }
            let Some(vni) = stitch.vni else {
                lab.push(Flow::new(owner, from(here.port), vec![to(there.port)]));
                continue;
            };
            let Some(peer) = plan.hosts.get(&there.host) else { continue };
            let address = u32::from(peer.address.addr());
            let key = Action::set(Field::TUN_ID, vni);
            let (out, tunnel) = match plan.tunnel {
                Tunnel::Flow => {
                    let out = vec![key, Action::set(Field::TUN_DST, address), to(TUNNEL_PORT)];
                    (out, from(TUNNEL_PORT).with(Field::TUN_SRC, address))
                }
                Tunnel::Peer => {
                    let port = TUNNEL_PORT + peer.number;
                    (vec![key, to(port)], from(port))
                }
            };
            lab.push(Flow::new(owner, from(here.port), out));
            lab.push(Flow::new(owner, tunnel.with(Field::TUN_ID, vni), vec![to(here.port)]));
        }
    }
    let mut all = vec![(LAB, lab)];
    if plan.hosts.len() > 1 {
        let underlay = vec![
            Flow::new(None, from(UPLINK_PORT), vec![Action::output(PortNo::LOCAL)]),
            Flow::new(None, from(PortNo::LOCAL.0), vec![to(UPLINK_PORT)]),
        ];
        all.push((UNDERLAY, underlay));
    }
    all
}

/// What makes a bridge's flows be the wanted ones.
#[derive(Default)]
pub(super) struct Difference {
    changes: Vec<Message>,
    words: rows::Words,
}

impl Difference {
    pub(super) fn words(self) -> rows::Words {
        self.words
    }
}

fn step(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::step("flows", error)
}

/// Compares with what the bridge has.
pub(super) fn difference(client: &Client, wanted: &[Flow]) -> Result<Difference> {
    let version = Version::V13;
    let Reply::Flow(have) = client.ask(Request::Flow(FlowFilter::default())).map_err(step)? else {
        return Err(Error::Node { node: "flows".into(), reason: "the switch answered another question".into() });
    };
    let key = |flow: &FlowMod| (flow.table, flow.priority, flow.matches.to_string());
    let mut have: BTreeMap<_, FlowMod> =
        have.iter().map(|flow| flow.to_flow_mod()).map(|flow| (key(&flow), flow)).collect();
    let mut out = Difference::default();
    for flow in wanted {
        let told = flow.change.as_told(version).map_err(step)?;
        let old = have.remove(&key(&told));
        let same = old.as_ref().is_some_and(|old| old.cookie == told.cookie && old.instructions == told.instructions);
        if !same {
            out.changes.push(Message::FlowMod(flow.change.clone()));
            let what = if old.is_some() { "flow" } else { "+flow" };
            out.words.push((flow.owner.clone(), format!("{what} {}", told.matches)));
        }
    }
    for (_, flow) in have {
        let what = flow.matches.to_string();
        let gone = FlowMod { command: FlowCommand::DeleteStrict, cookie: 0, instructions: Vec::new(), ..flow };
        // Those that go come first: what is new may be the same packets.
        out.changes.insert(0, Message::FlowMod(gone));
        out.words.push((None, format!("−flow {what}")));
    }
    Ok(out)
}

/// Makes a bridge's flows be the wanted ones, all at once.
pub(super) fn set(client: &Client, wanted: &[Flow]) -> Result<()> {
    let difference = difference(client, wanted)?;
    if difference.changes.is_empty() { Ok(()) } else { client.bundle(&difference.changes).map_err(step) }
}
