//! The error type of this crate.

/// Why the keeper, a node or a process failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The keeper does not answer: it is gone, or was never there.
    #[error("the lab's keeper at {socket} does not answer: {reason}")]
    NoKeeper {
        /// Its socket.
        socket: String,
        /// Why.
        reason: String,
    },
    /// The keeper refused a request.
    #[error("{0}")]
    Refused(String),
    /// The program itself could not be executed in a node: all before execve(2) went well.
    #[error("{node}: {reason}")]
    NotRun {
        /// The node.
        node: String,
        /// What was run, and what the kernel said.
        reason: String,
        /// Of execve(2).
        errno: i32,
    },
    /// The protocol was broken.
    #[error("the keeper's answer cannot be read: {0}")]
    Protocol(String),
    /// An FRR daemon.
    #[error("{daemon}: {reason}")]
    Frr {
        /// Which daemon.
        daemon: String,
        /// What it said.
        reason: String,
    },
    /// A system call.
    #[error(transparent)]
    Kernel(#[from] netloom_kernel::Error),
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
