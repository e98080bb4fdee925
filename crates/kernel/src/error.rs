//! The one error type of this crate.

use std::io;

/// What went wrong between netloom and the kernel.
///
/// Every variant says what was being done. Errors answered over netlink carry the kernel's own
/// extended-acknowledgement text as well (`NLMSGERR_ATTR_MSG`, include/uapi/linux/netlink.h).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a netlink request.
    #[error("{doing}: {}{}", io::Error::from_raw_os_error(*errno), with_text(text))]
    Kernel {
        /// What was asked for, for example `create veth a/eth1`.
        doing: String,
        /// The positive `errno`.
        errno: i32,
        /// The kernel's extended-acknowledgement text, when it gave one.
        text: Option<String>,
    },
    /// A system call failed.
    #[error("{doing}: {source}")]
    Os {
        /// What was being done.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// An answer could not be understood.
    #[error("{doing}: malformed answer from the kernel ({what})")]
    Malformed {
        /// What was being done.
        doing: String,
        /// Which part could not be read.
        what: &'static str,
    },
    /// This machine cannot do it, and not because of a mistake in the request.
    #[error("{what} is not available here: {reason}")]
    Unsupported {
        /// The missing ability.
        what: String,
        /// Why it is missing.
        reason: String,
    },
    /// The request itself makes no sense and was not sent.
    #[error("{doing}: {reason}")]
    Invalid {
        /// What was asked for.
        doing: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn with_text(text: &Option<String>) -> String {
    text.as_ref().map(|text| format!(" (kernel: {text})")).unwrap_or_default()
}

impl Error {
    /// Wraps an I/O error with what was being done.
    pub fn os(doing: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Error::Os { doing: doing.into(), source: source.into() }
    }

    /// Wraps the calling thread's `errno`.
    pub fn last_os(doing: impl Into<String>) -> Self {
        Error::os(doing, io::Error::last_os_error())
    }

    /// The `errno` behind this error, when there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Kernel { errno, .. } => Some(*errno),
            Error::Os { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// The object exists already (`EEXIST`).
    pub fn is_exists(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }

    /// The object does not exist (`ENOENT`, `ENODEV`, `ESRCH`, `EADDRNOTAVAIL`).
    pub fn is_not_found(&self) -> bool {
        matches!(self.errno(), Some(libc::ENOENT | libc::ENODEV | libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENXIO))
    }

    /// The caller may not do this (`EPERM`, `EACCES`).
    pub fn is_permission(&self) -> bool {
        matches!(self.errno(), Some(libc::EPERM | libc::EACCES))
    }

    /// The kernel does not have the feature (`EOPNOTSUPP`, `ENOSYS`, `ENOENT` for a qdisc kind …).
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Error::Unsupported { .. })
            || matches!(
                self.errno(),
                Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT)
            )
    }
}

/// Turns the `-1` convention of libc into a result.
pub(crate) fn check(value: libc::c_int, doing: impl FnOnce() -> String) -> Result<libc::c_int> {
    if value < 0 { Err(Error::last_os(doing())) } else { Ok(value) }
}
