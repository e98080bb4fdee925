//! What `ovs-ofctl ofp-print` says of the messages we encode.

use std::process::Command;
use std::time::Duration;

use netloom_openflow::action::{Action, PortNo};
use netloom_openflow::control::{RoleReason, Wanted};
use netloom_openflow::flow::{Aggregate, FlowFilter, FlowRemoved, TableStats};
use netloom_openflow::group::{Counter, GroupDesc, GroupFeatures, GroupKind, GroupStats, PerKind, Selection};
use netloom_openflow::message::{
    AsyncConfig, BundleAdd, BundleControl, BundleStep, Config, Features, Hello, Role, RoleStatus,
};
use netloom_openflow::meter::{Band, BandKind, MeterCommand, MeterConfig, MeterFeatures, MeterMod, MeterStats};
use netloom_openflow::monitor::{FlowChange, FlowEvent, FlowMonitor, FlowUpdate};
use netloom_openflow::multipart::{Desc, Multipart, Reply, Request};
use netloom_openflow::packet::{PacketIn, PacketIn2, PacketOut};
use netloom_openflow::port::{Port, PortMod, PortReason, PortStats, PortStatus};
use netloom_openflow::queue::QueueStats;
use netloom_openflow::table::{TableDesc, TableMod, TableReason, TableStatus, Vacancy};
use netloom_openflow::tunnel::{TlvCommand, TlvMapping, TlvTable, TlvTableMod};
use netloom_openflow::{Bucket, Field, FlowMod, FlowStats, GroupMod, Match, Message, Problem, Version};
use netloom_testkit::needs;

pub(crate) fn print(version: Version, message: &Message) -> String {
    let bytes = message.encode(version, 5).unwrap_or_else(|e| panic!("{message:?}: {e}"));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let out = Command::new("ovs-ofctl").args(["ofp-print", &hex]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{message:?}: {said}");
    said
}

fn request(body: Request) -> Message {
    Message::MultipartRequest(Multipart { more: false, body })
}

fn reply(body: Reply) -> Message {
    Message::MultipartReply(Multipart { more: false, body })
}

fn flow(text: &str) -> FlowMod {
    text.parse().unwrap()
}

fn a_port() -> Port {
    Port {
        number: PortNo(3),
        address: [2, 0, 0, 0, 0, 3],
        name: "eth3".into(),
        config: 1,
        state: 1,
        current: 0x40,
        current_speed: 10_000_000,
        ..Port::default()
    }
}

fn change(event: FlowEvent) -> FlowUpdate {
    let FlowMod { matches, instructions, .. } = flow("tcp,tp_dst=80,actions=output:7");
    FlowUpdate::Full(Box::new(FlowChange {
        event,
        reason: 0,
        table: 4,
        priority: 9,
        idle_timeout: 0,
        hard_timeout: 0,
        cookie: 0x77,
        matches,
        instructions,
    }))
}

/// Messages, with words that must be in what is printed of them.
fn all(version: Version) -> Vec<(Message, Vec<&'static str>)> {
    let tcp = flow("cookie=0x99,table=3,priority=7,tcp,tp_dst=80,actions=output:2");
    let stats = FlowStats {
        table: 3,
        duration: Duration::from_millis(1500),
        priority: 7,
        cookie: 0x99,
        packets: Some(4),
        bytes: Some(400),
        matches: tcp.matches.clone(),
        instructions: tcp.instructions.clone(),
        ..FlowStats::default()
    };
    let group = GroupMod::add(9, GroupKind::Select, vec![Bucket::new(0, 5, vec![Action::output(PortNo(1))])]);
    let bands = vec![
        Band { kind: BandKind::Drop, rate: 1000, burst: 0 },
        Band { kind: BandKind::Remark(2), rate: 500, burst: 0 },
    ];
    let counter = |packets, bytes| Counter { packets, bytes };
    let packet_in2 = PacketIn2 {
        data: vec![0; 60],
        table: Some(5),
        cookie: Some(0x99),
        reason: 1,
        metadata: Match::any().with(Field::IN_PORT, 3u8),
        userdata: vec![1, 2],
        ..PacketIn2::default()
    };
    let mut out = vec![
        (Message::Hello(Hello::of(&Version::ALL)), vec!["OFPT_HELLO", "version bitmap: 0x04, 0x05, 0x06"]),
        (Message::EchoRequest(vec![1; 3]), vec!["OFPT_ECHO_REQUEST", "3 bytes of payload"]),
        (Message::EchoReply(vec![1; 3]), vec!["OFPT_ECHO_REPLY", "3 bytes of payload"]),
        (Message::FeaturesRequest, vec!["OFPT_FEATURES_REQUEST"]),
        (
            Message::FeaturesReply(Features {
                datapath_id: 0xabc,
                buffers: 7,
                tables: 254,
                auxiliary: 0,
                capabilities: 0x4f,
                reserved: 0,
            }),
            vec![
                "dpid:0000000000000abc",
                "n_tables:254, n_buffers:7",
                "FLOW_STATS TABLE_STATS PORT_STATS GROUP_STATS QUEUE_STATS",
            ],
        ),
        (Message::GetConfigRequest, vec!["OFPT_GET_CONFIG_REQUEST"]),
        (
            Message::SetConfig(Config { flags: 0, miss_send_len: 77 }),
            vec!["OFPT_SET_CONFIG", "frags=normal miss_send_len=77"],
        ),
        (Message::GetConfigReply(Config { flags: 1, miss_send_len: 77 }), vec!["frags=drop miss_send_len=77"]),
        (
            Message::Error(Problem {
                kind: 5,
                code: 3,
                experimenter: None,
                data: Message::FlowMod(tcp.clone()).encode(version, 5).unwrap(),
            }),
            vec!["OFPT_ERROR", "OFPFMFC_OVERLAP", "OFPT_FLOW_MOD", "tp_dst=80"],
        ),
        (Message::BarrierRequest, vec!["OFPT_BARRIER_REQUEST"]),
        (Message::BarrierReply, vec!["OFPT_BARRIER_REPLY"]),
        (
            Message::RoleRequest(Role { role: 2, generation: 3 }),
            vec!["OFPT_ROLE_REQUEST", "role=primary generation_id=3"],
        ),
        (
            Message::RoleReply(Role { role: 3, generation: 3 }),
            vec!["OFPT_ROLE_REPLY", "role=secondary generation_id=3"],
        ),
        (
            Message::FlowMod(tcp.clone()),
            vec!["OFPT_FLOW_MOD", "ADD table:3 priority=7,tcp,tp_dst=80 cookie:0x99 actions=output:2"],
        ),
        (Message::FlowMod(FlowMod::delete_all(0xff)), vec!["DEL table:255 actions=drop"]),
        (
            Message::GroupMod(group.clone()),
            vec!["OFPT_GROUP_MOD", "ADD group_id=9,type=select,bucket=", "weight:5", "actions=output:1"],
        ),
        (Message::GroupMod(GroupMod::delete(0xffff_fffc)), vec!["OFPT_GROUP_MOD", "DEL group_id=4294967292,type=all"]),
        (
            Message::MeterMod(MeterMod { command: MeterCommand::Add, flags: 1, id: 6, bands: bands.clone() }),
            vec![
                "OFPT_METER_MOD",
                "ADD meter=6 kbps bands=",
                "type=drop rate=1000",
                "type=dscp_remark rate=500 prec_level=2",
            ],
        ),
        (
            Message::PortMod(PortMod {
                number: PortNo(3),
                address: [2, 0, 0, 0, 0, 3],
                config: 1,
                mask: 1,
                advertise: 0,
            }),
            vec!["OFPT_PORT_MOD", "port: 3: addr:02:00:00:00:00:03", "config: PORT_DOWN", "mask:   PORT_DOWN"],
        ),
        (
            Message::PacketOut(PacketOut {
                in_port: PortNo(4),
                ..PacketOut::new(vec![0; 60], vec![Action::output(PortNo(9))])
            }),
            vec!["OFPT_PACKET_OUT", "in_port=4 actions=output:9 data_len=60"],
        ),
        (
            Message::PacketIn(PacketIn {
                buffer_id: 0xffff_ffff,
                total_len: 60,
                reason: 1,
                table: 5,
                cookie: 0x99,
                metadata: Match::any().with(Field::IN_PORT, 3u8),
                data: vec![0; 60],
            }),
            vec!["OFPT_PACKET_IN", "table_id=5 cookie=0x99 total_len=60 in_port=3", "data_len=60 (unbuffered)"],
        ),
        (
            Message::PacketIn2(Box::new(packet_in2.clone())),
            vec!["NXT_PACKET_IN2", "table_id=5 cookie=0x99 total_len=60 in_port=3", "userdata=01.02"],
        ),
        (Message::Resume(Box::new(packet_in2)), vec!["NXT_RESUME", "in_port=3"]),
        (Message::SetPacketInFormat(2), vec!["NXT_SET_PACKET_IN_FORMAT"]),
        (Message::SetControllerId(77), vec!["NXT_SET_CONTROLLER_ID", "id=77"]),
        (Message::CtFlushZone(9), vec!["NXT_CT_FLUSH_ZONE", "zone_id=9"]),
        (
            Message::FlowRemoved(FlowRemoved {
                cookie: 0x99,
                priority: 7,
                reason: 2,
                table: 3,
                duration: Duration::from_millis(2500),
                idle_timeout: 8,
                hard_timeout: 9,
                packets: Some(4),
                bytes: Some(400),
                matches: tcp.matches.clone(),
            }),
            vec![
                "OFPT_FLOW_REMOVED",
                "priority=7,tcp,tp_dst=80 reason=delete table_id=3 cookie:0x99 duration2.500s idle8 hard9 pkts4 bytes400",
            ],
        ),
        (
            Message::PortStatus(PortStatus { reason: PortReason::Added, port: a_port() }),
            vec![
                "OFPT_PORT_STATUS",
                "ADD",
                "3(eth3): addr:02:00:00:00:00:03",
                "config:     PORT_DOWN",
                "state:      LINK_DOWN",
                "10000 Mbps now",
            ],
        ),
        (
            Message::BundleControl(BundleControl { id: 0x31, step: BundleStep::Open, flags: 3 }),
            vec!["BUNDLE_CONTROL", "bundle_id=0x31 type=OPEN_REQUEST flags=atomic ordered"],
        ),
        (
            Message::BundleAdd(BundleAdd { id: 0x31, flags: 3, message: Box::new(Message::FlowMod(tcp.clone())) }),
            vec!["BUNDLE_ADD_MESSAGE", "bundle_id=0x31 flags=atomic ordered", "OFPT_FLOW_MOD", "tp_dst=80"],
        ),
        (request(Request::Desc), vec!["OFPST_DESC request"]),
        (
            reply(Reply::Desc(Box::new(Desc {
                manufacturer: "Maker".into(),
                hardware: "Hard".into(),
                software: "1.2".into(),
                serial: "None".into(),
                datapath: "br0".into(),
            }))),
            vec!["Manufacturer: Maker", "Hardware: Hard", "Software: 1.2", "Serial Num: None", "DP Description: br0"],
        ),
        (
            request(Request::Flow(FlowFilter { table: 3, matches: tcp.matches.clone(), ..FlowFilter::default() })),
            vec!["OFPST_FLOW request", "table=3 tcp,tp_dst=80"],
        ),
        (
            reply(Reply::Flow(vec![stats.clone(), stats])),
            vec![
                "OFPST_FLOW reply",
                "cookie=0x99, duration=1.500s, table=3, n_packets=4, n_bytes=400, priority=7,tcp,tp_dst=80 actions=output:2",
            ],
        ),
        (request(Request::Aggregate(FlowFilter::default())), vec!["OFPST_AGGREGATE request"]),
        (
            reply(Reply::Aggregate(Aggregate { packets: 4, bytes: 400, flows: 2 })),
            vec!["packet_count=4 byte_count=400 flow_count=2"],
        ),
        (request(Request::Table), vec!["OFPST_TABLE request"]),
        (
            reply(Reply::Table(vec![TableStats { table: 0, active: 6, lookups: 77, matched: 66 }])),
            vec!["active=6, lookup=77, matched=66"],
        ),
        (request(Request::Port(PortNo::ANY)), vec!["OFPST_PORT request", "port_no=ANY"]),
        (
            reply(Reply::Port(vec![PortStats {
                number: PortNo(3),
                rx_packets: 1,
                tx_packets: 2,
                rx_bytes: 3,
                tx_bytes: 4,
                rx_dropped: 5,
                tx_dropped: 6,
                rx_errors: 7,
                tx_errors: 8,
                ethernet: [9, 10, 11, 12],
                duration: Duration::from_secs(5),
            }])),
            vec![
                "rx pkts=1, bytes=3, drop=5, errs=7, frame=9, over=10, crc=11",
                "tx pkts=2, bytes=4, drop=6, errs=8, coll=12",
                "duration=5s",
            ],
        ),
        (request(Request::PortDesc), vec!["OFPST_PORT_DESC request"]),
        (reply(Reply::PortDesc(vec![a_port(), a_port()])), vec!["3(eth3): addr:02:00:00:00:00:03", "PORT_DOWN"]),
        (request(Request::Group(9)), vec!["OFPST_GROUP request", "group_id=9"]),
        (
            reply(Reply::Group(vec![GroupStats {
                id: 9,
                references: 2,
                total: counter(4, 400),
                duration: Duration::from_secs(5),
                buckets: vec![counter(1, 100), counter(3, 300)],
            }])),
            vec![
                "group_id=9,duration=5s,ref_count=2,packet_count=4,byte_count=400,bucket0:packet_count=1,byte_count=100,bucket1:packet_count=3,byte_count=300",
            ],
        ),
        (request(Request::GroupDesc(9)), vec!["OFPST_GROUP_DESC request"]),
        (
            reply(Reply::GroupDesc(vec![GroupDesc {
                id: 9,
                kind: GroupKind::Select,
                buckets: group.buckets.clone(),
                selection: None,
            }])),
            vec!["group_id=9,type=select,bucket=", "weight:5", "actions=output:1"],
        ),
        (request(Request::GroupFeatures), vec!["OFPST_GROUP_FEATURES request"]),
        (
            reply(Reply::GroupFeatures(Box::new(GroupFeatures {
                kinds: 0xf,
                capabilities: 0,
                max_groups: PerKind([1, 2, 3, 4]),
                actions: PerKind([1; 4]),
            }))),
            vec!["Types:  0xf", "all group:\n       max_groups=0x1", "fast failover group:\n       max_groups=0x4"],
        ),
        (request(Request::Meter(6)), vec!["OFPST_METER request", "meter=6"]),
        (
            reply(Reply::Meter(vec![MeterStats {
                id: 6,
                flows: 1,
                total: counter(4, 400),
                duration: Duration::from_secs(5),
                bands: vec![counter(2, 200)],
            }])),
            vec![
                "meter:6 flow_count:1 packet_in_count:4 byte_in_count:400 duration:5s bands:",
                "packet_count:2 byte_count:200",
            ],
        ),
        (request(Request::MeterConfig(6)), vec!["OFPST_METER_CONFIG request", "meter=6"]),
        (
            reply(Reply::MeterConfig(vec![MeterConfig { flags: 1, id: 6, bands }])),
            vec!["meter=6 kbps bands=", "type=drop rate=1000"],
        ),
        (request(Request::MeterFeatures), vec!["OFPST_METER_FEATURES request"]),
        (
            reply(Reply::MeterFeatures(MeterFeatures {
                max_meters: 8,
                bands: 2,
                capabilities: 0xf,
                max_bands: 1,
                max_color: 0,
            })),
            vec!["max_meter:8 max_bands:1 max_color:0", "band_types: drop", "capabilities: kbps pktps burst stats"],
        ),
        (
            request(Request::FlowMonitor(vec![FlowMonitor::everything(5)])),
            vec!["FLOW_MONITOR request", "id=5 flags=initial,add,delete,modify,actions"],
        ),
        (
            reply(Reply::FlowMonitor(vec![change(FlowEvent::Added), FlowUpdate::Abbreviated(0x1234)])),
            vec!["event=ADDED table=4 cookie=0x77 tcp,tp_dst=80", "actions=output:7", "event=ABBREV xid=0x1234"],
        ),
    ];
    if version == Version::V13 {
        out.push((Message::FlowMonitorCancel(5), vec!["FLOW_MONITOR_CANCEL", "id=5"]));
        out.push((Message::FlowMonitorPaused, vec!["FLOW_MONITOR_PAUSED"]));
        out.push((Message::FlowMonitorResumed, vec!["FLOW_MONITOR_RESUMED"]));
    }
    out.extend(more(version));
    if version == Version::V15 {
        let selection = Selection {
            method: "hash".into(),
            param: 7,
            fields: vec![(Field::IP_SRC, 0xffff_ff00), (Field::IP_DST, 0xffff_ffff)],
        };
        out.push((
            Message::GroupMod(GroupMod { selection: Some(selection), ..group }),
            vec!["selection_method=hash,selection_method_param=7,fields(ip_src=255.255.255.0,ip_dst),bucket=bucket_id:0,weight:5,actions=output:1"],
        ));
    }
    out
}

/// Tables, queues, roles, wishes and options of tunnels.
fn more(version: Version) -> Vec<(Message, Vec<&'static str>)> {
    let queue = QueueStats {
        port: PortNo(3),
        queue: 7,
        bytes: 600,
        packets: 5,
        errors: 1,
        duration: Duration::from_millis(2500),
    };
    let primary =
        Wanted { packet_in: Some(1 << 1), port_status: Some(1 << 2), flow_removed: Some(1 << 2), ..Wanted::default() };
    let wanted = AsyncConfig { primary, secondary: Wanted { port_status: Some(1), ..primary } };
    let mapping = TlvMapping { class: 0xffff, kind: 3, length: 8, index: 5 };
    let change = TlvTableMod { command: TlvCommand::Add, mappings: vec![mapping] };
    let mut out = vec![
        (request(Request::Queue(PortNo(3), 7)), vec!["OFPST_QUEUE request", "port=3 queue=7"]),
        (
            reply(Reply::Queue(vec![queue])),
            vec!["OFPST_QUEUE reply", "port 3 queue 7: bytes=600, pkts=5, errors=1, duration=2.500s"],
        ),
        (Message::GetAsyncRequest, vec!["OFPT_GET_ASYNC_REQUEST"]),
        (
            Message::SetAsync(wanted),
            vec![
                "OFPT_SET_ASYNC",
                "PACKET_IN: action",
                "PORT_STATUS: modify",
                "FLOW_REMOVED: delete",
                "PORT_STATUS: add",
            ],
        ),
        (Message::GetAsyncReply(wanted), vec!["OFPT_GET_ASYNC_REPLY", "PORT_STATUS: add"]),
        (
            Message::TlvTableMod(change),
            vec!["NXT_TLV_TABLE_MOD", "ADD mapping table:", "0xffff   0x3       8  tun_metadata5"],
        ),
        (Message::TlvTableRequest, vec!["NXT_TLV_TABLE_REQUEST"]),
        (
            Message::TlvTableReply(TlvTable { space: 256, fields: 64, mappings: vec![mapping] }),
            vec!["NXT_TLV_TABLE_REPLY", "max option space=256 max fields=64", "tun_metadata5"],
        ),
        (request(Request::TableFeatures(Vec::new())), vec!["OFPST_TABLE_FEATURES request"]),
    ];
    if version == Version::V13 {
        return out;
    }
    let vacancy = Some(Vacancy { down: 10, up: 30, now: 40 });
    let table = TableDesc { table: 2, config: 12, eviction: Some(1), vacancy };
    out.extend([
        (
            Message::TableMod(TableMod { table: 2, config: 4, eviction: Some(1), vacancy: None }),
            vec!["OFPT_TABLE_MOD", "table_id=2", "eviction=on"],
        ),
        (request(Request::TableDesc), vec!["OFPST_TABLE_DESC request"]),
        (
            reply(Reply::TableDesc(vec![table])),
            vec![
                "OFPST_TABLE_DESC reply",
                "table 2",
                "eviction=on",
                "vacancy_down=10%",
                "vacancy_up=30%",
                "vacancy=40%",
            ],
        ),
        (
            Message::TableStatus(TableStatus { reason: TableReason::VacancyDown, table }),
            vec!["OFPT_TABLE_STATUS", "reason=VACANCY_DOWN", "vacancy_down=10%"],
        ),
        (
            Message::RoleStatus(RoleStatus { role: 3, reason: RoleReason::OtherIsPrimary, generation: 9 }),
            vec!["OFPT_ROLE_STATUS", "role=secondary generation_id=9 reason=primary_request"],
        ),
    ]);
    out
}

#[test]
fn ofctl_prints_every_message_as_it_was_meant() {
    needs!(ovs_ofctl);
    let mut wrong = Vec::new();
    for version in Version::ALL {
        for (message, words) in all(version) {
            let said = print(version, &message);
            let missing: Vec<_> = words.iter().filter(|word| !said.contains(**word)).collect();
            let refused = said.contains("***") || said.contains("WARN");
            if !missing.is_empty() || refused || !said.contains(&format!("(OF{version})")) {
                wrong.push(format!("{version}: {missing:?} not in\n{said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
