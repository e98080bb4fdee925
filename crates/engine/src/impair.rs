//! Impairments of link ends: netem where the kernel has it, else the relay; the same meaning either way.

use std::time::{Duration, Instant};

use netloom_api::link::Impair;
use netloom_api::values::EndRef;
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::Rtnl;
use netloom_kernel::rtnl::tc::{CLSACT, HANDLE, Netem, Qdisc, QdiscSpec, ROOT};
use netloom_kernel::unix::Packets;
use netloom_relay::attach::{self, Place};
use netloom_relay::shelter::sheltered;
use netloom_relay::{Client as Relay, Impairment};
use netloom_runtimes::client::Client;

use crate::error::{Error, Result};
use crate::spaces::Spaces;
use crate::state::Dir;
use crate::topology::{Topology, alias};

/// Impairments in force, in the keeper's values.
pub(crate) const IMPAIRED: &str = "impair/";
/// Set to make labs use the relay also where the kernel has netem.
const FORCE: &str = "NETLOOM_WIRE";

/// Where an impairment goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot<'a> {
    pub(crate) end: &'a EndRef,
    pub(crate) netns: &'a Netns,
    pub(crate) index: u32,
    /// Traffic may run through it: nothing of it may be lost by the change itself.
    pub(crate) live: bool,
}

/// Makes sure that an interface has hooks for filters. While it lives, no frame is lost by that.
pub(crate) fn ensure_hooks(dir: &Dir, spot: Spot<'_>, rtnl: &mut Rtnl) -> Result<()> {
    if rtnl.qdiscs()?.iter().any(|qdisc| qdisc.index == spot.index && qdisc.parent == CLSACT) {
        return Ok(());
    }
    spot.change(dir, || rtnl.change(|batch| batch.add_clsact(spot.index)).map_err(Error::from))
}

impl Spot<'_> {
    /// Does what stops the interface for a moment.
    fn change(self, dir: &Dir, work: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.live { sheltered(self.netns, self.index, &alias(&dir.instance), work) } else { work() }
    }
}

/// Whether this kernel's netem is used.
pub(crate) fn uses_netem() -> bool {
    !std::env::var(FORCE).is_ok_and(|wire| wire == "relay") && netloom_kernel::features::has("netem")
}

/// Sets the impairments of all ends of a new lab.
pub(crate) fn set_all(
    topology: &Topology<'_>,
    dir: &Dir,
    spaces: &Spaces,
    client: &mut Client,
    errors: &mut Vec<Error>,
) {
    let ends = topology.plan.links.iter().flat_map(|link| &link.ends);
    for end in ends {
        let Some(impair) = &end.impair else { continue };
        let result = spaces.get(end.node.as_str()).and_then(|netns| {
            set(dir, client, Spot { end: &end.end(), netns, index: end.ifindex, live: false }, Some(impair))
        });
        if let Err(error) = result {
            errors.push(Error::step(format!("{}: impair", end.end()), error));
        }
    }
}

/// Makes an end's impairment be this one.
pub(crate) fn set(dir: &Dir, client: &mut Client, spot: Spot<'_>, impair: Option<&Impair>) -> Result<()> {
    let impair = impair.filter(|impair| !impair.is_none());
    let key = format!("{IMPAIRED}{}", spot.end);
    if uses_netem() {
        let mut rtnl = Rtnl::open_in(spot.netns)?;
        let ours = |qdisc: &Qdisc| qdisc.index == spot.index && qdisc.parent == ROOT && qdisc.handle == HANDLE;
        let there = rtnl.qdiscs()?.iter().any(ours);
        match impair {
            // In place: nothing stops.
            Some(impair) if there => {
                rtnl.change(|batch| batch.replace_qdisc(spot.index, &QdiscSpec::Netem(netem(impair))))?;
            }
            Some(impair) => spot.change(dir, || {
                let spec = QdiscSpec::Netem(netem(impair));
                rtnl.change(|batch| batch.replace_qdisc(spot.index, &spec)).map_err(Error::from)
            })?,
            None if there => spot.change(dir, || {
                drain(&mut rtnl, ours)?;
                rtnl.change(|batch| batch.delete_qdisc(spot.index)).map_err(Error::from)
            })?,
            None => {}
        }
    } else if impair.is_some() || client.get(&key)?.contains_key(&key) {
        // One user of the relay at a time.
        let _lock = dir.relay_lock()?;
        let relay = Relay::new(Packets::from_fd(client.relay()?));
        let (id, mark) = (spot.end.to_string(), alias(&dir.instance));
        if impair.is_some() {
            ensure_hooks(dir, spot, &mut Rtnl::open_in(spot.netns)?)?;
        }
        let place = Place { netns: spot.netns, index: spot.index, id: &id, alias: &mark };
        let wanted = impair.map(impairment).unwrap_or_default();
        attach::apply(&relay, place, &wanted).map_err(|e| Error::step(id.clone(), e))?;
    }
    let value = impair.map_or(serde_json::Value::Null, |impair| serde_json::to_value(impair).unwrap_or_default());
    Ok(client.put(&key, value)?)
}

/// Waits until what a netem holds has left it: it would be lost with it. New frames go past it meanwhile.
fn drain(rtnl: &mut Rtnl, ours: impl Fn(&Qdisc) -> bool) -> Result<()> {
    let end = Instant::now() + DRAIN;
    while rtnl.qdiscs()?.iter().any(|qdisc| ours(qdisc) && qdisc.stats.queued > 0) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// How long what a netem holds may take to leave it; the rest of a longer queue is lost.
const DRAIN: Duration = Duration::from_secs(10);

/// The impairments in force: end → what.
pub(crate) fn in_force(client: &mut Client) -> Result<Vec<(String, Impair)>> {
    let all = client.get(IMPAIRED)?;
    let parse = |(key, value): (String, serde_json::Value)| {
        Some((key.strip_prefix(IMPAIRED)?.to_owned(), serde_json::from_value(value).ok()?))
    };
    Ok(all.into_iter().filter_map(parse).collect())
}

fn netem(impair: &Impair) -> Netem {
    Netem {
        delay: impair.delay.map(|d| d.0).unwrap_or_default(),
        jitter: impair.jitter.map(|d| d.0).unwrap_or_default(),
        loss: impair.loss.map_or(0.0, |p| p.0),
        duplicate: impair.duplicate.map_or(0.0, |p| p.0),
        corrupt: impair.corrupt.map_or(0.0, |p| p.0),
        reorder: impair.reorder.map_or(0.0, |p| p.0),
        rate: impair.rate.map_or(0, |r| r.0),
        limit: impairment(impair).effective_limit(),
    }
}

fn impairment(impair: &Impair) -> Impairment {
    Impairment {
        delay: impair.delay.map(|d| d.0).unwrap_or_default(),
        jitter: impair.jitter.map(|d| d.0).unwrap_or_default(),
        loss: impair.loss.map_or(0.0, |p| p.0),
        rate: impair.rate.map(|r| r.0),
        duplicate: impair.duplicate.map_or(0.0, |p| p.0),
        corrupt: impair.corrupt.map_or(0.0, |p| p.0),
        reorder: impair.reorder.map_or(0.0, |p| p.0),
        limit: impair.limit,
    }
}
