//! Made-up tables, queues, roles, wishes and maps of options.

use netloom_openflow::action::PortNo;
use netloom_openflow::control::{RoleReason, Wanted};
use netloom_openflow::message::{AsyncConfig, RoleStatus};
use netloom_openflow::multipart::{Reply, Request};
use netloom_openflow::queue::QueueStats;
use netloom_openflow::table::{
    Ability, Of, StepId, TableDesc, TableFeatures, TableMod, TableReason, TableStatus, Vacancy,
};
use netloom_openflow::tunnel::{TlvCommand, TlvMapping, TlvTable, TlvTableMod};
use netloom_openflow::{FieldId, Message, Version};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn step() -> impl Strategy<Value = StepId> {
    prop_oneof![
        (0..100u16).prop_map(|kind| StepId { kind, experimenter: None }),
        any::<u32>().prop_map(|who| StepId { kind: 0xffff, experimenter: Some(who) }),
    ]
}

fn field() -> impl Strategy<Value = FieldId> {
    prop_oneof![
        (0..0x9000u16, 0..128u8, any::<bool>(), any::<u8>()).prop_map(|(class, number, masked, length)| FieldId {
            class,
            number,
            masked,
            length,
            experimenter: 0
        }),
        (0..128u8, any::<bool>(), 0..250u8, any::<u32>()).prop_map(|(number, masked, length, experimenter)| FieldId {
            class: 0xffff,
            number,
            masked,
            length,
            experimenter
        }),
    ]
}

fn ability() -> impl Strategy<Value = Ability> {
    let of = || proptest::sample::select(vec![Of::Flows, Of::Miss]);
    let (steps, fields) = (|| vec(step(), 0..4), || vec(field(), 0..4));
    prop_oneof![
        (of(), steps()).prop_map(|(of, steps)| Ability::Instructions(of, steps)),
        (of(), vec(any::<u8>(), 0..9)).prop_map(|(of, tables)| Ability::Next(of, tables)),
        (of(), steps()).prop_map(|(of, steps)| Ability::Write(of, steps)),
        (of(), steps()).prop_map(|(of, steps)| Ability::Apply(of, steps)),
        fields().prop_map(Ability::Match),
        fields().prop_map(Ability::Wildcards),
        (of(), fields()).prop_map(|(of, fields)| Ability::WriteSet(of, fields)),
        (of(), fields()).prop_map(|(of, fields)| Ability::ApplySet(of, fields)),
        vec(any::<u8>(), 0..9).prop_map(|bytes| Ability::Unknown(0xfffe, bytes)),
    ]
}

pub(crate) fn features(version: Version) -> impl Strategy<Value = TableFeatures> {
    let numbers = (any::<(u8, u8, u32)>(), any::<(u64, u64, u32, u32)>());
    (numbers, "[ -~]{0,31}", vec(ability(), 0..4)).prop_map(
        move |(((table, command, features), b), name, abilities)| {
            let (metadata_match, metadata_write, capabilities, max_entries) = b;
            let (command, features) = if version == Version::V15 { (command, features) } else { (0, 0) };
            let numbers = (metadata_match, metadata_write, capabilities, max_entries);
            let (metadata_match, metadata_write, capabilities, max_entries) = numbers;
            TableFeatures {
                table,
                command,
                features,
                name,
                metadata_match,
                metadata_write,
                capabilities,
                max_entries,
                abilities,
            }
        },
    )
}

fn vacancy() -> impl Strategy<Value = Vacancy> {
    any::<(u8, u8, u8)>().prop_map(|(down, up, now)| Vacancy { down, up, now })
}

fn desc() -> impl Strategy<Value = TableDesc> {
    (any::<(u8, u32)>(), option::of(any::<u32>()), option::of(vacancy()))
        .prop_map(|((table, config), eviction, vacancy)| TableDesc { table, config, eviction, vacancy })
}

fn queue() -> impl Strategy<Value = QueueStats> {
    let numbers = any::<(u32, u32, u64, u64, u64, u32)>();
    (numbers, 0..1_000_000_000u32).prop_map(|((port, queue, bytes, packets, errors, seconds), nanos)| QueueStats {
        port: PortNo(port),
        queue,
        bytes,
        packets,
        errors,
        duration: std::time::Duration::new(seconds.into(), nanos),
    })
}

pub(crate) fn request(version: Version) -> BoxedStrategy<Request> {
    let both = prop_oneof![
        any::<(u32, u32)>().prop_map(|(port, queue)| Request::Queue(PortNo(port), queue)),
        vec(features(version), 0..3).prop_map(Request::TableFeatures),
    ];
    if version == Version::V13 { both.boxed() } else { prop_oneof![both, Just(Request::TableDesc)].boxed() }
}

pub(crate) fn reply(version: Version) -> BoxedStrategy<Reply> {
    let both = prop_oneof![
        vec(queue(), 0..3).prop_map(Reply::Queue),
        vec(features(version), 0..3).prop_map(Reply::TableFeatures),
    ];
    if version == Version::V13 {
        both.boxed()
    } else {
        prop_oneof![both, vec(desc(), 0..3).prop_map(Reply::TableDesc)].boxed()
    }
}

fn wanted(version: Version) -> BoxedStrategy<Wanted> {
    if version == Version::V13 {
        return any::<(u32, u32, u32)>()
            .prop_map(|(packet_in, port_status, flow_removed)| Wanted {
                packet_in: Some(packet_in),
                port_status: Some(port_status),
                flow_removed: Some(flow_removed),
                ..Wanted::default()
            })
            .boxed();
    }
    any::<[Option<u32>; 6]>()
        .prop_map(|[packet_in, port_status, flow_removed, role_status, table_status, forward]| Wanted {
            packet_in,
            port_status,
            flow_removed,
            role_status,
            table_status,
            forward,
        })
        .boxed()
}

fn mappings() -> impl Strategy<Value = Vec<TlvMapping>> {
    let mapping =
        any::<(u16, u8, u8, u16)>().prop_map(|(class, kind, length, index)| TlvMapping { class, kind, length, index });
    vec(mapping, 0..4)
}

pub(crate) fn message(version: Version) -> BoxedStrategy<Message> {
    let wishes =
        || (wanted(version), wanted(version)).prop_map(|(primary, secondary)| AsyncConfig { primary, secondary });
    let v14 = version >= Version::V14;
    let both =
        prop_oneof![
            desc().prop_map(move |TableDesc { table, config, eviction, vacancy }| {
                let (eviction, vacancy) = if v14 { (eviction, vacancy) } else { (None, None) };
                Message::TableMod(TableMod { table, config, eviction, vacancy })
            }),
            Just(Message::GetAsyncRequest),
            wishes().prop_map(Message::GetAsyncReply),
            wishes().prop_map(Message::SetAsync),
            (proptest::sample::select(TlvCommand::ALL), mappings())
                .prop_map(|(command, mappings)| Message::TlvTableMod(TlvTableMod { command, mappings })),
            Just(Message::TlvTableRequest),
            (any::<(u32, u16)>(), mappings())
                .prop_map(|((space, fields), mappings)| Message::TlvTableReply(TlvTable { space, fields, mappings })),
        ];
    if !v14 {
        return both.boxed();
    }
    prop_oneof![
        3 => both,
        1 => (any::<(u32, u64)>(), proptest::sample::select(RoleReason::ALL)).prop_map(|((role, generation), reason)| {
            Message::RoleStatus(RoleStatus { role, reason, generation })
        }),
        1 => (proptest::sample::select(TableReason::ALL), desc())
            .prop_map(|(reason, table)| Message::TableStatus(TableStatus { reason, table })),
    ]
    .boxed()
}
