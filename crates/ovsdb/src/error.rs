//! What can go wrong between a caller and the database.

use std::time::Duration;

use netloom_stream::RemoteError;

use crate::codec::{Failure, Malformed, Refusal};

/// Why a call did not do what was asked. Each says whether the database may have been changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A remote that is none. Nothing was changed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Not connected for as long as the caller was willing to wait. Nothing was changed.
    #[error("{remote}: not connected within {}: {why}", seconds(*.waited))]
    Unreachable {
        /// The server.
        remote: String,
        /// How long.
        waited: Duration,
        /// Why the last attempt failed.
        why: String,
    },
    /// The server serves another schema than asked for. Nothing was changed.
    #[error("{remote}: database {database}: {why}")]
    Schema {
        /// The server.
        remote: String,
        /// The database.
        database: String,
        /// What is missing.
        why: String,
    },
    /// No reply in time. Whether the database was changed is not known.
    #[error("{method}: no reply within {}; whether it was carried out is not known", seconds(*.waited))]
    NoReply {
        /// What was asked.
        method: String,
        /// How long.
        waited: Duration,
    },
    /// The connection ended before the reply. Whether the database was changed is not known.
    #[error("{method}: the connection ended before the reply ({why}); whether it was carried out is not known")]
    Lost {
        /// What was asked.
        method: String,
        /// Why it ended.
        why: String,
    },
    /// The server refused the request as a whole. Nothing was changed.
    #[error("{method}: the server refused: {refusal}")]
    Refused {
        /// What was asked.
        method: String,
        /// The server's reason.
        refusal: Refusal,
    },
    /// The transaction was rolled back. Nothing was changed.
    #[error("transaction rolled back: {0}")]
    Failed(#[from] Failure),
    /// The database has the transaction, and ovs-vswitchd has not applied it in time.
    #[error(
        "committed, and not applied by ovs-vswitchd within {}: it is at configuration {current}, this is {wanted}; is ovs-vswitchd running?",
        seconds(*.waited)
    )]
    NotApplied {
        /// The configuration this transaction made.
        wanted: i64,
        /// The one that ovs-vswitchd has applied.
        current: i64,
        /// How long.
        waited: Duration,
    },
    /// The database has the transaction, and nothing that could tell when it is applied.
    #[error("cannot tell when ovs-vswitchd has applied it: {0}")]
    CannotTell(String),
    /// The server said something that the protocol does not allow.
    #[error("the server's words make no sense: {0}")]
    Malformed(#[from] Malformed),
    /// As many requests are under way as the configuration allows. Nothing was changed.
    #[error("{0} requests are under way already, the most that the configuration allows")]
    Busy(usize),
    /// The lock is requested by this client already.
    #[error("lock {0} is requested by this client already; drop the first request before the next")]
    LockInUse(String),
    /// The table is none of those that the client was told to monitor.
    #[error("table {0} is not monitored; name it in Config::monitor")]
    NotMonitored(String),
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

/// Whole milliseconds as seconds, for messages.
fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}
