//! The error type of this crate: what netloom itself could not do. What a lab does wrong is a [`crate::verdict::Cause`].

use crate::verdict::Cause;

/// Why a check could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lab refused, or its keeper is gone.
    #[error(transparent)]
    Engine(#[from] netloom_engine::Error),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] netloom_kernel::Error),
    /// A socket of a probe or stream.
    #[error("{doing}: {source}")]
    Socket {
        /// What was being done, in which node.
        doing: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A selector or a name that names nothing.
    #[error("{what} matches nothing; there are {known}")]
    Nothing {
        /// What was asked for.
        what: String,
        /// What there is.
        known: String,
    },
    /// The test asks for something that cannot be.
    #[error("{0}")]
    Invalid(String),
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps a socket's error.
    pub(crate) fn socket(doing: impl Into<String>, source: std::io::Error) -> Error {
        Error::Socket { doing: doing.into(), source }
    }

    /// What it means for a verdict: always an error, never a failure.
    pub fn cause(&self) -> Cause {
        match self {
            Error::Nothing { what, .. } => Cause::MatchedNothing { what: what.clone() },
            Error::Engine(netloom_engine::Error::Unsupported { .. }) => Cause::Unsupported { detail: self.to_string() },
            Error::Kernel(e) if e.is_unsupported() => Cause::Unsupported { detail: self.to_string() },
            _ => Cause::Internal { detail: self.to_string() },
        }
    }
}
