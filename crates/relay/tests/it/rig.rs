//! A relay in a thread, before the interfaces of a pair of namespaces.

use std::net::{SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netloom_kernel::netns::Netns;
use netloom_kernel::unix::Packets;
use netloom_packet::stream::{Account, Mark, Summary};
use netloom_relay::attach::{self, Place};
use netloom_relay::{Client, Error, Impairment, Stats, serve};
use netloom_testkit::Pair;

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) struct Rig {
    pub(crate) pair: Pair,
    pub(crate) client: Client,
    relay: JoinHandle<Result<(), Error>>,
}

/// Which end's outgoing direction.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    A,
    B,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let (ours, theirs) = Packets::pair().unwrap();
        let relay = std::thread::spawn(move || serve(&theirs, 1));
        Self { pair: Pair::new().unwrap(), client: Client::new(ours), relay }
    }

    pub(crate) fn netns(&self, side: Side) -> &Netns {
        match side {
            Side::A => &self.pair.a,
            Side::B => &self.pair.b,
        }
    }

    pub(crate) fn place(&self, side: Side) -> Place<'_> {
        let netns = self.netns(side);
        let id = match side {
            Side::A => "a:eth1",
            Side::B => "b:eth1",
        };
        Place { netns, index: Pair::index(netns).unwrap(), id, alias: "netloom:test" }
    }

    pub(crate) fn set(&self, side: Side, impairment: &Impairment) {
        attach::apply(&self.client, self.place(side), impairment).unwrap();
    }

    pub(crate) fn both(&self, impairment: &Impairment) {
        self.set(Side::A, impairment);
        self.set(Side::B, impairment);
    }

    pub(crate) fn detach(&self, side: Side) -> Stats {
        attach::detach(&self.client, self.place(side)).unwrap().expect("there was a relay")
    }

    /// Closes the control channel; the relay has to end.
    pub(crate) fn end(self) {
        drop(self.client);
        self.relay.join().unwrap().unwrap();
    }

    /// A UDP socket in `a` that is connected to one in `b`.
    pub(crate) fn udp(&self) -> (UdpSocket, UdpSocket) {
        let receiver = self.pair.b.run(|| UdpSocket::bind("10.9.0.2:0")).unwrap().unwrap();
        receiver.set_read_timeout(Some(20 * MS)).unwrap();
        let to: SocketAddr = receiver.local_addr().unwrap();
        let sender = self.pair.a.run(|| UdpSocket::bind("10.9.0.1:0")).unwrap().unwrap();
        sender.connect(to).unwrap();
        (sender, receiver)
    }

    /// Sends `count` numbered packets from `a` to `b`, one every `every`, while `during` runs, and accounts for them.
    pub(crate) fn stream(&self, count: u64, every: Duration, during: impl FnOnce()) -> Summary {
        let (sender, receiver) = self.udp();
        // Both sockets' kernels must know the neighbour, or the first packets wait for it.
        sender.send(b"hello").unwrap();
        receiver.recv(&mut [0; 16]).ok();
        let start = Instant::now();
        let ns = move |at: Instant| at.saturating_duration_since(start).as_nanos() as u64;
        std::thread::scope(|scope| {
            let receiving = scope.spawn(move || {
                let mut account = Account::new(1, 0);
                let mut buffer = [0; 2048];
                loop {
                    match receiver.recv(&mut buffer) {
                        Ok(len) => {
                            if let Ok(mark) = Mark::parse(&buffer[..len]) {
                                account.arrive(mark, ns(Instant::now()));
                            }
                        }
                        // The last was sent at `count * every`; half a second of silence behind it is the end.
                        Err(_) if start.elapsed() > every * count as u32 + 500 * MS => {
                            return account.finish(count, ns(Instant::now()));
                        }
                        Err(_) => {}
                    }
                }
            });
            scope.spawn(move || {
                for sequence in 0..count {
                    let at = start + every * sequence as u32;
                    std::thread::sleep(at.saturating_duration_since(Instant::now()));
                    sender.send(&Mark { stream: 1, sequence, sent_ns: ns(Instant::now()) }.to_bytes()).unwrap();
                }
            });
            during();
            receiving.join().unwrap()
        })
    }
}

/// The four numbers of ping's last line: min, avg, max, mdev in milliseconds.
pub(crate) fn ping_times(text: &str) -> [f64; 4] {
    let line = text.lines().find(|l| l.contains("min/avg/max")).unwrap_or_else(|| panic!("no times in {text}"));
    let numbers = line.split(" = ").nth(1).unwrap().split(' ').next().unwrap();
    let times: Vec<f64> = numbers.split('/').map(|n| n.parse().unwrap()).collect();
    times.try_into().unwrap()
}
