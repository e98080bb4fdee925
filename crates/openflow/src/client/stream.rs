//! Where a switch is, and the bytes to and from it.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::TextError;

/// Where a switch listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Remote {
    /// A unix socket, such as `BRIDGE.mgmt` in the run directory of Open vSwitch.
    Unix(PathBuf),
    /// A host and its port, such as `127.0.0.1:6653`.
    Tcp(String),
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

impl std::str::FromStr for Remote {
    type Err = TextError;

    /// `unix:PATH`, or `tcp:HOST:PORT`.
    fn from_str(text: &str) -> Result<Self, TextError> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) if address.contains(':') => Ok(Self::Tcp(address.to_owned())),
            _ => Err(TextError::new("a switch is at unix:PATH or tcp:HOST:PORT", text)),
        }
    }
}

/// A connection of either kind.
#[derive(Debug)]
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Connects. A name with several addresses is tried in their order, each for `timeout`. The unix socket of a daemon that hangs with a full
    /// queue of connections is waited for by nobody but this thread.
    pub(super) fn connect(remote: &Remote, timeout: Duration) -> io::Result<Self> {
        match remote {
            Remote::Unix(path) => UnixStream::connect(path).map(Self::Unix),
            Remote::Tcp(address) => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                for address in address.to_socket_addrs()?.collect::<Vec<SocketAddr>>() {
                    match TcpStream::connect_timeout(&address, timeout) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            return Ok(Self::Tcp(stream));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    /// A read returns after so long without a byte.
    pub(super) fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        // Zero would be for ever.
        let timeout = Some(timeout.max(Duration::from_millis(1)));
        match self {
            Self::Unix(stream) => stream.set_read_timeout(timeout),
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
        }
    }

    /// A write fails after so long without a byte taken.
    pub(super) fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        let timeout = Some(timeout.max(Duration::from_millis(1)));
        match self {
            Self::Unix(stream) => stream.set_write_timeout(timeout),
            Self::Tcp(stream) => stream.set_write_timeout(timeout),
        }
    }

    /// Whether reads and writes return at once. It holds for every copy of the stream.
    pub(super) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(nonblocking),
            Self::Tcp(stream) => stream.set_nonblocking(nonblocking),
        }
    }

    /// Ends both directions: whoever reads or writes wakes up.
    pub(super) fn shutdown(&self) {
        // It may have ended already.
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whole messages out of a stream, however they were cut.
#[derive(Debug)]
pub(super) struct Framed {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
}

/// Bytes asked for at once.
const CHUNK: usize = 64 * 1024;

/// What listening came to.
#[derive(Debug)]
pub(super) enum Heard<'a> {
    /// One whole message.
    Message(&'a [u8]),
    /// Bytes, and more are needed.
    Part,
    /// Nothing, within the time to read.
    Nothing,
}

impl Framed {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, buffer: Vec::with_capacity(2 * CHUNK), start: 0 }
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The next message if it is there, and else one read. The buffer never holds more than one message and one chunk.
    pub(super) fn next(&mut self) -> io::Result<Heard<'_>> {
        if let Some(end) = self.whole()? {
            let from = std::mem::replace(&mut self.start, end);
            return Ok(Heard::Message(&self.buffer[from..end]));
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let read = self.stream.read(&mut self.buffer[filled..]);
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) if filled == 0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")),
            Ok(0) => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection within a message"))
            }
            Ok(_) => Ok(Heard::Part),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(Heard::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Where the first message ends, if all of it is there.
    fn whole(&self) -> io::Result<Option<usize>> {
        let rest = &self.buffer[self.start..];
        let Some(head) = rest.first_chunk() else { return Ok(None) };
        let header =
            crate::message::Header::parse(head).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let length = usize::from(header.length);
        Ok((rest.len() >= length).then_some(self.start + length))
    }
}
