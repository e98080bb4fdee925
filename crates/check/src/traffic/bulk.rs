//! Bulk transfer: how many bits per second get through, TCP as fast as it goes or UDP at an offered rate. Payload is counted, headers are not.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netloom_kernel::sock;
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Error, Result};
use crate::probe::{Place, cause};
use crate::verdict::Cause;

/// From where to where.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// The sending node.
    pub from: Place,
    /// Its address; the kernel chooses for `None`.
    pub source: Option<IpAddr>,
    /// The receiving node.
    pub to: Place,
    /// Its address.
    pub target: IpAddr,
    /// How long.
    pub time: Duration,
}

/// What got through.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Throughput {
    /// Bytes of payload that arrived.
    pub bytes: u64,
    /// From the first to the last arrival.
    pub time: Duration,
    /// For UDP: bytes of payload sent.
    pub sent: u64,
}

impl Throughput {
    /// Bits per second at the receiver.
    pub fn rate(&self) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { self.bytes as f64 * 8.0 / seconds } else { 0.0 }
    }
}

/// Bytes of one UDP datagram: fits an Ethernet frame with IPv6.
const DATAGRAM: usize = 1400;

/// Queues of a slow link are given this long to run empty.
const DRAIN: Duration = Duration::from_secs(10);

/// Sends as fast as TCP goes.
///
/// # Errors
/// When sockets cannot be made; what the network does is a [`Cause`].
pub fn tcp(t: &Transfer, patience: Duration) -> Result<Result<Throughput, Cause>> {
    let listener = t.to.netns.run(|| TcpListener::bind(SocketAddr::new(t.target, 0)))?;
    let listener = listener.map_err(|e| Error::socket(format!("{}: listen for a transfer", t.to.node), e))?;
    let to = listener.local_addr().map_err(|e| Error::socket("listen for a transfer", e))?;
    let sending = t.from.netns.run(|| connect(t, to, patience))?;
    let mut sending = match sending {
        Ok(stream) => stream,
        Err(cause) => return Ok(Err(cause)),
    };
    let (receiving, _) = listener.accept().map_err(|e| Error::socket("accept a transfer", e))?;
    let got = thread::scope(|scope| {
        let receiver = scope.spawn(move || drain(receiving, patience));
        let end = Instant::now() + t.time;
        let chunk = vec![0u8; 128 * 1024];
        // When the network stops, so does the sender; the receiver tells what came until then.
        let _ = sending.set_write_timeout(Some(patience));
        while Instant::now() < end && sending.write_all(&chunk).is_ok() {}
        drop(sending);
        receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    Ok(if got.bytes == 0 { Err(Cause::TimedOut) } else { Ok(got) })
}

fn connect(t: &Transfer, to: SocketAddr, patience: Duration) -> Result<TcpStream, Cause> {
    let fail = |e: &io::Error, q: Option<&netloom_kernel::sock::QueuedError>| match e.kind() {
        io::ErrorKind::TimedOut if q.is_none() => Cause::TimedOut,
        _ => cause::of_error(e, q, &t.from.node, t.target),
    };
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP)).map_err(|e| fail(&e, None))?;
    // So that a refusal on the way names its author.
    sock::queue_errors(&socket, to.is_ipv6()).map_err(|e| fail(&e, None))?;
    if let Some(source) = t.source {
        socket.bind(&SocketAddr::new(source, 0).into()).map_err(|e| fail(&e, None))?;
    }
    socket.connect_timeout(&to.into(), patience).map_err(|e| {
        let queued = sock::receive_error(&socket, &mut [0; 64]).ok().flatten();
        fail(&e, queued.as_ref())
    })?;
    Ok(socket.into())
}

fn drain(mut from: TcpStream, patience: Duration) -> Throughput {
    let _ = from.set_read_timeout(Some(patience));
    let mut buffer = vec![0u8; 256 * 1024];
    let mut got = Throughput::default();
    let mut first = None;
    while let Ok(n) = from.read(&mut buffer) {
        if n == 0 {
            break;
        }
        let now = Instant::now();
        let begun = *first.get_or_insert(now);
        got.bytes += n as u64;
        got.time = now.duration_since(begun);
    }
    got
}

/// Offers `rate` bits of payload a second over UDP.
///
/// # Errors
/// When sockets cannot be made.
pub fn udp(t: &Transfer, rate: u64, patience: Duration) -> Result<Result<Throughput, Cause>> {
    let failed = |what: &'static str, place: &Place| {
        let doing = format!("{}: {what}", place.node);
        move |e: io::Error| Error::socket(doing, e)
    };
    let receiving =
        t.to.netns
            .run(|| UdpSocket::bind(SocketAddr::new(t.target, 0)))?
            .map_err(failed("listen for a transfer", &t.to))?;
    sock::receive_room(&receiving, 8 << 20).map_err(failed("make room for a transfer", &t.to))?;
    receiving.set_read_timeout(Some(Duration::from_millis(50))).map_err(failed("listen for a transfer", &t.to))?;
    let to = receiving.local_addr().map_err(failed("listen for a transfer", &t.to))?;
    let any: IpAddr = if t.target.is_ipv6() {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    };
    let source = SocketAddr::new(t.source.unwrap_or(any), 0);
    let sending = t.from.netns.run(|| UdpSocket::bind(source))?.map_err(failed("open a socket", &t.from))?;
    let (done, arrived) = (AtomicBool::new(false), AtomicU64::new(0));
    let got = thread::scope(|scope| {
        let receiver = scope.spawn(|| collect(&receiving, &done, &arrived));
        let start = Instant::now();
        let payload = vec![0u8; DATAGRAM];
        let mut sent = 0u64;
        loop {
            let elapsed = start.elapsed();
            if elapsed >= t.time {
                break;
            }
            let due = (rate as f64 / 8.0 * elapsed.as_secs_f64()) as u64;
            while sent < due {
                // What cannot be sent is lost like what is lost on the way.
                let _ = sending.send_to(&payload, to);
                sent += DATAGRAM as u64;
            }
            thread::sleep(Duration::from_micros(500));
        }
        // What still waits in queues on the way arrives first, so that the next measurement finds them empty.
        let quiet = Duration::from_millis(200) + patience.saturating_sub(crate::probe::PATIENCE);
        let end = Instant::now() + DRAIN;
        let mut before = None;
        while Instant::now() < end {
            let now = arrived.load(Ordering::Relaxed);
            if before == Some(now) {
                break;
            }
            before = Some(now);
            thread::sleep(quiet);
        }
        done.store(true, Ordering::Relaxed);
        let got = receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Throughput { sent, ..got }
    });
    Ok(if got.bytes == 0 { Err(Cause::TimedOut) } else { Ok(got) })
}

fn collect(socket: &UdpSocket, done: &AtomicBool, arrived: &AtomicU64) -> Throughput {
    let mut buffer = vec![0u8; 65_536];
    let mut got = Throughput::default();
    let mut first = None;
    while !done.load(Ordering::Relaxed) {
        let Ok(n) = socket.recv(&mut buffer) else { continue };
        arrived.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        match first {
            // The first packet opens the interval, so it is not part of what came in it.
            None => first = Some(now),
            Some(begun) => {
                got.bytes += n as u64;
                got.time = now.duration_since(begun);
            }
        }
    }
    got
}
