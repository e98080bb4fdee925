//! Actions, written.

use std::fmt;
use std::net::IpAddr;

use crate::action::{Action, Bundle, Controller, Ct, Multipath, Nat, NatKind, PortNo, Sample, WHOLE, Zone};
use crate::text::value;

/// Words for what is hashed, by number (ovs-actions(7), `multipath`).
pub(super) const HASH_FIELDS: &[&str] =
    &["eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst", "symmetric_l3"];
/// Words for the algorithms of `multipath`.
pub(super) const MULTIPATH: &[&str] = &["modulo_n", "hash_threshold", "hrw", "iter_hash"];
/// Words for those of `bundle`.
pub(super) const BUNDLE: &[&str] = &["active_backup", "hrw"];
/// Words for why a packet comes to the controller.
pub(super) const REASONS: &[&str] =
    &["no_match", "action", "invalid_ttl", "action_set", "group", "packet_out", "explicit_miss", "implicit_miss"];
/// Helpers of the connection tracker.
pub(super) const HELPERS: &[(u16, &str)] = &[(21, "ftp"), (69, "tftp")];

/// A list with commas between.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            one.fmt(f)?;
        }
        Ok(())
    }
}

/// Items with commas between, written as they come.
pub(super) struct Items<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    any: bool,
}

impl<'a, 'b> Items<'a, 'b> {
    pub(super) fn new(f: &'a mut fmt::Formatter<'b>) -> Self {
        Self { f, any: false }
    }

    pub(super) fn item(&mut self, item: fmt::Arguments<'_>) -> fmt::Result {
        if std::mem::replace(&mut self.any, true) {
            self.f.write_str(",")?;
        }
        self.f.write_fmt(item)
    }

    pub(super) fn item_if(&mut self, when: bool, item: fmt::Arguments<'_>) -> fmt::Result {
        if when { self.item(item) } else { Ok(()) }
    }
}

/// Bytes as `00.1f.ff`.
struct Dotted<'a>(&'a [u8]);

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if at > 0 { "." } else { "" })?;
        }
        Ok(())
    }
}

fn known(words: &'static [&'static str], number: u16) -> &'static str {
    words.get(usize::from(number)).copied().unwrap_or("unknown")
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output { port: PortNo::CONTROLLER, max_len } => write!(f, "CONTROLLER:{max_len}"),
            Self::Output { port, .. } => match port.word() {
                Some(word) => f.write_str(word),
                None => write!(f, "output:{port}"),
            },
            Self::OutputField { source, .. } => write!(f, "output:{source}"),
            Self::OutputTruncated { port, max_len } => write!(f, "output(port={port},max_len={max_len})"),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::SetQueue(queue) => write!(f, "set_queue:{queue}"),
            Self::PopQueue => f.write_str("pop_queue"),
            Self::PushVlan(kind) => write!(f, "push_vlan:{kind:#06x}"),
            Self::PopVlan => f.write_str("pop_vlan"),
            Self::PushMpls(kind) => write!(f, "push_mpls:{kind:#06x}"),
            Self::PopMpls(kind) => write!(f, "pop_mpls:{kind:#06x}"),
            Self::SetMplsTtl(ttl) => write!(f, "set_mpls_ttl({ttl})"),
            Self::DecMplsTtl => f.write_str("dec_mpls_ttl"),
            Self::SetTtl(ttl) => write!(f, "mod_nw_ttl:{ttl}"),
            Self::DecTtl(ids) if ids.is_empty() => f.write_str("dec_ttl"),
            Self::DecTtl(ids) => write!(f, "dec_ttl({})", List(ids)),
            Self::SetField { field, value, mask } => {
                f.write_str("set_field:")?;
                match mask {
                    Some(mask) if field.spec().kind == crate::field::Kind::Decimal => {
                        write!(f, "{value:#x}/{mask:#x}")?
                    }
                    _ => value::write(f, *field, *value, *mask)?,
                }
                write!(f, "->{}", field.spec().name)
            }
            Self::Load { target, value } => write!(f, "load:{value:#x}->{target}"),
            Self::Move { source, target } => write!(f, "move:{source}->{target}"),
            Self::Resubmit { port, table: None, ct: false } => {
                write!(f, "resubmit:{}", port.unwrap_or(PortNo::IN_PORT))
            }
            Self::Resubmit { port, table, ct } => {
                f.write_str("resubmit(")?;
                port.iter().try_for_each(|port| write!(f, "{port}"))?;
                f.write_str(",")?;
                table.iter().try_for_each(|table| write!(f, "{table}"))?;
                f.write_str(if *ct { ",ct)" } else { ")" })
            }
            Self::SetTunnel(id) if *id > u32::MAX.into() => write!(f, "set_tunnel64:{id:#x}"),
            Self::SetTunnel(id) => write!(f, "set_tunnel:{id:#x}"),
            Self::Push(bits) => write!(f, "push:{bits}"),
            Self::Pop(bits) => write!(f, "pop:{bits}"),
            Self::Ct(ct) => write_ct(f, ct),
            Self::CtClear => f.write_str("ct_clear"),
            Self::Nat(nat) => write_nat(f, nat),
            Self::Learn(learn) => learn.fmt(f),
            Self::Conjunction { id, clause, clauses } => {
                write!(f, "conjunction({id},{}/{clauses})", u16::from(*clause) + 1)
            }
            Self::Controller(controller) => write_controller(f, controller),
            Self::Clone(actions) => write!(f, "clone({})", List(actions)),
            Self::Sample(sample) => write_sample(f, sample),
            Self::Meter(meter) => write!(f, "meter:{meter}"),
            Self::Note(bytes) => write!(f, "note:{}", Dotted(bytes)),
            Self::CheckPacketLarger { length, target } => write!(f, "check_pkt_larger({length})->{target}"),
            Self::Multipath(multipath) => write_multipath(f, multipath),
            Self::Bundle(bundle) => write_bundle(f, bundle),
            Self::FinTimeout { idle, hard } => {
                f.write_str("fin_timeout(")?;
                let mut items = Items::new(f);
                items.item_if(*idle != 0, format_args!("idle_timeout={idle}"))?;
                items.item_if(*hard != 0, format_args!("hard_timeout={hard}"))?;
                f.write_str(")")
            }
            Self::Exit => f.write_str("exit"),
            Self::DeleteField(field) => write!(f, "delete_field:{}", field.spec().name),
            Self::Unknown(bytes) => write!(f, "unknown:{}", Dotted(bytes)),
        }
    }
}

fn write_ct(f: &mut fmt::Formatter<'_>, ct: &Ct) -> fmt::Result {
    f.write_str("ct(")?;
    let mut items = Items::new(f);
    items.item_if(ct.commit, format_args!("commit"))?;
    items.item_if(ct.force, format_args!("force"))?;
    ct.table.iter().try_for_each(|table| items.item(format_args!("table={table}")))?;
    match ct.zone {
        Zone::Number(zone) => items.item_if(zone != 0, format_args!("zone={zone}"))?,
        Zone::Field(bits) => items.item(format_args!("zone={bits}"))?,
    }
    let (nats, others): (Vec<&Action>, Vec<&Action>) =
        ct.actions.iter().partition(|action| matches!(action, Action::Nat(_)));
    nats.iter().try_for_each(|nat| items.item(format_args!("{nat}")))?;
    items.item_if(!others.is_empty(), format_args!("exec({})", List(&others)))?;
    match HELPERS.iter().find(|(port, _)| *port == ct.alg) {
        Some((_, name)) => items.item(format_args!("alg={name}"))?,
        None => items.item_if(ct.alg != 0, format_args!("alg={}", ct.alg))?,
    }
    f.write_str(")")
}

fn write_nat(f: &mut fmt::Formatter<'_>, nat: &Nat) -> fmt::Result {
    let Some(kind) = nat.kind else {
        return f.write_str("nat");
    };
    f.write_str(match kind {
        NatKind::Source => "nat(src",
        NatKind::Destination => "nat(dst",
    })?;
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_string(),
        // Ports follow a colon.
        IpAddr::V6(address) if nat.ports.is_some() => format!("[{address}]"),
        IpAddr::V6(address) => address.to_string(),
    };
    if nat.addresses.is_some() || nat.ports.is_some() {
        f.write_str("=")?;
    }
    if let Some((first, last)) = nat.addresses {
        f.write_str(&address(first))?;
        last.iter().try_for_each(|last| write!(f, "-{}", address(*last)))?;
    }
    if let Some((first, last)) = nat.ports {
        write!(f, ":{first}")?;
        last.iter().try_for_each(|last| write!(f, "-{last}"))?;
    }
    for (set, flag) in [(nat.persistent, ",persistent"), (nat.hash, ",hash"), (nat.random, ",random")] {
        f.write_str(if set { flag } else { "" })?;
    }
    f.write_str(")")
}

fn write_controller(f: &mut fmt::Formatter<'_>, controller: &Controller) -> fmt::Result {
    f.write_str("controller(")?;
    let Controller { max_len, id, reason, userdata, pause, meter } = controller;
    let mut items = Items::new(f);
    items.item_if(*reason != 1, format_args!("reason={}", known(REASONS, (*reason).into())))?;
    items.item_if(*max_len != WHOLE, format_args!("max_len={max_len}"))?;
    items.item_if(*id != 0, format_args!("id={id}"))?;
    items.item_if(!userdata.is_empty(), format_args!("userdata={}", Dotted(userdata)))?;
    items.item_if(*pause, format_args!("pause"))?;
    meter.iter().try_for_each(|meter| items.item(format_args!("meter_id={meter}")))?;
    f.write_str(")")
}

fn write_sample(f: &mut fmt::Formatter<'_>, sample: &Sample) -> fmt::Result {
    let Sample { probability, collector_set, domain, point, port, direction } = sample;
    write!(
        f,
        "sample(probability={probability},collector_set_id={collector_set},obs_domain_id={domain},obs_point_id={point}"
    )?;
    port.iter().try_for_each(|port| write!(f, ",sampling_port={port}"))?;
    f.write_str(match direction {
        1 => ",ingress)",
        2 => ",egress)",
        _ => ")",
    })
}

fn write_multipath(f: &mut fmt::Formatter<'_>, multipath: &Multipath) -> fmt::Result {
    let Multipath { fields, basis, algorithm, max_link, arg, target } = multipath;
    let (fields, algorithm) = (known(HASH_FIELDS, *fields), known(MULTIPATH, *algorithm));
    write!(f, "multipath({fields},{basis},{algorithm},{},{arg},{target})", u32::from(*max_link) + 1)
}

fn write_bundle(f: &mut fmt::Formatter<'_>, bundle: &Bundle) -> fmt::Result {
    let Bundle { algorithm, fields, basis, members, target } = bundle;
    let (fields, algorithm) = (known(HASH_FIELDS, *fields), known(BUNDLE, *algorithm));
    f.write_str(if target.is_some() { "bundle_load(" } else { "bundle(" })?;
    write!(f, "{fields},{basis},{algorithm},ofport,")?;
    target.iter().try_for_each(|target| write!(f, "{target},"))?;
    write!(f, "members:{})", List(members))
}
