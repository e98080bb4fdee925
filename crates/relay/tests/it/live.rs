//! Setting, changing and taking away while traffic runs; what is left behind.

use netloom_kernel::rtnl::Rtnl;
use netloom_relay::attach::{self, tap_name};
use netloom_relay::shelter::sheltered as shelter;
use netloom_relay::{Error, Impairment};
use netloom_testkit::oracle::spawn_piped;
use netloom_testkit::{needs, run, run_json};

use crate::rig::{MS, Rig, Side};

#[test]
fn nothing_is_lost_when_a_relay_comes_and_goes() {
    needs!(root, netns, tun, u32);
    let rig = Rig::new();
    run(&rig.pair.a, "tc qdisc add dev eth1 clsact").unwrap();
    let s = rig.stream(4000, MS / 2, || {
        for round in 0..8 {
            std::thread::sleep(100 * MS);
            rig.set(Side::A, &Impairment { delay: MS * (round % 4), jitter: MS / 10, ..Impairment::default() });
            std::thread::sleep(100 * MS);
            rig.set(Side::A, &Impairment::default());
        }
    });
    println!("8 times in and out: {} lost, {} reordered, {} copies of {}", s.lost, s.reordered, s.duplicated, s.sent);
    assert_eq!((s.lost, s.duplicated), (0, 0), "{s:?}");
    rig.end();
}

#[test]
fn a_ping_and_a_tcp_transfer_live_through_it() {
    needs!(root, netns, tun, u32, ping, iperf3);
    let rig = Rig::new();
    for netns in [&rig.pair.a, &rig.pair.b] {
        run(netns, "tc qdisc add dev eth1 clsact").unwrap();
    }
    let ids = |side| {
        let mut rtnl = Rtnl::open_in(rig.netns(side)).unwrap();
        let link = rtnl.link("eth1").unwrap();
        (link.index, link.mac, link.carrier_changes)
    };
    let before = (ids(Side::A), ids(Side::B));
    let _server = netloom_testkit::spawn(&rig.pair.b, "iperf3 -s -1").unwrap();
    assert!(netloom_testkit::eventually(5000 * MS, || run(&rig.pair.b, "ss -Hltn sport = :5201")
        .is_ok_and(|t| !t.is_empty())));
    let ping = spawn_piped(&rig.pair.a, "ping -q -c 600 -i 0.005 10.9.0.2").unwrap();
    let tcp = spawn_piped(&rig.pair.a, "iperf3 -J -c 10.9.0.2 -t 3 -b 200M").unwrap();
    for _ in 0..4 {
        std::thread::sleep(300 * MS);
        rig.both(&Impairment { delay: 2 * MS, ..Impairment::default() });
        std::thread::sleep(300 * MS);
        rig.both(&Impairment::default());
    }
    let text = ping.finish().unwrap();
    assert!(text.contains("600 received") && !text.contains("duplicates"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&tcp.finish().unwrap()).unwrap();
    let mbit = json["end"]["sum_received"]["bits_per_second"].as_f64().unwrap() / 1e6;
    println!("relay in and out 4 times: ping lost nothing, TCP of 200 Mbit/s got {mbit:.0}");
    assert!(mbit > 100.0, "{mbit}");
    assert_eq!((ids(Side::A), ids(Side::B)), before, "index, address, carrier changes");
    rig.end();
}

#[test]
fn what_is_delayed_leaves_in_order_when_the_wire_is_freed() {
    needs!(root, netns, tun, u32);
    let rig = Rig::new();
    let (sender, receiver) = rig.udp();
    sender.send(b"?").unwrap();
    receiver.recv(&mut [0; 8]).unwrap();
    rig.set(Side::A, &Impairment { delay: 30_000 * MS, ..Impairment::default() });
    for n in 0..50_u8 {
        sender.send(&[n]).unwrap();
    }
    assert!(netloom_testkit::eventually(2000 * MS, || rig.client.stats("a:eth1").unwrap().waiting >= 50));
    let stats = rig.detach(Side::A);
    let mut got = Vec::new();
    let mut buffer = [0; 8];
    while let Ok(len) = receiver.recv(&mut buffer) {
        got.extend_from_slice(&buffer[..len]);
    }
    assert_eq!(got, (0..50).collect::<Vec<u8>>());
    assert_eq!((stats.waiting, stats.refused), (0, 0));
    rig.end();
}

#[test]
fn a_strangers_filters_stay_and_ours_go() {
    needs!(root, netns, tun, u32);
    let rig = Rig::new();
    run(&rig.pair.a, "tc qdisc add dev eth1 clsact").unwrap();
    for hook in ["ingress", "egress"] {
        let filter = format!(
            "tc filter add dev eth1 {hook} pref 7 protocol 0x88cc u32 match u32 0 0 action mirred egress redirect dev lo"
        );
        run(&rig.pair.a, &filter).unwrap();
    }
    let look = || {
        ["qdisc show dev eth1", "filter show dev eth1 ingress", "filter show dev eth1 egress"]
            .map(|what| run(&rig.pair.a, &format!("tc {what}")).unwrap())
    };
    let theirs = look();
    rig.set(Side::A, &Impairment { delay: MS, ..Impairment::default() });
    assert_ne!(look(), theirs);
    rig.set(Side::A, &Impairment::default());
    assert_eq!(look(), theirs);
    rig.end();
}

#[test]
fn the_tap_takes_no_part_in_the_nodes_life() {
    needs!(root, netns, tun, u32);
    let rig = Rig::new();
    rig.set(Side::A, &Impairment { delay: MS, ..Impairment::default() });
    let tap = tap_name(rig.place(Side::A).index);
    let link = run_json(&rig.pair.a, &format!("ip -j link show dev {tap}")).unwrap();
    assert_eq!(link[0]["ifalias"], "netloom:test");
    let address = run_json(&rig.pair.a, &format!("ip -j addr show dev {tap}")).unwrap();
    assert_eq!(address[0]["addr_info"].as_array().map(Vec::len), Some(0), "{address}");
    assert!(!run(&rig.pair.a, "ip -6 route show table all").unwrap().contains(&tap));
    rig.end();
}

#[test]
fn a_direction_is_repaired_changed_and_asked_for() {
    needs!(root, netns, tun, u32, ping);
    let rig = Rig::new();
    let slow = Impairment { delay: 5 * MS, ..Impairment::default() };
    rig.set(Side::A, &slow);
    rig.set(Side::A, &slow);
    assert_eq!(rig.client.list().unwrap(), [("a:eth1".to_owned(), slow.clone())]);
    // Somebody removes the hooks: the next apply puts them back.
    run(&rig.pair.a, "tc qdisc del dev eth1 clsact").unwrap();
    rig.set(Side::A, &slow);
    run(&rig.pair.a, "ping -q -c 3 -i 0.05 10.9.0.2").unwrap();
    assert!(rig.client.stats("a:eth1").unwrap().counters.sent >= 3);

    let worse = Impairment { loss: 2.0, ..Impairment::default() };
    assert!(matches!(attach::apply(&rig.client, rig.place(Side::A), &worse), Err(Error::Invalid(_))));
    assert!(matches!(rig.client.stats("c:eth9"), Err(Error::Refused { why }) if why.contains("c:eth9")));
    let nowhere = attach::Place { index: 4711, ..rig.place(Side::B) };
    assert!(matches!(attach::attach(&rig.client, nowhere, &slow), Err(Error::Kernel(_))));
    assert_eq!(rig.client.list().unwrap().len(), 1);
    rig.detach(Side::A);
    assert_eq!(attach::detach(&rig.client, rig.place(Side::A)).unwrap(), None);
    rig.end();
}

/// An interface that is down loses frames as any would, and the relay goes on when it comes back.
#[test]
fn a_link_that_goes_down_and_up_keeps_its_impairment() {
    needs!(root, netns, tun, u32, ping);
    let rig = Rig::new();
    rig.both(&Impairment { delay: 10 * MS, ..Impairment::default() });
    run(&rig.pair.b, "ip link set eth1 down").unwrap();
    assert!(
        netloom_testkit::eventually(100 * MS, || !netloom_testkit::pair::carrier(&rig.pair.a, "eth1")),
        "carrier follows"
    );
    run(&rig.pair.b, "ip link set eth1 up").unwrap();
    assert!(netloom_testkit::eventually(1000 * MS, || { netloom_testkit::pair::carrier(&rig.pair.a, "eth1") }));
    let [min, ..] = crate::rig::ping_times(&run(&rig.pair.a, "ping -q -c 5 -i 0.05 10.9.0.2").unwrap());
    assert!(min >= 20.0, "{min}");
    rig.end();
}

#[test]
fn nothing_is_lost_when_qdiscs_come_and_go_in_a_shelter() {
    needs!(root, netns, tun, clsact, nft);
    let mut lost = [0; 2];
    for sheltered in [false, true] {
        let rig = Rig::new();
        let place = rig.place(Side::A);
        let s = rig.stream(4000, MS / 2, || {
            for round in 0..100 {
                let mut rtnl = Rtnl::open_in(place.netns).unwrap();
                let mut work = || {
                    rtnl.change(|batch| match round % 2 {
                        0 => batch.add_clsact(place.index),
                        _ => batch.delete_clsact(place.index),
                    })
                };
                let done = if sheltered { shelter(place.netns, place.index, place.alias, work) } else { work() };
                done.unwrap();
                std::thread::sleep(10 * MS);
            }
        });
        println!("sheltered {sheltered}: {} lost, {} reordered of {}", s.lost, s.reordered, s.sent);
        assert_eq!(s.duplicated, 0);
        lost[usize::from(sheltered)] = s.lost;
        let tables = run(&rig.pair.a, "nft list ruleset").unwrap();
        assert_eq!(tables, "");
        let links = || run(&rig.pair.a, "ip -o link").unwrap();
        assert!(netloom_testkit::eventually(5000 * MS, || !links().contains("nlr")), "{}", links());
        rig.end();
    }
    assert_eq!(lost[1], 0);
    assert!(lost[0] > 0, "this kernel loses nothing: the shelter is not needed");
}
