//! What a wire through the relay carries and how exact its delay is. Needs root.
//!
//! `cargo run --release -p netloom-relay --example relay-bench [rounds] [seconds]` prints one line of JSON per kind of wire: medians over the rounds, which are
//! interleaved, so that a busy machine is unfair to all alike.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench that cannot go on says where, and prints")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use netloom_kernel::packet::{FrameBuffer, PacketOptions, PacketSocket};
use netloom_kernel::process::{close_from_here, fork_child, wait_child};
use netloom_kernel::sysctl;
use netloom_kernel::unix::Packets;
use netloom_packet::stream::{MARK_LEN, Mark};
use netloom_relay::attach::{Place, attach};
use netloom_relay::{Client, Impairment, serve_as_process};
use netloom_testkit::Pair;

const KINDS: [(&str, Option<Duration>); 3] =
    [("veth", None), ("relay", Some(Duration::ZERO)), ("relay-10ms", Some(Duration::from_millis(10)))];

/// Packets of a delay measurement, and the time between two.
const PACKETS: u32 = 1000;
const EVERY: Duration = Duration::from_millis(1);

/// Ethernet, IPv4 and UDP headers.
const HEADERS: usize = 14 + 20 + 8;

#[derive(Default)]
struct Results {
    sleep_p99_us: Vec<f64>,
    gbit: Vec<f64>,
    error_mean_us: Vec<f64>,
    error_p99_us: Vec<f64>,
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<u64>().unwrap());
    let rounds = arguments.next().unwrap_or(3);
    let seconds = Duration::from_secs(arguments.next().unwrap_or(3));
    let mut results: [Results; 3] = Default::default();
    for _ in 0..rounds {
        for ((_, delay), result) in KINDS.iter().zip(&mut results) {
            measure(*delay, seconds, result);
        }
    }
    let base = median(&mut results[1].gbit);
    for ((kind, delay), result) in KINDS.iter().zip(&mut results) {
        let gbit = median(&mut result.gbit);
        println!(
            "{{\"wire\":\"{kind}\",\"delay_ms\":{},\"tcp_gbit_s\":{gbit:.2},\"of_relay_without_delay\":{:.2},\
             \"delay_error_mean_us\":{:.1},\"delay_error_p99_us\":{:.1},\"machine_sleep_error_p99_us\":{:.1}}}",
            delay.unwrap_or_default().as_millis(),
            gbit / base,
            median(&mut result.error_mean_us),
            median(&mut result.error_p99_us),
            median(&mut result.sleep_p99_us),
        );
    }
}

fn measure(delay: Option<Duration>, seconds: Duration, result: &mut Results) {
    let (ours, theirs) = Packets::pair().unwrap();
    let relay = fork_child(|| {
        // Its own copy of our end would keep the channel open for ever.
        let _ = close_from_here(3, &[theirs.as_fd().as_raw_fd()]);
        i32::from(serve_as_process(&theirs, 1).is_err())
    })
    .unwrap();
    drop(theirs);
    let client = Client::new(ours);
    let pair = Pair::new().unwrap();
    for netns in [&pair.a, &pair.b] {
        // A window must hold what is under way in 10 ms at line rate.
        let windows = ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"].map(|key| (key, "4096 1048576 134217728"));
        sysctl::write(netns, windows).unwrap();
    }
    if let Some(delay) = delay {
        let impairment = Impairment { delay, ..Impairment::default() };
        let place =
            Place { netns: &pair.a, index: Pair::index(&pair.a).unwrap(), id: "a:eth1", alias: "netloom:bench" };
        attach(&client, place, &impairment).unwrap();
    }
    let mut errors = delay_errors(&pair, delay.unwrap_or_default());
    result.error_mean_us.push(errors.iter().sum::<f64>() / errors.len() as f64);
    errors.sort_by(f64::total_cmp);
    result.error_p99_us.push(errors[errors.len() * 99 / 100]);
    result.gbit.push(throughput(&pair, seconds));
    result.sleep_p99_us.push(sleep_error_p99());
    if delay.is_some() {
        let stats = client.stats("a:eth1").unwrap();
        assert_eq!((stats.counters.overlimit, stats.refused), (0, 0), "{stats:?}");
    }
    drop(client);
    assert!(wait_child(relay, true).unwrap().unwrap().success());
}

/// How late this machine wakes a plain thread from a millisecond of sleep, 99th percentile in microseconds: what a delay error has to be
/// measured against.
fn sleep_error_p99() -> f64 {
    let start = Instant::now();
    let late = |n: u32| {
        let at = start + EVERY * n;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        at.elapsed().as_secs_f64() * 1e6
    };
    let mut errors: Vec<f64> = (1..=PACKETS).map(late).collect();
    errors.sort_by(f64::total_cmp);
    errors[errors.len() * 99 / 100]
}

/// One TCP stream; what the receiver got, after half a second of start.
fn throughput(pair: &Pair, seconds: Duration) -> f64 {
    let listener = pair.b.run(|| TcpListener::bind("10.9.0.2:0")).unwrap().unwrap();
    let to = listener.local_addr().unwrap();
    let settle = Duration::from_millis(500);
    std::thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = vec![0; 1 << 20];
            let start = Instant::now();
            let mut counted = 0_u64;
            loop {
                let len = stream.read(&mut buffer).unwrap();
                let at = start.elapsed();
                if len == 0 || at > settle + seconds {
                    return counted as f64 * 8.0 / (at - settle).as_secs_f64() / 1e9;
                }
                if at > settle {
                    counted += len as u64;
                }
            }
        });
        let mut stream = pair.a.run(|| TcpStream::connect(to)).unwrap().unwrap();
        let data = vec![0x5a; 1 << 18];
        while stream.write_all(&data).is_ok() {}
        receiving.join().unwrap()
    })
}

/// How much later than `delay` each numbered packet was seen at the far end by the kernel, in microseconds.
fn delay_errors(pair: &Pair, delay: Duration) -> Vec<f64> {
    let options = PacketOptions {
        timestamps: true,
        receive_buffer: Some(8 << 20),
        ignore_outgoing: true,
        nonblocking: true,
        ..PacketOptions::default()
    };
    let capture = PacketSocket::open_in(&pair.b, Pair::index(&pair.b).unwrap(), &options).unwrap();
    let sender = pair.a.run(|| UdpSocket::bind("10.9.0.1:0")).unwrap().unwrap();
    // Somebody listens, or every other send would report that nobody does.
    let receiver = pair.b.run(|| UdpSocket::bind("10.9.0.2:0")).unwrap().unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    let start = Instant::now();
    for sequence in 0..PACKETS {
        std::thread::sleep((start + EVERY * sequence).saturating_duration_since(Instant::now()));
        let sent_ns = netloom_kernel::sock::now_ns();
        let _ = sender.send(&Mark { stream: 1, sequence: sequence.into(), sent_ns }.to_bytes());
    }
    std::thread::sleep(delay + Duration::from_millis(50));
    let mut buffer = FrameBuffer::new(64, 256);
    let mut errors = Vec::new();
    while capture.receive(&mut buffer).is_ok_and(|n| n > 0) {
        for frame in buffer.frames() {
            let mark = frame.bytes.get(HEADERS..HEADERS + MARK_LEN).and_then(|b| Mark::parse(b).ok());
            if let (Some(mark), Some(at)) = (mark, frame.timestamp) {
                errors.push((at.as_nanos() as f64 - mark.sent_ns as f64 - delay.as_nanos() as f64) / 1e3);
            }
        }
    }
    assert!(errors.len() as u32 >= PACKETS * 9 / 10, "{} of {PACKETS} packets arrived", errors.len());
    errors
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
