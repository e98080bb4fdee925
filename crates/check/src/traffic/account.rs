//! From two lists of times — when each packet was sent, when packets arrived — to what the network did. No I/O.

use std::collections::HashSet;
use std::time::Duration;

/// What the network did to a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flow {
    /// Packets sent.
    pub sent: u64,
    /// Different packets that arrived.
    pub received: u64,
    /// Packets that never arrived.
    pub lost: u64,
    /// First arrivals behind a packet with a higher number.
    pub reordered: u64,
    /// Arrivals of a packet that had arrived before.
    pub duplicated: u64,
    /// The longest time in which packets were due and nothing arrived.
    pub outage: Duration,
    /// When that began, after the first packet was sent.
    pub outage_at: Duration,
    /// One-way times of first arrivals, ascending, nanoseconds.
    pub one_way_ns: Vec<u64>,
}

impl Flow {
    /// Share of packets lost, 0 to 1.
    pub fn loss(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { self.lost as f64 / self.sent as f64 }
    }
}

/// Accounts for a stream of one packet each `interval_ns`: `sent[n]` is when packet n was sent, `arrivals` are (n, when) in the order of
/// arrival, all on one clock in nanoseconds.
///
/// An outage is the time from when the first missing packet was *due* (its sending time and the shortest one-way time seen) to the next
/// arrival. On an ideal machine that is the longest gap between two arrivals less one interval; here a sender that was kept from running
/// neither makes an outage nor lengthens one.
pub fn account(sent: &[u64], arrivals: &[(u64, u64)], interval_ns: u64) -> Flow {
    let mut flow = Flow { sent: sent.len() as u64, ..Flow::default() };
    let sending = |n: u64| usize::try_from(n).ok().and_then(|n| sent.get(n)).copied();
    let (Some(first), Some(last)) = (sent.first().copied(), sent.last().copied()) else {
        return flow;
    };
    let base = arrivals.iter().filter_map(|(n, at)| Some(at.saturating_sub(sending(*n)?))).min().unwrap_or(0);

    let mut seen = HashSet::new();
    let mut highest: Option<u64> = None;
    // First packet that was due after the arrival before.
    let mut due = 0usize;
    let note = |from: u64, to: u64, flow: &mut Flow| {
        let length = Duration::from_nanos(to.saturating_sub(from));
        if length > flow.outage {
            flow.outage = length;
            flow.outage_at = Duration::from_nanos(from.saturating_sub(first));
        }
    };
    for (n, at) in arrivals {
        let Some(sent_at) = sending(*n) else { continue };
        if let Some(missing) = sent.get(due) {
            // How long this packet itself came late to the wire is the sender's doing.
            let before = usize::try_from(*n).ok().and_then(|n| n.checked_sub(1)).and_then(|p| sent.get(p));
            let stall = before.map_or(0, |b| sent_at.saturating_sub(*b).saturating_sub(interval_ns));
            note(missing + base, at.saturating_sub(stall), &mut flow);
        }
        while sent.get(due).is_some_and(|s| s + base <= *at) {
            due += 1;
        }
        if !seen.insert(*n) {
            flow.duplicated += 1;
            continue;
        }
        match highest {
            Some(h) if *n < h => flow.reordered += 1,
            _ => highest = Some(*n),
        }
        flow.one_way_ns.push(at.saturating_sub(sent_at));
    }
    // A stream that ends silent was out until its last packet was due.
    if let Some(missing) = sent.get(due)
        && seen.len() < sent.len()
    {
        note(missing + base, last + base + interval_ns, &mut flow);
    }
    flow.received = seen.len() as u64;
    flow.lost = flow.sent - flow.received;
    flow.one_way_ns.sort_unstable();
    flow
}

/// The value below which the share `p` (0 to 1) of an ascending list stays.
pub fn percentile(sorted_ns: &[u64], p: f64) -> Option<Duration> {
    let last = sorted_ns.len().checked_sub(1)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the length of the list")]
    let at = (p.clamp(0.0, 1.0) * last as f64).round() as usize;
    sorted_ns.get(at).copied().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// 1 packet each ms, 5 ms on the way, except those `lost`.
    fn stream(count: u64, lost: std::ops::Range<u64>) -> (Vec<u64>, Vec<(u64, u64)>) {
        let sent: Vec<u64> = (0..count).map(|n| n * MS).collect();
        let arrivals = (0..count).filter(|n| !lost.contains(n)).map(|n| (n, n * MS + 5 * MS)).collect();
        (sent, arrivals)
    }

    #[test]
    fn a_whole_stream_has_no_outage() {
        let (sent, arrivals) = stream(100, 0..0);
        let flow = account(&sent, &arrivals, MS);
        assert_eq!((flow.lost, flow.reordered, flow.duplicated, flow.outage), (0, 0, 0, Duration::ZERO));
        assert_eq!(percentile(&flow.one_way_ns, 0.5), Some(Duration::from_millis(5)));
    }

    #[test]
    fn the_outage_is_the_longest_gap_less_one_interval() {
        let (sent, arrivals) = stream(1000, 200..300);
        let flow = account(&sent, &arrivals, MS);
        assert_eq!(
            (flow.lost, flow.outage, flow.outage_at),
            (100, Duration::from_millis(100), Duration::from_millis(205))
        );
    }

    #[test]
    fn a_stream_that_stays_silent_is_out_to_its_end() {
        let (sent, arrivals) = stream(1000, 400..1000);
        assert_eq!(account(&sent, &arrivals, MS).outage, Duration::from_millis(600));
        let nothing = account(&sent, &[], MS);
        assert_eq!((nothing.outage, nothing.lost), (Duration::from_millis(1000), 1000));
    }

    #[test]
    fn a_sender_that_was_kept_from_running_makes_no_outage() {
        let (mut sent, _) = stream(100, 0..0);
        for s in &mut sent[50..] {
            *s += 300 * MS;
        }
        let arrivals: Vec<_> = sent.iter().enumerate().map(|(n, s)| (n as u64, s + 5 * MS)).collect();
        assert_eq!(account(&sent, &arrivals, MS).outage, Duration::ZERO);
        // Nor does it lengthen one that ends while it sleeps.
        let arrivals: Vec<_> = arrivals.into_iter().filter(|(n, _)| !(40..50).contains(n)).collect();
        assert_eq!(account(&sent, &arrivals, MS).outage, Duration::from_millis(10));
    }

    #[test]
    fn packets_held_back_and_then_delivered_are_an_outage_without_loss() {
        let (sent, mut arrivals) = stream(100, 0..0);
        for (n, at) in &mut arrivals {
            if (20..60).contains(n) {
                *at = 65 * MS;
            }
        }
        let flow = account(&sent, &arrivals, MS);
        assert_eq!((flow.lost, flow.outage), (0, Duration::from_millis(40)));
    }

    #[test]
    fn order_and_copies() {
        let sent: Vec<u64> = (0..6).map(|n| n * MS).collect();
        let arrivals = [(0, 5 * MS), (2, 7 * MS), (1, 8 * MS), (2, 8 * MS), (5, 10 * MS)];
        let flow = account(&sent, &arrivals, MS);
        assert_eq!((flow.received, flow.lost, flow.reordered, flow.duplicated), (4, 2, 1, 1));
    }
}
