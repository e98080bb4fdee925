//! Whether the other side is alive, and how long to wait before the next attempt. No clock is read here: the time is passed in.

use std::time::{Duration, Instant};

/// What is to be done about a connection on which nothing comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Listen, for so long.
    Listen(Duration),
    /// Ask whether anybody is there.
    Probe,
    /// Nobody is.
    GiveUp,
}

/// What was heard of a peer, and asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liveness {
    idle: Duration,
    patience: Duration,
    heard: Instant,
    probed: Option<Instant>,
}

impl Liveness {
    /// Probes after `idle` without a word, and gives up when the probe has no answer for `patience`.
    pub(super) fn new(idle: Duration, patience: Duration, now: Instant) -> Self {
        Self { idle, patience, heard: now, probed: None }
    }

    /// Something came, whatever it was.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.probed = None;
    }

    /// What to do now. A probe is told once.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        let left = |since: Instant, limit: Duration| {
            limit.checked_sub(now.saturating_duration_since(since)).filter(|left| !left.is_zero())
        };
        match self.probed {
            Some(probed) => left(probed, self.patience).map_or(Step::GiveUp, Step::Listen),
            None => match left(self.heard, self.idle) {
                Some(left) => Step::Listen(left),
                None => {
                    self.probed = Some(now);
                    Step::Probe
                }
            },
        }
    }
}

/// Waits that double, up to a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Duration,
    limit: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit, next: first }
    }

    /// An attempt failed: how long to wait now.
    pub(super) fn failed(&mut self) -> Duration {
        let now = self.next.min(self.limit);
        self.next = now.saturating_mul(2).min(self.limit);
        now
    }

    /// An attempt succeeded.
    pub(super) fn succeeded(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_silent_peer_is_probed_once_and_then_given_up() {
        let start = Instant::now();
        let mut live = Liveness::new(5 * SECOND, 3 * SECOND, start);
        assert_eq!(live.step(start + SECOND), Step::Listen(4 * SECOND));
        assert_eq!(live.step(start + 5 * SECOND), Step::Probe);
        assert_eq!(live.step(start + 6 * SECOND), Step::Listen(2 * SECOND));
        assert_eq!(live.step(start + 8 * SECOND), Step::GiveUp);
    }

    #[test]
    fn any_word_is_a_sign_of_life() {
        let start = Instant::now();
        let mut live = Liveness::new(5 * SECOND, 3 * SECOND, start);
        assert_eq!(live.step(start + 5 * SECOND), Step::Probe);
        live.heard(start + 7 * SECOND);
        assert_eq!(live.step(start + 8 * SECOND), Step::Listen(4 * SECOND));
        assert_eq!(live.step(start + 12 * SECOND), Step::Probe);
    }

    #[test]
    fn waits_double_up_to_the_limit_and_begin_anew() {
        let mut backoff = Backoff::new(SECOND, 5 * SECOND);
        let waits: Vec<_> = (0..4).map(|_| backoff.failed().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 5]);
        backoff.succeeded();
        assert_eq!(backoff.failed(), SECOND);
    }
}
