//! Why bytes are not what they were taken for.

/// A frame, message or file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end before the structure does.
    #[error("{what}: {have} bytes, at least {need} are needed")]
    Short {
        /// The structure that was being read.
        what: &'static str,
        /// How many bytes it needs.
        need: usize,
        /// How many there are.
        have: usize,
    },
    /// A field has a value the structure does not allow.
    #[error("{what}: {field} is {value:#x}, which is not valid here")]
    Field {
        /// The structure that was being read.
        what: &'static str,
        /// Its field.
        field: &'static str,
        /// What stands in it.
        value: u64,
    },
    /// The bytes are something else altogether.
    #[error("not {expected}")]
    Other {
        /// What was looked for.
        expected: &'static str,
    },
    /// A checksum does not match the bytes it covers.
    #[error("{what}: the checksum does not match")]
    Checksum {
        /// The structure that was being read.
        what: &'static str,
    },
    /// A frame that cannot be expressed (for instance a payload over 65 535 bytes).
    #[error("cannot build {what}: {why}")]
    Build {
        /// What was to be built.
        what: &'static str,
        /// The reason.
        why: String,
    },
}

/// The `len` bytes at `at`, or an error that names the structure.
pub(crate) fn slice<'a>(bytes: &'a [u8], at: usize, len: usize, what: &'static str) -> Result<&'a [u8], Error> {
    let need = at.saturating_add(len);
    bytes.get(at..need).ok_or(Error::Short { what, need, have: bytes.len() })
}

/// A big-endian 16-bit field.
pub(crate) fn be16(bytes: &[u8], at: usize, what: &'static str) -> Result<u16, Error> {
    let s = slice(bytes, at, 2, what)?;
    Ok(u16::from_be_bytes([s[0], s[1]]))
}
