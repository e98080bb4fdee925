//! A running stream of numbered UDP packets: a thread that sends from inside one node, a thread that receives inside another.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use netloom_kernel::sock;
use netloom_packet::stream::{MARK_LEN, Mark};
use socket2::{Domain, Protocol, Socket, Type};

use super::account::{Flow, account};
use crate::error::{Error, Result};
use crate::probe::Place;

/// What a stream is.
#[derive(Debug, Clone)]
pub struct StreamSpec {
    /// By which tests name it.
    pub id: String,
    /// The sending node.
    pub from: Place,
    /// Its address; the kernel chooses for `None`.
    pub source: Option<IpAddr>,
    /// The receiving node.
    pub to: Place,
    /// Its address.
    pub target: IpAddr,
    /// Packets per second.
    pub rate: u32,
    /// Bytes of UDP payload.
    pub size: u16,
    /// Packets after which it ends by itself; `None`: when it is stopped.
    pub count: Option<u64>,
}

/// Behind by less than this, a sender catches up; by more, it goes on from now.
const CATCH_UP: Duration = Duration::from_millis(20);

/// How long a receiver waits before it looks whether it should stop.
const LISTEN: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct Record {
    sent: Vec<u64>,
    arrivals: Vec<(u64, u64)>,
}

#[derive(Debug, Default)]
struct Shared {
    record: Mutex<Record>,
    stop_sending: AtomicBool,
    stop_receiving: AtomicBool,
    /// Raised to have the sender take another source port.
    port: AtomicU32,
    /// Packets the receiver had no room for.
    overflow: AtomicU32,
    /// Packets of the current port that were sent.
    sent: AtomicU64,
}

impl Shared {
    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running stream; it ends when dropped.
#[derive(Debug)]
pub struct Stream {
    spec: StreamSpec,
    nonce: u64,
    shared: Arc<Shared>,
    sender: Option<JoinHandle<()>>,
    receiver: Option<JoinHandle<()>>,
}

impl Stream {
    /// Starts to send.
    ///
    /// # Errors
    /// When a namespace cannot be entered or a socket made.
    pub fn start(spec: StreamSpec, nonce: u64) -> Result<Stream> {
        let failed = |what: &str, node: &Place| {
            let doing = format!("stream {:?}: {what} in {}", spec.id, node.node);
            move |e: io::Error| Error::socket(doing, e)
        };
        let receiving = spec.to.netns.run(|| receiving_socket(spec.target))?.map_err(failed("listen", &spec.to))?;
        let to = receiving.local_addr().ok().and_then(|a| a.as_socket());
        let to = to.ok_or_else(|| Error::Invalid(format!("stream {:?}: the receiver has no address", spec.id)))?;
        let sending = spec.from.netns.run(|| sending_socket(&spec))?.map_err(failed("open a socket", &spec.from))?;

        let shared = Arc::new(Shared::default());
        let receiver = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("netloom-recv".into()).spawn(move || receive(&receiving, &shared, nonce))
        };
        let receiver = receiver.map_err(|e| Error::socket("start a receiving thread", e))?;
        let mut stream =
            Stream { spec: spec.clone(), nonce, shared: Arc::clone(&shared), sender: None, receiver: Some(receiver) };
        let sender =
            thread::Builder::new().name("netloom-send".into()).spawn(move || send(sending, to, &spec, &shared, nonce));
        stream.sender = Some(sender.map_err(|e| Error::socket("start a sending thread", e))?);
        Ok(stream)
    }

    /// What it is.
    pub fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    /// The number all its packets carry.
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Whether anything has arrived yet.
    pub fn has_arrived(&self) -> bool {
        !self.shared.record().arrivals.is_empty()
    }

    /// Has the sender take another source port, so that equal paths are chosen anew.
    pub fn another_port(&self) {
        self.shared.port.fetch_add(1, Ordering::Relaxed);
    }

    /// Stops sending; what is under way still counts.
    pub fn stop_sending(&self) {
        self.shared.stop_sending.store(true, Ordering::Relaxed);
    }

    /// Forgets everything so far, as if the stream began now.
    pub fn forget(&self) {
        // The numbers go on; the account begins at the next one.
        let mut record = self.shared.record();
        record.arrivals.clear();
        record.sent.iter_mut().for_each(|s| *s = FORGOTTEN);
    }

    /// Packets the receiving socket had no room for: a fault of the measurement, not of the network.
    pub fn overflow(&self) -> u32 {
        self.shared.overflow.load(Ordering::Relaxed)
    }

    /// The account so far.
    pub fn flow(&self) -> Flow {
        let record = self.shared.record();
        let first = record.sent.iter().position(|s| *s != FORGOTTEN).unwrap_or(record.sent.len());
        let shift = first as u64;
        let arrivals: Vec<(u64, u64)> =
            record.arrivals.iter().filter_map(|(n, at)| Some((n.checked_sub(shift)?, *at))).collect();
        let mut sent = record.sent[first..].to_vec();
        drop(record);
        if !self.shared.stop_sending.load(Ordering::Relaxed) {
            // What may still be under way is neither lost nor late yet.
            let slowest = arrivals
                .iter()
                .filter_map(|(n, at)| Some(at.saturating_sub(*sent.get(usize::try_from(*n).ok()?)?)))
                .max();
            let recent = sock::now_ns().saturating_sub(slowest.unwrap_or(0).max(UNDER_WAY_NS));
            sent.truncate(sent.partition_point(|s| *s < recent));
        }
        account(&sent, &arrivals, 1_000_000_000 / u64::from(self.spec.rate.max(1)))
    }

    /// Ends both threads.
    pub fn stop(&mut self) {
        self.stop_sending();
        self.shared.stop_receiving.store(true, Ordering::Relaxed);
        for thread in [self.sender.take(), self.receiver.take()].into_iter().flatten() {
            // A panic there shows in what it recorded; ending goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A packet sent less than this ago (or than the slowest took) may still arrive.
const UNDER_WAY_NS: u64 = 50_000_000;

/// Marks packets from before [`Stream::forget`].
const FORGOTTEN: u64 = u64::MAX;

fn udp(target: IpAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(SocketAddr::new(target, 0)), Type::DGRAM, Some(Protocol::UDP))
}

fn receiving_socket(at: IpAddr) -> io::Result<Socket> {
    let socket = udp(at)?;
    sock::receive_room(&socket, 4 << 20)?;
    sock::stamp_arrivals(&socket)?;
    sock::count_overflow(&socket)?;
    socket.set_read_timeout(Some(LISTEN))?;
    socket.bind(&SocketAddr::new(at, 0).into())?;
    Ok(socket)
}

fn sending_socket(spec: &StreamSpec) -> io::Result<Socket> {
    let socket = udp(spec.target)?;
    let any: IpAddr = if spec.target.is_ipv6() {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    };
    socket.bind(&SocketAddr::new(spec.source.unwrap_or(any), 0).into())?;
    // A full queue loses packets as any network does; waiting for room would stop the clock.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn send(mut socket: Socket, to: SocketAddr, spec: &StreamSpec, shared: &Shared, nonce: u64) {
    // The thread does nothing else and may need another socket there later.
    if spec.from.netns.enter_here().is_err() {
        return;
    }
    let interval = Duration::from_secs(1) / spec.rate.max(1);
    let mut payload = vec![0u8; usize::from(spec.size).max(MARK_LEN)];
    let mut port = 0;
    let mut next = Instant::now();
    let mut sequence = 0u64;
    while !shared.stop_sending.load(Ordering::Relaxed) && spec.count.is_none_or(|c| sequence < c) {
        let now = Instant::now();
        match next.checked_duration_since(now) {
            Some(wait) if !wait.is_zero() => thread::sleep(wait.min(LISTEN)),
            _ => {}
        }
        let now = Instant::now();
        if now < next {
            continue;
        }
        if now.duration_since(next) > CATCH_UP {
            next = now;
        }
        next += interval;
        let wanted = shared.port.load(Ordering::Relaxed);
        if wanted != port {
            port = wanted;
            if let Ok(other) = sending_socket(spec) {
                socket = other;
            }
        }
        let sent_ns = {
            let mut record = shared.record();
            let sent_ns = sock::now_ns();
            record.sent.push(sent_ns);
            sent_ns
        };
        payload[..MARK_LEN].copy_from_slice(&Mark { stream: nonce, sequence, sent_ns }.to_bytes());
        sequence += 1;
        // Whatever keeps it from leaving (no route, no buffer) loses it: that is what is measured.
        let _ = socket.send_to(&payload, &to.into());
        shared.sent.fetch_add(1, Ordering::Relaxed);
    }
}

fn receive(socket: &Socket, shared: &Shared, nonce: u64) {
    let mut buffer = vec![0u8; 65_536];
    while !shared.stop_receiving.load(Ordering::Relaxed) {
        let Ok(Some(got)) = sock::receive_waiting(socket, &mut buffer) else {
            continue;
        };
        shared.overflow.store(got.overflow, Ordering::Relaxed);
        if let Ok(mark) = Mark::parse(&buffer[..got.length])
            && mark.stream == nonce
        {
            shared.record().arrivals.push((mark.sequence, got.at_ns));
        }
    }
}
