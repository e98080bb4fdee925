//! Terminals: a pair for a program that shall believe it has one, and the user's own in raw mode (pty(7), termios(3)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::error::{Error, Result, check};

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// A new pseudo-terminal. The program gets `terminal` as its standard streams; what it writes is read from
/// `control`, what is written to `control` it reads. Reading `control` gives `EIO` once all copies of
/// `terminal` are closed.
#[derive(Debug)]
pub struct Pair {
    /// The end that the console's user holds.
    pub control: OwnedFd,
    /// The end that the program gets.
    pub terminal: OwnedFd,
}

/// Makes a pseudo-terminal.
///
/// # Errors
/// `ENOENT` without devpts, `ENOSPC` at the limit of terminals.
pub fn open_pair(size: Option<Size>) -> Result<Pair> {
    let size = size.map(winsize);
    let pair = nix::pty::openpty(size.as_ref(), None).map_err(|e| Error::os("open a pseudo-terminal", e))?;
    for fd in [&pair.master, &pair.slave] {
        // SAFETY: no pointers are passed.
        let result = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
        check(result, || "close a terminal on exec".into())?;
    }
    Ok(Pair { control: pair.master, terminal: pair.slave })
}

/// Makes `terminal` the controlling terminal of the calling process, which must lead a session
/// ([`crate::process::new_session_here`]) and have none yet.
///
/// # Errors
/// `EPERM`, `ENOTTY`.
pub fn take_control_here(terminal: impl AsFd) -> Result<()> {
    // SAFETY: the argument is a number.
    let result = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) };
    check(result, || "take a controlling terminal".into()).map(drop)
}

/// The size of a terminal; `None` when `fd` is none.
pub fn size(fd: impl AsFd) -> Option<Size> {
    let mut size = winsize(Size { rows: 0, columns: 0 });
    // SAFETY: the structure outlives the call, which fills it.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0).then_some(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Tells a terminal, and with a signal the program on it, its new size.
///
/// # Errors
/// `ENOTTY`.
pub fn set_size(fd: impl AsFd, size: Size) -> Result<()> {
    let size = winsize(size);
    // SAFETY: the structure outlives the call, which reads it.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    check(result, || "set the size of a terminal".into()).map(drop)
}

fn winsize(size: Size) -> libc::winsize {
    libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// A terminal in raw mode: every key goes through as it is. Dropping this restores what was before.
pub struct Raw<'a> {
    fd: BorrowedFd<'a>,
    before: libc::termios,
}

impl std::fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Raw({})", self.fd.as_raw_fd())
    }
}

impl<'a> Raw<'a> {
    /// Switches a terminal to raw mode.
    ///
    /// # Errors
    /// `ENOTTY` when it is none.
    pub fn enter(fd: BorrowedFd<'a>) -> Result<Raw<'a>> {
        // SAFETY: the structure is plain data, for which zeroes are valid; it outlives the calls.
        unsafe {
            let mut before: libc::termios = std::mem::zeroed();
            check(libc::tcgetattr(fd.as_raw_fd(), &raw mut before), || "read the mode of a terminal".into())?;
            let mut raw = before;
            libc::cfmakeraw(&raw mut raw);
            let result = libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &raw const raw);
            check(result, || "set the mode of a terminal".into())?;
            Ok(Raw { fd, before })
        }
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        // SAFETY: the structure outlives the call.
        unsafe { libc::tcsetattr(self.fd.as_raw_fd(), libc::TCSANOW, &raw const self.before) };
    }
}

/// Reads from the control end; 0 also when the program's side has closed (`EIO`).
///
/// # Errors
/// `WouldBlock` on a non-blocking descriptor.
pub fn read_control(control: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the buffer is valid for its length during the call.
        let len = unsafe { libc::read(control.as_fd().as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        if len >= 0 {
            return Ok(len as usize);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EIO) => return Ok(0),
            Some(libc::EINTR) => {}
            _ => return Err(error),
        }
    }
}
