//! Putting the relay before an interface, and taking it away, while traffic runs.
//!
//! In the interface's namespace a hidden tap is made; a filter at the interface's clsact egress hook redirects every frame to the tap; the
//! relay reads it there and sends it, when its time has come, on the interface with a packet socket that passes the hook by. The
//! interface itself is never touched: index, address, carrier and neighbours stay.
//!
//! Nothing is lost on the way in or out: everything behind the filter stands before the filter is set, and is taken down after it has
//! gone and what was under way has left. At most, frames that were inside the relay arrive a moment behind those that no longer pass it.
//!
//! The exception is the very first time. An interface gets its hooks with the clsact qdisc, and Linux stops an interface that is up for the
//! fraction of a millisecond in which any qdisc comes or goes (`qdisc_graft` in net/sched/sch_api.c): frames sent just then are dropped,
//! with netem as with clsact. Who wants none of it adds clsact before the interface is up
//! ([`netloom_kernel::rtnl::Batch::add_clsact`]) or in a [`crate::shelter`]. For the same reason [`detach`] leaves the hooks where they are:
//! empty, they do nothing.

use std::time::{Duration, Instant};

use netloom_kernel::netns::Netns;
use netloom_kernel::packet::{PacketOptions, PacketSocket};
use netloom_kernel::rtnl::tc::{Action, CLSACT, Hook, PRIORITY};
use netloom_kernel::rtnl::{LinkChange, Rtnl};
use netloom_kernel::tap::{Tap, TapOptions};

use crate::control::{Client, Stats};
use crate::{Error, Impairment};

/// First letters of the name of every tap of the relay; the index of the interface it serves follows.
pub const TAP_PREFIX: &str = "nlr";

/// Frames a tap holds while the relay is busy with others.
const TAP_QUEUE: u32 = 4096;

/// Send buffer of the socket towards the interface: many bursts of 64 KiB.
const SEND_BUFFER: usize = 8 << 20;

/// How long a tap may take to vanish once the relay has closed it (RCU grace periods).
const VANISH: Duration = Duration::from_secs(5);

/// How long a frame may be on its way from the filter to the tap. It is a few instructions, unless the processor was taken away from this machine.
const UNDER_WAY: Duration = Duration::from_millis(2);

/// One direction of a wire: what leaves an interface.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Where the interface is.
    pub netns: &'a Netns,
    /// Its index there.
    pub index: u32,
    /// What the relay calls the direction; unique in the lab, for instance `leaf1:eth1`.
    pub id: &'a str,
    /// The owner's mark, set as the tap's alias.
    pub alias: &'a str,
}

impl Place<'_> {
    fn tap(&self) -> String {
        tap_name(self.index)
    }
}

/// The name of the tap that serves the interface with this index.
#[must_use]
pub fn tap_name(index: u32) -> String {
    format!("{TAP_PREFIX}{index}")
}

/// Whether an interface of this name is a tap of the relay, which belongs to the lab's machinery and not to the node.
#[must_use]
pub fn is_tap(name: &str) -> bool {
    name.strip_prefix(TAP_PREFIX).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// Makes the direction be as wanted, whatever it is now: attaches, changes or detaches. An impairment that changes nothing
/// ([`Impairment::is_none`]) detaches.
///
/// # Errors
/// As [`attach`], [`Client::change`] and [`detach`].
pub fn apply(client: &Client, place: Place<'_>, wanted: &Impairment) -> Result<(), Error> {
    wanted.validate()?;
    if wanted.is_none() {
        return detach(client, place).map(drop);
    }
    let mut rtnl = Rtnl::open_in(place.netns)?;
    let whole = exists(&mut rtnl, &place.tap())? && is_redirected(&mut rtnl, place.index)?;
    match client.change(place.id, wanted) {
        Ok(()) if whole => Ok(()),
        // The relay knows it, but somebody took the tap or the filter away: make it anew.
        Ok(()) => {
            detach(client, place)?;
            attach(client, place, wanted)
        }
        Err(Error::Refused { .. }) => {
            // Left by a relay that is no more.
            if whole || is_redirected(&mut rtnl, place.index)? {
                take_down(&mut rtnl, place)?;
            }
            attach(client, place, wanted)
        }
        Err(e) => Err(e),
    }
}

/// Puts the relay before an interface that has none. When a step fails, those before it are undone.
///
/// # Errors
/// [`Error::Kernel`] when the kernel has no tap, clsact, u32 or mirred, or the interface does not exist; [`Error::Refused`] when the
/// relay has a direction of this name.
pub fn attach(client: &Client, place: Place<'_>, impairment: &Impairment) -> Result<(), Error> {
    impairment.validate()?;
    let mut rtnl = Rtnl::open_in(place.netns)?;
    // Fails for an interface that does not exist, before anything is made.
    rtnl.link(place.index)?;
    let had_clsact = has_clsact(&mut rtnl, place.index)?;
    let options = TapOptions { vnet_header: true, nonblocking: true, hidden: true, ..TapOptions::default() };
    let tap = Tap::create_in(place.netns, &place.tap(), &options)?;
    rtnl.change(|batch| {
        let change = LinkChange { alias: Some(place.alias), tx_queue_len: Some(TAP_QUEUE), ..LinkChange::default() };
        batch.set_link(tap.index(), &change);
    })?;
    let options = PacketOptions {
        send_only: true,
        vnet_header: true,
        qdisc_bypass: true,
        nonblocking: true,
        send_buffer: Some(SEND_BUFFER),
        ..PacketOptions::default()
    };
    let out = PacketSocket::open_in(place.netns, place.index, &options)?;
    client.add(place.id, impairment, &tap, &out)?;
    let target = tap.index();
    let redirected = rtnl.change(|batch| {
        if !had_clsact {
            batch.add_clsact(place.index);
        }
        batch.add_filter(place.index, Hook::Egress, PRIORITY, Action::Redirect(target));
    });
    let Err(first) = redirected else {
        return Ok(());
    };
    // The tap goes with the descriptors, here and in the relay.
    match client.remove(place.id) {
        Ok(_) => Err(first.into()),
        Err(undo) => Err(Error::Undo { first: Box::new(first.into()), undo: vec![undo.to_string()] }),
    }
}

/// Takes the relay away from an interface: what is delayed leaves at once and in order, the filter goes, the tap goes. The hooks stay. Goes on after
/// an error and reports the first. Returns the direction's last account, or nothing when there was no relay here.
///
/// # Errors
/// [`Error::Gone`] when the relay does not answer (the filter is removed all the same), [`Error::Kernel`], [`Error::Lingers`].
pub fn detach(client: &Client, place: Place<'_>) -> Result<Option<Stats>, Error> {
    // First nothing is delayed any more, so that frames that still pass the relay do not fall behind those that do not.
    let calmed = match client.change(place.id, &Impairment::default()) {
        Err(Error::Refused { .. }) => Ok(false),
        other => other.map(|()| true),
    };
    let mut rtnl = Rtnl::open_in(place.netns)?;
    let bared = take_down(&mut rtnl, place);
    let known = calmed?;
    let stats = if known { Some(client.remove(place.id)?) } else { None };
    bared?;
    let end = Instant::now() + VANISH;
    while exists(&mut rtnl, &place.tap())? {
        if Instant::now() > end {
            return Err(Error::Lingers { name: place.tap(), after: VANISH });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(stats)
}

/// Removes the filter.
fn take_down(rtnl: &mut Rtnl, place: Place<'_>) -> Result<(), Error> {
    if is_redirected(rtnl, place.index)? {
        rtnl.change(|batch| batch.delete_filter(place.index, Hook::Egress, PRIORITY))?;
        std::thread::sleep(UNDER_WAY);
    }
    Ok(())
}

fn has_clsact(rtnl: &mut Rtnl, index: u32) -> Result<bool, Error> {
    Ok(rtnl.qdiscs()?.iter().any(|q| q.index == index && q.parent == CLSACT))
}

fn is_redirected(rtnl: &mut Rtnl, index: u32) -> Result<bool, Error> {
    Ok(has_clsact(rtnl, index)? && rtnl.filters(index, Hook::Egress)?.iter().any(|f| f.priority == PRIORITY))
}

fn exists(rtnl: &mut Rtnl, name: &str) -> Result<bool, Error> {
    match rtnl.link(name) {
        Ok(_) => Ok(true),
        Err(e) if e.is_not_found() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_known_by_name() {
        assert!(is_tap(&tap_name(17)));
        assert!(!is_tap("nlr") && !is_tap("nlrx") && !is_tap("eth1"));
        assert!(tap_name(u32::MAX).len() < 16);
    }
}
