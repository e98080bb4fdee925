//! What can be wrong with bytes, with text, and with what somebody asks to be encoded.

use crate::version::Version;

/// Why bytes could not be decoded, or a value not be encoded.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end before the value does.
    #[error("{what} ends early: {needed} more bytes are needed and {left} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Bytes needed next.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A length that contradicts what it is the length of.
    #[error("{what} says that it has {length} bytes, which cannot be")]
    Length {
        /// What was being read.
        what: &'static str,
        /// What it says.
        length: usize,
    },
    /// A number that means nothing here.
    #[error("{what} is {value:#x}, which means nothing here")]
    Value {
        /// What was being read.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// A version of the protocol outside 1.3 to 1.5.
    #[error("the peer speaks OpenFlow version {0:#04x}; only 1.3 (0x04), 1.4 (0x05) and 1.5 (0x06) are spoken here")]
    Version(u8),
    /// Actions within actions within actions.
    #[error("actions are nested more than {0} deep")]
    Nested(u8),
    /// The value has no form in this version of the protocol.
    #[error("{what} cannot be said in OpenFlow {version}")]
    NotIn {
        /// What was to be encoded.
        what: &'static str,
        /// The version asked for.
        version: Version,
    },
    /// A message longer than its length field can say.
    #[error("the message has {0} bytes; OpenFlow allows 65535")]
    TooLong(usize),
}

/// Why text is not a flow, a match, an action or a group.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{problem}, in '{text}'")]
pub struct TextError {
    /// What is wrong.
    pub problem: String,
    /// The piece of text it is about.
    pub text: String,
}

impl TextError {
    pub(crate) fn new(problem: impl Into<String>, text: impl Into<String>) -> Self {
        Self { problem: problem.into(), text: text.into() }
    }
}

/// The result of decoding or encoding.
pub type Result<T> = std::result::Result<T, Error>;
