//! Each impairment on a real wire, measured by the system's own programs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use netloom_kernel::packet::{FrameBuffer, PacketOptions, PacketSocket};
use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::rtnl::Rtnl;
use netloom_kernel::rtnl::tc::QdiscSpec;
use netloom_packet::stream::Summary;
use netloom_packet::{ETHERTYPE_EXPERIMENT, build};
use netloom_relay::Impairment;
use netloom_testkit::frames::{End, matrix};
use netloom_testkit::{Pair, needs, oracle, run, run_json};

use crate::rig::{MS, Rig, Side, ping_times};

fn delay(ms: u32) -> Impairment {
    Impairment { delay: MS * ms, ..Impairment::default() }
}

#[test]
fn ping_sees_the_delay_of_both_directions() {
    needs!(root, netns, tun, u32, ping);
    let rig = Rig::new();
    rig.both(&delay(20));
    for target in ["10.9.0.2", "fd00:9::2"] {
        let text = run(&rig.pair.a, &format!("ping -q -c 20 -i 0.05 {target}")).unwrap();
        let [min, avg, ..] = ping_times(&text);
        println!("two delays of 20 ms, {target}: min {min} ms, avg {avg} ms");
        // The average says how busy the machine is; the best of twenty says what the wire does.
        assert!((40.0..60.0).contains(&min), "{text}");
    }
    rig.set(Side::B, &Impairment::default());
    let [min, ..] = ping_times(&run(&rig.pair.a, "ping -q -c 10 -i 0.05 10.9.0.2").unwrap());
    assert!((20.0..39.0).contains(&min), "{min}");
    rig.end();
}

#[test]
fn every_control_frame_passes_both_ways() {
    needs!(root, netns, tun, u32);
    let rig = Rig::new();
    rig.both(&delay(1));
    let end = |netns| End { netns, interface: "eth1" };
    let m = matrix(end(&rig.pair.a), end(&rig.pair.b), 0x1234_5678_9abc_def0).unwrap();
    assert_eq!(m.failed(), Vec::<&str>::new(), "{m:?}");
    for side in [Side::A, Side::B] {
        let stats = rig.detach(side);
        assert!(stats.counters.sent >= 26 && stats.refused == 0, "the frames did not pass the relay: {stats:?}");
    }
    rig.end();
}

#[test]
fn a_blackhole_keeps_carrier_and_ends_where_it_began() {
    needs!(root, netns, tun, u32, ping);
    let rig = Rig::new();
    let look = || run(&rig.pair.a, "ip -d addr show dev eth1").unwrap();
    let before = look();
    rig.set(Side::A, &Impairment::blackhole());
    assert!(netloom_testkit::pair::carrier(&rig.pair.a, "eth1") && netloom_testkit::pair::carrier(&rig.pair.b, "eth1"));
    assert!(run(&rig.pair.a, "ping -q -c 3 -i 0.1 -W 1 10.9.0.2").is_err());
    rig.detach(Side::A);
    run(&rig.pair.a, "ping -q -c 3 -i 0.1 -W 10 10.9.0.2").unwrap();
    assert_eq!(look(), before, "index, address, carrier and addresses are as before");
    assert_eq!(run_json(&rig.pair.a, "ip -j link").unwrap().as_array().unwrap().len(), 2, "the tap is gone");
    rig.end();
}

#[test]
fn loss_is_a_fraction() {
    needs!(root, netns, tun, u32);
    let rig = Rig::new();
    rig.set(Side::A, &Impairment { loss: 0.2, ..Impairment::default() });
    let s = rig.stream(2000, MS / 2, || ());
    println!("loss 20 %: {} of {} lost", s.lost, s.sent);
    // Five standard deviations are 89.
    assert!((311..=489).contains(&s.lost), "{s:?}");
    rig.end();
}

#[test]
fn copies_and_early_packets_arrive_as_such() {
    needs!(root, netns, tun, u32);
    let rig = Rig::new();
    rig.set(Side::A, &Impairment { duplicate: 0.25, ..Impairment::default() });
    let s = rig.stream(1000, MS / 2, || ());
    println!("duplicate 25 %: {} copies of {}", s.duplicated, s.sent);
    assert!(s.lost == 0 && (181..=319).contains(&s.duplicated), "{s:?}");

    rig.set(Side::A, &Impairment { delay: 10 * MS, reorder: 0.25, ..Impairment::default() });
    let s = rig.stream(1000, MS / 2, || ());
    println!("reorder 25 %: {} of {} behind a later one", s.reordered, s.sent);
    // A delayed packet is overtaken when one of the twenty behind it goes at once: nearly every one of 750.
    assert!(s.lost == 0 && (600..=820).contains(&s.reordered), "{s:?}");

    rig.set(Side::A, &Impairment { delay: 10 * MS, jitter: 5 * MS, ..Impairment::default() });
    let s = rig.stream(1000, MS / 2, || ());
    println!("10 ± 5 ms: {} reordered, {:?} to {:?}", s.reordered, s.latency(0.0), s.latency(1.0));
    assert!(s.lost == 0 && s.reordered > 300, "{s:?}");
    assert!(s.latency(0.0).unwrap() >= 5 * MS && s.latency(0.5).unwrap() >= 8 * MS, "{s:?}");
    rig.end();
}

#[test]
fn corrupt_flips_one_bit_of_what_arrives() {
    needs!(root, netns, tun, u32);
    let rig = Rig::new();
    rig.set(Side::A, &Impairment { corrupt: 1.0, ..Impairment::default() });
    let options =
        PacketOptions { promiscuous: true, ignore_outgoing: true, nonblocking: true, ..PacketOptions::default() };
    let open = |netns, options| PacketSocket::open_in(netns, Pair::index(netns).unwrap(), options).unwrap();
    let receiver = open(&rig.pair.b, &options);
    let sender = open(&rig.pair.a, &PacketOptions { send_only: true, ..PacketOptions::default() });
    let mut buffer = FrameBuffer::new(64, 2048);
    let good: Vec<u8> = build::ethernet([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 8], ETHERTYPE_EXPERIMENT, &[0x55; 100]);
    let differing = |bytes: &[u8]| -> u32 { bytes.iter().zip(&good).map(|(a, b)| (a ^ b).count_ones()).sum() };
    let mut seen = 0;
    for _ in 0..100 {
        sender.send(&good).unwrap();
        poll(&[(receiver.as_fd(), Interest::READ)], Some(2000 * MS)).unwrap();
        receiver.receive(&mut buffer).unwrap();
        // The namespace's own IPv6 chatter has another length.
        for frame in buffer.frames().filter(|f| f.bytes.len() == good.len()) {
            assert_eq!(differing(frame.bytes), 1);
            seen += 1;
        }
    }
    assert_eq!(seen, 100);
    rig.end();
}

/// Bursts are cut, damaged packets are caught by their checksums, TCP repairs: the far end reads what was written.
#[test]
fn tcp_survives_damage_copies_and_loss() {
    needs!(root, netns, tun, u32);
    let rig = Rig::new();
    let bad = Impairment { corrupt: 0.02, duplicate: 0.02, loss: 0.005, delay: MS, ..Impairment::default() };
    rig.both(&bad);
    for address in ["10.9.0.2:0", "[fd00:9::2]:0"] {
        let listener = rig.pair.b.run(|| TcpListener::bind(address)).unwrap().unwrap();
        let to = listener.local_addr().unwrap();
        let data: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        let got = std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut all = Vec::new();
                listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
                all
            });
            let mut stream = rig.pair.a.run(|| TcpStream::connect(to)).unwrap().unwrap();
            stream.write_all(&data).unwrap();
            drop(stream);
            reading.join().unwrap()
        });
        assert!(got == data, "{address}: {} bytes of {} arrived, or others", got.len(), data.len());
    }
    let stats = rig.detach(Side::A);
    println!("damaged transfer: {:?}", stats.counters);
    assert!(stats.counters.corrupted > 0 && stats.counters.cut > 0, "no burst was cut: {stats:?}");
    assert_eq!(stats.refused, 0);
    rig.end();
}

/// The relay stands in for netem: the same impairment, the same stream, the same account.
#[test]
fn netem_and_the_relay_mean_the_same() {
    needs!(root, netns, tun, u32, netem);
    // Two processors may swap two packets on any wire, so a few out of order are no reordering.
    // What to set, and what the account of 1,000 packets, one every millisecond, has to be: five standard deviations either way.
    type Judge = fn(&Summary) -> bool;
    let late = Impairment { delay: 20 * MS, ..Impairment::default() };
    let cases: [(&str, Impairment, Judge); 5] = [
        ("loss", Impairment { loss: 0.2, ..Impairment::default() }, |s| (137..=263).contains(&s.lost)),
        ("duplicate", Impairment { duplicate: 0.25, ..Impairment::default() }, |s| {
            s.lost == 0 && (181..=319).contains(&s.duplicated)
        }),
        ("delay", late.clone(), |s| {
            s.lost == 0 && s.reordered < 20 && (20 * MS..60 * MS).contains(&s.latency(0.5).unwrap())
        }),
        ("jitter", Impairment { jitter: 10 * MS, ..late.clone() }, |s| {
            let (first, middle) = (s.latency(0.0).unwrap(), s.latency(0.5).unwrap());
            s.lost == 0
                && s.reordered > 300
                && (10 * MS..14 * MS).contains(&first)
                && (17 * MS..40 * MS).contains(&middle)
        }),
        ("reorder", Impairment { reorder: 0.25, ..late }, |s| s.lost == 0 && (400..=820).contains(&s.reordered)),
    ];
    let rig = Rig::new();
    for (name, impairment, judge) in cases {
        rig.set(Side::A, &impairment);
        let relay = rig.stream(1000, MS, || ());
        rig.set(Side::A, &Impairment::default());

        let place = rig.place(Side::A);
        let mut rtnl = Rtnl::open_in(place.netns).unwrap();
        rtnl.change(|batch| batch.replace_qdisc(place.index, &QdiscSpec::Netem(impairment.to_netem()))).unwrap();
        let netem = rig.stream(1000, MS, || ());
        rtnl.change(|batch| batch.delete_qdisc(place.index)).unwrap();
        println!("{name}: relay {relay:?}\n{name}: netem {netem:?}");
        assert!(judge(&relay), "{name}, relay: {relay:?}");
        assert!(judge(&netem), "{name}, netem: {netem:?}");
    }
    rig.end();
}

/// A wire carries what its ends' MTU says, whatever the tap's own is.
#[test]
fn jumbo_frames_pass() {
    needs!(root, netns, tun, u32, ping);
    let rig = Rig::new();
    for netns in [&rig.pair.a, &rig.pair.b] {
        run(netns, "ip link set dev eth1 mtu 9000").unwrap();
    }
    rig.both(&delay(1));
    for size in [1472, 8972] {
        run(&rig.pair.a, &format!("ping -q -M do -c 3 -i 0.05 -W 2 -s {size} 10.9.0.2")).unwrap();
    }
    assert!(run(&rig.pair.a, "ping -q -M do -c 1 -W 1 -s 8973 10.9.0.2").is_err());
    rig.end();
}

#[test]
fn iperf3_sees_the_rate() {
    needs!(root, netns, tun, u32, iperf3);
    let rig = Rig::new();
    rig.set(Side::A, &Impairment { rate: Some(50_000_000), limit: Some(200), ..Impairment::default() });
    let mbit = iperf3(&rig, "-t 3") / 1e6;
    println!("rate 50 Mbit/s: TCP carries {mbit:.1} Mbit/s");
    // 1,448 of 1,514 bytes are payload: 47.8 at best.
    assert!((25.0..=48.5).contains(&mbit), "{mbit}");
    rig.end();
}

#[test]
fn tcp_fills_a_wire_with_delay() {
    needs!(root, netns, tun, u32, iperf3);
    let rig = Rig::new();
    // Windows of a few megabytes would be the bottleneck.
    for netns in [&rig.pair.a, &rig.pair.b] {
        let windows = ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"].map(|key| (key, "4096 1048576 67108864"));
        netloom_kernel::sysctl::write(netns, windows).unwrap();
    }
    rig.set(Side::A, &delay(10));
    let gbit = iperf3(&rig, "-t 3") / 1e9;
    let late = rig.client.stats("a:eth1").unwrap().late;
    println!(
        "delay 10 ms: TCP carries {gbit:.2} Gbit/s (debug build); {} ns late on average, {} ns at worst",
        late.mean_ns(),
        late.worst_ns
    );
    // Far below what any machine does, far above what a queue of netem's 1,000 packets allows with this delay (1.2).
    assert!(gbit > 0.2, "{gbit}");
    rig.end();
}

/// Bits per second that the receiver of a TCP test from `a` to `b` got.
fn iperf3(rig: &Rig, options: &str) -> f64 {
    let server = oracle::spawn(&rig.pair.b, "iperf3 -s -1").unwrap();
    assert!(netloom_testkit::eventually(5000 * MS, || {
        run(&rig.pair.b, "ss -Hltn sport = :5201").is_ok_and(|t| !t.is_empty())
    }));
    let json = run_json(&rig.pair.a, &format!("iperf3 -J -c 10.9.0.2 {options}")).unwrap();
    drop(server);
    json["end"]["sum_received"]["bits_per_second"].as_f64().unwrap()
}
