//! Actions on the wire: those of the standard (OpenFlow 1.3, section 7.2.5, and 1.5.1, section 7.2.6) by their type, those of Open vSwitch by
//! the subtype of their experimenter action.

use crate::action::{Action, Ct, PortNo, Zone};
use crate::codec::action_extra as extra;
use crate::codec::buf::{Reader, Wire, Writer};
use crate::codec::oxm::{self, A_FIELD, Entry};
use crate::error::{Error, Result};
use crate::field::{CLASS_EXPERIMENTER, Field, NICIRA, Subfield};
use crate::version::Version;

/// Types of the standard.
mod of {
    pub(super) const OUTPUT: u16 = 0;
    pub(super) const SET_MPLS_TTL: u16 = 15;
    pub(super) const DEC_MPLS_TTL: u16 = 16;
    pub(super) const PUSH_VLAN: u16 = 17;
    pub(super) const POP_VLAN: u16 = 18;
    pub(super) const PUSH_MPLS: u16 = 19;
    pub(super) const POP_MPLS: u16 = 20;
    pub(super) const SET_QUEUE: u16 = 21;
    pub(super) const GROUP: u16 = 22;
    pub(super) const SET_NW_TTL: u16 = 23;
    pub(super) const DEC_NW_TTL: u16 = 24;
    pub(super) const SET_FIELD: u16 = 25;
    pub(super) const COPY_FIELD: u16 = 28;
    pub(super) const METER: u16 = 29;
    pub(super) const EXPERIMENTER: u16 = 0xffff;
}

/// Subtypes of Nicira's.
mod nx {
    pub(super) const RESUBMIT: u16 = 1;
    pub(super) const SET_TUNNEL: u16 = 2;
    pub(super) const POP_QUEUE: u16 = 5;
    pub(super) const REG_MOVE: u16 = 6;
    pub(super) const REG_LOAD: u16 = 7;
    pub(super) const NOTE: u16 = 8;
    pub(super) const SET_TUNNEL64: u16 = 9;
    pub(super) const MULTIPATH: u16 = 10;
    pub(super) const BUNDLE: u16 = 12;
    pub(super) const BUNDLE_LOAD: u16 = 13;
    pub(super) const RESUBMIT_TABLE: u16 = 14;
    pub(super) const OUTPUT_REG: u16 = 15;
    pub(super) const LEARN: u16 = 16;
    pub(super) const EXIT: u16 = 17;
    pub(super) const FIN_TIMEOUT: u16 = 19;
    pub(super) const CONTROLLER: u16 = 20;
    pub(super) const DEC_TTL_CNT_IDS: u16 = 21;
    pub(super) const STACK_PUSH: u16 = 27;
    pub(super) const STACK_POP: u16 = 28;
    pub(super) const SAMPLE: u16 = 29;
    pub(super) const OUTPUT_REG2: u16 = 32;
    pub(super) const REG_LOAD2: u16 = 33;
    pub(super) const CONJUNCTION: u16 = 34;
    pub(super) const CT: u16 = 35;
    pub(super) const NAT: u16 = 36;
    pub(super) const CONTROLLER2: u16 = 37;
    pub(super) const SAMPLE2: u16 = 38;
    pub(super) const OUTPUT_TRUNC: u16 = 39;
    pub(super) const SAMPLE3: u16 = 41;
    pub(super) const CLONE: u16 = 42;
    pub(super) const CT_CLEAR: u16 = 43;
    pub(super) const RESUBMIT_TABLE_CT: u16 = 44;
    pub(super) const LEARN2: u16 = 45;
    pub(super) const CHECK_PKT_LARGER: u16 = 49;
    pub(super) const DELETE_FIELD: u16 = 50;
}

/// No table, in the extensions.
pub(crate) const NO_TABLE: u8 = 0xff;

/// Actions until the end of the bytes.
pub(crate) fn take_actions(r: &mut Reader<'_>) -> Result<Vec<Action>> {
    Action::take_all(r)
}

pub(crate) fn put_actions(w: &mut Writer<'_>, actions: &[Action]) -> Result<()> {
    Action::put_all(actions, w)
}

impl Wire for Action {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let whole = r.peek();
        let (kind, length) = (r.u16()?, usize::from(r.u16()?));
        let mut part = r.entry(length, 4, "an action")?;
        let known = if kind == of::EXPERIMENTER {
            match part.u32()? {
                NICIRA => {
                    let subtype = part.u16()?;
                    take_nicira(subtype, &mut part)
                }
                _ => Ok(None),
            }
        } else {
            take_standard(kind, &mut part)
        };
        match known {
            Ok(Some(action)) => Ok(action),
            // Also an action on a field that is not in the table is kept as it came.
            Ok(None) | Err(Error::Value { what: A_FIELD, .. }) => Ok(Action::Unknown(whole[..length].to_vec())),
            Err(error) => Err(error),
        }
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        put_action(w, self)
    }
}

fn take_standard(kind: u16, r: &mut Reader<'_>) -> Result<Option<Action>> {
    Ok(Some(match kind {
        of::OUTPUT => Action::Output { port: PortNo::take(r)?, max_len: r.u16()? },
        of::SET_MPLS_TTL => Action::SetMplsTtl(r.u8()?),
        of::DEC_MPLS_TTL => Action::DecMplsTtl,
        of::PUSH_VLAN => Action::PushVlan(r.u16()?),
        of::POP_VLAN => Action::PopVlan,
        of::PUSH_MPLS => Action::PushMpls(r.u16()?),
        of::POP_MPLS => Action::PopMpls(r.u16()?),
        of::SET_QUEUE => Action::SetQueue(r.u32()?),
        of::GROUP => Action::Group(r.u32()?),
        of::SET_NW_TTL => Action::SetTtl(r.u8()?),
        of::DEC_NW_TTL => Action::DecTtl(Vec::new()),
        of::SET_FIELD => take_set_field(r)?,
        of::COPY_FIELD if r.version() >= Version::V15 => {
            let (bits, from, to) = (r.u16()?, r.u16()?, r.u16()?);
            r.skip(2)?;
            take_move(r, bits, from, to)?
        }
        of::METER if r.version() >= Version::V15 => Action::Meter(r.u32()?),
        _ => return Ok(None),
    }))
}

fn take_nicira(subtype: u16, r: &mut Reader<'_>) -> Result<Option<Action>> {
    Ok(Some(match subtype {
        nx::RESUBMIT => Action::Resubmit { port: take_in_port(r)?, table: None, ct: false },
        nx::RESUBMIT_TABLE | nx::RESUBMIT_TABLE_CT => {
            let port = take_in_port(r)?;
            let table = Some(r.u8()?).filter(|table| *table != NO_TABLE);
            Action::Resubmit { port, table, ct: subtype == nx::RESUBMIT_TABLE_CT }
        }
        nx::SET_TUNNEL => {
            r.skip(2)?;
            Action::SetTunnel(r.u32()?.into())
        }
        nx::SET_TUNNEL64 => {
            r.skip(6)?;
            Action::SetTunnel(r.u64()?)
        }
        nx::POP_QUEUE => Action::PopQueue,
        nx::REG_MOVE => {
            let (bits, from, to) = (r.u16()?, r.u16()?, r.u16()?);
            take_move(r, bits, from, to)?
        }
        nx::REG_LOAD => {
            let range = r.u16()?;
            let (target, value) = (subfield(oxm::take_name(r)?, range)?, r.u64()?);
            if is_set_field(target.field, r.version()) {
                load_as_set_field(target, value)
            } else {
                Action::Load { target, value }
            }
        }
        nx::REG_LOAD2 => take_set_field(r)?,
        nx::NOTE => Action::Note(r.rest().to_vec()),
        nx::OUTPUT_REG => {
            let range = r.u16()?;
            Action::OutputField { source: subfield(oxm::take_name(r)?, range)?, max_len: r.u16()? }
        }
        nx::OUTPUT_REG2 => {
            let (range, max_len) = (r.u16()?, r.u16()?);
            Action::OutputField { source: subfield(oxm::take_name(r)?, range)?, max_len }
        }
        nx::OUTPUT_TRUNC => Action::OutputTruncated { port: PortNo::from_u16(r.u16()?), max_len: r.u32()? },
        nx::EXIT => Action::Exit,
        nx::FIN_TIMEOUT => Action::FinTimeout { idle: r.u16()?, hard: r.u16()? },
        nx::DEC_TTL_CNT_IDS => {
            let count = r.u16()?;
            r.skip(4)?;
            Action::DecTtl((0..count).map(|_| r.u16()).collect::<Result<_>>()?)
        }
        nx::STACK_PUSH | nx::STACK_POP => {
            let offset = r.u16()?;
            let field = oxm::take_name(r)?;
            let bits = checked(Subfield { field, offset, bits: r.u16()? })?;
            if subtype == nx::STACK_PUSH { Action::Push(bits) } else { Action::Pop(bits) }
        }
        nx::CONJUNCTION => {
            let (clause, clauses) = (r.u8()?, r.u8()?);
            Action::Conjunction { id: r.u32()?, clause, clauses }
        }
        nx::CLONE => {
            r.skip(6)?;
            Action::Clone(take_actions(&mut r.deeper(r.len(), "actions of a clone")?)?)
        }
        nx::CT_CLEAR => Action::CtClear,
        nx::CT => take_ct(r)?,
        nx::NAT => Action::Nat(extra::take_nat(r)?),
        nx::CONTROLLER => extra::take_controller(r)?,
        nx::CONTROLLER2 => extra::take_controller2(r)?,
        nx::SAMPLE => Action::Sample(extra::take_sample(r, false)?),
        nx::SAMPLE2 | nx::SAMPLE3 => Action::Sample(extra::take_sample(r, true)?),
        nx::LEARN => extra::take_learn(r, false)?,
        nx::LEARN2 => extra::take_learn(r, true)?,
        nx::MULTIPATH => Action::Multipath(extra::take_multipath(r)?),
        nx::BUNDLE | nx::BUNDLE_LOAD => extra::take_bundle(r, subtype == nx::BUNDLE_LOAD)?,
        nx::CHECK_PKT_LARGER => {
            let (length, offset) = (r.u16()?, r.u16()?);
            Action::CheckPacketLarger {
                length,
                target: checked(Subfield { field: oxm::take_name(r)?, offset, bits: 1 })?,
            }
        }
        nx::DELETE_FIELD => Action::DeleteField(oxm::take_name(r)?),
        _ => return Ok(None),
    }))
}

fn take_in_port(r: &mut Reader<'_>) -> Result<Option<PortNo>> {
    let port = PortNo::from_u16(r.u16()?);
    Ok(Some(port).filter(|port| *port != PortNo::IN_PORT))
}

fn take_set_field(r: &mut Reader<'_>) -> Result<Action> {
    match oxm::take_entry(r)? {
        Entry::Known(field, value, mask) => {
            let full = field.full_mask();
            let mask = mask.map(|mask| mask & full).filter(|mask| *mask != full);
            Ok(Action::SetField { field, value: value & mask.unwrap_or(full), mask })
        }
        Entry::Unknown(unknown) => Err(r.wrong(A_FIELD, unknown.number)),
    }
}

/// Whether a load of this field is written as set-field: OpenFlow 1.5 has no other, the older form has no room for an experimenter's header, and
/// Open vSwitch does so with options of tunnels.
fn is_set_field(field: Field, version: Version) -> bool {
    version >= Version::V15 || field.extension_header().class == CLASS_EXPERIMENTER || field.tun_metadata().is_some()
}

fn load_as_set_field(target: Subfield, value: u64) -> Action {
    let (value, mask) = target.place(value.into());
    Action::SetField { field: target.field, value, mask: Some(mask).filter(|mask| *mask != target.field.full_mask()) }
}

fn take_move(r: &mut Reader<'_>, bits: u16, from: u16, to: u16) -> Result<Action> {
    let source = checked(Subfield { field: oxm::take_name(r)?, offset: from, bits })?;
    let target = checked(Subfield { field: oxm::take_name(r)?, offset: to, bits })?;
    Ok(Action::Move { source, target })
}

fn take_ct(r: &mut Reader<'_>) -> Result<Action> {
    let flags = r.u16()?;
    let by_field = r.peek().get(..4).is_some_and(|header| header != [0; 4]);
    let zone = if by_field {
        let field = oxm::take_name(r)?;
        Zone::Field(subfield(field, r.u16()?)?)
    } else {
        r.skip(4)?;
        Zone::Number(r.u16()?)
    };
    let table = Some(r.u8()?).filter(|table| *table != NO_TABLE);
    r.skip(3)?;
    let alg = r.u16()?;
    let actions = take_actions(&mut r.deeper(r.len(), "actions of ct")?)?;
    Ok(Action::Ct(Box::new(Ct { commit: flags & 1 != 0, force: flags & 2 != 0, zone, table, alg, actions })))
}

/// `range` is the offset in ten bits, and the bits less one in six.
pub(crate) fn subfield(field: Field, range: u16) -> Result<Subfield> {
    checked(Subfield { field, offset: range >> 6, bits: (range & 0x3f) + 1 })
}

pub(crate) fn checked(subfield: Subfield) -> Result<Subfield> {
    if subfield.is_valid() {
        return Ok(subfield);
    }
    Err(Error::Value {
        what: "the end of a range of bits",
        value: u64::from(subfield.offset) + u64::from(subfield.bits),
    })
}

pub(crate) fn range(subfield: Subfield) -> Result<u16> {
    if subfield.bits == 0 || subfield.bits > 64 || subfield.offset >= 1 << 10 {
        return Err(Error::Value { what: "the number of bits of a range", value: subfield.bits.into() });
    }
    Ok(subfield.offset << 6 | (subfield.bits - 1))
}

/// One action of the standard: type, length, what `body` writes, zeros up to eight.
fn standard(w: &mut Writer<'_>, kind: u16, body: impl FnOnce(&mut Writer<'_>)) -> Result<()> {
    let start = w.here();
    w.u16(kind);
    w.u16(0);
    body(w);
    w.align(start);
    w.length(start + 2, start);
    Ok(())
}

/// One action of Nicira's.
fn nicira(w: &mut Writer<'_>, subtype: u16, body: impl FnOnce(&mut Writer<'_>) -> Result<()>) -> Result<()> {
    let start = w.here();
    w.u16(of::EXPERIMENTER);
    w.u16(0);
    w.u32(NICIRA);
    w.u16(subtype);
    body(w)?;
    w.align(start);
    w.length(start + 2, start);
    Ok(())
}

/// The oldest header of a field. It has 4 bytes, or 8 when its class is an experimenter's.
pub(crate) fn put_name(w: &mut Writer<'_>, field: Field) {
    oxm::put_name(w, field, field.extension_header());
}

/// A header where there is room for 4 bytes alone.
pub(crate) fn put_short_name(w: &mut Writer<'_>, field: Field) -> Result<()> {
    if field.extension_header().class == CLASS_EXPERIMENTER {
        return Err(Error::NotIn {
            what: "this action on a field with an experimenter's header",
            version: w.version(),
        });
    }
    put_name(w, field);
    Ok(())
}

fn put_action(w: &mut Writer<'_>, action: &Action) -> Result<()> {
    let v15 = w.version() >= Version::V15;
    match action {
        Action::Output { port, max_len } => standard(w, of::OUTPUT, |w| {
            w.u32(port.0);
            w.u16(*max_len);
            w.zeros(6);
        }),
        Action::Group(group) => standard(w, of::GROUP, |w| w.u32(*group)),
        Action::SetQueue(queue) => standard(w, of::SET_QUEUE, |w| w.u32(*queue)),
        Action::PushVlan(kind) => standard(w, of::PUSH_VLAN, |w| w.u16(*kind)),
        Action::PopVlan => standard(w, of::POP_VLAN, |w| w.zeros(4)),
        Action::PushMpls(kind) => standard(w, of::PUSH_MPLS, |w| w.u16(*kind)),
        Action::PopMpls(kind) => standard(w, of::POP_MPLS, |w| w.u16(*kind)),
        Action::SetMplsTtl(ttl) => standard(w, of::SET_MPLS_TTL, |w| w.u8(*ttl)),
        Action::DecMplsTtl => standard(w, of::DEC_MPLS_TTL, |w| w.zeros(4)),
        Action::SetTtl(ttl) => standard(w, of::SET_NW_TTL, |w| w.u8(*ttl)),
        Action::DecTtl(ids) if ids.is_empty() => standard(w, of::DEC_NW_TTL, |w| w.zeros(4)),
        Action::Meter(meter) if v15 => standard(w, of::METER, |w| w.u32(*meter)),
        Action::Meter(_) => Err(Error::NotIn { what: "the action meter", version: w.version() }),
        Action::SetField { field, value, mask } => put_set_field(w, *field, *value, *mask),
        Action::Load { target, value } if is_set_field(target.field, w.version()) => {
            put_action(w, &load_as_set_field(*target, *value))
        }
        Action::Move { source, target } if v15 => standard(w, of::COPY_FIELD, |w| {
            for number in [target.bits, source.offset, target.offset, 0] {
                w.u16(number);
            }
            oxm::put_name(w, source.field, source.field.header(w.version()));
            oxm::put_name(w, target.field, target.field.header(w.version()));
        }),
        Action::Unknown(bytes) => {
            w.put(bytes);
            Ok(())
        }
        other => put_nicira(w, other),
    }
}

fn put_set_field(w: &mut Writer<'_>, field: Field, value: u128, mask: Option<u128>) -> Result<()> {
    if mask.is_some() && w.version() < Version::V15 {
        // Before 1.5 the standard sets whole fields only.
        return nicira(w, nx::REG_LOAD2, |w| {
            oxm::put_entry(w, field, value, mask);
            Ok(())
        });
    }
    standard(w, of::SET_FIELD, |w| oxm::put_entry(w, field, value, mask))
}

fn put_nicira(w: &mut Writer<'_>, action: &Action) -> Result<()> {
    match action {
        Action::OutputField { source, max_len } if source.field.extension_header().class == CLASS_EXPERIMENTER => {
            nicira(w, nx::OUTPUT_REG2, |w| {
                w.u16(range(*source)?);
                w.u16(*max_len);
                put_name(w, source.field);
                w.zeros(2);
                Ok(())
            })
        }
        Action::OutputField { source, max_len } => nicira(w, nx::OUTPUT_REG, |w| {
            w.u16(range(*source)?);
            put_name(w, source.field);
            w.u16(*max_len);
            w.zeros(6);
            Ok(())
        }),
        Action::OutputTruncated { port, max_len } => nicira(w, nx::OUTPUT_TRUNC, |w| {
            put_port16(w, *port)?;
            w.u32(*max_len);
            Ok(())
        }),
        Action::PopQueue => nicira(w, nx::POP_QUEUE, empty),
        Action::DecTtl(ids) => nicira(w, nx::DEC_TTL_CNT_IDS, |w| {
            w.u16(ids.len() as u16);
            w.zeros(4);
            ids.iter().for_each(|id| w.u16(*id));
            Ok(())
        }),
        Action::Load { target, value } => nicira(w, nx::REG_LOAD, |w| {
            w.u16(range(*target)?);
            put_name(w, target.field);
            w.u64(*value);
            Ok(())
        }),
        Action::Move { source, target } => nicira(w, nx::REG_MOVE, |w| {
            for number in [target.bits, source.offset, target.offset] {
                w.u16(number);
            }
            put_name(w, source.field);
            put_name(w, target.field);
            Ok(())
        }),
        Action::Resubmit { port, table, ct } => {
            nicira(w, if *ct { nx::RESUBMIT_TABLE_CT } else { nx::RESUBMIT_TABLE }, |w| {
                put_port16(w, port.unwrap_or(PortNo::IN_PORT))?;
                w.u8(table.unwrap_or(NO_TABLE));
                w.zeros(3);
                Ok(())
            })
        }
        Action::SetTunnel(id) => match u32::try_from(*id) {
            Ok(id) => nicira(w, nx::SET_TUNNEL, |w| {
                w.zeros(2);
                w.u32(id);
                Ok(())
            }),
            Err(_) => nicira(w, nx::SET_TUNNEL64, |w| {
                w.zeros(6);
                w.u64(*id);
                Ok(())
            }),
        },
        Action::Push(bits) => nicira(w, nx::STACK_PUSH, |w| put_stack(w, *bits)),
        Action::Pop(bits) => nicira(w, nx::STACK_POP, |w| put_stack(w, *bits)),
        Action::Ct(ct) => nicira(w, nx::CT, |w| put_ct(w, ct)),
        Action::CtClear => nicira(w, nx::CT_CLEAR, empty),
        Action::Nat(nat) => nicira(w, nx::NAT, |w| extra::put_nat(w, nat)),
        Action::Learn(learn) if learn.limit == 0 && learn.result.is_none() => {
            nicira(w, nx::LEARN, |w| extra::put_learn(w, learn, false))
        }
        Action::Learn(learn) => nicira(w, nx::LEARN2, |w| extra::put_learn(w, learn, true)),
        Action::Conjunction { id, clause, clauses } => nicira(w, nx::CONJUNCTION, |w| {
            w.u8(*clause);
            w.u8(*clauses);
            w.u32(*id);
            Ok(())
        }),
        Action::Controller(controller) if extra::is_plain(controller) => nicira(w, nx::CONTROLLER, |w| {
            w.u16(controller.max_len);
            w.u16(controller.id);
            w.u8(controller.reason);
            Ok(())
        }),
        Action::Controller(controller) => nicira(w, nx::CONTROLLER2, |w| extra::put_controller2(w, controller)),
        Action::Clone(actions) => nicira(w, nx::CLONE, |w| {
            w.zeros(6);
            put_actions(w, actions)
        }),
        Action::Sample(sample) => {
            let subtype = match (sample.port, sample.direction) {
                (None, 0) => nx::SAMPLE,
                (_, 0) => nx::SAMPLE2,
                _ => nx::SAMPLE3,
            };
            nicira(w, subtype, |w| extra::put_sample(w, sample, subtype != nx::SAMPLE))
        }
        Action::Note(bytes) => nicira(w, nx::NOTE, |w| {
            w.put(bytes);
            Ok(())
        }),
        Action::CheckPacketLarger { length, target } => nicira(w, nx::CHECK_PKT_LARGER, |w| {
            let start = w.here();
            w.u16(*length);
            w.u16(target.offset);
            put_name(w, target.field);
            fill(w, start, 14);
            Ok(())
        }),
        Action::Multipath(multipath) => nicira(w, nx::MULTIPATH, |w| extra::put_multipath(w, multipath)),
        Action::Bundle(bundle) => {
            let subtype = if bundle.target.is_some() { nx::BUNDLE_LOAD } else { nx::BUNDLE };
            nicira(w, subtype, |w| extra::put_bundle(w, bundle))
        }
        Action::FinTimeout { idle, hard } => nicira(w, nx::FIN_TIMEOUT, |w| {
            w.u16(*idle);
            w.u16(*hard);
            Ok(())
        }),
        Action::Exit => nicira(w, nx::EXIT, empty),
        Action::DeleteField(field) => nicira(w, nx::DELETE_FIELD, |w| {
            let start = w.here();
            put_name(w, *field);
            fill(w, start, 14);
            Ok(())
        }),
        // `put_action` has written these.
        Action::Output { .. }
        | Action::Group(_)
        | Action::SetQueue(_)
        | Action::PushVlan(_)
        | Action::PopVlan
        | Action::PushMpls(_)
        | Action::PopMpls(_)
        | Action::SetMplsTtl(_)
        | Action::DecMplsTtl
        | Action::SetTtl(_)
        | Action::SetField { .. }
        | Action::Meter(_)
        | Action::Unknown(_) => Ok(()),
    }
}

fn empty(w: &mut Writer<'_>) -> Result<()> {
    w.zeros(6);
    Ok(())
}

/// Zeros until what began at `start` has `length` bytes.
pub(crate) fn fill(w: &mut Writer<'_>, start: usize, length: usize) {
    w.zeros((start + length).saturating_sub(w.here()));
}

pub(crate) fn put_port16(w: &mut Writer<'_>, port: PortNo) -> Result<()> {
    let number = port.to_u16().ok_or(Error::Value { what: "a port in 16 bits", value: port.0.into() })?;
    w.u16(number);
    Ok(())
}

fn put_stack(w: &mut Writer<'_>, bits: Subfield) -> Result<()> {
    let start = w.here();
    w.u16(bits.offset);
    put_name(w, bits.field);
    w.u16(bits.bits);
    fill(w, start, 14);
    Ok(())
}

fn put_ct(w: &mut Writer<'_>, ct: &Ct) -> Result<()> {
    w.u16(u16::from(ct.commit) | u16::from(ct.force) << 1);
    match ct.zone {
        Zone::Number(zone) => {
            w.zeros(4);
            w.u16(zone);
        }
        Zone::Field(bits) => {
            put_short_name(w, bits.field)?;
            w.u16(range(bits)?);
        }
    }
    w.u8(ct.table.unwrap_or(NO_TABLE));
    w.zeros(3);
    w.u16(ct.alg);
    put_actions(w, &ct.actions)
}
