//! LLDP (IEEE 802.1AB-2016): what a neighbour says about itself.

use std::net::IpAddr;

use crate::error::{Error, slice};
use crate::{Mac, format_mac};

/// EtherType of LLDP.
pub const ETHERTYPE: u16 = 0x88cc;

/// A chassis or a port, as its owner chose to name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    /// A MAC address (chassis subtype 4, port subtype 3).
    Mac(Mac),
    /// A network address (chassis subtype 5, port subtype 4).
    Address(IpAddr),
    /// An interface name or another text (alias, component, locally assigned).
    Name(String),
    /// Anything else: the subtype and its bytes.
    Other(u8, Vec<u8>),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mac(m) => f.write_str(&format_mac(m)),
            Self::Address(a) => a.fmt(f),
            Self::Name(n) => f.write_str(n),
            Self::Other(_, bytes) => bytes.iter().try_for_each(|b| write!(f, "{b:02x}")),
        }
    }
}

/// One LLDP data unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Who it is.
    pub chassis: Id,
    /// Which of its ports speaks.
    pub port: Id,
    /// Seconds the information holds; 0 means the neighbour leaves.
    pub ttl: u16,
    /// TLV 4.
    pub port_description: Option<String>,
    /// TLV 5.
    pub system_name: Option<String>,
    /// TLV 6.
    pub system_description: Option<String>,
    /// TLV 8, addresses of IPv4 and IPv6 only.
    pub management: Vec<IpAddr>,
}

impl Neighbour {
    /// Reads a whole Ethernet frame; fails when it is not LLDP. A VLAN tag is stepped over.
    pub fn from_frame(frame: &[u8]) -> Result<Self, Error> {
        let what = "an LLDP frame";
        let mut at = 12;
        let mut kind = crate::error::be16(frame, at, what)?;
        while kind == 0x8100 || kind == 0x88a8 {
            at += 4;
            kind = crate::error::be16(frame, at, what)?;
        }
        if kind != ETHERTYPE {
            return Err(Error::Other { expected: "LLDP" });
        }
        Self::from_bytes(&frame[at + 2..])
    }

    /// Reads an LLDP data unit: chassis, port and TTL first and in this order (§8.2), then any others up to the end mark.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut tlvs = Tlvs { rest: bytes };
        let mut mandatory = |kind: u8, what: &'static str| match tlvs.next() {
            Some(Ok((k, value))) if k == kind => Ok(value),
            Some(Ok((k, _))) => Err(Error::Field { what, field: "TLV type", value: k.into() }),
            Some(Err(e)) => Err(e),
            None => Err(Error::Short { what, need: bytes.len() + 2, have: bytes.len() }),
        };
        let chassis = id(mandatory(1, "LLDP chassis id")?, "LLDP chassis id", 4, 5)?;
        let port = id(mandatory(2, "LLDP port id")?, "LLDP port id", 3, 4)?;
        let ttl = crate::error::be16(mandatory(3, "LLDP time to live")?, 0, "LLDP time to live")?;
        let mut out = Self {
            chassis,
            port,
            ttl,
            port_description: None,
            system_name: None,
            system_description: None,
            management: Vec::new(),
        };
        for tlv in tlvs {
            let (kind, value) = tlv?;
            match kind {
                4 => out.port_description = Some(text(value)),
                5 => out.system_name = Some(text(value)),
                6 => out.system_description = Some(text(value)),
                8 => out.management.extend(management(value)),
                _ => {}
            }
        }
        Ok(out)
    }

    /// The data unit with its end mark. A text of more than 255 bytes (511 for descriptions) is cut.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, 1, &id_bytes(&self.chassis, 4, 5, 7));
        put(&mut out, 2, &id_bytes(&self.port, 3, 4, 5));
        put(&mut out, 3, &self.ttl.to_be_bytes());
        for (kind, value) in [(4, &self.port_description), (5, &self.system_name), (6, &self.system_description)] {
            if let Some(v) = value {
                put(&mut out, kind, v.as_bytes());
            }
        }
        for address in &self.management {
            let mut value = address_bytes(*address);
            value.insert(0, value.len() as u8);
            // Interface numbering subtype 2 (ifIndex), number 0, no object identifier.
            value.extend([2, 0, 0, 0, 0, 0]);
            put(&mut out, 8, &value);
        }
        out.extend([0, 0]);
        out
    }
}

fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let value = &value[..value.len().min(511)];
    out.extend((kind << 9 | value.len() as u16).to_be_bytes());
    out.extend(value);
}

fn address_bytes(a: IpAddr) -> Vec<u8> {
    // IANA address family numbers: 1 is IPv4, 2 is IPv6.
    match a {
        IpAddr::V4(a) => [&[1], &a.octets()[..]].concat(),
        IpAddr::V6(a) => [&[2], &a.octets()[..]].concat(),
    }
}

fn id_bytes(id: &Id, mac: u8, address: u8, name: u8) -> Vec<u8> {
    let mut out = match id {
        Id::Mac(m) => [&[mac], &m[..]].concat(),
        Id::Address(a) => [vec![address], address_bytes(*a)].concat(),
        Id::Name(n) => [&[name], n.as_bytes()].concat(),
        Id::Other(kind, bytes) => [&[*kind], &bytes[..]].concat(),
    };
    out.truncate(256);
    out
}

fn id(value: &[u8], what: &'static str, mac: u8, address: u8) -> Result<Id, Error> {
    // One byte of subtype, then 1 to 255 bytes.
    slice(value, 0, 2, what)?;
    let (kind, body) = (value[0], &value[1..]);
    if body.len() > 255 {
        return Err(Error::Field { what, field: "length", value: value.len() as u64 });
    }
    Ok(if kind == mac {
        match Mac::try_from(body) {
            Ok(m) => Id::Mac(m),
            Err(_) => Id::Other(kind, body.to_vec()),
        }
    } else if kind == address {
        ip(body).map_or_else(|| Id::Other(kind, body.to_vec()), Id::Address)
    } else {
        match std::str::from_utf8(body) {
            Ok(t) if !t.chars().any(char::is_control) => Id::Name(t.to_owned()),
            _ => Id::Other(kind, body.to_vec()),
        }
    })
}

fn ip(family_and_address: &[u8]) -> Option<IpAddr> {
    let (family, address) = family_and_address.split_first()?;
    match family {
        1 => <[u8; 4]>::try_from(address).ok().map(IpAddr::from),
        2 => <[u8; 16]>::try_from(address).ok().map(IpAddr::from),
        _ => None,
    }
}

fn management(value: &[u8]) -> Option<IpAddr> {
    let (len, rest) = value.split_first()?;
    ip(rest.get(..usize::from(*len))?)
}

/// What a stranger on the wire says may end on a terminal: control characters (ESC above all) do not.
fn text(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let text = text.trim_end_matches('\0');
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Type and value pairs up to the end mark (type 0) or the end of the bytes.
struct Tlvs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<(u8, &'a [u8]), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.len() < 2 {
            return None;
        }
        let head = u16::from_be_bytes([self.rest[0], self.rest[1]]);
        let (kind, len) = ((head >> 9) as u8, usize::from(head & 0x1ff));
        if kind == 0 {
            self.rest = &[];
            return None;
        }
        let value = slice(self.rest, 2, len, "an LLDP TLV");
        self.rest = value.as_ref().map_or(&[], |_| &self.rest[2 + len..]);
        Some(value.map(|v| (kind, v)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Neighbour {
        Neighbour {
            chassis: Id::Mac([2, 0, 0, 0, 0, 1]),
            port: Id::Name("eth1".to_owned()),
            ttl: 120,
            port_description: Some("to spine1".to_owned()),
            system_name: Some("leaf1".to_owned()),
            system_description: Some("FRR".to_owned()),
            management: vec![IpAddr::from([10, 0, 0, 1]), IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1])],
        }
    }

    #[test]
    fn round_trip() {
        assert_eq!(Neighbour::from_bytes(&full().to_bytes()), Ok(full()));
    }

    #[test]
    fn order_of_the_mandatory_three_matters() {
        let bytes = full().to_bytes();
        let port_first = [&bytes[9..], &bytes[..9]].concat();
        assert!(matches!(Neighbour::from_bytes(&port_first), Err(Error::Field { field: "TLV type", value: 2, .. })));
    }

    #[test]
    fn a_tlv_that_runs_over_the_end_is_an_error() {
        let bytes = full().to_bytes();
        assert!(matches!(Neighbour::from_bytes(&bytes[..bytes.len() - 8]), Err(Error::Short { .. })));
    }

    #[test]
    fn a_name_cannot_write_to_the_terminal() {
        let evil = Neighbour { system_name: Some("\x1b[2Jx\n".to_owned()), ..full() };
        let name = Neighbour::from_bytes(&evil.to_bytes()).unwrap().system_name.unwrap();
        assert_eq!(name, "\u{fffd}[2Jx\u{fffd}");
    }

    #[test]
    fn an_id_longer_than_the_standard_allows_is_refused() {
        let with = |len: usize| {
            let mut bytes = Vec::new();
            put(&mut bytes, 1, &[4, 2, 0, 0, 0, 0, 1]);
            put(&mut bytes, 2, &[&[7][..], &vec![b'x'; len]].concat());
            put(&mut bytes, 3, &[0, 120]);
            Neighbour::from_bytes(&bytes)
        };
        let longest = with(255).unwrap();
        assert_eq!(Neighbour::from_bytes(&longest.to_bytes()), Ok(longest));
        assert!(matches!(with(256), Err(Error::Field { what: "LLDP port id", .. })));
    }

    #[test]
    fn behind_a_vlan_tag() {
        let mut frame =
            crate::build::ethernet([1, 0x80, 0xc2, 0, 0, 0x0e], [2, 0, 0, 0, 0, 1], 0x8100, &[0, 100, 0x88, 0xcc]);
        frame.extend(full().to_bytes());
        assert_eq!(Neighbour::from_frame(&frame), Ok(full()));
    }
}
