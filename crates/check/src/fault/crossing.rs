//! Whether a stream crosses what a fault is about to cut, by the counters of the interfaces in the moment before.

use std::time::Duration;

use netloom_api::values::EndRef;

use super::Cut;
use crate::error::Result;
use crate::observe;
use crate::traffic::Stream;
use crate::world::World;

/// How long counters are watched.
pub const WATCH: Duration = Duration::from_secs(1);

/// A shorter look, to find a source port whose packets take the path that will be cut.
const GLANCE: Duration = Duration::from_millis(200);

/// Other source ports tried when a stream does not cross.
const PORTS: u32 = 24;

/// What was seen of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The stream's id.
    pub stream: String,
    /// The fault in words.
    pub fault: String,
    /// Packets the stream sent meanwhile.
    pub sent: u64,
    /// Packets that crossed the cut meanwhile, whoever sent them: the most of any direction.
    pub crossed: u64,
}

impl Crossing {
    /// At least nine in ten of its packets can have crossed.
    pub fn holds(&self) -> bool {
        self.sent > 0 && self.crossed * 10 >= self.sent * 9
    }
}

/// Watches the ends of a cut while time passes. Streams that do not cross it are given other source ports, in case equal paths
/// are chosen by port.
///
/// # Errors
/// When counters cannot be read.
pub fn watch(world: &dyn World, streams: &[&Stream], fault: &str, cuts: &[Cut]) -> Result<Vec<Crossing>> {
    let mut last = look(world, streams, fault, cuts, WATCH)?;
    for (at, stream) in streams.iter().enumerate() {
        if last[at].holds() {
            continue;
        }
        for _ in 0..PORTS {
            stream.another_port();
            // The packets of the old port have passed by then.
            world.sleep(Duration::from_millis(20));
            if look(world, &[stream], fault, cuts, GLANCE)?[0].holds() {
                last[at] = look(world, &[stream], fault, cuts, WATCH)?.remove(0);
                break;
            }
        }
    }
    Ok(last)
}

fn look(world: &dyn World, streams: &[&Stream], fault: &str, cuts: &[Cut], time: Duration) -> Result<Vec<Crossing>> {
    let sent_before: Vec<u64> = streams.iter().map(|s| s.sent()).collect();
    let before = count(world, cuts)?;
    world.sleep(time);
    let after = count(world, cuts)?;
    let crossed = after.iter().zip(&before).map(|(a, b)| a.saturating_sub(*b)).max().unwrap_or(0);
    Ok(streams
        .iter()
        .zip(sent_before)
        .map(|(s, before)| Crossing {
            stream: s.spec().id.clone(),
            fault: fault.into(),
            sent: s.sent().saturating_sub(before),
            crossed,
        })
        .collect())
}

/// Packets by direction: all that leaves through the cut, all that enters through it.
fn count(world: &dyn World, cuts: &[Cut]) -> Result<[u64; 2]> {
    let mut all = [0, 0];
    let mut add = |end: &EndRef, both: bool| -> Result<()> {
        let (sent, received) = observe::packets(world, end)?;
        all[0] += sent;
        if both {
            all[1] += received;
        }
        Ok(())
    };
    for cut in cuts {
        match cut {
            Cut::Link(end) => add(end, true)?,
            Cut::Leaving(end) => add(end, false)?,
            Cut::Node(ends) => ends.iter().try_for_each(|e| add(e, true))?,
        }
    }
    Ok(all)
}
