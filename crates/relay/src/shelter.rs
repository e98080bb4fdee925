//! Changing an interface's qdiscs while traffic runs, without losing a frame.
//!
//! Linux stops an interface that is up for the moment in which a qdisc comes or goes, and drops what is sent just then. So for that
//! moment nothing is sent through it: nft's egress hook, which comes and goes without such a stop, sends every frame into a hidden tap,
//! and a thread carries it from there to the driver, past the qdisc. Frames that were in the tap when the hook went may arrive
//! a moment behind those that came after.
//!
//! The hook's table belongs to a socket of this process: if it is killed, the kernel takes hook and tap away, and frames take
//! their usual way.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use netloom_kernel::netns::Netns;
use netloom_kernel::nft::detour::Detour;
use netloom_kernel::packet::{PacketOptions, PacketSocket};
use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::rtnl::{LinkChange, Rtnl};
use netloom_kernel::tap::{Tap, TapOptions};

use crate::Error;
use crate::attach::TAP_PREFIX;

/// What the carried frames bear, so that they are not sent into the tap again.
const MARK: u32 = 0x4e4c_5348;
/// Frames the tap holds while the thread waits for a processor.
const QUEUE: u32 = 16_384;
/// The largest frame, with its virtio header.
const FRAME: usize = 1 << 17;
/// How long a frame may be on its way from the hook to the tap.
const UNDER_WAY: Duration = Duration::from_millis(2);
/// Between two looks whether it is over.
const LOOK: Duration = Duration::from_millis(1);

/// The tap of a shelter: known by [`crate::attach::is_tap`], and never the name of a relay's, which has no leading zero.
fn tap_name(index: u32) -> String {
    format!("{TAP_PREFIX}0{index}")
}

/// Does `work` on the interface with this index while its frames are carried past its qdiscs. Where the kernel has no egress hook, or the
/// interface is down and has nothing to lose, `work` is done all the same. `alias` is the owner's mark for the tap.
///
/// # Errors
/// Those of `work`.
pub fn sheltered<T, E>(netns: &Netns, index: u32, alias: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    match Shelter::new(netns, index, alias) {
        Ok(Some(shelter)) => shelter.during(work),
        Ok(None) | Err(_) => work(),
    }
}

struct Shelter {
    tap: File,
    out: File,
    detour: Detour,
}

impl Shelter {
    fn new(netns: &Netns, index: u32, alias: &str) -> Result<Option<Shelter>, Error> {
        let mut rtnl = Rtnl::open_in(netns)?;
        let link = rtnl.link(index)?;
        if !link.up {
            return Ok(None);
        }
        let options = TapOptions { vnet_header: true, nonblocking: true, hidden: true, ..TapOptions::default() };
        let tap = Tap::create_in(netns, &tap_name(index), &options)?;
        let by = tap.index();
        rtnl.change(|batch| {
            let change = LinkChange { alias: Some(alias), tx_queue_len: Some(QUEUE), ..LinkChange::default() };
            batch.set_link(by, &change);
        })?;
        let options = PacketOptions {
            send_only: true,
            vnet_header: true,
            qdisc_bypass: true,
            mark: Some(MARK),
            ..PacketOptions::default()
        };
        let out = PacketSocket::open_in(netns, index, &options)?;
        let detour = Detour::open_in(netns, &link.name, by, MARK)?;
        Ok(Some(Shelter { tap: tap.into_fd().into(), out: out.into_fd().into(), detour }))
    }

    fn during<T>(self, work: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        let Shelter { tap, out, detour } = self;
        let done = std::thread::scope(|scope| {
            scope.spawn(|| carry(&tap, &out, &over));
            let done = work();
            // The hook goes with its socket if it cannot be taken away.
            let _ = detour.end();
            std::thread::sleep(UNDER_WAY);
            over.store(true, Ordering::Release);
            done
        });
        // Closing both waits for RCU grace periods, which nobody needs to see. Without a thread it is done here.
        let _ = std::thread::Builder::new().name("shelter-close".to_owned()).spawn(move || drop((tap, out)));
        done
    }
}

/// Carries frames until it is over and the tap is empty.
fn carry(mut tap: &File, mut out: &File, over: &AtomicBool) {
    let mut frame = vec![0; FRAME];
    loop {
        // First the look, then the tap: what came before the end is carried.
        let last = over.load(Ordering::Acquire);
        while let Ok(len) = tap.read(&mut frame) {
            // An interface that is down or gone loses the frame, as it would any other.
            let _ = out.write(&frame[..len]);
        }
        if last {
            return;
        }
        let _ = poll(&[(tap.as_fd(), Interest::READ)], Some(LOOK));
    }
}
