//! Random matches and actions.

use std::net::IpAddr;

use netloom_openflow::action::{
    Action, Bundle as ActionBundle, Controller, Ct, Learn, LearnSource, LearnSpec, LearnTarget, Multipath, Nat,
    NatKind, PortNo, Sample, Zone,
};
use netloom_openflow::{Field, Match, Subfield, Version};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) fn field() -> impl Strategy<Value = Field> {
    proptest::sample::select(Field::all().collect::<Vec<_>>())
}

/// A field whose oldest header has four bytes: the older actions name no other.
fn short_field() -> impl Strategy<Value = Field> {
    field()
        .prop_filter("four bytes", |field| field.extension_header().class != 0xffff && field.tun_metadata().is_none())
}

fn bits(field: Field) -> impl Strategy<Value = Subfield> {
    let width = field.spec().bits;
    (0..width, 1..=width).prop_map(move |(offset, bits)| Subfield {
        field,
        offset,
        bits: bits.min(width - offset).min(64),
    })
}

fn subfield() -> impl Strategy<Value = Subfield> {
    short_field().prop_flat_map(bits)
}

fn bit() -> impl Strategy<Value = Subfield> {
    subfield().prop_map(|one| Subfield { bits: 1, ..one })
}

/// Two ranges of as many bits.
fn two() -> impl Strategy<Value = (Subfield, Subfield)> {
    (subfield(), subfield()).prop_map(|(a, b)| {
        let bits = a.bits.min(b.bits);
        (Subfield { bits, ..a }, Subfield { bits, ..b })
    })
}

pub(crate) fn matches() -> impl Strategy<Value = Match> {
    vec((field(), any::<u128>(), option::of(any::<u128>())), 0..8).prop_map(|fields| {
        let mut out = Match::any();
        for (field, value, mask) in fields {
            out.set_masked(field, value, mask.filter(|_| field.spec().maskable).unwrap_or(u128::MAX));
        }
        out
    })
}

pub(crate) fn port() -> impl Strategy<Value = PortNo> {
    prop_oneof![(0u32..0xff00).prop_map(PortNo), (0xffff_fff7u32..=0xffff_ffff).prop_map(PortNo)]
}

fn set_field() -> impl Strategy<Value = Action> {
    (field(), any::<u128>(), option::of(any::<u128>())).prop_map(|(field, value, mask)| {
        let full = field.full_mask();
        let mask = mask.map(|mask| mask & full).filter(|mask| field.spec().maskable && *mask != full);
        Action::SetField { field, value: value & mask.unwrap_or(full), mask }
    })
}

fn nat() -> impl Strategy<Value = Nat> {
    let address = prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)];
    let range = address.prop_flat_map(|a| (Just(a), any::<bool>())).prop_map(|(a, two)| (a, two.then_some(a)));
    let kind = prop_oneof![Just(NatKind::Source), Just(NatKind::Destination)];
    (
        option::of(kind),
        any::<(bool, bool, bool)>(),
        option::of(range),
        option::of((any::<u16>(), option::of(any::<u16>()))),
    )
        .prop_map(|(kind, (persistent, hash, random), addresses, ports)| Nat {
            kind,
            persistent,
            hash,
            random,
            addresses,
            ports,
        })
}

fn spec() -> impl Strategy<Value = LearnSpec> {
    let source = prop_oneof![Just(true), Just(false)];
    (two(), source, 0..3u8, any::<u64>()).prop_map(|((from, to), by_field, target, value)| {
        let (field, offset) = (to.field, to.offset);
        let value = u128::from(value) & (u128::MAX >> (128 - from.bits));
        LearnSpec {
            bits: from.bits,
            source: match by_field {
                true => LearnSource::Field { field: from.field, offset: from.offset },
                false => LearnSource::Value(value),
            },
            target: match target {
                0 => LearnTarget::Match { field, offset },
                1 => LearnTarget::Load { field, offset },
                // A port is not learnt from a value.
                2 if by_field => LearnTarget::Output,
                _ => LearnTarget::Load { field, offset },
            },
        }
    })
}

fn learn() -> impl Strategy<Value = Learn> {
    (any::<(u16, u16, u16, u64, u8, bool, bool, u16, u16, u32)>(), option::of(bit()), vec(spec(), 0..4)).prop_map(
        |(
            (idle_timeout, hard_timeout, priority, cookie, table, send, delete, fin_idle, fin_hard, limit),
            result,
            specs,
        )| Learn {
            idle_timeout,
            hard_timeout,
            priority,
            cookie,
            table,
            send_flow_removed: send,
            delete_learned: delete,
            fin_idle_timeout: fin_idle,
            fin_hard_timeout: fin_hard,
            limit,
            result,
            specs,
        },
    )
}

fn long_actions() -> impl Strategy<Value = Action> {
    let controller = (any::<(u16, u16, u8, bool)>(), vec(any::<u8>(), 0..20), option::of(any::<u32>())).prop_map(
        |((max_len, id, reason, pause), userdata, meter)| {
            Action::Controller(Box::new(Controller { max_len, id, reason, userdata, pause, meter }))
        },
    );
    let sample = (any::<(u16, u32, u32, u32)>(), option::of((1u32..100).prop_map(PortNo)), 0..3u8).prop_map(
        |(n, port, direction)| {
            let (probability, collector_set, domain, point) = n;
            Action::Sample(Sample { probability, collector_set, domain, point, port, direction })
        },
    );
    let multipath = (any::<(u16, u16, u16, u16, u32)>(), subfield()).prop_map(|(n, target)| {
        let (fields, basis, algorithm, max_link, arg) = n;
        Action::Multipath(Multipath { fields, basis, algorithm, max_link, arg, target })
    });
    let bundle = (any::<(u16, u16, u16)>(), vec((0u32..0xff00).prop_map(PortNo), 0..6), option::of(subfield()))
        .prop_map(|((algorithm, fields, basis), members, target)| {
            Action::Bundle(Box::new(ActionBundle { algorithm, fields, basis, members, target }))
        });
    prop_oneof![
        controller,
        sample,
        multipath,
        bundle,
        nat().prop_map(Action::Nat),
        learn().prop_map(|learn| Action::Learn(Box::new(learn))),
        (1..4usize, any::<u8>()).prop_map(|(count, byte)| Action::Note(vec![byte; count * 8 - 2])),
        (any::<u16>(), bit()).prop_map(|(length, target)| Action::CheckPacketLarger { length, target }),
    ]
}

/// Actions whose form is the same in all versions.
fn leaf() -> impl Strategy<Value = Action> {
    prop_oneof![
        port().prop_map(Action::output),
        (subfield(), any::<u16>()).prop_map(|(source, max_len)| Action::OutputField { source, max_len }),
        (port(), any::<u32>()).prop_map(|(port, max_len)| Action::OutputTruncated { port, max_len }),
        any::<u32>().prop_map(Action::Group),
        any::<u32>().prop_map(Action::SetQueue),
        any::<u16>().prop_map(Action::PushVlan),
        any::<u16>().prop_map(Action::PushMpls),
        any::<u16>().prop_map(Action::PopMpls),
        any::<u8>().prop_map(Action::SetMplsTtl),
        any::<u8>().prop_map(Action::SetTtl),
        vec(any::<u16>(), 0..5).prop_map(Action::DecTtl),
        set_field(),
        two().prop_map(|(source, target)| Action::Move { source, target }),
        (option::of((0..0xff00u32).prop_map(PortNo)), option::of(0..0xffu8), any::<bool>())
            .prop_map(|(port, table, ct)| Action::Resubmit { port, table, ct }),
        any::<u64>().prop_map(Action::SetTunnel),
        any::<u32>().prop_map(|id| Action::SetTunnel(id.into())),
        subfield().prop_map(Action::Push),
        subfield().prop_map(Action::Pop),
        any::<(u32, u8, u8)>().prop_map(|(id, clause, clauses)| Action::Conjunction { id, clause, clauses }),
        any::<(u16, u16)>().prop_map(|(idle, hard)| Action::FinTimeout { idle, hard }),
        field().prop_map(Action::DeleteField),
        proptest::sample::select(vec![
            Action::PopVlan,
            Action::DecMplsTtl,
            Action::PopQueue,
            Action::CtClear,
            Action::Exit
        ]),
        long_actions(),
    ]
}

pub(crate) fn action(version: Version) -> BoxedStrategy<Action> {
    let own = match version {
        Version::V15 => any::<u32>().prop_map(Action::Meter).boxed(),
        _ => (subfield(), any::<u64>()).prop_map(|(target, value)| Action::Load { target, value }).boxed(),
    };
    prop_oneof![8 => leaf(), 1 => own]
        .prop_recursive(3, 12, 3, |inner| {
            let zone = prop_oneof![any::<u16>().prop_map(Zone::Number), subfield().prop_map(Zone::Field)];
            prop_oneof![
                vec(inner.clone(), 0..3).prop_map(Action::Clone),
                (any::<(bool, bool, u16)>(), zone, option::of(0..0xffu8), vec(inner, 0..3)).prop_map(
                    |((commit, force, alg), zone, table, actions)| Action::Ct(Box::new(Ct {
                        commit,
                        force,
                        zone,
                        table,
                        alg,
                        actions
                    }))
                ),
            ]
        })
        .boxed()
}
