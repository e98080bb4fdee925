//! The longer ones of Nicira's actions: nat, controller, sample, learn, multipath, bundle.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::action::{
    Action, Bundle, Controller, Learn, LearnSource, LearnSpec, LearnTarget, Multipath, Nat, NatKind, PortNo, Sample,
};
use crate::codec::action::{checked, put_name, put_port16, put_short_name, range, subfield};
use crate::codec::buf::{Reader, Writer};
use crate::codec::{oxm, prop};
use crate::error::{Error, Result};
use crate::field::Subfield;

/// Which optional parts a `nat` has, in the order in which they stand.
const NAT_IPV4_MIN: u16 = 1 << 0;
const NAT_IPV4_MAX: u16 = 1 << 1;
const NAT_IPV6_MIN: u16 = 1 << 2;
const NAT_IPV6_MAX: u16 = 1 << 3;
const NAT_PORT_MIN: u16 = 1 << 4;
const NAT_PORT_MAX: u16 = 1 << 5;

pub(crate) fn take_nat(r: &mut Reader<'_>) -> Result<Nat> {
    r.skip(2)?;
    let (flags, parts) = (r.u16()?, r.u16()?);
    let kind = match flags & 3 {
        0 => None,
        1 => Some(NatKind::Source),
        2 => Some(NatKind::Destination),
        both => return Err(r.wrong("the direction of nat", both)),
    };
    let mut nat =
        Nat { kind, persistent: flags & 4 != 0, hash: flags & 8 != 0, random: flags & 16 != 0, ..Nat::default() };
    let v4 = |r: &mut Reader<'_>| r.array::<4>().map(|a| IpAddr::from(Ipv4Addr::from(a)));
    let v6 = |r: &mut Reader<'_>| r.array::<16>().map(|a| IpAddr::from(Ipv6Addr::from(a)));
    if parts & NAT_IPV4_MIN != 0 {
        nat.addresses = Some((v4(r)?, if parts & NAT_IPV4_MAX != 0 { Some(v4(r)?) } else { None }));
    } else if parts & NAT_IPV6_MIN != 0 {
        nat.addresses = Some((v6(r)?, if parts & NAT_IPV6_MAX != 0 { Some(v6(r)?) } else { None }));
    }
    if parts & NAT_PORT_MIN != 0 {
        nat.ports = Some((r.u16()?, if parts & NAT_PORT_MAX != 0 { Some(r.u16()?) } else { None }));
    }
    Ok(nat)
}

pub(crate) fn put_nat(w: &mut Writer<'_>, nat: &Nat) -> Result<()> {
    let kind = match nat.kind {
        None => 0,
        Some(NatKind::Source) => 1,
        Some(NatKind::Destination) => 2,
    };
    w.zeros(2);
    w.u16(kind | u16::from(nat.persistent) << 2 | u16::from(nat.hash) << 3 | u16::from(nat.random) << 4);
    let parts_at = w.here();
    w.u16(0);
    let mut parts = 0;
    if let Some((first, last)) = nat.addresses {
        for (address, v4, v6) in [(Some(first), NAT_IPV4_MIN, NAT_IPV6_MIN), (last, NAT_IPV4_MAX, NAT_IPV6_MAX)] {
            match address {
                Some(IpAddr::V4(address)) => {
                    parts |= v4;
                    w.put(&address.octets());
                }
                Some(IpAddr::V6(address)) => {
                    parts |= v6;
                    w.put(&address.octets());
                }
                None => {}
            }
        }
    }
    if let Some((first, last)) = nat.ports {
        parts |= NAT_PORT_MIN;
        w.u16(first);
        if let Some(last) = last {
            parts |= NAT_PORT_MAX;
            w.u16(last);
        }
    }
    w.patch(parts_at, parts);
    Ok(())
}

/// Types of the properties of `controller`.
mod controller {
    pub(super) const MAX_LEN: u16 = 0;
    pub(super) const ID: u16 = 1;
    pub(super) const REASON: u16 = 2;
    pub(super) const USERDATA: u16 = 3;
    pub(super) const PAUSE: u16 = 4;
    pub(super) const METER: u16 = 5;
}

/// Whether the older form says all of it.
pub(crate) fn is_plain(controller: &Controller) -> bool {
    controller.userdata.is_empty() && !controller.pause && controller.meter.is_none()
}

pub(crate) fn take_controller(r: &mut Reader<'_>) -> Result<Action> {
    let (max_len, id, reason) = (r.u16()?, r.u16()?, r.u8()?);
    Ok(Action::Controller(Box::new(Controller { max_len, id, reason, ..Controller::default() })))
}

pub(crate) fn take_controller2(r: &mut Reader<'_>) -> Result<Action> {
    r.skip(6)?;
    let mut out = Controller::default();
    while !r.is_empty() {
        let (kind, mut body) = prop::take(r, "a property of controller")?;
        match kind {
            controller::MAX_LEN => out.max_len = body.u16()?,
            controller::ID => out.id = body.u16()?,
            controller::REASON => out.reason = body.u8()?,
            controller::USERDATA => out.userdata = body.rest().to_vec(),
            controller::PAUSE => out.pause = true,
            controller::METER => out.meter = Some(body.u32()?),
            other => return Err(r.wrong("the type of a property of controller", other)),
        }
    }
    Ok(Action::Controller(Box::new(out)))
}

pub(crate) fn put_controller2(w: &mut Writer<'_>, value: &Controller) -> Result<()> {
    let usual = Controller::default();
    w.zeros(6);
    if value.max_len != usual.max_len {
        prop::put_u16(w, controller::MAX_LEN, value.max_len)?;
    }
    if value.id != usual.id {
        prop::put_u16(w, controller::ID, value.id)?;
    }
    if value.reason != usual.reason {
        prop::put_u8(w, controller::REASON, value.reason)?;
    }
    if !value.userdata.is_empty() {
        prop::put_bytes(w, controller::USERDATA, &value.userdata)?;
    }
    if value.pause {
        prop::put_bytes(w, controller::PAUSE, &[])?;
    }
    if let Some(meter) = value.meter {
        prop::put_u32(w, controller::METER, meter)?;
    }
    Ok(())
}

pub(crate) fn take_sample(r: &mut Reader<'_>, long: bool) -> Result<Sample> {
    let (probability, collector_set, domain, point) = (r.u16()?, r.u32()?, r.u32()?, r.u32()?);
    let mut sample = Sample { probability, collector_set, domain, point, port: None, direction: 0 };
    if long {
        sample.port = Some(PortNo::from_u16(r.u16()?)).filter(|port| *port != PortNo::ANY);
        sample.direction = r.u8()?;
    }
    Ok(sample)
}

pub(crate) fn put_sample(w: &mut Writer<'_>, sample: &Sample, long: bool) -> Result<()> {
    w.u16(sample.probability);
    for number in [sample.collector_set, sample.domain, sample.point] {
        w.u32(number);
    }
    if long {
        put_port16(w, sample.port.unwrap_or(PortNo::ANY))?;
        w.u8(sample.direction);
        w.zeros(5);
    }
    Ok(())
}

const LEARN_REMOVED: u16 = 1 << 0;
const LEARN_DELETE: u16 = 1 << 1;
const LEARN_RESULT: u16 = 1 << 2;
/// Of the two bytes before a specification: where the bits are from, where they go, how many.
const SPEC_VALUE: u16 = 1 << 13;
const SPEC_TARGET: u16 = 3 << 11;
const SPEC_LOAD: u16 = 1 << 11;
const SPEC_OUTPUT: u16 = 2 << 11;
const SPEC_BITS: u16 = 0x3ff;

pub(crate) fn take_learn(r: &mut Reader<'_>, long: bool) -> Result<Action> {
    let (idle_timeout, hard_timeout, priority, cookie) = (r.u16()?, r.u16()?, r.u16()?, r.u64()?);
    let (flags, table) = (r.u16()?, r.u8()?);
    r.skip(1)?;
    let (fin_idle_timeout, fin_hard_timeout) = (r.u16()?, r.u16()?);
    let mut learn = Learn {
        idle_timeout,
        hard_timeout,
        priority,
        cookie,
        table,
        send_flow_removed: flags & LEARN_REMOVED != 0,
        delete_learned: flags & LEARN_DELETE != 0,
        fin_idle_timeout,
        fin_hard_timeout,
        ..Learn::default()
    };
    if long {
        learn.limit = r.u32()?;
        let offset = r.u16()?;
        r.skip(2)?;
        if flags & LEARN_RESULT != 0 {
            learn.result = Some(checked(Subfield { field: oxm::take_name(r)?, offset, bits: 1 })?);
        }
    }
    while r.len() >= 2 {
        let head = r.u16()?;
        if head == 0 {
            break;
        }
        learn.specs.push(take_spec(r, head)?);
    }
    Ok(Action::Learn(Box::new(learn)))
}

fn take_spec(r: &mut Reader<'_>, head: u16) -> Result<LearnSpec> {
    let bits = head & SPEC_BITS;
    let part = |r: &mut Reader<'_>| -> Result<Subfield> {
        let field = oxm::take_name(r)?;
        checked(Subfield { field, offset: r.u16()?, bits })
    };
    let source = if head & SPEC_VALUE != 0 {
        // In whole pairs of bytes.
        let bytes = usize::from(bits).div_ceil(16) * 2;
        LearnSource::Value(r.number(bytes)?)
    } else {
        let from = part(r)?;
        LearnSource::Field { field: from.field, offset: from.offset }
    };
    let target = match head & SPEC_TARGET {
        SPEC_OUTPUT => LearnTarget::Output,
        kind => {
            let to = part(r)?;
            let (field, offset) = (to.field, to.offset);
            match kind {
                0 => LearnTarget::Match { field, offset },
                SPEC_LOAD => LearnTarget::Load { field, offset },
                other => return Err(r.wrong("the target of a learned flow", other >> 11)),
            }
        }
    };
    Ok(LearnSpec { bits, source, target })
}

pub(crate) fn put_learn(w: &mut Writer<'_>, learn: &Learn, long: bool) -> Result<()> {
    for number in [learn.idle_timeout, learn.hard_timeout, learn.priority] {
        w.u16(number);
    }
    w.u64(learn.cookie);
    let mut flags = 0;
    for (set, flag) in [
        (learn.send_flow_removed, LEARN_REMOVED),
        (learn.delete_learned, LEARN_DELETE),
        (learn.result.is_some(), LEARN_RESULT),
    ] {
        flags |= if set { flag } else { 0 };
    }
    w.u16(flags);
    w.u8(learn.table);
    w.zeros(1);
    w.u16(learn.fin_idle_timeout);
    w.u16(learn.fin_hard_timeout);
    if long {
        w.u32(learn.limit);
        w.u16(learn.result.map_or(0, |bit| bit.offset));
        w.zeros(2);
        if let Some(bit) = learn.result {
            put_name(w, bit.field);
        }
    }
    learn.specs.iter().try_for_each(|spec| put_spec(w, spec))
}

fn put_spec(w: &mut Writer<'_>, spec: &LearnSpec) -> Result<()> {
    let bytes = usize::from(spec.bits).div_ceil(16) * 2;
    if spec.bits == 0 || spec.bits > SPEC_BITS || bytes > 16 {
        return Err(Error::Value { what: "the bits of a learned flow", value: spec.bits.into() });
    }
    let source = if matches!(spec.source, LearnSource::Value(_)) { SPEC_VALUE } else { 0 };
    let target = match spec.target {
        LearnTarget::Match { .. } => 0,
        LearnTarget::Load { .. } => SPEC_LOAD,
        LearnTarget::Output => SPEC_OUTPUT,
    };
    w.u16(source | target | spec.bits);
    match spec.source {
        LearnSource::Value(value) => w.number(value, bytes),
        LearnSource::Field { field, offset } => {
            put_name(w, field);
            w.u16(offset);
        }
    }
    match spec.target {
        LearnTarget::Match { field, offset } | LearnTarget::Load { field, offset } => {
            put_name(w, field);
            w.u16(offset);
        }
        LearnTarget::Output => {}
    }
    Ok(())
}

pub(crate) fn take_multipath(r: &mut Reader<'_>) -> Result<Multipath> {
    let (fields, basis) = (r.u16()?, r.u16()?);
    r.skip(2)?;
    let (algorithm, max_link, arg) = (r.u16()?, r.u16()?, r.u32()?);
    r.skip(2)?;
    let bits = r.u16()?;
    Ok(Multipath { fields, basis, algorithm, max_link, arg, target: subfield(oxm::take_name(r)?, bits)? })
}

pub(crate) fn put_multipath(w: &mut Writer<'_>, multipath: &Multipath) -> Result<()> {
    for number in [multipath.fields, multipath.basis, 0, multipath.algorithm, multipath.max_link] {
        w.u16(number);
    }
    w.u32(multipath.arg);
    w.zeros(2);
    w.u16(range(multipath.target)?);
    put_short_name(w, multipath.target.field)
}

/// What the members of a bundle are: NXM's 16-bit input port.
const MEMBERS_ARE_PORTS: u32 = 0x0000_0002;

pub(crate) fn take_bundle(r: &mut Reader<'_>, load: bool) -> Result<Action> {
    let (algorithm, fields, basis) = (r.u16()?, r.u16()?, r.u16()?);
    let kind = r.u32()?;
    if kind != MEMBERS_ARE_PORTS {
        return Err(r.wrong("the kind of a bundle's members", kind));
    }
    let (count, bits) = (r.u16()?, r.u16()?);
    let target = if load {
        Some(subfield(oxm::take_name(r)?, bits)?)
    } else {
        r.skip(4)?;
        None
    };
    r.skip(4)?;
    let members = (0..count).map(|_| r.u16().map(PortNo::from_u16)).collect::<Result<_>>()?;
    Ok(Action::Bundle(Box::new(Bundle { algorithm, fields, basis, members, target })))
}

pub(crate) fn put_bundle(w: &mut Writer<'_>, bundle: &Bundle) -> Result<()> {
    for number in [bundle.algorithm, bundle.fields, bundle.basis] {
        w.u16(number);
    }
    w.u32(MEMBERS_ARE_PORTS);
    w.u16(bundle.members.len() as u16);
    match bundle.target {
        Some(target) => {
            w.u16(range(target)?);
            put_short_name(w, target.field)?;
        }
        None => w.zeros(6),
    }
    w.zeros(4);
    bundle.members.iter().try_for_each(|port| put_port16(w, *port))
}
