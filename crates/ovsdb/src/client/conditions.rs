//! Which rows are monitored, changed while the client runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::{Client, greeting};
use crate::codec::Condition;
use crate::error::Error;

/// Conditions by table, of those that were set since the client was made.
pub(super) type Changed = BTreeMap<String, Vec<Condition>>;

#[derive(Default)]
pub(super) struct Conditions {
    state: Mutex<State>,
    /// Held by the one caller who changes them.
    turn: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// What the next monitor asks for.
    wanted: Changed,
    /// What the replica was told under.
    in_force: Changed,
}

impl Conditions {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wanted(&self) -> Changed {
        self.lock().wanted.clone()
    }

    pub(super) fn are_in_force(&self, changed: &Changed) -> bool {
        self.lock().in_force == *changed
    }

    /// The server monitors under these now.
    pub(super) fn acknowledged(&self, changed: Changed) {
        self.lock().in_force = changed;
    }

    /// Back to what the server agreed to last.
    pub(super) fn revert(&self) {
        let mut state = self.lock();
        state.wanted = state.in_force.clone();
    }
}

impl Client {
    /// Changes which rows of a monitored table the replica holds: those for which any of the conditions holds, or every row when there are none. When
    /// this returns, the rows that come are in the replica and those that go are not. It holds for later connections too.
    ///
    /// A server older than Open vSwitch 2.6 sends every row regardless.
    ///
    /// # Errors
    /// [`Error::NotMonitored`]; [`Error::Refused`] when a condition does not fit the schema, and the conditions before stay. When the
    /// reply does not come in time ([`Error::NoReply`]) it is not known which conditions hold until the next connection, which has the new ones.
    pub fn set_conditions(&self, table: &str, conditions: Vec<Condition>) -> Result<(), Error> {
        let shared = self.shared();
        let _turn = shared.conditions.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if !shared.config.monitor.has(table) {
            return Err(Error::NotMonitored(table.to_owned()));
        }
        let clauses = match conditions.as_slice() {
            [] => json!([true]),
            some => some.iter().map(Condition::to_json).collect(),
        };
        shared.conditions.lock().wanted.insert(table.to_owned(), conditions);
        let wanted = shared.conditions.wanted();
        let id = greeting::MONITOR;
        match self.call("monitor_cond_change", &json!([id, id, {table: [{"where": clauses}]}])) {
            Ok(_) => {
                shared.conditions.acknowledged(wanted);
                Ok(())
            }
            Err(Error::Refused { refusal, .. }) if refusal.error == "unknown method" => Ok(()),
            // The next connection monitors under them from its beginning.
            Err(lost @ Error::Lost { .. }) => {
                self.wait_connected()?;
                if shared.conditions.are_in_force(&wanted) { Ok(()) } else { Err(lost) }
            }
            Err(unknown @ Error::NoReply { .. }) => Err(unknown),
            Err(why) => {
                shared.conditions.revert();
                Err(why)
            }
        }
    }
}
