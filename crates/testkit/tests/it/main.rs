//! The testkit tested: a judge that sees nothing would acquit everybody.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::time::Duration;

use netloom_packet::control;
use netloom_testkit::frames::{End, Fate, matrix};
use netloom_testkit::inventory::{Difference, Kind, Scope};
use netloom_testkit::{Inventory, Lan, Pair, needs, run};

fn end(netns: &netloom_kernel::netns::Netns) -> End<'_> {
    End { netns, interface: "eth1" }
}

#[test]
fn a_pair_reaches_each_other() {
    needs!(root, netns, ping);
    let pair = Pair::new().unwrap();
    run(&pair.a, "ping -c 1 -W 2 10.9.0.2").unwrap();
    run(&pair.b, "ping -c 1 -W 2 fd00:9::1").unwrap();
    assert!(run(&pair.a, "ping -c 1 -W 1 10.9.0.3").is_err());
}

#[test]
fn a_veth_carries_every_control_frame() {
    needs!(root, netns);
    let pair = Pair::new().unwrap();
    let m = matrix(end(&pair.a), end(&pair.b), 0x1122_3344_5566_7788).unwrap();
    assert_eq!((m.there.len(), m.back.len()), (control::COUNT, control::COUNT));
    assert_eq!(m.failed(), Vec::<&str>::new(), "{m:?}");
}

#[test]
fn a_lan_loses_pause_and_nothing_else() {
    needs!(root, netns, bridge);
    let lan = Lan::new().unwrap();
    let m = matrix(end(&lan.a), end(&lan.b), 0x0102_0304_0506_0708).unwrap();
    assert_eq!(m.failed(), [control::PAUSE], "{m:?}");
}

#[test]
fn a_wire_that_loses_is_seen() {
    needs!(root, netns);
    let pair = Pair::new().unwrap();
    run(&pair.b, "tc qdisc add dev eth1 clsact").unwrap();
    run(
        &pair.b,
        "tc filter add dev eth1 ingress protocol 0x88cc u32 match u32 0 0 action mirred egress redirect dev lo",
    )
    .unwrap();
    let m = matrix(end(&pair.a), end(&pair.b), 77).unwrap();
    // A packet socket sees frames before the ingress hook does: the way there is whole, so the tap of the matrix is honest about what it measures.
    assert!(m.there.iter().all(|(_, fate)| *fate == Fate::Passed));
    run(&pair.a, "tc qdisc add dev eth1 clsact").unwrap();
    run(
        &pair.a,
        "tc filter add dev eth1 egress protocol 0x88cc u32 match u32 0 0 action mirred egress redirect dev lo",
    )
    .unwrap();
    let m = matrix(end(&pair.a), end(&pair.b), 78).unwrap();
    assert_eq!(m.failed(), ["01:80:c2:00:00:0e lldp"]);
    assert!(m.back.iter().all(|(_, fate)| *fate == Fate::Passed));
}

#[test]
fn netem_carries_every_control_frame() {
    needs!(root, netns, netem);
    let pair = Pair::new().unwrap();
    for netns in [&pair.a, &pair.b] {
        run(netns, "tc qdisc add dev eth1 root netem delay 1ms").unwrap();
    }
    let m = matrix(end(&pair.a), end(&pair.b), 0x1122_3344_5566_7788).unwrap();
    assert_eq!(m.failed(), Vec::<&str>::new(), "{m:?}");
}

/// Everything this test leaves behind on purpose is found, and found gone.
#[test]
fn the_inventory_sees_what_is_left_behind() {
    needs!(root, netns);
    let scope = Scope { trees: vec!["/run".into()], ..Scope::default() };
    let name = format!("nlt{}", std::process::id());
    let file = format!("/run/{name}");
    let before = Inventory::take_in(&scope).unwrap();

    run_here(&format!("ip netns add {name}"));
    run_here(&format!("ip link add {name} type veth peer name {name}p"));
    std::fs::write(&file, "x").unwrap();
    let after = Inventory::take_in(&scope).unwrap().since(&before);
    let mine = |d: &&Difference| d.appeared && d.what.contains(&name);
    let kinds: Vec<Kind> = after.iter().filter(mine).map(|d| d.kind).collect();
    for kind in [Kind::Mount, Kind::Link, Kind::File] {
        assert!(kinds.contains(&kind), "{kind:?} is missing in {after:?}");
    }
    assert!(after.iter().any(|d| d.appeared && d.kind == Kind::Namespace && d.what.starts_with("net:[")), "{after:?}");

    run_here(&format!("ip netns del {name}"));
    run_here(&format!("ip link del {name}"));
    std::fs::remove_file(&file).unwrap();
    // Others may work on this machine meanwhile, so only this test's things are judged.
    let rest = before.settle(&scope, Duration::from_millis(100)).unwrap();
    assert!(!rest.iter().any(|d| d.what.contains(&name)), "{rest:?}");
}

fn run_here(line: &str) {
    run(&netloom_kernel::netns::Netns::current().unwrap(), line).unwrap();
}

/// A probe that is mistyped would skip tests for ever: whatever it says must be about the feature.
#[test]
fn probes_name_the_feature_that_is_missing() {
    needs!(root, netns);
    for feature in ["clsact", "u32", "tun", "bridge", "macvlan", "netem"] {
        if let Some(why) = netloom_testkit::needs::missing(feature) {
            println!("{feature}: {why}");
            let kernels_own =
                why.contains("RTNETLINK answers") || why.contains("Error:") || why.contains("/dev/net/tun");
            assert!(kernels_own, "{feature}: {why}");
        }
    }
    assert!(netloom_testkit::needs::missing("no_such_program").unwrap().contains("no-such-program"));
}
