//! What can go wrong.

use netloom_openflow::client::ClientError;

/// Why a switch could not be brought to what it shall be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection to the switch, or an answer of it.
    #[error(transparent)]
    OpenFlow(#[from] ClientError),
    /// The database.
    #[error(transparent)]
    Ovsdb(#[from] netloom_ovsdb::Error),
    /// A bridge or port of that name exists and is not ours. Nothing was changed.
    #[error(
        "the {table} {name} exists and is not {owner}'s{of}; use another name, delete it, or hand it over with `ovs-vsctl set {table} {name} \
         external_ids:netloom={owner}` (of a bridge, only ports with the same mark and flows with netloom's cookies are changed then)"
    )]
    Foreign {
        /// `bridge` or `port`.
        table: &'static str,
        /// Its name.
        name: String,
        /// Who wants it.
        owner: String,
        /// Whose it is, in parentheses, when that is known.
        of: String,
    },
    /// ovs-vswitchd was started anew and its bridges have not all got their flows in time.
    #[error("the flows were not restored within {waited:?}: {why}")]
    NotRestored {
        /// How long.
        waited: std::time::Duration,
        /// Why not.
        why: String,
    },
    /// The switch went away and came back each time in the middle of the work.
    #[error(
        "the switch was lost and found again {times} times while its flows were compared and installed; see the log of ovs-vswitchd"
    )]
    Unsteady {
        /// How often.
        times: u32,
    },
}

/// The result of working on a switch.
pub type Result<T> = std::result::Result<T, Error>;
