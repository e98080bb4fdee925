//! Random messages that can be said in a version. (The actions are in [`crate::actions`].)

use std::time::Duration;

use netloom_openflow::action::PortNo;
use netloom_openflow::flow::{Aggregate, FlowCommand, FlowFilter, FlowRemoved, TableStats};
use netloom_openflow::group::{
    Counter, GroupCommand, GroupDesc, GroupFeatures, GroupKind, GroupStats, PerKind, Selection,
};
use netloom_openflow::message::{BundleAdd, BundleControl, BundleStep, Config, Features, Hello, Role};
use netloom_openflow::meter::{Band, BandKind, MeterCommand, MeterConfig, MeterFeatures, MeterMod, MeterStats};
use netloom_openflow::monitor::{FlowChange, FlowEvent, FlowMonitor, FlowUpdate, MonitorCommand};
use netloom_openflow::multipart::{Desc, Multipart, Reply, Request};
use netloom_openflow::packet::{PacketIn, PacketIn2, PacketOut};
use netloom_openflow::port::{Port, PortMod, PortReason, PortStats, PortStatus};
use netloom_openflow::{Bucket, Field, FlowMod, FlowStats, GroupMod, Instruction, Match, Message, Problem, Version};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::actions::{action, field, matches, port};

fn instructions(version: Version) -> BoxedStrategy<Vec<Instruction>> {
    let mut kinds = vec![
        vec(action(version), 0..4).prop_map(Instruction::Apply).boxed(),
        vec(action(version), 0..4).prop_map(Instruction::Write).boxed(),
        Just(Instruction::Clear).boxed(),
        any::<(u64, u64)>().prop_map(|(value, mask)| Instruction::WriteMetadata { value, mask }).boxed(),
        any::<u8>().prop_map(Instruction::Goto).boxed(),
    ];
    if version < Version::V15 {
        kinds.push(any::<u32>().prop_map(Instruction::Meter).boxed());
    }
    vec(proptest::strategy::Union::new(kinds), 0..4).boxed()
}

/// How many cases a property is tried on: `PROPTEST_CASES`, or else this many.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn importance(version: Version) -> BoxedStrategy<u16> {
    if version == Version::V13 { Just(0).boxed() } else { any::<u16>().boxed() }
}

pub(crate) fn flow_mod(version: Version) -> impl Strategy<Value = FlowMod> {
    (
        proptest::sample::select(FlowCommand::ALL),
        any::<(u64, u64, u8, u16, u16, u16, u32, u32, u16)>(),
        port(),
        importance(version),
        matches(),
        instructions(version),
    )
        .prop_map(|(command, n, out_port, importance, matches, instructions)| {
            let (cookie, cookie_mask, table, idle_timeout, hard_timeout, priority, buffer_id, out_group, flags) = n;
            FlowMod {
                command,
                cookie,
                cookie_mask,
                table,
                idle_timeout,
                hard_timeout,
                priority,
                buffer_id,
                out_port,
                out_group,
                flags,
                importance,
                matches,
                instructions,
            }
        })
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u32>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Duration::new(seconds.into(), nanos))
}

fn count() -> impl Strategy<Value = Option<u64>> {
    option::of(0..u64::MAX)
}

fn flow_stats(version: Version) -> impl Strategy<Value = FlowStats> {
    let idle = if version == Version::V15 { option::of(duration()).boxed() } else { Just(None).boxed() };
    (
        any::<(u8, u16, u16, u16, u16, u64)>(),
        duration(),
        idle,
        importance(version),
        (count(), count()),
        matches(),
        instructions(version),
    )
        .prop_map(|(n, duration, idle, importance, (packets, bytes), matches, instructions)| {
            let (table, priority, idle_timeout, hard_timeout, flags, cookie) = n;
            FlowStats {
                table,
                duration,
                idle,
                priority,
                idle_timeout,
                hard_timeout,
                flags,
                importance,
                cookie,
                packets,
                bytes,
                matches,
                instructions,
            }
        })
}

fn flow_removed() -> impl Strategy<Value = FlowRemoved> {
    (any::<(u64, u16, u8, u8, u16, u16)>(), duration(), count(), count(), matches()).prop_map(
        |(n, duration, packets, bytes, matches)| {
            let (cookie, priority, reason, table, idle_timeout, hard_timeout) = n;
            FlowRemoved {
                cookie,
                priority,
                reason,
                table,
                duration,
                idle_timeout,
                hard_timeout,
                packets,
                bytes,
                matches,
            }
        },
    )
}

fn buckets(version: Version, kind: GroupKind) -> impl Strategy<Value = Vec<Bucket>> {
    let one = (any::<(u32, u16, u32)>(), port(), vec(action(version), 0..3));
    vec(one, 0..4).prop_map(move |buckets| {
        let mut out = Vec::new();
        for ((id, weight, watch_group), watch_port, actions) in buckets {
            // Before 1.5 the place is the number.
            let id = if version == Version::V15 { id } else { out.len() as u32 };
            let weight = if kind == GroupKind::Select { weight } else { 0 };
            out.push(Bucket { id, weight, watch_port, watch_group, actions });
        }
        out
    })
}

fn selection(version: Version) -> BoxedStrategy<Option<Selection>> {
    if version < Version::V15 {
        return Just(None).boxed();
    }
    let fields = vec((field(), any::<u128>()), 0..4)
        .prop_map(|fields| fields.into_iter().map(|(field, mask)| (field, mask & field.full_mask())).collect());
    option::of(("[a-z_]{1,15}", any::<u64>(), fields).prop_map(|(method, param, fields)| Selection {
        method,
        param,
        fields,
    }))
    .boxed()
}

fn group_kind() -> impl Strategy<Value = GroupKind> {
    proptest::sample::select(GroupKind::ALL)
}

fn group_mod(version: Version) -> impl Strategy<Value = GroupMod> {
    let commands: Vec<GroupCommand> = GroupCommand::ALL
        .iter()
        .copied()
        .filter(|command| {
            version == Version::V15 || !matches!(command, GroupCommand::InsertBucket | GroupCommand::RemoveBucket)
        })
        .collect();
    (proptest::sample::select(commands), group_kind(), any::<(u32, u32)>(), selection(version)).prop_flat_map(
        move |(command, kind, (id, bucket), selection)| {
            let bucket = if version == Version::V15 { bucket } else { u32::MAX };
            buckets(version, kind).prop_map(move |buckets| GroupMod {
                command,
                kind,
                id,
                bucket,
                buckets,
                selection: selection.clone(),
            })
        },
    )
}

fn group_desc(version: Version) -> impl Strategy<Value = GroupDesc> {
    (group_kind(), any::<u32>(), selection(version)).prop_flat_map(move |(kind, id, selection)| {
        buckets(version, kind).prop_map(move |buckets| GroupDesc { id, kind, buckets, selection: selection.clone() })
    })
}

fn counter() -> impl Strategy<Value = Counter> {
    any::<(u64, u64)>().prop_map(|(packets, bytes)| Counter { packets, bytes })
}

fn bands() -> impl Strategy<Value = Vec<Band>> {
    let kind = prop_oneof![Just(BandKind::Drop), any::<u8>().prop_map(BandKind::Remark)];
    vec((kind, any::<u32>(), any::<u32>()).prop_map(|(kind, rate, burst)| Band { kind, rate, burst }), 0..4)
}

fn a_port() -> impl Strategy<Value = Port> {
    (any::<([u8; 6], u32, u32, u32, u32, u32, u32, u32, u32)>(), port(), "[a-z0-9-]{0,15}").prop_map(
        |(n, number, name)| {
            let (address, config, state, current, advertised, supported, peer, current_speed, max_speed) = n;
            Port {
                number,
                address,
                name,
                config,
                state,
                current,
                advertised,
                supported,
                peer,
                current_speed,
                max_speed,
            }
        },
    )
}

fn port_stats() -> impl Strategy<Value = PortStats> {
    (any::<([u64; 8], [u64; 4])>(), port(), duration()).prop_map(|((n, ethernet), number, duration)| PortStats {
        number,
        duration,
        rx_packets: n[0],
        tx_packets: n[1],
        rx_bytes: n[2],
        tx_bytes: n[3],
        rx_dropped: n[4],
        tx_dropped: n[5],
        rx_errors: n[6],
        tx_errors: n[7],
        ethernet,
    })
}

fn packet_in2() -> impl Strategy<Value = Box<PacketIn2>> {
    let bytes = || vec(any::<u8>(), 0..40);
    (bytes(), any::<(Option<u32>, Option<u32>, Option<u8>, Option<u64>, u8)>(), matches(), bytes(), bytes()).prop_map(
        |(data, (full_len, buffer_id, table, cookie, reason), metadata, userdata, continuation)| {
            Box::new(PacketIn2 { data, full_len, buffer_id, table, cookie, reason, metadata, userdata, continuation })
        },
    )
}

fn monitor(version: Version) -> impl Strategy<Value = FlowMonitor> {
    let v13 = version == Version::V13;
    (proptest::sample::select(MonitorCommand::ALL), any::<(u32, u16, u32, u8)>(), port(), matches()).prop_map(
        move |(command, (id, flags, out_group, table), out_port, matches)| FlowMonitor {
            id,
            command: if v13 { MonitorCommand::Add } else { command },
            flags,
            out_port,
            out_group: if v13 { u32::MAX } else { out_group },
            table,
            matches,
        },
    )
}

fn flow_update(version: Version) -> BoxedStrategy<FlowUpdate> {
    let mut events = vec![FlowEvent::Added, FlowEvent::Removed, FlowEvent::Modified];
    let mut short = vec![FlowUpdate::Abbreviated(7)];
    if version > Version::V13 {
        events.push(FlowEvent::Initial);
        short.extend([FlowUpdate::Paused, FlowUpdate::Resumed]);
    }
    let full =
        (proptest::sample::select(events), any::<(u8, u8, u16, u16, u16, u64)>(), matches(), instructions(version))
            .prop_map(
                |(event, (reason, table, priority, idle_timeout, hard_timeout, cookie), matches, instructions)| {
                    FlowUpdate::Full(Box::new(FlowChange {
                        event,
                        reason,
                        table,
                        priority,
                        idle_timeout,
                        hard_timeout,
                        cookie,
                        matches,
                        instructions,
                    }))
                },
            );
    prop_oneof![full, proptest::sample::select(short)].boxed()
}

fn filter() -> impl Strategy<Value = FlowFilter> {
    (any::<(u8, u32, u64, u64)>(), port(), matches()).prop_map(
        |((table, out_group, cookie, cookie_mask), out_port, matches)| FlowFilter {
            table,
            out_port,
            out_group,
            cookie,
            cookie_mask,
            matches,
        },
    )
}

fn request(version: Version) -> BoxedStrategy<Request> {
    let number = any::<u32>();
    let groups = if version == Version::V15 { number.boxed() } else { Just(0xffff_fffc).boxed() };
    prop_oneof![
        proptest::sample::select(vec![
            Request::Desc,
            Request::Table,
            Request::PortDesc,
            Request::GroupFeatures,
            Request::MeterFeatures
        ]),
        filter().prop_map(Request::Flow),
        filter().prop_map(Request::Aggregate),
        port().prop_map(Request::Port),
        number.prop_map(Request::Group),
        groups.prop_map(Request::GroupDesc),
        number.prop_map(Request::Meter),
        number.prop_map(Request::MeterConfig),
        vec(monitor(version), 0..3).prop_map(Request::FlowMonitor),
        crate::strategy_more::request(version),
        vec(any::<u8>(), 0..20).prop_map(|body| Request::Unknown(15, body)),
    ]
    .boxed()
}

fn reply(version: Version) -> BoxedStrategy<Reply> {
    let text = || "[ -~]{0,31}";
    prop_oneof![
        [text(), text(), text(), text(), text()].prop_map(|[manufacturer, hardware, software, serial, datapath]| {
            Reply::Desc(Box::new(Desc { manufacturer, hardware, software, serial, datapath }))
        }),
        vec(flow_stats(version), 0..3).prop_map(Reply::Flow),
        any::<(u64, u64, u32)>().prop_map(|(packets, bytes, flows)| Reply::Aggregate(Aggregate {
            packets,
            bytes,
            flows
        })),
        vec(any::<(u8, u32, u64, u64)>(), 0..3).prop_map(|tables| {
            let table = |(table, active, lookups, matched)| TableStats { table, active, lookups, matched };
            Reply::Table(tables.into_iter().map(table).collect())
        }),
        vec(port_stats(), 0..3).prop_map(Reply::Port),
        vec(a_port(), 0..3).prop_map(Reply::PortDesc),
        vec((any::<(u32, u32)>(), counter(), duration(), vec(counter(), 0..3)), 0..3).prop_map(|groups| {
            let group =
                |((id, references), total, duration, buckets)| GroupStats { id, references, total, duration, buckets };
            Reply::Group(groups.into_iter().map(group).collect())
        }),
        vec(group_desc(version), 0..3).prop_map(Reply::GroupDesc),
        any::<(u32, u32, [u32; 4], [u32; 4])>().prop_map(|(kinds, capabilities, max, actions)| {
            Reply::GroupFeatures(Box::new(GroupFeatures {
                kinds,
                capabilities,
                max_groups: PerKind(max),
                actions: PerKind(actions),
            }))
        }),
        vec((any::<(u32, u32)>(), counter(), duration(), vec(counter(), 0..3)), 0..3).prop_map(|meters| {
            let meter = |((id, flows), total, duration, bands)| MeterStats { id, flows, total, duration, bands };
            Reply::Meter(meters.into_iter().map(meter).collect())
        }),
        vec((any::<(u16, u32)>(), bands()), 0..3).prop_map(|meters| {
            Reply::MeterConfig(
                meters.into_iter().map(|((flags, id), bands)| MeterConfig { flags, id, bands }).collect(),
            )
        }),
        any::<(u32, u32, u32, u8, u8)>().prop_map(|(max_meters, bands, capabilities, max_bands, max_color)| {
            Reply::MeterFeatures(MeterFeatures { max_meters, bands, capabilities, max_bands, max_color })
        }),
        vec(flow_update(version), 0..3).prop_map(Reply::FlowMonitor),
        crate::strategy_more::reply(version),
        vec(any::<u8>(), 0..20).prop_map(|body| Reply::Unknown(15, body)),
    ]
    .boxed()
}

/// What may stand in a bundle.
fn change(version: Version) -> BoxedStrategy<Message> {
    let port_mod = any::<(u32, [u8; 6], u32, u32, u32)>().prop_map(|(number, address, config, mask, advertise)| {
        Message::PortMod(PortMod { number: PortNo(number), address, config, mask, advertise })
    });
    let meter_mod = (proptest::sample::select(MeterCommand::ALL), any::<(u16, u32)>(), bands())
        .prop_map(|(command, (flags, id), bands)| Message::MeterMod(MeterMod { command, flags, id, bands }));
    prop_oneof![
        4 => flow_mod(version).prop_map(Message::FlowMod),
        2 => group_mod(version).prop_map(Message::GroupMod),
        1 => port_mod,
        1 => meter_mod,
    ]
    .boxed()
}

/// Any message.
pub(crate) fn message(version: Version) -> BoxedStrategy<Message> {
    let bytes = || vec(any::<u8>(), 0..40);
    let words = prop_oneof![
        option::of(any::<u32>()).prop_map(|versions| Message::Hello(Hello { versions })),
        (0..20u16, any::<u16>(), bytes()).prop_map(|(kind, code, data)| Message::Error(Problem {
            kind,
            code,
            experimenter: None,
            data
        })),
        (any::<(u16, u32)>(), bytes()).prop_map(|((code, who), data)| Message::Error(Problem {
            kind: 0xffff,
            code,
            experimenter: Some(who),
            data
        })),
        bytes().prop_map(Message::EchoRequest),
        bytes().prop_map(Message::EchoReply),
        proptest::sample::select(vec![
            Message::FeaturesRequest,
            Message::GetConfigRequest,
            Message::BarrierRequest,
            Message::BarrierReply,
            Message::FlowMonitorPaused,
            Message::FlowMonitorResumed,
        ]),
        any::<(u64, u32, u8, u8, u32, u32)>().prop_map(
            |(datapath_id, buffers, tables, auxiliary, capabilities, reserved)| {
                Message::FeaturesReply(Features { datapath_id, buffers, tables, auxiliary, capabilities, reserved })
            }
        ),
        any::<(u16, u16)>().prop_map(|(flags, miss_send_len)| Message::SetConfig(Config { flags, miss_send_len })),
        any::<(u16, u16)>().prop_map(|(flags, miss_send_len)| Message::GetConfigReply(Config { flags, miss_send_len })),
        any::<(u32, u64)>().prop_map(|(role, generation)| Message::RoleRequest(Role { role, generation })),
        any::<(u32, u64)>().prop_map(|(role, generation)| Message::RoleReply(Role { role, generation })),
        any::<u32>().prop_map(Message::SetPacketInFormat),
        any::<u16>().prop_map(Message::SetControllerId),
        any::<u16>().prop_map(Message::CtFlushZone),
        any::<u32>().prop_map(Message::FlowMonitorCancel),
        (any::<(u32, u16)>(), proptest::sample::select(BundleStep::ALL))
            .prop_map(|((id, flags), step)| Message::BundleControl(BundleControl { id, step, flags })),
        crate::strategy_more::message(version),
        bytes().prop_map(|body| Message::Unknown(35, body)),
    ];
    let packets = prop_oneof![
        (any::<(u32, u16, u8, u8, u64)>(), matches(), bytes()).prop_map(|(n, metadata, data)| {
            let (buffer_id, total_len, reason, table, cookie) = n;
            Message::PacketIn(PacketIn { buffer_id, total_len, reason, table, cookie, metadata, data })
        }),
        packet_in2().prop_map(Message::PacketIn2),
        packet_in2().prop_map(Message::Resume),
        (any::<u32>(), port(), matches(), vec(action(version), 0..3), bytes()).prop_map(
            move |(buffer_id, in_port, mut metadata, actions, data)| {
                metadata.set_masked(Field::IN_PORT, 0u8, 0);
                let metadata = if version == Version::V15 { metadata } else { Match::any() };
                Message::PacketOut(PacketOut { buffer_id, in_port, metadata, actions, data })
            }
        ),
        flow_removed().prop_map(Message::FlowRemoved),
        (proptest::sample::select(PortReason::ALL), a_port())
            .prop_map(|(reason, port)| Message::PortStatus(PortStatus { reason, port })),
    ];
    let bundled = (any::<(u32, u16)>(), change(version))
        .prop_map(|((id, flags), message)| Message::BundleAdd(BundleAdd { id, flags, message: Box::new(message) }));
    prop_oneof![
        3 => words,
        2 => packets,
        4 => change(version),
        1 => bundled,
        3 => (any::<bool>(), request(version)).prop_map(|(more, body)| Message::MultipartRequest(Multipart { more, body })),
        4 => (any::<bool>(), reply(version)).prop_map(|(more, body)| Message::MultipartReply(Multipart { more, body })),
    ]
    .boxed()
}
