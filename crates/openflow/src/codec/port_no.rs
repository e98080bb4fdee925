//! Port numbers, which the standard writes in 32 bits and the older extensions in 16.

use std::fmt;

use crate::codec::buf::{Reader, Wire, Writer};
use crate::error::{Result, TextError};

/// A port of a switch: a number given by the switch, or one of the reserved ones.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortNo(pub u32);

/// The reserved ones (OpenFlow 1.3, section 7.2.1) with the words of `ovs-ofctl`.
const RESERVED: &[(PortNo, &str)] = &[
    (PortNo::UNSET, "UNSET"),
    (PortNo::IN_PORT, "IN_PORT"),
    (PortNo::TABLE, "TABLE"),
    (PortNo::NORMAL, "NORMAL"),
    (PortNo::FLOOD, "FLOOD"),
    (PortNo::ALL, "ALL"),
    (PortNo::CONTROLLER, "CONTROLLER"),
    (PortNo::LOCAL, "LOCAL"),
    (PortNo::ANY, "ANY"),
];

impl PortNo {
    /// No port has been chosen yet in the action set (OpenFlow 1.5).
    pub const UNSET: Self = Self(0xffff_fff7);
    /// Back to where the packet came from.
    pub const IN_PORT: Self = Self(0xffff_fff8);
    /// Through the flow tables; for packet-out.
    pub const TABLE: Self = Self(0xffff_fff9);
    /// The switch's own learning and forwarding.
    pub const NORMAL: Self = Self(0xffff_fffa);
    /// Every port that floods, save the one it came from.
    pub const FLOOD: Self = Self(0xffff_fffb);
    /// Every port save the one it came from.
    pub const ALL: Self = Self(0xffff_fffc);
    /// To the controllers.
    pub const CONTROLLER: Self = Self(0xffff_fffd);
    /// The bridge's own interface.
    pub const LOCAL: Self = Self(0xffff_fffe);
    /// No restriction; in requests.
    pub const ANY: Self = Self(0xffff_ffff);

    /// The port as the extensions write it: 16 bits, the reserved ones at the top.
    #[must_use]
    pub fn to_u16(self) -> Option<u16> {
        match self.0 {
            number @ 0..0xff00 => Some(number as u16),
            number @ 0xffff_ff00.. => Some(number as u16),
            _ => None,
        }
    }

    /// The port written in 16 bits.
    #[must_use]
    pub fn from_u16(number: u16) -> Self {
        Self(if number >= 0xff00 { u32::from(number) | 0xffff_0000 } else { number.into() })
    }

    /// The word of a reserved one.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        RESERVED.iter().find(|(port, _)| *port == self).map(|(_, word)| *word)
    }
}

impl fmt::Display for PortNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Some(word) => f.write_str(word),
            None => write!(f, "{}", self.0),
        }
    }
}

impl std::str::FromStr for PortNo {
    type Err = TextError;

    fn from_str(text: &str) -> std::result::Result<Self, TextError> {
        if let Some((port, _)) = RESERVED.iter().find(|(_, word)| word.eq_ignore_ascii_case(text)) {
            return Ok(*port);
        }
        if text.eq_ignore_ascii_case("NONE") {
            return Ok(Self::ANY);
        }
        let number = text.parse().map_err(|_| TextError::new("not a port: a number or a reserved word", text))?;
        // In text, too, the reserved ports may be written as 16 bits.
        Ok(if number < 0x1_0000 { Self::from_u16(number as u16) } else { Self(number) })
    }
}

impl Wire for PortNo {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        r.u32().map(Self)
    }
    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u32(self.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_hold_the_reserved_ports() {
        for port in [PortNo(1), PortNo(0xfeff), PortNo::LOCAL, PortNo::IN_PORT, PortNo::ANY] {
            assert_eq!(PortNo::from_u16(port.to_u16().unwrap()), port);
        }
        assert_eq!(PortNo(0x1_0000).to_u16(), None);
        assert_eq!("local".parse(), Ok(PortNo::LOCAL));
        assert_eq!("65534".parse(), Ok(PortNo::LOCAL));
        assert!("eth0".parse::<PortNo>().is_err());
    }
}
