use netloom_kernel::MacAddr;
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{
    AddressSpec, Batch, NeighbourSpec, NextHop, OperState, PROTOCOL, RouteKind, RouteSpec, Rtnl, RuleSpec, VethEnd,
};

use super::{oracle, oracle_json};

fn node() -> (Netns, Rtnl) {
    let netns = Netns::create().unwrap();
    let mut rtnl = Rtnl::open_in(&netns).unwrap();
    rtnl.change(|batch| {
        batch.create_veth(&VethEnd::new("e1").index(2), &VethEnd::new("e2").index(3));
        for index in [1, 2, 3] {
            batch.link_up(index);
        }
        for (index, address) in [(2, "10.0.0.0/31"), (2, "2001:db8::1/64"), (3, "10.0.1.1/24")] {
            batch.add_address(&AddressSpec::new(index, address.parse().unwrap()));
        }
    })
    .unwrap();
    (netns, rtnl)
}

#[test]
fn addresses_carry_our_mark_and_are_usable_at_once() {
    let (netns, mut rtnl) = node();
    let addresses = rtnl.addresses().unwrap();
    let ours: Vec<String> = addresses
        .iter()
        .filter(|address| address.protocol == PROTOCOL)
        .map(|address| address.address.to_string())
        .collect();
    assert_eq!(ours, ["10.0.0.0/31", "10.0.1.1/24", "2001:db8::1/64"]);
    assert!(addresses.iter().filter(|a| a.protocol == PROTOCOL).all(|a| !a.tentative && a.permanent));
    let shown = oracle_json(&netns, "ip -j addr show dev e1");
    let locals: Vec<_> = shown[0]["addr_info"].as_array().unwrap().iter().map(|a| a["local"].clone()).collect();
    assert_eq!(locals[..2], ["10.0.0.0", "2001:db8::1"]);
    let spec = AddressSpec::new(2, "10.0.0.0/31".parse().unwrap());
    assert!(rtnl.change(|batch| batch.add_address(&spec)).unwrap_err().is_exists());
    rtnl.change(|batch| batch.delete_address(&spec)).unwrap();
    assert!(rtnl.change(|batch| batch.delete_address(&spec)).unwrap_err().is_not_found());
}

#[test]
fn routes_of_every_shape_go_in_come_back_and_go() {
    let (netns, mut rtnl) = node();
    let via = |text: &str| NextHop::via(text.parse().unwrap());
    let mut multipath = RouteSpec::new("192.0.2.0/24".parse().unwrap(), vec![via("10.0.0.1"), via("10.0.1.9")]);
    multipath.next_hops[1].weight = 5;
    multipath.metric = Some(20);
    let single = RouteSpec::new("0.0.0.0/0".parse().unwrap(), vec![via("10.0.0.1")]);
    let over_v6 = RouteSpec::new("198.51.100.0/24".parse().unwrap(), vec![NextHop { index: 2, ..via("2001:db8::9") }]);
    let direct = RouteSpec::new("203.0.113.0/24".parse().unwrap(), vec![NextHop::dev(3)]);
    let hole = RouteSpec::blackhole("10.9.0.0/16".parse().unwrap());
    let hole6 = RouteSpec::blackhole("2001:db8:dead::/48".parse().unwrap());
    let six = RouteSpec { table: 1000, ..RouteSpec::new("2001:db8:1::/48".parse().unwrap(), vec![via("2001:db8::2")]) };
    let six_two = RouteSpec::new("2001:db8:2::/48".parse().unwrap(), vec![via("2001:db8::2"), via("2001:db8::3")]);
    let all = [multipath, single, over_v6, direct, hole, hole6, six, six_two];
    rtnl.change(|batch| all.iter().for_each(|route| batch.add_route(route))).unwrap();

    let shown = oracle(&netns, "ip route");
    assert!(shown.contains("default via 10.0.0.1 dev e1 proto 110"), "{shown}");
    assert!(shown.contains("blackhole 10.9.0.0/16 proto 110"), "{shown}");
    assert!(shown.contains("via inet6 2001:db8::9 dev e1"), "{shown}");
    assert!(shown.contains("nexthop via 10.0.1.9 dev e2 weight 5"), "{shown}");
    assert!(shown.contains("203.0.113.0/24 dev e2 proto 110 scope link"), "{shown}");
    assert!(oracle(&netns, "ip -6 route show table 1000").contains("2001:db8:1::/48 via 2001:db8::2"));

    let routes = rtnl.routes().unwrap();
    let ours: Vec<_> = routes.iter().filter(|route| route.protocol == PROTOCOL).collect();
    assert_eq!(ours.len(), all.len());
    let find = |text: &str| *ours.iter().find(|route| route.destination.to_string() == text).unwrap();
    assert_eq!(find("192.0.2.0/24").next_hops.len(), 2);
    assert_eq!(find("192.0.2.0/24").next_hops[1].weight, 5);
    assert_eq!(find("2001:db8:2::/48").next_hops.len(), 2);
    assert_eq!(find("198.51.100.0/24").next_hops[0].gateway, Some("2001:db8::9".parse().unwrap()));
    assert_eq!(find("10.9.0.0/16").kind, RouteKind::Blackhole);
    assert_eq!(find("2001:db8:1::/48").table, 1000);
    let again: Vec<RouteSpec> = ours.iter().map(|route| route.to_spec()).collect();
    rtnl.change(|batch| all.iter().for_each(|route| batch.delete_route(route))).unwrap();
    assert!(rtnl.routes().unwrap().iter().all(|route| route.protocol != PROTOCOL));
    rtnl.change(|batch| again.iter().for_each(|route| batch.add_route(route))).unwrap();
    assert_eq!(rtnl.routes().unwrap().iter().filter(|route| route.protocol == PROTOCOL).count(), all.len());
}

#[test]
fn rules_and_neighbours() {
    let (netns, mut rtnl) = node();
    let rule = RuleSpec {
        from: Some("10.0.0.0/8".parse().unwrap()),
        iif: Some("e1".into()),
        table: 1000,
        priority: Some(77),
        ..RuleSpec::default()
    };
    let neighbour =
        NeighbourSpec { index: 2, address: "10.0.0.1".parse().unwrap(), mac: "02:00:00:00:00:09".parse().unwrap() };
    let mut batch = Batch::new();
    batch.add_rule(&rule);
    batch.set_neighbour(&neighbour);
    rtnl.apply(batch).unwrap();
    assert!(oracle(&netns, "ip rule").contains("77:\tfrom 10.0.0.0/8 iif e1 lookup 1000"));
    let rules = rtnl.rules().unwrap();
    assert!(rules.iter().any(|r| r.priority == 77 && r.protocol == PROTOCOL && r.from == rule.from && !r.v6));
    let neighbours = rtnl.neighbours().unwrap();
    assert!(neighbours.iter().any(|n| n.address == neighbour.address && n.mac == Some(neighbour.mac)));
    rtnl.change(|batch| {
        batch.delete_rule(&rule);
        batch.delete_neighbour(&neighbour);
    })
    .unwrap();
    assert!(!oracle(&netns, "ip rule").contains("77:"));
}

#[test]
fn link_local_addresses_can_be_usable_at_once() {
    let netns = Netns::create().unwrap();
    let mut rtnl = Rtnl::open_in(&netns).unwrap();
    let (one, two) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
    let specs = |mac: MacAddr, index| {
        let own = |text: &str| AddressSpec::new(index, text.parse().unwrap());
        [own(&format!("{}/64", mac.link_local())), own(&format!("2001:db8:{index}::1/64"))]
    };
    rtnl.change(|batch| {
        batch.create_veth(&VethEnd::new("e1").index(2).mac(one), &VethEnd::new("e2").index(3).mac(two));
        for (mac, index) in [(one, 2), (two, 3)] {
            specs(mac, index).iter().for_each(|spec| batch.add_address(spec));
            batch.link_up(index);
        }
    })
    .unwrap();
    let check = |rtnl: &mut Rtnl| {
        let addresses = rtnl.addresses().unwrap();
        assert_eq!(addresses.iter().filter(|a| a.address.addr().is_ipv6()).count(), 4, "{addresses:?}");
        assert!(addresses.iter().all(|address| !address.tentative), "{addresses:?}");
    };
    check(&mut rtnl);
    assert!(super::eventually(|| rtnl.links().unwrap().iter().filter(|l| l.operstate == OperState::Up).count() == 2));
    // The kernel's own generation does not add a second one.
    check(&mut rtnl);
    let connected = oracle(&netns, "ip -6 route");
    for route in ["2001:db8:2::/64 dev e1", "2001:db8:3::/64 dev e2", "fe80::/64 dev e1", "fe80::/64 dev e2"] {
        assert!(connected.contains(route), "{connected}");
    }
    // After a hand takes the interface down and up, the kernel makes its own again.
    oracle(&netns, "ip link set e1 down");
    oracle(&netns, "ip link set e1 up");
    let own = one.link_local().to_string();
    assert!(super::eventually(|| oracle(&netns, "ip -6 addr show dev e1").contains(&own)));
}

#[test]
fn link_local_of_a_mac() {
    assert_eq!(MacAddr([0x02, 0, 0x5e, 0x10, 0, 1]).link_local().to_string(), "fe80::5eff:fe10:1");
}
