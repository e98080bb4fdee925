//! Locks of the server (RFC 7047 §4.1.8 to §4.1.10): a name that one client at a time owns.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::shared::Shared;
use crate::error::Error;

/// Who has a lock, as far as this client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// Another client has it, or the server has not answered yet.
    Waiting,
    /// This client has it.
    Held,
    /// Another client took it by force. The server gives it back when that one lets go.
    Stolen,
    /// The connection is gone, and the lock with it. It is asked for again with the next connection.
    Disconnected,
}

#[derive(Default)]
pub(super) struct Locks {
    states: Mutex<BTreeMap<String, LockState>>,
    changed: Condvar,
}

impl Locks {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, LockState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, name: &str, new: LockState) {
        if let Some(state) = self.lock().get_mut(name) {
            *state = new;
        }
        self.changed.notify_all();
    }

    /// The server says whose it is now.
    pub(super) fn told(&self, name: &str, ours: bool) {
        self.set(name, if ours { LockState::Held } else { LockState::Stolen });
    }

    pub(super) fn disconnected(&self) {
        self.lock().values_mut().for_each(|state| *state = LockState::Disconnected);
        self.changed.notify_all();
    }

    /// After a new greeting.
    pub(super) fn request_all(&self, shared: &Arc<Shared>) {
        let names: Vec<String> = self.lock().keys().cloned().collect();
        for name in names {
            // Closed, or too much under way: the state goes on saying that it is not held.
            drop(ask(shared, "lock", &name));
        }
    }
}

fn ask(shared: &Arc<Shared>, method: &str, name: &str) -> Result<u64, Error> {
    let (asked, lock) = (shared.clone(), name.to_owned());
    let done = move |reply: Result<Json, Error>| match reply.ok().and_then(|reply| reply.get("locked")?.as_bool()) {
        Some(true) => asked.locks.set(&lock, LockState::Held),
        Some(false) => asked.locks.set(&lock, LockState::Waiting),
        // The connection ended, which was told already.
        None => {}
    };
    shared.submit(method, &json!([name]), Box::new(done))
}

/// A lock that was asked for. Dropping it gives it back.
pub struct Lock {
    shared: Arc<Shared>,
    name: String,
}

impl Lock {
    pub(super) fn request(shared: &Arc<Shared>, name: &str, steal: bool) -> Result<Self, Error> {
        let up = shared.is_up();
        {
            let mut states = shared.locks.lock();
            if states.contains_key(name) {
                return Err(Error::LockInUse(name.to_owned()));
            }
            states.insert(name.to_owned(), if up { LockState::Waiting } else { LockState::Disconnected });
        }
        let lock = Self { shared: shared.clone(), name: name.to_owned() };
        // Without a connection the greeting asks, so that it is not asked twice.
        if up {
            ask(shared, if steal { "steal" } else { "lock" }, name)?;
        }
        Ok(lock)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who has it.
    #[must_use]
    pub fn state(&self) -> LockState {
        self.shared.locks.lock().get(&self.name).copied().unwrap_or(LockState::Disconnected)
    }

    /// Waits until the state is as wanted, or for `patience`; the state then. To hear of a loss: wait for anything but
    /// [`LockState::Held`].
    pub fn wait(&self, patience: Duration, wanted: impl Fn(LockState) -> bool) -> LockState {
        let end = Instant::now() + patience;
        let mut states = self.shared.locks.lock();
        loop {
            let state = states.get(&self.name).copied().unwrap_or(LockState::Disconnected);
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
            let (Some(left), false) = (left, wanted(state)) else { return state };
            states = self.shared.locks.changed.wait_timeout(states, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let state = self.shared.locks.lock().remove(&self.name);
        // The server forgets the locks of a connection that is gone.
        if !matches!(state, None | Some(LockState::Disconnected)) {
            drop(self.shared.submit("unlock", &json!([self.name]), Box::new(|_| {})));
        }
    }
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lock").field("name", &self.name).field("state", &self.state()).finish()
    }
}
