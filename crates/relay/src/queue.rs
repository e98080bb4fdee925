//! One direction of an impaired wire as a state machine: frames go in with the time, frames come out when they are due.
//!
//! The steps and their order are those of `netem_enqueue` (net/sched/sch_netem.c): copy, lose, corrupt, refuse when full, then
//! either send at once (reorder) or delay. With a rate, a packet starts to leave when its delay is over and the one before it has
//! left. Two things differ, on purpose: the limit counts packets of the wire, so a burst of 40 segments counts 40; and
//! a change of the impairment draws in what waits, so that nothing waits longer than a packet that comes now would.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::frame::Frame;
use crate::impairment::Impairment;
use crate::random::Random;

/// What has happened in a queue since it was made. Numbers are frames, a burst counts one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Frames that went in.
    pub received: u64,
    /// Frames that came out.
    pub sent: u64,
    /// Lost because of `loss`.
    pub lost: u64,
    /// Lost because the limit was reached.
    pub overlimit: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Frames with a flipped bit.
    pub corrupted: u64,
    /// More frames because a burst was cut to damage one of its packets.
    pub cut: u64,
    /// Frames sent ahead of the delayed ones.
    pub reordered: u64,
}

/// When a frame leaves; ties leave in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    due: Instant,
    number: u64,
}

#[derive(Debug)]
struct Waiting {
    turn: Turn,
    frame: Frame,
    packets: u32,
    bytes: u64,
}

/// Ordered by turn, so that a heap can hold what jitter puts before the end of the line.
impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.turn == other.turn
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.turn.cmp(&other.turn)
    }
}

/// One direction of a wire.
#[derive(Debug)]
pub struct Queue {
    impairment: Impairment,
    limit: u32,
    /// Ahead of everybody, in order of arrival.
    ahead: VecDeque<Waiting>,
    /// In order of their turn.
    line: VecDeque<Waiting>,
    /// Whose turn is before the end of the line.
    early: BinaryHeap<Reverse<Waiting>>,
    packets: u64,
    number: u64,
    /// When the last frame put in line is due.
    last_due: Option<Instant>,
    counters: Counters,
}

impl Queue {
    /// An empty queue. The impairment is taken as validated.
    #[must_use]
    pub fn new(impairment: Impairment) -> Self {
        let limit = impairment.effective_limit();
        Self {
            impairment,
            limit,
            ahead: VecDeque::new(),
            line: VecDeque::new(),
            early: BinaryHeap::new(),
            packets: 0,
            number: 0,
            last_due: None,
            counters: Counters::default(),
        }
    }

    /// Puts a frame in. A frame that is lost comes back, so that its buffer can be used again.
    pub fn push(&mut self, now: Instant, frame: Frame, random: &mut impl Random) -> Option<Frame> {
        self.counters.received += 1;
        let copy = random.chance(self.impairment.duplicate).then(|| frame.clone());
        if copy.is_some() {
            self.counters.duplicated += 1;
        }
        let back = self.pass(now, frame, random);
        // A copy is not copied again.
        copy.and_then(|c| self.pass(now, c, random)).or(back)
    }

    fn pass(&mut self, now: Instant, frame: Frame, random: &mut impl Random) -> Option<Frame> {
        if random.chance(self.impairment.loss) {
            self.counters.lost += 1;
            return Some(frame);
        }
        if !random.chance(self.impairment.corrupt) {
            return self.admit(now, frame, random);
        }
        self.counters.corrupted += 1;
        let mut back = None;
        for (i, mut part) in frame.into_packets().into_iter().enumerate() {
            if i == 0 {
                let bits = part.ethernet().len() as u64 * 8;
                part.flip(random.below(bits) as usize);
            } else {
                self.counters.cut += 1;
            }
            back = self.admit(now, part, random).or(back);
        }
        back
    }

    fn admit(&mut self, now: Instant, frame: Frame, random: &mut impl Random) -> Option<Frame> {
        let wire = frame.wire();
        // A burst that fits in part is taken whole.
        if self.packets >= u64::from(self.limit) {
            self.counters.overlimit += 1;
            return Some(frame);
        }
        self.packets += u64::from(wire.packets);
        self.number += 1;
        let waiting =
            |due, number| Waiting { turn: Turn { due, number }, frame, packets: wire.packets, bytes: wire.bytes };
        if random.chance(self.impairment.reorder) {
            self.counters.reordered += 1;
            self.ahead.push_back(waiting(now, self.number));
            return None;
        }
        let mut due = now + self.draw_delay(random);
        if self.impairment.rate.is_some() {
            due = self.last_due.map_or(due, |last| due.max(last)) + self.impairment.serialization(wire.bytes);
        }
        let waiting = waiting(due, self.number);
        if self.line.back().is_none_or(|last| last.turn.due <= due) {
            self.last_due = Some(due);
            self.line.push_back(waiting);
        } else {
            self.early.push(Reverse(waiting));
        }
        None
    }

    /// Uniform between `delay - jitter` and `delay + jitter`, not below zero.
    fn draw_delay(&self, random: &mut impl Random) -> Duration {
        let Impairment { delay, jitter, .. } = self.impairment;
        if jitter.is_zero() {
            return delay;
        }
        let span = u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4) * 2;
        (delay + Duration::from_nanos(random.below(span + 1))).saturating_sub(jitter)
    }

    /// When the next frame is due; `None` while nothing waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.next_turn().map(|t| t.due)
    }

    fn next_turn(&self) -> Option<Turn> {
        if let Some(w) = self.ahead.front() {
            return Some(w.turn);
        }
        let line = self.line.front().map(|w| w.turn);
        let early = self.early.peek().map(|Reverse(w)| w.turn);
        line.into_iter().chain(early).min()
    }

    /// The next frame that is due, and when it was.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, Frame)> {
        let turn = self.next_turn()?;
        if turn.due > now {
            return None;
        }
        self.take(turn)
    }

    /// The next frame in order, due or not: for a wire that is being taken away.
    pub fn pop_any(&mut self) -> Option<Frame> {
        let turn = self.next_turn()?;
        self.take(turn).map(|(_, frame)| frame)
    }

    fn take(&mut self, turn: Turn) -> Option<(Instant, Frame)> {
        let waiting = if !self.ahead.is_empty() {
            self.ahead.pop_front()
        } else if self.line.front().is_some_and(|w| w.turn == turn) {
            self.line.pop_front()
        } else {
            self.early.pop().map(|Reverse(w)| w)
        }?;
        self.packets = self.packets.saturating_sub(waiting.packets.into());
        self.counters.sent += 1;
        Some((waiting.turn.due, waiting.frame))
    }

    /// Another impairment from now on. Frames that wait are drawn in: none leaves later than it was to, and none later than a frame that
    /// came now would; their order stays.
    pub fn change(&mut self, now: Instant, impairment: Impairment) {
        self.limit = impairment.effective_limit();
        self.impairment = impairment;
        let latest = now + self.impairment.delay + self.impairment.jitter;
        let mut all = Vec::with_capacity(self.line.len() + self.early.len());
        all.extend(self.line.drain(..));
        all.extend(self.early.drain().map(|Reverse(w)| w));
        all.sort_unstable();
        let mut last = now;
        for mut w in all {
            let turn = &mut w.turn;
            let mut drawn = latest.max(last);
            if self.impairment.rate.is_some() {
                drawn += self.impairment.serialization(w.bytes);
                last = turn.due.min(drawn);
            }
            turn.due = turn.due.min(drawn);
            self.line.push_back(w);
        }
        self.last_due = self.line.back().map(|w| w.turn.due);
    }

    /// The impairment in force.
    #[must_use]
    pub fn impairment(&self) -> &Impairment {
        &self.impairment
    }

    /// Frames that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ahead.len() + self.line.len() + self.early.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
