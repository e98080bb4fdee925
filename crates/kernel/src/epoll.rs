//! Waiting for many descriptors that stay the same (epoll(7)), with timeouts to the nanosecond.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::poll::{Interest, poll};

/// Ready descriptors told at once.
const BATCH: usize = 64;

/// A set of descriptors, each known by a number of the caller's.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn new() -> Result<Epoll> {
        // SAFETY: no pointer is involved.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(Error::last_os("make an epoll set"));
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches a descriptor for reading, level-triggered. Hang-up and errors are told as well.
    ///
    /// # Errors
    /// `EEXIST` when it is watched already, `EPERM` for a plain file.
    pub fn add(&self, fd: impl AsFd, token: u64) -> Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        self.control(libc::EPOLL_CTL_ADD, fd.as_fd(), &raw mut event)
    }

    /// Stops watching a descriptor.
    ///
    /// # Errors
    /// `ENOENT` when it is not watched.
    pub fn remove(&self, fd: impl AsFd) -> Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd.as_fd(), std::ptr::null_mut())
    }

    fn control(&self, operation: libc::c_int, fd: BorrowedFd<'_>, event: *mut libc::epoll_event) -> Result<()> {
        // SAFETY: the event outlives the call; a removal needs none.
        let rc = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_raw_fd(), event) };
        if rc == 0 { Ok(()) } else { Err(Error::last_os("change an epoll set")) }
    }

    /// Waits until something is ready or `timeout` is over (`None`: for ever) and puts the numbers of what is
    /// ready into `ready`, at most 64 of them; none after a timeout.
    ///
    /// # Errors
    /// Does not happen in practice.
    pub fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<u64>) -> Result<()> {
        ready.clear();
        // epoll_wait counts milliseconds and epoll_pwait2 is younger than some kernels; ppoll counts nanoseconds everywhere.
        if timeout != Some(Duration::ZERO) && !poll(&[(self.0.as_fd(), Interest::READ)], timeout)?[0].any() {
            return Ok(());
        }
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        // SAFETY: the array outlives the call and its length is given.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), BATCH as libc::c_int, 0) };
        if count < 0 {
            let error = std::io::Error::last_os_error();
            if error.kind() == std::io::ErrorKind::Interrupted {
                return Ok(());
            }
            return Err(Error::os("wait for an epoll set", error));
        }
        ready.extend(events.iter().take(count as usize).map(|event| event.u64));
        Ok(())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How late the calling thread's timeouts may be so that wake-ups can be shared; Linux starts with 50 µs.
///
/// # Errors
/// Does not happen in practice.
pub fn set_timer_slack_here(slack: Duration) -> Result<()> {
    let nanos = slack.as_nanos().max(1) as libc::c_ulong;
    nix::sys::prctl::set_timerslack(nanos).map_err(|e| Error::os("set the timer slack", e))
}
