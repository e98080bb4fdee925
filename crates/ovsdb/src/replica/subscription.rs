//! Changes for those who asked. A subscriber that does not read costs a bounded queue, then is told that it missed something.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::codec::{Row, Uuid};

/// How many changes wait for a subscriber at most.
const BACKLOG: usize = 100_000;

/// A row that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its table.
    pub table: Arc<str>,
    /// Its name.
    pub uuid: Uuid,
    /// What it was; `None` when it is new.
    pub old: Option<Arc<Row>>,
    /// What it is; `None` when it is gone.
    pub new: Option<Arc<Row>>,
}

/// What a subscriber hears.
#[derive(Clone, Debug)]
pub enum Event {
    /// Rows changed in one transaction, or while the connection was away.
    Changed(Arc<[Change]>),
    /// More happened than the subscriber read, and was thrown away: take a new snapshot and go on from it.
    Missed,
}

/// The receiving end. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription(Arc<Queue>);

/// The sending end.
#[derive(Debug)]
pub(super) struct Sender(Weak<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Arc<[Change]>>,
    changes: usize,
    missed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn channel() -> (Sender, Subscription) {
    let queue = Arc::new(Queue::default());
    (Sender(Arc::downgrade(&queue)), Subscription(queue))
}

impl Sender {
    /// False when nobody listens any more.
    pub(super) fn send(&self, changes: &Arc<[Change]>) -> bool {
        let Some(queue) = self.0.upgrade() else { return false };
        let mut state = queue.lock();
        if state.changes + changes.len() > BACKLOG {
            *state = State { missed: true, ..State::default() };
        } else {
            state.changes += changes.len();
            state.batches.push_back(changes.clone());
        }
        queue.arrived.notify_all();
        true
    }
}

impl Subscription {
    /// The next event, or `None` when none came within `patience`.
    #[must_use]
    pub fn next(&self, patience: Duration) -> Option<Event> {
        let end = Instant::now() + patience;
        let mut state = self.0.lock();
        loop {
            if std::mem::take(&mut state.missed) {
                return Some(Event::Missed);
            }
            if let Some(changes) = state.batches.pop_front() {
                state.changes -= changes.len();
                return Some(Event::Changed(changes));
            }
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            state = self.0.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Change {
        Change { table: "T".into(), uuid: Uuid::ZERO, old: None, new: None }
    }

    #[test]
    fn who_does_not_read_is_told_and_costs_no_more() {
        let (sender, subscription) = channel();
        let many: Arc<[Change]> = vec![change(); BACKLOG / 2].into();
        for _ in 0..3 {
            assert!(sender.send(&many));
        }
        assert!(matches!(subscription.next(Duration::ZERO), Some(Event::Missed)));
        assert!(subscription.next(Duration::ZERO).is_none());
        sender.send(&Arc::from([change()]));
        assert!(matches!(subscription.next(Duration::ZERO), Some(Event::Changed(_))));
        drop(subscription);
        assert!(!sender.send(&many), "nobody listens");
    }
}
