//! Waiting for descriptors (ppoll(2)).

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// What to wait for on a descriptor. Hang-up and errors are always told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(libc::c_short);

impl Interest {
    /// Only hang-up and errors.
    pub const NONE: Interest = Interest(0);
    /// Something can be read, accepted, waited for.
    pub const READ: Interest = Interest(libc::POLLIN);
    /// Something can be written.
    pub const WRITE: Interest = Interest(libc::POLLOUT);
    /// Either.
    pub const BOTH: Interest = Interest(libc::POLLIN | libc::POLLOUT);
}

/// What a descriptor is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Ready(libc::c_short);

impl Ready {
    /// Anything at all.
    pub fn any(self) -> bool {
        self.0 != 0
    }

    /// Reading will not block (it may tell the end, or an error).
    pub fn readable(self) -> bool {
        self.0 & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0
    }

    /// Writing will not block.
    pub fn writable(self) -> bool {
        self.0 & libc::POLLOUT != 0
    }

    /// The other side has gone.
    pub fn hung_up(self) -> bool {
        self.0 & libc::POLLHUP != 0
    }

    /// The descriptor is in error, or not open.
    pub fn failed(self) -> bool {
        self.0 & (libc::POLLERR | libc::POLLNVAL) != 0
    }
}

/// Waits until a descriptor is ready or `timeout` is over (`None`: for ever). The answers stand in
/// the order of `fds`; none is ready after a timeout. Signals do not shorten the wait.
///
/// # Errors
/// `ENOMEM`, `EINVAL` above the limit of open files.
pub fn poll(fds: &[(BorrowedFd<'_>, Interest)], timeout: Option<Duration>) -> Result<Vec<Ready>> {
    let mut entries: Vec<libc::pollfd> =
        fds.iter().map(|(fd, interest)| libc::pollfd { fd: fd.as_raw_fd(), events: interest.0, revents: 0 }).collect();
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let spec = left
            .map(|left| libc::timespec { tv_sec: left.as_secs() as libc::time_t, tv_nsec: left.subsec_nanos().into() });
        let spec = spec.as_ref().map_or(std::ptr::null(), |spec| &raw const *spec);
        // SAFETY: the entries and the time outlive the call, their number is given.
        let count = unsafe {
            let len = entries.len() as libc::nfds_t;
            libc::ppoll(entries.as_mut_ptr(), len, spec, std::ptr::null())
        };
        if count >= 0 {
            return Ok(entries.iter().map(|entry| Ready(entry.revents)).collect());
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(Error::os("wait for descriptors", error));
        }
    }
}
