//! Traps are found on a real switch that was led into them, and are gone when what the remedy says was done.

use std::collections::BTreeMap;
use std::time::Duration;

use netloom_kernel::netns::Netns;
use netloom_openflow::multipart::{Reply, Request};
use netloom_openflow::{Version, group};
use netloom_ovs::bridge::Bridges;
use netloom_ovs::traps::{self, Card, Kind};
use netloom_ovsdb::{Client, Config, vswitch};
use netloom_testkit::oracle::{eventually, run};
use netloom_testkit::{Datapath, Ovs, needs};

use crate::switch::client;

#[test]
fn every_trap_is_found_and_its_remedy_ends_it() {
    needs!(root, netns, ovs_vswitchd);
    let netns = Netns::create().unwrap();
    let ip = |line: &str| run(&netns, line).unwrap();
    ip("ip link add name p1 type veth peer name p1-far");
    for name in ["p1", "p1-far", "lo"] {
        ip(&format!("ip link set {name} up"));
    }
    let ovs = Ovs::start_in(&netns, Datapath::Netdev).unwrap();
    ovs.add_bridge("br0").unwrap();
    ovs.add_bridge("br-phy").unwrap();
    ovs.vsctl(&["add-port", "br0", "p1"]).unwrap();
    ip("ip address add 192.0.2.1/24 dev br-phy");
    ip("ip link set br-phy up");
    let config = Config::new(format!("unix:{}", ovs.database_socket().display()).parse().unwrap(), vswitch::DATABASE);
    let database = Client::connect(config.monitor(Bridges::monitor())).unwrap();

    // What the kernel says, by its own tools.
    let card = |name: &str| {
        let link: serde_json::Value =
            serde_json::from_str(&run(&netns, &format!("ip -j -d link show dev {name}")).ok()?).ok()?;
        let veth = link[0]["linkinfo"]["info_kind"] == "veth";
        let far = veth.then(|| ip(&format!("ethtool -k {name}-far")).contains("tx-checksumming: on"));
        Some(Card { mtu: u32::try_from(link[0]["mtu"].as_u64()?).ok()?, veth, offload: far, tunnelled: true })
    };
    let groups = || {
        let Reply::GroupDesc(groups) = client(&ovs, Version::V15).ask(Request::GroupDesc(group::ALL_GROUPS)).unwrap()
        else {
            panic!("another answer")
        };
        BTreeMap::from([("br0".to_owned(), groups)])
    };
    let found = || {
        let traps = traps::find(&database.snapshot(), &card, &groups()).unwrap();
        traps.iter().map(|trap| (trap.kind, trap.place.clone())).collect::<Vec<_>>()
    };
    // Open vSwitch tells some things a moment later.
    let comes_to = |kinds: &[(Kind, &str)]| {
        let wanted: Vec<(Kind, String)> = kinds.iter().map(|(kind, place)| (*kind, (*place).to_owned())).collect();
        assert!(eventually(Duration::from_secs(10), || found() == wanted), "{:?}", found());
    };

    comes_to(&[(Kind::OffloadWithoutTso, "bridge br0, port p1")]);
    ovs.vsctl(&["set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true"]).unwrap();
    comes_to(&[]);

    let tunnel = "add-port br0 vx -- set interface vx type=vxlan options:remote_ip=192.0.2.2 options:key=flow";
    ovs.vsctl(&tunnel.split(' ').collect::<Vec<_>>()).unwrap();
    comes_to(&[(Kind::OffloadIntoTunnel, "bridge br0, port p1"), (Kind::TunnelMtu, "bridge br0, tunnel vx")]);
    let traps = traps::find(&database.snapshot(), &card, &groups()).unwrap();
    assert!(traps[1].what.contains("more than 1450 bytes are lost") && traps[1].remedy.contains("1550"), "{traps:?}");
    ip("ethtool -K p1-far tx off");
    comes_to(&[(Kind::TunnelMtu, "bridge br0, tunnel vx")]);
    ip("ip link set p1 mtu 1450");
    comes_to(&[]);

    let add = |id: u32, method: &str| {
        let group = format!("group_id={id},type=select{method},bucket=output:1");
        ovs.ofctl(&["-O", "OpenFlow15", "add-group", "br0", &group]).unwrap();
    };
    add(1, "");
    add(2, ",selection_method=hash,fields(ip_src)");
    comes_to(&[(Kind::MovingBuckets, "bridge br0, group 1")]);
}
