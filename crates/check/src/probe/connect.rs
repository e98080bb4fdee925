//! TCP and UDP probes with netloom's own listener at the target: the client sends a number, the listener sends it back.
//!
//! A service that holds the port already is left alone: for TCP an established connection is its answer, for UDP anything it says.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netloom_api::test::Proto;
use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::sock;
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Error, Result};
use crate::probe::{Answer, Job, Line, Listener, cause};
use crate::verdict::Cause;

/// Connections under way at the same time.
const WINDOW: usize = 128;

/// Listeners held at the same time; a batch with more is cut into pieces.
const LISTENERS: usize = 256;

/// Runs TCP and UDP jobs on the calling thread.
///
/// # Errors
/// When a namespace cannot be entered or sockets cannot be made.
pub(super) fn run(jobs: &[&Job], patience: Duration, nonce: u64, line: Line<'_>) -> Result<()> {
    let mut rest: VecDeque<usize> = (0..jobs.len()).collect();
    while !rest.is_empty() && !line.stopped() {
        let mut batch = Batch::default();
        let mut later = VecDeque::new();
        while let Some(i) = rest.pop_front() {
            let key = listener_key(jobs[i]);
            if key.as_ref().is_none_or(|k| batch.listeners.contains_key(k)) || batch.listeners.len() < LISTENERS {
                if let Some(key) = key
                    && !batch.listeners.contains_key(&key)
                {
                    let opened = listen(jobs[i])?;
                    batch.listeners.insert(key, opened);
                }
                batch.jobs.push(i);
            } else {
                later.push_back(i);
            }
        }
        batch.run(jobs, patience, nonce, &line)?;
        rest = later;
    }
    Ok(())
}

type Key = (String, SocketAddr, bool);

fn port(job: &Job) -> (u16, bool) {
    match job.proto {
        Proto::Udp(p) => (p, true),
        Proto::Tcp(p) => (p, false),
        Proto::Icmp | Proto::Icmp6 => (0, true),
    }
}

fn listener_key(job: &Job) -> Option<Key> {
    let (port, udp) = port(job);
    job.listen.as_ref().map(|place| (place.node.to_string(), SocketAddr::new(job.target, port), udp))
}

/// What became of the wish to listen.
enum Opened {
    Own(Socket),
    /// Somebody holds the port.
    Service,
    /// The node does not have the address, or may not use it.
    Impossible(String),
}

fn listen(job: &Job) -> Result<Opened> {
    let Some(place) = &job.listen else {
        return Ok(Opened::Service);
    };
    place.netns.enter_here()?;
    let (port, udp) = port(job);
    let at = SocketAddr::new(job.target, port);
    match open_listener(at, udp) {
        Ok(socket) => Ok(Opened::Own(socket)),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => Ok(Opened::Service),
        Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable => {
            Ok(Opened::Impossible(format!("{} does not have the address {}", place.node, job.target)))
        }
        Err(e) => Ok(Opened::Impossible(format!("{}: cannot listen on {at}: {e}", place.node))),
    }
}

fn open_listener(at: SocketAddr, udp: bool) -> io::Result<Socket> {
    let domain = Domain::for_address(at);
    let socket = if udp {
        Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?
    } else {
        Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?
    };
    if !udp {
        // Connections of an earlier probe that linger must not look like a service; a port somebody listens on stays taken all the same.
        socket.set_reuse_address(true)?;
    }
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    if !udp {
        socket.listen(1024)?;
    }
    Ok(socket)
}

/// A client that waits.
struct Client {
    job: usize,
    socket: Socket,
    started: Instant,
    sent_ns: u64,
    connected: Option<Duration>,
    listener: Listener,
}

#[derive(Default)]
struct Batch {
    listeners: HashMap<Key, Opened>,
    jobs: Vec<usize>,
}

impl Batch {
    fn run(&self, jobs: &[&Job], patience: Duration, nonce: u64, line: &Line<'_>) -> Result<()> {
        let servers: Vec<(&Socket, bool)> = self
            .listeners
            .iter()
            .filter_map(|(key, opened)| match opened {
                Opened::Own(socket) => Some((socket, key.2)),
                _ => None,
            })
            .collect();
        let mut accepted: Vec<Socket> = Vec::new();
        let mut waiting: VecDeque<usize> = self.jobs.iter().copied().collect();
        let mut clients: Vec<Client> = Vec::new();
        while !waiting.is_empty() || !clients.is_empty() {
            while clients.len() < WINDOW
                && let Some(job) = waiting.pop_front()
            {
                match self.start(jobs, job, nonce)? {
                    Ok(client) => clients.push(client),
                    Err(answer) => line.answer(job, answer),
                }
            }
            let now = Instant::now();
            let stopped = line.stopped();
            clients.retain(|c| {
                let over = stopped || now.duration_since(c.started) >= patience;
                if over {
                    line.answer(c.job, Answer { cause: Cause::TimedOut, rtt: None, listener: c.listener });
                }
                !over
            });
            if stopped {
                return Ok(());
            }
            let Some(first) = clients.iter().map(|c| c.started).min() else {
                continue;
            };
            let left = patience.saturating_sub(now.duration_since(first)).max(Duration::from_micros(50));

            let mut fds: Vec<(BorrowedFd<'_>, Interest)> =
                servers.iter().map(|(s, _)| (s.as_fd(), Interest::READ)).collect();
            fds.extend(accepted.iter().map(|a| (a.as_fd(), Interest::READ)));
            fds.extend(clients.iter().map(|c| {
                let connecting = c.connected.is_none() && !port(jobs[c.job]).1;
                (c.socket.as_fd(), if connecting { Interest::WRITE } else { Interest::READ })
            }));
            let ready = poll(&fds, Some(line.wait(left)))?;
            drop(fds);
            let (ready_servers, rest) = ready.split_at(servers.len());
            let (ready_accepted, ready_clients) = rest.split_at(accepted.len());

            let mut index = 0;
            clients.retain_mut(|c| {
                let any = ready_clients[index].any();
                index += 1;
                if !any {
                    return true;
                }
                match c.progress(jobs[c.job], nonce) {
                    None => true,
                    Some(answer) => {
                        line.answer(c.job, answer);
                        false
                    }
                }
            });
            let mut index = 0;
            accepted.retain_mut(|a| {
                let any = ready_accepted[index].any();
                index += 1;
                !any || echo_back(a)
            });
            for ((socket, udp), ready) in servers.iter().zip(ready_servers) {
                if ready.any() {
                    serve(socket, *udp, &mut accepted);
                }
            }
        }
        Ok(())
    }

    /// Sends the first packet of a job, from inside its namespace.
    fn start(&self, jobs: &[&Job], number: usize, nonce: u64) -> Result<Result<Client, Answer>> {
        let job = jobs[number];
        let (port, udp) = port(job);
        let listener = match listener_key(job).and_then(|k| self.listeners.get(&k)) {
            None => Listener::None,
            Some(Opened::Own(_)) => Listener::Own,
            Some(Opened::Service) => Listener::Service,
            Some(Opened::Impossible(detail)) => {
                return Ok(Err(Answer::failed(Cause::ListenerNotUp { detail: detail.clone() })));
            }
        };
        job.from.netns.enter_here()?;
        let to = SocketAddr::new(job.target, port);
        let socket = client_socket(to, udp, job.source)
            .map_err(|e| Error::socket(format!("{}: open a socket", job.from.node), e));
        let socket = match socket {
            Ok(socket) => socket,
            Err(Error::Socket { source, .. }) if source.kind() == io::ErrorKind::AddrNotAvailable => {
                return Ok(Err(Answer::failed(cause::of_error(&source, None, &job.from.node, job.target))));
            }
            Err(e) => return Err(e),
        };
        let client =
            Client { job: number, socket, started: Instant::now(), sent_ns: sock::now_ns(), connected: None, listener };
        let started = client.socket.connect(&to.into());
        let failed = |e: &io::Error| {
            let queued = sock::receive_error(&client.socket, &mut [0; 64]).ok().flatten();
            Answer { cause: cause::of_error(e, queued.as_ref(), &job.from.node, job.target), rtt: None, listener }
        };
        match started {
            Err(e) if e.raw_os_error() != Some(EINPROGRESS) => return Ok(Err(failed(&e))),
            _ => {}
        }
        if udp && let Err(e) = client.socket.send(&question(nonce, number, port)) {
            return Ok(Err(failed(&e)));
        }
        Ok(Ok(client))
    }
}

/// `EINPROGRESS` of asm-generic.
const EINPROGRESS: i32 = 115;

fn client_socket(to: SocketAddr, udp: bool, source: Option<IpAddr>) -> io::Result<Socket> {
    let domain = Domain::for_address(to);
    let socket = if udp {
        Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?
    } else {
        Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?
    };
    socket.set_nonblocking(true)?;
    sock::queue_errors(&socket, to.is_ipv6())?;
    if udp {
        sock::stamp_arrivals(&socket)?;
    }
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    Ok(socket)
}

/// What a probe says: 16 bytes nobody else says. To port 53 it is a DNS query that every server answers, so that a service shows itself too.
fn question(nonce: u64, number: usize, port: u16) -> Vec<u8> {
    if port == 53 {
        // RFC 1035 §4.1: id, recursion desired, one question: the root's NS records.
        let mut q = vec![(nonce >> 8) as u8, nonce as u8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        q.extend([0, 0, 2, 0, 1]);
        return q;
    }
    let mut q = nonce.to_be_bytes().to_vec();
    q.extend((number as u64).to_be_bytes());
    q
}

impl Client {
    /// After something happened on the socket: the answer, or `None` to wait on.
    fn progress(&mut self, job: &Job, nonce: u64) -> Option<Answer> {
        let (port, udp) = port(job);
        let done = |cause: Cause, rtt: Option<Duration>| Some(Answer { cause, rtt, listener: self.listener });
        let fail = |e: &io::Error, socket: &Socket| {
            let queued = sock::receive_error(socket, &mut [0; 64]).ok().flatten();
            cause::of_error(e, queued.as_ref(), &job.from.node, job.target)
        };
        // The error queue first: it knows who complained.
        if let Ok(Some(q)) = sock::receive_error(&self.socket, &mut [0; 64]) {
            let e = io::Error::from_raw_os_error(q.errno);
            return done(cause::of_error(&e, Some(&q), &job.from.node, job.target), None);
        }
        if udp {
            let mut buffer = [0u8; 2048];
            return match sock::receive(&self.socket, &mut buffer) {
                Ok(None) => None,
                Ok(Some(got)) => {
                    let expected = question(nonce, self.job, port);
                    if self.listener == Listener::Own && buffer[..got.length] != expected[..] {
                        return None;
                    }
                    done(Cause::Ok, Some(Duration::from_nanos(got.at_ns.saturating_sub(self.sent_ns))))
                }
                Err(e) => {
                    let cause = fail(&e, &self.socket);
                    done(cause, None)
                }
            };
        }
        if self.connected.is_none() {
            match self.socket.take_error() {
                Ok(None) => {}
                Ok(Some(e)) | Err(e) => {
                    let cause = fail(&e, &self.socket);
                    return done(cause, None);
                }
            }
            if self.socket.peer_addr().is_err() {
                return None;
            }
            self.connected = Some(self.started.elapsed());
            if self.listener != Listener::Own {
                return done(Cause::Ok, self.connected);
            }
            if let Err(e) = self.socket.write_all(&question(nonce, self.job, port)) {
                let cause = fail(&e, &self.socket);
                return done(cause, None);
            }
            return None;
        }
        let mut buffer = [0u8; 64];
        match self.socket.read(&mut buffer) {
            Ok(n) if n > 0 && buffer[..n] == question(nonce, self.job, port)[..] => {
                // The connection has done its work; a reset leaves nothing behind in TIME_WAIT.
                let _ = self.socket.set_linger(Some(Duration::ZERO));
                done(Cause::Ok, self.connected)
            }
            Ok(_) => done(Cause::Mismatch { detail: "the listener sent back something else".into() }, None),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => None,
            Err(e) => {
                let cause = fail(&e, &self.socket);
                done(cause, None)
            }
        }
    }
}

/// A listener has something: connections to accept, or datagrams to send back.
fn serve(socket: &Socket, udp: bool, accepted: &mut Vec<Socket>) {
    if !udp {
        while let Ok((connection, _)) = socket.accept() {
            if connection.set_nonblocking(true).is_ok() {
                accepted.push(connection);
            }
        }
        return;
    }
    let mut buffer = [0u8; 2048];
    while let Ok(Some(got)) = sock::receive(socket, &mut buffer) {
        if let Some(from) = got.from {
            let _ = socket.send_to(&buffer[..got.length], &from.into());
        }
    }
}

/// Sends back what came; false when the connection is over.
fn echo_back(connection: &mut Socket) -> bool {
    let mut buffer = [0u8; 64];
    match connection.read(&mut buffer) {
        Ok(0) => false,
        Ok(n) => connection.write_all(&buffer[..n]).is_ok(),
        Err(e) => e.kind() == io::ErrorKind::WouldBlock,
    }
}
