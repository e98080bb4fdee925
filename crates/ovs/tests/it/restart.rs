//! ovs-vswitchd is killed under traffic and started anew.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netloom_kernel::netns::Netns;
use netloom_openflow::client::{Client, Remote};
use netloom_openflow::{FlowMod, GroupMod};
use netloom_ovs::bridge::{Bridges, WantedBridge, WantedPort};
use netloom_ovs::flows::Desired;
use netloom_ovs::keep::{Hold, Keep, openflow_options};
use netloom_ovsdb::{Config, vswitch};
use netloom_testkit::pair::namespace_path;
use netloom_testkit::{Datapath, Ovs, needs, oracle, run};

use crate::switch::{dump_groups, dump_without_cookies};

const LONG: Duration = Duration::from_secs(30);

/// Two namespaces, each joined to a port of a bridge of ours in a third.
struct Lab {
    a: Netns,
    b: Netns,
    ovs: Ovs,
    db: netloom_ovsdb::Client,
    keep: Keep,
    _switch: Netns,
}

/// Two ports joined by flows, the second by way of a group.
fn joined() -> Desired {
    let flow = |text: &str| text.parse::<FlowMod>().unwrap();
    let group: GroupMod = "group_id=0x4e000001,type=all,bucket=output:1".parse().unwrap();
    let mut desired = Desired::new();
    desired
        .flow("link a--b", flow("in_port=1,actions=output:2"))
        .flow("link a--b", flow("in_port=2,actions=group:0x4e000001"))
        .flow("policy", flow("table=7,priority=9,tcp,tp_dst=23,actions=drop"))
        .group("link a--b", group);
    desired
}

impl Lab {
    fn new(datapath: Datapath) -> Self {
        let [a, b, switch] = [(); 3].map(|()| Netns::create().unwrap());
        let ovs = Ovs::start_in(&switch, datapath).unwrap();
        let config = Config::new(netloom_ovsdb::Remote::Unix(ovs.database_socket()), vswitch::DATABASE);
        let db = netloom_ovsdb::Client::connect(config.monitor(Bridges::monitor())).unwrap();
        let mut wanted = WantedBridge::new("br0");
        if datapath == Datapath::Netdev {
            wanted.datapath_type = "netdev".into();
        }
        for (at, end) in [(1u16, &a), (2, &b)] {
            let inside = namespace_path(end).unwrap();
            run(&switch, &format!("ip link add name p{at} type veth peer name eth1 netns {inside}")).unwrap();
            run(&switch, &format!("ip link set dev p{at} up")).unwrap();
            run(end, "ip link set dev lo up").unwrap();
            run(end, &format!("ip addr add 10.9.0.{at}/24 dev eth1")).unwrap();
            run(end, "ip link set dev eth1 up").unwrap();
            // The userspace datapath passes no TCP segment whose checksum the sender left to the interface.
            run(end, "ethtool -K eth1 tx off").unwrap();
            wanted.ports.push(WantedPort { ofport: Some(at), ..WantedPort::new(format!("p{at}")) });
        }
        let made = Bridges::new(db.clone(), "lab").ensure(&wanted).unwrap();
        assert!(made.ports.values().all(Result::is_ok), "{made:?}");
        let client = Client::connect(Remote::Unix(ovs.openflow_socket("br0")), openflow_options()).unwrap();
        let keep = Keep::start(client, joined()).unwrap();
        assert!(keep.wait(0, LONG).is_some(), "{:?}", keep.last());
        run(&a, "ping -c 2 -i 0.2 -W 5 10.9.0.2").unwrap();
        Self { a, b, ovs, db, keep, _switch: switch }
    }

    /// Kills ovs-vswitchd and starts it anew with the datapath held; returns how long it was away.
    fn restart(&mut self) -> Duration {
        let started = Instant::now();
        let hold = Hold::begin(&self.db, &[&self.keep]).unwrap();
        self.ovs.kill_vswitchd();
        self.ovs.start_vswitchd().unwrap();
        hold.finish(LONG).unwrap();
        started.elapsed()
    }

    fn flows_and_groups(&self) -> (Vec<String>, Vec<String>) {
        (dump_without_cookies(&self.ovs), dump_groups(&self.ovs, "br0"))
    }
}

/// What became of numbered packets.
#[derive(Debug)]
struct Numbered {
    sent: u32,
    lost: usize,
    /// The longest time in which none arrived.
    gap: Duration,
}

/// Sends a numbered packet from one namespace to the other every millisecond while `during` runs.
fn numbered<T>(from: &Netns, to: &Netns, during: impl FnOnce() -> T) -> (Numbered, T) {
    let receiver = to.run(|| UdpSocket::bind("10.9.0.2:7000")).unwrap().unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let sender = from.run(|| UdpSocket::bind("10.9.0.1:7001")).unwrap().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (ended, sending) = (Arc::clone(&over), Arc::new(AtomicBool::new(true)));
    let still = Arc::clone(&sending);
    let sender = thread::spawn(move || {
        let (start, mut number) = (Instant::now(), 0u32);
        while still.load(Ordering::Relaxed) {
            // A full queue is a lost packet like others.
            let _ = sender.send_to(&number.to_be_bytes(), "10.9.0.2:7000");
            number += 1;
            let due = start + Duration::from_millis(number.into());
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        number
    });
    let receiver = thread::spawn(move || {
        let (mut seen, mut buffer) = (Vec::new(), [0; 16]);
        let (mut last, mut gap) = (Instant::now(), Duration::ZERO);
        while !ended.load(Ordering::Relaxed) {
            if let Ok(4) = receiver.recv(&mut buffer) {
                seen.push(u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]));
                gap = gap.max(last.elapsed());
                last = Instant::now();
            }
        }
        (seen, gap)
    });
    let out = during();
    thread::sleep(Duration::from_millis(300));
    sending.store(false, Ordering::Relaxed);
    let sent = sender.join().unwrap();
    thread::sleep(Duration::from_millis(500));
    over.store(true, Ordering::Relaxed);
    let (mut seen, gap) = receiver.join().unwrap();
    seen.sort_unstable();
    seen.dedup();
    (Numbered { sent, lost: sent as usize - seen.len(), gap }, out)
}

/// An iperf3 stream of some seconds in which `during` happens after the first; returns the bytes of each tenth of a second.
fn stream<T>(lab: &mut Lab, seconds: u32, during: impl FnOnce(&mut Lab) -> T) -> (Vec<u64>, T) {
    let _server = oracle::spawn(&lab.b, "iperf3 -s -1 -B 10.9.0.2").unwrap();
    assert!(
        netloom_testkit::eventually(LONG, || run(&lab.b, "ss -Htln sport = :5201").is_ok_and(|out| !out.is_empty()))
    );
    let line = format!("iperf3 -c 10.9.0.2 -J -i 0.1 -b 20M -t {seconds}");
    let client = oracle::spawn_piped(&lab.a, &line).unwrap();
    thread::sleep(Duration::from_secs(1));
    let out = during(lab);
    let text = client.finish().unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(report.get("error").is_none(), "{report}");
    let streams = report["start"]["connected"].as_array().unwrap().len();
    assert_eq!(streams, 1);
    let bytes = report["intervals"].as_array().unwrap().iter().map(|i| i["sum"]["bytes"].as_u64().unwrap()).collect();
    (bytes, out)
}

#[test]
fn a_stream_survives_a_crash_of_the_userspace_datapath() {
    needs!(root, netns, ovs_vswitchd, iperf3, ethtool, ping);
    let mut lab = Lab::new(Datapath::Netdev);
    let before = lab.flows_and_groups();
    assert_eq!((before.0.len(), before.1.len()), (3, 1));
    let (a, b) = (lab.a.try_clone().unwrap(), lab.b.try_clone().unwrap());
    let (bytes, (packets, away)) = stream(&mut lab, 6, |lab| numbered(&a, &b, || lab.restart()));
    println!("userspace: away for {away:?}, {packets:?}");
    // The datapath ends with the daemon, so something is lost. How long that takes is the machine's business; two seconds is generous.
    assert!(packets.sent > 300 && packets.lost > 0, "{packets:?}");
    assert!(packets.gap < Duration::from_secs(2), "{packets:?}");
    // The same connection goes on.
    let end: u64 = bytes[bytes.len() - 10..].iter().sum();
    assert!(end > 100_000, "{bytes:?}");
    assert_eq!(lab.flows_and_groups(), before);
    assert!(lab.keep.check().unwrap().is_quiet());
    let left = lab.ovs.vsctl(&["get", "open_vswitch", ".", "other_config"]).unwrap();
    assert!(!left.contains("flow-restore-wait"), "{left}");
}

#[test]
fn a_daemon_that_somebody_else_starts_anew_gets_exactly_the_desired_set() {
    needs!(ovs_vswitchd);
    let mut ovs = crate::switch::start();
    let client = Client::connect(Remote::Unix(ovs.openflow_socket("br0")), openflow_options()).unwrap();
    let keep = Keep::start(client, joined()).unwrap();
    let mut session = keep.wait(0, LONG).unwrap().session;
    let (flows, groups) = (dump_without_cookies(&ovs), dump_groups(&ovs, "br0"));
    assert_eq!((flows.len(), groups.len()), (3, 1));
    for _ in 0..3 {
        ovs.kill_vswitchd();
        ovs.start_vswitchd().unwrap();
        let kept = keep.wait(session, LONG).unwrap();
        assert!(kept.session > session);
        session = kept.session;
        assert_eq!((dump_without_cookies(&ovs), dump_groups(&ovs, "br0")), (flows.clone(), groups.clone()));
    }
    // What was wanted while it was away is what it gets; asking for it fails at once only when nobody is there for long.
    ovs.kill_vswitchd();
    thread::scope(|scope| {
        let set = scope.spawn(|| keep.set(Desired::new()));
        ovs.start_vswitchd().unwrap();
        set.join().unwrap().unwrap();
    });
    assert_eq!((dump_without_cookies(&ovs), dump_groups(&ovs, "br0")), (vec![], vec![]));
}

#[test]
fn established_flows_lose_no_packet_on_the_kernel_datapath() {
    needs!(root, netns, openvswitch, ovs_vswitchd, ethtool, ping);
    let mut lab = Lab::new(Datapath::Kernel);
    let before = lab.flows_and_groups();
    let (a, b) = (lab.a.try_clone().unwrap(), lab.b.try_clone().unwrap());
    // Established: both directions of the flow are in the datapath.
    let (calm, ()) = numbered(&a, &b, || thread::sleep(Duration::from_secs(1)));
    assert_eq!(calm.lost, 0, "without a restart: {calm:?}");
    let (packets, away) = numbered(&a, &b, || {
        thread::sleep(Duration::from_millis(500));
        lab.restart()
    });
    println!("kernel: away for {away:?}, {packets:?}");
    assert!(packets.sent > 300, "{packets:?}");
    assert_eq!(packets.lost, 0, "{packets:?}");
    assert_eq!(lab.flows_and_groups(), before);
}

#[test]
fn a_hold_that_is_left_over_is_ended() {
    needs!(ovs_vswitchd);
    let ovs = crate::switch::start();
    let config = Config::new(netloom_ovsdb::Remote::Unix(ovs.database_socket()), vswitch::DATABASE);
    let db = netloom_ovsdb::Client::connect(config.monitor(Bridges::monitor())).unwrap();
    let held = || ovs.vsctl(&["get", "open_vswitch", ".", "other_config"]).unwrap().contains("flow-restore-wait");
    std::mem::forget(Hold::begin(&db, &[]).unwrap());
    assert!(held());
    assert!(Hold::end_left_over(&db).unwrap());
    assert!(!held());
    assert!(!Hold::end_left_over(&db).unwrap());
    drop(Hold::begin(&db, &[]).unwrap());
    assert!(!held());
    // That of somebody else is not ended.
    ovs.vsctl(&["set", "open_vswitch", ".", "other_config:flow-restore-wait=true"]).unwrap();
    assert!(netloom_testkit::eventually(LONG, || {
        drop(Hold::begin(&db, &[]).unwrap());
        let told = db.snapshot().all::<vswitch::OpenVSwitch>().unwrap();
        told.values().any(|root| root.other_config.contains_key("flow-restore-wait"))
    }));
    drop(Hold::begin(&db, &[]).unwrap());
    assert!(held());
}
