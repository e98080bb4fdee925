use netloom_kernel::ethtool::{self, Offload};
use netloom_kernel::features;
use netloom_kernel::netns::Netns;

use super::links::pair;
use super::oracle;

/// What iproute2 says to the same question.
fn ip_can(arguments: &str) -> bool {
    let netns = Netns::create().unwrap();
    let mut words = arguments.split_whitespace();
    let program = words.next().unwrap().to_owned();
    let arguments: Vec<String> = words.map(str::to_owned).collect();
    let run = || {
        // Something to stand on: a VLAN does not go on the loopback.
        let pair = ["link", "add", "p0", "type", "veth", "peer", "name", "p1"];
        std::process::Command::new("ip").args(pair).status().unwrap();
        std::process::Command::new(program).args(arguments).output().unwrap().status.success()
    };
    netns.run(run).unwrap()
}

#[test]
fn probes_agree_with_the_tools() {
    let found = features::probe_all();
    for feature in &found {
        eprintln!("{:26} {:5} {} {}", feature.name, feature.available, feature.reason, feature.remedy);
        assert_eq!(feature.available, feature.remedy.is_empty(), "{feature:?}");
        assert!(feature.available || !feature.reason.is_empty(), "{feature:?}");
    }
    let has = |name: &str| found.iter().find(|feature| feature.name == name).unwrap().available;
    for (name, command) in [
        ("dummy", "ip link add d0 type dummy"),
        ("vrf", "ip link add v0 type vrf table 10"),
        ("vlan", "ip link add link p0 name v0 type vlan id 7"),
        ("bridge", "ip link add b0 type bridge"),
        ("netem", "tc qdisc add dev lo root netem delay 1ms"),
        ("tbf", "tc qdisc add dev lo root tbf rate 1mbit burst 10k limit 10k"),
        ("clsact", "tc qdisc add dev lo clsact"),
        ("tap", "ip tuntap add t0 mode tap"),
        ("nftables", "nft add table inet t"),
        ("mpls", "test -e /proc/sys/net/mpls/platform_labels"),
    ] {
        assert_eq!(has(name), ip_can(command), "{name}: {command}");
    }
    assert!(found.iter().filter(|feature| feature.required).all(|feature| feature.available));
    assert!(features::probe("nonesuch").is_none());
    assert_eq!(features::names().count(), found.len());
}

#[test]
fn offloads_are_switched() {
    let (a, _b) = pair();
    assert!(ethtool::get(&a, "eth1", Offload::TxChecksum).unwrap());
    ethtool::set(&a, "eth1", Offload::TxChecksum, false).unwrap();
    assert!(!ethtool::get(&a, "eth1", Offload::TxChecksum).unwrap());
    let (udp, tcp) = ("tx-udp-segmentation", "tx-tcp-segmentation");
    let names = a.run(|| ethtool::Features::read_here("eth1")).unwrap().unwrap();
    let active = |wanted: &[&str]| a.run(|| names.active_here("eth1", wanted)).unwrap().unwrap();
    ethtool::set(&a, "eth1", Offload::TxChecksum, true).unwrap();
    assert_eq!(active(&[udp, tcp, "no-such-feature"]).len(), 2);
    a.run(|| names.switch_off_here("eth1", &[udp, "no-such-feature"])).unwrap().unwrap();
    assert_eq!(active(&[udp, tcp]), [tcp]);
    if std::path::Path::new("/usr/sbin/ethtool").exists() {
        let shown = oracle(&a, "ethtool -k eth1");
        assert!(shown.contains("tx-udp-segmentation: off") && shown.contains("tx-tcp-segmentation: on"), "{shown}");
    }
    assert!(a.run(|| names.switch_off_here("nonesuch", &[udp])).unwrap().unwrap_err().is_not_found());
    ethtool::set(&a, "eth1", Offload::TxChecksum, false).unwrap();
    assert!(ethtool::set(&a, "nonesuch", Offload::TxChecksum, false).unwrap_err().is_not_found());
    if std::path::Path::new("/usr/sbin/ethtool").exists() {
        assert!(oracle(&a, "ethtool -k eth1").contains("tx-checksumming: off"));
    }
}
