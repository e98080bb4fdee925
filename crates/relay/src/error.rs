//! What can go wrong around a relay.

use crate::impairment::InvalidImpairment;

/// An error of the relay or of the one who controls it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] netloom_kernel::Error),
    /// The impairment cannot be.
    #[error(transparent)]
    Invalid(#[from] InvalidImpairment),
    /// The relay process does not answer: it was killed, or the lab is coming down.
    #[error("the relay does not answer: {why}")]
    Gone {
        /// How that was noticed.
        why: String,
    },
    /// The relay understood and said no.
    #[error("the relay refuses: {why}")]
    Refused {
        /// Its reason.
        why: String,
    },
    /// The process that makes carrier follow does not answer, or could not do what it was told.
    #[error("carrier does not follow: {why}")]
    Carrier {
        /// Its reason, or how it was noticed.
        why: String,
    },
    /// One end does not understand the other.
    #[error("the relay and its user disagree: {0}")]
    Protocol(String),
    /// Undoing a failed attachment failed as well.
    #[error("{first}; and undoing it failed: {}", undo.join("; "))]
    Undo {
        /// What failed first.
        first: Box<Error>,
        /// What failed while undoing.
        undo: Vec<String>,
    },
    /// The tap is still there although its relay has let it go.
    #[error("tap {name} has not gone within {after:?} of its relay letting it go")]
    Lingers {
        /// The tap.
        name: String,
        /// How long was waited.
        after: std::time::Duration,
    },
}

impl Error {
    pub(crate) fn gone(error: netloom_kernel::Error) -> Self {
        Self::Gone { why: error.to_string() }
    }
}
