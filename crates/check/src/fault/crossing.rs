//! Whether a stream crosses what a fault is about to cut: its own packets are counted at both ends of the cut in the second before.

use std::collections::HashSet;
use std::time::Duration;

use netloom_api::values::EndRef;
use netloom_kernel::packet::{Direction, FrameBuffer, PacketOptions, PacketSocket};
use netloom_packet::stream::{MARK_LEN, Mark};
use netloom_plan::desired::{EndPlan, Plan};

use super::Cut;
use crate::error::{Error, Result};
use crate::observe;
use crate::traffic::Stream;
use crate::world::World;

/// How long packets are counted.
pub const WATCH: Duration = Duration::from_secs(1);

/// A shorter look, to find a source port whose packets take the path that will be cut.
const GLANCE: Duration = Duration::from_millis(200);

/// Other source ports tried when a stream does not cross.
const PORTS: u32 = 24;

/// Of each frame, enough for all headers and the mark.
const SNAP: usize = 192;

/// What was seen of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The stream's id.
    pub stream: String,
    /// The fault in words.
    pub fault: String,
    /// Packets the stream sent meanwhile.
    pub sent: u64,
    /// How many of them crossed the cut.
    pub crossed: u64,
}

impl Crossing {
    /// At least eight in ten of its packets crossed (what is under way at either edge of the second is missing).
    pub fn holds(&self) -> bool {
        self.sent > 0 && self.crossed * 10 >= self.sent * 8
    }
}

/// Counts at the ends of a cut while time passes. Streams that do not cross it are given other source ports, in case equal paths
/// are chosen by port.
///
/// # Errors
/// When no end of the cut can be listened at.
pub fn watch(world: &dyn World, streams: &[&Stream], fault: &str, cuts: &[Cut]) -> Result<Vec<Crossing>> {
    let points = points(world, cuts)?;
    let mut last = look(world, &points, streams, fault, WATCH)?;
    for (at, stream) in streams.iter().enumerate() {
        if last[at].holds() {
            continue;
        }
        for _ in 0..PORTS {
            stream.another_port();
            // The packets of the old port have passed by then.
            world.sleep(Duration::from_millis(20));
            if look(world, &points, &[stream], fault, GLANCE)?[0].holds() {
                last[at] = look(world, &points, &[stream], fault, WATCH)?.remove(0);
                break;
            }
        }
    }
    Ok(last)
}

/// Where packets are looked for: an interface, and which way they count.
struct Point {
    socket: PacketSocket,
    outgoing: bool,
    incoming: bool,
}

fn points(world: &dyn World, cuts: &[Cut]) -> Result<Vec<Point>> {
    let plan = world.plan();
    let mut points = Vec::new();
    let mut failed = None;
    let mut add = |end: &EndRef, outgoing: bool, incoming: bool| match open(world, end) {
        Ok(socket) => points.push(Point { socket, outgoing, incoming }),
        // The other end of the link may do.
        Err(e) => failed = Some(e),
    };
    for cut in cuts {
        let (ends, both): (Vec<&EndRef>, bool) = match cut {
            Cut::Link(end) => (vec![end], true),
            Cut::Leaving(end) => (vec![end], false),
            Cut::Node(ends) => (ends.iter().collect(), true),
        };
        for end in ends {
            add(end, true, both);
            // What a wire with an impairment sends shows at the far end only.
            if let Some(peer) = peer(plan, end) {
                add(&peer.end(), both, true);
            }
        }
    }
    match (points.is_empty(), failed) {
        (true, Some(e)) => Err(e),
        _ => Ok(points),
    }
}

fn peer<'p>(plan: &'p Plan, end: &EndRef) -> Option<&'p EndPlan> {
    plan.links.iter().find_map(|l| {
        let [a, b] = &l.ends;
        if a.end() == *end {
            Some(b)
        } else if b.end() == *end {
            Some(a)
        } else {
            None
        }
    })
}

fn open(world: &dyn World, end: &EndRef) -> Result<PacketSocket> {
    let link =
        observe::link(world, end)?.ok_or_else(|| Error::Invalid(format!("{end} does not exist in the running lab")))?;
    let options = PacketOptions { nonblocking: true, receive_buffer: Some(8 << 20), ..PacketOptions::default() };
    Ok(PacketSocket::open_in(&world.netns(&end.node)?, link.index, &options)?)
}

fn look(
    world: &dyn World,
    points: &[Point],
    streams: &[&Stream],
    fault: &str,
    time: Duration,
) -> Result<Vec<Crossing>> {
    let mut frames = FrameBuffer::new(64, SNAP);
    // What waits in the sockets is from before.
    for point in points {
        while point.socket.receive(&mut frames).is_ok_and(|n| n > 0) {}
    }
    let before: Vec<u64> = streams.iter().map(|s| s.sent()).collect();
    let keys: Vec<[u8; 12]> = streams.iter().map(|s| key(s.nonce())).collect();
    let mut seen: Vec<HashSet<u64>> = vec![HashSet::new(); streams.len()];
    let end = world.now() + time;
    loop {
        let left = end.saturating_duration_since(world.now());
        world.sleep(left.min(Duration::from_millis(20)));
        for point in points {
            while point.socket.receive(&mut frames).is_ok_and(|n| n > 0) {
                for frame in frames.frames() {
                    let out = frame.direction == Direction::Outgoing;
                    if (out && !point.outgoing) || (!out && !point.incoming) {
                        continue;
                    }
                    for (key, seen) in keys.iter().zip(&mut seen) {
                        if let Some(sequence) = sequence(frame.bytes, key) {
                            seen.insert(sequence);
                        }
                    }
                }
            }
        }
        if left.is_zero() {
            break;
        }
    }
    let result = |((stream, before), seen): ((&&Stream, u64), HashSet<u64>)| Crossing {
        stream: stream.spec().id.clone(),
        fault: fault.into(),
        sent: stream.sent().saturating_sub(before),
        crossed: seen.len() as u64,
    };
    Ok(streams.iter().zip(before).zip(seen).map(result).collect())
}

/// The bytes every packet of a stream begins with.
fn key(nonce: u64) -> [u8; 12] {
    let mark = Mark { stream: nonce, sequence: 0, sent_ns: 0 }.to_bytes();
    let mut key = [0; 12];
    key.copy_from_slice(&mark[..12]);
    key
}

/// The number of the packet in a frame, if it is one of the stream with this key; whatever headers stand before.
fn sequence(frame: &[u8], key: &[u8; 12]) -> Option<u64> {
    let at = frame.windows(12).position(|w| w == key)?;
    let mark = frame.get(at..at + MARK_LEN)?;
    Mark::parse(mark).ok().map(|m| m.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_known_behind_any_headers() {
        let mut frame = vec![0u8; 66];
        frame.extend(Mark { stream: 7, sequence: 99, sent_ns: 1 }.to_bytes());
        assert_eq!(sequence(&frame, &key(7)), Some(99));
        assert_eq!(sequence(&frame, &key(8)), None);
        assert_eq!(sequence(&frame[..80], &key(7)), None);
    }

    #[test]
    fn most_packets_must_cross() {
        let c = |sent, crossed| Crossing { stream: "f".into(), fault: "x".into(), sent, crossed }.holds();
        assert!(c(1000, 990) && !c(1000, 500) && !c(0, 0));
    }
}
