//! Versions of the protocol, and who decides which one is spoken.

use std::fmt;

use crate::error::{Error, Result};

/// A version of OpenFlow this crate speaks. The number on the wire is the discriminant.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Version {
    /// OpenFlow 1.3. Bundles exist as an extension of the ONF.
    V13 = 4,
    /// OpenFlow 1.4.
    V14 = 5,
    /// OpenFlow 1.5.
    V15 = 6,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Version; 3] = [Version::V13, Version::V14, Version::V15];

    /// The version with this number on the wire.
    pub fn from_wire(number: u8) -> Result<Self> {
        Self::ALL.into_iter().find(|version| *version as u8 == number).ok_or(Error::Version(number))
    }

    /// Its bit in the bitmap of a hello (OpenFlow 1.3.1, section 7.5.1).
    #[must_use]
    pub fn bit(self) -> u32 {
        1 << self as u8
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V13 => "1.3",
            Self::V14 => "1.4",
            Self::V15 => "1.5",
        })
    }
}
