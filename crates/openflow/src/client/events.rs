//! What a switch tells unasked, for whoever wants to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::client::Session;
use crate::message::Frame;

/// Something happened that nobody asked for.
#[derive(Clone, Debug)]
pub enum Event {
    /// The switch is there, or there again: what was known of it is to be asked anew.
    Up(Arc<Session>),
    /// It is gone, and why.
    Down(Arc<str>),
    /// A message: a port or a flow changed, a packet came, a request to which nobody listens had an error.
    Message(Arc<Frame>),
    /// So many events did not fit since the last one: what was known of the switch is to be asked anew.
    Dropped(u64),
}

/// The sending end.
#[derive(Debug)]
pub(super) struct Subscriber {
    sender: SyncSender<Event>,
    dropped: Arc<AtomicU64>,
}

impl Subscriber {
    /// Tells, without waiting; false when nobody listens any more.
    pub(super) fn tell(&self, event: &Event) -> bool {
        match self.sender.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

/// Events of one switch, as many as were asked for at most. It ends when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    receiver: Receiver<Event>,
    dropped: Arc<AtomicU64>,
}

impl Subscription {
    /// The next event; `None` when there is none within `timeout`, or never will be. Events that did not fit are told before those that
    /// came after them, as soon as there is nothing older to tell.
    pub fn next(&self, timeout: Duration) -> Option<Event> {
        if let Ok(event) = self.receiver.try_recv() {
            return Some(event);
        }
        match self.dropped.swap(0, Ordering::Relaxed) {
            0 => self.receiver.recv_timeout(timeout).ok(),
            dropped => Some(Event::Dropped(dropped)),
        }
    }
}

pub(super) fn subscription(capacity: usize) -> (Subscriber, Subscription) {
    let (sender, receiver) = sync_channel(capacity);
    let dropped = Arc::new(AtomicU64::new(0));
    (Subscriber { sender, dropped: Arc::clone(&dropped) }, Subscription { receiver, dropped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_told() {
        let (subscriber, subscription) = subscription(2);
        for _ in 0..5 {
            assert!(subscriber.tell(&Event::Down("gone".into())));
        }
        let mut kinds = Vec::new();
        while let Some(event) = subscription.next(Duration::ZERO) {
            kinds.push(match event {
                Event::Dropped(count) => count,
                _ => 0,
            });
        }
        assert_eq!(kinds, [0, 0, 3]);
        drop(subscription);
        assert!(!subscriber.tell(&Event::Down("gone".into())));
    }
}
