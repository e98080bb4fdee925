//! Where the server is, what is wanted of it, and how patient the client is.

use std::collections::BTreeMap;
use std::time::Duration;

use netloom_stream::{Remote, Tls};

use super::backoff::Backoff;
use crate::codec::{Condition, Limits};
use crate::typed::Table;

/// What of a database the replica holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Monitor {
    /// Nothing.
    Nothing,
    /// Every column of every table of the server's schema.
    Everything,
    /// These tables. One that the server's schema lacks is an error; a column that it lacks is left out and reads as absent
    /// ([`Row::read`](crate::Row::read)), named by [`Status::absent`](crate::Status::absent).
    Tables(BTreeMap<String, Watch>),
}

/// What of one table the replica holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// The columns; `None` is all that the server has.
    pub columns: Option<Vec<String>>,
    /// Rows for which any of these holds; none means every row. A server older than Open vSwitch 2.6 sends every row regardless.
    pub conditions: Vec<Condition>,
}

impl Monitor {
    /// Whether a table is monitored, if the server has it.
    pub(super) fn has(&self, table: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Tables(tables) => tables.contains_key(table),
        }
    }

    /// Tables by name, with all their columns.
    pub fn tables<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Tables(names.into_iter().map(|name| (name.to_owned(), Watch::default())).collect())
    }

    /// The same with the columns of a typed table.
    #[must_use]
    pub fn with<T: Table>(self) -> Self {
        let mut tables = match self {
            Self::Everything => return Self::Everything,
            Self::Nothing => BTreeMap::new(),
            Self::Tables(tables) => tables,
        };
        let columns = Some(T::COLUMNS.iter().map(|&name| name.to_owned()).collect());
        tables.insert(T::NAME.to_owned(), Watch { columns, conditions: Vec::new() });
        Self::Tables(tables)
    }
}

/// How a [`Client`](crate::Client) behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The servers: one, or the members of a cluster. They are tried in turn.
    pub remotes: Vec<Remote>,
    /// Whom to believe, and what to show, where a remote is `ssl:`.
    pub tls: Option<Tls>,
    /// Of a cluster take the leader and no other: what it tells is never behind, and a transaction takes one step less.
    pub leader_only: bool,
    /// The database.
    pub database: String,
    /// What the replica holds.
    pub monitor: Monitor,
    /// How long a call waits, the time without connection included.
    pub patience: Duration,
    /// After so long without a byte from the server it is asked for a sign of life; after as long again the connection is given up.
    pub probe: Duration,
    /// How long connecting, and then each step of the greeting, may take.
    pub greeting: Duration,
    /// How long to wait between attempts to connect.
    pub backoff: Backoff,
    /// The largest and deepest message taken from the server.
    pub limits: Limits,
    /// The most requests under way at once.
    pub in_flight: usize,
}

impl Config {
    /// The usual: patience 30 s, probe 5 s, greeting 10 s, backoff 50 ms to 8 s, 4096 requests under way, nothing monitored.
    pub fn new(remote: Remote, database: impl Into<String>) -> Self {
        Self {
            remotes: vec![remote],
            tls: None,
            leader_only: false,
            database: database.into(),
            monitor: Monitor::Nothing,
            patience: Duration::from_secs(30),
            probe: Duration::from_secs(5),
            greeting: Duration::from_secs(10),
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(8)),
            limits: Limits::default(),
            in_flight: 4096,
        }
    }

    /// The same with another member of the cluster.
    #[must_use]
    pub fn or(mut self, remote: Remote) -> Self {
        self.remotes.push(remote);
        self
    }

    /// The same over TLS, for the remotes that are `ssl:`.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The same with the leader of the cluster only.
    #[must_use]
    pub fn leader_only(mut self) -> Self {
        self.leader_only = true;
        self
    }

    /// The same with this content in the replica.
    #[must_use]
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.monitor = monitor;
        self
    }
}
