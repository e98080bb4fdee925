//! What happens to labs on Open vSwitch while they run: changes, repairs, faults, ends.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use netloom_api::link::Impair;
use netloom_engine::{Lab, down};
use netloom_kernel::process::{self, PidFd};
use netloom_testkit::needs;
use netloom_testkit::oracle::{self, eventually};

use super::{carrier, change, first_ping, flows, rows, triangle};
use crate::lab::{end, options, sh, start};
use crate::routers::planned;

/// Names of the ports of a host's links.
fn ports(lab: &Lab, host: &str) -> Vec<String> {
    let mut ports: Vec<String> = sh(lab, host, "ovs-vsctl list-ports lab").lines().map(String::from).collect();
    ports.sort();
    ports
}

fn lost(lab: &Lab, from: &str, to: &str) -> bool {
    let netns = lab.netns(from).unwrap();
    oracle::run(&netns, &format!("ping -c 1 -W 1 -n {to}")).is_err()
}

/// A ping arrives: at once where a link is new; where traffic ran into a hole, as soon as the switch has looked at it again
/// (ovs-vswitchd.conf.db(5), `max-revalidator`: 500 ms).
#[track_caller]
fn heals(lab: &Lab, from: &str, to: &str) {
    assert!(eventually(Duration::from_secs(10), || !lost(lab, from, to)), "{from} does not reach {to}");
}

/// The process of a daemon, as this process sees it.
fn pid(lab: &Lab, host: &str, daemon: &str) -> i32 {
    let inside = sh(lab, host, &format!("pidof {daemon}"));
    let own = sh(lab, host, "readlink /proc/self/ns/pid");
    let found = std::fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        std::fs::read_link(entry.path().join("ns/pid")).is_ok_and(|ns| ns == Path::new(own.trim()))
            && read("status")
                .lines()
                .any(|l| l.starts_with("NSpid:") && l.split_whitespace().last() == Some(inside.trim()))
    });
    found.unwrap().file_name().to_str().unwrap().parse().unwrap()
}

#[test]
fn what_somebody_took_away_comes_back_and_what_somebody_added_stays() {
    needs!(root, ovs_vswitchd, ovs_vsctl);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let text = triangle("ovs-heal", "flow");
    let lab = start(planned(&text, None), &options);
    let before = flows(&lab, "@h1");
    let (ac, quiet) = ("change link a:eth2--c:eth1: ", Vec::<String>::new());
    assert_eq!(change(&text, &lab, &options), quiet);

    // A flow is gone, another leads astray, a third is somebody else's.
    sh(&lab, "@h1", "ovs-ofctl -O OpenFlow13 --strict del-flows lab in_port=3");
    sh(&lab, "@h1", "ovs-ofctl -O OpenFlow13 mod-flows lab in_port=1,actions=drop");
    sh(&lab, "@h1", "ovs-ofctl -O OpenFlow13 add-flow lab priority=7,in_port=99,actions=drop");
    assert!(lost(&lab, "a", "10.0.0.3") && lost(&lab, "a", "10.0.0.1"));
    let said = change(&text, &lab, &options);
    assert!(said.iter().any(|s| s.starts_with(ac) && s.contains("+flow")), "{said:?}");
    assert!(said.iter().any(|s| s.starts_with("change link a:eth1--b:eth1: flow")), "{said:?}");
    assert_eq!(said.len(), 2, "{said:?}");
    heals(&lab, "a", "10.0.0.3");
    heals(&lab, "a", "10.0.0.1");
    let mut after = flows(&lab, "@h1");
    assert!(after.iter().any(|flow| flow.contains("priority=7")));
    after.retain(|flow| !flow.contains("priority=7"));
    // The round in the cookie may be another one.
    let plain =
        |flows: &[String]| flows.iter().map(|f| f.split_once(", ").unwrap().1.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(plain(&after), plain(&before));

    // A port is gone, and the tunnel; the names of another are wrong.
    sh(&lab, "@h1", "ovs-vsctl del-port a_eth2 -- del-port vxlan -- set port a_eth1 external_ids:contIface=nonsense");
    assert!(lost(&lab, "a", "10.0.0.3"));
    let said = change(&text, &lab, &options);
    assert!(said.iter().any(|s| s.starts_with(ac) && s.contains("+port a_eth2")), "{said:?}");
    assert!(said.contains(&"change switch of host h1: +port vxlan".into()), "{said:?}");
    heals(&lab, "a", "10.0.0.3");
    assert_eq!(change(&text, &lab, &options), quiet);

    // A whole bridge is gone.
    sh(&lab, "@h2", "ovs-vsctl del-br underlay -- del-br lab");
    assert!(lost(&lab, "a", "10.0.0.3"));
    change(&text, &lab, &options);
    heals(&lab, "a", "10.0.0.3");
    heals(&lab, "c", "10.0.0.4");

    // A daemon died, then both, then the whole host.
    for daemons in [&["ovs-vswitchd"][..], &["ovsdb-server"], &["ovs-vswitchd", "ovsdb-server"]] {
        for daemon in daemons {
            let process = PidFd::open(pid(&lab, "@h1", daemon)).unwrap();
            process.signal(9).unwrap();
            assert!(process.wait_ended(Some(Duration::from_secs(10))).unwrap());
        }
        let ended = || change(&text, &lab, &options);
        let mut said = Vec::new();
        // The keeper learns of it in its own time.
        assert!(eventually(Duration::from_secs(10), || {
            said = ended();
            !said.is_empty()
        }));
        assert!(said[0].starts_with("restart switch of host h1: "), "{said:?}");
        assert!(said[0].contains(daemons[daemons.len() - 1]) || said[0].contains(daemons[0]), "{said:?}");
        heals(&lab, "a", "10.0.0.3");
        heals(&lab, "b", "10.0.0.0");
        assert_eq!(change(&text, &lab, &options), quiet);
    }
    end(lab, &options);
}

#[test]
fn a_running_lab_changes_by_the_difference() {
    needs!(root, ovs_vswitchd, ovs_vsctl);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let text = triangle("ovs-change", "flow");
    let mut lab = start(planned(&text, None), &options);
    let step = |text: &str, lab: Lab| {
        let said = change(text, &lab, &options);
        drop(lab);
        lab_checked(&options, text, said)
    };
    // A link and a node more, one link less.
    let more = text.replace("    c: {place: h2}\n", "    c: {place: h2}\n    d: {place: h2}\n").replace(
        "    - [\"b:eth2\", \"c:eth2\"]\n",
        "    - [\"d:eth1\", \"a:eth3\"]\n    - [\"d:eth2\", \"c:eth3\"]\n",
    );
    let said;
    (lab, said) = step(&more, lab);
    assert!(said.contains(&"remove link b:eth2--c:eth2".into()), "{said:?}");
    assert_eq!(ports(&lab, "@h1"), ["a_eth1", "a_eth2", "a_eth3", "b_eth1", "vxlan"]);
    assert_eq!(ports(&lab, "@h2"), ["c_eth1", "c_eth3", "d_eth1", "d_eth2", "vxlan"]);
    // b moves to the other host, and there is a third one.
    let moved = more.replace("    b: {}\n", "    b: {place: h2}\n").replace("h2: {}}", "h2: {}, h3: {}}");
    let moved = moved.replace("    d: {place: h2}", "    d: {place: h3}");
    let said;
    (lab, said) = step(&moved, lab);
    assert!(said.contains(&"replace link a:eth1--b:eth1: b from host h1 to h2".into()), "{said:?}");
    assert!(said.contains(&"add switch of host h3".into()), "{said:?}");
    assert_eq!(ports(&lab, "@h3"), ["d_eth1", "d_eth2", "vxlan"]);
    // Large frames everywhere, and a tunnel to each.
    let large = moved.replace("tunnel: flow", "tunnel: peer");
    let large =
        large.replace("    - [\"a:eth2\", \"c:eth1\"]\n", "    - {endpoints: [\"a:eth2\", \"c:eth1\"], mtu: 9000}\n");
    let said;
    (lab, said) = step(&large, lab);
    assert!(said.iter().any(|s| s.contains("mtu 1500 → 9000")), "{said:?}");
    let full = oracle::run(&lab.netns("a").unwrap(), "ping -c 1 -W 2 -n -M do -s 8972 10.0.0.3").unwrap();
    assert!(full.contains(" 0% packet loss"), "{full}");
    // Fewer hosts, then none: everything on one.
    let fewer = large.replace(", h3: {}", "").replace("{place: h3}", "{}");
    (lab, _) = step(&fewer, lab);
    let one =
        fewer.replace("  hosts: {h1: {}, h2: {}}\n", "").replace("{place: h2}", "{}").replace("{place: h1}", "{}");
    (lab, _) = step(&one, lab);
    assert_eq!(rows(&lab, "@h1", "bridge", "name").len(), 1);
    // No switch at all, and back.
    let plain = one.replace("  fabric: {kind: ovs, tunnel: peer}\n", "");
    let said;
    (lab, said) = step(&plain, lab);
    assert!(said.contains(&"replace link a:eth1--b:eth1: from Open vSwitch to a veth".into()), "{said:?}");
    assert!(lab.exec("@h1", &["true".into()], &Default::default()).is_err());
    (lab, _) = step(&text, lab);
    end(lab, &options);
}

/// The lab as it is now: every link of the text carries a ping, and there is nothing left to do.
fn lab_checked(options: &netloom_engine::Options, text: &str, said: Vec<String>) -> (Lab, Vec<String>) {
    let lab = Lab::open(&options.run_dir, "ovs-change").unwrap();
    assert!(!said.is_empty());
    for link in &lab.plan().links {
        let [a, b] = &link.ends;
        let address = b.addresses.iter().find(|a| a.addr().is_ipv4()).unwrap().addr();
        let netns = lab.netns(a.node.as_str()).unwrap();
        let fine = eventually(Duration::from_secs(5), || {
            oracle::run(&netns, &format!("ping -c 1 -W 1 -n -I {} {address}", a.interface)).is_ok()
        });
        assert!(fine, "{}: nothing passes after {said:?}", link.id);
    }
    assert_eq!(change(text, &lab, options), Vec::<String>::new());
    (lab, said)
}

#[test]
fn faults_do_the_same_as_on_a_veth() {
    needs!(root, ovs_vswitchd, ovs_vsctl);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let text = triangle("ovs-faults", "flow").replace(
        "    - [\"b:eth2\", \"c:eth2\"]\n",
        "    - endpoints: [\"b:eth2\", {node: c, interface: eth2, acl: {in: [deny tcp, allow any]}}]\n      impair: {delay: 30ms}\n",
    );
    let lab = start(planned(&text, None), &options);
    let (a, b, c) = (lab.netns("a").unwrap(), lab.netns("b").unwrap(), lab.netns("c").unwrap());
    let soon = |check: &dyn Fn() -> bool| eventually(Duration::from_secs(5), check);
    for (near, far, netns, interface) in [("a:eth1", "b", &b, "eth1"), ("a:eth2", "c", &c, "eth1")] {
        let undo = lab.link_down(&near.parse().unwrap()).unwrap();
        assert!(soon(&|| !carrier(netns, interface)), "{far} keeps carrier");
        lab.undo(undo).unwrap();
        assert!(soon(&|| carrier(netns, interface)), "{far} gets no carrier back");
    }
    first_ping(&lab, "a", "10.0.0.3");
    // Power.
    let undo = lab.node_stop("c").unwrap();
    assert!(soon(&|| !carrier(&a, "eth2") && !carrier(&b, "eth2")));
    lab.undo(undo).unwrap();
    assert!(soon(&|| carrier(&a, "eth2") && carrier(&b, "eth2")));
    // An impairment of the file, on a link that crosses a tunnel: both directions.
    let rtt = |netns, to: &str| {
        let said = oracle::run(netns, &format!("ping -c 3 -i 0.2 -W 2 -n {to}")).unwrap();
        let times = said.lines().find(|line| line.starts_with("rtt")).unwrap();
        times.split('/').nth(3).unwrap().split_whitespace().last().unwrap().parse::<f64>().unwrap()
    };
    assert!(rtt(&b, "10.0.0.5") >= 60.0);
    let undo = lab.impair(&"a:eth2".parse().unwrap(), Some(&impair())).unwrap();
    assert!(rtt(&a, "10.0.0.3") >= 20.0);
    lab.undo(undo).unwrap();
    let undo = lab.blackhole(&"a:eth1".parse().unwrap()).unwrap();
    assert!(lost(&lab, "a", "10.0.0.1"));
    lab.undo(undo).unwrap();
    first_ping(&lab, "a", "10.0.0.1");
    // Rules, on the end.
    let connect = || TcpStream::connect_timeout(&"10.0.0.5:9".parse().unwrap(), Duration::from_secs(1)).is_ok();
    assert!(!b.run(connect).unwrap());
    let counters = lab.acl_counters(&["c:eth2".parse().unwrap()]).unwrap().concat();
    assert!(counters.iter().any(|rule| rule.rule.contains("deny tcp") && rule.packets > 0), "{counters:?}");
    end(lab, &options);
}

fn impair() -> Impair {
    serde_json::from_str("{\"delay\": \"20ms\"}").unwrap()
}

#[test]
fn a_killed_keeper_takes_the_switches_along() {
    needs!(root, ovs_vswitchd);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(planned(&triangle("ovs-killed", "flow"), None), &options);
    let daemons: Vec<PidFd> = ["@h1", "@h2"]
        .iter()
        .flat_map(|host| ["ovsdb-server", "ovs-vswitchd"].map(|daemon| PidFd::open(pid(&lab, host, daemon)).unwrap()))
        .collect();
    let keeper = lab.instance().keeper.unwrap();
    drop(lab);
    process::kill(keeper, 9).unwrap();
    for daemon in &daemons {
        assert!(daemon.wait_ended(Some(Duration::from_secs(10))).unwrap(), "a daemon of the lab lives on");
    }
    down("ovs-killed", &options, &mut |_| ()).unwrap();
}
