//! Errors that the peer reports, by name (OpenFlow 1.5.1, section 7.5.4).

use std::fmt;

use crate::codec::buf::{Reader, Wire, Writer};
use crate::error::Result;
use crate::field::{NICIRA, ONF};
use crate::message::{HEADER_BYTES, Header};

/// The type of errors that an experimenter defines.
const EXPERIMENTER: u16 = 0xffff;
/// The ONF's errors of bundles in OpenFlow 1.3 begin here.
const ONF_BUNDLE: u16 = 2300;

/// What the peer found wrong with a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The type of the error.
    pub kind: u16,
    /// The code within its type.
    pub code: u16,
    /// Who defines it, for the type `0xffff`.
    pub experimenter: Option<u32>,
    /// The beginning of the message that was wrong (at least 64 bytes), or text in an error of the hello.
    pub data: Vec<u8>,
}

/// One type: its name, and the names of its codes from 0 on.
struct Kind {
    name: &'static str,
    codes: &'static [&'static str],
}

#[rustfmt::skip]
const KINDS: &[Kind] = &[
    Kind { name: "OFPHFC", codes: &["INCOMPATIBLE", "EPERM"] },
    Kind { name: "OFPBRC", codes: &["BAD_VERSION", "BAD_TYPE", "BAD_MULTIPART", "BAD_EXPERIMENTER", "BAD_EXP_TYPE", "EPERM", "BAD_LEN", "BUFFER_EMPTY",
        "BUFFER_UNKNOWN", "BAD_TABLE_ID", "IS_SECONDARY", "BAD_PORT", "BAD_PACKET", "MULTIPART_BUFFER_OVERFLOW", "MULTIPART_REQUEST_TIMEOUT",
        "MULTIPART_REPLY_TIMEOUT", "MULTIPART_BAD_SCHED", "PIPELINE_FIELDS_ONLY", "UNKNOWN"] },
    Kind { name: "OFPBAC", codes: &["BAD_TYPE", "BAD_LEN", "BAD_EXPERIMENTER", "BAD_EXP_TYPE", "BAD_OUT_PORT", "BAD_ARGUMENT", "EPERM", "TOO_MANY", "BAD_QUEUE",
        "BAD_OUT_GROUP", "MATCH_INCONSISTENT", "UNSUPPORTED_ORDER", "BAD_TAG", "BAD_SET_TYPE", "BAD_SET_LEN", "BAD_SET_ARGUMENT", "BAD_SET_MASK"] },
    Kind { name: "OFPBIC", codes: &["UNKNOWN_INST", "UNSUP_INST", "BAD_TABLE_ID", "UNSUP_METADATA", "UNSUP_METADATA_MASK", "BAD_EXPERIMENTER", "BAD_EXP_TYPE",
        "BAD_LEN", "EPERM", "DUP_INST"] },
    Kind { name: "OFPBMC", codes: &["BAD_TYPE", "BAD_LEN", "BAD_TAG", "BAD_DL_ADDR_MASK", "BAD_NW_ADDR_MASK", "BAD_WILDCARDS", "BAD_FIELD", "BAD_VALUE", "BAD_MASK",
        "BAD_PREREQ", "DUP_FIELD", "EPERM"] },
    Kind { name: "OFPFMFC", codes: &["UNKNOWN", "TABLE_FULL", "BAD_TABLE_ID", "OVERLAP", "EPERM", "BAD_TIMEOUT", "BAD_COMMAND", "BAD_FLAGS", "CANT_SYNC",
        "BAD_PRIORITY", "IS_SYNC"] },
    Kind { name: "OFPGMFC", codes: &["GROUP_EXISTS", "INVALID_GROUP", "WEIGHT_UNSUPPORTED", "OUT_OF_GROUPS", "OUT_OF_BUCKETS", "CHAINING_UNSUPPORTED",
        "WATCH_UNSUPPORTED", "LOOP", "UNKNOWN_GROUP", "CHAINED_GROUP", "BAD_TYPE", "BAD_COMMAND", "BAD_BUCKET", "BAD_WATCH", "EPERM", "UNKNOWN_BUCKET",
        "BUCKET_EXISTS"] },
    Kind { name: "OFPPMFC", codes: &["BAD_PORT", "BAD_HW_ADDR", "BAD_CONFIG", "BAD_ADVERTISE", "EPERM"] },
    Kind { name: "OFPTMFC", codes: &["BAD_TABLE", "BAD_CONFIG", "EPERM"] },
    Kind { name: "OFPQOFC", codes: &["BAD_PORT", "BAD_QUEUE", "EPERM"] },
    Kind { name: "OFPSCFC", codes: &["BAD_FLAGS", "BAD_LEN", "EPERM"] },
    Kind { name: "OFPRRFC", codes: &["STALE", "UNSUP", "BAD_ROLE", "ID_UNSUP", "ID_IN_USE"] },
    Kind { name: "OFPMMFC", codes: &["UNKNOWN", "METER_EXISTS", "INVALID_METER", "UNKNOWN_METER", "BAD_COMMAND", "BAD_FLAGS", "BAD_RATE", "BAD_BURST", "BAD_BAND",
        "BAD_BAND_VALUE", "OUT_OF_METERS", "OUT_OF_BANDS"] },
    Kind { name: "OFPTFFC", codes: &["BAD_TABLE", "BAD_METADATA", "BAD_TYPE", "BAD_LEN", "BAD_ARGUMENT", "EPERM", "BAD_CAPA", "BAD_MAX_ENT", "BAD_FEATURES",
        "BAD_COMMAND", "TOO_MANY"] },
    Kind { name: "OFPBPC", codes: &["BAD_TYPE", "BAD_LEN", "BAD_VALUE", "TOO_MANY", "DUP_TYPE", "BAD_EXPERIMENTER", "BAD_EXP_TYPE", "BAD_EXP_VALUE", "EPERM"] },
    Kind { name: "OFPACFC", codes: &["INVALID", "UNSUPPORTED", "EPERM"] },
    Kind { name: "OFPMOFC", codes: &["UNKNOWN", "MONITOR_EXISTS", "INVALID_MONITOR", "UNKNOWN_MONITOR", "BAD_COMMAND", "BAD_FLAGS", "BAD_TABLE_ID", "BAD_OUT"] },
    Kind { name: "OFPBFC", codes: BUNDLE },
];

const BUNDLE: &[&str] = &[
    "UNKNOWN",
    "EPERM",
    "BAD_ID",
    "BUNDLE_EXIST",
    "BUNDLE_CLOSED",
    "OUT_OF_BUNDLES",
    "BAD_TYPE",
    "BAD_FLAGS",
    "MSG_BAD_LEN",
    "MSG_BAD_XID",
    "MSG_UNSUP",
    "MSG_CONFLICT",
    "MSG_TOO_MANY",
    "MSG_FAILED",
    "TIMEOUT",
    "BUNDLE_IN_PROGRESS",
];

/// Errors of Open vSwitch's own (its `ofp-errors.h`, as sent since OpenFlow 1.2).
const NICIRAS: &[(u16, &str)] = &[
    (16, "NXTTMFC_BAD_COMMAND"),
    (17, "NXTTMFC_BAD_OPT_LEN"),
    (18, "NXTTMFC_BAD_FIELD_IDX"),
    (19, "NXTTMFC_TABLE_FULL"),
    (20, "NXTTMFC_ALREADY_MAPPED"),
    (21, "NXTTMFC_DUP_ENTRY"),
    (38, "NXTTMFC_INVALID_TLV_DEL"),
];

impl Problem {
    /// The name of the error in the specification, such as `OFPFMFC_OVERLAP`, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        if self.experimenter == Some(ONF) {
            let code = self.code.checked_sub(ONF_BUNDLE)?;
            return BUNDLE.get(usize::from(code)).map(|code| format!("OFPBFC_{code}"));
        }
        if self.experimenter == Some(NICIRA) {
            let name = NICIRAS.iter().find(|(code, _)| *code == self.code);
            return name.map(|(_, name)| (*name).to_owned());
        }
        let kind = KINDS.get(usize::from(self.kind))?;
        kind.codes.get(usize::from(self.code)).map(|code| format!("{}_{code}", kind.name))
    }

    /// The header of the message that was wrong, if the peer sent it along.
    #[must_use]
    pub fn of(&self) -> Option<Header> {
        self.data.first_chunk::<HEADER_BYTES>().and_then(|head| Header::parse(head).ok())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.experimenter) {
            (Some(name), _) => f.write_str(&name)?,
            (None, Some(who)) => write!(f, "error {} of experimenter {who:#x}", self.code)?,
            (None, None) => write!(f, "error type {} code {}", self.kind, self.code)?,
        }
        match self.of() {
            Some(header) => write!(f, " about a message of type {} (xid {:#x})", header.kind, header.xid),
            None => Ok(()),
        }
    }
}

impl Wire for Problem {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (kind, code) = (r.u16()?, r.u16()?);
        let experimenter = if kind == EXPERIMENTER { Some(r.u32()?) } else { None };
        Ok(Self { kind, code, experimenter, data: r.rest().to_vec() })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u16(self.kind);
        w.u16(self.code);
        if self.kind == EXPERIMENTER {
            w.u32(self.experimenter.unwrap_or_default());
        }
        w.put(&self.data);
        Ok(())
    }
}
