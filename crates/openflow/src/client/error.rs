//! What can go wrong with a connection to a switch.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::problem::Problem;

/// Why a request was not answered as hoped.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no connection, and none came about in time.
    #[error("no connection to the switch at {remote} within {waited:?}: {why}")]
    NotConnected {
        /// Where it should be.
        remote: String,
        /// How long this call waited.
        waited: Duration,
        /// What the last attempt came to.
        why: Arc<str>,
    },
    /// The connection ended before the answer came. Whether the switch did what was asked is not known.
    #[error("the connection to the switch at {remote} was lost: {why}")]
    Lost {
        /// Where it was.
        remote: String,
        /// What ended it.
        why: Arc<str>,
    },
    /// No answer in time. The connection stands.
    #[error("no answer to {what} from the switch at {remote} within {waited:?}")]
    Timeout {
        /// Where the switch is.
        remote: String,
        /// What was asked.
        what: &'static str,
        /// How long this call waited.
        waited: Duration,
    },
    /// So many requests are in flight that this one could not be sent in time.
    #[error("{limit} requests to the switch at {remote} are in flight, and none was answered within {waited:?}")]
    Busy {
        /// Where the switch is.
        remote: String,
        /// Requests in flight at most.
        limit: usize,
        /// How long this call waited.
        waited: Duration,
    },
    /// The switch refused.
    #[error("the switch refused: {0}")]
    Refused(Problem),
    /// The switch refused a bundle, and did nothing of it.
    #[error("the switch refused the bundle and did nothing of it: {}{problem}", at(*.index))]
    Bundle {
        /// The message that was refused, by its place in the bundle, when the switch said which.
        index: Option<usize>,
        /// What was wrong with it.
        problem: Problem,
    },
    /// The answer is none to this question.
    #[error("the switch answered {what} with something else")]
    Unexpected {
        /// What was asked.
        what: &'static str,
    },
    /// The answer is longer than this client takes.
    #[error("the answer to {what} is longer than {limit} bytes")]
    TooLong {
        /// What was asked.
        what: &'static str,
        /// Bytes at most.
        limit: usize,
    },
    /// A message cannot be said in the version that is spoken.
    #[error(transparent)]
    Encode(#[from] Error),
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

fn at(index: Option<usize>) -> String {
    index.map_or_else(String::new, |index| format!("message {index}: "))
}

/// The result of a request.
pub type Result<T> = std::result::Result<T, ClientError>;
