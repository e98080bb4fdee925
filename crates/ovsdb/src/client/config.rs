//! Where the server is, what is wanted of it, and how patient the client is.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::backoff::Backoff;
use crate::codec::{Condition, Limits};
use crate::error::Error;
use crate::typed::Table;

/// A server, written as for `ovs-vsctl --db`: `unix:/run/openvswitch/db.sock`, `tcp:192.0.2.1:6640`, `tcp:[2001:db8::1]:6640`.
///
/// `ssl:` is refused: this client has no TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A unix socket.
    Unix(PathBuf),
    /// An address; names are not looked up.
    Tcp(SocketAddr),
}

/// The port that IANA gave OVSDB.
const PORT: u16 = 6640;

impl FromStr for Remote {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Remote { remote: text.to_owned(), why: why.to_owned() };
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("unix", _)) => Err(wrong("the path is missing; write unix:/run/openvswitch/db.sock")),
            Some(("tcp", address)) => {
                let bare = || address.trim_start_matches('[').trim_end_matches(']').parse().ok();
                let parsed = address.parse().ok().or_else(|| Some(SocketAddr::new(bare()?, PORT)));
                parsed.map(Self::Tcp).ok_or_else(|| wrong("write tcp:<address>:<port>; names are not looked up"))
            }
            Some(("ssl", _)) => Err(wrong("TLS is not built in; use tcp: through a tunnel, or the unix socket")),
            _ => Err(wrong("write unix:<path> or tcp:<address>:<port>")),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

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
    /// The server.
    pub remote: Remote,
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
            remote,
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

    /// The same with this content in the replica.
    #[must_use]
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.monitor = monitor;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_are_read_as_ovs_writes_them() {
        for text in ["unix:/run/db.sock", "tcp:127.0.0.1:6640", "tcp:[::1]:1"] {
            assert_eq!(text.parse::<Remote>().unwrap().to_string(), text);
        }
        assert_eq!("tcp:127.0.0.1".parse::<Remote>().unwrap().to_string(), "tcp:127.0.0.1:6640");
        for (text, why) in [
            ("ssl:127.0.0.1:6640", "TLS"),
            ("tcp:host:1", "not looked up"),
            ("unix:", "path"),
            ("/run/db.sock", "write unix:"),
        ] {
            let error = text.parse::<Remote>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
