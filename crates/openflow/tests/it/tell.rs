//! What a real switch tells of itself: decoded here, and printed by `ovs-ofctl`.

use std::time::Duration;

use netloom_openflow::client::{Client, Options, Remote};
use netloom_openflow::flow::FlowFilter;
use netloom_openflow::group::{ALL_GROUPS, GroupDesc, GroupMod};
use netloom_openflow::meter::{ALL_METERS, Band, BandKind, MeterCommand, MeterMod};
use netloom_openflow::multipart::{Reply, Request};
use netloom_openflow::packet::PacketOut;
use netloom_openflow::{Action, FlowMod, Message, PortNo, Version};
use netloom_testkit::{Datapath, Ovs, needs};

use crate::ofctl::option;

const LONG: Duration = Duration::from_secs(20);

macro_rules! ask {
    ($client:expr, $question:expr, $kind:path) => {
        match $client.ask($question).unwrap() {
            $kind(answer) => answer,
            other => panic!("{other:?}"),
        }
    };
}

fn flow(text: &str) -> Message {
    Message::FlowMod(text.parse().unwrap())
}

/// A switch with ports, flows, groups and meters through which packets went.
fn busy(version: Version) -> (Ovs, Client) {
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    for port in ["1", "2"] {
        let made = format!("add-port br0 p{port} -- set interface p{port} type=dummy ofport_request={port}");
        ovs.vsctl(&made.split(' ').collect::<Vec<_>>()).unwrap();
    }
    let remote = Remote::Unix(ovs.openflow_socket("br0"));
    let client = Client::connect(remote, Options { versions: vec![version], ..Options::default() }).unwrap();
    let meter = MeterMod {
        command: MeterCommand::Add,
        flags: 1,
        id: 4,
        bands: vec![Band { kind: BandKind::Drop, rate: 5000, burst: 0 }],
    };
    client.changes(&[Message::MeterMod(meter)]).unwrap();
    let group: GroupMod = "group_id=5,type=select,bucket=weight:3,output:2".parse().unwrap();
    client
        .bundle([
            &Message::GroupMod(group),
            &flow("cookie=0x5,in_port=1,actions=meter:4,group:5"),
            &flow("cookie=0x6,in_port=2,actions=goto_table:1"),
            &flow("table=1,cookie=0x7,ip,actions=drop"),
        ])
        .unwrap();
    for _ in 0..7 {
        let packet =
            PacketOut { in_port: PortNo(1), ..PacketOut::new(vec![0x11; 100], vec![Action::output(PortNo::TABLE)]) };
        client.send(&Message::PacketOut(packet)).unwrap();
    }
    client.barrier().unwrap();
    // The switch gathers its counters now and then.
    ovs.appctl(&["revalidator/purge"]).unwrap();
    (ovs, client)
}

#[test]
fn counters_ports_groups_and_meters_are_those_that_ofctl_prints() {
    needs!(ovs_vswitchd);
    for version in Version::ALL {
        let (ovs, client) = busy(version);
        let said = |command: &str| ovs.ofctl(&["-O", option(version), "--no-names", command, "br0"]).unwrap();
        let contains =
            |text: &str, words: String| assert!(text.contains(&words), "{version}: '{words}' is not in\n{text}");

        let flows = ask!(client, Request::Flow(FlowFilter::default()), Reply::Flow);
        let counted = flows.iter().find(|flow| flow.cookie == 5).unwrap();
        assert_eq!((counted.packets, counted.bytes), (Some(7), Some(700)));
        contains(&said("dump-flows"), "n_packets=7, n_bytes=700".into());

        let sums = ask!(client, Request::Aggregate(FlowFilter::default()), Reply::Aggregate);
        assert_eq!((sums.flows, sums.packets), (3, 7));
        contains(
            &said("dump-aggregate"),
            format!("packet_count={} byte_count={} flow_count=3", sums.packets, sums.bytes),
        );

        let tables = ask!(client, Request::Table, Reply::Table);
        assert_eq!(tables.iter().map(|table| table.active).take(3).collect::<Vec<_>>(), [2, 1, 0]);
        contains(
            &said("dump-tables"),
            format!("active=2, lookup={}, matched={}", tables[0].lookups, tables[0].matched),
        );

        let ports = ask!(client, Request::Port(PortNo::ANY), Reply::Port);
        let two = ports.iter().find(|port| port.number == PortNo(2)).unwrap();
        assert_eq!((two.tx_packets, two.tx_bytes), (7, 700));
        // What a dummy does not count.
        assert_eq!((two.tx_dropped, two.ethernet[3]), (u64::MAX, u64::MAX));
        contains(&said("dump-ports"), "tx pkts=7, bytes=700, drop=?, errs=?, coll=?".into());

        let ports = ask!(client, Request::PortDesc, Reply::PortDesc);
        let text = said("dump-ports-desc");
        assert_eq!(ports.len(), 3);
        for port in &ports {
            let [a, b, c, d, e, f] = port.address;
            contains(
                &text,
                format!("{}({}): addr:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}", port.number, port.name),
            );
        }

        let groups: Vec<GroupDesc> = ask!(client, Request::GroupDesc(ALL_GROUPS), Reply::GroupDesc);
        let text = said("dump-groups");
        let line = text.lines().find(|line| line.contains("group_id=5")).unwrap();
        assert_eq!(line.trim().parse::<GroupMod>().unwrap().buckets, groups[0].buckets);
        let stats = ask!(client, Request::Group(ALL_GROUPS), Reply::Group);
        assert_eq!((stats[0].id, stats[0].references, stats[0].total.packets, stats[0].buckets.len()), (5, 1, 7, 1));
        contains(
            &said("dump-group-stats"),
            "ref_count=1,packet_count=7,byte_count=700,bucket0:packet_count=7,byte_count=700".into(),
        );
        let features = ask!(client, Request::GroupFeatures, Reply::GroupFeatures);
        contains(&said("dump-group-features"), format!("max_groups={:#x}", features.max_groups.0[0]));

        let meters = ask!(client, Request::MeterConfig(ALL_METERS), Reply::MeterConfig);
        assert_eq!((meters[0].id, meters[0].bands[0].rate, meters[0].bands[0].kind), (4, 5000, BandKind::Drop));
        contains(&said("dump-meters"), "meter=4 kbps".into());
        let stats = ask!(client, Request::Meter(ALL_METERS), Reply::Meter);
        assert_eq!((stats[0].id, stats[0].flows, stats[0].total.packets), (4, 1, 7));
        contains(&said("meter-stats"), "meter:4 flow_count:1 packet_in_count:7 byte_in_count:700".into());
        let features = ask!(client, Request::MeterFeatures, Reply::MeterFeatures);
        contains(
            &said("meter-features"),
            format!("max_meter:{} max_bands:{}", features.max_meters, features.max_bands),
        );

        let session = client.session(LONG).unwrap();
        contains(&said("show"), format!("dpid:{:016x}", session.features.datapath_id));
        let all = [Message::FlowMod(FlowMod::delete_all(0xff)), Message::GroupMod(GroupMod::delete(ALL_GROUPS))];
        client.bundle(&all).unwrap();
        assert!(ask!(client, Request::GroupDesc(ALL_GROUPS), Reply::GroupDesc).is_empty());
    }
}
