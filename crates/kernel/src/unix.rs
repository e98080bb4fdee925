//! Unix sockets that carry descriptors (unix(7), `SCM_RIGHTS`).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, accept4, bind,
    connect, getsockopt, listen, recvmsg, sendmsg, socket, socketpair, sockopt,
};

use crate::error::{Error, Result};

/// How many descriptors one message carries at most (`SCM_MAX_FD`).
pub const MAX_FDS: usize = 253;

/// Who is at the other end (`SO_PEERCRED`), as of the connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCred {
    /// Process id.
    pub pid: i32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// A connected socket that keeps message boundaries (`SOCK_SEQPACKET`).
#[derive(Debug)]
pub struct Packets(OwnedFd);

/// What [`Packets::receive`] returns.
#[derive(Debug, Default)]
pub struct Received {
    /// The bytes; empty without descriptors means that the other end has closed.
    pub bytes: Vec<u8>,
    /// The descriptors that came along, closed on exec.
    pub fds: Vec<OwnedFd>,
}

impl Received {
    /// The other end has closed.
    pub fn is_end(&self) -> bool {
        self.bytes.is_empty() && self.fds.is_empty()
    }
}

impl Packets {
    /// Two connected ends.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn pair() -> Result<(Packets, Packets)> {
        let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
        let (a, b) = pair.map_err(|e| Error::os("make a socket pair", e))?;
        Ok((Packets(a), Packets(b)))
    }

    /// Connects to a [`Listener`].
    ///
    /// # Errors
    /// `ENOENT`, `ECONNREFUSED` when nobody listens there.
    pub fn connect(path: &Path) -> Result<Packets> {
        let doing = || format!("connect to {}", path.display());
        let address = UnixAddr::new(path).map_err(|e| Error::os(doing(), e))?;
        let fd = new_socket().map_err(|e| Error::os(doing(), e))?;
        connect(fd.as_raw_fd(), &address).map_err(|e| Error::os(doing(), e))?;
        Ok(Packets(fd))
    }

    /// Takes over a descriptor.
    pub fn from_fd(fd: OwnedFd) -> Packets {
        Packets(fd)
    }

    /// Sends one message; it must fit the send buffer (about 200 KiB). The descriptors are
    /// duplicated into the receiver.
    ///
    /// # Errors
    /// `EPIPE` when the other end has gone, `EMSGSIZE`.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        send_with_fds(self, bytes, fds).map(drop)
    }

    /// Receives one message of at most `limit` bytes.
    ///
    /// # Errors
    /// `EMSGSIZE` when it was longer, `EAGAIN` on a non-blocking socket.
    pub fn receive(&self, limit: usize) -> Result<Received> {
        // Asked first: most messages are a small part of what is allowed.
        let len = self.next_len()?.min(limit);
        let mut bytes = vec![0; len];
        let (len, fds, truncated) = receive_with_fds(self, &mut bytes)?;
        if truncated {
            return Err(Error::os("receive a message", std::io::Error::from_raw_os_error(libc::EMSGSIZE)));
        }
        bytes.truncate(len);
        Ok(Received { bytes, fds })
    }

    /// Waits for the next message and returns its length.
    fn next_len(&self) -> Result<usize> {
        loop {
            match nix::sys::socket::recv(self.0.as_raw_fd(), &mut [], MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC) {
                Err(nix::Error::EINTR) => {}
                result => return result.map_err(|e| Error::os("receive a message", e)),
            }
        }
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// Does not happen on a connected socket.
    pub fn peer(&self) -> Result<PeerCred> {
        peer_cred(self)
    }

    /// Whether calls return `EAGAIN` instead of waiting.
    ///
    /// # Errors
    /// Does not happen in practice.
    pub fn set_nonblocking(&self, on: bool) -> Result<()> {
        set_nonblocking(self, on)
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Accepts [`Packets`] connections at a path.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Listens at `path`, which must not exist and be at most 107 bytes long.
    ///
    /// # Errors
    /// `EADDRINUSE` when the path exists.
    pub fn bind(path: &Path) -> Result<Listener> {
        let doing = || format!("listen at {}", path.display());
        let address = UnixAddr::new(path).map_err(|e| Error::os(doing(), e))?;
        let fd = new_socket().map_err(|e| Error::os(doing(), e))?;
        bind(fd.as_raw_fd(), &address).map_err(|e| Error::os(doing(), e))?;
        listen(&fd, Backlog::MAXCONN).map_err(|e| Error::os(doing(), e))?;
        Ok(Listener(fd))
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// `EMFILE`; `EAGAIN` on a non-blocking socket.
    pub fn accept(&self) -> Result<Packets> {
        loop {
            match accept4(self.0.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
                // SAFETY: the descriptor was just returned and belongs to nobody else.
                Ok(fd) => return Ok(Packets(unsafe { OwnedFd::from_raw_fd(fd) })),
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(Error::os("accept a connection", error)),
            }
        }
    }

    /// Whether [`Listener::accept`] returns `EAGAIN` instead of waiting.
    ///
    /// # Errors
    /// Does not happen in practice.
    pub fn set_nonblocking(&self, on: bool) -> Result<()> {
        set_nonblocking(self, on)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn new_socket() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
}

/// Sends bytes and descriptors over any unix socket; how many bytes were taken.
///
/// # Errors
/// [`Error::Invalid`] above [`MAX_FDS`] descriptors; `EPIPE`, `EAGAIN`, `EMSGSIZE`.
pub fn send_with_fds(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    if fds.len() > MAX_FDS {
        return Err(Error::Invalid {
            doing: "send descriptors".into(),
            reason: format!("{} in one message, {MAX_FDS} are allowed", fds.len()),
        });
    }
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let fd = socket.as_fd().as_raw_fd();
    loop {
        match sendmsg::<()>(fd, &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None) {
            Ok(sent) => return Ok(sent),
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(Error::os("send a message", error)),
        }
    }
}

/// Receives bytes and descriptors from any unix socket: how many bytes, the descriptors, and
/// whether something was cut off.
///
/// # Errors
/// `EAGAIN` on a non-blocking socket, `ECONNRESET`.
pub fn receive_with_fds(socket: impl AsFd, bytes: &mut [u8]) -> Result<(usize, Vec<OwnedFd>, bool)> {
    let fd = socket.as_fd().as_raw_fd();
    let mut space = cmsg_space!([RawFd; MAX_FDS]);
    loop {
        let mut slices = [IoSliceMut::new(bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = match recvmsg::<()>(fd, &mut slices, Some(&mut space), flags) {
            Ok(message) => message,
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(Error::os("receive a message", error)),
        };
        let cut = message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
        let mut fds = Vec::new();
        for control in message.cmsgs().map_err(|e| Error::os("receive descriptors", e))? {
            if let ControlMessageOwned::ScmRights(raw) = control {
                // SAFETY: the kernel has just installed these descriptors for this receiver.
                fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        return Ok((message.bytes, fds, cut));
    }
}

/// Who is at the other end of a connected unix socket.
///
/// # Errors
/// `ENOTCONN`.
pub fn peer_cred(socket: impl AsFd) -> Result<PeerCred> {
    let cred = getsockopt(&socket.as_fd(), sockopt::PeerCredentials);
    let cred = cred.map_err(|e| Error::os("ask who is at the other end", e))?;
    Ok(PeerCred { pid: cred.pid(), uid: cred.uid(), gid: cred.gid() })
}

/// Switches a descriptor between waiting and `EAGAIN`.
///
/// # Errors
/// `EBADF`.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let doing = "change the blocking mode";
    let flags = fcntl(fd.as_fd(), FcntlArg::F_GETFL).map_err(|e| Error::os(doing, e))?;
    let mut flags = OFlag::from_bits_retain(flags);
    flags.set(OFlag::O_NONBLOCK, on);
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags)).map_err(|e| Error::os(doing, e))?;
    Ok(())
}
