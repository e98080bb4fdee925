//! What can go wrong.

use netloom_openflow::client::ClientError;

/// Why a switch could not be brought to what it shall be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection to the switch, or an answer of it.
    #[error(transparent)]
    OpenFlow(#[from] ClientError),
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
