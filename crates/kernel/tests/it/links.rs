use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{
    AddrGenMode, Batch, Bridge, BridgePort, Event, EventKind, LinkChange, Macvlan, MacvlanMode, Monitor, OperState,
    Rtnl, Topic, VethEnd,
};
use netloom_kernel::{Error, MacAddr};

use super::{eventually, oracle, oracle_json};

pub(crate) fn pair() -> (Netns, Netns) {
    let (a, b) = (Netns::create().unwrap(), Netns::create().unwrap());
    let mut rtnl = Rtnl::open().unwrap();
    rtnl.change(|batch| {
        batch.create_veth(
            &VethEnd::new("eth1").inside(&a).index(7).mac(MacAddr([2, 0, 0, 0, 0, 1])).mtu(9000),
            &VethEnd::new("eth9").inside(&b).index(8).mac(MacAddr([2, 0, 0, 0, 0, 2])).mtu(9000),
        );
    })
    .unwrap();
    (a, b)
}

pub(crate) fn up(netns: &Netns, index: u32) {
    Rtnl::open_in(netns).unwrap().change(|batch| batch.link_up(index)).unwrap();
}

#[test]
fn veth_is_born_in_place_as_ordered() {
    let (a, b) = pair();
    let mut inside = Rtnl::open_in(&a).unwrap();
    inside
        .change(|batch| {
            batch.link_up(1);
            let change = LinkChange {
                up: Some(true),
                alias: Some("netloom:demo"),
                addr_gen_mode: Some(AddrGenMode::None),
                group: Some(0x6e),
                ..LinkChange::default()
            };
            batch.set_link(7, &change);
        })
        .unwrap();
    let shown = &oracle_json(&a, "ip -j -d link show dev eth1")[0];
    assert_eq!(shown["ifindex"], 7);
    assert_eq!(shown["mtu"], 9000);
    assert_eq!(shown["address"], "02:00:00:00:00:01");
    assert_eq!(shown["ifalias"], "netloom:demo");
    assert_eq!(shown["num_tx_queues"], 1);
    assert_eq!(shown["inet6_addr_gen_mode"], "none");
    assert_eq!(shown["linkinfo"]["info_kind"], "veth");
    assert_eq!(shown["link_index"], 8);
    let far = &oracle_json(&b, "ip -j -d link show dev eth9")[0];
    assert_eq!((far["ifindex"].as_u64(), far["num_rx_queues"].as_u64()), (Some(8), Some(1)));

    let link = inside.link("eth1").unwrap();
    assert_eq!((link.index, link.mtu, link.peer, link.up, link.carrier), (7, 9000, Some(8), true, false));
    assert_eq!(link.alias.as_deref(), Some("netloom:demo"));
    assert_eq!(link.group, 0x6e);
    assert_eq!(link.kind.as_deref(), Some("veth"));
    assert_eq!(link.addr_gen_mode, Some(AddrGenMode::None));
    assert_eq!(link.peer_netns, inside.netns_id(&b).unwrap());
    assert!(link.peer_netns.is_some());
    up(&b, 8);
    let link = inside.link(7).unwrap();
    assert_eq!((link.carrier, link.lower_up), (true, true));
    assert!(eventually(|| inside.link(7).unwrap().operstate == OperState::Up));
    assert_eq!(inside.links().unwrap().len(), 2);
    let names: Vec<_> = inside.links_without_stats().unwrap().into_iter().map(|link| link.name).collect();
    assert_eq!(names, ["lo", "eth1"]);
}

#[test]
fn the_kernels_words_reach_the_error() {
    let netns = Netns::create().unwrap();
    let mut rtnl = Rtnl::open_in(&netns).unwrap();
    let error = rtnl.change(|batch| batch.create_simple("nonesuch", "x")).unwrap_err();
    assert!(error.to_string().contains("Unknown device type"), "{error}");
    let error = rtnl.change(|batch| batch.link_up("nonesuch")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(matches!(error, Error::Kernel { .. }));
}

#[test]
fn every_failure_of_a_batch_is_reported_and_the_rest_done() {
    let netns = Netns::create().unwrap();
    let mut rtnl = Rtnl::open_in(&netns).unwrap();
    let mut batch = Batch::new();
    for index in 0..200 {
        // Every third asks for an interface that is not there.
        batch.link_up(if index % 3 == 0 { 999 } else { 1 });
    }
    let failed: Vec<_> = rtnl.apply_all(batch).unwrap().into_iter().map(|failure| failure.index).collect();
    assert_eq!(failed, (0..200).filter(|index| index % 3 == 0).collect::<Vec<_>>());
    assert!(rtnl.link(1).unwrap().up);
}

#[test]
fn bridge_ports_let_link_local_groups_pass() {
    let (a, b) = pair();
    let mut rtnl = Rtnl::open_in(&b).unwrap();
    rtnl.change(|batch| {
        batch.create_bridge(&Bridge { index: Some(100), ageing: Some(7), ..Bridge::new("lan") });
        batch.set_link(8, &LinkChange { master: Some(100), up: Some(true), ..LinkChange::default() });
        let port = BridgePort { group_fwd_mask: Some(BridgePort::FORWARD_ALL), ..BridgePort::default() };
        batch.set_bridge_port(8, &port);
        batch.link_up(100);
    })
    .unwrap();
    let bridge = &oracle_json(&b, "ip -j -d link show dev lan")[0]["linkinfo"]["info_data"];
    assert_eq!((bridge["stp_state"].as_u64(), bridge["mcast_snooping"].as_u64()), (Some(0), Some(0)));
    assert_eq!(bridge["ageing_time"], 700);
    let port = &oracle_json(&b, "ip -j -d link show dev eth9")[0]["linkinfo"];
    assert_eq!(port["info_slave_data"]["group_fwd_mask"], "0xfffd");
    let link = rtnl.link(8).unwrap();
    assert_eq!((link.master, link.group_fwd_mask), (Some(100), Some(0xfffd)));
    drop(a);
}

#[test]
fn macvlan_is_born_in_its_namespace() {
    let (a, b) = pair();
    up(&a, 7);
    let mut rtnl = Rtnl::open_in(&a).unwrap();
    rtnl.change(|batch| {
        batch.create_macvlan(&Macvlan {
            parent: 7,
            netns: Some(&b),
            name: "mv0",
            index: Some(20),
            mac: None,
            mtu: Some(1500),
            mode: MacvlanMode::Bridge,
        });
    })
    .unwrap();
    let shown = &oracle_json(&b, "ip -j -d link show dev mv0")[0];
    assert_eq!(shown["linkinfo"]["info_data"]["mode"], "bridge");
    assert_eq!((shown["ifindex"].as_u64(), shown["mtu"].as_u64()), (Some(20), Some(1500)));
}

#[test]
fn links_move_rename_and_go_by_group() {
    let (a, b) = pair();
    let c = Netns::create().unwrap();
    let mut rtnl = Rtnl::open_in(&a).unwrap();
    use std::os::fd::AsFd;
    rtnl.change(|batch| {
        let change = LinkChange { netns: Some(c.as_fd()), name: Some("moved"), ..LinkChange::default() };
        batch.set_link(7, &change);
    })
    .unwrap();
    assert!(rtnl.link(7).unwrap_err().is_not_found());
    let mut rtnl = Rtnl::open_in(&c).unwrap();
    let index = rtnl.link("moved").unwrap().index;
    rtnl.change(|batch| {
        batch.set_link(index, &LinkChange { group: Some(9), ..LinkChange::default() });
        batch.delete_group(9);
    })
    .unwrap();
    assert_eq!(rtnl.links().unwrap().len(), 1);
    assert!(!oracle(&b, "ip link").contains("eth9"));
}

#[test]
fn carrier_changes_are_told() {
    let (a, b) = pair();
    up(&a, 7);
    let mut monitor = Monitor::open_in(&a, &[Topic::Links, Topic::Routes, Topic::Addresses]).unwrap();
    up(&b, 8);
    assert!(eventually(|| {
        let mut events = monitor.read().unwrap().into_iter();
        events.any(|event| matches!(event, Event::Link(EventKind::New, link) if link.index == 7 && link.lower_up))
    }));
}
