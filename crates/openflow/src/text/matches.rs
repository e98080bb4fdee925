//! Matches.

use std::fmt;

use crate::error::TextError;
use crate::field::{Field, Kind};
use crate::matches::{Entry, Match};
use crate::text::{Result, number, pieces, value, word};

/// Words for an Ethernet type and, of some, a protocol.
const PROTOCOLS: &[(&str, u16, Option<u8>)] = &[
    ("ip", 0x0800, None),
    ("ipv6", 0x86dd, None),
    ("icmp", 0x0800, Some(1)),
    ("tcp", 0x0800, Some(6)),
    ("udp", 0x0800, Some(17)),
    ("sctp", 0x0800, Some(132)),
    ("icmp6", 0x86dd, Some(58)),
    ("tcp6", 0x86dd, Some(6)),
    ("udp6", 0x86dd, Some(17)),
    ("sctp6", 0x86dd, Some(132)),
    ("arp", 0x0806, None),
    ("rarp", 0x8035, None),
    ("mpls", 0x8847, None),
    ("mplsm", 0x8848, None),
];

/// Other spellings that dumps and people use.
const SPELLINGS: &[(&str, &str)] = &[("ipv4", "ip"), ("icmpv6", "icmp6"), ("eth", "")];

/// Bit of the tag's presence in `vlan_vid` and `vlan_tci`.
const TAGGED: u128 = 0x1000;

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (eth_type, protocol) = (self.exact(Field::ETH_TYPE), self.exact(Field::IP_PROTO));
        let fits = |(_, kind, number): &&(&str, u16, Option<u8>)| {
            Some(u128::from(*kind)) == eth_type && number.is_none_or(|number| Some(u128::from(number)) == protocol)
        };
        // The longest word that fits.
        let shorthand = PROTOCOLS.iter().filter(fits).max_by_key(|(.., number)| number.is_some());
        let mut separator = "";
        if let Some((name, ..)) = shorthand {
            f.write_str(name)?;
            separator = ",";
        }
        let said = |entry: &&Entry| match entry.field {
            Field::ETH_TYPE => shorthand.is_none(),
            Field::IP_PROTO => shorthand.is_none_or(|(.., number)| number.is_none()),
            _ => true,
        };
        for entry in self.entries().iter().filter(said) {
            f.write_str(separator)?;
            separator = ",";
            write_entry(f, entry)?;
        }
        for unknown in &self.unknown {
            write!(f, "{separator}unknown_{:#06x}_{}=0x", unknown.class, unknown.number)?;
            unknown.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            separator = ",";
        }
        Ok(())
    }
}

fn write_entry(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    let Entry { field, value, mask } = *entry;
    match (field, mask) {
        (Field::VLAN_VID, None) if value & TAGGED != 0 => write!(f, "dl_vlan={}", value & 0xfff),
        (Field::VLAN_VID, mask) => write!(f, "vlan_tci={value:#06x}/{:#06x}", mask.unwrap_or(0x1fff)),
        (Field::IP_TOS, _) => write!(f, "nw_tos={}", value & 0xfc),
        (Field::IN_PORT_16, _) => {
            f.write_str("in_port=")?;
            value::write(f, field, value, mask)
        }
        (field, mask) => {
            let spec = field.spec();
            write!(f, "{}=", spec.aliases.first().unwrap_or(&spec.name))?;
            match (spec.kind, mask) {
                // A mask of a decimal number is hexadecimal, and then so is the number.
                (Kind::Decimal, Some(mask)) => write!(f, "{value:#x}/{mask:#x}"),
                _ => value::write(f, field, value, mask),
            }
        }
    }
}

impl std::str::FromStr for Match {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self> {
        let mut reading = Reading::default();
        for piece in pieces(text)? {
            if !reading.take(piece)? {
                return Err(value::unknown(word(piece).0));
            }
        }
        reading.finish()
    }
}

/// A match being read. Names that several fields share wait until the protocol is known.
#[derive(Debug, Default)]
pub(super) struct Reading<'a> {
    matches: Match,
    waiting: Vec<(&'a str, &'a str)>,
}

impl<'a> Reading<'a> {
    /// Takes one piece; false when it is not about a match.
    pub(super) fn take(&mut self, piece: &'a str) -> Result<bool> {
        let (name, text, _) = word(piece);
        let name = SPELLINGS.iter().find(|(other, _)| *other == name).map_or(name, |(_, name)| *name);
        if name.is_empty() {
            return Ok(true);
        }
        if let Some((_, eth_type, protocol)) = PROTOCOLS.iter().find(|(word, ..)| *word == name && !piece.contains('='))
        {
            self.matches.set(Field::ETH_TYPE, *eth_type);
            protocol.iter().for_each(|protocol| self.matches.set(Field::IP_PROTO, *protocol));
            return Ok(true);
        }
        match name {
            "dl_vlan" => self.vlan(text)?,
            "vlan_tci" => self.tci(text)?,
            "nw_tos" | "ip_tos" => {
                let tos: u8 = number(text, "the type of service")?;
                self.matches.set(Field::IP_DSCP, tos >> 2);
            }
            _ => match Field::named(name) {
                [] => return Ok(false),
                [field] => self.set(*field, text)?,
                _ => self.waiting.push((name, text)),
            },
        }
        Ok(true)
    }

    fn set(&mut self, field: Field, text: &str) -> Result<()> {
        let (value, mask) = value::parse(field, text)?;
        self.matches.set_masked(field, value, mask.unwrap_or(u128::MAX));
        Ok(())
    }

    /// A number of a VLAN; 0xffff is no tag.
    fn vlan(&mut self, text: &str) -> Result<()> {
        let vid: u16 = number(text, "the VLAN")?;
        match vid {
            0xffff => self.matches.set(Field::VLAN_VID, 0u8),
            0..0x1000 => self.matches.set(Field::VLAN_VID, u128::from(vid) | TAGGED),
            _ => return Err(TextError::new("a VLAN is below 4096, or 0xffff for no tag", text)),
        }
        Ok(())
    }

    /// The old two bytes of a tag, as the fields they are made of.
    fn tci(&mut self, text: &str) -> Result<()> {
        let (value, mask) = value::parse(Field::VLAN_TCI, text)?;
        let mask = mask.unwrap_or(0xffff);
        self.matches.set_masked(Field::VLAN_VID, value, mask & 0x1fff);
        // Without a tag there is no priority to compare.
        if value & 0x1fff != 0 && mask & 0xe000 != 0 {
            self.matches.set(Field::VLAN_PCP, value >> 13 & 7);
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Match> {
        for (name, text) in std::mem::take(&mut self.waiting) {
            let fitting = Field::named(name).iter().find(|field| self.matches.meets(field.spec().needs));
            let field = fitting.copied().or_else(|| Field::from_name(name)).ok_or_else(|| value::unknown(name))?;
            self.set(field, text)?;
        }
        if self.matches.get(Field::VLAN_PCP).is_some() && self.matches.get(Field::VLAN_VID).is_none() {
            self.matches.set_masked(Field::VLAN_VID, TAGGED, TAGGED);
        }
        Ok(self.matches)
    }
}
