//! Links on Open vSwitch, with the real daemons; `ovs-vsctl` and `ovs-ofctl` say what they hold.

use std::time::{Duration, Instant};

use netloom_engine::{Lab, Options, apply, difference};
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::Rtnl;
use netloom_testkit::frames::{End, matrix};
use netloom_testkit::needs;
use netloom_testkit::oracle::{self, eventually};
use serde_json::Value;

use crate::lab::{end, options, sh, start};
use crate::routers::planned;

mod access;
mod exports;
mod life;

/// Three devices, two on one host and one on another.
const TRIANGLE: &str = "\
apiVersion: netloom.dev/v1alpha1
kind: Lab
metadata: {name: NAME}
spec:
  fabric: {kind: ovs, tunnel: TUNNEL}
  hosts: {h1: {}, h2: {}}
  addressing: {links: {pool: 10.0.0.0/24, pool6: 'fd00::/64'}}
  nodes:
    a: {}
    b: {}
    c: {place: h2}
  links:
    - [\"a:eth1\", \"b:eth1\"]
    - [\"a:eth2\", \"c:eth1\"]
    - [\"b:eth2\", \"c:eth2\"]
";

pub(crate) fn triangle(name: &str, tunnel: &str) -> String {
    TRIANGLE.replace("NAME", name).replace("TUNNEL", tunnel)
}

/// One packet, and it must arrive: nothing of a link that is up is lost while a switch makes up its mind.
pub(crate) fn first_ping(lab: &Lab, from: &str, to: &str) {
    let netns = lab.netns(from).unwrap();
    let said = oracle::run(&netns, &format!("ping -c 1 -W 2 -n {to}")).unwrap();
    assert!(said.contains(" 0% packet loss"), "{from} to {to}: {said}");
}

/// Gigabits a second that arrive in `seconds`.
fn tcp(lab: &Lab, from: &str, to: &str, address: &str) -> f64 {
    let (client, server) = (lab.netns(from).unwrap(), lab.netns(to).unwrap());
    let mut serving = oracle::spawn(&server, "iperf3 -s -1").unwrap();
    assert!(eventually(Duration::from_secs(5), || oracle::run(&server, "ss -tln").unwrap().contains(":5201")));
    let json = oracle::run_json(&client, &format!("timeout 30 iperf3 -c {address} -t 2 -J")).unwrap();
    let _ = &mut serving;
    json["end"]["sum_received"]["bits_per_second"].as_f64().unwrap() / 1e9
}

pub(crate) fn carrier(netns: &Netns, interface: &str) -> bool {
    Rtnl::open_in(netns).unwrap().link(interface).unwrap().lower_up
}

/// The rows of a table, column by column.
pub(crate) fn rows(lab: &Lab, host: &str, table: &str, columns: &str) -> Vec<Vec<Value>> {
    let json = sh(lab, host, &format!("ovs-vsctl -f json --columns={columns} list {table}"));
    let json: Value = serde_json::from_str(&json).unwrap();
    json["data"].as_array().unwrap().iter().map(|row| row.as_array().unwrap().clone()).collect()
}

pub(crate) fn flows(lab: &Lab, host: &str) -> Vec<String> {
    let text = sh(lab, host, "ovs-ofctl -O OpenFlow13 --no-stats --names dump-flows lab");
    let mut flows: Vec<String> =
        text.lines().filter(|line| line.contains("actions")).map(|l| l.trim().into()).collect();
    flows.sort();
    flows
}

pub(crate) fn change(text: &str, lab: &Lab, options: &Options) -> Vec<String> {
    let plan = planned(text, Some(lab.plan()));
    let said: Vec<String> = difference(&plan, options).unwrap().iter().map(ToString::to_string).collect();
    let done: Vec<String> = apply(plan, options, &mut |_| ()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(said, done);
    done
}

#[test]
fn a_link_on_one_host_is_two_ports_and_two_flows() {
    needs!(root, ovs_vswitchd, ovs_vsctl);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let text = triangle("ovs-one", "flow").replace("  hosts: {h1: {}, h2: {}}\n", "").replace("{place: h2}", "{}");
    let lab = start(planned(&text, None), &options);
    first_ping(&lab, "a", "10.0.0.1");
    first_ping(&lab, "b", "10.0.0.5");
    first_ping(&lab, "a", "fd00::1");

    let bridges = rows(&lab, "@h1", "bridge", "name,fail_mode,datapath_type");
    let datapath = if netloom_kernel::features::has("openvswitch") { "system" } else { "netdev" };
    assert_eq!(bridges, [["lab", "secure", datapath].map(Value::from).to_vec()]);
    assert_eq!(flows(&lab, "@h1").len(), 6);
    assert!(flows(&lab, "@h1").iter().any(|f| f.contains("in_port=\"a_eth1\"") && f.ends_with("output:\"b_eth1\"")));
    // The names of the seed: what a port leads to, and who made it.
    let ids = sh(&lab, "@h1", "ovs-vsctl get port a_eth2 external_ids");
    let inode = lab.netns("a").unwrap().id().unwrap().inode;
    for says in [
        "contIface=eth2",
        &format!("contNetns=\"net:[{inode}]\""),
        "netloom=ovs-one",
        "netloom-node=a",
        "netloom-link=\"a:eth2--c:eth1\"",
    ] {
        assert!(ids.contains(says), "{says} is not in {ids}");
    }
    // Interfaces are as they are on every other fabric.
    let a = lab.netns("a").unwrap();
    let end = lab.plan().links[1].ends[0].clone();
    let link = Rtnl::open_in(&a).unwrap().link(end.ifindex).unwrap();
    assert_eq!((link.name.as_str(), link.mac.unwrap().0), ("eth2", end.mac.0));
    // Hosts are no nodes.
    assert_eq!(lab.status().unwrap().len(), 3);
    let error = lab.exec("@h9", &["true".into()], &Default::default()).unwrap_err().to_string();
    assert!(error.contains("no host @h9; it has @h1"), "{error}");
    // What its daemons say is not lost.
    assert_eq!(lab.process_names("@h1").unwrap(), ["ovsdb-server", "ovs-vswitchd"]);
    let log = String::from_utf8(lab.log("@h1", "ovs-vswitchd").unwrap()).unwrap();
    assert!(log.contains("bridge lab: added interface a_eth1"), "{log}");
    // Nothing to do is nothing done.
    assert_eq!(change(&text, &lab, &options), Vec::<String>::new());
    crate::lab::end(lab, &options);
}

#[test]
fn hosts_are_joined_by_tunnels_of_both_kinds() {
    needs!(root, ovs_vswitchd, ovs_vsctl, iperf3);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    for tunnel in ["flow", "peer"] {
        let lab = start(planned(&triangle("ovs-two", tunnel), None), &options);
        // The first packet of each pair, each way, of both families.
        first_ping(&lab, "a", "10.0.0.3");
        first_ping(&lab, "c", "10.0.0.4");
        first_ping(&lab, "a", "10.0.0.1");
        first_ping(&lab, "b", "fd00::5");
        let tunnels: Vec<Vec<Value>> =
            rows(&lab, "@h1", "interface", "name,type,options").into_iter().filter(|row| row[1] == "vxlan").collect();
        let remote = if tunnel == "flow" { "flow" } else { "240.0.0.2" };
        assert_eq!(tunnels.len(), 1, "{tunnels:?}");
        assert!(tunnels[0][2].to_string().contains(&format!("[\"remote_ip\",\"{remote}\"]")), "{tunnels:?}");
        let out = flows(&lab, "@h1").into_iter().find(|flow| flow.contains("in_port=\"a_eth2\"")).unwrap();
        assert!(out.contains("set_field:0x1->tun_id"), "{out}");
        assert_eq!(out.contains("set_field:240.0.0.2->tun_dst"), tunnel == "flow", "{out}");
        // A full frame of 1500 bytes crosses the tunnel, whole.
        let a = lab.netns("a").unwrap();
        let full = oracle::run(&a, "ping -c 1 -W 2 -n -M do -s 1472 10.0.0.3").unwrap();
        assert!(full.contains(" 0% packet loss"), "{full}");
        // The trap: ping passes and TCP does not, unless offloads are as they must be on each side.
        for (from, to, address) in [("a", "b", "10.0.0.1"), ("a", "c", "10.0.0.3"), ("c", "b", "10.0.0.4")] {
            let rate = tcp(&lab, from, to, address);
            eprintln!("{tunnel}: {from} to {to}: {rate:.2} Gbit/s");
            assert!(rate > 0.005, "{tunnel}: {from} to {to}: {rate} Gbit/s");
        }
        end(lab, &options);
    }
}

/// How long after one end went down the other still has carrier, seen ten times.
fn carrier_follows(lab: &Lab, near: (&str, &str), far: (&str, &str)) -> Duration {
    let (here, there) = (lab.netns(near.0).unwrap(), lab.netns(far.0).unwrap());
    let mut rtnl = Rtnl::open_in(&here).unwrap();
    let mut worst = Duration::ZERO;
    for _ in 0..10 {
        for up in [false, true] {
            rtnl.change(|batch| if up { batch.link_up(near.1) } else { batch.link_down(near.1) }).unwrap();
            let since = Instant::now();
            let follows = eventually(Duration::from_secs(5), || carrier(&there, far.1) == up);
            assert!(follows, "{near:?} is {up}, {far:?} is not");
            worst = worst.max(since.elapsed());
        }
    }
    worst
}

#[test]
fn every_frame_passes_and_carrier_follows_on_both_paths() {
    needs!(root, ovs_vswitchd);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(planned(&triangle("ovs-frames", "flow"), None), &options);
    for (nonce, near, far) in [(0x1111_2222, ("a", "eth1"), ("b", "eth1")), (0x3333_4444, ("a", "eth2"), ("c", "eth1"))]
    {
        let (here, there) = (lab.netns(near.0).unwrap(), lab.netns(far.0).unwrap());
        let pair = (End { netns: &here, interface: near.1 }, End { netns: &there, interface: far.1 });
        assert_eq!(matrix(pair.0, pair.1, nonce).unwrap().failed(), Vec::<&str>::new(), "{near:?}");
        let worst = carrier_follows(&lab, near, far).max(carrier_follows(&lab, far, near));
        eprintln!("{near:?} to {far:?}: carrier followed within {worst:?}");
        assert!(worst < Duration::from_millis(1000), "{near:?} to {far:?}: {worst:?}");
        assert_eq!(matrix(pair.0, pair.1, !nonce).unwrap().failed(), Vec::<&str>::new(), "{near:?}, afterwards");
    }
    // Both ends down, and up again in either order: neither waits for the other.
    let [mut a, mut c] = ["a", "c"].map(|node| Rtnl::open_in(&lab.netns(node).unwrap()).unwrap());
    for first_a in [true, false] {
        a.change(|batch| batch.link_down("eth2")).unwrap();
        c.change(|batch| batch.link_down("eth1")).unwrap();
        for one in [first_a, !first_a] {
            if one { a.change(|batch| batch.link_up("eth2")) } else { c.change(|batch| batch.link_up("eth1")) }
                .unwrap();
        }
        let both = || carrier(&lab.netns("a").unwrap(), "eth2") && carrier(&lab.netns("c").unwrap(), "eth1");
        assert!(eventually(Duration::from_secs(5), both));
    }
    end(lab, &options);
}

/// Sends ten datagrams of 20 in one segment each, or counts what comes.
const DATAGRAMS: &str = "\
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if len(sys.argv) == 1:
    s.bind(('', 7777))
    s.settimeout(3)
    n = 0
    try:
        while n < 200:
            s.recv(65536)
            n += 1
    except TimeoutError:
        pass
    print(n)
else:
    s.setsockopt(17, 103, 1000)
    for _ in range(10):
        s.sendto(b'x' * 20000, (sys.argv[1], 7777))
        time.sleep(0.02)
";

/// The userspace datapath knows large segments of TCP only, and loses all others without a word.
#[test]
fn segments_that_the_switch_does_not_know_are_cut_before_it() {
    needs!(root, ovs_vswitchd, iperf3, python3);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(planned(&triangle("ovs-segments", "flow"), None), &options);
    let script = dir.path().join("datagrams.py");
    std::fs::write(&script, DATAGRAMS).unwrap();
    for (to, address, other) in [("b", "10.0.0.1", "10.0.0.0"), ("c", "10.0.0.3", "10.0.0.2")] {
        let (near, far) = (lab.netns("a").unwrap(), lab.netns(to).unwrap());
        let counting = oracle::spawn_piped(&far, &format!("python3 {}", script.display())).unwrap();
        assert!(eventually(Duration::from_secs(5), || oracle::run(&far, "ss -uln").unwrap().contains(":7777")));
        oracle::run(&near, &format!("python3 {} {address}", script.display())).unwrap();
        // A busy switch may lose some; one that does not know them loses all.
        let came: u32 = counting.finish().unwrap().trim().parse().unwrap();
        assert!(came >= 100, "{came} of 200 datagrams came from a to {to}");
        // TCP in a tunnel of the lab's own has two headers. Within a host the switch (3.1) takes the outer one for what is to be
        // finished, so that whoever wants it there leaves nothing to finish; between hosts that is so already.
        if to == "b" {
            oracle::run(&near, "ethtool -K eth1 tx off").unwrap();
            oracle::run(&far, "ethtool -K eth1 tx off").unwrap();
            // Which stays so.
            let plan = planned(&triangle("ovs-segments", "flow"), Some(lab.plan()));
            apply(plan, &options, &mut |_| ()).unwrap();
            assert!(oracle::run(&near, "ethtool -k eth1").unwrap().contains("tx-checksumming: off"));
        }
        for (netns, peer, inner) in [(&near, address, "10.77.0.1/24"), (&far, other, "10.77.0.2/24")] {
            oracle::run(netns, &format!("ip link add vx type vxlan id 5 remote {peer} dstport 4790")).unwrap();
            oracle::run(netns, &format!("ip addr add {inner} dev vx")).unwrap();
            oracle::run(netns, "ip link set vx mtu 1400 up").unwrap();
        }
        let rate = tcp(&lab, "a", to, "10.77.0.2");
        eprintln!("a to {to}, in a tunnel of their own: {rate:.2} Gbit/s");
        assert!(rate > 0.005, "{rate} Gbit/s from a to {to}");
        oracle::run(&near, "ip link del vx").unwrap();
    }
    end(lab, &options);
}
