//! Matches and single fields as they stand in messages: OXM (OpenFlow 1.3, section 7.2.3) and its elder sister NXM.

use crate::codec::buf::{Reader, Wire, Writer};
use crate::error::{Error, Result};
use crate::field::{CLASS_EXPERIMENTER, Field, Header};
use crate::matches::{Match, Unknown};

/// What an error says when a header names a field that is not in the table.
pub(crate) const A_FIELD: &str = "a field";

/// The only kind of match since OpenFlow 1.2.
const TYPE_OXM: u16 = 1;

/// One field with a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Entry {
    Known(Field, u128, Option<u128>),
    Unknown(Unknown),
}

/// Class, number, masked, bytes that follow, experimenter.
struct Raw {
    class: u16,
    number: u8,
    masked: bool,
    length: usize,
    experimenter: u32,
}

fn take_raw(r: &mut Reader<'_>) -> Result<Raw> {
    let class = r.u16()?;
    let byte = r.u8()?;
    let mut length = usize::from(r.u8()?);
    let mut experimenter = 0;
    if class == CLASS_EXPERIMENTER {
        length = length.checked_sub(4).ok_or(Error::Length { what: A_FIELD, length })?;
        experimenter = r.u32()?;
    }
    Ok(Raw { class, number: byte >> 1, masked: byte & 1 == 1, length, experimenter })
}

/// Writes a header that announces `length` bytes of value and mask.
fn put_header(w: &mut Writer<'_>, header: Header, masked: bool, length: usize) {
    let experimenter = header.class == CLASS_EXPERIMENTER;
    w.u16(header.class);
    w.u8(header.number << 1 | u8::from(masked));
    w.u8((length + if experimenter { 4 } else { 0 }) as u8);
    if experimenter {
        w.u32(header.experimenter);
    }
}

/// A field by the numbers of its header, as the features of a table name it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FieldId {
    /// The class.
    pub class: u16,
    /// The number within the class.
    pub number: u8,
    /// Whether bits may be left out.
    pub masked: bool,
    /// Bytes of the value.
    pub length: u8,
    /// The experimenter of class `0xffff`; 0 elsewhere.
    pub experimenter: u32,
}

impl FieldId {
    /// The field, if it is one that this crate knows.
    #[must_use]
    pub fn field(&self) -> Option<Field> {
        Field::from_header(self.class, self.number, self.experimenter)
    }
}

pub(crate) fn take_id(r: &mut Reader<'_>) -> Result<FieldId> {
    let Raw { class, number, masked, length, experimenter } = take_raw(r)?;
    Ok(FieldId { class, number, masked, length: length as u8, experimenter })
}

pub(crate) fn put_id(w: &mut Writer<'_>, id: &FieldId) {
    let experimenter = id.class == CLASS_EXPERIMENTER;
    w.u16(id.class);
    w.u8(id.number << 1 | u8::from(id.masked));
    w.u8(id.length.saturating_add(if experimenter { 4 } else { 0 }));
    if experimenter {
        w.u32(id.experimenter);
    }
}

/// A header without a value, as actions name a field.
pub(crate) fn put_name(w: &mut Writer<'_>, field: Field, header: Header) {
    put_header(w, header, false, field.spec().bytes);
}

/// [`put_name`], read.
pub(crate) fn take_name(r: &mut Reader<'_>) -> Result<Field> {
    let raw = take_raw(r)?;
    let field = Field::from_header(raw.class, raw.number, raw.experimenter);
    field.ok_or_else(|| r.wrong(A_FIELD, u64::from(raw.class) << 16 | u64::from(raw.number)))
}

/// One field with its value, in the header of the writer's version.
pub(crate) fn put_entry(w: &mut Writer<'_>, field: Field, value: u128, mask: Option<u128>) {
    let bytes = match field.tun_metadata() {
        // How long the option is only the switch knows. It fills what is shorter with zeros in front, and of what is longer it takes the front.
        Some(_) => {
            let zeros = (value | mask.unwrap_or_default()).leading_zeros();
            16 - (zeros / 8).min(15) as usize
        }
        None => field.spec().bytes,
    };
    let length = bytes * if mask.is_some() { 2 } else { 1 };
    put_header(w, field.header(w.version()), mask.is_some(), length);
    w.number(value, bytes);
    if let Some(mask) = mask {
        w.number(mask, bytes);
    }
}

pub(crate) fn take_entry(r: &mut Reader<'_>) -> Result<Entry> {
    let raw = take_raw(r)?;
    let mut part = r.part(raw.length, A_FIELD)?;
    let Some(field) = Field::from_header(raw.class, raw.number, raw.experimenter) else {
        let Raw { class, number, masked, experimenter, .. } = raw;
        return Ok(Entry::Unknown(Unknown { class, number, masked, experimenter, bytes: part.rest().to_vec() }));
    };
    let mut bytes = field.spec().bytes;
    if field.tun_metadata().is_some() {
        // As long as the option is; one that is longer than a number here, or of which nothing is compared, stays as it came.
        let width = if raw.masked { raw.length / 2 } else { raw.length };
        let nothing = raw.masked && part.peek().iter().skip(width).all(|byte| *byte == 0);
        if width > bytes || nothing {
            let Raw { class, number, masked, experimenter, .. } = raw;
            return Ok(Entry::Unknown(Unknown { class, number, masked, experimenter, bytes: part.rest().to_vec() }));
        }
        bytes = width;
    }
    if raw.length != bytes * if raw.masked { 2 } else { 1 } {
        return Err(Error::Length { what: A_FIELD, length: raw.length });
    }
    let value = part.number(bytes)?;
    let mask = if raw.masked { Some(part.number(bytes)?) } else { None };
    Ok(Entry::Known(field, value, mask))
}

/// Fields until the end of the bytes.
pub(crate) fn take_fields(r: &mut Reader<'_>) -> Result<Match> {
    let mut out = Match::default();
    while !r.is_empty() {
        match take_entry(r)? {
            Entry::Known(field, value, mask) => out.set_masked(field, value, mask.unwrap_or(u128::MAX)),
            Entry::Unknown(unknown) => out.unknown.push(unknown),
        }
    }
    Ok(out)
}

/// The fields of a match without anything around them.
pub(crate) fn put_fields(w: &mut Writer<'_>, matches: &Match) {
    for entry in matches.entries() {
        // Open vSwitch writes a mask of this one also when all of it is compared.
        let masked = entry.field == Field::TUN_FLAGS;
        let mask = entry.mask.or(masked.then(|| entry.field.full_mask()));
        put_entry(w, entry.field, entry.value, mask);
    }
    for unknown in &matches.unknown {
        let Unknown { class, number, masked, experimenter, ref bytes } = *unknown;
        w.u16(class);
        w.u8(number << 1 | u8::from(masked));
        w.u8((bytes.len() + if class == CLASS_EXPERIMENTER { 4 } else { 0 }) as u8);
        if class == CLASS_EXPERIMENTER {
            w.u32(experimenter);
        }
        w.put(bytes);
    }
}

impl Wire for Match {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let kind = r.u16()?;
        if kind != TYPE_OXM {
            return Err(r.wrong("the type of a match", kind));
        }
        let length = usize::from(r.u16()?);
        let mut part = r.entry(length, 4, "a match")?;
        r.align(length);
        take_fields(&mut part)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        w.u16(TYPE_OXM);
        w.u16(0);
        put_fields(w, self);
        w.length(start + 2, start);
        w.align(start);
        Ok(())
    }
}
