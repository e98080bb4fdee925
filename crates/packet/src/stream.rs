//! A stream of numbered packets: the payload each carries, and the account kept at the far end.
//!
//! The receiver sees what a wire did: how many packets are missing, came twice or came late, how long each took, and for how
//! long nothing arrived at all (an *outage*).

use std::collections::HashSet;
use std::time::Duration;

use crate::error::{Error, slice};

/// First bytes of every payload.
const MAGIC: [u8; 4] = *b"nlst";

/// Bytes of a [`Mark`].
pub const MARK_LEN: usize = 28;

/// What the head of a numbered packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which stream; a fresh random number per measurement.
    pub stream: u64,
    /// Number of the packet, from 0.
    pub sequence: u64,
    /// When it was handed to the socket, on a clock both ends share (`CLOCK_MONOTONIC`), in nanoseconds.
    pub sent_ns: u64,
}

impl Mark {
    /// The payload's first bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; MARK_LEN] {
        let mut out = [0; MARK_LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[4..12].copy_from_slice(&self.stream.to_be_bytes());
        out[12..20].copy_from_slice(&self.sequence.to_be_bytes());
        out[20..28].copy_from_slice(&self.sent_ns.to_be_bytes());
        out
    }

    /// Reads a payload; anything after the mark is ignored.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let what = "a numbered packet";
        let b = slice(payload, 0, MARK_LEN, what)?;
        if b[..4] != MAGIC {
            return Err(Error::Other { expected: what });
        }
        let word = |at: usize| {
            let mut w = [0; 8];
            w.copy_from_slice(&b[at..at + 8]);
            u64::from_be_bytes(w)
        };
        Ok(Self { stream: word(4), sequence: word(12), sent_ns: word(20) })
    }
}

/// The receiver's account of one stream.
#[derive(Clone, Debug)]
pub struct Account {
    stream: u64,
    seen: HashSet<u64>,
    highest: Option<u64>,
    reordered: u64,
    duplicated: u64,
    last_arrival: Option<u64>,
    gap: Gap,
    latencies: Vec<u64>,
}

/// The longest time in which nothing arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Its length.
    pub length: Duration,
    /// The last packet before it, if one came.
    pub after: Option<u64>,
    /// The first packet behind it; absent when the stream ended silent.
    pub before: Option<u64>,
}

/// What came of a stream.
#[derive(Clone, PartialEq)]
pub struct Summary {
    /// Packets sent, as the sender says.
    pub sent: u64,
    /// Different packets that arrived.
    pub received: u64,
    /// Packets that never arrived.
    pub lost: u64,
    /// Arrivals of a packet that had arrived before.
    pub duplicated: u64,
    /// First arrivals behind a packet with a higher number.
    pub reordered: u64,
    /// The longest silence.
    pub longest_gap: Gap,
    /// One-way times of first arrivals, ascending, in nanoseconds.
    pub latencies_ns: Vec<u64>,
}

/// With three percentiles in place of thousands of times.
impl std::fmt::Debug for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sent, received, lost, duplicated, reordered, longest_gap, latencies_ns: _ } = self;
        f.debug_struct("Summary")
            .field("sent", sent)
            .field("received", received)
            .field("lost", lost)
            .field("duplicated", duplicated)
            .field("reordered", reordered)
            .field("longest_gap", longest_gap)
            .field("p0_p50_p100", &[0.0, 0.5, 1.0].map(|p| self.latency(p)))
            .finish_non_exhaustive()
    }
}

impl Summary {
    /// The one-way time below which the fraction `p` (0..=1) of the packets stayed.
    #[must_use]
    pub fn latency(&self, p: f64) -> Option<Duration> {
        let last = self.latencies_ns.len().checked_sub(1)?;
        let at = (p.clamp(0.0, 1.0) * last as f64).round() as usize;
        self.latencies_ns.get(at).copied().map(Duration::from_nanos)
    }
}

impl Account {
    /// An account of the stream that starts at `now_ns`: silence counts from here.
    #[must_use]
    pub fn new(stream: u64, now_ns: u64) -> Self {
        Self {
            stream,
            seen: HashSet::new(),
            highest: None,
            reordered: 0,
            duplicated: 0,
            last_arrival: Some(now_ns),
            gap: Gap::default(),
            latencies: Vec::new(),
        }
    }

    /// Notes an arrival. Marks of other streams are ignored and answered with `false`.
    pub fn arrive(&mut self, mark: Mark, now_ns: u64) -> bool {
        if mark.stream != self.stream {
            return false;
        }
        self.silence(now_ns, Some(mark.sequence));
        self.last_arrival = Some(now_ns);
        if !self.seen.insert(mark.sequence) {
            self.duplicated += 1;
            return true;
        }
        match self.highest {
            Some(h) if mark.sequence < h => self.reordered += 1,
            _ => self.highest = Some(mark.sequence),
        }
        self.latencies.push(now_ns.saturating_sub(mark.sent_ns));
        true
    }

    /// Different packets so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.seen.len() as u64
    }

    /// When the last packet arrived.
    #[must_use]
    pub fn last_arrival_ns(&self) -> Option<u64> {
        self.last_arrival
    }

    /// Closes the account: `sent` packets were sent, the last that could arrive would have by `now_ns`.
    #[must_use]
    pub fn finish(mut self, sent: u64, now_ns: u64) -> Summary {
        self.silence(now_ns, None);
        self.latencies.sort_unstable();
        let received = self.seen.len() as u64;
        Summary {
            sent,
            received,
            lost: sent.saturating_sub(received),
            duplicated: self.duplicated,
            reordered: self.reordered,
            longest_gap: self.gap,
            latencies_ns: self.latencies,
        }
    }

    fn silence(&mut self, now_ns: u64, before: Option<u64>) {
        if let Some(last) = self.last_arrival {
            let length = Duration::from_nanos(now_ns.saturating_sub(last));
            if length > self.gap.length {
                self.gap = Gap { length, after: self.highest, before };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arrivals: &[(u64, u64)], sent: u64, end: u64) -> Summary {
        let mut a = Account::new(9, 0);
        for (sequence, at) in arrivals {
            assert!(a.arrive(Mark { stream: 9, sequence: *sequence, sent_ns: at - 1 }, *at));
        }
        a.finish(sent, end)
    }

    #[test]
    fn mark_round_trip() {
        let m = Mark { stream: 1, sequence: 2, sent_ns: 3 };
        assert_eq!(Mark::parse(&m.to_bytes()), Ok(m));
        assert!(Mark::parse(&[0; MARK_LEN]).is_err());
    }

    #[test]
    fn loss_order_and_copies_are_told_apart() {
        let s = run(&[(0, 10), (2, 20), (1, 30), (2, 40), (5, 50)], 6, 60);
        assert_eq!((s.received, s.lost, s.reordered, s.duplicated), (4, 2, 1, 1));
    }

    #[test]
    fn the_outage_is_the_longest_silence() {
        let s = run(&[(0, 10), (1, 20), (7, 90), (8, 100)], 9, 110);
        assert_eq!(s.longest_gap, Gap { length: Duration::from_nanos(70), after: Some(1), before: Some(7) });
        // A stream that never comes back is an outage to the end.
        let s = run(&[(0, 10), (1, 20)], 9, 500);
        assert_eq!(s.longest_gap, Gap { length: Duration::from_nanos(480), after: Some(1), before: None });
    }

    #[test]
    fn a_foreign_stream_does_not_count() {
        let mut a = Account::new(9, 0);
        assert!(!a.arrive(Mark { stream: 8, sequence: 0, sent_ns: 0 }, 5));
        assert_eq!(a.received(), 0);
    }
}
