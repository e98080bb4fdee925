//! Signals as a descriptor (signalfd(2)).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Error, Result, check};

/// Signal numbers, so that no other crate needs libc.
pub mod number {
    /// Hang-up.
    pub const HUP: i32 = libc::SIGHUP;
    /// Interrupt from the keyboard.
    pub const INT: i32 = libc::SIGINT;
    /// Quit from the keyboard.
    pub const QUIT: i32 = libc::SIGQUIT;
    /// Kill, cannot be caught.
    pub const KILL: i32 = libc::SIGKILL;
    /// Polite end.
    pub const TERM: i32 = libc::SIGTERM;
    /// A child has ended.
    pub const CHLD: i32 = libc::SIGCHLD;
    /// The other end of a pipe has gone.
    pub const PIPE: i32 = libc::SIGPIPE;
    /// The terminal's size has changed.
    pub const WINCH: i32 = libc::SIGWINCH;
    /// For the program's own use.
    pub const USR1: i32 = libc::SIGUSR1;
    /// For the program's own use.
    pub const USR2: i32 = libc::SIGUSR2;
    /// Stop, cannot be caught.
    pub const STOP: i32 = libc::SIGSTOP;
    /// Continue.
    pub const CONT: i32 = libc::SIGCONT;
}

/// One received signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub signal: i32,
    /// Who sent it, 0 for the kernel or another pid namespace.
    pub pid: i32,
}

/// Blocked signals, to be polled for and read.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks `signals` in the calling thread (threads made later inherit that) and returns the
    /// descriptor that tells them instead.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn open(signals: &[i32]) -> Result<SignalFd> {
        // SAFETY: the set is initialised by sigemptyset before use and outlives the calls.
        let fd = unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        check(fd, || "open a signal descriptor".into())?;
        // SAFETY: the descriptor was just returned and belongs to nobody else.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal, without waiting.
    ///
    /// # Errors
    /// Does not happen in practice.
    pub fn read(&self) -> Result<Option<Received>> {
        // SAFETY: the structure is plain data, for which zeroes are valid.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = size_of_val(&info);
        // SAFETY: the buffer is valid for its size during the call.
        let len = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size) };
        if len == size as isize {
            return Ok(Some(Received { signal: info.ssi_signo as i32, pid: info.ssi_pid as i32 }));
        }
        let error = std::io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Ok(None),
            _ => Err(Error::os("read a signal", error)),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
