//! Values of fields.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::action::PortNo;
use crate::error::TextError;
use crate::field::{Field, Kind, Subfield};
use crate::text::{Result, number};

/// Values of `ip_frag`: a fragment, and one that is not the first.
const FRAGMENTS: &[(&str, u128, u128)] =
    &[("no", 0, 3), ("yes", 1, 1), ("first", 1, 3), ("later", 3, 3), ("not_later", 0, 2)];

/// Writes a value and, after a slash, the mask if there is one.
pub(super) fn write(f: &mut fmt::Formatter<'_>, field: Field, value: u128, mask: Option<u128>) -> fmt::Result {
    match (field.spec().kind, mask) {
        (Kind::Decimal, None) => write!(f, "{value}"),
        (Kind::Port, _) if field.spec().bytes == 2 => write!(f, "{}", PortNo::from_u16(value as u16)),
        (Kind::Port, _) => write!(f, "{}", PortNo(value as u32)),
        (Kind::Mac, None) => mac(f, value),
        (Kind::Mac, Some(mask)) => {
            mac(f, value)?;
            f.write_str("/")?;
            mac(f, mask)
        }
        (Kind::Ipv4, None) => write!(f, "{}", Ipv4Addr::from(value as u32)),
        (Kind::Ipv4, Some(mask)) => {
            write!(f, "{}/", Ipv4Addr::from(value as u32))?;
            match prefix(mask, 32) {
                Some(length) => write!(f, "{length}"),
                None => write!(f, "{}", Ipv4Addr::from(mask as u32)),
            }
        }
        (Kind::Ipv6, None) => write!(f, "{}", Ipv6Addr::from(value)),
        (Kind::Ipv6, Some(mask)) => {
            write!(f, "{}/", Ipv6Addr::from(value))?;
            match prefix(mask, 128) {
                Some(length) => write!(f, "{length}"),
                None => write!(f, "{}", Ipv6Addr::from(mask)),
            }
        }
        (Kind::Flags(names), Some(mask))
            if mask != 0 && names.iter().fold(mask, |m, (bit, _)| m & !u128::from(*bit)) == 0 =>
        {
            for (bit, name) in names.iter().filter(|(bit, _)| mask & u128::from(*bit) != 0) {
                write!(f, "{}{name}", if value & u128::from(*bit) != 0 { '+' } else { '-' })?;
            }
            Ok(())
        }
        (Kind::Fragment, mask) => {
            let wanted = (value, mask.unwrap_or(field.full_mask()));
            match FRAGMENTS.iter().find(|(_, value, mask)| (*value, *mask) == wanted) {
                Some((word, ..)) => f.write_str(word),
                None => write!(f, "{value:#x}/{:#x}", wanted.1),
            }
        }
        (Kind::PacketType, _) => write!(f, "({},{:#x})", value >> 16, value & 0xffff),
        (_, None) => write!(f, "{value:#x}"),
        (_, Some(mask)) => write!(f, "{value:#x}/{mask:#x}"),
    }
}

fn mac(f: &mut fmt::Formatter<'_>, value: u128) -> fmt::Result {
    let [.., a, b, c, d, e, g] = value.to_be_bytes();
    write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
}

/// The length of a mask that is a prefix of `bits` bits.
fn prefix(mask: u128, bits: u32) -> Option<u32> {
    let length = mask.count_ones();
    (prefix_mask(length, bits) == mask).then_some(length)
}

fn prefix_mask(length: u32, bits: u32) -> u128 {
    let ones = u128::MAX >> (128 - bits);
    if length >= bits { ones } else { ones & !(ones >> length) }
}

/// Reads `value` or `value/mask`.
pub(super) fn parse(field: Field, text: &str) -> Result<(u128, Option<u128>)> {
    let spec = field.spec();
    match spec.kind {
        Kind::Fragment => {
            if let Some((_, value, mask)) = FRAGMENTS.iter().find(|(word, ..)| *word == text) {
                return Ok((*value, Some(*mask)));
            }
        }
        Kind::Flags(names) => {
            if text.starts_with(['+', '-']) {
                return flags(names, text).map(|(value, mask)| (value, Some(mask)));
            }
            if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
                let value = text.split('|').try_fold(0, |all, name| Ok::<_, TextError>(all | flag(names, name, text)?));
                return Ok((value?, None));
            }
        }
        Kind::PacketType => {
            let inner = text.trim_start_matches('(').trim_end_matches(')');
            let (space, kind) =
                inner.split_once(',').ok_or_else(|| TextError::new("a packet type is (namespace,type)", text))?;
            let (space, kind): (u16, u16) = (number(space, "the namespace")?, number(kind, "the type")?);
            return Ok((u128::from(space) << 16 | u128::from(kind), None));
        }
        _ => {}
    }
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (value, Some(mask)),
        None => (text, None),
    };
    let mask = match (mask, spec.kind) {
        (None, _) => None,
        (Some(mask), Kind::Ipv4) if !mask.contains('.') => Some(prefix_mask(number(mask, "the prefix length")?, 32)),
        (Some(mask), Kind::Ipv6) if !mask.contains(':') => Some(prefix_mask(number(mask, "the prefix length")?, 128)),
        (Some(mask), _) => Some(one(field, mask)?),
    };
    Ok((one(field, value)?, mask))
}

/// A value without a mask.
fn one(field: Field, text: &str) -> Result<u128> {
    let spec = field.spec();
    let wrong = |what: &str| TextError::new(format!("{} is not {what}", spec.name), text);
    let value = match spec.kind {
        Kind::Mac => {
            let bytes: Vec<u128> = text
                .split(':')
                .map(|byte| u128::from_str_radix(byte, 16))
                .collect::<std::result::Result<_, _>>()
                .map_err(|_| wrong("an Ethernet address"))?;
            if bytes.len() != 6 || bytes.iter().any(|byte| *byte > 0xff) {
                return Err(wrong("an Ethernet address"));
            }
            bytes.iter().fold(0, |all, byte| all << 8 | byte)
        }
        Kind::Ipv4 => text.parse::<Ipv4Addr>().map_err(|_| wrong("an IPv4 address"))?.to_bits().into(),
        Kind::Ipv6 => text.parse::<Ipv6Addr>().map_err(|_| wrong("an IPv6 address"))?.to_bits(),
        Kind::Port => {
            let port: PortNo = text.parse()?;
            if spec.bytes == 2 {
                port.to_u16().ok_or_else(|| wrong("a port in 16 bits"))?.into()
            } else {
                port.0.into()
            }
        }
        _ => number(text, spec.name)?,
    };
    let width = if spec.bytes == 16 { u128::MAX } else { (1 << (8 * spec.bytes)) - 1 };
    if value > width {
        return Err(wrong(&format!("a number of {} bytes", spec.bytes)));
    }
    Ok(value)
}

fn flag(names: &[(u32, &str)], name: &str, text: &str) -> Result<u128> {
    let found = names.iter().find(|(_, known)| *known == name);
    found.map(|(bit, _)| (*bit).into()).ok_or_else(|| {
        let known: Vec<_> = names.iter().map(|(_, name)| *name).collect();
        TextError::new(format!("'{name}' is none of {}", known.join(", ")), text)
    })
}

/// `+one-other`.
fn flags(names: &[(u32, &str)], text: &str) -> Result<(u128, u128)> {
    let (mut value, mut mask) = (0, 0);
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let end = rest[1..].find(['+', '-']).map_or(rest.len(), |at| at + 1);
        let bit = flag(names, &rest[1..end], text)?;
        if mask & bit != 0 {
            return Err(TextError::new("a flag is said twice", text));
        }
        mask |= bit;
        if sign == '+' {
            value |= bit;
        }
        rest = &rest[end..];
    }
    Ok((value, mask))
}

impl fmt::Display for Subfield {
    /// `NXM_NX_REG0[0..15]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field.extension_header().name)?;
        match (self.offset, self.bits) {
            (0, bits) if bits == self.field.spec().bits => f.write_str("[]"),
            (offset, 1) => write!(f, "[{offset}]"),
            (offset, bits) => write!(f, "[{offset}..{}]", offset + bits - 1),
        }
    }
}

impl std::str::FromStr for Subfield {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self> {
        let (name, range) = match text.split_once('[') {
            Some((name, range)) => {
                (name, range.strip_suffix(']').ok_or_else(|| TextError::new("a bracket that is not closed", text))?)
            }
            None => (text, ""),
        };
        let field = match name {
            // The 16 bits of old, in actions.
            "in_port" => Field::IN_PORT_16,
            _ => Field::from_name(name).ok_or_else(|| unknown(name))?,
        };
        let out = match range.split_once("..") {
            _ if range.is_empty() => Subfield::whole(field),
            None => Subfield { field, offset: number(range, "the bit")?, bits: 1 },
            Some((first, last)) => {
                let (first, last): (u16, u16) = (number(first, "the first bit")?, number(last, "the last bit")?);
                let bits = last.checked_sub(first).and_then(|bits| bits.checked_add(1));
                let bits = bits.ok_or_else(|| TextError::new("the bits are the wrong way round", text))?;
                Subfield { field, offset: first, bits }
            }
        };
        if !out.is_valid() {
            return Err(TextError::new(format!("{} has {} bits", field.spec().name, field.spec().bits), text));
        }
        Ok(out)
    }
}

/// No field has this name; the likeliest ones are told.
pub(super) fn unknown(name: &str) -> TextError {
    let stem: String = name.chars().take_while(|c| c.is_ascii_alphabetic()).collect();
    let near: Vec<&str> = Field::all()
        .map(|field| field.spec().name)
        .filter(|known| stem.len() > 1 && known.contains(stem.as_str()))
        .take(6)
        .collect();
    let hint = if near.is_empty() { String::new() } else { format!(" (there are {})", near.join(", ")) };
    TextError::new(format!("no field is called '{name}'{hint}"), name)
}
