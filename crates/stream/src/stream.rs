//! Bytes to and from a daemon, in the clear or over TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::remote::{Remote, split};
use crate::tls::Tls;

/// Bytes read from a socket at once.
const BUFFER: usize = 64 << 10;

/// Whether bytes that came in the clear are the beginning of an alert or a handshake of TLS (RFC 8446 §5.1): the other side speaks that.
#[must_use]
pub fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 3, 0..=4, ..])
}

/// A connection. Copies share it: one thread may read while others write. Reads and writes fail with [`ErrorKind::WouldBlock`] when their time is over.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    session: Option<Arc<Session>>,
}

/// The state of TLS. `sending` is taken before `state`, and `state` is never held while a socket is waited for.
struct Session {
    state: Mutex<ClientConnection>,
    /// What was read from the socket, and how much of it was taken.
    received: Mutex<(Vec<u8>, usize)>,
    /// What has to go out before anything else.
    sending: Mutex<Vec<u8>>,
    tls: Tls,
    host: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("tls", &self.tls).field("host", &self.host).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Zero would be for ever.
fn bounded(time: Duration) -> Option<Duration> {
    Some(time.max(Duration::from_millis(1)))
}

impl Stream {
    /// Connects, and over TLS agrees on a session, each within `timeout`. A name with several addresses is tried in their order. `port` is for a remote
    /// that names none.
    ///
    /// # Errors
    /// What the system says; for TLS what was wrong with a certificate, a file or the other side, and what to do.
    pub fn connect(remote: &Remote, tls: Option<&Tls>, port: u16, timeout: Duration) -> io::Result<Self> {
        let place = match remote {
            Remote::Unix(path) => {
                return Ok(Self { socket: dial(Domain::UNIX, &SockAddr::unix(path)?, timeout)?, session: None });
            }
            Remote::Tcp(place) | Remote::Ssl(place) => place,
        };
        let wrong = |why: &str| io::Error::new(ErrorKind::InvalidInput, format!("{remote}: {why}"));
        let (host, named) = split(place).map_err(wrong)?;
        let session = match (remote, tls) {
            (Remote::Ssl(_), None) => {
                return Err(wrong("TLS needs the certificate of an authority, and mostly one of the client's own"));
            }
            (Remote::Ssl(_), Some(tls)) => Some((tls, tls.session(host)?)),
            _ => None,
        };
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        let mut addresses = (host, named.unwrap_or(port)).to_socket_addrs()?;
        let socket = loop {
            let Some(address) = addresses.next() else { return Err(last) };
            match reach(address, timeout) {
                Ok(socket) => break socket,
                Err(why) => last = why,
            }
        };
        let session = match session {
            None => None,
            Some((tls, mut state)) => {
                shake_hands(&socket, &mut state, tls, host, Instant::now() + timeout)?;
                Some(Arc::new(Session {
                    state: Mutex::new(state),
                    received: Mutex::new((Vec::new(), 0)),
                    sending: Mutex::default(),
                    tls: tls.clone(),
                    host: host.to_owned(),
                }))
            }
        };
        Ok(Self { socket, session })
    }

    /// Another handle of the same connection.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, session: self.session.clone() })
    }

    /// A read returns after so long without a byte. Holds for every handle.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(bounded(timeout))
    }

    /// A write fails after so long without a byte taken. Holds for every handle.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.socket.set_write_timeout(bounded(timeout))
    }

    /// Writes what is taken at once, without waiting.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] when nothing is; otherwise what the system says.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.session {
            None => self.socket.send_with_flags(bytes, libc::MSG_DONTWAIT),
            Some(session) => session.send(&self.socket, bytes, libc::MSG_DONTWAIT),
        }
    }

    /// Nothing more is sent; the other side is told.
    pub fn shutdown_write(&self) {
        self.say_goodbye();
        // It may have ended already.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Ends both directions: whoever reads or writes wakes up.
    pub fn shutdown(&self) {
        self.say_goodbye();
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Over TLS the end is announced, if nobody is sending.
    fn say_goodbye(&self) {
        if let Some(session) = &self.session
            && let Ok(mut sending) = session.sending.try_lock()
            && let Ok(mut state) = session.state.try_lock()
        {
            state.send_close_notify();
            // Who does not take it learns it from the end of the stream.
            let _ = take_out(&mut state, &mut sending);
            let _ = drain(&self.socket, &mut sending, libc::MSG_DONTWAIT);
        }
    }
}

fn reach(address: SocketAddr, timeout: Duration) -> io::Result<Socket> {
    let socket = dial(Domain::for_address(address), &SockAddr::from(address), timeout)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

fn dial(domain: Domain, address: &SockAddr, timeout: Duration) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.connect_timeout(address, timeout.max(Duration::from_millis(1)))?;
    Ok(socket)
}

fn shake_hands(
    mut socket: &Socket,
    state: &mut ClientConnection,
    tls: &Tls,
    host: &str,
    until: Instant,
) -> io::Result<()> {
    let mut out = Vec::new();
    loop {
        take_out(state, &mut out)?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(
                ErrorKind::TimedOut,
                "TLS: the other side accepted the connection and did not finish the handshake in time",
            ));
        }
        socket.set_write_timeout(bounded(left))?;
        socket.set_read_timeout(bounded(left))?;
        match socket.write_all(&out) {
            Err(why) if !late(&why) => return Err(why),
            _ => out.clear(),
        }
        if !state.is_handshaking() {
            return Ok(());
        }
        match state.read_tls(&mut socket) {
            Ok(0) => {
                let why = "TLS: the other side closed the connection in the handshake; perhaps it is tcp:, not ssl:";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, why));
            }
            Ok(_) => {}
            Err(why) if late(&why) => continue,
            Err(why) if why.kind() == ErrorKind::ConnectionReset => {
                let why = "TLS: the other side broke off the handshake; perhaps it is tcp:, not ssl:";
                return Err(io::Error::new(ErrorKind::ConnectionReset, why));
            }
            Err(why) => return Err(why),
        }
        if let Err(why) = state.process_new_packets() {
            // The alert that tells the other side.
            let _ = take_out(state, &mut out);
            let _ = drain(socket, &mut out, libc::MSG_DONTWAIT);
            return Err(io::Error::new(ErrorKind::InvalidData, tls.explain(host, &why)));
        }
    }
}

fn late(why: &io::Error) -> bool {
    matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Moves what TLS wants to send into `out`.
fn take_out(state: &mut ClientConnection, out: &mut Vec<u8>) -> io::Result<()> {
    while state.wants_write() {
        state.write_tls(out)?;
    }
    Ok(())
}

/// Sends as much as is taken; the rest stays.
fn drain(socket: &Socket, out: &mut Vec<u8>, flags: i32) -> io::Result<()> {
    let mut sent = 0;
    let result = loop {
        let rest = out.get(sent..).unwrap_or_default();
        if rest.is_empty() {
            break Ok(());
        }
        match socket.send_with_flags(rest, flags) {
            Ok(count) => sent += count,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => break Err(why),
        }
    };
    out.drain(..sent);
    result
}

impl Session {
    fn send(&self, socket: &Socket, bytes: &[u8], flags: i32) -> io::Result<usize> {
        let mut sending = lock(&self.sending);
        drain(socket, &mut sending, flags)?;
        let taken = {
            let mut state = lock(&self.state);
            let taken = state.writer().write(bytes)?;
            take_out(&mut state, &mut sending)?;
            taken
        };
        match drain(socket, &mut sending, flags) {
            // It goes with the next bytes.
            Err(why) if why.kind() == ErrorKind::WouldBlock && flags != 0 => Ok(taken),
            Err(why) => Err(why),
            Ok(()) => Ok(taken),
        }
    }

    fn receive(&self, mut socket: &Socket, bytes: &mut [u8]) -> io::Result<usize> {
        let mut received = lock(&self.received);
        let (buffer, start) = &mut *received;
        loop {
            let mut state = lock(&self.state);
            match state.reader().read(bytes) {
                Err(why) if why.kind() == ErrorKind::WouldBlock => {}
                // The end without a goodbye: both protocols know by themselves whether a message is whole.
                Err(why) if why.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            let mut fresh = buffer.get(*start..).unwrap_or_default();
            if fresh.is_empty() {
                drop(state);
                buffer.resize(BUFFER, 0);
                let count = socket.read(buffer);
                buffer.truncate(*count.as_ref().unwrap_or(&0));
                *start = 0;
                if count? == 0 {
                    lock(&self.state).read_tls(&mut io::empty())?;
                }
                continue;
            }
            let before = fresh.len();
            state.read_tls(&mut fresh)?;
            *start += before - fresh.len();
            let result = state.process_new_packets();
            drop(state);
            self.answer(socket);
            result.map_err(|why| io::Error::new(ErrorKind::InvalidData, self.tls.explain(&self.host, &why)))?;
        }
    }

    /// Sends what TLS itself has to say, if nobody is sending: who is takes it along.
    fn answer(&self, socket: &Socket) {
        if let Ok(mut sending) = self.sending.try_lock() {
            let mut state = lock(&self.state);
            if state.wants_write() {
                // What is wrong with the socket is told to who reads or writes next.
                let _ = take_out(&mut state, &mut sending);
                drop(state);
                let _ = drain(socket, &mut sending, libc::MSG_DONTWAIT);
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &self.session {
            None => self.socket.read(bytes),
            Some(session) => session.receive(&self.socket, bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.session {
            None => self.socket.write(bytes),
            Some(session) => session.send(&self.socket, bytes, 0),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
